"""A sampling rate that an MNE object knows is compared with the one a model is given."""

import mne
import numpy as np
import pytest

from sklearn_meg import NerveFeatures, TemporalReceptiveField, WindowClassifier
from sklearn_meg.dynamics import AmplitudeEnvelope


@pytest.fixture
def epochs():
    info = mne.create_info(3, 100.0, "eeg")
    data = np.random.default_rng(0).normal(size=(12, 3, 80))
    return mne.EpochsArray(data, info, verbose="error")


def test_another_rate_is_an_error(epochs):
    x, y = np.ones((12, 1, 80)), np.tile([0, 1], 6)
    raw = mne.io.RawArray(epochs.get_data(verbose="error")[0], epochs.info, verbose="error")
    with pytest.raises(ValueError, match="which is 100 Hz .* Got 1000"):
        TemporalReceptiveField(tmax=0.05, sfreq=1000).fit(x, epochs)
    with pytest.raises(ValueError, match="which is 100 Hz .* Got 1000"):
        WindowClassifier(sfreq=1000.0).fit(epochs, y)
    with pytest.raises(ValueError, match="which is 100 Hz .* Got 500"):
        NerveFeatures(sfreq=500.0).fit(epochs)
    with pytest.raises(ValueError, match="which is 100 Hz .* Got 250"):
        AmplitudeEnvelope().fit(raw)


def test_raw_signals_are_no_features(epochs):
    with pytest.raises(ValueError, match="sfreq must be the sampling rate"):
        WindowClassifier().fit(epochs, np.tile([0, 1], 6))


def test_features_that_are_too_small_for_every_penalty_warn():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(12, 1, 80))
    y = np.repeat(x, 2, axis=1) + rng.normal(size=(12, 2, 80))
    with pytest.warns(UserWarning, match="below the least of alphas"):
        TemporalReceptiveField(tmax=3).fit(1e-6 * x, y)
    assert TemporalReceptiveField(tmax=3).fit(x, y).score(x, y) > 0.3  # without a warning


def test_signals_in_another_unit_than_in_fit_are_doubted(epochs):
    X, y = epochs.get_data(verbose="error"), np.tile([0, 1], 6)
    X = X * (1 + 3 * y[:, None, None])
    model = WindowClassifier(sfreq=100.0).fit(X, y)
    with pytest.warns(UserWarning, match="1e-06 times as large as in fit"):
        model.predict(1e-6 * X)
    model.predict(0.2 * X)  # a gain of electrodes is no other unit: a warning would be an error
