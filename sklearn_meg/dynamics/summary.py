"""How states are visited: tables by recording and state, order in intervals, tests of groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .._checks.params import check_random_state

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Literal

    from .._typing import ArrayLike, DataFrame, RandomSeed

__all__ = ["compare_groups", "interval_asymmetry", "state_table", "state_visits"]


def _recordings_of(states):
    """States (n_times,) of each recording; -1 is unknown."""
    if isinstance(states, list | tuple) and len(states) and np.ndim(states[0]):
        parts = [np.asarray(part) for part in states]
    else:
        states = np.asarray(states)
        parts = list(states) if states.ndim == 2 else [states]
    for i, part in enumerate(parts):
        if part.ndim != 1 or not len(part) or part.dtype.kind not in "iu" or part.min() < -1:
            raise ValueError(
                "states must be whole numbers from 0 (-1: unknown), one a sample: (n_times,), "
                f"(n_recordings, n_times), or a list. Got {part.dtype} {part.shape} in recording "
                f"{i}."
            )
    return parts


def state_visits(states: ArrayLike | Sequence[ArrayLike], sfreq: float = 1.0) -> DataFrame:
    """All visits of all states, one a row.

    Parameters
    ----------
    states : array-like of int of shape (n_times,), (n_recordings, n_times), or list of (n_times,)
        From ``predict``; -1 where the state is unknown, which ends a visit.
    sfreq : float, default=1.0
        Samples per second.

    Returns
    -------
    visits : DataFrame
        ``recording, state, start, duration`` in seconds, and ``complete``: False for a visit that
        begins or ends at a border of the recording or at an unknown sample.

    Examples
    --------
    >>> from sklearn_meg.dynamics import state_visits
    >>> state_visits([0, 0, 1, 1, 1, 0])["duration"].tolist()
    [2.0, 3.0, 1.0]
    """
    rows = []
    for r, part in enumerate(_recordings_of(states)):
        borders = np.flatnonzero(np.diff(part)) + 1
        starts, ends = np.r_[0, borders], np.r_[borders, len(part)]
        known = np.r_[-1, part, -1]
        whole = (known[starts] >= 0) & (known[ends + 1] >= 0)
        for start, end, complete in zip(starts, ends, whole):
            if part[start] >= 0:
                row = (r, int(part[start]), start / sfreq, (end - start) / sfreq, bool(complete))
                rows.append(row)
    return pd.DataFrame(rows, columns=["recording", "state", "start", "duration", "complete"])


def state_table(
    states: ArrayLike | Sequence[ArrayLike],
    sfreq: float = 1.0,
    *,
    n_states: int | None = None,
    complete: bool = False,
) -> DataFrame:
    """Table of visits: one row a recording and state.

    Parameters
    ----------
    states : array-like of int of shape (n_times,), (n_recordings, n_times), or list of (n_times,)
        From ``predict``; -1 where the state is unknown.
    sfreq : float, default=1.0
        Samples per second.
    n_states : int, default=None
        None is the largest state plus one.
    complete : bool, default=False
        Whether lifetimes are those of complete visits only.

    Returns
    -------
    table : DataFrame
        ``recording, state``; ``occupancy``, the share of known samples; ``visits``; ``lifetime``
        and ``interval``, mean duration of visits and of the time between two of them, in seconds;
        ``rate``, visits per second; ``switching``, changes of state of the recording per second.

    Examples
    --------
    >>> from sklearn_meg.dynamics import state_table
    >>> table = state_table([[0, 0, 1, 1, 1, 0], [1, 1, 1, 1, 0, 0]], sfreq=2)
    >>> table[["recording", "state", "occupancy", "lifetime", "switching"]].values.tolist()[:2]
    [[0.0, 0.0, 0.5, 0.75, 0.8], [0.0, 1.0, 0.5, 1.5, 0.8]]
    """
    parts = _recordings_of(states)
    n_states = 1 + max(int(part.max()) for part in parts) if n_states is None else n_states
    visits = state_visits(parts, sfreq)
    rows = []
    for r, part in enumerate(parts):
        own = visits[visits["recording"] == r]
        pairs = (part[1:] >= 0) & (part[:-1] >= 0)
        changes = ((part[1:] != part[:-1]) & pairs).sum()
        switching = changes * sfreq / pairs.sum() if pairs.any() else np.nan
        known = max(1, (part >= 0).sum())
        for k in range(n_states):
            mine = own[own["state"] == k]
            lifetimes = mine["duration"][mine["complete"]] if complete else mine["duration"]
            rows.append(
                {
                    "recording": r,
                    "state": k,
                    "occupancy": (part == k).sum() / known,
                    "visits": len(mine),
                    "lifetime": lifetimes.mean() if len(lifetimes) else np.nan,
                    "interval": _mean_interval(part, k, sfreq),
                    "rate": len(mine) * sfreq / known,
                    "switching": switching,
                }
            )
    return pd.DataFrame(rows)


def intervals_of(part, k):
    """Spans (start, end) between two visits of a state, without unknown samples."""
    inside = np.flatnonzero(part == k)
    gaps = np.flatnonzero(np.diff(inside) > 1)
    spans = [(inside[g] + 1, inside[g + 1]) for g in gaps]
    return [(a, b) for a, b in spans if (part[a:b] >= 0).all()]


def _mean_interval(part, k, sfreq):
    spans = intervals_of(part, k)
    return np.mean([b - a for a, b in spans]) / sfreq if spans else np.nan


def interval_asymmetry(
    states: ArrayLike | Sequence[ArrayLike], n_states: int | None = None
) -> np.ndarray:
    """Whether other states come early or late between two visits of a state [1]_.

    Parameters
    ----------
    states : array-like of int of shape (n_times,), (n_recordings, n_times), or list of (n_times,)
    n_states : int, default=None

    Returns
    -------
    asymmetry : ndarray of shape (n_recordings, n_states, n_states)
        ``[r, k, l]``: share of state l in the first halves of the intervals of state k, minus that
        in the second halves; NaN without intervals of two samples.

    References
    ----------
    .. [1] van Es, Higgins, Gohil, Quinn, Vidaurre, Woolrich (2025), Large-scale cortical functional
       networks are organized in structured cycles, Nature Neuroscience 28.

    Examples
    --------
    >>> from sklearn_meg.dynamics import interval_asymmetry
    >>> interval_asymmetry([0, 1, 2, 0, 1, 2, 0])[0, 0].tolist()
    [0.0, 1.0, -1.0]
    """
    parts = _recordings_of(states)
    n_states = 1 + max(int(part.max()) for part in parts) if n_states is None else n_states
    out = np.full((len(parts), n_states, n_states), np.nan)
    for r, part in enumerate(parts):
        for k in range(n_states):
            halves = [
                _two_halves(part[a:b], n_states) for a, b in intervals_of(part, k) if b - a > 1
            ]
            if halves:
                out[r, k] = np.mean(halves, axis=0)
    return out


def _two_halves(part, n_states):
    half = len(part) // 2
    first, second = part[:half], part[len(part) - half :]
    counts = [np.bincount(x, minlength=n_states) / half for x in (first, second)]
    return counts[0] - counts[1]


def compare_groups(
    values: ArrayLike,
    groups: ArrayLike,
    *,
    kind: Literal["independent", "paired"] = "independent",
    n_permutations: int = 5000,
    random_state: RandomSeed = None,
) -> DataFrame:
    """Compare two groups of recordings in several values, corrected for their number.

    Permutations of recordings (flips of pairs); p-values against the largest absolute t of all
    values, which controls the family-wise error.

    Parameters
    ----------
    values : array-like of shape (n_recordings, n_values)
        For example occupancies, ``table.pivot(index="recording", columns="state",
        values="occupancy")``.
    groups : array-like of shape (n_recordings,)
        Two different labels. For "paired" the recordings of both come in the same order of people.
    kind : {"independent", "paired"}, default="independent"
    n_permutations : int, default=5000
    random_state : int, RandomState instance or None, default=None

    Returns
    -------
    table : DataFrame
        ``value, difference`` (second minus first label, in sorted order), ``t, p`` (corrected).

    Raises
    ------
    ValueError
        For other than two groups, NaN, or pairs that are not complete.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.dynamics import compare_groups
    >>> values = np.random.default_rng(0).normal(size=(20, 3))
    >>> values[10:, 1] += 3
    >>> table = compare_groups(values, [0] * 10 + [1] * 10, n_permutations=500, random_state=0)
    >>> (table["p"] < 0.05).tolist()
    [False, True, False]
    """
    from scipy.stats import permutation_test

    V, groups = np.asarray(values, dtype=float), np.asarray(groups)
    labels = np.unique(groups)
    if V.ndim != 2 or len(groups) != len(V) or len(labels) != 2 or not np.isfinite(V).all():
        raise ValueError(
            "values must be finite (n_recordings, n_values), with one of two groups for each "
            f"recording. Got {V.shape}, {len(groups)} recordings in {len(labels)} group(s), "
            f"{(~np.isfinite(V)).sum()} values that are not finite."
        )
    first, second = (np.flatnonzero(groups == label) for label in labels)
    if kind not in ("independent", "paired"):
        raise ValueError(f"kind must be 'independent' or 'paired'. Got {kind!r}.")
    paired = kind == "paired"
    if min(len(first), len(second)) < 2 or (paired and len(first) != len(second)):
        raise ValueError(
            f"Groups must have two recordings or more, pairs both. Got {len(first)} and "
            f"{len(second)}."
        )

    def largest(a, b):
        return np.nanmax(np.abs(_t(V[a.astype(int)], V[b.astype(int)], paired)))

    found = permutation_test(
        (first, second),
        largest,
        permutation_type="samples" if paired else "independent",
        vectorized=False,
        n_resamples=n_permutations,
        alternative="greater",
        random_state=np.random.default_rng(check_random_state(random_state).randint(2**31 - 1)),
    )
    t = _t(V[first], V[second], paired)
    null = found.null_distribution
    return pd.DataFrame(
        {
            "value": np.arange(V.shape[1]),
            "difference": V[second].mean(0) - V[first].mean(0),
            "t": t,
            "p": [(1 + (null >= abs(x) - 1e-12).sum()) / (1 + len(null)) for x in t],
        }
    )


def _t(a, b, paired):
    """Statistic of the difference, second minus first."""
    if paired:
        d = b - a
        error = d.std(0, ddof=1) / np.sqrt(len(d))
        return d.mean(0) / np.maximum(error, 1e-300)
    error = np.sqrt(a.var(0, ddof=1) / len(a) + b.var(0, ddof=1) / len(b))
    return (b.mean(0) - a.mean(0)) / np.maximum(error, 1e-300)
