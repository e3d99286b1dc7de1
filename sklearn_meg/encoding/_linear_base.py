"""The linear encoder under a deep one: which, on which features, and what it predicts held out."""

import numpy as np

from .._checks.trials import pieces
from ..rows import Rows
from .features import FeatureExpansion
from .recurrent_trf import RecurrentTRF
from .trf import TemporalReceptiveField

LINEAR = {"rtrf": RecurrentTRF, "trf": TemporalReceptiveField}
#: Base models whose held-out predictions of all trials are kept in memory up to so many bytes.
HELD_OUT_BYTES = 2**30


class OnLinearBase:
    """Choose, fit and ask the linear encoder that a network starts from."""

    def _new_base(self):
        names = ("subject_row", "initial_rows", "n_initial", "mask_row")
        where = {name: getattr(self, name) for name in names}
        return LINEAR[self._base](**where, **(self.base_params or {}))

    def _fit_base_held_out(self, X, y):
        """Fit a pooled base to all trials; keep what it predicts of each from the others.

        So the network is trained on what the base misses in trials that it has not seen, and the
        base is fitted once.
        """
        base = self._new_base()
        pooled = self.subject_row is not None and base.partial_pooling
        small = 4 * max(X.size, y.size) <= HELD_OUT_BYTES
        if not (pooled and small) or len(X) < 2:
            if small:
                self._choose_expansion(X, y)
            return
        candidates = [None, self._fit_expansion(X)]
        counted = Rows(**self._rows).counted(X)
        least, best = np.inf, None
        for expansion in dict.fromkeys(candidates):
            self.expansion_, base = expansion, self._new_base()
            held_out = base.fit_held_out(self._expanded(X), y, np.arange(len(X)))
            error = _relative_error(y, held_out, self._rows["n_initial"], counted)
            if best is None or error < least:
                least, best = error, (expansion, base, held_out)
            del held_out
        self.expansion_, self.base_, self._base_inputs = best

    def _choose_expansion(self, X, y):
        """Keep the expansion if the base scores better with it in its own cross-validation."""
        scores, candidates = [], list(dict.fromkeys([None, self._fit_expansion(X)]))
        for self.expansion_ in candidates if len(candidates) > 1 else []:
            base = self._new_base()
            base._fit_trials(self._expanded(X), y, np.arange(len(X)))
            scores.append(base.cv_scores_.max(axis=-1).mean())
        better = len(scores) > 1 and scores[1] > scores[0]  # NaN with a single trial
        self.expansion_ = candidates[1] if better else None

    def _fit_expansion(self, X):
        if self.expansion is None:
            return None
        names = ("subject_row", "initial_rows", "n_initial", "mask_row")
        where = {name: getattr(self, name) for name in names}
        expansion = FeatureExpansion(method=self.expansion, **where).fit(X)
        return expansion if len(expansion.expanded_rows_) else None

    def _expanded(self, X):
        return X if self.expansion_ is None else self.expansion_.transform(X)

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
        if state.get("expansion_") is not None:
            state["expansion_"] = dict(vars(self.expansion_))
        return state

    def __setstate__(self, state):
        state = dict(state)
        if "base_" in state:
            base = LINEAR[state["_base"]]()
            vars(base).update(state["base_"])
            state["base_"] = base
        if state.get("expansion_") is not None:
            expansion = FeatureExpansion()
            vars(expansion).update(state["expansion_"])
            state["expansion_"] = expansion
        super().__setstate__(state)


def _relative_error(y, predicted, start, counted):
    """Squared error after the initial window over the variance of each channel, read in pieces."""
    total, squares, error, n = 0.0, 0.0, 0.0, len(y) * y.shape[2]
    for part in pieces(y):
        values = np.asarray(y[part])
        total = total + values.sum(axis=(0, 2), dtype=np.float64)
        left = (values - predicted[part])[:, :, start:]
        if counted is not None:
            left = np.where(counted[part][:, np.newaxis, start:], left, 0.0)
        error = error + np.square(left, dtype=np.float64).sum(axis=(0, 2))
    mean = (total / n)[:, np.newaxis]
    for part in pieces(y):
        squares = squares + np.square(y[part] - mean).sum(axis=(0, 2))
    return float((error / np.maximum(squares, 1e-300)).mean())
