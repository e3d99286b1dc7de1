"""
Single trials decoded in source space
=====================================

A source estimator is a transformer: fitted to some trials, its operator is applied to others. So
it stands in a Pipeline before any classifier, and cross-validation fits it to the training trials
alone. Here two simulated conditions have their sources in the two hemispheres.
"""

import matplotlib.pyplot as plt
import numpy as np
from mne.decoding import Vectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

from sklearn_meg.datasets import make_evoked
from sklearn_meg.source import DipoleSearch, MinimumNorm

# %%
# Two conditions of 30 trials: the same two sources, each stronger in one of them.

first = make_evoked("2corr", snr_db=5.0, n_epochs=30, spacing=12.0, random_state=3)
left, right = first.condition([1.5, 0.2], 1), first.condition([0.2, 1.5], 2)
X = np.concatenate([left.epochs, right.epochs])
y = np.repeat(["left", "right"], 30)

# %%
# The number of sources found, and how well single trials are told apart in five folds.

given = {"forward": first.forward, "noise_cov": first.noise_cov, "onset": first.onset}
models = {
    "dipoles": DipoleSearch(**given, info=first.info, random_state=0),
    "minimum norm": MinimumNorm(**given, info=first.info),
}
scores = {}
for name, model in models.items():
    pipeline = make_pipeline(model, Vectorizer(), LogisticRegression())
    scores[name] = cross_val_score(pipeline, X, y, cv=5)
    print(f"{name}: {scores[name].mean():.2f}")

# %%
# Single trials of the two sources: one row a trial, in units of the root mean square (RMS), over
# time and conditions, of the strongest source.

search = models["dipoles"].fit(X, y)
trials = search.transform(X)[:, search.support_]
figure, axes = plt.subplots(1, trials.shape[1], sharey=True, squeeze=False)
for axis, source in zip(axes[0], trials.transpose(1, 0, 2)):
    for label, color in (("left", "C0"), ("right", "C1")):
        axis.plot(first.times, source[y == label].T, color=color, alpha=0.2)
        axis.plot(first.times, source[y == label].mean(axis=0), color=color, label=label)
    axis.set_xlabel("time (s)")
axes[0, 0].set_ylabel("current (RMS of the strongest source = 1)")
axes[0, 0].legend()
plt.show()
