"""Recordings of a peripheral nerve while a hand moves, with what was meant as the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.signal import fftconvolve

from .._checks.params import check_random_state
from .._repr import short_repr

if TYPE_CHECKING:
    from typing import Literal

    from .._typing import RandomSeed

__all__ = ["GESTURES", "NerveData", "make_nerve"]

# Flexion of thumb, index, middle, ring and little finger, and of the wrist.
GESTURES = {
    "thumb": (1, 0, 0, 0, 0, 0),
    "index": (0, 1, 0, 0, 0, 0),
    "middle": (0, 0, 1, 0, 0, 0),
    "ring": (0, 0, 0, 1, 0, 0),
    "little": (0, 0, 0, 0, 1, 0),
    "pinch": (1, 1, 0, 0, 0, 0),
    "tripod": (1, 1, 1, 0, 0, 0),
    "fist": (1, 1, 1, 1, 1, 0),
    "wrist flexion": (0, 0, 0, 0, 0, 1),
    "wrist extension": (0, 0, 0, 0, 0, -1),
}
SHARE_LOST = {0: 0.0, 1: 0.05, 2: 0.15, 3: 0.25}
SPREAD = {0: 0.0, 1: 0.2, 2: 0.35, 3: 0.5}  # of log gains
UNIT_RADIUS = 1.2  # electrodes over which a unit is seen
# Spikes a second at rest and at most, SD of the log of how large units are seen, and whether those
# that are lost are the faintest.
FIRING = {"dense": (10.0, 400.0, 0.3, False), "sparse": (4.0, 60.0, 1.0, True)}
RAMP = 0.25  # seconds of a movement
JITTER = 0.05  # of each degree of freedom in a trial
OWN_NOISE, SHARED_NOISE = 1.75, 1.6  # microvolt
BURST, BURSTINESS = 0.2, 1.0  # seconds of a swell of the shared noise; SD of its log


@dataclass
class NerveData:
    """Trials of a nerve, and the movements.

    Attributes
    ----------
    X : ndarray of shape (n_trials, n_channels + 1, n_times)
        Microvolt, float32. The last row is the session, constant within a trial.
    y : ndarray of shape (n_trials,)
        Index of the gesture in `gestures`.
    dof : ndarray of shape (n_trials, 6, n_times)
        Intended position of the six degrees of freedom, 1 is a full flexion.
    session : ndarray of int of shape (n_trials,)
        Session 0 is for training; the others are tests, after a drift.
    drift : ndarray of int of shape (n_sessions,)
        Level of drift of each session.
    sfreq : float
        Hz.
    gestures : list of str
        Their names.
    """

    X: np.ndarray
    y: np.ndarray
    dof: np.ndarray
    session: np.ndarray
    drift: np.ndarray
    sfreq: float
    gestures: list

    __repr__ = short_repr


def make_nerve(
    drifts: tuple[int, ...] = (0, 2),
    *,
    n_train: int = 10,
    n_test: int = 4,
    n_channels: int = 16,
    n_units: int = 48,
    sfreq: float = 5000.0,
    duration: float = 1.0,
    noise: float = 1.0,
    firing: Literal["dense", "sparse"] = "dense",
    channel_shift: float = 0.0,
    random_state: RandomSeed = 0,
) -> NerveData:
    """Simulate recordings of a fascicle: units tuned to intended movements, noise, and drift.

    Each unit fires as a Poisson process with a rate that grows with the movement in its preferred
    direction of six degrees of freedom, and is seen on the electrodes near to it. Channels have
    noise of their own and a part that all share. A later session is one after a drift: gains of
    units are multiplied by lognormal factors, some units are lost.

    The difficulty is set so that shrinkage LDA on the 14 features decides 85 to 90 % of the windows
    of the same day, and 70 to 78 % after a drift of level 2 without adaptation.

    Parameters
    ----------
    drifts : tuple of {0, 1, 2, 3}, default=(0, 2)
        Level of drift of each test session against the training session: standard deviation of
        the log gains 0, .2, .35, .5, with 0, 5, 15, 25 % of the units lost. Level 0 is the same
        day.
    n_train, n_test : int, default=10, 4
        Trials a gesture, of the training session and of each test session.
    n_channels, n_units : int, default=16, 48
    sfreq : float, default=5000.0
        Hz.
    duration : float, default=1.0
        Length of a trial in seconds. The movement begins within the first 0.1 s.
    noise : float, default=1.0
        Factor of the noise.
    firing : {"dense", "sparse"}, default="dense"
        "dense": up to 400 spikes a second, as of a few axons that an electrode does not tell apart;
        any unit can be lost. "sparse": up to 60, of single axons, a few of which are much larger
        than the others; the faintest are lost. A window of 0.1 s holds few spikes then, so that
        windows are hard and movements cannot be followed closely (LDA decides about 82 % of
        trials).
    channel_shift : float, default=0.0
        Electrodes by which the array has moved along the nerve in each session after a drift.
    random_state : int, RandomState instance or None, default=0
        Seed of units, trials, noise and drift.

    Returns
    -------
    nerve : NerveData
        Sessions one after the other, the training session first; gestures in random order.

    Raises
    ------
    ValueError
        For an unknown level of drift, or numbers that are not positive.

    Examples
    --------
    >>> from sklearn_meg.datasets import make_nerve
    >>> nerve = make_nerve(n_train=2, n_test=1, duration=0.4)
    >>> nerve.X.shape, nerve.dof.shape, nerve.drift.tolist()
    ((40, 17, 2000), (40, 6, 2000), [0, 0, 2])
    """
    _check_drifts(drifts)
    numbers = {"n_train": n_train, "n_test": n_test, "n_channels": n_channels, "n_units": n_units}
    for name, value in {**numbers, "sfreq": sfreq, "duration": duration}.items():
        if not 0 < value < np.inf:
            raise ValueError(f"{name} must be positive. Got {value!r}.")
        if name in numbers and not isinstance(value, int | np.integer):
            raise TypeError(f"{name} must be an integer. Got {value!r}.")
    if not 0 <= noise < np.inf:
        raise ValueError(f"noise must not be negative. Got {noise!r}.")
    if not np.isfinite(channel_shift):
        raise ValueError(f"channel_shift must be finite. Got {channel_shift!r}.")
    if round(duration * sfreq) < 2:
        raise ValueError(
            f"duration must hold two samples at sfreq={sfreq:g}. Got {duration!r} seconds."
        )
    if firing not in FIRING:
        raise ValueError(f"firing must be one of {', '.join(map(repr, FIRING))}. Got {firing!r}.")
    rng = check_random_state(random_state)
    units = _Units(n_units, n_channels, sfreq, firing, rng)
    parts, levels = [], (0, *drifts)
    for session, level in enumerate(levels):
        gain, mixing = units.after(level, channel_shift, rng)
        for gesture in rng.permutation(
            np.repeat(np.arange(len(GESTURES)), n_test if session else n_train)
        ):
            dof = _movement(gesture, duration, sfreq, rng)
            X = _recording(units, gain, mixing, dof, noise, rng)
            row = np.full((1, X.shape[1]), session)
            parts.append((np.concatenate([X, row]).astype(np.float32), gesture, dof, session))
    X, y, dof, session = (np.array(part) for part in zip(*parts, strict=True))
    return NerveData(
        X, y, dof.astype(np.float32), session, np.array(levels), float(sfreq), list(GESTURES)
    )


def _check_drifts(drifts):
    each = [drifts] if np.ndim(drifts) == 0 else list(drifts)
    unknown = [d for d in each if d not in SPREAD]
    if unknown or np.ndim(drifts) == 0:
        raise ValueError(
            f"drifts must be levels {', '.join(map(str, SPREAD))}, one for each session. "
            f"Got {(unknown or [drifts])[0]!r}."
        )


class _Units:
    """Tuning, place and waveform of the units of a fascicle."""

    def __init__(self, n_units, n_channels, sfreq, firing, rng):
        self.rest, self.top, sizes, self.faintest_go = FIRING[firing]
        tuning = rng.normal(size=(n_units, 6))
        self.tuning = tuning / np.linalg.norm(tuning, axis=1, keepdims=True)
        self.threshold = rng.uniform(-0.2, 0.3, n_units)
        self.place = rng.uniform(0, n_channels - 1, n_units)
        self.size = 10 * np.exp(sizes * rng.normal(size=n_units))  # microvolt
        self.n_channels, self.sfreq = n_channels, sfreq
        t = np.arange(-2e-3, 2e-3, 1 / sfreq)
        width = rng.uniform(2e-4, 5e-4, (n_units, 1))
        self.waveforms = (1 - (t / width) ** 2) * np.exp(-((t / width) ** 2) / 2)

    def after(self, level, shift, rng):
        """Gains of units and the matrix (n_channels, n_units) of a session after a drift."""
        n_units = len(self.size)
        gain = np.exp(SPREAD[level] * rng.normal(size=n_units))
        faintest = np.argsort(gain * self.size)
        order = faintest if self.faintest_go else rng.permutation(n_units)
        gain[order[: round(SHARE_LOST[level] * n_units)]] = 0.0
        place = self.place + (shift if level else 0.0)
        distance = np.arange(self.n_channels)[:, np.newaxis] - place
        return gain, np.exp(-((distance / UNIT_RADIUS) ** 2) / 2)

    def rates(self, dof):
        """Spikes a second (n_units, n_times) during a movement (6, n_times)."""
        drive = np.maximum(self.tuning @ dof - self.threshold[:, np.newaxis], 0.0)
        return self.rest + self.top * drive


def _movement(gesture, duration, sfreq, rng):
    """Intended position (6, n_times): a minimum-jerk ramp to the gesture, which is held."""
    n_times = round(duration * sfreq)
    target = np.array(list(GESTURES.values())[gesture], dtype=float)
    target = target * np.exp(0.2 * rng.normal()) + JITTER * rng.normal(size=6)
    start = rng.uniform(0, min(0.1, duration / 4))
    t = np.clip((np.arange(n_times) / sfreq - start) / RAMP, 0, 1)
    return np.outer(target, t**3 * (10 - 15 * t + 6 * t**2))


def _recording(units, gain, mixing, dof, noise, rng):
    """Channels (n_channels, n_times) in microvolt."""
    n_times = dof.shape[1]
    spikes = rng.poisson(units.rates(dof) / units.sfreq)
    waves = fftconvolve(spikes, units.waveforms, mode="same", axes=1)
    signal = mixing @ (waves * (gain * units.size)[:, np.newaxis])
    own = rng.normal(size=signal.shape)
    return signal + noise * (OWN_NOISE * own + SHARED_NOISE * _shared(n_times, units, rng))


def _shared(n_times, units, rng):
    """Activity of the muscles around that all channels see, in bursts: (n_channels, n_times)."""
    smooth = np.hanning(round(BURST * units.sfreq))
    swell = fftconvolve(rng.normal(size=n_times + len(smooth) - 1), smooth, mode="valid")
    swell = np.exp(BURSTINESS * swell / np.linalg.norm(smooth))
    short = np.hanning(max(3, round(2e-3 * units.sfreq)))
    muscle = fftconvolve(rng.normal(size=n_times + len(short) - 1), short, mode="valid")
    seen = np.exp(0.3 * rng.normal(size=(units.n_channels, 1)))
    return seen * muscle / np.linalg.norm(short) * swell
