"""Several degrees of freedom at once."""

import pickle

import numpy as np
import pytest
import skops.io
from _nerve_world import (
    QUICK,
    REGRESSORS,
    SFREQ,
    first_day,
    movements,
    nerve,
    regressor,
)
from sklearn.base import clone
from sklearn.linear_model import Lasso
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score

from sklearn_meg import KalmanRegressor, NerveRegressor, WindowRegressor
from sklearn_meg.exceptions import AssumptionWarning
from sklearn_meg.metrics import r2


def parts(session):
    data = nerve()
    chosen = data.session == session
    return data.X[chosen], movements(data, chosen)


def flat_world(n=60, n_windows=5):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 6, n_windows))
    y = np.einsum("of,nfk->nok", rng.normal(size=(2, 6)), X)
    return X, y + 0.1 * rng.normal(size=y.shape)


@pytest.mark.parametrize("cls", REGRESSORS)
def test_movements_of_the_same_day(cls):
    (X, y), (new, truth) = parts(0), parts(1)
    params = {"max_epochs": 10} if cls is NerveRegressor else {}
    model = regressor(cls, **params).fit(X, y)
    predicted = model.predict(new)
    assert predicted.shape == truth.shape
    flat = [a.transpose(0, 2, 1).reshape(-1, 6) for a in (truth, predicted)]
    assert r2_score(*flat) > 0.3  # the mean has none
    assert model.score(new, truth) == pytest.approx(r2_score(*flat))
    assert model.score(new, truth.reshape(len(truth), -1)) == model.score(new, truth)
    with pytest.raises(ValueError, match="the 6 degrees of freedom of fit. Got 5"):
        model.score(new, truth[:, 1:])


@pytest.mark.parametrize("cls", REGRESSORS)
@pytest.mark.parametrize("adaptation", ["batch", "online"])
def test_adaptation_helps_after_a_change_of_gains(cls, adaptation):
    new, truth = parts(2)
    with pytest.warns(AssumptionWarning, match="These trials are unlike those of fit"):
        as_they_are = first_day(cls).predict(new)
    adapted = first_day(cls, adaptation).predict(new)
    error = [np.square(each - truth).mean() for each in (adapted, as_they_are)]
    assert error[0] < 0.8 * error[1]


def test_online_knows_the_past_only():
    new, model = parts(2)[0], first_day(WindowRegressor, "online")
    before = model.predict(new)
    changed = new.copy()
    changed[20:, :-1] *= 5.0
    np.testing.assert_array_equal(model.predict(changed)[:20], before[:20])
    assert not np.allclose(model.predict(changed)[20:], before[20:])


@pytest.mark.parametrize("cls", REGRESSORS)
def test_flat_and_single_targets(cls):
    X, y = flat_world()
    quick = QUICK if cls is NerveRegressor else {}
    model = cls(**quick)
    expected = clone(model).fit(X, y).predict(X)
    flat = clone(model).fit(X, y.reshape(60, -1)).predict(X)
    np.testing.assert_array_equal(flat, expected.reshape(60, -1))
    single = clone(model).fit(X[:, :, 0], y[:, 0, 0]).predict(X[:, :, 0])
    assert single.shape == (60,)
    assert r2_score(y[:, 0, 0], single) > 0.8


@pytest.mark.parametrize("cls", REGRESSORS)
def test_stock_scorers_and_searches(cls):
    X, y = flat_world()
    quick = QUICK if cls is NerveRegressor else {}
    flat = y.reshape(60, -1)
    scores = cross_val_score(cls(**quick), X, flat, cv=3, scoring="neg_mean_squared_error")
    assert (scores < 0).all() and (-scores < flat.var()).all()
    search = GridSearchCV(cls(**quick), {"prior_trials": [1.0, 4.0]}, cv=2, scoring="r2")
    assert search.fit(X, flat).best_score_ > 0.5


def test_a_linear_world_is_not_lost_to_ridge():
    X, y = flat_world(200)
    params = {**QUICK, "max_epochs": 20}
    ours = NerveRegressor(**params).fit(X[:120], y[:120]).predict(X[120:])
    ridge = WindowRegressor().fit(X[:120], y[:120]).predict(X[120:])
    assert np.mean(r2(y[120:], ours)) > np.mean(r2(y[120:], ridge)) - 0.03


def test_classify_then_regress():
    rng = np.random.default_rng(0)
    kinds = np.repeat([0, 1, 2], 20)
    centers = 4.0 * rng.normal(size=(3, 6))
    ends = np.array([[0.0, 1.0], [1.0, 0.0], [-1.0, -1.0]])
    X = centers[kinds][:, :, np.newaxis] + rng.normal(size=(60, 6, 4))
    y = ends[kinds][:, :, np.newaxis] + 0.01 * rng.normal(size=(60, 2, 4))
    params = {**QUICK, "max_epochs": 20, "augment": 0.3, "dropout": 0.3}
    for strategy in ("classify", "auto"):  # auto: three kinds are all there is
        model = NerveRegressor(strategy=strategy, n_gestures=3, **params)
        predicted = model.fit(X, y).predict(X)
        assert model.strategy_ == {"auto": "both"}.get(strategy, strategy)
        assert model.kind_coef_.shape == (3, 2, 6)
        nearest = np.square(predicted[:, np.newaxis, :, -1] - ends).sum(axis=2).argmin(axis=1)
        np.testing.assert_array_equal(nearest, kinds)
    model.set_params(strategy="classify", n_gestures=500).fit(X[:7], y[:7])
    assert len(model.kind_coef_) <= 7


def test_movements_without_kinds_are_predicted_directly():
    X, y = flat_world(60, n_windows=4)
    assert NerveRegressor(n_gestures=3, **QUICK).fit(X, y).strategy_ == "direct"


def test_kalman_filter_is_the_textbook_loop():
    X, y = flat_world(40, n_windows=12)
    y = np.cumsum(y, axis=2)
    X = np.concatenate([X, y + np.random.default_rng(1).normal(size=y.shape)], axis=1)
    model = KalmanRegressor(history=0).fit(X, y)
    A, Q, H, R = model.transition_, model.process_, model.observation_, model.noise_
    center, scale = y.mean(axis=(0, 2)), y.std(axis=(0, 2))
    predicted = model.predict(X[:3])
    Z = (X - X.mean(axis=(0, 2))[:, None]) / X.std(axis=(0, 2))[:, None]
    for i in range(3):
        x, P = np.zeros(2), np.eye(2)
        for k in range(12):
            seen = model.coef_ @ Z[i, :, k] + model.intercept_
            x, P = A @ x, A @ P @ A.T + Q
            K = P @ H.T @ np.linalg.inv(H @ P @ H.T + R)
            x = x + K @ (seen - H @ x)
            P = (np.eye(2) - K @ H) @ P
            np.testing.assert_allclose(predicted[i, :, k], center + scale * x, atol=1e-9)
    ridge = WindowRegressor(history=0).fit(X, y).predict(X)
    assert np.square(model.predict(X) - y).mean() < np.square(ridge - y).mean()


def test_any_regressor_of_scikit_learn():
    X, y = flat_world()
    lasso = Lasso(0.01)
    model = WindowRegressor(estimator=lasso).fit(X, y)
    assert np.mean(r2(y, model.predict(X))) > 0.9
    assert not hasattr(lasso, "coef_")


@pytest.mark.parametrize("cls", REGRESSORS)
def test_round_trips(cls):
    model = first_day(cls, "batch")
    expected = model.predict(parts(2)[0])
    skopsed = skops.io.dumps(model)
    types = skops.io.get_untrusted_types(data=skopsed)
    assert types == [f"{cls.__module__}.{cls.__qualname__}"]
    for again in (pickle.loads(pickle.dumps(model)), skops.io.loads(skopsed, trusted=types)):
        np.testing.assert_array_equal(again.predict(parts(2)[0]), expected)


def test_same_seed_same_result():
    X, y = (each[:20] for each in parts(0))
    for strategy in ("both", "direct", "classify"):
        one, two = (regressor(strategy=strategy).fit(X, y).predict(X) for _ in range(2))
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("cls", REGRESSORS)
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda X, y: (X, None), "requires y"),
        (lambda X, y: (X, y[:-1]), "inconsistent numbers of samples"),
        (lambda X, y: (X, y[:, :, :-1]), r"as many windows a trial as X, 11.* Got \(60, 6, 10\)"),
        (lambda X, y: (X, y[:, 0, 0]), r"windows a trial as X, 11.* Got \(60,\)"),
        (lambda X, y: (X, y.reshape(len(y), -1)[:, 1:]), r"or flat, .*Got \(60, 65\)"),
        (lambda X, y: (X, y[..., None]), "must have the shape"),
        (lambda X, y: (X, np.where(y == y.max(), np.nan, y)), "NaN"),
        (lambda X, y: (X, np.where(y == y.max(), np.inf, y)), "infinity"),
        (lambda X, y: (X, np.full(y.shape, "a")), "convert|numeric|dtype"),
        (lambda X, y: (X, y * 1j), "[Cc]omplex"),
        (lambda X, y: (X[:0], y[:0]), "0 sample"),
    ],
)
def test_bad_targets(cls, spoil, message):
    X, y = parts(0)
    with pytest.raises((ValueError, TypeError), match=message):
        regressor(cls).fit(*spoil(X, y))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"strategy": "best"}, "'strategy' parameter .* 'direct', 'classify'. Got 'best'"),
        ({"n_gestures": 1}, "'n_gestures' parameter .* Got 1"),
        ({"network": "large"}, "'network' parameter .* Got 'large'"),
        ({"dropout": 1.0}, "'dropout' parameter .* Got 1.0"),
        ({"hidden_size": 0}, "'hidden_size' parameter .* Got 0"),
    ],
)
def test_bad_parameters(params, message):
    X, y = flat_world()
    with pytest.raises(ValueError, match=message):
        NerveRegressor(**params).fit(X, y)


def test_sampling_rate_of_another_world():
    X, y = parts(0)
    with pytest.raises(ValueError, match="as many windows a trial"):
        regressor(sfreq=SFREQ / 2).fit(X, y)


def long_recording(seed=0, n=2500):
    """One recording: units whose rates are not linear in a velocity, and lag behind it."""
    rng = np.random.default_rng(seed)
    velocity = np.zeros((2, n))
    for t in range(1, n):
        velocity[:, t] = 0.95 * velocity[:, t - 1] + 0.3 * rng.normal(size=2)
    angle = rng.uniform(0, 2 * np.pi, 30)
    drive = np.cos(angle)[:, None] * velocity[0] + np.sin(angle)[:, None] * velocity[1]
    rates = np.exp(1 + 0.8 * np.clip(drive, -3, 2))
    return rng.poisson(rates)[None].astype(float), velocity[None]


def test_one_long_recording_chooses_its_strength_and_boosts():
    X, y = long_recording()
    train, test = (X[:, :, :2000], y[:, :, :2000]), (X[:, :, 2000:], y[:, :, 2000:])
    ridge = WindowRegressor().fit(*train)
    assert ridge.estimator_.alpha > 0.1  # the least one, that of a single fold
    model = NerveRegressor(max_epochs=1, hidden_size=8, random_state=0).fit(*train)
    assert model.gates_.min() > 0.1
    assert model.score(*test) > ridge.score(*test)


def test_a_network_that_does_not_help_does_not_count():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 6, 10))
    y = X[:, :2] + 0.1 * rng.normal(size=(40, 2, 10))
    model = NerveRegressor(strategy="direct", max_epochs=2, random_state=0).fit(X, y)
    assert model.network_gates_.max() < 0.2


@pytest.mark.parametrize("value, error", [(-1, ValueError), (1.5, TypeError), ("long", TypeError)])
def test_bad_histories(value, error):
    X = np.random.default_rng(0).normal(size=(10, 3, 5))
    with pytest.raises(error, match="history"):
        WindowRegressor(history=value).fit(X, X[:, :1])
