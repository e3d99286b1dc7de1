"""The metric whose geodesics are given lines, by a convolutional network as in the paper."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from .._checks.params import check_scalar_param
from .._params import ComputeParams, OptimizerParams, documented
from .._training.device import isolated, limited_threads, repeatable_sums, resolve_device
from ..base import TorchEstimator
from ._direct import extended
from ._field_model import FieldMetric, scattered
from ._geometry import n_parameters
from ._network import MetricNet
from ._space import check_amplitude
from ._spline import cell, n_knots, weights
from ._spline_solver import LineParams, check_ints, check_line_params, fitted_lines

if TYPE_CHECKING:
    from .._typing import ArrayLike, Self

#: Parameters that make :class:`ConvolutionalMetric` that of the paper (in its released form):
#: hours on a GPU.
PAPER_PARAMS = {
    "n_features": 48,
    "growth": 16,
    "n_layers": (40, 30, 40),
    "max_epochs": 10_000,
    "lr": 1e-4,
    "schedule": None,
    "clip_norm": None,
}
KNOT_SPACING = 2


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class ConvolutionalMetric(LineParams, OptimizerParams, ComputeParams, FieldMetric, TorchEstimator):
    """Find the metric whose geodesics follow fiber directions, by a network.

    The spline metric of :class:`ConnectomeMetric` with the same loss, but its coefficients are
    what a dense convolutional encoder and decoder makes of the fields, as in the paper.

    Parameters
    ----------
    n_features : int, default=24
        Number of features of the first convolution.
    growth : int, default=8
        Number of features that each layer of a dense block adds.
    n_layers : tuple of three int, default=(4, 4, 4)
        Number of layers of the dense blocks of encoder, middle and decoder.
    max_epochs : int, default=1000
        Number of training steps (an epoch is one step).
    %(LineParams)s
    %(SpaceParams)s
    %(OptimizerParams)s
    %(ComputeParams)s

    Attributes
    ----------
    metric_, directions_, mask_, amplitude_, coef_, knot_spacing_, grid_shape_, affine_, window_
        As :class:`ConnectomeMetric`.
    cosine_, noise_, smoothness_, loss_, n_features_in_
        As :class:`ConnectomeMetric`.
    n_iter_ : int
        Epochs.
    history_ : list
        Losses of each epoch.
    net_ : skorch.NeuralNet
        The network.

    See Also
    --------
    ConnectomeMetric : The same metric without a network, in seconds.

    References
    ----------
    Dai, Bauer, Fletcher, Joshi (2022), Deep Learning the Shape of the Brain Connectome,
    arXiv 2203.06122.

    Examples
    --------
    >>> from sklearn_meg.connectome import ConvolutionalMetric
    >>> from sklearn_meg.datasets import make_fibers
    >>> fibers = make_fibers("annulus", size=16)
    >>> model = ConvolutionalMetric(max_epochs=2, n_layers=(1, 1, 1), random_state=0)
    >>> model.fit(fibers.X).metric_.shape
    (16, 16, 2, 2)
    """

    n_features: int = 24
    growth: int = 8
    n_layers: tuple[int, int, int] = (4, 4, 4)
    max_epochs: int = 1000
    lr: float = 5e-3

    _module_class = MetricNet
    # One trial, which is all there is: nothing to split or to stop at.
    batch_size, validation_fraction, validation_split, patience = 1, 0, "last", None

    def fit(self, X: ArrayLike, y: None = None, mask: ArrayLike | None = None) -> Self:
        """Train the network on the fields.

        Parameters
        ----------
        X : array-like of shape (n_fields, nx, ny[, nz], dim)
            As in :meth:`ConnectomeMetric.fit`; here the order of the fields matters.
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
        NonFiniteLossError
            If the training of the network fails.
        """
        self._check_params()
        X, self.mask_ = self._check_X(X, mask, reset=True)
        self.amplitude_ = check_amplitude(None, X)
        with limited_threads(self.n_threads):
            lines = fitted_lines(self, X, self._space.scale)
            self.__dict__.pop("net_", None)
            self._fit_net(X, lines)
            self.directions_ = scattered(lines, X.shape)
            self.loss_ = float((self._residual(lines) ** 2).sum(-1).mean())
        return self

    def _fit_net(self, X, lines):
        self.knot_spacing_ = KNOT_SPACING
        self._lines = lines
        try:
            with repeatable_sums(resolve_device(self.device)):  # interpolation backwards
                self._train(X[np.newaxis], np.zeros((1, 1)))
            module = self.net_.module_
            weight = next(module.parameters())
            field = self._inputs(X[np.newaxis])["field"].to(weight.device, weight.dtype)
            with isolated(0, self.n_threads, weight.device), torch.inference_mode():
                coef = module.coefficients(field).permute(*range(1, X.ndim - 1), 0)
            coef = coef.cpu().double().numpy().copy()
            self.coef_ = extended(coef, lines, self._space, self.knot_spacing_)
        finally:  # what training needs goes, also after a fit that failed
            del self._lines

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
            "bases": tuple(_basis(n, KNOT_SPACING, s) for n, s in zip(grid, self._space.scale)),
            "n_features": int(self.n_features),
            "growth": int(self.growth),
            "n_layers": tuple(int(n) for n in self.n_layers),
            "smoothness": float(self.smoothness_),
        }

    def _check_params(self):
        for name in ("n_features", "growth"):
            check_scalar_param(self, name, "int", 1)
        check_ints(self, "n_layers", 3)
        check_line_params(self)
        self._check_training_params()

    def __sklearn_is_fitted__(self):
        return hasattr(self, "coef_")


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
