"""From MEG to what state models take: amplitude envelopes, and embedding in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from .._checks.params import check_bool_param, check_scalar_param
from ._recordings import check_recordings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._typing import ArrayLike, Self


class _RecordingTransformer(TransformerMixin, BaseEstimator):
    """Base: recordings in, recordings of the same kind out."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def _each(self, X, reset=False, least=2):
        """Recordings (n_times, n_regions) of X, and a function that puts results together."""
        recordings = check_recordings(self, X, reset=reset, min_times=1)
        for i, n in enumerate(recordings.lengths):
            if n < least:
                raise ValueError(
                    f"Each recording must have at least {least} samples. Got {n} in X[{i}]."
                )

        return [np.asarray(part, dtype=float) for part in recordings.parts], recordings.together


class AmplitudeEnvelope(_RecordingTransformer):
    """Amplitude of oscillations: the modulus of the analytic signal, smoothed and down-sampled.

    Parameters
    ----------
    sfreq : float, default=250.0
        Samples a second of X, Hz.
    band : tuple of two float, default=None
        Pass band in Hz (Butterworth, fourth order, both ways); None takes X as it is filtered.
    orthogonalize : bool, default=False
        Remove what regions share at zero lag, before: the nearest set of orthogonal time courses
        [1]_. Leakage of source reconstruction makes correlations of amplitude that are not of
        the brain. Needs more samples than regions, and independent regions.
    smooth : float, default=0.1
        Length of the moving average in seconds; 0 is none.
    sfreq_out : float, default=40.0
        Samples a second of the result; a whole fraction of `sfreq` is taken, the one nearest.
    log : bool, default=False
        Logarithm of the amplitude, which is nearer to normal.

    Attributes
    ----------
    step_ : int
        Samples of X for each of the result.
    sfreq_out_ : float
        Hz.
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

    def __init__(
        self,
        sfreq: float = 250.0,
        *,
        band: tuple[float, float] | None = None,
        orthogonalize: bool = False,
        smooth: float = 0.1,
        sfreq_out: float = 40.0,
        log: bool = False,
    ) -> None:
        self.sfreq = sfreq
        self.band = band
        self.orthogonalize = orthogonalize
        self.smooth = smooth
        self.sfreq_out = sfreq_out
        self.log = log

    def fit(self, X: ArrayLike | Sequence[ArrayLike], y: None = None) -> Self:
        """Check the parameters; nothing is learned.

        Parameters
        ----------
        X : array-like of shape (n_subjects, n_regions, n_times), list of (n_regions, n_times), or \
(n_times, n_regions)
        y : None
            Ignored.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For a band that is not below half of `sfreq`.
        """
        for name in ("sfreq", "sfreq_out"):
            check_scalar_param(self, name, "float", 0, closed="neither")
        check_scalar_param(self, "smooth", "float", 0)
        check_bool_param(self, "orthogonalize")
        check_bool_param(self, "log")
        if self.band is not None:
            _check_band(self.band, self.sfreq)
        self._each(X, reset=True)
        self.step_ = max(1, round(self.sfreq / self.sfreq_out))
        self.sfreq_out_ = self.sfreq / self.step_
        self._n_features_out = self.n_features_in_
        return self

    def transform(self, X: ArrayLike | Sequence[ArrayLike]) -> np.ndarray | list[np.ndarray]:
        """Amplitudes.

        Parameters
        ----------
        X : array-like of shape (n_subjects, n_regions, n_times), list of (n_regions, n_times), or \
(n_times, n_regions)

        Returns
        -------
        envelopes : array or list
            As X, with fewer samples.
        """
        check_is_fitted(self)
        parts, together = self._each(X)
        return together([self._envelope(part) for part in parts])

    def _envelope(self, x):
        from scipy.ndimage import uniform_filter1d
        from scipy.signal import butter, hilbert, sosfiltfilt

        if self.band is not None:
            sos = butter(4, self.band, "bandpass", fs=self.sfreq, output="sos")
            x = sosfiltfilt(sos, x, axis=0, padlen=min(len(x) - 1, 3 * int(self.sfreq)))
        if self.orthogonalize:
            x = orthogonalized(x)
        amplitude = np.abs(hilbert(x, axis=0))
        width = round(self.smooth * self.sfreq)
        if width > 1:
            amplitude = uniform_filter1d(amplitude, width, axis=0, mode="nearest")
        if self.log:
            amplitude = np.log(np.maximum(amplitude, 1e-300))
        return amplitude[:: self.step_]


def _check_band(band, sfreq):
    if np.shape(band) != (2,) or not 0 < band[0] < band[1] < sfreq / 2:
        raise ValueError(
            f"The 'band' parameter must be two frequencies between 0 and sfreq / 2 = {sfreq / 2} "
            f"Hz. Got {band!r}."
        )


def orthogonalized(x, n_iter=50, tol=1e-8):
    """The nearest time courses that are orthogonal to each other, with free lengths.

    Parameters
    ----------
    x : ndarray of shape (n_times, n_regions)
    n_iter : int
    tol : float

    Returns
    -------
    x : ndarray of shape (n_times, n_regions)

    Raises
    ------
    ValueError
        If the time courses are not independent.
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


class TimeDelayEmbedding(_RecordingTransformer):
    """Regions at several lags, then their principal components: states that differ in spectrum.

    The covariance of a state of the embedded data holds the auto- and cross-correlations of the
    regions [1]_. Samples at both ends, where lags are missing, are left out.

    Parameters
    ----------
    n_lags : int, default=15
        Odd; from minus to plus half of it, in samples.
    n_components : int, default=None
        Principal components that are kept; None is all.
    whiten : bool, default=False
        Components of unit variance.

    Attributes
    ----------
    mean_ : ndarray of shape (n_regions * n_lags,)
    components_ : ndarray of shape (n_components, n_regions * n_lags)
        First the lags of region 0.
    explained_variance_ratio_ : ndarray of shape (n_components,)
    scale_ : ndarray of shape (n_components,)
        By which components are divided.
    n_features_in_ : int

    References
    ----------
    .. [1] Vidaurre, Hunt, Quinn, Hunt, Brookes, Nobre, Woolrich (2018), Spontaneous cortical
       activity transiently organizes into frequency specific phase-coupling networks, Nature
       Communications 9.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.dynamics import TimeDelayEmbedding
    >>> X = np.random.default_rng(0).normal(size=(2, 5, 300))
    >>> TimeDelayEmbedding(n_lags=7, n_components=10).fit_transform(X).shape
    (2, 10, 294)
    """

    def __init__(
        self, n_lags: int = 15, *, n_components: int | None = None, whiten: bool = False
    ) -> None:
        self.n_lags = n_lags
        self.n_components = n_components
        self.whiten = whiten

    def fit(self, X: ArrayLike | Sequence[ArrayLike], y: None = None) -> Self:
        """Find the principal components over all recordings.

        Parameters
        ----------
        X : array-like of shape (n_subjects, n_regions, n_times), list of (n_regions, n_times), or \
(n_times, n_regions)
        y : None
            Ignored.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For an even number of lags, more components than there are, or recordings that are too
            short.
        """
        check_scalar_param(self, "n_lags", "int", 1)
        check_scalar_param(self, "n_components", "int", 1, allow_none=True)
        check_bool_param(self, "whiten")
        if self.n_lags % 2 == 0:
            raise ValueError(f"The 'n_lags' parameter must be odd. Got {self.n_lags}.")
        parts, _ = self._each(X, reset=True, least=self.n_lags + 1)
        width = self.n_features_in_ * self.n_lags
        n = width if self.n_components is None else self.n_components
        if n > width:
            raise ValueError(f"n_components must be at most {width}, regions times lags. Got {n}.")
        count, total, products = 0, np.zeros(width), np.zeros((width, width))
        for part in parts:
            z = self._embed(part)
            count, total, products = count + len(z), total + z.sum(0), products + z.T @ z
        self.mean_ = total / count
        covariance = products / count - np.outer(self.mean_, self.mean_)
        values, vectors = np.linalg.eigh(covariance)
        values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
        signs = np.sign(vectors[np.abs(vectors).argmax(0), np.arange(width)])
        self.components_ = (vectors * signs).T[:n]
        self.explained_variance_ratio_ = values[:n] / max(values.sum(), 1e-300)
        self.scale_ = np.ones(n)
        if self.whiten:
            self.scale_ = np.sqrt(np.maximum(values[:n], 1e-12 * values[0]))
        self._n_features_out = n
        return self

    def _embed(self, x):
        windows = np.lib.stride_tricks.sliding_window_view(x, self.n_lags, axis=0)
        return windows.reshape(len(windows), -1)

    def transform(self, X: ArrayLike | Sequence[ArrayLike]) -> np.ndarray | list[np.ndarray]:
        """Embed and project.

        Parameters
        ----------
        X : array-like of shape (n_subjects, n_regions, n_times), list of (n_regions, n_times), or \
(n_times, n_regions)

        Returns
        -------
        components : array or list
            As X, with ``n_components`` rows and ``n_lags - 1`` samples less.
        """
        check_is_fitted(self)
        parts, together = self._each(X, least=self.n_lags)
        embedded = [self._embed(part) - self.mean_ for part in parts]
        return together([z @ self.components_.T / self.scale_ for z in embedded])

    def region_covariances(self, covariances: ArrayLike) -> np.ndarray:
        """Covariances of states back in regions and lags.

        Parameters
        ----------
        covariances : array-like of shape (n_states, n_components, n_components)
            ``covariances_`` of a model of the components.

        Returns
        -------
        covariances : ndarray of shape (n_states, n_regions * n_lags, n_regions * n_lags)
        """
        check_is_fitted(self)
        back = self.components_ * self.scale_[:, None]
        return back.T @ np.asarray(covariances) @ back
