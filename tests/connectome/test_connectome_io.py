"""Directions from tensors, peaks and diffusion volumes."""

import sys

import nibabel as nib
import numpy as np
import pytest

from sklearn_meg.connectome import (
    ConnectomeMetric,
    EuclideanMetric,
    fit_tensor_directions,
    read_directions,
    tensor_directions,
)
from sklearn_meg.connectome.metrics import geodesic_deviation

AFFINE = np.diag([2.0, 2.0, 2.5, 1.0])


def tensors_along(V, ratio=5.0):
    return np.eye(V.shape[-1]) + (ratio - 1) * V[..., :, None] * V[..., None, :]


@pytest.fixture
def directions():
    V = np.random.default_rng(0).normal(size=(5, 6, 4, 3))
    return V / np.linalg.norm(V, axis=-1, keepdims=True)


def same_lines(a, b):
    np.testing.assert_allclose(np.abs((a * b).sum(-1)), 1, atol=1e-6)


def test_principal_directions_of_tensors(directions):
    X, fa = tensor_directions(tensors_along(directions))
    same_lines(X[0], directions)
    expected = 4 / np.sqrt(27)  # of eigenvalues 5, 1, 1: |5 - 1| / sqrt(25 + 1 + 1)
    np.testing.assert_allclose(fa, expected)


def test_isotropic_and_missing_tensors_are_left_out(directions):
    D = tensors_along(directions)
    D[0], D[1], D[2] = np.eye(3), 0, np.nan
    X, fa = tensor_directions(D, min_fa=0.1)
    assert np.isnan(X[0, :3]).all() and np.isfinite(X[0, 3:]).all()
    assert (fa[:3] == 0).all()
    with pytest.raises(ValueError, match="No voxel is left"):
        tensor_directions(D, min_fa=0.99)


def test_tensors_from_a_file(directions, tmp_path):
    D = tensors_along(directions)
    six = np.stack([D[..., i, j] for i, j in ((0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2))], -1)
    nib.save(nib.Nifti1Image(six.astype(np.float32), AFFINE), tmp_path / "tensors.nii.gz")
    X, affine = read_directions(tmp_path / "tensors.nii.gz", "tensors", order="dipy")
    same_lines(X[0], directions)
    np.testing.assert_array_equal(affine, AFFINE)


def test_peaks_from_a_file_with_a_mask(directions, tmp_path):
    peaks = np.concatenate([3 * directions, np.zeros_like(directions)], -1)
    peaks[1, 1, 1, 3:] = [0, 2, 0]
    peaks[0, 0, 0, :3] = np.nan
    mask = np.ones(directions.shape[:3], dtype=np.uint8)
    mask[4] = 0
    for name, data in (("peaks", peaks.astype(np.float32)), ("mask", mask)):
        nib.save(nib.Nifti1Image(data, AFFINE), tmp_path / f"{name}.nii.gz")
    X, _ = read_directions(tmp_path / "peaks.nii.gz", mask=tmp_path / "mask.nii.gz", order="dipy")
    assert len(X) == 2
    there = np.isfinite(X[..., 0])
    assert there[1].sum() == 1 and not there[:, 4].any() and not there[0, 0, 0, 0]
    same_lines(X[0][there[0]], directions[there[0]])
    np.testing.assert_allclose(X[1, 1, 1, 1], [0, 1, 0])


BAD_FILES = {
    "kind": (np.zeros((4, 4, 4, 3)), "odf", "kind must be"),
    "peaks": (np.zeros((4, 4, 4, 4)), "peaks", "three numbers"),
    "no peak": (np.zeros((4, 4, 4, 3)), "peaks", "no peak"),
    "tensors": (np.zeros((4, 4, 4, 3)), "tensors", "six numbers"),
}


@pytest.mark.parametrize("what", BAD_FILES)
def test_bad_images_are_a_clear_error(what):
    data, kind, message = BAD_FILES[what]
    with pytest.raises(ValueError, match=message):
        read_directions(nib.Nifti1Image(data.astype(np.float32), AFFINE), kind, order="dipy")


def signals(directions):
    """A diffusion volume of tensors, without noise."""
    rng = np.random.default_rng(1)
    bvecs = rng.normal(size=(30, 3))
    bvecs /= np.linalg.norm(bvecs, axis=1, keepdims=True)
    bvals = np.full(30, 1000.0)
    bvals[0], bvecs[0] = 0, 0
    D = 0.3e-3 * tensors_along(directions)
    decay = np.einsum("ni,...ij,nj->...n", bvecs, D, bvecs)
    return nib.Nifti1Image(100 * np.exp(-bvals * decay), AFFINE), bvals, bvecs


def test_diffusion_volume(directions):
    pytest.importorskip("dipy", reason="needs dipy: pip install 'sklearn-meg[connectome]'")
    image, bvals, bvecs = signals(directions)
    X, affine, fa = fit_tensor_directions(image, bvals, bvecs)
    same_lines(X[0], directions)
    assert fa.min() > 0.7
    np.testing.assert_array_equal(affine, AFFINE)
    with pytest.raises(ValueError, match="a volume for each of 29"):
        fit_tensor_directions(image, bvals[1:], bvecs[1:])


def test_without_dipy_it_says_what_to_install(directions, monkeypatch):
    monkeypatch.setitem(sys.modules, "dipy.core.gradients", None)
    image, bvals, bvecs = signals(directions)
    with pytest.raises(ImportError, match=r"sklearn-meg\[connectome\]"):
        fit_tensor_directions(image, bvals, bvecs)


@pytest.fixture(scope="module")
def real_metric(real_data):
    """Directions of a real volume, its affine, and the metric."""
    pytest.importorskip("dipy", reason="needs dipy: pip install 'sklearn-meg[connectome]'")
    names = (real_data / "connectome" / f"small_64D.{kind}" for kind in ("nii", "bval", "bvec"))
    X, affine, _ = fit_tensor_directions(*names)
    return X, affine, ConnectomeMetric(affine=affine).fit(X)


def test_from_a_real_volume_to_geodesics(real_metric):
    _, affine, model = real_metric
    voxels = np.argwhere(model.mask_)
    world = voxels @ affine[:3, :3].T + affine[:3, 3]
    paths = model.bundle(world[:20])
    assert len(paths) == 20 and all(np.isfinite(path).all() for path in paths)
    assert all(np.linalg.norm(path - seed, axis=1).min() < 1e-9 for path, seed in zip(paths, world))


def test_in_a_real_volume_geodesics_stay_nearer_to_fibers_than_straight_lines(real_metric):
    X, affine, model = real_metric
    flat = EuclideanMetric(affine=affine).fit(X)
    assert model.score(X) > flat.score(X)
    some = np.argwhere(model.mask_)[::3]
    voxels = some + np.random.default_rng(0).uniform(-0.3, 0.3, 3)
    starts = voxels @ affine[:3, :3].T + affine[:3, 3]
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    shots = {"points": starts, "directions": X[0][tuple(some.T)] @ axes.T, "length": 20.0}
    followed = model.shoot(**shots, follow=1)
    long = np.isfinite(followed[:, 8, 0])
    curves = [curve[np.isfinite(curve[:, 0])] for curve in followed[long]]
    ours, straight = (
        geodesic_deviation(curves, each.shoot(**shots, within="grid")[long])
        for each in (model, flat)
    )
    assert np.nanmean(ours) < 0.5 * np.nanmean(straight)
    assert np.nanmedian(ours) < 0.1 * np.nanmedian(straight)
