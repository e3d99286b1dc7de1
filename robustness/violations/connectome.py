"""What users of metrics do to fields of directions."""

from functools import cache

import numpy as np

from sklearn_meg import ConnectomeMetric
from sklearn_meg.connectome import geodesic_deviation
from sklearn_meg.datasets import make_fibers

from .record import Answer, violation


@cache
def _fibers(seed):
    return make_fibers("annulus", size=32, n_curves=10, random_state=seed)


def _deviation(model, fibers, tolerance=1.0):
    longest = max(np.linalg.norm(np.diff(c, axis=0), axis=1).sum() for c in fibers.curves)
    paths = model.shoot(fibers.seeds, fibers.directions, longest, within="grid")
    return Answer(np.nanmean(geodesic_deviation(fibers.curves, paths)), tolerance)


@violation("vectors of a thousandth of unit length", right="geodesics within a voxel")
def short_vectors(seed, broken):
    """Directions are stored as scaled integers and read without the factor."""
    fibers = _fibers(seed)
    X = np.asarray(fibers.X)
    return _deviation(ConnectomeMetric().fit(X / 1000 if broken else X), fibers)


@violation("signs of vectors at random", right="geodesics within a voxel")
def random_signs(seed, broken):
    """Principal directions have no sign: each voxel has another one."""
    fibers = _fibers(seed)
    X = np.array(fibers.X)
    if broken:
        rng = np.random.default_rng(seed)
        X *= rng.choice([-1, 1], size=(*X.shape[:-1], 1))
    return _deviation(ConnectomeMetric().fit(X), fibers)
