"""Whether directions go on from voxel to voxel, along these axes or others; fields that cross."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np

from .._checks.assumptions import warn_assumption
from ._peaks import PeakField

CLEARLY = 0.02  # of a mean cosine: by so much another convention must fit better to be named
# Standard errors, over blocks of voxels, beyond which it must fit better. One reversed axis of
# phantoms, arcs and an annulus fits 2.2 to 7.7 errors better than the right one, axes in another
# order 8 to 19; in 30 brain-like fields (seeds 0 to 29) a wrong one of three fits at most 2.0
# better by chance, one of twenty at most 4.3. Without these 16 of the 30 were false alarms.
REVERSED, REORDERED = 2.0, 4.0
# Axes of the world that are turned by less are told by directions between the voxels: the right
# turn must gain TURNED over none, and TURNED_SURE errors over the opposite one, since circles go on
# better across than along. Of 252 turns by 12 to 30 degrees of 28 fields that are right (brain-like
# ones, arcs, annuli, phantoms, a real one) none does; of 84 that are turned, 9 are seen at 12
# degrees, 57 at 20 and 70 at 30.
LITTLE = 0.7  # smallest cosine between an axis of the grid and of the world
TURNED, TURNED_SURE = 0.004, 3.0
AHEAD = 2.5  # voxels
BLOCKS = 4  # along each axis
MOST = 4000  # vectors that are looked at
AXES = "xyz"
WORLD = "the axes of the world instead of the grid, or the other way round"
ALIKE = 20.0  # degrees: peaks of one voxel are farther apart, or they would be one
FEWEST = 100  # voxels with several fields that such a warning needs


def warn_if_turned(X, scale, rotation=None):
    """Warn if directions go on better from voxel to voxel with axes reversed or in another order.

    X (n_fields, nx, ny[, nz], dim): Vectors along the grid, NaN where absent.
    scale (sequence of float): Size of a voxel.
    rotation (dim, dim) or None: Another turn to try: that between the axes of the grid and of the
        world.
    """
    tried = []
    own, voxels = _cosines(X, scale)
    for other, sure, turn in _turns(X.shape[-1], rotation):
        gain = _cosines(X, scale, turn)[0] - own
        chance = max(1 / np.sqrt(2 * len(own)), sure * _error(gain, voxels))
        tried.append((gain.mean() > CLEARLY + chance, own.mean(), gain.mean(), other))
    if rotation is not None and LITTLE < np.diag(rotation).min() < 1 - 1e-3:
        own, one, other = (_cosines_ahead(X, scale, turn) for turn in (None, rotation, rotation.T))
        gain = max(one.mean(), other.mean()) - own.mean()
        sure = abs((one - other).mean()) > TURNED_SURE * _error(one - other, voxels)
        tried.append((sure and gain > TURNED, own.mean(), gain, WORLD))
    clearly, own, gain, name = max(tried, key=lambda each: each[0] * each[2])
    if clearly:
        warn_assumption(
            "axis-order",
            f"Directions go on better from voxel to voxel with {name} (mean cosine "
            f"{own + gain:.3f} instead of {own:.3f}).",
        )


def _error(values, voxels):
    """Standard error of the mean of values (n,) if those of a block of voxels (n, dim) are one."""
    low = voxels.min(0)
    block = (voxels - low) * BLOCKS // (voxels.max(0) + 1 - low)
    block = np.ravel_multi_index(block.T, (BLOCKS,) * voxels.shape[1])
    return np.sqrt((np.bincount(block, values - values.mean()) ** 2).sum()) / len(values)


def warn_if_alike(X):
    """Warn if two fields are nearly the same in most voxels that have several.

    X (n_fields, nx, ny[, nz], dim): NaN where absent.
    """
    v = np.moveaxis(X, 0, -2)[np.isfinite(X[..., 0]).sum(0) > 1]
    if len(v) < FEWEST:
        return
    v = np.nan_to_num(v[:: -(-len(v) // MOST)])
    row, column = np.triu_indices(len(X), 1)
    nearest = np.abs(v @ v.swapaxes(1, 2))[:, row, column].max(1)
    share = (nearest > np.cos(np.deg2rad(ALIKE))).mean()
    if share > 0.5:
        warn_assumption(
            "fields-alike",
            f"In {share:.0%} of the voxels with several fields two of them are less than "
            f"{ALIKE:.0f} degrees apart. Fields are fibers that cross in one brain, not subjects.",
        )


def _turns(dim, rotation):
    """Names of what may have been done to the axes, errors to be sure of it, and matrices."""
    for order in permutations(range(dim)):
        for signs in product((1, -1), repeat=dim - 1):
            turn = np.eye(dim)[list(order)] * np.array([1, *signs])
            if not np.allclose(turn, np.eye(dim)):
                sure = REVERSED if list(order) == sorted(order) else REORDERED
                yield _name(order, (1, *signs)), sure, turn
    if rotation is not None and not np.allclose(np.abs(rotation), np.eye(dim), atol=1e-3):
        yield WORLD, REVERSED, rotation
        yield WORLD, REVERSED, rotation.T


def _name(order, signs):
    minus = [AXES[k] for k, sign in enumerate(signs) if sign < 0]
    if len(minus) == 2 and len(signs) == 3:  # a vector and its negative are the same
        minus = [AXES[k] for k, sign in enumerate(signs) if sign > 0]
    what = f"{' and '.join(minus)} reversed" if minus else ""
    if list(order) != sorted(order):
        axes = ", ".join(AXES[k] for k in np.argsort(order))
        what = f"axes in the order {axes}{' and ' if what else ''}{what}"
    return what


def continuity(X, scale, turn=None):
    """Mean cosine between a direction and the nearest of the voxel that it points to.

    X (n_fields, nx, ny[, nz], dim), scale (sequence of float)
    turn (dim, dim) or None: Vectors are multiplied by it.
    Returns continuity: 0 where no voxel has a neighbor.
    """
    cosines = _cosines(X, scale, turn)[0]
    return float(cosines.sum() / max(len(cosines), 1))


def _cosines(X, scale, turn=None):
    """Cosines (n,) of vectors and those that they point to, ahead and behind; voxels (n, dim)."""
    v, voxels = _some(X)
    turn = np.eye(X.shape[-1]) if turn is None else turn
    step = v @ turn / np.asarray(scale)
    step = np.round(1.5 * step / np.abs(step).max(1, keepdims=True)).astype(int)
    total = np.zeros(len(v))
    for other in (voxels + step, voxels - step):
        good = ((other >= 0) & (other < X.shape[1:-1])).all(1)
        w = X[(slice(None), *other[good].T)]  # a turn of both leaves their angle as it is
        total[good] += np.abs((v[good] * np.nan_to_num(w)).sum(-1)).max(0)
    return total / 2, voxels


def _cosines_ahead(X, scale, turn=None):
    """The same cosines (n,), with directions between the voxels some way ahead and behind."""
    v, voxels = _some(X)
    peaks = PeakField(X, scale)
    step = AHEAD * np.min(scale) * (v if turn is None else v @ turn)
    ahead = [peaks.at(voxels * scale + each, v) for each in (step, -step)]
    return np.mean([np.abs((w * v).sum(1)) for w in ahead], axis=0)


def _some(X):
    """Vectors (n, dim) that are looked at, and their voxels (n, dim)."""
    field, *voxels = np.nonzero(np.isfinite(X[..., 0]))
    some = slice(None, None, max(1, -(-len(field) // MOST)))
    voxels = np.stack(voxels, axis=1)[some]
    return X[(field[some], *voxels.T)], voxels
