"""States that came out empty."""

from dataclasses import replace

import numpy as np

from sklearn_meg import HiddenMarkovGraph
from sklearn_meg.datasets import make_states
from sklearn_meg.dynamics._em import iterate
from sklearn_meg.dynamics._prepare import prepare, standardization
from sklearn_meg.dynamics._race import expected_of_guess
from sklearn_meg.dynamics._recordings import Recordings
from sklearn_meg.dynamics._refill import refilled
from sklearn_meg.dynamics._starts import sure
from sklearn_meg.dynamics.metrics import state_accuracy


def _stuck(labels, X, n_states):
    """A run that begins with these states."""
    settings = HiddenMarkovGraph(n_states=n_states, emission="gaussian")._settings(X.shape[1])
    recordings = Recordings(list(X.transpose(0, 2, 1)), "stack")
    scale = standardization(recordings, n_states, "low_rank")
    batch = prepare(recordings, "none", False, scale).batch()
    expected = expected_of_guess(batch, sure(labels[:, None], n_states), np.ones(len(labels)))
    run = iterate(batch, expected, settings.prior(1, X.shape[1]), settings, 30)
    return batch, run, settings


def _states(batch, run):
    return batch.decode(*run.parameters)[0][:, 0].argmax(1)


def test_a_state_that_came_out_empty_begins_anew_as_a_part_of_another():
    data = make_states("easy", n_states=3, n_subjects=3, n_times=300, n_regions=12)
    truth = data.states.ravel()
    batch, run, settings = _stuck(np.minimum(truth, 1), data.X, 3)  # two states as one
    assert state_accuracy(truth, _states(batch, run)) < 0.8
    better = refilled(batch, run, settings)
    assert better.objective[0] > run.objective[0]
    assert state_accuracy(truth, _states(batch, better)) > 0.95
    assert refilled(batch, better, settings) is better  # none is empty
    assert refilled(batch, run, replace(settings, init="given")) is run


def test_a_state_that_is_not_there_stays_empty():
    data = make_states("easy", n_states=2, n_subjects=3, n_times=300, n_regions=12)
    batch, run, settings = _stuck(data.states.ravel(), data.X, 3)
    assert refilled(batch, run, settings) is run
