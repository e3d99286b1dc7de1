"""The model of sessions: how classes, trials and sessions differ, and how a new session is sorted.

One object for batches, streams, calibration and training that goes on. A session's windows are
decided by linear discriminants, its trials by a Gaussian model (`_gaussian`) in the space of those
discriminants; both go on learning from the trials of a session, labeled or not.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.special import log_softmax, softmax
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from ._assign import are_equally_frequent, by_frequency, clamped, equal_counts, free, log_prior
from ._discriminants import discriminants, learned, of_trials
from ._evidence import SoFar
from ._gaussian import Axes, adapt, fit_gaussian, in_parts, unmoved
from ._in_time import SessionInTime
from ._linear import as_rows
from ._sessions import by_class, normalized
from ._settings import SETTINGS
from ._weighted import discriminant_axes, fit_discriminants


class Sorted(NamedTuple):
    """A session whose trials were sorted into classes.

    ``trials`` (n, n_classes) and ``windows`` (n, n_classes, n_windows): log probabilities, not yet
    tempered; ``start``: those of trials before adaptation; ``logs``: the assignment itself;
    ``normal``: means and scales of features; ``Z``: normalized features; ``equal``: whether the
    classes count as equally frequent; ``evidence``: for the comparison of normals.
    """

    trials: np.ndarray
    windows: np.ndarray
    start: np.ndarray
    logs: np.ndarray
    shifts: np.ndarray
    normal: np.ndarray
    Z: np.ndarray
    equal: bool
    evidence: float


@dataclass
class SessionModel:
    """What training knows of classes, trials and sessions.

    window_counts, window_means, window_covariance (ndarray): Windows of each class, their means,
        and the covariance within classes.
    coef, intercept (ndarray): Linear discriminants of windows.
    projection, offset (ndarray): From features to the space of trials.
    means, within, between (ndarray): Class means of trials (beginning, middle and end side by
        side), covariance of trials within a class and session, and of a class's mean over
        sessions.
    early (n_windows,): Variance that the mean of the first windows of a trial has more than that
        of all.
    temperatures (3,): Divisors of the log probabilities of trials in a session that is adapted to,
        of windows, and of trials where nothing adapts.
    usual: Mean novelty (`_novelty`) of trials left out; NaN where none could be.
    share: Share of the variance within trials that covariances have: below 1 trials are samples,
        not their windows (`of_trials`).
    """

    window_counts: np.ndarray
    window_means: np.ndarray
    window_covariance: np.ndarray
    coef: np.ndarray
    intercept: np.ndarray
    projection: np.ndarray
    offset: np.ndarray
    means: np.ndarray
    within: np.ndarray
    between: np.ndarray
    early: np.ndarray
    temperatures: np.ndarray
    usual: float
    share: float

    @classmethod
    def fit(cls, Z, y, session, n_classes, weights=None, people=None, share=1.0):
        """Learn from labeled trials of one or several sessions; every class counts the same.

        Z (n_trials, n_features, n_windows): Features normalized within sessions.
        y (n_trials,) int, session (n_trials,), weights (n_trials,) or None
        people (n_trials,) or None: Whose trials they are, where sessions are those of one person
            in them.
        share: Share of the variance within trials that covariances have.
        Raises ValueError if the features do not vary within classes, or not between them.
        """
        try:
            if share < 1:
                means, covariance, axes = of_trials(Z, y, share)
            else:
                means, covariance, axes = _window_discriminants(Z, y, n_classes, weights)
        except np.linalg.LinAlgError as error:
            raise ValueError("The features in X do not vary within the classes of y.") from error
        if not np.ptp(means, axis=0).any():
            raise ValueError("The features in X do not vary between the classes of y.")
        n = len(y) if weights is None else weights.sum()
        counts = np.full(n_classes, n * Z.shape[2] / n_classes)
        coef, intercept = discriminants(counts, means, covariance)
        projection = axes[:, : min(n_classes - 1, Z.shape[1])]
        offset = means.mean(0) @ projection
        P = _windows_of(Z) @ projection - offset
        early = np.square(running_mean(P) - P.mean(1, keepdims=True)).mean(2)
        early = np.average(early, axis=0, weights=weights)
        parts = in_parts(P, min(SETTINGS.parts, Z.shape[2])).reshape(len(P), -1)
        gaussian = fit_gaussian(parts, y, session, n_classes, weights, people)
        return cls(
            counts,
            means,
            covariance,
            coef,
            intercept,
            projection,
            offset,
            *gaussian,
            early,
            np.ones(3),
            np.nan,
            share,
        )

    @classmethod
    def names(cls):
        """Names of its arrays."""
        return [field.name for field in fields(cls)]

    # ------------------------------------------------------------------ known sessions

    def decide(self, Z, logs):
        """Log probabilities of trials and windows in a session that is normalized as in training.

        Z (n_trials, n_features, n_windows)
        logs (n_trials, n_classes, n_windows): Log probabilities of the windows by the network or
            another classifier.
        """
        linear = self.linear_logs(Z)
        trials = log_softmax(self.undisturbed(logs, linear) / self.temperatures[2], axis=1)
        return trials, self.cooled(self._of_windows(Z, logs, linear, 0.0))

    def undisturbed(self, logs, linear):
        """Log probabilities of trials from those of windows, by the network and the linear model.

        Nothing has changed since training; they are not scaled.
        """
        return logs.mean(2) + self.known_weight * linear.mean(2)

    def _of_windows(self, Z, logs, linear, shifts):
        """Log probabilities of windows from all that is known of them."""
        so_far = self.so_far(self.embedded(Z), shifts)
        return log_softmax(logs + linear + SETTINGS.so_far_weight * so_far, axis=1)

    # ------------------------------------------------------------------ new sessions

    def adapt(self, F, logs_of, normals, labels=None, prior=8.0):
        """Sort the trials of a new session into classes.

        Where the classes turn out to be about equally frequent, the session is normalized as a
        whole and class counts are drawn to be equal. Else a mean over trials is no zero point (a
        session of rest would be moved onto all motions): it is normalized class by class, beginning
        with the normal of training. Of the two normals and of doing nothing the likelier wins.

        F (n_trials, n_features, n_windows): Raw features.
        logs_of (callable): From normalized features to log probabilities of windows by the
            network.
        normals (tuple of ndarray): Means and scales of training, and of the session.
        labels (n_trials,) int or None: Known classes; -1 elsewhere.
        prior: Number of trials that the normal of training counts for.
        Returns session (Sorted)
        """
        labels = np.full(len(F), -1) if labels is None else labels
        training, whole = normals
        first = self._first(F, whole, logs_of, labels)
        found = self._first(F, training, logs_of, labels)
        for _ in range(2):
            normal = by_class(F, np.exp(found[-1].logs), training, self.window_means, prior)
            found = self._first(F, normal, logs_of, labels)
        tried = [self._sorted_freely_or_equally(each, labels) for each in (first, found)]
        if not tried[0].equal:  # which a normal of the whole session supposes
            evidence = tried[0].evidence - SETTINGS.contradiction
            tried[0] = tried[0]._replace(evidence=evidence)
        best = max(tried, key=lambda each: each.evidence)
        if (labels < 0).all():
            best = max(best, self._nothing(F, training, logs_of), key=lambda each: each.evidence)
        return best

    def _sorted_freely_or_equally(self, first, labels):
        """Trials sorted into classes that are equally frequent, if they may be, or not.

        With few trials a session of half the motions passes for one of all: the likelier wins.
        """
        *known, found = first
        both = [self.sort(*known, labels, equal=False)]
        if are_equally_frequent(found.logs):
            both.append(self.sort(*known, labels, equal=True))
        return max(both, key=lambda each: each.evidence)

    def evidence(self, F, normal, labels=None):
        """Log evidence of a session, of linear and Gaussian model alone."""
        labels = np.full(len(F), -1) if labels is None else labels

        def nothing(Z):
            return np.zeros((len(Z), len(self.means), Z.shape[2]))

        return self._first(F, normal, nothing, labels)[-1].evidence

    def _first(self, F, normal, logs_of, labels):
        """Normal, features, the network's say, and trials sorted freely by the Gaussian model."""
        Z = normalized(F, normal)
        logs = logs_of(Z)
        P = self.points(self.embedded(Z))
        start = self._start(Z, logs, labels)
        assign = clamped(free, labels)
        found = adapt(P, assign(start), self.gaussian, assign=assign, cooling=self.cooling)
        return normal, Z, logs, found

    def _start(self, Z, logs, labels):
        linear = self.linear_logs(Z, self._with_labels(Z, labels))
        return log_softmax(logs.mean(2) + SETTINGS.linear_weight * linear.mean(2), axis=1)

    def _nothing(self, F, normal, logs_of):
        """The session as it is decided without adaptation."""
        Z = normalized(F, normal)
        logs = logs_of(Z)
        found = unmoved(self.points(self.embedded(Z)), self.means, self.within, self.cooling)
        linear = self.linear_logs(Z)
        start = log_softmax(logs.mean(2) + SETTINGS.linear_weight * linear.mean(2), axis=1)
        evidence = found.evidence + log_prior(len(F), len(self.means), False)
        windows = self._of_windows(Z, logs, linear, 0.0)
        return Sorted(start, windows, start, start, found.shifts, normal, Z, False, evidence)

    def sort(self, normal, Z, logs, labels, equal):
        """Sort normalized trials into classes, which linear and Gaussian model learn in turn."""
        assign = clamped(equal_counts if equal else by_frequency, labels)
        cooling, sharpness = self.cooling, SETTINGS.sharpness
        own, means = SETTINGS.learned_own * logs.mean(2), self.points(self.embedded(Z))
        start = self._start(Z, logs, labels)
        r = adapt(means, assign(start), self.gaussian, assign=assign, cooling=cooling).logs
        for _ in range(SETTINGS.n_rounds):
            linear = self._cross_learned(Z, means, np.exp(r), labels)
            r = assign(sharpness * (own + linear.mean(2)))
        found = adapt(means, r, self.gaussian, assign=assign, cooling=cooling)
        trials = found.logs
        windows = self._of_windows(Z, SETTINGS.learned_own * logs, linear, found.shifts)
        evidence = found.evidence + log_prior(len(Z), len(self.means), equal)
        return Sorted(trials, windows, start, trials, found.shifts, normal, Z, equal, evidence)

    def _cross_learned(self, Z, place, probability, labels):
        """Log probabilities (n, n_classes, n_windows) after learning from the session's others."""
        known = labels >= 0
        weights = np.where(known, SETTINGS.label_weight, SETTINGS.own_weight)
        if len(Z) == 1:
            return self.linear_logs(Z)
        order = np.argsort(place[:, 0], kind="stable")  # whatever the order of trials is
        fold = np.empty(len(Z), dtype=int)
        fold[order] = np.arange(len(Z)) % SETTINGS.n_folds
        parts = (fold == f for f in range(SETTINGS.n_folds))
        scatters = [_scatter(Z[i], weights[i], self.share) for i in parts]
        total, means, out = sum(scatters), Z.mean(2), np.empty((*probability.shape, Z.shape[2]))
        for f, scatter in enumerate(scatters):
            mine, rest = fold == f, fold != f
            if mine.any():
                weighted = probability[rest] * (weights[rest] * Z.shape[2])[:, np.newaxis]
                sums = weighted.sum(0), weighted.T @ means[rest]
                known = learned(self.known, *sums, total - scatter)
                out[mine] = self.linear_logs(Z[mine], discriminants(*known))
        return out

    def _with_labels(self, Z, labels):
        """Coefficients after learning from the labeled trials alone."""
        chosen = labels >= 0
        if not chosen.any():
            return None
        probability = np.eye(len(self.means))[labels[chosen]]
        weight = np.full(chosen.sum(), SETTINGS.label_weight)
        return discriminants(*self.learned(Z[chosen], probability, weight))

    def learned(self, Z, probability, weight):
        """Counts, means and covariance of windows, of training and weighted trials together."""
        weighted = probability * (weight * Z.shape[2])[:, np.newaxis]
        second = _scatter(Z, weight, self.share)
        return learned(self.known, weighted.sum(0), weighted.T @ Z.mean(2), second)

    def start(self, training, learns, prior):
        """Begin a session that arrives window by window: a `SessionInTime`, with step and end."""
        return SessionInTime(self, training, learns, prior)

    # ------------------------------------------------------------------ parts

    @cached_property
    def known(self):
        """Windows of training: counts, means, and the sum of their outer products."""
        counts, means = self.window_counts, self.window_means
        second = counts.sum() * self.window_covariance + (means.T * counts) @ means
        return counts, means, second

    @cached_property
    def gaussian(self):
        """Trials of training, as `adapt` wants them."""
        return Axes.of(self.means, self.within, self.between)

    @cached_property
    def gaussian_of_whole(self):
        """As `gaussian`, of trials of one part only."""
        return Axes.of(*self.whole)

    @cached_property
    def whole(self):
        """Means, covariance within and between sessions, of trials of one part only."""
        d = self.projection.shape[1]
        n = self.n_parts
        each = (C.reshape(n, d, n, d).mean((0, 2)) for C in (self.within, self.between))
        return self.of_whole(self.means), *each

    @property
    def of_one_session(self):
        """Whether training had one session, which does not tell how sessions differ."""
        return np.allclose(self.between, SETTINGS.one_session * self.within)

    @property
    def known_weight(self):
        """Weight of the linear model beside the network, for a trial of a known session."""
        return SETTINGS.linear_weight if self.share == 1 else SETTINGS.weight_of_trials

    @property
    def n_parts(self):
        """Parts of a trial."""
        return self.means.shape[1] // self.projection.shape[1]

    @property
    def cooling(self):
        """Divisor of the log likelihoods of trials."""
        return SETTINGS.cooling * (self.n_parts + 1) / 2

    def of_whole(self, points):
        """Means over the parts of trials, of (n, n_parts * n_dims)."""
        return points.reshape(len(points), -1, self.projection.shape[1]).mean(1)

    def points(self, P):
        """Trials as points (n, n_parts * n_dims), from their windows (n, n_windows, n_dims)."""
        return in_parts(P, self.n_parts).reshape(len(P), -1)

    def embedded(self, Z):
        """Windows in the space of the linear model, (n, n_windows, n_dims)."""
        return _windows_of(Z) @ self.projection - self.offset

    def linear_logs(self, Z, coefficients=None):
        """Log probabilities of the linear model, (n, n_classes, n_windows)."""
        coef, intercept = (self.coef, self.intercept) if coefficients is None else coefficients
        scores = log_softmax(_windows_of(Z) @ coef.T + intercept, axis=-1)
        return np.maximum(scores, SETTINGS.least_log).transpose(0, 2, 1)

    def scores(self, shifts):
        """A function from mean windows and their numbers to log probabilities of the classes."""
        means, within, _ = self.whole
        values, vectors = np.linalg.eigh(within)
        centers = (means + (self.of_whole(shifts) if np.ndim(shifts) else shifts)) @ vectors

        def of(means, counts):
            variance = values + self.early[np.minimum(counts, len(self.early)) - 1][:, np.newaxis]
            away = (means @ vectors)[:, np.newaxis] - centers
            distances = (np.square(away) / variance[:, np.newaxis]).sum(-1)
            return log_softmax(-0.5 * distances, axis=-1)

        return of

    def so_far(self, P, shifts):
        """Log probabilities (n, n_classes, n_windows) of the motion so far."""
        evidence = SoFar(self.scores(shifts), len(P), P.shape[2])
        return np.stack(
            [evidence.step(P[:, k], SETTINGS.change)[0] for k in range(P.shape[1])], axis=2
        )

    def cooled(self, windows):
        """Log probabilities of windows that can be trusted; classes are axis 1."""
        return log_softmax(windows / self.temperatures[1], axis=1)

    def weighed(self, trials, start):
        """Those of trials in a new session, less certain where adaptation has changed its mind."""
        before = softmax(start, axis=1)[np.arange(len(trials)), trials.argmax(1)]
        heat = self.temperatures[0] * (1 + SETTINGS.before * (1 - before))
        return log_softmax(trials / heat[:, np.newaxis], axis=1)

    def believed(self, trials):
        """Probabilities of the classes of trials, to learn from."""
        return softmax(trials / self.temperatures[0], axis=1)


def _windows_of(Z):
    return Z.transpose(0, 2, 1)


def _window_discriminants(Z, y, n_classes, weights):
    """Means, covariance and axes of linear discriminants of windows, all classes alike."""
    priors = np.full(n_classes, 1 / n_classes)
    rows, labels = as_rows(Z), np.repeat(y, Z.shape[2])
    if weights is None:
        lda = LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto", priors=priors)
        lda.fit(rows, labels)
        return lda.means_, lda.covariance_, lda.scalings_
    of_rows = np.repeat(weights, Z.shape[2])
    lda = fit_discriminants(rows, labels, of_rows, priors)
    return lda.means_, lda.covariance_, discriminant_axes(rows, of_rows, lda.covariance_)


def _steadied(Z, share):
    """Windows nearer to the mean of their trial: this share of the variance within trials."""
    if share == 1:
        return Z
    middle = Z.mean(2, keepdims=True)
    return middle + np.sqrt(share) * (Z - middle)


def _scatter(Z, weight, share):
    """Sum of weighted outer products of the windows of trials, as `_steadied` has them."""
    rows = as_rows(_steadied(Z, share) * np.sqrt(weight)[:, np.newaxis, np.newaxis])
    return rows.T @ rows


def running_mean(P):
    """Means over the windows so far, of (..., n_windows, n_dims)."""
    return np.cumsum(P, axis=-2) / np.arange(1, P.shape[-2] + 1)[:, np.newaxis]
