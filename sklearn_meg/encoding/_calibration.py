"""Calibrating a deep encoder to subjects it was not fitted with, its trunk frozen."""

import torch
from skorch.callbacks import Callback

SUBJECT_WEIGHTS = ("embedding.weight", "mixing")


class TrainNewSubjectsOnly(Callback):
    """Freeze everything but the last rows of the weights that belong to subjects."""

    def __init__(self, n_new):
        self.n_new = n_new

    def on_train_begin(self, net, **kwargs):
        for name, weight in net.module_.named_parameters():
            if name in SUBJECT_WEIGHTS:
                weight.register_hook(self._new_rows_of)
            else:
                weight.requires_grad_(False)

    def on_train_end(self, net, **kwargs):
        for weight in net.module_.parameters():
            weight._backward_hooks = None
            weight.requires_grad_(True)

    def _new_rows_of(self, gradient):
        return torch.cat([torch.zeros_like(gradient[: -self.n_new]), gradient[-self.n_new :]])


def with_new_subjects(weights, n_new):
    """State of a network with `n_new` subjects more, each starting as the mean of the others."""
    grown = dict(weights)
    for name in SUBJECT_WEIGHTS:
        if name in grown:
            new = grown[name].mean(dim=0, keepdim=True).expand(n_new, *grown[name].shape[1:])
            grown[name] = torch.cat([grown[name], new])
    return grown
