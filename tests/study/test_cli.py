import argparse
import os
import warnings
from pathlib import Path
from types import SimpleNamespace

import matplotlib

matplotlib.use("Agg")

import mne
import numpy as np
import pandas as pd
import pytest

import sklearn_meg
from sklearn_meg import cli
from sklearn_meg.cli import main
from sklearn_meg.commands import duration
from sklearn_meg.encoding.epochs import epochs_to_xy


def make_epochs(
    seed=0, n_trials=24, n_channels=4, sfreq=40.0, metadata=True, tmin=-0.25, n_times=50
):
    """Epochs whose channels answer to the onset and to the length of a word."""
    rng = np.random.default_rng(seed)
    length = rng.integers(2, 10, n_trials)
    times = tmin + np.arange(n_times) / sfreq
    response = np.exp(-(((times - 0.2) / 0.06) ** 2))
    gain = np.linspace(1, 2, n_channels)[:, None] * (1 + 0.3 * (length - 5.5))[:, None, None]
    y = 1e-6 * (gain * response + 0.5 * rng.normal(size=(n_trials, n_channels, n_times)))
    frame = None
    if metadata:
        frame = pd.DataFrame(
            {
                "length": length,
                "word": ["a"] * n_trials,
                "gap": np.where(np.arange(n_trials) == 3, np.nan, 1.5),
                "same": 1.0,
                "who": np.where(np.arange(n_trials) % 2, "ann", "bob"),
            }
        )
    info = mne.create_info(n_channels, sfreq, "eeg")
    events = np.c_[np.arange(n_trials) * 100, np.zeros(n_trials, int), 1 + np.arange(n_trials) % 2]
    kinds = {"noun": 1, "verb": 2}
    return mne.EpochsArray(y, info, events, tmin, kinds, metadata=frame, verbose="error")


@pytest.fixture
def save(tmp_path):
    def save(name="sub-epo.fif", **settings):
        path = tmp_path / name
        make_epochs(**settings).save(path, overwrite=True, verbose="error")
        return str(path)

    return save


def study(*arguments, out, models="mean,trf"):
    fixed = ["study", "--models", models, "--cv", "3", "--quiet", "--out", str(out)]
    return main([*fixed, *map(str, arguments)])


# ------------------------------------------------------------------ epochs_to_xy


def test_features_are_scaled_boxcars_at_onset():
    epochs = make_epochs()
    data = epochs_to_xy(epochs, features=["length"], duration=0.2)
    assert data.feature_names == ["onset", "length"]
    assert data.rows == {"subject_row": None, "initial_rows": slice(2, 6), "n_initial": 10,
                         "mask_row": None}  # fmt: skip
    on = (epochs.times > -1e-9) & (epochs.times < 0.2 - 1e-9)
    np.testing.assert_array_equal(data.X[:, 0], np.broadcast_to(on, (24, 50)))
    values = data.X[:, 1, 10]
    np.testing.assert_allclose(data.X[:, 1], values[:, None] * on)
    np.testing.assert_allclose([values.mean(), values.std()], [0, 1], atol=1e-12)
    assert np.corrcoef(values, epochs.metadata["length"])[0, 1] == pytest.approx(1)
    np.testing.assert_array_equal(data.y, epochs.get_data())
    np.testing.assert_array_equal(data.X[:, 2:, :10], data.y[:, :, :10])
    assert not data.X[:, 2:, 10:].any()  # never what is to be predicted


def test_an_impulse_is_one_sample_and_event_types_are_rows():
    data = epochs_to_xy(make_epochs(metadata=False), shape="impulse", initial=0)
    assert data.feature_names == ["noun", "verb"]
    assert data.X.shape == (24, 2, 50)
    np.testing.assert_array_equal(data.X.sum(axis=2), np.eye(2)[np.arange(24) % 2])
    assert data.X[:, :, 10].sum() == 24
    assert data.rows["n_initial"] == 0


def test_several_recordings_are_several_subjects():
    data = epochs_to_xy([make_epochs(0), make_epochs(1, n_trials=10)], "length", names=["a", "b"])
    assert np.bincount(data.subjects).tolist() == [24, 10]
    assert data.subject_names == ["a", "b"]
    np.testing.assert_array_equal(data.X[:, data.rows["subject_row"], 0], data.subjects)
    bare = epochs_to_xy([make_epochs(0), make_epochs(1)], "length", subject_row=False)
    assert bare.rows["subject_row"] is None


def test_a_column_can_name_the_subject():
    data = epochs_to_xy(make_epochs(), "length", subject_column="who")
    assert data.subject_names == ["ann", "bob"]
    np.testing.assert_array_equal(data.subjects, 1 - np.arange(24) % 2)


def test_resampling_and_bad_channels():
    epochs = make_epochs()
    epochs.info["bads"] = [epochs.ch_names[1]]
    data = epochs_to_xy(epochs, "length", resample=20.0)
    assert data.y.shape == (24, 3, 25)
    assert data.info["sfreq"] == 20.0
    assert data.info["ch_names"] == [epochs.ch_names[i] for i in (0, 2, 3)]
    assert epochs.info["sfreq"] == 40.0  # untouched


# ------------------------------------------------------------------ the command


def test_study_writes_tables_and_report(save, tmp_path, capsys):
    out = tmp_path / "out"
    files = [save("a-epo.fif", seed=0), save("b-epo.fif", seed=1)]
    arguments = ["study", "--epochs", *files, "--features", "length", "--models", "mean,trf"]
    assert main([*arguments, "--cv", "3", "--out", str(out)]) == 0
    printed = capsys.readouterr()
    assert "9/9" in printed.err
    assert "report.html" in printed.out
    table = pd.read_csv(out / "table.csv")
    assert len(table) == 3 * 3 * 2
    assert set(table["subject"]) == {"a-epo.fif", "b-epo.fif"}
    summary = pd.read_csv(out / "summary.csv").set_index(["model", "metric"])["mean"]
    assert summary["trf", "r"] > 0.05 > summary["mean", "r"] == 0
    assert len(pd.read_csv(out / "comparisons.csv")) == 3 * 3 * 2
    assert pd.read_csv(out / "gains.csv")["floor"].tolist() == ["mean"]
    assert "length" in (out / "report.html").read_text(encoding="utf-8")


def test_study_resumes_from_its_folder(save, tmp_path, capsys):
    arguments = ["--epochs", save(), "--features", "length"]
    assert study(*arguments, out=tmp_path / "out") == 0
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "store").iterdir()}
    first = (tmp_path / "out" / "table.csv").read_text()
    assert study(*arguments, out=tmp_path / "out") == 0
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert len(list((tmp_path / "out" / "store").iterdir())) == len(kept) == 9
    assert (tmp_path / "out" / "table.csv").read_text() == first
    assert capsys.readouterr().out == ""


def test_study_can_leave_subjects_out(save, tmp_path):
    files = [save(f"{name}-epo.fif", seed=i) for i, name in enumerate("abc")]
    arguments = ["--epochs", *files, "--features", "length", "--cv-by", "subject"]
    assert study(*arguments, out=tmp_path / "out") == 0
    table = pd.read_csv(tmp_path / "out" / "table.csv")
    assert (table.groupby(["model", "fold"])["subject"].nunique() == 1).all()
    assert table.query("model == 'trf'")["r"].mean() > 0.05


def test_help_has_an_example(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["study", "--help"])
    assert stopped.value.code == 0
    assert "example:\n  sklearn-meg study --epochs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--features", "lenght"], "no column 'lenght'. Columns: length, word, gap, same"),
        (["--features", "word"], "same in every trial (one level)"),
        (["--features", "gap"], "missing values: gap in 1. --missing drop"),
        (["--features", "same"], "same in every trial (1.0)"),
        (["--subject-column", "name"], "no column 'name'"),
        (["--cv", "30"], "needs 30 trials of every subject, there are 24"),
        (
            ["--cv", "13", "--subject-column", "who"],
            "needs 13 trials of every subject, there are 12",
        ),
        (["--cv-by", "subject"], "needs 3 subjects, there are 1"),
        (
            ["--models", "trf,ridge"],
            "unknown model 'ridge'; choose from mean, past, trf, rtrf, dre",
        ),
        (["--initial", "1.25"], "shorter than the epoch of 1.25 s. Got 1.25 s"),
    ],
)
def test_mistakes_are_one_line_and_status_2(save, tmp_path, capsys, arguments, message):
    assert study("--epochs", save(), *arguments, out=tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("sklearn-meg: error: ")
    assert error.count("\n") == 1
    assert not (tmp_path / "out" / "table.csv").exists()


def test_files_must_fit_together(save, tmp_path, capsys):
    first = save("a-epo.fif")
    for settings, message in (
        ({"sfreq": 80.0}, "80 Hz. --resample gives them one sampling rate"),
        ({"n_times": 40}, "b-epo.fif from -0.25 to 0.725 s"),
        ({"metadata": False}, "b-epo.fif has no metadata, so no length"),
        ({"tmin": 0.5}, "b-epo.fif must contain the stimulus at 0 s"),
    ):
        second = save("b-epo.fif", **settings)
        arguments = ["--epochs", first, second, "--features", "length"]
        assert study(*arguments, out=tmp_path / "out") == 2
        assert message in capsys.readouterr().err


def test_files_that_are_no_epochs(tmp_path, capsys):
    damaged = tmp_path / "damaged-epo.fif"
    damaged.write_bytes(b"not a recording")
    raw = tmp_path / "raw.fif"
    info = mne.create_info(2, 40.0, "eeg")
    mne.io.RawArray(np.zeros((2, 100)), info, verbose="error").save(raw, verbose="error")
    text = tmp_path / "notes.txt"
    text.write_text("hello")
    for path, message in (
        (tmp_path / "absent-epo.fif", "no such file"),
        (damaged, "cannot be read as epochs"),
        (raw, "It is a continuous recording: name it by --raw"),
        (text, "cannot be read as epochs"),
    ):
        assert study("--epochs", path, out=tmp_path / "out") == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1


def test_no_epochs_are_left(tmp_path, capsys):
    with pytest.raises(ValueError, match="has no epochs"):
        epochs_to_xy(make_epochs()[:0])


# ------------------------------------------------------------------ a real recording


def real_recording():
    root = Path(sklearn_meg.__file__).parents[1]
    folder = Path(os.environ.get("SKLEARN_MEG_DATA", root.parent / "shared" / "data"))
    path = folder / "encoding" / "eeglab_data.set"
    if not path.is_file():
        pytest.skip(f"the real recording {path} is not here (set SKLEARN_MEG_DATA)")
    return path


def epochs_around_squares(path):
    """Epochs around the squares of EEGLAB's example, with position and reaction time."""
    pymatreader = pytest.importorskip("pymatreader")
    raw = mne.io.read_raw_eeglab(path, preload=True, verbose="error")
    raw.filter(1.0, 30.0, verbose="error")
    content = pymatreader.read_mat(path)
    events = content.get("EEG", content)["event"]
    latency = np.array(events["latency"], dtype=float) - 1  # MATLAB counts from 1
    kind = np.array(events["type"])
    squares = np.flatnonzero(kind == "square")
    answers = latency[kind == "rt"]
    rows = []
    for i in squares:
        later = answers[answers > latency[i]]
        delay = (later[0] - latency[i]) / raw.info["sfreq"] if len(later) else np.nan
        rows.append({"position": float(events["position"][i]), "reaction_time": delay})
    metadata = pd.DataFrame(rows)
    kept = (metadata["reaction_time"] < 2.0).to_numpy()
    samples = np.round(latency[squares][kept]).astype(int)
    found = np.c_[samples, np.zeros_like(samples), np.ones_like(samples)]
    window = {"tmin": -0.5, "tmax": 1.5, "metadata": metadata[kept].reset_index(drop=True)}
    return mne.Epochs(raw, found, {"square": 1}, **window, preload=True, verbose="error")


def test_the_command_on_a_real_recording(tmp_path):
    epochs = epochs_around_squares(real_recording())
    path = tmp_path / "squares-epo.fif"
    epochs.save(path, verbose="error")
    arguments = ["--epochs", path, "--features", "position,reaction_time", "--resample", "32"]
    arguments += ["--n-permutations", "5"]
    assert study(*arguments, out=tmp_path / "out") == 0
    table = pd.read_csv(tmp_path / "out" / "table.csv")
    assert table[["r", "r_time"]].notna().all().all()
    assert table.groupby("model")["n_test"].sum().tolist() == [len(epochs)] * 3
    # The evoked response is there in trials that were not trained on.
    assert table.query("model == 'mean'")["r_time"].mean() > 0.05
    assert "Every subject" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_a_study_that_takes_long_says_so_before(monkeypatch):
    monkeypatch.setattr(duration, "_times", lambda size: (size / 10000, 0.2))
    arguments = argparse.Namespace(trf_lags=0.6)
    data = SimpleNamespace(
        features={"length": [0]}, y=np.zeros((24, 40, 50)), info={"sfreq": 1000.0}
    )
    (said,) = duration.time_warning(data, arguments, ["mean", "rtrf"], 10)
    assert "up to 1800 coefficients a channel" in said
    assert "10 fits of each take at least about 17 minutes" in said  # 10 * 240 * 0.12 * 1.5**3 s
    assert duration.time_warning(data, arguments, ["mean"], 10) == []
    data.info["sfreq"] = 100.0
    assert duration.time_warning(data, arguments, ["rtrf"], 10) == []


def test_warnings_are_told_once_and_restarted_processes_not_at_all(monkeypatch, capsys):
    def run(arguments):
        for _ in range(2):
            warnings.warn("Few trials.", UserWarning, stacklevel=1)
        stopped = "A worker stopped while some jobs were given to the executor."
        warnings.warn(stopped, UserWarning, stacklevel=1)
        assert arguments.told == ["Few trials."]  # the page shows these
        return 0

    parser = SimpleNamespace(parse_args=lambda argv: SimpleNamespace(run=run))
    monkeypatch.setattr(cli, "_parser", lambda: parser)
    warnings.simplefilter("always")
    assert cli.main([]) == 0
    assert capsys.readouterr().err == "sklearn-meg: warning: Few trials.\n"
