"""The metric whose geodesics are given lines, as a scikit-learn estimator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .._checks.assumptions import warn_assumption
from .._checks.params import check_option_param, check_scalar_param, check_verbose_param
from .._params import documented
from .._training.device import limited_threads
from ._averaged import averaged_metric, averaging_width
from ._cone import ConeGeometry
from ._direct import solve
from ._field_model import FieldMetric, scattered
from ._geometry import SplineGeometry
from ._graph import FiberGraph, MetricGraph, amplitudes_of, steps_of
from ._settings import SETTINGS
from ._space import check_amplitude
from ._spline import SplineField, coefficients_of
from ._spline_solver import LineParams, check_line_params, fitted_lines
from ._stability import Stability
from ._turned import warn_if_turned
from ._unusual import UnusualPlaces

if TYPE_CHECKING:
    from typing import Literal

    from .._typing import ArrayLike, Self


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class ConnectomeMetric(LineParams, UnusualPlaces, FieldMetric):
    r"""Find the metric whose geodesics follow fiber directions.

    For unit vectors V, whose sign means nothing, a metric g is sought in which the lines along V
    are geodesics. The vectors of a voxel are a set (crossing fibers, peaks): their order does not
    matter. Two metrics are tried, and the one kept whose geodesics, shot from random voxels nearly
    along the field, stay nearer to its integral curves:

    - "spline": one Riemannian metric for all directions, a smooth function of space, that minimizes
      the squared part of :math:`\nabla_V V` across V over all voxels and fields.
    - "fibers": :math:`g = I - (1 - 1/a) v v^T`, strongly anisotropic, where v is the direction of
      the fiber nearest to that of travel. Where fibers cross, each direction has the metric of its
      own fiber (a Finsler metric); elsewhere it is the inverse of a diffusion tensor.

    Parameters
    ----------
    method : {"auto", "fibers", "spline"}, default="auto"
        Which metric; "auto" keeps the more stable one.
    anisotropy : float or "auto", default="auto"
        Cost across a fiber over that along it, squared, of the metric of fibers. "auto" takes the
        most stable of 30 to 1e10.
    %(LineParams)s
    knot_spacing : int, default=2
        Voxels between the knots of the splines: the finest detail of the spline metric.
    max_iter : int, default=150
        Iterations of L-BFGS on each lattice of the spline metric.
    tol : float, default=1e-9
        Change of the loss, relative to that of the Euclidean metric, that ends them.
    %(SpaceParams)s
    n_threads : int or None, default=1
        CPU threads of a fit.
    verbose : int, default=0
        1 shows a progress bar.

    Attributes
    ----------
    method_ : {"fibers", "spline"}
        The metric that was kept.
    stability_ : dict
        Mean deviation from integral curves over 40 voxels, in voxels, of each metric that was
        tried. Large for both means that no metric follows these fields: use ``follow`` or tracking.
        Near 0 says that geodesics follow the field, not that the field is right: see
        :meth:`agreement`.
    anisotropy_ : float
        That of the metric of fibers.
    metric_ : ndarray of shape (nx, ny[, nz], dim, dim)
        The metric in the voxels (of the strongest fiber), in the frame of the vectors; NaN outside
        the mask. Two metrics that differ by a factor have the same geodesics.
    directions_ : ndarray of shape (n_fields, nx, ny[, nz], dim)
        Directions used, along the grid, smoothed or not; NaN where a field is absent.
    is_smoothed_ : bool
        Whether they are smoothed.
    mask_ : ndarray of bool of shape (nx, ny[, nz],)
        Voxels with a field.
    amplitude_ : ndarray of shape (n_fields, nx, ny[, nz])
        Amplitudes of the fibers, 1 for a strong one.
    coef_ : ndarray of shape (kx, ky[, kz], n_parameters)
        Spline coefficients of log-Cholesky parameters, with the spline metric only.
    knot_spacing_ : int
        Voxels between them.
    grid_shape_ : tuple of int
        Voxels along each axis.
    affine_ : ndarray
        The affine used.
    window_ : tuple of int
        Radius and degree of the local polynomials.
    cosine_ : float
        Smallest cosine between a line and neighbors that belong to it.
    noise_ : float
        Noise found in the fields, in degrees: the standard deviation of directions around smooth
        ones.
    smoothness_ : float
        The smoothness used.
    usual_scores_ : ndarray of shape (n,)
        Degrees between vectors and those around them, what :meth:`is_unusual` compares with.
    doubt_ : float
        Degrees that the direction of the field is in doubt, 20 more where the metric of fibers is
        strongly anisotropic (from 1000 on) and the noise at most 10 degrees. A geodesic that starts
        off the field by less than it starts along it: single streamlines are off the mean of their
        bundle, and from there a geodesic would go across all fibers.
    loss_ : float
        Mean squared curvature, 1 / length squared, that is left.
    n_iter_ : int
        Iterations of L-BFGS; 1 where none were needed.
    history_ : list
        Knot spacing, iterations and loss of each lattice.
    n_features_in_ : int
        Numbers in a field.

    See Also
    --------
    ConvolutionalMetric : The spline metric by the network of the paper.
    FiberDistributionMetric : The metric of fibers from orientation distributions.
    InverseTensorMetric : The classical metric.
    KnownMetric : The same methods for a metric that is there already.

    Notes
    -----
    Fields are the samples: ``transform`` says for each how far it is from geodesic.

    References
    ----------
    Dai, Bauer, Fletcher, Joshi (2022), Deep Learning the Shape of the Brain Connectome,
    arXiv 2203.06122, equations for the covariant derivative and the loss.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.connectome import ConnectomeMetric
    >>> from sklearn_meg.datasets import make_fibers
    >>> fibers = make_fibers("annulus", size=24)
    >>> model = ConnectomeMetric().fit(fibers.X)
    >>> path = model.shoot([[18.0, 11.5]], [[0, 1]], length=10)[0]
    >>> radius = np.linalg.norm(path - 11.5, axis=1)
    >>> bool(np.abs(radius - 6.5).max() < 0.1)
    True
    """

    method: Literal["auto", "fibers", "spline"] = "auto"
    anisotropy: float | Literal["auto"] = "auto"
    knot_spacing: int = 2
    max_iter: int = 150
    tol: float = 1e-9
    n_threads: int | None = 1
    verbose: int = 0

    def fit(
        self,
        X: ArrayLike,
        y: None = None,
        mask: ArrayLike | None = None,
        amplitude: ArrayLike | None = None,
    ) -> Self:
        """Find the metric.

        Parameters
        ----------
        X : array-like of shape (n_fields, nx, ny[, nz], dim)
            Vectors on a 2-D or 3-D grid: ``dim`` is 2 or 3. Neither their sign nor the order of the
            fields in a voxel matters. NaN in all components where a field is absent: outside, or
            where no second fiber crosses.
        y : None
            Ignored.
        mask : array-like of shape (nx, ny[, nz],), default=None
            Vectors outside do not count. Each voxel inside must have at least one field. None
            takes all vectors that are not NaN.
        amplitude : array-like of shape (n_fields, nx, ny[, nz]), default=None
            Amplitude of each peak, in any unit. Stronger peaks count more. None is 1.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For a mask of another shape or an empty one, NaN inside the mask or in some components
            only, zero vectors, infinity, or an affine that does not fit; always before any
            computation. Vectors that are not of unit length are divided by it, with a warning.
        NonFiniteLossError
            If the loss of the spline metric becomes infinite.
        """
        self._check_params()
        X, self.mask_ = self._check_X(X, mask, reset=True)
        warn_if_turned(X, self._space.scale, self._space.rotation)
        self.amplitude_ = check_amplitude(amplitude, X)
        with limited_threads(self.n_threads):
            lines = fitted_lines(self, X, self._space.scale)
            self.directions_ = scattered(lines, X.shape)
            self.is_smoothed_ = lines.is_smooth
            self._noise_left = lines.doubt if lines.is_smooth else lines.noise
            self._choose(lines)
            self.loss_ = float((self._residual(lines) ** 2).sum(-1).mean())
        self._keep_usual(X)
        return self

    # ------------------------------------------------------------------ the two metrics

    def _choose(self, lines):
        """Fit what is asked for, or both where the first is not stable, and keep the better."""
        self.interpolation_, self.knot_spacing_ = 1, None
        self.n_iter_, self.history_ = 1, []
        self.__dict__.pop("coef_", None)
        stability = Stability(lines, self._peaks, self._space, self._open_mask)
        self.doubt_ = float(np.rad2deg(stability.doubt))
        found = {}
        if self.method != "spline":
            found["fibers"] = self._fit_fibers(stability)
        if self.method == "spline" or (
            self.method == "auto" and found["fibers"] > SETTINGS.good_enough
        ):
            self.method_ = "spline"
            self._fit_spline(lines)
            found["spline"] = stability.of(self._geometry)
        spline, fibers = (found.get(name, np.inf) for name in ("spline", "fibers"))
        self.stability_ = found
        self.method_ = "spline" if spline < SETTINGS.clearly * fibers else "fibers"
        if self.method_ == "fibers":
            self.__dict__.pop("coef_", None)

    def _fit_fibers(self, stability):
        self.method_ = "fibers"
        auto = isinstance(self.anisotropy, str)
        tried = SETTINGS.anisotropies if auto else (float(self.anisotropy),)
        self.anisotropy_, self.interpolation_, deviation = stability.best_fibers(tried)
        # What is farther off is warned of. Rough fields are smoothed: there the doubt is known.
        if self.anisotropy_ >= SETTINGS.strong and self.noise_ <= SETTINGS.rough:
            self.doubt_ += SETTINGS.astray
        return deviation

    def _fit_spline(self, lines):
        spacing = int(self.knot_spacing)
        spacings = (2 * spacing, spacing)
        progress = self._progress(len(spacings) * self.max_iter)
        smoothness = self.smoothness_
        self.knot_spacing_ = spacing
        self.coef_, self.history_ = solve(
            lines, self._space, spacings, smoothness, self.max_iter, self.tol, progress
        )
        self.n_iter_ = sum(n for _, n, _ in self.history_)

    @property
    def _along_fibers(self):
        return self.method_ == "fibers"

    @property
    def _geometry(self):
        if self._along_fibers:
            return ConeGeometry(self._peaks, self.anisotropy_, np.deg2rad(self.doubt_))
        return super()._geometry

    def _way_geometry(self):
        if not self._along_fibers:
            return super()._way_geometry()
        if len(self.directions_) > 1:
            # A way from lane to lane must not cost more than all the rest.
            return ConeGeometry(self._peaks, SETTINGS.way_anisotropy), None
        # One fiber a voxel: a tensor field, which splines interpolate more smoothly.
        mask, space = self._open_mask, self._space
        width = averaging_width(self._noise_left) * space.scale.min() / space.scale
        g = averaged_metric(self.directions_[0], self.mask_, width, SETTINGS.single_anisotropy)
        field = SplineField(coefficients_of(g, self.mask_), self.grid_shape_, 1, space.scale)
        geometry = SplineGeometry(field)
        return geometry, MetricGraph(geometry.tensors(self._voxels), mask, space.scale)

    def _check_starts(self, x, u):
        if not self._along_fibers or self.anisotropy_ < SETTINGS.strong:
            return
        v = self._peaks.at(x, u)
        # In a rough field `doubt_` is without these degrees, and directions given are as rough.
        most = self.doubt_ + (SETTINGS.astray if self.noise_ > SETTINGS.rough else 0)
        off = (v * v).sum(1) > 0.5
        off &= np.abs((v * u).sum(1)) < np.cos(np.deg2rad(most))
        if off.any():
            warn_assumption(
                "off-fibers",
                f"{int(off.sum())} of {len(u)} directions are more than {most:.0f} "
                "degrees off the nearest fiber: geodesics from there go across fibers and mean "
                f"little in a metric with anisotropy {self.anisotropy_:g}.",
            )

    @property
    def _voxel_geometry(self):
        if self._along_fibers:  # linear interpolation has a kink in the middle of a voxel
            peaks = self._peaks.with_order(1)
            return ConeGeometry(peaks, self.anisotropy_, slopes=peaks.with_order(2))
        return super()._geometry

    def _graph(self):
        if not self._along_fibers:
            return super()._graph()
        mask, scale = self._open_mask, self._space.scale
        vectors, weights = self.directions_[:, mask], self.amplitude_[:, mask]
        amplitude = amplitudes_of(vectors, weights, steps_of(scale) * scale)
        return FiberGraph(amplitude, mask, scale)

    def _progress(self, total):
        if not self.verbose:
            return None
        from tqdm.auto import tqdm

        return tqdm(total=total, desc=type(self).__name__, unit="iteration")

    def _check_params(self):
        check_option_param(self, "method", ("auto", "fibers", "spline"))
        for name in ("knot_spacing", "max_iter"):
            check_scalar_param(self, name, "int", 1)
        check_scalar_param(self, "tol", "float", 0)
        check_scalar_param(self, "n_threads", "int", 1, allow_none=True)
        check_verbose_param(self)
        if not isinstance(self.anisotropy, str) or self.anisotropy != "auto":
            check_scalar_param(self, "anisotropy", "float", 1)
        check_line_params(self)
