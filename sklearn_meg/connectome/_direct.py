"""The metric of a set of lines, found directly: L-BFGS over spline coefficients."""

import numpy as np
import scipy.sparse as sp
import torch
from scipy.ndimage import binary_dilation, distance_transform_edt
from scipy.optimize import minimize
from scipy.sparse.linalg import splu

from ..base import NonFiniteLossError
from ._geometry import geodesic_residual, n_parameters
from ._spline import SplineOperator, lattice_shape, refined, smoothness_operator

FIRST = 1e-3  # weight of first against second derivatives: keeps the outside from running away
GAUGE = 1e-8  # a metric and twice the metric have the same geodesics: the smaller log is taken


class Problem:
    """Loss and gradient for coefficients on one lattice.

    spacing: Voxels between knots.
    smoothness: Weight of the squared second derivatives.
    """

    def __init__(self, lines, space, spacing, smoothness):
        grid, scale = space.grid, space.scale
        where = np.ravel_multi_index(lines.voxel.T, grid)
        used, index = np.unique(where, return_inverse=True)
        voxels = np.stack(np.unravel_index(used, grid), 1)
        self.operator = SplineOperator(voxels, grid, spacing, scale)
        shape = lattice_shape(grid, spacing)
        self.knots = _knots_around(self.operator.knots, shape)
        flat, inner = (np.ravel_multi_index(k.T, shape) for k in (self.knots, self.operator.knots))
        self.inner = np.searchsorted(flat, inner)
        self.rough = smoothness * smoothness_operator(self.knots, spacing, FIRST)
        self.index = torch.as_tensor(index.ravel())
        self.v, self.a = (
            torch.as_tensor(np.ascontiguousarray(each.T))
            for each in (lines.direction, lines.acceleration)
        )
        # Curvatures in 1 / voxel: units of length do not change the balance with smoothness.
        self.weight = torch.as_tensor(lines.weight) * scale.min() ** 2 / len(index)
        self.unit = 1.0  # of the loss

    def __call__(self, flat):
        """Loss and its gradient for flat coefficients of all knots."""
        coef = flat.reshape(len(self.knots), -1)
        values = self.operator(coef[self.inner])
        tensor = torch.from_numpy(np.ascontiguousarray(values.transpose(0, 2, 1)))
        tensor.requires_grad_(True)
        taken = tensor[:, :, self.index]
        r = geodesic_residual(taken[0], taken[1:], self.v, self.a)
        loss = (self.weight * r.square().sum(0)).sum()
        (slope,) = torch.autograd.grad(loss, tensor)
        gradient = np.zeros_like(coef)
        gradient[self.inner] = self.operator.adjoint(slope.numpy().transpose(0, 2, 1))
        rough = self.rough @ coef
        gradient += 2 * rough + 2 * GAUGE * coef / len(coef)
        total = loss.item() + (coef * rough).sum() + GAUGE * (coef**2).sum() / len(coef)
        return total / self.unit, gradient.ravel() / self.unit


def solve(lines, space, spacings, smoothness, max_iter, tol, progress=None):
    """Coefficients everywhere on the lattice of the last spacing.

    spacings (tuple of int): Voxels between knots, from coarse to fine; each half of the one
        before.
    max_iter: Largest number of iterations of each.
    tol: Change of the loss, relative to that of the Euclidean metric, below which it ends.
    progress (tqdm bar or None)
    Returns coef (kx, ky[, kz], n_parameters), history (list of (spacing, iterations, loss))
    """
    shape = lattice_shape(space.grid, spacings[0])
    coef, history, unit = np.zeros((*shape, n_parameters(space.dim))), [], None
    options = {"maxiter": max_iter, "maxfun": 2 * max_iter, "ftol": tol, "gtol": 0.0, "maxcor": 20}
    for spacing in spacings:
        problem = Problem(lines, space, spacing, smoothness)
        shape = lattice_shape(space.grid, spacing)
        if coef.shape[:-1] != shape:
            coef = refined(coef, shape)
        start = coef[tuple(problem.knots.T)]
        if unit is None:  # L-BFGS stops at a change below tol times the loss, or below tol
            unit = max(problem(start.ravel())[0], 1e-12)
        problem.unit = unit
        step = None if progress is None else lambda _: progress.update()
        found = minimize(
            problem, start.ravel(), jac=True, method="L-BFGS-B", callback=step, options=options
        )
        if not np.isfinite(found.fun):
            raise NonFiniteLossError(
                f"The loss became {found.fun} on the lattice of {spacing} voxels. Try a larger "
                "smoothness."
            )
        coef = _everywhere(found.x.reshape(start.shape), problem.knots, shape)
        history.append((int(spacing), int(found.nit), float(found.fun * unit)))
    if progress is not None:
        progress.close()
    return coef, history


MARGIN = 3  # knots beyond those that matter, on which only smoothness acts


def _knots_around(knots, shape):
    """Knots and those up to `MARGIN` away, in the order of the lattice."""
    there = np.zeros(shape, dtype=bool)
    there[tuple(knots.T)] = True
    return np.argwhere(binary_dilation(there, iterations=MARGIN))


def extended(coef, lines, space, spacing):
    """Coefficients of a network, continued smoothly where no line says anything.

    Outside the lines a network may answer anything; geodesics that graze the border should meet
    there what they meet with the direct solver.

    coef (kx, ky[, kz], n_parameters)
    Returns coef (kx, ky[, kz], n_parameters)
    """
    problem = Problem(lines, space, spacing, 1.0)
    free = np.setdiff1d(np.arange(len(problem.knots)), problem.inner)
    values = coef[tuple(problem.knots.T)]
    if len(free):
        rough = problem.rough[free]
        solver = splu((rough[:, free] + 1e-12 * sp.eye(len(free))).tocsc())
        values[free] = -solver.solve(rough[:, problem.inner] @ values[problem.inner])
    return _everywhere(values, problem.knots, coef.shape[:-1])


def _everywhere(coef, knots, shape):
    """Knots that matter to no line get the values of the nearest that do."""
    there = np.zeros(shape, dtype=bool)
    there[tuple(knots.T)] = True
    full = np.zeros((*shape, coef.shape[1]))
    full[there] = coef
    nearest = distance_transform_edt(~there, return_distances=False, return_indices=True)
    return full[tuple(nearest)]
