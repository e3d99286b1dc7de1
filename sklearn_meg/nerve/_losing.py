"""A session in time that goes on without the channels that it loses."""

import numpy as np

from ._lost import log_powers, noisy_channels
from ._online import OnlineSession
from ._settings import SETTINGS


class LosingSession:
    """An `OnlineSession` that is begun anew without channels that are flat, or found to be noise.

    model (NerveClassifier or NerveRegressor): Fitted.
    name (float or None): The session.
    session (OnlineSession): Of the channels that are left.
    lost, noisy (n_channels,) bool: Channels that are left out now, and those that stay out because
        they are noise.
    ever (n_channels,) bool: Channels that were ever left out.
    """

    def __init__(self, model, name=None):
        self.model, self.name = model, name
        self.session = OnlineSession(model, session=name)
        self.watches = hasattr(model, "powers_")
        sorter = self.session.sorter
        self.learns = self.watches and sorter is not None and sorter.learns
        n_channels = model.thresholds_.shape[1]
        self.lost, self.noisy, self.ever = np.zeros((3, n_channels), dtype=bool)
        self.n_bad, self.n_in_trial = np.zeros(n_channels, dtype=int), 0
        self.others = {}  # sessions without lost channels
        self.windows, self.kept, self.n_trials = [], [], 0

    def push(self, F, bad):
        """Outputs of the next windows (n_features, n), one after the other.

        F (n_features, n)
        bad (n, n_channels) bool: Which channels have no signal.
        """
        if not self.watches:
            return list(self.session.push(F))
        lost = [self.lost]
        for each in bad:
            lost.append(self._next_lost(each, lost[-1]))
        lost = lost[1:]
        outputs = []
        for run in _alike(lost):
            self.leave_out(lost[run[0]])
            outputs += list(self.session.push(self._left(F[:, run], self.lost)))
        self._remember(F)
        return outputs

    def end_trial(self, label=None):
        """Log probabilities of the trial (n_classes,), None without windows; what it teaches."""
        logs = self.session.end_trial(label)
        self.n_in_trial = 0
        self._keep(label)
        return logs

    def relabel(self, trials_ago, label):
        """Say what an earlier trial was."""
        self.session.sorter.relabel(-1 - trials_ago, label)
        if trials_ago < len(self.kept):
            F, _, lost = self.kept[-1 - trials_ago]
            self.kept[-1 - trials_ago] = F, label, lost

    def _left(self, F, lost):
        return self.model._left(F[np.newaxis], lost)[0] if lost.any() else F

    def _next_lost(self, bad, before):
        """Channels (n_channels,) that are lost in the next window, from those before.

        Those without a signal as a trial begins, or in some windows one after the other.
        """
        self.n_bad = np.where(bad, self.n_bad + 1, 0)
        lost = bad if not self.n_in_trial else before | (self.n_bad >= SETTINGS.recent)
        self.n_in_trial += 1
        return self.model._usable(lost | self.noisy)

    def leave_out(self, lost):
        """Go on with a session without these channels, which has learned from earlier trials."""
        if (lost == self.lost).all():
            return
        self.session.start_trial()
        self.others[tuple(self.lost.tolist())] = self.session
        key = tuple(lost.tolist())
        if key not in self.others:
            model = self.model._without(lost) if lost.any() else self.model
            self.others[key] = OnlineSession(model, session=self.name)
            self._replay(self.others[key], lost)
        self.session, self.lost = self.others[key], np.array(lost)
        self.ever = self.ever | self.lost

    # ------------------------------------------------------------------ what is remembered

    def _replay(self, session, lost):
        """Let a session learn from the kept windows of earlier trials."""
        sorter = self.session.sorter
        if sorter is None or sorter.cut:
            return
        for F, label, gone in self.kept:
            if not (gone & ~lost).any():
                session.push(self._left(F, lost))
                session.end_trial(label)

    def _remember(self, F):
        if not self.learns:
            return
        self.windows.append(F)
        if sum(each.shape[1] for each in self.windows) > 2 * self.model.n_windows_:
            self._keep(None)  # a trial that nobody ends

    def _keep(self, label):
        """Keep some windows of the trial, and look for noise from time to time."""
        if not self.windows:
            return
        F = np.concatenate(self.windows, axis=1)[:, :: SETTINGS.every]
        self.windows = []
        kept = [*self.kept, (F, label, self.lost.copy())]
        self.kept, self.n_trials = kept[-SETTINGS.remembered_windows :], self.n_trials + 1
        if self.n_trials % SETTINGS.look == 0:
            self._look_for_noise()

    def _look_for_noise(self):
        F = np.concatenate([each[0] for each in self.kept], axis=1)[np.newaxis]
        logs = log_powers(self.model._of_channels(F, "ms"), self.model.thresholds_[0])
        found = noisy_channels(logs, self.model.powers_, len(self.kept))
        self.noisy = self.model._usable(self.noisy | found)

    # ------------------------------------------------------------------ saving

    def state(self):
        """All of it as arrays and plain values."""
        plain = {"n_in_trial": self.n_in_trial, "n_trials": self.n_trials}
        for key in ("lost", "noisy", "ever", "n_bad"):
            plain[key] = getattr(self, key).tolist()
        kept = [
            {"windows": F.copy(), "label": label, "lost": lost.tolist()}
            for F, label, lost in self.kept
        ]
        windows = [each.copy() for each in self.windows]
        return {**plain, "kept": kept, "windows": windows, "session": self.session.state()}

    def restore(self, state):
        """Go on from a `state`."""
        self.leave_out(np.array(state["lost"]))
        self.session = OnlineSession(self.session.model, state["session"], self.name)
        for key in ("noisy", "ever", "n_bad"):
            setattr(self, key, np.array(state[key]))
        self.n_in_trial, self.n_trials = int(state["n_in_trial"]), int(state["n_trials"])
        self.windows = [np.array(each) for each in state["windows"]]
        self.kept = [
            (np.array(each["windows"]), each["label"], np.array(each["lost"]))
            for each in state["kept"]
        ]
        return self


def _alike(lost):
    """Indices of consecutive windows that have lost the same channels."""
    runs = [[0]]
    for i in range(1, len(lost)):
        if (lost[i] == lost[i - 1]).all():
            runs[-1].append(i)
        else:
            runs.append([i])
    return runs
