"""From grids of field vectors to how much each site of a neuron is driven, and to thresholds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.optimize import minimize
from sklearn.utils import gen_batches

from ._compartments import Compartments
from ._passive import PASSIVE, grid_weights, low_passed, site_responses, sites_of
from .neurons import CELL_TYPES, make_neuron

__all__ = ["Constants", "SiteDrive", "fit_constants", "fit_site_weights"]


@dataclass(frozen=True)
class DriveSettings:
    """Constants of the search for constants, and of what of the responses is kept.

    Chosen on "L5 PC" and on two cells of other recipes with other channels and passive membranes
    (one with bare stretches of axon, in fields more heterogeneous than any of ours).
    """

    rank_error: float = 1e-3  # of the course over time, relative
    fitted_rank_error: float = 2e-2  # after the fit: thresholds change by less than 0.1 %
    batch: int = 256
    taus: tuple = (5.0, 10.0, 20.0, 40.0, 60.0, 80.0, 120.0, 180.0)  # us
    powers: tuple = (2.0, 3.0, 4.0, 8.0)
    kind_weights: tuple = tuple(np.exp(np.linspace(-0.7, 0.7, 29)))
    worth: float = 0.97  # an added constant leaves at most this share of the error
    relevant: float = 0.5  # of the largest drive: sites that never come near it are left out
    most: int = 1000  # samples that choose constants
    fewest_for_sites: int = 50  # samples from which each site gets a weight of its own
    sharpness: float = 40.0  # of the soft maximum over weighted sites
    penalty: float = 1e-2  # of squared log weights of sites
    huber: float = 0.02  # where the loss of the log threshold goes from squared to absolute


DRIVE = DriveSettings()


@dataclass(frozen=True)
class Constants:
    """What turns polarizations into a threshold.

    threshold: Drive at which the neuron fires, in mV.
    tau: Time constant of the low-pass filter, in us.
    power: Power of the mean over time.
    """

    threshold: float = PASSIVE.threshold
    tau: float = PASSIVE.tau
    power: float = PASSIVE.power


class SiteDrive:
    """The polarization of sites as linear forms of the field on a grid.

    courses (n_looks, rank): Courses over time that polarizations are made of.
    forms (rank, n_sites, 3 * size**3): Their amplitudes, linear in the field.
    kinds (n_sites,): Values of :class:`Kind`.
    """

    def __init__(self, courses, forms, kinds):
        self.courses, self.forms, self.kinds = courses, forms, kinds

    @classmethod
    def of(cls, morphology, pulse, size, spacing):
        """Compute the forms of a neuron, pulse and grid (spacing in m)."""
        compartments = Compartments(morphology)
        response = site_responses(compartments, pulse)
        n_looks, n_sites, n_numbers = response.shape
        courses, forms = _low_rank(response.reshape(n_looks, -1), DRIVE.rank_error)
        forms = forms.reshape(-1, n_numbers // 3, 3).transpose(0, 2, 1)
        forms = forms @ grid_weights(1e-6 * morphology.points, size, spacing)
        forms = forms.transpose(0, 2, 1).reshape(len(courses.T), n_sites, -1)
        kinds = compartments.kind[sites_of(compartments)]
        return cls(courses, np.ascontiguousarray(forms, np.float32), kinds)

    def compact(self, sites, tau):
        """Only some sites, low-passed, with as few courses as matter: for predictions."""
        courses = low_passed(self.courses, tau)
        forms = self.forms[:, sites]
        # Orthonormal courses first, so that what is cut off is small in the polarization.
        basis, mix = np.linalg.qr(courses)
        mixed = mix @ forms.reshape(len(forms), -1).astype(np.float64)
        turn, kept = _low_rank(mixed, DRIVE.fitted_rank_error)
        forms = kept.reshape(-1, *forms.shape[1:])
        return SiteDrive(basis @ turn, np.ascontiguousarray(forms, np.float32), self.kinds[sites])

    def amplitudes(self, grids):
        """Amplitudes of the courses, (rank, n_sites, n), for grids (n, 3 * size**3)."""
        rank, n_sites, n_numbers = self.forms.shape
        found = self.forms.reshape(-1, n_numbers) @ grids.T.astype(np.float32, copy=False)
        return found.reshape(rank, n_sites, -1)

    def drives(self, grids, power):
        """Drive of every site in mV, (n, n_sites), of courses that are low-passed already."""
        found = np.empty((len(grids), len(self.kinds)))
        for part in gen_batches(len(grids), DRIVE.batch):
            found[part] = power_mean(self.courses, self.amplitudes(grids[part]), power).T
        return found


@lru_cache(maxsize=len(CELL_TYPES))
def library_drive(name, pulse, size, spacing):
    """`SiteDrive.of` a cell type and a named pulse: every fold of a study asks for the same."""
    drive = SiteDrive.of(make_neuron(name), pulse, size, spacing)
    for array in (drive.courses, drive.forms, drive.kinds):
        array.flags.writeable = False
    return drive


def power_mean(courses, amplitudes, power):
    """Mean over time of the positive part of polarizations, (n_sites, n)."""
    rank, n_sites, n = amplitudes.shape
    flat, total = amplitudes.reshape(rank, -1), np.zeros(n_sites * n, np.float32)
    for course in courses.astype(np.float32):
        now = np.maximum(course @ flat, 0)
        total += now * now if power == 2 else now**power
    return ((total / len(courses)) ** (1 / power)).reshape(n_sites, n)


def fit_constants(drive, grids, y):
    """Choose time constant, power and threshold that fit thresholds best.

    drive (SiteDrive), grids (n, 3 * size**3)
    y (n,): Thresholds in A/us, all known.
    Returns constants (Constants)
    """
    amplitudes = np.concatenate(
        [drive.amplitudes(grids[part]) for part in gen_batches(len(grids), DRIVE.batch)], axis=2
    )
    found, default = [], Constants()
    for tau in DRIVE.taus:
        courses = low_passed(drive.courses, tau)
        for power in DRIVE.powers:
            highest = _highest(power_mean(courses, amplitudes, power))
            level, error = _level(highest, y)
            handicap = DRIVE.worth if (tau, power) == (default.tau, default.power) else 1.0
            found.append((error * handicap, Constants(level, tau, power)))
    return min(found, key=lambda pair: pair[0])[1]


def fit_kind_weights(kinds, drives, y):
    """Weights of the sites, one for each kind of them, as far as they are worth it.

    kinds (n_sites,), drives (n, n_sites), y (n,)
    Returns weights (n_sites,)
    """
    weights = np.ones(len(kinds))
    error = _level(_highest(drives.T), y)[1]
    for kind in np.unique(kinds) if len(np.unique(kinds)) > 1 else ():
        tried = [np.where(kinds == kind, w, weights) for w in DRIVE.kind_weights]
        errors = [_level(_highest((drives * w).T), y)[1] for w in tried]
        best = int(np.argmin(errors))
        if errors[best] < DRIVE.worth * error:
            weights, error = tried[best], errors[best]
    return weights


def fit_site_weights(log_drives, log_y):
    """Weights of single sites, held near 1: some take more than their kind does, to fire.

    Minimizes the Huber loss of ``log y + softmax(log drive + log weight) - log threshold``, with
    a penalty on squared log weights (L-BFGS).

    log_drives (n, n_sites), log_y (n,)
    Returns log_weights (n_sites,)
    and level: Log of the drive at threshold.
    """
    n = len(log_y)

    def loss(p):
        highest, shares = soft_highest(log_drives + p[:-1])
        error = p[-1] - highest - log_y
        size, delta = np.abs(error), DRIVE.huber
        cost = np.where(size < delta, error**2 / (2 * delta), size - delta / 2).mean()
        slope = np.clip(error / delta, -1, 1) / n
        gradient = DRIVE.penalty * p
        gradient[:-1] -= slope @ shares
        gradient[-1] = slope.sum()
        return cost + DRIVE.penalty / 2 * (p[:-1] ** 2).sum(), gradient

    start = np.zeros(log_drives.shape[1] + 1)
    start[-1] = np.median(log_y + log_drives.max(axis=1))
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 200}).x
    return found[:-1], float(found[-1])


def soft_highest(logs):
    """Soft maximum over the last axis of logs, and the share of each in it."""
    scaled = DRIVE.sharpness * logs
    top = scaled.max(axis=-1, keepdims=True)
    shares = np.exp(scaled - top)
    total = shares.sum(axis=-1, keepdims=True)
    return (top + np.log(total))[..., 0] / DRIVE.sharpness, shares / total


def _low_rank(matrix, error):
    """Factors (n, rank) and (rank, m) of a matrix, up to a relative error."""
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    rank = max(1, int((values > error * values[0]).sum()))
    return left[:, :rank] * values[:rank], right[:rank]


def _highest(drives):
    return np.maximum(drives.max(axis=0), 1e-12)


def _level(highest, y):
    """The constant drive at threshold (median), and the mean relative error with it."""
    log = np.log(highest * y)
    level = np.median(log)
    return float(np.exp(level)), float(np.abs(np.expm1(level - log)).mean())
