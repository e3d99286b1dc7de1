"""Fields that were computed elsewhere: given at points, or read from files of other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

from .._checks.claims import check_claims
from .._optional import needs
from ._frames import check_points, check_positions
from ._settings import SAMPLED

if TYPE_CHECKING:
    from typing import Literal

    from .._typing import ArrayLike, PathLike

__all__ = ["SampledField", "read_field"]


class SampledField:
    """Field given at points, interpolated between them.

    Around each point a linear function of position is fitted to the nearest samples, weighted
    by distance (moving least squares): fields that are linear in position come back exactly, no
    mesh is needed, and points need no order. Where E jumps between tissues the jump is smoothed
    over a few samples. Nothing is extrapolated: a point that its neighbors do not surround gets
    their weighted mean, without a slope (:meth:`inside` tells which points those are).

    Parameters
    ----------
    points : array-like of shape (n_samples, 3)
        Coordinates in m, head frame: centers of tetrahedra, nodes or a grid.
    E : array-like of shape (n_samples, 3)
        Electric field at the points, in V/m.
    didt : float
        The rate of change of the current that `E` was computed for, in A/µs. SimNIBS computes for
        1 A/µs unless told otherwise.
    n_neighbors : int
        Samples used around each point, at least 4.
    max_distance : float, optional
        Farthest a point may be from its nearest sample, in m. None takes three times the median
        distance between neighboring samples.
    outside : {"raise", "nearest"}
        Treatment of points farther than that: an error, or the weighted mean of their nearest
        samples (for samples on the cortex only, say).

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
        n_neighbors: int = SAMPLED.neighbors,
        max_distance: float | None = None,
        outside: Literal["raise", "nearest"] = "raise",
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
        if outside not in ("raise", "nearest"):
            raise ValueError(f'outside must be "raise" or "nearest". Got {outside!r}.')
        _check_strength(E / didt)
        self.outside = outside
        self.points, self.E, self.n_neighbors = points, E / didt, int(n_neighbors)
        self._tree = cKDTree(points)
        self.max_distance = 3 * self._usual_distance() if max_distance is None else max_distance

    def __call__(self, points):
        """Interpolate E.

        points (n, 3): Coordinates in m, head frame.
        Returns E (n, 3): V/m for each A/µs.
        """
        points = check_positions(points)
        if not len(points):
            return np.empty((0, 3))
        distances, nearest, weights, offsets = self._neighbors(points)
        if self.outside == "raise":
            self._check_near(distances[:, 0])
        design = np.concatenate([np.ones_like(offsets[..., :1]), offsets], axis=2)
        weighted = design * weights[..., np.newaxis]
        normal = weighted.transpose(0, 2, 1) @ design
        # Neighbors in one plane say nothing of the slope across it: taken as zero.
        ridge = 1e-9 * weights.sum(axis=1)[:, np.newaxis] * [0.0, 1.0, 1.0, 1.0]
        normal += ridge[:, np.newaxis] * np.eye(4)
        right = weighted.transpose(0, 2, 1) @ self.E[nearest]
        found = np.linalg.solve(normal, right)[:, 0]
        alone = ~self._surrounded(distances, weights, offsets)
        share = weights[alone] / weights[alone].sum(axis=1, keepdims=True)
        found[alone] = np.einsum("nk,nkd->nd", share, self.E[nearest[alone]])
        return found

    def inside(self, points: ArrayLike) -> np.ndarray:
        """Tell which points are surrounded by samples.

        Parameters
        ----------
        points : array-like of shape (n, 3)
            Coordinates in m, head frame.

        Returns
        -------
        inside : ndarray of bool of shape (n,)
            False where a point is farther than `max_distance` from its nearest sample, or has all
            of its neighbors on one side: what is given there is a mean of neighbors.
        """
        distances, _, weights, offsets = self._neighbors(check_positions(points))
        return self._surrounded(distances, weights, offsets)

    def _neighbors(self, points):
        distances, nearest = self._tree.query(points, k=self.n_neighbors)
        # The farthest neighbor has almost no weight, so that E changes smoothly when another
        # sample takes its place.
        reach = distances[:, -1:] * (1 + 1e-3) + 1e-12
        weights = (1 - distances / reach) ** 2
        offsets = (self.points[nearest] - points[:, np.newaxis]) / reach[..., np.newaxis]
        return distances, nearest, weights, offsets

    def _surrounded(self, distances, weights, offsets):
        pull = np.einsum("nk,nkd->nd", weights, offsets) / weights.sum(axis=1, keepdims=True)
        lopsided = np.linalg.norm(pull, axis=1) > SAMPLED.lopsided
        return ~lopsided & (distances[:, 0] <= self.max_distance)

    def _usual_distance(self):
        some = self.points[:: max(1, len(self.points) // SAMPLED.sample)]
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
    if not SAMPLED.weakest <= strongest <= SAMPLED.strongest:
        raise ValueError(
            "E / didt must be in V/m for each A/µs, with a largest |E| between "
            f"{SAMPLED.weakest:g} and {SAMPLED.strongest:g}. Got {strongest:.4g}: is E in V/m, and "
            "didt in A/µs?"
        )


def read_field(
    path: PathLike,
    *,
    name: str = "E",
    didt: float = 1.0,
    unit: float = 1e-3,
    tags: ArrayLike | None = None,
    positions: str = "points",
    **options: object,
) -> SampledField:
    """Read a field from a mesh or an array file of another program.

    Parameters
    ----------
    path : path-like
        A mesh that meshio reads (``.msh`` of SimNIBS and Gmsh, ``.vtu``, ...) with E on its
        elements or nodes; or an HDF5 file (``.h5``, ``.hdf5``) or ``.npz`` with arrays of positions
        and of E.
    name : str, default="E"
        Name of the data of the mesh, or path of the data set in the file.
    didt : float, default=1.0
        Rate of change of the current that E was computed for, in A/us.
    unit : float, default=1e-3
        Length of the unit of positions, in m (SimNIBS: mm).
    tags : array-like of int, optional
        Tissues to take (of SimNIBS: 1 white and 2 gray matter). None takes every volume element.
    positions : str, default="points"
        Path of the data set of positions in an HDF5 or ``.npz`` file.
    **options
        Further parameters of :class:`SampledField`.

    Returns
    -------
    field : SampledField

    Raises
    ------
    ImportError
        If meshio or h5py is missing.
    ValueError
        For a file without such data.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from sklearn_meg.tms import read_field
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "field.npz"
    >>> points = np.random.default_rng(0).uniform(-10, 10, size=(200, 3))  # mm
    >>> np.savez(file, points=points, E=np.ones((200, 3)))
    >>> read_field(file)([[0.0, 0.001, 0.0]]).round(3)
    array([[1., 1., 1.]])
    """
    path = Path(path)
    if path.suffix == ".npz":
        check_claims(path)
        with np.load(path) as file:
            found = _from_arrays(file, path, positions, name)
    elif path.suffix in (".h5", ".hdf5"):
        with needs("Reading an HDF5 file", "h5py", "h5py"):
            import h5py
        with h5py.File(path) as file:
            found = _from_arrays(file, path, positions, name)
    elif path.suffix in (".csv", ".tsv", ".txt"):
        raise ValueError(
            f"{path.name} is a table, no mesh. Read it, with pandas.read_csv for example, and give "
            "SampledField its positions (m) and E."
        )
    else:
        found = _from_mesh(path, name, tags)
    return SampledField(unit * found[0], found[1], didt=didt, **options)


def _from_arrays(file, path, positions, name):
    for key in (positions, name):
        if key not in file:
            raise ValueError(f"{path.name} has no data set {key!r}. It has {list(file)}.")
    return np.asarray(file[positions], float), np.asarray(file[name], float)


def _from_mesh(path, name, tags):
    """Positions and E of the volume elements, or of the nodes."""
    with needs("Reading a mesh", "meshio", "meshio"):
        import meshio
    mesh = meshio.read(path)
    if name in mesh.point_data:
        return mesh.points, np.asarray(mesh.point_data[name], float)
    if name not in mesh.cell_data:
        known = [*mesh.point_data, *mesh.cell_data]
        raise ValueError(f"{path.name} has no data {name!r}. It has {known}.")
    points, values = [], []
    labels = mesh.cell_data.get("gmsh:physical", [None] * len(mesh.cells))
    for block, E, label in zip(mesh.cells, mesh.cell_data[name], labels):
        if block.type != "tetra":
            continue
        chosen = np.ones(len(E), bool) if tags is None else np.isin(label, np.atleast_1d(tags))
        points.append(mesh.points[block.data[chosen]].mean(axis=1))
        values.append(np.asarray(E, float)[chosen])
    if not points or not sum(map(len, points)):
        raise ValueError(f"{path.name} has no tetrahedra with {name!r} of the tissues {tags}.")
    return np.concatenate(points), np.concatenate(values)
