"""
R across trials, R over time
============================

Two scores of the same prediction answer two questions. R over time asks whether the shape of the
response is right: a model that predicts the same response in every trial can score high. R across
trials asks whether the model knows how one trial differs from another: that model scores 0.
"""

import matplotlib.pyplot as plt
import numpy as np

from sklearn_meg import SubjectMean, TemporalReceptiveField
from sklearn_meg.datasets import make_words
from sklearn_meg.metrics import r_across_trials, r_over_time

data = make_words("L", n_subjects=1, n_trials=120, n_channels=6, random_state=0)
X, y = data.features, data.y
train, test = np.arange(80), np.arange(80, 120)

# %%
# The mean response of training, and a model that knows the words
# ---------------------------------------------------------------

models = {"mean": SubjectMean(), "trf": TemporalReceptiveField(tmax=0.6, sfreq=data.sfreq)}
scores = {}
for name, model in models.items():
    predicted = model.fit(X[train], y[train]).predict(X[test])
    scores[name] = r_over_time(y[test], predicted), r_across_trials(y[test], predicted)
    print(f"{name}: over time {scores[name][0]:.2f}, across trials {scores[name][1]:.2f}")

# %%
# Studies therefore lead with R across trials.

fig, ax = plt.subplots(figsize=(5, 3.5), layout="constrained")
for i, (name, values) in enumerate(scores.items()):
    ax.bar(np.arange(2) + 0.4 * i, values, width=0.36, label=name, color=("0.6", "#0072B2")[i])
ax.set_xticks([0.2, 1.2], ["over time", "across trials"])
ax.set_ylabel("Pearson R on test trials")
ax.legend(frameon=False)
ax.spines[["top", "right"]].set_visible(False)
plt.show()
