"""Decisions while a recording arrives."""

from __future__ import annotations

import numbers
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._training.threads import one_blas_thread
from ._classifier import check_confidence
from ._doubts import doubt_units
from ._electrodes import filled, turned
from ._losing import LosingSession
from ._outputs import Outputs
from ._settings import SETTINGS

if TYPE_CHECKING:
    from typing import Literal

    from .._typing import ArrayLike, BaseEstimator

__all__ = ["Decision", "NerveStream"]


@dataclass
class Decision:
    """What was decided at the end of a window.

    Attributes
    ----------
    time : float
        End of the window in seconds.
    label : object or None
        Class, or movements (n_dof,); None where the decision is withheld.
    probability : float
        Probability of the decided class; NaN for movements or where nothing was computed.
    reason : str
        Why it is withheld: "", "NaN", "uncertain" or "unconfirmed". Movements of windows without
        data have "NaN" and are predicted forward.
    flagged : tuple of int
        Channels that are flat, saturated or NaN in this window.
    latency : float
        Seconds of computation, features and model together; of several windows in one chunk,
        their mean.
    """

    time: float
    label: object
    probability: float
    reason: str
    flagged: tuple
    latency: float


class NerveStream:
    """Takes chunks of any size, gives a decision a hop. Made by :meth:`NerveDecoder.stream`.

    Parameters
    ----------
    model : NerveDecoder, NerveRegressor or a classical decoder
        Fitted to raw signals (`sfreq` is not None).
    confidence : float, default=0.0
        Decisions with a smaller probability are withheld.
    saturation : float or None, default=None
        Largest absolute value that the amplifier can give.
    state : dict or None, default=None
        State of an earlier stream, from :meth:`state`.
    session : float or None, default=None
        A session of ``fit`` or of ``calibrated``: it is known, or begins with its labeled trials.
        None is a new one.
    decisions : {"window", "smoothed", "event"}, default="window"
        "window" gives every decision; "smoothed" the motion that more than half of the last
        windows agree on; "event" only its changes.
    n_votes : int, default=5
        Number of windows that vote, for "smoothed" and "event".
    deadband : float, default=0.0
        Movements that change less than that, in units of the target, stay as they were.

    Attributes
    ----------
    time : float
        End of what has arrived, seconds.
    gaps : list of tuple of float
        (time expected, time that came) of each gap; the last hundred.
    latencies : list of float
        Seconds a decision took; the last ten thousand.

    Examples
    --------
    >>> from sklearn_meg.datasets import make_nerve
    >>> from sklearn_meg.nerve import NerveStream, WindowClassifier
    >>> nerve = make_nerve(n_train=2, n_test=1, duration=0.5)
    >>> model = WindowClassifier(sfreq=nerve.sfreq, session_row=-1).fit(nerve.X, nerve.y)
    >>> stream = NerveStream(model)
    >>> decisions = stream.push(nerve.X[0, :-1, :700])  # channels x samples, without the session
    >>> [round(d.time, 2) for d in decisions]
    [0.1, 0.12, 0.14]
    """

    def __init__(
        self,
        model: BaseEstimator,
        *,
        confidence: float = 0.0,
        saturation: float | None = None,
        state: dict | None = None,
        session: float | None = None,
        decisions: Literal["window", "smoothed", "event"] = "window",
        n_votes: int = 5,
        deadband: float = 0.0,
    ) -> None:
        check_is_fitted(model, "normal_")
        self.extractor = model._extractor()
        if self.extractor is None:
            raise ValueError("A stream takes raw signals: fit with sfreq. Got sfreq=None.")
        check_confidence(confidence)
        if saturation is not None and not (isinstance(saturation, numbers.Real) and saturation > 0):
            raise ValueError(f"saturation must be positive or None. Got {saturation!r}.")
        self.model, self.confidence, self.saturation = model, confidence, saturation
        self.n_channels = model.thresholds_.shape[1]
        self.buffer = np.empty((self.n_channels, 0))
        self.n_seen, self.origin, self.skip = 0, 0.0, 0
        self.gaps, self.latencies, self.compared = [], [], False
        self.outputs = Outputs(decisions, n_votes, deadband)
        self.turn = model._known_turn(session) if hasattr(model, "classes_") else 0.0
        self.channels = LosingSession(model, session)
        if state is not None:
            self._restore(state)

    @property
    def session(self):
        """The session of the channels that are left."""
        return self.channels.session

    @property
    def time(self) -> float:
        """End of what has arrived, seconds."""
        return self.origin + self.n_seen / self.extractor.sfreq

    def push(self, chunk: ArrayLike, time: float | None = None) -> list[Decision]:
        """Take the next samples.

        Parameters
        ----------
        chunk : array-like of shape (n_channels, n_samples)
            Samples in the units of training, without the session's row. NaN: a channel with NaN
            is made of its neighbors and flagged; a window in which most channels have NaN is
            withheld.
        time : float or None, default=None
            Time of the first sample in seconds. If it is not where the last chunk ended, samples
            were dropped: windows begin anew, and the gap is added to `gaps`.

        Returns
        -------
        decisions : list of Decision

        Raises
        ------
        ValueError
            For other channels than in training, infinity, or a time that goes back.
        """
        chunk = self._checked(chunk)
        if time is not None:
            if not isinstance(time, numbers.Real) or isinstance(time, bool):
                raise TypeError(f"time must be a number, seconds, or None. Got {time!r}.")
            self._follow(float(time))
        self.buffer = np.concatenate([self.buffer, chunk], axis=1)
        self.n_seen += chunk.shape[1]
        size, hop = self.extractor.window_samples_, self.extractor.hop_samples_
        first = self.n_seen - self.buffer.shape[1]  # place of the buffer's first sample
        starts = range(self.skip, self.buffer.shape[1] - size + 1, hop)
        ends = [self.origin + (first + start + size) / self.extractor.sfreq for start in starts]
        windows = [self.buffer[:, start : start + size] for start in starts]
        decisions = self._decide(windows, ends)
        start = self.skip + hop * len(starts)
        kept = min(start, self.buffer.shape[1])
        self.buffer, self.skip = self.buffer[:, kept:].copy(), start - kept
        return decisions

    def end_trial(self, label: object = None) -> object:
        """End a trial (a movement): the session learns from it, and the next starts anew.

        Parameters
        ----------
        label : object or None, default=None
            Class of the trial, where it is known.

        Returns
        -------
        label : object or None
            The trial's class; None for movements, or if there was no window.

        Raises
        ------
        ValueError
            For a label that is no class of ``fit``.
        """
        logs = None
        if hasattr(self.model, "classes_"):
            logs = self.channels.end_trial(None if label is None else self._class(label))
        else:
            self.session.start_trial()
        self.buffer, self.skip = self.buffer[:, :0], 0
        return None if logs is None else self.model.classes_[int(logs.argmax())]

    def correct(self, label: object, trials_ago: int = 0) -> None:
        """Give the label of an earlier trial, from which the session learns.

        Parameters
        ----------
        label : object
            Class of the trial.
        trials_ago : int, default=0
            Trials that have ended since; 0 is the last one.

        Raises
        ------
        ValueError
            For an unknown class, a trial that is not remembered, or a session that does not adapt.
        """
        sorter = self.session.sorter
        if sorter is None or not sorter.learns:
            raise ValueError("The session does not adapt: there is nothing to correct.")
        if not 0 <= trials_ago < len(sorter.labels):
            raise ValueError(
                f"trials_ago must be less than the {len(sorter.labels)} trials that are "
                f"remembered. Got {trials_ago}."
            )
        self.channels.relabel(trials_ago, self._class(label))

    def _class(self, label):
        """Index of a class."""
        found = np.flatnonzero(self.model.classes_ == label)
        if not len(found):
            raise ValueError(f"label must be a class of fit. Got {label!r}.")
        return int(found[0])

    def state(self) -> dict:
        """Everything needed to resume later, as arrays and plain values.

        Returns
        -------
        state : dict
        """
        plain = {"n_seen": self.n_seen, "origin": self.origin, "skip": self.skip}
        return {**plain, "buffer": self.buffer.copy(), "session": self.channels.state()}

    def _restore(self, state):
        keys = {"n_seen", "origin", "skip", "buffer", "session"}
        if not (isinstance(state, dict) and keys <= set(state)):
            raise ValueError(f"state must be what NerveStream.state gave. Got {type(state)}.")
        if np.shape(state["buffer"])[0] != self.n_channels:
            raise ValueError(
                f"state is of a stream with {np.shape(state['buffer'])[0]} channels. The model "
                f"has {self.n_channels}."
            )
        self.n_seen, self.skip = int(state["n_seen"]), int(state["skip"])
        self.origin = float(state["origin"])
        self.buffer = np.array(state["buffer"])
        self.channels.restore(state["session"])

    def _checked(self, chunk):
        chunk = np.asarray(chunk)
        if chunk.ndim != 2 or chunk.shape[0] != self.n_channels:
            raise ValueError(
                f"A chunk must have the shape ({self.n_channels}, n_samples), the channels of "
                f"training. Got {chunk.shape}."
            )
        if chunk.dtype.kind not in "iuf":
            raise ValueError(f"A chunk must hold real numbers. Got dtype {chunk.dtype}.")
        chunk = chunk.astype(float)
        if np.isinf(chunk).any():
            raise ValueError("A chunk must not hold infinity. (NaN is allowed.)")
        return chunk

    def _follow(self, time):
        """Start windows anew where samples are missing."""
        expected, tolerance = self.time, 0.5 / self.extractor.sfreq
        if not np.isfinite(time) or (self.n_seen and time < expected - tolerance):
            raise ValueError(
                f"time must not go back: samples up to {expected:g} s have come. Got {time:g}."
            )
        if self.n_seen and time > expected + tolerance:
            self.gaps = [*self.gaps, (expected, time)][-100:]
        if not self.n_seen or time > expected + tolerance:
            self.buffer, self.skip = self.buffer[:, :0], 0
            self.origin, self.n_seen = time, 0
            self.session.network_state = None

    def _decide(self, windows, ends):
        """Decisions of all windows of a chunk, computed together."""
        began = perf_counter()
        lost = [np.isnan(window).any(axis=1) for window in windows]
        scale = 10 * self.model.thresholds_[0]  # standard deviations of training
        windows = [
            filled(w, scale) if bad.any() else w for w, bad in zip(windows, lost, strict=True)
        ]
        good = [i for i, window in enumerate(windows) if window is not None]
        decisions = [Decision(end, None, np.nan, "NaN", (), 0.0) for end in ends]
        if good:
            stacked = turned(np.stack([windows[i] for i in good]), self.turn)
            self.compared = self.compared or doubt_units(stacked, self.model.thresholds_)
            bad = self._flat(stacked) | np.array([lost[i] for i in good])
            flagged = bad | self._saturated(stacked)
            with one_blas_thread():  # once, not in every part
                features = self.extractor._of_windows(stacked)
                for run in _runs(good):
                    place = [good.index(i) for i in run]
                    self._missing(decisions, run[0])
                    outputs = self.channels.push(features[place].T, bad[place])
                    for i, output in zip(run, outputs, strict=True):
                        self._fill(decisions[i], output)
            for i, flags in zip(good, flagged, strict=True):
                decisions[i].flagged = tuple(np.flatnonzero(flags).tolist())
        self._missing(decisions, len(decisions))
        self._take_time(decisions, good, began)
        if hasattr(self.model, "classes_"):
            return self.outputs.of_classes(decisions)
        return self.outputs.of_movements(decisions)

    def _missing(self, decisions, end):
        """Movements of the windows without data before `end`, predicted forward."""
        if hasattr(self.model, "classes_"):
            return
        begin = end
        while begin and decisions[begin - 1].label is None:
            begin -= 1
        for decision in decisions[begin:end]:
            decision.label = self.session.missing()

    def _take_time(self, decisions, good, began):
        if not good:
            return
        latency = (perf_counter() - began) / len(good)
        for i in good:
            decisions[i].latency = latency
        self.latencies += [latency] * len(good)
        if len(self.latencies) > 2 * SETTINGS.latencies:
            del self.latencies[: -SETTINGS.latencies]

    def _fill(self, decision, output):
        """The class and its probability, or the movements."""
        decision.label, decision.reason = output, ""
        if hasattr(self.model, "classes_"):
            best = int(output.argmax())
            decision.label = self.model.classes_[best]
            decision.probability = float(np.exp(output[best]))
            if decision.probability < self.confidence:
                decision.label, decision.reason = None, "uncertain"

    def _flat(self, windows):
        """Which channels (n, n_channels) are flat."""
        return np.ptp(windows, axis=2) <= SETTINGS.flat * self.model.thresholds_[0]

    def _saturated(self, windows):
        """Which channels (n, n_channels) are saturated."""
        if self.saturation is None:
            return np.zeros(windows.shape[:2], dtype=bool)
        return (np.abs(windows) >= self.saturation).mean(axis=2) > SETTINGS.saturated_window


def _runs(indices):
    """Consecutive indices together."""
    runs = [[indices[0]]]
    for i in indices[1:]:
        if i == runs[-1][-1] + 1:
            runs[-1].append(i)
        else:
            runs.append([i])
    return runs
