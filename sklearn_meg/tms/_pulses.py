"""Waveforms of the electric field of magnetic stimulators."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from typing import Literal

    from .._typing import ArrayLike

__all__ = ["PULSES", "pulse_waveform"]

RISE = 70.0  # us from onset to peak current, a quarter of a period
DECAY = 80.0  # us, time constant of the monophasic current after its peak
LOSS = 1000.0  # us, time constant of the damping of the biphasic current
PULSES = ("monophasic", "biphasic", "half-sine")


def pulse_waveform(
    pulse: Literal["monophasic", "biphasic", "half-sine"], times: ArrayLike
) -> np.ndarray:
    """Return the waveform of E during a pulse; its peak, at onset, is 1.

    E follows dI/dt of the coil. The shapes are those of the circuits of common stimulators (a
    capacitor discharged through the coil), rebuilt with MagPro-like durations:

    - ``"monophasic"``: the current rises as a quarter of a sine in 70 us and falls, critically
      damped, with a time constant of 80 us. E is a quarter of a cosine, then a long
      phase of the other sign whose peak is 0.2.
    - ``"biphasic"``: one period of 280 us of a sine damped with 1000 us; E has the peaks 1, -0.9
      and 0.8.
    - ``"half-sine"``: the first half (140 us) of the biphasic pulse.

    Parameters
    ----------
    pulse : {"monophasic", "biphasic", "half-sine"}
    times : array-like
        Times after onset, in us.

    Returns
    -------
    waveform : ndarray of the shape of `times`
        0 before the onset. Its integral (the current) returns to 0.

    Raises
    ------
    ValueError
        For an unknown pulse.

    Examples
    --------
    >>> from sklearn_meg.tms._pulses import pulse_waveform
    >>> pulse_waveform("monophasic", [-1, 0, 35, 150]).round(3)
    array([ 0.   ,  1.   ,  0.707, -0.205])
    """
    if pulse not in PULSES:
        raise ValueError(f"pulse must be one of {list(PULSES)}. Got {pulse!r}.")
    times = np.asarray(times, dtype=float)
    omega = np.pi / (2 * RISE)
    if pulse == "monophasic":
        late = np.maximum(times - RISE, 0)
        wave = np.where(
            times < RISE, np.cos(omega * times), -late / DECAY**2 * np.exp(-late / DECAY) / omega
        )
    else:
        wave = np.cos(omega * times) - np.sin(omega * times) / (omega * LOSS)
        wave *= np.exp(-np.maximum(times, 0) / LOSS)
        wave = np.where(times > (4 if pulse == "biphasic" else 2) * RISE, 0.0, wave)
    return np.where(times < 0, 0.0, wave)
