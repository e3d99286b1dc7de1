"""ConnectomeMetric: accuracy, signs, frames, persistence, composition, bad input."""

import pickle
import sys
import warnings
from functools import cache
from pathlib import Path

import joblib
import numpy as np
import pytest
import skops.io
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_meg.connectome import (
    ConnectomeMetric,
    ConvolutionalMetric,
    EuclideanMetric,
    InverseTensorMetric,
    geodesic_deviation,
)
from sklearn_meg.connectome._space import check_fields
from sklearn_meg.datasets import make_fibers

sys.path.insert(0, str(Path(__file__).parent))
from _field_adapter import CHECKED

SMALL_NET = {
    "n_features": 8,
    "growth": 4,
    "n_layers": (1, 1, 1),
    "random_state": 0,
}

MODELS = (
    ConnectomeMetric(),
    ConnectomeMetric(method="spline", max_iter=5),
    ConvolutionalMetric(**SMALL_NET, max_epochs=2),
)


@parametrize_with_checks(CHECKED)
def test_sklearn_checks_through_the_adapter(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def annulus():
    return make_fibers("annulus", size=32, n_curves=30)


@pytest.fixture(scope="module")
def braid():
    return make_fibers("braid", size=40, n_curves=8)


@pytest.fixture(scope="module")
def fitted(annulus):
    return ConnectomeMetric().fit(annulus.X)


@pytest.fixture(scope="module")
def splined(annulus):
    return ConnectomeMetric(method="spline", max_iter=60).fit(annulus.X)


def deviation(model, fibers):
    longest = max(np.linalg.norm(np.diff(c, axis=0), axis=1).sum() for c in fibers.curves)
    paths = model.shoot(fibers.seeds, fibers.directions, longest, within="grid")
    return np.nanmean(geodesic_deviation(fibers.curves, paths))


def test_geodesics_are_the_circles(annulus, fitted):
    ours = deviation(fitted, annulus)
    assert ours < 0.1
    for peer in (EuclideanMetric(), InverseTensorMetric()):
        assert ours < 0.1 * deviation(peer.fit(annulus.X), annulus)


def test_two_fields_share_one_metric(braid):
    fit = {"method": "spline", "max_iter": 20, "window": (2, 3)}
    ours = deviation(ConnectomeMetric(**fit).fit(braid.X), braid)
    assert ours < 1
    for k in range(2):  # one alone says nothing about the other
        assert deviation(ConnectomeMetric(**fit).fit(braid.X[k : k + 1]), braid) > 3 * ours


@pytest.mark.parametrize(("angle", "anisotropy"), [(90, "auto"), (30, 1e6)])
def test_crossing_arcs_in_three_dimensions(angle, anisotropy):
    fibers = make_fibers("arcs", size=16, angle=angle, n_curves=5)
    fit = {"method": "fibers", "anisotropy": anisotropy, "window": (2, 3)}
    model = ConnectomeMetric(**fit).fit(fibers.X)
    assert deviation(model, fibers) < 0.1
    assert deviation(EuclideanMetric().fit(fibers.X), fibers) > 1


def test_noise_is_found_and_bears_on_smoothness(annulus):
    noisy = make_fibers("annulus", size=32, noise=10, n_curves=15)
    model = ConnectomeMetric(anisotropy=1e6, max_iter=20).fit(noisy.X)
    assert 8 < model.noise_ < 12
    assert model.smoothness_ > 1e-3
    assert deviation(model, noisy) < 0.5 * deviation(InverseTensorMetric().fit(noisy.X), noisy)


def test_metric_is_positive_definite_and_nan_outside(annulus, fitted):
    g = fitted.metric_
    assert (np.linalg.eigvalsh(g[annulus.mask]) > 0).all()
    assert np.isnan(g[~annulus.mask]).all()
    np.testing.assert_allclose(g[annulus.mask], g[annulus.mask].swapaxes(1, 2), rtol=1e-14)
    inside = np.argwhere(annulus.mask).astype(float)
    np.testing.assert_allclose(fitted.metric_at(inside), g[annulus.mask], rtol=1e-12)


@pytest.mark.parametrize("noise", [0, 10])
def test_signs_of_vectors_do_not_matter(noise):
    X = make_fibers("annulus", size=18, noise=noise).X
    turned = X * np.random.default_rng(0).choice([-1, 1], X.shape[:-1])[..., None]
    fit = {"anisotropy": 100.0, "max_iter": 8}
    one, two = (ConnectomeMetric(**fit).fit(each).metric_ for each in (X, turned))
    np.testing.assert_allclose(one, two, atol=1e-10)


def test_units_of_length_do_not_matter(annulus, fitted):
    affine = np.diag([2.5, 2.5, 1.0])
    affine[:2, 2] = [-7, 3]
    model = ConnectomeMetric(affine=affine).fit(annulus.X)
    seeds, u = annulus.seeds[:5], annulus.directions[:5]
    paths = model.shoot(2.5 * seeds + affine[:2, 2], u, 20.0)
    np.testing.assert_allclose(
        (paths - affine[:2, 2]) / 2.5, fitted.shoot(seeds, u, 8.0), atol=2e-3
    )


def test_anisotropic_voxels_are_respected():
    # Circles in mm, sampled twice as densely along one axis.
    x, y = np.meshgrid(np.arange(-15, 16.0), np.arange(-15, 15.5, 0.5), indexing="ij")
    r = np.hypot(x, y)
    V = np.stack([-y, x], -1) / np.maximum(r, 1e-9)[..., None]
    V[(r < 5) | (r > 14)] = np.nan
    affine = np.array([[1.0, 0, -15], [0, 0.5, -15], [0, 0, 1]])
    model = ConnectomeMetric(affine=affine).fit(V[None])
    path = model.shoot([[9.0, 0.0]], [[0, 1]], 20.0)[0]
    np.testing.assert_allclose(np.linalg.norm(path, axis=1), 9.0, atol=0.05)


def test_rotated_affine_and_world_frame_agree(annulus):
    c, s = np.cos(0.6), np.sin(0.6)
    R = np.array([[c, -s], [s, c]])
    affine = np.eye(3)
    affine[:2, :2] = 2 * R
    grid = ConnectomeMetric(method="spline", affine=affine, max_iter=30).fit(annulus.X)
    world = ConnectomeMetric(method="spline", affine=affine, frame="world", max_iter=30).fit(
        annulus.X @ R.T
    )
    np.testing.assert_allclose(grid.coef_, world.coef_, atol=1e-5)
    m = annulus.mask
    np.testing.assert_allclose(world.metric_[m], R @ grid.metric_[m] @ R.T, atol=1e-5)
    np.testing.assert_allclose(
        world.transform(annulus.X @ R.T)[0][m], grid.transform(annulus.X)[0][m] @ R.T, atol=1e-6
    )


def test_mask_is_the_same_as_nan(annulus):
    X = annulus.X.copy()
    mask = annulus.mask.copy()
    mask[16:] = False
    fit = {"method": "fibers", "anisotropy": 100.0}
    by_mask = ConnectomeMetric(**fit).fit(np.nan_to_num(X, nan=1.0), mask=mask)
    X[0, 16:] = np.nan
    by_nan = ConnectomeMetric(**fit).fit(X)
    np.testing.assert_array_equal(by_mask.metric_, by_nan.metric_)
    np.testing.assert_array_equal(by_mask.mask_, mask)


def test_transform_is_small_where_fitted_and_not_for_another_field(annulus, splined):
    fitted = splined
    residual = fitted.transform(annulus.X)
    assert residual.shape == annulus.X.shape
    m = annulus.mask
    assert np.isfinite(residual[0][m]).all() and np.isnan(residual[0][~m]).all()
    radial = annulus.X[..., ::-1] * [-1, 1]  # radii are straight: geodesics only of some metrics
    diagonal = np.where(m[..., None], np.sqrt([0.5, 0.5]), np.nan)[None]
    assert fitted.score(annulus.X) > -0.01
    assert fitted.score(diagonal) < 5 * fitted.score(annulus.X)
    curvature = fitted.predict(np.concatenate([annulus.X, radial]))
    assert curvature.shape == (2, m.size)
    np.testing.assert_allclose(
        curvature[0].reshape(m.shape)[m], np.linalg.norm(residual[0][m], axis=1)
    )
    # The Euclidean metric is short of the curvature of a circle, 1 / r.
    euclid = ConnectomeMetric(method="spline", max_iter=1, smoothness=1e9).fit(annulus.X)
    r = np.linalg.norm(np.argwhere(m) - 15.5, axis=1)
    found = euclid.predict(annulus.X)[0].reshape(m.shape)[m]
    np.testing.assert_allclose(found, 1 / r, rtol=0.02)


# ------------------------------------------------------------------ the convolutional solver


def test_network_learns_the_same_metric(annulus):
    start = ConvolutionalMetric(**SMALL_NET, max_epochs=1).fit(annulus.X)
    model = ConvolutionalMetric(**SMALL_NET, max_epochs=40).fit(annulus.X)
    assert model.loss_ < 0.05 * start.loss_
    assert deviation(model, annulus) < 0.3 * deviation(EuclideanMetric().fit(annulus.X), annulus)
    assert len(model.history_) == model.n_iter_


def test_network_in_three_dimensions():
    fibers = make_fibers("arcs", size=14, n_curves=2)
    model = ConvolutionalMetric(**SMALL_NET, max_epochs=2).fit(fibers.X)
    assert model.metric_.shape == (14, 14, 14, 3, 3)
    assert (np.linalg.eigvalsh(model.metric_[fibers.mask]) > 0).all()


# ------------------------------------------------------------------ contract


@cache
def fit_of(k):
    """A model of `MODELS`, fitted to the annulus."""
    return clone(MODELS[k]).fit(make_fibers("annulus", size=32, n_curves=30).X)


@pytest.mark.parametrize("k", range(len(MODELS)), ids=["fibers", "spline", "network"])
def test_round_trips_keep_the_metric(annulus, k, tmp_path):
    model = fit_of(k)
    joblib.dump(model, tmp_path / "model.joblib")
    skopsed = skops.io.dumps(model)
    types = skops.io.get_untrusted_types(data=skopsed)
    assert types == [f"{type(model).__module__}.{type(model).__name__}"]
    for again in (
        pickle.loads(pickle.dumps(model)),
        joblib.load(tmp_path / "model.joblib"),
        skops.io.loads(skopsed, trusted=types),
    ):
        np.testing.assert_array_equal(again.metric_, model.metric_)
        np.testing.assert_array_equal(again.transform(annulus.X), model.transform(annulus.X))
    assert clone(again).get_params() == model.get_params()


@pytest.mark.parametrize("k", range(len(MODELS)), ids=["fibers", "spline", "network"])
def test_same_result_and_global_generators_untouched(annulus, k):
    expected = fit_of(k).metric_
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), torch.get_num_threads()  # noqa: NPY002
    np.testing.assert_array_equal(clone(MODELS[k]).fit(annulus.X).metric_, expected)
    assert torch.equal(before[0], torch.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002
    assert before[2] == torch.get_num_threads()


def test_set_params_after_fit_destroys_nothing(annulus):
    model = ConnectomeMetric(method="spline", max_iter=2, window=(2, 3)).fit(annulus.X)
    expected = model.metric_
    model.set_params(knot_spacing=5, frame="world", affine=np.diag([3, 3, 1]), window=(3, 1))
    np.testing.assert_array_equal(model.metric_, expected)
    assert np.isfinite(model.score(annulus.X))


@pytest.mark.filterwarnings("ignore:.*not subjects")  # whose metric is that of all
def test_cross_validation_over_fields(annulus):
    X = np.concatenate(
        [make_fibers("annulus", size=32, noise=3, random_state=s).X for s in range(4)]
    )
    X = X[:, :16, :20]
    fit = {"method": "spline", "max_iter": 6, "window": (2, 3)}
    model = make_pipeline(FunctionTransformer(), ConnectomeMetric(**fit))
    assert (cross_validate(model, X, cv=2)["test_score"] > -0.1).all()
    zeros = np.zeros((4, 16 * 20))  # what geodesics have
    model.set_params(connectomemetric__max_iter=3)
    kwargs = {"cv": 2, "scoring": ["neg_mean_squared_error", "neg_mean_absolute_error"]}
    one = cross_validate(model, X, zeros, n_jobs=1, **kwargs)
    with joblib.parallel_config(backend="threading"):
        two = cross_validate(model, X, zeros, n_jobs=2, **kwargs)
    for name in kwargs["scoring"]:
        np.testing.assert_array_equal(one[f"test_{name}"], two[f"test_{name}"])
        assert (one[f"test_{name}"] < 0).all()


def test_grid_search_in_a_pipeline(braid):
    fit = {"method": "spline", "max_iter": 10, "window": (2, 3)}
    model = make_pipeline(FunctionTransformer(), ConnectomeMetric(**fit))
    every = [(np.arange(2), np.arange(2))]
    grid = {"connectomemetric__smoothness": [1e-6, 100.0]}
    search = GridSearchCV(model, grid, cv=every, refit=False, error_score="raise").fit(braid.X)
    assert search.best_params_ == {"connectomemetric__smoothness": 1e-6}


def test_input_is_not_modified_and_float32_is_welcome(annulus, fitted):
    X = annulus.X.astype(np.float32)
    before = X.copy()
    model = ConnectomeMetric().fit(X)
    np.testing.assert_array_equal(X, before)
    paths = [m.shoot(annulus.seeds[:5], annulus.directions[:5], 10.0) for m in (model, fitted)]
    np.testing.assert_allclose(*paths, atol=1e-2)


# ------------------------------------------------------------------ bad input


def _at(value):
    def spoil(X):
        X = X.copy()
        X[0, 16, 24] = value
        return X, None

    return spoil


BAD_X = {
    "mask of another shape": (lambda X: (X, np.ones((31, 32))), r"mask.*\(32, 32\).*\(31, 32\)"),
    "empty mask": (lambda X: (X, np.zeros((32, 32))), "mask is empty"),
    "mask of labels": (lambda X: (X, np.arange(1024).reshape(32, 32)), "mask must be 1"),
    "NaN inside the mask": (lambda X: (X, np.ones((32, 32))), "NaN inside the mask.*no field"),
    "NaN in one component": (_at([np.nan, 1]), r"some components.*voxel \(16, 24\)"),
    "zero vector": (_at([0, 0]), r"zero vectors.*field 0 at voxel \(16, 24\)"),
    "infinity": (_at([np.inf, 0]), "infinity"),
    "no field at all": (lambda X: (X * np.nan, None), "no vector at all"),
    "one field without vectors": (
        lambda X: (np.concatenate([X, X * np.nan]), None),
        "no vector at all in field 1",
    ),
    "fields without their axis": (lambda X: (X[0], None), "must have the shape"),
    "three components on a plane": (
        lambda X: (np.zeros((1, 8, 8, 3)), None),
        "must have the shape",
    ),
    "vectors first": (lambda X: (np.moveaxis(X, -1, 1), None), "must have the shape"),
    "flat": (lambda X: (X.reshape(1, -1), None), "must have the shape"),
    "a tiny grid": (lambda X: (X[:, :1], None), "at least 2 voxels"),
    "complex": (lambda X: (X * 1j, None), "Complex"),
    "text": (lambda X: (np.full(X.shape, "north"), None), "convert|numeric"),
}


@pytest.mark.parametrize("what", BAD_X)
@pytest.mark.parametrize("cls", [ConnectomeMetric, InverseTensorMetric])
def test_bad_fields_are_a_clear_error(annulus, cls, what):
    spoil, message = BAD_X[what]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        X, mask = spoil(annulus.X)
    with pytest.raises(ValueError, match=message):
        cls().fit(X, mask=mask)


def test_vectors_of_other_lengths_are_said_and_normalized(annulus):
    long = annulus.X * np.linspace(1, 3, 32)[:, None, None]
    fit = {"method": "fibers", "anisotropy": 100.0, "window": (2, 3)}
    with pytest.warns(UserWarning, match=r"not of unit length .from 1.*divided by"):
        model = ConnectomeMetric(**fit).fit(long)
    expected = ConnectomeMetric(**fit).fit(annulus.X).metric_
    np.testing.assert_allclose(model.metric_, expected, atol=1e-6)


def test_subjects_are_told_from_fibers_that_cross(annulus, braid):
    other = make_fibers("annulus", size=32, noise=5, random_state=1).X
    with pytest.warns(UserWarning, match="fibers that cross in one brain, not subjects"):
        InverseTensorMetric().fit(np.concatenate([annulus.X, other]))
    noisy = make_fibers("arcs", size=12, angle=30, noise=10, n_curves=1)
    for X in (braid.X, noisy.X):  # nothing is said of them
        InverseTensorMetric().fit(X)


BAD_PARAMS = {
    "method": ({"method": "adam"}, "'method' parameter"),
    "anisotropy": ({"anisotropy": 0.5}, "'anisotropy' parameter"),
    "frame": ({"frame": "ras"}, "'frame' parameter"),
    "spacing": ({"knot_spacing": 0}, "'knot_spacing' parameter"),
    "smoothness": ({"smoothness": -1.0}, "'smoothness' parameter"),
    "smoothness by another name": ({"smoothness": "high"}, "'smoothness' parameter"),
    "window": ({"window": 3}, "'window' parameter"),
    "window of three": ({"window": (3, 2, 1)}, "'window' parameter"),
    "iterations": ({"max_iter": 0}, "'max_iter' parameter"),
    "tolerance": ({"tol": -1.0}, "'tol' parameter"),
    "affine of another dimension": ({"affine": np.eye(4)}, r"affine.*\(3, 3\).*\(4, 4\)"),
    "affine that shears": ({"affine": [[1, 0.5, 0], [0, 1, 0], [0, 0, 1]]}, "shears"),
    "affine without a size": ({"affine": np.zeros((3, 3))}, "size"),
}


@pytest.mark.parametrize("what", BAD_PARAMS)
def test_bad_parameters_are_a_clear_error(annulus, what):
    params, message = BAD_PARAMS[what]
    with pytest.raises((ValueError, TypeError), match=message):
        ConnectomeMetric(**params).fit(annulus.X)


@pytest.mark.parametrize("params", [{"n_layers": (2, 2)}, {"lr": 0.0}])
def test_bad_parameters_of_the_network(annulus, params):
    with pytest.raises(ValueError, match=f"{next(iter(params))!r} parameter"):
        ConvolutionalMetric(**params).fit(annulus.X)


def test_transform_of_other_grids_and_outside_the_mask(annulus, fitted):
    with pytest.raises(ValueError, match=r"grid \(31, 32\).*fitted with \(32, 32\)"):
        fitted.transform(annulus.X[:, 1:])
    everywhere = np.broadcast_to([1.0, 0.0], annulus.X.shape)
    found = fitted.transform(everywhere)[0, ..., 0]
    np.testing.assert_array_equal(np.isfinite(found), annulus.mask)  # no answer elsewhere
    elsewhere = np.where(annulus.mask[..., None], np.nan, everywhere)
    with pytest.raises(ValueError, match="field 0 .*no vector inside the mask of fit"):
        fitted.transform(elsewhere)


@pytest.mark.parametrize("absent", [0.0, np.nan])
def test_peaks_in_the_layout_of_dipy_are_an_error(absent):
    peaks = np.full((12, 11, 10, 5, 3), absent)
    peaks[2:9, :, :, 0] = [0.0, 1.0, 0.0]
    peaks[4:6, :, :, 1] = [1.0, 0.0, 0.0]
    with pytest.raises(ValueError, match=r"as dipy has them.*np.moveaxis\(X, 3, 0\)"):
        ConnectomeMetric().fit(peaks)
    X = np.moveaxis(peaks, 3, 0)[:2]
    check_fields(np.where(X.any(-1, keepdims=True), X, np.nan))
    with pytest.raises(ValueError, match="as dipy has them"):
        check_fields(peaks[..., :1, :])
    with pytest.raises(ValueError, match="at least 2 voxels along each axis"):
        check_fields(X[:, :, :, :1])  # a slice, no peaks of dipy
