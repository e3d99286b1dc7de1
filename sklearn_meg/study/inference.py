"""Inference over subjects, and within them where they are few."""

from __future__ import annotations

import numpy as np
from scipy.stats import norm, rankdata, wilcoxon

MIN_SUBJECTS = 6  # fewer: a signed-rank test cannot reach p < .05 (its least p is 2 ** (1 - n))


def holm(p):
    """Adjust p values for the number of tests (Holm 1979); NaN stays and does not count.

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p, dtype=float)
    adjusted = np.full(p.shape, np.nan)
    there = np.flatnonzero(~np.isnan(p))
    order = there[np.argsort(p[there], kind="stable")]
    factors = len(order) - np.arange(len(order))
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1.0)
    return adjusted


def signed_rank(difference):
    """Two-sided p of the signed-rank test, and the matched-pairs rank-biserial correlation.

    The correlation (Kerby 2014) is 1 if every pair is positive and -1 if every pair is negative.
    Both are NaN for fewer than two pairs; pairs without a difference are no effect.
    """
    difference = np.asarray(difference, dtype=float)
    moved = difference[difference != 0]
    if len(difference) < 2:
        return np.nan, np.nan
    if not len(moved):
        return 1.0, 0.0
    ranks = rankdata(np.abs(moved))
    return float(wilcoxon(moved).pvalue), float((ranks * np.sign(moved)).sum() / ranks.sum())


def bootstrap_subjects(values, *, level=0.95, n_draws=5000, seed=0):
    """Interval of the mean over subjects, by drawing subjects with replacement.

    The t quantile in the place of the normal one widens the percentiles to what so few subjects
    allow (Hesterberg 2015, "expanded percentiles").

    values (n_subjects,)
    Returns low, high (float)
    """
    from scipy.stats import t

    values = np.asarray(values, dtype=float)
    n = len(values)
    drawn = np.random.default_rng(seed).integers(n, size=(n_draws, n))
    means = values[drawn].mean(axis=1)
    tail = norm.cdf(t.ppf((1 - level) / 2, n - 1) * np.sqrt(n / (n - 1)))
    return tuple(np.quantile(means, [tail, 1 - tail]).tolist())


def standardized_mean(values, *, level=0.95):
    """Mean over standard deviation of the subjects (Cohen's d of pairs), with its interval.

    The interval inverts the noncentral t distribution: it holds every d that the t value is not in
    a tail of (Cumming & Finch 2001).

    Returns d, low, high: NaN for fewer than two subjects, or no spread.

    >>> found = standardized_mean([1.0, 2.0, 3.0, 4.0, 5.0])
    >>> [round(float(value), 2) for value in found]  # d, from, to
    [1.9, 0.33, 3.41]
    """
    values = np.asarray(values, dtype=float)
    n = len(values)
    sd = values.std(ddof=1) if n > 1 else 0.0
    if not sd > 0:
        return np.nan, np.nan, np.nan
    d = values.mean() / sd
    tails = (1 + level) / 2, (1 - level) / 2
    return d, *(_noncentrality(d * np.sqrt(n), n - 1, tail) / np.sqrt(n) for tail in tails)


def _noncentrality(value, df, tail):
    """The noncentrality at which a t value is this quantile of the noncentral t distribution."""
    from scipy.optimize import brentq
    from scipy.stats import nct

    reach = 6.0 + abs(value)  # several standard errors of the noncentrality for any df
    with np.errstate(all="ignore"):
        try:
            return brentq(lambda at: nct.cdf(value, df, at) - tail, value - reach, value + reach)
        except ValueError:  # beyond what the distribution function can be computed for
            return np.nan


def bayes_factor(values, *, scale=0.707):
    """Bayes factor of an effect over none, for the mean over subjects.

    The Jeffreys-Zellner-Siow Bayes factor of a t test (Rouder et al. 2009, eq. 1) with a Cauchy
    prior of this scale on the standardized effect: above 1 the data speak for an effect, below 1
    for none.

    Returns bf10: NaN for fewer than two subjects, or no spread.

    >>> round(bayes_factor([1.0, 2.0, 3.0, 4.0, 5.0]), 2)
    5.76
    """
    from scipy.integrate import quad

    values = np.asarray(values, dtype=float)
    n = len(values)
    if n < 2 or not values.std() > 0:
        return np.nan
    df = n - 1
    t2 = n * values.mean() ** 2 / values.var(ddof=1)

    def weighted_likelihood_ratio(g):
        spread = 1 + n * g * scale**2
        log = np.log1p(t2 / df) - np.log1p(t2 / (spread * df))
        log = (n * log - np.log(spread) - np.log(2 * np.pi) - 3 * np.log(g) - 1 / g) / 2
        return np.exp(min(log, 700.0))

    pieces = ((0.0, 1.0), (1.0, 100.0), (100.0, np.inf))
    return float(sum(quad(weighted_likelihood_ratio, *piece)[0] for piece in pieces))


def within_subjects(influences, gain, *, level=0.95, block=5):
    """Interval of a mean gain in just these subjects, from the trials.

    influences (list of ndarray of shape (n_test,)): One for each subject and fold: by how much
        each trial moves the gain, mean 0.
    gain: Mean over subjects and folds.
    block: Neighboring trials that may go together, as their noise does.
    Returns low, high (float)
    and p: Two-sided, of no gain in these subjects.

    Variance of batch means, summed over subjects and folds as if they were independent, and
    doubled, because folds share training trials (each pair of folds meets twice).
    """
    variances = [_batch_variance(values, block) for values in influences if len(values) > 1]
    if not variances:
        return np.nan, np.nan, np.nan
    sd = np.sqrt(2 * np.sum(variances)) / len(variances)
    half = norm.ppf(0.5 + level / 2) * sd
    p = 2 * norm.sf(abs(gain) / sd) if sd > 0 else (1.0 if gain == 0 else 0.0)
    return gain - half, gain + half, float(p)


def _batch_variance(values, block):
    """Sampling variance of a mean whose neighbors may be correlated."""
    n_batches = max(len(values) // block, 1)
    if n_batches < 3:
        return values.var(ddof=1) / len(values)
    sums = np.array([batch.sum() for batch in np.array_split(values, n_batches)])
    return n_batches / (n_batches - 1) * np.square(sums - sums.mean()).sum() / len(values) ** 2


def cluster_test(maps, info=None, *, tfce=False, n_permutations=1000, tail=1, seed=0, start=0):
    """Cluster permutation test over sensors and time, by mne.stats.

    maps (n_subjects, n_channels, n_times): Differences of scores.
    info (mne.Info): Channels, of one type, whose neighbors form clusters. None clusters over time
        only.
    tfce: Threshold-free cluster enhancement in the place of a threshold at p = .05.
    n_permutations: Sign flips of subjects; all of them if there are fewer.
    tail ({-1, 0, 1}): 1 asks for gains only.
    start: First sample that counts.
    Returns t (n_channels, n_times): Statistic, NaN before `start`.
    and p (n_channels, n_times): p-value of the cluster that each sensor and time belongs to; 1
        outside clusters.
    and clusters (list of ndarray of bool of shape (n_channels, n_times)), p_clusters
        (n_clusters,)
    Raises ValueError if there are fewer than five subjects: with n of them no p value is below 2
        ** -n.
    """
    from mne.channels import find_ch_adjacency
    from mne.stats import combine_adjacency, permutation_cluster_1samp_test
    from scipy.stats import t as student

    maps = np.asarray(maps, dtype=float)
    n_subjects, n_channels, n_times = maps.shape
    if n_subjects < 5:
        raise ValueError(
            f"A cluster test over subjects needs at least 5 of them. Got {n_subjects}: with so "
            "few, use the null within subjects (null_p_, features())."
        )
    data = np.nan_to_num(maps[:, :, start:]).transpose(0, 2, 1)
    adjacency = None
    if info is not None and n_channels > 2:
        adjacency = combine_adjacency(data.shape[1], find_ch_adjacency(info, None)[0])
    elif n_channels > 1:
        adjacency = combine_adjacency(data.shape[1], np.eye(n_channels, dtype=int))
    threshold = (
        {"start": 0, "step": 0.2}
        if tfce
        else student.ppf(0.95 if tail else 0.975, n_subjects - 1) * (tail or 1)
    )
    t, found, p_clusters, _ = permutation_cluster_1samp_test(
        data, threshold=threshold, n_permutations=n_permutations, tail=tail, seed=seed,
        adjacency=adjacency, out_type="mask", verbose="error",
    )  # fmt: skip

    def full(values, before):
        whole = np.full((n_channels, n_times), before, dtype=np.asarray(values).dtype)
        whole[:, start:] = np.asarray(values).T
        return whole

    p = np.ones((data.shape[1], n_channels))
    masks = []
    if tfce:
        p = np.asarray(p_clusters).reshape(p.shape)
    else:
        for mask, value in zip(found, p_clusters):
            p[mask] = np.minimum(p[mask], value)
            masks.append(full(np.asarray(mask), False))
    return full(t, np.nan), full(p, np.nan), masks, np.asarray(p_clusters)
