"""
My own NEURON cell in my own head field
=======================================

A cell built in NEURON, with mechanisms of its own, under a field that another program computed:
from there to a model of its thresholds, with intervals, in less than a minute. Here a small cell
with NEURON's ``hh`` channels and an invented field stand for yours. Needs the extra ``tms``.
"""

# %%
# The cell
# --------
# Sections as any hoc or Python template builds them: soma, dendrite, an axon of nodes and myelin
# with a branch. :class:`~sklearn_meg.tms.NeuronCell` takes them as they are, and puts nothing into
# them that stays.

import tempfile
from pathlib import Path

import numpy as np
from neuron import h

from sklearn_meg.plotting import plot_neuron, plot_predicted_thresholds, plot_recruitment
from sklearn_meg.tms import (
    EFieldSampler,
    NeuronCell,
    PassiveThreshold,
    ThresholdCNN,
    draw_placements,
    placement_rows,
    read_field,
    to_head,
    to_neuron,
)

sections = []


def build(name, points, diameter, parent=None, mechanism="hh"):
    section = h.Section(name=name)
    for x, y, z in points:
        section.pt3dadd(x, y, z, diameter)
    section.nseg = 1 + 2 * int(section.L / 60)
    section.insert(mechanism)
    if mechanism == "pas":
        section.e_pas, section.g_pas = -65, 5e-5
    if "myelin" in name:
        section.cm, section.g_pas = 0.03, 2e-6
    if parent is not None:
        section.connect(parent)
    sections.append(section)
    return section


soma = build("soma", [(0, 0, -10), (0, 0, 10)], 20)
build("apic", [(0, 0, 10), (30, 0, 500)], 3, soma(1), "pas")
build("dend", [(0, 0, -10), (180, 60, -40)], 2, soma(0), "pas")
tip, at = build("ais", [(0, 0, -10), (0, 0, -50)], 1.6, soma(0)), np.array([0.0, 0.0, -50.0])
bends = [(10, 5, -110), (-30, 10, -110), (-60, -20, -90), (-40, -70, -80), (-90, -40, -60)]
for k, bend in enumerate(bends):
    myelin = build(f"myelin{k}", [at, at + bend], 1.4, tip(1), "pas")
    at = at + bend
    tip = build(f"node{k}", [at, at + [0, 0, -2]], 1.1, myelin(1))
    tip.gnabar_hh, tip.gkbar_hh, tip.gl_hh = 0.6, 0.18, 1.5e-3
    at = at + [0, 0, -2]
    if k == 1:
        build("axon_branch", [at, at + [90, 120, -60], at + [290, 260, -40]], 0.9, tip(1))
cell = NeuronCell(sections, name="my cell", v_init=-65, celsius=22)

# %%
# The field
# ---------
# :func:`~sklearn_meg.tms.read_field` reads what SimNIBS and others write: meshes, HDF5 or arrays,
# positions in mm, E in V/m for 1 A/µs. These are samples of an invented field with jumps.

folder = Path(tempfile.mkdtemp())
rng = np.random.default_rng(0)
points = rng.uniform([-12, -12, 58], [12, 12, 78], size=(12_000, 3))  # mm
wave = np.sin(points[:, :2] / 2.5)
E = np.column_stack([0.2 + 0.5 * wave[:, 0], 0.9 + 0.3 * wave[:, 1], 0.1 * wave[:, 0] * wave[:, 1]])
np.savez(folder / "field.npz", points=points, E=E)
field = read_field(folder / "field.npz")

# %%
# Thresholds of a few hundred places
# ----------------------------------
# Neurons somewhere in the region, their axes across it; NEURON finds how strong the pulse must be.

spacing = 0.13e-3  # the grid reaches 4 spacings from the soma, as far as the axon
X = placement_rows(draw_placements(160, random_state=0), geometry=False)
X[:, :3] = rng.uniform([-0.009, -0.009, 0.062], [0.009, 0.009, 0.074], size=(len(X), 3))
E_cell = [
    to_neuron(field(to_head(1e-6 * cell.points, x[:3], x[3:6], x[6])), x[3:6], x[6]) for x in X
]
y = cell.thresholds(np.array(E_cell), duration=1500)
y[~np.isfinite(y)] = np.nan
print(f"{len(y)} thresholds, {np.nanmin(y):.0f} to {np.nanmax(y):.0f} A/µs")

# %%
# Where did it fire?

first = cell.activate(E_cell[0])
print(first)
plot_neuron(cell.to_morphology(), activation=first)

# %%
# The model
# ---------
# Physics (which site does the field polarize most?) and what is left of it, with the shape of the
# cell. 100 places train, 60 test.

grids = EFieldSampler(field=field, spacing=spacing).fit_transform(X)
about = {"morphology": cell.to_morphology(), "spacing": spacing, "random_state": 0}
model = ThresholdCNN(**about).fit(grids[:100], y[:100])
physics = PassiveThreshold(**about).fit(grids[:100], y[:100])
for name, each in {"network on physics": model, "physics": physics}.items():
    error = 100 * np.nanmean(np.abs(each.predict(grids[100:]) / y[100:] - 1))
    print(f"{name}: mean absolute error {error:.1f} %")
interval = model.predict_interval(grids[100:], coverage=0.9)
plot_predicted_thresholds(y[100:], model.predict(grids[100:]), interval, coverage=0.9)

# %%
# How much of it fires?
# ---------------------
# Places of the test, at eight azimuths each: the recruitment curve of the patch.

output = np.linspace(0, np.nanquantile(y, 0.95), 200)
plot_recruitment(output, model.predict_recruitment(grids[100:], output, n_azimuths=8))
