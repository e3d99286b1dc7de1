"""Fiber directions from where users have them: tensors, peaks, volumes; arrays or NIfTI."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .._optional import needs
from ._space import check_mask

if TYPE_CHECKING:
    from typing import Literal

    from .._typing import ArrayLike, PathLike, SpatialImage

__all__ = ["fit_tensor_directions", "read_directions", "tensor_directions"]

KINDS = ("peaks", "tensors")
SMALLEST = 1e-12
#: Places of xx, xy, yy, xz, yz, zz in a symmetric tensor: lower triangle, row by row, as NIfTI
#: and dipy order it.
ROWS, COLUMNS = (0, 1, 1, 2, 2, 2), (0, 0, 1, 0, 1, 2)


def tensor_directions(
    tensors: ArrayLike, mask: ArrayLike | None = None, *, min_fa: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Principal directions of diffusion tensors.

    Parameters
    ----------
    tensors : array-like of shape (nx, ny[, nz], dim, dim)
        Symmetric.
    mask : array-like of shape (nx, ny[, nz],), default=None
        Where tensors count; None is where they are finite and not zero.
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
    kind: Literal["peaks", "tensors"] = "peaks",
    mask: PathLike | SpatialImage | ArrayLike | None = None,
    *,
    min_fa: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Read fiber directions from a NIfTI image.

    Parameters
    ----------
    image : path-like or nibabel image
        "peaks": 4-D, three numbers for each peak, zeros or NaN where there is none (as the peaks of
        MRtrix and dipy); lengths of vectors do not matter. "tensors": 4-D or 5-D with the six
        numbers xx, xy, yy, xz, yz, zz of a symmetric tensor (as dipy and ANTs write them).
    kind : {"peaks", "tensors"}, default="peaks"
        What the image holds.
    mask : path-like, nibabel image or array-like of shape (nx, ny, nz), default=None
        Voxels to keep.
    min_fa : float, default=0.0
        For tensors, the anisotropy below which voxels are left out.

    Returns
    -------
    X : ndarray of shape (n_fields, nx, ny, nz, 3)
        Unit vectors, NaN where absent, the components as in the file: say by the parameter
        `frame` of :class:`ConnectomeMetric` along which axes they are (MRtrix: "world").
    affine : ndarray of shape (4, 4)
        From voxels to mm.

    Raises
    ------
    ValueError
        For another kind, or an image of another shape.

    Examples
    --------
    >>> import nibabel as nib
    >>> import numpy as np
    >>> from sklearn_meg.connectome import read_directions
    >>> peaks = np.zeros((5, 5, 5, 6), dtype=np.float32)
    >>> peaks[..., 0] = peaks[2, 2, 2, 4] = 1  # along x everywhere, in one voxel along y, too
    >>> X, affine = read_directions(nib.Nifti1Image(peaks, np.diag([2.0, 2, 2, 1])))
    >>> X.shape, int(np.isfinite(X[1, ..., 0]).sum())
    ((2, 5, 5, 5, 3), 1)
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be 'peaks' or 'tensors'. Got {kind!r}.")
    data, affine = _load(image)
    mask = None if mask is None else _load(mask)[0] if not _is_array(mask) else np.asarray(mask)
    if kind == "tensors":
        data = data.squeeze()
        if data.ndim != 4 or data.shape[-1] != 6:
            raise ValueError(f"An image of tensors has six numbers a voxel. Got {data.shape}.")
        tensors = np.empty((*data.shape[:3], 3, 3))
        tensors[..., ROWS, COLUMNS] = tensors[..., COLUMNS, ROWS] = data
        return tensor_directions(tensors, mask, min_fa=min_fa)[0], affine
    if data.ndim == 5:
        data = data.reshape(*data.shape[:3], -1)
    if data.ndim != 4 or data.shape[-1] % 3:
        raise ValueError(f"An image of peaks has three numbers for each. Got {data.shape}.")
    return _unit_peaks(data, mask), affine


def _unit_peaks(data, mask):
    X = np.moveaxis(data.reshape(*data.shape[:3], -1, 3), 3, 0).astype(float)
    length = np.linalg.norm(np.nan_to_num(X), axis=-1)
    absent = length < SMALLEST
    if mask is not None:
        absent |= ~check_mask(mask, data.shape[:3])
    X = X / np.where(absent, 1.0, length)[..., None]
    X[absent] = np.nan
    used = ~absent.reshape(len(X), -1).all(1)
    if not used.any():
        raise ValueError("The image has no peak inside the mask.")
    return X[used]


def fit_tensor_directions(
    image: PathLike | SpatialImage,
    bvals: PathLike | ArrayLike,
    bvecs: PathLike | ArrayLike,
    mask: PathLike | SpatialImage | ArrayLike | None = None,
    *,
    min_fa: float = 0.2,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit diffusion tensors and take their principal directions; needs dipy.

    Parameters
    ----------
    image : path-like or nibabel image
        4-D, a volume for each gradient.
    bvals, bvecs : path-like or array-like
        b values (s/mm²) and gradient directions along the axes of the image, in the formats of
        FSL or dipy.
    mask : path-like, nibabel image or array-like of shape (nx, ny, nz), default=None
        Voxels to fit; None is those with a signal.
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
        For gradients that do not belong to the image.

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
    data, affine = _load(image)
    if not _is_array(bvals):
        bvals, bvecs = read_bvals_bvecs(str(bvals), str(bvecs))
    bvals, bvecs = np.asarray(bvals, dtype=float), np.asarray(bvecs, dtype=float)
    bvecs = bvecs if bvecs.shape[-1] == 3 else bvecs.T
    if data.ndim != 4 or len(bvals) != data.shape[-1] or bvecs.shape != (len(bvals), 3):
        raise ValueError(
            f"The image must have a volume for each of {len(bvals)} b values and as many "
            f"directions. Got {data.shape} and {bvecs.shape}."
        )
    if mask is None:
        signal = data.min(-1)
        mask = signal > 0
    else:
        mask = check_mask(np.asarray(mask) if _is_array(mask) else _load(mask)[0], data.shape[:3])
    # Volumes without weighting have no direction; FSL writes zeros, dipy warns of NaN.
    bvecs = np.where(np.isfinite(bvecs), bvecs, 0.0)
    fit = TensorModel(gradient_table(bvals, bvecs=bvecs)).fit(data, mask=mask)
    X, fa = tensor_directions(fit.quadratic_form, mask, min_fa=min_fa)
    return X, affine, fa


def _is_array(thing):
    return isinstance(thing, np.ndarray | list | tuple)


def _load(image):
    """Data and affine of an image or its file."""
    import nibabel as nib

    if not hasattr(image, "get_fdata"):
        image = nib.load(image)
    return image.get_fdata(), np.asarray(image.affine, dtype=float)
