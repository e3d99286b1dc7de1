"""A linear model of windows, and how it goes on learning in a session without labels.

Linear discriminants need the means of the classes and the covariance within them, so that a session
is known by sums over its windows; the classes of its trials are those that adaptation has found.
"""

import numpy as np
from scipy.linalg import cho_factor, cho_solve


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
