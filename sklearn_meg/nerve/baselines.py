"""Classical decoders behind the same interface: same features, same sessions, same decisions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import log_softmax
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import Ridge
from sklearn.utils.validation import _num_samples, has_fit_parameter

from .._checks.params import check_bool_param, check_scalar_param
from .._checks.trials import kept_trials
from .._params import documented
from .._training.threads import one_blas_thread
from ._linear import as_rows, filtered, fit_dynamic, fit_ridge, predicted_forward
from ._movements import NerveMovements
from ._params import HistoryParams, SessionParams, WindowParams
from ._reduced import LosingClassifier
from ._sessions import normalized
from ._settings import SETTINGS
from ._weighted import fit_discriminants

if TYPE_CHECKING:
    from .._typing import ArrayLike, Self

__all__ = ["KalmanRegressor", "WindowClassifier", "WindowRegressor"]


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class WindowClassifier(
    WindowParams, SessionParams, ClassifierMixin, LosingClassifier, BaseEstimator
):
    """Any classifier of scikit-learn, fitted to windows; a trial is the vote of its windows.

    Parameters
    ----------
    estimator : classifier or None, default=None
        With ``predict_proba``, or else ``decision_function``, whose values are then taken for
        log odds; None is linear discriminant analysis with shrinkage.
    session_model : bool, default=False
        Whether the classes of a new session are found by the Gaussian model of
        :class:`NerveDecoder`. Without it, `adaptation` only normalizes.
    n_self_training : int, default=0
        How often the classifier is fitted again with the classes that it gave to the trials of a
        new session, for ``adaptation="batch"``.
    ring : bool, default=False
        Whether the electrodes are a ring around the arm, which may have been turned in a new
        session: the turn is searched and undone. For raw X and a model of sessions.
    %(WindowParams)s
    %(SessionParams)s

    Attributes
    ----------
    estimator_ : classifier
    classes_ : ndarray of shape (n_classes,)
    thresholds_ : ndarray of shape (2, n_channels)
        See :class:`NerveFeatures`; where X is raw.
    sessions_ : ndarray
        Sessions of ``fit``.
    normal_, session_normals_ : ndarray of shape (2, n_features) and (n_sessions, 2, n_features)
        Mean and standard deviation of the features.
    n_features_in_ : int
        Rows of X.

    See Also
    --------
    NerveDecoder : The recurrent network.

    Examples
    --------
    >>> from sklearn_meg.datasets import make_nerve
    >>> from sklearn_meg.nerve import WindowClassifier
    >>> nerve = make_nerve(n_train=4, n_test=1, duration=0.5)
    >>> first, last = nerve.session == 0, nerve.session == 2
    >>> model = WindowClassifier(sfreq=nerve.sfreq, session_row=-1, adaptation="batch")
    >>> model.fit(nerve.X[first], nerve.y[first]).predict(nerve.X[last]).shape
    (10,)
    """

    estimator: BaseEstimator | None = None
    session_model: bool = False
    n_self_training: int = 0
    ring: bool = False

    channel_dropout = 0.0

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        groups: ArrayLike | None = None,
        *,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Fit the classifier to the windows of labeled trials.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_rows, n_times) or (n_trials, n_features)
        y : array-like of shape (n_trials,)
            Classes.
        groups : array-like of shape (n_trials,), default=None
            As in :meth:`NerveDecoder.fit`, with a model of sessions.
        sample_weight : array-like of shape (n_trials,), default=None
            Weight of each trial: one of weight 2 counts as two, one of weight 0 is left out.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError, TypeError
            For input as of :meth:`NerveDecoder.fit`, always before fitting.
        """
        self._check_params()
        if sample_weight is not None:
            _check_takes_weights(self.estimator)
        F, session, y, weights = self._check_classes(X, y, sample_weight)
        groups = kept_trials(sample_weight, _num_samples(X), groups)[1]
        return self._fit_features(F, y, session, weights, groups=groups)

    def _check_params(self):
        self._check_model()
        check_bool_param(self, "session_model")
        check_bool_param(self, "ring")
        check_scalar_param(self, "n_self_training", "int", 0)
        if self.n_self_training and self.adaptation != "batch":
            raise ValueError(
                f"n_self_training={self.n_self_training} needs adaptation='batch'. "
                f"Got {self.adaptation!r}."
            )
        scores = "predict_proba", "decision_function"
        if not (self.estimator is None or any(_is_estimator(self.estimator, s) for s in scores)):
            raise TypeError(
                f"estimator must be a classifier with predict_proba or decision_function, or None. "
                f"Got {self.estimator!r}."
            )

    @one_blas_thread()
    def _fit_features(self, F, y, session, weights=None, people=None, groups=None, found=None):
        self._keep_training(F, y, session, weights, people)
        classes = y if self.session_model else None
        Z, session = self._fit_normal(F, session, classes, weights, people)
        self.estimator_ = self._fitted(Z, y, weights)
        if self.session_model:
            self._fit_session_model(Z, y, session, weights, people, groups, found)
        if self.n_self_training:
            self._training = Z, y, weights
        return self

    @property
    def _session_model(self):
        return self.session_model

    def _fitted(self, Z, y, weights=None):
        rows, labels = as_rows(Z), np.repeat(y, Z.shape[2])
        weights = None if weights is None else np.repeat(weights, Z.shape[2])
        if self.estimator is None and weights is not None:
            return fit_discriminants(rows, labels, weights)
        estimator = self.estimator
        if estimator is None:
            estimator = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
        return clone(estimator).fit(rows, labels, **_as_keyword(weights))

    def _window_logs(self, Z, estimator=None):
        with one_blas_thread(), np.errstate(divide="ignore"):
            estimator = self.estimator_ if estimator is None else estimator
            if hasattr(estimator, "predict_proba"):
                logs = np.log(estimator.predict_proba(as_rows(Z)))
            else:
                odds = estimator.decision_function(as_rows(Z))
                logs = odds if odds.ndim == 2 else np.stack([0 * odds, odds], axis=1)
        logs = np.maximum(logs, SETTINGS.least_log).reshape(len(Z), Z.shape[2], -1)
        return log_softmax(logs, axis=-1).transpose(0, 2, 1)

    def _decide_session(self, F, kind, normal, name):
        trials, windows = super()._decide_session(F, kind, normal, name)
        if not (kind == "batch" and self.n_self_training):
            return trials, windows
        Z, (old, y, weights) = normalized(F, normal), self._training
        if weights is not None:
            weights = np.append(weights, np.ones(len(Z)))
        for _ in range(self.n_self_training):
            own = trials.argmax(1)
            with one_blas_thread():
                again = self._fitted(np.concatenate([old, Z]), np.append(y, own), weights)
            windows = self._window_logs(Z, again)
            trials = log_softmax(windows.mean(2), axis=-1)
        return trials, windows

    def _step(self, Z, state):
        return self._window_logs(Z), None


class _MovementBaseline(WindowParams, SessionParams, HistoryParams, NerveMovements, BaseEstimator):
    """Base: a subclass defines ``_fit_windows(Z, target, weights)``, of standardized windows."""

    channel_dropout = 0.0

    @one_blas_thread()
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        groups: ArrayLike | None = None,
        *,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Fit the regression to the windows of trials whose movements are known.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_rows, n_times) or (n_trials, n_features)
        y : array-like of shape (n_trials, n_dof, n_windows), flat or 1-D
        groups : ignored
        sample_weight : array-like of shape (n_trials,), default=None
            Weight of each trial: one of weight 2 counts as two, one of weight 0 is left out.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError, TypeError
            For input as of :meth:`NerveRegressor.fit`, always before fitting.
        """
        self._check_model()
        self._check_params()
        if sample_weight is not None:
            self._check_weights()
        Z, target, weights = self._check_movements(X, y, sample_weight)
        self._fit_windows(self._lagged(Z)[0], target, weights)
        return self

    def _check_params(self):
        """Nothing more to check."""

    def _check_weights(self):
        """Weights are welcome."""


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class WindowRegressor(_MovementBaseline):
    """Any regressor of scikit-learn, fitted to windows, for several degrees of freedom.

    Parameters
    ----------
    estimator : regressor or None, default=None
        Regressor with several outputs; None is ridge regression, its strength chosen by leaving out
        trials.
    %(WindowParams)s
    %(SessionParams)s
    %(HistoryParams)s

    Attributes
    ----------
    estimator_ : regressor
    thresholds_ : ndarray of shape (2, n_channels)
        See :class:`NerveFeatures`; where X is raw.
    sessions_ : ndarray
        Sessions of ``fit``.
    normal_, session_normals_ : ndarray of shape (2, n_features) and (n_sessions, 2, n_features)
        Mean and standard deviation of the features.
    n_outputs_ : int
    history_length_ : int
        Number of earlier windows that are looked at.
    n_features_in_ : int
        Rows of X.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.nerve import WindowRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(20, 3, 10))  # features of 10 windows
    >>> y = X[:, :2] + X[:, 1:]
    >>> WindowRegressor().fit(X, y).predict(X).shape
    (20, 2, 10)
    """

    estimator: BaseEstimator | None = None

    def _check_params(self):
        if not (self.estimator is None or _is_estimator(self.estimator, "predict")):
            raise TypeError(
                f"estimator must be a regressor of scikit-learn, or None. Got {self.estimator!r}."
            )

    def _check_weights(self):
        _check_takes_weights(self.estimator)

    def _fit_windows(self, Z, target, weights):
        if self.estimator is None:
            estimator = Ridge(fit_ridge(Z, target, weights)[3])
        else:
            estimator = clone(self.estimator)
        of_windows = _as_keyword(None if weights is None else np.repeat(weights, Z.shape[2]))
        wanted = as_rows(target)
        one = wanted.shape[1] == 1
        wanted = wanted[:, 0] if one else wanted
        self.estimator_ = estimator.fit(as_rows(Z), wanted, **of_windows)

    @one_blas_thread()
    def _step(self, Z, state):
        Z, state = self._lagged(Z, state)
        out = self.estimator_.predict(as_rows(Z))
        return out.reshape(len(Z), Z.shape[2], -1).transpose(0, 2, 1), state

    def _movements(self, Z):
        return self._unscaled(self._step(Z, None)[0])


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class KalmanRegressor(_MovementBaseline):
    """A Kalman filter: movements follow a linear dynamic, and a ridge regression observes them.

    The filter sees the ridge regression's outputs, which hold what the features say linearly.

    Parameters
    ----------
    %(WindowParams)s
    %(SessionParams)s
    %(HistoryParams)s

    Attributes
    ----------
    coef_, intercept_ : ndarray
        Weights and intercept of the ridge regression.
    transition_, process_, observation_, noise_ : ndarray of shape (n_outputs, n_outputs)
        The dynamic, its covariance, how the ridge regression's outputs depend on the movements,
        and their covariance.
    thresholds_ : ndarray of shape (2, n_channels)
        See :class:`NerveFeatures`; where X is raw.
    sessions_ : ndarray
        Sessions of ``fit``.
    normal_, session_normals_ : ndarray of shape (2, n_features) and (n_sessions, 2, n_features)
        Mean and standard deviation of the features.
    n_outputs_ : int
    history_length_ : int
        Number of earlier windows that are looked at.
    n_features_in_ : int
        Rows of X.

    References
    ----------
    Wu et al. (2006), Bayesian population decoding of motor cortical activity using a Kalman
    filter, Neural Computation 18.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.nerve import KalmanRegressor
    >>> rng = np.random.default_rng(0)
    >>> y = np.cumsum(rng.normal(size=(20, 2, 30)), axis=2)
    >>> X = np.concatenate([y, y], axis=1) + rng.normal(size=(20, 4, 30))
    >>> KalmanRegressor().fit(X, y).predict(X).shape
    (20, 2, 30)
    """

    def _fit_windows(self, Z, target, weights):
        self.coef_, self.intercept_, unseen, _ = fit_ridge(Z, target, weights)
        dynamic = fit_dynamic(target, unseen, weights)
        self.transition_, self.process_, self.observation_, self.noise_ = dynamic

    @property
    def _dynamic(self):
        return self.transition_, self.process_, self.observation_, self.noise_

    def _step(self, Z, state):
        """Filtered movements of the next windows, and (mean, covariance) after them."""
        past, filter_state = (None, None) if state is None else (state[0], state[1:])
        Z, past = self._lagged(Z, past)
        out, filter_state = filtered(self._linear(Z), self._dynamic, filter_state)
        return out, [past, *filter_state]

    def _predict_forward(self, state):
        """Movements of a window without data, by the dynamic alone, and the state after it."""
        if state is None:
            return None, None
        out, filter_state = predicted_forward(1, self._dynamic, state[1:])
        return self._unscaled(out[:, :, np.newaxis])[0, :, 0], [state[0], *filter_state]

    @one_blas_thread()
    def _movements(self, Z):
        return self._unscaled(self._step(Z, None)[0])


def _check_takes_weights(estimator):
    if estimator is not None and not has_fit_parameter(estimator, "sample_weight"):
        raise ValueError(
            f"With sample_weight the estimator must take it in fit. Got {estimator!r}, which does "
            "not."
        )


def _as_keyword(weights):
    return {} if weights is None else {"sample_weight": weights}


def _is_estimator(thing, method):
    return not isinstance(thing, type) and hasattr(thing, "get_params") and hasattr(thing, method)
