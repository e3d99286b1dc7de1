"""What is doubtful about the data of a study: leaks between folds, units, channels, times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._checks.assumptions import warn_assumption
from .._checks.copies import trial_keys
from .._checks.trials import pieces, trials_per_chunk
from .channels import few
from .checks import is_responses


@dataclass(frozen=True)
class Settings:
    """Limits beyond which data are doubtful.

    units: Ratio of the amplitudes of two subjects. Recordings of one lab differ by less than 10;
        units by 1000 or more.
    channels: Amplitude of a channel over the median of its type. Eye channels reach 5 to 10.
    odd_share: Share of channels that can be odd, where their types are not known: more are another
        type.
    least_channels: Fewer channels could agree by chance.
    least_values: Trials of fewer values could be the same by chance.
    least_shared: Fewer shared values could be the same by chance, in recordings of few digits.
    drift: Correlation of a feature with itself a trial later, in standard errors. (Of 1000
        features without drift, 1 is beyond 3.)
    bytes_at_once: Trials that are looked at together; their copies in double precision are larger.
    stretch: Test trials that follow each other, on average; fewer have the drift of their
        neighbors. Of features and responses with a spectrum of 1/f, of 3 subjects in shuffled
        folds, 55 % are taken for related without slow trends, and 94 % with them.
    """

    units: float = 100.0
    channels: float = 20.0
    odd_share: float = 0.1
    least_channels: int = 3
    least_values: int = 8
    least_shared: int = 12
    drift: float = 3.0
    stretch: float = 4.0
    bytes_at_once: int = 2**22


SETTINGS = Settings()


@dataclass(frozen=True)
class Look:
    """One look at all that was measured.

    keys (n_trials,): Hash of each trial.
    amplitude (n_trials, n_channels) or None: Standard deviation over time; None without channels
        and times.
    overlaps (n, 2) int: Pairs of trials of which the first begins within the second.
    few_values: Whether trials hold so few values that they can be alike by chance.
    """

    keys: np.ndarray
    amplitude: np.ndarray | None
    overlaps: np.ndarray
    few_values: bool = False


def look_at(X, y):
    """Look once at y if it holds responses, otherwise at X, a piece at a time."""
    measured = y if is_responses(y) else X
    keys, none = trial_keys(measured), np.empty((0, 2), dtype=int)
    if measured[0].size < SETTINGS.least_values:
        return Look(keys, None, none, few_values=True)
    if measured.ndim != 3 or measured.shape[2] < 2:
        return Look(keys, None, none)
    few_trials = trials_per_chunk(measured, SETTINGS.bytes_at_once)
    parts = pieces(measured, few_trials)
    amplitude = [np.std(measured[part], axis=2, dtype=float) for part in parts]
    return Look(keys, np.concatenate(amplitude), _overlaps(measured))


def _overlaps(measured):
    """Pairs (i, j): trial i begins within trial j, the same sample for sample in every channel."""
    n_channels = measured.shape[1]
    if n_channels < SETTINGS.least_channels:
        return np.empty((0, 2), dtype=int)
    # A piece at a time: the first samples of all trials lie on every page of a mapped file.
    starts = np.concatenate([measured[part, :, 0] for part in pieces(measured)])
    begun = {}
    for trial, sample in enumerate(starts):
        if sample.any():
            begun.setdefault(sample.tobytes(), trial)
    found = []
    for part in pieces(measured, trials_per_chunk(measured, SETTINGS.bytes_at_once)):
        piece = np.asarray(measured[part])
        trials, times = np.nonzero(np.isin(piece[:, 0, 1:], starts[:, 0]))
        for trial, time in zip(trials.tolist(), times.tolist()):
            first = begun.get(np.ascontiguousarray(piece[trial, :, time + 1]).tobytes())
            if first is None or first == trial + part.start:
                continue
            shared = piece[trial, :, time + 1 :]
            if shared.size >= SETTINGS.least_shared and _goes_on(shared, measured[first]):
                found.append((first, trial + part.start))
    return np.array(found, dtype=int).reshape(-1, 2)


def drifting_features(data, parts):
    """Names of features that drift over trials, where test trials lie among training trials.

    What drifts in the response then goes with what drifts in the feature, by chance, and no
    exchange of test trials shows it.
    """
    if parts is None or data.X.ndim != 3 or not _are_scattered(data.splits, data.subjects):
        return []
    return [name for name, rows in parts.features.items() if _drifts(data, rows)]


def _drifts(data, rows):
    """Whether neighboring trials of a subject have more alike values than others."""
    values = np.concatenate(
        [np.asarray(data.X[part][:, rows]).mean(axis=2, dtype=float) for part in pieces(data.X)]
    )
    products, squares, n = 0.0, 0.0, 0
    for subject in np.unique(data.subjects):
        own = values[data.subjects == subject]
        own = own - own.mean(axis=0)
        products = products + (own[1:] * own[:-1]).sum(axis=0)
        squares, n = squares + np.square(own).sum(axis=0), n + len(own)
    there = squares > 0
    return bool((products[there] * np.sqrt(n) > SETTINGS.drift * squares[there]).any())


def _are_scattered(splits, subjects):
    """Whether test trials of a subject hardly ever follow each other."""
    n_trials, n_stretches, n_whole = 0, 0, 0
    for _, test in splits:
        held = np.zeros(len(subjects), dtype=int)
        held[test] = 1
        for subject in np.unique(subjects[test]):
            begun = np.diff(held[subjects == subject], prepend=0) > 0
            n_trials += held[subjects == subject].sum()
            n_stretches, n_whole = n_stretches + begun.sum(), n_whole + 1
    return n_stretches > 2 * n_whole and n_trials < SETTINGS.stretch * n_stretches


def warn_drift(names):
    """Warn of features that drift."""
    if names:
        warn_assumption(
            "drifting-features",
            f"The features {few(names)} drift over trials, and test trials lie among training "
            "trials.",
        )


def warn_doubts(look, data, times, info, spans):
    """Warn of everything doubtful, before anything is computed.

    spans (ndarray or None): With spans, trials that overlap were left out.
    """
    if look.few_values:
        return
    sides = _sides(data.splits, len(look.keys))
    warn_same_trials(look.keys, data.subjects, sides)
    if spans is None:
        _warn_overlaps(look.overlaps, sides)
    if is_responses(data.y) and look.amplitude is not None:
        _warn_units(look.amplitude, data.subjects)
        _warn_channels(look.amplitude, info)
        _warn_times(times)
        _warn_copies(data.X, data.y)


def _sides(splits, n_trials):
    """Half of each trial in each fold: 0 none, 1 training, 2 test; (n_folds, n_trials)."""
    sides = np.zeros((len(splits), n_trials), dtype=np.int8)
    for fold, (train, test) in enumerate(splits):
        sides[fold, train], sides[fold, test] = 1, 2
    return sides


def _apart(sides, a, b):
    """Which pairs stand on both sides of a fold."""
    return (sides[:, a] * sides[:, b] == 2).any(axis=0)


def _goes_on(shared, trial):
    """Whether a trial begins with these samples."""
    return bool((shared == trial[:, : shared.shape[1]]).all())


def warn_same_trials(keys, subjects, sides):
    """Warn of trials that occur twice on both sides of a fold, or in two subjects."""
    order = np.argsort(keys, kind="stable")
    again = keys[order[1:]] == keys[order[:-1]]
    a, b = order[:-1][again], order[1:][again]
    if not len(a):
        return
    other = subjects[a] != subjects[b]
    if other.any():
        names = sorted({f"{s} and {t}" for s, t in zip(subjects[a[other]], subjects[b[other]])})
        warn_assumption(
            "same-subject", f"The subjects {few(names)} share {other.sum()} identical trials."
        )
    leaked = _apart(sides, a, b).sum()
    if leaked:
        warn_assumption(
            "leaked-trials",
            f"{leaked} trials are in the training and, as a copy, in the test half of a fold.",
        )


def _warn_overlaps(overlaps, sides):
    leaked = _apart(sides, *overlaps.T).sum() if len(overlaps) else 0
    if leaked:
        warn_assumption(
            "overlapping-trials",
            f"{leaked} pairs of trials share samples of the recording and stand on both sides of a "
            "fold.",
        )


def _warn_units(amplitude, subjects):
    names = np.unique(subjects)
    typical = np.array([np.median(amplitude[subjects == name]) for name in names])
    there = typical > 0
    if there.sum() > 1 and typical[there].max() > SETTINGS.units * typical[there].min():
        small, large = names[there][[typical[there].argmin(), typical[there].argmax()]]
        ratio = typical[there].max() / typical[there].min()
        warn_assumption(
            "mixed-units",
            f"The responses of subject {large} are {ratio:.3g} times as large as those of {small}.",
        )


def _warn_channels(amplitude, info):
    typical = np.median(amplitude, axis=0)
    kinds = np.zeros(len(typical)) if info is None else np.array(info.get_channel_types())
    odd = np.zeros(len(typical), dtype=bool)
    for kind in np.unique(kinds):
        mine = kinds == kind
        odd[mine] = typical[mine] > SETTINGS.channels * np.median(typical[mine])
    few_enough = info is not None or odd.mean() <= max(SETTINGS.odd_share, 1 / len(odd))
    if odd.any() and len(odd) > SETTINGS.least_channels and few_enough:
        names = np.arange(len(odd)) if info is None else np.array(info["ch_names"])
        warn_assumption(
            "odd-channels",
            f"The channels {few([str(name) for name in names[odd]])} are more than "
            f"{SETTINGS.channels:g} times as large as others.",
        )


def _warn_times(times):
    """Milliseconds: a step of at least 1, from long before the stimulus."""
    if times is None or times.dtype.kind != "f" or len(times) < 2:
        return
    if times[1] - times[0] >= 1 and times[0] <= -20:
        warn_assumption(
            "time-unit", f"times go from {times[0]:g} to {times[-1]:g}, as milliseconds would."
        )


def _warn_copies(X, y):
    """A feature that is a channel of y: what is predicted was given away."""
    if X.ndim != 3 or X.shape[2] != y.shape[2]:
        return
    trials = np.linspace(0, len(X) - 1, min(len(X), 5)).astype(int)
    told, measured = np.asarray(X[trials]), np.asarray(y[trials])
    known = {measured[:, c].astype(float).tobytes() for c in range(measured.shape[1])}
    copied = [
        row
        for row in range(told.shape[1])
        if np.ptp(told[:, row]) > 0 and told[:, row].astype(float).tobytes() in known
    ]
    if copied:
        warn_assumption(
            "response-in-features", f"The rows {copied} of X are channels of y, sample by sample."
        )
