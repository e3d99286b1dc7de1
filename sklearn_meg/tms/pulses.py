"""Waveforms of the electric field of magnetic stimulators."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._settings import PULSE

if TYPE_CHECKING:
    from .._typing import ArrayLike, Pulse

__all__ = ["PULSES", "check_pulse", "pulse_key", "pulse_waveform"]

PULSES = ("monophasic", "biphasic", "half-sine")


def pulse_waveform(pulse: Pulse, times: ArrayLike) -> np.ndarray:
    """Return the waveform of E during a pulse; its largest magnitude is 1.

    E follows dI/dt of the coil. The named shapes are those of the circuits of common stimulators
    (a capacitor discharged through the coil), rebuilt with MagPro-like durations:

    - ``"monophasic"``: the current rises as a quarter of a sine in 70 us and falls, critically
      damped, with a time constant of 80 us. E is a quarter of a cosine, then a long
      phase of the other sign whose peak is 0.2.
    - ``"biphasic"``: one period of 280 us of a sine damped with 1000 us; E has the peaks 1, -0.9
      and 0.8.
    - ``"half-sine"``: the first half (140 us) of the biphasic pulse.

    Parameters
    ----------
    pulse : {"monophasic", "biphasic", "half-sine"}, array-like of shape (n, 2) or callable
        A waveform of your own is an array with a row ``(time in us, E or dI/dt)`` for each sample,
        linear in between and zero outside, or a function of times in us. Its unit does not matter:
        it is divided by its largest magnitude within 20 ms. Trains of pulses and beating carriers
        (temporal interference) are such waveforms.
    times : array-like
        Times after onset, in us.

    Returns
    -------
    waveform : ndarray of the shape of `times`
        0 before the onset.

    Raises
    ------
    ValueError
        For an unknown pulse, samples whose times do not grow or begin before 0, values that are
        not finite, or a pulse that is zero throughout.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.tms.pulses import pulse_waveform
    >>> pulse_waveform("monophasic", [-1, 0, 35, 150]).round(3)
    array([ 0.   ,  1.   ,  0.707, -0.205])
    >>> beats = lambda t: np.sin(2 * np.pi * 2e-3 * t) + np.sin(2 * np.pi * 2.1e-3 * t)
    >>> bool(abs(pulse_waveform(beats, np.arange(0, 20_000.0))).max().round(3) == 1)
    True
    """
    times = np.asarray(times, dtype=float)
    if isinstance(pulse, str):
        _check_name(pulse)
        wave = _monophasic(times) if pulse == "monophasic" else _damped_sine(pulse, times)
        return np.where(times < 0, 0.0, wave)
    shape = _own_shape(pulse)
    peak = np.abs(shape(np.arange(0.0, PULSE.longest, PULSE.finest))).max()
    if not 0 < peak < np.inf:
        raise ValueError(f"pulse must be finite, and not zero throughout. Got the peak {peak!r}.")
    return np.where(times < 0, 0.0, shape(times) / peak)


def check_pulse(pulse):
    """Complain about a pulse that is none."""
    pulse_waveform(pulse, 0.0)


def pulse_key(pulse: Pulse) -> str:
    """Return what tells one pulse from another: its name, or a digest of its samples.

    pulse (str, array-like or callable)
    Returns key (str)

    >>> from sklearn_meg.tms.pulses import pulse_key
    >>> pulse_key("biphasic")
    'biphasic'
    """
    if isinstance(pulse, str):
        return pulse
    import hashlib

    wave = pulse_waveform(pulse, np.arange(0.0, PULSE.longest, PULSE.told)).round(6)
    return f"own {hashlib.sha1(wave.tobytes()).hexdigest()[:12]}"


def _monophasic(times):
    omega, late = np.pi / (2 * PULSE.rise), np.maximum(times - PULSE.rise, 0)
    after = -late / PULSE.decay**2 * np.exp(-late / PULSE.decay) / omega
    return np.where(times < PULSE.rise, np.cos(omega * times), after)


def _damped_sine(pulse, times):
    omega = np.pi / (2 * PULSE.rise)
    wave = np.cos(omega * times) - np.sin(omega * times) / (omega * PULSE.loss)
    wave *= np.exp(-np.maximum(times, 0) / PULSE.loss)
    return np.where(times > (4 if pulse == "biphasic" else 2) * PULSE.rise, 0.0, wave)


def _check_name(pulse):
    if pulse not in PULSES:
        raise ValueError(
            f"pulse must be one of {list(PULSES)}, an array of (time in us, E) or a function of "
            f"time. Got {pulse!r}."
        )


def _own_shape(pulse):
    """A function of times (us) from samples or a function, checked."""
    if callable(pulse):
        return lambda times: np.asarray(pulse(times), dtype=float)
    try:
        samples = np.asarray(pulse, dtype=float)
    except (TypeError, ValueError):
        samples = np.empty(0)
    if samples.ndim != 2 or samples.shape[1] != 2 or len(samples) < 2:
        raise ValueError(
            f"pulse must be one of {list(PULSES)}, an array of shape (n, 2) with n at least 2 or "
            f"a function of time. Got {type(pulse).__name__} {np.shape(samples)}."
        )
    at, values = samples.T
    if not np.isfinite(samples).all() or (np.diff(at) <= 0).any() or at[0] < 0:
        raise ValueError("pulse must be finite, with times (us) that grow from 0 or later.")
    return lambda times: np.interp(times, at, values, left=0.0, right=0.0)
