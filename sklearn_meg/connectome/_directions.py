"""Directions between voxels."""

from itertools import product

import numpy as np


def directions_at(V, places):
    """Directions of one field at any places: the principal axis of the interpolated V V'.

    Parameters
    ----------
    V : ndarray of shape (nx, ny[, nz], dim)
        Unit vectors, NaN where absent.
    places : ndarray of shape (n, dim)
        In voxels.

    Returns
    -------
    directions : ndarray of shape (n, dim)
        Of either sign; NaN where no voxel around has a vector, or a place is NaN.
    """
    lost = np.isnan(places).any(axis=1)
    places = np.where(lost[:, None], -9.0, places)
    grid, dim = np.array(V.shape[:-1]), V.shape[-1]
    low = np.floor(places)
    total = np.zeros((len(places), dim, dim))
    for corner in product((0, 1), repeat=dim):
        at = (low + corner).astype(int)
        good = ((at >= 0) & (at < grid)).all(1)
        v = V[tuple(np.where(good[:, None], at, 0).T)]
        good &= np.isfinite(v[:, 0])
        weight = np.prod(np.where(corner, places - low, 1 - (places - low)), axis=1) * good
        v = np.nan_to_num(v)
        total += weight[:, None, None] * v[:, :, None] * v[:, None]
    found = np.linalg.eigh(total)[1][..., -1]
    found[~total.any((1, 2))] = np.nan
    return found
