"""What users of encoders do to stimuli and recordings."""

from functools import cache

import numpy as np

from sklearn_meg import TemporalReceptiveField
from sklearn_meg.metrics import r_over_time

from .record import Answer, violation

N_TRIALS, N_TIMES = 24, 60


@cache
def _world(seed):
    """Features and what follows them by 0 and 3 samples in four channels."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(2 * N_TRIALS, 2, N_TIMES))
    delayed = np.concatenate([np.zeros_like(X[..., :3]), X[..., :-3]], axis=2)
    y = np.einsum("nft,fc->nct", X + delayed, rng.normal(size=(2, 4)))
    return X, y + rng.normal(size=y.shape)


def _lost_r(X, y, spoil_X):
    """Drop of R on new trials when all features are spoiled."""
    halves = slice(N_TRIALS), slice(N_TRIALS, None)

    def r_of(features):
        model = TemporalReceptiveField(tmax=5).fit(features[halves[0]], y[halves[0]])
        return r_over_time(y[halves[1]], model.predict(features[halves[1]]))

    return r_of(X) - r_of(spoil_X(X))


@violation("features of 1e-9", right="R within .02 of that with features of 1")
def tiny_features(seed, broken):
    """Features are in Tesla, say, and nobody scaled them."""
    X, y = _world(seed)
    return Answer(_lost_r(X, y, lambda X: 1e-9 * X if broken else X), 0.02)


@violation("a feature that is constant", right="R within .02 of that without it")
def constant_feature(seed, broken):
    """A column of the design is the intercept."""
    X, y = _world(seed)
    constant = np.full_like(X[:, :1], 3.0)
    return Answer(
        _lost_r(X, y, lambda X: np.concatenate([X, constant], axis=1) if broken else X), 0.02
    )
