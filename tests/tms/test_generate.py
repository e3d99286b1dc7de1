import numpy as np
import pytest

from sklearn_meg.tms import _parts, generate
from sklearn_meg.tms._grids import rotate_grids
from sklearn_meg.tms._neuron_sim import activation_threshold
from sklearn_meg.tms.field import to_head, to_neuron
from sklearn_meg.tms.generate import load_tms_dataset, main, make_tms_dataset
from sklearn_meg.tms.neurons import Kind, Morphology, make_neuron
from sklearn_meg.tms.sampler import EFieldSampler

ARRAYS = ("grids", "threshold", "threshold_field", "position", "axis", "azimuth", "geometry")


@pytest.fixture(scope="module", autouse=True)
def _needs_neuron():
    pytest.importorskip("neuron")


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(generate, "CHUNK", 2)


class Uniform:
    """The same field everywhere, picklable."""

    def __init__(self, *E):
        self.E = E

    def __call__(self, position, axis, geometry):
        return lambda points: np.tile(self.E, (len(points), 1))

    def __repr__(self):
        return f"Uniform{self.E}"


def make(n=4, cell="L1 NGC", **options):
    return make_tms_dataset(cell, n, verbose=0, **options)


def assert_same(one, two, n=None):
    for name in ARRAYS:
        np.testing.assert_array_equal(one[name][:n], two[name][:n], err_msg=name)


def test_what_a_data_set_holds():
    dataset = make(3)
    assert dataset["grids"].shape == (3, 9, 9, 9, 3)
    assert dataset["grids"].dtype == np.float32
    center = np.linalg.norm(dataset["grids"][:, 4, 4, 4], axis=1)
    np.testing.assert_allclose(dataset["threshold_field"], dataset["threshold"] * center)
    np.testing.assert_array_equal(dataset["censored"], False)
    np.testing.assert_array_equal(dataset["geometry"], [0, 1, 2])
    assert dataset["settings"]["heterogeneity"] == 0.8


def test_thresholds_and_grids_are_those_of_the_placements():
    dataset = make(2, spacing=0.2e-3)
    cell = make_neuron("L1 NGC")
    for k in range(2):
        place = [dataset[name][k] for name in ("position", "axis", "azimuth")]
        field = _parts._default_field(*place[:2], int(dataset["geometry"][k]), 0.8)
        E = to_neuron(field(to_head(cell.points * 1e-6, *place)), *place[1:])
        assert activation_threshold(cell, E) == dataset["threshold"][k]
    rows = np.column_stack([dataset[name] for name in ("position", "axis", "azimuth", "geometry")])
    coil_field = _parts._default_sphere()
    sampler = EFieldSampler(field=coil_field, spacing=0.2e-3, heterogeneity=0.8)
    grids = sampler.fit_transform(rows)
    scale = np.abs(grids).max()
    np.testing.assert_allclose(dataset["grids"], grids, atol=3e-3 * scale)


def test_results_depend_neither_on_parts_nor_on_processes_nor_on_length(small_parts):
    whole = make(5)
    assert_same(make(5, n_jobs=2), whole)
    assert_same(make(3), whole, n=3)
    later = make(2, first_geometry=3)
    np.testing.assert_array_equal(later["threshold"], whole["threshold"][3:])
    assert not np.array_equal(make(2, random_state=1)["position"], whole["position"][:2])


def test_a_killed_run_goes_on(small_parts, tmp_path, monkeypatch):
    path = tmp_path / "data.npz"
    real, calls = generate.run_part, []

    def dies(*arguments):
        calls.append(arguments[-2])
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(generate, "run_part", dies)
    with pytest.raises(KeyboardInterrupt):
        make(5, path=path)
    assert not path.exists()
    dataset = make(5, path=path)
    assert calls == [0, 2, 2, 4]
    assert [file.name for file in tmp_path.iterdir()] == ["data.npz"]
    monkeypatch.undo()
    assert_same(load_tms_dataset(path), dataset)
    assert_same(make(5), dataset)


def test_a_damaged_part_is_simulated_again(small_parts, tmp_path, monkeypatch):
    path = tmp_path / "data.npz"
    whole = make(4)
    monkeypatch.setattr(generate, "_assemble", lambda parts, settings: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        make(4, path=path)
    monkeypatch.undo()
    first, second = sorted(tmp_path.glob("data.npz.parts/part_*"))
    first.write_bytes(first.read_bytes()[:-100])
    second.write_bytes(b"something else")
    with pytest.warns(UserWarning, match="is damaged.*again"):
        assert_same(make(4, path=path), whole)


@pytest.mark.parametrize("content", [b"", b"text", b"half"])
def test_a_damaged_file_is_a_clear_error(content, tmp_path):
    path = tmp_path / "data.npz"
    make(1, path=path)
    path.write_bytes(path.read_bytes()[:-50] if content == b"half" else content)
    with pytest.raises(ValueError, match=r"data.npz is damaged"):
        load_tms_dataset(path)
    np.savez(path, x=np.zeros(3))
    with pytest.raises(ValueError, match="is not a file that make_tms_dataset wrote"):
        load_tms_dataset(path)


def test_a_finished_file_is_read_not_made_again(tmp_path, monkeypatch):
    path = tmp_path / "data.npz"
    dataset = make(2, path=path)
    monkeypatch.setattr(generate, "run_part", None)
    again = make(2, path=path)
    assert_same(again, dataset)
    assert again["settings"] == dataset["settings"]
    with pytest.raises(ValueError, match="pulse: 'monophasic' there, 'biphasic' now"):
        make(2, path=path, pulse="biphasic")


def test_polarity_is_part_of_the_grids():
    plus, minus = make(2), make(2, polarity=-1)
    np.testing.assert_array_equal(minus["grids"], -plus["grids"])
    assert not np.array_equal(minus["threshold"], plus["threshold"])


def test_a_population_has_clones_and_azimuths():
    population = make(2, n_clones=2, n_azimuths=2)
    assert population["threshold"].shape == (2, 2, 2)
    np.testing.assert_array_equal(population["clones"], [0, 1])
    np.testing.assert_allclose(population["azimuths"], [0, np.pi])
    np.testing.assert_array_equal(population["threshold"][:, 0, 0], make(2)["threshold"])
    np.testing.assert_array_equal(population["threshold"][:, 1, 0], make(2, clone=1)["threshold"])


def test_a_turned_neuron_sees_the_grid_turned_back():
    population = make(1, n_azimuths=4)
    place = {name: population[name][0] for name in ("position", "axis", "azimuth", "geometry")}
    place["azimuth"] += population["azimuths"][1]
    turned, _ = _parts._fields([], None, population["settings"], place)
    np.testing.assert_allclose(rotate_grids(population["grids"], -1)[0], turned, atol=1e-6)


def test_heterogeneity_makes_fields_differ_over_the_grid():
    def spread(dataset):
        grids = dataset["grids"]
        center = grids[:, 4:5, 4:5, 4:5]
        return (np.linalg.norm(grids - center, axis=-1) / np.linalg.norm(center, axis=-1)).mean()

    assert spread(make(4)) > 2 * spread(make(4, heterogeneity=0))


def test_own_cells_and_own_fields():
    cell = make_neuron("L1 NGC", 3)
    with pytest.raises(ValueError, match="spacing must be given"):
        make(1, cell=cell)
    dataset = make(2, cell=cell, spacing=1e-4, field_factory=Uniform(0.0, 0.0, 2.0))
    np.testing.assert_allclose(dataset["threshold_field"], 2 * dataset["threshold"], rtol=1e-6)
    with pytest.raises(ValueError, match="Got a Morphology"):
        make(1, cell=cell, spacing=1e-4, clone=1)


def test_a_neuron_that_does_not_fire_is_marked():
    dataset = make(1, field_factory=Uniform(1e-3, 0.0, 0.0))
    assert dataset["censored"].all()
    assert np.isnan(dataset["threshold"]).all()
    assert np.isnan(dataset["threshold_field"]).all()


@pytest.mark.parametrize(
    "options, message",
    [
        ({"n": 0}, "n must be a whole number from 1"),
        ({"n": 2.5}, "n must be"),
        ({"n_clones": 0}, "n_clones"),
        ({"cell": "L9 PC"}, "cell_type"),
        ({"size": 8}, "size must be an odd"),
        ({"first_geometry": -1}, "first_geometry"),
        ({"pulse": "square"}, "pulse"),
        ({"polarity": 2}, "polarity"),
        ({"heterogeneity": -1}, "heterogeneity"),
    ],
)
def test_bad_parameters(options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        make(**options, path=tmp_path / "data.npz")
    assert not list(tmp_path.iterdir())


def test_command_line(tmp_path, capsys):
    path = tmp_path / "l1.npz"
    assert main(["L1 NGC", "--n", "2", "--out", str(path), "--quiet"]) == 0
    assert "2 placements" in capsys.readouterr().out
    assert_same(load_tms_dataset(path), make(2))


def uniform_field(position, axis, geometry):
    return lambda points: np.tile([0.0, 0.5, -1.0], (len(points), 1))


def test_a_function_is_the_same_field_in_the_next_process(tmp_path):
    def inner(position, axis, geometry):
        return uniform_field(position, axis, geometry)

    options = {"path": tmp_path / "own.npz", "field_factory": uniform_field}
    made = make(1, **options)
    assert "0x" not in made["settings"]["field"]
    assert_same(make(1, **options), made)
    with pytest.raises(ValueError, match="field: .*uniform_field.* there"):
        make(1, **{**options, "field_factory": inner})


def test_a_cell_without_axon_leaves_no_folder(tmp_path):
    bare = Morphology([[0, 0, 0], [0, 0, 200]], [15, 1], [-1, 0], [Kind.SOMA, Kind.DENDRITE])
    with pytest.raises(ValueError, match="has no axon"):
        make(1, cell=bare, spacing=1e-4, path=tmp_path / "bare.npz")
    assert not list(tmp_path.iterdir())
