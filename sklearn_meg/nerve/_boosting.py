"""What gradient boosting adds to a linear regression, as far as it does on windows left out."""

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

from .._training.threads import one_thread
from ._settings import SETTINGS


def fit_boosting(X, residual, fold, seed, weights=None):
    """Trees for each output, their gates, and what they say of windows left out.

    X (n, n_features)
    residual (n, n_outputs): Error of the linear regression on windows left out.
    fold (n,) int, weights (n,) or None
    Returns trees (list of HistGradientBoostingRegressor or None): None where the gate is closed.
    and gates (n_outputs,): Least-squares factor of the trees' predictions on windows left out,
        less its standard error.
    and unseen (n, n_outputs): Their gated predictions of windows left out.
    """
    n_outputs = residual.shape[1]
    trees, gates, unseen = [None] * n_outputs, np.zeros(n_outputs), np.zeros(residual.shape)
    half = fold % 2 == 0
    if len(X) < SETTINGS.least_rows or half.all() or not half.any():
        return trees, gates, unseen
    w = np.ones(len(X)) if weights is None else weights
    for o in range(n_outputs):
        guess = np.empty(len(X))
        for part in (half, ~half):
            trained = _fitted(X[~part], residual[~part, o], seed, w[~part])
            guess[part] = trained.predict(X[part])
        gates[o] = gate(residual[:, o], guess, w)
        if gates[o] > SETTINGS.least_gate:
            unseen[:, o] = gates[o] * guess
            trees[o] = _fitted(X, residual[:, o], seed, w)
        else:
            gates[o] = 0.0
    return trees, gates, unseen


def _fitted(X, y, seed, w):
    if len(X) > SETTINGS.most_rows:
        chosen = np.random.RandomState(seed).choice(len(X), SETTINGS.most_rows, replace=False)
        X, y, w = X[chosen], y[chosen], w[chosen]
    w = None if (w == 1).all() else w
    trees = HistGradientBoostingRegressor(
        max_iter=SETTINGS.trees, max_leaf_nodes=SETTINGS.leaves, learning_rate=SETTINGS.tree_rate,
        max_features=SETTINGS.tree_features, early_stopping=False, random_state=seed,
    )  # fmt: skip
    with one_thread():
        return trees.fit(X, y, w)


def gate(true, guess, w=None):
    """Factor of a guess, 0 to 1, less its standard error; samples weighted by `w`."""
    w = np.ones(len(true)) if w is None else w
    power = w @ np.square(guess)
    if not power:
        return 0.0
    factor = w @ (true * guess) / power
    error = np.sqrt(w @ np.square(true - factor * guess) / w.sum() / power)
    return float(np.clip(factor - error, 0.0, 1.0))


def boosted(X, trees, gates):
    """What the trees add to rows X, (n, n_outputs)."""
    out = np.zeros((len(X), len(gates)))
    with one_thread():
        for o, tree in enumerate(trees):
            if tree is not None:
                out[:, o] = gates[o] * tree.predict(X)
    return out
