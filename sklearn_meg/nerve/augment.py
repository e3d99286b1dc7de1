"""Copies of sessions as they might have been on another day."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .._checks.params import check_random_state
from ..rows import split_session
from ._electrodes import turned

if TYPE_CHECKING:
    from .._typing import RandomSeed

__all__ = ["disturbed_sessions"]


def disturbed_sessions(
    X: np.ndarray,
    y: np.ndarray,
    session_row: int,
    *,
    n_copies: int = 1,
    gain: float = 0.2,
    dropout: float = 0.0,
    shift: float = 0.0,
    random_state: RandomSeed = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Add copies of each session with other gains, lost channels and moved electrodes.

    For training on few sessions. Each copy is a session of its own, so that it is normalized and
    learned from as one.

    Parameters
    ----------
    X : ndarray of shape (n_trials, n_rows, n_times)
        Raw signals, with the session's row.
    y : ndarray of shape (n_trials, ...)
        Classes or movements.
    session_row : int
        Row of X with the session.
    n_copies : int, default=1
        Number of copies of each session.
    gain : float, default=0.2
        Standard deviation of the logarithm of a channel's gain.
    dropout : float, default=0.0
        Probability that a channel is lost (zero).
    shift : float, default=0.0
        Standard deviation of the shift along the channels, in channels; they are a ring, and
        between two the powers are shared.
    random_state : int, RandomState instance or None, default=None

    Returns
    -------
    X, y : ndarray
        The trials, and behind them those of the copies.

    Raises
    ------
    ValueError
        For negative numbers, or a session that changes within a trial.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.nerve import disturbed_sessions
    >>> X = np.random.default_rng(0).normal(size=(6, 5, 100))
    >>> X[:, -1] = 0  # the session
    >>> X, y = disturbed_sessions(X, np.arange(6), session_row=-1, n_copies=2, random_state=0)
    >>> X.shape, np.unique(X[:, -1]).tolist()
    ((18, 5, 100), [0.0, 1.0, 2.0])
    """
    for name, value in {"gain": gain, "dropout": dropout, "shift": shift}.items():
        if not value >= 0:
            raise ValueError(f"{name} must not be negative. Got {value!r}.")
    if dropout > 1:
        raise ValueError(f"dropout must be a probability, at most 1. Got {dropout!r}.")
    if not isinstance(n_copies, int | np.integer) or n_copies < 0:
        raise ValueError(f"n_copies must be an integer of at least 0. Got {n_copies!r}.")
    X, y = np.asarray(X), np.asarray(y)
    if X.ndim != 3 or len(y) != len(X):
        raise ValueError(
            "X must have the shape (n_trials, n_rows, n_times), and y the same n_trials. "
            f"Got {X.shape} and {y.shape}."
        )
    if X.dtype.kind != "f":
        X = X.astype(float)
    if session_row is None:
        raise TypeError("session_row must be an int: the copies are sessions. Got None.")
    signal, session = split_session(X, session_row)
    rng = check_random_state(random_state)
    channels = np.delete(np.arange(X.shape[1]), session_row % X.shape[1])
    parts, labels, name = [X], [y], session.max()
    for _ in range(n_copies):
        for s in np.unique(session):
            name += 1
            chosen = session == s
            copy = X[chosen].copy()
            moved = turned(signal[chosen], shift * rng.normal())
            factor = np.exp(gain * rng.normal(size=len(channels)))
            factor *= rng.uniform(size=len(channels)) >= dropout
            copy[:, channels] = moved * factor[:, np.newaxis]
            copy[:, session_row] = name
            parts.append(copy)
            labels.append(y[chosen])
    return np.concatenate(parts), np.concatenate(labels)
