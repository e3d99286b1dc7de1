"""What in trials to fit breaks an assumption: said before anything is computed."""

from dataclasses import dataclass

import numpy as np

from .._checks.assumptions import warn_assumption
from .._checks.copies import doubt_copies, trial_key
from .._checks.trials import pieces, release_pages


@dataclass(frozen=True)
class Settings:
    """Bounds that no clean recording came near."""

    #: Samples below which trials may be alike by chance.
    least_times: int = 8
    #: Power of a trial over the median of its channel from which it counts as an artifact.
    artifact: float = 1000.0
    #: Share of artifacts above which the channel is what varies.
    most_artifacts: float = 0.2
    #: Samples of zeros at the end of a trial that look like padding.
    padding: int = 3


SETTINGS = Settings()


def doubt_trials(X, y, rows):
    """Warn of trials that occur twice, artifacts, and trials filled up with zeros.

    X, y (ndarray): Checked trials.
    """
    if y.shape[2] < SETTINGS.least_times or len(y) < 4:
        return
    keys, power, zeros = [], [], []
    for part in pieces(y):
        values = np.asarray(y[part])
        keys += map(trial_key, values)
        power.append(values.var(axis=2, dtype=np.float64))
        zeros.append(_zeros_at_the_end(values))
        release_pages(y)
    power, zeros = np.concatenate(power), np.concatenate(zeros)
    doubt_copies(keys, power.any(axis=1), "trials of y")
    if rows.mask is None:
        _doubt_artifacts(power)
        _doubt_padding(zeros, y.shape[2])


def _zeros_at_the_end(values):
    """Number of samples at the end at which all channels are exactly zero."""
    there = (values != 0).any(axis=1)
    return np.where(there.any(axis=1), np.argmax(there[:, ::-1], axis=1), values.shape[2])


def _doubt_artifacts(power):
    usual = np.median(power, axis=0)
    large = (power > SETTINGS.artifact * usual) & (usual > 0)
    found = large.any(axis=1)
    if 0 < found.mean() <= SETTINGS.most_artifacts:
        warn_assumption(
            "artifacts",
            f"{found.sum()} of {len(power)} trials of y have more than "
            f"{SETTINGS.artifact:g} times the power that is usual in a channel.",
        )


def _doubt_padding(zeros, n_times):
    padded = (zeros >= SETTINGS.padding) & (zeros < n_times)
    if padded.any() and not padded.all():
        warn_assumption(
            "padding",
            f"{padded.sum()} of {len(zeros)} trials of y end with {SETTINGS.padding} or more "
            "samples of zeros in all channels.",
        )
