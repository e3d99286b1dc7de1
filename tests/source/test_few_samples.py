"""Noise covariances of few samples, and noise that few trials do not show."""

import warnings

import mne
import numpy as np
import pytest
from _worlds import sphere_forward

from sklearn_meg.exceptions import AssumptionWarning
from sklearn_meg.source import DipoleSearch, MinimumNorm
from sklearn_meg.source._few_samples import scarcity_of, steadied, unlike_samples
from sklearn_meg.source._left_out import without_contrast

N_CHANNELS, PLACE = 40, 30


def of_noise(seed=0, n_trials=5, amplitude=0.0):
    """Trials of other sources, maybe a dipole, and the covariance of a trial."""
    info, forward = sphere_forward()
    rng = np.random.default_rng(seed)
    gain = forward["sol"]["data"]
    mixing = 1e-8 * gain[:, rng.choice(gain.shape[1], 60, replace=False)]
    trials = np.einsum("cs,nst->nct", mixing, rng.standard_normal((n_trials, 60, 60)))
    trials += 1e-14 * rng.standard_normal(trials.shape)
    course = np.zeros(60)
    course[30:50] = amplitude * np.hanning(20)
    trials += (gain[:, 3 * PLACE : 3 * PLACE + 3] @ [0.0, 0.6, 0.8])[:, None] * course
    epochs = mne.EpochsArray(trials, info, tmin=-0.2, verbose="error")
    return epochs, forward, mixing @ mixing.T + 1e-28 * np.eye(N_CHANNELS), rng


def sample_cov(cov, n_samples, rng):
    samples = np.linalg.cholesky(cov) @ rng.standard_normal((N_CHANNELS, n_samples))
    return samples @ samples.T / n_samples


def as_mne(cov, n_free):
    names = sphere_forward()[0]["ch_names"]
    return mne.Covariance(cov, list(names), [], [], nfree=n_free)


def codes_of(model, data):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", AssumptionWarning)
        model.fit(data)
    return {each.message.code for each in said}


@pytest.mark.parametrize("n_samples", [10, 41])
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("average", [True, False])
def test_few_samples_are_told_and_the_source_is_found(n_samples, known, average):
    epochs, forward, cov, rng = of_noise(amplitude=2.5e-7)
    few = as_mne(sample_cov(cov, n_samples, rng), n_samples - 1 if known else 1)
    search = DipoleSearch(forward=forward, noise_cov=few, random_state=0)
    codes = codes_of(search, epochs.average() if average else epochs)
    if n_samples < N_CHANNELS or not known:
        assert {"noise-samples", "noise-rank"} & codes
    assert len(search.support_) == 1
    away = np.linalg.norm(search.dipole_positions_[0] - forward["source_rr"][PLACE])
    assert away < 0.01


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("n_samples", [10, 41, None])
def test_few_trials_of_noise_have_no_source(seed, n_samples):
    epochs, forward, cov, rng = of_noise(seed)
    given = None if n_samples is None else as_mne(sample_cov(cov, n_samples, rng), n_samples)
    search = DipoleSearch(forward=forward, noise_cov=given, random_state=0)
    assert "no-source" in codes_of(search, epochs)


def test_a_source_of_an_average_needs_more_evidence_with_fewer_samples():
    epochs, forward, cov, _ = of_noise(amplitude=2.5e-7)
    few, many = (
        DipoleSearch(forward=forward, noise_cov=as_mne(cov, n), random_state=0) for n in (60, 9999)
    )
    assert codes_of(few, epochs.average()) == codes_of(many, epochs.average()) == set()
    assert few.evidence_[0] < 0.7 * many.evidence_[0]
    assert np.median(few.least_moments_) > 1.2 * np.median(many.least_moments_)


def test_averages_tell_of_a_covariance_of_their_own_few_samples():
    rng = np.random.default_rng(0)
    modes = np.linalg.qr(rng.standard_normal((40, 15)))[0]
    noise, given = rng.standard_normal((2, 40, 90)), (40, slice(0, 40), modes)
    assert scarcity_of(noise, *given) < 0.2
    response = modes @ rng.standard_normal((15, 90)) * (np.arange(90) >= 40)
    noise[..., :40] *= 0.7  # the samples that the covariance is of
    with pytest.warns(AssumptionWarning, match="seems to be of few samples"):
        few = scarcity_of(noise, *given)
    with pytest.warns(AssumptionWarning, match="noise-samples"):
        assert scarcity_of(noise + 9 * response, *given) == pytest.approx(few)
    assert few > 1
    assert scarcity_of(noise, 40, None, modes) == 0
    assert scarcity_of(noise, 40, slice(0, 40), np.eye(40)) == 0


def test_many_samples_are_taken_as_they_are():
    epochs, forward, cov, rng = of_noise(amplitude=2.5e-7)
    many = sample_cov(cov, 2000, rng)
    known, unknown = (
        DipoleSearch(forward=forward, noise_cov=as_mne(many, n), random_state=0) for n in (2000, 1)
    )
    assert codes_of(known, epochs) == codes_of(unknown, epochs) == set()
    np.testing.assert_array_equal(known.sources_, unknown.sources_)


def test_samples_of_slow_signals_are_fewer():
    epochs, forward, cov, rng = of_noise(amplitude=2.5e-7)
    given = as_mne(sample_cov(cov, 200, rng), 199)
    search = DipoleSearch(forward=forward, noise_cov=given, random_state=0)
    assert codes_of(search, epochs) == set()
    with epochs.info._unlock():
        epochs.info["lowpass"] = 5.0  # of 100 Hz
    assert "noise-samples" in codes_of(search, epochs)


def test_linear_methods_keep_the_covariance_that_they_got():
    epochs, forward, cov, rng = of_noise(amplitude=2.5e-7)
    few = as_mne(sample_cov(cov, 60, rng), 59)
    linear = MinimumNorm(forward=forward, noise_cov=few).fit(epochs.average())
    operator = mne.minimum_norm.make_inverse_operator(
        epochs.info, forward, few, loose=1.0, depth=0.8, verbose="error"
    )
    stc = mne.minimum_norm.apply_inverse(
        epochs.average(), operator, 1 / 9, "MNE", pick_ori="vector", verbose="error"
    )
    found = linear.to_stc(pick_ori="vector")[0].data
    np.testing.assert_allclose(found, stc.data, atol=1e-6 * np.abs(stc.data).max())


def test_shrinkage_is_less_with_more_samples_and_keeps_directions_without_noise():
    rng = np.random.default_rng(0)
    root = rng.standard_normal((20, 12))
    cov = root @ root.T  # of rank 12
    few, more, many = (steadied(cov, n) for n in (5, 20, 20_000))
    assert np.linalg.matrix_rank(few) == 20
    assert np.linalg.matrix_rank(more) == np.linalg.matrix_rank(many) == 12
    off = [np.linalg.norm(each - cov) for each in (few, more, many)]
    assert off[0] > off[1] > 100 * off[2]
    np.testing.assert_allclose(steadied(np.diag([1.0, 4.0]), 3), np.diag([1.0, 4.0]))


def test_more_power_everywhere_is_not_few_samples():
    rng = np.random.default_rng(0)
    cov = np.diag(rng.uniform(1, 2, 30))
    loud = 5 * rng.standard_normal((30, 50))
    assert unlike_samples(cov, loud) is cov


def test_a_contrast_left_out_holds_no_response_and_unit_noise():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [5, 7])
    parts = rng.standard_normal((12, 30, 40)) / np.sqrt(np.bincount(labels))[labels][:, None, None]
    response = parts + rng.standard_normal((1, 30, 40))
    (Y, fewer, owners), (same, *_) = (
        without_contrast(each, labels, np.random.RandomState(1)) for each in (parts, response)
    )
    np.testing.assert_allclose(Y, same, atol=1e-12)
    assert np.square(Y).mean() == pytest.approx(1.0, rel=0.1)
    np.testing.assert_array_equal(np.bincount(owners), [4, 6])
    for label in (0, 1):
        np.testing.assert_allclose(fewer[owners == label].sum(axis=0), Y[label], atol=1e-12)


def test_an_average_tells_little_of_its_noise():
    epochs, forward, _, _ = of_noise(amplitude=5e-7)
    search = DipoleSearch(forward=forward, random_state=0)
    assert codes_of(search, epochs) == set()  # trials do
    assert "noise-samples" in codes_of(search, epochs.average())


def test_a_covariance_that_is_too_large_but_for_some_directions_stays_one():
    rng = np.random.default_rng(0)
    samples = rng.standard_normal((30, 4000))
    mixing = np.linalg.qr(rng.standard_normal((30, 30)))[0]
    cov = (mixing * np.where(np.arange(30) < 10, 0.4, 10.0)) @ mixing.T
    with pytest.warns(AssumptionWarning, match="noise-samples"):
        found = unlike_samples(cov, samples)
    assert (np.linalg.eigvalsh(found) > 0).all()
    np.testing.assert_allclose(found, cov, atol=0.1 * cov.max())
