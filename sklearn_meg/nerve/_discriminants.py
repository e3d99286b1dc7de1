"""A linear model of windows, and how it goes on learning in a session without labels.

Linear discriminants need the means of the classes and the covariance within them, so that a session
is known by sums over its windows; the classes of its trials are those that adaptation has found.
"""

import numpy as np
from scipy.linalg import cho_factor, cho_solve


def discriminants(counts, means, covariance):
    """Coefficients (n_classes, n_features) and intercepts of linear discriminants.

    Parameters
    ----------
    counts : ndarray of shape (n_classes,)
        Windows of each class; unused, for classes are taken to be equally likely.
    means : ndarray of shape (n_classes, n_features)
    covariance : ndarray of shape (n_features, n_features)
        Covariance within classes.
    """
    coef = cho_solve(cho_factor(covariance), means.T).T
    return coef, -0.5 * (means * coef).sum(1)


def learned(known, weight, trial_means, second):
    """Training and a session together.

    Parameters
    ----------
    known : tuple of ndarray
        Training: windows of each class (n_classes,), their means (n_classes, n_features), and the
        covariance within classes.
    weight : ndarray of shape (n_trials, n_classes)
        Windows that each trial of the session adds to each class.
    trial_means : ndarray of shape (n_trials, n_features)
        Mean of each trial's windows.
    second : ndarray of shape (n_features, n_features)
        Sum of the weighted outer products of the session's windows.

    Returns
    -------
    known : tuple of ndarray
        As above, of both.
    """
    counts, means, covariance = known
    both = counts + weight.sum(0)
    new = (counts[:, np.newaxis] * means + weight.T @ trial_means) / both[:, np.newaxis]
    scatter = counts.sum() * covariance + (means.T * counts) @ means + second
    scatter -= (new.T * both) @ new
    return both, new, scatter / both.sum()
