"""What a network of thresholds must beat: simpler models with the same interface.

All predict the log threshold from the normalized field, so all are exactly homogeneous.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import least_squares
from scipy.special import gammaln, lpmv
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.utils.validation import check_is_fitted

from .._checks.params import check_option_param, check_random_state, check_scalar_param, naming
from .._checks.trials import kept_trials
from .._training.threads import one_blas_thread
from ._base import ThresholdModel
from ._grids import center_magnitude, check_grids, doubt_scale, normalized

if TYPE_CHECKING:
    from typing import Literal

    from .._typing import ArrayLike, RandomSeed, Self

ALPHAS = tuple(np.logspace(-6, 6, 25))


class _Baseline(ThresholdModel, BaseEstimator):
    """Base: one model an output, of log thresholds from features.

    A subclass has ``_check_params()``, ``_learn_features(X)``, ``_features(X)`` (n, n_features),
    ``_magnitude(X)`` (n,), ``_fit_output(features, target, weights)`` giving a model, and
    ``_predict_output(model, features)``.
    """

    @one_blas_thread()
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        groups: ArrayLike | None = None,
        *,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Fit one model an output.

        Parameters
        ----------
        X : array-like of shape (n, s, s, s, 3) or (n, 3 * s**3)
            Field vectors in the neuron's frame, V/m per A/us, s odd.
        y : array-like of shape (n,) or (n, n_outputs)
            Thresholds in A/us; NaN (none found) counts for nothing.
        groups : ignored
        sample_weight : array-like of shape (n,), default=None
            Weight of each field: one of weight 2 counts as two, one of weight 0 is left out.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError, TypeError
            For NaN or infinity in X, shapes that do not go together, no field at a center,
            thresholds that are not positive, or a parameter out of range.
        """
        self._check_params()
        X, y = self._check_fit(X, y)
        weights, X, y = kept_trials(sample_weight, len(X), X, y)
        weights = np.ones(len(X)) if weights is None else weights
        self._learn_features(X)
        target = np.log(y * self._magnitude(X)[:, np.newaxis])
        features = self._features(X)
        known = ~np.isnan(target)
        self.models_ = [
            self._fit_output(features[k], t[k], weights[k])
            for t, k in zip(target.T, known.T, strict=True)
        ]
        self._after_fit()
        return self

    def _after_fit(self):
        """Nothing more to remember."""

    @one_blas_thread()
    def _predict_grids(self, X):
        features = self._features(X)
        logs = [self._predict_output(model, features) for model in self.models_]
        return np.exp(np.stack(logs, axis=1)) / self._magnitude(X)[:, np.newaxis]

    def _check_params(self):
        """Nothing to check."""

    def _learn_features(self, X):
        """Nothing to learn."""

    def _magnitude(self, X):
        return center_magnitude(X)


@dataclass(kw_only=True, eq=False, repr=False)
class UniformFieldThreshold(_Baseline):
    """The uniform-field approximation: the threshold depends on one field vector only.

    The threshold in V/m is a smooth function of the direction of this vector: a smoothing spline
    on the sphere (spherical harmonics, penalty on the squared Laplacian), as smooth as leave-one-
    out cross-validation says.

    Parameters
    ----------
    field : {"soma", "mean"}, default="soma"
        The vector at the center of the grid, or the mean over the grid.
    degree : int, default=16
        Degree of the spherical harmonics.

    Attributes
    ----------
    models_ : list of dict
        Coefficients and penalty ``alpha`` of each output.
    grid_size_, n_features_in_, n_outputs_ : int
        Samples along each side of the grids, numbers in a grid, thresholds of a grid.

    References
    ----------
    Aberra, Lopez, Grill, Peterchev (2023), NeuroImage 275 (the approximation it is compared
    with). Wahba (1981), Spline interpolation and smoothing on the sphere, SIAM J. Sci. Stat.
    Comput. 2.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.tms.baselines import UniformFieldThreshold
    >>> rng = np.random.default_rng(0)
    >>> E = rng.normal(size=(200, 1, 1, 1, 3))
    >>> X = np.broadcast_to(E, (200, 3, 3, 3, 3))
    >>> y = np.exp(E[:, 0, 0, 0, 2] / np.linalg.norm(E, axis=-1).ravel()) * 100
    >>> y /= np.linalg.norm(E, axis=-1).ravel()
    >>> bool(UniformFieldThreshold().fit(X, y).score(X, y) > 0.99)
    True
    """

    field: Literal["soma", "mean"] = "soma"
    degree: int = 16

    def _check_params(self):
        check_option_param(self, "field", ("soma", "mean"))
        check_scalar_param(self, "degree", "int", 1)

    def _check_X(self, X):
        """Grids of any size: all that counts is one vector."""
        check_is_fitted(self)
        fitted = self.grid_size_, self.n_features_in_
        try:
            return super()._check_X(X) if _is_of_size(X, fitted[0]) else self._check_other(X)
        finally:
            self.grid_size_, self.n_features_in_ = fitted

    def _check_other(self, X):
        X = check_grids(self, X, reset=True)
        doubt_scale(X, self.magnitude_range_)
        return X

    def _learn_features(self, X):
        self._fitted_params = {"field": self.field, "degree": int(self.degree)}

    def _vectors(self, X):
        if self._fitted_params["field"] == "mean":
            return X.reshape(len(X), -1, 3).mean(axis=1, dtype=np.float64)
        center = X.shape[1] // 2
        return X[:, center, center, center].astype(np.float64)

    def _magnitude(self, X):
        # A mean of exactly zero has no direction; anything tiny keeps the result finite.
        tiny = 1e-9 * center_magnitude(X)
        return np.maximum(np.linalg.norm(self._vectors(X), axis=1), tiny)

    def _features(self, X):
        directions = self._vectors(X) / self._magnitude(X)[:, None]
        return spherical_harmonics(directions, self._fitted_params["degree"])

    def _fit_output(self, features, target, weights):
        degrees = np.repeat(np.arange(self.degree + 1), 2 * np.arange(self.degree + 1) + 1)
        roughness = np.maximum(1.0, degrees * (degrees + 1.0))
        return ridge_fit(features[:, 1:], target, scale=1 / roughness[1:], weights=weights)

    def _predict_output(self, model, features):
        return features[:, 1:] @ model["coef"] + model["intercept"]


@dataclass(kw_only=True, eq=False, repr=False)
class CosineThreshold(_Baseline):
    """The cosine model: 1 / threshold is an offset plus the field along a preferred direction.

    ``1 / threshold = |E| (offset + amplitude cos(angle))`` with offset > amplitude, fitted to log
    thresholds by nonlinear least squares.

    Attributes
    ----------
    models_ : list of dict
        ``vector`` (amplitude times preferred direction) and ``offset`` of each output.
    grid_size_, n_features_in_, n_outputs_ : int
        Samples along each side of the grids, numbers in a grid, thresholds of a grid.

    References
    ----------
    Fox, Narayana, Tandon, Sandoval, Fox, Kochunov, Lancaster (2004), Column-based model of
    electric field excitation of cerebral cortex, Hum. Brain Mapp. 22.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.tms.baselines import CosineThreshold
    >>> E = np.random.default_rng(0).normal(size=(100, 1, 1, 1, 3))
    >>> y = 1 / (0.02 * np.linalg.norm(E, axis=-1) + 0.01 * E[..., 2]).ravel()
    >>> model = CosineThreshold().fit(np.broadcast_to(E, (100, 3, 3, 3, 3)), y)
    >>> np.allclose(model.models_[0]["vector"], [0, 0, 0.01], atol=1e-6)
    True
    """

    def _features(self, X):
        center = X.shape[1] // 2
        return X[:, center, center, center] / center_magnitude(X)[:, np.newaxis]

    def _fit_output(self, features, target, weights):
        def drive(p):
            vector = p[:3]
            return np.linalg.norm(vector) + np.exp(p[3]) + features @ vector

        typical = np.median(target)  # of the log threshold: the search is without units
        start = np.array([0.0, 0.0, 1e-2, 0.0])
        root = np.sqrt(weights)
        found = least_squares(lambda p: root * (np.log(drive(p)) + target - typical), start).x
        unit = np.exp(-typical)
        offset = np.linalg.norm(found[:3]) + np.exp(found[3])
        return {"vector": found[:3] * unit, "offset": float(offset * unit)}

    def _predict_output(self, model, features):
        return -np.log(model["offset"] + features @ model["vector"])


@dataclass(kw_only=True, eq=False, repr=False)
class RidgeThreshold(_Baseline):
    """Ridge regression of the log threshold on the whole normalized grid.

    Parameters
    ----------
    alphas : tuple of float, default=25 values from 1e-6 to 1e6
        Penalties to choose from by leave-one-out cross-validation, times the mean variance of a
        feature and the number of samples.

    Attributes
    ----------
    models_ : list of dict
        Coefficients and penalty ``alpha`` of each output.
    grid_size_, n_features_in_, n_outputs_ : int
        Samples along each side of the grids, numbers in a grid, thresholds of a grid.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.tms.baselines import RidgeThreshold
    >>> X = np.random.default_rng(0).normal(size=(60, 3, 3, 3, 3))
    >>> y = 100 / np.linalg.norm(X[:, 1, 1, 1], axis=1)
    >>> RidgeThreshold().fit(X, y).predict_field(X[:2])
    array([100., 100.])
    """

    alphas: tuple[float, ...] = ALPHAS

    def _check_params(self):
        with naming("alphas"):
            alphas = np.atleast_1d(np.asarray(self.alphas, dtype=float))
        if alphas.ndim != 1 or not len(alphas) or not (alphas > 0).all():
            raise ValueError(
                "The 'alphas' parameter of RidgeThreshold must be positive penalties. "
                f"Got {self.alphas!r} instead."
            )

    def _features(self, X):
        return normalized(X).reshape(len(X), -1)

    def _fit_output(self, features, target, weights):
        alphas = np.atleast_1d(np.asarray(self.alphas, float))
        return ridge_fit(features, target, alphas=alphas, weights=weights)

    def _predict_output(self, model, features):
        return features @ model["coef"] + model["intercept"]


@dataclass(kw_only=True, eq=False, repr=False)
class BoostedThreshold(_Baseline):
    """Gradient boosting of the log threshold on summary features of the field.

    Features: the direction at the soma, the mean over the grid, the differences along the axes
    and principal components of the normalized grid.

    Parameters
    ----------
    n_components : int, default=40
        Principal components.
    learning_rate : float, default=0.06
        Learning rate of the boosting.
    max_iter : int, default=3000
        Most trees; fewer if the held-out tenth stops improving.
    max_leaf_nodes : int, default=15
        Largest number of leaves per tree.
    min_samples_leaf : int, default=20
        Smallest number of samples per leaf.
    l2_regularization : float, default=1.0
        L2 penalty of the leaves.
    random_state : int, RandomState instance or None, default=None
        Decides what is held out.

    Attributes
    ----------
    models_ : list of HistGradientBoostingRegressor
        One an output.
    n_iter_ : int
        Trees of the largest of them.
    grid_size_, n_features_in_, n_outputs_ : int
        Samples along each side of the grids, numbers in a grid, thresholds of a grid.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.tms.baselines import BoostedThreshold
    >>> X = np.random.default_rng(0).normal(size=(60, 3, 3, 3, 3))
    >>> y = 100 / np.linalg.norm(X[:, 1, 1, 1], axis=1)
    >>> BoostedThreshold(max_iter=5, random_state=0).fit(X, y).predict(X).shape
    (60,)
    """

    n_components: int = 40
    learning_rate: float = 0.06
    max_iter: int = 3000
    max_leaf_nodes: int = 15
    min_samples_leaf: int = 20
    l2_regularization: float = 1.0
    random_state: RandomSeed = None

    def _check_params(self):
        check_scalar_param(self, "n_components", "int", 1)
        check_scalar_param(self, "learning_rate", "float", 0, closed="neither")
        check_scalar_param(self, "max_iter", "int", 1)
        check_scalar_param(self, "max_leaf_nodes", "int", 2)
        check_scalar_param(self, "min_samples_leaf", "int", 1)
        check_scalar_param(self, "l2_regularization", "float", 0)

    def _learn_features(self, X):
        self._seed = check_random_state(self.random_state).randint(2**31 - 1)
        grids = normalized(X).reshape(len(X), -1)
        n = min(self.n_components, *grids.shape)
        pca = PCA(n, svd_solver="randomized", random_state=self._seed).fit(grids)
        self.mean_, self.components_ = pca.mean_, pca.components_

    def _features(self, X):
        U = normalized(X)
        center = X.shape[1] // 2
        flat = U.reshape(len(U), -1)
        differences = [
            (U.take(range(center + 1, X.shape[1]), axis=k).mean((1, 2, 3)))
            - (U.take(range(center), axis=k).mean((1, 2, 3)))
            for k in (1, 2, 3)
            if center
        ]
        parts = [U[:, center, center, center], U.mean((1, 2, 3)), *differences]
        features = np.hstack([*parts, (flat - self.mean_) @ self.components_.T])
        # Rounding of another scale of the field must not change the side of a split.
        return np.round(features, 6)

    def _fit_output(self, features, target, weights):
        return HistGradientBoostingRegressor(
            learning_rate=self.learning_rate,
            max_iter=self.max_iter,
            max_leaf_nodes=self.max_leaf_nodes,
            min_samples_leaf=self.min_samples_leaf,
            l2_regularization=self.l2_regularization,
            early_stopping=len(target) >= 100,
            n_iter_no_change=30,
            random_state=self._seed,
        ).fit(features, target, sample_weight=None if (weights == 1).all() else weights)

    def _after_fit(self):
        self.n_iter_ = max(model.n_iter_ for model in self.models_)

    def _predict_output(self, model, features):
        return model.predict(features)


def _is_of_size(X, size):
    """Whether X cannot be read as cubes of another odd size."""
    with naming("X"):
        shape = np.shape(X)
    if len(shape) == 5:
        return shape[1] == size
    side = round((shape[-1] / 3) ** (1 / 3)) if len(shape) == 2 else size
    return side == size or 3 * side**3 != shape[-1] or side % 2 == 0


def ridge_fit(features, target, alphas=ALPHAS, scale=1.0, weights=None):
    """Ridge regression with the penalty of least leave-one-out error.

    features (n, n_features), target (n,)
    alphas (sequence of float): Penalties over the sum of squares of a mean feature.
    scale (float or ndarray of shape (n_features,)): Features times this are penalized evenly.
    weights (n,) or None: Of the samples.
    Returns model (dict): ``coef`` (n_features,), ``intercept`` and ``alpha``.
    """
    weights = np.ones(len(target)) if weights is None else weights
    mean = np.average(features, axis=0, weights=weights)
    scaled = (features - mean) * scale
    unit = max(float((weights @ np.square(scaled)).sum()) / max(1, scaled.shape[1]), 1e-300)
    penalties = np.asarray(alphas, dtype=float) * unit
    if len(target) > 2:
        model = RidgeCV(alphas=penalties).fit(scaled, target, sample_weight=weights)
        alpha = model.alpha_
    else:  # leaving one out leaves too little
        alpha = penalties.max()
        model = Ridge(alpha=alpha).fit(scaled, target, sample_weight=weights)
    coef, alpha = model.coef_ * scale, float(alpha / unit)
    intercept = np.average(target, weights=weights) - mean @ coef
    return {"coef": coef, "intercept": float(intercept), "alpha": alpha}


def spherical_harmonics(directions, degree):
    """Real spherical harmonics, orthonormal on the sphere.

    directions (n, 3): Unit vectors.
    degree: Largest degree.
    Returns values (n, (degree + 1)**2): Values in the order of degree l, then order m from -l to
        l.

    >>> import numpy as np
    >>> from sklearn_meg.tms.baselines import spherical_harmonics
    >>> values = spherical_harmonics(np.array([[0.0, 0.0, 1.0]]), 1)
    >>> np.abs(values).round(3)  # at the pole only orders 0
    array([[0.282, 0.   , 0.489, 0.   ]])
    """
    x, y, z = np.asarray(directions, dtype=np.float64).T
    azimuth, z = np.arctan2(y, x), np.clip(z, -1, 1)
    columns = []
    for l in range(degree + 1):  # noqa: E741  (as everyone calls it)
        for m in range(-l, l + 1):
            order = abs(m)
            log_norm = gammaln(l - order + 1) - gammaln(l + order + 1)
            norm = np.sqrt((2 * l + 1) / (4 * np.pi) * np.exp(log_norm))
            wave = np.sin(order * azimuth) if m < 0 else np.cos(order * azimuth)
            columns.append(norm * (np.sqrt(2) if m else 1.0) * wave * lpmv(order, l, z))
    return np.stack(columns, axis=1)
