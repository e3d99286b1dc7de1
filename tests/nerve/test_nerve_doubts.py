"""What nerve decoders say of data that break an assumption."""

import warnings

import numpy as np
import pytest
from _nerve_world import HOP, SFREQ, classifier, first_day, nerve

from sklearn_meg import WindowClassifier
from sklearn_meg.exceptions import AssumptionWarning


def day(session):
    data = nerve()
    chosen = data.session == session
    return data.X[chosen].astype(float), data.y[chosen]


@pytest.fixture(scope="module")
def model():
    return first_day(classifier, session_model=True)


def test_trials_of_the_same_day_are_usual_and_noise_is_not(model):
    X, _ = day(1)
    noise = X.copy()
    noise[:, :-1] = 5 * np.random.default_rng(0).normal(size=noise[:, :-1].shape)
    assert model.is_unusual(X).mean() < 0.15
    assert model.is_unusual(noise).mean() > 0.9
    assert len(model.usual_scores_) == len(day(0)[0])


def test_a_session_unlike_those_of_fit_is_told(model):
    X, y = day(1)
    X[:, :-1] *= 10
    with pytest.warns(AssumptionWarning, match="unusual-session"):
        assert model.score(X, y) < 0.5


def test_electrodes_that_come_off_within_a_session_are_told(model):
    X, y = day(1)
    late = np.arange(len(X)) >= 0.6 * len(X)
    X[late, :-1] *= np.exp(0.3 * np.random.default_rng(1).normal(size=(8, 1)))
    with pytest.warns(AssumptionWarning, match="unlike those of fit, and adaptation would decide"):
        assert model.score(X, y) < 0.8


def test_no_session_is_named_where_there_are_several(model):
    X = np.concatenate([day(1)[0], 5 * day(2)[0]])
    X[:, -1] = np.repeat([1, 2], len(X) // 2)[:, np.newaxis]
    with pytest.warns(AssumptionWarning, match="of the trials of X are unlike"):
        model.predict(X)


@pytest.mark.parametrize("numbered", [False, True])
def test_days_of_training_do_not_make_every_other_day_usual(numbered):
    """Also where these are told apart and the classifier adapts to none of them."""
    X, y = (np.concatenate(each) for each in zip(*(day(each) for each in (0, 1, 0, 1))))
    session = np.repeat(np.arange(4), len(X) // 4)
    X[:, :-1] *= np.exp(0.2 * np.random.default_rng(0).normal(size=(4, 8, 1)))[session]
    X[:, -1] = session[:, np.newaxis]
    columns = slice(None) if numbered else slice(-1)
    row = -1 if numbered else None
    model = WindowClassifier(sfreq=SFREQ, hop=HOP, session_row=row, session_model=True)
    model.fit(X[:, columns], y, groups=None if numbered else session)
    later, y_later = day(2)
    with pytest.warns(AssumptionWarning, match="unusual-session"):
        assert model.score(later[:, columns], y_later) < 0.8


@pytest.mark.parametrize("told", [False, True])
def test_a_session_of_fewer_trials_than_two_a_class(model, told):
    X = day(1)[0][:12]
    if told:
        X[:, :-1] *= np.exp(0.3 * np.random.default_rng(1).normal(size=(8, 1)))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.predict(X)
    assert [each.message.code for each in caught] == ["unusual-session"] * told


def test_labels_that_are_wrong_are_told():
    X, y = day(0)
    with pytest.warns(AssumptionWarning, match="undecidable"):
        classifier(session_model=True).fit(X, np.random.default_rng(0).permutation(y))


def test_copies_are_told():
    X, y = day(0)
    with pytest.warns(AssumptionWarning, match="10 of 70 trials of X occur more than once"):
        classifier().fit(np.concatenate([X, X[:10]]), np.concatenate([y, y[:10]]))


def test_a_saturated_amplifier_is_told(model):
    X, _ = day(1)
    X[:, 2] = np.clip(X[:, 2], -X[:, 2].std(), X[:, 2].std())
    with pytest.warns(AssumptionWarning) as told:
        model.predict(X)
    assert str(told[0].message).startswith("Channels 2 (from 0) are at their largest value")
    assert [each.message.code for each in told] == ["saturated", "unusual-session"]


@pytest.mark.parametrize("mains", [50, 60])
def test_hum_of_the_mains_is_told(model, mains):
    X, _ = day(1)
    time = np.arange(X.shape[2]) / SFREQ
    X[:, :-1] += 3 * X[:, :-1].std() * np.sin(2 * np.pi * mains * time)
    with pytest.warns(AssumptionWarning) as told:
        model.predict(X)
    assert "mains-hum" in [each.message.code for each in told]


def test_other_gains_are_not_told_where_no_decision_suffers(model):
    X, y = day(1)
    X[:, :-1] *= 1.5
    assert model.is_unusual(X).mean() > 0.5
    assert model.score(X, y) > 0.9


def test_raw_signals_that_are_taken_for_features_are_told():
    X, y = day(0)
    with pytest.warns(AssumptionWarning, match="X has 600 samples a trial.*Give sfreq"):
        classifier(sfreq=None).fit(X, y)


def test_unusual_trials_need_a_model_of_sessions():
    assert not hasattr(first_day(classifier), "is_unusual")
