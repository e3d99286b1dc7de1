"""Labels of a few trials of a new session, which stand beside its unlabeled ones."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import log_softmax
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d

from ..rows import split_session
from ._electrodes import turned
from ._linear import as_rows
from ._sessions import location_and_scale, normalized
from ._settings import SETTINGS

if TYPE_CHECKING:
    from .._typing import ArrayLike, Self

LABELED = ("labeled_features_", "labeled_classes_", "labeled_sessions_", "labeled_turns_")


def _takes_labels(model):
    """Whether a classifier can learn labeled trials of new sessions."""
    return model.adaptation is not None and model._session_model


def labels_alone(known, labels, F):
    """Log probabilities (n, n_classes) of trials F by linear discriminants of labeled trials."""
    normal = location_and_scale(known)
    rows, of_rows = as_rows(normalized(known, normal)), np.repeat(labels, known.shape[2])
    lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(rows, of_rows)
    logs = lda.predict_log_proba(as_rows(normalized(F, normal)))
    logs = np.maximum(logs, SETTINGS.least_log).reshape(len(F), F.shape[2], -1)
    return log_softmax(logs.mean(1), axis=1)


class LabeledSessions:
    """What classifiers with a model of sessions do with labeled trials of new ones."""

    def _adapted(self, F, name):
        """The trials of a new session, sorted into classes, together with labeled ones."""
        known, labels = self._labeled(name)
        both = F if known is None else np.concatenate([known, F])
        every = None if known is None else np.concatenate([labels, np.full(len(F), -1)])
        normals = self.normal_, self._batch_normal(both)
        found = self._sessions_model.adapt(
            both, self._window_logs, normals, every, self.prior_trials
        )
        if known is None:
            return found
        n = len(known)
        return found._replace(
            trials=found.trials[n:], windows=found.windows[n:], start=found.start[n:],
            logs=found.logs[n:], Z=found.Z[n:],
        )  # fmt: skip

    def _aided(self, F, name, trials):
        """Log probabilities of trials, with a say of discriminants of the labels alone.

        It is the larger, the more of the labeled trials are decided wrongly without their labels:
        a model of other people, or of a day long ago, is not to be trusted beyond its labels.
        """
        known, labels = self._labeled(name)
        if known is None or len(np.unique(labels)) < len(self.classes_):
            return trials
        normals, model = (self.normal_, self._batch_normal(known)), self._sessions_model
        unaided = model.adapt(known, self._window_logs, normals, prior=self.prior_trials)
        wrong = (unaided.trials.argmax(1) != labels).mean()
        if not wrong:
            return trials
        alone = labels_alone(known, labels, F)
        return log_softmax(trials + SETTINGS.unaided * wrong * alone, axis=1)

    def _labeled(self, name):
        """Features and classes of the labeled trials of a session; None, None without any."""
        if not hasattr(self, "labeled_sessions_"):
            return None, None
        mine = self.labeled_sessions_ == name
        if not mine.any():
            return None, None
        return self.labeled_features_[mine], self.labeled_classes_[mine]

    def _teach(self, online, name):
        """Let a session in time begin with the labeled trials of that session."""
        known, labels = self._labeled(name)
        if known is None:
            return
        for trial in known:
            online.running(trial)
        Z = normalized(known, online.running.normal)
        online.sorter.add_labeled(known, self._window_logs(Z).mean(2), labels)

    def calibrated(self, X: ArrayLike, y: ArrayLike) -> Self:
        """A copy that knows some labeled trials of new sessions.

        Nothing is trained: the labeled trials stand beside the unlabeled ones of their session
        whenever it is decided, in ``predict`` and in a stream (``stream(session=...)``). One trial
        of each class is enough.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_rows, n_times) or (n_trials, n_features)
            Labeled trials of one or several new sessions, as in ``fit``.
        y : array-like of shape (n_trials,)
            Their classes, all of which were in ``fit``.

        Returns
        -------
        model : object
            A copy; this one stays as it is. Labeled trials of earlier calls are kept.

        Raises
        ------
        ValueError
            Without adaptation or a session model, for a session of ``fit``, or an unknown class.
        """
        check_is_fitted(self, "classes_")
        return copy(self)._add_labels(X, y)

    @available_if(_takes_labels)
    def partial_fit(self, X: ArrayLike, y: ArrayLike, classes: ArrayLike | None = None) -> Self:
        """Learn labeled trials: ``fit`` the first time, then labeled trials of new sessions.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_rows, n_times) or (n_trials, n_features)
        y : array-like of shape (n_trials,)
        classes : array-like or None, default=None
            Unused beyond a check: the first call must hold all classes.

        Returns
        -------
        self : object
        """
        if not hasattr(self, "classes_"):
            return self.fit(X, y)
        return self._add_labels(X, y)

    def _add_labels(self, X, y):
        if not _takes_labels(self):
            raise ValueError(
                "Labels of a session need adaptation='batch' or 'online' and a session model. Got "
                f"adaptation={self.adaptation!r}."
            )
        _, session = self._raw_features(X, reset=False)
        y = self._known_labels(y, session)
        F, turns = self._labeled_turns(X, y)
        parts = F, y, session, turns
        for name, part in zip(LABELED, parts, strict=True):
            old = getattr(self, name, None)
            setattr(self, name, part if old is None else np.concatenate([old, part]))
        return self

    def _known_labels(self, y, session):
        """Indices of the classes of trials of new sessions."""
        y = column_or_1d(y, warn=True)
        check_consistent_length(session, y)
        if np.isin(session, self.sessions_).any():
            raise ValueError("X must hold sessions that were not in fit. Got a known one.")
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(f"y must hold classes of fit. Got {unknown[0]!r}.")
        return np.searchsorted(self.classes_, y)

    def _labeled_turns(self, X, y):
        """Features of labeled trials and the turn of each, 0 without a ring."""
        F, session = self._raw_features(X, reset=False)
        turns = np.zeros(len(F))
        if self._has_ring():
            signal = split_session(np.asarray(X, dtype=float), self.session_row)[0]
            for s in np.unique(session):
                mine = np.flatnonzero(session == s)
                turns[mine] = turn = self._turn(signal[mine], s, y[mine])
                F[mine] = self._extractor()._features(turned(signal[mine], turn))
        return F, turns
