"""Whether new recordings have the states of a fit, or a single state does nearly as well.

Other units, offsets, signs, or another order of regions leave a model sure of its states, which
are wrong then. But samples are less likely under states that are not theirs than under the
recording's own mean and covariance, each half under those of the other half.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.stats import t as student

from .._checks.assumptions import warn_assumption
from ._align import Aligner, Static, half_of
from ._alignment_choice import statics_of
from ._chain import forward_backward, make_layout
from ._doubts import StateWarning
from ._em import plug_in_density
from ._prepare import with_aligner
from ._settings import ALIGN, FOREIGN
from ._tails import spread_of


def whole_of(model):
    """Moments of all samples by the states of a model."""
    center, share = model.occupancy_ @ model.means_, model.occupancy_
    apart = model.means_ - center
    inside = np.tensordot(share, model.covariances_, 1)
    return Static(0.0, center, inside + apart.T @ (share[:, None] * apart))


class Gains:
    """What states gain over one state of a recording's own, and over one of all recordings.

    prepared (Prepared): In the units of the model.
    whole (Static): Of all samples, in the units of X.
    """

    def __init__(self, prepared, whole):
        spread, aligner = prepared.spread, prepared.aligner
        self.prepared = prepared
        self.center = (whole.mean - prepared.center) / spread
        self.covariance = whole.covariance / (spread[:, None] * spread)
        self.alike = aligner.method == "covariance"  # then it is that of all

    def __call__(self, aligned, crossed, parameters):
        """Gains of one recording, in nats.

        aligned, crossed (Recordings): Only one, aligned by itself; each half by the other.
        Returns gains (2, n_blocks): Over its own state and over that of all, by blocks of time.
        and counts (n_blocks,): Samples.
        and states (n_samples,)
        """
        *density, log_start, log_trans = parameters
        batch = self.prepared.batch(aligned if self.alike else crossed)
        n, tails = len(batch.X), density[3]
        there = np.ones(n, bool) if batch.missing is None else ~batch.missing
        log_b = batch.log_density(*density)[0]
        layout = make_layout(batch.lengths, log_b.shape[2])
        gamma, _, _, total = forward_backward(log_b, log_start, log_trans, layout)
        # The entropy and the changes of the path are spread over all samples.
        by_sample = (gamma * log_b).sum((1, 2))
        by_sample[there] += (total[0, 0] - by_sample.sum()) / max(there.sum(), 1)
        alone = self._alone(batch, there, tails)
        pieces = int(np.clip(n // FOREIGN.block, 1, FOREIGN.most_blocks))
        begin = np.linspace(0, n, pieces + 1).astype(int)[:-1]
        gains = np.where(there, by_sample - alone, 0.0)
        counts = np.add.reduceat(there.astype(int), begin)
        return np.add.reduceat(gains, begin, axis=1), counts, gamma[:, 0].argmax(1)

    def _alone(self, batch, there, tails):
        """Log-densities (2, n_samples) without states: by the other half, and by all."""
        every = self._density(batch, self.center, self.covariance, tails)
        if self.alike:
            return np.stack([every, every])
        half, own = half_of(len(batch.X)), np.empty(len(batch.X))
        for h in (0, 1):
            moments = self._moments(batch.X[there & (half != h)])
            own[half == h] = self._density(batch, *moments, tails)[half == h]
        return np.stack([own, every])

    def _moments(self, X):
        """Mean and covariance of samples, of which those of all count as a few."""
        n, weight = len(X), X.shape[1] + 1
        mean = (X.sum(0) + self.center) / (n + 1)
        X, shift = X - mean, mean - self.center
        return mean, (X.T @ X + np.outer(shift, shift) + weight * self.covariance) / (n + weight)

    def _density(self, batch, mean, covariance, tails):
        density = plug_in_density(covariance[None, None] / spread_of(tails[0]))
        return batch.log_density(mean[None, None], *density, tails)[0][:, 0, 0]


def mean_gain(found):
    """Gain per sample of all recordings together, over what explains them better without states.

    found (list): From `Gains`, of each recording.
    Returns mean, and how far above it the true one may be, as blocks differ
    """
    gains = np.concatenate([g for g, *_ in found], axis=1)
    counts = np.concatenate([c for _, c, _ in found])
    gains, counts = gains[:, counts > 0], counts[counts > 0]
    gains = gains[gains.sum(1).argmin()] / counts
    mean, n = np.average(gains, weights=counts), len(gains)
    if n < 2:
        return mean, np.inf
    return mean, gains.std(ddof=1) / np.sqrt(n) * student.isf(FOREIGN.level, n - 1)


def foreign(model, prepared):
    """Numbers of recordings whose states are not those of the model.

    prepared (Prepared): New recordings, in the units of the model.
    """
    n = len(prepared.recordings.parts)
    gains, parameters = Gains(prepared, whole_of(model)), model._parameters()
    both = prepared.recordings, prepared.crossed
    found = [gains(*(b.pick([r]) for b in both), parameters) for r in range(n)]
    usual = model._usual_gain
    least = FOREIGN.least * usual if usual > 0 else usual
    together = sum(mean_gain(found)) < least
    each = [mean_gain([one]) for one in found]
    worse = [r for r, (m, above) in enumerate(each) if m + (not together) * above < least]
    if not worse or gains.alike:
        return worse
    same = []
    for r, states in zip(worse, _realigned(model, prepared, worse)):
        there = ~np.isnan(prepared.recordings.parts[r]).any(1)
        same.append((states == found[r][2])[there])
    return [] if np.concatenate(same).mean() > FOREIGN.same else worse


def _realigned(model, prepared, which):
    """States of some recordings whose mean and covariance are made those of all samples."""
    recordings = replace(prepared.recordings.pick(which), maps=None)
    aligner = Aligner("covariance", whole_of(model), FOREIGN.weight, prepared.aligner.signs)
    statics = [statics_of(part, ALIGN.robust_dof) for part in recordings.parts]
    aligned = with_aligner(recordings, aligner, statics, {})
    aligned = replace(aligned, center=prepared.center, spread=prepared.spread)
    for r in range(len(which)):
        batch = aligned.batch(aligned.recordings.pick([r]))
        yield batch.decode(*model._parameters())[0][:, 0].argmax(1)


def warn_if_foreign(model, prepared):
    """Warn of recordings that do not have the states of the model."""
    if model.order_ or len(model.means_) == 1 or not np.isfinite(model._usual_gain):
        return
    which = foreign(model, prepared)
    if not which:
        return
    n, names = len(prepared.recordings.parts), ", ".join(f"X[{i}]" for i in which[:10])
    said = f"{len(which)} of {n} recordings ({names}) are" if n > 1 else "The recording is"
    warn_assumption(
        "unusual-recordings",
        f"{said} explained nearly as well by a single state as by the states of fit.",
        category=StateWarning,
    )
