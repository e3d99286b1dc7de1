"""How far a network of thresholds can be trusted: intervals, and fields unlike those of fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.optimize import nnls
from sklearn.utils import check_consistent_length, column_or_1d, gen_batches

from .._checks.params import check_random_state
from .._checks.unusual import UnusualMixin, few_of, warn_if_unusual
from ._grids import check_thresholds, normalized, rms_magnitude
from ._intervals import (
    conformal_margin,
    fit_novelty,
    grouped_residuals,
    novelty,
)
from ._settings import FIT

if TYPE_CHECKING:
    from .._typing import ArrayLike, Self

__all__ = ["IntervalModel", "WeighedParts", "check_sizes_param", "simplex_weights"]

PREDICT_BATCH = 512


class IntervalModel(UnusualMixin):
    """Intervals and the flag of unusual fields, for a model with ``_outputs`` and ``_log_field``.

    ``_calibrate(X, y, train, held_out)`` is to be called at the end of ``fit``.
    """

    def calibrate(self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None) -> Self:
        """Take intervals from other samples than those held out in ``fit``.

        For intervals that hold in places where nothing was simulated, give samples in blocks of
        cortex: every block counts as much, however many samples it has, and the blocks, not the
        samples, are what new places are like (conformal prediction with groups: Dunn, Wasserman
        and Ramdas 2022). The samples must not have been trained on.

        Parameters
        ----------
        X : array-like of shape (n, s, s, s, 3) or (n, 3 * s**3)
        y : array-like of shape (n,) or (n, n_outputs)
            Thresholds, A/us; NaN counts for nothing.
        groups : array-like of shape (n,), optional
            Block of each sample. None: every sample counts alike.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For arrays that do not go together, or fewer than two groups.
        """
        X = self._check_X(X)
        y, _ = check_thresholds(y, X)
        self._check_same_outputs(y)
        error = np.abs(self._log_field(X) - self._log_targets(X, y))
        if groups is not None:
            groups = column_or_1d(groups)
            check_consistent_length(X, groups)
            if len(np.unique(groups)) < 2:
                raise ValueError("groups must name at least two blocks. Got one.")
            error = grouped_residuals(error, groups)
        self.residuals_ = error
        return self

    def predict_interval(self, X: ArrayLike, coverage: float = 0.9) -> np.ndarray:
        """Predict intervals that hold the threshold with a given probability.

        Split-conformal: the errors of held-out samples, relative to the prediction, say how wide.
        This holds for new samples like those of ``fit``; see `is_unusual`.

        Parameters
        ----------
        X : array-like of shape (n, s, s, s, 3) or (n, 3 * s**3)
        coverage : float, default=0.9
            Between 0 and 1.

        Returns
        -------
        interval : ndarray of shape (n, 2) or (n, n_outputs, 2)
            Lower and upper bound, A/us.

        Raises
        ------
        ValueError
            For another `coverage`, or one for which too few samples were held out.
        """
        if not 0 < coverage < 1:
            raise ValueError(f"coverage must be between 0 and 1. Got {coverage!r}.")
        X = self._check_X(X)
        factor = np.exp(conformal_margin(self.residuals_, coverage))
        middle = self._predict_grids(X)
        interval = np.stack([middle / factor, middle * factor], axis=-1)
        return interval if self._y_ndim == 2 else interval[:, 0]

    def _calibrate(self, X, y, train, held_out):
        """Keep what intervals and the flag need, from the held-out samples."""
        self.residuals_ = np.empty((0, self.n_outputs_))
        if len(held_out):
            error = self._outputs(X[held_out])[0] - self._log_targets(X[held_out], y[held_out])
            self.residuals_ = np.abs(error)
        if len(train) > FIT.most_shapes:  # before any copy of them is made
            train = train[check_random_state(0).permutation(len(train))[: FIT.most_shapes]]
        apart = len(held_out) >= FIT.fewest_to_weigh and not np.isin(held_out, train).any()
        usual = _shapes_of_fields(X[held_out]) if apart else None
        found = fit_novelty(_shapes_of_fields(X[train]), usual)
        self._novelty_state, self.usual_scores_ = found

    def _unusual_scores(self, X):
        """Distance of the shape of each field from those of fit, whatever its magnitude."""
        return self._novelty(super()._check_X(X))

    def _check_X(self, X):
        X = super()._check_X(X)
        warn_if_unusual(self._novelty(few_of(X)), self.usual_scores_, "fields")
        return X

    def _novelty(self, X):
        parts = gen_batches(len(X), PREDICT_BATCH)
        return np.concatenate(
            [novelty(_shapes_of_fields(X[part]), self._novelty_state) for part in parts]
        )


class WeighedParts:
    """Networks, physics and a Gaussian process, each weighed by what it is worth."""

    def _weigh_members(self, X, y, sample_weight=None):
        """Weights of the parts that fit held-out samples best (equal ones if there are few)."""
        module = self.net_.module_
        n_members, corrected = len(module.members), module.correction is not None
        n_parts = n_members + 2 * (module.physics is not None)
        target = self._log_targets(X, y) if len(X) else np.empty((0, self.n_outputs_))
        known = ~np.isnan(target)
        fewest = 10 * n_parts if module.physics is None else FIT.fewest_to_weigh
        weights = np.full(n_members, 1 / n_members)
        share = 0.0
        if n_parts > 1 and known.any(axis=1).sum() >= fewest:
            columns = []
            for m in range(n_members):
                self._set_weights(np.eye(n_members)[m], 0.0)
                columns.append(self._outputs(X)[0])
            if module.physics is not None:
                columns += self._columns_of_physics(X, n_members)
            of_each = np.ones(len(X)) if sample_weight is None else sample_weight
            root = np.sqrt(np.broadcast_to(of_each[:, np.newaxis], known.shape)[known])
            columns = np.stack(columns, -1)[known]
            found = simplex_weights(root[:, np.newaxis] * columns, root * target[known])
            weights, share = found[:n_members], found[-1] if corrected else 0.0
        elif module.physics is not None:
            # Too few samples to compare on: the process has shown its worth by leave-one-out.
            weights, share = weights * (not corrected), float(corrected)
        self._set_weights(weights, share)
        self.shares_ = {"network": float(weights.sum()), "gaussian_process": float(share)}

    def _columns_of_physics(self, X, n_members):
        """Score physics alone, which adds nothing, and the Gaussian process."""
        self._set_weights(np.zeros(n_members), 0.0)
        alone = self._outputs(X)[0]
        if self.net_.module_.correction is None:
            return [alone]
        self._set_weights(np.zeros(n_members), 1.0)
        return [alone, self._outputs(X)[0]]

    def _set_weights(self, members, correction):
        module = self.net_.module_
        module.weights.copy_(torch.as_tensor(members))
        if module.physics is not None:
            module.correction_weight.fill_(float(correction))


def known_moments(target, weights=None):
    """Mean and standard deviation (n_outputs,) over weighted samples whose target is not NaN."""
    if weights is None:
        return np.nanmean(target, axis=0), np.nanstd(target, axis=0)
    weights = np.where(np.isnan(target), 0.0, weights[:, np.newaxis])
    mean = np.average(np.nan_to_num(target), axis=0, weights=weights)
    square = np.average(np.square(np.nan_to_num(target) - mean), axis=0, weights=weights)
    return mean, np.sqrt(square)


def _shapes_of_fields(X):
    """Grids over their root mean square, flat: a weak field at the soma is nothing unusual."""
    return normalized(X, rms_magnitude(X)).reshape(len(X), -1)


def simplex_weights(outputs, target):
    """Least-squares weights (n_members,) of outputs (n, n_members), none negative, sum one."""
    heavy = 1e3 * np.sqrt(len(target)) * max(np.std(target), 1e-12)  # holds the sum to one
    system = np.vstack([outputs - target[:, np.newaxis], np.full((1, outputs.shape[1]), heavy)])
    weights, _ = nnls(system, np.append(np.zeros(len(target)), heavy))
    return weights / weights.sum()


def check_sizes_param(estimator, name, length=None):
    """Check that a constructor parameter is a sequence of positive int.

    estimator (BaseEstimator)
    length (int or None): How many.
    Raises ValueError if it is not.
    """
    value = getattr(estimator, name)
    good = isinstance(value, list | tuple) and all(
        isinstance(v, int | np.integer) and not isinstance(v, bool) and v > 0 for v in value
    )
    if not good or (length is not None and len(value) != length):
        raise ValueError(
            f"The {name!r} parameter of {type(estimator).__name__} must be a tuple of "
            f"{'' if length is None else f'{length} '}positive int. Got {value!r} instead."
        )
