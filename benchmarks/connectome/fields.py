"""Integral curves of a field as it was measured, for worlds whose true curves nobody knows."""

from itertools import product

import numpy as np

STEP = 0.5  # voxels between points
PIECES = 5  # of a step: with fewer, integral curves are lost at borders of bundles


def directions_at(V, places):
    """Directions of one field at any places: the principal axis of the interpolated V V'.

    V (nx, ny, nz, 3): Unit vectors, NaN where absent.
    places (n, 3): In voxels.
    Returns directions (n, 3): With either sign; NaN where no voxel around has a vector, or a place
        is NaN.
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


def integral_curves(V, scale, n, shortest=8.0, most=200, seed=0, pieces=PIECES):
    """Curves along a field from random places near voxels, by the midpoint rule.

    No model has a part in them: they are of the field that all models get.

    V (nx, ny, nz, 3)
    scale (3,): Size of a voxel.
    n: Most curves.
    shortest: Shorter ones, in smallest voxels, are left out.
    most: Steps.
    pieces: Of each step, for the integration.
    Returns curves (list of ndarray of shape (n_points, 3)): In lengths, to the border of the mask.
    and directions (n, 3): Tangents at their starts.
    """
    rng, mask = np.random.default_rng(seed), np.isfinite(V[..., 0])
    h = STEP * np.min(scale)
    voxels = np.argwhere(mask)
    places = voxels[rng.permutation(len(voxels))[: 4 * n]] + rng.uniform(-0.3, 0.3, (1, 3))
    first = direction = directions_at(V, places)
    x, alive = places * scale, np.isfinite(first).all(1)
    points, counts = [x], np.ones(len(x), dtype=int)
    for _ in range(most):
        for _ in range(pieces):
            near = _aligned(directions_at(V, x / scale), direction)
            near = np.where(np.isfinite(near), near, direction)
            direction = _aligned(directions_at(V, (x + h / pieces / 2 * near) / scale), near)
            x = x + h / pieces * direction
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


def make_brain_like(seed, size=(50, 58, 44), n_bundles=25, noise=4.0):
    """Principal directions of a folded mask: the strongest of many bundles in each voxel, noise.

    Neighbors differ by 4 to 6 degrees (median), a tenth by more than 20: borders of bundles.

    Returns X (1, nx, ny, nz, 3)
    """
    from scipy.ndimage import gaussian_filter, label

    rng, size = np.random.default_rng(seed), np.array(size)
    grid = np.stack(np.meshgrid(*[np.arange(s) for s in size], indexing="ij"), -1)
    u = (grid - (size - 1) / 2) / ((size - 1) / 2 - 2)
    radius = np.linalg.norm(u, axis=-1)
    folds = gaussian_filter(rng.normal(size=size), 2.2)
    folds /= folds.std()
    mask = (radius < 0.72 + 0.12 * folds) | ((radius < 0.9) & (folds > 0.8))
    parts, _ = label(mask & (radius < 1))
    mask = parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])
    v = _strongest(u[mask] * 30, n_bundles, rng)
    angle = np.deg2rad(noise) * rng.normal(size=(len(v), 1))
    aside = rng.normal(size=v.shape)
    aside = _unit(aside - v * (aside * v).sum(1, keepdims=True))
    v = np.cos(angle) * v + np.sin(angle) * aside
    X = np.full((1, *size, 3), np.nan)
    X[0][mask] = v * rng.choice([-1.0, 1.0], size=(len(v), 1))
    return X


def _strongest(points, n_bundles, rng):
    """Principal axis of all bundles in points, each weighted by its distance."""
    from sklearn_meg.datasets._phantom import Tube

    total = np.zeros((len(points), 3, 3))
    for _ in range(n_bundles):
        a, b = _unit(rng.normal(size=(2, 3)))
        depth, last = rng.uniform(0.2, 0.8), rng.uniform(2, 6)
        inner = 30 * (1 - depth) * np.stack([a, b]) + 4 * rng.normal(size=(2, 3))
        tube = Tube(np.stack([30 * a, *inner, 30 * b]), 2.0, last)
        distance, width, v, _ = tube.at(points)
        weight = (np.exp(-0.5 * (distance / width) ** 2) + 1e-6 / (1 + distance)) ** 2
        total += weight[:, None, None] * v[:, :, None] * v[:, None]
    return np.linalg.eigh(total)[1][..., -1]


def _unit(v):
    return v / np.linalg.norm(v, axis=-1, keepdims=True)
