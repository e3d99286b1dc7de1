"""Any lab's recordings to the X and y of a study, one recording in memory at a time."""

from __future__ import annotations

import hashlib
import re
import tempfile
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from .._repr import short_repr
from ..rows import pack_rows
from .channels import common_channels, few
from .coding import check_column, code_features, event_types

RAW_SUFFIXES = (".vhdr", ".edf", ".bdf", ".gdf", ".ds", ".mff", ".cnt", ".raw", ".sqd", ".con")
ADVISED_HZ = 250.0
HEAD_CENTER = (0.0, 0.0, 0.04)  # m, for recordings without digitized points


@dataclass(frozen=True)
class Reading:
    """How recordings become trials; the options of the command line.

    Attributes
    ----------
    features : list of str
        Metadata columns; none means event types.
    formula : str or None
        Formula that replaces `features`.
    coding, references, missing
        As in :func:`~sklearn_meg.study.coding.code_features`.
    shape : {"boxcar", "impulse"}
        Time course of a feature.
    duration : float
        Length of the boxcar in seconds.
    initial : float or None
        Seconds from the start of an epoch that models may know; None means up to time 0.
    bads : {"interpolate", "drop", "union"}
        Bad channels: interpolated; or left out of all recordings, like those that a recording does
        not have; or left out of all recordings, which must otherwise have the same channels.
    picks : str or list of str or None
        Channel types or names; None means all data channels (MEG and EEG).
    reject : dict or None
        Peak-to-peak limits by channel type, in SI units.
    resample : float or None
        New sampling rate in Hz.
    subject_column, run_column : str or None
        Metadata columns that name subject and run.
    subject_row : bool
        Whether models are told the subject.
    """

    features: list = field(default_factory=list)
    formula: str | None = None
    coding: str = "treatment"
    references: dict = field(default_factory=dict)
    missing: str | None = None
    shape: str = "boxcar"
    duration: float = 0.25
    initial: float | None = None
    bads: str = "interpolate"
    picks: object = None
    reject: dict | None = None
    resample: float | None = None
    subject_column: str | None = None
    run_column: str | None = None
    subject_row: bool = True


@dataclass
class StudyData:
    """What a study needs.

    Attributes
    ----------
    X, y : ndarray or memmap, float32
    rows : dict
        Row parameters of the encoders.
    features : dict of str -> list of int
        Rows of X of each feature.
    subjects, runs, recordings : ndarray of str of shape (n_trials,)
    spans : ndarray of shape (n_trials, 2)
        Seconds within the recording.
    times : ndarray of shape (n_times,)
    info : mne.Info
    counts : DataFrame
        Trials per subject, run and condition.
    notes : list of str
        Description of changes to the recordings.
    """

    X: np.ndarray
    y: np.ndarray
    rows: dict
    features: dict
    subjects: np.ndarray
    runs: np.ndarray
    recordings: np.ndarray
    spans: np.ndarray
    times: np.ndarray
    info: object
    counts: pd.DataFrame
    notes: list

    __repr__ = short_repr


@dataclass
class Source:
    """One recording: where to get it, and whose it is.

    Attributes
    ----------
    name : str
    load : callable
        ``load(preload)`` returns Epochs.
    subject : str
    run : str or None
    """

    name: str
    load: object
    subject: str
    run: str | None = None


def gather(sources, reading, folder=None):
    """Read recordings one by one and put their trials together.

    Parameters
    ----------
    sources : list of Source
    reading : Reading
    folder : path-like or None
        Folder of X and y; None takes a temporary folder.

    Returns
    -------
    data : StudyData

    Raises
    ------
    ValueError
        Before anything is loaded: no common channels, all channels bad, other times or sampling
        rates, no metadata, unknown columns, missing values, features that never change.
        After loading: no trial or only one is left, or two files hold the same trials.
    """
    heads = [_head(source) for source in sources]
    channels, notes = common_channels(heads, sources, reading)
    _check_times(heads, sources, reading)
    untimed = [s.name for head, s in zip(heads, sources) if not times_are_known(head)]
    if untimed:
        notes.append(
            f"The events of {few(untimed)} are numbered, not timed: whether trials overlap in "
            "time is not known."
        )
    table = pd.concat([_trial_table(h, s, reading) for h, s in zip(heads, sources)])
    table = table.reset_index(drop=True)
    design = _design(table, heads, sources, reading)
    notes += design.notes + _advice(heads[0], reading)
    folder = Path(tempfile.mkdtemp(prefix="sklearn-meg-")) if folder is None else Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    y, kept, times, info = _load_all(sources, table, design.kept, channels, reading, folder)
    table = table[kept].reset_index(drop=True)
    values = design.values[kept[design.kept]]
    X, rows, features = _build_X(y, values, design, table, times, info, reading, folder)
    return StudyData(
        X, y, rows, features, table["subject"].to_numpy(str), table["run"].to_numpy(str),
        table["recording"].to_numpy(str), table[["first", "last"]].to_numpy(float), times, info,
        count_trials(table, reading), notes,
    )  # fmt: skip


def _head(source):
    epochs = source.load(preload=False)
    if not hasattr(epochs, "drop_log"):
        raise ValueError(
            f"{source.name} holds no epochs but {type(epochs).__name__}. Cut epochs around the "
            "stimuli with mne.Epochs, or name it by --raw with --tmin and --tmax."
        )
    if len(epochs.events) == 0:
        raise ValueError(f"{source.name} has no epochs (no events, or all were dropped).")
    if not epochs.times[0] <= 0 <= epochs.times[-1]:
        raise ValueError(
            f"{source.name} must contain the stimulus at 0 s. It goes from {epochs.times[0]:g} to "
            f"{epochs.times[-1]:g} s."
        )
    return epochs


def _check_times(heads, sources, reading):
    first = heads[0]
    for head, source in zip(heads[1:], sources[1:]):
        if head.info["sfreq"] != first.info["sfreq"] and reading.resample is None:
            raise ValueError(
                f"{sources[0].name} has {first.info['sfreq']:g} Hz, {source.name} "
                f"{head.info['sfreq']:g} Hz. --resample gives them one sampling rate."
            )
        near = 1.0 / min(head.info["sfreq"], first.info["sfreq"])
        ends = [(h.times[0], h.times[-1]) for h in (first, head)]
        if np.abs(np.subtract(*ends)).max() > near:
            raise ValueError(
                f"All epochs must have the same times. {sources[0].name} goes from {ends[0][0]:g} "
                f"to {ends[0][1]:g} s, {source.name} from {ends[1][0]:g} to {ends[1][1]:g} s."
            )


def _trial_table(epochs, source, reading):
    """Subject, run, span, event type and metadata of each trial."""
    n = len(epochs.events)
    table = pd.DataFrame(index=range(n))
    if epochs.metadata is not None:
        table = epochs.metadata.reset_index(drop=True).copy()
        table.columns = table.columns.map(str)
    elif reading.features or reading.formula or reading.subject_column or reading.run_column:
        wanted = [*reading.features, reading.formula, reading.subject_column, reading.run_column]
        raise ValueError(
            f"{source.name} has no metadata, so no {', '.join(w for w in wanted if w)}. Set "
            "epochs.metadata, or leave --features out to use the types of events."
        )
    subject, run = source.subject, source.run or source.name
    own = {
        "subject": _column(table, reading.subject_column, subject, n),
        "run": _column(table, reading.run_column, run, n),
    }
    names = {code: name for name, code in epochs.event_id.items()}
    onset = event_times(epochs)
    date = epochs.info["meas_date"]
    own["recording"] = source.name if date is None else f"{subject} {date.isoformat()}"
    own["first"], own["last"] = onset + epochs.times[0], onset + epochs.times[-1]
    own["event"] = [names.get(code, str(code)) for code in epochs.events[:, 2]]
    own["source"] = source.name
    clash = [name for name in own if name in table and name not in reading.features]
    return table.drop(columns=clash).assign(**own)


def event_times(epochs):
    """Second of each event in its recording; far apart where only the order is known."""
    samples = epochs.events[:, 0]
    if not times_are_known(epochs):
        return np.arange(len(samples)) * (np.ptp(epochs.times) + 1.0)
    return samples / (getattr(epochs, "_raw_sfreq", None) or epochs.info["sfreq"])


def times_are_known(epochs):
    """Whether events have times: those of epochs made from arrays are 0, 1, 2 ..."""
    samples = epochs.events[:, 0]
    return not (len(samples) > 1 and (np.diff(samples) == 1).all())


def _column(table, column, value, n):
    if column is None:
        return np.full(n, str(value), dtype=object)
    values = table[check_column(table, column)]
    if values.isna().any():
        raise ValueError(
            f"The metadata column {column!r} has no value in {values.isna().sum()} trials."
        )
    return values.astype(str).to_numpy()


def _design(table, heads, sources, reading):
    if not reading.features and not reading.formula:
        return event_types(table["event"].tolist())
    for head, source in zip(heads, sources):
        for name in reading.features:
            try:
                check_column(head.metadata, name)
            except ValueError as error:
                raise ValueError(f"{source.name}: {error}") from None
    return code_features(
        table, list(reading.features), coding=reading.coding, references=reading.references,
        missing=reading.missing, formula=reading.formula,
    )  # fmt: skip


def _advice(epochs, reading):
    rate = reading.resample or epochs.info["sfreq"]
    if rate <= ADVISED_HZ:
        return []
    factor = rate / 100.0
    return [
        f"The sampling rate is {rate:g} Hz. --resample 100 makes a study about {factor:.0f} times "
        "faster and loses nothing below 40 Hz."
    ]


def _load_all(sources, table, wanted, channels, reading, folder):
    """Load each recording in turn and write its trials; returns y as a memory map."""
    kept = np.zeros(len(table), dtype=bool)
    seen = {}
    path = folder / "y.f32"
    with open(path, "wb") as file:
        for source in sources:
            rows = np.flatnonzero((table["source"] == source.name).to_numpy())
            epochs = load_clean(source, wanted[rows], channels, reading)
            if epochs is None:
                continue
            y = epochs.get_data(picks="all", copy=False)
            chosen = rows[wanted[rows]][epochs.selection_]
            kept[chosen] = True
            _check_not_twice(y, table.loc[chosen[0] if len(chosen) else 0, "subject"], source, seen)
            file.write(np.ascontiguousarray(y, dtype=np.float32))
            times, info, shape = epochs.times, epochs.info, y.shape[1:]
            del y, epochs
    n = int(kept.sum())
    if n < 2:
        raise ValueError(
            f"{n} trial is left of {len(table)}; a study needs at least two. (--reject and "
            "--missing drop leave trials out.)"
        )
    return np.memmap(path, np.float32, "r", shape=(n, *shape)), kept, times, info


def load_clean(source, wanted, channels, reading):
    """Load one recording: chosen trials, clean channels in order; None if no trial is left."""
    epochs = source.load(preload=True).load_data()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        epochs = epochs[np.flatnonzero(wanted)]
        number = np.arange(len(epochs))
        if reading.reject:
            there = {k: v for k, v in reading.reject.items() if k in epochs.get_channel_types()}
            before = epochs.events.copy()
            epochs.drop_bad(reject=there, verbose="error")
            number = _still_there(before, epochs)
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


def _still_there(before, epochs):
    """Which of the trials are left, by their position in the drop log."""
    left = np.flatnonzero(np.isin(before[:, 0], epochs.events[:, 0]))
    return left if len(left) == len(epochs) else np.arange(len(epochs))


def _check_not_twice(y, subject, source, seen):
    """Raise ValueError if a trial of this subject was read before."""
    for trial in y:
        content = hashlib.blake2b(np.ascontiguousarray(trial), digest_size=12).digest()
        before = seen.setdefault((subject, content), source.name)
        if before != source.name:
            raise ValueError(
                f"{before} and {source.name} of subject {subject} hold the same trials. A trial "
                "that is in two files would be trained on and tested."
            )


def _build_X(y, values, design, table, times, info, reading, folder):
    """Features, onset, subject and initial window as a memory map, in pieces."""
    values = (values - values.mean(axis=0)) / values.std(axis=0)
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

    Raises
    ------
    ValueError
        If it is not shorter than the epoch.
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


def count_trials(table, reading):
    """Trials per subject and run, and per level of the first feature with levels."""
    by = ["subject"] + (["run"] if table["run"].nunique() > 1 else [])
    for name in [*reading.features, "event"]:
        column = table.get(name)
        if column is not None and 1 < column.nunique() <= 8:
            counts = table.groupby(by, sort=False)[name].value_counts(dropna=False).unstack()
            counts = counts.fillna(0).astype(int)
            counts.columns = [f"{name}: {level}" for level in counts.columns]
            counts["trials"] = counts.sum(axis=1)
            return counts.reset_index()
    return table.groupby(by, sort=False).size().rename("trials").reset_index()


def check_sources(sources):
    """Names of sources are their own; return them.

    Raises
    ------
    ValueError
        If there are none, or one is named twice.
    """
    names = [source.name for source in sources]
    if not names:
        raise ValueError("There are no recordings.")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"A recording is named twice: {', '.join(twice)}.")
    return sources


def subject_of(name, pattern):
    """Subject in the name of a file.

    Raises
    ------
    ValueError
        If the pattern is not found.
    """
    found = re.search(pattern, name)
    if not found:
        raise ValueError(f"--subject-from-name {pattern!r} is not found in {name!r}.")
    return found.group(1) if found.groups() else found.group(0)
