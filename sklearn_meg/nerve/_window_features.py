"""Features of windows of a signal: pure functions on arrays (..., n_times) of one window each."""

import numpy as np

TINY = 1e-12


def sliding(X, size, hop):
    """Windows (..., n_windows, size) of signals (..., n_times); a view."""
    return np.lib.stride_tricks.sliding_window_view(X, size, axis=-1)[..., ::hop, :]


class Windows:
    """Windows (n, n_channels, size) and what several features are made from, computed once."""

    def __init__(self, x):
        self.x, self.size = x, x.shape[-1]
        self.step = np.diff(x, axis=-1)
        self.abs, self.abs_step = np.abs(x), np.abs(self.step)
        self.square = np.square(x)
        self.mean_square = self.square.mean(-1)
        self.step_power = np.square(self.step).sum(-1)


def zero_crossings(w, low, high):
    """Changes of sign with a step above the low threshold."""
    return ((w.x[..., 1:] * w.x[..., :-1] < 0) & (w.abs_step > low)).sum(-1)


def slope_sign_changes(w, low, high):
    """Changes of the sign of the slope, one of the two slopes above the low threshold."""
    large = w.abs_step > low
    turned = w.step[..., 1:] * w.step[..., :-1] < 0
    return (turned & (large[..., 1:] | large[..., :-1])).sum(-1)


def waveform_length(w, low, high):
    """Sum of the absolute steps."""
    return w.abs_step.sum(-1)


def willison_amplitude(w, low, high):
    """Number of steps above the high threshold."""
    return (w.abs_step > high).sum(-1)


def mean_absolute_value(w, low, high):
    """Mean of |x|."""
    return w.abs.mean(-1)


def mean_square(w, low, high):
    """Mean of x squared."""
    return w.mean_square


def root_mean_square(w, low, high):
    """Root of the mean of x squared."""
    return np.sqrt(w.mean_square)


def v_order(w, low, high):
    """Third root of the mean of |x| cubed."""
    return np.cbrt((w.abs * w.square).mean(-1))


def log_detector(w, low, high):
    """Geometric mean of |x|."""
    return np.exp(np.log(w.abs + 1e-3 * low + TINY).mean(-1))


def difference_absolute_sd(w, low, high):
    """Root of the mean squared step."""
    return np.sqrt(w.step_power / max(1, w.size - 1))


def maximum_fractal_length(w, low, high):
    """Log of the root of the sum of squared steps."""
    return np.log10(np.sqrt(w.step_power) + 1e-3 * low[..., 0] + TINY)


def myopulse_rate(w, low, high):
    """Share of samples with |x| above the high threshold."""
    return (w.abs > high).mean(-1)


def mav_slope(w, low, high):
    """Mean absolute value of the second half of the window minus that of the first."""
    half = w.size // 2
    if half == 0:
        return np.zeros(w.x.shape[:-1])
    return w.abs[..., -half:].mean(-1) - w.abs[..., :half].mean(-1)


def weighted_mav(w, low, high):
    """Mean absolute value, the first and the last quarter of the window counting half."""
    place = (np.arange(w.size) + 0.5) / w.size
    return (w.abs * np.where((place < 0.25) | (place > 0.75), 0.5, 1.0)).mean(-1)


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

    windows (n, n_channels, size): Each row contiguous, so that its sums do not depend on what is
        computed beside it.
    names (sequence of str): Names among `FEATURES`.
    thresholds (tuple of ndarray of shape (n_channels,)): A low one (noise) and a high one
        (activity) a channel.
    """
    low, high = (np.asarray(t)[:, np.newaxis] for t in thresholds)
    windows = Windows(windows)
    columns = [FEATURES[name](windows, low, high) for name in names]
    return np.stack(columns, axis=-1).reshape(len(windows.x), -1)


def log_covariances(windows, floor):
    """Matrix logarithms of the channels' covariances: their upper triangles, flat.

    Coordinates of the tangent space at the identity under the log-Euclidean metric; elements off
    the diagonal count sqrt(2), so that distances are those of the matrices.

    windows (n, n_channels, size)
    floor (n_channels,): Power added to the diagonal: a flat channel has a logarithm, too.
    """
    size = max(1, windows.shape[-1])  # a window of one sample has no steps
    covariance = windows @ windows.swapaxes(1, 2) / size + np.diag(floor)
    values, vectors = np.linalg.eigh(covariance)
    logs = np.log(np.maximum(values, np.finfo(float).tiny))
    matrix = (vectors * logs[:, np.newaxis]) @ vectors.swapaxes(1, 2)
    i, j = np.triu_indices(windows.shape[1])
    return matrix[:, i, j] * np.where(i == j, 1.0, np.sqrt(2.0))
