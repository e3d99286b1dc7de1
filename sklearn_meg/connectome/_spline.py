"""Cubic B-splines over a grid: what a metric is made of between the voxels.

Coefficients sit on a lattice of knots, `spacing` voxels apart, one before the grid and two after
its last interval along each axis. A sum of cubic B-splines has two continuous derivatives, so the
geodesics of the fitted metric are those that are shot: nothing is differenced.
"""

from functools import cached_property
from itertools import product

import numpy as np
import scipy.sparse as sp
import torch
from scipy.ndimage import distance_transform_edt, spline_filter1d

from ._geometry import below_diagonal

MARGIN = 1  # knots before the first


def n_knots(n, spacing):
    """Knots along an axis of n voxels."""
    return int((n - 1) // spacing) + 4


def lattice_shape(grid, spacing):
    """Knots along every axis."""
    return tuple(n_knots(n, spacing) for n in grid)


def weights(u):
    """Values and derivatives of the four splines that are not zero at u in [0, 1], (4, n) each."""
    stack = torch.stack if isinstance(u, torch.Tensor) else np.stack
    v = 1 - u
    value = stack([v**3, 4 - 6 * u**2 + 3 * u**3, 4 - 6 * v**2 + 3 * v**3, u**3]) / 6
    slope = stack([-(v**2), u * (3 * u - 4), v * (4 - 3 * v), u**2]) / 2
    return value, slope


def cell(positions, spacing, n):
    """First of the four knots (index in the lattice) and the place u within the interval."""
    t = positions / spacing
    last = n_knots(n, spacing) - 4
    j = np.clip(np.floor(t), 0, last)
    return j.astype(int), t - j


class SplineOperator:
    """Values and derivatives at some voxels of the spline with given coefficients.

    One axis after the other, each a sparse matrix with four entries a row, and only through what
    these voxels need: time and memory grow with the number of voxels, whatever the mask.

    voxels (n, dim) int: Voxels in which to evaluate.
    grid (tuple of int)
    spacing: Voxels between knots.
    scale (sequence of float): Size of a voxel along each axis: derivatives are by length.
    knots (n_active, dim) int: The places in the lattice of the coefficients that matter.
    """

    def __init__(self, voxels, grid, spacing, scale):
        self.dim = len(grid)
        rows, self.stages = np.asarray(voxels), []
        for axis in reversed(range(self.dim)):
            first, u = cell(rows[:, axis].astype(float), spacing, grid[axis])
            taps = np.repeat(rows, 4, axis=0)
            taps[:, axis] = (first[:, None] + np.arange(4)).ravel()
            columns, where = unique_rows(taps)
            value, slope = weights(u)
            starts = np.arange(0, 4 * len(rows) + 1, 4)
            shape = (len(rows), len(columns))
            pair = [
                sp.csr_matrix((w.T.ravel(), where, starts), shape=shape)
                for w in (value, slope / (spacing * scale[axis]))
            ]
            self.stages.append((axis, *pair, *(m.T.tocsr() for m in pair)))
            rows = columns
        self.stages.reverse()
        self.knots = rows

    def __call__(self, coef):
        """Values, then derivatives along the axes, (1 + dim, n, m), of (n_active, m)."""
        parts = {None: coef}
        for axis, value, slope, _, _ in self.stages:
            after = {key: value @ part for key, part in parts.items()}
            after[axis] = slope @ parts[None]
            parts = after
        return np.stack([parts[key] for key in (None, *range(self.dim))])

    def adjoint(self, outputs):
        """The transpose: (n_active, m) of (1 + dim, n, m)."""
        parts = dict(zip((None, *range(self.dim)), outputs))
        for axis, _, _, value, slope in reversed(self.stages):
            before = {key: value @ part for key, part in parts.items() if key != axis}
            before[None] += slope @ parts[axis]
            parts = before
        return parts[None]


def unique_rows(rows):
    """Distinct rows of non-negative int, and where each row is among them."""
    shape = tuple(rows.max(axis=0) + 1)
    flat, where = np.unique(np.ravel_multi_index(rows.T, shape), return_inverse=True)
    return np.stack(np.unravel_index(flat, shape), axis=1), where.ravel()


class SplineField:
    """A spline at any points, batched in torch.

    coef (kx, ky[, kz], m), grid (tuple of int)
    spacing: Voxels between knots.
    scale (dim,): Size of a voxel.
    """

    def __init__(self, coef, grid, spacing, scale):
        self.shape, self.grid, self.spacing = coef.shape[:-1], grid, spacing
        self.coef = torch.as_tensor(coef.reshape(-1, coef.shape[-1]))
        self.scale = torch.as_tensor(np.asarray(scale, float))

    @cached_property
    def _corners(self):
        strides = np.cumprod([1, *self.shape[:0:-1]])[::-1].copy()
        taps = np.array(list(product(range(4), repeat=len(self.grid))))
        return torch.as_tensor(strides), torch.as_tensor(taps @ strides)

    def __call__(self, points):
        """Values (m, n) and derivatives (dim, m, n) at points (n, dim), in lengths from voxel 0.

        Beyond the outermost voxels the field goes on as it is there.
        """
        t = points / self.scale / self.spacing
        n_cells = torch.as_tensor(self.shape) - 4
        top = (torch.as_tensor(self.grid) - 1) / self.spacing
        inside = ((t >= 0) & (t <= top)).to(t.dtype)
        t = torch.minimum(t.clamp(min=0), top)
        first = torch.minimum(t.floor(), n_cells.to(t.dtype))
        value, slope = weights(t - first)  # 4, n, dim
        slope = slope / (self.spacing * self.scale) * inside
        strides, offsets = self._corners
        # A point that is no number (a geodesic that ran away) has a field that is none.
        index = (first.nan_to_num().long() * strides).sum(1)[:, None] + offsets
        taps = self.coef[index]  # n, 4**dim, m
        dim = points.shape[1]
        outputs = []
        for kind in (None, *range(dim)):
            w = torch.ones(len(points), 1, dtype=t.dtype)
            for axis in range(dim):
                each = (slope if axis == kind else value)[:, :, axis].T
                w = (w[:, :, None] * each[:, None]).flatten(1)
            outputs.append(torch.bmm(w[:, None], taps)[:, 0].T)
        return outputs[0], torch.stack(outputs[1:])


def smoothness_operator(knots, spacing, first=0.0):
    """The sparse matrix Q of the roughness c' Q c of a spline with coefficients c at `knots`.

    The sum over knots of squared second derivatives (all pairs of axes), and `first` times those of
    first ones, divided by the number of knots.
    """
    dim = knots.shape[1]
    shape = tuple(knots.max(axis=0) + 2)
    table = np.full(shape, -1)
    table[tuple(knots.T)] = np.arange(len(knots))
    unit = np.eye(dim, dtype=int)
    total = sp.csr_matrix((len(knots), len(knots)))
    stencils = [([-unit[i], 0 * unit[i], unit[i]], [1, -2, 1], 1.0) for i in range(dim)]
    for i in range(dim):
        for j in range(i):
            corners = [0 * unit[i], unit[i], unit[j], unit[i] + unit[j]]
            stencils.append((corners, [1, -1, -1, 1], 2.0))
    stencils = [(o, w, k / spacing**4) for o, w, k in stencils]
    stencils += [([0 * u, u], [-1, 1], first / spacing**2) for u in unit]
    for offsets, taps, weight in stencils:
        where = np.stack([_look_up(table, knots + offset) for offset in offsets])
        there = (where >= 0).all(axis=0)
        n = int(there.sum())
        rows = np.tile(np.arange(n), len(taps))
        data = np.repeat(np.asarray(taps, float), n)
        shape = (n, len(knots))
        matrix = sp.csr_matrix((data, (rows, where[:, there].ravel())), shape=shape)
        total = total + weight * (matrix.T @ matrix)
    return (total / len(knots)).tocsr()


def _look_up(table, places):
    good = ((places >= 0) & (places < table.shape)).all(axis=1)
    found = np.full(len(places), -1)
    found[good] = table[tuple(places[good].T)]
    return found


def refined(coef, shape):
    """Coefficients on a lattice of half the spacing, of the same spline.

    coef (kx, ky[, kz], m): Everywhere on the coarse lattice.
    shape (tuple of int): Shape of the fine lattice.
    """
    for axis, n in enumerate(shape):
        # Knot i of the fine lattice is at (i - 1) / 2 + 1 in places of the coarse one.
        place = (np.arange(n) - MARGIN) / 2 + MARGIN
        low = np.floor(place).astype(int)
        matrix = np.zeros((n, coef.shape[axis]))
        for i, (j, odd) in enumerate(zip(low, place != low)):
            taps = ((j, 0.5), (j + 1, 0.5)) if odd else ((j - 1, 1 / 8), (j, 6 / 8), (j + 1, 1 / 8))
            for k, weight in taps:
                matrix[i, np.clip(k, 0, coef.shape[axis] - 1)] += weight
        coef = np.moveaxis(np.tensordot(matrix, coef, (1, axis)), 0, axis)
    return coef


def coefficients_of(metric, mask):
    """Spline coefficients, one knot a voxel, of a metric known in a mask.

    Raises ValueError if it is not symmetric and positive definite there.
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
