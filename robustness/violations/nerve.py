"""What users of nerve decoders do to signals and electrodes."""

from functools import cache

import numpy as np

from sklearn_meg import WindowClassifier
from sklearn_meg.datasets import make_nerve

from .record import Answer, violation


@cache
def _world(seed):
    """A decoder of ten movements, and trials of the same day."""
    data = make_nerve(
        (0,), n_train=8, n_test=6, n_channels=8, duration=0.6, sfreq=1000.0, noise=0.2,
        random_state=seed,
    )  # fmt: skip
    train = data.session == 0
    model = WindowClassifier(sfreq=1000.0, hop=0.05, session_row=-1)
    return model.fit(data.X[train], data.y[train]), data.X[~train], data.y[~train]


def _wrong(model, X, y, tolerance=0.15):
    return Answer(np.mean(model.predict(X) != y), tolerance)


@violation("volt instead of microvolt", right="85 % of trials right", silent="warns without a code")
def volts(seed, broken):
    """The recording to be decoded is in volts."""
    model, X, y = _world(seed)
    X = X.copy()
    if broken:
        X[:, :-1] *= 1e-6
    return _wrong(model, X, y)


@violation(
    "a channel that is dead",
    right="85 % of trials right",
    silent="a channel at zero spoils all decisions, without a word",
)
def dead_channel(seed, broken):
    """One channel is zero throughout."""
    model, X, y = _world(seed)
    X = X.copy()
    if broken:
        X[:, 3] = 0
    return _wrong(model, X, y)
