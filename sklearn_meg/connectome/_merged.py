"""Two fibers whose lobes are one: a peak each, from how long and how flat the lobe is.

Fibers that cross at 20 to 30 degrees leave one lobe, also in sharpened distributions, with its
peak between them. It is longer in the plane of the fibers than across, and flatter than that of a
fiber. Two equal lobes at +-t have the variances narrow^2 + t^2 and narrow^2; sharpening draws them
together, so t is more than these moments say.
"""

import numpy as np

from ._settings import SETTINGS


def split_merged(values, v, peaks, strength):
    """Peaks, and two instead of one where a lobe is that of two fibers.

    values (n, n_directions): Sharpened amplitudes.
    v (n_directions, 3): Unit vectors, one of each pair of opposite ones.
    peaks (n_peaks, n, 3): The strongest first, NaN where there are fewer. Where the last one is
        there, none is split.
    strength (n_peaks, n)
    Returns peaks (n_peaks, n, 3): The second peak of a lobe is the last.
    and strength (n_peaks, n)
    """
    some = np.flatnonzero(_alone(peaks) & np.isnan(peaks[-1, :, 0]))
    weights = values[some] * (np.abs(peaks[0, some] @ v.T) > _cosine(SETTINGS.lobe_reach))
    middle, axis, apart, narrow = _moments(weights, v)
    two = apart > SETTINGS.elongated * narrow
    two[two] = _kurtosis(weights[two], axis[two] @ v.T) < SETTINGS.flat
    some, middle, axis = some[two], middle[two], axis[two]
    turn = SETTINGS.drawn * apart[two, None]
    peaks, strength = peaks.copy(), strength.copy()
    for field, side in ((0, 1), (-1, -1)):
        peaks[field, some] = np.cos(turn) * middle + side * np.sin(turn) * axis
    strength[-1, some] = strength[0, some]
    return peaks, strength


def _alone(peaks):
    """Whether no other peak is near the first."""
    cosine = np.abs(np.einsum("knd,nd->kn", np.nan_to_num(peaks[1:]), peaks[0]))
    near = (cosine > _cosine(SETTINGS.alone)).any(0)
    return np.isfinite(peaks[0, :, 0]) & ~near


def _moments(weights, v):
    """Middles and long axes of lobes, sqrt(wide^2 - narrow^2) and narrow in radians."""
    products = (v[:, :, None] * v[:, None]).reshape(len(v), 9).astype(weights.dtype)
    mean = (weights @ products).reshape(-1, 3, 3) / weights.sum(1)[:, None, None]
    share, axes = np.linalg.eigh(mean.astype(float))
    narrow, wide = np.arcsin(np.sqrt(np.clip(share[:, :2], 0, 1))).T
    return axes[..., 2], axes[..., 1], np.sqrt(np.maximum(wide**2 - narrow**2, 0)), narrow


def _kurtosis(weights, place):
    second, fourth = ((weights * place**k).sum(1) / weights.sum(1) for k in (2, 4))
    return fourth / second**2


def _cosine(degrees):
    return np.cos(np.deg2rad(degrees))
