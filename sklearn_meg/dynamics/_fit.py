"""The course of a fit: alignment, guesses, what is left out decides, the best to the end."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from sklearn.metrics import adjusted_rand_score

from ._em import Run, iterate, stochastic
from ._generalization import Halves, compare_halves, confirmed
from ._prepare import Prepared, fold_spans, in_halves, some_recordings
from ._race import (
    close_to_best,
    far,
    guesses,
    leading,
    left_out,
    left_out_scores,
    race,
    with_first_tails,
)
from ._refill import refilled
from ._rhythm import hidden_rhythms
from ._settings import DOUBTS, MAR, RACE
from ._starts import kinds_of


@dataclass
class Found:
    """States of a fit, and how they were found.

    data (Batch or Stream)
    run (Run): Run of the best restart.
    settings (Settings): With the chosen emission.
    restarts (ndarray): Objective of the finalists.
    starts (dict of ndarray): For each restart its ``kind``, left-out ``loglik``, and ``rand`` and
        ``means`` of halves.
    halves (Halves): Halves of the chosen kind of start.
    confirmed: As `halves.rand`, of halves that begin with the states that were found.
    emissions (dict): Left-out log-likelihood of each emission; empty where one was given.
    rhythms: Agreement of other, autoregressive states between halves; 0 where there are none.
    """

    data: object
    run: Run
    settings: object
    restarts: np.ndarray
    stability: float
    starts: dict
    halves: Halves
    confirmed: float
    emissions: dict
    rhythms: float


def with_order(prepared, settings, order, rng):
    """Prepared recordings and settings for autoregressive states, of the order that is likeliest.

    Orders rise as long as recordings that are left out become likelier.
    """
    if settings.emission != "mar":
        return prepared, settings, {}
    seed = rng.randint(2**31 - 1)
    scores = {}
    for p in MAR.orders if order is None else (order,):
        trial = replace(prepared, order=p), replace(settings, order=p)
        if order is not None:
            return *trial, {}
        pieces = prepared.recordings.cut(fold_spans(prepared.recordings, settings.n_states))
        batch = trial[0].batch(pieces)
        gamma, counts = guesses(batch, settings, MAR.kinds, np.random.RandomState(seed))
        run, unseen = left_out(batch, gamma, counts, trial[1])
        scores[p] = float(left_out_scores(batch, run, unseen).mean(1).max())
        if len(scores) > 1 and scores[p] < max(scores.values()):
            break
    best = max(scores, key=scores.get)
    return replace(prepared, order=best), replace(settings, order=best), scores


def find_states(prepared: Prepared, settings, batch_size, rng, journal):
    """Race, and go on with all recordings."""
    recordings = prepared.recordings
    data = prepared.data(batch_size)
    spans, few = some_recordings(recordings)
    small = few.lengths.sum() == recordings.lengths.sum() and batch_size is None
    racers = data if small else prepared.batch(few)
    kinds = kinds_of(settings.init, settings.n_init)
    settings = with_first_tails(racers, settings)
    gamma, counts = guesses(racers, settings, kinds, rng)
    judged = judge(prepared, settings, kinds, rng, _Guess(spans, gamma, counts))
    settings = judged.settings
    gamma = _with_more(racers, gamma[:, judged.keep], settings, kinds, judged, rng)
    finalists = race(racers, gamma, counts, settings, journal)
    best = int(np.nanargmax(finalists.objective))
    run = refilled(racers, finalists.pick([best]), settings)
    if not small:
        run = _on_all(data, run, racers.n_samples, settings, batch_size, rng, journal)
    sure = judged.halves.rand
    if sure < DOUBTS.surely:
        most = prepared.recordings.cut(fold_spans(prepared.recordings, np.inf))
        sure = confirmed(prepared, most, run, settings)
    rhythms = 0.0
    if not settings.order:
        rhythms = hidden_rhythms(prepared, judged.pieces, run, settings, np.random.RandomState(0))
    return Found(
        data,
        run,
        settings,
        np.sort(finalists.objective)[::-1],
        agreement(racers, finalists, best),
        judged.starts,
        judged.halves,
        sure,
        judged.emissions,
        rhythms,
    )


def _with_more(batch, gamma, settings, kinds, judged, rng):
    """Guesses that were kept; as many as before where they are clusters of samples.

    Few of these are tried at first, and they end in more optima than windows do.
    """
    own = [kinds[r] for r in judged.keep]
    seed = np.random.RandomState(rng.randint(2**31 - 1))
    if not set(own) <= {"kmeans", "unit"} or len(own) == len(kinds):
        return gamma
    more = [own[r % len(own)] for r in range(len(kinds) - len(own))]
    return np.concatenate([gamma, guesses(batch, settings, more, seed)[0]], axis=1)


@dataclass
class Judged:
    """Verdict of recordings that are left out: restarts to keep, emission, generalization."""

    settings: object
    keep: np.ndarray
    starts: dict
    halves: Halves
    emissions: dict
    pieces: object


@dataclass
class _Guess:
    """First guess of the states in some spans (recording, 0, stop)."""

    spans: list
    gamma: np.ndarray
    counts: np.ndarray

    def of(self, spans):
        """The guess in parts of these spans; None where they are not all there."""
        ends = np.cumsum([stop for *_, stop in self.spans])
        begin = {i: end - stop for (i, _, stop), end in zip(self.spans, ends)}
        length = {i: stop for i, _, stop in self.spans}
        if any(stop > length.get(i, 0) for i, _, stop in spans):
            return None
        rows = np.concatenate([begin[i] + np.arange(start, stop) for i, start, stop in spans])
        return self.gamma[rows], self.counts[rows]


def judge(prepared, settings, kinds, rng, guess):
    """Compare restarts, kinds of start and emissions by recordings that are left out."""
    seed = np.random.RandomState(rng.randint(2**31 - 1))
    spans = fold_spans(prepared.recordings, settings.n_states)
    pieces = prepared.recordings.cut(spans)
    names = np.array(kinds)
    if min(pieces.lengths) < RACE.least_piece:
        unknown = np.full(len(kinds), np.nan)
        starts = {"kind": names, "loglik": unknown, "rand": unknown, "means": unknown}
        settings = settings if settings.emission != "auto" else _normal(settings)
        return Judged(settings, np.arange(len(kinds)), starts, Halves(np.nan, np.nan), {}, pieces)
    halves, objective = compare_halves(prepared, pieces, settings, kinds, seed)
    batch = prepared.batch(pieces)
    agree = _returning(prepared, pieces, settings, halves, kinds, seed)
    if {"kmeans", "unit"} <= set(agree):
        agree["kmeans"] /= RACE.amplitude
    most = max(agree.values())
    returns = [k for k, found in agree.items() if found >= (1 - RACE.tolerance) * most]
    gamma, counts = guess.of(spans) or guesses(batch, settings, kinds, seed)
    asked = np.array([r for r in leading(objective, kinds, 1) if kinds[r] in returns])
    gamma = gamma[:, asked]
    run, unseen = left_out(batch, gamma, counts, settings)
    outliers = far(batch) > RACE.far  # would decide alone
    scores = left_out_scores(batch.without(outliers), run, unseen)
    likely = close_to_best(scores)
    best = likely[scores[likely].mean(1).argmax()]
    keep = np.flatnonzero(np.isin(names, names[asked[likely]]))  # the objective decides in a kind
    emissions, leads = {}, kinds[asked[best]]
    if settings.emission == "auto":
        own = run.pick(best * len(unseen) + np.arange(len(unseen)))
        settings, emissions = _emission(batch, own, unseen, settings)
    starts = {"kind": names, "loglik": np.full(len(names), np.nan)}
    starts["loglik"][asked] = scores.mean(1)
    for name in ("rand", "means"):
        starts[name] = np.array([getattr(halves[kind], name) for kind in kinds])
    return Judged(settings, keep, starts, halves[leads], emissions, pieces)


def _returning(prepared, pieces, settings, halves, kinds, rng):
    """By kind of start, how well states come back; where that is poor, by two ways of halving.

    The geometric mean: states that are recordings come back in halves of time only.
    """
    found = {kind: max(h.rand, 0.0) for kind, h in halves.items()}
    if len(found) == 1 or max(found.values()) >= DOUBTS.surely:
        return found
    other, _ = compare_halves(prepared, in_halves(pieces), settings, kinds, rng)
    return {kind: np.sqrt(rand * max(other[kind].rand, 0.0)) for kind, rand in found.items()}


def _normal(settings):
    return replace(settings, emission="gaussian", tails=np.inf)


def _emission(batch, own, unseen, settings):
    """Settings with the emission that is likelier on what is left out; both likelihoods.

    Gaussian states go on from those with heavy tails.
    """
    heavy = left_out_scores(batch, own, unseen)[0]
    weights = (~unseen).astype(float)
    prior = _normal(settings).prior(len(unseen), batch.X.shape[1])
    some, n_iter = batch.with_weights(weights), RACE.fold_iter // 2
    other = iterate(some, own.expected, prior, replace(_normal(settings), verbose=0), n_iter)
    normal = left_out_scores(batch, other, unseen)[0]
    tails = float(np.median(own.prior.tails))
    chosen = replace(settings, emission="t", tails=tails)
    if not _clearly(heavy - normal, tails):
        chosen = _normal(settings)
    return chosen, {"t": float(heavy.mean()), "gaussian": float(normal.mean())}


def _clearly(gain, tails):
    """Whether heavy tails are clearly better on what is left out."""
    error = gain.std(ddof=1) / np.sqrt(len(gain)) if len(gain) > 1 else 0.0
    return tails < RACE.normal_dof and gain.mean() > error


def _on_all(data, run, n_seen, settings, batch_size, rng, journal):
    """Go on with all recordings."""
    more = data.n_samples / n_seen
    expected, prior = run.expected.blend(run.expected, more, 0.0), run.prior
    n_iter = settings.max_iter
    if batch_size is not None:
        expected, prior = stochastic(data, expected, prior, settings, rng, journal, 1 / more)
        n_iter = min(5, n_iter)  # exact passes
    keep = journal.loop("all")
    return iterate(data, expected, prior, settings, n_iter, run.history, keep)


def agreement(batch, run, best):
    """Mean adjusted Rand index of the states of the restarts and those of the best."""
    states = batch.decode(*run.parameters)[0].argmax(-1)
    others = [r for r in range(states.shape[1]) if r != best]
    return float(
        np.mean([adjusted_rand_score(states[:, best], states[:, r]) for r in others] or [1.0])
    )
