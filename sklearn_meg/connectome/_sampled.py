"""From metrics in the voxels to the spline through them."""

import numpy as np
from scipy.ndimage import distance_transform_edt, spline_filter1d

from ._geometry import below_diagonal


def coefficients_of(metric, mask):
    """Spline coefficients, one knot a voxel, of a metric known in a mask.

    Raises
    ------
    ValueError
        If it is not symmetric and positive definite there.
    """
    g = metric[mask]
    skew = np.abs(g - g.swapaxes(-1, -2)).max(axis=(1, 2))  # rounding goes with the largest element
    if not np.isfinite(g).all() or (skew > 1e-6 * np.abs(g).max(axis=(1, 2))).any():
        raise ValueError("metric must be finite and symmetric inside the mask.")
    try:
        L = np.linalg.cholesky(g)
    except np.linalg.LinAlgError:
        raise ValueError("metric must be positive definite in every voxel of the mask.") from None
    dim = metric.shape[-1]
    parts = [np.log(L[:, i, i]) for i in range(dim)] + [L[:, i, j] for i, j in below_diagonal(dim)]
    theta = np.zeros((*mask.shape, len(parts)))
    theta[mask] = np.stack(parts, axis=-1)
    nearest = distance_transform_edt(~mask, return_distances=False, return_indices=True)
    theta = theta[tuple(nearest)]
    for axis in range(dim):
        theta = _knots_of(theta, axis)
    return theta


def _knots_of(values, axis):
    """Coefficients along one axis of the natural spline through values at 0, 1, ..."""
    values = np.moveaxis(values, axis, 0)
    n = len(values)
    # Mirrored at its ends the spline would be flat there: a line through the ends is taken off.
    extended = np.concatenate(
        [2 * values[:1] - values[1:][::-1], values, 2 * values[-1:] - values[-2::-1]]
    )
    coef = spline_filter1d(extended, order=3, axis=0, mode="mirror")
    return np.moveaxis(coef[n - 2 : 2 * n + 1], 0, axis)
