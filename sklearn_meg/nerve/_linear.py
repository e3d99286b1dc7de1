"""Linear decoding of movements: ridge regression of windows, and a Kalman filter over them."""

import numpy as np

from ._settings import SETTINGS


def as_rows(Z):
    """Windows as rows, (n * n_windows, n_features)."""
    return Z.transpose(0, 2, 1).reshape(-1, Z.shape[1])


def lagged(Z, history, past=None):
    """Features of windows and of those before them, (n, n_features * (history + 1), n_windows).

    `past` (n, n_features, history) are the windows before; without them the first one stands in.
    Also returns the past of the windows to come.
    """
    if past is None:
        past = np.repeat(Z[:, :, :1], history, axis=2)
    padded = np.concatenate([past, Z], axis=2)
    k = Z.shape[2]
    parts = [padded[:, :, history - lag : history - lag + k] for lag in range(history + 1)]
    return np.concatenate(parts, axis=1), padded[:, :, padded.shape[2] - history :]


def folds_of(n_trials, n_windows):
    """Fold (n_trials, n_windows) of each window: whole trials, or blocks of a long recording."""
    n_folds = SETTINGS.ridge_folds
    if n_trials >= n_folds:
        return np.repeat(np.arange(n_trials)[:, np.newaxis] % n_folds, n_windows, axis=1)
    n_blocks = max(1, min(SETTINGS.most_blocks, n_windows // SETTINGS.least_block))
    if n_trials == 1 and n_blocks == 1:
        return np.zeros((1, n_windows), dtype=int)
    block = np.arange(n_windows) * n_blocks // n_windows
    return (np.arange(n_trials)[:, np.newaxis] + n_trials * block) % n_folds


def fit_ridge(Z, target, weights=None):
    """Ridge regression from windows (n, f, k) to targets (n, o, k).

    Its strength is chosen by leaving out whole trials, or blocks of time where there are few:
    windows overlap, and those beside a window would tell its target. `weights` (n,) are of trials.

    Returns coef (n_outputs, n_features), intercept (n_outputs,)
    and unseen (n, n_outputs, k): Predictions of each window from the other folds.
    and alpha (float)
    """
    fold = folds_of(len(Z), Z.shape[2]).ravel()
    X, y = as_rows(Z), as_rows(target)
    w = np.ones(len(X)) if weights is None else np.repeat(weights, Z.shape[2])
    alphas = np.logspace(*SETTINGS.log_alphas, SETTINGS.n_alphas)
    if fold.max() == 0:
        coef, intercept = (part[0] for part in _path(X, y, alphas[:1], w))
        return coef, intercept, linear(Z, coef, intercept), float(alphas[0])
    errors, guesses = np.zeros(len(alphas)), np.empty((len(alphas), *y.shape))
    for f in np.unique(fold):
        out = fold == f
        path = _path(X[~out], y[~out], alphas, w[~out])
        for i, (coef, intercept) in enumerate(zip(*path, strict=True)):
            guesses[i, out] = X[out] @ coef.T + intercept
            errors[i] += (w[out] @ np.square(guesses[i, out] - y[out])).sum()
    best = int(errors.argmin())
    coef, intercept = (part[0] for part in _path(X, y, alphas[best : best + 1], w))
    return coef, intercept, of_rows(guesses[best], len(Z)), float(alphas[best])


def of_rows(rows, n):
    """Windows as rows back to (n, n_columns, n_windows)."""
    return rows.reshape(n, -1, rows.shape[1]).transpose(0, 2, 1)


def _path(X, y, alphas, w):
    """Coefficients (n_alphas, o, f) and intercepts (n_alphas, o) for several strengths."""
    mean_x, mean_y = w @ X / w.sum(), w @ y / w.sum()
    X, y = X - mean_x, y - mean_y
    weighted = X.T * w
    values, vectors = np.linalg.eigh(weighted @ X)
    turned = vectors.T @ (weighted @ y)
    coefs = [(vectors @ (turned / (values + a)[:, np.newaxis])).T for a in alphas]
    return np.stack(coefs), np.stack([mean_y - coef @ mean_x for coef in coefs])


def linear(Z, coef, intercept):
    """Linear functions (n, o, k) of windows (n, f, k)."""
    return np.einsum("of,nfk->nok", coef, Z) + intercept[:, np.newaxis]


def fit_dynamic(target, seen, weights=None):
    """The linear dynamic of movements (n, d, k), and how `seen` (n, d, k) depends on them.

    `weights` (n,) are of trials.

    Returns transition, process, observation, noise (d, d)
    """
    d = target.shape[1]
    w = np.ones(len(target)) if weights is None else weights
    root = np.sqrt(w)[:, np.newaxis, np.newaxis]  # of what only enters in products
    target, seen = root * target, root * seen
    small = 1e-6 * np.eye(d)
    before, after = as_rows(target[:, :, :-1]), as_rows(target[:, :, 1:])
    if len(before):
        A = np.linalg.solve(before.T @ before + small, before.T @ after).T
        error = after - before @ A.T
        process = error.T @ error / (w.sum() * (target.shape[2] - 1)) + small
    else:  # single windows follow nothing
        A, process = np.zeros((d, d)), np.eye(d)
    seen, true = as_rows(seen), as_rows(target)
    n = w.sum() * target.shape[2]
    H = np.linalg.solve(true.T @ true + small * n, true.T @ seen).T
    error = seen - true @ H.T
    return A, process, H, error.T @ error / n + small


def filtered(seen, dynamic, state=None):
    """Movements (n, d, k) that a Kalman filter makes of `seen`, and (mean, covariance) after it."""
    A, Q, H, R = dynamic
    d = seen.shape[1]
    mean, covariance = (np.zeros((len(seen), d)), np.eye(d)) if state is None else state
    out = np.empty_like(seen)
    for k in range(seen.shape[2]):
        mean, covariance = mean @ A.T, A @ covariance @ A.T + Q
        gain = np.linalg.solve(H @ covariance @ H.T + R, H @ covariance).T
        mean = mean + (seen[:, :, k] - mean @ H.T) @ gain.T
        covariance = (np.eye(d) - gain @ H) @ covariance
        out[:, :, k] = mean
    return out, [mean, covariance]


def predicted_forward(n, dynamic, state):
    """The next movements (n, d) by the dynamic alone, and (mean, covariance) after them."""
    A, Q, _, _ = dynamic
    mean, covariance = (np.zeros((n, len(A))), np.eye(len(A))) if state is None else state
    return mean @ A.T, [mean @ A.T, A @ covariance @ A.T + Q]
