"""Points, frames and grids: how a neuron or a coil is placed in the head.

Everything is in meters, in a right-handed head frame whose origin is the center of the sphere.
"""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np

from .._checks.trials import check_array

if TYPE_CHECKING:
    from .._typing import ArrayLike
from .._checks.params import check_random_state

if TYPE_CHECKING:
    from .._typing import RandomSeed

FARTHEST = 1.0  # m: no point of a head or a coil is that far from the center


def check_points(points, name="points"):
    """Return points or vectors as a float64 array of three columns.

    points (n, 3)
    name: Name of the values in error messages.
    Returns points (n, 3)
    Raises ValueError for another shape, NaN or infinity, or what are no real numbers.
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

    points (n, 3): Coordinates in m.
    name: Name of the values in error messages.
    Returns points (n, 3)
    Raises ValueError for another shape, NaN or infinity, or a point more than 1 m from the origin.
    """
    points = check_points(points, name)
    farthest = np.abs(points).max(initial=0.0)
    if farthest > FARTHEST:
        raise ValueError(
            f"{name} must be in m, within 1 m of the center of the head. Got coordinates up to "
            f"{farthest:.4g}: are they in mm?"
        )
    return points


def check_units(vectors, name):
    """Return directions made unit vectors.

    vectors (n, 3)
    name: Name of the values in error messages.
    Returns units (n, 3)
    Raises ValueError for another shape, NaN or infinity, or a vector of no length.
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

    axis (n, 3): Directions of z in the head frame; they are normalized here.
    azimuth (n,): Radians, right-handed about `axis`.
    Returns rotations (n, 3, 3): ``rotations[i] @ v`` takes a vector from the frame of neuron `i`
        to the head frame.
    Raises ValueError for an axis of length 0, NaN or infinity, or lengths that differ.
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
        Between neighbors, m.

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
        Coordinates in m; the soma at the origin, the somatodendritic axis along z.
    position : array-like of shape (3,)
        Position of the soma, in m, head frame.
    axis : array-like of shape (3,)
        Somatodendritic axis, head frame; made a unit vector here.
    azimuth : float
        Radians, right-handed about `axis`: the neuron is turned by it about its own z, and
        then z is brought to `axis` by the shortest rotation.

    Returns
    -------
    points : ndarray of shape (..., 3)
        Coordinates in m, head frame.

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
        Vectors in the frame of the neuron: z along the somatodendritic axis.

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


TWIST = 2 * np.pi


def draw_placements(
    n: int,
    random_state: RandomSeed = None,
    *,
    scalp_radius: float = 0.0875,
    depth: tuple[float, float] = (0.015, 0.030),
    max_offset: float = 0.030,
    max_tilt: float = np.pi / 2,
    first_geometry: int = 0,
) -> dict:
    """Draw neurons in the cortex below a coil that sits over the z axis.

    Parameters
    ----------
    n : int
        How many.
    random_state : int, RandomState instance or None
        Decides positions, axes and azimuths.
    scalp_radius : float
        Scalp radius of the sphere, in m.
    depth : tuple of 2 float
        Range of depths below the scalp, in m; drawn evenly.
    max_offset : float
        Farthest from the z axis along the sphere, in m at the scalp; drawn evenly over the area.
    max_tilt : float
        Largest angle between the somatodendritic axis and the radial direction: small on the
        crown of a gyrus, near a right angle on the walls of a sulcus. Directions are drawn evenly
        over that part of the sphere (rebuilt: more walls than crowns, as the cortex has).
    first_geometry : int
        Seed of the geometry of the first placement; the others count on from there. Sets whose
        ranges do not overlap share no geometry.

    Returns
    -------
    placements : dict
        ``position`` (n, 3) in m; ``axis`` (n, 3) unit vectors; ``azimuth`` (n,) radians;
        ``geometry`` (n,) int seeds for :class:`HeterogeneousField`.

    Raises
    ------
    ValueError
        For sizes that look like mm, depths out of order or a number below 1.

    Examples
    --------
    >>> from sklearn_meg.tms.field import draw_placements
    >>> placements = draw_placements(100, random_state=0, first_geometry=1000)
    >>> placements["position"].shape, placements["geometry"][:2]
    ((100, 3), array([1000, 1001]))
    """
    _check(n, scalp_radius, depth, max_offset, max_tilt, first_geometry)
    rng = check_random_state(random_state)
    radial = _cap(rng, n, max_offset / scalp_radius)
    position = radial * (scalp_radius - rng.uniform(*depth, size=(n, 1)))
    axis = _turn(_cap(rng, n, max_tilt), radial)
    return {
        "position": position,
        "axis": axis,
        "azimuth": rng.uniform(0, TWIST, size=n),
        "geometry": first_geometry + np.arange(n),
    }


def placement_rows(placements: dict, geometry: bool = True) -> np.ndarray:
    """Write placements as the rows that :class:`EFieldSampler` takes.

    Parameters
    ----------
    placements : dict
        From :func:`draw_placements`.
    geometry : bool
        Whether the geometry seed is the last column.

    Returns
    -------
    X : ndarray of shape (n, 7) or (n, 8)
        Position, axis, azimuth and the seed.

    Examples
    --------
    >>> from sklearn_meg.tms.field import draw_placements, placement_rows
    >>> placement_rows(draw_placements(5, random_state=0)).shape
    (5, 8)
    """
    names = ("position", "axis", "azimuth", "geometry")[: 4 if geometry else 3]
    return np.column_stack([placements[name] for name in names])


def _check(n, scalp_radius, depth, max_offset, max_tilt, first_geometry):
    if not isinstance(n, Integral) or n < 1:
        raise ValueError(f"n must be a whole number of at least 1. Got {n!r}.")
    if not 0.03 <= scalp_radius <= 0.3:
        raise ValueError(f"scalp_radius must be in m, from 0.03 to 0.3. Got {scalp_radius!r}.")
    if len(depth) != 2 or not 0 <= depth[0] <= depth[1] < scalp_radius:
        raise ValueError(
            f"depth must be a range in m, 0 <= low <= high < scalp_radius. Got {depth!r}."
        )
    if not 0 <= max_offset <= np.pi * scalp_radius:
        raise ValueError(f"max_offset must be in m along the scalp. Got {max_offset!r}.")
    if not 0 <= max_tilt <= np.pi:
        raise ValueError(f"max_tilt must be in radians, from 0 to pi. Got {max_tilt!r}.")
    if not isinstance(first_geometry, Integral) or first_geometry < 0:
        raise ValueError(f"first_geometry must be a whole number from 0. Got {first_geometry!r}.")


def _cap(rng, n, angle):
    """Draw unit vectors evenly within `angle` of z."""
    z = rng.uniform(np.cos(angle), 1, size=n)
    turn = rng.uniform(0, TWIST, size=n)
    across = np.sqrt(1 - z**2)
    return np.column_stack([across * np.cos(turn), across * np.sin(turn), z])


def _turn(vectors, onto):
    """Turn each vector by the shortest rotation that takes z onto the unit vector `onto`."""
    from ._frames import frames

    return np.einsum("nij,nj->ni", frames(onto, np.zeros(len(onto))), vectors)
