"""The linear encoder under a deep one: which, and what it predicts held out."""

from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from sklearn.utils import gen_batches

from .._checks.trials import release_pages
from ..rows import Rows
from ._arx import pieces_of
from ._noise import SETTINGS as NOISE
from ._scaling import locate_subjects, standardize
from ._spline_base import LINEAR, SplineBlend, from_state, share_of, unfitted
from .features import FeatureExpansion

#: Trials that tell how the noise goes on: more would not change it.
NOISE_TRIALS = 2000


@dataclass(frozen=True)
class Settings:
    """When the linear encoder is blended with one of splines of the features."""

    #: Trials from which on it is tried. With 192, R across trials in world `bent`, draw 701, is
    #: .520 without and .528 with it; with 36 splines do not tell clearly more.
    least: int = 100
    #: Standard errors, over blocks of trials, by which splines must tell more than the features.
    clearly: float = 3.0
    #: What they must tell, as a share of what the network tells, for a network of their own: where
    #: they tell less, as in N and S, the first network was better (with 192 trials .283, on splines
    #: .272).
    promising: float = 0.5


SETTINGS = Settings()


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

    def _new_base(self, **where):
        names = ("subject_row", "initial_rows", "n_initial", "mask_row")
        where = where or {name: getattr(self, name) for name in names}
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

    def _blend_with_splines(self, X, y, held, by_network, blocks):
        """Blend the base with one of splines, if that tells clearly more than the base alone.

        held (n_held,) int: Trials on which the network was judged.
        by_network (float): Share of what the base leaves there that it told.
        blocks (n_trials,): Neighbors share one.
        Returns base (SplineBlend) and its held-out predictions, or None.
        """
        where = self._where_from_the_start()
        expansion = FeatureExpansion(**where).fit(X)
        if not len(expansion.expanded_rows_):
            return None
        wide = self._new_base(**where)
        found = wide.fit_held_out(expansion.transform(X), y, np.arange(len(X)), self._sample_weight)
        left, product, square = self._products_with(X, y, found)
        share, z = share_of(product, square, blocks)
        if z < SETTINGS.clearly:
            return None
        rest = np.setdiff1d(np.arange(len(X)), held)
        rest = rest if len(rest) else held
        by_splines = (2 * share * product - share**2 * square)[rest].sum() / left[rest].sum()
        if by_splines < SETTINGS.promising * by_network:
            return None
        found = self._base_inputs + share * (found - self._base_inputs)
        return SplineBlend(self.base_, wide, expansion, share), found

    def _may_blend(self, X):
        """Whether splines of the features are tried: they need X in memory, and common lags."""
        lags = [np.ndim((self.base_params or {}).get(name, 0)) for name in ("tmin", "tmax")]
        enough = len(X) >= SETTINGS.least and not isinstance(X, np.memmap)
        return self.base == "auto" and hasattr(self, "_base_inputs") and enough and not any(lags)

    def _where_from_the_start(self):
        """Row parameters that stay right where X gets more rows at its end."""
        rows = Rows(**self._rows)
        return {
            "subject_row": rows.subject,
            "initial_rows": [int(row) for row in rows.initial] or None,
            "n_initial": rows.n_initial,
            "mask_row": rows.mask,
        }

    def _products_with(self, X, y, linear):
        """Products of what the base leaves of each trial and how another encoder differs from it.

        linear (n_trials, n_channels, n_times): Held-out predictions of the other one.
        Returns products (3, n_trials): Left squared, left times change, change squared.
        """
        found = np.empty((3, len(X)))
        for part in gen_batches(len(X), 64):
            units = self._subject_weights(X[part]), self.y_mean_, self.y_scale_
            before, after = (standardize(a[part], *units) for a in (self._base_inputs, linear))
            left, change = self._targets(X[part], y[part]).numpy() - before, after - before
            products = left**2, left * change, np.where(np.isnan(left), 0.0, change**2)
            found[:, part] = np.nansum(products, axis=(2, 3))
        return found if self._sample_weight is None else found * self._sample_weight

    def _hold_out(self, X, y, split):
        """Keep what a base fitted without the held-out trials predicts of all.

        A base that had seen the held-out trials would tell the network of them: the mean of the
        other trials of a subject holds each with the opposite sign.
        """
        if not hasattr(self, "_base_inputs"):
            return
        train, held = split
        base, weight = unfitted(self.base_), self._sample_weight
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
            base = self.base_
            state["base_"] = base.state() if isinstance(base, SplineBlend) else dict(vars(base))
        return state

    def __setstate__(self, state):
        state = dict(state)
        if "base_" in state:
            state["base_"] = from_state(state["base_"], state["_base"])
        super().__setstate__(state)
