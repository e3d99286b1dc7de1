"""New sessions as users have them: few labels, mostly rest, no ends, unseen motions, velocity."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import roc_auc_score

from sklearn_meg.datasets import load_long_term_emg, make_nerve
from sklearn_meg.nerve import (
    KalmanRegressor,
    NerveDecoder,
    NerveRegressor,
    NerveStream,
    WindowClassifier,
    WindowRegressor,
)

from ..recordings import recording
from ..report import row
from . import failing
from .peers import NearestByWarping, TangentSpace

PEOPLE = (1, 2, 3)
EMG = {"sfreq": 200.0, "window": 0.25, "hop": 0.05, "session_row": -1}
TRAIN = (1, 2, 3, 4, 5)
LAST = (25, 26, 27, 28, 29, 30)
CASES = (
    "people_days1-5_to_25-30",
    "few_labels",
    "new_person",
    "rest_heavy50",
    "rest_heavy80",
    "turned",
    "lost_channel",
    "continuous",
    "unseen_motion",
    "failed_session",
    "velocity",
)
LOST = 3  # channel
REST = 1  # motion of the EMG in which the hand rests


def session_rows(case, seed, quick):
    """Rows of one case."""
    if case == "continuous":
        return continuous_rows(seed, quick)
    if case == "unseen_motion":
        return unseen_rows(seed, quick)
    if case == "velocity":
        return velocity_rows(seed, quick)
    rows = failing.simulated_rows(seed, quick) if case == "failed_session" else []
    for person in PEOPLE[: 1 if quick else None]:
        if seed == 0 and _path(person) is not None:  # recordings are what they are
            rows += _rows_of(case, person, quick)
    return rows


def _rows_of(case, person, quick):
    days = LAST[:1] if quick else LAST
    if case == "new_person":
        return new_person_rows(person, days, quick)
    if case == "failed_session":
        days = failing.DAYS[:1] if quick else failing.DAYS
        return failing.person_rows(person, *fitted(person, quick), days, quick)
    return _person_rows(case, person, days, quick)


def _path(person):
    return recording("nerve", f"sub{person}_30days.npz")


def _train(quick):
    return TRAIN[:1] if quick else TRAIN


@lru_cache(maxsize=3)
def trials_of(person, quick=False):
    """Raw trials of a person; quick: Six motions only."""
    data = load_long_term_emg(_path(person))
    if not quick:
        return data
    few = np.isin(data.y, np.unique(data.y)[:6])
    each = {name: getattr(data, name)[few] for name in ("X", "y", "session", "trial")}
    return replace(data, **each)


@lru_cache(maxsize=3)
def fitted(person, quick):
    """Raw trials of a person, and the session model around linear discriminants of `TRAIN`."""
    data = trials_of(person, quick)
    model = WindowClassifier(**EMG, adaptation="batch", session_model=True, ring=True)
    train = np.isin(data.session, _train(quick))
    return data, model.fit(data.X[train], data.y[train])


def new_person_rows(person, days, quick):
    """A person of whom nothing is known, or a day, or one trial of each motion.

    ``strangers`` was pretrained on days 1 to 5 of the other people, ``strangers_labels`` knows one
    trial of each motion of the new day, too, as ``own_labels_lda`` does; ``own_day1`` was fitted to
    the first day of the person, ``pooled`` to that and the others alike, ``personal`` is
    ``strangers`` personalized with that day.
    """
    data = trials_of(person, quick)
    model = WindowClassifier(**EMG, adaptation="batch", session_model=True)
    first = data.session == TRAIN[0]
    own = clone(model).fit(data.X[first], data.y[first])
    X, y = _strangers(person, quick)
    strangers = clone(model).pretrain(X, y, X[:, -1, 0] // 100)
    personal = strangers.personalized(data.X[first], data.y[first])
    both = np.concatenate([X, data.X[first]]), np.concatenate([y, data.y[first]])
    pooled = clone(model).fit(*both)
    found = {}
    for day in days:
        chosen = data.session == day
        X, y, shown = data.X[chosen], data.y[chosen], data.trial[chosen] == 1
        models = {
            "own_labels_lda": WindowClassifier(**EMG).fit(X[shown], y[shown]),
            "strangers": strangers,
            "strangers_labels": strangers.calibrated(X[shown], y[shown]),
            "own_day1": own,
            "own_day1_labels": own.calibrated(X[shown], y[shown]),
            "pooled": pooled,
            "pooled_labels": pooled.calibrated(X[shown], y[shown]),
            "personal": personal,
            "personal_labels": personal.calibrated(X[shown], y[shown]),
        }
        for name, each in models.items():
            found.setdefault(name, []).append(each.score(X[~shown], y[~shown]))
    return [
        row(f"new_person_p{person}", name, "trial_accuracy", 0, np.mean(each))
        for name, each in found.items()
    ]


def _strangers(person, quick):
    """Trials of the other people, each day of each a session of its own; negative numbers."""
    X, y = [], []
    for other in PEOPLE:
        if other != person and _path(other) is not None:
            data = trials_of(other, quick)
            chosen = np.isin(data.session, _train(quick))
            trials = data.X[chosen].copy()
            trials[:, -1] = -100 * other - trials[:, -1]
            X, y = [*X, trials], [*y, data.y[chosen]]
    return np.concatenate(X), np.concatenate(y)


@lru_cache(maxsize=3)
def refitted(person, quick):
    """The same without one channel from the beginning."""
    data, model = fitted(person, quick)
    train = np.isin(data.session, _train(quick))
    X = np.delete(data.X[train], LOST, axis=1)
    return clone(model).set_params(ring=False).fit(X, data.y[train])


def _person_rows(case, person, days, quick):
    data, model = fitted(person, quick)
    found = {}
    for day in days:
        chosen = data.session == day
        parts = data.X[chosen], data.y[chosen], data.trial[chosen]
        scored = _scored(case, model, *parts)
        if case.startswith("people") and len(days) > 1:
            scored += _deep_scores(person, *parts[:2]) + _peer_scores(person, *parts[:2])
        if case == "lost_channel":
            kept = np.delete(parts[0], LOST, axis=1)
            for name, adaptation in (("refit", "batch"), ("refit_online", "online")):
                refit = _as(refitted(person, quick), adaptation=adaptation)
                scored.append((name, refit.score(kept, parts[1])))
        for name, right in scored:
            found.setdefault(name, []).append(right)
    return [
        row(f"{case}_p{person}", name, "trial_accuracy", 0, np.mean(each))
        for name, each in found.items()
    ]


@lru_cache(maxsize=3)
def deep(person):
    """The decoder with its network, fitted to the same days."""
    data = trials_of(person)
    train = np.isin(data.session, TRAIN)
    model = NerveDecoder(**EMG, adaptation="batch", random_state=0)
    return model.fit(data.X[train], data.y[train])


def _deep_scores(person, X, y):
    order = np.random.default_rng(0).permutation(len(y))
    models = {"default": deep(person), "default_online": _as(deep(person), adaptation="online")}
    return [(name, m.score(X[order], y[order])) for name, m in models.items()]


@lru_cache(maxsize=3)
def peers(person):
    """Tangent spaces and warping, which know the same days."""
    data = trials_of(person)
    train = np.isin(data.session, TRAIN)
    known = data.X[train, :-1].astype(float), data.y[train], data.session[train]
    models = {"riemann": TangentSpace(), "dtw": NearestByWarping()}
    return {name: model.fit(*known) for name, model in models.items()}


def _peer_scores(person, X, y):
    day = X[:, :-1].astype(float), y, X[:, -1, 0]
    return [(name, model.score(*day)) for name, model in peers(person).items()]


def _scored(case, model, X, y, trial):
    """Pairs of a name and an accuracy, on one day."""
    fixed, online = (
        _as(model, adaptation=adaptation, ring=False) for adaptation in (None, "online")
    )
    batch = _as(model, ring=False)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(y))
    if case.startswith("people"):
        models = {"session": batch, "session_online": online, "session_fixed": fixed}
        models["session_ring"] = model
        return [(name, m.score(X[order], y[order])) for name, m in models.items()]
    if case == "few_labels":
        return _few_labels(batch, online, X, y, trial)
    if case.startswith("rest_heavy"):
        X, y = _rest_heavy(X, y, int(case[-2:]) / 100, rng)
        models = {"session": batch, "session_online": online, "session_fixed": fixed}
        return [(name, m.score(X, y)) for name, m in models.items()]
    spoiled = X.copy()
    if case == "turned":
        spoiled[:, :-1] = np.roll(X[:, :-1], 1, axis=1)
        pairs = (
            ("unturned", model, X),
            ("session", batch, spoiled),
            ("session_ring", model, spoiled),
        )
    else:
        spoiled[:, LOST] = 0.0
        noise = X.copy()
        noise[:, LOST] = X[:, LOST].std() * rng.normal(size=X[:, LOST].shape)
        pairs = (
            ("whole", batch, X),
            ("whole_online", online, X),
            ("session", batch, spoiled),
            ("session_online", online, spoiled),
            ("session_fixed", fixed, spoiled),
            ("session_noise", batch, noise),
        )
    return [(name, m.score(each, y)) for name, m, each in pairs]


def _as(model, **params):
    """The fitted model with other parameters of adaptation."""
    other = clone(model)
    other.__dict__.update({**model.__dict__, **params})
    return other


def _few_labels(batch, online, X, y, trial):
    """One labeled trial of each motion; the others are decided."""
    first, rest = trial == 1, trial != 1
    alone = WindowClassifier(**EMG).fit(X[first], y[first])
    models = {
        "own_labels_lda": alone,
        "unlabeled": batch,
        "session": batch.calibrated(X[first], y[first]),
        "session_online": online.calibrated(X[first], y[first]),
    }
    return [(name, m.score(X[rest], y[rest])) for name, m in models.items()]


def _rest_heavy(X, y, share, rng):
    """A session in which this share of the trials is rest: windows of rest in random pieces."""
    rest, others = np.flatnonzero(y == REST), np.flatnonzero(y != REST)
    others = rng.permutation(others)[:30]
    n = round(len(others) * share / (1 - share))
    half = X.shape[2] // 2
    pairs = rng.choice(rest, (n, 2))
    new = [np.concatenate([X[a, :, :half], X[b, :, half:]], axis=1) for a, b in pairs]
    X = np.concatenate([X[others], np.array(new, dtype=X.dtype)])
    y = np.concatenate([y[others], np.full(n, REST)])
    order = rng.permutation(len(y))
    return X[order], y[order]


def _nerve(seed, quick):
    small = {"n_train": 3, "n_test": 1, "sfreq": 2000.0, "duration": 0.4}
    return make_nerve((0, 2), random_state=seed, **(small if quick else {"sfreq": 2500.0}))


def continuous_rows(seed, quick):
    """Windows of a drifted nerve, one motion after the other: with ends of trials, and without."""
    nerve = _nerve(seed, quick)
    train, test = nerve.session == 0, nerve.session == 2
    rows = []
    for adaptation in ("online", None):
        params = {"sfreq": nerve.sfreq, "session_row": -1, "adaptation": adaptation}
        model = WindowClassifier(**params, session_model=True).fit(nerve.X[train], nerve.y[train])
        lda = WindowClassifier(**params).fit(nerve.X[train], nerve.y[train])
        name = "session" if adaptation else "session_fixed"
        found = {name: (model, False), f"{name}_with_ends": (model, True)}
        found["lda_adapted" if adaptation else "lda"] = (lda, False)
        for key, (each, ends) in found.items():
            right = _streamed(each, nerve.X[test], nerve.y[test], ends)
            rows.append(row("continuous", key, "window_accuracy", seed, right))
    return rows


def _streamed(model, X, y, ends):
    stream, right = NerveStream(model), []
    for trial, label in zip(X, y, strict=True):
        decisions = stream.push(trial[:-1])
        size = stream.extractor.window_samples_ // stream.extractor.hop_samples_
        right += [d.label == label for d in decisions[0 if ends else size :]]
        if ends:
            stream.end_trial()
    return np.mean(right)


def unseen_rows(seed, quick):
    """AUC of the scores that tell four unseen motions from six of training."""
    nerve = _nerve(seed, quick)
    unseen = np.isin(nerve.y, np.random.default_rng(seed).permutation(10)[:4])
    train, test = (nerve.session == 0) & ~unseen, nerve.session == 2
    model = WindowClassifier(
        sfreq=nerve.sfreq, session_row=-1, adaptation="batch", session_model=True
    ).fit(nerve.X[train], nerve.y[train])
    X, new = nerve.X[test], unseen[test]
    scores = {"session": model.novelty(X), "doubt": -model.predict_proba(X).max(1)}
    return [row("unseen_motion", k, "auc", seed, roc_auc_score(new, v)) for k, v in scores.items()]


def population(seed, minutes, n_units=120, width=0.05):
    """Counts (1, n_units, n) of units whose rates are not linear in a velocity (1, 2, n)."""
    rng, n = np.random.default_rng(seed), round(minutes * 60 / width)
    velocity, force = np.zeros((2, n)), np.zeros(2)
    for t in range(1, n):
        force = 0.8 * force + 0.3 * rng.normal(size=2)
        velocity[:, t] = 0.95 * velocity[:, t - 1] + 0.3 * force
    velocity /= velocity.std(1, keepdims=True)
    speed, counts = np.hypot(*velocity), np.empty((n_units, n))
    for unit in range(n_units):
        angle, lag = rng.uniform(0, 2 * np.pi), -rng.integers(0, 4)
        along = np.roll(np.cos(angle) * velocity[0] + np.sin(angle) * velocity[1], lag)
        drive = rng.uniform(0.3, 1) * along
        drive += 0.6 * rng.uniform(0.2, 1) * (np.roll(speed, lag) - 1.2)
        counts[unit] = rng.poisson(rng.uniform(2, 15) * width * np.exp(np.clip(drive, -3, 2.2)))
    return counts[np.newaxis], velocity[np.newaxis]


def velocity_rows(seed, quick):
    """R2 of a velocity from a population of units; the last fifth of the recording is left out."""
    X, y = population(seed, 2 if quick else 10, 20 if quick else 120)
    cut = round(0.8 * X.shape[2])
    boosted = HistGradientBoostingRegressor(max_iter=200, random_state=0)
    models = {
        "ridge": WindowRegressor(history=0),
        "ridge_lags": WindowRegressor(history=3),
        "kalman": KalmanRegressor(history=0),
        "kalman_lags": KalmanRegressor(history=3),
        "hist_gb_lags": [WindowRegressor(estimator=clone(boosted), history=3) for _ in range(2)],
        "default": NerveRegressor(random_state=seed, **({"max_epochs": 2} if quick else {})),
    }
    rows = []
    for name, model in models.items():
        if isinstance(model, list):  # one for each direction
            each = [
                m.fit(X[:, :, :cut], y[:, d : d + 1, :cut]).score(
                    X[:, :, cut:], y[:, d : d + 1, cut:]
                )
                for d, m in enumerate(model)
            ]
            r2 = np.mean(each)
        else:
            r2 = model.fit(X[:, :, :cut], y[:, :, :cut]).score(X[:, :, cut:], y[:, :, cut:])
        rows.append(row("velocity", name, "r2", seed, r2))
    return rows
