"""What the source benchmark must show: ours beside the best peer of each cell and metric."""

import numpy as np

from ..report import check, values
from .peers import PEERS

ASKED = tuple(f"{name}{snr}" for name in ("1dip", "2corr", "3dip", "patch") for snr in ("-5", "+5"))
FURTHER = ("3moment-5", "3moment+5")
WIDEST = {"-5": 15, "+5": 10}  # mm of spatial dispersion


def best_peer(rows, case, metric):
    """Least mean over seeds of any peer: the best of nine, taken anew for each metric."""
    rows = shared_seeds(rows, case)
    means = [found.mean() for name in PEERS if len(found := values(rows, case, name, metric))]
    return min(means) if means else np.nan


def ours(rows, case, metric):
    """Mean over the same seeds of ours as it comes."""
    return values(shared_seeds(rows, case), case, "default", metric).mean()


def shared_seeds(rows, case):
    """Rows of a case with the seeds that ours and all peers were run on."""
    seeds = {}
    for row in rows:
        if row["case"] == case and row["model"] in ("default", *PEERS):
            seeds.setdefault(row["model"], set()).add(row["seed"])
    shared = set.intersection(*seeds.values()) if seeds else set()
    return [row for row in rows if row["case"] == case and row["seed"] in shared]


def cell_checks(rows):
    """Localization, reconstruction, dispersion and earth mover's distance."""
    there = {r["case"] for r in rows if r["metric"] == "dle_mm" and r["model"] == "default"}
    checks, moved = [], []
    for case in ASKED + FURTHER:
        if case in there:
            checks += _one_cell(rows, case)
    for case in ASKED:
        if case in there:
            moved.append(ours(rows, case, "emd_mm") / best_peer(rows, case, "emd_mm"))
            checks.append(check(f"{case}: EMD / best peer", moved[-1], "<= 1"))
    if len(moved) == len(ASKED):
        won = sum(ratio <= 1 for ratio in moved)
        checks.append(check("cells in which EMD is at most the best peer's", won, ">= 7"))
    return checks + _several_sources(rows, there)


def _one_cell(rows, case):
    error = {metric: ours(rows, case, metric) for metric in ("dle_mm", "nmse", "sd_mm")}
    behind = error["dle_mm"] - best_peer(rows, case, "dle_mm")
    ratio = error["nmse"] / best_peer(rows, case, "nmse")
    return [
        check(f"{case}: DLE - best peer's, mm", behind, "<= 1"),
        check(f"{case}: NMSE / best peer", ratio, "< 1"),
        check(f"{case}: spatial dispersion, mm", error["sd_mm"], f"<= {WIDEST[case[-2:]]}"),
    ]


def _several_sources(rows, there):
    checks = []
    if "3dip-5" in there:
        ratio = ours(rows, "3dip-5", "dle_mm") / best_peer(rows, "3dip-5", "dle_mm")
        checks.append(check("3dip-5: DLE / best peer", ratio, "<= 0.75"))
    bounds = {"3dip-5": 0.88, "3dip+5": 0.95, "2corr-5": 1, "2corr+5": 1}
    for case, bound in bounds.items():
        if case in there:
            checks.append(check(f"{case}: hit rate", ours(rows, case, "hit20"), f">= {bound}"))
    for case in ("2corr-5", "2corr+5"):
        if case in there:
            correlation = ours(rows, case, "tcorr")
            checks.append(check(f"{case}: time-course correlation", correlation, ">= 0.95"))
    return checks


def noise_and_joint_checks(rows):
    """Noise alone, the worst seed; two conditions together against one by one."""
    checks = []
    found = values(rows, "noise", "default", "noise_ratio")
    if len(found):
        checks.append(check("noise: largest peak / that of +5 dB", found.max(), "< 0.15"))
    for case in ("joint_1dip", "joint_2corr"):
        for metric, bound in (("dle_mm", "<= 0"), ("nmse", "< 0")):
            pair = [values(rows, case, model, metric) for model in ("joint", "separate")]
            if len(pair[0]):
                gap = pair[0].mean() - pair[1].mean()
                checks.append(check(f"{case}: {metric}, joint - separate", gap, bound))
    return checks
