"""Decisions of a window-wise classifier, of windows and of whole trials, in sessions."""

from __future__ import annotations

import numbers
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import log_softmax
from sklearn.utils import assert_all_finite
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d

from .._checks.assumptions import warn_assumption
from .._checks.params import naming
from .._checks.trials import check_kind, kept_trials
from .._checks.unusual import UnusualMixin
from .._training.threads import one_blas_thread
from ..rows import split_session
from ._base import NerveModel
from ._calibration import with_temperatures
from ._doubts import doubt_features, doubt_labels, doubt_session
from ._electrodes import find_turn, turned
from ._labeled import LABELED, LabeledSessions
from ._lost import patterns
from ._novelty import distances, expected_accuracy, novelty
from ._online import OnlineSession
from ._people import PRETRAINED, PersonalClassifier
from ._session_model import SessionModel
from ._sessions import normalized
from ._settings import SETTINGS

if TYPE_CHECKING:
    from .._typing import ArrayLike


def check_confidence(confidence):
    """Complain about what is no probability."""
    if not isinstance(confidence, numbers.Real) or not 0 <= confidence <= 1:
        raise ValueError(f"confidence must be between 0 and 1. Got {confidence!r}.")


def _has_session_model(model):
    """Whether a classifier knows how far trials are from its classes."""
    return model._session_model


class NerveClassifier(UnusualMixin, LabeledSessions, PersonalClassifier, NerveModel):
    """Decisions of a window-wise classifier, of windows and of whole trials.

    A subclass defines ``_window_logs(F)``: log probabilities (n, n_classes, n_windows) of
    normalized features; and may say that it has a ``_session_model``.
    """

    _doubts = True  # whether it warns of labels and sessions
    _takes_ragged = True

    def _doubt_features(self, signal):
        doubt_features(signal)

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

    def novelty(self, X: ArrayLike) -> np.ndarray:
        """Score how unlike all motions of training each trial is, to reject unseen motions.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_rows, n_times) or (n_trials, n_features)
            Trials of complete sessions; they are normalized together.

        Returns
        -------
        score : ndarray of shape (n_trials,)
            A mean over each trial and up to three of its session that are most like it. Larger is
            less like training. A threshold is a quantile of the scores of as many trials that are
            known to be of the trained motions.

        Raises
        ------
        ValueError
            Without a model of sessions.
        """
        check_is_fitted(self, "classes_")
        probability = self.predict_proba(X).max(axis=1)

        def score(index, Z):
            return novelty(self._sessions_model, Z, probability[index])

        return self._scored(X, score, "novelty")

    is_unusual = available_if(_has_session_model)(UnusualMixin.is_unusual)

    def _unusual_scores(self, X):
        return self._scored(X, lambda _, Z: distances(self._sessions_model, Z), "is_unusual")

    @one_blas_thread()
    def _scored(self, X, score, name):
        """A score of each trial, from features normalized within its session."""
        if not self._session_model:
            raise ValueError(f"{name} needs a model of sessions. Got session_model=False.")
        F, session = self._turned_features(X)
        scores = np.empty(len(F))
        for index, _, normal in self._by_session(F, session):
            normal = self._batch_normal(F[index]) if normal is None else normal
            scores[index] = score(index, normalized(F[index], normal))
        return scores

    @one_blas_thread()
    def expected_accuracy(self, X: ArrayLike) -> np.ndarray:
        """Estimate, without labels, how often the decisions in a new session are right.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_rows, n_times) or (n_trials, n_features)
            Trials of complete sessions, for ``adaptation="batch"``.

        Returns
        -------
        accuracy : ndarray of shape (n_trials,)
            The same for all trials of a session; off by .14 in the mean, but low where a session
            fails. NaN for sessions of ``fit``, and where ``fit`` had too few trials to compare.

        Raises
        ------
        ValueError
            Without a model of sessions or without ``adaptation="batch"``.
        """
        check_is_fitted(self, "classes_")
        if not self._session_model or self.adaptation != "batch":
            raise ValueError(
                "expected_accuracy needs a model of sessions and adaptation='batch'. Got "
                f"adaptation={self.adaptation!r}."
            )
        F, session = self._turned_features(X)
        out = np.full(len(F), np.nan)
        for s in np.setdiff1d(session, self.sessions_):
            mine = session == s
            found = self._adapted(F[mine], s)
            out[mine] = expected_accuracy(self._sessions_model, found)
        return out

    def _check_classes(self, X, y, sample_weight=None):
        """Features, sessions, the index of each trial's class, and weights, of those that count."""
        if y is None:
            raise ValueError("This estimator requires y to be passed, but the target y is None.")
        F, session = self._raw_features(X, reset=True)
        with naming("y"):
            check_kind(y)
            y = column_or_1d(y, warn=True)
            missing = [i for i, label in enumerate(y) if label is None or label != label]
            if missing and y.dtype.kind == "O":
                raise ValueError(
                    f"y has no label in {len(missing)} trials (first: {missing[0]}): leave "
                    "them out."
                )
            assert_all_finite(y, input_name="y")
            check_classification_targets(y)
        check_consistent_length(F, y)
        weights, F, y, session = kept_trials(sample_weight, len(F), F, y, session)
        self.classes_, y = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"{type(self).__name__} needs at least two classes in y. Got 1 class: "
                f"{self.classes_[0]}."
            )
        for name in PRETRAINED:
            self.__dict__.pop(name, None)
        return F, session, y, weights

    def _keep_training(self, F, y, session, weights=None, people=None):
        """Keep what is needed where a session has lost channels."""

    # ------------------------------------------------------------------ decisions

    def _lost(self, F, session):
        """Which channels each trial has lost, (n_trials, n_channels) of bool."""
        return np.zeros((len(F), 1), dtype=bool)

    @one_blas_thread()
    def _decide(self, X):
        """Log probabilities of trials (n, n_classes) and windows (n, n_classes, n_windows)."""
        check_is_fitted(self, "classes_")
        F, session = self._turned_features(X)
        trials = np.empty((len(F), len(self.classes_)))
        windows = np.empty((len(F), len(self.classes_), F.shape[2]))
        lost = self._lost(F, session)
        for index, kind, normal in self._by_session(F, session):
            one = session is not None and not np.ptp(session[index])
            name = session[index[0]] if one else None
            for gone, same, near in patterns(lost[index]):
                if gone.any():
                    found = self._decide_without(F[index[near]], gone, name)
                else:
                    found = self._decide_session(F[index[near]], kind, normal, name)
                trials[index[same]], windows[index[same]] = (each[same[near]] for each in found)
        return trials, windows

    @one_blas_thread()
    def _turned_features(self, X):
        """Features of signals whose ring of electrodes is turned back where it was turned."""
        F, session = self._raw_features(X, reset=False)
        if not self._has_ring():
            return F, session
        signal = split_session(np.asarray(X, dtype=float), self.session_row)[0]
        for s in np.setdiff1d(session, self.sessions_):
            mine = np.flatnonzero(session == s)
            turn = self._turn(signal[mine], s)
            if turn:
                F[mine] = self._extractor()._features(turned(signal[mine], turn))
        return F, session

    def _has_ring(self):
        return self.ring and self._session_model and self.adaptation is not None

    def _turn(self, signal, name, labels=None):
        """The turn of a new session: of its labeled trials, or (in a batch) of all of them."""
        if labels is None and (self._labeled(name)[0] is not None or self.adaptation == "online"):
            return self._known_turn(name)
        model = self._sessions_model

        def evidence(F):
            return model.evidence(F, self._batch_normal(F), labels)

        turn = find_turn(signal, self._extractor()._features, evidence)
        if turn:
            said = f"Session {name:g}: the ring of electrodes seems turned by {-turn:g}."
            warn_assumption("turned-ring", said)
        return turn

    def _known_turn(self, name):
        """The turn that labeled trials of a session have told."""
        if not (self._has_ring() and hasattr(self, "labeled_turns_")):
            return 0.0
        mine = np.flatnonzero(self.labeled_sessions_ == name)
        return float(self.labeled_turns_[mine[0]]) if len(mine) else 0.0

    def _decide_session(self, F, kind, normal, name):
        if kind == "online":
            return self._decide_online(F, name)
        if kind == "batch" and self._session_model:
            found = self._adapted(F, name)
            model = self._sessions_model
            self._warn_of_failure(model, found, name)
            trials = self._aided(F, name, model.weighed(found.trials, found.start))
            return trials, model.cooled(found.windows)
        return self._decide_known(F, normal, name)

    def _warn_of_failure(self, model, found, name):
        if len(found.trials) < SETTINGS.enough_trials:
            return
        expected = expected_accuracy(model, found)
        if expected < SETTINGS.fails:
            said = f"Session {name:g}: decisions are probably wrong ({expected:.2f} may be right)."
            warn_assumption("doubtful-session", said)
        elif expected < SETTINGS.may_fail:
            self._doubt(found.Z, name, SETTINGS.most_adapted)

    def _doubt(self, Z, name, most, agreement=None):
        if self._doubts:
            far = distances(self._sessions_model, Z)
            doubt_session(far, self.usual_scores_, name, most, agreement)

    def _decide_known(self, F, normal, name):
        Z = normalized(F, normal)
        logs = self._window_logs(Z)
        if not self._session_model:
            return log_softmax(logs.mean(2), axis=-1), logs
        found = self._sessions_model.decide(Z, logs)
        if len(F) < 2 * len(self.classes_):  # adaptation to so few tells nothing
            self._doubt(Z, name, SETTINGS.unusual_of_few)
        else:
            agreement = partial(self._agreement, F, normal, found[0])
            self._doubt(Z, name, SETTINGS.most_unusual, agreement)
        return found

    def _agreement(self, F, normal, trials):
        """Share of trials that adaptation to them would decide as they are decided without."""
        normals = normal, self._batch_normal(F)
        model = self._sessions_model
        other = model.adapt(F, self._window_logs, normals, prior=self.prior_trials).trials
        return (other.argmax(1) == trials.argmax(1)).mean()

    def _decide_online(self, F, name):
        online = OnlineSession(self, session=name)
        trials, windows = [], []
        for trial in F:
            windows.append(online.push(trial).T)
            trials.append(online.end_trial())
        return np.array(trials), np.array(windows)

    # ------------------------------------------------------------------ the model of sessions

    def _fit_session_model(self, Z, y, session, weights=None, people=None, groups=None, found=None):
        """Learn how trials and sessions differ, and how far decisions can be trusted."""
        apart = session if groups is None else groups
        groups = apart if self.adaptation is None and people is None else None
        known = weights, people, groups, found
        model, left_out = with_temperatures(Z, y, session, len(self.classes_), *known)
        self._keep(model)
        self.usual_scores_ = np.zeros(0) if left_out is None else left_out.far
        strangers = people is not None and people.all()
        if left_out is not None and self._doubts and Z.shape[2] > 1 and not strangers:
            doubt_labels(left_out.trials, y[left_out.index], session[left_out.index])
        for name in LABELED:
            self.__dict__.pop(name, None)

    def _keep(self, model):
        """The session model as attributes: plain arrays, which every format can save."""
        for name in SessionModel.names():
            setattr(self, f"{name}_", getattr(model, name))

    @property
    def _sessions_model(self):
        return SessionModel(**{name: getattr(self, f"{name}_") for name in SessionModel.names()})
