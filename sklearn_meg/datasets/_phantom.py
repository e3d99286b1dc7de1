"""A phantom: bundles in a ball, with their diffusion signal and orientation distributions."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

from .._repr import short_repr

if TYPE_CHECKING:
    from .._typing import RandomSeed

__all__ = ["PhantomData", "make_phantom"]

KINDS = ("arc", "cross", "fan", "kiss", "arc", "cross")
SHELL = 2.0  # voxels from the surface that are an end region
DIFFUSIVITIES = 1.7e-3, 0.2e-3  # along and across a fiber, mm^2 / s
N_LINE = 400  # points of a center line


@dataclass
class PhantomData:
    """Bundles, what a scanner would measure of them, and what is found in that.

    Attributes
    ----------
    bundles : ndarray of bool of shape (n_bundles, n, n, n)
        Voxels of each bundle.
    directions : ndarray of shape (n_bundles, n, n, n, 3)
        True directions, NaN outside a bundle.
    centerlines : list of ndarray of shape (n_points, 3)
        Middle of each bundle, in voxels, from one end region to the other.
    labels : ndarray of int of shape (n, n, n)
        End regions: 2 k + 1 and 2 k + 2 are those of bundle k.
    mask : ndarray of bool of shape (n, n, n)
        Voxels of any bundle.
    signal : ndarray of shape (n, n, n, n_gradients)
        Diffusion signal with noise, 1 without weighting.
    bvals : ndarray of shape (n_gradients,)
        b-values in s / mm^2.
    bvecs : ndarray of shape (n_gradients, 3)
    """

    bundles: np.ndarray
    directions: np.ndarray
    centerlines: list
    labels: np.ndarray
    mask: np.ndarray
    signal: np.ndarray
    bvals: np.ndarray
    bvecs: np.ndarray
    _fod: np.ndarray | None = field(default=None, repr=False)

    __repr__ = short_repr

    @property
    def fod(self) -> np.ndarray:
        """Fiber orientation distributions (n, n, n, 45) in dipy's basis, by its CSD."""
        if self._fod is None:
            self._fod = deconvolved(self)
        return self._fod


def make_phantom(
    *,
    size: int = 44,
    n_bundles: int = 20,
    snr: float = 20.0,
    b: float = 3000.0,
    n_directions: int = 64,
    random_state: RandomSeed = 0,
) -> PhantomData:
    """Make bundles that bend, cross, fan out and touch in a ball, and their diffusion signal.

    Each bundle is a tube from one place of the surface to another. In a voxel of several bundles
    their signals are averaged: axially symmetric tensors, Rician noise.

    Parameters
    ----------
    size : int, default=44
        Voxels along each side.
    n_bundles : int, default=20
        Number of bundles; fewer if there is no room for more.
    snr : float, default=20.0
        Signal without weighting over the standard deviation of the noise; ``inf`` is no noise.
    b : float, default=3000.0
        b value in s / mm^2.
    n_directions : int, default=64
        Number of gradients.
    random_state : int, RandomState instance or None, default=0
        Seed of bundles and noise.

    Returns
    -------
    phantom : PhantomData

    Raises
    ------
    ValueError
        For a ball that is too small, no bundle, or an SNR that is not positive.

    Examples
    --------
    >>> from sklearn_meg.datasets import make_phantom
    >>> phantom = make_phantom(size=16, n_bundles=2, random_state=0)
    >>> phantom.bundles.shape, phantom.signal.shape
    ((2, 16, 16, 16), (16, 16, 16, 65))
    """
    from .._checks.params import check_random_state

    if size < 12 or n_bundles < 1 or not snr > 0:
        raise ValueError(
            "size must be at least 12, n_bundles at least 1 and snr positive. "
            f"Got {size!r}, {n_bundles!r} and {snr!r}."
        )
    rng = check_random_state(random_state)
    radius, middle = size / 2 - 2, (size - 1) / 2
    tubes = _tubes(rng, radius, n_bundles)
    grid = np.stack(np.meshgrid(*[np.arange(size)] * 3, indexing="ij"), -1) - middle
    depth = radius - np.linalg.norm(grid, axis=-1)
    bundles = np.zeros((len(tubes), *depth.shape), dtype=bool)
    directions = np.full((*bundles.shape, 3), np.nan)
    labels = np.zeros(depth.shape, dtype=int)
    for k, tube in enumerate(tubes):
        distance, width, v, place = tube.at(grid.reshape(-1, 3))
        inside = (distance <= width).reshape(depth.shape) & (depth >= 0)
        bundles[k] = inside
        directions[k][inside] = v[inside.ravel()]
        second = (place >= N_LINE // 2).reshape(depth.shape)
        ends = inside & (depth < SHELL)
        labels[ends] = 2 * k + 1 + second[ends]
    bvals, bvecs = _gradients(n_directions, b)
    signal = _signal(bundles, directions, bvals, bvecs, snr, rng)
    lines = [tube.line[np.linalg.norm(tube.line, axis=1) <= radius] + middle for tube in tubes]
    return PhantomData(bundles, directions, lines, labels, bundles.any(0), signal, bvals, bvecs)


class Tube:
    """A cubic Bezier curve with a radius that changes evenly."""

    def __init__(self, control, first, last):
        t = np.linspace(0, 1, N_LINE)[:, None]
        a, b, c, d = control
        curve = (1 - t) ** 3 * a + 3 * t * (1 - t) ** 2 * b + 3 * t**2 * (1 - t) * c + t**3 * d
        place = np.r_[0, np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))]
        even = np.linspace(0, place[-1], N_LINE)
        self.line = np.stack([np.interp(even, place, x) for x in curve.T], 1)
        self.tangent = _unit(np.gradient(self.line, axis=0))
        self.radius = first + (last - first) * even / place[-1]
        self.growth = (last - first) / place[-1]
        self.bend = np.linalg.norm(np.gradient(self.tangent, axis=0), axis=1) / even[1]

    def at(self, points):
        """Distances from the line, radii, directions, and places along the line."""
        distance, i = cKDTree(self.line).query(points)
        aside = points - self.line[i]
        v = _unit(self.tangent[i] + aside * (self.growth / self.radius[i])[:, None])
        return distance, self.radius[i], v, i


def _tubes(rng, radius, n_bundles):
    """Tubes whose ends are apart from each other, and which do not bend too sharply."""
    tubes, ends = [], []
    for _ in range(20_000):
        if len(tubes) >= n_bundles:
            break
        made = _make(rng, radius, KINDS[len(tubes) % len(KINDS)], n_bundles - len(tubes))
        places = [(t.line[i], t.radius[i]) for t in made for i in (0, -1)]
        sharp = any(t.bend.max() > 1 / (1.3 * t.radius.max()) for t in made)
        if made and not sharp and _apart(places, ends):
            tubes += made
            ends += places
    return tubes


def _apart(places, others):
    together = [*others, *places]
    return all(
        np.linalg.norm(p - q) > r + s + 1
        for i, (p, r) in enumerate(together)
        for q, s in together[max(i + 1, len(others)) :]
    )


def _make(rng, radius, kind, most):
    """One tube of a kind, or two that touch; none if the places do not suit the kind."""
    a, b = _unit(rng.normal(size=(2, 3)))
    angle = np.arccos(np.clip(a @ b, -1, 1))
    low, high = (2.2, np.pi) if kind == "cross" else (0.9, 2.4)
    if not low < angle < high:
        return []
    width = rng.uniform(1.8, 3.2) * min(1, radius / 20 + 0.3)
    depth = rng.uniform(0.35, 0.75) if kind != "kiss" else rng.uniform(0.8, 0.9)
    last = 1.8 * width if kind == "fan" else width
    pairs = [(a, b)]
    if kind == "kiss" and most > 1:
        mirror = _unit(a + b)
        pairs.append(tuple(v - 2 * (v @ mirror) * mirror for v in (a, b)))
    shift = 0.08 * radius * rng.normal(size=3) * (kind != "kiss")
    return [
        Tube(
            radius * np.array([1.02 * u, u * (1 - depth), v * (1 - depth), 1.02 * v])
            + np.array([0 * shift, shift, shift, 0 * shift]),
            width,
            last,
        )
        for u, v in pairs
    ]


def _gradients(n_directions, b):
    """B values and directions spread over the sphere by the golden angle, the first unweighted."""
    i = np.arange(n_directions) + 0.5
    z, turn = 1 - 2 * i / n_directions, np.pi * (1 + 5**0.5) * i
    flat = np.sqrt(1 - z**2)
    vectors = np.stack([flat * np.cos(turn), flat * np.sin(turn), z], 1)
    return np.r_[0, np.full(n_directions, b)], np.vstack([np.zeros(3), vectors])


def _signal(bundles, directions, bvals, bvecs, snr, rng):
    mask, (along, across) = bundles.any(0), DIFFUSIVITIES
    total = np.zeros((int(mask.sum()), len(bvals)))
    for inside, V in zip(bundles, directions):
        own = inside[mask]
        cosine = V[mask][own] @ bvecs.T
        total[own] += np.exp(-bvals * (across + (along - across) * cosine**2))
    total /= bundles.sum(0)[mask][:, None]
    if np.isfinite(snr):
        real, imaginary = rng.normal(size=(2, *total.shape)) / snr
        total = np.hypot(total + real, imaginary)
    signal = np.zeros((*mask.shape, len(bvals)))
    signal[mask] = total
    return signal


def deconvolved(phantom):
    """Distributions of a phantom by constrained spherical deconvolution."""
    from .._optional import needs

    with needs("PhantomData.fod", "dipy", "sklearn-meg[connectome]"):
        from dipy.core.gradients import gradient_table
        from dipy.reconst.csdeconv import ConstrainedSphericalDeconvModel
    along, across = DIFFUSIVITIES
    gradients = gradient_table(phantom.bvals, bvecs=phantom.bvecs)
    response = np.array([along, across, across]), 1.0
    fod = np.zeros((*phantom.mask.shape, 45))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)  # what dipy itself writes
        model = ConstrainedSphericalDeconvModel(gradients, response, sh_order_max=8)
        fod[phantom.mask] = model.fit(phantom.signal[phantom.mask]).shm_coeff
    return fod


def _unit(v):
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-12)
