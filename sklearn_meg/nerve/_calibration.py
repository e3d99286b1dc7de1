"""How far decisions can be believed: temperatures, from trials that were not learned from.

Probabilities are a softmax of sums of log probabilities whose parts say the same thing again, and
whose covariances are those of the trials that the linear model was fitted to. Dividing by a
temperature leaves every decision as it is; Guo et al. (2017), On calibration of modern neural
networks, ICML.
"""

from dataclasses import replace

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from ._novelty import distances, signs_of_failure
from ._session_model import SessionModel
from ._settings import SETTINGS


def with_temperatures(Z, y, session, n_classes, weights=None):
    """The session model of labeled trials, with temperatures of trials and windows.

    Whole sessions are left out where there are several, else every fifth trial of a class; those
    are decided without the network, which would have to be trained once more for each fold.

    Parameters
    ----------
    Z : ndarray of shape (n_trials, n_features, n_windows)
        Normalized features.
    y : ndarray of int of shape (n_trials,)
    session : ndarray of shape (n_trials,)
    n_classes : int
    weights : ndarray of shape (n_trials,) or None

    Returns
    -------
    model : SessionModel
        Its temperatures are 1 where there are too few trials to leave some out.
    left_out : tuple of ndarray of shape (n_trials, n_classes) and (n_trials,)
        Of each trial when it was left out: log probabilities, and distance from all classes. Empty
        where none was left out.
    """
    model = SessionModel.fit(Z, y, session, n_classes, weights)
    folds = _folds(y, session)
    nothing = np.zeros((0, n_classes)), np.zeros(0)
    if not folds:
        return model, nothing
    trials, signs, far = np.empty((len(y), n_classes)), np.empty((len(y), 3)), np.empty(len(y))
    windows = np.zeros((*trials.shape, Z.shape[2]))
    for fold in folds:
        rest = np.setdiff1d(np.arange(len(y)), fold)
        try:
            left = None if weights is None else weights[rest]
            other = SessionModel.fit(Z[rest], y[rest], session[rest], n_classes, left)
        except ValueError:  # so few that nothing varies within classes
            return model, nothing
        for s in np.unique(session[fold]):
            mine = fold[session[fold] == s]
            no_network, unknown = windows[mine], np.full(len(mine), -1)  # zeros
            found = other.sort(None, Z[mine], no_network, unknown, equal=True)
            trials[mine], windows[mine] = found.trials, found.windows
            signs[mine] = signs_of_failure(other, found)
            far[mine] = distances(other, Z[mine])
    found = np.array([temperature(trials, y) ** SETTINGS.trust, temperature(windows, y)])
    return replace(model, temperatures=found, usual=signs.mean(0)), (trials, far)


def _folds(y, session):
    """Trials to leave out together, as indices; none where a class would be missing then."""
    names, known = np.unique(session, return_inverse=True)
    group = known % SETTINGS.left_out_folds
    if len(names) == 1 or not _complete(y, group):
        order = np.argsort(y, kind="stable")
        group = np.empty(len(y), dtype=int)
        starts = np.searchsorted(y[order], y[order])
        group[order] = (np.arange(len(y)) - starts) % min(
            SETTINGS.left_out_folds, max(1, np.bincount(y).min())
        )
    if not _complete(y, group):
        return []
    return [np.flatnonzero(group == g) for g in np.unique(group)]


def _complete(y, group):
    """Whether all classes are left whichever group is left out."""
    return all(len(np.unique(y[group != g])) == y.max() + 1 for g in np.unique(group))


def temperature(logs, y):
    """That of the least log loss, with Platt's targets: one more could have been wrong.

    Parameters
    ----------
    logs : ndarray of shape (n_trials, n_classes) or (n_trials, n_classes, n_windows)
        Log probabilities.
    y : ndarray of int of shape (n_trials,)

    Returns
    -------
    temperature : float
        At least 1.
    """
    n_classes = logs.shape[1]
    n = logs.size // n_classes
    target = np.full(logs.shape, 1 / (n + 2) / (n_classes - 1))
    target[np.arange(len(y)), y] = (n + 1) / (n + 2)

    def loss(log_t):
        return -np.mean(target * log_softmax(logs / np.exp(log_t), axis=1))

    found = minimize_scalar(loss, bounds=(0, np.log(SETTINGS.hottest)), method="bounded")
    return float(np.exp(found.x))
