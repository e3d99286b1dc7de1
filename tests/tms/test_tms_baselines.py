"""Baselines of thresholds: each finds what it can represent, all are homogeneous."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, LeaveOneOut, cross_val_predict, cross_validate

from sklearn_meg.tms.baselines import (
    BoostedThreshold,
    CosineThreshold,
    RidgeThreshold,
    UniformFieldThreshold,
    ridge_fit,
    spherical_harmonics,
)

SIZE = 3
MODELS = [
    UniformFieldThreshold(degree=4),
    UniformFieldThreshold(field="mean", degree=4),
    CosineThreshold(),
    RidgeThreshold(),
    BoostedThreshold(max_iter=10, random_state=0),
]


@pytest.fixture(scope="module")
def grids():
    rng = np.random.default_rng(0)
    uniform = rng.normal(size=(300, 1, 1, 1, 3))
    return uniform + 0.2 * rng.normal(size=(300, SIZE, SIZE, SIZE, 3))


@pytest.fixture(scope="module")
def linear(grids):
    """Thresholds whose log is linear in the normalized grid, without unit."""
    magnitude = np.linalg.norm(grids[:, 1, 1, 1], axis=1)
    form = np.random.default_rng(1).normal(size=3 * SIZE**3) / 30
    return 100 * np.exp((grids.reshape(300, -1) @ form) / magnitude) / magnitude


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_homogeneous_and_polarized(model, grids, linear):
    model = clone(model).fit(grids, linear)
    expected = model.predict(grids)
    np.testing.assert_allclose(model.predict(3.7 * grids) * 3.7, expected, rtol=1e-9)
    np.testing.assert_array_equal(model.predict(grids.reshape(300, -1)), expected)
    both = model.predict_both(grids)
    np.testing.assert_array_equal(both[:, 1], model.predict(-grids))
    magnitude = np.linalg.norm(grids[:, 1, 1, 1], axis=1)
    np.testing.assert_allclose(model.predict_field(grids), expected * magnitude)


# One output belongs to other fields, which is said.
@pytest.mark.filterwarnings(r"ignore:.*\[not-inverse\]")
@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_several_outputs_are_several_fits_and_censored_ones_do_not_count(model, grids, linear):
    censored = np.stack([linear, linear[::-1]], 1)
    censored[::4, 0] = np.nan
    known = np.arange(300) % 4 > 0
    both = clone(model).fit(grids, censored).predict(grids)
    assert both.shape == (300, 2)
    if not isinstance(model, BoostedThreshold):  # its components come from all grids
        alone = clone(model).fit(grids[known], linear[known]).predict(grids)
        np.testing.assert_allclose(both[:, 0], alone, rtol=1e-4)
    np.testing.assert_allclose(
        both[:, 1], clone(model).fit(grids, linear[::-1]).predict(grids), rtol=1e-9
    )


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_fits_into_scikit_learn(model, grids, linear):
    X, y = grids[:60], linear[:60]
    fitted = clone(model).fit(X, y)
    expected = fitted.predict(X)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict(X), expected)
    np.testing.assert_array_equal(clone(fitted).fit(X, y).predict(X), expected)
    np.testing.assert_allclose(
        clone(model).fit(np.asfortranarray(X), y).predict(X), expected, rtol=1e-9
    )
    scores = cross_validate(clone(model), X, y, cv=3, error_score="raise")["test_score"]
    assert np.isfinite(scores).all()


def test_grid_search_takes_grids(grids, linear):
    search = GridSearchCV(UniformFieldThreshold(), {"field": ["soma", "mean"]}, cv=2)
    assert search.fit(grids, linear).predict(grids).shape == linear.shape


@pytest.mark.parametrize("field", ["soma", "mean"])
def test_uniform_field_model_is_right_where_its_vector_decides(grids, field):
    vector = grids[:, 1, 1, 1] if field == "soma" else grids.mean(axis=(1, 2, 3))
    magnitude = np.linalg.norm(vector, axis=1)
    direction = vector / magnitude[:, None]
    y = 100 * np.exp(0.3 * direction[:, 2] + 0.2 * direction[:, 0] * direction[:, 1]) / magnitude
    model = UniformFieldThreshold(field=field, degree=6).fit(grids[:200], y[:200])
    error = np.abs(model.predict(grids[200:]) / y[200:] - 1)
    assert error.mean() < 0.01
    other = UniformFieldThreshold(field="mean" if field == "soma" else "soma", degree=6)
    wrong = np.abs(other.fit(grids[:200], y[:200]).predict(grids[200:]) / y[200:] - 1)
    assert wrong.mean() > 5 * error.mean()


def test_cosine_model_finds_its_parameters(grids):
    vector = np.array([0.002, -0.004, 0.006])
    E = grids[:, 1, 1, 1]
    y = 1 / (0.01 * np.linalg.norm(E, axis=1) + E @ vector)
    model = CosineThreshold().fit(grids, y)
    np.testing.assert_allclose(model.models_[0]["vector"], vector, rtol=1e-3)
    assert model.models_[0]["offset"] == pytest.approx(0.01, rel=1e-3)


def test_ridge_finds_a_linear_form(grids, linear):
    model = RidgeThreshold().fit(grids[:250], linear[:250])
    assert np.mean(np.abs(model.predict(grids[250:]) / linear[250:] - 1)) < 0.01


def test_boosting_beats_the_uniform_field_where_the_grid_matters(grids):
    magnitude = np.linalg.norm(grids[:, 1, 1, 1], axis=1)
    slope = (grids[:, 2] - grids[:, 0]).mean(axis=(1, 2))[:, 0] / magnitude
    y = 100 * np.exp(2 * np.abs(slope)) / magnitude
    errors = [
        np.mean(np.abs(model.fit(grids[:200], y[:200]).predict(grids[200:]) / y[200:] - 1))
        for model in (BoostedThreshold(n_components=5, random_state=0), UniformFieldThreshold())
    ]
    assert errors[0] < 0.7 * errors[1]


def test_leave_one_out_errors_choose_the_penalty():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 8))
    y = X[:, 0] + rng.normal(size=30)
    alphas = np.logspace(-3, 2, 11)
    unit = ((X - X.mean(axis=0)) ** 2).sum() / 8
    errors = []
    for alpha in alphas:
        left_out = cross_val_predict(Ridge(alpha * unit), X, y, cv=LeaveOneOut())
        errors.append(np.mean((left_out - y) ** 2))
    model = ridge_fit(X, y, alphas)
    assert model["alpha"] == alphas[np.argmin(errors)]
    reference = Ridge(model["alpha"] * unit).fit(X, y)
    np.testing.assert_allclose(model["coef"], reference.coef_, rtol=1e-8)
    assert model["intercept"] == pytest.approx(reference.intercept_)


@pytest.mark.parametrize("shape", [(20, 50), (50, 20)])
def test_ridge_is_the_same_for_wide_and_tall_data(shape):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=shape), rng.normal(size=shape[0])
    model = ridge_fit(X, y, [0.1])
    unit = ((X - X.mean(axis=0)) ** 2).sum() / shape[1]
    expected = Ridge(0.1 * unit).fit(X, y).coef_
    np.testing.assert_allclose(model["coef"], expected, rtol=1e-6, atol=1e-9)


def test_spherical_harmonics_are_orthonormal():
    # Gauss-Legendre in z times equal steps in azimuth integrates products of degree 11 exactly
    z, weight = np.polynomial.legendre.leggauss(12)
    azimuth = np.arange(24) * 2 * np.pi / 24
    z, azimuth = (a.ravel() for a in np.meshgrid(z, azimuth, indexing="ij"))
    rho = np.sqrt(1 - z**2)
    directions = np.stack([rho * np.cos(azimuth), rho * np.sin(azimuth), z], 1)
    values = spherical_harmonics(directions, 5)
    gram = (values * (np.repeat(weight, 24) * 2 * np.pi / 24)[:, None]).T @ values
    np.testing.assert_allclose(gram, np.eye(36), atol=1e-12)


@pytest.mark.parametrize(
    "model, message",
    [
        (UniformFieldThreshold(field="soma "), "'field' parameter"),
        (UniformFieldThreshold(degree=0), "'degree' parameter"),
        (RidgeThreshold(alphas=(1.0, -1.0)), "'alphas' parameter"),
        (BoostedThreshold(n_components=0), "'n_components' parameter"),
        (BoostedThreshold(learning_rate=-1.0), "'learning_rate' parameter"),
    ],
)
def test_bad_parameters_are_a_clear_error(model, message, grids, linear):
    with pytest.raises(ValueError, match=message):
        model.fit(grids, linear)


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_bad_data_is_a_clear_error(model, grids, linear):
    with pytest.raises(ValueError, match="odd"):
        clone(model).fit(grids[:, :2, :2, :2], linear)
    with pytest.raises(ValueError, match="positive"):
        clone(model).fit(grids, -linear)
    with pytest.raises(ValueError, match="only NaN"):
        clone(model).fit(grids, linear * np.nan)


def test_parameters_set_after_fit_wait_for_the_next_fit(grids, linear):
    model = UniformFieldThreshold(degree=4).fit(grids, linear)
    expected = model.predict(grids)
    model.set_params(field="mean", degree=6)
    np.testing.assert_array_equal(model.predict(grids), expected)
    assert not np.allclose(model.fit(grids, linear).predict(grids), expected)
