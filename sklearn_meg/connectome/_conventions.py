"""What software writes: axes of vectors, order of tensors, masks; and how a wrong one is seen."""

from __future__ import annotations

import numpy as np

from .._checks.claims import open_image

#: Places of the six numbers of a symmetric tensor: rows and columns.
TENSORS = {
    "dipy": ((0, 1, 1, 2, 2, 2), (0, 0, 1, 0, 1, 2)),  # xx, xy, yy, xz, yz, zz; also of ANTs
    "fsl": ((0, 0, 0, 1, 1, 2), (0, 1, 2, 1, 2, 2)),  # xx, xy, xz, yy, yz, zz
    "mrtrix": ((0, 1, 2, 0, 0, 1), (0, 1, 2, 1, 2, 2)),  # xx, yy, zz, xy, xz, yz
}
ORDERS = tuple(TENSORS)
NOT_DEFINITE = 0.2  # share of tensors that are not positive definite, from which an order is wrong


def check_order(order, what):
    """Check the name of a convention, which has to be given."""
    if order is None:
        raise ValueError(
            f"order must say which software wrote {what}: {', '.join(map(repr, ORDERS))}. "
            "They differ, and the file does not tell which it is."
        )
    if order not in ORDERS:
        raise ValueError(f"order must be one of {', '.join(map(repr, ORDERS))}. Got {order!r}.")
    return order


def to_grid(order, affine):
    """Matrix (3, 3) that turns vectors of a convention to the axes of the grid: ``v @ matrix``.

    MRtrix has them along the axes of the world. FSL has them along those of the image, with x
    reversed where the affine has a positive determinant. dipy leaves them along the image.
    """
    matrix = np.asarray(affine, dtype=float)[:3, :3]
    if order == "mrtrix":
        u, _, v = np.linalg.svd(matrix / np.linalg.norm(matrix, axis=0))
        return u @ v
    if order == "fsl" and np.linalg.det(matrix) > 0:
        return np.diag([-1.0, 1.0, 1.0])
    return np.eye(3)


def tensors_from(six, order):
    """Symmetric tensors (..., 3, 3) of six numbers (..., 6).

    Raises ValueError if they are not positive definite in this order, but are in another.
    """
    found = {name: _filled(six, name) for name in ORDERS}
    some = np.isfinite(six).all(-1) & (np.abs(six).max(-1) > 0)
    bad = {name: _not_definite(D[some]) for name, D in found.items()} if some.any() else {}
    if bad and bad[order] > NOT_DEFINITE and min(bad.values()) < 0.25 * bad[order]:
        raise ValueError(
            f"order={order!r} makes {bad[order]:.0%} of the tensors not positive definite. The "
            f"file seems to be in the order of {min(bad, key=bad.get)!r}."
        )
    return found[order]


def _filled(six, order):
    rows, columns = TENSORS[order]
    D = np.empty((*six.shape[:-1], 3, 3))
    D[..., rows, columns] = D[..., columns, rows] = six
    return D


def _not_definite(D):
    return float((np.linalg.eigvalsh(D)[:, 0] < 0).mean())


def load(image):
    """Data and affine of an image or its file."""
    image = open_image(image)
    if not hasattr(image, "get_fdata"):
        raise TypeError(
            f"An image must be a file or an image of nibabel, which has an affine. Got "
            f"{type(image).__name__}; of an array, nibabel.Nifti1Image(array, affine) is one."
        )
    return image.get_fdata(), np.asarray(image.affine, dtype=float)


def is_array(thing):
    """Whether something is no file and no image."""
    return isinstance(thing, np.ndarray | list | tuple)


def values_of(thing, affine=None, name="the mask"):
    """Values of a mask or of labels that may be an array, an image or a file.

    Raises ValueError if an image has another affine than the data: its voxels are elsewhere.
    """
    if thing is None or is_array(thing):
        return thing
    data, own = load(thing)
    size = np.linalg.norm(own[:3, :3], axis=0).min()
    if np.shape(affine) == own.shape and np.abs(own - affine).max() > 0.05 * size:
        raise ValueError(
            f"The image of {name} has another affine than the data: its voxels are elsewhere. "
            f"Resample it first. Got\n{own}\ninstead of\n{np.asarray(affine)}."
        )
    return data
