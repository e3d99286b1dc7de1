"""Activation thresholds of neurons in electric fields, by simulation in NEURON."""

from __future__ import annotations

import hashlib
import numbers
import threading
from typing import TYPE_CHECKING

import numpy as np

from ._cable import CableModel
from ._morphology import Morphology

if TYPE_CHECKING:
    from typing import Literal

    from .._typing import ArrayLike

__all__ = ["activation_threshold"]

COUPLINGS = ("axial", "extracellular")
SPIKE = 3  # compartments over 0 mV
LOOK = 25.0  # us between two looks at the compartments
SETTLED, QUIET = 400.0, -50.0  # us after which a neuron this quiet (mV) will not spike any more
GUESS = 14.8  # mV of passive depolarization at which neurons spike, about
LEAST = 1e-6  # A/us; a neuron that fires at less needs no pulse to do so
FIRST_STEP = 1.03  # of the bracket around the guess; grows to doubling and halving

# NEURON holds its models in one place, for the process: one at a time, one thread at a time.
_LOCK = threading.RLock()
_MODELS = {}


def activation_threshold(
    morphology: Morphology,
    field: ArrayLike,
    *,
    pulse: Literal["monophasic", "biphasic", "half-sine"] = "monophasic",
    polarity: Literal[1, -1] = 1,
    coupling: Literal["axial", "extracellular"] = "axial",
    tolerance: float = 0.003,
    max_amplitude: float = 10_000.0,
    start: float | None = None,
    time_step: float = 5.0,
    duration: float = 1000.0,
) -> float | np.ndarray:
    """Find the stimulator's dI/dt at which a neuron fires, in A/us.

    E is integrated along the neuron from the soma (trapezoids) to quasi-potentials, which are
    applied to the compartments with the waveform of the pulse. The amplitude is bracketed, in
    steps that grow to doubling and halving, and bisected; the first try comes from the passive
    depolarization of the compartments. The neuron fires when three compartments have passed 0 mV.
    The protocol is that of Aberra et al. (NeuroImage, 2023).

    Parameters
    ----------
    morphology : Morphology
        Must have an axon.
    field : array-like of shape (n_points, 3) or (n, n_points, 3), or callable
        E at the points of the morphology in the neuron's frame, in V/m per A/us of dI/dt; or
        ``field(points) -> E`` for points (n_points, 3) in m.
    pulse : {"monophasic", "biphasic", "half-sine"}, default="monophasic"
        See :func:`pulse_waveform`.
    polarity : {1, -1}, default=1
        -1 for the threshold of -E, the current the other way round: another question.
    coupling : {"axial", "extracellular"}, default="axial"
        Equivalent axial currents, or (about five times slower) NEURON's mechanism
        ``extracellular`` with the same potentials.
    tolerance : float, default=0.003
        Relative width of the last bracket; the result is its geometric middle.
    max_amplitude : float, default=10000
        Largest dI/dt tried, in A/us.
    start : float, optional
        First amplitude tried, in A/us. None: the passive estimate, which saves half the
        simulations.
    time_step : float, default=5
        In us, implicit Euler. See Notes.
    duration : float, default=1000
        How long after the onset to wait for a spike, in us.

    Returns
    -------
    threshold : float or ndarray of shape (n,)
        In A/us. Infinity where there was no spike up to `max_amplitude` (censored).

    Raises
    ------
    ImportError
        If NEURON is missing: it comes with the extra ``tms``.
    ValueError
        For a morphology without axon, a field of another shape or not finite, or a parameter out
        of its range.
    RuntimeError
        If other models live in this process' NEURON: they would be simulated along. Or for a
        neuron that fires without a pulse.

    Notes
    -----
    The model of the last neuron is kept for the next call; building one takes longer than a
    threshold. Call from several processes for speed; threads wait for one another.

    A step of 5 us reads 2.3 to 3.7 % high against steps of 0.5 us (40 thresholds of the five
    types, monophasic pulse), nearly a common factor; those agree with NEURON's CVODE to 0.2 %.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.tms._neuron_sim import activation_threshold
    >>> from sklearn_meg.tms.neurons import make_neuron
    >>> cell = make_neuron("L5 PC")
    >>> down = np.tile([0.0, 0.0, -1.0], (cell.n_points, 1))  # 1 V/m per A/us
    >>> threshold = activation_threshold(cell, down)
    >>> bool(50 < threshold < 500)
    True
    """
    fields, single = _check_fields(morphology, field)
    check_options(polarity, coupling, pulse)
    _check_positive(
        tolerance=tolerance,
        max_amplitude=max_amplitude,
        start=1.0 if start is None else start,
        time_step=time_step,
        duration=duration,
    )
    times = time_step * (np.arange(int(np.ceil(duration / time_step))) + 0.5)
    wave = polarity * pulse_waveform(pulse, times)
    with _LOCK:
        model = _model(morphology, coupling)
        thresholds = [
            _search(_Trial(model, E.ravel(), wave, time_step), start, tolerance, max_amplitude)
            for E in fields
        ]
    return thresholds[0] if single else np.array(thresholds)


class _Trial:
    """A neuron in a field, and whether it fires at an amplitude."""

    def __init__(self, model, E, wave, time_step):
        self.model, self.wave, self.time_step = model, wave, time_step
        self.drive = model.h.Vector(model.drive @ E)
        self.polarization = np.sign(wave[0]) * (model.polarization @ E)

    def fires(self, amplitude):
        """Simulate the pulse, until it fires or has gone quiet."""
        model, h = self.model, self.model.h
        n_between = max(1, round(LOOK / self.time_step))
        scaled = self.drive.c().mul(amplitude)
        step, voltages = h.Vector(scaled.size()), h.Vector(len(self.polarization))
        seen, passed = voltages.as_numpy(), np.zeros(len(self.polarization), bool)
        model.reset(self.time_step * 1e-3)
        for k, value in enumerate(self.wave):
            model.sources.scatter(step.copy(scaled).mul(value))
            h.fadvance()
            if (k + 1) % n_between:
                continue
            model.voltages.gather(voltages)
            passed |= seen > 0
            if passed.sum() >= SPIKE:
                return True
            if (k + 1) * self.time_step > SETTLED and seen.max() < QUIET:
                return False
        return False


def _search(trial, start, tolerance, max_amplitude):
    """Bracket and bisect the smallest amplitude that fires; infinity if none does."""
    if not np.any(trial.polarization):
        return np.inf
    factor = FIRST_STEP if start is None else 2.0
    if start is None:
        start = GUESS / max(trial.polarization.max(), -0.2 * trial.polarization.min())
    low, high = _bracket(trial, min(start, max_amplitude), factor, max_amplitude)
    if high is None:
        return np.inf
    while high / low > 1 + tolerance:
        middle = np.sqrt(low * high)
        if trial.fires(middle):
            high = middle
        else:
            low = middle
    return float(np.sqrt(low * high))


def _bracket(trial, amplitude, factor, max_amplitude):
    """Amplitudes below and above threshold, the upper None if there is none."""
    if trial.fires(amplitude):
        while True:
            high, amplitude = amplitude, amplitude / factor
            if amplitude < LEAST:
                raise RuntimeError(
                    f"The neuron fires at {LEAST:g} of A/us and less: it fires on its own, and has "
                    "no threshold. Look at the diameters (um) of its axon."
                )
            if not trial.fires(amplitude):
                return amplitude, high
            factor = min(factor**2, 2)
    while amplitude < max_amplitude:
        low, amplitude = amplitude, min(amplitude * factor, max_amplitude)
        if trial.fires(amplitude):
            return low, amplitude
        factor = min(factor**2, 2)
    return amplitude, None


def _model(morphology, coupling):
    """Return the model of a neuron, the one of the last call if it is the same neuron."""
    arrays = (morphology.points, morphology.diameters, morphology.parents, morphology.kinds)
    key = hashlib.sha1(b"".join(a.tobytes() for a in arrays) + coupling.encode()).digest()
    if key not in _MODELS:
        while _MODELS:
            _MODELS.popitem()[1].close()
        _MODELS[key] = CableModel(morphology, coupling)
    model = _MODELS[key]
    others = model.count_sections() - len(model.sections)
    if others:
        raise RuntimeError(
            f"NEURON holds {others} sections that are not ours in this process; they would be "
            "simulated along. Find thresholds in a process of their own (joblib), or delete them."
        )
    return model


def _check_fields(morphology, field):
    """Return E as (n, n_points, 3) and whether there was only one."""
    if not isinstance(morphology, Morphology):
        raise ValueError(f"morphology must be a Morphology. Got {type(morphology).__name__}.")
    if not morphology.has_axon:
        raise ValueError(
            f"{morphology.name} has no axon. TMS excites axons first: a threshold without one "
            "means little."
        )
    fields = np.asarray(field(morphology.points * 1e-6) if callable(field) else field, dtype=float)
    shape = (morphology.n_points, 3)
    if fields.shape[-2:] != shape or fields.ndim not in (2, 3):
        raise ValueError(
            f"field must have the shape {shape} or (n, {shape[0]}, 3): E at the "
            f"{shape[0]} points of {morphology.name}. Got {fields.shape}."
        )
    if not np.isfinite(fields).all():
        raise ValueError("field must be finite. Got NaN or infinity.")
    return fields.reshape(-1, *shape), fields.ndim == 2


def check_options(polarity, coupling, pulse):
    """Complain about a polarity, coupling or pulse that does not exist."""
    if polarity not in (1, -1):
        raise ValueError(f"polarity must be 1 or -1. Got {polarity!r}.")
    if coupling not in COUPLINGS:
        raise ValueError(f"coupling must be one of {list(COUPLINGS)}. Got {coupling!r}.")
    pulse_waveform(pulse, 0.0)


def _check_positive(**values):
    for name, value in values.items():
        if not isinstance(value, numbers.Real) or not 0 < value < np.inf:
            raise ValueError(f"{name} must be positive and finite. Got {value!r}.")


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
    >>> from sklearn_meg.tms._neuron_sim import pulse_waveform
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
