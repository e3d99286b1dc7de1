import itertools

import numpy as np
import pytest

from sklearn_meg.dynamics import _chain
from sklearn_meg.dynamics._emissions import Samples

LENGTHS = [5, 2, 6]


def _chain_of(seed, n_restarts=2, n_states=3):
    rng = np.random.default_rng(seed)
    log_b = 3 * rng.normal(size=(sum(LENGTHS), n_restarts, n_states))
    start = rng.dirichlet(np.ones(n_states), size=n_restarts)
    trans = rng.dirichlet(np.ones(n_states), size=(n_restarts, n_states))
    return log_b, np.log(start), np.log(trans)


def _paths(log_b, log_start, log_trans):
    """All paths of one recording and their log-probabilities."""
    paths = np.array(list(itertools.product(range(log_b.shape[1]), repeat=len(log_b))))
    logs = log_start[paths[:, 0]] + log_b[np.arange(len(log_b)), paths].sum(1)
    return paths, logs + log_trans[paths[:, :-1], paths[:, 1:]].sum(1)


@pytest.mark.parametrize("length", [1, 2, 3, 4, 6])
def test_blocks_of_any_length_give_what_all_paths_give(monkeypatch, length):
    log_b, log_start, log_trans = _chain_of(0)
    log_trans[1] -= 0.3  # variational Bayes: not normalized
    monkeypatch.setattr(_chain, "_cost", lambda size, *rest: abs(size - length))
    layout = _chain.make_layout(LENGTHS, 3, 2)
    if length < 6:
        layout = _layout_of(length)
    gamma, starts, transitions, log_l = _chain.forward_backward(log_b, log_start, log_trans, layout)
    ends = np.cumsum(LENGTHS)
    for r in range(2):
        total, first, moves = [], np.zeros(3), np.zeros((3, 3))
        for begin, end in zip(ends - LENGTHS, ends):
            paths, logs = _paths(log_b[begin:end, r], log_start[r], log_trans[r])
            evidence = np.logaddexp.reduce(logs)
            weights = np.exp(logs - evidence)
            total.append(evidence)
            for t in range(end - begin):
                expected = np.bincount(paths[:, t], weights, minlength=3)
                np.testing.assert_allclose(gamma[begin + t, r], expected, atol=1e-12)
            first += np.bincount(paths[:, 0], weights, minlength=3)
            for t in range(1, end - begin):
                np.add.at(moves, (paths[:, t - 1], paths[:, t]), weights)
        np.testing.assert_allclose(log_l[r], total)
        np.testing.assert_allclose(starts[r], first)
        np.testing.assert_allclose(transitions[r], moves)


def _layout_of(length):
    """As make_layout, which does not try blocks this short."""
    lengths = np.array(LENGTHS)
    blocks = -(-lengths // length)
    position = np.concatenate([np.arange(n) for n in blocks])
    begin = np.repeat(np.cumsum(lengths) - lengths, blocks)
    rows = begin + position * length + np.arange(length)[:, None]
    there = rows < np.repeat(np.cumsum(lengths), blocks)
    after = [np.flatnonzero(position == p) for p in range(1, blocks.max())]
    return _chain.Layout(np.where(there, rows, 0), there, np.flatnonzero(position == 0), after)


def test_the_cheapest_layout_holds_every_sample_once():
    lengths = [700, 30, 412]
    layout = _chain.make_layout(lengths, 4, 3)
    assert sorted(layout.rows[layout.there]) == list(range(sum(lengths)))
    assert len(layout.rows) < 700  # blocks


def test_viterbi_is_the_best_of_all_paths():
    log_b, log_start, log_trans = _chain_of(1)
    found = _chain.viterbi(log_b[:, 0], log_start[0], log_trans[0], np.array(LENGTHS))
    ends = np.cumsum(LENGTHS)
    for begin, end in zip(ends - LENGTHS, ends):
        paths, logs = _paths(log_b[begin:end, 0], log_start[0], log_trans[0])
        np.testing.assert_array_equal(found[begin:end], paths[logs.argmax()])


def test_likelihoods_that_underflow_are_no_problem():
    log_b = np.zeros((400, 1, 2))
    log_b[:200, 0] = [-1e4, -3e4]
    log_b[200:, 0] = [-3e4, -1e4]
    logs = np.log(np.array([[[0.9, 0.1], [0.1, 0.9]]]))
    layout = _chain.make_layout([400], 2)
    gamma, _, transitions, log_l = _chain.forward_backward(
        log_b, np.log([[0.5, 0.5]]), logs, layout
    )
    np.testing.assert_array_equal(gamma[:, 0].argmax(1), np.repeat([0, 1], 200))
    np.testing.assert_allclose(transitions[0], [[199, 1], [0, 199]], atol=1e-9)
    np.testing.assert_allclose(log_l[0], -4e6 + np.log(0.5) + 398 * np.log(0.9) + np.log(0.1))


@pytest.mark.parametrize("kept", [True, False])
def test_log_densities_and_moments(kept):
    from scipy.stats import multivariate_normal

    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 4))
    missing = np.arange(50) % 7 == 0
    samples = Samples(X, missing)
    if not kept:
        samples.products = None
    mean = rng.normal(size=(2, 3, 4))
    factor = np.triu(rng.normal(size=(2, 3, 4, 4))) + 2 * np.eye(4)
    precision = factor @ factor.swapaxes(-1, -2)
    constant = (np.linalg.slogdet(precision)[1] - 4 * np.log(2 * np.pi)) / 2
    found = samples.log_density(mean, factor, constant)
    for r, k in np.ndindex(2, 3):
        density = multivariate_normal(mean[r, k], np.linalg.inv(precision[r, k]))
        np.testing.assert_allclose(found[~missing, r, k], density.logpdf(X[~missing]))
    assert not found[missing].any()

    gamma = rng.uniform(size=(50, 2, 3))
    counts, sums, products = samples.moments(gamma)
    good = gamma * ~missing[:, None, None]
    np.testing.assert_allclose(counts, good.sum(0))
    np.testing.assert_allclose(sums, np.einsum("nrk,ni->rki", good, X))
    np.testing.assert_allclose(products, np.einsum("nrk,ni,nj->rkij", good, X, X))
