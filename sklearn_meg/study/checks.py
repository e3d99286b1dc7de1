"""Everything that is checked before the first fit of a study."""

from __future__ import annotations

import inspect
from numbers import Integral, Real

import numpy as np
from sklearn.base import is_classifier
from sklearn.metrics import get_scorer, get_scorer_names
from sklearn.model_selection import check_cv

from .._checks.mne_objects import unwrap_mne
from .._checks.trials import pieces
from .._scores import check_start
from ..rows import check_subject_values, mask_of
from .blocks import block_folds
from .folds import SCORES
from .knowledge import Parts

TAKEN = {"model", "fold", "subject", "n_test", "fit_s", "predict_s"}


def check_models(models):
    """Check names and interface of the models.

    Raises TypeError, ValueError if `models` is no dict of names to scikit-learn estimators, or
        empty.
    """
    if not isinstance(models, dict) or not models:
        raise TypeError(f"models must be a dict of name -> estimator, not empty. Got {models!r}.")
    for name, model in models.items():
        if not isinstance(name, str) or not name.strip():
            raise ValueError(f"The names of models must be non-empty strings. Got {name!r}.")
        missing = [m for m in ("fit", "get_params") if not hasattr(model, m)]
        if missing or inspect.isclass(model):
            raise TypeError(
                f"models[{name!r}] must be an estimator (an instance with fit, predict and "
                f"get_params). Got {model!r}."
            )
    return dict(models)


def default_scoring(y, models):
    """Scores that fit the target: of responses, classes, numbers, or without a target."""
    if y is None:
        return {"score": "score"}
    if is_responses(y):
        return ("r", "r_time", "r2")
    if all(is_classifier(model) for model in models):
        return ("balanced_accuracy", "accuracy")
    return ("r2", "neg_mean_absolute_error")


def is_responses(y):
    """Whether y holds responses, (n_trials, n_channels, n_times)."""
    return y is not None and y.ndim == 3 and y.dtype.kind in "fiub"


def check_scoring(scoring, responses=True):
    """Return scores as a dict of name -> name in `SCORES` or scorer.

    Raises ValueError for an unknown name, no score, or something that cannot be called.
    """
    if isinstance(scoring, str):
        scoring = (scoring,)
    if not np.iterable(scoring):
        raise ValueError(f"scoring must be a name, names or a dict of scorers. Got {scoring!r}.")
    if not isinstance(scoring, dict):
        scoring = {name: name for name in scoring}
    if not scoring:
        raise ValueError("scoring must name at least one score.")
    return {name: _scorer(name, scorer, responses) for name, scorer in scoring.items()}


def _scorer(name, scorer, responses):
    if isinstance(name, str) and name not in TAKEN:
        if callable(scorer):
            return scorer
        if isinstance(scorer, str) and responses and scorer in SCORES:
            return scorer
        if scorer == "score" and not responses:
            return own_score
        if isinstance(scorer, str) and not responses and scorer in get_scorer_names():
            return get_scorer(scorer)
    known = ", ".join(map(repr, SCORES)) if responses else "the names of scikit-learn's scorers"
    raise ValueError(
        f"scoring must be among {known}, or a dict of name -> one of these or a "
        f"scorer(estimator, X, y). Got {scorer!r}{f' named {name!r}' if name != scorer else ''}."
    )


def own_score(estimator, X, y=None):
    """Score that the estimator gives itself."""
    return estimator.score(X) if y is None else estimator.score(X, y)


def check_data(X, y, times, info):
    """Unwrap Epochs and check that shapes, times and channels belong together."""
    if hasattr(y, "info") and hasattr(y, "times"):
        times = y.times if times is None else times
        info = _info_of(y) if info is None else info
    X = np.asanyarray(unwrap_mne(X))
    y = None if y is None else np.asanyarray(unwrap_mne(y))
    if X.ndim < 2 or not len(X) or (y is not None and len(X) != len(y)):
        shape = None if y is None else y.shape
        raise ValueError(
            f"X must have as many trials as y (shape {shape}) and at least two dimensions. "
            f"Got the shape {X.shape}."
        )
    check_real(X, "X")
    if y is None or y.ndim != 3:
        if times is not None or info is not None:
            raise ValueError(
                "y must have the shape (n_trials, n_channels, n_times) to go with times and info. "
                f"Got {None if y is None else y.shape}."
            )
        return X, y, None, None
    if y.dtype.kind in "iub":  # counts of an amplifier
        y = y.astype(np.float32 if y.dtype.itemsize <= 2 else np.float64)
    return X, y, *_check_responses(y, times, info)


def _check_responses(y, times, info):
    if 0 in y.shape:
        raise ValueError(
            f"y must have the shape (n_trials, n_channels, n_times), none of them 0. Got {y.shape}."
        )
    check_real(y, "y")
    times = np.arange(y.shape[2]) if times is None else np.asarray(times, dtype=float)
    if times.shape != (y.shape[2],):
        raise ValueError(f"times must have the shape ({y.shape[2]},) of y. Got {times.shape}.")
    steps = np.diff(times) if info is not None and times.dtype.kind == "f" else ()
    if len(steps) and abs(np.median(steps) * info["sfreq"] - 1) > 0.05:
        raise ValueError(
            f"times must be seconds at the sampling rate of info, {info['sfreq']:g} Hz, a step of "
            f"{1 / info['sfreq']:g}. Got steps of {np.median(steps):g}."
        )
    if info is not None and len(info["ch_names"]) != y.shape[1]:
        raise ValueError(
            f"info must describe the {y.shape[1]} channels of y. It has {len(info['ch_names'])}."
        )
    return times, info


def _info_of(epochs):
    from mne import pick_info

    from .._checks.mne_objects import good_data_channels

    return pick_info(epochs.info, good_data_channels(epochs.info), copy=True)


def check_real(X, name):
    """Raise ValueError for an array of anything but real numbers."""
    if X.dtype.kind not in "fiub":
        raise ValueError(f"{name} must hold real numbers. Got the type {X.dtype}.")


def check_finite(X, name):
    """Raise ValueError for NaN or infinity, reading a piece at a time."""
    check_real(X, name)
    for part in pieces(X):
        if not np.isfinite(X[part]).all():
            raise ValueError(f"{name} contains NaN or infinity.")


def check_finite_data(X, name):
    """`check_finite` of numbers; classes may be text, and there may be no y."""
    if X is not None and (name == "X" or X.dtype.kind == "f"):
        check_finite(X, name)


def check_permutations(value):
    """Return an int of 0, or at least 2: the spread of one draw is not known."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 0 or value == 1:
        raise ValueError(f"n_permutations must be an int of 0 or at least 2. Got {value!r}.")
    return int(value)


def picks_of(info, channels, n_channels):
    """Indices of the channels of one type, and their info.

    Raises ValueError if there are several types and none is named, or none of this type.
    """
    if info is None:
        if channels is not None:
            raise ValueError(f"channels={channels!r} needs info, which says what channels are.")
        return np.arange(n_channels), None
    from mne import pick_info

    kinds = np.array(info.get_channel_types())
    names = sorted(set(kinds.tolist()))
    if channels is None and len(names) > 1:
        raise ValueError(f"channels must name one of the types of channels: {names}. Got None.")
    picks = np.flatnonzero(kinds == (channels or names[0]))
    if not len(picks):
        raise ValueError(f"channels must be among {names}. Got {channels!r}.")
    return picks, pick_info(info, picks)


def check_error_score(error_score):
    """Raise ValueError unless it is "raise" or a number."""
    if error_score != "raise" and not isinstance(error_score, Real):
        raise ValueError(f"error_score must be 'raise' or a number. Got {error_score!r}.")


def find_start(start, models, times, n_times):
    """First sample that is scored: as given, else after the initial window and from 0 s on."""
    if start is not None:
        return check_start(start, n_times)
    windows = [n for n in find_param(models, "n_initial") if isinstance(n, Real)]
    start = max([0, *windows])
    if times is not None and times.dtype.kind == "f" and times[0] < 0 <= times[-1]:
        start = max(start, int(np.flatnonzero(times >= -1e-9)[0]))
    return check_start(start, n_times)


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

    Raises ValueError if the models disagree, or it is no row of X with 0 and 1.
    """
    rows = _named_rows(models, X, "mask_row")
    if len(rows) > 1:
        raise ValueError(f"The models name different mask rows of X: {sorted(rows)}.")
    for row in rows:
        mask_of(X, row)
    return rows.pop() if rows else None


def find_parts(models, X, features):
    """Rows of X by what they say, or None if X has no rows.

    models (dict of str -> estimator)
    features (dict of str -> list of int, or None): As the user names them. None takes every row
        that no model names otherwise, each as a feature; all of them as one, ``X``, where no model
        names rows.
    Raises ValueError if a feature is no row of X.
    """
    named = {key for m in models.values() for key in (k.split("__")[-1] for k in m.get_params())}
    if X.ndim != 3:
        return None
    subject = _named_rows(models, X, "subject_row")
    mask = _named_rows(models, X, "mask_row")
    every = np.arange(X.shape[1])
    initial = {int(r) for rows in find_param(models, "initial_rows") for r in np.ravel(every[rows])}
    free = sorted(set(every.tolist()) - subject - mask - initial)
    if features is None:
        features = {f"feature {row}": [row] for row in free}
        constant = [n for n, rows in features.items() if _is_constant(X, rows)]
        features = {n: rows for n, rows in features.items() if n not in constant}
        if features and not {"subject_row", "initial_rows"} & named:
            features = {"X": [row for rows in features.values() for row in rows]}
    checked = {}
    for name, rows in features.items():
        rows = np.atleast_1d(rows)
        if not len(rows) or not np.isin(rows, free).all():
            raise ValueError(
                f"features[{name!r}] must be rows of X that hold features, among {free}. "
                f"Got {rows.tolist()}."
            )
        if _is_constant(X, rows):
            raise ValueError(
                f"features[{name!r}] must differ between trials. Rows {rows.tolist()} of X are the "
                "same in all: they say when, not what."
            )
        checked[str(name)] = tuple(int(row) for row in rows)
    return Parts(checked, tuple(sorted(initial)), tuple(sorted(subject))) if checked else None


def _is_constant(X, rows):
    """Whether rows of X are the same in every trial: they say when, not what."""
    return bool((X[:, rows] == X[:1, rows]).all())


def find_subjects(models, X, subjects, groups):
    """Subject of each trial: as given, else from X, else the groups, else one subject.

    Raises ValueError if there is not one value a trial, or the models disagree on the row of X, or
        it does not exist or holds no subject index.
    """
    rows = _named_rows(models, X, "subject_row") if subjects is None else set()
    if len(rows) > 1:
        raise ValueError(f"The models name different subject rows of X: {sorted(rows)}.")
    if subjects is not None:
        subjects = one_a_trial(subjects, len(X), "subjects")
    elif rows:
        subjects = check_subject_values(np.asarray(X[:, rows.pop()]).reshape(len(X), -1)[:, 0])
    elif groups is not None:
        subjects = one_a_trial(groups, len(X), "groups")
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


def one_a_trial(values, n_trials, name):
    """Return values as an array of one a trial, none of them missing."""
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


def check_spans(spans, n_trials):
    """Return first and last second of each trial, or None."""
    if spans is None:
        return None
    spans = np.asarray(spans, dtype=float)
    if spans.shape != (n_trials, 2) or not np.isfinite(spans).all() or (np.diff(spans) < 0).any():
        raise ValueError(
            f"spans must hold the first and last second of each trial, shape ({n_trials}, 2). "
            f"Got the shape {spans.shape}."
        )
    return spans


def make_splits(cv, subjects, groups, order=None, y=None):
    """Draw all folds once, so that every model meets the same.

    cv (int, splitter or iterable of (train, test)): An int means contiguous blocks of trials: of
        each subject, or whole groups if given. Where such blocks lack a class, as when conditions
        stand one after the other, blocks are those of each class.
    subjects (n_trials,), groups (n_trials,) or None
    order (n_trials,) or None: When each trial happened, for contiguous blocks.
    y (ndarray or None): Classes, for splitters that stratify; None stratifies by subject.
    Returns splits (list of (train, test) index arrays)
    Raises ValueError if there are fewer trials, subjects' trials or groups than folds, a fold is
        empty, or a trial is in both halves of it.
    """
    n_trials = len(subjects)
    groups = None if groups is None else one_a_trial(groups, n_trials, "groups")
    if isinstance(cv, Integral):
        return _blocks(cv, subjects, groups, order, y)
    codes = np.unique(subjects, return_inverse=True)[1] if y is None else y
    try:
        splits = [
            (_indices(train, n_trials), _indices(test, n_trials))
            for train, test in check_cv(cv).split(np.zeros((n_trials, 1)), codes, groups)
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


def _blocks(cv, subjects, groups, order, y=None):
    """Folds of contiguous blocks: of each subject, its runs or classes, or of whole groups."""
    if isinstance(cv, bool) or cv < 2:
        raise ValueError(f"cv must be at least 2 folds. Got {cv!r}.")
    if groups is None:
        folds = block_folds(subjects, cv, order=order)
        strata = None if y is None else _numbered(_numbered(subjects) * len(y) + _numbered(y))
        # Not so for numbers, which are no classes: there are few of each.
        if y is not None and np.bincount(strata).min() >= cv and _lacks_a_class(folds, y):
            folds = block_folds(strata, cv, order=order)
    elif _inside_subjects(groups, subjects):
        folds = block_folds(subjects, cv, order=order, runs=groups)
    else:
        names, codes = np.unique(groups, return_inverse=True)
        if len(names) < cv:
            raise ValueError(f"cv={cv} folds need at least {cv} groups. Got {len(names)}.")
        return _group_folds(cv, groups)
    return [(np.flatnonzero(folds != k), np.flatnonzero(folds == k)) for k in range(cv)]


def _numbered(values):
    return np.unique(values, return_inverse=True)[1]


def _lacks_a_class(folds, y):
    """Whether the training or the test trials of a fold have not all the classes."""
    n_folds = [len(np.unique(folds[y == label])) for label in np.unique(y)]
    return min(n_folds) < len(np.unique(folds))


def _inside_subjects(groups, subjects):
    """Whether every subject has several groups of its own, as the runs of a recording."""
    pairs = {(s, g) for s, g in zip(subjects.tolist(), np.asarray(groups).tolist())}
    names = [s for s, _ in pairs]
    return all(names.count(s) > 1 for s in set(names))


def _group_folds(cv, groups):
    from sklearn.model_selection import GroupKFold

    return list(GroupKFold(cv).split(np.zeros((len(groups), 1)), groups=groups))
