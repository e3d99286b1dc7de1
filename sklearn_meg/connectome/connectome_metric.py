"""The Riemannian metric whose geodesics are given lines, as a scikit-learn estimator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted

from .._checks.params import check_option_param, check_scalar_param
from .._training.device import isolated, limited_threads, repeatable_sums, resolve_device
from ..base import TorchEstimator
from ._base import MetricModel
from ._direct import extended, solve
from ._fields import fit_lines
from ._geometry import geodesic_residual, n_parameters
from ._network import MetricNet
from ._space import check_affine, check_fields
from ._spline import cell, n_knots, weights

if TYPE_CHECKING:
    from typing import Literal

    from .._typing import ArrayLike, PathLike, RandomSeed, Self

CLEAN = 1e-6  # smoothness for fields without noise
# Beyond it grows with the squared noise (radians), up to a limit: little noise asks for much, since
# what it does to the curvature of lines adds up along a geodesic.
NOISY, MOST = 1e3, 0.3

#: Parameters that make the convolutional solver that of the paper (in its released form): hours
#: on a GPU.
PAPER_PARAMS: dict[str, Any] = {
    "solver": "conv",
    "n_features": 48,
    "growth": 16,
    "n_layers": (40, 30, 40),
    "max_epochs": 10_000,
    "lr": 1e-4,
    "schedule": None,
    "clip_norm": None,
}


class ConnectomeMetric(TransformerMixin, MetricModel, TorchEstimator):
    r"""Find the Riemannian metric whose geodesics follow fiber directions.

    For unit vectors V, whose sign means nothing, the metric g is sought in which the lines along V
    are geodesics: it minimizes the squared part of :math:`\nabla_V V` across V, over all voxels and
    fields. Several fields, for crossing fibers, share one metric. The metric is a smooth function
    of space (splines of its log-Cholesky parameters), positive definite by construction.

    Parameters
    ----------
    solver : {"direct", "conv"}, default="direct"
        "direct": L-BFGS over the metric itself, from coarse to fine; seconds. "conv": the metric
        is what a dense convolutional network makes of the fields, as in the paper; the same loss.
    knot_spacing : int, default=2
        Voxels between the knots of the splines: the finest detail of the metric. The
        convolutional solver has 2.
    smoothness : float or "auto", default="auto"
        Weight of the squared second derivatives of the log metric (in voxels); "auto" grows with
        the square of the noise found in the fields, up to 0.3.
    window : tuple of two int or "auto", default="auto"
        Radius in voxels and degree of the local polynomials by which fields are smoothed and
        differentiated. "auto" takes what predicts left-out vectors best.
    max_iter : int, default=150
        Iterations of the direct solver on each of its lattices.
    tol : float, default=1e-9
        Change of the loss, relative to that of the Euclidean metric, that ends the direct solver.
    affine : array-like of shape (dim + 1, dim + 1), default=None
        From voxel indices to world coordinates; no shear. None is the identity: all is in voxels.
    frame : {"grid", "world"}, default="grid"
        Whether components of vectors are along the axes of the grid or of the world.
    n_features : int, default=24
        Of the first convolution.
    growth : int, default=8
        Features that each layer of a dense block adds.
    n_layers : tuple of three int, default=(4, 4, 4)
        Layers of the dense blocks of encoder, middle and decoder.
    max_epochs : int, default=1000
        Steps of the convolutional solver (an epoch is one step).
    lr : float, default=5e-3
        Its learning rate; the peak of a schedule.
    weight_decay : float, default=0.0
        Of AdamW.
    schedule : {"onecycle", "cosine"} or None, default="onecycle"
        How the learning rate changes.
    clip_norm : float or None, default=1.0
        Largest norm of the gradient.
    device : str, default="auto"
        Where the convolutional solver computes. The direct one is on the CPU.
    dtype : {"float32", "float64", "bfloat16"}, default="float32"
        Of the network; the direct solver has double precision.
    n_threads : int or None, default=1
        CPU threads of a fit.
    random_state : int, RandomState instance or None, default=None
        Decides the initial weights of the network; the direct solver has no chance in it.
    verbose : int, default=0
        1 shows a progress bar.
    callbacks : list of skorch callbacks or None, default=None
        Added to the training of the network.
    net_params : dict or None, default=None
        Further parameters of :class:`skorch.NeuralNet`.
    cache_dir : path-like or None, default=None
        Folder in which training is kept, so that the same fit goes on there after it was killed,
        to the same weights; `random_state` must be an int.

    Attributes
    ----------
    metric_ : ndarray of shape (nx, ny[, nz], dim, dim)
        The metric in the voxels, in the frame of the vectors; NaN outside the mask. Two metrics
        that differ by a factor have the same geodesics; the mean of its logarithm is about zero.
    directions_ : ndarray of shape (n_fields, nx, ny[, nz], dim)
        Smoothed directions along the grid, NaN where a field is absent.
    mask_ : ndarray of bool of shape (nx, ny[, nz],)
        Where there is a field.
    coef_ : ndarray of shape (kx, ky[, kz], n_parameters)
        Spline coefficients of the log-Cholesky parameters.
    knot_spacing_ : int
        Voxels between them.
    grid_shape_ : tuple of int
        Voxels along each axis.
    affine_ : ndarray
        The affine used.
    window_ : tuple of int
        Radius and degree of the local polynomials.
    noise_ : float
        Noise found in the fields, in degrees: the standard deviation of directions around smooth
        ones.
    smoothness_ : float
        The smoothness used.
    loss_ : float
        Mean squared curvature, 1 / length squared, that is left.
    n_iter_ : int
        Iterations or epochs.
    history_ : list
        Of the direct solver (knot spacing, iterations, loss) for each lattice; of the
        convolutional one the losses of each epoch.
    net_ : skorch.NeuralNet
        The network, with ``solver="conv"`` only.
    n_features_in_ : int
        Numbers in a field.

    See Also
    --------
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
    >>> model = ConnectomeMetric(max_iter=30).fit(fibers.X)
    >>> path = model.shoot([[18.0, 11.5]], [[0, 1]], length=10)[0]
    >>> radius = np.linalg.norm(path - 11.5, axis=1)
    >>> bool(np.abs(radius - 6.5).max() < 0.1)
    True
    """

    _module_class = MetricNet
    # One trial, which is all there is: nothing to split or to stop at.
    batch_size, validation_fraction, validation_split, patience = 1, 0, "last", None

    def __init__(
        self,
        *,
        solver: Literal["direct", "conv"] = "direct",
        knot_spacing: int = 2,
        smoothness: float | Literal["auto"] = "auto",
        window: tuple[int, int] | Literal["auto"] = "auto",
        max_iter: int = 150,
        tol: float = 1e-9,
        affine: ArrayLike | None = None,
        frame: Literal["grid", "world"] = "grid",
        n_features: int = 24,
        growth: int = 8,
        n_layers: tuple[int, int, int] = (4, 4, 4),
        max_epochs: int = 1000,
        lr: float = 5e-3,
        weight_decay: float = 0.0,
        schedule: Literal["onecycle", "cosine"] | None = "onecycle",
        clip_norm: float | None = 1.0,
        device: str = "auto",
        dtype: Literal["float32", "float64", "bfloat16"] = "float32",
        n_threads: int | None = 1,
        random_state: RandomSeed = None,
        verbose: int = 0,
        callbacks: list | None = None,
        net_params: dict | None = None,
        cache_dir: PathLike | None = None,
    ) -> None:
        self.solver = solver
        self.knot_spacing = knot_spacing
        self.smoothness = smoothness
        self.window = window
        self.max_iter = max_iter
        self.tol = tol
        self.affine = affine
        self.frame = frame
        self.n_features = n_features
        self.growth = growth
        self.n_layers = n_layers
        self.max_epochs = max_epochs
        self.lr = lr
        self.weight_decay = weight_decay
        self.schedule = schedule
        self.clip_norm = clip_norm
        self.device = device
        self.dtype = dtype
        self.n_threads = n_threads
        self.random_state = random_state
        self.verbose = verbose
        self.callbacks = callbacks
        self.net_params = net_params
        self.cache_dir = cache_dir

    def fit(self, X: ArrayLike, y: None = None, mask: ArrayLike | None = None) -> Self:
        """Find the metric.

        Parameters
        ----------
        X : array-like of shape (n_fields, nx, ny[, nz], dim)
            Vectors on a 2-D or 3-D grid: ``dim`` is 2 or 3. Their sign does not matter. NaN in all
            components where a field is absent: outside, or where no second fiber crosses.
        y : None
            Ignored.
        mask : array-like of shape (nx, ny[, nz],), default=None
            Vectors outside do not count. Each voxel inside must have at least one field. None
            takes all vectors that are not NaN.

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
            If the training of the network fails.
        """
        self._check_params()
        X, self.mask_ = self._check_X(X, mask, reset=True)
        space = self._space
        with limited_threads(self.n_threads):
            window = None if isinstance(self.window, str) else tuple(self.window)
            lines = fit_lines(X, space.scale, window)
            self.window_, self.noise_ = lines.window, float(np.rad2deg(lines.noise))
            auto = isinstance(self.smoothness, str)
            self.smoothness_ = (
                CLEAN + min(NOISY * lines.noise**2, MOST) if auto else float(self.smoothness)
            )
            self.__dict__.pop("net_", None)
            if self.solver == "direct":
                self._fit_direct(lines)
            else:
                self._fit_conv(X, lines)
            self._finish(X, lines)
        return self

    def transform(self, X: ArrayLike) -> np.ndarray:
        """How far fields are from geodesic: the curvature that they have too much.

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
            As :meth:`fit`; for another grid; or for a field that is outside the mask everywhere.
        """
        check_is_fitted(self)
        X, _ = self._check_X(X, None, reset=False)
        X = np.where(self.mask_[..., None], X, np.nan)
        for k in np.flatnonzero(np.isnan(X).reshape(len(X), -1).all(1)):
            raise ValueError(f"X has in field {k} no vector inside the mask of fit.")
        found = np.full(X.shape, np.nan)
        for k in range(len(X)):  # each for itself: a sample does not depend on its neighbors
            with limited_threads(1):
                lines = fit_lines(X[k : k + 1], self._space.scale, self.window_)
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
        voxels = np.argwhere(self.mask_) * self._space.scale
        inside = self._metrics_at(voxels)
        R = self._frame
        g[self.mask_] = inside if R is None else R @ inside @ R.T
        return g

    # ------------------------------------------------------------------ solvers

    def _fit_direct(self, lines):
        spacing, space = int(self.knot_spacing), self._space
        self.knot_spacing_ = spacing
        spacings = (2 * spacing, spacing)
        progress = self._progress(len(spacings) * self.max_iter)
        coef, history = solve(
            lines, space, spacings, self.smoothness_, self.max_iter, self.tol, progress
        )
        self.coef_, self.history_ = coef, history
        self.n_iter_ = sum(n for _, n, _ in history)
        self.device_ = "cpu"

    def _progress(self, total):
        if not self.verbose:
            return None
        from tqdm.auto import tqdm

        return tqdm(total=total, desc=type(self).__name__, unit="iteration")

    def _fit_conv(self, X, lines):
        self.knot_spacing_ = 2
        self._lines = lines
        try:
            with repeatable_sums(resolve_device(self.device)):  # interpolation backwards
                self._train(X[np.newaxis], np.zeros((1, 1)))
            module = self.net_.module_
            weight = next(module.parameters())
            field = self._inputs(X[np.newaxis])["field"].to(weight.device, weight.dtype)
            with isolated(0, self.n_threads, weight.device), torch.inference_mode():
                coef = module.coefficients(field).permute(*range(1, X.ndim - 1), 0)
            coef = coef.double().cpu().numpy().copy()
            self.coef_ = extended(coef, lines, self._space, self.knot_spacing_)
        finally:  # what training needs goes, also after a fit that failed
            del self._lines

    def _finish(self, X, lines):
        residual = self._residual(lines)
        self.loss_ = float((residual**2).sum(-1).mean())
        self.directions_ = np.full(X.shape, np.nan)
        self.directions_[(lines.field, *lines.voxel.T)] = lines.direction

    def _residual(self, lines):
        """Residuals (n_lines, dim) of lines, along the grid."""
        theta, dtheta = self._field(torch.as_tensor(lines.voxel * self._space.scale))
        v, a = (torch.as_tensor(each.T.copy()) for each in (lines.direction, lines.acceleration))
        return geodesic_residual(theta, dtheta, v, a).T.numpy()

    # ------------------------------------------------------------------ for TorchEstimator

    def _inputs(self, X):
        lines, dtype = self._lines, self._tensor_dtype
        V = np.nan_to_num(X[0])
        pairs = [(i, j) for i in range(V.shape[-1]) for j in range(i + 1)]
        products = np.concatenate([V[..., i] * V[..., j] for i, j in pairs])
        index = np.ravel_multi_index(lines.voxel.T, self.grid_shape_)[np.newaxis]
        arrays = {
            "field": products[np.newaxis],
            "direction": lines.direction[np.newaxis],
            "acceleration": lines.acceleration[np.newaxis],
            "weight": lines.weight[np.newaxis] * self._space.scale.min() ** 2,
        }
        tensors = {name: torch.as_tensor(a, dtype=dtype) for name, a in arrays.items()}
        return {**tensors, "index": torch.as_tensor(index)}

    def _targets(self, X, y):
        return torch.zeros(1, 1, dtype=self._tensor_dtype)

    def _module_params(self):
        grid = self.grid_shape_
        dim, n_fields = len(grid), self._n_fields
        return {
            "n_channels": n_fields * n_parameters(dim),
            "dim": dim,
            "bases": tuple(_basis(n, 2, s) for n, s in zip(grid, self._space.scale)),
            "n_features": int(self.n_features),
            "growth": int(self.growth),
            "n_layers": tuple(int(n) for n in self.n_layers),
            "smoothness": float(self.smoothness_),
        }

    # ------------------------------------------------------------------ checks

    def _check_params(self):
        check_option_param(self, "solver", ("direct", "conv"))
        check_option_param(self, "frame", ("grid", "world"))
        for name in ("knot_spacing", "max_iter", "n_features", "growth"):
            check_scalar_param(self, name, "int", 1)
        check_scalar_param(self, "tol", "float", 0)
        if not isinstance(self.smoothness, str) or self.smoothness != "auto":
            check_scalar_param(self, "smoothness", "float", 0)
        if not isinstance(self.window, str) or self.window != "auto":
            _check_ints(self, "window", 2)
        _check_ints(self, "n_layers", 3)
        self._check_training_params()

    def _check_X(self, X, mask, *, reset):
        X, mask = check_fields(X, mask)
        grid, dim = X.shape[1:-1], X.shape[-1]
        if reset:
            self.affine_ = check_affine(self.affine, dim)
            self.grid_shape_, self._n_fields = grid, len(X)
            self.n_features_in_ = int(np.prod(X.shape[1:]))
            self._world_frame = self.frame == "world"
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
        return hasattr(self, "coef_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def _check_ints(estimator, name, length):
    value = getattr(estimator, name)
    good = isinstance(value, list | tuple) and all(
        isinstance(v, int | np.integer) and not isinstance(v, bool) and v > 0 for v in value
    )
    if not good or len(value) != length:
        raise ValueError(
            f"The {name!r} parameter of {type(estimator).__name__} must be a tuple of {length} "
            f"positive int. Got {value!r} instead."
        )


def _basis(n, spacing, scale):
    """Values and derivatives of all splines along an axis at its voxels, as nested tuples."""
    first, u = cell(np.arange(n, dtype=float), spacing, n)
    pair = []
    for each in (weights(u)[0], weights(u)[1] / (spacing * scale)):
        matrix = np.zeros((n, n_knots(n, spacing)))
        for k in range(4):
            matrix[np.arange(n), first + k] = each[k]
        pair.append(tuple(map(tuple, matrix.tolist())))
    return tuple(pair)
