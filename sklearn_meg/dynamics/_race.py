"""Which first guess is kept: the one that makes recordings likely that it has not seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .._saving.checkpoint import NO_JOURNAL
from ._align import distances, robust_static
from ._em import Expected, iterate, pick_prior
from ._settings import ALIGN, RACE
from ._starts import first_guesses
from ._tails import nearest, of_one_state

FIRST_TAILS = float(nearest(RACE.first_tails))


def guesses(batch, settings, kinds, rng):
    """State probabilities to start from, and how much samples count in them."""
    X, counts = features(batch, settings)
    gamma = first_guesses(
        X, batch.lengths, settings.n_states, kinds, settings.windows, rng, batch.states
    )
    return gamma, counts


def features(batch, settings):
    """What is clustered (n_samples, n_features), and how much samples count in it."""
    counts = np.ones(len(batch.X))
    if settings.emission != "gaussian":
        most = RACE.loudest if settings.tails < FIRST_TAILS else 1.0
        counts = np.minimum(most, 2.0 / far(batch))
    X = batch.Y[:, : 3 * batch.X.shape[1]] * np.sqrt(counts)[:, None]  # with a little of its past
    return X, counts


def far(batch):
    """Squared distance of samples from all others, over its median."""
    there = np.ones(len(batch.X), bool) if batch.missing is None else ~batch.missing
    distance = distances(batch.X, robust_static(batch.X[there], ALIGN.robust_dof))
    return np.maximum(distance / max(np.median(distance[there]), 1e-300), 1e-300)


def expected_of_guess(batch, gamma, counts):
    """Moments and transitions as if the guess were true.

    gamma (n_samples, n_restarts, n_states)
    counts (n_samples,): Weight of each sample.
    """
    n, n_restarts, n_states = gamma.shape
    stays = 0.85 * n / n_states
    transitions = np.full((n_restarts, n_states, n_states), 0.15 * n / n_states**2)
    transitions += stays * np.eye(n_states)
    starts = np.full((n_restarts, n_states), len(batch.lengths) / n_states)
    gamma = gamma * counts[:, None, None]
    if batch.weights is not None:
        gamma *= np.repeat(batch.weights.T, batch.lengths, axis=0)[..., None]
    scores = np.tile([0.0, 1.0, 0.0], (n_restarts, 1))
    return Expected(batch.moments(gamma), starts, transitions, np.zeros(n_restarts), scores)


def leading(objective, kinds, n):
    """The best restarts of each kind, at most `n` of one, in their order."""
    taken = []
    for kind in dict.fromkeys(kinds):
        own = np.flatnonzero(np.array(kinds) == kind)
        taken += own[np.argsort(-objective[own], kind="stable")[:n]].tolist()
    return sorted(taken)


def left_out(batch, gamma, counts, settings):
    """Restarts that have each not seen a fold of recordings, side by side.

    Returns run (Run): All folds of the first restart, then of the second, and so on.
    and unseen (n_folds, n_recordings) bool
    """
    n_restarts, n = gamma.shape[1], len(batch.lengths)
    folds = np.arange(n) % min(n, RACE.max_folds)
    unseen = folds == np.unique(folds)[:, None]
    some = batch.with_weights(np.tile((~unseen).astype(float), (n_restarts, 1)))
    expected = expected_of_guess(some, np.repeat(gamma, len(unseen), axis=1), counts)
    prior = settings.prior(n_restarts * len(unseen), batch.X.shape[1])
    run = iterate(some, expected, prior, replace(settings, verbose=0), RACE.fold_iter)
    return run, unseen


def left_out_scores(batch, run, unseen):
    """Log-likelihood per sample of each recording by restarts that have not seen it.

    run, unseen: From `left_out`.
    Returns scores (n_restarts, n_recordings)
    """
    by_recording = batch.decode(*run.parameters)[3].reshape(-1, *unseen.shape)
    return (by_recording * unseen).sum(1) / np.maximum(batch.n_present(), 1)


def close_to_best(scores):
    """Restarts whose left-out scores are as good as the best: by a hundredth of a nat."""
    means = scores.mean(1)
    return np.flatnonzero(means >= means.max() - RACE.close)


def race(batch, gamma, counts, settings, journal=NO_JOURNAL):
    """Several restarts: all for some iterations, the best to the end.

    Returns run (Run): Run of the finalists.
    """
    keep = journal.loop("race")
    n_restarts = gamma.shape[1]
    expected = expected_of_guess(batch, gamma, counts) if keep.state is None else None
    prior = settings.prior(n_restarts, batch.X.shape[1])
    run = iterate(batch, expected, prior, settings, RACE.n_iter, keep=keep)
    order = np.argsort(-run.objective, kind="stable")[: RACE.n_finalists]
    prior, expected = pick_prior(run.prior, order), run.expected.pick(order)
    final = journal.loop("final")
    return iterate(batch, expected, prior, settings, settings.max_iter, run.history, final)


def first_tails(emission):
    """Degrees of freedom to begin with."""
    return FIRST_TAILS if emission in ("auto", "t") else np.inf


def with_first_tails(batch, settings):
    """Settings that begin with the degrees of freedom of one state, where these are few."""
    if np.isinf(settings.tails):
        return settings
    there = slice(None) if batch.missing is None else ~batch.missing
    distance = far(batch)[there]
    tails = of_one_state(distance[:: 1 + len(distance) // RACE.tail_samples], batch.X.shape[1])
    return settings if tails >= RACE.amplitudes else replace(settings, tails=tails)
