"""Cells of another generator, with channels of their own, simulated by NEURON as a user's are.

Trees are walks that turn, branch and taper (no recipe of ours), with squid channels (NEURON's
``hh``) in soma, initial segment, nodes of Ranvier and bare ends, and ``pas`` elsewhere.
"""

from importlib.util import find_spec

import numpy as np

from sklearn_meg.tms import NeuronCell, make_tms_dataset

from ..report import row
from . import data as data
from .few import covered
from .models import PHYSICS, make_model
from .scores import fit_and_score

CELLS = (101, 102)  # others (1, 2, 3) were looked at when the model was made
SIZES = (30, 100, 300, 1000)
N_TEST, SPACING, HETEROGENEITY, CELSIUS = 500, 0.3e-3, 1.0, 25.0
MODELS = ("default", "no_morphology", *PHYSICS, "hist_gb", "uniform_mean")


def foreign_rows(seed, quick):
    """One of the cells a seed, from few thresholds; case ``other_cells_N``."""
    if not find_spec("neuron"):
        print("other_cells: NEURON is not installed (extra tms); its rows are left out")
        return []
    number = CELLS[seed % len(CELLS)]
    sizes, n_test = ((20,), 10) if quick else (SIZES, N_TEST)
    cell = foreign_cell(number)
    path = None if quick else data.cache_folder() / f"foreign_{number}.npz"
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
    made = make_tms_dataset(
        cell, max(sizes) + n_test, path, spacing=SPACING, heterogeneity=HETEROGENEITY, verbose=0
    )
    X, y = made["grids"], made["threshold"]
    test, shape, rows = slice(max(sizes), None), cell.to_morphology(), []
    for n in sizes:
        chosen = np.random.default_rng(seed).permutation(test.start)[:n]
        for name in MODELS:
            model = make_model(name, shape, seed, quick, spacing=SPACING)
            rows += fit_and_score(f"other_cells_{n}", name, seed, model, X, y, chosen, test)
            if name == "default" and n >= 100:
                rows.append(row(f"other_cells_{n}", name, "coverage", seed,
                                covered(model, X[test], y[test])))  # fmt: skip
    return rows


def foreign_cell(number):
    """Grow a cell in NEURON; it lives as long as what is returned.

    number: Seed: another number is another cell.
    Returns cell (NeuronCell)
    """
    rng = np.random.default_rng(number)
    grown = _Grown(rng)
    soma = grown.section("soma", np.array([[0, 0, -9.0], [0, 0, 9.0]]), [18, 18], None, "hh")
    for k in range(rng.integers(4, 8)):
        grown.dendrite(f"dend{k}", soma(0.5), _unit(rng), rng.uniform(120, 260), 2.0)
    grown.dendrite("apic", soma(1), np.array([0, 0, 1.0]), rng.uniform(300, 700), 3.0)
    grown.axon(soma)
    return NeuronCell(grown.sections, name=f"foreign {number}", v_init=-65, celsius=CELSIUS)


class _Grown:
    """Sections made so far."""

    def __init__(self, rng):
        from neuron import h

        self.h, self.rng, self.sections = h, rng, []

    def section(self, name, points, diameters, parent, mechanism, sodium=0.12, cm=1.0):
        section = self.h.Section(name=name)
        for (x, y, z), diameter in zip(points, diameters):
            section.pt3dadd(float(x), float(y), float(z), float(diameter))
        section.nseg = 1 + 2 * int(section.L / 40)
        section.Ra, section.cm = 120.0, cm
        section.insert(mechanism)
        if mechanism == "hh":
            # All in proportion: rest stays where it is.
            section.gnabar_hh, section.gkbar_hh = sodium, 0.3 * sodium
            section.gl_hh = 0.0025 * sodium
        else:
            section.e_pas, section.g_pas = -65, 5e-5 if cm > 0.5 else 2e-6
        if parent is not None:
            section.connect(parent)
        self.sections.append(section)
        return section

    def walk(self, start, direction, length, wiggle):
        """Points of a path that turns a little at every step of 20 um."""
        points, heading = [np.asarray(start, float)], np.asarray(direction, float)
        for _ in range(max(1, round(length / 20))):
            heading = heading + wiggle * self.rng.standard_normal(3)
            heading /= np.linalg.norm(heading)
            points.append(points[-1] + heading * length / max(1, round(length / 20)))
        return np.array(points), heading

    def dendrite(self, name, parent, direction, length, diameter):
        points, heading = self.walk(_end(parent), direction, 0.5 * length, 0.25)
        taper = np.linspace(diameter, 0.7 * diameter, len(points))
        stem = self.section(name, points, taper, parent, "pas")
        if diameter > 0.8:
            for k in range(2):
                side = heading + 0.7 * self.rng.standard_normal(3)
                self.dendrite(f"{name}_{k}", stem(1), side, 0.7 * length, 0.6 * diameter)

    def axon(self, soma):
        """Initial segment, a main axon of nodes and myelin, branches from some of the nodes."""
        points, heading = self.walk(_end(soma(0)), [0, 0, -1], 40, 0.1)
        tip = self.section("ais", points, np.full(len(points), 1.6), soma(0), "hh", 0.4)
        self.myelinated("main", tip(1), heading, self.rng.uniform(900, 1100), 1.3, 0)

    def myelinated(self, name, parent, heading, length, diameter, order):
        done, k = 0.0, 0
        while done < length:
            step = min(self.rng.uniform(60, 110) * diameter, length - done)
            wraps, heading = self.walk(_end(parent), heading, max(step, 20), 0.15)
            myelin = self.section(f"{name}_myelin{k}", wraps, np.full(len(wraps), diameter),
                                  parent, "pas", cm=0.03)  # fmt: skip
            ends = np.array([wraps[-1], wraps[-1] + 2 * heading])
            node = self.section(f"{name}_node{k}", ends, [0.8 * diameter] * 2, myelin(1), "hh", 0.6)
            if order < 2 and self.rng.random() < 0.45:
                side = heading + 1.2 * self.rng.standard_normal(3)
                side /= np.linalg.norm(side)
                reach, thin = self.rng.uniform(0.3, 0.6) * length, 0.7 * diameter
                grow = self.bare if self.rng.random() < 0.3 else self.myelinated
                grow(f"{name}_{k}", node(1), side, reach, thin, order + 1)
            parent, done, k = node(1), done + max(step, 20), k + 1

    def bare(self, name, parent, heading, length, diameter, order):
        points, _ = self.walk(_end(parent), heading, 0.6 * length, 0.3)
        self.section(f"{name}_axon", points, np.full(len(points), diameter), parent, "hh", 0.2)


def _end(segment):
    """3-D point at the end of a section, or in its middle."""
    section, last = segment.sec, segment.sec.n3d() - 1
    points = np.array([[section.x3d(i), section.y3d(i), section.z3d(i)] for i in (0, last)])
    return points[0] + segment.x * (points[1] - points[0])


def _unit(rng):
    direction = rng.standard_normal(3)
    return direction / np.linalg.norm(direction)
