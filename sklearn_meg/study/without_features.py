"""An encoder without its features: the floor that has all its other information."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, RegressorMixin, clone

from .._checks.trials import pieces
from .mapped import changed

if TYPE_CHECKING:
    from .._typing import ArrayLike, Self


class WithoutFeatures(RegressorMixin, MetaEstimatorMixin, BaseEstimator):
    """An encoder that gets the times of stimuli, but not their features.

    The features are left out; where no other row says when stimuli come, one course stays, the same
    in every trial: the mean of their absolute values over the training trials. All other rows of X
    (subject, initial window, mask) stay: what is left is the floor that knows as much as
    `estimator` does without the features.

    Parameters
    ----------
    estimator : estimator
        Cloned, never fitted in place.
    features : list of int
        Rows of X that hold the features.

    Attributes
    ----------
    estimator_ : estimator
        Fitted without the features.
    course_ : ndarray of shape (n_times,)
        Course that replaces the first feature.
    kept_rows_ : ndarray of int
        Rows of X that `estimator_` is given. An estimator that does not name rows is given all,
        those of further features being 0.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg import RecurrentTRF, pack_rows
    >>> from sklearn_meg.study import WithoutFeatures
    >>> rng = np.random.default_rng(0)
    >>> X, rows = pack_rows(rng.normal(size=(20, 2, 30)))
    >>> y = rng.normal(size=(20, 3, 30))
    >>> floor = WithoutFeatures(RecurrentTRF(alphas=1.0, tmax=3, **rows), features=[0, 1]).fit(X, y)
    >>> bool(np.ptp(floor.predict(X), axis=0).max() < 1e-9)  # the same in every trial
    True
    >>> bool(floor.score(X, y) < 0.05)
    True
    """

    def __init__(self, estimator: BaseEstimator, *, features: list[int]) -> None:
        self.estimator = estimator
        self.features = features

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit the estimator on X without the features.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_rows, n_times)
        y : array-like of shape (n_trials, n_channels, n_times)

        Returns
        -------
        self : WithoutFeatures

        Raises
        ------
        ValueError
            If X has not three dimensions.
        """
        if np.ndim(X) != 3:
            raise ValueError(
                f"X must have the shape (n_trials, n_rows, n_times). Got {np.shape(X)}."
            )
        courses = _mean_courses(X, self.features)
        self.course_ = courses[self.features].mean(axis=0)
        self.kept_rows_ = self._rows_to_keep(X, courses)
        with changed(X, self._uninformed) as told:
            self.estimator_ = self._renumbered(X.shape[1]).fit(told, y)
        return self

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Predict from X without the features.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_rows, n_times)

        Returns
        -------
        y : ndarray of shape (n_trials, n_channels, n_times)
        """
        return self.estimator_.predict(self._uninformed(X))

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Score of the estimator on X without the features.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_rows, n_times)
        y : array-like of shape (n_trials, n_channels, n_times)
        sample_weight : array-like of shape (n_trials,), default=None
            Weight of each trial.

        Returns
        -------
        score : float
        """
        return self.estimator_.score(self._uninformed(X), y, sample_weight)

    def _rows_to_keep(self, X, courses):
        """All rows but those of features, and the first feature unless others say the same."""
        every = np.arange(X.shape[1])
        named = _row_params(self.estimator)
        if named is None:
            return every
        given = [np.ravel(every[rows]) for rows in named.values() if rows is not None]
        others = np.setdiff1d(every, np.concatenate([self.features, *given]).astype(int))
        same = [row for row in others if _is_the_same_in_every_trial(X, row)]
        dropped = self.features if _says(courses[same], self.course_) else self.features[1:]
        return np.setdiff1d(every, dropped)

    def _renumbered(self, n_rows):
        """Clone of the estimator, its row parameters counted in the rows that are left."""
        estimator = clone(self.estimator)
        if len(self.kept_rows_) < n_rows:
            every = np.arange(n_rows)
            for name, rows in _row_params(estimator).items():
                if rows is not None:
                    setattr(estimator, name, self._place(every[rows]))
        return estimator

    def _place(self, rows):
        places = np.searchsorted(self.kept_rows_, rows)
        return int(places) if places.ndim == 0 else places.tolist()

    def _uninformed(self, X):
        X = np.array(np.asarray(X)[:, self.kept_rows_])
        shown = np.isin(self.kept_rows_, self.features)
        X[:, shown] = 0.0
        X[:, self.kept_rows_ == self.features[0]] = self.course_
        return X


def _row_params(estimator):
    """Parameters that name rows of X; None if it names none, or groups the rows of features."""
    names = ("subject_row", "initial_rows", "mask_row")
    if not all(hasattr(estimator, name) for name in names):
        return None
    if getattr(estimator, "feature_groups", None) is not None:
        return None
    return {name: getattr(estimator, name) for name in names}


def _mean_courses(X, features):
    """Mean over trials of every row; of features that of absolute values."""
    total = 0.0
    for part in pieces(X):
        piece = np.array(X[part], dtype=float)
        piece[:, features] = np.abs(piece[:, features])
        total = total + piece.sum(axis=0)
    return total / len(X)


def _is_the_same_in_every_trial(X, row):
    return all((X[part, row] == X[:1, row]).all() for part in pieces(X))


def _says(courses, course):
    """Whether one course is a weighted sum of others."""
    if not len(courses):
        return False
    rest = course - np.linalg.lstsq(courses.T, course)[0] @ courses
    return bool(np.abs(rest).max() <= 1e-6 * np.abs(course).max())
