"""What each model of a study is told, and the floors that are told as much without the features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, RegressorMixin, clone
from sklearn.utils import gen_batches

from .._checks.trials import trials_per_chunk

if TYPE_CHECKING:
    from .._typing import ArrayLike, Self

PART_BYTES = 2**24
KINDS = ("features", "initial", "subject")
WORDS = {"features": "features", "initial": "initial window", "subject": "subject"}


@dataclass(frozen=True)
class Parts:
    """Rows of X by what they say: of each feature, of the initial window, of the subject."""

    features: dict
    initial: tuple = ()
    subject: tuple = ()

    def rows(self, kind):
        """All rows of one kind, as a sorted array."""
        if kind == "features":
            return np.unique([row for rows in self.features.values() for row in rows]).astype(int)
        return np.array(getattr(self, kind), dtype=int)


class WithoutFeatures(RegressorMixin, MetaEstimatorMixin, BaseEstimator):
    """An encoder that is told when stimuli come, but not what they are.

    The features are replaced by one course, the mean of their absolute values over the training
    trials, which is the same in every trial. All other rows of X (subject, initial window, mask)
    stay: what is left is the floor that knows as much as `estimator` does without the features.

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
        Course that replaces the first feature; the others are 0.

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
        """
        self.course_ = np.abs(np.asarray(X[:, self.features])).mean(axis=(0, 1))
        self.estimator_ = clone(self.estimator).fit(self._uninformed(X), y)
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

    def _uninformed(self, X):
        X = np.array(X)
        X[:, self.features] = 0.0
        X[:, self.features[0]] = self.course_
        return X


def exchange(subjects, rng):
    """Draw for each trial another trial of its subject.

    Parameters
    ----------
    subjects : ndarray of shape (n_trials,)
    rng : numpy.random.Generator

    Returns
    -------
    source : ndarray of int of shape (n_trials,)
        A permutation within each subject.
    """
    source = np.arange(len(subjects))
    for subject in np.unique(subjects):
        trials = np.flatnonzero(subjects == subject)
        source[trials] = rng.permutation(trials)
    return source


def from_others(X, rows, source, part=slice(None)):
    """Copy of (a part of) X whose `rows` are those of other trials."""
    changed = np.array(X[part])
    changed[:, rows] = X[np.ix_(source[part], rows)]
    return changed


def predict_in_parts(fitted, changed, X):
    """Yield parts of trials, and what is predicted for them, so that little is in memory.

    Parameters
    ----------
    fitted : estimator
    changed : callable
        ``changed(part)`` returns X of these trials, changed.
    X : ndarray of shape (n_trials, n_rows, n_times)
    """
    size = len(X) if _adapts(fitted) else trials_per_chunk(X, PART_BYTES)
    for part in gen_batches(len(X), size):
        yield part, np.asarray(fitted.predict(changed(part)))


def _adapts(fitted):
    """Whether a model adapts to the trials that it predicts, so that they must stay together."""
    params = fitted.get_params() if hasattr(fitted, "get_params") else {}
    return any(
        name.split("__")[-1] == "adaptation" and value is not None for name, value in params.items()
    )


def what_it_knows(fitted, X, y_pred, parts):
    """Which parts of X a fitted model uses: those whose exchange between trials moves it.

    Returns
    -------
    known : dict of str -> bool
        One value for each of "features", "initial" and "subject"; False where X has no such part.
    """
    rolled = np.roll(np.arange(len(X)), 1)
    known = {}
    for kind in KINDS:
        rows = parts.rows(kind)
        known[kind] = bool(len(rows)) and _moves(fitted, X, rows, rolled, y_pred)
    return known


def _moves(fitted, X, rows, source, y_pred):
    """Whether the prediction of any trial changes; the first that does is enough."""
    scale = max(y_pred.max(), -y_pred.min())

    def changed(part):
        return from_others(X, rows, source, part)

    try:
        for part, moved in predict_in_parts(fitted, changed, X):
            if moved.any() if scale == 0 else _differ(moved, y_pred[part], 1e-6 * scale):
                return True
    except ValueError:  # refuses what it does not know: it looks at it
        return True
    return False


def _differ(a, b, tolerance):
    return bool(np.abs(a - b).max() > tolerance)


def in_words(known):
    """What a model is told, as text."""
    told = [WORDS[kind] for kind in KINDS if known.get(kind)]
    return ", ".join(told) if told else "nothing of the trial"


def equal_floor(model, knows, scores):
    """The floor that a model is measured by: no features, otherwise told as much.

    Parameters
    ----------
    model : str
    knows : dict of str -> dict
        Knowledge of each model, as `what_it_knows` says.
    scores : dict of str -> float
        Mean score of each model. Of several floors the strongest counts.

    Returns
    -------
    floor : str or None
        None for a floor itself, and where no model is told so much.
    """
    own = knows[model]
    if not own["features"]:
        return None
    floors = [
        name
        for name, known in knows.items()
        if not known["features"] and known["initial"] == own["initial"]
    ]
    return max(floors, key=lambda name: np.nan_to_num(scores[name], nan=-np.inf), default=None)
