"""The kinds of model whose ordinary uses are tested, each with a tiny world."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from .worlds import world

# What the table has as columns.
KINDS = (
    "DeepRecurrentEncoder",
    "TemporalReceptiveField",
    "RNNSourceSolver",
    "MinimumNorm",
    "ThresholdCNN",
    "ConnectomeMetric",
    "NerveDecoder",
    "NerveRegressor",
    "HiddenMarkovGraph",
)
SUPERVISED = tuple(k for k in KINDS if k not in ("ConnectomeMetric", "HiddenMarkovGraph"))
DEEP = ("DeepRecurrentEncoder", "ThresholdCNN", "NerveDecoder", "NerveRegressor")
QUICK = {
    "DeepRecurrentEncoder": {"max_epochs": 2, "validation_fraction": 0.2},
    "HiddenMarkovGraph": {"n_init": 1},
    "NerveDecoder": {"max_epochs": 1},
}
STATES, FIELD = ("HiddenMarkovGraph",), ("ConnectomeMetric",)
SOURCE = ("RNNSourceSolver", "MinimumNorm")
ENCODERS = ("DeepRecurrentEncoder", "TemporalReceptiveField")


def as_trials(X, shape):
    """Flat trials back in shape: what stands before a model where a library takes 2-D X only."""
    return np.reshape(X, (len(X), *shape))


@dataclass
class Use:
    """A kind of model with its tiny world, and the ways in which uses ask for it."""

    kind: str

    @cached_property
    def world(self):
        """The tiny world."""
        return world(self.kind)

    @cached_property
    def X(self):
        """Samples on axis 0, enough for folds inside folds."""
        X = self.world.X
        if self.kind in SOURCE:  # conditions alternate: each fold has both
            return np.tile(X[[0, 3, 1, 4, 2, 5]], (3, 1, 1))
        if self.kind in STATES:
            return np.concatenate(np.split(X, 2, axis=2) * 2)
        return X

    @cached_property
    def y(self):
        """Targets, or None."""
        y = self.world.y
        return np.tile(y[[0, 3, 1, 4, 2, 5]], (3, 1, 1)) if self.kind in SOURCE else y

    @property
    def groups(self):
        """Groups that hold every class or condition, at least four."""
        return np.arange(len(self.X)) // (3 if len(self.X) > 15 else 2)

    def model(self, **params):
        """A new estimator."""
        return self.world.model(**{**QUICK.get(self.kind, {}), **params})

    def fitted(self, **params):
        """A fitted one."""
        return self.world.fit(self.model(**params), self.X, self.y)

    @cached_property
    def known(self):
        """A fitted one that all uses share: they must leave it as it is."""
        return self.fitted()

    def fit(self, model):
        """Fit anything that is made of the model."""
        return self.world.fit(model, self.X, self.y)

    @property
    def param(self):
        """A parameter to search over, and two values."""
        lists = {
            "TemporalReceptiveField": ("tmax", [2, 3]),
            "MinimumNorm": ("snr", [2.0, 3.0]),
            "HiddenMarkovGraph": ("n_states", [2, 3]),
            "ConnectomeMetric": ("max_iter", [2, 3]),
        }
        return lists.get(self.kind, ("lr", [1e-3, 2e-3]))

    @property
    def flat(self):
        """The model behind an adapter that takes 2-D X; X and y flat."""
        shape = {"shape": self.X.shape[1:]}
        model = make_pipeline(FunctionTransformer(as_trials, kw_args=shape), self.model())
        y = None if self.y is None else self.y.reshape(len(self.y), -1)
        y = y if y is None or self.y.ndim > 1 else self.y
        return model, self.X.reshape(len(self.X), -1), y
