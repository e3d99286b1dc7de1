"""What holds for every estimator, whatever the data look like."""

from functools import cache

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from robustness.worlds import METRICS, STATES, THRESHOLDS, public_estimators, world

NAMES = [cls.__name__ for cls in public_estimators()]
BY_SAMPLE = [name for name in NAMES if name not in METRICS]
few = settings(max_examples=4, derandomize=True, deadline=None, database=None)


@cache
def fitted(name):
    return world(name).fitted()


def same(one, two, **tolerance):
    for a, b in zip(one, two, strict=True):
        if tolerance:
            np.testing.assert_allclose(a, b, **tolerance)
        else:
            np.testing.assert_array_equal(a, b)


# Sums in another order: float32 in the networks, float64 elsewhere.
def rounding(name):
    deep = "max_epochs" in world(name).model().get_params()
    return {"rtol": 2e-3, "atol": 2e-4} if deep else {"rtol": 1e-6, "atol": 1e-9}


@pytest.mark.parametrize("name", NAMES)
def test_fitting_twice_is_fitting_once(name):
    tiny = world(name)
    model = tiny.fit(tiny.fitted(), tiny.X, tiny.y)
    same(tiny.results(model), tiny.results(fitted(name)))
    same(tiny.results(tiny.fit(clone(model), tiny.X, tiny.y)), tiny.results(model))


@pytest.mark.parametrize("name", NAMES)
def test_global_generators_and_threads_are_neither_used_nor_changed(name):
    def state():
        legacy = np.random.get_state()[1].copy()  # noqa: NPY002
        return torch.get_rng_state().numpy(), legacy, torch.get_num_threads()

    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    before = state()
    found = world(name).results(world(name).fitted())
    same(before, state())
    same(found, world(name).results(fitted(name)))


@pytest.mark.parametrize("name", BY_SAMPLE)
@few
@given(seed=st.integers(0, 2**32 - 1))
def test_results_belong_to_samples_whatever_their_order_and_number(name, seed):
    tiny, model = world(name), fitted(name)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(tiny.X))
    some = order[: rng.integers(1, len(order) + 1)]
    whole = tiny.results(model)
    for chosen in (order, some):
        same(tiny.results(model, tiny.X[chosen]), [r[chosen] for r in whole], **rounding(name))


@pytest.mark.parametrize("name", ("ConnectomeMetric",))
def test_residuals_belong_to_fields(name):
    tiny, model = world(name), fitted(name)
    two = np.concatenate([tiny.X, -tiny.X])
    one = model.transform(tiny.X)
    same(model.transform(two), np.concatenate([one, one]), rtol=1e-9)


@pytest.mark.parametrize("name", NAMES)
@few
@given(data=st.data())
def test_nan_or_infinity_anywhere_is_an_error(name, data):
    tiny = world(name)
    value = data.draw(st.sampled_from([np.nan, np.inf, -np.inf]))
    there = np.argwhere(np.isfinite(tiny.X))
    where = tuple(there[data.draw(st.integers(0, len(there) - 1))])
    X = np.array(tiny.X, dtype=float)
    X[where] = value
    with pytest.raises(ValueError, match="NaN|nan|infinity|finite"):
        tiny.fit(tiny.model(), X, tiny.y)
    method = next((m for m in (*tiny.outputs, "transform") if m != "metric_"), None)
    if hasattr(fitted(name), method):
        with pytest.raises(ValueError, match="NaN|nan|infinity|finite"):
            getattr(fitted(name), method)(X)
    if tiny.y is not None and tiny.y.dtype.kind == "f":
        y = tiny.y.copy()
        y.flat[data.draw(st.integers(0, y.size - 1))] = value
        if np.isinf(value) or name not in THRESHOLDS:  # there NaN: no threshold was found
            with pytest.raises(ValueError, match="NaN|nan|infinity|finite"):
                tiny.fit(tiny.model(), tiny.X, y)


LAYOUTS = ("float64", "float32", "read-only", "fortran", "strided", "mapped", "mapped, read-only")


def laid_out(array, layout, folder):
    if array is None or array.dtype.kind != "f":
        return array
    if layout in ("float64", "float32"):
        return array.astype(layout)
    if layout == "read-only":
        array = array.copy()
        array.flags.writeable = False
        return array
    if layout == "fortran":
        return np.asfortranarray(array)
    if layout == "strided":
        wide = np.repeat(array, 2, axis=0)[::2]
        return wide if array.ndim == 1 else np.repeat(wide, 3, axis=-1)[..., ::3]
    path = folder / f"{array.shape}.npy"
    np.save(path, array)
    return np.load(path, mmap_mode="r" if "read-only" in layout else "r+")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", NAMES)
def test_layout_and_precision_do_not_matter_and_nothing_is_changed(name, layout, tmp_path):
    tiny = world(name)
    X, y = (laid_out(a, layout, tmp_path) for a in (tiny.X, tiny.y))
    before = np.array(X), None if y is None else np.array(y)
    model = tiny.fit(tiny.model(), X, y)
    found = tiny.results(model, X)
    np.testing.assert_array_equal(X, before[0])
    if y is not None:
        np.testing.assert_array_equal(y, before[1])
    if layout != "float32":
        same(found, tiny.results(fitted(name)), **rounding(name))
        return
    for a, b in zip(found, tiny.results(fitted(name)), strict=True):
        if b.dtype.kind == "f":
            scale = np.nanmax(np.abs(b))
            assert np.nanmedian(np.abs(a - b)) < 1e-2 * scale
        else:
            assert np.mean(a == b) > 0.9


TABLES = ("DeepRecurrentEncoder", "TemporalReceptiveField", "ChannelScaler", *THRESHOLDS, *STATES)


@pytest.mark.filterwarnings("ignore:Do not trust these states")  # one short recording
@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_pandas_is_an_array(name):
    tiny = world(name)
    if name in STATES:
        X, y = tiny.X[0].T, None  # one recording, samples first
        params = {}
    else:
        X, y = tiny.X.reshape(len(tiny.X), -1), tiny.y
        params = {}
        if name not in THRESHOLDS:
            X, y = tiny.X[:, :2, 0], None if y is None else y[:, :, 0]
            params = {"subject_row": None, "initial_rows": None, "n_initial": 0}
    frame = pd.DataFrame(X, columns=[f"c{i}" for i in range(X.shape[1])])
    kept = frame.copy()
    one = tiny.fit(tiny.model(**params), X, y)
    two = tiny.fit(tiny.model(**params), frame, y)
    same(tiny.results(two, frame), tiny.results(one, X))
    assert list(two.feature_names_in_) == list(frame.columns)
    pd.testing.assert_frame_equal(frame, kept)
    with pytest.raises(ValueError, match="feature names"):
        tiny.results(two, frame[frame.columns[::-1]])


def _fit_and_use(name):
    tiny = world(name)
    return tiny.results(tiny.fitted())


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_in_other_processes_and_threads_every_estimator_gives_the_same_bits(backend):
    jobs = (joblib.delayed(_fit_and_use)(name) for name in NAMES)
    for name, found in zip(NAMES, joblib.Parallel(2, backend=backend)(jobs), strict=True):
        same(found, world(name).results(fitted(name)))
