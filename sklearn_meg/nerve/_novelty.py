"""How unlike the motions of training a trial is: distances before adaptation, and its doubt."""

import numpy as np
from scipy.special import softmax

from ._settings import SETTINGS

DOUBT = 0.3  # weight of the doubt beside the distances
TINY = 1e-6


def novelty(model, Z, probability):
    """Sum of logarithms (n_trials,): distance in the space of trials, in that of windows, doubt.

    Distances are those to the nearest class of training, not of the session: adaptation moves
    classes onto what is new. On simulated nerves with four of ten motions unseen the AUC was .78
    and .98 (two seeds), doubt alone .74 and .89; on surface EMG .71 to .92.

    Parameters
    ----------
    model : SessionModel
    Z : ndarray of shape (n_trials, n_features, n_windows)
        Features normalized within the session.
    probability : ndarray of shape (n_trials,)
        Probability of the likeliest class.
    """
    means = Z.mean(2)
    trials = _nearest(means @ model.projection - model.offset, model.means, model.within)
    windows = _nearest(means, model.window_means, model.window_covariance)
    return np.log(trials + TINY) + np.log(windows + TINY) + DOUBT * np.log(1 - probability + TINY)


def signs_of_failure(model, found):
    """What tells that trials of a session are decided wrongly, (n_trials, 2).

    How much the linear model before adaptation disagrees with what was decided, and the novelty.

    Parameters
    ----------
    model : SessionModel
    found : Sorted
    """
    trials = model.weighed(found.trials, found.start)
    linear = (1 + SETTINGS.linear_weight) * model.linear_logs(found.Z).mean(2)
    before = softmax(linear, axis=1)[np.arange(len(trials)), trials.argmax(1)]
    return np.stack([1 - before, novelty(model, found.Z, np.exp(trials).max(1))], axis=1)


def expected_accuracy(model, found):
    """Share of trials of a session that are probably right; NaN where nothing was left out in fit.

    A line in two signs: how far decisions before and after adaptation disagree, and (its logarithm)
    novelty beyond what is usual.

    Parameters
    ----------
    model : SessionModel
    found : Sorted
    """
    if not np.isfinite(model.usual).all():
        return np.nan
    disagreement, new = signs_of_failure(model, found).mean(0)
    offset, first, second = SETTINGS.failing
    beyond = np.log1p(max(new - model.usual[1], 0.0))
    return float(np.clip(offset + first * disagreement + second * beyond, 0, 1))


def _nearest(points, centers, covariance):
    """Squared Mahalanobis distance to the nearest center."""
    lower = np.linalg.cholesky(covariance)
    points, centers = np.linalg.solve(lower, points.T).T, np.linalg.solve(lower, centers.T).T
    cross = points @ centers.T
    squares = np.square(points).sum(1)[:, np.newaxis] + np.square(centers).sum(1)
    return np.maximum((squares - 2 * cross).min(1), 0.0)
