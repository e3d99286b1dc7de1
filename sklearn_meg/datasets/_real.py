"""Loaders of public recordings: through mne.datasets, downloaded when called for the first time."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .._typing import Epochs, PathLike


def load_mne_sample_epochs(
    *,
    picks: str | list = "mag",
    tmin: float = -0.2,
    tmax: float = 0.5,
    sfreq: float | None = None,
    path: PathLike | None = None,
    verbose: bool = False,
) -> Epochs:
    """Load the auditory and visual epochs of MNE's sample data set (one subject).

    Parameters
    ----------
    picks : str or list, default="mag"
        Channels, as in MNE.
    tmin, tmax : float, default=-0.2 and 0.5
        First and last time of an epoch in s. The baseline is the time before it.
    sfreq : float or None, default=None
        Resample to this rate in Hz; None keeps the 150 Hz of the filtered file.
    path : path-like or None, default=None
        Folder of MNE's data sets; None takes MNE's own setting.
    verbose : bool, default=False
        Show what MNE says, the progress of the download included.

    Returns
    -------
    epochs : mne.Epochs
        Loaded; metadata with ``condition`` and a column of 0 and 1 for ``auditory``, ``left``,
        ``right`` and ``visual``: stimulus features.

    Raises
    ------
    RuntimeError
        If the data are not there and cannot be downloaded (about 1.5 GB).

    Examples
    --------
    >>> from sklearn_meg.datasets import load_mne_sample_epochs
    >>> epochs = load_mne_sample_epochs()  # doctest: +SKIP
    >>> epochs.metadata["auditory"].sum()  # doctest: +SKIP
    """
    import mne

    folder = _data_path("sample", path, verbose) / "MEG" / "sample"
    raw = mne.io.read_raw_fif(folder / "sample_audvis_filt-0-40_raw.fif", verbose=verbose)
    events = mne.read_events(folder / "sample_audvis_filt-0-40_raw-eve.fif", verbose=verbose)
    codes = {"auditory/left": 1, "auditory/right": 2, "visual/left": 3, "visual/right": 4}
    return _make_epochs(raw, events, codes, picks, tmin, tmax, sfreq, verbose)


def load_multimodal_epochs(
    *,
    picks: str | list = "mag",
    tmin: float = -0.1,
    tmax: float = 0.4,
    sfreq: float | None = None,
    path: PathLike | None = None,
    verbose: bool = False,
) -> Epochs:
    """Load the epochs of MNE's multimodal data set: auditory, visual, somatosensory (one subject).

    Parameters
    ----------
    picks : str or list, default="mag"
        Channels, as in MNE.
    tmin, tmax : float, default=-0.1 and 0.4
        First and last time of an epoch in s. The baseline is the time before it.
    sfreq : float or None, default=None
        Resample to this rate in Hz; None keeps that of the recording.
    path : path-like or None, default=None
        Folder of MNE's data sets; None takes MNE's own setting.
    verbose : bool, default=False
        Show what MNE says, the progress of the download included.

    Returns
    -------
    epochs : mne.Epochs
        Loaded; the averaging categories of the recording are the conditions. Metadata with
        ``condition`` and a column of 0 and 1 for every word of the conditions' names.

    Raises
    ------
    RuntimeError
        If the data are not there and cannot be downloaded (about 240 MB).

    Examples
    --------
    >>> from sklearn_meg.datasets import load_multimodal_epochs
    >>> epochs = load_multimodal_epochs()  # doctest: +SKIP
    >>> epochs.metadata["condition"].unique()  # doctest: +SKIP
    """
    import mne

    file = _data_path("multimodal", path, verbose) / "multimodal_raw.fif"
    raw = mne.io.read_raw_fif(file, verbose=verbose)
    conditions = raw.acqparser.get_condition(raw, None)
    codes, parts = {}, []
    for code, condition in enumerate(conditions, start=1):
        (name,) = condition["event_id"]
        codes[name] = code
        parts.append(condition["events"].copy())
        parts[-1][:, 2] = code
    events = np.concatenate(parts)
    events = events[np.argsort(events[:, 0], kind="stable")]
    return _make_epochs(raw, events, codes, picks, tmin, tmax, sfreq, verbose)


def _data_path(name, path, verbose):
    """Folder of one of MNE's data sets; a clear error where it cannot be had."""
    import mne

    try:
        folder = getattr(mne.datasets, name).data_path(path=path, verbose=verbose)
    except (OSError, RuntimeError, ValueError) as error:
        raise RuntimeError(
            f"MNE's {name!r} data set is not on this computer and could not be downloaded "
            f"({type(error).__name__}: {error}). Allow the download, or give the folder that "
            f"holds MNE-{name}-data as path."
        ) from error
    return Path(folder)


def _make_epochs(raw, events, codes, picks, tmin, tmax, sfreq, verbose):
    import mne

    epochs = mne.Epochs(
        raw,
        events,
        codes,
        tmin,
        tmax,
        picks=picks,
        baseline=(None, 0) if tmin < 0 else None,
        preload=True,
        on_missing="ignore",
        event_repeated="drop",
        verbose=verbose,
    )
    epochs.metadata = _describe(epochs, codes)
    return epochs if sfreq is None else epochs.resample(sfreq, verbose=verbose)


def _describe(epochs, codes):
    """Condition of each trial, and for each word in the conditions' names whether it is there."""
    import pandas as pd

    names = {code: name for name, code in codes.items()}
    conditions = [names[code] for code in epochs.events[:, 2]]
    words = [re.split(r"[\s/]+", name.lower().strip()) for name in conditions]
    columns = {"condition": conditions}
    for word in sorted({word for one in words for word in one}):
        columns[word] = [int(word in one) for one in words]
    return pd.DataFrame(columns)
