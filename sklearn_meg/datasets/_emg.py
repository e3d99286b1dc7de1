"""Loader of a public recording of muscles over weeks: downloaded when called without a path."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .._checks.claims import check_claims
from .._repr import short_repr

if TYPE_CHECKING:
    from .._typing import PathLike

__all__ = ["EmgData", "load_long_term_emg"]

OWNER = "Suguru55/Wearable_Sensor_Long-term_sEMG_Dataset"
COMMIT = "005b70cb0fd54f186e4fa17bcf66dcaf32937aa5"
NAME = re.compile(r"D(\d+)M(\d+)T(\d+)\.csv$")
SFREQ, N_CHANNELS = 200.0, 8


@dataclass
class EmgData:
    """Trials of motions on many days.

    Attributes
    ----------
    X : ndarray of shape (n_trials, 9, n_times)
        Eight channels, float32; the last row is the day, constant within a trial.
    y : ndarray of int of shape (n_trials,)
        Motion, from 1.
    session : ndarray of int of shape (n_trials,)
        Day, from 1.
    trial : ndarray of int of shape (n_trials,)
        Number of the trial of its motion on that day, from 1.
    sfreq : float
        Hz.
    """

    X: np.ndarray
    y: np.ndarray
    session: np.ndarray
    trial: np.ndarray
    sfreq: float = SFREQ

    __repr__ = short_repr


def load_long_term_emg(path: PathLike | None = None, *, subject: int = 1) -> EmgData:
    """Load surface EMG of the forearm over 30 days: 22 motions, 4 trials a motion and day.

    Parameters
    ----------
    path : path-like or None, default=None
        Folder with files ``D{day}M{motion}T{trial}.csv`` (samples x 8 channels) anywhere below it,
        or an .npz file with ``emg`` (trials x samples x channels), ``day``, ``motion``, ``trial``.
        None downloads the set into ``~/.cache/sklearn_meg``, or the folder that the environment
        variable ``SKLEARN_MEG_CACHE`` names.
    subject : int, default=1
        1 to 5: files below a folder ``sub1`` and so on, where there are such folders.

    Returns
    -------
    emg : EmgData
        Day after day.

    Raises
    ------
    FileNotFoundError
        If the path holds no such files.
    ValueError
        For a file that holds something else, or a trial that is there twice.
    RuntimeError
        If the data are not there and cannot be downloaded (about 300 MB).

    References
    ----------
    Kanoga et al. (2020), Are armband sEMG devices dense enough for long-term use?, Biomedical
    Signal Processing and Control 60. License of the data: Apache 2.0.

    Examples
    --------
    >>> from sklearn_meg.datasets import load_long_term_emg
    >>> emg = load_long_term_emg()  # doctest: +SKIP
    >>> early, late = emg.session <= 5, emg.session >= 25  # doctest: +SKIP
    """
    path = _download() if path is None else Path(path)
    if path.suffix == ".npz":
        return _from_npz(path)
    files = _files_of(path, subject)
    keys = np.array(sorted(files))
    trials = [_read(files[tuple(key)]) for key in keys.tolist()]
    lengths = {len(trial) for trial in trials}
    if len(lengths) > 1:
        raise ValueError(f"All trials must be equally long. Got {sorted(lengths)} samples.")
    return _packed(np.stack(trials), *keys.T)


def _files_of(path, subject):
    """Files by (day, motion, trial)."""
    every = [(NAME.search(file.name), file) for file in sorted(path.rglob("D*M*T*.csv"))]
    every = [(match, file) for match, file in every if match]
    in_folders = any(_subject_of(file, path) is not None for _, file in every)
    if in_folders:
        every = [pair for pair in every if _subject_of(pair[1], path) == subject]
    if not every:
        raise FileNotFoundError(
            f"path must hold files D1M1T1.csv and so on{_below(subject, in_folders)}. "
            f"Got {str(path)!r}."
        )
    files = {}
    for match, file in every:
        key = tuple(int(number) for number in match.groups())
        if key in files:
            raise ValueError(f"A trial is there twice: {files[key]} and {file}.")
        files[key] = file
    return files


def _below(subject, in_folders):
    return f", below a folder sub{subject}" if in_folders else ""


def _subject_of(file, path):
    for part in file.relative_to(path).parts[:-1]:
        match = re.fullmatch(r"sub(\d+)", part)
        if match:
            return int(match[1])
    return None


def _read(file):
    try:
        signal = np.loadtxt(file, delimiter=",", ndmin=2, dtype=np.float32)
    except ValueError as error:
        raise ValueError(f"{file} must hold numbers with commas between: {error}") from error
    if signal.shape[1] != N_CHANNELS:
        raise ValueError(
            f"{file} must have {N_CHANNELS} columns, one for each channel. Got {signal.shape[1]}."
        )
    return signal


def _from_npz(path):
    check_claims(path)
    with np.load(path, allow_pickle=False) as data:
        missing = [key for key in ("emg", "day", "motion", "trial") if key not in data]
        if missing:
            raise ValueError(f"{path} must hold emg, day, motion, trial. Without {missing[0]!r}.")
        emg, *keys = (data[key] for key in ("emg", "day", "motion", "trial"))
    order = np.lexsort(keys[::-1])
    return _packed(emg[order], *(key[order] for key in keys))


def _packed(emg, day, motion, trial):
    """Trials (n, n_times, n_channels), with the day as last row."""
    day, motion, trial = (np.asarray(part).astype(int) for part in (day, motion, trial))
    signal = np.asarray(emg, dtype=np.float32).transpose(0, 2, 1)
    row = np.broadcast_to(day[:, np.newaxis, np.newaxis], (len(day), 1, signal.shape[2]))
    return EmgData(np.concatenate([signal, row], axis=1, dtype=np.float32), motion, day, trial)


def _download():
    """Folder of the whole set."""
    import pooch

    cache = Path(os.environ.get("SKLEARN_MEG_CACHE", Path.home() / ".cache" / "sklearn_meg"))
    folder = cache / f"long_term_emg_{COMMIT[:7]}"
    url = f"https://github.com/{OWNER}/archive/{COMMIT}.zip"
    try:
        unzip = pooch.Unzip(extract_dir="files")
        pooch.retrieve(url, known_hash=None, fname="set.zip", path=folder, processor=unzip)
    except (OSError, ValueError) as error:
        raise RuntimeError(
            f"The EMG set could not be downloaded from {url} ({type(error).__name__}: {error}). "
            "Allow the download, or give a folder with its files as path."
        ) from error
    return folder / "files"
