"""Pairs of dipoles at once: out of the traps of a search that moves one after another.

Two sources with one course are explained half by a single dipole between them. A second one then
sits where it mends that, and neither can move alone. So pairs whose courses are alike are taken
out together, all pairs of some positions are scanned for what the others leave (as exhaustive
search does for two sources; Mosher et al., 1992), and the best are starts of a new search.
"""

import numpy as np

from ._settings import SETTINGS


def apart(scanner):
    """Positions whose fields are unlike: each is the farthest from those before it.

    Returns positions (n,) int
    """
    power = np.where(scanner.power > 0, scanner.power, 1.0)[:, None]
    top = scanner.gain[: SETTINGS.pair_modes] / np.sqrt(power)
    rows, columns = np.triu_indices(len(top))
    own = np.einsum("apo,bpo->pab", top, top)[:, rows, columns]
    chosen, near = [int(np.argmax(scanner.power))], np.where(scanner.seen, np.inf, -1.0)
    for _ in range(min(SETTINGS.pair_positions, int(scanner.seen.sum())) - 1):
        near = np.minimum(near, np.square(own - own[chosen[-1]]).sum(axis=1))
        chosen.append(int(np.argmax(near)))
    return np.array(chosen)


def pair_power(gain, Y):
    """Power that two dipoles explain together.

    gain (n_modes, n_positions, n_orient), Y (n_modes, n_components)
    Returns power (n_positions, n_positions): Power that the best orientations of two positions
        explain, the second beside the first; 0 below and on the diagonal.
    """
    bases = np.linalg.qr(gain.transpose(1, 0, 2))[0]
    n_positions, _, n_orient = bases.shape
    seen = bases.transpose(0, 2, 1) @ Y
    alone = np.linalg.eigvalsh(seen @ seen.transpose(0, 2, 1))[:, -1]
    power = np.zeros((n_positions, n_positions))
    for first in range(n_positions - 1):
        shared = bases[first].T @ bases[first + 1 :]  # of the second in the first
        rest = seen[first + 1 :] - shared.transpose(0, 2, 1) @ seen[first]
        gram = (1 + 1e-3) * np.eye(n_orient) - shared.transpose(0, 2, 1) @ shared
        rest = np.linalg.inv(np.linalg.cholesky(gram)) @ rest
        further = np.linalg.eigvalsh(rest @ rest.transpose(0, 2, 1))[:, -1]
        power[first, first + 1 :] = alone[first] + further
    return power


def best_pairs(power, n_most):
    """Pairs (a, b) of the largest power of which no two share a position."""
    pairs, taken = [], set()
    for index in np.argsort(-power, axis=None, kind="stable"):
        first, second = (int(each) for each in np.unravel_index(index, power.shape))
        if len(pairs) == n_most or not power[first, second] > 0:
            break
        if not {first, second} & taken:
            pairs.append((first, second))
            taken |= {first, second}
    return pairs


def alike(dipoles, Y):
    """Pairs of dipoles whose courses are alike, the most first."""
    columns = np.concatenate([dipole.columns for dipole in dipoles], axis=1)
    courses = np.linalg.pinv(columns) @ Y
    first = np.cumsum([0, *(len(dipole.orientations) for dipole in dipoles[:-1])])
    courses = courses[first] / np.maximum(np.linalg.norm(courses[first], axis=1), 1e-300)[:, None]
    like = np.triu(np.abs(courses @ courses.T), 1)
    rows, columns = np.nonzero(like > SETTINGS.pair_alike)
    order = np.argsort(-like[rows, columns], kind="stable")[: SETTINGS.pairs_most]
    return [(int(rows[index]), int(columns[index])) for index in order]


def main_components(Y):
    """The strongest components, turned into one after another."""
    left, size, _ = np.linalg.svd(Y, full_matrices=False)
    return (left * size)[:, : SETTINGS.pair_components]
