"""Maps that make recordings alike in mean, variance, covariance and sign, without labels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ._settings import ALIGN

METHODS = ("none", "zscore", "covariance")


@dataclass(frozen=True)
class Static:
    """Moments of a recording, whatever its states.

    count: Number of samples.
    mean (n_regions,), covariance (n_regions, n_regions)
    """

    count: float
    mean: np.ndarray
    covariance: np.ndarray

    def signed(self, signs):
        """The same with regions times signs."""
        return Static(self.count, self.mean * signs, self.covariance * signs[:, None] * signs)

    @property
    def spread(self):
        """Standard deviations."""
        return np.sqrt(np.maximum(np.diag(self.covariance), 1e-300))

    @property
    def correlation(self):
        """Correlations."""
        return self.covariance / self.spread[:, None] / self.spread


def static_of(X, counts=None):
    """Moments of samples (n_times, n_regions), of which some may count less."""
    counts = np.ones(len(X)) if counts is None else counts
    total = max(counts.sum(), 1e-300)
    shift = X[0]  # offsets may be much larger than the signal
    mean = counts @ (X - shift) / total + shift
    Z = (X - mean) * np.sqrt(counts)[:, None]
    return Static(float(total), mean, Z.T @ Z / total)


def robust_static(X, dof):
    """Moments of samples under a t distribution, in which outliers hardly count."""
    static = static_of(X)
    if np.isinf(dof) or len(X) <= 2:
        return static
    before = np.ones(len(X))
    for _ in range(ALIGN.robust_iter):
        counts = (dof + X.shape[1]) / (dof + distances(X, static))
        static = static_of(X, counts)
        if np.abs(counts - before).max() < ALIGN.robust_tol:
            break
        before = counts
    return replace(static, count=float(len(X)))


def distances(X, static):
    """Squared Mahalanobis distances."""
    spread = np.maximum(static.spread, 1e-150)
    scaled = static.covariance / spread[:, None] / spread + ALIGN.ridge * np.eye(len(spread))
    inverse = np.linalg.inv(np.linalg.cholesky(scaled))
    return (((X - static.mean) / spread @ inverse.T) ** 2).sum(1)


def group_of(statics):
    """Mean of the recordings, and mean covariance inside them."""
    n = np.array([s.count for s in statics])
    mean = n @ np.array([s.mean for s in statics]) / n.sum()
    inside = np.einsum("r,rij->ij", n, np.array([s.covariance for s in statics])) / n.sum()
    return Static(float(n.sum()), mean, inside)


def pooled(statics):
    """Moments of all samples together."""
    group = group_of(statics)
    n = np.array([s.count for s in statics])
    shift = np.array([s.mean for s in statics]) - group.mean
    return replace(group, covariance=group.covariance + (shift.T * n) @ shift / n.sum())


def power(covariance, exponent):
    """Power of a symmetric positive matrix."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.maximum(values, 1e-10 * values[-1]) ** exponent) @ vectors.T


def transport(covariance, target):
    """The symmetric matrix T with T covariance T = target.

    Of all linear maps between the two Gaussians the one that moves samples least (Olkin, Pukelsheim
    1982, Linear algebra and its applications 48); diagonal where both covariances have the same
    correlations, so that gains of regions are undone as they are.
    """
    half, back = power(covariance, 0.5), power(covariance, -0.5)
    return back @ power(half @ target @ half, 0.5) @ back


@dataclass(frozen=True)
class Map:
    """An affine map of samples: (x - shift) matrix' + target."""

    shift: np.ndarray
    matrix: np.ndarray
    target: np.ndarray

    def __call__(self, X):
        """Mapped samples (n_times, n_regions)."""
        return (X - self.shift) @ self.matrix.T + self.target

    @property
    def log_det(self):
        """Logarithm of the change of volume."""
        return float(np.linalg.slogdet(self.matrix)[1])

    def static(self, static):
        """Moments of samples after the map."""
        mean = (static.mean - self.shift) @ self.matrix.T + self.target
        return Static(static.count, mean, self.matrix @ static.covariance @ self.matrix.T)

    def back(self, means, covariances):
        """Moments of mapped samples as they are before the map."""
        inverse = np.linalg.inv(self.matrix)
        return (means - self.target) @ inverse.T + self.shift, inverse @ covariances @ inverse.T


@dataclass(frozen=True)
class CrossedMap:
    """Each half of a recording by the map of the other half."""

    maps: tuple

    def __call__(self, X):
        """Mapped samples (n_times, n_regions)."""
        half = half_of(len(X))
        return np.where(half[:, None] == 0, self.maps[1](X), self.maps[0](X))

    def log_det(self, X):
        """Logarithm of the change of volume, summed over samples without NaN."""
        half = half_of(len(X))[~np.isnan(X).any(1)]
        return (half == 0).sum() * self.maps[1].log_det + (half == 1).sum() * self.maps[0].log_det


def half_of(n_times):
    """Half that each sample belongs to: blocks in turn."""
    return np.arange(n_times) * ALIGN.n_blocks // n_times % 2


@dataclass(frozen=True)
class Aligner:
    """Alignment of recordings.

    method ({"none", "zscore", "covariance"})
    group (Static): Covariance and mean to which recordings are aligned.
    weight: Samples that the group's correlations count as where those of a recording are
        estimated.
    signs: Whether signs of regions are matched before.
    """

    method: str
    group: Static
    weight: float = 0.0
    signs: bool = False

    @property
    def trivial(self):
        """Whether recordings stay as they are."""
        return self.method == "none" and not self.signs

    def signs_of(self, static):
        """Sign of each region."""
        if not self.signs:
            return np.ones(len(static.mean))
        return matched_signs(static.correlation, self.group.correlation)

    def own(self, static):
        """Mean and covariance that a recording of these moments is taken to have."""
        group = self.group
        if self.method == "none":
            return group.mean, group.covariance
        correlation = group.correlation
        if self.method == "covariance":
            share = static.count / (static.count + self.weight)
            correlation = share * static.correlation + (1 - share) * correlation
        return static.mean, correlation * static.spread[:, None] * static.spread

    def map_of(self, static):
        """Map of a recording of these moments."""
        signs = self.signs_of(static)
        if self.method == "none":
            zero = np.zeros(len(signs))
            return Map(zero, np.diag(signs), zero)
        static = static.signed(signs)
        mean, covariance = self.own(static)
        if self.method == "zscore":
            matrix = np.diag(self.group.spread / static.spread)
        else:
            scale = (
                self.group.spread / static.spread
            )  # units of regions may differ by powers of ten
            unit = self.group.spread
            inner = transport(
                covariance * scale[:, None] * scale / unit[:, None] / unit,
                self.group.covariance / unit[:, None] / unit,
            )
            matrix = inner * unit[:, None] / unit * scale
        return Map(mean * signs, matrix * signs, self.group.mean)


def matched_signs(correlation, target):
    """Signs under which correlations are most like those of a target.

    Maximizes s' (correlation * target) s over signs: from the leading eigenvector, then one region
    at a time.
    """
    both = correlation * target
    np.fill_diagonal(both, 0.0)
    vector = np.linalg.eigh(both)[1][:, -1]
    found = [_improved(both, start) for start in (np.sign(vector), np.ones(len(both)))]
    best = max(found, key=lambda s: s @ both @ s)
    return best if best.sum() >= 0 else -best


def _improved(both, signs):
    """Signs flipped one at a time as long as a flip increases s' both s."""
    signs = np.where(signs == 0, 1.0, signs)
    for _ in range(ALIGN.sign_sweeps):
        gains = -signs * (both @ signs)
        if gains.max() <= 1e-12:
            break
        for i in np.argsort(-gains):
            if signs[i] * (both[i] @ signs) < 0:
                signs[i] = -signs[i]
    return signs


def with_matched_signs(statics):
    """Recordings whose signs were matched, starting from the most typical one."""
    correlations = [s.correlation for s in statics]
    totals = []
    for target in correlations[: ALIGN.max_scored]:
        signs = [matched_signs(c, target) for c in correlations]
        totals.append(sum(s @ (c * target) @ s for s, c in zip(signs, correlations)))
    target = correlations[int(np.argmax(totals))]
    before = None
    for _ in range(ALIGN.sign_rounds):
        signs = np.array([matched_signs(c, target) for c in correlations])
        if np.array_equal(signs, before):
            break
        before = signs
        signed = [s.signed(sign) for s, sign in zip(statics, signs)]
        target = group_of(signed).correlation
    return signed


def learn(statics, method, weight=0.0, signs=False):
    """An aligner to these recordings."""
    signed = with_matched_signs(statics) if signs else statics
    group = pooled(signed) if method == "none" else group_of(signed)
    ridge = ALIGN.ridge * np.diag(np.diag(group.covariance))
    return Aligner(method, replace(group, covariance=group.covariance + ridge), weight, signs)
