"""Subjects as weights, and scalings that depend on them."""

import numpy as np

from .._validation import chunks, release_pages


def locate_subjects(values, known, unknown):
    """Weights over the known subjects: one-hot, or all equal for a subject that is new.

    Parameters
    ----------
    values : ndarray of int of shape (n_trials,)
    known : ndarray of int of shape (n_subjects,), sorted
    unknown : {"population", "error"}

    Returns
    -------
    weights : ndarray of shape (n_trials, n_subjects)
        Rows sum to one.

    Raises
    ------
    ValueError
        With ``unknown="error"``, naming the new subjects and the known ones.
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


def moments_by_subject(y, weights, trials, *, rows=None, last=None):
    """Mean and standard deviation per subject and channel over trials and samples.

    Parameters
    ----------
    y : ndarray or memmap of shape (n_trials, n_channels, n_times)
    weights : ndarray of shape (n_trials, n_subjects)
        One-hot.
    trials : ndarray of int
        Which trials to use.
    rows : ndarray of int or None
        Which channels to use.
    last : int or None
        Use samples before this one only.

    Returns
    -------
    mean, scale : ndarray of shape (n_subjects, n_channels)
        A channel that does not vary has scale 1; a subject without a trial the population's.
    """
    rows = np.arange(y.shape[1]) if rows is None else rows
    n_subjects, n_channels = weights.shape[1], len(rows)
    # Sums of squares around some value of the data, not around zero: no digits are lost.
    shift = np.asarray(y[trials[0], rows, :last], dtype=float).mean(axis=1)
    sums = np.zeros((2, n_subjects, n_channels))
    count = np.zeros((n_subjects, 1))
    for part in _parts(y, trials):
        values = np.asarray(y[part][:, rows, :last], dtype=float) - shift[:, np.newaxis]
        release_pages(y)
        sums[0] += weights[part].T @ values.sum(axis=2)
        sums[1] += weights[part].T @ np.einsum("nct,nct->nc", values, values)
        count += weights[part].sum(axis=0)[:, np.newaxis] * values.shape[2]
    seen = count[:, 0] > 0
    mean, square = sums / np.maximum(count, 1)
    variance = square - mean**2
    # Variance below rounding error of the mean square is a constant channel.
    constant = variance <= 1e-12 * square
    scale = np.where(constant, 1.0, np.sqrt(np.where(constant, 1.0, variance)))
    mean = mean + shift
    mean[~seen], scale[~seen] = mean[seen].mean(axis=0), scale[seen].mean(axis=0)
    return mean, scale


def _parts(y, trials):
    step = chunks(y)[0].stop
    return [trials[start : start + step] for start in range(0, len(trials), step)]


def standardise(y, weights, mean, scale):
    """(y - mean) / scale with the mean and scale of each trial's subject."""
    return (y - (weights @ mean)[..., np.newaxis]) / (weights @ scale)[..., np.newaxis]


def unstandardise(y, weights, mean, scale):
    """Inverse of `standardise`."""
    return y * (weights @ scale)[..., np.newaxis] + (weights @ mean)[..., np.newaxis]
