"""Benchmark of nerve decoders: the same day, after drift, six movements, weeks of EMG, latency.

Simulation: :func:`sklearn_meg.datasets.make_nerve`, 10 training trials of 10 gestures, 4 test
trials a gesture in a session of each level of drift; each seed is another nerve. Its difficulty
is set by ``lda``: shrinkage LDA on the 14 features. Windows are compared there, as nearly all
trials are decided by anybody; cases that end in ``_sparse`` are nerves with few spikes in a window
(``firing="sparse"``), where trials are. Every classifier decides a trial by the vote of its
windows, so that all use the whole trial. Names: ``lda`` has the 14 features, ``lda_cov``
log covariances, too; ``..._adapted`` are normalized with the unlabeled test session,
``..._self_trained`` are fitted again with their own decisions; ``lda_session`` has our model of
sessions, but no network. Ours are ``default`` (adapted to the whole unlabeled session),
``default_online`` (only to what came before), ``default_fixed`` (not adapted), ``default_tuned``
(trained further on its own decisions), ``paper`` (the paper's network, adapted). Both
``lda_self_trained`` and ``default_tuned`` decide the very trials that they have learned from, so
that early windows know how their trial ended; ``..._halves`` learn from one half of the session's
trials and decide the other.

New sessions as users have them (`sessions`): `few_labels` (one labeled trial a motion),
`new_person` (fitted to others, or to one day), `rest_heavy`, `turned` and `lost_channel` of three
people's EMG, apart (``_p1`` to ``_p3``); `continuous`, `unseen_motion` and `velocity` simulated.
``session`` is our model of sessions around linear discriminants, without a network; ``riemann`` and
``dtw`` (`peers`) are what an analyst would try beside it. `failed_session` (`failing`): the AUC by
which sessions with less than .6 right decisions are told from others without labels, by the
expected accuracy and by the mean confidence.

Real: surface EMG over 30 days (skipped where it is absent). Online decoders get the test trials
of all test days in random order, day after day. Times are CPU times of one thread.
"""

from functools import lru_cache, partial
from time import process_time

import numpy as np
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import RidgeClassifierCV
from sklearn.model_selection import KFold

from sklearn_meg.datasets import make_nerve
from sklearn_meg.nerve import (
    KalmanRegressor,
    NerveDecoder,
    NerveFeatures,
    NerveRegressor,
    WindowClassifier,
    WindowRegressor,
)

from ..report import row, run_steps
from . import real, sessions, speed
from .checks import make_checks
from .scores import accuracy_rows, classical, halves_rows

LEVELS = {"same_day": 0, "drift1": 1, "drift2": 2, "drift3": 3}
EMG = tuple(real.SPLITS)
SIMULATED = (*LEVELS, "dof")
SPARSE = "_sparse"  # behind the name of a case: few spikes in a window, decided by trials
CASES = (
    *SIMULATED,
    *(case + SPARSE for case in SIMULATED),
    *EMG,
    *sessions.CASES,
    "latency",
    "stream",
)
# Others show that these run.
NOT_QUICK = ("drift1", "drift2", "drift3", "emg_days1-5_to_25-30", "rest_heavy50")
QUICK_CASES = tuple(c for c in CASES if c not in NOT_QUICK and not c.endswith(SPARSE))
N_CHANNELS = 16
RIDGE = (1.0, 10.0, 100.0, 1e3, 1e4, 1e5)
ONCE = ("latency", "stream")
QUICK_DATA = {"n_train": 3, "n_test": 1, "sfreq": 2000.0, "duration": 0.4}


def run(quick=False, n_seeds=None, cases=None):
    """Run the benchmark.

    quick: Short trials, few epochs, one seed: shows that everything runs; numbers mean nothing.
    n_seeds (int or None): Seeds of nerves and of training: 5 unless quick.
    cases (list of str or None): Some of `CASES`; None all.
    Returns rows, checks (list of dict), settings (dict)
    """
    cases = (QUICK_CASES if quick else CASES) if cases is None else cases
    seeds = range(n_seeds or (1 if quick else 5))
    steps = [(c, s) for s in seeds for c in cases if c not in ONCE]
    steps += [(c, 0) for c in cases if c in ONCE]
    simulated.cache_clear()
    fitted.cache_clear()
    rows = run_steps("nerve", steps, partial(_case_rows, quick=quick))
    settings = {"quick": quick, "seeds": len(seeds), "cases": list(cases)}
    return rows, [] if quick else make_checks(rows), settings


def _case_rows(case, seed, quick):
    if parts_of(case)[0] in LEVELS:
        return level_rows(case, seed, quick)
    if parts_of(case)[0] == "dof":
        return movement_rows(case, seed, quick)
    if case in sessions.CASES:
        return sessions.session_rows(case, seed, quick)
    if case in EMG:
        return real.emg_rows(case, seed, deep(quick), quick)
    if case == "latency":
        return speed.latency_rows(quick)
    return speed.stream_rows(quick)


def deep(quick):
    """Parameters of training."""
    return {"max_epochs": 3} if quick else {}


def parts_of(case):
    """A simulated case without its firing, and the firing."""
    return case.removesuffix(SPARSE), "sparse" if case.endswith(SPARSE) else "dense"


@lru_cache(maxsize=1)
def simulated(seed, quick, firing):
    """Features of a nerve: (n_trials, n_features + 1, n_windows), gestures, movements, sessions."""
    levels = tuple(LEVELS.values())
    nerve = make_nerve(levels, firing=firing, random_state=seed, **(QUICK_DATA if quick else {}))
    features = NerveFeatures(sfreq=nerve.sfreq, session_row=-1).fit(nerve.X[nerve.session == 0])
    y = features.at_windows(nerve.dof)
    return features.transform(nerve.X).astype(np.float32), nerve.y, y, nerve.session


def classifiers(seed, quick):
    """Models by name: (14 features only?, model)."""
    few = {"n_estimators": 10 if quick else 200, "min_samples_leaf": 3, "random_state": seed}
    boosted = {"max_iter": 3 if quick else 40, "max_leaf_nodes": 15, "random_state": seed}
    window = WindowClassifier(session_row=-1)
    adapted = clone(window).set_params(adaptation="batch")
    others = {
        "ridge": RidgeClassifierCV(RIDGE, cv=KFold(5)),  # unshuffled: whole trials are left out
        "forest": RandomForestClassifier(**few),
        "hist_gb": HistGradientBoostingClassifier(**boosted),
    }
    ours = NerveDecoder(session_row=-1, adaptation="batch", random_state=seed, **deep(quick))
    models = {
        "lda": (True, window),
        "lda_adapted": (True, adapted),
        "lda_cov": (False, window),
        "lda_cov_adapted": (False, adapted),
        "lda_self_trained": (False, clone(adapted).set_params(n_self_training=2)),
        "lda_session": (False, clone(adapted).set_params(session_model=True)),
        "forest_session": (
            False,
            clone(adapted).set_params(estimator=others["forest"], session_model=True),
        ),
        **{
            f"{k}_adapted": (False, clone(adapted).set_params(estimator=e))
            for k, e in others.items()
        },
        "default": (False, ours),
    }
    if seed < 2:  # its training takes some ten times as long
        models["paper"] = (
            False,
            clone(ours).set_params(network="paper", max_epochs=3 if quick else 30),
        )
    return models


@lru_cache(maxsize=20)
def fitted(name, seed, quick, firing):
    """A model fitted to the training session, and the seconds it took."""
    X, y, _, session = simulated(seed, quick, firing)
    simple, model = classifiers(seed, quick)[name]
    train = session == 0
    begun = process_time()
    model = clone(model).fit(classical(X[train], N_CHANNELS) if simple else X[train], y[train])
    return model, process_time() - begun


def level_rows(case, seed, quick):
    """Accuracy of all classifiers in one test session."""
    level, firing = parts_of(case)
    X, y, _, session = simulated(seed, quick, firing)
    test = session == 1 + list(LEVELS).index(level)
    X, y = X[test].copy(), y[test]
    if level == "same_day":
        X[:, -1] = 0  # the session of training
    rows = []
    for name, (simple, _) in classifiers(seed, quick).items():
        model, seconds = fitted(name, seed, quick, firing)
        if level == "same_day":
            rows.append(row(case, name, "fit_s", seed, seconds))
        rows += accuracy_rows(case, name, seed, model, classical(X, N_CHANNELS) if simple else X, y)
        if name == "default" and level != "same_day":
            rows += more_of_ours(case, seed, model, X, y)
        if name == "lda_self_trained" and level != "same_day":
            tune = _self_trained(seed, quick, firing)
            rows += halves_rows(case, f"{name}_halves", seed, tune, X, y)
    return rows


def _self_trained(seed, quick, firing):
    """A function from unlabeled trials to LDA fitted again with its own decisions of them."""
    model = fitted("lda_cov_adapted", seed, quick, firing)[0]
    X, y, _, session = simulated(seed, quick, firing)
    train = session == 0

    def tune(new):
        both = np.concatenate([X[train], new]), np.concatenate([y[train], model.predict(new)])
        return clone(model).fit(*both)  # the session is known then, with a mean of its own

    return tune


def more_of_ours(case, seed, model, X, y):
    """The same network with other adaptations."""
    rows = []
    for name, adaptation in (("default_online", "online"), ("default_fixed", None)):
        model.set_params(adaptation=adaptation)
        rows += accuracy_rows(case, name, seed, model, X, y)
    model.set_params(adaptation="batch")
    rows += accuracy_rows(case, "default_tuned", seed, model.fine_tuned(X), X, y)
    return rows + halves_rows(case, "default_tuned_halves", seed, model.fine_tuned, X, y)


def movement_rows(case, seed, quick):
    """R2 of six degrees of freedom on the same day, mean over them."""
    X, _, y, session = simulated(seed, quick, parts_of(case)[1])
    train, test = session == 0, session == 1
    ours = NerveRegressor(random_state=seed, **deep(quick))
    models = {
        "ridge": WindowRegressor(),
        "kalman": KalmanRegressor(),
        "default": ours,
        "direct": clone(ours).set_params(strategy="direct"),
        "classify": clone(ours).set_params(strategy="classify"),
    }
    if seed < 2:
        models["paper"] = clone(ours).set_params(network="paper")
    rows = []
    for name, model in models.items():
        begun = process_time()
        model.fit(X[train, :-1], y[train])
        rows.append(row(case, name, "fit_s", seed, process_time() - begun))
        rows.append(row(case, name, "r2", seed, model.score(X[test, :-1], y[test])))
    return rows
