"""
How strong a penalty, channel by channel
========================================

A TRF chooses its penalty on folds inside the training trials, each channel its own. The held-out R2
of every candidate stays in ``cv_scores_``: a curve that rises to its end says that the list of
penalties is too short.
"""

import matplotlib.pyplot as plt
import numpy as np

from sklearn_meg import TemporalReceptiveField
from sklearn_meg.datasets import make_words

data = make_words("L", n_subjects=1, n_trials=60, n_channels=6, random_state=0)
alphas = np.logspace(-1, 7, 9)
trf = TemporalReceptiveField(tmax=0.7, sfreq=data.sfreq, alphas=list(alphas))
trf.fit(data.features, data.y)

# %%
# One line a channel; the dot is what was taken.

fig, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
for scores, alpha in zip(trf.cv_scores_, np.ravel(trf.alpha_), strict=True):
    (line,) = ax.semilogx(alphas, scores, alpha=0.8)
    ax.plot(
        alpha, scores[np.flatnonzero(np.isclose(alphas, alpha))[0]], "o", color=line.get_color()
    )
ax.set(xlabel="penalty (alpha)", ylabel="held-out R2", title="Each channel its own penalty")
ax.spines[["top", "right"]].set_visible(False)
plt.show()
