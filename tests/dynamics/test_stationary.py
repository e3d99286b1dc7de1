"""Noise that depends on its past has no states, and is told from recordings that have some."""

import numpy as np
import pytest
from scipy.signal import lfilter

from sklearn_meg.datasets import make_states
from sklearn_meg.dynamics import HiddenMarkovGraph, StateWarning, select_n_states


def model():
    return HiddenMarkovGraph(n_states=2, n_init=2, random_state=0)


@pytest.fixture(scope="module")
def noise():
    mixing = np.array([[1.0, 0.0, 0.0], [0.8, 0.6, 0.0], [0.6, 0.5, 0.6]])
    drawn = np.random.default_rng(3).normal(size=(8, 3, 400))
    return lfilter([1.0], [1.0, -0.8], mixing @ drawn, axis=2)


def test_noise_without_states_is_told_though_its_states_come_back_in_halves(noise):
    X = noise.copy()
    X[:, :, 100:120] = np.nan
    with pytest.warns(StateWarning, match="noise of the same spectra, which has no states"):
        found = model().set_params(missing="mask").fit(X)
    assert not any("half of the recordings" in each for each in found.warnings_)


@pytest.mark.filterwarnings("ignore:(No number of states|The rules disagree)")
def test_no_states_are_selected_in_noise(noise):
    with pytest.warns(UserWarning, match="2 states are left out: they explain noise"):
        found = select_n_states(model(), noise[:4, :, :250], (1, 2), cv=2)
    assert found.n_states_ == 1
    assert found.table_["loglik"].argmax() == 1  # two are likelier


def test_states_are_not_taken_for_noise():
    X = make_states("easy", n_subjects=6, n_times=400, n_regions=8, n_states=2, random_state=1).X
    assert not len(model().fit(X).warnings_)
