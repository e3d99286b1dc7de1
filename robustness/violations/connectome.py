"""What users of metrics do to fields of directions, masks, files and seeds."""

from functools import cache

import nibabel as nib
import numpy as np

from sklearn_meg import ConnectomeMetric
from sklearn_meg.connectome import (
    FiberDistributionMetric,
    InverseTensorMetric,
    fit_tensor_directions,
    geodesic_deviation,
    read_directions,
    read_distributions,
)
from sklearn_meg.datasets import make_fibers, make_phantom

from .record import Answer, flag_of, fresh, remembered, violation

SIZE = 24
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])  # a positive determinant: FSL reverses x
SHIFT = np.array([-40.0, -50.0, -30.0])


@cache
def _fibers(seed, world="annulus", noise=0.0):
    size = {"annulus": SIZE, "arcs": 20, "braid": 32}[world]
    return make_fibers(world, size=size, n_curves=10, noise=noise, random_state=seed)


def _field(seed):
    return np.array(_fibers(seed).X)


def _fitted(X, **params):
    return ConnectomeMetric(**params).fit(X)


@remembered
def _clean(seed, world="annulus"):
    """The metric of the unbroken world, which most violations share."""
    return _fitted(_fibers(seed, world).X)


@remembered
def _model(seed):
    """A fitted metric of the annulus, for what is asked of it."""
    return _fitted(_fibers(seed, noise=3.0).X)


@remembered
def _model_in_mm(seed):
    affine = np.diag([2.0, 2.0, 1.0])
    affine[:2, 2] = SHIFT[:2]
    return _fitted(_fibers(seed).X, affine=affine)


def _deviation(model, fibers, tolerance=1.0, flag=None):
    """Of geodesics from true curves, in voxels."""
    return _off(model, fibers.seeds, fibers.directions, fibers.curves, tolerance, flag)


@remembered
def _unbroken(seed, world="annulus"):
    """What the metric of the unbroken world answers."""
    return _deviation(_clean(seed, world), _fibers(seed, world))


def _learned(seed, broken, X, world="annulus"):
    """What a metric that learns from broken directions answers."""
    return _deviation(_fitted(X), _fibers(seed, world)) if broken else _unbroken(seed, world)


def _off(model, x, u, curves, tolerance=1.0, flag=None, follow=0.0):
    longest = max(np.linalg.norm(np.diff(c, axis=0), axis=1).sum() for c in curves)
    paths = model.shoot(x, u, longest, within="grid", follow=follow)
    return Answer(np.nanmean(geodesic_deviation(curves, paths)), tolerance, flag)


def _angle(X, fibers, tolerance=1.0):
    """Largest angle between directions that were read and the true ones, degrees."""
    there = np.isfinite(fibers.X[..., 0])
    cosine = np.abs((X[: len(fibers.X)] * fibers.X).sum(-1))[there]
    worst = np.rad2deg(np.arccos(np.minimum(np.nan_to_num(cosine), 1.0))).max()
    return Answer(worst + 90.0 * (np.isfinite(X[..., 0]).sum() != there.sum()), tolerance)


def _image(V, affine=AFFINE, dtype=np.float32):
    """Vectors (n_fields, nx, ny, nz, 3) as an image of peaks, zeros where absent."""
    data = np.nan_to_num(np.moveaxis(V, 0, 3)).reshape(*V.shape[1:-1], -1)
    return nib.Nifti1Image(data.astype(dtype), affine)


# ------------------------------------------------------------------ arrays


@violation("vectors of a thousandth of unit length", right="geodesics within a voxel")
def short_vectors(seed, broken):
    """Directions are stored as scaled integers and read without the factor."""
    X = _field(seed)
    return _learned(seed, broken, X / 1000)


@violation("signs of vectors at random", right="geodesics within a voxel")
def random_signs(seed, broken):
    """Principal directions have no sign: each voxel has another one."""
    X = _field(seed)
    if broken:
        X *= np.random.default_rng(seed).choice([-1, 1], size=(*X.shape[:-1], 1))
    return _learned(seed, broken, X)


@violation("an axis of the vectors reversed", right="geodesics within a voxel")
def reversed_axis(seed, broken):
    """Vectors of an array are along another x axis than its voxels."""
    X = _field(seed)
    if broken:
        X[..., 0] *= -1
    return _learned(seed, broken, X)


@violation("components in the order y, x", right="geodesics within a voxel")
def swapped_components(seed, broken):
    """Vectors are stored as rows and columns of an image, its voxels as x and y."""
    X = _field(seed)
    return _learned(seed, broken, X[..., ::-1])


@violation("vectors along the world, read as along the grid", right="geodesics within a voxel")
def wrong_frame(seed, broken):
    """The volume is turned against the scanner by a quarter; frame is left at its default."""
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    affine = np.eye(3)
    affine[:2, :2] = turn
    fibers = _fibers(seed, "braid")
    frame = "grid" if broken else "world"
    model = _fitted(fibers.X @ turn.T, affine=affine, frame=frame)
    turned = (each @ turn.T for each in (fibers.seeds, fibers.directions))
    return _off(model, *turned, [c @ turn.T for c in fibers.curves])


@violation("vectors along the world of an oblique volume", right="curves within a voxel")
def oblique_frame(seed, broken):
    """The slices were tilted by 25 degrees; vectors of MRtrix are taken for those of the grid."""
    cosine, sine = np.cos(np.deg2rad(25)), np.sin(np.deg2rad(25))
    turn = np.array([[cosine, -sine], [sine, cosine]])
    affine = np.eye(3)
    affine[:2, :2] = turn
    fibers = _fibers(seed)
    model = _fitted(fibers.X @ turn.T, affine=affine, frame="grid" if broken else "world")
    turned = (each @ turn.T for each in (fibers.seeds, fibers.directions))
    return _off(model, *turned, [c @ turn.T for c in fibers.curves], follow=1.0)


@violation("zeros where a field is absent", right="an error, or they are left out")
def zero_vectors(seed, broken):
    """Peaks that do not exist are zeros, as trackers write them."""
    X = np.array(_fibers(seed, "braid").X)
    return _learned(seed, broken, np.nan_to_num(X), "braid")


@violation("peaks of a voxel in any order", right="geodesics within a voxel")
def permuted_peaks(seed, broken):
    """Peaks are sorted by size, which changes from voxel to voxel."""
    fibers = _fibers(seed, "braid")
    X = np.array(fibers.X)
    if broken:
        swap = np.random.default_rng(seed).random(X.shape[1:-1]) < 0.5
        X[:, swap] = X[::-1, swap]
    return _learned(seed, broken, X, "braid")


@violation("holes of single voxels", right="geodesics within a voxel")
def holes(seed, broken):
    """A threshold of anisotropy leaves out some voxels inside a bundle."""
    X = _field(seed)
    if broken:
        X[:, np.random.default_rng(seed).random(X.shape[1:-1]) < 0.06] = np.nan
    return _learned(seed, broken, X)


@violation("NaN in one component", right="an error")
def torn_vectors(seed, broken):
    """A division by zero left NaN in one component of some vectors."""
    X = _field(seed)
    if broken:
        X[0, SIZE // 2 : SIZE // 2 + 2, 4:6, 1] = np.nan
    return _learned(seed, broken, X)


@violation("a field of noise", right="a warning: no metric follows it")
def only_noise(seed, broken):
    """Directions of isotropic voxels (gray matter, fluid) are random."""
    X = _field(seed)
    if broken:
        v = np.random.default_rng(seed).normal(size=X.shape)
        v /= np.linalg.norm(v, axis=-1, keepdims=True)
        X = np.where(np.isfinite(X), v, np.nan)
    return _learned(seed, broken, X)


@violation("a slice without directions", right="geodesics within a voxel")
def missing_slice(seed, broken):
    """A slice was lost: one column of voxels, through which all fibers go, has none."""
    X = _field(seed)
    if broken:
        X[:, 5 + seed] = X[:, :, SIZE // 2 + seed] = np.nan
    return _learned(seed, broken, X)


@violation("subjects stacked as fields", right="a warning, or geodesics within a voxel")
def subjects_as_fields(seed, broken):
    """Subjects stand on the axis of fields. They differ by an eighth of the grid and in noise."""
    X = np.array(_fibers(seed, noise=3.0).X)
    if broken:
        others = [make_fibers("annulus", size=SIZE, noise=3.0, random_state=s) for s in range(2)]
        moved = [np.roll(each.X, SIZE // 8 * (k + 1), axis=1) for k, each in enumerate(others)]
        X = np.concatenate([X, *moved])
    return _deviation(_fitted(X) if broken else _model(seed), _fibers(seed))


@violation("spurious peaks in every voxel", right="a warning, or geodesics within a voxel")
def spurious_peaks(seed, broken):
    """A second peak is noise: the threshold of deconvolution was too low."""
    X = _field(seed)
    if broken:
        v = np.random.default_rng(seed).normal(size=X.shape)
        v /= np.linalg.norm(v, axis=-1, keepdims=True)
        X = np.concatenate([X, np.where(np.isfinite(X), v, np.nan)])
    return _learned(seed, broken, X)


@violation("every peak twice", right="geodesics within a voxel")
def peaks_twice(seed, broken):
    """Both maxima of a symmetric distribution are kept: each vector and its negative."""
    X = _field(seed)
    return _learned(seed, broken, np.concatenate([X, -X]))


@violation("a volume upsampled by repeating voxels", right="geodesics within a voxel of before")
def repeated_voxels(seed, broken):
    """Directions were resampled to half the voxel size by nearest neighbor."""
    fibers = _fibers(seed)
    if not broken:
        return _unbroken(seed)
    model = _fitted(np.repeat(np.repeat(fibers.X, 2, axis=1), 2, axis=2))
    x, curves = 2 * fibers.seeds + 0.5, [2 * c + 0.5 for c in fibers.curves]
    return _off(model, x, fibers.directions, curves, 2.0)


@violation("vectors interpolated with their signs", right="a warning")
def interpolated_signs(seed, broken):
    """Vectors of either sign were moved by half a voxel: where signs change they cancel."""
    fibers = _fibers(seed)
    X = _field(seed) * np.random.default_rng(seed).choice([-1, 1], size=(1, SIZE, SIZE, 1))
    if not broken:
        return _unbroken(seed)
    X = 0.5 * (X + np.roll(X, -1, axis=1))
    model = _fitted(np.where(np.linalg.norm(X, axis=-1, keepdims=True) > 1e-9, X, np.nan))
    half = np.array([0.5, 0.0])
    return _off(model, fibers.seeds - half, fibers.directions, [c - half for c in fibers.curves])


# ------------------------------------------------------------------ masks and files


@violation("mask as 0 and 255", right="the same metric")
def mask_of_255(seed, broken):
    """Masks of other software hold 255."""
    fibers = _fibers(seed)
    mask = fibers.mask.astype(np.uint8) * (255 if broken else 1)
    return _deviation(ConnectomeMetric().fit(fibers.X, mask=mask), fibers)


@violation("mask of probabilities", right="the same metric")
def mask_of_probabilities(seed, broken):
    """White matter comes as a probability."""
    fibers = _fibers(seed)
    if not broken:
        return _unbroken(seed)
    mask = np.where(fibers.mask, 0.9, 0.2)
    mask[0, 0] = 0.1
    return _deviation(ConnectomeMetric().fit(fibers.X, mask=mask), fibers)


@violation("a shifted mask", right="an error")
def shifted_mask(seed, broken):
    """The mask is of an image that was cropped."""
    fibers = _fibers(seed)
    if not broken:
        return _unbroken(seed)
    mask = np.roll(fibers.mask, 3, axis=0)
    return _deviation(ConnectomeMetric().fit(fibers.X, mask=mask), fibers)


@violation("a mask image with another affine", right="an error")
def mask_of_another_space(seed, broken):
    """The mask has as many voxels, but its image is elsewhere."""
    fibers = _fibers(seed, "arcs")
    affine = AFFINE.copy()
    affine[0, 3] += 6.0 * broken
    mask = nib.Nifti1Image(fibers.mask.astype(np.uint8), affine)
    return _angle(read_directions(_image(fibers.X), mask=mask, order="dipy")[0], fibers)


@violation("a mask image of another crop, given to fit", right="an error")
def mask_of_another_crop(seed, broken):
    """The mask lies right in the world, but its voxels begin elsewhere than those of the metric."""
    fibers = _fibers(seed, "arcs")
    affine = AFFINE.copy()
    affine[0, 3] += 6.0 * broken
    mask = nib.Nifti1Image(np.roll(fibers.mask, -3 * broken, axis=0).astype(np.uint8), affine)
    everywhere = np.where(np.isfinite(fibers.X), fibers.X, [1.0, 0.0, 0.0])
    model = InverseTensorMetric(affine=AFFINE).fit(everywhere, mask=mask)
    return Answer((model.mask_ != fibers.mask).mean(), 0.0)


@violation("peaks of FSL read as those of dipy", right="directions within a degree")
def peaks_of_fsl(seed, broken):
    """FSL reverses x of vectors where the affine has a positive determinant."""
    fibers = _fibers(seed, "arcs")
    image = _image(fibers.X * np.array([-1.0, 1.0, 1.0]))
    return _angle(read_directions(image, order="dipy" if broken else "fsl")[0], fibers)


@violation("tensors in another order", right="directions within a degree")
def tensor_order(seed, broken):
    """Six numbers of MRtrix are read as those of FSL."""
    X = _tubes(seed)
    D = 2e-4 * np.eye(3) + 1.5e-3 * np.einsum("...i,...j->...ij", X[0], X[0])
    rows, columns = (0, 1, 2, 0, 0, 1), (0, 1, 2, 1, 2, 2)
    image = nib.Nifti1Image(np.nan_to_num(D[..., rows, columns]), AFFINE)
    found = read_directions(image, "tensors", order="fsl" if broken else "mrtrix")[0]
    there = np.isfinite(X[0, ..., 0])
    cosine = np.abs((found * X).sum(-1))[0][there]
    return Answer(np.rad2deg(np.arccos(np.minimum(np.nan_to_num(cosine), 1))).max(), 1.0)


@cache
def _phantom(seed, size=20):
    return make_phantom(size=size, n_bundles=4, random_state=seed)


def _tubes(seed, size=20):
    """Directions of one bundle a voxel, of bundles that lie in all directions."""
    phantom = _phantom(seed, size)
    first = np.full((*phantom.mask.shape, 3), np.nan)
    for V in phantom.directions:
        first = np.where(np.isfinite(first), first, V)
    return first[np.newaxis]


@violation("peaks stored as scaled integers", right="directions within a degree, as many as before")
def scaled_integers(seed, broken):
    """Zeros of absent peaks are not quite zero after the scaling of the header."""
    fibers = _fibers(seed, "arcs")
    data = np.nan_to_num(np.moveaxis(fibers.X, 0, 3)).reshape(*fibers.X.shape[1:-1], -1)
    if broken:
        slope, inter = 2 / 65535, 1e-5
        data = np.round((data - inter) / slope) * slope + inter
    return _angle(read_directions(nib.Nifti1Image(data, AFFINE), order="dipy")[0], fibers)


@violation("angles read as vectors", right="directions within a degree")
def angles_as_vectors(seed, broken):
    """Polar angle and azimuth of three peaks are six numbers, as two vectors are."""
    X = _tubes(seed)[0]
    angles = np.stack([np.arccos(X[..., 2]), np.arctan2(X[..., 1], X[..., 0])], axis=-1)
    three = np.nan_to_num(np.concatenate([angles, angles, angles], axis=-1))
    kind = "peaks" if broken else "angles"
    found = read_directions(nib.Nifti1Image(three, AFFINE), kind, order="dipy")[0][0]
    there = np.isfinite(X[..., 0])
    cosine = np.abs((found * X).sum(-1))[there]
    return Answer(np.rad2deg(np.arccos(np.minimum(np.nan_to_num(cosine), 1))).max(), 1.0)


@violation("distributions read as peaks", right="an error")
def distributions_as_peaks(seed, broken):
    """A file of 45 coefficients a voxel is taken for one of 15 peaks."""
    phantom = _phantom(seed)
    image = nib.Nifti1Image(phantom.fod, AFFINE)
    if broken:
        read_directions(image, order="dipy")
    return Answer(float(read_distributions(image)[0].shape[-1] != 45 or broken), 0.5)


@violation("distributions of MRtrix taken for dipy's", right="a warning, or geodesics along fibers")
def wrong_basis(seed, broken):
    """The basis is left at its default: other signs and another order of the coefficients."""
    from dipy.reconst.shm import convert_sh_descoteaux_tournier

    phantom = _phantom(seed, 13)
    fod = convert_sh_descoteaux_tournier(phantom.fod)
    model = FiberDistributionMetric(basis="dipy" if broken else "mrtrix").fit(fod)
    V = _tubes(seed, 13)
    single = np.isfinite(V[0, ..., 0]) & model.mask_ & (phantom.bundles.sum(0) == 1)
    cosine = np.abs((model.directions_[:, single] * V[:, single]).sum(-1))
    angle = np.rad2deg(np.arccos(np.minimum(np.nanmax(cosine, axis=0), 1)))
    return Answer(np.median(angle), 8.0)


@violation("gradients with x reversed", right="directions within two degrees")
def reversed_gradients(seed, broken):
    """Gradients of FSL are given as an array, which is taken for dipy's."""
    phantom = _phantom(seed)
    bvecs = phantom.bvecs * np.array([-1.0, 1.0, 1.0])
    image = nib.Nifti1Image(1000 * phantom.signal, AFFINE)
    X, _, _ = fit_tensor_directions(
        image, phantom.bvals, bvecs, mask=phantom.mask, order="dipy" if broken else "fsl"
    )
    single = np.isfinite(X[0, ..., 0]) & (phantom.bundles.sum(0) == 1)
    cosine = np.abs((X[0] * _tubes(seed)[0]).sum(-1))[single]
    return Answer(np.rad2deg(np.arccos(np.minimum(np.median(cosine), 1))), 8.0)


@violation("a volume of three slices", right="geodesics within a voxel")
def three_slices(seed, broken):
    """A test volume has a third axis that is shorter than any neighborhood."""
    fibers = _fibers(seed)
    if not broken:
        return _unbroken(seed)
    flat = np.concatenate([fibers.X, 0 * fibers.X[..., :1]], axis=-1)
    model = _fitted(np.repeat(flat[:, :, :, np.newaxis], 3, axis=3))
    x, *curves = (np.insert(each, 2, 1.0, axis=1) for each in (fibers.seeds, *fibers.curves))
    return _off(model, x, np.insert(fibers.directions, 2, 0.0, axis=1), curves)


# ------------------------------------------------------------------ what is asked of a metric


@violation("starts across the fibers", right="a warning")
def starts_across(seed, broken):
    """Directions of seeds are along axes of another image."""
    fibers, model = _fibers(seed), _model(seed)
    turned = fibers.directions @ np.array([[0.0, -1.0], [1.0, 0.0]])
    u = turned if broken else fibers.directions
    flag = flag_of(model.is_unusual(np.hstack([fibers.seeds, u])))
    return _off(model, fibers.seeds, u, fibers.curves, flag=flag)


@violation("seeds in voxels instead of millimeters", right="an error")
def seeds_in_voxels(seed, broken):
    """Points are indices of voxels, but the metric has an affine."""
    fibers, model = _fibers(seed), _model_in_mm(seed)
    x = fibers.seeds if broken else 2 * fibers.seeds + SHIFT[:2]
    paths = model.shoot(x, fibers.directions, 20.0)
    return Answer(float(np.abs(paths[:, 0] - (2 * fibers.seeds + SHIFT[:2])).max()), 1e-6)


@violation("voxels of twice the size", right="an error, or most seeds are unusual")
def doubled_voxels(seed, broken):
    """The affine has another resolution than the image; seeds are in millimeters."""
    fibers = _fibers(seed)
    affine = np.diag([4.0 if broken else 2.0] * 2 + [1.0])
    model = _fitted(fibers.X, affine=affine)
    x = 2 * fibers.seeds
    flag = flag_of(model.is_unusual(np.hstack([x, fibers.directions])))
    return _off(model, x, fibers.directions, [2 * c for c in fibers.curves], 2.0, flag)


@violation("labels of another grid", right="an error")
def labels_of_another_grid(seed, broken):
    """The parcellation has twice the resolution."""
    model = _model(seed)
    labels = _two_regions(seed)
    matrix, _ = model.geodesic_connectivity(np.repeat(labels, 2, axis=0) if broken else labels)
    return Answer(float(not np.isfinite(matrix[0, 1])), 0.5)


@violation("a parcellation stored from right to left", right="an error")
def labels_from_right_to_left(seed, broken):
    """The image of the regions lies right in the world, its voxels in the opposite order."""
    X = np.zeros((1, 12, 9, 5, 3))
    X[0, :6, ..., 1] = X[0, 6:, ..., 0] = 1.0  # along y on one side, along x on the other
    labels = np.zeros(X.shape[1:-1], dtype=np.int16)
    labels[seed : 3 + seed, 0], labels[seed : 3 + seed, -1] = 1, 2
    image = nib.Nifti1Image(labels, AFFINE)
    if broken:
        turned = AFFINE @ np.diag([-1.0, 1.0, 1.0, 1.0])
        turned[0, 3] += 11 * AFFINE[0, 0]
        image = nib.Nifti1Image(labels[::-1], turned)
    matrix, _ = InverseTensorMetric(affine=AFFINE).fit(X).geodesic_connectivity(image)
    return Answer(abs(matrix[0, 1] / (2 * 8 / 6**0.5) - 1), 0.01)


@violation("a region outside the mask", right="a warning, its rows NaN")
def region_outside(seed, broken):
    """The parcellation is of another space: a region is where no fiber is."""
    model, labels = _model(seed), _two_regions(seed)
    if broken:
        labels[labels == 2] = 0
        labels[:1, :1] = 2
    matrix, _ = model.geodesic_connectivity(labels, radius=1.0)
    return Answer(float(not np.isfinite(matrix[0, 1])), 0.5)


def _two_regions(seed):
    """Labels of two ends of one line."""
    fibers = _fibers(seed)
    labels, curve = np.zeros(fibers.mask.shape, dtype=int), fibers.curves[0]
    for label, place in ((1, curve[0]), (2, curve[len(curve) // 2])):
        x, y = np.round(place).astype(int)
        labels[x - 1 : x + 2, y - 1 : y + 2] = label
    return labels * fibers.mask


# ------------------------------------------------------------------ what is usual


@fresh("ConnectomeMetric")
def fresh_directions(seed):
    """Directions of the same lines between voxels, with noise of their own."""
    model = _model(seed)
    again = make_fibers("annulus", size=SIZE, n_curves=200, random_state=seed + 100)
    angle = np.deg2rad(3.0) * np.random.default_rng(seed).normal(size=len(again.directions))
    u, across = again.directions, again.directions @ np.array([[0.0, 1.0], [-1.0, 0.0]])
    u = np.cos(angle)[:, np.newaxis] * u + np.sin(angle)[:, np.newaxis] * across
    inside = ~model.is_unusual(again.seeds)
    return model, np.hstack([again.seeds, u])[inside]
