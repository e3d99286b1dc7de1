"""Are ranked communities more than chance? Surrogate data without coupling between regions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .._checks.params import check_random_state
from ._base import communities_of
from ._graph import rank_communities
from ._posterior import centered

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Literal

    from .._typing import ArrayLike, BaseEstimator, DataFrame, RandomSeed

__all__ = ["community_significance", "surrogate"]


def surrogate(
    X: ArrayLike | Sequence[ArrayLike],
    kind: Literal["shift", "phase"] = "shift",
    random_state: RandomSeed = 0,
) -> list[np.ndarray]:
    """Surrogate recordings: regions keep their own spectra but not their dependencies.

    Parameters
    ----------
    X : array-like of shape (n_subjects, n_regions, n_times), or list of (n_regions, n_times)
    kind : {"shift", "phase"}, default="shift"
        "shift": each region is turned in time by another random lag. "phase": each region gets
        random phases.
    random_state : int, RandomState instance or None, default=0

    Returns
    -------
    X : list of ndarray of shape (n_regions, n_times)

    Raises
    ------
    ValueError
        For another kind.

    Examples
    --------
    >>> from sklearn_meg.dynamics import surrogate
    >>> [x.shape for x in surrogate([[[1.0, 2, 3, 4], [1, 2, 3, 4]]])]
    [(2, 4)]
    """
    rng = check_random_state(random_state)
    if kind not in ("shift", "phase"):
        raise ValueError(f"kind must be 'shift' or 'phase'. Got {kind!r}.")
    turn = _shifted if kind == "shift" else _rephased
    return [turn(np.asarray(x, dtype=float), rng) for x in X]


def _shifted(x, rng):
    lags = rng.randint(x.shape[1], size=len(x))
    return np.stack([np.roll(row, lag) for row, lag in zip(x, lags)])


def _rephased(x, rng):
    mean = x.mean(1, keepdims=True)
    spectrum = np.fft.rfft(x - mean, axis=1)
    phases = np.exp(2j * np.pi * rng.uniform(size=spectrum.shape))
    phases[:, 0] = 1
    if x.shape[1] % 2 == 0:
        phases[:, -1] = 1
    return np.fft.irfft(spectrum * phases, n=x.shape[1], axis=1) + mean


def community_significance(
    model: BaseEstimator,
    X: ArrayLike | Sequence[ArrayLike],
    *,
    n_surrogates: int = 99,
    kind: Literal["shift", "phase"] = "shift",
    refit: bool = False,
    random_state: RandomSeed = 0,
) -> DataFrame:
    """Table of the ranked communities with p-values against surrogate data.

    The surrogates keep the states in time: their layers are made from the moments of uncoupled
    regions in the same states, and their communities found in the same way. What is compared is the
    excess score: occupancy times what persistence is above that of a layer without structure,
    damping * P[k, k] * n / n_regions for n regions. (The score itself is no test: a community of
    all regions has the highest.) The p-value is the share of surrogates whose largest excess, over
    all their communities, is at least that of the community: it holds for all communities at
    once.

    Parameters
    ----------
    model : HiddenMarkovGraph or another fitted state model
    X : array-like of shape (n_subjects, n_regions, n_times), or list of (n_regions, n_times)
        Recordings of the fit.
    n_surrogates : int, default=99
        The smallest p-value is 1 / (n_surrogates + 1).
    kind : {"shift", "phase"}, default="shift"
        See :func:`surrogate`.
    refit : bool, default=False
        Fit the model anew to each surrogate, which takes as long as it says.
    random_state : int, RandomState instance or None, default=0

    Returns
    -------
    table : DataFrame
        :meth:`HiddenMarkovGraph.community_table` with ``p_value`` and ``excess``.

    Raises
    ------
    ValueError
        For fewer than one surrogate, or a single recording (n_times, n_regions).

    Examples
    --------
    >>> from sklearn_meg.dynamics import HiddenMarkovGraph, community_significance
    >>> from sklearn_meg.datasets import make_states
    >>> data = make_states("easy", n_states=2, n_subjects=2, n_times=400)
    >>> model = HiddenMarkovGraph(n_states=2, random_state=0).fit(data.X)
    >>> table = community_significance(model, data.X, n_surrogates=19)
    >>> float(table["p_value"].min())
    0.05
    """
    if n_surrogates < 1:
        raise ValueError(f"n_surrogates must be at least 1. Got {n_surrogates!r}.")
    recordings = model._recordings(X)
    if recordings.kind == "one":
        raise ValueError("X must be (n_subjects, n_regions, n_times) or a list. Got one recording.")
    rng = check_random_state(random_state)
    parts = [part.T for part in recordings.parts]
    gamma = model._probabilities(recordings)
    null = np.empty(n_surrogates)
    for i in range(n_surrogates):
        fake = surrogate(parts, kind, rng)
        null[i] = _refitted(model, fake) if refit else _largest_excess(model, fake, gamma)
    excess = excess_scores(model.ranking_, model.transmat_, model.damping, model.n_features_in_)
    table = model.community_table()
    above = (null[:, None] >= excess - 1e-12).sum(0)
    table.insert(4, "p_value", (1 + above) / (1 + n_surrogates))
    table.insert(5, "excess", excess)
    return table


def excess_scores(ranking, transmat, damping, n_regions):
    """Occupancy times persistence above that without structure, of every community."""
    n_states = len(transmat)
    share = ranking["size"] / n_regions
    chance = share * (damping * np.diag(transmat)[ranking["state"]] + (1 - damping) / n_states)
    return ranking["occupancy"] * (ranking["persistence"] - chance)


def _refitted(model, parts):
    from sklearn.base import clone

    new = clone(model).fit(parts)
    return excess_scores(new.ranking_, new.transmat_, new.damping, new.n_features_in_).max()


def _largest_excess(model, parts, gamma):
    """Of the communities of surrogates in the given states."""
    X = np.concatenate([part.T for part in parts])
    good = ~np.isnan(X).any(1)
    X, gamma = X[good], gamma[good]
    center, spread = model._scale()
    X = (X - center) / spread
    counts = gamma.sum(0)
    sums = gamma.T @ X
    products = np.stack([(X * g[:, None]).T @ X for g in gamma.T])
    _, scatter = centered(counts, sums, products, 1e-6)
    d = X.shape[1]
    covariances = (scatter + np.eye(d)) / (counts + 1)[:, None, None]
    layers, labels = communities_of(model, covariances, counts)
    ranking = vars(rank_communities(layers, labels, model.transmat_, model.damping))
    return excess_scores(ranking, model.transmat_, model.damping, d).max()
