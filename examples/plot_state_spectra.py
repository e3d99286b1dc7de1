"""
From source-reconstructed MEG to state spectra
==============================================

What is published from a hidden Markov model of MEG: which states there are, how long they last, the
spectrum and the coherence of each, and whether groups of people differ. From regional signals as
they come out of a beamformer, with arbitrary signs and a stretch that is bad.
"""

# %%
# Regions after source reconstruction
# -----------------------------------
# Six regions, ten people, 40 s each. Alpha (10 Hz) joins regions 0 to 2, beta (22 Hz) regions 3 to
# 5, in bursts; the second group is in beta more often. The sign of a region is arbitrary after
# source reconstruction, and other in each person. Real data come from
# :func:`~sklearn_meg.dynamics.label_time_courses`.

import matplotlib.pyplot as plt
import numpy as np

from sklearn_meg import HiddenMarkovGraph
from sklearn_meg.dynamics import (
    RecordingAlignment,
    TimeDelayEmbedding,
    compare_groups,
    state_spectra,
    state_table,
)
from sklearn_meg.dynamics.metrics import match_states, state_accuracy

sfreq, n_times, n_people = 100.0, 4000, 10
rng = np.random.default_rng(0)
group = np.repeat(["controls", "patients"], n_people // 2)
bursts = {1: (10.0, [0, 1, 2]), 2: (22.0, [3, 4, 5])}


def recording(to_beta):
    """Signals (n_regions, n_times) and the states behind them: 0 is no burst."""
    stay = np.array([[0.985 - to_beta, 0.015, to_beta], [0.02, 0.98, 0.0], [0.02, 0.0, 0.98]])
    states = np.zeros(n_times, dtype=int)
    for t in range(1, n_times):
        states[t] = rng.choice(3, p=stay[states[t - 1]])
    noise = rng.normal(size=(6, n_times))
    signal = noise + 0.8 * np.roll(noise, 1, axis=1)
    for state, (frequency, regions) in bursts.items():
        phase = 2 * np.pi * frequency * np.arange(n_times) / sfreq
        phase = phase + np.cumsum(0.15 * rng.normal(size=n_times))
        delays = np.linspace(0, 0.8, 3)[:, np.newaxis]
        signal[regions] += 2 * (states == state) * np.sin(phase - delays)
    return signal * rng.choice([-1, 1], size=(6, 1)), states


people = [recording(0.02 if name == "patients" else 0.005) for name in group]
X, states = (np.stack(part) for part in zip(*people, strict=True))
X[0, :, 1000:1200] = np.nan  # a bad stretch

# %%
# Signs, lags, states
# -------------------
# Signs are matched by the correlations of each recording. Lags from -70 to 70 ms make the spectrum
# a part of the covariance; samples whose lags reach the bad stretch stay missing.

aligned = RecordingAlignment(align="signs").fit_transform(X)
embedding = TimeDelayEmbedding(lags=range(-7, 8), n_components=30)
Z = embedding.fit_transform(aligned)
model = HiddenMarkovGraph(
    n_states=3, means=False, missing="mask", align="none", random_state=0
).fit(Z)
print(f"halves of the people agree by {model.generalization_confirmed_:.2f}")
print(f"doubts: {list(model.warnings_) or 'none'}")

# %%
# On the samples of the recordings
# --------------------------------
# ``to_original_times`` gives back the samples that the lags took; what is unknown is -1 (states) or
# NaN (probabilities).

found = np.stack([embedding.to_original_times(part) for part in model.predict(Z)])
probabilities = [embedding.to_original_times(part) for part in model.predict_proba(Z)]
known = found >= 0
print(f"{state_accuracy(states[known], found[known]):.2f} of the samples right")
matching = match_states(states[known], found[known])
names = dict(zip(matching, ("no burst", "alpha", "beta"), strict=True))

# %%
# What is published
# -----------------
# Occupancy, lifetime and interval of each state in each recording, and a test between the groups,
# corrected for the number of states.

found[np.isnan(X).any(axis=1)] = -1
table = state_table(found, sfreq)
table["name"] = table["state"].map(names)
print(table.groupby("name")[["occupancy", "lifetime", "interval"]].mean().round(2))
occupancy = table.pivot(index="recording", columns="state", values="occupancy")
test = compare_groups(occupancy, group, n_permutations=2000, random_state=0)
test["name"] = test["value"].map(names)
print(test[["name", "difference", "t", "p"]].round(3))

# %%
# Spectra and coherence
# ---------------------
# Multitapers of the signals themselves, not of the embedded ones.

spectra = state_spectra(aligned, probabilities, sfreq, window=1.0, bandwidth=4.0)
figure, axes = plt.subplots(1, 3, figsize=(11, 3.2), layout="constrained")
for state, name in names.items():
    axes[0].semilogy(spectra.freqs, spectra.psd[state].mean(0), label=name)
axes[0].set(xlabel="frequency (Hz)", ylabel="power per Hz", title="Mean over regions")
axes[0].legend()
for ax, (true, (frequency, _)) in zip(axes[1:], bursts.items(), strict=True):
    coherence = spectra.mean_coherence((frequency - 2, frequency + 2))[matching[true]]
    np.fill_diagonal(coherence, np.nan)
    image = ax.imshow(coherence, vmin=0, vmax=1, cmap="cividis")
    ax.set(title=f"Coherence, {names[matching[true]]} state", xlabel="region", ylabel="region")
figure.colorbar(image, ax=axes[1:])

# %%
# A map: power of each region in a band, the state against all.

power = spectra.power((8, 12))
print((power[matching[1]] / power.mean(0)).round(2))
