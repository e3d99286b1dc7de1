"""Samples of recordings: clean trials of one recording after the other, in files."""

from __future__ import annotations

import warnings

import numpy as np

from .._checks.copies import trial_key
from .._checks.trials import release_pages
from ..rows import pack_rows
from .looks import Looks

HEAD_CENTER = (0.0, 0.0, 0.04)  # m, for recordings without digitized points


def load_all(sources, table, wanted, channels, reading, folder):
    """Load each recording in turn and write its trials; returns y as a memory map, and notes."""
    kept = np.zeros(len(table), dtype=bool)
    seen, looks = {}, Looks()
    path = folder / "y.f32"
    with open(path, "wb") as file:
        for source in sources:
            rows = np.flatnonzero((table["source"] == source.name).to_numpy())
            epochs = load_clean(source, wanted[rows], channels, reading)
            if epochs is None:
                continue
            y = epochs.get_data(picks="all", copy=False)
            looks.look(y, epochs.info, source.name)
            chosen = rows[wanted[rows]][epochs.selection_]
            kept[chosen] = True
            _check_not_twice(y, table.loc[chosen[0] if len(chosen) else 0, "subject"], source, seen)
            file.write(np.ascontiguousarray(y, dtype=np.float32))
            times, info, shape = epochs.times, epochs.info, y.shape[1:]
            del y, epochs
    n = int(kept.sum())
    if n < 2:
        raise ValueError(
            f"{n or 'No'} trial is left of {len(table)}; a study needs at least two. (--reject and "
            "--missing drop leave trials out.)"
        )
    return np.memmap(path, np.float32, "r", shape=(n, *shape)), kept, times, info, looks.notes()


def load_clean(source, wanted, channels, reading):
    """Load one recording: chosen trials, clean channels in order; None if no trial is left."""
    import mne

    with warnings.catch_warnings(), mne.utils.use_log_level("error"):
        epochs = source.load(preload=True).load_data()
        warnings.simplefilter("ignore")
        epochs = epochs[np.flatnonzero(wanted)]
        number = np.arange(len(epochs))
        if reading.reject:
            there = {k: v for k, v in reading.reject.items() if k in epochs.get_channel_types()}
            before = epochs.selection
            epochs.drop_bad(reject=there, verbose="error")
            number = np.flatnonzero(np.isin(before, epochs.selection))
        if not len(epochs):
            return None
        if reading.bads == "interpolate" and epochs.info["bads"]:
            center = "auto" if epochs.info["dig"] else HEAD_CENTER
            epochs.interpolate_bads(reset_bads=True, origin=center, verbose="error")
        epochs.pick(channels).reorder_channels(channels)
        if reading.resample:
            epochs.resample(reading.resample, verbose="error")
    epochs.selection_ = number
    return epochs


def _check_not_twice(y, subject, source, seen):
    """Raise ValueError if a trial of this subject was read before."""
    for trial in y:
        before = seen.setdefault((subject, trial_key(trial)), source.name)
        if before != source.name:
            raise ValueError(
                f"{before} and {source.name} of subject {subject} hold the same trials. A trial "
                "that is in two files would be trained on and tested."
            )


def build_X(y, values, design, table, times, info, reading, folder):
    """Features, onset, subject and initial window as a memory map, in pieces."""
    course = time_course(times, info["sfreq"], reading.shape, reading.duration)
    n_initial = initial_samples(times, info["sfreq"], reading.initial)
    names, subjects = np.unique(table["subject"].to_numpy(str), return_inverse=True)
    tell = reading.subject_row and len(names) > 1
    path = folder / "X.f32"
    step = max(1, 2**24 // (4 * y[0].size))
    with open(path, "wb") as file:
        for first in range(0, len(y), step):
            part = slice(first, first + step)
            told = np.concatenate([values[part], np.ones((len(values[part]), 1))], axis=1)
            X, rows = pack_rows(
                told[:, :, np.newaxis] * course,
                subjects=subjects[part] if tell else None,
                initial=np.asarray(y[part]) if n_initial else None,
                n_initial=n_initial or None,
            )
            file.write(np.ascontiguousarray(X, dtype=np.float32))
            release_pages(y)
            n_rows = X.shape[1]
    shape = (len(y), n_rows, len(times))
    return np.memmap(path, np.float32, "r", shape=shape), rows, design.features


def time_course(times, sfreq, shape, duration):
    """What a feature of value 1 does over the times of a trial."""
    if shape == "impulse":
        return (np.arange(len(times)) == np.abs(times).argmin()).astype(float)
    near = 0.25 / sfreq
    return ((times > -near) & (times < duration - near)).astype(float)


def initial_samples(times, sfreq, initial):
    """Length of the initial window in samples.

    Raises ValueError if it is not shorter than the epoch.
    """
    if initial is None:
        return int(np.sum(times < -0.25 / sfreq))
    n = round(initial * sfreq)
    if n >= len(times):
        raise ValueError(
            f"The initial window must be shorter than the epoch of {len(times) / sfreq:g} s. "
            f"Got {initial:g} s."
        )
    return n
