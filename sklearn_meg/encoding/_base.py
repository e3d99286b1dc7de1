"""What the linear encoders share: checks, reading trials in pieces, subjects, the score."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from .._checks.mne_objects import check_rate
from .._checks.params import check_option_param, check_scalar_param
from .._checks.trials import (
    check_targets,
    check_trials,
    flatten_targets,
    kept_trials,
)
from .._checks.whole import WholeFit
from .._params import documented, param
from .._routing import RoutedGroups
from .._training.threads import one_blas_thread
from ..rows import RowParams, Rows, resolve_rows
from ._blocks import WeightedRows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Literal

    from .._typing import ArrayLike, BaseEpochs, Self
from ..metrics import r2
from ._doubts import doubt_trials
from ._unusual import UnusualTrials

ALPHAS = (0.1, 1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8)
DEFAULT_LAGS = 40  # as in the paper of the deep recurrent encoder


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class SubjectParams(RowParams):
    """Rows of X, and what to do with a subject that was not in ``fit``.

    Parameters
    ----------
    %(RowParams)s
    %(SubjectParams)s
    """

    unknown_subject: Literal["population", "error"] = param(
        "population",
        '{"population", "error"}',
        "What ``predict`` does with a subject that was not in ``fit``: the model of the "
        "population, or an error.",
    )


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class LagParams(SubjectParams):
    """Lags and penalties of a linear encoder.

    Parameters
    ----------
    %(LagParams)s
    """

    tmin: float | Sequence[float] = param(
        0.0,
        "float or list of float",
        "First lag in seconds (samples with ``sfreq=1``). Positive lags: the response follows the "
        "stimulus. A list has one value for each stimulus row.",
    )
    tmax: float | Sequence[float] | None = param(
        None,
        "float, list of float or None",
        "Last lag. None: 40 lags, or as many as the trial has. With ``tmax=tmin`` the model has "
        "a single lag.",
    )
    sfreq: float = param(1.0, "float", "Sampling frequency in Hz.")


class LinearEncoder(WholeFit, RoutedGroups, RegressorMixin, UnusualTrials, BaseEstimator):
    """Base of the encoders with one linear model a subject.

    A subclass has ``_check_params(X, y, rows)``, ``_fit_subjects(X, y, rows,
    trials_of_subjects)`` and
    ``_predict_trials(X, rows, models)``.
    """

    #: Whether a single subject without `subject_row` is fitted as pooled subjects are, with what is
    #: common to all trials chosen on held-out ones: under a network, not by itself.
    _pools_one = False

    def _pools(self):
        return self.partial_pooling and (self.subject_row is not None or self._pools_one)

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike | BaseEpochs,
        groups: ArrayLike | None = None,
        *,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Fit one model a subject.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_rows, n_times) or (n_trials, n_rows)
            Stimulus features and the rows named in the constructor; see
            :func:`~sklearn_meg.pack_rows`.
        y : array-like of shape (n_trials, n_channels, n_times), or flat, or Epochs
            Responses.
        groups : array-like of shape (n_trials,), default=None
            Ignored; taken because the deep encoder does.
        sample_weight : array-like of shape (n_trials,), default=None
            Weight of each trial: one of weight 2 counts as two, one of weight 0 is left out.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For NaN or infinity, shapes that do not go together, a subject index that is not an
            integer, a mask that is not 0 or 1, lags longer than the trials, or weights that are
            negative or all 0.
        """
        X = check_trials(self, X, reset=True)
        check_rate(self, y)
        y, ndim = check_targets(y, X)
        weights, X, y = kept_trials(sample_weight, len(X), X, y)
        self._fit_trials(X, y, np.arange(len(X)), ndim, weights=weights, doubt=True)
        self._keep_usual(X)
        return self

    @one_blas_thread()
    def _fit_trials(self, X, y, trials, y_ndim=3, *, weights=None, doubt=False):
        """Fit on some trials of checked X and y, reading no others."""
        self.y_ndim_ = y_ndim
        self.n_features_in_, self.n_times_in_ = X.shape[1:]
        rows = resolve_rows(self, *X.shape[1:])
        self._rows = vars(rows)
        if hasattr(self, "unknown_subject"):
            check_option_param(self, "unknown_subject", ("population", "error"))
        subjects = rows.subject_values(X)[trials]
        rows.counted(X, check=True)
        self._check_params(X, y, rows)
        if doubt:
            doubt_trials(X, y, rows)
        if weights is not None:
            rows = WeightedRows(**vars(rows), weights=weights)
        self.subjects_ = np.unique(subjects)
        self.n_outputs_ = y.shape[1]
        self._fit_subjects(X, y, rows, [trials[subjects == s] for s in self.subjects_])
        return self

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Predict responses.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_rows, n_times) or (n_trials, n_rows)

        Returns
        -------
        y : ndarray of shape (n_trials, n_channels, n_times)
            With as many dimensions as the y of ``fit``.

        Raises
        ------
        ValueError
            If X has another shape than in ``fit``, or a subject that was not seen and
            ``unknown_subject="error"``.
        """
        check_is_fitted(self)
        X = check_trials(self, X, reset=False)
        return flatten_targets(self._predict_checked(X), self.y_ndim_)

    @one_blas_thread()
    def _predict_checked(self, X):
        """Responses (n_trials, n_channels, n_times) to checked trials."""
        rows = Rows(**self._rows)
        models = self._which_model(rows.subject_values(X))
        return self._predict_trials(X, rows, models)

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """R2 over trials, averaged over channels and samples.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_rows, n_times)
        y : array-like of shape (n_trials, n_channels, n_times), or flat
            Samples that the mask row leaves out do not count.
        sample_weight : array-like of shape (n_trials,), default=None
            Weight of each trial.

        Returns
        -------
        score : float
        """
        y_pred, X = self.predict(X), check_trials(self, X, reset=False)
        counted = Rows(**self._rows).counted(X)
        y = check_targets(y, X)[0]
        y_pred = y_pred.reshape(len(y), -1, X.shape[2])
        return r2(y, y_pred, mask=counted, sample_weight=sample_weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _which_model(self, subjects):
        """Index into ``subjects_``, -1 (the population) for a subject that was not seen."""
        at = np.searchsorted(self.subjects_, subjects)
        at[at == len(self.subjects_)] = 0
        at[self.subjects_[at] != subjects] = -1
        if (at < 0).any() and getattr(self, "unknown_subject", "population") == "error":
            raise ValueError(
                f"X has trials of subject(s) {_shorten(np.unique(subjects[at < 0]))} that "
                f"{type(self).__name__} was not fitted with. Seen: {_shorten(self.subjects_)}. "
                "(unknown_subject='population' predicts the mean over subjects.)"
            )
        return at


def _shorten(values, n_most=10):
    text = ", ".join(str(value) for value in values[:n_most])
    return text + (", ..." if len(values) > n_most else "")


def resolve_delays(estimator, n_times, n_features):
    """Lags in samples from ``tmin``, ``tmax`` (None: 40 lags at most) and ``sfreq``.

    Returns delays (ndarray of int): From the first lag of any feature to the last of any.
    and used (n_features * len(delays),) bool: Lags that each feature has.
    Raises TypeError, ValueError if they are no numbers, in the wrong order, fractions of a sample
        with ``sfreq=1`` (where seconds were meant), or reach beyond the trial.
    """
    sfreq = check_scalar_param(estimator, "sfreq", "float", 0, closed="neither")
    ends = [_resolve_lags(estimator, t, sfreq, n_times) for t in _each_lag(estimator, n_features)]
    first, last = np.array(ends).T
    delays = np.arange(first.min(), last.max() + 1)
    used = (delays >= first[:, np.newaxis]) & (delays <= last[:, np.newaxis])
    return delays, np.broadcast_to(used, (n_features, len(delays))).ravel()


def _each_lag(estimator, n_features):
    """Pairs of tmin and tmax; one for all features, or one for each."""
    pairs = {}
    for name in ("tmin", "tmax"):
        value = getattr(estimator, name)
        if not isinstance(value, list | tuple | np.ndarray):
            kind = {"allow_none": True} if name == "tmax" else {}
            pairs[name] = [check_scalar_param(estimator, name, "float", **kind)]
            continue
        good = all(isinstance(v, Real) and np.isfinite(v) for v in np.ravel(np.array(value, "O")))
        if np.shape(value) != (n_features,) or not good:
            raise ValueError(
                f"{name} of {type(estimator).__name__} must be a number, or a list with one for "
                f"each of the {n_features} stimulus rows of X. Got {value!r}."
            )
        pairs[name] = [float(v) for v in value]
    n = max(map(len, pairs.values()))
    return list(zip(*(values * (n // len(values)) for values in pairs.values())))


def _resolve_lags(estimator, ends, sfreq, n_times):
    """First and last lag in samples of one pair of tmin and tmax."""
    tmin, tmax = ends
    first = int(np.round(tmin * sfreq))
    last = min(first + DEFAULT_LAGS, n_times) - 1 if tmax is None else int(np.round(tmax * sfreq))
    name = type(estimator).__name__
    if sfreq == 1 and any(t is not None and t != np.round(t) for t in ends):
        raise ValueError(
            f"With sfreq=1 the tmin and tmax of {name} are whole numbers of samples. Got tmin="
            f"{tmin} and tmax={tmax}. If they are seconds, set sfreq to the sampling rate in Hz."
        )
    if tmax is not None and last < first:
        raise ValueError(f"tmin of {name} must not be above tmax. Got {tmin} and {tmax}.")
    if tmax is not None and tmax > tmin and last == first:
        raise ValueError(
            f"tmin={tmin} and tmax={tmax} of {name} are the same sample with sfreq={sfreq} Hz. Is "
            "it the sampling rate in Hz? (Equal tmin and tmax give a model of a single lag.)"
        )
    if first <= -n_times or last >= n_times or last < first:
        raise ValueError(
            f"The lags of {name} (tmin={tmin}, tmax={tmax}, sfreq={sfreq}: samples {first} to "
            f"{last}) must be shorter than the trials, which have {n_times} samples."
            + (" (With sfreq the lags are seconds, not ms.)" if last > 10 * n_times else "")
            + (" (Time on axis 0, as in continuous data? See to_trials.)" if n_times == 1 else "")
        )
    return first, last


def resolve_alphas(estimator):
    """Return the penalties to try, as a 1-D array; one if ``alphas`` is a float.

    Raises ValueError if they are not finite, negative, empty, or not one-dimensional.
    """
    try:
        alphas = np.asarray(estimator.alphas)
        text = alphas.dtype.kind not in "iufO"
        alphas = np.array([np.nan]) if text else alphas.astype(float)
    except (TypeError, ValueError):
        alphas = np.array([np.nan])
    one = alphas.ndim == 0
    alphas = np.atleast_1d(alphas)
    good = alphas.ndim == 1 and len(alphas) and np.isfinite(alphas).all() and (alphas >= 0).all()
    if not good or (not one and not (alphas > 0).all()):
        raise ValueError(
            f"The 'alphas' parameter of {type(estimator).__name__} must be a float >= 0 or a list "
            f"of floats > 0. Got {estimator.alphas!r} instead."
        )
    return alphas
