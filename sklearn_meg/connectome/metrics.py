"""How far geodesics are from the curves they should follow."""

import numpy as np

__all__ = ["geodesic_deviation"]


def geodesic_deviation(paths, curves, *, return_nearest=False):
    """Distance of geodesics from true curves, orthogonal to these.

    A geodesic counts up to the length of its curve, each point with the distance to the nearest
    point of the curve. One that ends before (it left the grid) counts as if it stood still.

    Parameters
    ----------
    paths : array-like of shape (n, n_points, dim)
        Geodesics with steps of even length, NaN after their end.
    curves : list of array-like of shape (n_curve_points, dim)
        Where each should go.
    return_nearest : bool, default=False
        Whether to return the nearest points, too.

    Returns
    -------
    deviation : ndarray of shape (n, n_points)
        NaN beyond the length of the curve.
    nearest : ndarray of shape (n, n_points, dim)
        Only with `return_nearest`.

    Raises
    ------
    ValueError
        If there are not as many curves as paths.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.connectome.metrics import geodesic_deviation
    >>> line = np.stack([np.arange(5.0), np.zeros(5)], axis=1)
    >>> geodesic_deviation([line + [0, 0.5]], [line])
    array([[0.5, 0.5, 0.5, 0.5, 0.5]])
    """
    paths = np.asarray(paths, dtype=float)
    if paths.ndim != 3 or len(paths) != len(curves):
        raise ValueError(
            f"paths must have the shape (n, n_points, dim) with n = {len(curves)}, the number of "
            f"curves. Got {paths.shape}."
        )
    deviation, nearest = np.full(paths.shape[:2], np.nan), np.full(paths.shape, np.nan)
    for path, curve, d, p in zip(paths, curves, deviation, nearest):
        curve = np.asarray(curve, dtype=float)
        n = _points_that_count(path, curve)
        d[:n], p[:n] = _nearest(_held(path[:n]), curve)
    return (deviation, nearest) if return_nearest else deviation


def _points_that_count(path, curve):
    """How many points of a path belong to the length of the curve."""
    length = np.linalg.norm(np.diff(curve, axis=0), axis=1).sum()
    steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
    step = np.nanmean(steps) if np.isfinite(steps).any() else 1.0
    return min(len(path), int(length / step + 1e-6) + 1)


def _held(path):
    """The last point stands where a path has ended."""
    there = np.maximum.accumulate(np.where(np.isfinite(path[:, 0]), np.arange(len(path)), 0))
    return path[there]


def _nearest(points, curve):
    start, step = curve[:-1], np.diff(curve, axis=0)
    offset = points[:, None] - start
    place = (offset * step).sum(-1) / np.maximum((step**2).sum(1), 1e-300)
    on_curve = start + np.clip(place, 0, 1)[..., None] * step
    distance = np.linalg.norm(points[:, None] - on_curve, axis=-1)
    best = distance.argmin(1)
    every = np.arange(len(points))
    return distance[every, best], on_curve[every, best]
