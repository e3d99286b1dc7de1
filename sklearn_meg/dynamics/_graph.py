"""States as layers of a network: communities, the walk through all layers, ranks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ._settings import GRAPH

if TYPE_CHECKING:
    from .._typing import ArrayLike

N_LOUVAIN = 3  # runs from different seeds, the best modularity is kept
LEAST_EDGE = 1e-12  # smaller correlations are rounding errors: states that are empty have these


@dataclass
class Communities:
    """Communities of all layers, the highest score first.

    Attributes
    ----------
    state, label : ndarray of int of shape (n_communities,)
        The layer, and the number of the community in it.
    score, occupancy, persistence : ndarray of shape (n_communities,)
        Occupancy times persistence; the share of time that the walk spends in the community;
        the probability that it is there one step later, too.
    size : ndarray of int of shape (n_communities,)
        Regions.
    """

    state: np.ndarray
    label: np.ndarray
    score: np.ndarray
    occupancy: np.ndarray
    persistence: np.ndarray
    size: np.ndarray


def correlations(covariances, partial=False):
    """Correlations or partial correlations of covariances, zero on the diagonal.

    covariances (n_states, n_regions, n_regions)
    partial: Correlation of two regions given all others.
    Returns correlations (n_states, n_regions, n_regions)
    """
    matrix = -np.linalg.inv(covariances) if partial else np.asarray(covariances, dtype=float)
    spread = np.sqrt(np.abs(np.diagonal(matrix, axis1=-2, axis2=-1)))
    out = matrix / (spread[..., :, None] * spread[..., None, :])
    d = np.arange(out.shape[-1])
    out[..., d, d] = 0
    return out


def shrunk_partial(covariances):
    """Partial correlations, of correlations that are shrunk to zero before.

    Correlations that regions owe to others are gone, so that many regions that follow the same few
    sources are no single community.
    """
    shrunk = (1 - GRAPH.shrinkage) * correlations(covariances)
    return correlations(shrunk + np.eye(shrunk.shape[-1]), partial=True)


def strongest_edges(weights, density):
    """Keep the largest positive weights of a layer.

    weights (n_regions, n_regions): Symmetric.
    density: Share of all pairs that is kept.
    Returns layer (n_regions, n_regions)
    """
    i, j = np.triu_indices(len(weights), 1)
    values = weights[i, j]
    n_kept = round(density * len(values))
    kept = np.argsort(-values, kind="stable")[:n_kept]
    kept = kept[values[kept] > 0]
    layer = np.zeros_like(weights)
    layer[i[kept], j[kept]] = layer[j[kept], i[kept]] = values[kept]
    return layer


def louvain(layer, weights, seed):
    """Communities of one layer, numbered from the largest.

    layer (n_regions, n_regions): Edges.
    weights (n_regions, n_regions): Before the threshold: a region without edge joins the community
        that it is most correlated with on average.
    Returns labels (n_regions,) int
    """
    import networkx as nx

    layer = np.where(layer > LEAST_EDGE, layer, 0.0)
    linked = np.flatnonzero(layer.any(0))
    if not len(linked):
        return np.arange(len(layer))
    graph = nx.from_numpy_array(layer[np.ix_(linked, linked)])
    runs = [
        nx.community.louvain_communities(graph, weight="weight", seed=seed + i)
        for i in range(N_LOUVAIN)
    ]
    best = max(runs, key=lambda found: nx.community.modularity(graph, found))
    groups = [linked[sorted(group)] for group in best]
    groups.sort(key=lambda group: (-len(group), group[0]))
    labels = np.empty(len(layer), dtype=int)
    for number, group in enumerate(groups):
        labels[group] = number
    for region in np.setdiff1d(np.arange(len(layer)), linked):
        labels[region] = np.argmax([weights[region, group].mean() for group in groups])
    return labels


def stationary(transmat):
    """Long-run share of each state of a Markov chain."""
    n = len(transmat)
    equations = np.vstack([transmat.T - np.eye(n), np.ones(n)])
    found = np.linalg.lstsq(equations, np.r_[np.zeros(n), 1.0], rcond=None)[0]
    return np.clip(found, 0, None) / np.clip(found, 0, None).sum()


def information_rate(transmat: ArrayLike) -> float:
    """Entropy rate of a Markov chain in nats a step: -sum_i pi_i sum_j P_ij log P_ij.

    Parameters
    ----------
    transmat : array-like of shape (n_states, n_states)

    Returns
    -------
    rate : float

    Examples
    --------
    >>> from sklearn_meg.dynamics import information_rate
    >>> round(information_rate([[0.5, 0.5], [0.5, 0.5]]), 4)
    0.6931
    """
    P = np.asarray(transmat, dtype=float)
    logs = np.log(np.where(P > 0, P, 1.0))
    return float(-(stationary(P)[:, None] * P * logs).sum())


def walk_steps(layers):
    """Rows of the layers as probabilities; a region without edge steps anywhere."""
    total = layers.sum(-1, keepdims=True)
    even = np.full_like(layers, 1 / layers.shape[-1])
    return np.where(total > 0, layers / np.where(total > 0, total, 1.0), even)


def multiplex_walk(
    layers: np.ndarray,
    transmat: np.ndarray,
    damping: float = 0.85,
    tol: float = 1e-12,
    max_iter: int = 1000,
) -> np.ndarray:
    """Long-run distribution of a walk through all layers.

    A step goes from region i in state k to region j in state l with probability
    P[k, l] W[l, i, j]: the states follow their Markov chain, the regions the edges of the new
    state. With probability 1 - damping it starts anew anywhere.

    Parameters
    ----------
    layers : ndarray of shape (n_states, n_regions, n_regions)
        Edge weights, not negative.
    transmat : ndarray of shape (n_states, n_states)
    damping : float, default=0.85
    tol : float
    max_iter : int

    Returns
    -------
    visits : ndarray of shape (n_states, n_regions)

    References
    ----------
    Wilsenach, Warnaby, Deane, Reinert (2022), Ranking of communities in multiplex spatiotemporal
    models of brain dynamics, arXiv 2203.09281.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.dynamics import multiplex_walk
    >>> layers = np.array([[[0, 1.0, 0], [1, 0, 1], [0, 1, 0]]])
    >>> multiplex_walk(layers, np.ones((1, 1))).round(3)
    array([[0.257, 0.486, 0.257]])
    """
    steps = walk_steps(np.asarray(layers, dtype=float))
    visits = np.full(steps.shape[:2], 1 / steps[:, :, 0].size)
    for _ in range(max_iter):
        arriving = np.asarray(transmat).T @ visits
        new = damping * (arriving[:, None] @ steps)[:, 0] + (1 - damping) / visits.size
        change = np.abs(new - visits).sum()
        visits = new
        if change < tol:
            break
    return visits / visits.sum()


def rank_communities(layers, labels, transmat, damping=0.85):
    """Score every community by the walk: how often it is there, times how long it stays.

    layers (n_states, n_regions, n_regions)
    labels (n_states, n_regions) int: Community of each region in each state.
    transmat (n_states, n_states)
    Returns communities (Communities): The highest score first.
    """
    visits = multiplex_walk(layers, transmat, damping)
    steps = walk_steps(layers)
    n_states, n_regions = labels.shape
    found = []
    for k in range(n_states):
        for label in np.unique(labels[k]):
            inside = labels[k] == label
            occupancy = visits[k, inside].sum()
            within = steps[k][np.ix_(inside, inside)].sum(1)
            stays = damping * transmat[k, k] * within
            stays = stays + (1 - damping) * inside.sum() / visits.size
            persistence = (visits[k, inside] * stays).sum() / occupancy
            found.append((k, label, occupancy * persistence, occupancy, persistence, inside.sum()))
    found.sort(key=lambda row: (-row[2], row[0], row[1]))
    columns = [np.array(column) for column in zip(*found)]
    return Communities(*columns)
