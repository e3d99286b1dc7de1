"""The compiled solver of thresholds beside NEURON, and how soon a new cell is a model."""

from importlib.util import find_spec
from itertools import product
from time import process_time

import numpy as np

from sklearn_meg.tms import ThresholdCNN, activation_threshold, make_neuron, make_tms_dataset

from ..report import check, row, values
from . import data as data
from .speed import cell_fields

PULSES = ("monophasic", "biphasic", "half-sine")
N_COMPARED, N_TIMED, N_MODEL = 12, 1000, 300
NEW_CLONE = 11  # in no data set


def solver_rows(quick=False):
    """How far the solvers are apart, their time, and the time from a new cell to its model.

    Metrics: ``off_mean``, ``off_max`` percent between the solvers, for each type of cell, over
    both polarities and three pulses; ``predict_us`` CPU time a threshold of the layer 5 cell (1000
    at once for the compiled one); ``new_cell_s`` CPU seconds that 300 thresholds, the fit and
    calibrated intervals of a new neuron take together.
    """
    if not (find_spec("neuron") and find_spec("numba")):
        print("solver: NEURON or numba is not installed (extra tms); its rows are left out")
        return []
    rows = []
    for case in ("L1",) if quick else data.CELLS:
        off = differences(case, 1 if quick else N_COMPARED)
        for metric, value in (("off_mean", off.mean()), ("off_max", off.max())):
            rows.append(row("solver", f"batched {case}", metric, 0, 100 * value))
    rows += time_rows(20 if quick else N_TIMED)
    return rows + new_cell_rows(40 if quick else N_MODEL)


def differences(case, n):
    """Relative differences of thresholds of both solvers, (3 pulses * 2 polarities * n)."""
    cell = make_neuron(data.CELLS[case])
    fields = cell_fields(cell, n)
    found = []
    for pulse, polarity in product(PULSES, (1, -1)):
        ours, theirs = (
            activation_threshold(cell, fields, pulse=pulse, polarity=polarity, solver=solver)
            for solver in ("batched", "neuron")
        )
        found.append(np.abs(ours / theirs - 1))
    return np.concatenate(found)


def time_rows(n):
    """CPU time a threshold of both solvers, models built and code compiled before."""
    cell = make_neuron(data.CELLS["L5"])
    fields = cell_fields(cell, n)
    rows = []
    for solver, name, count in (("batched", "batched", n), ("neuron", "neuron_fast", n // 10)):
        activation_threshold(cell, fields[:1], solver=solver)
        begun = process_time()
        activation_threshold(cell, fields[:count], solver=solver)
        used = 1e6 * (process_time() - begun) / count
        rows.append(row("solver", name, "predict_us", 0, used))
    return rows


def new_cell_rows(n):
    """CPU seconds of the three steps from a morphology to a model with intervals."""
    cell = make_neuron("L5 PC", NEW_CLONE)
    begun = process_time()
    made = make_tms_dataset(cell, n, spacing=data.SPACING, verbose=0)
    simulated = process_time()
    model = ThresholdCNN(morphology=cell, spacing=data.SPACING, random_state=0)
    model.fit(made["grids"], made["threshold"])
    if n >= N_MODEL:
        model.predict_interval(made["grids"])
    ended = process_time()
    found = {
        "simulate_s": simulated - begun,
        "fit_s": ended - simulated,
        "new_cell_s": ended - begun,
    }
    return [row("solver", "default", metric, 0, value) for metric, value in found.items()]


def checks(rows):
    """Compare with what was asked for."""
    offs = [r["value"] for r in rows if r["metric"] == "off_max"]
    ours, theirs = (
        values(rows, "solver", name, "predict_us") for name in ("batched", "neuron_fast")
    )
    if not offs or not len(ours):
        return []
    whole = values(rows, "solver", "default", "new_cell_s")[0]
    return [
        check("solver: largest difference from NEURON, %", max(offs), "< 0.4"),
        check("solver: times faster than NEURON's fast form", theirs[0] / ours[0], ">= 15"),
        check("solver: seconds from a new cell to its model", whole, "<= 60"),
    ]
