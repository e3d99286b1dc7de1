"""Epochs of EEGLAB: the event that each was cut around, and when it was."""

from __future__ import annotations

import numpy as np

LOCKED = 1.5  # samples between an event and time 0


def locked_events(path, epochs):
    """Epochs with the type and time of the event at 0 s.

    MNE joins the types of all events of an epoch to one, and takes their latencies in the file,
    where epochs stand one after the other and never overlap. Those of ``EEG.urevent`` are of the
    recording; without them epochs are numbered.

    Raises ValueError if an epoch has no event at 0 s.
    """
    eeg = _structure(path)
    epoch, event = _columns(eeg.get("epoch")), _columns(eeg.get("event"))
    if "eventlatency" not in epoch or not event:
        return epochs
    found = [
        _locked(*parts) for parts in zip(epoch["eventlatency"], epoch["eventtype"], epoch["event"])
    ]
    near = LOCKED * 1e3 / epochs.info["sfreq"]
    late = [i for i, (latency, *_) in enumerate(found) if abs(latency) > near]
    if len(found) != len(epochs.events) or late:
        raise ValueError(
            f"{path}: epoch {late[0] + 1 if late else len(found)} has no event at 0 ms. Cut epochs "
            "around events (pop_epoch), or save them with MNE."
        )
    kinds = [kind for _, kind, _ in found]
    codes = {kind: number for number, kind in enumerate(dict.fromkeys(kinds), start=1)}
    samples = _samples(event, _columns(eeg.get("urevent")), [index for *_, index in found])
    epochs.events = np.column_stack(
        [samples, np.zeros(len(kinds), dtype=int), [codes[kind] for kind in kinds]]
    )
    epochs.event_id = codes
    return epochs


def _structure(path):
    from pymatreader import read_mat

    found = read_mat(str(path), ignore_fields=["data", "times", "icaact"], uint16_codec=None)
    return found.get("EEG", found)


def _locked(latencies, kinds, indices):
    """Latency (ms), type and number of the event of an epoch that is nearest to 0."""
    latencies, kinds, indices = (_listed(values) for values in (latencies, kinds, indices))
    at = int(np.abs(np.asarray(latencies, dtype=float)).argmin())
    kind = kinds[at]
    kind = str(int(kind)) if isinstance(kind, float) and kind == int(kind) else str(kind)
    return float(latencies[at]), kind, int(indices[at])


def _listed(values):
    return list(values) if isinstance(values, list | tuple | np.ndarray) else [values]


def _columns(structs):
    """Fields of an array of structs, each a list; none if there are none."""
    if isinstance(structs, dict):
        return structs
    rows = _listed(structs) if structs is not None else []
    if not rows or not all(isinstance(row, dict) for row in rows):
        return {}
    return {name: [row.get(name) for row in rows] for name in rows[0]}


def _samples(event, original, indices):
    """Samples of events in the recording; 0, 1, 2 ... where they are not known."""
    numbers = np.arange(len(indices))
    if "latency" not in original or "urevent" not in event:
        return numbers
    try:
        rows = np.asarray([_listed(event["urevent"])[index - 1] for index in indices], dtype=float)
        samples = np.asarray(_listed(original["latency"]), dtype=float)[rows.astype(int) - 1]
    except (ValueError, TypeError, IndexError):  # events that were added later have no original
        return numbers
    return np.round(samples).astype(int) if np.isfinite(samples).all() else numbers
