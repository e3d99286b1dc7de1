"""Mini-batches of trials, and a loss that ignores missing samples."""

import numpy as np
import torch
from sklearn.utils import gen_batches

from .._checks.trials import release_pages, trials_per_chunk


class Trials(torch.utils.data.Dataset):
    """Selected trials of (X, y) as a skorch data set that returns whole batches.

    In memory they are converted to tensors once; memory-mapped ones batch by batch.
    """

    def __init__(self, estimator, X, y, index):
        self.estimator, self.X, self.y, self.index = estimator, X, y, index
        mapped = isinstance(X, np.memmap) or isinstance(y, np.memmap)
        self.tensors = None if mapped else self._convert(index)

    def __len__(self):
        return len(self.index)

    def __getitem__(self, i):
        return self.batch(np.atleast_1d(i))

    def batch(self, where):
        """Inputs and targets of the trials at the positions `where`."""
        if self.tensors is None:
            index = self.index[where]
            inputs, targets = self._convert(np.sort(index))  # the file is read forwards
            release_pages(self.X)
            release_pages(self.y)
            where = np.argsort(np.argsort(index))
        else:
            inputs, targets = self.tensors
        return {name: tensor[where] for name, tensor in inputs.items()}, targets[where]

    def _convert(self, index):
        """Tensors of some trials, filled a piece at a time: what lies between is never whole."""
        size = min(trials_per_chunk(self.X), trials_per_chunk(self.y))
        whole = None
        for part in gen_batches(len(index), size):
            inputs, targets = self._convert_piece(index[part])
            if len(targets) == len(index):
                return inputs, targets
            if whole is None:
                whole = (
                    {k: _room(v, len(index)) for k, v in inputs.items()},
                    _room(targets, len(index)),
                )
            for name, tensor in inputs.items():
                whole[0][name][part] = tensor
            whole[1][part] = targets
        return whole

    def _convert_piece(self, index):
        inputs = self.estimator._training_inputs(self.X, index)
        X, y = np.asarray(self.X[index]), np.asarray(self.y[index])
        return inputs, self.estimator._targets(X, y)


def _room(tensor, n):
    """Uninitialized tensor for `n` trials like those of another."""
    return tensor.new_empty(n, *tensor.shape[1:])


class Batches:
    """Iterate over batches of `Trials`, the way skorch iterates over a DataLoader."""

    def __init__(self, dataset, batch_size, shuffle=False):
        self.dataset, self.batch_size, self.shuffle = dataset, batch_size, shuffle

    def __len__(self):
        return -(-len(self.dataset) // self.batch_size)

    def __iter__(self):
        n = len(self.dataset)
        order = torch.randperm(n) if self.shuffle else torch.arange(n)
        for part in gen_batches(n, self.batch_size):
            yield self.dataset.batch(order[part])


class MaskedMSELoss(torch.nn.Module):
    """Mean squared error over the samples whose target is not NaN."""

    def forward(self, y_pred, y_true):
        """Return the mean over the valid samples; 0 if there is none."""
        counted = ~torch.isnan(y_true)
        error = torch.where(counted, y_pred.to(y_true.dtype) - torch.nan_to_num(y_true), 0.0)
        return error.square().sum() / counted.sum().clamp(min=1)
