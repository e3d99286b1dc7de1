"""What every metric can answer, whatever it was made from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.sparse.csgraph import connected_components
from sklearn.utils.validation import check_is_fitted

from .._training.device import limited_threads
from . import _geodesics as _connect
from ._fields import directions_at
from ._geodesics import shoot
from ._geometry import christoffel_symbols, metric_of
from ._space import Space, check_points
from ._spline import SplineField, coefficients_of

if TYPE_CHECKING:
    from typing import Literal

    from .._typing import ArrayLike

BATCH = 4096  # points at a time


class MetricModel:
    """Geodesics and what belongs to them, for a class with the attributes below.

    ``coef_`` (*lattice, n_parameters) are spline coefficients of log-Cholesky parameters in grid
    coordinates, ``knot_spacing_`` voxels apart, on a grid of ``grid_shape_`` with ``affine_``;
    ``mask_`` says where the metric means something.
    """

    def metric_at(self, points: ArrayLike) -> np.ndarray:
        """Metric at points.

        Parameters
        ----------
        points : array-like of shape (n, dim)
            World coordinates: those of `affine`, voxels without one. In the mask.

        Returns
        -------
        metric : ndarray of shape (n, dim, dim)
            Along the world axes; positive definite.

        Raises
        ------
        ValueError
            For points outside the mask.
        """
        inside = self._points_inside(points)
        R = self._space.rotation
        return R @ self._metrics_at(inside) @ R.T

    def christoffel_symbols(self, points: ArrayLike) -> np.ndarray:
        """Christoffel symbols of the second kind at points.

        Parameters
        ----------
        points : array-like of shape (n, dim)
            World coordinates, in the mask.

        Returns
        -------
        symbols : ndarray of shape (n, dim, dim, dim)
            ``symbols[:, k, i, j]`` is the upper index k, the lower ones i and j, along the world
            axes, 1 / length.

        Raises
        ------
        ValueError
            For points outside the mask.
        """
        inside = self._points_inside(points)
        R = self._space.rotation
        parts = [christoffel_symbols(*at) for at in self._fields_at(inside)]
        symbols = torch.cat(parts, dim=-1).permute(3, 0, 1, 2).numpy()
        return np.einsum("ak,bi,cj,nkij->nabc", R, R, R, symbols)

    def shoot(
        self,
        points: ArrayLike,
        directions: ArrayLike,
        length: float,
        *,
        step: float = 0.5,
        within: Literal["mask", "grid"] = "mask",
    ) -> np.ndarray:
        """Shoot geodesics from points.

        Parameters
        ----------
        points, directions : array-like of shape (n, dim)
            World coordinates and directions along the world axes; lengths of directions do not
            matter.
        length : float
            Of the geodesics, in world units (not measured by the metric).
        step : float, default=0.5
            Between points of a geodesic, in voxels.
        within : {"mask", "grid"}, default="mask"
            A geodesic ends where it leaves the mask, or only where it leaves the grid.

        Returns
        -------
        paths : ndarray of shape (n, n_points, dim)
            Evenly spaced points; NaN after the end.

        Raises
        ------
        ValueError
            For points outside, zero directions, or a length or step that is not positive.
        """
        if within not in ("mask", "grid"):
            raise ValueError(f"within must be 'mask' or 'grid'. Got {within!r}.")
        if not (np.isfinite(length) and length > 0 and np.isfinite(step) and step > 0):
            raise ValueError(f"length and step must be positive. Got {length!r} and {step!r}.")
        space = self._space
        mask = self.mask_ if within == "mask" else np.ones(self.grid_shape_, dtype=bool)
        x = self._points_inside(points, mask)
        u = check_points(directions, space.dim, "directions") @ space.rotation
        if len(u) != len(x):
            raise ValueError(f"There must be one direction a point. Got {len(u)} for {len(x)}.")
        if not (np.linalg.norm(u, axis=1) > 0).all():
            raise ValueError("directions must not be zero.")
        paths = self._shoot_inside(x, u, length, step, mask)
        left = np.logical_or.accumulate(~space.in_mask(paths, mask), axis=1)
        paths[left] = np.nan
        return space.outside(paths)

    def connect(
        self, starts: ArrayLike, ends: ArrayLike, *, n_points: int = 100, n_modes: int = 16
    ) -> tuple[np.ndarray, np.ndarray]:
        """Geodesics between pairs of points, and their lengths.

        The shortest path along the voxels of the mask is the first guess; then the curve of
        least energy near it is found.

        Parameters
        ----------
        starts, ends : array-like of shape (n, dim)
            World coordinates, in the mask.
        n_points : int, default=100
            Of each path.
        n_modes : int, default=16
            Polynomials that a path is made of.

        Returns
        -------
        paths : ndarray of shape (n, n_points, dim)
        lengths : ndarray of shape (n,)
            Geodesic distances, measured by the metric.

        Raises
        ------
        ValueError
            For points outside the mask, or pairs in parts of the mask that are not connected.
        """
        a, b = self._points_inside(starts, name="starts"), self._points_inside(ends, name="ends")
        if len(a) != len(b):
            raise ValueError(f"There must be as many ends as starts. Got {len(b)} and {len(a)}.")
        graph, number = self._graph()
        first, last = (number[tuple(self._space.voxels(p)[0].T)] for p in (a, b))
        self._check_connected(graph, first, last)
        voxels = np.argwhere(self.mask_) * self._space.scale
        guesses, _ = _connect.graph_paths(graph, first, last)
        guesses = [voxels[path[1:-1]] for path in guesses]
        pairs = np.stack([a, b], axis=1)
        with limited_threads(1):
            modes, lengths = _connect.refine(self._field, pairs, guesses, n_modes)
        return self._space.outside(_connect.evaluate(pairs, modes, n_points)), lengths

    def distance(self, starts: ArrayLike, ends: ArrayLike) -> np.ndarray:
        """Geodesic distances between pairs of points: the lengths of :meth:`connect`.

        Parameters
        ----------
        starts, ends : array-like of shape (n, dim)
            World coordinates, in the mask.

        Returns
        -------
        distance : ndarray of shape (n,)
        """
        return self.connect(starts, ends)[1]

    def geodesic_connectivity(
        self, labels: ArrayLike, *, kind: Literal["distance", "count"] = "distance"
    ) -> tuple[np.ndarray, np.ndarray]:
        """Connectivity matrix between regions.

        Parameters
        ----------
        labels : array-like of int of shape (nx, ny[, nz],)
            Regions, 0 is none.
        kind : {"distance", "count"}, default="distance"
            "distance": of the geodesics between regions, along the voxels of the mask, from
            the voxel of one that is nearest to the other; inf where there is no way. "count":
            geodesics through the voxels of the mask, along their fields both ways, that touch
            both regions; only for a metric that was fitted to fields.

        Returns
        -------
        matrix : ndarray of shape (n_regions, n_regions)
            Symmetric.
        regions : ndarray of int of shape (n_regions,)
            Labels of the rows.

        Raises
        ------
        ValueError
            For labels of another shape, or a region outside the mask.
        """
        labels, regions = self._check_labels(labels)
        if kind == "distance":
            return self._distances(labels, regions), regions
        if kind != "count":
            raise ValueError(f"kind must be 'distance' or 'count'. Got {kind!r}.")
        seeds = self._space.outside(np.argwhere(self.mask_) * self._space.scale)
        matrix = np.zeros((len(regions), len(regions)), dtype=int)
        for path in self.bundle(seeds, step=1.0):
            index, good = self._space.voxels(self._space.inside(path))
            touched = np.unique(labels[tuple(index[good].T)])
            at = np.searchsorted(regions, touched[touched != 0])
            matrix[np.ix_(at, at)] += 1
        np.fill_diagonal(matrix, 0)
        return matrix, regions

    def bundle(
        self, seeds: ArrayLike, *, length: float | None = None, step: float = 0.5
    ) -> list[np.ndarray]:
        """Geodesics through seeds, along the fields there, both ways to the border of the mask.

        Parameters
        ----------
        seeds : array-like of shape (n, dim)
            World coordinates, in the mask.
        length : float, default=None
            Most in each direction; None is twice the longest side of the grid.
        step : float, default=0.5
            In voxels.

        Returns
        -------
        paths : list of ndarray of shape (n_points, dim)
            One for each seed and field that is there.

        Raises
        ------
        ValueError
            For seeds outside the mask, or a metric that knows no fields.
        """
        if getattr(self, "directions_", None) is None:
            raise ValueError("bundle needs a metric that was fitted to fields; use shoot.")
        inside = self._points_inside(seeds, name="seeds")
        length = 2 * max(self._space.grid * self._space.scale) if length is None else length
        voxel = tuple(self._space.voxels(inside)[0].T)
        paths = []
        for V in self.directions_:
            there = np.isfinite(V[voxel][:, 0])
            if not there.any():
                continue
            start = inside[there]
            u = directions_at(V, start / self._space.scale)
            turned = [self._half(start, sign * u, length, step) for sign in (-1, 1)]
            paths += [np.concatenate([back[:0:-1], on]) for back, on in zip(*turned)]
        return [self._space.outside(path) for path in paths]

    # ------------------------------------------------------------------ inside

    def _set_metric(self, metric, affine):
        self.grid_shape_, self.knot_spacing_ = metric.shape[:-2], 1
        self.affine_ = None if affine is None else np.asarray(affine, dtype=float)
        self.coef_ = coefficients_of(metric, self.mask_)
        _ = self._space  # the affine is checked there

    def _check_fitted(self):
        check_is_fitted(self)

    @property
    def _space(self):
        return Space(self.grid_shape_, self.affine_)

    @property
    def _field(self):
        return SplineField(self.coef_, self.grid_shape_, self.knot_spacing_, self._space.scale)

    def _fields_at(self, inside):
        field = self._field
        for i in range(0, len(inside), BATCH):
            yield field(torch.as_tensor(inside[i : i + BATCH]))

    def _metrics_at(self, inside):
        """Metrics (n, dim, dim) at points in grid coordinates, along the grid."""
        parts = [metric_of(theta, self._space.dim) for theta, _ in self._fields_at(inside)]
        return torch.cat(parts, dim=-1).permute(2, 0, 1).numpy()

    def _points_inside(self, points, mask=None, name="points"):
        """Checked points in grid coordinates."""
        self._check_fitted()
        points = check_points(points, self._space.dim, name)
        inside = self._space.inside(points)
        good = self._space.in_mask(inside, self.mask_ if mask is None else mask)
        if not good.all():
            raise ValueError(
                f"{name} must be inside the mask: {int((~good).sum())} of {len(good)} are not, the "
                f"first is {points[~good][0].tolist()} (world coordinates)."
            )
        return inside

    def _shoot_inside(self, x, u, length, step, mask):
        """Geodesics in grid coordinates; the last point of one may be outside the mask."""
        field, space = self._field, self._space
        step = step * space.scale.min()
        parts = []
        with limited_threads(1), torch.inference_mode():
            for i in range(0, len(x), BATCH):
                some = torch.as_tensor(x[i : i + BATCH]), torch.as_tensor(u[i : i + BATCH])
                paths = shoot(field, *some, length, step, lambda y: space.in_mask(y, mask))
                parts.append(paths.numpy())
        return np.concatenate(parts)

    def _half(self, x, u, length, step):
        """Geodesics one way, cut where they leave the mask."""
        paths = self._shoot_inside(x, u, length, step, self.mask_)
        good = np.logical_and.accumulate(self._space.in_mask(paths, self.mask_), axis=1)
        return [path[:n] for path, n in zip(paths, good.sum(1))]

    def _graph(self):
        """Graph of the voxels of the mask, and their numbers on the grid."""
        voxels = np.argwhere(self.mask_)
        number = np.full(self.grid_shape_, -1)
        number[self.mask_] = np.arange(len(voxels))
        g = self._metrics_at(voxels * self._space.scale)
        return _connect.voxel_graph(g, self.mask_, self._space.scale), number

    def _check_connected(self, graph, first, last):
        _, part = connected_components(graph, directed=False)
        apart = part[first] != part[last]
        if apart.any():
            raise ValueError(
                f"starts and ends must be in connected parts of the mask: pair(s) "
                f"{np.flatnonzero(apart).tolist()} are not."
            )

    def _check_labels(self, labels):
        self._check_fitted()
        labels = np.asarray(labels)
        if labels.shape != tuple(self.grid_shape_) or labels.dtype.kind not in "iub":
            raise ValueError(
                f"labels must be int of the shape {tuple(self.grid_shape_)}. "
                f"Got {labels.dtype} of shape {labels.shape}."
            )
        regions = np.unique(labels[labels != 0])
        if not len(regions):
            raise ValueError("labels has no region: every voxel is 0.")
        outside = np.setdiff1d(regions, labels[self.mask_])
        if len(outside):
            raise ValueError(f"labels has regions outside the mask: {outside.tolist()}.")
        return labels, regions

    def _distances(self, labels, regions):
        """Distances between sets: the shortest way from any voxel of one to any of the other."""
        graph, _ = self._graph()
        own = labels[self.mask_]
        matrix = np.empty((len(regions), len(regions)))
        for i, region in enumerate(regions):
            sources = np.flatnonzero(own == region)
            length = _connect.dijkstra(graph, directed=False, indices=sources, min_only=True)
            matrix[i] = [length[own == other].min() for other in regions]
        return np.minimum(matrix, matrix.T)
