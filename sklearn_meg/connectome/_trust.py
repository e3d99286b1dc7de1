"""How far single curves are to be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter

from ._settings import SETTINGS

if TYPE_CHECKING:
    from .._typing import ArrayLike


class TrustMixin:
    """Spread and agreement of curves that start beside each other, angles to the fibers."""

    def off_fibers(self, paths: ArrayLike) -> np.ndarray:
        """How far ways are off the fibers along them: whether a fiber joins their ends at all.

        :meth:`connect` finds a way between any two places. In three phantoms, with the metric of
        fiber distributions, ways between ends of one bundle were 1 to 3 degrees off (medians), at
        most 6; those between other places 6 to 7. That is an AUC of .95, .96 and .98, where the
        lengths of the ways have .98, .88 and .91. With one noisy direction a voxel ways along
        fibers are as much as 40 degrees off.

        Parameters
        ----------
        paths : array-like of shape (n, n_points, dim)
            World coordinates, NaN after the end.

        Returns
        -------
        angle : ndarray of shape (n,)
            Mean angle along each path to the fiber nearest in direction, in degrees; 90 counts
            where there is none.

        Raises
        ------
        ValueError
            For another shape, or a metric that knows no fields.
        """
        self._check_fitted()
        space, paths = self._space, np.asarray(paths, dtype=float)
        if paths.ndim != 3 or paths.shape[1] < 2 or paths.shape[2] != space.dim:
            raise ValueError(
                f"paths must have the shape (n, n_points, {space.dim}). Got {paths.shape}."
            )
        if self._peaks is None:
            raise ValueError("off_fibers needs a metric that was fitted to fields.")
        x = space.inside(paths)
        step = np.nan_to_num(np.diff(x, axis=1))
        length = np.linalg.norm(step, axis=2)
        u = (step / np.maximum(length, 1e-300)[..., None]).reshape(-1, space.dim)
        v = self._peaks.at((x[:, :-1] + 0.5 * step).reshape(u.shape), u)
        angle = np.arccos(np.minimum(np.abs((u * v).sum(1)), 1.0)).reshape(length.shape)
        return np.rad2deg((angle * length).sum(1) / np.maximum(length.sum(1), 1e-300))

    def spread(
        self,
        points: ArrayLike,
        directions: ArrayLike,
        length: float,
        *,
        step: float = 0.5,
        aside: float = 0.5,
        follow: float = 0.0,
    ) -> np.ndarray:
        """How far curves that start beside :meth:`shoot`'s run away from them: how sure they are.

        Where bundles touch or part, half a voxel decides which way a curve goes. What comes
        after a spread of a voxel or two should not be trusted.

        Parameters
        ----------
        points, directions, length, step, follow
            As in :meth:`shoot`.
        aside : float, default=0.5
            How far beside each point, in voxels, the others start: on either side, along the fiber
            there.

        Returns
        -------
        spread : ndarray of shape (n, n_points)
            Largest distance so far from a curve to those beside it, in world units; NaN after the
            end of the curve.

        Raises
        ------
        ValueError
            As :meth:`shoot`; for an `aside` that is not positive.
        """
        if not (np.isfinite(aside) and aside > 0):
            raise ValueError(f"aside must be positive. Got {aside!r}.")
        paths = self._space.inside(self.shoot(points, directions, length, step=step, follow=follow))
        x, u = self._points_and_directions(points, directions, self._open_mask)
        largest = np.zeros(paths.shape[:2])
        for others in self._curves_beside(x, u, (aside,), length, step, follow):
            largest = np.fmax(largest, np.linalg.norm(others - paths, axis=2))
        largest = np.maximum.accumulate(largest, axis=1)
        return np.where(np.isfinite(paths[..., 0]), largest, np.nan)

    def agreement(
        self,
        points: ArrayLike,
        directions: ArrayLike,
        length: float,
        *,
        step: float = 0.5,
        follow: float = 0.0,
        radius: float | None = None,
    ) -> np.ndarray:
        """Share of curves from beside each point that end where :meth:`shoot`'s ends.

        They start half a voxel and a whole one aside, on all sides, along the fiber there. At a
        border of bundles they end elsewhere. Where a curve leaves the mask at a side, more than 60
        degrees off the way out, it grazed the border of its bundle: nothing agrees.

        Parameters
        ----------
        points, directions, length, step, follow
            As in :meth:`shoot`.
        radius : float, default=None
            Ends that are nearer agree, in world units; None is three voxels.

        Returns
        -------
        agreement : ndarray of shape (n,)
            From 0 to 1. On four phantoms about half of the curves from all over the end regions do
            not reach the other end; of those with .8 or more none to one in eight.

        Raises
        ------
        ValueError
            As :meth:`shoot`; for a `radius` that is not positive.

        Examples
        --------
        >>> from sklearn_meg.connectome import ConnectomeMetric
        >>> from sklearn_meg.datasets import make_fibers
        >>> fibers = make_fibers("annulus", size=24)
        >>> model = ConnectomeMetric().fit(fibers.X)
        >>> model.agreement([[18.0, 11.5]], [[0, 1]], length=10)
        array([1.])
        """
        unit = self._space.scale.min()
        radius = 3 * unit if radius is None else radius
        if not (np.isfinite(radius) and radius > 0):
            raise ValueError(f"radius must be positive. Got {radius!r}.")
        paths = self._space.inside(self.shoot(points, directions, length, step=step, follow=follow))
        x, u = self._points_and_directions(points, directions, self._open_mask)
        end = _ends(paths)
        near = [
            np.linalg.norm(_ends(others) - end, axis=1) <= radius
            for others in self._curves_beside(x, u, SETTINGS.aside, length, step, follow)
        ]
        return np.where(self._grazes(paths, u), 0.0, np.mean(near, axis=0))

    def _grazes(self, paths, u):
        """Whether paths (n, n_points, dim) leave the mask at a side."""
        rows, last = np.arange(len(paths)), np.isfinite(paths[..., 0]).sum(1) - 1
        end = paths[rows, last]
        way = end - paths[rows, np.maximum(last - 3, 0)]
        way = np.where(last[:, None] > 0, way, u)
        inside = np.pad(self._open_mask, 1).astype(float)
        slope = np.stack(np.gradient(gaussian_filter(inside, SETTINGS.border)), axis=-1)
        index = np.clip(self._space.voxels(end)[0], 0, np.array(self._space.grid) - 1) + 1
        out = -slope[tuple(index.T)] / self._space.scale
        size = np.linalg.norm(out, axis=1) * np.linalg.norm(way, axis=1)
        leaves = last < paths.shape[1] - 1
        return leaves & ((out * way).sum(1) < SETTINGS.side * np.maximum(size, 1e-12))

    def _curves_beside(self, x, u, sizes, length, step, follow):
        """Curves that start so many voxels aside, on all sides, one side after the other."""
        for size in sizes:
            for offset in self._offsets_across(u, size * self._space.scale.min()):
                y, v = self._beside(x, u, offset)
                yield self._shoot_inside(y, v, length, step, self._open_mask, follow)

    @staticmethod
    def _offsets_across(u, size):
        """Offsets (n, dim) of a size across directions, to all sides."""
        across = np.linalg.svd(u[:, None])[2][:, 1:]  # an orthogonal basis, u first
        return [sign * size * across[:, k] for k in range(across.shape[1]) for sign in (-1, 1)]

    def _beside(self, x, u, offset):
        """Points beside others, those themselves at the border, and directions of fibers there."""
        y = x + offset
        y = np.where(self._space.in_mask(y, self._open_mask)[:, None], y, x)
        if self._peaks is None:
            return y, u
        v = self._peaks.at(y, u)
        return y, np.where((v * v).sum(1, keepdims=True) > 0.5, v, u)


def _ends(paths):
    """Last points (n, dim) of paths, NaN after their end."""
    last = np.isfinite(paths[..., 0]).sum(1) - 1
    return paths[np.arange(len(paths)), last]
