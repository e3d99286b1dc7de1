"""Bundles of curves that are known, as fields of directions on a grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .._repr import short_repr

if TYPE_CHECKING:
    from typing import Literal

    from .._typing import RandomSeed

__all__ = ["FiberData", "make_fibers"]

WORLDS = ("annulus", "arcs", "braid")


@dataclass
class FiberData:
    """Fields, and the curves that they are tangent to.

    Attributes
    ----------
    X : ndarray of shape (n_fields, nx, ny[, nz], dim)
        Unit vectors; NaN where a field is absent. Noise and signs are those asked for.
    curves : list of ndarray of shape (n_points, dim)
        True curves in voxels, held out: they go between the voxels. Each starts at a seed.
    seeds, directions : ndarray of shape (n_curves, dim)
        Start points of the curves and their unit tangents there.
    mask : ndarray of bool of shape (nx, ny[, nz],)
        Voxels with a field.
    crossing : ndarray of bool of shape (nx, ny[, nz],)
        Voxels with several fields.
    metric : ndarray of shape (nx, ny[, nz], dim, dim) or None
        A metric in closed form whose geodesics are the curves, for the annulus.
    """

    X: np.ndarray
    curves: list
    seeds: np.ndarray
    directions: np.ndarray
    mask: np.ndarray
    crossing: np.ndarray
    metric: np.ndarray | None = None

    __repr__ = short_repr


def make_fibers(
    world: Literal["annulus", "arcs", "braid"] = "annulus",
    *,
    size: int | None = None,
    angle: float = 90.0,
    noise: float = 0.0,
    n_curves: int = 100,
    random_state: RandomSeed = 0,
) -> FiberData:
    """Make fields of fiber directions with known curves.

    Parameters
    ----------
    world : {"annulus", "arcs", "braid"}, default="annulus"
        "annulus": concentric circles, 2-D; the curves are half turns. "arcs": two bundles of
        arcs of great and small circles that cross on the top of a dome, 3-D. "braid": two bands
        of sines of opposite sign that cross three times, 2-D.
    size : int, default=None
        Voxels along each side; None is 64, 36 and 100.
    angle : float, default=90.0
        At which the arcs cross, in degrees.
    noise : float, default=0.0
        Standard deviation of the angle by which directions are turned, in degrees (about a
        random axis in 3-D).
    n_curves : int, default=100
        Held-out curves, from random places.
    random_state : int, RandomState instance or None, default=0
        Seed of places, noise and signs: each vector points to a random side.

    Returns
    -------
    fibers : FiberData

    Raises
    ------
    ValueError
        For another world, an angle not in (0, 90], or negative noise.

    Examples
    --------
    >>> from sklearn_meg.datasets import make_fibers
    >>> fibers = make_fibers("annulus", size=16)
    >>> fibers.X.shape
    (1, 16, 16, 2)
    """
    from .._checks.params import check_random_state

    if world not in WORLDS:
        raise ValueError(f"world must be one of {', '.join(map(repr, WORLDS))}. Got {world!r}.")
    if not 0 < angle <= 90:
        raise ValueError(f"angle must be in (0, 90] degrees. Got {angle!r}.")
    if not noise >= 0:
        raise ValueError(f"noise must be at least 0 degrees. Got {noise!r}.")
    rng = check_random_state(random_state)
    if world == "annulus":
        X, curves, metric = _annulus(size or 64, n_curves, rng)
    elif world == "arcs":
        X, curves, metric = *_arcs(size or 36, np.deg2rad(angle), n_curves, rng), None
    else:
        X, curves, metric = *_braid(size or 100, n_curves, rng), None
    there = np.isfinite(X).all(-1)
    seeds = np.stack([c[0] for c in curves])
    directions = np.stack([_tangent(c) for c in curves])
    X = _disturbed(X, np.deg2rad(noise), rng)
    X *= rng.choice([-1.0, 1.0], size=X.shape[:-1])[..., None]
    return FiberData(X, curves, seeds, directions, there.any(0), there.sum(0) > 1, metric)


def _annulus(size, n_curves, rng):
    """Circles between 1/8 and 15/32 of the side, around the middle."""
    x, y = np.meshgrid(*[np.arange(size) - (size - 1) / 2] * 2, indexing="ij")
    r = np.hypot(x, y)
    inner, outer = size / 8, 15 * size / 32
    V = np.stack([-y, x], -1) / r[..., None]
    V[(r < inner) | (r > outer)] = np.nan
    radii = rng.uniform(inner + 1, outer - 1, n_curves)
    starts, sides = rng.uniform(0, 2 * np.pi, n_curves), rng.choice([-1, 1], n_curves)
    curves = []
    for radius, start, side in zip(radii, starts, sides):
        phase = start + side * np.linspace(0, np.pi, int(4 * np.pi * radius))
        curves.append(radius * np.stack([np.cos(phase), np.sin(phase)], 1) + (size - 1) / 2)
    metric = np.eye(2) / np.maximum(r, 2.0)[..., None, None] ** 2
    return V[None], curves, metric


def _arcs(size, angle, n_curves, rng):
    """Bundles around two axes in the base of a dome, angle apart; they meet on its top."""
    middle = np.array([(size - 1) / 2, (size - 1) / 2, -size / 6])
    grid = np.stack(np.meshgrid(*[np.arange(size)] * 3, indexing="ij"), -1) - middle
    axes = [np.array([np.cos(a), np.sin(a), 0.0]) for a in (0.0, angle)]
    width = size / 9  # of a bundle, to each side
    shell = (0.6 * size, 0.6 * size + 2 * width)
    fields, curves = [], []
    for axis in axes:
        along = grid @ axis
        radius = np.linalg.norm(grid - along[..., None] * axis, axis=-1)
        there = (np.abs(along) < width) & (radius > shell[0]) & (radius < shell[1])
        V = np.cross(axis, grid) / np.maximum(radius, 1e-9)[..., None]
        V[~there] = np.nan
        fields.append(V)
    for k in range(n_curves):
        curves.append(_arc(axes[k % 2], middle, width, shell, size, rng))
    return np.stack(fields), curves


def _arc(axis, middle, width, shell, size, rng):
    """One circle of a bundle, from where it enters the grid to where it leaves."""
    up, side = np.array([0, 0, 1.0]), np.cross(axis, [0, 0, 1.0])
    along = rng.uniform(-width + 1, width - 1)
    radius = rng.uniform(shell[0] + 1, shell[1] - 1)
    turn = np.linspace(-np.pi / 2, np.pi / 2, 4000)
    points = radius * (np.cos(turn)[:, None] * up + np.sin(turn)[:, None] * side)
    points += middle + along * axis
    points = points[((points >= 0) & (points <= size - 1)).all(1)]
    points = points[:: max(1, len(points) // 300)]
    return points[::-1] if rng.uniform() < 0.5 else points


def _braid(size, n_curves, rng):
    """Sines of opposite sign, y = c ± A sin(k x) with |c| < width: apart where they are extreme."""
    amplitude, width, wave = 0.18 * size, 0.08 * size, 3 * np.pi / size
    middle = (size - 1) / 2
    x, y = np.meshgrid(np.arange(size), np.arange(size) - middle, indexing="ij")
    fields = []
    for sign in (1, -1):
        V = np.stack([np.ones_like(y), sign * amplitude * wave * np.cos(wave * x)], -1)
        V = _unit(V)
        V[np.abs(y - sign * amplitude * np.sin(wave * x)) > width] = np.nan
        fields.append(V)
    curves = []
    t = np.linspace(0, size - 1, 6 * size)
    for k in range(n_curves):
        sign, offset = (1, -1)[k % 2], rng.uniform(-width + 1, width - 1)
        curve = np.stack([t, middle + offset + sign * amplitude * np.sin(wave * t)], 1)
        curves.append(curve[::-1] if rng.uniform() < 0.5 else curve)
    return np.stack(fields), curves


def _tangent(curve):
    """Unit tangent at the first point, of the quartic through five points."""
    first = curve[:5].T @ np.array([-25, 48, -36, 16, -3]) / 12
    return first / np.linalg.norm(first)


def _disturbed(X, noise, rng):
    """Directions turned by a normal angle in a random plane."""
    if not noise:
        return X
    turn = noise * rng.normal(size=X.shape[:-1])[..., None]
    aside = rng.normal(size=X.shape)
    aside = _unit(aside - X * (aside * X).sum(-1, keepdims=True))
    return np.cos(turn) * X + np.sin(turn) * aside


def _unit(V):
    return V / np.linalg.norm(V, axis=-1, keepdims=True)
