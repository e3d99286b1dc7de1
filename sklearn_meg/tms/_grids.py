"""Grids of field vectors around a neuron: checks, normalization, rotation.

A grid holds the E-field of one neuron in the neuron's own frame, ``X[i, ix, iy, iz, component]``,
soma at the center and somatodendritic axis along z, in V/m per A/us (the field per unit rate of
change of the stimulator's current). The threshold that goes with it is then that rate in A/us.
"""

import numpy as np

from .._checks.assumptions import warn_assumption
from .._checks.mne_objects import unwrap_mne
from .._checks.params import naming
from .._checks.trials import (
    LARGEST_VALUE,
    check_array,
    check_consistent_length,
    ndim_of,
    validate_data,
)
from ._passive import grid_weights

# Median threshold at the soma, V/m, outside of which X and y can hardly be in matching units.
PLAUSIBLE_THRESHOLD = (1.0, 1e5)
# How many times smaller or larger than in fit a field may be before its unit is doubted.
UNIT_FACTOR = 100.0
LARGEST_FIELD = 1e15  # its square still is a float32


def check_grids(estimator, X, *, reset):
    """Check grids of field vectors and return them with five dimensions.

    estimator (BaseEstimator): Gets ``n_features_in_`` and ``grid_size_`` when `reset`, else X is
        compared with them.
    X (n, s, s, s, 3) or (n, 3 * s**3): With odd s.
    reset: True in ``fit``.
    Returns X (n, s, s, s, 3), float32 or float64
    Raises ValueError for another shape (or another than in ``fit``), an even s, NaN or infinity,
        or a grid without field at its center.
    """
    X = unwrap_mne(X)
    with naming("X"):
        shape = np.shape(X)
    if len(shape) not in (0, 1, 2):
        size = _side_of(shape)
        _check_same_side(estimator, size, reset)
        X = np.reshape(X, (len(X), 3 * size**3))
    X = validate_data(estimator, X, reset=reset, dtype=[np.float64, np.float32])
    size = side_of_flat(X.shape[1])
    if reset:
        estimator.grid_size_ = size
    # In one order, as sums round by it.
    X = np.ascontiguousarray(X).reshape(len(X), size, size, size, 3)
    _check_centers(X)
    return X


def side_of_flat(n_features):
    """Samples along the side of a cube of vectors, given how many numbers it has.

    Raises ValueError if there is no such cube, or its side is even.
    """
    size = round((n_features / 3) ** (1 / 3))
    if 3 * size**3 != n_features or n_features == 0:
        raise ValueError(
            "X must have the shape (n, s, s, s, 3), or flat (n, 3 * s**3): for s = 9 that is 2187 "
            f"features. Got {n_features} features, which is no cube of field vectors."
            + (" (EFieldSampler turns places of neurons into fields.)" if n_features < 10 else "")
        )
    return _odd(size)


def center_magnitude(X):
    """Magnitude of the field at the center of each grid, (n,), float64."""
    center = X.shape[1] // 2
    return np.linalg.norm(X[:, center, center, center].astype(np.float64), axis=1)


def rms_magnitude(X):
    """Root mean square magnitude of the field over each grid, (n,), float64."""
    flat = X.reshape(len(X), -1).astype(np.float64)
    return np.sqrt(3 * np.einsum("ij,ij->i", flat, flat) / flat.shape[1])


def normalized(X, magnitude=None):
    """Grids over the magnitude of the field at their center: what is left has no unit.

    X (n, s, s, s, 3)
    magnitude (n,) or None: Divisor; by default the magnitude at the center.
    Returns grids (n, s, s, s, 3), float64
    """
    magnitude = center_magnitude(X) if magnitude is None else magnitude
    return X / magnitude[:, None, None, None, None]


def rotate_grids(X, quarter_turns=1):
    """Field of neurons turned about their somatodendritic axis (z) by quarter turns.

    Positions and vectors are rotated together, so that the result is exact: no interpolation.

    X (n, s, s, s, 3)
    quarter_turns: Counterclockwise, from x to y.
    Returns X (n, s, s, s, 3)

    >>> import numpy as np
    >>> from sklearn_meg.tms._grids import rotate_grids
    >>> X = np.zeros((1, 3, 3, 3, 3))
    >>> X[0, 2, 1, 1] = [1, 0, 0]  # on the x axis, pointing outwards
    >>> rotate_grids(X)[0, 1, 2, 1]  # now on the y axis
    array([-0.,  1.,  0.])
    """
    turned = np.rot90(X, quarter_turns, axes=(1, 2)).copy()
    for _ in range(quarter_turns % 4):
        turned[..., :2] = np.stack([-turned[..., 1], turned[..., 0]], axis=-1)
    return turned


def turn_grids(X, angle):
    """Field of neurons turned about their somatodendritic axis (z) by any angle.

    Quarter turns are exact (:func:`rotate_grids`); between them the grid is interpolated by cubic
    splines, and points beyond its corners take the value at its surface.

    X (n, s, s, s, 3)
    angle: Radians, counterclockwise, from x to y.
    Returns X (n, s, s, s, 3)
    """
    quarters = angle / (np.pi / 2)
    if abs(quarters - round(quarters)) < 1e-9:
        return rotate_grids(X, round(quarters) % 4)
    size = X.shape[1]
    side = np.arange(size) - size // 2
    points = np.stack(np.meshgrid(side, side, side, indexing="ij"), axis=-1).reshape(-1, 3)
    cos, sin = np.cos(angle), np.sin(angle)
    rotation = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    weights = grid_weights(points @ rotation, size, 1.0)  # row vectors: the inverse rotation
    values = weights @ X.reshape(len(X), -1, 3).astype(np.float64)
    return (values @ rotation.T).reshape(X.shape)


def check_thresholds(y, X):
    """Check thresholds that go with grids.

    y (n,) or (n, n_outputs): Positive; NaN where no threshold was found, which then counts for
        nothing.
    X (n, s, s, s, 3)
    Returns y (n, n_outputs)
    and ndim: Number of dimensions that `y` came with.
    Raises ValueError for infinity, zero, negative values, more than two dimensions, another length
        than X, or an output without any threshold.
    """
    if y is None:
        raise ValueError("This estimator requires y to be passed, but the target y is None.")
    if ndim_of(y, "y") > 2:
        raise ValueError(
            f"y must have the shape (n,) or (n, n_outputs). Got {np.shape(y)}. (The thresholds "
            "of a population are y.reshape(len(y), -1).)"
        )
    y = check_array(
        unwrap_mne(y),
        ensure_2d=False,
        dtype=[np.float64, np.float32],
        ensure_all_finite=False,
        input_name="y",
    )
    if np.isinf(y).any():
        raise ValueError(
            f"Input y contains infinity, {np.isinf(y).sum()} times: thresholds that were not found "
            "(activation_threshold gives infinity there) must be NaN, and then count for nothing."
        )
    check_consistent_length(X, y)
    ndim = y.ndim
    y = y.reshape(len(y), -1).astype(np.float64)
    if (y <= 0).any():
        raise ValueError(
            "y must hold positive thresholds (NaN where none was found). Got "
            f"{(y <= 0).sum()} values that are not, the smallest {np.nanmin(y):.4g}."
        )
    if (y > LARGEST_VALUE).any():
        raise ValueError(
            f"y holds values up to {np.nanmax(y):.3g}, beyond {LARGEST_VALUE:g}. Is it in A/us?"
        )
    empty = np.isnan(y).all(axis=0)
    if empty.any():
        raise ValueError(
            f"Each output of y needs a threshold that is not NaN. Got only NaN in output(s) "
            f"{np.flatnonzero(empty).tolist()}."
        )
    return y, ndim


def doubt_units(X, y):
    """Warn if thresholds times fields are far from what neurons need.

    X (n, s, s, s, 3), y (n, n_outputs)
    """
    typical = np.nanmedian(y * center_magnitude(X)[:, np.newaxis])
    low, high = PLAUSIBLE_THRESHOLD
    if not low <= typical <= high:
        warn_assumption(
            "field-units",
            f"The median threshold at the center is {typical:.3g} V/m, but magnetic stimulation "
            "takes tens to hundreds of V/m. Are X (V/m per A/us) and y (A/us) in the right units?",
        )


def doubt_scale(X, fitted_range):
    """Warn if fields are orders of magnitude from those of ``fit``.

    X (n, s, s, s, 3)
    fitted_range (2,): Smallest and largest magnitude at the center in ``fit``.
    """
    typical = np.median(center_magnitude(X))
    low, high = fitted_range
    if not low / UNIT_FACTOR <= typical <= high * UNIT_FACTOR:
        warn_assumption(
            "field-units",
            f"The median field at the center is {typical:.3g}, but in fit it was between "
            f"{low:.3g} and {high:.3g}. Thresholds are "
            "given for the field as it is.",
        )


def _side_of(shape):
    if len(shape) != 5 or shape[4] != 3 or len(set(shape[1:4])) != 1 or shape[1] == 0:
        raise ValueError(
            "X must have the shape (n, s, s, s, 3), or flat (n, 3 * s**3): field vectors on a "
            f"cube. Got {shape}."
        )
    return _odd(shape[1])


def _odd(size):
    if size % 2 == 0:
        raise ValueError(
            "The grids of X must have an odd number of samples a side, so that one is at the "
            f"soma. Got {size}."
        )
    return size


def _check_same_side(estimator, size, reset):
    fitted = getattr(estimator, "grid_size_", size)
    if not reset and fitted != size:
        raise ValueError(
            f"X has grids of {size} samples a side, but {type(estimator).__name__} was fitted "
            f"with {fitted}."
        )


def _check_centers(X):
    magnitude = center_magnitude(X)
    flat = X.reshape(len(X), -1)
    largest = np.maximum(flat.max(axis=1), -flat.min(axis=1))
    if (largest.astype(np.float64) > LARGEST_FIELD).any():
        raise ValueError(
            f"X holds fields up to {largest.max():.3g}. They must be in V/m per A/us: is it in "
            "the right units, and was all of it written?"
        )
    bad = np.flatnonzero(magnitude <= 1e-9 * largest)
    if len(bad):
        raise ValueError(
            f"The field at the center of {len(bad)} grid(s) of X is zero (the first is sample "
            f"{bad[0]}). Thresholds are relative to the field at the soma: is the soma outside "
            "the region where the field is known?"
        )
