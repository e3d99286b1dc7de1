"""Whether directions go on from voxel to voxel, along these axes or others; fields that cross."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np

from .._checks.assumptions import warn_assumption

CLEARLY = 0.02  # of a mean cosine: by so much another convention must fit better to be named
# Standard errors, over blocks of voxels, beyond which it must fit better. One reversed axis of
# phantoms, arcs and an annulus fits 2.2 to 7.7 errors better than the right one, axes in another
# order 8 to 19; in 30 brain-like fields (seeds 0 to 29) a wrong one of three fits at most 2.0
# better by chance, one of twenty at most 4.3. Without these 16 of the 30 were false alarms.
REVERSED, REORDERED = 2.0, 4.0
BLOCKS = 4  # along each axis
MOST = 4000  # vectors that are looked at
AXES = "xyz"
ALIKE = 20.0  # degrees: peaks of one voxel are farther apart, or they would be one
FEWEST = 100  # voxels with several fields that such a warning needs


def warn_if_turned(X, scale, rotation=None):
    """Warn if directions go on better from voxel to voxel with axes reversed or in another order.

    X (n_fields, nx, ny[, nz], dim): Vectors along the grid, NaN where absent.
    scale (sequence of float): Size of a voxel.
    rotation (dim, dim) or None: Another turn to try: that between the axes of the grid and of the
        world.
    """
    own, voxels = _cosines(X, scale)
    best, name = own.mean(), None
    for other, sure, turn in _turns(X.shape[-1], rotation):
        gain = _cosines(X, scale, turn)[0] - own
        chance = max(1 / np.sqrt(2 * len(own)), sure * _error(gain, voxels))
        if gain.mean() > CLEARLY + chance and own.mean() + gain.mean() > best:
            best, name = own.mean() + gain.mean(), other
    if name is not None:
        warn_assumption(
            "axis-order",
            f"Directions go on better from voxel to voxel with {name} (mean cosine {best:.2f} "
            f"instead of {own.mean():.2f}).",
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
        for turn in (rotation, rotation.T):
            what = "the axes of the world instead of the grid, or the other way round"
            yield what, REVERSED, turn


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
    field, *voxels = np.nonzero(np.isfinite(X[..., 0]))
    some = slice(None, None, max(1, -(-len(field) // MOST)))
    field, voxels = field[some], np.stack(voxels, axis=1)[some]
    v = X[(field, *voxels.T)]
    turn = np.eye(X.shape[-1]) if turn is None else turn
    step = v @ turn / np.asarray(scale)
    step = np.round(1.5 * step / np.abs(step).max(1, keepdims=True)).astype(int)
    total = np.zeros(len(v))
    for other in (voxels + step, voxels - step):
        good = ((other >= 0) & (other < X.shape[1:-1])).all(1)
        w = X[(slice(None), *other[good].T)]  # a turn of both leaves their angle as it is
        total[good] += np.abs((v[good] * np.nan_to_num(w)).sum(-1)).max(0)
    return total / 2, voxels
