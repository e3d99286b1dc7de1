"""Grids out of flat data, so that scikit-learn's own checks can run on models of thresholds."""

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from sklearn_meg.tms import baselines as _baselines
from sklearn_meg.tms.passive import PassiveThreshold
from sklearn_meg.tms.threshold_cnn import ThresholdCNN

SIZE = 3


class Gridded:
    """Mixin: a model of thresholds that takes X (n, n_features) and any real y.

    Everything is the model's own but how data are read and answers given: features become grids,
    y the exponent of a threshold.
    """

    def _check_fit(self, X, y, reset=True):
        X = validate_data(self, X, reset=reset, dtype=[np.float64, np.float32])
        names = getattr(self, "feature_names_in_", None)
        grids, y = super()._check_fit(as_grids(X), self._positive(y, reset), reset=True)
        self.n_features_in_ = X.shape[1]
        if names is not None:
            self.feature_names_in_ = names
        return grids, y

    def _check_X(self, X):
        check_is_fitted(self)
        return as_grids(validate_data(self, X, reset=False, dtype=[np.float64, np.float32]))

    def _positive(self, y, reset):
        if y is None or not np.isfinite(np.asarray(y, dtype=float)).all():
            return y
        y = np.asarray(y, dtype=float)
        if reset:
            self.real_mean_, self.real_scale_ = y.mean(axis=0), np.maximum(y.std(axis=0), 1e-9)
        return 100 * np.exp((y - self.real_mean_) / self.real_scale_ / 4)

    def predict(self, X):
        logs = np.log(super().predict(X) / 100)
        return 4 * self.real_scale_ * logs + self.real_mean_

    score = RegressorMixin.score

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.positive_only = False
        # Models of one vector, or of a neuron, cannot see which of ten features matters.
        one_vector = (
            _baselines.UniformFieldThreshold,
            _baselines.CosineThreshold,
            PassiveThreshold,
        )
        tags.regressor_tags.poor_score = isinstance(self, one_vector)
        return tags


class GriddedCNN(Gridded, ThresholdCNN):
    __init__ = ThresholdCNN.__init__


class GriddedPassive(Gridded, PassiveThreshold):
    __init__ = PassiveThreshold.__init__


class GriddedUniform(Gridded, _baselines.UniformFieldThreshold):
    __init__ = _baselines.UniformFieldThreshold.__init__


class GriddedCosine(Gridded, _baselines.CosineThreshold):
    pass


class GriddedRidge(Gridded, _baselines.RidgeThreshold):
    __init__ = _baselines.RidgeThreshold.__init__


class GriddedBoosted(Gridded, _baselines.BoostedThreshold):
    __init__ = _baselines.BoostedThreshold.__init__


def as_grids(X):
    """(n, n_features) to (n, 3, 3, 3, 3): a unit vector at the center, features around it."""
    n_numbers = 3 * SIZE**3
    flat = np.zeros((len(X), n_numbers))
    for i in range(X.shape[1]):
        flat[:, (7 * i) % n_numbers] += X[:, i]
    grids = flat.reshape(len(X), SIZE, SIZE, SIZE, 3)
    grids[:, 1, 1, 1] = [0, 0, 1]
    return grids


SMALL = {"n_filters": (8, 16), "n_units": (32,), "max_epochs": 20, "batch_size": 16, "lr": 4e-3}
CHECKED = [
    GriddedCNN(**SMALL, random_state=0),
    GriddedPassive(spacing=1e-4),
    GriddedUniform(),
    GriddedCosine(),
    GriddedRidge(),
    GriddedBoosted(max_iter=20, random_state=0),
]
