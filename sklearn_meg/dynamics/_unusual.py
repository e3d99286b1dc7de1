"""Which recordings are unlike those of a fit: their likelihood, switching, rhythm and variances.

The recordings of a fit are described under the states of all others: their own share is taken out
of the moments of the states, and what is left makes new states (leave-one-out without a new fit).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.special import digamma, polygamma
from scipy.stats import norm
from scipy.stats import t as student

from ._em import m_step, plug_in, shaped_parameters, sum_of
from ._factors import Shape
from ._foreign import mean_gain
from ._posterior import Prior
from ._settings import UNUSUAL


@dataclass
class Refit:
    """Settings by which moments of the states become states.

    shape (Shape or None): Of "low_rank" covariances.
    """

    prior: Prior
    settings: object
    shape: Shape | None

    def __call__(self, expected):
        """Parameters as an E-step takes them."""
        if self.shape is not None:
            mean, covariance = shaped_parameters(expected, self.prior, self.shape)
            found = plug_in(mean[None], covariance[None], expected, self.prior)
            return found if self.settings.known is None else self.settings.known.into(found)
        return m_step(expected, self.prior, self.settings)[2]


def usual_features(prepared, parameters, refit, levels, gains):
    """Features of recordings of the fit, each under the states of the others.

    parameters (tuple): The states, as an E-step takes them.
    levels (ndarray or None): From `usual_levels`.
    gains (Gains): What states gain over none.
    Returns features (n_recordings, n_features): Recordings, or blocks of time where recordings are
        few.
    and lengths (n_recordings,): Their samples.
    and gain: What the states gain per sample over a single one; NaN for autoregressive ones.
    """
    spans = _blocks(prepared.recordings.lengths)
    if len(spans) < 2:
        return np.empty((0, len(UNUSUAL.least_spread))), np.empty(0, int), np.nan
    own, crossed = (r.cut(spans) for r in (prepared.recordings, prepared.crossed))
    expected = [prepared.batch(own.pick([r])).expect(*parameters) for r in range(len(spans))]
    total = sum_of(_of_others(prepared, spans, parameters) + expected)
    shares = own.lengths / prepared.recordings.lengths.sum() * prepared.aligner.trivial
    rows, found = [], []
    levels = _levels_of_others(prepared, levels, spans)
    for r, (one, others, share) in enumerate(zip(expected, levels, shares)):
        part, states = crossed.pick([r]), refit(total.blend(one, 1.0, -1.0))
        rows.append(features(prepared, part, states, others, share))
        if not prepared.order:
            found.append(gains(own.pick([r]), part, states))
    return np.array(rows), own.lengths, mean_gain(found)[0] if found else np.nan


def _blocks(lengths):
    """Spans (recording, start, stop): recordings, at most so many; blocks where they are few."""
    n = len(lengths)
    each = -(-UNUSUAL.least // n) if n < UNUSUAL.few else 1
    which = np.unique(np.linspace(0, n - 1, min(n, UNUSUAL.most)).astype(int))
    spans = []
    for i in which:
        pieces = int(min(each, max(1, lengths[i] // UNUSUAL.block)))
        ends = np.linspace(0, lengths[i], pieces + 1).astype(int)
        spans += [(int(i), int(a), int(b)) for a, b in pairwise(ends)]
    return spans


def _of_others(prepared, spans, parameters):
    """Moments of recordings that no span is of."""
    rest = sorted(set(range(len(prepared.recordings.parts))) - {i for i, *_ in spans})
    return [prepared.batch(prepared.recordings.pick([r])).expect(*parameters) for r in rest]


def usual_levels(prepared):
    """How loud regions are in recordings as they came, ndarray of shape (3, n_regions).

    Median of the logarithm of the variance, its standard deviation between recordings (one for all
    regions), and degrees of freedom of that. None where recordings are not made alike in variance:
    these are compared as they are.
    """
    spans = _blocks(prepared.recordings.lengths)
    if prepared.aligner.method == "none" or len(spans) < 2:
        return None
    return _typical(np.array([_levels(part) for part in prepared.recordings.cut(spans).parts]))


def _levels_of_others(prepared, levels, spans):
    """The same without each recording in turn."""
    if levels is None or len(spans) < 3:
        return [levels] * len(spans)
    own = np.array([_levels(part) for part in prepared.recordings.cut(spans).parts])
    return [_typical(np.delete(own, r, axis=0)) for r in range(len(own))]


def _typical(levels):
    """Center, spread and degrees of freedom by region.

    Variances of regions are drawn towards their mean, as far as they differ by chance (Smyth 2004,
    Linear models and empirical Bayes methods, Statistical applications in genetics and molecular
    biology 3, section 6.2).
    """
    n, d = levels.shape
    variances = np.maximum(levels.var(0, ddof=1), UNUSUAL.level_spread**2)
    logs, own = np.log(variances), (n - 1) / 2
    extra = logs.var(ddof=1) - polygamma(1, own) if d > 1 else 0.0
    extra = max(extra, 1e-3)
    prior = (1 + np.sqrt(1 + 2 * extra)) / extra  # trigamma(x) is near 1 / x + 1 / (2 x^2)
    bias = [digamma(half) - np.log(half) for half in (own, prior / 2)]
    typical = np.exp(logs.mean() - bias[0] + bias[1])
    spread = np.sqrt((prior * typical + (n - 1) * variances) / (prior + n - 1) * (1 + 1 / n))
    dof = min(prior + n - 1, UNUSUAL.level_dof)
    return np.stack([np.median(levels, axis=0), spread, np.full(d, dof)])


def _levels(part):
    variances = np.nanvar(np.asarray(part, float), axis=0)
    typical = max(float(np.median(variances)), 1e-300)
    return np.log(np.maximum(variances / typical, 1e-12))


def _level_deviate(part, levels):
    """Of the region that is most too loud or too weak, as a standard normal deviate."""
    center, spread, dof = levels
    p = 2 * student.sf(np.abs(_levels(part) - center) / spread, dof).min()
    return _deviate(p, len(center))


def _deviate(p, n):
    """Standard normal deviate of the smallest of n p-values (Sidak)."""
    smallest = -np.expm1(n * np.log1p(-np.clip(p, 1e-300, 1 - 1e-12)))
    return norm.isf(np.minimum(smallest, 1 - 1e-12))


def features(prepared, recordings, parameters, levels=None, share=0.0):
    """Statistics of one recording.

    share: Of the samples that the units of regions are of, where they are among these.

    Log-likelihood per sample; logarithms of the share of samples in which the state changes, and of
    the smallest and largest variance of a region; correlation of samples with the ones before.
    Of aligned recordings, how far the variances were from usual before, as a deviate.
    """
    batch = prepared.batch(recordings)
    _, _, moves, log_likelihood = batch.decode(*parameters)
    there = np.ones(len(batch.X), bool) if batch.missing is None else ~batch.missing
    n = max(int(there.sum()), 1)
    changes = moves[0].sum() - np.trace(moves[0])
    X = batch.X[there]
    X = X - X.mean(0)
    variances = (X**2).mean(0)
    both = (X[1:] * X[:-1]).mean(0) / np.maximum(variances, 1e-12) if n > 1 else np.zeros(1)
    of_others = np.maximum((1 - share * variances) / (1 - share), 0.1)  # the unit without its own
    logs = np.log(np.maximum(variances / of_others, 1e-12))
    return np.array(
        [
            float(log_likelihood[0, 0]) / n - np.log(prepared.spread).sum(),
            np.log((changes + 0.5) / n),
            np.arctanh(np.clip(both, -0.99, 0.99)).mean(),
            logs.min(),
            logs.max(),
            *([] if levels is None else [_level_deviate(recordings.parts[0], levels)]),
        ]
    )


def rows_of(prepared, parameters, levels):
    """Features of all recordings."""
    parts = [prepared.crossed.pick([r]) for r in range(len(prepared.recordings.parts))]
    return np.array([features(prepared, part, parameters, levels) for part in parts])


def scores(rows, lengths, known, known_lengths):
    """Distance of the most unusual feature from those known, as a standard normal deviate.

    Each feature has a p-value by Student's t; the smallest is corrected for their number (Sidak).

    rows, known (n, n_features), (n_known, n_features)
    lengths, known_lengths (ndarray): Samples; features of shorter recordings vary more.
    """
    n, own = len(known), len(UNUSUAL.least_spread)
    spread = known[:, :own].std(0, ddof=1) * np.sqrt(1 + 1 / n)
    usual = np.maximum(known_lengths.mean() / np.maximum(lengths, 1), 1.0)
    z = (rows - known.mean(0))[:, :own] / np.hypot(spread, UNUSUAL.least_spread)
    p = 2 * student.sf(np.abs(z / np.sqrt(usual)[:, None]), n - 1)
    p = np.concatenate([p, norm.sf(rows[:, own:])], axis=1)  # levels are deviates already
    return _deviate(p.min(1), rows.shape[1])


def usual_scores(known, lengths):
    """The same of known recordings, each by the others; none where they are too few.

    Where the limit is of their mean and spread, as they are few, these are drawn towards those of
    standard normal deviates.
    """
    n = len(known)
    if n < 4:
        return np.empty(0)
    rest = [np.delete(np.arange(n), i) for i in range(n)]
    found = np.concatenate(
        [scores(known[[i]], lengths[[i]], known[r], lengths[r]) for i, r in enumerate(rest)]
    )
    if n >= UNUSUAL.enough:
        return found
    mean, variance, share = found.mean(), found.var(ddof=1), n / (n + UNUSUAL.prior_scores)
    spread = np.sqrt(share * variance + 1 - share)
    return share * mean + (found - mean) * spread / np.sqrt(max(variance, 1e-12))
