"""Sections of NEURON: where their points are, their axial currents, what kind they are."""

import numpy as np

from ._membrane import SETTINGS
from ._morphology import Kind

KIND_OF_NAME = (
    (("soma",), Kind.SOMA),
    (("myelin", "internode"), Kind.INTERNODE),
    (("node",), Kind.NODE),
    (("ais", "iseg", "hill"), Kind.INITIAL_SEGMENT),
    (("axon",), Kind.AXON),
    (("apic",), Kind.APICAL),
)


def points_of(section):
    n = range(section.n3d())
    return np.array([[section.x3d(i), section.y3d(i), section.z3d(i)] for i in n])


def arc(points):
    return np.r_[0.0, np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))]


def at(arc, points, x):
    return np.array([np.interp(x * arc[-1], arc, column) for column in points.T])


def integrals(points, here):
    """Integral of -E along a section to each of its points (uV), linear in E at all points."""
    steps = np.diff(points[here], axis=0)
    rows = np.zeros((len(steps) + 1, len(points), 3))
    for k, step in enumerate(steps):
        rows[k + 1] = rows[k]
        rows[k + 1, here.start + k] -= step / 2
        rows[k + 1, here.start + k + 1] -= step / 2
    return rows.reshape(len(rows), -1)


def interpolate(arc, rows, x):
    at = np.interp(x * arc[-1], arc, np.arange(len(arc)))
    k = min(int(at), len(arc) - 2)
    return rows[k] + (at - k) * (rows[k + 1] - rows[k])


def axial_matrix(sections):
    """Matrix from potentials (mV) of the segments to currents into them (nA).

    Ends of sections are nodes without membrane: they are eliminated.
    """
    index, edges, start_of = {}, [], {}
    for section in sections:
        for segment in section:
            index[section, segment.x] = len(index)
    n = len(index)
    for section in sections:
        parent = section.parentseg()
        if parent is None:
            start = index[section, 0.0] = len(index)
        elif parent.x == 0:
            start = start_of[parent.sec]
        else:
            inner = parent.x if parent.x == 1 else parent.sec(parent.x).x
            start = index[parent.sec, inner]
        start_of[section] = start
        index[section, 1.0] = len(index)
        for segment in [*section, section(1)]:
            this = index[section, segment.x]
            edges.append((start, this, 1 / segment.ri()))
            start = this
    laplacian = np.zeros((len(index), len(index)))
    for a, b, conductance in edges:
        laplacian[[a, b], [b, a]] += conductance
        laplacian[[a, b], [a, b]] -= conductance
    inner = laplacian[:n, n:]
    return laplacian[:n, :n] - inner @ np.linalg.solve(laplacian[n:, n:], inner.T)


def silent_from(wave):
    """Step from which the pulse is too weak to hold a membrane over 0 mV."""
    strong = np.flatnonzero(np.abs(wave) >= SETTINGS.silent * np.abs(wave).max(initial=1e-30))
    last = strong[-1] + 1 if len(strong) else 0
    return last if last < 0.8 * len(wave) else 0


def pointers(h, references):
    vector = h.PtrVector(len(references))
    for i, reference in enumerate(references):
        vector.pset(i, reference)
    return vector


def step_times(time_step, duration):
    return time_step * (np.arange(int(np.ceil(duration / time_step))) + 0.5)


def kind_of_section(section):
    name = str(section).lower()
    for words, kind in KIND_OF_NAME:
        if any(word in name for word in words):
            return kind
    return Kind.DENDRITE
