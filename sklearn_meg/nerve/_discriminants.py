"""A linear model of windows, and how it goes on learning in a session without labels.

Linear discriminants need the means of the classes and the covariance within them, so that a session
is known by sums over its windows; the classes of its trials are those that adaptation has found.
"""

import numpy as np
from scipy.linalg import cho_factor, cho_solve, eigh
from sklearn.covariance import ledoit_wolf

from ._linear import as_rows
from ._settings import SETTINGS


def of_trials(Z, y, share):
    """Linear discriminants of trials, of whose windows little is independent.

    The covariance of the means of trials is shrunk as so many trials ask for (Ledoit and Wolf
    2004), and what windows differ by within a trial is added to it.

    Z (n_trials, n_features, n_windows), y (n_trials,) int: From 0 on; every class occurs.
    share: Share of the variance within trials that is added.
    Returns means (n_classes, n_features), covariance (n_features, n_features), axes that tell
    classes apart, the best first.
    Raises numpy.linalg.LinAlgError if the covariance is singular.
    """
    trials = Z.mean(2)
    means = np.stack([trials[y == c].mean(0) for c in range(y.max() + 1)])
    away = (trials - means[y]) * np.sqrt(len(y) / max(len(y) - len(means), 1))
    scale = away.std(0)
    scale = np.where(scale > SETTINGS.minimal_spread, scale, 1.0)
    of_means = ledoit_wolf(away / scale, assume_centered=True)[0] * np.outer(scale, scale)
    inside = as_rows(Z - trials[:, :, np.newaxis])
    covariance = of_means + share * inside.T @ inside / len(inside)
    axes = eigh(np.cov(means.T, bias=True), covariance)[1][:, ::-1]
    return means, covariance, axes


def discriminants(counts, means, covariance, overwrite=False):
    """Coefficients (n_classes, n_features) and intercepts of linear discriminants.

    counts (n_classes,): Windows of each class; unused, for classes are taken to be equally likely.
    means (n_classes, n_features)
    covariance (n_features, n_features): Covariance within classes.
    overwrite: Whether the covariance is not needed any more.
    """
    factor = cho_factor(covariance.T, overwrite_a=overwrite)  # as Fortran has it
    coef = cho_solve(factor, means.T).T
    return coef, -0.5 * (means * coef).sum(1)


def learned(known, counts, sums, second):
    """Training and a session together.

    known (tuple of ndarray): Training: windows of each class (n_classes,), their means
        (n_classes, n_features), and the sum of their outer products.
    counts (n_classes,): Windows that the session adds to each class.
    sums (n_classes, n_features): Sums of these.
    second (n_features, n_features): Sum of the weighted outer products of the session's windows;
        overwritten.
    Returns counts, means, covariance (ndarray): Of both; the covariance is that within classes.
    """
    old, means, moment = known
    both = old + counts
    new = (old[:, np.newaxis] * means + sums) / both[:, np.newaxis]
    second += moment
    second -= (new.T * both) @ new
    second /= both.sum()
    return both, new, second
