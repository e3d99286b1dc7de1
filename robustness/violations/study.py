"""What users of studies do to trials, folds and features."""

from functools import cache

import numpy as np
from sklearn.model_selection import KFold

from sklearn_meg import Study, TemporalReceptiveField

from .record import Answer, violation


@cache
def _world(seed):
    """Trials in which one feature drives four channels."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(30, 2, 30))
    y = X[:, :1] * rng.normal(size=(4, 1)) + 2 * rng.normal(size=(30, 4, 30))
    return X, y


def _r(X, y, cv=None):
    study = Study({"trf": TemporalReceptiveField(tmax=2)}, cv=cv or KFold(3)).run(X, y)
    return float(study.table_["r_time"].mean())


@violation("every trial twice", right="R within .05 of that of the trials once")
def duplicated_trials(seed, broken):
    """A file was read twice, so copies of the same trial are in both halves."""
    X, y = _world(seed)
    order = np.random.default_rng(seed).permutation(60) % 30 if broken else np.arange(30)
    return Answer(abs(_r(X[order], y[order]) - _r(X, y)), 0.05)


@violation("targets that are all alike", right="no score, or an error")
def flat_targets(seed, broken):
    """The recording is of a switched-off amplifier."""
    X, y = _world(seed)
    r = _r(X, np.zeros_like(y) if broken else y)
    return Answer(0.0 if np.isnan(r) or not broken else abs(r), 1e-9)
