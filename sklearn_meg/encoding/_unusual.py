"""Which trials have a stimulus, or a beginning, unlike those of ``fit``."""

from dataclasses import dataclass

import numpy as np
from sklearn.utils import gen_batches

from .._checks.trials import check_trials, pieces, release_pages
from .._checks.unusual import UnusualMixin
from ..rows import Rows


@dataclass(frozen=True)
class Settings:
    """Statistics to compare; chosen so that the violations of the catalog are found."""

    #: Trials that tell what is usual.
    n_trials: int = 1000
    n_folds: int = 5
    #: Features above which their products are not looked at.
    most_pairs: int = 8
    #: Least spread of what is compared, relative to the size of the feature.
    floor: float = 1e-3
    #: Trials whose weight the mean of all subjects has in that of each.
    prior: float = 2.0
    #: Largest deviation that counts.
    most: float = 1e6


SETTINGS = Settings()


class UnusualTrials(UnusualMixin):
    """``is_unusual`` of the encoders, from the stimulus and the initial MEG alone.

    Of each trial: mean, spread and roughness of every feature, products of pairs of features, how
    far its course is from the mean course, spread and roughness of the initial MEG of every
    channel; all against the trials of ``fit``, subject by subject.
    """

    def _keep_usual(self, X):
        """Keep what is usual, and the scores of trials of ``fit`` by what the others tell."""
        chosen = np.unique(np.linspace(0, len(X) - 1, min(len(X), SETTINGS.n_trials)).astype(int))
        stimulus, beginning, subjects = self._looked_at(X, chosen)
        scores = np.full(len(chosen), np.nan)
        folds = np.arange(len(chosen)) % min(SETTINGS.n_folds, len(chosen))
        for fold in np.unique(folds) if len(chosen) > 2 else ():
            held = folds == fold
            usual = usual_of(stimulus[~held], beginning[~held], subjects[~held])
            scores[held] = unusual_scores(usual, stimulus[held], beginning[held], subjects[held])
        self.usual_scores_ = scores[np.isfinite(scores)]
        self._usual = usual_of(stimulus, beginning, subjects)

    def _unusual_scores(self, X):
        X, found = check_trials(self, X, reset=False), []
        for part in pieces(X):
            looked_at = self._looked_at(X, np.arange(len(X))[part])
            found.append(unusual_scores(self._usual, *looked_at))
        return np.concatenate(found)

    def _looked_at(self, X, trials):
        """Features and initial MEG of some trials, float64, and their subjects."""
        rows = Rows(**self._rows)
        stimulus = np.empty((len(trials), len(rows.features), X.shape[2]))
        beginning = np.empty((len(trials), len(rows.initial), rows.n_initial))
        subjects = rows.subject_values(X)[trials]
        for part in _parts(len(trials), X):
            values = np.asarray(X[trials[part]], dtype=float)
            stimulus[part] = values[:, rows.features]
            beginning[part] = rows.initial_values(values)
            release_pages(X)
        return stimulus, beginning, subjects


def _parts(n, X):
    """Positions among n trials, a few megabytes of X at a time."""
    return gen_batches(n, max(1, 2**20 // max(1, X.shape[1] * X.shape[2])))


def usual_of(stimulus, beginning, subjects):
    """Usual sizes, mean courses, and mean and spread of each statistic.

    stimulus (n_trials, n_features, n_times), beginning (n_trials, n_initial_rows, n_initial),
        subjects (n_trials,) int
    Returns usual (dict of ndarray)
    """
    usual = {
        "size": _size(stimulus),
        "initial_size": _size(beginning),
        "course": stimulus.mean(axis=0),
        "course_spread": stimulus.std(axis=0),
    }
    groups = statistics(usual, stimulus, beginning)
    usual["group"] = np.repeat(np.arange(len(groups)), [g.shape[1] for g in groups])
    values = np.concatenate(groups, axis=1)
    usual["mean"] = values.mean(axis=0)
    usual["subjects"], which = np.unique(subjects, return_inverse=True)
    means = np.array([_shrunk(values[which == s], usual["mean"]) for s in range(which.max() + 1)])
    usual["subject_means"] = means
    floor = SETTINGS.floor * (1 + np.abs(usual["mean"]))
    usual["spread"] = np.maximum((values - means[which]).std(axis=0), floor)
    usual["spread_all"] = np.maximum(values.std(axis=0), floor)
    return usual


def _size(x):
    """Root mean square of each row; 1 where it is zero."""
    if not x.size:
        return np.ones(x.shape[1])
    size = np.sqrt(sum(np.square(x[part]).sum(axis=(0, 2)) for part in _parts(len(x), x)))
    size /= np.sqrt(len(x) * x.shape[2])
    return np.where(size > 0, size, 1.0)


def _shrunk(values, mean):
    share = len(values) / (len(values) + SETTINGS.prior)
    return mean + share * (values.mean(axis=0) - mean)


def statistics(usual, stimulus, beginning):
    """Numbers that tell of each trial, in groups: a list of (n_trials, n_statistics)."""
    longest = stimulus if stimulus.size > beginning.size else beginning
    parts = [
        _statistics(usual, stimulus[part], beginning[part])
        for part in _parts(len(longest), longest)
    ]
    return [np.concatenate(group) for group in zip(*parts)]


def _statistics(usual, stimulus, beginning):
    """Groups of statistics of trials in units of fit: means, extremes, sizes, products."""
    x = stimulus / usual["size"][:, np.newaxis]
    pairs = []
    if 1 < x.shape[1] <= SETTINGS.most_pairs:
        first, second = np.triu_indices(x.shape[1], 1)
        pairs.append(np.mean(x[:, first] * x[:, second], axis=2))
    spread = np.maximum(usual["course_spread"] / usual["size"][:, np.newaxis], 0.05)
    away = (x - usual["course"] / usual["size"][:, np.newaxis]) / spread
    groups = [
        x.mean(axis=2),
        np.concatenate([x.max(axis=2), x.min(axis=2)], axis=1),
        *_sizes(x),
        *pairs,
        np.log(np.mean(away**2, axis=2) + SETTINGS.floor),
    ]
    if beginning.size:
        groups += _sizes(beginning / usual["initial_size"][:, np.newaxis])
    return groups


def _sizes(x):
    """Logarithms of how much each row varies, and of how rough it is."""
    steps = np.diff(x, axis=2) if x.shape[2] > 1 else x
    size, step = (np.log(part.std(axis=2) + SETTINGS.floor) for part in (x, steps))
    return [size, step - size]


def unusual_scores(usual, stimulus, beginning, subjects):
    """Distance of trials from what is usual: a logarithm, larger for what is less usual."""
    values = np.concatenate(statistics(usual, stimulus, beginning), axis=1)
    at = np.searchsorted(usual["subjects"], subjects)
    at[at == len(usual["subjects"])] = 0
    known = (usual["subjects"][at] == subjects)[:, np.newaxis]
    away = np.where(
        known,
        (values - usual["subject_means"][at]) / usual["spread"],
        (values - usual["mean"]) / usual["spread_all"],
    )
    away = np.minimum(np.abs(away), SETTINGS.most) ** 4
    groups = np.unique(usual["group"])
    each = [away[:, usual["group"] == group].mean(axis=1) for group in groups]
    return np.log(np.max(each, axis=0) + np.finfo(float).tiny) / 4
