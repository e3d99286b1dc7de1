"""Simulated event-related fields whose sources are known.

Sources lie on a finer grid (7 mm) than the one they are to be found on (10 mm), under noise of
the sensors and of a brain that does not rest. All constants below are our own choice ("rebuilt").
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial import KDTree

from .._checks.params import check_random_state
from .._repr import short_repr
from ._forward import cached_forward, check_system, inner_skull, simulated_info

if TYPE_CHECKING:
    from typing import Literal

    from .._typing import Covariance, RandomSeed
from ._brain_noise import BrainNoise, cov_array

SCENARIOS = {"1dip": 1, "2corr": 2, "3dip": 3, "patch": 1, "noise": 0}
FINE = 7.0  # mm, grid of the true sources
PATCH_RADIUS = 0.0075  # m
FAR_FROM_CENTER, LOWEST, LATERAL = 0.030, 0.010, 0.030  # m, where sources may be; head coordinates
APART = 0.040  # m between dipoles
MIRROR = 0.006  # m a mirrored dipole may miss its place by
VISIBLE = 0.5  # of the field of the best orientation
LATENCIES = (0.06, 0.20)  # s
WIDTH, RATE = (0.018, 0.028), (5.0, 9.0)  # s and Hz of the damped oscillations
RISE = 0.02  # s
LAG = 0.003  # s between two correlated sources
ACTIVE = 0.1  # of the highest power of the field


@dataclass(frozen=True)
class EvokedData:
    """Epochs with evoked sources that are known, as :func:`make_evoked` gives them.

    Positions are in m, head coordinates: those of ``forward["source_rr"]``.

    Attributes
    ----------
    scenario : str
    snr_db : float
        Whitened signal-to-noise ratio of the average; see :func:`make_evoked`.
    epochs : ndarray of shape (n_epochs, n_channels, n_times)
        Single trials in T, T/m (V).
    X : ndarray of shape (1, 1, n_times)
        A step at the onset: the events that a recurrent model gets.
    y : ndarray of shape (1, n_channels, n_times)
        Average of the epochs.
    clean : ndarray of shape (n_channels, n_times)
        Fields of the sources without noise.
    times : ndarray of shape (n_times,)
        Times in s; 0 is the onset.
    onset : int
        Sample of the onset.
    active : ndarray of bool of shape (n_times,)
        Samples in which the whitened power of `clean` is above a tenth of its maximum; these
        `snr_db` is measured on. All samples from the onset on if there is no source.
    peak : float or None
        Time of the strongest whitened `clean`, in s.
    positions : ndarray of shape (n_sources, 3)
        Dipoles, or the center of the patch: what is to be localized.
    orientations : ndarray of shape (n_sources, 3)
    source_time_courses : ndarray of shape (n_sources, n_times)
        Total moment of each source, in A m.
    source_positions : ndarray of shape (n_dipoles, 3)
        Every position with current: more than `positions` for a patch.
    source_index : ndarray of int of shape (n_dipoles,)
        Source that each of them belongs to; its moment is shared evenly.
    noise_cov : mne.Covariance
        Shrunk estimate from the epochs before the onset, of single epochs.
    true_noise_cov : ndarray of shape (n_channels, n_channels)
        Covariance of single epochs from which the noise was drawn.
    forward : mne.Forward
        The grid to find sources on.
    info : mne.Info
    """

    scenario: str
    snr_db: float
    epochs: np.ndarray = field(repr=False)
    X: np.ndarray = field(repr=False)
    y: np.ndarray = field(repr=False)
    clean: np.ndarray = field(repr=False)
    times: np.ndarray = field(repr=False)
    onset: int
    active: np.ndarray = field(repr=False)
    peak: float | None
    positions: np.ndarray
    orientations: np.ndarray
    source_time_courses: np.ndarray = field(repr=False)
    source_positions: np.ndarray = field(repr=False)
    source_index: np.ndarray = field(repr=False)
    noise_cov: Any = field(repr=False)
    true_noise_cov: np.ndarray = field(repr=False)
    forward: Any = field(repr=False)
    info: Any = field(repr=False)
    _topographies: np.ndarray = field(repr=False)
    _noise: Any = field(repr=False)

    __repr__ = short_repr

    def evoked(self):
        """Give the average, baseline not corrected.

        Returns
        -------
        evoked : mne.EvokedArray
        """
        import mne

        return mne.EvokedArray(
            self.y[0],
            self.info,
            tmin=self.times[0],
            nave=len(self.epochs),
            comment=self.scenario,
            verbose="error",
        )

    def to_epochs(self):
        """Give the epochs as an MNE object.

        Returns
        -------
        epochs : mne.EpochsArray
        """
        import mne

        return mne.EpochsArray(self.epochs, self.info, tmin=self.times[0], verbose="error")

    def source_map(self):
        """Give the moment of every position with current.

        Returns
        -------
        moments : ndarray of shape (n_dipoles, n_times)
            Dipole moments in A m.
        """
        if not len(self.source_index):
            return np.zeros((0, len(self.times)))
        share = 1.0 / np.bincount(self.source_index)
        return (self.source_time_courses * share[:, None])[self.source_index]

    def condition(self, gains, random_state=0):
        """Simulate another condition: the same sources with other amplitudes and new noise.

        Parameters
        ----------
        gains : array-like of shape (n_sources,)
            Factors of the moments. `snr_db` of what comes back is what results.
        random_state : int, RandomState or None, default=0
            Seed of the noise.

        Returns
        -------
        data : EvokedData

        Raises
        ------
        ValueError
            If there is not one finite gain a source.

        Examples
        --------
        >>> from sklearn_meg.datasets import make_evoked
        >>> standard = make_evoked("1dip", snr_db=5.0, n_epochs=10, spacing=20.0)
        >>> deviant = standard.condition([2.0], random_state=1)
        >>> round(deviant.snr_db - standard.snr_db, 2)
        6.02
        """
        gains = np.asarray(gains, dtype=float)
        if gains.shape != (len(self.positions),) or not np.isfinite(gains).all():
            raise ValueError(
                f"gains must be {len(self.positions)} finite numbers, one a source. Got {gains}."
            )
        rng, n_epochs = check_random_state(random_state), len(self.epochs)
        courses = gains[:, None] * self.source_time_courses
        truth = _truth(self._topographies, courses, self._noise, n_epochs, self.times)
        measured = _measure(truth["clean"], self._noise, n_epochs, self.times, self.info, rng)
        return replace(self, source_time_courses=courses, **truth, **measured)


def make_evoked(
    scenario: Literal["1dip", "2corr", "3dip", "patch", "noise"] = "1dip",
    snr_db: float = 5.0,
    n_epochs: int = 50,
    sfreq: float = 300.0,
    tmin: float = -0.1,
    tmax: float = 0.4,
    spacing: float = 10.0,
    noise_cov: Covariance | np.ndarray | None = None,
    equal: Literal["field", "moment"] = "field",
    random_state: RandomSeed = 0,
) -> EvokedData:
    """Simulate event-related fields of a few sources under the noise of sensors and brain.

    Parameters
    ----------
    scenario : {"1dip", "2corr", "3dip", "patch", "noise"}, default="1dip"
        One dipole; two dipoles that mirror each other in the two hemispheres, with time courses
        that correlate above .95; three dipoles at least 40 mm apart that peak one after
        another; a patch of 15 mm diameter (all positions within 7.5 mm of its center) with one
        orientation and time course; nothing.
    snr_db : float, default=5.0
        ``10 log10`` of the mean over channels and `active` samples of the squared fields of the
        sources, whitened by the true covariance of the noise of the average. That of the noise
        is 1, so this is signal over noise, exactly. Ignored without sources.
    n_epochs : int, default=50
        At least 2.
    sfreq : float, default=300.0
        Sampling rate in Hz, at least 60.
    tmin, tmax : float, default=-0.1 and 0.4
        First and last sample of an epoch in s, around the onset at 0; ``tmax`` at least 0.25.
    spacing : float, default=10.0
        Grid spacing of ``forward`` in mm.
    noise_cov : mne.Covariance or ndarray of shape (306, 306), default=None
        Covariance of the noise of single epochs, its time course 1/f with a 10 Hz rhythm. None
        simulates white noise of the sensors and 300 dipoles of a resting brain.
    equal : {"field", "moment"}, default="field"
        Quantity that dipoles share: their whitened power at the sensors, or their peak moment
        (then deep ones are hardly seen).
    random_state : int, RandomState or None, default=0

    Returns
    -------
    data : EvokedData

    Raises
    ------
    ValueError
        For an unknown scenario, a parameter out of range, or a covariance of another size.

    Notes
    -----
    Dipoles are drawn from a 7 mm grid, at least 30 mm from the center of the head and 10 mm above
    its origin (two mirrored ones also 30 mm off the midline), not on the rim of the grid: about
    7 mm to 50 mm under the inner skull. Orientations are uniform among those that make at least
    half the field of the best orientation there: no MEG sees radial currents. A time course is
    ``exp(-(t - l)^2 / (2 w^2)) cos(2 pi f (t - l))`` with latencies l from 60 to 200 ms, silent
    before the onset.

    With one seed, another `snr_db` changes nothing but the amplitude, and "patch" has the place
    and noise of "1dip": such data sets are paired, not independent.

    The first call takes seconds for the two lead fields, later ones less than one.

    Examples
    --------
    >>> from sklearn_meg.datasets import make_evoked
    >>> data = make_evoked("3dip", snr_db=5.0, n_epochs=10, spacing=20.0)
    >>> data.epochs.shape, data.positions.shape
    ((10, 306, 151), (3, 3))
    """
    times, onset = _check(scenario, snr_db, n_epochs, sfreq, tmin, tmax, equal)
    grid, rng = check_system(spacing), check_random_state(random_state)
    info = simulated_info(sfreq)
    if noise_cov is not None:
        noise_cov = cov_array(noise_cov, info)
    fine = cached_forward(FINE)
    noise = BrainNoise.draw(rng, fine["sol"]["data"], info, noise_cov)
    sources = _place(rng, scenario, fine)
    shapes = _time_courses(rng, scenario, times)
    topographies = sources.pop("topographies")
    courses = _scale(shapes, topographies, noise, n_epochs, times, snr_db, equal)
    truth = _truth(topographies, courses, noise, n_epochs, times)
    measured = _measure(truth["clean"], noise, n_epochs, times, info, rng)
    return EvokedData(
        scenario=scenario,
        times=times,
        onset=onset,
        X=(times >= 0).astype(float)[None, None],
        source_time_courses=courses,
        true_noise_cov=noise.cov,
        forward=cached_forward(*grid).copy(),
        info=info,
        _topographies=topographies,
        _noise=noise,
        **sources,
        **truth,
        **measured,
    )


def _check(scenario, snr_db, n_epochs, sfreq, tmin, tmax, equal):
    if scenario not in SCENARIOS:
        raise ValueError(f"scenario must be one of {', '.join(SCENARIOS)}. Got {scenario!r}.")
    if equal not in ("field", "moment"):
        raise ValueError(f"equal must be 'field' or 'moment'. Got {equal!r}.")
    if not isinstance(n_epochs, Integral) or n_epochs < 2:
        raise ValueError(f"n_epochs must be an int of at least 2. Got {n_epochs!r}.")
    ranges = {
        "snr_db": (snr_db, -60, 60),
        "sfreq": (sfreq, 60, 5000),
        "tmin": (tmin, -10, -0.02),
        "tmax": (tmax, 0.25, 10),
    }
    for name, (value, low, high) in ranges.items():
        if not isinstance(value, Real) or not low <= value <= high:
            raise ValueError(f"{name} must be a float between {low} and {high}. Got {value!r}.")
    samples = np.arange(round(tmin * sfreq), round(tmax * sfreq) + 1)
    return samples / sfreq, int(np.argmin(np.abs(samples)))


# --- sources -------------------------------------------------------------------------------------


def _place(rng, scenario, fine):
    """Positions, orientations and topographies (n_channels, n_sources) of the sources."""
    rr, gain = fine["source_rr"], fine["sol"]["data"].reshape(fine["nchan"], -1, 3)
    centers = np.array(_draw_positions(rng, scenario, rr), dtype=int)
    members = [np.array([center]) for center in centers]
    if scenario == "patch":
        members = [np.flatnonzero(np.linalg.norm(rr - rr[centers[0]], axis=1) <= PATCH_RADIUS)]
    orientations = np.array([_draw_orientation(rng, gain[:, center]) for center in centers])
    topographies = [
        gain[:, group].mean(axis=1) @ unit for group, unit in zip(members, orientations)
    ]
    everywhere = np.concatenate([*members, np.empty(0, dtype=int)])
    return {
        "positions": rr[centers].reshape(-1, 3),
        "orientations": orientations.reshape(-1, 3),
        "source_positions": rr[everywhere],
        "source_index": np.repeat(np.arange(len(members)), [len(group) for group in members]),
        "topographies": np.array(topographies).reshape(-1, fine["nchan"]).T,
    }


def _draw_positions(rng, scenario, rr):
    """Indices of the dipoles, or of the center of the patch."""
    skull, _ = inner_skull()
    center = (skull.min(axis=0) + skull.max(axis=0)) / 2
    good = (np.linalg.norm(rr - center, axis=1) >= FAR_FROM_CENTER) & (rr[:, 2] >= LOWEST)
    neighbors = KDTree(rr).query_ball_point(rr, PATCH_RADIUS, return_length=True)
    good &= neighbors == neighbors.max()  # on the rim even a perfect estimate would be far off
    if scenario == "2corr":
        mirror = rr * [-1, 1, 1] + [2 * center[0], 0, 0]
        good &= np.abs(rr[:, 0] - center[0]) >= LATERAL
        while True:
            first = rng.choice(np.flatnonzero(good))
            distance = np.linalg.norm(rr - mirror[first], axis=1)
            if distance.min() <= MIRROR:
                return [first, int(np.argmin(distance))]
    chosen = []
    while len(chosen) < SCENARIOS[scenario]:
        index = rng.choice(np.flatnonzero(good))
        if all(np.linalg.norm(rr[index] - rr[other]) >= APART for other in chosen):
            chosen.append(index)
    return chosen


def _draw_orientation(rng, gain):
    """Unit vector whose field has at least half the norm of the best one's."""
    while True:
        unit = rng.standard_normal(3)
        unit /= np.linalg.norm(unit)
        if np.linalg.norm(gain @ unit) >= VISIBLE * np.linalg.norm(gain, 2):
            return unit


def _time_courses(rng, scenario, times):
    """Damped oscillations of (n_sources, n_times) with a peak of 1."""
    n_sources = SCENARIOS[scenario]
    width, rate = rng.uniform(*WIDTH, n_sources), rng.uniform(*RATE, n_sources)
    edges = np.linspace(*LATENCIES, n_sources + 1)
    latency = rng.permutation(rng.uniform(edges[:-1], edges[:-1] + 0.6 * np.diff(edges)))
    if scenario == "2corr":  # the same response, a little later on the other side
        latency = rng.uniform(*LATENCIES) + np.array([0.0, rng.uniform(-LAG, LAG)])
        width, rate = np.repeat(width[:1], 2), np.repeat(rate[:1], 2)
    after = times[None] - latency[:, None]
    courses = np.exp(-(after**2) / (2 * width[:, None] ** 2))
    courses *= np.cos(2 * np.pi * rate[:, None] * after)
    courses *= 1.0 - np.exp(-((np.maximum(times, 0.0) / RISE) ** 2))
    return courses / np.abs(courses).max(axis=1, keepdims=True)


def _scale(shapes, topographies, noise, n_epochs, times, snr_db, equal):
    """Moments in A m (n_sources, n_times) that make the average have `snr_db`."""
    if not len(shapes):
        return shapes
    if equal == "field":
        power = np.square(noise.whiten(topographies, n_epochs)).sum(axis=0)
        shapes = shapes / np.sqrt(power)[:, None]
    now = _truth(topographies, shapes, noise, n_epochs, times)["snr_db"]
    return shapes * 10 ** ((snr_db - now) / 20)


def _truth(topographies, courses, noise, n_epochs, times):
    """Fields without noise, the samples that count, and the exact SNR in dB."""
    clean = topographies @ courses
    power = np.square(noise.whiten(clean, n_epochs)).mean(axis=0)
    if not power.any():
        return {"clean": clean, "active": times >= 0, "peak": None, "snr_db": -np.inf}
    active = power >= ACTIVE * power.max()
    snr_db = float(10 * np.log10(power[active].mean()))
    peak = float(times[np.argmax(power)])
    return {"clean": clean, "active": active, "peak": peak, "snr_db": snr_db}


def _measure(clean, noise, n_epochs, times, info, rng):
    """Add noise to the epochs and estimate its covariance before the onset."""
    import mne

    n_times, sfreq = len(times), info["sfreq"]
    epochs = np.stack([clean + noise.sample(rng, n_times, sfreq) for _ in range(n_epochs)])
    before = mne.EpochsArray(epochs[..., times < 0], info, tmin=times[0], verbose="error")
    noise_cov = mne.compute_covariance(before, method="ledoit_wolf", rank="full", verbose="error")
    return {"epochs": epochs, "y": epochs.mean(axis=0)[None], "noise_cov": noise_cov}
