"""Channels and trials that are no measurements, and noise that does not fit the data."""

import numpy as np

from .._checks.assumptions import warn_assumption
from ._settings import SETTINGS


def find_bad_channels(fields, used, kinds, labels):
    """Find channels that are dead or jump, by the steps from sample to sample.

    fields (n_rows, n_channels, n_times), used (n_channels,) bool
    kinds (list of str or None): Kind of each channel. None: unknown, a channel is dead only if it
        never changes.
    labels (n_rows,) int: Condition of each row. A jump is what one trial has and most of its
        condition have not, so that it takes trials.
    Returns bad (dict): From index of a channel to "flat" or "jumps".
    """
    if fields.shape[2] < SETTINGS.fewest_samples:
        return {}
    usual, largest = np.array(
        [_steps(fields[:, channel], labels) for channel in range(len(used))]
    ).T
    bad = {}
    groups = np.zeros(len(used)) if kinds is None else np.asarray(kinds)
    for kind in np.unique(groups):
        members = np.flatnonzero((groups == kind) & used)
        if len(members) < SETTINGS.fewest_channels or not np.median(usual[members]) > 0:
            continue
        floor = 0.0 if kinds is None else SETTINGS.flat * np.median(usual[members])
        moving = members[usual[members] > floor]
        bad.update(dict.fromkeys(members[usual[members] <= floor].tolist(), "flat"))
        size = largest[moving] / usual[moving]
        jumping = size > max(SETTINGS.jump, SETTINGS.jump_over * np.median(size))
        bad.update(dict.fromkeys(moving[jumping].tolist(), "jumps"))
    return bad


def _steps(rows, labels):
    """Usual step of a channel, and the largest beyond those that its condition has there."""
    steps = np.diff(rows, axis=1)
    usual, largest = float(np.median(np.sqrt(np.square(steps).mean(axis=1)))), 0.0
    for label in range(labels.max() + 1):
        part = steps[labels == label]
        if len(part) >= SETTINGS.fewest_samples:
            largest = max(largest, float(np.abs(part - np.median(part, axis=0)).max()))
    return usual, largest


def warn_bad_channels(bad, names):
    """Say which channels were left out."""
    if bad:
        listed = ", ".join(f"{names[index]} ({bad[index]})" for index in sorted(bad)[:20])
        warn_assumption(
            "bad-channels",
            f"{len(bad)} channel(s) were left out, as they do not look like measurements: "
            f"{listed}.",
        )


def trial_weights(rows, whitener, labels):
    """Weight of each trial: 1, or less if it is much louder than those of its condition.

    rows (n_rows, n_channels, n_times), whitener (n_whitened, n_channels), labels (n_rows,) int
    Returns weights (n_rows,): The usual power over that of the trial where that is more than four
        times as much.
    """
    if np.bincount(labels).min() < SETTINGS.fewest_samples:
        return np.ones(len(rows))
    power = np.array(
        [np.square(whitener @ (row - row.mean(1, keepdims=True))).mean() for row in rows]
    )
    usual = np.array([np.median(power[labels == label]) for label in range(labels.max() + 1)])
    ratio = power / np.maximum(usual[labels], 1e-300)
    return np.where(ratio > SETTINGS.loud_trial, 1 / np.maximum(ratio, 1.0), 1.0)


def warn_noise(data, baseline):
    """Say that averages before the onset hold far more, or less, than the noise covariance says.

    data (n_conditions, n_whitened, n_times): Averages of unit noise.
    baseline (slice or None)
    """
    n = 0 if baseline is None else baseline.stop - (baseline.start or 0)
    if n < SETTINGS.fewest_samples:
        return
    before = data[..., baseline]
    power = before.var(axis=2, ddof=1).mean()
    if 0 < power < SETTINGS.quiet:
        _warn_power(power, "the covariance is of other processing (Maxwell filter, SSP, filters)")
    elif power > SETTINGS.other_unit:
        _warn_power(power, "fields and covariance are in other units, such as fT and T")
    elif power > SETTINGS.loud:
        _warn_power(power, "the response begins before the onset, or the covariance is of others")


def _warn_power(power, why):
    warn_assumption(
        "noise-power",
        f"The averages hold {power:.2g} times the power before the onset that noise_cov and the "
        f"number of trials say: {why}.",
    )


def within_rank(fields, used, whitener):
    """Leave out what the data do not have but the noise covariance has, and say so.

    fields (n_rows, n_channels, n_times), used (n_channels,) bool
    whitener (n_whitened, n_channels): 0 for channels that are not used.
    Returns whitener (n_whitened, n_channels): As it came, or with the rank of the data where that
        is less than nine tenths of its own.
    """
    rank, n_samples = len(whitener), len(fields) * (fields.shape[2] - 1)
    if n_samples < 2 * rank:
        return whitener
    gram = np.zeros((used.sum(),) * 2)
    for row in fields[: max(1, 8 * rank // fields.shape[2])]:
        part = row[used] - row[used].mean(axis=1, keepdims=True)
        gram += part @ part.T
    size = np.sqrt(np.diag(gram))
    size[size == 0] = 1.0
    values, vectors = np.linalg.eigh(gram / np.outer(size, size))
    there = values > 1e-9 * values[-1]
    if there.sum() >= SETTINGS.same_rank * rank:
        return whitener
    warn_assumption(
        "noise-rank",
        f"The data have rank {there.sum()}, but noise_cov has rank {rank}: it is of other "
        "processing, for example from before Maxwell filtering or SSP.",
    )
    basis = vectors[:, there].T / size
    deviation = basis @ np.linalg.pinv(whitener[:, used])  # of the noise in these directions
    values, vectors = np.linalg.eigh(deviation @ deviation.T)
    values = np.maximum(values, SETTINGS.fewest_value * values[-1])
    inside = np.zeros((len(values), len(used)))
    inside[:, used] = (vectors / np.sqrt(values)).T @ basis
    return inside
