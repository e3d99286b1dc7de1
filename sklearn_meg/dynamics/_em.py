"""Expectation maximisation: restarts side by side, then the winner alone."""

from dataclasses import dataclass, replace

import numpy as np

from ._chain import forward_backward, make_layout
from ._emissions import Samples
from ._factors import choose_shape, shaped
from ._posterior import (
    LOG_2PI,
    Prior,
    best_prior,
    centred,
    chain_parts,
    log_density_parts,
    penalty,
    update,
)
from ._starts import first_guesses

RACE_SAMPLES = 20000  # restarts are compared on so many
RACE_ITER, N_FINALISTS = 8, 3
PRIOR_EVERY = 5  # iterations
SHAPE_ITER = 12
MAX_FOLDS = 5


@dataclass
class Settings:
    """What a fit needs to know; see the parameters of HiddenMarkovGraph."""

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
    verbose: int = 0

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
        return Prior(dof * ones, scale * ones, mean_weight, trans)

    @property
    def learns_prior(self):
        """Whether the weight of the prior is chosen by the data."""
        return self.covariance != "full" and self.prior_weight is None


@dataclass
class Expected:
    """What an E-step finds: moments, first states, transitions, log-likelihood."""

    moments: tuple
    starts: np.ndarray
    transitions: np.ndarray
    log_likelihood: np.ndarray

    def pick(self, which):
        """Some restarts."""
        return Expected(
            tuple(m[which] for m in self.moments),
            self.starts[which], self.transitions[which], self.log_likelihood[which],
        )  # fmt: skip

    def __add__(self, other):
        return self.blend(other, 1.0, 1.0)

    def blend(self, other, own, others):
        """Weighted sum of two."""
        return Expected(
            tuple(own * a + others * b for a, b in zip(self.moments, other.moments)),
            own * self.starts + others * other.starts,
            own * self.transitions + others * other.transitions,
            own * self.log_likelihood + others * other.log_likelihood,
        )


class Batch:
    """Some recordings in memory, standardised."""

    def __init__(self, recordings, centre, spread):
        X, missing = recordings.samples()
        X = (X - centre) / spread
        if missing is not None:
            X[missing] = 0
        self.X, self.missing, self.lengths = X, missing, recordings.lengths
        self.samples = Samples(X, missing)
        self._layouts = {}

    def expect(self, mean, factor, constant, log_start, log_trans):
        """E-step: Expected, and the state probabilities."""
        log_b = self.samples.log_density(mean, factor, constant)
        n_restarts, n_states = constant.shape
        if n_restarts not in self._layouts:
            self._layouts[n_restarts] = make_layout(self.lengths, n_states, n_restarts)
        layout = self._layouts[n_restarts]
        gamma, starts, trans, log_l = forward_backward(log_b, log_start, log_trans, layout)
        return Expected(self.samples.moments(gamma), starts, trans, log_l), gamma

    def fold_moments(self, gamma, folds):
        """Moments of one restart by fold."""
        return [
            tuple(m[0] for m in self.samples.moments(gamma * (folds == f)[:, None, None]))
            for f in range(folds.max() + 1)
        ]


def folds_of(lengths):
    """Fold of each sample: recordings, or pieces of them where there are few."""
    lengths = np.asarray(lengths)
    if len(lengths) >= 3:
        return np.repeat(np.arange(len(lengths)) % MAX_FOLDS, lengths)
    return np.concatenate([np.arange(n) * MAX_FOLDS // n for n in lengths])


def m_step(expected, prior, settings, choose=False):
    """Parameters, and the numbers that the next E-step and the objective need."""
    if choose and settings.learns_prior:
        dof, scale = best_prior(expected.moments, prior.mean_weight)
        prior = replace(prior, dof=dof, scale=scale)
    states = update(expected.moments, expected.starts, expected.transitions, prior)
    factor, constant, log_det = log_density_parts(states, settings.variational)
    taken = penalty(states, prior, factor, log_det, settings.variational)
    chain = chain_parts(states, settings.variational)
    return states, prior, (states.mean, factor, constant, *chain), taken


def race(batch, settings, rng):
    """Several restarts: all for some iterations, the best to the end.

    Returns
    -------
    expected : Expected
        Of the finalists, the best first.
    prior : Prior
    scores : ndarray
        Objective of the finalists per sample.
    gamma : ndarray of shape (n_samples, n_finalists, n_states)
    history : list of float
    """
    n, d = batch.X.shape
    guess = first_guesses(
        batch.X, batch.lengths, settings.n_states, settings.n_init, settings.init,
        settings.windows, rng,
    )  # fmt: skip
    expected = _expected_of_guess(batch, guess)
    prior = settings.prior(settings.n_init, d)
    run = iterate(batch.expect, expected, prior, settings, RACE_ITER, n)
    order = np.argsort(-run.objective, kind="stable")[:N_FINALISTS]
    run = iterate(
        batch.expect, run.expected.pick(order), _pick_prior(run.prior, order), settings,
        settings.max_iter, n, run.history,
    )  # fmt: skip
    return run


def _pick_prior(prior, which):
    return replace(prior, dof=prior.dof[which], scale=prior.scale[which])


def _expected_of_guess(batch, gamma):
    n, n_restarts, n_states = gamma.shape
    stays = 0.85 * n / n_states
    transitions = np.full((n_restarts, n_states, n_states), 0.15 * n / n_states**2)
    transitions += stays * np.eye(n_states)
    starts = np.full((n_restarts, n_states), len(batch.lengths) / n_states)
    return Expected(batch.samples.moments(gamma), starts, transitions, np.zeros(n_restarts))


@dataclass
class Run:
    """Where iterations ended, all restarts."""

    expected: Expected
    prior: Prior
    objective: np.ndarray
    gamma: np.ndarray | None
    history: list
    converged: bool
    parameters: tuple

    @property
    def best(self):
        """The restart with the highest objective."""
        return int(np.argmax(self.objective))


def iterate(expect, expected, prior, settings, n_iter, n_samples, history=()):
    """Alternate M- and E-steps until the objective of every restart stands still."""
    history, previous, converged = list(history), None, False
    for step in range(n_iter):
        choose = step % PRIOR_EVERY == 0
        _, prior, parameters, taken = m_step(expected, prior, settings, choose)
        expected, gamma = expect(*parameters)
        objective = (expected.log_likelihood - taken) / n_samples
        _check_finite(objective, len(history))
        history.append(float(objective.max()))
        if settings.verbose:
            print(f"iteration {len(history)}: objective per sample {objective.max():.6f}")
        # A prior chosen anew may lower the objective of the iteration after it.
        if previous is not None and not choose and np.all(objective - previous < settings.tol):
            converged = True
            break
        previous = objective
    return Run(expected, prior, objective, gamma, history, converged, parameters)


def _check_finite(objective, step):
    if not np.isfinite(objective).any():
        raise ValueError(
            f"The likelihood is not finite after {step + 1} iterations. Are regions copies or sums "
            "of each other? covariance='shrunk' can bear it."
        )


def shape_states(expect, gamma_folds, run, settings, n_samples):
    """Shrink the covariances of the winner towards factor models, and iterate again.

    Returns
    -------
    expected : Expected
    shape : Shape
    mean, covariance : ndarray of shape (n_states, ...)
    """
    prior = _pick_prior(run.prior, [0])
    expected, shape = run.expected, None

    def shrink(scatter, counts):
        return _shrunk(scatter, counts, prior)

    def centre(counts, sums, products):
        return centred(counts, sums, products, prior.mean_weight)

    ranks = None if settings.rank is None else [settings.rank]
    shape = choose_shape(gamma_folds, centre, shrink, ranks)
    previous = -np.inf
    for _ in range(SHAPE_ITER):
        mean, covariance = shaped_parameters(expected, prior, shape)
        parameters = plug_in(mean[None], covariance[None], expected, prior)
        expected, gamma = expect(*parameters)
        log_l = expected.log_likelihood[0] / n_samples
        if log_l - previous < settings.tol:
            break
        previous = log_l
    return expected, shape, gamma


def _shrunk(scatter, counts, prior):
    d = np.arange(scatter.shape[-1])
    inner = scatter.copy()
    inner[..., d, d] += prior.dof * prior.scale
    return inner / (counts + prior.dof)[..., None, None]


def shaped_parameters(expected, prior, shape):
    """Means and covariances (n_states, ...) of the only restart, in a shape."""
    counts, sums, products = (m[0] for m in expected.moments)
    mean, scatter = centred(counts, sums, products, prior.mean_weight)
    return mean, shaped(scatter, counts, _shrunk(scatter, counts, prior), shape)


def plug_in(mean, covariance, expected, prior):
    """What an E-step needs, with the parameters taken at their estimates."""
    start = expected.starts + prior.start
    trans = expected.transitions + prior.trans
    return (
        mean,
        *plug_in_density(covariance),
        np.log(start / start.sum(-1, keepdims=True)),
        np.log(trans / trans.sum(-1, keepdims=True)),
    )


def plug_in_density(covariance):
    """Factor of the precision and constant of Gaussian log-densities."""
    lower = np.linalg.cholesky(covariance)
    log_det = 2 * np.log(np.diagonal(lower, axis1=-2, axis2=-1)).sum(-1)
    factor = np.linalg.inv(lower).swapaxes(-1, -2)
    return factor, -(log_det + covariance.shape[-1] * LOG_2PI) / 2
