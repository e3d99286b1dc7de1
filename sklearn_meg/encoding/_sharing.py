"""How much subjects share, chosen on held-out trials from sums of products alone."""

import numpy as np
from scipy.linalg import eigh

from ._blocks import not_zero
from ._lags import invert
from ._pooling import (
    CENTERED,
    OFFSETS,
    SETTINGS,
    Choice,
    fit_pooled,
    group_course,
    group_sums,
    left_over,
    mean_course,
    own_course,
    shrink,
    sum_of,
)


def pool_subjects(sums, penalties, bands, per_channel=True, white=None):
    """Choose how much subjects share, and fit.

    sums (list of list of (TrialSums or None)): One list a subject, of the same folds.
    white (list or None): The same, filtered so that the noise is white: the weights are fitted to
        these, and judged on `sums`.
    penalties (n_candidates, p): Penalties of the group's weights to choose from.
    bands (list of ndarray of int): Candidates that differ in a factor alone share an
        eigendecomposition.
    per_channel: Choose for each channel, or once for all.
    Returns model (PooledModel), choice (Choice)
    and scores (n_channels, n_candidates): Held-out R2 of the group's model alone, NaN where
        there was nothing to choose on.
    fold_models (list of PooledModel): Fitted without each fold.
    and errors (n_folds,): Held out, as shares of the variance, mean over channels.
    """
    scale = _loudness([sum_of(parts) for parts in sums])
    sums, white = (
        each and [[p and p.in_units(own) for p in parts] for parts, own in zip(each, scale)]
        for each in (sums, white)
    )
    folds = _folds(sums, white)
    total = [sum_of(parts) for parts in sums]
    n_channels = len(total[0].y_course)
    if len(folds) < 2:
        middle = (len(penalties) - 1) // 2
        choice = _default_choice(n_channels, middle)
        scores, errors = np.full((n_channels, len(penalties)), np.nan), np.zeros(1)
    else:
        best = _Best(_variance(total), per_channel)
        few = max(part.count.max() for part in total) <= SETTINGS.few
        choice, scores, errors = _search(folds, penalties, bands, best, few)
    # A fold without which there is nothing to fit has no model of its own.
    scale = np.vstack([scale, np.ones_like(scale[:1])])
    own = [fit_pooled(train, w, penalties, choice).in_units(scale) for train, _, w in folds]
    white = [sum_of(parts) for parts in white] if white else total
    model = fit_pooled(total, white, penalties, choice).in_units(scale)
    own = own if len(own) == len(sums[0]) else [model] * len(sums[0])
    return model, choice, scores, own, errors


def _loudness(total):
    """Units in which responses of subjects are alike, about 1: (n_subjects, n_channels).

    Subjects and sensors differ in gain, and loud ones would decide for all. But ongoing activity
    differs as well; so units follow the logarithm of the spread as far as that is of a subject's
    mean response.
    """
    variance = np.array([np.diag(part.lags.centered().yy) / part.lags.n_samples for part in total])
    mean = variance.mean(axis=0)
    ratio = np.maximum(variance, 1e-6 * mean) / np.where(mean > 0, mean, 1.0)
    return np.where(mean > 0, ratio, 1.0) ** (_share_of_courses(total, variance) / 2)


def _share_of_courses(total, variance):
    """Share of the variance (n_subjects, n_channels) that is of mean courses, as trials tell it.

    With variance V of all and M of the mean of n trials: ``(M - V / n) / (1 - 1 / n)``.
    """
    n = np.array([part.count.max() for part in total])
    if n.max() < 2:
        return SETTINGS.untold_share
    told, n = n >= 2, n[n >= 2, np.newaxis]
    course = np.array([_variance_of_course(total[i]) for i in np.flatnonzero(told)])
    kept = (course - variance[told] / n) / (1 - 1 / n)
    own = np.maximum(variance[told], np.finfo(float).tiny)
    return float(np.clip(np.mean(kept.sum(axis=0) / own.sum(axis=0)), 0.0, 1.0))


def _variance_of_course(part):
    """Variance of a subject's mean response over the samples that count, (n_channels,)."""
    course = part.y_course / not_zero(part.count)
    mean = np.average(course, axis=1, weights=part.count)
    return np.average((course - mean[:, np.newaxis]) ** 2, axis=1, weights=part.count)


def _folds(sums, white):
    """Sums of training and held-out trials, (train, held, white) with one entry a subject each."""
    folds = []
    for f in range(len(sums[0])):
        train = _without(sums, f)
        held = [parts[f] for parts in sums]
        if any(p is not None for p in train) and any(p is not None for p in held):
            folds.append((train, held, _without(white, f) if white else train))
    return folds


def _without(sums, fold):
    """Sums of each subject over all folds but one."""
    return [sum_of([p for g, p in enumerate(parts) if g != fold]) for parts in sums]


def _default_choice(n_channels, candidate):
    def full(value):
        return np.full(n_channels, value)

    first = SETTINGS.deviations[0], SETTINGS.kappas[0], SETTINGS.kappas[0]
    return Choice(full(0), full(candidate), *map(full, first), full(OFFSETS.index("all")))


def _search(folds, penalties, bands, best, few):
    """Choose on held-out trials: the group's penalty first, then the rest together."""
    found, channels = [], np.arange(len(best.variance))
    told = any(t is not None and h is not None for fold in folds for t, h in zip(*fold[:2]))
    for centered in range(len(CENTERED)):
        path = [_path(white, penalties, bands, centered) for _, _, white in folds]
        each = np.array([_group_errors(fold, w, centered) for fold, w in zip(folds, path)])
        errors = each.sum(axis=0)
        candidate = best(errors) if told else best.strongest(each, np.log(penalties).mean(axis=1))
        chosen = [w[candidate, :, channels].T for w in path]
        found.append((candidate, errors, chosen))
    each = np.array([_rest_errors(folds, f[2], c) for c, f in enumerate(found)])
    if not told:  # no subject has trials on both sides: nothing tells
        each = each[:, :, :1, :1, :, :1]
    rest = each.sum(axis=1)
    rest = rest if few or not told else rest[:, :, OFFSETS.index("all") :]
    flat = rest.reshape(-1, len(channels))
    index = best(flat) if told else best.plainest(each[:, :, 0, 0, :, 0])
    centered, deviation, offset, group, subject = np.unravel_index(index, rest.shape[:-1])
    each = each[:, :, :, -rest.shape[2] :].swapaxes(0, 1).reshape(len(folds), *flat.shape)
    errors = (each[:, index, channels] / best.variance).mean(axis=1)
    offset = offset + len(OFFSETS) - rest.shape[2] if told else offset
    candidates = np.array([f[0] for f in found])[centered, channels]
    kappas, deviations = np.array(SETTINGS.kappas), np.array(SETTINGS.deviations)
    own = kappas[subject] if told else np.full(len(channels), SETTINGS.untold)
    parts = deviations[deviation], kappas[group], own, offset
    choice = Choice(centered, candidates, *parts, told)
    return choice, 1 - found[0][1].T / best.variance[:, np.newaxis], errors


def _path(train, penalties, bands, centered):
    """Weights of the group for all penalties: (n_candidates, p, n_channels)."""
    xx, xy = group_sums([part for part in train if part is not None], centered)
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
    group = [group_course(there, each) for each in w] if centered else None
    errors = 0.0
    for train, held in zip(*fold[:2]):
        if held is None:
            continue
        b = population if train is None else train.intercept(w)
        left = held.lags.y - np.einsum("p,npc->nc", held.lags.x, w)
        errors = errors + _quadratic(held.lags, w) - 2 * b * left + held.lags.n_samples * b**2
        if centered:
            courses = group
            if CENTERED[centered] == "subject" and train is not None:
                courses = [own_course(train, *wb) for wb in zip(w, b)]
            errors += np.array([_course_error(held, *wbc) for wbc in zip(w, b, courses)])
    return errors


def _course_error(held, w, intercept, course):
    """What adding a course changes in the squared error."""
    left = held.residual_course(w) - intercept[:, np.newaxis] * held.count
    return _dot(course, held.count * course - 2 * left)


def _rest_errors(folds, weights, centered):
    """Held-out errors given the group's weights.

    Returns errors (n_folds, n_deviations, n_offsets, n_kappas, n_kappas, n_channels)
    """
    each = []
    for (train, held, white), w in zip(folds, weights):
        there = [part for part in white if part is not None]
        course = group_course(there, w)
        paths = [None if p is None else _deviation_path(p, w, course, centered) for p in white]
        n = range(len(SETTINGS.deviations))
        own = ([w if path is None else path[i] for path in paths] for i in n)
        each.append(np.array([_fold_error(train, held, weights, w) for weights in own]))
    return np.array(each)


def _deviation_path(part, w, course, centered):
    xx, xy = left_over(part, w, course, centered)
    values, vectors = eigh(xx, check_finite=False)
    rotated, values = vectors.T @ xy, np.maximum(values, 0.0)
    path = np.repeat(w[np.newaxis], len(SETTINGS.deviations), axis=0)
    for change, penalty in zip(path, SETTINGS.deviations):
        if np.isfinite(penalty):
            change += vectors @ (invert(values + penalty)[:, np.newaxis] * rotated)
    return path


def _dot(u, v):
    """Products of courses (n_channels, n_times), summed over time."""
    return np.einsum("ct,ct->c", u, v)


def _fold_error(train, held, weights, group_weights):
    """Errors (n_offsets, n_kappas, n_kappas, n_channels) of one fold, all subjects."""
    there = [i for i, part in enumerate(train) if part is not None]
    intercepts = {i: train[i].intercept(weights[i]) for i in there}
    raw = {i: own_course(train[i], weights[i], intercepts[i]) for i in there}
    group = mean_course([raw[i] for i in there], [train[i] for i in there])
    population = np.mean(list(intercepts.values()), axis=0)[:, np.newaxis]
    kappas = np.array(SETTINGS.kappas)
    a = shrink(sum(train[i].count.max() for i in there), kappas)[:, np.newaxis, np.newaxis]
    errors = 0.0
    for i, part in enumerate(held):
        if part is None:
            continue
        seen = i in raw
        w = weights[i] if seen else group_weights
        n, own, more = 0.0, np.zeros_like(group), np.zeros_like(group)
        if seen:
            n = train[i].count.max()
            own = np.where(train[i].count > 0, raw[i] - group, 0.0)
            more += intercepts[i][:, np.newaxis] - population
        share = (shrink(n, kappas) if n else np.zeros(len(kappas)))[:, np.newaxis]
        left = part.residual_course(w) - population * part.count
        # What is kept of the intercept, by offset: as much as of the course, or all.
        kept = np.array([share, np.ones_like(share)])[:, np.newaxis]
        plain = _quadratic(part.lags, w[np.newaxis])[0]
        plain += _dot(population * part.count, population) - 2 * _dot(
            population, part.residual_course(w)
        )
        c_group, c_own, c_more = (part.count * each for each in (group, own, more))
        errors = errors + (
            plain
            + a * (a * _dot(c_group, group) - 2 * _dot(left, group))
            + share * (share * _dot(c_own, own) - 2 * _dot(left, own))
            + kept * (kept * _dot(c_more, more) - 2 * _dot(left, more))
            + 2 * a * share * _dot(c_group, own)
            + 2 * kept * (a * _dot(c_more, group) + share * _dot(c_more, own))
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

    def strongest(self, errors, size):
        """The largest of those that are worse by no more than a standard error.

        errors (n_folds, n, n_channels), size (n,)
        With one trial a subject all differences between subjects weigh on the choice, and what
        looks like an effect of a condition is often one of these.
        """
        scores = self._scores(errors)
        least = scores.sum(axis=0).argmin(axis=0)
        worse = scores - np.take_along_axis(scores, least[np.newaxis, np.newaxis], axis=1)
        error = np.sqrt(len(scores)) * worse.std(axis=0, ddof=1)
        near = worse.sum(axis=0) <= error + SETTINGS.tie
        return np.argmax(np.where(near, size[:, np.newaxis], -np.inf), axis=0)

    def plainest(self, errors):
        """That which leaves most to the group's course, if worse by no more than a standard error.

        errors (n_centered, n_folds, n_kappas, n_channels)
        Returns index (n_channels,): Into (n_centered, n_kappas).
        """
        kappa = np.array([self(each.sum(axis=0)) for each in errors])
        found = np.array(
            [
                np.take_along_axis(each, k[np.newaxis, np.newaxis], axis=1)[:, 0]
                for each, k in zip(errors, kappa)
            ]
        ).swapaxes(0, 1)
        centered = self.strongest(found, np.array([0, 2, 1]))
        return centered * errors.shape[2] + kappa[centered, np.arange(len(centered))]

    def _scores(self, errors):
        scores = errors / self.variance
        return (1 - self.shared) * scores + self.shared * scores.mean(axis=-1, keepdims=True)


def _variance(total):
    return sum(np.diag(part.lags.centered().yy) for part in total)
