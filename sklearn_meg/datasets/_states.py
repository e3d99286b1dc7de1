"""Recordings of brain states with planted communities, as a hidden Markov model makes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .._repr import short_repr

if TYPE_CHECKING:
    from typing import Literal

    from .._typing import RandomSeed

__all__ = ["StateData", "make_states"]

# n_subjects, n_times, stay, coupling
WORLDS = {"easy": (6, 1000, 0.97, 1.0), "hard": (4, 600, 0.90, 0.6)}
STRENGTHS = (0.3, 0.7)  # correlations inside the weakest and the strongest community of a state


@dataclass
class StateData:
    """Recordings, and what they were made from.

    Attributes
    ----------
    X : ndarray of shape (n_subjects, n_regions, n_times)
        Activity of unit variance.
    states : ndarray of int of shape (n_subjects, n_times)
        The true state of each sample.
    startprob : ndarray of shape (n_states,)
    transmat : ndarray of shape (n_states, n_states)
    means : ndarray of shape (n_states, n_regions)
    covariances : ndarray of shape (n_states, n_regions, n_regions)
    communities : ndarray of int of shape (n_states, n_regions)
        Community that a region belongs to in a state.
    strengths : ndarray of shape (n_states, n_communities)
        Correlation inside each community.
    """

    X: np.ndarray
    states: np.ndarray
    startprob: np.ndarray
    transmat: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    communities: np.ndarray
    strengths: np.ndarray

    __repr__ = short_repr


def make_states(
    world: Literal["easy", "hard"] = "easy",
    *,
    n_states: int = 4,
    n_subjects: int | None = None,
    n_times: int | None = None,
    n_regions: int = 40,
    n_communities: int = 5,
    stay: float | None = None,
    coupling: float | None = None,
    random_state: RandomSeed = 0,
) -> StateData:
    """Make recordings that switch between states of correlated regions.

    In each state the regions fall into communities of unequal size, drawn anew; inside a community
    all pairs of regions have the same correlation, between communities none. The sizes of the
    communities of a state are evenly spaced from half to one and a half times their mean, their
    correlations from 0.3 to 0.7, both in random order. The last state comes twice as often as the
    first. All have zero mean and unit variances: only correlations tell them apart.

    Parameters
    ----------
    world : {"easy", "hard"}, default="easy"
        "easy": 6 subjects, 1000 samples, a state stays with probability 0.97. "hard": 4 subjects,
        600 samples, 0.90, and all correlations times 0.6.
    n_states : int, default=4
    n_subjects, n_times : int, default=None
        None is what the world has.
    n_regions : int, default=40
    n_communities : int, default=5
        Number of communities in each state.
    stay : float, default=None
        Probability that the next sample has the same state, on average over samples.
    coupling : float, default=None
        Factor of the correlations.
    random_state : int, RandomState instance or None, default=0

    Returns
    -------
    data : StateData

    Raises
    ------
    ValueError
        For another world, sizes below 1, more communities than regions, or probabilities outside
        (0, 1).

    Examples
    --------
    >>> from sklearn_meg.datasets import make_states
    >>> data = make_states("hard", n_times=100)
    >>> data.X.shape, data.states.shape, data.covariances.shape
    ((4, 40, 100), (4, 100), (4, 40, 40))
    """
    from .._checks.params import check_random_state

    if world not in WORLDS:
        raise ValueError(f"world must be one of {', '.join(map(repr, WORLDS))}. Got {world!r}.")
    given = (n_subjects, n_times, stay, coupling)
    n_subjects, n_times, stay, coupling = (
        default if value is None else value for value, default in zip(given, WORLDS[world])
    )
    _check(n_states, n_subjects, n_times, n_regions, n_communities, stay, coupling)
    rng = check_random_state(random_state)
    sizes = _sizes(n_regions, n_communities)
    communities = np.stack(
        [rng.permutation(np.repeat(rng.permutation(n_communities), sizes)) for _ in range(n_states)]
    )
    strengths = np.stack(
        [rng.permutation(np.linspace(*STRENGTHS, n_communities)) for _ in range(n_states)]
    )
    strengths = coupling * strengths
    covariances = np.stack([_covariance(c, s) for c, s in zip(communities, strengths)])
    startprob = np.linspace(1, 2, n_states)
    startprob /= startprob.sum()
    transmat = _transitions(startprob, stay)
    states = _walk(startprob, transmat, n_subjects, n_times, rng)
    factors = np.linalg.cholesky(covariances)
    noise = rng.normal(size=(n_subjects, n_times, n_regions))
    X = np.empty((n_subjects, n_regions, n_times))
    for k, factor in enumerate(factors):
        here = states == k
        X.transpose(0, 2, 1)[here] = noise[here] @ factor.T
    means = np.zeros((n_states, n_regions))
    return StateData(X, states, startprob, transmat, means, covariances, communities, strengths)


def _check(n_states, n_subjects, n_times, n_regions, n_communities, stay, coupling):
    sizes = {
        "n_states": n_states,
        "n_subjects": n_subjects,
        "n_times": n_times,
        "n_regions": n_regions,
        "n_communities": n_communities,
    }
    for name, size in sizes.items():
        if not isinstance(size, int | np.integer) or size < 1:
            raise ValueError(f"{name} must be an int of at least 1. Got {size!r}.")
    if n_communities > n_regions:
        raise ValueError(f"n_communities must be at most n_regions. Got {n_communities}.")
    for name, value in {"stay": stay, "coupling": coupling}.items():
        if not 0 < value <= 1:
            raise ValueError(f"{name} must be in (0, 1]. Got {value!r}.")


def _sizes(n_regions, n_communities):
    """Regions of each community, at least one."""
    borders = np.cumsum(np.linspace(0.5, 1.5, n_communities) / n_communities * n_regions)
    sizes = np.diff(np.rint(borders).astype(int), prepend=0)
    if sizes.min() < 1 or sizes.sum() != n_regions:
        sizes = np.bincount(np.arange(n_regions) % n_communities)
    return sizes


def _transitions(shares, stay):
    """A chain that stays with one probability and has the given long-run shares of states."""
    n = len(shares)
    if n == 1:
        return np.ones((1, 1))
    # Metropolis: go to any other state, rarer to those that come less often; scaled to stay.
    P = np.minimum(1, shares[None] / shares[:, None])
    np.fill_diagonal(P, 0)
    P *= (1 - stay) / (shares @ P.sum(1))
    np.fill_diagonal(P, 1 - P.sum(1))
    return P


def _covariance(communities, strengths):
    same = communities[:, None] == communities[None]
    covariance = same * strengths[communities][:, None]
    np.fill_diagonal(covariance, 1.0)
    return covariance


def _walk(startprob, transmat, n_subjects, n_times, rng):
    """State paths (n_subjects, n_times) of a Markov chain."""
    uniform = rng.uniform(size=(n_times, n_subjects))
    states = np.empty((n_times, n_subjects), dtype=int)
    steps = np.cumsum(transmat, axis=1)
    states[0] = (uniform[0][:, None] > np.cumsum(startprob)[:-1]).sum(1)
    for t in range(1, n_times):
        states[t] = (uniform[t][:, None] > steps[states[t - 1], :-1]).sum(1)
    return states.T
