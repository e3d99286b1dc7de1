"""Predictions of recordings whose states are not those of the fit."""

import numpy as np
import pytest

from sklearn_meg.datasets import make_states
from sklearn_meg.dynamics import HiddenMarkovGraph, StateWarning

D = 12
TURNED = np.random.default_rng(0).permutation(D)


@pytest.fixture(scope="module")
def data():
    return make_states("easy", n_states=3, n_subjects=6, n_times=400, n_regions=D, stay=0.92)


@pytest.fixture(scope="module")
def model(data):
    return HiddenMarkovGraph(n_states=3, n_init=1, random_state=0).fit(data.X[:1])


@pytest.mark.parametrize("method", ["predict", "predict_proba", "transform"])
def test_regions_in_another_order_are_told(data, model, method):
    call = getattr(model, method)
    with pytest.warns(StateWarning, match="4 of 4 recordings.*unusual-recordings"):
        call(data.X[2:, TURNED])
    call(data.X[2:])  # where a warning is an error, as everywhere in these tests


def test_the_recording_is_named(data, model):
    X = data.X[2:].copy()
    X[1] = X[1, TURNED]
    with pytest.warns(StateWarning, match=r"1 of 4 recordings \(X\[1\]\) are"):
        model.predict(X)
    with pytest.warns(StateWarning, match="The recording is"):
        model.predict(X[1].T)


def test_recordings_of_the_same_kind_are_never_told(data, model):
    for stop in (1, 2, 30, 100):
        model.predict(data.X[2:, :, :stop])
    model.predict(data.X[0].T)


def test_what_alignment_undoes_is_not_told(data):
    model = HiddenMarkovGraph(n_states=3, n_init=1, align="covariance", random_state=0)
    model.fit(data.X[:3])
    gains = np.random.default_rng(1).lognormal(0, 0.5, (D, 1))
    assert (model.predict(gains * data.X[3:] + 5) == model.predict(data.X[3:])).mean() > 0.95
    with pytest.warns(StateWarning, match="unusual-recordings"):
        model.predict(data.X[3:, TURNED])
