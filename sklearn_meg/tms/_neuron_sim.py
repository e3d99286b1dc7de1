"""Activation thresholds of neurons in electric fields, by simulation in NEURON."""

from __future__ import annotations

import numbers
import threading
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from ._cable import CableModel, fixed_step
from ._compartments import Compartments
from ._membrane import SETTINGS
from ._morphology import Morphology, morphology_key
from ._passive import PASSIVE, highest_drive, low_passed, site_responses
from .neuron_cell import NeuronCell
from .pulses import pulse_key, pulse_waveform

if TYPE_CHECKING:
    from typing import Literal

    from .._typing import ArrayLike, Pulse

__all__ = ["activation_threshold"]

COUPLINGS = ("axial", "extracellular")
SOLVERS = ("auto", "batched", "neuron")

# NEURON holds its models in one place, for the process: one at a time, one thread at a time.
FIRES_ALONE = (
    f"The neuron fires at {SETTINGS.least:g} A/us and less: it fires on its own, and has no "
    "threshold. Look at the diameters (um) of its axon."
)
_LOCK = threading.RLock()
_MODELS = {}
_COMPILED = {}
_ESTIMATES = {}


def activation_threshold(
    morphology: Morphology,
    field: ArrayLike,
    *,
    pulse: Pulse = "monophasic",
    polarity: Literal[1, -1] = 1,
    coupling: Literal["axial", "extracellular"] = "axial",
    solver: Literal["auto", "batched", "neuron"] = "auto",
    tolerance: float = 0.003,
    max_amplitude: float = 10_000.0,
    start: float | None = None,
    time_step: float = 5.0,
    duration: float = 1500.0,
) -> float | np.ndarray:
    """Find the stimulator's dI/dt at which a neuron fires, in A/us.

    E is integrated along the neuron from the soma (trapezoids) to quasi-potentials, which are
    applied to the compartments with the waveform of the pulse. The amplitude is bracketed, in
    steps that grow to doubling and halving, and bisected; the first try comes from the passive
    polarization of the compartments. The neuron fires when three compartments have passed 0 mV (of
    an axon with fewer: all of them, after the strong part of the pulse). The protocol is that of
    Aberra et al. (NeuroImage, 2023).

    Parameters
    ----------
    morphology : Morphology or NeuronCell
        Neuron with an axon; a :class:`NeuronCell` is simulated in NEURON as it is.
    field : array-like of shape (n_points, 3) or (n, n_points, 3), or callable
        E at the points of the morphology in the neuron's frame, in V/m per A/us of dI/dt; or
        ``field(points) -> E`` for points (n_points, 3) in m.
    pulse : {"monophasic", "biphasic", "half-sine"}, array-like of shape (n, 2) or callable
        Waveform, see :func:`pulse_waveform`.
    polarity : {1, -1}, default=1
        -1 for the threshold of -E, the current the other way round: another question.
    coupling : {"axial", "extracellular"}, default="axial"
        Equivalent axial currents, or (about five times slower) NEURON's mechanism
        ``extracellular`` with the same potentials.
    solver : {"auto", "batched", "neuron"}, default="auto"
        "batched" solves the same equations with the same scheme, compiled by numba, for all fields
        at once: some 25 times faster, less than 0.2 % off NEURON, the same to the last bit whatever
        else is in the batch. "auto" takes it where numba is installed and `coupling` allows.
    tolerance : float, default=0.003
        Relative width of the last bracket; the result is its geometric middle.
    max_amplitude : float, default=10000
        Largest dI/dt tried, in A/us.
    start : float, optional
        First amplitude tried, in A/us. None: the passive estimate, which saves half the
        simulations.
    time_step : float, default=5
        Time step in us, implicit Euler. See Notes.
    duration : float, default=1500
        Time to wait for a spike after the onset, in us.

    Returns
    -------
    threshold : float or ndarray of shape (n,)
        Threshold in A/us. Infinity where there was no spike up to `max_amplitude` (censored).

    Raises
    ------
    ImportError
        If NEURON or numba is missing: they come with the extra ``tms``.
    ValueError
        For a morphology without axon, a field of another shape or not finite, or a parameter out
        of its range.
    RuntimeError
        For a neuron that fires without a pulse.

    Notes
    -----
    The model of the last neuron is kept for the next call; building one takes longer than a
    threshold. Call from several processes for speed; threads wait for one another.

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
    if isinstance(morphology, NeuronCell):
        options = {"max_amplitude": max_amplitude, "start": start, "time_step": time_step}
        found = morphology.thresholds(
            field, pulse=pulse, polarity=polarity, tolerance=tolerance, **options
        )
        return float(found[0]) if callable(field) or np.ndim(field) == 2 else found
    fields, single = _check_fields(morphology, field)
    check_options(polarity, coupling, pulse)
    _check_positive(
        tolerance=tolerance,
        max_amplitude=max_amplitude,
        start=1.0 if start is None else start,
        time_step=time_step,
        duration=duration,
    )
    search = Search(pulse, polarity, tolerance, max_amplitude, start, time_step, duration)
    if choose_solver(solver, coupling) == "batched":
        found = _by_compiled_solver(morphology, fields, search)
    else:
        found = _by_neuron(morphology, fields, search, coupling)
    return float(found[0]) if single else found


@dataclass(frozen=True)
class Search:
    """The spike that is searched for, and the tolerance of its threshold."""

    pulse: Pulse
    polarity: int
    tolerance: float
    max_amplitude: float
    start: float | None
    time_step: float
    duration: float

    def wave(self):
        """Waveform in the middle of each step."""
        n_steps = int(np.ceil(self.duration / self.time_step))
        times = self.time_step * (np.arange(n_steps) + 0.5)
        return self.polarity * pulse_waveform(self.pulse, times)

    def starts(self, morphology, flat):
        """First amplitudes for fields (n, 3 * n_points), 0 where there is no field; first step."""
        some = flat.any(axis=1)
        if self.start is not None:
            return np.where(some, min(self.start, self.max_amplitude), 0.0), 2.0
        key = (morphology_key(morphology), pulse_key(self.pulse))
        if key not in _ESTIMATES:
            _ESTIMATES.clear()
            response = site_responses(Compartments(morphology), self.pulse)
            _ESTIMATES[key] = low_passed(response, PASSIVE.tau)
        highest = highest_drive(self.polarity * _ESTIMATES[key], flat)
        weakest = PASSIVE.threshold / self.max_amplitude
        found = PASSIVE.threshold / np.maximum(highest, weakest)
        return np.where(some, found, 0.0), SETTINGS.first_step


def choose_solver(solver, coupling):
    """Return "batched" or "neuron"; complain about a solver that does not exist."""
    if solver not in SOLVERS:
        raise ValueError(f"solver must be one of {list(SOLVERS)}. Got {solver!r}.")
    if solver == "batched" and coupling != "axial":
        raise ValueError(
            'solver="batched" has axial currents only. Got coupling="extracellular": take '
            'solver="neuron".'
        )
    if solver == "auto":
        return "batched" if coupling == "axial" and find_spec("numba") else "neuron"
    return solver


def spikes_needed(n_excitable):
    """Number of compartments that have to pass 0 mV; an axon may have fewer than three."""
    return int(np.clip(n_excitable - 1, 1, SETTINGS.spike))


def _by_compiled_solver(morphology, fields, search):
    """Thresholds by the compiled solver, all fields at once."""
    from ._batched import BatchedCable

    key, flat = (morphology_key(morphology), search.time_step), fields.reshape(len(fields), -1)
    if key not in _COMPILED:
        _COMPILED.clear()
        _COMPILED[key] = BatchedCable(Compartments(morphology), search.time_step)
    cable = _COMPILED[key]
    starts, step = search.starts(morphology, flat)
    some = starts > 0
    limits = step, search.tolerance, search.max_amplitude, spikes_needed(cable.n_excitable)
    found = np.full(len(flat), np.inf)
    found[some] = cable.thresholds(flat[some], search.wave(), starts[some], *limits)[0]
    if (found == 0).any():
        raise RuntimeError(FIRES_ALONE)
    return found


def _by_neuron(morphology, fields, search, coupling):
    """Thresholds by NEURON, one field after the other."""
    starts, step = search.starts(morphology, fields.reshape(len(fields), -1))
    wave = search.wave()
    with _LOCK:
        model = _model(morphology, coupling)
        with fixed_step(model.h, celsius=SETTINGS.celsius):
            found = [
                _search(
                    _Trial(model, E.ravel(), wave, search.time_step),
                    (start, step),
                    search.tolerance,
                    search.max_amplitude,
                )
                for E, start in zip(fields, starts)
            ]
    return np.array(found)


class _Trial:
    """A neuron in a field, and whether it fires at an amplitude."""

    def __init__(self, model, E, wave, time_step):
        self.model, self.wave, self.time_step = model, wave, time_step
        self.drive = model.h.Vector(model.drive @ E)

    def fires(self, amplitude):
        """Simulate the pulse, until it fires or has gone quiet."""
        model, h = self.model, self.model.h
        n_between = max(1, round(SETTINGS.look / self.time_step))
        needed = spikes_needed(model.n_excitable)
        silent = np.abs(self.wave) < SETTINGS.silent
        scaled = self.drive.c().mul(amplitude)
        step, voltages = h.Vector(scaled.size()), h.Vector(model.n_excitable)
        seen, passed = voltages.as_numpy(), np.zeros(model.n_excitable, bool)
        model.reset(self.time_step * 1e-3)
        for k, value in enumerate(self.wave):
            model.sources.scatter(step.copy(scaled).mul(value))
            h.fadvance()
            if (k + 1) % n_between:
                continue
            model.voltages.gather(voltages)
            if needed >= SETTINGS.spike or silent[k]:
                passed |= seen > 0
            if passed.sum() >= needed:
                return True
            if (k + 1) * self.time_step > SETTINGS.settled and seen.max() < SETTINGS.quiet:
                return False
        return False


def _search(trial, begin, tolerance, max_amplitude):
    """Bracket and bisect the smallest amplitude that fires; infinity if none does."""
    start, factor = begin
    if start == 0:
        return np.inf
    low, high = _bracket(trial, start, factor, max_amplitude)
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
            if amplitude < SETTINGS.least:
                raise RuntimeError(FIRES_ALONE)
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
    key = (morphology_key(morphology), coupling)
    if key not in _MODELS:
        while _MODELS:
            _MODELS.popitem()[1].close()
        _MODELS[key] = CableModel(morphology, coupling)
    return _MODELS[key]


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
