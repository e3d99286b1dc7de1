"""What every decoder of nerve signals shares: features, sessions, normalization, decisions."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import log_softmax, softmax
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d

from .._checks.params import check_option_param, check_scalar_param, naming
from .._checks.trials import check_kind, check_trials
from .._training.threads import one_blas_thread
from ..rows import split_session
from ._calibration import temperatures
from ._discriminants import SO_FAR, WEIGHT, discriminants, learned
from ._gaussian import adapt, fit_gaussian
from ._linear import as_rows
from ._online import OnlineSession
from ._sessions import RunningNormalizer, location_and_scale, mean_normal, normalized
from .features import NerveFeatures, check_windows

if TYPE_CHECKING:
    from .._typing import ArrayLike

LEAST_LOG = -20.0  # of a window's probability: no single window decides against all others
BEFORE = 0.15  # weight of what a trial said before adaptation, beside what adaptation found
BELIEF = 0.5  # power of the temperature of trials that are learned from
N_FOLDS = 5  # of the trials of a session: the linear model decides none that it has learned from


class NerveModel:
    """Checks, features and normalization within sessions, of classifiers and regressors."""

    def _check_model(self):
        check_scalar_param(self, "sfreq", "float", 0, closed="neither", allow_none=True)
        check_scalar_param(self, "prior_trials", "float", 0, closed="neither")
        check_windows(self)
        self._check_adaptation()

    def _check_adaptation(self):
        check_option_param(self, "adaptation", (None, "batch", "online"))
        if self.adaptation is not None and self.session_row is None:
            raise ValueError(
                f"adaptation={self.adaptation!r} adapts to sessions: say in which row of X the "
                "session is. Got session_row=None."
            )

    def _extractor(self):
        """The transformer of raw signals, or None where X holds features."""
        names = "sfreq", "window", "hop", "features", "covariance"
        params = {name: getattr(self, name) for name in names}
        if hasattr(self, "_fitted_windows"):  # whatever set_params did since
            params = self._fitted_windows
        if params["sfreq"] is None:
            return None
        extractor = NerveFeatures(**params)
        if hasattr(self, "thresholds_"):
            extractor.thresholds_ = self.thresholds_
            extractor.window_samples_, extractor.hop_samples_ = extractor._sizes()
            extractor.n_features_out_ = len(self.normal_[0])
        return extractor

    def _raw_features(self, X, *, reset):
        """Features (n_trials, n_features, n_windows), sessions (n_trials,) or None."""
        if reset:
            self.__dict__.pop("_fitted_windows", None)
            self.__dict__.pop("thresholds_", None)
        extractor = self._extractor()
        if extractor is not None and not reset:
            extractor._check_not_one_trial(X, self.n_features_in_)
        X = check_trials(self, X, reset=reset)
        if reset:  # later trials may be of another length
            del self.n_times_in_
        signal, session = split_session(X, self.session_row)
        if extractor is None:
            if reset:
                self._fitted_windows = {"sfreq": None}
            return np.ascontiguousarray(signal, dtype=float), session
        extractor._check_params()
        extractor._check_length(signal)
        if reset:
            extractor._learn(signal)
            self.thresholds_ = extractor.thresholds_
            self._fitted_windows = extractor.get_params()
        return extractor._features(signal), session

    def _channels(self, n_features):
        """Channels that each feature is made from; nothing is known of features that came as X."""
        extractor = self._extractor()
        if extractor is None:
            return tuple((f,) for f in range(n_features))
        n = self.thresholds_.shape[1]
        channels = [(c,) for c in range(n) for _ in extractor._names()]
        if self.covariance:
            channels += 2 * [(i, j) for i in range(n) for j in range(i, n)]
        return tuple(channels)

    # ------------------------------------------------------------------ sessions

    def _fit_normal(self, F, session):
        """Learn mean and scale of all sessions and of each, and normalize."""
        session = np.zeros(len(F)) if session is None else session
        self.sessions_ = np.unique(session)
        parts = [F[session == s] for s in self.sessions_]
        self.session_normals_ = np.stack([location_and_scale(part) for part in parts])
        self.normal_ = location_and_scale(F)
        if self.adaptation is not None:
            self.normal_ = mean_normal(self.session_normals_)
        self.n_windows_ = F.shape[2]
        out = np.empty_like(F)
        for s, normal in zip(self.sessions_, self.session_normals_, strict=True):
            chosen = self.normal_ if self.adaptation is None else normal
            out[session == s] = normalized(F[session == s], chosen)
        return out, session

    def _running(self):
        """Normalization of a new session, those of training counting as some trials."""
        return RunningNormalizer(self.normal_, self.prior_trials * self.n_windows_)

    def _batch_normal(self, F):
        """Mean and scale of a new session from all its trials."""
        return self._running().add(F).normal

    def _by_session(self, F, session):
        """Slices of trials and what they are: (index, "fixed" with a normal, "batch", "online")."""
        self._check_adaptation()
        if self.adaptation is None:
            return [(np.arange(len(F)), "fixed", self.normal_)]
        found = []
        for s in dict.fromkeys(session.tolist()):
            index = np.flatnonzero(session == s)
            known = np.flatnonzero(self.sessions_ == s)
            if len(known):
                found.append((index, "fixed", self.session_normals_[known[0]]))
            elif self.adaptation == "batch":
                found.append((index, "batch", self._batch_normal(F[index])))
            else:
                found.append((index, "online", None))
        return found


def check_confidence(confidence):
    """Complain about what is no probability."""
    if not isinstance(confidence, numbers.Real) or not 0 <= confidence <= 1:
        raise ValueError(f"confidence must be between 0 and 1. Got {confidence!r}.")


class NerveClassifier(NerveModel):
    """Decisions of a window-wise classifier, of windows and of whole trials.

    A subclass defines ``_window_logs(F)``: log probabilities (n, n_classes, n_windows) of
    normalized features; and may say that it has a ``_session_model``.
    """

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Probabilities of the classes for each trial.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_rows, n_times) or (n_trials, n_features)
            As in ``fit``. With ``adaptation="online"`` trials of a session are in the order of
            time, and each is decided with what came before it.

        Returns
        -------
        probabilities : ndarray of shape (n_trials, n_classes)

        Raises
        ------
        ValueError
            For input unlike that of ``fit``, NaN or infinity.
        """
        return np.exp(self._decide(X)[0])

    def predict(self, X: ArrayLike) -> np.ndarray:
        """The likeliest class of each trial: the vote of its windows.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_rows, n_times) or (n_trials, n_features)

        Returns
        -------
        y : ndarray of shape (n_trials,)
        """
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def predict_proba_windows(self, X: ArrayLike) -> np.ndarray:
        """Probabilities of the classes in each window, from it and the windows before it.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_rows, n_times) or (n_trials, n_features)

        Returns
        -------
        probabilities : ndarray of shape (n_trials, n_classes, n_windows)
        """
        return np.exp(self._decide(X)[1])

    def predict_windows(self, X: ArrayLike) -> np.ndarray:
        """The likeliest class of each window, from it and the windows before it.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_rows, n_times) or (n_trials, n_features)

        Returns
        -------
        y : ndarray of shape (n_trials, n_windows)
        """
        best = self.predict_proba_windows(X).argmax(axis=1)
        return self.classes_[best]

    def is_uncertain(self, X: ArrayLike, confidence: float = 0.5) -> np.ndarray:
        """Say which trials to reject.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_rows, n_times) or (n_trials, n_features)
        confidence : float, default=0.5
            Least probability of the likeliest class.

        Returns
        -------
        uncertain : ndarray of bool of shape (n_trials,)

        Raises
        ------
        ValueError
            For a confidence that is not between 0 and 1.
        """
        check_confidence(confidence)
        return self.predict_proba(X).max(axis=1) < confidence

    def _check_classes(self, X, y):
        """Features, sessions, and the index of each trial's class."""
        if y is None:
            raise ValueError("This estimator requires y to be passed, but the target y is None.")
        F, session = self._raw_features(X, reset=True)
        with naming("y"):
            check_kind(y)
            y = column_or_1d(y, warn=True)
            assert_all_finite(y, input_name="y")
            check_classification_targets(y)
        check_consistent_length(F, y)
        self.classes_, y = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"{type(self).__name__} needs at least two classes in y. Got 1 class: "
                f"{self.classes_[0]}."
            )
        return F, session, y

    # ------------------------------------------------------------------ decisions

    def _decide(self, X):
        """Log probabilities of trials (n, n_classes) and windows (n, n_classes, n_windows)."""
        check_is_fitted(self, "classes_")
        F, session = self._raw_features(X, reset=False)
        trials = np.empty((len(F), len(self.classes_)))
        windows = np.empty((len(F), len(self.classes_), F.shape[2]))
        with one_blas_thread():
            for index, kind, normal in self._by_session(F, session):
                decide = self._decide_online if kind == "online" else self._decide_known
                trials[index], windows[index] = decide(F[index], normal, kind == "batch")
        return trials, windows

    def _cooled(self, windows):
        """Log probabilities of windows that can be believed; classes are axis 1."""
        return log_softmax(windows / self.temperatures_[1], axis=1)

    def _weighed(self, trials, start):
        """Those of trials in a new session, less certain where adaptation has changed its mind."""
        return log_softmax(trials / self.temperatures_[0] + BEFORE * start, axis=1)

    def _believed(self, trials):
        """Probabilities of the classes of trials, to learn from: neither sure nor cooled."""
        return softmax(trials / self.temperatures_[0] ** BELIEF, axis=1)

    def _decide_known(self, F, normal, is_new):
        Z = normalized(F, normal)
        logs = self._window_logs(Z)
        if not self._session_model:
            return log_softmax(logs.mean(2), axis=-1), logs
        trials, windows, start = self._with_linear(Z, logs, is_new)
        return self._weighed(trials, start) if is_new else trials, self._cooled(windows)

    def _with_linear(self, Z, logs, is_new):
        """Log probabilities by the linear model, beside `logs`, those of the network.

        Of trials and windows, and of trials before adaptation; none of them is cooled.
        """
        linear, P = self._linear_logs(Z), self._embedded(Z)
        own = logs.mean(2)
        trials = start = log_softmax(own + WEIGHT * linear.mean(2), axis=-1)
        shifts = 0.0
        if is_new:
            trials, _ = adapt(P.mean(1), start, *self._gaussian)
            linear = self._learned_logs(Z, P, self._believed(trials))
            again = log_softmax(own + linear.mean(2), axis=-1)
            trials, shifts = adapt(P.mean(1), again, *self._gaussian)
        so_far = self._so_far(running_mean(P), shifts, 0).transpose(0, 2, 1)
        return trials, log_softmax(logs + linear + SO_FAR * so_far, axis=1), start

    def _decide_online(self, F, normal, is_new):
        online = OnlineSession(self)
        trials, windows = [], []
        for trial in F:
            windows.append(online.push(trial).T)
            trials.append(online.end_trial())
        return np.array(trials), np.array(windows)

    # ------------------------------------------------------------------ the model of sessions

    def _fit_session_model(self, Z, y, session):
        """Learn how trials and sessions differ, and how far decisions can be believed."""
        self._fit_linear(Z, y, session)
        self.temperatures_ = temperatures(self, Z, y, session)

    def _fit_linear(self, Z, y, session):
        """Learn the linear model, the space of trials, and how trials and sessions differ."""
        lda = LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto")
        try:
            lda.fit(as_rows(Z), np.repeat(y, Z.shape[2]))
        except np.linalg.LinAlgError as error:
            raise ValueError("The features in X do not vary within the classes of y.") from error
        counts = np.bincount(y).astype(float) * Z.shape[2]
        self._set_discriminants(counts, lda.means_, lda.covariance_)
        self.temperatures_ = np.ones(2)
        n_dims = min(len(self.classes_) - 1, Z.shape[1])
        self.projection_ = lda.scalings_[:, :n_dims]
        self.offset_ = lda.xbar_ @ self.projection_ if hasattr(lda, "xbar_") else np.zeros(n_dims)
        P = self._embedded(Z)
        self.means_, self.within_, self.between_ = fit_gaussian(
            P.mean(1), y, session, len(self.classes_)
        )
        self._axes = tuple(np.linalg.eigh(self.within_))
        early = running_mean(P) - P.mean(1, keepdims=True)
        self.early_ = np.square(early).mean((0, 2))

    def _set_discriminants(self, counts, means, covariance):
        self.window_counts_, self.window_means_ = counts, means
        self.window_covariance_ = covariance
        self.coef_, self.intercept_ = discriminants(counts, means, covariance)

    @property
    def _discriminants(self):
        return self.window_counts_, self.window_means_, self.window_covariance_

    @property
    def _gaussian(self):
        return self.means_, self.within_, self.between_

    def _embedded(self, Z):
        """Windows in the space of trials, (n, n_windows, n_dims)."""
        return Z.transpose(0, 2, 1) @ self.projection_ - self.offset_

    def _linear_logs(self, Z, coefficients=None):
        """Log probabilities of the linear model, (n, n_classes, n_windows)."""
        coef, intercept = (self.coef_, self.intercept_) if coefficients is None else coefficients
        scores = Z.transpose(0, 2, 1) @ coef.T + intercept
        return np.maximum(log_softmax(scores, axis=-1), LEAST_LOG).transpose(0, 2, 1)

    def _learned_logs(self, Z, P, probability):
        """Those of a linear model that has learned from the other trials of the session, too."""
        logs = self._linear_logs(Z)
        if len(Z) == 1:
            return logs
        order = np.argsort(P.mean(1)[:, 0], kind="stable")  # whatever the order of trials is
        for fold in range(min(N_FOLDS, len(Z))):
            mine = order[fold::N_FOLDS]
            others = np.setdiff1d(order, mine)
            known = self._learned(Z[others], probability[others])
            logs[mine] = self._linear_logs(Z[mine], discriminants(*known))
        return logs

    def _learned(self, Z, probability):
        means, sizes = Z.mean(2), np.full(len(Z), Z.shape[2])
        away = as_rows(Z - means[:, :, np.newaxis])
        return learned(self._discriminants, probability, means, sizes, away.T @ away)

    def _so_far(self, P, shifts, first):
        """Log probabilities (..., n_classes) of running means P (..., n_windows, n_dims).

        `first` is the number of windows before the first of them: early means are less certain.
        """
        place = np.minimum(np.arange(first, first + P.shape[-2]), len(self.early_) - 1)
        values, vectors = self._axes
        variance = values + self.early_[place][:, np.newaxis]  # n_windows, n_dims
        away = (P[..., np.newaxis, :] - (self.means_ + shifts)) @ vectors
        distances = (np.square(away) / variance[:, np.newaxis]).sum(-1)
        return log_softmax(-0.5 * distances, axis=-1)


def running_mean(P):
    """Means over the windows so far, of (..., n_windows, n_dims)."""
    return np.cumsum(P, axis=-2) / np.arange(1, P.shape[-2] + 1)[:, np.newaxis]
