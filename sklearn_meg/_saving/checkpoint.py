"""Fits that go on where they were killed: what is kept, and how it is found again.

A checkpoint is found by its content: class, source and parameters of the model, and its data. The
file is whole or absent, holds arrays and plain values only, and carries a checksum.
"""

import time
import warnings
from numbers import Integral

import numpy as np

from .model_file import FileFormatError, pack, unpack
from .store import content_key, fingerprint, open_store, versions, write_whole

SHARE = 0.05  # of the time of a fit that writing may take


def checkpoint_of(estimator, marks, device="cpu"):
    """Checkpoint of a fit, or None if its ``cache_dir`` is None.

    estimator (TorchEstimator or HiddenMarkovGraph)
    marks (sequence): Arrays and values that, beside the parameters, decide the result.
    device: Type of the device: another computes other bits.
    Returns file (CheckpointFile or None)
    Raises ValueError if ``cache_dir`` cannot be written to, or ``random_state`` is not an int: a
        fit that cannot be repeated cannot be resumed.
    """
    if estimator.cache_dir is None:
        return None
    seed = estimator.random_state
    if not isinstance(seed, Integral) or isinstance(seed, bool):
        raise ValueError(
            "cache_dir needs random_state to be an int: only a fit that can be repeated can "
            f"be resumed. Got random_state={seed!r}."
        )
    folder = open_store(estimator.cache_dir, "cache_dir")
    marks = [fingerprint(m) if isinstance(m, np.ndarray) else m for m in marks]
    key = content_key(estimator, marks, device, versions())
    return CheckpointFile(folder / f"{type(estimator).__name__}-{key}.ckpt")


class CheckpointFile:
    """A file of arrays, tensors and plain values."""

    def __init__(self, path):
        self.path = path
        self._next = 0.0
        self._warned = False

    def read(self):
        """State that was written last; None if none was, or (with a warning) if it is damaged."""
        try:
            return unpack(self.path, "checkpoint")
        except FileNotFoundError:
            return None
        except (OSError, FileFormatError) as error:
            warnings.warn(
                f"The checkpoint {self.path} cannot be used and the fit begins anew: {error}",
                UserWarning,
            )
            return None

    def write(self, state, *, now=False):
        """Write if it is time to; a failure is a warning and keeps the existing file.

        state (callable): Returns what is to be written.
        now: Do not wait until writing takes its share of the time only.
        """
        begun = time.monotonic()
        if not now and begun < self._next:
            return
        data = pack(state(), "checkpoint", type(self).__name__)
        try:
            write_whole(self.path, lambda file: file.write(data))
        except OSError as error:
            if not self._warned:
                warnings.warn(
                    f"The checkpoint {self.path} could not be written, the fit goes on: {error}",
                    UserWarning,
                )
            self._warned = True
        done = time.monotonic()
        self._next = done + (done - begun) / SHARE


class Journal:
    """Loops of a fit, one after the other, that are kept in one file.

    Parameters
    ----------
    file : CheckpointFile or None
        None keeps nothing.
    rng : RandomState or None
        Generator of the fit; its state is stored and restored with the loops.
    """

    def __init__(self, file=None, rng=None):
        self.file, self.rng = file, rng
        self.states = (file.read() if file else None) or {}

    def loop(self, name):
        """The loop of a name, where it was."""
        kept = self.states.get(name)
        if kept is not None:
            self.rng.set_state(kept["rng"])
        return Loop(self, name, None if kept is None else kept["state"])


class Loop:
    """A loop of a `Journal`.

    state (object): Stored state; None if there is none.
    """

    def __init__(self, journal, name, state=None):
        self.journal, self.name, self.state = journal, name, state

    def write(self, state, *, now=False):
        """Keep what ``state()`` returns, if it is time to."""
        journal = self.journal
        if journal.file is None:
            return

        def states():
            journal.states[self.name] = {"state": state(), "rng": journal.rng.get_state()}
            return journal.states

        journal.file.write(states, now=now)


NO_JOURNAL = Journal()
FORGET = Loop(NO_JOURNAL, "")
