"""How far decisions can be believed: temperatures, from trials that were not learned from.

Probabilities are a softmax of sums of log probabilities whose parts say the same thing again, and
whose covariances are those of the trials that the linear model was fitted to. Dividing by a
temperature leaves every decision as it is; Guo et al. (2017), On calibration of modern neural
networks, ICML.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from ._novelty import distances, signs_of_failure
from ._session_model import SessionModel
from ._settings import SETTINGS


def with_temperatures(Z, y, session, n_classes, weights=None, people=None, groups=None, found=None):
    """The session model of labeled trials, with its temperatures.

    Whole sessions are left out where there are several, else every fifth trial of a class; those
    are decided without the network, which would have to be trained once more for each fold. Where
    nothing adapts, every fifth trial is left out in any case, so that a later session is unusual;
    whole groups are for the temperature only.

    Z (n_trials, n_features, n_windows): Normalized features.
    y (n_trials,) int, session (n_trials,), weights (n_trials,) or None
    people (n_trials,) int or None: Whose trials they are; 0 is the person of the model, whose
        trials alone are left out then. Without one, whole people are.
    groups (n_trials,) or None: Where nothing adapts.
    found (LeftOut or None): Where that is known already.
    Returns model (SessionModel): Its temperatures are 1 where there are too few trials to leave
        some out.
    and left_out (LeftOut or None): What was said of trials when they were left out; None where
        there are too few.
    """
    known = Z, y, session, n_classes, weights, people
    whole = groups is None
    found = left_out(*known, whole=whole) if found is None else found
    if found is None:
        return SessionModel.fit(*known), None
    share, found = _chosen_share(found, y, known, whole)
    model, true = SessionModel.fit(*known, share), y[found.index]
    hot = [temperature(each, true) for each in (found.trials, found.windows, found.plain)]
    hot[0] **= SETTINGS.trust
    if not whole:
        hot[2] = max(hot[2], _temperature_of_groups(known, share, groups))
    return replace(model, temperatures=np.array(hot), usual=float(found.new.mean())), found


class LeftOut(NamedTuple):
    """What was said of trials when they were left out of training.

    ``index`` of the trials; log probabilities ``trials`` (n, n_classes) and ``windows`` (n,
    n_classes, n_windows) in a new session; ``new``: novelty (n,); ``far``: distances from all
    classes (n,); ``plain``: log probabilities of trials (n, n_classes) where nothing adapts.
    """

    index: np.ndarray
    trials: np.ndarray
    windows: np.ndarray
    new: np.ndarray
    far: np.ndarray
    plain: np.ndarray


def _chosen_share(found, y, known, whole):
    """The share of the variance within trials that covariances have, and what it says of trials.

    That is all of it, unless trials left out are decided clearly better with less.
    """
    Z, weights = known[0], known[4]
    weighted = weights is not None and np.ptp(weights) > 0
    if weighted or len(np.unique(Z.mean(2), axis=0)) < len(Z):
        return 1.0, found  # a copy of a trial that is left out tells of it, and a weight is copies
    true = y[found.index]
    least, share = SETTINGS.enough_to_gain
    if (found.trials.argmax(1) != true).sum() < max(least, share * len(true)):
        return 1.0, found
    other = left_out(*known, SETTINGS.within_trials, whole)
    if other is None:
        return 1.0, found
    gain = _surprise(found, true) - _surprise(other, true)
    better = gain.mean() > SETTINGS.clearly * gain.std(ddof=1) / np.sqrt(len(gain))
    return (SETTINGS.within_trials, other) if better else (1.0, found)


def _surprise(found, true):
    """Log loss (n,) of trials left out, at the temperature that makes it least."""
    logs = log_softmax(found.trials / temperature(found.trials, true), axis=1)
    return -logs[np.arange(len(true)), true]


def left_out(Z, y, session, n_classes, weights=None, people=None, share=1.0, whole=True):
    """Decide trials by what was learned from the others; see `with_temperatures`.

    whole: Leave out whole sessions, where there are several.
    """
    folds = _folds_of_people(y, session if whole else np.zeros(len(y)), people)
    if not folds:
        return None
    known = Z, y, session, n_classes, weights, people
    try:
        models = [_without(fold, *known, share) for fold in folds]
    except ValueError:  # so few that nothing varies within classes
        return None
    index = np.sort(np.concatenate(folds))
    (trials, plain), (new, far) = np.empty((2, len(y), n_classes)), np.empty((2, len(y)))
    windows = np.zeros((*trials.shape, Z.shape[2]))
    for fold, other in zip(folds, models, strict=True):
        plain[fold] = _undisturbed(other, Z[fold])
        for s in np.unique(session[fold]):
            mine = fold[session[fold] == s]
            no_network, unknown = windows[mine], np.full(len(mine), -1)  # zeros
            found = other.sort(None, Z[mine], no_network, unknown, equal=True)
            trials[mine], windows[mine] = found.trials, found.windows
            new[mine] = signs_of_failure(other, found)[:, 1]
            far[mine] = distances(other, Z[mine])
    return LeftOut(index, *(each[index] for each in (trials, windows, new, far, plain)))


def _without(fold, Z, y, session, n_classes, weights, people, share):
    """The session model of all trials but those of a fold."""
    rest = np.setdiff1d(np.arange(len(y)), fold)
    left = (None if each is None else each[rest] for each in (weights, people))
    return SessionModel.fit(Z[rest], y[rest], session[rest], n_classes, *left, share)


def _undisturbed(model, Z):
    """Log probabilities (n, n_classes) of trials where nothing adapts, without the network."""
    linear = model.linear_logs(Z)
    return model.undisturbed(np.zeros_like(linear), linear)


def _temperature_of_groups(known, share, groups):
    """Temperature of trials where nothing adapts, from whole groups that are left out."""
    Z, y = known[:2]
    logs = np.empty((len(y), known[3]))
    try:
        for fold in _folds(y, groups):
            logs[fold] = _undisturbed(_without(fold, *known, share), Z[fold])
    except ValueError:  # so few that nothing varies within classes
        return 1.0
    return temperature(logs, y)


def _folds_of_people(y, session, people):
    """As `_folds`; of people: each of them, or sessions or every fifth trial of person 0."""
    if people is None:
        return _folds(y, session)
    own = np.flatnonzero(people == 0)
    if not len(own):
        return _folds(y, people)
    names, known = np.unique(session[own], return_inverse=True)
    if len(names) == 1:
        known = np.argsort(np.argsort(y[own], kind="stable"))
    group = known % SETTINGS.left_out_folds
    return [own[group == g] for g in np.unique(group)]


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

    logs (n_trials, n_classes) or (n_trials, n_classes, n_windows): Log probabilities.
    y (n_trials,) int
    Returns temperature: At least 1.
    """
    n_classes = logs.shape[1]
    n = logs.size // n_classes
    target = np.full(logs.shape, 1 / (n + 2) / (n_classes - 1))
    target[np.arange(len(y)), y] = (n + 1) / (n + 2)

    def loss(log_t):
        return -np.mean(target * log_softmax(logs / np.exp(log_t), axis=1))

    found = minimize_scalar(loss, bounds=(0, np.log(SETTINGS.hottest)), method="bounded")
    return float(np.exp(found.x))
