"""Sessions: which trial belongs to which, and features normalized within them."""

import numpy as np

from ._settings import SETTINGS


def location_and_scale(F, weights=None):
    """Mean and standard deviation (2, n_features) of features (n_trials, n_features, n_windows).

    That of a constant feature is infinite: it stays nothing where it moves in a later session.
    """
    mean, sd = weighted_moments(F, weights)
    return np.stack([mean, _scale(mean, sd, np.inf)])


def weighted_moments(F, weights=None):
    """Mean and standard deviation of each feature, over weighted trials and windows."""
    if weights is None:
        return F.mean(axis=(0, 2)), F.std(axis=(0, 2))
    mean = np.average(F.mean(axis=2), axis=0, weights=weights)
    away = np.square(F - mean[:, np.newaxis]).mean(axis=2)
    return mean, np.sqrt(np.average(away, axis=0, weights=weights))


def mean_normal(normals):
    """Means and scales (2, n_features) of sessions together; infinite where constant in all."""
    sd = normals[:, 1]
    varies = np.isfinite(sd)
    total = np.where(varies, sd, 0.0).sum(0)
    scale = np.where(varies.any(0), total / np.maximum(varies.sum(0), 1), np.inf)
    return np.stack([normals[:, 0].mean(0), scale])


def normalized(F, normal):
    """Features (..., n_features, n_windows) in standard deviations, clipped."""
    mean, sd = normal
    return np.clip((F - mean[:, np.newaxis]) / sd[:, np.newaxis], -SETTINGS.clip, SETTINGS.clip)


def _scale(mean, sd, otherwise):
    least = SETTINGS.minimal_spread * np.abs(mean) + SETTINGS.rounding
    return np.where(sd > least, sd, otherwise)


def _normal_of(weight, first, second):
    """Mean and scale from weighted sums of values and squares."""
    mean = first / weight
    return mean, _scale(mean, np.sqrt(np.maximum(second / weight - mean**2, 0.0)), 1.0)


class RunningNormalizer:
    """Mean and standard deviation of the windows so far, beginning with those of training.

    start (2, n_features): Mean and standard deviation before anything was seen.
    weight: Number of windows that they count for.
    """

    def __init__(self, start, weight):
        mean, sd = start
        self.weight = float(weight)
        self.first = self.weight * mean
        self.second = self.weight * (sd**2 + mean**2)

    def __call__(self, F):
        """Normalize windows (n_features, n) in the order of time, each with those up to it."""
        F = F.T
        weight = self.weight + np.arange(1, len(F) + 1)[:, np.newaxis]
        first = self.first + np.cumsum(F, axis=0)
        second = self.second + np.cumsum(F**2, axis=0)
        self.weight, self.first, self.second = float(weight[-1, 0]), first[-1], second[-1]
        mean, sd = _normal_of(weight, first, second)
        return np.clip((F - mean) / sd, -SETTINGS.clip, SETTINGS.clip).T

    @property
    def normal(self):
        """Mean and scale (2, n_features) of all so far."""
        return np.stack(_normal_of(self.weight, self.first, self.second))

    def add(self, F):
        """Take trials (n_trials, n_features, n_windows) into account."""
        self.weight += F.shape[0] * F.shape[2]
        self.first = self.first + F.sum(axis=(0, 2))
        self.second = self.second + np.square(F).sum(axis=(0, 2))
        return self

    def state(self):
        """What it knows, as plain values."""
        return {"weight": self.weight, "first": self.first.copy(), "second": self.second.copy()}

    @classmethod
    def from_state(cls, state):
        """Go on from a `state`."""
        new = cls.__new__(cls)
        new.weight = float(state["weight"])
        new.first, new.second = (np.array(state[key]) for key in ("first", "second"))
        return new


def class_means(F, y, weights=None):
    """Mean and scale (2, n_features) of trials (n, n_features, n_windows), all classes alike."""
    weights = np.ones(len(y)) if weights is None else weights
    weight = weights / np.bincount(y, weights=weights)[y]
    weight = weight / weight.sum()
    mean = weight @ F.mean(2)
    sd = np.sqrt(weight @ np.square(F - mean[:, np.newaxis]).mean(2))
    return np.stack([mean, _scale(mean, sd, np.inf)])


def by_class(F, probability, training, means, prior=8.0):
    """Mean and scale of a session, class by class: a class that is frequent moves no other.

    F (n_trials, n_features, n_windows), probability (n_trials, n_classes)
    training (2, n_features): Mean and scale of training.
    means (n_classes, n_features): Means of the classes in training, normalized.
    prior: Number of trials, of all classes together, that training counts for.
    """
    return by_class_of_sums(F.mean(2), np.square(F).mean(2), probability, training, means, prior)


def by_class_of_sums(first, second, probability, training, means, prior=8.0):
    """As `by_class`, from the means of trials and of their squares (n_trials, n_features)."""
    mean, sd = training
    sd = np.where(np.isfinite(sd), sd, 1.0)
    kept = prior / len(means)
    old = mean + sd * means
    spread = sd**2 * np.maximum(1 - np.square(means).mean(0), 0.0)  # within classes
    n = kept + probability.sum(0)[:, np.newaxis]
    one = (kept * old + probability.T @ first) / n
    two = (kept * (old**2 + spread) + probability.T @ second) / n
    center = one.mean(0)
    scale = np.sqrt(np.maximum(two.mean(0) - center**2, 0.0))
    return np.stack(
        [center, np.where(np.isfinite(training[1]), _scale(center, scale, 1.0), np.inf)]
    )
