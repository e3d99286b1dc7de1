import numpy as np
import pytest
import skops.io

from sklearn_meg.dynamics import HiddenMarkovGraph, StateWarning
from sklearn_meg.dynamics._mar import lagged
from sklearn_meg.dynamics.metrics import match_states, state_accuracy

FIRST = np.stack([np.diag([1.5, 1.4]), np.diag([0.2, 0.3]), np.diag([-1.2, -1.3])])


@pytest.fixture(scope="module")
def data():
    """Three states with rhythms of their own, X (4, 2, 500), and the states."""
    rng = np.random.default_rng(0)
    states = np.repeat(rng.integers(3, size=(4, 20)), 25, axis=1)
    X = rng.normal(size=(4, 500, 2))
    for t in range(2, 500):
        X[:, t] += np.einsum("rij,rj->ri", FIRST[states[:, t]], X[:, t - 1]) - 0.7 * X[:, t - 2]
    return 3 + 2 * X.transpose(0, 2, 1), states


@pytest.fixture(scope="module")
def fitted(data):
    return HiddenMarkovGraph(n_states=3, emission="mar", n_init=4, random_state=0).fit(data[0])


def test_rhythms_are_states(data, fitted):
    X, states = data
    assert fitted.order_ == 2 and set(fitted.order_scores_) >= {1, 2}
    found = fitted.predict(X)
    assert state_accuracy(states, found) > 0.97
    matching = match_states(states, found)
    np.testing.assert_allclose(fitted.coefficients_[matching, 0], FIRST, atol=0.12)
    expected = np.tile(-0.7 * np.eye(2), (3, 1, 1))
    np.testing.assert_allclose(fitted.coefficients_[matching, 1], expected, atol=0.12)
    noise = fitted.noise_covariances_
    np.testing.assert_allclose(noise, np.tile(4 * np.eye(2), (3, 1, 1)), atol=0.8)
    assert fitted.recording_means_.shape == (4, 3, 2)


def test_score_is_the_density_of_samples_given_their_past(data, fitted):
    one = HiddenMarkovGraph(n_states=1, emission="mar", order=1, random_state=0).fit(data[0])
    x = data[0][0].T
    left = x[1:] - one.intercepts_[0] - x[:-1] @ one.coefficients_[0, 0].T
    precision = np.linalg.inv(one.noise_covariances_[0])
    logs = -0.5 * np.einsum("ti,ij,tj->t", left, precision, left)
    logs -= np.log(2 * np.pi) + 0.5 * np.linalg.slogdet(one.noise_covariances_[0])[1]
    np.testing.assert_allclose(one.score(data[0][:1]), logs.mean(), rtol=1e-6)
    assert fitted.score(data[0]) > one.score(data[0])


def test_samples_and_copies(data, fitted):
    X, states = fitted.sample(n_times=400, n_subjects=3, random_state=0)
    assert state_accuracy(states, fitted.predict(X)) > 0.9
    types = skops.io.get_untrusted_types(data=skops.io.dumps(fitted))
    again = skops.io.loads(skops.io.dumps(fitted), trusted=types)
    np.testing.assert_array_equal(again.predict(data[0]), fitted.predict(data[0]))


def test_no_past_at_beginnings_and_after_gaps():
    X = np.arange(8.0)[:, None] + 1
    missing = np.zeros(8, bool)
    missing[6] = True
    Y, gone = lagged(X, np.array([4, 4]), 1, missing)
    np.testing.assert_array_equal(np.flatnonzero(gone), [0, 4, 6, 7])
    np.testing.assert_array_equal(Y[1], [2, 1])


def test_gaps_are_borne(data):
    X = data[0].copy()
    X[1, :, 100:130] = np.nan
    model = HiddenMarkovGraph(n_states=3, emission="mar", order=2, missing="mask", random_state=0)
    assert state_accuracy(data[1], model.fit(X).predict(X)) > 0.93


def test_states_that_differ_in_rhythm_only_are_warned_of(data):
    X, states = data
    spread = np.stack([np.std(X[0][:, states[0] == k], axis=1) for k in range(3)])
    level = X - X.mean(2, keepdims=True)
    level = level / spread[states].transpose(0, 2, 1)
    with pytest.warns(StateWarning, match="rhythm") as caught:
        model = HiddenMarkovGraph(n_states=3, n_init=3, random_state=0).fit(level)
    assert "states-in-rhythm" in {w.message.code for w in caught}
    assert any("rhythms" in text for text in model.warnings_)
