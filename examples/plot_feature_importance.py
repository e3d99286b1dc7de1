"""
What does an encoder use, when, and where?
==========================================

A fitted encoder can be asked two questions. *Which features does it need?*
:func:`~sklearn_meg.permutation_importance_over_time` gives the rows of one feature to other trials
and looks at what is lost, for every time, channel and subject. *What does a feature do?*
:func:`~sklearn_meg.response_to_feature` changes one feature of one word and looks at how the
predicted response changes.

Neither needs a linear model. Here a deep recurrent encoder answers, on words simulated in a real
head: long words and frequent words move different sources, so the answer is known.
"""

# %%
# Data with a feature that does nothing
# -------------------------------------
# Three subjects hear words. To the onset, length and frequency of each word we add a fourth row, a
# random value for each word, which no response depends on. World "L" is linear in the features.

import matplotlib.pyplot as plt
import mne
import numpy as np

from sklearn_meg import (
    DeepRecurrentEncoder,
    pack_rows,
    permutation_importance_over_time,
    response_to_feature,
)
from sklearn_meg._figures import style
from sklearn_meg.datasets import make_head, make_words
from sklearn_meg.plotting import plot_importance, plot_importance_topomap

head = make_head(n_channels=60)
data = make_words("L", n_subjects=3, n_trials=150, tmax=1.2, snr=4, head=head, random_state=0)
rng = np.random.default_rng(0)
nothing = rng.normal(size=(len(data.X), 1, 1)) * data.features[:, :1]
features = np.concatenate([data.features, nothing], axis=1)
X, rows = pack_rows(
    features, subjects=data.subjects, initial=data.meg, n_initial=data.rows["n_initial"]
)
test = np.arange(len(X)) % 150 >= 110

encoder = DeepRecurrentEncoder(**rows, max_epochs=10, random_state=0)
encoder.fit(X[~test], data.y[~test])

# %%
# Which features, and when?
# -------------------------
# Always on trials that were not trained on. Features are named by their rows of ``X``; the rows of
# the subject and of the initial MEG are found from the encoder.

names = {"length": 1, "frequency": 2, "nothing": 3, "subject": None, "initial": None}
result = permutation_importance_over_time(
    encoder, X[test], data.y[test], features=names, n_repeats=3, random_state=0
)
start = data.times[rows["n_initial"]]
plot_importance(result, data.times, start=start)

# %%
# Length matters soon after the word, frequency later; both also before it and long after, because
# other words came before and follow. The initial MEG tells how the trial goes on for a while.
#
# The drop of R, averaged over channels and the time from the word on. ``std`` is the spread over
# repeats: a feature whose importance is within it has shown nothing.

onset = int(np.argmin(np.abs(data.times)))
table = result.summary(start=onset)
print(table.groupby("feature", sort=False)[["importance", "std", "baseline"]].mean().round(3))

# %%
# And where?
# ----------
# Length is needed on the left and early, frequency on the right and later.

plot_importance_topomap(
    result, data.info, data.times, at=[0.15, 0.25, 0.35, 0.45, 0.6],
    features=["length", "frequency", "nothing"],
)  # fmt: skip

# %%
# What does one unit of length do?
# --------------------------------
# The word at t = 0 is made one standard deviation longer in every trial, and everything else is
# left as it is. The mean change of the prediction is the response to length, for every subject.
# The simulator knows the true one.

fig, axes = plt.subplots(2, 2, figsize=(9, 5.5), sharex=True, sharey="row", layout="constrained")
for row, name in enumerate(["length", "frequency"]):
    response = response_to_feature(encoder, X[test], names[name], onset=onset, onset_row=0)
    true = data.responses[:, names[name]]
    r = np.corrcoef(response[..., onset:].ravel(), true[..., onset:].ravel())[0, 1]
    with style():
        for ax, values, title in zip(axes[row], (response, true), ("predicted", "true")):
            ax.plot(data.times, values.mean(axis=0).T, color="#0072B2", linewidth=0.7, alpha=0.6)
            ax.axvline(0, color="#999999", linewidth=0.8, linestyle="--")
            ax.set_title(f"{title} response to {name}", fontsize=11)
    axes[row, 0].set_ylabel("MEG per unit (0.1 pT)")
    axes[row, 0].text(
        0.98, 0.95, f"r = {r:.2f}", transform=axes[row, 0].transAxes, ha="right", va="top"
    )
for ax in axes[1]:
    ax.set_xlabel("Time from word onset (s)")

# %%
# Such a response is an ordinary evoked field for MNE.

length = response_to_feature(encoder, X[test], 1, onset=onset, onset_row=0).mean(axis=0)
evoked = mne.EvokedArray(length * data.unit, data.info, tmin=data.times[0], comment="length")
evoked.plot_topomap(times=[0.1, 0.15, 0.2, 0.25, 0.3], show=False)
