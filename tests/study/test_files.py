"""Files as other software writes them: HDF5, EDF with annotations, a BIDS folder."""

import mne
import numpy as np
import pandas as pd
import pytest

from sklearn_meg.cli import main
from sklearn_meg.datasets import make_nerve

KINDS = ("low", "high")


def run(*arguments, out):
    return main([*map(str, arguments), "--quiet", "--out", str(out)])


def write_edf(path, seed, n_trials=12):
    """Ten seconds and more of EEG that is driven by one of two annotations, every second."""
    pytest.importorskip("edfio")
    rng = np.random.default_rng(seed)
    kind = rng.permutation(np.arange(n_trials) % 2)
    signal = 5e-6 * rng.normal(size=(4, 100 * (n_trials + 1)))
    onsets = np.arange(n_trials) + 0.5
    for k, onset in zip(kind, onsets):
        first = round(100 * onset)
        signal[0, first : first + 40] += 2e-5 * k
    raw = mne.io.RawArray(signal, mne.create_info(["Fz", "Cz", "Pz", "Oz"], 100.0, "eeg"))
    raw.set_annotations(mne.Annotations(onsets, 0.1, [KINDS[k] for k in kind]))
    raw.set_meas_date(pd.Timestamp("2020-01-01", tz="UTC").to_pydatetime())
    mne.export.export_raw(path, raw, overwrite=True, verbose="error")
    return path


def test_trials_in_hdf5_as_another_lab_names_them(tmp_path):
    h5py = pytest.importorskip("h5py")
    data = make_nerve((0,), n_train=4, n_test=2, n_channels=4, sfreq=1000.0, duration=0.3)
    path = tmp_path / "nerve.h5"
    with h5py.File(path, "w") as file:
        file["emg"] = data.X
        names = [f"motion {label}" for label in data.y]
        file["motion"] = np.array(names, dtype=h5py.string_dtype())
        file["sfreq"] = 1000.0
    options = ["--keys", "X=emg", "y=motion", "--models", "lda", "--cv", "2"]
    assert run("decode", "--trials", path, *options, out=tmp_path / "out") == 0
    table = pd.read_csv(tmp_path / "out" / "table.csv").groupby("model")["accuracy"].mean()
    assert table["lda"] > table["chance"]


def test_movements_annotated_in_edf(tmp_path):
    path = write_edf(tmp_path / "arm.edf", 0)
    options = ["--duration", "0.4", "--window", "0.2", "--hop", "0.1", "--models", "lda"]
    assert run("decode", "--trials", path, *options, "--cv", "3", out=tmp_path / "out") == 0
    table = pd.read_csv(tmp_path / "out" / "table.csv").groupby("model")["accuracy"].mean()
    assert table["lda"] > 0.8
    assert table["chance"] < 0.7


OPTIONS = ["--models", "trf", "--initial", "0", "--tmin", "-0.1", "--tmax", "0.4", "--cv", "2"]
OPTIONS += ["--n-permutations", "5", "--trf-lags", "0.1"]


def driven(out):
    gains = pd.read_csv(out / "gains.csv")
    return bool((gains["gain"] > 0.05).all()) and len(gains) == 1


def test_stimuli_annotated_in_edf(tmp_path):
    files = [write_edf(tmp_path / f"sub-{s:02d}.edf", s) for s in (1, 2)]
    assert run("study", "--raw", *files, *OPTIONS, out=tmp_path / "out") == 0
    assert driven(tmp_path / "out")


@pytest.mark.filterwarnings("ignore:.*:RuntimeWarning")  # what BIDS would like to know besides
def test_a_bids_folder_one_subject_at_a_time(tmp_path):
    mne_bids = pytest.importorskip("mne_bids")
    for subject in ("01", "02"):
        raw = mne.io.read_raw_edf(write_edf(tmp_path / f"{subject}.edf", int(subject)))
        raw.info["line_freq"] = 50
        target = mne_bids.BIDSPath(subject=subject, task="listen", root=tmp_path / "bids")
        mne_bids.write_raw_bids(raw, target, verbose="error")
    options = ["--bids-root", tmp_path / "bids", "--bids-task", "listen", "--each-subject"]
    assert run("study", *options, *OPTIONS, out=tmp_path / "out") == 0
    assert driven(tmp_path / "out")
    table = pd.read_csv(tmp_path / "out" / "table.csv")
    assert sorted(table["subject"].unique()) == ["sub-01", "sub-02"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--filter", "30", "1"], "LOW first"),
        (["--tmin", "0.5", "--tmax", "0.1"], "--tmin must be before --tmax"),
        (["--events", "("], "--events (: no regular expression"),
        (["--subject-from-name", "sub-("], "--subject-from-name sub-(: no regular expression"),
        (["--seed", "-1"], "--seed must be at least 0"),
    ],
)
def test_options_that_make_no_sense_are_named(options, message, capsys):
    assert main(["study", "--raw", "any.fif", *options]) == 2
    assert message in capsys.readouterr().err


def test_a_bids_folder_that_is_not_there_is_named(capsys):
    assert main(["study", "--bids-root", "nowhere"]) == 2
    assert "nowhere: no such folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["states", "--recordings", "empty.csv"],
        ["thresholds", "--field", "empty.csv", "--cells", "empty.csv"],
        ["tracts", "--directions", "empty.csv"],
    ],
)
def test_empty_files_are_named(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.csv").write_text("")
    assert main([*arguments, "--out", "out"]) == 2
    assert "error: empty.csv" in capsys.readouterr().err
