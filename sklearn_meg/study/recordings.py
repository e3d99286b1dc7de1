"""Any lab's recordings to the X and y of a study, one recording in memory at a time."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from .._checks.trials import release_pages
from .._repr import short_repr
from .channels import common_channels, few
from .coding import Design, check_column, code_features, event_types
from .loading import build_X, load_all
from .looks import LARGEST, UNITS

ADVISED_HZ = 250.0


@dataclass(frozen=True)
class Reading:
    """How recordings become trials; the options of the command line.

    features (list of str): Metadata columns; none means event types.
    formula (str or None): Formula that replaces `features`.
    coding, references, missing: As in :func:`~sklearn_meg.study.coding.code_features`.
    shape ({"boxcar", "impulse"}): Time course of a feature.
    duration: Length of the boxcar in seconds.
    initial (float or None): Seconds from the start of an epoch that models may know; None means up
        to time 0.
    bads ({"interpolate", "drop", "union"}): Bad channels: interpolated; or left out of all
        recordings, like those that a recording does not have; or left out of all recordings, which
        must otherwise have the same channels.
    picks (str or list of str or None): Channel types or names; None means all data channels (MEG
        and EEG).
    reject (dict or None): Peak-to-peak limits by channel type, in SI units.
    resample (float or None): New sampling rate in Hz.
    subject_column, run_column (str or None): Metadata columns that name subject and run.
    subject_row: Whether models are told the subject.
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

    X, y (ndarray or memmap, float32)
    rows (dict): Row parameters of the encoders.
    features (dict of str -> list of int): Rows of X of each feature.
    subjects, runs, recordings (n_trials,) str
    spans (n_trials, 2): Seconds within the recording.
    times (n_times,)
    counts (DataFrame): Trials per subject, run and condition.
    notes (list of str): Description of changes to the recordings.
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

    load (callable): ``load(preload)`` returns Epochs.
    """

    name: str
    load: object
    subject: str
    run: str | None = None


@dataclass
class Survey:
    """What is known of recordings before their samples are read.

    sources (list of Source)
    channels (list of str): Channels that are kept, in one order.
    table (DataFrame): One row per trial: subject, run, recording, span, event, metadata.
    design (Design): Values of the features.
    scale (tuple of ndarray of shape (n_columns,)): Mean and standard deviation of each column over
        all trials.
    notes (list of str)
    lost (dict of str -> str): Subjects with a recording that cannot be read, and why.
    """

    sources: list
    reading: Reading
    channels: list
    table: pd.DataFrame
    design: Design
    scale: tuple
    notes: list
    lost: dict = field(default_factory=dict)

    __repr__ = short_repr

    def of_subject(self, subject):
        """The part that is about one subject; its features are scaled as those of all."""
        mine = (self.table["subject"] == subject).to_numpy()
        names = set(self.table["source"][mine])
        design = replace(
            self.design,
            values=self.design.values[mine[self.design.kept]],
            kept=self.design.kept[mine],
        )
        return replace(
            self,
            sources=[source for source in self.sources if source.name in names],
            table=self.table[mine].reset_index(drop=True),
            design=design,
        )


def gather(sources, reading, folder=None):
    """Read recordings one by one and put their trials together.

    sources (list of Source)
    folder (path-like or None): Folder of X and y; None takes a temporary folder.
    Returns data (StudyData)
    Raises ValueError: Before anything is loaded: no common channels, all channels bad, other times
        or sampling rates, no metadata, unknown columns, missing values, features that never
        change. After loading: no trial or only one is left, or two files hold the same trials.
    """
    return assemble(survey(sources, reading), folder)


def survey(sources, reading, *, go_on=False):
    """Look at the headers and metadata of all recordings.

    sources (list of Source)
    go_on: Leave out the subjects of recordings that cannot be read; ``lost`` says why.
    Returns found (Survey)
    Raises ValueError as `gather`, before anything is loaded.
    """
    lost = {}
    heads = [_head_or_none(source, lost if go_on else None) for source in sources]
    readable = [(h, s) for h, s in zip(heads, sources) if s.subject not in lost]
    if lost and not readable:
        raise ValueError("; ".join(lost.values()))
    heads, sources = zip(*readable)
    _check_limits(heads, reading)
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
    scale = design.values.mean(axis=0), design.values.std(axis=0)
    return Survey(list(sources), reading, channels, table, design, scale, notes, lost)


def assemble(found, folder=None):
    """Read the samples of the recordings of a survey; their trials are in files of `folder`.

    Raises ValueError as `gather`, after loading.
    """
    table, design, reading = found.table, found.design, found.reading
    folder = Path(tempfile.mkdtemp(prefix="sklearn-meg-")) if folder is None else Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    y, kept, times, info, notes = load_all(
        found.sources, table, design.kept, found.channels, reading, folder
    )
    table = table[kept].reset_index(drop=True)
    values = (design.values[kept[design.kept]] - found.scale[0]) / found.scale[1]
    X, rows, features = build_X(y, values, design, table, times, info, reading, folder)
    release_pages(X, y)
    return StudyData(
        X, y, rows, features, table["subject"].to_numpy(str), table["run"].to_numpy(str),
        table["recording"].to_numpy(str), table[["first", "last"]].to_numpy(float), times, info,
        count_trials(table, reading), [*found.notes, *notes],
    )  # fmt: skip


def _head_or_none(source, lost):
    """Head of a recording; with a dict for lost subjects None if it cannot be read."""
    if lost is None:
        return _head(source)
    try:
        return _head(source)
    except (ValueError, OSError) as error:
        lost.setdefault(source.subject, str(error))
        return None


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


def _check_limits(heads, reading):
    """Limits of --reject are of channels that there are, in SI units."""
    kinds = {kind for head in heads for kind in head.get_channel_types()}
    for kind, limit in (reading.reject or {}).items():
        if kind not in kinds:
            there = ", ".join(sorted(kinds))
            raise ValueError(f"--reject {kind}={limit:g}: there are no such channels, but {there}.")
        if limit <= 0 or limit > 10 * LARGEST.get(kind, np.inf):
            raise ValueError(
                f"--reject {kind}={limit:g} leaves out {'all' if limit <= 0 else 'no'} trials: "
                f"limits are in {UNITS.get(kind, 'V')}, such as eeg=150e-6, mag=4e-12, grad=4e-10."
            )


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
            f"{source.name} has no metadata, so no {', '.join(w for w in wanted if w)}. Name a "
            "table by --metadata, set epochs.metadata, or leave --features out to use the types of "
            "events."
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

    Raises ValueError if there are none, or one is named twice.
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

    Raises ValueError if the pattern is not found.
    """
    found = re.search(pattern, name)
    if not found:
        raise ValueError(f"--subject-from-name {pattern!r} is not found in {name!r}.")
    return found.group(1) if found.groups() else found.group(0)
