"""Spectra, coherence and power of states, from the recordings before anything was done to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .._repr import short_repr
from ._recordings import as_arrays, is_list

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Literal

    from .._typing import ArrayLike

__all__ = ["StateSpectra", "state_spectra"]


@dataclass
class StateSpectra:
    """Spectra of states.

    Parameters
    ----------
    freqs : ndarray of shape (n_freqs,)
        Hz.
    cross : ndarray of complex of shape (n_states, n_regions, n_regions, n_freqs)
        Cross-spectral densities, one-sided, in units of X squared per Hz.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.dynamics import state_spectra
    >>> X = np.random.default_rng(0).normal(size=(1, 3, 2000))
    >>> spectra = state_spectra(X, np.full((1, 2000, 2), 0.5), sfreq=100)
    >>> spectra.psd.shape, spectra.coherence.shape, spectra.power((8, 13)).shape
    ((2, 3, 101), (2, 3, 3, 101), (2, 3))
    """

    freqs: np.ndarray
    cross: np.ndarray

    __repr__ = short_repr

    @property
    def psd(self):
        """Power spectral densities (n_states, n_regions, n_freqs)."""
        return np.einsum("kiif->kif", self.cross).real

    @property
    def coherence(self):
        """Magnitude-squared coherence (n_states, n_regions, n_regions, n_freqs)."""
        psd = np.maximum(self.psd, 1e-300)
        return np.abs(self.cross) ** 2 / (psd[:, :, None] * psd[:, None])

    def power(self, band: tuple[float, float]) -> np.ndarray:
        """Power of each state and region in a band, (n_states, n_regions): a map.

        Parameters
        ----------
        band : tuple of two float
            Hz.

        Returns
        -------
        power : ndarray of shape (n_states, n_regions)
        """
        return self.psd[..., self._inside(band)].sum(-1) * (self.freqs[1] - self.freqs[0])

    def mean_coherence(self, band: tuple[float, float]) -> np.ndarray:
        """Coherence of each state in a band, (n_states, n_regions, n_regions).

        Parameters
        ----------
        band : tuple of two float
            Hz.

        Returns
        -------
        coherence : ndarray of shape (n_states, n_regions, n_regions)
        """
        return self.coherence[..., self._inside(band)].mean(-1)

    def _inside(self, band):
        inside = (self.freqs >= band[0]) & (self.freqs <= band[1])
        if not inside.any():
            raise ValueError(f"No frequency from {band[0]} to {band[1]} Hz.")
        return inside


def state_spectra(
    X: ArrayLike | Sequence[ArrayLike],
    probabilities: ArrayLike | Sequence[ArrayLike],
    sfreq: float,
    *,
    method: Literal["multitaper", "regression"] = "multitaper",
    window: float = 2.0,
    bandwidth: float = 2.0,
    by_recording: bool = False,
) -> StateSpectra | list[StateSpectra]:
    """Spectra and coherence of states by multitapers [1]_.

    "multitaper": samples times the probability of the state, in windows without overlap; the sum of
    their cross-spectra over the sum of squared probabilities. "regression": cross-spectra of
    windows regressed on the mean probabilities in them [2]_, for states that are longer than
    windows.

    Parameters
    ----------
    X : array-like of shape (n_recordings, n_regions, n_times), or list of (n_regions, n_times)
        Before any filter, envelope or embedding.
    probabilities : array-like of shape (n_recordings, n_times, n_states), or list of \
(n_times, n_states)
        From ``predict_proba``, at the samples of X, see
        :meth:`TimeDelayEmbedding.to_original_times`; samples with NaN in X or here do not count.
    sfreq : float
        Samples per second, Hz.
    method : {"multitaper", "regression"}, default="multitaper"
    window : float, default=2.0
        Length of the windows, s.
    bandwidth : float, default=2.0
        Bandwidth of the tapers, Hz.
    by_recording : bool, default=False
        Whether each recording has its own.

    Returns
    -------
    spectra : StateSpectra, or list of StateSpectra

    Raises
    ------
    ValueError
        For shapes that do not fit, recordings shorter than a window, or too narrow a band.

    References
    ----------
    .. [1] Thomson (1982), Spectrum estimation and harmonic analysis, Proceedings of the IEEE 70;
       Vidaurre et al. (2016), Spectrally resolved fast transient brain states, NeuroImage 126.
    .. [2] Gohil et al. (2024), osl-dynamics, eLife 12.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.dynamics import state_spectra
    >>> rng = np.random.default_rng(0)
    >>> t = np.arange(4000) / 100
    >>> on = (t % 20 < 10).astype(float)
    >>> X = rng.normal(size=(1, 2, 4000)) + 2 * on * np.sin(2 * np.pi * 10 * t)
    >>> spectra = state_spectra(X, np.stack([on, 1 - on], axis=1)[None], sfreq=100)
    >>> bool((spectra.power((9, 11)).argmax(axis=0) == 0).all())
    True
    """
    if method not in ("multitaper", "regression"):
        raise ValueError(f"method must be 'multitaper' or 'regression'. Got {method!r}.")
    parts, weights = _pairs(X, probabilities)
    n = round(window * sfreq)
    tapers, freqs = make_tapers(n, sfreq, bandwidth)
    found = [_moments(x, w, n, tapers, sfreq, method) for x, w in zip(parts, weights)]
    if by_recording:
        return [StateSpectra(freqs, _solve(*one)) for one in found]
    return StateSpectra(freqs, _solve(*(sum(each) for each in zip(*found))))


def _pairs(X, probabilities):
    X = as_arrays(X)
    parts = [np.asarray(x, dtype=float) for x in (X if is_list(X) else np.asarray(X))]
    weights = [np.asarray(w, dtype=float) for w in probabilities]
    for i, (x, w) in enumerate(zip(parts, weights)):
        if x.ndim != 2 or w.ndim != 2 or x.shape[1] != len(w):
            raise ValueError(
                "X must be (n_regions, n_times) and probabilities (n_times, n_states), of the same "
                f"samples. Got {x.shape} and {w.shape} in recording {i}."
            )
    if len(parts) != len(weights):
        raise ValueError(f"Got {len(parts)} recordings and {len(weights)} with probabilities.")
    return parts, weights


def make_tapers(n_times, sfreq, bandwidth):
    """Discrete prolate spheroidal tapers (n_tapers, n_times), and frequencies.

    Each is scaled by the root of its share of the eigenvalues, so that squares sum to one.
    """
    from scipy.signal.windows import dpss

    half = bandwidth * n_times / (2 * sfreq)
    if n_times < 8 or half < 0.5:
        raise ValueError(
            f"Windows of {n_times} samples are too short for a bandwidth of {bandwidth} Hz at "
            f"{sfreq} Hz: bandwidth times window must be 1 or more."
        )
    tapers, ratios = dpss(n_times, half, max(1, int(2 * half)), sym=False, return_ratios=True)
    good = ratios > 0.9 if (ratios > 0.9).any() else ratios == ratios.max()
    share = ratios[good] / ratios[good].sum()
    return tapers[good] * np.sqrt(share)[:, None], np.fft.rfftfreq(n_times, 1 / sfreq)


def cross_spectra(x, tapers, sfreq):
    """One-sided cross-spectral densities (n_regions, n_regions, n_freqs) of one window."""
    n = x.shape[-1]
    F = np.fft.rfft(x[None] * tapers[:, None], axis=-1)
    C = np.einsum("mif,mjf->ijf", F, F.conj()) / sfreq
    C[..., 1 : (n + 1) // 2] *= 2  # negative frequencies; not zero, not Nyquist
    return C


def _moments(x, w, n, tapers, sfreq, method):
    """Sums over windows that `_solve` needs."""
    if x.shape[1] < n:
        raise ValueError(f"Recordings must have a window of {n} samples. Got {x.shape[1]}.")
    bad = np.isnan(x).any(0) | np.isnan(w).any(1)
    x, w = np.where(bad, 0.0, x), np.where(bad[:, None], 0.0, w)
    d, n_states = len(x), w.shape[1]
    right = np.zeros((n_states, d, d, n // 2 + 1), dtype=complex)
    left = np.zeros((n_states, n_states))
    for start in range(0, x.shape[1] - n + 1, n):
        piece, own = x[:, start : start + n], w[start : start + n]
        if method == "multitaper":
            right += np.stack([cross_spectra(piece * g, tapers, sfreq) for g in own.T])
            left += np.diag((own**2).mean(0))
        elif not bad[start : start + n].any():
            share = own.mean(0)
            right += share[:, None, None, None] * cross_spectra(piece, tapers, sfreq)
            left += np.outer(share, share)
    return left, right


def _solve(left, right):
    n_states = len(left)
    flat = np.linalg.pinv(left, hermitian=True) @ right.reshape(n_states, -1)
    return flat.reshape(right.shape)
