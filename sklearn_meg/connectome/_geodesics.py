"""Geodesics between two points: a path along voxels, made smooth without leaving the mask."""

import numpy as np
from scipy.optimize import minimize

N_GAUSS = 48  # points of quadrature along a path
SWEEPS = 30  # of the relaxation of a path
PULLS = 8  # steps of the way back into the mask


def refine(geometry, ends, guesses, n_modes, max_iter=300):
    """Curves of least energy between pairs of points.

    A path is the straight line plus t (1 - t) times polynomials, so it is smooth and its length
    converges fast with their number.

    geometry (SplineGeometry or ConeGeometry), ends (n, 2, dim)
    guesses (list of ndarray of shape (n_points, dim)): Paths to start from.
    Returns modes (n, n_modes, dim), lengths (n,)
    """
    t, quadrature = np.polynomial.legendre.leggauss(N_GAUSS)
    t, w = (t + 1) / 2, quadrature / 2
    value, slope = basis(t, n_modes)
    start = np.stack([_project(guess, e, n_modes) for guess, e in zip(guesses, ends)])
    base = (ends[:, 1] - ends[:, 0])[:, None]
    line = ends[:, :1] + t[:, None] * base

    def energies(modes):
        """Squared speeds (n, n_t), and their derivatives by the modes."""
        x, d = (a + np.einsum("tk,nkd->ntd", b, modes) for a, b in ((line, value), (base, slope)))
        each, by_x, by_d = _squared_speeds(
            geometry, x.reshape(-1, x.shape[2]), d.reshape(-1, x.shape[2])
        )
        by_x, by_d = (w[:, None] * by.reshape(x.shape) for by in (by_x, by_d))
        slopes = np.einsum("tk,ntd->nkd", value, by_x) + np.einsum("tk,ntd->nkd", slope, by_d)
        return each.reshape(x.shape[:2]), slopes

    unit = max((energies(start)[0] @ w).mean(), 1e-300)

    def energy(flat):
        each, slopes = energies(flat.reshape(start.shape))
        return float((each @ w).sum() / unit), slopes.ravel() / unit

    options = {"maxiter": max_iter, "ftol": 1e-14, "gtol": 1e-9, "maxcor": 30}
    found = minimize(energy, start.ravel(), jac=True, method="L-BFGS-B", options=options)
    modes = found.x.reshape(start.shape)
    return modes, np.sqrt(np.maximum(energies(modes)[0], 0)) @ w


def _squared_speeds(geometry, x, d):
    """Squared lengths (n,) of vectors d at points, and their derivatives by x and by d."""
    u = d / np.maximum(np.linalg.norm(d, axis=1, keepdims=True), 1e-300)
    g, dg = geometry.gradient(x, u)
    lowered = np.einsum("nij,nj->ni", g, d)
    return (lowered * d).sum(1), np.einsum("nkij,ni,nj->nk", dg, d, d), 2 * lowered


def basis(t, n_modes):
    """Functions that vanish at 0 and 1 with orthonormal derivatives, and these, (n_t, n_modes)."""
    x = 2 * t - 1
    P = np.stack([np.polynomial.legendre.Legendre.basis(k)(x) for k in range(n_modes + 2)], 1)
    order = np.arange(1, n_modes + 1)
    # The integral of a Legendre polynomial is a difference of two others.
    value = (P[:, 2:] - P[:, :-2]) / (2 * (2 * order + 1)) * np.sqrt(2 * order + 1)
    return value, P[:, 1:-1] * np.sqrt(2 * order + 1)


def evaluate(ends, modes, n_points):
    """Points along the paths, (n, n_points, dim)."""
    t = np.linspace(0, 1, n_points)
    value, _ = basis(t, modes.shape[1])
    line = ends[:, :1] + t[:, None] * (ends[:, 1:] - ends[:, :1])
    return line + np.einsum("tk,nkd->ntd", value, modes)


def _project(guess, ends, n_modes):
    """Least-squares modes of a polyline, held smooth."""
    path = np.concatenate([ends[:1], guess, ends[1:]])
    place = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    if place[-1] == 0:
        return np.zeros((n_modes, path.shape[1]))
    t = np.linspace(0, 1, 60)
    points = np.stack([np.interp(t, place / place[-1], p) for p in path.T], 1)
    value, _ = basis(t, n_modes)
    left = points - ends[0] - t[:, None] * (ends[1] - ends[0])
    ridge = 1e-4 * np.diag(np.arange(1, n_modes + 1) ** 2.0)
    return np.linalg.solve(value.T @ value + ridge, value.T @ left)


def resampled(path, n_points):
    """Points of a polyline, evenly spaced."""
    place = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    t = np.linspace(0, place[-1], n_points)
    return np.stack([np.interp(t, place, x) for x in path.T], axis=1)


def pulled(curves, targets, allowed):
    """Curves that go towards other points where they, or their pieces, are outside.

    curves (n, n_points, dim)
    targets (callable): Points (m, dim) inside, near others.
    allowed (callable): As of :func:`relaxed`.
    Returns curves (n, n_points, dim)
    """
    curves = curves.copy()
    share = np.zeros(curves.shape[:2])
    outside = ~inside(curves, allowed)
    if not outside.any():
        return curves
    changed = outside.any(1)
    near = targets(curves.reshape(-1, curves.shape[2])).reshape(curves.shape)
    near[:, [0, -1]] = curves[:, [0, -1]]
    for _ in range(PULLS):
        share[outside] += 1 / PULLS
        found = curves + np.minimum(share, 1)[..., None] * (near - curves)
        outside = ~inside(found, allowed)
    return np.where(changed[:, None, None], relaxed(found, allowed), curves)


def inside(paths, allowed):
    """Whether points of paths (n, n_points, dim), and the middles beside them, are allowed."""
    middles = 0.5 * (paths[:, 1:] + paths[:, :-1])
    points, middles = (
        allowed(each.reshape(-1, paths.shape[2])).reshape(each.shape[:2])
        for each in (paths, middles)
    )
    points[:, 1:] &= middles
    points[:, :-1] &= middles
    return points


def relaxed(paths, allowed, cost=None):
    """Make paths smooth: points go towards the middle of their neighbors where they may.

    paths (n, n_points, dim)
    allowed (callable): Whether points (m, dim) are where a path may be.
    cost (callable or None): Lengths (m,) of straight pieces from points to points, (m, dim) each.
        A point moves only if the two pieces beside it get no longer; None moves it anyway.
    Returns paths (n, n_points, dim)
    """
    paths = paths.copy()
    for sweep in range(SWEEPS):
        inner = slice(1 + sweep % 2, -1, 2)
        here = paths[:, inner]
        before, after = paths[:, :-2][:, sweep % 2 :: 2], paths[:, 2:][:, sweep % 2 :: 2]
        moved = 0.5 * here + 0.25 * (before + after)
        flat = moved.reshape(-1, moved.shape[-1])
        good = allowed(flat)
        for other in (before, after):  # nor may the pieces beside it cut a corner
            good &= allowed(0.5 * (flat + other.reshape(flat.shape)))
        if cost is not None:
            b, h, a = (each.reshape(flat.shape) for each in (before, here, after))
            good &= cost(b, flat) + cost(flat, a) <= cost(b, h) + cost(h, a)
        paths[:, inner] = np.where(good.reshape(moved.shape[:2])[..., None], moved, here)
    return paths
