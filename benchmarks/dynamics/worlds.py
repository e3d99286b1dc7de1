"""Simulated worlds: every model against what was planted."""

import warnings
from dataclasses import replace
from time import process_time

from sklearn_meg.datasets import make_states
from sklearn_meg.dynamics.metrics import (
    community_ari,
    match_states,
    planted_scores,
    rank_correlation,
    state_accuracy,
)

from ..report import row
from .models import KnownStates, choose, ours, peers

SMALL_WORLD = {"n_times": 200, "n_regions": 15}
N_SUBJECTS, N_TEST = {"easy": 6, "hard": 4}, 2  # recordings to fit, and to score


def world_rows(case, seed, quick=False):
    """Rows of all models in one world."""
    size = {"n_subjects": N_SUBJECTS[case] + N_TEST, **(SMALL_WORLD if quick else {})}
    data = make_states(case, random_state=seed, **size)
    test = data.X[-N_TEST:]
    data = replace(data, X=data.X[:-N_TEST], states=data.states[:-N_TEST])
    models = {
        "oracle": KnownStates(data),
        **ours(4, seed, quick),
        **{name: choose(some, data.X) for name, some in peers(4, seed, case, quick).items()},
    }
    rows = []
    for name, model in models.items():
        rows += model_rows(case, name, seed, model, data, test)
    return rows


def model_rows(case, name, seed, model, data, test):
    """Fit a model and compare with what was planted; `windows` is found in `windows_chain`."""
    begun = process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(data.X)
    spent = process_time() - begun
    rows = [row(case, name, "fit_s", seed, spent)]
    rows.append(row(case, name, "loglik", seed, model.score(test)))
    states = model.predict(data.X)
    rows += _found(case, name, seed, model, data, states)
    if name == "windows_chain":
        labels = model.labels_.reshape(states.shape)
        rows += _found(case, "windows", seed, model, data, labels)
    return rows


def _found(case, name, seed, model, data, states):
    matching = match_states(data.states, states)
    scores = planted_scores(data.covariances, data.communities, data.transmat)
    found = {
        "state_accuracy": state_accuracy(data.states, states),
        "ari": community_ari(data.communities, model.communities_, matching),
        "rank_rho": rank_correlation(scores, data.communities, model, matching),
    }
    return [row(case, name, metric, seed, value) for metric, value in found.items()]
