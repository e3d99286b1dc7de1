"""Geodesics from a point and a direction: batched Runge-Kutta."""

import torch

from ._geometry import across, spray


def shoot(field, points, directions, length, step):
    """Shoot geodesics, as curves of unit Euclidean speed.

    Any parameter gives the same curve; this one makes steps even in space.

    Parameters
    ----------
    field : SplineField
        Log-Cholesky parameters.
    points, directions : tensor of shape (n, dim)
    length : float
    step : float

    Returns
    -------
    paths : tensor of shape (n_steps + 1, n, dim)
    """
    n_steps = max(1, round(length / step))
    h = length / n_steps

    def rate(x, u):
        u = u / u.norm(dim=1, keepdim=True)
        theta, dtheta = field(x)
        return u, -across(u.T, spray(theta, dtheta, u.T)).T

    x, u = points, directions / directions.norm(dim=1, keepdim=True)
    paths = [x]
    for _ in range(n_steps):
        k1, a1 = rate(x, u)
        k2, a2 = rate(x + h / 2 * k1, u + h / 2 * a1)
        k3, a3 = rate(x + h / 2 * k2, u + h / 2 * a2)
        k4, a4 = rate(x + h * k3, u + h * a3)
        x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        u = u + h / 6 * (a1 + 2 * a2 + 2 * a3 + a4)
        u = u / u.norm(dim=1, keepdim=True)
        paths.append(x)
    return torch.stack(paths)
