"""What the sources leave tells of the lead field; trials that are unlike those of fit."""

import warnings
from dataclasses import replace

import mne
import numpy as np
import pytest
from _worlds import CENTER, sphere_forward

from sklearn_meg import DipoleSearch, MinimumNorm
from sklearn_meg.exceptions import AssumptionWarning
from sklearn_meg.source._misfit import Misfit, misfit_of, satellite
from sklearn_meg.source._scan import Scanner

PLACE = 9


def trials(noise=5e-15, n_trials=24, seed=0):
    """Trials of one dipole, and the noise covariance."""
    info, forward = sphere_forward()
    rng = np.random.default_rng(seed)
    where = forward["source_rr"][PLACE] - CENTER
    way = np.cross(where, [0.3, 0.5, 0.8])
    field = forward["sol"]["data"][:, 3 * PLACE : 3 * PLACE + 3] @ way / np.linalg.norm(way)
    current = np.zeros(50)
    current[20:40] = 2e-8 * np.hanning(20)
    data = np.outer(field, current) + noise * rng.standard_normal((n_trials, len(field), 50))
    names = info["ch_names"]
    cov = mne.Covariance(noise**2 * np.eye(len(names)), names, [], [], nfree=1000)
    return mne.EpochsArray(data, info, tmin=-0.15, verbose="error"), forward, cov


def believed(forward, center):
    """Forward of the same places in a sphere around another center."""
    sphere = mne.make_sphere_model(center, 0.095, verbose="error")
    return mne.make_forward_solution(
        forward["info"], None, forward["src"], sphere, eeg=False, mindist=0.0, verbose="error"
    )


def test_a_wrong_head_is_told_and_makes_places_less_sure():
    epochs, forward, cov = trials()
    right = DipoleSearch(forward=forward, noise_cov=cov, random_state=0).fit(epochs)
    assert right.lead_field_error_ < 0.04
    wrong = DipoleSearch(forward=believed(forward, (0, 0.02, 0.04)), noise_cov=cov, random_state=0)
    with pytest.warns(AssumptionWarning) as heard:
        wrong.fit(epochs)
    assert "lead-field" in {each.message.code for each in heard}
    assert wrong.lead_field_error_ > 0.06
    assert wrong.dipole_volumes_[0] > 3 * right.dipole_volumes_[0]


def test_a_wrong_head_is_told_of_averages_too():
    epochs, forward, cov = trials()
    average, given = epochs.average(), {"noise_cov": cov, "random_state": 0}
    right = DipoleSearch(forward=forward, **given).fit([average])  # says nothing
    assert right.lead_field_error_ < 0.08
    with pytest.warns(AssumptionWarning) as heard:
        DipoleSearch(forward=believed(forward, (0, 0.04, 0.04)), **given).fit([average])
    assert "lead-field" in {each.message.code for each in heard}


def test_noise_of_averages_may_be_more_than_it_is_taken_for():
    error, quiet = 0.2**2, Misfit(0.0, 0.0)
    assert Misfit(error, 0.0, noise=0.001).of_averages(quiet).is_wrong
    assert not Misfit(error, 0.0, noise=0.03).of_averages(quiet).is_wrong
    assert not Misfit(error, 0.0, noise=0.01, near=4.0).of_averages(quiet).is_wrong
    assert Misfit(0.7**2, 0.0, noise=0.4).of_averages(quiet).is_wrong


def test_what_looks_like_errors_is_held_against_less_noise():
    whole, like_errors = Misfit(0.2**2, 0.0, noise=0.03), Misfit(0.15**2, 0.0, noise=0.01)
    assert whole.of_averages(like_errors).is_wrong
    assert not whole.of_averages(replace(like_errors, power=0.005)).is_wrong


def test_an_error_that_noise_hides_is_the_stated_one():
    assert Misfit(0.01, 1e-6).given(0.15) == pytest.approx(0.01)
    assert Misfit(0.0, 1.0).given(0.15) == pytest.approx(0.15**2, rel=0.01)
    assert Misfit(0.01, 1.0).given(0.0) == 0.01


def test_a_source_is_found_from_the_least_moment_on():
    epochs, forward, cov = trials(noise=1e-14)
    where, gain = forward["source_rr"], forward["sol"]["data"]
    place = int(np.linalg.norm(where - where[PLACE], axis=1).argmax())
    field = gain[:, 3 * place : 3 * place + 3]
    field = field @ np.linalg.svd(field)[2][0]  # the orientation that is seen best

    def search(moment):
        data = epochs.get_data()
        data[:, :, 30:] += np.outer(field, moment * np.hanning(20))
        data = mne.EpochsArray(data, epochs.info, tmin=-0.15, verbose="error")
        return DipoleSearch(forward=forward, noise_cov=cov, random_state=0).fit(data)

    least = search(0.0).least_moments_
    assert least.shape == (len(where),)
    depth = np.linalg.norm(where - CENTER, axis=1)
    assert np.median(least[depth < 0.045]) > np.median(least[depth > 0.06])
    assert place not in search(0.5 * least[place]).support_
    assert place in search(2 * least[place]).support_


def test_sources_that_were_told_and_are_none():
    epochs, forward, cov = trials()
    with pytest.warns(AssumptionWarning, match="n_sources is 3") as heard:
        DipoleSearch(forward=forward, noise_cov=cov, random_state=0, n_sources=3).fit(epochs)
    assert {each.message.code for each in heard} == {"told-sources"}


def test_currents_of_no_brain():
    epochs, forward, cov = trials()
    epochs = mne.EpochsArray(1e15 * epochs.get_data(), epochs.info, tmin=-0.15, verbose="error")
    cov["data"] = 1e30 * cov["data"]
    with pytest.warns(AssumptionWarning, match=r"A m") as heard:
        DipoleSearch(forward=forward, noise_cov=cov, random_state=0).fit(epochs)
    assert {each.message.code for each in heard} == {"current-size"}


@pytest.fixture
def two():
    """Scanner, fields of two positions whose courses are alike, noise and the dipoles."""
    rng = np.random.default_rng(0)
    gain = rng.standard_normal((40, 60))
    scanner = Scanner(gain, 1)
    course = 30 * np.sin(np.arange(25) / 4)
    noise = [rng.standard_normal((40, 25)) for _ in range(20)]
    strong, weak = (scanner._on_grid(k, np.ones((1, 1))) for k in (3, 8))
    Y = strong.columns @ course[None] + 0.2 * weak.columns @ course[None]
    return scanner, Y + rng.standard_normal(Y.shape), noise, [strong, weak], rng


def test_the_rest_shows_the_error_of_the_lead_field(two):
    _, Y, noise, dipoles, rng = two
    exact = misfit_of(Y, dipoles, noise)
    assert exact.power < 4 * exact.deviation
    error = 0.2 * np.linalg.norm(dipoles[0].columns) * rng.standard_normal((40, 1)) / np.sqrt(40)
    wrong = Y + error @ (30 * np.sin(np.arange(25) / 4))[None]
    assert misfit_of(wrong, dipoles, noise).error == pytest.approx(0.2, rel=0.3)
    assert misfit_of(Y, [], noise).error == 0


@pytest.mark.parametrize(("error", "found"), [(0.0, None), (0.02, None), (0.2, 1)])
def test_a_satellite_is_what_that_error_accounts_for(two, error, found):
    _, Y, _, dipoles, _ = two
    assert satellite(Y, dipoles, Misfit(error**2, 0.0)) == found


def test_a_course_of_others_needs_evidence_where_noise_may_hide_the_error(two):
    _, Y, _, dipoles, _ = two
    asked = []

    def evidence(error):
        asked.append(error)
        return np.array([5.0, 0.8 if error > 0.1 else 2.0])

    assert satellite(Y, dipoles, Misfit(0.0, 0.05**2), evidence) == 1
    assert satellite(Y, dipoles, Misfit(0.0, 0.01**2), evidence) is None
    assert asked[0] > asked[1]


def test_a_course_of_its_own_is_no_satellite(two):
    scanner, Y, _, dipoles, rng = two
    own = scanner._on_grid(12, np.ones((1, 1)))
    Y = Y + own.columns @ (8 * rng.standard_normal((1, 25)))
    assert satellite(Y, [dipoles[0], own], Misfit(0.04, 0.0)) is None


def test_unusual_trials_are_those_of_other_channels_and_none_of_the_same_world():
    epochs, forward, cov = trials(noise=2e-14, n_trials=60)
    model = MinimumNorm(forward=forward, noise_cov=cov).fit(epochs[:40])
    fresh = epochs[40:].get_data()
    assert model.is_unusual(fresh).mean() <= 0.2
    assert model.is_unusual(epochs[40:]).shape == (20,)
    assert model.is_unusual(3 * fresh).all()
    dead = fresh.copy()
    dead[:, 5] = 0.0
    assert model.is_unusual(dead).all()
    with pytest.raises(ValueError, match="data of the 40 fitted channels"):
        model.is_unusual(np.ones((3, 7, 50)))


def test_averages_do_not_tell_what_is_usual():
    epochs, forward, cov = trials()
    model = MinimumNorm(forward=forward, noise_cov=cov).fit([epochs.average()])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not model.is_unusual([epochs.average()]).any()
