"""From where a neuron or a coil is to the grid of electric field vectors around the neuron."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from .._checks.params import check_option_param, check_scalar_param, naming
from .._checks.trials import validate_data
from .._training.threads import one_blas_thread
from ._doubts import doubt_placements
from ._frames import check_positions, check_units, frames, grid_points
from ._heterogeneous import (
    HeterogeneousField,
    check_depth,
    check_heterogeneity,
    draw_geometry,
    make_surroundings,
)
from .coil import Coil, figure8_coil
from .field import SMALL, SMOOTH, SphereField, fit_matrix, monomials, nodes

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal

    from .._typing import ArrayLike, Self

__all__ = ["EFieldSampler"]

COIL_HEIGHT = 0.0925  # m: 5 mm above a scalp of 87.5 mm
CELLS = 64  # at a time
DTYPES = ("float32", "float64")


@dataclass(kw_only=True, eq=False, repr=False)
class EFieldSampler(TransformerMixin, BaseEstimator):
    """Sample the electric field on a grid around neurons, in the neurons' own frames.

    A pipeline such as ``make_pipeline(EFieldSampler(field=field), ThresholdCNN())`` goes from the
    placement of neurons, or the pose of the coil, to activation thresholds. Nothing is learned
    but the width of `X`.

    Parameters
    ----------
    field : callable, Coil or None
        With ``moves="cell"``: a field, called with points (n, 3) in m, head frame, giving E
        (n, 3) in V/m for each A/µs; a placed Coil means its :class:`SphereField`; None a
        figure-8 coil over the vertex of a sphere of 87.5 mm. With ``moves="coil"``: the Coil
        that is moved, as it was made (in the plane z = 0); None means a figure-8 coil.
    size : int
        Points along each side of the grid; odd.
    spacing : float
        Between neighbors, in m. For a network, that of the grids it learns from: data sets of
        :func:`make_tms_dataset` have :func:`grid_spacing` of their cell.
    moves : {"cell", "coil"}
        Meaning of the rows of X: placements of neurons under one field, or poses of the coil over
        one neuron.
    cell : array-like of shape (7,) or (8,), optional
        With ``moves="coil"`` the neuron, like a row of X for ``moves="cell"``.
    heterogeneity : float
        Above 0 each neuron sits in its own fold of the cortex (:class:`HeterogeneousField`) whose
        seed is the eighth column: of X, or of `cell`. Needs a field of a coil in a sphere. At 0
        the seeds are not used.
    depth : float or pair of float, optional
        Depth of the soma in the gray matter (:class:`HeterogeneousField`), for ``heterogeneity``
        above 0.
    dtype : {"float32", "float64"}
        Data type of the output; all is computed in float64.

    Attributes
    ----------
    n_features_in_ : int
        7, or 8 with seeds.

    Notes
    -----
    The field of a coil in a sphere is evaluated at 93 nodes around each neuron (33 for grids
    within 2 mm of the soma) and carried to the grid by a polynomial of degree 5 (3), with an
    error of at most about 0.2 % of the field at the soma (1e-5 for the small grids). Where the
    coil is too near for that, as near the corners of a grid of 16 mm less than 18 mm below the
    scalp, and for any other field, every point of the grid is evaluated.

    Examples
    --------
    >>> from sklearn_meg.tms.field import draw_placements, placement_rows
    >>> from sklearn_meg.tms.sampler import EFieldSampler
    >>> X = placement_rows(draw_placements(3, random_state=0))
    >>> EFieldSampler(heterogeneity=1.0).fit_transform(X).shape
    (3, 9, 9, 9, 3)
    >>> poses = [[0, 0, 0.0925, 0, 0, -1, 0.0], [0, 0.01, 0.0925, 0, 0, -1, 0.5]]
    >>> cell = [0, 0, 0.07, 0, 1, 0, 0.0]
    >>> EFieldSampler(moves="coil", cell=cell, size=5).fit_transform(poses).shape
    (2, 5, 5, 5, 3)
    """

    field: Callable | Coil | None = None
    size: int = 9
    spacing: float = 1.5e-3
    moves: Literal["cell", "coil"] = "cell"
    cell: ArrayLike | None = None
    heterogeneity: float = 0.0
    depth: float | tuple[float, float] | None = None
    dtype: Literal["float32", "float64"] = "float32"

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Check the parameters and X; nothing is learned.

        Parameters
        ----------
        X : array-like of shape (n, 7) or (n, 8)
            Position (m), axis or direction, azimuth (radians), and the seed of the geometry.
        y : object
            Not used.

        Returns
        -------
        self : EFieldSampler
            The sampler.
        """
        self._check(X, reset=True)
        return self

    @one_blas_thread()
    def transform(self, X: ArrayLike) -> np.ndarray:
        """Sample the field.

        Parameters
        ----------
        X : array-like of shape (n, 7) or (n, 8)
            With ``moves="cell"`` for each neuron the position of its soma (x, y, z in m), its
            somatodendritic axis (x, y, z) and azimuth (radians): :func:`to_head`; then, if
            heterogeneity is above 0, the seed of its geometry. With ``moves="coil"`` for each
            pose position, direction (into the head) and azimuth: :meth:`Coil.at`.

        Returns
        -------
        grids : ndarray of shape (n, size, size, size, 3)
            E in V/m for each A/µs, indexed [cell, ix, iy, iz, component], in the neuron's frame
            (z along its axis).
        """
        X, cell = self._check(X, reset=False)
        return self._sampled(X, cell)

    def _sampled(self, X, cell):
        shape = (len(X), self.size, self.size, self.size, 3)
        out = np.empty((len(X), self.size**3, 3), dtype=self.dtype)
        if self.moves == "coil":
            coil = figure8_coil() if self.field is None else self.field
            # What the bodies add is linear in the applied field, and they do not move.
            responses = [np.stack([add(e) for e in np.eye(3)], axis=-1) for add in self._adds(cell)]
            adds = [response.__matmul__ for response in responses]
            for row, pose in enumerate(X):
                field = SphereField(coil.at(pose[:3], pose[3:6], pose[6]))
                out[row] = self._grids(field, cell, adds)[0]
            return out.reshape(shape)
        field = self._field()
        for start in range(0, len(X), CELLS):
            cells = X[start : start + CELLS]
            out[start : start + CELLS] = self._grids(field, cells, self._adds(cells))
        return out.reshape(shape)

    def _field(self):
        if self.field is None:
            return SphereField(figure8_coil().at([0.0, 0.0, COIL_HEIGHT], [0.0, 0.0, -1.0]))
        return SphereField(self.field) if isinstance(self.field, Coil) else self.field

    def _grids(self, field, cells, adds):
        """E on the grids of some cells, (n, size³, 3), in the neurons' frames."""
        grid = grid_points(self.size, self.spacing).reshape(-1, 3)
        rotations = frames(cells[:, 3:6], cells[:, 6])
        radius = max(np.sqrt((grid**2).sum(axis=1).max()), 1e-3)
        degrees = np.zeros(len(cells), dtype=int)  # 0: every point of the grid is evaluated
        if isinstance(field, SphereField):  # each for itself, whatever the other cells are
            closeness = field.closeness(cells[:, :3], radius)
            degrees = np.select([closeness > SMOOTH, closeness < SMALL], [0, 3], 5)
        E = np.empty((len(cells), len(grid), 3))
        for degree in np.unique(degrees).tolist():
            some = degrees == degree
            at = radius * nodes(degree) if degree else grid
            values = _sample(field, cells[some, :3], rotations[some], at)
            if degree:
                values = _to_grid(self.size, self.spacing, radius, degree) @ values
            E[some] = values
        for values, add in zip(E, adds):
            values += add(values[len(grid) // 2])
        return E

    def _adds(self, cells):
        """For each cell a function from the field at the soma to what its bodies add."""
        if not self.heterogeneity:
            return []
        draws = np.stack([draw_geometry(self.heterogeneity, int(seed)) for seed in cells[:, 7]])
        around, axes = np.zeros((len(cells), 3)), cells[:, 3:6]
        bodies = make_surroundings(around, axes, self.heterogeneity, draws, self.depth)
        ends = np.arange(1, len(cells) + 1) * (len(bodies.step) // len(cells))
        starts = ends - ends[0]
        rotations = frames(cells[:, 3:6], cells[:, 6])
        grid = grid_points(self.size, self.spacing).reshape(-1, 3)
        return [
            partial(bodies.part(slice(start, end), rotation).secondary, grid)
            for start, end, rotation in zip(starts, ends, rotations)
        ]

    def _check(self, X, reset):
        """Check parameters and X; return X and, when the coil moves, the cell as one row."""
        check_scalar_param(self, "spacing", "float")
        grid_points(self.size, self.spacing)  # complains about size and spacing
        check_option_param(self, "moves", ("cell", "coil"))
        check_option_param(self, "dtype", DTYPES)
        check_heterogeneity(self.heterogeneity)
        check_depth(self.depth)
        cell = self._checked_cell()
        self._check_field()
        X = validate_data(self, X, reset=reset, dtype=np.float64)
        if self.moves == "cell":
            _check_rows(X, "X", "axis", seeds=self.heterogeneity > 0)
            if not reset:
                doubt_placements(X)
            return X, None
        if cell is None:
            raise ValueError(
                'The "cell" parameter must be the placement of the neuron when the '
                'coil moves (moves="coil"). Got None.'
            )
        _check_rows(cell, "cell", "axis", seeds=self.heterogeneity > 0)
        _check_rows(X, "X", "direction", seeds=False)
        return X, cell

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return tags

    def _checked_cell(self):
        """The placement of the neuron as one row, or None."""
        if self.cell is None:
            return None
        with naming("cell"):
            cell = np.asarray(self.cell, dtype=np.float64)
        if cell.ndim != 1:
            raise ValueError(f"cell must have the shape (7,) or (8,). Got {cell.shape}.")
        return cell[np.newaxis]

    def _check_field(self):
        field = self.field
        if self.moves == "coil":
            if not (field is None or isinstance(field, Coil)):
                raise TypeError(
                    'field must be a Coil or None when the coil moves (moves="coil"). Got '
                    f"{type(field).__name__}."
                )
        elif not (field is None or isinstance(field, Coil) or callable(field)):
            raise TypeError(
                "field must be a Coil, None, or be called with points (n, 3). Got "
                f"{type(field).__name__}."
            )
        if self.heterogeneity and isinstance(field, HeterogeneousField):
            raise ValueError(
                "heterogeneity above 0 puts each neuron into a fold of its own, but field is a "
                "HeterogeneousField and has one already. Give the field of the coil in the sphere."
            )


def _check_rows(X, name, direction, seeds):
    """Check placements or poses."""
    if X.shape[1] not in (7, 8) or (seeds and X.shape[1] != 8):
        wanted = "8 columns, the last the seed of the geometry" if seeds else "7 columns"
        raise ValueError(
            f"{name} must have {wanted}: position (m), {direction}, azimuth (radians). "
            f"Got {X.shape[1]}."
        )
    check_positions(X[:, :3], f"{name}[:, :3], the positions,")
    check_units(X[:, 3:6], f"{name}[:, 3:6], the {direction},")
    if seeds and ((X[:, 7] != np.floor(X[:, 7])) | (X[:, 7] < 0) | (X[:, 7] >= 2**32)).any():
        raise ValueError(f"{name}[:, 7], the seeds, must be whole numbers from 0 to 2**32 - 1.")


def _sample(field, positions, rotations, points):
    """E at the same points of several neurons, (n, n_points, 3), in the neurons' frames."""
    places = positions[:, np.newaxis] + points @ rotations.transpose(0, 2, 1)
    E = np.asarray(field(places.reshape(-1, 3)), dtype=np.float64)
    if E.shape != (places.shape[0] * places.shape[1], 3) or not np.isfinite(E).all():
        raise ValueError(
            f"field must give a finite E of shape (n, 3) for n points. Got {E.shape}"
            + (", with NaN or infinity." if E.size and not np.isfinite(E).all() else ".")
        )
    return E.reshape(places.shape) @ rotations


@lru_cache(maxsize=8)
def _to_grid(size, spacing, radius, degree):
    """From values at the nodes to values on the grid, (size³, n_nodes)."""
    grid = grid_points(size, spacing).reshape(-1, 3) / radius
    return monomials(grid, degree) @ fit_matrix(degree)
