"""Fiber directions from where users have them: tensors, peaks, volumes; arrays or NIfTI."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .._optional import needs
from ._conventions import (
    check_order,
    is_array,
    load,
    tensors_from,
    to_grid,
    values_of,
)
from ._distributions import order_of
from ._space import check_mask, check_option
from ._turned import continuity, warn_if_turned

if TYPE_CHECKING:
    from typing import Literal

    from .._typing import ArrayLike, PathLike, SpatialImage

__all__ = [
    "fit_tensor_directions",
    "read_directions",
    "read_distributions",
    "tensor_directions",
]

KINDS = ("peaks", "angles", "tensors")
SMALLEST = 1e-12
OTHER_KIND = 0.08  # of a mean cosine: by so much the other kind must fit better


def tensor_directions(
    tensors: ArrayLike, mask: ArrayLike | None = None, *, min_fa: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Principal directions of diffusion tensors.

    Parameters
    ----------
    tensors : array-like of shape (nx, ny[, nz], dim, dim)
        Symmetric.
    mask : array-like of shape (nx, ny[, nz],), default=None
        Voxels whose tensors are used; None uses those that are finite and not zero.
    min_fa : float, default=0.0
        Fractional anisotropy below which a voxel is left out.

    Returns
    -------
    X : ndarray of shape (1, nx, ny[, nz], dim)
        Unit vectors for :class:`ConnectomeMetric`, NaN where left out.
    fa : ndarray of shape (nx, ny[, nz],)
        Fractional anisotropy, 0 outside the mask.

    Raises
    ------
    ValueError
        For another shape, or when nothing is left.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.connectome import tensor_directions
    >>> D = np.broadcast_to(np.diag([3.0, 1.0, 1.0]), (4, 4, 4, 3, 3))
    >>> X, fa = tensor_directions(D)
    >>> np.abs(X[0, 0, 0, 0]).tolist(), round(float(fa[0, 0, 0]), 3)
    ([1.0, 0.0, 0.0], 0.603)
    """
    D = np.asarray(tensors, dtype=float)
    if D.ndim not in (4, 5) or D.shape[-2:] != (D.ndim - 2,) * 2:
        raise ValueError(
            f"tensors must have the shape (nx, ny, 2, 2) or (nx, ny, nz, 3, 3). Got {D.shape}."
        )
    good = np.isfinite(D).all((-1, -2)) & (np.abs(np.nan_to_num(D)).max((-1, -2)) > SMALLEST)
    if mask is not None:
        good &= check_mask(mask, D.shape[:-2])
    values, vectors = np.linalg.eigh(D[good])
    fa = np.zeros(good.shape)
    fa[good] = fractional_anisotropy(values)
    keep = fa[good] >= min_fa
    if not keep.any():
        raise ValueError(f"No voxel is left: none has a tensor with an anisotropy of {min_fa:g}.")
    X = np.full((1, *good.shape, D.shape[-1]), np.nan)
    inside = np.where(keep[:, None], vectors[..., -1], np.nan)
    X[0][good] = inside
    return X, fa


def fractional_anisotropy(values):
    """Fractional anisotropy of eigenvalues (..., dim)."""
    dim = values.shape[-1]
    values = np.maximum(values, 0.0)
    spread = ((values - values.mean(-1, keepdims=True)) ** 2).sum(-1)
    size = np.maximum((values**2).sum(-1), SMALLEST**2)
    return np.sqrt(dim / (dim - 1) * spread / size)


def read_directions(
    image: PathLike | SpatialImage,
    kind: Literal["peaks", "angles", "tensors"] = "peaks",
    mask: PathLike | SpatialImage | ArrayLike | None = None,
    *,
    order: Literal["dipy", "fsl", "mrtrix"] | None = None,
    min_share: float = 0.01,
    min_fa: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Read fiber directions from a NIfTI image or a PAM5 file.

    Parameters
    ----------
    image : path-like or nibabel image
        "peaks": 4-D, three numbers for each peak, zeros or NaN where there is none; lengths are
        amplitudes. "angles": two numbers for each peak, polar angle and azimuth in radians (as FSL
        writes them). "tensors": six numbers of a symmetric tensor. A file of dipy that ends in
        ".pam5" is read whatever the kind.
    kind : {"peaks", "angles", "tensors"}, default="peaks"
        Content of the image.
    mask : path-like, nibabel image or array-like of shape (nx, ny, nz), default=None
        Voxels to keep. An image must have the affine of the data.
    order : {"dipy", "fsl", "mrtrix"}, default=None
        Software that wrote the file: axes of the vectors and order of the six numbers.
        "dipy": axes of the image; xx, xy, yy, xz, yz, zz (as ANTs). "fsl": axes of the image, x
        reversed if the determinant of the affine is positive; xx, xy, xz, yy, yz, zz. "mrtrix":
        axes of the world; xx, yy, zz, xy, xz, yz. It may be None only for peaks of an image whose
        axes are those of the world.
    min_share : float, default=0.01
        Smallest length of a peak, as a share of a long one (99th percentile): zeros that were
        stored as scaled integers are not quite zero.
    min_fa : float, default=0.0
        For tensors, the anisotropy below which voxels are left out.

    Returns
    -------
    X : ndarray of shape (n_fields, nx, ny, nz, 3)
        Unit vectors along the axes of the grid, NaN where absent.
    affine : ndarray of shape (4, 4)
        From voxels to mm.

    Raises
    ------
    ValueError
        For another kind or order, an image of another shape, one of orientation distributions
        (:func:`read_distributions`), or a mask that is elsewhere.

    Warns
    -----
    AssumptionWarning
        "axis-order": directions go on better from voxel to voxel with axes reversed or in another
        order.

    Examples
    --------
    >>> import nibabel as nib
    >>> import numpy as np
    >>> from sklearn_meg.connectome import read_directions
    >>> peaks = np.zeros((5, 5, 5, 6), dtype=np.float32)
    >>> peaks[..., 0] = peaks[2, 2, 2, 4] = 1  # along x everywhere, in one voxel along y, too
    >>> X, affine = read_directions(nib.Nifti1Image(peaks, np.diag([2.0, 2, 2, 1])), order="dipy")
    >>> X.shape, int(np.isfinite(X[1, ..., 0]).sum())
    ((2, 5, 5, 5, 3), 1)
    """
    check_option("kind", kind, KINDS)
    if not hasattr(image, "get_fdata") and str(image).endswith(".pam5"):
        data, affine = _load_pam(image)
        kind, order = "peaks", order or "dipy"
    else:
        data, affine = load(image)
    order = _order_for(order, kind, affine)
    mask = values_of(mask, affine)
    turn = to_grid(order, affine)
    if kind == "tensors":
        data = data.squeeze() if data.ndim == 5 else data
        if data.ndim != 4 or data.shape[-1] != 6:
            raise ValueError(f"An image of tensors has six numbers a voxel. Got {data.shape}.")
        D = turn.T @ tensors_from(data, order) @ turn
        X = tensor_directions(D, mask, min_fa=min_fa)[0]
    else:
        X = _unit_peaks(_peaks_of(data, kind), mask, min_share) @ turn
        _check_kind(X, data, kind, turn, affine)
    warn_if_turned(X, np.linalg.norm(affine[:3, :3], axis=0), to_grid("mrtrix", affine))
    return X, affine


def _order_for(order, kind, affine):
    """The order that was given, or dipy's where it makes no difference which."""
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    if order is None and kind == "peaks" and np.abs(axes - np.eye(3)).max() < 1e-3:
        return "dipy"
    return check_order(order, f"these {kind}")


def _peaks_of(data, kind):
    """Vectors (nx, ny, nz, n_peaks, 3) of an image of peaks or angles."""
    if data.ndim == 5:
        data = data.reshape(*data.shape[:3], -1)
    per = 3 if kind == "peaks" else 2
    if data.ndim != 4 or data.shape[-1] % per:
        raise ValueError(
            f"An image of {kind} has {('two', 'three')[per - 2]} numbers for each. "
            f"Got {data.shape}."
        )
    if kind == "angles":
        polar, azimuth = data[..., ::2], data[..., 1::2]
        flat = np.sin(polar)
        v = [flat * np.cos(azimuth), flat * np.sin(azimuth), np.cos(polar)]
        found = np.stack(v, axis=-1)
        found[(polar == 0) & (azimuth == 0)] = 0.0  # background
        return found
    if _are_distributions(data):
        raise ValueError(
            f"An image with {data.shape[-1]} numbers a voxel, none zero and the first positive, "
            "holds orientation distributions, no peaks: use read_distributions."
        )
    return data.reshape(*data.shape[:3], -1, 3)


def _check_kind(X, data, kind, turn, affine):
    """Raise if vectors are angles, or angles vectors: then the others go on better."""
    other = {"peaks": "angles", "angles": "peaks"}[kind]
    data = data.reshape(*data.shape[:3], -1)
    polar = np.nan_to_num(data[..., ::2])
    in_range = bool(((polar >= 0) & (polar <= np.pi + 1e-3)).all())
    if data.shape[-1] % 6 or in_range == (kind == "angles"):
        return
    scale = np.linalg.norm(affine[:3, :3], axis=0)
    Y = _unit_peaks(_peaks_of(data, other), None, 0.01) @ turn
    Y[:, np.isnan(X[..., 0]).all(0)] = np.nan
    own, others = continuity(X, scale), continuity(Y, scale)
    if others > own + OTHER_KIND:
        raise ValueError(
            f"kind={kind!r} makes directions that do not go on from voxel to voxel (mean cosine "
            f"{own:.2f}), but kind={other!r} makes some that do ({others:.2f})."
        )


def _are_distributions(data):
    if data.shape[-1] < 15 or order_of(data.shape[-1]) is None:
        return False
    some = data[np.isfinite(data).all(-1) & (np.abs(data).max(-1) > 0)]
    # The mean of a distribution is positive; no voxel has as many peaks, all others are zeros.
    return len(some) > 0 and float(((some[:, 0] > 0) & (some != 0).all(1)).mean()) > 0.9


def _load_pam(path):
    with needs("PAM5 files", "dipy", "sklearn-meg[connectome]"):
        from dipy.io.peaks import load_pam
    pam = load_pam(str(path))
    vectors = pam.peak_dirs * np.maximum(pam.peak_values, 0)[..., None]
    return vectors.reshape(*vectors.shape[:3], -1), np.asarray(pam.affine, dtype=float)


def _unit_peaks(data, mask, min_share):
    X = np.moveaxis(data, 3, 0).astype(float)
    length = np.linalg.norm(np.nan_to_num(X), axis=-1)
    longest = length.max(0)
    if not (longest > SMALLEST).any():
        raise ValueError("The image has no peak inside the mask.")
    absent = length < max(SMALLEST, min_share * np.quantile(longest[longest > SMALLEST], 0.99))
    if mask is not None:
        absent |= ~check_mask(mask, data.shape[:3])
    X = X / np.where(absent, 1.0, length)[..., None]
    X[absent] = np.nan
    used = ~absent.reshape(len(X), -1).all(1)
    if not used.any():
        raise ValueError("The image has no peak inside the mask.")
    return X[used]


def read_distributions(
    image: PathLike | SpatialImage,
    mask: PathLike | SpatialImage | ArrayLike | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Read orientation distributions (FODs) from a NIfTI image.

    Parameters
    ----------
    image : path-like or nibabel image
        4-D, the coefficients of even spherical harmonics of each voxel: 15, 28, 45, ... numbers.
    mask : path-like, nibabel image or array-like of shape (nx, ny, nz), default=None
        Voxels to keep.

    Returns
    -------
    X : ndarray of shape (nx, ny, nz, n_coefficients)
        For :class:`FiberDistributionMetric`, which is told the basis: "dipy", or "mrtrix" with
        ``frame="world"``. NaN outside the mask.
    affine : ndarray of shape (4, 4)
        From voxels to mm.

    Raises
    ------
    ValueError
        For an image of another shape.

    Examples
    --------
    >>> import nibabel as nib
    >>> import numpy as np
    >>> from sklearn_meg.connectome import read_distributions
    >>> X, affine = read_distributions(nib.Nifti1Image(np.ones((4, 4, 4, 45)), np.eye(4)))
    >>> X.shape
    (4, 4, 4, 45)
    """
    data, affine = load(image)
    if data.ndim != 4 or data.shape[-1] < 6 or order_of(data.shape[-1]) is None:
        raise ValueError(
            "An image of distributions is 4-D with 15, 28, 45, ... coefficients a voxel. "
            f"Got {data.shape}."
        )
    mask = values_of(mask, affine)
    if mask is not None:
        data = np.where(check_mask(mask, data.shape[:3])[..., None], data, np.nan)
    return data, affine


def fit_tensor_directions(
    image: PathLike | SpatialImage,
    bvals: PathLike | ArrayLike,
    bvecs: PathLike | ArrayLike,
    mask: PathLike | SpatialImage | ArrayLike | None = None,
    *,
    order: Literal["dipy", "fsl", "mrtrix"] | None = None,
    min_fa: float = 0.2,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit diffusion tensors and take their principal directions; needs dipy.

    Parameters
    ----------
    image : path-like or nibabel image
        4-D, a volume for each gradient.
    bvals, bvecs : path-like or array-like
        b values (s/mm²) and gradient directions, in the formats of FSL or dipy.
    mask : path-like, nibabel image or array-like of shape (nx, ny, nz), default=None
        Voxels to fit; None is those with a signal.
    order : {"dipy", "fsl", "mrtrix"}, default=None
        Axes of the gradients. "dipy": those of the image. "fsl": those of the image, with x
        reversed if the determinant of the affine is positive, as FSL stores them. "mrtrix": those
        of the world. None is "fsl" for a file of `bvecs` and "dipy" for an array.
    min_fa : float, default=0.2
        Anisotropy below which a voxel is left out: gray matter and fluid.

    Returns
    -------
    X : ndarray of shape (1, nx, ny, nz, 3)
        Unit vectors along the axes of the image, NaN where left out.
    affine : ndarray of shape (4, 4)
    fa : ndarray of shape (nx, ny, nz)

    Raises
    ------
    ImportError
        Without dipy. (Directions fitted elsewhere are read by :func:`read_directions`.)
    ValueError
        For gradients that do not belong to the image, or a mask that is elsewhere.

    Warns
    -----
    AssumptionWarning
        "axis-order": directions go on better from voxel to voxel with axes reversed or in another
        order.

    Examples
    --------
    >>> import nibabel as nib
    >>> import numpy as np
    >>> from sklearn_meg.connectome import fit_tensor_directions
    >>> rng = np.random.default_rng(0)
    >>> bvecs = rng.normal(size=(20, 3))
    >>> bvecs /= np.linalg.norm(bvecs, axis=1, keepdims=True)
    >>> bvals = np.full(20, 1000.0)
    >>> bvals[0], bvecs[0] = 0, 0
    >>> tensor = np.diag([1.5e-3, 0.3e-3, 0.3e-3])  # mm²/s, along the first axis everywhere
    >>> decay = np.exp(-bvals * np.einsum("ni,ij,nj->n", bvecs, tensor, bvecs))
    >>> image = nib.Nifti1Image(100 * np.ones((2, 2, 2, 1)) * decay, np.diag([2.0, 2, 2, 1]))
    >>> X, affine, fa = fit_tensor_directions(image, bvals, bvecs)
    >>> np.abs(X[0, 0, 0, 0]).round(3)
    array([1., 0., 0.])
    """
    with needs("fit_tensor_directions", "dipy", "sklearn-meg[connectome]"):
        from dipy.core.gradients import gradient_table
        from dipy.io.gradients import read_bvals_bvecs
        from dipy.reconst.dti import TensorModel
    data, affine = load(image)
    order = order or ("dipy" if is_array(bvecs) else "fsl")
    check_order(order, "the gradients")
    if not is_array(bvals):
        bvals, bvecs = read_bvals_bvecs(str(bvals), str(bvecs))
    bvals, bvecs = np.asarray(bvals, dtype=float), np.asarray(bvecs, dtype=float)
    bvecs = bvecs if bvecs.shape[-1] == 3 else bvecs.T
    if data.ndim != 4 or len(bvals) != data.shape[-1] or bvecs.shape != (len(bvals), 3):
        raise ValueError(
            f"The image must have a volume for each of {len(bvals)} b values and as many "
            f"directions. Got {data.shape} and {bvecs.shape}."
        )
    mask = values_of(mask, affine)
    mask = data.min(-1) > 0 if mask is None else check_mask(mask, data.shape[:3])
    # Volumes without weighting have no direction; FSL writes zeros, dipy warns of NaN.
    bvecs = np.where(np.isfinite(bvecs), bvecs, 0.0) @ to_grid(order, affine)
    fit = TensorModel(gradient_table(bvals, bvecs=bvecs)).fit(data, mask=mask)
    X, fa = tensor_directions(fit.quadratic_form, mask, min_fa=min_fa)
    warn_if_turned(X, np.linalg.norm(affine[:3, :3], axis=0), to_grid("mrtrix", affine))
    return X, affine, fa
