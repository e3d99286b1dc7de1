"""Importance and response readout of the deep encoder in world N, where the answer is known."""

import numpy as np

from sklearn_meg import (
    DeepRecurrentEncoder,
    pack_rows,
    permutation_importance_over_time,
    response_to_feature,
)
from sklearn_meg.datasets import make_words, word_response

from ..report import check, values

FEATURES = {"length": 1, "frequency": 2, "noise": 3, "subject": None}
DELTAS = (-1.0, 1.0)  # a response that is not linear differs between up and down: ask for both


def importance_rows(seed=0, quick=False):
    """Measure importance and readout of the default encoder.

    A row of noise, drawn anew for every word, is added to the features before training.

    seed: Of the simulation, the noise row, the encoder and the permutations.
    quick: Little data and few epochs, to see that it runs; its numbers mean nothing.
    Returns rows (list of dict): ``case, model, metric, seed, value``. Importances are the drop of
        R on held-out trials (the last fifth of each subject), averaged over subjects, channels and
        t >= 0. Readouts are correlations with the true response to one unit less and more of the
        feature, over these two, channels and t >= 0: of the mean over subjects
        (``readout_length``), and the mean of the subjects' own, which asks more of the data
        (``readout_length_subject``).
    """
    n_trials = 20 if quick else 300
    size = {"n_subjects": 2, "n_channels": 3} if quick else {}
    data = make_words("N", n_trials=n_trials, **size, random_state=seed)
    features = np.concatenate([data.features, noise_feature(data.features[:, 0], seed)], axis=1)
    n_initial = data.rows["n_initial"]
    X, rows = pack_rows(features, subjects=data.subjects, initial=data.meg, n_initial=n_initial)
    test = np.arange(len(X)) % n_trials >= 0.8 * n_trials
    settings = {"max_epochs": 2} if quick else {}
    encoder = DeepRecurrentEncoder(**rows, **settings, random_state=seed)
    encoder.fit(X[~test], data.y[~test])
    start = max(n_initial, int(np.searchsorted(data.times, 0)))
    result = permutation_importance_over_time(
        encoder, X[test], data.y[test], features=FEATURES, random_state=seed
    )
    importance = result.summary(start).groupby("feature", sort=False)["importance"].mean()
    measured = {f"importance_{name}": importance[name] for name in FEATURES}
    for name in ("length", "frequency"):
        found, true = readout_and_truth(encoder, X[test], data, test, name)
        measured[f"readout_{name}"] = _correlate(found.mean(axis=0), true.mean(axis=0))
        measured[f"readout_{name}_subject"] = np.mean(list(map(_correlate, found, true)))
    return [
        {"case": "N", "model": "default", "metric": metric, "seed": seed, "value": float(value)}
        for metric, value in measured.items()
    ]


def noise_feature(onset, seed):
    """Give every word a random z-scored value that no response depends on.

    onset (n_trials, n_times): 1 while a word is on.
    Returns noise (n_trials, 1, n_times): Boxcars, as the other features.
    """
    on = onset > 0
    word = np.cumsum(on & ~np.pad(on, ((0, 0), (1, 0)))[:, :-1], axis=1)
    rng = np.random.default_rng([seed, 1])  # not the numbers that the simulator drew
    values = rng.standard_normal((len(onset), word.max() + 1))
    return np.where(on, np.take_along_axis(values, word, axis=1), 0.0)[:, np.newaxis]


def true_response_to_feature(data, name, trials, delta=1.0):
    """Give the true mean change of the response when one feature of the word at 0 changes.

    The responses of world N are not linear in the features, so the change depends on the word:
    it is averaged over the words that occurred, as the readout averages over trials.

    data (Bunch from :func:`~sklearn_meg.datasets.make_words`), name ({"length", "frequency"})
    trials (n_trials,) bool: Whose words to average over, each subject over its own.
    Returns response (n_subjects, n_channels, n_times): Per unit of the feature, for a word with no
        word before it and alpha of mean strength.
    """
    responses = []
    for i, subject in enumerate(np.unique(data.subjects)):
        total = 0.0
        mine = np.flatnonzero(trials & (data.subjects == subject))
        for trial in mine:
            word = {"length": data.length[trial], "frequency": data.frequency[trial]}
            changed = {**word, name: word[name] + delta}
            total = total + (word_response(data, **changed) - word_response(data, **word))[i]
        responses.append(total / (len(mine) * delta))
    return np.array(responses)


def readout_and_truth(encoder, X, data, trials, name, deltas=DELTAS):
    """Read out the response to a feature beside the true one, both from t = 0 on.

    encoder (fitted encoder)
    X (n_chosen, n_rows, n_times): The chosen trials.
    data (Bunch from :func:`~sklearn_meg.datasets.make_words`)
    trials (n_trials,) bool: Which were chosen.
    name ({"length", "frequency"})
    deltas (sequence of float): Changes of the feature.
    Returns found, true (n_subjects, n_deltas, n_channels, n_samples)
    """
    onset = int(np.searchsorted(data.times, 0))
    row = FEATURES[name]
    found = [
        response_to_feature(encoder, X, row, onset=onset, onset_row=0, delta=delta)
        for delta in deltas
    ]
    true = [true_response_to_feature(data, name, trials, delta) for delta in deltas]
    return np.stack(found, axis=1)[..., onset:], np.stack(true, axis=1)[..., onset:]


def _correlate(a, b):
    return np.corrcoef(a.ravel(), b.ravel())[0, 1]


def checks(rows):
    """Compare importances and readouts with what they must be, where they were measured."""
    bounds = {
        "importance_noise": "< 0.005",
        **{f"importance_{name}": "> 0.05" for name in ("length", "frequency", "subject")},
        **{f"readout_{name}": "> 0.9" for name in ("length", "frequency")},
    }
    result = []
    for metric, bound in bounds.items():
        found = values(rows, "N", "default", metric)
        if len(found):  # the worst seed counts
            worst = np.abs(found).max() if bound.startswith("<") else found.min()
            result.append(check(f"N: {metric}", worst, bound))
    return result
