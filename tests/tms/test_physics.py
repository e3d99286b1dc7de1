"""Physics inside models of thresholds: from the morphology and the pulse to the threshold."""

import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone

from sklearn_meg.tms import (
    CELL_TYPES,
    Morphology,
    PassiveThreshold,
    ThresholdCNN,
    grid_spacing,
    make_neuron,
    make_tms_dataset,
)


@pytest.fixture(scope="module")
def made():
    pytest.importorskip("numba")
    return {
        pulse: make_tms_dataset("L5 PC", 300, pulse=pulse, verbose=0)
        for pulse in ("monophasic", "biphasic")
    }


def error(model, data, part=slice(150, 300)):
    return np.abs(model.predict(data["grids"][part]) / data["threshold"][part] - 1).mean()


def fitted(model, data, n=100):
    return model.fit(data["grids"][:n], data["threshold"][:n])


@pytest.mark.parametrize("pulse", ["monophasic", "biphasic"])
def test_untrained_physics_is_near_and_thresholds_bring_it_nearer(made, pulse):
    model = PassiveThreshold(morphology="L5 PC", pulse=pulse)
    untrained = error(clone(model).fit(made[pulse]["grids"][:2]), made[pulse])
    trained = error(fitted(model, made[pulse]), made[pulse])
    assert untrained < 0.03
    assert trained < 0.01 < 2 * untrained


@pytest.mark.parametrize("cell_type", CELL_TYPES)
def test_untrained_physics_knows_every_type(cell_type):
    pytest.importorskip("numba")
    data = make_tms_dataset(cell_type, 40, verbose=0)
    model = PassiveThreshold(morphology=cell_type).fit(data["grids"])
    assert error(model, data, slice(None)) < 0.03


def test_a_network_on_top_of_physics_needs_few_thresholds(made):
    model = fitted(
        ThresholdCNN(morphology="L5 PC", max_epochs=40, random_state=0), made["monophasic"]
    )
    assert error(model, made["monophasic"]) < 0.01
    assert set(model.shares_) == {"network", "gaussian_process"}
    low, high = model.predict_interval(made["monophasic"]["grids"][150:], 0.8).T
    inside = (low < made["monophasic"]["threshold"][150:]) & (
        made["monophasic"]["threshold"][150:] < high
    )
    assert inside.mean() > 0.6


def test_few_thresholds_are_all_learned_from_and_judged_by_cross_validation(made):
    data = made["monophasic"]
    grids, y = data["grids"][:60], data["threshold"][:60].copy()
    y[3] = np.nan
    groups = np.arange(60) // 2
    model = ThresholdCNN(morphology="L5 PC", max_epochs=2, random_state=0)
    model.fit(grids, y, groups=groups)
    assert model.residuals_.shape == (60, 1) and np.isnan(model.residuals_[3]).all()
    assert np.isfinite(np.delete(model.residuals_, 3)).all()
    low, high = model.predict_interval(data["grids"][60:], 0.9).T
    inside = (low < data["threshold"][60:]) & (data["threshold"][60:] < high)
    assert inside.mean() > 0.75
    # A threshold that is wrong must not be inside an interval that saw it.
    wrong = data["threshold"][:60].copy()
    wrong[7] *= 3
    model.fit(grids, wrong)
    assert model.residuals_[7] > 0.5
    assert clone(model).fit(grids[:1], wrong[:1]).predict(grids[:1]) > 0


def test_physics_of_the_wrong_pulse_is_worse(made):
    right = fitted(PassiveThreshold(morphology="L5 PC", pulse="biphasic"), made["biphasic"], 30)
    wrong = fitted(PassiveThreshold(morphology="L5 PC"), made["biphasic"], 30)
    assert error(right, made["biphasic"]) < error(wrong, made["biphasic"])


def test_a_model_knows_what_it_is_of(made):
    data = made["monophasic"]
    for cls in (PassiveThreshold, ThresholdCNN):
        params = {"max_epochs": 1} if cls is ThresholdCNN else {}
        model = fitted(cls(morphology="L5 PC", random_state=0, **params), data, 30)
        assert model.pulse_ == "monophasic" and model.morphology_.startswith("L5 PC 0")
        grids = data["grids"][:3]
        same = model.predict(grids, pulse="monophasic", morphology="L5 PC")
        np.testing.assert_array_equal(same, model.predict(grids))
        with pytest.raises(ValueError, match="pulse 'monophasic'. Got 'biphasic'"):
            model.predict(grids, pulse="biphasic")
        with pytest.raises(ValueError, match="L5 PC 1"):
            model.predict(grids, morphology=make_neuron("L5 PC", 1))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_homogeneous_gradient_and_round_trip_with_physics(made, dtype):
    data = made["monophasic"]
    model = ThresholdCNN(morphology="L5 PC", max_epochs=3, dtype=dtype, random_state=0)
    fitted(model, data, 60)
    X = data["grids"][100:110].astype(float)
    np.testing.assert_allclose(model.predict(3 * X), model.predict(X) / 3, rtol=1e-5)
    gradient = model.threshold_gradient(X)
    np.testing.assert_allclose((gradient * X).sum(axis=(1, 2, 3, 4)), -model.predict(X), rtol=0.02)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert fitted(clone(again), data, 20).n_iter_ == 3


def test_several_outputs_have_constants_of_their_own(made):
    data = made["monophasic"]
    y = np.column_stack([data["threshold"], 2 * data["threshold"]])
    y[::7, 1] = np.nan
    model = PassiveThreshold(morphology="L5 PC").fit(data["grids"][:100], y[:100])
    both = model.predict(data["grids"][100:])
    assert np.abs(both[:, 1] / both[:, 0] - 2).mean() < 0.02
    network = ThresholdCNN(morphology="L5 PC", max_epochs=2, random_state=0)
    assert network.fit(data["grids"][:60], y[:60]).predict(data["grids"][:5]).shape == (5, 2)


def test_without_a_morphology_a_library_stands_in(made):
    model = fitted(PassiveThreshold(), made["monophasic"])
    assert model.neuron_ in CELL_TYPES
    assert error(model, made["monophasic"]) < 0.15


def test_what_physics_needs_is_asked_for(made):
    data = made["monophasic"]
    cell = make_neuron("L5 PC")
    soma = Morphology([[0, 0, 0]], [10], [-1], [1])
    for params, message in (
        ({"morphology": cell}, "'spacing'"),
        ({"morphology": cell, "spacing": 0.275}, "'spacing'"),
        ({"morphology": soma, "spacing": 1e-4}, "'morphology'"),
        ({"morphology": "L7"}, "L5 PC"),
        ({"morphology": "L5 PC", "pulse": "square"}, "pulse"),
    ):
        for cls in (PassiveThreshold, ThresholdCNN):
            with pytest.raises(ValueError, match=message):
                fitted(cls(**params), data, 10)
    for params in ({"network": "sites"}, {"augment": "rotate"}, {"network": "compact+sites"}):
        with pytest.raises(ValueError, match="With a morphology"):
            fitted(ThresholdCNN(morphology="L5 PC", **params), data, 10)
    with pytest.raises(ValueError, match="needs a morphology"):
        fitted(ThresholdCNN(network="drives"), data, 10)


def test_a_grid_that_does_not_hold_the_axon_is_a_warning(made):
    with pytest.warns(UserWarning, match="outside the grid"):
        fitted(
            PassiveThreshold(morphology=make_neuron("L5 PC"), spacing=0.1e-3),
            made["monophasic"], 20,
        )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted(PassiveThreshold(morphology="L5 PC"), made["monophasic"], 20)
    assert grid_spacing("L5 PC") > 0.1e-3
