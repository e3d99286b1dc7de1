"""Reading trials a block at a time, and what is counted in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._checks.trials import CHUNK_BYTES, release_pages
from .._saving.space import room
from ..rows import Rows
from ._lags import trials_per_block

#: Held-out predictions of all trials are kept in memory up to so many bytes.
IN_MEMORY_BYTES = 2**30


@dataclass(frozen=True)
class WeightedRows(Rows):
    """Rows of trials that count more or less: for the 1 of the mask row stands a trial's weight."""

    weights: np.ndarray | None = None

    def mask_source(self, X):
        """Rows to read beside others of X, to know how much each sample counts."""
        counts = np.broadcast_to(self.weights[:, np.newaxis, np.newaxis], (len(X), 1, X.shape[2]))
        if self.mask is not None:
            counts = counts * (X[:, [self.mask]] > 0)
        return [(counts, None)]


def read_blocks(arrays, trials, step):
    """Read some trials of some arrays in pieces, in the layout of the lag covariances.

    arrays (list of (array, rows or None)): Arrays of shape (n_trials, n_rows, n_times), and which
        rows to read.
    trials (ndarray of int): Trials.
    step: Number of trials at a time.
    Yields blocks (tuple of ndarray of shape (n_rows, n_trials_here, n_times), float64): Copies.
    """
    n_read = 0
    for first in range(0, len(trials), step):
        part = trials[first : first + step]
        if part[-1] - part[0] + 1 == len(part):  # neighbors: a view instead of a copy
            part = slice(part[0], part[-1] + 1)
        blocks = tuple(_read(array, part, rows) for array, rows in arrays)
        yield blocks
        n_read += blocks[0].shape[1] * sum(abs(array.strides[0]) for array, _ in arrays)
        if n_read > CHUNK_BYTES:
            for array, _ in arrays:
                release_pages(array)
            n_read = 0
    for array, _ in arrays:
        release_pages(array)


def _read(array, part, rows):
    if rows is None:
        data = array[part]
    else:
        data = array[part][:, rows] if isinstance(part, slice) else array[np.ix_(part, rows)]
    return np.array(data.transpose(1, 0, 2), dtype=np.float64, order="C")


def trials_of(n_times, n_rows, n_bytes=CHUNK_BYTES):
    """Number of trials of float64 that make `n_bytes`."""
    return max(1, n_bytes // (8 * max(1, n_rows) * n_times))


def mean_of_rows(array, rows, trials, mask=()):
    """Mean over trials and samples of each row, read in pieces.

    `mask` is ``rows.mask_source(X)`` of :class:`~._rows.Rows`: how much each sample counts.
    """
    n_rows = array.shape[1] if rows is None else len(rows)
    total, count = np.zeros(n_rows), 0
    step = trials_per_block(n_rows, array.shape[2])
    for block, *counted in read_blocks([(array, rows), *mask], trials, step):
        total += weighed(block, counted).sum(axis=(1, 2))
        count += n_counted(block, counted)
    return total / count


def weighed(block, counted):
    """A block of trials times how much each sample counts, if that is not the same."""
    return block * counted[0] if counted else block


def n_counted(block, counted):
    """Number of samples of a block that count, weighted."""
    return counted[0].sum() if counted else block[0].size


def not_zero(count):
    """Counts to divide by: 1 where nothing counts."""
    return np.where(count > 0, count, 1)


def initial_units(X, y, rows, trials):
    """Slope and offset of each channel from the initial rows of X to y, by least squares.

    Over the samples that count; without any, the two are taken to be equal.

    Returns slope, offset (n_channels,): 1 and 0 where the two are equal, up to float32 rounding.
    """
    n_channels, n_initial = y.shape[1], rows.n_initial
    slope, offset = np.ones(n_channels), np.zeros(n_channels)
    if not n_initial:
        return slope, offset
    sums, difference, n = np.zeros((4, n_channels)), 0.0, 0
    known = X[:, :, :n_initial]
    arrays = [(known, rows.initial), (y[:, :, :n_initial], None), *rows.mask_source(known)]
    for a, b, *counted in read_blocks(arrays, trials, trials_of(y.shape[2], n_channels)):
        n += n_counted(a, counted)
        sums += [weighed(v, counted).sum(axis=(1, 2)) for v in (a, b, a * a, a * b)]
        difference = difference + weighed((a - b) ** 2, counted).sum(axis=(1, 2))
    if not n:
        return slope, offset
    mean_a, mean_b, square, cross = sums / n
    variance = square - mean_a**2
    varies = variance > 1e-12 * square
    slope = np.where(varies, (cross - mean_a * mean_b) / np.where(varies, variance, 1.0), 0.0)
    offset = mean_b - slope * mean_a
    equal = difference <= 1e-12 * n * square
    return np.where(equal, 1.0, slope), np.where(equal, 0.0, offset)


def contiguous_folds(trials, n_folds):
    """Cut trials into folds of neighbors (deterministic; drifts do not leak)."""
    return np.array_split(trials, max(1, min(n_folds, len(trials))))


def subject_folds(trials_of_subjects, n_folds):
    """Folds of neighbors inside each subject, the same number for all; some may be empty.

    The trials of subjects with fewer trials than folds go to the folds in turn.
    """
    n_folds = max(1, min(n_folds, sum(map(len, trials_of_subjects))))
    folds, turn = [], 0
    for trials in trials_of_subjects:
        parts = [trials[:0]] * n_folds
        few = len(trials) < n_folds
        for i, part in enumerate(contiguous_folds(trials, n_folds)):
            parts[(turn + i) % n_folds if few else i] = part
        turn += len(trials) if few else 0
        folds.append(parts)
    return folds


def room_for(y):
    """Zeros of the shape of y, float32; in a nameless file if y is mapped, or large."""
    return room(y.shape, above=0 if isinstance(y, np.memmap) else IN_MEMORY_BYTES)
