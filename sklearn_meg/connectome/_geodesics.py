"""Geodesics between two points: a path along voxels, made smooth without leaving the mask."""

import numpy as np
import torch
from scipy.optimize import minimize

from ._geometry import metric_of

N_GAUSS = 48  # points of quadrature along a path
SWEEPS = 30  # of the relaxation of a path


def refine(field, ends, guesses, n_modes, max_iter=300):
    """Curves of least energy between pairs of points.

    A path is the straight line plus t (1 - t) times polynomials, so it is smooth and its length
    converges fast with their number.

    Parameters
    ----------
    field : SplineField
    ends : ndarray of shape (n, 2, dim)
    guesses : list of ndarray of shape (n_points, dim)
        Paths to start from.
    n_modes : int
    max_iter : int

    Returns
    -------
    modes : ndarray of shape (n, n_modes, dim)
    lengths : ndarray of shape (n,)
    """
    t, quadrature = np.polynomial.legendre.leggauss(N_GAUSS)
    t, quadrature = (t + 1) / 2, quadrature / 2
    value, slope = basis(t, n_modes)
    start = np.stack([_project(guess, e, n_modes) for guess, e in zip(guesses, ends)])
    base = torch.as_tensor(ends[:, 1] - ends[:, 0])
    line = torch.as_tensor(ends[:, :1] + t[:, None] * (ends[:, 1:] - ends[:, :1]))
    value, slope, w = (torch.as_tensor(a) for a in (value, slope, quadrature))

    def speed(modes):
        x = line + torch.einsum("tk,nkd->ntd", value, modes)
        dx = base[:, None] + torch.einsum("tk,nkd->ntd", slope, modes)
        theta, _ = field(x.flatten(0, 1))
        g = metric_of(theta, x.shape[-1])
        d = dx.flatten(0, 1).T
        return (g * d[:, None] * d[None]).sum((0, 1)).reshape(len(x), -1)

    with torch.no_grad():
        unit = max((speed(torch.as_tensor(start)) @ w).numpy().mean(), 1e-300)

    def energy(flat):
        modes = torch.as_tensor(flat.reshape(start.shape)).requires_grad_(True)
        total = (speed(modes) @ w).sum() / unit
        (gradient,) = torch.autograd.grad(total, modes)
        return total.item(), gradient.numpy().ravel()

    options = {"maxiter": max_iter, "ftol": 1e-14, "gtol": 1e-9, "maxcor": 30}
    found = minimize(energy, start.ravel(), jac=True, method="L-BFGS-B", options=options)
    modes = found.x.reshape(start.shape)
    with torch.no_grad():
        lengths = (speed(torch.as_tensor(modes)).sqrt() @ w).numpy()
    return modes, lengths


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


def relaxed(paths, allowed, cost=None):
    """Make paths smooth: points go towards the middle of their neighbors where they may.

    Parameters
    ----------
    paths : ndarray of shape (n, n_points, dim)
    allowed : callable
        Whether points (m, dim) are where a path may be.
    cost : callable or None
        Lengths (m,) of straight pieces from points to points, (m, dim) each. A point moves only if
        the two pieces beside it get no longer; None moves it anyway.

    Returns
    -------
    paths : ndarray of shape (n, n_points, dim)
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
