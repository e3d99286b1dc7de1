"""Models in files: the same to the last bit, and nothing in a file is ever run."""

import pickle
import sys
import warnings
from pathlib import Path

import joblib
import mne
import numpy as np
import pytest
import skops.io
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from skorch.callbacks import EarlyStopping

from robustness import files
from robustness.worlds import public_estimators, world
from sklearn_meg import (
    ChannelScaler,
    DeepRecurrentEncoder,
    FileFormatError,
    HiddenMarkovGraph,
    MinimumNorm,
    NerveDecoder,
    WindowClassifier,
    load,
    save,
)
from sklearn_meg.dynamics import TimeDelayEmbedding

sys.path.append(str(Path(__file__).parent / "source"))
from _worlds import sphere_forward

NAMES = [cls.__name__ for cls in public_estimators()]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def assert_same_results(name, one, two):
    for a, b in zip(world(name).results(one), world(name).results(two), strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype


@pytest.mark.parametrize("name", NAMES)
def test_every_estimator_comes_back_the_same(name, path):
    model = world(name).fitted()
    save(model, path)
    assert_same_results(name, load(path), model)
    again = load(path)
    save(again, path)
    assert_same_results(name, load(path), model)
    refitted = world(name).fit(clone(again), world(name).X, world(name).y)
    assert_same_results(name, refitted, model)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_fitted_comes_back_with_its_parameters(name, path):
    model = world(name).model()
    save(model, path)
    assert repr(load(path).get_params()) == repr(model.get_params())


@pytest.mark.parametrize("name", NAMES)
def test_pickle_joblib_and_skops_with_one_trusted_type(name, tmp_path):
    model = world(name).fitted()
    assert_same_results(name, pickle.loads(pickle.dumps(model)), model)
    joblib.dump(model, tmp_path / "model.joblib")
    assert_same_results(name, joblib.load(tmp_path / "model.joblib"), model)
    data = skops.io.dumps(model)
    types = skops.io.get_untrusted_types(data=data)
    own = [t for t in types if t.startswith("sklearn_meg")]
    assert own == [f"{type(model).__module__}.{name}"]
    if name != "BoostedThreshold":  # trees of scikit-learn, which skops asks about
        assert types == own
    assert_same_results(name, skops.io.loads(data, trusted=types), model)


def test_pipelines_and_foreign_estimators(path):
    tiny = world("DeepRecurrentEncoder")
    rows = {k: tiny.params[k] for k in ("subject_row", "initial_rows", "n_initial")}
    pipe = make_pipeline(ChannelScaler(**rows), tiny.model()).fit(tiny.X, tiny.y)
    save(pipe, path)
    np.testing.assert_array_equal(load(path).predict(tiny.X), pipe.predict(tiny.X))
    tiny = world("WindowClassifier")
    for estimator in (LogisticRegression(), RandomForestClassifier(3, random_state=0)):
        model = tiny.fitted(estimator=estimator)
        save(model, path)
        np.testing.assert_array_equal(load(path).predict_proba(tiny.X), model.predict_proba(tiny.X))


def test_a_search_says_what_to_save_instead(path):
    tiny = world("NerveDecoder")
    search = GridSearchCV(tiny.model(), {"lr": [1e-3, 3e-3]}, cv=2).fit(tiny.X, tiny.y)
    with pytest.raises(TypeError, match="best_estimator_"):
        save(search, path)
    save(search.best_estimator_, path)
    np.testing.assert_array_equal(load(path).predict(tiny.X), search.predict(tiny.X))


def test_objects_of_mne_come_back(path):
    info, forward = sphere_forward()
    rng = np.random.default_rng(0)
    X = (np.arange(20) > 5) * np.ones((6, 1, 1))
    y = 1e-13 * rng.normal(size=(6, 40, 20))
    cov = mne.make_ad_hoc_cov(info, verbose="error")
    model = MinimumNorm(forward=forward, info=info, noise_cov=cov).fit(X, y)
    save(model, path)
    again = load(path)
    assert type(again.forward) is mne.Forward
    assert type(again.info) is mne.Info
    assert type(again.noise_cov) is mne.Covariance
    assert again.info.ch_names == info.ch_names
    np.testing.assert_array_equal(again.info["chs"][3]["loc"], info["chs"][3]["loc"])
    assert mne.pick_info(again.info, [0, 1])["nchan"] == 2  # it is alive
    np.testing.assert_array_equal(again.transform(X), model.transform(X))
    np.testing.assert_array_equal(clone(again).fit(X, y).transform(X), model.transform(X))


def test_estimators_of_the_domains_that_are_not_at_the_top(path):
    X = np.random.default_rng(0).normal(size=(2, 3, 100))
    model = TimeDelayEmbedding().fit(X)
    save(model, path)
    np.testing.assert_array_equal(load(path).transform(X), model.transform(X))


@pytest.mark.parametrize("kind", ["little", "fortran", "text", "complex", "structured", "empty"])
def test_arrays_of_any_kind_come_back(kind, path):
    array = {
        "little": np.arange(3.0).astype(">f8"),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "text": np.array([["a", "bcd"]]),
        "complex": np.arange(4).reshape(2, 2) * 1j,
        "structured": np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
        "empty": np.zeros((0, 3)),
    }[kind]
    values = [array, array[:1], (None, True, 3, -1.5, np.nan, np.inf, "x"), {1: slice(2, None)}]
    save(HiddenMarkovGraph(windows=values), path)
    again = load(path).windows
    for a, b in zip(again[:2], values[:2], strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    assert again[0].flags.f_contiguous == array.flags.f_contiguous  # the last bit may hang on it
    assert repr(again[2:]) == repr(values[2:])


@pytest.mark.parametrize(
    "params, name",
    [
        ({"callbacks": [EarlyStopping()]}, r"NerveDecoder.callbacks\[0\].*EarlyStopping"),
        ({"net_params": {"optimizer": type}}, r"NerveDecoder.net_params\['optimizer'\].*type"),
        ({"validation_split": len}, "NerveDecoder.validation_split"),
    ],
)
def test_what_cannot_be_saved_is_named_and_the_file_that_was_there_stays(params, name, path):
    path.write_text("before")
    with pytest.raises(TypeError, match=name):
        save(NerveDecoder(**params), path)
    assert path.read_text() == "before"


@pytest.mark.parametrize("wrong", [None, 3, NerveDecoder, [NerveDecoder()]])
def test_only_estimators_are_saved(wrong, path):
    with pytest.raises(TypeError, match="must be an estimator"):
        save(wrong, path)
    with pytest.raises(TypeError, match="path must be"):
        save(NerveDecoder(), 3)
    with pytest.raises(TypeError, match="path must be"):
        load(None)


def test_a_file_that_is_not_there(path):
    with pytest.raises(FileNotFoundError, match="model.safetensors"):
        load(path)


def test_a_gpu_that_is_not_there_is_not_needed(path):
    tiny = world("NerveDecoder")
    model = tiny.fitted(device="cpu")
    expected = model.predict_proba(tiny.X)
    model.device_ = "cuda:7"
    save(model, path)
    assert load(path).device_ == "cpu"
    np.testing.assert_array_equal(load(path).predict_proba(tiny.X), expected)


def test_another_version_is_a_warning(path, monkeypatch):
    save(HiddenMarkovGraph(n_states=3), path)
    monkeypatch.setattr("sklearn_meg._saving.model_file.versions", lambda: {"sklearn_meg": "99.0"})
    with pytest.warns(UserWarning, match=r"written by sklearn_meg .*; this is 99\.0"):
        assert load(path).n_states == 3


def test_the_payloads_of_these_tests_would_be_run_by_pickle(tmp_path):
    mark = tmp_path / "mark"
    pickle.loads(files.MALICIOUS["pickle"](mark))
    assert mark.exists()


@pytest.mark.parametrize("name", files.MALICIOUS)
def test_a_malicious_file_is_an_error_and_never_run(name, path, tmp_path):
    mark = tmp_path / "mark"
    path.write_bytes(files.MALICIOUS[name](mark))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its version
        with pytest.raises(FileFormatError, match="model.safetensors"):
            load(path)
    assert not mark.exists()


def test_a_file_that_was_cut_off_or_changed_anywhere_is_an_error(path):
    model = world("WindowClassifier").fitted()
    save(model, path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(20):
        path.write_bytes(whole[: rng.integers(len(whole))])
        with pytest.raises(FileFormatError):
            load(path)
    harmless = 0
    for _ in range(60):
        data = bytearray(whole)
        data[rng.integers(len(data))] ^= 1 << rng.integers(8)
        path.write_bytes(bytes(data))
        try:
            again = load(path)
        except FileFormatError:
            continue
        harmless += 1  # blanks at the end of the header
        assert_same_results("WindowClassifier", again, model)
    assert harmless < 10


def test_deep_models_hold_no_torch_in_what_they_save(path):
    model = world("DeepRecurrentEncoder").fitted()
    assert isinstance(model, DeepRecurrentEncoder)
    state = model.__getstate__()
    assert "net_" not in state
    save(WindowClassifier(), path)
    assert b"torch.nn" not in path.read_bytes()
