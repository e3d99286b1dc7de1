"""Small steps from what was given to the inverse problem: channels, single trials, noise."""

import numpy as np


def check_not_constant(fields):
    if fields.size and fields.max() == fields.min() and (fields.size > 1 or not fields.any()):
        raise ValueError(
            f"y must vary: a constant has no sources. Got {fields.flat[0]:g} everywhere "
            f"(n_samples={len(fields)})."
        )


def without_bads(used, info):
    """Bad channels of an array y: not fitted, like missing ones."""
    if info is None or not info["bads"]:
        return used
    return used & np.array([name not in info["bads"] for name in info["ch_names"]])


def check_info(info, y):
    if info is None:
        return
    if not isinstance(info, dict) or "ch_names" not in info:
        raise TypeError(f"info must be an mne.Info or None. Got {type(info).__name__}.")
    if y.ndim != 3 or y.shape[1] != len(info["ch_names"]):
        raise ValueError(
            f"info must name the channels of y (n_trials, n_channels, n_times). Got "
            f"{len(info['ch_names'])} names for y of shape {y.shape}."
        )


def pick(fields, used, info, picks):
    if len(picks) == fields.shape[1]:
        return fields, used, info
    from mne import pick_info

    return fields[:, picks], used[picks], pick_info(info, picks)


def index_of(names, wanted):
    missing = [name for name in wanted if name not in names]
    if missing:
        raise ValueError(f"y lacks {len(missing)} fitted channel(s): {', '.join(missing[:20])}.")
    return [names.index(name) for name in wanted]


def trials_cov(fields, nave, start):
    """Mean square over rows and samples from `start` on, of single-trial size."""
    cov, n_samples = np.zeros((fields.shape[1],) * 2), 0
    for row, weight in zip(fields, nave):
        part = np.asarray(row[:, start:], dtype=np.float64)
        cov += weight * (part @ part.T)
        n_samples += part.shape[1]
    return cov / n_samples


def deviations(covariance, info):
    import mne

    picked = mne.cov.pick_channels_cov(covariance, info["ch_names"], ordered=True, verbose="error")
    return np.sqrt(picked.data if picked["diag"] else np.diag(picked.data))


def fill_scale(deviation, used):
    """Noise of each channel; the median of the others where it is not known or 0."""
    scale = np.zeros(len(used))
    scale[used] = deviation
    return np.where(scale > 0, scale, np.median(scale[scale > 0]))
