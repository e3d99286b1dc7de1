"""What the questions to a fitted encoder share: its rows of X, and prediction in pieces."""

import numpy as np

from .._checks.mne_objects import unwrap_mne
from .._checks.trials import CHUNK_BYTES, release_pages
from ..rows import Rows, resolve_rows


def find_rows(estimator, X, optional=False):
    """Find the rows of subject and initial MEG from the estimator that knows them.

    estimator (fitted estimator): Or a Pipeline that ends in it, or a TransformedTargetRegressor or
        search around it, or any of these inside another.
    X (n_trials, n_rows, n_times)
    optional: Whether the caller can do without them, because the user named all rows.
    Returns rows (Rows): To an estimator that knows no rows, all of them are stimulus.
    Raises ValueError if a Pipeline changes the number of rows before they reach the estimator, or
        the rows do not exist in X.
    """
    model, plain = estimator, Rows(np.arange(X.shape[1]), None, np.arange(0), 0)
    while model is not None and not hasattr(model, "subject_row"):
        model = _inner(model)
    if model is None:
        return plain
    seen = getattr(model, "n_features_in_", X.shape[1])
    if seen == X.shape[1] or model is estimator:
        return resolve_rows(model, *X.shape[1:])
    if optional:
        return plain
    raise ValueError(
        f"{type(model).__name__} inside {type(estimator).__name__} was fitted with {seen} rows, "
        f"but X has {X.shape[1]}, so its rows are not those of X. Give subjects, and features as "
        "a dict of names and rows of X."
    )


def _inner(model):
    """The model that a Pipeline, TransformedTargetRegressor or search hands over to, or None."""
    if getattr(model, "steps", None):
        return model.steps[-1][1]
    for name in ("best_estimator_", "regressor_"):
        if hasattr(model, name):
            return getattr(model, name)
    return None


def find_subjects(X, rows, subjects):
    """Subject of each trial: as given, else from the subject row, else one subject.

    Raises ValueError if there is not one value a trial.
    """
    if subjects is None:
        return rows.subject_values(X)
    subjects = np.asarray(subjects)
    if subjects.shape != (len(X),):
        raise ValueError(
            f"subjects must hold one value a trial, shape ({len(X)},). Got {subjects.shape}."
        )
    return subjects


def as_trials(X):
    """X as an array (n_trials, n_rows, n_times); a memory-mapped one stays so.

    Raises ValueError for another number of dimensions. Values are checked by the estimator.
    """
    X = unwrap_mne(X)
    X = X if isinstance(X, np.ndarray) else np.asarray(X)
    X = X[:, :, np.newaxis] if X.ndim == 2 else X
    if X.ndim != 3 or 0 in X.shape:
        raise ValueError(
            f"X must have the shape (n_trials, n_rows, n_times), none of them 0. Got {X.shape}."
        )
    return X


def one_row(row, n_rows, parameter):
    """Return the index of one row of X, from 0 on.

    Raises ValueError if it is no int, or there is no such row.
    """
    if not isinstance(row, int | np.integer) or isinstance(row, bool):
        raise ValueError(f"{parameter} must be an int, a row of X. Got {row!r}.")
    if not -n_rows <= row < n_rows:
        raise ValueError(f"{parameter} must be one of the {n_rows} rows of X. Got {row}.")
    return int(row) % n_rows


def predict_pieces(estimator, X, trials, change):
    """Predict changed copies of trials, a piece at a time.

    estimator (fitted estimator)
    X (ndarray or memmap of shape (n_trials, n_rows, n_times)): Never modified.
    trials (ndarray of int)
    change (callable): ``change(block, part)`` gets a copy of the trials `part` and changes it in
        place.
    Yields part (ndarray of int): Some of the trials.
    and y (len(part), ...)
    """
    step = max(1, int(CHUNK_BYTES // X[:1].nbytes))
    for start in range(0, len(trials), step):
        part = trials[start : start + step]
        block = X[part]
        block = block if block.dtype.kind == "f" else block.astype(np.float64)
        change(block, part)
        release_pages(X)
        yield part, np.asarray(estimator.predict(block))


def check_times(result, times):
    """Times as an array, if there is one for each sample of an importance result."""
    times = np.asarray(times, dtype=float)
    if times.shape != result.baseline.shape[-1:]:
        raise ValueError(
            f"times must have the {result.baseline.shape[-1]} samples of the result. "
            f"Got the shape {times.shape}."
        )
    return times
