"""Pure functions of the source solver: the scan, places between grid points, evidence, network."""

import numpy as np
import pytest
import torch

from sklearn_meg.source._averages import gather_averages
from sklearn_meg.source._between import Between
from sklearn_meg.source._evidence import gather, n_components_held, wiener
from sklearn_meg.source._network import PenalizedLoss, SourceNet
from sklearn_meg.source._pairs import apart, best_pairs, pair_power
from sklearn_meg.source._scan import Scanner
from sklearn_meg.source._settle import predictive_ridge, settle
from sklearn_meg.source._training import layer_scale, lead_modes, penalty_strength

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


def best_fixed_power(columns, Y):
    """Power that the best single orientation explains: by its definition, over many."""
    units = np.random.default_rng(3).normal(size=(4000, columns.shape[1]))
    fields = columns @ units.T
    return (np.square(fields.T @ Y).sum(axis=1) / np.square(fields).sum(axis=0)).max()


def places(dipoles):
    return sorted(dipole.position for dipole in dipoles)


# ------------------------------------------------------------------ scan


def test_modes_hold_the_whole_lead_field(gain):
    low = np.random.default_rng(1).normal(size=(20, 5)) @ gain[:5]
    scanner = Scanner(low, ORIENT)
    assert scanner.modes.shape == (20, 5)
    np.testing.assert_allclose(scanner.modes.T @ scanner.modes, np.eye(5), atol=1e-10)
    np.testing.assert_allclose(scanner.modes @ scanner.flat, low, atol=1e-6)
    np.testing.assert_array_equal(scanner.columns([4, 2])[:, 3:], scanner.flat[:, 6:9])


def test_explained_power_is_that_of_the_best_orientation(gain):
    scanner = Scanner(gain, ORIENT)
    Y = scanner.modes.T @ fields_of(gain, [7], np.random.default_rng(1))
    power, orientations = scanner.scan(Y)
    expected = [best_fixed_power(scanner.columns([j]), Y) for j in range(30)]
    np.testing.assert_allclose(power[:, 0], expected, rtol=0.02)  # a ridge, and a finite search
    assert abs(orientations[7, 0] @ [0.6, 0.0, 0.8]) > 0.99
    np.testing.assert_allclose(np.linalg.norm(orientations, axis=2), 1)
    # All orientations together explain what least squares does.
    columns = scanner.columns([12])
    whole = np.square(columns @ np.linalg.lstsq(columns, Y, rcond=None)[0]).sum()
    assert power[12].sum() == pytest.approx(whole, rel=0.02)


def test_what_others_explain_is_left_out(gain):
    scanner = Scanner(gain, ORIENT)
    Y = scanner.modes.T @ fields_of(gain, [7], np.random.default_rng(1))
    (dipole,) = scanner.search(Y, 100.0, 1)
    beside = scanner.explained(Y, [dipole])
    assert beside[7] < 1e-6 * scanner.explained(Y)[7]
    assert beside.max() < 0.1 * scanner.explained(Y).max()


def test_a_position_without_field_is_never_found(gain):
    silent = gain.copy()
    silent[:, 15:18] = 0.0
    scanner = Scanner(silent, ORIENT)
    Y = scanner.modes.T @ fields_of(gain, [5], np.random.default_rng(1))
    power = scanner.explained(Y)
    assert power[5] == 0 and np.isfinite(power).all()
    assert 5 not in places(scanner.search(Y, 0.0, 4))


@pytest.mark.parametrize("positions", [[4], [4, 19], [2, 13, 28]])
@pytest.mark.parametrize("seed", range(3))
def test_search_finds_the_sources_and_no_more(gain, positions, seed):
    rng = np.random.default_rng(seed)
    scanner = Scanner(gain, ORIENT)
    Y = scanner.modes.T @ fields_of(gain, positions, rng)
    noise = max(scanner.explained(rng.normal(size=Y.shape)).max() for _ in range(10))
    found = scanner.search(Y, 1.5 * noise, 10)
    assert places(found) == positions
    for dipole in found:
        assert dipole.orientations.shape == (1, 3)
        assert abs(dipole.orientations[0] @ [0.6, 0.0, 0.8]) > 0.97
    assert (scanner.beside(Y, found, 1.5 * noise) >= 1).all()
    # Told how many, it asks for no evidence.
    assert len(scanner.search(Y, 1e9, 10, n_sources=2)) == 2
    assert len(scanner.search(Y, 1.5 * noise, 1)) == 1
    assert scanner.search(Y, 1e9, 10) == []


def test_a_source_that_turns_has_two_orientations(gain):
    rng = np.random.default_rng(0)
    scanner = Scanner(gain, ORIENT)
    turning = 10 * np.stack([rng.normal(size=8), np.zeros(8), rng.normal(size=8)])
    Y = scanner.modes.T @ (gain[:, 12:15] @ turning + rng.normal(size=(20, 8)))
    (dipole,) = scanner.search(Y, 200.0, 5)
    assert dipole.position == 4
    assert dipole.orientations.shape == (2, 3)
    assert np.abs(dipole.orientations[:, 1]).max() < 0.2  # in the plane that it turns in
    assert dipole.columns.shape == (20, 2)


def test_a_pair_explains_what_its_positions_do_together(gain):
    scanner = Scanner(gain, ORIENT)
    Y = fields_of(scanner.flat, [3, 17], np.random.default_rng(5))
    power = pair_power(scanner.gain, Y)
    assert best_pairs(power, 1) == [(3, 17)]
    together = np.linalg.qr(scanner.columns([3, 17]))[0]
    assert power[3, 17] <= np.square(together.T @ Y).sum() * 1.001
    assert power[3, 17] > 0.95 * np.square(together.T @ Y).sum()  # each has one orientation
    pairs = best_pairs(power, 4)
    assert len(pairs) == 4 and len({each for pair in pairs for each in pair}) == 8
    assert sorted(apart(scanner)) == list(range(30))  # a few positions: all


def test_a_wrong_pair_of_alike_sources_is_left():
    rng = np.random.default_rng(4)
    line = np.linspace(0, 1, 60)
    fields = np.exp(-np.square((np.linspace(0, 1, 25)[:, None] - line) / 0.12))
    scanner = Scanner(fields, 1)
    course = rng.normal(size=12)
    Y = scanner.modes.T @ (15 * fields[:, [12]] * course + 12 * fields[:, [44]] * course)
    Y += rng.normal(size=Y.shape)
    wrong = [scanner._on_grid(position, np.ones((1, 1))) for position in (28, 30)]
    found = places(scanner._stir(Y, wrong))
    assert abs(found[0] - 12) <= 1 and abs(found[1] - 44) <= 1
    assert scanner._stir(Y, wrong[:1]) == wrong[:1]


def test_refine_moves_to_where_most_is_explained(gain):
    scanner = Scanner(gain, ORIENT)
    Y = scanner.modes.T @ fields_of(gain, [4, 19], np.random.default_rng(0))
    wrong = [scanner._on_grid(position, np.eye(3)[:1]) for position in (0, 1)]
    assert places(scanner.refine(Y, wrong)) == [4, 19]


def test_small_currents_are_expected_where_that_is_asked_for(gain):
    deep = gain.copy()
    deep[:, 21:24] *= 0.01  # hardly seen: it takes a hundred times the current
    scanner = Scanner(deep, ORIENT)
    Y = scanner.modes.T @ fields_of(gain, [7], np.random.default_rng(0))
    assert scanner.explained(Y).argmax() == 7
    scanner.expect(Y, depth=0.0, firmness=1.0)
    assert scanner.explained(Y).argmax() != 7


def test_neighborhood_is_what_has_the_same_field(gain):
    doubled = np.concatenate([gain, gain[:, 21:24]], axis=1)  # position 30 as position 7
    scanner = Scanner(doubled, ORIENT)
    seven = scanner._on_grid(7, np.eye(3)[:1])
    np.testing.assert_array_equal(np.flatnonzero(scanner.neighborhood([seven])), [7, 30])
    assert not scanner.neighborhood([]).any()


# ------------------------------------------------------------------ between grid points


def cube(n=6, spacing=0.01):
    steps = spacing * np.arange(n)
    return np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3)


def smooth_gain(places, n_channels=40):
    """Fields of dipoles far from sensors: smooth in place."""
    sensors = np.random.default_rng(0).normal(size=(n_channels, 3))
    sensors = 0.025 + 0.12 * sensors / np.linalg.norm(sensors, axis=1, keepdims=True)
    away = sensors[:, None] - places
    return away / np.linalg.norm(away, axis=2, keepdims=True) ** 3  # (channels, places, 3)


def test_shares_reproduce_quadratic_fields():
    grid = cube()
    between = Between(grid)
    place = np.array([0.0231, 0.0187, 0.0312])
    near, shares = between.shares(place)
    assert shares.sum() == pytest.approx(1)
    for function in (
        lambda p: p[..., 0],
        lambda p: p[..., 1] * p[..., 2],
        lambda p: p[..., 0] ** 2,
    ):
        assert shares @ function(grid[near]) == pytest.approx(function(place), rel=1e-6)


def test_places_around_stay_in_the_grid():
    between = Between(cube())
    step, reach = between.steps[0]
    inner, neighbors, shares = between.around(np.array([0.02, 0.03, 0.02]), step, reach)
    assert len(inner) == len(neighbors) == len(shares) == 125
    corner = between.around(np.zeros(3), step, reach)[0]
    assert 0 < len(corner) < 125 and corner.min() > -0.006
    alone = Between(cube(1)).around(np.zeros(3), 0.0, 1)[0]
    np.testing.assert_array_equal(alone, np.zeros((1, 3)))


def test_dipoles_are_found_between_grid_points():
    grid, place = cube(), np.array([0.0232, 0.0272, 0.0212])
    direction = np.array([0.6, 0.0, 0.8])
    gain = smooth_gain(grid)
    true = smooth_gain(place[None])[:, 0] @ direction
    rng = np.random.default_rng(0)
    Y = 100 / np.linalg.norm(true) * np.outer(true, rng.normal(size=10)) + rng.normal(size=(40, 10))
    scanner = Scanner(gain.reshape(40, -1), ORIENT, grid)
    (dipole,) = scanner.search(scanner.modes.T @ Y, 500.0, 3)
    assert np.linalg.norm(dipole.place - place) < 0.002  # the nearest grid point: 0.0044
    assert dipole.position == np.linalg.norm(grid - place, axis=1).argmin()
    field = dipole.fields(gain)[:, 0]
    assert abs(np.corrcoef(field, true)[0, 1]) > 0.9999
    (on_grid,) = Scanner(gain.reshape(40, -1), ORIENT).search(scanner.modes.T @ Y, 500.0, 1)
    assert on_grid.place is None
    assert abs(np.corrcoef(on_grid.fields(gain)[:, 0], true)[0, 1]) < 0.9999


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


def test_components_are_orthonormal_and_silent_before_the_onset():
    data, trials, labels = trials_of()
    evidence = gather(data, 20, trials, labels, np.random.RandomState(0))
    k = evidence.basis.shape[1]
    np.testing.assert_allclose(evidence.basis.T @ evidence.basis, np.eye(k), atol=1e-10)
    assert not evidence.basis[:20].any()
    assert evidence.Y.shape == (8, 2 * k)
    assert evidence.deviation.shape == (2, k)


def test_evidence_is_the_data_and_goes_back_to_courses():
    data, trials, labels = trials_of()
    evidence = gather(data, 20, trials, labels, np.random.RandomState(0))
    expected = evidence.whitener @ (data @ evidence.basis / evidence.deviation[:, None])
    np.testing.assert_allclose(evidence.Y, np.concatenate(list(expected), axis=1), atol=1e-10)
    courses = evidence.courses(np.linalg.solve(evidence.whitener, evidence.Y))
    np.testing.assert_allclose(courses[..., 20:], data[..., 20:], atol=1e-8)
    assert not courses[..., :20].any()


def test_noise_of_trials_is_white_in_space_and_time():
    data, trials, labels = trials_of(n_trials=200, amplitude=0.0)
    evidence = gather(data, 20, trials, labels, np.random.RandomState(0))
    for noise in (evidence.Y, *evidence.noise[:3]):
        assert noise.var() == pytest.approx(1, abs=0.25)
    cov = np.mean([draw @ draw.T / draw.shape[1] for draw in evidence.noise], axis=0)
    np.testing.assert_allclose(cov, np.eye(8), atol=0.3)
    assert evidence.deviation[0, 0] > 1.5 * evidence.deviation[0, -1]  # slow noise is strong


def test_signal_does_not_enter_the_noise():
    rng = [np.random.RandomState(0) for _ in range(2)]
    quiet = trials_of(amplitude=0.0)
    loud = trials_of(amplitude=30.0)
    few = [
        gather(data, 20, trials, labels, r) for (data, trials, labels), r in zip((quiet, loud), rng)
    ]
    np.testing.assert_allclose(few[1].deviation, few[0].deviation, rtol=1e-6)
    np.testing.assert_allclose(few[1].noise, few[0].noise, atol=1e-6)


def test_components_with_response_are_looked_at():
    data, trials, labels = trials_of(amplitude=30.0)
    evidence = gather(data, 20, trials, labels, np.random.RandomState(0))
    weight = evidence.weight.reshape(2, -1)
    assert weight[:, :6].min() > 0.5 and weight[:, -10:].max() < 0.5
    looked = evidence.looked_at(evidence.Y)
    assert looked.shape == (8, np.count_nonzero(evidence.weight))
    noise, noise_trials, _ = trials_of(amplitude=0.0)
    silent = gather(noise, 20, noise_trials, labels, np.random.RandomState(0))
    assert silent.weight.mean() < 0.5 * evidence.weight.mean()


def test_wiener_keeps_signal_and_drops_noise():
    rng = np.random.default_rng(0)
    columns = rng.normal(size=(20, 2))
    true = np.zeros((2, 80))
    true[:, :8] = 20 * rng.normal(size=(2, 8))  # two conditions of 40 components
    true[0, 40:48] = 10 * rng.normal(size=8)
    Y = columns @ true + rng.normal(size=(20, 80))
    found = wiener(columns, Y, 2)
    squares = np.linalg.lstsq(columns, Y, rcond=None)[0]
    assert np.square(found - true).sum() < 0.4 * np.square(squares - true).sum()
    np.testing.assert_allclose(found[:, :8], true[:, :8], atol=1.5)


def test_components_held():
    amplitudes = np.zeros((2, 20))  # two conditions of ten
    amplitudes[0, :3] = 1.0
    amplitudes[1, 14] = 1.0
    assert n_components_held(amplitudes, 2, 0.99) == 5
    assert n_components_held(amplitudes[:1], 2, 0.5) == 2
    assert n_components_held(np.zeros((1, 20)), 2, 0.99) <= 11


def test_averages_take_the_spectrum_from_before_the_onset():
    rng = np.random.default_rng(0)
    data = rng.normal(size=(2, 8, 60)) + np.repeat(2 * rng.normal(size=(2, 8, 10)), 6, axis=2)
    slow = gather_averages(data, 20, slice(0, 20), np.eye(8), np.random.RandomState(0))
    assert slow.deviation[0, 1] > 2 * slow.deviation[0, -1]
    np.testing.assert_array_equal(slow.whitener, np.eye(8))
    # Noise, in those units, is of size 1 in every component; an offset is no response.
    np.testing.assert_allclose(np.mean([draw**2 for draw in slow.noise], axis=(0, 1)), 1, atol=0.2)
    moved = gather_averages(data + 7.0, 20, slice(0, 20), np.eye(8), np.random.RandomState(0))
    np.testing.assert_allclose(moved.Y, slow.Y, atol=1e-9)
    # Nothing before the onset: white, but for components that are slower than most.
    plain = gather_averages(data, 20, None, np.eye(8), np.random.RandomState(0))
    np.testing.assert_allclose(plain.deviation[0, -20:], 1, atol=0.1)


def test_data_without_noise():
    data, trials, labels = trials_of()
    data = np.zeros_like(data)
    data[:, :, 30:40] = 1.0
    for kept in (None, slice(0, 20)):
        evidence = gather_averages(data, 20, kept, np.eye(len(data[0])), np.random.RandomState(0))
        assert np.isfinite(evidence.Y).all() and evidence.Y.any()
    same = data[labels] / 20  # 20 trials a condition
    evidence = gather(data, 20, same, labels, np.random.RandomState(0))
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


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_oscillators_make_any_smooth_course_and_shift_with_the_event(cell):
    span, n = 60, 80
    net = SourceNet(
        2, np.eye(3), np.ones(3), cell=cell, hidden_size=80, n_layers=1, init="zeros", span=span
    )
    events = torch.zeros(2, 2, n)
    events[0, 0, 20:] = events[1, 1, 20:] = 1.0
    rng = np.random.default_rng(0)
    smooth = np.cumsum(np.cumsum(rng.normal(size=(2, 3, span)), axis=2), axis=2)
    smooth = smooth * np.hanning(span) / np.abs(smooth).max()
    targets = torch.zeros(2, 3, n)
    targets[:, :, 20:] = torch.from_numpy(smooth)
    assert settle(net, events, targets) < 1e-3
    net.eval()
    with torch.no_grad():
        fields = net(events)
        later = net(torch.roll(events, 7, dims=2) * (torch.arange(n) >= 27))
        half = net(events / 2)
    scale = fields.abs().max()
    torch.testing.assert_close(later[:, :, 27:], fields[:, :, 20:-7], atol=0.05 * scale, rtol=0)
    torch.testing.assert_close(half, fields / 2, atol=0.05 * scale, rtol=0)
    assert not fields[:, :, :20].any()


def test_conditions_that_predict_each_other_choose_the_ridge():
    rng = np.random.default_rng(2)
    hidden = rng.normal(size=(6, 40, 30))
    layer = rng.normal(size=(30, 2))
    noisy = hidden @ layer + 6 * rng.normal(size=(6, 40, 2))
    ridge, missed = predictive_ridge(hidden, noisy)
    clean_ridge, clean = predictive_ridge(hidden, hidden @ layer)
    assert clean < 1e-6 < 0.3 < missed < 0.9
    assert clean_ridge < ridge
    assert predictive_ridge(hidden, rng.normal(size=(6, 40, 2)))[1] > 0.9
