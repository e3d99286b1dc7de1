"""Subjects that share what they can, edges, and lags of a feature."""

import numpy as np
import pytest
from mne import use_log_level
from mne.decoding import ReceptiveField
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import Ridge

from sklearn_meg import SubjectMean, TemporalReceptiveField, pack_rows
from sklearn_meg.datasets import make_words
from sklearn_meg.encoding._lags import lagged
from sklearn_meg.metrics import r_across_trials, r_over_time

TRF = TemporalReceptiveField


def few_trials(world, n_subjects, n_trials, seed, informative=True):
    """Training and test trials of words without initial MEG."""
    data = make_words(world, n_subjects, n_trials + 12, random_state=seed)
    features = data.features
    if not informative:
        features = features[np.random.default_rng(seed).permutation(len(features))]
    X, rows = pack_rows(features, subjects=data.subjects)
    train = np.tile(np.arange(n_trials + 12) < n_trials, n_subjects)
    return X, data.y, rows, train


def both_scores(model, X, y, train, start=20):
    predicted = model.fit(X[train], y[train]).predict(X[~train])
    return np.array([f(y[~train], predicted, start=start) for f in (r_across_trials, r_over_time)])


@pytest.mark.parametrize(
    "world, n_subjects, n_trials, informative",
    [("L", 2, 30, True), ("L", 5, 8, False)],
)
def test_never_far_below_the_mean_the_pooled_and_the_separate_models(
    world, n_subjects, n_trials, informative
):
    X, y, rows, train = few_trials(world, n_subjects, n_trials, 7, informative)
    ours = both_scores(TRF(**rows), X, y, train)
    alone = both_scores(TRF(**rows, partial_pooling=False), X, y, train)
    mean = both_scores(SubjectMean(**rows), X, y, train)
    together = X.copy()
    together[:, rows["subject_row"]] = 0
    one = both_scores(TRF(**rows, partial_pooling=False), together, y, train)
    assert (ours > np.max([alone, mean, one], axis=0) - 0.04).all()


def test_the_mean_response_is_a_limit():
    """Where features say nothing the prediction is near the mean response of the subject."""
    rng = np.random.default_rng(0)
    course = rng.normal(size=(3, 4, 50))
    subjects = np.repeat(np.arange(3), 40)
    y = course[subjects] + 0.5 * rng.normal(size=(120, 4, 50))
    X, rows = pack_rows(rng.normal(size=(120, 2, 50)), subjects=subjects)
    predicted = TRF(**rows, tmax=5).fit(X, y).predict(X)
    assert np.sqrt(np.mean((predicted - course[subjects]) ** 2)) < 0.15


def test_alike_subjects_are_one_model_and_others_are_not():
    rng = np.random.default_rng(1)
    features = rng.normal(size=(60, 1, 80))
    subjects = np.repeat(np.arange(6), 10)
    X, rows = pack_rows(features, subjects=subjects)
    wide = lagged(features.transpose(1, 0, 2), np.arange(5))[0].transpose(1, 0, 2)
    shared, own = rng.normal(size=5), rng.normal(size=(60, 5))[subjects]
    noise = rng.normal(size=(60, 1, 80))
    alike = TRF(**rows, tmax=4).fit(X, np.einsum("l,nlt->nt", shared, wide)[:, None] + noise)
    other = TRF(**rows, tmax=4).fit(X, np.einsum("nl,nlt->nt", own, wide)[:, None] + noise)
    assert alike.deviation_alpha_[0] > 100 * other.deviation_alpha_[0]
    assert_allclose(other.subject_coef_[:, 0, 0], own[::10], atol=0.2)
    spread = alike.subject_coef_.std(axis=0).max()
    assert spread < 0.1 < other.subject_coef_.std(axis=0).max()


def test_one_trial_a_subject_and_a_new_subject():
    rng = np.random.default_rng(2)
    X, rows = pack_rows(rng.normal(size=(6, 2, 40)), subjects=np.arange(6))
    y = rng.normal(size=(6, 3, 40))
    model = TRF(**rows, tmax=3).fit(X, y)
    assert np.isinf(model.deviation_alpha_).all()
    X[:, rows["subject_row"]] = 9
    assert_allclose(model.predict(X)[0].mean(), model.predict(X)[1].mean(), atol=2)


def test_with_one_trial_a_subject_differences_between_subjects_are_no_effect():
    """20 subjects, one of two conditions each, which differ in nothing."""
    rng = np.random.default_rng(7)
    condition = np.arange(20) % 2 - 0.5
    features = np.zeros((20, 2, 60))
    features[:, 0, 0], features[:, 1, 0] = 1, condition
    slow = rng.normal(size=(20, 4, 60)).cumsum(axis=2) / 8
    slow += 0.5 * rng.normal(size=(20, 4, 1)) - slow.mean(axis=2, keepdims=True)
    X, rows = pack_rows(features, subjects=np.arange(20))
    model = TRF(**rows, tmax=39).fit(X, slow)
    effect = model.coef_[:, 1, :]
    raw = slow[condition > 0].mean(axis=0) - slow[condition < 0].mean(axis=0)
    assert np.abs(effect).mean() < 0.2 * np.abs(raw[:, :40]).mean()
    # The mean of the one trial is no more of the subject than its course is.
    level = model.predict(X).mean(axis=2) - model.predict(X).mean(axis=(0, 2))
    own = slow.mean(axis=2) - slow.mean(axis=(0, 2))
    assert 0.4 < (level * own).sum() / (own**2).sum() < 0.9


def averages(n_subjects, seed):
    """Two conditions that do not differ, of subjects who do: slow activity, one left out each."""
    rng = np.random.default_rng(seed)
    shared, own = rng.normal(size=(2, n_subjects, 3, 30)).cumsum(axis=3) / 4
    subjects = np.repeat(np.arange(n_subjects), 2)
    y = (shared[:1] + 0.7 * own + rng.normal(size=(n_subjects, 3, 1)) / 4)[subjects]
    y += rng.normal(size=y.shape).cumsum(axis=2) / 6 + rng.normal(size=(*y.shape[:2], 1)) / 2
    features = np.zeros((len(y), 2, 30))
    features[:, 0, 0], features[1::2, 1, 0] = 1, 1
    X, rows = pack_rows(features, subjects=subjects)
    return X, y, rows, (np.arange(len(y)) + subjects) % 2 > 0


def test_averages_are_predicted_at_least_as_well_as_by_the_mean_of_the_subject():
    found = []
    for seed in range(3):
        X, y, rows, train = averages(12, seed)
        models = TRF(**rows, tmax=20), SubjectMean(**rows)
        found.append([both_scores(model, X, y, train, start=0) for model in models])
    ours, mean = np.mean(found, axis=0)
    assert (ours > mean - 0.01).all()


def test_pooling_needs_an_intercept():
    X, rows = pack_rows(np.ones((4, 1, 20)), subjects=[0, 0, 1, 1])
    with pytest.raises(ValueError, match="partial_pooling=False"):
        TRF(**rows, fit_intercept=False).fit(X, np.ones((4, 1, 20)))


@pytest.mark.parametrize("edges", ["mean", "drop"])
@pytest.mark.parametrize("pooled", [True, False])
def test_a_constant_added_to_a_feature_changes_nothing(edges, pooled):
    rng = np.random.default_rng(3)
    X, rows = pack_rows(rng.normal(size=(20, 2, 30)), subjects=np.arange(20) % 2)
    y = rng.normal(size=(20, 3, 30)) + X[:, :1]
    model = TRF(**rows, tmin=-2, tmax=5, edges=edges, partial_pooling=pooled)
    predicted = model.fit(X, y).predict(X)
    X[:, :2] += np.array([4.0, -7.0])[:, np.newaxis]
    assert_allclose(model.fit(X, y).predict(X), predicted, rtol=1e-6, atol=1e-8)


def test_edges_of_zeros_are_those_of_scikit_learn_on_the_lag_matrix():
    rng = np.random.default_rng(4)
    X, y = rng.normal(2, 1, size=(8, 2, 30)), rng.normal(size=(8, 3, 30))
    ours = TRF(tmin=-1, tmax=4, alphas=2.0, edges="zero").fit(X, y)
    wide = lagged(X.transpose(1, 0, 2), np.arange(-1, 5)).reshape(12, -1).T
    theirs = Ridge(2.0).fit(wide, y.transpose(0, 2, 1).reshape(-1, 3))
    assert_allclose(ours.coef_.reshape(3, -1), theirs.coef_, atol=1e-10)
    expected = theirs.predict(wide).reshape(8, 30, 3).transpose(0, 2, 1)
    assert_allclose(ours.predict(X), expected, atol=1e-10)


def test_dropped_edges_are_those_inside():
    rng = np.random.default_rng(5)
    X, y = rng.normal(size=(8, 1, 30)), rng.normal(size=(8, 2, 30))
    ours = TRF(tmin=0, tmax=4, alphas=2.0, edges="drop").fit(X, y)
    wide = lagged(X.transpose(1, 0, 2), np.arange(5))[..., 4:].reshape(5, -1).T
    theirs = Ridge(2.0).fit(wide, y[..., 4:].transpose(0, 2, 1).reshape(-1, 2))
    assert_allclose(ours.coef_.reshape(2, -1), theirs.coef_, atol=1e-10)
    assert_allclose(ours.intercept_, theirs.intercept_, atol=1e-10)
    with pytest.raises(ValueError, match="edges='drop'.*leaves no sample"):
        TRF(tmin=-20, tmax=20, edges="drop").fit(X, y)


def test_lags_of_a_feature():
    rng = np.random.default_rng(6)
    X, y = rng.normal(size=(9, 2, 40)), rng.normal(size=(9, 3, 40))
    both = TRF(tmin=[0, -2], tmax=[3, 1], alphas=1.0).fit(X, y)
    assert_array_equal(both.delays_, np.arange(-2, 4))
    assert (both.coef_[:, 0, :2] == 0).all() and (both.coef_[:, 1, 4:] == 0).all()
    same = TRF(tmin=[0, 0], tmax=[3, 3], alphas=1.0).fit(X, y)
    assert_array_equal(same.coef_, TRF(tmax=3, alphas=1.0).fit(X, y).coef_)
    single = TRF(tmin=2, tmax=2, alphas=1.0).fit(X, y)
    with use_log_level("error"):
        theirs = ReceptiveField(2, 2, 1.0, estimator=1.0)
        theirs.fit(X.transpose(2, 0, 1), y.transpose(2, 0, 1))
    assert_allclose(single.coef_, theirs.coef_, rtol=1e-6)
    with pytest.raises(ValueError, match="tmin of .* one for each of the 2 stimulus rows"):
        TRF(tmin=[0, 0, 0]).fit(X, y)
