"""Pure functions of the source solver: the scan, the posterior, evidence, penalty and network."""

import numpy as np
import pytest
import torch

from sklearn_meg.source._evidence import baseline_noise, gather
from sklearn_meg.source._network import PenalizedLoss, SourceNet
from sklearn_meg.source._penalty import layer_scale, lead_modes, penalty_strength
from sklearn_meg.source._scan import Scanner, posterior

ORIENT = 3


@pytest.fixture(scope="module")
def gain():
    return np.random.default_rng(0).normal(size=(20, 30 * ORIENT))


def fields_of(gain, positions, rng, strength=10.0, n=8):
    """Fields of dipoles of random components at some positions, in unit noise."""
    Y = rng.normal(size=(len(gain), n))
    for position in positions:
        columns = gain[:, ORIENT * position : ORIENT * (position + 1)]
        Y += strength * columns @ np.outer([0.6, 0.0, 0.8], rng.normal(size=n))
    return Y


def least_squares_power(columns, Y):
    return np.square(columns @ np.linalg.lstsq(columns, Y, rcond=None)[0]).sum()


# ------------------------------------------------------------------ scan


def test_modes_hold_the_whole_lead_field(gain):
    low = np.random.default_rng(1).normal(size=(20, 5)) @ gain[:5]
    scanner = Scanner(low, ORIENT)
    assert scanner.modes.shape == (20, 5)
    np.testing.assert_allclose(scanner.modes.T @ scanner.modes, np.eye(5), atol=1e-10)
    np.testing.assert_allclose(scanner.modes @ scanner.flat, low, atol=1e-6)
    np.testing.assert_array_equal(scanner.columns([4, 2])[:, 3:], scanner.flat[:, 6:9])


def test_explained_power_is_that_of_least_squares(gain):
    rng = np.random.default_rng(1)
    scanner = Scanner(gain, ORIENT)
    Y = scanner.modes.T @ fields_of(gain, [7], rng)
    power, by_others = scanner.explained(Y)
    assert by_others == 0
    expected = [least_squares_power(scanner.columns([j]), Y) for j in range(30)]
    np.testing.assert_allclose(power, expected, rtol=0.02)  # a ridge of 1e-3
    beside, by_others = scanner.explained(Y, [7, 3])
    assert by_others == pytest.approx(least_squares_power(scanner.columns([7, 3]), Y))
    together = least_squares_power(scanner.columns([7, 3, 12]), Y)
    assert beside[12] == pytest.approx(together - by_others, rel=0.05)
    np.testing.assert_array_equal(beside[[7, 3]], 0)


def test_a_position_without_field_is_never_found(gain):
    silent = gain.copy()
    silent[:, 15:18] = 0.0
    scanner = Scanner(silent, ORIENT)
    Y = scanner.modes.T @ fields_of(gain, [5], np.random.default_rng(1))
    power, _ = scanner.explained(Y)
    assert power[5] == 0 and np.isfinite(power).all()
    assert 5 not in scanner.search(Y, 0.0, 4)


@pytest.mark.parametrize("positions", [[4], [4, 19], [2, 13, 28]])
@pytest.mark.parametrize("seed", range(3))
def test_search_finds_the_sources_and_no_more(gain, positions, seed):
    rng = np.random.default_rng(seed)
    scanner = Scanner(gain, ORIENT)
    Y = scanner.modes.T @ fields_of(gain, positions, rng)
    noise = max(scanner.explained(rng.normal(size=Y.shape))[0].max() for _ in range(10))
    found = scanner.search(Y, 1.5 * noise, 10)
    assert sorted(found) == positions
    top = scanner.explained(Y)[0].max()
    assert (scanner.beside(Y, found, 1.5 * noise, top) >= 1).all()
    assert len(scanner.search(Y, 1.5 * noise, 1)) == 1
    assert scanner.search(Y, 1e9, 10) == []


def test_refine_moves_to_where_most_is_explained(gain):
    scanner = Scanner(gain, ORIENT)
    Y = scanner.modes.T @ fields_of(gain, [4, 19], np.random.default_rng(0))
    assert sorted(scanner.refine(Y, [0, 1])) == [4, 19]
    assert scanner.refine(Y, [19, 4]) == [19, 4]


def test_neighbourhood_is_what_has_the_same_field(gain):
    doubled = np.concatenate([gain, gain[:, 21:24]], axis=1)  # position 30 as position 7
    scanner = Scanner(doubled, ORIENT)
    np.testing.assert_array_equal(np.flatnonzero(scanner.neighbourhood([7])), [7, 30])
    assert not scanner.neighbourhood([]).any()


# ------------------------------------------------------------------ posterior


def test_posterior_is_least_squares_where_the_signal_is_strong(gain):
    rng = np.random.default_rng(0)
    columns = gain[:, :6]
    true = 100 * rng.normal(size=(6, 40))
    mean, factor = posterior(columns, columns @ true + rng.normal(size=(20, 40)), ORIENT)
    np.testing.assert_allclose(mean, true, atol=2)
    covariance = np.linalg.inv(factor.T @ factor)
    np.testing.assert_allclose(covariance, np.linalg.inv(columns.T @ columns), rtol=0.02, atol=1e-4)


def test_posterior_has_no_current_in_noise_or_where_nothing_is_seen(gain):
    rng = np.random.default_rng(0)
    columns = gain[:, :3].copy()
    columns[:, 2] *= 1e-3  # hardly seen: least squares would give it large currents
    direction = np.array([1.0, 1.0, 0.0])
    Y = columns @ np.outer(direction, 5 * rng.normal(size=10)) + rng.normal(size=(20, 10))
    squares = np.linalg.lstsq(columns, Y, rcond=None)[0]
    mean, _ = posterior(columns, Y, ORIENT)
    assert np.abs(mean[2]).max() < 0.2 * np.abs(squares[2]).max()
    noise, _ = posterior(gain[:, :6], rng.normal(size=(20, 10)), ORIENT)
    assert np.abs(noise).mean() < 0.2
    zero, factor = posterior(gain[:, :6], np.zeros((20, 10)), ORIENT)
    assert not zero.any() and np.isfinite(factor).all()


# ------------------------------------------------------------------ evidence


def trials_of(n_trials=40, n_conditions=2, seed=0, amplitude=3.0, n_times=60, onset=20):
    """Averages times sqrt(nave) and their trials: slow noise of one spatial pattern."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n_trials) % n_conditions
    noise = rng.normal(size=(n_trials, 8, n_times))
    noise += 2 * np.cumsum(rng.normal(size=(n_trials, 1, n_times)), axis=2) / np.sqrt(n_times)
    course = np.zeros(n_times)
    course[onset + 5 : onset + 25] = np.hanning(20)
    pattern = rng.normal(size=(n_conditions, 8, 1))
    counts = np.bincount(labels)[labels][:, None, None]
    trials = (amplitude * pattern[labels] * course + noise) / np.sqrt(counts)
    data = np.array([trials[labels == c].sum(axis=0) for c in range(n_conditions)])
    return data, trials, labels


@pytest.fixture
def all_components(monkeypatch):
    """Keep the fast components, too."""
    monkeypatch.setattr("sklearn_meg.source._evidence._n_components", lambda Y, _: Y.shape[2])


def test_components_are_orthonormal_and_silent_before_the_onset():
    data, trials, labels = trials_of()
    evidence = gather(data, 20, trials, labels, slice(0, 20), np.random.RandomState(0))
    k = evidence.basis.shape[1]
    np.testing.assert_allclose(evidence.basis.T @ evidence.basis, np.eye(k), atol=1e-10)
    assert not evidence.basis[:20].any()
    assert evidence.Y.shape == (8, 2 * k)
    assert evidence.deviation.shape == (2, k)


def test_evidence_is_the_data_and_goes_back_to_courses(all_components):
    data, trials, labels = trials_of()
    evidence = gather(data, 20, trials, labels, slice(0, 20), np.random.RandomState(0))
    expected = evidence.whitener @ (data @ evidence.basis / evidence.deviation[:, None])
    np.testing.assert_allclose(evidence.Y, np.concatenate(list(expected), axis=1), atol=1e-10)
    courses = evidence.courses(np.linalg.solve(evidence.whitener, evidence.Y))
    np.testing.assert_allclose(courses[..., 20:], data[..., 20:], atol=1e-8)
    assert not courses[..., :20].any()


def test_noise_of_trials_is_white_in_space_and_time(all_components):
    data, trials, labels = trials_of(n_trials=200, amplitude=0.0)
    evidence = gather(data, 20, trials, labels, None, np.random.RandomState(0))
    for noise in (evidence.Y, *evidence.noise[:3]):
        assert noise.var() == pytest.approx(1, abs=0.25)
    cov = np.mean([draw @ draw.T / draw.shape[1] for draw in evidence.noise], axis=0)
    np.testing.assert_allclose(cov, np.eye(8), atol=0.3)
    assert evidence.deviation[0, 0] > 1.5 * evidence.deviation[0, -1]  # slow noise is strong


def test_signal_does_not_enter_the_noise(all_components):
    rng = [np.random.RandomState(0) for _ in range(2)]
    quiet = trials_of(amplitude=0.0)
    loud = trials_of(amplitude=30.0)
    few = [
        gather(data, 20, trials, labels, None, r)
        for (data, trials, labels), r in zip((quiet, loud), rng)
    ]
    np.testing.assert_allclose(few[1].deviation, few[0].deviation, rtol=1e-6)
    np.testing.assert_allclose(few[1].noise, few[0].noise, atol=1e-6)


def test_components_end_where_the_response_does():
    data, trials, labels = trials_of(amplitude=30.0)
    noise, noise_trials, _ = trials_of(amplitude=0.0)
    rng = np.random.RandomState(0)
    assert gather(data, 20, trials, labels, None, rng).basis.shape[1] < 40
    assert gather(noise, 20, noise_trials, labels, None, rng).basis.shape[1] == 8


def test_averages_take_the_spectrum_from_before_the_onset():
    rng = np.random.default_rng(0)
    data = rng.normal(size=(2, 8, 60)) + np.repeat(2 * rng.normal(size=(2, 8, 10)), 6, axis=2)
    slow = gather(data, 20, baseline=slice(0, 20), rng=np.random.RandomState(0))
    assert slow.deviation[0, 1] > slow.deviation[0, -1]
    np.testing.assert_array_equal(slow.whitener, np.eye(8))
    plain = gather(data, 20, baseline=None, rng=np.random.RandomState(0))
    np.testing.assert_array_equal(plain.deviation, 1)
    assert baseline_noise(data, slice(0, 4), slow) is None
    assert baseline_noise(data, None, slow) is None
    before = baseline_noise(data, slice(0, 20), slow)
    assert before.shape[0] == 8 and 0.1 < before.var() < 10


def test_data_without_noise():
    data, trials, labels = trials_of()
    data = np.zeros_like(data)
    data[:, :, 30:40] = 1.0
    for kept in (None, slice(0, 20)):
        evidence = gather(data, 20, baseline=kept, rng=np.random.RandomState(0))
        assert np.isfinite(evidence.Y).all() and evidence.Y.any()
    same = data[labels] / 20  # 20 trials a condition
    evidence = gather(data, 20, same, labels, None, np.random.RandomState(0))
    assert np.isfinite(evidence.Y).all() and np.isfinite(evidence.whitener).all()


# ------------------------------------------------------------------ penalty and network


def test_modes_and_scale(gain):
    modes = lead_modes(gain, 12)
    assert modes.shape == (20, 12) and lead_modes(gain, 60).shape == (20, 20)
    np.testing.assert_allclose(modes.T @ modes, np.eye(12), atol=1e-10)
    data = np.random.default_rng(0).normal(size=(1, 20, 5))
    scale = layer_scale(gain, np.ones((30, ORIENT)), data)
    assert np.linalg.norm(gain * scale, axis=0).max() == pytest.approx(np.sqrt((data**2).mean()))


def test_the_penalty_is_a_share_of_the_best_match(gain):
    rng = np.random.default_rng(0)
    data, noise = 10 * rng.normal(size=(2, 20, 15)), rng.normal(size=(2, 20, 15))
    whole = penalty_strength(100, gain, data, noise, ORIENT)
    match = np.einsum("mj,cmt->cjt", gain, data).reshape(2, 30, ORIENT, 15)
    assert whole == pytest.approx(np.sqrt((match**2).sum(axis=2).mean(axis=(0, 2)).max()))
    assert penalty_strength(25, gain, data, noise, ORIENT) == pytest.approx(whole / 4)
    assert penalty_strength("auto", gain, data, noise, ORIENT) < 0.3 * whole


def test_group_penalty_does_not_depend_on_axes():
    rng = np.random.default_rng(0)
    layer = torch.from_numpy(rng.normal(size=(1, 5, 4 * ORIENT)))
    turn = torch.from_numpy(np.linalg.qr(rng.normal(size=(ORIENT, ORIENT)))[0])
    turned = (layer.reshape(1, 5, 4, ORIENT) @ turn).reshape(1, 5, -1)
    group, single = PenalizedLoss("l21", ORIENT), PenalizedLoss("l1", ORIENT)
    torch.testing.assert_close(group.magnitudes(turned), group.magnitudes(layer))
    assert group.magnitudes(layer).shape == (1, 5, 4)
    assert single.magnitudes(layer).shape == (1, 5, 12)
    fields = torch.zeros(1, 6, 5)
    assert group((fields, layer), fields) == 0  # no strength yet
    group.strength = 2.0
    expected = 2.0 * group.magnitudes(layer).sum(dim=2).mean() / 6
    torch.testing.assert_close(group((fields, layer), fields), expected)


def test_the_lead_field_is_not_trained():
    net = SourceNet(
        2, np.ones((5, 6)), np.full(6, 2.0), cell="gru", hidden_size=4, n_layers=1, init="zeros"
    )
    events = torch.randn(3, 2, 10)
    assert "gain" not in dict(net.named_parameters()) and "gain" not in net.state_dict()
    fields, layer = net(events)
    assert fields.shape == (3, 5, 10) and layer.shape == (3, 10, 6)
    assert not fields.any() and net.currents(events).dtype == torch.float64
    torch.nn.init.ones_(net.sources.weight)
    net.eval()
    expected = 1.0 * net.currents(events).sum(dim=1)
    torch.testing.assert_close(net(events)[:, 0], expected.float())
