"""The simulated nerve."""

import numpy as np
import pytest
from scipy.signal import welch

from sklearn_meg.datasets import make_nerve
from sklearn_meg.datasets._nerve import GESTURES

QUICK = {"n_train": 2, "n_test": 1, "duration": 0.4, "sfreq": 1000.0}


def test_shapes_and_sessions():
    data = make_nerve((0, 1, 3), **QUICK)
    assert data.X.shape == (50, 17, 400) and data.X.dtype == np.float32
    assert data.dof.shape == (50, 6, 400)
    assert data.drift.tolist() == [0, 0, 1, 3]
    np.testing.assert_array_equal(np.bincount(data.session), [20, 10, 10, 10])
    np.testing.assert_array_equal(
        data.X[:, -1], np.repeat(data.session[:, np.newaxis], 400, axis=1)
    )
    for session in range(4):
        counts = np.bincount(data.y[data.session == session], minlength=10)
        np.testing.assert_array_equal(counts, 1 if session else 2)
    assert data.gestures == list(GESTURES) and data.sfreq == 1000.0


def test_same_seed_same_nerve_and_global_generator_untouched():
    np.random.seed(3)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    one, two, other = (make_nerve(**QUICK, random_state=seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one.X, two.X)
    np.testing.assert_array_equal(one.dof, two.dof)
    assert (one.X[:, :-1] != other.X[:, :-1]).mean() > 0.99
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_movements_go_to_their_gesture():
    data = make_nerve(n_train=4, n_test=1, duration=0.6, sfreq=500.0)
    np.testing.assert_array_equal(data.dof[:, :, 0], 0.0)
    targets = np.array(list(GESTURES.values()), float)
    ends = data.dof[:, :, -1]
    cosine = ends @ targets.T / np.linalg.norm(ends, axis=1)[:, None]
    cosine /= np.linalg.norm(targets, axis=1)
    assert (cosine.argmax(axis=1) == data.y).mean() > 0.95


def test_channels_carry_the_movement():
    quiet = make_nerve((0,), n_train=6, n_test=1, sfreq=2000.0, noise=0.0)
    fist = quiet.X[quiet.y == quiet.gestures.index("fist"), :-1]
    held, before = fist[:, :, -800:].var(axis=(0, 2)), fist[:, :, :60].var(axis=(0, 2))
    assert (held > before).mean() > 0.8


def test_noise_is_added_with_its_factor():
    quiet, plain, loud = (make_nerve(**QUICK, noise=noise).X[:, :-1] for noise in (0, 1, 3))
    np.testing.assert_allclose(loud - quiet, 3 * (plain - quiet), rtol=1e-3, atol=1e-3)
    noise = (plain - quiet).reshape(len(quiet), 16, -1)
    together = np.mean([np.corrcoef(trial)[np.triu_indices(16, 1)] for trial in noise])
    assert 0.1 < together < 0.9  # a part of its own, and one that all share


@pytest.mark.parametrize("level", [2, 3])
def test_drift_changes_the_channels_more_than_another_day_does(level):
    data = make_nerve((0, level), n_train=6, n_test=6, duration=0.6, sfreq=1000.0, noise=0.0)
    power = [np.log(data.X[data.session == s, :-1].var(axis=(0, 2))) for s in range(3)]
    assert np.abs(power[2] - power[0]).mean() > 2 * np.abs(power[1] - power[0]).mean()


def test_levels_are_graded():
    data = make_nerve((1, 2, 3) * 4, n_train=4, n_test=4, duration=0.5, sfreq=1000.0, noise=0.0)
    power = [np.log(data.X[data.session == s, :-1].var(axis=(0, 2))) for s in range(13)]
    change = [
        np.mean([np.abs(power[s] - power[0]).mean() for s in range(1, 13) if data.drift[s] == d])
        for d in (1, 2, 3)
    ]
    assert change == sorted(change)


def test_channel_shift_moves_only_drifted_sessions():
    plain, moved = (make_nerve((0, 1), **QUICK, channel_shift=shift) for shift in (0.0, 2.0))
    same = plain.session < 2
    np.testing.assert_array_equal(plain.X[same], moved.X[same])
    a, b = (data.X[~same, :-1].var(axis=(0, 2)) for data in (plain, moved))
    assert np.corrcoef(np.log(a[:-2]), np.log(b[2:]))[0, 1] > 0.9


def test_spectrum_is_one_of_spikes():
    data = make_nerve((0,), n_train=2, n_test=1, sfreq=5000.0, noise=0.0)
    f, power = welch(data.X[:, :-1], fs=5000.0, nperseg=1000)
    peak = f[power.mean(axis=(0, 1)).argmax()]
    assert 200 < peak < 1500


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"drifts": (0, 4)}, r"drifts must be levels 0, 1, 2, 3, .*Got 4"),
        ({"drifts": ("a",)}, "drifts must be levels .* Got 'a'"),
        ({"n_train": 0}, "n_train must be positive. Got 0"),
        ({"n_test": -1}, "n_test must be positive. Got -1"),
        ({"n_channels": 0}, "n_channels must be positive"),
        ({"n_units": 0}, "n_units must be positive"),
        ({"sfreq": np.nan}, "sfreq must be positive. Got nan"),
        ({"duration": -1.0}, "duration must be positive. Got -1.0"),
        ({"noise": -1.0}, "noise must not be negative. Got -1.0"),
        ({"noise": np.nan}, "noise must not be negative. Got nan"),
        ({"channel_shift": np.inf}, "channel_shift must be finite. Got inf"),
        ({"duration": 1e-5}, "duration .*sample"),
        ({"n_train": 2.5}, "n_train must be an integer. Got 2.5"),
        ({"drifts": 2}, "drifts must be levels .* one for each session. Got 2"),
    ],
)
def test_bad_parameters(params, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make_nerve(**{**QUICK, **params})
