"""Directions between voxels, near a given direction: sets of peaks without any order.

Which peak of a voxel belongs to a line is asked anew at every point: the one nearest to the
direction of the line. So peaks need no identity, and any order of them gives the same answer.
"""

from itertools import product

import numpy as np
from scipy.ndimage import distance_transform_edt

from ._settings import SETTINGS

LEAST_GAP = 0.1  # between strengths of axes, as a share: nothing is steeper than a step resolves
PAD = 3  # voxels around the grid
FAINT = 0.01  # weight of what is beyond the mask: where a voxel inside is near, that one decides


class PeakField:
    """Peaks on a grid, interpolated near a direction.

    Of the voxels around a point, the vectors v nearest to the direction count: the direction of the
    field is the first axis of the mean of v v', with the weights of the interpolation. At a border
    of bundles this is one or the other; a mean of vectors would be between them. A little beyond
    the voxels with vectors it goes on as in the nearest of them, so that lines that follow the
    border come back.

    V (n_fields, nx, ny[, nz], dim): Unit vectors along the grid, NaN where absent.
    scale (dim,): Size of a voxel.
    weights (n_fields, nx, ny[, nz]) or None: Amplitudes; None is 1 everywhere.
    cosine: Peaks at less than this cosine to the direction belong to other lines.
    order ({1, 2}): 1: linear, through the vectors. 2: quadratic B-splines, which also smooth a
        little.
    """

    def __init__(self, V, scale, weights=None, cosine=0.0, order=1):
        self.grid, self.dim = np.array(V.shape[1:-1]), V.shape[-1]
        self.scale, self.cosine, self.order = np.asarray(scale, float), cosine, order
        there = np.isfinite(V).all(-1)
        weights = there.astype(float) if weights is None else np.where(there, weights, 0.0)
        widths = [(0, 0)] + [(PAD, PAD)] * self.dim
        shape = self.grid + 2 * PAD
        self._strides = np.cumprod([1, *shape[:0:-1]])[::-1]
        unit = np.pad(np.where(there[..., None], V, 0.0), [*widths, (0, 0)])
        self._vectors = np.moveaxis(unit, 0, -2).reshape(-1, *unit.shape[:1], self.dim)
        self._weights = np.moveaxis(np.pad(weights, widths), 0, -1).reshape(-1, len(V))
        self._carry_on(np.pad(there.any(0), widths[1:]))
        self._taps = np.array(list(product(range(order + 1), repeat=self.dim)))
        self._offsets = self._taps @ self._strides

    def _carry_on(self, there):
        """Take the vectors of the nearest voxel that has some where there are none, not far off."""
        far, nearest = distance_transform_edt(~there, sampling=self.scale, return_indices=True)
        beyond = (far > 0) & (far <= SETTINGS.beyond * self.scale.max())
        nearest = np.ravel_multi_index(tuple(nearest[:, beyond]), there.shape)
        self._vectors[beyond.ravel()] = self._vectors[nearest]
        self._weights[beyond.ravel()] = FAINT * self._weights[nearest]

    def with_order(self, order):
        """The same peaks, interpolated otherwise."""
        if order == self.order:
            return self
        other = object.__new__(PeakField)
        other.__dict__.update(self.__dict__, order=order)
        other._taps = np.array(list(product(range(order + 1), repeat=self.dim)))
        other._offsets = other._taps @ self._strides
        return other

    def at(self, x, u):
        """Directions (n, dim) at points in lengths near unit vectors, 0 where there is none."""
        vectors, (weights, _), _ = self._around(x, u)
        return self._axes(vectors, _products(weights, self._taps), u)[0]

    def gradient(self, x, u):
        """Directions (n, dim), and their derivatives (n, dim, dim) along the first axis."""
        vectors, (weights, slopes), _ = self._around(x, u)
        v, axes, gaps = self._axes(vectors, _products(weights, self._taps), u)
        along = (vectors @ v[:, :, None])[..., 0]
        parts = []
        for axis in range(self.dim):
            factors = _products(weights, self._taps, axis, slopes) / self.scale[axis]
            change = np.einsum("nt,ntd->nd", factors * along, vectors)
            parts.append((axes @ ((change[:, None] @ axes)[:, 0] / gaps)[..., None])[..., 0])
        return v, np.where(v.any(1)[:, None, None], np.stack(parts, axis=1), 0.0)

    def _axes(self, vectors, weights, u):
        """First axes on the side of u; all axes, and how far their strength is from the first."""
        mean = vectors.swapaxes(1, 2) @ (weights[..., None] * vectors)
        strength, axes = _principal(mean)
        v, first = axes[..., -1], strength[:, -1:]
        v = np.where((v * u).sum(1, keepdims=True) < 0, -v, v)
        gaps = np.maximum(first - strength, LEAST_GAP * np.maximum(first, 1e-9))
        gaps[:, -1] = np.inf
        return np.where(first > 1e-9, v, 0.0), axes, gaps

    def strongest(self, x):
        """The peak of most weight around points, as a unit vector, 0 where there is none."""
        first, (weights, _) = self._cells(x)
        index = first[:, None] + self._offsets
        strength = self._weights[index] * _products(weights, self._taps)[..., None]
        n, n_taps, n_fields = strength.shape
        best = strength.reshape(n, -1).argmax(1)
        rows = np.arange(n)
        u = self._vectors[index[rows, best // n_fields], best % n_fields]
        v = self.at(x, u)
        return np.where(np.linalg.norm(v, axis=1, keepdims=True) > 0.5, v, u)

    def _cells(self, x):
        """First tap of points, and weights and slopes of the taps, (order + 1, n, dim) each."""
        t = x / self.scale
        t = np.clip(np.where(np.isnan(t), 0.0, t), -1.0, self.grid)
        if self.order == 1:
            low = np.floor(t)
            f = t - low
            pair = np.stack([1 - f, f]), np.stack([-np.ones_like(f), np.ones_like(f)])
        else:
            low = np.round(t)
            f = t - low
            low = low - 1
            value = np.stack([0.5 * (0.5 - f) ** 2, 0.75 - f**2, 0.5 * (0.5 + f) ** 2])
            pair = value, np.stack([f - 0.5, -2 * f, f + 0.5])
        return (low.astype(int) + PAD) @ self._strides, pair

    def _around(self, x, u):
        """Weighted vectors of the taps that are near u, turned to its side, (n, n_taps, dim)."""
        first, pair = self._cells(x)
        index = first[:, None] + self._offsets
        vectors, weights = self._vectors[index], self._weights[index]
        cosine = np.einsum("ntfd,nd->ntf", vectors, u)
        if vectors.shape[2] > 1:
            best = np.abs(cosine).argmax(-1)[..., None]
            vectors = np.take_along_axis(vectors, best[..., None], 2)
            weights, cosine = (np.take_along_axis(a, best, 2) for a in (weights, cosine))
        factor = np.sign(cosine) * (np.abs(cosine) > self.cosine) * weights
        return vectors[:, :, 0] * factor, pair, index


def _principal(mean):
    """Eigenvalues, smallest first, and eigenvectors of symmetric matrices (n, dim, dim)."""
    if mean.shape[1] > 2:
        return np.linalg.eigh(mean)
    a, b, c = mean[:, 0, 0], mean[:, 0, 1], mean[:, 1, 1]
    turn = 0.5 * np.arctan2(2 * b, a - c)
    cosine, sine = np.cos(turn), np.sin(turn)
    reach = np.hypot(0.5 * (a - c), b)
    strength = 0.5 * (a + c)[:, None] + reach[:, None] * [-1, 1]
    return strength, np.stack([-sine, cosine, cosine, sine], 1).reshape(-1, 2, 2).swapaxes(1, 2)


def _products(weights, taps, axis=None, slopes=None):
    """Weights (n, n_taps) of all taps; those along one axis may be slopes."""
    found = 1.0
    for k in range(taps.shape[1]):
        found = found * (slopes if k == axis else weights)[taps[:, k], :, k]
    return found.T
