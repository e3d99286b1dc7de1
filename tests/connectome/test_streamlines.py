"""Curves out of the package: tractograms, clean bundles, connectivity as people use it."""

import nibabel as nib
import numpy as np
import pytest

from sklearn_meg.connectome import (
    ConnectomeMetric,
    InverseTensorMetric,
    clean_bundle,
    connectivity_table,
    write_streamlines,
)

AFFINE = np.array([[-2.0, 0, 0, 20], [0, 2.0, 0, -5], [0, 0, 3.0, 1], [0, 0, 0, 1]])


@pytest.fixture
def curves():
    rng = np.random.default_rng(0)
    long = rng.normal(size=(7, 3))
    padded = np.full((2, 9, 3), np.nan)
    padded[0, :5], padded[1, :1] = rng.normal(size=(5, 3)), 1.0
    return [long, *padded]


@pytest.mark.parametrize("ending", ["tck", "trk", "trx"])
def test_tractograms_hold_the_curves_in_mm(curves, ending, tmp_path):
    path = tmp_path / f"curves.{ending}"
    if ending == "trx":
        trx = pytest.importorskip("trx.trx_file_memmap", reason="needs trx-python")
    write_streamlines(path, curves, (AFFINE, (10, 11, 12)))
    if ending == "trx":
        file = trx.load(str(path))
        found = [np.array(each) for each in file.streamlines]
        file.close()
    else:
        found = list(nib.streamlines.load(path).streamlines)
    assert [len(each) for each in found] == [7, 5]  # no NaN, no single point
    np.testing.assert_allclose(found[0], curves[0], atol=1e-5)
    np.testing.assert_allclose(found[1], curves[1][:5], atol=1e-5)
    if ending == "trk":
        np.testing.assert_allclose(nib.streamlines.load(path).affine, AFFINE, atol=1e-5)


def test_bad_tractograms(curves, tmp_path):
    with pytest.raises(ValueError, match=r"'.tck', '.trk' or '.trx'"):
        write_streamlines(tmp_path / "a.vtk", curves, (AFFINE, (4, 4, 4)))
    with pytest.raises(ValueError, match="shape"):
        write_streamlines(tmp_path / "a.tck", [np.ones((4, 2))], (AFFINE, (4, 4, 4)))


def test_a_bundle_without_the_curves_that_are_elsewhere():
    line = np.stack([np.arange(20.0), np.zeros(20), np.zeros(20)], axis=1)
    rng = np.random.default_rng(0)
    bundle = [line[:: rng.choice([-1, 1])] + rng.normal(size=3) for _ in range(30)]
    away = line + [0, 0, 1] * np.linspace(0, 25, 20)[:, None]
    keep = clean_bundle([*bundle, away, line[:3]], min_length=5)
    assert not keep[-1] and not keep[-2] and keep[:30].sum() >= 28


# ------------------------------------------------------------------ parcellations


@pytest.fixture(scope="module")
def straight():
    """Straight fibers in the middle of a grid; regions beyond both ends, as gray matter is."""
    X = np.full((1, 24, 8, 2), np.nan)
    X[0, 4:20, 1:7] = [1.0, 0.0]
    labels = np.zeros((24, 8), dtype=int)
    labels[2:4, 1:7], labels[20:22, 1:7], labels[23, 7] = 1, 2, 9
    return ConnectomeMetric(method="fibers").fit(X), labels


def test_regions_of_gray_matter_take_the_nearest_voxels(straight):
    model, labels = straight
    with pytest.warns(UserWarning, match=r"1 of 3 regions are too far.*\[9\]"):
        counts, regions = model.geodesic_connectivity(labels, kind="count")
    assert regions.tolist() == [1, 2, 9]
    assert counts[0, 1] == counts[1, 0] == 16 * 6 and counts[0, 0] == 0
    assert np.isnan(counts[2]).all() and np.isnan(counts[:, 2]).all()
    with pytest.warns(UserWarning, match="too far"):
        lengths, _ = model.geodesic_connectivity(labels, kind="length")
    assert 11 <= lengths[0, 1] <= 16
    table = connectivity_table(counts, regions, {1: "front", 2: "back"})
    assert table["region"].tolist() == ["front", "front", "back"]
    assert table["value"].isna().sum() == 2
    with pytest.raises(ValueError, match="a row and a column"):
        connectivity_table(counts, regions[:2])
    with pytest.raises(ValueError, match="outside the mask only"):
        model.geodesic_connectivity(labels, radius=0.0)


def test_labels_as_an_image_or_as_floats():
    X = np.broadcast_to([1.0, 0.0, 0.0], (1, 8, 4, 4, 3))
    labels = np.zeros((8, 4, 4))
    labels[0], labels[-1] = 1, 2
    model = InverseTensorMetric().fit(X)
    expected, _ = model.geodesic_connectivity(labels)
    found, _ = model.geodesic_connectivity(nib.Nifti1Image(labels, np.eye(4)))
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(expected[0, 1], 7 / np.sqrt(6))


def test_no_way_along_fibers_is_not_no_distance(straight):
    model, _ = straight
    labels = np.zeros((24, 8), dtype=int)
    labels[4:20, 1], labels[4:20, 6] = 1, 2  # beside each other: no fiber joins them
    matrix, _ = model.geodesic_connectivity(labels)
    assert np.isinf(matrix[0, 1])
    assert np.isfinite(model.distance([[8, 1]], [[8, 6]])).all()
