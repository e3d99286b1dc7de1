"""How unlike the motions of training a trial is: distances before adaptation, and its doubt."""

from typing import NamedTuple

import numpy as np
from scipy.special import softmax

from ._settings import SETTINGS


class OfTrials(NamedTuple):
    """What is known of the trials of a session in time.

    Z (n_trials, n_features, 1): Normalized means of their windows.
    trials, start (n_trials, n_classes): Log probabilities, and those before adaptation.
    equal: Whether classes come out equally often.
    """

    Z: np.ndarray
    trials: np.ndarray
    start: np.ndarray
    equal: bool


def novelty(model, Z, probability):
    """How unlike all motions of training trials are, (n_trials,): distance, and a little doubt.

    Distances are those to the nearest class of training, not of the session: adaptation moves
    classes onto what is new. A motion that was not trained is made more than once: the mean over a
    trial and those most like it says more than the trial alone.

    model (SessionModel)
    Z (n_trials, n_features, n_windows): Features normalized within the session.
    probability (n_trials,): Probability of the likeliest class.
    """
    means = Z.mean(2)
    trials = _nearest(means @ model.projection - model.offset, *model.whole[:2])
    alone = np.log(trials + SETTINGS.tiny_distance) + SETTINGS.doubt * np.log(
        1 - probability + SETTINGS.tiny_distance
    )
    repeated = round(len(Z) / len(model.means))
    n_alike = min(max(repeated, 1), SETTINGS.most_alike)
    near = _squares(means, means, model.window_covariance).argsort(axis=1)[:, :n_alike]
    return alone[near].mean(1)


def unlikeness(model, Z, probability):
    """Log distances of trials, as trials and as windows, and doubt, (n_trials,), trial by trial."""
    means = Z.mean(2)
    trials = _nearest(means @ model.projection - model.offset, *model.whole[:2])
    windows = _nearest(means, model.window_means, model.window_covariance)
    doubt = SETTINGS.doubt_of_failure * np.log(1 - probability + SETTINGS.tiny_distance)
    return (
        np.log(trials + SETTINGS.tiny_distance) + np.log(windows + SETTINGS.tiny_distance) + doubt
    )


def distances(model, Z):
    """Logarithm (n_trials,) of how far trials are from all classes of training, part by part.

    model (SessionModel)
    Z (n_trials, n_features, n_windows): Normalized features.
    """
    parts = _nearest(model.points(model.embedded(Z)), model.means, model.within)
    windows = _nearest(Z.mean(2), model.window_means, model.window_covariance)
    return np.log(parts + SETTINGS.tiny_distance) + np.log(windows + SETTINGS.tiny_distance)


def signs_of_failure(model, found):
    """What tells that trials of a session are decided wrongly, (n_trials, 2).

    How much the linear model before adaptation disagrees with what was decided, and the novelty.

    model (SessionModel), found (Sorted or OfTrials)
    """
    trials = model.weighed(found.trials, found.start)
    linear = (1 + SETTINGS.linear_weight) * model.linear_logs(found.Z).mean(2)
    before = softmax(linear, axis=1)[np.arange(len(trials)), trials.argmax(1)]
    new = unlikeness(model, found.Z, np.exp(trials).max(1))
    return np.stack([1 - before, new], axis=1)


def expected_accuracy(model, found):
    """Share of trials of a session that are probably right; NaN where nothing was left out in fit.

    A line in three signs: how far decisions before and after adaptation disagree, the logarithm of
    novelty beyond what is usual, and whether classes come out equally often. Sessions that fail are
    sorted into a few classes; one that is mostly rest has the other signs of a good one.

    model (SessionModel), found (Sorted or OfTrials)
    """
    if not np.isfinite(model.usual):
        return np.nan
    disagreement, new = signs_of_failure(model, found).mean(0)
    signs = 1.0, disagreement, beyond(new, model.usual), found.equal
    return float(np.clip(np.dot(SETTINGS.failing, signs), 0, 1))


def beyond(value, usual):
    """Logarithm of how much larger a value is than usual, 0 where it is not."""
    return np.log1p(max(value - usual, 0.0))


def _squares(points, centers, covariance):
    """Squared Mahalanobis distances (n_points, n_centers)."""
    lower = np.linalg.cholesky(covariance)
    points, centers = np.linalg.solve(lower, points.T).T, np.linalg.solve(lower, centers.T).T
    squares = np.square(points).sum(1)[:, np.newaxis] + np.square(centers).sum(1)
    return np.maximum(squares - 2 * points @ centers.T, 0.0)


def _nearest(points, centers, covariance):
    """Squared Mahalanobis distance to the nearest center."""
    return _squares(points, centers, covariance).min(1)
