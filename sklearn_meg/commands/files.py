"""The recordings that ``sklearn-meg study`` is given."""

import re
from pathlib import Path

from .common import CommandError


def find_sources(arguments):
    """Recordings named on the command line."""
    from ..study import sources as files
    from ..study.recordings import check_sources

    _check_cut(arguments)
    cut = files.Cut(arguments.tmin, arguments.tmax, arguments.events, None, *arguments.filter)
    kinds = [bool(arguments.epochs), bool(arguments.raw), bool(arguments.bids_root)]
    if sum(kinds) != 1:
        raise CommandError("name recordings by one of --epochs, --raw and --bids-root")
    if arguments.metadata and arguments.bids_root:
        raise CommandError("--metadata goes with --epochs or --raw; a BIDS folder has events.tsv")
    if arguments.bids_root:
        return files.bids_sources(arguments.bids_root, cut, task=arguments.bids_task)
    paths = arguments.epochs or arguments.raw
    subjects, runs = files.name_subjects(
        paths, arguments.subject_from_name, in_table=arguments.subject_column is not None
    )
    make = files.epochs_source if arguments.epochs else lambda p, *a: files.raw_source(p, cut, *a)
    tables = _tables(arguments, paths)
    return check_sources([make(*parts) for parts in zip(paths, subjects, runs, tables)])


def _tables(arguments, paths):
    """Table of metadata of each file, or None."""
    tables = arguments.metadata
    if not tables:
        return [None] * len(paths)
    if len(tables) != len(paths):
        raise CommandError(
            f"--metadata takes a table for each of {len(paths)} files, got {len(tables)}"
        )
    for path, table in zip(paths, tables):
        own, other = (
            re.findall(r"(?:sub|ses|run)-[a-zA-Z0-9]+", Path(p).name) for p in (path, table)
        )
        kinds = {text[:3]: text for text in own}
        if any(kinds.get(text[:3], text) != text for text in other):
            raise CommandError(f"--metadata: {table} is not of {path}; give both in the same order")
    return tables


def _check_cut(arguments):
    """Mistakes that MNE would take for something else, or tell without the option."""
    low, high = arguments.filter
    if low is not None and not 0 <= low < high:
        raise CommandError(f"--filter takes LOW and HIGH in Hz, LOW first, got {low:g} {high:g}")
    if not arguments.tmin < arguments.tmax:
        raise CommandError(
            f"--tmin must be before --tmax, got {arguments.tmin:g} and {arguments.tmax:g}"
        )
    if arguments.seed < 0:
        raise CommandError(f"--seed must be at least 0, got {arguments.seed}")
    if arguments.bids_root and not Path(arguments.bids_root).is_dir():
        raise CommandError(f"--bids-root {arguments.bids_root}: no such folder")
    for option in ("events", "subject_from_name"):
        text = getattr(arguments, option)
        try:
            re.compile(text or "")
        except re.error as error:
            name = f"--{option.replace('_', '-')}"
            raise CommandError(f"{name} {text}: no regular expression: {error}") from error
