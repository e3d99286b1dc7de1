"""Geometry of a metric at points: pure torch, no scikit-learn.

A metric is kept as its log-Cholesky parameters ``theta``: g = L L', L lower triangular, its
diagonal ``exp(theta)`` in the first ``dim`` places, the entries below it in the others. So g is
positive definite whatever theta is. Points are the last axis of every tensor.
"""

import numpy as np
import torch

BATCH = 4096  # points at a time


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


class SplineGeometry:
    """Metric, its derivatives and geodesics of a spline of log-Cholesky parameters.

    field (SplineField)
    peaks (PeakField or None): Directions that curves can be steered by.
    """

    def __init__(self, field, peaks=None):
        self.field, self.peaks = field, peaks

    def tensors(self, x, u=None):
        """Metrics (n, dim, dim) at points; the direction u makes no difference."""
        parts = [metric_of(theta, x.shape[1]) for theta, _ in self._parts(x)]
        return torch.cat(parts, dim=-1).permute(2, 0, 1).numpy()

    def gradient(self, x, u=None):
        """Metrics, and their derivatives (n, dim, dim, dim) along the first axis."""
        parts = [metric_gradient(theta, dtheta) for theta, dtheta in self._parts(x)]
        g, dg = (torch.cat(each, dim=-1) for each in zip(*parts))
        return g.permute(2, 0, 1).numpy(), dg.permute(3, 0, 1, 2).numpy()

    def _parts(self, x):
        for i in range(0, len(x), BATCH):
            yield self.field(torch.as_tensor(x[i : i + BATCH]))

    def start(self, x, u):
        """State of geodesics: points and directions."""
        return x, u

    def turned(self, state, u):
        """The state with another direction."""
        return state[0], u

    def step(self, state, h):
        """One step of the classical method of fourth order."""
        x, u = (torch.as_tensor(each) for each in state)
        k1, a1 = self._rates(x, u)
        k2, a2 = self._rates(x + h / 2 * k1, u + h / 2 * a1)
        k3, a3 = self._rates(x + h / 2 * k2, u + h / 2 * a2)
        k4, a4 = self._rates(x + h * k3, u + h * a3)
        x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        u = u + h / 6 * (a1 + 2 * a2 + 2 * a3 + a4)
        return x.numpy(), (u / u.norm(dim=1, keepdim=True)).numpy()

    def _rates(self, x, u):
        u = u / u.norm(dim=1, keepdim=True)
        theta, dtheta = self.field(x)
        return u, -across(u.T, spray(theta, dtheta, u.T)).T


def symbols_of(g, dg):
    """Christoffel symbols (n, dim, dim, dim), upper index first, of metrics and derivatives."""
    lowered = 0.5 * (dg.transpose(0, 3, 1, 2) + dg.transpose(0, 3, 2, 1) - dg)  # n, l, i, j
    flat = lowered.reshape(*lowered.shape[:2], -1)
    return np.linalg.solve(g, flat).reshape(lowered.shape)
