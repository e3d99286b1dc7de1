"""A new session as it happens: each window is decided with what came before it, nothing else."""

import numpy as np
from scipy.special import log_softmax

from .._checks.assumptions import warn_assumption
from ._sessions import RunningNormalizer, normalized
from ._settings import SETTINGS


class OnlineSession:
    """Normalization so far, the network's state, and the session model in time.

    model (NerveClassifier or NerveRegressor): Fitted.
    state (dict or None): State of an earlier one, to go on from.
    session (float or None): A session of ``fit``, whose normal is known, or one with labels of its
        own.
    """

    def __init__(self, model, state=None, session=None):
        self.model = model
        self.normal = model._known_normal(session)
        self.running = model._running() if self.normal is None else None
        self.sorter, self.name, self.next_look = None, session, SETTINGS.first_look
        if getattr(model, "_session_model", False):
            self.sorter = model._sessions_model.start(
                model.normal_, self.running is not None, model.prior_trials
            )
            if self.running is not None:
                model._teach(self, session)
        self.start_trial()
        if state is not None:
            self._restore(state)

    def start_trial(self):
        """Forget the windows of the present trial."""
        self.network_state, self.n_windows, self.log_sum, self.last = None, 0, 0.0, None
        if self.sorter is not None:
            self.sorter.start_trial()

    def push(self, F):
        """Outputs (n_windows, n_outputs) of the next windows (n_features, n_windows)."""
        out = []
        while F.shape[1]:  # again where the normal has changed on the way
            part = self._push(F)
            out.append(part)
            F = F[:, len(part) :]
        self._doubt()
        return np.concatenate(out)

    def _push(self, F):
        """Log probabilities or movements of new windows, up to the next change of motion."""
        snapshot = None if self.running is None else self.running.state()
        Z = self._normalized(F)
        before = self.network_state
        out, self.network_state = self.model._step(Z[np.newaxis], before)
        if not hasattr(self.model, "classes_"):
            self.n_windows += F.shape[1]
            found = self.model._unscaled(out)[0].T
            self.last = found[-1]
            return found
        logs = out[0].T
        if self.sorter is not None:
            decided = self.sorter.step(F, Z, logs)
            used = len(decided)
            if used < F.shape[1]:
                self._rewind(snapshot, before, F[:, :used], Z[:, :used])
        else:
            decided, used = logs, len(logs)
        self.log_sum = self.log_sum + logs[:used].sum(0)
        self.n_windows += used
        return decided

    def missing(self):
        """Movements of a window without data: predicted forward, or those of the last window."""
        if hasattr(self.model, "_predict_forward"):
            out, self.network_state = self.model._predict_forward(self.network_state)
            return out
        return self.last

    def _rewind(self, snapshot, network, F, Z):
        """Be where only these windows have come."""
        self.network_state = self.model._step(Z[np.newaxis], network)[1]
        if snapshot is not None:
            self.running = RunningNormalizer.from_state(snapshot)
            self.running(F)

    def end_trial(self, label=None):
        """Log probabilities of the trial (n_classes,); the session learns from it."""
        if self.sorter is not None:
            result = self.sorter.end(label)
        else:
            result = log_softmax(self.log_sum / self.n_windows) if self.n_windows else None
        self.start_trial()
        self._doubt()
        return result

    def _doubt(self):
        """Warn once where the trials so far are probably decided wrongly."""
        if self.sorter is None or self.sorter.n_learned < self.next_look:
            return
        self.next_look = self.sorter.n_learned + SETTINGS.enough_trials
        expected = self.sorter.expected_accuracy()
        if expected < SETTINGS.fails_in_time:
            self.next_look = np.inf
            which = "This session" if self.name is None else f"Session {self.name:g}"
            said = f"{which}: decisions are probably wrong ({expected:.2f} may be right)."
            warn_assumption("doubtful-session", said)

    def _normalized(self, F):
        if self.running is None:
            return normalized(F, self.normal)
        Z = self.running(F)
        if self.sorter is not None and self.sorter.normal is not None:
            return normalized(F, self.sorter.normal)
        return Z

    # ------------------------------------------------------------------ saving

    def state(self):
        """All of it as arrays and plain values."""
        network = self.network_state
        return {
            "n_windows": self.n_windows,
            "log_sum": np.array(self.log_sum),
            "normal": None if self.normal is None else self.normal.copy(),
            "running": None if self.running is None else self.running.state(),
            "network": None if network is None else [_array(part) for part in network],
            "sorter": None if self.sorter is None else self.sorter.state(),
        }

    def _restore(self, state):
        self.n_windows, self.log_sum = int(state["n_windows"]), np.array(state["log_sum"])
        if state["normal"] is not None:
            self.normal, self.running = np.array(state["normal"]), None
        if state["running"] is not None:
            self.running = RunningNormalizer.from_state(state["running"])
        network = state["network"]
        self.network_state = None if network is None else [np.array(part) for part in network]
        if state["sorter"] is not None and self.sorter is not None:
            self.sorter.restore(state["sorter"])


def _array(part):
    """A copy of an array or tensor as an array."""
    return np.array(part.cpu().numpy() if hasattr(part, "cpu") else part)
