"""Where sources are: the positions that explain fields best, by alternating projections.

Whitened fields ``Y (n_channels, n_components)`` of unit noise are explained by dipoles at a few
positions, each with free amplitudes in every component. The positions that leave least are the
maximum-likelihood estimate; they are searched one after another, the others held (Ziskind and Wax,
1988; for MEG: Adler et al., 2019).
"""

import numpy as np

SILENT = 1e-3  # share of a position's mean field power below which an orientation is not seen
PRIOR = 1.0  # noise a component over the power explained: how firmly currents are expected small
ALIKE, SAME = 0.7, 0.9  # share of a position's field that others can make: alike, the same
NEAR_SHARE, FAR_SHARE = 0.4, 0.06  # of the strongest source, that further ones must explain
WEAK = 1e-3  # singular value of the lead field, of the largest, that is left out


class Scanner:
    """A lead field, made ready for many scans.

    Parameters
    ----------
    gain : ndarray of shape (n_channels, n_positions * n_orient)
        Whitened.
    n_orient : int

    Attributes
    ----------
    modes : ndarray of shape (n_channels, n_modes)
        Orthonormal: all that sources can do to the channels.
    """

    def __init__(self, gain, n_orient):
        left, values, _ = np.linalg.svd(gain @ gain.T)
        self.modes = left[:, np.sqrt(values) > WEAK * np.sqrt(values[0])]
        self.flat = np.ascontiguousarray(self.modes.T @ gain)
        self.gain = self.flat.reshape(len(self.flat), -1, n_orient)
        self.n_positions, self.n_orient = self.gain.shape[1:]
        self.gram = np.einsum("mpo,mpq->poq", self.gain, self.gain, optimize=True)
        self.power = np.trace(self.gram, axis1=1, axis2=2)
        self.seen = self.power > 1e-12 * self.power.max()
        self._set_ridge(np.where(self.seen, SILENT * self.power / n_orient, 1.0))

    def _set_ridge(self, ridge):
        self.ridge = ridge[:, None, None] * np.eye(self.n_orient)

    def expect(self, Y, depth):
        """Expect currents of the size that explains Y: large ones that cancel are unlikely.

        A Gaussian prior on the amplitudes, of one variance but for depth weighting, such that
        the position that explains most is at home in it.

        Parameters
        ----------
        Y : ndarray of shape (n_modes, n_components)
        depth : float or None
            1: a deep source makes as strong fields as one near the sensors; 0: as strong currents.
        """
        depth = 0.0 if depth is None else depth
        size = self.power**depth * self.power.max() ** (1 - depth) / self.n_orient
        shrink = PRIOR * Y.shape[1] / max(float(self.explained(Y)[0].max()), 1e-300)
        ridge = SILENT * self.power / self.n_orient + min(shrink, 1.0) * size
        self._set_ridge(np.where(self.seen, ridge, 1.0))

    def columns(self, positions):
        """Lead field of some positions, (n_modes, len(positions) * n_orient)."""
        return self.gain[:, list(positions)].reshape(len(self.gain), -1)

    def explained(self, Y, others=()):
        """Power that each position explains of what the others leave.

        Parameters
        ----------
        Y : ndarray of shape (n_modes, n_components)
            In the space of the modes.
        others : list of int

        Returns
        -------
        power : ndarray of shape (n_positions,)
        by_others : float
            Power that the others explain.
        """
        gram, rest, by_others = self.gram, Y, 0.0
        if len(others):
            basis, _ = np.linalg.qr(self.columns(others))
            within = basis.T @ Y
            by_others = float(np.square(within).sum())
            rest = Y - basis @ within
            shared = (basis.T @ self.flat).reshape(-1, *self.gain.shape[1:])
            gram = gram - np.einsum("kpo,kpq->poq", shared, shared, optimize=True)
        match = (self.flat.T @ rest).reshape(self.n_positions, self.n_orient, -1)
        solved = np.linalg.solve(gram + self.ridge, match)
        power = np.einsum("poc,poc->p", match, solved, optimize=True)
        power[list(others)] = 0.0
        return np.where(self.seen, power, 0.0), by_others

    def refine(self, Y, positions, max_rounds=10):
        """Move one position after another to where it explains most, until none moves."""
        positions = list(positions)
        for _ in range(max_rounds):
            before = list(positions)
            for index in range(len(positions)):
                others = positions[:index] + positions[index + 1 :]
                positions[index] = int(np.argmax(self.explained(Y, others)[0]))
            if positions == before:
                break
        return positions

    def search(self, Y, least, max_sources):
        """Find the positions of sources, as many as there is evidence for.

        A source must explain what noise alone does not reach, and a share of what the best
        position explains alone: true sources lie between grid points and lead fields are not
        perfect, which leaves some of it, most of all in fields like those already explained.

        Parameters
        ----------
        Y : ndarray of shape (n_modes, n_components)
        least : float
            Power that a source must explain beside the others.
        max_sources : int

        Returns
        -------
        positions : list of int
        """
        power, positions = self.explained(Y)[0], []
        top = float(power.max())
        needed = self.needed(positions, least, top)
        while (power >= needed).any() and len(positions) < max_sources:
            best = int(np.argmax(np.where(power >= needed, power, 0.0)))
            positions = self.refine(Y, [*positions, best])
            power = self.explained(Y, positions)[0]
            needed = self.needed(positions, least, top)
        return self._prune(Y, positions, least, top)

    def beside(self, Y, positions, least, top):
        """Power that each of the positions explains beside the others, over what it must."""
        ratios = []
        for index, position in enumerate(positions):
            others = positions[:index] + positions[index + 1 :]
            needed = self.needed(others, least, top)[position]
            ratios.append(self.explained(Y, others)[0][position] / needed)
        return np.array(ratios)

    def neighbourhood(self, positions):
        """Whether each position is one of some, or makes nearly the same fields as one."""
        found = np.zeros(self.n_positions, dtype=bool)
        for position in positions:
            found |= self._shared([position]) > SAME * self.power
            found[position] = True
        return found

    def _shared(self, others):
        """Field power of each position that others can make."""
        basis, _ = np.linalg.qr(self.columns(others))
        shared = np.square(basis.T @ self.flat).sum(axis=0)
        return shared.reshape(-1, self.n_orient).sum(axis=1)

    def needed(self, others, least, top):
        """Power that each position must explain beside others, given the best one's alone."""
        if not len(others):
            return np.full(self.n_positions, least)
        alike = self._shared(others) > ALIKE * self.power
        return np.maximum(least, top * np.where(alike, NEAR_SHARE, FAR_SHARE))

    def _prune(self, Y, positions, least, top):
        """Leave out, one after another, what explains too little beside the others."""
        while len(positions) > 1:
            ratio = self.beside(Y, positions, least, top)
            if ratio.min() >= 1:
                break
            del positions[int(np.argmin(ratio))]
            positions = self.refine(Y, positions)
        return positions


def posterior(columns, Y, n_orient, n_rounds=50):
    """Amplitudes of dipoles under a Gaussian prior that is learnt from the same fields.

    Least squares would make currents that the channels hardly see (radial ones, in MEG) as large
    as the noise wants. The prior covariance of each position over its orientations is learnt by
    expectation maximisation (Wipf and Nagarajan, 2009): it keeps those small, and lets a source
    that does not turn have one orientation.

    Parameters
    ----------
    columns : ndarray of shape (n_channels, n_sources * n_orient)
    Y : ndarray of shape (n_channels, n_components)
        Unit noise.
    n_orient : int
    n_rounds : int

    Returns
    -------
    mean : ndarray of shape (n_sources * n_orient, n_components)
    factor : ndarray of shape (n_sources * n_orient, n_sources * n_orient)
        ``factor @ (amplitudes - mean)`` has unit covariance.
    """
    n = columns.shape[1]
    blocks = [slice(start, start + n_orient) for start in range(0, n, n_orient)]
    gram, match = columns.T @ columns, columns.T @ Y
    prior = np.zeros((n, n))
    for block in blocks:
        seen = np.trace(gram[block, block])
        prior[block, block] = np.eye(n_orient) * max(np.square(Y).sum() / Y.shape[1], 1e-12) / seen
    for _ in range(n_rounds):
        # Of (gram + 1 / prior): stable also where the prior has no current left.
        covariance = np.linalg.solve(np.eye(n) + prior @ gram, prior)
        mean = covariance @ match
        for block in blocks:
            second = mean[block] @ mean[block].T / Y.shape[1] + covariance[block, block]
            prior[block, block] = (second + second.T) / 2
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    values = np.maximum(values, 1e-10 * values[-1])
    return mean, (vectors / np.sqrt(values)).T
