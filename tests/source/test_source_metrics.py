"""Scores of source estimates, against brute force and cases that can be worked out by hand."""

from itertools import permutations

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from sklearn_meg.source import metrics as m


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def grid():
    """5 x 5 x 5 positions, 10 mm apart."""
    return 0.01 * np.stack(np.meshgrid(*[np.arange(5.0)] * 3, indexing="ij"), -1).reshape(-1, 3)


def test_strength(rng):
    vectors = rng.normal(size=(7, 3, 20))
    length = np.sqrt((vectors**2).sum(axis=1))
    np.testing.assert_allclose(m.source_strength(vectors), length.max(axis=1))
    rms = m.source_strength(vectors, slice(5, 9), "rms")
    np.testing.assert_allclose(rms, np.sqrt((length[:, 5:9] ** 2).mean(axis=1)))
    np.testing.assert_allclose(
        m.source_strength(length, np.arange(20) > 10), length[:, 11:].max(axis=1)
    )


def test_peaks_by_brute_force(grid, rng):
    for _ in range(5):
        values = rng.normal(size=(125, 4))
        strength = np.abs(values).max(axis=1)
        expected = []
        for i, position in enumerate(grid):
            others = [
                strength[j]
                for j in range(125)
                if j != i and np.abs(grid[j] - position).max() < 0.0101
            ]
            if strength[i] > max(others):
                expected.append(i)
        expected = sorted(expected, key=lambda i: -strength[i])
        assert list(m.find_peaks(grid, values)) == expected
        assert list(m.find_peaks(grid, values, 2)) == expected[:2]


def test_peaks_of_plateaus_and_nothing(grid):
    values = np.zeros(125)
    assert len(m.find_peaks(grid, values)) == 0
    values[[0, 1, 124]] = 2.0
    assert list(m.find_peaks(grid, values)) == [0, 124]
    assert list(m.find_peaks(grid[:1], [3.0])) == [0]


def test_matching_by_brute_force(grid, rng):
    for _ in range(5):
        values = rng.random(125)
        truth = 0.04 * rng.random((3, 3))
        found = m.find_peaks(grid, values, 3)
        cost = 1e3 * np.linalg.norm(truth[:, None] - grid[found][None], axis=2)
        best = min(cost[range(3), order].sum() for order in map(list, permutations(range(3))))
        peaks, distances = m.match_sources(grid, values, truth)
        assert distances.sum() == pytest.approx(best)
        assert m.localization_error(grid, values, truth) == pytest.approx(best / 3)
        np.testing.assert_allclose(1e3 * np.linalg.norm(grid[peaks] - truth, axis=1), distances)
        hits = (distances <= 15).mean()
        assert m.hit_rate(grid, values, truth, within=15) == pytest.approx(hits)


def test_missed_sources(grid):
    values = np.zeros(125)
    values[0] = 1.0
    truth = [[0, 0, 0.01], [0.04, 0.04, 0.04]]
    peaks, distances = m.match_sources(grid, values, truth)
    assert list(peaks) == [0, -1]
    np.testing.assert_allclose(distances, [10, 100])
    assert m.localization_error(grid, values, truth, miss=50) == pytest.approx(30)
    assert m.hit_rate(grid, values, truth) == 0.5
    assert m.localization_error(grid, 0 * values, truth) == 100
    assert m.hit_rate(grid, 0 * values, truth, within=200) == 0
    assert m.localization_error(grid, values, [[0.5, 0.5, 0.5]]) == 100  # never more than a miss


def test_samples_choose_the_peak(grid):
    values = np.zeros((125, 10))
    values[0, 2], values[124, 7] = 2.0, 1.0
    early, late = np.arange(10) < 5, slice(5, 10)
    assert m.localization_error(grid, values, grid[:1], early) == 0
    assert m.localization_error(grid, values, grid[124:], late) == 0
    assert m.spatial_dispersion(grid, values, grid[124:], late) == 0


def test_dispersion(grid, rng):
    truth = np.array([[0, 0, 0], [0.04, 0.04, 0.04]])
    values = rng.normal(size=(125, 3, 6))
    top = bottom = 0.0
    for position, vector in zip(grid, values):
        distance = min(np.linalg.norm(position - place) for place in truth)
        top += (vector**2).sum() * (1e3 * distance) ** 2
        bottom += (vector**2).sum()
    assert m.spatial_dispersion(grid, values, truth) == pytest.approx(np.sqrt(top / bottom))
    assert m.spatial_dispersion(grid, 1e-12 * values, truth) == pytest.approx(np.sqrt(top / bottom))
    assert np.isnan(m.spatial_dispersion(grid, 0 * values, truth))


def test_earth_mover_on_a_line(rng):
    """In one dimension the distance is the area between the cumulative distributions."""
    for _ in range(5):
        x, y = np.sort(rng.random(40)) / 10, rng.random(6) / 10
        u, v = rng.random(40), rng.random(6)
        line = np.c_[x, np.zeros((40, 2))]
        true = np.c_[y, np.zeros((6, 2))]
        for power in (1, 2):
            expected = 1e3 * wasserstein_distance(x, y, u**power, v**power)
            found = m.earth_movers_distance(line, u, true, v, power=power)
            assert found == pytest.approx(expected, rel=1e-4)


def test_earth_mover_by_assignment(grid, rng):
    """Equal masses: the cheapest of all permutations."""
    places, truth = rng.random((5, 3)) / 10, rng.random((5, 3)) / 10
    cost = 1e3 * np.linalg.norm(places[:, None] - truth[None], axis=2)
    best = min(cost[range(5), list(order)].mean() for order in permutations(range(5)))
    assert m.earth_movers_distance(places, np.ones(5), truth) == pytest.approx(best)


def test_earth_mover_dense_map(rng):
    """A large dense map: moved by a vector, each bit of it moves by its length."""
    grid = 0.01 * np.stack(np.meshgrid(*[np.arange(12.0)] * 3), -1).reshape(-1, 3)
    chosen = rng.choice(len(grid), 30, replace=False)
    truth, amplitude = grid[chosen] + [0, 0.003, 0.004], rng.random(30)
    values = np.zeros(len(grid))
    values[chosen] = amplitude
    assert m.earth_movers_distance(grid, values, truth, amplitude) == pytest.approx(5.0)
    blurred = m.earth_movers_distance(grid, values + 0.1, truth, amplitude)
    shared = m.earth_movers_distance(grid, values, truth)
    assert blurred > 15 and 5 < shared < blurred
    assert np.isnan(m.earth_movers_distance(grid, 0 * values, truth))


def test_earth_mover_time_courses(grid):
    """Energy over time decides the shares: three quarters belong 10 mm further."""
    values = np.zeros((125, 4))
    values[0] = 1.0
    true = [[1.0, 0, 0, 0], [1.0, 1, 1, 0]]
    assert m.earth_movers_distance(grid, values, grid[:2], true) == pytest.approx(7.5)
    assert m.earth_movers_distance(grid, values, grid[:2], true, slice(0, 1)) == pytest.approx(5)


def test_time_course_correlation(grid, rng):
    times = np.linspace(0, 1, 50)
    true = np.array([np.sin(9 * times), np.exp(-9 * times)])
    estimate = np.zeros((125, 3, 50))
    estimate[1] = np.outer([0.0, -3.0, 4.0], true[0])
    estimate[124] = np.outer([2.0, 0.0, 1.0], true[1] + rng.normal(size=50))
    truth = grid[[0, 124]]
    alone = abs(np.corrcoef(estimate[124, 0], true[1])[0, 1])
    score = m.time_course_correlation(grid, estimate, truth, true)
    assert score == pytest.approx((1 + alone) / 2)
    estimate[124] = 0
    assert m.time_course_correlation(grid, estimate, truth, true) == pytest.approx(0.5)
    signed = -estimate[:, 1]
    assert m.time_course_correlation(grid, signed, truth[:1], true[:1]) == pytest.approx(1.0)


def test_output_snr():
    sources = np.ones((4, 3, 30))
    sources[..., 10:20] = 10
    assert m.output_snr(sources, 10, 20) == pytest.approx(20)
    assert m.output_snr(1e-9 * sources, 10) == pytest.approx(10 * np.log10(50.5))
    sources[..., :10] = 0
    assert m.output_snr(sources, 10) == np.inf  # the trap: flat before the onset, right or wrong
    assert np.isnan(m.output_snr(0 * sources, 10))


def test_fields(rng):
    fields = rng.normal(size=(2, 5, 40)) * np.array([1e-13, 1e-13, 1e-11, 1e-11, 1e-11])[:, None]
    assert m.nmse(fields, fields) == 0 and m.nmse(fields, 0 * fields) == 1
    assert m.nmse(fields, 2 * fields) == pytest.approx(1)
    assert m.field_correlation(fields, -3 * fields) == pytest.approx(-1)
    without = fields.copy()
    without[:, :2] = 0
    assert m.nmse(fields, without) < 1e-3  # magnetometers do not show without a whitener
    whitener = np.array([1e13, 1e13, 1e11, 1e11, 1e11])
    share = m.nmse(fields, without, whitener)
    assert share == pytest.approx(
        np.square(fields[:, :2] * 1e13).sum() / np.square(fields * whitener[:, None]).sum()
    )
    assert m.nmse(fields, without, np.diag(whitener)) == pytest.approx(share)
    flat = np.corrcoef(fields.ravel(), without.ravel())[0, 1]
    assert m.field_correlation(fields, without) == pytest.approx(flat)
    assert m.field_correlation(fields, np.zeros_like(fields)) == 0
    assert np.isnan(m.field_correlation(0 * fields, fields))
    assert np.isnan(m.nmse(0 * fields, fields))


def test_false_positives(rng):
    noise, real = rng.normal(size=(9, 3, 5)), rng.normal(size=(9, 3, 5))
    ratio = np.linalg.norm(noise, axis=1).max() / np.linalg.norm(10 * real, axis=1).max()
    assert m.false_positive_ratio(noise, 10 * real) == pytest.approx(ratio)
    assert np.isnan(m.false_positive_ratio(noise, 0 * real))


def test_inputs_stay_and_types_do_not_matter(grid, rng):
    values = rng.normal(size=(125, 3, 6)).astype(np.float32)
    before = values.copy()
    truth = grid[[3, 77]]
    for score in (m.localization_error, m.spatial_dispersion, m.earth_movers_distance):
        expected = score(grid, values.astype(float), truth)
        assert score(grid.tolist(), np.asfortranarray(values), truth.tolist()) == pytest.approx(
            expected, rel=1e-4
        )
    assert np.array_equal(values, before)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda g, v: m.localization_error(g[:9], v, g[:1]), r"one row a position, 9\. Got 125"),
        (lambda g, v: m.localization_error(1e3 * g, v, g[:1]), "positions must be finite and in m"),
        (lambda g, v: m.localization_error(g, v, 1e3 * g[-1:]), "true_positions must be finite"),
        (lambda g, v: m.hit_rate(g, v, np.empty((0, 3))), "n at least 1"),
        (lambda g, v: m.hit_rate(g, v[:, None].repeat(2, 1), g[:1]), r"Got \(125, 2, 6\)"),
        (lambda g, v: m.find_peaks(g, v * np.nan), "finite real numbers"),
        (lambda g, v: m.find_peaks(g, v * 1j), "finite real numbers"),
        (lambda g, v: m.find_peaks(g[:, :2], v), r"positions must have the shape \(n, 3\)"),
        (lambda g, v: m.source_strength(v, kind="mean"), "kind must be"),
        (lambda g, v: m.source_strength(v, slice(0, 0)), "at least one sample"),
        (lambda g, v: m.source_strength(v[:, 0], slice(0, 1)), "samples has no meaning"),
        (lambda g, v: m.earth_movers_distance(g, v, g[:2], [1.0]), "2 sources"),
        (lambda g, v: m.earth_movers_distance(g, v, g[:2], power=3), "power must be 1 or 2"),
        (lambda g, v: m.time_course_correlation(g, v, g[:1], v[:1, :4]), "share the samples"),
        (lambda g, v: m.time_course_correlation(g, v, g[:2], v[:1]), "one row a true position, 2"),
        (lambda g, v: m.output_snr(v, 0), "0 < onset < stop <= 6"),
        (lambda g, v: m.output_snr(v, 3, 9), "0 < onset < stop <= 6"),
        (lambda g, v: m.nmse(v, v[:, :3]), r"Got \(125, 6\) and \(125, 3\)"),
        (lambda g, v: m.nmse(v, v + np.inf), "NaN or infinity"),
        (lambda g, v: m.field_correlation(v, v, np.eye(3)), r"Got \(3, 3\)"),
    ],
)
def test_bad_input(grid, rng, call, message):
    with pytest.raises(ValueError, match=message):
        call(grid, rng.normal(size=(125, 6)))
