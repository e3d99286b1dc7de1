"""Coils: the dipoles stand for the winding they were cut from, and move as a rigid body."""

import numpy as np
import pytest

from sklearn_meg.tms.coil import Coil, figure8_coil, read_ccd, round_coil

MU0 = 4e-7 * np.pi


def axial_field(coil, height):
    """B along z on the z axis, from point dipoles, in T for each A."""
    r = np.array([0.0, 0.0, height]) - coil.positions
    distance = np.linalg.norm(r, axis=1)
    along = (coil.moments * r).sum(axis=1)
    parts = 3 * along * r[:, 2] / distance**5 - coil.moments[:, 2] / distance**3
    return MU0 / (4 * np.pi) * parts.sum()


@pytest.mark.parametrize("height", [0.03, 0.06, 0.2])
def test_round_coil_has_the_field_of_its_turns(height):
    coil = round_coil(inner_radius=0.033, outer_radius=0.0615, n_turns=14)
    radii = np.linspace(0.033, 0.0615, 14)
    exact = (MU0 * radii**2 / 2 / (radii**2 + height**2) ** 1.5).sum()
    assert axial_field(coil, height) == pytest.approx(exact, rel=1e-5)


def test_moments_are_area_times_turns():
    coil = figure8_coil(inner_radius=0.026, outer_radius=0.044, n_turns=9)
    area = (np.pi * np.linspace(0.026, 0.044, 9) ** 2).sum()
    left = coil.positions[:, 0] < 0
    np.testing.assert_allclose(coil.moments[left].sum(axis=0), [0, 0, area], rtol=1e-12)
    np.testing.assert_allclose(coil.moments[~left].sum(axis=0), [0, 0, -area], rtol=1e-12)
    np.testing.assert_allclose(coil.positions[left].mean(axis=0), [-0.045, 0, 0], atol=1e-12)


def test_placement_is_rigid_and_looks_where_told():
    coil = figure8_coil()
    direction = np.array([0.3, -0.5, -0.8])
    moved = coil.at([0.02, 0.03, 0.08], direction, 0.7)
    spread = np.linalg.norm(coil.positions[:50, None] - coil.positions[None, -50:], axis=2)
    again = np.linalg.norm(moved.positions[:50, None] - moved.positions[None, -50:], axis=2)
    np.testing.assert_allclose(again, spread, rtol=1e-12)
    # moments stay along the normal, z of the left wing away from the head
    normal = -direction / np.linalg.norm(direction)
    np.testing.assert_allclose(moved.moments[0] / coil.moments[0, 2], normal, atol=1e-12)
    np.testing.assert_allclose(moved.positions.mean(axis=0), [0.02, 0.03, 0.08], atol=1e-12)


def test_azimuth_turns_counterclockwise_from_outside():
    coil = Coil([[0.01, 0, 0]], [[0, 0, 1e-3]])
    moved = coil.at([0, 0, 0.09], [0, 0, -1], np.pi / 2)
    np.testing.assert_allclose(moved.positions, [[0, 0.01, 0.09]], atol=1e-15)


def test_at_rest_it_stays_where_it_was():
    coil = round_coil()
    np.testing.assert_allclose(coil.at([0, 0, 0], [0, 0, -1]).positions, coil.positions, atol=0)


def test_arrays_are_copied():
    positions = np.array([[0.0, 0.0, 0.1]])
    coil = Coil(positions, positions)
    positions[:] = 0.5
    assert coil.positions[0, 2] == coil.moments[0, 2] == 0.1


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Coil([[0, 0, 90]], [[0, 0, 1]]), "positions must be in m.*90.*mm"),
        (lambda: Coil([[0, 0, 0.1]], [[0, 0, np.nan]]), "moments must be finite"),
        (lambda: Coil([[0, 0, 0.1]], [[0, 0, 1], [0, 0, 1]]), "same shape"),
        (lambda: Coil(np.empty((0, 3)), np.empty((0, 3))), "at least one dipole"),
        (lambda: Coil([0, 0, 0.1], [0, 0, 1]), r"shape \(n, 3\). Got \(3,\)"),
        (lambda: Coil([["a", "b", "c"]], [[0, 0, 1]]), "real numbers"),
        (lambda: figure8_coil(separation=0.05), "wings overlap. Got 0.05"),
        (lambda: figure8_coil(inner_radius=26, outer_radius=44), "in m.*26 and 44"),
        (lambda: figure8_coil(inner_radius=0.05, outer_radius=0.04), "0 < inner_radius"),
        (lambda: round_coil(n_turns=0), "n_turns must be.*Got 0"),
        (lambda: round_coil(n_sectors=2.5), "n_sectors must be.*Got 2.5"),
        (lambda: round_coil().at([0, 0, 90], [0, 0, -1]), "position must be in m"),
        (lambda: round_coil().at([0, 0, 0.09], [0, 0, 0]), "length 0"),
        (lambda: round_coil().at([0, 0], [0, 0, 1]), r"position must have the shape \(3,\)"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_pose_of_simnibs_places_the_coil_as_direction_does():
    coil = figure8_coil()
    pose = np.eye(4)
    pose[:3, :3] = np.diag([1.0, -1.0, -1.0])  # z into the head, below the vertex
    pose[:3, 3] = [0.0, 0.0, 92.5]  # mm
    placed, expected = coil.at(pose), coil.at([0, 0, 0.0925], [0, 0, -1])
    np.testing.assert_allclose(placed.positions, expected.positions, atol=1e-12)
    np.testing.assert_allclose(placed.moments, expected.moments, atol=1e-12)
    for bad in (np.zeros((4, 4)), np.diag([1, 1, -1.0, 1])):
        with pytest.raises(ValueError, match="pose"):
            coil.at(bad)
    with pytest.raises(ValueError, match="direction"):
        coil.at([0, 0, 0.09])


def test_a_ccd_file_is_read_back(tmp_path):
    coil, file = figure8_coil(), tmp_path / "coil.ccd"
    flip = [1, -1, -1]
    rows = np.hstack([coil.positions * flip, coil.moments * flip])
    text = "\n".join(" ".join(f"{v:.9e}" for v in row) for row in rows)
    file.write_text(f"# number of elements\n{len(rows)}\n# x y z mx my mz\n{text}\n")
    np.testing.assert_allclose(read_ccd(file).moments, coil.moments, rtol=1e-6)
    file.write_text("2\n0 0 0 0 0 1\n")
    with pytest.raises(ValueError, match="2.0 dipoles. Got 1"):
        read_ccd(file)
