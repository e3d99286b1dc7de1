"""
Bursts of rhythms as brain states
=================================

MEG is rhythms that come and go, and regions that join in. Embedding each region at several lags
makes the spectrum a part of the covariance, so that a hidden Markov model finds bursts: which
rhythm, in which regions, when.
"""

# %%
# Regions with bursts
# -------------------
# Eight regions, four recordings of a minute. Alpha (10 Hz) and beta (22 Hz) of the same power, in
# the same five regions, in bursts of about half a second, over noise that is smooth in time.

import matplotlib.pyplot as plt
import numpy as np

from sklearn_meg import HiddenMarkovGraph
from sklearn_meg.dynamics import TimeDelayEmbedding
from sklearn_meg.dynamics.metrics import match_states, state_accuracy
from sklearn_meg.plotting import plot_state_time_courses

sfreq, n_times = 100.0, 6000
rng = np.random.default_rng(0)
stay = np.array([[0.985, 0.0075, 0.0075], [0.02, 0.98, 0.0], [0.02, 0.0, 0.98]])
rhythms, regions = {1: 10.0, 2: 22.0}, [3, 4, 5, 6, 7]


def recording():
    """Signals (n_regions, n_times) and the states behind them: 0 is no burst."""
    states = np.zeros(n_times, dtype=int)
    for t in range(1, n_times):
        states[t] = rng.choice(3, p=stay[states[t - 1]])
    noise = rng.normal(size=(8, n_times))
    signal = noise + 0.8 * np.roll(noise, 1, axis=1)
    for state, frequency in rhythms.items():
        phase = 2 * np.pi * frequency * np.arange(n_times) / sfreq
        phase = phase + np.cumsum(0.15 * rng.normal(size=n_times))
        delays = np.linspace(0, 0.8, len(regions))[:, np.newaxis]
        signal[regions] += 1.6 * (states == state) * np.sin(phase - delays)
    return signal, states


recordings, states = zip(*(recording() for _ in range(4)), strict=True)
X, states = np.stack(recordings), np.stack(states)

# %%
# Lags, then states
# -----------------
# 15 lags reach 70 ms to both sides. What the lags have too much is taken away by principal
# components. Without the lags, states can differ in power and in zero-lag correlation only, which
# are the same in both rhythms here.

embedding = TimeDelayEmbedding(n_lags=15, n_components=24).fit(X)
edge = embedding.n_lags // 2
inner = states[:, edge:-edge]
model = HiddenMarkovGraph(n_states=3, random_state=0)
plain = model.fit(X).predict(X)
found = model.fit(embedding.transform(X)).predict(embedding.transform(X))
print(f"without lags: {state_accuracy(states, plain):.2f} of the samples right")
print(f"with lags:    {state_accuracy(inner, found):.2f}")

matching = match_states(inner, found)
shown = slice(0, 800)
ax = plot_state_time_courses(
    model.predict_proba(embedding.transform(X))[0].T[:, shown].T,
    sfreq=sfreq,
    true_states=matching[inner[0]][shown],
)
ax.set_title("Bursts of alpha and beta")

# %%
# What each state is
# ------------------
# The spectrum of each region in the samples of a state.

names = {0: "no burst", 1: "alpha", 2: "beta"}
frequencies = np.arange(2, 40, 0.5)
window = np.hanning(64)
waves = np.exp(-2j * np.pi * np.outer(frequencies, np.arange(64) / sfreq)) * window
figure, axes = plt.subplots(1, 3, figsize=(10, 3), sharey=True, layout="constrained")
for ax, (true, name) in zip(axes, names.items(), strict=True):
    inside = np.convolve(found[0] == matching[true], np.ones(64) / 64, "valid") > 0.7
    starts = np.flatnonzero(inside)[::8] + edge
    power = np.mean([np.abs(X[0][:, s : s + 64] @ waves.T) ** 2 for s in starts], axis=0)
    image = ax.pcolormesh(frequencies, np.arange(8), 10 * np.log10(power), cmap="cividis")
    ax.set(title=name, xlabel="frequency (Hz)")
axes[0].set_ylabel("region")
figure.colorbar(image, ax=axes, label="power (dB)")
