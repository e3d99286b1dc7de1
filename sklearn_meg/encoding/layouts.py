"""From the layouts of other toolboxes to trials on axis 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .._typing import ArrayLike


def to_trials(data: ArrayLike | list[ArrayLike]) -> np.ndarray | list[np.ndarray]:
    """Turn arrays with time on axis 0 into trials with time last.

    This is the layout of mTRFpy and of :class:`mne.decoding.ReceptiveField`; use it for stimulus
    features and responses alike.

    Parameters
    ----------
    data : array-like of shape (n_samples,), (n_samples, n_features) or \
            (n_times, n_epochs, n_features), or list of arrays (n_samples_i, n_features)
        One continuous recording, epochs, or a list of recordings or trials.

    Returns
    -------
    trials : ndarray of shape (n_trials, n_features, n_times)
        One trial if the data are continuous. Of a list whose members have unequal lengths a list
        of arrays (n_features, n_samples_i), which :func:`~sklearn_meg.pack_rows` and
        :func:`~sklearn_meg.pad_trials` take. No data are copied from a single array.

    Raises
    ------
    ValueError
        If the data are no numbers, have other dimensions, or the members of a list differ in
        their features.

    See Also
    --------
    cut_windows : Cuts a continuous recording into trials to cross-validate.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg import TemporalReceptiveField, to_trials
    >>> rng = np.random.default_rng(0)
    >>> sounds = [rng.normal(size=(100, 1)) for _ in range(5)]  # as mTRFpy has them
    >>> meg = [rng.normal(size=(100, 4)) for _ in range(5)]
    >>> to_trials(sounds).shape, to_trials(meg).shape
    ((5, 1, 100), (5, 4, 100))
    >>> trf = TemporalReceptiveField(tmax=10).fit(to_trials(sounds), to_trials(meg))
    >>> to_trials(rng.normal(size=(3000, 4))).shape  # continuous
    (1, 4, 3000)
    """
    if isinstance(data, list | tuple) and any(np.ndim(part) for part in data):
        parts = [_one(part, i) for i, part in enumerate(data)]
        widths = sorted({len(part) for part in parts})
        if len(widths) > 1:
            raise ValueError(
                "All members of data must have the same features, shape (n_samples_i, n_features)."
                f" Got {', '.join(map(str, widths))} features."
            )
        return np.array(parts) if len({part.shape for part in parts}) == 1 else parts
    array = np.asarray(data)
    if array.ndim == 3:
        return _numbers(array, "data").transpose(1, 2, 0)
    return _one(array)[np.newaxis]


def _one(part, index=None):
    """One recording (n_samples, n_features) as (n_features, n_samples)."""
    name = "data" if index is None else f"data[{index}]"
    array = _numbers(np.asarray(part), name)
    array = array[:, np.newaxis] if array.ndim == 1 else array
    if array.ndim != 2:
        raise ValueError(
            f"{name} must have the shape (n_samples, n_features)"
            f"{', or (n_times, n_epochs, n_features)' if index is None else ''}. "
            f"Got {array.shape}."
        )
    return array.T


def _numbers(array, name):
    if array.dtype.kind not in "biuf" or array.size == 0:
        raise ValueError(
            f"{name} must hold real numbers. Got the shape {array.shape} and type {array.dtype}."
        )
    return array
