"""What every decoder of movements shares."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_is_fitted

from .._checks.params import check_scalar_param, naming
from .._checks.trials import check_targets, check_weights, flatten_targets, kept_trials
from ._base import NerveModel
from ._linear import as_rows, lagged, linear
from ._online import OnlineSession
from ._sessions import normalized, weighted_moments
from ._settings import SETTINGS
from ._usual_movements import UnusualMovements

if TYPE_CHECKING:
    from .._typing import ArrayLike


class NerveMovements(RegressorMixin, UnusualMovements, NerveModel):
    """Predictions of movements, window by window; a subclass defines ``_movements(Z)``."""

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Predict the movements in each window.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_rows, n_times) or (n_trials, n_features)

        Returns
        -------
        y : ndarray of shape (n_trials, n_dof, n_windows)
            Or flat or 1-D, as it was in ``fit``.

        Raises
        ------
        ValueError
            For input unlike that of ``fit``, NaN or infinity.
        """
        return flatten_targets(self._predicted(X), self._y_ndim)

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Coefficient of determination over all trials and windows, mean of the degrees of freedom.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_rows, n_times) or (n_trials, n_features)
        y : array-like of shape (n_trials, n_dof, n_windows), flat or 1-D
        sample_weight : array-like of shape (n_trials,), default=None
            Weight of each trial.

        Returns
        -------
        r2 : float
        """
        predicted = self._predicted(X)
        _check_windows(y, predicted.shape[2])
        true = check_targets(y, predicted)[0]
        if true.shape[1] != self.n_outputs_:
            raise ValueError(
                f"y must have the {self.n_outputs_} degrees of freedom of fit. Got {true.shape[1]}."
            )
        weights = check_weights(sample_weight, len(true))
        if weights is not None:
            weights = np.repeat(weights, true.shape[2])
        return r2_score(as_rows(true), as_rows(predicted), sample_weight=weights)

    def _predicted(self, X):
        check_is_fitted(self, "normal_")
        F, session = self._raw_features(X, reset=False)
        out = np.empty((len(F), self.n_outputs_, F.shape[2]))
        for index, kind, normal in self._by_session(F, session):
            if kind == "online":
                online = OnlineSession(self)
                for i in index:
                    out[i] = online.push(F[i]).T
                    online.start_trial()
            else:
                Z = normalized(F[index], normal)
                out[index] = self._movements(Z)
                if kind == "fixed":
                    self._doubt_trials(Z)
        return out

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _check_movements(self, X, y, sample_weight=None):
        """Normalized features, standardized movements and weights of the trials that count."""
        F, session = self._raw_features(X, reset=True)
        _check_windows(y, F.shape[2])
        y, self._y_ndim = check_targets(y, F)
        weights, F, y, session = kept_trials(sample_weight, len(F), F, y, session)
        self.n_outputs_ = y.shape[1]
        self.y_mean_, sd = weighted_moments(y, weights)
        self.y_scale_ = np.where(sd > 1e-9 * (1 + np.abs(self.y_mean_)), sd, 1.0)
        Z, _ = self._fit_normal(F, session, weights=weights)
        self._learn_usual(Z)
        self._set_history(Z.shape[1])
        target = (y - self.y_mean_[:, np.newaxis]) / self.y_scale_[:, np.newaxis]
        return Z, target, weights

    def _set_history(self, n_features):
        """How many earlier windows are looked at."""
        if self.history != "auto":
            check_scalar_param(self, "history", "int", 0)
        most = max(0, SETTINGS.most_features // n_features - 1)
        self.history_length_ = (
            min(SETTINGS.history, most) if self.history == "auto" else self.history
        )

    def _lagged(self, Z, past=None):
        return lagged(Z, self.history_length_, past)

    def _linear(self, Z):
        """Standardized movements of the ridge regression, of windows and those before them."""
        return linear(Z, self.coef_, self.intercept_)

    def _unscaled(self, out):
        return out * self.y_scale_[:, np.newaxis] + self.y_mean_[:, np.newaxis]


def _check_windows(y, n_windows):
    """Say what y must be where it has another number of windows than X."""
    with naming("y"):
        shape = np.shape(y) if isinstance(y, list | tuple) else getattr(y, "shape", ())
    wrong = {1: n_windows > 1, 2: shape[1:] and shape[1] % n_windows, 3: shape[2:] != (n_windows,)}
    if wrong.get(len(shape)):
        raise ValueError(
            f"y must have as many windows a trial as X, {n_windows}: shape (n_trials, n_dof, "
            f"{n_windows}), or flat, (n_trials, n_dof * {n_windows}). Got {shape}. "
            "(NerveFeatures.at_windows takes the samples at which windows end.)"
        )
