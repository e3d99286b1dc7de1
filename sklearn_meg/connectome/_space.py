"""Where voxels are: grid coordinates inside, world coordinates outside."""

import numpy as np
from scipy.ndimage import distance_transform_edt, generate_binary_structure, label

from .._checks.assumptions import warn_assumption
from .._checks.params import naming
from .._checks.trials import LARGEST_VALUE, as_mask, check_array
from ._conventions import values_of


class Space:
    """A grid, its voxel sizes and its place in the world.

    Inside everything is in grid coordinates: along the axes of the grid, in units of length, from
    the middle of the first voxel. Outside points are in world coordinates, as NIfTI has them.

    grid (tuple of int)
    affine (dim + 1, dim + 1) or None: From voxel indices to the world; None is the identity.
    scale (dim,): Size of a voxel.
    rotation (dim, dim): From grid axes to world axes.
    origin (dim,)
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


def without_small_holes(mask):
    """The mask with the holes in it that are no wider than a voxel, of at most four voxels.

    What is open to the outside, as a wall is, stays.
    """
    holes, n_holes = label(~mask, generate_binary_structure(mask.ndim, mask.ndim))
    if not n_holes:
        return mask
    sizes = np.bincount(holes.ravel())
    border = np.ones(mask.shape, dtype=bool)
    border[(slice(1, -1),) * mask.ndim] = False
    small = sizes <= LARGEST_HOLE
    small[np.unique(holes[border])] = False
    small[0] = False
    return mask | (small[holes] & (distance_transform_edt(~mask) <= 1))


def check_affine(affine, dim):
    """Return an affine as an array.

    Raises ValueError if it is no affine of this dimension, or shears: resample such an image
        first.
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


LARGEST_HOLE = 4  # voxels
MOST_PEAKS = 10  # of a voxel; dipy has 5 unless another number is asked for
UNIT = 1e-3  # a length that differs more from 1 is said


def check_fields(X, mask=None, name="X"):
    """Return fields of unit vectors, NaN where absent, and where any is.

    X (n_fields, nx, ny[, nz], dim), mask (nx, ny[, nz],) or None
    Returns X (ndarray of float), mask (ndarray of bool)
    Raises ValueError: See :meth:`ConnectomeMetric.fit`.
    """
    X = _as_array(X, name)
    grid = X.shape[1:-1]
    if mask is not None:
        mask = check_mask(mask, grid)
        X = np.where(mask[..., None], X, np.nan)
    missing = np.isnan(X)
    torn = missing.any(-1) & ~missing.all(-1)
    if torn.any():
        raise ValueError(
            f"{name} contains NaN in some components of {int(torn.sum())} vector(s), the first "
            f"{_where(torn)}: NaN in all components means that a field is absent there."
        )
    there = ~missing.all(-1)
    if mask is not None and (empty := mask & ~there.any(0)).any():
        raise ValueError(
            f"{name} contains NaN inside the mask: {int(empty.sum())} voxel(s) have no field, the "
            f"first at {_first(empty)}. Leave them out of the mask."
        )
    for k in np.flatnonzero(~there.reshape(len(X), -1).any(1)):
        raise ValueError(f"{name} has no vector at all in field {k}: every value of it is NaN.")
    length = np.linalg.norm(np.where(there[..., None], X, 1.0), axis=-1)
    zero = there & (length < 1e-12)
    if zero.any():
        raise ValueError(
            f"{name} has zero vectors inside the mask: {int(zero.sum())}, the first {_where(zero)}."
            " Give a mask without them, or NaN where a field is absent."
        )
    off = there & (np.abs(length - 1) > UNIT)
    if off.any():
        warn_assumption(
            "not-unit-length",
            f"{int(off.sum())} vector(s) of {name} are not of unit length (from "
            f"{length[off].min():.3g} to {length[off].max():.3g}): all are divided by it.",
        )
    return X / length[..., None], there.any(0)


def check_mask(mask, grid, affine=None):
    """Return a mask of the grid as bool.

    Besides 0 and 1: probabilities (from a half on), 0 and another number (255), an axis of length 1
    at the end, an image of this affine or its file.
    """
    mask = np.asarray(values_of(mask, affine))
    if mask.shape == (*grid, 1):
        mask = mask[..., 0]
    if mask.shape != tuple(grid):
        raise ValueError(
            f"mask must have the shape of the grid of X, {tuple(grid)}. Got {mask.shape}."
        )
    if mask.dtype.kind in "iuf":
        values = np.unique(mask)
        if np.isfinite(values).all() and len(values) == 2 and values[0] == 0 and values[1] > 1:
            mask = mask > 0
        elif mask.dtype.kind == "f" and len(values) > 2 and values[0] >= 0 and values[-1] <= 1:
            mask = mask >= 0.5
    mask = as_mask(mask, "mask")
    if not mask.any():
        raise ValueError("mask is empty: no voxel is in it.")
    return mask


def check_amplitude(amplitude, X):
    """Return amplitudes of fields, 1 for a strong peak, 0 where a field is absent."""
    there = np.isfinite(X[..., 0])
    if amplitude is None:
        return there.astype(float)
    amplitude = np.asarray(amplitude, dtype=float)
    if amplitude.shape != there.shape:
        raise ValueError(
            f"amplitude must have the shape of the fields, {there.shape}. Got {amplitude.shape}."
        )
    inside = amplitude[there]
    if not np.isfinite(inside).all() or (inside < 0).any() or not inside.any():
        raise ValueError("amplitude must be finite and not negative where there is a field.")
    strongest = np.where(there, amplitude, 0).max(0)
    return np.where(there, amplitude, 0) / np.quantile(strongest[there.any(0)], 0.9)


def check_option(name, value, options):
    """Check that an argument is one of some options."""
    if not any(isinstance(value, str) and value == option for option in options):
        raise ValueError(f"{name} must be {' or '.join(map(repr, options))}. Got {value!r}.")


def check_points(points, dim, name="points"):
    """Return points or directions as an array (n, dim)."""
    points = check_array(points, input_name=name, dtype=float, ensure_2d=False, allow_nd=True)
    points = np.atleast_2d(points)
    if points.ndim != 2 or points.shape[1] != dim:
        raise ValueError(f"{name} must have the shape (n, {dim}). Got {points.shape}.")
    return points


def _as_array(X, name):
    X = check_array(
        X,
        input_name=name,
        dtype=np.float64,
        ensure_2d=False,
        allow_nd=True,
        ensure_all_finite="allow-nan",
    )
    if X.ndim not in (4, 5) or X.shape[-1] != X.ndim - 2:
        raise ValueError(
            f"{name} must have the shape (n_fields, nx, ny, 2) or (n_fields, nx, ny, nz, 3), "
            f"vectors last. Got {X.shape}. (One field is {name}[np.newaxis].)"
        )
    largest = float(np.nanmax(np.abs(X), initial=0.0))
    if largest > LARGEST_VALUE:
        raise ValueError(f"{name} holds values up to {largest:.3g}: they cannot be squared.")
    if _is_of_dipy(X):
        raise ValueError(
            f"{name} seems to have peaks on axis 3, (nx, ny, nz, n_peaks, 3), as dipy has them: "
            f"what is absent along that axis stays absent. Fields are on axis 0: "
            f"np.moveaxis({name}, 3, 0), with NaN where a peak is absent."
        )
    if min(X.shape[1:-1]) < 2:
        raise ValueError(
            f"{name} must have at least 2 voxels along each axis of the grid. Got {X.shape[1:-1]}."
        )
    return X


def _is_of_dipy(X):
    """Whether peaks are numbered along the last axis of the grid, not along the fields.

    Peaks are sorted: where one is absent (NaN or zero) all further ones are, and some are. With one
    peak a voxel the fields would be more than any file has.
    """
    if X.ndim != 5 or X.shape[3] > MOST_PEAKS:
        return False
    if X.shape[3] == 1:
        return len(X) > MOST_PEAKS
    there = np.nan_to_num(X).any(-1).astype(int)
    along_grid, along_fields = (np.diff(there, axis=axis) for axis in (3, 0))
    return along_grid.min() < 0 and along_grid.max() <= 0 < along_fields.max(initial=0)


def _where(places):
    field, *voxel = np.argwhere(places)[0].tolist()
    return f"in field {field} at voxel {tuple(voxel)}"


def _first(places):
    return f"voxel {tuple(np.argwhere(places)[0].tolist())}"
