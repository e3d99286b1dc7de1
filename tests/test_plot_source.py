"""Figures of source estimates: what they show is what they were given."""

import matplotlib.pyplot as plt
import mne
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from sklearn_meg.datasets._forward import simulated_info
from sklearn_meg.plotting import plot_dipole_volumes
from sklearn_meg.source import plotting as p

TIMES = np.linspace(-0.1, 0.3, 41)


@pytest.fixture
def positions():
    axis = np.arange(-0.04, 0.05, 0.01)
    return np.stack(np.meshgrid(*[axis] * 3, indexing="ij"), -1).reshape(-1, 3) + [0, 0, 0.05]


@pytest.fixture
def sources(positions):
    """Two vectors, of 5 and of 2 nA m, on opposite sides."""
    values = np.zeros((len(positions), 3, len(TIMES)))
    course = np.exp(-(((TIMES - 0.1) / 0.03) ** 2))
    values[_nearest(positions, [-0.03, 0.02, 0.06])] = 1e-9 * np.outer([0, 3, -4], course)
    values[_nearest(positions, [0.03, -0.02, 0.06])] = 1e-9 * np.outer([2, 0, 0], course**2)
    return values


def _nearest(positions, place):
    return int(np.argmin(np.linalg.norm(positions - place, axis=1)))


def _views(figure):
    return [ax for ax in figure.axes if ax.images]


def _brightest(ax):
    """Place of the strongest pixels, in mm."""
    image = ax.images[0].get_array().filled(0)
    left, right, bottom, top = ax.images[0].get_extent()
    rows, columns = np.nonzero(image > 0.99 * image.max())
    across = left + (columns.mean() + 0.5) * (right - left) / image.shape[1]
    up = bottom + (rows.mean() + 0.5) * (top - bottom) / image.shape[0]
    return across, up


def test_peak_is_where_it_is(positions, sources):
    figure = p.plot_sources(positions, sources, true_positions=[[-0.03, 0.02, 0.06]], title="t")
    views = _views(figure)
    for ax, expected in zip(views, [(20, 60), (-30, 60), (-30, 20)]):
        np.testing.assert_allclose(_brightest(ax), expected, atol=1.0)
        cross = next(line for line in ax.lines if line.get_marker() == "x")
        np.testing.assert_allclose(np.ravel(cross.get_data()), expected)
        assert ax.images[0].get_array().max() == pytest.approx(5.0)  # nA m
    assert figure.get_suptitle() == "t"


def test_threshold_samples_and_units(positions, sources):
    shown = [
        _views(p.plot_sources(positions, sources, threshold=t))[1].images[0].get_array().count()
        for t in (0.1, 0.9)
    ]
    assert 1.5 * shown[1] < shown[0] < 2.5 * shown[1]  # two spots, one spot
    early = p.plot_sources(positions, sources, TIMES < 0.1, scale=1, unit="dSPM")
    top = np.linalg.norm(sources[..., TIMES < 0.1], axis=1).max()
    assert _views(early)[0].images[0].get_clim()[1] == pytest.approx(top)
    assert any("dSPM" in ax.get_ylabel() for ax in early.axes)


def test_uniform_map_has_no_holes(positions):
    for ax in _views(p.plot_sources(positions, np.ones(len(positions)), outline=None)):
        image = ax.images[0].get_array().filled(0)
        rows, columns = np.nonzero(image)
        inside = image[rows.min() + 8 : rows.max() - 7, columns.min() + 8 : columns.max() - 7]
        assert (inside > 0.8 * image.max()).all()


@pytest.mark.parametrize("outline", ["head", "mri", None, "points"])
def test_outlines(positions, sources, outline):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(5000, 3))
    points *= 0.08 / np.linalg.norm(points, axis=1, keepdims=True)
    given = plt.figure()
    figure = p.plot_sources(
        positions, sources, outline=points if outline == "points" else outline, figure=given
    )
    assert figure is given
    for ax in _views(figure):
        assert len(ax.patches) == (outline is not None)
    if outline == "points":
        edge = np.linalg.norm(_views(figure)[0].patches[0].get_xy(), axis=1)
        assert 76 < edge.min() and edge.max() < 80.001
    if outline == "head":  # brain around the sources
        low, high = (f(_views(figure)[1].patches[0].get_xy(), axis=0) for f in (np.min, np.max))
        assert (low < [-60, 0]).all() and (high > [60, 110]).all()


def test_nothing_to_show(positions):
    figure = p.plot_sources(positions, np.zeros((len(positions), 4)))
    assert all(ax.images[0].get_array().count() == 0 for ax in _views(figure))
    ax = p.plot_source_time_courses(TIMES, positions, np.zeros((len(positions), len(TIMES))))
    assert ax.get_legend() is None


def test_time_courses(positions, sources):
    ax = p.plot_source_time_courses(TIMES, positions, sources)
    curves = [line for line in ax.lines if "mm" in line.get_label()]
    assert [line.get_label() for line in curves] == ["(-30, 20, 60) mm", "(30, -20, 60) mm"]
    for line, top in zip(curves, (5.0, 2.0)):
        assert line.get_ydata().max() == pytest.approx(top)
        assert line.get_xdata()[np.argmax(line.get_ydata())] == pytest.approx(0.1)


def test_time_courses_with_truth(positions, sources):
    """Colored like the truth that they are assigned to, and with its sign."""
    places = [[0.03, -0.02, 0.06], [-0.03, 0.02, 0.06]]
    course = np.exp(-(((TIMES - 0.1) / 0.03) ** 2))
    truth = np.array([2e-9 * course, -5e-9 * course])
    given = plt.figure().add_subplot()
    ax = p.plot_source_time_courses(
        TIMES, positions, sources, true_positions=places, true_time_courses=truth, ax=given
    )
    assert ax is given
    lines = {line.get_label(): line for line in ax.lines}
    for label, true in (("(30, -20, 60) mm", "true 1"), ("(-30, 20, 60) mm", "true 2")):
        assert to_hex(lines[label].get_color()) == to_hex(lines[true].get_color())
    np.testing.assert_allclose(
        lines["(-30, 20, 60) mm"].get_ydata(), lines["true 2"].get_ydata(), atol=1e-9
    )


@pytest.fixture(scope="module")
def fields():
    info = simulated_info(100.0)
    scale = np.where(np.array(info.get_channel_types()) == "mag", 1e-13, 1e-12)
    rng = np.random.default_rng(0)
    course = np.exp(-(((TIMES - 0.15) / 0.02) ** 2))
    return scale[:, None] * np.outer(rng.normal(size=306), course), info


def test_field_reconstruction(fields):
    field, info = fields
    figure = p.plot_field_reconstruction(field, 0.5 * field, info, TIMES)
    assert figure.get_suptitle() == "150 ms"
    titles = [ax.get_title() for ax in figure.axes if ax.get_title()]
    kinds = ("Magnetometers", "Gradiometers")
    names = ("measured", "predicted", "residual")
    assert titles == [f"{kind}, {name}" for kind in kinds for name in names]
    maps = [ax for ax in figure.axes if ax.get_title()]
    measured, predicted, residual = (ax.images[0].get_array() for ax in maps[:3])
    np.testing.assert_allclose(predicted, measured / 2, atol=1e-9)
    np.testing.assert_allclose(residual, measured / 2, atol=1e-9)
    assert len({ax.images[0].get_clim() for ax in maps[:3]}) == 1
    assert maps[0].images[0].get_clim()[1] == pytest.approx(1e15 * np.abs(field[::3]).max())


def test_field_reconstruction_of_eeg_at_a_time():
    montage = mne.channels.make_standard_montage("biosemi16")
    info = mne.create_info(montage.ch_names, 100.0, "eeg").set_montage(montage)
    field = 1e-6 * np.random.default_rng(0).normal(size=(16, len(TIMES)))
    figure = p.plot_field_reconstruction(field, field, info, TIMES, at=0.2, figure=plt.figure())
    assert figure.get_suptitle() == "200 ms" and len(_views(figure)) == 3
    np.testing.assert_allclose(_views(figure)[2].images[0].get_array(), 0, atol=1e-9)


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    return [
        {"case": case, "model": model, "metric": metric, "seed": seed, "value": rng.random()}
        for case in ("1dip-5", "patch+5")
        for model in ("default", "lcmv", "mxne")
        for metric in ("dle_mm", "nmse")
        for seed in range(4)
    ]


def test_comparison(table):
    ax = p.plot_solver_comparison(table)
    frame = pd.DataFrame(table)
    frame = frame[frame["metric"] == "dle_mm"]
    means = frame.groupby(["case", "model"])["value"].mean()
    heights = [bar.get_height() for bar in ax.patches if bar.get_height()]
    assert sorted(heights) == pytest.approx(sorted(means))
    dots = np.concatenate([c.get_offsets()[:, 1] for c in ax.collections])
    assert sorted(dots) == pytest.approx(sorted(frame["value"]))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["default", "lcmv", "mxne"]
    assert "Localization error" in ax.get_ylabel()


def test_comparison_chooses_cases_and_skips_nan(table):
    table[0]["value"] = np.nan
    ax = p.plot_solver_comparison(pd.DataFrame(table), "dle_mm", cases=["1dip-5"])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1dip-5"]
    assert sum(len(c.get_offsets()) for c in ax.collections) == 11


def test_many_solvers_have_colors_of_their_own():
    rows = [
        {"case": "a", "model": f"m{i}", "metric": "nmse", "seed": 0, "value": 1.0 + i}
        for i in range(11)
    ]
    ax = p.plot_solver_comparison([{**rows[0], "model": "default"}, *rows], "nmse")
    colors = {to_hex(bar.get_facecolor()) for bar in ax.patches if bar.get_height()}
    assert len(colors) == 12


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda x, s: p.plot_sources(x[:5], s), r"positions must have the shape \(729, 3\)"),
        (lambda x, s: p.plot_sources(x, s, threshold=1), "threshold must be"),
        (lambda x, s: p.plot_sources(x, s, outline="skull"), "outline must be"),
        (lambda x, s: p.plot_sources(x, s, outline=[[0, 0, 0]]), "n at least 4"),
        (lambda x, s: p.plot_sources(x, s, true_positions=[0, 0, 0]), "true_positions must have"),
        (lambda x, s: p.plot_source_time_courses(TIMES[1:], x, s), "40 samples like times"),
        (lambda x, s: p.plot_source_time_courses(TIMES, x, s, true_positions=x[:1]), "together"),
        (
            lambda x, s: p.plot_source_time_courses(
                TIMES, x, s, true_positions=x[:2], true_time_courses=s[:1, 0]
            ),
            r"the shape \(2, 41\)",
        ),
        (
            lambda x, s: p.plot_field_reconstruction(
                np.zeros((3, 41)), np.zeros((3, 41)), simulated_info(), TIMES
            ),
            r"measured must have the shape \(306, 41\)",
        ),
        (
            lambda x, s: p.plot_field_reconstruction(
                np.zeros((2, 41)), np.zeros((2, 41)), mne.create_info(2, 10.0, "eeg"), TIMES
            ),
            "has a position",
        ),
        (lambda x, s: p.plot_solver_comparison([{"case": "a"}]), "metric.*model.*value"),
    ],
)
def test_bad_input(positions, sources, call, message):
    with pytest.raises(ValueError, match=message):
        call(positions, sources)


def test_bad_tables(table):
    with pytest.raises(ValueError, match="metric must be one of"):
        p.plot_solver_comparison(table, "speed")
    with pytest.raises(ValueError, match="cases must be some of"):
        p.plot_solver_comparison(table, cases=["4dip"])


def test_ellipses_hold_what_they_say():
    places = np.array([[-0.04, 0.0, 0.06], [0.04, 0.01, 0.05]])
    spread = np.array([np.diag([1e-6, 4e-6, 9e-6]), 1e-6 * np.eye(3)])
    figure = plot_dipole_volumes(
        places, spread, orientations=np.eye(3)[:2], true_positions=places[:1], title="two"
    )
    behind = figure.axes[1]  # from behind: x across, z up
    ellipse = next(line for line in behind.lines if len(line.get_xdata()) > 3)
    radius = np.sqrt(7.815)  # 95 % of three degrees of freedom
    assert np.ptp(ellipse.get_xdata()) == pytest.approx(2 * radius, rel=0.01)
    assert np.ptp(ellipse.get_ydata()) == pytest.approx(6 * radius, rel=0.01)
    (legend,) = figure.legends
    assert legend.texts[0].get_text() == f"1: within {3 * radius:.1f} mm"
    assert len(plot_dipole_volumes(np.zeros((0, 3)), np.zeros((0, 3, 3)), outline=None).axes) == 3


@pytest.mark.parametrize(
    "params, message",
    [
        ({"positions": np.zeros(3)}, r"positions must have the shape \(n_dipoles, 3\)"),
        ({"covariances": np.zeros((2, 3, 3))}, r"shape \(1, 3, 3\)"),
        ({"covariances": np.full((1, 3, 3), np.nan)}, "must be finite"),
        ({"confidence": 95}, "confidence must be"),
        ({"orientations": np.zeros((2, 3))}, "orientations must have"),
        ({"true_positions": np.zeros(3)}, "true_positions must have"),
    ],
)
def test_bad_ellipses(params, message):
    given = {"positions": np.zeros((1, 3)), "covariances": np.eye(3)[None], **params}
    with pytest.raises(ValueError, match=message):
        plot_dipole_volumes(**given)
