"""Trees beside the network."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.ensemble import ExtraTreesRegressor

from sklearn_meg import DeepRecurrentEncoder, TemporalReceptiveField, pack_rows
from sklearn_meg.encoding._lags import lagged
from sklearn_meg.encoding._shares import matrices_of, trust
from sklearn_meg.encoding._trees import SETTINGS, fit_trees, lag_table, lags_used, predict_trees

SMALL = {"max_epochs": 2, "hidden_size": 8, "random_state": 0}


@pytest.mark.parametrize("n_channels", [1, 3])
def test_arrays_predict_what_the_forest_does(n_channels):
    rng = np.random.default_rng(0)
    table = rng.normal(size=(10, 40, 6)).astype(np.float32)
    target = rng.normal(size=(400, n_channels))
    forest = ExtraTreesRegressor(
        SETTINGS.n_trees,
        max_features=SETTINGS.max_features,
        min_samples_leaf=SETTINGS.least_leaf,
        random_state=3,
    ).fit(table.reshape(400, 6), target.squeeze())
    expected = forest.predict(table.reshape(400, 6)).reshape(10, 40, -1).swapaxes(1, 2)
    found = predict_trees([fit_trees(table.reshape(400, 6), target, 3)], table)
    assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("lags", [np.arange(4), np.arange(-3, 2), np.array([0, 5])])
def test_the_table_is_that_of_the_linear_encoders(lags):
    x = np.random.default_rng(1).normal(size=(3, 2, 12)).astype(np.float32)
    expected = lagged(x.swapaxes(0, 1), lags)  # (rows, lags, trials, times)
    assert_array_equal(lag_table(x, lags), np.moveaxis(expected, (2, 3), (0, 1)).reshape(3, 12, -1))


def test_many_features_have_fewer_lags_or_no_trees():
    delays = np.arange(40)
    assert_array_equal(lags_used(delays, 3), delays)
    assert_array_equal(lags_used(delays, 10), delays[::2])
    assert not len(lags_used(delays, 100))


def test_components_of_many_channels():
    rng = np.random.default_rng(2)
    table = rng.normal(size=(20, 30, 2)).astype(np.float32)
    target = (table[:, :, :1] > 0) * rng.normal(size=12)
    found = predict_trees([fit_trees(table.reshape(600, 2), target.reshape(600, 12), 0)], table)
    assert np.corrcoef(found.swapaxes(1, 2).ravel(), target.ravel())[0, 1] > 0.75


@pytest.fixture(scope="module")
def threshold():
    """20 subjects with 4 trials each: a response where a feature is large in absolute value."""
    rng = np.random.default_rng(3)
    features = rng.normal(size=(80, 1, 1)) * np.ones(30)
    y = 2.0 * (np.abs(features) > 0.7) * np.sin(np.arange(30) / 5)
    y = y + 0.5 * rng.normal(size=(80, 3, 30))
    X, rows = pack_rows(features, subjects=np.repeat(np.arange(20), 4))
    return X, y, rows


def test_find_a_threshold_in_few_trials(threshold):
    X, y, rows = threshold
    train, test = np.arange(80) % 4 > 0, np.arange(80) % 4 == 0
    deep = DeepRecurrentEncoder(**rows, **SMALL).fit(X[train], y[train])
    linear = TemporalReceptiveField(**rows).fit(X[train], y[train])
    assert deep.tree_share_ > 0.5
    assert deep.score(X[test], y[test]) > linear.score(X[test], y[test]) + 0.1


def test_stand_beside_one_network_of_many_trials(threshold):
    X, y, rows = (np.concatenate([part] * 5) if i < 2 else part for i, part in enumerate(threshold))
    y = y[:, :1] + np.random.default_rng(6).normal(size=(len(y), 1, y.shape[2]))
    deep = DeepRecurrentEncoder(**rows, **SMALL).fit(X, y)
    assert deep.n_networks_ == 1
    assert deep.tree_share_ > 0.3


def test_add_nothing_to_noise(threshold):
    X, _, rows = threshold
    noise = np.random.default_rng(0).normal(size=(80, 3, 30))
    deep = DeepRecurrentEncoder(**rows, **SMALL).fit(X, noise)
    assert deep.gate_ == deep.tree_share_ == 0
    assert_array_equal(deep.predict(X), deep.base_.predict(X))


def shares_of(*rows):
    return trust(matrices_of(np.array(rows, dtype=float)))


def test_shares_are_the_better_one_or_both():
    assert sum(shares_of(*[[0.5, 1, 0.5, 1, 1]] * 8)) == pytest.approx(0.5, abs=1e-5)
    network, trees = shares_of([0.9, 1, 0.3, 1, 0.5], [0.3, 1, 0.9, 1, 0.5], [0.9, 1, 0.6, 1, 0.5])
    assert network == trees > 0
    network, trees = shares_of(*[[0.9, 1, 0.5, 1, 0.5]] * 8)
    assert network > trees >= 0
    assert_allclose(shares_of(*[[0.5, 1, -0.5, 1, 0]] * 8), (0.5, 0.0), atol=1e-5)
    chance = np.random.default_rng(5).normal(size=50)
    assert not shares_of(*[[each, 1, each, 1, 0] for each in chance]).any()
