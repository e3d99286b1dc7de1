"""Every violation of every system, and its verdict: ``python -m robustness violations``."""

import time

from benchmarks.report import check, row, run_steps

from . import systems, violations

CASES = tuple(systems())
VERDICTS = ("right", "warned", "refused", "silent")
LEAST, LEAST_IN_ALL, FALSE_ALARMS = 12, 80, 0.05
N_SEEDS = 3


def run(quick=False, n_seeds=None, cases=None):
    """Run the violations.

    quick: One seed.
    n_seeds (int or None): 3 unless quick.
    cases (list of str or None): Some systems; None all.
    Returns rows, checks (list of dict), settings (dict)
    """
    cases = list(CASES if cases is None else cases)
    n = n_seeds or (1 if quick else N_SEEDS)
    steps = [(each, seed) for case in cases for each in violations(case) for seed in range(n)]
    rows = run_steps("violations", steps, rows_of)
    print_verdicts(rows)
    return rows, make_checks(rows, whole=cases == list(CASES)), {"seeds": n, "cases": cases}


def rows_of(each, seed):
    """Rows of one violation: the verdict on it and on its clean world, and the seconds of both."""
    begun = time.perf_counter()
    verdict, clean = each.verdict(seed), each.verdict(seed, broken=False)
    seconds = time.perf_counter() - begun
    more = {"story": each.story, "right": each.right, "said": verdict.said}
    more |= {"clean": clean.name, "clean_said": clean.said}
    return [
        row(each.system, each.name, verdict.name, seed, 1, **more),
        row(each.system, each.name, "false alarm", seed, clean.name == "false alarm"),
        row(each.system, each.name, "seconds", seed, seconds),
    ]


def verdict_rows(rows):
    """The rows that hold a verdict, one a violation and seed."""
    return [r for r in rows if r["metric"] in VERDICTS]


def print_verdicts(rows):
    """What was said where it was loud, and all that is silent or a false alarm."""
    for r in verdict_rows(rows):
        print(f"{r['case']}: {r['model']} ({r['seed']}): {r['metric']}. {r['said'][:150]}")
        if r["clean"] != "right":
            print(f"    unbroken: {r['clean']}. {r['clean_said'][:150]}")


def make_checks(rows, whole=True):
    """Enough was tried, nothing was silent, and clean worlds raise few alarms."""
    found = verdict_rows(rows)
    names = {(r["case"], r["model"]) for r in found}
    checks = [
        check(f"{case}: violations", sum(name[0] == case for name in names), f">= {LEAST}")
        for case in sorted({r["case"] for r in found})
    ]
    if whole:
        checks.append(check("violations in all", len(names), f">= {LEAST_IN_ALL}"))
    silent = sum(r["metric"] == "silent" for r in found)
    alarms = sum(r["clean"] == "false alarm" for r in found) / max(len(found), 1)
    wrong = sum(r["clean"] == "wrong" for r in found)
    return [
        *checks,
        check("silent", silent, "<= 0"),
        check("share of false alarms on clean worlds", alarms, f"<= {FALSE_ALARMS}"),
        check("clean worlds answered wrongly", wrong, "<= 0"),
    ]
