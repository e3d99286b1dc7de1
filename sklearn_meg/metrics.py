"""Scores of predicted brain signals.

All functions take trials on axis 0: ``(n_trials, n_channels, n_times)``. Score inside every
cross-validation fold and average the scores. Predictions pooled over folds and correlated once
are biased: a model that predicts the mean of its training trials then scores below zero,
because a fold with a high mean has a low training mean.

Two cases have no correlation, and they do not mean the same thing:

- **a flat target** (a dead channel): nothing could be explained, so it is left out of the mean;
- **a constant prediction** of a target that varies: it explains nothing, so it counts as 0.
  Leaving it out would reward a model for staying silent where it knows nothing.

`pearson_r` says NaN in both cases; the averaged scores and the scorers follow the rule above,
and are NaN only if no target varies (or there is a single trial).

With a mask only the samples that count are compared, and each part of a mean weighs by how many
of them it has: where few trials are left, their correlation is mostly chance.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from sklearn.metrics import make_scorer

from ._checks.mne_objects import unwrap_mne
from ._scores import (
    as_trials,
    blocks,
    check_start,
    correlate,
    from_start,
    masked_pair,
    mean_of_map,
    pair,
    standardize,
    trial_weights,
    warn_one_trial,
)
from .rows import mask_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal

    from ._typing import ArrayLike, BaseEpochs

__all__ = [
    "by_subject",
    "make_r_scorer",
    "noise_ceiling",
    "pearson_r",
    "r2",
    "r_across_trials",
    "r_map",
    "r_over_time",
]


def pearson_r(
    y_true: ArrayLike | BaseEpochs,
    y_pred: ArrayLike | BaseEpochs,
    axis: int = 0,
    mask: ArrayLike | None = None,
) -> np.ndarray:
    """Pearson correlation along one axis; by default across trials.

    Parameters
    ----------
    y_true, y_pred : array-like or Epochs of shape (n_trials, n_channels, n_times)
        Any unit: 1e-13 T is as good as 1.
    axis : int, default=0
        Axis that is correlated along and disappears.
    mask : array-like of bool of shape (n_trials, n_times), default=None
        True where a sample counts (see :func:`~sklearn_meg.pack_rows`). What the others
        hold does not matter, NaN included.

    Returns
    -------
    r : ndarray of shape (n_channels, n_times) for ``axis=0``
        NaN where either side is constant (up to rounding of its own type) along `axis`.

    Raises
    ------
    ValueError
        If the shapes differ, or the mask is not 0 or 1.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.metrics import pearson_r
    >>> y = np.random.default_rng(0).normal(size=(30, 2, 4))
    >>> pearson_r(y, 3 * y + 1).round(6)
    array([[1., 1., 1., 1.],
           [1., 1., 1., 1.]])
    """
    return correlate(*masked_pair(y_true, y_pred, mask), axis)[0]


def r_map(
    y_true: ArrayLike | BaseEpochs,
    y_pred: ArrayLike | BaseEpochs,
    axis: int = 0,
    mask: ArrayLike | None = None,
) -> np.ndarray:
    """Pearson correlation in which a constant prediction counts as 0, so that maps can be averaged.

    Parameters
    ----------
    y_true, y_pred : array-like or Epochs of shape (n_trials, n_channels, n_times)
    axis : int, default=0
        Axis that is correlated along and disappears.
    mask : array-like of bool of shape (n_trials, n_times), default=None
        True where a sample counts (see :func:`~sklearn_meg.pack_rows`).

    Returns
    -------
    r : ndarray
        NaN only where `y_true` is constant along `axis`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.metrics import r_map
    >>> y = np.random.default_rng(0).normal(size=(30, 2, 1))
    >>> r_map(y, y * [[1.0], [0.0]]).round(6)
    array([[1.],
           [0.]])
    """
    r, flat_true, flat_pred = correlate(*masked_pair(y_true, y_pred, mask), axis)
    return np.where(flat_pred & ~flat_true, 0.0, r)


def r_across_trials(
    y_true: ArrayLike | BaseEpochs,
    y_pred: ArrayLike | BaseEpochs,
    start: int = 0,
    mask: ArrayLike | None = None,
) -> float:
    """Mean over channels and times of the Pearson R across trials.

    The score of the Deep Recurrent Encoder (Chehab et al. 2021, arXiv 2103.02339): does the
    model know how one trial differs from another? For several subjects compute it within each
    (see `by_subject`); across subjects it also counts how they differ on average.

    Parameters
    ----------
    y_true, y_pred : array-like or Epochs of shape (n_trials, n_channels, n_times)
    start : int, default=0
        First sample that counts; the end of the initial window that a model was given.
    mask : array-like of bool of shape (n_trials, n_times), default=None
        True where a sample counts (see :func:`~sklearn_meg.pack_rows`). Channels and times
        weigh by the number of trials in which they count.

    Returns
    -------
    r : float
        NaN if no channel varies over trials at any such time. One trial is also an
        `UndefinedMetricWarning`.

    Raises
    ------
    ValueError
        If the shapes differ, or `start` leaves no sample.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.metrics import r_across_trials
    >>> rng = np.random.default_rng(0)
    >>> y = rng.normal(size=(200, 3, 10))
    >>> round(r_across_trials(y, y + rng.normal(size=y.shape)), 1)
    0.7
    """
    y_true, y_pred, mask = from_start(y_true, y_pred, start, mask)
    warn_one_trial(len(y_true))
    return mean_of_map(r_map(y_true, y_pred, mask=mask), mask)


def r_over_time(
    y_true: ArrayLike | BaseEpochs,
    y_pred: ArrayLike | BaseEpochs,
    start: int = 0,
    mask: ArrayLike | None = None,
) -> float:
    """Mean over trials and channels of the Pearson R over the samples of a trial.

    The usual score of temporal receptive fields. A model that predicts the same response in
    every trial can score high.

    Parameters
    ----------
    y_true, y_pred : array-like or Epochs of shape (n_trials, n_channels, n_times)
    start : int, default=0
        First sample that counts.
    mask : array-like of bool of shape (n_trials, n_times), default=None
        True where a sample counts (see :func:`~sklearn_meg.pack_rows`). Trials weigh by
        the number of their samples that count.

    Returns
    -------
    r : float
        NaN if no channel varies in any trial.

    Raises
    ------
    ValueError
        If the shapes differ, or `start` leaves no sample.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.metrics import r_over_time
    >>> wave = np.sin(np.arange(50) / 5)
    >>> y = wave * np.ones((8, 2, 1))
    >>> round(r_over_time(y, -y), 6)
    -1.0
    """
    y_true, y_pred, mask = from_start(y_true, y_pred, start, mask)
    return mean_of_map(r_map(y_true, y_pred, axis=2, mask=mask), mask, axis=2)


def r2(
    y_true: ArrayLike | BaseEpochs,
    y_pred: ArrayLike | BaseEpochs,
    start: int = 0,
    mask: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Coefficient of determination across trials, averaged over channels and times.

    ``1 - SSE / SST`` per channel and time, where SST is taken around the mean of the trials
    that are scored, as in :func:`sklearn.metrics.r2_score`; as there, a constant target counts 1
    if it is predicted exactly and 0 otherwise. This is also the ``score`` of every encoder.

    Parameters
    ----------
    y_true, y_pred : array-like or Epochs of shape (n_trials, n_channels, n_times)
    start : int, default=0
        First sample that counts.
    mask : array-like of bool of shape (n_trials, n_times), default=None
        True where a sample counts (see :func:`~sklearn_meg.pack_rows`). Channels and times
        weigh by the number of trials in which they count, and nothing if that is one.
    sample_weight : array-like of shape (n_trials,), default=None
        Weight of each trial: 2 is the same as the trial twice.

    Returns
    -------
    r2 : float
        At most 1; below 0 if the mean of these trials would have been the better prediction.
        NaN if no channel and time counts in two trials. One trial is also an
        `UndefinedMetricWarning`.

    Raises
    ------
    ValueError
        If the shapes differ, or `start` leaves no sample.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.metrics import r2
    >>> y = np.random.default_rng(0).normal(size=(30, 2, 4))
    >>> r2(y, y), r2(y, np.broadcast_to(y.mean(axis=0), y.shape))
    (1.0, 0.0)
    """
    y_true, y_pred, mask = from_start(y_true, y_pred, start, mask)
    warn_one_trial(len(y_true))
    y_true, y_pred, there = masked_pair(y_true, y_pred, mask)
    w = trial_weights(sample_weight, len(y_true))
    counted = np.ones((1, 1, y_true.shape[2])) if there is None else there
    n_trials = ((w > 0) * counted).sum(axis=0)
    weights = np.where(n_trials > 1, (w * counted).sum(axis=0), 0)
    weights = np.broadcast_to(weights, y_true.shape[1:])
    if not weights.any():
        return float("nan")
    scores = [_r2_of_block(*block, w, sample_weight) for block in blocks(y_true, y_pred, there)]
    return float(np.average(np.concatenate(scores), weights=weights))


def _r2_of_block(y_true, y_pred, there, w, sample_weight):
    """R2 across trials, (n_channels, n_times)."""
    z, scale, flat = standardize(y_true, 0, there, sample_weight)
    # Divided before it is squared: (1e-13 T) ** 2 is harmless, (1e-200) ** 2 is not.
    error = (w * np.square((y_true - y_pred) / scale)).sum(axis=0)
    total = (w * np.square(z)).sum(axis=0)
    return np.where(flat, error == 0, 1.0 - error / np.where(flat, 1.0, total))


def by_subject(
    metric: Callable,
    y_true: ArrayLike | BaseEpochs,
    y_pred: ArrayLike | BaseEpochs,
    subjects: ArrayLike,
    **kwargs: object,
) -> dict:
    """Apply a metric within each subject.

    Parameters
    ----------
    metric : callable
        ``metric(y_true, y_pred, **kwargs)``.
    y_true, y_pred : array-like or Epochs of shape (n_trials, n_channels, n_times)
    subjects : array-like of shape (n_trials,)
        Subject of each trial.
    **kwargs
        Handed to `metric`.

    Returns
    -------
    values : dict
        Return values of `metric` by subject, in sorted order.

    Raises
    ------
    ValueError
        If the shapes differ, or `subjects` does not hold one value a trial.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.metrics import by_subject, r_across_trials
    >>> y = np.random.default_rng(0).normal(size=(40, 2, 4))
    >>> subjects = np.repeat([0, 1], 20)
    >>> sign = np.where(subjects == 0, 1, -1)[:, None, None]
    >>> by_subject(r_across_trials, y, sign * y, subjects)
    {0: 1.0, 1: -1.0}
    """
    y_true, y_pred = pair(y_true, y_pred)
    subjects = np.asarray(subjects)
    if subjects.shape != (len(y_true),):
        raise ValueError(
            f"subjects must hold one value a trial, shape ({len(y_true)},). Got {subjects.shape}."
        )
    masks = {subject: subjects == subject for subject in np.unique(subjects).tolist()}
    return {s: metric(y_true[mask], y_pred[mask], **kwargs) for s, mask in masks.items()}


def noise_ceiling(y: ArrayLike | BaseEpochs, repeats: ArrayLike) -> np.ndarray:
    """Highest R across trials that a perfect model of the stimulus response can reach.

    One-way analysis of variance per channel and time: with the mean squares between stimuli
    (MSB) and within them (MSW), the signal power is ``(MSB - MSW) / n0`` and the noise power is
    MSW (Sahani and Linden 2003, "How linear are auditory cortical responses?"; n0 is the mean
    number of repeats, corrected for unequal numbers). The ceiling is
    ``sqrt(signal / (signal + noise))``. A model that also knows the state of the brain before
    the stimulus can exceed it.

    Parameters
    ----------
    y : array-like or Epochs of shape (n_trials, n_channels, n_times)
    repeats : array-like of shape (n_trials,)
        Stimulus of each trial. Equal values are repetitions. Trials of one subject.

    Returns
    -------
    ceiling : ndarray of shape (n_channels, n_times)
        Between 0 and 1; an estimated signal power below 0 gives 0. NaN for a flat channel.

    Raises
    ------
    ValueError
        If there are fewer than two stimuli, or none is repeated.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.metrics import noise_ceiling
    >>> rng = np.random.default_rng(0)
    >>> stimulus = np.repeat(np.arange(200), 5)
    >>> signal = rng.normal(size=(200, 1, 1))[stimulus]
    >>> y = signal + rng.normal(size=(1000, 1, 1))  # equal power: sqrt(1 / 2)
    >>> noise_ceiling(y, stimulus).round(1)
    array([[0.7]])
    """
    y = as_trials(y, "y")
    repeats = np.asarray(repeats)
    if repeats.shape != (len(y),):
        raise ValueError(
            f"repeats must hold one value a trial, shape ({len(y)},). Got {repeats.shape}."
        )
    _, which, counts = np.unique(repeats, return_inverse=True, return_counts=True)
    if len(counts) < 2 or counts.max() < 2:
        raise ValueError(
            "The noise ceiling needs at least two stimuli, one of them repeated. Got "
            f"{len(counts)} stimuli in {len(y)} trials."
        )
    z, _, flat = standardize(y, 0)
    means = np.zeros((len(counts), *z.shape[1:]))
    np.add.at(means, which, z)
    means /= counts[:, None, None]
    between = np.einsum("s,sct->ct", counts, means**2) / (len(counts) - 1)
    within = np.square(z - means[which]).sum(axis=0) / (len(z) - len(counts))
    n0 = (len(z) - np.square(counts).sum() / len(z)) / (len(counts) - 1)
    signal = np.maximum(between - within, 0.0) / n0
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(flat, np.nan, np.sqrt(signal / (signal + within)))


def make_r_scorer(
    kind: Literal["trials", "time"] = "trials", start: int = 0, mask_row: int | None = None
) -> Callable:
    """Scorer for ``cross_validate`` and ``GridSearchCV`` on 3-D targets.

    Parameters
    ----------
    kind : {"trials", "time"}, default="trials"
        `r_across_trials` or `r_over_time`.
    start : int, default=0
        First sample that counts: the end of the initial window.
    mask_row : int, default=None
        Row of X that is 1 where a sample counts, as :func:`~sklearn_meg.pack_rows` names it.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y)``; higher is better. All test trials count as one subject.

    Raises
    ------
    ValueError
        For another `kind`, or a `start` that is no int from 0 on; when scoring, for a row of X
        that does not exist or is no mask.

    Examples
    --------
    >>> from sklearn_meg.metrics import make_r_scorer
    >>> scoring = {"r": make_r_scorer(start=10), "r_time": make_r_scorer("time", start=10)}
    """
    kinds = {"trials": r_across_trials, "time": r_over_time}
    if kind not in kinds:
        raise ValueError(f"kind must be one of {', '.join(map(repr, kinds))}. Got {kind!r}.")
    start = check_start(start)
    if mask_row is None:
        return make_scorer(kinds[kind], start=start)
    return partial(_score_counted, metric=kinds[kind], start=start, mask_row=mask_row)


def _score_counted(estimator, X, y, metric, start, mask_row):
    """Score the samples that a row of X says count; y and the prediction may be flat."""
    mask = mask_of(X, mask_row)
    y_true, y_pred = (np.asarray(unwrap_mne(a)) for a in (y, estimator.predict(X)))
    shape = (len(mask), -1, mask.shape[1])
    return metric(y_true.reshape(shape), y_pred.reshape(shape), start=start, mask=mask)
