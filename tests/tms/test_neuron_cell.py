"""A cell that the user built in NEURON, against the same cell driven by hand."""

import numpy as np
import pytest

from sklearn_meg.tms import (
    Kind,
    NeuronCell,
    activation_threshold,
    make_tms_dataset,
    pulse_waveform,
)

h = pytest.importorskip("neuron").h


def line(name, points, diameter, parent=None, nseg=1, mechanism="hh"):
    section = h.Section(name=name)
    for x, y, z in points:
        section.pt3dadd(x, y, z, diameter)
    section.nseg = nseg
    section.insert(mechanism)
    if mechanism == "pas":
        section.e_pas = -65
    if parent is not None:
        section.connect(parent)
    return section


@pytest.fixture
def sections():
    """Soma, two dendrites (one from the 0 end), an axon with a branch: hh and pas."""
    soma = line("soma", [(0, 0, -10), (0, 0, 10)], 20)
    trunk = line("apic", [(0, 0, 10), (0, 30, 400)], 3, soma(1), 9, "pas")
    basal = line("dend", [(0, 0, -10), (150, 0, -60)], 2, soma(0), 5, "pas")
    axon = line("axon", [(0, 0, -10), (20, 0, -300), (0, 0, -700)], 1.5, soma(0.5), 41)
    branch = line("axon_branch", [(17.26, 0, -354.8), (300, 0, -500)], 1, axon(0.5), 21)
    yield [branch, axon, basal, trunk, soma]
    for section in (branch, axon, basal, trunk, soma):
        h.delete_section(sec=section)


def by_hand(sections, potentials, amplitude, wave):
    """Whether three segments of the axon pass 0 mV after the pulse, driven by e_extracellular."""
    h.dt, h.celsius, passed = 0.005, 6.3, set()
    h.finitialize(-65)
    for k, value in enumerate(wave):
        for segment, potential in potentials:
            segment.e_extracellular = float(amplitude * value * potential)
        h.fadvance()
        if k > 60:
            axonal = (segment for section in sections[:2] for segment in section)
            passed |= {str(segment) for segment in axonal if segment.v > 0}
    return len(passed) >= 3


def test_thresholds_are_those_of_the_mechanism_extracellular(sections):
    cell = NeuronCell(sections, celsius=6.3, v_init=-65)
    directions = np.array([[0, 0, -1.0], [1, 0, -0.5]])
    fields = np.array([np.tile(d, (cell.n_points, 1)) for d in directions])
    found = cell.thresholds(fields, duration=3000)
    wave = pulse_waveform("monophasic", np.arange(2.5, 3000, 5))
    for section in sections:
        section.insert("extracellular")
    for threshold, direction in zip(found, directions):
        # In a uniform field the quasi-potential is minus E times the place.
        potentials = [
            (segment, -1e-3 * direction @ center)
            for segment, center in zip(cell._segments, cell._centers)
        ]
        assert by_hand(sections, potentials, 1.01 * threshold, wave)
        assert not by_hand(sections, potentials, 0.99 * threshold, wave)


def test_nothing_of_the_model_is_changed(sections):
    before = [(s.nseg, s.L, s.n3d(), s.psection()["density_mechs"].keys()) for s in sections]
    h.celsius, h.dt = 20.0, 0.1
    cell = NeuronCell(sections, celsius=6.3, v_init=-65)
    cell.thresholds(np.tile([0, 0, -1.0], (cell.n_points, 1)), max_amplitude=300)
    after = [(s.nseg, s.L, s.n3d(), s.psection()["density_mechs"].keys()) for s in sections]
    assert before == after and (h.celsius, h.dt) == (20.0, 0.1)
    assert not any(s.psection()["point_processes"] for s in sections)
    h.celsius = 6.3


def test_it_says_where_it_fired_and_turns_with_its_axis(sections):
    cell = NeuronCell(sections, celsius=6.3, v_init=-65)
    down = cell.activate(np.tile([0, 0, -1.0], (cell.n_points, 1)))
    assert "axon" in down.site and down.position[2] < -400 and 0 < down.latency < 2000
    turned = NeuronCell(sections, axis=[1, 0, 0], celsius=6.3, v_init=-65)
    along_x = turned.activate(np.tile([0, 0, -1.0], (cell.n_points, 1)))
    same = cell.activate(np.tile([-1.0, 0, 0], (cell.n_points, 1)))
    assert along_x.threshold == pytest.approx(same.threshold, rel=0.005)
    assert activation_threshold(cell, np.tile([0, 0, -1.0], (cell.n_points, 1))) == pytest.approx(
        down.threshold, rel=0.005
    )


def test_its_shape_is_a_morphology(sections):
    morphology = NeuronCell(sections, v_init=-65).to_morphology()
    assert morphology.has_axon and morphology.kinds[0] == Kind.SOMA
    assert morphology.length(Kind.AXON) == pytest.approx(290.7 + 400.5 + 317.9, rel=0.05)


def test_a_data_set_of_it_has_its_thresholds_and_knows_its_mechanisms(sections, tmp_path):
    cell = NeuronCell(sections, celsius=6.3, v_init=-65)
    path = tmp_path / "mine.npz"
    made = make_tms_dataset(cell, 2, path, spacing=0.2e-3, heterogeneity=0.0, verbose=0)
    assert made["settings"]["solver"] == "neuron" and made["grids"].shape == (2, 9, 9, 9, 3)
    # Nearly uniform: the field at the soma says it all.
    field = np.tile(made["grids"][0, 4, 4, 4].astype(float), (cell.n_points, 1))
    assert made["threshold"][0] == pytest.approx(cell.thresholds(field)[0], rel=0.1)
    sections[0].gnabar_hh = 0.15
    with pytest.raises(ValueError, match="made with other settings"):
        make_tms_dataset(cell, 2, path, spacing=0.2e-3, heterogeneity=0.0, verbose=0)
    for wrong in ({"n_jobs": 2}, {"solver": "batched"}, {"n_clones": 2}, {"spacing": None}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            make_tms_dataset(cell, 2, **{"spacing": 0.2e-3, **wrong})


def test_what_a_cell_must_have(sections):
    bare = h.Section(name="bare")
    loose = line("loose", [(0, 0, 0), (0, 0, 9)], 1)
    with pytest.raises(ValueError, match="no 3-D points"):
        NeuronCell([*sections, bare])
    with pytest.raises(ValueError, match="not connected"):
        NeuronCell([*sections, loose])
    with pytest.raises(ValueError, match="soma must be one"):
        NeuronCell(sections[:2])
    with pytest.raises(ValueError, match="field must be"):
        NeuronCell(sections).thresholds(np.ones((3, 3)))
    for section in (bare, loose):
        h.delete_section(sec=section)


def test_a_cell_that_is_not_at_rest_is_a_warning(sections):
    cell = NeuronCell(sections, celsius=6.3, v_init=-61)
    with pytest.warns(UserWarning, match="not at rest"):
        cell.thresholds(np.tile([0, 0, -1.0], (cell.n_points, 1)), max_amplitude=1)
