"""Trials of memory-mapped arrays: what is taken from them lies in files, not in memory."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from .._checks.trials import pieces, release_pages, trials_per_chunk

# Trials of mapped arrays above this size are not copied into memory.
IN_MEMORY_BYTES = 2**26


def is_large(array):
    """Whether an array is mapped from a file and too large to be copied into memory."""
    return isinstance(array, np.memmap) and array.nbytes > IN_MEMORY_BYTES


def in_file(array):
    """Whether an array of float32 is mapped from a file."""
    return isinstance(array, np.memmap) and array.dtype == np.float32


@contextmanager
def some_trials(arrays, rows):
    """Trials of each array; those of large memory-mapped arrays lie in a file, too.

    They are copied beside the mapped file, or into the folder for temporary files where that is
    not possible, and removed afterwards.
    """
    mapped = [a for a in arrays if is_large(a)]
    if not mapped or _are_neighbors(rows):
        yield [take(array, rows) for array in arrays]
        return
    with _folder_beside(mapped[0]) as folder:
        taken = [
            _copy_to_file(a, rows, Path(folder) / f"{i}")
            if any(a is m for m in mapped)
            else a[rows]
            for i, a in enumerate(arrays)
        ]
        yield taken
        del taken


def _folder_beside(mapped):
    options = {"prefix": "fold-", "ignore_cleanup_errors": True}
    try:
        return tempfile.TemporaryDirectory(dir=Path(mapped.filename).parent, **options)
    except OSError:
        return tempfile.TemporaryDirectory(**options)


def _copy_to_file(array, rows, path):
    """Some trials of a memory-mapped array as a mapped file of their own."""
    step = trials_per_chunk(array)
    with open(path, "wb") as file:
        for first in range(0, len(rows), step):
            file.write(array[rows[first : first + step]])
            release_pages(array)
    return np.memmap(path, array.dtype, "r", shape=(len(rows), *array.shape[1:]))


def _are_neighbors(rows):
    return len(rows) > 0 and bool((np.diff(rows) == 1).all())


def take(X, rows):
    """Trials of an array; a view (which stays memory-mapped) where they are contiguous."""
    if _are_neighbors(rows):
        return X[rows[0] : rows[-1] + 1]
    return X[rows]


@contextmanager
def changed(X, change):
    """``change(X)``; of a large mapped array a piece at a time, in a file."""
    if not is_large(X):
        yield change(np.asarray(X))
        return
    with _folder_beside(X) as folder:
        path = Path(folder) / "changed"
        with open(path, "wb") as file:
            for part in pieces(X):
                piece = np.ascontiguousarray(change(np.asarray(X[part])), dtype=X.dtype)
                file.write(piece)
        found = np.memmap(path, X.dtype, "r", shape=(len(X), *piece.shape[1:]))
        yield found
        del found
