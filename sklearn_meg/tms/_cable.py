"""A neuron as a NEURON model, of channels that need no compiler."""

import os
from contextlib import contextmanager

import numpy as np

from .._optional import needs
from ._compartments import Compartments, cut, path_shape, soma_diameter, split_by_kind
from ._membrane import MEMBRANES, POWERS, RATES, SETTINGS, SIGMOIDS, is_excitable
from ._morphology import Kind
from ._myelin import _branches

__all__ = ["CableModel", "load_neuron"]

MODEL = repr((SETTINGS, MEMBRANES))
SODIUM, POTASSIUM = "sklearn_meg_nat", "sklearn_meg_kv3"  # mechanisms in NEURON


def load_neuron():
    """Import NEURON quietly and return its ``h``.

    Returns h (neuron.hoc.HocObject)
    Raises ImportError if NEURON is not installed; the message names the extra.
    """
    options = os.environ.get("NEURON_MODULE_OPTIONS")
    os.environ["NEURON_MODULE_OPTIONS"] = options or "-nogui"  # no words about displays
    try:
        with needs("A simulation of neurons", "NEURON", "sklearn-meg[tms]"):
            from neuron import h
    finally:
        if options is None:
            del os.environ["NEURON_MODULE_OPTIONS"]
    return h


@contextmanager
def fixed_step(h, **values):
    """Simulate with a fixed step and with these globals of NEURON; put them back afterwards."""
    names = ("celsius", "dt", "secondorder", "t", *values)
    before = {name: getattr(h, name) for name in names if hasattr(h, name)}
    cvode = h.CVode()
    variable = cvode.active()
    cvode.active(0)
    try:
        for name, value in {"secondorder": 0, **values}.items():
            setattr(h, name, value)
        yield
    finally:
        cvode.active(variable)
        for name, value in before.items():
            setattr(h, name, value)


class CableModel:
    """The compartments of a neuron in NEURON, with its coupling to an electric field.

    Sections are unbranched stretches of one kind. Nodes of Ranvier, initial segment, terminals
    and soma have channels (see :mod:`._membrane`), built by NEURON's own channel builder; dendrites
    and myelinated stretches are passive. The reversal potential of every leak is set so that no
    current flows at -70 mV: the model rests exactly, and needs no settling before a pulse.

    coupling ({"axial", "extracellular"})
    drive (n_segments, 3 * n_points): Drive of NEURON, linear in E (V/m) at the points of the
        morphology: equivalent axial current (nA) or extracellular potential (mV).
    """

    def __init__(self, morphology, coupling):
        self.h = load_neuron()
        _build_channels(self.h)
        self.morphology, self.coupling = morphology, coupling
        self.compartments = Compartments(morphology)
        self.sections = _make_sections(self.h, morphology)
        for section, kind in self.sections:
            _insert(self.h, section, kind, coupling == "extracellular")
        with fixed_step(self.h, celsius=SETTINGS.celsius):
            self._balance()
        segments = [segment for section, _ in self.sections for segment in section]
        self.n_segments = len(segments)
        self._connect(segments)
        self._watch(segments)

    def reset(self, dt):
        """Go to rest, with a step of `dt` in ms."""
        self.h.dt = dt
        self.sources.scatter(self.silence)
        self.h.finitialize(SETTINGS.rest)

    def close(self):
        """Remove the sections from NEURON, whoever still holds this object."""
        self._clamps = self.sources = self.voltages = None
        for section, _ in self.sections:
            self.h.delete_section(sec=section)
        self.sections = []

    def _connect(self, segments):
        """Pointers through which a step's drive is written in one call."""
        h, kinds = self.h, self.compartments.kind
        if self.coupling == "axial":
            self.drive = _reduced_currents(self.compartments)
            self._clamps = [h.IClamp(segment) for segment in segments]
            for clamp in self._clamps:
                clamp.delay, clamp.dur = 0, 1e9
            targets = [clamp._ref_amp for clamp in self._clamps]
        else:
            self.drive, self._clamps = self.compartments.potential[kinds > 0], None
            targets = [segment._ref_e_extracellular for segment in segments]
        self.sources = h.PtrVector(len(targets))
        for i, target in enumerate(targets):
            self.sources.pset(i, target)
        self.silence = h.Vector(len(targets), 0)

    def _watch(self, segments):
        """Pointers through which the potentials of the excitable compartments are read."""
        kinds = [kind for section, kind in self.sections for _ in section]
        excitable = [i for i, kind in enumerate(kinds) if is_excitable(kind)]
        self.n_excitable = len(excitable)
        self.voltages = self.h.PtrVector(self.n_excitable)
        for i, index in enumerate(excitable):
            self.voltages.pset(i, segments[index]._ref_v)

    def _balance(self):
        """Set the reversal potential of the leaks so that rest is where nothing flows."""
        self.h.finitialize(SETTINGS.rest)
        for section, kind in self.sections:
            if not is_excitable(kind):
                continue
            for segment in section:
                outward = sum(_open(segment, name) for name in (SODIUM, POTASSIUM))
                segment.pas.e = SETTINGS.rest + outward / segment.pas.g


def _open(segment, name):
    """Current density (mA/cm2) through the channels of a kind at the present potential."""
    ion, states = ("ena", ("m", "h")) if name == SODIUM else ("ek", ("n",))
    channels = getattr(segment, name)
    shares = [getattr(channels, f"{state}") ** POWERS[state] for state in states]
    return channels.gmax * np.prod(shares) * (segment.v - getattr(segment, ion))


def _build_channels(h):
    """Define the channels once a process: such types can be neither changed nor taken away."""
    if hasattr(h, SODIUM):
        return
    sodium = _new_channel(h, SODIUM, "na", RATES)
    for k, (forwards, backwards) in enumerate(RATES.values()):
        _set_gate(h, sodium, k, 0, (3, forwards), (3, backwards))
    potassium = _new_channel(h, POTASSIUM, "k", "n")
    _set_gate(h, potassium, 0, 1, *((4, row) for row in SIGMOIDS))


def _new_channel(h, name, ion, states):
    channel = h.KSChan(0)
    channel.name(name)
    channel.ion(ion)
    channel.iv_type(0)
    channel.gmax(0.0)
    for k, state in enumerate(states):
        channel.add_hhstate(state)
        channel.gate(k).power(POWERS[state])
    return channel


def _set_gate(h, channel, k, kind, *functions):
    """Give a gate its rates (kind 0) or steady state and time constant (1)."""
    transition = channel.trans(k)
    transition.type(kind)
    for which, (function, parameters) in enumerate(functions):
        transition.set_f(which, function, h.Vector(parameters))


def _make_sections(h, morphology):
    """Cut the tree into sections, (section, kind) in the order of the compartments."""
    soma = h.Section(name="soma")
    soma.L = soma.diam = soma_diameter(morphology)
    sections = [(soma, Kind.SOMA)]
    at = dict.fromkeys(np.flatnonzero(morphology.kinds == Kind.SOMA).tolist(), soma)
    for branch in _branches(morphology, morphology.kinds != Kind.SOMA):
        for path in split_by_kind(morphology, branch):
            kind = Kind(morphology.kinds[path[-1]])
            section = h.Section(name=f"{kind.name.lower()}_{path[-1]}")
            _shape(section, morphology, path, kind)
            section.connect(at[path[0]](0.5 if at[path[0]] is soma else 1))
            at[path[-1]] = section
            sections.append((section, kind))
    return sections


def _shape(section, morphology, path, kind):
    """Give a section its form."""
    edges, skipped, diameters = path_shape(morphology, path)
    points = morphology.points[path].copy()
    points[0] += (points[1] - points[0]) * skipped / edges[0]
    for (x, y, z), diameter in zip(points, diameters):
        section.pt3dadd(float(x), float(y), float(z), float(diameter))
    section.nseg = len(cut(edges, skipped, kind, path)[1])


def _insert(h, section, kind, extracellular):
    membrane = MEMBRANES[kind]
    section.Ra, section.cm = SETTINGS.resistivity, membrane.capacitance
    section.insert("pas")
    section.g_pas, section.e_pas = membrane.leak, SETTINGS.rest
    if is_excitable(kind):
        section.insert(SODIUM)
        section.insert(POTASSIUM)
        setattr(section, f"gmax_{SODIUM}", membrane.sodium)
        setattr(section, f"gmax_{POTASSIUM}", membrane.potassium)
        section.ena, section.ek = SETTINGS.sodium_reversal, SETTINGS.potassium_reversal
    if extracellular:
        section.insert("extracellular")


def _reduced_currents(compartments):
    """Axial currents (nA) of a field, with the branch points, which hold no charge, eliminated."""
    laplacian, real = compartments.laplacian(), compartments.kind > 0
    inner, within = laplacian[np.ix_(real, ~real)], laplacian[np.ix_(~real, ~real)]
    reduced = laplacian[np.ix_(real, real)] - inner @ np.linalg.solve(within, inner.T)
    return reduced @ compartments.potential[real]
