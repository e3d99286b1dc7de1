"""Recordings as labs have them: several subjects and runs, nothing quite alike."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from .._repr import ShortBunch
from ._head import make_head

if TYPE_CHECKING:
    from .._typing import PathLike

WORDS = ("noun", "verb", "function")
PEAKS = (0.15, 0.35)  # s after a word, of the responses to length and to the kind of word
WIDTH = 0.06
MEG_UNIT, EEG_UNIT = 1e-13, 1e-6  # T and V, sizes of the noise


def make_recordings(
    folder: PathLike,
    *,
    n_subjects: int = 3,
    n_runs: int = 2,
    n_trials: int = 60,
    n_meg: int = 24,
    n_eeg: int = 12,
    sfreq: float = 1000.0,
    effect: float = 1.0,
    raw: bool = False,
    random_state: int = 0,
) -> Bunch:
    """Write recordings of words to files that differ in the ways that real recordings do.

    Subjects hear words every .5 to .8 s, so that epochs of -.2 to .8 s overlap. MEG and EEG are
    recorded together. Each subject has other bad channels, and channels in another order. Metadata
    hold the length of a word (missing in some trials), its kind as text, and the number of a
    loudspeaker, which drives nothing.

    Parameters
    ----------
    folder : path-like
        Folder of the files; made if it does not exist.
    n_subjects, n_runs : int, default=3, 2
        Numbers of subjects and of runs of each.
    n_trials : int, default=60
        Words per run.
    n_meg, n_eeg : int, default=24, 12
        Magnetometers and EEG electrodes.
    sfreq : float, default=1000.0
        Sampling rate in Hz.
    effect : float, default=1.0
        Size of what length and kind of word add to the response; 0 makes them unrelated.
    raw : bool, default=False
        Write continuous recordings with annotations in the place of epochs.
    random_state : int, default=0
        Decides everything.

    Returns
    -------
    recordings : Bunch
        ``files`` (list of Path, ``sub-01_run-1-epo.fif`` and so on), ``bads`` (dict of file name
        -> list of channels), ``features`` (names of the metadata columns that drive the response).

    Examples
    --------
    >>> import tempfile
    >>> from sklearn_meg.datasets import make_recordings
    >>> folder = tempfile.mkdtemp()
    >>> found = make_recordings(folder, n_subjects=1, n_trials=8, n_meg=6, n_eeg=4, sfreq=100.0)
    >>> [path.name for path in found.files]
    ['sub-01_run-1-epo.fif', 'sub-01_run-2-epo.fif']
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    info = _make_info(n_meg, n_eeg, sfreq)
    found = ShortBunch(files=[], bads={}, features=["length", "kind"])
    for subject in range(n_subjects):
        rng = np.random.default_rng([random_state, subject])
        person = ShortBunch(
            maps=rng.normal(size=(len(info["ch_names"]), 3)),
            mixing=rng.normal(size=(len(info["ch_names"]),) * 2),
            order=rng.permutation(info["ch_names"]).tolist(),
            bads=sorted(rng.choice(info["ch_names"], 2, replace=False).tolist()),
        )
        for run in range(n_runs):
            name = f"sub-{subject + 1:02d}_run-{run + 1}{'_meg' if raw else '-epo'}.fif"
            recording, words, onsets = _record(rng, info, person, n_trials, effect)
            kind = recording if raw else _cut(recording, words, onsets, run + 1)
            kind.save(folder / name, overwrite=True, verbose="error")
            found.files.append(folder / name)
            found.bads[name] = person.bads
    return found


def _make_info(n_meg, n_eeg, sfreq):
    """MEG on a helmet and EEG of a cap in one info."""
    import mne

    infos = []
    if n_meg:
        infos.append(make_head(n_channels=n_meg).info.copy())
    if n_eeg:
        montage = mne.channels.make_standard_montage(f"biosemi{16 if n_eeg <= 16 else 64}")
        names = montage.ch_names[:: max(1, len(montage.ch_names) // n_eeg)][:n_eeg]
        infos.append(mne.create_info(names, 1000.0, "eeg").set_montage(montage, verbose="error"))
    info = infos[0]
    for other in infos[1:]:
        merged = mne.create_info(info["ch_names"] + other["ch_names"], 1000.0, "misc")
        for channel, old in zip(merged["chs"], info["chs"] + other["chs"]):
            channel.update({key: value for key, value in old.items() if key != "logno"})
        merged["dev_head_t"] = info["dev_head_t"]
        info = merged
    with info._unlock():
        info["sfreq"], info["lowpass"] = float(sfreq), sfreq / 2
    return info


def _record(rng, info, person, n_trials, effect):
    """One continuous run with its words."""
    import mne

    sfreq = info["sfreq"]
    onsets = 1.0 + np.cumsum(rng.uniform(0.5, 0.8, n_trials))
    words = pd.DataFrame(
        {
            "length": rng.integers(2, 11, n_trials).astype(float),
            "kind": rng.choice(WORDS, n_trials),
            "speaker": rng.integers(1, 5, n_trials),
        }
    )
    n_times = int((onsets[-1] + 2.0) * sfreq)
    signal = person.mixing @ _pink(rng, (len(person.mixing), n_times))
    signal /= signal.std(axis=1, keepdims=True)
    signal += person.maps @ _responses(words, onsets, np.arange(n_times) / sfreq, effect)
    kinds = np.array(info.get_channel_types())
    unit = np.where(kinds == "eeg", EEG_UNIT * 10, MEG_UNIT * 5)
    signal *= unit[:, np.newaxis]
    bad = [info["ch_names"].index(name) for name in person.bads]
    signal[bad] = unit[bad, np.newaxis] * 30 * rng.normal(size=(len(bad), n_times))
    raw = mne.io.RawArray(signal, info.copy(), verbose="error")
    raw.reorder_channels(person.order)
    raw.info["bads"] = list(person.bads)
    raw.set_annotations(mne.Annotations(onsets, 0.0, words["kind"].tolist()))
    return raw, words, onsets


def _responses(words, onsets, times, effect):
    """Courses of three sources: to any word, to its length, to its kind."""
    courses = np.zeros((3, len(times)))
    length = (words["length"] - 6.0) / 2.6
    kind = words["kind"].map({"noun": 1.0, "verb": -1.0, "function": 0.0})
    for onset, a, b in zip(onsets, length, kind):
        near = slice(*np.searchsorted(times, [onset, onset + 0.7]))
        bumps = [np.exp(-(((times[near] - onset - p) / WIDTH) ** 2)) for p in PEAKS]
        courses[0, near] += bumps[0]
        courses[1, near] += effect * a * bumps[0]
        courses[2, near] += effect * b * bumps[1]
    return courses


def _pink(rng, shape):
    """Noise with power 1 / f."""
    frequencies = np.fft.rfftfreq(shape[-1])
    frequencies[0] = frequencies[1]
    parts = rng.normal(size=(2, *shape[:-1], len(frequencies)))
    return np.fft.irfft((parts[0] + 1j * parts[1]) / np.sqrt(frequencies), shape[-1])


def _cut(raw, words, onsets, run):
    """Epochs with metadata; the length of a few words was not written down."""
    import mne

    events, codes = mne.events_from_annotations(raw, verbose="error")
    table = words.assign(run=run, word=[f"word {i}" for i in range(len(words))])
    table.loc[table.index[3::17], "length"] = np.nan
    return mne.Epochs(
        raw, events, codes, -0.2, 0.8, baseline=None, metadata=table, preload=True, verbose="error"
    )  # fmt: skip
