"""Other people: what they teach a model of a person who has few trials."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING

import numpy as np
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d

from .._checks.trials import check_kind
from .._training.threads import one_blas_thread
from ._calibration import left_out
from ._sessions import class_means, normalized
from ._settings import SETTINGS

if TYPE_CHECKING:
    from .._typing import ArrayLike, Self

PRETRAINED = (
    "pretrained_features_",
    "pretrained_classes_",
    "pretrained_sessions_",
    "pretrained_people_",
    "others_weight_",
)


class PersonalClassifier:
    """What classifiers with a model of sessions learn from several people for one."""

    def pretrain(self, X: ArrayLike, y: ArrayLike, person: ArrayLike) -> Self:
        """Learn from people, for others: ``fit`` that keeps what :meth:`personalized` needs.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_rows, n_times) or (n_trials, n_features)
            Labeled trials, as in ``fit``. Sessions of different people have different numbers.
        y : array-like of shape (n_trials,)
            Classes.
        person : array-like of shape (n_trials,)
            Whose trials they are: numbers or names.

        Returns
        -------
        self : object
            Decides sessions of people that it has never seen, and can be ``calibrated`` to them.

        Raises
        ------
        ValueError
            As of ``fit``; without adaptation or a session model, for a session of two people.
        """
        self._check_params()
        if self.adaptation is None or not self._session_model:
            raise ValueError(
                "People need adaptation='batch' or 'online' and a session model. Got "
                f"adaptation={self.adaptation!r}."
            )
        F, session, y, _ = self._check_classes(X, y)
        people = _check_people(person, session)
        self._fit_features(F, y, session, people=people)
        parts = F.astype(np.float32), y, session, people
        for name, part in zip(PRETRAINED, parts, strict=False):
            setattr(self, name, part)
        return self

    def personalized(self, X: ArrayLike, y: ArrayLike) -> Self:
        """A copy for one person, from labeled sessions of theirs and those of ``pretrain``.

        All others together count as much as the person's own trials. They do not count at all where
        they alone decide most of the own trials wrongly, or these, left out by turns, are decided
        worse with others than without.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_rows, n_times) or (n_trials, n_features)
            Labeled trials of one or several sessions of the person, none of which was in
            ``pretrain``.
        y : array-like of shape (n_trials,)
            Their classes, all of which were in ``pretrain``.

        Returns
        -------
        model : object
            ``others_weight_`` is the weight of a trial of others against an own one, 0 where they
            do not help. This model stays as it is.

        Raises
        ------
        ValueError
            Before ``pretrain``, for a known session or an unknown class.
        """
        check_is_fitted(self, "classes_")
        if not hasattr(self, "pretrained_features_"):
            raise ValueError("personalized needs the people of pretrain. Got a model without.")
        F, session = self._raw_features(X, reset=False)
        y = self._known_labels(y, session)
        return copy(self)._personalize(F, y, session)

    @one_blas_thread()
    def _personalize(self, F, y, session):
        """Fit to own and other people's trials, or own trials alone where the others do harm."""
        old = self.pretrained_features_.astype(float), self.pretrained_classes_
        both = [np.concatenate(pair) for pair in zip(old, (F, y), strict=True)]
        sessions = np.concatenate([self.pretrained_sessions_, session])
        people = np.concatenate([self.pretrained_people_, np.zeros(len(y), dtype=int)])
        share = min(1.0, len(y) / len(old[1]))
        weights = np.where(people == 0, 1.0, share)
        count, found = self._others_count(*both, sessions, weights, people)
        if not count:
            own = people == 0
            both, sessions = [each[own] for each in both], session
            weights, people, share = None, None, 0.0
        self._fit_features(*both, sessions, weights, people, found=found)
        self.others_weight_ = share
        return self

    def _others_count(self, F, y, session, weights, people):
        """Whether to learn from others: also where the person has too few trials of a class.

        And what was said of trials left out that way, None where it was not asked.
        """
        own = people == 0
        if np.bincount(y[own], minlength=len(self.classes_)).min() < 2:
            return True, None
        if not self._others_know(F[own], y[own], session[own]):
            return False, None
        return self._others_help(F, y, session, weights, people)

    def _others_know(self, F, y, session):
        """Whether the model of others decides most trials of a person as they are labeled."""
        right = np.empty(len(y), dtype=bool)
        for s in np.unique(session):
            mine = session == s
            right[mine] = self._adapted(F[mine], s).trials.argmax(1) == y[mine]
        return right.mean() >= SETTINGS.least_known

    def _others_help(self, F, y, session, weights, people):
        """Whether own trials that were left out are decided no worse with others than without."""
        own, n = people == 0, len(self.classes_)
        Z = np.empty_like(F)
        for s in np.unique(session):
            mine = session == s
            Z[mine] = normalized(F[mine], class_means(F[mine], y[mine]))
        alone = left_out(Z[own], y[own], session[own], n)
        if alone is None:
            return True, None
        together = left_out(Z, y, session, n, weights, people)
        wrong = [
            (found.trials.argmax(1) != true[found.index]).mean()
            for found, true in ((alone, y[own]), (together, y))
        ]
        helps = wrong[1] - wrong[0] <= SETTINGS.most_harm
        return helps, together if helps else alone


def _check_people(person, session):
    """Whose trials they are, from 1 on."""
    check_kind(person)
    person = column_or_1d(person, warn=True)
    check_consistent_length(session, person)
    people = np.unique(person, return_inverse=True)[1] + 1
    pairs = np.unique(np.stack([session, people]), axis=1)
    shared = np.flatnonzero(np.diff(pairs[0]) == 0)
    if len(shared):
        raise ValueError(
            "Sessions of different people must have different numbers. Got session "
            f"{pairs[0, shared[0]]:g} of two people."
        )
    return people
