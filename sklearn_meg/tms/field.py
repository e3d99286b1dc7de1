"""Electric fields of TMS in the head.

A field here is anything that can be called with points ``(n, 3)`` in m (head frame, the centre
of the sphere at the origin) and gives back E ``(n, 3)`` in V/m for each A/µs of the current's
rate of change. Multiply by the stimulator's dI/dt in A/µs to get V/m.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._frames import check_positions, check_vector, grid_points, to_head, to_neuron
from ._heterogeneous import HeterogeneousField
from ._local import RADIUS, SMOOTH, LocalField
from ._placements import draw_placements, placement_rows
from ._sampled import SampledField

if TYPE_CHECKING:
    from .._typing import ArrayLike
    from .coil import Coil

__all__ = [
    "HeterogeneousField",
    "SampledField",
    "SphereField",
    "draw_placements",
    "grid_points",
    "placement_rows",
    "to_head",
    "to_neuron",
]

MU0_OVER_4PI = 1e-7
PER_A_PER_US = 1e6  # one A/µs is 1e6 A/s
PAIRS = 16_000  # of points and dipoles at a time: the work arrays stay in the cache


class SphereField:
    """Electric field of a coil in a spherically symmetric conductor, in closed form.

    By reciprocity with the magnetic field of a current dipole (Sarvas 1987; Heller and van
    Hulsteyn 1992): a dipole of moment m at r induces at r0, nearer to the centre than r,

    ``E = -dI/dt mu0 / (4 pi F²) [F (r0 x m) - (r0 x r) (m . grad F)]``,

    with F and its gradient as in Sarvas' equation 25. The field has no radial part and does not
    depend on the conductivities of the shells nor on their radii. This is the full solution,
    with the field of the charges on the spheres, not only -dA/dt.

    Parameters
    ----------
    coil : Coil
        Outside the conductor, already placed: see :meth:`Coil.at`.
    center : array-like of shape (3,)
        Of the sphere, in m.

    Raises
    ------
    TypeError
        For a coil without positions and moments.
    ValueError
        For a centre of the wrong shape, or, when called, for points that are no nearer to the
        centre than the nearest dipole, are not finite or look like mm.

    Examples
    --------
    >>> from sklearn_meg.tms.coil import figure8_coil
    >>> from sklearn_meg.tms.field import SphereField
    >>> field = SphereField(figure8_coil().at([0, 0, 0.09], [0, 0, -1]))
    >>> E = field([[0, 0, 0.07], [0, 0.01, 0.07]])
    >>> E.shape
    (2, 3)
    """

    def __init__(self, coil: Coil, center: ArrayLike = (0.0, 0.0, 0.0)) -> None:
        if not (hasattr(coil, "positions") and hasattr(coil, "moments")):
            raise TypeError(f"coil must be a Coil. Got {type(coil).__name__}.")
        self.coil = coil
        self.center = check_vector(center, "center")
        self._dipoles = coil.positions - self.center
        self._radii = np.linalg.norm(self._dipoles, axis=1)
        if not self._radii.min() > 0:
            raise ValueError("coil must be outside the head. Got a dipole at the centre.")
        self._radial_moments = (coil.moments * self._dipoles).sum(axis=1)

    def __repr__(self):
        return f"SphereField({self.coil!r})"

    def __call__(self, points):
        """Compute E at points.

        Parameters
        ----------
        points : array-like of shape (n, 3)
            In m, head frame.

        Returns
        -------
        E : ndarray of shape (n, 3)
            V/m for each A/µs.
        """
        points = check_positions(points) - self.center
        self._check_inside(points)
        E = np.empty_like(points)
        step = max(1, PAIRS // len(self._radii))
        for start in range(0, len(points), step):
            part = slice(start, start + step)
            E[part] = self._induced(points[part])
        return E

    def local(self, center: ArrayLike, radius: float = RADIUS) -> LocalField:
        """Replace the field near a place by a polynomial, for many points at little cost.

        Parameters
        ----------
        center : array-like of shape (3,)
            In m, head frame.
        radius : float
            Of the ball where the polynomial (degree 5) stands in, in m; outside it the closed
            form is used.

        Returns
        -------
        field : LocalField
            Another field, at most about 0.2 % of the field at `center` off. The ball never
            reaches farther than 0.6 of the way to the coil.
        """
        center = check_vector(center, "center")
        gap = self._radii.min() - np.linalg.norm(center - self.center)
        return LocalField(self, center, min(radius, SMOOTH * gap))

    def closeness(self, centers: np.ndarray, radius: float) -> np.ndarray:
        """Compare a radius with the way to the coil.

        Parameters
        ----------
        centers : ndarray of shape (n, 3)
            In m, head frame.
        radius : float
            Of the balls around them, in m.

        Returns
        -------
        closeness : ndarray of shape (n,)
            1 where the ball may touch the coil; 0 for points. The smaller, the better a
            polynomial stands in for the field.
        """
        gap = self._radii.min() - np.linalg.norm(centers - self.center, axis=1)
        return radius / np.maximum(gap, 1e-9)

    def _check_inside(self, points):
        farthest = np.sqrt((points**2).sum(axis=1).max(initial=0.0))
        if farthest >= self._radii.min():
            raise ValueError(
                "points must be inside the head: nearer to the centre of the sphere than the "
                f"nearest part of the coil, {self._radii.min():.4g} m. Got one at "
                f"{farthest:.4g} m."
            )

    def _induced(self, points):
        """E at points (n, 3) relative to the centre; names as in Sarvas' equation 25."""
        r, moments = self._radii, self.coil.moments
        toward = r**2 - points @ self._dipoles.T  # a . r
        a = 2 * toward
        a += (points**2).sum(axis=1)[:, np.newaxis] - r**2
        np.sqrt(a, out=a)  # |r - r0|
        inverse = r * a
        inverse += toward
        inverse *= a
        np.reciprocal(inverse, out=inverse)  # 1 / F
        toward /= a
        toward += a
        gradient = a / r
        gradient += 1
        gradient *= a
        toward += 2 * r
        gradient += toward
        gradient *= self._radial_moments
        toward *= points @ moments.T
        gradient -= toward  # m . grad F
        gradient *= inverse
        gradient *= inverse
        along = inverse @ moments - gradient @ self._dipoles
        return -MU0_OVER_4PI * PER_A_PER_US * _cross(points, along)


def _cross(a, b):
    """Cross products of rows; several times faster than `numpy.cross` on few points."""
    (x, y, z), (u, v, w) = a.T, b.T
    return np.column_stack([y * w - z * v, z * u - x * w, x * v - y * u])
