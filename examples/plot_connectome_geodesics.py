"""
Geodesics that follow fibers, also where they cross
===================================================

Two bands of fibers cross three times. Which way does a path go that enters a crossing?
:class:`~sklearn_meg.ConnectomeMetric` finds a Riemannian metric in which the fibers of
both bands are geodesics, straightest possible ways. A geodesic then needs nothing but a start and a
direction: it goes through the crossings by itself.
"""

# %%
# Two fields, one metric
# ----------------------
# X holds unit vectors, one field for each band, NaN where it is not. Their sign is random here, as
# in real data, and they are turned by 1 degree of noise.

import matplotlib.pyplot as plt
import numpy as np

from sklearn_meg.connectome import (
    ConformalMetric,
    ConnectomeMetric,
    EuclideanMetric,
    InverseTensorMetric,
    geodesic_deviation,
)
from sklearn_meg.datasets import make_fibers
from sklearn_meg.plotting import plot_deviation_map, plot_geodesics, plot_metric_field

fibers = make_fibers("braid", noise=1, n_curves=40)
model = ConnectomeMetric().fit(fibers.X)
print(f"X {fibers.X.shape}, metric {model.metric_.shape}, noise found {model.noise_:.1f} degrees")
plot_metric_field(model)

# %%
# Pure geodesics
# --------------
# 40 geodesics start at random places of the two bands, along them; the true curves are dashed.
# Once shot, they do not look at the fields any more. The inverse of the diffusion tensor, the
# classical metric, loses the fibers soon.

longest = max(np.linalg.norm(np.diff(c, axis=0), axis=1).sum() for c in fibers.curves)
metrics = {
    "fitted": model,
    "conformal": ConformalMetric().fit(fibers.X),
    "inverse tensor": InverseTensorMetric().fit(fibers.X),
    "Euclidean": EuclideanMetric().fit(fibers.X),
}
found = {}
for name, each in metrics.items():
    paths = each.shoot(fibers.seeds, fibers.directions, longest, within="grid")
    deviation = geodesic_deviation(fibers.curves, paths)
    found[name] = paths, deviation
    print(f"{name}: mean {np.nanmean(deviation):.2f}, median {np.nanmedian(deviation):.2f} voxels")

fig, axes = plt.subplots(1, 2, figsize=(12, 5), layout="constrained", sharey=True)
for ax, name in zip(axes, ("fitted", "inverse tensor"), strict=True):
    plot_geodesics(found[name][0], fibers.curves, fibers.mask, ax)
    ax.set_title(name)
    ax.set(xlim=(-1, 100), ylim=(-1, 100))
axes[0].get_legend().remove()

# %%
# Where they go wrong
# -------------------

counted = np.where(np.isfinite(found["fitted"][1])[..., None], found["fitted"][0], np.nan)
plot_deviation_map(counted, found["fitted"][1], fibers.mask.shape)

# %%
# Ways between two points
# -----------------------
# The same metric has distances, and geodesics between points: from one end of a band to the
# middle of the grid.

ends = np.array([[95.0, 50.0], [50.0, 32.0]])
paths, lengths = model.connect(np.repeat(fibers.curves[0][:1].clip(1, 98), 2, axis=0), ends)
print("geodesic distances:", lengths.round(1))
