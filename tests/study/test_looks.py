"""What is odd about samples and features of recordings is said, or refused, before any fit."""

import mne
import numpy as np
import pandas as pd
import pytest

from sklearn_meg.study.coding import code_features
from sklearn_meg.study.loading import load_clean
from sklearn_meg.study.looks import Looks
from sklearn_meg.study.recordings import Reading, _check_limits
from sklearn_meg.study.sources import epochs_source

INFO = mne.create_info(["Fz", "Cz", "Pz", "Oz"], 100.0, "eeg")


@pytest.fixture
def y():
    return 1e-5 * np.random.default_rng(0).normal(size=(6, 4, 30))


def notes_of(*recordings):
    looks = Looks()
    for number, trials in enumerate(recordings):
        looks.look(trials, INFO, f"{number}-epo.fif")
    return looks.notes()


def test_ordinary_recordings_need_no_note(y):
    assert notes_of(y, 3 * y) == []


def test_gaps_are_refused_and_named(y):
    y[4, 2, 7] = np.nan
    with pytest.raises(ValueError, match=r"0-epo.fif: 1 of 6 trials.*channels Pz.*trial 4"):
        notes_of(y)


def test_dead_channels_are_named(y):
    y[:, 1] = 0.0
    (note,) = notes_of(y)
    assert "never vary" in note and "0-epo.fif Cz" in note


def test_microvolts_are_no_volts(y):
    (note,) = notes_of(1e6 * y)
    assert "MNE takes V" in note
    assert notes_of(np.zeros_like(y))  # dead channels, not their units


def test_references_that_differ_are_told(y):
    averaged = y - y.mean(axis=1, keepdims=True)
    assert notes_of(averaged, averaged) == []
    (note,) = notes_of(averaged, y)
    assert "0-epo.fif is to the average reference, that of 1-epo.fif to another" in note


def test_limits_that_do_nothing_are_refused(y):
    heads = [mne.EpochsArray(y, INFO, verbose="error")]
    _check_limits(heads, Reading(reject={"eeg": 150e-6}))
    for reject, message in (
        ({"eeg": 150.0}, "leaves out no trials: limits are in V"),
        ({"eeg": 0.0}, "leaves out all trials"),
        ({"mag": 4e-12}, "there are no such channels, but eeg"),
    ):
        with pytest.raises(ValueError, match=message):
            _check_limits(heads, Reading(reject=reject))


def test_trials_that_are_rejected_take_their_metadata_along(y, tmp_path):
    y[[1, 4], 0, 3] = 1.0
    events = np.c_[np.arange(6) * 50, np.zeros(6, dtype=int), np.ones(6, dtype=int)]
    epochs = mne.EpochsArray(
        y, INFO, events, metadata=pd.DataFrame({"n": range(6)}), verbose="error"
    )
    epochs.save(tmp_path / "a-epo.fif", verbose="error")
    source = epochs_source(tmp_path / "a-epo.fif", "a")
    reading = Reading(reject={"eeg": 1e-3})
    kept = load_clean(source, np.array([1, 1, 0, 1, 1, 1], dtype=bool), INFO.ch_names, reading)
    assert kept.metadata["n"].tolist() == [0, 3, 5]
    assert kept.selection_.tolist() == [0, 2, 4]  # of those that were wanted


def test_features_that_say_the_same_are_told():
    length = np.random.default_rng(0).integers(2, 9, 40).astype(float)
    table = pd.DataFrame({"length": length, "double": 2 * length + 1, "kind": ["a", "b"] * 20})
    assert len(code_features(table, ["length", "kind"]).notes) == 1
    notes = code_features(table, ["length", "double"]).notes
    assert notes[0].startswith("length is determined by double")


def test_a_formula_that_cannot_be_read_is_named():
    pytest.importorskip("formulaic")
    with pytest.raises(ValueError, match=r"The formula 'length \+' cannot be read"):
        code_features(pd.DataFrame({"length": [1.0, 2.0]}), [], formula="length +")
