"""Trials of unequal length: lists, and arrays that end with NaN."""

import numpy as np
import pytest
from _nerve_world import classifier, first_day, nerve, regressor

N_TIMES = 600


def day(session):
    data = nerve()
    chosen = data.session == session
    return data.X[chosen].astype(float), data.y[chosen]


def length(k):
    return N_TIMES - 30 * (k % 5)


def cut(X):
    return [trial[:, : length(k)] for k, trial in enumerate(X)]


def padded(X):
    X = X.copy()
    for k, trial in enumerate(X):
        trial[:-1, length(k) :] = np.nan
    return X


@pytest.mark.parametrize("adaptation", [None, "batch", "online"])
def test_trials_of_unequal_length_are_decided(adaptation):
    model = first_day(classifier, adaptation, session_model=True)
    X, y = day(1)
    X, y = X[:30], y[:30]
    found = model.predict_proba(cut(X))
    assert np.mean(model.classes_[found.argmax(1)] == y) > 0.85
    np.testing.assert_array_equal(model.predict_proba(padded(X)), found)
    assert model.predict_windows(cut(X)).shape == model.predict_windows(X).shape


def test_trials_of_unequal_length_are_learned_from():
    X, y = day(0)
    model = classifier(session_model=True).fit(cut(X), y)
    same = classifier(session_model=True).fit(padded(X), y)
    np.testing.assert_array_equal(model.thresholds_, same.thresholds_)
    assert model.score(*day(1)) > 0.9


def test_a_list_of_trials_of_one_length_is_an_array():
    X, y = day(0)
    model = classifier().fit(list(X), y)
    np.testing.assert_array_equal(model.predict_proba(X), first_day(classifier).predict_proba(X))


def test_features_of_unequal_length_are_stretched_too():
    X, y = day(0)
    features = [trial[:, : 20 + k % 3] for k, trial in enumerate(X[:, :, ::20])]
    model = classifier(sfreq=None).fit(features, y)
    assert model.n_windows_ == 21
    assert model.predict(features[:4]).shape == (4,)


def test_what_cannot_be_stretched_is_refused():
    X, y = day(0)
    model = first_day(classifier, session_model=True)
    with pytest.raises(ValueError, match="with the same rows. Got rows or shapes 8, 9"):
        model.predict([X[0, 1:, :500], X[1]])
    with pytest.raises(ValueError, match="No trial of X may be empty"):
        model.predict([X[0, :, :0], X[1]])
    with pytest.raises(ValueError, match="has 100 samples. Got trials of 90"):
        model.predict([X[0, :, :90], X[1]])
    with pytest.raises(ValueError, match="ring=True needs trials of one length"):
        classifier(ring=True, session_model=True, adaptation="batch").fit(cut(X), y)
    gap = padded(X)
    gap[0, 2, 100] = np.nan
    with pytest.raises(ValueError, match="contains NaN"):
        model.predict(gap)


def test_movements_need_trials_of_one_length():
    X, _ = day(0)
    with pytest.raises(ValueError, match=r"Cut them to 480, .* or give them to stream"):
        regressor().fit(cut(X), None)
