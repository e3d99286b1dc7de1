import pickle

import numpy as np
import pytest

from sklearn_meg.tms.neurons import (
    CELL_TYPES,
    Kind,
    Morphology,
    grid_spacing,
    make_neuron,
    myelinate,
    read_asc,
    read_swc,
    write_swc,
)

AXON = (Kind.AXON, Kind.INITIAL_SEGMENT, Kind.INTERNODE, Kind.NODE, Kind.TERMINAL)
BARE = Morphology(
    [[0, 0, 0], [0, 0, -300], [0, 0, -700], [400, 0, -300]],
    [15, 1.4, 1.4, 0.7],
    [-1, 0, 1, 1],
    [Kind.SOMA, Kind.AXON, Kind.AXON, Kind.AXON],
)
SWC = "1 1 0 0 5 7 -1\n2 2 0 0 -95 .5 1\n3 3 0 50 5 1 1\n"


@pytest.mark.parametrize("cell_type", CELL_TYPES)
@pytest.mark.parametrize("clone", range(5))
def test_cells_are_myelinated_and_their_axons_fit_the_grid(cell_type, clone):
    cell = make_neuron(cell_type, clone)
    axon = np.isin(cell.kinds, AXON)
    assert np.abs(cell.points[axon]).max() <= 4 * grid_spacing(cell_type) * 1e6
    assert cell.length(Kind.INTERNODE) > 0.7 * cell.length(*AXON)
    assert np.all((cell.diameters[axon] > 0.2) & (cell.diameters[axon] < 3))
    ends = axon & (cell.n_children() == 0)
    assert ends.sum() >= 8
    np.testing.assert_array_equal(ends, cell.kinds == Kind.TERMINAL)
    np.testing.assert_array_equal(cell.points[0], 0)


def test_same_seed_same_cell_other_clone_other_cell():
    cell, again, other = make_neuron("L5 PC"), make_neuron("L5 PC"), make_neuron("L5 PC", 1)
    np.testing.assert_array_equal(cell.points, again.points)
    assert not np.array_equal(cell.points[-1], other.points[-1])
    assert not np.array_equal(cell.points[-1], make_neuron("L5 PC", random_state=1).points[-1])
    drawn = [make_neuron("L6 PC", random_state=np.random.RandomState(3)) for _ in range(2)]
    np.testing.assert_array_equal(drawn[0].points, drawn[1].points)


def test_layers_have_their_shapes():
    cells = {name: make_neuron(name) for name in CELL_TYPES}
    for name in ("L2/3 PC", "L5 PC", "L6 PC"):
        assert cells[name].length(Kind.APICAL) > 200
        axon = cells[name].points[np.isin(cells[name].kinds, AXON)]
        assert axon[:, 2].min() < -600
    assert not cells["L1 NGC"].length(Kind.APICAL)
    assert cells["L1 NGC"].length(*AXON) < cells["L5 PC"].length(*AXON)


@pytest.mark.parametrize("cell_type", ["L5", None, 5])
def test_unknown_type_is_an_error_that_lists_the_types(cell_type):
    with pytest.raises(ValueError, match="L2/3 PC"):
        make_neuron(cell_type)


@pytest.mark.parametrize("clone", [-1, 1.5, True])
def test_bad_clone(clone):
    with pytest.raises(ValueError, match="clone"):
        make_neuron("L5 PC", clone)


def test_myelin_keeps_the_path_and_its_proportions():
    wrapped = myelinate(BARE)
    assert wrapped.length(*AXON) == pytest.approx(BARE.length(Kind.AXON))
    internodes = wrapped.lengths()[wrapped.kinds == Kind.INTERNODE]
    # 100 fiber diameters, an axon being 0.7 of a fiber: 200 and 100 um, fitted to the branches.
    stem = np.isin(wrapped.points[wrapped.kinds == Kind.INTERNODE][:, 0], 0)
    np.testing.assert_allclose(internodes[stem], 200, rtol=0.4)
    np.testing.assert_allclose(internodes[~stem], 100, rtol=0.4)
    nodes = wrapped.lengths()[wrapped.kinds == Kind.NODE]
    np.testing.assert_allclose(nodes, 1.0)
    fork = np.flatnonzero(wrapped.n_children() == 2)
    assert wrapped.kinds[fork] == [Kind.NODE]
    np.testing.assert_allclose(wrapped.points[fork[0]], [0, 0, -300])


def test_thin_or_short_branches_stay_bare():
    thin = Morphology(BARE.points, [15, 1.4, 1.4, 0.1], BARE.parents, BARE.kinds)
    wrapped = myelinate(thin)
    assert wrapped.length(Kind.AXON) == pytest.approx(396)  # 400 without the terminal
    assert not myelinate(thin, thinnest=0.05).length(Kind.AXON)


def test_myelin_needs_a_bare_axon():
    with pytest.raises(ValueError, match="myelinated already"):
        myelinate(make_neuron("L1 NGC"))
    with pytest.raises(ValueError, match="no axon"):
        myelinate(Morphology([[0, 0, 0]], [10], [-1], [Kind.SOMA]))


@pytest.mark.parametrize("cell_type", CELL_TYPES)
def test_swc_round_trip(cell_type, tmp_path):
    cell = make_neuron(cell_type)
    write_swc(cell, tmp_path / "cell.swc")
    back = read_swc(tmp_path / "cell.swc")
    np.testing.assert_allclose(back.points, cell.points, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(back.diameters, cell.diameters, rtol=1e-5)
    np.testing.assert_array_equal(back.parents, cell.parents)
    np.testing.assert_array_equal(back.kinds, cell.kinds)


def test_read_swc_centers_the_soma(tmp_path):
    file = tmp_path / "cell.swc"
    file.write_text("# a comment\n\n" + SWC)
    cell = read_swc(file)
    np.testing.assert_allclose(cell.points, [[0, 0, 0], [0, 0, -100], [0, 50, 0]])
    np.testing.assert_allclose(cell.diameters, [14, 1, 2])
    assert cell.name == "cell"


@pytest.mark.parametrize(
    "text, message",
    [
        ("1 1 0 0 0 7 -1\n2 2 0 0 1 1", "line 2: an SWC line has 7 columns. Got 6"),
        ("1 1 0 0 0 7 -1\n2 2 0 x 1 1 1", "line 2: numbers are expected"),
        ("1 1 0 0 0 7 -1\n2 2 0 nan 1 1 1", "line 2: .*finite"),
        ("1 1 0 0 0 7 -1\n2 2 0 0 1 1 2", "point 2 hangs from itself"),
        ("1 1 0 0 0 7 -1\n1 2 0 0 1 1 1", "line 2: the number 1 was used before"),
        ("1 1 0 0 0 7 -1\n2 2 0 0 900 1 -1", "a second root, point 2"),
        ("1 1 0 0 0 7 -1\n2 3 0 0 1 1 1", "no axon"),
        ("1 1 0 0 0 7 -1\n2 2 0 0 1 1 9", "the parent 9 of point 2 does not exist"),
        ("1 1 0 0 0 7 -1\n2 2 0 0 1 1 3\n3 2 0 0 2 1 2", "in a circle"),
        ("# nothing", "no points"),
    ],
)
def test_broken_swc_is_an_error_that_says_where(text, message, tmp_path):
    file = tmp_path / "broken.swc"
    file.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_swc(file)


@pytest.mark.parametrize(
    "text, message, n_points",
    [
        ("0 1 0 0 0 7 -1\n1 2 0 0 -9 1 0", None, 2),  # numbers from 0 are no fault
        ("1 1 0 0 0 7 -1\n2 2 0 0 1 0 1", "radii that were not positive", 2),
        ("1 1 0 0 0 7 -1\n2 2 0 0 9 1 3\n3 2 0 0 2 1 1", "sorted", 3),
        ("1 1 0 0 0 7 -1\n2 99 0 0 1 1 1\n3 2 0 0 -9 1 1", "unknown types", 3),
        ("1 2 0 0 0 1 -1\n2 2 0 0 1 1 1", "no point was a soma", 3),
        ("1 2 0 0 0 1 -1\n2 1 0 0 1 7 1", "the soma .point 2. was not the root", 2),
        ("1 1 0 0 0 7 -1\n2 2 0 0 8 1 -1", "parts with roots of their own", 2),
        ("1 1 0 0 0 7 -1\n2 1 0 -7 0 7 1\n3 1 0 7 0 7 1\n4 2 0 0 9 1 1", None, 4),
    ],
)
def test_dialects_of_swc_are_read_and_repairs_are_said(text, message, n_points, tmp_path):
    file = tmp_path / "dialect.swc"
    file.write_text(text)
    if message is None:
        cell = read_swc(file)
    else:
        with pytest.warns(UserWarning, match=message):
            cell = read_swc(file)
    assert cell.n_points == n_points and cell.kinds[0] == Kind.SOMA and cell.has_axon


def test_neurolucida_trees_hang_from_the_contour_of_the_soma(tmp_path):
    file = tmp_path / "cell.asc"
    file.write_text(
        """; a comment
        ("Soma" (Color Red) (CellBody) (6 0 0 0.1) (0 6 0 0.1) (-6 0 0 0.1) (0 -6 0 0.1))
        ((Color Blue) (Axon) (0 0 -6 1.0) (0 0 -60 1.0 S1)
          ( (10 0 -90 0.8) <(Spine) (1 2 3 0.1)> | (-10 0 -90 0.8) (-10 0 -120 0.8) ))
        ((Dendrite) (0 0 6 2.0) (0 0 80 1.5))"""
    )
    cell = read_asc(file)
    assert cell.n_points == 8
    assert cell.diameters[0] == pytest.approx(12)
    assert cell.length(Kind.DENDRITE) == pytest.approx(80)
    forks = cell.n_children()
    assert sorted(forks.tolist()) == [0, 0, 0, 1, 1, 1, 2, 2]
    file.write_text("((Axon) (0 0 0 1)")
    with pytest.raises(ValueError, match="not closed"):
        read_asc(file)


def test_dendrites_alone_can_be_read_if_asked(tmp_path):
    file = tmp_path / "cell.swc"
    file.write_text("1 1 0 0 0 7 -1\n2 3 0 0 1 1 1\n")
    assert not read_swc(file, require_axon=False).has_axon


@pytest.mark.parametrize(
    "change, message",
    [
        ({"points": [[0, 0, 0]]}, r"diameters must have the shape \(1,\)"),
        ({"points": np.zeros((4, 2))}, r"points must have the shape \(n_points, 3\)"),
        ({"points": np.full((4, 3), np.nan)}, "finite"),
        ({"diameters": [15, 1, 0, 1]}, "diameters must be positive"),
        ({"parents": [-1, 0, -1, 0]}, "one root"),
        ({"parents": [-1, 2, 0, 0]}, "Point 1 hangs from point 2"),
        ({"parents": [-1, 0.5, 0, 0]}, "whole numbers"),
        ({"kinds": [2, 2, 2, 2]}, "no soma"),
        ({"kinds": [1, 77, 2, 2]}, "77"),
    ],
)
def test_a_morphology_is_checked(change, message):
    values = {name: getattr(BARE, name) for name in ("points", "diameters", "parents", "kinds")}
    with pytest.raises(ValueError, match=message):
        Morphology(**{**values, **change})


def test_a_morphology_cannot_be_changed_also_after_a_pickle():
    for cell in (BARE, pickle.loads(pickle.dumps(BARE))):
        with pytest.raises(ValueError, match="read-only"):
            cell.points[0] = 1
    np.testing.assert_array_equal(cell.points, BARE.points)
