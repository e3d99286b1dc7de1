"""What every metric can answer, whatever it was made from."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._training.threads import one_blas_thread
from . import _connectivity
from ._geometry import SplineGeometry, symbols_of
from ._graph import MetricGraph
from ._peaks import PeakField
from ._shoot import shoot
from ._space import Space, check_option, check_points, without_small_holes
from ._spline import SplineField, coefficients_of
from ._trust import TrustMixin
from ._ways import ways_between

if TYPE_CHECKING:
    from typing import Literal

    from .._typing import ArrayLike, PathLike, SpatialImage

BATCH = 4096  # geodesics at a time
MADE = WeakKeyDictionary()  # what curves need of each fitted metric; nothing that is saved


class MetricModel(TrustMixin):
    """Geodesics and what belongs to them, for a class with the attributes below.

    ``coef_`` (*lattice, n_parameters) are spline coefficients of log-Cholesky parameters in grid
    coordinates, ``knot_spacing_`` voxels apart, on a grid of ``grid_shape_`` with ``affine_``;
    ``mask_`` says where the metric means something.
    """

    def metric_at(self, points: ArrayLike, directions: ArrayLike | None = None) -> np.ndarray:
        """Metric at points.

        Parameters
        ----------
        points : array-like of shape (n, dim)
            World coordinates: those of `affine`, voxels without one. In the mask.
        directions : array-like of shape (n, dim), default=None
            Directions of travel; where fibers cross they choose the fiber whose metric is meant.
            None is the strongest. Other metrics are the same for all directions.

        Returns
        -------
        metric : ndarray of shape (n, dim, dim)
            Along the world axes; positive definite.

        Raises
        ------
        ValueError
            For points outside the mask.
        """
        inside, u = self._points_and_directions(points, directions)
        R = self._space.rotation
        return R @ self._geometry.tensors(inside, u) @ R.T

    def christoffel_symbols(
        self, points: ArrayLike, directions: ArrayLike | None = None
    ) -> np.ndarray:
        """Christoffel symbols of the second kind at points.

        Parameters
        ----------
        points : array-like of shape (n, dim)
            World coordinates, in the mask.
        directions : array-like of shape (n, dim), default=None
            As in :meth:`metric_at`.

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
        inside, u = self._points_and_directions(points, directions)
        R = self._space.rotation
        symbols = symbols_of(*self._geometry.gradient(inside, u))
        return np.einsum("ak,bi,cj,nkij->nabc", R, R, R, symbols)

    def shoot(
        self,
        points: ArrayLike,
        directions: ArrayLike,
        length: float,
        *,
        step: float = 0.5,
        within: Literal["mask", "grid"] = "mask",
        follow: float = 0.0,
    ) -> np.ndarray:
        """Shoot geodesics from points.

        Parameters
        ----------
        points, directions : array-like of shape (n, dim)
            World coordinates and directions along the world axes; lengths of directions do not
            matter.
        length : float
            Length of the geodesics in world units (not measured by the metric).
        step : float, default=0.5
            Distance between points of a geodesic, in voxels.
        within : {"mask", "grid"}, default="mask"
            A geodesic ends where it leaves the mask, or only where it leaves the grid. Single
            voxels that are missing inside the mask do not end it.
        follow : float, default=0.0
            0 gives geodesics. Above it, curves are steered: after each step the direction goes
            this share of the way to that of the nearest fiber, as the shooting of the paper does.
            1 gives the integral curves of the field, which is tracking.

        Returns
        -------
        paths : ndarray of shape (n, n_points, dim)
            Evenly spaced points; NaN after the end.

        Raises
        ------
        ValueError
            For points outside, zero directions, a length or step that is not positive, or `follow`
            with a metric that knows no fields.
        """
        check_option("within", within, ("mask", "grid"))
        if not (np.isfinite(length) and length > 0 and np.isfinite(step) and step > 0):
            raise ValueError(f"length and step must be positive. Got {length!r} and {step!r}.")
        self._check_follow(follow)
        mask = self._open_mask if within == "mask" else np.ones(self.grid_shape_, dtype=bool)
        x, u = self._points_and_directions(points, directions, mask)
        if not follow:
            self._check_starts(x, u)
        paths = self._shoot_inside(x, u, length, step, mask, follow)
        left = np.logical_or.accumulate(~self._space.in_mask(paths, mask), axis=1)
        paths[left] = np.nan
        return self._space.outside(paths)

    @one_blas_thread()
    def connect(
        self, starts: ArrayLike, ends: ArrayLike, *, n_points: int = 100, n_modes: int = 16
    ) -> tuple[np.ndarray, np.ndarray]:
        """Shortest ways between pairs of points, and their lengths.

        The shortest path along the voxels of the mask is replaced by the curve of least energy near
        it, held in the mask, if that is shorter. Where each direction has its own metric, paths and
        lengths are those along fibers (:class:`FiberDistributionMetric`), and the curve stays in
        the lane of its ends. Where a voxel has one direction, the energy is that of inverse tensors
        averaged over voxels, the more the noisier the directions. Ways never leave the mask.

        Parameters
        ----------
        starts, ends : array-like of shape (n, dim)
            World coordinates, in the mask.
        n_points : int, default=100
            Number of points of each path.
        n_modes : int, default=16
            Number of polynomials that a curve of least energy is made of.

        Returns
        -------
        paths : ndarray of shape (n, n_points, dim)
        lengths : ndarray of shape (n,)
            Geodesic distances, measured by the metric. Where a way goes along fibers: its length
            over the amplitude of the fibers along it. :meth:`geodesic_connectivity` measures such
            ways from voxel to voxel, so its distances differ a little.

        Raises
        ------
        ValueError
            For points outside the mask, or pairs in parts of the mask that are not connected.
        """
        mask = self._open_mask
        a, b = (self._points_inside(p, mask, n) for p, n in ((starts, "starts"), (ends, "ends")))
        if len(a) != len(b):
            raise ValueError(f"There must be as many ends as starts. Got {len(b)} and {len(a)}.")
        pairs = np.stack([a, b], axis=1)
        geometry, other = self._once("ways", self._way_geometry)
        graph = self._once("graph", self._graph)
        paths, lengths = ways_between(
            graph, geometry, self._space, mask, pairs, n_points, n_modes, other
        )
        apart = np.flatnonzero(np.isinf(lengths))
        if len(apart):
            raise ValueError(
                "starts and ends must be in connected parts of the mask: pair(s) "
                f"{apart.tolist()} are not."
            )
        return self._space.outside(paths), lengths

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

    @one_blas_thread()
    def geodesic_connectivity(
        self,
        labels: ArrayLike | PathLike | SpatialImage,
        *,
        kind: Literal["distance", "length", "count"] = "distance",
        radius: float | None = None,
        assignment: Literal["ends", "touch"] = "ends",
    ) -> tuple[np.ndarray, np.ndarray]:
        """Connectivity matrix between regions.

        Parameters
        ----------
        labels : array-like of shape (nx, ny[, nz]), image or path-like
            Regions as whole numbers, 0 is none.
        kind : {"distance", "length", "count"}, default="distance"
            "distance": shortest way between regions along the voxels of the mask, measured by the
            metric, from the voxel of one that is nearest to the other; inf where there is no way
            (along fibers, where each direction has its own metric). "length": length of this way in
            world units. "count": number of curves of :meth:`bundle`, through all voxels of the
            mask, that join two regions; only for a metric that was fitted to fields.
        radius : float, default=None
            Labels need not be in the mask (gray matter): a region takes the voxels of the mask
            that are at most this far from it (world units), each the nearest region. None is two
            voxels; 0 only takes what is labeled itself.
        assignment : {"ends", "touch"}, default="ends"
            For "count": a curve joins the regions of its two ends, or all that it touches.

        Returns
        -------
        matrix : ndarray of shape (n_regions, n_regions)
            Symmetric. NaN in the rows of a region that is too far from the mask: nothing is known
            of it, which is not a count of zero.
        regions : ndarray of int of shape (n_regions,)
            Labels of the rows. :func:`connectivity_table` makes a table of both.

        Raises
        ------
        ValueError
            For labels of another shape, that are no whole numbers, or all outside; for an image
            with another affine than that of the metric.
        """
        self._check_fitted()
        check_option("kind", kind, ("distance", "length", "count"))
        check_option("assignment", assignment, ("ends", "touch"))
        in_voxels = np.array_equal(self.affine_, np.eye(self._space.dim + 1))
        affine = None if in_voxels else self.affine_
        labels = _connectivity.check_labels(labels, tuple(self.grid_shape_), affine)
        regions = np.unique(labels[labels != 0])
        radius = 2 * self._space.scale.max() if radius is None else radius
        own = _connectivity.regions_in(labels, self._open_mask, self._space.scale, radius)
        missing = np.setdiff1d(regions, own)
        if len(missing) == len(regions):
            raise ValueError(
                f"labels has regions outside the mask only: none is within {radius:g} of it."
            )
        if kind == "count":
            seeds = self._space.outside(np.argwhere(self.mask_) * self._space.scale)
            paths = [self._space.inside(path) for path in self.bundle(seeds, step=1.0)]
            matrix = _connectivity.counts(paths, self._space, own, regions, assignment)
        else:
            matrix = _connectivity.distances(
                self._once("graph", self._graph), own[self._open_mask], regions, self._voxels, kind
            )
        return _connectivity.with_missing(matrix, regions, missing), regions

    def bundle(
        self,
        seeds: ArrayLike,
        *,
        length: float | None = None,
        step: float = 0.5,
        follow: float = 1.0,
        min_length: float = 0.0,
    ) -> list[np.ndarray]:
        """Curves through seeds, along the fibers there, both ways to the border of the mask.

        Parameters
        ----------
        seeds : array-like of shape (n, dim)
            World coordinates, in the mask.
        length : float, default=None
            Longest way in each direction; None is twice the longest side of the grid.
        step : float, default=0.5
            Distance between points, in voxels.
        follow : float, default=1.0
            As in :meth:`shoot`: 1 gives integral curves of the field (tracking), 0 geodesics.
        min_length : float, default=0.0
            Shorter curves are left out.

        Returns
        -------
        paths : list of ndarray of shape (n_points, dim)
            One for each seed and field that is there.

        Raises
        ------
        ValueError
            For seeds outside the mask, or a metric that knows no fields.
        """
        if self._peaks is None:
            raise ValueError("bundle needs a metric that was fitted to fields; use shoot.")
        inside = self._points_inside(seeds, self._open_mask, "seeds")
        length = 2 * max(self._space.grid * self._space.scale) if length is None else length
        voxel = tuple(self._space.voxels(inside)[0].T)
        paths = []
        for V in self.directions_:
            there = np.isfinite(V[voxel][:, 0])
            if there.any():
                start = inside[there]
                u = self._peaks.at(start, V[voxel][there])
                u = np.where((u * u).sum(1, keepdims=True) > 0.5, u, V[voxel][there])
                turned = [self._half(start, sign * u, length, step, follow) for sign in (-1, 1)]
                paths += [np.concatenate([back[:0:-1], on]) for back, on in zip(*turned)]
        h = step * self._space.scale.min()
        return [self._space.outside(path) for path in paths if h * (len(path) - 1) >= min_length]

    # ------------------------------------------------------------------ inside

    _along_fibers = False  # whether each direction has its own metric

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

    @property
    def _peaks(self):
        """Directions between the voxels, None without any."""
        V = getattr(self, "directions_", None)
        if V is None:
            return None
        weights = getattr(self, "amplitude_", None)
        cosine = getattr(self, "cosine_", 0.5) if len(V) > 1 else 0.0
        peaks = self._once("peaks", lambda: PeakField(V, self._space.scale, weights, cosine))
        return peaks.with_order(getattr(self, "interpolation_", 1))

    @property
    def _geometry(self):
        return SplineGeometry(self._field, self._peaks)

    def _way_geometry(self):
        """The metric that ways between points are made shorter by, and a graph to start from."""
        return self._geometry, None

    @property
    def _open_mask(self):
        """Where curves may be: the mask, and single voxels that are missing in it."""
        return self._once("open_mask", lambda: without_small_holes(self.mask_))

    @property
    def _voxels(self):
        """Middles of the voxels of the open mask, in grid coordinates."""
        return np.argwhere(self._open_mask) * self._space.scale

    def _once(self, name, make):
        """What belongs to this fit, made when it is first asked for."""
        fit = self.mask_, getattr(self, "directions_", None)
        made = MADE.get(self)
        if made is None or any(a is not b for a, b in zip(made["fit"], fit)):
            made = MADE[self] = {"fit": fit}
        if name not in made:
            made[name] = make()
        return made[name]

    def _graph(self):
        g = self._geometry.tensors(self._voxels)
        return MetricGraph(g, self._open_mask, self._space.scale)

    def _check_starts(self, x, u):
        """Warn of directions that mean little in this metric."""

    def _check_follow(self, follow):
        if not 0 <= follow <= 1:
            raise ValueError(f"follow must be between 0 and 1. Got {follow!r}.")
        self._check_fitted()
        if follow and self._peaks is None:
            raise ValueError("follow needs a metric that was fitted to fields. Got a known one.")

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

    def _points_and_directions(self, points, directions, mask=None):
        """Checked points and unit directions in grid coordinates."""
        x = self._points_inside(points, mask)
        if directions is None:
            return x, None
        space = self._space
        u = check_points(directions, space.dim, "directions") @ space.rotation
        if len(u) != len(x):
            raise ValueError(f"There must be one direction a point. Got {len(u)} for {len(x)}.")
        size = np.linalg.norm(u, axis=1, keepdims=True)
        if not (size > 0).all():
            raise ValueError("directions must not be zero.")
        return x, u / size

    @one_blas_thread()
    def _shoot_inside(self, x, u, length, step, mask, follow):
        """Curves in grid coordinates; the last point of one may be outside the mask."""
        geometry, space = self._geometry, self._space
        step = step * space.scale.min()
        parts = [
            shoot(
                geometry,
                x[i : i + BATCH],
                u[i : i + BATCH],
                length,
                step,
                lambda y: space.in_mask(y, mask),
                follow,
            )
            for i in range(0, len(x), BATCH)
        ]
        return np.concatenate(parts)

    def _half(self, x, u, length, step, follow):
        """Curves one way, cut where they leave the mask."""
        mask = self._open_mask
        paths = self._shoot_inside(x, u, length, step, mask, follow)
        good = np.logical_and.accumulate(self._space.in_mask(paths, mask), axis=1)
        return [path[:n] for path, n in zip(paths, good.sum(1))]
