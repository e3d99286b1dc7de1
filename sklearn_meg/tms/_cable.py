"""A neuron as a NEURON model, of built-in mechanisms only."""

import os
from itertools import pairwise

import numpy as np

from .._optional import needs
from ._morphology import Kind
from ._myelin import _branches

__all__ = ["CableModel", "load_neuron"]

REST = -70.0  # mV
CELSIUS = 37.0
# um a compartment may be long; with a third of that, thresholds change by less than 0.1 %
_LONGEST = {Kind.INTERNODE: 25, Kind.DENDRITE: 30, Kind.APICAL: 30}
_LONGEST_ELSE = 10
# Membranes: capacitance (uF/cm2), leak (S/cm2), multiple of the squid's channel densities.
# Fast kinetics at 37 C need many channels: the squid's own density does not conduct there. Nodes
# have 3 S/cm2 of sodium conductance, as models of mammalian nodes do.
_MEMBRANE = {
    Kind.SOMA: (1.0, 3e-4, 2.0),
    Kind.AXON: (1.0, 3e-4, 10.0),
    Kind.INITIAL_SEGMENT: (1.0, 1e-3, 15.0),
    Kind.NODE: (1.0, 3e-3, 25.0),
    Kind.TERMINAL: (1.0, 3e-3, 25.0),
    Kind.DENDRITE: (1.0, 5e-5, 0.0),
    Kind.APICAL: (1.0, 5e-5, 0.0),
    Kind.INTERNODE: (0.01, 1e-6, 0.0),
}
_RESISTIVITY = 100.0  # ohm cm
MODEL = repr((REST, CELSIUS, _LONGEST, _LONGEST_ELSE, _MEMBRANE, _RESISTIVITY))
# Where a spike may show: membranes with channels.
EXCITABLE = tuple(kind for kind, (_, _, channels) in _MEMBRANE.items() if channels)


def load_neuron():
    """Import NEURON quietly and return its ``h``.

    Returns
    -------
    h : neuron.hoc.HocObject

    Raises
    ------
    ImportError
        If NEURON is not installed; the message names the extra.
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


class CableModel:
    """The compartments of a neuron in NEURON, with its coupling to an electric field.

    Sections are unbranched stretches of one kind. Nodes of Ranvier, initial segment, terminals
    and soma have the channels of the squid axon (``hh``, in larger densities) at 37 C, dendrites
    and myelinated stretches are passive. The reversal potential of every leak is set so that no
    current flows at -70 mV: the model rests exactly, and needs no settling before a pulse.

    Parameters
    ----------
    morphology : Morphology
    coupling : {"axial", "extracellular"}

    Attributes
    ----------
    n_segments : int
    potential : ndarray of shape (n_segments, 3 * n_points)
        Quasi-potential in mV of every compartment as a linear function of E (V/m) at the points
        of the morphology: the integral of -E along the neuron from the soma, by trapezoids.
    drive : ndarray of shape (n_segments, 3 * n_points)
        The same as the quantity that drives NEURON: equivalent axial current (nA) or
        extracellular potential (mV).
    polarization : ndarray of shape (n_excitable, 3 * n_points)
        Passive depolarization (mV) of the compartments that can spike after a brief pulse.
    """

    def __init__(self, morphology, coupling):
        self.h = load_neuron()
        self.morphology, self.coupling = morphology, coupling
        self.sections, places = _make_sections(self.h, morphology)
        for section, kind in self.sections:
            _insert(self.h, section, kind, coupling == "extracellular")
        self._balance()
        segments = [segment for section, _ in self.sections for segment in section]
        self.n_segments = len(segments)
        self.potential = _segment_potentials(morphology, places) * 1e-3  # uV to mV
        conductance = _axial_conductances(self.sections)
        currents = conductance @ self.potential
        self._connect(segments, currents)
        excitable = self._excitable(segments)
        self.polarization = _polarization(segments, conductance)[excitable] @ currents

    def reset(self, dt):
        """Go to rest, with a step of `dt` in ms."""
        self.h.celsius, self.h.dt, self.h.secondorder = CELSIUS, dt, 0
        self.sources.scatter(self.silence)
        self.h.finitialize(REST)

    def close(self):
        """Remove the sections from NEURON, whoever still holds this object."""
        self._clamps = self.sources = self.voltages = None
        for section, _ in self.sections:
            self.h.delete_section(sec=section)
        self.sections = []

    def count_sections(self):
        """How many sections NEURON holds in all, ours and others'."""
        return sum(1 for _ in self.h.allsec())

    def _connect(self, segments, currents):
        """Pointers through which a step's drive is written in one call."""
        h = self.h
        if self.coupling == "axial":
            self.drive = currents
            self._clamps = [h.IClamp(segment) for segment in segments]
            for clamp in self._clamps:
                clamp.delay, clamp.dur = 0, 1e9
            targets = [clamp._ref_amp for clamp in self._clamps]
        else:
            self.drive, self._clamps = self.potential, None
            targets = [segment._ref_e_extracellular for segment in segments]
        self.sources = h.PtrVector(len(targets))
        for i, target in enumerate(targets):
            self.sources.pset(i, target)
        self.silence = h.Vector(len(targets), 0)

    def _excitable(self, segments):
        """Pointers through which the potentials of the excitable compartments are read."""
        kinds = [kind for section, kind in self.sections for _ in section]
        excitable = np.flatnonzero(np.isin(kinds, EXCITABLE))
        self.voltages = self.h.PtrVector(len(excitable))
        for i, index in enumerate(excitable):
            self.voltages.pset(i, segments[index]._ref_v)
        return excitable

    def _balance(self):
        """Set the reversal potential of the leaks so that REST is where nothing flows."""
        h = self.h
        h.celsius = CELSIUS
        h.finitialize(REST)
        for section, kind in self.sections:
            if not _MEMBRANE[kind][2]:
                continue
            for segment in section:
                channels = segment.hh
                sodium = channels.gnabar * channels.m**3 * channels.h * (REST - segment.ena)
                potassium = channels.gkbar * channels.n**4 * (REST - segment.ek)
                channels.el = REST + (sodium + potassium) / channels.gl


def _make_sections(h, morphology):
    """Cut the tree into sections; return them and where the centers of their segments lie.

    A place is (point at the end of the edge, fraction of the edge).
    """
    soma = h.Section(name="soma")
    soma.L = soma.diam = _soma_diameter(morphology)
    sections, places = [(soma, Kind.SOMA)], [(0, 0.0)]
    at = dict.fromkeys(np.flatnonzero(morphology.kinds == Kind.SOMA).tolist(), soma)
    for branch in _branches(morphology, morphology.kinds != Kind.SOMA):
        for path in _split_by_kind(morphology, branch):
            kind = Kind(morphology.kinds[path[-1]])
            section = h.Section(name=f"{kind.name.lower()}_{path[-1]}")
            places += _shape(h, section, morphology, path, kind, at[path[0]] is soma)
            section.connect(at[path[0]](0.5 if at[path[0]] is soma else 1))
            at[path[-1]] = section
            sections.append((section, kind))
    return sections, places


def _soma_diameter(morphology):
    """Of the sphere with the area of the soma's cylinders (one point: its own diameter)."""
    soma = np.flatnonzero(morphology.kinds == Kind.SOMA)
    lengths = morphology.lengths()[soma]
    if lengths.sum() == 0:
        return morphology.diameters[0]
    return float(np.sqrt((lengths * morphology.diameters[soma]).sum()))


def _split_by_kind(morphology, branch):
    kinds = morphology.kinds[branch[1:]]
    cuts = [0, *(np.flatnonzero(np.diff(kinds)) + 1), len(kinds)]
    return [branch[a : b + 1] for a, b in pairwise(cuts)]


def _shape(h, section, morphology, path, kind, from_soma):
    """Give a section its form; return where its segments are."""
    points = morphology.points[path].copy()
    edges = np.maximum(np.linalg.norm(np.diff(points, axis=0), axis=1), 1e-3)
    skipped = 0.0
    if from_soma:  # what lies inside the soma is no cable
        skipped = min(morphology.diameters[path[0]] / 2, 0.9 * edges[0])
        points[0] += (points[1] - points[0]) * skipped / edges[0]
    diameters = morphology.diameters[path].copy()
    diameters[0] = diameters[1]
    for (x, y, z), diameter in zip(points, diameters):
        section.pt3dadd(float(x), float(y), float(z), float(diameter))
    length = edges.sum() - skipped
    section.nseg = max(1, int(np.ceil(length / _LONGEST.get(kind, _LONGEST_ELSE))))
    centers = skipped + length * (np.arange(section.nseg) + 0.5) / section.nseg
    ends = np.cumsum(edges)
    edge = np.minimum(np.searchsorted(ends, centers), len(edges) - 1)
    fractions = 1 - (ends[edge] - centers) / edges[edge]
    return [(path[k + 1], fraction) for k, fraction in zip(edge, fractions)]


def _insert(h, section, kind, extracellular):
    capacitance, leak, channels = _MEMBRANE[kind]
    section.Ra, section.cm = _RESISTIVITY, capacitance
    if channels:
        section.insert("hh")
        section.gnabar_hh, section.gkbar_hh = 0.12 * channels, 0.036 * channels
        section.gl_hh = leak
        section.ena, section.ek = 50, -77
    else:
        section.insert("pas")
        section.g_pas, section.e_pas = leak, REST
    if extracellular:
        section.insert("extracellular")


def _segment_potentials(morphology, places):
    """Integral of -E from the soma to every place, for E in V/m: in uV, linear in E."""
    n_points = morphology.n_points
    at_point = np.zeros((n_points, n_points, 3))

    def along(i, fraction):
        """From the parent of i; E changes linearly between the two."""
        parent = morphology.parents[i]
        step = morphology.points[i] - morphology.points[parent]
        row = at_point[parent].copy()
        row[parent] -= (fraction - fraction**2 / 2) * step
        row[i] -= fraction**2 / 2 * step
        return row

    for i in range(1, n_points):
        at_point[i] = along(i, 1.0)
    rows = [along(i, fraction) if i else at_point[0] for i, fraction in places]
    return np.reshape(rows, (len(places), 3 * n_points))


def _axial_conductances(sections):
    """Matrix that takes potentials (mV) of the segments to currents into them (nA).

    Section ends are nodes without membrane: they are eliminated.
    """
    index, edges = {}, []
    for section, _ in sections:
        for segment in [*section, section(1)]:
            index[section, segment.x] = len(index)
    for section, _ in sections:
        here = section.parentseg()
        if here is not None:
            start = index[here.sec, here.x]
        for k, segment in enumerate([*section, section(1)]):
            this = index[section, segment.x]
            if here is not None or k:
                edges.append((start, this, 1 / segment.ri()))
            start = this
    laplacian = np.zeros((len(index), len(index)))
    for a, b, conductance in edges:
        laplacian[[a, b], [b, a]] += conductance
        laplacian[[a, b], [a, b]] -= conductance
    ends = np.array([x == 1 for _, x in index])
    inner = laplacian[np.ix_(~ends, ends)]
    return laplacian[np.ix_(~ends, ~ends)] - inner @ np.linalg.solve(
        laplacian[np.ix_(ends, ends)], inner.T
    )


def _polarization(segments, conductance, duration=0.06):
    """Depolarization (mV) after `duration` ms of constant current (nA): one implicit step."""
    capacitance = np.array([segment.cm * segment.area() * 1e-5 for segment in segments])  # nF
    return np.linalg.inv(np.diag(capacitance / duration) - conductance)
