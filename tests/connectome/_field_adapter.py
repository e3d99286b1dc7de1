"""Fields out of flat data, so that scikit-learn's own checks can run on metrics."""

import numpy as np
from sklearn.utils.validation import check_is_fitted, validate_data

from sklearn_meg.connectome import baselines as _baselines
from sklearn_meg.connectome.connectome_metric import ConnectomeMetric
from sklearn_meg.connectome.convolutional_metric import ConvolutionalMetric

SIZE = 4


class Gridded:
    """Mixin: a metric of fields that takes X (n, n_features), a row a field.

    Everything is the model's own but how data are read and answers given: features become smooth
    angles over a small grid.
    """

    def fit(self, X, y=None):
        X = validate_data(self, X, reset=True)
        names = getattr(self, "feature_names_in_", None)
        super().fit(as_fields(X))
        self.n_features_in_ = X.shape[1]
        if names is not None:
            self.feature_names_in_ = names
        return self

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = False  # features; the fields themselves may have them
        return tags


class Transforming(Gridded):
    """The same for what such a metric says of other fields."""

    def transform(self, X):
        check_is_fitted(self)
        X = validate_data(self, X, reset=False)
        return super().transform(as_fields(X)).reshape(len(X), -1)

    def predict(self, X):
        return np.abs(self.transform(X)).mean(axis=1)

    def score(self, X, y=None):
        return -float(self.predict(X).mean())

    def _check_X(self, X, mask, *, reset):
        n_features = getattr(self, "n_features_in_", None)
        checked = super()._check_X(X, mask, reset=reset)
        if n_features is not None:
            self.n_features_in_ = n_features
        return checked


def gridded(cls):
    """The adapted class: its constructor is that of the estimator."""
    name = f"Gridded{cls.__name__}"
    own = {"__init__": cls.__init__, "__module__": __name__}
    globals()[name] = type(name, (Transforming, cls), own)  # for pickle
    return globals()[name]


def as_fields(X):
    """(n, n_features) to (n, 4, 4, 2): an angle that is a sum of waves."""
    x, y = np.meshgrid(*[np.linspace(0, 1, SIZE)] * 2, indexing="ij")
    k = np.arange(X.shape[1])[:, None, None]
    waves = np.cos(0.5 * np.pi * ((k % 3) * x + (k // 3 % 3) * y) + k)
    angle = np.tensordot(np.tanh(X / 4), waves, 1)
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


_Metric = gridded(ConnectomeMetric)
CHECKED = [
    _Metric(window=(2, 1), anisotropy=30.0),  # the search for it is tested elsewhere
    gridded(ConvolutionalMetric)(
        max_epochs=3,
        window=(2, 1),
        n_features=4,
        growth=2,
        n_layers=(1, 1, 1),
        random_state=0,
    ),
    gridded(_baselines.EuclideanMetric)(),
    gridded(_baselines.InverseTensorMetric)(),
    gridded(_baselines.AdjugateMetric)(),
    gridded(_baselines.ConformalMetric)(),
]
