"""Ordinary uses of scikit-learn that every estimator takes part in: routing, weights, data."""

from pathlib import Path

import mne
import numpy as np
import pytest
import sklearn
import torch
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from skorch.callbacks import EpochScoring

import sklearn_meg
from robustness.worlds import ENCODERS, public_estimators, world
from sklearn_meg import MinimumNorm, NerveDecoder, SubjectMean, TemporalReceptiveField
from sklearn_meg._checks.containers import as_numpy
from sklearn_meg._training import device
from sklearn_meg.base import TorchEstimator
from sklearn_meg.metrics import r2

NAMES = [cls.__name__ for cls in public_estimators()]
WITH_GROUPS = ("DeepRecurrentEncoder", "NerveDecoder", "NerveRegressor", "ThresholdCNN")
DEEP = [cls.__name__ for cls in public_estimators() if issubclass(cls, TorchEstimator)]
SOURCES = sorted(p for p in Path(sklearn_meg.__file__).parent.rglob("*.py"))
SOURCES = [path for path in SOURCES if ".double()" in path.read_text(encoding="utf-8")]
SCORED = [
    *ENCODERS,
    "KalmanRegressor",
    "MinimumNorm",
    "NerveRegressor",
    "RidgeThreshold",
    "ThresholdCNN",
    "WindowClassifier",
]


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.fixture
def epochs():
    rng = np.random.default_rng(0)
    info = mne.create_info(5, 1000.0, "mag")
    info["bads"] = ["4"]
    data = 1e-13 * rng.normal(size=(16, 5, 600))
    data[::2] *= 3
    return mne.EpochsArray(data, info, verbose=False)


# ---------------------------------------------------------------------- routing


@pytest.mark.parametrize("name", WITH_GROUPS)
def test_groups_reach_the_inner_validation_in_nested_cross_validation(name, routing):
    w = world(name)
    groups = np.arange(len(w.X)) // 2 % 8
    model = w.model(validation_fraction=0.2)
    search = GridSearchCV(model, {"lr": [1e-3]}, cv=GroupKFold(2), error_score="raise")
    scores = cross_validate(
        search, w.X, w.y, cv=GroupKFold(2), params={"groups": groups}, error_score="raise"
    )["test_score"]
    assert np.isfinite(scores).all()
    with pytest.raises(ValueError, match="inconsistent"):  # so they did arrive
        model.fit(w.X, w.y, groups=groups[1:])


@pytest.mark.parametrize("name", SCORED)
def test_score_of_a_pipeline_under_routing(name, routing):
    w = world(name)
    pipe = make_pipeline("passthrough", w.model()).fit(w.X, w.y)
    assert pipe.score(w.X, w.y) == pytest.approx(pipe[-1].score(w.X, w.y))


@pytest.mark.parametrize("name", SCORED)
def test_a_weight_in_score_is_the_trial_repeated(name):
    w = world(name)
    model = w.fitted()
    times = np.arange(len(w.X)) % 3
    repeated = model.score(np.repeat(w.X, times, axis=0), np.repeat(w.y, times, axis=0))
    assert model.score(w.X, w.y, sample_weight=times) == pytest.approx(repeated, abs=1e-9)
    assert model.score(w.X, w.y, np.ones(len(w.X))) == pytest.approx(model.score(w.X, w.y))


@pytest.mark.parametrize("weight", [np.ones(3), -np.ones(24), np.zeros(24), np.full(24, np.nan)])
def test_weights_that_are_none(weight):
    w = world("SubjectMean")
    with pytest.raises(ValueError, match="sample_weight"):
        w.fitted().score(w.X, w.y, sample_weight=weight)


def test_r2_with_weights_and_mask():
    rng = np.random.default_rng(0)
    y, y_pred = rng.normal(size=(2, 12, 3, 5))
    mask, times = rng.random((12, 5)) < 0.8, rng.integers(0, 4, 12)
    repeated = [np.repeat(a, times, axis=0) for a in (y, y_pred, mask)]
    expected = r2(*repeated[:2], mask=repeated[2])
    assert r2(y, y_pred, mask=mask, sample_weight=times) == pytest.approx(expected)
    half = r2(y, y_pred, mask=mask, sample_weight=times / 2)
    assert half == pytest.approx(expected)


# ---------------------------------------------------------------------- containers


@pytest.mark.filterwarnings("ignore:Do not trust these states")
@pytest.mark.parametrize("dispatch", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_tensors_are_arrays(name, dispatch, monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    w = world(name)
    if dispatch and name in ("BoostedThreshold", "MixtureStates"):
        pytest.skip("scikit-learn's PCA and GaussianMixture inside complain about their defaults")
    expected = w.results(w.fitted())
    tensors = [None if a is None else torch.from_numpy(np.array(a)) for a in (w.X, w.y)]
    with sklearn.config_context(array_api_dispatch=dispatch):
        found = w.results(w.fit(w.model(), *tensors), tensors[0])
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_array_equal(a, b)


def test_tensors_that_numpy_has_no_type_for():
    x = torch.ones(2, 3, dtype=torch.bfloat16, requires_grad=True)
    assert as_numpy(x).dtype == np.float32

    class Foreign:
        def __array_namespace__(self):
            return None

        def __array__(self, *args, **kwargs):
            raise TypeError("on a GPU")

    with pytest.raises(TypeError, match="Arrays on the CPU are expected. Got a .*Foreign"):
        as_numpy(Foreign())


def test_epochs_through_splitters(epochs):
    y = np.arange(16) % 2
    decoder = NerveDecoder(sfreq=1000.0, max_epochs=2, hidden_size=8, random_state=0)
    scores = cross_val_score(decoder, epochs, y, cv=2, error_score="raise")
    arrays = cross_val_score(decoder, epochs.get_data("data"), y, cv=2)
    np.testing.assert_array_equal(scores, arrays)
    X = np.ones((16, 1, 600))
    expected = cross_val_score(TemporalReceptiveField(), X, epochs.get_data("data"), cv=KFold(2))
    got = cross_val_score(TemporalReceptiveField(), X, epochs, cv=KFold(2), error_score="raise")
    np.testing.assert_allclose(got, expected)


def test_a_list_of_epochs_is_epochs(epochs):
    one = MinimumNorm().fit(epochs)
    listed = MinimumNorm().fit([epochs[i] for i in range(len(epochs))])
    np.testing.assert_allclose(listed.transform(epochs), one.transform(epochs))
    other = epochs.copy().pick([0, 1])
    with pytest.raises(ValueError, match="share channels and times. Got 5 .*, 2 channels"):
        SubjectMean().fit(np.ones((17, 1, 600)), [*(epochs[i] for i in range(16)), other[0]])


# ---------------------------------------------------------------------- skorch


def test_scores_of_callbacks_are_in_the_history():
    w = world("NerveRegressor")

    def error(net, X, y=None):
        return 2.5

    scoring = EpochScoring(error, name="mine", use_caching=False)
    history = w.fitted(callbacks=[scoring], validation_fraction=0.2).history_
    assert [epoch["mine"] for epoch in history] == [2.5] * 3
    assert not any("batch" in key for key in history[0])


def test_the_device_that_auto_takes(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert device.resolve_device("auto").type == "mps"
    assert device.resolve_device("auto", dtype="float64").type == "cpu"


@pytest.mark.parametrize("name", DEEP)
def test_what_moves_to_a_device_has_no_float64(name):
    model = world(name).fitted()  # the GPU of Apple has none
    parts = [model._module_class(**model._fitted_params), model._criterion()]
    moved = [each for part in parts for each in (*part.parameters(), *part.buffers())]
    assert not [each.shape for each in moved if each.dtype == torch.float64]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_tensors_become_float64_on_the_cpu_only(path):
    text = path.read_text(encoding="utf-8")
    assert text.count(".double()") == text.count(".cpu().double()")


def test_the_html_of_an_estimator_links_to_its_page():
    for model in (TemporalReceptiveField(), NerveDecoder(sfreq=1000.0)):
        name = type(model).__name__
        assert f"generated/sklearn_meg.{name}.html" in model._repr_html_()
