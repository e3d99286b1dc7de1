"""How good found states, communities and ranks are where the true ones are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata
from sklearn.metrics import adjusted_rand_score

from ._graph import correlations, rank_communities, strongest_edges

if TYPE_CHECKING:
    from .._typing import ArrayLike, BaseEstimator

__all__ = [
    "community_ari",
    "match_states",
    "planted_scores",
    "rank_correlation",
    "state_accuracy",
]


def _flat(states):
    if isinstance(states, list | tuple) and len(states) and np.ndim(states[0]) == 1:
        return np.concatenate(states)
    return np.asarray(states).ravel()


def match_states(y_true: ArrayLike, y_pred: ArrayLike) -> np.ndarray:
    """Match found states to true ones so that most samples agree (Hungarian method).

    Parameters
    ----------
    y_true, y_pred : array-like of int, or list of such
        States of the samples, from 0.

    Returns
    -------
    matching : ndarray of int of shape (n_true_states,)
        Found state of each true one; -1 where there are fewer found states.

    Raises
    ------
    ValueError
        If the numbers of samples differ.

    Examples
    --------
    >>> from sklearn_meg.dynamics.metrics import match_states
    >>> match_states([0, 0, 1, 1], [1, 1, 0, 1])
    array([1, 0])
    """
    table = _contingency(y_true, y_pred)
    rows, columns = linear_sum_assignment(-table)
    matching = np.full(len(table), -1)
    matching[rows] = columns
    return matching


def state_accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Share of samples in the right state, after matching the states.

    Parameters
    ----------
    y_true, y_pred : array-like of int, or list of such

    Returns
    -------
    accuracy : float

    Raises
    ------
    ValueError
        If the numbers of samples differ.

    Examples
    --------
    >>> from sklearn_meg.dynamics.metrics import state_accuracy
    >>> state_accuracy([0, 0, 1, 1], [1, 1, 0, 1])
    0.75
    """
    table = _contingency(y_true, y_pred)
    rows, columns = linear_sum_assignment(-table)
    return float(table[rows, columns].sum() / table.sum())


def _contingency(y_true, y_pred):
    y_true, y_pred = _flat(y_true), _flat(y_pred)
    if len(y_true) != len(y_pred) or not len(y_true):
        raise ValueError(
            f"y_true and y_pred must have the same samples, at least one. Got {len(y_true)} and "
            f"{len(y_pred)}."
        )
    table = np.zeros((y_true.max() + 1, y_pred.max() + 1))
    np.add.at(table, (y_true, y_pred), 1)
    return table


def community_ari(true_labels: ArrayLike, labels: ArrayLike, matching: ArrayLike) -> float:
    """Adjusted Rand index of communities, the mean over true states.

    Parameters
    ----------
    true_labels, labels : array-like of int of shape (n_states, n_regions)
    matching : array-like of int of shape (n_true_states,)
        From `match_states`; a state that was not found counts 0.

    Returns
    -------
    ari : float

    Examples
    --------
    >>> from sklearn_meg.dynamics.metrics import community_ari
    >>> community_ari([[0, 0, 1, 1]], [[1, 1, 0, 0]], [0])
    1.0
    """
    values = [
        adjusted_rand_score(true, labels[found]) if found >= 0 else 0.0
        for true, found in zip(true_labels, matching)
    ]
    return float(np.mean(values))


def planted_scores(
    covariances: ArrayLike,
    communities: ArrayLike,
    transmat: ArrayLike,
    density: float = 0.15,
    damping: float = 0.85,
) -> np.ndarray:
    """Scores of planted communities in the walk through the true network.

    Parameters
    ----------
    covariances : array-like of shape (n_states, n_regions, n_regions)
        The true ones.
    communities : array-like of int of shape (n_states, n_regions)
        Labels from 0.
    transmat : array-like of shape (n_states, n_states)
    density, damping : float
        As :class:`~sklearn_meg.HiddenMarkovGraph`.

    Returns
    -------
    scores : ndarray of shape (n_states, n_communities)

    Examples
    --------
    >>> from sklearn_meg.datasets import make_states
    >>> from sklearn_meg.dynamics.metrics import planted_scores
    >>> data = make_states("easy", n_times=10)
    >>> planted_scores(data.covariances, data.communities, data.transmat).shape
    (4, 5)
    """
    layers = np.stack([strongest_edges(c, density) for c in correlations(covariances)])
    communities = np.asarray(communities)
    ranked = rank_communities(layers, communities, np.asarray(transmat), damping)
    scores = np.zeros((len(communities), communities.max() + 1))
    scores[ranked.state, ranked.label] = ranked.score
    return scores


def rank_correlation(
    true_scores: ArrayLike, true_labels: ArrayLike, model: BaseEstimator, matching: ArrayLike
) -> float:
    """Spearman correlation of planted and found scores, over all planted communities.

    A planted community takes the score of the found one in the matched state that shares most
    with it (by Jaccard index); 0 where the state was not found.

    Parameters
    ----------
    true_scores : array-like of shape (n_states, n_communities)
        From `planted_scores`.
    true_labels : array-like of int of shape (n_states, n_regions)
    model : fitted estimator
        With ``communities_`` and ``ranking_``.
    matching : array-like of int of shape (n_true_states,)
        From `match_states`.

    Returns
    -------
    rho : float

    Examples
    --------
    >>> from sklearn_meg import HiddenMarkovGraph
    >>> from sklearn_meg.datasets import make_states
    >>> from sklearn_meg.dynamics.metrics import match_states, planted_scores, rank_correlation
    >>> data = make_states("easy", n_times=500)
    >>> model = HiddenMarkovGraph(n_states=4, random_state=0).fit(data.X)
    >>> matching = match_states(data.states, model.predict(data.X))
    >>> scores = planted_scores(data.covariances, data.communities, data.transmat)
    >>> rank_correlation(scores, data.communities, model, matching) > 0.9
    True
    """
    found = []
    for k, state in enumerate(matching):
        for label in range(len(true_scores[k])):
            inside = np.asarray(true_labels[k]) == label
            found.append(_best_score(inside, model, state) if state >= 0 else 0.0)
    a, b = rankdata(np.ravel(true_scores)), rankdata(found)
    if a.std() == 0 or b.std() == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def _best_score(inside, model, state):
    ranking, labels = model.ranking_, model.communities_[state]
    best, score = -1.0, 0.0
    for k, label, value in zip(ranking["state"], ranking["label"], ranking["score"]):
        if k == state:
            other = labels == label
            jaccard = (inside & other).sum() / (inside | other).sum()
            if jaccard > best:
                best, score = jaccard, value
    return score
