"""From recordings as they came to samples that the iterations take: aligned, in units near one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from ._align import Aligner, CrossedMap, pooled
from ._alignment_choice import chosen_aligner, maps_of, statics_of
from ._em import Batch, Stream
from ._recordings import Recordings
from ._settings import ALIGN, RACE


@dataclass
class Prepared:
    """Recordings, how they are aligned, and the units of regions after that.

    recordings, crossed (Recordings): Aligned by themselves; each half aligned by the other.
    center, spread (n_regions,)
    table (dict of ndarray): Options and their left-out scores.
    order: Samples of the past beside each, for autoregressive states.
    known (Known or None): Parameters that stay as they are.
    """

    recordings: Recordings
    crossed: Recordings
    center: np.ndarray
    spread: np.ndarray
    aligner: Aligner
    table: dict
    order: int = 0
    known: object = None

    def batch(self, recordings=None):
        """All or some recordings in memory."""
        recordings = self.recordings if recordings is None else recordings
        return Batch(recordings, self.center, self.spread, None, self.order, self.known)

    def data(self, batch_size):
        """All recordings, in memory or in turn."""
        if batch_size is None:
            return self.batch()
        scale = self.center, self.spread
        return Stream(self.recordings, *scale, batch_size, self.order, self.known)

    def volumes(self, recordings):
        """Per recording, what is added to log-densities to be those of the given units."""
        fixed = -np.log(self.spread).sum()
        if self.aligner.trivial:
            return np.full(len(recordings.parts), fixed)
        return np.array([fixed + _volume(part, m) for part, m in _pairs(recordings)])


def _pairs(recordings):
    return zip(recordings.parts, recordings.maps)


def _volume(part, change):
    if isinstance(change, CrossedMap):
        there = max(1, int((~np.isnan(part).any(1)).sum()))
        return change.log_det(np.asarray(part)) / there
    return change.log_det


def standardization(recordings, n_states, covariance):
    """Mean and standard deviation of each region, after a look at whether they can be fitted.

    Raises ValueError for a constant region, or too few samples.
    """
    n, total, squares = 0, 0.0, 0.0
    shift = np.nan_to_num(np.nanmean(recordings.parts[0], axis=0))
    for part in recordings.parts:
        x = part[~np.isnan(part).any(1)] - shift
        n, total, squares = n + len(x), total + x.sum(0), squares + (x**2).sum(0)
    d = len(shift)
    least = n_states * (d + 1 if covariance == "full" else 2)
    if n < least:
        raise ValueError(
            f"{n_states} states of {d} regions need at least {least} samples with "
            f"covariance={covariance!r}. Got {n}."
        )
    spread = np.sqrt(np.maximum(squares / n - (total / n) ** 2, 0))
    size = np.abs(shift) + np.sqrt(squares / n)
    constant = np.flatnonzero(spread <= 1e-9 * size)
    if len(constant):
        raise ValueError(
            f"Regions must vary. Constant: {', '.join(map(str, constant[:10]))} (of {d}); leave "
            "them out."
        )
    return shift + total / n, spread


def prepare(recordings, align, robust, scale):
    """Align recordings, and find the units of regions.

    align: As the parameter of HiddenMarkovGraph.
    robust: Whether outliers hardly count in moments of recordings.
    scale (tuple of ndarray): Center and spread of all samples, where nothing has to be aligned.
    """
    if not robust and (align == "none" or (align == "auto" and len(recordings.parts) < 2)):
        aligner = Aligner("none", None)
        table = {"method": np.array(["none"]), "weight": np.zeros(1), "signs": np.zeros(1, bool)}
        table["loglik"] = np.full(1, np.nan)
        return Prepared(recordings, recordings, *scale, aligner, table)
    dof = ALIGN.robust_dof if robust else np.inf
    statics = [statics_of(part, dof) for part in recordings.parts]
    check_alignable(statics, align)
    aligner, table = chosen_aligner(statics, align)
    return with_aligner(recordings, aligner, statics, table)


def with_aligner(recordings, aligner, statics, table):
    """Prepare recordings with an alignment."""
    if aligner.trivial:
        whole = pooled([s for s, _ in statics])
        return Prepared(recordings, recordings, whole.mean, whole.spread, aligner, table)
    maps, crossed = maps_of(aligner, statics)
    moved = pooled([m.static(s) for m, (s, _) in zip(maps, statics)])
    return Prepared(
        recordings.mapped(maps),
        recordings.mapped(crossed),
        moved.mean,
        moved.spread,
        aligner,
        table,
    )


def check_alignable(statics, align):
    """Raise where a recording says too little of itself."""
    if align in ("none", "auto"):
        return
    for i, (static, _) in enumerate(statics):
        if static.count < ALIGN.least_samples:
            raise ValueError(
                f"align={align!r} learns from each recording: at least {ALIGN.least_samples} "
                f"samples without NaN. Got {static.count:.0f} in X[{i}]."
            )
        size = np.abs(static.mean) + static.spread
        flat = np.flatnonzero(static.spread <= 1e-9 * size)
        if len(flat) and "signs" != align:
            raise ValueError(
                f"align={align!r} needs regions that vary in each recording. Constant in X[{i}]: "
                f"{', '.join(map(str, flat[:10]))}."
            )


def spread_over(recordings, n_samples, longest=None):
    """Spans (recording, start, stop) over all recordings, about so many samples."""
    n = len(recordings.parts)
    longest = n_samples if longest is None else longest
    lengths = np.minimum(recordings.lengths, longest)
    wanted = min(n, int(np.ceil(n_samples / lengths.mean())))
    which = np.unique(np.linspace(0, n - 1, wanted).astype(int))
    return [(i, 0, int(lengths[i])) for i in which]


def some_recordings(recordings):
    """Recordings spread over all, or the beginnings of long ones."""
    spans = spread_over(recordings, RACE.samples)
    return spans, replace(recordings.cut(spans), kind=recordings.kind)


def fold_spans(recordings, n_states):
    """Pieces of many recordings, or blocks of one, for comparing restarts on what is left out."""
    n, n_regions = len(recordings.parts), recordings.parts[0].shape[1]
    wanted = int(np.clip(RACE.fold_each * n_states * n_regions, *RACE.fold_samples))
    if n > 1:
        return spread_over(recordings, wanted, max(200, wanted // min(n, 12)))
    length = min(int(recordings.lengths[0]), wanted)
    borders = np.linspace(0, length, RACE.max_folds + 1).astype(int)
    return [(0, int(a), int(b)) for a, b in pairwise(borders)]


def in_halves(recordings):
    """The halves of each recording, so that every second piece has the other halves."""
    spans = []
    for i, n in enumerate(recordings.lengths.tolist()):
        both = [(i, 0, n // 2), (i, n // 2, n)]
        spans += both[:: -1 if i % 2 else 1]
    return recordings.cut(spans)
