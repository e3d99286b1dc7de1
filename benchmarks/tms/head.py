"""A head of one's own: runs where the folder ``$SKLEARN_MEG_HEAD`` holds a field.

The folder has one field that :func:`sklearn_meg.tms.read_field` reads (``field.npz``, ``.h5`` or
``.msh``; mm, V/m for 1 A/us), ``places.txt`` (position in mm, axis; six columns a place) and, as
you like, cells of your own (``*.swc``, z is the somatodendritic axis). Nothing of it is kept.
"""

import os
from pathlib import Path

import numpy as np

from sklearn_meg.tms import (
    EFieldSampler,
    activation_threshold,
    make_neuron,
    myelinate,
    read_field,
    read_swc,
    to_head,
    to_neuron,
)

from ..report import row
from . import data as data
from .few import covered
from .models import PHYSICS, make_model
from .scores import fit_and_score

FOLDER = "SKLEARN_MEG_HEAD"
N_FIT, N_AZIMUTHS = 300, 4
MODELS = ("default", "no_morphology", *PHYSICS, "hist_gb", "uniform", "uniform_mean")


def head_rows(seed):
    """Every cell of the folder (else the layer 5 cell) at its places; blocks of cortex apart.

    Each place has four azimuths. Places are ordered along their longest direction: the test part
    is the end of it.
    """
    folder = Path(os.environ.get(FOLDER, ""))
    files = sorted(folder.glob("field.*")) if os.environ.get(FOLDER) else []
    if not files:
        print(f"real_head: no field in the folder ${FOLDER}; left out")
        return []
    field = read_field(files[0], outside="nearest")
    places = head_places(folder / "places.txt", seed)
    rows = []
    for cell, spacing in head_cells(folder):
        X = EFieldSampler(field=field, spacing=spacing).fit_transform(places)
        y = activation_threshold(cell, cell_fields(field, cell, places))
        y = np.where(np.isfinite(y), y, np.nan)
        n_test = len(X) // 3
        test = slice(len(X) - n_test, None)
        chosen = np.random.default_rng(seed).permutation(len(X) - n_test)[:N_FIT]
        for name in MODELS:
            model = make_model(name, cell, seed, spacing=spacing)
            case = f"real_head {cell.name}"
            rows += fit_and_score(case, name, seed, model, X, y, chosen, test)
            if name == "default":
                rows.append(row(case, name, "coverage", seed, covered(model, X[test], y[test])))
    return rows


def head_places(path, seed):
    """Rows of :class:`EFieldSampler`, four azimuths a place, ordered along the patch."""
    table = np.loadtxt(path, ndmin=2)
    position, axis = 1e-3 * table[:, :3], table[:, 3:6]
    centered = position - position.mean(axis=0)
    order = np.argsort(centered @ np.linalg.svd(centered, full_matrices=False)[2][0])
    start = np.random.default_rng(seed).uniform(0, 2 * np.pi, len(order))
    azimuths = start[:, np.newaxis] + 2 * np.pi * np.arange(N_AZIMUTHS) / N_AZIMUTHS
    repeated = np.repeat(np.hstack([position, axis])[order], N_AZIMUTHS, axis=0)
    return np.column_stack([repeated, azimuths.ravel()])


def head_cells(folder):
    """Cells and spacings of grids that cover their axons."""
    found = []
    for path in sorted(folder.glob("*.swc")):
        cell = read_swc(path)
        cell = cell if (cell.kinds > 9).any() else myelinate(cell)
        reach = np.abs(cell.points[np.isin(cell.kinds, data.AXONAL)]).max()
        found.append((cell, 1e-6 * reach / 4))
    return found or [(make_neuron("L5 PC"), data.SPACING)]


def cell_fields(field, cell, places):
    """E at the points of the cell at every place, in the neuron's frame."""
    return np.stack(
        [
            to_neuron(field(to_head(1e-6 * cell.points, p[:3], p[3:6], p[6])), p[3:6], p[6])
            for p in places
        ]
    )
