"""Myelin: from a bare axon to initial segment, internodes, nodes of Ranvier and terminals."""

from __future__ import annotations

import numpy as np

from ._morphology import Kind, Morphology
from ._settings import MYELIN

__all__ = ["myelinate"]


def myelinate(
    morphology: Morphology,
    *,
    initial_segment: float = 30.0,
    internode_ratio: float = 100.0,
    thinnest: float = 0.2,
) -> Morphology:
    """Wrap the unmyelinated axon of a neuron in myelin.

    The axon begins with an initial segment. From there on, internodes about `internode_ratio`
    fiber diameters long alternate with nodes of Ranvier of 1 um; every branch point is a node,
    every end a bare terminal of 4 um. Branches thinner than `thinnest` or shorter than an
    internode of 20 um stay unmyelinated. Proportions are those of the myelinated cortical cells of
    Aberra et al. (2018), rebuilt: internodes of 100 fiber diameters, ratio of axon to fiber 0.7.

    Parameters
    ----------
    morphology : Morphology
        With points of kind AXON (for example from :func:`read_swc`).
    initial_segment : float, default=30
        Length of the axon initial segment, in um.
    internode_ratio : float, default=100
        Length of an internode over the diameter of the fiber.
    thinnest : float, default=0.2
        Axons of a smaller diameter (um) are not myelinated.

    Returns
    -------
    morphology : Morphology
        The same cell with another axon; points before the axon keep their order.

    Raises
    ------
    ValueError
        If there is no axon, or if it is myelinated already.

    Examples
    --------
    >>> from sklearn_meg.tms.neurons import Kind, Morphology, myelinate
    >>> bare = Morphology([[0, 0, 0], [0, 0, -500]], [15, 1], [-1, 0], [Kind.SOMA, Kind.AXON])
    >>> wrapped = myelinate(bare)
    >>> wrapped.length(Kind.INITIAL_SEGMENT), wrapped.length(Kind.TERMINAL)
    (30.0, 4.0)
    """
    _check_bare(morphology)
    tree = _Tree()
    axon = morphology.kinds == Kind.AXON
    new = {}
    for i in np.flatnonzero(~axon):
        parent = new[morphology.parents[i]] if i else -1
        new[i] = tree.add(
            morphology.points[i], morphology.diameters[i], parent, morphology.kinds[i]
        )
    for branch in _branches(morphology, axon):
        start = new[branch[0]]
        first = not axon[branch[0]]
        parts = _parts(
            morphology, branch, initial_segment if first else 0, internode_ratio, thinnest
        )
        new[branch[-1]] = _lay(tree, morphology, branch, parts, start)
    return Morphology(*tree.arrays(), name=morphology.name)


class _Tree:
    """Points in the making."""

    def __init__(self):
        self.points, self.diameters, self.parents, self.kinds = [], [], [], []

    def add(self, point, diameter, parent, kind):
        """Append a point and return its index."""
        self.points.append(np.asarray(point, dtype=float))
        self.diameters.append(float(diameter))
        self.parents.append(int(parent))
        self.kinds.append(int(kind))
        return len(self.points) - 1

    def arrays(self):
        """Return points, diameters, parents and kinds."""
        return np.array(self.points), self.diameters, self.parents, self.kinds


def _check_bare(morphology):
    wrapped = (Kind.INTERNODE, Kind.NODE)
    if np.isin(morphology.kinds, wrapped).any():
        raise ValueError(f"{morphology.name} is myelinated already.")
    if not (morphology.kinds == Kind.AXON).any():
        raise ValueError(
            f"{morphology.name} has no axon (kind 2) to wrap in myelin. Got kinds "
            f"{sorted(set(morphology.kinds.tolist()))}."
        )


def _branches(morphology, member):
    """Yield unbranched paths of the member points, each starting at the point it hangs from."""
    children = [[] for _ in range(morphology.n_points)]
    for i in np.flatnonzero(member):
        children[morphology.parents[i]].append(i)
    starts = [i for i in range(morphology.n_points) if children[i] and not member[i]]
    pending = [(start, child) for start in starts for child in children[start]]
    while pending:
        start, point = pending.pop(0)
        path = [start, point]
        while len(children[path[-1]]) == 1:
            path.append(children[path[-1]][0])
        pending.extend((path[-1], child) for child in children[path[-1]])
        yield path


def _parts(morphology, branch, initial, ratio, thinnest):
    """Cut a branch into (kind, end): ends in um along the branch."""
    length = morphology.lengths()[branch[1:]].sum()
    diameter = np.median(morphology.diameters[branch[1:]])
    leaf = morphology.n_children()[branch[-1]] == 0
    initial = min(initial, length / 2)
    tail = MYELIN.terminal if leaf else MYELIN.node
    last = Kind.TERMINAL if leaf else Kind.NODE
    parts = [(Kind.INITIAL_SEGMENT, initial)] if initial else []
    room = length - initial - tail
    if diameter < thinnest or room < MYELIN.shortest_internode:
        bare = [(Kind.AXON, length - tail)] if length - tail > initial + 1e-3 else []
        return [*parts, *bare, (last, length)]
    period = max(ratio * diameter / MYELIN.g_ratio, MYELIN.shortest_internode) + MYELIN.node
    n_internodes = max(1, round(room / period))
    period = (room + MYELIN.node) / n_internodes
    for k in range(n_internodes):
        end = initial + (k + 1) * period - MYELIN.node
        parts.append((Kind.INTERNODE, end))
        if k < n_internodes - 1:
            parts.append((Kind.NODE, end + MYELIN.node))
    return [*parts, (last, length)]


def _lay(tree, morphology, branch, parts, parent):
    """Add a branch, point by point, at its bends and at the ends of its parts."""
    points = morphology.points[branch]
    diameters = morphology.diameters[branch].copy()
    diameters[0] = diameters[1]  # a branch does not taper from the thickness of its stem
    along = np.r_[0, np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))]
    begin = 0.0
    for kind, end in parts:
        bends = along[(along > begin + 1e-6) & (along < end - 1e-6)]
        for s in [*bends, end]:
            point = [np.interp(s, along, points[:, axis]) for axis in range(3)]
            parent = tree.add(point, np.interp(s, along, diameters), parent, kind)
        begin = end
    return parent
