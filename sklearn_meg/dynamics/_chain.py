"""Forward-backward and Viterbi, over restarts, recordings and blocks of time at once.

Recordings are cut into blocks of equal length. A block is a linear map of the state distribution
before it to that at its end; once the maps are known, a short scan over blocks gives the
distribution at every border, and all blocks are run side by side. So a recording of T samples
takes about sqrt(T) steps of array operations, not T.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

STEP_COST, ELEMENT_COST = 2e-5, 2e-9  # seconds: of one array operation, of one number in it


@dataclass
class Layout:
    """Layout of recordings in blocks of `length` samples.

    rows (length, n_blocks): Index of the sample that stands there; 0 where none does.
    there (length, n_blocks) bool: Whether a sample stands there.
    first (ndarray of int): Blocks that begin a recording.
    after (list of ndarray): Blocks that are second, third, ... in their recording.
    """

    rows: np.ndarray
    there: np.ndarray
    first: np.ndarray
    after: list

    @cached_property
    def owner(self):
        """The recording of each block."""
        return np.searchsorted(self.first, np.arange(self.rows.shape[1]), side="right") - 1

    @cached_property
    def full(self):
        """Whether there is no place without sample."""
        return self.there.all()


def make_layout(lengths, n_states, n_restarts=1):
    """Cut recordings of some lengths into blocks, of the length that is least work."""
    lengths = np.asarray(lengths)
    options = sorted({int(lengths.max()), *(2**p for p in range(3, 17) if 2**p < lengths.max())})
    length = min(options, key=lambda size: _cost(size, lengths, n_restarts, n_states))
    per_recording = -(-lengths // length)
    position = np.concatenate([np.arange(n) for n in per_recording])
    start = np.repeat(np.concatenate([[0], np.cumsum(lengths)[:-1]]), per_recording)
    end = np.repeat(np.cumsum(lengths), per_recording)
    rows = start + position * length + np.arange(length)[:, None]
    there = rows < end
    after = [np.flatnonzero(position == p) for p in range(1, per_recording.max())]
    return Layout(np.where(there, rows, 0), there, np.flatnonzero(position == 0), after)


def _cost(length, lengths, n_restarts, n_states):
    blocks = -(-lengths // length)
    numbers = n_restarts * blocks.sum() * n_states * ELEMENT_COST
    cost = 2 * length * (STEP_COST + numbers)
    if blocks.max() > 1:
        cost += length * (STEP_COST + numbers * n_states) + 3 * blocks.max() * STEP_COST
    return cost


def forward_backward(log_b, log_start, log_trans, layout, weights=None):
    """Posterior state probabilities of hidden Markov chains.

    log_b (n_samples, n_restarts, n_states): Log-density of each sample in each state; 0 for a
        missing sample.
    log_start (n_restarts, n_states)
    log_trans (n_restarts, n_states, n_states): Need not be normalized (variational Bayes).
    weights (n_restarts, n_recordings): Weight of each recording in `starts` and `transitions`.
    Returns gamma (n_samples, n_restarts, n_states): Probability of the states given the whole
        recording.
    and starts (n_restarts, n_states): Sum over recordings of the probabilities at their first
        samples.
    and transitions (n_restarts, n_states, n_states): Expected number of transitions.
    and log_likelihood (n_restarts, n_recordings)
    """
    b, log_scale = _scaled(log_b, layout)
    A, start = np.exp(log_trans), np.exp(log_start)
    before = np.full((*b.shape[1:3], b.shape[3]), 1 / b.shape[3])
    beta_end = np.ones_like(before)
    if layout.after:
        maps = _block_maps(b, A, start, layout)
        _scan(maps, before, beta_end, layout)
    alpha, scales = _forward(b, A, start, before, layout)
    v = np.empty_like(b)  # what the future says of each state, times what the sample says
    gamma = _backward(b, A, alpha, scales, beta_end, v, layout)
    v[0][:, layout.first] = 0  # nothing comes before
    previous = np.concatenate([before[None], alpha[:-1]])
    first = gamma[0][:, layout.first]
    if weights is not None:
        v *= weights[:, layout.owner, None]
        first = first * weights[..., None]
    transitions = A * _sum_outer(previous, v)
    by_block = log_scale + (np.log(scales) * layout.there[:, None]).sum(0)
    log_likelihood = np.add.reduceat(by_block, layout.first, axis=1)
    starts = first.sum(1)
    out = np.empty_like(log_b)
    out[layout.rows[layout.there]] = gamma.transpose(0, 2, 1, 3)[layout.there]
    return out, starts, transitions, log_likelihood


def _scaled(log_b, layout):
    """Densities (length, n_restarts, n_blocks, n_states), the largest 1, and sums of their logs."""
    top = log_b.max(-1)
    b = log_b - top[..., None]
    b = np.exp(b, out=b)[layout.rows]  # (length, n_blocks, n_restarts, n_states)
    log_scale = np.where(layout.there[..., None], top[layout.rows], 0.0).sum(0).T
    return np.ascontiguousarray(b.transpose(0, 2, 1, 3)), log_scale


def _sum_outer(left, right):
    """Sum over times and blocks of outer products, (n_restarts, n_states, n_states)."""
    length, n_restarts, n_blocks, n_states = left.shape
    left, right = (
        x.transpose(1, 0, 2, 3).reshape(n_restarts, length * n_blocks, n_states)
        for x in (left, right)
    )
    return left.transpose(0, 2, 1) @ right


def _block_maps(b, A, start, layout):
    """The map of each block, (n_restarts, n_blocks, n_states, n_states), up to a factor."""
    length, n_restarts, n_blocks, n_states = b.shape
    maps = np.broadcast_to(np.eye(n_states), (n_restarts, n_blocks, n_states, n_states)).copy()
    for t in range(length):
        step = (maps.reshape(n_restarts, n_blocks * n_states, n_states) @ A).reshape(maps.shape)
        if t == 0:
            step[:, layout.first] = start[:, None, None]
        step *= b[t][:, :, None]
        step /= step.max((-2, -1), keepdims=True)
        maps = step if layout.full else np.where(layout.there[t][:, None, None], step, maps)
    return maps


def _scan(maps, before, beta_end, layout):
    """State probabilities before each block, and what comes after it says of each state."""
    for blocks in layout.after:
        a = (before[:, blocks - 1, None] @ maps[:, blocks - 1])[:, :, 0]
        before[:, blocks] = a / a.sum(-1, keepdims=True)
    for blocks in reversed(layout.after):
        beta = (maps[:, blocks] @ beta_end[:, blocks, :, None])[..., 0]
        beta_end[:, blocks - 1] = beta / beta.max(-1, keepdims=True)


def _forward(b, A, start, before, layout):
    """Probabilities given the past, (length, n_restarts, n_blocks, n_states), and their scales."""
    alpha, scales = np.empty_like(b), np.ones(b.shape[:3])
    a = before
    for t in range(len(b)):
        step = a @ A
        if t == 0:
            step[:, layout.first] = start[:, None]
        step *= b[t]
        size = step.sum(-1)
        step /= size[..., None]
        if not layout.full:
            step = np.where(layout.there[t][:, None], step, a)
            size = np.where(layout.there[t], size, 1.0)
        alpha[t], scales[t], a = step, size, step
    return alpha, scales


def _backward(b, A, alpha, scales, beta, v, layout):
    """Probabilities given all; `v` is filled with the right factors of the transitions."""
    gamma = np.empty_like(b)
    transposed = A.transpose(0, 2, 1)
    total = None
    for t in range(len(b) - 1, -1, -1):
        np.multiply(alpha[t], beta, out=gamma[t])
        total = gamma[t].sum(-1, keepdims=True)
        gamma[t] /= total
        weighted = b[t] * (beta / scales[t][..., None])
        np.divide(weighted, total, out=v[t])
        step = weighted @ transposed
        if layout.full:
            beta = step
        else:
            there = layout.there[t][:, None]
            v[t] *= there
            beta = np.where(there, step, beta)
    return gamma


def viterbi(log_b, log_start, log_trans, lengths):
    """Most likely path of states through each recording.

    log_b (n_samples, n_states), log_start (n_states,), log_trans (n_states, n_states), lengths
        (sequence of int)
    Returns states (n_samples,) int
    """
    states = np.empty(len(log_b), dtype=int)
    ends = np.cumsum(lengths)
    for start, end in zip(ends - lengths, ends):
        best = log_start + log_b[start]
        came_from = np.empty((end - start, len(log_start)), dtype=int)
        for t in range(1, end - start):
            scores = best[:, None] + log_trans
            came_from[t] = scores.argmax(0)
            best = scores.max(0) + log_b[start + t]
        states[end - 1] = best.argmax()
        for t in range(end - start - 1, 0, -1):
            states[start + t - 1] = came_from[t][states[start + t]]
    return states
