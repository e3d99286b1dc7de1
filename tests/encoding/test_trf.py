import pickle
from itertools import product

import mne
import numpy as np
import pytest
from mne.decoding import ReceptiveField
from numpy.testing import assert_allclose, assert_array_equal
from scipy.signal import lfilter
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_validate
from threadpoolctl import threadpool_limits

from sklearn_meg import RecurrentTRF, SubjectMean, TemporalReceptiveField, pack_rows
from sklearn_meg.encoding._filters import inside
from sklearn_meg.encoding._lags import lag_sums, lagged, ridge
from sklearn_meg.encoding._prewhitening import fit_noise, white_sums

TRF = TemporalReceptiveField
LINEAR = [SubjectMean, TemporalReceptiveField, RecurrentTRF]


def make_data(seed=0, n_trials=24, n_features=3, n_channels=4, n_times=40, noise=1.0):
    """Response of known filters with lags 0..4, and noise."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_trials, n_features, n_times))
    coef = rng.normal(size=(n_channels, n_features, 5))
    wide = lagged(X.transpose(1, 0, 2), np.arange(5))
    y = np.einsum("cfl,flnt->nct", coef, wide)
    return X, y + noise * rng.normal(size=y.shape), coef


def as_mne(data):
    return np.ascontiguousarray(data.transpose(2, 0, 1))


def mne_fit(X, y, *args, **params):
    with mne.use_log_level("error"):
        return ReceptiveField(*args, **params).fit(as_mne(X), as_mne(y))


def lag_matrix(X, delays):
    return lagged(X.transpose(1, 0, 2), delays).reshape(X.shape[1] * len(delays), -1)


@pytest.mark.parametrize("tmin, tmax", [(0.0, 0.12), (-0.05, 0.07), (-0.09, -0.02), (0.03, 0.09)])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_equals_mne(tmin, tmax, fit_intercept):
    rng = np.random.default_rng(1)
    X, y = rng.normal(1, 1, size=(11, 3, 40)), rng.normal(2, 1, size=(11, 4, 40))
    ours = TRF(tmin=tmin, tmax=tmax, sfreq=100.0, alphas=3.0, fit_intercept=fit_intercept).fit(X, y)
    theirs = mne_fit(X, y, tmin, tmax, 100.0, estimator=3.0, fit_intercept=fit_intercept)
    assert_array_equal(ours.delays_, theirs.delays_)
    assert_allclose(ours.coef_, theirs.coef_, rtol=1e-6, atol=1e-10)
    predicted = theirs.predict(as_mne(X)).transpose(1, 2, 0)
    # With an intercept MNE predicts as if the features were zero outside, ours their mean.
    alike = inside(ours.delays_, 40) if fit_intercept else slice(None)
    assert_allclose(ours.predict(X)[..., alike], predicted[..., alike], rtol=1e-6, atol=1e-10)
    X = X - X.mean(axis=(0, 2), keepdims=True)
    ours, theirs = ours.fit(X, y), mne_fit(X, y, tmin, tmax, 100.0, estimator=3.0)
    if fit_intercept:
        predicted = theirs.predict(as_mne(X)).transpose(1, 2, 0)
        assert_allclose(ours.predict(X), predicted, rtol=1e-6, atol=1e-10)


def test_equals_mne_with_scikit_learn_ridge():
    # Only without intercept: with one, MNE shifts every lagged piece of every trial to the mean
    X, y, _ = make_data()
    ours = TRF(tmin=-3, tmax=8, alphas=10.0, fit_intercept=False).fit(X, y)
    theirs = mne_fit(X, y, -3, 8, 1.0, estimator=Ridge(10.0, fit_intercept=False))
    assert_allclose(ours.coef_, theirs.coef_, rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize("start, lags", [(0, (0, 5)), (7, (1, 8)), (3, (-4, 6)), (12, (-6, -2))])
def test_lag_sums_are_those_of_the_lag_matrix(start, lags):
    rng = np.random.default_rng(2)
    x, y, lags = rng.normal(size=(2, 6, 20)), rng.normal(size=(3, 6, 20)), np.arange(*lags)
    sums = lag_sums([(x[:, :4], y[:, :4]), (x[:, 4:], y[:, 4:])], lags, start)
    wide, target = lagged(x, lags, start).reshape(2 * len(lags), -1), y[:, :, start:].reshape(3, -1)
    assert_allclose(sums.xx, wide @ wide.T, atol=1e-12)
    assert_allclose(sums.xy, wide @ target.T, atol=1e-12)
    assert_allclose(sums.yy, target @ target.T, atol=1e-12)
    assert_allclose(sums.x, wide.sum(axis=1), atol=1e-12)
    assert sums.n_samples == target.shape[1]


def test_singular_problem_gives_the_shortest_solution():
    X, y, _ = make_data(n_features=1)
    X = np.concatenate([X, X], axis=1)
    coef = TRF(tmin=0, tmax=4, alphas=0.0, fit_intercept=False).fit(X, y).coef_
    wide = lag_matrix(X, np.arange(5))
    shortest = np.linalg.lstsq(wide.T, y.transpose(1, 0, 2).reshape(len(coef), -1).T)[0]
    assert_allclose(coef.reshape(len(coef), -1).T, shortest, atol=1e-8)


def test_held_out_scores_are_those_of_predictions():
    X, y, _ = make_data(n_trials=12, noise=5.0)
    alphas = [1.0, 100.0, 1e4]
    params = {"cv": 3, "fit_intercept": False, "noise": "white"}
    model = TRF(tmin=-1, tmax=4, alphas=alphas, **params).fit(X, y)
    folds = np.array_split(np.arange(12), 3)
    for i, alpha in enumerate(alphas):
        error = 0.0
        for fold in folds:
            train = np.setdiff1d(np.arange(12), fold)
            one = TRF(tmin=-1, tmax=4, alphas=alpha, fit_intercept=False).fit(X[train], y[train])
            error += ((y[fold] - one.predict(X[fold])) ** 2).sum(axis=(0, 2))
        assert_allclose(model.cv_scores_[:, i], 1 - error / (y**2).sum(axis=(0, 2)))
    assert_array_equal(model.alpha_, np.array(alphas)[model.cv_scores_.argmax(axis=1)])
    one = TRF(tmin=-1, tmax=4, alphas=model.alpha_[0], fit_intercept=False).fit(X, y)
    assert_allclose(model.coef_[0], one.coef_[0])


def test_alpha_per_target_or_one_for_all():
    X, y, _ = make_data(noise=0.1)
    y[:, 0] = np.random.default_rng(3).normal(size=y[:, 0].shape)  # nothing to find here
    each = TRF(tmin=0, tmax=4).fit(X, y)
    assert each.alpha_[0] > 100 * each.alpha_[1]
    same = TRF(tmin=0, tmax=4, alpha_per_target=False).fit(X, y)
    assert len(set(same.alpha_)) == 1


def test_recovers_the_filters():
    X, y, coef = make_data(noise=0.1, n_trials=60)
    assert_allclose(TRF(tmin=0, tmax=4).fit(X, y).coef_, coef, atol=0.02)


def test_groups_get_a_penalty_each():
    X, y, coef = make_data(n_trials=6, n_features=12, n_times=30, noise=3.0)
    noise = np.random.default_rng(4).normal(size=X[:, :8].shape)
    X = np.concatenate([X[:, :4], noise], axis=1)
    y = np.einsum(
        "cfl,flnt->nct", coef[:, :4], lagged(X[:, :4].transpose(1, 0, 2), np.arange(5))
    ) + np.random.default_rng(5).normal(size=y.shape)
    groups = {"signal": range(4), "noise": list(range(4, 12))}
    params = {"tmin": 0, "tmax": 4, "alpha_per_target": False, "noise": "white"}
    banded = TRF(feature_groups=groups, **params).fit(X, y)
    assert banded.alpha_.shape == (4, 2)
    assert (banded.alpha_[:, 1] > banded.alpha_[:, 0]).all()
    plain = TRF(**params).fit(X, y)
    true = np.concatenate([coef[:, :4], np.zeros((4, 8, 5))], axis=1)
    assert ((banded.coef_ - true) ** 2).sum() < ((plain.coef_ - true) ** 2).sum()
    # The solution is that of scaled features
    weights = np.repeat(banded.alpha_[0][[0] * 4 + [1] * 8], 5)
    wide = lag_matrix(X - X.mean(axis=(0, 2), keepdims=True), np.arange(5))
    target = (y - y.mean(axis=(0, 2), keepdims=True)).transpose(1, 0, 2).reshape(4, -1)
    assert_allclose(banded.coef_.reshape(4, -1).T, ridge(wide @ wide.T, wide @ target.T, weights))


def test_patterns_are_haufes():
    X, y, _ = make_data()
    model = TRF(tmin=0, tmax=4, alphas=1.0).fit(X, y)
    wide = lag_matrix(X - X.mean(axis=(0, 2), keepdims=True), np.arange(5))
    covariance = np.cov(y.transpose(1, 0, 2).reshape(4, -1)) * (wide.shape[1] - 1)
    expected = np.linalg.inv(covariance) @ model.coef_.reshape(4, -1) @ (wide @ wide.T)
    assert_allclose(model.patterns_.reshape(4, -1), expected, rtol=1e-8, atol=1e-12)
    theirs = mne_fit(X, y[:, :1], 0, 4, 1.0, estimator=1.0, patterns=True).patterns_
    ours = TRF(tmin=0, tmax=4, alphas=1.0).fit(X, y[:, :1]).patterns_
    assert_allclose(ours / np.abs(ours).max(), theirs / np.abs(theirs).max(), atol=1e-10)


def test_one_model_a_subject_and_their_mean_for_a_new_one():
    X, y, _ = make_data(n_trials=30)
    subjects = np.arange(30) % 3 * 5  # 0, 5, 10
    y *= (1 + subjects)[:, None, None]
    Xs, rows = pack_rows(X, subjects=subjects)
    model = TRF(tmin=0, tmax=4, alphas=2.0, partial_pooling=False, **rows).fit(Xs, y)
    alone = TRF(tmin=0, tmax=4, alphas=2.0).fit(X[subjects == 5], y[subjects == 5])
    assert_array_equal(model.subjects_, [0, 5, 10])
    assert_allclose(model.subject_coef_[1], alone.coef_)
    assert_allclose(model.predict(Xs)[subjects == 5], alone.predict(X[subjects == 5]))
    assert_allclose(model.coef_, model.subject_coef_.mean(axis=0))
    new = pack_rows(X[:2], subjects=[7, 7])[0]
    mean = np.mean(
        [model.predict(pack_rows(X[:2], subjects=[s, s])[0]) for s in (0, 5, 10)], axis=0
    )
    assert_allclose(model.predict(new)[..., 4:], mean[..., 4:])
    model.set_params(unknown_subject="error")
    with pytest.raises(ValueError, match=r"subject\(s\) 7 that .* Seen: 0, 5, 10"):
        model.predict(new)


def test_initial_meg_is_not_a_stimulus():
    X, y, _ = make_data()
    packed, rows = pack_rows(X, initial=y, n_initial=5)
    with_initial, without = (
        TRF(tmin=0, tmax=4, **rows).fit(packed, y),
        TRF(tmin=0, tmax=4).fit(X, y),
    )
    assert_array_equal(with_initial.coef_, without.coef_)


def test_default_lags_are_40_or_the_trial():
    X, y, _ = make_data(n_times=40)
    assert_array_equal(TRF().fit(X[:, :, :30], y[:, :, :30]).delays_, np.arange(30))
    long = np.concatenate([X, X], axis=2), np.concatenate([y, y], axis=2)
    assert_array_equal(TRF(tmin=-0.2, sfreq=10.0).fit(*long).delays_, np.arange(-2, 38))


@pytest.mark.parametrize("cls", LINEAR)
@pytest.mark.parametrize("kind", ["float32", "memmap", "fortran"])
def test_kinds_of_arrays(cls, kind, tmp_path):
    X, y, _ = make_data()
    expected = cls().fit(X, y).predict(X)
    arrays, before = [], X.copy()
    for i, data in enumerate((X, y)):
        if kind == "memmap":
            mapped = np.memmap(tmp_path / f"{i}", mode="w+", dtype=float, shape=data.shape)
            mapped[:] = data
            mapped.flush()
            arrays.append(np.memmap(tmp_path / f"{i}", mode="r", dtype=float, shape=data.shape))
        else:
            arrays.append(np.asfortranarray(data) if kind == "fortran" else data.astype("f4"))
    tolerance = 1e-4 if kind == "float32" else 1e-10
    predicted = cls().fit(*arrays).predict(arrays[0])
    assert_allclose(predicted, expected, atol=tolerance)
    assert_array_equal(X, before)


@pytest.mark.parametrize("cls", LINEAR)
def test_same_bits_for_any_number_of_threads(cls):
    X, y, _ = make_data(n_trials=60, n_times=60)
    predictions = []
    for n in (1, 2):
        with threadpool_limits(n, user_api="blas"):
            predictions.append(cls().fit(X, y).predict(X))
    assert_array_equal(*predictions)


@pytest.mark.parametrize("cls", LINEAR)
def test_persistence(cls):
    from skops import io

    X, y, _ = make_data()
    packed, rows = pack_rows(X, subjects=np.arange(24) % 2, initial=y, n_initial=5)
    model = cls(**rows).fit(packed, y)
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict(packed), model.predict(packed))
    data = io.dumps(model)
    untrusted = io.get_untrusted_types(data=data)
    assert untrusted == [f"{cls.__module__}.{cls.__name__}"]
    assert_array_equal(io.loads(data, trusted=untrusted).predict(packed), model.predict(packed))


@pytest.mark.parametrize("cls", LINEAR)
def test_cross_validation_on_flat_targets(cls):
    X, y, _ = make_data()
    flat = y.reshape(len(y), -1)
    one, two = (
        cross_validate(cls(), X, flat, cv=3, scoring=("r2", "neg_mean_squared_error"), n_jobs=n)
        for n in (1, 2)
    )
    for name in ("test_r2", "test_neg_mean_squared_error"):
        assert_array_equal(one[name], two[name])
    model = cls().fit(X, flat)
    assert model.predict(X).shape == flat.shape
    assert_allclose(model.score(X, flat), r2_score(flat, model.predict(X)))
    assert_allclose(model.score(X, y), model.score(X, flat))


def test_grid_search():
    X, y, _ = make_data()
    search = GridSearchCV(TRF(), {"tmax": [1, 4]}, cv=3, scoring="r2").fit(X, y.reshape(len(y), -1))
    assert search.best_params_ == {"tmax": 4}


def test_subject_mean():
    _, y, _ = make_data()
    subjects = np.arange(24) % 2
    X, rows = pack_rows(np.zeros((24, 1, 40)), subjects=subjects)
    predicted = SubjectMean(**rows).fit(X, y).predict(X)
    for s, trial in product((0, 1), range(3)):
        assert_allclose(predicted[subjects == s][trial], y[subjects == s].mean(axis=0))
    new = pack_rows(np.zeros((1, 1, 40)), subjects=[9])[0]
    assert_allclose(SubjectMean(**rows).fit(X, y).predict(new)[0], y.mean(axis=0))


def test_a_single_trial_can_be_fitted():
    X, y, _ = make_data(n_trials=1, n_times=200, noise=0.1)
    model = TRF(tmin=0, tmax=4, alphas=[0.1, 1.0, 1e3]).fit(X, y)
    assert_array_equal(model.alpha_, [1.0] * 4)
    assert np.isnan(model.cv_scores_).all()


@pytest.mark.parametrize(
    "params, message",
    [
        ({"tmax": 40}, "shorter than the trials, which have 40 samples"),
        ({"tmin": 3, "tmax": 1}, "tmin of TemporalReceptiveField must not be above tmax"),
        ({"sfreq": 0.0}, "'sfreq' parameter .* range"),
        ({"alphas": [1.0, -1.0]}, "'alphas' parameter .* Got"),
        ({"alphas": []}, "'alphas' parameter"),
        ({"cv": 1}, "'cv' parameter"),
        ({"feature_groups": [[0], [1]]}, r"each stimulus row of X, \[0, 1, 2\], exactly once"),
        ({"unknown_subject": "mean"}, "'unknown_subject' parameter"),
    ],
)
def test_bad_parameters(params, message):
    X, y, _ = make_data()
    with pytest.raises(ValueError, match=message):
        TRF(**params).fit(X, y)


def slow_noise(rng, *shape):
    """Ongoing activity: neighboring samples say almost the same."""
    return lfilter([1], [1, -1.6, 0.65], rng.normal(size=shape), axis=-1)


@pytest.mark.parametrize("subjects", [None, np.arange(24) % 3])
def test_slow_noise_is_made_white_where_that_helps(subjects):
    features, y, coef = make_data(noise=0.0)
    X, rows = pack_rows(features, subjects=subjects)
    y = y + slow_noise(np.random.default_rng(1), *y.shape)
    found = {
        noise: TRF(tmin=0, tmax=4, noise=noise, **rows).fit(X, y)
        for noise in ("auto", "white", "ar")
    }
    error = {noise: np.abs(model.coef_ - coef).mean() for noise, model in found.items()}
    assert error["ar"] < 0.5 * error["white"]
    assert_array_equal(found["auto"].coef_, found["ar"].coef_)
    assert found["auto"].noise_filter_.shape[-1] == 5
    assert_array_equal(found["white"].noise_filter_[..., 1:], 0)


def test_a_filter_that_predicts_worse_is_not_taken():
    rng = np.random.default_rng(0)
    X = slow_noise(rng, 40, 1, 50) + rng.normal(size=(40, 1, 50))
    y = lfilter([0.2], [1, -0.8], X)  # slow parts only, which a single lag cannot tell from fast
    auto, white, ar = (TRF(tmax=0, noise=noise).fit(X, y) for noise in ("auto", "white", "ar"))
    assert_array_equal(auto.coef_, white.coef_)
    assert abs(ar.coef_.item()) < abs(white.coef_.item())


@pytest.mark.parametrize("lags", [np.arange(6), np.arange(-3, 4)])
def test_sums_of_white_noise_are_those_of_the_filtered_lag_matrix(lags):
    rng, order, n, n_times = np.random.default_rng(0), 3, 6, 24
    noise = fit_noise([(slow_noise(rng, 50, 3, n_times), np.ones((50, n_times)))], order)
    matrix = np.zeros((n_times, n_times))
    matrix[:order, :order] = noise.head
    for t in range(order, n_times):
        matrix[t, t - order : t + 1] = noise.taps[::-1]
    x, y = rng.normal(size=(2, n, n_times)), rng.normal(size=(3, n, n_times))
    counted = np.ones((n, n_times))
    counted[1, 20:], counted[2, :6], counted[3, 8:10], counted[4] = 0, 0, 0, 2
    usable = [
        [counted[i, max(0, t - order) : t + 1].all() for t in range(n_times)] for i in range(n)
    ]
    weight = counted * np.array(usable)
    rows, target = lagged(x, lags).reshape(-1, n, n_times) @ matrix.T, y @ matrix.T
    one = np.broadcast_to(matrix.sum(axis=1), (1, n, n_times))
    blocks = [
        tuple(each[..., part, :] for each in (x, y, counted)) for part in np.split(np.arange(n), 2)
    ]
    sums = white_sums(blocks, lags, noise)
    for found, a, b in [
        (sums.lags.xx, rows, rows), (sums.lags.xy, rows, target), (sums.lags.yy, target, target),
        (sums.lags.x, rows, one), (sums.lags.y, target, one), (sums.lags.n_samples, one, one),
    ]:  # fmt: skip
        assert_allclose(found, np.einsum("pnt,qnt,nt->pq", a, b, weight).squeeze(), atol=1e-10)
    assert_allclose(sums.x_course, (rows * weight).sum(axis=1), atol=1e-10)
    assert_allclose(sums.one, (one[0] * weight).sum(axis=0))
