"""What a look at the samples of each recording shows: gaps, dead channels, units, references."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .channels import few

# Amplitudes (V, T, T/m) that no head makes; microvolts, fT and fT/cm taken for SI units are larger.
LARGEST = {"eeg": 5e-3, "seeg": 5e-2, "ecog": 5e-2, "mag": 1e-9, "grad": 1e-8}
SMALLEST = {"eeg": 1e-9, "seeg": 1e-9, "ecog": 1e-9, "mag": 1e-17, "grad": 1e-16}
UNITS = {"mag": "T", "grad": "T/m"}
N_LOOKED_AT = 20  # trials
SAME = 1e-5  # mean over channels, relative to one of them, of an average reference


@dataclass
class Looks:
    """Collects what is odd about recordings that are read one by one.

    dead (dict of str -> list of str): Channels that never vary, by recording.
    amplitude (dict of str -> list of float): Typical amplitude of each recording, by type of
        channel.
    averaged (dict of str -> bool): Whether EEG is to the average reference, by recording.
    """

    dead: dict = field(default_factory=dict)
    amplitude: dict = field(default_factory=dict)
    averaged: dict = field(default_factory=dict)

    def look(self, y, info, name):
        """Look at the trials of a recording.

        Raises ValueError if a value is NaN or infinite.
        """
        _check_finite(y, info, name)
        kinds = np.array(info.get_channel_types())
        some = y[np.linspace(0, len(y) - 1, min(len(y), N_LOOKED_AT)).astype(int)]
        spread = some.std(axis=2).mean(axis=0)
        dead = [
            n
            for n, s, i in zip(info["ch_names"], spread, range(y.shape[1]))
            if _is_dead(s, y[:, i])
        ]
        if dead:
            self.dead[name] = dead
        for kind in np.unique(kinds):
            self.amplitude.setdefault(str(kind), []).append(float(np.median(spread[kinds == kind])))
        eeg = some[:, kinds == "eeg"]
        if eeg.shape[1] > 2 and np.median(spread[kinds == "eeg"]) > 0:
            mean = eeg.mean(axis=1).std()
            self.averaged[name] = bool(mean < SAME * np.median(spread[kinds == "eeg"]))

    def notes(self):
        """Sentences for the page."""
        return [*self._dead(), *self._units(), *self._references()]

    def _dead(self):
        if not self.dead:
            return []
        told = "; ".join(f"{name} {few(channels)}" for name, channels in self.dead.items())
        return [f"Channels never vary, and count nothing: {told}. Mark them as bad."]

    def _units(self):
        notes = []
        for kind, values in self.amplitude.items():
            typical, unit = float(np.median(values)), UNITS.get(kind, "V")
            if kind in LARGEST and typical and not SMALLEST[kind] < typical < LARGEST[kind]:
                notes.append(
                    f"The {kind} channels have an amplitude of {typical:.2g} {unit}, which no head "
                    f"makes: MNE takes {unit}. Scores do not depend on it; figures, --reject and "
                    "comparisons with other recordings do."
                )
        return notes

    def _references(self):
        yes = [name for name, averaged in self.averaged.items() if averaged]
        no = [name for name, averaged in self.averaged.items() if not averaged]
        if not yes or not no:
            return []
        return [
            f"The EEG of {few(yes)} is to the average reference, that of {few(no)} to another: the "
            "same channel means something else in both. Use one reference (set_eeg_reference)."
        ]


def _is_dead(spread, channel):
    return spread == 0 and np.ptp(channel) == 0


def _check_finite(y, info, name):
    bad = ~np.isfinite(y).all(axis=2)
    if bad.any():
        trials, channels = np.flatnonzero(bad.any(axis=1)), np.flatnonzero(bad.any(axis=0))
        raise ValueError(
            f"{name}: {len(trials)} of {len(y)} trials have NaN or infinity, in the channels "
            f"{few([info['ch_names'][i] for i in channels])}; the first is trial {trials[0]} of "
            "those that were taken. Mark the channels as bad, or drop the trials."
        )
