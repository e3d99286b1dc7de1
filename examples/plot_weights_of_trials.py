"""
Noisy trials: leave them out, or let them count less
====================================================

Half of the trials are louder than the others, some much louder. ``sample_weight`` lets each count
as much as it is worth, one over its noise power, which is seen in the baseline; to leave loud
trials out is to give them weight 0.
"""

import matplotlib.pyplot as plt
import numpy as np

from sklearn_meg import TemporalReceptiveField
from sklearn_meg.datasets import make_words
from sklearn_meg.metrics import r_across_trials

data = make_words("L", n_subjects=1, n_trials=100, n_channels=8, random_state=0)
X, clean = data.features, data.y
rng = np.random.default_rng(0)
loud = rng.random(len(X)) < 1 / 2
size = np.where(loud, rng.uniform(2.0, 12.0, len(X)), 1.0)
noise = size[:, None, None] * clean.std() * rng.normal(size=clean.shape)
y = clean + noise
train, test = np.arange(60), np.arange(60, 100)

# %%
# The power before the first word says how loud a trial is
# --------------------------------------------------------

n_before = int(np.searchsorted(data.times, 0.0))
power = y[:, :, :n_before].var(axis=(1, 2))
weights = {
    "all alike": np.ones(len(X)),
    "loud ones left out": (power < 2 * np.quantile(power, 0.25)).astype(float),
    "1 / power": power.min() / power,
}

# %%
# The same model, three weights
# -----------------------------
#
# Scored on the clean responses of other trials.

scores = {}
for name, weight in weights.items():
    trf = TemporalReceptiveField(tmax=0.6, sfreq=data.sfreq)
    trf.fit(X[train], y[train], sample_weight=weight[train])
    scores[name] = r_across_trials(clean[test], trf.predict(X[test]))
    print(f"{name}: R = {scores[name]:.3f}")

# %%

fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
left.hist(np.log10(power[loud]), bins=15, color="#D55E00", alpha=0.8, label="loud trials")
left.hist(np.log10(power[~loud]), bins=15, color="#0072B2", alpha=0.8, label="others")
left.set(xlabel="log10 power before the word", ylabel="trials")
left.legend(frameon=False)
right.barh(list(scores), list(scores.values()), color=["0.6", "#56B4E9", "#0072B2"], height=0.6)
for i, value in enumerate(scores.values()):
    right.text(value, i, f" {value:.2f}", va="center")
right.set(xlabel="R across trials, clean responses", xlim=(0, 1.15 * max(scores.values())))
right.invert_yaxis()
for ax in (left, right):
    ax.spines[["top", "right"]].set_visible(False)
plt.show()
