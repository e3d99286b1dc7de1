"""Whether states differ in rhythm, where only means and covariances were looked at.

States of the same covariance and other spectra are invisible to Gaussian and t states: what is
found then is something else, and may well return in halves of the recordings. An autoregressive
model of the leading components is fitted to both halves: if its states return, and are others, say
so.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.ndimage import uniform_filter1d
from sklearn.metrics import adjusted_rand_score

from ._align import Aligner
from ._em import iterate
from ._generalization import returned
from ._prepare import Prepared
from ._race import expected_of_guess, guesses
from ._recordings import Recordings
from ._settings import RACE, RHYTHM


def hidden_rhythms(prepared, pieces, run, settings, rng):
    """Whether autoregressive states return in halves, and are others than those found.

    pieces (Recordings): Recordings, or pieces of them.
    run (Run): The states that were found.
    rng (RandomState)
    Returns rand: Adjusted Rand index of autoregressive states of both halves; 0 where samples of
        the found states hardly depend on those before, or the states are the same.
    """
    batch = prepared.batch(pieces)
    found = batch.decode(*run.parameters)[0][:, 0].argmax(1)
    if settings.n_states == 1 or min(batch.lengths) < RHYTHM.least_piece:
        return 0.0
    if dependence(batch, found, run.parameters) < RHYTHM.dependence:
        return 0.0
    states, there = _states_of_halves(batch, settings, rng)
    rand = returned(*states[:, there], settings.n_states)
    same = max(adjusted_rand_score(found[there], s[there]) for s in states)
    return rand if same < RHYTHM.same * rand else 0.0


def dependence(batch, states, parameters):
    """Correlation of whitened residuals with those of the samples before, the largest lag.

    The root mean square over components, less what it is by chance.
    """
    mean, factor = (p[0] for p in parameters[:2])
    Z = np.stack([(x - mean[k]) @ factor[k] for x, k in zip(batch.X, states)])
    Z /= np.maximum(np.sqrt((Z**2).mean(1, keepdims=True)), 1e-12)  # heavy tails hardly count
    first = np.cumsum(batch.lengths) - batch.lengths
    found = []
    for lag in RHYTHM.lags:
        ends = np.ones(len(Z), bool)
        for shift in range(lag):
            ends[(first + shift)[shift < batch.lengths]] = False
        if batch.missing is not None:
            ends[batch.missing | np.r_[np.zeros(lag, bool), batch.missing[:-lag]]] = False
        products = (Z[lag:] * Z[:-lag])[ends[lag:]]
        found.append((products.mean(0) ** 2).mean() - 1 / max(len(products), 1))
    return float(np.sqrt(max(*found, 0.0)))


def _states_of_halves(batch, settings, rng):
    """States that either half of the recordings finds in all samples, and which samples count."""
    whole = _components(batch)
    settings = replace(
        settings, emission="mar", tails=np.inf, order=RHYTHM.order, verbose=0, known=None
    )
    states, n = [], len(batch.lengths)
    data = whole.batch()
    for half in (range(0, n, 2), range(1, n, 2)):
        some = whole.batch(whole.recordings.pick(half))
        gamma, counts = guesses(some, settings, RHYTHM.kinds, rng)
        prior = settings.prior(len(RHYTHM.kinds), some.X.shape[1])
        run = iterate(some, expected_of_guess(some, gamma, counts), prior, settings, RACE.half_iter)
        best = run.pick([int(np.nanargmax(run.objective))])
        states.append(data.decode(*best.parameters)[0][:, 0].argmax(1))
    return np.array(states), ~data.missing


def _components(batch):
    """The leading components of all samples, of unit variance and even loudness, as recordings."""
    there = np.ones(len(batch.X), bool) if batch.missing is None else ~batch.missing
    values, vectors = np.linalg.eigh(np.cov(batch.X[there].T).reshape(2 * (batch.X.shape[1],)))
    n = min(RHYTHM.n_components, len(values))
    Z = batch.X @ (vectors[:, -n:] / np.sqrt(np.maximum(values[-n:], 1e-12)))
    borders = np.cumsum(batch.lengths)[:-1]
    Z = np.concatenate([_leveled(part) for part in np.split(Z, borders)])
    Z[~there] = np.nan
    recordings = Recordings(np.split(Z, borders), "list")
    scale = np.zeros(n), np.ones(n)
    return Prepared(recordings, recordings, *scale, Aligner("none", None), {}, RHYTHM.order)


def _leveled(part):
    """A recording whose loudness does not change over time: that is no rhythm."""
    level = uniform_filter1d((part**2).mean(1), min(RHYTHM.level, len(part)))
    return part / np.sqrt(np.maximum(level, 1e-12))[:, None]
