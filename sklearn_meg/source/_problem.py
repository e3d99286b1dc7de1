"""The inverse problem, once data, noise and lead field have been prepared."""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Problem:
    """The inverse problem that is left once data, noise and lead field have been prepared.

    data (n_conditions, n_whitened, n_times): Averages, whitened and times sqrt(nave): noise has
        unit variance.
    gain (n_whitened, n_positions * n_orient): Whitened lead field of one A m, without weights.
    weights (n_positions, n_orient): Depth and orientation weights of the amplitude, at most 1.
    events (n_conditions, n_events, n_times)
    nave (n_conditions,): ``data / sqrt(nave)`` is ``gain @ sources`` plus noise.
    gain_raw (n_channels, n_positions * n_orient): For all channels, in the units of y.
    n_orient: 1 or 3.
    whitener (n_whitened, n_channels): 0 for channels that are not used.
    used (n_channels,) bool
    means (n_conditions, n_channels, n_times): Averages in the units of y, 0 in channels that are
        not used.
    half_difference (n_conditions, n_whitened, n_times) or None: Every other trial minus the rest:
        unit noise, no signal. None with a single row.
    trials_cov (n_whitened, n_whitened) or None: Mean square of single trials from the first event
        change on, whitened, not centered; its noise part is the identity. None if every condition
        has a single row.
    baseline (slice or None): Samples before the first event change.
    rows, row_weights, labels (ndarray or None): Fields of the single rows
        (n_rows, n_channels, n_times) in the units of y, the number of trials in each, and the
        condition of each; None with fewer than four rows a condition.
    mne (MneProblem or None): The same as mne objects, where the lead field and the data are such.
    scarcity: Directions of noise for each independent sample of its covariance; 0 where that is not
        known.
    sensors (Sensors or None): Where all channels are MEG, whose place beside the head is known.
    """

    data: np.ndarray
    gain: np.ndarray
    weights: np.ndarray
    events: np.ndarray
    nave: np.ndarray
    gain_raw: np.ndarray
    n_orient: int
    whitener: np.ndarray
    used: np.ndarray
    means: np.ndarray
    half_difference: Any = None
    trials_cov: Any = None
    baseline: Any = None
    rows: Any = None
    row_weights: Any = None
    labels: Any = None
    mne: Any = None
    sensors: Any = None
    scarcity: float = 0.0

    def trials(self, n_most=200):
        """Single trials, whitened, that sum to `data`.

        n_most: Largest number of trials per condition; more are summed in groups.
        Returns trials (generator of ndarray of shape (n_whitened, n_times))
        and labels (ndarray of int): Condition of each. Both are None where there are too few
            rows.
        """
        if self.rows is None:
            return None, None
        groups, labels = [], []
        for label in range(len(self.data)):
            rows = np.flatnonzero(self.labels == label)
            parts = [rows[start::n_most] for start in range(min(n_most, len(rows)))]
            groups += parts
            labels += [label] * len(parts)
        weights = self.row_weights / np.sqrt(self.nave)[self.labels]
        return (
            self.whitener @ np.tensordot(weights[group], self.rows[group], axes=1)
            for group in groups
        ), np.array(labels)

    @property
    def n_positions(self):
        """Number of source positions."""
        return self.gain.shape[1] // self.n_orient

    def fields(self, sources):
        """Fields of sources ``(n, n_positions, n_orient, n_times)``, in the units of y."""
        return self.gain_raw @ sources.reshape(len(sources), -1, sources.shape[-1])


@dataclass(frozen=True)
class MneProblem:
    """The averages, lead field and noise as mne objects, channels picked.

    evokeds (list of mne.Evoked)
    trials_cov (mne.Covariance or None): As in :class:`Problem`, not whitened.
    """

    evokeds: list
    forward: Any
    noise_cov: Any
    trials_cov: Any = None
