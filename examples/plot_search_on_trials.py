"""
A grid search on trials as they are
===================================

``GridSearchCV`` takes trials of three dimensions: lags, penalty and the scaling of channels are
searched together, whole runs stay in one fold, and the score is R across trials after the stimulus.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline

from sklearn_meg import ChannelScaler, TemporalReceptiveField
from sklearn_meg.datasets import make_words
from sklearn_meg.metrics import make_r_scorer

data = make_words("L", n_subjects=1, n_trials=24, n_channels=6, random_state=0)
runs = np.arange(24) // 6
start = int(np.searchsorted(data.times, 0.0))
model = make_pipeline(ChannelScaler(), TemporalReceptiveField(sfreq=data.sfreq))
grid = {
    "temporalreceptivefield__tmax": [0.1, 0.2, 0.4, 0.6, 0.8],
    "temporalreceptivefield__alphas": [1.0, 1e2, 1e3, 1e4, 1e5],
}
search = GridSearchCV(model, grid, scoring=make_r_scorer(start=start), cv=GroupKFold(4))
search.fit(data.features, data.y, groups=runs)
print(search.best_params_)

# %%
# What was tried
# --------------

tmax, alphas = grid.values()
scores = search.cv_results_["mean_test_score"].reshape(len(alphas), len(tmax))
fig, ax = plt.subplots(figsize=(5.5, 3.8), layout="constrained")
image = ax.imshow(scores, cmap="viridis", origin="lower")
for (i, j), value in np.ndenumerate(scores):
    bright = value < scores.min() + 0.6 * np.ptp(scores)
    ax.text(j, i, f"{value:.2f}", ha="center", va="center", color="w" if bright else "k")
ax.set_xticks(range(len(tmax)), tmax)
ax.set_yticks(range(len(alphas)), [f"{alpha:g}" for alpha in alphas])
ax.set(xlabel="last lag (s)", ylabel="penalty (alpha)", title="R across trials of runs left out")
fig.colorbar(image, ax=ax)
plt.show()
