"""Benchmark of state models: states, communities and ranks against what was planted.

Worlds of :func:`sklearn_meg.datasets.make_states`: ``easy`` and ``hard``; ``order3``, ``order4``
and ``order6`` are the easy world with so many states, where the number of states is to be found.
The hard world is spoiled in ``gain`` (gains and offsets of regions in each recording), ``t5``
(t noise of 5 degrees of freedom), ``spikes`` (1 % of the samples ten times as large),
``bad_sample`` (one in 600, twenty times) and ``signs`` (flips of regions in each recording). In
``sessions`` each recording of the easy world has a covariance and mean of its own, in
``sessions_mixed`` it is mixed at random, in ``sessions_noise`` it has noise of its own on top.
``mar`` are autoregressive states of two channels. The oracle knows how recordings were spoiled;
``unaligned`` is ours with Gaussian states and no alignment. ``bold`` is real resting BOLD of five
subjects, one left out at a time; ``half_r`` correlates matched state means of two halves.
``speed`` is one large fit. Each seed is another world, with other starts of the models. Times are
CPU times of one thread.

``default`` is HiddenMarkovGraph as it comes, ``paper`` the recipe of the paper, ``oracle`` the true
parameters. Peers have as many restarts as ours. ``hmmlearn`` is as it comes; ``hmmlearn_tuned`` has
a prior of the covariances whose weight is chosen by the likelihood of a held-out recording,
as is the shrinkage of ``gmm`` and ``windows_chain`` (the moments and transitions of the clusters of
windows, decoded as a chain; ``windows`` are the clusters themselves). ``glhmm`` runs where it
can be imported.
"""

from functools import partial

from ..report import run_steps
from . import checks, more, spoiled, worlds

WORLDS = ("easy", "hard")
ORDERS = {"order3": 3, "order4": 4, "order6": 6}
CASES = (*WORLDS, *ORDERS, *spoiled.CASES, "mar", "bold", "speed")
N_SEEDS = 10


def run(quick=False, n_seeds=None, cases=None):
    """Run the benchmark.

    quick: Small worlds, one seed: shows that everything runs; numbers mean nothing.
    n_seeds (int or None): Seeds of worlds and starts: 10 unless quick.
    cases (list of str or None): Some of `CASES`; None all.
    Returns rows, checks (list of dict), settings (dict)
    """
    cases = CASES if cases is None else cases
    n = n_seeds or (1 if quick else N_SEEDS)
    steps = [(case, seed) for case in cases for seed in range(_n_runs(case, n))]
    rows = run_steps("dynamics", steps, partial(_case_rows, quick=quick))
    settings = {"quick": quick, "seeds": n, "cases": list(cases)}
    return rows, [] if quick else checks.make_checks(rows), settings


def _case_rows(case, seed, quick):
    if case in WORLDS:
        return worlds.world_rows(case, seed, quick)
    if case in ORDERS:
        return more.order_rows(case, ORDERS[case], seed, quick)
    if case in spoiled.CASES:
        return spoiled.spoiled_rows(case, seed, quick)
    if case == "mar":
        return spoiled.mar_rows(seed, quick)
    return more.bold_rows(seed, quick) if case == "bold" else more.speed_rows(seed, quick)


def _n_runs(case, n_seeds):
    """Seeds; five subjects of the BOLD, each left out once; one run of the speed."""
    return {"bold": min(5, n_seeds), "speed": 1}.get(case, n_seeds)
