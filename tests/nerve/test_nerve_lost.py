"""Channels that a session has lost: found, left out, and told."""

from functools import cache

import numpy as np
import pytest
from _nerve_world import SFREQ, classifier, first_day, nerve, other_gains

from sklearn_meg.exceptions import AssumptionWarning
from sklearn_meg.nerve import NerveFeatures, NerveStream
from sklearn_meg.nerve._lost import without

LOST = 2
SAID = "Channels without a signal: 2"


@cache
def fitted(adaptation="batch", channels=8):
    """A model of the training day, of all channels or of those but one."""
    if channels == 8:
        return first_day(classifier, adaptation, session_model=True)
    X, y = day(0)
    X = np.delete(X, LOST, axis=1)
    return classifier(adaptation=adaptation, session_model=True).fit(X, y)


def day(session):
    data = nerve()
    chosen = data.session == session
    return data.X[chosen].astype(float), data.y[chosen]


def spoiled(X, kind):
    X = X.copy()
    size = X[:, LOST].shape
    X[:, LOST] = 0.0 if kind == "flat" else 30 * np.random.default_rng(0).normal(size=size)
    return X


def test_features_without_a_channel_are_those_of_the_others():
    X = day(1)[0][:5, :-1]
    lost = np.arange(8) == LOST
    whole = NerveFeatures(sfreq=SFREQ).fit(X)
    part = NerveFeatures(sfreq=SFREQ).fit(X[:, ~lost])
    found = without(whole.transform(X), lost, 14)
    np.testing.assert_allclose(found, part.transform(X[:, ~lost]), rtol=1e-6, atol=1e-6)


@other_gains
@pytest.mark.parametrize("kind", ["flat", "noise"])
def test_a_lost_channel_costs_no_more_than_to_record_without_it(kind):
    X, y = day(2)
    with pytest.warns(UserWarning, match=SAID):
        score = fitted().score(spoiled(X, kind), y)
    assert score >= fitted(channels=7).score(np.delete(X, LOST, axis=1), y) - 0.02


def test_sound_channels_are_kept(recwarn):
    for session in (1, 2):
        fitted().predict(day(session)[0])
    assert not len(recwarn)


def test_a_channel_that_was_dead_in_training_may_come_back():
    X, y = day(0)
    X[:, LOST] = 0.0
    model = classifier(session_model=True, adaptation="batch").fit(X, y)
    X, y = day(1)
    back = model.score(X, y)
    X[:, LOST] = 0.0
    assert back >= model.score(X, y) - 0.02


@pytest.mark.parametrize("adaptation", [None, "online"])
def test_a_stream_decides_without_a_flat_channel_as_predict_does(adaptation):
    model, X = fitted(adaptation), spoiled(day(2)[0], "flat")[:10]
    with pytest.warns(UserWarning, match=SAID):
        expected = model.predict_windows(X)
    stream = NerveStream(model)
    for trial, labels in zip(X, expected, strict=True):
        assert [d.label for d in stream.push(trial[:-1])] == labels.tolist()
        stream.end_trial()


@other_gains
@pytest.mark.filterwarnings("ignore:.*doubtful-session")  # half of the other trials are wrong
def test_only_the_trials_that_lost_a_channel_are_decided_without_it():
    X, _ = day(2)
    X[::2] = spoiled(X[::2], "flat")
    with pytest.warns(UserWarning, match=SAID):
        found = fitted().predict(X)
    with pytest.warns(UserWarning, match=SAID):
        without_it = fitted().predict(spoiled(X, "flat"))
    np.testing.assert_array_equal(found[1::2], fitted().predict(X[1::2]))
    np.testing.assert_array_equal(found[::2], without_it[::2])


def test_a_stream_goes_on_from_its_state_without_the_channel():
    model, X = fitted("online"), spoiled(day(2)[0], "flat")[:6, :-1]
    one = NerveStream(model)
    for trial in X[:4]:
        one.push(trial)
        one.end_trial()
    other = NerveStream(model, state=one.state())
    for trial in X[4:]:
        pairs = zip(one.push(trial), other.push(trial), strict=True)
        assert all(a.probability == b.probability for a, b in pairs)


def test_labels_are_known_without_the_channel():
    X, y = day(2)
    X = spoiled(X, "flat")
    first = np.unique(y, return_index=True)[1]
    rest = np.setdiff1d(np.arange(len(y)), first)
    with pytest.warns(UserWarning, match=SAID):
        before = fitted().score(X[rest], y[rest])
    with pytest.warns(UserWarning, match=SAID):
        assert fitted().calibrated(X[first], y[first]).score(X[rest], y[rest]) >= before


def test_a_session_that_fails_is_told():
    X, y = day(2)
    shuffled = X.copy()
    shuffled[:, :-1] = X[:, np.random.default_rng(0).permutation(8)]
    model = fitted()
    expected = model.expected_accuracy(X), model.expected_accuracy(shuffled)
    assert np.isnan(model.expected_accuracy(day(0)[0])).all()  # the session of fit
    assert expected[0].min() > expected[1].max() + 0.1
    assert model.score(X, y) > 0.7
    with pytest.warns(UserWarning, match="decisions are probably wrong"):
        assert model.score(shuffled, y) < 0.5


def test_nothing_is_expected_without_adaptation():
    with pytest.raises(ValueError, match="needs a model of sessions"):
        fitted(None).expected_accuracy(day(2)[0])


@pytest.mark.filterwarnings("ignore:.*doubtful-session")  # while the noise is not found
def test_noise_is_found_in_time():
    X, y = day(2)
    with pytest.warns(AssumptionWarning, match=SAID):
        found = fitted("online").predict(spoiled(X, "noise"))
    later = np.arange(len(y)) >= 30
    without_it = fitted("online", 7).predict(np.delete(X, LOST, axis=1))
    right = [np.mean((each == y)[later]) for each in (found, without_it)]
    assert right[0] >= right[1] - 0.05


def test_a_stream_finds_noise_as_predict_does_and_goes_on_from_its_state():
    model, X = fitted("online"), spoiled(day(2)[0], "noise")[:40]
    with pytest.warns(AssumptionWarning, match=SAID):
        expected = model.predict_windows(X)
    stream = NerveStream(model)
    for k, (trial, labels) in enumerate(zip(X, expected, strict=True)):
        if k == 30:
            stream = NerveStream(model, state=stream.state())
        assert [d.label for d in stream.push(trial[:-1])] == labels.tolist()
        stream.end_trial()
    assert stream.channels.noisy.tolist() == [c == LOST for c in range(8)]


def test_noise_is_found_without_adaptation():
    model, (X, y) = fitted(None), day(1)
    with pytest.warns(AssumptionWarning, match=SAID):
        assert model.score(spoiled(X, "noise"), y) > 0.9
