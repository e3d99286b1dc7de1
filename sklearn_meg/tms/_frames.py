"""Points, frames and grids: how a neuron or a coil is placed in the head.

Everything is in metres, in a right-handed head frame whose origin is the centre of the sphere.
"""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np

from .._validation import check_array

if TYPE_CHECKING:
    from .._typing import ArrayLike

FARTHEST = 1.0  # m: no point of a head or a coil is that far from the centre


def check_points(points, name="points"):
    """Return points or vectors as a float64 array of three columns.

    Parameters
    ----------
    points : array-like of shape (n, 3)
    name : str
        What they are, for the message.

    Returns
    -------
    points : ndarray of shape (n, 3)

    Raises
    ------
    ValueError
        For another shape, NaN or infinity, or what are no real numbers.
    """
    shape = np.shape(points)
    if len(shape) != 2 or shape[1] != 3:
        raise ValueError(f"{name} must have the shape (n, 3). Got {shape}.")
    points = np.asarray(points)
    if points.dtype.kind not in "iuf":
        raise ValueError(f"{name} must be real numbers. Got an array of {points.dtype}.")
    if not np.isfinite(points).all():
        raise ValueError(f"{name} must be finite. Got NaN or infinity.")
    return points.astype(np.float64, copy=False)


def check_positions(points, name="points"):
    """Return positions like :func:`check_points`, after a look at their unit.

    Parameters
    ----------
    points : array-like of shape (n, 3)
        In m.
    name : str
        What they are, for the message.

    Returns
    -------
    points : ndarray of shape (n, 3)

    Raises
    ------
    ValueError
        For another shape, NaN or infinity, or a point more than 1 m from the origin.
    """
    points = check_points(points, name)
    farthest = np.abs(points).max(initial=0.0)
    if farthest > FARTHEST:
        raise ValueError(
            f"{name} must be in m, within 1 m of the centre of the head. Got coordinates up to "
            f"{farthest:.4g}: are they in mm?"
        )
    return points


def check_units(vectors, name):
    """Return directions made unit vectors.

    Parameters
    ----------
    vectors : array-like of shape (n, 3)
    name : str
        What they are, for the message.

    Returns
    -------
    units : ndarray of shape (n, 3)

    Raises
    ------
    ValueError
        For another shape, NaN or infinity, or a vector of no length.
    """
    vectors = check_points(vectors, name)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if (lengths == 0).any():
        row = int(np.flatnonzero(lengths[:, 0] == 0)[0])
        raise ValueError(f"{name} must be directions. Got a vector of length 0 in row {row}.")
    return vectors / lengths


def check_vector(vector, name, check=check_positions):
    """Return one position or direction of shape (3,), checked by `check`."""
    if np.shape(vector) != (3,):
        raise ValueError(f"{name} must have the shape (3,). Got {np.shape(vector)}.")
    return check(np.asarray(vector)[np.newaxis], name)[0]


def frames(axis, azimuth):
    """Rotation matrices of neurons or coils.

    The frame is turned by `azimuth` about z, then z is brought to `axis` by the shortest
    rotation (half a turn about x where `axis` is -z).

    Parameters
    ----------
    axis : array-like of shape (n, 3)
        Where z points, head frame; made unit vectors here.
    azimuth : array-like of shape (n,)
        Radians, right-handed about `axis`.

    Returns
    -------
    rotations : ndarray of shape (n, 3, 3)
        ``rotations[i] @ v`` takes a vector from the frame of neuron `i` to the head frame.

    Raises
    ------
    ValueError
        For an axis of length 0, NaN or infinity, or lengths that differ.
    """
    axis = check_units(axis, "axis")
    azimuth = check_array(np.atleast_1d(azimuth), ensure_2d=False, input_name="azimuth")
    if azimuth.shape != (len(axis),):
        raise ValueError(
            f"azimuth must have one value for each of the {len(axis)} axes. Got {azimuth.shape}."
        )
    return _shortest_rotation(axis) @ _about_z(azimuth.astype(np.float64))


def _shortest_rotation(axis):
    """Bring z to each of the unit vectors `axis` (n, 3)."""
    x, y, z = axis.T
    across = x**2 + y**2
    flipped = (z < 0) & (across == 0)
    # 1 / (1 + z), without cancellation near -z
    down = (1.0 - z) / np.where((z < 0) & ~flipped, across, 1.0)
    scale = np.where(z < 0, down, 1.0 / np.maximum(1.0 + z, 0.5))
    one = np.ones_like(z)
    rotation = np.array(
        [
            [one - scale * x * x, -scale * x * y, x],
            [-scale * x * y, one - scale * y * y, y],
            [-x, -y, z],
        ]
    ).transpose(2, 0, 1)
    rotation[flipped] = np.diag([1.0, -1.0, -1.0])
    return rotation


def _about_z(azimuth):
    cos, sin = np.cos(azimuth), np.sin(azimuth)
    zero, one = np.zeros_like(cos), np.ones_like(cos)
    rotation = np.array([[cos, -sin, zero], [sin, cos, zero], [zero, zero, one]])
    return rotation.transpose(2, 0, 1)


def grid_points(size: int = 9, spacing: float = 1.5e-3) -> np.ndarray:
    """Points of a cubic grid around the soma, in the neuron's frame.

    Parameters
    ----------
    size : int
        Points along each side; odd, so that one of them is the soma.
    spacing : float
        Between neighbours, m.

    Returns
    -------
    points : ndarray of shape (size, size, size, 3)
        Indexed [ix, iy, iz], in m; the soma is ``points[size // 2, size // 2, size // 2]``.

    Raises
    ------
    ValueError
        For an even or too small `size`, or a `spacing` that is not positive or not in m.

    Examples
    --------
    >>> from sklearn_meg.tms.field import grid_points
    >>> points = grid_points(size=9, spacing=1.5e-3)
    >>> points.shape
    (9, 9, 9, 3)
    >>> points[4, 4, 5]
    array([0.    , 0.    , 0.0015])
    """
    if not isinstance(size, Integral) or isinstance(size, bool) or size < 1 or size % 2 == 0:
        raise ValueError(f"size must be an odd number of at least 1. Got {size!r}.")
    if not 0 < spacing < 0.05:
        raise ValueError(f"spacing must be in m, above 0 and below 0.05. Got {spacing!r}.")
    line = (np.arange(size) - size // 2) * float(spacing)
    return np.stack(np.meshgrid(line, line, line, indexing="ij"), axis=-1)


def to_head(points: ArrayLike, position: ArrayLike, axis: ArrayLike, azimuth: float) -> np.ndarray:
    """Take points from the frame of one neuron to the head frame.

    Parameters
    ----------
    points : array-like of shape (..., 3)
        In m; the soma at the origin, the somatodendritic axis along z.
    position : array-like of shape (3,)
        Of the soma, in m, head frame.
    axis : array-like of shape (3,)
        Somatodendritic axis, head frame; made a unit vector here.
    azimuth : float
        Radians, right-handed about `axis`: the neuron is turned by it about its own z, and
        then z is brought to `axis` by the shortest rotation.

    Returns
    -------
    points : ndarray of shape (..., 3)
        In m, head frame.

    Raises
    ------
    ValueError
        For wrong shapes, or positions that look like mm.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.tms.field import to_head
    >>> to_head([[0, 0, 0.001]], [0, 0, 0.07], [0, 1, 0], 0.3).round(4)
    array([[0.   , 0.001, 0.07 ]])
    """
    position = check_vector(position, "position")
    rotation = frames(np.reshape(axis, (1, -1)), azimuth)[0]
    points = np.asarray(points, dtype=np.float64)
    return check_positions(points.reshape(-1, 3), "points").reshape(points.shape) @ rotation.T + (
        position
    )


def to_neuron(vectors: ArrayLike, axis: ArrayLike, azimuth: float) -> np.ndarray:
    """Take vectors (such as E) from the head frame to the frame of one neuron.

    Parameters
    ----------
    vectors : array-like of shape (..., 3)
        Head frame.
    axis : array-like of shape (3,)
        Somatodendritic axis, head frame; made a unit vector here.
    azimuth : float
        Radians, as for :func:`to_head`.

    Returns
    -------
    vectors : ndarray of shape (..., 3)
        In the frame of the neuron: z along the somatodendritic axis.

    Raises
    ------
    ValueError
        For wrong shapes or an axis of length 0.

    Examples
    --------
    >>> from sklearn_meg.tms.field import to_neuron
    >>> to_neuron([[0.0, 2.0, 0.0]], [0, 1, 0], 0.0).round(4)
    array([[0., 0., 2.]])
    """
    rotation = frames(np.reshape(axis, (1, -1)), azimuth)[0]
    return np.asarray(vectors, dtype=np.float64) @ rotation
