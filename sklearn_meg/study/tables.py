"""Tables of trials beside recordings: events.tsv of BIDS, or any table with a row an event."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

DECIMAL_COMMA = r"\s*-?\d+,\d+(?:[eE][-+]?\d+)?\s*"
KIND_COLUMNS = ("trial_type", "stim_type", "event_type", "value")  # of events.tsv


def decimal_comma(table):
    """Whether a cell of a table is a number with a decimal comma."""
    cells = table.select_dtypes(["object", "string"])
    return any(cells[name].astype(str).str.fullmatch(DECIMAL_COMMA).any() for name in cells)


def read_table(path, **options):
    """Table of a text file, whatever its delimiter and decimal mark.

    **options: Of :func:`pandas.read_csv`. With ``dtype=str`` decimal commas become points.
    Raises ValueError if there is none in it.
    """
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        delimiter = _delimiter(file.readline(), file.readline())
    options = {"sep": delimiter, "encoding": "utf-8-sig", **options}
    table = pd.read_csv(path, **options)
    if delimiter != ";" or not decimal_comma(table):
        return table
    if "dtype" not in options:
        return pd.read_csv(path, decimal=",", **options)
    return table.apply(lambda column: column.str.replace(",", ".", regex=False))


def _delimiter(first, second):
    """Delimiter of a table, from its first two lines: spaces only if these hold as many words."""
    words = len(first.split())
    spaces = words > 1 and len(second.split()) in (0, words)
    return next((mark for mark in "\t;,|" if mark in first), r"\s+" if spaces else "\t")


def read_trials(path):
    """Table of a text file with names in its first row.

    Raises ValueError if it does not exist, or holds no table.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    try:
        table = read_table(path)
    except (ValueError, pd.errors.ParserError) as error:
        raise ValueError(f"{path} holds no table: {' '.join(str(error).split())}") from error
    table.columns = table.columns.map(lambda name: str(name).strip())
    return table


def rows_of_epochs(table, epochs, path, name):
    """Rows of a table that belong to epochs: one each, or one for each before some were dropped.

    Raises ValueError for another number of rows.
    """
    n, before = len(epochs.events), len(epochs.drop_log)
    if len(table) == n:
        return table.reset_index(drop=True)
    if len(table) == before:
        return table.iloc[epochs.selection].reset_index(drop=True)
    raise ValueError(
        f"{path} has {len(table)} rows, {name} {n} epochs"
        + (f" ({before} before some were dropped)" if before != n else "")
        + ": it needs a row for each, in the same order."
    )


def rows_of_events(table, seconds, kinds, near, path, name):
    """Rows of a table that belong to events: by the column onset, or one each in order.

    seconds (n_events,): From the start of the recording.
    kinds (list of str): Type of each event.
    near: Seconds that an onset may differ.
    path, name: The table and the recording, for errors.
    Raises ValueError if an event has no row, or several.
    """
    if "onset" not in table:
        if len(table) == len(seconds):
            return table.reset_index(drop=True)
        raise ValueError(
            f"{path} has {len(table)} rows, {name} {len(seconds)} events: it needs a row for each "
            "in the same order, or a column onset in seconds from the start of the recording."
        )
    onsets = pd.to_numeric(table["onset"], errors="coerce").to_numpy(float)
    rows = [_row_of(table, onsets, at, kind, near) for at, kind in zip(seconds, kinds)]
    absent = [at for at, row in zip(seconds, rows) if row is None]
    if absent:
        raise ValueError(
            f"{path} has no row, or several, for {len(absent)} of {len(seconds)} events of {name}, "
            f"such as that at {absent[0]:.3f} s. Onsets in the table go from {np.nanmin(onsets):g} "
            f"to {np.nanmax(onsets):g}; they are seconds from the start of the recording. --events "
            "takes some of the events."
        )
    return table.iloc[rows].reset_index(drop=True)


def _row_of(table, onsets, at, kind, near):
    """Row of the event at a time; among several the one that names its type."""
    there = np.flatnonzero(np.abs(onsets - at) <= near)
    if len(there) > 1:
        named = [
            row for row in there
            if any(str(table[c].iloc[row]) == kind for c in KIND_COLUMNS if c in table)
        ]  # fmt: skip
        there = named or there
    return int(there[0]) if len(there) == 1 else None


def with_table(epochs, table):
    """Epochs whose metadata have the columns of a table, beside those that they had."""
    if epochs.metadata is not None:
        others = epochs.metadata.drop(columns=table.columns, errors="ignore").reset_index(drop=True)
        table = pd.concat([others, table], axis=1)
    table.index = range(len(table))
    epochs.metadata = table
    return epochs
