"""Recordings as they come, and as the mathematics wants them."""

from dataclasses import dataclass

import numpy as np

from .._checks.assumptions import warn_assumption
from .._checks.mne_objects import good_data_channels, has_mne_mark
from .._checks.trials import LARGEST_VALUE, more_rows_than_columns, validate_data
from ._doubts import StateWarning
from ._settings import DOUBTS

HINT = (
    "Remove the bad samples, or set missing='mask': samples in which any region is NaN then say "
    "nothing about the states, and time goes on."
)
TURN = (
    " Recordings of hmmlearn or osl-dynamics, (n_times, n_regions), are turned by [x.T for x in X]."
)


@dataclass
class Recordings:
    """Samples of several recordings, one after the other.

    parts (list of ndarray of shape (n_times, n_regions)): Recordings in the given order, as views.
    kind ({"one", "stack", "list"}): Whether X was one recording (n_times, n_regions), an array of
        recordings, or a list.
    maps (list of callable or None): Change of the samples of each recording when they are taken.
    states (list of ndarray of int or None): States of the samples to begin with, -1 where unknown.
    """

    parts: list
    kind: str
    maps: list | None = None
    states: list | None = None

    @property
    def lengths(self):
        """Samples of each recording."""
        return np.array([len(part) for part in self.parts])

    def pick(self, which):
        """Some recordings."""
        maps, states = (x and [x[i] for i in which] for x in (self.maps, self.states))
        return Recordings([self.parts[i] for i in which], self.kind, maps, states)

    def cut(self, spans):
        """Pieces (recording, start, stop) as recordings; they keep the maps."""
        maps = self.maps and [self.maps[i] for i, *_ in spans]
        states = self.states and [self.states[i][a:b] for i, a, b in spans]
        return Recordings([self.parts[i][a:b] for i, a, b in spans], "list", maps, states)

    def mapped(self, maps):
        """The same recordings, whose samples are changed when they are taken."""
        return Recordings(self.parts, self.kind, maps, self.states)

    def n_present(self):
        """Samples that are not missing."""
        return sum(int((~np.isnan(part).any(1)).sum()) for part in self.parts)

    def order(self):
        """An order of the recordings that does not depend on how they came."""
        keys = [(len(p), *p[0].tolist(), *p[-1].tolist()) for p in self.parts]
        return sorted(range(len(keys)), key=lambda i: [repr(k) for k in keys[i]])

    def sorted(self):
        """The same recordings in that order."""
        return self.pick(self.order())

    def samples(self):
        """All samples (n_samples, n_regions), 0 where missing, and which are missing (or None)."""
        parts = self.parts
        if self.maps is not None:
            parts = [change(np.asarray(part, float)) for part, change in zip(parts, self.maps)]
        X = np.concatenate(parts).astype(float, copy=False)
        missing = np.isnan(X).any(1)
        if not missing.any():
            return X, None
        return np.where(missing[:, None], 0.0, X), missing

    def split(self, values):
        """Values of all samples as they belong to X."""
        if self.kind == "one":
            return values
        parts = np.split(values, np.cumsum(self.lengths)[:-1])
        return np.stack(parts) if self.kind == "stack" else parts

    def together(self, parts):
        """Changed recordings (n_times, n_regions) as X is."""
        if self.kind == "one":
            return parts[0]
        parts = [np.ascontiguousarray(part.T) for part in parts]
        return np.stack(parts) if self.kind == "stack" else parts


def check_recordings(estimator, X, *, reset, missing="error", min_times=2):
    """Check X and return its recordings.

    Parameters
    ----------
    estimator : BaseEstimator
        Gets ``n_features_in_``, the number of regions, when `reset`.
    X : array-like of shape (n_subjects, n_regions, n_times), list of (n_regions, n_times), or \
(n_times, n_regions)
        Or mne.io.Raw, a list of them, or Epochs. Of unequal length in a list. A 2-D array is one
        recording, samples first.
    reset : bool
        True in ``fit``.
    missing : {"error", "mask"}
        Whether NaN is an error.
    min_times : int
        Fewest samples of a recording.

    Returns
    -------
    recordings : Recordings

    Raises
    ------
    ValueError
        For NaN or infinity, complex, text, sparse or empty X, another number of dimensions or
        regions, and recordings that are too short.
    """
    X = as_arrays(X)
    if is_list(X):
        parts = [_check_one(x, i, missing) for i, x in enumerate(X)]
        counts = [part.shape[1] for part in parts]
        if len(set(counts)) > 1:
            other = next(i for i, n in enumerate(counts) if n != counts[0])
            raise ValueError(
                "All recordings of X must have the same regions, (n_regions, n_times) each. Got "
                f"{counts[0]} regions in X[0] and {counts[other]} in X[{other}]."
                + (TURN if len({len(part) for part in parts}) == 1 else "")
            )
        recordings = Recordings(parts, "list")
    elif getattr(X, "ndim", 0) == 3 and not np.ma.is_masked(X):
        X = np.asarray(X)
        if 0 in X.shape:
            raise ValueError(f"Found array with 0 sample(s) (shape={X.shape}): X is empty.")
        parts = [_check_one(x, i, missing) for i, x in enumerate(X)]
        recordings = Recordings(parts, "stack")
    else:
        recordings = Recordings([_check_flat(estimator, X, reset, missing)], "one")
    _check_regions(estimator, recordings, reset)
    _check_lengths(recordings, min_times, missing)
    return recordings


def as_arrays(X):
    """Arrays (n_regions, n_times) of mne recordings, and a stack of Epochs; all else as it is.

    Good data channels are taken, or all channels where there are none; NaN where an annotation of
    a Raw begins with BAD.

    Raises ValueError if recordings have other channels, or another order of them.
    """
    if has_mne_mark(X, "drop_log"):
        return X.get_data(picks=_channels(X), verbose="error")
    raws = X if isinstance(X, list | tuple) else [X]
    if not raws or not all(has_mne_mark(raw, "first_samp") for raw in raws):
        return X
    names = [[raw.ch_names[pick] for pick in _channels(raw)] for raw in raws]
    other = next((i for i, those in enumerate(names) if those != names[0]), None)
    if other is not None:
        raise ValueError(
            "All recordings of X must have the same good channels in the same order. X[0] and "
            f"X[{other}] differ in {sorted(set(names[0]) ^ set(names[other])) or 'their order'}."
        )
    return [
        raw.get_data(picks=_channels(raw), reject_by_annotation="NaN", verbose="error")
        for raw in raws
    ]


def _channels(recording):
    try:
        return good_data_channels(recording.info)
    except ValueError:  # regions are often of the kind "misc"
        return np.arange(len(recording.ch_names))


def warn_if_transposed(recordings):
    """Say where regions outnumber samples in every recording."""
    parts = recordings.parts
    if not more_rows_than_columns([part.T for part in parts]):
        return
    n_times, n_regions = parts[0].shape
    shapes = {
        "one": "a single recording is (n_times, n_regions).",
        "list": "recordings in a list are (n_regions, n_times).",
        "stack": "an array of recordings is (n_subjects, n_regions, n_times).",
    }
    warn_assumption(
        "transposed",
        f"{'X' if recordings.kind == 'one' else 'X[0]'} has {n_regions} regions and {n_times} "
        f"samples: {shapes[recordings.kind]}",
        category=StateWarning,
    )


def warn_if_repeated(recordings):
    """Say where samples repeat the one before: gaps of zeros, held values."""
    if recordings.parts[0].shape[1] == 1:
        return
    shares = np.array([repeated_share(part) for part in recordings.parts])
    total = shares @ recordings.lengths / recordings.lengths.sum()
    if total > DOUBTS.repeated:
        worst = int(shares.argmax())
        warn_assumption(
            "repeated-samples",
            f"{total:.1%} of the samples repeat the one before in all regions ({shares[worst]:.0%} "
            f"in X[{worst}]).",
            category=StateWarning,
        )


def repeated_share(part):
    """Share of the samples in runs of alike ones."""
    alike = np.r_[False, (part[1:] == part[:-1]).all(1), False]
    change = np.flatnonzero(alike[1:] != alike[:-1])
    runs = change[1::2] - change[::2] + 1
    return runs[runs >= DOUBTS.run].sum() / len(part)


def warn_if_drifting(recordings):
    """Say where regions drift over whole recordings, which makes states of stretches of time."""
    long = [i for i, n in enumerate(recordings.lengths) if n >= DOUBTS.least_drift]
    drifts = [(i, *slow_share(recordings.parts[i])) for i in long]
    found = [
        (slow, i)
        for i, slow, faster in drifts
        if slow > DOUBTS.walk or slow > max(DOUBTS.drift, DOUBTS.smooth * faster)
    ]
    if found:
        slow, worst = max(found)
        warn_assumption(
            "slow-drift",
            f"Regions drift in {len(found)} of {len(recordings.parts)} recordings: {slow:.0%} of "
            f"the variance is slower than the recording in X[{worst}].",
            category=StateWarning,
        )


def slow_share(part):
    """Shares of the variance in the slowest three cosines of a recording, and in the nine after."""
    X = np.asarray(part, float)
    X = np.where(np.isnan(X), 0.0, X - np.nanmean(X, axis=0))
    n = len(X)
    cosines = np.cos(np.pi * np.arange(1, 13)[:, None] * (np.arange(n) + 0.5) / n)
    power = 2 / n**2 * (cosines @ X) ** 2 / np.maximum((X**2).mean(0), 1e-300)
    return float(power[:3].sum(0).mean()), float(power[3:].sum(0).mean())


def is_list(X):
    """Whether X is a list of recordings."""
    return isinstance(X, list | tuple) and len(X) > 0 and getattr(X[0], "ndim", 0) == 2


def _check_one(x, index, missing):
    """One recording (n_regions, n_times) of a list or stack, as (n_times, n_regions)."""
    name = f"X[{index}]"
    x = np.asarray(x)
    if x.ndim != 2:
        raise ValueError(f"{name} must have the shape (n_regions, n_times). Got {x.shape}.")
    if x.dtype.kind not in "biuf":
        kind = "Complex data" if x.dtype.kind == "c" else f"data of type {x.dtype}"
        raise ValueError(f"{name} must hold real numbers. {kind} is not supported.")
    if 0 in x.shape:
        raise ValueError(f"Found array with 0 sample(s) (shape={x.shape}): {name} is empty.")
    _check_values(x, name, missing)
    return x.T


def _check_flat(estimator, X, reset, missing):
    if np.ma.is_masked(X):
        raise ValueError(f"Masked arrays are not supported: put NaN where X is masked. {HINT}")
    if hasattr(X, "info") and hasattr(X, "ch_names"):
        raise ValueError(
            f"X must be recordings. Got {type(X).__name__}: pass a Raw, a list of them, Epochs, or "
            "sklearn_meg.dynamics.label_time_courses of them."
        )
    finite = "allow-nan" if missing == "mask" else True
    try:
        X = validate_data(
            estimator,
            X,
            reset=reset,
            dtype=np.float64,
            ensure_all_finite=finite,
            ensure_min_samples=2 if reset else 1,
        )
    except ValueError as error:
        if "NaN" in str(error):
            raise ValueError(f"Input X contains NaN. {HINT}") from error
        if not reset and hasattr(X, "__len__") and len(X) == estimator.n_features_in_:
            raise ValueError(f"{error} (One recording is (n_times, n_regions): X.T.)") from error
        raise
    _check_values(X, "X", missing)
    return X


def _check_values(x, name, missing):
    if x.dtype.kind != "f":
        return
    if np.isinf(x).any():
        raise ValueError(f"Input {name} contains infinity.")
    bad = np.isnan(x)
    if missing != "mask" and bad.any():
        raise ValueError(f"Input {name} contains NaN ({bad.sum()} values). {HINT}")
    largest = float(np.nanmax(np.abs(x), initial=0.0))
    if largest > LARGEST_VALUE:
        raise ValueError(f"{name} holds values up to {largest:.3g}: they cannot be squared.")


def _check_regions(estimator, recordings, reset):
    n = recordings.parts[0].shape[1]
    if reset:
        estimator.n_features_in_ = n
    elif n != estimator.n_features_in_:
        raise ValueError(
            f"X has {n} features (regions), but {type(estimator).__name__} is expecting "
            f"{estimator.n_features_in_} features as input."
        )


def _check_lengths(recordings, min_times, missing):
    for i, part in enumerate(recordings.parts):
        if len(part) < min_times:
            raise ValueError(
                f"Each recording must have at least {min_times} samples. Got {len(part)} in "
                f"X[{i}]. (Stacked arrays are (n_subjects, n_regions, n_times); one recording is "
                "(n_times, n_regions).)"
            )
        if missing == "mask" and np.isnan(part).any(1).all():
            raise ValueError(f"X[{i}] has no sample without NaN: leave it out.")
