"""
When a prosthesis should rather do nothing
==========================================

A wrong movement is worse than none. A decoder that knows what it does not know withholds its
uncertain decisions: how many must it give up for how few errors, on the day of training and after
the nerve has changed?
"""

# %%
# One day of training, three later sessions
# -----------------------------------------
# Session 1 is the same day; 2 and 3 come after drifts of level 2 and 3, with channels that have
# other gains and units that are lost.

import matplotlib.pyplot as plt
import numpy as np

from sklearn_meg import NerveDecoder
from sklearn_meg.datasets import make_nerve

nerve = make_nerve((0, 2, 3), n_test=8, sfreq=2500.0, duration=0.8, firing="sparse", random_state=1)
train = nerve.session == 0
decoder = NerveDecoder(sfreq=nerve.sfreq, session_row=-1, max_epochs=40, random_state=0)
decoder.fit(nerve.X[train], nerve.y[train])


# %%
# Decisions by their confidence
# -----------------------------
# Trials in the order of the probability of the chosen movement: the errors among the surest
# tenth, two tenths, and so on.


def errors(X, y):
    """Share of the trials that are decided, and of errors among them."""
    probabilities = decoder.predict_proba(X)
    order = np.argsort(-probabilities.max(axis=1), kind="stable")
    wrong = decoder.classes_[probabilities.argmax(axis=1)] != y
    counts = np.arange(1, len(y) + 1)
    return counts / len(y), np.cumsum(wrong[order]) / counts


names = {1: "the same day", 2: "drift 2", 3: "drift 3"}
colors = {1: "#009E73", 2: "#0072B2", 3: "#D55E00"}
figure, axes = plt.subplots(1, 2, figsize=(8.5, 3.6), sharey=True, layout="constrained")
for ax, adaptation in zip(axes, (None, "online"), strict=True):
    decoder.set_params(adaptation=adaptation)
    for session, name in names.items():
        chosen = nerve.session == session
        share, error = errors(nerve.X[chosen], nerve.y[chosen])
        ax.plot(100 * share, 100 * error, color=colors[session], label=name)
    ax.set(xlabel="trials that are decided (%)", xlim=(0, 100))
    ax.set_title("not adapted" if adaptation is None else "adapted online", loc="left")
    ax.spines[["top", "right"]].set_visible(False)
axes[0].set(ylabel="errors among them (%)", ylim=(0, None))
axes[0].legend(frameon=False)

# %%
# What a probability means
# ------------------------
# In ``fit`` the decoder leaves trials out and compares what it says of itself with how often it is
# right. Above the diagonal it is too modest, below it too sure. Here it is near it, and rather too
# modest; after a drift much worse than anything in training it is too sure.

from sklearn.calibration import CalibrationDisplay

figure, ax = plt.subplots(figsize=(4.2, 3.8), layout="constrained")
for session, name in names.items():
    chosen = nerve.session == session
    stated = decoder.predict_proba_windows(nerve.X[chosen])
    right = decoder.classes_[stated.argmax(axis=1)] == nerve.y[chosen][:, np.newaxis]
    CalibrationDisplay.from_predictions(
        right.ravel(), stated.max(axis=1).ravel(), n_bins=8, ax=ax, name=name,
        color=colors[session], strategy="quantile",
    )  # fmt: skip
ax.set(xlabel="stated probability of a window's movement", ylabel="share that is right")
ax.legend(frameon=False, loc="upper left")
ax.spines[["top", "right"]].set_visible(False)

# %%
# A threshold in use
# ------------------
# ``is_uncertain`` says which trials of a later day to reject; a stream has the same threshold as
# ``confidence``.

chosen = nerve.session == 3
reject = decoder.is_uncertain(nerve.X[chosen], confidence=0.8)
right = decoder.predict(nerve.X[chosen]) == nerve.y[chosen]
print(f"after drift 3: {right.mean():.2f} right")
print(f"of the {np.mean(~reject):.0%} that are decided: {right[~reject].mean():.2f}")
