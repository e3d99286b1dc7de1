"""Files as strangers have them: MATLAB's, EEGLAB's, tables beside recordings, spreadsheets."""

from types import SimpleNamespace

import mne
import numpy as np
import pandas as pd
import pytest
from scipy.io import savemat

from sklearn_meg.cli import main
from sklearn_meg.commands.arrays import read_named
from sklearn_meg.commands.common import CommandError, read_table
from sklearn_meg.commands.localize import _left_out, _parts, _picked
from sklearn_meg.commands.states import _read_table
from sklearn_meg.commands.tracts import _check_gradients, _region
from sklearn_meg.study.recordings import Reading, gather
from sklearn_meg.study.sources import (
    Cut,
    _is_recording,
    epochs_source,
    raw_source,
    read_epochs,
)
from sklearn_meg.study.tables import read_trials, rows_of_events

X = np.arange(24.0).reshape(4, 2, 3)
WORDS = ["fist", "rest", "fist", "rest"]


def test_arrays_of_matlab(tmp_path):
    path = tmp_path / "emg.mat"
    savemat(path, {"emg": X, "motion": np.array(WORDS, dtype=object)[:, None], "fs": 200.0})
    found = read_named(path)
    np.testing.assert_array_equal(found["emg"], X)
    assert found["motion"].ravel().tolist() == WORDS
    assert float(found["fs"].item()) == 200.0


def test_arrays_of_matlab_since_2006(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "emg.mat"
    with h5py.File(path, "w", userblock_size=512) as file:  # axes in reverse, cells as references
        file["emg"] = X.T
        words = [np.array([[ord(c)] for c in word], dtype=np.uint16) for word in WORDS]
        cells = [file.create_dataset(f"#refs#/{i}", data=word).ref for i, word in enumerate(words)]
        file.create_dataset("motion", data=np.array([cells], dtype=h5py.ref_dtype))
    found = read_named(path)
    np.testing.assert_array_equal(found["emg"], X)
    assert found["motion"].ravel().tolist() == WORDS


def test_labels_that_are_objects_are_to_be_saved_as_text(tmp_path, capsys):
    path = tmp_path / "emg.npz"
    np.savez(path, X=X, y=np.array(WORDS, dtype=object))
    assert main(["decode", "--trials", str(path), "--sfreq", "10"]) == 2
    assert "save labels as text" in capsys.readouterr().err
    gap = X.copy()
    gap[2, 0, 1] = np.nan
    np.savez(path, X=gap, y=WORDS)
    assert main(["decode", "--trials", str(path), "--sfreq", "10"]) == 2
    assert "1 of 4 trials have NaN or infinity in X: 2" in capsys.readouterr().err
    path.with_suffix(".mat").write_bytes(b"no matlab" * 200)
    assert main(["decode", "--trials", str(path.with_suffix(".mat"))]) == 2
    assert "emg.mat: cannot be read as arrays" in capsys.readouterr().err


def test_tables_of_spreadsheets(tmp_path):
    path = tmp_path / "x.csv"
    table = pd.DataFrame({"left": [0.5, 1.25, 2.0], "right": [3.0, -1e-7, 4.5]})
    table.to_csv(path, sep=";", decimal=",", index=False)
    pd.testing.assert_frame_equal(read_table(path), table)
    np.testing.assert_array_equal(_read_table(path), table.to_numpy())
    table.to_csv(path, index=True)  # row numbers under an empty name
    np.testing.assert_array_equal(_read_table(path), table.to_numpy())
    table.assign(time=[0.1, 0.2, 0.3]).to_csv(path, index=False)
    with pytest.raises(CommandError, match="'time' counts samples and is no region"):
        _read_table(path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("word\nice cream\nhouse\n", [["ice cream"], ["house"]]),
        ("onset length\n1.5 2\n2.5 3\n", [[1.5, 2], [2.5, 3]]),
        ("a;b\n1,5;2\n2,5;3\n", [[1.5, 2], [2.5, 3]]),
        ("a\tb c\n1\tx y\n", [[1, "x y"]]),
    ],
)
def test_delimiters_are_seen(tmp_path, text, expected):
    path = tmp_path / "trials.txt"
    path.write_text(text)
    assert read_trials(path).to_numpy().tolist() == expected


# ------------------------------------------------------------------ tables beside recordings


@pytest.fixture
def continuous(tmp_path):
    """Recording of 20 s, with annotations, and its events.tsv."""
    rng = np.random.default_rng(0)
    onsets = 1.0 + 0.6 * np.arange(30)
    raw = mne.io.RawArray(
        1e-6 * rng.normal(size=(2, 2000)), mne.create_info(2, 100.0, "eeg"), verbose="error"
    )
    raw.set_annotations(mne.Annotations(onsets, 0.1, "word"))
    raw.save(tmp_path / "sub-1_raw.fif", verbose="error")
    table = pd.DataFrame({"onset": onsets, "length": rng.integers(2, 9, 30), "kind": "n/a"})
    table.loc[::2, "kind"] = "noun"
    practice = pd.DataFrame({"onset": [0.2], "length": [99], "kind": ["none"]})
    path = tmp_path / "sub-1_events.tsv"
    pd.concat([practice, table]).to_csv(path, sep="\t", index=False)
    return tmp_path / "sub-1_raw.fif", path, table


def test_metadata_of_a_raw_recording_are_a_table(continuous, tmp_path):
    raw, path, table = continuous
    source = raw_source(raw, Cut(-0.1, 0.3), "1", None, path)
    epochs = source.load(preload=True)
    assert epochs.metadata["length"].tolist() == table["length"].tolist()
    data = gather([source], Reading(features=["length"]), tmp_path / "data")
    assert list(data.features) == ["length"]


def test_metadata_of_epochs_are_a_table(continuous, tmp_path):
    raw, path, table = continuous
    epochs = raw_source(raw, Cut(-0.1, 0.3), "1").load(preload=True)
    epochs.drop([3, 5], verbose="error").save(tmp_path / "a-epo.fif", verbose="error")
    table.to_csv(path, sep=";", index=False)
    found = epochs_source(tmp_path / "a-epo.fif", "1", None, path).load(preload=False)
    assert found.metadata["length"].tolist() == table["length"].drop([3, 5]).tolist()
    table[:7].to_csv(path, index=False)
    with pytest.raises(ValueError, match=r"7 rows.*28 epochs \(30 before some were dropped\)"):
        epochs_source(tmp_path / "a-epo.fif", "1", None, path).load(preload=False)


def test_events_without_a_row_are_told(continuous):
    _, path, table = continuous
    seconds, kinds = table["onset"].to_numpy(), ["word"] * 30
    with pytest.raises(ValueError, match=r"no row, or several, for 30 of 30 events of a.fif"):
        rows_of_events(table.assign(onset=1e3 * seconds), seconds, kinds, 0.01, path, "a.fif")
    with pytest.raises(ValueError, match="29 rows, a.fif 30 events"):
        rows_of_events(table[["length"]][1:], seconds, kinds, 0.01, path, "a.fif")
    twice = pd.concat([table.assign(trial_type="word"), table.assign(trial_type="trigger")])
    found = rows_of_events(twice, seconds, kinds, 0.01, path, "a.fif")
    assert (found["trial_type"] == "word").all()


def test_tables_and_files_go_together(continuous, tmp_path, capsys):
    raw, path, _ = continuous
    other = tmp_path / "sub-2_events.tsv"
    for tables, message in (([other], "sub-2_events.tsv is not of"), ([path, other], "of 1 files")):
        line = ["study", "--raw", raw, "--metadata", *tables, "--features", "length"]
        assert main([*map(str, line), "--out", str(tmp_path / "out")]) == 2
        assert message in capsys.readouterr().err
    with pytest.raises(ValueError, match="no such file"):
        read_trials(other)


def test_companions_of_recordings_are_not_opened():
    path = {"suffix": "eeg", "acquisition": None, "subject": "01", "split": None}
    for extension, opened in ((".vhdr", True), (".eeg", False), (".vmrk", False), (".fdt", False)):
        assert _is_recording(SimpleNamespace(**path, extension=extension)) == opened
    for other in ({"subject": "emptyroom"}, {"acquisition": "crosstalk"}, {"split": "02"}):
        found = {**path, "suffix": "meg", "extension": ".fif", **other}
        assert not _is_recording(SimpleNamespace(**found))


# ------------------------------------------------------------------------- epochs of EEGLAB


@pytest.mark.parametrize("timed", [True, False])
def test_epochs_of_eeglab_are_of_the_event_at_0(tmp_path, timed):
    pytest.importorskip("pymatreader")
    n, sfreq = 6, 100.0
    samples = 50 + 60 * np.arange(n)  # epochs of a second: the next event is in each, too
    epoch, event = [], []
    for i in range(n):
        near = [j for j in (i - 1, i, i + 1) if 0 <= j < n]
        numbers = len(event) + 1 + np.arange(len(near))
        event += [
            {"type": "AB"[j % 2], "latency": 100.0 * i + 51 + 60 * (j - i), "urevent": j + 1.0,
             "epoch": i + 1.0} for j in near
        ]  # fmt: skip
        late = [600.0 * (j - i) for j in near]
        kinds = np.array(["AB"[j % 2] for j in near], dtype=object)
        epoch.append({"event": numbers, "eventlatency": late, "eventtype": kinds})
    chanlocs = [{"labels": name, "X": [], "Y": [], "Z": []} for name in ("Fz", "Cz")]
    eeg = {
        "setname": "a", "nbchan": 2.0, "trials": float(n), "pnts": 100.0, "srate": sfreq,
        "xmin": -0.5, "xmax": 0.49, "data": np.zeros((2, 100, n)), "epoch": epoch, "event": event,
        "chanlocs": chanlocs, "ref": "common", "icaweights": [], "icawinv": [],
    }  # fmt: skip
    if timed:
        eeg["urevent"] = [{"latency": float(s + 1), "type": "A"} for s in samples]
    savemat(tmp_path / "a.set", {"EEG": eeg})
    found = read_epochs(tmp_path / "a.set")
    names = {code: name for name, code in found.event_id.items()}
    assert [names[code] for code in found.events[:, 2]] == list("ABABAB")
    np.testing.assert_array_equal(np.diff(found.events[:, 0]), 60 if timed else 1)


# ------------------------------------------------------------------------- other commands


def test_regions_lie_where_the_directions_do(tmp_path):
    nib = pytest.importorskip("nibabel")
    affine, flipped = np.diag([2.0, 2, 2, 1]), np.diag([-2.0, 2, 2, 1])
    for name, where in (("a.nii.gz", affine), ("b.nii.gz", flipped)):
        nib.save(nib.Nifti1Image(np.ones((3, 3, 3), np.uint8), where), tmp_path / name)
    there = np.ones((3, 3, 3), dtype=bool)
    assert len(_region(tmp_path / "a.nii.gz", there, affine)) == 27
    with pytest.raises(CommandError, match="another affine"):
        _region(tmp_path / "b.nii.gz", there, affine)


def test_gradients_belong_together(tmp_path):
    bvals, bvecs = tmp_path / "a.bval", tmp_path / "a.bvec"
    np.savetxt(bvals, [[0, 1000, 1000]])
    np.savetxt(bvecs, np.eye(3)[:, :2])
    with pytest.raises(CommandError, match=r"got \(1, 3\) and \(3, 2\)"):
        _check_gradients(bvals, bvecs)


def test_channels_that_are_asked_for_are_taken():
    info = mne.create_info(["a", "b", "c"], 100.0, ["mag", "grad", "eeg"])
    evokeds = [mne.EvokedArray(np.zeros((3, 9)), info, comment=name) for name in ("left", "right")]
    assert [e.ch_names for e in _picked(evokeds, ["mag,eeg"])] == [["a", "c"]] * 2
    assert evokeds[0].ch_names == ["a", "b", "c"]
    with pytest.raises(CommandError, match=r"--picks seeg: the fields have mag, grad, eeg"):
        _picked(evokeds, ["seeg"])
    assert list(_parts(evokeds)) == ["left", "right"]
    forward = {"info": {"ch_names": ["a", "b"]}}
    (note,) = _left_out(evokeds[0], ["a", "b"], forward)
    assert "forward solution does not have them: 1 eeg channels" in note


def test_a_warning_is_one_line(capsys, monkeypatch):
    import warnings

    from sklearn_meg.commands import states

    def warned(arguments):
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            for _ in range(2):
                warnings.warn("Look\nat this.", UserWarning, stacklevel=2)
        assert arguments.told == ["Look at this."]
        return 0

    monkeypatch.setattr(states, "run_states", warned)
    assert main(["states", "--recordings", "none.npy"]) == 0
    assert capsys.readouterr().err == "sklearn-meg: warning: Look at this.\n"
