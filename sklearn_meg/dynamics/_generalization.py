"""Do states come back in other recordings? Two halves are fitted apart and compared."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score

from ._em import iterate, pick_prior
from ._race import expected_of_guess, guesses, leading
from ._settings import RACE


@dataclass(frozen=True)
class Halves:
    """Similarity of the states of two halves of the recordings.

    rand: Adjusted Rand index of the states that both find in all samples.
    means: Mean correlation of matched state means over regions.
    """

    rand: float
    means: float


def compare_halves(prepared, recordings, settings, kinds, rng):
    """Fit both halves of the recordings, and decode all recordings by each.

    recordings (Recordings): At least two.
    kinds (list of str): Kind of start of each restart.
    rng (RandomState)
    Returns found (dict of Halves): By kind; the restart with the highest objective counts.
    and objective (ndarray): Of all restarts after a few iterations, mean of both halves.
    """
    n, settings = len(recordings.parts), replace(settings, verbose=0)
    whole = prepared.batch(recordings)
    runs, own, objective = [], [], np.zeros(len(kinds))
    for half in (range(0, n, 2), range(1, n, 2)):
        batch = prepared.batch(recordings.pick(half))
        gamma, counts = guesses(batch, settings, kinds, rng)
        prior = settings.prior(len(kinds), batch.X.shape[1])
        expected = expected_of_guess(batch, gamma, counts)
        run = iterate(batch, expected, prior, settings, RACE.first_iter)
        objective += run.objective / 2
        lead = leading(run.objective, kinds, RACE.n_leading)
        prior, expected = pick_prior(run.prior, lead), run.expected.pick(lead)
        rest = RACE.half_iter - RACE.first_iter
        runs.append(iterate(batch, expected, prior, settings, rest))
        own.append(np.array(kinds)[lead])
    states = [whole.decode(*run.parameters)[0].argmax(-1) for run in runs]
    if whole.missing is not None:
        states = [s[~whole.missing] for s in states]
    return {kind: _alike(states, runs, own, kind) for kind in dict.fromkeys(kinds)}, objective


def _alike(states, runs, kinds, kind):
    best = [
        max(np.flatnonzero(names == kind), key=lambda r, run=run: run.objective[r])
        for run, names in zip(runs, kinds)
    ]
    first, second = (s[:, b] for s, b in zip(states, best))
    means = [run.parameters[0][b] for run, b in zip(runs, best)]
    return Halves(returned(first, second, len(means[0])), matched_correlation(*means))


def returned(first, second, n_states):
    """Adjusted Rand index of the states of two halves; 0 where both have but one of several."""
    if n_states > 1 and len(set(first)) == len(set(second)) == 1:
        return 0.0  # the index of two single clusters would be 1
    return float(adjusted_rand_score(first, second))


def confirmed(prepared, recordings, run, settings):
    """Adjusted Rand index of two halves of the recordings that begin with the states of all.

    Where halves that begin by themselves disagree, this tells states that are not there from
    halves that are too short to find them.
    """
    batch = prepared.batch(recordings)
    half = np.arange(len(recordings.parts)) % 2
    weights = np.stack([half == 0, half == 1]).astype(float)
    some = batch.with_weights(weights)
    gamma = np.repeat(batch.decode(*run.parameters)[0], 2, axis=1)
    settings = replace(settings, verbose=0)
    prior = settings.prior(2, batch.X.shape[1])
    expected = expected_of_guess(some, gamma, np.ones(len(batch.X)))
    found = iterate(some, expected, prior, settings, RACE.half_iter)
    states = batch.decode(*found.parameters)[0].argmax(-1)
    if batch.missing is not None:
        states = states[~batch.missing]
    return returned(*states.T, settings.n_states)


def matched_correlation(first, second):
    """Mean correlation of rows that are matched so that it is highest."""
    rows = [m - m.mean(1, keepdims=True) for m in (first, second)]
    rows = [m / np.maximum(np.linalg.norm(m, axis=1, keepdims=True), 1e-12) for m in rows]
    table = rows[0] @ rows[1].T
    return float(table[linear_sum_assignment(-table)].mean())
