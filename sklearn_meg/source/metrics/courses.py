"""How right the time courses of sources and their fields are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .peaks import check_truth, lengths, match_sources, source_strength

if TYPE_CHECKING:
    from ..._typing import ArrayLike


def time_course_correlation(
    positions: ArrayLike,
    sources: ArrayLike,
    true_positions: ArrayLike,
    true_time_courses: ArrayLike,
    samples: slice | ArrayLike | None = None,
) -> float:
    """Mean correlation of the estimated with the true time courses, regardless of sign.

    At the maximum assigned to each true source (:func:`match_sources`) the vector time course
    is projected on its dominant orientation (first singular vector) and correlated.

    Parameters
    ----------
    positions, sources, true_positions, samples
        See :func:`match_sources`. Sources must be signed or vectors: lengths, which have no
        sign, cannot follow a time course that changes its sign.
    true_time_courses : array-like of shape (n_sources, n_times)

    Returns
    -------
    correlation : float between 0 and 1
        A source without a maximum, or a flat estimate, counts as 0.

    Raises
    ------
    ValueError
        If the shapes do not belong together or there is no true source.

    Examples
    --------
    >>> from sklearn_meg.source.metrics import time_course_correlation
    >>> round(time_course_correlation([[0, 0, 0]], [[0, -4, 2]], [[0, 0, 0]], [[0, 2, -1]]), 6)
    1.0
    """
    sources = np.asarray(sources, dtype=float)
    true = np.atleast_2d(np.asarray(true_time_courses, dtype=float))
    if sources.ndim < 2 or true.shape[-1] != sources.shape[-1]:
        raise ValueError(
            f"sources and true_time_courses must share the samples on their last axis. "
            f"Got shapes {sources.shape} and {true.shape}."
        )
    if len(true) != len(check_truth(true_positions)):
        raise ValueError(
            f"true_time_courses must hold one row a true position, {len(true_positions)}. "
            f"Got {len(true)}."
        )
    peaks, _ = match_sources(positions, sources, true_positions, samples)
    pick = slice(None) if samples is None else samples
    scores = [
        0.0 if peak < 0 else _abs_correlation(_dominant(sources[peak][..., pick]), course[pick])
        for peak, course in zip(peaks, true)
    ]
    return float(np.mean(scores))


def output_snr(sources: ArrayLike, onset: int, stop: int | None = None) -> float:
    """Ratio of the mean energy after and before the onset, in dB.

    .. warning::
       Never compare methods by this score alone. A network whose input is a step at the onset
       is flat before it by construction, and gets any score whether right or wrong.

    Parameters
    ----------
    sources : array-like of shape (n_positions[, 3], n_times)
    onset : int
        First sample that counts as after.
    stop : int, default=None
        First sample that does not count any more; None is the end.

    Returns
    -------
    snr : float
        ``10 log10(mean after / mean before)``, infinite if all is zero before the onset, NaN if
        also after.

    Raises
    ------
    ValueError
        If either side holds no sample.

    Examples
    --------
    >>> from sklearn_meg.source.metrics import output_snr
    >>> output_snr([[1, -1, 10, 10]], onset=2)
    20.0
    """
    length = lengths(sources)
    n_times = length.shape[1]
    stop = n_times if stop is None else stop
    if not 0 < onset < stop <= n_times:
        raise ValueError(
            f"onset and stop must be samples with 0 < onset < stop <= {n_times}. "
            f"Got {onset} and {stop}."
        )
    length = length / (length.max() or 1.0)
    before = np.square(length[:, :onset]).mean()
    after = np.square(length[:, onset:stop]).mean()
    if before == 0:
        return float("inf") if after > 0 else float("nan")
    return float(10 * np.log10(after / before)) if after > 0 else -float("inf")


def nmse(y_true: ArrayLike, y_pred: ArrayLike, whitener: ArrayLike | None = None) -> float:
    """Normalized mean squared error of reconstructed fields: 0 is perfect, 1 is a zero field.

    ``sum (y_true - y_pred)^2 / sum y_true^2`` over channels and samples.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_channels, n_times) or (..., n_channels, n_times)
        `y_true` best without noise.
    whitener : array-like of shape (n_rows, n_channels) or (n_channels,), default=None
        Applied to both, or the factor of each channel. Needed for several types of sensors:
        without it gradiometers (1e-12 T/m) hide magnetometers (1e-13 T).

    Returns
    -------
    error : float
        NaN if `y_true` is zero everywhere.

    Raises
    ------
    ValueError
        If the shapes do not belong together, or for NaN or infinity.

    Examples
    --------
    >>> from sklearn_meg.source.metrics import nmse
    >>> nmse([[1.0, -1.0], [2.0, 0.0]], [[0.5, -0.5], [1.0, 0.0]])
    0.25
    """
    y_true, y_pred = _check_fields(y_true, y_pred, whitener)
    power = np.square(y_true).sum()
    return float(np.square(y_true - y_pred).sum() / power) if power > 0 else float("nan")


def field_correlation(
    y_true: ArrayLike, y_pred: ArrayLike, whitener: ArrayLike | None = None
) -> float:
    """Pearson correlation of reconstructed and true fields over all channels and samples.

    Parameters
    ----------
    y_true, y_pred, whitener
        See :func:`nmse`.

    Returns
    -------
    correlation : float
        0 for a constant prediction, NaN if `y_true` is constant.

    Raises
    ------
    ValueError
        If the shapes do not belong together, or for NaN or infinity.

    Examples
    --------
    >>> from sklearn_meg.source.metrics import field_correlation
    >>> round(field_correlation([[1.0, -1.0]], [[0.5, -0.5]]), 6)
    1.0
    """
    y_true, y_pred = _check_fields(y_true, y_pred, whitener)
    if np.ptp(y_true) == 0:
        return float("nan")
    return _correlation(y_true.ravel(), y_pred.ravel())


def false_positive_ratio(
    noise_sources: ArrayLike, reference_sources: ArrayLike, samples: slice | ArrayLike | None = None
) -> float:
    """Peak strength of an estimate from noise alone, relative to one from a real source.

    Parameters
    ----------
    noise_sources : array-like of shape (n_positions[, 3], n_times)
        Estimate from data without sources.
    reference_sources : array-like of shape (n_positions[, 3], n_times)
        Estimate of the same method, in the same unit, from data with a source.
    samples : slice or array-like, default=None
        See :func:`source_strength`.

    Returns
    -------
    ratio : float
        0 is best. NaN if the reference is zero everywhere.

    Raises
    ------
    ValueError
        For another shape, NaN or infinity.

    Examples
    --------
    >>> from sklearn_meg.source.metrics import false_positive_ratio
    >>> false_positive_ratio([[0.0, 1.0]], [[0.0, -10.0]])
    0.1
    """
    noise = source_strength(noise_sources, samples).max()
    reference = source_strength(reference_sources, samples).max()
    return float(noise / reference) if reference > 0 else float("nan")


def _dominant(vector):
    """Project (3, n_times) on the orientation with the most energy; (n_times,) stays."""
    if vector.ndim == 1:
        return vector
    return np.linalg.svd(vector, full_matrices=False)[2][0]


def _abs_correlation(a, b):
    return abs(_correlation(a, b))


def _correlation(a, b):
    a, b = a - a.mean(), b - b.mean()
    scale = np.linalg.norm(a) * np.linalg.norm(b)
    return float(np.clip(a @ b / scale, -1.0, 1.0)) if scale > 0 else 0.0


def _check_fields(y_true, y_pred, whitener):
    y_true, y_pred = np.asarray(y_true, dtype=float), np.asarray(y_pred, dtype=float)
    if y_true.shape != y_pred.shape or y_true.ndim < 2 or not y_true.size:
        raise ValueError(
            "y_true and y_pred must have the same shape (..., n_channels, n_times). "
            f"Got {y_true.shape} and {y_pred.shape}."
        )
    if not (np.isfinite(y_true).all() and np.isfinite(y_pred).all()):
        raise ValueError("y_true and y_pred must not contain NaN or infinity.")
    scale = np.abs(y_true).max() or 1.0  # squares of 1e-13 T stay far from underflow
    if whitener is not None:
        whitener = np.asarray(whitener, dtype=float)
        if whitener.ndim not in (1, 2) or whitener.shape[-1] != y_true.shape[-2]:
            raise ValueError(
                f"whitener must have the shape (n_rows, {y_true.shape[-2]}) or "
                f"({y_true.shape[-2]},). Got {whitener.shape}."
            )
        whitener = np.diag(whitener) if whitener.ndim == 1 else whitener
        y_true, y_pred = whitener @ y_true, whitener @ y_pred
        scale = np.abs(y_true).max() or 1.0
    return y_true / scale, y_pred / scale
