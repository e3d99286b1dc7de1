"""The model of sessions: how far the means of classes have moved, and which class a trial is."""

from dataclasses import replace

import numpy as np
import pytest

from sklearn_meg.nerve import _gaussian


@pytest.fixture
def world():
    rng = np.random.default_rng(0)
    means = np.array([[3.0, 0.0, 0.0], [2.5, 1.0, 0.0], [-3.0, 0.0, 1.0], [0.0, -3.0, 0.0]])
    within, between = (size * np.cov(rng.normal(size=(20, 3)).T) for size in (0.2, 1.0))
    y = rng.integers(4, size=200)
    shifts = rng.multivariate_normal(np.zeros(3), between, size=4)
    P = means[y] + shifts[y] + rng.multivariate_normal(np.zeros(3), within, size=200)
    return means, within, between, y, P, shifts


def certain(y, n=4):
    return np.log(np.eye(n)[y] + 1e-300)


def test_shifts_of_independent_classes_are_those_of_the_formula(world, monkeypatch):
    monkeypatch.setattr(_gaussian, "SETTINGS", replace(_gaussian.SETTINGS, alike=0.0))
    means, within, between, y, P, _ = world
    known = _gaussian.Axes.of(means, within, between)
    log_p, shifts, *_ = _gaussian.adapt(P, certain(y), known, n_iter=1)
    W, B = np.linalg.inv(within), np.linalg.inv(between)
    expected = np.empty_like(log_p)
    for c in range(4):
        mine = P[y == c]
        V = np.linalg.inv(B + len(mine) * W)
        np.testing.assert_allclose(shifts[c], V @ W @ (mine - means[c]).sum(0), atol=1e-12)
        away = P - means[c] - shifts[c]
        expected[:, c] = -0.5 * (np.einsum("if,fg,ig->i", away, W, away) + np.trace(W @ V))
    expected -= np.log(np.exp(expected).sum(1, keepdims=True))
    np.testing.assert_allclose(log_p, expected, atol=1e-9)


def test_moved_classes_are_found_again_without_labels(world):
    means, within, between, y, P, shifts = world
    nearest = np.square(P[:, np.newaxis] - means).sum(2).argmin(1)
    assert (nearest == y).mean() < 0.9
    known = _gaussian.Axes.of(means, within, between)
    start = np.log(0.9 * np.eye(4)[nearest] + 0.025)
    log_p, found, *_ = _gaussian.adapt(P, start, known)
    np.testing.assert_allclose(np.exp(log_p).sum(1), 1)
    assert (log_p.argmax(1) == y).mean() > 0.9
    assert np.abs(found - shifts).mean() < 0.5 * np.abs(shifts).mean()


def test_a_class_without_trials_moves_with_one_that_lies_beside_it(world):
    means, within, between, y, P, _ = world
    chosen = y != 1
    P = means[y] + np.where(y[:, np.newaxis] == 0, [2.0, 0.0, 0.0], 0.0)
    known = _gaussian.Axes.of(means, within, between)
    _, shifts, *_ = _gaussian.adapt(P[chosen], certain(y[chosen]), known, n_iter=1)
    assert shifts[1, 0] > 0.4  # class 0 has moved by 2, and class 1 lies in its direction
    assert np.linalg.norm(shifts[3]) < 0.3  # class 3, with trials, has not moved
