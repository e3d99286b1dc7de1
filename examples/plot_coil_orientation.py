"""
Which way to hold the coil
==========================

A coil over one place of the head, turned in steps of three degrees: at which orientation does a
neuron below it fire first? The direction of the current matters, and the uniform field that is
often assumed does not tell everything.
"""

# %%
# Learn the thresholds of one cell type
# -------------------------------------
# Thresholds of a layer 5 pyramidal cell that NEURON simulated come with the package. A network
# learns them from the electric field around the cell.

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import MaxNLocator
from sklearn.pipeline import make_pipeline

from sklearn_meg.tms import (
    EFieldSampler,
    SphereField,
    ThresholdCNN,
    UniformFieldThreshold,
    figure8_coil,
    grid_spacing,
    load_l5_thresholds,
)

X, y = load_l5_thresholds()
coil = figure8_coil()
above = SphereField(coil.at([0, 0, 0.0925], [0, 0, -1]))
learning = EFieldSampler(field=above, spacing=grid_spacing("L5 PC"), heterogeneity=0.8)
network = make_pipeline(learning, ThresholdCNN(morphology="L5 PC", max_epochs=40, random_state=0))
network = network.fit(X, y)
uniform = make_pipeline(learning, UniformFieldThreshold()).fit(X, y)

# %%
# Turn the coil
# -------------
# Rows of X are now poses of the coil: position (m), direction, angle. The neuron stays where it is,
# in the wall of a fold, with its axis across the head.

cell = [0, 0, 0.0675, 0, 1, 0, 0.0, 123]
angles = np.deg2rad(np.arange(0, 360, 3))
poses = np.column_stack([np.tile([0, 0, 0.0925, 0, 0, -1], (len(angles), 1)), angles])
turning = EFieldSampler(
    field=coil, spacing=grid_spacing("L5 PC"), moves="coil", cell=cell, heterogeneity=0.8
)
grids = turning.fit_transform(poses)
thresholds = {
    "network": network[-1].predict(grids),
    "uniform field": uniform[-1].predict(grids),
}
best = np.rad2deg(angles[np.argmin(thresholds["network"])])
print(f"lowest threshold at {best:.0f} degrees")
print(f"highest / lowest: {np.ptp(np.log(thresholds['network'])):.2f} in logarithm")

# %%
# Thresholds around the circle
# ----------------------------
# Near the center a weak pulse is enough. The band holds 90 % of the thresholds of new cells. Two
# halves of the circle differ: a neuron is not excited alike by a current and its reverse. Along a
# straight side of the curve one site of the axon fires first, at a corner another takes over.

low, high = network[-1].predict_interval(grids, coverage=0.9).T
closed = np.append(angles, angles[0])
figure, ax = plt.subplots(
    subplot_kw={"projection": "polar"}, figsize=(6.5, 5.5), layout="constrained"
)
ax.fill_between(
    closed, np.append(low, low[0]), np.append(high, high[0]), color="#0072B2", alpha=0.2, lw=0
)
for (name, values), color in zip(thresholds.items(), ("#0072B2", "#D55E00"), strict=True):
    ax.plot(closed, np.append(values, values[0]), color=color, label=name)
ax.set_rlim(0, 1.1 * min(high.max(), 3 * np.median(thresholds["network"])))
ax.set_rlabel_position(100)
ax.yaxis.set_major_locator(MaxNLocator(4))
ax.tick_params(pad=8)
ax.set_title(
    "Threshold of a layer 5 cell (A/µs) by the angle of the coil", fontsize="medium", pad=16
)
figure.legend(loc="outside lower center", ncols=2)
