"""Probabilities of decisions: how often a decision that says .8 is right."""

from copy import deepcopy

import numpy as np
import pytest
from _nerve_world import decoder, first_day, nerve, other_gains
from scipy.special import log_softmax, softmax
from sklearn.metrics import log_loss

from benchmarks.nerve.scores import calibration_error
from sklearn_meg import NerveDecoder, WindowClassifier
from sklearn_meg.nerve._calibration import _folds, temperature
from sklearn_meg.nerve._discriminants import of_trials


def part(session):
    data = nerve()
    chosen = data.session == session
    return data.X[chosen], data.y[chosen]


@pytest.fixture(scope="module")
def trained():
    return first_day(decoder, max_epochs=20)


@pytest.mark.parametrize("adaptation", ["batch", "online"])
@pytest.mark.parametrize("session", [1, 2])
def test_windows_are_right_about_as_often_as_they_say(trained, session, adaptation):
    X, y = part(session)
    model = deepcopy(trained).set_params(adaptation=adaptation)
    raw = deepcopy(model)
    raw.temperatures_ = np.ones(3)
    errors = []
    for each in (model, raw):
        stated = each.predict_proba_windows(X)
        right = each.classes_[stated.argmax(1)] == y[:, np.newaxis]
        errors.append(calibration_error(stated.max(1), right))
    if session == 1:  # the day of training
        assert errors[0] < min(0.1, 0.9 * errors[1])
    else:  # of which training knows nothing
        assert errors[0] < min(0.2, 1.1 * errors[1])


@other_gains
@pytest.mark.parametrize("adaptation", [None, "batch", "online"])
def test_temperature_changes_no_decision_of_windows(trained, adaptation):
    X = part(2)[0]
    model = deepcopy(trained).set_params(adaptation=adaptation)
    hotter = deepcopy(model)
    hotter.temperatures_ = model.temperatures_ * [1, 10, 1]
    np.testing.assert_array_equal(hotter.predict_windows(X), model.predict_windows(X))
    stated = [each.predict_proba_windows(X).max(1) for each in (hotter, model)]
    assert (stated[0] <= stated[1]).all()


@pytest.mark.parametrize("cls", [NerveDecoder, WindowClassifier])
def test_trials_that_nothing_adapts_to_are_less_certain_than_network_and_discriminant(cls):
    rng, n_groups = np.random.default_rng(1), 24
    y, groups = np.tile(np.arange(4), 4 * n_groups), np.repeat(np.arange(n_groups), 16)
    means = 2 * rng.normal(size=(4, 6, 1)) + rng.normal(size=(n_groups, 4, 6, 1))
    X = means[groups, y] + rng.normal(size=(len(y), 6, 10))
    new = groups >= 12
    network = {"max_epochs": 2, "random_state": 0} if cls is NerveDecoder else {}
    model = cls(**network, **({} if network else {"session_model": True}))
    model.fit(X[~new], y[~new], groups=groups[~new])
    raw = deepcopy(model)
    raw.temperatures_ = np.ones(3)
    np.testing.assert_array_equal(raw.predict(X[new]), model.predict(X[new]))
    surprise = [log_loss(y[new], each.predict_proba(X[new])) for each in (model, raw)]
    assert surprise[0] < 0.6 * surprise[1]


def test_groups_that_differ_are_left_out_whole():
    rng, groups = np.random.default_rng(5), np.repeat(np.arange(6), 32)
    y = np.tile(np.arange(4), 48)
    means = 2 * rng.normal(size=(4, 6, 1)) + rng.normal(size=(6, 4, 6, 1))
    X = means[groups, y] + rng.normal(size=(len(y), 6, 10))
    model = WindowClassifier(session_model=True)
    trials = model.fit(X, y).temperatures_[2]
    assert model.fit(X, y, groups=groups).temperatures_[2] > 1.3 * trials


def test_fitting_again_gives_the_same_temperatures(trained):
    again = deepcopy(trained).fit(*part(0))
    np.testing.assert_array_equal(again.temperatures_, trained.temperatures_)


@pytest.mark.parametrize("true", [1.0, 3.0, 20.0])
def test_a_known_temperature_is_found(true):
    rng = np.random.default_rng(0)
    logs = 2 * rng.normal(size=(5000, 4))
    y = np.array([rng.choice(4, p=p) for p in softmax(logs, axis=1)])
    assert temperature(log_softmax(true * logs, axis=1), y) == pytest.approx(true, rel=0.05)
    windows = np.repeat((true * logs)[:, :, np.newaxis], 3, axis=2)
    assert temperature(windows, y) == pytest.approx(true, rel=0.05)


def test_decisions_that_were_never_wrong_are_not_certain():
    logs = np.where(np.eye(2)[np.arange(20) % 2], 0.0, -500.0)
    cooled = softmax(logs / temperature(logs, np.arange(20) % 2), axis=1)
    assert cooled.max() == pytest.approx(21 / 22, abs=1e-3)


@pytest.mark.parametrize(
    "y, session, expected",
    [
        ([0, 1] * 3, [0, 0, 1, 1, 2, 2], [[0, 1], [2, 3], [4, 5]]),  # whole sessions
        ([0, 1] * 2, [0] * 4, [[0, 1], [2, 3]]),  # one session: trials of each class
        ([0, 0, 1, 1], [0, 0, 1, 1], [[0, 2], [1, 3]]),  # a class in one session only
        ([0, 0, 1], [0] * 3, []),  # a class with one trial
    ],
)
def test_what_is_left_out(y, session, expected):
    folds = _folds(np.array(y), np.array(session))
    assert [fold.tolist() for fold in folds] == expected


def test_few_trials_leave_probabilities_as_they_are():
    X, y = part(0)
    first = np.unique(y, return_index=True)[1]
    np.testing.assert_array_equal(decoder().fit(X[first], y[first]).temperatures_, 1)


@pytest.mark.parametrize("apart", [0.0, 2.0])
def test_windows_of_a_trial_are_one_sample_where_trials_differ(apart):
    rng, n = np.random.default_rng(0), 260
    y = np.arange(n) % 2
    X = apart * rng.normal(size=(n, 1, 1)) + 0.3 * rng.normal(size=(n, 3, 30))
    X[:, :2] += rng.normal(size=(n, 1, 30)) * np.array([[1.0], [-1.0]])
    X[:, 0] += 2 * y[:, np.newaxis]  # a motion is what the second feature does not share
    X[:, 2] = 0.0  # the session
    model = WindowClassifier(session_row=-1, adaptation="batch", session_model=True)
    model.fit(X[:60], y[:60])
    assert (model.share_ < 1) == (apart > 0)
    assert model.score(X[60:], y[60:]) > 0.9


def test_discriminants_of_trials_have_the_covariance_of_their_means():
    rng, y = np.random.default_rng(0), np.arange(4000) % 2
    Z = np.array([[1.0], [2.0], [3.0]]) * rng.normal(size=(4000, 3, 1)) + 5 * y[:, None, None]
    Z = Z + 0.5 * rng.normal(size=(4000, 3, 8))
    means, covariance, axes = of_trials(Z, y, 0.1)
    np.testing.assert_allclose(means, [[0] * 3, [5] * 3], atol=0.3)
    expected = np.array([1, 4, 9]) + 0.25 / 8 + 0.1 * 0.25 * 7 / 8
    np.testing.assert_allclose(covariance, np.diag(expected), atol=0.3, rtol=0.1)
    np.testing.assert_allclose(axes.T @ covariance @ axes, np.eye(3), atol=1e-9)
