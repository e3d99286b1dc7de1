"""Which metric is stable: whose geodesics stay with the integral curves of the field."""

import numpy as np

from ._cone import ConeGeometry
from ._settings import SETTINGS
from ._shoot import tube


class Stability:
    """Deviation of geodesics from random voxels, nearly along the field.

    They start beside the middle of a voxel, in the direction of the field there, off by rather more
    than it is in doubt where directions were smoothed: the true one is sought. Else the field is
    what was measured, and little is added.

    peaks (PeakField), mask (nx, ny[, nz]) bool
    """

    def __init__(self, lines, peaks, space, mask):
        n, length = SETTINGS.tube
        rng = np.random.default_rng(0)  # the same places for every metric
        some = rng.permutation(len(lines.voxel))[:n]
        dim = lines.direction.shape[1]
        self.x = (lines.voxel[some] + rng.uniform(-0.3, 0.3, (len(some), dim))) * space.scale
        u = lines.direction[some]
        first = np.take_along_axis(u, (np.abs(u) > 1e-6).argmax(1)[:, None], 1)
        self.u = u * np.sign(first)  # whatever the signs of the fields
        aside = rng.normal(size=self.u.shape)
        aside -= self.u * (aside * self.u).sum(1, keepdims=True)
        self.doubt = max(SETTINGS.taken * lines.doubt, np.deg2rad(SETTINGS.least))
        noisy = lines.is_smooth and np.rad2deg(lines.noise) > SETTINGS.rough
        self.orders = (2,) if noisy else (1, 2)
        share = SETTINGS.off if lines.is_smooth else SETTINGS.trusted
        self.noise = share * lines.doubt * aside
        self.peaks, self.inside = peaks, lambda y: space.in_mask(y, mask)
        self.length, self.step = length * space.scale.min(), 0.5 * space.scale.min()

    def of(self, geometry):
        """Mean deviation in voxels."""
        return float(self._each(geometry, 1).mean())

    def _each(self, geometry, copies):
        """Deviations (copies, n) in voxels, for each of `copies` that the geometry knows apart."""
        x, u, noise = (np.tile(each, (copies, 1)) for each in (self.x, self.u, self.noise))
        found = tube(geometry, self.peaks, x, u, noise, self.length, self.step, self.inside)
        found = found.reshape(copies, -1) / (2 * self.step)
        known = np.isfinite(found[0])
        if not known.any():  # every line leaves the mask at once
            return np.zeros((copies, 1))
        return found[:, known]

    def best_fibers(self, anisotropies):
        """Anisotropy, interpolation and deviation of the most stable metric of fibers."""
        a = np.repeat(anisotropies, len(self.x))[:, None]
        table = []
        for order in self.orders:
            geometry = ConeGeometry(self.peaks.with_order(order), a, self.doubt)
            table.append(self._each(geometry, len(anisotropies)))
            if table[-1].mean(1).min() <= SETTINGS.good_enough:
                break
        means = np.array([each.mean(1) for each in table])
        order = int(np.argmin(means.min(1)))
        last = np.flatnonzero(_as_good(table[order]))[-1]
        return float(anisotropies[last]), self.orders[order], float(means[order, last])


def _as_good(each):
    """Which rows of deviations are not clearly worse than the best: a tie, or within an error."""
    means = each.mean(1)
    more = each - each[means.argmin()]
    error = more.std(1) / np.sqrt(each.shape[1])
    return (means <= SETTINGS.tie * means.min()) | (more.mean(1) <= error)
