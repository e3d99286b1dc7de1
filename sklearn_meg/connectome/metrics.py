"""How far geodesics are from the curves they should follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .._typing import ArrayLike

__all__ = ["geodesic_deviation"]


def geodesic_deviation(
    curves: list[ArrayLike], paths: ArrayLike, step: float | None = None
) -> np.ndarray:
    """Distance of geodesics from true curves, orthogonal to these.

    A geodesic counts up to the length of its curve, each point with the distance to the nearest
    point of the curve. One that ends before (it left the grid, or the metric failed) counts from
    then on with the distance of its end to where it should be by now: standing still on the
    curve is no merit.

    Parameters
    ----------
    curves : list of array-like of shape (n_curve_points, dim)
        True course of each path.
    paths : array-like of shape (n, n_points, dim)
        Geodesics with steps of even length, NaN after their end.
    step : float or None, default=None
        Length of a step; None takes the mean of those in `paths`.

    Returns
    -------
    deviation : ndarray of shape (n, n_points)
        NaN beyond the length of the curve.

    Raises
    ------
    ValueError
        If there are not as many curves as paths, or `step` is None and no path has a step.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.connectome.metrics import geodesic_deviation
    >>> line = np.stack([np.arange(5.0), np.zeros(5)], axis=1)
    >>> geodesic_deviation([line], [line + [0, 0.5]])
    array([[0.5, 0.5, 0.5, 0.5, 0.5]])
    """
    paths = np.asarray(paths, dtype=float)
    if paths.ndim != 3 or len(paths) != len(curves):
        raise ValueError(
            f"paths must have the shape (n, n_points, dim) with n = {len(curves)}, the number of "
            f"curves. Got {paths.shape}."
        )
    deviation = np.full(paths.shape[:2], np.nan)
    if step is None:
        steps = np.linalg.norm(np.diff(paths, axis=1), axis=2)
        if not np.isfinite(steps).any():
            raise ValueError("No path has a second point: say how long a step is. Got step=None.")
        step = steps[np.isfinite(steps)].mean()
    for path, curve, row in zip(paths, curves, deviation):
        curve = np.asarray(curve, dtype=float)
        place = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))])
        n = min(len(path), int(place[-1] / step + 1e-6) + 1)
        last = int(np.flatnonzero(np.isfinite(path[:n, 0]))[-1])
        row[: last + 1] = _distance(path[: last + 1], curve)
        due = step * np.arange(last + 1, n)
        wanted = np.stack([np.interp(due, place, x) for x in curve.T], axis=1)
        row[last + 1 : n] = np.linalg.norm(path[last] - wanted, axis=1)
    return deviation


def _distance(points, curve):
    """Distances of points to the nearest point of a polyline."""
    start, step = curve[:-1], np.diff(curve, axis=0)
    offset = points[:, None] - start
    place = (offset * step).sum(-1) / np.maximum((step**2).sum(1), 1e-300)
    on_curve = start + np.clip(place, 0, 1)[..., None] * step
    return np.linalg.norm(points[:, None] - on_curve, axis=-1).min(1)
