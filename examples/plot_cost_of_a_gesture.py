"""
A gesture that must not come by mistake
=======================================

A hand that closes by itself is worse than one that stays open a moment longer. Weights of trials
say so: the more the trials of rest count, the fewer other gestures are decided in rest, and the
more of them are missed.
"""

import matplotlib.pyplot as plt
import numpy as np
import sklearn
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.utils.class_weight import compute_sample_weight

from sklearn_meg import NerveFeatures, WindowClassifier
from sklearn_meg.datasets import make_nerve

nerve = make_nerve((0,), n_train=10, n_test=2, n_channels=4, sfreq=1000.0, duration=0.4)
signal = nerve.X[:, :-1] + 1.5 * nerve.X[:, :-1].std() * np.random.default_rng(0).normal(
    size=nerve.X[:, :-1].shape
)
X = NerveFeatures(sfreq=nerve.sfreq, window=0.2, hop=0.1).fit_transform(signal)
rest = nerve.y == nerve.y[0]  # one class stands for rest, the others are wanted
y = np.where(rest, "rest", "gesture")
folds = StratifiedKFold(4)

# %%
# ``compute_sample_weight`` makes weights of trials from weights of classes
# --------------------------------------------------------------------------
#
# Routing hands them to ``fit`` in each fold.

costs = np.array([0.1, 0.3, 1.0, 3.0, 10.0, 30.0])
false, missed = [], []
for cost in costs:
    weight = compute_sample_weight({"rest": cost, "gesture": 1.0}, y)
    with sklearn.config_context(enable_metadata_routing=True):
        model = WindowClassifier().set_fit_request(sample_weight=True)
        said = cross_val_predict(model, X, y, cv=folds, params={"sample_weight": weight})
    false.append(np.mean(said[rest] == "gesture"))
    missed.append(np.mean(said[~rest] == "rest"))
    print(f"cost {cost:g}: {false[-1]:.0%} of rest moves, {missed[-1]:.0%} of gestures are missed")

# %%

fig, ax = plt.subplots(figsize=(5.5, 3.5), layout="constrained")
ax.semilogx(costs, false, "o-", color="#D55E00", label="rest in which the hand moves")
ax.semilogx(costs, missed, "s-", color="#0072B2", label="gestures that are missed")
ax.set(xlabel="weight of a trial of rest", ylabel="share of trials", ylim=(-0.03, 1.0))
ax.legend(frameon=False)
ax.spines[["top", "right"]].set_visible(False)
plt.show()
