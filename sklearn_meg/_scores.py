"""Checked pairs of trials, and the sums from which scores are computed."""

import warnings

import numpy as np
from sklearn.exceptions import UndefinedMetricWarning

from ._checks.mne_objects import unwrap_mne
from ._checks.trials import as_mask, check_weights

BLOCK_BYTES = 2**22


def check_start(start, n_times=None):
    """Return `start` as an int if it is a sample of a trial.

    Raises ValueError if it is no int, negative, or not below `n_times`.
    """
    good = isinstance(start, int | np.integer) and not isinstance(start, bool) and start >= 0
    if not good or (n_times is not None and start >= n_times):
        among = "an int from 0 on" if n_times is None else f"an int from 0 to {n_times - 1}"
        raise ValueError(f"start, the first sample that is scored, must be {among}. Got {start!r}.")
    return int(start)


def as_trials(y, name):
    y = np.asarray(unwrap_mne(y))
    y = y if y.dtype.kind == "f" else y.astype(float)
    if y.ndim < 3:  # (n_trials,) and (n_trials, n_outputs)
        y = y.reshape(*y.shape, *[1] * (3 - y.ndim))
    if y.ndim != 3 or 0 in y.shape:
        raise ValueError(
            f"{name} must have the shape (n_trials, n_channels, n_times), none of them 0. "
            f"Got {y.shape}."
        )
    return y


def pair(y_true, y_pred):
    y_true, y_pred = as_trials(y_true, "y_true"), as_trials(y_pred, "y_pred")
    if y_true.shape != y_pred.shape:
        raise ValueError(
            f"y_true and y_pred must have the same shape. Got {y_true.shape} and {y_pred.shape}."
        )
    return y_true, y_pred


def masked_pair(y_true, y_pred, mask):
    """Both as arrays, 0 where they do not count; and where they do, (n_trials, 1, n_times)."""
    y_true, y_pred = pair(y_true, y_pred)
    if mask is None:
        return *_check_finite(y_true, y_pred), None
    mask = as_mask(mask, "mask")
    if mask.shape != (len(y_true), y_true.shape[2]):
        raise ValueError(
            f"mask must have the shape ({len(y_true)}, {y_true.shape[2]}), trials and times of y. "
            f"Got {mask.shape}."
        )
    there = mask[:, np.newaxis]
    return *_check_finite(np.where(there, y_true, 0), np.where(there, y_pred, 0)), there


def _check_finite(y_true, y_pred):
    """Both as they are; NaN is an error, for a mean that left it out would reward it."""
    for name, y in {"y_true": y_true, "y_pred": y_pred}.items():
        bad = np.count_nonzero(~np.isfinite(y))
        if bad:
            raise ValueError(
                f"{name} contains NaN or infinity in {bad} of {y.size} values. (A mask leaves "
                "samples out.)"
            )
    return y_true, y_pred


def warn_one_trial(n_trials):
    """Say, as scikit-learn does, that a score across trials needs two."""
    if n_trials < 2:
        warnings.warn(
            f"A score across trials is not defined with fewer than two trials. Got {n_trials}: "
            "it is NaN.",
            UndefinedMetricWarning,
            stacklevel=3,
        )


def from_start(y_true, y_pred, start, mask):
    y_true, y_pred, there = masked_pair(y_true, y_pred, mask)
    start = check_start(start, y_true.shape[2])
    mask = None if mask is None else there[:, 0, start:]
    return y_true[:, :, start:], y_pred[:, :, start:], mask


def trial_weights(sample_weight, n_trials):
    """Weights as (n_trials, 1, 1), ones by default.

    Raises ValueError if they are negative, not finite, all 0, or not one a trial.
    """
    if sample_weight is None:
        return np.ones((n_trials, 1, 1))
    return check_weights(sample_weight, n_trials).reshape(-1, 1, 1)


def standardize(y, axis, there=None, sample_weight=None):
    """Center along `axis` and divide by the largest absolute value.

    Squares of the result neither underflow (1e-13 T) nor overflow. Returns also that largest
    value, and where `y` is constant up to the rounding of its own type. What is not `there` (and
    0 in `y`) counts for nothing and stays 0.
    """
    eps = 8 * np.finfo(y.dtype).eps
    y = y.astype(np.float64, copy=False)
    size = np.abs(y).max(axis=axis, keepdims=True)
    if sample_weight is not None:
        w = trial_weights(sample_weight, len(y)) * (True if there is None else there)
        count = w.sum(axis=axis, keepdims=True)
        mean = (w * y).sum(axis=axis, keepdims=True) / np.where(count > 0, count, 1.0)
        centered = np.where(w > 0, y - mean, 0.0)
    elif there is None:
        centered = y - y.mean(axis=axis, keepdims=True)
    else:
        count = np.maximum(there.sum(axis=axis, keepdims=True), 1)
        centered = np.where(there, y - y.sum(axis=axis, keepdims=True) / count, 0.0)
    scale = np.abs(centered).max(axis=axis, keepdims=True)
    flat = scale <= eps * size
    scale = np.where(flat, 1.0, scale)
    return centered / scale, scale, np.squeeze(flat, axis=axis)


def correlate(y_true, y_pred, there, axis):
    """R along an axis, and where either of the two is constant along it."""
    along, joined = (0, 0) if axis in (1, -2) else (1, 1 if axis in (2, -1) else 0)
    found = [_correlate(*block, axis) for block in blocks(y_true, y_pred, there, along)]
    return tuple(np.concatenate(parts, axis=joined) for parts in zip(*found))


def blocks(y_true, y_pred, there, along=1):
    """The three in pieces of some channels (or trials), so that what is computed stays small."""
    n = y_true.shape[along]
    step = max(1, int(BLOCK_BYTES * n // (8 * y_true.size)))
    for first in range(0, n, step):
        part = (slice(None),) * along + (slice(first, first + step),)
        mask = there[part] if there is not None and along == 0 else there
        yield y_true[part], y_pred[part], mask


def _correlate(y_true, y_pred, there, axis):
    a, _, flat_a = standardize(y_true, axis, there)
    b, _, flat_b = standardize(y_pred, axis, there)
    power = np.square(a).sum(axis=axis) * np.square(b).sum(axis=axis)
    flat = flat_a | flat_b
    r = (a * b).sum(axis=axis) / np.sqrt(np.where(flat, 1.0, power))
    return np.where(flat, np.nan, np.clip(r, -1.0, 1.0)), flat_a, flat_b


def mean_of_map(values, mask=None, axis=0):
    """Mean of what is not NaN, weighted by the valid samples along `axis` of each trial."""
    kept = ~np.isnan(values)
    if mask is None or not kept.any():
        return float(values[kept].mean()) if kept.any() else float("nan")
    count = mask.sum(axis=0)[np.newaxis] if axis == 0 else mask.sum(axis=1)[:, np.newaxis]
    return float(np.average(values[kept], weights=np.broadcast_to(count, values.shape)[kept]))


def nanmean(values, axis):
    """Mean that ignores NaN, and is NaN (silently) where there is nothing else."""
    there = ~np.isnan(values)
    count = there.sum(axis=axis)
    total = np.where(there, values, 0.0).sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
