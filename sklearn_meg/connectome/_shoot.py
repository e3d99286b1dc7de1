"""Curves from a point and a direction: geodesics, steered by the field or not."""

import numpy as np

from ._cone import pieces
from ._settings import SETTINGS


def shoot(geometry, x, u, length, step, inside, follow=0.0, last=np.inf):
    """Shoot curves of unit Euclidean speed.

    Any parameter gives the same curve; this one makes steps even in space.

    geometry (SplineGeometry or ConeGeometry)
    x, u (n, dim): Points and directions along the grid, in lengths.
    inside (callable): Whether points (n, dim) are where curves go on.
    follow: 0: geodesics. 1: integral curves of the field. Between: after each step the direction
        goes this share of the way to that of the field.
    last: Step after which a curve need not go on, one number or (n,).
    Returns paths (n, n_steps + 1, dim): NaN after the first point that is not inside, or where a
        curve ran away within a step.
    """
    n_steps = max(1, round(length / step))
    h = length / n_steps
    u = u / np.linalg.norm(u, axis=1, keepdims=True)
    state = (x, u) if follow == 1 else geometry.start(x, u)
    paths = np.full((len(x), n_steps + 1, x.shape[1]), np.nan)
    paths[:, 0] = x
    going, last = np.arange(len(x)), np.broadcast_to(last, len(x))
    for i in range(n_steps):
        state = _advance(geometry, state, h, follow)
        numbers = np.isfinite(state[0]).all(1) & np.isfinite(state[1]).all(1)
        paths[going[numbers], i + 1] = state[0][numbers]
        on = numbers.copy()
        on[numbers] = inside(state[0][numbers])
        on &= last[going] > i + 1
        state, going = tuple(each[on] for each in state), going[on]
        if not len(going):
            break
    return paths


def _advance(geometry, state, h, follow):
    if follow == 1:
        return follow_field(geometry.peaks, *state, h)
    state = geometry.step(state, h)
    if not follow:
        return state
    x, u = state[:2]
    v = _or_on(geometry.peaks.at(x, u), u)
    u = u + follow * (v - u)
    return geometry.turned(state, u / np.linalg.norm(u, axis=1, keepdims=True))


def follow_field(peaks, x, u, h):
    """A step along the field, by the midpoint rule in short pieces; straight on without a field."""
    n = pieces(peaks, h)
    for _ in range(n):
        first = _or_on(peaks.at(x, u), u)
        u = _or_on(peaks.at(x + h / n / 2 * first, first), first)
        x = x + h / n * u
    return x, u


def _or_on(v, u):
    return np.where((v * v).sum(1, keepdims=True) > 0.25, v, u)


def tube(geometry, peaks, x, u, noise, length, step, inside):
    """How far geodesics that start nearly along the field are from its integral curves.

    geometry (SplineGeometry or ConeGeometry)
    peaks (PeakField): The field whose integral curves are followed.
    x, u (n, dim)
    noise (n, dim): Added to the direction of the field at the start: what is not known of it.
    inside (callable)
    Returns deviation (n,): Mean distance between points after the same length, at most
        `SETTINGS.lost` steps; NaN for integral curves that leave the mask at once.
    """
    u = _or_on(peaks.at(x, u), u)
    state, n_steps = (x, u), round(length / step)
    curves = np.full((len(x), n_steps, x.shape[1]), np.nan)
    on = np.ones(len(x), dtype=bool)
    for i in range(n_steps):
        state = follow_field(peaks, *state, step)
        on &= inside(state[0])
        curves[on, i] = state[0][on]
        if not on.any():
            break
    known = np.isfinite(curves[..., 0])
    counts = known.sum(1)
    n = max(1, counts.max())  # geodesics need not go on longer
    finite = {"inside": lambda y: np.isfinite(y).all(1), "last": counts}
    paths = shoot(geometry, x, u + noise, n * step, step, **finite)[:, 1:]
    lost = SETTINGS.lost * step
    distance = np.linalg.norm(np.where(np.isfinite(paths), paths, np.inf) - curves[:, :n], axis=2)
    distance = np.where(known[:, :n], np.minimum(distance, lost), 0.0)
    return np.where(counts > n_steps // 4, distance.sum(1) / np.maximum(counts, 1), np.nan)
