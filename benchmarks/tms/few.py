"""Few thresholds, other neurons and pulses, blocks of cortex: TMS models of the morphology."""

import numpy as np

from sklearn_meg.tms import make_neuron

from ..report import row
from . import data as data
from .models import PHYSICS, make_model
from .scores import fit_and_score, scores

SIZES = (30, 100, 300, 1000, 3000)
MODELS = (
    *("default", "no_morphology", *PHYSICS),
    *("hist_gb", "ridge", "uniform", "uniform_mean"),
)
NEW_SIZES = (30, 100, 300)
N_BASE, N_NEW_TEST = 1000, 1000
NEW_GEOMETRY = 2_000_000  # first of neurons and pulses that nothing was trained on
BLOCK_LEVELS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2)
N_BLOCKS, N_IN_BLOCK, N_TEST_BLOCKS = 24, 40, 8


def few_rows(case, cell_case, n, seed, quick, dataset, test):
    """All models from `n` thresholds, another draw of them a seed; the test part of the type.

    ``coverage``: percent of test thresholds inside the 90 % interval.
    """
    X, y = dataset
    chosen = np.random.default_rng(seed).permutation(test.start)[: min(n, test.start)]
    rows, cell = [], data.CELLS[cell_case]
    for name in MODELS:
        model = make_model(name, cell, seed, quick)
        rows += fit_and_score(case, name, seed, model, X, y, chosen, test)
        if name in ("default", "no_morphology") and n >= 100:
            rows.append(row(case, name, "coverage", seed, covered(model, X[test], y[test])))
    return rows


def covered(model, X, y):
    """Percent of known thresholds inside the 90 % interval; NaN where there is no interval."""
    try:
        low, high = model.predict_interval(X).T
    except ValueError:  # too few were held out
        return np.nan
    known = ~np.isnan(y)
    return 100 * ((low <= y) & (y <= high))[known].mean()


def new_rows(case, seed, quick, *, clone=0, pulse="monophasic"):
    """A neuron, or a pulse, of which little is simulated yet.

    Metrics ``mape_N`` from N thresholds, ``mape`` from 100. ``zero_shot`` is a network of another
    clone and pulse, asked in silence; ``refused`` the percent of predictions that it refuses when
    it is told of what they are. ``warm_start`` goes on from that network without physics.
    """
    new = data.load("L5", f"l5_{case}.npz", quick, n=_n_new(quick), clone=clone, pulse=pulse,
                    first_geometry=NEW_GEOMETRY)  # fmt: skip
    old = data.load("L5", "l5_few.npz", quick, n=60 if quick else N_BASE)
    X, y, first = new["grids"], new["threshold"], max(NEW_SIZES)
    test = slice(40 if quick else first, len(X))
    neuron = make_neuron("L5 PC", clone)
    base, plain = (
        make_model(name, "L5 PC", seed, quick, **more).fit(old["grids"], old["threshold"])
        for name, more in (("default", {}), ("no_morphology", {"warm_start": True}))
    )
    rows = scores(case, "zero_shot", seed, X[test], y[test], base.predict(X[test]))
    refused = refusals(base, X[test], neuron, pulse)
    rows.append(row(case, "zero_shot", "refused", seed, refused))
    about = {"pulse": pulse, "spacing": data.SPACING}
    untrained = make_model("physics_untrained", neuron, **about).fit(X[test])
    rows += scores(case, "physics_untrained", seed, X[test], y[test], untrained.predict(X[test]))
    for n in (20, 40) if quick else NEW_SIZES:
        fit = np.random.default_rng(seed).permutation(test.start)[:n]
        for name in ("default", "no_morphology", *PHYSICS[1:], "hist_gb", "uniform_mean"):
            model = make_model(name, neuron, seed, quick, **about)
            rows += _new_scores(case, name, n, seed, model.fit(X[fit], y[fit]), X[test], y[test])
        weights = {k: v.clone() for k, v in plain.net_.module_.state_dict().items()}
        plain.fit(X[fit], y[fit])
        rows += _new_scores(case, "warm_start", n, seed, plain, X[test], y[test])
        plain.net_.module_.load_state_dict(weights)
    return rows


def _n_new(quick):
    return 80 if quick else max(NEW_SIZES) + N_NEW_TEST


def _new_scores(case, name, n, seed, model, X, y):
    predicted = model.predict(X)
    error = 100 * np.nanmean(np.abs(predicted / y - 1))
    found = [row(case, name, f"mape_{n}", seed, error)]
    if n != 100:
        return found
    rows = found + scores(case, name, seed, X, y, predicted)
    if name == "default":
        rows.append(row(case, name, "coverage", seed, covered(model, X, y)))
    return rows


def refusals(model, X, neuron, pulse):
    """Percent of predictions that are refused to whoever says what they are of."""
    refused = 0
    for k in range(20):
        try:
            model.predict(X[k : k + 1], morphology=neuron, pulse=pulse)
        except ValueError:
            refused += 1
    return 100 * refused / 20


def block_rows(seed, quick):
    """Blocks of cortex with more and less uneven fields: some to fit, to calibrate, to test.

    ``coverage`` of 90 % intervals on the blocks of the test: ``default`` from samples held out of
    the fit, ``calibrated`` by ``calibrate(groups=)`` on other blocks.
    """
    rng = np.random.default_rng(seed)
    blocks = []
    for k in range(N_BLOCKS):
        level = BLOCK_LEVELS[k % len(BLOCK_LEVELS)]
        options = {"n": 12 if quick else N_IN_BLOCK, "heterogeneity": level}
        first = NEW_GEOMETRY + 10_000 * (k + 1)
        blocks.append(data.load("L5", f"l5_block{k}.npz", quick, first_geometry=first, **options))
    order = rng.permutation(N_BLOCKS)
    test, held = order[:N_TEST_BLOCKS], order[N_TEST_BLOCKS : 2 * N_TEST_BLOCKS]

    def of(chosen, name):
        return np.concatenate([blocks[k][name] for k in chosen])

    fit = order[2 * N_TEST_BLOCKS :]
    model = make_model("default", "L5 PC", seed, quick)
    model.fit(of(fit, "grids"), of(fit, "threshold"))
    X, y = of(test, "grids"), of(test, "threshold")
    rows = scores("blocks", "default", seed, X, y, model.predict(X))
    rows.append(row("blocks", "default", "coverage", seed, covered(model, X, y)))
    groups = np.repeat(held, [len(blocks[k]["threshold"]) for k in held])
    model.calibrate(of(held, "grids"), of(held, "threshold"), groups=groups)
    rows.append(row("blocks", "calibrated", "coverage", seed, covered(model, X, y)))
    return rows
