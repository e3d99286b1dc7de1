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


def test_states_of_artifacts_are_warned_of(data):
    X = data.X[:6].copy()
    X[:, :, 60:80] *= 6
    with pytest.warns(StateWarning, match="louder than the others in nearly all regions"):
        make().fit(X)


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


@pytest.mark.parametrize("factor", [1e-3, 30.0], ids=["dead", "loud"])
@pytest.mark.filterwarnings("ignore:Do not trust")
def test_a_dead_or_loud_region_is_unusual_after_alignment_too(data, factor):
    gains = np.random.default_rng(0).lognormal(0, 0.5, (16, 10, 1))
    X = data.X * gains
    model = make(align="covariance", emission="gaussian").fit(X[:8])
    assert model.is_unusual(X[8:]).mean() < 0.3
    X[8:, 3] *= factor
    assert model.is_unusual(X[8:]).all()


@pytest.mark.filterwarnings("ignore:Do not trust")
def test_loud_regions_are_unusual_beside_recordings_of_which_one_has_an_odd_gain(data):
    gains = np.random.default_rng(0).lognormal(0, 0.3, (16, 10, 1))
    gains[2, 5] *= 3
    X = data.X * gains
    model = make(align="zscore", emission="gaussian").fit(X[:6])
    assert model.is_unusual(X[6:]).mean() < 0.3
    X[6:, 3] *= 30
    assert model.is_unusual(X[6:]).all()


@pytest.mark.filterwarnings("ignore:Do not trust")
def test_slow_drifts_are_warned_of_and_states_that_last_are_not(data):
    rng = np.random.default_rng(0)
    drift = np.cos(np.linspace(0, np.pi, 250) + 6 * rng.uniform(size=(4, 10, 1)))
    with pytest.warns(StateWarning) as caught:
        make().fit(data.X[:4] + 3 * drift)
    assert "slow-drift" in {w.message.code for w in caught}
    X = data.X[:4] + 3 * rng.normal(size=(3, 10))[data.states[:4]].transpose(0, 2, 1)
    make().fit(X)  # warnings are errors
