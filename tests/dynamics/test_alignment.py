import numpy as np
import pytest

from sklearn_meg.datasets import make_states
from sklearn_meg.dynamics import HiddenMarkovGraph, RecordingAlignment, StateWarning
from sklearn_meg.dynamics._generalization import returned
from sklearn_meg.dynamics.metrics import state_accuracy

SHAPE = {"n_states": 3, "n_subjects": 4, "n_times": 400, "n_regions": 12, "n_communities": 3}


@pytest.fixture(scope="module")
def data():
    return make_states("easy", **SHAPE, random_state=3)


def make(n_states=3, **params):
    return HiddenMarkovGraph(n_states=n_states, **{"n_init": 4, "random_state": 0, **params})


def _rng():
    return np.random.default_rng(0)


def _mixing(X):
    """Recordings with mixtures of their own."""
    n, d, _ = X.shape
    mixing = np.eye(d) + 0.5 * _rng().normal(size=(n, d, d)) / np.sqrt(d)
    return mixing @ X + _rng().normal(size=(n, d, 1))


SPOILED = {
    "gains": lambda X: X * _rng().lognormal(0, 0.5, (4, 12, 1)) + _rng().normal(size=(4, 12, 1)),
    "mixing": _mixing,
    "signs": lambda X: X * _rng().choice([-1.0, 1.0], (4, 12, 1)),
    "signs and gains": lambda X: SPOILED["signs"](SPOILED["gains"](X)),
    "heavy tails": lambda X: X / np.sqrt(_rng().chisquare(5, (4, 1, 400)) / 5),
    "spikes": lambda X: np.where(_rng().uniform(size=(4, 1, 400)) < 0.01, 10 * X, X),
}


@pytest.mark.filterwarnings("ignore:Do not trust these states")  # halves are two recordings
@pytest.mark.parametrize("what", SPOILED)
def test_states_are_found_in_recordings_that_differ(data, what):
    X = SPOILED[what](data.X)
    model = make().fit(X)
    assert state_accuracy(data.states, model.predict(X)) > 0.93, model.alignment_
    assert ("signs" in model.alignment_) == ("signs" in what)
    assert (model.alignment_ == "none") == (what in ("heavy tails", "spikes"))


def test_plain_recordings_are_left_as_they_are(data):
    model = make().fit(data.X)
    assert (model.alignment_, model.emission_) == ("none", "gaussian")
    assert model.generalization_ > 0.6 and len(model.warnings_) == 0


def test_states_that_are_recordings_are_warned_of(data):
    X = SPOILED["mixing"](data.X)
    with pytest.warns(StateWarning, match="recording"):
        model = make(align="none").fit(X)
    assert state_accuracy(data.states, model.predict(X)) < 0.8


def test_states_that_one_recording_does_not_have_are_warned_of():
    noise = _rng().normal(size=(600, 8))
    with pytest.warns(StateWarning, match="blocks of time"):
        make().fit(noise)


def test_new_recordings_are_aligned_by_themselves(data):
    X = SPOILED["mixing"](data.X)
    model = make().fit(X[:3])
    alone = model.predict(X[3:])
    assert state_accuracy(data.states[3:], alone) > 0.9
    np.testing.assert_array_equal(model.predict(X)[3:], alone)
    with pytest.raises(ValueError, match="at least 16 samples"):
        model.predict(X[:, :, :10])


def test_scores_are_of_the_given_units(data):
    X = SPOILED["gains"](data.X)
    model = make(align="zscore", emission="gaussian", covariance="shrunk").fit(X)
    scaled = make(align="zscore", emission="gaussian", covariance="shrunk").fit(100 * X)
    np.testing.assert_allclose(scaled.score(100 * X), model.score(X) - 12 * np.log(100))


def test_alignment_undoes_what_it_does(data):
    X = SPOILED["mixing"](data.X)
    alignment = RecordingAlignment(align="covariance").fit(X)
    Z = alignment.transform(X)
    covariances = np.stack([np.cov(z) for z in Z])
    before = np.stack([np.cov(x) for x in X])
    assert covariances.std(0).mean() < 0.3 * before.std(0).mean()
    means, back = alignment.to_recordings(X, Z[0].mean(1)[None], covariances[:1])
    np.testing.assert_allclose(means[0, 0], X[0].mean(1), atol=1e-8)
    np.testing.assert_allclose(back[0, 0], before[0], atol=1e-6)
    parts = RecordingAlignment(align="covariance").fit_transform(list(X))
    np.testing.assert_allclose(parts[2], Z[2])


def test_missing_samples_do_not_count(data):
    X = SPOILED["gains"](data.X)
    X[0, 3, 10:40] = np.nan
    Z = RecordingAlignment().fit_transform(X)
    np.testing.assert_array_equal(np.isnan(Z[0]).any(0), np.isnan(X[0]).any(0))
    model = make(missing="mask").fit(X)
    assert state_accuracy(data.states, model.predict(X)) > 0.9


def test_states_of_each_recording(data):
    X = SPOILED["gains"](data.X)
    order = [2, 0, 3, 1]
    model = make().fit(X[order])
    assert model.recording_means_.shape == (4, 3, 12)
    assert model.recording_covariances_.shape == (4, 3, 12, 12)
    np.testing.assert_allclose(model.recording_transmats_.sum(2), 1)
    np.testing.assert_allclose(model.recording_samples_.sum(1), 400)
    states = model.predict(X[order])
    for r in range(4):
        own = X[order][r][:, states[r] == 0]
        np.testing.assert_allclose(
            model.recording_covariances_[r, 0], np.cov(own), rtol=0.5, atol=0.6
        )
    shares = model.recording_samples_ / 400
    np.testing.assert_allclose(shares, model.transform(X[order]), atol=1e-6)


BAD = [({"align": "zscore"}, lambda X: X[:, :, :10], "at least 16 samples"),
       ({"align": "scale"}, lambda X: X, "align"),
       ({"robust": 1}, lambda X: X, "robust")]  # fmt: skip


@pytest.mark.parametrize(("params", "change", "message"), BAD)
def test_what_cannot_be_aligned_is_a_clear_error(data, params, change, message):
    with pytest.raises((ValueError, TypeError), match=message):
        RecordingAlignment(**params).fit(change(data.X))


def test_a_region_that_is_flat_in_one_recording_is_named(data):
    X = data.X.copy()
    X[1, 4] = 2.0
    with pytest.raises(ValueError, match=r"Constant in X\[1\]: 4"):
        RecordingAlignment(align="zscore").fit(X)


def test_halves_that_have_one_state_of_several_do_not_confirm_them():
    one, two = np.zeros(20, int), np.arange(20) % 2
    assert returned(one, one, 2) == 0.0 and returned(one, two, 2) == 0.0
    assert returned(one, one, 1) == 1.0 and returned(two, 1 - two, 2) == 1.0
