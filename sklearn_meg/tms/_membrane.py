"""Membranes of the built-in neurons: channels of a published pyramidal cell, from its equations."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ._morphology import Kind

__all__ = ["MEMBRANES", "SETTINGS", "Membrane", "gates_at", "is_excitable"]


@dataclass(frozen=True)
class Membrane:
    """One kind of membrane: capacitance in uF/cm2, all conductances in S/cm2."""

    capacitance: float
    leak: float
    sodium: float = 0.0
    potassium: float = 0.0


@dataclass(frozen=True)
class Settings:
    """Constants of the built-in neurons and of the search for thresholds.

    Channels are the transient sodium channel of Colbert and Pan (Nat Neurosci, 2002) and the
    Kv3.1 channel of Rettig et al. (1992), with the rates that Hay et al. (PLoS Comput Biol, 2011)
    give for 34 C in their layer 5 pyramidal cell. Axonal densities start from 3.1 S/cm2 of sodium
    conductance (Markram et al., Cell, 2015), doubled in the initial segment and about tripled at
    nodes; myelin has 0.02 uF/cm2 (Aberra et al., J Neural Eng, 2018).

    The densities of nodes and initial segment are the smallest of those tried (nodes 6.2, 10, 12;
    initial segment 3.1, 6.2) with which a spike from any axon terminal invades the soma in every
    pyramidal cell tried (clones 0 to 2 of layer 5, 0 of 2/3, 0 and 1 of 6). With them a layer 5
    cell fires at a median of 258 to 276 V/m over directions of a uniform field, monophasic pulse;
    squid channels (``hh`` at 37 C) had 115 V/m.
    """

    rest: float = -70.0  # mV
    celsius: float = 34.0
    sodium_reversal: float = 50.0  # mV
    potassium_reversal: float = -85.0  # mV
    resistivity: float = 100.0  # ohm cm
    spike: int = 3  # compartments over 0 mV
    look: float = 25.0  # us between two looks at the compartments
    # us after which a neuron this quiet (mV) will not spike any more; 0.02 % off waiting 5 ms
    settled: float = 600.0
    quiet: float = -55.0
    silent: float = 0.3  # share of the peak below which a pulse cannot hold a membrane over 0 mV
    least: float = 1e-6  # A/us; a neuron that fires at less needs no pulse to do so
    first_step: float = 1.03  # of the bracket around the guess; grows to doubling and halving
    # Lengths in um a compartment may have; with a third of that, thresholds change by < 0.1 %.
    longest: dict = field(
        default_factory=lambda: {Kind.INTERNODE: 25.0, Kind.DENDRITE: 30.0, Kind.APICAL: 30.0}
    )
    longest_else: float = 10.0


SETTINGS = Settings()
_NODE = Membrane(1.0, 3e-4, 10.0, 0.8)
_AXON = Membrane(1.0, 3e-4, 3.1, 0.8)
_DENDRITE = Membrane(2.0, 4e-5)
MEMBRANES = {
    Kind.SOMA: Membrane(1.0, 3e-5, 0.98, 0.3),
    Kind.AXON: _AXON,
    Kind.INITIAL_SEGMENT: Membrane(1.0, 3e-4, 6.2, 0.8),
    Kind.NODE: _NODE,
    Kind.TERMINAL: _NODE,
    Kind.DENDRITE: _DENDRITE,
    Kind.APICAL: _DENDRITE,
    Kind.INTERNODE: Membrane(0.02, 9e-7),
}
_Q10 = 2.3 ** ((SETTINGS.celsius - 21.0) / 10.0)
# Rates per ms of the gates m and h: amplitude, slope (1/mV) and middle (mV) of
# amplitude * x / (1 - exp(-x)), x = slope * (v - middle), forwards and backwards.
RATES = {
    "m": ((1.092 * _Q10, 1 / 6, -38.0), (0.744 * _Q10, -1 / 6, -38.0)),
    "h": ((0.09 * _Q10, -1 / 6, -66.0), (0.09 * _Q10, 1 / 6, -66.0)),
}
# Of Kv3.1: amplitude / (1 + exp(slope * (v - middle))) for the steady state and time constant (ms).
SIGMOIDS = ((1.0, -1 / 9.7, 18.7), (4.0, 1 / -44.14, -46.56))
POWERS = {"m": 3, "h": 1, "n": 1}


def is_excitable(kind: int) -> bool:
    """Whether a kind of membrane has channels (unknown kinds, as of branch points, have none)."""
    return MEMBRANES[Kind(kind)].sodium > 0 if kind else False


def gates_at(v):
    """Steady state and time constant (ms) of the gates m, h and n at potentials (mV).

    Returns gates (list of tuple of ndarray): One pair a gate, each of the shape of `v`.
    """
    found = []
    for forwards, backwards in RATES.values():
        alpha, beta = _linoid(v, *forwards), _linoid(v, *backwards)
        found.append((alpha / (alpha + beta), 1 / (alpha + beta)))
    return [*found, tuple(_sigmoid(v, *row) for row in SIGMOIDS)]


def _linoid(v, amplitude, slope, middle):
    x = slope * (v - middle)
    small = np.abs(x) < 1e-6
    safe = np.where(small, 1.0, x)
    return amplitude * np.where(small, 1 + x / 2, safe / -np.expm1(-safe))


def _sigmoid(v, amplitude, slope, middle):
    return amplitude / (1 + np.exp(slope * (v - middle)))
