"""One study a subject: files read one at a time, wherever a worker is free."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, replace
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from tqdm import tqdm

from .._saving import store
from .answers import Answers
from .compact import on_disk

NEEDED = ("X", "y")
KNOWN = (*NEEDED, "times", "groups", "spans", "recordings")


@dataclass(frozen=True)
class Outcome:
    """What became of a subject: its study, or why there is none."""

    subject: str
    study: Answers | None
    error: str = ""


def find_subjects(subjects):
    """Subjects by name, each with where its trials come from.

    subjects (path-like, sequence of path-like, or dict of str -> path-like or callable): A folder
        means all its .npz files.
    Returns found (dict of str -> Path or callable)
    Raises ValueError if there are none, a file does not exist, or two have the same name.
    """
    if isinstance(subjects, dict):
        found = {str(k): v if callable(v) else Path(v) for k, v in subjects.items()}
    else:
        found = _by_name(subjects)
    lost = [str(path) for path in found.values() if not callable(path) and not path.is_file()]
    if lost or not found:
        what = f"There is no file {lost[0]}." if lost else f"{subjects!r} has no .npz file."
        raise ValueError(f"subjects must be files, or a folder of .npz files. {what}")
    return found


def _by_name(subjects):
    if isinstance(subjects, str | Path) and Path(subjects).is_dir():
        subjects = sorted(Path(subjects).glob("*.npz"))
    paths = [Path(subjects)] if isinstance(subjects, str | Path) else [Path(p) for p in subjects]
    found = {path.stem: path for path in paths}
    if len(found) < len(paths):
        names = [path.stem for path in paths]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(
            f"subjects must have names of their own; {', '.join(twice)} stands for several files. "
            "A dict of name -> file gives them others."
        )
    return found


def read_subject(path):
    """Arguments of `Study.run` from an .npz file of arrays.

    Raises ValueError if X or y is missing, an array has another name, or the file is damaged or
        holds objects.
    """
    arrays = store.read_arrays(path)
    lost = [name for name in NEEDED if name not in arrays]
    other = [name for name in arrays if name not in KNOWN]
    if lost or other:
        raise ValueError(
            f"{path} must hold X and y, and may hold {', '.join(KNOWN[2:])}. Got "
            f"{', '.join(sorted(arrays))}."
        )
    return arrays


def run_each(study, sources, shared, errors):
    """Run a study on every subject by itself, the largest first.

    A task is a subject, so a worker holds one of them, however many there are; joblib puts tasks
    that take less than a moment together.

    study (Study): Not run itself; a copy of it is, for each subject.
    sources (dict of str -> Path or callable)
    shared (dict): Arguments of ``run`` that are the same for all.
    errors ({"raise", "continue"})
    Returns outcomes (list of Outcome): In the order of `sources`.
    """
    one = replace(study, n_jobs=None, verbose=0)
    largest_first = sorted(sources, key=lambda name: -_cost(sources[name]))
    calls = (
        joblib.delayed(_run_one)(one, name, sources[name], shared, errors) for name in largest_first
    )
    parallel = joblib.Parallel(n_jobs=study.n_jobs, return_as="generator_unordered")
    found = {}
    with tqdm(total=len(sources), desc="subjects", disable=not study.verbose) as progress:
        for outcome in parallel(calls):
            _let_go(outcome.study, study.cache_dir)
            found[outcome.subject] = outcome
            progress.set_postfix_str(outcome.subject, refresh=False)
            progress.update()
    return [found[name] for name in sources]


def _let_go(study, folder):
    """Put the maps of a study into nameless files: memory does not grow with the subjects."""
    for maps in () if study is None else (study.maps_, study.null_z_):
        maps.update({name: on_disk(values, folder) for name, values in maps.items()})


def _cost(source):
    """Bytes of a subject, which the time of its fits goes with."""
    return getattr(source, "n_bytes", 0) if callable(source) else source.stat().st_size


def _run_one(study, name, source, shared, errors):
    """The study of one subject."""
    try:
        arguments = {**shared, **(source() if callable(source) else read_subject(source))}
        n_trials = len(arguments["X"])
        study = replace(study)
        study.run(subjects=np.full(n_trials, name), **arguments)
        return Outcome(name, study)
    except Exception as error:
        if errors == "raise":
            if hasattr(error, "add_note"):  # Python 3.11 on
                error.add_note(f"In subject {name!r}.")
            raise
        return Outcome(name, None, _last_line(error))
    finally:
        getattr(source, "close", lambda: None)()


def _last_line(error):
    return traceback.format_exception_only(error)[-1].strip()


def failures(outcomes):
    """Table of the subjects that have no results: ``subject, error``."""
    lost = [(o.subject, o.error) for o in outcomes if o.study is None]
    return pd.DataFrame(lost, columns=["subject", "error"])
