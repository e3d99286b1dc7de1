"""The number of states, real BOLD, and what a fit costs."""

import json
import subprocess
import sys
import warnings
from pathlib import Path
from time import process_time

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score

from sklearn_meg.datasets import make_states
from sklearn_meg.dynamics import HiddenMarkovGraph, RecordingAlignment, select_n_states
from sklearn_meg.dynamics._em import Batch, m_step
from sklearn_meg.dynamics._race import guesses, race
from sklearn_meg.dynamics._recordings import Recordings

from ..recordings import recording
from ..report import row
from .models import choose, ours, peers
from .worlds import SMALL_WORLD

ORDER_CV = 3
BOLD_STATES = 4
SIZES = (12, 25, 50, 100)  # recordings of 1200 samples
BIG = {"n_subjects": 100, "n_times": 1200, "n_regions": 90, "n_states": 8}
PROCESS = """
import json, resource, sys, time
from benchmarks.dynamics.more import big_fit
print(json.dumps(big_fit(json.loads(sys.argv[1]))))
"""


def order_rows(case, true, seed, quick=False):
    """What each rule says of the number of states, and whether it is the true one."""
    data = make_states("easy", n_states=true, random_state=seed, **(SMALL_WORLD if quick else {}))
    model = HiddenMarkovGraph(random_state=seed, **({"n_init": 2} if quick else {}))
    numbers = range(2, 4) if quick else range(1, true + 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        selection = select_n_states(model, data.X, numbers, cv=ORDER_CV)
    rows = [row(case, "default", "k_recovered", seed, selection.n_states_ == true)]
    for rule, chosen in selection.choices_.items():
        rows.append(row(case, f"rule_{rule}", "k_recovered", seed, chosen == true))
        rows.append(row(case, f"rule_{rule}", "k_chosen", seed, chosen))
    return rows


def bold():
    """Resting BOLD of five subjects (n_subjects, n_regions, n_times), standardized; or None."""
    from scipy.io import loadmat

    folder = recording("dynamics")
    if folder is None:
        return None
    files = sorted(Path(folder).glob("*_BOLD_rsfMRI.mat"))
    X = np.stack([loadmat(file)["tc"] for file in files]).astype(float)
    return (X - X.mean(2, keepdims=True)) / X.std(2, keepdims=True)


def bold_rows(left_out, quick=False):
    """Held-out log-likelihood per sample of one subject; its number takes the place of a seed."""
    X = bold()
    if X is None or left_out >= len(X):
        return []
    if quick:
        X = X[:3, :12, :100]
    train, test = np.delete(X, left_out, axis=0), X[left_out : left_out + 1]
    models = {
        **ours(BOLD_STATES, left_out, quick),
        **{k: choose(v, train) for k, v in peers(BOLD_STATES, left_out, "bold", quick).items()},
    }
    models["shrunk"] = HiddenMarkovGraph(
        n_states=BOLD_STATES, covariance="shrunk", random_state=left_out
    )
    models["factor_gaussian"] = HiddenMarkovGraph(n_states=1, random_state=left_out)
    rows = []
    for name, model in models.items():
        begun = process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(train)
        rows.append(row("bold", name, "fit_s", left_out, process_time() - begun))
        rows.append(row("bold", name, "loglik", left_out, model.score(test)))
    return rows + ([] if quick else half_rows(X, left_out))


def half_rows(X, seed):
    """How alike states of two random halves of the subjects are, aligned first and not.

    Correlation of matched means, and adjusted Rand index of the communities of matched states.
    """
    order = np.random.default_rng(seed).permutation(len(X))
    halves = order[: len(X) // 2], order[len(X) // 2 :]
    rows = []
    for name, align in (("default", "auto"), ("unaligned", "none")):
        Z = RecordingAlignment(align=align).fit_transform(X)
        models = []
        for half in halves:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model = HiddenMarkovGraph(n_states=BOLD_STATES, align=align, random_state=seed)
                models.append(model.fit(Z[half]))
        table, pairs = matched(*(model.means_ for model in models))
        rows.append(row("bold", name, "half_r", seed, float(table[pairs].mean())))
        labels = [model.communities_ for model in models]
        agree = [adjusted_rand_score(labels[0][i], labels[1][j]) for i, j in zip(*pairs)]
        rows.append(row("bold", name, "half_ari", seed, float(np.mean(agree))))
    return rows


def matched(first, second):
    """Correlations of rows, and the pairs of rows for which these are highest."""
    table = np.corrcoef(first, second)[: len(first), len(first) :]
    return table, linear_sum_assignment(-table)


def speed_rows(seed, quick=False):
    """A large fit in a process of its own, and how an iteration grows with the samples."""
    size = {**BIG, **(SMALL_WORLD | {"n_states": 2, "n_subjects": 3} if quick else {})}
    found = subprocess.run(
        [sys.executable, "-c", PROCESS, json.dumps({**size, "random_state": seed})],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    rows = [
        row("speed", "default", metric, seed, value)
        for metric, value in json.loads(found.stdout).items()
    ]
    return [*rows, row("speed", "default", "exponent", seed, growth(seed, quick))]


def big_fit(params):
    """CPU seconds, peak memory of the process above that of the data, and accuracy."""
    import resource

    from threadpoolctl import threadpool_limits

    from sklearn_meg.dynamics.metrics import state_accuracy

    data = make_states("hard", **params)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        begun = process_time()
        model = HiddenMarkovGraph(n_states=params["n_states"], random_state=0).fit(data.X)
        spent = process_time() - begun
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        accuracy = state_accuracy(data.states, model.predict(data.X))
    return {"fit_s": spent, "peak_mb": peak, "state_accuracy": accuracy}


def growth(seed, quick=False):
    """Power of the number of samples by which the time of an iteration grows."""
    sizes = (2, 4) if quick else SIZES
    n_times = 100 if quick else 1200
    data = make_states("hard", n_states=8, n_subjects=sizes[-1], n_times=n_times, random_state=seed)
    parts = list(data.X.transpose(0, 2, 1))
    seconds = []
    settings = HiddenMarkovGraph(n_states=8, n_init=1, max_iter=2)._settings(40)
    for n in sizes:
        batch = Batch(Recordings(parts[:n], "stack"), np.zeros(40), np.ones(40))
        guess = guesses(batch, settings, ["windows"], np.random.RandomState(seed))
        run = race(batch, *guess, settings)
        times = []
        for _ in range(3):
            begun = process_time()
            *_, parameters, _ = m_step(run.expected, run.prior, settings)
            batch.expect(*parameters)
            times.append(process_time() - begun)
        seconds.append(min(times))
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
