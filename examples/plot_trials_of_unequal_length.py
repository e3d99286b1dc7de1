"""
Trials of unequal length, and samples that do not count
=======================================================

Sentences differ in length, and artifacts spoil parts of trials. A mask says which samples count; it
travels as a row of X, so that folds, pipelines and scores know it, too.
"""

import matplotlib.pyplot as plt
import numpy as np

from sklearn_meg import TemporalReceptiveField, pack_rows, pad_trials

rng = np.random.default_rng(0)
lengths = rng.integers(60, 100, size=40)
kernel = np.exp(-(((np.arange(12) - 5) / 2) ** 2))
sounds = [rng.normal(size=(1, n)) for n in lengths]
meg = [np.convolve(s[0], kernel)[None, : s.shape[1]] + rng.normal(size=s.shape) for s in sounds]

# %%
# Both are filled up to the longest; the mask row is 0 where a trial was over.

X, rows = pack_rows(sounds)
y = pad_trials(meg)
y = y[0] if isinstance(y, tuple) else y
print(X.shape, y.shape, rows["mask_row"])
trf = TemporalReceptiveField(tmin=0, tmax=11, alphas=1.0, **rows).fit(X, y)

# %%
# An artifact in some trials: without the mask it goes into the response function.

spoiled = y.copy()
spoiled[::4, :, 20:40] += 30 * np.abs(X[::4, :1, 20:40])
masked = X.copy()
masked[::4, rows["mask_row"], 20:40] = 0
fig, ax = plt.subplots(figsize=(5, 3.5), layout="constrained")
ax.plot(kernel, "k--", label="true")
for label, inputs in (("artifact in the fit", X), ("masked", masked)):
    ax.plot(trf.fit(inputs, spoiled).coef_[0, 0], label=label)
ax.set(xlabel="lag (samples)", ylabel="response")
ax.legend(frameon=False)
ax.spines[["top", "right"]].set_visible(False)
plt.show()
