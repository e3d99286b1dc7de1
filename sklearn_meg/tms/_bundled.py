"""A small data set of thresholds that comes with the package."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .field import placement_rows

__all__ = ["load_l5_thresholds"]

FILE = Path(__file__).parent / "data" / "l5_thresholds.npz"
COLUMNS = ("position", "axis", "azimuth")


def load_l5_thresholds() -> tuple[np.ndarray, np.ndarray]:
    """Load thresholds of one L5 pyramidal cell at 3000 places under a figure-8 coil.

    They are the first 3000 of ``make_tms_dataset("L5 PC", 8000)``: monophasic pulse, each in a
    fold of its own. Only the places are kept; the fields there are computed from them, in about a
    millisecond each, by :class:`EFieldSampler` with ``heterogeneity=0.8`` and
    ``spacing=grid_spacing("L5 PC")``.

    Returns
    -------
    X : ndarray of shape (3000, 8)
        Position (m), axis, azimuth, seed of the geometry: rows for :class:`EFieldSampler`.
    y : ndarray of shape (3000,)
        Thresholds, A/us; NaN where the neuron did not fire.

    Examples
    --------
    >>> from sklearn_meg.tms import load_l5_thresholds
    >>> X, y = load_l5_thresholds()
    >>> X.shape, y.shape
    ((3000, 8), (3000,))
    """
    with np.load(FILE) as file:
        places = {name: file[name].astype(float) for name in COLUMNS}
        threshold = file["threshold"].astype(float)
    places["axis"] /= np.linalg.norm(places["axis"], axis=1, keepdims=True)
    places["geometry"] = np.arange(len(threshold))
    return placement_rows(places), threshold


def write_ready(dataset, path=FILE, n=3000):
    """Write the file of :func:`load_l5_thresholds` from a data set that was made anew.

    dataset (dict): Output of :func:`make_tms_dataset`, with ``first_geometry=0``.
    n: Number of placements that are kept.
    """
    if not np.array_equal(dataset["geometry"][:n], np.arange(n)):
        raise ValueError("dataset must have geometries from 0 on.")
    threshold = np.where(dataset["censored"], np.nan, dataset["threshold"])
    arrays = {name: dataset[name] for name in COLUMNS} | {"threshold": threshold}
    np.savez_compressed(path, **{name: a[:n].astype(np.float32) for name, a in arrays.items()})
