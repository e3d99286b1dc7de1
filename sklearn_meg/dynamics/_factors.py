"""Covariances that are shrunk towards factor models, chosen by held-out likelihood.

A state's covariance is (S + weight * F) / (n + weight) * inflation, where S is the scatter of its n
samples and F a factor model of rank r of the shrunk covariance: r common factors, and a variance
of its own for each region. Weight 0 is the shrunk covariance itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

RANKS = (0, 1, 2, 3, 5, 8, 13, 21, 34)
WEIGHTS = (0.0, 0.3, 1.0, 3.0, 10.0, 100.0)  # times the mean number of samples of a state
COMMON = (0.0, 0.5, 1.0)
N_ITER = 15
LEAST_VARIANCE = 0.02  # that a region has of its own, of its whole variance


@dataclass
class Tone:
    """How much of their differences states keep.

    covariances: Share of the differences of covariances, from 0 (none) to 1.
    noise: Variance of noise in differences of means, in mean variances of a region: 0 keeps all,
        infinity none; directions in which samples vary little lose more.
    width: Factor of the one state's covariance: of a t distribution, as its own samples count.
    one (Shape or None): Of the one state towards which states are drawn.
    """

    covariances: float = 1.0
    noise: float = 0.0
    width: float = 1.0
    one: Shape | None = None


@dataclass
class Shape:
    """Target to which covariances are shrunk.

    rank: Rank of the factor models.
    common: Share of the model of all states in the target, the rest is the state's own.
    weight: Weight of the target, in samples.
    inflation: Factor by which covariances are widened.
    tone (Tone or None): How much states differ; None leaves all differences.
    """

    rank: int
    common: float
    weight: float
    inflation: float
    tone: Tone | None = None


def factor_model(covariance, rank, spectrum=None):
    """Covariances of factor analysis, by expectation maximization from principal components.

    covariance (..., n, n)
    rank: 0 is a diagonal covariance.
    spectrum (tuple of ndarray or None): Its eigenvalues and eigenvectors, where they are known.
    Returns model (..., n, n): With the same variances.

    Rubin, Thayer (1982), EM algorithms for ML factor analysis, Psychometrika 47.
    """
    S = covariance
    d = np.arange(S.shape[-1])
    variances = S[..., d, d]
    model = np.zeros_like(S)
    if rank:
        values, vectors = np.linalg.eigh(S) if spectrum is None else spectrum
        noise = values[..., :-rank].mean(-1, keepdims=True)
        sizes = np.sqrt(np.maximum(values[..., -rank:] - noise, 1e-6))
        L = vectors[..., -rank:] * sizes[..., None, :]
        for _ in range(N_ITER):
            L = _em_step(S, L, _own(variances, L))
        most = (1 - LEAST_VARIANCE) * variances
        common = np.maximum((L**2).sum(-1), 1e-300)
        L *= np.sqrt(np.minimum(1.0, most / common))[..., None]
        model = L @ L.swapaxes(-1, -2)
    model[..., d, d] = variances
    return model


def _own(variances, L):
    return np.maximum(variances - (L**2).sum(-1), LEAST_VARIANCE * variances)


def _em_step(S, L, psi):
    """Loadings that follow from the expected factors."""
    weighted = L / psi[..., None]
    spread = np.linalg.inv(np.eye(L.shape[-1]) + L.swapaxes(-1, -2) @ weighted)
    back = weighted @ spread  # expected factors of x are back.T x
    SB = S @ back
    return SB @ np.linalg.inv(spread + back.swapaxes(-1, -2) @ SB)


def shaped(scatter, counts, shrunk, shape):
    """Covariances of the states in a given shape.

    scatter (..., n, n), counts (...)
    shrunk (..., n, n): Covariances that the factor model is made from.
    """
    if not shape.weight:
        return shape.inflation * shrunk
    target = 0.0
    if shape.common < 1:
        target = (1 - shape.common) * factor_model(shrunk, shape.rank)
    if shape.common > 0:
        target = target + shape.common * factor_model(_together(shrunk, counts), shape.rank)
    return shape.inflation * _mixed(scatter, counts, shrunk, target, shape.weight)


def toned(mean, scatter, counts, shrink, shape):
    """Means and covariances of states (n_states, ...) in a shape that says how much they differ."""
    tone = shape.tone
    lost = _lost(mean, scatter, counts, tone.noise)
    scatter = scatter + counts[:, None, None] * lost[:, :, None] * lost[:, None, :]
    own = shaped(scatter, counts, shrink(scatter, counts), shape)
    together = scatter.sum(0, keepdims=True), counts.sum(keepdims=True)
    one = shaped(*together, shrink(*together), tone.one)
    return mean - lost, tone.covariances * own + (1 - tone.covariances) * tone.width * one


def _lost(mean, scatter, counts, noise):
    """What means lose of their differences: all but T (T + noise I)^-1, T: covariance of all."""
    away = mean - counts @ mean / counts.sum()
    if np.isinf(noise):
        return away
    total = (scatter.sum(0) + (away.T * counts) @ away) / counts.sum()
    white = noise * np.trace(total) / len(total) * np.eye(len(total))
    return away - np.linalg.solve(total + white, total @ away.T).T if noise else 0 * away


def _together(shrunk, counts):
    """The covariance of all states (..., 1, n, n)."""
    n = counts[..., None, None]
    return (shrunk * n).sum(-3, keepdims=True) / n.sum(-3, keepdims=True)


def _mixed(scatter, counts, shrunk, target, weight):
    if not weight:
        return shrunk
    return (scatter + weight * target) / (counts[..., None, None] + weight)


def choose_shape(moments, center, shrink, ranks=None):
    """The shape with the highest held-out likelihood, given the states of the samples.

    moments (list of tuple of ndarray): Counts, sums and products of the states, (n_states, ...),
        one tuple a fold.
    center (callable): Means and scatter from moments.
    shrink (callable): Shrunk covariance from scatter and counts.
    ranks (sequence of int): None tries those of `RANKS` below half of the number of regions.
    Returns shape (Shape)
    """
    total = [sum(parts) for parts in zip(*moments)]
    d = total[1].shape[-1]
    ranks = [r for r in RANKS if r == 0 or r < d / 2] if ranks is None else ranks
    typical = total[0].mean()
    folds = Folds(total, [fold for fold in moments if fold[0].sum()], center, shrink)
    rank = _best_rank(folds, ranks, typical, d)
    return _best(folds, product([rank], COMMON, WEIGHTS), typical, d)[0]


def _best_rank(folds, ranks, typical, d):
    """The rank with the highest held-out likelihood; two in turn that are worse end the search."""
    best, most, worse = None, -np.inf, 0
    for rank in ranks:
        _, likelihood = _best(folds, product([rank], (0.0, 1.0), (1.0, 10.0)), typical, d)
        worse = 0 if likelihood > most else worse + 1
        if not worse:
            best, most = rank, likelihood
        if worse == 2:
            break
    return best


class Folds:
    """States of all but one fold, and the moments of that one, for each fold."""

    def __init__(self, total, moments, center, shrink):
        fold = tuple(np.stack(parts) for parts in zip(*moments))
        train = [whole - part for whole, part in zip(total, fold)]
        means, self.scatter = center(*train)
        self.counts = train[0]
        self.shrunk = shrink(self.scatter, self.counts)
        both = self.shrunk, _together(self.shrunk, self.counts)
        self.known = [(covariance, np.linalg.eigh(covariance)) for covariance in both]
        self.tested = about(fold, means)

    def held_out(self, keys, typical):
        """Of each (rank, common, weight): what `held_out` finds; a rank is fitted once."""
        found, fitted = [], None
        for rank, common, factor in keys:
            if fitted != rank:
                own, one = (factor_model(C, rank, spectrum) for C, spectrum in self.known)
                fitted = rank
            target = (1 - common) * own + common * one
            args = self.scatter, self.counts, self.shrunk, target, factor * typical
            found.append(held_out(_mixed(*args), *self.tested))
        return np.array(found)


def _best(folds, keys, typical, d):
    """The shape with the highest held-out likelihood, widened as is best, and that likelihood."""
    keys = list(keys)
    n, log_det, distance = folds.held_out(keys, typical).T
    widths = _inflation(n, distance, d)
    likelihood = -(log_det + n * d * np.log(widths) + distance / widths) / 2
    best = int(np.argmax(likelihood))
    rank, common, factor = keys[best]
    return Shape(rank, common, factor * typical, float(widths[best])), likelihood[best]


def _inflation(n, distance, d):
    return np.clip(distance / (n * d), 1.0, 4.0)


def about(moments, means):
    """Counts, and products about given means."""
    counts, sums, products = moments
    cross = means[..., :, None] * sums[..., None, :]
    square = means[..., :, None] * means[..., None, :] * counts[..., None, None]
    return counts, products - cross - cross.swapaxes(-1, -2) + square


def held_out(covariance, counts, products):
    """Samples, summed log-determinants and summed squared distances of held-out samples."""
    lower = np.linalg.cholesky(covariance)
    log_det = 2 * np.log(np.diagonal(lower, axis1=-2, axis2=-1)).sum(-1)
    inverse = np.linalg.inv(lower)
    distance = ((inverse @ products) * inverse).sum((-2, -1))
    return counts.sum(), (counts * log_det).sum(), distance.sum()
