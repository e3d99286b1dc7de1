"""
Brain states: from files to a figure
====================================

Recordings of three people lie in files of mne, with bad stretches marked. They are read, filtered,
turned into amplitude envelopes and given to a hidden Markov model, which says who was in which
state, and when.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import mne
import numpy as np

from sklearn_meg import HiddenMarkovGraph
from sklearn_meg.dynamics import AmplitudeEnvelope

# %%
# Files, as a laboratory has them
# -------------------------------
# Made here: 12 regions oscillate at 20 Hz, and in each of three states four of them are louder.

folder, sfreq, rng = Path(tempfile.mkdtemp()), 100.0, np.random.default_rng(0)
info = mne.create_info([f"region {i}" for i in range(12)], sfreq, "mag")
for person in range(3):
    states = np.repeat(rng.integers(0, 3, 60), 200)  # two seconds each
    loud = 1 + 2 * (np.arange(12)[:, None] // 4 == states)
    phase = 2 * np.pi * 20 * np.arange(len(states)) / sfreq
    wave = loud * np.sin(phase + np.cumsum(0.3 * rng.normal(size=loud.shape), axis=1))
    raw = mne.io.RawArray(1e-13 * (wave + 0.5 * rng.normal(size=wave.shape)), info, verbose=False)
    raw.set_annotations(mne.Annotations([30.0], [5.0], ["BAD movement"]))
    raw.save(folder / f"sub-{person}_raw.fif", verbose=False)

# %%
# Read, envelope, states
# ----------------------
# Bad stretches become NaN, and the model leaves them out.

raws = [mne.io.read_raw(path, verbose=False) for path in sorted(folder.glob("*_raw.fif"))]
envelope = AmplitudeEnvelope(sfreq=sfreq, band=(15, 25), smooth=0.2, sfreq_out=20.0, log=True)
X = envelope.fit_transform(raws)
model = HiddenMarkovGraph(n_states=3, missing="mask", random_state=0).fit(X)
found = [model.predict(recording[np.newaxis])[0] for recording in X]

# %%

fig, (top, bottom) = plt.subplots(2, 1, figsize=(7, 4.2), layout="constrained")
colors = np.array(["#0072B2", "#E69F00", "#009E73"])
times = np.arange(len(found[0])) / envelope.sfreq_out_
for person, states in enumerate(found):
    for state in range(3):
        here = states == state
        top.fill_between(times, person - 0.4, person + 0.4, where=here, color=colors[state], lw=0)
top.set(xlim=(0, 60), xlabel="time (s)", yticks=range(3))
top.set_yticklabels([f"person {person}" for person in range(3)])
share = np.array([[np.mean(states == state) for state in range(3)] for states in found])
for state in range(3):
    bottom.bar(
        np.arange(3) + 0.25 * state, share[:, state], 0.22, color=colors[state], label=f"{state}"
    )
bottom.set_xticks(np.arange(3) + 0.25, [f"person {person}" for person in range(3)])
bottom.set(ylabel="share of time", ylim=(0, 0.7))
bottom.legend(title="state", frameon=False, ncols=3, loc="upper left")
for ax in (top, bottom):
    ax.spines[["top", "right"]].set_visible(False)
plt.show()
