"""Trials of unequal length: brought to the same number of windows, so that parts can be compared.

A movement that is made more slowly has the same course: each trial is stretched linearly, window by
window. What lies between is not interpolated, for features of windows are not linear in time.
"""

import numpy as np

from .._padding import is_ragged


def trials_of_unequal_length(X, session_row):
    """Trials (n_rows, n_times_i) of a list, or of an array padded with NaN; else None.

    X (array-like): A list of arrays, or (n_trials, n_rows, n_times) whose trials end with NaN in
        all channels.
    session_row (int or None): Row that may have values where channels have NaN.
    """
    if is_ragged(X):
        return _checked([np.asarray(trial) for trial in X])
    plain = type(X) is np.ndarray and X.ndim == 3 and X.dtype.kind == "f" and X.shape[2]
    if not plain or not np.isnan(X[:, :, -1]).any():
        return None
    missing = np.isnan(X if session_row is None else np.delete(X, session_row, axis=1)).all(1)
    lengths = X.shape[2] - np.cumprod(missing[:, ::-1], axis=1).sum(1)
    if (lengths == X.shape[2]).all():
        return None
    return _checked([trial[:, :n] for trial, n in zip(X, lengths, strict=True)])


def _checked(trials):
    shapes = {trial.shape[0] if trial.ndim == 2 else trial.shape for trial in trials}
    if len(shapes) > 1 or trials[0].ndim != 2:
        raise ValueError(
            "Trials in X of unequal length must be of shape (n_rows, n_times), with the same rows. "
            f"Got rows or shapes {', '.join(map(str, sorted(shapes, key=str)))}."
        )
    if not min(trial.shape[1] for trial in trials):
        raise ValueError("No trial of X may be empty. Got one without samples.")
    return trials


def by_length(trials):
    """Pairs of indices and stacked trials (n, n_rows, n_times), for each length."""
    lengths = np.array([trial.shape[1] for trial in trials])
    for n in np.unique(lengths):
        index = np.flatnonzero(lengths == n)
        yield index, np.stack([trials[i] for i in index])


def stretched(F, n_windows):
    """Features (n_trials, n_features, n_windows), windows at the same shares of the trials."""
    place = np.floor((np.arange(n_windows) + 0.5) * F.shape[2] / n_windows).astype(int)
    return F[:, :, place]
