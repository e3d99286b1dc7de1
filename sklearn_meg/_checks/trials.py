"""Checks of arrays and MNE objects: the one place that touches scikit-learn's validation.

Everything an estimator is given passes through here before any computation, so that every
estimator says the same thing about the same mistake.
"""

from __future__ import annotations

import mmap
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from sklearn.utils import gen_batches, validation
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_consistent_length

from .containers import as_numpy
from .mne_objects import check_rate, unwrap_mne
from .params import naming

if TYPE_CHECKING:
    from .._typing import ArrayLike, BaseEstimator, MneObject

__all__ = [
    "as_mask",
    "check_array",
    "check_consistent_length",
    "check_kind",
    "check_targets",
    "check_trials",
    "check_weights",
    "ndim_of",
    "pieces",
    "release_pages",
    "type_of_target",
    "validate_data",
]

# Trials are checked and converted in pieces of about this many bytes, so that a memory-mapped
# recording is never read into memory as a whole.
CHUNK_BYTES = 16 * 2**20
LARGEST_VALUE = 1e100


def check_array(array, *, input_name, **options):
    """:func:`sklearn.utils.check_array`, which names the array in every error."""
    with naming(input_name):
        array = as_numpy(array)
        check_kind(array)
        return validation.check_array(array, input_name=input_name, **options)


def validate_data(estimator, X, **options):
    """:func:`sklearn.utils.validation.validate_data`, which names X in every error."""
    with naming("X"), own_remedy_for_nan(hasattr(estimator, "mask_row")):
        X = as_numpy(X)
        check_kind(X)
        return validation.validate_data(estimator, X, **options)


@contextmanager
def own_remedy_for_nan(masks):
    """Of NaN scikit-learn says to take another estimator; say what to do with the trials.

    masks: Whether the estimator knows a mask row.
    """
    try:
        yield
    except ValueError as error:
        said = str(error).partition("\n")[0]
        if not re.fullmatch(r"Input \w+ contains NaN\.", said):
            raise
        masked = ", or mask the samples (pack_rows(mask=...)) and put any number there"
        raise ValueError(f"{said} Leave these trials out{masked if masks else ''}.") from error


def check_kind(array):
    """Reject masked and datetime arrays, which NumPy would silently turn into numbers."""
    if isinstance(array, np.ma.MaskedArray) and np.ma.is_masked(array):
        raise ValueError(
            f"Masked arrays are not supported: {np.ma.count_masked(array)} masked values would be "
            "used as if they were good. See the mask of sklearn_meg.pack_rows."
        )
    dtype = getattr(array, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype.kind in "mM":
        raise ValueError(
            f"It must be numeric; datetime arrays are not supported. Got dtype {dtype}."
        )


def check_trials(
    estimator: BaseEstimator, X: ArrayLike | MneObject, *, reset: bool, min_trials: int = 1
) -> np.ndarray:
    """Check X and return it as trials x rows x times, remembering or comparing its shape.

    Parameters
    ----------
    estimator : BaseEstimator
        Gets ``n_features_in_`` and ``n_times_in_`` (and ``feature_names_in_``) when `reset`.
    X : array-like of shape (n_trials, n_rows, n_times) or (n_trials, n_rows), or MNE object
    reset : bool
        True in ``fit``; False compares with what was stored.
    min_trials : int
        Fewest trials that can be worked with.

    Returns
    -------
    X : ndarray or memmap of shape (n_trials, n_rows, n_times), floating point
        Never a copy of a memory-mapped array.

    Raises
    ------
    ValueError
        For NaN or infinity, complex, text, sparse or empty X, another number of dimensions, or
        another shape than in ``fit``.

    Examples
    --------
    >>> from sklearn.base import BaseEstimator
    >>> from sklearn_meg.base import check_trials
    >>> estimator = BaseEstimator()
    >>> check_trials(estimator, [[1.0, 2.0], [3.0, 4.0]], reset=True).shape
    (2, 2, 1)
    """
    check_rate(estimator, X)
    X = unwrap_mne(X)
    if _is_mapped(X) and X.ndim == 3:
        if reset:
            estimator.n_features_in_ = X.shape[1]
        elif X.shape[1] != estimator.n_features_in_:
            validate_data(estimator, np.zeros((1, X.shape[1])), reset=False)  # the usual error
        _check_mapped(X, "X", min_trials)
    else:
        if not reset:
            _check_not_one_trial(estimator, X)
        X = validate_data(
            estimator,
            X,
            reset=reset,
            allow_nd=True,
            ensure_min_samples=min_trials,
            dtype=[np.float64, np.float32],
        )
        _check_not_huge(X, "X")
    if X.ndim == 2:
        X = X[:, :, np.newaxis]
    if X.ndim != 3:
        raise ValueError(
            f"X must have the shape (n_trials, n_rows, n_times) or (n_trials, n_rows). "
            f"Got {X.ndim} dimensions: {X.shape}."
        )
    _check_not_empty(X, "X")
    if reset:
        estimator.n_times_in_ = X.shape[2]
    elif getattr(estimator, "n_times_in_", X.shape[2]) != X.shape[2]:
        raise ValueError(
            f"X has {X.shape[2]} samples a trial, but {type(estimator).__name__} was fitted with "
            f"{estimator.n_times_in_}."
        )
    return X


def check_targets(y: ArrayLike | MneObject | None, X: np.ndarray) -> tuple[np.ndarray, int]:
    """Check continuous targets that go with trials.

    Parameters
    ----------
    y : array-like or MNE object
        ``(n_trials, n_channels, n_times)``; or flat, as scikit-learn's own scorers need it:
        ``(n_trials, n_channels * n_times)``; or ``(n_trials,)`` for one channel, one sample.
    X : ndarray of shape (n_trials, n_rows, n_times)

    Returns
    -------
    y : ndarray or memmap of shape (n_trials, n_channels, n_times)
    ndim : int
        Number of dimensions that `y` came with; `flatten_targets` goes back.

    Raises
    ------
    ValueError
        For NaN or infinity, or a shape that does not belong to that of `X`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.base import check_targets
    >>> y, ndim = check_targets(np.zeros((4, 6)), X=np.zeros((4, 1, 3)))
    >>> y.shape, ndim
    ((4, 2, 3), 2)
    """
    if y is None:
        raise ValueError("This estimator requires y to be passed, but the target y is None.")
    y = unwrap_mne(y)
    if _is_mapped(y) and y.ndim == 3:
        _check_mapped(y, "y", 1)
    else:
        with own_remedy_for_nan(masks=True):
            y = check_array(
                y, ensure_2d=False, allow_nd=True, dtype=[np.float64, np.float32], input_name="y"
            )
        _check_not_huge(y, "y")
    ndim, n_times = y.ndim, X.shape[2]
    check_consistent_length(X, y)
    if ndim <= 2:
        width = 1 if ndim == 1 else y.shape[1]
        if width % n_times or ndim == 0 or (ndim == 1 and n_times > 1):
            raise ValueError(
                f"A flat y must have the shape (n_trials, n_channels * n_times) with the n_times "
                f"of X, {n_times}. Got {y.shape}."
            )
        y = y.reshape(len(y), width // n_times, n_times)
    elif ndim > 3:
        raise ValueError(f"y must have the shape (n_trials, n_channels, n_times). Got {y.shape}.")
    if y.shape[2] != n_times:
        raise ValueError(
            f"y must have as many samples a trial as X. Got {y.shape[2]} in y (shape {y.shape}) "
            f"and {n_times} in X (shape {X.shape})."
        )
    _check_not_empty(y, "y")
    return y, ndim


def flatten_targets(y: np.ndarray, ndim: int) -> np.ndarray:
    """Give predictions ``(n_trials, n_channels, n_times)`` the number of dimensions y had.

    Parameters
    ----------
    y : ndarray of shape (n_trials, n_channels, n_times)
    ndim : int
        As :func:`check_targets` returned it.

    Returns
    -------
    y : ndarray

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.base import flatten_targets
    >>> flatten_targets(np.zeros((5, 2, 3)), ndim=2).shape
    (5, 6)
    """
    if ndim == 3:
        return y
    return y.reshape(len(y), -1) if ndim == 2 else y.reshape(len(y))


def as_mask(values, name):
    """Return a mask as bool.

    values (array-like): 1 or True where a sample counts, 0 or False where not.
    name: Name of the values in the error message.
    Raises ValueError for any other value.
    """
    values = np.asarray(values)
    real = values.dtype.kind in "biuf"
    bad = (values != 0) & (values != 1) if real else np.ones(values.shape, dtype=bool)
    if bad.any():  # NaN, too
        raise ValueError(
            f"{name} must be 1 where a sample counts and 0 where not. Got {values[bad][0]!r}. "
            "(Was X scaled without leaving out the mask row?)"
        )
    return values.astype(bool)


def check_weights(sample_weight: ArrayLike | None, n_trials: int) -> np.ndarray | None:
    """Check weights of trials.

    Parameters
    ----------
    sample_weight : array-like of shape (n_trials,) or None
    n_trials : int

    Returns
    -------
    sample_weight : ndarray of shape (n_trials,) or None

    Raises
    ------
    ValueError
        If they are negative, not finite, all 0, or not one a trial.

    Examples
    --------
    >>> from sklearn_meg.base import check_weights
    >>> check_weights([2, 1, 0], n_trials=3)
    array([2., 1., 0.])
    """
    if sample_weight is None:
        return None
    weights = check_array(sample_weight, input_name="sample_weight", ensure_2d=False, dtype=float)
    if weights.shape != (n_trials,) or (weights < 0).any() or not weights.any():
        raise ValueError(
            f"sample_weight must be one weight >= 0 for each of the {n_trials} trials, not all "
            f"zero. Got shape {weights.shape}, smallest {weights.min() if weights.size else None}."
        )
    return weights


def kept_trials(sample_weight, n_trials, *arrays):
    """Leave out trials of weight 0.

    sample_weight (n_trials,) or None, *arrays (n_trials, ...) or None
    Returns weights (ndarray or None): Those that are left; None without weights.
    and *arrays (ndarray or None)
    Raises ValueError for bad weights, or an array of another length.
    """
    weights = check_weights(sample_weight, n_trials)
    check_consistent_length(range(n_trials), *arrays)
    if weights is None or weights.all():
        return weights, *arrays
    kept = weights > 0
    return weights[kept], *(None if a is None else np.asarray(a)[kept] for a in arrays)


def pieces(X, size=None):
    """Yield slices over the trials of `X`, and release its pages after each.

    X (ndarray or memmap)
    size (int or None): Number of trials per piece; None takes as many as fit into `CHUNK_BYTES`.
    Yields part (slice)
    """
    size = size or trials_per_chunk(X)
    for part in gen_batches(len(X), size):
        yield part
        release_pages(X)


def trials_per_chunk(X, n_bytes=CHUNK_BYTES):
    """Number of trials of `X` that fit into `n_bytes`, at least one."""
    return max(1, int(n_bytes // max(1, X[:1].nbytes)))


def release_pages(*arrays):
    """Release the resident pages of memory-mapped arrays (the files keep them).

    A mapping that was read counts as memory of the process until the system is short of it;
    training from a file must not look, or be killed, as if it had read the whole file.
    """
    for X in arrays if hasattr(mmap, "MADV_DONTNEED") else ():
        mapping = getattr(X, "_mmap", None) if _is_mapped(X) else None
        if mapping is not None and getattr(X, "mode", "c") != "c":  # "c" would lose changed pages
            mapping.madvise(mmap.MADV_DONTNEED)


def _is_mapped(X):
    return isinstance(X, np.memmap) and X.dtype in (np.float32, np.float64)


def _check_mapped(X, name, min_trials):
    """Make the checks of `validate_data` piece by piece."""
    _check_not_empty(X, name)
    if len(X) < min_trials:
        raise ValueError(
            f"Found array with {len(X)} sample(s) (shape={X.shape}) while a minimum of "
            f"{min_trials} is required."
        )
    for part in pieces(X):
        if not np.isfinite(X[part].sum(dtype=np.float64)) and not np.isfinite(X[part]).all():
            raise ValueError(f"Input {name} contains NaN or infinity.")
        _check_not_huge(X[part], name)


def _check_not_one_trial(estimator, X):
    """Reject a single trial where trials were fitted; scikit-learn would count its rows."""
    n_times = getattr(estimator, "n_times_in_", 1)
    if n_times > 1 and ndim_of(X, "X") == 2:
        raise ValueError(
            f"X must have the shape (n_trials, {estimator.n_features_in_}, {n_times}) that "
            f"{type(estimator).__name__} was fitted with. Got {np.shape(X)}. (A single trial is "
            "X[np.newaxis].)"
        )


def ndim_of(X, name):
    """Number of dimensions of an array or of nested lists."""
    with naming(name):
        return X.ndim if hasattr(X, "ndim") else np.asarray(X).ndim


def _check_not_huge(X, name):
    """Reject values whose squares overflow."""
    if X.dtype != np.float64 or not X.size:
        return
    largest = max(X.max(), -X.min())
    if largest > LARGEST_VALUE:
        raise ValueError(
            f"{name} holds values up to {largest:.3g}, beyond {LARGEST_VALUE:g}: they cannot be "
            "squared and summed. Is it in the right units, and was all of it written?"
        )


def _check_not_empty(X, name):
    if 0 in X.shape:
        raise ValueError(
            f"Found array with 0 sample(s), row(s) or time point(s) in {name} (shape={X.shape}) "
            "while a minimum of 1 is required."
        )


def more_rows_than_columns(recordings):
    """Whether every recording has more regions than samples, so that it may be transposed."""
    return all(len(x) > np.shape(x)[1] for x in recordings)
