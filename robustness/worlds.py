"""A tiny world for every public estimator: data on which it is fitted in a fraction of a second."""

import inspect
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin

import sklearn_meg
from sklearn_meg.datasets import make_fibers, make_states

# Small enough; everything else as it comes.
SMALL = {
    "BoostedThreshold": {"max_iter": 20, "random_state": 0},
    "ConnectomeMetric": {"max_iter": 5},
    "ConvolutionalMetric": {
        "max_epochs": 2,
        "n_features": 4,
        "growth": 2,
        "n_layers": (1, 1, 1),
        "random_state": 0,
    },
    # What judges the network has tests of its own, and costs four networks and their bases.
    "DeepRecurrentEncoder": {
        "max_epochs": 3,
        "hidden_size": 8,
        "validation_fraction": 0,
        "random_state": 0,
    },
    "EFieldSampler": {},
    "GammaMap": {"maxit": 10},
    "HiddenMarkovGraph": {"n_states": 2, "n_init": 2, "random_state": 0},
    "HmmlearnStates": {"n_states": 2, "n_init": 1, "shrinkage": 0.1, "random_state": 0},
    "MixedNorm": {"random_state": 0},
    "MixtureStates": {"n_states": 2, "n_init": 1, "random_state": 0},
    "NerveDecoder": {"max_epochs": 3, "hidden_size": 8, "random_state": 0},
    "NerveFeatures": {"sfreq": 1000.0, "hop": 0.05},
    "NerveRegressor": {"max_epochs": 3, "hidden_size": 8, "random_state": 0},
    "RNNSourceSolver": {"max_epochs": 5, "random_state": 0},
    "SingleGaussian": {"random_state": 0},
    "ThresholdCNN": {"max_epochs": 2, "random_state": 0},
    "WindowStates": {"n_states": 2, "n_init": 1, "random_state": 0},
}


@dataclass
class World:
    """Data for one estimator.

    Attributes
    ----------
    cls : type
    X : ndarray
        Samples on axis 0.
    y : ndarray or None
    params : dict
        Constructor parameters: small sizes, rows of X.
    outputs : tuple of str
        Methods that take X, or attributes.
    """

    cls: type
    X: np.ndarray
    y: np.ndarray | None
    params: dict = field(default_factory=dict)
    outputs: tuple = ("predict",)

    def model(self, **params):
        """A new estimator."""
        return self.cls(**{**self.params, **params})

    def fitted(self, **params):
        """A fitted one."""
        return self.fit(self.model(**params), self.X, self.y)

    @staticmethod
    def fit(model, X, y=None):
        """Fit with or without y."""
        return model.fit(X) if y is None else model.fit(X, y)

    def results(self, model, X=None):
        """What the methods in `outputs` return, or the attributes are."""
        found = [getattr(model, name) for name in self.outputs]
        return [f(self.X if X is None else X) if callable(f) else f for f in found]


def public_estimators():
    """All estimators among the public names."""
    found = (getattr(sklearn_meg, name) for name in sklearn_meg.__all__)
    return [c for c in found if inspect.isclass(c) and issubclass(c, BaseEstimator)]


def of_domain(domain):
    """Names of the public estimators of a domain."""
    found = (cls for cls in public_estimators() if cls.__module__.split(".")[1] == domain)
    return tuple(cls.__name__ for cls in found)


@cache
def world(name):
    """The world of an estimator.

    name: Name of the class.
    """
    cls, params = getattr(sklearn_meg, name), dict(SMALL.get(name, {}))
    make = MAKERS.get(name) or MAKERS[cls.__module__.split(".")[1]]
    X, y, more, outputs = make(cls)
    return World(cls, X, y, {**params, **more}, outputs)


def _rng():
    return np.random.default_rng(0)


def _encoding(cls):
    """24 trials of two subjects: two features, three channels; subject row and initial MEG."""
    rng = _rng()
    features, subjects = rng.normal(size=(24, 2, 16)), np.arange(24) % 2
    meg = rng.normal(size=(24, 3, 16)) + features[:, :1] + np.roll(features[:, 1:], 2, axis=2)
    X, rows = sklearn_meg.pack_rows(features, subjects=subjects, initial=meg, n_initial=4)
    return X, meg, rows, ("predict",)


def _source(cls):
    """Six trials of an event and four channels, in sensor space."""
    rng = _rng()
    X = (np.arange(12) > 3).astype(float) * np.ones((6, 1, 1))
    X[3:] *= 2.0
    y = rng.normal(size=(6, 4, 12)) + 3 * X * np.sin(np.arange(12))
    return X, y, {}, ("predict", "transform")


def _thresholds(cls):
    rng = _rng()
    X = rng.normal(size=(40, 3, 3, 3, 3)) + 0.5
    y = 100 / np.linalg.norm(X[:, 1, 1, 1], axis=-1)
    return X, y, {}, ("predict",)


def _fibers(cls):
    X = make_fibers("annulus", size=8).X
    return X, None, {}, ("metric_", "transform") if hasattr(cls, "transform") else ("metric_",)


def _states(cls):
    X = make_states("easy", n_subjects=3, n_times=240, random_state=0).X[:, :5]
    return X, None, {}, ("predict", "predict_proba", "transform")


def _gestures(cls):
    """30 trials of three gestures in two sessions: features, and the row of the session."""
    rng = _rng()
    y = np.arange(30) % 3
    X = rng.normal(size=(30, 5, 6)) + y[:, None, None] * np.array([1, -1, 0.5, 0, 0])[:, None]
    session = np.repeat([0.0, 1.0], 15)[:, None, None] * np.ones((1, 1, 6))
    X = np.concatenate([X, session], axis=1)
    return X, y, {"session_row": -1}, ("predict", "predict_proba", "predict_windows")


def _movements(cls):
    X, _, rows, _ = _gestures(cls)
    y = X[:, :2] - 0.5 * X[:, 2:4] + 0.1 * _rng().normal(size=(30, 2, 6))
    return X, y, rows, ("predict",)


def _channels(cls):
    X, _, rows, _ = _encoding(cls)
    return X, None, rows, ("transform",)


def _positions(cls):
    rng = _rng()
    axis = rng.normal(size=(6, 3))
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    angle = rng.uniform(0, 2 * np.pi, size=(6, 1))
    return np.concatenate([0.07 * axis, axis, angle], axis=1), None, {}, ("transform",)


def _signals(cls):
    return _rng().normal(size=(6, 3, 400)), None, {}, ("transform",)


def _nerve(cls):
    """Windows of features with what the estimator predicts."""
    return _movements(cls) if issubclass(cls, RegressorMixin) else _gestures(cls)


# By domain; by name where one estimator of a domain takes something else.
MAKERS = {
    "connectome": _fibers,
    "dynamics": _states,
    "encoding": _encoding,
    "nerve": _nerve,
    "source": _source,
    "tms": _thresholds,
    "ChannelScaler": _channels,
    "FeatureExpansion": _channels,
    "EFieldSampler": _positions,
    "NerveFeatures": _signals,
}
ENCODERS = tuple(name for name in of_domain("encoding") if name != "FeatureExpansion")
SOLVERS, STATES = of_domain("source"), of_domain("dynamics")
METRICS = of_domain("connectome")
THRESHOLDS = tuple(name for name in of_domain("tms") if name != "EFieldSampler")
