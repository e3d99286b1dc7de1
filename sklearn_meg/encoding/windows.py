"""Continuous recordings: cut into windows, predicted, and stitched together again."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._checks.trials import CHUNK_BYTES
from ..rows import check_subject_values
from ._inspection import find_rows

if TYPE_CHECKING:
    from typing import Literal

    from .._typing import ArrayLike, BaseEstimator


def cut_windows(
    data: ArrayLike, length: int, step: int, *, keep_last: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Cut a continuous recording into windows of equal length, which may overlap.

    Parameters
    ----------
    data : array-like of shape (n_channels, n_samples)
        For example ``raw.get_data()``, or the stimulus over time. ``(n_samples,)`` is one channel.
    length : int
        Samples of a window.
    step : int
        Samples from the start of one window to that of the next.
    keep_last : bool, default=True
        Add a window that ends with the recording where the regular ones do not reach its end.

    Returns
    -------
    windows : ndarray of shape (n_windows, n_channels, length)
        A copy; trials for :func:`~sklearn_meg.pack_rows` and the encoders.
    starts : ndarray of int of shape (n_windows,)
        First sample of each window.

    Raises
    ------
    ValueError
        If the recording is shorter than a window, or `length` or `step` is not a positive int.

    See Also
    --------
    stitch_windows : The inverse.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg import cut_windows
    >>> windows, starts = cut_windows(np.arange(10), length=4, step=3)
    >>> windows[:, 0]
    array([[0, 1, 2, 3],
           [3, 4, 5, 6],
           [6, 7, 8, 9]])
    >>> starts
    array([0, 3, 6])
    """
    data = _as_recording(data, "data")
    starts = _starts(data.shape[1], length, step, keep_last)
    return _cut(data, starts, length), starts


def stitch_windows(
    windows: ArrayLike,
    starts: ArrayLike,
    n_samples: int,
    *,
    skip: int = 0,
    taper: Literal["hann"] | None = "hann",
) -> np.ndarray:
    """Combine windows into one recording, as a weighted mean where they overlap.

    Parameters
    ----------
    windows : array-like of shape (n_windows, n_channels, length)
    starts : array-like of int of shape (n_windows,)
        First sample of each window, see :func:`cut_windows`.
    n_samples : int
        Length of the recording.
    skip : int, default=0
        Leave out the first samples of every window but the earliest: those of its initial MEG, or
        those where lags reach back beyond it.
    taper : {"hann"} or None, default="hann"
        Weight within a window, after the samples that are left out: highest in its middle and
        almost zero at both ends, so that the recording has no jumps; or the same everywhere.

    Returns
    -------
    data : ndarray of shape (n_channels, n_samples)
        Recording; from windows that were cut from one, that one to the last bit.

    Raises
    ------
    ValueError
        If a window reaches outside the recording, `skip` leaves nothing of it, or some samples
        are in no window.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg import cut_windows, stitch_windows
    >>> meg = np.random.default_rng(0).normal(size=(2, 100))
    >>> windows, starts = cut_windows(meg, length=30, step=10)
    >>> np.array_equal(stitch_windows(windows, starts, 100, skip=10), meg)
    True
    """
    windows, starts = np.asarray(windows), np.asarray(starts)
    if windows.ndim != 3 or starts.shape != (len(windows),) or not len(windows):
        raise ValueError(
            "windows must have the shape (n_windows, n_channels, length), with one start for "
            f"each. Got {windows.shape}, and starts of shape {starts.shape}."
        )
    n_samples, length = _positive(n_samples, "n_samples"), windows.shape[2]
    weights = _weights(length, _check_skip(skip, length), taper)
    _check_cover(starts, n_samples, length, skip)
    stitched = _Stitched(windows.shape[1], n_samples, windows.dtype, starts.min(), weights)
    stitched.add(windows, starts)
    return stitched.data


def predict_continuous(
    estimator: BaseEstimator,
    features: ArrayLike,
    length: int | None = None,
    step: int | None = None,
    *,
    subject: int | None = None,
    initial: ArrayLike | None = None,
    skip: int | None = None,
    taper: Literal["hann"] | None = "hann",
    batch_size: int | None = None,
) -> np.ndarray:
    """Predict a continuous recording with an encoder that was fitted on windows.

    The stimulus is cut into overlapping windows, packed the way the encoder expects, predicted
    and stitched together. With `initial` the result is a **forecast given the measured beginning
    of each window**: the measured MEG of the first ``n_initial`` samples of every window is used
    for what follows it, again and again over the recording. Do not compare it with a prediction
    from the stimulus alone.

    Parameters
    ----------
    estimator : fitted encoder
        Or a Pipeline, search or TransformedTargetRegressor around one; its constructor says
        which rows of X are what (see :func:`~sklearn_meg.pack_rows`).
    features : array-like of shape (n_features, n_samples)
        Stimulus over time, in the order of the stimulus rows of X. May be memory-mapped.
    length : int, default=None
        Samples of a window: those of the trials in ``fit``, which is the default.
    step : int, default=None
        Samples between windows. None: half of what follows `skip`.
    subject : int, default=None
        Subject of the recording, needed if the encoder has a ``subject_row``.
    initial : array-like of shape (n_channels, n_samples), default=None
        The measured MEG (``raw.get_data()``), needed if the encoder has ``initial_rows``. Only
        the initial window of each window is read.
    skip : int, default=None
        Samples to leave out at the beginning of every window but the first, where an encoder
        does not see the stimulus before. None: the initial window or the longest lag of the
        (linear) encoder, whichever is longer, if the windows overlap by so much; at most half a
        window.
    taper : {"hann"} or None, default="hann"
        See :func:`stitch_windows`.
    batch_size : int, default=None
        Windows to predict at a time. None: about 64 MiB of them.

    Returns
    -------
    y : ndarray of shape (n_channels, n_samples)
        The recording predicted; in the first initial window that is the measured MEG.

    Raises
    ------
    ValueError
        If `features`, `subject` or `initial` do not fit the rows of the encoder, a window is
        longer than the recording or of another length than in ``fit``, or `step` leaves gaps.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg import TemporalReceptiveField, cut_windows, predict_continuous
    >>> sound = np.random.default_rng(0).normal(size=(1, 2000))
    >>> meg = sound + 0.5 * np.roll(sound, 2)
    >>> X, y = (cut_windows(data, length=100, step=100)[0] for data in (sound, meg))
    >>> trf = TemporalReceptiveField(tmax=4, alphas=1e-3).fit(X, y)
    >>> predicted = predict_continuous(trf, sound)
    >>> np.allclose(predicted[:, 10:], meg[:, 10:], atol=0.05)
    True
    """
    check_is_fitted(estimator)
    features = _as_recording(features, "features")
    n_samples = features.shape[1]
    length = _window_length(estimator, length)
    rows, n_rows = _check_parts(estimator, features, length, subject, initial)
    initial = None if initial is None else _as_initial(initial, rows, n_samples)
    skip = _check_skip(_warm_up(estimator, rows, length, step) if skip is None else skip, length)
    step = max(1, (length - skip) // 2) if step is None else step
    starts = _starts(n_samples, length, step, keep_last=True)
    _check_cover(starts, n_samples, length, skip)
    weights, stitched = _weights(length, skip, taper), None
    size = _positive(batch_size or max(1, CHUNK_BYTES // (8 * n_rows * length)), "batch_size")
    for part in (starts[i : i + size] for i in range(0, len(starts), size)):
        X = _pack(features, initial, subject, rows, n_rows, part, length)
        y = np.asarray(estimator.predict(X)).reshape(len(X), -1, length)
        if stitched is None:
            stitched = _Stitched(y.shape[1], n_samples, y.dtype, 0, weights)
        stitched.add(y, part)
    return stitched.data


class _Stitched:
    """A recording that windows are added to, and the weight each sample has so far."""

    def __init__(self, n_channels, n_samples, dtype, earliest, weights):
        self.data = np.zeros((n_channels, n_samples), np.result_type(dtype, np.float32))
        self.weight, self.earliest = np.zeros(n_samples), earliest
        self.of_first, self.of_others = weights

    def add(self, windows, starts):
        # A running mean: equal values stay what they are, to the last bit.
        for window, start in zip(windows, starts):
            weight = self.of_first if start == self.earliest else self.of_others
            part = slice(start, start + window.shape[1])
            self.weight[part] += weight
            share = np.divide(
                weight, self.weight[part], out=np.zeros(len(weight)), where=weight > 0
            )
            change = np.where(share > 0, window - self.data[:, part], 0.0)
            self.data[:, part] += (share * change).astype(self.data.dtype)


def _pack(features, initial, subject, rows, n_rows, starts, length):
    """X of some windows, (n_windows, n_rows, length)."""
    parts = _cut(features, starts, length)
    dtype = np.result_type(np.float32, *(a.dtype for a in (parts, initial) if _is_float(a)))
    X = np.zeros((len(starts), n_rows, length), dtype)
    X[:, rows.features] = parts
    if rows.subject is not None:
        X[:, rows.subject] = subject
    if rows.mask is not None:
        X[:, rows.mask] = 1
    if initial is not None:
        X[:, rows.initial, : rows.n_initial] = _cut(initial, starts, rows.n_initial)
    return X


def _is_float(array):
    return array is not None and array.dtype.kind == "f"


def _cut(data, starts, length):
    views = np.lib.stride_tricks.sliding_window_view(data, length, axis=1)
    return np.ascontiguousarray(views[:, starts].swapaxes(0, 1))


def _starts(n_samples, length, step, keep_last):
    length, step = _positive(length, "length"), _positive(step, "step")
    if length > n_samples:
        raise ValueError(
            f"A window must not be longer than the recording, which has {n_samples} samples. "
            f"Got length={length}."
        )
    starts = np.arange(0, n_samples - length + 1, step)
    if keep_last and starts[-1] + length < n_samples:
        starts = np.append(starts, n_samples - length)
    return starts


def _weights(length, skip, taper):
    """Weights of the samples of the earliest window, and of all others."""
    if taper not in ("hann", None):
        raise ValueError(f"taper must be 'hann' or None. Got {taper!r}.")
    both = []
    for cut in (0, skip):
        n = length - cut
        inner = np.ones(n) if taper is None else np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 2
        both.append(np.concatenate([np.zeros(cut), inner]))
    return both


def _check_cover(starts, n_samples, length, skip):
    """Complain about windows outside the recording, and samples in none of them."""
    if starts.dtype.kind not in "iu" or starts.min() < 0 or starts.max() + length > n_samples:
        raise ValueError(
            f"starts must be ints from 0 to {n_samples - length}, so that windows of {length} "
            f"samples are inside a recording of {n_samples}. Got {starts.min()} to {starts.max()}."
        )
    ordered = np.unique(starts)
    begin = ordered + np.where(np.arange(len(ordered)) > 0, skip, 0)
    reached = np.append(0, ordered + length)
    gaps = np.flatnonzero(np.append(begin, n_samples) > reached)
    if len(gaps):
        first = reached[gaps[0]]
        raise ValueError(
            f"Every sample must be in a window, after the first skip={skip} of it. Sample {first} "
            f"is in none: take a smaller step (or skip), at most {length - skip}."
        )


def _check_parts(estimator, features, length, subject, initial):
    """Rows of X that the encoder expects, and their number, if what was given fits."""
    n_rows = estimator.n_features_in_
    rows = find_rows(estimator, np.broadcast_to(0.0, (1, n_rows, length)))
    name = type(estimator).__name__
    if len(features) != len(rows.features):
        raise ValueError(
            f"features must have the {len(rows.features)} stimulus rows that {name} was fitted "
            f"with. Got {len(features)}."
        )
    parts = {"subject": (subject, "subject_row", rows.subject is not None)}
    parts["initial"] = (initial, "initial_rows", len(rows.initial) > 0)
    for part, (value, parameter, needed) in parts.items():
        if needed != (value is not None):
            verb = "needs" if needed else "does not take"
            with_or_without = "with" if needed else "without"
            raise ValueError(f"{name} {verb} {part}: it was fitted {with_or_without} {parameter}.")
    if subject is not None:
        if np.ndim(subject):
            raise ValueError(f"subject must be one index, whose recording it is. Got {subject!r}.")
        check_subject_values(np.atleast_1d(subject))
    return rows, n_rows


def _as_initial(initial, rows, n_samples):
    initial = _as_recording(initial, "initial")
    if initial.shape != (len(rows.initial), n_samples):
        raise ValueError(
            f"initial must have the shape ({len(rows.initial)}, {n_samples}): the initial rows of "
            f"the encoder, the samples of the features. Got {initial.shape}."
        )
    return initial


def _window_length(estimator, length):
    model, fitted = estimator, getattr(estimator, "n_times_in_", None)
    while fitted is None and getattr(model, "steps", None):
        model = model.steps[-1][1]
        fitted = getattr(model, "n_times_in_", None)
    if length is None and fitted is None:
        raise ValueError(f"length must be given: {type(estimator).__name__} does not know it.")
    if length is not None and fitted not in (None, length):
        raise ValueError(
            f"length must be {fitted}, the samples of the trials that {type(estimator).__name__} "
            f"was fitted with. Got {length}."
        )
    return _positive(fitted if length is None else length, "length")


def _warm_up(estimator, rows, length, step):
    """Samples at the beginning of a window whose lags reach outside, if others cover them."""
    model = estimator
    while getattr(model, "steps", None):
        model = model.steps[-1][1]
    for inner in ("best_estimator_", "regressor_", "base_"):
        model = getattr(model, inner, model)
    lags = getattr(model, "delays_", np.zeros(1, dtype=int))
    spare = length // 2 if step is None else length - step
    return max(rows.n_initial, min(max(0, int(lags[-1])), spare, length // 2))


def _check_skip(skip, length):
    good = isinstance(skip, Integral) and not isinstance(skip, bool) and 0 <= skip < length
    if not good:
        raise ValueError(f"skip must be an int from 0 to {length - 1}. Got {skip!r}.")
    return int(skip)


def _positive(value, name):
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be a positive int. Got {value!r}.")
    return int(value)


def _as_recording(data, name):
    if hasattr(data, "first_samp"):  # an MNE Raw
        raise ValueError(f"{name} must be an array: of a Raw, take raw.get_data().")
    data = data if isinstance(data, np.ndarray) else np.asarray(data)
    data = data[np.newaxis] if data.ndim == 1 else data
    if data.ndim != 2 or data.dtype.kind not in "biuf" or 0 in data.shape:
        raise ValueError(
            f"{name} must hold real numbers, shape (n_channels, n_samples). Got the shape "
            f"{data.shape} and type {data.dtype}. (Of a Raw, take raw.get_data().)"
        )
    return data
