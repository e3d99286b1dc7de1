"""Trials of unequal length in one array, and the mask that says which samples are valid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._checks.trials import as_mask

if TYPE_CHECKING:
    from ._typing import ArrayLike


def pad_trials(trials: list[ArrayLike]) -> tuple[np.ndarray, np.ndarray]:
    """Put trials of unequal length into one array, zero after the end of each.

    Parameters
    ----------
    trials : list of array-like of shape (n_rows, n_times_i)
        One a trial; ``(n_times_i,)`` is one row.

    Returns
    -------
    padded : ndarray of shape (n_trials, n_rows, n_times)
        ``n_times`` is that of the longest trial.
    mask : ndarray of bool of shape (n_trials, n_times)
        True where the trial has a sample.

    Raises
    ------
    ValueError
        If there is no trial, one has no sample, or they differ in their number of rows.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg import pad_trials
    >>> padded, mask = pad_trials([np.ones((2, 3)), np.ones((2, 5))])
    >>> padded[:, 0]
    array([[1., 1., 1., 0., 0.],
           [1., 1., 1., 1., 1.]])
    >>> mask.sum(axis=1)
    array([3, 5])
    """
    trials = [np.atleast_2d(np.asarray(trial)) for trial in trials]
    shapes = sorted({trial.shape for trial in trials})
    if not trials or {len(shape) for shape in shapes} != {2} or len({s[0] for s in shapes}) > 1:
        raise ValueError(
            "A list of trials must hold arrays of shape (n_rows, n_times_i) with the same "
            f"n_rows. Got {len(trials)} trials, of the shapes "
            f"{', '.join(map(str, shapes[:5]))}{', ...' if len(shapes) > 5 else ''}."
        )
    if any(0 in shape for shape in shapes):
        raise ValueError(f"No trial may be empty. Got one of shape {shapes[0]}.")
    lengths = np.array([trial.shape[1] for trial in trials])
    mask = np.arange(lengths.max()) < lengths[:, np.newaxis]
    dtype = np.result_type(*{trial.dtype for trial in trials})
    padded = np.zeros((len(trials), len(trials[0]), lengths.max()), dtype=dtype)
    for row, trial, length in zip(padded, trials, lengths):
        row[:, :length] = trial
    return padded, mask


def is_ragged(trials):
    """Whether this is a list of arrays whose last dimensions differ.

    So is an array of arrays, as which ``scipy.io`` reads a cell array of MATLAB.
    """
    cells = isinstance(trials, np.ndarray) and trials.dtype == object and trials.ndim == 1
    if not (cells or isinstance(trials, list | tuple)) or not len(trials):
        return False
    return len({_n_times(trial) for trial in trials}) > 1


def _n_times(trial):
    """Length of the last axis; 0 for anything but an array (or the like) or nested list."""
    if hasattr(trial, "shape"):
        return trial.shape[-1] if len(trial.shape) else 0
    while isinstance(trial, list | tuple) and trial and isinstance(trial[0], list | tuple):
        trial = trial[0]
    return len(trial) if isinstance(trial, list | tuple) else 0


def join_masks(mask, padding, n_trials, n_times):
    """The mask a user gave and that of the padding, either of which may be None.

    Returns mask (n_trials, n_times) bool, or None if both are
    Raises ValueError for another shape, or values that are neither 0 nor 1.
    """
    if mask is None:
        return padding
    values = pad_trials(mask)[0][:, 0] if is_ragged(mask) else np.asarray(mask)
    if values.shape != (n_trials, n_times):
        raise ValueError(
            f"mask must have the shape (n_trials, n_times) of the features, "
            f"({n_trials}, {n_times}). Got {values.shape}."
        )
    values = as_mask(values, "mask")
    return values if padding is None else values & padding


def check_something_counts(mask, n_initial):
    """Complain about a trial without a counting sample after its initial window."""
    empty = np.flatnonzero(~mask[:, n_initial:].any(axis=1))
    if len(empty):
        raise ValueError(
            "The mask must leave each trial at least one sample that counts"
            + (f" after its initial window of {n_initial} samples" if n_initial else "")
            + f". Got none in trial {empty[0]}"
            + (f" and {len(empty) - 1} more." if len(empty) > 1 else ".")
        )
