"""Worlds whose recordings are like other people's: gains, sessions, tails, spikes, signs, MAR."""

import warnings
from dataclasses import dataclass, replace
from time import process_time

import numpy as np

from sklearn_meg.datasets import make_states
from sklearn_meg.dynamics import HiddenMarkovGraph, StateWarning
from sklearn_meg.dynamics.metrics import state_accuracy

from ..report import row
from .models import peers

SMALL_WORLD = {"n_times": 200, "n_regions": 15}
BASES = {"sessions": "easy", "sessions_mixed": "easy", "sessions_noise": "easy"}
CASES = ("gain", "t5", "spikes", "bad_sample", "signs", *BASES)
SPIKES = {"spikes": (0.01, 10.0), "bad_sample": (1 / 600, 20.0)}  # share of samples, factor
PEERS = ("hmmlearn", "glhmm")
DAMPING = 0.72  # of the past but one, in `mar`


def spoil(case, X, covariance, rng):
    """Recordings (n_subjects, n_regions, n_times) as the case has them."""
    n, d, n_times = X.shape
    if case == "gain":
        return X * rng.lognormal(0, 0.5, (n, d, 1)) + rng.normal(size=(n, d, 1))
    if case == "signs":
        return X * rng.choice([-1.0, 1.0], size=(n, d, 1))
    if case == "t5":
        return X / np.sqrt(rng.chisquare(5, (n, 1, n_times)) / 5)
    if case in SPIKES:
        share, size = SPIKES[case]
        return np.where(rng.uniform(size=(n, 1, n_times)) < share, size, 1.0) * X
    offset = rng.normal(size=(n, d, 1))
    if case == "sessions_noise":
        factors = np.linalg.cholesky([wishart(np.eye(d), d + 5, rng) for _ in range(n)])
        return X + 0.7 * factors @ rng.normal(size=X.shape) + offset
    if case == "sessions_mixed":
        return (np.eye(d) + 0.3 * rng.normal(size=(n, d, d)) / np.sqrt(d)) @ X + offset
    back = np.linalg.inv(np.linalg.cholesky(covariance))
    own = np.linalg.cholesky([wishart(covariance, 2 * d, rng) for _ in range(n)])
    return own @ back @ X + offset


def wishart(covariance, dof, rng):
    """Covariance of so many samples."""
    Z = rng.normal(size=(dof, len(covariance))) @ np.linalg.cholesky(covariance).T
    return Z.T @ Z / dof


def log_densities(case, data, X):
    """Log-density of each sample in each true state, (n_subjects, n_times, n_states)."""
    from scipy.stats import multivariate_normal, multivariate_t

    Y = X.transpose(0, 2, 1) if case in ("t5", *SPIKES) else data.X.transpose(0, 2, 1)
    if case == "t5":
        return np.stack([multivariate_t(shape=c, df=5).logpdf(Y) for c in data.covariances], -1)
    normal = [multivariate_normal(cov=c).logpdf(Y) for c in data.covariances]
    if case in SPIKES:
        share, size = SPIKES[case]
        wide = [multivariate_normal(cov=c * size**2).logpdf(Y) for c in data.covariances]
        pairs = zip(normal, wide)
        normal = [np.logaddexp(np.log(1 - share) + a, np.log(share) + b) for a, b in pairs]
    return np.stack(normal, -1)


def smoothed(log_b, startprob, transmat):
    """Most probable states given all samples, by the forward-backward algorithm."""
    b = np.exp(log_b - log_b.max(-1, keepdims=True))
    forward, backward = np.empty_like(b), np.ones_like(b)
    a = startprob * b[:, 0]
    for t in range(b.shape[1]):
        a = a if t == 0 else (a @ transmat) * b[:, t]
        a = forward[:, t] = a / a.sum(-1, keepdims=True)
    for t in range(b.shape[1] - 2, -1, -1):
        back = (b[:, t + 1] * backward[:, t + 1]) @ transmat.T
        backward[:, t] = back / back.sum(-1, keepdims=True)
    return (forward * backward).argmax(-1)


def spoiled_rows(case, seed, quick=False):
    """Accuracy of ours, of peers and of the oracle that knows how recordings were spoiled."""
    base = BASES.get(case, "hard")
    data = make_states(base, random_state=seed, **(SMALL_WORLD if quick else {}))
    covariance = np.einsum("k,kij->ij", data.startprob, data.covariances)
    X = spoil(case, data.X, covariance, np.random.default_rng(seed))
    best = smoothed(log_densities(case, data, X), data.startprob, data.transmat)
    rows = [row(case, "oracle", "state_accuracy", seed, state_accuracy(data.states, best))]
    return rows + _fitted(case, seed, replace(data, X=X), _models(seed, case, quick))


def _models(seed, case, quick):
    few = {"n_init": 2} if quick else {}
    models = {
        "default": HiddenMarkovGraph(n_states=4, random_state=seed, **few),
        "unaligned": HiddenMarkovGraph(
            n_states=4, align="none", emission="gaussian", random_state=seed, **few
        ),
    }
    known = peers(4, seed, case, quick)
    return {**models, **{name: known[name][0] for name in PEERS if name in known}}


def _fitted(case, seed, data, models):
    rows = []
    for name, model in models.items():
        begun = process_time()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.fit(data.X)
        rows.append(row(case, name, "fit_s", seed, process_time() - begun))
        accuracy = state_accuracy(data.states, model.predict(data.X))
        rows.append(row(case, name, "state_accuracy", seed, accuracy))
        if hasattr(model, "warnings_"):
            said = any(isinstance(w.message, StateWarning) for w in caught)
            rows.append(row(case, name, "warned", seed, float(said)))
    return rows


@dataclass
class Rhythms:
    """Recordings of autoregressive states, X (n_subjects, n_regions, n_times) and their states."""

    X: np.ndarray
    states: np.ndarray


def rhythms(seed, n_times=1500, n_states=3, n_subjects=4, n_regions=2):
    """Two damped oscillators, weakly coupled, that change frequency with the state.

    Couplings that would make a state explode (one draw in twelve) are drawn again.
    """
    rng = np.random.default_rng(seed)
    frequencies = 0.04 + 0.4 * (np.arange(n_states) + 0.5 * rng.uniform(size=n_states)) / n_states
    eye = np.eye(n_regions)
    alone = 1.7 * np.cos(2 * np.pi * frequencies)[:, None, None] * eye
    first = alone + np.nan
    while not is_stable(first):
        first = alone + 0.1 * (1 - eye) * rng.normal(size=alone.shape)
    stays = rng.uniform(size=(n_subjects, n_times)) < 0.98
    states = rng.integers(n_states, size=(n_subjects, n_times))
    X = rng.normal(size=(n_subjects, n_times, n_regions))
    for t in range(1, n_times):
        states[:, t] = np.where(stays[:, t], states[:, t - 1], states[:, t])
        X[:, t] += np.einsum("rij,rj->ri", first[states[:, t]], X[:, t - 1])
        if t > 1:
            X[:, t] -= DAMPING * X[:, t - 2]
    return Rhythms(np.ascontiguousarray(X.transpose(0, 2, 1)), states)


def is_stable(first):
    """Whether the oscillators of all states are damped: eigenvalues of the companion matrices."""
    if np.isnan(first).any():
        return False
    eye = np.broadcast_to(np.eye(first.shape[-1]), first.shape)
    top = np.concatenate([first, -DAMPING * eye], axis=2)
    whole = np.concatenate([top, np.concatenate([eye, 0 * eye], axis=2)], axis=1)
    return abs(np.linalg.eigvals(whole)).max() < 0.98


def mar_rows(seed, quick=False):
    """Autoregressive states of two channels, by each emission."""
    data = rhythms(seed, 300 if quick else 1500)
    models = {
        "default": HiddenMarkovGraph(n_states=3, emission="mar", random_state=seed),
        "gaussian": HiddenMarkovGraph(n_states=3, emission="gaussian", random_state=seed),
        "t": HiddenMarkovGraph(n_states=3, emission="t", random_state=seed),
    }
    return _fitted("mar", seed, data, models)
