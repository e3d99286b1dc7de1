"""Directions on a grid: what is left of them after noise, and how their lines bend.

``(V . grad) V`` needs derivatives of a field whose sign means nothing, which ends at the border
of a bundle and is noisy. They come from a local polynomial fitted by least squares to the
vectors around each voxel that are there, each turned to the side of the one in the middle.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np

# Radius in voxels and degree: from the finest, for clean fields, to what averages most.
WINDOWS = ((2, 3), (3, 3), (3, 2), (4, 2), (4, 1), (6, 1))
MOST_TRIED = 600  # vectors that choose among them
CHUNK = 500_000  # neighbors at a time
SMALLEST_COSINE = 0.5  # a vector at more than 60 degrees to the one in the middle is another line
EXACT = 1e-3  # curvatures (1 / voxel) that count as equal: below it noise makes no difference
RIDGE = 1e-7  # on terms above the first order, where too few voxels are there


@dataclass
class Lines:
    """Directions and accelerations of all fields in their voxels, one row a (field, voxel).

    Attributes
    ----------
    field : ndarray of int of shape (n,)
    voxel : ndarray of int of shape (n, dim)
    direction : ndarray of shape (n, dim)
        Unit vectors, smoothed.
    acceleration : ndarray of shape (n, dim)
        ``(V . grad) V``, orthogonal to V, 1 / length.
    weight : ndarray of shape (n,)
        Falls with the noise that the neighborhood lets through to the acceleration; mean 1.
    noise : float
        Standard deviation of the measured directions around the smoothed ones, in radians.
    window : tuple of int
        Radius and degree that were used.
    """

    field: np.ndarray
    voxel: np.ndarray
    direction: np.ndarray
    acceleration: np.ndarray
    weight: np.ndarray
    noise: float
    window: tuple


def fit_lines(X, scale, window=None):
    """Fit directions and accelerations.

    Parameters
    ----------
    X : ndarray of shape (n_fields, nx, ny[, nz], dim)
        Unit vectors, NaN where a field is absent.
    scale : ndarray of shape (dim,)
        Size of a voxel.
    window : tuple of two int or None
        Radius of the neighborhood in voxels, and degree of the polynomial. None takes that of
        `WINDOWS` that predicts a left-out vector best.

    Returns
    -------
    lines : Lines
    """
    if window is None:
        errors = [_left_out_error(X, scale, w) for w in WINDOWS]
        window = WINDOWS[int(np.argmin(errors))]
    voxel, value, slope, raw, own, gain = _fit_fields(X, scale, window)
    size = np.maximum(np.linalg.norm(value, axis=1, keepdims=True), 1e-3)
    direction = value / size
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    bend = np.einsum("ni,nij->nj", direction, slope) / size
    bend -= direction * (bend * direction).sum(1, keepdims=True)
    let_through = np.einsum("ni,nij,nj->n", direction, gain, direction)
    noise = _noise(raw, value, own)
    weight = 1 / (1 + let_through * scale.min() ** 2 * (noise / EXACT) ** 2)
    counts = [int(np.isfinite(V).all(-1).sum()) for V in X]
    field = np.repeat(np.arange(len(X)), counts)
    return Lines(field, voxel, direction, bend, weight / weight.mean(), noise, tuple(window))


def _left_out_error(X, scale, window):
    """Mean squared error of a vector predicted from those around it, over some voxels."""
    _, value, _, raw, own, _ = _fit_fields(X, scale, window, -(-MOST_TRIED // len(X)))
    error = ((raw - value) ** 2).sum(1) / (1 - np.minimum(own, 0.999)) ** 2
    return error.mean()


def _noise(raw, value, own):
    """Standard deviation of an angle, from what the fits miss."""
    free = own < 0.9  # where the fit is not just the vector itself
    if not free.any():
        return 0.0
    missed = ((raw - value)[free] ** 2).sum(1) / (1 - own[free])
    return float(np.sqrt(missed.mean() / (raw.shape[1] - 1)))


def _ball(radius, dim):
    """Offsets within the radius, the middle first."""
    every = np.array(list(product(range(-radius, radius + 1), repeat=dim)))
    distance = (every**2).sum(1)
    order = np.argsort(distance, kind="stable")
    return every[order[: int((distance <= (radius + 0.5) ** 2).sum())]]


def _fit_fields(X, scale, window, most=None):
    """Voxels, fitted vectors, their derivatives, the vectors, weight of the middle, noise gain."""
    radius, degree = window
    offsets = _ball(radius, X.shape[-1])
    design = _monomials(offsets, degree)
    found = []
    for V in X:
        voxels = np.argwhere(np.isfinite(V).all(-1))
        if most is not None:
            voxels = voxels[:: max(1, -(-len(voxels) // most))]
        padded = np.pad(V, [(radius, radius)] * X.shape[-1] + [(0, 0)], constant_values=np.nan)
        for some in _chunks(voxels, max(1, CHUNK // len(offsets))):
            found.append((some, *_fit_chunk(padded, some + radius, offsets, design, scale)))
    return tuple(np.concatenate(each) for each in zip(*found))


def _chunks(rows, size):
    return [rows[i : i + size] for i in range(0, len(rows), size)]


def _fit_chunk(padded, places, offsets, design, scale):
    around = padded[tuple(np.moveaxis(places[:, None] + offsets, -1, 0))]  # n, n_offsets, dim
    middle = around[:, 0]
    # Which neighbors belong to the line is asked twice: the second time not of the one vector in
    # the middle, whose noise would draw the answer to itself.
    stencils, turned = _towards(middle, around, design)
    stencils, turned = _towards((stencils[:, :1] @ turned)[:, 0], around, design)
    fitted = stencils @ turned
    middle = turned[:, 0]
    slopes = stencils[:, 1:] / scale[:, None]
    gain = slopes @ slopes.transpose(0, 2, 1)
    return fitted[:, 0], fitted[:, 1:] / scale[:, None], middle, stencils[:, 0, 0], gain


def _towards(reference, around, design):
    """Stencils (n, 1 + dim, n_offsets), and the neighbors turned to the side of a reference."""
    reference = reference / np.maximum(np.linalg.norm(reference, axis=1, keepdims=True), 1e-9)
    cosine = np.nan_to_num(np.einsum("nki,ni->nk", around, reference))
    there = np.abs(cosine) > SMALLEST_COSINE
    turned = np.where(there[..., None], around * np.sign(cosine)[..., None], 0.0)
    return _stencils(there, design), turned


def _stencils(there, design):
    """Weights of the neighbors in the value and the derivatives; one solution a pattern."""
    patterns, which = np.unique(np.packbits(there, axis=1), axis=0, return_inverse=True)
    unpacked = np.unpackbits(patterns, axis=1, count=there.shape[1]).astype(float)
    basis, first, decay = design
    weighted = unpacked[:, :, None] * (basis * decay[:, None])
    normal = np.einsum("nkp,kq->npq", weighted, basis)
    normal += np.diag(np.where(np.arange(basis.shape[1]) < first, 1e-10, RIDGE))
    solved = np.linalg.solve(normal, weighted.transpose(0, 2, 1))
    return solved[:, :first][which.ravel()]


def _monomials(offsets, degree):
    """Monomials at the offsets, constant and linear ones first; how many those are; weights."""
    dim = offsets.shape[1]
    powers = [p for p in product(range(degree + 1), repeat=dim) if sum(p) <= degree]
    powers.sort(key=lambda p: (sum(p), [-k for k in p]))
    basis = np.stack([np.prod(offsets.astype(float) ** p, axis=1) for p in powers], axis=1)
    size = np.abs(basis).max(axis=0)
    radius = np.abs(offsets).max() + 0.5
    decay = np.exp(-((offsets**2).sum(1)) / (radius**2))
    # Scaled columns make the ridge mean the same for all; constant and linear ones stay.
    size[: dim + 1] = 1.0
    return basis / np.maximum(size, 1.0), dim + 1, decay


def directions_at(V, places):
    """Directions of one field at any places: the principal axis of the interpolated V V'.

    Parameters
    ----------
    V : ndarray of shape (nx, ny[, nz], dim)
        Unit vectors, NaN where absent.
    places : ndarray of shape (n, dim)
        In voxels.

    Returns
    -------
    directions : ndarray of shape (n, dim)
        Of either sign; NaN where no voxel around has a vector, or a place is NaN.
    """
    lost = np.isnan(places).any(axis=1)
    places = np.where(lost[:, None], -9.0, places)
    grid, dim = np.array(V.shape[:-1]), V.shape[-1]
    low = np.floor(places)
    total = np.zeros((len(places), dim, dim))
    for corner in product((0, 1), repeat=dim):
        at = (low + corner).astype(int)
        good = ((at >= 0) & (at < grid)).all(1)
        v = V[tuple(np.where(good[:, None], at, 0).T)]
        good &= np.isfinite(v[:, 0])
        weight = np.prod(np.where(corner, places - low, 1 - (places - low)), axis=1) * good
        v = np.nan_to_num(v)
        total += weight[:, None, None] * v[:, :, None] * v[:, None]
    found = np.linalg.eigh(total)[1][..., -1]
    found[~total.any((1, 2))] = np.nan
    return found
