"""One model in one fold, and everything that is checked before the first fit."""

import inspect
import time
from numbers import Integral

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold, check_cv

from .._checks.trials import chunks, release_pages
from .._scores import nanmean
from ..metrics import r2, r_across_trials, r_map, r_over_time
from ..rows import check_subject_values, mask_of

SCORES = {"r": r_across_trials, "r_time": r_over_time, "r2": r2}


def run_fold(model, X, y, split, subjects, scoring, start, mask_row=None):
    """Fit a clone of `model` on the training trials and score it on the test trials.

    Parameters
    ----------
    model : estimator
    X, y : ndarray or memmap, trials on axis 0
    split : tuple of (train, test) indices
    subjects : ndarray of shape (n_trials,)
    scoring : dict of name -> name in `SCORES` or scorer
    start : int
        First sample that is scored.
    mask_row : int or None
        Row of X that is 1 where a sample is scored.

    Returns
    -------
    arrays : dict of ndarray
        ``subjects``, ``n_test``, ``scores`` (n_subjects, n_metrics), ``curves``
        (n_subjects, n_times), ``map`` (n_channels, n_times), and ``pooled`` and
        ``pooled_curve`` over all test trials, whatever their subject.
    meta : dict
        ``fit_s`` and ``predict_s``.
    """
    train, test = split
    began = time.perf_counter()
    fitted = clone(model).fit(take(X, train), take(y, train))
    between = time.perf_counter()
    X_test, y_test = take(X, test), np.asarray(take(y, test))
    y_pred = _check_prediction(fitted, np.asarray(fitted.predict(X_test)), y_test)
    meta = {"fit_s": between - began, "predict_s": time.perf_counter() - between}

    counted = None if mask_row is None else mask_of(X_test, mask_row)

    def scores(trials):
        return [
            _score(scorer, fitted, X_test, y_test, y_pred, trials, start, counted)
            for scorer in scoring.values()
        ]

    def map_of(trials):
        where = None if counted is None else counted[trials]
        return r_map(y_test[trials], y_pred[trials], mask=where)

    names, counts = np.unique(subjects[test], return_counts=True)
    masks = [subjects[test] == name for name in names]
    maps = [map_of(mask) for mask in masks]
    everyone = np.ones(len(test), dtype=bool)
    pooled = map_of(everyone)
    scored = any(np.isfinite(r).any() for r in maps)
    arrays = {
        "subjects": names,
        "n_test": counts,
        "scores": np.array([scores(mask) for mask in masks], dtype=float),
        "pooled": np.array(scores(everyone), dtype=float),
        "curves": np.array([nanmean(r, axis=0) for r in maps]),
        "pooled_curve": nanmean(pooled, axis=0),
        # One test trial a subject has no correlation within subjects, only over them.
        "map": nanmean(np.array(maps), axis=0) if scored else pooled,
    }
    return arrays, meta


def take(X, rows):
    """Trials of an array; a view (which stays memory-mapped) where they are contiguous."""
    if len(rows) and (np.diff(rows) == 1).all():
        return X[rows[0] : rows[-1] + 1]
    return X[rows]


def _score(scorer, fitted, X, y_true, y_pred, trials, start, counted):
    if isinstance(scorer, str):
        where = None if counted is None else counted[trials]
        return SCORES[scorer](y_true[trials], y_pred[trials], start=start, mask=where)
    return scorer(fitted, X[trials], y_true[trials])


def _check_prediction(model, y_pred, y_true):
    if y_pred.shape != y_true.shape:
        raise ValueError(
            f"{type(model).__name__}.predict must return the shape of y, {y_true.shape}. "
            f"Got {y_pred.shape}."
        )
    if not np.isfinite(y_pred).all():
        raise ValueError(f"{type(model).__name__} predicts NaN or infinity.")
    return y_pred


def check_models(models):
    """Check names and interface of the models.

    Raises
    ------
    TypeError, ValueError
        If `models` is no dict of names to scikit-learn estimators, or empty.
    """
    if not isinstance(models, dict) or not models:
        raise TypeError(f"models must be a dict of name -> estimator, not empty. Got {models!r}.")
    for name, model in models.items():
        if not isinstance(name, str) or not name.strip():
            raise ValueError(f"The names of models must be non-empty strings. Got {name!r}.")
        missing = [m for m in ("fit", "predict", "get_params") if not hasattr(model, m)]
        if missing or inspect.isclass(model):
            raise TypeError(
                f"models[{name!r}] must be an estimator (an instance with fit, predict and "
                f"get_params). Got {model!r}."
            )
    return dict(models)


def check_scoring(scoring):
    """Return scores as a dict of name -> name in `SCORES` or scorer.

    Raises
    ------
    ValueError
        For an unknown name, no score, or something that cannot be called.
    """
    if isinstance(scoring, str):
        scoring = (scoring,)
    if not np.iterable(scoring):
        raise ValueError(f"scoring must be a name, names or a dict of scorers. Got {scoring!r}.")
    if not isinstance(scoring, dict):
        scoring = {name: name for name in scoring}
    taken = {"model", "fold", "subject", "n_test", "fit_s", "predict_s"}
    for name, scorer in scoring.items():
        known = scorer in SCORES if isinstance(scorer, str) else callable(scorer)
        if not known or not isinstance(name, str) or name in taken:
            raise ValueError(
                f"scoring must be among {', '.join(map(repr, SCORES))}, or a dict of name -> one "
                f"of these or a scorer(estimator, X, y). Got {scorer!r} named {name!r}."
            )
    if not scoring:
        raise ValueError("scoring must name at least one score.")
    return scoring


def check_real(X, name):
    """Raise ValueError for an array of anything but real numbers."""
    if X.dtype.kind not in "fiub":
        raise ValueError(f"{name} must hold real numbers. Got the type {X.dtype}.")


def check_finite(X, name):
    """Raise ValueError for NaN or infinity, reading a piece at a time."""
    check_real(X, name)
    for part in chunks(X):
        if not np.isfinite(X[part]).all():
            raise ValueError(f"{name} contains NaN or infinity.")
        release_pages(X)


def find_param(models, name):
    """Values of a constructor parameter in all models (also inside Pipelines), without None."""
    return [
        value
        for model in models.values()
        for key, value in model.get_params(deep=True).items()
        if key.split("__")[-1] == name and value is not None
    ]


def find_mask_row(models, X):
    """The row of X that the models name as mask, or None.

    Raises
    ------
    ValueError
        If the models disagree, or it is no row of X with 0 and 1.
    """
    rows = _named_rows(models, X, "mask_row")
    if len(rows) > 1:
        raise ValueError(f"The models name different mask rows of X: {sorted(rows)}.")
    for row in rows:
        mask_of(X, row)
    return rows.pop() if rows else None


def find_subjects(models, X, subjects, groups):
    """Subject of each trial: as given, else from X, else the groups, else one subject.

    Raises
    ------
    ValueError
        If there is not one value a trial, or the models disagree on the row of X, or it does
        not exist or holds no subject index.
    """
    rows = _named_rows(models, X, "subject_row") if subjects is None else set()
    if len(rows) > 1:
        raise ValueError(f"The models name different subject rows of X: {sorted(rows)}.")
    if subjects is not None:
        subjects = _one_a_trial(subjects, len(X), "subjects")
    elif rows:
        subjects = check_subject_values(np.asarray(X[:, rows.pop()]).reshape(len(X), -1)[:, 0])
    elif groups is not None:
        subjects = _one_a_trial(groups, len(X), "groups")
    else:
        subjects = np.zeros(len(X), dtype=int)
    if subjects.dtype.kind == "f" and (subjects == np.round(subjects)).all():
        subjects = subjects.astype(int)
    return subjects.astype(str) if subjects.dtype.kind not in "iufbU" else subjects


def _named_rows(models, X, parameter):
    """Rows of X that the models name by a parameter, counted from the start."""
    rows = find_param(models, parameter)
    for row in rows:
        good = isinstance(row, Integral) and not isinstance(row, bool)
        if not good or not -X.shape[1] <= row < X.shape[1]:
            raise ValueError(
                f"The {parameter!r} of a model must be one of the {X.shape[1]} rows of X. "
                f"Got {row!r}."
            )
    return {int(row) % X.shape[1] for row in rows}


def _one_a_trial(values, n_trials, name):
    values = np.asarray(values)
    if values.shape != (n_trials,):
        raise ValueError(
            f"{name} must hold one value a trial, shape ({n_trials},). Got {values.shape}."
        )
    missing = values != values  # NaN, None, NaT
    if values.dtype == object:
        missing = missing | np.array([value is None for value in values])
    if np.any(missing):
        raise ValueError(
            f"{name} must hold one value a trial. Got NaN or None in {np.sum(missing)} trials."
        )
    return values


def make_splits(cv, subjects, groups):
    """Draw all folds once, so that every model meets the same.

    Parameters
    ----------
    cv : int, splitter or iterable of (train, test)
        An int means contiguous blocks of trials: of each subject, or whole groups if given.
    subjects : ndarray of shape (n_trials,)
    groups : array-like of shape (n_trials,) or None

    Returns
    -------
    splits : list of (train, test) index arrays

    Raises
    ------
    ValueError
        If there are fewer trials, subjects' trials or groups than folds, a fold is empty, or
        a trial is in both halves of it.
    """
    n_trials = len(subjects)
    groups = None if groups is None else _one_a_trial(groups, n_trials, "groups")
    codes = np.unique(subjects, return_inverse=True)[1]
    splitter = _int_cv(cv, subjects, groups) if isinstance(cv, Integral) else check_cv(cv)
    try:
        splits = [
            (_indices(train, n_trials), _indices(test, n_trials))
            for train, test in splitter.split(np.zeros((n_trials, 1)), codes, groups)
        ]
    except (ValueError, IndexError) as error:
        raise ValueError(f"cv={cv!r} cannot split these {n_trials} trials: {error}") from error
    for fold, (train, test) in enumerate(splits):
        if not len(train) or not len(test) or np.intersect1d(train, test).size:
            raise ValueError(
                f"Fold {fold} of cv={cv!r} must have training and test trials, and none in both. "
                f"Got {len(train)} and {len(test)}, {np.intersect1d(train, test).size} in both."
            )
    if not splits:
        raise ValueError(f"cv={cv!r} has no fold.")
    return splits


def _indices(rows, n_trials):
    return np.arange(n_trials)[rows]  # booleans and negative indices, too


def _int_cv(cv, subjects, groups):
    if isinstance(cv, bool) or cv < 2:
        raise ValueError(f"cv must be at least 2 folds. Got {cv!r}.")
    names, counts = np.unique(subjects, return_counts=True)
    if groups is not None:
        n, what = len(np.unique(groups)), "groups"
        splitter = GroupKFold(cv)
    elif len(names) > 1:
        n, what = counts.min(), f"trials of every subject (subject {names[counts.argmin()]})"
        splitter = StratifiedKFold(cv)
    else:
        n, what, splitter = len(subjects), "trials", KFold(cv)
    if n < cv:
        raise ValueError(f"cv={cv} folds need at least {cv} {what}. Got {n}.")
    return splitter
