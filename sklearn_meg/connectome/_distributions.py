"""Orientation distributions: amplitudes along directions, and peaks, of spherical harmonics."""

import warnings

import numpy as np

from .._checks.assumptions import warn_assumption
from .._optional import needs

#: Names of software, and basis and variant of its spherical harmonics in dipy's words.
BASES = {"dipy": ("descoteaux07", True), "mrtrix": ("tournier07", False)}
SPHERE = "repulsion724"
CHUNK = 20_000  # voxels at a time
FEW = 500  # voxels that tell the basis
MORE_NEGATIVE = 0.1  # of the maximum: by so much another basis must fit better to be named


def order_of(n_coefficients):
    """Largest order of the even spherical harmonics with so many coefficients, None if none has."""
    order = (np.sqrt(8 * n_coefficients + 1) - 3) / 2
    return int(order) if order == int(order) and order % 2 == 0 else None


def amplitudes(coefficients, directions, basis):
    """Amplitudes (n, n_directions) of distributions (n, n_coefficients) along unit vectors."""
    with needs("Orientation distributions", "dipy", "sklearn-meg[connectome]"):
        from dipy.core.sphere import Sphere
        from dipy.reconst.shm import sh_to_sf_matrix
    name, legacy = BASES[basis]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)  # what dipy itself writes
        matrix = sh_to_sf_matrix(
            Sphere(xyz=directions),
            sh_order_max=order_of(coefficients.shape[1]),
            basis_type=name,
            legacy=legacy,
            return_inv=False,
        )
    return coefficients @ matrix


def warn_if_other_basis(coefficients, basis):
    """Warn if distributions are clearly less negative in the other basis: none should be."""
    with needs("Orientation distributions", "dipy", "sklearn-meg[connectome]"):
        from dipy.data import get_sphere
    some = coefficients[:: max(1, len(coefficients) // FEW)]
    vertices = get_sphere(name=SPHERE).vertices
    found = {name: _negative(amplitudes(some, vertices, name)) for name in BASES}
    best = min(found, key=found.get)
    if found[basis] > found[best] + MORE_NEGATIVE:
        warn_assumption(
            "other-basis",
            f"Distributions go down to -{found[basis]:.0%} of their maximum with basis={basis!r}, "
            f"but to -{found[best]:.0%} with basis={best!r}.",
        )


def _negative(values):
    return float(np.median(-values.min(1) / np.maximum(values.max(1), 1e-12)))


def find_peaks(coefficients, basis, n_peaks, share, separation):
    """Local maxima of distributions, largest first, between the directions of a sphere.

    coefficients (n, n_coefficients)
    n_peaks: Most for each distribution.
    share: Smallest amplitude, as a share of the largest.
    separation: Smallest angle between two, in degrees.
    Returns peaks (n_peaks, n, 3): NaN where there are fewer.
    and values (n_peaks, n)
    """
    with needs("Orientation distributions", "dipy", "sklearn-meg[connectome]"):
        from dipy.data import get_sphere
    sphere = get_sphere(name=SPHERE)
    around = _neighbors(sphere)
    parts = []
    for i in range(0, len(coefficients), CHUNK):
        values = amplitudes(coefficients[i : i + CHUNK], sphere.vertices, basis)
        parts.append(_peaks(values, sphere.vertices, around, n_peaks, share, separation))
    return tuple(np.concatenate(each, axis=1) for each in zip(*parts))


def peaks_on_half(values, n_peaks, share, separation):
    """Peaks as :func:`find_peaks`, of amplitudes (n, n_half) on the upper half of the sphere."""
    from dipy.data import get_sphere

    sphere = get_sphere(name=SPHERE)
    vertices, around = sphere.vertices, _neighbors(sphere)
    half = upper(vertices)
    which = np.abs(vertices @ vertices[half].T).argmax(1)
    parts = [
        _peaks(values[i : i + CHUNK][:, which], vertices, around, n_peaks, share, separation)
        for i in range(0, len(values), CHUNK)
    ]
    return tuple(np.concatenate(each, axis=1) for each in zip(*parts))


def upper(vertices):
    """Numbers of the vertices of the upper half, one of each pair of opposite ones."""
    return np.flatnonzero(vertices @ [1e-6, 1e-3, 1.0] > 0)


def _neighbors(sphere):
    """Neighbors (n_vertices, n_most) of each vertex, the last one repeated."""
    around = [[] for _ in sphere.vertices]
    for a, b in sphere.edges:
        around[a].append(b)
        around[b].append(a)
    most = max(map(len, around))
    return np.array([each + [each[-1]] * (most - len(each)) for each in around])


def _peaks(values, vertices, around, n_peaks, share, separation):
    """Local maxima of distributions, the largest first, refined between vertices and kept apart."""
    half = upper(vertices)
    own = values[:, half]
    is_peak = own >= values[:, around[half]].max(2)
    is_peak &= own > share * np.maximum(values.max(1, keepdims=True), 1e-12)
    ranked = np.argsort(-np.where(is_peak, own, -np.inf), axis=1)[:, : 3 * n_peaks]
    peaks = np.full((n_peaks, len(values), 3), np.nan)
    found, counts = np.zeros((n_peaks, len(values))), np.zeros(len(values), dtype=int)
    rows = np.arange(len(values))
    for column in ranked.T:
        v = vertices[half[column]]
        apart = np.abs(np.einsum("knd,nd->kn", np.nan_to_num(peaks), v)).max(0)
        good = is_peak[rows, column] & (counts < n_peaks) & (apart < np.cos(np.deg2rad(separation)))
        some = np.flatnonzero(good)
        refined = _refined(values[some], half[column[some]], vertices, around)
        peaks[counts[some], some] = refined
        found[counts[some], some] = own[some, column[some]]
        counts[some] += 1
    return peaks, found


def _refined(values, vertex, vertices, around):
    """Tops of the parabolas through the vertices around a maximum."""
    if not len(values):
        return np.empty((0, 3))
    v = vertices[vertex]
    aside = np.where(np.abs(v[:, :1]) > 0.9, [0.0, 1.0, 0.0], [1.0, 0.0, 0.0])
    e1 = np.cross(v, aside)
    e1 /= np.linalg.norm(e1, axis=1, keepdims=True)
    e2 = np.cross(v, e1)
    near = np.concatenate([vertex[:, None], around[vertex]], axis=1)
    x, y = (np.einsum("nkd,nd->nk", vertices[near], e) for e in (e1, e2))
    design = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
    f = np.take_along_axis(values, near, 1)
    normal = design.swapaxes(1, 2) @ design + 1e-9 * np.eye(6)
    c = np.linalg.solve(normal, design.swapaxes(1, 2) @ f[..., None])[..., 0]
    bend = np.stack([2 * c[:, 3], c[:, 4], c[:, 4], 2 * c[:, 5]], axis=1).reshape(-1, 2, 2)
    top = -np.linalg.solve(bend - 1e-9 * np.eye(2), c[:, 1:3, None])[..., 0]
    inside = np.linalg.norm(top, axis=1, keepdims=True) < 0.1  # about the distance of vertices
    top = np.where(inside, top, 0.0)
    found = v + top[:, :1] * e1 + top[:, 1:] * e2
    return found / np.linalg.norm(found, axis=1, keepdims=True)
