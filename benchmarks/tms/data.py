"""Data of the TMS benchmark: simulated once, kept in a folder, split by geometry."""

import os
from pathlib import Path

import numpy as np
from scipy.special import logsumexp

from sklearn_meg.tms import (
    EFieldSampler,
    Kind,
    draw_placements,
    grid_spacing,
    make_tms_dataset,
    placement_rows,
)

CELLS = {"L1": "L1 NGC", "L2/3": "L2/3 PC", "L4": "L4 LBC", "L5": "L5 PC", "L6": "L6 PC"}
FILES = {case: f"{case.lower().replace('/', '')}.npz" for case in CELLS}
HETEROGENEITY = 0.8
AXONAL = (Kind.AXON, Kind.INITIAL_SEGMENT, Kind.INTERNODE, Kind.NODE, Kind.TERMINAL)
SPACING = grid_spacing("L5 PC")
FAR = 3.0  # heterogeneity of the fields that the flag must catch
FAR_GEOMETRY = 1_000_000  # their first geometry: none that was trained on
LEVELS = (0.0, 0.4, 0.8, 1.2, 1.6, 2.0, 3.0)
SIZES = {"types": (6000, 500, 1500), "sphere": (2000, 250, 750), "population": (900, 130, 270)}
QUICK_SIZES = dict.fromkeys(SIZES, (200, 60, 60))


def cache_folder():
    """Where data sets are kept: $SKLEARN_MEG_CACHE/tms, or ~/.cache/sklearn_meg/tms.

    If the folder that $SKLEARN_MEG_CACHE names holds ``l5.npz`` itself, it is that folder.
    """
    root = Path(os.environ.get("SKLEARN_MEG_CACHE", Path.home() / ".cache" / "sklearn_meg"))
    return root if (root / FILES["L5"]).exists() else root / "tms"


def load(case, name=None, quick=False, **options):
    """Data set of one type, simulated if it is not in the cache.

    case: Of `CELLS`.
    name (str or None): File in the cache; None that of the type.
    quick: Invented thresholds (:func:`toy`) instead: no NEURON, nothing is written.
    **options: Of :func:`make_tms_dataset`, ``n`` among them.
    Returns dataset (dict): ``grids``; ``threshold`` with NaN where none was found; ``position``,
        ``axis`` and so on.
    """
    if quick:
        return toy(case, **options)
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (name or FILES[case])
    options = {"n_jobs": int(os.environ.get("SKLEARN_MEG_JOBS", "1")), **options}
    dataset = make_tms_dataset(CELLS[case], path=path, **options)
    dataset["threshold"] = np.where(dataset["censored"], np.nan, dataset["threshold"])
    return dataset


def toy(
    case, n, heterogeneity=HETEROGENEITY, first_geometry=0, n_clones=1, n_azimuths=1, **ignored
):
    """Fields as they are, thresholds invented: the first of 20 sites to be driven enough fires."""
    rows = placement_rows(draw_placements(n, first_geometry, first_geometry=first_geometry))
    if not heterogeneity:
        rows = rows[:, :7]
    grids = sampler(case, heterogeneity).transform(rows)
    flat = grids.reshape(n, -1)
    rng = np.random.default_rng(0)
    sites = rng.normal(size=(n_clones, n_azimuths, flat.shape[1], 20)) / 20
    drive = logsumexp(4 * np.einsum("nf,cafs->ncas", flat, sites), axis=-1) / 4
    threshold = 100 / drive
    return {"grids": grids, "threshold": threshold[:, 0, 0] if n_clones == 1 else threshold}


def sampler(case, heterogeneity=HETEROGENEITY):
    """Fitted sampler of grids as in the data sets."""
    found = EFieldSampler(spacing=grid_spacing(CELLS[case]), heterogeneity=heterogeneity)
    return found.fit(np.r_[0, 0, 0.07, 0, 0, 1, 0, [0] * (heterogeneity > 0)][np.newaxis])


def far_grids(case, n, heterogeneity=FAR, seed=0):
    """Fields of a far more heterogeneous family, geometries never used for training."""
    first = FAR_GEOMETRY + seed * n
    rows = placement_rows(draw_placements(n, first, first_geometry=first))
    return sampler(case, heterogeneity).transform(rows)


def splits(n, sizes):
    """Slices that train and validate together, that only train, and that test."""
    train, valid, test = sizes
    if n < train + valid + test:
        raise ValueError(f"The benchmark needs {train + valid + test} placements. Got {n}.")
    return slice(0, train + valid), slice(0, train), slice(train + valid, train + valid + test)


def inner_split(sizes):
    """Parameters of :class:`ThresholdCNN`: the last of the samples that it gets validate."""
    train, valid, _ = sizes
    return {"validation_split": "last", "validation_fraction": valid / (train + valid)}
