"""Shortest ways between points: along voxels first, then smooth, never outside the mask."""

import numpy as np

from ._geodesics import evaluate, refine, relaxed, resampled
from ._graph import FiberGraph

N_FINE = 200  # points of a path while it is made, all inside the mask


def ways_between(graph, geometry, space, mask, pairs, n_points, n_modes):
    """Paths and lengths, inf where there is no way.

    Parameters
    ----------
    graph : MetricGraph or FiberGraph
    geometry : SplineGeometry or None
        The metric that lengths are measured by; None leaves them to the graph.
    space : Space
    mask : ndarray of bool of shape (nx, ny[, nz])
    pairs : ndarray of shape (n, 2, dim)
        Points in grid coordinates, in the mask.
    n_points, n_modes : int

    Returns
    -------
    paths : ndarray of shape (n, n_points, dim)
    lengths : ndarray of shape (n,)
    """
    guesses, lengths = _guesses(graph, space, mask, pairs)
    found = np.isfinite(lengths)
    lines = np.full((len(pairs), N_FINE, pairs.shape[2]), np.nan)
    for i in np.flatnonzero(found):
        lines[i] = resampled(np.concatenate([pairs[i, :1], guesses[i], pairs[i, 1:]]), N_FINE)

    def allowed(points):
        return space.in_mask(points, mask)

    if geometry is None:
        lines[found] = relaxed(lines[found], allowed)
        return _thinned(lines, n_points), lengths
    if found.any():
        lines[found], lengths[found] = _refined(
            geometry,
            allowed,
            pairs[found],
            [guesses[i] for i in np.flatnonzero(found)],
            lines[found],
            n_modes,
        )
    return _thinned(lines, n_points), lengths


def _guesses(graph, space, mask, pairs):
    """Middles of the voxels along the shortest paths of a graph, and their lengths."""
    number = np.full(mask.shape, -1)
    number[mask] = np.arange(mask.sum())
    first, last = (number[tuple(space.voxels(p)[0].T)] for p in (pairs[:, 0], pairs[:, 1]))
    middles = np.argwhere(mask) * space.scale
    guesses, lengths = [None] * len(pairs), np.full(len(pairs), np.inf)
    for source in np.unique(first):
        some = np.flatnonzero(first == source)
        for options in ({}, {"leaky": True}) if isinstance(graph, FiberGraph) else ({},):
            left = some[np.isinf(lengths[some])]
            if not len(left):
                break
            distance, path_to = graph.search(source, **options)
            lengths[left] = distance[last[left]]
            for i in left[np.isfinite(lengths[left])]:
                guesses[i] = middles[path_to(last[i])]
    return guesses, lengths


def _refined(geometry, allowed, pairs, guesses, lines, n_modes):
    """Curves of least energy where they stay inside and are shorter, else relaxed polylines."""
    modes, lengths = refine(geometry.field, pairs, [g[1:-1] for g in guesses], n_modes)
    curves = evaluate(pairs, modes, N_FINE)
    good = allowed(curves.reshape(-1, curves.shape[2])).reshape(curves.shape[:2]).all(1)
    good &= lengths <= _lengths(geometry, lines) * (1 + 1e-9)
    bad = np.flatnonzero(~good)
    if len(bad):
        curves[bad] = relaxed(lines[bad], allowed, lambda a, b: _pieces(geometry, a, b))
        lengths[bad] = _lengths(geometry, curves[bad])
    return curves, lengths


def _lengths(geometry, lines):
    """Lengths (n,) of polylines (n, n_points, dim)."""
    dim = lines.shape[2]
    a, b = lines[:, :-1].reshape(-1, dim), lines[:, 1:].reshape(-1, dim)
    return _pieces(geometry, a, b).reshape(len(lines), -1).sum(1)


def _pieces(geometry, a, b):
    step = b - a
    g = geometry.tensors(0.5 * (a + b))
    return np.sqrt(np.maximum(np.einsum("ni,nij,nj->n", step, g, step), 0))


def _thinned(lines, n_points):
    if lines.shape[1] == n_points:
        return lines
    return np.stack([resampled(line, n_points) for line in lines])
