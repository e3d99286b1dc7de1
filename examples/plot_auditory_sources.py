"""
Sources of an auditory response
===============================

A tone makes the two auditory cortices respond at nearly the same time. Two correlated sources, one
in each hemisphere, are hard for a beamformer, and a minimum norm estimate blurs them. Here such a
response is simulated, so the truth is known: crosses and dashed lines.
"""

# %%
# The data
# --------
# 50 epochs of 306 channels, the average at an SNR of 5 dB, and a 10 mm grid of possible sources.
# The sources themselves lie between its points.

import numpy as np
import pandas as pd

from sklearn_meg.datasets import make_evoked
from sklearn_meg.plotting import (
    plot_field_reconstruction,
    plot_solver_comparison,
    plot_source_time_courses,
    plot_sources,
)
from sklearn_meg.source import LCMV, MinimumNorm, MixedNorm, RNNSourceSolver, metrics

data = make_evoked("2corr", snr_db=5.0, n_epochs=50, spacing=10.0, random_state=3)
positions = data.forward["source_rr"]  # in m, head coordinates
X = np.repeat(data.X, len(data.epochs), axis=0)  # a step at the onset, in every trial
given = {"forward": data.forward, "noise_cov": data.noise_cov, "info": data.info}
print(data.epochs.shape, "trials, channels, times;", len(positions), "positions")

# %%
# Fit
# ---
# The solver gets single trials: it learns from them what is noise. Nothing has to be tuned. It
# looks for dipoles between the grid points, too; the map has each at the nearest.

solver = RNNSourceSolver(random_state=0, **given).fit(X, data.epochs)
sources = solver.transform(data.X, pick_ori="vector")[0]  # (n_positions, 3, n_times), in A m
print("positions with a source:", len(solver.support_))
print("evidence of each:", solver.evidence_.round(2))
off = np.linalg.norm(data.positions[:, None] - solver.dipole_positions_, axis=2).min(axis=1)
print("mm from the truth:", (1e3 * off).round(1))
plot_sources(
    positions, sources, data.active, true_positions=data.positions, title="RNNSourceSolver"
)

# %%
# The map of a minimum norm estimate of the same data, for comparison.

linear = MinimumNorm(method="dSPM", **given).fit(X, data.epochs)
plot_sources(
    positions,
    linear.transform(data.X, pick_ori="vector")[0],
    data.active,
    true_positions=data.positions,
    scale=1.0,
    unit="dSPM",
    title="dSPM",
)

# %%
# Time courses and fields
# -----------------------
# The network is driven by a step at 0 s: that the sources are nearly flat before it is by
# construction, and no merit.

plot_source_time_courses(
    data.times,
    positions,
    sources,
    n_peaks=2,
    true_positions=data.positions,
    true_time_courses=data.source_time_courses,
)

# %%
# Measured average, what the sources make of it, and what is left.

plot_field_reconstruction(data.y[0], solver.predict(data.X)[0], data.info, data.times)

# %%
# Solvers beside each other
# -------------------------
# Each as it comes, on one data set: the benchmark has many, and tunes the others with the truth.

solvers = {
    "default": solver,
    "dspm": linear,
    "lcmv": LCMV(**given).fit(X, data.epochs),
    "mxne": MixedNorm(**given).fit(X, data.epochs),
}
rows = []
for name, fitted in solvers.items():
    estimate = fitted.transform(data.X, pick_ori="vector")[0]
    for metric, score in (
        ("dle_mm", metrics.localization_error),
        ("sd_mm", metrics.spatial_dispersion),
    ):
        value = score(positions, estimate, data.positions, data.active)
        rows.append({"case": "2corr", "model": name, "metric": metric, "seed": 0, "value": value})
table = pd.DataFrame(rows)
print(table.pivot(index="model", columns="metric", values="value").round(1))
plot_solver_comparison(table, "sd_mm")

# %%
# What if the tone came 30 ms later?
# ----------------------------------
# The network maps events to sources, so it can be asked.

later = np.zeros_like(data.X)
later[:, :, data.times >= 0.03] = 1.0
moved = np.linalg.norm(solver.transform(later, pick_ori="vector")[0], axis=1).max(axis=0)
before = np.linalg.norm(sources, axis=1).max(axis=0)
for name, course in (("as it was", before), ("later", moved)):
    print(f"{name}: strongest at {1e3 * data.times[course.argmax()]:.0f} ms")
