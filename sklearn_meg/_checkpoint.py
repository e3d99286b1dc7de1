"""Fits that go on where they were killed: what is written after epochs, and how it is found again.

A checkpoint is found by its content: class, source and parameters of the model, and its data. It is
written whole or not at all, holds tensors and plain values only, and carries a checksum.
"""

import hashlib
import io
import time
import warnings
from copy import deepcopy
from numbers import Integral

import numpy as np
import torch
from sklearn.base import clone
from skorch.callbacks import Callback
from skorch.history import History

from ._files import write_whole
from ._store import content_key, fingerprint, open_store, versions

MAGIC = b"sklearn_meg checkpoint 1\n"
SHARE = 0.05  # of the time of a fit that writing may take
# Where and how loudly a fit runs does not change what comes out of it.
NEUTRAL = {"checkpoint_dir": None, "verbose": 0, "n_jobs": None}


def checkpoint_of(estimator, arrays, device="cpu"):
    """Where a fit is kept, or None if its ``checkpoint_dir`` is None.

    Parameters
    ----------
    estimator : TorchEstimator or HiddenMarkovGraph
    arrays : sequence of ndarray, str, int or None
        Everything beside the parameters that decides the result.
    device : str
        Type of the device: another computes other bits.

    Raises
    ------
    ValueError
        If ``checkpoint_dir`` cannot be written to, or ``random_state`` is not an int: a fit that
        cannot be repeated cannot be resumed.
    """
    if estimator.checkpoint_dir is None:
        return None
    seed = estimator.random_state
    if not isinstance(seed, Integral) or isinstance(seed, bool):
        raise ValueError(
            "checkpoint_dir needs random_state to be an int: only a fit that can be repeated can "
            f"be resumed. Got random_state={seed!r}."
        )
    folder = open_store(estimator.checkpoint_dir, "checkpoint_dir")
    neutral = {k: v for k, v in NEUTRAL.items() if k in estimator.get_params(deep=False)}
    model = clone(estimator).set_params(**neutral)
    marks = [fingerprint(a) if isinstance(a, np.ndarray) else a for a in arrays]
    key = content_key(model, marks, device, versions())
    return CheckpointFile(folder / f"{type(estimator).__name__}-{key}.ckpt")


class CheckpointFile:
    """A file of tensors and plain values that is whole or absent."""

    def __init__(self, path):
        self.path = path
        self._next = 0.0
        self._warned = False

    def read(self):
        """What was written last; None if nothing was, or (with a warning) if it is damaged."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            return self._damaged(error)
        digest, payload = data[len(MAGIC) : len(MAGIC) + 64], data[len(MAGIC) + 64 :]
        if not data.startswith(MAGIC):
            return self._damaged("it is not a checkpoint of this version of sklearn_meg")
        if _digest(payload) != digest:
            return self._damaged("its checksum is wrong")
        try:
            return torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
        except Exception as error:  # torch names no types; only plain values and tensors are read
            return self._damaged(error)

    def write(self, state, *, now=False):
        """Write if it is time to (or ``now``); a failure is a warning, and what was there stays.

        Parameters
        ----------
        state : callable
            Returns a dict of tensors and plain values.
        now : bool
        """
        begun = time.monotonic()
        if not now and begun < self._next:
            return
        buffer = io.BytesIO()
        torch.save(state(), buffer)
        payload = buffer.getvalue()
        try:
            write_whole(self.path, lambda file: file.write(MAGIC + _digest(payload) + payload))
        except OSError as error:
            self._warn(f"The checkpoint {self.path} could not be written; the fit goes on: {error}")
        done = time.monotonic()
        self._next = done + (done - begun) / SHARE

    def _damaged(self, error):
        warnings.warn(
            f"The checkpoint {self.path} cannot be used and the fit begins anew: {error}",
            UserWarning,
        )

    def _warn(self, text):
        if not self._warned:
            warnings.warn(text, UserWarning)
        self._warned = True


class Checkpoint(Callback):
    """Keep the state of a fit after epochs. The last of all callbacks.

    Parameters
    ----------
    file : CheckpointFile
    state : dict or None
        What was read from it: training goes on there.
    device : torch.device
    """

    def __init__(self, file, state, device):
        self.file, self.state, self.device = file, state, device

    def on_train_begin(self, net, **kwargs):
        if self.state is None:
            return
        for name, callback in net.callbacks_:
            if name in self.state["callbacks"]:
                _load_callback(callback, self.state["callbacks"][name])
        net.module_.load_state_dict(self.state["module"])
        net.optimizer_.load_state_dict(self.state["optimizer"])
        net.history = History([{**epoch, "batches": []} for epoch in self.state["history"]])
        torch.default_generator.set_state(self.state["rng"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(self.state["gpu_rng"], self.device)
        self.state = None

    def on_epoch_end(self, net, **kwargs):
        self.file.write(lambda: self._state_of(net), now=len(net.history) >= net.max_epochs)

    def _state_of(self, net):
        kept = {name: _callback_state(callback) for name, callback in net.callbacks_}
        state = {
            "module": net.module_.state_dict(),
            "optimizer": net.optimizer_.state_dict(),
            "history": [{k: v for k, v in e.items() if k != "batches"} for e in net.history],
            "callbacks": {name: state for name, state in kept.items() if state},
            "rng": torch.default_generator.get_state(),
        }
        if self.device.type == "cuda":
            state["gpu_rng"] = torch.cuda.get_rng_state(self.device)
        return _plain(state)


def _callback_state(callback):
    """What a callback learnt: its ``state_dict()`` or, of a foreign one, all that ends in ``_``."""
    if hasattr(callback, "state_dict"):
        return callback.state_dict()
    if isinstance(callback, Checkpoint):
        return {}
    found = {k: v for k, v in vars(callback).items() if k.endswith("_") and not k.endswith("__")}
    scheduler = found.get("lr_scheduler_")
    if hasattr(scheduler, "state_dict"):
        found["lr_scheduler_"] = scheduler.state_dict()
    return {key: value for key, value in found.items() if _is_plain(value)}


def _load_callback(callback, state):
    if hasattr(callback, "load_state_dict"):
        callback.load_state_dict(state)
        return
    for key, value in state.items():
        part = getattr(callback, key, None)
        if hasattr(part, "load_state_dict"):
            part.load_state_dict(value)
        else:
            setattr(callback, key, deepcopy(value))


def _is_plain(value):
    if isinstance(value, dict):
        return all(isinstance(k, str | int) and _is_plain(v) for k, v in value.items())
    if isinstance(value, list | tuple):
        return all(_is_plain(v) for v in value)
    return isinstance(
        value, None | bool | int | float | str | torch.Tensor | np.ndarray | np.number
    )


def _plain(value):
    """Numpy as torch and Python, which is all that is read back."""
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_plain(v) for v in value)
    if isinstance(value, np.ndarray):
        return torch.from_numpy(np.array(value))
    return value.item() if isinstance(value, np.number | np.bool_) else value


def _digest(payload):
    return hashlib.blake2b(payload, digest_size=32).hexdigest().encode()
