"""MNE objects to arrays."""

from __future__ import annotations

from numbers import Real

import numpy as np

from .containers import as_numpy


def unwrap_mne(data):
    """Return the array inside an MNE object or a tensor, anything else unchanged.

    data (Epochs, EpochsArray, Evoked, list of Evoked or of Epochs, or anything): Good data
        channels (MEG, EEG, sEEG, ECoG, ...) are picked, in SI units. A list of Epochs is what
        scikit-learn makes of Epochs when it takes some trials of them.
    Returns data (n_trials, n_channels, n_times) or the object itself
    Raises ValueError for a Raw, or for Evokeds that differ.
    """
    if is_mne_list(data):
        shapes = {(tuple(each.ch_names), len(each.times)) for each in data}
        if len(shapes) > 1:
            raise ValueError(
                "The MNE objects of a list must share channels and times. Got "
                + ", ".join(f"{len(e.ch_names)} channels x {len(e.times)} samples" for e in data)
            )
        return np.concatenate([unwrap_mne(each) for each in data])
    if has_mne_mark(data, "drop_log"):  # Epochs of any kind
        return data.get_data(picks=good_data_channels(data.info), verbose="error")
    if has_mne_mark(data, "comment"):  # Evoked
        return data.data[good_data_channels(data.info)][np.newaxis]
    if has_mne_mark(data, "first_samp"):
        raise ValueError(
            f"Epochs or arrays of trials are expected. Got {type(data).__name__}, a continuous "
            "recording: cut raw.get_data() with sklearn_meg.cut_windows, or make mne.Epochs."
        )
    return as_numpy(data)


def check_rate(estimator, data):
    """Reject MNE objects sampled at another rate than the `sfreq` of an estimator.

    Raises ValueError if both rates are known and differ.
    """
    sfreq = getattr(estimator, "sfreq", None)
    first = data[0] if isinstance(data, list | tuple) and len(data) else data
    if not isinstance(sfreq, Real) or sfreq == 1 or not has_mne_mark(first, "info"):
        return  # 1: all is told in samples
    rate = float(first.info["sfreq"])
    if abs(sfreq - rate) > 1e-3 * rate:
        raise ValueError(
            f"The 'sfreq' parameter of {type(estimator).__name__} must be the sampling rate of the "
            f"data, which is {rate:g} Hz (info['sfreq']). Got {sfreq:g}."
        )


def is_mne_list(data):
    """Whether data are a list of Evoked or of Epochs."""
    first = data[0] if isinstance(data, list | tuple) and len(data) else None
    return any(has_mne_mark(first, mark) for mark in ("comment", "drop_log"))


def join_epochs(data):
    """Epochs of a list of Epochs, anything else unchanged."""
    if not is_mne_list(data) or not has_mne_mark(data[0], "drop_log"):
        return data
    from mne import concatenate_epochs

    return concatenate_epochs(list(data), verbose="error")


def has_mne_mark(data, mark):
    return hasattr(data, "info") and hasattr(data, "ch_names") and hasattr(data, mark)


def good_data_channels(info):
    from mne import pick_types

    kinds = dict.fromkeys(("meg", "eeg", "seeg", "ecog", "dbs", "fnirs"), True)
    picks = pick_types(info, ref_meg=False, exclude="bads", **kinds)
    if not len(picks):  # muscles alone; beside a brain they are not data
        picks = pick_types(info, emg=True, exclude="bads")
    if not len(picks):
        raise ValueError(
            "The MNE object has no good data channel (MEG, EEG, sEEG, ECoG, fNIRS, EMG)."
        )
    return picks
