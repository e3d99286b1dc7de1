"""A linear encoder blended with the same encoder of splines of the features."""

from __future__ import annotations

import numpy as np
from sklearn.base import clone

from .._checks.trials import pieces, release_pages
from .features import FeatureExpansion
from .recurrent_trf import RecurrentTRF
from .trf import TemporalReceptiveField

LINEAR = {"rtrf": RecurrentTRF, "trf": TemporalReceptiveField}
_PARTS = ("linear", "wide", "expansion")


class SplineBlend:
    """What two fitted linear encoders predict, the second of splines of the features.

    Splines that bend too much still tell which way a response bends: in a world of
    ten subjects with 70 trials each, whose responses grow with the logarithm of a feature, R across
    trials was .445 (features), .474 (splines) and .476 (half of each).

    linear (RecurrentTRF or TemporalReceptiveField), wide (the same, of more rows)
    expansion (FeatureExpansion): From X to what `wide` takes.
    share (float): Of `wide`, from 0 to 1.
    """

    def __init__(self, linear, wide, expansion, share):
        self.linear, self.wide, self.expansion, self.share = linear, wide, expansion, share

    @property
    def delays_(self):
        """Lags of the stimulus in samples."""
        return self.linear.delays_

    def predict(self, X):
        """Predict (n_trials, n_channels, n_times)."""
        return self._blended(self.linear.predict(X), self.wide.predict(self.expansion.transform(X)))

    def _predict_checked(self, X):
        wide = self.wide._predict_checked(self.expansion.transform(X))
        return self._blended(self.linear._predict_checked(X), wide)

    def fit_held_out(self, X, y, trials, weights=None):
        """Fit both to some trials; predict each of these by models fitted without its fold."""
        found = self.linear.fit_held_out(X, y, trials, weights)
        wide = self.wide.fit_held_out(self.expansion.transform(X), y, trials, weights)
        for part in pieces(found):
            found[part] = self._blended(found[part], wide[part])
            release_pages(found, wide)
        return found

    def unfitted(self):
        """The same, not fitted."""
        parts = unfitted(self.linear), unfitted(self.wide)
        return SplineBlend(*parts, self.expansion, self.share)

    def _blended(self, linear, wide):
        return linear + self.share * (wide - linear)

    def state(self):
        """All of it as plain data."""
        return {"share": self.share, **{n: dict(vars(getattr(self, n))) for n in _PARTS}}


def unfitted(base):
    """A linear encoder with the same parameters, not fitted."""
    if isinstance(base, SplineBlend):
        return base.unfitted()
    new = clone(base)
    new._pools_one = base._pools_one
    return new


def from_state(state, kind):
    """Linear encoder of a kind, or blend of two, from its plain data."""
    if "share" not in state:
        return _filled(LINEAR[kind](), state)
    made = LINEAR[kind](), LINEAR[kind](), FeatureExpansion()
    return SplineBlend(*(_filled(m, state[n]) for m, n in zip(made, _PARTS)), state["share"])


def _filled(estimator, state):
    vars(estimator).update(state)
    return estimator


def share_of(errors, changes, blocks):
    """Share of a change with the least error, and how clearly it is one.

    errors (n_trials,): Products of error and change; changes (n_trials,): squared changes.
    blocks (n_trials,): Neighbors share one.
    Returns share (float): From 0 to 1, and z (float): The mean product in standard errors.
    """
    index = np.unique(blocks, return_inverse=True)[1]
    product, square = np.bincount(index, errors), np.bincount(index, changes)
    if len(product) < 2 or not square.sum():
        return 0.0, 0.0
    spread = product.std(ddof=1) / np.sqrt(len(product))
    z = product.mean() / spread if spread else 0.0
    return float(np.clip(product.sum() / square.sum(), 0, 1)), z
