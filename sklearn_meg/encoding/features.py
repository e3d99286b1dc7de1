"""Features as a good analyst makes them: splines, products, one row a level."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.preprocessing import SplineTransformer
from sklearn.utils.validation import check_is_fitted

from .._checks.params import check_option_param, check_scalar_param
from .._checks.trials import check_trials, ndim_of
from .._checks.whole import WholeFit
from .._params import documented
from ..rows import RowParams, resolve_rows

if TYPE_CHECKING:
    from typing import Literal

    from .._typing import ArrayLike, Self

MAX_LEVELS = 50


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class FeatureExpansion(WholeFit, RowParams, TransformerMixin, BaseEstimator):
    """Add nonlinear functions of the stimulus features as further rows of X.

    A linear encoder on expanded features finds responses that are no linear function of the
    features. The rows that are there stay where they are and the new ones come last, so that the
    encoder after it takes the same ``subject_row``, ``initial_rows``, ``n_initial`` and
    ``mask_row``. A feature of events (zero in most samples) is expanded where it is not zero and
    stays zero elsewhere. Rows that have a single value there (an onset) are not expanded.

    Parameters
    ----------
    method : {"spline", "products", "one_hot"}, default="spline"
        Cubic B-splines of each feature (:class:`sklearn.preprocessing.SplineTransformer`); squares
        and products of pairs; or a row for each value of each feature but the first.
    n_knots : int, default=4
        Number of knots of a spline, at quantiles of the values in ``fit``. Beyond them it goes on
        linearly.
    %(RowParams)s

    Attributes
    ----------
    feature_rows_ : ndarray of int
        Stimulus rows of X.
    expanded_rows_ : ndarray of int
        Those that are expanded.
    knots_ : list of ndarray
        Knots of each expanded row, with ``method="spline"``.
    levels_ : list of ndarray
        Values that get a row, with ``method="one_hot"``.
    n_features_in_, n_times_in_ : int
        Rows and samples of X.

    Raises
    ------
    ValueError
        For rows given by what they are from the end (the new rows come there), or more than 50
        values with "one_hot".

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_meg import FeatureExpansion, RecurrentTRF
    >>> from sklearn_meg.datasets import make_words
    >>> data = make_words("N", n_subjects=2, n_trials=10, n_channels=4)
    >>> expansion = FeatureExpansion(**data.rows).fit(data.X)
    >>> data.X.shape[1], expansion.transform(data.X).shape[1]
    (8, 18)
    >>> model = make_pipeline(expansion, RecurrentTRF(**data.rows)).fit(data.X, data.y)
    """

    method: Literal["spline", "products", "one_hot"] = "spline"
    n_knots: int = 4

    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> Self:
        """Find the values to expand and their knots.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_rows, n_times) or (n_trials, n_rows)
        y : ignored

        Returns
        -------
        self : object
        """
        check_option_param(self, "method", ("spline", "products", "one_hot"))
        check_scalar_param(self, "n_knots", "int", 2)
        X = check_trials(self, X, reset=True)
        self.n_features_in_, self.n_times_in_ = X.shape[1:]
        self.feature_rows_ = resolve_rows(self, *X.shape[1:]).features
        self._check_rows_from_the_start()
        values = {row: self._values(X, row) for row in self.feature_rows_}
        self.expanded_rows_ = np.array([row for row, v in values.items() if len(np.unique(v)) > 1])
        self.knots_, self.levels_ = [], []
        for row in self.expanded_rows_:
            if self.method == "spline":
                self.knots_.append(self._knots(values[row]))
            if self.method == "one_hot":
                self.levels_.append(self._level_values(values[row], row))
        return self

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Add the new rows.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_rows, n_times) or (n_trials, n_rows)

        Returns
        -------
        X : ndarray of shape (n_trials, n_rows + n_new, n_times)
            With as many dimensions as the X given.
        """
        check_is_fitted(self)
        flat = ndim_of(X, "X") == 2
        X = check_trials(self, X, reset=False)
        new = self._new_rows(X)
        if new:
            X = np.concatenate([X, np.stack(new, axis=1).astype(X.dtype)], axis=1)
        return X[:, :, 0] if flat else X

    def __sklearn_is_fitted__(self):
        return hasattr(self, "expanded_rows_")

    def _new_rows(self, X):
        rows = [np.asarray(X[:, row]) for row in self.expanded_rows_]
        if self.method == "products":
            pairs = combinations_with_replacement(rows, 2)
            return [first * second for first, second in pairs]
        new = []
        for values, knots in zip(rows, self.knots_):
            spline = _spline(knots)
            basis = np.zeros((*values.shape, spline.n_features_out_))
            on = values != 0
            if on.any():
                basis[on] = spline.transform(values[on][:, np.newaxis])
            new += list(np.moveaxis(basis, -1, 0))
        for values, levels in zip(rows, self.levels_):
            new += [values == level for level in levels]
        return new

    def _knots(self, values):
        n_knots = max(2, min(self.n_knots, len(np.unique(values))))
        knots = np.unique(np.quantile(values, np.linspace(0, 1, n_knots)))
        if len(knots) < 2:
            knots = np.array([values.min(), values.max()])
        return knots

    def _level_values(self, values, row):
        levels = np.unique(values)
        if len(levels) > MAX_LEVELS:
            raise ValueError(
                f"method='one_hot' of {type(self).__name__} takes features of at most "
                f"{MAX_LEVELS} values. Row {row} of X has {len(levels)}."
            )
        return levels[1:]

    def _values(self, X, row):
        """Values of a feature where it is not zero."""
        values = np.asarray(X[:, row], dtype=float).ravel()
        there = values[values != 0]
        return there if len(there) else values

    def _check_rows_from_the_start(self):
        rows = [self.subject_row, self.mask_row]
        initial = self.initial_rows
        if isinstance(initial, slice):
            rows += [-1 if initial.stop is None else initial.stop - 1, initial.start or 0]
        elif initial is not None:
            rows += list(np.atleast_1d(initial))
        if any(row is not None and row < 0 for row in rows):
            raise ValueError(
                f"{type(self).__name__} adds rows at the end of X, so subject_row, initial_rows "
                "and mask_row must be counted from the start, as pack_rows gives them. Got "
                f"{self.subject_row}, {self.initial_rows} and {self.mask_row}."
            )


def _spline(knots):
    """The spline basis of some knots: they alone decide it."""
    spline = SplineTransformer(
        degree=3, knots=knots[:, np.newaxis], extrapolation="linear", include_bias=False
    )
    return spline.fit(knots[:, np.newaxis])
