"""Evidence for a source where the lead field is not exact.

A source k with the course s_k is not explained by its modeled field g_k alone, but by g_k + e_k: it
lies between grid points, the head is not the model, the sensors are not where they were said to
be. What is left, ``e_k s_k'``, has *the course of that source*. With e_k drawn from N(0, C_k), the
covariance of the rest over channels, in the component of time c, is ``I + sum_k s_k(c)^2 C_k``: a
further source must explain more than noise does *in those units*. What has a course of its own
is told from noise as before; a satellite, with the course of a strong source and a field like its
error, is not (errors in variables; for beamformers: Vorobyov et al., 2003).
"""

import numpy as np
from scipy.linalg.lapack import dpotrf, dtrtri

from ._settings import SETTINGS


class LeadFieldError:
    """Distances by which the field of each dipole may differ from the modeled one.

    model_error: Standard deviation of the error of the head model, relative to the field.
    cell: Part of the step to the next grid points by which a source may be off.
    """

    def __init__(self, scanner, model_error, cell):
        self.scanner, self.model_error, self.cell = scanner, model_error, cell
        whole = scanner.flat @ scanner.flat.T
        self._anywhere = whole / np.trace(whole)  # what errors of the head model look like
        self._shapes = {}

    def covariance(self, dipole):
        """Covariances (n_orientations, n_modes, n_modes) of the field of each orientation."""
        place = dipole.position
        if place not in self._shapes:
            self._shapes[place] = self._shape(place)
        near, shape = self._shapes[place]
        steps = self.scanner.gain[:, near] - self.scanner.gain[:, place][:, None]
        out = []
        for way in dipole.orientations:
            step = self.cell * (steps @ way) / np.sqrt(max(len(near), 1))
            power = np.square(dipole.gain @ way).sum()
            out.append(step @ step.T + self.model_error**2 * power * shape)
        return np.array(out)

    def _shape(self, position):
        """Neighbors of a position, and what errors of the head model look like there.

        Neighbors are the positions whose fields the position can make best: no coordinates are
        needed. Measured errors (a sphere for a skull, sensors moved, another skull) look like the
        fields around, and to a lesser part like those of the whole head.
        """
        scanner = self.scanner
        share = scanner.shared([position]) / np.where(scanner.seen, scanner.power, np.inf)
        share[position] = -1.0
        order = np.argsort(-share, kind="stable")
        around = scanner.gain[:, order[: min(SETTINGS.n_around, len(order))]].reshape(
            len(scanner.gain), -1
        )
        own, _ = np.linalg.qr(scanner.gain[:, position])
        around = around - own @ (own.T @ around)
        size = np.square(around).sum()
        local = around @ around.T / size if size > 0 else self._anywhere
        near = order[: SETTINGS.n_neighbors]
        near = near[share[near] > SETTINGS.alike_field]  # none where fields do not change smoothly
        return near, SETTINGS.local * local + (1 - SETTINGS.local) * self._anywhere

    def whitener(self, Y, dipoles):
        """Whitener of the errors of dipoles, on average over the components of Y."""
        return whitener_of(np.eye(len(Y)) + self.expected(Y, dipoles))

    def expected(self, Y, dipoles):
        """Covariance (n_modes, n_modes) of the errors of dipoles, mean over components of Y."""
        columns = np.concatenate([dipole.columns for dipole in dipoles], axis=1)
        power = np.square(np.linalg.pinv(columns) @ Y).mean(axis=1)
        covariance = np.concatenate([self.covariance(dipole) for dipole in dipoles])
        return np.tensordot(power, covariance, axes=1)

    def misfit(self, Y, dipoles):
        """Twice the negative log-likelihood of the rest, with errors, but for a constant."""
        basis = np.linalg.qr(np.concatenate([dipole.columns for dipole in dipoles], axis=1))[0]
        total = 0.0
        for whitener, rest in self.parts(Y, dipoles, basis):
            size = np.linalg.slogdet(whitener @ whitener.T)[1]
            total += np.square(rest).sum() - rest.shape[1] * size
        return float(total)

    def parts(self, Y, dipoles, basis):
        """Rest of the fields in groups of components, each with the whitener of its errors.

        Y (n_modes, n_components)
        dipoles (list of Dipole): Dipoles whose errors count.
        basis (n_modes, n) or None: Orthonormal fields that are taken out.
        Yields whitener (n_kept, n_modes)
        and rest (n_kept, n): Whitened.
        """
        n_modes = len(Y)
        outside = np.eye(n_modes)
        if basis is not None:
            outside = np.linalg.qr(basis, mode="complete")[0][:, basis.shape[1] :].T
        rest = outside @ Y
        if not dipoles:
            yield outside, rest
            return
        columns = np.concatenate([dipole.columns for dipole in dipoles], axis=1)
        courses = np.linalg.pinv(columns) @ Y
        # Components in which courses are one after another, and all others, that hold none.
        size, turn = np.linalg.svd(courses, full_matrices=True)[1:]
        rest, power = rest @ turn.T, np.square(courses @ turn[: len(size)].T)
        covariance = np.concatenate([self.covariance(dipole) for dipole in dipoles])
        covariance = outside @ covariance @ outside.T
        for index in range(len(size)):
            noise = np.tensordot(power[:, index], covariance, axes=1)
            whitener = whitener_of(np.eye(len(outside)) + noise)
            yield whitener @ outside, whitener @ rest[:, [index]]
        yield outside, rest[:, len(size) :]


def whitener_of(covariance):
    """Matrix that makes a covariance the identity: the inverse of its Cholesky factor."""
    factor = dpotrf(covariance, lower=1, clean=1)[0]
    return dtrtri(factor, lower=1)[0]


def by_axis(gain):
    """Lead field (n_modes, n_orient, n_positions), as scans read it: half the digits are faster."""
    return np.ascontiguousarray(gain.transpose(0, 2, 1), dtype=np.float32)


def seen_by(whitener, axes):
    """Lead field of :func:`by_axis` in other units of noise."""
    n_modes, n_orient, n_positions = axes.shape
    seen = whitener.astype(np.float32) @ axes.reshape(n_modes, -1)
    return seen.reshape(len(whitener), n_orient, n_positions)


def products(axes):
    """Products of the orientations of each position, (n_positions, n_orient, n_orient)."""
    n_orient, n_positions = axes.shape[1:]
    out = np.empty((n_positions, n_orient, n_orient))
    for one in range(n_orient):
        for other in range(one, n_orient):
            product = np.einsum("mp,mp->p", axes[:, one], axes[:, other])
            out[:, one, other] = out[:, other, one] = product
    return out


def matched(axes, rest):
    """Part of fields that each orientation sees, (n_positions, n_orient, n_components)."""
    n_modes, n_orient, n_positions = axes.shape
    match = axes.reshape(n_modes, -1).T @ rest.astype(np.float32)
    return match.reshape(n_orient, n_positions, -1).transpose(1, 0, 2).astype(float)


def explained_power(axes, parts, firm=0.0):
    """Power that a dipole at each position explains, in units of noise and errors.

    axes (n_modes, n_orient, n_positions): Lead field as of :func:`by_axis`.
    parts (iterable of (whitener, rest))
    firm (float or ndarray of shape (n_positions,)): Added to the field power of each orientation:
        how much small currents are expected.
    Returns power (n_positions, n_orient): Power of the orientation that explains most, and of
        further ones beside it.
    """
    n_orient, n_positions = axes.shape[1:]
    whole = np.square(axes).sum(axis=(0, 1), dtype=float)
    total = np.zeros((n_positions, n_orient, n_orient))
    for whitener, rest in parts:
        seen = seen_by(whitener, axes)
        gram = products(seen)
        trace = np.trace(gram, axis1=1, axis2=2)
        ridge = SETTINGS.steady * np.maximum(trace, 1e-6 * whole) / n_orient
        ridge = np.where(whole > 0, ridge + firm, 1.0)[:, None, None] * np.eye(n_orient)
        match = np.linalg.inv(np.linalg.cholesky(gram + ridge)) @ matched(seen, rest)
        total += match @ match.transpose(0, 2, 1)
    return np.linalg.eigvalsh(total)[:, ::-1]
