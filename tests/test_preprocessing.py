"""ChannelScaler: what it leaves alone, and that it can be undone."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import RobustScaler, StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from sklearn_meg import ChannelScaler, pack_rows


@pytest.fixture
def packed():
    rng = np.random.default_rng(0)
    subjects = np.repeat([0, 1, 2], 20)
    features = rng.normal(3, 2, size=(60, 2, 30))
    meg = (1 + subjects[:, None, None]) * rng.normal(5, 1e-2, size=(60, 4, 30))
    X, rows = pack_rows(features, subjects=subjects, initial=meg, n_initial=8)
    return X, rows, subjects


def test_sklearn_checks():
    results = check_estimator(ChannelScaler(), on_fail=None, on_skip=None)
    assert [r["check_name"] for r in results if r["status"] == "failed"] == []


@pytest.mark.parametrize("method, peer", [("robust", RobustScaler), ("standard", StandardScaler)])
def test_equals_sklearn_in_2d(method, peer):
    X = np.random.default_rng(0).normal([1, -5, 1e-13], [1, 20, 1e-13], size=(101, 3))
    scaler = ChannelScaler(method=method)
    np.testing.assert_allclose(scaler.fit_transform(X), peer().fit_transform(X), rtol=1e-10)
    np.testing.assert_allclose(scaler.inverse_transform(scaler.transform(X)), X, rtol=1e-10)


@pytest.mark.parametrize("method, peer", [("robust", RobustScaler), ("standard", StandardScaler)])
def test_3d_is_over_trials_and_times(method, peer):
    X = np.random.default_rng(1).normal(size=(7, 3, 11)) * [[[1], [10], [1e-13]]]
    flat = X.swapaxes(1, 2).reshape(-1, 3)
    expected = peer().fit_transform(flat).reshape(7, 11, 3).swapaxes(1, 2)
    np.testing.assert_allclose(ChannelScaler(method=method).fit_transform(X), expected, rtol=1e-10)


@pytest.mark.parametrize("method", ["robust", "standard"])
@pytest.mark.parametrize("by_subject", [False, True])
def test_rows(packed, method, by_subject):
    X, rows, subjects = packed
    before = X.copy()
    scaler = ChannelScaler(method=method, by_subject=by_subject, clip=2.0, **rows)
    Z = scaler.fit_transform(X)
    np.testing.assert_array_equal(X, before)
    np.testing.assert_array_equal(Z[:, 2], X[:, 2])
    assert (Z[:, 3:, 8:] == 0).all()
    changed = np.delete(Z, 2, axis=1)
    assert np.abs(changed).max() == 2.0
    window = Z[:, 3:, :8]
    assert (window != 0).all()
    means = [np.abs(np.median(window[subjects == s], axis=(0, 2))).max() for s in range(3)]
    assert (max(means) < 0.2) == by_subject


def test_initial_window_alone_decides(packed):
    X, rows, _ = packed
    other = X.copy()
    other[:, 3:, 8:] = 1e6
    a, b = ChannelScaler(**rows).fit(X), ChannelScaler(**rows).fit(other)
    np.testing.assert_array_equal(a.center_, b.center_)
    np.testing.assert_array_equal(a.scale_, b.scale_)


@pytest.mark.parametrize("by_subject", [False, True])
def test_inverse(packed, by_subject):
    X, rows, _ = packed
    scaler = ChannelScaler(by_subject=by_subject, **rows).fit(X)
    np.testing.assert_allclose(scaler.inverse_transform(scaler.transform(X)), X, rtol=1e-10)


def test_unseen_subject_gets_the_population(packed):
    X, rows, subjects = packed
    seen = X[subjects != 1]
    new = X[subjects == 1]
    Z = ChannelScaler(by_subject=True, **rows).fit(seen).transform(new)
    np.testing.assert_array_equal(Z, ChannelScaler(**rows).fit(seen).transform(new))


def test_constant_and_mostly_zero_rows():
    X = np.zeros((10, 3, 20))
    X[:, 0] = 0.1
    X[:, 1, 3:5] = np.random.default_rng(0).normal(size=(10, 2))
    X[:, 2] = np.random.default_rng(0).normal(size=(10, 20))
    for method in ("robust", "standard"):
        scaler = ChannelScaler(method=method).fit(X)
        assert scaler.scale_[0] == 1
        np.testing.assert_allclose(scaler.scale_[1], X[:, 1].std())
        np.testing.assert_allclose(scaler.transform(X)[:, 0], 0, atol=1e-12)


def test_without_centering():
    X = np.random.default_rng(0).normal(5, 1, size=(10, 2, 20))
    scaler = ChannelScaler(method="standard", with_centering=False).fit(X)
    np.testing.assert_allclose(scaler.transform(X), X / X.std(axis=(0, 2), keepdims=True))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_memory_layouts_agree(tmp_path, packed, order, dtype, monkeypatch):
    X, rows, _ = packed
    X = X.astype(dtype)
    expected = ChannelScaler(**rows).fit(X)
    mapped = np.memmap(tmp_path / "x", dtype, "w+", shape=X.shape, order=order)
    mapped[:] = X
    mapped.flush()
    mapped = np.memmap(tmp_path / "x", dtype, "r", shape=X.shape, order=order)
    monkeypatch.setattr("sklearn_meg.preprocessing.BLOCK_BYTES", 20_000)  # one row at a time
    scaler = ChannelScaler(**rows).fit(mapped)
    np.testing.assert_allclose(scaler.scale_, expected.scale_, rtol=1e-12)
    Z = scaler.transform(mapped)
    assert Z.dtype == dtype
    np.testing.assert_allclose(Z, expected.transform(X), rtol=1e-5, atol=1e-6)


def test_mne_objects():
    mne = pytest.importorskip("mne")
    data = 1e-13 * np.random.default_rng(0).normal(size=(12, 3, 20))
    epochs = mne.EpochsArray(data, mne.create_info(3, 100.0, "mag"), verbose="error")
    np.testing.assert_array_equal(
        ChannelScaler().fit_transform(epochs), ChannelScaler().fit_transform(data)
    )


class TinyEncoder(RegressorMixin, BaseEstimator):
    """Least squares between 3-D arrays."""

    def fit(self, X, y):
        self.shape_ = y.shape[1:]
        self.linear_ = LinearRegression().fit(X.reshape(len(X), -1), y.reshape(len(y), -1))
        self.largest_ = np.abs(y).max()
        return self

    def predict(self, X):
        return self.linear_.predict(X.reshape(len(X), -1)).reshape(-1, *self.shape_)


def test_target_transformer_in_3d():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 2, 5))
    y = 1e-13 * (X[:, :1] + [[[1.0], [2.0], [3.0]]] + 0.1 * rng.normal(size=(40, 3, 5)))
    plain = TinyEncoder().fit(X, y).predict(X)
    model = TransformedTargetRegressor(
        make_pipeline(ChannelScaler(), TinyEncoder()),
        transformer=ChannelScaler(),
        check_inverse=True,
    ).fit(X, y)
    assert model.regressor_[-1].largest_ > 1
    np.testing.assert_allclose(model.predict(X), plain, rtol=1e-6)
    flat = TransformedTargetRegressor(LinearRegression(), transformer=ChannelScaler())
    assert flat.fit(X[:, :, 0], y[:, 0, 0]).predict(X[:, :, 0]).shape == (40,)


def test_refit_forgets_subjects(packed):
    X, rows, _ = packed
    scaler = ChannelScaler(by_subject=True, **rows).fit(X)
    refitted = scaler.set_params(by_subject=False).fit(X).transform(X)
    np.testing.assert_array_equal(refitted, clone(scaler).fit(X).transform(X))


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"method": "minmax"}, "'method' parameter of ChannelScaler must be one of"),
        ({"clip": 0.0}, "'clip' parameter"),
        ({"by_subject": True}, "by_subject=True needs subject_row"),
        ({"subject_row": 9}, "subject_row"),
        ({"initial_rows": [1]}, "n_initial"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        ChannelScaler(**parameters).fit(np.ones((4, 3, 5)))


def test_bad_input():
    scaler = ChannelScaler().fit(np.random.default_rng(0).normal(size=(4, 3, 5)))
    with pytest.raises(ValueError, match="3 features"):
        scaler.transform(np.ones((4, 2, 5)))
    with pytest.raises(ValueError, match="5"):
        scaler.inverse_transform(np.ones((4, 3, 6)))
    with pytest.raises(ValueError, match="NaN"):
        scaler.transform(np.full((4, 3, 5), np.nan))


def test_skops(packed):
    io = pytest.importorskip("skops.io")
    X, rows, _ = packed
    scaler = ChannelScaler(by_subject=True, clip=16.0, **rows).fit(X)
    data = io.dumps(scaler)
    assert io.get_untrusted_types(data=data) == ["sklearn_meg.preprocessing.ChannelScaler"]
    again = io.loads(data, trusted=io.get_untrusted_types(data=data))
    np.testing.assert_array_equal(again.transform(X), scaler.transform(X))
