"""
From a coil to a map of thresholds
==================================

How strong must a pulse be for neurons in a patch of cortex to fire? A network that knows the
physics learns it from simulated thresholds of one layer 5 pyramidal cell, then answers for a
thousand neurons at once. The thresholds come with the package, so nothing here needs NEURON.
"""

# %%
# Coil, field, neuron
# -------------------
# A figure-8 coil over a spherical head. :class:`~sklearn_meg.tms.SphereField` is the field it
# induces, in V/m for each A/µs by which the current rises. It varies little along one neuron; where
# the conductivity of the tissue jumps, it varies much more
# (:class:`~sklearn_meg.tms.HeterogeneousField`). Here is such a field along the cell.

import matplotlib.pyplot as plt
import numpy as np

from sklearn_meg.plotting import plot_neuron, plot_predicted_thresholds, plot_threshold_map
from sklearn_meg.tms import (
    EFieldSampler,
    HeterogeneousField,
    PassiveThreshold,
    SphereField,
    ThresholdCNN,
    UniformFieldThreshold,
    figure8_coil,
    grid_spacing,
    load_l5_thresholds,
    make_neuron,
    to_head,
    to_neuron,
)

coil = figure8_coil().at([0, 0, 0.0925], [0, 0, -1])  # 5 mm above a scalp of 87.5 mm
cell = make_neuron("L5 PC")
soma, axis = np.array([0, 0, 0.068]), np.array([0.0, 1.0, 0.3])
axis /= np.linalg.norm(axis)
field = HeterogeneousField(SphereField(coil), soma, axis, heterogeneity=0.8, random_state=11)
E = to_neuron(field(to_head(1e-6 * cell.points, soma, axis, 0.0)), axis, 0.0)
plot_neuron(cell, E)

# %%
# Learn
# -----
# A row of X is a place: position, axis and azimuth of the neuron, and the seed of the fold around
# it. ``EFieldSampler`` turns places into grids of field vectors in the neuron's own frame, and the
# network turns grids into thresholds, in A/µs. It knows the shape of the neuron, starts from the
# polarization that the field causes there, and learns what is to be added. Beside it: that physics
# alone, which saw no threshold; a network that knows no neuron; and the map of the uniform-field
# approximation, which knows only the field at the soma.

X, y = load_l5_thresholds()
train, test = slice(0, 2400), slice(2400, 3000)
sampler = EFieldSampler(field=SphereField(coil), spacing=grid_spacing("L5 PC"), heterogeneity=0.8)
grids = sampler.fit_transform(X)
models = {
    "uniform field": UniformFieldThreshold(),
    "network without a neuron": ThresholdCNN(max_epochs=60, random_state=0),
    "network on physics": ThresholdCNN(morphology="L5 PC", max_epochs=60, random_state=0),
}
physics = PassiveThreshold(morphology="L5 PC").fit(grids[train])
for name, each in {"physics alone": physics, **models}.items():
    if name in models:
        each.fit(grids[train], y[train])
    error = 100 * np.abs(each.predict(grids[test]) / y[test] - 1)
    print(f"{name}: mean absolute error {error.mean():.1f} %")
model = models["network on physics"]

# %%
# How far can a prediction be trusted? Conformal intervals hold the true threshold nine times in
# ten: the legend has the share that they hold beside the one that was asked for.

interval = model.predict_interval(grids[test], coverage=0.9)
plot_predicted_thresholds(y[test], model.predict(grids[test]), interval, coverage=0.9)

# %%
# A patch of cortex
# -----------------
# 31 x 31 neurons, 20 mm below the scalp, whose axes lie in the plane of the patch, as on the wall
# of a sulcus. All sit in folds of the same shape. The thresholds take a fraction of a second.

side = np.linspace(-0.02, 0.02, 31)
x, z = (a.ravel() for a in np.meshgrid(side, side))
positions = np.column_stack([x, z, np.full(len(x), 0.0675)])
places = np.column_stack(
    [positions, np.tile([0.0, 1.0, 0.0, 0.0], (len(x), 1)), np.full(len(x), 123)]
)
patch = sampler.transform(places)
thresholds = model.predict(patch)
plot_threshold_map(positions, thresholds, arrows=SphereField(coil)(positions))

# %%
# The other direction of the current is another question: axons that the field left before are now
# those it enters. ``predict_both`` answers both.

both = model.predict_both(patch)
fig, axes = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
for ax, each, name in zip(axes, both.T, ("this direction", "reversed"), strict=True):
    plot_threshold_map(positions, each, ax)
    ax.set_title(f"{name}: lowest {each.min():.0f} A/µs")

# %%
# For which field vectors would a stronger field help most? The derivative of the threshold with
# respect to every vector says so, for whoever designs coils.

gradient = model.threshold_gradient(grids[:1])
print("gradient . field =", float((gradient * grids[:1]).sum()), "= - threshold")
print("threshold         =", float(model.predict(grids[:1])[0]))
