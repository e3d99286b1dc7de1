"""
Continuous speech: which part of the envelope?
==============================================

Speech goes on for minutes, without trials. The recording is cut into windows to fit an encoder,
its prediction is stitched together, and leaving features out tells what each of them says alone.

The sound here is noise with the rhythm of syllables. Its envelope is what cochlear models come down
to in studies of continuous speech: the magnitude of the analytic signal, compressed by a power of
0.6, and its increases (Biesmans et al. 2017, IEEE Trans. Neural Syst. Rehabil. Eng. 25). The
simulated EEG follows mostly the increases, as recordings do.
"""

# %%
# The sound, its two features, and EEG with time on axis 0 as other toolboxes have it.

import matplotlib.pyplot as plt
import numpy as np
from scipy.signal import hilbert, resample_poly

from sklearn_meg import (
    TemporalReceptiveField,
    cut_windows,
    predict_continuous,
    to_trials,
    unique_contribution,
)

rng = np.random.default_rng(0)
rate, sfreq, seconds = 8000, 64, 120
times = np.arange(seconds * rate) / rate
onsets = np.cumsum(rng.uniform(0.1, 0.35, 6 * seconds))
loudness = np.zeros(len(times))
for onset in onsets[onsets < seconds - 0.3]:
    start, n = int(onset * rate), int(rng.uniform(0.08, 0.25) * rate)
    loudness[start : start + n] += rng.lognormal(0, 0.5) * np.hanning(n)
sound = loudness * rng.normal(size=len(times))

envelope = np.maximum(resample_poly(np.abs(hilbert(sound)) ** 0.6, sfreq, rate), 0)
features = np.stack([envelope, np.maximum(np.diff(envelope, prepend=0), 0)], axis=1)
features /= features.std(axis=0)

lags = np.arange(26) / sfreq
response = np.exp(-(((lags - 0.1) / 0.03) ** 2)) - 0.7 * np.exp(-(((lags - 0.2) / 0.05) ** 2))
drive = features @ [0.3, 1.0]
eeg = np.convolve(drive, response)[: len(drive), np.newaxis] * [1.0, 0.5, -0.8]
eeg = eeg + 4 * np.sin(2 * np.pi * 10.07 * np.arange(len(eeg)) / sfreq + 1)[:, np.newaxis]
eeg = eeg + 3 * rng.normal(size=eeg.shape)

# %%
# Fit on windows of the first 90 seconds, predict the last 30. At the beginning of a window the lags
# reach outside; ``predict_continuous`` leaves that part to the window before.

stimulus, meg = (to_trials(data)[0] for data in (features, eeg))  # (n_features, n_samples)
n_train = 90 * sfreq
X, _ = cut_windows(stimulus[:, :n_train], length=5 * sfreq, step=5 * sfreq)
y, _ = cut_windows(meg[:, :n_train], length=5 * sfreq, step=5 * sfreq)
trf = TemporalReceptiveField(tmin=0, tmax=0.4, sfreq=sfreq, feature_groups=[[0], [1]])
predicted = predict_continuous(trf.fit(X, y), stimulus[:, n_train:])
r = np.corrcoef(predicted[0], meg[0, n_train:])[0, 1]

# %%
# The two features go up and down together. What does each say that the other does not?

parts = {"envelope": [0], "increases": [1]}
contribution = unique_contribution(trf, X, y, parts, cv=6)
unique = contribution.unique.mean(axis=(1, 2))

fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
left.plot(trf.delays_ / sfreq, trf.coef_[0].T, label=list(parts))
left.set(xlabel="Lag (s)", ylabel="Response", title=f"R = {r:.2f} on 30 s left out")
left.legend(frameon=False)
right.barh(list(parts), 100 * unique)
right.set(xlabel="Unique R2 (%)", title="What each says alone")
plt.show()
