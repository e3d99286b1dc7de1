"""From trials, averages and MNE objects to the events and fields of each condition."""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from .._checks.copies import doubt_copies, trial_key
from .._checks.mne_objects import good_data_channels, has_mne_mark, join_epochs, unwrap_mne
from .._checks.trials import check_targets

if TYPE_CHECKING:
    from .._typing import Epochs, Evoked

MISSING_Y = (
    "This estimator requires y to be passed, but the target y is None. (Fields without event time "
    "courses are y, too: fit(None, fields).)"
)


@dataclass(frozen=True)
class Recording:
    """Fields as they came, row by row.

    fields (n_rows, n_channels, n_times) or flat: Fields in the order of `ch_names`.
    nave (n_rows,): Trials in each row.
    names (list of str): Condition of each row.
    times (n_times,) or None: Times in s, from MNE objects.
    info (mne.Info or None): Info of the channels of `fields`.
    weights (n_rows,) or None: Weight of each row, as given by the user.
    """

    fields: Any
    nave: np.ndarray
    names: list
    times: Any = None
    info: Any = None
    weights: Any = None


def weigh_rows(weights, fields, X, recording, names):
    """Leave out rows of weight 0, and keep the weights of the others.

    Returns fields, X (ndarray), recording (Recording)
    and names (list of str or None): Names of the conditions that are left.
    """
    kept = np.flatnonzero(weights)
    labels = group_rows(X)[1][kept]
    order = labels[np.sort(np.unique(labels, return_index=True)[1])]
    names = names if names is None else [names[label] for label in order]
    recording = replace(recording, nave=recording.nave[kept], weights=weights[kept])
    return fields[kept], X[kept], recording, names


def merge_copies(fields, X, recording):
    """Count rows that are copies of another one of their condition as the same row again.

    They show no noise of their own: what trials differ by is that of the rows that are not alike.
    Where the first sample is 0 in all channels, nothing was measured: simulated rows without noise
    are alike, and stay, as do rows of a single sample, which are no recordings.

    Returns fields, X (ndarray)
    and recording (Recording): Copies are weights.
    """
    labels = group_rows(X)[1]
    if fields.ndim != 3 or fields.shape[2] < 2 or np.bincount(labels).max() < 2:
        return fields, X, recording
    measured = fields[:, :, 0].any(axis=1)
    keys = [b"%d %s" % (labels[row], trial_key(fields[row])) for row in range(len(fields))]
    keys = [key if real else b"row %d" % row for row, (key, real) in enumerate(zip(keys, measured))]
    first = {key: row for row, key in reversed(list(enumerate(keys)))}
    if len(first) == len(keys):
        return fields, X, recording
    doubt_copies(np.array(keys), measured, "trials")
    kept = np.sort(list(first.values()))
    weights = np.ones(len(keys)) if recording.weights is None else recording.weights
    total = np.zeros(len(keys))
    np.add.at(total, [first[key] for key in keys], weights)
    recording = replace(recording, nave=recording.nave[kept], weights=total[kept])
    return fields[kept], X[kept], recording


def make_events(n_conditions: int, n_times: int, onset: int) -> np.ndarray:
    """Event time courses for fields alone: one step for each condition, 1 from the onset on.

    Condition *i* has its own event: row *i* of its events is 0 before the onset and 1 from there
    on, the other rows are 0.

    Parameters
    ----------
    n_conditions, n_times : int
    onset : int
        Sample at which the event starts, from 0 to ``n_times - 1``. At 0 there is no baseline, and
        no change that :class:`RNNSourceSolver` could follow.

    Returns
    -------
    events : ndarray of shape (n_conditions, n_conditions, n_times)
        ``(n_conditions, n_events, n_times)`` with as many events as conditions.

    Raises
    ------
    ValueError, TypeError
        If a number is not an int, or the onset is outside the window.

    Examples
    --------
    >>> from sklearn_meg.source import make_events
    >>> make_events(2, 4, onset=2)
    array([[[0., 0., 1., 1.],
            [0., 0., 0., 0.]],
    <BLANKLINE>
           [[0., 0., 0., 0.],
            [0., 0., 1., 1.]]])
    """
    for name, value in (("n_conditions", n_conditions), ("n_times", n_times)):
        if not isinstance(value, Integral) or value < 1:
            raise ValueError(f"{name} must be an int of at least 1. Got {value!r}.")
    check_onset(onset, n_times)
    events = np.zeros((n_conditions, n_conditions, n_times))
    rows = np.arange(n_conditions)
    events[rows, rows, onset:] = 1.0
    return events


def check_onset(onset, n_times):
    """Raise if the onset is not a sample of the window."""
    if not isinstance(onset, Integral) or isinstance(onset, bool):
        raise TypeError(f"onset must be an int, the sample of the event. Got {onset!r}.")
    if not 0 <= onset < n_times:
        raise ValueError(
            f"onset must be a sample of the window, from 0 to {n_times - 1}. Got {onset}."
        )


def fields_to_xy(
    data: Evoked | list[Evoked] | Epochs, onset: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Event time courses and fields of MNE objects, as arrays for cross-validation.

    Parameters
    ----------
    data : Evoked, list of Evoked or Epochs
        Good data channels are taken. Each Evoked, or each event name of the Epochs, is one
        condition.
    onset : int or None, default=None
        Sample of the event; None: time 0.

    Returns
    -------
    X : ndarray of shape (n_rows, n_conditions, n_times)
        See :func:`make_events`; rows of one condition are equal.
    y : ndarray of shape (n_rows, n_channels, n_times)
        Fields in SI units. Give ``data.info`` to the estimator, so that names and projections are
        known.

    Raises
    ------
    ValueError
        If time 0 or the onset is outside the window.

    Examples
    --------
    >>> import mne
    >>> import numpy as np
    >>> from sklearn_meg.source import fields_to_xy
    >>> info = mne.create_info(4, 100.0, "mag")
    >>> evoked = mne.EvokedArray(np.ones((4, 20)), info, tmin=-0.1)
    >>> X, y = fields_to_xy([evoked, evoked])
    >>> X.shape, y.shape
    ((2, 2, 20), (2, 4, 20))
    """
    recording = read_mne(data)
    if recording is None:
        raise ValueError(
            f"data must be Evoked, a list of Evoked or Epochs. Got {type(data).__name__}."
        )
    onset = onset_of(recording, onset, recording.fields.shape[2])
    return events_of(recording.names, recording.fields.shape[2], onset)[0], recording.fields


def is_mne(data):
    """Whether data is Evoked, a list of Evoked, or Epochs (Raw is refused later)."""
    first = data[0] if isinstance(data, list | tuple) and data else data
    return any(has_mne_mark(first, mark) for mark in ("comment", "drop_log", "first_samp"))


def read_mne(data):
    """Read an MNE object into a Recording; None for anything else.

    Raises ValueError for a Raw, Evokeds that differ or are standard errors, Epochs without a
        trial, or no good data channel.
    """
    if not is_mne(data):
        return None
    data = join_epochs(data)
    fields = unwrap_mne(data)
    if not len(fields):
        raise ValueError("The Epochs hold no trial: all were dropped, or none was selected.")
    if has_mne_mark(data, "drop_log"):
        code_names = {code: name for name, code in data.event_id.items()}
        names = [code_names[code] for code in data.events[:, 2]]
        nave, first = np.ones(len(fields)), data
    else:
        evokeds = list(data) if isinstance(data, list | tuple) else [data]
        names = [evoked.comment or "" for evoked in evokeds]
        if len(set(names)) < len(names):
            names = [f"condition {index}" for index in range(len(names))]
        nave, first = np.array([float(evoked.nave) for evoked in evokeds]), evokeds[0]
        _check_evokeds(evokeds)
    from mne import pick_info

    info = pick_info(first.info, good_data_channels(first.info))
    return Recording(fields, nave, names, np.array(first.times), info)


def _check_evokeds(evokeds):
    bads = {tuple(sorted(evoked.info["bads"])) for evoked in evokeds}
    if len(bads) > 1:
        raise ValueError(
            "The Evoked objects of a list must have the same bad channels. Got "
            + " and ".join(str(list(names)) for names in sorted(bads))
        )
    first = evokeds[0].times  # as many samples as the others, as was checked before
    for evoked in evokeds[1:]:
        if np.abs(evoked.times - first).max() > 0.5 / evokeds[0].info["sfreq"]:
            raise ValueError(
                "The Evoked objects of a list must have the same times. Got "
                f"{first[0]:g} to {first[-1]:g} s and {evoked.times[0]:g} to "
                f"{evoked.times[-1]:g} s."
            )
    if any(evoked.kind == "standard_error" for evoked in evokeds):
        raise ValueError("Evoked objects must be averages. Got a standard error.")


def onset_of(recording, onset, n_times):
    """Sample of the event: the parameter, or time 0 of MNE objects."""
    if onset is None:
        if recording.times is None:
            raise ValueError(
                "Without event time courses (X=None) arrays need onset, the sample of the event. "
                "Got onset=None."
            )
        times = recording.times
        step = times[1] - times[0] if len(times) > 1 else 1.0
        if not times[0] - step / 2 <= 0 <= times[-1] + step / 2:
            raise ValueError(
                "The onset, time 0, is outside the window of the data, "
                f"{times[0]:g} to {times[-1]:g} s. Give onset as a sample, or event time courses."
            )
        onset = int(np.argmin(np.abs(times)))
    check_onset(onset, n_times)
    return onset


def events_of(names, n_times, onset):
    """Events of each row, and the condition names in the order of their events."""
    conditions = list(dict.fromkeys(names))
    rows = np.array([conditions.index(name) for name in names])
    return make_events(len(conditions), n_times, onset)[rows], conditions


def split_missing(y):
    """Set channels that are NaN throughout to 0.

    y (n_rows, n_channels, n_times) or with fewer dimensions
    Returns y (ndarray): The same object if nothing is missing.
    and used (n_channels,) bool or None: None for y with fewer dimensions, where missing
        channels are not supported.
    Raises ValueError if all channels are missing.
    """
    if not isinstance(y, np.ndarray) or y.ndim != 3 or y.dtype.kind != "f" or not y.size:
        return y, None
    missing = np.isnan(y[:, :, 0]).all(axis=0)
    for channel in np.flatnonzero(missing):
        missing[channel] = np.isnan(y[:, channel]).all()
    if missing.all():
        raise ValueError("Input y contains NaN only: no channel is left to fit.")
    if missing.any():
        y = np.where(missing[:, np.newaxis], 0.0, y)
    return y, ~missing


def check_fields(y, X):
    """Check fields that go with events: `check_targets`, with missing channels.

    Returns y (n_rows, n_channels, n_times): 0 in missing channels.
    and used (n_channels,) bool, ndim (int)
    """
    if y is None:
        raise ValueError(MISSING_Y)
    y, used = split_missing(y if hasattr(y, "shape") else np.asarray(y))
    y, ndim = check_targets(y, X)
    return y, np.ones(y.shape[1], dtype=bool) if used is None else used, ndim


def group_rows(events):
    """Find the conditions: rows whose events are equal.

    events (n_rows, n_events, n_times)
    Returns first (n_conditions,) int: First row of each condition, in order of appearance.
    and labels (n_rows,) int: Condition of each row.
    """
    seen, first, labels = {}, [], np.empty(len(events), dtype=int)
    for row, key in enumerate(map(row_key, events)):
        if key not in seen:
            seen[key] = len(first)
            first.append(row)
        labels[row] = seen[key]
    return np.array(first), labels


def row_key(row):
    """Bytes that are equal where the values are (0.0 and -0.0 are)."""
    return (np.asarray(row, dtype=np.float64) + 0.0).tobytes()


def average(fields, nave, labels):
    """Average rows by label, weighted by their number of trials.

    Returns means (n_labels, n_channels, n_times), totals (n_labels,)
    """
    n_labels = labels.max() + 1
    totals = np.bincount(labels, weights=nave, minlength=n_labels)
    means = np.zeros((n_labels, *fields.shape[1:]))
    for row, (label, weight) in enumerate(zip(labels, nave)):
        means[label] += fields[row] * (weight / totals[label])
    return means, totals


def half_difference(fields, nave, labels):
    """Every other trial minus the rest, scaled to the noise of one trial.

    Returns difference (n_labels, n_channels, n_times) or None: None if a condition has a single
        row.
    """
    n_labels = labels.max() + 1
    if np.bincount(labels).min() < 2:
        return None
    half = np.empty(len(labels), dtype=int)
    for label in range(n_labels):
        rows = np.flatnonzero(labels == label)
        half[rows] = np.arange(len(rows)) % 2
    means, totals = average(fields, nave, 2 * labels + half)
    scale = np.sqrt(1 / totals[::2] + 1 / totals[1::2])
    return (means[::2] - means[1::2]) / scale[:, np.newaxis, np.newaxis]


def first_change(events):
    """First sample at which an event of any condition changes; None if none ever does."""
    changes = np.flatnonzero((events != events[:, :, :1]).any(axis=(0, 1)))
    return int(changes[0]) if len(changes) else None


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


def trials_cov(fields, nave, start, weights=None):
    """Mean square over weighted rows and samples from `start` on, of single-trial size."""
    weights = np.ones(len(fields)) if weights is None else weights
    cov, n_samples = np.zeros((fields.shape[1],) * 2), 0.0
    for row, weight, counts in zip(fields, nave, weights):
        part = np.asarray(row[:, start:], dtype=np.float64)
        cov += weight * (part @ part.T)
        n_samples += counts * part.shape[1]
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
