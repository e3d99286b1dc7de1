"""One model in one fold: fit, scores, maps of every subject, and the null of its features."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial

import numpy as np
from sklearn.base import clone

from .._checks.trials import pieces, release_pages
from .._saving.space import room
from .._scores import blocks, nanmean, standardize
from ..metrics import r2, r_across_trials, r_map, r_over_time
from ..rows import mask_of
from . import null
from .knowledge import exchange, from_others, predict_in_parts, what_it_knows
from .mapped import in_file, some_trials, take

SCORES = {"r": r_across_trials, "r_time": r_over_time, "r2": r2}


@dataclass(frozen=True)
class Plan:
    """What is the same for all models and folds of a study.

    scoring (dict of name -> name in `SCORES` or scorer)
    start: First sample that is scored.
    mask_row (int or None): Row of X that is 1 where a sample is scored.
    parts (Parts or None): Rows of X by what they say; None if nobody says so.
    n_permutations: Exchanges of features between trials, per feature and fold.
    responses: Whether y holds responses, (n_trials, n_channels, n_times).
    """

    scoring: dict
    start: int = 0
    mask_row: int | None = None
    parts: object = None
    n_permutations: int = 0
    seed: int = 0
    responses: bool = True


def run_fold(model, X, y, split, subjects, fold, plan):
    """Fit a clone of `model` on the training trials and score it on the test trials.

    X, y (ndarray or memmap, trials on axis 0), split (tuple of (train, test) indices), subjects
        (n_trials,)
    fold: Number of the fold, which decides how features are exchanged.
    Returns arrays (dict of ndarray): ``subjects``, ``n_test``, ``scores`` (n_subjects, n_metrics)
        and ``pooled`` over all test trials; ``unusual`` (n_subjects,), the share of trials unlike
        those of `fit`, of models that say so; of responses also ``maps``
        (n_subjects, n_channels, n_times), ``pooled_curve`` and ``influence`` (n_test,), the share
        of each trial in R.
    and meta (dict): ``fit_s``, ``predict_s``, and ``knows``.
    """
    train, test = split
    began = time.perf_counter()
    with some_trials([X] if y is None else [X, y], train) as data:
        fitted = clone(model).fit(*data)
        release_pages(*data)
    fit_s = time.perf_counter() - began
    with some_trials([X] if y is None else [X, y], test) as (X_test, *y_test):
        test_set = _TestSet(X_test, y_test[0] if y_test else None, subjects[test])
        score = _score_responses if plan.responses else _score_anything
        arrays, meta = score(fitted, test_set, fold, plan)
    release_pages(X, y)
    return arrays, {"fit_s": fit_s, **meta}


def _score_anything(fitted, test_set, fold, plan):
    began = time.perf_counter()
    arrays = {**_plain_scores(fitted, test_set, plan), **_unusual(fitted, test_set)}
    return arrays, {"predict_s": time.perf_counter() - began}


def _score_responses(fitted, test_set, fold, plan):
    began = time.perf_counter()
    y_pred = _predict(fitted, test_set)
    meta = {"predict_s": time.perf_counter() - began}
    arrays = {**_response_scores(fitted, test_set, y_pred, plan), **_unusual(fitted, test_set)}
    if plan.parts is not None:
        meta["knows"] = what_it_knows(fitted, test_set.X, y_pred, plan.parts)
        if meta["knows"]["features"] and plan.n_permutations:
            arrays.update(_nulls(fitted, test_set, y_pred, fold, plan))
    return arrays, meta


def _predict(fitted, test_set):
    """Checked prediction of all test trials, made a part at a time; in a file if y is in one."""
    X, y = test_set.X, test_set.y
    y_pred = room(y.shape) if in_file(y) else np.empty_like(y)
    for trials, part in predict_in_parts(fitted, X.__getitem__, X, y):
        y_pred[trials] = check_prediction(fitted, part, y[trials])
        release_pages(y_pred)
    return y_pred


@dataclass(frozen=True)
class _TestSet:
    """Test trials of one fold."""

    X: np.ndarray
    y: np.ndarray | None
    subjects: np.ndarray

    def by_subject(self):
        """Names of the subjects, and which trials are theirs."""
        names = np.unique(self.subjects)
        return names, [np.flatnonzero(self.subjects == name) for name in names]

    def counted(self, mask_row):
        """Which samples count: (n_trials, n_times), or None if all do."""
        return None if mask_row is None else mask_of(self.X, mask_row)


def _plain_scores(fitted, test_set, plan):
    """Scores of anything else than responses: every scorer within every subject."""
    names, theirs = test_set.by_subject()

    def scores(trials):
        y = () if test_set.y is None else (test_set.y[trials],)
        return [scorer(fitted, test_set.X[trials], *y) for scorer in plan.scoring.values()]

    arrays = {
        "subjects": names,
        "n_test": np.array([len(trials) for trials in theirs]),
        "scores": np.array([scores(trials) for trials in theirs], dtype=float),
        "pooled": np.array(scores(np.arange(len(test_set.X))), dtype=float),
    }
    if test_set.y is not None and test_set.y.ndim == 1 and hasattr(fitted, "predict"):
        arrays["predicted"] = np.asarray(fitted.predict(test_set.X))
    return arrays


def _unusual(fitted, test_set):
    """Whose test trials are unlike those of `fit`, where the model says so."""
    if not hasattr(fitted, "is_unusual"):
        return {}
    found = np.asarray(fitted.is_unusual(test_set.X), dtype=bool)
    names, theirs = test_set.by_subject()
    if len(found) != len(test_set.X):
        return {}
    return {"unusual": np.array([found[trials].mean() for trials in theirs])}


def _response_scores(fitted, test_set, y_pred, plan):
    counted = test_set.counted(plan.mask_row)
    names, theirs = test_set.by_subject()
    everyone = np.arange(len(y_pred))

    def scores(trials):
        return [
            _score(scorer, fitted, test_set, y_pred, trials, plan.start, counted)
            for scorer in plan.scoring.values()
        ]

    maps = subject_maps(test_set.y, y_pred, theirs, counted)
    pooled = subject_maps(test_set.y, y_pred, [everyone], counted)[0]
    return {
        "subjects": names,
        "n_test": np.array([len(trials) for trials in theirs]),
        "scores": np.array([scores(trials) for trials in theirs], dtype=float),
        "pooled": np.array(scores(everyone), dtype=float),
        "maps": maps.astype(np.float32),
        "pooled_map": pooled.astype(np.float32),
        "influence": influence(test_set.y, y_pred, theirs, plan.start, counted),
        "whose": np.searchsorted(names, test_set.subjects),  # subject of each test trial
    }


def subject_maps(y_true, y_pred, theirs, counted=None):
    """R across the trials of each subject: (n_subjects, n_channels, n_times)."""
    maps = []
    for trials in theirs:
        where = None if counted is None else counted[trials]
        maps.append(r_map(take(y_true, trials), take(y_pred, trials), mask=where))
        release_pages(y_true, y_pred)
    return np.array(maps)


def influence(y_true, y_pred, theirs, start, counted=None):
    """How much each trial moves R: the influence function of the correlation (Devlin 1975).

    With z-scored x and y it is ``x y - R (x^2 + y^2) / 2``, here averaged over channels and
    samples. Its mean over trials is 0; its variance over n is the sampling variance of R.
    """
    values = np.zeros(len(y_true))
    for trials in theirs:
        there = None if counted is None else counted[trials][:, np.newaxis, start:]
        own = (take(v, trials)[:, :, start:] for v in (y_true, y_pred))
        for block in blocks(*own, there):
            a, b = (_z_scored(v, there) for v in block[:2])
            n = len(a) if there is None else np.maximum(there.sum(axis=0), 1)
            r = (a * b).sum(axis=0) / n
            values[trials] += (a * b - r * (a**2 + b**2) / 2).mean(axis=2).sum(axis=1)
    return values / y_true.shape[1]


def _z_scored(values, there):
    """Values with mean 0 and variance 1 over trials; 0 where they do not count or vary."""
    z, _, flat = standardize(values if there is None else np.where(there, values, 0), 0, there)
    n = len(z) if there is None else np.maximum(there.sum(axis=0), 1)
    sd = np.sqrt(np.square(z).sum(axis=0) / n)
    return np.where(flat, 0.0, z / np.where(sd > 0, sd, 1.0))


def _nulls(fitted, test_set, y_pred, fold, plan):
    """Scores without slow trends, with the features and with those of other trials.

    Returns ``tested`` (n_subjects,), its ``null`` (n_permutations, n_subjects), the same for each
    feature, and ``null_z`` (n_subjects, n_channels, n_times). `y_pred` is overwritten.
    """
    _, theirs = test_set.by_subject()
    counted = test_set.counted(plan.mask_row)
    y = _copy(test_set.y)
    null.remove_trends(y, theirs, counted)

    def maps(changed=None):
        if changed is not None:
            for part, found in predict_in_parts(fitted, changed, test_set.X, test_set.y):
                y_pred[part] = found
                release_pages(y_pred)
        null.remove_trends(y_pred, theirs, counted)
        return subject_maps(y, y_pred, theirs, counted)

    def draws(number, change):
        rng = np.random.default_rng([plan.seed, fold, number])
        for _ in range(plan.n_permutations):
            yield maps(partial(change, exchange(test_set.subjects, rng)))

    rows = plan.parts.rows("features")
    observed, moments, means = maps(), null.Moments(), []
    for drawn in draws(0, partial(from_others, test_set.X, rows)):
        moments.add(drawn)
        means.append(_map_means(drawn, plan.start))
    z = null.z_of_fold(observed, moments.mean, moments.sd, moments.n)
    each, features = [np.array(means)], plan.parts.features
    if len(features) > 1:
        each = [
            np.array([_map_means(drawn, plan.start) for drawn in draws(i, exchanger)])
            for i, exchanger in enumerate(
                (_exchanger(test_set.X, own, rows) for own in features.values()), start=1
            )
        ]
    return {
        "tested": _map_means(observed, plan.start),
        "null": np.array(means),
        "feature_nulls": np.array(each),  # (n_features, n_permutations, n_subjects)
        "null_z": np.asarray(z, dtype=np.float32),
    }


def _copy(y):
    """A copy, in a file if y is in one."""
    copy = room(y.shape) if in_file(y) else np.empty_like(y)
    for part in pieces(y):
        copy[part] = y[part]
        release_pages(copy)
    return copy


def _exchanger(X, own, rows):
    """Function of a permutation and a part: its X with the own part of one feature exchanged."""
    own = np.asarray(own)
    others = np.setdiff1d(rows, own)
    fitted, residual = null.independent_part(X, own, others)

    def change(source, part):
        if residual is None:
            return from_others(X, own, source, part)
        changed = np.array(X[part])
        changed[:, own] = fitted[part] + residual[source[part]]
        return changed

    return change


def _map_means(maps, start):
    """Mean over channels and samples of the map of each subject."""
    return nanmean(maps[:, :, start:].reshape(len(maps), -1), axis=1)


def _score(scorer, fitted, test_set, y_pred, trials, start, counted):
    if isinstance(scorer, str):
        if scorer != "r_time" and len(trials) < 2:
            return np.nan  # no warning: studies then score over pooled subjects
        where = None if counted is None else counted[trials]
        own = take(test_set.y, trials), take(y_pred, trials)
        found = SCORES[scorer](*own, start=start, mask=where)
        release_pages(test_set.y, y_pred)
        return found
    return scorer(fitted, test_set.X[trials], test_set.y[trials])


def check_prediction(model, y_pred, y_true):
    """Return the prediction, in the precision of y, if it has its shape and is finite."""
    if y_pred.shape != y_true.shape:
        raise ValueError(
            f"{type(model).__name__}.predict must return the shape of y, {y_true.shape}. "
            f"Got {y_pred.shape}."
        )
    if not np.isfinite(y_pred).all():
        raise ValueError(f"{type(model).__name__} predicts NaN or infinity.")
    return y_pred.astype(y_true.dtype, copy=False)
