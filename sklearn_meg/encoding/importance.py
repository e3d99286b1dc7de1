"""Permutation importance over time: what a fitted encoder loses without a feature."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from .._checks.params import check_random_state
from .._checks.trials import check_targets
from .._repr import short_repr
from .._scores import check_start, nanmean
from ..metrics import r_map
from ._inspection import as_trials, find_rows, find_subjects, predict_pieces

if TYPE_CHECKING:
    from .._typing import ArrayLike, BaseEpochs, BaseEstimator, RandomSeed


@dataclass(frozen=True, eq=False)
class PermutationImportance:
    """What :func:`permutation_importance_over_time` found.

    Attributes
    ----------
    names : list of str
        Names of the features.
    subjects : ndarray of shape (n_subjects,)
        Sorted.
    baseline : ndarray of shape (n_subjects, n_channels, n_times)
        R across the trials of each subject with X as it is. NaN where y does not vary.
    importances : ndarray of shape (n_features, n_repeats, n_subjects, n_channels, n_times)
        Drop of R: `baseline` minus the R with permuted rows. Single precision, for its size.
    """

    names: list
    subjects: np.ndarray
    baseline: np.ndarray
    importances: np.ndarray

    __repr__ = short_repr

    @property
    def importances_mean(self):
        """Mean over repeats, (n_features, n_subjects, n_channels, n_times)."""
        return self.importances.mean(axis=1, dtype=np.float64)

    @property
    def importances_std(self):
        """Standard deviation over repeats, (n_features, n_subjects, n_channels, n_times)."""
        return self.importances.std(axis=1, dtype=np.float64)

    def relative(self, min_r=0.05):
        """Relative loss: the drop of R as a share of R.

        Parameters
        ----------
        min_r : float, default=0.05
            The result is NaN where the baseline is not above: a share of nothing is noise.

        Returns
        -------
        relative : ndarray of shape (n_features, n_subjects, n_channels, n_times)
            0 for no loss, 1 where nothing is left.
        """
        above = self.baseline > min_r
        return np.where(above, self.importances_mean / np.where(above, self.baseline, 1.0), np.nan)

    def summary(self, start=0):
        """Mean over channels and times, one row per feature and subject.

        Parameters
        ----------
        start : int, default=0
            First sample that counts: the end of the initial window, or the word's onset.

        Returns
        -------
        table : DataFrame
            Columns ``feature, subject, importance, std, baseline``; ``std`` is that of the mean
            importance over repeats.
        """
        start = check_start(start, self.baseline.shape[-1])
        drop = _mean_of_maps(self.importances[..., start:])
        baseline = _mean_of_maps(self.baseline[..., start:])
        rows = [
            {
                "feature": name,
                "subject": subject,
                "importance": drop[f, :, s].mean(),
                "std": drop[f, :, s].std(),
                "baseline": baseline[s],
            }
            for f, name in enumerate(self.names)
            for s, subject in enumerate(self.subjects)
        ]
        return pd.DataFrame(rows)


def permutation_importance_over_time(
    estimator: BaseEstimator,
    X: ArrayLike,
    y: ArrayLike | BaseEpochs,
    *,
    features: dict[str, int | list[int] | slice] | list[str] | None = None,
    n_repeats: int = 5,
    within_subject: bool = False,
    subjects: ArrayLike | None = None,
    random_state: RandomSeed = None,
    n_jobs: int | None = None,
) -> PermutationImportance:
    """Drop of the score of a fitted encoder, over time, when a feature is permuted over trials.

    Rows of X are permuted over trials: each trial gets the whole time course of another trial.
    So a feature keeps its distribution and its course within a trial, which a permutation of
    samples would destroy, and only its relation to this trial's response is lost. (Where other
    words of a trial are at other times, the permuted row no longer fits the rows that are left
    in place; name rows that belong together as one feature to move them together.) The loss is
    measured as R across the trials of each subject, for each channel and time.

    Parameters
    ----------
    estimator : fitted estimator
        Any with ``predict(X)``. The rows of the subject and the initial MEG are found from its
        parameters ``subject_row`` and ``initial_rows``, also at the end of a Pipeline or inside
        a TransformedTargetRegressor or a search.
    X : array-like of shape (n_trials, n_rows, n_times)
        Trials that were not trained on, of one or all subjects. Never modified.
    y : array-like of shape (n_trials, n_channels, n_times), or Epochs
    features : dict of str -> int, list of int or slice; list; or None, default=None
        Row or rows of X that make up each feature. For the names "subject" and "initial" the
        value None means the rows found from the estimator, and a list of names and row numbers
        is short for a dict: ``["subject", "initial", 0]``. None: every stimulus row on its own.
    n_repeats : int, default=5
        Permutations of each feature.
    within_subject : bool, default=False
        Permute among the trials of each subject only. By default trials of all subjects are
        exchanged.
    subjects : array-like of shape (n_trials,), default=None
        Subject of each trial, for the score. None takes the subject row; without one, all
        trials count as one subject.
    random_state : int, RandomState or None, default=None
        Decides the permutations, whatever `n_jobs`. The global random state is not touched.
    n_jobs : int or None, default=None
        Permutations computed at the same time, by joblib.

    Returns
    -------
    result : PermutationImportance
        ``importances``, ``importances_mean``, ``importances_std``, ``baseline``, ``names``,
        ``subjects``; methods ``relative`` and ``summary``.

    Raises
    ------
    ValueError
        If `features` names no row of X, or "subject" or "initial" where the estimator has none;
        if the subject is to be permuted within a subject, or there is one subject only; if X and
        y do not go together; or if a Pipeline changes the rows of X and they are not named.

    See Also
    --------
    sklearn.inspection.permutation_importance : One score, columns of a 2-D X.

    Notes
    -----
    R of a constant prediction is 0 (see :mod:`sklearn_meg.metrics`): a model that knows nothing
    but this feature loses all of its R. Permuting the subject row asks how much worse a trial is
    predicted as if it were another subject's; a permutation within one subject's trials could
    not tell. With a mask row, each sample is scored over the trials in which it counts; the mask
    itself stays where it is. X is read in pieces, and only one piece is held as a copy.

    References
    ----------
    Chehab et al. (2021), Deep Recurrent Encoder, arXiv 2103.02339.

    Examples
    --------
    >>> from sklearn_meg import TemporalReceptiveField, permutation_importance_over_time
    >>> from sklearn_meg.datasets import make_words
    >>> data = make_words("L", n_subjects=2, n_trials=40)
    >>> trf = TemporalReceptiveField(tmax=30, alphas=1.0, **data.rows).fit(data.X, data.y)
    >>> rows = {"length": 1, "frequency": 2, "subject": None}
    >>> result = permutation_importance_over_time(
    ...     trf, data.X, data.y, features=rows, n_repeats=2, random_state=0
    ... )
    >>> result.importances.shape  # features, repeats, subjects, channels, times
    (3, 2, 2, 12, 101)
    >>> bool((result.summary(start=20)["importance"] > 0.05).all())
    True
    """
    if not isinstance(n_repeats, Integral) or isinstance(n_repeats, bool) or n_repeats < 1:
        raise ValueError(f"n_repeats must be an int of at least 1. Got {n_repeats!r}.")
    X = as_trials(X)
    y, _ = check_targets(y, X)
    explicit = subjects is not None and isinstance(features, dict) and None not in features.values()
    rows = find_rows(estimator, X, optional=explicit)
    features = _resolve_features(features, rows, X.shape[1])
    subjects = find_subjects(X, rows, subjects)
    _check_exchange(features, rows, subjects, within_subject)
    rng = np.random.RandomState() if random_state is None else check_random_state(random_state)
    seeds = rng.randint(2**31 - 1, size=(len(features), n_repeats))
    counted = rows.counted(X)
    jobs = [(None, None)] + [(r, seed) for r, s in zip(features.values(), seeds) for seed in s]
    maps = Parallel(n_jobs=n_jobs, return_as="generator")(  # one map at a time: they are large
        delayed(_score_permuted)(estimator, X, y, subjects, counted, permuted, seed, within_subject)
        for permuted, seed in jobs
    )
    baseline = next(maps)
    importances = np.empty((len(features), n_repeats, *baseline.shape), dtype=np.float32)
    for i, r in enumerate(maps):
        importances[divmod(i, n_repeats)] = baseline - r
    return PermutationImportance(list(features), np.unique(subjects), baseline, importances)


def _score_permuted(estimator, X, y, subjects, counted, permuted, seed, within_subject):
    """R of each subject with some rows taken from other trials: (n_subjects, channels, times)."""
    source = None if permuted is None else _exchange(subjects, seed, within_subject)

    def permute(block, part):
        if permuted is not None:
            block[:, permuted] = X[np.ix_(source[part], permuted)]

    scores = []
    for subject in np.unique(subjects):
        trials = np.flatnonzero(subjects == subject)
        pieces = [y_pred for _, y_pred in predict_pieces(estimator, X, trials, permute)]
        y_true, y_pred = np.asarray(y[trials]), np.concatenate(pieces)
        if y_pred.size != y_true.size:
            raise ValueError(
                f"y must have the shape that {type(estimator).__name__} predicts. Got "
                f"{y_true.shape} and {y_pred.shape} for subject {subject}."
            )
        mask = None if counted is None else counted[trials]
        scores.append(_r_of_counted(y_true, y_pred.reshape(y_true.shape), mask))
    return np.array(scores)


def _r_of_counted(y_true, y_pred, counted):
    """R across the trials in which each sample counts: (n_channels, n_times)."""
    if counted is None:
        return r_map(y_true, y_pred)
    r = np.full(y_true.shape[1:], np.nan)
    patterns, which = np.unique(counted, axis=1, return_inverse=True)
    for i, trials in enumerate(patterns.T):  # samples that count in the same trials
        if trials.any():
            part = np.ix_(trials, np.arange(y_true.shape[1]), which.ravel() == i)
            r[:, part[2].ravel()] = r_map(y_true[part], y_pred[part])
    return r


def _exchange(subjects, seed, within_subject):
    """For each trial the one it gets its rows from."""
    rng = np.random.RandomState(seed)
    if not within_subject:
        return rng.permutation(len(subjects))
    source = np.arange(len(subjects))
    for subject in np.unique(subjects):
        trials = np.flatnonzero(subjects == subject)
        source[trials] = rng.permutation(trials)
    return source


def _mean_of_maps(r):
    """Mean over the last two axes, channels and times, of what is not NaN."""
    return nanmean(r.reshape(*r.shape[:-2], -1).astype(np.float64), axis=-1)


def _resolve_features(features, rows, n_rows):
    """Rows of each feature: dict of str -> ndarray of int."""
    if features is None:
        features = [int(row) for row in rows.features]
    if isinstance(features, str | int):
        features = [features]
    if not isinstance(features, dict):
        named = {f: None for f in features if isinstance(f, str)}
        features = {str(f) if f in named else f"row {f}": named.get(f, f) for f in features}
    if not features:
        raise ValueError("features must name at least one feature. Got none.")
    return {
        str(name): _rows_of_feature(name, value, rows, n_rows) for name, value in features.items()
    }


def _rows_of_feature(name, value, rows, n_rows):
    if value is None:
        found = {"subject": [] if rows.subject is None else [rows.subject], "initial": rows.initial}
        if name not in found:
            raise ValueError(
                f"features[{name!r}] must give row(s) of X; only those of 'subject' and 'initial' "
                "are found from the estimator."
            )
        if not len(found[name]):
            raise ValueError(
                f"features names {name!r}, but the estimator has no "
                f"{'subject_row' if name == 'subject' else 'initial_rows'}."
            )
        return np.asarray(found[name])
    try:
        chosen = np.atleast_1d(np.arange(n_rows)[value])
    except (IndexError, TypeError) as error:
        raise ValueError(
            f"features[{name!r}] must select among the {n_rows} rows of X. Got {value!r}."
        ) from error
    if chosen.ndim != 1 or not len(chosen):
        raise ValueError(f"features[{name!r}] must select at least one row. Got {value!r}.")
    return chosen


def _check_exchange(features, rows, subjects, within_subject):
    """Refuse permutations of the subject that could only come out as zero."""
    for name, chosen in features.items():
        if rows.subject is None or rows.subject not in chosen:
            continue
        if within_subject:
            raise ValueError(
                f"features[{name!r}] is the subject row of X, which is the same in all trials of "
                "a subject: it cannot be permuted with within_subject=True."
            )
        if len(np.unique(subjects)) < 2:
            raise ValueError(
                f"features[{name!r}] is the subject row of X, but all trials are of one subject, "
                f"{subjects[0]}: there is no other to exchange them with."
            )
    if len(subjects) < 2:
        raise ValueError(f"At least 2 trials are needed to permute. Got {len(subjects)}.")
