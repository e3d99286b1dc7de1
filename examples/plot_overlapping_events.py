"""
Responses that overlap
======================

Two events follow each other within 200 to 400 ms, so that the second begins before the response to
the first is over. An average around the second event holds the tail of the first. A
:class:`~sklearn_meg.RNNSourceSolver` that sees both events of each trial learns what each makes
alone, in source space.
"""

# %%
# The trials
# ----------
# Seven intervals, fifteen trials of each. The first event drives a source on the left, the second
# one on the right, and both a third one in between, in a simulated head. Noise is as strong as
# the largest response.

import matplotlib.pyplot as plt
import mne
import numpy as np

from sklearn_meg import RNNSourceSolver
from sklearn_meg.datasets import simulated_forward
from sklearn_meg.plotting import plot_dipole_volumes

SFREQ, ONSET, N_TIMES = 100.0, 10, 90
INTERVALS = [20, 23, 27, 30, 33, 37, 40]  # samples: 200 to 400 ms
times = (np.arange(N_TIMES) - ONSET) / SFREQ
forward = mne.pick_types_forward(simulated_forward(spacing=15.0), meg="mag")
where = [[-0.045, 0.0, 0.05], [0.045, 0.01, 0.05], [0.0, -0.05, 0.07]]  # m
places = [np.linalg.norm(forward["source_rr"] - place, axis=1).argmin() for place in where]
fields = np.stack([forward["sol"]["data"][:, 3 * place + 1] for place in places], axis=1)
drive = np.array([[1.0, 0.0, 0.6], [0.0, 1.0, 0.6]])  # of each event, to each source


def steps(first=None, second=None):
    """Events of a trial: a step from each onset (sample) on."""
    events = np.zeros((2, N_TIMES))
    for row, at in zip(events, (first, second), strict=True):
        row[N_TIMES if at is None else at :] = 1.0
    return events


def truth(events):
    """Courses (3, n_times) of the sources, A m."""
    lags = np.arange(0, 0.5, 1 / SFREQ)
    response = 1e-8 * np.sin(2 * np.pi * 4 * lags) * np.exp(-lags / 0.15)
    onsets = np.diff(events, axis=1, prepend=0.0)
    courses = np.stack([np.convolve(row, response)[:N_TIMES] for row in onsets])
    return drive.T @ courses


rng = np.random.default_rng(0)
X = np.repeat([steps(ONSET, ONSET + interval) for interval in INTERVALS], 15, axis=0)
y = np.stack([fields @ truth(events) for events in X])
noise = np.abs(y).max()  # of each sample and channel
y += noise * rng.normal(size=y.shape)
print(X.shape, "trials, events, times;", y.shape, "trials, channels, times")

# %%
# Fit, and ask for an event that never came alone
# -----------------------------------------------
# With several intervals the solver sees which part of the response follows which event.

noise_cov = noise**2 * np.eye(len(fields))
solver = RNNSourceSolver(forward=forward, noise_cov=noise_cov, random_state=0).fit(X, y)
alone = np.stack([steps(first=ONSET), steps(second=ONSET)])
predicted = solver.predict(alone)
expected = np.stack([fields @ truth(events) for events in alone])

# %%
# The average around the second event, as is often shown, for comparison.

shifted = [trial[:, at - ONSET :] for trial, at in zip(y, X[:, 1].argmax(axis=1), strict=True)]
length = min(part.shape[1] for part in shifted)
average = np.mean([part[:, :length] for part in shifted], axis=0)


def missed(fields, true):
    """Share of the power of the true fields that is missed."""
    return np.square(fields - true).sum() / np.square(true).sum()


print("missed of the second response, by the network:", missed(predicted[1], expected[1]).round(2))
print("by the average around it:", missed(average, expected[1][:, :length]).round(2))

# %%
# The channel that sees the third source best, which both events drive.

channel = np.abs(fields[:, 2]).argmax()
figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
scale = 1e15
ax.plot(1e3 * times, scale * expected[1, channel], ":", color="black", label="true, alone")
ax.plot(1e3 * times, scale * predicted[1, channel], color="#009E73", label="predicted")
ax.plot(1e3 * times[:length], scale * average[channel], color="#D55E00", label="average around it")
ax.set(xlabel="Time from the second event (ms)", ylabel="Field (fT)")
ax.legend(frameon=False, loc="upper right")
ax.spines[["top", "right"]].set_visible(False)

# %%
# How sure is it where they are?
# ------------------------------
# Each dipole is within its ellipsoid with 95 %: by noise, by what the sources leave, and by the
# error of the co-registration that ``coregistration_error`` states.

plot_dipole_volumes(
    solver.dipole_positions_,
    solver.dipole_covariances_,
    orientations=solver.dipole_orientations_,
    true_positions=forward["source_rr"][places],
)
