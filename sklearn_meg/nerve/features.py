"""Features of nerve and muscle signals in sliding windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from .._checks.params import check_bool_param, check_scalar_param
from .._checks.trials import check_trials
from .._training.threads import one_blas_thread
from ..rows import split_session
from ._window_features import FEATURES, log_covariances, named_features, sliding

if TYPE_CHECKING:
    from typing import Literal

    from .._typing import ArrayLike, BaseEpochs, Self

__all__ = ["FEATURE_NAMES", "NerveFeatures"]

FEATURE_NAMES = tuple(FEATURES)
PART_BYTES = 2**25  # of windows that are worked on at once


@dataclass(kw_only=True, eq=False, repr=False)
class NerveFeatures(TransformerMixin, BaseEstimator):
    """Raw recordings to features in sliding windows.

    The features of the paper a channel, and logarithms of the channels' covariances. The same
    windows give the same numbers, to the last bit, in a batch and in a stream.

    Parameters
    ----------
    sfreq : float, default=1.0
        Sampling frequency, Hz.
    window : float, default=0.1
        Length of a window in seconds.
    hop : float, default=0.02
        Time from one window to the next in seconds.
    features : "all", list of str or None, default="all"
        Names out of ``FEATURE_NAMES``; None is none of them.
    covariance : bool, default=True
        Whether to add log covariances of the channels and of their steps from one sample to the
        next (which show fast spikes under slow noise): n_channels * (n_channels + 1) features.
    session_row : int or None, default=None
        Row of X with the session; it becomes the last row of the features.

    Attributes
    ----------
    thresholds_ : ndarray of shape (2, n_channels)
        Thresholds in units of X: a step above the first counts as more than noise (.1 of the
        channel's standard deviation in ``fit``), a value above the second as activity (.5).
    window_samples_, hop_samples_ : int
    n_features_in_, n_features_out_ : int
        Rows of X, and of what comes out.

    References
    ----------
    Luu et al. (2022), Artificial intelligence enables real-time and intuitive control of
    prostheses via nerve interface, arXiv 2203.08648. Barachant et al. (2012), Multiclass
    brain-computer interface classification by Riemannian geometry, IEEE TBME 59.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.nerve import NerveFeatures
    >>> X = np.random.default_rng(0).normal(size=(3, 4, 1000))  # 3 trials, 4 channels, 1 s
    >>> NerveFeatures(sfreq=1000.0).fit_transform(X).shape  # 4 * 14 + 2 * 10 features, 46 windows
    (3, 76, 46)
    """

    sfreq: float = 1.0
    window: float = 0.1
    hop: float = 0.02
    features: Literal["all"] | list[str] | None = "all"
    covariance: bool = True
    session_row: int | None = None

    def fit(self, X: ArrayLike | BaseEpochs, y: object = None) -> Self:
        """Learn the thresholds.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_channels, n_times), or MNE Epochs
        y : ignored

        Returns
        -------
        self : object

        Raises
        ------
        ValueError, TypeError
            For NaN or infinity, trials shorter than a window or a hop, or a parameter out of range.
        """
        self._check_params()
        X = check_trials(self, X, reset=True)
        del self.n_times_in_  # later trials may be of another length
        signal, _ = split_session(X, self.session_row)
        self._check_length(signal)
        self._learn(signal)
        return self

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Compute features.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_channels, n_times)
            Trials of any length that holds a window.

        Returns
        -------
        features : ndarray of shape (n_trials, n_features, n_windows)
            Channel by channel, then the covariances, then the session where there is one.

        Raises
        ------
        ValueError
            For other channels than in ``fit``, NaN or infinity, or trials shorter than a window.
        """
        check_is_fitted(self)
        self._check_not_one_trial(X, self.n_features_in_)
        X = check_trials(self, X, reset=False)
        signal, session = split_session(X, self.session_row)
        self._check_length(signal)
        features = self._features(signal)
        if session is None:
            return features
        rows = np.broadcast_to(session[:, np.newaxis, np.newaxis], (len(X), 1, features.shape[2]))
        return np.concatenate([features, rows], axis=1)

    def window_ends(self, n_times: int) -> np.ndarray:
        """Times at which windows end, in seconds from the start of a trial of `n_times` samples.

        Parameters
        ----------
        n_times : int

        Returns
        -------
        times : ndarray of shape (n_windows,)
        """
        return (self._last_samples(n_times) + 1) / self.sfreq

    def at_windows(self, y: np.ndarray) -> np.ndarray:
        """Take a signal at the last sample of each window.

        Parameters
        ----------
        y : ndarray of shape (..., n_times)

        Returns
        -------
        y : ndarray of shape (..., n_windows)
        """
        return np.asarray(y)[..., self._last_samples(np.shape(y)[-1])]

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        """Names such as ``ch3_rms``.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        names : ndarray of str
        """
        check_is_fitted(self)
        n = self.thresholds_.shape[1]
        names = [f"ch{c}_{name}" for c in range(n) for name in self._names()]
        if self.covariance:
            pairs = [(i, j) for i in range(n) for j in range(i, n)]
            names += [f"{kind}_{i}_{j}" for kind in ("logcov", "logcov_step") for i, j in pairs]
        return np.array(names + ["session"] * (self.session_row is not None), dtype=object)

    def _check_params(self):
        check_scalar_param(self, "sfreq", "float", 0, closed="neither")
        check_windows(self)

    def _names(self):
        return names_of(self.features)

    def _last_samples(self, n_times):
        size, hop = self._sizes()
        return np.arange(size - 1, n_times, hop)

    def _sizes(self):
        return (
            max(1, round(self.window * self.sfreq)),
            max(1, round(self.hop * self.sfreq)),
        )

    def _check_length(self, signal):
        size = self._sizes()[0]
        if signal.shape[2] < size:
            raise ValueError(
                f"A window of {self.window:g} s at sfreq={self.sfreq:g} Hz has {size} samples. "
                f"Got trials of {signal.shape[2]}. X is (n_trials, n_channels, n_times), window is "
                "in seconds."
            )
        if self._sizes()[1] > signal.shape[2] > size:
            lasts = signal.shape[2] / self.sfreq
            raise ValueError(
                f"hop must be in seconds, less than a trial lasts ({lasts:g} s at "
                f"sfreq={self.sfreq:g} Hz). Got {self.hop:g}, which leaves one window a trial."
            )

    def _check_not_one_trial(self, X, n_rows):
        size = self._sizes()[0]
        if size > 1 and getattr(X, "ndim", 3) == 2:
            raise ValueError(
                f"X must have the shape (n_trials, {n_rows}, n_times), n_times at least {size}. "
                f"Got {X.shape}. (A single trial is X[np.newaxis].)"
            )

    def _learn(self, signal):
        sd = signal.std(axis=(0, 2), dtype=np.float64)
        sd = np.where(sd > 0, sd, 1.0)
        self.thresholds_ = np.stack([0.1 * sd, 0.5 * sd])
        self.window_samples_, self.hop_samples_ = self._sizes()
        n = len(sd)
        self.n_features_out_ = n * len(self._names()) + self.covariance * n * (n + 1)

    def _features(self, signal):
        """Features (n_trials, n_features, n_windows) of checked signals, some trials at a time."""
        size, hop = self.window_samples_, self.hop_samples_
        n_windows = (signal.shape[2] - size) // hop + 1
        step = max(1, PART_BYTES // (8 * signal.shape[1] * n_windows * size))
        out = np.empty((len(signal), self.n_features_out_, n_windows))
        for start in range(0, len(signal), step):
            windows = sliding(signal[start : start + step], size, hop).swapaxes(1, 2)
            flat = np.ascontiguousarray(windows, dtype=np.float64).reshape(-1, *windows.shape[2:])
            part = self._of_windows(flat).reshape(*windows.shape[:2], -1)
            out[start : start + step] = part.swapaxes(1, 2)
        return out

    def _of_windows(self, windows):
        """Features (n, n_features) of contiguous windows (n, n_channels, size)."""
        parts = []
        if self._names():
            parts.append(named_features(windows, self._names(), self.thresholds_))
        if self.covariance:
            with one_blas_thread():
                floor = self.thresholds_[0] ** 2
                parts.append(log_covariances(windows, floor))
                parts.append(log_covariances(np.diff(windows, axis=2), 0.1 * floor))
        return np.concatenate(parts, axis=1)


def names_of(features):
    """Names of the chosen features."""
    return FEATURE_NAMES if isinstance(features, str) else tuple(features or ())


def check_windows(estimator):
    """Check the parameters of an estimator that say what windows and features are.

    Raises TypeError, ValueError
    """
    check_scalar_param(estimator, "window", "float", 0, closed="neither")
    check_scalar_param(estimator, "hop", "float", 0, closed="neither")
    check_bool_param(estimator, "covariance")
    features, name = estimator.features, type(estimator).__name__
    known = f"'all', None or a list of {', '.join(FEATURE_NAMES)}"
    if not isinstance(features, list | tuple | str | None):
        raise TypeError(f"The 'features' parameter of {name} must be {known}. Got {features!r}.")
    if isinstance(features, str) and features != "all":
        raise ValueError(f"The 'features' parameter of {name} must be {known}. Got {features!r}.")
    names = names_of(features)
    unknown = [each for each in names if each not in FEATURE_NAMES]
    if unknown or len(set(names)) < len(names) or (features is not None and not names):
        raise ValueError(
            f"The 'features' parameter of {name} must be {known}, each once. Got {features!r}."
        )
    if not names and not estimator.covariance:
        raise ValueError("features=None and covariance=False leave no feature.")
