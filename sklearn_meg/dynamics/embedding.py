"""Embedding in time: states that differ in spectrum differ in the covariance of lagged samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._checks.params import check_bool_param, check_scalar_param
from .._params import documented
from .preprocessing import RecordingTransformer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._typing import ArrayLike, Self


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class TimeDelayEmbedding(RecordingTransformer):
    """Regions at several lags, then their principal components: states that differ in spectrum.

    The covariance of a state of the embedded data holds the auto- and cross-correlations of the
    regions [1]_. Samples at both ends, where lags are missing, are left out; within a recording,
    samples whose lags reach a gap (NaN, or what mne annotations call BAD) are NaN, so that models
    with ``missing="mask"`` stay in time.

    Parameters
    ----------
    n_lags : int, default=15
        Odd number of consecutive lags, from minus to plus half of it, in samples.
    lags : sequence of int, default=None
        Increasing lags in samples instead, for example ``range(-35, 36, 5)``.
    n_components : int, default=None
        Number of principal components that are kept; None is all.
    whiten : bool, default=False
        Whether components get unit variance.

    Attributes
    ----------
    lags_ : ndarray of int of shape (n_lags,)
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
       activity transiently organises into frequency specific phase-coupling networks, Nature
       Communications 9.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.dynamics import TimeDelayEmbedding
    >>> X = np.random.default_rng(0).normal(size=(2, 5, 300))
    >>> TimeDelayEmbedding(n_lags=7, n_components=10).fit_transform(X).shape
    (2, 10, 294)
    """

    n_lags: int = 15
    lags: Sequence[int] | None = None
    n_components: int | None = None
    whiten: bool = False

    def fit(self, X: ArrayLike | Sequence[ArrayLike], y: None = None) -> Self:
        """Find the principal components over all recordings.

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
            For an even number of lags, lags that do not increase, more components than there are,
            or recordings that are too short.
        """
        check_scalar_param(self, "n_lags", "int", 1)
        check_scalar_param(self, "n_components", "int", 1, allow_none=True)
        check_bool_param(self, "whiten")
        lags = self._find_lags()
        parts, _ = self._each(X, reset=True, least=int(lags[-1] - lags[0]) + 2)
        width = self.n_features_in_ * len(lags)
        n = width if self.n_components is None else self.n_components
        if n > width:
            raise ValueError(f"n_components must be at most {width}, regions times lags. Got {n}.")
        self.lags_ = lags
        count, total, products = 0, np.zeros(width), np.zeros((width, width))
        for part in parts:
            z = self._embed(part)
            z = z[~np.isnan(z).any(1)]
            count, total, products = count + len(z), total + z.sum(0), products + z.T @ z
        if not count:
            raise ValueError("No sample has all lags: gaps are too close to each other.")
        self.mean_ = total / count
        self._find_components(products / count - np.outer(self.mean_, self.mean_), n)
        return self

    def _find_lags(self):
        if self.lags is None:
            if self.n_lags % 2 == 0:
                raise ValueError(f"The 'n_lags' parameter must be odd. Got {self.n_lags}.")
            return np.arange(self.n_lags) - self.n_lags // 2
        lags = np.asarray(list(self.lags))
        if lags.ndim != 1 or not len(lags) or lags.dtype.kind not in "iu":
            raise ValueError(f"The 'lags' parameter must be a sequence of int. Got {self.lags!r}.")
        if (np.diff(lags) <= 0).any():
            raise ValueError(f"The 'lags' parameter must increase. Got {self.lags!r}.")
        return lags

    def _find_components(self, covariance, n):
        values, vectors = np.linalg.eigh(covariance)
        values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
        signs = np.sign(vectors[np.abs(vectors).argmax(0), np.arange(len(values))])
        self.components_ = (vectors * signs).T[:n]
        self.explained_variance_ratio_ = values[:n] / max(values.sum(), 1e-300)
        self.scale_ = np.ones(n)
        if self.whiten:
            self.scale_ = np.sqrt(np.maximum(values[:n], 1e-12 * values[0]))
        self._n_features_out = n

    def _embed(self, x):
        lags = self.lags_ - self.lags_[0]
        windows = np.lib.stride_tricks.sliding_window_view(x, int(lags[-1]) + 1, axis=0)
        return windows[..., lags].reshape(len(windows), -1)

    def transform(self, X: ArrayLike | Sequence[ArrayLike]) -> np.ndarray | list[np.ndarray]:
        """Embed and project.

        Parameters
        ----------
        X : array-like of shape (n_subjects, n_regions, n_times), list of (n_regions, n_times), or \
(n_times, n_regions)
            Or mne.io.Raw, or a list of them.

        Returns
        -------
        components : array or list
            Shaped as X, with ``n_components`` rows, and fewer samples by the span of the lags; see
            `to_original_times`.
        """
        check_is_fitted(self)
        parts, together = self._each(X, least=int(self.lags_[-1] - self.lags_[0]) + 1)
        embedded = [self._embed(part) - self.mean_ for part in parts]
        return together([z @ self.components_.T / self.scale_ for z in embedded])

    def to_original_times(self, values: ArrayLike, n_times: int | None = None) -> np.ndarray:
        """States or probabilities at the samples of X.

        Parameters
        ----------
        values : array-like of shape (n_times_out,) or (n_times_out, n_states)
            Values of one recording.
        n_times : int, default=None
            Samples of that recording; checked if given.

        Returns
        -------
        values : ndarray of shape (n_times,) or (n_times, n_states)
            -1 (states) or NaN (probabilities) at both ends, where lags are missing.

        Raises
        ------
        ValueError
            If the recording has another number of samples.
        """
        check_is_fitted(self)
        values = np.asarray(values)
        n = len(values) + int(self.lags_[-1] - self.lags_[0])
        if n_times is not None and n != n_times:
            raise ValueError(f"The recording must have {n} samples. Got {n_times}.")
        empty = -1 if values.dtype.kind in "iu" else np.nan
        out = np.full((n, *values.shape[1:]), empty, dtype=values.dtype)
        start = -int(self.lags_[0])
        first, last = max(0, start), min(n, start + len(values))
        out[first:last] = values[first - start : last - start]
        return out

    def region_covariances(self, covariances: ArrayLike, lag: int | None = None) -> np.ndarray:
        """Covariances of states in the original regions and lags.

        Parameters
        ----------
        covariances : array-like of shape (n_states, n_components, n_components)
            ``covariances_`` of a model of the components.
        lag : int, default=None
            One of the lags: covariance of each region with each region so many samples later.
            None is all.

        Returns
        -------
        covariances : ndarray of shape (n_states, n_regions * n_lags, n_regions * n_lags), or \
(n_states, n_regions, n_regions)
        """
        check_is_fitted(self)
        back = self.components_ * self.scale_[:, None]
        whole = back.T @ np.asarray(covariances) @ back
        if lag is None:
            return whole
        if lag not in self.lags_ or 0 not in self.lags_:
            raise ValueError(f"lag must be one of {self.lags_.tolist()}, as must 0. Got {lag!r}.")
        n = len(self.lags_)
        here, later = (int(np.flatnonzero(self.lags_ == each)[0]) for each in (0, lag))
        return whole[:, here::n, later::n]

    def region_means(self, means: ArrayLike) -> np.ndarray:
        """Means of states in the original regions and lags.

        Parameters
        ----------
        means : array-like of shape (n_states, n_components)
            ``means_`` of a model of the components.

        Returns
        -------
        means : ndarray of shape (n_states, n_regions * n_lags)
        """
        check_is_fitted(self)
        return (np.asarray(means) * self.scale_) @ self.components_ + self.mean_
