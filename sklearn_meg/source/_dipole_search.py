"""The dipoles there is evidence for: noise measured, a null, the search, their time courses."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .._checks.params import check_random_state
from ._averages import gather_averages
from ._conditions import first_change
from ._evidence import gather, n_components_held, wiener
from ._few_samples import scarcity_of
from ._lead_error import LeadFieldError
from ._left_out import left_out_excess
from ._misfit import CHI2_95, Misfit, misfit_of, spread
from ._movement import find_move
from ._overlap import responses_of, sums_of_events
from ._scan import Scanner, part_of
from ._settings import SETTINGS
from ._sporadic import usual_power

WHOLE = None, slice(None)  # all conditions, all components


@dataclass(frozen=True)
class Found:
    """Dipoles that were found, and their evidence.

    dipoles (list of Dipole)
    evidence (n_dipoles,): Power that each explains beside the others over what it must, at least
        1.
    stability (n_positions,) or None: Share of realizations of the noise with a source at, or next
        to, each position.
    columns (n_modes, n_courses) or None: Fields of all orientations of the dipoles, whitened.
    courses (n_conditions, n_courses, n_times) or None: Their time courses in the averages times
        sqrt(nave).
    responses (n_events, n_courses, n_lags) or None: Courses of each event alone, where conditions
        are sums of them.
    n_components: Components of time that hold nearly all of every course.
    misfit (Misfit): Error of the lead field.
    further: With `n_sources`: power that one more explains over what it must.
    spread (n_dipoles, 3, 3): Covariance of each position in m^2, NaN without coordinates.
    usual (n_dipoles,): Power of each in the median trial, of that in the mean one.
    move (Move or None): Of the sensors, where the data ask for one.
    moments (n_positions,): Peak in A m that one more source needs to be found.
    """

    dipoles: list
    evidence: np.ndarray
    stability: Any = None
    columns: Any = None
    courses: Any = None
    responses: Any = None
    n_components: int = 0
    misfit: Misfit = Misfit(0.0, 0.0)
    further: float = 0.0
    spread: Any = field(default_factory=lambda: np.zeros((0, 3, 3)))
    usual: Any = field(default_factory=lambda: np.zeros(0))
    move: Any = None
    moments: Any = None

    @property
    def volumes(self):
        """Volume in m^3 of the ellipsoid that holds each dipole with 95 %."""
        if np.isnan(self.spread).any():
            return np.full(len(self.spread), np.nan)
        size = np.sqrt(np.maximum(np.linalg.det(self.spread), 0.0))
        return 4 / 3 * np.pi * CHI2_95**1.5 * size


def find_dipoles(problem, grid, params):
    """Find the dipoles of an inverse problem.

    grid (n_positions, 3) or None: Coordinates of the positions, if dipoles may lie between them.
    params (object): With the attributes of :class:`DipoleParams`, depth and random_state.
    Returns found (Found)
    Raises ValueError for fields that are 0 from the first event on, or vanish beside their noise.
    """
    blind = problem.rows is None  # averages do not tell how much brain noise is left in them
    onset, rng = _onset_of(problem), check_random_state(params.random_state)
    if blind:
        scanner = Scanner(problem.gain, problem.n_orient, grid, params.model_error)
        evidence = gather_averages(problem.data, onset, problem.baseline, scanner.modes, rng)
    else:
        evidence = gather(problem.data, onset, *problem.trials(), rng)
        gain = evidence.whitener @ problem.gain
        scanner = Scanner(gain, problem.n_orient, grid, params.model_error)
    _check_heard(evidence)
    Y = evidence.looked_at(scanner.modes.T @ evidence.Y)
    noise = [evidence.looked_at(scanner.modes.T @ draw) for draw in evidence.noise]
    if blind and Y.size:
        scanner.expect(Y, params.depth, SETTINGS.blind_firmness)
    excess, sums, parts = {}, None, [WHOLE]
    if params.alpha == "auto":
        excess = _excess(problem, onset, rng, scanner, evidence, Y, noise)
    if params.alpha == "auto" and Y.size:
        sums = sums_of_events(problem.events, evidence, problem.nave)
        parts = _parts(_conditions_of(evidence), sums)
    least = _bounds(scanner, Y, noise, params.alpha, parts, problem.labels, excess)
    counts = params.max_sources, params.n_sources
    dipoles = scanner.search(Y, least, *counts, noise) if Y.size else []
    move = _move(problem, params, scanner, evidence, Y, dipoles, noise)
    if move is not None and move.believed:
        scanner = move.scanner
        dipoles = scanner.search(Y, least, *counts, noise, move.dipoles)
    stability = _stability(scanner, Y, least, counts, noise, params.n_estimators)
    moments = _least_moments(scanner, Y, dipoles, noise, least[0][1], evidence, problem.nave)
    if not dipoles:
        return Found(dipoles, np.zeros(0), stability, moments=moments)
    summed = Y
    if sums is not None and _responses(dipoles, scanner, evidence, problem) is not None:
        summed, noise = Y @ sums, [draw @ sums for draw in noise]
        dipoles = scanner.settle(summed, dipoles)
    columns = np.concatenate([dipole.columns for dipole in dipoles], axis=1)
    misfit = _misfit(scanner, summed, dipoles, noise, params.alpha, blind)
    inverse, fields = np.linalg.pinv(columns), scanner.modes.T @ evidence.Y
    owner = np.repeat(np.arange(len(dipoles)), [len(d.orientations) for d in dipoles])
    operator = inverse @ scanner.modes.T @ evidence.whitener
    amplitudes = wiener(columns, fields, len(problem.data))
    return Found(
        dipoles=dipoles,
        evidence=scanner.beside(Y, dipoles, least),
        misfit=misfit,
        further=scanner.further(Y, dipoles, least) if params.n_sources else 0.0,
        spread=np.array([spread(scanner, summed, dipoles, k, misfit) for k in range(len(dipoles))])
        * SETTINGS.calibrated
        + params.coregistration_error**2 * np.eye(3),
        stability=stability,
        columns=columns,
        courses=evidence.courses(amplitudes),
        responses=_responses(dipoles, scanner, evidence, problem),
        n_components=n_components_held(amplitudes, len(problem.data), SETTINGS.held),
        usual=usual_power(problem, operator, evidence, owner),
        move=move,
        moments=moments,
    )


def _least_moments(scanner, Y, dipoles, noise, least, evidence, nave):
    """Peak moments in A m that one more source needs to be found, beside dipoles.

    Of the course that most of the fields have, in the orientation that is seen best. Noise adds
    what it explains at a position on average. NaN where no component holds a response.
    """
    if not Y.size:
        return np.full(scanner.n_positions, np.nan)
    draws = noise[: SETTINGS.moment_draws]
    of_noise = np.mean([scanner.explained(draw)[scanner.seen] for draw in draws])
    course = np.abs(evidence.main_course(Y)).max(axis=1) / np.sqrt(nave)
    visible = np.where(scanner.seen, scanner.visible(dipoles), np.nan)
    return course.max() * np.sqrt(max(least - of_noise, 0.0) / visible)


def _stability(scanner, Y, least, counts, noise, n):
    """Share of n realizations of the noise with a source at each position; None of a single one."""
    if n == 1:
        return None
    replicates = [Y + noise[index % len(noise)] for index in range(n)]
    found = [scanner.search(replicate, least, *counts, noise) for replicate in replicates]
    return np.mean([scanner.neighborhood(each) for each in found], axis=0)


def _move(problem, params, scanner, evidence, Y, dipoles, noise):
    """Where the dipoles say that the sensors are; None where they cannot, or say nothing."""
    if not dipoles or scanner.between is None or problem.sensors is None:
        return None
    inside = scanner.modes.T @ evidence.whitener @ problem.whitener
    given = problem.sensors, params.coregistration_error, problem.rows is None
    return find_move(scanner, Y, dipoles, noise, inside, *given)


def _misfit(scanner, Y, dipoles, noise, alpha, blind):
    """Error of the lead field, and from where on it is told."""
    misfit = misfit_of(Y, dipoles, noise)
    if alpha != "auto":  # sources were not looked for
        misfit = replace(misfit, bound=SETTINGS.wrong_blind if blind else np.inf)
    elif blind:
        shape = LeadFieldError(scanner, 1.0, 0.0).expected(Y, dipoles)
        misfit = misfit.of_averages(misfit_of(Y, dipoles, noise, shape))
    return replace(misfit, bound=np.hypot(misfit.bound, scanner.cell_error(dipoles)))


def _responses(dipoles, scanner, evidence, problem):
    """Courses of each event alone; None where conditions are no sums of them."""
    columns = np.concatenate([dipole.columns for dipole in dipoles], axis=1)
    inverse = np.linalg.pinv(columns) @ scanner.modes.T
    draws = [inverse @ draw for draw in evidence.noise]
    return responses_of(problem.events, inverse @ evidence.Y, draws, evidence, problem.nave)


def _onset_of(problem):
    onset = first_change(problem.events) or 0
    if not problem.data[..., onset:].any():
        raise ValueError(
            f"y must not be 0 from the first change of the events on (sample {onset})."
        )
    return onset


def _check_heard(evidence):
    if np.square(evidence.Y).mean() < SETTINGS.unheard:
        raise ValueError(
            "y must not vanish beside its noise. Got less than any noise of that size would "
            "leave: are y and noise_cov in the same units?"
        )


def _conditions_of(evidence):
    """Condition of each component that is looked at."""
    n_conditions, n_components = evidence.deviation.shape
    return np.repeat(np.arange(n_conditions), n_components)[evidence.weight > 0]


def _bounds(scanner, Y, noise, alpha, parts, labels, excess):
    """Power that noise alone does not explain, in all conditions together and in each.

    A source that one condition needs is not lost because the others have none there.
    """
    return [
        (
            part,
            max(_caution(labels, alpha, each), excess.get(each, 0.0))
            * _least(scanner, Y, noise, alpha, part),
        )
        for each, part in parts
    ]


def _parts(conditions, sums=None):
    """Components of all conditions, of each where there are several, and of sums of responses."""
    parts = [WHOLE] + ([] if sums is None else [(None, sums)])
    if len(set(conditions)) > 1:
        parts += [(each, np.flatnonzero(conditions == each)) for each in np.unique(conditions)]
    return parts


def _excess(problem, onset, rng, scanner, evidence, Y, noise):
    """Times that noise exceeds its realizations, of all conditions (None) and of each."""
    if problem.rows is None:
        scarcity = problem.scarcity
        if not scarcity:
            scarcity = scarcity_of(problem.data, onset, problem.baseline, scanner.modes)
        more = max(1.0, SETTINGS.few_samples[0] + SETTINGS.few_samples[1] * scarcity)
        parts = _parts(_conditions_of(evidence))
        return {each: SETTINGS.blind_more * more for each, _ in parts}
    excess = left_out_excess(problem, onset, rng, _over_bounds)
    return excess | _chosen_excess(scanner, evidence, Y, noise, problem.labels, excess)


def _chosen_excess(scanner, evidence, Y, noise, labels, excess):
    """Times that noise exceeds what a source must pass, in components that noise would choose."""
    chosen, used = evidence.chosen_noise()
    if not chosen or not Y.size:
        return {}
    conditions, out = _conditions_of(evidence), {}
    every = np.repeat(np.arange(len(evidence.deviation)), evidence.deviation.shape[1])
    for each, part in _parts(conditions):
        own = [draw if each is None else draw[:, every[u] == each] for draw, u in zip(chosen, used)]
        own = [scanner.modes.T @ draw for draw in own]
        ratio = _least(scanner, Y, own, "auto") / _least(scanner, Y, noise, "auto", part)
        out[each] = max(excess.get(each, 0.0), ratio * _caution(labels, "auto", each))
    return out


def _over_bounds(scanner, evidence):
    """Power that the best position explains over its bound, of all conditions and of each."""
    Y = evidence.looked_at(scanner.modes.T @ evidence.Y)
    noise = [evidence.looked_at(scanner.modes.T @ draw) for draw in evidence.noise]
    parts = _parts(_conditions_of(evidence)) if Y.size else []
    return {
        each: scanner.explained(part_of(Y, part)).max() / _least(scanner, Y, noise, "auto", part)
        for each, part in parts
    }


def _caution(labels, alpha, condition=None):
    """Factor of a bound where the size of noise is guessed: of averages, or of a few trials.

    Power over that of n - 1 differences has the F distribution, of mean ``(n - 1) / (n - 3)``. Each
    condition has `fewest_trials`, four, or there are no labels: the divisor is at least 1.
    """
    if alpha != "auto":
        return 1.0
    if labels is None:
        return SETTINGS.blind_more
    n_free = np.bincount(labels) - 1
    n_free = n_free.sum() if condition is None else n_free[condition]
    return n_free / (n_free - 2)


def _least(scanner, Y, noise, alpha, part=slice(None)):
    """Power that noise alone does not explain, beside that a source must pass."""
    if alpha != "auto":
        return (alpha / 100) ** 2 * float(scanner.explained(Y).max()) if Y.size else 0.0
    largest = np.array([scanner.explained(part_of(draw, part)).max() for draw in noise])
    return float(largest.mean() + SETTINGS.sigmas * largest.std())
