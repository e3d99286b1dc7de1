"""State models on real BOLD, where it is there."""

import numpy as np
import pytest
from scipy.io import loadmat

from sklearn_meg import HiddenMarkovGraph, SingleGaussian
from sklearn_meg.dynamics import StateWarning


def test_a_subject_that_was_left_out_is_likelier_than_under_one_gaussian(real_data):
    files = sorted((real_data / "dynamics").glob("*_BOLD_rsfMRI.mat"))
    X = np.stack([loadmat(file)["tc"] for file in files]).astype(float)
    X = (X - X.mean(2, keepdims=True)) / X.std(2, keepdims=True)
    model = HiddenMarkovGraph(n_states=2, n_init=3, random_state=0)
    with pytest.warns(StateWarning, match="do not come back"):  # starts from windows alone
        model.fit(X[:4])
    assert model.predict(X).shape == (5, 355)
    assert model.score(X[4:]) > SingleGaussian().fit(X[:4]).score(X[4:])
    table = model.community_table()
    assert set(table["state"]) == {0, 1} and table["score"].is_monotonic_decreasing
