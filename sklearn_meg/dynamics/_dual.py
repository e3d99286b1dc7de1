"""States as each recording has them: dual estimation from the posterior of the group's states."""

from __future__ import annotations

import numpy as np

from ._doubts import recording_table
from ._posterior import centered

MOST_BYTES = 512 * 2**20  # of covariances that a fitted model keeps
MEAN_WEIGHT = 5.0  # samples that the group's mean counts as


def dual_estimates(prepared, parameters, group, prior_weight):
    """Means, covariances and transitions of states in each recording.

    The moments of a recording, weighted by the probabilities of the states (Vidaurre et al. 2021,
    NeuroImage 234), are shrunk to the states of the group, and are in the units of the recording
    before it was aligned.

    parameters (tuple): Parameters of a single restart, as an E-step takes them.
    group (tuple of ndarray): Means, covariances (in aligned units) and transitions of the group.
    prior_weight: Samples that a covariance of the group counts as.
    Returns found (dict of ndarray): ``means``, ``covariances`` (None where they are too large),
        ``transmats``, ``samples`` and ``visits``, first axis: recordings.
    """
    means, covariances, transmat = group
    recordings = prepared.recordings
    large = len(recordings.parts) * covariances.nbytes > MOST_BYTES
    rows = []
    for r in range(len(recordings.parts)):
        batch = prepared.batch(recordings.pick([r]))
        gamma, _, moves, _ = batch.decode(*parameters)
        there = np.ones(len(gamma), bool) if batch.missing is None else ~batch.missing
        samples, visits = recording_table(gamma[:, 0], batch.lengths, there)
        own = _own_moments(batch, gamma, prepared, means, covariances, prior_weight)
        if recordings.maps is not None:
            own = recordings.maps[r].back(*own)
        moves = moves[0] + transmat * len(transmat)
        moves /= moves.sum(1, keepdims=True)
        rows.append((own[0], None if large else own[1], moves, samples[0], visits[0]))
    names = ("means", "covariances", "transmats", "samples", "visits")
    found = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    return {name: None if value[0] is None else np.stack(value) for name, value in found.items()}


def _own_moments(batch, gamma, prepared, means, covariances, weight):
    """Shrunk means and covariances of one recording, in aligned units."""
    spread = prepared.spread
    d = len(spread)
    counts, sums, products = (m[0] for m in batch.samples.moments(gamma))
    sums, products = sums[:, :d], products[:, :d, :d]
    start = (means - prepared.center) / spread
    sums = sums + MEAN_WEIGHT * start
    total = counts + MEAN_WEIGHT
    outer = start[:, :, None] * start[:, None, :]
    mean, scatter = centered(total, sums, products + MEAN_WEIGHT * outer, 0.0)
    prior = covariances / (spread[:, None] * spread)
    covariance = (scatter + weight * prior) / (total + weight)[:, None, None]
    return mean * spread + prepared.center, covariance * spread[:, None] * spread
