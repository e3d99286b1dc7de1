"""A Gaussian model of trials in sessions, and how it adapts to a session without labels.

A trial of class c in session s is a point ``mu_c + d_sc + e``, with ``e ~ N(0, W)``. All trials of
a class and a session share d, with ``cov(d_sc, d_sc') = K_cc' B``: classes that lie in the same
direction move alike. In a new session d and the classes of all trials are found together by
expectation maximization (variational Bayes over d). This is probabilistic discriminant analysis
with unknown labels; Prince and Elder (2007), ICCV.
"""

import numpy as np
from scipy.linalg import eigh
from scipy.special import log_softmax
from sklearn.covariance import shrunk_covariance

ALIKE = 0.8  # share of a shift that classes have in common which lie in the same direction
TINY = 1e-7  # added to variances, which are about one
SHRINK = 0.1  # of covariances towards a multiple of the identity
ONE_SESSION = 10.0  # B as a multiple of W where one session tells nothing about it


def fit_gaussian(P, y, sessions, n_classes):
    """Means of classes and the two covariances.

    Parameters
    ----------
    P : ndarray of shape (n_trials, n_dims)
    y : ndarray of int of shape (n_trials,)
    sessions : ndarray of shape (n_trials,)
    n_classes : int

    Returns
    -------
    means : ndarray of shape (n_classes, n_dims)
    within, between : ndarray of shape (n_dims, n_dims)
    """
    means = np.stack([P[y == c].mean(0) for c in range(n_classes)])
    pairs, cell = np.unique(np.stack([y, sessions]), axis=1, return_inverse=True)
    cell, owner, sizes = cell.ravel(), pairs[0].astype(int), np.bincount(cell.ravel())
    centers = np.stack([P[cell == i].mean(0) for i in range(len(owner))])
    spread = P - centers[cell]
    within = _regular(spread.T @ spread / max(1, len(P) - len(owner)))
    if len(owner) == n_classes:  # no class in two sessions
        return means, within, ONE_SESSION * within
    middle = np.stack([centers[owner == c].mean(0) for c in range(n_classes)])
    away = centers - middle[owner]
    between = away.T @ away / (len(owner) - n_classes) - within * np.mean(1 / sizes)
    values, vectors = np.linalg.eigh(between)
    values = np.maximum(values, 1e-3 * max(values.max(), 1e-3 * np.trace(within) / len(within)))
    return means, within, _regular((vectors * values) @ vectors.T)


def _regular(C):
    """A covariance nearer to the identity, and never singular."""
    return shrunk_covariance(C, SHRINK) + TINY * np.eye(len(C))


def adapt(P, log_start, means, within, between, n_iter=20):
    """Classes of the trials of one new session.

    Parameters
    ----------
    P : ndarray of shape (n_trials, n_dims)
    log_start : ndarray of shape (n_trials, n_classes)
        Log probabilities of the classes to begin with.
    means, within, between : ndarray
        As of `fit_gaussian`.
    n_iter : int

    Returns
    -------
    log_probability : ndarray of shape (n_trials, n_classes)
    shifts : ndarray of shape (n_classes, n_dims)
        Of the classes' means in this session.
    """
    # Where W is the identity and B diagonal, every dimension is a problem of its own.
    scale, axes = eigh(between, within)
    back = axes.T @ within
    P, means = P @ axes, means @ axes
    prior = np.linalg.inv(_alike(means)) / scale[:, np.newaxis, np.newaxis]
    log_p, shifts = log_start, np.zeros_like(means)
    for _ in range(n_iter):
        r = np.exp(log_p)
        covariance = np.linalg.inv(prior + np.diag(r.sum(0)))  # n_dims, n_classes, n_classes
        pull = r.T @ P - r.sum(0)[:, np.newaxis] * means
        shifts = np.einsum("fcd,df->cf", covariance, pull)
        blur = np.einsum("fcc->c", covariance)
        away = P[:, np.newaxis] - (means + shifts)
        log_p = log_softmax(-0.5 * (np.square(away).sum(-1) + blur), axis=-1)
    return log_p, shifts @ back


def _alike(means):
    """How alike the shifts of two classes are: a linear kernel of their means, where W is one."""
    away = means - means.mean(0)
    kernel = away @ away.T
    return (1 - ALIKE) * np.eye(len(means)) + ALIKE * kernel / np.trace(kernel) * len(means)
