"""
Distances along tracts
======================

How far is one region from another, not through the air but along the fibers? In a metric whose
geodesics are the tracts, a distance is the length of the way that fibers make easy.
"""

# %%
# A bundle that turns
# -------------------
# Fibers run around a ring. Two metrics: the Euclidean one, and the one that
# :class:`~sklearn_meg.ConnectomeMetric` learns from the directions, which are turned by
# five degrees of noise.

import matplotlib.pyplot as plt
import numpy as np

from sklearn_meg.connectome import ConnectomeMetric, EuclideanMetric
from sklearn_meg.datasets import make_fibers
from sklearn_meg.plotting import plot_metric_field

fibers = make_fibers("annulus", size=32, noise=5, random_state=0)
metrics = {
    "learned from the fibers": ConnectomeMetric().fit(fibers.X),
    "Euclidean": EuclideanMetric().fit(fibers.X),
}

# %%
# From one point to another
# -------------------------
# The geodesic of the learned metric stays with the fibers. The Euclidean one takes the chord,
# across them.

middle = (np.array(fibers.mask.shape) - 1) / 2
angles = np.deg2rad(np.arange(10, 360, 20))
ring = middle + 10.0 * np.column_stack([np.cos(angles), np.sin(angles)])
start, end = ring[[0]], ring[[5]]
figure, axes = plt.subplots(1, 2, figsize=(9, 4.4), layout="constrained")
for ax, (name, metric) in zip(axes, metrics.items(), strict=True):
    path, length = metric.connect(start, end)
    plot_metric_field(metric, fibers.X, ax, every=3)
    ax.plot(*path[0].T, color="#D55E00", lw=3)
    ax.plot(*np.concatenate([start, end]).T, "o", color="black")
    ax.set_title(f"{name}: {length[0]:.1f}")

# %%
# Regions around the ring
# -----------------------
# Eighteen regions, and the distance between any two, in units of that of neighbors. Along fibers
# it grows in proportion to the angle. The Euclidean way cuts the corner along the inner border,
# and makes far regions nearer than they are.

grid = np.indices(fibers.mask.shape).transpose(1, 2, 0) - middle
turn = np.rad2deg(np.arctan2(grid[..., 1], grid[..., 0])) % 360
near = np.abs(np.hypot(grid[..., 0], grid[..., 1]) - 10.0) < 1.5
labels = np.where(near & fibers.mask, (turn // 20).astype(int) + 1, 0)
figure, axes = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
apart = 20 * np.arange(10)
colors = ("#0072B2", "#D55E00")
for ax, color, (name, metric) in zip(axes, colors, metrics.items(), strict=False):
    matrix, regions = metric.geodesic_connectivity(labels)
    matrix = matrix / matrix[0, 1]
    image = ax.imshow(matrix, cmap="cividis", vmin=0, vmax=27)
    ax.set(title=name, xlabel="region", ylabel="region", xticks=[0, 5, 10, 15])
    axes[2].plot(apart, matrix[0, :10], "o-", color=color, label=name)
figure.colorbar(image, ax=axes[:2], label="distance / that of neighbors", shrink=0.8)
axes[2].set(xlabel="angle between regions (degrees)", ylabel="distance / that of neighbors")
axes[2].spines[["top", "right"]].set_visible(False)
axes[2].legend(frameon=False)
