"""Where sources are: the dipoles that explain fields best, by alternating projections.

Whitened fields ``Y (n_channels, n_components)`` of unit noise are explained by a few dipoles, each
with one orientation and a free amplitude in every component. Those that leave least are the
maximum-likelihood estimate; they are searched on the grid one after another, the others held
(Ziskind and Wax, 1988; for MEG: Adler et al., 2019), then moved between the grid points.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ._between import Between

SILENT = 1e-3  # share of a position's mean field power below which an orientation is not seen
ALIKE, SAME = 0.7, 0.9  # share of a position's field that others can make: alike, the same
NEAR_SHARE, FAR_SHARE = 0.4, 0.06  # of the strongest source, that further ones must explain
WEAK = 1e-3  # singular value of the lead field, of the largest, that is left out
MAX_ROUNDS = 10


@dataclass(frozen=True)
class Dipole:
    """A source: where it is, which way it points, and what it makes.

    Attributes
    ----------
    position : int
        Of the grid, the nearest.
    orientation : ndarray of shape (n_orient,)
        Of unit length.
    column : ndarray of shape (n_modes,)
        Its field, whitened and in the space of the modes.
    place : ndarray of shape (3,) or None
        In m; None where the grid has no coordinates.
    neighbours, shares : ndarray of shape (n,)
        Grid positions that its field is interpolated from, and how much of each: sums to 1.
    """

    position: int
    orientation: np.ndarray
    column: np.ndarray
    place: Any
    neighbours: np.ndarray
    shares: np.ndarray

    def field(self, gain):
        """Its field in another lead field (n_channels, n_positions, n_orient)."""
        return np.tensordot(gain[:, self.neighbours] @ self.orientation, self.shares, axes=1)


class Scanner:
    """A lead field, made ready for many scans.

    Parameters
    ----------
    gain : ndarray of shape (n_channels, n_positions * n_orient)
        Whitened.
    n_orient : int
    grid : ndarray of shape (n_positions, 3) or None
        Coordinates in m of a grid that fills a volume: dipoles may then lie between its points.
        None: they lie on its points.

    Attributes
    ----------
    modes : ndarray of shape (n_channels, n_modes)
        Orthonormal: all that sources can do to the channels.
    """

    def __init__(self, gain, n_orient, grid=None):
        left, values, _ = np.linalg.svd(gain @ gain.T)
        self.modes = left[:, np.sqrt(values) > WEAK * np.sqrt(values[0])]
        self.flat = np.ascontiguousarray(self.modes.T @ gain)
        self.gain = self.flat.reshape(len(self.flat), -1, n_orient)
        self.n_positions, self.n_orient = self.gain.shape[1:]
        self.power = np.square(self.gain).sum(axis=(0, 2))
        self.seen = self.power > 1e-12 * self.power.max()
        self.grid = None if grid is None else np.asarray(grid, dtype=float)
        self.between = None if grid is None else Between(self.grid)
        self._gram = _gram_of(self.gain)

    def columns(self, positions):
        """Lead field of some positions, (n_modes, len(positions) * n_orient)."""
        return self.gain[:, list(positions)].reshape(len(self.gain), -1)

    def scan(self, Y, others=()):
        """Power that a dipole at each position explains of what other dipoles leave.

        Parameters
        ----------
        Y : ndarray of shape (n_modes, n_components)
            In the space of the modes.
        others : list of Dipole

        Returns
        -------
        power : ndarray of shape (n_positions,)
        orientations : ndarray of shape (n_positions, n_orient)
            That explain most.
        """
        power, orientations = _best_orientations(self.gain, self._gram, Y, _basis_of(others))
        return np.where(self.seen, power, 0.0), orientations

    def best(self, Y, others=(), allowed=None):
        """Dipole at the grid position that explains most beside others."""
        power, orientations = self.scan(Y, others)
        if allowed is not None:
            power = np.where(allowed, power, 0.0)
        return self._dipole_at(int(np.argmax(power)), orientations)

    def _dipole_at(self, position, orientations):
        orientation = orientations[position]
        return Dipole(
            position=position,
            orientation=orientation,
            column=self.gain[:, position] @ orientation,
            place=None if self.grid is None else self.grid[position],
            neighbours=np.array([position]),
            shares=np.ones(1),
        )

    def refine(self, Y, dipoles):
        """Move one dipole after another to where it explains most, until none moves."""
        dipoles = list(dipoles)
        for _ in range(MAX_ROUNDS):
            before = [dipole.position for dipole in dipoles]
            for index in range(len(dipoles)):
                dipoles[index] = self.best(Y, dipoles[:index] + dipoles[index + 1 :])
            if [dipole.position for dipole in dipoles] == before:
                break
        return self._between_points(Y, dipoles)

    def _between_points(self, Y, dipoles):
        """Move dipoles off the grid points, in ever smaller steps."""
        if self.between is None:
            return dipoles
        for step, reach in self.between.steps:
            for index, dipole in enumerate(dipoles):
                others = dipoles[:index] + dipoles[index + 1 :]
                dipoles[index] = self._step(Y, dipole, others, step, reach)
        return dipoles

    def _step(self, Y, dipole, others, step, reach):
        """Move one dipole to the best of the places around it."""
        places, neighbours, shares = self.between.around(dipole.place, step, reach)
        gain = np.stack(
            [
                np.tensordot(self.gain[:, near], share, axes=(1, 0))
                for near, share in zip(neighbours, shares)
            ],
            axis=1,
        )
        power, orientations = _best_orientations(gain, _gram_of(gain), Y, _basis_of(others))
        best = int(np.argmax(power))
        return Dipole(
            position=self.between.nearest(places[best]),
            orientation=orientations[best],
            column=gain[:, best] @ orientations[best],
            place=places[best],
            neighbours=neighbours[best],
            shares=shares[best],
        )

    def search(self, Y, least, max_sources):
        """Find dipoles, as many as there is evidence for.

        A source must explain what noise alone does not reach, and a share of what the best
        position explains alone: lead fields are not perfect and sources are no points, which
        leaves some of it, most of all in fields like those already explained.

        Parameters
        ----------
        Y : ndarray of shape (n_modes, n_components)
        least : float
            Power that a source must explain beside the others.
        max_sources : int

        Returns
        -------
        dipoles : list of Dipole
        """
        power, dipoles = self.scan(Y)[0], []
        top = float(power.max())
        passed = power >= self.needed(dipoles, least, top)
        while passed.any() and len(dipoles) < max_sources:
            dipoles = self.refine(Y, [*dipoles, self.best(Y, dipoles, passed)])
            passed = self.scan(Y, dipoles)[0] >= self.needed(dipoles, least, top)
        return self._prune(Y, dipoles, least, top)

    def beside(self, Y, dipoles, least, top):
        """Power that each dipole explains beside the others, over what it must."""
        ratios = []
        for index, dipole in enumerate(dipoles):
            others = dipoles[:index] + dipoles[index + 1 :]
            needed = self.needed(others, least, top)[dipole.position]
            rest = dipole.column
            if others:
                basis = _basis_of(others)
                rest = rest - basis @ (basis.T @ rest)
            size = np.square(rest).sum()
            seen = size > 1e-12 * np.square(dipole.column).sum()
            ratios.append(np.square(rest @ Y).sum() / size / needed if seen else 0.0)
        return np.array(ratios)

    def neighbourhood(self, dipoles):
        """Whether each position is one of some, or makes nearly the same fields as one."""
        found = np.zeros(self.n_positions, dtype=bool)
        for dipole in dipoles:
            found |= self._shared([dipole.position]) > SAME * self.power
            found[dipole.position] = True
        return found

    def _shared(self, positions):
        """Field power of each position that some positions can make."""
        basis, _ = np.linalg.qr(self.columns(positions))
        shared = np.square(basis.T @ self.flat).sum(axis=0)
        return shared.reshape(-1, self.n_orient).sum(axis=1)

    def needed(self, others, least, top):
        """Power that each position must explain beside others, given the best one's alone."""
        if not len(others):
            return np.full(self.n_positions, least)
        alike = self._shared([dipole.position for dipole in others]) > ALIKE * self.power
        return np.maximum(least, top * np.where(alike, NEAR_SHARE, FAR_SHARE))

    def _prune(self, Y, dipoles, least, top):
        """Leave out, one after another, what explains too little beside the others."""
        while len(dipoles) > 1:
            ratio = self.beside(Y, dipoles, least, top)
            if ratio.min() >= 1:
                break
            del dipoles[int(np.argmin(ratio))]
            dipoles = self.refine(Y, dipoles)
        return dipoles


def _gram_of(gain):
    """Products of the orientations of each position, (n_positions, n_orient, n_orient)."""
    return np.einsum("mpo,mpq->poq", gain, gain, optimize=True)


def _basis_of(dipoles):
    """Orthonormal basis of the fields of dipoles; None of none."""
    if not len(dipoles):
        return None
    return np.linalg.qr(np.stack([dipole.column for dipole in dipoles], axis=1))[0]


def _best_orientations(gain, gram, Y, basis):
    """Power of the best orientation at each position beside a basis, and that orientation.

    With ``match`` the fields seen by each orientation, the power that orientation o explains is
    ``o' match match' o / o' gram o``: the largest generalised eigenvalue.
    """
    n_modes, n_positions, n_orient = gain.shape
    flat, rest = gain.reshape(n_modes, -1), Y
    mean_power = np.trace(gram, axis1=1, axis2=2) / n_orient
    if basis is not None:
        rest = Y - basis @ (basis.T @ Y)
        shared = (basis.T @ flat).reshape(-1, n_positions, n_orient)
        gram = gram - np.einsum("kpo,kpq->poq", shared, shared, optimize=True)
    ridge = SILENT * np.where(mean_power > 0, mean_power, 1.0)[:, None, None] * np.eye(n_orient)
    match = (flat.T @ rest).reshape(n_positions, n_orient, -1)
    inverse = np.linalg.inv(np.linalg.cholesky(gram + ridge))
    match = inverse @ match
    power, vectors = np.linalg.eigh(match @ match.transpose(0, 2, 1))
    orientations = np.einsum("pqo,pq->po", inverse, vectors[:, :, -1])
    length = np.linalg.norm(orientations, axis=1, keepdims=True)
    return power[:, -1], orientations / np.where(length > 0, length, 1.0)
