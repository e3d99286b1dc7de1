"""What is kept of the results of all folds: small tables, and one map a model and subject.

The maps of every fold are what is large: they are summed over folds in the order of folds, and
lie in nameless files where they are large, so that memory does not grow with subjects and models.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .._checks.trials import release_pages
from .._repr import short_repr
from .._saving.space import IN_MEMORY_BYTES, room
from .._scores import nanmean
from . import null

LARGE = ("maps", "pooled_map", "null_z")


@dataclass(frozen=True)
class Kept:
    """Results of all folds.

    jobs (dict of (model, fold) -> (arrays, meta)): Without the maps, of which ``curve`` (mean over
        channels) and ``observed`` (mean over channels and the samples that count) are left.
    maps, null_z (dict of str -> ndarray of shape (n_subjects, n_channels, n_times), float32): R of
        each model and subject, and its distance from the null, over all folds.
    """

    jobs: dict
    maps: dict = field(default_factory=dict)
    null_z: dict = field(default_factory=dict)

    __repr__ = short_repr


def on_disk(array, folder=None):
    """The array, or a copy in a nameless file if it is large."""
    if array.dtype != np.float32 or array.nbytes <= IN_MEMORY_BYTES:
        return array
    found = room(array.shape, folder)
    found[...] = array
    release_pages(found)
    return found


def compact(jobs, models, subjects, start, folder=None):
    """Sum up the maps of all folds.

    jobs (dict of (model, fold) -> (arrays, meta)): As `run_fold` gives them.
    models (list of str)
    subjects (n_subjects,): Sorted.
    start: First sample that counts.
    folder (path-like): Where nameless files lie; None is that for temporary files.
    Returns kept (Kept)
    """
    kept = Kept({job: (_small(arrays, start), meta) for job, (arrays, meta) in jobs.items()})
    for model in models:
        mine = [arrays for (name, _), (arrays, _) in jobs.items() if name == model]
        scored = [arrays for arrays in mine if "maps" in arrays]
        tested = [arrays for arrays in mine if "null_z" in arrays]
        if scored:
            kept.maps[model] = _over_folds(scored, subjects, _map_of, _mean, folder)
        if tested:
            kept.null_z[model] = _over_folds(tested, subjects, _distance_of, null.combined, folder)
    return kept


def _small(arrays, start):
    """Arrays of a fold without its maps."""
    if "maps" not in arrays:
        return arrays
    small = {name: value for name, value in arrays.items() if name not in LARGE}
    maps = arrays["maps"]
    small["curve"] = np.array([nanmean(one.astype(float), axis=0) for one in maps])
    small["observed"] = np.array([nanmean(one[:, start:].astype(float), axis=None) for one in maps])
    small["pooled_curve"] = nanmean(arrays["pooled_map"].astype(float), axis=0)
    return small


def _map_of(part, row):
    """Map of a subject in a fold; that of all where no subject has one."""
    none = not any(np.isfinite(one).any() for one in part["maps"])
    return part["pooled_map"] if none else part["maps"][row]


def _distance_of(part, row):
    """Distance of the map of a subject in a fold from its null."""
    return part["null_z"][row]


def _mean(total, n):
    return total / n


def _over_folds(parts, subjects, take, combine, folder):
    """Combine, for each subject, the sum over folds of what is not NaN, and how many these are."""
    shape = (len(subjects), *parts[0]["maps"].shape[1:])
    found = room(shape, folder)
    for number, subject in enumerate(subjects.tolist()):
        total, n = np.zeros(shape[1:]), np.zeros(shape[1:], dtype=int)
        for part in parts:
            for row in np.flatnonzero(part["subjects"] == subject):
                values = take(part, row).astype(float)
                there = ~np.isnan(values)
                total += np.where(there, values, 0.0)
                n += there
                release_pages(*part.values())
        with np.errstate(invalid="ignore", divide="ignore"):
            found[number] = np.where(n > 0, combine(total, n), np.nan)
        release_pages(found)
    return found
