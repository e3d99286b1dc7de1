"""Lead fields between the points of a grid, by moving least squares."""

import numpy as np
from scipy.spatial import KDTree

from ._settings import SETTINGS


class Between:
    """Shares of grid points that make the lead field of a place between them.

    A quadratic polynomial is fitted to the lead field of the points within two spacings, near ones
    counting most (moving least squares; Lancaster and Salkauskas, 1981). It is linear in the lead
    field, so that the places of one grid need one set of shares, whatever the channels.

    grid (n_positions, 3): Coordinates in m.
    steps (list of tuple): Length in m of a step, and how many either way, for a search that gets
        ever finer.
    """

    def __init__(self, grid):
        self.grid, self.tree = grid, KDTree(grid)
        nearest = self.tree.query(grid, k=2)[0][:, 1] if len(grid) > 1 else np.zeros(1)
        self.spacing = float(np.median(nearest))
        self.steps = [(step * self.spacing, reach) for step, reach in SETTINGS.steps]

    def nearest(self, place):
        """Index of the nearest grid point."""
        return int(self.tree.query(place)[1])

    def around(self, place, step, reach):
        """Places around one, itself included, and what their lead fields are made of.

        place (3,)
        Returns places (n, 3), neighbors, shares (list of ndarray)
        """
        if not self.spacing > 0:  # a single point
            return self.grid[:1], [np.zeros(1, dtype=int)], [np.ones(1)]
        offsets = step * np.arange(-reach, reach + 1)
        places = place + np.stack(np.meshgrid(*[offsets] * 3), axis=-1).reshape(-1, 3)
        places = places[self.tree.query(places)[0] <= SETTINGS.farthest * self.spacing]
        made = [self.shares(each) for each in places]
        inside = [index for index, (_, share) in enumerate(made) if _inside(share)]
        if not inside:  # a point on the rim of a thin grid
            nearest = self.nearest(place)
            return self.grid[[nearest]], [np.array([nearest])], [np.ones(1)]
        return places[inside], [made[i][0] for i in inside], [made[i][1] for i in inside]

    def shares(self, place):
        """Neighbors of a place, and the share of each in its lead field."""
        reach = SETTINGS.reach * self.spacing
        near = np.array(self.tree.query_ball_point(place, reach))
        away = (self.grid[near] - place) / reach
        products = away[:, [0, 0, 0, 1, 1, 2]] * away[:, [0, 1, 2, 1, 2, 2]]
        terms = np.concatenate([np.ones((len(near), 1)), away, products], axis=1)
        weight = np.square(np.maximum(1.0 - np.square(away).sum(axis=1), 1e-6))[:, None]
        normal = terms.T @ (weight * terms)
        constant = np.linalg.lstsq(normal, np.eye(len(normal))[0], rcond=1e-8)[0]
        share = (weight * terms) @ constant
        return near, share / share.sum()


def _inside(share):
    return np.abs(share).sum() <= SETTINGS.extrapolated
