"""Distances along fibers: near points are near, and the unit of the affine is only a unit."""

import pickle
import warnings

import numpy as np
import pytest
from scipy.spatial import cKDTree

from sklearn_meg import ConnectomeMetric
from sklearn_meg.connectome import FiberDistributionMetric, InverseTensorMetric
from sklearn_meg.connectome._averaged import averaged_metric, averaging_width
from sklearn_meg.datasets import make_fibers


@pytest.fixture(scope="module")
def annulus():
    return make_fibers("annulus", size=32)


@pytest.fixture(scope="module")
def fitted(annulus):
    return ConnectomeMetric().fit(annulus.X)


def pairs_apart(curves, n):
    """Starts, ends and lengths of arcs of n steps along true fibers."""
    some = [curve[: n + 1] for curve in curves[:30]]
    arcs = [np.linalg.norm(np.diff(curve, axis=0), axis=1).sum() for curve in some]
    return np.array([c[0] for c in some]), np.array([c[-1] for c in some]), np.array(arcs)


@pytest.mark.parametrize("n", [1, 3, 6, 12, 24])
def test_the_distance_along_a_fiber_is_about_its_arc(annulus, fitted, n):
    starts, ends, arcs = pairs_apart(annulus.curves, n)
    ratio = fitted.distance(starts, ends) / arcs
    assert (ratio > 0.9).all()  # at least the arc: amplitudes are at most 1
    assert np.median(ratio) < 2 and ratio.max() < 5


def test_across_fibers_it_is_far(annulus, fitted):
    starts, ends, arcs = pairs_apart(annulus.curves, 12)
    model = fitted
    middle = np.mean(annulus.curves[0], axis=0)
    inward = starts + 2 * (middle - starts) / np.linalg.norm(middle - starts, axis=1)[:, None]
    inside = model.mask_[tuple(inward.round().astype(int).T)]
    along, across = model.distance(starts, ends), model.distance(starts[inside], inward[inside])
    assert np.median(across / 2) > 3 * np.median(along / arcs)


@pytest.mark.parametrize("unit", [2.0, 1e-3])
def test_the_unit_of_the_affine_only_scales_distances(annulus, fitted, unit):
    starts, ends, _ = pairs_apart(annulus.curves, 24)
    voxels = fitted.distance(starts, ends)
    fit = {"method": "fibers", "anisotropy": 100.0}  # geodesics only: ways have their own
    model = ConnectomeMetric(**fit, affine=np.diag([unit, unit, 1.0])).fit(annulus.X)
    np.testing.assert_allclose(model.distance(unit * starts, unit * ends), unit * voxels, rtol=1e-6)


@pytest.mark.parametrize("size", [(1.0, 2.0), (3.0, 1.0)])
def test_ways_along_a_bend_are_as_long_in_voxels_that_are_no_squares(size):
    x, y = np.meshgrid(*(np.arange(0, 34, s) for s in size), indexing="ij")
    radius = np.hypot(x, y)
    X = np.stack([-y, x], axis=-1) / np.maximum(radius, 1)[..., None]
    X[(radius < 20) | (radius > 32)] = np.nan
    labels = np.zeros(x.shape, dtype=int)
    for region, angle in enumerate(np.deg2rad([8, 82]), start=1):
        at = 26 * np.array([np.cos(angle), np.sin(angle)]) / size
        labels[tuple(np.round(at).astype(int))] = region
    model = ConnectomeMetric(method="fibers", anisotropy=100.0, affine=np.diag([*size, 1.0]))
    length = model.fit(X[None]).geodesic_connectivity(labels, kind="length", radius=0.0)[0][0, 1]
    assert abs(length / (26 * np.deg2rad(74)) - 1) < 0.15  # they end in the middle of a voxel


def crossing_at(degrees):
    """Two bands of fibers that cross at so many degrees, without noise."""
    pytest.importorskip("dipy")
    from dipy.core.sphere import Sphere
    from dipy.reconst.shm import sh_to_sf_matrix

    n, angle = 17, np.deg2rad(degrees)
    grid = np.stack(np.meshgrid(*[np.arange(n)] * 2, np.arange(3), indexing="ij"), -1) - [8, 8, 1]
    v = np.array([[1, 0, 0], [np.cos(angle), np.sin(angle), 0]])
    kernel = {"sh_order_max": 8, "basis_type": "descoteaux07", "legacy": True}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)  # what dipy itself writes
        matrix = sh_to_sf_matrix(Sphere(xyz=v), return_inv=False, **kernel)
    order = np.concatenate([[k] * (2 * k + 1) for k in range(0, 9, 2)])
    lobes = matrix.T * np.exp(-order * (order + 1) / 30)
    across = [np.abs(grid[..., 1] * u[0] - grid[..., 0] * u[1]) for u in v]
    inside = np.array([a < 2.5 for a in across])
    fod = np.einsum("bxyz,bc->xyzc", inside / np.maximum(inside.sum(0), 1), lobes)
    return fod, inside, v


@pytest.fixture(scope="module")
def crossing():
    """Distributions of two straight bundles that cross at 30 degrees, apart outside the middle."""
    return crossing_at(30)


def angles(peaks, voxels, u):
    cosine = np.nan_to_num(np.abs(peaks[(slice(None), *voxels.T)] @ u)).max(0)
    return np.rad2deg(np.arccos(np.minimum(cosine, 1)))


def test_fibers_that_cross_at_a_small_angle_get_a_peak_each(crossing):
    fod, inside, v = crossing
    both = np.argwhere(inside.all(0))
    sharp = FiberDistributionMetric()._find(fod, None)[0]
    raw = FiberDistributionMetric(sharpen=False)._find(fod, None)[0]
    for u in v:
        assert np.median(angles(raw, both, u)) > 10
        assert np.median(angles(sharp, both, u)) < 7
    part = fod[4:13, 6:11]
    one, other = (FiberDistributionMetric()._find(unit * part, None)[0] for unit in (1, 1024))
    np.testing.assert_allclose(one, other, atol=1e-4)


def test_two_fibers_in_one_lobe_get_two_peaks_and_one_fiber_one():
    fod, inside, v = crossing_at(25)
    peaks = FiberDistributionMetric()._find(fod, None)[0]
    number = np.isfinite(peaks[..., 0]).sum(0)
    assert (number[inside.sum(0) == 1] == 1).all()
    assert (number[inside.all(0)] == 2).mean() > 0.8
    for u in v:
        assert np.median(angles(peaks, np.argwhere(inside.all(0)), u)) < 5
    few = FiberDistributionMetric(n_peaks=1)._find(fod[6:11, 6:11], None)[0]  # no more than asked
    assert len(few) == 1


def test_what_ways_need_is_made_once_a_fit(annulus):
    starts, ends, _ = pairs_apart(annulus.curves[:3], 6)
    model = InverseTensorMetric().fit(annulus.X)
    before = len(pickle.dumps(model))
    first, again = model.connect(starts, ends)[0], model.connect(starts, ends)[0]
    np.testing.assert_array_equal(first, again)
    assert len(pickle.dumps(model)) == before  # none of it is saved
    other = make_fibers("annulus", size=32, noise=5).X
    refitted, fresh = model.fit(other), InverseTensorMetric().fit(other)
    np.testing.assert_array_equal(refitted.connect(starts, ends)[0], fresh.connect(starts, ends)[0])


def test_ways_through_noisy_directions_stay_nearer_than_those_of_raw_tensors():
    fibers = make_fibers("annulus", size=32, noise=15, n_curves=12, random_state=3)
    arcs = [curve[:25] for curve in fibers.curves]
    ends = np.array([[arc[0], arc[-1]] for arc in arcs])

    def off(model):
        ways = model.fit(fibers.X).connect(ends[:, 0], ends[:, 1])[0]
        return np.mean([cKDTree(c).query(w)[0].mean() for w, c in zip(ways, arcs)])

    peers = [off(InverseTensorMetric(anisotropy=a)) for a in (6, 100)]
    assert off(ConnectomeMetric(method="fibers", anisotropy=100.0)) < 0.7 * min(peers)


@pytest.mark.parametrize("degrees", [0.0, 40.0])
def test_averaged_tensors_are_long_where_directions_agree_and_rounder_where_not(degrees):
    turn = np.deg2rad(degrees) * (-1) ** np.arange(6)
    v = np.stack([np.cos(turn), np.sin(turn)], axis=-1)[:, None] * np.ones((1, 5, 1))
    v[0, 0] = np.nan
    mask = np.isfinite(v[..., 0])
    width = averaging_width(np.deg2rad(degrees))
    g = averaged_metric(v, mask, np.full(2, width), 100.0)
    assert np.isnan(g[0, 0]).all()
    length, across = np.linalg.eigvalsh(g[3, 2])
    if degrees == 0:
        np.testing.assert_allclose((length, across), (0.01, 1.0))
    else:
        assert 1.3 < across / length < 50
