"""Fits and studies that are killed at random moments, or meet a fault, and what is lost by it.

Each piece of work runs in a process of its own, which gets SIGKILL after a random share of the time
that it needs, several times in a row, before it is let run to its end. ``lost`` counts results
that are not, to the last bit, those of work that nobody disturbed.
"""

import multiprocessing
import tempfile
import time
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from benchmarks.report import check, row, values
from sklearn_meg.exceptions import AssumptionWarning

from .faults import FAULTS
from .machine import MACHINE, Unavailable
from .work import WORK

CASES = ("kills", "faults")
KILLS = 5  # of each piece of work, a seed; in a row at most 3
IN_A_ROW = 3
QUICK = ("NerveDecoder",)
N_KILLS = 200  # what all seeds together should reach


def case_rows(case, seed, quick=False):
    """Rows of one case: ``tried`` and ``lost`` for each piece of work, or each fault."""
    if case == "faults":
        return fault_rows(seed, quick)
    names = [name for name in WORK if name != "thresholds" or find_spec("neuron")]
    rows = []
    for name in QUICK if quick else names:
        rows += kill_rows(name, seed, 1 if quick else KILLS)
    return rows


def kill_rows(name, seed, n_kills):
    """Kill a piece of work `n_kills` times, then compare."""
    rng = np.random.default_rng([seed, *name.encode()])
    with tempfile.TemporaryDirectory() as folder:
        whole, seconds = undisturbed(name, Path(folder) / "whole", seed)
        tried = lost = late = 0
        for trial in range(10 * n_kills):
            if tried == n_kills:
                break
            here = Path(folder) / f"{trial}"
            for _ in range(min(IN_A_ROW, n_kills - tried)):
                if start(name, here, seed, kill_after=rng.uniform(0, seconds)):
                    tried += 1
                else:
                    late += 1
            start(name, here, seed)
            lost += differs(result(here), whole)
    return [
        row("kills", name, "tried", seed, tried),
        row("kills", name, "lost", seed, lost),
        row("kills", name, "ended_before", seed, late),
        row("kills", name, "whole_s", seed, seconds),
    ]


def fault_rows(seed, quick):
    """Meet each fault once."""
    rows = []
    for name, fault in {**FAULTS, **MACHINE}.items():
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it looks at those that it expects
            try:
                fine = fault(Path(folder), seed)
            except Unavailable:
                continue
        rows += [
            row("faults", name, "tried", seed, 1),
            row("faults", name, "lost", seed, not fine),
        ]
    return rows


def undisturbed(name, folder, seed):
    """Result of work that nobody kills, and the seconds that it takes."""
    start(name, folder / "warm", seed)  # what is read from disk once
    begun = time.monotonic()
    start(name, folder, seed)
    return result(folder), time.monotonic() - begun


def start(name, folder, seed, kill_after=None):
    """Run work in a process; kill it after some seconds, if it still runs, and say so."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["robustness.work"])
    process = context.Process(target=_work, args=(name, folder, seed), daemon=False)
    process.start()
    process.join(kill_after)
    killed = process.is_alive()
    if killed:
        process.kill()
    process.join()
    return killed


def _work(name, folder, seed):
    folder.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("error")  # a damaged checkpoint would be one
    warnings.simplefilter("ignore", AssumptionWarning)  # of a model, killed or not
    arrays = WORK[name](folder / "kept", seed)
    np.savez(folder / "result.npz", *arrays)


def result(folder):
    """What the work left; None if it did not end."""
    if not (folder / "result.npz").exists():
        return None
    with np.load(folder / "result.npz") as file:
        return list(file.values())


def differs(one, two):
    """Whether results are not the same to the last bit."""
    if one is None or two is None or len(one) != len(two):
        return True
    return not all(np.array_equal(a, b, equal_nan=True) for a, b in zip(one, two))


def checks(rows):
    """Enough was tried, and nothing lost."""
    found = []
    for case in CASES:
        here = [r for r in rows if r["case"] == case]
        if not here:
            continue
        tried, lost = (
            sum(values(here, case, model, metric).sum() for model in {r["model"] for r in here})
            for metric in ("tried", "lost")
        )
        if case == "kills":
            found.append(check("kills: tried", tried, f">= {N_KILLS}"))
        found.append(check(f"{case}: results lost", lost, "<= 0"))
    return found
