"""The source layer solved exactly, before and after the recurrent units are trained."""

from copy import deepcopy

import numpy as np
import torch
from skorch.callbacks import Callback

from ._settings import SETTINGS


class Settle(Callback):
    """Solve for the source layer by least squares, as it is linear in what the units do.

    Once before training, so that the gradients of the recurrent units are those of a model that
    fits, and once after. Training that is not needed, diverges, or stays worse than no source at
    all is stopped, and taken back if it did not help.
    Where conditions predict each other, as those of events at several intervals do, what single
    ones have beyond that is noise: the layer is the one that predicts those left out best, and
    stays.
    """

    def on_train_begin(self, net, X, **kwargs):
        inputs, self.targets_ = X.batch(np.arange(len(X)))
        weight = net.module_.sources.weight
        self.events_ = inputs["events"].to(weight.device, net.module_.gain.dtype)
        ridge, left_out = SETTINGS.ridge, 1.0
        n_conditions, n_events = self.events_.shape[:2]
        if n_conditions > SETTINGS.conditions_an_event * n_events:
            problem = layer_problem(net.module_, self.events_, self.targets_)
            ridge, left_out = predictive_ridge(*problem)
        self.shared_ = left_out < SETTINGS.predicted
        self.ridge_ = ridge if self.shared_ else SETTINGS.ridge
        self.missed_ = settle(net.module_, self.events_, self.targets_, self.ridge_)
        self.start_, self.diverged_ = deepcopy(net.module_.state_dict()), False

    def on_grad_computed(self, net, named_parameters, **kwargs):
        gradients = [each.grad for _, each in named_parameters if each.grad is not None]
        if not all(torch.isfinite(gradient).all() for gradient in gradients):
            self.diverged_ = True
            for gradient in gradients:
                gradient.zero_()

    def on_epoch_end(self, net, **kwargs):
        needless = self.shared_ or self.missed_ < SETTINGS.enough
        if needless or self.diverged_ or self._is_hopeless(net.history):
            raise KeyboardInterrupt  # skorch's way of ending a fit

    def _is_hopeless(self, history):
        losses = history[-SETTINGS.hopeless :, "train_loss"]
        nothing = 0.5 * float(self.targets_.square().mean())
        return len(losses) == SETTINGS.hopeless and min(losses) > nothing

    def on_train_end(self, net, **kwargs):
        missed = settle(net.module_, self.events_, self.targets_, self.ridge_)
        if self.shared_ or missed >= self.missed_:
            net.module_.load_state_dict(self.start_)
        self.events_ = self.targets_ = self.start_ = None

    def state_dict(self):
        """Nothing: the start is the same again."""
        return {}


def layer_problem(module, events, targets):
    """Courses of the units, and fields: (n_conditions, n_times, n_units) and (.., n_outputs)."""
    with torch.no_grad():
        hidden = module.hidden(events).cpu().double().numpy()
    return hidden, targets.cpu().double().numpy().transpose(0, 2, 1)


def settle(module, events, targets, ridge=SETTINGS.ridge):
    """Solve for the source layer of a network.

    module (SourceNet), events (n_conditions, n_events, n_times), targets
        (n_conditions, n_outputs, n_times)
    ridge: Penalty as a share of the mean power of a recurrent unit.
    Returns missed: Share of the power of the targets that is left.
    """
    hidden, fields = layer_problem(module, events, targets)
    hidden = hidden.reshape(-1, hidden.shape[-1])
    fields = fields.reshape(len(hidden), -1)
    gram = hidden.T @ hidden
    gram += (ridge * np.trace(gram) / len(gram) + 1e-30) * np.eye(len(gram))
    layer = np.linalg.solve(gram, hidden.T @ fields)
    with torch.no_grad():
        gain = module.gain.cpu().double().numpy()
        weights = np.linalg.lstsq(gain, layer.T, rcond=1e-6)[0]
        module.sources.weight.copy_(torch.as_tensor(weights))
    rest = fields - hidden @ weights.T @ gain.T
    return float(np.square(rest).sum() / max(np.square(fields).sum(), 1e-300))


def predictive_ridge(hidden, fields):
    """Ridge with which conditions predict those left out best.

    hidden (n_conditions, n_times, n_units), fields (n_conditions, n_times, n_outputs)
    Returns ridge: Penalty as a share of the mean power of a unit.
    and missed: Share of the power of those left out that is not predicted.
    """
    n_conditions = len(hidden)
    grams, matches = hidden.transpose(0, 2, 1) @ hidden, hidden.transpose(0, 2, 1) @ fields
    mean = np.trace(grams.sum(axis=0)) / hidden.shape[2] + 1e-30
    missed = np.zeros(len(SETTINGS.ridges))
    for part in np.array_split(np.arange(n_conditions), min(n_conditions, SETTINGS.folds)):
        kept = np.setdiff1d(np.arange(n_conditions), part)
        values, vectors = np.linalg.eigh(grams[kept].sum(axis=0))
        seen = vectors.T @ matches[kept].sum(axis=0)
        turned = hidden[part] @ vectors
        for index, ridge in enumerate(SETTINGS.ridges):
            layer = seen / (np.maximum(values, 0.0) + ridge * mean)[:, None]
            missed[index] += np.square(fields[part] - turned @ layer).sum()
    best = int(np.argmin(missed))
    return SETTINGS.ridges[best], float(missed[best] / max(np.square(fields).sum(), 1e-300))
