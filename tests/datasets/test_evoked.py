"""The simulated lead field and fields: physical, exactly scaled, seeded."""

import pickle

import mne
import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist

from sklearn_meg.datasets._brain_noise import colored_series
from sklearn_meg.datasets._evoked import SCENARIOS, make_evoked
from sklearn_meg.datasets._forward import simulated_forward, simulated_info
from sklearn_meg.datasets._template import template_forward


def make(scenario="1dip", **kwargs):
    return make_evoked(scenario, **{"n_epochs": 6, "spacing": 20.0, "random_state": 0} | kwargs)


@pytest.fixture(scope="module")
def forward():
    return simulated_forward(spacing=20.0)


def test_forward_is_one_that_mne_takes(forward):
    info = simulated_info()
    assert forward["info"]["ch_names"] == info["ch_names"] == forward["sol"]["row_names"]
    kinds = np.array(info.get_channel_types())
    assert (kinds == "mag").sum() == 102 and (kinds == "grad").sum() == 204
    cov = mne.make_ad_hoc_cov(info, verbose="error")
    inverse = mne.minimum_norm.make_inverse_operator(
        info, forward, cov, loose=1.0, depth=0.8, verbose="error"
    )
    evoked = mne.EvokedArray(forward["sol"]["data"][:, :5] * 1e-8, info, verbose="error")
    stc = mne.minimum_norm.apply_inverse(evoked, inverse, verbose="error")
    assert stc.data.shape == (forward["nsource"], 5)


def test_gradiometers_measure_the_gradient_of_the_magnetometers(forward):
    """The field at shifted magnetometers, differenced, is what the gradiometers say."""
    info, shift = simulated_info(), 0.00839  # m, half the baseline of a planar gradiometer
    gain = forward["sol"]["data"].reshape(306, -1)
    for grad in (1, 2):
        sides = []
        for sign in (-1, 1):
            moved = info.copy()
            for site in range(0, 306, 3):
                axis = info["chs"][site + grad]["loc"][3:6]
                moved["chs"][site]["loc"][:3] += sign * shift * axis
            solution = mne.make_forward_solution(
                mne.pick_info(moved, np.arange(0, 306, 3)),
                forward["mri_head_t"], forward["src"].copy(), _bem(), eeg=False, verbose="error",
            )  # fmt: skip
            sides.append(solution["sol"]["data"])
        expected = (sides[1] - sides[0]) / (2 * shift)
        assert np.corrcoef(expected.ravel(), gain[grad::3].ravel())[0, 1] > 0.98
    one, two = (np.array([c["loc"][3:6] for c in info["chs"][g::3]]) for g in (1, 2))
    np.testing.assert_allclose((one * two).sum(axis=1), 0, atol=1e-6)


def _bem():
    from sklearn_meg.datasets._head import make_bem

    return make_bem()


def test_forward_is_a_copy():
    first = simulated_forward(spacing=20.0)
    first["sol"]["data"][:] = 0
    assert simulated_forward(spacing=20.0)["sol"]["data"].any()


@pytest.mark.parametrize(
    "call, name",
    [
        (lambda: simulated_forward(sensors="ctf275"), "sensors"),
        (lambda: simulated_forward(spacing=1.0), "spacing"),
        (lambda: simulated_forward(spacing="10"), "spacing"),
        (lambda: simulated_info(sfreq=0), "sfreq"),
        (lambda: make_evoked("4dip"), "scenario"),
        (lambda: make_evoked(snr_db=np.nan), "snr_db"),
        (lambda: make_evoked(n_epochs=1), "n_epochs"),
        (lambda: make_evoked(tmin=0.1), "tmin"),
        (lambda: make_evoked(tmax=0.1), "tmax"),
        (lambda: make_evoked(equal="all"), "equal"),
        (lambda: make_evoked(spacing=100), "spacing"),
        (lambda: make_evoked(noise_cov=np.eye(3)), "noise_cov"),
    ],
)
def test_bad_parameters(call, name):
    with pytest.raises(ValueError, match=f"{name} must be"):
        call()


@pytest.mark.parametrize("scenario", [name for name in SCENARIOS if name != "noise"])
@pytest.mark.parametrize("snr_db", [-5.0, 5.0])
def test_snr_is_exact(scenario, snr_db):
    """By another route: the generalized inner product with the inverse covariance."""
    data = make(scenario, snr_db=snr_db)
    cov = data.true_noise_cov / len(data.epochs)
    scale = np.sqrt(np.diag(cov))
    fields = data.clean[:, data.active] / scale[:, None]
    solved = np.linalg.solve(cov / np.outer(scale, scale), fields)
    measured = 10 * np.log10((fields * solved).sum() / fields.size)
    assert measured == pytest.approx(snr_db, abs=1e-6) and data.snr_db == pytest.approx(snr_db)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_fields_are_those_of_the_sources(scenario):
    """Put the moments at their places in the 7 mm lead field: the clean field comes out."""
    data = make(scenario)
    fine = simulated_forward(spacing=7.0)
    gain = fine["sol"]["data"].reshape(306, -1, 3)
    fields = np.zeros_like(data.clean)
    for place, course, source in zip(data.source_positions, data.source_map(), data.source_index):
        index = int(np.argmin(np.linalg.norm(fine["source_rr"] - place, axis=1)))
        fields += np.outer(gain[:, index] @ data.orientations[source], course)
    np.testing.assert_allclose(data.clean, fields, rtol=1e-9, atol=1e-25)
    assert not data.clean[:, : data.onset].any()
    assert data.times[data.onset] == 0 and data.X[0, 0].sum() == (data.times >= 0).sum()
    np.testing.assert_allclose(np.linalg.norm(data.orientations, axis=1), 1.0)
    assert data.source_map().shape == (len(data.source_positions), len(data.times))


def test_scenarios():
    for seed in range(5):
        two = make("2corr", random_state=seed)
        left, right = two.positions
        assert left[0] * right[0] < 0 and np.linalg.norm(left * [-1, 1, 1] - right) < 0.012
        assert np.corrcoef(two.source_time_courses)[0, 1] > 0.95
        three = make("3dip", random_state=seed)
        assert pdist(three.positions).min() >= 0.04
        latencies = three.times[np.abs(three.source_time_courses).argmax(axis=1)]
        assert 0.05 < latencies.min() and latencies.max() < 0.21
        assert np.diff(np.sort(latencies)).min() > 0.01
        assert np.abs(np.corrcoef(three.source_time_courses)[np.triu_indices(3, 1)]).max() < 0.7
    patch = make("patch")
    distance = cdist(patch.positions, patch.source_positions)[0]
    assert len(distance) == 7 and distance.max() <= 0.0075
    nothing = make("noise")
    assert not nothing.clean.any() and nothing.positions.shape == (0, 3) and nothing.peak is None


def test_sources_are_not_on_the_grid_that_they_are_found_on():
    data = make("3dip", spacing=10.0)
    distance = cdist(data.positions, data.forward["source_rr"])
    assert (distance.min(axis=1) > 0.0005).all() and (distance.min(axis=1) < 0.009).all()


def test_noise_has_the_covariance_it_says():
    data = make("noise", n_epochs=60, tmax=1.0, sfreq=100.0)
    scale = np.sqrt(np.diag(data.true_noise_cov))
    values = data.epochs.transpose(1, 0, 2).reshape(306, -1) / scale[:, None]
    seen, true = np.cov(values), data.true_noise_cov / np.outer(scale, scale)
    assert np.corrcoef(seen.ravel(), true.ravel())[0, 1] > 0.98
    assert np.trace(seen) / 306 == pytest.approx(1.0, abs=0.1)
    estimate = data.noise_cov.data / np.outer(scale, scale)
    assert np.trace(estimate) / 306 == pytest.approx(1.0, abs=0.1)
    assert np.linalg.eigvalsh(estimate).min() > 0


def test_amplitudes_are_those_of_meg():
    data = make("1dip", n_epochs=50)
    assert 5e-9 < np.abs(data.source_time_courses).max() < 5e-7
    kinds = np.array(data.info.get_channel_types())
    spread = data.epochs.std(axis=(0, 2))
    assert 3e-14 < np.median(spread[kinds == "mag"]) < 5e-13
    assert 1e-12 < np.median(spread[kinds == "grad"]) < 2e-11


def test_colored_series():
    rng = np.random.RandomState(0)
    series = colored_series(rng, np.r_[np.zeros(300), np.full(300, 6.0)], 200, 200.0)
    assert series.shape == (600, 200) and series.var() == pytest.approx(1.0, abs=0.1)
    power = np.square(np.abs(np.fft.rfft(series * np.hanning(200)))).reshape(2, 300, -1)
    flat, alpha = power.mean(axis=1)  # a bin is 1 Hz
    assert 1.5 < flat[5] / flat[10] < 2.7 and 3 < alpha[10] / alpha[15] / (flat[10] / flat[15])


def test_seeds_and_pickles():
    one, again, other = make(), make(), make(random_state=1)
    assert one.epochs.tobytes() == again.epochs.tobytes()
    assert not np.array_equal(one.positions, other.positions)
    copy = pickle.loads(pickle.dumps(one))
    assert copy.epochs.tobytes() == one.epochs.tobytes()
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    make(random_state=3)
    assert np.array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_own_covariance():
    reference = make("noise")
    cov = mne.Covariance(reference.true_noise_cov, reference.info["ch_names"], [], [], nfree=100)
    data = make("1dip", noise_cov=cov)
    np.testing.assert_allclose(data.true_noise_cov, reference.true_noise_cov)
    assert data.snr_db == pytest.approx(5.0)
    short = mne.Covariance(np.eye(1), ["MEG 0111"], [], [], nfree=100)
    with pytest.raises(ValueError, match="lacks 305 channels"):
        make(noise_cov=short)


def test_mne_objects_and_conditions():
    data = make("3dip")
    assert np.array_equal(data.evoked().data, data.y[0])
    assert data.evoked().nave == 6 and data.evoked().times[data.onset] == 0
    np.testing.assert_allclose(data.to_epochs().get_data(), data.epochs)
    np.testing.assert_allclose(data.to_epochs().average().data, data.y[0])
    other = data.condition([0.5, 0.5, 0.5], random_state=1)
    assert other.snr_db - data.snr_db == pytest.approx(20 * np.log10(0.5))
    assert np.array_equal(other.positions, data.positions)
    assert not np.array_equal(other.epochs - other.clean, data.epochs - data.clean)
    silent = data.condition([0, 0, 0])
    assert silent.peak is None and not silent.clean.any()
    with pytest.raises(ValueError, match="3 finite numbers"):
        data.condition([1.0])


def test_dipoles_can_be_found():
    """Scan the grid for the one dipole that explains most: it is next to the true one."""
    for seed in range(3):
        data = make("1dip", n_epochs=50, snr_db=5.0, spacing=10.0, random_state=seed)
        scale = np.linalg.inv(np.linalg.cholesky(data.noise_cov.data * 1e22)) * 1e11
        gain = (scale @ data.forward["sol"]["data"]).reshape(306, -1, 3).transpose(1, 0, 2)
        basis = np.linalg.qr(gain)[0]
        field = scale @ data.y[0][:, data.active]
        explained = np.square(basis.transpose(0, 2, 1) @ field).sum(axis=(1, 2))
        found = data.forward["source_rr"][np.argmax(explained)]
        assert np.linalg.norm(found - data.positions[0]) < 0.0125


@pytest.mark.slow
def test_eeg():
    forward = simulated_forward(spacing=25.0, eeg=True)
    info = simulated_info(eeg=True)
    assert forward["info"]["ch_names"] == info["ch_names"] and len(info["ch_names"]) == 366
    meg, eeg = np.split(forward["sol"]["data"], [306])
    alone = simulated_forward(spacing=25.0)["sol"]["data"]
    assert np.corrcoef(meg.ravel(), alone.ravel())[0, 1] > 0.99
    # A dipole is positive on the side that it points to.
    points = np.array([channel["loc"][:3] for channel in info["chs"][306:]])
    index = int(np.argmin(np.linalg.norm(forward["source_rr"] - [0, 0.01, 0.06], axis=1)))
    for axis in range(3):
        potential = eeg[:, 3 * index + axis]
        assert np.corrcoef(potential, points[:, axis])[0, 1] > 0.6
    assert 1e-7 < np.abs(eeg).max() * 1e-8 < 1e-4  # V for 10 nAm


@pytest.mark.slow
def test_a_template_has_the_fields_of_its_own_electrodes():
    forward = simulated_forward(spacing=25.0, eeg=True)
    template = template_forward(simulated_info(eeg=True), spacing=25.0)
    assert template["info"]["ch_names"] == forward["info"]["ch_names"][306:]
    np.testing.assert_allclose(template["sol"]["data"], forward["sol"]["data"][306:])
    montage = mne.channels.make_standard_montage("easycap-M1")
    info = mne.create_info(montage.ch_names, 250.0, "eeg").set_montage(montage)
    info["bads"] = ["Fz"]
    usual = template_forward(info, spacing=25.0)
    assert "Fz" not in usual["info"]["ch_names"] and usual["nchan"] == len(info["ch_names"]) - 1


def eeg_info(names="Fp1 Fp2 Cz O1 O2", scale=1.0):
    montage = mne.channels.make_standard_montage("easycap-M1")
    info = mne.create_info(names.split(), 250.0, "eeg").set_montage(montage, on_missing="ignore")
    for channel in info["chs"]:
        channel["loc"][:3] *= scale
    return info


@pytest.mark.parametrize(
    "info, spacing, message",
    [
        (None, 10.0, "must be an mne.Info"),
        (eeg_info(), 1.0, "spacing must be"),
        (eeg_info("Cz Pz"), 10.0, "at least 4 EEG channels"),
        (eeg_info("Cz Pz O1 O2 here"), 10.0, "no position: here"),
        (eeg_info(scale=1000.0), 10.0, "cm from the scalp"),
    ],
)
def test_bad_templates(info, spacing, message):
    with pytest.raises((TypeError, ValueError), match=message):
        template_forward(info, spacing)
