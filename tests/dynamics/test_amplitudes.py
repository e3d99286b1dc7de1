import numpy as np
import pytest

from sklearn_meg.datasets import make_states
from sklearn_meg.dynamics import HiddenMarkovGraph, StateWarning
from sklearn_meg.dynamics.metrics import state_accuracy


@pytest.mark.parametrize("draw", ["exponential", "standard_normal"])
def test_amplitudes_of_samples_are_told_and_states_found(draw):
    data = make_states("easy", n_states=3, n_subjects=6, n_times=250, n_regions=15)
    size = np.abs(getattr(np.random.default_rng(0), draw)(size=(6, 1, 250)))
    model = HiddenMarkovGraph(n_states=3, n_init=3, random_state=0)
    with pytest.warns(StateWarning, match="amplitudes vary by sample"):
        model.fit(data.X * size)
    assert model.emission_ == "t" and model.tails_ < 2
    assert state_accuracy(data.states, model.predict(data.X * size)) > 0.9
    assert np.linalg.eigvalsh(model.covariances_).min() > 0
    assert np.isfinite(model.sample(100)[0]).all()
