"""Checks of fields and masks: said before anything is computed."""

import warnings

import numpy as np

from .._validation import LARGEST_VALUE, as_mask, check_array

UNIT = 1e-3  # a length that differs more from 1 is said


def check_fields(X, mask=None, name="X"):
    """Return fields of unit vectors, NaN where absent, and where any is.

    Parameters
    ----------
    X : array-like of shape (n_fields, nx, ny[, nz], dim)
    mask : array-like of shape (nx, ny[, nz],) or None

    Returns
    -------
    X : ndarray of float
    mask : ndarray of bool

    Raises
    ------
    ValueError
        See :meth:`ConnectomeMetric.fit`.
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
        warnings.warn(
            f"{int(off.sum())} vector(s) of {name} are not of unit length (from "
            f"{length[off].min():.3g} to {length[off].max():.3g}): all are divided by it.",
            UserWarning,
            stacklevel=4,
        )
    return X / length[..., None], there.any(0)


def check_mask(mask, grid):
    """Return a mask of the grid as bool."""
    mask = np.asarray(mask)
    if mask.shape != tuple(grid):
        raise ValueError(
            f"mask must have the shape of the grid of X, {tuple(grid)}. Got {mask.shape}."
        )
    mask = as_mask(mask, "mask")
    if not mask.any():
        raise ValueError("mask is empty: no voxel is in it.")
    return mask


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
    if min(X.shape[1:-1]) < 4:
        raise ValueError(
            f"{name} must have at least 4 voxels along each axis of the grid. Got {X.shape[1:-1]}."
        )
    return X


def _where(places):
    field, *voxel = np.argwhere(places)[0].tolist()
    return f"in field {field} at voxel {tuple(voxel)}"


def _first(places):
    return f"voxel {tuple(np.argwhere(places)[0].tolist())}"
