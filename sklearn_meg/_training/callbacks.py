"""skorch callbacks of a fit: best weights, progress, checkpoints, non-finite losses."""

from copy import deepcopy

import numpy as np
import torch
from skorch.callbacks import Callback, EarlyStopping
from skorch.history import History


class NonFiniteLossError(FloatingPointError):
    """The loss of a fit became NaN or infinite.

    Examples
    --------
    >>> from sklearn_meg.base import NonFiniteLossError
    >>> issubclass(NonFiniteLossError, FloatingPointError)
    True
    """


class StopAtNonFiniteLoss(Callback):
    """Raise `NonFiniteLossError` as soon as a loss is NaN or infinite."""

    def on_batch_end(self, net, training, loss, **kwargs):
        if torch.isfinite(loss).all():
            return
        kind = "training" if training else "validation"
        raise NonFiniteLossError(
            f"The {kind} loss became {loss.item()} in epoch {len(net.history)} of "
            f"{net.max_epochs}. Try a smaller lr (now {net.lr:g}), a smaller clip_norm, or look "
            "for outliers in X and y (ChannelScaler(clip=16) cuts them off)."
        )


class BestWeights(EarlyStopping):
    """skorch's early stopping, silent, which always restores the best epoch.

    Weights that are a model before the first epoch (training goes on from a fit) are left only for
    an epoch that is better by more than chance, one standard error over the held-out trials.

    judge (object or None): For a new network that starts as a model:
        ``judge.products(inputs, predicted, targets)`` gives some numbers for each held-out trial,
        ``judge.gain(products)`` what the epoch gains over the start; weights of trials multiply
        the numbers. The best epoch is that with the largest gain; the products after all epochs
        are left in ``net.held_out_``, with the trials that they are of.
    """

    _LEARNED = ("misses_", "dynamic_threshold_", "best_model_weights_", "best_epoch_", "evidence_")

    def __init__(self, patience, start_is_model=False, judge=None):
        monitor = {} if judge is None else {"monitor": "gain", "lower_is_better": False}
        super().__init__(patience=patience, threshold=0.0, load_best=True, sink=_silent, **monitor)
        self.start_is_model, self.judge = start_is_model, judge
        self.evidence_ = []

    def on_train_begin(self, net, X, **kwargs):
        super().on_train_begin(net, **kwargs)
        _, self.valid_ = net.get_split_datasets(X)
        self.evidence_ = []
        if self.valid_ is None or not (self.start_is_model or self.judge):
            return
        self.start_weights_ = deepcopy(net.module_.state_dict())
        self.best_model_weights_ = self.start_weights_
        if self.judge:
            self.dynamic_threshold_ = 0.0
            return
        self.start_losses_ = _loss_of_trials(net, self.valid_)
        self.dynamic_threshold_ = np.average(self.start_losses_, weights=_weights(self.valid_))

    def on_epoch_end(self, net, **kwargs):
        if "valid_loss" in net.history[-1]:  # too few trials to hold any out
            if self.judge:
                self.evidence_.append(_products_of_trials(net, self.valid_, self.judge))
                net.history.record("gain", float(self.judge.gain(self.evidence_[-1])))
            super().on_epoch_end(net, **kwargs)

    def on_train_end(self, net, **kwargs):
        if self.best_model_weights_ is not None:
            net.module_.load_state_dict(self.best_model_weights_)
            if self.judge and self.valid_ is not None:
                net.held_out_ = np.array(self.evidence_), self.valid_.index
            elif self.start_is_model:
                self._doubt(net)
        self.best_model_weights_ = self.start_weights_ = self.valid_ = None

    def state_dict(self):
        """Return the state from which training resumes; the start is reproduced."""
        return {name: getattr(self, name) for name in self._LEARNED}

    def load_state_dict(self, state):
        """Resume from a ``state_dict``."""
        for name in self._LEARNED:
            setattr(self, name, state[name])

    def _doubt(self, net):
        """Restore the start if the gain is within one standard error."""
        gain = self.start_losses_ - _loss_of_trials(net, self.valid_)
        if (weights := _weights(self.valid_)) is not None:
            gain = gain * weights / weights.mean()
        error = gain.std(ddof=1) / np.sqrt(len(gain)) if len(gain) > 1 else np.inf
        if not gain.mean() > error:
            net.module_.load_state_dict(self.start_weights_)


def _products_of_trials(net, dataset, judge):
    found = []
    for inputs, targets in net.get_iterator(dataset):
        targets = targets if dataset.weights is None else targets[0]
        predicted = net.evaluation_step((inputs, targets))
        found.append(judge.products(inputs, predicted, targets))
    weights, found = _weights(dataset), np.concatenate(found)
    return found if weights is None else found * weights[:, np.newaxis]


def _weights(dataset):
    """Weights of trials as an array, or None."""
    return None if dataset.weights is None else dataset.weights.numpy()


def _loss_of_trials(net, dataset):
    """Return the loss of each trial, whatever its weight."""
    losses = []
    for inputs, targets in net.get_iterator(dataset):
        targets = targets if dataset.weights is None else targets[0]
        predicted = net.evaluation_step((inputs, targets))
        trials = zip(predicted.split(1), targets.to(predicted.device).split(1), strict=True)
        losses += [net.criterion_(p, t).item() for p, t in trials]
    return np.array(losses)


class Progress(Callback):
    """One progress bar for the whole fit, with the losses of the last epoch."""

    def __init__(self, label):
        self.label = label

    def on_train_begin(self, net, **kwargs):
        from tqdm.auto import tqdm

        self.bar_ = tqdm(total=net.max_epochs, desc=self.label, unit="epoch")

    def on_epoch_end(self, net, **kwargs):
        losses = {k: v for k, v in net.history[-1].items() if k in ("train_loss", "valid_loss")}
        self.bar_.set_postfix({k: f"{v:.4g}" for k, v in losses.items()}, refresh=False)
        self.bar_.update()

    def on_train_end(self, net, **kwargs):
        self.bar_.close()

    def state_dict(self):
        """Return the number of epochs shown."""
        return {"n": self.bar_.n}

    def load_state_dict(self, state):
        """Resume from a ``state_dict``."""
        self.bar_.update(state["n"])


class TrainLastRows(Callback):
    """Freeze everything but the last rows of some weights.

    names (tuple of str): Ends of names of weights; those that the module does not have are
        ignored.
    """

    def __init__(self, names, n_rows):
        self.names, self.n_rows = names, n_rows

    def on_train_begin(self, net, **kwargs):
        for name, weight in net.module_.named_parameters():
            if name.endswith(self.names):
                weight.register_hook(self._last_rows_of)
            else:
                weight.requires_grad_(False)

    def on_train_end(self, net, **kwargs):
        for weight in net.module_.parameters():
            weight._backward_hooks = None
            weight.requires_grad_(True)

    def _last_rows_of(self, gradient):
        frozen = torch.zeros_like(gradient[: -self.n_rows])
        return torch.cat([frozen, gradient[-self.n_rows :]])


class Checkpoint(Callback):
    """Store the state of a fit after epochs and resume from it. The last of all callbacks.

    file (CheckpointFile)
    """

    def __init__(self, file, device):
        self.file, self.device = file, device

    def on_train_begin(self, net, **kwargs):
        state = self.file.read()
        if state is None:
            return
        for name, callback in net.callbacks_:
            if name in state["callbacks"]:
                _load_callback(callback, state["callbacks"][name])
        net.module_.load_state_dict(state["module"])
        net.optimizer_.load_state_dict(state["optimizer"])
        net.history = History([{**epoch, "batches": []} for epoch in state["history"]])
        torch.default_generator.set_state(state["rng"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(state["gpu_rng"], self.device)

    def on_epoch_end(self, net, **kwargs):
        self.file.write(lambda: self._state_of(net), now=len(net.history) >= net.max_epochs)

    def _state_of(self, net):
        kept = {name: _callback_state(callback) for name, callback in net.callbacks_}
        on_gpu = self.device.type == "cuda"
        return {
            "module": net.module_.state_dict(),
            "optimizer": net.optimizer_.state_dict(),
            "history": [{k: v for k, v in e.items() if k != "batches"} for e in net.history],
            "callbacks": {name: state for name, state in kept.items() if state},
            "rng": torch.default_generator.get_state(),
            "gpu_rng": torch.cuda.get_rng_state(self.device) if on_gpu else None,
        }


def _callback_state(callback):
    """State of a callback: its ``state_dict()``, else its attributes that end in ``_``."""
    if hasattr(callback, "state_dict"):
        return callback.state_dict()
    found = {k: v for k, v in vars(callback).items() if k.endswith("_") and not k.endswith("__")}
    scheduler = found.get("lr_scheduler_")
    if hasattr(scheduler, "state_dict"):
        found["lr_scheduler_"] = scheduler.state_dict()
    plain = {key: _plain_parts(value) for key, value in found.items()}
    return {key: value for key, value in plain.items() if value is not _FOREIGN}


def _load_callback(callback, state):
    if hasattr(callback, "load_state_dict"):
        callback.load_state_dict(state)
        return
    for key, value in state.items():
        part = getattr(callback, key, None)
        if hasattr(part, "load_state_dict"):
            part.load_state_dict(value)
        else:
            setattr(callback, key, value)


_FOREIGN = object()
_PLAIN = (type(None), bool, int, float, str, torch.Tensor, np.ndarray, np.generic)


def _plain_parts(value):
    """Return a value without dictionary entries that are neither arrays nor plain values."""
    if isinstance(value, dict):
        parts = {key: _plain_parts(v) for key, v in value.items()}
        return {key: v for key, v in parts.items() if v is not _FOREIGN}
    if isinstance(value, list | tuple):
        parts = [_plain_parts(v) for v in value]
        return _FOREIGN if any(part is _FOREIGN for part in parts) else type(value)(parts)
    return value if isinstance(value, _PLAIN) else _FOREIGN


def _silent(*args, **kwargs):
    """Print nothing (a named function, so that it can be pickled)."""
