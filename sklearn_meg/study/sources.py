"""Where recordings come from: files of epochs, raw files with events, BIDS folders."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .._checks.assumptions import warn_assumption
from .._checks.claims import check_claims
from .channels import few
from .eeglab import locked_events
from .recordings import Source, subject_of
from .tables import read_trials, rows_of_epochs, rows_of_events, with_table

BIDS_OPENED = (".fif", ".vhdr", ".edf", ".bdf", ".set", ".ds", ".con", ".sqd", ".pdf", ".mff")
BIDS_SUBJECT = r"sub-([a-zA-Z0-9]+)"
RUN = re.compile(r"(?i)(?<![a-z])(?P<run>(sess?|session|run|block|blk|day|visit)[-_]?\d+)(?!\d)")
# A person and a number behind it: P01_1, subj3-02. Not exp1_01: the first number is no person's.
PERSON = re.compile(
    r"(?i)(p|s|vp|pp|subj?|subject|participant|patient)[-_]?\d+[-_](?P<run>\d+)(?!\d)"
)


@dataclass(frozen=True)
class Cut:
    """How a raw recording is cut into epochs.

    tmin, tmax: Seconds around an event.
    events (str or None): Regular expression of the descriptions of annotations, or the name of a
        stimulus channel; None takes all annotations, or the stimulus channel where there are none.
    baseline (tuple or None): As in :class:`mne.Epochs`.
    l_freq, h_freq (float or None): Edges of a filter in Hz.
    """

    tmin: float = -0.2
    tmax: float = 0.8
    events: str | None = None
    baseline: tuple | None = None
    l_freq: float | None = None
    h_freq: float | None = None


def epochs_source(path, subject, run=None, table=None):
    """Return a recording that is a file of epochs, perhaps with a table of their metadata."""

    def load(preload):
        epochs = read_epochs(path, preload)
        if table is None:
            return epochs
        return with_table(epochs, rows_of_epochs(read_trials(table), epochs, table, path))

    return Source(str(path), load, subject, run)


def raw_source(path, cut, subject, run=None, table=None):
    """Return a recording that is a raw file, perhaps with a table of its events."""
    return Source(
        str(path), lambda preload: cut_raw(read_raw(path), cut, path, table), subject, run
    )


def bids_sources(root, cut, *, task=None):
    """Recordings of a BIDS folder, by mne-bids: one a subject, session and run.

    Raises ImportError if mne-bids is not installed.
    Raises ValueError if there is no recording.
    """
    try:
        import mne_bids
    except ImportError as error:
        raise ImportError("--bids-root needs mne-bids: pip install mne-bids.") from error
    there = mne_bids.find_matching_paths(
        root, tasks=task, datatypes=["meg", "eeg"], ignore_nosub=True
    )
    found = [path for path in there if _is_recording(path)]
    if not found:
        raise ValueError(
            f"{root} holds no MEG or EEG recording" + (f" of {task}." if task else ".")
        )
    tasks = sorted({path.task for path in found if path.task})
    if len(tasks) > 1:
        raise ValueError(f"{root} holds the tasks {', '.join(tasks)}. --bids-task takes one.")

    def load(path):
        events = path.copy().update(suffix="events", extension=".tsv").fpath

        def read(preload):
            raw = mne_bids.read_raw_bids(path, verbose="error")
            return cut_raw(raw, cut, path.basename, events if events.is_file() else None)

        return read

    return [Source(p.basename, load(p), f"sub-{p.subject}", _run_of(p)) for p in found]


def _is_recording(path):
    """Whether a file of a BIDS folder is opened: no companion, calibration, or later part."""
    return (
        path.suffix in ("meg", "eeg")
        and path.extension in BIDS_OPENED
        and path.acquisition not in ("crosstalk", "calibration")
        and path.subject != "emptyroom"
        and path.split in (None, "01", "1")
    )


def _run_of(path):
    parts = [f"{k}-{v}" for k, v in (("ses", path.session), ("run", path.run)) if v is not None]
    return "_".join(parts) or path.basename


def read_epochs(path, preload=True):
    """Read epochs of any format that MNE reads: .fif, or EEGLAB's .set.

    Raises ValueError if the file does not exist, or holds no epochs; it says how to make some.
    """
    import mne

    path = _check_file(path)
    reader = mne.read_epochs_eeglab if path.suffix == ".set" else mne.read_epochs
    keys = {} if path.suffix == ".set" else {"preload": preload}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # names that do not end with -epo.fif, and the like
            check_claims(path)
            epochs = reader(path, verbose="error", **keys)
            return locked_events(path, epochs) if path.suffix == ".set" else epochs
    except Exception as error:  # whatever a damaged file provokes
        raise ValueError(
            f"{path}: cannot be read as epochs: {_one_line(error)}{_hint(path)}"
        ) from error


def _hint(path):
    import mne

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            mne.io.read_raw(path, preload=False, verbose="error")
    except Exception:  # no recording at all
        return " --epochs takes single trials, as mne.Epochs(raw, events).save(...) writes them."
    return (
        " It is a continuous recording: name it by --raw with --tmin and --tmax, or cut it with "
        "mne.Epochs(raw, events, tmin=-0.2, tmax=0.8).save(...)."
    )


def read_raw(path):
    """Open a continuous recording of any format that MNE reads.

    Raises ValueError if it cannot be read.
    """
    import mne

    path = Path(path)
    if not path.exists():
        raise ValueError(f"{path}: no such file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check_claims(path)
            return mne.io.read_raw(path, preload=False, verbose="error")
    except Exception as error:  # whatever a damaged file provokes
        raise ValueError(f"{path}: cannot be read as a recording: {_one_line(error)}") from error


def cut_raw(raw, cut, name, table=None):
    """Cut a continuous recording into epochs around its events; a table tells more of these.

    Raises ValueError if it has no such events.
    """
    import mne

    if cut.l_freq is not None or cut.h_freq is not None:
        raw = raw.load_data(verbose="error").filter(cut.l_freq, cut.h_freq, verbose="error")
    events, codes = find_events(raw, cut.events, name)
    metadata = None if table is None else _metadata(raw, events, codes, table, name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        epochs = mne.Epochs(
            raw, events, codes, cut.tmin, cut.tmax, baseline=cut.baseline, preload=False,
            event_repeated="drop", metadata=metadata, verbose="error",
        )  # fmt: skip
        return epochs.drop_bad(verbose="error")  # at the edges, and where annotations say so


def _metadata(raw, events, codes, table, name):
    kinds = {code: kind for kind, code in codes.items()}
    return rows_of_events(
        read_trials(table), (events[:, 0] - raw.first_samp) / raw.info["sfreq"],
        [kinds[code] for code in events[:, 2]], 1.5 / raw.info["sfreq"], table, name,
    )  # fmt: skip


def find_events(raw, wanted, name):
    """Events of a recording from annotations, or a stimulus channel."""
    import mne

    stimulus = [n for n, k in zip(raw.ch_names, raw.get_channel_types()) if k == "stim"]
    if wanted in raw.ch_names or (wanted is None and not len(raw.annotations) and stimulus):
        events = mne.find_events(raw, wanted or stimulus[0], shortest_event=1, verbose="error")
        return events, {str(code): int(code) for code in np.unique(events[:, 2])}
    kinds = sorted({text for text in raw.annotations.description if not _is_break(text)})
    kinds = [text for text in kinds if wanted is None or re.search(wanted, text)]
    if not kinds:
        there = ", ".join(sorted(set(raw.annotations.description))[:10]) or "none"
        raise ValueError(
            f"{name} has no events{'' if wanted is None else f' like {wanted!r}'}. Annotations: "
            f"{there}; stimulus channels: {', '.join(stimulus) or 'none'}."
        )
    codes = {text: number for number, text in enumerate(kinds, start=1)}
    return mne.events_from_annotations(raw, codes, verbose="error")


def _is_break(text):
    """Annotations that mark bad spans and boundaries, not stimuli."""
    return text.upper().startswith(("BAD", "EDGE")) or text == "boundary"


def name_subjects(paths, pattern=None, *, in_table=False):
    """Subject and run of each file.

    paths (list of path-like)
    pattern (str or None): Regular expression with the subject as its group. None takes "sub-..."
        where all names have it and each file as one subject otherwise.
    in_table: Whether a column of the metadata names the subjects, whatever the files are called.
    Returns subjects, runs (list of str)
    """
    names = [Path(path).name for path in paths]
    if pattern is None and all(re.search(BIDS_SUBJECT, name) for name in names):
        pattern = f"({BIDS_SUBJECT.replace('(', '').replace(')', '')})"
    if pattern is None:
        if not in_table:
            _warn_of_runs(names)
        alike = len(set(names)) < len(names)
        return [str(p) if alike else n for p, n in zip(paths, names)], [None] * len(names)
    subjects = [subject_of(name, pattern) for name in names]
    return subjects, names


def _warn_of_runs(names):
    """Files whose names differ in a run or session only, so are likely of one subject."""
    of_whom = {}
    for name in names:
        if found := RUN.search(name) or PERSON.match(name):
            around = name[: found.start("run")], name[found.end("run") :]
            of_whom.setdefault(around, []).append(name)
    for files in of_whom.values():
        if len(files) > 1:
            warn_assumption(
                "runs-as-subjects",
                f"{few(files)} seem to be of one subject, but each file counts as a subject of "
                "its own.",
            )
            return


def _check_file(path):
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: " + ("a folder, no file" if path.is_dir() else "no such file"))
    return path


def _one_line(error):
    return " ".join(str(error).split()) or type(error).__name__
