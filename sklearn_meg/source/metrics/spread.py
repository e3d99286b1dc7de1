"""How a source estimate spreads around the true sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_array
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

from .peaks import check_map, check_truth, source_strength

if TYPE_CHECKING:
    from typing import Literal

    from ..._typing import ArrayLike

NEGLIGIBLE = 1e-6  # of the whole mass of a map, left out of the earth mover's distance


def spatial_dispersion(
    positions: ArrayLike,
    sources: ArrayLike,
    true_positions: ArrayLike,
    samples: slice | ArrayLike | None = None,
) -> float:
    """Energy-weighted root mean square distance to the nearest true source, in mm.

    ``sqrt(sum_j e_j d_j^2 / sum_j e_j)`` with ``e_j`` the energy of position j over time and
    ``d_j`` its distance to the nearest true source. Small for one focal, right peak, and also
    if one of several sources is missing: read it beside :func:`hit_rate`.

    Parameters
    ----------
    positions, sources, true_positions, samples
        See :func:`match_sources`; for an extended source give all its positions.

    Returns
    -------
    dispersion : float
        Dispersion in mm; NaN if the estimate is zero everywhere.

    Raises
    ------
    ValueError
        If the shapes do not belong together or there is no true source.

    Examples
    --------
    >>> from sklearn_meg.source.metrics import spatial_dispersion
    >>> spatial_dispersion([[0, 0, 0], [0.01, 0, 0]], [0, 3], [[0, 0, 0]])
    10.0
    """
    positions, strength = check_map(positions, sources, samples, kind="rms")
    distance = 1e3 * KDTree(check_truth(true_positions)).query(positions)[0]
    energy = np.square(strength / (strength.max() or 1.0))
    if not energy.any():
        return float("nan")
    return float(np.sqrt((energy * distance**2).sum() / energy.sum()))


def earth_movers_distance(
    positions: ArrayLike,
    sources: ArrayLike,
    true_positions: ArrayLike,
    true_sources: ArrayLike | None = None,
    samples: slice | ArrayLike | None = None,
    power: Literal[1, 2] = 2,
) -> float:
    """Earth mover's distance between the map of the estimate and the true map, in mm.

    The least mean distance that the estimated energy must be moved to become the true energy,
    both made to sum to 1: the optimal transport problem, solved exactly as a linear programme.
    Missing sources, wrong places, wrong shares and blur all count.

    Parameters
    ----------
    positions, sources, true_positions, samples
        See :func:`match_sources`; give all positions that have current.
    true_sources : array-like of shape (n_true[, 3], n_times) or (n_true,), default=None
        Their time courses, or their moments as a map; None makes all equal.
    power : {1, 2}, default=2
        The mass of a position: 2 its energy over time, 1 its root mean square amplitude.

    Returns
    -------
    distance : float
        Distance in mm; NaN if either map is zero everywhere.

    Raises
    ------
    ValueError
        If the shapes do not belong together or there is no true source.
    RuntimeError
        If the linear programme was not solved.

    Notes
    -----
    The weakest positions that together hold less than 1e-6 of the mass are left out.

    Examples
    --------
    >>> from sklearn_meg.source.metrics import earth_movers_distance
    >>> line = [[0.01 * i, 0, 0] for i in range(3)]
    >>> round(earth_movers_distance(line, [1, 0, 1], [[0, 0, 0]], power=1), 6)
    10.0
    """
    if power not in (1, 2):
        raise ValueError(f"power must be 1 or 2. Got {power!r}.")
    positions, strength = check_map(positions, sources, samples, kind="rms")
    truth = check_truth(true_positions)
    true_sources = np.ones(len(truth)) if true_sources is None else true_sources
    if np.ndim(true_sources) == 1:
        true_strength = source_strength(true_sources)
    else:
        true_strength = source_strength(true_sources, samples, kind="rms")
    if len(true_strength) != len(truth):
        raise ValueError(
            f"true_sources must hold {len(truth)} sources like true_positions. "
            f"Got {len(true_strength)}."
        )
    if not strength.any() or not true_strength.any():
        return float("nan")
    supply, demand = _mass(strength, power), _mass(true_strength, power)
    there, wanted = supply > 0, demand > 0
    cost = 1e3 * cdist(truth[wanted], positions[there])
    return _transport(supply[there], demand[wanted], cost)


def _mass(strength, power):
    """Shares of the whole, the weakest set to 0 if they do not matter together."""
    mass = (strength / strength.max()) ** power
    mass /= mass.sum()
    order = np.argsort(mass)
    mass[order[np.cumsum(mass[order]) < NEGLIGIBLE]] = 0.0
    return mass / mass.sum()


def _transport(supply, demand, cost):
    """Least mean cost of moving `supply` (n,) to `demand` (m,) at `cost` (m, n)."""
    m, n = cost.shape
    if m == 1 or n == 1:
        return float((cost * np.outer(demand, supply)).sum())
    variable = np.arange(m * n)
    rows = np.concatenate([variable // n, m + variable % n])
    matrix = csr_array((np.ones(2 * m * n), (rows, np.tile(variable, 2))), shape=(m + n, m * n))
    # One equation follows from the others; without it rounding cannot make them contradict.
    solution = linprog(
        cost.ravel(), A_eq=matrix[1:], b_eq=np.r_[demand, supply][1:], method="highs-ds"
    )
    if solution.status != 0:
        raise RuntimeError(f"The transport problem was not solved: {solution.message}")
    return float(solution.fun)
