import pickle
import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold, cross_validate

from sklearn_meg.metrics import (
    by_subject,
    make_r_scorer,
    noise_ceiling,
    pearson_r,
    r2,
    r_across_trials,
    r_map,
    r_over_time,
)


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(40, 3, 12))
    return y, y + rng.normal(size=y.shape)


class MeanRegressor(RegressorMixin, BaseEstimator):
    """Predicts the mean of its training trials."""

    def fit(self, X, y):
        self.mean_ = y.mean(axis=0)
        return self

    def predict(self, X):
        return np.broadcast_to(self.mean_, (len(X), *self.mean_.shape))


class CopyRegressor(MeanRegressor):
    def predict(self, X):
        return X


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_pearson_r_is_numpys_correlation(pair, axis):
    y, p = (np.moveaxis(a, axis, 0) for a in pair)
    expected = [
        np.corrcoef(a, b)[0, 1] for a, b in zip(y.reshape(len(y), -1).T, p.reshape(len(p), -1).T)
    ]
    np.testing.assert_allclose(pearson_r(*pair, axis=axis).ravel(), expected, rtol=1e-10)


@pytest.mark.parametrize("unit", [1e-13, 1e-200, 1e150])
def test_scores_do_not_depend_on_the_unit(pair, unit):
    y, p = pair
    for metric in (r_across_trials, r_over_time, r2):
        np.testing.assert_allclose(metric(unit * y, unit * p), metric(y, p), rtol=1e-9)


def test_float32_gives_nearly_the_same(pair):
    small = [(1e-13 * a).astype(np.float32) for a in pair]
    np.testing.assert_allclose(pearson_r(*small), pearson_r(*pair), atol=1e-5)


def test_constants_are_nan_in_the_correlation(pair):
    y, p = (a.copy() for a in pair)
    y[:, 0], p[:, 1] = 0.1e-12, 7.3
    r = pearson_r(y, p)
    assert np.isnan(r[:2]).all()
    assert np.isfinite(r[2]).all()


def test_flat_targets_are_left_out_and_constant_predictions_count_zero(pair):
    y, p = (a.copy() for a in pair)
    r = pearson_r(y, p)
    y[:, 0], p[:, 1] = 3.0, 7.3
    np.testing.assert_allclose(r_across_trials(y, p), r[2].mean() / 2)
    assert (r_map(y, p)[1] == 0).all()
    p[:] = 1.0
    assert r_across_trials(y, p) == 0
    y[:] = 1.0
    assert np.isnan([m(y, p) for m in (r_across_trials, r_over_time)]).all()


def test_a_flat_target_counts_as_in_scikit_learn(pair):
    y, p = (a.copy() for a in pair)
    y[:, 0] = 3.0
    for predicted in (p, np.where(y == 3.0, y, p)):
        expected = r2_score(y.reshape(len(y), -1), predicted.reshape(len(y), -1))
        np.testing.assert_allclose(r2(y, predicted), expected)


def test_start_leaves_out_the_initial_window(pair):
    y, p = pair
    p = p.copy()
    p[:, :, :5] = y[:, :, :5]
    for metric in (r_across_trials, r_over_time, r2):
        assert metric(y, p, start=5) == metric(y[:, :, 5:], p[:, :, 5:])
        assert metric(y, p) > metric(y, p, start=5)


def test_r2_is_scikit_learns(pair):
    y, p = pair
    expected = r2_score(y.reshape(len(y), -1), p.reshape(len(p), -1))
    np.testing.assert_allclose(r2(y, p), expected)


def test_trials_and_time_ask_different_questions(pair):
    """The same response in every trial: all over time, nothing across trials."""
    response = np.sin(np.arange(12))
    y = response + 0.01 * pair[0]
    p = np.broadcast_to(response, y.shape)
    assert r_over_time(y, p) > 0.99
    assert r_across_trials(y, p) == 0


def test_by_subject_is_the_metric_within_each_subject(pair):
    subjects = np.arange(40) % 3
    values = by_subject(r_across_trials, *pair, subjects, start=2)
    assert list(values) == [0, 1, 2]
    for subject, value in values.items():
        mask = subjects == subject
        assert value == r_across_trials(pair[0][mask], pair[1][mask], start=2)


@pytest.mark.parametrize("signal", [0.0, 0.3, 1.0, 3.0])
def test_noise_ceiling_is_what_the_perfect_model_scores(signal):
    rng = np.random.default_rng(1)
    repeats = np.repeat(np.arange(300), rng.integers(1, 5, 300))
    response = np.sqrt(signal) * rng.normal(size=(300, 4, 5))[repeats]
    y = response + rng.normal(size=response.shape)
    ceiling = noise_ceiling(1e-13 * y, repeats)
    true = np.sqrt(signal / (signal + 1))
    assert ceiling.shape == (4, 5)
    # Half of a pure-noise estimate is cut off at 0, the rest has a square root's spread.
    assert abs(ceiling.mean() - true) < (0.03 if signal else 0.2)
    if signal:
        np.testing.assert_allclose(ceiling.mean(), r_across_trials(y, response), atol=0.03)


def test_noise_ceiling_of_a_flat_channel_is_nan_and_of_noiseless_data_is_one():
    repeats = np.repeat(np.arange(10), 3)
    y = np.random.default_rng(0).normal(size=(10, 2, 3))[repeats]
    y[:, 1] = 5.0
    ceiling = noise_ceiling(y, repeats)
    np.testing.assert_allclose(ceiling[0], 1.0)
    assert np.isnan(ceiling[1]).all()


@pytest.mark.parametrize("repeats", [np.arange(40), np.zeros(40), np.zeros(3)])
def test_noise_ceiling_needs_repeated_trials(pair, repeats):
    with pytest.raises(ValueError, match=r"at least two stimuli|one value a trial"):
        noise_ceiling(pair[0], repeats)


@pytest.mark.parametrize("kind", ["trials", "time"])
def test_scorers_work_in_cross_validate_on_3d_targets(pair, kind):
    y, p = pair
    scorer = pickle.loads(pickle.dumps(make_r_scorer(kind, start=3)))
    cv = KFold(4)
    scores = cross_validate(CopyRegressor(), p, y, cv=cv, scoring=scorer)["test_score"]
    metric = r_across_trials if kind == "trials" else r_over_time
    expected = [metric(y[test], p[test], start=3) for _, test in cv.split(y)]
    np.testing.assert_array_equal(scores, expected)


def test_a_constant_model_scores_zero_inside_folds_and_below_zero_when_pooled(pair):
    y = pair[0]
    cv = KFold(5)
    scores = cross_validate(MeanRegressor(), y, y, cv=cv, scoring=make_r_scorer())["test_score"]
    assert (scores == 0).all()
    pooled = np.concatenate([MeanRegressor().fit(y[a], y[a]).predict(y[b]) for a, b in cv.split(y)])
    assert r_across_trials(y, pooled) < -0.1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda y: r_across_trials(y, y[:, :2]), "same shape"),
        (lambda y: r_across_trials(y, y, start=12), "from 0 to 11"),
        (lambda y: r2(y, y, start=1.5), "start"),
        (lambda y: pearson_r(y[None], y[None]), "n_trials, n_channels, n_times"),
        (lambda y: by_subject(r2, y, y, np.zeros(3)), "one value a trial"),
        (lambda y: make_r_scorer("words"), "'trials', 'time'"),
        (lambda y: make_r_scorer(start=-1), "start"),
    ],
)
def test_mistakes_are_named(pair, call, message):
    with pytest.raises(ValueError, match=message):
        call(pair[0])


def test_metrics_load_neither_torch_nor_mne():
    code = "import sys, sklearn_meg.metrics; print({'torch', 'mne'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("score", [r2, r_across_trials])
def test_one_trial_has_no_score_and_says_so(score):
    y = np.random.default_rng(0).normal(size=(1, 2, 5))
    with pytest.warns(UndefinedMetricWarning, match="fewer than two trials") as told:
        assert np.isnan(score(y, y))
    assert len(told) == 1
