"""Fields, thresholds and placements that are valid numbers and cannot be meant."""

from __future__ import annotations

import numpy as np

from .._checks.assumptions import warn_assumption
from ._grids import center_magnitude, doubt_units
from ._settings import DOUBTS

__all__ = [
    "doubt_direction",
    "doubt_placements",
    "doubt_relation",
    "doubt_repeated",
    "doubt_spacing",
    "doubt_thresholds",
    "without_outliers",
]


def doubt_thresholds(X, y):
    """Warn of thresholds in other units, at the end of a search, or that are no factors of X.

    X (n, s, s, s, 3), y (n, n_outputs)
    """
    doubt_units(X, y)
    magnitude = np.log(center_magnitude(X))
    capped, slopes = 0, []
    for column in y.T:
        known = np.isfinite(column)
        if known.sum() < DOUBTS.fewest:
            continue
        capped = max(capped, _n_capped(column[known]))
        slopes.append(_slope(magnitude[known], np.log(column[known])))
    if capped:
        warn_assumption(
            "capped-thresholds",
            f"{capped} thresholds are exactly {np.nanmax(y):.6g} A/us, the largest one.",
        )
    if slopes and np.median(slopes) > DOUBTS.slope:
        warn_assumption(
            "not-inverse",
            "Thresholds are factors of X, so they halve where fields double. These fall with the "
            f"power {-np.median(slopes):.2f} of the field instead of 1.",
        )


def _n_capped(y):
    """Number of thresholds that equal the largest, where the others differ."""
    n = int((y == y.max()).sum())
    differ = len(np.unique(y)) > 0.5 * len(y)
    return n if n > max(3, DOUBTS.capped * len(y)) and differ else 0


def _slope(x, y):
    """Slope of y over x, less three standard errors; -1 where x hardly varies."""
    x, y = x - x.mean(), y - y.mean()
    if x.std() < 0.05:
        return -1.0
    slope = (x @ y) / (x @ x)
    error = np.sqrt(((y - slope * x) ** 2).sum() / (len(x) - 2) / (x @ x))
    return slope - 3 * error


def without_outliers(y, logs):
    """Thresholds with NaN where they are several times what physics says; that is said.

    y (n, n_outputs): Thresholds in V/m at the center.
    logs (n, n_outputs): Logarithm of those of physics, up to a factor.
    Returns y (n, n_outputs)
    """
    off = np.log(y) - logs
    off = np.abs(off - np.nanmedian(off, axis=0))
    limit = np.maximum(DOUBTS.outlying, DOUBTS.outlying_mads * np.nanmedian(off, axis=0))
    outlying = off > limit
    if not outlying.any():
        return y
    warn_assumption(
        "outlying-thresholds",
        f"{int(outlying.sum())} of {int(np.isfinite(y).sum())} thresholds are up to "
        f"{np.exp(off[outlying].max()):.3g} times what the others say.",
    )
    return np.where(outlying, np.nan, y)


def doubt_direction(y, logs, reversed_logs):
    """Warn where thresholds are clearly nearer to those of the reversed current.

    y (n, n_outputs): Thresholds in V/m at the center.
    logs, reversed_logs (n, n_outputs): Logarithm of those of physics for the fields as they are
        and reversed, up to a factor.
    """
    if np.isfinite(y).all(axis=1).sum() < DOUBTS.fewest_of_a_way:
        return
    given, other = (_spread(np.log(y) - each) for each in (logs, reversed_logs))
    if other < DOUBTS.other_way * given:
        warn_assumption(
            "reversed-current",
            f"What physics does not explain of log thresholds spreads by {given:.2g}, and by "
            f"{other:.2g} if the current flows the other way.",
        )


def doubt_spacing(y, logs, spacing, others):
    """Warn where physics explains thresholds badly, and clearly better with another spacing.

    y (n, n_outputs): Thresholds in V/m at the center.
    logs (n, n_outputs): Logarithm of those of physics with the spacing (m) that is assumed.
    others (dict of float to callable): Functions that return such logarithms, by spacing.
    """
    enough = np.isfinite(y).all(axis=1).sum() >= DOUBTS.fewest
    if not enough or (given := _spread(np.log(y) - logs)) < DOUBTS.explained:
        return
    for other, logs_of_other in others.items():
        if (left := _spread(np.log(y) - logs_of_other())) < DOUBTS.other_way * given:
            warn_assumption(
                "grid-spacing",
                f"Physics leaves {100 * given:.2g} % of thresholds unexplained if neighbors in the "
                f"grids are {1e3 * spacing:g} mm apart, as is assumed, and {100 * left:.2g} % if "
                f"they are {1e3 * other:g} mm apart.",
            )


def _spread(values):
    """Mean absolute distance from the median of each column, NaN left out; the median column."""
    return np.median(np.nanmean(np.abs(values - np.nanmedian(values, axis=0)), axis=0))


def doubt_repeated(X, groups):
    """Warn of fields that come twice without groups that keep them together."""
    center = X.shape[1] // 2
    some = np.concatenate([X[:, center, center, center], X[:, 0, 0, 0]], axis=1)
    copies = len(some) - len(np.unique(some, axis=0))
    if groups is None and len(X) >= DOUBTS.fewest and copies > DOUBTS.repeated * len(X):
        warn_assumption(
            "repeated-trials", f"{copies} of {len(X)} fields of X occur more than once."
        )


def doubt_relation(X, y, errors):
    """Warn where held-out thresholds are predicted no better than by a constant.

    X (n, s, s, s, 3), y (n, n_outputs)
    errors (n_held_out, n_outputs): Absolute errors of held-out log thresholds.
    """
    fields = np.log(y) + np.log(center_magnitude(X))[:, np.newaxis]
    spread = np.nanmedian(np.abs(fields - np.nanmedian(fields, axis=0)))
    if np.isfinite(errors).any(axis=1).sum() < DOUBTS.fewest or spread < DOUBTS.spread:
        return
    error = np.nanmedian(errors)
    if error > DOUBTS.unrelated * spread:
        warn_assumption(
            "unrelated-thresholds",
            f"Held-out thresholds are missed by {100 * error:.2g} %, and by {100 * spread:.2g} % "
            "if the same field is assumed everywhere.",
        )


def doubt_placements(X):
    """Warn of azimuths in degrees, and of axes that point into the head.

    X (n, 7) or (n, 8): Rows of :class:`EFieldSampler`.
    """
    largest = np.abs(X[:, 6]).max()
    if largest > DOUBTS.turns:
        warn_assumption("azimuth-degrees", f"Azimuths reach {largest:.4g} radians.")
    length = np.linalg.norm(X[:, :3], axis=1) * np.linalg.norm(X[:, 3:6], axis=1)
    outward = (X[:, :3] * X[:, 3:6]).sum(axis=1) / np.maximum(length, 1e-12)
    if len(X) >= 5 and np.median(outward) < DOUBTS.inward:
        warn_assumption(
            "inward-axes",
            f"{int((outward < 0).sum())} of {len(X)} axes point toward the center of the head.",
        )
