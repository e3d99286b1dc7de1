"""Which trials of movements are unlike those of fit, from the features alone."""

from __future__ import annotations

import numpy as np
from sklearn.covariance import ledoit_wolf
from sklearn.model_selection import KFold

from .._checks.unusual import UnusualMixin, warn_if_unusual
from ._sessions import normalized


class UnusualMovements(UnusualMixin):
    """``is_unusual`` of regressors: how far a trial is from the Gaussian of those of fit."""

    def _learn_usual(self, Z):
        """Keep what features of trials (n_trials, n_features, n_windows) are like."""
        S = summaries(Z)
        self._usual = gaussian(S)
        folds = KFold(min(5, len(S)), shuffle=True, random_state=0).split(S) if len(S) > 1 else ()
        self.usual_scores_ = np.full(len(S), np.nan)
        for fit, left in folds:
            self.usual_scores_[left] = distances(S[left], *gaussian(S[fit]))

    def _unusual_scores(self, X):
        F, session = self._raw_features(X, reset=False)
        scores = np.empty(len(F))
        for index, _, normal in self._by_session(F, session):
            normal = self._batch_normal(F[index]) if normal is None else normal
            scores[index] = self._distances(normalized(F[index], normal))
        return scores

    def _distances(self, Z):
        return distances(summaries(Z), *self._usual)

    def _doubt_trials(self, Z):
        """Warn where trials that nothing adapts to are unlike those of ``fit`` as a whole."""
        known = self.usual_scores_[np.isfinite(self.usual_scores_)]
        if len(known):
            warn_if_unusual(self._distances(Z), known, "trials", "unusual-session")


def summaries(Z):
    """Mean over the windows, and logarithm of the spread, of each feature of each trial."""
    spread = np.sqrt(np.maximum(Z.var(axis=2), 1e-6))
    return np.concatenate([Z.mean(axis=2), np.log(spread)], axis=1)


def gaussian(S):
    """Mean and inverse covariance, shrunk as Ledoit and Wolf (2004) say."""
    mean = S.mean(axis=0)
    if len(S) < 2:
        return mean, np.eye(len(mean))
    shrunk = ledoit_wolf(S - mean, assume_centered=True)[0]
    floor = 1e-6 * max(np.trace(shrunk) / len(shrunk), 1e-12)
    return mean, np.linalg.inv(shrunk + floor * np.eye(len(shrunk)))


def distances(S, mean, precision):
    """Log squared Mahalanobis distance of each row."""
    centered = S - mean
    return np.log(np.maximum(np.einsum("ij,jk,ik->i", centered, precision, centered), 1e-12))
