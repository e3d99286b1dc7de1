"""Scores of source estimates whose truth is known, and what can be said without it.

Positions are in m, distances come back in mm. A source estimate is ``(n_positions, n_times)``,
signed or the length of a vector, or ``(n_positions, 3, n_times)`` as in mne's
``VectorSourceEstimate``. Its unit does not matter, so maps of dSPM or of a beamformer can be
compared with dipole moments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment, linprog
from scipy.sparse import csr_array
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

if TYPE_CHECKING:
    from typing import Literal

    from .._typing import ArrayLike

__all__ = [
    "earth_movers_distance",
    "false_positive_ratio",
    "field_correlation",
    "find_peaks",
    "hit_rate",
    "localization_error",
    "match_sources",
    "nmse",
    "output_snr",
    "source_strength",
    "spatial_dispersion",
    "time_course_correlation",
]

MISS = 100.0  # mm, the error of a source that nothing was found for
HIT = 20.0  # mm
NEIGHBOURS = 1.8  # grid spacings: all 26 neighbours on a cubic grid
NEGLIGIBLE = 1e-6  # of the whole mass of a map, left out of the earth mover's distance


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
    length = _length(sources)
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

    A local maximum is stronger than all positions within 1.8 grid spacings; of neighbours that
    are exactly as strong the first counts. Where all is zero there is none.

    Parameters
    ----------
    positions : array-like of shape (n_positions, 3)
        In m.
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
    positions, strength = _check_map(positions, sources, samples)
    order = np.lexsort((np.arange(len(strength)), -strength))
    rank = np.empty(len(order), dtype=int)
    rank[order] = np.arange(len(order))
    tree = KDTree(positions)
    radius = NEIGHBOURS * _spacing(positions, tree)
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
        In m.
    sources : array-like of shape (n_positions[, 3], n_times) or (n_positions,)
    true_positions : array-like of shape (n_sources, 3)
        In m, same coordinates.
    samples : slice or array-like, default=None
        See :func:`source_strength`.
    miss : float, default=100.0
        Distance in mm of a source without a maximum; also the largest distance counted.

    Returns
    -------
    peaks : ndarray of int of shape (n_sources,)
        Index of the position found for each true source, -1 if there was none.
    distances : ndarray of shape (n_sources,)
        In mm.

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
    truth = _check_truth(true_positions)
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
        In mm; `miss` for each source without a maximum.

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
        In mm.

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
        In mm; NaN if the estimate is zero everywhere.

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
    positions, strength = _check_map(positions, sources, samples, kind="rms")
    distance = 1e3 * KDTree(_check_truth(true_positions)).query(positions)[0]
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
        In mm; NaN if either map is zero everywhere.

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
    positions, strength = _check_map(positions, sources, samples, kind="rms")
    truth = _check_truth(true_positions)
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


def time_course_correlation(
    positions: ArrayLike,
    sources: ArrayLike,
    true_positions: ArrayLike,
    true_time_courses: ArrayLike,
    samples: slice | ArrayLike | None = None,
) -> float:
    """Mean correlation of the estimated with the true time courses, regardless of sign.

    At the maximum assigned to each true source (:func:`match_sources`) the vector time course
    is projected on its dominant orientation (first singular vector) and correlated.

    Parameters
    ----------
    positions, sources, true_positions, samples
        See :func:`match_sources`. Sources must be signed or vectors: lengths, which have no
        sign, cannot follow a time course that changes its sign.
    true_time_courses : array-like of shape (n_sources, n_times)

    Returns
    -------
    correlation : float between 0 and 1
        A source without a maximum, or a flat estimate, counts as 0.

    Raises
    ------
    ValueError
        If the shapes do not belong together or there is no true source.

    Examples
    --------
    >>> from sklearn_meg.source.metrics import time_course_correlation
    >>> round(time_course_correlation([[0, 0, 0]], [[0, -4, 2]], [[0, 0, 0]], [[0, 2, -1]]), 6)
    1.0
    """
    sources = np.asarray(sources, dtype=float)
    true = np.atleast_2d(np.asarray(true_time_courses, dtype=float))
    if sources.ndim < 2 or true.shape[-1] != sources.shape[-1]:
        raise ValueError(
            f"sources and true_time_courses must share the samples on their last axis. "
            f"Got shapes {sources.shape} and {true.shape}."
        )
    if len(true) != len(_check_truth(true_positions)):
        raise ValueError(
            f"true_time_courses must hold one row a true position, {len(true_positions)}. "
            f"Got {len(true)}."
        )
    peaks, _ = match_sources(positions, sources, true_positions, samples)
    pick = slice(None) if samples is None else samples
    scores = [
        0.0 if peak < 0 else _abs_correlation(_dominant(sources[peak][..., pick]), course[pick])
        for peak, course in zip(peaks, true)
    ]
    return float(np.mean(scores))


def output_snr(sources: ArrayLike, onset: int, stop: int | None = None) -> float:
    """Ratio of the mean energy after and before the onset, in dB.

    .. warning::
       Never compare methods by this score alone. A network whose input is a step at the onset
       is flat before it by construction, and gets any score whether right or wrong.

    Parameters
    ----------
    sources : array-like of shape (n_positions[, 3], n_times)
    onset : int
        First sample that counts as after.
    stop : int, default=None
        First sample that does not count any more; None is the end.

    Returns
    -------
    snr : float
        ``10 log10(mean after / mean before)``, infinite if all is zero before the onset, NaN if
        also after.

    Raises
    ------
    ValueError
        If either side holds no sample.

    Examples
    --------
    >>> from sklearn_meg.source.metrics import output_snr
    >>> output_snr([[1, -1, 10, 10]], onset=2)
    20.0
    """
    length = _length(sources)
    n_times = length.shape[1]
    stop = n_times if stop is None else stop
    if not 0 < onset < stop <= n_times:
        raise ValueError(
            f"onset and stop must be samples with 0 < onset < stop <= {n_times}. "
            f"Got {onset} and {stop}."
        )
    length = length / (length.max() or 1.0)
    before = np.square(length[:, :onset]).mean()
    after = np.square(length[:, onset:stop]).mean()
    if before == 0:
        return float("inf") if after > 0 else float("nan")
    return float(10 * np.log10(after / before)) if after > 0 else -float("inf")


def nmse(y_true: ArrayLike, y_pred: ArrayLike, whitener: ArrayLike | None = None) -> float:
    """Normalised mean squared error of reconstructed fields: 0 is perfect, 1 is a zero field.

    ``sum (y_true - y_pred)^2 / sum y_true^2`` over channels and samples.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_channels, n_times) or (..., n_channels, n_times)
        `y_true` best without noise.
    whitener : array-like of shape (n_rows, n_channels) or (n_channels,), default=None
        Applied to both, or the factor of each channel. Needed for several types of sensors:
        without it gradiometers (1e-12 T/m) hide magnetometers (1e-13 T).

    Returns
    -------
    error : float
        NaN if `y_true` is zero everywhere.

    Raises
    ------
    ValueError
        If the shapes do not belong together, or for NaN or infinity.

    Examples
    --------
    >>> from sklearn_meg.source.metrics import nmse
    >>> nmse([[1.0, -1.0], [2.0, 0.0]], [[0.5, -0.5], [1.0, 0.0]])
    0.25
    """
    y_true, y_pred = _check_fields(y_true, y_pred, whitener)
    power = np.square(y_true).sum()
    return float(np.square(y_true - y_pred).sum() / power) if power > 0 else float("nan")


def field_correlation(
    y_true: ArrayLike, y_pred: ArrayLike, whitener: ArrayLike | None = None
) -> float:
    """Pearson correlation of reconstructed and true fields over all channels and samples.

    Parameters
    ----------
    y_true, y_pred, whitener
        See :func:`nmse`.

    Returns
    -------
    correlation : float
        0 for a constant prediction, NaN if `y_true` is constant.

    Raises
    ------
    ValueError
        If the shapes do not belong together, or for NaN or infinity.

    Examples
    --------
    >>> from sklearn_meg.source.metrics import field_correlation
    >>> round(field_correlation([[1.0, -1.0]], [[0.5, -0.5]]), 6)
    1.0
    """
    y_true, y_pred = _check_fields(y_true, y_pred, whitener)
    if np.ptp(y_true) == 0:
        return float("nan")
    return _correlation(y_true.ravel(), y_pred.ravel())


def false_positive_ratio(
    noise_sources: ArrayLike, reference_sources: ArrayLike, samples: slice | ArrayLike | None = None
) -> float:
    """Peak strength of an estimate from noise alone, relative to one from a real source.

    Parameters
    ----------
    noise_sources : array-like of shape (n_positions[, 3], n_times)
        Estimate from data without sources.
    reference_sources : array-like of shape (n_positions[, 3], n_times)
        Estimate of the same method, in the same unit, from data with a source.
    samples : slice or array-like, default=None
        See :func:`source_strength`.

    Returns
    -------
    ratio : float
        0 is best. NaN if the reference is zero everywhere.

    Raises
    ------
    ValueError
        For another shape, NaN or infinity.

    Examples
    --------
    >>> from sklearn_meg.source.metrics import false_positive_ratio
    >>> false_positive_ratio([[0.0, 1.0]], [[0.0, -10.0]])
    0.1
    """
    noise = source_strength(noise_sources, samples).max()
    reference = source_strength(reference_sources, samples).max()
    return float(noise / reference) if reference > 0 else float("nan")


# --- checks and small pieces ---------------------------------------------------------------------


def _length(sources):
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


def _check_map(positions, sources, samples=None, kind="peak"):
    positions = _check_points(positions, "positions")
    strength = source_strength(sources, samples, kind)
    if len(positions) != len(strength):
        raise ValueError(
            f"sources must hold one row a position, {len(positions)}. Got {len(strength)}."
        )
    return positions, strength


def _check_truth(true_positions):
    return _check_points(np.atleast_2d(true_positions), "true_positions")


def _check_points(points, name):
    points = np.asarray(points, dtype=float)
    if points.ndim != 2 or points.shape[1] != 3 or not len(points):
        raise ValueError(f"{name} must have the shape (n, 3), n at least 1. Got {points.shape}.")
    if not np.isfinite(points).all() or np.abs(points).max() > 1.0:
        raise ValueError(f"{name} must be finite and in m (none beyond 1 m from the origin).")
    return points


def _spacing(positions, tree):
    """Median distance to the nearest neighbour."""
    if len(positions) < 2:
        return 0.0
    return float(np.median(tree.query(positions, k=2)[0][:, 1]))


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


def _dominant(vector):
    """Project (3, n_times) on the orientation with the most energy; (n_times,) stays."""
    if vector.ndim == 1:
        return vector
    return np.linalg.svd(vector, full_matrices=False)[2][0]


def _abs_correlation(a, b):
    return abs(_correlation(a, b))


def _correlation(a, b):
    a, b = a - a.mean(), b - b.mean()
    scale = np.linalg.norm(a) * np.linalg.norm(b)
    return float(np.clip(a @ b / scale, -1.0, 1.0)) if scale > 0 else 0.0


def _check_fields(y_true, y_pred, whitener):
    y_true, y_pred = np.asarray(y_true, dtype=float), np.asarray(y_pred, dtype=float)
    if y_true.shape != y_pred.shape or y_true.ndim < 2 or not y_true.size:
        raise ValueError(
            "y_true and y_pred must have the same shape (..., n_channels, n_times). "
            f"Got {y_true.shape} and {y_pred.shape}."
        )
    if not (np.isfinite(y_true).all() and np.isfinite(y_pred).all()):
        raise ValueError("y_true and y_pred must not contain NaN or infinity.")
    scale = np.abs(y_true).max() or 1.0  # squares of 1e-13 T stay far from underflow
    if whitener is not None:
        whitener = np.asarray(whitener, dtype=float)
        if whitener.ndim not in (1, 2) or whitener.shape[-1] != y_true.shape[-2]:
            raise ValueError(
                f"whitener must have the shape (n_rows, {y_true.shape[-2]}) or "
                f"({y_true.shape[-2]},). Got {whitener.shape}."
            )
        whitener = np.diag(whitener) if whitener.ndim == 1 else whitener
        y_true, y_pred = whitener @ y_true, whitener @ y_pred
        scale = np.abs(y_true).max() or 1.0
    return y_true / scale, y_pred / scale
