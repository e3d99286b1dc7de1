"""Linear models of several subjects that share what they can, from sums of products alone.

``y_s[t] = b_s + m_s[t] + sum_l (w + d_s)[l] x[t - l]``: the group's response functions w, each
subject's deviation d_s, and the mean course m_s of what both leave. How far each part is shrunk
(w and d_s by ridge penalties, m_s towards the group's course and that towards zero by
``n / (n + kappa)``, empirical Bayes) is chosen on held-out trials, for each channel. The pooled
model, separate models and the subjects' mean responses are corners of this family.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh

from ._blocks import not_zero
from ._lags import LagSums, invert, lag_sums, lagged, ridge


@dataclass(frozen=True)
class Settings:
    """What the search tries; chosen on seeds 100 to 104 of simulated worlds with few trials."""

    #: Trials whose weight the prior of a course has. The first is taken where nothing tells
    #: (no subject has two trials); the rest go from strong to weak.
    kappas: tuple = (1.0, np.inf, 100.0, 30.0, 10.0, 3.0, 0.3, 0.1, 0.0)
    #: Penalties of a subject's deviation; infinity, no deviation, is taken where nothing tells.
    deviations: tuple = (np.inf, 1e6, 1e5, 1e4, 1e3, 100.0, 10.0, 1.0)
    #: Share of the decision that a channel leaves to the mean over channels. With 0 few trials
    #: choose at random, with 1 a channel without signal gets the penalty of the others.
    shared_choice: float = 0.8
    #: Differences of held-out error that are rounding, relative to the variance.
    tie: float = 1e-7


SETTINGS = Settings()

#: Whose mean course is taken from features and responses before their weights are fitted. With
#: that of each subject, differences between subjects do not disturb those between conditions.
CENTERED = ("nobody", "group", "subject")


@dataclass
class TrialSums:
    """Sums over some trials of one subject.

    lags (LagSums)
    x_course (p, n_times): Lagged features, summed over trials.
    y_course (n_channels, n_times)
    count (n_times,): Trials that count, weighted.
    """

    lags: LagSums
    x_course: np.ndarray
    y_course: np.ndarray
    count: np.ndarray

    def __add__(self, other):
        return TrialSums(*(a + b for a, b in zip(vars(self).values(), vars(other).values())))

    def select(self, keep):
        """Keep some of the lagged rows."""
        lags = self.lags.select(keep)
        return TrialSums(lags, self.x_course[keep], self.y_course, self.count)

    def residual_course(self, w):
        """Sum over trials of y less what the weights (p, n_channels) predict."""
        return self.y_course - w.T @ self.x_course

    def intercept(self, w):
        """Mean of y less the prediction of weights (..., p, n_channels)."""
        return (self.lags.y - np.einsum("p,...pc->...c", self.lags.x, w)) / self.lags.n_samples


def trial_sums(blocks, lags):
    """Sum products and courses over blocks of trials, as :func:`~._lags.lag_sums` takes them."""
    courses = []

    def passing():
        for x, y, *counted in blocks:
            courses.append(_block_courses(x, y, lags, *counted))
            yield x, y, *counted

    sums = lag_sums(passing(), lags)
    return TrialSums(sums, *(sum(parts) for parts in zip(*courses)))


def _block_courses(x, y, lags, counted=None):
    """Sums over trials, at each sample, of the lagged rows, the targets and how much they count."""
    n_times = x.shape[2]
    if counted is None:
        wide = lagged(x.sum(axis=1, keepdims=True), lags)[:, :, 0]
        return wide.reshape(-1, n_times), y.sum(axis=1), np.full(n_times, float(x.shape[1]))
    wide = np.einsum("rlnt,nt->rlt", lagged(x, lags), counted)
    y_course = (y * counted).sum(axis=1)
    return wide.reshape(-1, n_times), y_course, counted.sum(axis=0)


@dataclass
class Choice:
    """What the search chose for each channel."""

    centered: np.ndarray  #: what w is fitted to, index into CENTERED
    candidate: np.ndarray  #: index of the penalty of w
    deviation: np.ndarray  #: penalty of d_s
    group_kappa: np.ndarray
    subject_kappa: np.ndarray
    told: bool = True  #: whether any subject has trials on both sides of a fold


@dataclass
class PooledModel:
    """Weights (n_subjects + 1, p, n_channels), intercepts and courses; the group's come last."""

    weights: np.ndarray
    intercepts: np.ndarray
    courses: np.ndarray


def pool_subjects(sums, penalties, bands, per_channel=True):
    """Choose how much subjects share, and fit.

    sums (list of list of (TrialSums or None)): One list a subject, of the same folds.
    penalties (n_candidates, p): Penalties of the group's weights to choose from.
    bands (list of ndarray of int): Candidates that differ in a factor alone share an
        eigendecomposition.
    per_channel: Choose for each channel, or once for all.
    Returns model (PooledModel), choice (Choice)
    and scores (n_channels, n_candidates): Held-out R2 of the group's model alone, NaN where
        there was nothing to choose on.
    and fold_models (list of PooledModel): Fitted without each fold.
    """
    folds = _folds(sums)
    total = [sum_of(parts) for parts in sums]
    n_channels = len(total[0].y_course)
    if len(folds) < 2:
        middle = (len(penalties) - 1) // 2
        choice = _default_choice(n_channels, middle)
        scores = np.full((n_channels, len(penalties)), np.nan)
    else:
        choice, scores = _search(folds, penalties, bands, _Best(_variance(total), per_channel))
    # A fold without which there is nothing to fit has no model of its own.
    own = [fit_pooled(train, penalties, choice) for train, _ in folds]
    model = fit_pooled(total, penalties, choice)
    return model, choice, scores, own if len(own) == len(sums[0]) else [model] * len(sums[0])


def fit_pooled(train, penalties, choice):
    """Fit with given penalties to one TrialSums (or None) a subject."""
    there = [part for part in train if part is not None]
    weights = np.empty((len(train) + 1, len(there[0].lags.xx), len(choice.candidate)))
    weights[:] = _group_weights(there, penalties, choice)
    course = _group_course(there, weights[-1])
    for subject, part in enumerate(train):
        if part is not None:
            weights[subject] += _deviation(part, weights[-1], course, choice)
    return PooledModel(weights, *_intercepts_and_courses(train, weights, choice))


def _intercepts_and_courses(train, weights, choice):
    """(n_subjects + 1, n_channels) and (n_subjects + 1, n_channels, n_times)."""
    intercepts, raw, n_trials = [], [], []
    for part, w in zip(train, weights):
        if part is not None:
            intercepts.append(part.intercept(w))
            raw.append(_own_course(part, w, intercepts[-1]))
            n_trials.append(part.count.max())
    group = _mean_course(raw, [part for part in train if part is not None])
    shrunk = _shrink(sum(n_trials), choice.group_kappa)[:, np.newaxis] * group
    shares = [_shrink(n, choice.subject_kappa) for n in n_trials]
    if not choice.told:
        intercepts = _shrunk_intercepts(intercepts, raw, shares)
    found = iter(zip(intercepts, raw, shares))
    both = []
    for part in train:
        if part is None:
            both.append((np.mean(intercepts, axis=0), shrunk))
            continue
        intercept, own, share = next(found)
        change = share[:, np.newaxis] * np.where(part.count > 0, own - group, 0.0)
        both.append((intercept, shrunk + change))
    both.append((np.mean(intercepts, axis=0), shrunk))
    return tuple(np.array(values) for values in zip(*both))


def _shrunk_intercepts(intercepts, raw, shares):
    """Intercepts of subjects with one trial each, of which noise is a part as it is of courses.

    With the share s of a course that is kept its noise is ``(1 - s)`` of its variance; that of
    the intercept, a mean over time, is no more.
    """
    intercepts = np.array(intercepts)
    mean, courses = intercepts.mean(axis=0), np.array(raw)
    spread = ((courses - courses.mean(axis=0)) ** 2).mean(axis=(0, 2))
    own = ((intercepts - mean) ** 2).mean(axis=0)
    noise = np.minimum(spread / np.where(own > 0, own, 1.0), 1.0)
    return list(mean + (1 - (1 - np.array(shares)) * noise) * (intercepts - mean))


def _own_course(part, w, intercept):
    """Mean residual course of a subject, 0 where no trial counts."""
    mean = part.residual_course(w) / not_zero(part.count)
    return np.where(part.count > 0, mean - intercept[:, np.newaxis], 0.0)


def _mean_course(raw, parts):
    """Mean over subjects, each weighted by its trials."""
    counts = np.array([part.count for part in parts])
    return np.einsum("sct,st->ct", raw, counts) / not_zero(counts.sum(axis=0))


def _group_course(parts, w):
    raw = [_own_course(part, w, part.intercept(w)) for part in parts]
    return _mean_course(raw, parts)


def _shrink(n, kappa):
    return np.where(np.isinf(kappa), 0.0, n / (n + np.where(np.isinf(kappa), 0.0, kappa)))


def _group_sums(parts, centered):
    """Products (p, p) and (p, n_channels), less those of the mean courses of `centered`."""
    xx, xy = 0.0, 0.0
    for part in parts:
        lags = part.lags.centered()
        xx, xy = xx + lags.xx, xy + lags.xy
    courses = [_centered_courses(part) for part in parts]
    if CENTERED[centered] == "group":
        courses = [tuple(map(sum, zip(*courses)))]
    if CENTERED[centered] != "nobody":
        for x, y, count in courses:
            share = x / not_zero(count)
            xx, xy = xx - share @ x.T, xy - share @ y.T
    return xx, xy


def _centered_courses(part):
    """Deviations of features and responses from the subject's mean, summed over its trials."""
    n = part.lags.n_samples
    x = part.x_course - np.outer(part.lags.x / n, part.count)
    return x, part.y_course - np.outer(part.lags.y / n, part.count), part.count


def _group_weights(parts, penalties, choice):
    w = np.empty((len(parts[0].lags.xx), len(choice.candidate)))
    for centered in np.unique(choice.centered):
        xx, xy = _group_sums(parts, centered)
        for i in np.unique(choice.candidate[choice.centered == centered]):
            channels = (choice.centered == centered) & (choice.candidate == i)
            w[:, channels] = ridge(xx, xy[:, channels], penalties[i])
    return w


def _left_over(part, w, course, centered):
    """Products of features, and with what the group's model leaves, to fit a deviation to."""
    if CENTERED[centered] == "subject":
        xx, xy = _group_sums([part], centered)
        return xx, xy - xx @ w
    lags = part.lags.centered()
    xy = lags.xy - lags.xx @ w
    if CENTERED[centered] == "group":
        xy -= _centered_courses(part)[0] @ course.T
    return lags.xx, xy


def _deviation(part, w, course, choice):
    deviation = np.zeros_like(w)
    for centered in np.unique(choice.centered[np.isfinite(choice.deviation)]):
        xx, xy = _left_over(part, w, course, centered)
        for penalty in np.unique(choice.deviation[choice.centered == centered]):
            if np.isfinite(penalty):
                channels = (choice.deviation == penalty) & (choice.centered == centered)
                deviation[:, channels] = ridge(xx, xy[:, channels], penalty)
    return deviation


# ---------------------------------------------------------------------- the search


def _search(folds, penalties, bands, best):
    """Choose on held-out trials: the group's penalty first, then the rest together."""
    found, channels = [], np.arange(len(best.variance))
    told = any(t is not None and h is not None for fold in folds for t, h in zip(*fold))
    for centered in range(len(CENTERED)):
        path = [_path(train, penalties, bands, centered) for train, _ in folds]
        each = np.array([_group_errors(fold, w, centered) for fold, w in zip(folds, path)])
        errors = each.sum(axis=0)
        candidate = best(errors) if told else best.strongest(each, penalties)
        chosen = [w[candidate, :, channels].T for w in path]
        found.append((candidate, errors, chosen))
    rest = np.array([_rest_errors(folds, f[2], c) for c, f in enumerate(found)])
    if not told:
        rest = rest[:, :1, :, :1]  # no subject has trials on both sides: nothing tells
    index = best(rest.reshape(-1, len(channels)))
    centered, deviation, group, subject = np.unravel_index(index, rest.shape[:-1])
    candidates = np.array([f[0] for f in found])[centered, channels]
    kappas, deviations = np.array(SETTINGS.kappas), np.array(SETTINGS.deviations)
    parts = deviations[deviation], kappas[group], kappas[subject]
    choice = Choice(centered, candidates, *parts, told)
    return choice, 1 - found[0][1].T / best.variance[:, np.newaxis]


def _path(train, penalties, bands, centered):
    """Weights of the group for all penalties: (n_candidates, p, n_channels)."""
    xx, xy = _group_sums([part for part in train if part is not None], centered)
    w = np.empty((len(penalties), *xy.shape))
    for band in bands:
        first = penalties[band[0]]
        scale = 1 / np.sqrt(first / first.min())
        values, vectors = eigh(xx * np.outer(scale, scale), check_finite=False)
        vectors = scale[:, np.newaxis] * vectors
        rotated, values = vectors.T @ xy, np.maximum(values, 0.0)
        for i in band:
            w[i] = vectors @ (invert(values + penalties[i].min())[:, np.newaxis] * rotated)
    return w


def _quadratic(held, w):
    """Squared error of weights (n, p, n_channels) without intercept."""
    error = np.diag(held.yy) - 2 * np.einsum("npc,pc->nc", w, held.xy)
    return error + np.array([np.einsum("pc,pc->c", each, held.xx @ each) for each in w])


def _group_errors(fold, w, centered):
    """Held-out errors of the group's weights, with intercepts and, if centered, its course."""
    there = [part for part in fold[0] if part is not None]
    population = np.mean([part.intercept(w) for part in there], axis=0)
    group = [_group_course(there, each) for each in w] if centered else None
    errors = 0.0
    for train, held in zip(*fold):
        if held is None:
            continue
        b = population if train is None else train.intercept(w)
        left = held.lags.y - np.einsum("p,npc->nc", held.lags.x, w)
        errors = errors + _quadratic(held.lags, w) - 2 * b * left + held.lags.n_samples * b**2
        if centered:
            courses = group
            if CENTERED[centered] == "subject" and train is not None:
                courses = [_own_course(train, *wb) for wb in zip(w, b)]
            errors += np.array([_course_error(held, *wbc) for wbc in zip(w, b, courses)])
    return errors


def _course_error(held, w, intercept, course):
    """What adding a course changes in the squared error."""
    left = held.residual_course(w) - intercept[:, np.newaxis] * held.count
    return np.einsum("ct,ct->c", course, held.count * course - 2 * left)


def _rest_errors(folds, weights, centered):
    """Held-out errors (n_deviations, n_kappas, n_kappas, n_channels) given the group's weights."""
    n = len(SETTINGS.kappas)
    errors = np.zeros((len(SETTINGS.deviations), n, n, weights[0].shape[1]))
    for (train, held), w in zip(folds, weights):
        there = [part for part in train if part is not None]
        course = _group_course(there, w)
        paths = [None if p is None else _deviation_path(p, w, course, centered) for p in train]
        for i, error in enumerate(errors):
            each = [w if path is None else path[i] for path in paths]
            error += _fold_error(train, held, each, w)
    return errors


def _deviation_path(part, w, course, centered):
    xx, xy = _left_over(part, w, course, centered)
    values, vectors = eigh(xx, check_finite=False)
    rotated, values = vectors.T @ xy, np.maximum(values, 0.0)
    path = np.repeat(w[np.newaxis], len(SETTINGS.deviations), axis=0)
    for change, penalty in zip(path, SETTINGS.deviations):
        if np.isfinite(penalty):
            change += vectors @ (invert(values + penalty)[:, np.newaxis] * rotated)
    return path


def _fold_error(train, held, weights, group_weights):
    """Errors (n_kappas, n_kappas, n_channels) of one fold, all subjects."""
    there = [i for i, part in enumerate(train) if part is not None]
    intercepts = {i: train[i].intercept(weights[i]) for i in there}
    raw = {i: _own_course(train[i], weights[i], intercepts[i]) for i in there}
    group = _mean_course([raw[i] for i in there], [train[i] for i in there])
    population = np.mean(list(intercepts.values()), axis=0)
    kappas = np.array(SETTINGS.kappas)
    a = _shrink(sum(train[i].count.max() for i in there), kappas)[:, np.newaxis, np.newaxis]
    errors = 0.0
    for i, part in enumerate(held):
        if part is None:
            continue
        seen = i in raw
        w, b = (weights[i], intercepts[i]) if seen else (group_weights, population)
        n = train[i].count.max() if seen else 0.0
        own = np.where(train[i].count > 0, raw[i] - group, 0.0) if seen else np.zeros_like(group)
        share = (_shrink(n, kappas) if n else np.zeros(len(kappas)))[:, np.newaxis]
        left = part.residual_course(w) - b[:, np.newaxis] * part.count

        def dot(u, v):
            return np.einsum("ct,ct->c", u, v)

        plain = _quadratic(part.lags, w[np.newaxis])[0]
        plain += -2 * b * (part.lags.y - part.lags.x @ w) + part.lags.n_samples * b**2
        counted = part.count * group, part.count * own
        errors = errors + (
            plain
            + a * (a * dot(counted[0], group) - 2 * dot(left, group))
            + share * (share * dot(counted[1], own) - 2 * dot(left, own))
            + 2 * a * share * dot(counted[0], own)
        )
    return errors


class _Best:
    """Index of the lowest error of each channel, the first among equals."""

    def __init__(self, variance, per_channel):
        self.variance = np.where(variance > 0, variance, 1.0)
        self.shared = SETTINGS.shared_choice if per_channel else 1.0

    def __call__(self, errors):
        scores = self._scores(errors)
        return np.argmax(scores <= scores.min(axis=0) + SETTINGS.tie, axis=0)

    def strongest(self, errors, penalties):
        """The largest of the penalties that are worse by no more than a standard error.

        `errors` are those of each fold. With one trial a subject all differences between subjects
        weigh on the choice, and what looks like an effect of a condition is often one of these.
        """
        scores = self._scores(errors)
        least = scores.sum(axis=0).argmin(axis=0)
        worse = scores - np.take_along_axis(scores, least[np.newaxis, np.newaxis], axis=1)
        error = np.sqrt(len(scores)) * worse.std(axis=0, ddof=1)
        near = worse.sum(axis=0) <= error + SETTINGS.tie
        size = np.log(penalties).mean(axis=1)[:, np.newaxis]
        return np.argmax(np.where(near, size, -np.inf), axis=0)

    def _scores(self, errors):
        scores = errors / self.variance
        return (1 - self.shared) * scores + self.shared * scores.mean(axis=-1, keepdims=True)


def _variance(total):
    return sum(np.diag(part.lags.centered().yy) for part in total)


def _default_choice(n_channels, candidate):
    def full(value):
        return np.full(n_channels, value)

    first = SETTINGS.deviations[0], SETTINGS.kappas[0], SETTINGS.kappas[0]
    return Choice(full(0), full(candidate), *map(full, first))


def _folds(sums):
    """Sums of training and held-out trials, (train, held) with one entry a subject each."""
    n_folds = len(sums[0])
    folds = []
    for f in range(n_folds):
        train = [sum_of([p for g, p in enumerate(parts) if g != f]) for parts in sums]
        held = [parts[f] for parts in sums]
        if any(p is not None for p in train) and any(p is not None for p in held):
            folds.append((train, held))
    return folds


def sum_of(parts):
    """Sum over those that are not None; None if all are."""
    parts = [part for part in parts if part is not None]
    return sum(parts[1:], parts[0]) if parts else None
