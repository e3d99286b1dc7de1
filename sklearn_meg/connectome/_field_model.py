"""What metrics of fields share: fields in, the curvature that they have too much out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from .._checks.params import check_option_param
from .._checks.whole import WholeFit
from .._params import param
from .._training.device import limited_threads
from ._base import MetricModel
from ._conventions import values_of
from ._fields import fit_lines
from ._geometry import symbols_of
from ._space import check_affine, check_fields
from ._turned import warn_if_alike

if TYPE_CHECKING:
    from typing import Literal

    from .._typing import ArrayLike


@dataclass(kw_only=True, eq=False, repr=False)
class SpaceParams:
    """Where the voxels are, and along which axes the vectors."""

    affine: ArrayLike | None = param(
        None,
        "array-like of shape (dim + 1, dim + 1)",
        "Voxel indices to world coordinates; no shear. None is the identity: all is in voxels.",
    )
    frame: Literal["grid", "world"] = param(
        "grid",
        '{"grid", "world"}',
        "Axes that the components of vectors are along: those of the grid or of the world.",
    )


@dataclass(kw_only=True, eq=False, repr=False)
class FieldMetric(WholeFit, SpaceParams, TransformerMixin, MetricModel, BaseEstimator):
    """Base of the metrics of fields."""

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Curvature that fields have too much: how far they are from geodesic.

        Parameters
        ----------
        X : array-like of shape (n_fields, nx, ny[, nz], dim)
            Any fields on the grid of ``fit``.

        Returns
        -------
        residual : ndarray of shape (n_fields, nx, ny[, nz], dim)
            The part of the covariant derivative of V along itself that is across V, 1 / length,
            in the frame of the vectors; NaN where a field is absent, and outside the mask of
            ``fit``, where the metric means nothing.

        Raises
        ------
        ValueError
            As ``fit``; for another grid; or for a field that is outside the mask everywhere.
        """
        check_is_fitted(self)
        X, _ = self._check_X(X, None, reset=False)
        X = np.where(self.mask_[..., None], X, np.nan)
        for k in np.flatnonzero(np.isnan(X).reshape(len(X), -1).all(1)):
            raise ValueError(f"X has in field {k} no vector inside the mask of fit.")
        found = np.full(X.shape, np.nan)
        window, smooth = getattr(self, "window_", None), getattr(self, "is_smoothed_", True)
        for k in range(len(X)):  # each for itself: a sample does not depend on its neighbors
            with limited_threads(1):
                lines = fit_lines(X[k : k + 1], self._space.scale, window, smooth)
                found[(k, *lines.voxel.T)] = self._residual(lines)
        return self._from_grid(found)

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Geodesic curvature of fields, flat, for scorers of scikit-learn.

        Parameters
        ----------
        X : array-like of shape (n_fields, nx, ny[, nz], dim)

        Returns
        -------
        curvature : ndarray of shape (n_fields, n_voxels)
            Lengths of :meth:`transform`, 0 where a field is absent. What a geodesic field has is
            0 everywhere: that is the y to score against.
        """
        residual = np.nan_to_num(self.transform(X))
        return np.linalg.norm(residual, axis=-1).reshape(len(residual), -1)

    def score(self, X: ArrayLike, y: None = None) -> float:
        """Minus the root mean square of the geodesic curvature, in 1 / length.

        Parameters
        ----------
        X : array-like of shape (n_fields, nx, ny[, nz], dim)
        y : None
            Ignored.

        Returns
        -------
        score : float
            0 is best.
        """
        residual = self.transform(X)
        return -float(np.sqrt(np.nanmean((residual**2).sum(-1))))

    @property
    def metric_(self) -> np.ndarray:
        """Metric in the voxels."""
        g = np.full((*self.grid_shape_, self._space.dim, self._space.dim), np.nan)
        inside = self._geometry.tensors(np.argwhere(self.mask_) * self._space.scale)
        R = self._frame
        g[self.mask_] = inside if R is None else R @ inside @ R.T
        return g

    # ------------------------------------------------------------------ inside

    @property
    def _voxel_geometry(self):
        """The metric with derivatives in the middle of voxels."""
        return self._geometry

    def _residual(self, lines):
        """Residuals (n_lines, dim) of lines, along the grid."""
        v = lines.direction
        geometry = self._voxel_geometry
        symbols = symbols_of(*geometry.gradient(lines.voxel * self._space.scale, v))
        total = lines.acceleration + np.einsum("nkij,ni,nj->nk", symbols, v, v)
        return total - v * (v * total).sum(1, keepdims=True)

    def _check_X(self, X, mask, *, reset):
        X, mask = check_fields(X, values_of(mask, self.affine))
        grid, dim = X.shape[1:-1], X.shape[-1]
        if reset:
            check_option_param(self, "frame", ("grid", "world"))
            self.affine_ = check_affine(self.affine, dim)
            self.grid_shape_, self._n_fields = grid, len(X)
            self.n_features_in_ = int(np.prod(X.shape[1:]))
            self._world_frame = self.frame == "world"
            warn_if_alike(X)
        elif grid != self.grid_shape_:
            raise ValueError(
                f"X has the grid {grid}, but {type(self).__name__} was fitted with "
                f"{self.grid_shape_}."
            )
        return (X if self._frame is None else X @ self._frame), mask

    @property
    def _frame(self):
        return self._space.rotation if self._world_frame else None

    def _from_grid(self, vectors):
        return vectors if self._frame is None else vectors @ self._frame.T

    def __sklearn_is_fitted__(self):
        return hasattr(self, "directions_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def scattered(lines, shape):
    """Directions of lines as fields of a shape, NaN elsewhere."""
    fields = np.full(shape, np.nan)
    fields[(lines.field, *lines.voxel.T)] = lines.direction
    return fields
