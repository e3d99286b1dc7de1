"""
A study of arrays of your own
=============================

A :class:`~sklearn_meg.Study` is not only for recordings: any models, any numbers. All get the same
folds, each is compared with a floor, and the difference of two has an interval.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import RidgeCV

from sklearn_meg import Study

rng = np.random.default_rng(0)
X = rng.normal(size=(240, 6))
y = X[:, 0] + np.abs(X[:, 1]) + 0.5 * rng.normal(size=240)
subjects = np.arange(240) // 30

# %%
# Two models, eight subjects, folds that keep subjects whole
# ----------------------------------------------------------

models = {
    "ridge": RidgeCV(),
    "forest": RandomForestRegressor(60, min_samples_leaf=3, random_state=0),
}
study = Study(models, cv=4).run(X, y, subjects=subjects, groups=subjects)
print(study.compare("forest", "ridge").T)

# %%
# One dot a subject

table = study.table_.groupby(["model", "subject"])["r2"].mean().unstack("model")
fig, ax = plt.subplots(figsize=(5, 3.5), layout="constrained")
for _, row in table.iterrows():
    ax.plot([0, 1], [row["ridge"], row["forest"]], "o-", color="0.7", zorder=1)
ax.plot([0, 1], [table["ridge"].mean(), table["forest"].mean()], "s-", color="#D55E00", zorder=2)
ax.set_xticks([0, 1], ["ridge", "forest"])
ax.set(xlim=(-0.4, 1.4), ylabel="R2 of a subject left out", title="Mean in orange")
ax.spines[["top", "right"]].set_visible(False)
plt.show()
