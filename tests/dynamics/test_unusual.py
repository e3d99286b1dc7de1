"""Which recordings are unlike those of a fit."""

import numpy as np
import pytest

from sklearn_meg.datasets import make_states
from sklearn_meg.dynamics import HiddenMarkovGraph, StateWarning


@pytest.fixture(scope="module")
def data():
    return make_states("easy", n_states=3, n_subjects=16, n_times=250, n_regions=10)


def make(**params):
    return HiddenMarkovGraph(n_states=3, n_init=3, random_state=0, **params)


@pytest.mark.parametrize(
    "params",
    [{}, {"align": "zscore"}, {"covariance": "shrunk"}, {"emission": "mar", "order": 1}],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:Do not trust")
def test_recordings_of_noise_are_unusual_and_new_subjects_are_not(data, params):
    model = make(**params).fit(data.X[:8])
    assert model.usual_scores_.shape == (8,)
    assert model.is_unusual(data.X[8:]).mean() < 0.3
    noise = np.random.default_rng(0).normal(size=(8, 10, 250)) * data.X.std()
    assert model.is_unusual(noise).mean() > 0.6
    assert model.is_unusual(list(noise[:, :, :200])).shape == (8,)


@pytest.mark.filterwarnings("ignore:Do not trust")
def test_a_single_recording_is_judged_by_blocks(data):
    one, other = data.X[0].T, data.X[1].T
    model = make().fit(one)
    assert model.usual_scores_.shape == (5,)
    assert not model.is_unusual(other)[0]
    assert model.is_unusual(np.where(np.arange(10) == 3, 30, 1) * other).tolist() == [True]
    short = make().fit(one[:90])
    assert short.is_unusual(10 * other).tolist() == [False]  # nothing to judge by


@pytest.mark.filterwarnings("ignore:Do not trust")
def test_gaps_that_were_filled_are_warned_of(data):
    X = data.X[:4].copy()
    X[:, :, 100:130] = 0
    with pytest.warns(StateWarning, match="12.0% of the samples repeat"):
        make().fit(X)


def test_a_recording_that_is_unlike_the_others_is_named(data):
    X = list(data.X[:6])
    X[4] = np.random.default_rng(0).normal(size=X[4].shape)
    with pytest.warns(StateWarning) as caught:
        model = make().fit(X)
    said = {w.message.code: str(w.message) for w in caught}
    assert "X[4]" in said["unlike-recordings"] and "X[4] unlike the others" in model.warnings_
