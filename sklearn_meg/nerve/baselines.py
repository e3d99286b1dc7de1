"""Classical decoders behind the same interface: same features, same sessions, same decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import log_softmax
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import Ridge

from .._checks.params import check_bool_param, check_scalar_param
from .._training.threads import one_blas_thread
from ._base import NerveClassifier
from ._linear import as_rows, filtered, fit_dynamic, fit_ridge
from ._movements import NerveMovements
from ._sessions import normalized
from ._settings import SETTINGS

if TYPE_CHECKING:
    from typing import Literal

    from .._typing import ArrayLike, Self

__all__ = ["KalmanRegressor", "WindowClassifier", "WindowRegressor"]


class WindowClassifier(ClassifierMixin, NerveClassifier, BaseEstimator):
    """Any classifier of scikit-learn, fitted to windows; a trial is the vote of its windows.

    Parameters
    ----------
    estimator : classifier or None, default=None
        With ``predict_proba``, or else ``decision_function``, whose values are then taken for
        log odds; None is linear discriminant analysis with shrinkage.
    sfreq : float or None, default=None
        Sampling frequency of X in Hz; None: X holds features, of :class:`NerveFeatures` or other
        ones, (n_trials, n_features, n_windows) or (n_trials, n_features) for a single window.
    window, hop : float, default=0.1, 0.02
        Length of a window, and from one to the next, seconds; where X is raw.
    features : "all", list of str or None, default="all"
    covariance : bool, default=True
        See :class:`NerveFeatures`; where X is raw.
    session_row : int or None, default=None
        Row of X that says in which session a trial is: a number, constant within the trial.
    adaptation : {None, "batch", "online"}, default=None
        How to adapt to sessions not seen in ``fit``, without labels. None disables adaptation.
        "batch": the features are normalized, and the classes found, from all trials of the
        session that `X` holds. "online": only from those before, in the order of `X`.
    prior_trials : float, default=8.0
        Weight of the training means and scales, as an equivalent number of trials.
    session_model : bool, default=False
        Whether the classes of a new session are found by the Gaussian model of
        :class:`NerveDecoder`. Without it, `adaptation` only normalizes.
    n_self_training : int, default=0
        How often the classifier is fitted again with the classes that it gave to the trials of a
        new session, for ``adaptation="batch"``.

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

    channel_dropout = 0.0

    def __init__(
        self,
        estimator: BaseEstimator | None = None,
        *,
        sfreq: float | None = None,
        window: float = 0.1,
        hop: float = 0.02,
        features: Literal["all"] | list[str] | None = "all",
        covariance: bool = True,
        session_row: int | None = None,
        adaptation: Literal["batch", "online"] | None = None,
        prior_trials: float = 8.0,
        session_model: bool = False,
        n_self_training: int = 0,
    ) -> None:
        self.estimator = estimator
        self.sfreq = sfreq
        self.window = window
        self.hop = hop
        self.features = features
        self.covariance = covariance
        self.session_row = session_row
        self.adaptation = adaptation
        self.prior_trials = prior_trials
        self.session_model = session_model
        self.n_self_training = n_self_training

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit the classifier to the windows of labeled trials.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_rows, n_times) or (n_trials, n_features)
        y : array-like of shape (n_trials,)
            Classes.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError, TypeError
            For input as of :meth:`NerveDecoder.fit`, always before fitting.
        """
        self._check_model()
        check_bool_param(self, "session_model")
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
        F, session, y = self._check_classes(X, y)
        Z, session = self._fit_normal(F, session, y if self.session_model else None)
        with one_blas_thread():
            self.estimator_ = self._fitted(Z, y)
            if self.session_model:
                self._fit_session_model(Z, y, session)
        if self.n_self_training:
            self._training = Z, y
        return self

    @property
    def _session_model(self):
        return self.session_model

    def _fitted(self, Z, y):
        estimator = self.estimator
        if estimator is None:
            estimator = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
        return clone(estimator).fit(as_rows(Z), np.repeat(y, Z.shape[2]))

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
        Z, (old, y) = normalized(F, normal), self._training
        for _ in range(self.n_self_training):
            own = trials.argmax(1)
            with one_blas_thread():
                again = self._fitted(np.concatenate([old, Z]), np.concatenate([y, own]))
            windows = self._window_logs(Z, again)
            trials = log_softmax(windows.mean(2), axis=-1)
        return trials, windows

    def _step(self, Z, state):
        return self._window_logs(Z), None


class WindowRegressor(NerveMovements, BaseEstimator):
    """Any regressor of scikit-learn, fitted to windows, for several degrees of freedom.

    Parameters
    ----------
    estimator : regressor or None, default=None
        Regressor with several outputs; None is ridge regression, its strength chosen by leaving out
        trials.
    sfreq : float or None, default=None
        Sampling frequency of X in Hz; None: X holds features, of :class:`NerveFeatures` or other
        ones, (n_trials, n_features, n_windows) or (n_trials, n_features) for a single window.
    window, hop : float, default=0.1, 0.02
        Length of a window, and from one to the next, seconds; where X is raw.
    features : "all", list of str or None, default="all"
    covariance : bool, default=True
        See :class:`NerveFeatures`; where X is raw.
    session_row : int or None, default=None
        Row of X that says in which session a trial is: a number, constant within the trial.
    adaptation : {None, "batch", "online"}, default=None
        How to adapt to sessions not seen in ``fit``, without labels. None disables adaptation.
        "batch": the features are normalized, and the classes found, from all trials of the
        session that `X` holds. "online": only from those before, in the order of `X`.
    prior_trials : float, default=8.0
        Weight of the training means and scales, as an equivalent number of trials.

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

    channel_dropout = 0.0

    def __init__(
        self,
        estimator: BaseEstimator | None = None,
        *,
        sfreq: float | None = None,
        window: float = 0.1,
        hop: float = 0.02,
        features: Literal["all"] | list[str] | None = "all",
        covariance: bool = True,
        session_row: int | None = None,
        adaptation: Literal["batch", "online"] | None = None,
        prior_trials: float = 8.0,
    ) -> None:
        self.estimator = estimator
        self.sfreq = sfreq
        self.window = window
        self.hop = hop
        self.features = features
        self.covariance = covariance
        self.session_row = session_row
        self.adaptation = adaptation
        self.prior_trials = prior_trials

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit the regressor to the windows of trials whose movements are known.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_rows, n_times) or (n_trials, n_features)
        y : array-like of shape (n_trials, n_dof, n_windows), flat or 1-D

        Returns
        -------
        self : object

        Raises
        ------
        ValueError, TypeError
            For input as of :meth:`NerveRegressor.fit`, always before fitting.
        """
        self._check_model()
        if not (self.estimator is None or _is_estimator(self.estimator, "predict")):
            raise TypeError(
                f"estimator must be a regressor of scikit-learn, or None. Got {self.estimator!r}."
            )
        Z, target, _ = self._check_movements(X, y)
        with one_blas_thread():
            self._fit_windows(Z, target)
        return self

    def _fit_windows(self, Z, target):
        estimator = (
            Ridge(fit_ridge(Z, target)[3]) if self.estimator is None else clone(self.estimator)
        )
        wanted = as_rows(target)
        one = wanted.shape[1] == 1
        self.estimator_ = estimator.fit(as_rows(Z), wanted[:, 0] if one else wanted)

    def _step(self, Z, state):
        with one_blas_thread():
            out = self.estimator_.predict(as_rows(Z))
        return out.reshape(len(Z), Z.shape[2], -1).transpose(0, 2, 1), None

    def _movements(self, Z):
        return self._unscaled(self._step(Z, None)[0])


class KalmanRegressor(NerveMovements, BaseEstimator):
    """A Kalman filter: movements follow a linear dynamic, and a ridge regression observes them.

    The filter sees the ridge regression's outputs, which hold what the features say linearly.

    Parameters
    ----------
    sfreq : float or None, default=None
        Sampling frequency of X in Hz; None: X holds features, of :class:`NerveFeatures` or other
        ones, (n_trials, n_features, n_windows) or (n_trials, n_features) for a single window.
    window, hop : float, default=0.1, 0.02
        Length of a window, and from one to the next, seconds; where X is raw.
    features : "all", list of str or None, default="all"
    covariance : bool, default=True
        See :class:`NerveFeatures`; where X is raw.
    session_row : int or None, default=None
        Row of X that says in which session a trial is: a number, constant within the trial.
    adaptation : {None, "batch", "online"}, default=None
        How to adapt to sessions not seen in ``fit``, without labels. None disables adaptation.
        "batch": the features are normalized, and the classes found, from all trials of the
        session that `X` holds. "online": only from those before, in the order of `X`.
    prior_trials : float, default=8.0
        Weight of the training means and scales, as an equivalent number of trials.

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

    channel_dropout = 0.0

    def __init__(
        self,
        *,
        sfreq: float | None = None,
        window: float = 0.1,
        hop: float = 0.02,
        features: Literal["all"] | list[str] | None = "all",
        covariance: bool = True,
        session_row: int | None = None,
        adaptation: Literal["batch", "online"] | None = None,
        prior_trials: float = 8.0,
    ) -> None:
        self.sfreq = sfreq
        self.window = window
        self.hop = hop
        self.features = features
        self.covariance = covariance
        self.session_row = session_row
        self.adaptation = adaptation
        self.prior_trials = prior_trials

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit the regression and the dynamic to trials whose movements are known.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_rows, n_times) or (n_trials, n_features)
        y : array-like of shape (n_trials, n_dof, n_windows), flat or 1-D

        Returns
        -------
        self : object

        Raises
        ------
        ValueError, TypeError
            For input as of :meth:`NerveRegressor.fit`, always before fitting.
        """
        self._check_model()
        Z, target, _ = self._check_movements(X, y)
        with one_blas_thread():
            self.coef_, self.intercept_, _, _ = fit_ridge(Z, target)
            dynamic = fit_dynamic(target, self._linear(Z))
        self.transition_, self.process_, self.observation_, self.noise_ = dynamic
        return self

    @property
    def _dynamic(self):
        return self.transition_, self.process_, self.observation_, self.noise_

    def _step(self, Z, state):
        """Filtered movements of the next windows, and (mean, covariance) after them."""
        return filtered(self._linear(Z), self._dynamic, state)

    def _movements(self, Z):
        with one_blas_thread():
            return self._unscaled(self._step(Z, None)[0])


def _is_estimator(thing, method):
    return not isinstance(thing, type) and hasattr(thing, "get_params") and hasattr(thing, method)
