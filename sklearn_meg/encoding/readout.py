"""Response readout: what a fitted encoder predicts when one feature of one word changes."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING

import numpy as np

from .._checks.trials import release_pages
from ._inspection import as_trials, find_rows, find_subjects, one_row, predict_pieces

if TYPE_CHECKING:
    from typing import Literal

    from .._typing import ArrayLike, BaseEstimator


def response_to_feature(
    estimator: BaseEstimator,
    X: ArrayLike,
    feature_row: int,
    *,
    onset: int | ArrayLike,
    onset_row: int | None = None,
    delta: float = 1.0,
    contexts: Literal["own", "all"] = "own",
    subjects: ArrayLike | None = None,
) -> np.ndarray:
    """Read out how the predicted response changes when one feature of one word changes.

    The trials are predicted twice, as they are and with `delta` added to the feature of the word
    that starts at `onset`. The response is the mean over trials of the difference, divided by
    `delta`: for a linear model its response to the feature, for a nonlinear one the mean over
    the contexts in which words occurred (partial dependence).

    Parameters
    ----------
    estimator : fitted estimator
        Any with ``predict(X)``; see :func:`permutation_importance_over_time`.
    X : array-like of shape (n_trials, n_rows, n_times)
        Never modified.
    feature_row : int
        Row of X that is changed.
    onset : int or array-like of int of shape (n_trials,)
        Sample at which the word starts. It lasts until the feature or the onset row changes.
    onset_row : int, default=None
        Row of X that is not zero while a word is on. None: the feature itself. Trials in which
        it is zero at `onset` have no such word and are left out.
    delta : float, default=1.0
        Change, in units of the feature; may be negative. A change of the order of the feature's
        standard deviation stays near what the model was trained on.
    contexts : {"own", "all"}, default="own"
        A subject's response is the mean over its own trials, or over the trials of all subjects
        predicted as if they were its own (more contexts, but another's initial MEG).
    subjects : array-like of shape (n_trials,), default=None
        Subject of each trial. None takes the subject row; without one there is one subject.

    Returns
    -------
    response : ndarray of shape (n_subjects, n_channels, n_times)
        Response in units of y per unit of the feature, subjects sorted. Zero before the word for a
        causal model. With a mask row, the mean over the trials in which a sample counts, and NaN
        where there is none.

    Raises
    ------
    ValueError
        If a row or `onset` does not exist, `delta` is 0 or not finite, no trial of a subject has
        a word at `onset`, or ``contexts="all"`` without a subject row.

    References
    ----------
    Friedman (2001), Greedy function approximation: a gradient boosting machine, Annals of
    Statistics 29, section 8.2 (partial dependence).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg import TemporalReceptiveField, response_to_feature
    >>> from sklearn_meg.datasets import make_words
    >>> data = make_words("L", n_subjects=2, n_trials=150)
    >>> trf = TemporalReceptiveField(tmax=30, **data.rows).fit(data.X, data.y)
    >>> response = response_to_feature(trf, data.X, 2, onset=20, onset_row=0)
    >>> true = data.responses[:, 2]  # of one unit of frequency
    >>> bool(np.corrcoef(response.ravel(), true.ravel())[0, 1] > 0.9)
    True
    """
    X = as_trials(X)
    if not isinstance(delta, Real) or not np.isfinite(delta) or delta == 0:
        raise ValueError(f"delta must be a finite float other than 0. Got {delta!r}.")
    if contexts not in ("own", "all"):
        raise ValueError(f"contexts must be 'own' or 'all'. Got {contexts!r}.")
    rows = find_rows(estimator, X, optional=subjects is not None and contexts == "own")
    if contexts == "all" and rows.subject is None:
        raise ValueError(
            f"contexts='all' needs a subject row, but {type(estimator).__name__} has none."
        )
    feature = one_row(feature_row, X.shape[1], "feature_row")
    marker = feature if onset_row is None else one_row(onset_row, X.shape[1], "onset_row")
    word = _word_samples(X, feature, marker, onset)
    subjects = find_subjects(X, rows, subjects)
    names = np.unique(subjects)
    kept = [
        np.flatnonzero(word.any(axis=1) & ((subjects == name) | (contexts == "all")))
        for name in names
    ]
    empty = [name for name, trials in zip(names.tolist(), kept) if not len(trials)]
    if empty:
        raise ValueError(
            f"Row {marker} of X is 0 at sample onset={onset} in every trial of subject(s) {empty}: "
            "there is no word to change."
        )
    counted, swap = rows.counted(X), rows.subject if contexts == "all" else None
    return np.array(
        [
            _mean_change(estimator, X, trials, feature, word * float(delta), counted, swap, name)
            / delta
            for name, trials in zip(names, kept)
        ]
    )


def _mean_change(estimator, X, trials, feature, change, counted, subject_row, subject):
    """Mean over trials of how the prediction changes: (n_channels, n_times)."""

    def as_subject(block, part):
        if subject_row is not None:
            block[:, subject_row] = subject

    def changed(block, part):
        as_subject(block, part)
        block[:, feature] += change[part]

    total, number = 0.0, len(trials)
    both = (predict_pieces(estimator, X, trials, edit) for edit in (changed, as_subject))
    for (part, after), (_, before) in zip(*both):
        difference = after - before
        if counted is not None:
            difference = difference * counted[part, np.newaxis]
        total = total + difference.sum(axis=0, dtype=np.float64)
    if counted is not None:
        number = counted[trials].sum(axis=0)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


def _word_samples(X, feature, marker, onset):
    """Samples of the word that starts at `onset`: bool (n_trials, n_times)."""
    n_trials, n_times = len(X), X.shape[2]
    onset = np.asarray(onset)
    if onset.dtype.kind not in "iu" or onset.shape not in ((), (n_trials,)):
        raise ValueError(f"onset must be an int, or an array of {n_trials} ints. Got {onset!r}.")
    if (onset < 0).any() or (onset >= n_times).any():
        raise ValueError(
            f"onset must be a sample of a trial, from 0 to {n_times - 1}. Got {onset}."
        )
    onset = np.broadcast_to(onset, n_trials)[:, np.newaxis]
    before = np.arange(n_times) < onset
    lasts = np.ones((n_trials, n_times), dtype=bool)
    for row in (feature, marker):
        values = np.array(X[:, row])
        at_onset = np.take_along_axis(values, onset, axis=1)
        lasts &= before | (values == at_onset)  # `at_onset` is the marker's after the loop
    release_pages(X)
    return np.logical_and.accumulate(lasts, axis=1) & ~before & (at_onset != 0)
