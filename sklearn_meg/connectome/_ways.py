"""Shortest ways between points: along voxels first, then smooth, never outside the mask."""

import numpy as np
from scipy.spatial import cKDTree

from ._geodesics import evaluate, inside, pulled, refine, relaxed, resampled
from ._graph import FiberGraph
from ._settings import SETTINGS

N_FINE = 200  # points of a path while it is made, all inside the mask
BATCH = 64  # paths that are refined together


def ways_between(graph, geometry, space, mask, pairs, n_points, n_modes, other=None):
    """Paths and lengths, inf where there is no way.

    graph (MetricGraph or FiberGraph)
    geometry (SplineGeometry or ConeGeometry): The metric that curves are made shorter by. Lengths
        are measured by it, or by the graph if it is one of fibers.
    mask (nx, ny[, nz]) bool
    pairs (n, 2, dim): Points in grid coordinates, in the mask.
    other (MetricGraph or None): Curves from its paths are taken where they are shorter.
    Returns paths (n, n_points, dim), lengths (n,)
    """

    def allowed(points):
        return space.in_mask(points, mask)

    lines, lengths = _along_graph(graph, space, mask, pairs)
    found = np.isfinite(lengths)
    along_fibers = isinstance(graph, FiberGraph)
    if along_fibers:
        lines[found] = relaxed(lines[found], allowed)
        lines, lengths = _along_fibers(graph, space, mask, pairs, lines)
        found = np.isfinite(lengths)
    if not found.any():
        return _thinned(lines, n_points), lengths
    curves, new, good = _refined(geometry, space, mask, pairs[found], lines[found], n_modes)
    if other is not None:
        starts = relaxed(_along_graph(other, space, mask, pairs[found])[0], allowed)
        more, its, _ = _refined(geometry, space, mask, pairs[found], starts, n_modes)
        curves = np.where((its < new)[:, None, None], more, curves)
    if along_fibers:
        new = _costs_of(graph, space, _numbers(mask), curves)
    elif not good.all():
        curves[~good], new[~good] = _relaxed(geometry, allowed, curves[~good])
    lines[found], lengths[found] = curves, new
    return _thinned(lines, n_points), lengths


def _along_graph(graph, space, mask, pairs):
    """Shortest paths (n, N_FINE, dim) of a graph, NaN where there is none, and their lengths."""
    guesses, lengths = _guesses(graph, space, mask, pairs)
    lines = np.full((len(pairs), N_FINE, pairs.shape[2]), np.nan)
    for i in np.flatnonzero(np.isfinite(lengths)):
        lines[i] = resampled(np.concatenate([pairs[i, :1], guesses[i], pairs[i, 1:]]), N_FINE)
    return lines, lengths


def _numbers(mask):
    """Numbers of the voxels of a mask, -1 outside."""
    number = np.full(mask.shape, -1)
    number[mask] = np.arange(mask.sum())
    return number


def _along_fibers(graph, space, mask, pairs, lines):
    """Ways and their costs; those that go a long way round are compared with shorter ones.

    The graph knows no two points in one voxel, and no way from lane to lane of one bundle. So the
    cost is that of the way itself, and where the way is much longer than the straight line, ways
    that leave the fibers are tried, and with few corners: a step aside spreads over some voxels.
    """
    number = _numbers(mask)
    unit = space.scale.min()
    costs = _costs_of(graph, space, number, lines)

    def take(which, options):
        for option in options:
            cost = _costs_of(graph, space, number, option)
            better = cost < costs[which]
            lines[which[better]], costs[which[better]] = option[better], cost[better]

    take(np.arange(len(lines)), [_with_corners(lines, step * unit) for step in SETTINGS.corners])
    direct = np.linalg.norm(pairs[:, 1] - pairs[:, 0], axis=1)
    fair = (_extent(lines) <= SETTINGS.round * direct + 2 * unit) & (
        costs <= SETTINGS.dear * direct
    )
    doubtful = np.flatnonzero(~fair)
    if len(doubtful):
        some, t = pairs[doubtful], np.linspace(0, 1, N_FINE)[:, None]
        guesses, lengths = _guesses(graph, space, mask, some, leaky=True)
        off = np.full_like(lines[doubtful], np.nan)
        for i in np.flatnonzero(np.isfinite(lengths)):
            off[i] = resampled(np.concatenate([some[i, :1], guesses[i], some[i, 1:]]), N_FINE)
        straight = some[:, :1] + t * (some[:, 1:] - some[:, :1])
        take(
            doubtful,
            [straight, off, *(_with_corners(off, step * unit) for step in SETTINGS.corners)],
        )
    return lines, costs


def _costs_of(graph, space, number, lines):
    """Costs (n,) of lines (n, n_points, dim) along fibers, inf where one leaves the mask."""
    costs = np.full(len(lines), np.inf)
    for i in np.flatnonzero(np.isfinite(lines[:, 0, 0])):
        middle, pieces = 0.5 * (lines[i, 1:] + lines[i, :-1]), np.diff(lines[i], axis=0)
        if space.in_mask(np.concatenate([middle, lines[i]]), number >= 0).all():
            costs[i] = graph.costs_along(number[tuple(space.voxels(middle)[0].T)], pieces).sum()
    return costs


def _extent(lines):
    return np.linalg.norm(np.diff(lines, axis=1), axis=2).sum(1)


def _with_corners(lines, apart):
    """The same ways with corners only, so far apart."""
    found = lines.copy()
    for i in np.flatnonzero(np.isfinite(lines[:, 0, 0])):
        n_corners = 2 + int(_extent(lines[i : i + 1])[0] / apart)
        found[i] = resampled(resampled(lines[i], n_corners), N_FINE)
    return found


def _guesses(graph, space, mask, pairs, leaky=False):
    """Middles of the voxels along the shortest paths of a graph, and their lengths."""
    number = _numbers(mask)
    first, last = (number[tuple(space.voxels(p)[0].T)] for p in (pairs[:, 0], pairs[:, 1]))
    middles = np.argwhere(mask) * space.scale
    guesses, lengths = [None] * len(pairs), np.full(len(pairs), np.inf)
    searches = [{}] if not leaky else []
    if isinstance(graph, FiberGraph):
        searches.append({"leaky": True})
    for source in np.unique(first):
        some = np.flatnonzero(first == source)
        for options in searches:
            left = some[np.isinf(lengths[some])]
            if not len(left):
                break
            distance, path_to = graph.search(source, **options)
            lengths[left] = distance[last[left]]
            for i in left[np.isfinite(lengths[left])]:
                guesses[i] = middles[path_to(last[i])]
    return guesses, lengths


def _refined(geometry, space, mask, pairs, lines, n_modes):
    """Curves of least energy, held in the mask, where they are shorter than lines.

    Returns these or the lines, their lengths, and which are curves.
    """

    def allowed(points):
        return space.in_mask(points, mask)

    curves, lengths = np.empty_like(lines), np.empty(len(lines))
    for i in range(0, len(lines), BATCH):
        some = slice(i, i + BATCH)
        modes, lengths[some] = refine(
            geometry, pairs[some], [p[1:-1] for p in lines[some]], n_modes
        )
        curves[some] = evaluate(pairs[some], modes, N_FINE)
    held = pulled(curves, _nearest_in(space, mask), allowed)
    changed = (held != curves).any((1, 2))
    lengths[changed] = _lengths(geometry, held[changed])
    before = _lengths(geometry, lines)
    good = inside(held, allowed).all(1) & (lengths <= before * (1 + 1e-9))
    return np.where(good[:, None, None], held, lines), np.where(good, lengths, before), good


def _nearest_in(space, mask):
    """A function for the middles (n, dim) of the voxels of the mask that are nearest to points."""
    middles = np.argwhere(mask) * space.scale
    tree = cKDTree(middles)
    return lambda points: middles[tree.query(points)[1]]


def _relaxed(geometry, allowed, lines):
    """Lines whose points moved where that makes them shorter, and lengths."""
    lines = relaxed(lines, allowed, lambda a, b: _pieces(geometry, a, b))
    return lines, _lengths(geometry, lines)


def _lengths(geometry, lines):
    """Lengths (n,) of polylines (n, n_points, dim)."""
    if not len(lines):
        return np.zeros(0)
    dim = lines.shape[2]
    a, b = lines[:, :-1].reshape(-1, dim), lines[:, 1:].reshape(-1, dim)
    return _pieces(geometry, a, b).reshape(len(lines), -1).sum(1)


def _pieces(geometry, a, b):
    step = b - a
    u = step / np.maximum(np.linalg.norm(step, axis=1, keepdims=True), 1e-300)
    g = geometry.tensors(0.5 * (a + b), u)
    return np.sqrt(np.maximum(np.einsum("ni,nij,nj->n", step, g, step), 0))


def _thinned(lines, n_points):
    if lines.shape[1] == n_points:
        return lines
    return np.stack([resampled(line, n_points) for line in lines])
