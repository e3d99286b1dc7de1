"""From MEG to what state models take: amplitude envelopes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from .._checks.mne_objects import check_rate
from .._checks.params import check_bool_param, check_scalar_param
from .._params import documented
from ._recordings import check_recordings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._typing import ArrayLike, Self


class RecordingTransformer(TransformerMixin, BaseEstimator):
    """Base: recordings in, recordings of the same kind out."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        return tags

    def _each(self, X, reset=False, least=2):
        """Recordings (n_times, n_regions) of X, and a function that puts results together."""
        check_rate(self, X)
        recordings = check_recordings(self, X, reset=reset, min_times=1, missing="mask")
        for i, n in enumerate(recordings.lengths):
            if n < least:
                raise ValueError(
                    f"Each recording must have at least {least} samples. Got {n} in X[{i}]."
                )
        return [np.asarray(part, dtype=float) for part in recordings.parts], recordings.together


def stretches(good):
    """Spans (start, end) of consecutive True."""
    edges = np.flatnonzero(np.diff(np.r_[False, good, False].astype(int)))
    return list(zip(edges[::2], edges[1::2]))


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class AmplitudeEnvelope(RecordingTransformer):
    """Amplitude of oscillations: the modulus of the analytic signal, smoothed and down-sampled.

    Samples with NaN, and those that mne annotations call BAD, stay NaN; each side of such a gap is
    filtered alone. Models take the result with ``missing="mask"``.

    Parameters
    ----------
    sfreq : float, default=250.0
        Samples per second of X, Hz.
    band : tuple of two float, default=None
        Pass band in Hz (Butterworth, fourth order, both ways); None takes X as it is filtered.
    orthogonalize : bool, default=False
        Remove what regions share at zero lag, before: the nearest set of orthogonal time courses
        [1]_. Leakage of source reconstruction makes correlations of amplitude that are not of
        the brain. Needs more samples than regions, and independent regions.
    smooth : float, default=0.1
        Length of the moving average in seconds; 0 is none.
    sfreq_out : float, default=40.0
        Samples per second of the result, between samples of X if need be; at most `sfreq`.
    log : bool, default=False
        Logarithm of the amplitude, which is nearer to normal.

    Attributes
    ----------
    step_ : float
        Samples of X for each of the result.
    sfreq_out_ : float
        Samples per second of the result, Hz.
    n_features_in_ : int

    References
    ----------
    .. [1] Colclough, Brookes, Smith, Woolrich (2015), A symmetric multivariate leakage correction
       for MEG connectomes, NeuroImage 117.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.dynamics import AmplitudeEnvelope
    >>> X = np.random.default_rng(0).normal(size=(2, 5, 1000))  # 2 recordings, 4 seconds
    >>> AmplitudeEnvelope(sfreq=250, band=(8, 12), sfreq_out=50).fit_transform(X).shape
    (2, 5, 200)
    """

    sfreq: float = 250.0
    band: tuple[float, float] | None = None
    orthogonalize: bool = False
    smooth: float = 0.1
    sfreq_out: float = 40.0
    log: bool = False

    def fit(self, X: ArrayLike | Sequence[ArrayLike], y: None = None) -> Self:
        """Check the parameters; nothing is learned.

        Parameters
        ----------
        X : array-like of shape (n_subjects, n_regions, n_times), list of (n_regions, n_times), or \
(n_times, n_regions)
            Or mne.io.Raw, or a list of them.
        y : None
            Ignored.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For a band outside (0, sfreq / 2), or parameters out of range.
        """
        check_scalar_param(self, "sfreq", "float", 0, closed="neither")
        check_scalar_param(self, "sfreq_out", "float", 0, closed="neither")
        check_scalar_param(self, "smooth", "float", 0)
        check_bool_param(self, "orthogonalize")
        check_bool_param(self, "log")
        if self.band is not None:
            _check_band(self.band, self.sfreq)
        self._each(X, reset=True)
        self.sfreq_out_ = float(min(self.sfreq_out, self.sfreq))
        self.step_ = self.sfreq / self.sfreq_out_
        self._n_features_out = self.n_features_in_
        return self

    def transform(self, X: ArrayLike | Sequence[ArrayLike]) -> np.ndarray | list[np.ndarray]:
        """Compute amplitudes.

        Parameters
        ----------
        X : array-like of shape (n_subjects, n_regions, n_times), list of (n_regions, n_times), or \
(n_times, n_regions)
            Or mne.io.Raw, or a list of them.

        Returns
        -------
        envelopes : array or list
            Shaped as X, with fewer samples.
        """
        check_is_fitted(self)
        parts, together = self._each(X)
        return together([self._envelope(part) for part in parts])

    def _envelope(self, x):
        good = ~np.isnan(x).any(1)
        spans = [span for span in stretches(good) if span[1] - span[0] > 3]
        out = np.full_like(x, np.nan)
        for start, end in spans:
            out[start:end] = self._filtered(x[start:end])
        if self.orthogonalize:
            there = ~np.isnan(out).any(1)
            out[there] = orthogonalized(out[there])
        for start, end in spans:
            out[start:end] = self._amplitude(out[start:end])
        times = np.arange(int(np.ceil(len(x) / self.step_ - 1e-9))) * self.step_
        if np.allclose(times, np.rint(times)):
            return out[np.rint(times).astype(int)]
        low = np.minimum(times.astype(int), len(x) - 1)
        high = np.minimum(low + 1, len(x) - 1)
        share = (times - low)[:, None]
        return (1 - share) * out[low] + share * out[high]

    def _filtered(self, x):
        from scipy.signal import butter, sosfiltfilt

        if self.band is None:
            return x
        sos = butter(4, self.band, "bandpass", fs=self.sfreq, output="sos")
        return sosfiltfilt(sos, x, axis=0, padlen=min(len(x) - 1, 3 * int(self.sfreq)))

    def _amplitude(self, x):
        from scipy.ndimage import uniform_filter1d
        from scipy.signal import hilbert

        amplitude = np.abs(hilbert(x, axis=0))
        width = round(self.smooth * self.sfreq)
        if width > 1:
            amplitude = uniform_filter1d(amplitude, width, axis=0, mode="nearest")
        return np.log(np.maximum(amplitude, 1e-300)) if self.log else amplitude

    def to_original_times(self, values: ArrayLike, n_times: int) -> np.ndarray:
        """States or probabilities at the samples of X.

        Parameters
        ----------
        values : array-like of shape (n_times_out,) or (n_times_out, n_states)
            Values of one recording.
        n_times : int
            Samples of that recording.

        Returns
        -------
        values : ndarray of shape (n_times,) or (n_times, n_states)
            Those of the nearest sample of the envelope.
        """
        check_is_fitted(self)
        values = np.asarray(values)
        nearest = np.rint(np.arange(n_times) / self.step_).astype(int)
        return values[np.minimum(nearest, len(values) - 1)]


def _check_band(band, sfreq):
    if np.shape(band) != (2,) or not 0 < band[0] < band[1] < sfreq / 2:
        raise ValueError(
            f"The 'band' parameter must be two frequencies between 0 and sfreq / 2 = {sfreq / 2} "
            f"Hz. Got {band!r}."
        )


def orthogonalized(x, n_iter=50, tol=1e-8):
    """The nearest time courses that are orthogonal to each other, with free lengths.

    x (n_times, n_regions)
    Returns x (n_times, n_regions)
    Raises ValueError if the time courses are not independent.
    """
    if np.linalg.matrix_rank(x) < x.shape[1]:
        raise ValueError(
            f"orthogonalize needs independent time courses: {x.shape[1]} regions have rank "
            f"{np.linalg.matrix_rank(x)} in {len(x)} samples. Use fewer regions or more samples."
        )
    lengths = np.linalg.norm(x, axis=0)
    for _ in range(n_iter):
        u, _, vt = np.linalg.svd(x * lengths, full_matrices=False)
        directions = u @ vt
        new = (directions * x).sum(0)
        done = np.abs(new - lengths).max() <= tol * np.abs(new).max()
        lengths = new
        if done:
            break
    return directions * lengths
