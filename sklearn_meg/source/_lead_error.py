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

from ._settings import SETTINGS


class LeadFieldError:
    """How far the field of each dipole may be from the modeled one.

    Parameters
    ----------
    scanner : Scanner
    model_error : float
        Standard deviation of the error of the head model, relative to the field.
    cell : float
        Part of the step to the next grid points by which a source may be off.
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
        columns = np.concatenate([dipole.columns for dipole in dipoles], axis=1)
        power = np.square(np.linalg.pinv(columns) @ Y).mean(axis=1)
        covariance = np.concatenate([self.covariance(dipole) for dipole in dipoles])
        noise = np.eye(len(Y)) + np.tensordot(power, covariance, axes=1)
        values, vectors = np.linalg.eigh(noise)
        return (vectors / np.sqrt(values)) @ vectors.T

    def misfit(self, Y, dipoles):
        """Twice the negative log-likelihood of the rest, with errors, but for a constant."""
        basis = np.linalg.qr(np.concatenate([dipole.columns for dipole in dipoles], axis=1))[0]
        total = 0.0
        for whitener, rest in self.parts(Y, dipoles, basis):
            size = np.linalg.svd(whitener, compute_uv=False)
            total += np.square(rest).sum() - 2 * rest.shape[1] * np.log(size).sum()
        return float(total)

    def parts(self, Y, dipoles, basis):
        """Rest of the fields in groups of components, each with the whitener of its errors.

        Parameters
        ----------
        Y : ndarray of shape (n_modes, n_components)
        dipoles : list of Dipole
            Whose errors count.
        basis : ndarray of shape (n_modes, n) or None
            Orthonormal fields that are taken out.

        Yields
        ------
        whitener : ndarray of shape (n_kept, n_modes)
        rest : ndarray of shape (n_kept, n)
            Whitened.
        """
        n_modes = len(Y)
        outside = np.eye(n_modes)
        if basis is not None:
            outside = np.linalg.svd(basis, full_matrices=True)[0][:, basis.shape[1] :].T
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
            noise = np.eye(len(outside)) + np.tensordot(power[:, index], covariance, axes=1)
            values, vectors = np.linalg.eigh(noise)
            whitener = (vectors / np.sqrt(values)).T
            yield whitener @ outside, whitener @ rest[:, [index]]
        yield outside, rest[:, len(size) :]


def explained_power(gain, parts, firm=0.0):
    """Power that a dipole at each position explains, in units of noise and errors.

    Parameters
    ----------
    gain : ndarray of shape (n_modes, n_positions, n_orient)
    parts : iterable of (whitener, rest)
    firm : float or ndarray of shape (n_positions,)
        Added to the field power of each orientation: how much small currents are expected.

    Returns
    -------
    power : ndarray of shape (n_positions, n_orient)
        Power of the orientation that explains most, and of further ones beside it.
    """
    n_modes, n_positions, n_orient = gain.shape
    flat = gain.reshape(n_modes, -1)
    whole = np.square(gain).sum(axis=(0, 2))
    total = np.zeros((n_positions, n_orient, n_orient))
    for whitener, rest in parts:
        seen = (whitener @ flat).reshape(len(whitener), n_positions, n_orient)
        gram = _products(seen)
        trace = np.trace(gram, axis1=1, axis2=2)
        ridge = SETTINGS.steady * np.maximum(trace, 1e-6 * whole) / n_orient
        match = (seen.reshape(len(whitener), -1).T @ rest).reshape(n_positions, n_orient, -1)
        ridge = np.where(whole > 0, ridge + firm, 1.0)[:, None, None] * np.eye(n_orient)
        match = np.linalg.inv(np.linalg.cholesky(gram + ridge)) @ match
        total += match @ match.transpose(0, 2, 1)
    return np.linalg.eigvalsh(total)[:, ::-1]


def _products(gain):
    """Products of the orientations of each position, (n_positions, n_orient, n_orient)."""
    by_position = gain.transpose(1, 2, 0)
    return by_position @ by_position.transpose(0, 2, 1)
