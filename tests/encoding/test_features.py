"""Features as a good analyst makes them."""

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline

from sklearn_meg import FeatureExpansion, TemporalReceptiveField, pack_rows
from sklearn_meg.metrics import r_across_trials


@pytest.fixture
def events():
    """One event a trial with two values, the response to it the square of the first."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(120, 2))
    features = np.zeros((120, 3, 20))
    features[:, 0, 2], features[:, 1:, 2] = 1, values
    meg = np.zeros((120, 1, 20))
    meg[:, 0, 5] = values[:, 0] ** 2
    X, rows = pack_rows(features, subjects=np.arange(120) % 2, initial=meg, n_initial=2)
    return X, meg, rows


@pytest.mark.parametrize("method", ["spline", "products"])
def test_a_linear_encoder_on_it_finds_squares(events, method):
    X, y, rows = events
    scores = []
    for steps in ([], [FeatureExpansion(method=method, **rows)]):
        model = make_pipeline(*steps, TemporalReceptiveField(tmax=5, **rows))
        predicted = model.fit(X[:80], y[:80]).predict(X[80:])
        scores.append(r_across_trials(y[80:, :, 5:6], predicted[:, :, 5:6]))
    assert scores[0] < 0.5
    assert scores[1] > 0.9


@pytest.mark.parametrize("method", ["spline", "products"])
def test_the_rows_that_are_there_stay_and_silence_stays_silent(events, method):
    X, _, rows = events
    expansion = FeatureExpansion(method=method, **rows).fit(X)
    expanded = expansion.transform(X)
    np.testing.assert_array_equal(expanded[:, : X.shape[1]], X)
    new = np.delete(expanded[:, X.shape[1] :], 2, axis=2)
    assert not new.any()
    assert expansion.expanded_rows_.tolist() == [1, 2]  # an onset has a single value


def test_one_hot_gives_a_row_for_each_value_but_the_first():
    features = np.zeros((9, 1, 4))
    features[:, 0, 1] = np.repeat([1, 2, 3], 3)
    X, rows = pack_rows(features)
    expanded = FeatureExpansion(method="one_hot", **rows).fit(X).transform(X)
    np.testing.assert_array_equal(expanded[:, 1:, 1].sum(axis=0), [3, 3])
    assert set(np.unique(expanded[:, 1:])) == {0, 1}


def test_many_values_are_no_levels(events):
    X, _, rows = events
    with pytest.raises(ValueError, match="one_hot"):
        FeatureExpansion(method="one_hot", **rows).fit(X)
