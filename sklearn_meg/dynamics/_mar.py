"""States that are multivariate autoregressive models: dynamics instead of covariances.

A sample with its last p samples is y = (x_t, x_t-1, ..., x_t-p). Weighted moments of y give the
regression of x_t on the rest, with a ridge, and what it leaves has the prior that covariances of
Gaussian states have: a matrix-normal, inverse Wishart model (Minka 2000, Bayesian linear
regression). The log-density of x_t given the past is quadratic in y, so E-steps are the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ._posterior import (
    States,
    best_prior,
    centered,
    chain_parts,
    log_density_parts,
    penalty,
)

RIDGES = np.geomspace(1e-2, 1e5, 15)  # in samples, of standardized regions


def lagged(X, lengths, order, missing):
    """Samples beside their past (n_samples, n_regions * (order + 1)), and what is missing.

    The first samples of a recording, and those after a gap, have no past: they are missing.
    """
    n, d = X.shape
    Y = np.zeros((n, d * (order + 1)))
    Y[:, :d] = X
    gone = np.zeros(n, bool) if missing is None else missing.copy()
    first = np.zeros(n, bool)
    starts = np.cumsum(lengths) - lengths
    for lag in range(1, order + 1):
        Y[lag:, lag * d : (lag + 1) * d] = X[:-lag]
        if missing is not None:
            gone[lag:] |= missing[:-lag]
        for start, length in zip(starts, lengths):
            first[start : start + min(lag, length)] = True
    gone |= first
    Y[gone] = 0
    return Y, gone


@dataclass
class Regression:
    """Regression of samples on their past.

    weights (..., n_regions, n_regions * order)
    residual (..., n_regions, n_regions): Scatter that is left.
    gram (..., n_regions * order, n_regions * order): Scatter of the past, with the ridge.
    """

    weights: np.ndarray
    residual: np.ndarray
    gram: np.ndarray


def regress(scatter, d, ridge):
    """Regression from the scatter of y; `ridge` broadcasts against (n_restarts, n_states)."""
    past = scatter[..., d:, d:] + ridge[..., None, None] * np.eye(scatter.shape[-1] - d)
    cross = scatter[..., d:, :d]
    weights = np.linalg.solve(past, cross).swapaxes(-1, -2)
    residual = scatter[..., :d, :d] - weights @ cross
    return Regression(weights, (residual + residual.swapaxes(-1, -2)) / 2, past)


def best_ridge(scatter, counts, d, prior):
    """The ridge under which the states are most likely, one a restart."""
    width = scatter.shape[-1] - d
    own = (prior.dof * prior.scale)[:, None, None, None] * np.eye(d)
    evidence = []
    for ridge in RIDGES:
        found = regress(scatter, d, np.full(counts.shape, ridge))
        log_past = np.linalg.slogdet(found.gram)[1] - width * np.log(ridge)
        log_left = np.linalg.slogdet(found.residual + own)[1]
        evidence.append(-(d * log_past + (counts + prior.dof[:, None]) * log_left).sum(-1) / 2)
    return RIDGES[np.argmax(evidence, axis=0)]


def mar_m_step(expected, prior, settings, choose):
    """As `m_step`, for autoregressive states."""
    counts, sums, products = expected.moments
    d = sums.shape[-1] // (settings.order + 1)
    mean, scatter = centered(counts, sums, products, prior.mean_weight)
    scatter = (scatter + scatter.swapaxes(-1, -2)) / 2
    if prior.ridge is None:
        prior = replace(prior, ridge=np.ones(len(counts)))
    if choose:
        prior = replace(prior, ridge=best_ridge(scatter, counts, d, prior))
    found = regress(scatter, d, np.broadcast_to(prior.ridge[:, None], counts.shape))
    left = counts, np.zeros((*counts.shape, d)), found.residual
    if choose and settings.learns_prior:
        dof, scale = best_prior(left, np.inf)
        prior = replace(prior, dof=dof, scale=scale)
    own = (prior.dof * prior.scale)[:, None, None, None] * np.eye(d)
    states = States(
        counts=counts,
        mean=np.zeros((*counts.shape, d)),
        scatter=found.residual + own,
        dof=counts + prior.dof[:, None],
        mean_weight=counts + min(prior.mean_weight, 1e12),
        start=expected.starts + prior.start,
        trans=expected.transitions + prior.trans,
    )
    factor, constant, log_det = log_density_parts(states, settings.variational)
    plain = replace(prior, mean_weight=np.inf)
    taken = penalty(states, plain, factor, log_det, settings.variational)
    taken = taken + _divergence(found, prior.ridge, factor, settings.variational)
    chain = chain_parts(states, settings.variational)
    whole = np.concatenate([factor, -found.weights.swapaxes(-1, -2) @ factor], axis=-2)
    return states, prior, (mean, whole, constant, prior.tails, *chain), taken


def _divergence(found, ridge, factor, variational):
    """Divergence of the weights from their prior, (n_restarts,)."""
    size = (found.weights.swapaxes(-1, -2) @ factor) ** 2
    prior_term = ridge * size.sum((-3, -2, -1)) / 2
    if not variational:
        return prior_term
    d, width = found.weights.shape[-2:]
    log_det = np.linalg.slogdet(found.gram)[1] - width * np.log(ridge)[:, None]
    trace = ridge[:, None] * np.trace(np.linalg.inv(found.gram), axis1=-2, axis2=-1)
    return prior_term + d * (log_det - width + trace).sum(-1) / 2


def sample_covariances(moments, prior, d):
    """Covariances (n_states, d, d) of the samples in each state, whatever their past."""
    _, scatter = centered(*moments, 0.0)
    own = (prior.dof * prior.scale)[0] * np.eye(d)
    return (scatter[0, :, :d, :d] + own) / (moments[0][0] + prior.dof[0])[:, None, None]


def plug_in_mar(coefficients, intercepts, noise):
    """Mean, factor and constant of the density of y, from what a fitted model keeps.

    coefficients (n_states, order, n_regions, n_regions), intercepts (n_states, n_regions), noise
        (n_states, n_regions, n_regions)
    """
    n_states, order, d, _ = coefficients.shape
    lower = np.linalg.cholesky(noise)
    log_det = 2 * np.log(np.diagonal(lower, axis1=-2, axis2=-1)).sum(-1)
    factor = np.linalg.inv(lower).swapaxes(-1, -2)
    weights = coefficients.transpose(0, 2, 1, 3).reshape(n_states, d, order * d)
    whole = np.concatenate([factor, -weights.swapaxes(-1, -2) @ factor], axis=-2)
    mean = np.concatenate([intercepts, np.zeros((n_states, order * d))], axis=-1)
    return mean[None], whole[None], -(log_det + d * np.log(2 * np.pi))[None] / 2
