"""The source layer solved exactly, before and after the recurrent units are trained."""

from copy import deepcopy

import numpy as np
import torch
from skorch.callbacks import Callback

from ._settings import SETTINGS


class Settle(Callback):
    """Solve for the source layer by least squares, as it is linear in what the units do.

    Once before training, so that the gradients of the recurrent units are those of a model that
    fits, and once after. Training that is not needed is stopped, and taken back if it did not help.
    """

    def on_train_begin(self, net, X, **kwargs):
        inputs, self.targets_ = X.batch(np.arange(len(X)))
        weight = net.module_.sources.weight
        self.events_ = inputs["events"].to(weight.device, net.module_.gain.dtype)
        self.missed_ = settle(net.module_, self.events_, self.targets_)
        self.start_ = deepcopy(net.module_.state_dict())

    def on_epoch_end(self, net, **kwargs):
        if self.missed_ < SETTINGS.enough:
            raise KeyboardInterrupt  # skorch's way of ending a fit

    def on_train_end(self, net, **kwargs):
        if settle(net.module_, self.events_, self.targets_) >= self.missed_:
            net.module_.load_state_dict(self.start_)
        self.events_ = self.targets_ = self.start_ = None

    def state_dict(self):
        """Nothing: the start is the same again."""
        return {}


def settle(module, events, targets):
    """Solve for the source layer of a network.

    Parameters
    ----------
    module : SourceNet
    events : tensor of shape (n_conditions, n_events, n_times)
    targets : tensor of shape (n_conditions, n_outputs, n_times)

    Returns
    -------
    missed : float
        Share of the power of the targets that is left.
    """
    with torch.no_grad():
        hidden = module.hidden(events).double().cpu().numpy()
        hidden = hidden.reshape(-1, hidden.shape[-1])
        gain = module.gain.double().cpu().numpy()
        fields = targets.double().cpu().numpy().transpose(0, 2, 1).reshape(len(hidden), -1)
        gram = hidden.T @ hidden
        gram += (SETTINGS.ridge * np.trace(gram) / len(gram) + 1e-30) * np.eye(len(gram))
        layer = np.linalg.solve(gram, hidden.T @ fields)
        weights = np.linalg.lstsq(gain, layer.T, rcond=1e-6)[0]
        module.sources.weight.copy_(torch.as_tensor(weights))
    rest = fields - hidden @ weights.T @ gain.T
    return float(np.square(rest).sum() / max(np.square(fields).sum(), 1e-300))
