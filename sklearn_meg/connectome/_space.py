"""Where voxels are: grid coordinates inside, world coordinates outside."""

import numpy as np

from .._validation import naming


class Space:
    """A grid, its voxel sizes and its place in the world.

    Inside everything is in grid coordinates: along the axes of the grid, in units of length, from
    the middle of the first voxel. Outside points are in world coordinates, as NIfTI has them.

    Parameters
    ----------
    grid : tuple of int
    affine : ndarray of shape (dim + 1, dim + 1) or None
        From voxel indices to the world; None is the identity.

    Attributes
    ----------
    scale : ndarray of shape (dim,)
        Size of a voxel.
    rotation : ndarray of shape (dim, dim)
        From grid axes to world axes.
    origin : ndarray of shape (dim,)
    """

    def __init__(self, grid, affine=None):
        self.grid, self.dim = tuple(int(n) for n in grid), len(grid)
        affine = check_affine(affine, self.dim)
        matrix, self.origin = affine[:-1, :-1], affine[:-1, -1]
        self.scale = np.linalg.norm(matrix, axis=0)
        self.rotation = matrix / self.scale

    def inside(self, points):
        """World to grid coordinates."""
        return (points - self.origin) @ np.linalg.inv(self.rotation).T

    def outside(self, points):
        """Grid to world coordinates."""
        return points @ self.rotation.T + self.origin

    def voxels(self, points):
        """Nearest voxels of points in grid coordinates, and whether they are on the grid."""
        index = np.round(np.nan_to_num(points / self.scale, nan=-9.0)).astype(int)
        return index, ((index >= 0) & (index < self.grid)).all(-1)

    def in_mask(self, points, mask):
        """Whether the nearest voxel of points in grid coordinates is in the mask."""
        index, good = self.voxels(points)
        safe = np.where(good[..., None], index, 0)
        return good & mask[tuple(np.moveaxis(safe, -1, 0))]


def check_affine(affine, dim):
    """Return an affine as an array.

    Raises
    ------
    ValueError
        If it is no affine of this dimension, or shears: resample such an image first.
    """
    if affine is None:
        return np.eye(dim + 1)
    with naming("affine"):
        affine = np.asarray(affine, dtype=float)
    if affine.shape != (dim + 1, dim + 1) or not np.isfinite(affine).all():
        raise ValueError(
            f"affine must be a finite matrix of shape ({dim + 1}, {dim + 1}) for a {dim}-D grid. "
            f"Got shape {affine.shape}."
        )
    matrix = affine[:-1, :-1]
    size = np.linalg.norm(matrix, axis=0)
    if not (size > 0).all():
        raise ValueError(f"affine must give every voxel a size. Got sizes {size.tolist()}.")
    unit = matrix / size
    if np.abs(unit.T @ unit - np.eye(dim)).max() > 1e-3:
        raise ValueError(
            "affine must be a rotation (or reflection) times voxel sizes. Got one that shears: "
            "resample the image first."
        )
    return affine
