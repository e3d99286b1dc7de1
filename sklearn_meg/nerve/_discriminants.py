"""A linear model of windows, and how it goes on learning in a session without labels.

Linear discriminants need the means of the classes and the covariance within them, so that a session
is known by sums over its windows; the classes of its trials are those that adaptation has found.
"""

import numpy as np
from scipy.linalg import cho_factor, cho_solve

WEIGHT = 0.5  # of the linear model beside the network, for a trial of an unknown session
SO_FAR = 0.5  # of what the trial says so far, for a window, beside the network and the linear model
OWN = 3.0  # times that a window of the session counts, against one of training


def discriminants(counts, means, covariance):
    """Coefficients (n_classes, n_features) and intercepts of linear discriminants.

    Parameters
    ----------
    counts : ndarray of shape (n_classes,)
        Windows of each class: how likely it is beforehand.
    means : ndarray of shape (n_classes, n_features)
    covariance : ndarray of shape (n_features, n_features)
        Within the classes.
    """
    coef = cho_solve(cho_factor(covariance), means.T).T
    return coef, np.log(counts / counts.sum()) - 0.5 * (means * coef).sum(1)


def learned(known, probability, trial_means, sizes, inner):
    """Training and a session together.

    Parameters
    ----------
    known : tuple of ndarray
        Of training: windows of each class (n_classes,), their means (n_classes, n_features), and
        the covariance within classes.
    probability : ndarray of shape (n_trials, n_classes)
        Of the classes of the session's trials.
    trial_means : ndarray of shape (n_trials, n_features)
        Of the windows of each trial.
    sizes : ndarray of shape (n_trials,)
        Windows of each trial.
    inner : ndarray of shape (n_features, n_features)
        Scatter of the windows around the mean of their trial, summed over trials.

    Returns
    -------
    known : tuple of ndarray
        As above, of both.
    """
    counts, means, covariance = known
    weight = OWN * probability.T * sizes  # n_classes, n_trials
    both = counts + weight.sum(1)
    new = (counts[:, np.newaxis] * means + weight @ trial_means) / both[:, np.newaxis]
    scatter = counts.sum() * covariance + OWN * inner
    scatter += (means.T * counts) @ means + (trial_means.T * weight.sum(0)) @ trial_means
    scatter -= (new.T * both) @ new
    return both, new, scatter / both.sum()
