"""The metric of the nearest fiber: strongly anisotropic, of the peaks near a direction.

At a point and a direction u it is g = I - (1 - 1/a) v v', with v the interpolated direction of the
peaks nearest to u and a the anisotropy: 1/a along the fiber, 1 across. Where fibers cross, each
direction has the metric of its own fiber, as in a Finsler metric.
"""

import numpy as np

from ._settings import SETTINGS

LEAST = 1e-9  # of the energy, that is left to the part along the fiber


class ConeGeometry:
    """Metric, its derivatives and geodesics.

    peaks (PeakField)
    anisotropy (float or ndarray of shape (n, 1)): For all geodesics, or for each.
    doubt: Angle (radians) up to which a start is taken along the field.
    slopes (PeakField or None): The field whose derivatives :meth:`gradient` takes, if another.
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
    # p, so that it stays of the order of 1: x' = p / a + k (v.p) v, p' = -k (v.p) dv p. H is a
    # constant of a geodesic: each stage is put back on it, with v.p > 0, since steps across a
    # border of bundles would turn geodesics around otherwise.

    def start(self, x, u):
        """State of geodesics: points, directions, momenta, anisotropies, energies."""
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
        across = a * (u - v * along)
        return x, u, across + v * along, a, (across**2).sum(1, keepdims=True) / a + along**2

    def step(self, state, h):
        """A step, by the midpoint rule in pieces that are short against a voxel."""
        n = pieces(self.peaks, h)
        for _ in range(n):
            state = self._short_step(*state, h / n)
        return state

    def _short_step(self, x, u, p, a, energy, h):
        velocity, force = self._rates(x, u, p, a, energy)
        u, force = self._rates(x + h / 2 * velocity, velocity, p + h / 2 * force, a, energy)
        x, p = x + h * u, p + h * force
        v = self.peaks.at(x, u)
        p, along = _with_energy(v, p, a, energy)
        return x, _unit(p / a + (1 - 1 / a) * along * v), p, a, energy

    def _rates(self, x, u, p, a, energy):
        v, dv = self.peaks.gradient(x, u)
        p, along = _with_energy(v, p, a, energy)
        along = (1 - 1 / a) * along
        velocity = p / a + along * v
        speed = np.maximum(np.linalg.norm(velocity, axis=1, keepdims=True), 1e-300)
        return velocity / speed, -along * (dv @ p[:, :, None])[..., 0] / speed


def _with_energy(v, p, a, energy):
    """Momenta of the energy, forward along v, and their parts along it."""
    along = (v * p).sum(1, keepdims=True)
    across = p - v * along
    left = energy - (across**2).sum(1, keepdims=True) / a
    on_fiber = ((v * v).sum(1, keepdims=True) > 0.25) & (left > LEAST)
    along = np.where(on_fiber, np.sqrt(np.maximum(left, LEAST)), along)
    return np.where(on_fiber, across + v * along, p), along


def pieces(peaks, h):
    """Number of pieces of a step of length h that are short against a voxel."""
    return max(1, int(np.ceil(h / (SETTINGS.finest * peaks.scale.min()) - 1e-6)))


def _unit(v):
    return v / np.maximum(np.linalg.norm(v, axis=1, keepdims=True), 1e-300)
