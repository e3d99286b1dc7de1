"""Channels that a session has lost: flat, or noise that has nothing to do with the others.

A session is then decided by a model without these channels. Nothing is recorded anew for that: the
matrix logarithm of a covariance tells the covariance, and so that of the other channels.
"""

import numpy as np

from ._settings import SETTINGS


def without(F, lost, n_names, covariance=True):
    """Features (n, n_features, n_windows) as they would be without some channels.

    F (n_trials, n_features, n_windows), lost (n_channels,) bool
    n_names: Features of a channel.
    covariance: Whether log covariances of the signals and of their steps follow.
    """
    n, rows = len(lost), F.swapaxes(1, 2)
    size = n * n_names
    own = rows[..., :size].reshape(*rows.shape[:2], n, n_names)[:, :, ~lost]
    parts = [own.reshape(*rows.shape[:2], -1)]
    if covariance:
        parts += [_log_without(each, lost) for each in np.split(rows[..., size:], 2, axis=-1)]
    return np.concatenate(parts, axis=-1).swapaxes(1, 2)


def _log_without(flat, lost):
    """Flat log covariances of the channels that are left."""
    i, j = np.triu_indices(len(lost))
    matrix = np.empty((*flat.shape[:-1], len(lost), len(lost)))
    matrix[..., i, j] = matrix[..., j, i] = flat / np.where(i == j, 1.0, np.sqrt(2.0))
    kept = _of_spectrum(matrix, np.exp)[..., ~lost, :][..., ~lost]
    logs = _of_spectrum(kept, lambda values: np.log(np.maximum(values, np.finfo(float).tiny)))
    i, j = np.triu_indices(len(kept[0, 0]))
    return logs[..., i, j] * np.where(i == j, 1.0, np.sqrt(2.0))


def _of_spectrum(matrix, function):
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * function(values)[..., np.newaxis, :]) @ vectors.swapaxes(-1, -2)


def feature_of(F, n_channels, names, name):
    """A feature of all channels, (n_trials, n_channels, n_windows)."""
    own = F[:, : n_channels * len(names)].reshape(len(F), n_channels, len(names), -1)
    return own[:, :, names.index(name)]


def flat_channels(lengths, low):
    """Channels (n_trials, n_channels) without a signal in at least half of a trial's windows.

    lengths (n_trials, n_channels, n_windows): Waveform lengths.
    low (n_channels,): Low thresholds of training.
    """
    return (lengths <= SETTINGS.flat * low[:, np.newaxis]).mean(-1) >= 0.5


def log_powers(squares, low):
    """Logarithms of mean squares (n_trials, n_channels, n_windows); flat channels have one, too."""
    return np.log(squares + SETTINGS.minimal_power * np.square(low[:, np.newaxis]))


def patterns(lost):
    """Trials that have lost the same channels, and those that have lost no others than these.

    Yields (n_channels,) lost, (n_trials,) the same, (n_trials,) no others; all of bool.
    """
    for pattern in np.unique(lost, axis=0):
        yield pattern, (lost == pattern).all(1), ~(lost & ~pattern).any(1)


def power_rows(logs):
    """Windows as rows, the channels standardized within the session."""
    rows = logs.transpose(0, 2, 1).reshape(-1, logs.shape[1])
    sd = rows.std(0)
    return (rows - rows.mean(0)) / np.where(sd > SETTINGS.minimal_spread, sd, np.inf)


def known_powers(logs, session):
    """How powers go together in training: correlations and, last, standard deviations.

    logs (n_trials, n_channels, n_windows), session (n_trials,)
    Returns known (n_channels + 1, n_channels): The deviation of a channel without a signal is 0.
    """
    each = [logs[session == s] for s in np.unique(session)]
    rows = np.concatenate([power_rows(part) for part in each])
    sd = np.mean([part.std((0, 2)) for part in each], axis=0)
    sd = np.where(sd > SETTINGS.minimal_spread, sd, 0.0)
    return np.concatenate([rows.T @ rows / len(rows), sd[np.newaxis]])


def noisy_channels(logs, known, n_trials=None):
    """Channels (n_channels,) whose power hardly varies, and not with that of the others.

    Of a channel that is lost nothing can be predicted, and its neighbors are predicted wrongly: the
    one goes first without which the others are predicted best. Where that does not help, nothing is
    said to be lost.

    logs (n_trials, n_channels, n_windows), known (n_channels + 1, n_channels)
    n_trials (int or None): Number of trials where they stand one after the other in one.
    """
    rows, correlation, sd = power_rows(logs), known[:-1], known[-1]
    found = np.zeros(len(sd), dtype=bool)
    kept, lost = np.flatnonzero(sd > 0), []
    if (n_trials or len(logs)) < SETTINGS.enough_trials:
        return found
    while len(kept) > 2:
        if predictable(rows, correlation, kept).min() >= SETTINGS.least_alike:
            break
        if len(lost) >= len(sd) // 3:
            return found
        rest = [np.delete(kept, k) for k in range(len(kept))]
        means = [predictable(rows, correlation, each).mean() for each in rest]
        best = int(np.argmax(means))
        lost.append(kept[best])
        kept = rest[best]
    found[lost] = True
    return found & (logs.std((0, 2)) < SETTINGS.least_varying * sd)


def predictable(rows, correlation, kept):
    """Correlation of each kept channel's power with what the other kept ones predict."""
    precision = np.linalg.inv(
        correlation[np.ix_(kept, kept)] + SETTINGS.correlation_ridge * np.eye(len(kept))
    )
    weights = -precision / np.diag(precision)  # a column: from the others
    np.fill_diagonal(weights, 0.0)
    X = rows[:, kept]
    guess = X @ weights
    scale = np.sqrt(np.square(X).sum(0) * np.square(guess - guess.mean(0)).sum(0))
    return (X * guess).sum(0) / np.maximum(scale, np.finfo(float).tiny)
