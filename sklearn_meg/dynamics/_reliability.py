"""Are ranked communities the same in other recordings? Recordings are drawn again."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from .._checks.params import check_random_state
from .._training.threads import one_blas_thread
from ._base import communities_of
from ._posterior import centered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._typing import ArrayLike, BaseEstimator, DataFrame, RandomSeed

__all__ = ["community_reliability"]

N_BLOCKS = 8  # of a single recording, drawn in place of recordings


@one_blas_thread()
def community_reliability(
    model: BaseEstimator,
    X: ArrayLike | Sequence[ArrayLike],
    *,
    n_bootstraps: int = 50,
    random_state: RandomSeed = 0,
) -> DataFrame:
    """Table of the ranked communities, and how often they recur in resampled recordings.

    Recordings are drawn with replacement. The states stay; their covariances, layers and
    communities are found again in what was drawn. The reliability of a community is the mean
    Jaccard index with the community of the same state that is most like it: 0.75 and more is
    stable, below 0.6 it should not be trusted [1]_.

    Parameters
    ----------
    model : HiddenMarkovGraph or another fitted state model
    X : array-like of shape (n_subjects, n_regions, n_times), list of (n_regions, n_times), or \
(n_times, n_regions)
        Recordings of the fit. Of a single recording, eight blocks of time are drawn.
    n_bootstraps : int, default=50
        Number of draws.
    random_state : int, RandomState instance or None, default=0

    Returns
    -------
    table : DataFrame
        :meth:`HiddenMarkovGraph.community_table` with ``reliability``.

    Raises
    ------
    ValueError
        For fewer than one draw.

    References
    ----------
    .. [1] Hennig (2007), Cluster-wise assessment of cluster stability, Computational Statistics &
       Data Analysis 52.

    Examples
    --------
    >>> from sklearn_meg.datasets import make_states
    >>> from sklearn_meg.dynamics import HiddenMarkovGraph, community_reliability
    >>> data = make_states("easy", n_states=2, n_subjects=4, n_times=400)
    >>> model = HiddenMarkovGraph(n_states=2, random_state=0).fit(data.X)
    >>> table = community_reliability(model, data.X, n_bootstraps=5)
    >>> bool(table["reliability"][:5].min() > 0.75)
    True
    """
    if n_bootstraps < 1:
        raise ValueError(f"n_bootstraps must be at least 1. Got {n_bootstraps!r}.")
    rng = check_random_state(random_state)
    parts = _moments(model, model._recordings(X))
    found = np.zeros(len(model.ranking_["state"]))
    for _ in range(n_bootstraps):
        drawn = rng.randint(len(parts), size=len(parts))
        found += _alike(model, [sum(m) for m in zip(*(parts[i] for i in drawn))])
    table = model.community_table()
    table.insert(4, "reliability", found / n_bootstraps)
    return table


def _moments(model, recordings):
    """Counts, sums and products of the states, one tuple a recording or block."""
    prepared = model._prepared(recordings)
    parameters, found = model._parameters(), []
    n_blocks = N_BLOCKS if len(recordings.parts) == 1 else 1
    d = model.n_features_in_
    for r in range(len(recordings.parts)):
        batch = prepared.batch(prepared.recordings.pick([r]))
        gamma = batch.decode(*parameters)[0][:, 0]
        if batch.missing is not None:
            gamma = gamma * ~batch.missing[:, None]
        X = batch.X[:, :d]
        for a, b in pairwise(np.linspace(0, len(X), n_blocks + 1).astype(int)):
            g = gamma[a:b]
            products = np.stack([(X[a:b] * one[:, None]).T @ X[a:b] for one in g.T])
            found.append((g.sum(0), g.T @ X[a:b], products))
    return found


def _alike(model, moments):
    """Jaccard index of each ranked community with the one of the drawn samples most like it."""
    counts, sums, products = moments
    _, scatter = centered(counts, sums, products, 1e-6)
    d = scatter.shape[-1]
    covariances = (scatter + np.eye(d)) / (counts + 1)[:, None, None]
    _, labels = communities_of(model, covariances, counts)
    pairs = zip(model.ranking_["state"], model.ranking_["label"])
    return np.array([_best_overlap(model.communities_[k] == one, labels[k]) for k, one in pairs])


def _best_overlap(inside, labels):
    shared = np.bincount(labels[inside], minlength=labels.max() + 1)
    either = inside.sum() + np.bincount(labels) - shared
    return (shared / either).max()
