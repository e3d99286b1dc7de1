"""States with heavy tails: the multivariate t distribution as a Gaussian of random scale.

A sample at squared Mahalanobis distance D from a state counts (v + n) / (v + D) times there, where
n is the number of regions and v the degrees of freedom (Liu, Rubin 1995, Statistica Sinica 5). The
scatter is divided by the sum of these weights, not by the number of samples: the same fixed point,
reached in fewer iterations (Kent, Tyler, Vardi 1994).
"""

import numpy as np
from scipy.special import gammaln
from scipy.stats import chi2, f

SCALE_ITER = 20
LEAST_DOF = 2.1  # below which there is no covariance
GRID = np.concatenate(  # degrees of freedom tried
    [np.geomspace(0.2, LEAST_DOF, 8)[:-1], np.geomspace(LEAST_DOF, 1000.0, 25)]
)


def nearest(dof):
    """The value of the grid that is nearest."""
    return GRID[np.abs(np.log(GRID) - np.log(dof)).argmin()]


def log_t(distance, constant, dof, n_regions):
    """Log-density at squared distances, where `constant` is that of the Gaussian."""
    half = (dof + n_regions) / 2
    top = gammaln(half) - gammaln(dof / 2) - n_regions / 2 * np.log(dof / 2)
    return top + constant - half * np.log1p(distance / dof)


def weight(distance, dof, n_regions):
    """Weight of a sample."""
    return (dof + n_regions) / (dof + distance)


def neighbors(dof):
    """Grid values below, at and above, (3, n_restarts)."""
    here = np.searchsorted(GRID, dof * (1 - 1e-9))
    return GRID[np.clip(here + np.array([[-1], [0], [1]]), 0, len(GRID) - 1)]


def neighbor_scores(distance, gamma, dof, n_regions):
    """Expected log-likelihood, up to a constant, at neighbors of the degrees of freedom.

    distance, gamma (n_samples, n_restarts, n_states): Squared distances; probabilities of the
        states, 0 for samples that do not count.
    dof (n_restarts,)
    Returns scores (n_restarts, 3)
    """
    zero = np.zeros(1)
    scores = [
        np.einsum("nrk,nrk->r", gamma, log_t(distance, zero, v[:, None], n_regions))
        for v in neighbors(dof)
    ]
    return np.stack(scores, axis=1)


def moved(dof, scores):
    """The best of the neighbors."""
    return neighbors(dof)[scores.argmax(1), np.arange(len(dof))]


def of_one_state(distance, n_regions):
    """Degrees of freedom of one state whose squared distances are known up to a factor."""
    distance, dof = distance[:, None], GRID
    scale = np.full(len(GRID), np.median(distance) / n_regions)
    for _ in range(SCALE_ITER):
        scale = (weight(distance / scale, dof, n_regions) * distance).mean(0) / n_regions
    fits = log_t(distance / scale, -n_regions / 2 * np.log(scale), dof, n_regions).mean(0)
    return float(GRID[fits.argmax()])


def spread_of(dof):
    """Covariance of a t distribution over its scale matrix; below 2.1 degrees that of 2.1."""
    dof = max(dof, LEAST_DOF)
    return 1.0 if np.isinf(dof) else dof / (dof - 2)


def quiet_share(prepared, parameters, level):
    """Share of samples that are nearer to the mean of their state than this level says.

    Amplitudes that vary from sample to sample make many samples quiet, which no t distribution has.
    In units of the median, as states of few samples lie too near to all of them.

    prepared (Prepared)
    parameters (tuple): The states, as an E-step takes them.
    level: Share of samples that should be as near.
    """
    mean, _, _, tails = parameters[:4]
    n, dof = mean.shape[-1], tails[0]
    expected = chi2(n) if np.isinf(dof) else f(n, dof)
    parts = (prepared.recordings.pick([r]) for r in range(len(prepared.recordings.parts)))
    distance = np.concatenate([_own_distances(prepared.batch(part), parameters) for part in parts])
    return float((distance / np.median(distance) < expected.ppf(level) / expected.median()).mean())


def _own_distances(batch, parameters):
    """Squared distances of samples to the state that is likeliest for each."""
    constant = parameters[2]
    log_b, distance = batch.log_density(*parameters[:4])
    distance = 2 * (constant - log_b) if distance is None else distance
    own = distance[np.arange(len(log_b)), 0, log_b[:, 0].argmax(1)]
    return own if batch.missing is None else own[~batch.missing]
