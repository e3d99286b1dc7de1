"""The shape of a neuron as a tree of cylinders."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

from .._repr import short_repr

__all__ = ["AXONAL", "Kind", "Morphology", "morphology_key", "share_outside"]


class Kind(IntEnum):
    """Part of the neuron that a point belongs to (numbers below 10 are those of SWC files)."""

    SOMA = 1
    AXON = 2  # unmyelinated
    DENDRITE = 3
    APICAL = 4
    INITIAL_SEGMENT = 10
    INTERNODE = 11  # under myelin
    NODE = 12  # of Ranvier
    TERMINAL = 13


AXONAL = (Kind.AXON, Kind.INITIAL_SEGMENT, Kind.INTERNODE, Kind.NODE, Kind.TERMINAL)


@dataclass(frozen=True, eq=False)
class Morphology:
    """A neuron: points joined to their parents by cylinders.

    Point 0 is the soma, at the origin; z is the somatodendritic axis, towards the pial surface.
    The cylinder that ends at a point has the diameter and the kind of that point.

    Parameters
    ----------
    points : array-like of shape (n_points, 3)
        Positions, in um.
    diameters : array-like of shape (n_points,)
        Diameters, in um (of an internode: of the axon inside the myelin).
    parents : array-like of shape (n_points,)
        Index of the point each point hangs from: -1 for the soma, smaller than its own index for
        every other point.
    kinds : array-like of shape (n_points,)
        Values of :class:`Kind`.
    name : str
        Name of the cell in figures and messages.

    Raises
    ------
    ValueError
        For arrays that differ in length, non-finite points, diameters that are not positive,
        unknown kinds, several roots, a root that is no soma, or a parent that comes after its
        child.

    Examples
    --------
    >>> from sklearn_meg.tms.neurons import Kind, Morphology
    >>> axon = Morphology([[0, 0, 0], [0, 0, -60]], [15, 1], [-1, 0], [Kind.SOMA, Kind.AXON])
    >>> axon.n_points, axon.length(Kind.AXON)
    (2, 60.0)
    """

    points: np.ndarray
    diameters: np.ndarray
    parents: np.ndarray
    kinds: np.ndarray
    name: str = field(default="neuron")

    __repr__ = short_repr

    def __post_init__(self):
        arrays = {
            "points": np.array(self.points, dtype=float),
            "diameters": np.array(self.diameters, dtype=float),
            "parents": _integers(self.parents, "parents"),
            "kinds": _integers(self.kinds, "kinds"),
        }
        _check_shapes(arrays)
        _check_values(arrays)
        _check_tree(arrays["parents"], arrays["kinds"])
        for name, array in arrays.items():
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def __reduce__(self):
        # Unpickled arrays would be writeable: go through the checks again.
        return type(self), (self.points, self.diameters, self.parents, self.kinds, self.name)

    @property
    def n_points(self) -> int:
        """Number of points."""
        return len(self.points)

    @property
    def has_axon(self) -> bool:
        """Whether any point belongs to the axon."""
        return bool(np.isin(self.kinds, AXONAL).any())

    def lengths(self) -> np.ndarray:
        """Return the length of the cylinder of every point, in um (0 for the soma).

        Returns
        -------
        lengths : ndarray of shape (n_points,)
        """
        steps = self.points - self.points[np.maximum(self.parents, 0)]
        return np.linalg.norm(steps, axis=1)

    def length(self, *kinds: Kind) -> float:
        """Return the total length of the cylinders of some kinds (default: all), in um.

        Parameters
        ----------
        *kinds : Kind

        Returns
        -------
        length : float
        """
        chosen = np.isin(self.kinds, kinds) if kinds else np.ones(self.n_points, bool)
        return float(self.lengths()[chosen].sum())

    def n_children(self) -> np.ndarray:
        """Return the number of children of every point.

        Returns
        -------
        n_children : ndarray of shape (n_points,)
        """
        return np.bincount(self.parents[1:], minlength=self.n_points)


def _integers(values, name):
    array = np.asarray(values)
    if array.size and not np.array_equal(array, np.asarray(array, dtype=float).round()):
        raise ValueError(f"{name} must be whole numbers. Got {array[:5]!r}...")
    return np.array(array, dtype=np.intp)


def _check_shapes(arrays):
    points = arrays["points"]
    if points.ndim != 2 or points.shape[1] != 3 or not len(points):
        raise ValueError(f"points must have the shape (n_points, 3). Got {points.shape}.")
    for name, array in arrays.items():
        if name != "points" and array.shape != (len(points),):
            raise ValueError(
                f"{name} must have the shape ({len(points)},), one for each of the "
                f"{len(points)} points. Got {array.shape}."
            )


def _check_values(arrays):
    for name in ("points", "diameters"):
        if not np.isfinite(arrays[name]).all():
            raise ValueError(f"The {name} of a morphology must be finite. Got NaN or infinity.")
    if (arrays["diameters"] <= 0).any():
        raise ValueError(f"diameters must be positive (um). Got {arrays['diameters'].min():g}.")
    unknown = set(arrays["kinds"].tolist()) - {int(kind) for kind in Kind}
    if unknown:
        names = ", ".join(f"{kind.value} ({kind.name})" for kind in Kind)
        raise ValueError(f"kinds must be among {names}. Got {sorted(unknown)}.")


def _check_tree(parents, kinds):
    roots = np.flatnonzero(parents == -1)
    if len(roots) != 1 or roots[0] != 0:
        raise ValueError(
            "A morphology must have one root (parent -1), its first point. Got roots at points "
            f"{roots.tolist()}."
        )
    if kinds[0] != Kind.SOMA:
        raise ValueError(
            f"The root of a morphology must be the soma (kind 1). Got {kinds[0]}: no soma."
        )
    index = np.arange(1, len(parents))
    wrong = index[(parents[1:] < 0) | (parents[1:] >= index)]
    if len(wrong):
        raise ValueError(
            "parents must come before their children. "
            f"Point {wrong[0]} hangs from point {parents[wrong[0]]}."
        )


def morphology_key(morphology):
    """Name and digest of a morphology: what tells one from another.

    Returns key (str)
    """
    arrays = (morphology.points, morphology.diameters, morphology.parents, morphology.kinds)
    digest = hashlib.sha1(b"".join(array.tobytes() for array in arrays)).hexdigest()
    return f"{morphology.name} ({digest[:12]})"


def share_outside(morphology, size, spacing):
    """Share of the points of the axon that lie outside a grid.

    spacing: Spacing in m.
    Returns share (float)
    """
    axonal = morphology.points[np.isin(morphology.kinds, AXONAL)] * 1e-6
    reach = (size // 2) * spacing * (1 + 1e-6)
    return float((np.abs(axonal).max(axis=1, initial=0) > reach).mean()) if len(axonal) else 0.0
