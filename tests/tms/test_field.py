"""Fields: physics against mne and Maxwell, layered bodies against closed forms, frames."""

import mne
import numpy as np
import pytest
from mne._fiff.constants import FIFF

from sklearn_meg.tms import _conduction
from sklearn_meg.tms._frames import frames
from sklearn_meg.tms.coil import Coil, figure8_coil, round_coil
from sklearn_meg.tms.field import (
    HeterogeneousField,
    SampledField,
    SphereField,
    draw_placements,
    grid_points,
    placement_rows,
    read_field,
    to_head,
    to_neuron,
)

STENCIL = np.array([-1, 9, -45, 45, -9, 1]) / 60  # sixth order, at -3 ... 3 without 0
STEPS = np.array([-3, -2, -1, 1, 2, 3])


@pytest.fixture(scope="module")
def coil():
    return figure8_coil().at([0.01, -0.02, 0.09], [-0.1, 0.2, -1], 0.4)


@pytest.fixture(scope="module")
def sphere(coil):
    return SphereField(coil)


def points_in_head(n, seed=0, radius=0.075):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(n, 3))
    points *= (
        radius * rng.uniform(size=(n, 1)) ** (1 / 3) / np.linalg.norm(points, axis=1, keepdims=True)
    )
    return points


def curl(field, points, step):
    jacobian = np.empty((len(points), 3, 3))
    for j, e in enumerate(np.eye(3)):
        shifted = [w * field(points + k * step * e) for w, k in zip(STENCIL, STEPS)]
        jacobian[:, :, j] = np.sum(shifted, axis=0) / step
    return np.stack([jacobian[:, k, j] - jacobian[:, j, k] for j, k in ((1, 2), (2, 0), (0, 1))], 1)


def magnetic_field(coil, points):
    """B of the dipoles for each A, T."""
    r = points[:, None] - coil.positions
    distance = np.linalg.norm(r, axis=2, keepdims=True)
    along = (coil.moments * r).sum(axis=2, keepdims=True)
    return 1e-7 * (3 * along * r / distance**5 - coil.moments / distance**3).sum(axis=1)


def test_sphere_agrees_with_mne_by_reciprocity(coil, sphere):
    # What a current dipole at p does to a point magnetometer at a coil dipole is what a changing
    # current in the coil dipole does to the field at p.
    picks = np.arange(0, 384, 12)
    few = Coil(coil.positions[picks], coil.moments[picks])
    points = points_in_head(40)
    E = SphereField(few)(points)
    lead = magnetometers(few, points)  # (n_dipoles, n_points, 3), T for each A m
    strength = np.linalg.norm(few.moments, axis=1)
    expected = -1e6 * np.einsum("dpi,d->pi", lead, strength)
    assert np.abs(E - expected).max() < 1e-10 * np.abs(expected).max()


def magnetometers(coil, points):
    info = mne.create_info([f"M{i:03}" for i in range(len(coil.positions))], 1000.0, "mag")
    normals = coil.moments / np.linalg.norm(coil.moments, axis=1, keepdims=True)
    rotations = frames(normals, np.zeros(len(normals)))
    for channel, position, rotation in zip(info["chs"], coil.positions, rotations):
        channel["coil_type"] = FIFF.FIFFV_COIL_POINT_MAGNETOMETER
        channel["coord_frame"] = FIFF.FIFFV_COORD_HEAD
        channel["loc"] = np.concatenate([position, rotation.T.ravel()])
    with info._unlock():
        info["dev_head_t"] = mne.Transform("meg", "head")
    model = mne.make_sphere_model((0.0, 0.0, 0.0), None, verbose="error")
    every = {"rr": points, "nn": np.tile([0.0, 0.0, 1.0], (len(points), 1))}
    sources = mne.setup_volume_source_space(pos=every, verbose="error")
    forward = mne.make_forward_solution(
        info, None, sources, model, eeg=False, mindist=0.0, verbose="error"
    )
    return forward["sol"]["data"].reshape(len(coil.positions), len(points), 3)


def test_sphere_field_is_tangential(sphere):
    points = points_in_head(500)
    E = sphere(points)
    radial = (E * points).sum(axis=1) / np.linalg.norm(points, axis=1)
    assert np.abs(radial).max() < 1e-12 * np.abs(E).max()


@pytest.mark.parametrize("make", [figure8_coil, round_coil])
def test_sphere_field_obeys_faraday(make):
    coil = make().at([0.01, -0.02, 0.09], [-0.1, 0.2, -1], 0.4)
    points = points_in_head(60, radius=0.06)
    expected = -1e6 * magnetic_field(coil, points)
    error = curl(SphereField(coil), points, 3e-4) - expected
    assert np.abs(error).max() < 1e-6 * np.abs(expected).max()


def test_center_of_the_sphere_can_be_elsewhere(coil, sphere):
    shift = np.array([0.01, 0.02, -0.03])
    moved = SphereField(Coil(coil.positions + shift, coil.moments), center=shift)
    points = points_in_head(20)
    np.testing.assert_allclose(moved(points + shift), sphere(points), rtol=1e-9, atol=1e-12)


def test_field_under_the_coil():
    # The direction that the docstring of figure8_coil promises, and a usual magnitude.
    E = SphereField(figure8_coil().at([0, 0, 0.09], [0, 0, -1]))([[0, 0, 0.065]])[0]
    np.testing.assert_allclose(E[[0, 2]], 0, atol=1e-12)
    assert -3 < E[1] < -0.5


def test_far_more_points_than_fit_at_once(sphere):
    points = points_in_head(300)
    alone = np.concatenate([sphere(point[None]) for point in points])
    np.testing.assert_allclose(sphere(points), alone, rtol=1e-10, atol=1e-13)
    assert sphere(points[:0]).shape == (0, 3)


def test_local_polynomial_is_close(sphere):
    center = np.array([0.005, 0.01, 0.065])
    points = center + points_in_head(500, radius=0.010)
    error = np.abs(sphere.local(center)(points) - sphere(points)).max()
    assert 0 < error < 2e-3 * np.linalg.norm(sphere(center[None]))
    far = center + [[0.0, -0.06, 0.0]]
    np.testing.assert_array_equal(sphere.local(center)(far), sphere(far))


# ----------------------------------------------------------------------------- layered bodies


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("ratio", [0.3, 6.0])
def test_sharp_body_in_a_uniform_field(dim, ratio):
    # Inside dim / (dim - 1 + ratio) of the applied field; outside a dipole.
    errors = []
    for blur in (1e-4, 5e-5):
        axis = np.array([[0.0, 0.0, 1.0]]) * (dim == 2)
        radii, jumps = np.array([[4e-3]]), np.array([[np.log(ratio)]])
        bodies = _conduction.make_bodies(np.zeros((1, 3)), axis, radii, jumps, blur)
        inside = bodies.secondary(np.array([[1e-3, 1e-4, 2e-3 * (dim == 2)]]), np.eye(3)[0])[0, 0]
        errors.append(inside + 1 - dim / (dim - 1 + ratio))
        far = bodies.secondary(np.array([[0.0, 0.02, 0.0]]), np.eye(3)[0])[0, 0]
        dipole = (1 - ratio) / (dim - 1 + ratio) * (4e-3 / 0.02) ** dim
        assert far == pytest.approx(dipole, rel=0.1)
    assert abs(errors[1]) < 0.6 * abs(errors[0]) < 0.03


@pytest.mark.parametrize("dim", [2, 3])
def test_layered_body_conserves_current(dim):
    # div(sigma E) = 0 through blurred layers, against the size of its parts.
    axis = np.array([[0.0, 0.6, 0.8]]) * (dim == 2)
    radii, jumps = np.array([[2e-3, 4e-3, 5e-3]]), np.log([[0.5, 0.17, 6.0]])
    bodies = _conduction.make_bodies(np.zeros((1, 3)), axis, radii, jumps, 3e-4)
    applied = np.array([1.0, 0.3, -0.2])

    def current(points):
        across = points - (points @ axis[0])[:, None] * axis[0]
        rho = np.linalg.norm(across, axis=1)[None]
        sigma = _conduction.conductivity(rho, radii, jumps, 3e-4)[0]
        return sigma[:, None] * (bodies.secondary(points, applied) + applied)

    points = points_in_head(200, radius=6e-3)
    step = 4e-5
    slopes = np.stack(
        [
            np.sum([w * current(points + k * step * e)[:, j] for w, k in zip(STENCIL, STEPS)], 0)
            for j, e in enumerate(np.eye(3))
        ]
    )
    assert np.abs(slopes.sum(axis=0)).max() < 0.02 * np.abs(slopes).max()


# ------------------------------------------------------------------------ heterogeneous field


def make_heterogeneous(sphere, seed, **params):
    placement = draw_placements(1, seed, first_geometry=seed)
    position, axis = placement["position"][0], placement["axis"][0]
    field = HeterogeneousField(sphere, position, axis, random_state=seed, **params)
    return field, position + grid_points(5, 1e-3).reshape(-1, 3)


@pytest.mark.parametrize("seed", range(4))
def test_interfaces_add_the_gradient_of_a_potential(sphere, seed):
    field, points = make_heterogeneous(sphere, seed)
    step = 2e-6
    gradient = [
        (
            field.secondary_potential(points + step * e)
            - field.secondary_potential(points - step * e)
        )
        / (2 * step)
        for e in np.eye(3)
    ]
    secondary = field.bodies.secondary(points, field.applied)
    scale = np.abs(secondary).max()
    assert np.abs(secondary + np.transpose(gradient)).max() < 2e-5 * scale
    assert scale > 0.05 * np.linalg.norm(field.applied)
    total = sphere.local(field.position)(points) + secondary
    np.testing.assert_allclose(field(points), total, rtol=1e-12, atol=1e-14)


def test_without_heterogeneity_it_is_the_sphere(sphere):
    field, points = make_heterogeneous(sphere, 3, heterogeneity=0)
    scale = np.linalg.norm(field.applied)
    np.testing.assert_allclose(field(points), sphere(points), atol=1e-4 * scale)


def variation(sphere, heterogeneity):
    """Median over geometries of how much E changes within 1 mm, relative to the center."""
    changes = []
    for seed in range(40):
        field, points = make_heterogeneous(sphere, seed, heterogeneity=heterogeneity)
        E = field(points).reshape(5, 5, 5, 3)[1:4, 1:4, 1:4].reshape(-1, 3)
        change = np.linalg.norm(E - E[13], axis=1).mean()
        changes.append(change / np.linalg.norm(E[13]))
    return np.median(changes)


def test_heterogeneity_grows(sphere):
    none, usual, far_more = (variation(sphere, h) for h in (0, 1, 3))
    assert 3 * none < usual
    assert 1.3 * usual < far_more


def test_geometry_is_the_seeds(sphere):
    place = [0.0, 0.01, 0.065], [0.0, 1.0, 0.3]
    points = place[0] + grid_points(3, 1e-3).reshape(-1, 3)
    first, same, other = (
        HeterogeneousField(sphere, *place, random_state=seed)(points) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, same)
    assert np.abs(first - other).max() > 0.05 * np.abs(first).max()
    state = np.random.mtrand._rand.get_state()[1].copy()
    HeterogeneousField(sphere, *place)
    np.testing.assert_array_equal(np.random.mtrand._rand.get_state()[1], state)


def test_heterogeneity_does_not_change_shapes(sphere):
    place = [0.0, 0.01, 0.065], [0.0, 1.0, 0.3]
    usual, more = (
        HeterogeneousField(sphere, *place, heterogeneity=h, random_state=5).bodies for h in (1, 3)
    )
    n = len(usual.centers)
    assert len(more.centers) == 1 + 3 * (n - 1)
    np.testing.assert_array_equal(more.centers[:n], usual.centers)
    np.testing.assert_array_equal(more.axes[:n], usual.axes)


def test_field_is_linear_in_the_coil(sphere, coil):
    double = SphereField(Coil(coil.positions, 2 * coil.moments))
    field, points = make_heterogeneous(sphere, 0)
    again, _ = make_heterogeneous(double, 0)
    np.testing.assert_allclose(again(points), 2 * field(points), rtol=1e-10)


def test_depth_decides_where_the_soma_is(sphere):
    # The fluid is on the side of the axis: near it, the field across the cortex drops steeply.
    for seed in range(5):
        pial, white = (
            HeterogeneousField(
                sphere, [0, 0, 0.065], [0, 1, 0], random_state=seed, depth=depth
            ).bodies.centers[0]
            for depth in (0.0, 1.0)
        )
        thickness = np.linalg.norm(pial - white)
        assert 1.8e-3 <= thickness <= 3.0e-3
        assert (white - pial)[1] > 0.8 * thickness  # the deeper soma has the fold farther up


# ------------------------------------------------------------------------------ sampled field


def scattered(n=4000, seed=0):
    return np.random.default_rng(seed).uniform(-0.012, 0.012, size=(n, 3)) + [0, 0, 0.065]


def test_sampled_field_interpolates(sphere):
    points = scattered()
    field = SampledField(points, 100 * sphere(points), didt=100)
    inside = scattered(200, seed=1) * [0.8, 0.8, 1]
    expected = sphere(inside)
    assert np.abs(field(inside) - expected).max() < 5e-3 * np.abs(expected).max()


def test_sampled_field_is_exact_for_linear_fields_and_flat_sheets():
    matrix = np.array([[3.0, 20, 0], [-4, 5, 6], [0, 0, 9]])
    points = scattered(500)
    field = SampledField(points, points @ matrix + 1)
    inside = scattered(50, seed=1)
    np.testing.assert_allclose(field(inside), inside @ matrix + 1, rtol=1e-6)
    flat = points * [1, 1, 0]
    sheet = SampledField(flat, flat @ matrix + 1)
    np.testing.assert_allclose(
        sheet(inside * [1, 1, 0]), (inside * [1, 1, 0]) @ matrix + 1, rtol=1e-6
    )


def test_sampled_field_names_how_far():
    points = scattered()
    field = SampledField(points, np.ones_like(points))
    with pytest.raises(ValueError, match=r"Got 1 of 2 farther, up to 0\.03"):
        field([[0, 0, 0.065], [0, 0.05, 0.065]])


@pytest.mark.parametrize(
    "change, message",
    [
        ({"E": np.ones((10, 3))}, r"same shape.*\(4000, 3\) and \(10, 3\)"),
        ({"points": 1000 * scattered()}, "must be in m.*mm"),
        ({"E": np.full((4000, 3), np.nan)}, "E must be finite"),
        ({"E": np.zeros((4000, 3))}, "largest.*Got 0"),
        ({"E": np.full((4000, 3), 1e-6)}, "is E in V/m"),
        ({"E": np.full((4000, 3), 100.0)}, "didt in A/µs"),
        ({"didt": 0}, "didt must be"),
        ({"n_neighbors": 3}, "n_neighbors must be at least 4.*Got 3"),
        ({"max_distance": -1}, "max_distance must be"),
        ({"points": np.zeros((4000, 3))}, "points must differ"),
    ],
)
def test_bad_samples(change, message):
    params = {"points": scattered(), "E": np.ones((4000, 3))} | change
    with pytest.raises(ValueError, match=message):
        SampledField(**params)


# ------------------------------------------------------------------------- frames, placements


def test_frames_go_there_and_back():
    rng = np.random.default_rng(0)
    for axis in [*rng.normal(size=(5, 3)), [0, 0, 1], [0, 0, -1], [1e-9, 0, -1]]:
        azimuth, position = rng.uniform(0, 7), rng.uniform(-0.05, 0.05, size=3)
        points = rng.uniform(-0.01, 0.01, size=(4, 5, 3))
        head = to_head(points, position, axis, azimuth)
        assert head.shape == points.shape
        back = to_neuron(head - position, axis, azimuth)
        np.testing.assert_allclose(back, points, atol=1e-15)
        unit = np.asarray(axis) / np.linalg.norm(axis)
        tip = to_head([[0, 0, 0.1]], [0, 0, 0], axis, azimuth)[0]
        np.testing.assert_allclose(tip, 0.1 * unit, atol=1e-15)
        assert np.linalg.det(frames([axis], [azimuth])[0]) == pytest.approx(1)


def test_azimuth_turns_about_the_axis():
    point = to_head([[0.01, 0, 0]], [0, 0, 0], [0, 0, 1], np.pi / 2)
    np.testing.assert_allclose(point, [[0, 0.01, 0]], atol=1e-17)


def test_placements_are_where_they_should_be():
    placements = draw_placements(2000, 0, depth=(0.01, 0.02), max_offset=0.02, first_geometry=50)
    radius = np.linalg.norm(placements["position"], axis=1)
    assert 0.0675 <= radius.min() and radius.max() <= 0.0775
    radial = placements["position"] / radius[:, None]
    assert np.arccos(radial[:, 2].min()) <= 0.02 / 0.0875
    np.testing.assert_allclose(np.linalg.norm(placements["axis"], axis=1), 1)
    tilt = (placements["axis"] * radial).sum(axis=1)
    assert tilt.min() > -1e-9 and tilt.mean() == pytest.approx(0.5, abs=0.03)
    np.testing.assert_array_equal(placements["geometry"], np.arange(50, 2050))
    again = draw_placements(2000, 0, depth=(0.01, 0.02), max_offset=0.02)
    np.testing.assert_array_equal(again["axis"], placements["axis"])
    rows = placement_rows(placements)
    assert rows.shape == (2000, 8)
    np.testing.assert_array_equal(rows[:, 6], placements["azimuth"])


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: grid_points(8), "size must be an odd number.*Got 8"),
        (lambda: grid_points(9.0), "size must be an odd number"),
        (lambda: grid_points(9, 0), "spacing must be in m.*Got 0"),
        (lambda: grid_points(9, 1.5), "spacing must be in m.*Got 1.5"),
        (lambda: to_head([[0, 0, 1.5]], [0, 0, 0], [0, 0, 1], 0), "points must be in m"),
        (lambda: to_head([[0, 0, 0]], [0, 0, 70], [0, 0, 1], 0), "position must be in m"),
        (lambda: to_head([[0, 0, 0]], [0, 0, 0], [0, 0, 0], 0), "length 0 in row 0"),
        (lambda: draw_placements(0), "n must be.*Got 0"),
        (lambda: draw_placements(5, depth=(15, 30)), "depth must be a range in m"),
        (lambda: draw_placements(5, scalp_radius=90), "scalp_radius must be in m"),
        (lambda: draw_placements(5, max_tilt=90), "max_tilt must be in radians"),
        (lambda: draw_placements(5, first_geometry=-1), "first_geometry"),
        (lambda: draw_placements(5, max_offset=30), "max_offset must be in m"),
    ],
)
def test_bad_frames(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda f: f([[0, 0, 70]]), "points must be in m.*70.*mm"),
        (lambda f: f([[0, 0, 0.2]]), "inside the head.*0.2 m"),
        (lambda f: f([0, 0, 0.05]), r"shape \(n, 3\). Got \(3,\)"),
        (lambda f: f([[0, np.inf, 0.05]]), "finite"),
        (lambda f: HeterogeneousField(f, [0, 0, 65], [0, 0, 1]), "position must be in m"),
        (lambda f: HeterogeneousField(f, [0, 0, 0.065], [0, 0, 0]), "axis must be a direction"),
        (lambda f: HeterogeneousField(f, [0, 0, 0.065], [0, 0, 1], -1), "heterogeneity.*-1"),
        (lambda f: HeterogeneousField(f, [0, 0, 0.065], [0, 0, 1], depth=2), "depth.*Got 2"),
        (lambda f: HeterogeneousField(f, [0, 0, 0.065], [0, 0, 1], depth=(0.6, 0.4)), "depth"),
        (lambda f: HeterogeneousField(f, [0, 0, 0.065], [0, 0, 1], blur=0.2), "blur.*Got 0.2"),
    ],
)
def test_bad_points(sphere, call, message):
    with pytest.raises(ValueError, match=message):
        call(sphere)


def test_not_a_field():
    with pytest.raises(TypeError, match="coil must be a Coil. Got str"):
        SphereField("figure-8")
    with pytest.raises(TypeError, match="primary must be a field"):
        HeterogeneousField(None, [0, 0, 0.065], [0, 0, 1])


def test_outside_of_samples_nothing_is_extrapolated():
    rng = np.random.default_rng(0)
    points = rng.uniform(-0.01, 0.01, size=(3000, 3))
    E = 1 + 80 * points  # a steep field
    field = SampledField(points, E, max_distance=0.02)
    far = np.array([[0.018, 0, 0], [0, -0.015, 0.015]])
    assert np.abs(field(far)).max() <= np.abs(E).max()
    assert not field.inside(far).any() and field.inside([[0.0, 0.002, 0.001]]).all()
    with pytest.raises(ValueError, match="among the samples"):
        SampledField(points, E)(far)
    filled = SampledField(points, E, outside="nearest")
    assert np.abs(filled(far * 3)).max() <= np.abs(E).max()
    with pytest.raises(ValueError, match="outside"):
        SampledField(points, E, outside="extrapolate")


@pytest.mark.parametrize("kind", ["npz", "h5", "msh"])
def test_fields_of_other_programs_are_read(kind, tmp_path):
    rng = np.random.default_rng(0)
    nodes = rng.uniform(-12, 12, size=(400, 3))  # mm
    cells = np.array([rng.permutation(400)[:4] for _ in range(600)])
    file = tmp_path / f"field.{kind}"
    E = np.tile([0.5, 0.0, -0.2], (600, 1))
    centers = nodes[cells].mean(axis=1)
    if kind == "npz":
        np.savez(file, points=centers, E=E)
    elif kind == "h5":
        h5py = pytest.importorskip("h5py")
        with h5py.File(file, "w") as out:
            out["points"], out["E"] = centers, E
    else:
        meshio = pytest.importorskip("meshio")
        mesh = meshio.Mesh(nodes, [("tetra", cells)], cell_data={"E": [E]})
        mesh.write(file, file_format="gmsh22")
    field = read_field(file, n_neighbors=20)
    np.testing.assert_allclose(field([[0.0, 0.0, 0.0]]), [[0.5, 0.0, -0.2]], atol=1e-9)
    with pytest.raises(ValueError, match="no data"):
        read_field(file, name="B")
