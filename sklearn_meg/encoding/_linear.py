"""What the linear encoders share: checks, reading trials in pieces, subjects, the score."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from .._threads import one_blas_thread
from .._validation import (
    CHUNK_BYTES,
    check_option_param,
    check_scalar_param,
    check_targets,
    check_trials,
    flatten_targets,
    release_pages,
)
from ._lags import trials_per_block
from ._rows import Rows, resolve_rows

if TYPE_CHECKING:
    from .._typing import ArrayLike, BaseEpochs, Self

DEFAULT_LAGS = 40  # as in the paper of the deep recurrent encoder


class LinearEncoder(RegressorMixin, BaseEstimator):
    """Base of the encoders with one linear model a subject.

    A subclass has ``_check_params(X, y, rows)``, ``_fit_subjects(X, y, rows,
    trials_of_subjects)`` and
    ``_predict_trials(X, rows, models)``.
    """

    def fit(self, X: ArrayLike, y: ArrayLike | BaseEpochs) -> Self:
        """Fit one model a subject.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_rows, n_times) or (n_trials, n_rows)
            Stimulus features and the rows named in the constructor; see
            :func:`~sklearn_meg.pack_rows`.
        y : array-like of shape (n_trials, n_channels, n_times), or flat, or Epochs
            Responses.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For NaN or infinity, shapes that do not go together, a subject index that is not an
            integer, a mask that is not 0 or 1, or lags longer than the trials.
        """
        X = check_trials(self, X, reset=True)
        y, ndim = check_targets(y, X)
        return self._fit_trials(X, y, np.arange(len(X)), ndim)

    def _fit_trials(self, X, y, trials, y_ndim=3):
        """Fit on some trials of checked X and y, reading no others."""
        self.y_ndim_ = y_ndim
        self.n_features_in_, self.n_times_in_ = X.shape[1:]
        rows = resolve_rows(self, *X.shape[1:])
        self._rows = vars(rows)
        if hasattr(self, "unknown_subject"):
            check_option_param(self, "unknown_subject", ("population", "error"))
        subjects = rows.subject_values(X)[trials]
        rows.counted(X, check=True)
        self._check_params(X, y, rows)
        self.subjects_ = np.unique(subjects)
        self.n_outputs_ = y.shape[1]
        with one_blas_thread():
            self._fit_subjects(X, y, rows, [trials[subjects == s] for s in self.subjects_])
        return self

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Predict responses.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_rows, n_times) or (n_trials, n_rows)

        Returns
        -------
        y : ndarray of shape (n_trials, n_channels, n_times)
            With as many dimensions as the y of ``fit``.

        Raises
        ------
        ValueError
            If X has another shape than in ``fit``, or a subject that was not seen and
            ``unknown_subject="error"``.
        """
        check_is_fitted(self)
        X = check_trials(self, X, reset=False)
        return flatten_targets(self._predict_checked(X), self.y_ndim_)

    def _predict_checked(self, X):
        """Responses (n_trials, n_channels, n_times) to checked trials."""
        rows = Rows(**self._rows)
        models = self._which_model(rows.subject_values(X))
        with one_blas_thread():
            return self._predict_trials(X, rows, models)

    def score(self, X: ArrayLike, y: ArrayLike) -> float:
        """R2 over trials, averaged over channels and samples.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_rows, n_times)
        y : array-like of shape (n_trials, n_channels, n_times), or flat
            Samples that the mask row leaves out do not count.

        Returns
        -------
        score : float
        """
        y_pred, X = self.predict(X), check_trials(self, X, reset=False)
        counted = Rows(**self._rows).counted(X)
        return r2_of_trials(check_targets(y, X)[0], y_pred, counted)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _which_model(self, subjects):
        """Index into ``subjects_``, -1 (the population) for a subject that was not seen."""
        at = np.searchsorted(self.subjects_, subjects)
        at[at == len(self.subjects_)] = 0
        at[self.subjects_[at] != subjects] = -1
        if (at < 0).any() and getattr(self, "unknown_subject", "population") == "error":
            raise ValueError(
                f"X has trials of subject(s) {_shorten(np.unique(subjects[at < 0]))} that "
                f"{type(self).__name__} was not fitted with. Seen: {_shorten(self.subjects_)}. "
                "(unknown_subject='population' predicts the mean over subjects.)"
            )
        return at


def _shorten(values, n_most=10):
    text = ", ".join(str(value) for value in values[:n_most])
    return text + (", ..." if len(values) > n_most else "")


def r2_of_trials(y_true, y_pred, counted=None):
    """R2 over trials of each channel and sample, averaged.

    As ``sklearn.metrics.r2_score`` of the flattened arrays, but NaN for a single trial without
    a warning. A channel and sample that is constant counts 1 if predicted exactly, 0 otherwise.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_trials, n_channels, n_times) or (n_trials, ...)
    counted : ndarray of bool of shape (n_trials, n_times) or None
        Which samples count. Each channel and sample weighs by the number of trials in which it
        counts, and nothing if that is one.

    Returns
    -------
    score : float

    Raises
    ------
    ValueError
        If the two have different sizes.

    Examples
    --------
    >>> r2_of_trials([[1.0], [2.0], [3.0]], [[1.0], [2.0], [2.0]])
    0.5
    """
    y_true, y_pred = np.asarray(y_true, float), np.asarray(y_pred, float)
    if y_true.size != y_pred.size:
        raise ValueError(
            f"y must have the shape of the prediction, {y_pred.shape}. Got {y_true.shape}."
        )
    shape = y_true.shape if counted is None else (len(y_true), -1, counted.shape[1])
    y_true, y_pred = y_true.reshape(shape), y_pred.reshape(shape)
    there = np.ones((1,) * y_true.ndim) if counted is None else counted[:, np.newaxis]
    there = np.broadcast_to(there, y_true.shape).astype(bool)
    n = there.sum(axis=0)
    if not (n > 1).any():
        return np.nan
    mean = np.where(there, y_true, 0.0).sum(axis=0) / np.maximum(n, 1)
    error = np.where(there, y_true - y_pred, 0.0) ** 2
    total = (np.where(there, y_true - mean, 0.0) ** 2).sum(axis=0)
    error, constant = error.sum(axis=0), total == 0
    score = 1 - error / np.where(constant, 1.0, total)
    score = np.where(constant, np.where(error == 0, 1.0, 0.0), score)
    return float(np.average(score, weights=np.where(n > 1, n, 0)))


def read_blocks(arrays, trials, step):
    """Read some trials of some arrays in pieces, in the layout of the lag covariances.

    Parameters
    ----------
    arrays : list of (array, rows or None)
        Arrays of shape (n_trials, n_rows, n_times), and which rows to read.
    trials : ndarray of int
        Which trials.
    step : int
        How many trials at a time.

    Yields
    ------
    blocks : tuple of ndarray of shape (n_rows, n_trials_here, n_times), float64
        Copies.
    """
    n_read = 0
    for first in range(0, len(trials), step):
        part = trials[first : first + step]
        if part[-1] - part[0] + 1 == len(part):  # neighbours: a view instead of a copy
            part = slice(part[0], part[-1] + 1)
        blocks = tuple(_read(array, part, rows) for array, rows in arrays)
        yield blocks
        n_read += blocks[0].shape[1] * sum(abs(array.strides[0]) for array, _ in arrays)
        if n_read > CHUNK_BYTES:
            for array, _ in arrays:
                release_pages(array)
            n_read = 0
    for array, _ in arrays:
        release_pages(array)


def _read(array, part, rows):
    if rows is None:
        data = array[part]
    else:
        data = array[part][:, rows] if isinstance(part, slice) else array[np.ix_(part, rows)]
    return np.array(data.transpose(1, 0, 2), dtype=np.float64, order="C")


def trials_of(n_times, n_rows, n_bytes=CHUNK_BYTES // 4):
    """How many trials of float64 make `n_bytes`."""
    return max(1, n_bytes // (8 * max(1, n_rows) * n_times))


def mean_of_rows(array, rows, trials, mask=()):
    """Mean over trials and samples of each row, read in pieces.

    `mask` is ``rows.mask_source(X)`` of :class:`~._rows.Rows`: samples left out by it do not count.
    """
    n_rows = array.shape[1] if rows is None else len(rows)
    total, count = np.zeros(n_rows), 0
    step = trials_per_block(n_rows, array.shape[2])
    for block, *counted in read_blocks([(array, rows), *mask], trials, step):
        total += zero_uncounted(block, counted).sum(axis=(1, 2))
        count += n_counted(block, counted)
    return total / count


def zero_uncounted(block, counted):
    """A block of trials, zero where the block of the mask row (if there is one) is."""
    return np.where(counted[0] > 0, block, 0.0) if counted else block


def n_counted(block, counted):
    """Number of samples of a block that count."""
    return int(counted[0].sum()) if counted else block[0].size


def initial_units(X, y, rows, trials):
    """Slope and offset of each channel from the initial rows of X to y, by least squares.

    Over the samples that count; without any, the two are taken to be equal.

    Returns
    -------
    slope, offset : ndarray of shape (n_channels,)
        1 and 0 where the two are equal, up to float32 rounding.
    """
    n_channels, n_initial = y.shape[1], rows.n_initial
    slope, offset = np.ones(n_channels), np.zeros(n_channels)
    if not n_initial:
        return slope, offset
    sums, difference, n = np.zeros((4, n_channels)), 0.0, 0
    known = X[:, :, :n_initial]
    arrays = [(known, rows.initial), (y[:, :, :n_initial], None), *rows.mask_source(known)]
    for a, b, *counted in read_blocks(arrays, trials, trials_of(y.shape[2], n_channels)):
        n += n_counted(a, counted)
        a, b = zero_uncounted(a, counted), zero_uncounted(b, counted)
        sums += [v.sum(axis=(1, 2)) for v in (a, b, a * a, a * b)]
        difference = difference + ((a - b) ** 2).sum(axis=(1, 2))
    if not n:
        return slope, offset
    mean_a, mean_b, square, cross = sums / n
    variance = square - mean_a**2
    varies = variance > 1e-12 * square
    slope = np.where(varies, (cross - mean_a * mean_b) / np.where(varies, variance, 1.0), 0.0)
    offset = mean_b - slope * mean_a
    equal = difference <= 1e-12 * n * square
    return np.where(equal, 1.0, slope), np.where(equal, 0.0, offset)


def contiguous_folds(trials, n_folds):
    """Cut trials into folds of neighbours (deterministic; drifts do not leak)."""
    return np.array_split(trials, max(1, min(n_folds, len(trials))))


def resolve_delays(estimator, n_times):
    """Lags in samples from ``tmin``, ``tmax`` (None: 40 lags at most) and ``sfreq``.

    Raises
    ------
    TypeError, ValueError
        If they are no numbers, in the wrong order, fractions of a sample with ``sfreq=1``
        (where seconds were meant), or reach beyond the trial.
    """
    tmin = check_scalar_param(estimator, "tmin", "float")
    tmax = check_scalar_param(estimator, "tmax", "float", allow_none=True)
    sfreq = check_scalar_param(estimator, "sfreq", "float", 0, closed="neither")
    first = int(np.round(tmin * sfreq))
    last = min(first + DEFAULT_LAGS, n_times) - 1 if tmax is None else int(np.round(tmax * sfreq))
    name = type(estimator).__name__
    if sfreq == 1 and any(t is not None and t != np.round(t) for t in (tmin, tmax)):
        raise ValueError(
            f"With sfreq=1 the tmin and tmax of {name} are whole numbers of samples. Got tmin="
            f"{tmin} and tmax={tmax}. If they are seconds, set sfreq to the sampling rate in Hz."
        )
    if tmax is not None and last < first:
        raise ValueError(f"tmin of {name} must not be above tmax. Got {tmin} and {tmax}.")
    if first <= -n_times or last >= n_times or last < first:
        raise ValueError(
            f"The lags of {name} (tmin={tmin}, tmax={tmax}, sfreq={sfreq}: samples {first} to "
            f"{last}) must be shorter than the trials, which have {n_times} samples."
        )
    return np.arange(first, last + 1)


def resolve_alphas(estimator):
    """Return the penalties to try, as a 1-D array; one if ``alphas`` is a float.

    Raises
    ------
    ValueError
        If they are not finite, negative, empty, or not one-dimensional.
    """
    try:
        alphas = np.asarray(estimator.alphas)
        text = alphas.dtype.kind not in "iufO"
        alphas = np.array([np.nan]) if text else alphas.astype(float)
    except (TypeError, ValueError):
        alphas = np.array([np.nan])
    one = alphas.ndim == 0
    alphas = np.atleast_1d(alphas)
    good = alphas.ndim == 1 and len(alphas) and np.isfinite(alphas).all() and (alphas >= 0).all()
    if not good or (not one and not (alphas > 0).all()):
        raise ValueError(
            f"The 'alphas' parameter of {type(estimator).__name__} must be a float >= 0 or a list "
            f"of floats > 0. Got {estimator.alphas!r} instead."
        )
    return alphas
