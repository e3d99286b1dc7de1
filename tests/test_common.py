"""What every public estimator must pass. They are found automatically."""

import pickle
from importlib.util import find_spec

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

import sklearn_meg
from robustness.worlds import public_estimators
from sklearn_meg import ChannelScaler
from sklearn_meg.metrics import make_r_scorer

# Small enough for a quick test; everything else as it comes.
SMALL = {
    # What judges the network has tests of its own, and costs four networks and their bases.
    "DeepRecurrentEncoder": {
        "max_epochs": 4,
        "hidden_size": 8,
        "validation_fraction": 0,
        "random_state": 0,
    },
    "GammaMap": {"maxit": 10},
    "HiddenMarkovGraph": {"n_states": 2, "n_init": 2},
    "HmmlearnStates": {"n_states": 2, "n_init": 1, "shrinkage": 0.1},
    "NerveDecoder": {"max_epochs": 10, "hidden_size": 32, "random_state": 0},
    "NerveFeatures": {"sfreq": 1.0, "window": 1.0, "hop": 1.0},
    "NerveRegressor": {"max_epochs": 10, "hidden_size": 32, "random_state": 0},
    # float64: in float32 the batch decides the 7th digit, about where a check draws the line.
    "RNNSourceSolver": {"max_epochs": 60, "dtype": "float64", "random_state": 0},
}

# scikit-learn checks that are expected to fail: estimator -> {check: reason}.
NEW_EVENTS = {"check_fit_idempotent": "predicts events that were not fitted: knows only those"}
TIME = "samples have an order in time: those around one decide its state, too"
IN_TIME = {
    "check_methods_sample_order_invariance": TIME,
    "check_methods_subset_invariance": TIME,
}
ORDER = "batches, held-out trials and folds are of neighbors; test_weights.py has the same order"
IN_ORDER = {"check_sample_weight_equivalence_on_dense_data": ORDER}
ALIKE = "a noise covariance estimated from the data counts trials alike"
NOISE = {"check_sample_weight_equivalence_on_dense_data": ALIKE}
CONSTANT = {"check_sample_weights_shape": "a feature of the check is constant within classes"}
EXPECTED_FAILURES = {
    **dict.fromkeys(("KalmanRegressor", "NerveRegressor", "WindowRegressor"), IN_ORDER),
    "NerveDecoder": {**IN_ORDER, **CONSTANT},
    "DeepRecurrentEncoder": IN_ORDER,
    "DipoleSearch": {**NEW_EVENTS, **NOISE},
    "GammaMap": {**NEW_EVENTS, **NOISE},
    **dict.fromkeys(("HiddenMarkovGraph", "HmmlearnStates", "WindowStates"), IN_TIME),
    "LCMV": {**NEW_EVENTS, **NOISE},
    "MinimumNorm": {**NEW_EVENTS, **NOISE},
    "MixedNorm": {**NEW_EVENTS, **NOISE},
    "RapMusic": {**NEW_EVENTS, **NOISE},
    "RNNSourceSolver": NOISE,
    "RecurrentTRF": IN_ORDER,
    "TemporalReceptiveField": IN_ORDER,
}


def of_domain(name):
    return [c for c in ESTIMATORS if c.__module__.startswith(f"sklearn_meg.{name}")]


def instance(cls, **params):
    return cls(**{**SMALL.get(cls.__name__, {}), **params})


ESTIMATORS = public_estimators()
ENCODERS = [cls for cls in of_domain("encoding") if hasattr(cls, "predict")]
# Fields take no flat X: the tests of tms and connectome check these through an adapter.
FLAT = [c for c in ESTIMATORS if c not in of_domain("tms") + of_domain("connectome")]
if find_spec("hmmlearn") is None:  # an extra
    FLAT.remove(sklearn_meg.HmmlearnStates)
checked = [instance(cls) for cls in FLAT]
checked.append(
    sklearn_meg.DeepRecurrentEncoder(
        base=None, hidden_size=16, max_epochs=30, dtype="float64", random_state=0
    )
)


@parametrize_with_checks(
    checked, expected_failed_checks=lambda e: EXPECTED_FAILURES.get(type(e).__name__, {})
)
def test_sklearn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("cls", ENCODERS)
def test_a_pickle_holds_the_network_that_was_fitted(cls, packed):
    X, y, rows, _ = packed
    model = instance(cls, **rows).fit(X, y)
    expected = model.predict(X)
    if "hidden_size" in model.get_params():
        model.set_params(hidden_size=3, n_convs=3, base=None, dtype="float64", cell="gru")
    model.set_params(subject_row=None, initial_rows=None, n_initial=0)
    np.testing.assert_array_equal(model.predict(X), expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), expected)


@pytest.mark.parametrize("cls", ENCODERS)
@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_cross_validate_gives_the_same_bits_with_two_jobs(cls, packed, backend):
    X, y, rows, subjects = packed
    model = make_pipeline(ChannelScaler(**rows), instance(cls, **rows))
    kwargs = {"cv": GroupKFold(3), "groups": subjects, "scoring": make_r_scorer(start=6)}
    one = cross_validate(model, X, y, n_jobs=1, **kwargs)["test_score"]
    with joblib.parallel_config(backend):
        two = cross_validate(model, X, y, n_jobs=2, **kwargs)["test_score"]
    np.testing.assert_array_equal(one, two)
    assert np.isfinite(one).all()


@pytest.mark.parametrize("cls", ENCODERS)
def test_grid_search_over_a_pipeline_with_stock_scorers(cls, packed):
    X, y, rows, _ = packed
    model = make_pipeline(ChannelScaler(**rows), instance(cls, **rows))
    search = GridSearchCV(
        model,
        {"channelscaler__method": ["robust", "standard"]},
        cv=2,
        scoring=["r2", "neg_mean_squared_error"],
        refit="r2",
        error_score="raise",
    )
    flat = y.reshape(len(y), -1)  # scikit-learn's own scorers take 2-D targets
    search.fit(X, flat)
    assert search.predict(X).shape == flat.shape
    assert np.isfinite(search.cv_results_["mean_test_r2"]).all()
    parallel = clone(search).set_params(n_jobs=2).fit(X, flat)
    np.testing.assert_array_equal(
        parallel.cv_results_["mean_test_r2"], search.cv_results_["mean_test_r2"]
    )


@pytest.mark.parametrize("cls", ENCODERS)
def test_scaled_target(cls, packed):
    X, y, rows, _ = packed
    plain = instance(cls, **rows).fit(X, y).predict(X)
    model = TransformedTargetRegressor(instance(cls, **rows), transformer=ChannelScaler())
    tesla = y * 1e-13
    scaled = model.fit(X, tesla).predict(X)
    r = np.corrcoef(scaled[:, :, 6:].ravel(), plain[:, :, 6:].ravel())[0, 1]
    assert r > 0.97  # units, and scaling on one side of a pipeline only, hardly matter


BAD_DATA = {
    "NaN in X": (lambda X, y: (np.where(X == X.max(), np.nan, X), y), "NaN"),
    "infinity in y": (lambda X, y: (X, np.where(y == y.max(), np.inf, y)), "infinity"),
    "fewer trials in y": (lambda X, y: (X, y[:-1]), "inconsistent numbers of samples"),
    "fewer samples in y": (lambda X, y: (X, y[:, :, :-1]), "as many samples a trial"),
    "no y": (lambda X, y: (X, None), "requires y"),
    "4-D X": (lambda X, y: (X[..., None], y), "must have the shape"),
    "4-D y": (lambda X, y: (X, y[..., None]), "must have the shape"),
    "flat y of another width": (lambda X, y: (X, y.reshape(len(y), -1)[:, 1:]), "flat y"),
    "complex X": (lambda X, y: (X * 1j, y), "Complex"),
    "text": (lambda X, y: (X.astype(str).astype(object) + "a", y), "could not convert|convert"),
    "no trials": (lambda X, y: (X[:0], y[:0]), "0 sample"),
    "no samples": (lambda X, y: (X[:, :, :0], y[:, :, :0]), "0 sample"),
    "subject between integers": (lambda X, y: (_set(X, 2, 0.5), y), "integer"),
    "negative subject": (lambda X, y: (_set(X, 2, -1.0), y), "integer from 0"),
    "subject changes": (lambda X, y: (_set(X, 2, X[:, 0].round() ** 2), y), "constant within"),
}


def _set(X, row, value):
    X = X.copy()
    X[:, row] = value
    return X


@pytest.mark.parametrize("what", BAD_DATA)
@pytest.mark.parametrize("cls", ENCODERS)
def test_bad_data_is_a_clear_error(cls, packed, what):
    X, y, rows, _ = packed
    spoil, message = BAD_DATA[what]
    model = instance(cls, **rows)
    with pytest.raises(ValueError, match=message):
        model.fit(*spoil(X, y))


BAD_ROWS = {
    "initial window too long": ({"n_initial": 40}, "shorter than a trial"),
    "initial window of nothing": ({"n_initial": 0}, "positive int"),
    "window without rows": ({"initial_rows": None}, "needs initial_rows"),
    "no such subject row": ({"subject_row": 99}, "must select among"),
    "subject row by name": ({"subject_row": "subject"}, "must be an int"),
    "no such initial rows": ({"initial_rows": [3, 99]}, "must select among"),
    "empty initial rows": ({"initial_rows": slice(99, 120)}, "selects none"),
    "overlap": ({"subject_row": 4}, "cannot be both"),
    "no stimulus left": ({"initial_rows": [0, 1, 3, 4, 5, 6]}, "no stimulus feature"),
}


@pytest.mark.parametrize("what", BAD_ROWS)
@pytest.mark.parametrize("cls", ENCODERS)
def test_bad_rows_are_a_clear_error(cls, packed, what):
    X, y, rows, _ = packed
    params, message = BAD_ROWS[what]
    with pytest.raises(ValueError, match=message):
        instance(cls, **{**rows, **params}).fit(X, y)


@pytest.mark.parametrize("cls", ENCODERS)
def test_another_shape_in_predict_names_both_numbers(cls, packed):
    X, y, rows, _ = packed
    model = instance(cls, **rows).fit(X, y)
    with pytest.raises(ValueError, match="8 features.* 7 features"):
        model.predict(np.concatenate([X, X[:, :1]], axis=1))
    with pytest.raises(ValueError, match="39 samples.*40"):
        model.predict(X[:, :, :-1])


@pytest.mark.parametrize("cls", ENCODERS)
def test_a_new_subject_gets_the_population_or_an_error(cls, packed):
    X, y, rows, subjects = packed
    if "unknown_subject" not in cls().get_params():
        pytest.skip("no such parameter")
    model = instance(cls, **rows).fit(X[subjects < 2], y[subjects < 2])
    new = model.predict(X[subjects == 2])
    assert np.isfinite(new).all()
    renamed = X[subjects == 2].copy()
    renamed[:, rows["subject_row"]] = 77
    np.testing.assert_array_equal(model.predict(renamed), new)
    strict = instance(cls, **rows, unknown_subject="error").fit(X[subjects < 2], y[subjects < 2])
    with pytest.raises(ValueError, match=r"\b2\b.*0, 1"):
        strict.predict(X[subjects == 2])
