"""Where sources are: the dipoles that explain fields best, by alternating projections.

Whitened fields ``Y (n_channels, n_components)`` of unit noise are explained by a few dipoles, each
with one orientation and a free amplitude in every component. Those that leave least are the
maximum-likelihood estimate; they are searched on the grid one after another, the others held
(Ziskind and Wax, 1988; for MEG: Adler et al., 2019), then moved between the grid points.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ._between import Between

SILENT = 1e-3  # share of a position's mean field power below which an orientation is not seen
ALIKE, SAME = 0.7, 0.9  # share of a position's field that others can make: alike, the same
NEAR_SHARE = 0.4  # of the strongest source, that one whose fields are alike must explain
WEAK = 1e-3  # singular value of the lead field, of the largest, that is left out
MAX_ROUNDS = 10


@dataclass(frozen=True)
class Dipole:
    """A source: where it is, which ways it points, and what it makes.

    Attributes
    ----------
    position : int
        Of the grid, the nearest.
    orientations : ndarray of shape (n, n_orient)
        Of unit length; more than one only for a source that turns.
    gain : ndarray of shape (n_modes, n_orient)
        Lead field there, whitened and in the space of the modes.
    place : ndarray of shape (3,) or None
        In m; None where the grid has no coordinates.
    neighbors, shares : ndarray of shape (n_neighbors,)
        Grid positions that its field is interpolated from, and how much of each: sums to 1.
    """

    position: int
    orientations: np.ndarray
    gain: np.ndarray
    place: Any
    neighbors: np.ndarray
    shares: np.ndarray

    @property
    def columns(self):
        """Its fields, (n_modes, n)."""
        return self.gain @ self.orientations.T

    def fields(self, gain):
        """Its fields (n_channels, n) in another lead field (n_channels, n_positions, n_orient)."""
        here = np.tensordot(self.shares, gain[:, self.neighbors], axes=(0, 1))
        return here @ self.orientations.T


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
    share : float
        Of what the strongest source explains alone, that further ones must explain.

    Attributes
    ----------
    modes : ndarray of shape (n_channels, n_modes)
        Orthonormal: all that sources can do to the channels.
    """

    def __init__(self, gain, n_orient, grid=None, share=0.0):
        left, values, _ = np.linalg.svd(gain @ gain.T)
        self.modes = left[:, np.sqrt(values) > WEAK * np.sqrt(values[0])]
        self.flat = np.ascontiguousarray(self.modes.T @ gain)
        self.gain = self.flat.reshape(len(self.flat), -1, n_orient)
        self.n_positions, self.n_orient = self.gain.shape[1:]
        self.power = np.square(self.gain).sum(axis=(0, 2))
        self.seen = self.power > 1e-12 * self.power.max()
        self.grid = None if grid is None else np.asarray(grid, dtype=float)
        self.between = None if grid is None else Between(self.grid)
        self.share = share
        self._gram = _gram_of(self.gain)
        self._firmness, self._depth = 0.0, 0.0

    def expect(self, Y, depth, firmness):
        """Expect currents no larger than those that explain Y: large ones that cancel are unlikely.

        A Gaussian prior on the amplitudes, of one variance but for depth weighting, such that
        the position that explains most is at home in it.

        Parameters
        ----------
        Y : ndarray of shape (n_modes, n_components)
        depth : float or None
            1: a deep source makes as strong fields as one near the sensors; 0: as strong currents.
        firmness : float
            Noise a component that the power of the best position is held against.
        """
        self._firmness, self._depth = 0.0, 0.0 if depth is None else depth
        top = max(float(self.explained(Y).max()), 1e-300)
        self._firmness = min(firmness * Y.shape[1] / top, 1.0)

    def _ridge(self, gram):
        """What is added to the field power of each orientation, (n_positions,)."""
        power = np.trace(gram, axis1=1, axis2=2)
        power = np.where(power > 0, power, 1.0)
        largest = self.power.max()
        expected = power**self._depth * largest ** (1 - self._depth)
        return (SILENT * power + self._firmness * expected) / self.n_orient

    def columns(self, positions):
        """Lead field of some positions, (n_modes, len(positions) * n_orient)."""
        return self.gain[:, list(positions)].reshape(len(self.gain), -1)

    def scan(self, Y, others=()):
        """Power that a dipole at each position explains of what other fields leave.

        Parameters
        ----------
        Y : ndarray of shape (n_modes, n_components)
            In the space of the modes.
        others : list of ndarray of shape (n_modes, n)

        Returns
        -------
        power : ndarray of shape (n_positions, n_orient)
            Of the orientation that explains most, and of further ones beside it.
        orientations : ndarray of shape (n_positions, n_orient, n_orient)
            Those, one a row.
        """
        power, orientations = _best_orientations(
            self.gain, self._gram, self._ridge(self._gram), Y, _basis_of(others)
        )
        return power * self.seen[:, None], orientations

    def explained(self, Y, dipoles=()):
        """Power that each position explains of what no current at the places found explains."""
        return self.scan(Y, [dipole.gain for dipole in dipoles])[0][:, 0]

    def _on_grid(self, position, orientations):
        return Dipole(
            position=position,
            orientations=orientations,
            gain=self.gain[:, position],
            place=None if self.grid is None else self.grid[position],
            neighbors=np.array([position]),
            shares=np.ones(1),
        )

    def _best(self, Y, others, n=1):
        """Dipole of n orientations at the grid position that explains most beside others."""
        power, orientations = self.scan(Y, [other.columns for other in others])
        position = int(np.argmax(power[:, :n].sum(axis=1)))
        return self._on_grid(position, orientations[position, :n])

    def refine(self, Y, dipoles):
        """Move one dipole after another to where it explains most, until none moves."""
        dipoles = list(dipoles)
        for _ in range(MAX_ROUNDS):
            before = [dipole.position for dipole in dipoles]
            for index in range(len(dipoles)):
                others, n = dipoles[:index] + dipoles[index + 1 :], len(dipoles[index].orientations)
                dipoles[index] = self._best(Y, others, n)
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
        places, neighbors, shares = self.between.around(dipole.place, step, reach)
        gain = np.stack(
            [
                np.tensordot(self.gain[:, near], share, axes=(1, 0))
                for near, share in zip(neighbors, shares)
            ],
            axis=1,
        )
        gram, n = _gram_of(gain), len(dipole.orientations)
        basis = _basis_of([other.columns for other in others])
        power, orientations = _best_orientations(gain, gram, self._ridge(gram), Y, basis)
        best = int(np.argmax(power[:, :n].sum(axis=1)))
        return Dipole(
            position=self.between.nearest(places[best]),
            orientations=orientations[best, :n],
            gain=gain[:, best],
            place=places[best],
            neighbors=neighbors[best],
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
        dipoles, top = [], float(self.explained(Y).max())
        while len(dipoles) < max_sources:
            power = self.explained(Y, dipoles)
            passed = power >= self.needed(dipoles, least, top)
            if not passed.any():
                break
            position = int(np.argmax(np.where(passed, power, 0.0)))
            orientations = self.scan(Y, [d.columns for d in dipoles])[1][position, :1]
            dipoles = self.refine(Y, [*dipoles, self._on_grid(position, orientations)])
        dipoles = self._prune(Y, dipoles, least, top)
        return self._turn(Y, dipoles, max(least, self.share * top))

    def _turn(self, Y, dipoles, least):
        """Give further orientations to those that explain enough by them."""
        for _ in range(len(dipoles) * (self.n_orient - 1)):
            extra = [self._further(Y, dipoles, index) for index in range(len(dipoles))]
            best = int(np.argmax(extra))
            if extra[best] < least:
                break
            orientations = np.eye(self.n_orient)[: len(dipoles[best].orientations) + 1]
            dipoles[best] = replace(dipoles[best], orientations=orientations)
            dipoles = self.refine(Y, dipoles)
        return dipoles

    def _further(self, Y, dipoles, index):
        """Power that one more orientation of a dipole explains."""
        dipole, others = dipoles[index], dipoles[:index] + dipoles[index + 1 :]
        n = len(dipole.orientations)
        if n == self.n_orient:
            return 0.0
        gain = dipole.gain[:, None]
        gram, basis = _gram_of(gain), _basis_of([other.columns for other in others])
        return _best_orientations(gain, gram, self._ridge(gram), Y, basis)[0][0, n]

    def beside(self, Y, dipoles, least, top):
        """Power that each dipole explains beside the others, over what it must."""
        ratios = []
        for index, dipole in enumerate(dipoles):
            others = dipoles[:index] + dipoles[index + 1 :]
            needed = self.needed(others, least, top)[dipole.position]
            own = dipole.columns
            if others:
                basis = _basis_of([other.columns for other in others])
                own = own - basis @ (basis.T @ own)
            left, size, _ = np.linalg.svd(own, full_matrices=False)
            left = left[:, size > 1e-6 * np.linalg.norm(dipole.columns)]
            ratios.append(np.square(left.T @ Y).sum() / max(needed, 1e-12 * top, 1e-300))
        return np.array(ratios)

    def neighborhood(self, dipoles):
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
        return np.maximum(least, top * np.where(alike, NEAR_SHARE, self.share))

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


def _basis_of(fields):
    """Orthonormal basis of fields, a list of (n_modes, n); None of none."""
    if not len(fields):
        return None
    left, size, _ = np.linalg.svd(np.concatenate(fields, axis=1), full_matrices=False)
    return left[:, size > 1e-6 * size[0]]


def _best_orientations(gain, gram, ridge, Y, basis):
    """Power of the orientations at each position beside a basis, the best first, and those.

    With ``match`` the fields seen by each orientation, the power that orientation o explains is
    ``o' match match' o / o' gram o``: the largest generalized eigenvalue.
    """
    n_modes, n_positions, n_orient = gain.shape
    flat, rest = gain.reshape(n_modes, -1), Y
    if basis is not None:
        rest = Y - basis @ (basis.T @ Y)
        shared = (basis.T @ flat).reshape(-1, n_positions, n_orient)
        gram = gram - np.einsum("kpo,kpq->poq", shared, shared, optimize=True)
    match = (flat.T @ rest).reshape(n_positions, n_orient, -1)
    inverse = np.linalg.inv(np.linalg.cholesky(gram + ridge[:, None, None] * np.eye(n_orient)))
    match = inverse @ match
    power, vectors = np.linalg.eigh(match @ match.transpose(0, 2, 1))
    orientations = np.einsum("pqo,pqn->pno", inverse, vectors[:, :, ::-1])
    length = np.linalg.norm(orientations, axis=2, keepdims=True)
    return power[:, ::-1], orientations / np.where(length > 0, length, 1.0)
