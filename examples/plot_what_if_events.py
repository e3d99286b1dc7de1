"""
What if the tone had come twice?
================================

A source model that goes from events to fields can be asked about events that never were. Here a
:class:`~sklearn_meg.RNNSourceSolver` learns from three recorded conditions, and predicts the
time courses of the sources when the events come together, later, or twice.
"""

# %%
# Three conditions
# ----------------
# A tone on the left, one on the right, and both, a tenth of a second apart. Each tone drives a
# dipole of its own in a simulated head, for a fifth of a second. Forty trials of each, with noise
# five times as large as the response.

import matplotlib.pyplot as plt
import mne
import numpy as np

from sklearn_meg import RNNSourceSolver
from sklearn_meg.datasets import simulated_forward

forward = mne.pick_types_forward(simulated_forward(spacing=15.0), meg="mag")
places = [
    np.argmin(np.linalg.norm(forward["source_rr"] - place, axis=1))
    for place in ([-0.045, 0.0, 0.05], [0.045, 0.01, 0.05])
]
fields = np.stack([forward["sol"]["data"][:, 3 * place + 1] for place in places], axis=1)
times = np.arange(-0.1, 0.5, 0.01)


def tones(left=(), right=()):
    """Events: pulses of 50 ms from the given times (s) on, in two rows."""
    pulses = np.zeros((2, len(times)))
    for row, onsets in zip(pulses, (left, right), strict=True):
        for onset in onsets:
            row[(times > onset - 0.005) & (times < onset + 0.045)] = 1.0
    return pulses


def truth(X):
    """Time courses of the two dipoles, A m."""
    lags = np.arange(0, 0.2, 0.01)
    response = 1e-8 * np.sin(2 * np.pi * lags / 0.2) * np.exp(-lags / 0.1)
    return np.stack([np.convolve(row, response)[: len(times)] for row in X])


conditions = [tones(left=[0.0]), tones(right=[0.0]), tones(left=[0.0], right=[0.1])]
X = np.repeat(conditions, 40, axis=0)
y = np.stack([fields @ truth(row) for row in X])
noise = 5.0 * y.std()
y += noise * np.random.default_rng(0).normal(size=y.shape)

# %%
# Fit, then ask
# -------------
# The solver finds the two sources, and a recurrent network learns how each event drives them.

noise_cov = noise**2 * np.eye(len(fields))
solver = RNNSourceSolver(forward=forward, noise_cov=noise_cov, random_state=0).fit(X, y)
print("sources found:", len(solver.support_))
questions = {
    "left (recorded)": tones(left=[0.0]),
    "both at once": tones(left=[0.0], right=[0.0]),
    "right, then left": tones(left=[0.15], right=[0.0]),
    "left, twice": tones(left=[0.0, 0.2]),
}
answers = solver.transform(np.stack(list(questions.values())), pick_ori="vector")

# %%
# The answers beside the truth
# ----------------------------
# Only the first was recorded. The others are predictions, which can be checked here. They hold near
# what was recorded: had the two tones never come at the same time of a trial, the network would not
# know what both together do.

colors = {"left": "#0072B2", "right": "#D55E00"}
figure, axes = plt.subplots(2, 2, figsize=(8, 4.5), sharex=True, sharey=True, layout="constrained")
for ax, (name, events), answer in zip(axes.flat, questions.items(), answers, strict=True):
    for place, true, (side, color) in zip(places, truth(events), colors.items(), strict=True):
        ax.plot(1e3 * times, 1e9 * answer[place, 1], color=color, label=f"{side}, predicted")
        ax.plot(1e3 * times, 1e9 * true, ":", color="black", lw=1.5, label="true")
    ax.set_title(name, loc="left", fontsize="medium")
    ax.spines[["top", "right"]].set_visible(False)
handles, labels = axes[0, 0].get_legend_handles_labels()
unique = dict(sorted(zip(labels, handles, strict=True), key=lambda pair: pair[0] == "true"))
figure.legend(unique.values(), unique, loc="outside upper right", ncols=3, frameon=False)
figure.supxlabel("Time (ms)", fontsize="medium")
figure.supylabel("Dipole (nA m)", fontsize="medium")

# %%
# How much of the true time courses is predicted (R2)?

for name, events, answer in zip(questions, questions.values(), answers, strict=True):
    true = truth(events)
    rest = answer[places, 1] - true
    print(f"{name}: {1 - np.sum(rest**2) / np.sum(true**2):.3f}")
