"""
An encoder in a Pipeline, with a scaled target and a grid search
================================================================

Encoders are scikit-learn regressors with trials on axis 0. So they go where regressors go: behind a
scaler in a :class:`~sklearn.pipeline.Pipeline`, inside
:class:`~sklearn.compose.TransformedTargetRegressor` to scale the MEG as well, and into
:class:`~sklearn.model_selection.GridSearchCV`.
"""

# %%
# Data in physical units, with an outlier
# ---------------------------------------
# MEG in tesla, and a few trials with artifacts a hundred times as large.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.pipeline import make_pipeline

from sklearn_meg import ChannelScaler, TemporalReceptiveField
from sklearn_meg.datasets import make_words
from sklearn_meg.metrics import make_r_scorer

data = make_words("L", n_subjects=2, n_trials=80, n_channels=8, random_state=0)
meg = 1e-13 * data.y
rng = np.random.default_rng(0)
for trial in rng.choice(len(meg), 12, replace=False):
    meg[trial, :, rng.integers(20, 90)] *= 100
blocks = np.tile(np.repeat(np.arange(4), 20), 2)  # four blocks of the recording

# %%
# The model
# ---------
# The first scaler sees X. It is told where the subject index and the initial MEG are, and leaves
# the first alone. The second sees y: ``clip=5`` cuts artifacts off at five interquartile ranges
# before the fit. Its inverse turns predictions back into tesla.

encoder = TemporalReceptiveField(sfreq=data.sfreq, tmax=0.8, **data.rows)
model = TransformedTargetRegressor(
    regressor=make_pipeline(ChannelScaler(method="standard", **data.rows), encoder),
    transformer=ChannelScaler(method="robust", clip=5),
    check_inverse=False,  # what was clipped stays clipped
)

# %%
# The search
# ----------
# Any parameter of any step, by its name. The folds leave out whole blocks of the recording, and
# the score is Pearson's R across trials after the initial window.

score = make_r_scorer("trials", start=data.rows["n_initial"])
grid = {
    "transformer__clip": [1, 2, 5, 20, None],
    "regressor__temporalreceptivefield__tmax": [0.2, 0.4, 0.8],
}
search = GridSearchCV(model, grid, scoring=score, cv=GroupKFold(4))
search.fit(data.X, meg, groups=blocks)
print("best:", search.best_params_)

# %%
# The figure shows each fold. Clipping and a long enough window both count.

names = {f"param_{key}": key.split("__")[-1] for key in grid}
table = pd.DataFrame(search.cv_results_).rename(columns=names)
fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
labels = ["none" if clip is None else str(clip) for clip in grid["transformer__clip"]]
for tmax, color in zip((0.2, 0.4, 0.8), ("#56B4E9", "#E69F00", "#0072B2"), strict=True):
    some = table[table["tmax"] == tmax]
    folds = some[[f"split{i}_test_score" for i in range(4)]].to_numpy(dtype=float)
    ax.plot(labels, folds, ".", color=color, alpha=0.4)
    ax.plot(labels, folds.mean(axis=1), color=color, label=f"lags up to {tmax} s")
ax.set(xlabel="Clip of the MEG (interquartile ranges)", ylabel="Pearson R across trials")
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False)

# %%
# The search itself is an estimator
# ---------------------------------
# To score the choice as well, cross-validate the search: the parameters are then chosen anew in
# every training set.

inner = GridSearchCV(model, {"transformer__clip": [2, None]}, scoring=score, cv=2)
nested = cross_validate(inner, data.X, meg, groups=blocks, cv=GroupKFold(4), scoring=score)
print("R across trials in each fold:", nested["test_score"].round(3))
