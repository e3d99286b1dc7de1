"""From MNE epochs to the X and y of an encoder."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np

from .._checks.mne_objects import unwrap_mne
from .._repr import short_repr
from ..rows import pack_rows

if TYPE_CHECKING:
    from typing import Literal

    from .._typing import Epochs


@dataclass
class EncodingData:
    """What :func:`epochs_to_xy` returns.

    Attributes
    ----------
    X : ndarray of shape (n_trials, n_rows, n_times)
        Stimulus features, subject index (with several subjects), initial MEG.
    y : ndarray of shape (n_trials, n_channels, n_times)
        The recording in SI units.
    rows : dict
        ``subject_row``, ``initial_rows``, ``n_initial`` and ``mask_row`` for the encoders.
    subjects : ndarray of shape (n_trials,)
        Index into `subject_names`.
    subject_names : list of str
    times : ndarray of shape (n_times,)
        Seconds from stimulus onset.
    info : mne.Info
        The channels of y.
    feature_names : list of str
        The first rows of X.
    """

    X: np.ndarray
    y: np.ndarray
    rows: dict
    subjects: np.ndarray
    subject_names: list
    times: np.ndarray
    info: object
    feature_names: list

    __repr__ = short_repr

    @property
    def sfreq(self):
        """Samples per second, Hz."""
        return float(self.info["sfreq"])


def epochs_to_xy(
    epochs: Epochs | list[Epochs],
    features: str | list[str] | None = None,
    *,
    shape: Literal["boxcar", "impulse"] = "boxcar",
    duration: float = 0.25,
    initial: float | None = None,
    subject_column: str | None = None,
    subject_row: bool = True,
    resample: float | None = None,
    names: list[str] | None = None,
) -> EncodingData:
    """Build X and y of an encoder from epochs around stimuli at time 0.

    Parameters
    ----------
    epochs : Epochs or list of Epochs
        Several are one subject each, with the same channels, times and sampling rate. Put runs
        of one subject together before (``mne.concatenate_epochs``), or name `subject_column`.
        Good data channels are used, in the order of the first.
    features : str or list of str, default=None
        Numeric columns of ``epochs.metadata``. Each becomes a row, z-scored over all trials;
        a row "onset", the same in every trial, is put before them. The scaling knows the
        stimuli of all trials, never the recording. None makes one row per event type.
    shape : {"boxcar", "impulse"}, default="boxcar"
        Time course of a feature: its value for `duration` seconds from time 0 on, or in the
        sample nearest to time 0 alone.
    duration : float, default=0.25
        Length of the boxcar in seconds.
    initial : float, default=None
        Seconds from the start of the epoch that encoders may know. None means up to time 0;
        0 means nothing.
    subject_column : str, default=None
        Column of the metadata that names the subject.
    subject_row : bool, default=True
        Whether X holds the subject index (with several subjects). Leave it out to predict
        subjects that were not trained on.
    resample : float, default=None
        New sampling rate in Hz; recordings of different rates become alike.
    names : list of str, default=None
        Names of `epochs` in errors, and of their subjects. None numbers them.

    Returns
    -------
    data : EncodingData

    Raises
    ------
    ValueError
        If there are no epochs; channels, times or rates differ; time 0 is outside; a column
        does not exist, is named twice, is not numeric, holds NaN or never changes; two epochs
        have one name; a number is none; or the initial window is not shorter than the epoch.

    Examples
    --------
    >>> import mne
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sklearn_meg.encoding import epochs_to_xy
    >>> rng = np.random.default_rng(0)
    >>> info = mne.create_info(3, 40.0, "eeg")
    >>> epochs = mne.EpochsArray(
    ...     1e-6 * rng.normal(size=(20, 3, 60)), info, tmin=-0.5, verbose=False,
    ...     metadata=pd.DataFrame({"length": rng.integers(2, 9, 20)}),
    ... )
    >>> data = epochs_to_xy(epochs, features="length")
    >>> data.X.shape, data.feature_names, data.rows["n_initial"]
    ((20, 5, 60), ['onset', 'length'], 20)
    """
    epochs = [epochs] if hasattr(epochs, "drop_log") or not np.iterable(epochs) else list(epochs)
    names = _check_names(names, len(epochs))
    features = _check_features(features)
    duration = _check_number(duration, "duration", "seconds")
    initial = None if initial is None else _check_number(initial, "initial", "seconds", zero=True)
    _check_epochs(epochs, names)
    if resample is not None:
        resample = _check_number(resample, "resample", "Hz")
        epochs = [e.copy().load_data().resample(resample, verbose="error") for e in epochs]
    _check_same(epochs, names)
    epochs = _same_order(epochs)
    times, sfreq = epochs[0].times, epochs[0].info["sfreq"]
    values, feature_names = _feature_values(epochs, features, names)
    course = _time_course(times, sfreq, shape, duration)
    n_initial = _initial_samples(times, sfreq, initial)
    subjects, subject_names = _subjects(epochs, subject_column, names)
    y = np.concatenate([unwrap_mne(e) for e in epochs])
    X, rows = pack_rows(
        values[:, :, np.newaxis] * course,
        subjects=subjects if subject_row and len(subject_names) > 1 else None,
        initial=y if n_initial else None,
        n_initial=n_initial or None,
    )
    info = _good_info(epochs[0])
    return EncodingData(X, y, rows, subjects, subject_names, times, info, feature_names)


def _check_names(names, n_epochs):
    if names is None:
        return [f"epochs[{i}]" for i in range(n_epochs)]
    names = [names] if isinstance(names, str) else [str(name) for name in names]
    if len(names) != n_epochs or len(set(names)) < n_epochs:
        raise ValueError(
            f"names must give each of the {n_epochs} epochs a name of its own. "
            f"Got {', '.join(names)}."
        )
    return names


def _check_features(features):
    if features is None or isinstance(features, str):
        return [features] if features else []
    if not np.iterable(features):
        raise ValueError(f"features must be names of metadata columns. Got {features!r}.")
    features = [str(f) if isinstance(f, str) else f for f in features]  # no numpy strings
    twice = sorted({str(f) for f in features if features.count(f) > 1})
    if twice:
        raise ValueError(f"features must name each column once. Got twice: {', '.join(twice)}.")
    return features


def _check_number(value, name, unit, zero=False):
    good = isinstance(value, Real) and not isinstance(value, bool) and np.isfinite(value)
    if not good or value < 0 or (value == 0 and not zero):
        kind = "number of at least 0" if zero else "positive number"
        raise ValueError(f"{name} must be a {kind}, in {unit}. Got {value!r}.")
    return float(value)


def _check_epochs(epochs, names):
    if not epochs:
        raise ValueError("There are no epochs.")
    for one, name in zip(epochs, names):
        if not hasattr(one, "drop_log") or not hasattr(one, "info"):
            raise ValueError(f"{name} must be MNE Epochs. Got {type(one).__name__}.")
        if len(one) == 0 or len(one.events) == 0:
            raise ValueError(f"{name} has no epochs (no events, or all were dropped).")
        if not one.times[0] <= 0 <= one.times[-1]:
            raise ValueError(
                f"{name} must contain the stimulus at 0 s. It goes from {one.times[0]:g} to "
                f"{one.times[-1]:g} s."
            )


def _check_same(epochs, names):
    first = epochs[0]
    channels = _good_info(first)["ch_names"]
    for one, name in zip(epochs[1:], names[1:]):
        rates = first.info["sfreq"], one.info["sfreq"]
        if rates[0] != rates[1]:
            raise ValueError(
                f"All recordings must have one sampling rate. {names[0]} has {rates[0]:g} Hz, "
                f"{name} has {rates[1]:g} Hz. (Resampling gives them the same.)"
            )
        if len(first.times) != len(one.times) or not np.allclose(first.times, one.times):
            raise ValueError(
                "All epochs must have the same times. "
                f"{names[0]} goes from {first.times[0]:g} to {first.times[-1]:g} s, "
                f"{name} from {one.times[0]:g} to {one.times[-1]:g} s."
            )
        others = _good_info(one)["ch_names"]
        if sorted(others) != sorted(channels):
            only = [sorted(set(a) - set(b)) for a, b in ((channels, others), (others, channels))]
            raise ValueError(
                "All epochs must have the same good data channels. "
                f"{names[0]} has {len(channels)} ({_few(only[0])}), "
                f"{name} has {len(others)} ({_few(only[1])}). Interpolate bad channels "
                "(epochs.interpolate_bads()), or drop them everywhere."
            )


def _same_order(epochs):
    """Epochs with the good data channels in the order of the first."""
    channels = _good_info(epochs[0])["ch_names"]
    return [
        one
        if _good_info(one)["ch_names"] == channels
        else one.copy().load_data().reorder_channels(channels)
        for one in epochs
    ]


def _few(channels):
    if not channels:
        return "none of its own"
    return "alone: " + ", ".join(channels[:5]) + (" ..." if len(channels) > 5 else "")


def _feature_values(epochs, features, names):
    """Value of each feature in each trial, (n_trials, n_features), and the feature names."""
    if not features:
        return _event_types(epochs)
    columns = []
    for feature in features:
        column = np.concatenate([_numeric(e, feature, n) for e, n in zip(epochs, names)])
        if column.std() == 0:
            raise ValueError(
                f"The metadata column {feature!r} is {column[0]:g} in every trial: it cannot "
                "explain how trials differ."
            )
        columns.append((column - column.mean()) / column.std())
    return np.stack([np.ones(len(columns[0])), *columns], axis=1), ["onset", *features]


def _event_types(epochs):
    """One 0/1 column per event type."""
    labels = []
    for one in epochs:
        name_of = {code: name for name, code in one.event_id.items()}
        labels += [name_of.get(code, str(code)) for code in one.events[:, 2]]
    labels = np.array(labels)
    types = sorted(set(labels.tolist()))
    return (labels[:, np.newaxis] == types).astype(float), types


def _column(epochs, column, name):
    if epochs.metadata is None:
        raise ValueError(f"{name} has no metadata, so no column {column!r}.")
    if column not in epochs.metadata:
        raise ValueError(
            f"{name} has no metadata column {column!r}. It has: "
            f"{', '.join(map(str, epochs.metadata.columns))}."
        )
    return epochs.metadata[column]


def _numeric(epochs, column, name):
    from pandas.api.types import is_numeric_dtype

    values = _column(epochs, column, name)
    if not is_numeric_dtype(values):
        raise ValueError(
            f"The metadata column {column!r} of {name} must be numeric. Got {values.iloc[0]!r}, in "
            f"a column of type {values.dtype}. pandas.get_dummies makes a numeric column of each "
            "category, pandas.to_numeric numbers of text."
        )
    values = values.to_numpy(dtype=float, na_value=np.nan)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise ValueError(
            f"The metadata column {column!r} of {name} has NaN or infinity in {len(bad)} of "
            f"{len(values)} epochs (first: epoch {bad[0]}). Drop these epochs: "
            f"epochs[epochs.metadata[{column!r}].notna()]."
        )
    return values


def _time_course(times, sfreq, shape, duration):
    if shape not in ("boxcar", "impulse"):
        raise ValueError(f"shape must be 'boxcar' or 'impulse'. Got {shape!r}.")
    onset = int(np.argmin(np.abs(times)))
    length = 1 if shape == "impulse" else max(1, round(min(duration * sfreq, len(times))))
    course = np.zeros(len(times))
    course[onset : onset + length] = 1.0
    return course


def _initial_samples(times, sfreq, initial):
    if initial is None:
        return int(np.sum(times < -0.5 / sfreq))
    n_initial = round(initial * sfreq)
    if n_initial >= len(times):
        raise ValueError(
            f"The initial window must be shorter than the epoch, which has "
            f"{len(times) / sfreq:g} s. Got {initial:g} s."
        )
    return n_initial


def _subjects(epochs, column, names):
    if column is None:
        counts = [len(e) for e in epochs]
        return np.repeat(np.arange(len(epochs)), counts), names
    labels = np.concatenate([_column(e, column, n).to_numpy() for e, n in zip(epochs, names)])
    labels = labels.astype(str)
    if any(label in ("nan", "None", "", "<NA>") for label in labels):
        raise ValueError(f"The subject column {column!r} is empty in some epochs.")
    subject_names, subjects = np.unique(labels, return_inverse=True)
    return subjects, subject_names.tolist()


def _good_info(epochs):
    from mne import pick_info

    from .._checks.mne_objects import good_data_channels

    return pick_info(epochs.info, good_data_channels(epochs.info), copy=True)
