"""How far the peaks of a source estimate are from the true sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

if TYPE_CHECKING:
    from typing import Literal

    from ..._typing import ArrayLike

MISS = 100.0  # mm, the error of a source that nothing was found for
HIT = 20.0  # mm
NEIGHBORS = 1.8  # grid spacings: all 26 neighbors on a cubic grid


def source_strength(
    sources: ArrayLike,
    samples: slice | ArrayLike | int | None = None,
    kind: Literal["peak", "rms"] = "peak",
) -> np.ndarray:
    """Reduce source time courses to one number a position.

    Parameters
    ----------
    sources : array-like of shape (n_positions, n_times) or (n_positions, 3, n_times)
        Three rows are the parts of a vector, whose length counts. Or ``(n_positions,)``: a map.
    samples : slice or array-like of bool or int, default=None
        Samples to look at, as an index into the last axis; None takes all. Not for maps.
    kind : {"peak", "rms"}, default="peak"
        Largest length over time, or its root mean square.

    Returns
    -------
    strength : ndarray of shape (n_positions,)

    Raises
    ------
    ValueError
        For another shape, NaN or infinity, no samples, or an unknown kind.

    Examples
    --------
    >>> from sklearn_meg.source.metrics import source_strength
    >>> source_strength([[0, -2, 1], [1, 1, 1]])
    array([2., 1.])
    """
    if kind not in ("peak", "rms"):
        raise ValueError(f"kind must be 'peak' or 'rms'. Got {kind!r}.")
    length = lengths(sources)
    if samples is not None:
        if np.ndim(sources) == 1:
            raise ValueError("samples has no meaning for a map: sources has one dimension.")
        length = length[:, samples]
    if not length.shape[1]:
        raise ValueError("samples must hold at least one sample. Got none.")
    return length.max(axis=1) if kind == "peak" else np.sqrt(np.square(length).mean(axis=1))


def find_peaks(
    positions: ArrayLike,
    sources: ArrayLike,
    n_peaks: int | None = None,
    samples: slice | ArrayLike | None = None,
) -> np.ndarray:
    """Find the local maxima of the peak strength, the strongest first.

    A local maximum is stronger than all positions within 1.8 grid spacings; of neighbors that
    are exactly as strong the first counts. Where all is zero there is none.

    Parameters
    ----------
    positions : array-like of shape (n_positions, 3)
        Coordinates in m.
    sources : array-like of shape (n_positions[, 3], n_times) or (n_positions,)
    n_peaks : int, default=None
        Give back at most so many; None gives all.
    samples : slice or array-like, default=None
        See :func:`source_strength`.

    Returns
    -------
    peaks : ndarray of int
        Indices of positions.

    Raises
    ------
    ValueError
        If the shapes do not belong together.

    Examples
    --------
    >>> from sklearn_meg.source.metrics import find_peaks
    >>> line = [[0.01 * i, 0, 0] for i in range(6)]
    >>> find_peaks(line, [1, 3, 2, 0, 5, 4])
    array([4, 1])
    """
    positions, strength = check_map(positions, sources, samples)
    order = np.lexsort((np.arange(len(strength)), -strength))
    rank = np.empty(len(order), dtype=int)
    rank[order] = np.arange(len(order))
    tree = KDTree(positions)
    radius = NEIGHBORS * _spacing(positions, tree)
    found = []
    for index in order:
        if strength[index] <= 0 or (n_peaks is not None and len(found) == n_peaks):
            break
        if rank[tree.query_ball_point(positions[index], radius)].min() == rank[index]:
            found.append(index)
    return np.array(found, dtype=int)


def match_sources(
    positions: ArrayLike,
    sources: ArrayLike,
    true_positions: ArrayLike,
    samples: slice | ArrayLike | None = None,
    miss: float = MISS,
) -> tuple[np.ndarray, np.ndarray]:
    """Assign the strongest local maxima to the true sources.

    With n true sources the n strongest local maxima are taken and assigned so that the distances
    add up to the least (Hungarian method).

    Parameters
    ----------
    positions : array-like of shape (n_positions, 3)
        Coordinates in m.
    sources : array-like of shape (n_positions[, 3], n_times) or (n_positions,)
    true_positions : array-like of shape (n_sources, 3)
        Coordinates in m, same coordinates.
    samples : slice or array-like, default=None
        See :func:`source_strength`.
    miss : float, default=100.0
        Distance in mm of a source without a maximum; also the largest distance counted.

    Returns
    -------
    peaks : ndarray of int of shape (n_sources,)
        Index of the position found for each true source, -1 if there was none.
    distances : ndarray of shape (n_sources,)
        Distances in mm.

    Raises
    ------
    ValueError
        If the shapes do not belong together or there is no true source.

    Examples
    --------
    >>> from sklearn_meg.source.metrics import match_sources
    >>> line = [[0.01 * i, 0, 0] for i in range(6)]
    >>> match_sources(line, [1, 3, 2, 0, 5, 4], [[0.01, 0, 0], [0.05, 0, 0]])
    (array([1, 4]), array([ 0., 10.]))
    """
    truth = check_truth(true_positions)
    found = find_peaks(positions, sources, len(truth), samples)
    peaks, distances = np.full(len(truth), -1), np.full(len(truth), float(miss))
    cost = np.minimum(1e3 * cdist(truth, np.asarray(positions, dtype=float)[found]), miss)
    rows, columns = linear_sum_assignment(cost)
    peaks[rows] = found[columns]
    distances[rows] = cost[rows, columns]
    return peaks, distances


def localization_error(
    positions: ArrayLike,
    sources: ArrayLike,
    true_positions: ArrayLike,
    samples: slice | ArrayLike | None = None,
    miss: float = MISS,
) -> float:
    """Mean distance between true sources and the maxima found for them, in mm.

    Parameters
    ----------
    positions, sources, true_positions, samples, miss
        See :func:`match_sources`.

    Returns
    -------
    error : float
        Error in mm; `miss` for each source without a maximum.

    Raises
    ------
    ValueError
        If the shapes do not belong together or there is no true source.

    Examples
    --------
    >>> from sklearn_meg.source.metrics import localization_error
    >>> line = [[0.01 * i, 0, 0] for i in range(6)]
    >>> round(localization_error(line, [0, 3, 0, 0, 0, 0], [[0, 0, 0], [0.05, 0, 0]]), 6)
    55.0
    """
    return float(match_sources(positions, sources, true_positions, samples, miss)[1].mean())


def hit_rate(
    positions: ArrayLike,
    sources: ArrayLike,
    true_positions: ArrayLike,
    samples: slice | ArrayLike | None = None,
    within: float = HIT,
) -> float:
    """Share of the true sources with a maximum assigned to them within 20 mm.

    Parameters
    ----------
    positions, sources, true_positions, samples
        See :func:`match_sources`.
    within : float, default=20.0
        Distance in mm.

    Returns
    -------
    rate : float between 0 and 1

    Raises
    ------
    ValueError
        If the shapes do not belong together or there is no true source.

    Examples
    --------
    >>> from sklearn_meg.source.metrics import hit_rate
    >>> line = [[0.01 * i, 0, 0] for i in range(6)]
    >>> hit_rate(line, [0, 3, 0, 0, 0, 0], [[0, 0, 0], [0.05, 0, 0]])
    0.5
    """
    peaks, distances = match_sources(
        positions, sources, true_positions, samples, miss=max(MISS, 2 * within)
    )
    return float(((peaks >= 0) & (distances <= within)).mean())


def lengths(sources):
    """Lengths of the vectors: (n_positions, n_times)."""
    sources = np.asarray(sources)
    if sources.ndim not in (1, 2, 3) or (sources.ndim == 3 and sources.shape[1] != 3):
        raise ValueError(
            "sources must have the shape (n_positions, n_times), (n_positions, 3, n_times) or "
            f"(n_positions,). Got {sources.shape}."
        )
    if not sources.size or sources.dtype.kind not in "biuf" or not np.isfinite(sources).all():
        raise ValueError("sources must hold finite real numbers, at least one.")
    sources = sources.astype(float, copy=False)
    if sources.ndim == 1:
        return np.abs(sources)[:, None]
    return np.linalg.norm(sources, axis=1) if sources.ndim == 3 else np.abs(sources)


def check_map(positions, sources, samples=None, kind="peak"):
    """Check positions and sources that go together; return positions and strengths."""
    positions = _check_points(positions, "positions")
    strength = source_strength(sources, samples, kind)
    if len(positions) != len(strength):
        raise ValueError(
            f"sources must hold one row a position, {len(positions)}. Got {len(strength)}."
        )
    return positions, strength


def check_truth(true_positions):
    """Check the positions of true sources, (n, 3) in m."""
    return _check_points(np.atleast_2d(true_positions), "true_positions")


def _check_points(points, name):
    points = np.asarray(points, dtype=float)
    if points.ndim != 2 or points.shape[1] != 3 or not len(points):
        raise ValueError(f"{name} must have the shape (n, 3), n at least 1. Got {points.shape}.")
    if not np.isfinite(points).all() or np.abs(points).max() > 1.0:
        raise ValueError(f"{name} must be finite and in m (none beyond 1 m from the origin).")
    return points


def _spacing(positions, tree):
    """Median distance to the nearest neighbor."""
    if len(positions) < 2:
        return 0.0
    return float(np.median(tree.query(positions, k=2)[0][:, 1]))
