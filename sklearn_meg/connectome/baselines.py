"""What a fitted metric must beat: metrics written down from the directions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp
import torch
from scipy.sparse.linalg import cg

from .._checks.params import check_scalar_param
from .._params import documented, param
from .._training.device import limited_threads
from ._base import MetricModel
from ._field_model import FieldMetric
from ._fields import fit_lines
from ._geometry import metric_of, spray
from ._space import check_mask

if TYPE_CHECKING:
    from .._typing import ArrayLike, Self

LARGEST_LOG = 300.0  # of a conformal factor that numbers hold, squared


@dataclass(kw_only=True, eq=False, repr=False)
class _TensorMetric(FieldMetric):
    """Base: a metric from diffusion tensors with the given directions.

    A subclass has ``_metric(D, X)``, from tensors (n_voxels, dim, dim) to metrics.
    """

    def fit(self, X: ArrayLike, y: None = None, mask: ArrayLike | None = None) -> Self:
        """Compute the metric.

        Parameters
        ----------
        X : array-like of shape (n_fields, nx, ny[, nz], dim)
            Vectors, NaN where absent.
        y : None
            Ignored.
        mask : array-like of shape (nx, ny[, nz],), default=None
            Vectors outside do not count.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            As :meth:`ConnectomeMetric.fit`.
        """
        if "anisotropy" in self.get_params():
            check_scalar_param(self, "anisotropy", "float", 1)
        X, self.mask_ = self._check_X(X, mask, reset=True)
        dim = X.shape[-1]
        self.directions_ = X
        g = np.full((*self.grid_shape_, dim, dim), np.nan)
        tensors = tensors_of(X[:, self.mask_], getattr(self, "anisotropy", 1.0))
        with limited_threads(1):
            g[self.mask_] = self._metric(tensors, X, self._space.scale)
        self._set_metric(g, self.affine_)
        return self


@dataclass(kw_only=True, eq=False, repr=False)
class AnisotropyParams:
    """How elongated the tensors are."""

    anisotropy: float = param(6.0, "float", "Diffusivity along a fiber over that across it.")


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class EuclideanMetric(_TensorMetric):
    """The flat metric: geodesics are straight.

    Parameters
    ----------
    %(SpaceParams)s

    Attributes
    ----------
    metric_ : ndarray of shape (nx, ny[, nz], dim, dim)
        Metric in the voxels, NaN outside the mask.
    mask_, directions_, coef_, knot_spacing_, grid_shape_, affine_, n_features_in_
        As :class:`ConnectomeMetric`.

    Examples
    --------
    >>> from sklearn_meg.connectome import EuclideanMetric
    >>> from sklearn_meg.datasets import make_fibers
    >>> model = EuclideanMetric().fit(make_fibers("annulus", size=16).X)
    >>> model.shoot([[12, 7.5]], [[0, 1]], 3, step=1.0)[0].round(6)
    array([[12. ,  7.5],
           [12. ,  8.5],
           [12. ,  9.5],
           [12. , 10.5]])
    """

    def _metric(self, D, X, scale):
        return np.broadcast_to(np.eye(D.shape[-1]), D.shape)


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class InverseTensorMetric(AnisotropyParams, _TensorMetric):
    """The inverse of the diffusion tensor: distances along fibers are short.

    Parameters
    ----------
    %(AnisotropyParams)s
    %(SpaceParams)s

    Attributes
    ----------
    metric_ : ndarray of shape (nx, ny[, nz], dim, dim)
        Metric in the voxels, NaN outside the mask.
    mask_, directions_, coef_, knot_spacing_, grid_shape_, affine_, n_features_in_
        As :class:`ConnectomeMetric`.

    References
    ----------
    O'Donnell, Haker, Westin (2002), New approaches to estimation of white matter connectivity in
    diffusion tensor MRI, MICCAI.

    Examples
    --------
    >>> from sklearn_meg.connectome import InverseTensorMetric
    >>> from sklearn_meg.datasets import make_fibers
    >>> model = InverseTensorMetric().fit(make_fibers("annulus", size=16).X)
    >>> model.metric_at([[12, 8]]).shape
    (1, 2, 2)
    """

    def _metric(self, D, X, scale):
        return np.linalg.inv(D)


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class AdjugateMetric(AnisotropyParams, _TensorMetric):
    """The adjugate of the diffusion tensor: its inverse times its determinant.

    It is proportional to the inverse where all tensors have the same eigenvalues, as those made
    from one field have, and differs from it where fields cross.

    Parameters
    ----------
    %(AnisotropyParams)s
    %(SpaceParams)s

    Attributes
    ----------
    metric_ : ndarray of shape (nx, ny[, nz], dim, dim)
        Metric in the voxels, NaN outside the mask.
    mask_, directions_, coef_, knot_spacing_, grid_shape_, affine_, n_features_in_
        As :class:`ConnectomeMetric`.

    References
    ----------
    Fuster, Dela Haije, Tristan-Vega, Plantinga, Westin, Florack (2016), Adjugate diffusion tensors
    for geodesic tractography in white matter, J. Math. Imaging Vis. 54.

    Examples
    --------
    >>> from sklearn_meg.connectome import AdjugateMetric
    >>> from sklearn_meg.datasets import make_fibers
    >>> AdjugateMetric().fit(make_fibers("annulus", size=16).X).metric_.shape
    (16, 16, 2, 2)
    """

    def _metric(self, D, X, scale):
        return np.linalg.inv(D) * np.linalg.det(D)[:, None, None]


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class ConformalMetric(AnisotropyParams, _TensorMetric):
    """The inverse tensor times a factor that bends its geodesics towards the fibers.

    The factor exp(alpha) has, by least squares, the gradient that would make the lines geodesics,
    which is a Poisson equation.

    Parameters
    ----------
    %(AnisotropyParams)s
    %(SpaceParams)s

    Attributes
    ----------
    metric_ : ndarray of shape (nx, ny[, nz], dim, dim)
        Metric in the voxels, NaN outside the mask.
    mask_, directions_, coef_, knot_spacing_, grid_shape_, affine_, n_features_in_
        As :class:`ConnectomeMetric`.

    References
    ----------
    Hao, Zygmunt, Whitaker, Fletcher (2014), Improved segmentation of white matter tracts with
    adaptive Riemannian metrics, Med. Image Anal. 18.

    Examples
    --------
    >>> from sklearn_meg.connectome import ConformalMetric
    >>> from sklearn_meg.datasets import make_fibers
    >>> ConformalMetric().fit(make_fibers("annulus", size=16).X).metric_.shape
    (16, 16, 2, 2)
    """

    def _metric(self, D, X, scale):
        base = np.linalg.inv(D)
        wanted = self._wanted_gradient(base, X, scale)
        alpha = poisson(self.mask_, wanted, D, scale)
        if np.abs(alpha).max() > LARGEST_LOG:
            raise ValueError(
                f"With anisotropy={self.anisotropy:g} the logarithm of the conformal factor goes "
                f"up to {np.abs(alpha).max():.0f}: distances cannot be computed. Try a smaller one."
            )
        return base * np.exp(alpha)[:, None, None]

    def _wanted_gradient(self, base, X, scale):
        """The 1-forms 2 g(nabla_V V) at unit speed, meaned over the fields, (n_voxels, dim)."""
        dim = base.shape[-1]
        g = np.full((*self.mask_.shape, dim, dim), np.nan)
        g[self.mask_] = base
        self._set_metric(g, np.diag([*scale, 1.0]))
        lines = fit_lines(X, scale)
        theta, dtheta = self._field(torch.as_tensor(lines.voxel * scale))
        v = torch.as_tensor(lines.direction.T.copy())
        total = torch.as_tensor(lines.acceleration.T.copy()) + spray(theta, dtheta, v)
        at = metric_of(theta, dim)
        lowered, along = ((at * w).sum(1) for w in (total, v))
        speed = (v * along).sum(0)
        form = 2 * (lowered - along * (lowered * v).sum(0) / speed) / speed
        number = np.full(self.mask_.shape, -1)
        number[self.mask_] = np.arange(len(base))
        where = number[tuple(lines.voxel.T)]
        sums = np.zeros((len(base), dim))
        np.add.at(sums, where, form.T.numpy())
        return sums / np.maximum(np.bincount(where, minlength=len(base)), 1)[:, None]


def tensors_of(vectors, anisotropy):
    """Diffusion tensors (n_voxels, dim, dim), 1 across; the mean over fibers that are there.

    vectors (n_fields, n_voxels, dim): Unit vectors, NaN where absent.
    """
    there = np.isfinite(vectors[..., 0])
    V = np.nan_to_num(vectors)
    outer = np.einsum("fni,fnj->nij", V, V) / there.sum(0)[:, None, None]
    return np.eye(V.shape[-1]) + (anisotropy - 1) * outer


def poisson(mask, wanted, D, scale):
    """The function (n_voxels,) whose gradient is nearest to the wanted 1-forms, of mean zero.

    Both one-sided differences, measured by the inverse metric D; natural borders.
    """
    number = np.full(np.array(mask.shape) + 2, -1)
    number[tuple(slice(1, -1) for _ in mask.shape)][mask] = np.arange(len(D))
    voxels = np.argwhere(mask) + 1
    n, dim = len(D), mask.ndim
    volume = np.sqrt(1 / np.linalg.det(D))
    normal, right = sp.csr_matrix((n, n)), np.zeros(n)
    for side in (1, -1):
        differences = []
        for axis in range(dim):
            other = number[tuple((voxels + side * np.eye(dim, dtype=int)[axis]).T)]
            there = other >= 0
            own = np.flatnonzero(there)
            data = np.concatenate([np.full(len(own), -side), np.full(len(own), side)]) / scale[axis]
            places = (np.concatenate([own, own]), np.concatenate([own, other[own]]))
            differences.append((sp.csr_matrix((data, places), shape=(n, n)), there))
        for (A, there_a), i in zip(differences, range(dim)):
            for (B, there_b), j in zip(differences, range(dim)):
                weight = sp.diags(D[:, i, j] * volume * there_a * there_b)
                normal = normal + A.T @ weight @ B
                right += A.T @ (weight @ wanted[:, j])
    normal = normal + 1e-9 * sp.eye(n) * normal.diagonal().mean()
    alpha, _ = cg(normal, right, rtol=1e-8, maxiter=5000, M=sp.diags(1 / normal.diagonal()))
    return alpha - alpha.mean()


class KnownMetric(MetricModel):
    """A metric that is known on a grid.

    Parameters
    ----------
    metric : array-like of shape (nx, ny[, nz], dim, dim)
        Symmetric and positive definite in the mask, along the axes of the grid.
    mask : array-like of shape (nx, ny[, nz],), default=None
        Voxels in which it is known; None is everywhere. Beyond it goes on as in the nearest voxel.
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
        self.mask_ = np.ones(grid, dtype=bool) if mask is None else check_mask(mask, grid, affine)
        self._set_metric(metric, affine)

    def _check_fitted(self):
        """It always is."""
