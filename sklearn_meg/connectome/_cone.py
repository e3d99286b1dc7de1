"""The metric of the nearest fiber: strongly anisotropic, of the peaks near a direction.

At a point and a direction u it is g = I - (1 - 1/a) v v', with v the interpolated direction of the
peaks nearest to u and a the anisotropy: 1/a along the fiber, 1 across. Where fibers cross, each
direction has the metric of its own fiber, as in a Finsler metric.
"""

import numpy as np

LEAST = 1e-9  # of the energy, that is left to the part along the fiber


class ConeGeometry:
    """Metric, its derivatives and geodesics.

    Parameters
    ----------
    peaks : PeakField
    anisotropy : float or ndarray of shape (n, 1)
        For all geodesics, or for each.
    doubt : float
        Angle (radians) up to which a start is taken along the field.
    slopes : PeakField or None
        The field whose derivatives :meth:`gradient` takes, if another.
    """

    def __init__(self, peaks, anisotropy, doubt=0.0, slopes=None):
        self.peaks, self.anisotropy, self.doubt = peaks, anisotropy, doubt
        self.slopes = slopes

    def tensors(self, x, u=None):
        """Metrics (n, dim, dim) at points, of the fiber nearest to u, or of the strongest."""
        u = self.peaks.strongest(x) if u is None else u
        return self._metric(self.peaks.at(x, u))

    def gradient(self, x, u=None):
        """Metrics, and their derivatives (n, dim, dim, dim) along the first axis."""
        u = self.peaks.strongest(x) if u is None else u
        v, dv = self.peaks.gradient(x, u)
        if self.slopes is not None:
            dv = self.slopes.gradient(x, u)[1]
            dv = dv - (dv @ v[:, :, None]) * v[:, None]
        half = dv[..., :, None] * v[:, None, None]
        return self._metric(v), -(1 - 1 / self.anisotropy) * (half + half.swapaxes(-1, -2))

    def _metric(self, v):
        return np.eye(v.shape[1]) - (1 - 1 / self.anisotropy) * v[:, :, None] * v[:, None]

    # Hamilton's equations of H = (|p|^2 / a + k (v.p)^2) / 2, k = 1 - 1/a, with a g u as momentum
    # p, so that it stays of the order of 1: x' = p / a + k (v.p) v, p' = -k (v.p) dv p.

    def start(self, x, u):
        """State of geodesics: points, directions, momenta, anisotropies."""
        v = self.peaks.at(x, u)
        u = np.where((v * u).sum(1, keepdims=True) > np.cos(self.doubt), v, u)
        a = np.broadcast_to(np.asarray(self.anisotropy, dtype=float), (len(x), 1))
        return self._with_momentum(x, u, a)

    def turned(self, state, u):
        """The state with another direction."""
        return self._with_momentum(state[0], u, state[3])

    def _with_momentum(self, x, u, a):
        v = self.peaks.at(x, u)
        along = (v * u).sum(1, keepdims=True)
        return x, u, a * (u - (1 - 1 / a) * v * along), a

    def step(self, state, h):
        """One step of the classical method of fourth order, back on the surface of energy."""
        x, u, p, a = state
        k1, f1 = self._rates(x, u, p, a)
        k2, f2 = self._rates(x + h / 2 * k1, k1, p + h / 2 * f1, a)
        k3, f3 = self._rates(x + h / 2 * k2, k2, p + h / 2 * f2, a)
        k4, f4 = self._rates(x + h * k3, k3, p + h * f3, a)
        x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        p = p + h / 6 * (f1 + 2 * f2 + 2 * f3 + f4)
        v = self.peaks.at(x, k4)
        along = (v * p).sum(1, keepdims=True)
        across = p - v * along
        # |across|^2 / a + along^2 is 1 for the momentum of a unit vector along the fiber: what
        # rounding does to it would turn geodesics around.
        left = self._energy(state) - (across**2).sum(1, keepdims=True) / a
        right = np.sign(along) * np.sqrt(np.maximum(left, LEAST))
        has_fiber = (v * v).sum(1, keepdims=True) > 0.25
        p = np.where(has_fiber & (left > LEAST), across + v * right, p)
        velocity = p / a + (1 - 1 / a) * v * (v * p).sum(1, keepdims=True)
        return x, velocity / np.linalg.norm(velocity, axis=1, keepdims=True), p, a

    def _energy(self, state):
        x, u, p, a = state
        along = (self.peaks.at(x, u) * p).sum(1, keepdims=True)
        return ((p**2).sum(1, keepdims=True) - along**2) / a + along**2

    def _rates(self, x, u, p, a):
        v, dv = self.peaks.gradient(x, u)
        along = (1 - 1 / a) * (v * p).sum(1, keepdims=True)
        velocity = p / a + along * v
        speed = np.linalg.norm(velocity, axis=1, keepdims=True)
        return velocity / speed, -along * (dv @ p[:, :, None])[..., 0] / speed
