"""Weeks of surface EMG of one arm: 22 motions, 4 trials a motion and day, 8 channels at 200 Hz."""

from functools import lru_cache

import numpy as np
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier

from sklearn_meg.datasets import load_long_term_emg
from sklearn_meg.nerve import NerveDecoder, NerveFeatures, WindowClassifier

from ..recordings import recording
from ..report import row
from .scores import accuracy_rows, classical

LAST = (25, 26, 27, 28, 29, 30)
SPLITS = {
    "emg_days1-5_to_25-30": (1, 2, 3, 4, 5),
    "emg_day1_to_25-30": (1,),
    "emg_intraday": None,
}
WINDOW, HOP = 0.25, 0.05  # s: at 200 Hz the 0.1 s of a nerve are too few samples
N_CHANNELS = 8


@lru_cache(maxsize=1)
def emg(quick):
    """Features (n_trials, n_features + 1, n_windows), motions, days and trials; None if absent.

    quick: Six motions of two days only.
    """
    path = recording("nerve", "sub1_30days.npz")
    if path is None:
        return None
    data = load_long_term_emg(path)
    features = NerveFeatures(sfreq=data.sfreq, window=WINDOW, hop=HOP, session_row=-1)
    few = np.isin(data.session, (1, LAST[0])) & np.isin(data.y, np.unique(data.y)[:6])
    kept = few if quick else slice(None)
    X, y, day, trial = (each[kept] for each in (data.X, data.y, data.session, data.trial))
    return features.fit_transform(X).astype(np.float32), y, day, trial


def emg_rows(case, seed, deep, quick):
    """Accuracy on days that were not trained on, or within each day."""
    if emg(quick) is None:
        return []
    if case == "emg_intraday":
        return intraday_rows(seed, deep, quick)
    X, y, day, _ = emg(quick)
    train = np.isin(day, SPLITS[case])
    order = np.random.default_rng(seed).permutation(len(y))
    test = order[np.isin(day[order], LAST[:1] if quick else LAST)]
    rows = []
    for name, (simple, model) in _models(seed, deep, quick).items():
        chosen = classical(X, N_CHANNELS) if simple else X
        rows += accuracy_rows(
            case, name, seed, model.fit(chosen[train], y[train]), chosen[test], y[test]
        )
        if name == "default":
            rows += accuracy_rows(
                case, "default_tuned", seed, model.fine_tuned(X[test]), X[test], y[test]
            )
            model.set_params(adaptation="online")
            rows += accuracy_rows(case, "default_online", seed, model, X[test], y[test])
    return rows


def _models(seed, deep, quick):
    """Models by name: (14 features only?, model). What has no chance in it runs once."""
    adapted = WindowClassifier(session_row=-1, adaptation="batch")
    models = {
        "lda_adapted": (True, adapted),
        "lda_cov_adapted": (False, clone(adapted)),
        "lda_self_trained": (False, clone(adapted).set_params(n_self_training=2)),
        "lda_session": (False, clone(adapted).set_params(session_model=True)),
    }
    forest = RandomForestClassifier(10 if quick else 200, min_samples_leaf=3, random_state=seed)
    models["forest_adapted"] = (False, clone(adapted).set_params(estimator=forest))
    models = models if seed == 0 else {}
    ours = NerveDecoder(session_row=-1, adaptation="batch", random_state=seed, **deep)
    models["default"] = (False, ours)
    if seed == 0:
        models["default_fixed"] = (False, clone(ours).set_params(adaptation=None))
        models["paper"] = (
            False,
            clone(ours).set_params(network="paper", max_epochs=1 if quick else 20),
        )
    return models


def intraday_rows(seed, deep, quick):
    """Each of the four trials of a day left out once."""
    if seed > 1:  # 24 fits a seed
        return []
    X, y, day, trial = emg(quick)
    right = {"lda_cov": [], "default": []}
    for d in LAST[:1] if quick else LAST:
        for t in np.unique(trial)[: 1 if quick else None]:
            train, test = (day == d) & (trial != t), (day == d) & (trial == t)
            models = {"default": NerveDecoder(session_row=-1, random_state=seed, **deep)}
            if seed == 0:
                models["lda_cov"] = WindowClassifier(session_row=-1)
            for name, model in models.items():
                right[name].append(model.fit(X[train], y[train]).predict(X[test]) == y[test])
    return [
        row("emg_intraday", name, "trial_accuracy", seed, np.mean(each))
        for name, each in right.items()
        if each
    ]
