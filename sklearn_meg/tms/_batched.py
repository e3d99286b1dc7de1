"""Thresholds of many placements at once: the cable equation of a built-in neuron, compiled.

The same scheme as NEURON's fixed step: implicit Euler for the potentials, with the tree solved
by elimination from its tips (Hines 1984), then exponential Euler for the gates. Placements lie side
by side in lanes, so that one pass over the tree serves all of them; a lane whose threshold is found
takes the next placement. Every lane computes alone: results do not depend on its neighbors.
"""

from __future__ import annotations

import numpy as np

from .._optional import needs
from ._membrane import POWERS, SETTINGS, gates_at
from ._passive import in_blocks

with needs("The compiled solver of thresholds", "numba", "sklearn-meg[tms]"):
    from numba import njit

__all__ = ["BatchedCable"]

F = np.float32
LANES = 32
LOWEST, FINE, N_FINE = -150.0, 0.02, 16_000  # table of the gates, mV
assert POWERS == {"m": 3, "h": 1, "n": 1}  # as `_open_channels` has them


class BatchedCable:
    """A built-in neuron, ready for many searches.

    time_step: Time step in us.
    """

    def __init__(self, compartments, time_step):
        self.time_step = time_step
        capacity = compartments.capacity() / (time_step * 1e-3)
        axial = np.r_[0.0, compartments.axial[1:]]
        diagonal = capacity + compartments.conductance("leak") + axial
        np.add.at(diagonal, compartments.parent[1:], axial[1:])
        excitable = compartments.excitable
        still = _without_channels(compartments.parent, excitable)
        factor, inverse, diagonal = _eliminate(compartments.parent, still, axial, diagonal)
        steady = np.array([inf[0] for inf, _ in gates_at(np.array([SETTINGS.rest]))])
        channels = [compartments.conductance(name)[excitable] for name in ("sodium", "potassium")]
        drive = np.array(_reversals())
        balance = -(channels[0] * steady[0] ** 3 * steady[1] * drive[0])
        balance -= channels[1] * steady[2] * drive[1]  # current of the leak: rest is exact
        self._tree = (compartments.parent.astype(np.int32), still.astype(np.uint8))
        self._linear = np.array([axial, capacity, diagonal, factor, inverse], dtype=F)
        self._excitable = excitable.astype(np.int32)
        self._channels = np.array([*channels, balance], dtype=F)
        self._gates = (_table(time_step), steady.astype(F), drive.astype(F))
        self.n_excitable = len(excitable)
        self.drive = compartments.laplacian() @ compartments.potential

    def thresholds(self, fields, wave, start, first_step, tolerance, max_amplitude, n_spikes):
        """Search the smallest amplitude that fires, for each field.

        fields (n, 3 * n_points): V/m per A/us.
        wave (n_steps,)
        start (n,): First amplitudes tried, A/us.
        n_spikes: Compartments over 0 mV that make a spike.
        Returns thresholds (n,): Infinity where nothing up to `max_amplitude` fires, 0 where
            everything does.
        and n_trials: Simulations made.
        """
        looks = np.array(
            [round(t / self.time_step) for t in (SETTINGS.look, SETTINGS.settled)], dtype=np.int64
        )
        rules = (np.maximum(looks, 1), np.int64(n_spikes), F(SETTINGS.rest), F(SETTINGS.quiet))
        limits = (float(first_step), float(tolerance), float(max_amplitude), SETTINGS.least)
        drive = in_blocks(self.drive, fields).astype(F)
        silent = np.abs(wave) < SETTINGS.silent
        if n_spikes >= SETTINGS.spike:
            silent[:] = True  # several compartments: no field does that without a spike
        return _search(
            drive, wave.astype(F), silent, start.astype(float), limits, rules, self._tree,
            self._linear, self._excitable, self._channels, self._gates, LANES,
        )  # fmt: skip


def _reversals():
    return (
        SETTINGS.sodium_reversal - SETTINGS.rest,
        SETTINGS.potassium_reversal - SETTINGS.rest,
    )


def _table(time_step):
    """Decay and gain of every gate over one step: x -> decay x + gain, as (6, N_FINE)."""
    v = LOWEST + FINE * (np.arange(N_FINE) + 0.5)
    rows = []
    for steady, tau in gates_at(v):
        decay = np.exp(-time_step * 1e-3 / tau)
        rows += [decay, steady * (1 - decay)]
    return np.array(rows, dtype=F)


def _without_channels(parent, excitable):
    """Compartments with nothing excitable in the tree that hangs from them."""
    still = np.ones(len(parent), bool)
    still[excitable] = False
    for k in range(len(parent) - 1, 0, -1):
        still[parent[k]] &= still[k]
    return still


def _eliminate(parent, still, axial, diagonal):
    """Elimination of the compartments whose coefficients never change."""
    diagonal, factor, inverse = diagonal.copy(), np.zeros(len(parent)), np.zeros(len(parent))
    for k in range(len(parent) - 1, 0, -1):
        if still[k]:
            factor[k], inverse[k] = axial[k] / diagonal[k], 1 / diagonal[k]
            diagonal[parent[k]] -= axial[k] * factor[k]
    return factor, inverse, diagonal


@njit(cache=True)
def _load(v, b, d, drive, amplitude, wave, linear):
    """Right sides and diagonals of the implicit step."""
    for i in range(v.shape[0]):
        capacity, diagonal = linear[1, i], linear[2, i]
        for lane in range(v.shape[1]):
            b[i, lane] = capacity * v[i, lane] + drive[i, lane] * (amplitude[lane] * wave)
            d[i, lane] = diagonal


@njit(cache=True)
def _open_channels(b, d, gates, excitable, channels, reversal):
    for a in range(len(excitable)):
        i = excitable[a]
        sodium, potassium, balance = channels[0, a], channels[1, a], channels[2, a]
        for lane in range(b.shape[1]):
            m = gates[0, a, lane]
            na = sodium * m * m * m * gates[1, a, lane]
            k = potassium * gates[2, a, lane]
            d[i, lane] += na + k
            b[i, lane] += na * reversal[0] + k * reversal[1] + balance


@njit(cache=True)
def _solve(v, b, d, tree, linear):
    """Elimination from the tips, then substitution from the soma."""
    parent, still = tree
    for k in range(len(parent) - 1, 0, -1):
        p, axial, factor = parent[k], linear[0, k], linear[3, k]
        if still[k]:
            for lane in range(v.shape[1]):
                b[p, lane] += factor * b[k, lane]
        else:
            for lane in range(v.shape[1]):
                ratio = axial / d[k, lane]
                d[p, lane] -= axial * ratio
                b[p, lane] += ratio * b[k, lane]
    for lane in range(v.shape[1]):
        v[0, lane] = b[0, lane] / d[0, lane]
    for k in range(1, len(parent)):
        p, axial, factor, inverse = parent[k], linear[0, k], linear[3, k], linear[4, k]
        if still[k]:
            for lane in range(v.shape[1]):
                v[k, lane] = b[k, lane] * inverse + factor * v[p, lane]
        else:
            for lane in range(v.shape[1]):
                v[k, lane] = (b[k, lane] + axial * v[p, lane]) / d[k, lane]


@njit(cache=True)
def _move_gates(v, gates, excitable, table, rest):
    offset, scale = F(rest - LOWEST), F(1 / FINE)
    for a in range(len(excitable)):
        i = excitable[a]
        for lane in range(v.shape[1]):
            place = min(max((v[i, lane] + offset) * scale, F(0)), F(N_FINE - 1))
            j = np.int32(place)
            gates[0, a, lane] = gates[0, a, lane] * table[0, j] + table[1, j]
            gates[1, a, lane] = gates[1, a, lane] * table[2, j] + table[3, j]
            gates[2, a, lane] = gates[2, a, lane] * table[4, j] + table[5, j]


@njit(cache=True)
def _look(v, passed, state, excitable, rules, late, silent):
    """Update which lanes have fired (1) or gone quiet (2); return how many are decided."""
    _, n_spikes, rest, quiet = rules
    n_decided = 0
    for lane in range(v.shape[1]):
        if state[lane] == 0:
            highest, count = F(-1e9), 0
            for a in range(len(excitable)):
                here = v[excitable[a], lane] + rest
                highest = max(highest, here)
                if here > 0 and silent:
                    passed[a, lane] = 1
                count += passed[a, lane]
            if count >= n_spikes:
                state[lane] = 1
            elif late and highest < quiet:
                state[lane] = 2
        n_decided += state[lane] > 0
    return n_decided


@njit(cache=True)
def _simulate(work, amplitude, wave, silent, rules, tree, linear, excitable, channels, gate_data):
    """One pulse in all lanes, until each has fired or is quiet."""
    v, b, d, drive, gates, passed, state = work
    table, steady, reversal = gate_data
    every, settled = rules[0][0], rules[0][1]
    v[:], passed[:], state[:] = F(0), 0, 0
    for gate in range(3):
        gates[gate] = steady[gate]
    for t in range(len(wave)):
        _load(v, b, d, drive, amplitude, wave[t], linear)
        _open_channels(b, d, gates, excitable, channels, reversal)
        _solve(v, b, d, tree, linear)
        _move_gates(v, gates, excitable, table, rules[2])
        if (t + 1) % every == 0:
            late = t + 1 > settled
            if _look(v, passed, state, excitable, rules, late, silent[t]) == v.shape[1]:
                return


@njit(cache=True)
def _next_amplitude(fired, now, bracket, limits):
    """Move a bracket (low, high, factor); return the next amplitude, or minus the result."""
    _, tolerance, largest, least = limits
    if fired:
        bracket[1] = now
    else:
        bracket[0] = now
    low, high, factor = bracket
    if low > 0 and high < np.inf:
        middle = np.sqrt(low * high)
        return -middle if high / low <= 1 + tolerance else middle
    bracket[2] = min(factor * factor, 2.0)
    if high < np.inf:
        return high / factor if high / factor >= least else 0.0
    return min(low * factor, largest) if low < largest else -np.inf


@njit(cache=True)
def _search(
    all_drives, wave, silent, start, limits, rules, tree, linear, excitable, channels, gates, lanes
):
    """Thresholds of all placements; lanes take the next one as soon as they are free."""
    n, n_nodes = all_drives.shape
    n_sites = len(excitable)
    work = (
        np.zeros((n_nodes, lanes), F), np.zeros((n_nodes, lanes), F), np.zeros((n_nodes, lanes), F),
        np.zeros((n_nodes, lanes), F), np.zeros((3, n_sites, lanes), F),
        np.zeros((n_sites, lanes), np.uint8), np.zeros(lanes, np.uint8),
    )  # fmt: skip
    amplitude, owner, brackets = np.zeros(lanes, F), np.full(lanes, -1), np.empty((lanes, 3))
    now, thresholds = np.zeros(lanes), np.zeros(n)
    begun, live, n_trials = 0, 0, 0
    while True:
        for lane in range(lanes):
            if owner[lane] < 0 and begun < n:
                owner[lane], now[lane] = begun, start[begun]
                brackets[lane] = (0.0, np.inf, limits[0])
                work[3][:, lane] = all_drives[begun]
                begun, live = begun + 1, live + 1
            amplitude[lane] = now[lane]
        if live == 0:
            return thresholds, n_trials
        _simulate(work, amplitude, wave, silent, rules, tree, linear, excitable, channels, gates)
        n_trials += live
        for lane in range(lanes):
            if owner[lane] < 0:
                continue
            after = _next_amplitude(work[6][lane] == 1, now[lane], brackets[lane], limits)
            if after > 0:
                now[lane] = after
                continue
            thresholds[owner[lane]] = -after
            owner[lane], now[lane], live = -1, 0.0, live - 1
            work[3][:, lane] = F(0)
