import numpy as np
import pytest
from matplotlib.colors import to_rgba

from sklearn_meg.connectome import InverseTensorMetric
from sklearn_meg.connectome.plotting import plot_deviation_map, plot_geodesics, plot_metric_field
from sklearn_meg.datasets import make_fibers


def test_every_voxel_has_an_ellipse_along_its_direction():
    X = np.broadcast_to([0.8, 0.6], (1, 8, 8, 2))
    ax = plot_metric_field(InverseTensorMetric(anisotropy=9).fit(X), every=1)
    ellipses, lines = ax.collections
    assert len(ellipses.get_offsets()) == 64 == len(lines.get_segments())
    np.testing.assert_allclose(ellipses.get_widths() / ellipses.get_heights(), 3)
    angle = np.degrees(np.arctan2(0.6, 0.8))
    np.testing.assert_allclose(np.asarray(ellipses.get_angles()) % 180, angle)
    segment = lines.get_segments()[0]
    np.testing.assert_allclose(np.abs(segment[1] - segment[0]), [0.64, 0.48])


def test_crossing_fields_have_two_colors_and_nan_none():
    fibers = make_fibers("braid", size=40)
    ax = plot_metric_field(InverseTensorMetric().fit(fibers.X), every=1)
    ellipses, *lines = ax.collections
    assert len(ellipses.get_offsets()) == fibers.mask.sum()
    assert [len(c.get_segments()) for c in lines] == np.isfinite(fibers.X[..., 0]).sum(
        (1, 2)
    ).tolist()
    assert len({tuple(c.get_colors()[0]) for c in lines}) == 2


def test_a_slice_of_three_dimensions():
    fibers = make_fibers("arcs", size=16)
    model = InverseTensorMetric().fit(fibers.X)
    ax = plot_metric_field(model, plane=10, every=1)
    assert len(ax.collections[0].get_offsets()) == fibers.mask[:, :, 10].sum()
    with pytest.raises(ValueError, match="one of the 16 slices.*Got 16"):
        plot_metric_field(model, plane=16)


def test_geodesics_and_true_curves():
    paths = np.zeros((3, 5, 3)) + np.arange(5)[:, None]
    ax = plot_geodesics(paths, [paths[0] + 1], np.ones((6, 6, 6)), axes=(0, 2))
    assert [line.get_linestyle() for line in ax.lines] == ["-"] * 3 + ["--"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x", "z")
    assert to_rgba(ax.lines[0].get_color()) != to_rgba(ax.lines[3].get_color())
    with pytest.raises(ValueError, match="two of the 3 coordinates"):
        plot_geodesics(paths, axes=(0, 3))


def test_deviation_map_is_the_mean_of_what_passes():
    paths = np.array([[[0, 0], [1, 0], [2, 0]], [[0, 0], [1, 0], [1, 1]]], dtype=float)
    deviation = np.array([[0.0, 1, 2], [0, 3, np.nan]])
    image = plot_deviation_map(paths, deviation, (3, 2)).images[0].get_array()
    np.testing.assert_allclose(image[0], [0, 2, 2])
    assert np.isnan(np.ma.filled(image, np.nan)[1]).all()
    with pytest.raises(ValueError, match="one value a point"):
        plot_deviation_map(paths, deviation[:, 1:], (3, 2))
