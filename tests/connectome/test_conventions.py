"""Files of other software: read right, or a clear error. Round trips with dipy."""

import warnings

import nibabel as nib
import numpy as np
import pytest

from benchmarks.connectome.fields import make_brain_like
from sklearn_meg.connectome import (
    ConnectomeMetric,
    FiberDistributionMetric,
    InverseTensorMetric,
    fit_tensor_directions,
    read_directions,
    read_distributions,
)
from sklearn_meg.connectome._turned import warn_if_turned
from sklearn_meg.datasets import make_fibers, make_phantom

pytest.importorskip("dipy", reason="needs dipy: pip install 'sklearn-meg[connectome]'")

TURN = np.array([[0, -2.0, 0], [-1.94, 0, -0.487], [-0.487, 0, 1.94]])  # of a real scan, det > 0
AFFINES = {
    "det > 0": np.diag([2.0, 2.0, 2.5, 1.0]),
    "det < 0": np.diag([-2.0, 2.0, 2.5, 1.0]),
    "turned": np.block([[TURN, np.ones((3, 1))], [np.zeros((1, 3)), np.ones((1, 1))]]),
}


@pytest.fixture(scope="module")
def arcs():
    """One bundle in the grid: directions along its axes."""
    return make_fibers("arcs", size=12, angle=40, n_curves=2).X[1:]


@pytest.fixture(params=AFFINES)
def affine(request):
    return AFFINES[request.param]


def rotation(affine):
    u, _, v = np.linalg.svd(affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0))
    return u @ v


def written(V, order, affine):
    """Vectors along the grid as a software has them."""
    if order == "mrtrix":
        return V @ rotation(affine).T
    flip = order == "fsl" and np.linalg.det(affine[:3, :3]) > 0
    return V * [-1, 1, 1] if flip else V


def angle(a, b):
    """Largest angle between lines, in degrees, where both are."""
    there = np.isfinite(a[..., 0]) & np.isfinite(b[..., 0])
    assert there.any()
    sine = np.linalg.norm(np.cross(a[there], b[there]), axis=-1)
    return np.rad2deg(np.arcsin(np.minimum(sine, 1))).max()


@pytest.mark.parametrize("order", ["dipy", "fsl", "mrtrix"])
def test_peaks_of_every_software(arcs, affine, order):
    peaks = np.nan_to_num(written(arcs[0], order, affine)).astype(np.float32)
    X, _ = read_directions(nib.Nifti1Image(peaks, affine), order=order)
    assert angle(X, arcs) < 1e-3


@pytest.mark.parametrize("order", ["dipy", "fsl", "mrtrix"])
def test_tensors_of_every_software(arcs, affine, order):
    V = written(arcs[0], order, affine)
    D = np.nan_to_num(0.2 * np.eye(3) + 1.5 * V[..., :, None] * V[..., None, :])
    places = {
        "dipy": [(0, 0), (0, 1), (1, 1), (0, 2), (1, 2), (2, 2)],
        "fsl": [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)],
        "mrtrix": [(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)],
    }[order]
    six = np.stack([D[..., i, j] for i, j in places], -1)
    image = nib.Nifti1Image(six, affine)
    X, _ = read_directions(image, "tensors", order=order)
    assert angle(X, arcs) < 1e-3
    with pytest.raises(ValueError, match="which software"):
        read_directions(image, "tensors")
    for other in {"dipy", "fsl", "mrtrix"} - {order}:
        with pytest.raises(ValueError, match="not positive definite"):
            read_directions(image, "tensors", order=other)


def test_an_image_whose_axes_are_not_the_world_needs_an_order(arcs):
    image = nib.Nifti1Image(np.nan_to_num(arcs[0]), AFFINES["turned"])
    with pytest.raises(ValueError, match="which software wrote these peaks"):
        read_directions(image)
    with pytest.raises(ValueError, match="order must be one of"):
        read_directions(image, order="spm")


def test_a_wrong_order_is_seen():
    phantom = make_phantom(size=24, n_bundles=6, random_state=0)
    first = np.zeros((*phantom.mask.shape, 3))
    for V in phantom.directions:
        first = np.where(np.isfinite(V), V, first)
    image = nib.Nifti1Image(first, AFFINES["det > 0"])
    read_directions(image, order="dipy")
    with pytest.warns(UserWarning, match="x reversed"):
        read_directions(image, order="fsl")


def test_axes_that_are_right_raise_no_alarm_where_few_bundles_decide():
    for seed in (2, 4, 7):  # axes in another order fit better by .04 to .06, by chance
        X = make_brain_like(seed, (26, 30, 22), n_bundles=12)
        warn_if_turned(X, np.ones(3))


@pytest.mark.parametrize("order", ["dipy", "fsl", "mrtrix"])
def test_gradients_of_every_software(arcs, affine, order, tmp_path):
    rng = np.random.default_rng(0)
    bvecs = rng.normal(size=(20, 3))
    bvecs /= np.linalg.norm(bvecs, axis=1, keepdims=True)
    bvals = np.full(20, 1000.0)
    bvals[0], bvecs[0] = 0, 0
    V = np.nan_to_num(arcs[0])
    decay = 0.2e-3 + 1.5e-3 * (V @ bvecs.T) ** 2
    data = np.where(np.isfinite(arcs[0, ..., :1]), 100 * np.exp(-bvals * decay), 0)
    image = nib.Nifti1Image(data, affine)
    stored = written(bvecs, order, affine)
    X, _, _ = fit_tensor_directions(image, bvals, stored, order=order)
    assert angle(X, arcs) < 1e-3
    if order == "fsl":  # what FSL stores is read from its files without a word
        np.savetxt(tmp_path / "bvec", stored.T)
        np.savetxt(tmp_path / "bval", bvals[None])
        X, _, _ = fit_tensor_directions(image, tmp_path / "bval", tmp_path / "bvec")
        assert angle(X, arcs) < 1e-3


def test_angles(arcs):
    V = np.nan_to_num(arcs[0])
    polar, azimuth = np.arccos(np.clip(V[..., 2], -1, 1)), np.arctan2(V[..., 1], V[..., 0])
    data = np.where(np.isfinite(arcs[0, ..., :1]), np.stack([polar, azimuth], -1), 0)
    X, _ = read_directions(nib.Nifti1Image(data, np.eye(4)), "angles", order="dipy")
    assert angle(X, arcs) < 1e-3


def test_scaled_integers(arcs):
    peaks = np.concatenate([np.nan_to_num(arcs[0]), np.zeros_like(arcs[0])], -1)
    image = nib.Nifti1Image(peaks, np.eye(4))
    image.header.set_data_dtype(np.int16)
    raw = np.round((peaks + 1.003) / 5e-5).astype(np.uint16)
    scaled = nib.Nifti1Image(raw * 5e-5 - 1.003, np.eye(4))  # zero is not quite zero
    X, _ = read_directions(scaled)
    assert len(X) == 1
    np.testing.assert_array_equal(np.isfinite(X[0, ..., 0]), np.isfinite(arcs[0, ..., 0]))


def test_pam5(arcs, tmp_path):
    pytest.importorskip("h5py")
    from dipy.data import default_sphere
    from dipy.direction.peaks import PeaksAndMetrics
    from dipy.io.peaks import save_pam

    pam = PeaksAndMetrics()
    pam.affine, pam.sphere = np.diag([2.0, 2, 2, 1]), default_sphere
    pam.peak_dirs = np.nan_to_num(np.moveaxis(arcs, 0, 3))
    pam.peak_values = np.isfinite(np.moveaxis(arcs, 0, 3)[..., 0]).astype(float)
    pam.peak_indices = np.zeros(pam.peak_values.shape, dtype=np.int32)
    pam.shm_coeff, pam.B = np.zeros((*pam.peak_values.shape[:3], 45)), np.zeros((45, 362))
    pam.total_weight, pam.ang_thr, pam.gfa = 0.5, 60, np.zeros(pam.peak_values.shape[:3])
    pam.qa, pam.odf = np.zeros_like(pam.peak_values), np.zeros((*pam.peak_values.shape[:3], 362))
    save_pam(str(tmp_path / "peaks.pam5"), pam)
    X, affine = read_directions(tmp_path / "peaks.pam5")
    assert angle(X, arcs) < 1e-3
    np.testing.assert_array_equal(affine, pam.affine)


# ------------------------------------------------------------------ masks


def test_masks_of_every_kind(arcs):
    inside = np.isfinite(arcs[0, ..., 0])
    peaks = nib.Nifti1Image(np.nan_to_num(arcs[0]), np.eye(4))
    soft = np.where(inside, 0.9, 0.2)
    soft[0, 0, 0] = 0.4
    masks = [inside, 255 * inside.astype(np.uint8), inside[..., None].astype(float), soft]
    masks.append(nib.Nifti1Image(inside.astype(np.uint8), np.eye(4)))
    for mask in masks:
        X, _ = read_directions(peaks, mask=mask)
        np.testing.assert_array_equal(np.isfinite(X[0, ..., 0]), inside)
    model = InverseTensorMetric().fit(arcs, mask=masks[1])
    np.testing.assert_array_equal(model.mask_, inside)


def test_images_that_are_elsewhere(arcs):
    inside = np.isfinite(arcs[0, ..., 0]).astype(np.uint8)
    here, moved = AFFINES["det > 0"], AFFINES["det < 0"]
    image = nib.Nifti1Image(inside, moved)
    with pytest.raises(ValueError, match="mask has another affine"):
        read_directions(nib.Nifti1Image(np.nan_to_num(arcs[0]), here), mask=image, order="dipy")
    with pytest.raises(ValueError, match="mask has another affine"):
        InverseTensorMetric(affine=here).fit(arcs, mask=image)
    model = InverseTensorMetric(affine=here).fit(arcs, mask=nib.Nifti1Image(inside, here))
    with pytest.raises(ValueError, match="labels has another affine"):
        model.geodesic_connectivity(image)
    in_voxels = InverseTensorMetric().fit(arcs, mask=image)  # no affine: nothing to compare with
    assert in_voxels.geodesic_connectivity(image)[1].tolist() == [1]


def test_three_slices():
    X = np.broadcast_to([1.0, 0.0, 0.0], (1, 12, 8, 3, 3))
    for method in ("fibers", "spline"):
        model = ConnectomeMetric(method=method, max_iter=3).fit(X)
        path = model.shoot([[1.0, 4.0, 1.0]], [[1.0, 0, 0]], 9.0)[0]
        np.testing.assert_allclose(path[-1], [10.0, 4.0, 1.0], atol=1e-6)


# ------------------------------------------------------------------ distributions


def distributions(directions, basis):
    """Coefficients of sharp distributions along directions, (n, 45)."""
    from dipy.data import get_sphere
    from dipy.reconst.shm import sf_to_sh

    sphere = get_sphere(name="repulsion724")
    values = np.exp(12 * ((directions @ sphere.vertices.T) ** 2 - 1))
    name, legacy = {"dipy": ("descoteaux07", True), "mrtrix": ("tournier07", False)}[basis]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        return sf_to_sh(values, sphere, sh_order_max=8, basis_type=name, legacy=legacy)


@pytest.mark.parametrize("basis", ["dipy", "mrtrix"])
def test_distributions_of_both_bases(basis):
    affine = AFFINES["turned"]
    rng = np.random.default_rng(0)
    V = rng.normal(size=3)
    V /= np.linalg.norm(V)
    frame = "world" if basis == "mrtrix" else "grid"
    seen = rotation(affine) @ V if frame == "world" else V
    fod = np.broadcast_to(distributions(seen[None], basis), (6, 6, 6, 45))
    X, read = read_distributions(nib.Nifti1Image(fod, affine))
    model = FiberDistributionMetric(
        basis=basis, frame=frame, affine=read, anisotropy=50.0, window=(2, 1)
    ).fit(X)
    assert angle(model.directions_[0, 2, 2, 2][None], V[None]) < 0.5
    with pytest.raises(ValueError, match="read_distributions"):
        read_directions(nib.Nifti1Image(fod, affine), order=basis)
    with pytest.raises(ValueError, match="n_coefficients"):
        FiberDistributionMetric().fit(np.ones((4, 4, 4, 44)))
