"""Autoregressive models with a stimulus (ARX): sums, ridge solutions, unrolled predictions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh

from ._blocks import n_counted, read_blocks, trials_of, weighed
from ._filters import filter_trials
from ._lags import grouped_sums, ridge, trials_per_block
from ._recursion import unroll

AUTO_COMPONENTS = 30
PIECE_BYTES = 2**22  # of one array; predictions of a piece need several as large


@dataclass
class Arx:
    """Trials, and what all models of them share.

    X, y (n_trials, n_rows, n_times) and (n_trials, n_channels, n_times)
    components (n_components, n_channels): From channels to what the past is made of.
    x_mean, x_scale (n_features,)
    delays, used (ndarray): As :func:`~._base.resolve_delays` gives them.
    """

    X: np.ndarray
    y: np.ndarray
    rows: object
    components: np.ndarray
    x_mean: np.ndarray
    x_scale: np.ndarray
    delays: np.ndarray
    used: np.ndarray
    n_past: int

    def sums(self, trials):
        """Sum products of lagged stimulus (first), past components, and y."""
        n_features, n_past, rows = len(self.rows.features), self.n_past, self.rows
        groups = [(slice(n_features), self.delays)]
        if n_past:
            groups.append((slice(n_features, None), np.arange(1, n_past + 1)))
        n_lagged = n_features * len(self.delays) + len(self.components) * n_past
        step = trials_per_block(n_lagged, self.X.shape[2])

        def blocks():
            sources = [(self.X, rows.features), (self.y, None), *rows.mask_source(self.X)]
            for x, target, *mask in read_blocks(sources, trials, step):
                x -= self.x_mean[:, np.newaxis, np.newaxis]
                past = np.tensordot(self.components, target, 1)
                usable = [with_past(m[0] > 0, n_past) * m[0] for m in mask]
                yield np.concatenate([x, past]) if n_past else x, target, *usable

        sums = grouped_sums(blocks(), groups, rows.n_initial)
        past = np.ones(len(sums.xx) - len(self.used), dtype=bool)
        return sums.select(np.flatnonzero(np.concatenate([self.used, past])))

    def weights(self, sums, penalties, prior=None):
        """Ridge weights of stimulus and past (p, n_channels) from centered sums."""
        penalty = np.full(len(sums.xx), float(penalties[0]))
        stimulus = np.repeat(self.x_scale**2, len(self.delays))[self.used]
        penalty[: len(stimulus)] = penalties[1] * stimulus
        if prior is None:
            return ridge(sums.xx, sums.xy, penalty)
        return prior + ridge(sums.xx, sums.xy - sums.xx @ prior, penalty)

    def as_model(self, w, sums):
        """Weights as past_coef, coef, and the intercept of centered features."""
        n_channels = w.shape[1]
        coef = np.zeros((n_channels, len(self.used)))
        coef[:, self.used] = w[: self.used.sum()].T
        coef = coef.reshape(n_channels, -1, len(self.delays))
        past = w[self.used.sum() :].reshape(len(self.components), self.n_past, n_channels)
        return past.transpose(1, 2, 0), coef, (sums.y - w.T @ sums.x) / sums.n_samples

    def solve(self, sums, penalties, prior=None):
        """One model from centered sums: past_coef, coef, intercept."""
        return self.as_model(self.weights(sums, penalties, prior), sums)

    def unrolled_errors(self, trials, models, slope, offset):
        """Sums of squared errors after the initial window, and the number of samples.

        Only the past components are predicted, which is all the closed loop needs: with few
        components of many channels that is much cheaper, and misses only what no past explains.
        """
        start, errors, n_scored = self.rows.n_initial, np.zeros(len(models)), 0
        identity = np.eye(len(self.components))
        for part in pieces_of(trials, self.X.shape[2], len(self.components)):
            known = known_values(self.X, self.rows, part, slope, offset)
            known = np.tensordot(known, self.components, (1, 1)).transpose(0, 2, 1)
            true = self._project(part)[:, :, start:]
            counted = counted_samples(self.X, self.rows, part)[:, np.newaxis, start:]
            n_scored += counted.sum()
            for i, model in enumerate(models):
                predicted = self.unroll(part, known, *model, identity)
                with np.errstate(over="ignore", invalid="ignore"):
                    error = np.where(counted > 0, true - predicted[:, :, start:], 0.0)
                    errors[i] += (counted * error**2).sum()
        return np.where(np.isfinite(errors), errors, np.finfo(float).max), n_scored

    def _project(self, trials):
        """Past components of some trials, (n_trials, n_components, n_times)."""
        step = trials_per_block(self.y.shape[1], self.y.shape[2])
        blocks = read_blocks([(self.y, None)], trials, step)
        parts = [np.tensordot(self.components, b, 1) for (b,) in blocks]
        return np.concatenate(parts, axis=1).transpose(1, 0, 2)

    def unroll(self, trials, known, past, coef, intercept, components):
        """Predict some trials from their known beginning."""
        drive = filter_trials(self.X, self.rows.features, trials, coef, self.delays, self.x_mean)
        drive += intercept[:, np.newaxis]
        return unroll(drive, known, past, components)


def known_values(X, rows, trials, slope, offset):
    """MEG of the initial window in the units of y, (n_trials, n_channels, n_initial)."""
    if not rows.n_initial:
        return np.zeros((len(trials), len(slope), 0))
    initial = X[np.ix_(trials, rows.initial, np.arange(rows.n_initial))].astype(np.float64)
    return initial * slope[:, np.newaxis] + offset[:, np.newaxis]


def counted_samples(X, rows, trials):
    """How much each sample counts: 0, or 1 or the weight of its trial; (n_trials, n_times)."""
    weights = getattr(rows, "weights", None)
    weights = np.ones(len(trials)) if weights is None else weights[trials]
    counted = np.broadcast_to(weights[:, np.newaxis], (len(trials), X.shape[2]))
    return counted if rows.mask is None else counted * (X[trials, rows.mask] > 0)


def with_past(counted, n_past):
    """Which samples count together with their past."""
    missing = np.cumsum(~counted, axis=1)
    before = np.pad(missing, ((0, 0), (n_past + 1, 0)))[:, : counted.shape[1]]
    return counted & (missing == before)


def pieces_of(trials, n_times, n_rows):
    """Trials in pieces that fit into memory."""
    step = trials_of(n_times, n_rows, PIECE_BYTES)
    return [trials[i : i + step] for i in range(0, len(trials), step)]


def components_of(y, trials, n_components, mask):
    """From channels to components of the past: standardized channels, or their first PCs."""
    n_channels = y.shape[1]
    if n_components == "auto":
        n_components = min(n_channels, AUTO_COMPONENTS)
    elif n_components is not None and n_components > n_channels:
        raise ValueError(
            f"n_components must not be above the number of channels of y, {n_channels}. "
            f"Got {n_components}."
        )
    total, products, n = 0.0, 0.0, 0
    step = trials_of(y.shape[2], n_channels)
    for block, *counted in read_blocks([(y, None), *mask], trials, step):
        flat = block.reshape(n_channels, -1)
        weighted = weighed(block, counted).reshape(n_channels, -1)
        total, products = total + weighted.sum(axis=1), products + weighted @ flat.T
        n += n_counted(block, counted)
    covariance = products / n - np.outer(total, total) / n**2
    scale = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    scale = 1 / np.where(scale > 0, scale, 1.0)
    if n_components is None or n_components == n_channels:
        return np.diag(scale)
    _, vectors = eigh(covariance * np.outer(scale, scale))
    vectors = vectors[:, ::-1][:, :n_components].T
    return vectors * scale


def scale_of_rows(X, rows, trials):
    """Compute the standard deviation of each stimulus row, 1 where it is constant."""
    total, squares, n = 0.0, 0.0, 0
    step = trials_of(X.shape[2], len(rows.features))
    for x, *counted in read_blocks([(X, rows.features), *rows.mask_source(X)], trials, step):
        n += n_counted(x, counted)
        total = total + weighed(x, counted).sum(axis=(1, 2))
        squares = squares + weighed(x**2, counted).sum(axis=(1, 2))
    variance = squares / n - (total / n) ** 2
    return np.sqrt(np.where(variance > 1e-12 * squares / n, variance, 1.0))
