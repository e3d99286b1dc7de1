"""
How long a window
=================

A longer window is more often right, and later. Accuracy over the length of the window, with whole
trials left out, shows where waiting no longer pays.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import StratifiedKFold, cross_val_score

from sklearn_meg import WindowClassifier
from sklearn_meg.datasets import make_nerve

nerve = make_nerve((0,), n_train=6, n_test=2, n_channels=8, sfreq=1000.0, duration=0.8)
X, y = nerve.X[:, :-1], nerve.y  # without the row of the session
windows = [0.05, 0.1, 0.2, 0.4]
scores = []
for window in windows:
    model = WindowClassifier(sfreq=nerve.sfreq, window=window, hop=0.05).fit(X, y)
    scores.append(cross_val_score(model, X, y, cv=StratifiedKFold(4)))
    print(f"{1e3 * window:.0f} ms: {scores[-1].mean():.2f}")

# %%

fig, ax = plt.subplots(figsize=(5, 3.5), layout="constrained")
ax.errorbar(
    1e3 * np.array(windows), np.mean(scores, 1), np.std(scores, 1), fmt="o-", color="#0072B2"
)
ax.set(xlabel="window (ms)", ylabel="share of trials that are right", ylim=(0, 1.05))
ax.spines[["top", "right"]].set_visible(False)
plt.show()
