"""Other people's sessions: pretraining, and models for one person."""

from functools import cache

import numpy as np
import pytest
from _nerve_world import classifier, decoder, nerve

from sklearn_meg import NerveFeatures
from sklearn_meg.datasets import make_nerve


@cache
def people():
    """Features of two strangers, and two days of a person: other gains, other noise."""
    X, y, person = [], [], []
    data = make_nerve((1,), n_train=4, n_test=3, n_channels=6, duration=0.4, sfreq=1000.0)
    for who in range(3):
        rng = np.random.default_rng(who)
        trials = data.X.copy()
        trials[:, :-1] *= np.exp(0.2 * rng.normal(size=(6, 1)))
        trials[:, :-1] += 0.1 * trials[:, :-1].std() * rng.normal(size=trials[:, :-1].shape)
        trials[:, -1] += 10 * who
        X, y, person = [*X, trials], [*y, data.y], [*person, np.full(len(data.y), who)]
    X = np.concatenate(X)
    F = NerveFeatures(sfreq=1000.0, hop=0.05, session_row=-1).fit_transform(X)
    return F, np.concatenate(y), np.concatenate(person)


def split():
    F, y, person = people()
    session = F[:, -1, 0]
    return person < 2, session == 20, session == 21


def model(**params):
    return classifier(sfreq=None, adaptation="batch", session_model=True, **params)


@cache
def pretrained():
    F, y, person = people()
    others = split()[0]
    return model().pretrain(F[others], y[others], person[others])


@cache
def personal():
    F, y, _ = people()
    own = split()[1]
    return pretrained().personalized(F[own], y[own])


def test_pretrained_decides_like_one_that_was_fitted():
    F, y, _ = people()
    others, _, new = split()
    fitted = model().fit(F[others], y[others])
    same = fitted.predict(F[new]) == pretrained().predict(F[new])
    assert same.mean() >= 0.7  # the drift is that within people


def test_a_person_with_others_is_no_worse_than_alone():
    F, y, _ = people()
    _, own, new = split()
    alone = model().fit(F[own], y[own]).score(F[new], y[new])
    assert personal().score(F[new], y[new]) >= alone - 0.05
    assert personal().score(F[new], y[new]) >= pretrained().score(F[new], y[new]) - 0.05
    assert not hasattr(pretrained(), "others_weight_")  # a copy


def test_others_who_mean_something_else_are_left_out():
    F, y, person = people()
    others, own, new = split()
    wrong = (y[others] + 3) % 10
    found = model().pretrain(F[others], wrong, person[others]).personalized(F[own], y[own])
    assert found.others_weight_ == 0
    alone = model().fit(F[own], y[own])
    np.testing.assert_array_equal(found.predict(F[new]), alone.predict(F[new]))


def test_names_of_people_and_order_do_not_matter():
    F, y, person = people()
    others = np.flatnonzero(split()[0])[::-1]
    names = np.array(["Ada", "Bo"])[person[others]]
    again = model().pretrain(F[others], y[others], names)
    new = split()[2]
    np.testing.assert_array_equal(again.predict(F[new]), pretrained().predict(F[new]))


def test_fit_forgets_other_people():
    F, y, person = people()
    others, own, new = split()
    found = model().pretrain(F[others], y[others], person[others]).fit(F[own], y[own])
    with pytest.raises(ValueError, match="needs the people of pretrain"):
        found.personalized(F[new], y[new])


def test_one_label_of_each_gesture_of_a_new_person():
    F, y, _ = people()
    new = np.flatnonzero(split()[2])
    shown = np.unique(y[new], return_index=True)[1]
    rest = np.setdiff1d(np.arange(len(new)), shown)
    known, asked = new[shown], new[rest]
    found = pretrained().calibrated(F[known], y[known])
    alone = classifier(sfreq=None).fit(F[known], y[known]).score(F[asked], y[asked])
    assert found.score(F[asked], y[asked]) >= alone - 0.05


def test_the_network_learns_from_others_too():
    F, y, person = people()
    few = np.isin(y, np.unique(y)[:3])
    others, own, new = (few & part for part in split())
    model = decoder(sfreq=None, adaptation="batch", max_epochs=2)
    model.pretrain(F[others], y[others], person[others])
    found = model.personalized(F[own], y[own])
    assert 0 < found.others_weight_ <= 1
    assert found.score(F[new], y[new]) > 0.5


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda m, F, y, p: m.pretrain(F, y, np.arange(len(y)) % 2), "two people"),
        (lambda m, F, y, p: m.set_params(adaptation=None).pretrain(F, y, p), "need adaptation"),
        (lambda m, F, y, p: m.pretrain(F, y, p[:-1]), "inconsistent"),
        (lambda m, F, y, p: m.pretrain(F, y, p).personalized(F, y), "not in fit"),
    ],
)
def test_people_that_cannot_be_used(change, message):
    F, y, person = people()
    others = split()[0]
    with pytest.raises(ValueError, match=message):
        change(model(), F[others], y[others], person[others])


def test_a_person_with_a_trial_of_some_gestures_needs_others():
    F, y, _ = people()
    _, own, new = split()
    few = np.flatnonzero(own)[:5]
    found = pretrained().personalized(F[few], y[few])
    assert found.others_weight_ > 0
    assert found.score(F[new], y[new]) > 0.5


@pytest.mark.filterwarnings("ignore:.*(lost-channels|unusual-session)")
def test_a_lost_channel_of_a_person():
    data = nerve()
    X = np.concatenate([data.X, data.X[data.session == 1]])
    X[len(data.X) :, -1], X[len(data.X) :, 0] = 9, 0.0
    y = np.append(data.y, data.y[data.session == 1])
    others, own, new = (X[:, -1, 0] == s for s in (0, 1, 9))
    model = classifier(adaptation="batch", session_model=True)
    model.pretrain(X[others], y[others], y[others] * 0)
    found = model.personalized(X[own], y[own])
    assert found.score(X[new], y[new]) > 0.5
