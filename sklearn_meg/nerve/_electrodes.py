"""What has happened to the electrodes of a session: a ring that was turned, channels without data.

A ring is turned back by the angle under which the session model finds the session likeliest; no
labels are needed. On surface EMG the search found every turn by one electrode exactly.
"""

import numpy as np

from ._settings import SETTINGS


def turned(signal, turn):
    """Signals (n, n_channels, n_times) moved along the ring of channels; between two, mixed."""
    whole = int(np.floor(turn))
    angle = (turn - whole) * np.pi / 2
    if not angle:
        return np.roll(signal, whole, axis=1)
    near, far = np.roll(signal, whole, axis=1), np.roll(signal, whole + 1, axis=1)
    return np.cos(angle) * near + np.sin(angle) * far


def find_turn(signal, features_of, evidence_of):
    """The turn that undoes that of the session, in electrodes; 0 where none is clearly likelier.

    signal (n_trials, n_channels, n_times)
    features_of (callable): From signals to features.
    evidence_of (callable): From features to the log evidence of the session.
    """
    half = signal.shape[1] // 2
    turns = np.arange(-half, half, SETTINGS.turn_step)
    found = np.array([evidence_of(features_of(turned(signal, turn))) for turn in turns])
    best = int(found.argmax())
    return float(turns[best]) if found[best] > found[turns == 0][0] + SETTINGS.turn_gain else 0.0


def filled(window, scale):
    """A window (n_channels, size) whose channels with NaN are made of their nearest neighbors.

    window (n_channels, size)
    scale (n_channels,): Standard deviation of each channel in training.
    Returns window (n_channels, size) or None: None where half of the channels or more have NaN.
    """
    bad = np.isnan(window).any(axis=1)
    good = np.flatnonzero(~bad)
    if 2 * len(good) <= len(window):
        return None
    window = window.copy()
    for c in np.flatnonzero(bad):
        distance = np.abs(good - c)
        nearest = good[distance == distance.min()]
        window[c] = scale[c] * np.mean(window[nearest] / scale[nearest, np.newaxis], axis=0)
    return window
