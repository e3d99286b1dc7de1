"""Fiber worlds: fields are tangent to the curves that are said to be true."""

import numpy as np
import pytest

from sklearn_meg.datasets import make_fibers

WORLDS = [("annulus", {}), ("arcs", {"angle": 90}), ("arcs", {"angle": 30}), ("braid", {})]


def small(world, **params):
    sizes = {"annulus": 32, "arcs": 24, "braid": 60}
    return make_fibers(world, **{"size": sizes[world], "n_curves": 12, **params})


@pytest.mark.parametrize("world, params", WORLDS)
def test_fields_are_tangent_to_the_curves(world, params):
    fibers = small(world, **params)
    worst = 0.0
    for k, curve in enumerate(fibers.curves):
        field = fibers.X[k % len(fibers.X)]
        tangent = np.gradient(curve, axis=0)
        tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
        index = np.round(curve).astype(int)
        near = np.linalg.norm(curve - index, axis=1) < 0.2  # nearly on a voxel
        V = field[tuple(index.T)]
        assert np.isfinite(V[near]).any() or not near.any()
        cosine = np.abs((V * tangent).sum(1))[near]
        worst = max(worst, np.nanmax(np.arccos(np.minimum(cosine, 1)), initial=0))
    assert worst < 0.1


@pytest.mark.parametrize("world, params", WORLDS)
def test_seeds_directions_and_masks(world, params):
    fibers = small(world, **params)
    assert len(fibers.curves) == len(fibers.seeds) == 12
    for curve, seed, u in zip(fibers.curves, fibers.seeds, fibers.directions):
        np.testing.assert_array_equal(curve[0], seed)
        step = (curve[1] - curve[0]) / np.linalg.norm(curve[1] - curve[0])
        assert step @ u > 0.999
    there = np.isfinite(fibers.X).all(-1)
    np.testing.assert_array_equal(there.any(0), fibers.mask)
    np.testing.assert_array_equal(there.sum(0) > 1, fibers.crossing)
    np.testing.assert_allclose(np.linalg.norm(fibers.X[there], axis=-1), 1)
    assert fibers.crossing.any() == (world != "annulus")


@pytest.mark.parametrize("angle", [90, 45])
def test_arcs_cross_at_the_angle(angle):
    fibers = small("arcs", angle=angle)
    a, b = fibers.X[:, fibers.crossing]
    found = np.degrees(np.arccos(np.abs((a * b).sum(1))))
    assert abs(np.median(found) - angle) < 6


@pytest.mark.parametrize("world", ["annulus", "arcs"])
def test_noise_turns_vectors_by_the_angle_and_signs_are_random(world):
    clean, noisy = small(world), small(world, noise=8)
    there = np.isfinite(clean.X[..., 0])
    cosine = (clean.X * noisy.X).sum(-1)[there]
    angle = np.degrees(np.arccos(np.minimum(np.abs(cosine), 1)))
    assert abs(np.sqrt((angle**2).mean()) - 8) < 1
    assert 0.4 < (cosine > 0).mean() < 0.6


def test_same_seed_same_world():
    for one, two in zip(small("braid", noise=5).curves, small("braid", noise=5).curves):
        np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(small("braid", noise=5).X, small("braid", noise=5).X)
    assert not np.array_equal(small("braid").seeds, small("braid", random_state=1).seeds)


@pytest.mark.parametrize(
    "params, message",
    [
        ({"world": "helix"}, "world must be one of"),
        ({"world": "arcs", "angle": 0}, "angle must be in"),
        ({"world": "arcs", "angle": 120}, "angle must be in"),
        ({"noise": -1}, "noise must be at least 0"),
    ],
)
def test_bad_worlds_are_a_clear_error(params, message):
    with pytest.raises(ValueError, match=message):
        make_fibers(**params)
