"""Sorting trials into classes: freely, with equal class counts, or with some labels known."""

import numpy as np
from scipy.special import gammaln, softmax
from scipy.stats import chi2

from ._settings import SETTINGS


def log_softmax(logs):
    """Scipy's along axis 1, in a third of the time: it is asked for many times a trial."""
    away = logs - logs.max(1, keepdims=True)
    return away - np.log(np.exp(away).sum(1, keepdims=True))


def free(logs):
    """Log probabilities of classes (n, n_classes), each trial by itself."""
    return log_softmax(logs)


def by_frequency(logs):
    """Log probabilities where the classes' frequencies are learned, each with one trial more."""
    weights = np.zeros(logs.shape[1])
    for _ in range(SETTINGS.n_frequency):
        counts = softmax(logs + weights, axis=1).sum(0) + 1.0
        weights = np.log(counts / counts.mean())
    return log_softmax(logs + weights)


def equal_counts(logs):
    """Log probabilities with class counts drawn to be equal, as where each motion is asked for.

    The classes' log weights are found by entropic optimal transport (Cuturi 2013, NeurIPS), and
    scaled by how many trials a class can have had: with fewer trials than classes they are free.
    """
    n, n_classes = logs.shape
    strength = _strength(n, n_classes)
    weights = np.ones(n_classes)
    if strength:
        kernel = np.exp(np.maximum(logs - logs.max(1, keepdims=True), SETTINGS.farthest))
        mean = n / n_classes + 0.5  # of counts, whatever the weights are
        for _ in range(SETTINGS.n_balance):
            counts = weights * ((1 / (kernel @ weights)) @ kernel) + 0.5
            weights = weights * np.sqrt(mean / counts)
    return log_softmax(logs + strength * np.log(weights))


def _strength(n, n_classes):
    """How far counts can be expected to be equal: not with few trials, with one and a half a class.

    Later beginnings (one trial a class to three) cost .08 online on the hardest person.
    """
    return float(np.clip(n / n_classes - 0.5, 0.0, 1.0))


def clamped(assign, labels):
    """The same assignment where the classes of some trials are known (-1: unknown)."""
    known = np.flatnonzero(labels >= 0)
    if not len(known):
        return assign

    def assigned(logs):
        logs = logs.copy()
        logs[known] = SETTINGS.certain
        logs[known, labels[known]] = 0.0
        return assign(logs)

    return assigned


def are_equally_frequent(logs):
    """Whether the class counts of sorted trials (n, n_classes) are what equal shares would give."""
    n, n_classes = logs.shape
    counts, expected = np.exp(logs).sum(0), n / n_classes
    statistic = np.square(counts - expected).sum() / expected
    return bool(statistic <= SETTINGS.too_unequal * chi2.isf(1e-3, n_classes - 1))


def log_prior(n, n_classes, equal):
    """Log probability of one assignment, where all classes come equally often or anyhow."""
    anyhow = -n * np.log(n_classes)
    if not equal:
        return anyhow
    designed = n_classes * gammaln(n / n_classes + 1) - gammaln(n + 1)
    strength = _strength(n, n_classes)
    return strength * designed + (1 - strength) * anyhow
