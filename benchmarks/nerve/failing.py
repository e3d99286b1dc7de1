"""Sessions that fail, and whether a model knows without labels."""

import warnings

import numpy as np
from sklearn.base import clone
from sklearn.metrics import roc_auc_score

from sklearn_meg.datasets import make_nerve
from sklearn_meg.exceptions import AssumptionWarning
from sklearn_meg.nerve import WindowClassifier

from ..report import row

FAILED = 0.6  # share of right decisions below which a session has failed
DAYS = tuple(range(7, 31, 3))
SPOILED = ("sound", "gains", "turned", "turned_twice", "swapped", "mixed", "noise", "rest")


def spoiled(X, kind, rng):
    """Trials (n_trials, n_channels, n_times) of a session in which something has changed."""
    n = X.shape[1]
    if kind == "gains":
        return X * np.exp(0.4 * rng.normal(size=(1, n, 1)))
    if kind.startswith("turned"):
        return np.roll(X, 1 if kind == "turned" else 2, axis=1)
    if kind == "swapped":
        order, moved = np.arange(n), rng.choice(n, 4, replace=False)
        order[moved] = np.roll(moved, 1)
        return X[:, order]
    if kind == "mixed":
        return np.einsum("ij,njt->nit", np.eye(n) + 0.6 * rng.normal(size=(n, n)) / np.sqrt(n), X)
    if kind == "noise":
        return X + 0.7 * X.std((0, 2), keepdims=True) * rng.normal(size=X.shape)
    return X


def _mostly_rest(y, rng):
    """Indices of trials of which half are of one motion."""
    rest = y == y.min()
    others = rng.permutation(np.flatnonzero(~rest))[: max(12, len(y) // 3)]
    rested = rng.choice(np.flatnonzero(rest), len(others))
    return rng.permutation(np.concatenate([others, rested]))


def judged(model, X, y, seed, quick):
    """Pairs of the share of right decisions and of scores without labels, of spoiled sessions."""
    rng, found = np.random.default_rng(seed), []
    signal, session = X[:, :-1].astype(float), X[:, -1:]
    for kind in SPOILED[:: 3 if quick else 1]:
        chosen = _mostly_rest(y, rng) if kind == "rest" else np.arange(len(y))
        more = 1e-3 * signal.std() * rng.normal(size=signal[chosen].shape)  # no copies of trials
        trials = spoiled(signal[chosen] + more, kind, rng)
        trials = np.concatenate([trials, session[chosen]], axis=1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AssumptionWarning)
            probability = model.predict_proba(trials)
            expected = model.expected_accuracy(trials)[0]
        right = (model.classes_[probability.argmax(1)] == y[chosen]).mean()
        found.append((right, expected, probability.max(1).mean()))
    return found


def auc_rows(case, seed, found):
    """How well sessions that failed are told from the others, and how far estimates are off."""
    right, expected, confidence = np.array(found).T
    failed = right < FAILED
    rows = [row(case, "session", "error", seed, np.abs(expected - right).mean())]
    if 0 < failed.sum() < len(failed):
        for name, score in (("session", expected), ("confidence", confidence)):
            rows.append(row(case, name, "auc", seed, roc_auc_score(~failed, score)))
    return rows


def simulated_rows(seed, quick):
    """Drifted sessions of a nerve, each as it is and spoiled."""
    small = {"n_train": 3, "n_test": 1, "sfreq": 2000.0, "duration": 0.4}
    params = small if quick else {"sfreq": 2000.0}
    firing = "sparse" if seed % 2 else "dense"
    levels = (0, 2) if quick else (0, 2, 2, 3)
    nerve = make_nerve(levels, firing=firing, random_state=100 + seed, **params)
    model = WindowClassifier(
        sfreq=nerve.sfreq, session_row=-1, adaptation="batch", session_model=True
    )
    train = nerve.session == 0
    model.fit(nerve.X[train], nerve.y[train])
    found = []
    for s in np.unique(nerve.session)[1:]:
        mine = nerve.session == s
        found += judged(model, nerve.X[mine], nerve.y[mine], 10 * seed + s, quick)
    return auc_rows("failed_session", seed, found)


def person_rows(person, data, model, days, quick):
    """Days of a person under models of five days and of one, each as it is and spoiled."""
    plain, found = clone(model).set_params(ring=False), []
    for train in ((1,),) if quick else ((1, 2, 3, 4, 5), (1,)):
        mine = np.isin(data.session, train)
        fitted = clone(plain).fit(data.X[mine], data.y[mine])
        for day in days:
            chosen = data.session == day
            found += judged(fitted, data.X[chosen], data.y[chosen], 100 * person + day, quick)
    return auc_rows(f"failed_session_p{person}", 0, found)
