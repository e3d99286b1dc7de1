"""Distances along fibers: near points are near, and the unit of the affine is only a unit."""

import numpy as np
import pytest

from sklearn_meg import ConnectomeMetric
from sklearn_meg.datasets import make_fibers


@pytest.fixture(scope="module")
def annulus():
    return make_fibers("annulus", size=32)


def pairs_apart(curves, n):
    """Starts, ends and lengths of arcs of n steps along true fibers."""
    some = [curve[: n + 1] for curve in curves[:30]]
    arcs = [np.linalg.norm(np.diff(curve, axis=0), axis=1).sum() for curve in some]
    return np.array([c[0] for c in some]), np.array([c[-1] for c in some]), np.array(arcs)


@pytest.mark.parametrize("n", [1, 3, 6, 12, 24])
def test_the_distance_along_a_fiber_is_about_its_arc(annulus, n):
    starts, ends, arcs = pairs_apart(annulus.curves, n)
    ratio = ConnectomeMetric().fit(annulus.X).distance(starts, ends) / arcs
    assert (ratio > 0.9).all()  # at least the arc: amplitudes are at most 1
    assert np.median(ratio) < 2 and ratio.max() < 5


def test_across_fibers_it_is_far(annulus):
    starts, ends, arcs = pairs_apart(annulus.curves, 12)
    model = ConnectomeMetric().fit(annulus.X)
    middle = np.mean(annulus.curves[0], axis=0)
    inward = starts + 2 * (middle - starts) / np.linalg.norm(middle - starts, axis=1)[:, None]
    inside = model.mask_[tuple(inward.round().astype(int).T)]
    along, across = model.distance(starts, ends), model.distance(starts[inside], inward[inside])
    assert np.median(across / 2) > 3 * np.median(along / arcs)


@pytest.mark.parametrize("unit", [2.0, 1e-3])
def test_the_unit_of_the_affine_only_scales_distances(annulus, unit):
    starts, ends, _ = pairs_apart(annulus.curves, 24)
    voxels = ConnectomeMetric().fit(annulus.X).distance(starts, ends)
    model = ConnectomeMetric(affine=np.diag([unit, unit, 1.0])).fit(annulus.X)
    np.testing.assert_allclose(model.distance(unit * starts, unit * ends), unit * voxels, rtol=1e-6)
