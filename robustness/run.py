"""Benchmark of trust: what is lost, what is silent, what is run that should not be.

``kills``: fits and studies that get SIGKILL at random moments, several times in a row, and then go
on; ``lost`` are results that are not those of undisturbed work to the last bit. ``faults``: full
disks, damaged files, killed workers, Ctrl-C. ``bad_inputs``: wrong parameters and data for every
estimator; ``silent`` are those without a clear error before training. ``malicious_files``: forged
and damaged files; ``executed`` are payloads that were run. ``cluster``: one study alone, on two
processes, two threads and two dask workers. ``consortium``: 200 subjects, each a file, on two dask
workers one of which is killed every 20 seconds. ``null_studies``: how often studies claim features
that drive nothing. ``null_encoders``: the same with linear and deep encoders of ongoing activity.
"""

from functools import partial

from benchmarks.report import run_steps

from . import cluster, consortium, encoders, files, inputs, kills, nulls

PARTS = (kills, inputs, files, cluster, consortium, nulls, encoders)
CASES = tuple(case for part in PARTS for case in part.CASES)
# Tests show the same in small.
NOT_QUICK = ("kills", "faults", "cluster", "consortium")
QUICK_CASES = tuple(case for case in CASES if case not in NOT_QUICK)
N_SEEDS = 5
ONCE = ("bad_inputs", "cluster", "consortium", "null_studies", "null_encoders")  # minutes


def run(quick=False, n_seeds=None, cases=None):
    """Run the benchmark.

    quick: A part of it: shows that everything runs.
    n_seeds (int or None): 5 unless quick.
    cases (list of str or None): Some of `CASES`; None all.
    Returns rows, checks (list of dict), settings (dict)
    """
    cases = (QUICK_CASES if quick else CASES) if cases is None else cases
    n = n_seeds or (1 if quick else N_SEEDS)
    steps = [(case, seed) for case in cases for seed in range(1 if case in ONCE else n)]
    rows = run_steps("trust", steps, partial(_case_rows, quick=quick))
    settings = {"quick": quick, "seeds": n, "cases": list(cases)}
    return rows, [] if quick else make_checks(rows), settings


def _case_rows(case, seed, quick):
    (part,) = [part for part in PARTS if case in part.CASES]
    return part.case_rows(case, seed, quick)


def make_checks(rows):
    """What the rows must show."""
    return [found for part in PARTS for found in part.checks(rows)]
