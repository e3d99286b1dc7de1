import dataclasses
import sys

import numpy as np
import pytest

from sklearn_meg.tms import _batched, _neuron_sim
from sklearn_meg.tms._cable import CableModel, fixed_step
from sklearn_meg.tms._compartments import Compartments
from sklearn_meg.tms._membrane import SETTINGS, is_excitable
from sklearn_meg.tms._neuron_sim import activation_threshold
from sklearn_meg.tms.neurons import CELL_TYPES, Kind, Morphology, make_neuron, myelinate
from sklearn_meg.tms.pulses import PULSES, pulse_waveform


@pytest.fixture(scope="module", autouse=True)
def _needs_neuron():
    pytest.importorskip("neuron")
    pytest.importorskip("numba")


def random_fields(cell, n, seed=0):
    """Uniform fields in random directions with random gradients, 1 V/m per A/us at the soma."""
    rng = np.random.default_rng(seed)
    directions = rng.standard_normal((n, 1, 3))
    directions /= np.linalg.norm(directions, axis=2, keepdims=True)
    gradients = 0.4 * rng.standard_normal((n, 3, 3))  # per mm
    return directions + cell.points * 1e-3 @ gradients


def uniform(cell, *direction):
    return np.tile(np.array(direction, dtype=float), (cell.n_points, 1))


@pytest.mark.parametrize("pulse", PULSES)
def test_pulses_peak_at_onset_and_current_returns_to_zero(pulse):
    times = np.arange(-50, 3000, 0.05)
    wave = pulse_waveform(pulse, times)
    assert wave[times < 0].max() == 0
    assert np.abs(wave).max() == pytest.approx(1, abs=1e-3)
    assert pulse_waveform(pulse, 0.0) == 1
    current = np.cumsum(wave) * 0.05
    assert abs(current[-1]) < 0.005 * np.abs(current).max()


def test_unknown_pulse():
    with pytest.raises(ValueError, match="monophasic"):
        pulse_waveform("triphasic", [0.0])


@pytest.mark.parametrize("cell_type", CELL_TYPES)
def test_the_two_couplings_agree(cell_type):
    cell = make_neuron(cell_type)
    fields = random_fields(cell, 2)
    options = {"tolerance": 1e-3}
    axial = activation_threshold(cell, fields, solver="neuron", **options)
    reference = activation_threshold(cell, fields, coupling="extracellular", **options)
    error = np.abs(axial / reference - 1)
    assert error.max() < 0.01
    assert error.mean() < 0.005
    assert np.all((axial > 60) & (axial < 2500))  # V/m at the soma


def test_the_model_rests():
    model = _neuron_sim._model(make_neuron("L5 PC"), "axial")
    with fixed_step(model.h, celsius=SETTINGS.celsius):
        model.reset(0.005)
        voltages = model.h.Vector(model.n_excitable)
        for _ in range(400):
            model.h.fadvance()
    model.voltages.gather(voltages)
    np.testing.assert_allclose(voltages.as_numpy(), -70, atol=1e-4)


@pytest.mark.parametrize("cell_type", ["L2/3 PC", "L5 PC"])
def test_compartments_are_those_of_neuron(cell_type):
    cell = make_neuron(cell_type)
    model, ours = _neuron_sim._model(cell, "axial"), Compartments(cell)
    segments = [segment for section, _ in model.sections for segment in section]
    real = ours.kind > 0
    np.testing.assert_allclose(ours.area[real], [s.area() for s in segments], rtol=1e-4)
    np.testing.assert_allclose(
        ours.capacity()[real], [s.cm * s.area() * 1e-5 for s in segments], rtol=1e-4
    )


def test_quasi_potentials_are_integrals_of_the_field():
    cell = make_neuron("L2/3 PC")
    compartments = Compartments(cell)
    # E = -grad of V, V = -(3x + y z): linear in the coordinates, so trapezoids are exact.
    x, y, z = cell.points.T * 1e-3
    E = np.column_stack([np.full_like(x, 3.0), z, y])
    potential = compartments.potential @ E.ravel()
    tips = [i for i in range(cell.n_points) if cell.kinds[i] == Kind.TERMINAL]
    expected = -(3 * x + y * z)[tips]
    # Compartments of terminals (4 um) are centered 2 um before the tips.
    at_tips = potential[compartments.kind == Kind.TERMINAL]
    np.testing.assert_allclose(np.sort(at_tips), np.sort(expected), atol=0.01)
    assert np.ptp(expected) > 1


@pytest.mark.parametrize("cell_type", ["L2/3 PC", "L5 PC"])
def test_a_spike_from_any_end_of_the_axon_invades_the_soma(cell_type):
    model = _neuron_sim._model(make_neuron(cell_type), "axial")
    kinds = model.compartments.kind[model.compartments.kind > 0]
    excitable = kinds[np.isin(kinds, [kind for kind in Kind if is_excitable(kind)])]
    current, seen = model.h.Vector(len(kinds), 0), model.h.Vector(model.n_excitable)
    for tip in np.flatnonzero(kinds == Kind.TERMINAL)[::5]:
        passed = np.zeros(model.n_excitable, bool)
        with fixed_step(model.h, celsius=SETTINGS.celsius):
            model.reset(0.01)
            for k in range(300):
                current.x[int(tip)] = 1.5 * (k < 20)  # nA
                model.sources.scatter(current)
                model.h.fadvance()
                model.voltages.gather(seen)
                passed |= seen.as_numpy() > 0
        assert passed[np.isin(excitable, [Kind.SOMA, Kind.INITIAL_SEGMENT])].all()
        current.x[int(tip)] = 0


def test_thresholds_are_those_of_physiology():
    """Aberra et al. (Brain Stimul, 2020): L5 fires at some 180 to 300 V/m, median of directions."""
    cell = make_neuron("L5 PC")
    rng = np.random.default_rng(0)
    directions = rng.standard_normal((64, 1, 3))
    directions /= np.linalg.norm(directions, axis=2, keepdims=True)
    fields = np.broadcast_to(directions, (64, cell.n_points, 3))
    assert 180 < np.median(activation_threshold(cell, fields)) < 300


@pytest.mark.parametrize("cell_type", CELL_TYPES)
def test_the_compiled_solver_is_as_good_as_neuron(cell_type):
    cell = make_neuron(cell_type)
    fields = random_fields(cell, 1, seed=3)
    for pulse in PULSES:
        options = {"pulse": pulse, "polarity": -1 if pulse == "biphasic" else 1}
        ours = activation_threshold(cell, fields, solver="batched", **options)
        reference = activation_threshold(cell, fields, solver="neuron", **options)
        np.testing.assert_allclose(ours, reference, rtol=4e-3)


def test_the_compiled_solver_gives_the_same_bits_in_any_batch():
    cell = make_neuron("L1 NGC")
    fields = random_fields(cell, 70)
    together = activation_threshold(cell, fields, solver="batched")
    np.testing.assert_array_equal(
        activation_threshold(cell, fields[::-1][:9], solver="batched")[::-1], together[-9:]
    )
    assert activation_threshold(cell, fields[33], solver="batched") == together[33]


@pytest.mark.parametrize("solver", ["batched", "neuron"])
def test_an_axon_of_one_excitable_compartment_has_a_threshold(solver):
    kinds = [Kind.SOMA, Kind.DENDRITE, Kind.INTERNODE, Kind.TERMINAL]
    points = [[0, 0, 0], [0, 0, 200], [0, 0, -800], [0, 0, -805]]
    cell = Morphology(points, [15, 1.5, 1, 1], [-1, 0, 0, 2], kinds)
    found = activation_threshold(cell, uniform(cell, 0, 0, -1), solver=solver)
    assert 100 < found < 400


def test_solvers_are_named():
    cell = make_neuron("L1 NGC")
    for options in ({"solver": "cvode"}, {"solver": "batched", "coupling": "extracellular"}):
        with pytest.raises(ValueError, match="solver"):
            activation_threshold(cell, uniform(cell, 1, 0, 0), **options)


def test_a_waveform_of_ones_own_is_the_named_one():
    cell = make_neuron("L1 NGC")
    times = np.arange(0, 3000, 5.0)
    samples = np.column_stack([times, 7 * pulse_waveform("biphasic", times)])
    named = activation_threshold(cell, uniform(cell, 1, 0, 0), pulse="biphasic")
    for own in (samples, lambda t: 0.3 * pulse_waveform("biphasic", t)):
        found = activation_threshold(cell, uniform(cell, 1, 0, 0), pulse=own)
        assert found == pytest.approx(named, rel=0.01)
    for bad in ([[0, 1, 2]], [[0, 1], [0, 2]], lambda t: 0 * t, "square"):
        with pytest.raises(ValueError, match="pulse"):
            pulse_waveform(bad, [0.0])


def test_axial_currents_add_up_to_nothing():
    cell = make_neuron("L4 LBC")
    model = _neuron_sim._model(cell, "axial")
    currents = model.drive @ random_fields(cell, 1).ravel()
    assert abs(currents.sum()) < 1e-9 * np.abs(currents).sum()


def test_thresholds_are_homogeneous_and_polarity_is_minus_the_field():
    cell = make_neuron("L1 NGC")
    fields = random_fields(cell, 2)
    thresholds = activation_threshold(cell, fields)
    np.testing.assert_allclose(activation_threshold(cell, 4 * fields), thresholds / 4, rtol=1e-9)
    reversed_ = activation_threshold(cell, fields, polarity=-1)
    np.testing.assert_array_equal(activation_threshold(cell, -fields), reversed_)
    assert np.abs(reversed_ / thresholds - 1).max() > 0.01


def test_the_search_finds_the_edge():
    cell = make_neuron("L2/3 PC")
    field = random_fields(cell, 1)[0]
    threshold = activation_threshold(cell, field, tolerance=0.002)
    wave = pulse_waveform("monophasic", np.arange(2.5, 1500, 5))
    model = _neuron_sim._model(cell, "axial")
    trial = _neuron_sim._Trial(model, field.ravel(), wave, 5.0)
    with fixed_step(model.h, celsius=SETTINGS.celsius):
        assert trial.fires(1.002 * threshold)
        assert not trial.fires(0.998 * threshold)


def test_doubling_from_afar_finds_the_same():
    cell = make_neuron("L1 NGC")
    field = random_fields(cell, 1)[0]
    near = activation_threshold(cell, field)
    for start in (0.5, 5000.0):
        assert activation_threshold(cell, field, start=start) == pytest.approx(near, rel=4e-3)


def test_results_do_not_depend_on_what_ran_before():
    cell, other = make_neuron("L1 NGC"), make_neuron("L1 NGC", 1)
    fields = random_fields(cell, 3)
    together = activation_threshold(cell, fields)
    activation_threshold(other, random_fields(other, 1))
    alone = [activation_threshold(cell, field) for field in fields[::-1]]
    np.testing.assert_array_equal(together, alone[::-1])


@pytest.mark.parametrize("pulse", PULSES)
def test_giving_up_early_misses_no_spike(pulse, monkeypatch):
    cell = make_neuron("L5 PC")
    fields = random_fields(cell, 8, seed=1)
    quick = activation_threshold(cell, fields, pulse=pulse)
    patient_settings = dataclasses.replace(SETTINGS, quiet=-np.inf)
    for module in (_neuron_sim, _batched):
        monkeypatch.setattr(module, "SETTINGS", patient_settings)
    patient = activation_threshold(cell, fields, pulse=pulse, duration=3000.0)
    np.testing.assert_allclose(quick, patient, rtol=2e-3)


def test_thicker_axons_fire_first():
    thresholds = []
    for diameter in (0.6, 1.2, 2.4):
        kinds = [Kind.SOMA, Kind.AXON]
        bare = Morphology([[0, 0, 0], [0, 0, -1500]], [15, diameter], [-1, 0], kinds)
        cell = myelinate(bare)
        thresholds.append(activation_threshold(cell, uniform(cell, 0, 0, -1)))
    assert thresholds[0] > thresholds[1] > thresholds[2]


def test_a_field_may_be_a_function_of_positions_in_meters():
    cell = make_neuron("L1 NGC")
    direct = activation_threshold(
        cell, uniform(cell, 1, 0, 0) * (1 + 100 * cell.points[:, :1] * 1e-6)
    )
    called = activation_threshold(cell, lambda p: np.c_[1 + 100 * p[:, 0], 0 * p[:, 1:]])
    assert called == pytest.approx(direct, rel=1e-9)


def test_no_spike_is_censored():
    cell = make_neuron("L1 NGC")
    assert activation_threshold(cell, uniform(cell, 0, 0, 0)) == np.inf
    assert activation_threshold(cell, uniform(cell, 1, 0, 0), max_amplitude=20) == np.inf
    assert np.isfinite(activation_threshold(cell, uniform(cell, 1, 0, 0), max_amplitude=2000))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"polarity": 0}, "polarity must be 1 or -1"),
        ({"coupling": "ephaptic"}, "coupling"),
        ({"pulse": "square"}, "pulse"),
        ({"tolerance": 0}, "tolerance"),
        ({"max_amplitude": np.inf}, "max_amplitude"),
        ({"time_step": -5}, "time_step"),
        ({"start": 0}, "start"),
    ],
)
def test_bad_parameters(options, message):
    cell = make_neuron("L1 NGC")
    with pytest.raises(ValueError, match=message):
        activation_threshold(cell, uniform(cell, 1, 0, 0), **options)


def test_bad_fields():
    cell = make_neuron("L1 NGC")
    with pytest.raises(ValueError, match=rf"\({cell.n_points}, 3\)"):
        activation_threshold(cell, np.ones((5, 3)))
    with pytest.raises(ValueError, match="finite"):
        activation_threshold(cell, uniform(cell, np.nan, 0, 0))
    with pytest.raises(ValueError, match="Morphology"):
        activation_threshold("L5 PC", np.ones((5, 3)))
    soma = Morphology([[0, 0, 0]], [10], [-1], [Kind.SOMA])
    with pytest.raises(ValueError, match="no axon"):
        activation_threshold(soma, np.ones((1, 3)))


def test_other_cells_in_neuron_change_nothing_and_stay_as_they_are():
    cell = make_neuron("L1 NGC")
    field = uniform(cell, 1, 0, 0)
    alone = activation_threshold(cell, field, solver="neuron")
    h = next(iter(_neuron_sim._MODELS.values())).h
    other = h.Section(name="other")
    other.insert("hh")
    h.celsius, h.dt = 6.3, 0.025
    h.CVode().active(1)
    assert activation_threshold(cell, field, solver="neuron") == alone
    assert (h.celsius, h.dt, h.CVode().active()) == (6.3, 0.025, 1)
    h.CVode().active(0)
    h.delete_section(sec=other)


def test_missing_neuron_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "neuron", None)
    with pytest.raises(ImportError, match=r"sklearn-meg\[tms\]"):
        CableModel(make_neuron("L1 NGC"), "axial")


def test_a_neuron_that_fires_on_its_own_is_an_error(monkeypatch):
    monkeypatch.setattr(_neuron_sim._Trial, "fires", lambda self, amplitude: True)
    cell = make_neuron("L1 NGC")
    with pytest.raises(RuntimeError, match="fires on its own"):
        activation_threshold(cell, uniform(cell, 0, 0, -1), solver="neuron")
