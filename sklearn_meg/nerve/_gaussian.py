"""A Gaussian model of trials in sessions, and how it adapts to a session without labels.

A trial of class c in session s is a point ``mu_c + d_sc + e``, with ``e ~ N(0, W)``. All trials of
a class and a session share d, with ``cov(d_sc, d_sc') = K_cc' B``: classes that lie in the same
direction move alike. In a new session d and the classes of all trials are found together by
expectation maximization (variational Bayes over d). This is probabilistic discriminant analysis
with unknown labels; Prince and Elder (2007), ICCV.
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg import eigh
from sklearn.covariance import shrunk_covariance

from ._assign import free
from ._settings import SETTINGS


def fit_gaussian(P, y, sessions, n_classes, weights=None, people=None):
    """Means of classes and the two covariances; every class counts the same.

    P (n_trials, n_dims), y (n_trials,) int, sessions (n_trials,)
    weights (n_trials,) or None: Those above 1 are repetitions.
    people (n_trials,) or None: Sessions of one person are compared with each other only.
    Returns means (n_classes, n_dims), within, between (n_dims, n_dims)
    """
    w = np.ones(len(P)) if weights is None else weights
    means = np.stack([w[y == c] @ P[y == c] / w[y == c].sum() for c in range(n_classes)])
    pairs, cell = np.unique(np.stack([y, sessions]), axis=1, return_inverse=True)
    cell, owner, sizes = cell.ravel(), pairs[0].astype(int), np.bincount(cell.ravel(), weights=w)
    lost = np.minimum(1.0, np.bincount(cell, weights=w**2) / sizes)  # by each mean
    each = (cell == i for i in range(len(owner)))
    centers = np.stack([w[i] @ P[i] / w[i].sum() for i in each])
    spread = P - centers[cell]
    share = w.sum() / (n_classes * np.bincount(y, w))  # of a trial, against one of equal classes
    free_trials = max(min(1.0, w.sum()), w.sum() - lost.sum())
    within = _regular((spread.T * (w * share[y])) @ spread / free_trials)
    if people is not None:
        whose = people[np.unique(cell, return_index=True)[1]]
        owner = np.unique(np.stack([owner, whose]), axis=1, return_inverse=True)[1].ravel()
    n_owners = owner.max() + 1
    if len(owner) == n_owners:  # no class in two sessions
        return means, within, SETTINGS.one_session * within
    middle = np.stack([centers[owner == c].mean(0) for c in range(n_owners)])
    away = centers - middle[owner]
    between = away.T @ away / (len(owner) - n_owners) - within * np.mean(lost / sizes)
    values, vectors = np.linalg.eigh(between)
    values = np.maximum(values, 1e-3 * max(values.max(), 1e-3 * np.trace(within) / len(within)))
    return means, within, _regular((vectors * values) @ vectors.T)


def _regular(C):
    """A covariance nearer to the identity, and never singular."""
    return shrunk_covariance(C, SETTINGS.shrink) + SETTINGS.tiny_variance * np.eye(len(C))


def in_parts(windows, n_parts):
    """Means (n, n_parts, n_dims) of the parts of trials, from windows (n, n_windows, n_dims)."""
    edges = np.arange(n_parts + 1) * windows.shape[1] // n_parts
    each = zip(edges[:-1], np.maximum(edges[1:], edges[:-1] + 1), strict=True)
    return np.stack([windows[:, start:end].mean(1) for start, end in each], axis=1)


class Found(NamedTuple):
    """The classes of a session's trials.

    ``logs``: log probabilities (n_trials, n_classes); ``shifts`` of the class means (n_classes,
    n_dims); ``likelihood``: log likelihoods (n_trials, n_classes) up to a constant of the trial;
    ``evidence``: lower bound on the log evidence of all trials, up to the prior of assignments.
    """

    logs: np.ndarray
    shifts: np.ndarray
    likelihood: np.ndarray
    evidence: float


class Axes(NamedTuple):
    """Axes in which W is the identity and B diagonal: every dimension is a problem of its own.

    ``axes`` (n_dims, n_dims) and the way ``back``; the prior covariance of shifts along dimension
    f is ``scale[f] * root @ root.T`` (n_classes, n_classes); ``means`` of classes along the axes.
    """

    axes: np.ndarray
    back: np.ndarray
    scale: np.ndarray
    root: np.ndarray
    means: np.ndarray

    @classmethod
    def of(cls, means, within, between):
        """From what `fit_gaussian` returns."""
        scale, axes = eigh(between, within)
        means = means @ axes
        return cls(axes, axes.T @ within, scale, np.linalg.cholesky(_alike(means)), means)


def adapt(P, log_start, known, n_iter=None, assign=free, cooling=1.0):
    """Classes of the trials of one new session.

    P (n_trials, n_dims)
    log_start (n_trials, n_classes): Log probabilities of the classes to begin with.
    known (Axes)
    assign (callable): From log likelihoods to log probabilities of classes.
    cooling: Divisor of the log likelihoods.
    Returns found (Found)
    """
    axes, back, scale, root, means = known
    P, log_p = P @ axes, log_start
    for _ in range(n_iter or SETTINGS.n_iter):
        r = np.exp(log_p)
        # The covariance along f is inv(inv(scale[f] root root.T) + N), N = diag(r.sum(0)). With
        # root.T N root = V diag(m) V.T it is (root V) diag(1 / (1 / scale[f] + m)) (root V).T.
        counts, vectors = np.linalg.eigh((root.T * r.sum(0)) @ root)
        turned = root @ vectors
        left = 1 / (1 / scale + np.maximum(counts, 0)[:, np.newaxis])  # n_classes, n_dims
        pull = turned.T @ (r.T @ P - r.sum(0)[:, np.newaxis] * means)
        shifts = turned @ (left * pull)
        blur = np.square(turned) @ left.sum(1)
        likelihood = -0.5 * (_squared_distances(P, means + shifts) + blur)
        log_p = assign(likelihood / cooling)
    fit = (np.exp(log_p) * (likelihood / cooling - log_p)).sum()
    evidence = fit - _divergence(left / scale, pull * left, scale) / cooling
    return Found(log_p, shifts @ back, likelihood, evidence)


def unmoved(P, means, within, cooling=1.0):
    """What `adapt` returns where no class has moved."""
    values, vectors = np.linalg.eigh(within)
    axes = vectors / np.sqrt(values)
    likelihood = -0.5 * _squared_distances(P @ axes, means @ axes)
    logs = free(likelihood / cooling)
    evidence = (np.exp(logs) * (likelihood / cooling - logs)).sum()
    return Found(logs, np.zeros_like(means), likelihood, evidence)


def _squared_distances(P, centers):
    return np.square(P).sum(1)[:, np.newaxis] - 2 * P @ centers.T + np.square(centers).sum(1)


def _divergence(share, shifts, scale):
    """Kullback-Leibler divergence of the shifts from their prior, summed over dimensions.

    share, shifts (n_classes, n_dims): Variance left of the prior's, and shifts, along each
        eigenvector.
    """
    return 0.5 * (share - 1 - np.log(share) + np.square(shifts) / scale).sum()


def _alike(means):
    """How alike the shifts of two classes are: a linear kernel of their means, where W is one."""
    away = means - means.mean(0)
    kernel, share = away @ away.T, SETTINGS.alike
    return (1 - share) * np.eye(len(means)) + share * kernel / np.trace(kernel) * len(means)
