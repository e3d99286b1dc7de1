"""State models on real BOLD, where it is there."""

import warnings

import numpy as np
import pytest
from scipy.io import loadmat
from sklearn.base import clone

from sklearn_meg import HiddenMarkovGraph, SingleGaussian
from sklearn_meg.dynamics import RecordingAlignment, StateWarning
from sklearn_meg.dynamics._generalization import matched_correlation


@pytest.fixture
def bold(real_data):
    files = sorted((real_data / "dynamics").glob("*_BOLD_rsfMRI.mat"))
    X = np.stack([loadmat(file)["tc"] for file in files]).astype(float)
    return (X - X.mean(2, keepdims=True)) / X.std(2, keepdims=True)


def test_state_means_of_halves_of_the_subjects_are_alike(bold):
    Z = RecordingAlignment(align="covariance").fit_transform(bold)
    model = HiddenMarkovGraph(n_states=4, align="none", emission="gaussian", random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StateWarning)  # of two subjects
        means = [clone(model).fit(half).means_ for half in (Z[:2], Z[2:])]
    assert matched_correlation(*means) > 0.8


def test_a_subject_that_was_left_out_is_likelier_than_under_one_gaussian(bold):
    bold = bold[:, ::2]  # one hemisphere
    model = HiddenMarkovGraph(n_states=2, n_init=3, random_state=0)
    with pytest.warns(StateWarning, match="do not come back"):  # starts from windows alone
        model.fit(bold[:4])
    assert model.predict(bold).shape == (5, 355)
    assert model.score(bold[4:]) > SingleGaussian().fit(bold[:4]).score(bold[4:])
    table = model.community_table()
    assert set(table["state"]) == {0, 1} and table["score"].is_monotonic_decreasing
