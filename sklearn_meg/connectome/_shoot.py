"""Geodesics from a point and a direction: batched Runge-Kutta."""

import torch

from ._geometry import across, spray


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
