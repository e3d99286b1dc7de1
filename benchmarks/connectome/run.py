"""Benchmark of metrics: geodesics against the curves that the fields were made from.

Worlds of :func:`sklearn_meg.datasets.make_fibers`: the annulus, arcs that cross in 3-D at several
angles, the braid; then all three with directions turned by noise. Each seed has other held-out
curves, which start between voxels, and another noise; signs of all vectors are random. Pure
geodesics are shot from the start of a curve along its true tangent for its length. They end at
the border of the grid; one that ends early counts by where it should be. ``oracle`` is the metric
in closed form. Baselines made from tensors get, for each seed, the anisotropy with the least
deviation.
Times are CPU times of one thread.
"""

from dataclasses import replace
from functools import partial
from time import process_time

import numpy as np

from sklearn_meg.connectome import ConnectomeMetric, ConvolutionalMetric, KnownMetric
from sklearn_meg.connectome.metrics import geodesic_deviation
from sklearn_meg.datasets import make_fibers

from ..report import row, run_steps
from . import checks, more, phantom
from .models import baselines, best, smoothed_baselines

ANGLES = (90, 60, 45, 30)
NOISES = (1, 5, 10, 20)
WORLDS = {
    "annulus": {"world": "annulus"},
    **{f"arcs{a}": {"world": "arcs", "angle": a} for a in ANGLES},
    "braid": {"world": "braid"},
    **{f"noise{n}": {"world": "annulus", "noise": n} for n in NOISES},
    **{f"arcs60_noise{n}": {"world": "arcs", "angle": 60, "noise": n} for n in NOISES},
    **{f"braid_noise{n}": {"world": "braid", "noise": n} for n in NOISES},
}
MORE = ("flips", "two_point", "speed", "real")
SEEDED = (*phantom.SNRS, *more.SEEDED)
CASES = (*WORLDS, *SEEDED, *MORE)
CONV = ("annulus", "braid")  # where the convolutional solver is trained, too
QUICK = {"annulus": 20, "arcs": 16, "braid": 40}
# Others show that these run.
NOT_QUICK = (
    *("arcs60", "arcs45", "arcs30", "noise1", "noise5", "noise10"),
    *("phantom10", "phantom_inf", "more_bundles", "real_pairs", "brain_like"),
)
QUICK_CASES = tuple(c for c in CASES if c not in NOT_QUICK and "_noise" not in c)
QUICK_FIT = {"max_iter": 5}, {"max_epochs": 3}


def run(quick=False, n_seeds=None, cases=None):
    """Run the benchmark.

    quick: Small grids, few iterations, one seed, not all worlds: shows that everything runs;
        numbers mean nothing.
    n_seeds (int or None): Seeds of curves, signs and noise: 3 unless quick.
    cases (list of str or None): Some of `CASES`; None all.
    Returns rows, checks (list of dict), settings (dict)
    """
    if cases is None:
        cases = QUICK_CASES if quick else CASES
    seeds = range(n_seeds or (1 if quick else 3))
    steps = [(case, seed) for case in cases for seed in ([0] if case in MORE else seeds)]
    rows = run_steps("connectome", steps, partial(_case_rows, quick=quick))
    settings = {
        "quick": quick,
        "seeds": len(seeds),
        "cases": list(cases),
        "curves": _n_curves(quick),
    }
    return rows, [] if quick else checks.make_checks(rows), settings


def _case_rows(case, seed, quick):
    if case in WORLDS:
        return world_rows(case, seed, quick)
    if case in phantom.SNRS:
        return phantom.phantom_rows(case, seed, quick)
    if case in more.SEEDED:
        return more.SEEDED[case](seed, quick)
    return more.ROWS[case](quick)


def _n_curves(quick):
    return 10 if quick else 100


def world_rows(case, seed, quick):
    """Deviations of all metrics in one world."""
    params = WORLDS[case]
    size = QUICK[params["world"]] if quick else None
    fibers = make_fibers(**params, size=size, n_curves=_n_curves(quick), random_state=seed)
    rows = []
    every = _models(case, seed, quick)
    for name, models in every.items():
        rows += best(_all_fitted(case, name, seed, models, fibers))
    ours = every["default"][0]
    rows += deviation_rows(case, "follow", seed, ours, fibers, follow=1.0)
    if params.get("noise"):
        smoothed = replace(fibers, X=more.smoothed_by(ours, fibers.X))
        for name, models in smoothed_baselines(quick).items():
            rows += best(_all_fitted(case, name, seed, models, smoothed))
    if fibers.metric is not None:
        rows += deviation_rows(case, "oracle", seed, KnownMetric(fibers.metric), fibers)
    return rows


def _all_fitted(case, name, seed, models, fibers):
    """Rows of every setting that gives a metric at all."""
    for model in models:
        try:
            yield _fitted_rows(case, name, seed, model, fibers)
        except ValueError:
            if len(models) == 1:
                raise


def _fitted_rows(case, name, seed, model, fibers):
    begun = process_time()
    model.fit(fibers.X)
    spent = row(case, name, "fit_s", seed, process_time() - begun)
    return [spent, *deviation_rows(case, name, seed, model, fibers)]


def _models(case, seed, quick):
    """Models by name: of a baseline all settings, of which the truth chooses; of ours one."""
    fit, net = QUICK_FIT if quick else ({}, {})
    models = {"default": [ConnectomeMetric(**fit)]}
    if case in CONV:
        models["conv"] = [ConvolutionalMetric(random_state=seed, **net)]
        models["spline"] = [ConnectomeMetric(method="spline", **fit)]  # the same loss
    return {**models, **baselines(quick)}


def deviation_rows(case, name, seed, model, fibers, follow=0.0):
    """Rows of mean and median deviation in voxels, and the mean in crossing voxels."""
    lengths = [np.linalg.norm(np.diff(c, axis=0), axis=1).sum() for c in fibers.curves]
    paths = model.shoot(fibers.seeds, fibers.directions, max(lengths), within="grid", follow=follow)
    step = max(lengths) / (paths.shape[1] - 1)
    deviation = geodesic_deviation(fibers.curves, paths, step)
    counted = np.isfinite(deviation)
    found = {
        "deviation_mean": deviation[counted].mean(),
        "deviation_median": np.median(deviation[counted]),
    }
    crossing = counted & np.stack(
        [_crossing(c, paths.shape[1], step, fibers) for c in fibers.curves]
    )
    if crossing.any():
        found["deviation_crossing"] = deviation[crossing].mean()
    return [row(case, name, metric, seed, value) for metric, value in found.items()]


def _crossing(curve, n_points, step, fibers):
    """Whether the true curve is in a crossing voxel, at the same distances from its start."""
    place = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))])
    at = np.stack([np.interp(step * np.arange(n_points), place, x) for x in curve.T], axis=1)
    index = np.clip(np.round(at).astype(int), 0, np.array(fibers.mask.shape) - 1)
    return fibers.crossing[tuple(index.T)]
