"""Wrong input is an error before any computation, and says what was expected and what came."""

import pickle
from functools import cache

import numpy as np
import pytest
import scipy.sparse
from _nerve_world import QUICK, small
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Lasso

from sklearn_meg import (
    KalmanRegressor,
    NerveDecoder,
    NerveFeatures,
    NerveRegressor,
    WindowClassifier,
    WindowRegressor,
)
from sklearn_meg.nerve import NerveStream, disturbed_sessions

CLASSIFIERS = (NerveDecoder, WindowClassifier)
DECODERS = (*CLASSIFIERS, NerveRegressor, WindowRegressor, KalmanRegressor)
EVERY = (*DECODERS, NerveFeatures)


def make(cls, **params):
    quick = QUICK if cls in (NerveDecoder, NerveRegressor) else {}
    return cls(**{"sfreq": 1000.0, "session_row": -1, **quick, **params})


def target(cls):
    X, y, _ = small()
    if cls in CLASSIFIERS:
        return y
    n_windows = len(NerveFeatures(sfreq=1000.0).window_ends(X.shape[2]))
    return np.random.default_rng(0).normal(size=(len(X), 2, n_windows))


@cache
def asked(cls):
    """A fitted model that nobody changes."""
    return make(cls).fit(small()[0], target(cls))


def changed(row, value):
    X = small()[0].copy()
    X[4, row, 7] = value
    return X


BAD_X = {
    "NaN": (lambda X: changed(1, np.nan), r"contains NaN\. Leave these trials out"),
    "infinity": (lambda X: changed(1, -np.inf), "infinity"),
    "NaN as session": (lambda X: changed(-1, np.nan), "NaN"),
    "4-D": (lambda X: X[..., np.newaxis], "must have the shape"),
    "one trial": (lambda X: X[0], r"Got \(5, 300\)|A window of 0.1 s|session_row"),
    "1-D": (lambda X: X[:, 0, 0], "Expected 2D array|must have the shape|1D array"),
    "no trials": (lambda X: X[:0], "0 sample"),
    "no samples": (lambda X: X[:, :, :0], "0 sample"),
    "no channels": (lambda X: X[:, :0], r"0 sample\(s\), row\(s\)"),
    "complex": (lambda X: X * 1j, "Complex"),
    "text": (lambda X: np.full(X.shape, "a"), "convert|numeric"),
    "sparse": (lambda X: scipy.sparse.csr_matrix(X[:, :, 0]), "[Ss]parse"),
    "huge": (lambda X: 1e200 * X.astype(float), r"up to .*e\+20\d"),
    "too short": (
        lambda X: X[:, :, :99],
        r"A window of 0.1 s .* has 100 samples. Got trials of 99. X is \(n_trials, n_ch",
    ),
    "session changes": (lambda X: changed(-1, 7), "constant within a trial. Trial 4 holds"),
    "only the session": (lambda X: X[:, -1:], "one of the rows of X beside others"),
    "masked": (lambda X: np.ma.masked_greater(X, X.max() / 2), "Masked arrays"),
}


@pytest.mark.parametrize("what", BAD_X)
@pytest.mark.parametrize("cls", EVERY)
def test_bad_X(cls, what):
    spoil, message = BAD_X[what]
    X, y = small()[0], target(cls)
    bad = spoil(X)
    with pytest.raises((ValueError, TypeError), match=message):
        make(cls).fit(bad, y[: bad.shape[0]])
    model = asked(cls)
    if what != "only the session":
        with pytest.raises(
            (ValueError, TypeError), match=message + "|features|rows|A single trial"
        ):
            (model.transform if cls is NerveFeatures else model.predict)(bad)


@pytest.mark.parametrize("cls", EVERY)
def test_another_number_of_channels(cls):
    X, model = small()[0], asked(cls)
    use = model.transform if cls is NerveFeatures else model.predict
    with pytest.raises(ValueError, match="4 features.* 5 features"):
        use(X[:, 1:])
    with pytest.raises(ValueError, match=r"\(n_trials, 5, n_times\).*X\[np.newaxis\]"):
        use(X[0])


BAD_PARAMS = {
    "sfreq": [0.0, -1.0, np.nan, np.inf, "1", True],
    "window": [0.0, -0.1, np.nan, None, "0.1"],
    "hop": [0.0, -0.1, np.nan, None, 20.0],
    "features": ["rms", ["rms", "ems"], [], 5, [3], ["rms", "rms"]],
    "covariance": ["no", None, 1],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in BAD_PARAMS.items() for value in values]
)
@pytest.mark.parametrize("cls", EVERY)
def test_bad_windows_and_features(cls, name, value):
    X, y = small()[0], target(cls)
    other = {"covariance": False} if value == [] else {}
    with pytest.raises((ValueError, TypeError), match=f"'?{name}'?.* Got|{name}.*leave no"):
        make(cls, **{name: value}, **other).fit(X, y)


@pytest.mark.parametrize("cls", EVERY)
def test_no_feature_is_left(cls):
    with pytest.raises(ValueError, match="features=None and covariance=False leave no feature"):
        make(cls, features=None, covariance=False).fit(small()[0], target(cls))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (5, "session_row must select one of the rows of X.*Got 5 for 5 rows"),
        (-6, "Got -6 for 5 rows"),
        ("last", "session_row must be an int or None. Got 'last'"),
        (True, "session_row must be an int or None. Got True"),
        (1.0, "session_row must be an int or None. Got 1.0"),
        (0, "constant within a trial"),
    ],
)
@pytest.mark.parametrize("cls", EVERY)
def test_bad_session_rows(cls, value, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make(cls, session_row=value).fit(small()[0], target(cls))


def test_dates_as_sessions_in_single_precision():
    X, y, _ = small()
    X = X.astype(np.float64)
    X[:, -1] = 20261128 + np.arange(len(X))[:, np.newaxis] % 2
    model = make(WindowClassifier).fit(X, y)
    np.testing.assert_array_equal(model.sessions_, [20261128, 20261129])
    with pytest.raises(ValueError, match="float32 takes .* 20261128 for the same session.*float64"):
        make(WindowClassifier).fit(X.astype(np.float32), y)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"adaptation": "batch", "session_row": None}, "say in which row.*session_row=None"),
        ({"adaptation": "offline"}, r"None, 'batch', 'online'. Got 'offline'"),
        ({"adaptation": True}, "'adaptation' parameter .* Got True"),
        ({"prior_trials": 0.0}, "'prior_trials' parameter .* Got 0.0"),
        ({"prior_trials": np.nan}, "'prior_trials' parameter .* Got nan"),
        ({"prior_trials": "4"}, "'prior_trials' parameter .* Got '4'"),
    ],
)
@pytest.mark.parametrize("cls", DECODERS)
def test_bad_adaptation(cls, params, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make(cls, **params).fit(small()[0], target(cls))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda y: None, "requires y"),
        (lambda y: y[:-1], "inconsistent numbers of samples"),
        (lambda y: np.zeros(len(y)), "at least two classes in y. Got 1 class: 0.0"),
        (lambda y: y + 0.5 * np.random.default_rng(0).normal(size=len(y)), "continuous"),
        (lambda y: np.where(y == 5, np.nan, y), "NaN"),
        (lambda y: np.where(y == 5, np.inf, y), "infinity"),
        (lambda y: np.stack([y, y], axis=1), "1d|shape"),
    ],
)
@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_bad_classes(cls, spoil, message):
    X, y, _ = small()
    with pytest.raises(ValueError, match=message):
        make(cls).fit(X, spoil(y))


@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_score_with_a_class_that_was_not_fitted(cls):
    X, y, _ = small()
    model = asked(cls)
    other = np.where(y == 5, 77, y)
    assert model.score(X, other) <= (y != 5).mean()
    assert 77 not in model.predict(X)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"network": "large"}, "'compact', 'paper'. Got 'large'"),
        ({"hidden_size": 0}, "'hidden_size' parameter .* Got 0"),
        ({"hidden_size": 2.5}, "'hidden_size' parameter .* Got 2.5"),
        ({"dropout": 1.0}, "'dropout' parameter .* Got 1.0"),
        ({"augment": -0.1}, "'augment' parameter .* Got -0.1"),
        ({"augment": np.nan}, "'augment' parameter .* Got nan"),
        ({"channel_dropout": 1.0}, "'channel_dropout' parameter .* Got 1.0"),
        ({"smoothing": -0.1}, "'smoothing' parameter .* Got -0.1"),
        ({"max_epochs": 0}, "'max_epochs' parameter .* Got 0"),
        ({"device": "abacus"}, "'device' parameter .* Got 'abacus'"),
        ({"dtype": "float16"}, "'dtype' parameter .* Got 'float16'"),
    ],
)
def test_bad_networks(params, message):
    X, y, _ = small()
    with pytest.raises((ValueError, TypeError), match=message):
        make(NerveDecoder, **params).fit(X, y)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"estimator": Lasso()}, "estimator must be a classifier with predict_proba.* Got Lasso"),
        ({"estimator": "lda"}, "estimator must be a classifier .* Got 'lda'"),
        ({"n_self_training": -1}, "'n_self_training' parameter .* Got -1"),
        ({"n_self_training": 1}, "n_self_training=1 needs adaptation='batch'. Got None"),
        ({"session_model": "yes"}, "'session_model' parameter .* Got 'yes'"),
    ],
)
def test_bad_classical_classifiers(params, message):
    X, y, _ = small()
    with pytest.raises((ValueError, TypeError), match=message):
        make(WindowClassifier, **params).fit(X, y)


def test_bad_classical_regressors():
    for estimator in ("ridge", Lasso):
        with pytest.raises(TypeError, match="estimator must be a regressor of scikit-learn.* Got"):
            make(WindowRegressor, estimator=estimator).fit(small()[0], target(WindowRegressor))


@pytest.mark.parametrize("cls", EVERY)
def test_use_before_fit(cls):
    X = small()[0]
    model = make(cls)
    use = {NerveFeatures: ["transform", "get_feature_names_out"]}.get(cls, ["predict"])
    if cls in CLASSIFIERS:
        use += ["predict_proba", "predict_windows", "predict_proba_windows", "is_uncertain"]
    if cls in (NerveDecoder, NerveRegressor):
        use += ["exported", "stream"]
    if cls is NerveDecoder:
        use += ["fine_tuned"]
    for name in use:
        arguments = () if name in ("exported", "stream", "get_feature_names_out") else (X,)
        with pytest.raises(NotFittedError, match="not fitted yet"):
            getattr(model.set_params(), name)(*arguments)


@pytest.mark.parametrize("n_times", [0, 99])
def test_windows_of_too_short_a_trial(n_times):
    assert len(NerveFeatures(sfreq=1000.0).window_ends(n_times)) == 0


@pytest.mark.parametrize("confidence", ["0.5", None, np.nan, -0.1])
def test_a_confidence_that_is_none(confidence):
    X, model = small()[0], asked(WindowClassifier)
    for use in (
        lambda: model.is_uncertain(X, confidence),
        lambda: NerveStream(model, confidence=confidence),
    ):
        with pytest.raises(ValueError, match="confidence must be between 0 and 1. Got"):
            use()


@pytest.mark.parametrize("cls", DECODERS)
def test_parameters_that_change_after_fit(cls):
    X, y = small()[0], target(cls)
    model = make(cls).fit(X, y)
    expected = model.predict(X)
    model.set_params(features=["rms"], covariance=False, hop=0.05, window=0.2, sfreq=500.0)
    np.testing.assert_array_equal(model.predict(X), expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), expected)
    for adaptation, message in (("later", "Got 'later'"), (1, "Got 1")):
        with pytest.raises(ValueError, match=message):
            model.set_params(adaptation=adaptation).predict(X)


def test_features_without_any_variation():
    y = np.arange(20) % 2
    for X in (np.ones((20, 4)), np.stack([y, 1.0 - y], axis=1)):
        with pytest.raises(ValueError, match="X do not vary within the classes of y"):
            NerveDecoder(**QUICK).fit(X, y)
    X = np.tile(np.random.default_rng(0).normal(size=(1, 4, 9)), (20, 1, 1))
    with pytest.raises(ValueError, match="X do not vary between the classes of y"):
        WindowClassifier(session_model=True).fit(X, y)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_copies": -1}, "n_copies must be an integer of at least 0. Got -1"),
        ({"n_copies": 1.5}, "n_copies must be an integer of at least 0. Got 1.5"),
        ({"dropout": 2.0}, "dropout must be a probability, at most 1. Got 2.0"),
        ({"session_row": None}, "session_row must be an int"),
        ({"X": np.ones((4, 10))}, r"shape \(n_trials, n_rows, n_times\).* Got \(4, 10\)"),
        ({"y": np.ones(3)}, r"the same n_trials. Got .* and \(3,\)"),
    ],
)
def test_sessions_that_cannot_be_disturbed(change, message):
    X, y, _ = small()
    with pytest.raises((ValueError, TypeError), match=message):
        disturbed_sessions(**{"X": X, "y": y, "session_row": -1, **change})
