"""Where neurons sit under a coil."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np

from .._validation import check_random_state

if TYPE_CHECKING:
    from .._typing import RandomSeed

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
        Of the sphere, in m.
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
