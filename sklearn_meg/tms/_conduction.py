"""Round bodies of layered tissue in a uniform field: the exact answer, from one line of numbers.

A cylinder (``dim`` 2, endless) or a ball (``dim`` 3) whose conductivity depends on the distance
rho from its axis or center alone, in an endless medium, in a uniform field E0 (for the
cylinder: its part across the axis). The total potential is ``-(E0 . x) H(rho)`` with

``(rho^(dim + 1) sigma H')' + rho^dim sigma' H = 0``,  H'(0) = 0,  H -> 1 far away.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_banded
from scipy.special import expit

from ._settings import BODIES


@dataclass(frozen=True)
class Bodies:
    """Round bodies and their responses.

    centers (n_bodies, 3): A point of the axis of a cylinder, or the center of a ball; in m.
    axes (n_bodies, 3): Unit vector along a cylinder; zeros for a ball.
    step (n_bodies,): Between the knots of `values`, in m.
    values, slopes (n_bodies, n_knots): H - 1 and H' (in 1/m) at the knots, the first of which is
        at rho = 0.
    """

    centers: np.ndarray
    axes: np.ndarray
    step: np.ndarray
    values: np.ndarray
    slopes: np.ndarray

    @property
    def dims(self):
        """2 for cylinders, 3 for balls, shape (n_bodies,)."""
        return np.where(self.axes.any(axis=1), 2, 3)

    def part(self, which, rotation):
        """Some of the bodies, seen in a frame whose axes are the columns of `rotation`."""
        return Bodies(
            self.centers[which] @ rotation,
            self.axes[which] @ rotation,
            self.step[which],
            self.values[which],
            self.slopes[which],
        )

    def secondary(self, points, applied):
        """Field of the charges that each body carries in its uniform applied field, summed.

        points (n, 3)
        applied (3,): E0.
        Returns E (n, 3): Minus the gradient of :meth:`potential`.
        """
        across = applied - self.axes * (self.axes @ applied)[:, np.newaxis]
        points, centers, along, rho = self._distances(points)
        excess, slope = self._responses(rho)
        # E = sum of across H + (across . x) H' / rho x, with x from the axis to the point;
        # H' / rho is finite at rho = 0, where x vanishes as well. Written as matrix products.
        slope /= np.maximum(rho, 1e-9)
        slope *= points @ across.T - (centers * across).sum(axis=1)
        E = excess @ across - slope @ centers + slope.sum(axis=1, keepdims=True) * points
        slope *= along
        E -= slope @ self.axes
        return E

    def potential(self, points, applied):
        """Potential of the charges, in units of `applied` times m; arguments as `secondary`."""
        across = applied - self.axes * (self.axes @ applied)[:, np.newaxis]
        points, centers, _, rho = self._distances(points)
        excess, _ = self._responses(rho)
        return -(excess * (points @ across.T - (centers * across).sum(axis=1))).sum(axis=1)

    def _distances(self, points):
        """Points and centers from a common origin, and (n, n_bodies): z along, rho from axes."""
        origin = self.centers[0]  # near the points: squares of small numbers lose no digits
        points, centers = points - origin, self.centers - origin
        along = points @ self.axes.T - (centers * self.axes).sum(axis=1)
        square = (points**2).sum(axis=1)[:, np.newaxis] + (centers**2).sum(axis=1)
        square -= 2 * (points @ centers.T)
        square -= along**2
        return points, centers, along, np.sqrt(np.maximum(square, 0.0, out=square), out=square)

    def _responses(self, rho):
        """H - 1 and H' at distances rho (n, n_bodies)."""
        last = (self.values.shape[1] - 1) * self.step
        excess, slope = self._interpolate(np.minimum(rho, last))
        outside = rho > last
        if outside.any():
            far = np.maximum(rho, last)
            tail = self.values[:, -1] * (last / far) ** self.dims
            excess = np.where(outside, tail, excess)
            slope = np.where(outside, -self.dims * tail / far, slope)
        return excess, slope

    def _interpolate(self, rho):
        """Cubic Hermite interpolation: H and H' of one smooth function, so that no curl appears."""
        step = self.step
        n_bodies, n_knots = self.values.shape
        u = rho / step
        knot = np.minimum(u.astype(np.intp), n_knots - 2)
        u -= knot
        knot += n_knots * np.arange(n_bodies)
        start, jump = self.values.take(knot), self.values.take(knot + 1)
        jump -= start
        left, right = self.slopes.take(knot) * step, self.slopes.take(knot + 1) * step
        square = 3 * jump - 2 * left - right
        cube = left + right - 2 * jump
        value = ((cube * u + square) * u + left) * u + start
        slope = ((3 * cube * u + 2 * square) * u + left) / step
        return value, slope


def make_bodies(centers, axes, radii, jumps, blur):
    """Solve for the responses of some bodies.

    centers, axes (n_bodies, 3): As in :class:`Bodies`.
    radii (n_bodies, n_interfaces): Radii at which the conductivity changes, in m; a body with
        fewer interfaces repeats one with no jump.
    jumps (n_bodies, n_interfaces): log of the conductivity inside over outside each interface.
    blur: Scale of the logistic blur of log conductivity, in m.
    Returns bodies (Bodies)
    """
    dims = np.where(axes.any(axis=1), 2, 3)
    step = (radii.max(axis=1) + BODIES.margin * blur) / (BODIES.n_knots - 1)
    values = _solve(dims[:, np.newaxis], step[:, np.newaxis], radii, jumps, blur)
    return Bodies(centers, axes, step, values, _slopes(values, step[:, np.newaxis], dims))


def conductivity(rho, radii, jumps, blur):
    """Conductivity over that of the surroundings at distances rho (n_bodies, n).

    Each interface is logistic in rho, made even so that there is no cusp at rho = 0.
    """
    far, near = radii[..., np.newaxis] + rho[:, np.newaxis], radii[..., np.newaxis]
    inside = expit((near - rho[:, np.newaxis]) / blur) + expit(far / blur) - 1
    return np.exp((jumps[..., np.newaxis] * inside).sum(axis=1))


def _solve(dims, step, radii, jumps, blur):
    """H - 1 at the knots, by finite volumes; all bodies in one tridiagonal system.

    The equation is solved for h = H - 1, which decays as rho^-dim outside the last knot.
    """
    n_bodies = len(step)
    half = (np.arange(BODIES.n_knots - 1) + 0.5) * step
    sigma = conductivity(half, radii, jumps, blur)
    ends = conductivity(step * [0.0, BODIES.n_knots - 1.0], radii, jumps, blur)
    link = half ** (dims + 1) * sigma / step  # between neighboring knots
    change = np.diff(np.hstack([ends[:, :1], sigma, ends[:, 1:]]), axis=1)
    rho = np.arange(BODIES.n_knots) * step
    rho[:, 0] = 0.25 * step[:, 0]  # the middles of the two half cells
    rho[:, -1] -= 0.25 * step[:, 0]
    source = rho**dims * change
    band = np.zeros((3, n_bodies, BODIES.n_knots))
    band[0, :, 1:] = link
    band[2, :, :-1] = link
    band[1] = source
    band[1, :, :-1] -= link
    band[1, :, 1:] -= link
    last = (BODIES.n_knots - 1) * step
    band[1, :, -1:] -= dims * last**dims * ends[:, 1:]
    # Unit-free rows: bodies and distances differ by many powers of ten.
    scale = 1.0 / np.abs(band).sum(axis=0)
    flat = scale.ravel()
    band = band.reshape(3, -1)
    band[1] *= flat
    band[0, 1:] *= flat[:-1]
    band[2, :-1] *= flat[1:]
    solution = solve_banded((1, 1), band, -source.ravel() * flat, check_finite=False)
    return solution.reshape(n_bodies, BODIES.n_knots)


def _slopes(values, step, dims):
    """Derivatives at the knots: fourth-order differences, even at 0, the decay at the end."""
    padded = np.hstack([values[:, 2:0:-1], values])
    slopes = np.gradient(values, axis=1) / step
    inner = (padded[:, :-4] - 8 * padded[:, 1:-3] + 8 * padded[:, 3:-1] - padded[:, 4:]) / 12
    slopes[:, : inner.shape[1]] = inner / step
    slopes[:, 0] = 0.0
    slopes[:, -1] = -dims * values[:, -1] / ((values.shape[1] - 1) * step[:, 0])
    return slopes
