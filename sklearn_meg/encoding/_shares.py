"""Shares with which what networks and trees add is added, from products on held-out trials.

With y what the linear encoder leaves, parts p_i that could be added and groups of trials that are
independent, everything here is made from ``sum(y p_i)`` and ``sum(p_i p_j)`` of each group: arrays
of shape (n_groups, n_parts, 1 + n_parts), the first column the products with y.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls


@dataclass(frozen=True)
class Settings:
    """How sure the shares must be."""

    #: Standard errors that the gain must exceed.
    errors: float = 1.5


SETTINGS = Settings()


def summed_by_group(products, groups):
    """Sums over the trials of each group, in the order of `np.unique`."""
    names, which = np.unique(groups, return_inverse=True)
    sums = np.zeros((len(names), *products.shape[1:]))
    np.add.at(sums, which, products)
    return sums


def matrices_of(products):
    """Products (n_groups, 2, 3) of a network and of trees.

    products (n_groups, 5): Left over times added and added squared, of the network and of the
        trees, and the product of both.
    """
    return products[:, [[0, 1, 4], [2, 4, 3]]]


def trust(products):
    """Shares of what is to be added.

    Those with the least error on independent groups, less what chance may have done: with the
    mean gain g and its standard error e, times ``1 - (e / g)**2``. Equal shares, if others are
    not better by more than a standard error: what is added in the end is a mean over several
    networks and forests, which differ more than one of each, and equal weights are known to be
    hard to beat.

    products (n_groups, n_parts, 1 + n_parts)
    Returns shares (n_parts,): From 0 to 1; 0 unless the gain is 1.5 errors or more.

    >>> import numpy as np
    >>> from sklearn_meg.encoding._shares import trust
    >>> trust(np.array([[[1.0, 1.0]], [[-1.0, 1.0]], [[0.5, 1.0]]]))
    array([0.])
    >>> trust(np.array([[[0.5, 1.0]], [[1.0, 2.0]]]))
    array([0.5])
    """
    shares = _equal_or_not(products)
    return np.minimum(shares, 1.0) * _certainty(products, shares)


def apart_shares(evidence, parts):
    """Shares of the means over trials, and of the deviations from them.

    Means alone, where deviations are of no use; each its own, where that is better by a standard
    error than the shares of both together; else these.

    evidence (n_groups, n_models, 1 + n_models): Products of what is added, the network at epochs
        that were chosen on other groups.
    parts (n_groups, 2 * n_models, 1 + 2 * n_models): Products of the means of all models, then of
        the deviations, at the epoch of the most gain.
    Returns means, deviations (n_models,)
    """
    n, together = evidence.shape[1], trust(evidence)
    if not parts.any():
        return together, together
    if not trust(_some(parts, np.arange(n, 2 * n))).any():
        means = trust(_some(parts, np.arange(n))) if together.any() else together
        return means, np.zeros(n)
    both = np.vstack([np.eye(n), np.eye(n)])
    tied = both @ _equal_or_not(_combined(parts, both))
    # The epoch of the most gain flatters the network.
    flattered = both @ _flattery(evidence, _combined(parts, both))
    for tie in (np.repeat(np.eye(2), n, axis=0), np.eye(2 * n)):
        own = tie @ _least_squares(_combined(parts, tie))
        if _is_better(parts, own, tied):
            own = np.minimum(flattered * own, 1.0)
            own = own * _certainty(parts, own)
            return own[:n], own[n:]
    return together, together


def _flattery(honest, flattering):
    """Ratio of the shares of each model alone, from 0 to 1."""
    alone = [
        [_least_squares(_some(products, np.array([i])))[0] for i in range(honest.shape[1])]
        for products in (honest, flattering)
    ]
    return np.clip(alone[0] / np.maximum(alone[1], np.finfo(float).tiny), 0.0, 1.0)


def _equal_or_not(products):
    own = _least_squares(products)
    ones = np.ones((len(own), 1))
    equal = ones @ _least_squares(_combined(products, ones))
    return own if _is_better(products, own, equal) else equal


def _is_better(products, shares, others):
    """Whether the error is less by more than a standard error."""
    gain = reduction(products, shares) - reduction(products, others)
    return len(gain) > 1 and gain.mean() > gain.std(ddof=1) / np.sqrt(len(gain))


def _least_squares(products):
    """Shares of least error that are not negative."""
    total = products.sum(axis=0)
    size = np.sqrt(np.maximum(np.diag(total[:, 1:]), np.finfo(float).tiny))
    # Chance, or products of the network at several epochs, may leave no square of anything.
    value, vector = np.linalg.eigh(total[:, 1:] / np.outer(size, size))
    root = np.sqrt(np.maximum(value, 1e-6))
    rotated = vector.T @ (total[:, 0] / size)
    return nnls(root[:, np.newaxis] * vector.T, rotated / root)[0] / size


def _certainty(products, shares):
    """``1 - (e / gain)**2`` with the standard error e of the gain; 0 if that is below 1.5 e."""
    if len(products) < 2 or not shares.any():
        return 0.0
    gain = (products[:, :, 0] @ shares).mean()
    square = np.einsum("i,nij,j->n", shares, products[:, :, 1:], shares)
    changes = products[:, :, 0] @ shares - square
    error = np.std(changes, ddof=1) / np.sqrt(len(changes))
    return 0.0 if gain <= SETTINGS.errors * error else 1 - (error / gain) ** 2


def reduction(products, shares):
    """How much less the squared error of each group is."""
    square = np.einsum("i,nij,j->n", shares, products[:, :, 1:], shares)
    return 2 * products[:, :, 0] @ shares - square


def _some(products, parts):
    return products[:, parts][:, :, np.append(0, parts + 1)]


def _combined(products, weights):
    """Products of sums of parts, with weights (n_parts, n_sums)."""
    cross = np.einsum("ni,ik->nk", products[:, :, 0], weights)
    square = np.einsum("ik,nij,jl->nkl", weights, products[:, :, 1:], weights)
    return np.concatenate([cross[:, :, np.newaxis], square], axis=2)
