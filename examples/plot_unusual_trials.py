"""
Data unlike those of ``fit``
============================

A model answers whatever it is asked. ``is_unusual`` says, without labels, which samples are unlike
those it was fitted to, at a rate of false alarms that you choose.
"""

import matplotlib.pyplot as plt
import numpy as np

from sklearn_meg import TemporalReceptiveField
from sklearn_meg.datasets import make_words

data = make_words("L", n_subjects=1, n_trials=300, n_channels=4, random_state=0)
X, y = data.features, data.y
trf = TemporalReceptiveField(tmax=0.6, sfreq=data.sfreq).fit(X[:150], y[:150])
new = X[150:]

# %%
# Three things that happen to features on their way
# -------------------------------------------------

rng = np.random.default_rng(0)
sets = {
    "as they were": new,
    "a gain of 1.3": 1.3 * new,
    "a pulse": new + new.std() * (np.arange(new.shape[2]) == new.shape[2] // 2),
    "a little noise": new + 0.003 * new.std() * rng.normal(size=new.shape),
}
rates = np.array([0.01, 0.02, 0.05, 0.1, 0.2, 0.4])
found = {
    name: [trf.is_unusual(part, rate=rate).mean() for rate in rates] for name, part in sets.items()
}
for name, share in found.items():
    print(f"{name}: {share[2]:.0%} are unusual at a rate of 5 %")

# %%
# Usual trials keep to the rate, the others do not.

fig, ax = plt.subplots(figsize=(5.5, 3.8), layout="constrained")
ax.loglog(rates, rates, color="0.7", linestyle="--", label="rate that was asked for")
colors = "0.3", "#D55E00", "#0072B2", "#009E73"
for (name, share), color, mark in zip(found.items(), colors, "osD^", strict=True):
    ax.loglog(rates, np.maximum(share, 0.005), mark + "-", color=color, label=name)
ax.set(xlabel="rate", ylabel="share called unusual", ylim=(4e-3, 1.3))
ax.legend(frameon=False, fontsize=8)
ax.spines[["top", "right"]].set_visible(False)
plt.show()
