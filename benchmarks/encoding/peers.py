"""What a good analyst takes from scikit-learn: general regressors on the lags of the stimulus."""

import warnings

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler

from sklearn_meg.rows import RowParams, resolve_rows

N_LAGS = 40


class LagRegressor(RowParams, RegressorMixin, BaseEstimator):
    """Predict each sample from the lags of the features and the subject, by any regressor.

    regressor (regressor of scikit-learn): Of several outputs.
    subject_row, initial_rows, n_initial, mask_row: As :func:`sklearn_meg.pack_rows` gives them;
        initial MEG is not used.
    """

    def __init__(self, regressor, subject_row=None, initial_rows=None, n_initial=0, mask_row=None):
        self.regressor = regressor
        super().__init__(
            subject_row=subject_row,
            initial_rows=initial_rows,
            n_initial=n_initial,
            mask_row=mask_row,
        )

    def fit(self, X, y):
        """Fit all subjects at once."""
        rows = resolve_rows(self, *X.shape[1:])
        self.subjects_ = np.unique(rows.subject_values(X))
        table = self._table(X)
        self.scale_x_, self.scale_y_ = StandardScaler(), StandardScaler()
        target = self.scale_y_.fit_transform(y.swapaxes(1, 2).reshape(-1, y.shape[1]))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # of 40 passes
            self.regressor_ = clone(self.regressor).fit(self.scale_x_.fit_transform(table), target)
        return self

    def predict(self, X):
        """Predict (n_trials, n_channels, n_times)."""
        flat = self.regressor_.predict(self.scale_x_.transform(self._table(X)))
        flat = self.scale_y_.inverse_transform(flat.reshape(len(flat), -1))
        return flat.reshape(len(X), X.shape[2], -1).swapaxes(1, 2)

    def _table(self, X):
        """One row a sample: lags of every feature, and which subject it is."""
        rows = resolve_rows(self, *X.shape[1:])
        past = np.pad(X[:, rows.features], ((0, 0), (0, 0), (N_LAGS - 1, 0)))
        lags = np.lib.stride_tricks.sliding_window_view(past, N_LAGS, axis=2)
        lags = lags.swapaxes(1, 2).reshape(len(X) * X.shape[2], -1)
        who = np.repeat(rows.subject_values(X), X.shape[2])[:, np.newaxis] == self.subjects_
        return np.concatenate([lags, who], axis=1, dtype=np.float32)


def peers(seed, quick, **rows):
    """Both, by the names of the tables."""
    return {
        "mlp_lags": mlp_lags(seed, quick, **rows),
        "hist_gb_lags": hist_gb_lags(seed, quick, **rows),
    }


def mlp_lags(seed, quick=False, **rows):
    """A multilayer perceptron, at most 40 passes, fewer where held-out samples want no more."""
    perceptron = MLPRegressor(
        hidden_layer_sizes=(128,),
        early_stopping=True,
        batch_size=512,
        max_iter=2 if quick else 40,
        random_state=seed,
    )
    return LagRegressor(perceptron, **rows)


def hist_gb_lags(seed, quick=False, **rows):
    """Gradient boosting of each channel."""
    boosting = HistGradientBoostingRegressor(
        max_iter=2 if quick else 100, early_stopping=True, random_state=seed
    )
    return LagRegressor(MultiOutputRegressor(boosting), **rows)
