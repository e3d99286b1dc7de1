"""Benchmark of TMS thresholds: five cells, few thresholds, new cells and pulses, speed.

Each type of cell: 8000 placements under a figure-8 coil, each in its own invented fold of the
cortex (heterogeneity 0.8), thresholds from the compiled solver (case ``solver`` compares it with
NEURON): 6000 train, 500 validate, 1500 test, no geometry in two parts. Simulated once and kept in a
folder (``$SKLEARN_MEG_CACHE``, see `data.cache_folder`); ``$SKLEARN_MEG_JOBS`` processes simulate.
Times are CPU times of one thread.
"""

from functools import lru_cache, partial

import numpy as np

from ..report import check, run_steps, values
from . import data as data
from . import few, foreign, head, more, solver, speed
from .models import FIELD_ONLY, PAPER_SHORT, PHYSICS, QUICK_DEEP, make_model
from .scores import fit_and_score, trust_rows

TYPES = ("L1", "L2/3", "L4", "L5", "L6")
FEW = {f"few{n}": ("L5", n) for n in few.SIZES}
FEW_TYPES = {f"few300_{case}": (case, 300) for case in TYPES if case != "L5"}
NEW = {"new_clone": {"clone": 1}, "pulse": {"pulse": "biphasic"}}
CASES = (
    *(*TYPES, *FEW, *FEW_TYPES, *NEW, "blocks", "other_cells", "real_head"),
    *("population", "sphere", "ood", "solver", "speed"),
)
ONCE = ("solver", "speed")
NOT_QUICK = {*TYPES, *FEW, *FEW_TYPES} - {"L5", "few100", "few300_L6"}  # these show that they run
QUICK_CASES = tuple(case for case in CASES if case not in NOT_QUICK)
N_FAR = 1000


def run(quick=False, n_seeds=None, cases=None):
    """Run the benchmark.

    quick: Little data with invented thresholds, small training, one seed: shows that everything
        runs, also without NEURON; the numbers mean nothing.
    n_seeds (int or None): Training seeds of the networks: 3 unless quick. Baselines and ``paper``
        run once.
    cases (list of str or None): Some of `CASES`; None all.
    Returns rows, checks (list of dict), settings (dict)
    """
    cases = (QUICK_CASES if quick else CASES) if cases is None else cases
    seeds = range(n_seeds or (1 if quick else 3))
    fitted.cache_clear()
    dataset.cache_clear()
    steps = [(case, seed) for case in cases for seed in (seeds if case not in ONCE else (0,))]
    rows = run_steps("tms", steps, partial(_case_rows, quick=quick))
    settings = {
        "quick": quick,
        "seeds": len(seeds),
        "cases": list(cases),
        "split": dict(data.QUICK_SIZES if quick else data.SIZES),
        "heterogeneity": data.HETEROGENEITY,
        "paper_epochs": PAPER_SHORT["max_epochs"],
    }
    return rows, [] if quick else make_checks(rows), settings


def _case_rows(case, seed, quick):
    deep = QUICK_DEEP if quick else {}
    if case in TYPES:
        return type_rows(case, seed, quick)
    if case in FEW | FEW_TYPES:
        cell, n = (FEW | FEW_TYPES)[case]
        return few.few_rows(case, cell, n, seed, quick, dataset(cell, quick), _parts(quick)[2])
    if case in NEW:
        return few.new_rows(case, seed, quick, **NEW[case])
    whole = {
        "blocks": lambda: few.block_rows(seed, quick),
        "other_cells": lambda: foreign.foreign_rows(seed, quick),
        "real_head": lambda: head.head_rows(seed),
        "population": lambda: more.population_rows(seed, quick, deep),
        "sphere": lambda: more.sphere_rows(seed, quick),
        "ood": lambda: ood_rows(seed, quick),
        "solver": lambda: solver.solver_rows(quick),
        "speed": lambda: speed_rows(quick),
    }
    return whole[case]()


def ood_rows(seed, quick):
    """Fields unlike those of training."""
    names = ("default",) if seed else ("default", "no_morphology", *PHYSICS[2:], *FIELD_ONLY[:2])
    names = names if seed else (*names, "hist_gb")
    return more.ood_rows(seed, quick, {m: fitted("L5", m, seed, quick)[0] for m in names})


def speed_rows(quick):
    """Times of all models of the layer 5 cell."""
    X, test = dataset("L5", quick)[0], _parts(quick)[2]
    names = ("default", "no_morphology", "paper", *PHYSICS, *FIELD_ONLY)
    return speed.speed_rows({m: fitted("L5", m, 0, quick)[0] for m in names}, X[test], quick)


def type_rows(case, seed, quick):
    """All models of one type; the network of the paper for L5 only."""
    names = ["default", "no_morphology"]
    if seed == 0:
        names += [*(["paper"] if case == "L5" else []), *PHYSICS, *FIELD_ONLY]
    rows = []
    for name in names:
        rows += fitted(case, name, seed, quick)[1]
    X, y = dataset(case, quick)
    test = _parts(quick)[2]
    far = data.far_grids(case, 60 if quick else N_FAR)
    return rows + trust_rows(
        case, seed, fitted(case, "default", seed, quick)[0], X[test], y[test], far
    )


@lru_cache(maxsize=32)
def fitted(case, name, seed, quick):
    """A model fitted to one type, and its rows: several cases ask for the same."""
    X, y = dataset(case, quick)
    fit, _, test = _parts(quick)
    model = _model(case, name, seed, quick)
    return model, fit_and_score(case, name, seed, model, X, y, fit, test)


@lru_cache(maxsize=1)
def dataset(case, quick):
    """Grids and thresholds (NaN where none was found) of one type."""
    found = data.load(case, quick=quick, n=sum(_sizes(quick)))
    return found["grids"], found["threshold"]


def _model(case, name, seed, quick):
    options = (
        data.inner_split(_sizes(quick)) if name in ("default", "no_morphology", "paper") else {}
    )
    return make_model(name, data.CELLS[case], seed, quick, **options)


def _sizes(quick):
    return (data.QUICK_SIZES if quick else data.SIZES)["types"]


def _parts(quick):
    return data.splits(sum(_sizes(quick)), _sizes(quick))


def make_checks(rows):
    """Compare with what was asked for, where the cases were run."""
    there = {r["case"] for r in rows}
    checks = []
    for case in (c for c in TYPES if c in there):
        checks += _type_checks(rows, case)
    for case, model, metric, bound in BOUNDS:
        found = values(rows, case, model, metric)
        if len(found):
            checks.append(check(f"{case}: {metric} of {model}", found.mean(), bound))
    checks += solver.checks(rows) if "solver" in there else []
    return checks + (speed.checks(rows) if "speed" in there else [])


BOUNDS = (
    ("few300", "default", "mape", "<= 1.0"),
    *((case, "default", "mape", "<= 1.2") for case in FEW_TYPES),
    ("new_clone", "default", "mape", "<= 4"),
    ("new_clone", "zero_shot", "refused", ">= 90"),
    ("pulse", "default", "mape", "<= 3"),
    ("pulse", "zero_shot", "refused", ">= 90"),
    ("blocks", "calibrated", "coverage", ">= 86"),
    ("other_cells_300", "default", "mape", "<= 3"),
    ("population", "default", "mape", "< 2.5"),
)


def _type_checks(rows, case):
    def mean(model, metric):
        return values(rows, case, model, metric).mean()

    strict = case == "L5"
    ours = mean("default", "mape")
    uniform = min(mean("uniform", "mape"), mean("uniform_mean", "mape"))
    physics = min(mean(name, "mape") for name in PHYSICS)
    found = [
        ("MAPE", ours, "<= 0.8" if strict else "< 1.2"),
        ("MAPE / that of the best physics without a network", ours / physics, "<= 1"),
        ("R2", mean("default", "r2"), ">= 0.982" if strict else "> 0.96"),
        ("R2 of A/us", mean("default", "r2_didt"), "> 0.96"),
        ("MAPE / that of the better uniform map", ours / uniform, f"<= {1 / (6 if strict else 4)}"),
        ("MAPE / that of gradient boosting", ours / mean("hist_gb", "mape"), "<= 0.5"),
        ("coverage of 90 % intervals", mean("default", "coverage"), ">= 88"),
        ("coverage of 90 % intervals", mean("default", "coverage"), "<= 92"),
        ("unusual fields caught, %", mean("default", "ood_caught"), ">= 90"),
        ("false alarms, %", mean("default", "ood_false"), "<= 5"),
        ("seconds to fit (slowest)", np.max(values(rows, case, "default", "fit_s")), "<= 300"),
    ]
    return [check(f"{case}: {name}", value, bound) for name, value, bound in found]
