"""Graphs of voxels: shortest ways in a metric, and ways along fibers (position x orientation)."""

from functools import cached_property
from itertools import product

import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from ._settings import SETTINGS

REACH = 2  # voxels that a step goes at most along the longest side of a voxel
FARTHEST = 8  # along any side
AS_GOOD = 5.0  # degrees: of steps that are so near to a direction the shortest is taken


def steps_of(scale):
    """Steps (n, dim) in voxels to those around, both ways, no multiple of a shorter one.

    Where voxels are no cubes they are those most nearly along the steps of cubes, in the same
    order, so that a way can turn by the same small angles; along short sides they go farther.

    scale (dim,): Size of a voxel.
    """
    ratio = np.max(scale) / np.asarray(scale)
    cubes = _up_to([REACH] * len(ratio))
    if ratio.max() < 1 + 1e-3:
        return cubes
    steps = _up_to(np.minimum(np.round(REACH * ratio), FARTHEST).astype(int))
    length = np.linalg.norm(steps * scale, axis=1)
    angle = np.rad2deg(_angles(_unit(cubes[: len(cubes) // 2]), _unit(steps * scale)))
    near = np.maximum(angle.min(1, keepdims=True) + 1e-6, AS_GOOD)
    half = steps[np.where(angle <= near, length, np.inf).argmin(1)]
    return np.concatenate([half, -half[::-1]])


def _up_to(reach):
    every = [np.array(o) for o in product(*(range(-n, n + 1) for n in reach))]
    return np.array([o for o in every if np.gcd.reduce(o) == 1])


def _unit(steps):
    return steps / np.linalg.norm(steps, axis=1, keepdims=True)


def targets(mask, steps):
    """Numbers (n_voxels, n_steps) of the voxels that steps end in, -1 where they leave the mask."""
    reach = np.abs(steps).max()
    number = np.full(np.array(mask.shape) + 2 * reach, -1)
    number[tuple(slice(reach, -reach) for _ in mask.shape)][mask] = np.arange(mask.sum())
    voxels = np.argwhere(mask) + reach
    found = np.empty((len(voxels), len(steps)), dtype=int)
    for k, step in enumerate(steps):
        other = number[tuple((voxels + step).T)]
        # A long step must not jump over a gap: the voxels on its way are in the mask, too.
        n = max(2, np.abs(step).max())
        for part, side in product(range(1, n), (1, -1)):
            middle = (step * part / n + side * 1e-3 * np.sign(step)).round().astype(int)
            other = np.where(number[tuple((voxels + middle).T)] >= 0, other, -1)
        found[:, k] = other
    return found


class MetricGraph:
    """Steps between voxels, as long as a Riemannian metric says.

    g (n_voxels, dim, dim): Metrics in the voxels of the mask.
    mask (nx, ny[, nz]) bool, scale (dim,)
    """

    def __init__(self, g, mask, scale):
        steps = steps_of(scale)
        target = targets(mask, steps)
        a, k = np.nonzero(target >= 0)
        b, step = target[a, k], (steps * scale)[k]
        length = np.sqrt(0.5 * np.einsum("ni,nij,nj->n", step, g[a] + g[b], step))
        self.matrix = csr_matrix((length, (a, b)), shape=(len(g), len(g)))

    def search(self, sources):
        """Distances (n_voxels,) from a set of voxels, and a function for the path to one."""
        length, before, _ = dijkstra(
            self.matrix, indices=np.atleast_1d(sources), min_only=True, return_predecessors=True
        )
        return length, lambda end: _trace(before, end)


class FiberGraph:
    """Ways along fibers: nodes are a voxel and a step out of it that a fiber allows.

    From one node to the next the direction turns by a limited angle, so that a way goes straight
    through a crossing. A step costs its length over the amplitude of the fibers along it.

    amplitude (n_voxels, n_steps): Amplitude of the fibers along each of :func:`steps_of`, 1 for a
        strong one.
    mask (nx, ny[, nz]) bool, scale (dim,)
    lobe: Share of the largest amplitude of a voxel from which a direction is a fiber.
    """

    def __init__(self, amplitude, mask, scale, lobe=SETTINGS.lobe):
        steps = steps_of(scale)
        self.target = targets(mask, steps)
        steps = steps * scale
        self.length = np.linalg.norm(steps, axis=1)
        self.direction = steps / self.length[:, None]
        ways = _unit(_up_to([REACH] * mask.ndim))  # which the steps are nearly along
        self.turn = _angles(ways, ways)
        self.unit = self.length.min()  # costs are lengths: those of turns are in voxels
        # Near the border of the mask a way is worth less: it stays in the middle of a bundle.
        depth = distance_transform_edt(np.pad(mask, 1))[(slice(1, -1),) * mask.ndim][mask]
        amplitude = amplitude * np.minimum(1.0, depth / SETTINGS.middle)[:, None]
        self.amplitude = np.maximum(amplitude, 0)
        self.cost = 1 / (self.amplitude + SETTINGS.floor)
        self.least = lobe * np.maximum(amplitude.max(1), 0.5)
        kept = amplitude > self.least[:, None]
        self.node = np.full(kept.shape, -1)
        self.node[kept] = np.arange(kept.sum())
        self.voxel = np.nonzero(kept)[0]

    @cached_property
    def matrix(self):
        """Costs from node to node."""
        rows, columns, costs = zip(*(self._edges(k) for k in range(len(self.length))))
        shape = (len(self.voxel),) * 2
        flat = (np.concatenate(rows), np.concatenate(columns))
        return csr_matrix((np.concatenate(costs), flat), shape=shape)

    def _edges(self, k):
        """Edges of step k: from a voxel to the next, and there on to a step not far from k."""
        a = np.flatnonzero((self.target[:, k] >= 0) & (self.node[:, k] >= 0))
        b = self.target[a, k]
        a, b = a[self.node[b, k] >= 0], b[self.node[b, k] >= 0]
        length = self.length[k] * 0.5 * (self.cost[a, k] + self.cost[b, k])
        after = np.flatnonzero(self.turn[k] <= np.deg2rad(SETTINGS.turn) + 1e-9)
        others = self.node[b][:, after]
        row, column = np.nonzero(others >= 0)
        bend = SETTINGS.bend * self.unit * self.turn[k, after[column]] ** 2
        return self.node[a, k][row], others[row, column], length[row] + bend

    @cached_property
    def leaky(self):
        """The same with a node for each voxel, between which one may step off the fibers."""
        n_nodes, n_voxels = len(self.voxel), len(self.target)
        a, k = np.nonzero(self.target >= 0)
        off = self.length[k] / SETTINGS.floor * SETTINGS.off_fiber
        voxel, node = n_nodes + self.voxel, np.arange(n_nodes)
        enter = np.full(n_nodes, 1e-6 * self.unit)
        leave = np.full(n_nodes, self.unit / SETTINGS.floor * SETTINGS.off_fiber)
        inner = self.matrix.tocoo()
        rows = np.concatenate([inner.row, voxel, node, n_nodes + a])
        columns = np.concatenate([inner.col, node, voxel, n_nodes + self.target[a, k]])
        costs = np.concatenate([inner.data, enter, leave, off])
        return csr_matrix((costs, (rows, columns)), shape=(n_nodes + n_voxels,) * 2)

    def costs_along(self, voxels, pieces):
        """Costs (n,) of straight pieces (n, dim), each in the voxel of that number.

        As for steps: the length over the amplitude of fibers along it, which is interpolated
        between the steps, or the price of a step off the fibers.
        """
        length = np.linalg.norm(pieces, axis=1)
        angle = _angles(pieces / np.maximum(length, 1e-300)[:, None], self.direction)
        near = np.exp(-((angle / np.deg2rad(SETTINGS.lobe_width / 2)) ** 2))
        amplitude = (near * self.amplitude[voxels]).sum(1) / near.sum(1)
        cost = 1 / (amplitude + SETTINGS.floor)
        off = amplitude <= self.least[voxels]
        return length * np.where(off, SETTINGS.off_fiber / SETTINGS.floor, cost)

    def search(self, sources, leaky=False):
        """Distances (n_voxels,) from a set of voxels, and a function for the path to one.

        sources (int or array of int)
        leaky: Whether steps off the fibers are allowed, where they are dear.
        """
        sources, n_voxels = np.atleast_1d(sources), len(self.target)
        wanted = np.zeros(n_voxels, dtype=bool)
        wanted[sources] = True
        if leaky:
            n_nodes = len(self.voxel)
            length, before, _ = dijkstra(
                self.leaky, indices=n_nodes + sources, min_only=True, return_predecessors=True
            )
            owner = np.concatenate([self.voxel, np.arange(n_voxels)])
            return length[n_nodes:], lambda end: _unique(owner[_trace(before, n_nodes + end)])
        nodes = np.flatnonzero(wanted[self.voxel])
        if not len(nodes):  # no fiber at all starts there
            return np.where(wanted, 0.0, np.inf), lambda end: np.array([end])
        length, before, _ = dijkstra(
            self.matrix, indices=nodes, min_only=True, return_predecessors=True
        )
        order = np.lexsort((length, self.voxel))
        first = order[np.unique(self.voxel[order], return_index=True)[1]]
        distance = np.full(n_voxels, np.inf)
        distance[self.voxel[first]] = length[first]
        nearest = np.full(n_voxels, -1)
        nearest[self.voxel[first]] = first
        return distance, lambda end: self.voxel[_trace(before, nearest[end])]


def _angles(a, b):
    return np.arccos(np.clip(a @ b.T, -1, 1))


def _trace(before, end):
    path = [end]
    while before[path[-1]] >= 0:
        path.append(before[path[-1]])
    return np.array(path[::-1])


def _unique(path):
    return path[np.concatenate([[True], np.diff(path) != 0])]


def amplitudes_of(vectors, weights, steps):
    """Amplitudes (n_voxels, n_steps) of peaks along steps: a Gaussian of the angle for each.

    vectors (n_fields, n_voxels, dim): NaN where absent.
    weights (n_fields, n_voxels)
    steps (n_steps, dim): Steps in lengths.
    """
    unit = _unit(steps)
    found = np.zeros((vectors.shape[1], len(steps)))
    for v, weight in zip(vectors, weights):
        angle = np.arccos(np.minimum(np.abs(np.nan_to_num(v) @ unit.T), 1.0))
        lobe = np.exp(-((angle / np.deg2rad(SETTINGS.lobe_width)) ** 2))
        found = np.maximum(found, np.nan_to_num(weight)[:, None] * lobe)
    return found
