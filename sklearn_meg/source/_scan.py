"""Where sources are: the dipoles that explain fields best, by alternating projections.

Whitened fields ``Y (n_channels, n_components)`` of unit noise are explained by a few dipoles, each
with one orientation and a free amplitude in every component. Those that leave least are the
maximum-likelihood estimate; they are searched on the grid one after another, the others held
(Ziskind and Wax, 1988; for MEG: Adler et al., 2019), then moved between the grid points.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ._between import Between
from ._lead_error import LeadFieldError, by_axis, explained_power, matched, products, seen_by
from ._misfit import misfit_of, satellite
from ._pairs import alike, apart, best_pairs, main_components, pair_power
from ._settings import SETTINGS


@dataclass(frozen=True)
class Dipole:
    """A source: where it is, which ways it points, and what it makes.

    position: Index of the nearest grid position.
    orientations (n, n_orient): Orientations of unit length; more than one only for a source that
        turns.
    gain (n_modes, n_orient): Lead field there, whitened and in the space of the modes.
    place (3,) or None: Coordinates in m; None where the grid has no coordinates.
    neighbors, shares (n_neighbors,): Grid positions that its field is interpolated from, and how
        much of each: sums to 1.
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

    gain (n_channels, n_positions * n_orient): Whitened.
    grid (n_positions, 3) or None: Coordinates in m of a grid that fills a volume: dipoles may then
        lie between its points. None: they lie on its points.
    model_error: Standard deviation of the error of the lead field, relative to the field.
    modes (n_channels, n_modes): Orthonormal: all that sources can do to the channels. None: as the
        lead field tells.
    """

    def __init__(self, gain, n_orient, grid=None, model_error=0.0, modes=None):
        if modes is None:
            left, values, _ = np.linalg.svd(gain @ gain.T)
            modes = left[:, np.sqrt(values) > SETTINGS.weak * np.sqrt(values[0])]
        self.modes = modes
        self.flat = np.ascontiguousarray(self.modes.T @ gain)
        self.gain = self.flat.reshape(len(self.flat), -1, n_orient)
        self.n_positions, self.n_orient = self.gain.shape[1:]
        self.power = np.square(self.gain).sum(axis=(0, 2))
        self.seen = self.power > 1e-12 * self.power.max()
        self.grid = None if grid is None else np.asarray(grid, dtype=float)
        self.between = None if grid is None else Between(self.grid)
        self.model_error = model_error
        self._at_points = LeadFieldError(self, model_error, SETTINGS.cell)
        self._moved = LeadFieldError(self, model_error, SETTINGS.moved * SETTINGS.cell)
        self._axes = by_axis(self.gain)
        self._gram = products(self._axes)
        self._firmness, self._depth = 0.0, 0.0
        self._root = _inverse_root(self._gram, self._ridge(self._gram))

    def expect(self, Y, depth, firmness):
        """Expect currents no larger than those that explain Y: large ones that cancel are unlikely.

        A Gaussian prior on the amplitudes, of one variance but for depth weighting, such that
        the position that explains most is at home in it.

        Y (n_modes, n_components)
        depth (float or None): 1: a deep source makes as strong fields as one near the sensors; 0:
            as strong currents.
        firmness: Noise a component that the power of the best position is held against.
        """
        self._firmness, self._depth = 0.0, 0.0 if depth is None else depth
        self._root = _inverse_root(self._gram, self._ridge(self._gram))
        top = max(float(self.explained(Y).max()), 1e-300)
        self._firmness = min(firmness * Y.shape[1] / top, 1.0)
        self._root = _inverse_root(self._gram, self._ridge(self._gram))

    def _ridge(self, gram):
        """Addition to the field power of each orientation, (n_positions,)."""
        power = np.trace(gram, axis1=1, axis2=2)
        power = np.where(power > 0, power, 1.0)
        return SETTINGS.silent * power / self.n_orient + self._firm(power)

    def _firm(self, power):
        """The part of it that expects small currents."""
        largest = self.power.max()
        expected = power**self._depth * largest ** (1 - self._depth)
        return self._firmness * expected / self.n_orient

    def with_modes_of(self, flat):
        """The same with another lead field in the same modes, (n_modes, n_positions * n_orient)."""
        gain = self.modes @ flat
        other = Scanner(gain, self.n_orient, self.grid, self.model_error, self.modes)
        other._firmness, other._depth = self._firmness, self._depth
        other._root = _inverse_root(other._gram, other._ridge(other._gram))
        return other

    def columns(self, positions):
        """Lead field of some positions, (n_modes, len(positions) * n_orient)."""
        return self.gain[:, list(positions)].reshape(len(self.gain), -1)

    def scan(self, Y, others=()):
        """Power that a dipole at each position explains of what other fields leave.

        Y (n_modes, n_components): Data in the space of the modes.
        others (list of ndarray of shape (n_modes, n))
        Returns power (n_positions, n_orient): Power of the orientation that explains most, and of
            further ones beside it.
        and orientations (n_positions, n_orient, n_orient): Those, one a row.
        """
        power, orientations = self._best(self._axes, self._gram, Y, others)
        return power * self.seen[:, None], orientations

    def _best(self, axes, gram, Y, others):
        """Power of the orientations at each position beside others, the best first, and those.

        With ``match`` the fields seen by each orientation, the power that orientation o explains is
        ``o' match match' o / o' gram o``: the largest generalized eigenvalue.
        """
        ridge, basis = self._ridge(gram), _basis_of(others)
        if basis is not None:
            Y = Y - basis @ (basis.T @ Y)
            shared = matched(axes, basis)
            gram = gram - shared @ shared.transpose(0, 2, 1)
        inverse = _inverse_root(gram, ridge)
        match = inverse @ matched(axes, Y)
        power, vectors = np.linalg.eigh(match @ match.transpose(0, 2, 1))
        orientations = np.einsum("pqo,pqn->pno", inverse, vectors[:, :, ::-1])
        length = np.linalg.norm(orientations, axis=2, keepdims=True)
        return power[:, ::-1], orientations / np.where(length > 0, length, 1.0)

    def explained(self, Y, dipoles=()):
        """Power that each position explains of what no current at the places found explains."""
        if dipoles:
            return self.scan(Y, [dipole.gain for dipole in dipoles])[0][:, 0]
        match = self._root @ matched(self._axes, Y)
        return np.linalg.eigvalsh(match @ match.transpose(0, 2, 1))[:, -1] * self.seen

    def visible(self, dipoles=()):
        """Power that one A m explains in the orientation that is seen best, beside dipoles."""
        gram, basis = self._gram, _basis_of([dipole.gain for dipole in dipoles])
        if basis is not None:
            shared = matched(self._axes, basis)
            gram = gram - shared @ shared.transpose(0, 2, 1)
        power = np.maximum(np.linalg.eigvalsh(gram)[:, -1], SETTINGS.silent * self.power)
        return power**2 / np.maximum(power + self._firm(self.power), 1e-300)

    def _on_grid(self, position, orientations):
        return Dipole(
            position=position,
            orientations=orientations,
            gain=self.gain[:, position],
            place=None if self.grid is None else self.grid[position],
            neighbors=np.array([position]),
            shares=np.ones(1),
        )

    def again(self, dipole):
        """A dipole at the same place, with the fields that it has here."""
        gain = np.tensordot(self.gain[:, dipole.neighbors], dipole.shares, axes=(1, 0))
        return replace(dipole, gain=gain)

    def _moved_best(self, Y, dipole, others):
        """Move a dipole to where it explains most beside others and their errors.

        A strong source leaves more at its own place, by the error of its lead field, than a weak
        one explains at its.
        """
        axes, gram, rest = self._axes, self._gram, Y
        columns = [other.columns for other in others]
        if others:
            whitener = self._at_points.whitener(Y, others)
            axes = seen_by(whitener, self._axes)
            gram, rest = products(axes), whitener @ Y
            columns = [whitener @ each for each in columns]
        power, orientations = self._best(axes, gram, rest, columns)
        n = len(dipole.orientations)
        position = int(np.argmax(power[:, :n].sum(axis=1) * self.seen))
        return self._on_grid(position, orientations[position, :n])

    def refine(self, Y, dipoles, n_rounds=SETTINGS.max_rounds):
        """Move one dipole after another to where it explains most, until none moves."""
        dipoles = list(dipoles)
        for _ in range(n_rounds):
            before = [dipole.position for dipole in dipoles]
            for index in range(len(dipoles)):
                others = dipoles[:index] + dipoles[index + 1 :]
                dipoles[index] = self._moved_best(Y, dipoles[index], others)
            if [dipole.position for dipole in dipoles] == before:
                break
        return dipoles

    def between_points(self, Y, dipoles):
        """Move dipoles off the grid points, in ever smaller steps."""
        if self.between is None:
            return dipoles
        dipoles = list(dipoles)
        for step, reach in self.between.steps:
            for index, dipole in enumerate(dipoles):
                others = dipoles[:index] + dipoles[index + 1 :]
                dipoles[index] = self._step(Y, dipole, others, step, reach)
        return dipoles

    def settle(self, Y, dipoles):
        """Move dipoles, on the grid and between its points, to where they explain most of Y."""
        return self.between_points(Y, self.refine(Y, dipoles))

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
        axes, n = gain.transpose(0, 2, 1), len(dipole.orientations)
        power, orientations = self._best(
            axes, products(axes), Y, [other.columns for other in others]
        )
        best = int(np.argmax(power[:, :n].sum(axis=1)))
        return Dipole(
            position=self.between.nearest(places[best]),
            orientations=orientations[best, :n],
            gain=gain[:, best],
            place=places[best],
            neighbors=neighbors[best],
            shares=shares[best],
        )

    def search(self, Y, least, max_sources, n_sources=None, noise=(), start=()):
        """Find dipoles, as many as there is evidence for.

        First on the grid, where a source may be anywhere in its cell; then between its points.

        Y (n_modes, n_components)
        least (float or list of (columns, float)): Power that a source must explain beside the
            others, in units of noise and of the errors of their lead fields: of all components, or
            of any of several parts of them.
        n_sources (int or None): That many, whatever the evidence.
        noise (list of ndarray of shape (n_modes, n_components)): Realizations of the noise of Y:
            beside it the rest shows how wrong the lead field is.
        start (list of Dipole): To begin with, of this lead field.
        Returns dipoles (list of Dipole)
        """
        needed, n_most = (0.0, n_sources) if n_sources else (1.0, max_sources)
        bounds = as_bounds(least)
        dipoles = self._grow(Y, list(start), bounds, needed, n_most, self._at_points)
        stirred = self._stir(Y, self.refine(Y, dipoles))
        dipoles = self._grow(Y, stirred, bounds, needed, n_most, self._at_points)
        dipoles = self.settle(Y, dipoles)
        if self.between is not None:
            dipoles = self._grow(Y, dipoles, bounds, needed, n_most, self._moved)
        if not n_sources:
            dipoles = self._prune(Y, dipoles, bounds)
            dipoles = self._merge(Y, dipoles, bounds, noise)
        return self._turn(Y, dipoles, bounds)

    def _grow(self, Y, dipoles, bounds, needed, n_most, errors):
        """Add dipoles while one passes."""
        while len(dipoles) < n_most:
            ratio, columns = self._evidence(Y, dipoles, errors, bounds)
            position = int(np.argmax(ratio))
            if not ratio[position] > needed:
                break
            part = part_of(Y, columns[position])
            orientations = self.scan(part, [d.columns for d in dipoles])[1][position, :1]
            dipoles = [*dipoles, self._on_grid(position, orientations)]
            if errors is self._at_points:
                dipoles = self.refine(Y, dipoles, n_rounds=1)
            else:
                dipoles = self.settle(Y, dipoles)
        return dipoles

    def _stir(self, Y, dipoles):
        """Search pairs with courses that are alike again, both at once."""
        if not 2 <= len(dipoles) <= SETTINGS.pair_dipoles:
            return dipoles
        best = self._at_points.misfit(Y, dipoles)
        for pair in alike(dipoles, Y):
            for start in self._pair_starts(
                Y, [dipoles[k] for k in range(len(dipoles)) if k not in pair]
            ):
                found = self.refine(Y, start)
                misfit = self._at_points.misfit(Y, found)
                if misfit < best - SETTINGS.pair_gain:
                    return found
        return dipoles

    def _pair_starts(self, Y, others):
        """Yield dipoles with two more that explain much of what the others leave."""
        positions, basis = self._apart, _basis_of([other.columns for other in others])
        gain, rest = self.gain[:, positions], Y
        if basis is not None:
            rest = Y - basis @ (basis.T @ Y)
            gain = gain - np.tensordot(basis, np.tensordot(basis.T, gain, axes=1), axes=1)
        power = pair_power(gain, main_components(rest))
        for pair in best_pairs(power, SETTINGS.pair_starts):
            dipoles = list(others)
            for position in positions[list(pair)]:
                axes, gram = self._axes[:, :, [position]], self._gram[[position]]
                ways = self._best(axes, gram, Y, [dipole.columns for dipole in dipoles])[1]
                dipoles.append(self._on_grid(int(position), ways[0, :1]))
            yield dipoles

    @cached_property
    def _apart(self):
        return apart(self)

    def _evidence(self, Y, dipoles, errors, bounds, gain=None, taken=None, n=1):
        """Power that each position explains beside dipoles that have errors, over its bound.

        gain (n_modes, n_positions, n_orient) or None: None: the positions of the grid.
        taken (list of ndarray or None): Fields taken out; None: all that currents at the dipoles
            make.
        n: Orientations that count together.
        Returns ratio (n_positions,): The largest over the parts of the components.
        and columns (list): That part, for each position.
        """
        basis = _basis_of([dipole.gain for dipole in dipoles] if taken is None else taken)
        axes = self._axes if gain is None else by_axis(gain)
        firm = self._firm(np.square(axes).sum(axis=(0, 1), dtype=float))
        ratios = []
        for columns, least in bounds:
            power = explained_power(axes, errors.parts(part_of(Y, columns), dipoles, basis), firm)
            ratios.append(power[:, :n].sum(axis=1) / max(least, 1e-300))
        ratios = np.array(ratios) if gain is not None else np.array(ratios) * self.seen
        best = ratios.argmax(axis=0)
        return ratios.max(axis=0), [bounds[index][0] for index in best]

    def _turn(self, Y, dipoles, bounds):
        """Give further orientations to those that explain enough by them."""
        for _ in range(len(dipoles) * (self.n_orient - 1)):
            extra = [self._further(Y, dipoles, index, bounds) for index in range(len(dipoles))]
            best = int(np.argmax(extra))
            if extra[best] < 1:
                break
            orientations = np.eye(self.n_orient)[: len(dipoles[best].orientations) + 1]
            dipoles[best] = replace(dipoles[best], orientations=orientations)
            dipoles = self.settle(Y, dipoles)
        return dipoles

    def _further(self, Y, dipoles, index, bounds):
        """Power that one more orientation of a dipole explains, over its bound."""
        dipole, others = dipoles[index], dipoles[:index] + dipoles[index + 1 :]
        if len(dipole.orientations) == self.n_orient:
            return 0.0
        taken = [dipole.columns, *(other.columns for other in others)]
        gain = dipole.gain[:, None]
        return self._evidence(Y, dipoles, self._errors, bounds, gain, taken)[0][0]

    @property
    def _errors(self):
        return self._at_points if self.between is None else self._moved

    def further(self, Y, dipoles, least):
        """Largest power that one more dipole explains, over what it must."""
        return float(self._evidence(Y, dipoles, self._errors, as_bounds(least))[0].max())

    def beside(self, Y, dipoles, least, errors=None):
        """Power that each dipole explains beside the others, over what it must."""
        ratios, errors = [], errors or self._errors
        for index, dipole in enumerate(dipoles):
            others = dipoles[:index] + dipoles[index + 1 :]
            own, n = dipole.columns[:, None], len(dipole.orientations)
            ratio = self._evidence(Y, others, errors, as_bounds(least), own, n=n)[0]
            ratios.append(ratio[0])
        return np.array(ratios)

    def cell_error(self, dipoles):
        """Error of the fields of dipoles that cannot be moved off the grid, relative to them."""
        if self.between is not None:
            return 0.0
        errors = LeadFieldError(self, 0.0, SETTINGS.cell)
        power = sum(np.square(dipole.columns).sum() for dipole in dipoles)
        off = sum(np.trace(each) for dipole in dipoles for each in errors.covariance(dipole))
        return float(np.sqrt(off / power))

    def neighborhood(self, dipoles):
        """Whether each position is one of some, or makes nearly the same fields as one."""
        found = np.zeros(self.n_positions, dtype=bool)
        for dipole in dipoles:
            found |= self.shared([dipole.position]) > SETTINGS.same * self.power
            found[dipole.position] = True
        return found

    def shared(self, positions):
        """Field power of each position that some positions can make."""
        basis, _ = np.linalg.qr(self.columns(positions))
        shared = np.square(basis.T @ self.flat).sum(axis=0)
        return shared.reshape(-1, self.n_orient).sum(axis=1)

    def _prune(self, Y, dipoles, bounds):
        """Leave out, one after another, what explains too little beside the others."""
        while len(dipoles) > 1:
            ratio = self.beside(Y, dipoles, bounds)
            if ratio.min() >= 1:
                break
            del dipoles[int(np.argmin(ratio))]
            dipoles = self.settle(Y, dipoles)
        return dipoles

    def _merge(self, Y, dipoles, bounds, noise):
        """Leave out what the error of the lead field, as the rest shows it, accounts for."""
        misfit = misfit_of(Y, dipoles, noise)

        def evidence(error):
            error = np.clip(error, self.model_error, SETTINGS.most_error * self.model_error)
            errors = LeadFieldError(self, error, self._errors.cell)
            return self.beside(Y, dipoles, bounds, errors)

        while (index := satellite(Y, dipoles, misfit, evidence)) is not None:
            del dipoles[index]
            dipoles = self.settle(Y, dipoles)
        return dipoles


def as_bounds(least):
    """Bounds of parts of the components; a number is that of all."""
    return least if isinstance(least, list) else [(slice(None), float(least))]


def part_of(Y, part):
    """Some components, by index, or sums of them, by the weights of each sum, (n_components, n)."""
    return Y @ part if np.ndim(part) == 2 else Y[:, part]


def _basis_of(fields):
    """Orthonormal basis of fields, a list of (n_modes, n); None of none."""
    if not len(fields):
        return None
    left, size, _ = np.linalg.svd(np.concatenate(fields, axis=1), full_matrices=False)
    return left[:, size > 1e-6 * size[0]]


def _inverse_root(gram, ridge):
    """Inverse Cholesky factors (n_positions, n_orient, n_orient)."""
    return np.linalg.inv(np.linalg.cholesky(gram + ridge[:, None, None] * np.eye(gram.shape[1])))
