"""A small nerve and quick models that several tests share."""

from copy import deepcopy
from functools import cache

import numpy as np
import pytest

from sklearn_meg import (
    KalmanRegressor,
    NerveDecoder,
    NerveFeatures,
    NerveRegressor,
    WindowClassifier,
    WindowRegressor,
)
from sklearn_meg.datasets import make_nerve

SFREQ, HOP = 1000.0, 0.05
QUICK = {"max_epochs": 3, "hidden_size": 16, "random_state": 0}


# The gains of the last session are what nothing in training is like: models say so.
other_gains = pytest.mark.filterwarnings("ignore:.*unusual-session")


@cache
def nerve():
    """Three sessions: training, the same day, and one with a drift and other channel gains."""
    data = make_nerve(
        (0, 1), n_train=6, n_test=6, n_channels=8, duration=0.6, sfreq=SFREQ, noise=0.2
    )
    gains = np.exp(0.8 * np.random.default_rng(1).normal(size=(8, 1))).astype(np.float32)
    data.X[data.session == 2, :-1] *= gains
    return data


@cache
def small():
    """Few trials, four channels, for tests that fit often."""
    data = make_nerve((2,), n_train=4, n_test=2, n_channels=4, duration=0.3, sfreq=1000.0)
    chosen = np.isin(data.y, [0, 5, 9])
    return data.X[chosen], data.y[chosen], data.session[chosen]


def movements(data, rows=slice(None)):
    """What was meant at the ends of the windows."""
    return NerveFeatures(sfreq=data.sfreq, hop=HOP).at_windows(data.dof[rows])


def decoder(**params):
    return NerveDecoder(**{"sfreq": SFREQ, "hop": HOP, "session_row": -1, **QUICK, **params})


def classifier(**params):
    return WindowClassifier(**{"sfreq": SFREQ, "hop": HOP, "session_row": -1, **params})


def regressor(cls=NerveRegressor, **params):
    quick = QUICK if cls is NerveRegressor else {}
    return cls(**{"sfreq": SFREQ, "hop": HOP, "session_row": -1, **quick, **params})


def first_day(make, adaptation=None, **params):
    """A model of the first session, fitted once: how it adapts to others is asked later."""
    return deepcopy(_of_first_day(make, **params)).set_params(adaptation=adaptation)


@cache
def _of_first_day(make, **params):
    data = nerve()
    first = data.session == 0
    moves = make in REGRESSORS
    y = movements(data, first) if moves else data.y[first]
    return (regressor(make, **params) if moves else make(**params)).fit(data.X[first], y)


REGRESSORS = (NerveRegressor, WindowRegressor, KalmanRegressor)
