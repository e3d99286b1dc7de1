"""What information each model of a study uses, and the floors with the same except the features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.utils import gen_batches

from .._checks.trials import release_pages, trials_per_chunk

PART_BYTES = 2**22
KINDS = ("features", "initial", "subject")
WORDS = {"features": "features", "initial": "initial window", "subject": "subject"}


@dataclass(frozen=True)
class Parts:
    """Rows of X by what they say: of each feature, of the initial window, of the subject."""

    features: dict
    initial: tuple = ()
    subject: tuple = ()

    def rows(self, kind):
        """All rows of one kind, as a sorted array."""
        if kind == "features":
            return np.unique([row for rows in self.features.values() for row in rows]).astype(int)
        return np.array(getattr(self, kind), dtype=int)


def exchange(subjects, rng):
    """Draw for each trial another trial of its subject.

    subjects (n_trials,), rng (numpy.random.Generator)
    Returns source (n_trials,) int: A permutation within each subject.
    """
    source = np.arange(len(subjects))
    for subject in np.unique(subjects):
        trials = np.flatnonzero(subjects == subject)
        source[trials] = rng.permutation(trials)
    return source


def from_others(X, rows, source, part=slice(None)):
    """Copy of (a part of) X whose `rows` are those of other trials."""
    changed = np.array(X[part])
    changed[:, rows] = X[np.ix_(source[part], rows)]
    return changed


def predict_in_parts(fitted, changed, X, y):
    """Yield parts of trials, and what is predicted for them, so that little is in memory.

    changed (callable): ``changed(part)`` returns X of these trials, changed.
    X (n_trials, n_rows, n_times)
    y (n_trials, n_channels, n_times): As large as what is predicted.
    """
    larger = max(X, y, key=lambda array: array[:1].size)
    size = len(X) if _adapts(fitted) else trials_per_chunk(larger, PART_BYTES)
    for part in gen_batches(len(X), size):
        yield part, np.asarray(fitted.predict(changed(part)))
        release_pages(X, y)


def _adapts(fitted):
    """Whether a model adapts to the trials that it predicts, so that they must stay together."""
    params = fitted.get_params() if hasattr(fitted, "get_params") else {}
    return any(
        name.split("__")[-1] == "adaptation" and value is not None for name, value in params.items()
    )


def what_it_knows(fitted, X, y_pred, parts):
    """Which parts of X a fitted model uses: those whose exchange between trials moves it.

    Returns known (dict of str -> bool): One value for each of "features", "initial" and "subject";
        False where X has no such part.
    """
    rolled = np.roll(np.arange(len(X)), 1)
    known = {}
    for kind in KINDS:
        rows = parts.rows(kind)
        known[kind] = bool(len(rows)) and _moves(fitted, X, rows, rolled, y_pred)
    return known


def _moves(fitted, X, rows, source, y_pred):
    """Whether the prediction of any trial changes; the first that does is enough."""
    scale = max(y_pred.max(), -y_pred.min())

    def changed(part):
        return from_others(X, rows, source, part)

    try:
        for part, moved in predict_in_parts(fitted, changed, X, y_pred):
            if moved.any() if scale == 0 else _differ(moved, y_pred[part], 1e-6 * scale):
                return True
    except ValueError:  # refuses what it does not know: it looks at it
        return True
    return False


def _differ(a, b, tolerance):
    return bool(np.abs(a - b).max() > tolerance)


def in_words(known):
    """What a model is told, as text."""
    told = [WORDS[kind] for kind in KINDS if known.get(kind)]
    return ", ".join(told) if told else "nothing of the trial"


def equal_floor(model, knows, scores):
    """The floor that a model is compared with: no features, otherwise the same information.

    knows (dict of str -> dict): Knowledge of each model, as `what_it_knows` says.
    scores (dict of str -> float): Mean score of each model. Of several floors the strongest
        counts.
    Returns floor (str or None): None for a floor itself, and where no model is told so much.
    """
    own = knows[model]
    if not own["features"]:
        return None
    floors = [
        name
        for name, known in knows.items()
        if not known["features"] and known["initial"] == own["initial"]
    ]
    return max(floors, key=lambda name: np.nan_to_num(scores[name], nan=-np.inf), default=None)
