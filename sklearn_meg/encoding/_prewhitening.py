"""Generalized least squares: features and responses filtered so that the noise becomes white.

What an encoder leaves of MEG is mostly slow activity, so that neighboring samples say almost the
same. Least squares takes them as independent; after a filter that makes the residuals white
(an autoregression, as Cochrane and Orcutt 1949, and as fMRI does), they are. The filter of the
past of a trial needs samples before it: the first samples get the triangular filters of their own
length instead (Prais and Winsten 1954), from the Cholesky factor of the same covariance.
"""

from dataclasses import dataclass, replace

import numpy as np

from .._checks.trials import release_pages
from ._arx import counted_samples, pieces_of, with_past
from ._lags import LagSums, lagged
from ._pooling import TrialSums, trial_sums


@dataclass(frozen=True)
class Settings:
    """How the noise is modeled."""

    #: Samples that the autoregression looks back.
    order: int = 4
    #: White noise that is added to the covariance, as a share of the variance: bounds the gain.
    floor: float = 1e-4
    #: Standard errors over folds by which held-out trials must be predicted better. Simulated
    #: worlds of 48 to 1440 trials gained where it was .5 or more, all but one of 96 trials that
    #: lost .012 of R over time with 1.8; where it was below 0, they lost.
    clearly: float = 0.5
    #: Trials that tell how the noise goes on: more would not change it.
    trials: int = 2000


SETTINGS = Settings()


@dataclass
class NoiseFilter:
    """What makes the noise white.

    taps (order + 1,): Of the present sample, then of those before it.
    head (order, order): Filters of the first samples of a trial, one a row.
    """

    taps: np.ndarray
    head: np.ndarray


def noise_left(predicted, X, y, rows):
    """Filter that makes white what models leave of some trials; None if these are too short.

    predicted (list of (function of X and trials, trials))
    """
    order = min(SETTINGS.order, X.shape[2] // 8)
    if not order:
        return None
    step = max(1, sum(len(trials) for _, trials in predicted) // SETTINGS.trials)

    def left():
        for predict, trials in predicted:
            for part in pieces_of(trials[::step], X.shape[2], (order + 2) * y.shape[1]):
                yield y[part] - predict(X, part), counted_samples(X, rows, part)
                release_pages(X, y)

    return fit_noise(left(), order)


def better(first, noise, fit_white, always):
    """The fit to be kept, and the taps (order + 1,) of its filter.

    first (tuple): Least squares; the last entry is its held-out errors (n_folds,).
    noise (NoiseFilter or None)
    fit_white (callable): Gives the same by generalized least squares.
    always: Keep that in any case.
    """
    taps = np.zeros(SETTINGS.order + 1)
    taps[0] = 1.0
    if noise is None:
        return first, taps
    other = fit_white()
    if not (always or clearly_less(other[-1], first[-1])):
        return first, taps
    taps[: len(noise.taps)] = noise.taps
    return other, taps


def fit_noise(errors, order):
    """Fit one autoregression to what encoders leave, all channels alike.

    errors (iterable of (error, counted)): Errors (n_trials, n_channels, n_times) and how much each
        sample counts (n_trials, n_times).
    Returns noise (NoiseFilter), or None where nothing is left.
    """
    products = np.zeros((order + 1, order + 1))
    for error, counted in errors:
        there = with_past(counted > 0, order)[:, order:] * counted[:, order:]
        past = [error[:, :, i : error.shape[2] - order + i] for i in range(order + 1)]
        own = np.empty((error.shape[1], order + 1, order + 1))
        for i, each in enumerate(past):
            weighted = each * there[:, np.newaxis]
            for j in range(i + 1):
                own[:, i, j] = own[:, j, i] = np.einsum("nct,nct->c", weighted, past[j])
        variance = np.trace(own, axis1=1, axis2=2) / (order + 1)
        loud = variance > 0
        products += there.sum() * (own[loud] / variance[loud, np.newaxis, np.newaxis]).sum(axis=0)
    variance = np.trace(products) / (order + 1)
    if not variance > 0:
        return None
    factor = np.linalg.cholesky(products + SETTINGS.floor * variance * np.eye(order + 1))
    filters = np.linalg.inv(factor) * factor[-1, -1]
    return NoiseFilter(filters[-1, ::-1].copy(), filters[:-1, :-1])


def white_sums(blocks, lags, noise):
    """As :func:`~._pooling.trial_sums`, of filtered features and responses.

    An intercept is filtered as well: sums of features and responses, and the number of samples,
    are products with a filtered one, so that to center them is to leave the intercept out.
    """
    order, gain, head = len(noise.head), noise.taps.sum(), None
    ahead = max(0, -lags[0])  # samples for which a lag looks at what the filter leaves behind

    def bodies():
        nonlocal head
        for x, y, *counted in blocks:
            counted = counted[0] if counted else np.ones(x.shape[1:])
            first = _head_sums(x, y, counted, lags, noise)
            head = first if head is None else head + first
            weight = with_past(counted > 0, order) * counted
            weight[:, :order] = 0
            x, y, weight = (_longer(each, min(ahead, order)) for each in (x, y, weight))
            yield _filtered(x, noise.taps), _filtered(y, noise.taps), weight

    body = trial_sums(bodies(), lags)
    n_times = body.count.shape[0] - min(ahead, order)
    sums = body.lags
    total = replace(sums, x=gain * sums.x, y=gain * sums.y, n_samples=gain**2 * sums.n_samples)
    courses = [body.x_course, body.y_course, body.count, gain * body.count]
    for course, more in zip(courses, head.courses()):
        course[..., :order] += more
    return TrialSums(total + head.lags, *(each[..., :n_times] for each in courses))


def _filtered(x, taps):
    out = taps[0] * x
    for lag, tap in enumerate(taps[1:], 1):
        out[..., lag:] += tap * x[..., :-lag]
    return out


def _longer(x, n):
    return np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, n)]) if n else x


def _head_sums(x, y, counted, lags, noise):
    """Sums over the first samples of some trials, each of which has a filter of its own."""
    order = len(noise.head)
    counted = counted[:, :order] * np.cumprod(counted[:, :order] > 0, axis=1)
    wide = lagged(x[:, :, : order + max(0, -lags[0])], lags)[..., :order]
    wide = wide.reshape(-1, *wide.shape[2:]) @ noise.head.T
    target = y[:, :, :order] @ noise.head.T
    one = noise.head.sum(axis=1)
    count = counted.sum(axis=0)
    x_course, y_course = (np.einsum("pnt,nt->pt", each, counted) for each in (wide, target))
    flat, flat_y = (each.reshape(len(each), -1) for each in (wide, target))
    weight = counted.ravel()
    sums = LagSums(
        (flat * weight) @ flat.T,
        (flat * weight) @ flat_y.T,
        (flat_y * weight) @ flat_y.T,
        x_course @ one,
        y_course @ one,
        count @ one**2,
    )
    return TrialSums(sums, x_course, y_course, count, one * count)


def make_as_loud(white, power):
    """Bring filtered sums to the units in which features have the power that they had.

    Penalties mean the same then. white (list of list of (TrialSums or None)): Changed in place.
    """
    found = sum(np.trace(part.lags.xx) for parts in white for part in parts if part is not None)
    factor = np.sqrt(power / found) if found > 0 else 1.0
    for parts in white:
        parts[:] = [part and part.louder(factor) for part in parts]


def clearly_less(errors, than):
    """Whether errors of folds are lower than others by more than chance, (n_folds,) each."""
    gain = than - errors
    return len(gain) > 1 and gain.mean() > SETTINGS.clearly * gain.std(ddof=1) / np.sqrt(len(gain))
