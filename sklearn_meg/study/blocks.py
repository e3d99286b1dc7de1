"""Folds of a study: contiguous blocks inside subjects, whole runs, no trial on both sides."""

from __future__ import annotations

import numpy as np


def block_folds(subjects, n_folds, *, order=None, runs=None):
    """Fold of each trial: contiguous blocks of the trials, or of the runs, of every subject.

    subjects (n_trials,): Subject of each trial.
    n_folds: Number of folds.
    order (n_trials,): When each trial happened within its subject. None means the order of the
        trials.
    runs (n_trials,): Run of each trial; a run is never split. None means that trials are blocks by
        themselves.
    Returns folds (n_trials,) int
    Raises ValueError if a subject has fewer trials, or runs, than there are folds.
    """
    order = np.arange(len(subjects)) if order is None else np.asarray(order)
    folds = np.empty(len(subjects), dtype=int)
    for subject in np.unique(subjects):
        trials = np.flatnonzero(subjects == subject)
        trials = trials[np.argsort(order[trials], kind="stable")]
        units = np.arange(len(trials)) if runs is None else in_order(runs[trials])
        n_units = units.max() + 1
        if n_units < n_folds:
            what = "trials" if runs is None else "runs"
            raise ValueError(
                f"cv={n_folds} folds need at least {n_folds} {what} of every subject. Got "
                f"{n_units} of subject {subject}. (cv={max(n_units, 2)} is the most.)"
            )
        folds[trials] = units * n_folds // n_units
    return folds


def in_order(values):
    """Number the distinct values by their first appearance."""
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


def overlapping(train, test, spans, recordings):
    """Training trials that share samples of a recording with a test trial.

    train, test (ndarray of int): Indices of trials.
    spans (n_trials, 2): First and last second of each trial within its recording.
    recordings (n_trials,): Recording that each trial was cut from.
    Returns shared (len(train),) bool
    """
    shared = np.zeros(len(train), dtype=bool)
    for recording in np.unique(recordings[test]):
        mine = np.flatnonzero(recordings[train] == recording)
        held = test[recordings[test] == recording]
        ends = np.sort(spans[held, 1])
        starts = np.sort(spans[held, 0])
        first, last = spans[train[mine]].T
        # Test trials that begin before this one ends, less those that end before it begins.
        n_begun = np.searchsorted(starts, last, side="right")
        n_over = np.searchsorted(ends, first, side="left")
        shared[mine] = n_begun > n_over
    return shared


def purge(splits, spans, recordings):
    """Take training trials that overlap with test trials out of every fold.

    Returns splits (list of (train, test))
    and n_purged (list of int): Training trials that were taken out, one number a fold.
    Raises ValueError if nothing is left to train on.
    """
    purged, counts = [], []
    for fold, (train, test) in enumerate(splits):
        shared = overlapping(train, test, spans, recordings)
        if shared.all():
            raise ValueError(
                f"Every training trial of fold {fold} overlaps in time with a test trial. Leave "
                "whole runs or subjects out, or cut shorter epochs."
            )
        purged.append((train[~shared], test))
        counts.append(int(shared.sum()))
    return purged, counts


def n_overlapping(spans, recordings):
    """Number of trials that share samples with another trial of their recording."""
    total = 0
    for recording in np.unique(recordings):
        mine = spans[recordings == recording]
        mine = mine[np.argsort(mine[:, 0], kind="stable")]
        latest = np.maximum.accumulate(mine[:, 1])
        before = np.r_[False, mine[1:, 0] <= latest[:-1]]
        after = np.r_[mine[1:, 0] <= mine[:-1, 1], False]
        total += int((before | after).sum())
    return total
