"""Scores and features that the cases of the nerve benchmark share."""

import numpy as np

from ..nerve import FEATURE_NAMES
from ._report import row


def classical(X, n_channels):
    """Only the 14 features a channel, and the session: without the log covariances."""
    return np.concatenate([X[:, : len(FEATURE_NAMES) * n_channels], X[:, -1:]], axis=1)


def accuracy_rows(case, name, seed, model, X, y):
    """Share of trials and of windows that are right."""
    windows = model.predict_windows(X)
    return [
        row(case, name, "trial_accuracy", seed, model.score(X, y)),
        row(case, name, "window_accuracy", seed, np.mean(windows == y[:, np.newaxis])),
    ]
