"""Scores and features that the cases of the nerve benchmark share."""

import numpy as np

from sklearn_meg.nerve import FEATURE_NAMES

from ..report import row


def classical(X, n_channels):
    """Only the 14 features a channel, and the session: without the log covariances."""
    return np.concatenate([X[:, : len(FEATURE_NAMES) * n_channels], X[:, -1:]], axis=1)


def accuracy_rows(case, name, seed, model, X, y):
    """Share of trials and of windows that are right; how far their probabilities are from it."""
    windows = model.predict_proba_windows(X)
    right = model.classes_[windows.argmax(1)] == y[:, np.newaxis]
    return [
        row(case, name, "trial_accuracy", seed, model.score(X, y)),
        row(case, name, "window_accuracy", seed, right.mean()),
        row(case, name, "window_ece", seed, calibration_error(windows.max(1), right)),
    ]


def calibration_error(confidence, right, n_bins=10):
    """Expected calibration error: mean distance of confidence and accuracy, in bins of the former.

    confidence (ndarray): Probability of each decision.
    right (ndarray of bool, of the same shape)
    """
    place = np.minimum((confidence * n_bins).astype(int), n_bins - 1).ravel()
    gap = np.bincount(place, (confidence - right).ravel(), minlength=n_bins)
    return np.abs(gap).sum() / right.size


def halves_rows(case, name, seed, tune, X, y):
    """As `accuracy_rows`; each half of the trials is decided by what learned from the other."""
    half = np.random.default_rng(seed).permutation(len(y)) % 2
    trials, windows = np.empty(len(y)), np.empty(len(y))
    for h in (0, 1):
        model, rest = tune(X[half == h]), half != h
        trials[rest] = model.predict(X[rest]) == y[rest]
        windows[rest] = (model.predict_windows(X[rest]) == y[rest][:, np.newaxis]).mean(1)
    return [
        row(case, name, "trial_accuracy", seed, trials.mean()),
        row(case, name, "window_accuracy", seed, windows.mean()),
    ]
