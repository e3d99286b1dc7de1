import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_meg import RecurrentTRF, SubjectMean, TemporalReceptiveField, pack_rows
from sklearn_meg.encoding._arx import AUTO_COMPONENTS
from sklearn_meg.encoding._blend import SETTINGS, two_blends
from sklearn_meg.encoding._recursion import damp, spectral_radius, unroll

N_INITIAL = 12


def make_world(seed=0, n_trials=80, n_channels=3, n_times=50, noise=0.1, gain=1.0):
    """Damped rotations driven by a sparse stimulus: y[t] = A y[t-1] + B x[t-2] + 0.5 + noise."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(np.random.default_rng(99).normal(size=(n_channels, n_channels)))[0]
    A = 0.95 * basis
    B = np.random.default_rng(98).normal(size=(n_channels, 2)) * gain
    x = rng.normal(size=(n_trials, 2, n_times)) * (rng.random((n_trials, 1, n_times)) < 0.2)
    y = np.zeros((n_trials, n_channels, n_times))
    y[:, :, 0] = rng.normal(size=(n_trials, n_channels))
    for t in range(1, n_times):
        y[:, :, t] = y[:, :, t - 1] @ A.T + 0.5 + noise * rng.normal(size=(n_trials, n_channels))
        if t > 1:
            y[:, :, t] += x[:, :, t - 2] @ B.T
    return x, y, A, B


def after_initial(y):
    return y[:, :, N_INITIAL:]


def error(model, X, y):
    return np.mean((after_initial(y) - after_initial(model.predict(X))) ** 2)


def test_recovers_the_recursion():
    x, y, A, B = make_world(noise=0.5)
    X, rows = pack_rows(x, initial=y, n_initial=N_INITIAL)
    model = RecurrentTRF(n_past=2, tmax=3, alphas=1e-6, **rows).fit(X, y)
    past = model.past_coef_ @ model.components_
    assert_allclose(past[0], A, atol=0.06)
    assert_allclose(past[1], 0, atol=0.06)
    assert_allclose(model.coef_[:, :, 2], B, atol=0.06)
    assert_allclose(model.intercept_, 0.5, atol=0.06)


def test_prediction_is_the_documented_recursion():
    x, y, _, _ = make_world(n_trials=20)
    X, rows = pack_rows(x, initial=y, n_initial=N_INITIAL)
    model = RecurrentTRF(n_past=4, tmin=-1, tmax=3, **rows).fit(X, y)
    past = model.past_coef_ @ model.components_
    expected = y[:1].copy()
    for t in range(N_INITIAL, y.shape[2]):
        expected[0, :, t] = model.intercept_
        for k in range(1, 5):
            expected[0, :, t] += past[k - 1] @ expected[0, :, t - k]
        for i, lag in enumerate(model.delays_):
            inside = t - lag < y.shape[2]
            value = x[0, :, t - lag] if inside else model.feature_mean_
            expected[0, :, t] += model.coef_[:, :, i] @ value
    assert_allclose(model.predict(X[:1]), expected, atol=1e-10)
    assert_array_equal(model.predict(X)[:, :, :N_INITIAL], y[:, :, :N_INITIAL])


def test_beats_the_trf_where_the_past_matters():
    x, y, _, _ = make_world()
    X, rows = pack_rows(x, initial=y, n_initial=N_INITIAL)
    train, test = slice(0, 60), slice(60, 80)
    errors = [
        error(cls(**rows).fit(X[train], y[train]), X[test], y[test])
        for cls in (RecurrentTRF, TemporalReceptiveField, SubjectMean)
    ]
    assert errors[0] < 0.5 * errors[1] < 0.5 * errors[2]


def test_alpha_is_chosen_by_the_unrolled_error():
    x, y, _, _ = make_world(n_trials=12, noise=1.0)
    X, rows = pack_rows(x, initial=y, n_initial=N_INITIAL)
    alphas = [1.0, 100.0, 1e4]
    model = RecurrentTRF(n_past=6, alphas=alphas, cv=2, max_radius=1.0, **rows).fit(X, y)
    assert model.cv_scores_.shape == (6,)
    assert model.alpha_ == alphas[np.argmax(model.cv_scores_[:3])]
    better = model.cv_scores_[3:].max() > model.cv_scores_[:3].max()
    assert (model.stimulus_alpha_ != model.alpha_) == better


def test_stable_on_explosive_data():
    t = np.arange(60)
    rng = np.random.default_rng(0)
    y = 1.1**t * rng.normal(size=(20, 2, 1)) + 0.01 * rng.normal(size=(20, 2, 60))
    X, rows = pack_rows(rng.normal(size=(20, 1, 60)), initial=y, n_initial=5)
    model = RecurrentTRF(n_past=3, alphas=1e-6, **rows).fit(X, y)
    assert model.spectral_radius_ > 1.05
    assert_allclose(spectral_radius(model.past_coef_, model.components_), 0.999)
    assert np.abs(model.predict(X)).max() < 10 * np.abs(y).max()


@pytest.mark.parametrize("n_past, n", [(3, 4), (30, 8)])  # all eigenvalues; the largest only
def test_damping_scales_all_eigenvalues(n_past, n):
    rng = np.random.default_rng(1)
    past, components = rng.normal(size=(n_past, n, n)), np.eye(n)
    companion = np.eye(n_past * n, k=-n)
    companion[:n] = past.transpose(1, 0, 2).reshape(n, -1)
    radius = np.abs(np.linalg.eigvals(companion)).max()
    damped, before = damp(past, components, 0.9)
    assert_allclose(before, radius, rtol=1e-5)
    companion[:n] = damped.transpose(1, 0, 2).reshape(n, -1)
    assert_allclose(np.abs(np.linalg.eigvals(companion)).max(), 0.9, rtol=1e-5)


def test_few_components_of_many_channels():
    x, y, _, _ = make_world(n_channels=3)
    mixing = np.random.default_rng(5).normal(size=(60, 3))
    many = np.einsum("ck,nkt->nct", mixing, y)
    many += 0.01 * np.random.default_rng(6).normal(size=many.shape)
    X, rows = pack_rows(x, initial=many, n_initial=N_INITIAL)
    auto = RecurrentTRF(n_past=2, tmax=3, **rows).fit(X, many)
    assert auto.components_.shape == (AUTO_COMPONENTS, 60)
    assert auto.past_coef_.shape == (2, 60, AUTO_COMPONENTS)
    few = RecurrentTRF(n_past=2, tmax=3, n_components=3, **rows).fit(X, many)
    every = RecurrentTRF(n_past=2, tmax=3, n_components=None, **rows).fit(X, many)
    assert error(few, X, many) < 1.1 * error(every, X, many)


@pytest.mark.parametrize("unit", [1e-13, 1e6])
def test_units_do_not_matter(unit):
    x, y, _, _ = make_world(n_trials=20)
    X, rows = pack_rows(x, initial=y, n_initial=N_INITIAL)
    scaled, _ = pack_rows(x / unit, initial=y * unit, n_initial=N_INITIAL)
    expected = RecurrentTRF(n_past=4, **rows).fit(X, y).predict(X)
    predicted = RecurrentTRF(n_past=4, **rows).fit(scaled, y * unit).predict(scaled)
    assert_allclose(predicted / unit, expected, atol=1e-6)


def test_initial_meg_in_other_units():
    x, y, _, _ = make_world(n_trials=20)
    scale, shift = np.array([2.0, 5.0, 0.1])[:, None], np.array([1.0, 0.0, -3.0])[:, None]
    X, rows = pack_rows(x, initial=y, n_initial=N_INITIAL)
    other, _ = pack_rows(x, initial=y * scale + shift, n_initial=N_INITIAL)
    plain = RecurrentTRF(n_past=4, **rows).fit(X, y)
    model = RecurrentTRF(n_past=4, **rows).fit(other, y)
    assert_array_equal(plain.initial_slope_, 1)
    assert_array_equal(plain.initial_offset_, 0)
    assert_allclose(model.initial_slope_, 1 / scale[:, 0])
    assert_allclose(model.predict(other), plain.predict(X), atol=1e-8)


def test_without_initial_rows_the_recursion_starts_from_zero():
    x, y, _, _ = make_world(n_trials=20)
    model = RecurrentTRF(n_past=4, tmax=3).fit(x, y)
    first = model.intercept_ + model.coef_[:, :, 0] @ x[0, :, 0]
    first += model.coef_[:, :, 1:].sum(axis=2) @ model.feature_mean_
    assert_allclose(model.predict(x)[0, :, 0], first)


def test_subjects():
    parts = [make_world(seed=s, n_trials=20, gain=1 + 4 * s)[:2] for s in range(2)]
    x, y = (np.concatenate(p) for p in zip(*parts))
    subjects = np.repeat([0, 3], 20)
    X, rows = pack_rows(x, subjects=subjects, initial=y, n_initial=N_INITIAL)
    model = RecurrentTRF(n_past=2, tmax=3, **rows).fit(X, y)
    pooled = RecurrentTRF(n_past=2, tmax=3).set_params(
        initial_rows=rows["initial_rows"], n_initial=N_INITIAL
    )
    assert error(model, X, y) < 0.5 * error(pooled.fit(X, y), X, y)
    alone = RecurrentTRF(n_past=2, tmax=3, partial_pooling=False, **rows).fit(X, y)
    assert_allclose(alone.coef_, alone.subject_coef_.mean(axis=0))
    X[:, rows["subject_row"]] = 8
    assert spectral_radius(model.past_coef_, model.components_) < 1
    assert np.isfinite(model.predict(X)).all()
    with pytest.raises(ValueError, match=r"subject\(s\) 8 that .* Seen: 0, 3"):
        model.set_params(unknown_subject="error").predict(X)


def test_unroll_with_longer_past_than_initial_window():
    rng = np.random.default_rng(2)
    past, components = 0.2 * rng.normal(size=(5, 3, 2)), rng.normal(size=(2, 3))
    drive, known = rng.normal(size=(4, 3, 9)), rng.normal(size=(4, 3, 2))
    y = unroll(drive, known, past, components)
    for t in range(2, 9):
        expected = drive[:, :, t].copy()
        for k in range(1, min(5, t) + 1):
            expected += y[:, :, t - k] @ (past[k - 1] @ components).T
        assert_allclose(y[:, :, t], expected)


@pytest.mark.parametrize(
    "params, message",
    [
        ({"initial_rows": [2, 3]}, "one row of X for each channel of y, which has 3. Got 2 rows"),
        ({"n_components": 9}, "n_components must not be above the number of channels of y, 3"),
        ({"n_past": -1}, "'n_past' parameter"),
        ({"max_radius": 1.5}, "'max_radius' parameter"),
        ({"n_initial": 50}, "initial window must be shorter than a trial, which has 50 samples"),
        ({"tmax": 50}, "must be shorter than the trials, which have 50 samples"),
    ],
)
def test_bad_parameters(params, message):
    x, y, _, _ = make_world(n_trials=8)
    X, rows = pack_rows(x, initial=y, n_initial=N_INITIAL)
    with pytest.raises(ValueError, match=message):
        RecurrentTRF(**{**rows, **params}).fit(X, y)


def test_partial_pooling_helps_subjects_with_few_trials():
    train, test = [], []
    for seed in range(8):
        x, y, _, _ = make_world(seed=seed, n_trials=13)  # the same system, other noise
        train.append((x[:3], y[:3], np.full(3, seed)))
        test.append((x[3:], y[3:], np.full(10, seed)))
    (x, y, s), (x_test, y_test, s_test) = (
        [np.concatenate(p) for p in zip(*d)] for d in (train, test)
    )
    X, rows = pack_rows(x, subjects=s, initial=y, n_initial=N_INITIAL)
    X_test, _ = pack_rows(x_test, subjects=s_test, initial=y_test, n_initial=N_INITIAL)
    pooled = RecurrentTRF(n_past=4, tmax=6, **rows).fit(X, y)
    alone = RecurrentTRF(n_past=4, tmax=6, partial_pooling=False, **rows).fit(X, y)
    assert error(pooled, X_test, y_test) < error(alone, X_test, y_test)


def test_never_far_below_the_trf_where_the_past_says_nothing():
    rng = np.random.default_rng(3)
    course, subjects = rng.normal(size=(6, 3, 50)), np.repeat(np.arange(6), 8)
    y = course[subjects] + rng.normal(size=(48, 3, 50))
    X, rows = pack_rows(
        rng.normal(size=(48, 1, 50)), subjects=subjects, initial=y, n_initial=N_INITIAL
    )
    train = np.arange(48) % 8 < 5
    found = {
        cls: error(cls(**rows, tmax=5).fit(X[train], y[train]), X[~train], y[~train])
        for cls in (RecurrentTRF, TemporalReceptiveField)
    }
    assert found[RecurrentTRF] < 1.02 * found[TemporalReceptiveField]
    assert RecurrentTRF(**rows, tmax=5).fit(X[train], y[train]).blend_[:, 20:].mean() < 0.5


def test_a_constant_added_to_a_feature_changes_nothing():
    x, y, _, _ = make_world(n_trials=20)
    X, rows = pack_rows(x, subjects=np.arange(20) % 2, initial=y, n_initial=N_INITIAL)
    predicted = RecurrentTRF(n_past=3, tmax=3, **rows).fit(X, y).predict(X)
    X[:, 0] += 5
    again = RecurrentTRF(n_past=3, tmax=3, **rows).fit(X, y).predict(X)
    assert_allclose(again, predicted, rtol=1e-6, atol=1e-7)


def test_means_and_deviations_are_blended_apart():
    # Of 20 trials the TRF leaves the deviations; to the means the change is opposed.
    n = 20
    products, sums = np.ones((2, 2, 30)), np.ones((1, 3, 2, 30))
    products[0], products[1] = n - n, n + n  # deviations, means
    sums[:, 0], sums[:, 1], sums[:, 2] = -n, n, n
    deviations, means, change = two_blends(products, sums)
    share = n / (n + SETTINGS.kappa)
    np.testing.assert_allclose(deviations[:, 8:-8], share)
    np.testing.assert_allclose(means, 0.0)
    np.testing.assert_allclose(change, 1.0)


def test_one_trial_of_each_subject_has_one_blend():
    deviations, means, _ = two_blends(np.full((2, 2, 30), 3.0), np.ones((3, 3, 2, 30)))
    np.testing.assert_array_equal(deviations, means)


def test_the_mean_response_comes_from_the_better_model():
    """Deviations go on, the mean course does not: one model knows these, one that."""
    rng = np.random.default_rng(0)
    course = 2 * rng.normal(size=(2, 50))
    slow = np.cumsum(rng.normal(size=(60, 2, 50)), axis=2)
    slow -= slow.mean(axis=0)
    X, rows = pack_rows(rng.normal(size=(60, 1, 50)), initial=slow + course, n_initial=N_INITIAL)
    rows["subject_row"] = None
    X = np.concatenate([X, np.zeros((60, 1, 50))], axis=1)
    rows["subject_row"] = X.shape[1] - 1
    model = RecurrentTRF(**rows, tmax=5).fit(X, slow + course)
    assert model.blend_[:, 20:].mean() > model.mean_blend_[:, 20:].mean() + 0.2
