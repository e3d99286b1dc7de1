"""Features against plain loops, and windows that do not depend on what is computed beside them."""

import math

import mne
import numpy as np
import pytest
from _nerve_world import SFREQ, nerve
from scipy.linalg import logm
from sklearn.base import clone

from sklearn_meg.nerve import FEATURE_NAMES, NerveFeatures

SIZE, HOP = 40, 15


def loops(w, low, high):
    """The 14 features of one window of one channel, sample by sample."""
    n = len(w)
    step = [w[i + 1] - w[i] for i in range(n - 1)]
    large = [abs(s) > low for s in step]
    half = n // 2
    inner = [0.5 if (i + 0.5) / n < 0.25 or (i + 0.5) / n > 0.75 else 1.0 for i in range(n)]
    absolute = [abs(x) for x in w]
    return {
        "zc": sum(w[i] * w[i + 1] < 0 and large[i] for i in range(n - 1)),
        "ssc": sum(step[i] * step[i + 1] < 0 and (large[i] or large[i + 1]) for i in range(n - 2)),
        "wl": sum(abs(s) for s in step),
        "wamp": sum(abs(s) > high for s in step),
        "mav": sum(absolute) / n,
        "ms": sum(x * x for x in w) / n,
        "rms": math.sqrt(sum(x * x for x in w) / n),
        "v3": (sum(a**3 for a in absolute) / n) ** (1 / 3),
        "logd": math.exp(sum(math.log(a + 1e-3 * low) for a in absolute) / n),
        "dasd": math.sqrt(sum(s * s for s in step) / (n - 1)),
        "mfl": math.log10(math.sqrt(sum(s * s for s in step)) + 1e-3 * low),
        "mpr": sum(a > high for a in absolute) / n,
        "mavs": sum(absolute[n - half :]) / half - sum(absolute[:half]) / half,
        "wmav": sum(weight * a for weight, a in zip(inner, absolute)) / n,
    }


@pytest.fixture(scope="module")
def signal():
    rng = np.random.default_rng(0)
    return rng.normal(size=(2, 3, 130)) * np.array([1.0, 20.0, 1e-3])[:, np.newaxis]


def test_each_feature_is_the_plain_loop(signal):
    model = NerveFeatures(sfreq=1.0, window=SIZE, hop=HOP, covariance=False).fit(signal)
    features = model.transform(signal)
    assert features.shape == (2, 3 * 14, (130 - SIZE) // HOP + 1)
    for trial in range(2):
        for channel in range(3):
            low, high = 0.1 * signal[:, channel].std(), 0.5 * signal[:, channel].std()
            for k in range(features.shape[2]):
                window = signal[trial, channel, k * HOP : k * HOP + SIZE]
                expected = [loops(window, low, high)[name] for name in FEATURE_NAMES]
                got = features[trial, 14 * channel : 14 * (channel + 1), k]
                np.testing.assert_allclose(got, expected, rtol=1e-7, atol=1e-12)


def test_log_covariance_is_that_of_scipy(signal):
    model = NerveFeatures(sfreq=1.0, window=SIZE, hop=HOP, features=None).fit(signal)
    features = model.transform(signal)
    floor = np.diag((0.1 * signal.std(axis=(0, 2))) ** 2)
    i, j = np.triu_indices(3)
    for k in range(features.shape[2]):
        window = signal[1, :, k * HOP : k * HOP + SIZE]
        steps = np.diff(window)
        for found, x, power in (
            (features[1, :6, k], window, floor),
            (features[1, 6:, k], steps, 0.1 * floor),
        ):
            expected = logm(x @ x.T / x.shape[1] + power)
            # Distances in the triangle are those of the matrices.
            assert np.linalg.norm(found) == pytest.approx(np.linalg.norm(expected))
            expected = expected[i, j] * np.where(i == j, 1, np.sqrt(2))
            np.testing.assert_allclose(found, expected, atol=1e-9)


def test_a_window_alone_has_the_bits_it_has_in_a_batch():
    X = nerve().X[:5]
    model = NerveFeatures(sfreq=SFREQ, session_row=-1).fit(X)
    whole = model.transform(X)
    size, hop = model.window_samples_, model.hop_samples_
    for k in range(whole.shape[2]):
        alone = model.transform(X[3:4, :, k * hop : k * hop + size])
        np.testing.assert_array_equal(alone[0, :, 0], whole[3, :, k])
    np.testing.assert_array_equal(np.concatenate([model.transform(x[None]) for x in X]), whole)


def test_names_go_with_what_they_name(signal):
    every = NerveFeatures(sfreq=1.0, window=SIZE, hop=HOP).fit(signal)
    names = every.get_feature_names_out().tolist()
    F = every.transform(signal)
    assert F.shape[1] == len(names) == every.n_features_out_
    some = clone(every).set_params(features=["rms", "zc"], covariance=False).fit(signal)
    columns = [names.index(name) for name in some.get_feature_names_out()]
    assert some.get_feature_names_out().tolist()[:3] == ["ch0_rms", "ch0_zc", "ch1_rms"]
    np.testing.assert_array_equal(some.transform(signal), F[:, columns])


def test_session_is_the_last_row():
    data = nerve()
    model = NerveFeatures(sfreq=SFREQ, session_row=-1)
    F = model.fit_transform(data.X)
    np.testing.assert_array_equal(F[:, -1], np.repeat(data.session[:, None], F.shape[2], axis=1))
    first = np.roll(data.X, 1, axis=1)
    np.testing.assert_array_equal(model.set_params(session_row=0).fit_transform(first), F)
    assert model.get_feature_names_out()[-1] == "session"


def test_windows_end_where_they_say():
    model = NerveFeatures(sfreq=100.0, window=0.1, hop=0.03)
    ends = model.window_ends(50)
    ramp = np.arange(50.0)
    np.testing.assert_allclose(ends, (model.at_windows(ramp) + 1) / 100)
    rms = NerveFeatures(sfreq=100.0, window=0.01, hop=0.03, features=["rms"], covariance=False)
    np.testing.assert_array_equal(
        rms.fit_transform(ramp[np.newaxis, np.newaxis])[0, 0], rms.at_windows(ramp)
    )


@pytest.mark.parametrize("kind", ["float32", "float64", "fortran", "memmap", "strided"])
def test_layout_does_not_matter_and_input_stays(kind, signal, tmp_path):
    X = signal.astype(np.float32)
    model = NerveFeatures(sfreq=1.0, window=SIZE, hop=HOP).fit(X)
    expected = model.transform(X)
    if kind == "float64":
        X = X.astype(float)
    elif kind == "fortran":
        X = np.asfortranarray(X)
    elif kind == "strided":
        X = np.repeat(X, 2, axis=2)[:, :, ::2]
    elif kind == "memmap":
        np.save(tmp_path / "X.npy", X)
        X = np.load(tmp_path / "X.npy", mmap_mode="r")
    before = np.array(X)
    got = clone(model).fit(X).transform(X)
    np.testing.assert_array_equal(X, before)
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


def test_flat_channels_have_features():
    X = np.random.default_rng(0).normal(size=(3, 2, 60))
    X[:, 1] = 0.0
    F = NerveFeatures(sfreq=1.0, window=20, hop=20).fit_transform(X)
    assert np.isfinite(F).all()


def test_epochs_of_muscles():
    signal = 1e-5 * np.random.default_rng(0).normal(size=(5, 4, 200))
    info = mne.create_info(4, 1000.0, "emg")
    info["bads"] = ["2"]
    epochs = mne.EpochsArray(signal, info, verbose=False)
    good = signal[:, [0, 1, 3]]
    model = NerveFeatures(sfreq=1000.0)
    np.testing.assert_array_equal(model.fit_transform(epochs), clone(model).fit_transform(good))
    epochs.set_channel_types({"0": "eeg"}, verbose=False, on_unit_change="ignore")
    assert model.fit(epochs).n_features_in_ == 1  # muscles beside a brain are no data
