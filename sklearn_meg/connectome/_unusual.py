"""Which points and directions a metric of fibers knows nothing about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import distance_transform_edt
from sklearn.utils.validation import check_is_fitted

from .._checks.assumptions import warn_assumption
from .._checks.unusual import UnusualMixin
from ._settings import SETTINGS
from ._space import check_points

if TYPE_CHECKING:
    from .._typing import ArrayLike

OUTSIDE = 90.0  # degrees: what is outside the mask is farther off than any direction inside


class UnusualPlaces(UnusualMixin):
    """``is_unusual`` of the metrics of fields, for places and directions of travel."""

    def is_unusual(self, X: ArrayLike, *, rate: float = 0.05) -> np.ndarray:
        """Say which places are outside the mask, and which directions are off the fibers there.

        Geodesics from there mean little: seeds of another space, in voxels instead of millimeters,
        directions along other axes. Usual is how far the vectors of ``fit`` are from what those
        around them say (a conformal p-value, Vovk et al. 2005).

        Parameters
        ----------
        X : array-like of shape (n, dim) or (n, 2 * dim)
            Points in world coordinates, with directions along the world axes beside them or
            without.
        rate : float, default=0.05
            Share of usual directions that are called unusual.

        Returns
        -------
        unusual : ndarray of bool of shape (n,)

        Raises
        ------
        ValueError, TypeError
            For a rate that is not between 0 and 1, or another shape.
        """
        return super().is_unusual(X, rate=rate)

    def _unusual_scores(self, X):
        """Degrees to the nearest fiber; beyond 90 voxels to the mask; 0 of points alone inside."""
        check_is_fitted(self)
        dim, space = self._space.dim, self._space
        X = np.asarray(X, dtype=float)
        alone = X.ndim == 2 and X.shape[1] == dim
        X = check_points(X, dim if alone else 2 * dim, "X")
        x = space.inside(X[:, :dim])
        unit = space.scale.min()
        far = distance_transform_edt(~self._open_mask, sampling=space.scale) / unit
        index, on_grid = space.voxels(x)
        near = np.clip(index, 0, np.array(space.grid) - 1)
        beyond = np.linalg.norm((index - near) * space.scale, axis=1) / unit
        out = far[tuple(near.T)] + beyond
        score = np.where(out > 0, OUTSIDE + out, 0.0)
        inside = np.flatnonzero((out == 0) & on_grid)
        if not alone and len(inside):
            u = X[inside, dim:] @ space.rotation
            size = np.linalg.norm(u, axis=1, keepdims=True)
            u = u / np.where(size > 0, size, np.nan)
            angle = _angles(self._peaks.at(x[inside], np.nan_to_num(u)), u)
            score[inside] = angle
        return score

    def _keep_usual(self, X):
        """Keep how far vectors of ``fit`` are from those of the voxels around them."""
        field, *voxels = np.nonzero(np.isfinite(X[..., 0]))
        rng = np.random.default_rng(0)
        some = np.sort(rng.permutation(len(field))[: SETTINGS.n_usual])
        voxels = np.stack(voxels, axis=1)[some]
        v = X[(field[some], *voxels.T)]
        dim = v.shape[1]
        axis = np.eye(dim, dtype=int)[rng.integers(dim, size=len(v))]
        padded = np.pad(X, [(0, 0), *[(1, 1)] * dim, (0, 0)], constant_values=np.nan)
        total = np.zeros((len(v), dim, dim))
        # Two neighbors have about the noise that is left between voxels by interpolation.
        for step in (axis, -axis):
            w = np.nan_to_num(padded[(slice(None), *(voxels + 1 + step).T)])
            nearest = np.abs((w * v).sum(-1)).argmax(0)
            w = w[nearest, np.arange(len(v))]
            total += w[:, :, None] * w[:, None]
        strength, axes = np.linalg.eigh(total)
        known = strength[:, -1] > 0.5
        self.usual_scores_ = _angles(axes[known, :, -1], v[known])
        middle = np.median(self.usual_scores_) if len(self.usual_scores_) else 0.0
        if middle > SETTINGS.random:
            warn_assumption(
                "random-directions",
                f"Directions differ from those around them by {middle:.0f} degrees (median).",
            )


def _angles(v, u):
    """Angles of lines in degrees; NaN where one is zero."""
    cosine = np.abs((v * u).sum(1)) / np.linalg.norm(np.where(v.any(1)[:, None], v, np.nan), axis=1)
    return np.rad2deg(np.arccos(np.minimum(cosine, 1.0)))
