"""Benchmark of the source estimators: simulated sources, noise, two conditions, real MEG, cost.

Sources on a 7 mm grid are looked for on a 10 mm grid of 2044 positions with free orientation, in
a single-layer boundary element model, 306 channels, 50 epochs of colored noise; the SNR is that
of the whitened average. Every peer is tuned with the truth in hand (`_source_peers`), ours chooses
by itself. Each case has its own seeds. In `violated` places, heads, channels and averages are not
what the model has; `rhythm` has cross-spectral densities.
"""

from functools import partial

from sklearn_meg.datasets._evoked import make_evoked

from ..report import run_steps
from . import checks, overlap, real, rhythm, speed, violated
from .models import QUICK_DATA, joint_rows, noise_rows, our_estimates
from .peers import tuned_peers
from .scores import ceiling_rows, scores

CELLS = {
    f"{scenario}{snr:+d}": (scenario, float(snr))
    for scenario in ("1dip", "2corr", "3dip", "patch", "3moment")
    for snr in (-5, 5)
}
_OTHERS = ("noise", "joint", "auditory", "visual", "speed", "large")
CASES = (*CELLS, *_OTHERS, *violated.CELLS, "overlap", *rhythm.CASES)
QUICK_CASES = ("1dip+5", "2corr-5", "noise")
FIRST_SEED, SEEDS_APART = 1000, 100


def run(quick=False, n_seeds=None, cases=None):
    """Run the benchmark.

    quick: 20 mm grid, 8 epochs, one seed, one setting of each peer, three cases unless others are
        named: shows that everything runs, the numbers mean nothing.
    n_seeds (int or None): 8 unless quick, at most 50.
    cases (list of str or None): Some of `CASES`; None all.
    Returns rows, checks (list of dict), settings (dict)
    """
    import mne

    cases = (QUICK_CASES if quick else CASES) if cases is None else cases
    seeds = range(n_seeds or (1 if quick else 8))
    once = (*real.CONDITIONS, *speed.SPACING)
    steps = [(case, seed) for case in cases for seed in (seeds if case not in once else (0,))]
    with mne.use_log_level("error"):
        rows = run_steps("source", steps, partial(_case_rows, quick=quick))
    settings = {
        "quick": quick,
        "seeds": len(seeds),
        "cases": list(cases),
        "first_seed": FIRST_SEED,
        "n_epochs": QUICK_DATA["n_epochs"] if quick else 50,
        "spacing_mm": QUICK_DATA["spacing"] if quick else 10.0,
    }
    return rows, [] if quick else make_checks(rows), settings


def seed_of(case, seed):
    """Random state of the data: no two cases share one."""
    return FIRST_SEED + SEEDS_APART * CASES.index(case) + seed


def _case_rows(case, seed, quick):
    if case in CELLS:
        return cell_rows(case, seed, quick)
    if case == "noise":
        return noise_rows(seed, seed_of(case, seed), quick)
    if case == "joint":
        return joint_rows(seed, seed_of(case, seed), quick)
    if case == "overlap":
        return overlap.overlap_rows(seed)
    if case in rhythm.CASES:
        return rhythm.rhythm_rows(case, seed)
    if case in violated.CELLS:
        return violated.violated_rows(case, seed)
    if case in real.CONDITIONS:
        return real.real_rows(case, quick)
    return speed.speed_rows(case, quick)


def cell_rows(case, seed, quick):
    """All solvers on one data set."""
    scenario, snr_db = CELLS[case]
    equal = "moment" if scenario == "3moment" else "field"
    data = make_evoked(
        "3dip" if scenario == "3moment" else scenario,
        snr_db,
        equal=equal,
        random_state=seed_of(case, seed),
        **(QUICK_DATA if quick else {}),
    )
    rows = ceiling_rows(case, seed, data.forward, data.positions)
    for solvers in (our_estimates(data, seed, quick), tuned_peers(data, quick)):
        for name, estimate in solvers:
            rows += scores(case, name, seed, data, estimate)
    return rows


def make_checks(rows):
    """Compare with what the issue asks for, where the cases were run."""
    return [
        *checks.cell_checks(rows),
        *checks.noise_and_joint_checks(rows),
        *real.checks(rows),
        *speed.checks(rows),
        *violated.checks(rows),
        *overlap.checks(rows),
        *rhythm.checks(rows),
    ]
