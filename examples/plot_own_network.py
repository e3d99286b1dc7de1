"""
Your own network as an estimator
================================

A network of your own needs a ``fit`` of four lines and no training loop: how it is built, and how
trials become tensors. Here signals are smoothed by an unknown filter that one convolution learns.
"""

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.base import RegressorMixin
from sklearn.model_selection import cross_val_score

from sklearn_meg.base import (
    ComputeParams,
    OptimizerParams,
    TorchEstimator,
    ValidationParams,
    check_targets,
    check_trials,
    flatten_targets,
)


class Smoother(torch.nn.Module):
    """Channels out of channels, by one convolution over time."""

    def __init__(self, n_in, n_out, width):
        super().__init__()
        self.conv = torch.nn.Conv1d(n_in, n_out, width, padding=width // 2)

    def forward(self, signals):
        """Smooth."""
        return self.conv(signals)


@dataclass(kw_only=True, eq=False, repr=False)
class ConvolutionRegressor(
    OptimizerParams, ValidationParams, ComputeParams, RegressorMixin, TorchEstimator
):
    """A linear filter, learned by gradient descent."""

    width: int = 15
    lr: float = 3e-2

    _module_class = Smoother

    def fit(self, X, y, groups=None):
        """Fit on trials (n_trials, n_channels, n_times)."""
        X = check_trials(self, X, reset=True)
        y, self._y_ndim = check_targets(y, X)
        self._n_out = y.shape[1]
        return self._train(X, y, groups=groups)

    def predict(self, X):
        """Predict trials."""
        X = check_trials(self, X, reset=False)
        return flatten_targets(self._forward(X), self._y_ndim)

    def _module_params(self):
        return {"n_in": self.n_features_in_, "n_out": self._n_out, "width": self.width}

    def _inputs(self, X):
        return {"signals": torch.as_tensor(X, dtype=self._tensor_dtype)}

    def _targets(self, X, y):
        return torch.as_tensor(y, dtype=self._tensor_dtype)


# %%
# It is an estimator like any other
# ---------------------------------

rng = np.random.default_rng(0)
kernel = np.exp(-0.5 * (np.arange(-7, 8) / 2) ** 2) * np.cos(np.arange(-7, 8))
X = rng.normal(size=(60, 1, 100))
y = np.array([[np.convolve(trial[0], kernel, mode="same")] for trial in X])
y += 0.3 * rng.normal(size=y.shape)
model = ConvolutionRegressor(max_epochs=60, random_state=0)
flat = y.reshape(len(y), -1)
print("R2 of folds:", cross_val_score(model, X, flat, cv=3, scoring="r2").round(2))

# %%
# What it has learned
# -------------------

model.fit(X, y)
learned = model.net_.module_.conv.weight.detach().numpy()[0, 0, ::-1]
fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
left.plot([epoch["train_loss"] for epoch in model.history_], color="0.5", label="training")
left.plot([epoch["valid_loss"] for epoch in model.history_], color="#0072B2", label="held out")
left.set(xlabel="epoch", ylabel="loss", yscale="log")
left.legend(frameon=False)
lags = np.arange(-7, 8)
right.plot(lags, kernel, "o", color="0.5", label="true")
right.plot(lags, learned, color="#0072B2", label="learned")
right.set(xlabel="lag (samples)", ylabel="weight")
right.legend(frameon=False)
for ax in (left, right):
    ax.spines[["top", "right"]].set_visible(False)
plt.show()
