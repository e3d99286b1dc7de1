"""A neuron cut into compartments: areas, axial conductances, what a field does to them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ._membrane import MEMBRANES, SETTINGS, is_excitable
from ._morphology import Kind
from ._myelin import _branches

OHM_CM = 1e-2  # MOhm um from ohm cm


class Compartments:
    """The compartments of a morphology, cut as in the NEURON model of it.

    Unbranched stretches of one kind are cut into pieces; where several begin, a node without
    membrane joins them. Areas and resistances are integrals over truncated cones, as NEURON's.

    parent (n,): Smaller than the own index; -1 of the soma, the first.
    area (n,): Area in um2; 0 of branch points.
    axial (n,): Conductance to the parent, in uS.
    kind (n,): Values of :class:`Kind`; 0 of branch points.
    potential (n, 3 * n_points): Quasi-potential in mV of every compartment, linear in E (V/m) at
        the points.
    """

    def __init__(self, morphology):
        self.morphology = morphology
        diameter = soma_diameter(morphology)
        self._rows = [(-1, np.pi * diameter**2, np.inf, int(Kind.SOMA), (0, 0.0))]
        somatic = np.flatnonzero(morphology.kinds == Kind.SOMA)
        self._ends = dict.fromkeys(somatic.tolist(), (0, 0.0))
        for branch in _branches(morphology, morphology.kinds != Kind.SOMA):
            for path in split_by_kind(morphology, branch):
                self._add(path)
        parent, area, resistance, kind, places = zip(*self._rows)
        self.parent, self.area = np.array(parent), np.array(area)
        self.axial, self.kind = 1 / np.array(resistance), np.array(kind)
        self.potential = segment_potentials(morphology, places) * 1e-3

    def __len__(self):
        return len(self.parent)

    @property
    def excitable(self):
        """Indices of compartments with channels."""
        return np.flatnonzero([is_excitable(kind) for kind in self.kind.tolist()])

    def capacity(self):
        """Capacitance in nF, (n,)."""
        return self._membrane("capacitance") * self.area * 1e-5

    def conductance(self, name):
        """Conductance in uS of "leak", "sodium" or "potassium", (n,)."""
        return self._membrane(name) * self.area * 1e-2

    def laplacian(self):
        """Matrix that takes potentials (mV) to axial currents into the compartments (nA)."""
        child, parent, axial = np.arange(1, len(self)), self.parent[1:], self.axial[1:]
        matrix = np.zeros((len(self), len(self)))
        np.add.at(matrix, (child, parent), axial)
        np.add.at(matrix, (parent, child), axial)
        np.add.at(matrix, (child, child), -axial)
        np.add.at(matrix, (parent, parent), -axial)
        return matrix

    def _membrane(self, name):
        kinds = self.kind.tolist()
        return np.array([getattr(MEMBRANES[Kind(k)], name) if k else 0.0 for k in kinds])

    def _add(self, path):
        """Cut one stretch; its first piece hangs from where the stretch begins."""
        morphology, kind = self.morphology, Kind(self.morphology.kinds[path[-1]])
        before, resistance = self._ends[path[0]]
        edges, skipped, diameters = path_shape(morphology, path)
        halves, places = cut(edges, skipped, kind, path)
        areas, integrals = _cones(edges, diameters, halves)
        integrals = integrals * SETTINGS.resistivity * OHM_CM
        for k, place in enumerate(places):
            here = resistance + integrals[2 * k]
            self._rows.append((before, areas[2 * k : 2 * k + 2].sum(), here, int(kind), place))
            before, resistance = len(self._rows) - 1, integrals[2 * k + 1]
        if morphology.n_children()[path[-1]] > 1:
            self._rows.append((before, 0.0, resistance, 0, (path[-1], 1.0)))
            before, resistance = len(self._rows) - 1, 0.0
        self._ends[path[-1]] = (before, resistance)


def soma_diameter(morphology):
    """Diameter of the sphere with the area of the soma's cylinders (one point: its own)."""
    soma = np.flatnonzero(morphology.kinds == Kind.SOMA)
    lengths = morphology.lengths()[soma]
    if lengths.sum() == 0:
        return float(morphology.diameters[0])
    return float(np.sqrt((lengths * morphology.diameters[soma]).sum()))


def split_by_kind(morphology, branch):
    """Cut a path where the kind changes."""
    kinds = morphology.kinds[branch[1:]]
    cuts = [0, *(np.flatnonzero(np.diff(kinds)) + 1), len(kinds)]
    return [branch[a : b + 1] for a, b in pairwise(cuts)]


def path_shape(morphology, path):
    """Lengths of the edges of a path, what of the first lies inside the soma, and diameters."""
    steps = np.diff(morphology.points[path], axis=0)
    edges = np.maximum(np.linalg.norm(steps, axis=1), 1e-3)
    from_soma = morphology.kinds[path[0]] == Kind.SOMA
    skipped = min(morphology.diameters[path[0]] / 2, 0.9 * edges[0]) if from_soma else 0.0
    diameters = morphology.diameters[path].copy()
    diameters[0] = diameters[1]
    return edges, skipped, diameters


def cut(edges, skipped, kind, path):
    """Ends and centers of the pieces of a path, in um along it, and the places of the centers.

    A place is (point at the end of the edge, fraction of the edge).
    """
    length = edges.sum() - skipped
    n = max(1, int(np.ceil(length / SETTINGS.longest.get(kind, SETTINGS.longest_else))))
    halves = skipped + length * np.arange(2 * n + 1) / (2 * n)
    ends, centers = np.cumsum(edges), halves[1::2]
    edge = np.minimum(np.searchsorted(ends, centers), len(edges) - 1)
    fractions = 1 - (ends[edge] - centers) / edges[edge]
    return halves, [(path[k + 1], fraction) for k, fraction in zip(edge, fractions)]


def segment_potentials(morphology, places):
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


def _cones(edges, diameters, cuts):
    """Area (um2) and integral of 4 / (pi d^2) (1/um) between cuts along truncated cones."""
    ends = np.r_[0, np.cumsum(edges)]
    marks = np.unique(np.concatenate([ends, cuts]))
    marks = marks[(marks >= cuts[0]) & (marks <= cuts[-1])]
    widths, steps = np.interp(marks, ends, diameters), np.diff(marks)
    first, last = widths[:-1], widths[1:]
    areas = np.pi * (first + last) / 2 * np.hypot(steps, (last - first) / 2)
    integrals = 4 / np.pi * steps / (first * last)
    pieces = np.searchsorted(cuts, (marks[:-1] + marks[1:]) / 2) - 1
    pieces = np.clip(pieces, 0, len(cuts) - 2)
    return tuple(np.bincount(pieces, values, len(cuts) - 1) for values in (areas, integrals))
