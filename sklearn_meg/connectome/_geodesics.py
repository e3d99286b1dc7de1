"""Geodesics between two points: along a graph of voxels, then as the curve of least energy."""

from itertools import product

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from ._geometry import across, metric_of, spray

N_GAUSS = 48  # points of quadrature along a path
REACH = 2  # voxels that an edge of the graph goes at most along an axis


def voxel_graph(g, mask, scale):
    """Lengths between voxels of the mask that are near each other.

    Parameters
    ----------
    g : ndarray of shape (n_voxels, dim, dim)
        Metrics in the voxels of the mask.
    mask : ndarray of bool of shape (nx, ny[, nz],)
    scale : ndarray of shape (dim,)

    Returns
    -------
    graph : csr_matrix of shape (n_voxels, n_voxels)
    """
    number = np.full(np.array(mask.shape) + 2 * REACH, -1)
    inner = tuple(slice(REACH, -REACH) for _ in mask.shape)
    number[inner][mask] = np.arange(len(g))
    voxels = np.argwhere(mask) + REACH
    rows, columns, lengths = [], [], []
    for offset in _half_ball(mask.ndim):
        # A long edge must not jump over a gap: the voxels around its middle are in the mask, too.
        over = [(offset / 2 + s * 1e-3 * np.sign(offset)).round().astype(int) for s in (1, -1)]
        other = number[tuple((voxels + offset).T)]
        good = other >= 0
        for middle in over:
            good &= number[tuple((voxels + middle).T)] >= 0
        a, b = np.flatnonzero(good), other[good]
        step = offset * scale
        rows.append(a)
        columns.append(b)
        lengths.append(np.sqrt(0.5 * np.einsum("i,nij,j->n", step, g[a] + g[b], step)))
    data = np.concatenate(lengths)
    shape = (len(g), len(g))
    return csr_matrix((data, (np.concatenate(rows), np.concatenate(columns))), shape=shape)


def _half_ball(dim):
    """Offsets of edges, one of each pair of opposite ones, no multiple of a shorter one."""
    every = [np.array(o) for o in product(range(-REACH, REACH + 1), repeat=dim)]
    return [o for o in every if tuple(o) > (0,) * dim and np.gcd.reduce(o) == 1]


def graph_paths(graph, starts, ends):
    """Shortest paths as lists of voxel numbers, and their lengths (inf if there is none)."""
    sources, where = np.unique(starts, return_inverse=True)
    length, before = dijkstra(graph, directed=False, indices=sources, return_predecessors=True)
    paths = []
    for row, start, end in zip(where, starts, ends):
        path = [end]
        while path[-1] != start and before[row, path[-1]] >= 0:
            path.append(before[row, path[-1]])
        paths.append(path[::-1])
    return paths, length[where, ends]


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


def shoot(field, points, directions, length, step, inside):
    """Shoot geodesics, as curves of unit Euclidean speed.

    Any parameter gives the same curve; this one makes steps even in space.

    Parameters
    ----------
    field : SplineField
        Log-Cholesky parameters.
    points, directions : tensor of shape (n, dim)
    length : float
    step : float
    inside : callable
        Whether points (n, dim) are where geodesics go on.

    Returns
    -------
    paths : tensor of shape (n, n_steps + 1, dim)
        NaN after the first point that is not inside, or where a curve ran away within a step.
    """
    n_steps = max(1, round(length / step))
    h = length / n_steps
    x, u = points, directions / directions.norm(dim=1, keepdim=True)
    paths = torch.full((len(x), n_steps + 1, x.shape[1]), torch.nan, dtype=x.dtype)
    paths[:, 0] = x
    going = torch.arange(len(x))
    for i in range(n_steps):
        x, u = _runge_kutta(field, x, u, h)
        numbers = torch.isfinite(x).all(1) & torch.isfinite(u).all(1)
        x, u, going = x[numbers], u[numbers], going[numbers]
        paths[going, i + 1] = x
        on = torch.as_tensor(inside(x.numpy()))
        x, u, going = x[on], u[on], going[on]
        if not len(going):
            break
    return paths


def _runge_kutta(field, x, u, h):
    """One step of the classical method of fourth order."""

    def rate(x, u):
        u = u / u.norm(dim=1, keepdim=True)
        theta, dtheta = field(x)
        return u, -across(u.T, spray(theta, dtheta, u.T)).T

    k1, a1 = rate(x, u)
    k2, a2 = rate(x + h / 2 * k1, u + h / 2 * a1)
    k3, a3 = rate(x + h / 2 * k2, u + h / 2 * a2)
    k4, a4 = rate(x + h * k3, u + h * a3)
    x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    u = u + h / 6 * (a1 + 2 * a2 + 2 * a3 + a4)
    return x, u / u.norm(dim=1, keepdim=True)
