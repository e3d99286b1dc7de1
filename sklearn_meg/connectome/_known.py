"""A metric that is known, with all that a fitted one can answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._check import check_mask
from ._model import MetricModel

if TYPE_CHECKING:
    from .._typing import ArrayLike


class KnownMetric(MetricModel):
    """A metric that is known on a grid.

    Parameters
    ----------
    metric : array-like of shape (nx, ny[, nz], dim, dim)
        Symmetric and positive definite in the mask, along the axes of the grid.
    mask : array-like of shape (nx, ny[, nz],), default=None
        Where it is known; None is everywhere. Beyond it goes on as in the nearest voxel.
    affine : array-like of shape (dim + 1, dim + 1), default=None
        From voxel indices to world coordinates; None is the identity. Metrics are by world units.

    Raises
    ------
    ValueError
        For another shape, or a metric that is not symmetric and positive definite.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.connectome import KnownMetric
    >>> flat = KnownMetric(np.broadcast_to(4 * np.eye(2), (8, 8, 2, 2)))
    >>> flat.distance([[1, 1]], [[4, 5]]).round(6)
    array([10.])
    """

    def __init__(
        self, metric: ArrayLike, mask: ArrayLike | None = None, affine: ArrayLike | None = None
    ) -> None:
        metric = np.asarray(metric, dtype=float)
        dim = metric.shape[-1] if metric.ndim else 0
        if dim not in (2, 3) or metric.ndim != dim + 2 or metric.shape[-2] != dim:
            raise ValueError(
                "metric must have the shape (nx, ny, 2, 2) or (nx, ny, nz, 3, 3). "
                f"Got {metric.shape}."
            )
        grid = metric.shape[:dim]
        self.mask_ = np.ones(grid, dtype=bool) if mask is None else check_mask(mask, grid)
        self._set_metric(metric, affine)

    def _check_fitted(self):
        """It always is."""
