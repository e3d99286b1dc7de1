"""A new session as it happens: each window is decided with what came before it, nothing else."""

import numpy as np
from scipy.special import log_softmax

from ._discriminants import SO_FAR, WEIGHT
from ._gaussian import adapt
from ._sessions import RunningNormalizer, normalized

N_ITER = 5  # of the adaptation after each trial: it goes on from the last
REMEMBERED = 500  # trials: memory stays constant in an endless stream


class OnlineSession:
    """Running normalization, the network's state, and what is known of the session.

    Parameters
    ----------
    model : NerveClassifier or NerveRegressor
        Fitted.
    state : dict or None
        Of an earlier one, to go on from.
    """

    def __init__(self, model, state=None):
        self.model = model
        self.running = None if model.adaptation is None else model._running()
        self.trial_means, self.trial_logs = [], []
        self.shifts = 0.0
        self.start_trial()
        if state is not None:
            self._restore(state)

    def start_trial(self):
        """Forget the windows of the present trial."""
        self.network_state, self.n_windows = None, 0
        self.raw_sum = self.embedded_sum = self.log_sum = self.linear_sum = 0.0

    def push(self, F):
        """Outputs (n_windows, n_outputs) of the next windows (n_features, n_windows)."""
        Z = self._normalized(F)
        out, self.network_state = self.model._step(Z[np.newaxis], self.network_state)
        if not hasattr(self.model, "classes_"):
            self.n_windows += F.shape[1]
            return self.model._unscaled(out)[0].T
        logs = out[0].T
        if self.model._session_model:
            logs = self._with_session(logs, Z[np.newaxis])
        self.log_sum = self.log_sum + out[0].sum(1)
        self.raw_sum = self.raw_sum + F.sum(1)
        self.n_windows += F.shape[1]
        return logs

    def end_trial(self):
        """Log probabilities of the trial (n_classes,); the session learns from it."""
        if not self.n_windows:
            return None
        mean_log = self.log_sum / self.n_windows
        if not self.model._session_model:
            result = log_softmax(mean_log)
        else:
            result = log_softmax(mean_log + WEIGHT * self.linear_sum / self.n_windows)
            if self.running is not None:
                found = self._learn(result)
                result = self.model._weighed(found[np.newaxis], result)[0]
        self.start_trial()
        return result

    def _normalized(self, F):
        return normalized(F, self.model.normal_) if self.running is None else self.running(F)

    def _with_session(self, logs, Z):
        model = self.model
        embedded = model._embedded(Z)[0]
        sums = self.embedded_sum + np.cumsum(embedded, axis=0)
        counts = self.n_windows + np.arange(1, len(sums) + 1)[:, np.newaxis]
        so_far = model._so_far(sums / counts, self.shifts, self.n_windows)
        self.embedded_sum = sums[-1]
        linear = model._linear_logs(Z)[0].T
        self.linear_sum = self.linear_sum + linear.sum(0)
        return model._cooled(log_softmax(logs + linear + SO_FAR * so_far, axis=-1))

    def _learn(self, start):
        """Classes of all trials so far, all in the present normalization."""
        self.trial_means = [*self.trial_means, self.raw_sum / self.n_windows][-REMEMBERED:]
        self.trial_logs = [*self.trial_logs, start][-REMEMBERED:]
        model, (mean, sd) = self.model, self.running.normal
        P = (np.array(self.trial_means) - mean) / sd @ model.projection_ - model.offset_
        logs, self.shifts = adapt(P, np.array(self.trial_logs), *model._gaussian, n_iter=N_ITER)
        self.trial_logs = list(logs)
        return logs[-1]

    # ------------------------------------------------------------------ saving

    def state(self):
        """All of it as arrays and plain values."""
        plain = ("trial_means", "trial_logs", "shifts", "n_windows")
        sums = ("raw_sum", "embedded_sum", "log_sum", "linear_sum")
        network = self.network_state
        return {
            **{key: np.array(getattr(self, key)) for key in (*plain, *sums)},
            "running": None if self.running is None else self.running.state(),
            "network": None if network is None else [_array(part) for part in network],
        }

    def _restore(self, state):
        for key in ("shifts", "raw_sum", "embedded_sum", "log_sum", "linear_sum"):
            setattr(self, key, np.array(state[key]))
        self.n_windows = int(state["n_windows"])
        for key in ("trial_means", "trial_logs"):
            setattr(self, key, list(np.array(state[key])))
        if state["running"] is not None:
            self.running = RunningNormalizer.from_state(state["running"])
        network = state["network"]
        self.network_state = None if network is None else [np.array(part) for part in network]


def _array(part):
    """A copy of an array or tensor as an array."""
    return np.array(part.cpu().numpy() if hasattr(part, "cpu") else part)
