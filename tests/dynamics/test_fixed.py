"""Fits that begin with parameters, of which some stay as they are."""

import numpy as np
import pytest
from sklearn.base import clone

from sklearn_meg.datasets import make_states
from sklearn_meg.dynamics import HiddenMarkovGraph
from sklearn_meg.dynamics.metrics import state_accuracy

PARTS = ("startprob", "transmat", "means", "covariances")


@pytest.fixture(scope="module")
def data():
    return make_states("easy", n_states=3, n_subjects=3, n_times=300, n_regions=10)


@pytest.fixture(scope="module")
def init(data):
    return {
        "means": data.means[[2, 0, 1]],
        "covariances": data.covariances[[2, 0, 1]],
        "startprob": np.array([0.5, 0.3, 0.2]),
        "transmat": np.full((3, 3), 0.05) + 0.85 * np.eye(3),
    }


def make(**params):
    return HiddenMarkovGraph(n_states=3, random_state=0, **params)


@pytest.mark.parametrize(
    "fixed", [("covariances",), ("means",), ("transmat", "startprob"), PARTS], ids=str
)
def test_fixed_parts_stay_and_others_are_learned(data, init, fixed):
    model = clone(make(init=init, fixed=fixed)).fit(data.X)
    for name in PARTS:
        same = np.array_equal(getattr(model, f"{name}_"), init[name])
        assert same == (name in fixed), name
    found = model.predict(data.X)
    assert (np.array([1, 2, 0])[data.states] == found).mean() > 0.95  # in the given order
    assert np.isfinite(model.score(data.X)) and len(model.is_unusual(data.X)) == 3


def test_means_about_which_covariances_are_learned(data, init):
    shifted = {**init, "means": init["means"] + 1.0}
    model = make(init=shifted, fixed=("means",), covariance="shrunk").fit(data.X)
    for k, state in enumerate((2, 0, 1)):
        own = data.X.transpose(0, 2, 1)[data.states == state] - shifted["means"][k]
        np.testing.assert_allclose(model.covariances_[k], own.T @ own / len(own), atol=0.6)


def test_parameters_are_a_start(data, init):
    model = make(init=init).fit(data.X)
    assert list(model.start_scores_["kind"]) == ["given"]
    assert state_accuracy(data.states, model.predict(data.X)) > 0.95


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"fixed": ("means",)}, "needs a dict"),
        ({"fixed": "means"}, "must be some of"),
        ({"fixed": ("weights",)}, "must be some of"),
        ({"fixed": ("means",), "align": "zscore"}, "align='none'"),
        ({"init": {"means": 0}}, "with 'means' and 'covariances'"),
        ({"init": {"transmat": np.eye(3)}}, "with 'means' and 'covariances'"),
        ({"init": {"means": np.zeros((2, 10))}}, "must be finite, of shape"),
        ({"init": {"transmat": np.ones((3, 3))}}, "sum to one"),
        ({"init": {"covariances": np.zeros((3, 10, 10))}}, "positive definite"),
    ],
)
def test_what_cannot_be_fixed_is_a_clear_error(data, init, params, message):
    if "init" in params:
        params = {"init": {**init, **params["init"]}}
        if "with" in message:
            del params["init"]["covariances"]
    elif "align" in params:
        params = {**params, "init": init}
    with pytest.raises(ValueError, match=message):
        make(**params).fit(data.X)
