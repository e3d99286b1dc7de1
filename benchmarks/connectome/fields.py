"""Integral curves of a field as it was measured, for worlds whose true curves nobody knows."""

from itertools import product

import numpy as np

STEP = 0.5  # voxels


def directions_at(V, places):
    """Directions of one field at any places: the principal axis of the interpolated V V'.

    Parameters
    ----------
    V : ndarray of shape (nx, ny, nz, 3)
        Unit vectors, NaN where absent.
    places : ndarray of shape (n, 3)
        In voxels.

    Returns
    -------
    directions : ndarray of shape (n, 3)
        With either sign; NaN where no voxel around has a vector, or a place is NaN.
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


def integral_curves(V, scale, n, shortest=8.0, most=200, seed=0):
    """Curves along a field from random places near voxels, by the midpoint rule.

    No model has a part in them: they are of the field that all models get.

    Parameters
    ----------
    V : ndarray of shape (nx, ny, nz, 3)
    scale : ndarray of shape (3,)
        Size of a voxel.
    n : int
        Most curves.
    shortest : float
        Shorter ones, in smallest voxels, are left out.
    most : int
        Steps.
    seed : int

    Returns
    -------
    curves : list of ndarray of shape (n_points, 3)
        In lengths, to the border of the mask.
    directions : ndarray of shape (n, 3)
        Tangents at their starts.
    """
    rng, mask = np.random.default_rng(seed), np.isfinite(V[..., 0])
    h = STEP * np.min(scale)
    voxels = np.argwhere(mask)
    places = voxels[rng.permutation(len(voxels))[: 4 * n]] + rng.uniform(-0.3, 0.3, (1, 3))
    first = direction = directions_at(V, places)
    x, alive = places * scale, np.isfinite(first).all(1)
    points, counts = [x], np.ones(len(x), dtype=int)
    for _ in range(most):
        direction = _aligned(directions_at(V, (x + h / 2 * direction) / scale), direction)
        x = x + h * direction
        alive &= _inside(x / scale, mask)
        counts += alive
        points.append(x)
    points = np.stack(points, axis=1)
    long = np.flatnonzero(STEP * (counts - 1) >= shortest)[:n]
    return [points[i, : counts[i]] for i in long], first[long]


def _inside(places, mask):
    index = np.round(np.nan_to_num(places, nan=-9.0)).astype(int)
    good = ((index >= 0) & (index < mask.shape)).all(1)
    return good & mask[tuple(np.where(good[:, None], index, 0).T)]


def _aligned(v, like):
    return v * np.where((v * like).sum(1, keepdims=True) < 0, -1, 1)
