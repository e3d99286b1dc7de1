"""Covariances of lagged signals, without building the lag matrix; and ridge solvers on them.

Everything a linear encoder learns is in the sums of products of lagged rows. They are additive
over trials: those of a cross-validation fold are subtracted, not computed again.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, eigh

# Lagged copies exist for a few trials at a time only, of about this size (fits a CPU cache).
BLOCK_BYTES = 2 * 2**20
# Trials whose edges are multiplied at a time.
EDGE_TRIALS = 64


@dataclass
class LagSums:
    """Sums of products over samples of lagged rows ``x[r, t - lag]`` and targets ``y[c, t]``.

    xx (n_rows * n_lags, n_rows * n_lags), xy (n_rows * n_lags, n_targets), yy
        (n_targets, n_targets)
    x, y (n_rows * n_lags,) and (n_targets,): Sums, to center with.
    n_samples (int or float): Number of samples, weighted.
    """

    xx: np.ndarray
    xy: np.ndarray
    yy: np.ndarray
    x: np.ndarray
    y: np.ndarray
    n_samples: float

    def __sub__(self, other):
        return LagSums(*(a - b for a, b in zip(vars(self).values(), vars(other).values())))

    def __add__(self, other):
        return LagSums(*(a + b for a, b in zip(vars(self).values(), vars(other).values())))

    def select(self, keep):
        """Keep some of the lagged rows."""
        xx = self.xx[np.ix_(keep, keep)]
        return LagSums(xx, self.xy[keep], self.yy, self.x[keep], self.y, self.n_samples)

    def project(self, components):
        """Replace the targets by linear combinations of them."""
        yy = components @ self.yy @ components.T
        xy, y = self.xy @ components.T, components @ self.y
        return LagSums(self.xx, xy, yy, self.x, y, self.n_samples)

    def about(self, mean):
        """Products with deviations of the lagged rows from some means; the targets stay."""
        shift = np.outer(mean, self.x)
        xx = self.xx - shift - shift.T + self.n_samples * np.outer(mean, mean)
        x = self.x - self.n_samples * mean
        return LagSums(xx, self.xy - np.outer(mean, self.y), self.yy, x, self.y, self.n_samples)

    def centered(self):
        """Products of deviations from the means; `x` and `y` stay. The last step: not additive."""
        return LagSums(
            self.xx - np.outer(self.x, self.x) / self.n_samples,
            self.xy - np.outer(self.x, self.y) / self.n_samples,
            self.yy - np.outer(self.y, self.y) / self.n_samples,
            self.x,
            self.y,
            self.n_samples,
        )


def lagged(x, lags, start=0):
    """Lagged copies of a few trials, zero where a lag reaches outside the trial.

    x (n_rows, n_trials, n_times)
    lags (n_lags,) int: Positive lags look into the past.
    start: First sample to keep.
    Returns wide (n_rows, n_lags, n_trials, n_times - start):
        ``wide[r, i, n, t - start] = x[r, n, t - lags[i]]``.
    """
    n_rows, n_trials, n_times = x.shape
    wide = np.zeros((n_rows, len(lags), n_trials, n_times - start))
    for i, lag in enumerate(lags):
        first, last = max(start, lag), min(n_times, n_times + lag)
        if first < last:
            wide[:, i, :, first - start : last - start] = x[:, :, first - lag : last - lag]
    return wide


def trials_per_block(n_lagged, n_times):
    """How many trials to lag at a time."""
    return max(1, BLOCK_BYTES // (8 * n_lagged * n_times))


def lag_sums(blocks, lags, start=0):
    """Sum products of lagged rows and targets over the samples ``t >= start``.

    Only the products with the first lag are summed over time. The others follow along the
    diagonals: shifting both lags by one drops the sample that leaves at the end of a trial and
    adds the one that enters before `start`. With a mask the same holds for each run of samples
    that count.

    blocks (iterable of (x, y) or (x, y, counted)): Trials in pieces,
        ``x (n_rows, n_trials, n_times)``, ``y (n_targets, n_trials, n_times)``;
        ``counted (n_trials, n_times)`` is how much a sample counts, 0 or the trial's weight.
    lags (n_lags,) int: Consecutive.
    start: First sample to predict.
    Returns sums (LagSums)

    >>> import numpy as np
    >>> x, y = np.arange(4.0).reshape(1, 1, 4), np.ones((1, 1, 4))
    >>> sums = lag_sums([(x, y)], np.arange(2))
    >>> sums.xx  # x = 0 1 2 3, lagged 0 0 1 2
    array([[14.,  8.],
           [ 8.,  5.]])
    """
    return grouped_sums(blocks, [(slice(None), lags)], start)


def grouped_sums(blocks, groups, start=0):
    """As `lag_sums`, of groups of rows that have lags of their own.

    groups (list of (slice of rows of x, lags)): Lagged rows come in this order.
    """
    sums, steps, ends, starts = None, 0.0, [], []
    for x, y, *counted in blocks:
        counted = counted[0][:, start:] if counted else None
        parts = _block_sums(x, y, groups, start, counted)
        if sums is None:
            sums = parts
        else:
            for total, part in zip(sums, parts):
                total += part
        trials, first, last = _runs(counted, start, *x.shape[1:])
        size = 1.0 if counted is None else np.sqrt(counted[trials, first - start])
        ends.append(size * _all_at(x, groups, trials, last))
        starts.append(size * _all_at(x, groups, trials, first - 1))
        if sum(end.shape[1] for end in ends) >= EDGE_TRIALS:
            steps = steps + _edge_products(ends, starts)
            ends, starts = [], []
    if ends:
        steps = steps + _edge_products(ends, starts)
    *first, xy, yy, x_sum, y_sum, count = sums
    return LagSums(_filled(first, steps, groups), xy, yy, x_sum, y_sum, count[()])


def _block_sums(x, y, groups, start, counted):
    """Sum products over the samples of a few trials; first those with the first lag of a group."""
    wide = [lagged(x[rows], lags, start) for rows, lags in groups]
    flat = _stacked([each.reshape(-1, each[0, 0].size) for each in wide])
    target = np.ascontiguousarray(y[:, :, start:]).reshape(len(y), -1)
    base, weighed = [each[:, 0].reshape(len(each), -1) for each in wide], target
    if counted is None:
        x_sum, count = flat.sum(axis=1), target.shape[1]
    else:
        counted = counted.reshape(-1)
        base, weighed = [each * counted for each in base], target * counted
        x_sum, count = flat @ counted, counted.sum()
    return [
        *(each @ flat.T for each in base),
        flat @ weighed.T,
        weighed @ target.T,
        x_sum,
        weighed.sum(axis=1),
        np.array(count),
    ]


def _runs(counted, start, n_trials, n_times):
    """Trial, first and last sample of each run of samples that count."""
    if counted is None:
        every = np.arange(n_trials)
        return every, np.full(n_trials, start), np.full(n_trials, n_times - 1)
    edges = np.diff(np.pad((counted > 0).astype(np.int8), ((0, 0), (1, 1))), axis=1)
    trials, first = np.nonzero(edges == 1)
    return trials, start + first, start + np.nonzero(edges == -1)[1] - 1


def _edge_products(ends, starts):
    """Sum products of what enters before the first sample, less what leaves after the last."""
    entering, leaving = np.concatenate(starts, axis=1), np.concatenate(ends, axis=1)
    steps = -(leaving @ leaving.T)
    return steps + entering @ entering.T if entering.any() else steps


def _at(x, trials, times):
    """Take samples ``times (n, n_lags)`` of trials, zero outside them: (n_rows * n_lags, n)."""
    inside = (times >= 0) & (times < x.shape[2])
    window = np.where(inside, x[:, trials[:, np.newaxis], np.where(inside, times, 0)], 0.0)
    return np.ascontiguousarray(window.transpose(0, 2, 1)).reshape(-1, len(trials))


def _all_at(x, groups, trials, times):
    return _stacked([_at(x[rows], trials, times[:, None] - lags) for rows, lags in groups])


def _stacked(arrays):
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _filled(first, steps, groups):
    """All products of lagged rows, from those with the first lag of each group.

    first (list of (n_rows of the group, n_lagged))
    steps (n_lagged, n_lagged): Overwritten.
    """
    ends = np.cumsum([len(rows) * len(lags) for rows, (_, lags) in zip(first, groups)])
    parts = [
        slice(end - len(rows) * len(lags), end) for rows, (_, lags), end in zip(first, groups, ends)
    ]
    for g, here in enumerate(parts):
        for h, there in enumerate(parts[: g + 1]):
            row = first[g][:, there].reshape(len(first[g]), len(first[h]), -1)
            column = first[h][:, here].reshape(len(first[h]), len(first[g]), -1)
            shape = len(first[g]), column.shape[2], len(first[h]), row.shape[2]
            block = _along_diagonals(row, column, steps[here, there].reshape(shape))
            steps[here, there] = block
            if h < g:
                steps[there, here] = block.T
    return (steps + steps.T) / 2


def _along_diagonals(row, column, steps):
    """Fill all pairs of lags of two groups from those with the first lag of either.

    row (n_rows, n_others, n_other_lags), column (n_others, n_rows, n_lags)
    steps (n_rows, n_lags, n_others, n_other_lags): Overwritten.
    Returns products (n_rows * n_lags, n_others * n_other_lags).
    """
    previous, step = row, steps[:, 0].copy()
    steps[:, 0] = row
    for i in range(1, steps.shape[1]):
        row = np.empty_like(previous)
        row[:, :, 0] = column[:, :, i].T
        row[:, :, 1:] = previous[:, :, :-1] + step[:, :, :-1]
        step = steps[:, i].copy()
        steps[:, i] = row
        previous = row
    return steps.reshape(steps.shape[0] * steps.shape[1], -1)


def ridge(xx, xy, penalty):
    """Solve ``(xx + diag(penalty)) w = xy``; the shortest solution where it is singular.

    xx (p, p), xy (p, n_targets), penalty (float or ndarray of shape (p,))
    Returns w (p, n_targets)
    """
    matrix = xx.copy()
    matrix.flat[:: len(xx) + 1] += penalty
    size = np.sqrt(np.maximum(np.diag(matrix), 0.0))[:, np.newaxis]
    if len(xx) and size.min() > 0:
        try:  # unit diagonal: whether it is singular does not depend on the units of a feature
            factor = cho_factor(matrix / size / size.T, lower=True, check_finite=False)
            if np.diag(factor[0]).min() > 1e-7:
                return cho_solve(factor, xy / size, check_finite=False) / size
        except LinAlgError:
            pass
    values, vectors = eigh(matrix, check_finite=False)
    inverse = invert(values)
    return vectors @ (inverse[:, np.newaxis] * (vectors.T @ xy))


def invert(values):
    """Reciprocals; zero for what is zero up to rounding."""
    floor = len(values) * np.finfo(float).eps * max(np.abs(values).max(initial=0.0), 1e-300)
    return np.where(values > floor, 1 / np.where(values > floor, values, 1.0), 0.0)


def ridge_path_errors(train, held, alphas, weights):
    """Squared errors on held-out samples for many alphas and one eigendecomposition.

    The held-out error needs no prediction: ``yy - 2 w'xy + w' xx w`` of the held-out sums.

    train, held (LagSums), alphas (n_alphas,)
    weights (p,): Relative penalty of each coefficient: the penalty is ``alpha * weights``.
    Returns errors (n_alphas, n_targets): Sums of squared errors.
    """
    scale = 1 / np.sqrt(weights)
    values, vectors = eigh(train.xx * np.outer(scale, scale), check_finite=False)
    vectors = scale[:, np.newaxis] * vectors
    values = np.where(values > 0, values, 0.0)
    train_xy, held_xy = vectors.T @ train.xy, vectors.T @ held.xy
    held_xx = vectors.T @ held.xx @ vectors
    held_yy = np.diag(held.yy)
    errors = np.empty((len(alphas), len(held_yy)))
    for i, alpha in enumerate(alphas):
        w = invert(values + alpha)[:, np.newaxis] * train_xy
        errors[i] = held_yy + np.einsum("pc,pc->c", w, held_xx @ w - 2 * held_xy)
    return errors
