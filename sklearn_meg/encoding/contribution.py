"""What features say that no other feature says: variance partitioning."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import check_cv
from sklearn.utils import Bunch

from .._checks.trials import check_targets
from .._repr import ShortBunch
from ._inspection import as_trials, find_rows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .._typing import ArrayLike, BaseEstimator


def unique_contribution(
    estimator: BaseEstimator,
    X: ArrayLike,
    y: ArrayLike,
    features: dict[str, list[int]],
    *,
    cv: int | Iterable[tuple[np.ndarray, np.ndarray]] | None = None,
    groups: ArrayLike | None = None,
) -> Bunch:
    """Measure what each group of features adds to all others, on held-out trials.

    In each fold the encoder is fitted with all features, and once for each group without it (its
    rows are zero). The unique contribution is the difference of the two R2, so that features that
    say the same have none; the partial R2 is its share of the variance that the others leave
    unexplained. It holds for linear and deep encoders alike. With ``feature_groups`` of a
    :class:`TemporalReceptiveField`, every group has a penalty of its own (banded ridge).

    Parameters
    ----------
    estimator : encoder
        Not fitted; a clone is fitted ``n_folds * (n_groups + 1)`` times.
    X : array-like of shape (n_trials, n_rows, n_times)
        Never modified.
    y : array-like of shape (n_trials, n_channels, n_times)
    features : dict of str to list of int
        Names of groups, and their stimulus rows of X.
    cv : int, cross-validation generator or iterable, default=None
        Folds; None or an int: consecutive ones, 5 by default.
    groups : array-like of shape (n_trials,), default=None
        Passed to the splitter.

    Returns
    -------
    result : Bunch
        names : list of str
            Names of the groups.
        full : ndarray of shape (n_folds, n_channels)
            R2 with all features, from the end of the initial window on, against the mean course
            of the training trials: unbiased also with few test trials.
        unique, partial : ndarray of shape (n_groups, n_folds, n_channels)
            Difference to the R2 without the group, and the same over one less that R2.

    Raises
    ------
    ValueError
        If `features` is empty or names a row that is no stimulus row of X.

    See Also
    --------
    permutation_importance_over_time : What a fitted encoder uses, without fitting again.

    References
    ----------
    de Heer, Huth, Griffiths, Gallant, Theunissen (2017), The hierarchical cortical organization
    of human speech processing, Journal of Neuroscience 37.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg import TemporalReceptiveField, unique_contribution
    >>> X = np.random.default_rng(0).normal(size=(50, 2, 40))
    >>> y = X[:, :1] + np.random.default_rng(1).normal(size=(50, 1, 40))
    >>> groups = {"first": [0], "second": [1]}
    >>> result = unique_contribution(TemporalReceptiveField(tmax=2), X, y, groups)
    >>> result.unique.mean(axis=(1, 2)).round(1) + 0.0
    array([0.5, 0. ])
    """
    X = as_trials(X)
    y = check_targets(y, X)[0]
    rows = find_rows(estimator, X)
    _check_features(features, rows.features)
    full, unique, partial = [], [], []
    for train, test in check_cv(cv).split(X, None, groups):
        with_all = _r2_of_channels(estimator, X, y, rows, train, test)
        without = []
        for group in features.values():
            reduced = X.copy()
            reduced[:, list(group)] = 0
            without.append(_r2_of_channels(estimator, reduced, y, rows, train, test))
        full.append(with_all)
        unique.append(with_all - np.array(without))
        partial.append(unique[-1] / np.maximum(1 - np.array(without), 1e-12))
    return ShortBunch(
        names=list(features),
        full=np.array(full),
        unique=np.stack(unique, axis=1),
        partial=np.stack(partial, axis=1),
    )


def _r2_of_channels(estimator, X, y, rows, train, test):
    """R2 of each channel, with the errors of the mean course of the training trials below."""
    predicted = clone(estimator).fit(X[train], y[train]).predict(X[test]).reshape(y[test].shape)
    counted = rows.counted(X)
    there = np.ones((len(X), 1, y.shape[2])) if counted is None else counted[:, np.newaxis] * 1.0
    there[:, :, : rows.n_initial] = 0
    weight = there[train]
    course = (weight * y[train]).sum(axis=0) / np.maximum(weight.sum(axis=0), 1)
    errors = [
        (there[test] * (y[test] - guess) ** 2).sum(axis=(0, 2)) for guess in (predicted, course)
    ]
    return 1 - errors[0] / np.maximum(errors[1], 1e-300)


def _check_features(features, stimulus):
    if not isinstance(features, dict) or not features:
        raise ValueError(f"features must be a dict of names and rows of X. Got {features!r}.")
    for name, group in features.items():
        good = np.ndim(group) == 1 and len(group) and all(isinstance(i, Integral) for i in group)
        if not good or not np.isin(group, stimulus).all():
            raise ValueError(
                f"features[{name!r}] must be a list of stimulus rows of X, which are "
                f"{np.asarray(stimulus).tolist()}. Got {group!r}."
            )
