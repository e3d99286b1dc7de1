"""Parts of the TMS benchmark beside the five types: population, sphere, unusual fields."""

import numpy as np

from sklearn_meg.tms import RidgeThreshold, ThresholdCNN, UniformFieldThreshold
from sklearn_meg.tms._grids import rotate_grids

from ..report import row
from . import data as data
from .models import FIELD_ONLY, OURS, PHYSICS, make_model
from .scores import fit_and_score, scores

N_FAR = 300  # placements at each heterogeneity
N_CLONES, N_AZIMUTHS = 3, 4


def population_rows(seed, quick, deep):
    """Median threshold of 3 clones at 4 azimuths.

    ``default`` learns every threshold: each placement counts four times, with the field turned
    instead of the neuron, three clones as three outputs; ``predict_population`` gives the median.
    ``median`` learns the median itself, as the paper does.
    """
    sizes = (data.QUICK_SIZES if quick else data.SIZES)["population"]
    options = {"n": sum(sizes), "n_clones": N_CLONES, "n_azimuths": N_AZIMUTHS}
    found = data.load("L5", "l5_population.npz", quick, **options)
    X, y = found["grids"], found["threshold"]  # (n, 3, 4)
    fit, _, test = data.splits(len(X), sizes)
    # A quantile counts neurons that never fired as infinite.
    median = np.median(np.nan_to_num(y.reshape(len(y), -1), nan=np.inf), axis=1)
    median[np.isinf(median)] = np.nan
    turned = np.concatenate([rotate_grids(X[fit], -k) for k in range(N_AZIMUTHS)])
    each = np.concatenate([y[fit, :, k] for k in range(N_AZIMUTHS)])
    groups = np.tile(np.arange(len(X[fit])), N_AZIMUTHS)
    model = ThresholdCNN(random_state=seed, validation_fraction=sizes[1] / sum(sizes[:2]), **deep)
    model.fit(turned, each, groups=groups)
    predicted = model.predict_population(X[test], n_azimuths=N_AZIMUTHS)
    rows = scores("population", "default", seed, X[test], median[test], predicted)
    models = {"median": ThresholdCNN(random_state=seed, **data.inner_split(sizes), **deep)}
    if seed == 0:
        models["uniform"] = UniformFieldThreshold()
        models["uniform_mean"] = UniformFieldThreshold(field="mean")
        models["ridge"] = RidgeThreshold()
    for name, other in models.items():
        rows += fit_and_score("population", name, seed, other, X, median, fit, test)
    return rows


def sphere_rows(seed, quick):
    """L5 in a homogeneous sphere, where a uniform field says nearly all."""
    sizes = (data.QUICK_SIZES if quick else data.SIZES)["sphere"]
    found = data.load("L5", "l5_sphere.npz", quick, n=sum(sizes), heterogeneity=0.0)
    X, y = found["grids"], found["threshold"]
    fit, _, test = data.splits(len(X), sizes)
    names = OURS if seed else (*OURS, *PHYSICS, *FIELD_ONLY)
    split = data.inner_split(sizes)
    models = {
        name: make_model(name, "L5 PC", seed, quick, **(split if name in OURS else {}))
        for name in names
    }
    rows = []
    for name, model in models.items():
        rows += fit_and_score("sphere", name, seed, model, X, y, fit, test)
    return rows


def ood_rows(seed, quick, models):
    """Error and flag of models of L5 as the fields get more heterogeneous than in training.

    Metrics ``mape_H`` and (of the network) ``flagged_H``, percent, at heterogeneity H.
    """
    n, rows = (30 if quick else N_FAR), []
    for level in data.LEVELS:
        name = f"l5_far{level:g}.npz"
        options = {"n": n, "heterogeneity": level, "first_geometry": data.FAR_GEOMETRY}
        found = data.load("L5", name, quick, **options)
        X, y = found["grids"], found["threshold"]
        for model_name, model in models.items():
            error = 100 * np.nanmean(np.abs(model.predict(X) / y - 1))
            rows.append(row("ood", model_name, f"mape_{level:g}", seed, error))
        flagged = 100 * models["default"].is_unusual(X).mean()
        rows.append(row("ood", "default", f"flagged_{level:g}", seed, flagged))
    return rows
