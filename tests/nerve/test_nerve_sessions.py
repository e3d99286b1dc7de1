"""New sessions: labels of a few trials, sessions that are mostly rest, sessions with names."""

from copy import deepcopy
from functools import cache

import numpy as np
import pytest
from _nerve_world import classifier, first_day, nerve

from sklearn_meg.datasets import make_nerve
from sklearn_meg.nerve import NerveStream


@cache
def parts(session):
    data = nerve()
    chosen = data.session == session
    return data.X[chosen], data.y[chosen]


@cache
def trained(adaptation):
    return first_day(classifier, adaptation, session_model=True)


def split():
    """The drifted session: one trial of each gesture, and the others."""
    X, y = parts(2)
    first = np.isin(np.arange(len(y)), np.unique(y, return_index=True)[1])
    return X[first], y[first], X[~first], y[~first]


@pytest.mark.filterwarnings("ignore:.*doubtful-session")  # online .42 are right without labels
@pytest.mark.parametrize("adaptation", ["batch", "online"])
def test_one_label_of_each_gesture_helps(adaptation):
    labeled, y, X, true = split()
    model = trained(adaptation)
    before, few = model.score(X, true), model.predict_proba(X[:5])
    calibrated = model.calibrated(labeled, y)
    alone = classifier().fit(labeled, y).score(X, true)
    assert calibrated.score(X, true) >= max(before, alone) - 0.02
    np.testing.assert_array_equal(model.predict_proba(X[:5]), few)  # calibrated is a copy


def test_labels_of_all_gestures_are_enough_whatever_comes_next():
    labeled, y, X, true = split()
    model = trained("online").calibrated(labeled, y)
    blocks = np.argsort(true, kind="stable")  # one gesture after the other
    alone = classifier().fit(labeled, y).score(X, true)
    assert model.score(X[blocks], true[blocks]) >= alone - 0.02
    stream = NerveStream(model, session=2)
    again = NerveStream(model, state=stream.state())
    for trial in X[:3]:
        assert [len(each.push(trial[:-1])) for each in (stream, again)] == [11, 11]
        assert stream.end_trial() == again.end_trial()


def test_labels_come_in_parts():
    labeled, y, X, _ = split()
    model = trained("batch")
    whole = model.calibrated(labeled, y)
    parts = model.calibrated(labeled[:4], y[:4]).partial_fit(labeled[4:], y[4:])
    np.testing.assert_allclose(parts.predict_proba(X), whole.predict_proba(X))


def test_partial_fit_begins_with_fit():
    X, y = parts(0)
    model = classifier(adaptation="batch", session_model=True).partial_fit(X, y)
    np.testing.assert_array_equal(model.predict(parts(2)[0]), trained("batch").predict(parts(2)[0]))


@cache
def sparse():
    """Trials of a nerve with few spikes: of training, the same day and two after little drift."""
    small = {"n_train": 6, "n_test": 4, "n_channels": 8, "duration": 0.6, "sfreq": 2000.0}
    return make_nerve((0, 1, 1), firing="sparse", noise=0.5, random_state=1, **small)


@pytest.mark.filterwarnings("ignore:.*doubtful-session")  # of one session .6 are right
def test_adaptation_in_time_costs_nothing_where_little_has_changed():
    data = sparse()
    train = data.session == 0
    model = classifier(sfreq=data.sfreq, session_model=True, adaptation="online")
    online = model.fit(data.X[train], data.y[train])
    fixed = deepcopy(online).set_params(adaptation=None)
    X, y = data.X[~train], data.y[~train]
    assert online.score(X, y) >= fixed.score(X, y) - 0.05  # six of 120 trials


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda m, X, y: (m, parts(0)[0], parts(0)[1]), "sessions that were not in fit"),
        (lambda m, X, y: (m, X, y + 50), "classes of fit"),
        (lambda m, X, y: (m, X, y[:-1]), "inconsistent"),
        (lambda m, X, y: (first_day(classifier), X, y), "need adaptation"),
    ],
)
def test_labels_that_cannot_be_used(spoil, message):
    model, X, y = spoil(trained("batch"), *split()[:2])
    with pytest.raises(ValueError, match=message):
        model.calibrated(X, y)


@pytest.mark.parametrize("adaptation", ["batch", "online"])
@pytest.mark.parametrize("share", [0.5, 0.8])
def test_a_session_of_mostly_one_gesture_is_not_ruined(adaptation, share):
    X, y = parts(1)
    rng = np.random.default_rng(0)
    often, others = np.flatnonzero(y == 0), np.flatnonzero(y != 0)
    others = rng.choice(others, 20, replace=False)
    n = round(len(others) * share / (1 - share))
    index = rng.permutation(np.concatenate([others, rng.choice(often, n)]))
    new = X[index] + 0.01 * rng.normal(size=X[index].shape)
    new[:, -1] = 7
    fixed = trained("batch").set_params(adaptation=None).score(new, y[index])
    model = trained("batch").set_params(adaptation=adaptation)
    assert model.score(new, y[index]) >= fixed - 0.08
    model.set_params(adaptation="batch")


def test_labels_help_where_half_of_the_gestures_are_made():
    X, y = parts(2)
    first = np.array([np.flatnonzero(y == c)[:4] for c in range(5)])
    shown, rest = first[:, 0], first[:, 1:].ravel()
    model = trained("batch")
    assert model.calibrated(X[shown], y[shown]).score(X[rest], y[rest]) >= 0.8


def test_a_stream_begins_with_the_labels_of_its_session():
    labeled, y, X, true = split()
    model = trained("online").calibrated(labeled, y)
    stream = NerveStream(model, session=2)
    found = []
    for trial in X[:10]:
        stream.push(trial[:-1])
        found.append(stream.end_trial())
    np.testing.assert_array_equal(found, model.predict(X[:10]))


def test_labels_at_the_end_of_trials_and_later():
    X, y = parts(2)
    model = trained("online")
    late, early, none = (NerveStream(model) for _ in range(3))
    for trial, label in zip(X[:12], y[:12], strict=True):
        for stream in (late, early, none):
            stream.push(trial[:-1])
        early.end_trial(label)
        late.end_trial()
        late.correct(label)
        none.end_trial()
    found = [stream.session.sorter.labels for stream in (early, late)]
    np.testing.assert_array_equal(found[0], found[1])
    assert np.abs(early.session.sorter.shifts - none.session.sorter.shifts).max() > 0
    with pytest.raises(ValueError, match="trials_ago must be less than the 12"):
        late.correct(y[0], trials_ago=12)
    with pytest.raises(ValueError, match="label must be a class of fit"):
        late.correct(99)
    with pytest.raises(ValueError, match="does not adapt"):
        NerveStream(trained("online"), session=0).correct(y[0])


def test_a_known_session_in_a_stream_is_decided_as_in_a_batch():
    X, _ = parts(0)
    model = trained("online")
    stream = NerveStream(model, session=0)
    labels = [d.label for d in stream.push(X[0, :-1])]
    np.testing.assert_array_equal(labels, model.predict_windows(X[:1])[0])


def test_a_stream_without_ends_follows_the_motions():
    X, y = parts(1)
    stream = NerveStream(trained("online"))
    n = X.shape[2]
    labels = {}
    for trial, true in zip(X[:20], y[:20], strict=True):
        for decision in stream.push(trial[:-1]):
            labels[round(decision.time, 3)] = decision.label, true
    late = [pair for time, pair in labels.items() if (time % (n / 1000)) > 0.4]
    assert np.mean([label == true for label, true in late]) > 0.7


@cache
def ring():
    """Raw trials of eight electrodes around an arm: gestures are bumps of activity on the ring."""
    rng = np.random.default_rng(0)
    y = np.tile(np.arange(6), 24)
    angle = 2 * np.pi * np.arange(8) / 8
    power = np.exp(
        2.5 * np.cos(angle - 2 * np.pi * np.array([0, 1, 1.6, 2.5, 4, 4.7])[:, None] / 6)
    )
    X = rng.normal(size=(len(y), 8, 400)) * np.sqrt(power[y])[:, :, None]
    day = np.repeat([0.0, 1.0, 2.0], 48)
    row = np.broadcast_to(day[:, None, None], (len(y), 1, 400))
    return np.concatenate([X, row], axis=1), y, day


@pytest.mark.parametrize("adaptation", ["batch", "online"])
def test_a_ring_that_was_turned_is_turned_back(adaptation):
    X, y, day = ring()
    model = classifier(adaptation=adaptation, session_model=True, ring=True).fit(
        X[day < 2], y[day < 2]
    )
    new, true = X[day == 2], y[day == 2]
    moved = new.copy()
    moved[:, :8] = np.roll(new[:, :8], 1, axis=1)
    message = "ring of electrodes seems turned by 1"
    if adaptation == "batch":
        with pytest.warns(UserWarning, match=message):
            found = model.predict(moved)
        assert np.mean(found == true) >= 0.9 * model.score(new, true)
    with pytest.warns(UserWarning, match=message):
        labeled = model.calibrated(moved[:6], true[:6])
    assert labeled.score(moved[6:], true[6:]) >= 0.9 * model.score(new[6:], true[6:])


def test_a_ring_needs_raw_signals():
    X, y, _ = ring()
    with pytest.raises(ValueError, match="ring=True turns raw signals"):
        classifier(sfreq=None, ring=True).fit(X, y)


def test_motions_that_were_not_trained_are_novel():
    X, y = parts(0)
    model = classifier(adaptation="batch", session_model=True).fit(X[y > 2], y[y > 2])
    new, true = parts(1)
    score = model.novelty(new)
    assert np.median(score[true <= 2]) > np.median(score[true > 2])
    with pytest.raises(ValueError, match="novelty needs a model of sessions"):
        first_day(classifier).novelty(new)
