"""Noise that depends on its past has no states, and is told from recordings that have some."""

import numpy as np
import pytest
from scipy.signal import lfilter

from sklearn_meg.datasets import make_states
from sklearn_meg.dynamics import HiddenMarkovGraph, StateWarning


def model():
    return HiddenMarkovGraph(n_states=2, n_init=3, random_state=0)


@pytest.mark.parametrize("missing", [False, True])
def test_noise_without_states_is_told_though_its_states_come_back_in_halves(missing):
    mixing = np.array([[1.0, 0.0, 0.0], [0.8, 0.6, 0.0], [0.6, 0.5, 0.6]])
    noise = np.random.default_rng(3).normal(size=(8, 3, 400))
    X = lfilter([1.0], [1.0, -0.8], mixing @ noise, axis=2)
    if missing:
        X[:, :, 100:120] = np.nan
    with pytest.warns(StateWarning, match="noise of the same spectra, which has no states"):
        found = model().set_params(missing="mask").fit(X)
    assert not any("half of the recordings" in each for each in found.warnings_)


def test_states_are_not_taken_for_noise():
    X = make_states("easy", n_subjects=6, n_times=400, n_regions=8, n_states=2, random_state=1).X
    assert not len(model().fit(X).warnings_)
