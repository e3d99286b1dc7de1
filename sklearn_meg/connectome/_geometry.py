"""Geometry of a metric at points: pure torch, no scikit-learn.

A metric is kept as its log-Cholesky parameters ``theta``: g = L L', L lower triangular, its
diagonal ``exp(theta)`` in the first ``dim`` places, the entries below it in the others. So g is
positive definite whatever theta is. Points are the last axis of every tensor.
"""

import torch


def n_parameters(dim):
    """Log-Cholesky parameters of a metric: 3 in two dimensions, 6 in three."""
    return dim * (dim + 1) // 2


def below_diagonal(dim):
    """Rows and columns below the diagonal, in the order of the parameters."""
    return [(i, j) for i in range(dim) for j in range(i)]


def cholesky_factor(theta, dim):
    """Lower triangular L (dim, dim, n) of parameters (n_parameters, n)."""
    zero = torch.zeros_like(theta[0])
    rows = [[zero] * dim for _ in range(dim)]
    for i in range(dim):
        rows[i][i] = theta[i].exp()
    for k, (i, j) in enumerate(below_diagonal(dim)):
        rows[i][j] = theta[dim + k]
    return torch.stack([torch.stack(row) for row in rows])


def cholesky_gradient(L, dtheta):
    """Derivatives of L along the axes, (dim, dim, dim, n), of those of theta (dim, n_par, n)."""
    dim = len(L)
    zero = torch.zeros_like(dtheta[:, 0])
    rows = [[zero] * dim for _ in range(dim)]
    for i in range(dim):
        rows[i][i] = dtheta[:, i] * L[i, i]
    for k, (i, j) in enumerate(below_diagonal(dim)):
        rows[i][j] = dtheta[:, dim + k]
    return torch.stack([torch.stack(row, 1) for row in rows], 1)


def metric_of(theta, dim):
    """Metrics g (dim, dim, n)."""
    L = cholesky_factor(theta, dim)
    return (L[:, None] * L[None]).sum(2)


def metric_gradient(theta, dtheta):
    """Metrics g (dim, dim, n) and their derivatives (dim, dim, dim, n), direction first."""
    dim = len(dtheta)
    L = cholesky_factor(theta, dim)
    dL = cholesky_gradient(L, dtheta)
    half = (dL[:, :, None] * L[None, None]).sum(3)
    return (L[:, None] * L[None]).sum(2), half + half.transpose(1, 2)


def christoffel_symbols(theta, dtheta):
    """Christoffel symbols of the second kind, (dim, dim, dim, n): upper index first."""
    g, dg = metric_gradient(theta, dtheta)
    lowered = 0.5 * (dg.permute(2, 0, 1, 3) + dg.permute(2, 1, 0, 3) - dg)  # l, i, j
    inverse = torch.linalg.inv(g.permute(2, 0, 1)).permute(1, 2, 0)
    return (inverse[:, :, None, None] * lowered[None]).sum(1)


def spray(theta, dtheta, v):
    """Γ(v, v), (dim, n): minus the acceleration of the geodesic with velocity v (dim, n)."""
    dim = len(v)
    L = cholesky_factor(theta, dim)
    dL = cholesky_gradient(L, dtheta)
    p = (L * v[:, None]).sum(0)  # L' v
    q = (dL * v[None, :, None]).sum(1)  # (d_i L)' v
    lowered = (
        ((dL * v[:, None, None]).sum(0) * p[None]).sum(1)
        + (L * (q * v[:, None]).sum(0)[None]).sum(1)
        - (q * p[None]).sum(1)
    )
    return solve_cholesky(L, lowered)


def solve_cholesky(L, w):
    """(L L')^-1 w for every point, by substitution: dim is 2 or 3."""
    dim, half, found = len(L), [], [None] * len(L)
    for i in range(dim):
        left = w[i] - sum((L[i, j] * half[j] for j in range(i)), torch.zeros_like(w[0]))
        half.append(left / L[i, i])
    for i in reversed(range(dim)):
        above = (L[j, i] * found[j] for j in range(i + 1, dim))
        found[i] = (half[i] - sum(above, torch.zeros_like(w[0]))) / L[i, i]
    return torch.stack(found)


def across(v, w):
    """The part of w (dim, n) that is orthogonal to unit vectors v, in the Euclidean sense."""
    return w - v * (v * w).sum(0)


def geodesic_residual(theta, dtheta, v, acceleration):
    """How far lines with direction v are from geodesics, (dim, n), 1 / length.

    The part of ``nabla_v v`` across v, which is what is left of ``nabla_v v - sigma v``. It
    vanishes where the lines are geodesics, whatever their speed, and is the curvature they have
    too much. Only v_i v_j matters: the sign of v does not.
    """
    return across(v, acceleration + spray(theta, dtheta, v))
