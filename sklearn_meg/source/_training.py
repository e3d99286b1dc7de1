"""Training on all positions with a penalty on the source layer, in the phases of the paper."""

import numpy as np
import torch
from skorch.callbacks import Callback

from ._settings import SETTINGS


class Phases(Callback):
    """Fields alone first, then the penalty, then the penalty reweighted a few times.

    The weight of position j is ``1 / (2 sqrt(g_j + .02))``, g_j its energy of the round before,
    relative to the largest: what is weak is pushed down, what is strong is let go.

    n_rounds: Number of rounds of reweighting.
    """

    def __init__(self, strength, n_rounds):
        self.strength, self.n_rounds = strength, n_rounds

    def on_train_begin(self, net, X, **kwargs):
        first = net.max_epochs // 2
        later = np.linspace(first, net.max_epochs, self.n_rounds + 2).astype(int)
        self.starts_, self.data_ = [first, *later[1:-1]], X
        self.criterion_, self.device_ = net.criterion_, net.device

    def on_epoch_begin(self, net, **kwargs):
        epoch = len(net.history) - 1
        if epoch == self.starts_[0]:
            net.criterion_.strength = self.strength
        elif epoch in self.starts_[1:]:
            net.criterion_.weights = self._weights(net)

    def on_train_end(self, net, **kwargs):
        self.data_ = self.criterion_ = None

    def state_dict(self):
        """The penalty of the present phase."""
        return {"strength": self.criterion_.strength, "weights": self.criterion_.weights}

    def load_state_dict(self, state):
        """Go on in the phase of a ``state_dict``."""
        self.criterion_.strength = state["strength"]
        weights = state["weights"]
        self.criterion_.weights = None if weights is None else weights.to(self.device_)

    def _weights(self, net):
        inputs, _ = self.data_.batch(np.arange(len(self.data_)))
        device = net.module_.gain.device
        with torch.no_grad():
            layer = net.module_.layer(inputs["events"].to(device, net.module_.gain.dtype))
            energy = net.criterion_.magnitudes(layer).square().mean(dim=(0, 1))
        return 0.5 / (energy / energy.max().clamp(min=1e-30) + SETTINGS.floor).sqrt()


def lead_modes(gain, n_modes):
    """Orthonormal directions of the channels that sources reach most, (n_channels, n_modes)."""
    left, _, _ = np.linalg.svd(gain @ gain.T)
    return left[:, : min(n_modes, len(left))]


def layer_scale(gain, weights, data):
    """A m of one unit of the source layer: depth weights, times what makes the data of order 1."""
    columns = gain * weights.ravel()
    return weights.ravel() * np.sqrt(np.square(data).mean()) / np.linalg.norm(columns, axis=0).max()


def penalty_strength(alpha, columns, data, noise, n_orient):
    """Penalty: a share of the least that leaves no source, or what noise alone cannot pass.

    alpha (float or "auto"): Penalty in percent.
    columns (n_modes, n_sources): Lead field of the source layer.
    data (n_conditions, n_modes, n_times)
    noise (ndarray of the same shape): Like its noise.
    """
    if alpha != "auto":
        return alpha / 100 * _largest(columns, data, n_orient)
    return _largest(columns, noise, n_orient)


def _largest(columns, data, n_orient):
    """Root mean square over samples of the match of the best position."""
    power = np.square(np.einsum("mj,cmt->cjt", columns, data, optimize=True)).mean(axis=(0, 2))
    return float(np.sqrt(power.reshape(-1, n_orient).sum(axis=1).max()))
