"""Subjects as weights, and scalings that depend on them."""

import numpy as np

from .._checks.trials import CHUNK_BYTES, release_pages, trials_per_chunk
from ._blocks import not_zero


def locate_subjects(values, known, unknown):
    """Weights over the known subjects: one-hot, or all equal for a subject that is new.

    values (n_trials,) int, known (n_subjects,) int, sorted, unknown ({"population", "error"})
    Returns weights (n_trials, n_subjects): Rows sum to one.
    Raises ValueError: With ``unknown="error"``, naming the new subjects and the known ones.
    """
    weights = (values[:, np.newaxis] == known).astype(float)
    new = weights.sum(axis=1) == 0
    if new.any() and unknown == "error":
        raise ValueError(
            f"Subject(s) {_some(np.unique(values[new]))} were not seen in fit, which had subjects "
            f"{_some(known)}. unknown_subject='population' predicts their population mean."
        )
    weights[new] = 1 / len(known)
    return weights


def _some(values, most=10):
    shown = ", ".join(str(value) for value in values[:most])
    return shown + (", ..." if len(values) > most else "")


def moments_by_subject(y, weights, trials, *, rows=None, last=None, counted=None):
    """Mean and standard deviation per subject and channel over trials and samples.

    y (ndarray or memmap of shape (n_trials, n_channels, n_times))
    weights (n_trials, n_subjects): One-hot, times the weight of the trial.
    trials (ndarray of int): Trials to use.
    rows (ndarray of int or None): Channels to use.
    last (int or None): Use samples before this one only.
    counted (n_trials, n_times) bool or None: Samples that count. If none of these does, all of
        them do.
    Returns mean, scale (n_subjects, n_channels): A channel that does not vary has scale 1; a
        subject without a trial the population's.
    """
    rows = np.arange(y.shape[1]) if rows is None else rows
    n_subjects, n_channels = weights.shape[1], len(rows)
    # Sums of squares around some value of the data, not around zero: no digits are lost.
    if counted is None or not counted[trials, :last].any():
        counted = np.broadcast_to(True, (len(y), y.shape[2]))
    first = trials[counted[trials, :last].any(axis=1)][0]
    shift = np.asarray(y[first, rows, :last], dtype=float)[:, counted[first, :last]].mean(axis=1)
    sums = np.zeros((2, n_subjects, n_channels))
    count = np.zeros((n_subjects, 1))
    for part in _parts(y, trials):
        there = counted[part, :last]
        values = np.asarray(y[part][:, rows, :last], dtype=float) - shift[:, np.newaxis]
        values = values if there.all() else np.where(there[:, np.newaxis], values, 0.0)
        release_pages(y)
        sums[0] += weights[part].T @ values.sum(axis=2)
        sums[1] += weights[part].T @ np.einsum("nct,nct->nc", values, values)
        count += (weights[part].T @ there.sum(axis=1))[:, np.newaxis]
    seen = count[:, 0] > 0
    mean, square = sums / not_zero(count)
    variance = square - mean**2
    # Variance below rounding error of the mean square is a constant channel.
    constant = variance <= 1e-12 * square
    scale = np.where(constant, 1.0, np.sqrt(np.where(constant, 1.0, variance)))
    mean = mean + shift
    mean[~seen], scale[~seen] = mean[seen].mean(axis=0), scale[seen].mean(axis=0)
    return mean, scale


def _parts(y, trials):
    step = trials_per_chunk(y, CHUNK_BYTES // 2)  # copies in float64 are larger
    return [trials[start : start + step] for start in range(0, len(trials), step)]


def standardize(y, weights, mean, scale):
    """(y - mean) / scale with the mean and scale of each trial's subject."""
    return (y - (weights @ mean)[..., np.newaxis]) / (weights @ scale)[..., np.newaxis]


def unstandardize(y, weights, mean, scale):
    """Inverse of `standardize`."""
    return y * (weights @ scale)[..., np.newaxis] + (weights @ mean)[..., np.newaxis]
