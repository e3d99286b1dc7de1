"""Sources of a few trials: blinks, spikes and other accidents that averages do not show."""

import numpy as np

from .._checks.assumptions import warn_assumption
from ._settings import SETTINGS


def usual_power(problem, operator, evidence, owner):
    """Power of each source in the median trial, of that in the mean trial.

    Near 1 for a response of all trials, and for noise; near 0 where a few trials hold it.

    operator (n_courses, n_whitened): From whitened fields to courses.
    owner (n_courses,) int: Source of each course.
    Returns share (n_sources,): In the condition in which the source has most power; 1 with fewer
        trials than tell.
    """
    share, most = np.ones(owner.max() + 1), np.zeros(owner.max() + 1)
    if problem.rows is None:
        return share
    operator = operator @ problem.whitener
    weight = np.sqrt(evidence.weight.reshape(evidence.deviation.shape)) / evidence.deviation
    for label in range(len(problem.data)):
        rows = np.flatnonzero((problem.labels == label) & (problem.row_weights > 0))
        if len(rows) < SETTINGS.fewest_usual:
            continue
        turn = evidence.basis * weight[label]
        power = np.array([_power(operator @ problem.rows[row] @ turn, owner) for row in rows])
        power *= problem.row_weights[rows][:, None]
        mean = power.mean(axis=0)
        here = mean > most
        share[here] = np.median(power, axis=0)[here] / mean[here]
        most = np.maximum(mean, most)
    return share


def _power(courses, owner):
    """Power of each source from that of its courses (n_courses, n_components)."""
    return np.bincount(owner, np.square(courses).sum(axis=1))


def warn_of_few_trials(share):
    """Say which sources are hardly in the median trial.

    share (n_sources,)
    """
    few = np.flatnonzero(share < SETTINGS.few_trials)
    if len(few):
        warn_assumption(
            "few-trials",
            f"{len(few)} source(s) (number {', '.join(map(str, few))}) are in a few trials only: "
            f"the median trial has {100 * share[few].min():.0f} % of the power of the mean one.",
        )
