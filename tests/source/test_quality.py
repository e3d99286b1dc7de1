"""Channels and trials that are no measurements, noise that does not fit, dipoles and how sure."""

import warnings

import mne
import numpy as np
import pytest
from _worlds import sphere_forward

from sklearn_meg.source import DipoleSearch, MinimumNorm, RNNSourceSolver

N_TRIALS, ONSET = 20, 10


def recording(seed=0, amplitude=8e-8, position=30, n_trials=N_TRIALS):
    """Epochs of one dipole in the middle of the grid, forward and noise covariance."""
    info, forward = sphere_forward("volume")
    rng = np.random.default_rng(seed)
    data = 2e-14 * rng.standard_normal((n_trials, len(info["ch_names"]), 50))
    current = np.zeros(50)
    current[15:40] = amplitude * np.hanning(25)
    field = forward["sol"]["data"][:, 3 * position : 3 * position + 3] @ [0.0, 0.6, 0.8]
    data += field[:, None] * current
    cov = mne.Covariance(4e-28 * np.eye(len(field)), info["ch_names"], [], [], nfree=1000)
    return data, info, forward, cov, current


def epochs_of(data, info):
    return mne.EpochsArray(data, info, tmin=-0.1, baseline=None, verbose="error")


@pytest.mark.parametrize("kind", ["dead", "jumps"])
def test_a_channel_that_is_no_measurement_is_left_out_and_currents_survive(kind):
    data, info, forward, cov, current = recording()
    clean = DipoleSearch(forward=forward, noise_cov=cov).fit(epochs_of(data, info))
    broken, channel = data.copy(), 7
    if kind == "dead":
        broken[:, channel] = 0.0
    else:
        for trial in (2, 9, 15):
            broken[trial, channel, 25:] += 5e-11
    search = DipoleSearch(forward=forward, noise_cov=cov)
    with pytest.warns(UserWarning, match=f"1 channel.*{info['ch_names'][channel]}"):
        search.fit(epochs_of(broken, info))
    assert search.bad_channels_ == [info["ch_names"][channel]]
    assert clean.bad_channels_ == []
    np.testing.assert_array_equal(search.support_, clean.support_)
    found = np.abs(search.transform()[0, search.support_[0]]).max()
    assert found == pytest.approx(current.max(), rel=0.1)
    # What was left out is predicted all the same, and does not spoil new data.
    assert np.abs(search.predict()[0, channel]).max() > 0
    assert np.isfinite(search.transform(epochs_of(broken, info))).all()


def test_a_response_that_jumps_is_no_bad_channel():
    data, info, forward, cov, _ = recording(amplitude=0.0)
    column = forward["sol"]["data"][:, [91]]
    data[:, :, 20:30] += 3e-7 * column  # a step in all trials of the condition
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        solver = MinimumNorm(forward=forward, noise_cov=cov).fit(epochs_of(data, info))
    assert solver.bad_channels_ == []


def test_loud_trials_count_less():
    data, info, forward, cov, _ = recording()
    loud = data.copy()
    loud[3] += 4e-13 * np.random.default_rng(1).standard_normal(data[3].shape)
    solver = MinimumNorm(forward=forward, noise_cov=cov, find_bad_channels=True)
    weights = solver.fit(epochs_of(loud, info)).trial_weights_
    assert weights[3] < 0.05 and (np.delete(weights, 3) == 1).all()
    all_count = MinimumNorm(forward=forward, noise_cov=cov, find_bad_channels=False)
    assert (all_count.fit(epochs_of(loud, info)).trial_weights_ == 1).all()


def test_noise_that_does_not_fit_is_told():
    data, info, forward, cov, _ = recording()
    other = cov.copy()
    other["data"] = cov["data"] * 30
    with pytest.warns(UserWarning, match="other processing"):
        MinimumNorm(forward=forward, noise_cov=other).fit(epochs_of(data, info))
    early = data.copy()
    early[:, :, :10] += 40 * data[:, :, 22:32]
    with pytest.warns(UserWarning, match="begins before the onset"):
        MinimumNorm(forward=forward, noise_cov=cov).fit(epochs_of(early, info).average())
    with pytest.warns(UserWarning, match="in other units, such as fT and T"):
        MinimumNorm(forward=forward, noise_cov=cov).fit(epochs_of(1e15 * data, info).average())
    few = np.linalg.qr(np.random.default_rng(0).standard_normal((40, 15)))[0]
    flat = np.einsum("ck,dk,ndt->nct", few, few, data)
    flat *= np.sqrt(40 / 15)  # the same power
    with pytest.warns(UserWarning, match="rank 15, but noise_cov has rank 40"):
        MinimumNorm(forward=forward, noise_cov=cov).fit(epochs_of(flat, info))


def test_a_covariance_from_before_a_filter_is_told_and_used_where_the_data_are():
    data, info, forward, cov, _ = recording()
    gain = forward["sol"]["data"]
    few = np.linalg.svd(gain @ gain.T)[0][:, :20]  # what sources make, as a Maxwell filter leaves
    inside = np.einsum("ck,dk,ndt->nct", few, few, data)
    search = DipoleSearch(forward=forward, noise_cov=cov, random_state=0)
    with pytest.warns(UserWarning, match="rank 20, but noise_cov has rank 40"):
        search.fit(epochs_of(inside, info))
    np.testing.assert_array_equal(search.support_, [30])


def test_a_covariance_of_channels_needs_their_names():
    data, info, forward, cov, _ = recording()
    X = np.ones((len(data), 1, data.shape[2]))
    with pytest.raises(ValueError, match="give info= to match its channels"):
        MinimumNorm(forward=forward, noise_cov=cov).fit(X, data)


def test_nothing_found_is_told():
    data, info, forward, cov, _ = recording(amplitude=0.0)
    for average in (False, True):
        noise = epochs_of(data, info)
        search = DipoleSearch(forward=forward, noise_cov=cov, random_state=0)
        with pytest.warns(UserWarning, match="evidence for no source"):
            search.fit(noise.average() if average else noise)
        assert search.support_.shape == (0,)
        assert not search.transform(noise).any()
        assert search.to_dipoles() == [[]]


def test_dipoles_say_how_sure_they_are():
    exact = {"coregistration_error": 0.0, "model_error": 0.1}
    data, info, forward, cov, current = recording()
    search = DipoleSearch(forward=forward, noise_cov=cov, random_state=0, **exact).fit(
        epochs_of(data, info)
    )
    ((dipole,),) = search.to_dipoles()
    peak = int(current.argmax())
    assert dipole.gof[peak] > 90 > dipole.gof[2]
    assert dipole.khi2[peak] == pytest.approx(dipole.nfree[peak], rel=0.6)
    volume = dipole.conf["vol"][0]
    assert 0 < volume < 0.02**3
    assert volume == search.dipole_volumes_[0]
    away = search.dipole_positions_[0] - forward["source_rr"][30]
    assert away @ np.linalg.inv(search.dipole_covariances_[0]) @ away < 20
    # Much noise: less sure.
    data, info, forward, cov, _ = recording(amplitude=1.5e-8)
    weak = DipoleSearch(forward=forward, noise_cov=cov, random_state=0, **exact).fit(
        epochs_of(data, info)
    )
    assert weak.dipole_volumes_[0] > 1.2 * volume
    # Of new data that is not known.
    assert np.isnan(search.to_dipoles(epochs_of(data, info))[0][0].gof).all()
    moved = DipoleSearch(forward=forward, noise_cov=cov, coregistration_error=0.01)
    assert moved.fit(epochs_of(data, info)).dipole_volumes_[0] > 4 / 3 * np.pi * 0.02**3


def test_the_network_looks_where_the_search_does():
    data, info, forward, cov, _ = recording()
    common = {"forward": forward, "noise_cov": cov, "random_state": 0}
    search = DipoleSearch(**common).fit(epochs_of(data, info))
    solver = RNNSourceSolver(**common, max_epochs=5).fit(epochs_of(data, info))
    np.testing.assert_array_equal(search.support_, solver.support_)
    np.testing.assert_allclose(search.dipole_positions_, solver.dipole_positions_)
    np.testing.assert_allclose(search.transform(), solver.transform(), atol=5e-9)


@pytest.mark.filterwarnings(r"ignore:.*\[told-sources\]")
@pytest.mark.parametrize("n_sources", [1, 2])
def test_as_many_sources_as_told(n_sources):
    data, info, forward, cov, _ = recording(amplitude=1e-9)
    search = DipoleSearch(forward=forward, noise_cov=cov, n_sources=n_sources, random_state=0)
    search.fit(epochs_of(data, info))
    assert len(search.support_) == n_sources


def test_what_one_condition_needs_is_not_lost():
    _, info, forward, cov, _ = recording()
    rng = np.random.default_rng(0)
    data = 2e-14 * rng.standard_normal((40, 40, 50))
    gain, pulse = forward["sol"]["data"], np.hanning(25)
    for row, position in enumerate([30] * 20 + [31] * 20):
        strength = 2e-7 if position == 30 else 2e-8
        data[row, :, 15:40] += strength * np.outer(gain[:, 3 * position + 1], pulse)
    labels = np.repeat(["strong", "weak"], 20)
    search = DipoleSearch(forward=forward, noise_cov=cov, random_state=0)
    search.fit(epochs_of(data, info), labels)
    assert set(search.support_) >= {30, 31}
