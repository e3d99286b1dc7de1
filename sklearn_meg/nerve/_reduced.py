"""Decisions without the channels that a session has lost, by a model that was learned anew."""

import numpy as np

from .._checks.assumptions import warn_assumption
from .._training.threads import one_blas_thread
from ._base import own_sessions
from ._classifier import NerveClassifier
from ._losing import LosingSession
from ._lost import (
    feature_of,
    flat_channels,
    known_powers,
    log_powers,
    noisy_channels,
    without,
)
from ._settings import SETTINGS
from .features import names_of

NEEDED = ("wl", "ms")  # features that tell whether a channel is lost
KEPT = (
    "kept_features_",
    "kept_classes_",
    "kept_sessions_",
    "kept_weights_",
    "kept_people_",
    "powers_",
)


class LosingClassifier(NerveClassifier):
    """What classifiers of raw signals keep of training, and do where channels are lost."""

    def _names(self):
        return list(names_of(self._fitted_windows["features"]))

    def _keep_training(self, F, y, session, weights=None, people=None):
        """Keep some windows of training, where lost channels can be found."""
        for name in KEPT:
            self.__dict__.pop(name, None)
        if not self._session_model or self._fitted_windows["sfreq"] is None:
            return
        n_channels = self.thresholds_.shape[1]
        if n_channels < 3 or not set(NEEDED) <= set(self._names()):
            return
        session = np.zeros(len(F)) if session is None else session
        self.kept_features_ = F[:, :, :: SETTINGS.every].astype(np.float32)
        self.kept_classes_, self.kept_sessions_ = y, session
        if people is not None:
            self.kept_weights_, self.kept_people_ = weights, people
            mine = np.isin(session, own_sessions(session, people))
            F, session = F[mine], session[mine]
        self.powers_ = known_powers(self._powers(F), session)

    def _of_channels(self, F, name):
        return feature_of(F, self.thresholds_.shape[1], self._names(), name)

    def _powers(self, F):
        return log_powers(self._of_channels(F[:, :, :: SETTINGS.every], "ms"), self.thresholds_[0])

    def _usable(self, lost):
        """Channels that can be left out: those that were of use, unless most are lost."""
        lost = lost & (self.powers_[-1] > 0)
        return lost & (lost.sum(-1, keepdims=True) <= lost.shape[-1] // 2)

    def _lost(self, F, session):
        """Which channels each trial has lost, (n_trials, n_channels) of bool."""
        if not hasattr(self, "powers_"):
            return np.zeros((len(F), 1), dtype=bool)
        lost = flat_channels(self._of_channels(F, "wl"), self.thresholds_[0])
        for mine in self._complete_sessions(session, len(F)):
            lost[mine] |= noisy_channels(self._powers(F[mine]), self.powers_)
        lost = self._usable(lost)
        if self.adaptation == "online":  # found in time
            lost[~np.isin(session, self.sessions_)] = False
        _say(lost.any(0))
        return lost

    def _complete_sessions(self, session, n):
        """Trials (n,) of bool of each session in which noise is looked for."""
        if self.adaptation == "online":  # found in time
            return []
        if session is None:
            return [np.ones(n, dtype=bool)]
        return [session == s for s in np.setdiff1d(session, self.sessions_)]

    def _decide_online(self, F, name):
        if not hasattr(self, "powers_"):
            return super()._decide_online(F, name)
        session = LosingSession(self, name)
        lengths = self._of_channels(F, "wl").swapaxes(1, 2)
        trials, windows = [], []
        for trial, bad in zip(F, lengths <= SETTINGS.flat * self.thresholds_[0], strict=True):
            windows.append(np.array(session.push(trial, bad)).T)
            trials.append(session.end_trial())
        _say(session.ever)
        return np.array(trials), np.array(windows)

    def _decide_without(self, F, lost, name):
        """Log probabilities of trials and windows of one session."""
        other = self._without(lost)
        F = self._left(F, lost)
        session = np.full(len(F), 0.0 if name is None else name)
        _, kind, normal = other._by_session(F, session)[0]
        return other._decide_session(F, kind, normal, name)

    def _left(self, F, lost):
        return without(F, lost, len(self._names()), self._fitted_windows["covariance"])

    @one_blas_thread()
    def _without(self, lost):
        """A classifier of the features that are left, which knows the same labeled trials."""
        other = Reduced(self, self._left(self.kept_features_.astype(float), lost))
        if hasattr(self, "labeled_sessions_"):
            other.labeled_features_ = self._left(self.labeled_features_, lost)
            for name in ("labeled_classes_", "labeled_sessions_", "labeled_turns_"):
                setattr(other, name, getattr(self, name))
        return other


def _say(lost):
    """Warn of lost channels (n_channels,)."""
    if lost.any():
        which = ", ".join(map(str, np.flatnonzero(lost)))
        warn_assumption("lost-channels", f"Channels without a signal: {which} (from 0).")


class Reduced(NerveClassifier):
    """The session model around its linear discriminants, learned anew from kept features.

    model (LosingClassifier): Fitted.
    F (n_trials, n_features, n_kept): Windows of its training that it has kept, without the lost
        channels.
    """

    sfreq, ring, _session_model, _doubts = None, False, True, False

    def __init__(self, model, F):
        self.adaptation, self.session_row = model.adaptation, model.session_row
        self.prior_trials, self.classes_ = model.prior_trials, model.classes_
        y, session = model.kept_classes_, model.kept_sessions_
        known = (getattr(model, name, None) for name in ("kept_weights_", "kept_people_"))
        weights, people = known
        Z, _ = self._fit_normal(F, session, y, weights, people)
        self._fit_session_model(Z, y, session, weights, people)
        self.n_windows_ = model.n_windows_
        self.window_counts_ = self.window_counts_ * self.n_windows_ / F.shape[2]
        self.early_ = np.repeat(self.early_, SETTINGS.every)[: self.n_windows_]

    def _window_logs(self, Z):
        return self._sessions_model.linear_logs(Z)

    def _step(self, Z, state):
        return self._window_logs(Z), None
