"""Mini-batches of trials, and a loss that ignores missing samples."""

from inspect import signature

import numpy as np
import torch
from sklearn.utils import gen_batches
from skorch import NeuralNet

from .._checks.trials import release_pages, trials_per_chunk


class Trials(torch.utils.data.Dataset):
    """Selected trials of (X, y) as a skorch data set that returns whole batches.

    In memory they are converted to tensors once; memory-mapped ones batch by batch.
    """

    def __init__(self, estimator, X, y, index, weights=None):
        self.estimator, self.X, self.y, self.index = estimator, X, y, index
        self.weights = (
            None
            if weights is None
            else torch.as_tensor(weights[index], dtype=estimator._tensor_dtype)
        )
        mapped = isinstance(X, np.memmap) or isinstance(y, np.memmap)
        self.tensors = None if mapped else self._convert(index)

    def __len__(self):
        return len(self.index)

    def __getitem__(self, i):
        return self.batch(np.atleast_1d(i))

    def batch(self, where):
        """Inputs and targets of the trials at the positions `where`, the targets with weights."""
        order = where
        if self.tensors is None:
            index = self.index[np.asarray(where)]  # a tensor of one trial would be taken for it
            inputs, targets = self._convert(np.sort(index))  # the file is read forwards
            release_pages(self.X)
            release_pages(self.y)
            where = np.argsort(np.argsort(index))
        else:
            inputs, targets = self.tensors
        inputs, targets = {name: tensor[where] for name, tensor in inputs.items()}, targets[where]
        return inputs, targets if self.weights is None else (targets, self.weights[order])

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

    def forward(self, y_pred, y_true, weight=None):
        """Return the mean over the valid samples, of weighted trials; 0 if there is none."""
        counted = ~torch.isnan(y_true)
        error = torch.where(counted, y_pred.to(y_true.dtype) - torch.nan_to_num(y_true), 0.0)
        return mean_of_counted(error.square(), counted, weight)


def mean_of_counted(values, counted, weight=None):
    """Mean of values that are 0 where a sample does not count.

    values (n_trials, ...), counted (tensor of bool of that shape), weight (n_trials,) or None
    Returns mean (tensor): 0 if no sample counts.
    """
    if weight is None:
        return values.sum() / counted.sum().clamp(min=1)
    weight = weight.to(values.dtype).reshape(-1, *[1] * (values.ndim - 1))
    total = (weight * counted).sum()
    return (weight * values).sum() / torch.where(total > 0, total, 1.0)


#: Samples, of all trials together, that are trained on at once: what a network keeps for its
#: gradient is tens of times the data. 64 trials of 1100 samples took 830 MB.
MOST_SAMPLES = 2**15


class WeightedNet(NeuralNet):
    """A skorch net whose targets may come with weights of trials."""

    def train_step_single(self, batch, **fit_params):
        """Add up the gradient over parts of a batch of long trials: it takes less memory."""
        inputs, targets = batch
        n_parts = self._n_parts(targets)
        if n_parts == 1:
            return super().train_step_single(batch, **fit_params)
        self._set_training(True)
        counted, loss, predicted = int((~torch.isnan(targets)).sum()), 0.0, []
        for part in gen_batches(len(targets), -(-len(targets) // n_parts)):
            some = {name: values[part] for name, values in inputs.items()}
            y_pred = self.infer(some, **fit_params)
            share = int((~torch.isnan(targets[part])).sum()) / max(counted, 1)
            each = share * self.get_loss(y_pred, targets[part], X=some, training=True)
            each.backward()
            loss, predicted = loss + each.detach(), [*predicted, y_pred.detach()]
        return {"loss": loss, "y_pred": torch.cat(predicted)}

    def _n_parts(self, targets):
        """Parts in which to train on a batch: several where a mean is over samples."""
        long = not isinstance(targets, tuple | list) and targets.ndim == 3
        if not long or not isinstance(self.criterion_, MaskedMSELoss):
            return 1
        n_samples = targets.shape[0] * targets.shape[-1]
        return min(-(-n_samples // MOST_SAMPLES), len(targets))

    def get_loss(self, y_pred, y_true, X=None, training=False):
        """Return the loss of a batch, with the weights of its trials where it has them."""
        if not isinstance(y_true, tuple | list):
            return super().get_loss(y_pred, y_true, X=X, training=training)
        target, weight = (part.to(self.device) for part in y_true)
        return weighted_loss(self.criterion_, y_pred, target, weight)


def weighted_loss(criterion, y_pred, y_true, weight):
    """Loss of weighted trials, by the losses of this package and those of torch.

    Raises TypeError for a criterion that neither takes a weight nor has a ``reduction``.
    """
    if "weight" in signature(criterion.forward).parameters:
        return criterion(y_pred, y_true, weight)
    if getattr(criterion, "reduction", None) != "mean":
        raise TypeError(
            "With sample_weight the criterion in net_params must average by reduction='mean', as "
            "losses of torch do, or have a forward(y_pred, y_true, weight). "
            f"Got {type(criterion).__name__}."
        )
    criterion.reduction = "none"
    try:
        losses = criterion(y_pred, y_true).flatten(1).mean(1)
    finally:
        criterion.reduction = "mean"
    return mean_of_counted(losses, torch.ones_like(losses, dtype=torch.bool), weight)
