"""Seconds and memory of a fit of the source solver, each in a fresh process with one thread."""

import json
import os
import subprocess
import sys
from time import process_time

from ..report import check, row, values

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
CAP_S = 150  # mne is stopped then, and its time is at least that
SPACING = {"speed": 10.0, "large": 5.8}  # mm: 2044 and somewhat above 10 000 positions
QUICK_SPACING = {"speed": 20.0, "large": 15.0}
RANDOM_STATE = {"speed": 2400, "large": 2500}


def speed_rows(case, quick=False):
    """Fit once a solver and measure.

    case ({"speed", "large"}): 10 mm grid, and ``mne.inverse_sparse.mixed_norm(alpha="sure")``
        beside ours; or a grid of 10 000 positions, ours only.
    quick: Coarse grids.
    Returns rows (list of dict): ``fit_s`` (processor time), ``peak_mb`` (by how much the fit
        raised the highest memory of the process), ``n_positions``. Two bilateral sources at +5 dB,
        50 epochs.
    """
    models = ("default", "mxne_sure") if case == "speed" else ("default",)
    spacing = (QUICK_SPACING if quick else SPACING)[case]
    rows = []
    for model in models:
        found = _measure_in_process(model, spacing, RANDOM_STATE[case])
        rows += [row(case, model, metric, 0, value) for metric, value in found.items()]
    return rows


def _measure_in_process(model, spacing, random_state):
    try:
        done = subprocess.run(
            [sys.executable, "-m", __spec__.name, model, str(spacing), str(random_state)],
            env={**os.environ, **dict.fromkeys(THREADS, "1")},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=CAP_S if model == "mxne_sure" else None,
        )
    except subprocess.TimeoutExpired:
        return {"fit_s": CAP_S, "capped": 1}
    return json.loads(done.stdout.splitlines()[-1])


def _measure(model, spacing, random_state):
    """Fit once on a coarse grid (imports, first calls), then measure."""
    from sklearn_meg.datasets._evoked import make_evoked

    for size in (20.0, spacing):
        data = make_evoked("2corr", 5.0, spacing=size, random_state=random_state)
        before = _memory()
        start = process_time()
        if model == "default" or size == spacing:
            _fit(model, data)
        seconds = process_time() - start
    peak = max(_memory() - before, 0.0)
    return {"fit_s": seconds, "peak_mb": peak, "n_positions": data.forward["nsource"]}


def _fit(model, data):
    from sklearn_meg.source import MixedNorm

    from .models import our_solver
    from .peers import as_trials

    if model == "default":
        return our_solver(data, 0).fit(*as_trials(data))
    given = {"forward": data.forward, "noise_cov": data.noise_cov, "info": data.info}
    sure = MixedNorm(alpha="sure", nave=len(data.epochs), random_state=0, **given)
    return sure.fit(data.X, data.y)


def _memory():
    """Highest resident memory of this process so far, in MB."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def checks(rows):
    """Compare with what the issue asks for."""
    result = []
    ours, sure = (values(rows, "speed", model, "fit_s") for model in ("default", "mxne_sure"))
    if len(ours):
        result.append(check("speed: seconds a fit", ours.mean(), "<= 8"))
        result.append(check("speed: mne's sure / default", sure.mean() / ours.mean(), ">= 5"))
    size = values(rows, "large", "default", "n_positions")
    if len(size):
        result.append(check("large: positions fitted", size[0], ">= 10000"))
    return result


if __name__ == "__main__":
    print(json.dumps(_measure(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))))
