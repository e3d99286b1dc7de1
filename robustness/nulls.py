"""Studies in which features drive nothing, and how often one is claimed; and some in which they do.

Responses of four channels go on in a spectrum of 1/f over a whole recording, unless they are white,
and are cut into trials.
"""

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin

from benchmarks.drift import drift
from benchmarks.report import check, row, values
from sklearn_meg import Study

CASES = ("null_studies",)
N_STUDIES, QUICK_STUDIES = 200, 2
N_TRIALS, N_CHANNELS, N_TIMES, N_FOLDS, N_RUNS = 60, 4, 6, 4, 4
NOMINAL, CLAIMED, FOUND = 0.07, 0.05, 0.95  # p below .05 is to be 5 % +- 2


class Weights(RegressorMixin, BaseEstimator):
    """Ridge regression of the response on the feature, for each subject; row 1 says which."""

    def fit(self, X, y):
        """Fit."""
        self.models_ = {}
        for subject in np.unique(X[:, 1, 0]):
            x, own = X[:, 0, 0][X[:, 1, 0] == subject], y[X[:, 1, 0] == subject]
            centered = x - x.mean()
            slope = np.tensordot(centered, own, 1) / (centered @ centered + 1.0)
            self.models_[subject] = (x.mean(), slope, own.mean(axis=0))
        return self

    def predict(self, X):
        """Predict."""
        found = np.empty((len(X), *self.models_[X[0, 1, 0]][1].shape))
        for subject, (mean, slope, offset) in self.models_.items():
            mine = X[:, 1, 0] == subject
            found[mine] = (X[mine, 0, 0] - mean)[:, np.newaxis, np.newaxis] * slope + offset
        return found


def _white(rng, n):
    return rng.normal(size=n)


def _drifting(rng, n):
    return drift(rng, 1, n)[0]


def _rare(rng, n):
    return rng.choice([0.0, 1.0], size=n, p=[0.9, 0.1])


def _blocks(rng, n):
    return np.arange(n) // 6 % 2 + 0.1 * rng.normal(size=n)


# Subjects, feature, whether responses drift over trials as well, whether runs are left out.
KINDS = {
    "1 subject": (1, _white, False, False),
    "3 subjects": (3, _white, False, False),
    "12 subjects": (12, _white, False, False),
    "3 subjects, runs": (3, _white, True, True),
    "1 subject, drifts": (1, _drifting, True, False),
    "3 subjects, drifts": (3, _drifting, True, False),
    "12 subjects, drifts": (12, _drifting, True, False),
    "3 subjects, drifts, runs": (3, _drifting, True, True),
    "3 subjects, rare events": (3, _rare, True, False),
    "3 subjects, blocks": (3, _blocks, True, False),
}


def world(rng, n_subjects, feature, drifts, effect=0.0):
    """X with the feature and the subject, y, and subjects."""
    X, y = [], []
    for subject in range(n_subjects):
        told = feature(rng, N_TRIALS)
        own = drift(rng, N_CHANNELS, N_TRIALS * N_TIMES)
        own = own.reshape(N_CHANNELS, N_TRIALS, N_TIMES).swapaxes(0, 1)
        if drifts:
            own = own + 0.7 * drift(rng, N_CHANNELS, N_TRIALS, 1.5).T[:, :, np.newaxis]
        y.append(own + effect * told[:, np.newaxis, np.newaxis])
        rows = np.stack([told, np.full(N_TRIALS, float(subject))], axis=1)
        X.append(rows[:, :, np.newaxis] * np.ones(N_TIMES))
    return np.concatenate(X), np.concatenate(y), np.repeat(np.arange(n_subjects), N_TRIALS)


def one_study(seed, n_subjects, feature, drifts, by_run, effect=0.0):
    """Value of p of the features, and whether they are claimed."""
    rng = np.random.default_rng([seed, n_subjects, drifts])
    X, y, subjects = world(rng, n_subjects, feature, drifts, effect)
    runs = np.arange(len(X)) * N_RUNS // N_TRIALS if by_run else None
    study = Study({"weights": Weights()}, cv=N_FOLDS, scoring="r", n_permutations=20)
    study.run(X, y, subjects=subjects, groups=runs, features={"feature": [0]})
    (gain,) = study.gains().itertuples()
    return gain.p_features, gain.claimed


def case_rows(case, seed, quick=False):
    """How many studies of each kind, p below .05, and claims."""
    n, rows = QUICK_STUDIES if quick else N_STUDIES, []
    for name, kind in KINDS.items():
        rows += _rows(case, name, seed, [one_study(k, *kind) for k in range(n)])
    driven = [one_study(k, 3, _white, True, False, effect=0.5) for k in range(n // 2)]
    return [*rows, *_rows(case, "3 subjects, driven", seed, driven)]


def _rows(case, name, seed, found):
    p, claimed = np.array(found, dtype=float).T
    counts = {"tried": len(p), "below_05": (p < 0.05).sum(), "claimed": claimed.sum()}
    return [row(case, name, metric, seed, int(value)) for metric, value in counts.items()]


def checks(rows):
    """Rates of what is found by chance, and of what is there."""
    found = []
    for name in KINDS:
        tried = values(rows, CASES[0], name, "tried").sum()
        if not tried:
            continue
        for metric, bound in {"below_05": NOMINAL, "claimed": CLAIMED}.items():
            share = values(rows, CASES[0], name, metric).sum() / tried
            found.append(check(f"null studies: {name}: {metric}", share, f"<= {bound}"))
    tried = values(rows, CASES[0], "3 subjects, driven", "tried").sum()
    if tried:
        share = values(rows, CASES[0], "3 subjects, driven", "claimed").sum() / tried
        found.append(check("null studies: driven, claimed", share, f">= {FOUND}"))
    return found
