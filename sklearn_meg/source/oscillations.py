"""Sources of rhythms: dipoles that explain a cross-spectral density beyond that of a baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .._checks.assumptions import warn_assumption
from .._checks.params import check_random_state
from ._forward import is_mne_forward, read_lead_field
from ._scan import Scanner
from ._settings import SETTINGS

if TYPE_CHECKING:
    from mne.time_frequency import CrossSpectralDensity

    from .._typing import Forward, RandomSeed


@dataclass(frozen=True, eq=False)
class Oscillations:
    """Dipoles that generate a rhythm.

    Parameters
    ----------
    positions : ndarray of shape (n_sources, 3)
        In m and head coordinates, between grid points, too.
    orientations : ndarray of shape (n_sources, 3)
        Of unit length.
    power : ndarray of shape (n_sources,)
        Power of the current in (A m)^2, in units of the cross-spectral density, baseline taken off.
    ratio : ndarray of shape (n_sources,)
        Power at the source over that of the baseline there.
    evidence : ndarray of shape (n_sources,)
        Power that each explains beside the others, over what it must; at least 1 unless `n_sources`
        was given.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.source import Oscillations
    >>> one = np.ones(1)
    >>> found = Oscillations(np.zeros((1, 3)), np.eye(3)[:1], 1e-16 * one, 5 * one, 3 * one)
    >>> found.ratio.tolist()  # five times the power of the baseline
    [5.0]
    """

    positions: np.ndarray
    orientations: np.ndarray
    power: np.ndarray
    ratio: np.ndarray
    evidence: np.ndarray


def find_oscillations(
    csd: CrossSpectralDensity,
    noise_csd: CrossSpectralDensity,
    forward: Forward,
    n_windows: int,
    *,
    n_sources: int | None = None,
    max_sources: int = 20,
    model_error: float = 0.15,
    random_state: RandomSeed = None,
) -> Oscillations:
    """Find the dipoles of a rhythm for which there is evidence.

    The search is that of :class:`DipoleSearch`, and looks at the power that is there beyond that of
    a baseline. Where DICS (Gross et al. 2001) shows a map of power, which correlated sources spoil,
    this gives places.

    Parameters
    ----------
    csd : mne.time_frequency.CrossSpectralDensity
        Of one frequency, or the mean of a band, ``csd.mean(8, 12)``.
    noise_csd : mne.time_frequency.CrossSpectralDensity
        The same of a baseline, of windows as many and as long.
    forward : mne.Forward
    n_windows : int
        Number of windows and tapers that each density is the mean of: trials times tapers.
    n_sources : int or None, default=None
        Number of sources where it is known: that many are found, whatever the evidence.
    max_sources : int, default=20
        Largest number of sources.
    model_error : float, default=0.15
        Standard deviation of the error of the lead field relative to it.
    random_state : int, RandomState instance or None, default=None
        Seed of the realizations of noise.

    Returns
    -------
    found : Oscillations

    Raises
    ------
    TypeError, ValueError
        For densities of several frequencies or other channels than `forward`, or n_windows < 2.

    References
    ----------
    Gross et al. (2001), Dynamic imaging of coherent sources, PNAS 98; Chen et al. (2010), Shrinkage
    algorithms for MMSE covariance estimation, IEEE Transactions on Signal Processing 58. The search
    is our own.

    Examples
    --------
    >>> import mne
    >>> import numpy as np
    >>> from sklearn_meg.datasets import simulated_forward
    >>> from sklearn_meg.source import find_oscillations
    >>> forward = simulated_forward(spacing=20.0)
    >>> names, rng = forward["sol"]["row_names"], np.random.default_rng(0)
    >>> field = forward["sol"]["data"][:, 300]
    >>> def density(strength):
    ...     windows = rng.normal(size=(200, 306)) + 1j * rng.normal(size=(200, 306))
    ...     rhythm = strength * (rng.normal(size=200) + 1j * rng.normal(size=200))
    ...     windows += np.outer(rhythm, field / np.linalg.norm(field))
    ...     data = windows.T @ windows.conj() / 200
    ...     return mne.time_frequency.CrossSpectralDensity(
    ...         data[np.triu_indices(306)], names, [10.0], n_fft=256
    ...     )
    >>> found = find_oscillations(density(4.0), density(0.0), forward, 200, random_state=0)
    >>> bool(np.linalg.norm(found.positions - forward["source_rr"][100], axis=1).max() < 0.01)
    True
    """
    active, noise = (
        _density(each, name) for each, name in ((csd, "csd"), (noise_csd, "noise_csd"))
    )
    _check(csd, noise_csd, forward, n_windows)
    rng = check_random_state(random_state)
    lead = read_lead_field(forward, len(active), list(csd.ch_names))
    whitener, shrinkage = _whitener(noise.real, n_windows)
    grid = lead.positions if lead.kind in ("volume", "discrete") and lead.n_orient == 3 else None
    gain = whitener @ lead.gain
    scanner = Scanner(gain, lead.n_orient, grid, model_error)
    inside = scanner.modes.T @ whitener
    Y = _components(inside @ active @ inside.T, rng)
    given = n_windows, shrinkage, rng
    tops = [_top_of_noise(gain, lead.n_orient, *given) for _ in range(SETTINGS.density_draws)]
    least = SETTINGS.density_more * float(np.mean(tops) + SETTINGS.sigmas * np.std(tops))
    draws = [rng.standard_normal(Y.shape) for _ in tops]
    dipoles = scanner.search(Y, least, max_sources, n_sources, draws)
    if not dipoles:
        warn_assumption("no-source", "There is no evidence for a source beyond the baseline.")
        return Oscillations(np.zeros((0, 3)), np.zeros((0, 3)), *np.zeros((3, 0)))
    return _described(
        scanner, dipoles, lead, inside, active, noise, scanner.beside(Y, dipoles, least)
    )


def _density(csd, name):
    """Matrix of a density of one frequency."""
    if not hasattr(csd, "get_data") or not hasattr(csd, "frequencies"):
        raise TypeError(f"{name} must be a CrossSpectralDensity of mne. Got {type(csd).__name__}.")
    if len(csd.frequencies) != 1:
        raise ValueError(
            f"{name} must be of one frequency. Got {len(csd.frequencies)}: give {name}.mean(), or "
            f"{name}.pick_frequency()."
        )
    data = np.asarray(csd.get_data())
    if not np.isfinite(data).all():
        raise ValueError(f"{name} must be finite.")
    return data


def _check(csd, noise_csd, forward, n_windows):
    if not is_mne_forward(forward):
        raise TypeError(f"forward must be an mne.Forward. Got {type(forward).__name__}.")
    if list(csd.ch_names) != list(noise_csd.ch_names):
        raise ValueError("csd and noise_csd must be of the same channels in the same order.")
    if not isinstance(n_windows, int | np.integer) or n_windows < 2:
        raise ValueError(f"n_windows must be an int of at least 2. Got {n_windows!r}.")


def _whitener(noise, n_windows):
    """Whitener of a baseline, shrunk as far as so many windows ask for, and how far.

    Oracle approximating shrinkage (Chen et al. 2010) of channels in units of their noise.
    """
    scale = 1 / np.sqrt(np.diag(noise))
    cov = scale[:, None] * noise * scale
    n, power = len(cov), np.square(cov).mean()
    shrinkage = (power + 1) / ((2 * n_windows + 1) * (power - 1 / n))
    shrinkage = float(np.clip(shrinkage, SETTINGS.density_ridge, 1.0))
    values, vectors = np.linalg.eigh(cov)
    kept = values > 1e-6 * values[-1]  # Maxwell filters and projections leave fewer
    values = (1 - shrinkage) * values[kept] + shrinkage
    return (vectors[:, kept] / np.sqrt(values)).T * scale, shrinkage


def _components(density, rng):
    """Real components (n, n) with the second moments of a density, none unlike the others.

    The median direction is taken for noise, of which all may be louder than in the baseline: it has
    unit power in each component.
    """
    values, vectors = np.linalg.eigh((density.real + density.real.T) / 2)
    root = vectors * np.sqrt(np.maximum(values, 0.0) / max(np.median(values), 1e-300))
    return root @ np.linalg.qr(rng.standard_normal(density.shape))[0] * np.sqrt(len(density))


def _top_of_noise(gain, n_orient, n_windows, shrinkage, rng):
    """Power that the best position explains of windows of noise, whitened by as many others.

    Directions in which these happen to have little seem to be what sources make most. Real and
    imaginary parts of a window are two samples of noise.
    """
    active, noise = rng.standard_normal((2, len(gain), 2 * n_windows))
    values, vectors = np.linalg.eigh(noise @ noise.T / (2 * n_windows))
    values = (1 - shrinkage) * np.maximum(values, 0.0) + shrinkage
    whitener = (vectors / np.sqrt(values)) @ vectors.T
    scanner = Scanner(whitener @ gain, n_orient)
    fields = scanner.modes.T @ whitener @ active
    return float(scanner.explained(_components(fields @ fields.T, rng)).max())


def _described(scanner, dipoles, lead, inside, active, noise, evidence):
    """Places, orientations and powers of dipoles."""
    owner = np.repeat(np.arange(len(dipoles)), [len(d.orientations) for d in dipoles])
    columns = np.concatenate([dipole.columns for dipole in dipoles], axis=1)
    unmix = np.linalg.pinv(columns) @ inside
    power, before = (
        np.bincount(owner, np.einsum("kc,cd,kd->k", unmix, each.real, unmix))
        for each in (active, noise)
    )
    axes = [lead.axes[dipole.position] for dipole in dipoles]
    ways = [dipole.orientations[0] @ own for dipole, own in zip(dipoles, axes)]
    places = [lead.positions[d.position] if d.place is None else d.place for d in dipoles]
    return Oscillations(
        positions=np.array(places),
        orientations=np.array(ways),
        power=np.maximum(power - before, 0.0),
        ratio=power / before,
        evidence=evidence,
    )
