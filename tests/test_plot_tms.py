import numpy as np
import pytest

from sklearn_meg.tms import Activation, make_neuron
from sklearn_meg.tms.plotting import (
    plot_error_by_heterogeneity,
    plot_error_by_samples,
    plot_neuron,
    plot_predicted_thresholds,
    plot_recruitment,
    plot_threshold_map,
)


@pytest.fixture(scope="module")
def cell():
    return make_neuron("L2/3 PC")


def test_neuron_is_colored_by_the_field(cell):
    def field(points):
        return 1 + 1e3 * points

    ax = plot_neuron(cell, field)
    E = field(1e-6 * cell.points)
    np.testing.assert_allclose(ax.collections[0].get_array(), np.linalg.norm(E, axis=1)[1:])
    same = plot_neuron(cell, E)
    np.testing.assert_allclose(
        same.collections[0].get_array(), ax.collections[0].get_array(), rtol=1e-12
    )


def test_neuron_without_field_shows_every_piece_once(cell):
    ax = plot_neuron(cell)
    n_drawn = sum(len(lines.get_segments()) for lines in ax.collections)
    n_nodes = len(ax.lines[0].get_xdata())
    assert n_drawn + n_nodes == cell.n_points - 1
    assert n_nodes > 0


def test_planes(cell):
    ax = plot_neuron(cell, plane="xy")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x (µm)", "y (µm)")
    with pytest.raises(ValueError, match="plane must be one of 'xz', 'yz', 'xy'. Got 'zx'"):
        plot_neuron(cell, plane="zx")


def test_field_of_another_neuron(cell):
    with pytest.raises(ValueError, match="one vector for each point"):
        plot_neuron(cell, np.ones((3, 3)))


def test_axes_are_used_and_returned(cell):
    import matplotlib.pyplot as plt

    ax = plt.subplots()[1]
    assert plot_neuron(cell, ax=ax) is ax
    ax = plt.subplots()[1]
    assert plot_predicted_thresholds([1.0, 2.0], [1.0, 2.0], ax=ax) is ax
    ax = plt.subplots()[1]
    assert plot_error_by_heterogeneity([0, 1], {"default": [1, 2]}, ax=ax) is ax


def test_intervals_that_miss_are_counted():
    true = np.array([50.0, 60.0, 70.0, 80.0, np.nan])
    bounds = np.array([[45, 55], [55, 65], [60, 65], [75, 85], [1, 2]])
    ax = plot_predicted_thresholds(true, bounds.mean(axis=1), bounds)
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == ["holds the true one: 75 %", "misses it: 25 %"]


def test_predicted_title_is_the_error():
    ax = plot_predicted_thresholds([100.0, 200.0], [110.0, 180.0], unit="V/m")
    assert ax.get_title() == "mean absolute error 10.0 %"
    assert ax.get_xlabel() == "Threshold (V/m)"
    with pytest.raises(ValueError, match=r"interval must have the shape \(2, 2\)"):
        plot_predicted_thresholds([1.0, 2.0], [1.0, 2.0], [[0.0, 1.0]])


@pytest.mark.parametrize("n_columns", [2, 3])
def test_star_is_at_the_lowest_threshold(n_columns):
    rng = np.random.default_rng(0)
    flat = rng.uniform(-0.02, 0.02, size=(300, 2))
    thresholds = 50 + 1e5 * ((flat - [0.01, -0.005]) ** 2).sum(axis=1)
    thresholds[3] = np.nan
    positions = np.column_stack([flat, np.full(300, 0.07)])[:, :n_columns]
    ax = plot_threshold_map(positions, thresholds, arrows=np.ones_like(positions))
    expected = 1e3 * (flat - flat.mean(axis=0))[np.nanargmin(thresholds)]
    star = next(line for line in ax.lines if line.get_marker() == "*")
    np.testing.assert_allclose([star.get_xdata()[0], star.get_ydata()[0]], expected, atol=1e-9)


def test_map_of_a_tilted_patch_keeps_distances():
    rng = np.random.default_rng(0)
    flat = rng.uniform(-0.02, 0.02, size=(50, 2))
    axes = np.linalg.qr(rng.normal(size=(3, 2)))[0]
    ax = plot_threshold_map(flat @ axes.T + 0.05, np.arange(1.0, 51.0))
    star = next(line for line in ax.lines if line.get_marker() == "*")
    reach = np.hypot(star.get_xdata()[0], star.get_ydata()[0])
    assert reach == pytest.approx(1e3 * np.linalg.norm(flat[0] - flat.mean(axis=0)))


def test_map_needs_one_threshold_a_position():
    with pytest.raises(ValueError, match=r"Got \(5, 2\) and \(4,\)"):
        plot_threshold_map(np.zeros((5, 2)), np.ones(4))


def test_error_curves_are_means_over_seeds():
    ax = plot_error_by_heterogeneity(
        [0, 1, 2], {"default": [[1, 2, 3], [3, 4, 5]]}, trained=1, flagged=[0, 5, 90]
    )
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [2, 3, 4])
    assert [text.get_text() for text in ax.texts] == ["0 %", "5 %", "90 %"]
    with pytest.raises(ValueError, match="each of the 3 levels"):
        plot_error_by_heterogeneity([0, 1, 2], {"default": [1, 2]})


def test_neuron_shows_where_it_fires(cell):
    there = Activation(70.0, "axon[0](0.95)", np.array([30.0, 0.0, -400.0]), 210.0)
    ax = plot_neuron(cell, activation=there)
    star = next(line for line in ax.lines if line.get_marker() == "*")
    assert (star.get_xdata()[0], star.get_ydata()[0]) == (30.0, -400.0)
    assert "70 A/µs, after 0.21 ms" in ax.get_title()
    assert "axon[0](0.95)" in [text.get_text() for text in ax.texts]
    silent = Activation(np.inf, "", np.full(3, np.nan), np.nan)
    assert "does not fire" in plot_neuron(cell, activation=silent).get_title()


def test_coverage_asked_for_stands_beside_the_one_found():
    ax = plot_predicted_thresholds([50, 80], [52, 79], [[48, 55], [75, 78]], coverage=0.9)
    assert ax.get_legend().get_title().get_text() == "interval of 90 %"
    assert "holds the true one: 50 %" in [t.get_text() for t in ax.get_legend().get_texts()]


def test_error_by_samples_has_means_and_untrained_lines():
    ax = plot_error_by_samples([30, 300], {"a": [[1, 2], [3, 4]]}, untrained={"physics": 1.5})
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [2, 3])
    np.testing.assert_allclose(ax.lines[1].get_ydata(), [1.5, 1.5])
    with pytest.raises(ValueError, match="each of the 2 numbers"):
        plot_error_by_samples([30, 300], {"a": [1]})


def test_recruitment_is_the_mean_over_places():
    ax = plot_recruitment([1, 2, 3], [[0, 0.5, 1], [0, 0.1, 0.8]])
    np.testing.assert_allclose(ax.lines[-1].get_ydata(), [0, 30, 90])
    with pytest.raises(ValueError, match=r"\(1, 2\) and \(3,\)"):
        plot_recruitment([1, 2, 3], [0, 1])
