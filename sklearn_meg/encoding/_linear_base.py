"""The linear encoder under a deep one: which, and what it predicts held out."""

from contextlib import contextmanager

import numpy as np

from .._checks.trials import release_pages
from ..rows import Rows
from ._arx import pieces_of
from ._noise import SETTINGS as NOISE
from ._scaling import locate_subjects
from .recurrent_trf import RecurrentTRF
from .trf import TemporalReceptiveField

LINEAR = {"rtrf": RecurrentTRF, "trf": TemporalReceptiveField}
#: Trials that tell how the noise goes on: more would not change it.
NOISE_TRIALS = 2000


class OnLinearBase:
    """Choose, fit and ask the linear encoder that a network starts from."""

    #: Weights of the trials of the fit that is going on.
    _sample_weight = None

    @contextmanager
    def _weighing(self, weights):
        """Fit with weights of trials, and forget them."""
        self._sample_weight = weights
        try:
            yield
        finally:
            del self._sample_weight

    def _weighted(self, shares):
        """Shares of trials in subjects, (n_trials, n_subjects), times the weight of the trial."""
        weight = self._sample_weight
        return shares if weight is None else shares * weight[:, np.newaxis]

    def _subject_weights(self, X):
        values = Rows(**self._rows).subject_values(X)
        return locate_subjects(values, self.subjects_, self.unknown_subject)

    def _known_samples(self):
        return self._rows["n_initial"] if self._knows_the_beginning() else 0

    def _base_errors(self, X, y, trials):
        """Standardized errors of the linear encoder and weights, some trials at a time."""
        trials = trials[:: max(1, len(trials) // NOISE_TRIALS)]
        weights = self._sample_weight
        copies = NOISE.order + 1  # that an autoregression makes
        for part in pieces_of(trials, X.shape[2], copies * self.n_outputs_):
            base = self._training_inputs(X, part)["base"]
            error = (self._targets(np.asarray(X[part]), np.asarray(y[part])) - base).numpy()
            error[:, :, : self._known_samples()] = 0
            yield error.astype(np.float64), 1.0 if weights is None else weights[part]
            for array in (X, y):
                release_pages(array)

    def _training_inputs(self, X, index):
        base = self.__dict__.get("_base_inputs")
        inputs = self._inputs(np.asarray(X[index]), None if base is None else base[index])
        release_pages(base)
        return inputs

    def _new_base(self):
        names = ("subject_row", "initial_rows", "n_initial", "mask_row")
        where = {name: getattr(self, name) for name in names}
        base = LINEAR[self._base](**where, **(self.base_params or {}))
        base._pools_one = getattr(base, "fit_intercept", True) is True
        return base

    def _fit_base_held_out(self, X, y):
        """Fit a pooled base to all trials; keep what it predicts of each from the others.

        So the network is trained on what the base misses in trials that it has not seen, and the
        base is fitted once.
        """
        base = self._new_base()
        if base._pools() and len(X) > 1:
            everyone = np.arange(len(X))
            self._base_inputs = base.fit_held_out(X, y, everyone, self._sample_weight)
            self.base_ = base

    def _hold_out(self, X, y, split):
        """Keep what a base fitted without the held-out trials predicts of all.

        A base that had seen the held-out trials would tell the network of them: the mean of the
        other trials of a subject holds each with the opposite sign.
        """
        if not hasattr(self, "_base_inputs"):
            return
        train, held = split
        base, weight = self._new_base(), self._sample_weight
        self._base_inputs = base.fit_held_out(X, y, train, weight)
        for part in pieces_of(held, X.shape[2], 4 * self.n_outputs_):
            self._base_inputs[part] = base._predict_checked(np.asarray(X[part]))
            release_pages(X, self._base_inputs)

    def _resolved_base(self):
        if self.base != "auto":
            return self.base
        return "rtrf" if self._knows_the_beginning() else "trf"

    def _check_base_params(self, cls):
        own = ("subject_row", "initial_rows", "n_initial", "mask_row", "unknown_subject")
        allowed = [name for name in cls().get_params() if name not in own]
        params = {} if self.base_params is None else self.base_params
        unknown = sorted(set(params) - set(allowed)) if isinstance(params, dict) else [repr(params)]
        if unknown:
            raise ValueError(
                f"The 'base_params' parameter of {type(self).__name__} must be a dict of "
                f"parameters of {cls.__name__}: {', '.join(allowed)}. Got {', '.join(unknown)}."
            )

    def _knows_the_beginning(self):
        """Whether X holds the initial MEG of just the channels of y."""
        return self._rows["n_initial"] > 0 and len(self._rows["initial"]) == self.n_outputs_

    def __getstate__(self):
        state = super().__getstate__()
        if "base_" in state:  # as plain data: one type to trust when loading
            state["base_"] = dict(vars(self.base_))
        return state

    def __setstate__(self, state):
        state = dict(state)
        if "base_" in state:
            base = LINEAR[state["_base"]]()
            vars(base).update(state["base_"])
            state["base_"] = base
        super().__setstate__(state)
