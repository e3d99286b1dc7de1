"""Filters of a linear encoder: applying them, their patterns, and choosing their penalties."""

from itertools import product
from numbers import Integral

import numpy as np
from scipy.linalg import pinvh

from ._blocks import read_blocks
from ._lags import lagged, ridge_path_errors, trials_per_block

GROUP_FACTORS = (1.0, 10.0, 100.0)


def filter_trials(X, features, trials, coef, delays, mean=None):
    """Convolve stimulus rows with coefficients.

    X (n_trials, n_rows, n_times)
    features (ndarray of int): Stimulus rows.
    trials (ndarray of int), coef (n_channels, n_features, n_lags), delays (n_lags,) int
    mean (n_features,) or None: Subtracted from the rows, so that it is what a lag meets outside
        the trial; None is zero.
    Returns y (len(trials), n_channels, n_times)
    """
    n_channels, n_times = len(coef), X.shape[2]
    flat = coef.reshape(n_channels, -1)
    out = np.empty((len(trials), n_channels, n_times))
    step, done = trials_per_block(flat.shape[1], n_times), 0
    for (x,) in read_blocks([(X, features)], trials, step):
        if mean is not None:
            x -= mean[:, np.newaxis, np.newaxis]
        wide = lagged(x, delays).reshape(flat.shape[1], -1)
        part = (flat @ wide).reshape(n_channels, x.shape[1], n_times)
        out[done : done + x.shape[1]] = part.transpose(1, 0, 2)
        done += x.shape[1]
    return out


def inside(delays, n_times):
    """Samples for which no lag reaches outside the trial: bool (n_times,)."""
    times = np.arange(n_times)
    return (times >= max(delays[-1], 0)) & (times < n_times + min(delays[0], 0))


def haufe_patterns(sums, w):
    """Haufe's patterns (n_channels, p) of weights (p, n_channels), from centered sums."""
    if sums.n_samples < 2:
        return np.zeros_like(w.T)
    scale = np.trace(sums.yy) or 1.0  # pinvh cuts relative to the largest: units do not matter
    return pinvh(sums.yy / scale, check_finite=False) @ (sums.xx @ (w / scale)).T


def held_out_errors(sums, white, penalties, bands):
    """Errors as shares of a channel's variance, (n_folds, n_candidates, n_channels).

    sums, white (list of LagSums): Of each fold; filtered so that the noise is white, to fit to.
    """
    total, every = (sum(each[1:], each[0]) for each in (sums, white))
    errors = np.zeros((len(sums), len(penalties), len(total.yy)))
    for own, held, left_out in zip(errors, sums, white):
        train = every - left_out
        for band in bands:
            weights = penalties[band[0]] / penalties[band[0]].min()
            own[band] = ridge_path_errors(train, held, penalties[band].min(axis=1), weights)
    variance = np.diag(total.yy)
    return errors / np.where(variance > 0, variance, 1.0)


def group_factors(n_groups):
    """Relative penalties of the groups to try; at least one is 1."""
    every = np.array(list(product(GROUP_FACTORS, repeat=n_groups)))
    return every[every.min(axis=1) == 1.0]


def resolve_groups(estimator, features):
    """Group of each stimulus row, all 0 without groups.

    Raises ValueError if the groups do not name each stimulus row exactly once.
    """
    groups = estimator.feature_groups
    if groups is None:
        return np.zeros(len(features), dtype=int)
    members = groups.values() if isinstance(groups, dict) else groups
    members = members if np.iterable(members) else [members]
    members = [list(np.atleast_1d(group)) for group in members]
    named = [row for group in members for row in group]
    ints = all(isinstance(row, Integral) for row in named)
    if not ints or sorted(named) != sorted(features):
        raise ValueError(
            f"The 'feature_groups' parameter of {type(estimator).__name__} must name each "
            f"stimulus row of X, {list(map(int, features))}, exactly once. Got {groups!r} instead."
        )
    where = {int(row): i for i, group in enumerate(members) for row in group}
    return np.array([where[int(row)] for row in features])
