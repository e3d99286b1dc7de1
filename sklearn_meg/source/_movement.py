"""Sensors that are not where they were said to be: the fields show by how much.

To shift or turn the sensors beside the head is not to move the sources in it: currents that flow
back through the head depend on where in it they begin. Six numbers, alike for all sources and
samples, then explain what dipoles leave: three shifts and three turns, Gaussian around 0, in so
wide a prior as makes the data most likely, beside places and orientations that are free. A head
that is not the modeled one pretends such moves, but leaves more than they explain, or is explained
better by three sizes of the head along its axes: a move must gain more than these do.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ._lead_error import LeadFieldError
from ._misfit import gradient_of, misfit_of
from ._settings import SETTINGS


@dataclass(frozen=True)
class Move:
    """Where sensors are beside where they were said to be.

    move (6,): Shifts in m along the axes of the head, turns in rad about the middle of the grid.
    evidence: Log-likelihood that it gains, beside that of sensors as they were said to be, and more
        than another size of the head does.
    scanner (Scanner) and gain (n_channels, n_positions * n_orient): With the lead field of sensors
        that are there; the second in the units of y.
    dipoles (list of Dipole): Of that scanner.
    believed: Whether it explains what dipoles left, and is no farther than sensors may be.
    """

    move: np.ndarray
    evidence: float
    scanner: Any = None
    gain: Any = None
    dipoles: Any = ()
    believed: bool = False

    @property
    def is_pretended(self):
        """Whether the lead field is wrong in another way."""
        return not self.believed and self.evidence > SETTINGS.surely_moved

    @property
    def shift(self):
        """Length in m."""
        return float(np.linalg.norm(self.move[:3]))

    @property
    def turn(self):
        """Angle in degrees."""
        return float(np.rad2deg(np.linalg.norm(self.move[3:])))


NOT_MOVED = Move(np.zeros(6), 0.0)


def find_move(scanner, Y, dipoles, noise, inside, sensors, stated, blind=False):
    """Move sensors to where the rest of the dipoles is least, as far as the data ask for it.

    Y (n_modes, n_components), noise (list of ndarray of the same shape)
    inside (n_modes, n_channels): From channels to modes.
    sensors (Sensors), stated: Standard deviation in m by which they may be off.
    blind: Whether the size of noise is only guessed.
    Returns move (Move or None): None where the data do not ask for one.
    """
    changes = inside @ sensors.changes(), inside @ sensors.resized()
    raw, moved, found = sensors.gain, scanner, NOT_MOVED
    least = SETTINGS.least_moved * (SETTINGS.blind_more if blind else 1.0)
    for _ in range(SETTINGS.move_rounds):
        found = _step(moved, Y, dipoles, changes, raw, stated, found.move)
        if found.evidence < least:
            return None
        raw = sensors.moved(found.move)
        gain = sensors.projected(raw)
        moved = scanner.with_modes_of(inside @ gain)
        dipoles = moved.between_points(Y, [moved.again(dipole) for dipole in dipoles])
    left = misfit_of(Y, dipoles, noise)
    explained = left.power < SETTINGS.left_by_moved**2
    near = found.shift < SETTINGS.farthest_moved * stated
    there = {"scanner": moved, "gain": gain, "dipoles": dipoles}
    return replace(found, **there, believed=explained and near)


def _step(scanner, Y, dipoles, changes, raw, stated, before):
    """Improve a move by what dipoles of sensors moved so leave, in units of noise and errors.

    changes (tuple of two (n, n_modes, n_channels)): Of fields, by the parts of a move and by sizes.
    """
    columns = np.concatenate([dipole.columns for dipole in dipoles], axis=1)
    raw = raw.reshape(len(raw), -1, scanner.n_orient)
    fields = np.concatenate([dipole.fields(raw) for dipole in dipoles], axis=1)
    left, size, _ = np.linalg.svd(np.linalg.pinv(columns) @ Y, full_matrices=False)
    errors = LeadFieldError(scanner, SETTINGS.good_head, SETTINGS.settled * SETTINGS.cell)
    parts = errors.parts(Y, dipoles, np.linalg.qr(columns)[0])
    whiteners, rest = zip(*[part for part, _ in zip(parts, size)])

    def made(fields, courses):
        """What a change (n_modes, n) of the fields of courses (n, n_parts) makes of the rest."""
        return np.concatenate(
            [white @ (fields @ course) for white, course in zip(whiteners, courses.T)]
        )

    courses, free, first = left * size, [], 0
    for dipole in dipoles:  # of any place and orientation
        own = courses[first : first + len(dipole.orientations)]
        first += len(own)
        free += [made(change, own) for change in gradient_of(scanner, dipole).transpose(1, 0, 2)]
        free += [made(way[:, None], course[None]) for way in dipole.gain.T for course in own]
    free = _basis(np.array(free).T)
    moves, sizes = (np.array([made(c @ fields, courses) for c in each]).T for each in changes)
    rest = np.concatenate(rest)[:, 0]
    moves, sizes, rest = (each - free @ (free.T @ each) for each in (moves, sizes, rest))
    rest, n = rest + moves @ before, len(rest) - free.shape[1]
    units = stated * np.array([1.0] * 3 + [1 / SETTINGS.move_radius] * 3)
    gained, move = _most_likely(moves, rest, n, units)
    by_size, _ = _most_likely(sizes, rest, n, np.full(3, SETTINGS.size_prior))
    return Move(move, gained - by_size)


def _basis(columns):
    """Orthonormal basis of columns of any units."""
    columns = columns / np.maximum(np.linalg.norm(columns, axis=0), 1e-300)
    left, size, _ = np.linalg.svd(columns, full_matrices=False)
    return left[:, size > 1e-5 * size[0]]


def _most_likely(design, rest, n, units):
    """Change of the prior, and the noise, that make the rest most likely.

    design (n_values, n_parts), rest (n_values,)
    n: Values that are free.
    units (n_parts,): Standard deviations that are stated.
    Returns gained (float): Log-likelihood, beside no change.
    and change (n_parts,)
    """
    best, nothing = (0.0, 0.0 * units), _likelihood(rest @ rest, n)
    for times in SETTINGS.move_priors:
        made, noise = design * times * units, max(rest @ rest / n, 1.0)
        for _ in range(SETTINGS.move_noise_rounds):
            precision = made.T @ made / noise + np.eye(len(units))
            change = np.linalg.solve(precision, made.T @ rest / noise)
            left = rest @ rest - change @ (made.T @ rest)  # that of the change itself included
            noise = max(left / n, 1.0)
        gained = _likelihood(left, n) - nothing - np.linalg.slogdet(precision)[1] / 2
        if gained > best[0]:
            best = gained, times * units * change
    return best


def _likelihood(power, n):
    """Log-likelihood of n values of noise of at least unit variance, but for a constant."""
    noise = max(power / n, 1.0)
    return -0.5 * (n * np.log(noise) + power / noise)
