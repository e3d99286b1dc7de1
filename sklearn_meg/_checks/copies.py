"""Trials that occur more than once, to the last bit: training then knows what is held out."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np

from .assumptions import warn_assumption
from .trials import pieces, release_pages


def trial_key(trial):
    """Hash of the values of one trial."""
    return blake2b(np.ascontiguousarray(trial), digest_size=12).hexdigest().encode()


def trial_keys(trials):
    """Hash of each trial, read a piece at a time.

    trials (n_trials, ...)
    Returns (n_trials,) bytes
    """
    keys = np.empty(len(trials), dtype="S24")
    for part in pieces(trials):
        keys[part] = [trial_key(trial) for trial in trials[part]]
        release_pages(trials)
    return keys


def doubt_copies(keys, varies, what):
    """Warn of trials that occur more than once; those without any signal are all alike.

    keys (n_trials,): One key a trial, alike where trials are.
    varies (n_trials,) bool: Whether a trial has a signal.
    what: Name of the trials, such as "trials of X".
    """
    copies = int(np.count_nonzero(varies)) - len(np.unique(np.asarray(keys)[varies]))
    if copies:
        warn_assumption("repeated-trials", f"{copies} of {len(keys)} {what} occur more than once.")
