"""Expectation maximization: restarts side by side, then the winner alone."""

from copy import copy
from dataclasses import dataclass, replace

import numpy as np

from .._saving.checkpoint import FORGET
from ._chain import forward_backward, make_layout
from ._emissions import Samples
from ._factors import choose_shape, shaped, toned
from ._mar import lagged, mar_m_step
from ._posterior import (
    LOG_2PI,
    Prior,
    best_prior,
    centered,
    chain_parts,
    log_density_parts,
    penalty,
    update,
)
from ._tails import log_t, moved, neighbor_scores, weight

N_EPOCHS, FORGETTING = 2, 0.6  # of stochastic updates
PRIOR_EVERY = 5  # iterations
REACH = 20  # iterations at the present gain, in which a restart must be able to win
SHAPE_ITER = 12
MAX_FOLDS = 5


@dataclass
class Settings:
    """Settings of a fit; see the parameters of HiddenMarkovGraph."""

    n_states: int
    variational: bool
    covariance: str
    rank: int | None
    prior_weight: float | None
    means: bool
    transition_prior: float
    stay_prior: float
    n_init: int
    init: str
    windows: tuple
    max_iter: int
    tol: float
    emission: str = "gaussian"
    tails: float = np.inf
    order: int = 0
    verbose: int = 0
    known: object = None

    def prior(self, n_restarts, n_regions):
        """The prior before anything is known."""
        trans = np.full((self.n_states, self.n_states), float(self.transition_prior))
        trans[np.diag_indices(self.n_states)] += self.stay_prior
        if self.covariance == "full":
            dof = float(n_regions) if self.variational else 1e-6
            scale = 1e-3 / dof
        else:
            dof = float(self.prior_weight or n_regions + 10)
            scale = 1.0
        mean_weight = (1.0 if self.variational else 1e-6) if self.means else np.inf
        ones = np.ones(n_restarts)
        return Prior(dof * ones, scale * ones, mean_weight, trans, tails=self.tails * ones)

    @property
    def learns_prior(self):
        """Whether the weight of the prior is chosen by the data."""
        return self.covariance != "full" and self.prior_weight is None


@dataclass
class Expected:
    """Result of an E-step: moments, first states, transitions, log-likelihood."""

    moments: tuple
    starts: np.ndarray
    transitions: np.ndarray
    log_likelihood: np.ndarray
    tail_scores: np.ndarray

    def pick(self, which):
        """Some restarts."""
        return Expected(
            tuple(m[which] for m in self.moments),
            self.starts[which],
            self.transitions[which],
            self.log_likelihood[which],
            self.tail_scores[which],
        )

    def blend(self, other, own, others):
        """Weighted sum of two."""
        return Expected(
            tuple(own * a + others * b for a, b in zip(self.moments, other.moments)),
            own * self.starts + others * other.starts,
            own * self.transitions + others * other.transitions,
            own * self.log_likelihood + others * other.log_likelihood,
            own * self.tail_scores + others * other.tail_scores,
        )


class Batch:
    """Some recordings in memory, standardized."""

    def __init__(self, recordings, center, spread, weights=None, order=0, known=None):
        X, missing = recordings.samples()
        X = (X - center) / spread
        if missing is not None:
            X[missing] = 0
        self.X, self.Y, self.missing, self.lengths = X, X, missing, recordings.lengths
        if order:
            self.Y, self.missing = lagged(X, self.lengths, order, missing)
        self.samples = Samples(self.Y, self.missing)
        self.weights, self.known = weights, known
        self.states = recordings.states and np.concatenate(recordings.states)
        self._layouts = {}

    @property
    def n_samples(self):
        """Samples that are not missing; of each restart if recordings count differently."""
        if self.weights is not None:
            return self.weights @ self.n_present()
        return len(self.X) if self.missing is None else int((~self.missing).sum())

    def n_present(self):
        """Samples of each recording that are not missing."""
        if self.missing is None:
            return self.lengths
        return np.add.reduceat(~self.missing, np.cumsum(self.lengths) - self.lengths, dtype=int)

    def with_weights(self, weights):
        """The same samples, where restarts see recordings with these weights."""
        other = copy(self)
        other.weights = weights
        return other

    def without(self, which):
        """The same recordings, where more samples say nothing."""
        other = copy(self)
        other.missing = which if self.missing is None else self.missing | which
        return other

    def log_density(self, mean, factor, constant, tails):
        """Log-densities, and squared distances where tails are heavy (else None)."""
        log_b, distance = self.samples.log_density(mean, factor, constant), None
        if not np.isinf(tails).all():
            distance = np.maximum(2 * (constant - log_b), 0)
            log_b = log_t(distance, constant, tails[:, None], mean.shape[-1])
        if self.missing is not None:
            log_b[self.missing] = 0
        return log_b, distance

    def decode(self, mean, factor, constant, tails, log_start, log_trans):
        """State probabilities (n_samples, n_restarts, n_states), starts, transitions, log p(X)."""
        return self._decoded(mean, factor, constant, tails, log_start, log_trans)[0]

    def _decoded(self, mean, factor, constant, tails, log_start, log_trans):
        log_b, distance = self.log_density(mean, factor, constant, tails)
        n_restarts, n_states = constant.shape
        if n_restarts not in self._layouts:
            self._layouts[n_restarts] = make_layout(self.lengths, n_states, n_restarts)
        layout = self._layouts[n_restarts]
        return forward_backward(log_b, log_start, log_trans, layout, self.weights), distance

    def expect(self, *parameters):
        """E-step."""
        (gamma, starts, trans, by_recording), distance = self._decoded(*parameters)
        if self.weights is not None:
            gamma *= np.repeat(self.weights.T, self.lengths, axis=0)[..., None]
            by_recording = by_recording * self.weights
        gamma, scores = self._counted(gamma, distance, parameters[3])
        log_likelihood = by_recording.sum(1)
        return Expected(self.moments(gamma), starts, trans, log_likelihood, scores)

    def _counted(self, gamma, distance, tails):
        """Probabilities times how much samples count, and scores of the tails."""
        if distance is None:
            return gamma, np.zeros((len(tails), 3))
        if self.missing is not None:
            gamma[self.missing] = 0
        d = self.X.shape[1]
        scores = neighbor_scores(distance, gamma, tails, d)
        return gamma * weight(distance, tails[:, None], d), scores

    def moments(self, gamma):
        """Weighted moments; about means that are known."""
        found = self.samples.moments(gamma)
        return found if self.known is None else self.known.about(*found)

    def fold_moments(self, parameters, folds=None):
        """Moments of the only restart by fold; a dict."""
        (gamma, *_), distance = self._decoded(*parameters)
        gamma, _ = self._counted(gamma, distance, parameters[3])
        folds = folds_of(self.lengths) if folds is None else folds
        names = np.unique(folds)
        some = len(names) if self.samples.products is not None else 1  # at once
        found = {}
        for start in range(0, len(names), some):
            now = names[start : start + some]
            moments = self.moments(gamma * (folds[:, None] == now)[..., None])
            found |= {f: tuple(m[i] for m in moments) for i, f in enumerate(now)}
        return found


class Stream:
    """The same for recordings that are read in turn, some at a time."""

    def __init__(self, recordings, center, spread, batch_size, order=0, known=None):
        self.recordings, self.batch_size, self.order = recordings, batch_size, order
        self.known = known
        self.center, self.spread = center, spread
        self.n_samples = recordings.n_present()

    def batches(self, order=None):
        """Batches, and the recordings that are in them."""
        order = np.arange(len(self.recordings.parts)) if order is None else order
        for start in range(0, len(order), self.batch_size):
            which = order[start : start + self.batch_size]
            some = self.recordings.pick(which)
            yield Batch(some, self.center, self.spread, None, self.order, self.known), which

    def expect(self, *parameters):
        """E-step."""
        return sum_of(batch.expect(*parameters) for batch, _ in self.batches())

    def fold_moments(self, parameters):
        """Moments of the only restart by fold; a dict."""
        folds, found = recording_folds(len(self.recordings.parts)), {}
        for batch, which in self.batches():
            where = None if folds is None else np.repeat(folds[which], batch.lengths)
            for fold, moments in batch.fold_moments(parameters, where).items():
                before = found.get(fold)
                found[fold] = moments if before is None else add(before, moments)
        return found


def add(a, b):
    """Sum of moments."""
    return tuple(x + y for x, y in zip(a, b))


def sum_of(parts):
    """Sum of `Expected`."""
    total = None
    for part in parts:
        total = part if total is None else total.blend(part, 1.0, 1.0)
    return total


def recording_folds(n):
    """Fold of each recording; None where there are few."""
    return np.arange(n) % MAX_FOLDS if n >= 3 else None


def folds_of(lengths):
    """Fold of each sample: its recording's, or pieces of recordings where there are few."""
    folds = recording_folds(len(lengths))
    if folds is not None:
        return np.repeat(folds, lengths)
    return np.concatenate([np.arange(n) * MAX_FOLDS // n for n in lengths])


def m_step(expected, prior, settings, choose=False):
    """Parameters, and the numbers that the next E-step and the objective need."""
    if choose and settings.learns_prior:
        dof, scale = best_prior(expected.moments, prior.mean_weight)
        prior = replace(prior, dof=dof, scale=scale)
    if settings.order:
        return mar_m_step(expected, prior, settings, choose)
    if not np.isinf(prior.tails).all():
        prior = replace(prior, tails=moved(prior.tails, expected.tail_scores))
    states = update(expected.moments, expected.starts, expected.transitions, prior)
    factor, constant, log_det = log_density_parts(states, settings.variational)
    taken = penalty(states, prior, factor, log_det, settings.variational)
    chain = chain_parts(states, settings.variational)
    parameters = states.mean, factor, constant, prior.tails, *chain
    if settings.known is not None:
        return states, prior, settings.known.into(parameters), np.zeros(len(taken))
    return states, prior, parameters, taken


def stochastic(stream, expected, prior, settings, rng, journal, seen):
    """Parameters that follow batches of recordings (Hoffman et al. 2013, JMLR 14).

    Moments of a batch, scaled to all recordings, are blended into the running ones with a weight
    that falls with the number of steps; the moments to begin with are of a share `seen`, as so many
    steps. Otherwise a single recording would take their place, and states that it lacks be lost.
    """
    n = len(stream.recordings.parts)
    order = np.concatenate([rng.permutation(n) for _ in range(N_EPOCHS)])
    keep = journal.loop("passes")  # after the order was drawn, so that it is the same again
    run = _from_tree(keep.state) or Run(expected, prior, None, [], False, ())
    a_pass = -(-n // stream.batch_size)
    while run.step < N_EPOCHS * a_pass:
        epoch, place = divmod(run.step, a_pass)
        own = order[epoch * n : (epoch + 1) * n][place * stream.batch_size :]
        batch, which = next(stream.batches(own))
        run = _stepped(batch, len(which) / n, run, settings, seen * a_pass)
        keep.write(lambda run=run: _as_tree(run), now=run.step == N_EPOCHS * a_pass)
    return run.expected, run.prior


def _stepped(batch, share, run, settings, before):
    """One batch more, after so many steps before the first."""
    choose = run.step % PRIOR_EVERY == 0
    _, prior, parameters, _ = m_step(run.expected, run.prior, settings, choose)
    rate = (1 + before + run.step) ** -FORGETTING
    expected = run.expected.blend(batch.expect(*parameters), 1 - rate, rate / share)
    return replace(run, expected=expected, prior=prior, step=run.step + 1)


def pick_prior(prior, which):
    """The prior of some restarts."""
    names = [n for n in ("dof", "scale", "tails", "ridge") if getattr(prior, n) is not None]
    return replace(prior, **{name: getattr(prior, name)[which] for name in names})


@dataclass
class Run:
    """State of all restarts at the end of the iterations."""

    expected: Expected
    prior: Prior
    objective: np.ndarray
    history: list
    converged: bool
    parameters: tuple
    step: int = 0

    def pick(self, which):
        """Some restarts."""
        return Run(
            self.expected.pick(which),
            pick_prior(self.prior, which),
            self.objective[which],
            self.history,
            self.converged,
            tuple(p[which] for p in self.parameters),
        )


def iterate(data, expected, prior, settings, n_iter, history=(), keep=FORGET):
    """Alternate M- and E-steps until the objective of every restart stands still.

    data (Batch or Stream)
    expected, prior (Expected, Prior): Starting point.
    history (sequence of float): Values of earlier iterations.
    keep (Loop): Checkpoint from which a killed run resumes.
    """
    run = _from_tree(keep.state) or Run(expected, prior, None, list(history), False, (), 0)
    while run.step < n_iter and not run.converged:
        run = _iterated(data, run, settings)
        ended = run.step == n_iter or run.converged
        keep.write(lambda run=run: _as_tree(run), now=ended)
    return run


def _iterated(data, run, settings):
    """One iteration more."""
    choose = run.step % PRIOR_EVERY == 0
    _, prior, parameters, taken = m_step(run.expected, run.prior, settings, choose)
    expected = data.expect(*parameters)
    objective = (expected.log_likelihood - taken) / data.n_samples
    _check_finite(objective, len(run.history))
    history = [*run.history, float(objective.max())]
    if settings.verbose:
        print(f"iteration {len(history)}: objective per sample {history[-1]:.6f}")
    converged = False
    # A prior chosen anew may lower the objective of the iteration after it.
    if run.objective is not None and not choose:
        gain = objective - run.objective
        slow = (gain < settings.tol) | (objective + REACH * gain < objective.max())
        converged = bool(slow.all())
    return Run(expected, prior, objective, history, converged, parameters, run.step + 1)


def _as_tree(run):
    """A run as plain values and arrays."""
    return {**vars(run), "expected": vars(run.expected), "prior": vars(run.prior)}


def _from_tree(tree):
    """The run that was kept; None if none was."""
    if tree is None:
        return None
    return Run(
        **{**tree, "expected": Expected(**tree["expected"]), "prior": Prior(**tree["prior"])}
    )


def _check_finite(objective, step):
    if not np.isfinite(objective).any():
        raise ValueError(
            f"The likelihood is not finite after {step + 1} iterations. Are regions copies or sums "
            "of each other? Then use covariance='shrunk'."
        )


def shape_states(data, run, settings):
    """Shrink the covariances of the winner towards factor models, and iterate again.

    Returns expected (Expected), shape (Shape), parameters (tuple)
    """
    prior, expected = run.prior, run.expected
    shape = shape_of(data.fold_moments(run.parameters), prior, settings.rank)
    previous = -np.inf
    for _ in range(SHAPE_ITER):
        mean, covariance = shaped_parameters(expected, prior, shape)
        parameters = plug_in(mean[None], covariance[None], expected, prior)
        if settings.known is not None:
            parameters = settings.known.into(parameters)
        expected = data.expect(*parameters)
        log_likelihood = expected.log_likelihood[0] / data.n_samples
        if log_likelihood - previous < settings.tol:
            break
        previous = log_likelihood
    return expected, shape, parameters


def shape_of(moments, prior, rank):
    """The shape that moments by fold choose."""
    return choose_shape(
        list(moments.values()),
        lambda counts, sums, products: centered(counts, sums, products, prior.mean_weight),
        lambda scatter, counts: _shrunk(scatter, counts, prior),
        None if rank is None else [rank],
    )


def _shrunk(scatter, counts, prior):
    d = np.arange(scatter.shape[-1])
    inner = scatter.copy()
    inner[..., d, d] += prior.dof * prior.scale
    return inner / (counts + prior.dof)[..., None, None]


def shaped_parameters(expected, prior, shape):
    """Means and covariances (n_states, ...) of the only restart, in a shape."""
    counts, sums, products = (m[0] for m in expected.moments)
    mean, scatter = centered(counts, sums, products, prior.mean_weight)
    if shape.tone is not None:
        return toned(mean, scatter, counts, lambda *some: _shrunk(*some, prior), shape)
    return mean, shaped(scatter, counts, _shrunk(scatter, counts, prior), shape)


def plug_in(mean, covariance, expected, prior):
    """Input of an E-step, with the parameters taken at their estimates."""
    start = expected.starts + prior.start
    trans = expected.transitions + prior.trans
    return (
        mean,
        *plug_in_density(covariance),
        prior.tails,
        np.log(start / start.sum(-1, keepdims=True)),
        np.log(trans / trans.sum(-1, keepdims=True)),
    )


def plug_in_density(covariance):
    """Factor of the precision and constant of Gaussian log-densities."""
    lower = np.linalg.cholesky(covariance)
    log_det = 2 * np.log(np.diagonal(lower, axis1=-2, axis2=-1)).sum(-1)
    factor = np.linalg.inv(lower).swapaxes(-1, -2)
    return factor, -(log_det + covariance.shape[-1] * LOG_2PI) / 2
