"""EFieldSampler: the same numbers as asking the field itself, and a well-behaved transformer."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skops import io

from sklearn_meg.tms.coil import figure8_coil
from sklearn_meg.tms.field import (
    HeterogeneousField,
    SphereField,
    draw_placements,
    grid_points,
    placement_rows,
    to_head,
    to_neuron,
)
from sklearn_meg.tms.sampler import EFieldSampler

POSE = [0.0, 0.0, 0.0925, 0.0, 0.0, -1.0, 0.0]


@pytest.fixture(scope="module")
def coil():
    return figure8_coil().at(POSE[:3], POSE[3:6], POSE[6])


@pytest.fixture(scope="module")
def X():
    return placement_rows(draw_placements(70, 0))


def ask(field, row, size, spacing):
    """The grid of one neuron, from the public functions alone."""
    points = to_head(grid_points(size, spacing), row[:3], row[3:6], row[6])
    E = field(points.reshape(-1, 3)).reshape(points.shape)
    return to_neuron(E, row[3:6], row[6])


def relative_error(grids, expected):
    center = expected.shape[1] // 2
    scale = np.linalg.norm(expected[:, center, center, center], axis=1)
    return (np.abs(grids - expected).max(axis=(1, 2, 3, 4)) / scale).max()


@pytest.mark.parametrize(
    "size, spacing, tolerance", [(9, 1.5e-3, 2e-3), (5, 0.25e-3, 2e-5), (1, 1e-3, 1e-7)]
)
def test_sphere(coil, X, size, spacing, tolerance):
    sphere = SphereField(coil)
    sampler = EFieldSampler(field=sphere, size=size, spacing=spacing, dtype="float64")
    expected = np.stack([ask(sphere, row, size, spacing) for row in X[:, :7]])
    assert relative_error(sampler.fit_transform(X[:, :7]), expected) < tolerance


def test_near_the_coil_every_point_is_asked(coil):
    sphere = SphereField(coil)
    row = np.array([0.0, 0.0, 0.083, 0, 1, 0, 0.3])
    grid = EFieldSampler(field=coil, size=5, spacing=2e-3, dtype="float64").fit_transform([row])
    np.testing.assert_allclose(grid[0], ask(sphere, row, 5, 2e-3), atol=1e-12)


def test_any_field(X):
    def swirl(points):
        return np.cross(points, [1.0, 2.0, 3.0])

    grids = EFieldSampler(field=swirl, size=3, dtype="float64").fit_transform(X[:, :7])
    expected = np.stack([ask(swirl, row, 3, 1.5e-3) for row in X])
    np.testing.assert_allclose(grids, expected, atol=1e-15)


@pytest.mark.parametrize("heterogeneity", [0.7, 3.0])
def test_each_neuron_has_its_own_fold(coil, X, heterogeneity):
    sphere = SphereField(coil)
    sampler = EFieldSampler(
        size=5, spacing=0.5e-3, heterogeneity=heterogeneity, depth=(0.5, 0.7), dtype="float64"
    )
    grids = sampler.fit_transform(X[:66])  # more than one lot of cells
    for i in (0, 1, 64, 65):
        field = HeterogeneousField(
            sphere,
            X[i, :3],
            X[i, 3:6],
            heterogeneity=heterogeneity,
            random_state=int(X[i, 7]),
            depth=(0.5, 0.7),
        )
        expected = ask(field, X[i], 5, 0.5e-3)
        assert relative_error(grids[i : i + 1], expected[None]) < 1e-3
    # a row does not depend on the others
    np.testing.assert_allclose(sampler.transform(X[65:66])[0], grids[65], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("heterogeneity", [0.0, 1.0])
def test_moving_the_coil(X, heterogeneity):
    poses = np.array([POSE, [0.01, 0.005, 0.0925, -0.1, 0.05, -1, 0.6]])
    cell = X[3]
    params = {"size": 5, "spacing": 0.5e-3, "heterogeneity": heterogeneity, "dtype": "float64"}
    grids = EFieldSampler(moves="coil", cell=cell, **params).fit_transform(poses)
    for pose, grid in zip(poses, grids):
        placed = figure8_coil().at(pose[:3], pose[3:6], pose[6])
        expected = EFieldSampler(field=placed, **params).fit_transform(cell[None])
        np.testing.assert_allclose(grid, expected[0], rtol=1e-9, atol=1e-12)
    assert not np.allclose(grids[0], grids[1], rtol=0.05)


def test_turning_neuron_and_coil_together_changes_nothing(coil):
    cell = np.array([0.0, 0.0, 0.07, 0.0, 0.0, 1.0, 0.2])
    sampler = EFieldSampler(moves="coil", cell=cell, size=3, dtype="float64")
    turned = clone(sampler).set_params(cell=cell + [0, 0, 0, 0, 0, 0, 0.5])
    first = sampler.fit_transform([POSE])
    np.testing.assert_allclose(turned.fit_transform([[*POSE[:6], 0.5]]), first, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_inputs_of_any_kind(tmp_path, X, dtype):
    sampler = EFieldSampler(size=3, dtype=dtype).fit(X)
    before = X.copy()
    expected = sampler.transform(X)
    assert expected.dtype == dtype
    mapped = np.lib.format.open_memmap(tmp_path / "X.npy", "w+", np.float64, X.shape)
    mapped[:] = X
    for other in (np.asfortranarray(X), mapped, X.tolist()):
        np.testing.assert_array_equal(sampler.transform(other), expected)
    np.testing.assert_allclose(sampler.transform(X.astype(np.float32)), expected, atol=1e-5)
    np.testing.assert_array_equal(X, before)


def test_clone_pickle_skops_pipeline(X):
    sampler = EFieldSampler(size=3, heterogeneity=1.0, depth=0.5).fit(X)
    expected = sampler.transform(X)
    flat = FunctionTransformer(lambda grids: grids.reshape(len(grids), -1))
    assert make_pipeline(clone(sampler), flat).fit_transform(X).shape == (70, 81)
    again = pickle.loads(pickle.dumps(sampler))
    np.testing.assert_array_equal(again.transform(X), expected)
    saved = io.dumps(sampler)
    (trusted,) = io.get_untrusted_types(data=saved)
    np.testing.assert_array_equal(io.loads(saved, trusted=[trusted]).transform(X), expected)


@pytest.mark.parametrize(
    "params, rows, message",
    [
        ({"size": 8}, None, "size must be an odd number.*Got 8"),
        ({"spacing": -1e-3}, None, "spacing must be in m"),
        ({"spacing": 1.5}, None, "spacing must be in m.*Got 1.5"),
        ({"moves": "head"}, None, "'moves' parameter.*'cell', 'coil'.*'head'"),
        ({"dtype": "int8"}, None, "'dtype' parameter"),
        ({"heterogeneity": -1}, None, "heterogeneity must be"),
        ({"depth": 3}, None, "depth must be"),
        ({"heterogeneity": 1.0}, [[0, 0, 0.07, 0, 0, 1, 0]], "8 columns, the last the seed.*Got 7"),
        ({"heterogeneity": 1.0}, [[0, 0, 0.07, 0, 0, 1, 0, 0.5]], "seeds, must be whole"),
        ({}, [[0, 0, 0.07, 0, 0, 1]], "X must have 7 columns.*Got 6"),
        ({}, [[0, 0, 70, 0, 0, 1, 0]], "must be in m.*70.*mm"),
        ({}, [[0, 0, 0.07, 0, 0, 0, 0]], "axis.*length 0 in row 0"),
        ({}, [[0, 0, 0.07, 0, 0, np.nan, 0]], "NaN"),
        ({"moves": "coil"}, [POSE], '"cell" parameter.*Got None'),
        ({"moves": "coil", "cell": [POSE]}, [POSE], r"cell must have the shape.*\(1, 7\)"),
        ({"moves": "coil", "cell": POSE[:5]}, [POSE], "cell must have 7 columns.*Got 5"),
        ({"moves": "coil", "cell": [0, 0, 70, 0, 0, 1, 0]}, [POSE], "cell.*mm"),
    ],
)
def test_bad_input(X, params, rows, message):
    with pytest.raises(ValueError, match=message):
        EFieldSampler(**params).fit(X if rows is None else rows)


def test_points_inside_the_coil(coil):
    sampler = EFieldSampler(field=coil).fit([[0, 0, 0.07, 0, 0, 1, 0]])
    with pytest.raises(ValueError, match="inside the head"):
        sampler.transform([[0, 0, 0.0915, 0, 0, 1, 0]])


def test_other_width_than_fitted(X):
    with pytest.raises(ValueError, match="7 features"):
        EFieldSampler().fit(X).transform(X[:, :7])


def test_bad_fields(X):
    with pytest.raises(TypeError, match="field must be a Coil, None, or be called"):
        EFieldSampler(field="sphere").fit(X)
    with pytest.raises(TypeError, match="must be a Coil or None when the coil moves"):
        EFieldSampler(field=lambda points: points, moves="coil", cell=POSE).fit([POSE])
    with pytest.raises(ValueError, match="NaN or infinity"):
        EFieldSampler(field=lambda points: points * np.nan).fit_transform(X)
    with pytest.raises(ValueError, match=r"finite E of shape \(n, 3\).*Got \(3,\)"):
        EFieldSampler(field=lambda points: points[0]).fit_transform(X)


def test_a_cell_is_sampled_the_same_whatever_the_others_are(X):
    # Far from the coil a polynomial of degree 3 is enough, near it one of degree 5 is not too much.
    rows = X[np.argsort(np.linalg.norm(X[:, :3], axis=1))][[0, -1]]
    sampler = EFieldSampler(spacing=0.4e-3, dtype="float64").fit(rows)
    alone = np.concatenate([sampler.transform(row[np.newaxis]) for row in rows])
    np.testing.assert_allclose(sampler.transform(rows), alone, rtol=0, atol=1e-13)


def test_no_fold_within_a_fold(coil, X):
    field = HeterogeneousField(SphereField(coil), X[0, :3], X[0, 3:6], random_state=0)
    with pytest.raises(ValueError, match="has one already"):
        EFieldSampler(field=field, heterogeneity=0.8).fit(X)
    assert EFieldSampler(field=field, size=3).fit_transform(X[:1]).shape == (1, 3, 3, 3, 3)
