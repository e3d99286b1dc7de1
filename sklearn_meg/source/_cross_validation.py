"""Cross-validation over channels, for data that come as averages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import KFold

from .._checks.params import check_random_state
from ._base import r2_score
from ._conditions import MISSING_Y, average, fields_to_xy, group_rows, is_mne, make_events, read_mne
from ._forward import is_mne_forward, match_channels

if TYPE_CHECKING:
    from .._typing import ArrayLike, BaseEstimator, MneObject, RandomSeed


def cross_val_channels(
    estimator: BaseEstimator,
    X: ArrayLike | MneObject,
    y: ArrayLike | MneObject | None = None,
    n_splits: int = 5,
    random_state: RandomSeed = None,
) -> np.ndarray:
    """Score a source estimator on channels that it was not fitted to.

    Held-out trials (scikit-learn's own ``cross_validate``) ask whether the field of a condition
    is predicted; every solver that reproduces the average passes. Held-out channels ask whether
    the *sources* predict the field where nobody measured, which only sources in the right places
    can: the way to choose a penalty from a single average. It is cross-validation as used for
    the regularization of minimum norm estimates (Grech et al., 2008), with folds of channels in
    place of one channel at a time. Noise that channels share is not held out, and rewards too
    weak a penalty.

    Parameters
    ----------
    estimator : source estimator
        With a lead field; ``forward=None`` says nothing about held-out channels.
    X : as for ``fit``
    y : as for ``fit``
    n_splits : int, default=5
        Folds of channels, drawn at random.
    random_state : int, RandomState instance or None, default=None
        Draws the folds.

    Returns
    -------
    scores : ndarray of shape (n_splits,)
        R2 of the condition averages in held-out channels, each channel in units of its standard
        deviation.

    Raises
    ------
    ValueError
        For more folds than channels, an estimator without a lead field, or whatever ``fit``
        says.

    References
    ----------
    Grech et al. (2008), Review on solving the inverse problem in EEG source analysis, Journal
    of NeuroEngineering and Rehabilitation 5:25.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.source import MinimumNorm, cross_val_channels
    >>> rng = np.random.default_rng(0)
    >>> gain = np.cumsum(rng.normal(size=(40, 10)), axis=0)  # neighbors see nearly the same
    >>> y = gain @ rng.normal(size=(1, 10, 30)) + 0.1 * rng.normal(size=(1, 40, 30))
    >>> X = np.ones((1, 1, 30))
    >>> scores = cross_val_channels(MinimumNorm(forward=gain, snr=10), X, y, random_state=0)
    >>> bool(scores.min() > 0.5)
    True
    """
    estimator, X, y = _as_arrays(estimator, X, y)
    if getattr(estimator, "forward", None) is None:
        raise ValueError("cross_val_channels needs an estimator with a forward. Got forward=None.")
    usable = np.flatnonzero(~np.isnan(y).all(axis=(0, 2)) & _is_good(estimator.info, y))
    if not 2 <= n_splits <= len(usable):
        raise ValueError(
            f"n_splits must be an int from 2 to {len(usable)}, the channels that are there. "
            f"Got {n_splits!r}."
        )
    folds = KFold(n_splits, shuffle=True, random_state=check_random_state(random_state))
    return np.array(
        [_score_channels(estimator, X, y, usable[held]) for _, held in folds.split(usable)]
    )


def _as_arrays(estimator, X, y):
    """Clone of the estimator for arrays, events and fields."""
    estimator = clone(estimator)
    if y is None and is_mne(X):
        X, y = None, X
    if y is None:
        raise ValueError(MISSING_Y)
    if is_mne(y):
        recording = read_mne(y)
        if X is None:
            X, _ = fields_to_xy(y, estimator.onset)
        estimator.set_params(info=recording.info, nave=max(1, round(recording.nave.mean())))
        y, estimator = _known_channels(recording.fields, estimator)
    y = np.asarray(y, dtype=np.float64)
    if y.ndim != 3:
        raise ValueError(f"y must have the shape (n_trials, n_channels, n_times). Got {y.shape}.")
    if X is None:
        X = make_events(len(y), y.shape[2], estimator.onset)
    return estimator, np.asarray(X), y


def _known_channels(y, estimator):
    """Leave out channel kinds that an mne.Forward does not have."""
    if not is_mne_forward(estimator.forward):
        return y, estimator
    from mne import pick_info

    picks = match_channels(estimator.forward, estimator.info)
    return y[:, picks], estimator.set_params(info=pick_info(estimator.info, picks))


def _is_good(info, y):
    if info is None:
        return np.ones(y.shape[1], dtype=bool)
    return np.array([name not in info["bads"] for name in info["ch_names"]])


def _score_channels(estimator, X, y, held):
    train = y.copy()
    train[:, held] = np.nan
    fitted = clone(estimator).fit(X, train)
    first, labels = group_rows(X)
    means, _ = average(y[:, held], np.ones(len(y)), labels)
    predicted = fitted.predict(X)[first][:, held]
    scale = means.std(axis=(0, 2))[:, np.newaxis]
    scale = np.where(scale > 0, scale, 1.0)
    return r2_score(means / scale, predicted / scale)
