"""Linear decoding of movements: ridge regression of windows, and a Kalman filter over them."""

import numpy as np

ALPHAS = np.logspace(-1, 6, 15)
N_FOLDS = 5


def as_rows(Z):
    """Windows as rows, (n * n_windows, n_features)."""
    return Z.transpose(0, 2, 1).reshape(-1, Z.shape[1])


def fit_ridge(Z, target):
    """Ridge regression from windows (n, f, k) to targets (n, o, k).

    Its strength is chosen by leaving out whole trials: windows overlap, and those beside a window
    would tell its target.

    Returns
    -------
    coef : ndarray of shape (n_outputs, n_features)
    intercept : ndarray of shape (n_outputs,)
    unseen : ndarray of shape (n, n_outputs, k)
        Predictions of each trial from the others.
    alpha : float
    """
    n_folds = min(N_FOLDS, len(Z))
    if n_folds < 2:
        coef, intercept = (part[0] for part in _path(Z, target, ALPHAS[:1]))
        return coef, intercept, linear(Z, coef, intercept), float(ALPHAS[0])
    fold = np.arange(len(Z)) % n_folds
    errors, guesses = np.zeros(len(ALPHAS)), np.empty((len(ALPHAS), *target.shape))
    for f in range(n_folds):
        out = fold == f
        for i, (coef, intercept) in enumerate(zip(*_path(Z[~out], target[~out], ALPHAS))):
            guesses[i, out] = linear(Z[out], coef, intercept)
            errors[i] += np.square(guesses[i, out] - target[out]).sum()
    best = int(errors.argmin())
    coef, intercept = (part[0] for part in _path(Z, target, ALPHAS[best : best + 1]))
    return coef, intercept, guesses[best], float(ALPHAS[best])


def _path(Z, target, alphas):
    """Coefficients (n_alphas, o, f) and intercepts (n_alphas, o) for several strengths."""
    X, y = as_rows(Z), as_rows(target)
    mean_x, mean_y = X.mean(0), y.mean(0)
    X, y = X - mean_x, y - mean_y
    values, vectors = np.linalg.eigh(X.T @ X)
    turned = vectors.T @ (X.T @ y)
    coefs = [(vectors @ (turned / (values + a)[:, np.newaxis])).T for a in alphas]
    return np.stack(coefs), np.stack([mean_y - coef @ mean_x for coef in coefs])


def linear(Z, coef, intercept):
    """Linear functions (n, o, k) of windows (n, f, k)."""
    return np.einsum("of,nfk->nok", coef, Z) + intercept[:, np.newaxis]


def fit_dynamic(target, seen):
    """The linear dynamic of movements (n, d, k), and how `seen` (n, d, k) depends on them.

    Returns
    -------
    transition, process, observation, noise : ndarray of shape (d, d)
    """
    d = target.shape[1]
    small = 1e-6 * np.eye(d)
    before, after = as_rows(target[:, :, :-1]), as_rows(target[:, :, 1:])
    if len(before):
        A = np.linalg.solve(before.T @ before + small, before.T @ after).T
        error = after - before @ A.T
        process = error.T @ error / len(error) + small
    else:  # single windows follow nothing
        A, process = np.zeros((d, d)), np.eye(d)
    seen, true = as_rows(seen), as_rows(target)
    H = np.linalg.solve(true.T @ true + small * len(true), true.T @ seen).T
    error = seen - true @ H.T
    return A, process, H, error.T @ error / len(error) + small


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
