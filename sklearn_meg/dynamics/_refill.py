"""A state that came out empty begins anew as a part of another.

Where two states began as one, iterations seldom part them, and a state is left over. Each of the
others is cut in two in turn (Ueda et al. 2000, SMEM algorithm for mixture models, Neural
computation 12), and the cut that makes all samples likeliest is kept if it is better than none.
"""

from __future__ import annotations

import numpy as np

from ._em import iterate, pick_prior
from ._race import expected_of_guess, features
from ._settings import DOUBTS, RACE
from ._starts import parted, sure


def refilled(batch, run, settings):
    """The run of the best restart, or one without empty state that is better."""
    if settings.known is not None or settings.init == "given":
        return run
    for _ in range(settings.n_states - 1):
        other = _one_more(batch, run, settings)
        if other is None:
            break
        run = other
    return run


def _one_more(batch, run, settings):
    """A better run in which the emptiest state is a part of another; None if there is none."""
    gamma = batch.decode(*run.parameters)[0][:, 0]
    if batch.missing is not None:
        gamma[batch.missing] = 0
    share = gamma.sum(0) / max(gamma.sum(), 1.0)
    empty = int(share.argmin())
    givers = np.flatnonzero(share > 2 * DOUBTS.least_share)
    if share[empty] >= DOUBTS.least_share or not len(givers):
        return None
    X, counts = features(batch, settings)
    states = gamma.argmax(1)
    window = min(settings.windows)
    cut = [parted(X, batch.lengths, states, giver, empty, window) for giver in givers]
    guess = sure(np.stack(cut, axis=1), settings.n_states)
    expected = expected_of_guess(batch, guess, counts)
    prior = pick_prior(run.prior, np.zeros(len(givers), int))
    tried = iterate(batch, expected, prior, settings, RACE.n_iter)
    best = tried.pick([int(np.nanargmax(tried.objective))])
    best = iterate(batch, best.expected, best.prior, settings, settings.max_iter, run.history)
    return best if best.objective[0] > run.objective[0] + settings.tol else None
