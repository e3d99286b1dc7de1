"""Fields that were computed elsewhere, given at points."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

from ._frames import check_points, check_positions

if TYPE_CHECKING:
    from .._typing import ArrayLike

NEIGHBOURS = 12
WEAKEST, STRONGEST = 1e-3, 50.0  # V/m for each A/µs, of the largest |E| in a head
SAMPLE = 1000  # points from which the usual distance of neighbours is read


class SampledField:
    """Field given at points, interpolated between them.

    Around each point a linear function of position is fitted to the nearest samples, weighted
    by distance (moving least squares): fields that are linear in position come back exactly, no
    mesh is needed, and points need no order. Where E jumps between tissues the jump is smoothed
    over a few samples.

    Parameters
    ----------
    points : array-like of shape (n_samples, 3)
        In m, head frame: centres of tetrahedra, nodes or a grid.
    E : array-like of shape (n_samples, 3)
        Electric field at the points, in V/m.
    didt : float
        The rate of change of the current that `E` was computed for, in A/µs. SimNIBS computes for
        1 A/µs unless told otherwise.
    n_neighbors : int
        Samples used around each point, at least 4.
    max_distance : float, optional
        Farthest a point may be from its nearest sample, in m. None takes three times the median
        distance between neighbouring samples.

    Raises
    ------
    ValueError
        For shapes that differ, too few samples, NaN or infinity, points that look like mm, a field
        that is zero or orders of magnitude from what a coil does for each A/µs, or, when called,
        for points too far from any sample.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.tms.field import SampledField
    >>> points = np.random.RandomState(0).uniform(-0.01, 0.01, size=(500, 3))
    >>> E = 100 * (1 + 20 * points[:, [1, 2, 0]])  # V/m at 100 A/µs
    >>> field = SampledField(points, E, didt=100)
    >>> field([[0.0, 0.005, 0.0]]).round(6)
    array([[1.1, 1. , 1. ]])
    """

    def __init__(
        self,
        points: ArrayLike,
        E: ArrayLike,
        didt: float = 1.0,
        n_neighbors: int = NEIGHBOURS,
        max_distance: float | None = None,
    ) -> None:
        points, E = check_positions(points), check_points(E, "E")
        if points.shape != E.shape:
            raise ValueError(
                f"points and E must have the same shape (n_samples, 3). Got {points.shape} and "
                f"{E.shape}."
            )
        if not 4 <= n_neighbors <= len(points):
            raise ValueError(
                "n_neighbors must be at least 4 and at most the number of samples, "
                f"{len(points)}. Got {n_neighbors!r}."
            )
        if not 0 < didt < np.inf:
            raise ValueError(f"didt must be in A/µs, above 0. Got {didt!r}.")
        if max_distance is not None and not 0 < max_distance:
            raise ValueError(f"max_distance must be in m, above 0. Got {max_distance!r}.")
        _check_strength(E / didt)
        self.points, self.E, self.n_neighbors = points, E / didt, int(n_neighbors)
        self._tree = cKDTree(points)
        self.max_distance = 3 * self._usual_distance() if max_distance is None else max_distance

    def __call__(self, points):
        """Interpolate E.

        Parameters
        ----------
        points : array-like of shape (n, 3)
            In m, head frame.

        Returns
        -------
        E : ndarray of shape (n, 3)
            V/m for each A/µs.
        """
        points = check_positions(points)
        if not len(points):
            return np.empty((0, 3))
        distances, nearest = self._tree.query(points, k=self.n_neighbors)
        self._check_near(distances[:, 0])
        # The farthest neighbour has almost no weight, so that E changes smoothly when another
        # sample takes its place.
        reach = distances[:, -1:] * (1 + 1e-3) + 1e-12
        weights = (1 - distances / reach) ** 2
        offsets = (self.points[nearest] - points[:, np.newaxis]) / reach[..., np.newaxis]
        design = np.concatenate([np.ones_like(offsets[..., :1]), offsets], axis=2)
        weighted = design * weights[..., np.newaxis]
        normal = weighted.transpose(0, 2, 1) @ design
        # Neighbours in one plane say nothing of the slope across it: taken as zero.
        ridge = 1e-9 * weights.sum(axis=1)[:, np.newaxis] * [0.0, 1.0, 1.0, 1.0]
        normal += ridge[:, np.newaxis] * np.eye(4)
        right = weighted.transpose(0, 2, 1) @ self.E[nearest]
        return np.linalg.solve(normal, right)[:, 0]

    def _usual_distance(self):
        some = self.points[:: max(1, len(self.points) // SAMPLE)]
        distance = np.median(self._tree.query(some, k=2)[0][:, 1])
        if distance > 0:
            return distance
        raise ValueError("points must differ. Got most of them at least twice.")

    def _check_near(self, distances):
        worst = distances.max()
        if worst > self.max_distance:
            n_far = int((distances > self.max_distance).sum())
            raise ValueError(
                f"points must be among the samples of the field, at most {self.max_distance:.3g} m "
                f"from the nearest one (max_distance). Got {n_far} of {len(distances)} farther, "
                f"up to {worst:.3g} m."
            )


def _check_strength(E):
    """Complain about fields that no coil induces for 1 A/µs."""
    strongest = np.sqrt((E**2).sum(axis=1).max())
    if not WEAKEST <= strongest <= STRONGEST:
        raise ValueError(
            "E / didt must be in V/m for each A/µs, with a largest |E| between "
            f"{WEAKEST:g} and {STRONGEST:g}. Got {strongest:.4g}: is E in V/m, and didt in A/µs?"
        )
