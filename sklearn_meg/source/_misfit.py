"""What is left by all dipoles tells how wrong the lead field is: satellites, volumes, a flag.

In an exact head the rest is noise. In another one, the part of the field of each source that no
dipole can make stays behind: a share ``error**2`` of its power. As large a part looks like the
field of a source elsewhere and goes unseen into the places found, and a part that looks like a
further source of the same course becomes one, a satellite.
"""

from dataclasses import dataclass, replace

import numpy as np

from .._checks.assumptions import warn_assumption
from ._lead_error import LeadFieldError
from ._settings import SETTINGS

CHI2_95 = 7.815  # of three degrees of freedom


@dataclass(frozen=True)
class Misfit:
    """Share of the power of all sources that neither they nor noise explain.

    power: Square of the error of the lead field, relative to the field; not below 0.
    deviation: Standard deviation of `power` by noise.
    bound: Error above which the lead field is wrong.
    noise: Power of noise where the courses are, as its realizations have it, relative to theirs.
    level: Times that it is counted: what is left in components that hold no course has so much of
        it.
    near: The same of what is left beside the courses in components that hold them: of noise that
        is as slow as they are.
    """

    power: float
    deviation: float
    bound: float = SETTINGS.wrong_field
    noise: float = 0.0
    level: float = 1.0
    near: float = 1.0

    @property
    def error(self):
        """Error of the lead field, relative to the field."""
        return float(np.sqrt(self.power))

    @property
    def surely(self):
        """Power that is there whatever the noise."""
        return max(self.power - self.deviation, 0.0)

    def given(self, stated):
        """Power of the error where noise hides it: the stated one, as far as noise is larger.

        The mean of a Gaussian whose prior has the square of `stated` as mean and deviation.
        """
        share = self.deviation**2 / (self.deviation**2 + stated**4) if stated else 0.0
        return (1 - share) * self.power + share * stated**2

    @property
    def at_most(self):
        """Error of the lead field that noise may hide."""
        return float(np.sqrt(self.power + 2 * self.deviation))

    @property
    def is_wrong(self):
        """Whether the lead field is further off than noise and a usual head model explain."""
        return self.power - 3 * self.deviation > self.bound**2

    def of_averages(self, like_errors):
        """The same where noise is only guessed: it may be a few times as much.

        like_errors (Misfit): Of what looks like errors of the lead field, where less noise is.
        """
        like_errors = replace(like_errors, near=max(self.near, like_errors.near))
        rest = self._beyond(SETTINGS.blind_rest, SETTINGS.blind_sigmas)
        if rest or like_errors._beyond(SETTINGS.blind_like_errors, 3):
            return replace(self, bound=0.0)
        return replace(self, bound=SETTINGS.wrong_blind)

    def _beyond(self, times, sigmas):
        """Whether more is left than usual errors and some times the noise as slow as courses.

        sigmas: Standard deviations of so much noise that may be on top.
        """
        more = max(times * self.near / max(self.level, 1e-300), 1.0)
        noise = (more - 1) * self.level * self.noise
        return self.power - sigmas * more * self.deviation > SETTINGS.wrong_average**2 + noise


def misfit_of(Y, dipoles, noise, shape=None):
    """Compare what dipoles leave in the components that hold their courses with what noise does.

    How much noise there is tell the other components, of which dipoles leave noise alone.

    Y (n_modes, n_components), dipoles (list of Dipole)
    noise (list of ndarray of shape (n_modes, n_components)): Realizations of the noise of Y.
    shape (n_modes, n_modes) or None: Covariance of the errors that are looked for; None: alike in
        all directions.
    Returns misfit (Misfit)
    """
    if not dipoles or not len(noise):
        return Misfit(0.0, 0.0)
    columns = _columns(dipoles)
    basis = np.linalg.qr(columns)[0]
    root, n_like = _root_outside(basis, shape)
    rest = root @ Y
    turn = np.linalg.svd(np.linalg.pinv(columns) @ Y, full_matrices=False)[2]  # of the courses
    expected = np.mean([np.square(root @ each).sum(axis=0) for each in noise], axis=0)
    share = np.square(turn).sum(axis=0)
    beyond = float((expected * (1 - share)).sum())
    total, seen = np.square(rest).sum(), np.square(rest @ turn.T).sum(axis=0)
    level = max(total - seen.sum(), 0.0) / beyond if beyond > 0 else np.inf
    if not np.isfinite(level):
        return Misfit(0.0, 0.0)
    of_noise = np.square(turn) @ expected
    size = max(np.square(basis.T @ Y).sum() / n_like, 1e-300)
    power = max(seen.sum() - level * of_noise.sum(), 0.0) / size
    deviation = level * np.sqrt(2 / n_like * np.square(of_noise).sum()) / size
    return Misfit(
        power=float(power),
        deviation=float(deviation),
        noise=float(of_noise.sum() / size),
        level=float(level),
        near=_near(rest, turn, expected),
    )


def _root_outside(basis, shape):
    """Root of a covariance outside of some fields, of trace 1, and the directions that count."""
    outside = np.eye(len(basis)) - basis @ basis.T
    weight = outside if shape is None else outside @ shape @ outside
    weight = weight / max(np.trace(weight), 1e-300)
    values, vectors = np.linalg.eigh(weight)
    n_like = 1 / max(np.square(weight).sum(), 1e-300)
    return (vectors * np.sqrt(np.maximum(values, 0.0))).T, n_like


def _near(rest, turn, noise):
    """Power beside courses in the components that hold them, of that of noise there."""
    hold = turn.T @ turn
    beside = np.eye(len(hold)) - hold
    expected = np.diag(hold) @ np.square(beside) @ noise
    left = np.diag(hold) @ np.square(rest @ beside).sum(axis=0)
    return float(left / expected) if expected > 0 else 1.0


def satellite(Y, dipoles, misfit, evidence=None):
    """Dipole that the error of the lead field of others accounts for, or None.

    Its course is made of those of stronger ones. What it alone explains is no more than a few times
    what the error that is surely there makes of those, or no evidence where the error is as large
    as it may be: what several satellites mend does not show.

    Y (n_modes, n_components), dipoles (list of Dipole)
    evidence (callable or None): From an error of the lead field to the evidence of each dipole.
    """
    if len(dipoles) < 2:
        return None
    columns = _columns(dipoles)
    owner = np.repeat(np.arange(len(dipoles)), [len(d.orientations) for d in dipoles])
    made, alone = _made_of_stronger(Y, columns)
    bound = min(SETTINGS.satellite**2 * misfit.surely, SETTINGS.most_satellite**2)
    doubtful = np.zeros(len(dipoles), dtype=bool)
    if evidence is not None and made.any():
        doubtful = evidence(SETTINGS.satellite * misfit.at_most) < 1
    for column in np.argsort(alone):
        turns = (owner == owner[column]).sum() > 1
        if made[column] and not turns and (alone[column] < bound or doubtful[owner[column]]):
            return int(owner[column])
    return None


def _made_of_stronger(Y, columns):
    """Whether each course is made of those of stronger ones, but for noise, and its power alone.

    Returns made (n_columns,) bool
    and alone (n_columns,): Power that others cannot explain, of the power of the strongest of
        them.
    """
    inverse = np.linalg.pinv(columns)
    courses, noise = inverse @ Y, np.square(inverse).sum(axis=1) * Y.shape[1]
    size = np.square(courses).sum(axis=1)
    power = size * np.square(columns).sum(axis=0)
    made, alone = np.zeros(len(power), dtype=bool), np.full(len(power), np.inf)
    for column in range(len(power)):
        stronger = power > power[column]
        if not stronger.any():
            continue
        own = np.linalg.lstsq(courses[stronger].T, courses[column], rcond=None)[0]
        rest = np.square(courses[column] - own @ courses[stronger]).sum() - noise[column]
        beside = _beside(columns[:, column], [np.delete(columns, column, axis=1)])
        alone[column] = np.square(beside).sum() * size[column] / power[stronger].max()
        heard = max(size[column] - noise[column], 0.0)
        made[column] = rest < (1 - SETTINGS.same_course**2) * heard
    return made, alone


def spread(scanner, Y, dipoles, index, misfit):
    """Covariance in m^2 of the position of one dipole, (3, 3); NaN without coordinates.

    The inverse of the Fisher information of its place (how its field changes from place to place,
    in units of noise and of what is left of it, beside what its orientation and the other dipoles
    can make), the places elsewhere that explain nearly as much, and those whose fields differ by as
    much as the lead field is off: as it is seen to be, or as it is said to be where noise hides it.
    """
    if scanner.between is None:
        return np.full((3, 3), np.nan)
    dipole, others = dipoles[index], dipoles[:index] + dipoles[index + 1 :]
    power = float(np.square(np.linalg.pinv(_columns([dipole, *others]))[0] @ Y).sum())
    seen = misfit.given(scanner.model_error)
    errors = LeadFieldError(scanner, np.sqrt(seen), SETTINGS.settled * SETTINGS.cell)
    noise = np.eye(len(Y)) + power * errors.covariance(dipole)[0]
    values, vectors = np.linalg.eigh(noise)
    whitener = (vectors / np.sqrt(values)).T
    fields = [dipole.gain, *(other.columns for other in others)]
    gradient, step = gradient_of(scanner, dipole)[..., 0], scanner.between.spacing
    change = _beside(whitener @ gradient, [whitener @ each for each in fields]) * np.sqrt(power)
    by_noise = np.linalg.inv(change.T @ change + np.eye(3) / step**2)
    by_noise += _elsewhere(scanner, Y, dipole, others, by_noise, max(misfit.level, 1.0))
    if not seen > 0:
        return by_noise
    off = SETTINGS.unseen * seen * np.square(dipole.columns[:, 0]).sum()
    change = _beside(gradient, fields)
    return by_noise + np.linalg.inv(change.T @ change / off + np.eye(3) / (2 * step) ** 2)


def _elsewhere(scanner, Y, dipole, others, near, level):
    """Second moment (3, 3) of a dipole being elsewhere, beside the others as they are.

    near (3, 3): Covariance of its place where it is
    level: Power of noise.

    On the grid there as here: between its points each place explains more.
    """
    power = scanner.scan(Y, [other.columns for other in others])[0]
    power = power[:, : len(dipole.orientations)].sum(axis=1)
    steps = scanner.grid - dipole.place
    far = np.linalg.norm(steps, axis=1) / scanner.between.spacing
    here, beyond = far < SETTINGS.here, far > SETTINGS.elsewhere
    beyond &= np.einsum("ni,ij,nj->n", steps, np.linalg.inv(near), steps) > CHI2_95
    weight = np.exp(np.minimum((power - power[here].max()) / 2 / level, 50.0))
    cells = np.sqrt((2 * np.pi) ** 3 * np.linalg.det(near)) / scanner.between.spacing**3
    weight = weight * beyond / (cells + (weight * beyond).sum())
    return (steps * weight[:, None]).T @ steps


def _columns(dipoles):
    return np.concatenate([dipole.columns for dipole in dipoles], axis=1)


def _beside(change, fields):
    """Part of a change that no field of the dipoles can make."""
    left, size, _ = np.linalg.svd(np.concatenate(fields, axis=1), full_matrices=False)
    basis = left[:, size > 1e-6 * size[0]]
    return change - basis @ (basis.T @ change)


def gradient_of(scanner, dipole):
    """Change of the fields of a dipole with its place, (n_modes, 3, n_orientations)."""
    step, out = 0.5 * scanner.between.spacing, []
    for axis in np.eye(3):
        ends = [_field_at(scanner, dipole.place + sign * step * axis) for sign in (1, -1)]
        out.append((ends[0] - ends[1]) @ dipole.orientations.T / (2 * step))
    return np.stack(out, axis=1)


def _field_at(scanner, place):
    near, share = scanner.between.shares(place)
    return np.tensordot(scanner.gain[:, near], share, axes=(1, 0))


def warn_of_dipoles(found, n_sources):
    """Say that there is none, that more were asked for than found, or a wrong lead field.

    n_sources (int or None): Number of sources that was given.
    """
    if not found.dipoles:
        warn_assumption("no-source", "There is evidence for no source: the estimate is zero.")
        return
    doubtful = int((found.evidence < 1).sum())
    if n_sources and (doubtful or len(found.dipoles) < n_sources):
        warn_assumption(
            "told-sources",
            f"{len(found.dipoles)} source(s) were found where n_sources is {n_sources}, and "
            f"{doubtful} of them explain no more than noise and the error of the lead field do.",
        )
    elif found.further > SETTINGS.surely_further:
        warn_assumption(
            "told-sources",
            f"There is evidence for more sources than n_sources={n_sources}: the next explains "
            f"{found.further:.1f} times what it must.",
            remedy="Leave n_sources out, or give more.",
        )
    if found.misfit.is_wrong:
        warn_assumption(
            "lead-field",
            f"The sources leave {100 * found.misfit.error:.0f} % of the amplitude of their fields, "
            "beyond noise: more than a good forward model and all sources would.",
        )
    elif (n_alike := _most_alike(found.courses)) > 2:
        warn_assumption(
            "lead-field",
            f"{n_alike} sources have one course, as where several mend the field of one that the "
            "forward model does not make.",
        )
    elif found.move is not None and found.move.is_pretended:
        warn_assumption(
            "lead-field",
            f"The fields are more like those of sensors {1e3 * found.move.shift:.0f} mm from where "
            "the forward model has them, which is too far or explains too little.",
        )
    elif found.move is not None and found.move.believed:
        warn_assumption(
            "lead-field",
            f"The fields are those of sensors shifted by {1e3 * found.move.shift:.1f} mm and "
            f"turned by {found.move.turn:.1f} degrees from where the forward model has them. The "
            "dipoles are those of the moved sensors (`sensors_moved_`).",
            remedy="Check the co-registration. A skull longer than modeled looks alike: with "
            "`coregistration_error=0` sensors stay.",
        )


def _most_alike(courses):
    """Largest number of courses (n_conditions, n_courses, n_times) that are nearly one.

    A course that is next to nothing beside the largest mends no field.
    """
    flat = np.concatenate(list(courses), axis=1)
    sizes = np.abs(flat).max(axis=1)
    flat = flat[sizes > SETTINGS.next_to_nothing * sizes.max()]
    flat = flat / np.maximum(np.linalg.norm(flat, axis=1), 1e-300)[:, None]
    return int((np.abs(flat @ flat.T) > SETTINGS.one_course).sum(axis=1).max())


def warn_of_size(found, problem):
    """Say that currents in A m are of a size that no brain makes."""
    if not found.dipoles:
        return
    largest = float((np.abs(found.courses).max(axis=(1, 2)) / np.sqrt(problem.nave)).max())
    if not SETTINGS.least_current < largest < SETTINGS.most_current:
        warn_assumption("current-size", f"The largest current is {largest:.2g} A m.")
