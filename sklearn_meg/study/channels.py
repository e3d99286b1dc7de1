"""Channels that recordings share, whatever their order and their bad ones."""

from __future__ import annotations

import numpy as np

DATA_KINDS = ("mag", "grad", "eeg", "seeg", "ecog")


def common_channels(heads, sources, reading):
    """Channels that all recordings share, in the order of the first; and notes.

    Raises ValueError if there are none, all are bad, or with ``bads="union"`` the channels differ
        otherwise.
    """
    lists = [_picked(head, reading.picks, source.name) for head, source in zip(heads, sources)]
    shared = [name for name in lists[0] if all(name in names for names in lists[1:])]
    if not shared:
        raise ValueError(
            f"{sources[0].name} and the other recordings have no channel in common. The first has "
            f"{', '.join(lists[0][:5])} ..., the last {', '.join(lists[-1][:5])} ..."
        )
    notes = []
    lost = {n for names in lists for n in names} - set(shared)
    if lost and reading.bads == "union":
        raise ValueError(
            f"Not all recordings have the channels {few(sorted(lost))}. --bads drop leaves them "
            "out."
        )
    if lost:
        notes.append(f"Channels that not every recording has were left out: {few(sorted(lost))}.")
    if any([n for n in names if n in shared] != shared for names in lists):
        notes.append("Channels were put into the order of the first recording.")
    bad = [[n for n in head.info["bads"] if n in shared] for head in heads]
    if not any(bad):
        return shared, notes
    told = "; ".join(f"{s.name} {few(b)}" for s, b in zip(sources, bad) if b)
    if reading.bads == "interpolate":
        _check_positions(heads, bad, sources)
        return shared, [*notes, f"Bad channels were interpolated: {told}."]
    shared = [name for name in shared if not any(name in names for names in bad)]
    if not shared:
        raise ValueError(
            f"Every channel is bad in some recording ({told}). --bads interpolate keeps them."
        )
    return shared, [*notes, f"Channels that are bad anywhere were left out: {told}."]


def _picked(epochs, picks, name):
    kinds = epochs.get_channel_types()
    data = [name for name, kind in zip(epochs.ch_names, kinds) if kind in DATA_KINDS]
    if picks:
        picks = [picks] if isinstance(picks, str) else list(picks)
        by_kind = {"meg": ("mag", "grad"), **{k: (k,) for k in set(kinds)}, "data": tuple(kinds)}
        chosen = {
            n for n, k in zip(epochs.ch_names, kinds)
            if n in picks or any(k in by_kind.get(p, ()) for p in picks)
        }  # fmt: skip
        data = [n for n in epochs.ch_names if n in chosen]
        if not data:
            raise ValueError(
                f"{name} has none of the channels {', '.join(picks)}. It has the types "
                f"{', '.join(sorted(set(kinds)))}."
            )
    if not data:
        there = ", ".join(sorted(set(kinds)))
        raise ValueError(f"{name} has no MEG or EEG channel. It has: {there}.")
    good = [n for n in data if n not in epochs.info["bads"]]
    if not good:
        raise ValueError(f"All {len(data)} data channels of {name} are marked bad.")
    return data


def _check_positions(heads, bad, sources):
    for head, names, source in zip(heads, bad, sources):
        for name in names:
            place = head.info["chs"][head.ch_names.index(name)]["loc"][:3]
            if not np.isfinite(place).all() or not np.abs(place).any():
                raise ValueError(
                    f"The bad channel {name} of {source.name} has no position, so it cannot be "
                    "interpolated. --bads drop leaves it out, epochs.set_montage gives positions."
                )


def few(names):
    """First five of some names, and how many more there are."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
