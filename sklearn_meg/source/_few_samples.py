"""Noise covariances of too few samples: shrunk as far as so many ask for, and told.

The sample covariance of n samples has directions in which these happen to hold little noise, and
none at all in all but n of them. Whitened by it, other noise holds ``n / (n - p - 1)`` times its
power, p being the number of channels: beyond any bound where n is about p.
"""

import numpy as np

from .._checks.assumptions import warn_assumption
from ._settings import SETTINGS


def steadied(cov, n_samples):
    """Covariance that is shrunk as far as its number of samples asks for.

    Oracle approximating shrinkage of channels in units of their noise (Chen et al., 2010, equation
    23), towards what is alike in all. Where there are as many samples as the covariance has rank,
    directions without noise (projections, Maxwell filters) stay without.

    cov (n_channels, n_channels)
    Returns cov (n_channels, n_channels)
    """
    scale = np.sqrt(np.maximum(np.diag(cov), 0.0))
    scale[scale == 0] = np.median(scale[scale > 0])
    values, vectors = np.linalg.eigh(cov / np.outer(scale, scale))
    there = values > SETTINGS.no_noise * values[-1]
    target = np.ones(len(values))
    if there.sum() < SETTINGS.same_rank * n_samples:
        target = there * len(values) / there.sum()
    n, power, total = np.count_nonzero(target), np.square(values).sum(), values.sum() ** 2
    unlike = (n_samples + 1 - 2 / n) * max(power - total / n, 1e-12 * total)
    share = min(((1 - 2 / n) * power + total) / unlike, 1.0)
    values = (1 - share) * values * there + share * target * values.sum() / len(values)
    return (vectors * values) @ vectors.T * np.outer(scale, scale)


def n_independent(n_free, info):
    """Number of independent samples behind a covariance; None where it is not known.

    Samples of a signal below half the rate come with others that tell the same.

    n_free: As in mne.Covariance: at most 1 where it is not known.
    """
    if n_free <= 1:
        return None
    return (n_free + 1) * min(1.0, 2 * info["lowpass"] / info["sfreq"])


def of_few_samples(cov, rank, n_samples):
    """Shrink a covariance of a known number of samples, and say so where channels are more.

    cov (n_used, n_used)
    rank: Directions in which the data may have noise.
    Returns cov (n_used, n_used)
    """
    if n_samples > SETTINGS.enough_samples * rank:
        return cov
    if n_samples < rank:
        _warn(f"noise_cov is of {n_samples:.0f} independent samples in {rank} directions.")
    return steadied(cov, n_samples)


def unlike_samples(cov, samples):
    """Shrink a covariance of an unknown number of samples where the data show that they were few.

    They then have noise in directions in which the covariance has none, or more the less it has.

    cov (n_used, n_used)
    samples (n_used, n_samples): Of the size of single trials, before the onset.
    Returns cov (n_used, n_used)
    """
    scale = np.sqrt(np.maximum(np.diag(cov), 0.0))
    scale[scale == 0] = 1.0
    values, vectors = np.linalg.eigh(cov / np.outer(scale, scale))
    power = np.square(vectors.T @ (samples / scale[:, None])).mean(axis=1)
    there = values > SETTINGS.no_noise * values[-1]
    n, beyond = int(there.sum()), power[~there]
    if n < SETTINGS.same_rank * len(there) and beyond.mean() > SETTINGS.outside * power.mean():
        warn_assumption(
            "noise-rank",
            f"noise_cov has rank {n}, but the data have noise in more directions: it is of too "
            "few samples, or of other processing.",
        )
        return steadied(cov, n + 1)
    power = power[there] / values[there]
    weak, strong = power[: n // 3].mean(), power[-n // 3 :].mean()
    if n < SETTINGS.fewest_channels or weak < SETTINGS.loud * max(strong, 1.0):
        return cov
    _warn(
        f"The data hold {weak:.2g} times the noise where noise_cov has little, and {strong:.2g} "
        "times where it has much, as if it were of few samples."
    )
    times = max(power.mean(), 1 + 1 / n)  # less tells of no number of samples
    return steadied(cov, (n + 1) * times / (times - 1))


def scarcity_of(data, onset, baseline, modes):
    """Directions of noise for each sample of a covariance, as averages show it, and say so.

    Samples that a covariance is of hold less of the noise in its units than others do. The steps
    of averages before the onset, as those samples, are then smaller than those after it, where no
    source reaches.

    data (n_conditions, n_channels, n_times): Averages, whitened, onset (int), baseline (slice)
    modes (n_channels, n_modes): Orthonormal: what sources can do to the channels.
    Returns scarcity (float): 0 where it cannot be seen.
    """
    n_before = 0 if baseline is None else baseline.stop - (baseline.start or 0)
    n_outside = modes.shape[0] - modes.shape[1]
    if n_before < SETTINGS.fewest_baseline or n_outside < SETTINGS.fewest_outside:
        return 0.0
    outside = data - np.einsum("wm,vm,cvt->cwt", modes, modes, data, optimize=True)
    before, after = (
        np.square(np.diff(part)).mean() for part in (outside[..., baseline], outside[..., onset:])
    )
    times = after / before if before > 0 else 1.0
    if times > SETTINGS.unseen_steps:
        _warn(
            f"Noise after the onset has {times:.1f} times the power that it has before: noise_cov "
            "seems to be of few samples, which these averages were made of, too."
        )
    return SETTINGS.unseen_scarcity * max(times - 1, 0.0)


def _warn(message):
    warn_assumption("noise-samples", message)
