import numpy as np
import pytest
from sklearn.model_selection import KFold

from sklearn_meg import Study, TemporalReceptiveField
from sklearn_meg.exceptions import AssumptionWarning
from sklearn_meg.metrics import r_map
from sklearn_meg.study import null
from sklearn_meg.study.compare import null_test


def linear_study(rng, n_subjects, slope, n=60, n_channels=4, n_folds=5, n_permutations=30):
    """p of one feature that drives nothing; both drift over trials, in a spectrum of 1/f^slope."""
    observed = np.empty((n_folds, n_subjects))
    nulls = np.empty((n_folds, n_permutations, n_subjects))
    for s in range(n_subjects):
        x, *y = drifts(rng, 1 + n_channels, n, slope)
        y = np.array(y).T
        for k, test in enumerate(np.array_split(np.arange(n), n_folds)):
            train = np.setdiff1d(np.arange(n), test)
            weights = (x[train] - x[train].mean()) @ y[train]
            orders = [test, *(rng.permutation(test) for _ in range(n_permutations))]
            scores = scores_of(x[np.array(orders)], weights, y[test])
            observed[k, s], nulls[k, :, s] = scores[0], scores[1:]
    return null_test(observed, nulls)[1]


def scores_of(x, weights, y):
    """Score of each order of the feature, (n_orders, n_trials), without slow trends."""
    predicted = np.einsum("on,c->nco", x, weights)
    y = np.repeat(y[:, :, np.newaxis], len(x), axis=2)
    for values in (predicted, y):
        null.remove_trends(values, [np.arange(len(y))])
    return r_map(y, predicted).mean(axis=0)


def drifts(rng, n_courses, n, slope):
    frequencies = np.fft.rfftfreq(n)
    frequencies[0] = frequencies[1]
    spectrum = np.fft.rfft(rng.normal(size=(n_courses, n))) * frequencies ** (-slope / 2)
    return np.fft.irfft(spectrum, n)


def test_features_that_drift_as_the_response_does_are_no_finding():
    p = [linear_study(np.random.default_rng(seed), 4, 1.5) for seed in range(40)]
    assert np.mean(np.array(p) < 0.05) <= 0.125  # 5 of 40; without it 15


def test_trends_are_polynomials_and_masked_samples_change_nothing():
    rng = np.random.default_rng(0)
    line = np.arange(10.0)[:, np.newaxis, np.newaxis] * np.ones((10, 2, 3))
    values, theirs = np.concatenate([line, 5 - line]), [np.arange(10), np.arange(10, 20)]
    null.remove_trends(values, theirs)
    np.testing.assert_allclose(values, 0, atol=1e-12)
    counted = np.ones((10, 3), dtype=bool)
    counted[4] = False
    spoiled = rng.normal(size=(10, 2, 3))
    spoiled[4] = 1e6
    null.remove_trends(spoiled, theirs[:1], counted)
    assert np.abs(np.delete(spoiled, 4, axis=0)).max() < 10
    assert null.slow_trends(3).shape == (3, 1)
    assert null.slow_trends(60).shape == (60, 7)


def test_features_that_drift_are_not_claimed_in_shuffled_folds():
    rng = np.random.default_rng(0)
    fatigue = rng.normal(size=60).cumsum()
    X = (fatigue / fatigue.std())[:, np.newaxis, np.newaxis] * np.ones(8)
    y = rng.normal(size=(60, 3, 8)) + rng.normal(size=(60, 3, 1)).cumsum(axis=0) / 4
    models = {"trf": TemporalReceptiveField(tmax=1, alphas=1.0)}
    with pytest.warns(AssumptionWarning, match="drift over trials"):
        found = Study(models, cv=KFold(5, shuffle=True, random_state=0)).run(X, y)
    assert found.drifting_ == ["feature 0"]
    assert found.verdict()[0].startswith("Nothing can be claimed: feature 0 drifts")
    assert not found.gains()["claimed"].any()
    assert not Study(models, cv=5).run(X, y).gains()["claimed"].any()


def test_counts_of_an_amplifier_are_responses_and_no_copies():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 1, 12))
    y = np.round(3 * X * np.ones((3, 1)) + rng.normal(size=(30, 3, 12)))
    models = {"trf": TemporalReceptiveField(tmax=1, alphas=1.0)}
    tables = [
        Study(models, cv=3, n_permutations=4).run(X, y.astype(dtype)).table_["r"]
        for dtype in (np.int16, np.float64)
    ]
    np.testing.assert_allclose(*tables, atol=1e-6)
