import re

import mne
import numpy as np
import pandas as pd
import pytest

from sklearn_meg.cli import main
from sklearn_meg.datasets import make_recordings
from sklearn_meg.exceptions import AssumptionWarning
from sklearn_meg.study.coding import code_features
from sklearn_meg.study.recordings import Reading, assemble, gather, survey
from sklearn_meg.study.sources import Cut, epochs_source, name_subjects, raw_source, read_epochs

SMALL = {"n_trials": 14, "n_meg": 6, "n_eeg": 5, "sfreq": 100.0}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    return make_recordings(tmp_path_factory.mktemp("lab"), **SMALL)


def sources_of(files):
    subjects, runs = name_subjects(files)
    return [epochs_source(f, s, r) for f, s, r in zip(files, subjects, runs)]


def test_recordings_that_differ_become_one_study(recordings, tmp_path):
    reading = Reading(features=["length", "kind"], missing="drop", resample=50.0)
    data = gather(sources_of(recordings.files), reading, tmp_path)
    assert sorted(set(data.subjects)) == ["sub-01", "sub-02", "sub-03"]
    assert len(set(data.runs)) == len(set(data.recordings)) == 6
    assert data.y.shape[1:] == (11, 50)
    assert list(data.features) == ["length", "kind"]
    assert data.features["kind"] == [1, 2]
    assert len(data.X) == len(data.y) == len(data.spans) == 6 * 13
    told = " ".join(data.notes)
    assert "order of the first" in told
    assert "interpolated" in told
    assert "length in 6" in told
    assert data.counts["trials"].sum() == len(data.y)


def test_channels_are_put_into_one_order(recordings, tmp_path):
    reading = Reading(features=["kind"], bads="drop")
    data = gather(sources_of(recordings.files), reading, tmp_path)
    names = data.info["ch_names"]
    bad = {name for names_ in recordings.bads.values() for name in names_}
    assert not bad & set(names)
    last = read_epochs(recordings.files[-1])
    expected = last.get_data(picks=names)
    order = [last.ch_names.index(name) for name in names]
    assert order != sorted(order)
    mine = data.recordings == str(recordings.files[-1])
    np.testing.assert_allclose(data.y[mine], expected, rtol=1e-5)


def test_the_initial_window_holds_nothing_of_the_rest(recordings, tmp_path):
    data = gather(sources_of(recordings.files), Reading(features=["kind"]), tmp_path)
    n = data.rows["n_initial"]
    assert data.times[n] == pytest.approx(0)
    initial = data.X[:, data.rows["initial_rows"]]
    np.testing.assert_array_equal(initial[:, :, :n], data.y[:, :, :n])
    assert not initial[:, :, n:].any()


def test_raw_recordings_are_cut_around_their_annotations(tmp_path):
    made = make_recordings(tmp_path, raw=True, n_subjects=1, n_runs=1, **SMALL)
    source = raw_source(made.files[0], Cut(-0.1, 0.3, "noun|verb"), "sub-01")
    data = gather([source], Reading(picks=["eeg"]), tmp_path / "data")
    assert data.info.get_channel_types() == ["eeg"] * 5
    assert data.features == {"event": [0]}
    raw = mne.io.read_raw(made.files[0], verbose="error")
    wanted = [text in ("noun", "verb") for text in raw.annotations.description]
    assert len(data.y) == sum(wanted)


def test_one_line_runs_on_a_labs_files(recordings, tmp_path, capsys):
    line = "--features length,kind --missing drop --models trf --n-permutations 5 --quiet"
    files = [str(path) for path in recordings.files]
    arguments = ["study", "--epochs", *files, *line.split(), "--out", str(tmp_path)]
    assert main([*arguments, "--resample", "50", "--cv-by", "block", "--cv", "3"]) == 0
    gains = pd.read_csv(tmp_path / "gains.csv").set_index("model")
    assert gains.loc["trf", "floor"] == "mean"
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert re.search(r"\d+ of \d+ trials overlap", page)
    assert "reference function" in page
    assert "contiguous blocks" in (tmp_path / "methods.txt").read_text()
    assert not (tmp_path / "data").exists()
    assert main([*arguments, "--cv", "3"]) == 2
    assert "runs of every subject, there are 2 (--cv-by block" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("reading", "message"),
    [
        (Reading(features=["kind"], picks=["grad"]), "none of the channels grad. It has the types"),
        (Reading(features=["kind"], reject={"eeg": 1e-12}), "No trial is left of 28"),
        (Reading(features=["kind"], initial=2.0), "shorter than the epoch"),
        (Reading(features=["kind"], subject_column="who"), "no column 'who'"),
    ],
)
def test_mistakes_are_named(recordings, tmp_path, reading, message):
    with pytest.raises(ValueError, match=message):
        gather(sources_of(recordings.files[:2]), reading, tmp_path)


def test_recordings_that_cannot_go_together(recordings, tmp_path):
    first = read_epochs(recordings.files[0])
    other = first.copy().rename_channels({n: f"X{i}" for i, n in enumerate(first.ch_names)})
    bad = first.copy()
    bad.info["bads"] = list(bad.ch_names)
    alone = first.copy().pick(first.ch_names[:4])
    for epochs, reading, message in (
        (other, Reading(), "no channel in common"),
        (bad, Reading(), "All 11 data channels of .* are marked bad"),
        (alone, Reading(bads="union"), "--bads drop leaves them out"),
        (first.copy(), Reading(), "hold the same trials"),
    ):
        path = tmp_path / "sub-01_run-9-epo.fif"
        epochs.save(path, overwrite=True, verbose="error")
        with pytest.raises(ValueError, match=message):
            gather(sources_of([recordings.files[0], path]), reading, tmp_path / "data")


def test_events_that_are_only_numbered_do_not_overlap(tmp_path):
    info = mne.create_info(3, 50.0, "eeg")
    y = np.random.default_rng(0).normal(size=(12, 3, 50))
    table = pd.DataFrame({"a": np.arange(12.0)})
    path = tmp_path / "numbered-epo.fif"
    mne.EpochsArray(y, info, tmin=-0.2, metadata=table, verbose="error").save(path, verbose="error")
    data = gather(sources_of([path]), Reading(features=["a"]), tmp_path)
    assert (data.spans[1:, 0] > data.spans[:-1, 1]).all()
    assert any("numbered, not timed" in note for note in data.notes)


def test_many_subjects_one_at_a_time(recordings, tmp_path, capsys):
    found = survey(sources_of(recordings.files), Reading(features=["kind"]))
    alone = assemble(found.of_subject("sub-02"), tmp_path / "alone")
    assert set(alone.subjects) == {"sub-02"} and alone.rows["subject_row"] is None
    files = [str(f) for f in recordings.files]
    broken = tmp_path / "sub-04_run-1-epo.fif"
    broken.write_bytes(b"no recording")
    base = ["study", "--epochs", *files, str(broken), "--features", "kind", "--models", "trf"]
    base += ["--resample", "50", "--n-permutations", "2", "--initial", "0", "--quiet"]
    base += ["--out", str(tmp_path / "out")]
    assert main([*base, "--each-subject"]) == 2
    assert main([*base, "--each-subject", "--continue"]) == 0
    assert "sub-04" in capsys.readouterr().err
    table = pd.read_csv(tmp_path / "out" / "table.csv")
    assert sorted(table["subject"].unique()) == ["sub-01", "sub-02", "sub-03"]
    assert len(table) == 2 * 3 * 2  # models, subjects, runs
    assert "sub-04" in (tmp_path / "out" / "report.html").read_text("utf-8")
    assert sorted(p.name for p in (tmp_path / "out").iterdir() if p.is_dir()) == ["store"]
    assert main([*base, "--continue"]) == 2


def test_sessions_that_count_as_subjects_are_warned_of():
    files = ["P01_sess1-epo.fif", "P01_sess2-epo.fif", "P02_sess1-epo.fif"]
    with pytest.warns(AssumptionWarning, match=r"P01_sess2-epo.fif seem to be of one subject"):
        name_subjects(files)
    name_subjects(files, r"(P\d+)")  # warnings are errors
    name_subjects(files, in_table=True)
    name_subjects(["P01_sess1-epo.fif", "P02_sess1-epo.fif", "day1.fif", "today.fif"])
    name_subjects(["part01-epo.fif", "part02-epo.fif"])  # participants
    name_subjects(["exp1_01-epo.fif", "exp1_02-epo.fif", "S01_1-epo.fif", "S02_1-epo.fif"])
    for person in ("P01_", "subj3-", "S_2_"):
        with pytest.warns(AssumptionWarning, match="runs-as-subjects"):
            name_subjects([f"{person}{n}-epo.fif" for n in (1, 2)])


def test_a_feature_is_determined_by_named_others():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"freq": rng.normal(size=20), "kind": ["a", "b"] * 10})
    table["pos"] = table["kind"].replace({"a": "noun", "b": "verb"})
    notes = " ".join(code_features(table, ["freq", "kind", "pos"]).notes)
    assert "kind is determined by pos:" in notes
    assert "freq is determined" not in notes
