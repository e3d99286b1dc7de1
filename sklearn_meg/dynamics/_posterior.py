"""What the moments say of the parameters: variational posteriors and estimates.

All in coordinates where the prior covariance of a state is a multiple of the identity, and with all
restarts side by side: arrays begin with (n_restarts, n_states).
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import digamma, gammaln, multigammaln

LOG_2PI = np.log(2 * np.pi)
SCALES = np.exp(np.linspace(-1.5, 1.5, 13))
GRID = 24  # degrees of freedom tried


@dataclass
class Prior:
    """Prior of the states and of the chain.

    dof, scale (n_restarts,): Degrees of freedom and scale of the inverse Wishart distribution: its
        inverse scale matrix is dof * scale * identity.
    mean_weight: Samples that the prior mean, zero, counts as; infinite for states without mean.
    trans (n_states, n_states): Dirichlet parameters of the transitions.
    start: Dirichlet parameter of the first state.
    tails (n_restarts,): Degrees of freedom of the samples; infinite for Gaussian states.
    ridge (n_restarts,) or None: Precision of the weights of autoregressive states, in samples.
    """

    dof: np.ndarray
    scale: np.ndarray
    mean_weight: float
    trans: np.ndarray
    start: float = 1.0
    tails: np.ndarray | None = None
    ridge: np.ndarray | None = None


@dataclass
class States:
    """Parameters of Gaussian states and of the chain, or their posterior.

    counts (n_restarts, n_states): Samples of each state.
    mean (n_restarts, n_states, n_regions)
    scatter (n_restarts, n_states, n_regions, n_regions): Inverse scale matrix of the inverse
        Wishart posterior; the covariance times `dof`.
    dof, mean_weight (n_restarts, n_states)
    start (n_restarts, n_states): Dirichlet parameters.
    trans (n_restarts, n_states, n_states)
    """

    counts: np.ndarray
    mean: np.ndarray
    scatter: np.ndarray
    dof: np.ndarray
    mean_weight: np.ndarray
    start: np.ndarray
    trans: np.ndarray

    @property
    def covariance(self):
        """The inverse of the expected precision."""
        return self.scatter / self.dof[..., None, None]

    def pick(self, which):
        """Some restarts."""
        return States(*(getattr(self, f)[which] for f in self.__dataclass_fields__))


def centered(counts, sums, products, mean_weight):
    """Means and scatter about them, (n_restarts, n_states, ...)."""
    if np.isinf(mean_weight):
        return np.zeros_like(sums), products
    mean = sums / (counts + mean_weight)[..., None]
    return mean, products - mean[..., :, None] * sums[..., None, :]


def update(moments, starts, transitions, prior):
    """Posterior of all parameters given expected moments."""
    counts, sums, products = moments
    mean, scatter = centered(counts, sums, products, prior.mean_weight)
    scatter = (scatter + scatter.swapaxes(-1, -2)) / 2
    d = np.arange(mean.shape[-1])
    scatter[..., d, d] += (prior.dof * prior.scale)[:, None, None]
    return States(
        counts=counts,
        mean=mean,
        scatter=scatter,
        dof=counts + prior.dof[:, None],
        mean_weight=counts + prior.mean_weight,
        start=starts + prior.start,
        trans=transitions + prior.trans,
    )


def factors(states):
    """Factor U of the expected precision U U', and log-determinant of the scatter."""
    lower = np.linalg.cholesky(states.scatter)
    log_det = 2 * np.log(np.diagonal(lower, axis1=-2, axis2=-1)).sum(-1)
    factor = np.linalg.inv(lower).swapaxes(-1, -2) * np.sqrt(states.dof)[..., None, None]
    return factor, log_det


def expected_log_det(states, log_det):
    """Expectation of the log-determinant of the precision."""
    d = states.mean.shape[-1]
    half = (states.dof[..., None] - np.arange(d)) / 2
    return digamma(half).sum(-1) + d * np.log(2) - log_det


def log_density_parts(states, variational):
    """Constant and factor of the log-density that the E-step uses, and log-determinants."""
    d = states.mean.shape[-1]
    factor, log_det = factors(states)
    if variational:
        constant = (expected_log_det(states, log_det) - d / states.mean_weight - d * LOG_2PI) / 2
    else:
        constant = (d * np.log(states.dof) - log_det - d * LOG_2PI) / 2
    return factor, constant, log_det


def chain_parts(states, variational):
    """Log-probabilities of the first state and of transitions that the E-step uses."""
    parts = []
    for alpha in (states.start, states.trans):
        total = alpha.sum(-1, keepdims=True)
        if variational:
            parts.append(digamma(alpha) - digamma(total))
        else:
            parts.append(np.log(alpha / total))
    return parts


def penalty(states, prior, factor, log_det, variational):
    """Divergence from the prior, which is taken from the log-likelihood: (n_restarts,)."""
    d = states.mean.shape[-1]
    inverse_scale = (prior.dof * prior.scale)[:, None]
    trace = (factor**2).sum((-2, -1))  # of the expected precision
    along = np.einsum("rkd,rkde->rke", states.mean, factor)
    distance = 0.0 if np.isinf(prior.mean_weight) else prior.mean_weight * (along**2).sum(-1)
    if not variational:
        log_precision = d * np.log(states.dof) - log_det
        wishart = -(prior.dof[:, None] * log_precision - inverse_scale * trace) / 2
        log_p = [np.log(a / a.sum(-1, keepdims=True)) for a in (states.start, states.trans)]
        chain = -(prior.start - 1) * log_p[0].sum(-1) - ((prior.trans - 1) * log_p[1]).sum((-2, -1))
        return (wishart + distance / 2).sum(-1) + chain
    e_log = expected_log_det(states, log_det)
    own = _log_wishart(states.dof, log_det, d) + (states.dof - d - 1) / 2 * e_log
    own = own - states.dof * d / 2
    log_det_0 = d * np.log(inverse_scale)
    of_prior = _log_wishart(prior.dof[:, None], log_det_0, d)
    of_prior = of_prior + (prior.dof[:, None] - d - 1) / 2 * e_log - inverse_scale * trace / 2
    mean = 0.0
    if not np.isinf(prior.mean_weight):
        ratio = prior.mean_weight / states.mean_weight
        mean = (d * (ratio - 1 - np.log(ratio)) + distance) / 2
    return (own - of_prior + mean).sum(-1) + _dirichlet_divergences(states, prior)


def _log_wishart(dof, log_det, d):
    """Log of the normalizing factor of a Wishart density, from its inverse scale matrix."""
    return dof / 2 * log_det - dof * d / 2 * np.log(2) - multigammaln_any(dof / 2, d)


def multigammaln_any(a, d):
    """Logarithm of the multivariate gamma function, for arrays."""
    return d * (d - 1) / 4 * np.log(np.pi) + gammaln(a[..., None] - np.arange(d) / 2).sum(-1)


def _dirichlet_divergences(states, prior):
    start = np.broadcast_to(prior.start, states.start.shape)
    trans = np.broadcast_to(prior.trans, states.trans.shape)
    return _dirichlet(states.start, start) + _dirichlet(states.trans, trans).sum(-1)


def _dirichlet(a, b):
    """Kullback-Leibler divergence of Dirichlet(a) from Dirichlet(b), over the last axis."""
    total = a.sum(-1)
    log_p = digamma(a) - digamma(total)[..., None]
    value = gammaln(total) - gammaln(a).sum(-1) - gammaln(b.sum(-1)) + gammaln(b).sum(-1)
    return value + ((a - b) * log_p).sum(-1)


def best_prior(moments, mean_weight):
    """Degrees of freedom and scale of the prior under which the states are most likely.

    The marginal likelihood of each state's moments is known in closed form (Gelman et al. 2013,
    Bayesian data analysis, section 3.6); the prior is shared by the states of a restart.

    Returns dof, scale (n_restarts,)
    """
    counts, sums, products = moments
    _, scatter = centered(counts, sums, products, mean_weight)
    d = sums.shape[-1]
    values = np.maximum(np.linalg.eigvalsh((scatter + scatter.swapaxes(-1, -2)) / 2), 0)
    largest = max(100.0 * d, 20 * counts.max())
    dof = np.exp(np.linspace(np.log(d + 2.0), np.log(largest), GRID))
    evidence = np.empty((len(dof), len(SCALES), len(counts)))
    for i, n in enumerate(dof):
        posterior = (n + counts) / 2
        gammas = multigammaln_any(posterior, d) - multigammaln(n / 2, d)
        scale = n * SCALES[:, None, None]
        spread = np.log1p(values / scale[..., None]).sum(-1)  # log |V| - log |V0|
        evidence[i] = (gammas - posterior * spread - d * counts / 2 * np.log(scale)).sum(-1)
    best = evidence.reshape(-1, len(counts)).argmax(0)
    return dof[best // len(SCALES)], SCALES[best % len(SCALES)]
