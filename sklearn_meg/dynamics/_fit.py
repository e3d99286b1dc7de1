"""The course of a fit: alignment, guesses, what is left out decides, the best to the end."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from sklearn.metrics import adjusted_rand_score

from ._em import Run, iterate, stochastic
from ._prepare import Prepared, fold_spans, some_recordings
from ._race import close_to_best, far, guesses, left_out, left_out_scores, race
from ._settings import RACE
from ._starts import kinds_of


@dataclass
class Found:
    """States of a fit, and how they were found.

    Attributes
    ----------
    data : Batch or Stream
    run : Run
        Of the best restart.
    settings : Settings
        With the chosen emission.
    restarts : ndarray
        Objective of the finalists.
    stability : float
    starts : dict of ndarray
        ``kind`` and left-out ``loglik`` of each restart.
    emissions : dict
        Left-out log-likelihood of each emission; empty where one was given.
    """

    data: object
    run: Run
    settings: object
    restarts: np.ndarray
    stability: float
    starts: dict
    emissions: dict


def find_states(prepared: Prepared, settings, batch_size, rng, journal):
    """Race, and go on with all recordings."""
    recordings = prepared.recordings
    data = prepared.data(batch_size)
    spans, few = some_recordings(recordings)
    small = few.lengths.sum() == recordings.lengths.sum() and batch_size is None
    racers = data if small else prepared.batch(few)
    kinds = kinds_of(settings.init, settings.n_init)
    gamma, counts = guesses(racers, settings, kinds, rng)
    judged = judge(prepared, settings, kinds, rng)
    settings, starts, emissions = judged
    keep = close_to_best(starts["scores"])
    finalists = race(racers, gamma[:, keep], counts, settings, journal)
    best = int(np.nanargmax(finalists.objective))
    run = finalists.pick([best])
    if not small:
        run = _on_all(data, run, racers.n_samples, settings, batch_size, rng, journal)
    return Found(
        data,
        run,
        settings,
        np.sort(finalists.objective)[::-1],
        agreement(racers, finalists, best),
        {"kind": np.array(kinds), "loglik": starts["scores"].mean(1)},
        emissions,
    )


def judge(prepared, settings, kinds, rng):
    """Scores of restarts by recordings that are left out, and the emission."""
    seed = np.random.RandomState(rng.randint(2**31 - 1))
    unknown = {"scores": np.zeros((len(kinds), 1))}
    if len(kinds) == 1 and settings.emission != "auto":
        return settings, unknown, {}
    batch = prepared.batch(prepared.recordings.cut(fold_spans(prepared.recordings)))
    gamma, counts = guesses(batch, settings, kinds, seed)
    run, unseen = left_out(batch, gamma, counts, settings)
    outliers = far(batch) > RACE.far  # would decide alone
    scores = left_out_scores(batch.without(outliers), run, unseen)
    best = int(scores.mean(1).argmax())
    if settings.emission != "auto":
        return settings, {"scores": scores}, {}
    tails = float(np.median(run.prior.tails.reshape(len(kinds), -1)[best]))
    heavy = left_out_scores(batch, run, unseen)[best]
    normal = replace(settings, emission="gaussian", tails=np.inf)
    run, _ = left_out(batch, gamma[:, [best]], counts, normal)
    other = left_out_scores(batch, run, unseen)[0]
    settings = replace(settings, emission="t", tails=tails)
    if not _clearly(heavy - other, tails):
        settings = normal
    emissions = {"t": float(heavy.mean()), "gaussian": float(other.mean())}
    return settings, {"scores": scores}, emissions


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
        expected, prior = stochastic(data, expected, prior, settings, rng, journal)
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
