"""Directions on a grid: what is left of them after noise, and how their lines bend.

``(V . grad) V`` needs derivatives of a field whose sign means nothing, which ends at the border
of a bundle and is noisy. They come from a local polynomial fitted by least squares to the
vectors around each voxel that are there, each turned to the side of the one in the middle.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np

from ._settings import SETTINGS

CHUNK = 500_000  # neighbors at a time
EXACT = 1e-3  # curvatures (1 / voxel) that count as equal: below it noise makes no difference
RIDGE = 1e-7  # on terms above the first order, where too few voxels are there


@dataclass
class Lines:
    """Directions and accelerations of all fields in their voxels, one row a (field, voxel).

    field (n,) int, voxel (n, dim) int
    direction (n, dim): Unit vectors, smoothed.
    acceleration (n, dim): ``(V . grad) V``, orthogonal to V, 1 / length.
    weight (n,): Falls with the noise that the neighborhood lets through to the acceleration; mean
        1.
    noise: Standard deviation of the measured directions around the smoothed ones, in radians.
    window (tuple of int): Radius and degree that were used.
    cosine: Neighbors at less than this cosine to a line belong to another.
    doubt: Standard deviation of an angle of ``direction``, between voxels, around the true one,
        roughly, in radians.
    is_smooth: Whether smoothing brings the directions nearer to those without noise. If not,
        ``direction`` is what was measured.
    """

    field: np.ndarray
    voxel: np.ndarray
    direction: np.ndarray
    acceleration: np.ndarray
    weight: np.ndarray
    noise: float
    window: tuple
    cosine: float
    doubt: float
    is_smooth: bool


def fit_lines(X, scale, window=None, is_smooth=True):
    """Fit directions and accelerations.

    The vectors of a voxel are a set: neighbors of a line are sought among all of them, so that
    the order of the fields does not matter.

    X (n_fields, nx, ny[, nz], dim): Unit vectors, NaN where a field is absent.
    scale (dim,): Size of a voxel.
    window (tuple of two int or None): Radius of the neighborhood in voxels, and degree of the
        polynomial. None takes the one of ``SETTINGS.windows`` that predicts a left-out vector
        best.
    is_smooth: Whether to smooth the directions, with a window that is given.
    Returns lines (Lines)
    """
    cosine = cone_of(X, scale)
    field, voxel = _rows(X)
    if window is None:
        window, is_smooth = _chosen_window(X, scale, cosine)
    value, slope, raw, own, gain = _fit_rows(X, scale, window, field, voxel, cosine)
    size = np.maximum(np.linalg.norm(value, axis=1, keepdims=True), 1e-3)
    direction = value / size
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    bend = np.einsum("ni,nij->nj", direction, slope) / size
    bend -= direction * (bend * direction).sum(1, keepdims=True)
    let_through = np.einsum("ni,nij,nj->n", direction, gain, direction)
    noise = _noise(raw, value, own)
    weight = 1 / (1 + let_through * scale.min() ** 2 * (noise / EXACT) ** 2)
    return Lines(
        field,
        voxel,
        direction if is_smooth else raw,
        bend,
        weight / weight.mean(),
        noise,
        tuple(window),
        cosine,
        noise * (float(np.sqrt(own.mean())) if is_smooth else SETTINGS.averaged),
        is_smooth,
    )


def cone_of(X, scale):
    """Cosine of the cone in which vectors belong to one line.

    Half the angle between the vectors of a voxel, where there are several (the 10th percentile
    over voxels): a neighbor nearer to another vector is another line. Not less than noise needs.

    X (n_fields, nx, ny[, nz], dim), scale (dim,)
    """
    widest, narrowest, deviations = SETTINGS.cones
    pairs = [
        np.abs((X[i] * X[j]).sum(-1)[np.isfinite(X[i, ..., 0] * X[j, ..., 0])])
        for i in range(len(X))
        for j in range(i)
    ]
    cosines = np.concatenate(pairs) if pairs else np.empty(0)
    wide = float(np.cos(np.deg2rad(widest)))
    if not len(cosines):
        return wide
    angle = 0.5 * np.rad2deg(np.arccos(np.minimum(np.quantile(cosines, 0.9), 1.0)))
    noise = _errors(X, scale, SETTINGS.windows[2], *_some_rows(X), wide)[1]
    angle = max(angle, deviations * np.rad2deg(np.sqrt(noise / (X.shape[-1] - 1))))
    return float(np.cos(np.deg2rad(np.clip(angle, narrowest, widest))))


def _some_rows(X):
    field, voxel = _rows(X)
    some = slice(None, None, max(1, -(-len(field) // SETTINGS.most_tried)))
    return field[some], voxel[some]


def _rows(X):
    """Fields (n,) and voxels (n, dim) of all vectors, in an order that the fields do not decide."""
    field, *voxel = np.nonzero(np.isfinite(X).all(-1))
    v = X[(field, *voxel)]
    last = np.take_along_axis(v, (np.abs(v) > 0).argmax(1)[:, None], 1)
    canonical = v * np.sign(last)
    order = np.lexsort((*canonical.T[::-1], np.ravel_multi_index(voxel, X.shape[1:-1])))
    return field[order], np.stack(voxel, axis=1)[order]


def _chosen_window(X, scale, cosine):
    """Window that predicts left-out vectors best, and whether to smooth with it.

    In a handful of voxels the finest, without smoothing: any other would hold nearly all of them.
    """
    if np.isfinite(X[..., 0]).any(0).sum() < SETTINGS.fewest_tried:
        return SETTINGS.windows[0], False
    window, risk = _best_window(X, scale, cosine)
    most = SETTINGS.worth_smoothing[min(len(X), 2) - 1]
    return window, window != SETTINGS.windows[0] and risk < most


def _best_window(X, scale, cosine):
    """Window that predicts left-out vectors best, and the share of the squared error it leaves."""
    some = _some_rows(X)
    tried = [_errors(X, scale, window, *some, cosine) for window in SETTINGS.windows]
    best = int(np.argmin([each[0] for each in tried]))
    noise = max(min(each[1] for each in tried), 1e-12)
    _, _, missed, own = tried[best]
    # A fit misses the noise, but for its own share of it, and its bias: what stays is bias and
    # share (Stein's unbiased estimate of risk).
    return SETTINGS.windows[best], missed / noise - 1 + 2 * own


def _errors(X, scale, window, field, voxel, cosine):
    """Mean squared errors: of left-out vectors, of the noise, of the fit; its weight of the middle.

    Those of the largest errors do not count.
    """
    value, _, raw, own, _ = _fit_rows(X, scale, window, field, voxel, cosine)
    missed = ((raw - value) ** 2).sum(1)
    free = 1 - np.minimum(own, 0.999)
    keep = slice(int(np.ceil(len(missed) * SETTINGS.trimmed)))
    left_out, noise, fit = (float(np.sort(missed / free**k)[keep].mean()) for k in (2, 1, 0))
    return left_out, noise, fit, float(own.mean())


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


def _fit_rows(X, scale, window, field, voxel, cosine):
    """Fitted vectors, their derivatives, the vectors, weight of the middle, noise gain."""
    radius, degree = window
    offsets = _ball(radius, X.shape[-1])
    design = _monomials(offsets, degree)
    widths = [(radius, radius)] * X.shape[-1]
    padded = np.pad(X, [(0, 0), *widths, (0, 0)], constant_values=np.nan)
    found = []
    for some in _chunks(np.arange(len(field)), max(1, CHUNK // len(offsets) // len(X))):
        places = voxel[some] + radius
        middle = padded[(field[some], *places.T)]
        around = padded[(slice(None), *np.moveaxis(places[:, None] + offsets, -1, 0))]
        found.append(_fit_chunk(middle, np.moveaxis(around, 0, 2), design, scale, cosine))
    return tuple(np.concatenate(each) for each in zip(*found))


def _chunks(rows, size):
    return [rows[i : i + size] for i in range(0, len(rows), size)]


def _fit_chunk(middle, around, design, scale, cosine):
    """Smoothed vectors of some voxels, their slopes, the measured ones, and gains of noise."""
    # Which neighbors belong to the line is asked twice: the second time not of the one vector in
    # the middle, whose noise would draw the answer to itself.
    stencils, turned = _towards(middle, around, design, cosine)
    stencils, turned = _towards((stencils[:, :1] @ turned)[:, 0], around, design, cosine)
    fitted = stencils @ turned
    sides = np.sign((middle * fitted[:, 0]).sum(1, keepdims=True))
    slopes = stencils[:, 1:] / scale[:, None]
    gain = slopes @ slopes.transpose(0, 2, 1)
    return (
        fitted[:, 0],
        fitted[:, 1:] / scale[:, None],
        np.where(sides < 0, -middle, middle),
        stencils[:, 0, 0],
        gain,
    )


def _towards(reference, around, design, smallest):
    """Stencils (n, 1 + dim, n_offsets), and the neighbors nearest to a reference, on its side."""
    reference = reference / np.maximum(np.linalg.norm(reference, axis=1, keepdims=True), 1e-9)
    cosine = np.nan_to_num(np.einsum("nkfi,ni->nkf", around, reference))
    best = np.abs(cosine).argmax(-1)[..., None]
    cosine = np.take_along_axis(cosine, best, 2)[..., 0]
    nearest = np.take_along_axis(around, best[..., None], 2)[:, :, 0]
    there = np.abs(cosine) > smallest
    turned = np.where(there[..., None], nearest * np.sign(cosine)[..., None], 0.0)
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
