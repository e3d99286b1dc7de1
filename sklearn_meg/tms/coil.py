"""TMS coils as sets of magnetic dipoles.

A flat winding is a layer of dipoles: inside the innermost turn every turn counts, between the
turns only those farther out (Ravazzani, Ruohonen, Grandori and Tognola, Ann Biomed Eng 1996).
The layer is replaced by dipoles on rings, placed as in Gauss quadrature.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ._frames import check_points, check_positions, check_vector, frames

if TYPE_CHECKING:
    from .._typing import ArrayLike, PathLike

__all__ = ["Coil", "figure8_coil", "percent_output", "read_ccd", "round_coil"]


@dataclass(frozen=True, eq=False)  # arrays do not compare to one truth value
class Coil:
    """A coil as magnetic dipoles.

    Parameters
    ----------
    positions : array-like of shape (n_dipoles, 3)
        Coordinates in m.
    moments : array-like of shape (n_dipoles, 3)
        Area vectors times turns, in m² (A m² for each A through the coil).
    name : str
        Name of the coil.

    Raises
    ------
    ValueError
        For wrong shapes, NaN or infinity, no dipole, or positions that look like mm.

    Examples
    --------
    >>> from sklearn_meg.tms.coil import Coil
    >>> Coil([[0, 0, 0.1]], [[0, 0, 1e-4]], name="one dipole")
    Coil(n_dipoles=1, name='one dipole')
    """

    positions: np.ndarray = field(repr=False)
    moments: np.ndarray = field(repr=False)
    name: str = ""

    def __post_init__(self):
        positions = check_positions(self.positions, "positions").copy()
        moments = check_points(self.moments, "moments").copy()
        if not len(positions) or positions.shape != moments.shape:
            raise ValueError(
                "positions and moments must have the same shape (n_dipoles, 3), with at least one "
                f"dipole. Got {positions.shape} and {moments.shape}."
            )
        object.__setattr__(self, "positions", positions)
        object.__setattr__(self, "moments", moments)

    def __repr__(self):
        return f"Coil(n_dipoles={len(self.positions)}, name={self.name!r})"

    def at(
        self, position: ArrayLike, direction: ArrayLike | None = None, azimuth: float = 0.0
    ) -> Coil:
        """Place the coil.

        The coil is turned by `azimuth` about its z axis (the outward normal), then tilted by the
        shortest rotation until its head side, -z, looks along `direction`, then moved.

        Parameters
        ----------
        position : array-like of shape (3,) or (4, 4)
            Center of the coil, in m. Or a pose as SimNIBS and navigators write it: a matrix from
            the coil to the head whose third column points into the head and whose last column is
            the center, in m, or in mm if it is longer than 1; then nothing else is given.
        direction : array-like of shape (3,), optional
            Direction of the coil axis, into the head.
        azimuth : float
            Radians, counterclockwise as seen from outside the head.

        Returns
        -------
        coil : Coil
            A new one.

        Raises
        ------
        ValueError
            For wrong shapes, a direction of length 0, or a position that looks like mm.

        Examples
        --------
        >>> from sklearn_meg.tms.coil import figure8_coil
        >>> coil = figure8_coil().at([0, 0, 0.09], direction=[0, 0, -1])
        >>> coil.positions.mean(axis=0).round(6) + 0.0
        array([0.  , 0.  , 0.09])
        """
        if np.shape(position) == (4, 4):
            if direction is not None or azimuth:
                raise ValueError(
                    "A pose of shape (4, 4) says it all: give no direction or azimuth."
                )
            rotation, position = _of_pose(np.asarray(position, dtype=float))
            return Coil(
                self.positions @ rotation.T + position, self.moments @ rotation.T, self.name
            )
        if direction is None:
            raise ValueError("direction must be given, unless position is a matrix (4, 4).")
        position = check_vector(position, "position")
        direction = check_vector(direction, "direction", check_points)
        rotation = frames(-direction[np.newaxis], azimuth)[0]
        return self._moved(rotation, position)

    def _moved(self, rotation, position):
        return Coil(self.positions @ rotation.T + position, self.moments @ rotation.T, self.name)


def read_ccd(path: PathLike) -> Coil:
    r"""Read a coil from a ``.ccd`` file of SimNIBS: a list of magnetic dipoles.

    The file has its z axis pointing into the head; here the head side is -z, so that
    :meth:`Coil.at` places it like the coils made here.

    Parameters
    ----------
    path : path-like
        Lines ``x y z mx my mz`` in m and A m² for each A, below comments and a count.

    Returns
    -------
    coil : Coil

    Raises
    ------
    ValueError
        For a file without such lines, or whose count is another.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklearn_meg.tms import read_ccd
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "coil.ccd"
    >>> _ = file.write_text("# number of elements\n1\n# x y z mx my mz\n0 0 0 0 0 1e-4\n")
    >>> read_ccd(file).moments.tolist()
    [[0.0, -0.0, -0.0001]]
    """
    path = Path(path)
    rows, count = [], None
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1):
        text = line.split("#", 1)[0].replace(",", " ").split()
        try:
            values = [float(word) for word in text]
        except ValueError:
            raise ValueError(f"{path.name}, line {number}: numbers are expected.") from None
        if len(values) == 6:
            rows.append(values)
        elif len(values) == 1 and count is None:
            count = values[0]
        elif values:
            raise ValueError(
                f"{path.name}, line {number}: 6 numbers are expected. Got {len(values)}."
            )
    if not rows or (count is not None and count != len(rows)):
        raise ValueError(f"{path.name} must hold {count or 'some'} dipoles. Got {len(rows)}.")
    dipoles = np.array(rows)
    flip = [1.0, -1.0, -1.0]
    return Coil(dipoles[:, :3] * flip, dipoles[:, 3:] * flip, path.stem)


def percent_output(didt: ArrayLike, max_didt: float) -> np.ndarray:
    """Turn A/us into percent of the maximum stimulator output.

    Parameters
    ----------
    didt : array-like
        Thresholds or other rates of change, in A/us.
    max_didt : float
        Rate of change at 100 % of the stimulator with its coil, in A/us: from its data sheet (150
        to 170 for common figure-8 coils).

    Returns
    -------
    percent : ndarray
        Above 100 where the stimulator is too weak.

    Raises
    ------
    ValueError
        For a maximum that is not positive.

    Examples
    --------
    >>> from sklearn_meg.tms import percent_output
    >>> percent_output([80.0, 200.0], max_didt=160)
    array([ 50., 125.])
    """
    if not 0 < max_didt < np.inf:
        raise ValueError(f"max_didt must be positive, in A/us. Got {max_didt!r}.")
    return 100 * np.asarray(didt, dtype=float) / max_didt


def _of_pose(matrix):
    """Rotation and position (m) of a coil whose head side is -z, from a pose with z inwards."""
    rotation, position = matrix[:3, :3], matrix[:3, 3]
    lengths = np.linalg.norm(rotation, axis=0)
    proper = np.allclose(rotation.T @ rotation, np.diag(lengths**2), atol=1e-3 * lengths.max() ** 2)
    if not np.isfinite(matrix).all() or not proper or np.linalg.det(rotation) <= 0:
        raise ValueError(
            "A pose must be a finite matrix (4, 4) of three perpendicular right-handed axes and a "
            f"position. Got {matrix.tolist()}."
        )
    if np.linalg.norm(position) > 1:
        position = position * 1e-3
    return rotation / lengths * [1.0, -1.0, -1.0], check_vector(position, "position")


def figure8_coil(
    inner_radius: float = 0.026,
    outer_radius: float = 0.044,
    n_turns: int = 9,
    separation: float = 0.090,
    n_rings: int = 8,
    n_sectors: int = 24,
) -> Coil:
    """Make a figure-8 coil in the plane z = 0, centered at the origin, its head side facing -z.

    The wings lie on the x axis. While the current rises, the field under the center points
    along -y; the moments point along +z in the wing at -x and along -z in the wing at +x.
    The default resembles a usual coil of 70 mm (rebuilt from published sizes).

    Parameters
    ----------
    inner_radius, outer_radius : float
        Radii of the innermost and the outermost turn of each wing, in m.
    n_turns : int
        Number of turns of each wing, evenly spaced.
    separation : float
        Between the centers of the wings, in m.
    n_rings, n_sectors : int
        Dipoles of each wing: along its radius and around it.

    Returns
    -------
    coil : Coil
        With ``2 * n_rings * n_sectors`` dipoles.

    Raises
    ------
    ValueError
        For radii that are not 0 < inner <= outer or look like mm, overlapping wings, or numbers
        of turns, rings or sectors below 1.

    Examples
    --------
    >>> from sklearn_meg.tms.coil import figure8_coil
    >>> figure8_coil()
    Coil(n_dipoles=384, name='figure-8')
    """
    dipoles, areas = _wing(inner_radius, outer_radius, n_turns, n_rings, n_sectors)
    if separation < 2 * outer_radius or separation > 1:
        raise ValueError(
            "separation must be in m, at least 2 * outer_radius "
            f"= {2 * outer_radius:g}, or the wings overlap. Got {separation!r}."
        )
    shift = np.array([separation / 2, 0.0, 0.0])
    # Mirrored, so that the two wings are each other's image to the last digit.
    positions = np.concatenate([dipoles - shift, dipoles * [-1, 1, 1] + shift])
    moments = np.zeros_like(positions)
    moments[:, 2] = np.concatenate([areas, -areas])
    return Coil(positions, moments, "figure-8")


def round_coil(
    inner_radius: float = 0.033,
    outer_radius: float = 0.0615,
    n_turns: int = 14,
    n_rings: int = 12,
    n_sectors: int = 32,
) -> Coil:
    """Make a round coil in the plane z = 0, centered at the origin.

    The moments point along +z. The default resembles a usual coil of 90 mm (rebuilt from
    published sizes).

    Parameters
    ----------
    inner_radius, outer_radius : float
        Radii of the innermost and the outermost turn, in m.
    n_turns : int
        Evenly spaced.
    n_rings, n_sectors : int
        Dipoles along the radius and around it.

    Returns
    -------
    coil : Coil
        With ``n_rings * n_sectors`` dipoles.

    Raises
    ------
    ValueError
        For radii that are not 0 < inner <= outer or look like mm, or numbers of turns, rings or
        sectors below 1.

    Examples
    --------
    >>> from sklearn_meg.tms.coil import round_coil
    >>> round_coil()
    Coil(n_dipoles=384, name='round')
    """
    positions, areas = _wing(inner_radius, outer_radius, n_turns, n_rings, n_sectors)
    moments = np.zeros_like(positions)
    moments[:, 2] = areas
    return Coil(positions, moments, "round")


def _wing(inner, outer, n_turns, n_rings, n_sectors):
    """Replace one winding by dipoles: positions (n, 3) and area times turns (n,)."""
    if not 0 < inner <= outer <= 0.5:
        raise ValueError(
            "inner_radius and outer_radius must be in m, 0 < inner_radius <= outer_radius <= 0.5. "
            f"Got {inner!r} and {outer!r}."
        )
    for name, value in (("n_turns", n_turns), ("n_rings", n_rings), ("n_sectors", n_sectors)):
        if int(value) != value or value < 1:
            raise ValueError(f"{name} must be a whole number of at least 1. Got {value!r}.")
    radii, areas = _rings(np.linspace(inner, outer, int(n_turns)), int(n_rings))
    angles = 2 * np.pi * (np.arange(int(n_sectors)) + 0.5) / int(n_sectors)
    x, y = radii[:, np.newaxis] * np.cos(angles), radii[:, np.newaxis] * np.sin(angles)
    dipoles = np.stack([x, y, np.zeros_like(x)], axis=-1).reshape(-1, 3)
    return dipoles, np.repeat(areas / int(n_sectors), int(n_sectors))


def _rings(turns, n_rings):
    """Radii and areas of the rings that stand best for a dipole layer.

    Gauss quadrature in s = radius², weighted with how many turns lie outside: all moments of the
    layer up to s^(2 n_rings - 1) are exact, so the field converges exponentially in n_rings.
    """
    edges = np.unique(np.concatenate([[0.0], turns**2]))
    x, w = np.polynomial.legendre.leggauss(n_rings + 1)
    half = np.diff(edges)[:, np.newaxis] / 2
    s = (edges[:-1, np.newaxis] + half * (x + 1)).ravel()
    outside = (turns**2 > edges[:-1, np.newaxis]).sum(axis=1)
    weight = (np.pi * outside[:, np.newaxis] * half * w).ravel()
    # The recurrence of the polynomials orthogonal under that weight (Stieltjes), whose matrix
    # has the nodes as eigenvalues (Golub and Welsch).
    diagonal, off = np.empty(n_rings), np.empty(n_rings)
    before, now, beta = np.zeros_like(s), np.full_like(s, weight.sum() ** -0.5), 0.0
    for k in range(n_rings):
        diagonal[k] = (weight * s * now**2).sum()
        after = (s - diagonal[k]) * now - beta * before
        beta = off[k] = np.sqrt((weight * after**2).sum())
        before, now = now, after / beta
    matrix = np.diag(diagonal) + np.diag(off[:-1], 1) + np.diag(off[:-1], -1)
    nodes, vectors = np.linalg.eigh(matrix)
    return np.sqrt(nodes), weight.sum() * vectors[0] ** 2
