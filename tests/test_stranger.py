"""What somebody who sees the package for the first time does wrong."""

import mne
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from sklearn_meg import (
    ChannelScaler,
    DeepRecurrentEncoder,
    RecurrentTRF,
    Study,
    SubjectMean,
    TemporalReceptiveField,
    cut_windows,
    epochs_to_xy,
    pack_rows,
    predict_continuous,
)
from sklearn_meg.cli import main
from sklearn_meg.metrics import make_r_scorer, pearson_r, r2, r_across_trials, r_over_time
from sklearn_meg.rows import check_subject_values

ENCODERS = [SubjectMean, TemporalReceptiveField, RecurrentTRF, DeepRecurrentEncoder]


def make(cls, rows):
    quick = {"max_epochs": 1, "hidden_size": 4, "validation_fraction": 0, "random_state": 0}
    return cls(**rows, **(quick if cls is DeepRecurrentEncoder else {}))


@pytest.fixture(params=ENCODERS, ids=lambda cls: cls.__name__)
def encoder(request, packed):
    return make(request.param, packed[2])


# ---------------------------------------------------------------------- arrays


def test_masked_values_are_not_taken_for_good_ones(encoder, packed):
    X, y, *_ = packed
    with pytest.raises(ValueError, match=r"Masked arrays.*mask of sklearn_meg.pack_rows"):
        encoder.fit(X, np.ma.masked_greater(y, 1))
    nothing_masked = np.ma.masked_array(y)
    np.testing.assert_array_equal(
        clone(encoder).fit(X, nothing_masked).predict(X), encoder.fit(X, y).predict(X)
    )


@pytest.mark.parametrize("which", ["X", "y"])
def test_values_that_cannot_be_squared(encoder, packed, which, tmp_path):
    X, y, *_ = packed
    X, y = X.copy(), y.copy()
    {"X": X, "y": y}[which][3, 0, 1] = -1e250
    with pytest.raises(ValueError, match=rf"{which} holds values up to 1e\+250"):
        encoder.fit(X, y)
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", y)
    with pytest.raises(ValueError, match=rf"{which} holds values up to 1e\+250"):
        encoder.fit(*(np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in "Xy"))


def test_one_trial_is_no_array_of_trials(encoder, packed):
    X, y, *_ = packed
    encoder.fit(X, y)
    with pytest.raises(ValueError, match=r"\(n_trials, 7, 40\).*Got \(7, 40\).*X\[np.newaxis\]"):
        encoder.predict(X[0])
    assert encoder.predict(X[0][np.newaxis]).shape == (1, 4, 40)


def test_score_names_both_shapes(encoder, packed):
    X, y, *_ = packed
    with pytest.raises(ValueError, match=r"\(60, 2, 40\) and \(60, 4, 40\)"):
        encoder.fit(X, y).score(X, y[:, :2])


def test_a_raw_is_no_trials():
    raw = mne.io.RawArray(np.zeros((2, 50)), mne.create_info(2, 10.0, "eeg"), verbose=False)
    with pytest.raises(ValueError, match="RawArray, a continuous recording"):
        SubjectMean().fit(raw, np.zeros((2, 1, 50)))
    with pytest.raises(ValueError, match=r"take raw\.get_data\(\)"):
        cut_windows(raw, 10, 5)


def test_channels_in_another_order_are_put_in_order():
    rng = np.random.default_rng(0)
    info = mne.create_info(["A", "B", "C"], 20.0, "eeg")
    first = mne.EpochsArray(rng.normal(size=(4, 3, 20)), info, tmin=-0.2, verbose="error")
    turned = first.copy().reorder_channels(["C", "A", "B"])
    data = epochs_to_xy([first, turned])
    np.testing.assert_array_equal(data.y[4:], data.y[:4])
    assert turned.ch_names == ["C", "A", "B"]
    assert data.sfreq == 20.0


def test_wrong_subjects_are_shown_as_plain_values():
    for values, shown in (
        (np.array(["s1", "s2"]), r"Got 's1'\."),
        (np.array([-1.25]), r"Got -1.25"),
    ):
        with pytest.raises(ValueError, match=shown):
            check_subject_values(values)


# ---------------------------------------------------------------------- parameters


@pytest.mark.parametrize("cls", [TemporalReceptiveField, RecurrentTRF])
@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"tmax": 0.5}, "set sfreq to the sampling rate"),
        ({"tmin": -0.2}, "set sfreq to the sampling rate"),
        ({"tmin": np.inf}, "'tmin' parameter"),
        ({"alphas": "1"}, "'alphas' parameter"),
        ({"subject_row": True}, "'subject_row' parameter"),
        ({"n_initial": True}, "n_initial"),
        ({"initial_rows": [3, 3, 4, 5]}, r"each row of X once. Got \[3, 3, 4, 5\]"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_parameters_of_linear_encoders(cls, packed, params, message):
    X, y, rows, _ = packed
    with pytest.raises((ValueError, TypeError), match=message):
        cls(**{**rows, **params}).fit(X, y)


@pytest.mark.parametrize(
    ("cls", "name"),
    [
        (TemporalReceptiveField, "fit_intercept"),
        (TemporalReceptiveField, "alpha_per_target"),
        (RecurrentTRF, "partial_pooling"),
        (ChannelScaler, "with_centering"),
    ],
)
def test_a_text_is_no_bool(cls, name, packed):
    X, y, rows, _ = packed
    with pytest.raises(TypeError, match=f"'{name}' parameter.*must be a bool. Got 'no'"):
        cls(**rows, **{name: "no"}).fit(X, y)


@pytest.mark.parametrize("groups", [5, "ab", [["a"], [0]], [[True], [0]], [[0], [0, 1]]])
def test_feature_groups_that_are_none(packed, groups):
    X, y, rows, _ = packed
    with pytest.raises(ValueError, match=r"each stimulus row of X, \[0, 1\], exactly once"):
        TemporalReceptiveField(feature_groups=groups, **rows).fit(X, y)


def test_whole_samples_need_no_sampling_rate(packed):
    X, y, rows, _ = packed
    trf = TemporalReceptiveField(tmin=-1.0, tmax=3.0, **rows).fit(X, y)
    np.testing.assert_array_equal(trf.delays_, np.arange(-1, 4))


# ---------------------------------------------------------------------- pack_rows


def test_names_of_subjects_are_answered_with_how_to_number_them(words):
    features, _, subjects = words
    names = np.array([f"sub-{s:02d}" for s in subjects])
    with pytest.raises(ValueError, match=r"Got .*sub-00.*np.unique\(names, return_inverse=True\)"):
        pack_rows(features, subjects=names)
    X, rows = pack_rows(features, subjects=np.unique(names, return_inverse=True)[1])
    np.testing.assert_array_equal(X[:, rows["subject_row"], 0], subjects)


def test_subjects_with_long_numbers_stay_apart(words):
    features, _, subjects = words
    numbers = 2**24 + subjects
    X, rows = pack_rows(features.astype(np.float32), subjects=numbers)
    np.testing.assert_array_equal(np.unique(X[:, rows["subject_row"]]), np.unique(numbers))
    with pytest.raises(ValueError, match=r"to 2\*\*53"):
        SubjectMean(subject_row=0).fit(np.full((4, 2, 3), 1e60), np.zeros((4, 1, 3)))


@pytest.mark.parametrize("which", ["features", "initial"])
@pytest.mark.parametrize("kind", [str, complex])
def test_no_real_numbers(words, which, kind):
    features, meg, _ = words
    parts = {"features": features, "initial": meg}
    parts[which] = parts[which].astype(kind)
    with pytest.raises(ValueError, match=f"{which} must hold real numbers"):
        pack_rows(**parts, n_initial=4)


def test_objects_that_are_numbers(words):
    features, meg, _ = words
    expected = pack_rows(features, initial=meg, n_initial=4)[0]
    X, _ = pack_rows(features.astype(object), initial=meg.astype(object), n_initial=4)
    np.testing.assert_array_equal(X, expected)


@pytest.mark.parametrize("kind", ["cells", "frames"])
def test_lists_of_other_things_than_arrays(kind):
    trials = [np.arange(2.0 * n).reshape(2, n) for n in (4, 6, 5)]
    expected, rows = pack_rows(trials)
    if kind == "cells":
        other = np.empty(3, dtype=object)
        other[:] = trials
    else:
        other = [pd.DataFrame(trial) for trial in trials]
    X, found = pack_rows(other)
    np.testing.assert_array_equal(X, expected)
    assert found == rows


def test_a_trial_that_is_missing():
    with pytest.raises(ValueError, match="A list of trials must hold arrays"):
        pack_rows([np.ones((2, 5)), None])


def test_one_recording_has_one_subject(packed):
    X, y, rows, _ = packed
    encoder = SubjectMean(**rows).fit(X, y)
    with pytest.raises(ValueError, match=r"subject must be one index.*Got \[0, 1\]"):
        predict_continuous(encoder, np.zeros((2, 80)), subject=[0, 1], initial=np.zeros((4, 80)))


# ---------------------------------------------------------------------- pandas output, scores


def test_pandas_output_spares_three_dimensions(packed):
    X, y, rows, _ = packed
    model = make_pipeline(ChannelScaler(**rows), SubjectMean(**rows))
    expected = model.fit(X, y).predict(X)
    with sklearn.config_context(transform_output="pandas"):
        np.testing.assert_array_equal(clone(model).fit(X, y).predict(X), expected)
        table = pd.DataFrame(X[:, :3, 0], columns=["a", "b", "c"])
        assert list(ChannelScaler().fit_transform(table).columns) == ["a", "b", "c"]


@pytest.mark.parametrize("metric", [r_across_trials, r_over_time, r2, pearson_r])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_prediction_of_nan_has_no_score(words, metric, bad):
    y = words[1]
    y_pred = y.copy()
    y_pred[:, 1] = bad
    with pytest.raises(ValueError, match="y_pred contains NaN or infinity in 2400 of 9600 values"):
        metric(y, y_pred)
    with pytest.raises(ValueError, match="y_true contains NaN"):
        metric(y_pred, y)
    mask = np.ones((60, 40), dtype=bool)
    mask[2:5] = False
    y_pred = np.where(mask[:, np.newaxis], y, bad)
    assert np.nanmean(metric(y, y_pred, mask=mask)) == pytest.approx(1)


# ---------------------------------------------------------------------- epochs


def make_epochs(sfreq=40.0, n_times=60, **columns):
    rng = np.random.default_rng(int(sfreq))
    table = pd.DataFrame({"length": rng.integers(2, 9, 20), **columns})
    info = mne.create_info(3, sfreq, "eeg")
    data = 1e-6 * rng.normal(size=(20, 3, n_times))
    return mne.EpochsArray(data, info, tmin=-0.5, metadata=table, verbose=False)


def test_names_of_features_may_be_an_array():
    expected = epochs_to_xy(make_epochs(), ["length"])
    for names in (np.array(["length"]), pd.Index(["length"]), ("length",), "length"):
        data = epochs_to_xy(make_epochs(), names)
        np.testing.assert_array_equal(data.X, expected.X)
        assert data.feature_names == ["onset", "length"]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"features": ["length", "length"]}, "each column once. Got twice: length"),
        ({"features": 5}, "names of metadata columns. Got 5"),
        ({"features": "as_text"}, r"numeric. Got '1', in a column of type \w+. pandas.get_dum"),
        ({"duration": "0.2"}, "duration must be a positive number, in seconds. Got '0.2'"),
        ({"duration": np.inf}, "duration must be a positive number"),
        ({"initial": np.nan}, "initial must be a number of at least 0, in seconds. Got nan"),
        ({"initial": "0.2"}, "initial must be a number of at least 0, in seconds. Got '0.2'"),
        ({"resample": "20"}, "resample must be a positive number, in Hz. Got '20'"),
        ({"names": ["a", "b"]}, "each of the 1 epochs a name of its own. Got a, b"),
    ],
)
def test_epochs_to_xy_names_what_is_wrong(params, message):
    epochs = make_epochs(as_text=[str(i) for i in range(1, 21)])
    with pytest.raises(ValueError, match=message):
        epochs_to_xy(epochs, **{"features": "length", **params})


def test_two_recordings_cannot_have_one_name():
    with pytest.raises(ValueError, match="a name of its own. Got a, a"):
        epochs_to_xy([make_epochs(), make_epochs()], "length", names=["a", "a"])


def test_resampling_joins_different_rates():
    recordings = [make_epochs(40.0, 60), make_epochs(80.0, 120)]
    with pytest.raises(ValueError, match="80 Hz.*Resampling gives them the same"):
        epochs_to_xy(recordings, "length")
    data = epochs_to_xy(recordings, "length", resample=20.0)
    assert data.y.shape == (40, 3, 30)
    assert data.info["sfreq"] == 20.0


# ---------------------------------------------------------------------- study and command line


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scoring": 5}, "scoring must be .*Got 5"),
        ({"cache_dir": 5}, "cache_dir must be the path of a folder. Got 5"),
        ({"models": {"a": SubjectMean(subject_row=99)}}, "'subject_row' of a model.*7 rows.*99"),
        ({"models": {"a": SubjectMean(subject_row="x")}}, "'subject_row' of a model.*Got 'x'"),
        ({"models": {"a": SubjectMean(subject_row=0)}}, "subject index must be an integer"),
        ({"models": {"a": SubjectMean(mask_row=99)}}, "'mask_row' of a model.*Got 99"),
    ],
)
def test_study_names_what_is_wrong(packed, settings, message):
    X, y, rows, _ = packed
    with pytest.raises(ValueError, match=message):
        Study(**{"models": {"mean": SubjectMean(**rows)}, "cv": 2, **settings}).run(X, y)


@pytest.mark.parametrize("missing", [[1.0, np.nan], ["a", None]])
@pytest.mark.parametrize("name", ["subjects", "groups"])
def test_missing_subjects_are_not_left_out(packed, name, missing):
    X, y, rows, _ = packed
    with pytest.raises(ValueError, match=f"{name} must hold one value.*NaN or None in 30 trials"):
        Study({"mean": SubjectMean(**rows)}, cv=2).run(X, y, **{name: missing * 30})


def test_a_study_of_nothing_can_be_shown_and_an_unknown_score_cannot(packed):
    X, y, rows, _ = packed
    assert "models=None" in repr(Study(None))
    study = Study({"mean": SubjectMean(**rows)}, cv=2).run(X, y)
    with pytest.raises(ValueError, match=r"metric must be among \['r', 'r_time', 'r2'\]. Got 'z'"):
        study.plot("z")


def test_command_line_takes_repeated_and_spaced_options(tmp_path, capsys):
    paths = [str(tmp_path / f"{name}-epo.fif") for name in "ab"]
    for shift, path in enumerate(paths):
        epochs = make_epochs(frequency=np.arange(20.0))
        epochs._data += shift * epochs._data.std()  # the second is another person
        epochs.save(path, verbose=False)
    command = ["study", "--quiet", "--cv", "2", "--out", str(tmp_path / "out")]
    options = ["--features", "length", "frequency", "--models", "mean", "trf"]
    assert main([*command, "--epochs", paths[0], "--epochs", paths[1], *options]) == 0
    table = pd.read_csv(tmp_path / "out" / "table.csv")
    assert sorted(table.subject.unique()) == ["a-epo.fif", "b-epo.fif"]
    assert "length, frequency" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert main([*command, "--epochs", paths[0], paths[0], *options]) == 2
    assert "is named twice" in capsys.readouterr().err
    assert main([*command, "--epochs", str(tmp_path), *options]) == 2
    assert "a folder, no file" in capsys.readouterr().err


def test_scorer_works_where_those_of_scikit_learn_need_flat_targets(encoder, packed):
    X, y, *_ = packed
    encoder.fit(X, y)
    flat = clone(encoder).fit(X, y.reshape(60, -1))
    ours = encoder.score(X, y)
    assert sklearn.metrics.get_scorer("r2")(flat, X, y.reshape(60, -1)) == pytest.approx(ours)
    assert -1 <= make_r_scorer(start=6)(encoder, X, y) <= 1
