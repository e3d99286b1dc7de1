"""ThresholdCNN: physics by construction, intervals, flags, gradients, persistence, bad input."""

import pickle
import sys
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
import skops.io
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, PredefinedSplit, cross_validate
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_meg.exceptions import AssumptionWarning
from sklearn_meg.tms import EFieldSampler, PassiveThreshold, grid_spacing, load_l5_thresholds
from sklearn_meg.tms._grids import rotate_grids, turn_grids
from sklearn_meg.tms._intervals import conformal_margin
from sklearn_meg.tms._trust import simplex_weights
from sklearn_meg.tms.baselines import UniformFieldThreshold
from sklearn_meg.tms.threshold_cnn import NETWORKS, PAPER_PARAMS, ThresholdCNN

sys.path.insert(0, str(Path(__file__).parent))
from _adapter import CHECKED

SIZE = 5
SCALED = ("GriddedCNN", "GriddedCosine", "GriddedRidge")


def fields(n, rng, heterogeneity=1.0):
    """Smooth fields: a uniform vector, a gradient and one interface each."""
    axis = np.linspace(-1, 1, SIZE)
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    uniform = unit(rng.normal(size=(n, 3)))
    gradient = 0.15 * heterogeneity * rng.normal(size=(n, 3, 3))
    normal = unit(rng.normal(size=(n, 3)))
    step = np.tanh((points @ normal.T - rng.uniform(-1, 1, n)) / 0.3).T
    jump = 0.3 * heterogeneity * rng.normal(size=(n, 1, 1))
    E = uniform[:, None] + points @ gradient.transpose(0, 2, 1)
    E = E + jump * step[..., None] * normal[:, None]
    return (E * np.exp(0.4 * rng.normal(size=(n, 1, 1)))).reshape(n, SIZE, SIZE, SIZE, 3)


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def thresholds(E, seed=0, n_sites=6):
    """1 / threshold is a soft maximum of linear forms: a cell with a few sites."""
    forms = np.random.default_rng(seed).normal(size=(n_sites, E[0].size)) / np.sqrt(E[0].size)
    forms = forms.reshape(n_sites, -1, 3) + 0.02 * np.random.default_rng(seed + 1).normal(
        size=(n_sites, 1, 3)
    )
    drive = E.reshape(len(E), -1) @ forms.reshape(n_sites, -1).T
    size = np.linalg.norm(E.reshape(len(E), -1), axis=1) / 10
    return 10 / (np.sum(np.exp(4 * drive / size[:, None]), axis=1) ** 0.25 * size)


@pytest.fixture(scope="module")
def world():
    rng = np.random.default_rng(0)
    X = fields(1400, rng)
    return X[:1000], thresholds(X[:1000]), X[1000:], thresholds(X[1000:])


@pytest.fixture(scope="module")
def fitted(world):
    X, y, *_ = world
    return ThresholdCNN(max_epochs=20, validation_fraction=0.3, random_state=0).fit(X, y)


@pytest.fixture(scope="module")
def small(world):
    X, y, *_ = world
    return X[:60], y[:60]


def quick(**params):
    return ThresholdCNN(**{"max_epochs": 2, "n_filters": (4, 6), "n_units": (8,), **params})


# Fields of the checks come several times, which is said.
@pytest.mark.filterwarnings(r"ignore:.*\[repeated-trials\]")
@parametrize_with_checks(
    CHECKED,
    expected_failed_checks=lambda model: (
        {"check_sample_weight_equivalence_on_dense_data": "the adapter scales y without weights"}
        if type(model).__name__ in SCALED
        else {}
    ),
)
def test_sklearn_checks_through_the_adapter(estimator, check):
    check(estimator)


def mape(y, predicted):
    return np.mean(np.abs(predicted / y - 1))


def test_predicts_better_than_any_constant(world, fitted):
    *_, X, y = world
    center = np.linalg.norm(X[:, 2, 2, 2], axis=1)
    constant = np.median(y * center) / center
    assert mape(y, fitted.predict(X)) < 0.4 * mape(y, constant)
    assert fitted.score(X, y) > 0.8


@pytest.mark.parametrize("factor", [1e-2, 0.3, 7.3, 40.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_exactly_homogeneous(world, fitted, factor, dtype):
    X = world[2].astype(dtype)
    np.testing.assert_allclose(
        fitted.predict(dtype(factor) * X) * factor, fitted.predict(X), rtol=1e-5
    )
    np.testing.assert_allclose(
        fitted.predict_field(dtype(factor) * X), fitted.predict_field(X), rtol=1e-5
    )


def test_field_is_threshold_times_magnitude(world, fitted):
    X = world[2]
    magnitude = np.linalg.norm(X[:, 2, 2, 2], axis=1)
    np.testing.assert_allclose(fitted.predict_field(X), fitted.predict(X) * magnitude)


def test_polarity_is_two_questions_answered_at_once(world, fitted):
    X = world[2]
    both = fitted.predict_both(X)
    np.testing.assert_array_equal(both, np.stack([fitted.predict(X), fitted.predict(-X)], 1))
    assert np.median(np.abs(np.log(both[:, 0] / both[:, 1]))) > 0.01


def test_flat_grids_are_the_same_grids(world, fitted):
    X = world[2]
    np.testing.assert_array_equal(fitted.predict(X.reshape(len(X), -1)), fitted.predict(X))


@pytest.mark.parametrize("coverage", [0.8, 0.9])
def test_intervals_cover(world, fitted, coverage):
    *_, X, y = world
    low, high = fitted.predict_interval(X, coverage).T
    assert ((low < fitted.predict(X)) & (fitted.predict(X) < high)).all()
    covered = np.mean((low <= y) & (y <= high))
    # three standard errors of the shares among 300 held-out and 400 test samples
    assert abs(covered - coverage) < 3 * np.sqrt(coverage * (1 - coverage) * (1 / 300 + 1 / 400))


def test_wider_for_more_coverage(world, fitted):
    X = world[2]
    half, most = (fitted.predict_interval(X, c) for c in (0.5, 0.95))
    assert (most[:, 0] < half[:, 0]).all() and (most[:, 1] > half[:, 1]).all()


def test_unlike_fields_are_flagged_whatever_their_magnitude(world, fitted):
    X = world[2]
    far = fields(400, np.random.default_rng(5), heterogeneity=6.0)
    assert fitted.is_unusual(X).mean() < 0.07
    assert fitted.is_unusual(far).mean() > 0.8
    np.testing.assert_array_equal(fitted.is_unusual(4 * far), fitted.is_unusual(far))


def test_gradient_is_that_of_finite_differences(small):
    X, y = small
    model = quick(dtype="float64", random_state=0).fit(X, y)
    gradient = model.threshold_gradient(X[:3])
    assert gradient.shape == X[:3].shape
    direction = np.random.default_rng(0).normal(size=X[:3].shape)
    step = 1e-5
    numerical = model.predict(X[:3] + step * direction) - model.predict(X[:3] - step * direction)
    expected = (gradient * direction).sum(axis=(1, 2, 3, 4))
    np.testing.assert_allclose(numerical / (2 * step), expected, rtol=1e-5)


@pytest.mark.parametrize("network", [name for name in NETWORKS if name != "drives"])
def test_euler_identity(small, network):
    X, y = small
    model = quick(network=network, dtype="float64", random_state=0).fit(X, y)
    gradient = model.threshold_gradient(X)
    np.testing.assert_allclose((gradient * X).sum(axis=(1, 2, 3, 4)), -model.predict(X), rtol=1e-8)


def test_gradient_of_flat_grids_and_of_one_output(small):
    X, y = small
    two = quick(random_state=0).fit(X, np.stack([y, 2 * y], 1))
    flat = two.threshold_gradient(X.reshape(len(X), -1), output=1)
    np.testing.assert_array_equal(flat.reshape(X.shape), two.threshold_gradient(X, output=1))
    with pytest.raises(ValueError, match="one of the 2 outputs"):
        two.threshold_gradient(X)


def test_rotation_turns_positions_and_vectors():
    X = fields(3, np.random.default_rng(0))
    turned = rotate_grids(X)
    # the field at (x, y) goes to (-y, x), and so do its components
    x, y, z = X[:, 4, 1, 2].T
    np.testing.assert_allclose(turned[:, 3, 4, 2], np.stack([-y, x, z], 1))
    np.testing.assert_array_equal(rotate_grids(X, 4), X)
    np.testing.assert_array_equal(rotate_grids(rotate_grids(X), 2), rotate_grids(X, 3))


def test_population_is_invariant_to_azimuth(small):
    X, y = small
    model = quick(augment="rotate", random_state=0).fit(X, y)
    for k in (1, 2, 3):
        np.testing.assert_allclose(model.predict(rotate_grids(X, k)), model.predict(X), rtol=1e-5)
    plain = quick(random_state=0).fit(X, y)
    assert np.abs(plain.predict(rotate_grids(X)) / plain.predict(X) - 1).max() > 1e-3


def test_quantiles_of_a_population_are_those_of_its_cells(small):
    X, y = small
    model = quick(random_state=0).fit(X, np.stack([y, 1.5 * y], 1))
    cells = np.concatenate([model.predict(rotate_grids(X, k)) for k in range(4)], axis=1)
    np.testing.assert_allclose(model.predict_population(X), np.median(cells, axis=1))
    np.testing.assert_allclose(
        model.predict_population(X, q=[0.1, 0.9]), np.quantile(cells, [0.1, 0.9], axis=1).T
    )
    one = model.predict_population(X, n_azimuths=1)
    np.testing.assert_allclose(one, np.median(model.predict(X), axis=1))
    with pytest.raises(ValueError, match="whole number from 1. Got 1.5"):
        model.predict_population(X, n_azimuths=1.5)


def test_several_outputs(small):
    X, y = small
    model = quick(random_state=0, max_epochs=20).fit(X, np.stack([y, 3 * y], 1))
    assert model.predict(X).shape == model.predict_field(X).shape == (60, 2)
    assert model.predict_both(X).shape == model.predict_interval(X, 0.5).shape == (60, 2, 2)
    assert np.median(model.predict(X)[:, 1] / model.predict(X)[:, 0]) > 2


def test_censored_thresholds_count_for_nothing(small):
    X, y = small
    censored = np.stack([y, y], 1)
    censored[::3, 0] = np.nan
    split = PredefinedSplit(np.where(np.arange(60) < 45, -1, 0))
    model = quick(random_state=0, validation_split=split).fit(X, censored)
    assert np.isfinite(model.predict(X)).all()
    assert np.isfinite(model.score(X, censored))
    assert np.isnan(model.residuals_[:, 0]).sum() == np.isnan(censored[45:, 0]).sum()
    # an output of which all held-out thresholds are unknown is no reason to fail
    censored[:45, 0] = np.nan
    censored[46, 0] = 7.0
    assert np.isfinite(quick(validation_split=split).fit(X, censored).predict(X)).all()


def test_paper_parameters_are_the_network_of_the_paper(small):
    X, y = small
    model = ThresholdCNN(**{**PAPER_PARAMS, "max_epochs": 1}, random_state=0).fit(X, y)
    layers = [m for m in model.net_.module_.modules() if isinstance(m, torch.nn.Conv3d)]
    assert [layer.out_channels for layer in layers] == [80, 60, 45, 33]
    assert {layer.kernel_size for layer in layers} == {(2, 2, 2)}
    assert np.isfinite(model.predict(X)).all()


def test_networks_weigh_as_much_as_they_help():
    rng = np.random.default_rng(0)
    target = rng.normal(size=400)
    noise = rng.normal(size=(400, 3)) * [0.1, 0.1, 3.0]
    weights = simplex_weights(target[:, None] + noise, target)
    np.testing.assert_allclose(weights, [0.5, 0.5, 0], atol=0.1)
    assert weights.sum() == pytest.approx(1)


def test_weights_of_a_fit_are_used(small):
    X, y = small
    model = quick(network="compact+sites", random_state=0).fit(X, y)
    weights = model.net_.module_.weights
    assert weights.sum().item() == pytest.approx(1)
    mixed, alone = model.predict(X), []
    for only in torch.eye(2):
        copy = pickle.loads(pickle.dumps(model))
        copy.net_.module_.weights.copy_(only)
        alone.append(copy.predict(X))
    w = weights.cpu().numpy().astype(float)
    np.testing.assert_allclose(mixed, alone[0] ** w[0] * alone[1] ** w[1], rtol=1e-5)


def test_going_on_from_a_fit(small):
    X, y = small
    model = quick(random_state=0).fit(X, y)
    before = model.predict(X)
    model.partial_fit(X, y)
    assert model.n_iter_ == 4 and not np.array_equal(model.predict(X), before)
    with pytest.raises(ValueError, match="2 outputs.*fitted with 1"):
        model.partial_fit(X, np.stack([y, y], 1))


def test_round_trips_keep_everything(small, tmp_path):
    X, y = small
    model = quick(network="compact+sites", random_state=0).fit(X, y)
    joblib.dump(model, tmp_path / "model.joblib")
    data = skops.io.dumps(model)
    types = skops.io.get_untrusted_types(data=data)
    assert types == ["sklearn_meg.tms.threshold_cnn.ThresholdCNN"]
    for again in (
        pickle.loads(pickle.dumps(model)),
        joblib.load(tmp_path / "model.joblib"),
        skops.io.loads(data, trusted=types),
    ):
        np.testing.assert_array_equal(again.predict(X), model.predict(X))
        np.testing.assert_array_equal(
            again.predict_interval(X, 0.5), model.predict_interval(X, 0.5)
        )
        np.testing.assert_array_equal(again.is_unusual(X), model.is_unusual(X))
        np.testing.assert_array_equal(clone(again).fit(X, y).predict(X), model.predict(X))


def test_searches_and_cross_validation_take_grids(small):
    X, y = small
    search = GridSearchCV(quick(random_state=0), {"lr": [1e-3, 3e-3]}, cv=2, error_score="raise")
    assert search.fit(X, y).predict(X).shape == y.shape
    one = cross_validate(quick(random_state=0), X, y, cv=3, error_score="raise")["test_score"]
    with joblib.parallel_config("threading", n_jobs=2):
        two = cross_validate(quick(random_state=0), X, y, cv=3)["test_score"]
    np.testing.assert_array_equal(one, two)


def test_same_seed_same_result_whatever_the_layout(small, tmp_path):
    X, y = small
    expected = quick(random_state=0).fit(X, y).predict(X)
    np.save(tmp_path / "X.npy", X)
    before = X.copy()
    for same in (np.asfortranarray(X), np.load(tmp_path / "X.npy", mmap_mode="r")):
        np.testing.assert_array_equal(quick(random_state=0).fit(same, y).predict(same), expected)
    np.testing.assert_array_equal(X, before)
    single = X.astype(np.float32)
    np.testing.assert_allclose(
        quick(random_state=0).fit(single, y).predict(single), expected, rtol=1e-2
    )
    assert not np.array_equal(quick(random_state=1).fit(X, y).predict(X), expected)


def spoilt(X, where, value):
    X = X.copy()
    X[where] = value
    return X


BAD = {
    "even": (lambda X, y: (X[:, :4, :4, :4], y), "odd number of samples a side.*4"),
    "no cube": (lambda X, y: (X[:, :3], y), r"cube. Got \(60, 3, 5, 5, 3\)"),
    "flat, no cube": (lambda X, y: (X.reshape(60, -1)[:, :374], y), "374 features"),
    "flat, even": (lambda X, y: (X[:, :2, :2, :2].reshape(60, -1), y), "odd.*2"),
    "two components": (lambda X, y: (X[..., :2], y), r"Got \(60, 5, 5, 5, 2\)"),
    "one grid alone": (lambda X, y: (X[0], y), r"Got \(5, 5, 5, 3\)"),
    "NaN in X": (lambda X, y: (spoilt(X, (3, 0, 0, 0, 0), np.nan), y), "NaN"),
    "infinity in X": (lambda X, y: (spoilt(X, (3, 0, 0, 0, 0), np.inf), y), "infinity"),
    "no field at the soma": (lambda X, y: (spoilt(X, (3, 2, 2, 2), 0.0), y), "sample 3"),
    "huge": (lambda X, y: (X * 1e40, y), "right units"),
    "zero threshold": (lambda X, y: (X, spoilt(y, 2, 0.0)), "positive.*1 values"),
    "negative threshold": (lambda X, y: (X, -y), "positive.*60 values"),
    "infinite threshold": (lambda X, y: (X, spoilt(y, 2, np.inf)), "infinity"),
    "no threshold at all": (lambda X, y: (X, y * np.nan), "only NaN"),
    "fewer thresholds": (lambda X, y: (X, y[:-1]), "inconsistent numbers of samples"),
    "no y": (lambda X, y: (X, None), "requires y"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_data_is_a_clear_error(small, what):
    spoil, message = BAD[what]
    with pytest.raises(ValueError, match=message):
        quick().fit(*spoil(*small))


@pytest.mark.parametrize(
    "params, message",
    [
        ({"network": "resnet"}, "'network' parameter"),
        ({"augment": True}, "'augment' parameter"),
        ({"loss": "l1"}, "'loss' parameter"),
        ({"n_filters": (4,)}, "2 positive int"),
        ({"n_units": (0,)}, "positive int"),
        ({"dropout": 1.0}, "'dropout' parameter"),
        ({"n_estimators": 0}, "'n_estimators' parameter"),
    ],
)
def test_bad_parameters_are_a_clear_error(small, params, message):
    with pytest.raises(ValueError, match=message):
        quick(**params).fit(*small)


def test_grids_of_another_size_name_both_numbers(small):
    X, y = small
    with pytest.raises(ValueError, match="3 samples a side.*fitted with 5"):
        quick().fit(X, y).predict(X[:, 1:4, 1:4, 1:4])


def test_suspicious_units_are_a_warning(small, fitted):
    X, y = small
    with pytest.warns(UserWarning, match="tens to hundreds of V/m"):
        quick().fit(X, y * 1e-6)
    with pytest.warns(UserWarning, match="in fit it was between"):
        mistaken = fitted.predict(X * 1e6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(mistaken * 1e6, fitted.predict(X), rtol=1e-5)


def test_too_few_held_out_for_an_interval(small):
    X, y = small
    with pytest.raises(ValueError, match="at least 19 held-out samples.*Got 15"):
        quick().fit(X, y).predict_interval(X, 0.95)
    with pytest.raises(ValueError, match="Got 0"):
        quick(validation_fraction=0).fit(X, y).predict_interval(X)
    with pytest.raises(ValueError, match="between 0 and 1"):
        quick().fit(X, y).predict_interval(X, 1.5)


def test_gradient_of_a_file_that_is_only_read(small, tmp_path):
    X, y = small
    model = quick(random_state=0).fit(X, y)
    joblib.dump(X.astype(np.float32), tmp_path / "X")
    mapped = joblib.load(tmp_path / "X", mmap_mode="r")
    expected = model.threshold_gradient(X.astype(np.float32))
    np.testing.assert_array_equal(model.threshold_gradient(mapped), expected)


def test_infinite_thresholds_are_to_be_nan(small):
    X, y = small
    with pytest.raises(ValueError, match="contains infinity, 2 times.*must be NaN"):
        quick().fit(X, np.r_[np.inf, np.inf, y[2:]])


def test_a_fit_that_fails_leaves_nothing_of_itself(small):
    X, y = small
    model = quick(net_params={"optimizer": "no optimizer"})
    before = set(model.__dict__)
    with pytest.raises(TypeError):
        model.fit(X, y)
    assert "_split" not in set(model.__dict__) - before


@pytest.mark.parametrize("network", [name for name in NETWORKS if name != "drives"])
def test_mixed_precision_is_nearly_the_same(small, network):
    X, y = small
    params = {"network": network, "n_sites": 4, "random_state": 0}
    expected = quick(**params).fit(X, y).predict(X)
    model = quick(**params, dtype="bfloat16").fit(X, y)
    np.testing.assert_allclose(model.predict(X), expected, rtol=0.05)
    euler = (model.threshold_gradient(X) * X).sum(axis=(1, 2, 3, 4))
    np.testing.assert_allclose(euler, -model.predict(X), rtol=0.05)


def test_thresholds_of_a_population_are_columns(small):
    X, y = small
    population = np.broadcast_to(y[:, np.newaxis, np.newaxis], (len(y), 2, 2))
    with pytest.raises(ValueError, match=r"Got \(60, 2, 2\).*reshape"):
        quick().fit(X, population)
    assert quick().fit(X, population.reshape(len(y), -1)).predict(X).shape == (60, 4)


def test_the_number_of_samples_an_interval_needs_is_enough():
    with pytest.raises(ValueError, match="at least 9 held-out"):
        conformal_margin(np.arange(8.0)[:, np.newaxis], 0.9)
    assert conformal_margin(np.arange(9.0)[:, np.newaxis], 0.9) == 8


@pytest.mark.parametrize("n_azimuths", [1, 3, 6])
def test_any_number_of_azimuths(small, fitted, n_azimuths):
    X, _ = small
    median = fitted.predict_population(X[:5], n_azimuths=n_azimuths)
    assert median.shape == (5,) and np.isfinite(median).all()
    with pytest.raises(ValueError, match="n_azimuths"):
        fitted.predict_population(X[:5], n_azimuths=0)


def test_turned_grids_of_a_smooth_field_are_the_field_turned():
    side = np.arange(-3, 4)
    points = np.stack(np.meshgrid(side, side, side, indexing="ij"), axis=-1).astype(float)
    slope = np.random.default_rng(0).normal(size=(3, 3))
    X = (points @ slope)[np.newaxis]
    angle = np.pi / 6
    c, s = np.cos(angle), np.sin(angle)
    R = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    expected = (points @ R @ slope) @ R.T
    inner = (slice(None), *[slice(2, 5)] * 3)
    np.testing.assert_allclose(turn_grids(X, angle)[inner][0], expected[inner[1:]], atol=1e-9)
    np.testing.assert_array_equal(turn_grids(X, np.pi / 2), rotate_grids(X))


def test_recruitment_grows_from_nobody_to_everybody(small, fitted):
    X, _ = small
    thresholds = fitted.predict_population(X[:8], q=[0.0, 1.0])
    amplitudes = np.linspace(0, 1.01 * thresholds.max(), 30)
    share = fitted.predict_recruitment(X[:8], amplitudes)
    assert share.shape == (8, 30) and (np.diff(share, axis=1) >= 0).all()
    assert (share[:, 0] == 0).all() and (share[:, -1] == 1).all()
    with pytest.raises(ValueError, match="amplitudes"):
        fitted.predict_recruitment(X[:8], [-1.0])


def test_calibration_by_blocks_counts_the_worst_block(small):
    X, y = small
    model = quick(random_state=0).fit(X[:30], y[:30])
    predicted = model.predict(X[30:])
    blocks = np.repeat(np.arange(5), 6)
    truth = predicted * np.exp(0.01 + 0.5 * (blocks == 4))  # one block of five is off
    even = model.calibrate(X[30:], truth).predict_interval(X, 0.75)
    wide = model.calibrate(X[30:], truth, groups=blocks).predict_interval(X, 0.75)
    assert (wide[:, 1] / wide[:, 0]).min() > 2 > (even[:, 1] / even[:, 0]).max()
    with pytest.raises(ValueError, match="two blocks"):
        model.calibrate(X, y, groups=np.zeros(60))


def test_the_uniform_map_takes_grids_of_any_size(small):
    X, y = small
    model = UniformFieldThreshold(degree=4).fit(X, y)
    np.testing.assert_array_equal(model.predict(X[:, 1:4, 1:4, 1:4]), model.predict(X))
    assert model.grid_size_ == 5


@pytest.mark.filterwarnings(r"ignore:.*\[(unrelated|outlying)-thresholds\]")
def test_current_that_flows_the_other_way_is_said():
    places, y = load_l5_thresholds()
    places, y = places[:20], y[:20]
    sampler = EFieldSampler(heterogeneity=0.8, spacing=grid_spacing("L5 PC"))
    X, fit = sampler.fit_transform(places), {"morphology": "L5 PC", "max_epochs": 1}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ThresholdCNN(**fit, random_state=0).fit(X, y)
    for wrong, pulse in ((-X, "monophasic"), (X, "biphasic")):
        with pytest.warns(AssumptionWarning, match="reversed-current"):
            ThresholdCNN(**fit, pulse=pulse, random_state=0).fit(wrong, y)


def test_grids_of_the_samplers_spacing_in_a_model_of_the_cells_are_said():
    places, y = load_l5_thresholds()
    X = EFieldSampler(heterogeneity=0.8).fit_transform(places[:60])
    model = PassiveThreshold(morphology="L5 PC", correction=None)
    with pytest.warns(AssumptionWarning, match=r"9.* % if they are 1.5 mm apart.*\[grid-spacing\]"):
        model.fit(X, y[:60])
    model.set_params(spacing=1.5e-3).fit(X, y[:60])  # warnings are errors
