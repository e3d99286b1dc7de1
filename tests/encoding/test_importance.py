import mne
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from benchmarks.encoding.importance import noise_feature, true_response_to_feature
from sklearn_meg import (
    ChannelScaler,
    RecurrentTRF,
    SubjectMean,
    TemporalReceptiveField,
    pack_rows,
    permutation_importance_over_time,
    response_to_feature,
)
from sklearn_meg.datasets import make_words
from sklearn_meg.metrics import r_map
from sklearn_meg.plotting import plot_importance, plot_importance_topomap

LAGS = 30


class Interaction(RegressorMixin, BaseEstimator):
    """Predicts row 1 squared in one channel and row 0 times row 1 in the other."""

    def __init__(self, subject_row=None, initial_rows=None, n_initial=0, mask_row=None):
        self.subject_row = subject_row
        self.initial_rows = initial_rows
        self.n_initial = n_initial
        self.mask_row = mask_row

    def fit(self, X, y=None):
        return self

    def predict(self, X):
        return np.stack([X[:, 1] ** 2, X[:, 0] * X[:, 1]], axis=1)


class Plain(RegressorMixin, BaseEstimator):
    """Knows no rows; repeats two rows of X."""

    def fit(self, X, y=None):
        return self

    def predict(self, X):
        return X[:, :2] * 1.0


@pytest.fixture(scope="module")
def linear():
    """World L with a row of noise: (data, X, rows, train, test)."""
    data = make_words("L", n_subjects=3, n_trials=80, n_channels=5, random_state=1)
    noise = np.random.default_rng(0).normal(size=(len(data.X), 1, 1)) * data.features[:, :1]
    features = np.concatenate([data.features, noise], axis=1)
    X, rows = pack_rows(
        features, subjects=data.subjects, initial=data.meg, n_initial=data.rows["n_initial"]
    )
    test = np.arange(len(X)) % 80 >= 60
    return data, X, rows, ~test, test


@pytest.fixture(scope="module")
def trf(linear):
    data, X, rows, train, _ = linear
    return TemporalReceptiveField(tmax=LAGS, alphas=10.0, **rows).fit(X[train], data.y[train])


@pytest.fixture(scope="module")
def result(linear, trf):
    data, X, _, _, test = linear
    names = {"length": 1, "frequency": 2, "noise": 3, "subject": None, "initial": None}
    return permutation_importance_over_time(
        trf, X[test], data.y[test], features=names, n_repeats=3, random_state=0
    )


def test_importance_finds_what_the_model_uses(linear, result):
    data, *_ = linear
    assert result.names == ["length", "frequency", "noise", "subject", "initial"]
    assert result.importances.shape == (5, 3, 3, 5, 101)
    mean = result.summary(start=20).groupby("feature")["importance"].mean()
    assert mean[["length", "frequency", "subject"]].min() > 0.02
    assert abs(mean["noise"]) < 0.01
    assert mean["initial"] == 0  # a TRF does not look at it
    before = result.importances_mean[1][..., data.times < 0]  # of other words only
    after = result.importances_mean[1][..., (data.times > 0.3) & (data.times < 0.5)]
    assert after.mean() > before.mean()


def test_baseline_is_r_within_each_subject(linear, trf, result):
    data, X, _, _, test = linear
    y_pred = trf.predict(X[test])
    for s in range(3):
        mine = data.subjects[test] == s
        assert_allclose(result.baseline[s], r_map(data.y[test][mine], y_pred[mine]), atol=1e-12)
    assert_array_equal(result.subjects, [0, 1, 2])


def test_mean_spread_and_relative_loss(result):
    assert_allclose(result.importances_mean[0], result.importances[0].mean(axis=0), atol=1e-6)
    assert_allclose(result.importances_std[0], result.importances[0].std(axis=0), atol=1e-6)
    relative = result.relative(min_r=0.2)
    assert_array_equal(np.isnan(relative[0]), result.baseline <= 0.2)
    shown = ~np.isnan(relative[0])
    assert_allclose(relative[0][shown], (result.importances_mean[0] / result.baseline)[shown])


def test_all_r_is_lost_without_the_only_feature():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 2, 1)) * np.ones(3)
    found = permutation_importance_over_time(Plain(), X, X, n_repeats=2, random_state=0)
    assert found.names == ["row 0", "row 1"]
    assert_allclose(found.baseline, 1.0)
    for row in (0, 1):  # channel `row` repeats row `row`, the other one does not care
        assert_allclose(found.importances[row, :, 0, row], 1.0, atol=0.15)
        assert_allclose(found.importances[row, :, 0, 1 - row], 0.0, atol=1e-6)


def test_constant_prediction_has_r_zero(linear):
    data, X, rows, train, test = linear
    mean = SubjectMean(**rows).fit(X[train], data.y[train])
    names = ["subject", "initial", 0]
    found = permutation_importance_over_time(
        mean, X[test], data.y[test], features=names, n_repeats=1, random_state=0
    )
    assert found.names == ["subject", "initial", "row 0"]
    assert (found.baseline == 0).all()
    assert (found.importances[1:] == 0).all()


def test_flat_channel_is_nan_and_left_out_of_the_summary(linear, trf):
    data, X, _, _, test = linear
    y = data.y[test].copy()
    y[:, 2] = 7.0
    found = permutation_importance_over_time(
        trf, X[test], y, features={"length": 1}, n_repeats=1, random_state=0
    )
    assert np.isnan(found.importances[:, :, :, 2]).all()
    assert np.isfinite(np.delete(found.importances, 2, axis=3)).all()
    assert np.isfinite(found.summary()["importance"]).all()


def test_samples_that_do_not_count():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(80, 2, 6))
    counted = np.ones((80, 6), dtype=bool)
    counted[:30, 4] = False
    counted[:, 5] = False
    X, rows = pack_rows(features, mask=counted)
    model = Interaction(**rows)
    y = model.predict(X) + rng.normal(size=(80, 2, 6))
    kwargs = {"features": {"a": 0}, "n_repeats": 1, "random_state": 0}
    plain = permutation_importance_over_time(Interaction(), X, y, **kwargs)
    expected = plain.baseline.copy()
    expected[0, :, 4] = r_map(y[30:], model.predict(X)[30:])[:, 4]
    expected[0, :, 5] = np.nan
    y[~counted[:, None].repeat(2, axis=1)] = 1e6
    found = permutation_importance_over_time(model, X, y, **kwargs)
    assert_allclose(found.baseline, expected, atol=1e-12)
    assert_array_equal(found.importances[..., :4], plain.importances[..., :4])
    response = response_to_feature(model, X, 1, onset=4)
    assert_allclose(response[0, 1, 4], features[30:, 0, 4].mean())
    assert np.isnan(response[..., 5]).all()


def test_within_subject_keeps_rows_in_the_subject():
    subjects = np.repeat([0, 5], 30)
    X, rows = pack_rows(np.zeros((60, 2, 4)), subjects=subjects)
    X[:, 0] = subjects[:, None]  # constant within a subject: nothing to lose there
    X[:, 1] = np.random.default_rng(0).normal(size=(60, 1))
    y = np.repeat((X[:, 0] + X[:, 1])[:, None], 2, axis=1)

    class Sum(Interaction):
        def predict(self, X):
            return np.repeat((X[:, 0] + X[:, 1])[:, None], 2, axis=1)

    kwargs = {"features": {"own": 0, "varies": 1}, "n_repeats": 2, "random_state": 0}
    within = permutation_importance_over_time(Sum(**rows), X, y, within_subject=True, **kwargs)
    over = permutation_importance_over_time(Sum(**rows), X, y, **kwargs)
    assert_allclose(within.importances[0], 0.0, atol=1e-6)
    assert within.importances[1].min() > 0.5
    assert over.importances[0].min() > 0.1
    assert_array_equal(within.subjects, [0, 5])


def test_subject_cannot_be_permuted_within_a_subject(linear, trf):
    data, X, *_ = linear
    for features in (["subject"], {"who": 4}, {"all": slice(0, 5)}):
        with pytest.raises(ValueError, match="cannot be permuted with within_subject=True"):
            permutation_importance_over_time(trf, X, data.y, features=features, within_subject=True)
    with pytest.raises(ValueError, match="all trials are of one subject"):
        permutation_importance_over_time(trf, X[:20], data.y[:20], features=["subject"])


def test_seed_decides_whatever_n_jobs(linear, trf):
    data, X, _, _, test = linear

    def run(seed, n_jobs=None):
        return permutation_importance_over_time(
            trf, X[test], data.y[test], features=["subject", 1], n_repeats=2, random_state=seed,
            n_jobs=n_jobs,
        ).importances  # fmt: skip

    state = np.random.get_state()[1].copy()  # noqa: NPY002
    first = run(0)
    assert_array_equal(first, run(0, n_jobs=2))
    assert_array_equal(first, run(np.random.RandomState(0)))
    assert (first != run(1)).any()
    assert (run(None) != run(None)).any()
    assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_input_is_never_modified(linear, trf):
    data, X, _, _, test = linear
    X = np.asfortranarray(X[test])
    before = X.copy()
    X.setflags(write=False)
    permutation_importance_over_time(trf, X, data.y[test], n_repeats=1, random_state=0)
    response_to_feature(trf, X, 1, onset=20, onset_row=0, contexts="all")
    assert_array_equal(X, before)


def test_memory_mapped_trials_in_small_pieces(tmp_path, linear, trf, monkeypatch):
    data, X, _, _, test = linear
    kwargs = {"features": ["subject", 1], "n_repeats": 1, "random_state": 0}
    expected = permutation_importance_over_time(trf, X[test], data.y[test], **kwargs)
    response = response_to_feature(trf, X[test], 1, onset=20, onset_row=0)
    mapped = np.lib.format.open_memmap(tmp_path / "X.npy", "w+", X.dtype, X[test].shape)
    mapped[:] = X[test]
    mapped.flush()
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    monkeypatch.setattr("sklearn_meg.encoding._inspection.CHUNK_BYTES", 7 * X[:1].nbytes)
    found = permutation_importance_over_time(trf, mapped, data.y[test], **kwargs)
    assert_allclose(found.importances, expected.importances, atol=1e-6)
    assert_allclose(
        response_to_feature(trf, mapped, 1, onset=20, onset_row=0), response, atol=1e-12
    )


@pytest.mark.parametrize("wrap", ["pipeline", "target", "both", "search"])
def test_rows_are_found_inside_other_estimators(linear, wrap):
    data, X, rows, train, test = linear
    trf = TemporalReceptiveField(tmax=LAGS, alphas=10.0, **rows)
    model = {
        "pipeline": make_pipeline(ChannelScaler(method="standard", **rows), trf),
        "target": TransformedTargetRegressor(trf, transformer=ChannelScaler(), check_inverse=False),
        "both": TransformedTargetRegressor(
            make_pipeline(ChannelScaler(**rows), trf),
            transformer=ChannelScaler(),
            check_inverse=False,
        ),
        "search": GridSearchCV(make_pipeline(ChannelScaler(**rows), trf), {}, cv=2),
    }[wrap].fit(X[train], data.y[train])
    found = permutation_importance_over_time(
        model, X[test], data.y[test], features=["subject", "initial", 2], n_repeats=1,
        random_state=0,
    )  # fmt: skip
    mean = found.summary(start=20).groupby("feature")["importance"].mean()
    assert found.baseline.shape == (3, 5, 101)
    assert mean["subject"] > 0.05
    assert mean["row 2"] > 0.05
    assert mean["initial"] == 0
    assert response_to_feature(model, X[test], 1, onset=20, onset_row=0).shape == (3, 5, 101)


def test_pipeline_that_changes_rows_asks_for_names(linear):
    data, X, rows, train, _ = linear
    packed = {**rows, "subject_row": 3, "initial_rows": slice(4, 9)}
    drop = FunctionTransformer(lambda X: np.delete(X, 3, axis=1))
    trf = TemporalReceptiveField(tmax=LAGS, alphas=10.0, **packed)
    model = make_pipeline(drop, trf).fit(X[train], data.y[train])
    with pytest.raises(ValueError, match="its rows are not those of X"):
        permutation_importance_over_time(model, X, data.y)
    with pytest.raises(ValueError, match="its rows are not those of X"):
        response_to_feature(model, X, 1, onset=20)
    found = permutation_importance_over_time(
        model, X, data.y, features={"length": 1, "dropped": 3}, subjects=data.subjects,
        n_repeats=1, random_state=0,
    )  # fmt: skip
    mean = found.summary(start=20).groupby("feature")["importance"].mean()
    assert mean["length"] > 0.05
    assert mean["dropped"] == 0


def test_initial_meg_matters_to_a_recurrent_model(linear):
    data, X, rows, train, test = linear
    model = RecurrentTRF(**rows).fit(X[train], data.y[train])
    found = permutation_importance_over_time(
        model, X[test], data.y[test], features=["initial"], n_repeats=1, random_state=0
    )
    drop, n = found.importances_mean[0].mean(axis=(0, 1)), rows["n_initial"]
    assert drop[n : n + 5].mean() > 0.1
    assert drop[n : n + 5].mean() > 2 * drop[-20:].mean()


def test_flat_targets_and_two_dimensional_rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 3))
    y = X[:, 0] + 0.1 * rng.normal(size=50)
    model = TemporalReceptiveField(tmax=0, alphas=1.0).fit(X, y)
    found = permutation_importance_over_time(model, X, y, n_repeats=2, random_state=0)
    assert found.importances.shape == (3, 2, 1, 1, 1)
    assert found.importances_mean.ravel().argmax() == 0


@pytest.mark.parametrize(
    "features, match",
    [
        ({"length": 99}, r"features\['length'\] must select among the 10 rows"),
        ({"length": "x"}, "must select among"),
        ({"length": []}, "must select at least one row"),
        ({"length": None}, "must give row"),
        (["lenght"], "must give row"),
        ({}, "at least one feature"),
        ([], "at least one feature"),
    ],
)
def test_features_that_are_none(linear, trf, features, match):
    data, X, *_ = linear
    with pytest.raises(ValueError, match=match):
        permutation_importance_over_time(trf, X, data.y, features=features)


def test_special_names_need_an_estimator_that_has_them():
    X = np.random.default_rng(0).normal(size=(20, 3, 4))
    for name in ("subject", "initial"):
        with pytest.raises(ValueError, match=f"features names '{name}', but the estimator has no"):
            permutation_importance_over_time(Plain(), X, X[:, :2], features=[name])


@pytest.mark.parametrize(
    "change, match",
    [
        ({"n_repeats": 0}, "n_repeats must be an int of at least 1"),
        ({"n_repeats": 1.5}, "n_repeats must be an int of at least 1"),
        ({"subjects": [0, 1]}, "subjects must hold one value a trial"),
        ({"y": np.zeros((3, 5, 101))}, "inconsistent numbers of samples"),
        ({"y": np.zeros((240, 4, 101))}, "y must have the shape that TemporalReceptiveField"),
        ({"X": np.zeros((240, 10, 4, 2))}, "X must have the shape"),
    ],
)
def test_bad_input_of_importance(linear, trf, change, match):
    data, X, *_ = linear
    kwargs = {"X": X, "y": data.y, "n_repeats": 1} | change
    with pytest.raises(ValueError, match=match):
        permutation_importance_over_time(trf, **kwargs)


# ---------------------------------------------------------------------------- response readout


def test_readout_of_a_linear_model_is_its_filter(linear, trf):
    """The word's boxcar of 10 samples, convolved with the coefficients."""
    data, X, _, _, test = linear
    expected = np.zeros((3, 5, 101))
    for step in range(10):
        expected[:, :, 20 + step : 20 + step + LAGS + 1] += trf.subject_coef_[:, :, 1]
    for delta in (1.0, -0.25):
        for contexts in ("own", "all"):
            found = response_to_feature(
                trf, X[test], 1, onset=20, onset_row=0, delta=delta, contexts=contexts
            )
            assert_allclose(found, expected, atol=1e-12)


def test_readout_in_world_l_resembles_the_truth():
    data = make_words("L", n_subjects=2, n_trials=300, n_channels=5, random_state=0)
    trf = TemporalReceptiveField(**data.rows).fit(data.X, data.y)
    for row in (1, 2):
        found = response_to_feature(trf, data.X, row, onset=20, onset_row=0)
        assert np.corrcoef(found.ravel(), data.responses[:, row].ravel())[0, 1] > 0.8


def test_readout_averages_over_contexts():
    """(a + d)^2 - a^2 per d is 2 a + d; (a + d) b - a b per d is b."""
    X = np.zeros((40, 2, 12))
    rng = np.random.default_rng(0)
    X[:, :, 3:6] = rng.normal(size=(40, 2, 1))  # the word
    X[:, :, 8:10] = rng.normal(size=(40, 2, 1))  # another, left alone
    a, b = X[:, 1, 3].mean(), X[:, 0, 3].mean()
    found = response_to_feature(Interaction(), X, 1, onset=3, delta=0.5)
    expected = np.zeros((1, 2, 12))
    expected[0, :, 3:6] = [[2 * a + 0.5], [b]]
    assert_allclose(found, expected, atol=1e-12)


def test_contexts_of_all_subjects():
    subjects = np.repeat([0, 2], 10)
    X, rows = pack_rows(np.zeros((20, 2, 6)), subjects=subjects)
    X[:, :2, 2:4] = np.random.default_rng(0).normal(size=(20, 2, 1))

    class Scaled(Interaction):
        def predict(self, X):
            return super().predict(X) * (1 + X[:, [2]])

    model = Scaled(**rows)
    word = {"onset": 2, "onset_row": 0}
    own = response_to_feature(model, X, 1, **word)
    every = response_to_feature(model, X, 1, contexts="all", **word)
    mean_b = [X[subjects == s, 0, 2].mean() for s in (0, 2)]
    assert_allclose(own[:, 1, 2], np.array([1, 3]) * mean_b)
    assert_allclose(every[:, 1, 2], np.array([1, 3]) * X[:, 0, 2].mean())


def test_word_ends_where_its_value_or_the_onset_row_changes():
    X = np.zeros((3, 2, 8))
    X[:, 0, 2:6] = 1.0
    X[0, 1, 2:6] = [5, 5, 7, 7]  # the next word follows without a gap
    X[1, 1, 2:6] = 0.0  # a value of zero is a value
    X[2, 0] = 0.0  # no word

    found = response_to_feature(Plain(), X, 1, onset=2, onset_row=0)
    assert_allclose(found[0, 1], [0, 0, 1, 1, 0.5, 0.5, 0, 0])
    found = response_to_feature(Plain(), X, 1, onset=[4, 2, 2], onset_row=0)
    assert_allclose(found[0, 1], [0, 0, 0.5, 0.5, 1, 1, 0, 0])


@pytest.mark.parametrize(
    "change, match",
    [
        ({"feature_row": 99}, "feature_row must be one of the 10 rows"),
        ({"feature_row": 1.0}, "feature_row must be an int"),
        ({"onset_row": 99}, "onset_row must be one of the 10 rows"),
        ({"onset": 101}, "onset must be a sample of a trial, from 0 to 100"),
        ({"onset": 0.5}, "onset must be an int"),
        ({"onset": [1, 2]}, "onset must be an int, or an array of 240 ints"),
        ({"delta": 0.0}, "delta must be a finite float other than 0"),
        ({"delta": np.nan}, "delta must be a finite float other than 0"),
        ({"contexts": "some"}, "contexts must be 'own' or 'all'"),
        ({"onset": 18}, r"Row 0 of X is 0 at sample onset=18 in every trial of subject\(s\) \[0"),
    ],
)
def test_bad_input_of_readout(linear, trf, change, match):
    _, X, *_ = linear
    X = X.copy()
    X[:, 0, 18] = 0.0
    kwargs = {"feature_row": 1, "onset": 20, "onset_row": 0} | change
    with pytest.raises(ValueError, match=match):
        response_to_feature(trf, X, **kwargs)


def test_all_contexts_need_a_subject_row():
    with pytest.raises(ValueError, match="needs a subject row, but Plain has none"):
        response_to_feature(Plain(), np.ones((4, 2, 5)), 0, onset=1, contexts="all")


# ------------------------------------------------------------------------------------- figures


@pytest.fixture
def shown():
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


@pytest.fixture
def info():
    montage = mne.channels.make_standard_montage("biosemi16")
    return mne.create_info(montage.ch_names[:5], 40.0, "eeg").set_montage(montage)


def test_curve_is_the_mean_over_channels_and_subjects(linear, result, shown):
    times = linear[0].times
    ax = plot_importance(result, times)
    lines = {line.get_label(): line.get_ydata() for line in ax.get_lines()}
    for i, name in enumerate(result.names):
        assert_allclose(lines[name], result.importances_mean[i].mean(axis=(0, 1)), atol=1e-12)


def test_relative_curve_and_initial_window(linear, result, shown):
    times = linear[0].times
    ax = shown.figure().add_subplot()
    assert plot_importance(result, times, ax, relative=True, start=-0.2) is ax
    line = next(line for line in ax.get_lines() if line.get_label() == "frequency")
    drop = result.importances_mean[1].mean(axis=(0, 1))
    baseline = result.baseline.mean(axis=(0, 1))
    kept = (times >= -0.2) & (baseline > 0.05)
    assert_allclose(line.get_ydata()[kept], (100 * drop / baseline)[kept], atol=1e-9)
    assert np.isnan(line.get_ydata()[~kept]).all()
    assert "%" in ax.get_ylabel()


def test_topographies_of_features_and_times(linear, result, info, shown):
    times = linear[0].times
    figure = plot_importance_topomap(
        result, info, times, at=[0.2, 0.4, 0.6], features=["frequency", "noise"]
    )
    maps = [ax for ax in figure.axes if ax.images]
    assert len(maps) >= 6
    assert [ax.get_title() for ax in figure.axes[:3]] == ["0.20 s", "0.40 s", "0.60 s"]
    assert figure.axes[0].get_ylabel() == "frequency"
    limits = {ax.images[0].get_clim() for ax in maps[:6]}
    assert len(limits) == 1  # one scale
    figure = plot_importance_topomap(result, info, times, figure=shown.figure())
    assert len([ax for ax in figure.axes if ax.images]) >= 25


def test_bad_input_of_figures(linear, result, info, shown):
    times = linear[0].times
    with pytest.raises(ValueError, match="times must have the 101 samples"):
        plot_importance(result, times[1:])
    with pytest.raises(ValueError, match="times must have the 101 samples"):
        plot_importance_topomap(result, info, times[1:])
    with pytest.raises(ValueError, match="features must be among"):
        plot_importance_topomap(result, info, times, features=["x"])
    with pytest.raises(ValueError, match="info must have the 5 channels"):
        plot_importance_topomap(result, mne.create_info(3, 40.0, "eeg"), times)
    with pytest.raises(ValueError, match="No MEG or EEG channel of info has a position"):
        plot_importance_topomap(result, mne.create_info(5, 40.0, "eeg"), times)
    assert not shown.get_fignums()


# ----------------------------------------------------------------------------------- benchmark


def test_truth_in_a_linear_world_does_not_depend_on_the_words():
    data = make_words("L", n_subjects=2, n_trials=6, random_state=0)
    for i, name in enumerate(("length", "frequency"), 1):
        for delta in (1.0, -0.3):
            true = true_response_to_feature(data, name, np.arange(12) % 2 == 0, delta)
            assert_allclose(true, data.responses[:, i], atol=1e-10)


def test_noise_feature_has_one_value_a_word():
    data = make_words("N", n_subjects=1, n_trials=20, random_state=0)
    noise = noise_feature(data.features[:, 0], seed=0)[:, 0]
    length = data.features[:, 1]
    assert_array_equal(noise != 0, length != 0)
    assert_array_equal(np.diff(noise) != 0, np.diff(length) != 0)
    assert abs(np.corrcoef(noise[noise != 0], length[noise != 0])[0, 1]) < 0.1
