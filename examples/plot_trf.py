"""
Temporal response functions, and the same model in MNE
======================================================

The coefficients of a temporal receptive field (TRF) are response functions: what one unit of a
stimulus feature adds to a channel, lag by lag. Here they are drawn beside the ones the data were
made with, and compared with :class:`mne.decoding.ReceptiveField`, which fits the same model with
epochs on axis 1 and one penalty for all channels.
"""

# %%
# Fit
# ---
# The penalty is chosen for each channel among ten, on folds inside the training trials.

import matplotlib.pyplot as plt
import mne
import numpy as np

from sklearn_meg import TemporalReceptiveField
from sklearn_meg.datasets import make_words, word_response
from sklearn_meg.encoding.plotting import plot_trf

mne.set_log_level("ERROR")  # no progress bar on this page
data = make_words("L", n_subjects=1, n_trials=200, n_channels=8, random_state=0)
X = data.features  # onset, length and frequency of the words: (n_trials, 3, n_times)
trf = TemporalReceptiveField(tmin=0, tmax=0.7, sfreq=data.sfreq).fit(X, data.y)
print("penalty of each channel:", trf.alpha_)

# %%
# Response functions
# ------------------
# Words are boxcars of 0.25 s. The response to a whole word is therefore the response function
# summed over the boxcar; that is what the simulator knows the truth of (dashed).

channel = int(np.argmax(np.abs(data.mixing[0]).sum(axis=1)))
fig, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
plot_trf(trf.coef_, trf.delays_, data.feature_names, channel, sfreq=data.sfreq, ax=axes[0])
axes[0].set_title("TRF coefficients")

boxcar = np.ones(round(0.25 * data.sfreq))
lags = np.arange(trf.coef_.shape[2] + len(boxcar) - 1) / data.sfreq
truth = {
    "length": word_response(data, 1, 0, lags) - word_response(data, 0, 0, lags),
    "frequency": word_response(data, 0, 1, lags) - word_response(data, 0, 0, lags),
}
for row, (name, color) in enumerate(zip(truth, ("#E69F00", "#009E73"), strict=True), start=1):
    axes[1].plot(lags, np.convolve(trf.coef_[channel, row], boxcar), color=color, label=name)
    axes[1].plot(lags, truth[name][0, channel], "--", color=color)
axes[1].plot([], [], "--", color="0.3", label="true")
axes[1].set(title="Response to one unit more", xlabel="Time from word onset (s)", ylabel="MEG")
axes[1].spines[["top", "right"]].set_visible(False)
axes[1].legend(frameon=False)

# %%
# The same in MNE
# ---------------
# At one penalty both are the same model. ``ReceptiveField`` takes ``(n_times, n_epochs,
# n_features)``.

alpha = 100.0
ours = TemporalReceptiveField(tmin=0, tmax=0.7, sfreq=data.sfreq, alphas=alpha).fit(X, data.y)
theirs = mne.decoding.ReceptiveField(0, 0.7, data.sfreq, estimator=alpha)
theirs.fit(X.transpose(2, 0, 1), data.y.transpose(2, 0, 1))
print("largest difference of coefficients:", np.abs(ours.coef_ - theirs.coef_).max())

fig, ax = plt.subplots(figsize=(4.2, 4), layout="constrained")
ax.plot(theirs.coef_.ravel(), ours.coef_.ravel(), ".", color="#0072B2")
ax.axline((0, 0), slope=1, color="0.6", linewidth=1, zorder=0)
ax.set(xlabel="mne.decoding.ReceptiveField", ylabel="TemporalReceptiveField", aspect="equal")
ax.set_title("All coefficients, one penalty")
ax.spines[["top", "right"]].set_visible(False)
