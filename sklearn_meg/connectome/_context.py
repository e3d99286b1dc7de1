"""Distributions made sharper by what lies along each direction (position x orientation).

Where fibers cross at less than the resolution of a distribution, its two lobes are one, and its
peak is between the fibers. Before and after the crossing they are apart. So the distribution is
deconvolved by its own lobe (Richardson 1972, Lucy 1974), and after each iteration the amplitude
along a direction moves towards that of the voxels before and behind along this direction: what
goes on in both stays, what does not is lost. It is a simple form of contextual enhancement
(Duits and Franken 2011).
"""

from itertools import product

import numpy as np

from ._distributions import SPHERE, amplitudes, upper
from ._settings import SETTINGS

CHUNK = 4096  # voxels at a time


def half_sphere():
    """Unit vectors (n, 3), one of each pair of opposite ones of the sphere of peaks."""
    from dipy.data import get_sphere

    vertices = get_sphere(name=SPHERE).vertices
    return vertices[upper(vertices)]


def sharpened(coefficients, basis, mask, steps, v):
    """Amplitudes (n_voxels, n_directions) of distributions after deconvolution in their context.

    coefficients (n_voxels, n_coefficients)
    mask (nx, ny, nz) bool: Where these voxels are.
    steps (n_directions, 3): A step of the smallest voxel along each direction, in voxels.
    v (n_directions, 3): :func:`half_sphere`.
    """
    data = np.maximum(amplitudes(coefficients, v, basis), 0).astype(np.float32)
    tiny = np.float32(SETTINGS.tiny * max(np.median(data.max(1)), 1e-30))
    lobe = lobe_of(data, v)
    beside = Beside(mask, steps)
    found = data + tiny
    share = SETTINGS.context
    for _ in range(SETTINGS.sharpenings):
        for some in _chunks(len(data)):
            found[some] *= (data[some] / (found[some] @ lobe + tiny)) @ lobe.T
        for k in range(len(v)):
            column = np.ascontiguousarray(found[:, k])
            found[:, k] = column ** (1 - share) * (beside(column, k) + 0.01 * tiny) ** share
    return found


def lobe_of(data, v):
    """The lobe of one fiber, as a matrix from true to measured amplitudes (rows sum to 1).

    data (n_voxels, n_directions), v (n_directions, 3)
    """
    top = data.argmax(1)
    peaked = data[np.arange(len(data)), top] / np.maximum(data.mean(1), 1e-30)
    single = np.flatnonzero(peaked >= np.quantile(peaked, 1 - SETTINGS.single))
    single = single[:: max(1, len(single) // 1000)]
    angle = _angles(v)
    edges = np.arange(0, 91, 6.0)
    middle = 0.5 * (edges[1:] + edges[:-1])
    bins = np.digitize(np.rad2deg(angle[top[single]]), edges[1:-1])
    values = data[single] / data[single, top[single]][:, None]
    means = [
        np.where(inside, values, 0).sum(1) / np.maximum(inside.sum(1), 1)
        for inside in (bins == k for k in range(len(middle)))
    ]
    profile = np.median(means, axis=1)
    profile = np.minimum.accumulate(profile - profile.min())
    lobe = np.interp(np.rad2deg(angle), np.r_[0, middle], np.r_[1, profile])
    return (lobe / lobe.sum(1, keepdims=True)).astype(np.float32)


class Beside:
    """Amplitudes before and behind along a direction: the geometric mean of the two sides.

    mask (nx, ny, nz) bool
    steps (n_directions, 3): In voxels.
    """

    def __init__(self, mask, steps):
        self.n = int(mask.sum())
        pad = int(np.ceil(SETTINGS.reach * np.abs(steps).max())) + 1
        number = np.pad(np.zeros(mask.shape, dtype=np.int32), pad)
        inner = tuple(slice(pad, -pad) for _ in mask.shape)
        number[inner][mask] = np.arange(1, self.n + 1)
        strides = np.array(number.strides) // number.itemsize
        self.number, self.flat = number.ravel(), np.flatnonzero(number.ravel())
        self.taps = [[_taps(side * step, strides) for side in (1, -1)] for step in steps]

    def __call__(self, values, k):
        """Geometric means (n_voxels,) along direction k; the value itself where none is known."""
        padded = np.concatenate([np.zeros(1, np.float32), values])
        sides = [self._side(padded, offsets, weights) for offsets, weights in self.taps[k]]
        (a, known_a), (b, known_b) = sides
        a, b = np.where(known_a, a, b), np.where(known_b, b, a)
        return np.where(known_a | known_b, np.sqrt(a * b), values)

    def _side(self, padded, offsets, weights):
        total = np.zeros(self.n, dtype=np.float32)
        weight = np.zeros(self.n, dtype=np.float32)
        for offset, w in zip(offsets, weights):
            index = self.number[self.flat + offset]
            total += w * padded[index]
            weight += w * (index > 0)
        known = weight > SETTINGS.known * weights.sum()
        return np.where(known, total / np.maximum(weight, 1e-9), 0), known


def _taps(step, strides):
    """Offsets and weights of the voxels around the points along a step, linearly interpolated."""
    found = {}
    for n in range(1, SETTINGS.reach + 1):
        place = n * step
        low = np.floor(place).astype(int)
        part = place - low
        near = np.exp(-0.5 * (n / SETTINGS.along) ** 2)
        for corner in product((0, 1), repeat=3):
            weight = near * np.prod(np.where(corner, part, 1 - part))
            offset = int((low + corner) @ strides)
            found[offset] = found.get(offset, 0.0) + weight
    kept = {offset: weight for offset, weight in found.items() if weight > 1e-3}
    return np.array(list(kept)), np.array(list(kept.values()), dtype=np.float32)


def _chunks(n):
    return [slice(i, i + CHUNK) for i in range(0, n, CHUNK)]


def _angles(v):
    return np.arccos(np.minimum(np.abs(v @ v.T), 1.0))


def along(values, v, directions, width):
    """Amplitudes (n_voxels, n) along directions: sums with a Gaussian of so many degrees."""
    angle = np.arccos(np.minimum(np.abs(v @ directions.T), 1.0))
    return values @ np.exp(-((angle / np.deg2rad(width)) ** 2)).astype(values.dtype)
