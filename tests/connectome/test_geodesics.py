"""Known metrics: Christoffel symbols, shooting, two points, bundles, connectivity."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from sklearn_meg.connectome import ConnectomeMetric, InverseTensorMetric, KnownMetric
from sklearn_meg.connectome._fields import fit_lines
from sklearn_meg.connectome._geometry import SplineGeometry
from sklearn_meg.connectome._peaks import PeakField
from sklearn_meg.connectome._shoot import shoot
from sklearn_meg.connectome._spline import SplineField, SplineOperator, lattice_shape
from sklearn_meg.connectome._stability import _as_good
from sklearn_meg.connectome.metrics import geodesic_deviation
from sklearn_meg.datasets import make_fibers

N = 49


def chart(metric_of, origin, width, n=N):
    """A metric known in closed form, sampled on a square."""
    affine = np.diag([width / (n - 1)] * 2 + [1.0])
    affine[:2, 2] = origin
    x, y = np.meshgrid(*(o + width * np.linspace(0, 1, n) for o in origin), indexing="ij")
    return KnownMetric(metric_of(x, y), affine=affine)


def half_plane_metric(x, y):
    return np.eye(2) / y[..., None, None] ** 2


def sphere_metric(x, y):
    g = np.broadcast_to(np.eye(2), (*x.shape, 2, 2)).copy()
    g[..., 1, 1] = np.sin(x) ** 2
    return g


@pytest.fixture(scope="module")
def half_plane():
    return chart(half_plane_metric, (0.0, 0.5), 4.0)


@pytest.fixture(scope="module")
def sphere():
    return chart(sphere_metric, (0.4, 0.0), 2.3)


@pytest.fixture(scope="module")
def pairs():
    return np.random.default_rng(0).uniform(0.1, 0.9, (2, 12, 2))


def on_sphere(q):
    x, y = q[..., 0], q[..., 1]
    return np.stack([np.sin(x) * np.cos(y), np.sin(x) * np.sin(y), np.cos(x)], axis=-1)


def test_distance_on_the_half_plane(half_plane, pairs):
    a, b = [0, 0.5] + 4 * pairs
    true = np.arccosh(1 + ((a - b) ** 2).sum(1) / (2 * a[:, 1] * b[:, 1]))
    np.testing.assert_allclose(half_plane.distance(a, b), true, atol=1e-3)


def test_distance_and_path_on_the_sphere(sphere, pairs):
    a, b = [0.4, 0.0] + 2.3 * pairs
    paths, lengths = sphere.connect(a, b)
    np.testing.assert_allclose(lengths, np.arccos((on_sphere(a) * on_sphere(b)).sum(1)), atol=1e-3)
    normal = np.cross(on_sphere(a), on_sphere(b))
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    off = np.einsum("npi,ni->np", on_sphere(paths), normal)
    assert np.abs(off).max() < 1e-3  # a great circle
    np.testing.assert_allclose(paths[:, 0], a, atol=1e-12)
    np.testing.assert_allclose(paths[:, -1], b, atol=1e-12)


def test_christoffel_symbols_of_the_sphere(sphere):
    found = sphere.christoffel_symbols([[1.0, 1.0]])[0]
    expected = np.zeros((2, 2, 2))
    expected[0, 1, 1] = -np.sin(1) * np.cos(1)
    expected[1, 0, 1] = expected[1, 1, 0] = 1 / np.tan(1)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_shot_geodesics_are_half_circles(half_plane):
    # From (2, 1) horizontally: the half circle of radius 1 about (2, 0).
    path = half_plane.shoot([[2.0, 1.0]], [[5.0, 0.0]], 0.9, step=0.2)[0]
    np.testing.assert_allclose(np.hypot(path[:, 0] - 2, path[:, 1]), 1, atol=1e-4)
    np.testing.assert_allclose(
        np.linalg.norm(np.diff(path, axis=0), axis=1), 0.9 / (len(path) - 1), rtol=1e-3
    )


def test_shooting_there_and_back(half_plane):
    there = half_plane.shoot([[1.0, 2.0]], [[1.0, 0.3]], 1.5)[0]
    back = half_plane.shoot(there[-1:], [there[-2] - there[-1]], 1.5)[0]
    np.testing.assert_allclose(back[-1], there[0], atol=0.02)


def test_shooting_reaches_what_connecting_finds(sphere):
    path = sphere.shoot([[1.0, 0.5]], [[0.5, 1.0]], 1.0, step=0.2)
    _, length = sphere.connect(path[:, 0], path[:, -1])
    steps = np.linalg.norm(np.diff(on_sphere(path[0]), axis=0), axis=1)
    np.testing.assert_allclose(length, steps.sum(), atol=1e-3)


def test_a_constant_metric_has_straight_geodesics():
    g = np.broadcast_to(np.array([[4.0, 1.0], [1.0, 2.0]]), (12, 12, 2, 2))
    flat = KnownMetric(g)
    path = flat.shoot([[2.0, 3.0]], [[2.0, 1.0]], 5.0)[0]
    np.testing.assert_allclose(path[-1], [2 + 10 / 5**0.5, 3 + 5 / 5**0.5], atol=1e-9)
    step = np.array([5.0, 4.0])
    np.testing.assert_allclose(flat.distance([[2, 3]], [[7, 7]]), (step @ g[0, 0] @ step) ** 0.5)
    np.testing.assert_array_equal(flat.distance([[2, 3]], [[2, 3]]), 0)


def test_geodesics_end_with_the_mask_or_the_grid():
    mask = np.ones((12, 12), dtype=bool)
    mask[8:] = False
    flat = KnownMetric(np.broadcast_to(np.eye(2), (12, 12, 2, 2)), mask)
    start = [[2.0, 5.0], [2.0, 6.0]], [[1.0, 0.0], [0.0, 1.0]]
    for within, last in (("mask", 7.25), ("grid", 11.25)):
        paths = flat.shoot(*start, 30.0, step=0.25, within=within)
        assert paths.shape == (2, 121, 2)
        np.testing.assert_allclose(np.nanmax(paths[0, :, 0]), last, atol=0.26)
        assert np.isnan(paths[:, -1]).all()
    np.testing.assert_allclose(np.nanmax(paths[1, :, 1]), 11.25, atol=0.26)


def test_lines_that_leave_the_mask_a_little_come_back():
    angle = 0.5 * np.cos(np.arange(24) * 2 * np.pi / 24)  # waves, each above the other
    X = np.full((1, 24, 14, 2), np.nan)
    X[0, :, :8] = np.stack([np.cos(angle), np.sin(angle)], axis=-1)[:, None]
    model = ConnectomeMetric(method="fibers", anisotropy=1e6).fit(X)
    starts, u = [[0.0, 4.0], [0.0, 7.0]], X[0, [0, 0], 0]
    for follow in (0.0, 1.0):
        inside, outside = model.shoot(starts, u, 24.0, within="grid", follow=follow)
        assert np.nanmax(outside[:, 1]) > 8.5
        np.testing.assert_allclose(outside, inside + [0.0, 3.0], atol=0.2)


def test_three_dimensions_and_affine():
    g = np.broadcast_to(np.diag([1.0, 4.0, 9.0]), (6, 6, 6, 3, 3))
    affine = np.array([[0, 0, 2.0, 1], [2, 0, 0, 0], [0, 2, 0, 0], [0, 0, 0, 1]])
    flat = KnownMetric(g, affine=affine)  # x of the grid is y of the world
    points = np.array([[3.0, 2.0, 4.0], [3.0, 6.0, 4.0], [5.0, 2.0, 4.0]])
    np.testing.assert_allclose(flat.distance(points[[0, 0]], points[1:]), [4, 6])
    np.testing.assert_allclose(flat.metric_at(points)[0], np.diag([9.0, 1.0, 4.0]), atol=1e-9)


# ------------------------------------------------------------------ bundles and regions


@pytest.fixture(scope="module")
def annulus():
    fibers = make_fibers("annulus", size=32)
    return fibers, ConnectomeMetric(max_iter=80).fit(fibers.X)


def test_bundle_goes_both_ways_along_the_circle(annulus):
    _, model = annulus
    (path,) = model.bundle([[25.0, 15.5]], length=12.0)
    radius = np.linalg.norm(path - 15.5, axis=1)
    np.testing.assert_allclose(radius, radius.mean(), atol=0.1)
    sides = np.sign(path[:, 1] - 15.5)
    assert sides.min() == -1 and sides.max() == 1
    assert abs(np.linalg.norm(np.diff(path, axis=0), axis=1).sum() - 24) < 0.1


def test_bundle_has_a_path_for_each_crossing_field():
    fibers = make_fibers("braid", size=48)
    model = ConnectomeMetric(max_iter=5).fit(fibers.X)
    crossing = np.argwhere(fibers.crossing)[:1]
    assert len(model.bundle(crossing, length=3.0)) == 2
    single = np.argwhere(fibers.mask & ~fibers.crossing)[:1]
    assert len(model.bundle(single, length=3.0)) == 1


def test_ways_keep_to_their_lane(annulus):
    _, model = annulus
    angle, radius = np.deg2rad([200, 290]), np.array([13.0, 6.5])  # near both borders
    ends = 15.5 + radius[:, None, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    paths, _ = model.connect(ends[:, 0], ends[:, 1])
    off = np.linalg.norm(paths - 15.5, axis=2) - radius[:, None]
    assert np.abs(off).mean() < 0.15


def test_connectivity_of_regions_on_an_annulus(annulus):
    fibers, model = annulus
    x, y = np.indices(fibers.mask.shape) - 15.5
    sector = (np.floor(np.arctan2(y, x) / (np.pi / 2)) % 4).astype(int)
    labels = np.where(fibers.mask, 10 + sector, 0)
    matrix, regions = model.geodesic_connectivity(labels)
    assert regions.tolist() == [10, 11, 12, 13]
    np.testing.assert_array_equal(matrix, matrix.T)
    assert (np.diag(matrix) == 0).all()
    assert (matrix[0, 2] > matrix[0, 1]) and (matrix[0, 2] > matrix[0, 3])  # opposite is far
    halves = np.where(np.hypot(x, y) < 9, 1, 2) * fibers.mask  # inner and outer rings
    counts, _ = model.geodesic_connectivity(
        np.where(np.abs(y) < 3, halves, 0), kind="count", assignment="touch"
    )
    quarters, _ = model.geodesic_connectivity(
        np.where(sector % 2, 0, labels), kind="count", assignment="touch"
    )
    assert quarters[0, 1] > 5 * counts[0, 1]  # circles join sectors, not rings


def test_parts_that_are_not_connected():
    X = np.broadcast_to([1.0, 0.0], (1, 12, 12, 2)).copy()
    X[0, :, 5:7] = np.nan
    model = InverseTensorMetric().fit(X)
    with pytest.raises(ValueError, match=r"connected parts of the mask.*\[1\]"):
        model.connect([[2, 2], [2, 2]], [[8, 3], [8, 9]])
    labels = np.zeros((12, 12), dtype=int)
    labels[:, :2], labels[:, 10:] = 1, 2
    assert np.isinf(model.geodesic_connectivity(labels)[0][0, 1])


# ------------------------------------------------------------------ bad input


BAD_CALLS = {
    "metric outside": (lambda m: m.metric_at([[15.5, 15.5]]), r"inside the mask: 1 of 1.*15\.5"),
    "symbols outside": (lambda m: m.christoffel_symbols([[-9, 0]]), "inside the mask"),
    "seed outside": (lambda m: m.bundle([[0, 0]]), "seeds must be inside the mask"),
    "start outside": (lambda m: m.shoot([[0, 0]], [[1, 0]], 5), "points must be inside"),
    "end outside": (lambda m: m.connect([[25, 15]], [[0, 0]]), "ends must be inside"),
    "three coordinates": (lambda m: m.metric_at([[25, 15, 3]]), r"shape \(n, 2\)"),
    "NaN": (lambda m: m.metric_at([[np.nan, 1]]), "NaN"),
    "zero direction": (lambda m: m.shoot([[25, 15]], [[0, 0]], 5), "must not be zero"),
    "fewer directions": (lambda m: m.shoot([[25, 15]] * 2, [[0, 1]], 5), "one direction a point"),
    "no length": (lambda m: m.shoot([[25, 15]], [[0, 1]], 0), "must be positive"),
    "no step": (lambda m: m.shoot([[25, 15]], [[0, 1]], 5, step=-1), "must be positive"),
    "within what": (lambda m: m.shoot([[25, 15]], [[0, 1]], 5, within="all"), "'mask' or 'grid'"),
    "fewer ends": (lambda m: m.connect([[25, 15]] * 2, [[25, 16]]), "as many ends"),
    "labels of another grid": (lambda m: m.geodesic_connectivity(np.ones((3, 3), int)), "shape"),
    "labels of fractions": (lambda m: m.geodesic_connectivity(np.full((32, 32), 0.5)), "int"),
    "no labels": (lambda m: m.geodesic_connectivity(np.zeros((32, 32), int)), "no region"),
    "region outside": (
        lambda m: m.geodesic_connectivity(np.eye(32, dtype=int)[::-1] * 0 + _corner()),
        "outside the mask only",
    ),
    "another kind": (
        lambda m: m.geodesic_connectivity(np.where(m.mask_, 1, 0), kind="tracts"),
        "'distance' or 'length' or 'count'",
    ),
}


def _corner():
    labels = np.zeros((32, 32), dtype=int)
    labels[0, 0] = 4
    return labels


@pytest.mark.parametrize("what", BAD_CALLS)
def test_bad_calls_are_a_clear_error(annulus, what):
    call, message = BAD_CALLS[what]
    with pytest.raises(ValueError, match=message):
        call(annulus[1])


BAD_METRICS = {
    "a matrix": (np.eye(2), "must have the shape"),
    "not square": (np.ones((8, 8, 2, 3)), "must have the shape"),
    "not definite": (np.zeros((8, 8, 2, 2)) + np.diag([1, -1]), "positive definite"),
    "not symmetric": (np.zeros((8, 8, 2, 2)) + [[1, 0.5], [0, 1]], "symmetric"),
    "NaN": (np.full((8, 8, 2, 2), np.nan), "finite"),
}


@pytest.mark.parametrize("what", BAD_METRICS)
def test_bad_known_metrics(what):
    metric, message = BAD_METRICS[what]
    with pytest.raises(ValueError, match=message):
        KnownMetric(metric)


def test_nothing_is_answered_before_fit():
    with pytest.raises(NotFittedError):
        ConnectomeMetric().metric_at([[1, 1]])


def test_a_known_metric_has_no_bundles(half_plane):
    with pytest.raises(ValueError, match="fitted to fields"):
        half_plane.bundle([[1.0, 1.0]])


# ------------------------------------------------------------------ parts


def test_a_geodesic_that_runs_away_ends_and_the_others_go_on():
    coef = np.zeros((*lattice_shape((20, 13), 1), 3))
    coef[10:] = np.nan  # stands for a slope beyond all numbers
    field = SplineGeometry(SplineField(coef, (20, 13), 1, (1.0, 1.0)))
    starts = np.array([[5.0, 6], [2, 6]])
    paths = shoot(field, starts, np.eye(2), 4.5, 1.5, lambda x: np.isfinite(x).all(1))
    assert np.isnan(paths[0, -1]).all()
    np.testing.assert_allclose(paths[1], [[2.0, 6 + y] for y in (0, 1.5, 3, 4.5)], atol=1e-9)


def test_spline_operator_its_adjoint_and_the_field_at_points_agree():
    rng = np.random.default_rng(0)
    grid, spacing, scale = (9, 11, 8), 2, np.array([1.0, 2.0, 0.5])
    voxels = np.argwhere(rng.random(grid) < 0.2)
    operator = SplineOperator(voxels, grid, spacing, scale)
    coef = rng.normal(size=(*lattice_shape(grid, spacing), 6))
    outputs = operator(coef[tuple(operator.knots.T)])
    value, slope = SplineField(coef, grid, spacing, scale)(torch_of(voxels * scale))
    np.testing.assert_allclose(outputs[0].T, value, atol=1e-12)
    np.testing.assert_allclose(outputs[1:].transpose(0, 2, 1), slope, atol=1e-12)
    other = rng.normal(size=outputs.shape)
    inner = (coef[tuple(operator.knots.T)] * operator.adjoint(other)).sum()
    np.testing.assert_allclose((outputs * other).sum(), inner)


def torch_of(array):
    import torch

    return torch.as_tensor(array)


def test_lines_of_circles_have_their_curvature():
    fibers = make_fibers("annulus", size=40)
    lines = fit_lines(fibers.X, np.ones(2))
    radius = np.linalg.norm(lines.voxel - 19.5, axis=1)
    np.testing.assert_allclose(np.linalg.norm(lines.acceleration, axis=1), 1 / radius, rtol=0.03)
    outward = (lines.voxel - 19.5) / radius[:, None]
    assert ((lines.acceleration * outward).sum(1) < 0).all()


def test_a_geodesic_that_ends_on_the_curve_has_not_followed_it():
    curve = np.stack([np.arange(11.0), np.zeros(11)], axis=1)
    stopped, failed = curve.copy(), curve.copy()
    stopped[4:] = np.nan
    failed[1:] = np.nan
    found = geodesic_deviation([curve] * 3, [curve, stopped, failed])
    np.testing.assert_allclose(found[0], 0)
    np.testing.assert_allclose(found[1], [0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7])
    np.testing.assert_allclose(found[2], np.arange(11))


def test_geodesics_that_all_end_at_once_have_not_followed_their_curves():
    line = np.column_stack([np.arange(6.0), np.zeros(6)])
    ended = np.full((2, 6, 2), np.nan)
    ended[:, 0] = line[0]
    found = geodesic_deviation([line, line], ended, step=1.0)
    np.testing.assert_allclose(found, np.tile(np.arange(6.0), (2, 1)))
    with pytest.raises(ValueError, match="how long a step is"):
        geodesic_deviation([line, line], ended)


def test_deviation_is_orthogonal_and_ends_with_the_curve():
    curve = np.stack([np.linspace(0, 10, 50), np.zeros(50)], 1)
    path = np.stack([np.arange(0, 13, 1.0), np.full(13, 2.0)], 1)
    found = geodesic_deviation([curve], [path])[0]
    np.testing.assert_allclose(found[:11], 2.0)
    assert np.isnan(found[11:]).all()
    path[4:] = np.nan  # left the grid at 3
    expected = np.hypot(2.0, np.maximum(np.arange(11) - 3, 0))
    np.testing.assert_allclose(geodesic_deviation([curve], [path])[0, :11], expected)
    with pytest.raises(ValueError, match="n = 2"):
        geodesic_deviation([curve, curve], [path])


def test_directions_between_voxels_know_no_sign():
    angle = np.arange(12)[:, None] / 7 * np.ones(8)
    V = np.stack([np.cos(angle), np.sin(angle)], -1) * np.where(np.arange(8) % 2, 1, -1)[:, None]
    V[6:] = np.nan
    places = np.array([[2.5, 3.0], [5.4, 1.5], [7.0, 7.0], [10.0, 7.0]])
    found = PeakField(V[None], np.ones(2)).at(places, np.full((4, 2), 0.5**0.5))
    expected = np.array([np.cos(2.5 / 7), np.sin(2.5 / 7)])
    np.testing.assert_allclose(abs(found[0] @ expected), 1, atol=1e-6)
    # the nearest that is there, a little beyond, too
    np.testing.assert_allclose(np.abs(found[1:3]), np.abs(V[[5, 5], 0]), atol=1e-4)
    assert (found[3] == 0).all()


def test_peaks_are_a_set():
    fibers = make_fibers("arcs", size=12, angle=60, n_curves=5)
    mixed = fibers.X.copy()
    mixed[:, ::2] = mixed[::-1, ::2]
    for params in ({"method": "fibers", "anisotropy": 50.0}, {"method": "spline", "max_iter": 2}):
        one, two = (ConnectomeMetric(**params, window=(2, 1)).fit(X) for X in (fibers.X, mixed))
        paths = [m.shoot(fibers.seeds, fibers.directions, 8.0, within="grid") for m in (one, two)]
        np.testing.assert_array_equal(*paths)


# ------------------------------------------------------------------ masks


def wall(n=40):
    """A plane with a wall one voxel thick, that has a gap at one end."""
    mask = np.ones((n, n), dtype=bool)
    mask[n // 2, : n - 3] = False
    return mask


@pytest.mark.parametrize("method", ["fibers", "spline", "tensor"])
def test_ways_go_around_a_wall_through_its_gap(method):
    mask = wall()
    X = np.where(mask[..., None], [0.0, 1.0], np.nan)[None]
    model = {"tensor": InverseTensorMetric(anisotropy=1.0)}.get(
        method, ConnectomeMetric(method=method, max_iter=2)
    )
    model = model.fit(X)
    starts, ends = np.array([[10.0, 4.0], [14.0, 9.0]]), np.array([[30.0, 4.0], [26.0, 6.0]])
    paths, lengths = model.connect(starts, ends, n_points=400)
    aside = np.stack([paths - [0.1, 0], paths, paths + [0.1, 0]])
    index = np.round(aside).astype(int)
    assert mask[index[..., 0], index[..., 1]].any(0).all()  # a corner is cut by a tenth at most
    assert (np.linalg.norm(np.diff(paths, axis=1), axis=2).sum(1) > 60).all()
    np.testing.assert_allclose(model.distance(starts, ends), lengths)
    if method == "tensor":  # flat: around the end of the wall, there and back
        np.testing.assert_allclose(lengths[0], 2 * np.hypot(9.5, 33), rtol=0.05)
    shot = model.shoot([[10.0, 4.0]], [[1.0, 0.0]], 20.0)[0]
    assert np.nanmax(shot[:, 0]) < 20


def test_single_missing_voxels_do_not_end_a_geodesic_but_walls_do():
    X = np.broadcast_to([1.0, 0.0], (1, 30, 12, 2)).copy()
    X[0, 10, 6] = X[0, 15, 5:7] = np.nan
    model = ConnectomeMetric().fit(X)
    path = model.shoot([[2.0, 6.0]], [[1.0, 0.0]], 25.0)[0]
    np.testing.assert_allclose(path[-1], [27.0, 6.0], atol=1e-6)
    X[0, 20] = np.nan
    path = ConnectomeMetric().fit(X).shoot([[2.0, 6.0]], [[1.0, 0.0]], 25.0)[0]
    assert np.nanmax(path[:, 0]) < 20


def test_following_the_field():
    noisy = make_fibers("annulus", size=40, noise=5, n_curves=20)
    model = ConnectomeMetric(method="fibers").fit(noisy.X)
    found = []
    for follow in (0.0, 1.0):
        paths = model.shoot(noisy.seeds, noisy.directions, 20.0, within="grid", follow=follow)
        found.append(np.nanmean(geodesic_deviation(noisy.curves, paths)))
    assert max(found) < 0.1  # starts as far off the noisy field as it is in doubt are along it
    with pytest.raises(ValueError, match="follow must be between 0 and 1"):
        model.shoot(noisy.seeds, noisy.directions, 5.0, follow=2)


def test_starts_across_fibers_are_warned_of():
    fibers = make_fibers("annulus", size=24, n_curves=1)
    model = ConnectomeMetric().fit(fibers.X)
    with pytest.warns(UserWarning, match="1 of 2 directions are more than 20 degrees off"):
        model.shoot([[18.0, 11.5], [18.0, 11.5]], [[0, 1], [1, 1]], length=3)


def test_ways_across_fibers_are_told_from_those_along_them():
    X = np.zeros((1, 20, 12, 2))
    X[..., 0] = 1.0
    model = ConnectomeMetric(method="fibers", anisotropy=100.0).fit(X)
    along, across = [[1.0, 5.0], [18.0, 5.0]], [[5.0, 1.0], [5.0, 10.0]]
    np.testing.assert_allclose(model.off_fibers([along, across]), [0, 90], atol=1e-3)
    half = np.insert(along, 1, [9.5, 5.0], axis=0)
    half[2] = np.nan  # NaN after the end
    assert model.off_fibers([half])[0] < 1e-3
    with pytest.raises(ValueError, match="shape"):
        model.off_fibers(along)


def test_spread_tells_where_fibers_part():
    x = np.arange(30) - 14.5
    angle = np.deg2rad(50) * np.sign(x) * (np.arange(24) > 10)[:, None]  # one way becomes two
    X = np.stack([np.cos(angle), np.sin(angle)], axis=-1)[None]
    model = ConnectomeMetric(method="fibers").fit(X)
    starts, ahead = [[2.0, 14.4], [14.0, 18.0]], [[1.0, 0.0], [0.64, 0.77]]
    spread = model.spread(starts, ahead, 10.0)
    assert np.nanmax(spread[:, :12]) < 1.1  # before they part, and where there is one way
    assert spread[0, -1] > 1.5 * np.nanmax(spread[1])
    with pytest.raises(ValueError, match="aside must be positive"):
        model.spread(starts, ahead, 10.0, aside=0)
    agreement = model.agreement([starts[0], [2.0, 22.0]], [ahead[0]] * 2, 16.0)
    assert agreement[0] < agreement[1] == 1
    with pytest.raises(ValueError, match="radius must be positive"):
        model.agreement(starts, ahead, 10.0, radius=0)


def test_geodesics_of_fibers_are_those_of_their_christoffel_symbols():
    fibers = make_fibers("annulus", size=40, n_curves=1)
    model = ConnectomeMetric(method="fibers", anisotropy=20).fit(fibers.X)
    path = model.shoot([[30.3, 18.9]], [[0.3, 1.0]], 6.0, step=0.05)[0]
    x, u = path[1:-1], np.gradient(path, axis=0)[1:-1] / 0.05
    bend = (path[2:] - 2 * path[1:-1] + path[:-2]) / 0.05**2
    symbols = model.christoffel_symbols(x, u)
    total = bend + np.einsum("nkij,ni,nj->nk", symbols, u, u)
    total -= u * (total * u).sum(1, keepdims=True) / (u * u).sum(1, keepdims=True)
    assert np.median(np.linalg.norm(total, axis=1)) < 0.02 * np.abs(symbols).max()


def test_the_largest_anisotropy_that_is_not_clearly_worse_is_taken():
    rng = np.random.default_rng(0)
    best = np.abs(rng.normal(size=80))
    lost = best + np.where(np.arange(80) == 7, 9.0, -0.05)  # one geodesic is lost
    worse = best + 0.5
    assert _as_good(np.stack([worse, best, lost])).tolist() == [False, True, True]
    assert _as_good(np.stack([best, worse])).tolist() == [True, False]
    assert _as_good(np.zeros((3, 1))).all()
