"""What users of state models do to recordings."""

from functools import cache

import numpy as np

from sklearn_meg import HiddenMarkovGraph
from sklearn_meg.datasets import make_states
from sklearn_meg.dynamics.metrics import state_accuracy

from .record import Answer, violation


@cache
def _world(seed):
    return make_states(
        "easy", n_states=3, n_subjects=6, n_times=250, n_regions=10, random_state=seed
    )


def _wrong(data, X, tolerance=0.1, **params):
    model = HiddenMarkovGraph(**{"n_states": 3, "n_init": 3, "random_state": 0, **params}).fit(X)
    return Answer(1 - state_accuracy(data.states, model.predict(X)), tolerance)


@violation("a state more than there are", right="states right in 90 % of the samples")
def too_many_states(seed, broken):
    """Four states are asked for where there are three."""
    data = _world(seed)
    return _wrong(data, data.X, n_states=4 if broken else 3)


@violation("recordings in other units each", right="states right in 90 % of the samples")
def other_units(seed, broken):
    """Each recording comes in units ten times those of the one before."""
    data = _world(seed)
    factors = 10.0 ** np.arange(len(data.X))[:, None, None] if broken else 1.0
    return _wrong(data, np.asarray(data.X) * factors)
