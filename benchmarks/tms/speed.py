"""Speed of thresholds: networks beside NEURON on the same cells, one thread, CPU time."""

from importlib.util import find_spec
from time import process_time

import numpy as np

from sklearn_meg.tms import draw_placements, make_neuron, placement_rows
from sklearn_meg.tms._parts import _fields
from sklearn_meg.tms.neurons import grid_spacing

from ..report import check, row, values
from . import data as data
from .scores import timed_predict

BATCHES = (1, 10, 100, 1000, 10_000)
N_FAST, N_REFERENCE, N_SAMPLED = 150, 30, 512
PLAIN_START = 100.0  # A/us
LEAST_SECONDS = 0.3  # that one measurement of a small batch takes


def speed_rows(models, X, quick=False):
    """Time fitted models, NEURON and the sampler of grids.

    Metrics: ``predict_us`` CPU time a threshold (of 1500 at once, or as many as there are);
    ``throughput_N`` thresholds a second in batches of N; ``sampler_ms`` CPU time of the grid of
    one cell (``sphere``, ``heterogeneous``); ``coupling_mean``, ``coupling_max`` percent
    difference of the two ways to couple the field in NEURON.

    models (dict of str -> fitted estimator)
    X (n, s, s, s, 3): Grids to predict.
    Returns rows (list of dict)
    """
    rows = []
    for name, model in models.items():
        seconds = timed_predict(model, X)[1]
        rows.append(row("speed", name, "predict_us", 0, 1e6 * seconds))
        if name in ("default", "paper"):
            rows += throughput_rows(name, model, X, BATCHES[:3] if quick else BATCHES)
    rows.append(homogeneity_row(models["default"], X))
    rows += sampler_rows(20 if quick else N_SAMPLED)
    if find_spec("neuron") is None:
        print("speed: NEURON is not installed (extra tms); its rows are left out")
        return rows
    return rows + neuron_rows(*((4, 2) if quick else (N_FAST, N_REFERENCE)))


def throughput_rows(name, model, X, batches):
    """Thresholds a second as the batch grows."""
    rows = []
    for size in batches:
        batch = np.resize(X, (size, *X.shape[1:]))
        repeats, used = 0, 0.0
        model.predict(batch)
        while used < LEAST_SECONDS and repeats < 200:
            begun = process_time()
            model.predict(batch)
            used += process_time() - begun
            repeats += 1
        rows.append(row("speed", name, f"throughput_{size}", 0, size * repeats / max(used, 1e-9)))
    return rows


def homogeneity_row(model, X):
    """Largest relative departure of threshold(cE) from threshold(E) / c."""
    base = model.predict(X[:100])
    worst = max(
        np.abs(model.predict((c * X[:100]).astype(X.dtype)) * c / base - 1).max()
        for c in (0.1, 3.0, 17.0)
    )
    return row("speed", "default", "homogeneity", 0, worst)


def sampler_rows(n):
    """CPU time of the grid of one L5 cell."""
    rows = []
    for name, heterogeneity in (("sphere", 0.0), ("heterogeneous", data.HETEROGENEITY)):
        cells = placement_rows(draw_placements(n, 0), geometry=heterogeneity > 0)
        sampler = data.sampler("L5", heterogeneity)
        sampler.transform(cells[:2])
        begun = process_time()
        sampler.transform(cells)
        used = process_time() - begun
        rows.append(row("speed", name, "sampler_ms", 0, 1e3 * used / n))
    return rows


def neuron_rows(n_fast, n_reference):
    """CPU time of one threshold in NEURON, field not counted, and how the couplings differ.

    ``neuron_fast`` starts from a passive estimate, as the generator does; ``neuron_plain`` and
    ``neuron_extracellular`` bracket from a fixed amplitude, as in the paper's protocol.
    """
    from sklearn_meg.tms import activation_threshold

    cell = make_neuron(data.CELLS["L5"])
    fields = cell_fields(cell, n_fast)
    found, rows = {}, []
    for name, coupling, start, n in (
        ("neuron_fast", "axial", None, n_fast),
        ("neuron_plain", "axial", PLAIN_START, n_fast),
        ("neuron_extracellular", "extracellular", PLAIN_START, n_reference),
    ):
        options = {"coupling": coupling, "start": start, "solver": "neuron"}
        activation_threshold(cell, fields[:1], **options)  # builds the model
        begun = process_time()
        found[name] = activation_threshold(cell, fields[:n], **options)
        rows.append(row("speed", name, "predict_us", 0, 1e6 * (process_time() - begun) / n))
    plain, reference = found["neuron_plain"][:n_reference], found["neuron_extracellular"]
    apart = 100 * np.abs(plain / reference - 1)
    rows.append(row("speed", "neuron_plain", "coupling_mean", 0, apart.mean()))
    rows.append(row("speed", "neuron_plain", "coupling_max", 0, apart.max()))
    return rows


def cell_fields(cell, n):
    """E at the points of the L5 cell for test placements of the data set, (n, n_points, 3)."""
    settings = {
        "heterogeneity": data.HETEROGENEITY,
        "polarity": 1,
        "size": 3,
        "spacing": grid_spacing(data.CELLS["L5"]),
        "n_azimuths": 1,
    }
    drawn = draw_placements(n, 0, first_geometry=data.FAR_GEOMETRY)
    places = [{name: values[k] for name, values in drawn.items()} for k in range(n)]
    return np.concatenate([_fields([cell], None, settings, place)[1][0] for place in places])


def checks(rows):
    """Compare with what the issue asks for."""

    def first(model, metric):
        found = values(rows, "speed", model, metric)
        return found[0] if len(found) else None

    result = []
    ours = first("default", "predict_us")
    for model, bound in (
        ("neuron_fast", ">= 3000"),
        ("neuron_plain", ">= 3000"),
        ("neuron_extracellular", ">= 15000"),
    ):
        theirs = first(model, "predict_us")
        if ours and theirs:
            result.append(check(f"speed: times faster than {model}", theirs / ours, bound))
    for name, model, metric, bound in (
        ("ms to sample a grid, sphere", "sphere", "sampler_ms", "< 1"),
        ("ms to sample a grid, heterogeneous", "heterogeneous", "sampler_ms", "< 1"),
        ("departure from homogeneity", "default", "homogeneity", "< 1e-5"),
        ("couplings apart, mean %", "neuron_plain", "coupling_mean", "< 0.5"),
        ("couplings apart, max %", "neuron_plain", "coupling_max", "< 1"),
    ):
        value = first(model, metric)
        if value is not None:
            result.append(check(f"speed: {name}", value, bound))
    return result
