"""A neuron that the user built in NEURON, with whatever mechanisms it has."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from .._checks.assumptions import warn_assumption
from ._cable import fixed_step, load_neuron
from ._membrane import SETTINGS
from ._morphology import Kind, Morphology
from ._sections import (
    arc,
    at,
    axial_matrix,
    integrals,
    interpolate,
    kind_of_section,
    pointers,
    points_of,
    silent_from,
    step_times,
)
from ._settings import FOREIGN
from .pulses import pulse_waveform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .._typing import ArrayLike, Pulse

__all__ = ["Activation", "NeuronCell"]

AXONAL_NAMES = ("axon", "node", "ais", "hill", "iseg", "unmyelin")
DESCRIBED = ("nseg", "Ra", "cm", "density_mechs", "ions")  # of a section, what makes a cell


@dataclass(frozen=True)
class Activation:
    """Place and time of a spike.

    Parameters
    ----------
    threshold : float
        Amplitude in A/us; infinity where it did not fire.
    site : str
        Name of the segment that passed 0 mV first, such as ``"axon[0](0.95)"``.
    position : ndarray of shape (3,)
        Its place in um, neuron's frame.
    latency : float
        Time from the onset of the pulse, in us.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.tms.neuron_cell import Activation
    >>> Activation(70.0, "axon[0](0.95)", np.zeros(3), 120.0).site
    'axon[0](0.95)'
    """

    threshold: float
    site: str
    position: np.ndarray
    latency: float


class NeuronCell:
    """A neuron of existing NEURON sections, whose thresholds are searched.

    Sections keep their mechanisms, compiled or not, their discretization and their parameters; the
    field enters as equivalent axial currents through current clamps, which are taken away again,
    and global settings of NEURON are put back. Other cells in NEURON's memory are simulated along
    (that takes time) but change nothing.

    Parameters
    ----------
    sections : iterable of Section, or object with an attribute ``all``
        Sections of the cell, with 3-D points; those of a template are its ``all``.
    soma : Section, optional
        Section whose middle is the origin. None takes the one whose name holds "soma".
    axis : array-like of shape (3,), default=(0, 0, 1)
        Somatodendritic axis (towards the pia) in the coordinates of the sections; the neuron's
        frame has it along z.
    azimuth : float, default=0.0
        Turn about that axis, in radians.
    name : str, default="cell"
        Name for messages and figures.
    watch : callable, optional
        ``watch(section) -> bool``: whether spikes are looked for there. None looks in sections
        whose name says that they belong to the axon or, where none does, everywhere.
    v_init : float, optional
        Potential at the start, in mV. None takes ``h.v_init``, or -65.
    celsius : float, optional
        Temperature. None takes the present one of NEURON.
    settle : float, default=0.0
        Time in ms to come to rest before every pulse.

    Attributes
    ----------
    points : ndarray of shape (n_points, 3)
        3-D points of all sections in um, in the neuron's frame: where E is asked for.
    n_points, n_segments : int

    Raises
    ------
    ImportError
        If NEURON is missing: it comes with the extra ``tms``.
    ValueError
        For sections without 3-D points, without a soma, that are not connected to it, or that hang
        from their parent by their 1 end.

    Examples
    --------
    >>> import numpy as np
    >>> from neuron import h
    >>> from sklearn_meg.tms import NeuronCell
    >>> soma, axon = h.Section(name="soma"), h.Section(name="axon")
    >>> for section, end, diameter in ((soma, 16, 16), (axon, -900, 1.5)):
    ...     _ = section.pt3dadd(0, 0, 0, diameter), section.pt3dadd(0, 0, end, diameter)
    ...     _ = section.insert("hh")
    >>> axon.nseg = 31
    >>> _ = axon.connect(soma(0.5))
    >>> cell = NeuronCell([soma, axon], name="ball and stick")
    >>> found = cell.activate(lambda points: np.tile([0, 0, -1.0], (len(points), 1)))
    >>> found.site.startswith("axon"), bool(100 < found.threshold < 5000)
    (True, True)
    """

    def __init__(
        self,
        sections: Iterable,
        *,
        soma: object = None,
        axis: ArrayLike = (0.0, 0.0, 1.0),
        azimuth: float = 0.0,
        name: str = "cell",
        watch: Callable | None = None,
        v_init: float | None = None,
        celsius: float | None = None,
        settle: float = 0.0,
    ) -> None:
        from ._frames import frames

        self._h = load_neuron()
        self.name, self.settle = name, float(settle)
        self._sections = list(getattr(sections, "all", sections))
        self._soma = _find_soma(self._sections, soma)
        self._order()
        self._rotation = frames(np.reshape(np.asarray(axis, float), (1, 3)), azimuth)[0]
        self._init = float(getattr(self._h, "v_init", -65.0) if v_init is None else v_init)
        self._celsius = float(self._h.celsius if celsius is None else celsius)
        self._measure()
        self._watched = self._find_watched(watch)

    @property
    def n_points(self) -> int:
        """Number of 3-D points."""
        return len(self.points)

    @property
    def n_segments(self) -> int:
        """Number of segments."""
        return len(self._segments)

    @property
    def has_axon(self) -> bool:
        """Whether spikes can be looked for anywhere."""
        return bool(len(self._watched))

    def thresholds(
        self,
        field: ArrayLike | Callable,
        *,
        pulse: Pulse = "monophasic",
        polarity: int = 1,
        tolerance: float = 0.003,
        max_amplitude: float = 10_000.0,
        start: float | None = None,
        time_step: float = 5.0,
        duration: float = 3000.0,
    ) -> np.ndarray:
        """Find thresholds of several fields.

        Parameters
        ----------
        field : array-like of shape (n, n_points, 3) or (n_points, 3), or callable
            E at :attr:`points` in the neuron's frame, V/m per A/us; or a function of positions (m).
        pulse, polarity, tolerance, max_amplitude, start, time_step, duration
            See :func:`activation_threshold`. The first amplitude, where `start` is None, comes from
            the field before.

        Returns
        -------
        thresholds : ndarray of shape (n,)
            Thresholds in A/us; infinity where there was no spike up to `max_amplitude`.
        """
        fields = self._check_fields(field)
        wave = polarity * pulse_waveform(pulse, step_times(time_step, duration))
        found, typical, known = [], FOREIGN.typical, False
        with self._driven(time_step) as trial:
            self._check_rest(trial)
            for E in fields:
                strength = np.sqrt((E**2).sum(axis=1).mean())
                if strength == 0:
                    found.append(np.inf)
                    continue
                first = min(typical / strength if start is None else start, max_amplitude)
                factor = 2.0 if start is not None else FOREIGN.near if known else FOREIGN.far
                drive = self._drive @ E.ravel()
                fires = lambda a, drive=drive: trial(drive, a, wave)[0]  # noqa: E731
                found.append(search(fires, first, factor, tolerance, max_amplitude))
                if np.isfinite(found[-1]):
                    typical, known = found[-1] * strength, True
        return np.array(found)

    def activate(self, field: ArrayLike | Callable, **options: object) -> Activation:
        """Find the threshold of one field, and the segment that fires first there.

        Parameters
        ----------
        field : array-like of shape (n_points, 3) or callable
            As in :meth:`thresholds`.
        **options
            As in :meth:`thresholds`.

        Returns
        -------
        activation : Activation
        """
        threshold = float(self.thresholds(field, **options)[0])
        if not np.isfinite(threshold):
            return Activation(threshold, "", np.full(3, np.nan), np.nan)
        E = self._check_fields(field)[0]
        step = options.get("time_step", 5.0)
        times = step_times(step, options.get("duration", 3000.0))
        wave = options.get("polarity", 1) * pulse_waveform(
            options.get("pulse", "monophasic"), times
        )
        above = threshold * (1 + options.get("tolerance", 0.003))
        with self._driven(step) as trial:
            _, first, k = trial(self._drive @ E.ravel(), above, wave, first=True)
        segment = self._segments[self._watched[first]]
        position = self._centers[self._watched[first]]
        return Activation(threshold, str(segment), position, float(times[k]))

    def to_morphology(self, kind_of: Callable | None = None) -> Morphology:
        """Return the shape of the cell, for :class:`PassiveThreshold` and figures.

        Parameters
        ----------
        kind_of : callable, optional
            ``kind_of(section) -> Kind``. None goes by the names of sections.

        Returns
        -------
        morphology : Morphology
            Bare axons are of the kind AXON: see :func:`myelinate`.
        """
        kind_of = kind_of or kind_of_section
        size = max(seg.diam for seg in self._soma)
        points, diameters, parents, kinds = [np.zeros(3)], [size], [-1], [Kind.SOMA]
        made = {self._soma: [0]}
        for section, here in zip(self._sections, self._point_of):
            if section == self._soma:
                continue
            stem = section.parentseg()
            parent = made[stem.sec][round(stem.x * (len(made[stem.sec]) - 1))]
            made[section] = [parent]
            kind = Kind(kind_of(section))
            for k, point in zip(range(section.n3d()), self.points[here]):
                if k == 0 and parent:
                    continue
                points.append(point)
                diameters.append(max(section.diam3d(k), 1e-3))
                parents.append(parent)
                kinds.append(Kind.DENDRITE if kind == Kind.SOMA else kind)
                parent = len(points) - 1
                made[section].append(parent)
        return Morphology(points, diameters, parents, kinds, name=self.name)

    def key(self) -> str:
        """Key of name, shape and mechanisms: equal for equal cells, also in another process.

        Returns
        -------
        key : str
        """
        digest = hashlib.sha1(np.round(self.points, 3).tobytes())
        digest.update(repr((self._init, self._celsius, self.settle, self._watched)).encode())
        for section in self._sections:
            found = section.psection()
            digest.update(repr([found[what] for what in DESCRIBED]).encode())
        return f"{self.name} {digest.hexdigest()[:12]}"

    # ------------------------------------------------------------------ geometry

    def _order(self):
        """Sort sections so that parents come before children."""
        left, self._parents = set(self._sections), {}
        ordered = [self._soma]
        for section in self._sections:
            if section.n3d() < 2:
                raise ValueError(
                    f"{section} has no 3-D points, so where it lies is not known. Add them "
                    "(pt3dadd), or call h.define_shape() first."
                )
        left.discard(self._soma)
        while left:
            ready = [s for s in left if s.parentseg() is not None and s.parentseg().sec in ordered]
            if not ready:
                raise ValueError(
                    f"{sorted(map(str, left))[:3]} and others are not connected to {self._soma}, "
                    f"or hang from sections that were not given: {len(left)} of "
                    f"{len(self._sections)}."
                )
            for section in sorted(ready, key=self._sections.index):
                if section.orientation():
                    raise ValueError(f"{section} hangs from its parent by its 1 end.")
                ordered.append(section)
                left.discard(section)
        self._sections = ordered

    def _measure(self):
        """Points, segments, and what a field does to them."""
        raw = [points_of(section) for section in self._sections]
        lengths = [arc(points) for points in raw]
        middle = at(lengths[0], raw[0], 0.5)
        counts = np.cumsum([0, *map(len, raw)])
        self._point_of = [slice(a, b) for a, b in pairwise(counts)]
        self.points = (np.concatenate(raw) - middle) @ self._rotation
        self._segments = [segment for section in self._sections for segment in section]
        potentials, ends = [], {}
        for section, here in zip(self._sections, self._point_of):
            along = integrals(self.points, here)
            length = arc(self.points[here])
            parent = section.parentseg() if section != self._soma else None
            base = 0.0 if parent is None else ends[parent.sec](parent.x)
            if parent is None:
                base = base - interpolate(length, along, 0.5)
            ends[section] = lambda x, length=length, along=along, base=base: (
                base + interpolate(length, along, x)
            )
            potentials += [ends[section](segment.x) for segment in section]
        centers = [
            at(arc(self.points[here]), self.points[here], segment.x)
            for section, here in zip(self._sections, self._point_of)
            for segment in section
        ]
        self._centers = np.array(centers)
        self._drive = axial_matrix(self._sections) @ (1e-3 * np.array(potentials))

    def _find_watched(self, watch):
        named = [s for s in self._sections if any(n in str(s).lower() for n in AXONAL_NAMES)]
        chosen = [s for s in self._sections if watch(s)] if watch else named or self._sections
        found = [i for i, segment in enumerate(self._segments) if segment.sec in chosen]
        if not found:
            raise ValueError("watch must choose at least one of the sections. Got none.")
        return np.array(found)

    def _check_fields(self, field):
        E = np.asarray(field(self.points * 1e-6) if callable(field) else field, dtype=float)
        shape = (self.n_points, 3)
        if E.shape[-2:] != shape or E.ndim not in (2, 3) or not np.isfinite(E).all():
            raise ValueError(
                f"field must be finite and of the shape {shape} or (n, {shape[0]}, 3): E at the "
                f"points of {self.name}. Got {E.shape}."
            )
        return E.reshape(-1, *shape)

    # ------------------------------------------------------------------ simulation

    @contextmanager
    def _driven(self, time_step):
        """A function that simulates a pulse; its current clamps are gone afterwards."""
        h = self._h
        clamps = [h.IClamp(segment) for segment in self._segments]
        for clamp in clamps:
            clamp.delay, clamp.dur, clamp.amp = 0, 1e9, 0.0
        sources = pointers(h, [clamp._ref_amp for clamp in clamps])
        seen = pointers(h, [self._segments[i]._ref_v for i in self._watched])
        silence, volts = h.Vector(len(clamps), 0), h.Vector(len(self._watched))
        needed = int(np.clip(len(self._watched) - 1, 1, SETTINGS.spike))

        def trial(drive, amplitude, wave, first=False):
            sources.scatter(silence)
            h.dt = time_step * 1e-3
            h.finitialize(self._init)
            for _ in range(int(np.ceil(self.settle / 0.1))):
                h.dt = 0.1
                h.fadvance()
            h.dt = time_step * 1e-3
            return self._run(h, (sources, seen, volts), drive * amplitude, wave, needed, first)

        try:
            with fixed_step(h, celsius=self._celsius):
                yield trial
        finally:
            clamps.clear()  # and with them the clamps in NEURON

    def _run(self, h, pointers, drive, wave, needed, first):
        """Whether it fires; index of the first segment over 0 mV, and the step."""
        sources, seen, volts = pointers
        scaled, step = h.Vector(drive), h.Vector(len(drive))
        passed, v = np.zeros(len(volts), bool), volts.as_numpy()
        begun, early = np.full(len(volts), len(wave)), 0
        calm, highest = silent_from(wave), np.inf
        still = max(calm, int(FOREIGN.settled / (1e3 * h.dt)))
        for k, value in enumerate(wave):
            sources.scatter(step.copy(scaled).mul(value))
            h.fadvance()
            if first or (k % 5 == 4 and k >= calm):
                seen.gather(volts)
                over = v > 0
                begun[over & (begun == len(wave))] = k
                if k >= calm:
                    passed |= over
                if passed.sum() >= needed:
                    early = int(np.argmin(np.where(passed, begun, len(wave))))
                    return True, early, int(begun[early])
                if (
                    k >= still
                    and np.abs(v - self._init).max() < FOREIGN.quiet
                    and v.max() < highest
                ):
                    break
                highest = v.max() if k >= still else np.inf
        return False, early, len(wave) - 1

    def _check_rest(self, trial):
        """Complain about a cell that fires without a field, or is not at rest at the start."""
        n = round(FOREIGN.rest_ms * 200)
        if trial(np.zeros(self.n_segments), 0.0, np.zeros(n))[0]:
            raise RuntimeError(f"{self.name} fires without a field: it has no threshold.")
        now = np.array([self._segments[i].v for i in self._watched])
        drift = np.abs(now - self._init).max()
        if self.settle == 0 and drift > FOREIGN.drift:
            warn_assumption(
                "not-at-rest",
                f"{self.name} is not at rest at {self._init:g} mV: without a field it moves by "
                f"{drift:.1f} mV.",
            )


def search(fires, start, factor, tolerance, max_amplitude):
    """Bracket and bisect the smallest amplitude that fires; infinity if none does."""
    low, high, now = 0.0, np.inf, start
    while True:
        if fires(now):
            high = now
        else:
            low = now
        if high <= SETTINGS.least:
            raise RuntimeError(
                f"The neuron fires at {SETTINGS.least:g} A/us and less: it has no threshold."
            )
        if low > 0 and np.isfinite(high):
            if high / low <= 1 + tolerance:
                return float(np.sqrt(low * high))
            now = np.sqrt(low * high)
            continue
        if low >= max_amplitude:
            return np.inf
        now = high / factor if np.isfinite(high) else min(low * factor, max_amplitude)
        factor = min(factor**2, 2.0)


def _find_soma(sections, soma):
    named = [s for s in sections if "soma" in str(s).lower()] if soma is None else [soma]
    if len(named) != 1 or named[0] not in sections:
        raise ValueError(
            f"soma must be one of the sections. Got {soma!r}, and {len(named)} sections whose "
            "name says soma."
        )
    if named[0].parentseg() is not None:
        raise ValueError(f"The soma must be the root of the tree. {named[0]} hangs from another.")
    return named[0]
