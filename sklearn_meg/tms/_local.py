"""A smooth field near one place as a polynomial: the coil is far, its field there is smooth."""

from functools import lru_cache
from itertools import product

import numpy as np

DEGREE = 5
RADIUS = 0.014  # m: reaches the corners of a grid of 16 mm
SHELLS = {  # of each degree: radius, number of nodes
    3: ((0.0, 1), (0.6, 12), (1.0, 20)),
    5: ((0.0, 1), (0.35, 12), (0.75, 30), (1.0, 50)),
}
SMOOTH = 0.6  # of the way to the coil: how far a polynomial may reach
SMALL = 0.12  # of the way to the coil: up to there degree 3 is as good as 5 is farther out


class LocalField:
    """Polynomial of degree 5 through a smooth field in a ball, the field itself outside.

    Parameters
    ----------
    field : callable
        Takes points (n, 3) in m.
    center : ndarray of shape (3,)
        In m.
    radius : float
        In m.
    """

    def __init__(self, field, center, radius=RADIUS):
        self.field, self.center, self.radius = field, center, radius
        self._coefficients = fit_matrix() @ field(center + radius * nodes())

    def __call__(self, points):
        """Compute E (n, 3) at points (n, 3) in m."""
        x = (points - self.center) / self.radius
        E = monomials(x) @ self._coefficients
        outside = (x**2).sum(axis=1) > 1 + 1e-9
        if outside.any():
            E[outside] = self.field(points[outside])
        return E


@lru_cache
def nodes(degree=DEGREE):
    """Nodes in the unit ball, (n_nodes, 3): shells of evenly spread points, the centre first."""
    nodes = np.concatenate([radius * _sphere(n) for radius, n in SHELLS[degree]])
    nodes.flags.writeable = False
    return nodes


@lru_cache
def fit_matrix(degree=DEGREE):
    """From values at the nodes to the coefficients of the monomials, by least squares."""
    matrix = np.linalg.pinv(monomials(nodes(degree), degree))
    matrix.flags.writeable = False
    return matrix


def monomials(x, degree=DEGREE):
    """All monomials up to the degree at points (n, 3): shape (n, n_monomials)."""
    powers = [np.ones_like(x)]
    for _ in range(degree):
        powers.append(powers[-1] * x)
    columns = np.empty((len(_exponents(degree)), len(x)))
    for column, (i, j, k) in zip(columns, _exponents(degree)):
        np.multiply(powers[i][:, 0], powers[j][:, 1], out=column)
        column *= powers[k][:, 2]
    return columns.T


@lru_cache
def _exponents(degree):
    return [e for e in product(range(degree + 1), repeat=3) if sum(e) <= degree]


def _sphere(n):
    """Spread n points over the unit sphere along a golden spiral."""
    turn = np.pi * (1 + 5**0.5) * (np.arange(n) + 0.5)
    z = 1 - (2 * np.arange(n) + 1) / n
    across = np.sqrt(1 - z**2)
    return np.column_stack([across * np.cos(turn), across * np.sin(turn), z])
