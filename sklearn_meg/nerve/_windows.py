"""Features of windows of a signal: pure functions on arrays (..., n_times) of one window each."""

import numpy as np

TINY = 1e-12


def sliding(X, size, hop):
    """Windows (..., n_windows, size) of signals (..., n_times); a view."""
    return np.lib.stride_tricks.sliding_window_view(X, size, axis=-1)[..., ::hop, :]


def zero_crossings(w, low, high):
    """Changes of sign with a step above the low threshold."""
    step = np.diff(w, axis=-1)
    return ((w[..., 1:] * w[..., :-1] < 0) & (np.abs(step) > low)).sum(-1)


def slope_sign_changes(w, low, high):
    """Changes of the sign of the slope, one of the two slopes above the low threshold."""
    step = np.diff(w, axis=-1)
    large = np.abs(step) > low
    turned = step[..., 1:] * step[..., :-1] < 0
    return (turned & (large[..., 1:] | large[..., :-1])).sum(-1)


def waveform_length(w, low, high):
    """Sum of the absolute steps."""
    return np.abs(np.diff(w, axis=-1)).sum(-1)


def willison_amplitude(w, low, high):
    """Number of steps above the high threshold."""
    return (np.abs(np.diff(w, axis=-1)) > high).sum(-1)


def mean_absolute_value(w, low, high):
    """Mean of |x|."""
    return np.abs(w).mean(-1)


def mean_square(w, low, high):
    """Mean of x squared."""
    return np.square(w).mean(-1)


def root_mean_square(w, low, high):
    """Root of the mean of x squared."""
    return np.sqrt(np.square(w).mean(-1))


def v_order(w, low, high):
    """Third root of the mean of |x| cubed."""
    return np.cbrt((np.abs(w) ** 3).mean(-1))


def log_detector(w, low, high):
    """Geometric mean of |x|."""
    return np.exp(np.log(np.abs(w) + 1e-3 * low + TINY).mean(-1))


def difference_absolute_sd(w, low, high):
    """Root of the mean squared step."""
    return np.sqrt(np.square(np.diff(w, axis=-1)).sum(-1) / max(1, w.shape[-1] - 1))


def maximum_fractal_length(w, low, high):
    """Log of the root of the sum of squared steps."""
    return np.log10(np.sqrt(np.square(np.diff(w, axis=-1)).sum(-1)) + 1e-3 * low[..., 0] + TINY)


def myopulse_rate(w, low, high):
    """Share of samples with |x| above the high threshold."""
    return (np.abs(w) > high).mean(-1)


def mav_slope(w, low, high):
    """Mean absolute value of the second half of the window minus that of the first."""
    half = w.shape[-1] // 2
    if half == 0:
        return np.zeros(w.shape[:-1])
    return np.abs(w[..., -half:]).mean(-1) - np.abs(w[..., :half]).mean(-1)


def weighted_mav(w, low, high):
    """Mean absolute value, the first and the last quarter of the window counting half."""
    place = (np.arange(w.shape[-1]) + 0.5) / w.shape[-1]
    return (np.abs(w) * np.where((place < 0.25) | (place > 0.75), 0.5, 1.0)).mean(-1)


FEATURES = {
    "zc": zero_crossings,
    "ssc": slope_sign_changes,
    "wl": waveform_length,
    "wamp": willison_amplitude,
    "mav": mean_absolute_value,
    "ms": mean_square,
    "rms": root_mean_square,
    "v3": v_order,
    "logd": log_detector,
    "dasd": difference_absolute_sd,
    "mfl": maximum_fractal_length,
    "mpr": myopulse_rate,
    "mavs": mav_slope,
    "wmav": weighted_mav,
}


def named_features(windows, names, thresholds):
    """The named features of windows (n, n_channels, size): (n, n_channels * n_names).

    Parameters
    ----------
    windows : ndarray of shape (n, n_channels, size)
        Each row contiguous, so that its sums do not depend on what is computed beside it.
    names : sequence of str
        Of `FEATURES`.
    thresholds : tuple of ndarray of shape (n_channels,)
        A low one (noise) and a high one (activity) a channel.
    """
    low, high = (np.asarray(t)[:, np.newaxis] for t in thresholds)
    columns = [FEATURES[name](windows, low, high) for name in names]
    return np.stack(columns, axis=-1).reshape(len(windows), -1)


def log_covariances(windows, floor):
    """Matrix logarithms of the channels' covariances: their upper triangles, flat.

    Coordinates of the tangent space at the identity under the log-Euclidean metric; elements off
    the diagonal count sqrt(2), so that distances are those of the matrices.

    Parameters
    ----------
    windows : ndarray of shape (n, n_channels, size)
    floor : ndarray of shape (n_channels,)
        Power added to the diagonal: a flat channel has a logarithm, too.
    """
    covariance = windows @ windows.swapaxes(1, 2) / windows.shape[-1] + np.diag(floor)
    values, vectors = np.linalg.eigh(covariance)
    logs = np.log(np.maximum(values, np.finfo(float).tiny))
    matrix = (vectors * logs[:, np.newaxis]) @ vectors.swapaxes(1, 2)
    i, j = np.triu_indices(windows.shape[1])
    return matrix[:, i, j] * np.where(i == j, 1.0, np.sqrt(2.0))
