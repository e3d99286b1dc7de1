"""Trials of unequal length and samples that do not count."""

import pickle

import numpy as np
import pytest
import skops.io
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import KFold, cross_validate
from sklearn.pipeline import make_pipeline

from sklearn_meg import (
    ChannelScaler,
    DeepRecurrentEncoder,
    RecurrentTRF,
    Study,
    SubjectMean,
    TemporalReceptiveField,
    pack_rows,
    pad_trials,
)
from sklearn_meg.encoding._lags import grouped_sums, lag_sums, lagged
from sklearn_meg.metrics import make_r_scorer, pearson_r, r2, r_across_trials, r_map, r_over_time

N_TRIALS, N_CHANNELS, N_TIMES, N_INITIAL = 36, 3, 40, 4


def small(cls, **params):
    sizes = {
        "DeepRecurrentEncoder": {
            "max_epochs": 3,
            "hidden_size": 8,
            "random_state": 0,
            "base": "rtrf",
            "base_params": {"n_past": 3},
        },
        "RecurrentTRF": {"n_past": 3},
    }
    return cls(**{**sizes.get(cls.__name__, {}), **params})


ENCODERS = [SubjectMean, TemporalReceptiveField, RecurrentTRF, DeepRecurrentEncoder]


@pytest.fixture(scope="module")
def trials():
    """Lists of features and MEG of unequal length: an AR(1) response with an offset."""
    rng = np.random.default_rng(0)
    lengths = [*rng.integers(20, N_TIMES, N_TRIALS - 1), N_TIMES]
    mixing = rng.normal(size=(N_CHANNELS, 2))
    features = [rng.normal(size=(2, n)) for n in lengths]
    meg = []
    for x in features:
        drive = mixing @ (x + 0.5 * np.roll(x, 2, axis=1)) + 0.3 * rng.normal(size=(3, x.shape[1]))
        y = np.zeros_like(drive)
        for t in range(x.shape[1]):
            y[:, t] = drive[:, t] + 0.6 * (y[:, t - 1] if t else 0)
        meg.append(y + 2.0)
    return features, meg


@pytest.fixture(scope="module")
def masked(trials):
    """(X, y, rows, mask): padded, two subjects, initial MEG, some samples inside left out."""
    features, meg = trials
    y, mask = pad_trials(meg)
    mask = mask.copy()
    mask[3, 10:13] = mask[5, 25] = mask[8, :2] = False
    X, rows = pack_rows(
        features, subjects=np.arange(N_TRIALS) % 2, initial=meg, n_initial=N_INITIAL, mask=mask
    )
    return X, y, rows, mask


def spoil(y, mask, value=1e4):
    """Other values where nothing counts."""
    noise = np.random.default_rng(1).normal(size=y.shape) * value
    return np.where(mask[:, None], y, noise)


# ------------------------------------------------------------------ packing


def test_lists_are_padded_and_masked(trials):
    features, meg = trials
    X, rows = pack_rows(features, initial=meg, n_initial=N_INITIAL)
    assert X.shape == (N_TRIALS, 2 + N_CHANNELS + 1, N_TIMES)
    assert rows["mask_row"] == 2 + N_CHANNELS
    for trial, x, y in zip(X, features, meg):
        n = x.shape[1]
        assert_array_equal(trial[:2, :n], x)
        assert_array_equal(trial[rows["initial_rows"], :N_INITIAL], y[:, :N_INITIAL])
        assert_array_equal(trial[-1], np.arange(N_TIMES) < n)
        assert not trial[:2, n:].any()
        assert not trial[rows["initial_rows"], N_INITIAL:].any()


def test_lists_and_arrays_of_equal_length_agree():
    features = np.random.default_rng(0).normal(size=(4, 2, 9))
    X, rows = pack_rows(list(features))
    assert_array_equal(X, features)
    assert rows["mask_row"] is None
    short = [row[0, :n] for row, n in zip(features, (9, 8, 7, 6))]  # one feature each
    assert pack_rows(short)[0].shape == pack_rows([x.tolist() for x in short])[0].shape == (4, 2, 9)


def test_the_mask_given_and_that_of_the_padding_are_joined(trials):
    features, _ = trials
    lengths = np.array([x.shape[1] for x in features])
    mask = [np.arange(n) != 7 for n in lengths]
    by_list, rows = pack_rows(features, mask=mask)
    by_array, _ = pack_rows(features, mask=np.arange(N_TIMES) != 7 * np.ones((N_TRIALS, 1)))
    times = np.arange(N_TIMES)
    assert_array_equal(by_list[:, rows["mask_row"]], (times < lengths[:, None]) & (times != 7))
    assert_array_equal(by_list, by_array)


BAD_PACKS = {
    "rows differ": ({"features": [np.ones((2, 5)), np.ones((1, 6))]}, "same n_rows"),
    "empty trial": ({"features": [np.ones((2, 0)), np.ones((2, 6))]}, "may be empty"),
    "initial of other lengths": (
        {"initial": [np.ones((1, 6)), np.ones((1, 9))], "n_initial": 2},
        "as long as the features",
    ),
    "shorter than the window": (
        {"initial": [np.ones((1, 6)), np.ones((1, 8))], "n_initial": 6},
        "after its initial window of 6 samples. Got none in trial 0",
    ),
    "mask of another shape": ({"mask": np.ones((2, 6))}, r"\(2, 8\). Got \(2, 6\)"),
    "mask between": ({"mask": np.full((2, 8), 0.5)}, "mask must be 1 .* Got .*0.5"),
    "mask of text": ({"mask": np.full((2, 8), "yes")}, "mask must be 1"),
    "nothing counts": ({"mask": np.zeros((2, 8))}, "Got none in trial 0 and 1 more"),
}


@pytest.mark.parametrize("what", BAD_PACKS)
def test_what_does_not_fit_is_a_clear_error(what):
    params, message = BAD_PACKS[what]
    features = params.get("features", [np.ones((2, 6)), np.ones((2, 8))])
    with pytest.raises(ValueError, match=message):
        pack_rows(features, **{k: v for k, v in params.items() if k != "features"})


@pytest.mark.parametrize("bad", [[], [np.ones((2, 3, 4)), np.ones((2, 3))]])
def test_pad_trials_refuses(bad):
    with pytest.raises(ValueError, match="A list of trials must hold arrays"):
        pad_trials(bad)


# ------------------------------------------------------------------ the sums of linear encoders


@pytest.mark.parametrize("lags", [(0, 5), (-3, 4), (2, 9)])
@pytest.mark.parametrize("start", [0, 4])
def test_sums_are_those_of_the_explicit_lag_matrix(lags, start):
    rng = np.random.default_rng(0)
    lags = np.arange(*lags)
    x, y = rng.normal(size=(2, 130, 15)), rng.normal(size=(3, 130, 15))
    counted = rng.random((130, 15)) < 0.6
    sums = lag_sums(
        [(x[:, :70], y[:, :70], counted[:70]), (x[:, 70:], y[:, 70:], counted[70:])], lags, start
    )
    there = counted & (np.arange(15) >= start)
    wide = lagged(x, lags).reshape(2 * len(lags), 130, 15)[:, there]
    target = y[:, there]
    assert sums.n_samples == there.sum()
    assert_allclose(sums.xx, wide @ wide.T, atol=1e-10)
    assert_allclose(sums.xy, wide @ target.T, atol=1e-10)
    assert_allclose(sums.yy, target @ target.T, atol=1e-10)
    assert_allclose(sums.x, wide.sum(axis=1), atol=1e-10)
    assert_allclose(sums.y, target.sum(axis=1), atol=1e-10)


@pytest.mark.parametrize("lags", [(0, 5), (-3, 4), (2, 9)])
@pytest.mark.parametrize("others", [(1, 4), (0, 2)])
def test_rows_may_have_lags_of_their_own(lags, others):
    rng = np.random.default_rng(1)
    groups = [(slice(1), np.arange(*lags)), (slice(1, None), np.arange(*others))]
    x, y = rng.normal(size=(3, 130, 15)), rng.normal(size=(2, 130, 15))
    counted = rng.random((130, 15)) < 0.6
    there = counted & (np.arange(15) >= 4)
    for mask in ([], [counted]):
        part = there if mask else np.broadcast_to(np.arange(15) >= 4, there.shape)
        sums = grouped_sums([(x, y, *mask)], groups, 4)
        wide = [lagged(x[rows], each).reshape(-1, 130, 15)[:, part] for rows, each in groups]
        wide = np.concatenate(wide)
        assert_allclose(sums.xx, wide @ wide.T, atol=1e-10)
        assert_allclose(sums.xy, wide @ y[:, part].T, atol=1e-10)
        assert_allclose(sums.x, wide.sum(axis=1), atol=1e-10)


def ridge(wide, target, penalty):
    return np.linalg.solve(wide @ wide.T + np.diag(penalty), wide @ target.T)


def test_trf_is_ridge_on_the_trials_as_they_were(trials):
    features, meg = trials
    X, rows = pack_rows(features)
    y, _ = pad_trials(meg)
    model = TemporalReceptiveField(tmax=4, alphas=3.0, **rows).fit(X, spoil(y, X[:, 2] > 0))
    x_mean = np.concatenate(features, axis=1).mean(axis=1, keepdims=True)
    y_mean = np.concatenate(meg, axis=1).mean(axis=1, keepdims=True)
    wide = [lagged((x - x_mean)[:, None], np.arange(5)).reshape(10, -1) for x in features]
    target = np.concatenate(meg, axis=1) - y_mean
    w = ridge(np.concatenate(wide, axis=1), target, np.full(10, 3.0))
    assert_allclose(model.coef_.reshape(3, 10), w.T, atol=1e-10)
    for trial, x, n in zip(model.predict(X), features, (len(t[0]) for t in features)):
        own = w.T @ lagged((x - x_mean)[:, None], np.arange(5)).reshape(10, -1) + y_mean
        assert_allclose(trial[:, :n], own, atol=1e-10)


def test_recurrent_trf_is_ridge_on_samples_whose_past_counts(masked):
    X, y, rows, mask = masked
    own = {**rows, "subject_row": None}
    keep = np.delete(np.arange(X.shape[1]), rows["subject_row"])
    own.update(initial_rows=slice(2, 5), mask_row=5)
    model = RecurrentTRF(n_past=3, tmax=2, alphas=2.0, max_radius=1.0, **own)
    model.fit(X[:, keep], spoil(y, mask))
    usable = [
        (n, t)
        for n, t in zip(*np.nonzero(mask))
        if t >= N_INITIAL and mask[n, max(0, t - 3) : t].all()
    ]
    n, t = np.array(usable).T
    scale = y.transpose(1, 0, 2)[:, mask].std(axis=1)
    x_scale = X[:, :2].transpose(1, 0, 2)[:, mask].std(axis=1)
    padded = np.pad(X[:, :2], ((0, 0), (0, 0), (2, 0)))
    wide = [padded[n, f, t + 2 - lag] for f in range(2) for lag in range(3)]
    wide += [y[n, c, t - k] / scale[c] for c in range(3) for k in (1, 2, 3)]
    wide, target = np.array(wide), y[n, :, t].T
    penalty = 2.0 * np.concatenate([np.repeat(x_scale**2, 3), np.ones(9)])
    centered = [a - a.mean(axis=1, keepdims=True) for a in (wide, target)]
    w = ridge(*centered, penalty)
    assert_allclose(model.coef_.reshape(3, 6), w[:6].T, atol=1e-8)
    past = w[6:].reshape(3, 3, 3).transpose(1, 2, 0)  # lag, channel, component
    assert_allclose(model.past_coef_, past, atol=1e-8)
    assert np.isfinite(RecurrentTRF(n_past=3, **own).fit(X[:, keep], y).cv_scores_).all()


def test_a_mask_that_leaves_no_past_says_so(masked):
    X, y, rows, mask = masked
    X = X.copy()
    X[:, rows["mask_row"], ::3] = 0
    with pytest.raises(ValueError, match=r"n_past=5 samples before it count. Lower n_past"):
        RecurrentTRF(n_past=5, **rows).fit(X, y)


def test_subject_mean_is_over_what_counts():
    y = np.arange(24.0).reshape(4, 2, 3)
    mask = np.ones((4, 3), bool)
    mask[0, 1] = mask[:, 2] = mask[2:, 0] = False
    X, rows = pack_rows(np.zeros((4, 1, 3)), subjects=[0, 0, 1, 1], mask=mask)
    model = SubjectMean(**rows).fit(X, y)
    assert_allclose(model.subject_mean_[0, :, 0], y[:2, :, 0].mean(axis=0))
    assert_allclose(model.subject_mean_[0, :, 1], y[1, :, 1])
    assert_allclose(model.subject_mean_[1, :, 1], y[2:, :, 1].mean(axis=0))
    assert_allclose(model.subject_mean_[1, :, 0], y[:2, :, 0].mean(axis=0))  # of the others
    everything = [y.transpose(0, 2, 1)[mask].mean(axis=0)] * 2
    assert_allclose(model.subject_mean_[:, :, 2], everything)  # of the channel


# ------------------------------------------------------------------ what every encoder promises


@pytest.mark.parametrize("cls", ENCODERS)
def test_what_does_not_count_changes_nothing(cls, masked):
    X, y, rows, mask = masked
    model = small(cls, **rows).fit(X, y)
    again = small(cls, **rows).fit(X, spoil(y, mask))
    expected = model.predict(X)
    assert_allclose(again.predict(X), expected, atol=1e-8)
    assert model.score(X, spoil(y, mask)) == pytest.approx(model.score(X, y), abs=1e-12)
    unmasked = small(cls, **{**rows, "mask_row": None}).fit(np.delete(X, -1, 1), spoil(y, mask))
    assert np.abs(unmasked.predict(np.delete(X, -1, 1)) - expected).max() > 1


@pytest.mark.parametrize("cls", ENCODERS)
def test_more_padding_changes_nothing_before_it(cls, masked):
    X, y, rows, mask = masked
    longer = np.pad(X, ((0, 0), (0, 0), (0, 8)))
    longer[:, rows["subject_row"]] = X[:, rows["subject_row"], :1]
    kwargs = {**rows, "tmax": 3} if cls in (TemporalReceptiveField, RecurrentTRF) else dict(rows)
    if cls is DeepRecurrentEncoder:  # its validation sees the same samples
        kwargs["base_params"] = {"n_past": 3, "tmax": 3}
    short = small(cls, **kwargs).fit(X, y).predict(X)
    long = small(cls, **kwargs).fit(longer, np.pad(y, ((0, 0), (0, 0), (0, 8)))).predict(longer)
    there = np.broadcast_to(mask[:, None], y.shape)
    assert_allclose(long[:, :, :N_TIMES][there], short[there], atol=1e-3)


@pytest.mark.parametrize("cls", ENCODERS)
def test_a_mask_of_ones_is_no_mask(cls, masked):
    X, y, rows, _ = masked
    y = y + 0.01  # zeros at the end would look like padding
    everything = X.copy()
    everything[:, rows["mask_row"]] = 1
    expected = small(cls, **{**rows, "mask_row": None}).fit(X[:, :-1], y).predict(X[:, :-1])
    assert_allclose(small(cls, **rows).fit(everything, y).predict(everything), expected, atol=1e-5)


@pytest.mark.parametrize("cls", ENCODERS)
def test_masked_and_stored(cls, masked, tmp_path):
    X, y, rows, _ = masked
    model = small(cls, **rows).fit(X, y)
    expected = model.predict(X)
    data = skops.io.dumps(model)
    stored = skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))
    for again in (stored, pickle.loads(pickle.dumps(model))):
        assert_array_equal(again.predict(X), expected)
    for name, array in {"X": X, "y": y}.items():
        np.save(tmp_path / f"{name}.npy", array)
    mapped = [np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in "Xy"]
    got = small(cls, **rows).fit(*mapped).predict(mapped[0])
    assert_allclose(got, expected, atol=1e-5)


BAD_MASKS = {
    "between": ({}, 0.5, r"row \d\d? of X\) must be 1 .* Got .*0.5"),
    "nothing left": ({}, 0.0, "at least one sample that counts"),
    "no such row": ({"mask_row": 99}, None, "'mask_row' parameter of .* must select among"),
    "by name": ({"mask_row": "mask"}, None, "'mask_row' parameter of .* must be an int or None"),
    "that of the subject": ({"mask_row": 2}, None, "cannot be both"),
    "initial MEG": ({"mask_row": 4}, None, "cannot be both"),
}


@pytest.mark.parametrize("what", BAD_MASKS)
@pytest.mark.parametrize("cls", [*ENCODERS, ChannelScaler])
def test_a_bad_mask_is_a_clear_error(cls, masked, what):
    X, y, rows, _ = masked
    params, value, message = BAD_MASKS[what]
    X = X.copy()
    if value is not None:
        X[7, rows["mask_row"]] = value
    with pytest.raises(ValueError, match=message):
        small(cls, **{**rows, **params}).fit(X, y)


@pytest.mark.parametrize("cls", ENCODERS)
def test_from_the_stimulus_alone(cls, trials):
    features, meg = trials
    y, mask = pad_trials(meg)
    X, rows = pack_rows(features)  # no subject, no initial MEG
    assert rows == {"subject_row": None, "initial_rows": None, "n_initial": 0, "mask_row": 2}
    model = small(cls, **rows).fit(X, y)
    predicted = model.predict(X)
    assert predicted.shape == y.shape
    assert np.isfinite(predicted).all()
    plain, alone = pack_rows([x[:, :20] for x in features])
    assert not any(alone.values())
    short = small(cls, **alone).fit(plain, y[:, :, :20])
    if cls is not SubjectMean:
        assert r_across_trials(y, predicted, mask=mask) > 0.5
        assert r_across_trials(y[:, :, :20], short.predict(plain)) > 0.5


def test_deep_encoder_without_a_base_learns_through_a_mask(trials):
    features, meg = trials
    y, mask = pad_trials(meg)
    X, rows = pack_rows(features)
    model = DeepRecurrentEncoder(
        base=None, hidden_size=16, max_epochs=40, lr=1e-2, batch_size=8, random_state=0, **rows
    )
    predicted = model.fit(X, spoil(y, mask)).predict(X)
    assert r_across_trials(y, predicted, mask=mask) > 0.5


# ------------------------------------------------------------------ scaling


@pytest.mark.parametrize("method", ["robust", "standard"])
@pytest.mark.parametrize("by_subject", [False, True])
def test_scaler_learns_from_what_counts(masked, method, by_subject):
    X, _, rows, mask = masked
    spoiled = X.copy()
    spoiled[:, :2] = spoil(X[:, :2], mask)
    scaler = ChannelScaler(method=method, by_subject=by_subject, **rows).fit(X)
    other = ChannelScaler(method=method, by_subject=by_subject, **rows).fit(spoiled)
    assert_array_equal(other.center_, scaler.center_)
    assert_array_equal(other.scale_, scaler.scale_)
    scaled = scaler.transform(X)
    assert_array_equal(scaled[:, rows["mask_row"]], mask)
    assert_array_equal(scaled[:, rows["subject_row"]], X[:, rows["subject_row"]])
    if method == "standard" and not by_subject:
        values = scaled[:, :2].transpose(1, 0, 2)[:, mask]
        assert_allclose(values.mean(axis=1), 0, atol=1e-12)
        assert_allclose(values.std(axis=1), 1)
    assert_allclose(scaler.inverse_transform(scaled), X, atol=1e-12)


def test_a_window_that_counts_nowhere_is_still_scaled(masked):
    X, y, rows, _ = masked
    X = X.copy()
    X[:, rows["mask_row"], :N_INITIAL] = 0
    scaler = ChannelScaler(**rows).fit(X)
    everything = ChannelScaler(**{**rows, "mask_row": None}).fit(np.delete(X, -1, axis=1))
    initial = rows["initial_rows"]
    assert_array_equal(scaler.center_[initial], everything.center_[initial])
    for cls in ENCODERS:
        predicted = small(cls, **rows).fit(X, y).predict(X)
        assert np.isfinite(predicted).all()


# ------------------------------------------------------------------ scores


def test_metrics_compare_what_counts(masked):
    _, y, _, mask = masked
    rng = np.random.default_rng(2)
    p = y + rng.normal(size=y.shape)
    hidden = np.where(mask[:, None], p, np.nan)
    r = pearson_r(spoil(y, mask), hidden, mask=mask)
    for t in (2, 20, 30):
        there = mask[:, t]
        expected = [np.corrcoef(y[there, c, t], p[there, c, t])[0, 1] for c in range(3)]
        assert_allclose(r[:, t], expected)
    assert np.isnan(r[:, mask.sum(axis=0) < 2]).all()
    in_time = r_map(y, p, axis=2, mask=mask)
    assert in_time[3, 1] == pytest.approx(np.corrcoef(y[3, 1, mask[3]], p[3, 1, mask[3]])[0, 1])
    for metric in (r_across_trials, r_over_time, r2):
        everything = np.ones_like(mask)
        assert metric(y, p, mask=everything) == pytest.approx(metric(y, p), abs=1e-12)
        assert metric(spoil(y, mask), hidden, start=5, mask=mask) == metric(y, p, 5, mask)
        with pytest.raises(ValueError, match="mask must have the shape"):
            metric(y, p, mask=mask[:, 1:])
        with pytest.raises(ValueError, match="mask must be 1"):
            metric(y, p, mask=mask * 2)
    error = np.where(mask[:, None], y - p, 0.0)[:, 1, 20]
    there = mask[:, 20]
    one = 1 - (error**2).sum() / (there.sum() * y[there, 1, 20].var())
    assert r2(y[:, 1:2, 20:21], p[:, 1:2, 20:21], mask=mask[:, 20:21]) == pytest.approx(one)


def test_samples_of_many_trials_weigh_more():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(100, 1, 2))
    mask = np.ones((100, 2), bool)
    mask[2:, 1] = False  # two trials: their R is 1 or -1, whatever the model
    wrong = y * [1.0, -1.0]
    assert r_across_trials(y, wrong, mask=mask) == pytest.approx((100 - 2) / 102)


def test_scorer_finds_the_mask_in_X(masked):
    X, y, rows, mask = masked
    model = make_pipeline(ChannelScaler(**rows), RecurrentTRF(n_past=3, **rows))
    kwargs = {"start": N_INITIAL, "mask_row": rows["mask_row"]}
    scoring = {"r": make_r_scorer(**kwargs), "time": make_r_scorer("time", **kwargs)}
    scores = cross_validate(model, X, y, cv=3, scoring=scoring)
    spoiled = cross_validate(model, X, spoil(y, mask), cv=3, scoring=scoring)
    for name in ("test_r", "test_time"):
        assert scores[name].min() > 0.3
        assert_allclose(spoiled[name], scores[name])
    flat = cross_validate(model, X, y.reshape(len(y), -1), cv=3, scoring=scoring)
    assert_allclose(flat["test_r"], scores["test_r"])
    fitted = model.fit(X, y)
    expected = r_across_trials(y, fitted.predict(X), N_INITIAL, mask)
    assert scoring["r"](fitted, X, y) == expected
    with pytest.raises(ValueError, match="mask_row must be a row of X"):
        make_r_scorer(mask_row=50)(fitted, X, y)


def test_study_scores_what_counts(masked):
    X, y, rows, mask = masked
    models = {
        "mean": SubjectMean(**{**rows, "mask_row": None, "initial_rows": None, "n_initial": 0}),
        "trf": make_pipeline(ChannelScaler(**rows), TemporalReceptiveField(tmax=4, **rows)),
    }
    cv = KFold(3, shuffle=True, random_state=0)
    study = Study({"trf": models["trf"]}, cv=cv).run(X, y)
    spoiled = Study({"trf": models["trf"]}, cv=cv).run(X, spoil(y, mask))
    scores = ["r", "r_time", "r2"]
    assert_allclose(spoiled.table_[scores], study.table_[scores])
    assert_allclose(spoiled.maps_["trf"], study.maps_["trf"])
    train, test = study.splits_[0]
    test = test[test % 2 == 0]
    model = models["trf"].fit(X[train], y[train])
    expected = r_across_trials(y[test], model.predict(X[test]), N_INITIAL, mask[test])
    first = study.table_.query("model == 'trf' and fold == 0 and subject == 0")
    assert first["r"].item() == pytest.approx(expected)
    both = Study({"trf": models["trf"], "recurrent": RecurrentTRF(**{**rows, "mask_row": 0})})
    with pytest.raises(ValueError, match="different mask rows"):
        both.run(X, y)


def test_stored_results_of_another_mask_are_not_found(masked, tmp_path):
    X, y, rows, _ = masked
    y = y + 0.01
    plain = {"mean": SubjectMean(subject_row=rows["subject_row"])}
    first = Study(plain, cv=3, cache_dir=tmp_path).run(X, y)
    again = Study(plain, cv=3, cache_dir=tmp_path).run(X, y)
    trf = TemporalReceptiveField(tmax=4, **rows)
    both = Study({**plain, "trf": trf}, cv=3, cache_dir=tmp_path, start=0, floors=None).run(X, y)
    assert (first.n_fits_, again.n_fits_, both.n_fits_) == (3, 0, 6)
