"""What a field does to a resting neuron: the polarization of the sites where spikes can start.

A brief field moves the potential of a membrane before its channels open. The response of a site is
linear in the field and follows the pulse through the passive cable; how long it lasts counts, too,
since channels take time to open. The drive of a site is therefore

    drive = sqrt(mean over time of max(p, 0)^2),  p = polarization, low-passed with tau,

and the neuron fires where the drive, times the amplitude, first reaches a constant.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.sparse import csc_matrix
from scipy.sparse.linalg import splu

from ._morphology import Kind
from .pulses import pulse_waveform

__all__ = [
    "PASSIVE",
    "grid_weights",
    "highest_drive",
    "in_blocks",
    "low_passed",
    "site_responses",
    "sites_of",
]

BLOCK = 32  # rows of a product: BLAS sums in an order that depends on the shape
SITES = (Kind.AXON, Kind.INITIAL_SEGMENT, Kind.NODE, Kind.TERMINAL)


@dataclass(frozen=True)
class PassiveSettings:
    """Constants of the drive.

    Chosen on 1500 places of "L5 PC" (monophasic and biphasic) and of a cell of another recipe with
    ``hh`` channels: the mean error of all three is within 0.5 points of each one's own best.
    """

    step: float = 5.0  # us of implicit Euler
    every: int = 4  # steps between two looks: 20 us
    last: float = 300.0  # us after onset of the last look, for a named pulse
    tau: float = 20.0  # us, of the low-pass filter
    power: float = 2.0  # of the mean over time
    threshold: float = 10.6  # mV of drive at which the built-in membranes fire


PASSIVE = PassiveSettings()


def sites_of(compartments):
    """Indices of the compartments where a spike can start: axonal, with channels.

    Returns sites (ndarray of int)
    """
    return np.flatnonzero(np.isin(compartments.kind, SITES))


def site_responses(compartments, pulse, polarity=1, last=PASSIVE.last):
    """Polarization of the sites over time, linear in the potentials along the neuron.

    Steps backwards from each site through the (symmetric) implicit Euler scheme, so that the cost
    grows with the number of sites, not with that of compartments squared.

    pulse (str, array-like or callable), polarity ({1, -1})
    last: Time of the last look, in us after the onset.
    Returns responses (n_looks, n_sites, 3 * n_points): Polarization in mV for E in V/m at the
        points of the morphology.
    """
    step = PASSIVE.step
    looks = np.arange(PASSIVE.every, round(last / step) + 1, PASSIVE.every)
    wave = polarity * pulse_waveform(pulse, step * (np.arange(looks[-1]) + 0.5))
    sites, laplacian = sites_of(compartments), compartments.laplacian()
    capacity = compartments.capacity() / (step * 1e-3)
    diagonal = np.diag(capacity + compartments.conductance("leak"))
    solve = splu(csc_matrix(diagonal - laplacian)).solve
    impulse = np.zeros((len(compartments), len(sites)))
    impulse[sites, np.arange(len(sites))] = 1.0
    found = np.zeros((len(looks), len(sites), len(compartments)))
    for lag in range(looks[-1]):
        impulse = solve(capacity[:, np.newaxis] * impulse if lag else impulse)
        for response, look in zip(found, looks):
            if look > lag:
                response += wave[look - 1 - lag] * impulse.T
    return found @ (laplacian @ compartments.potential)


def in_blocks(operator, rows):
    """Apply a matrix to rows, the same to the last bit whatever rows are with them.

    operator (n_out, n_in), rows (n, n_in)
    Returns result (n, n_out)
    """
    block = np.zeros((BLOCK, rows.shape[1]))
    found = np.empty((len(rows), len(operator)))
    for start in range(0, len(rows), BLOCK):
        part = rows[start : start + BLOCK]
        block[: len(part)], block[len(part) :] = part, 0.0
        found[start : start + BLOCK] = (block @ operator.T)[: len(part)]
    return found


def low_passed(courses, tau):
    """Courses over time behind a low-pass filter, (n_looks, ...).

    courses (n_looks, ...)
    tau: Time constant in us.
    Returns courses (ndarray of the same shape)
    """
    keep = np.exp(-PASSIVE.every * PASSIVE.step / tau)
    filtered, now = np.empty_like(courses), np.zeros_like(courses[0])
    for k, course in enumerate(courses):
        now = keep * now + (1 - keep) * course
        filtered[k] = now
    return filtered


def highest_drive(response, fields):
    """Largest drive over the sites, in mV, for E at the points of the neuron.

    response (n_looks, n_sites, 3 * n_points): From :func:`site_responses`, low-passed.
    fields (n, 3 * n_points)
    Returns drive (n,)
    """
    rows = in_blocks(response.reshape(-1, response.shape[2]), fields)
    positive = np.maximum(rows.reshape(len(rows), *response.shape[:2]), 0)
    drives = (positive**PASSIVE.power).mean(axis=1) ** (1 / PASSIVE.power)
    return drives.max(axis=1, initial=0.0)


def grid_weights(points, size, spacing):
    """Weights that interpolate a grid at points, by a cubic spline along each axis.

    points (n, 3): Coordinates in m, neuron's frame; points outside the grid take the value at its
        surface.
    Returns weights (n, size**3)
    """
    half = size // 2
    if not half:
        return np.ones((len(points), 1))
    at = np.clip(points / spacing + half, 0, size - 1)
    kind = {"bc_type": "not-a-knot"} if size > 3 else {"bc_type": "natural"}
    spline = CubicSpline(np.arange(size), np.eye(size), **kind)
    x, y, z = (spline(column) for column in at.T)
    return np.einsum("pi,pj,pk->pijk", x, y, z).reshape(len(points), -1)
