import warnings

import joblib
import numpy as np
import pandas as pd
import pytest

from sklearn_meg import HiddenMarkovGraph, MixtureStates
from sklearn_meg.datasets import make_states
from sklearn_meg.dynamics import _selection, select_n_states

# Small worlds and wrong numbers of states: doubts are tested elsewhere.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn_meg.dynamics.StateWarning")


@pytest.fixture(scope="module")
def data():
    return make_states("easy", n_states=3, n_subjects=4, n_times=300, n_regions=15)


@pytest.mark.filterwarnings("ignore:The rules disagree")
@pytest.mark.filterwarnings("ignore:Restarts")
def test_the_true_number_is_recommended_for_any_jobs_and_kind(data):
    model = HiddenMarkovGraph(n_init=2, random_state=0)
    found = select_n_states(model, data.X, (1, 2, 3, 4))
    assert found.n_states_ == 3 == found.choices_["likelihood"]
    assert found.scores_.shape == (4, 4)
    assert list(found.table_["n_states"]) == [1, 2, 3, 4]
    np.testing.assert_allclose(found.table_["loglik"], found.scores_.mean(1))
    assert found.table_["agreement"][2] > 0.85
    assert found.table_["entropy"][0] == 0 and found.table_["entropy"].between(0, np.log(4)).all()
    with joblib.parallel_config("threading"):
        again = select_n_states(model, list(data.X), (3,), n_jobs=2)
    columns = ["loglik", "entropy", "stability", "agreement"]
    pd.testing.assert_series_equal(
        again.table_[columns].loc[0], found.table_[columns].loc[2], check_names=False
    )
    assert model.n_states == 4 and not hasattr(model, "means_")


def _table(loglik, sem, entropy, stability, share):
    return pd.DataFrame(
        {
            "n_states": np.arange(1, len(loglik) + 1), "loglik": loglik, "loglik_sem": sem,
            "entropy": entropy, "stability": stability, "smallest_share": share, "agreement": 0.5,
            "noise": 0.0, "doubts": 0.0,
        }
    )  # fmt: skip


def test_the_rules_and_their_warnings():
    table = _table(
        [-9.0, -8.0, -7.99, -8.2], [0.1, 0.02, 0.0, 0.1], [0, 0.69, 0.7, 0.8],
        [1, 1, 0.995, 0.5], [1, 0.4, 0.2, 0.001],
    )  # fmt: skip
    assert _selection._by_likelihood(table) == 2  # not worse by more than one standard error
    assert _selection._by_entropy(table, 0.02) == 4
    assert _selection._by_entropy(table, 0.2) == 2
    assert _selection._by_stability(table) == 3
    assert list(_selection._alive(table)["n_states"]) == [1, 2, 3]
    assert list(_selection._alive(table.assign(noise=[0.0, 0.9, 0.3, 0.3]))["n_states"]) == [1, 3]
    of_folds = table.assign(agreement=[1.0, 0.9, 0.4, 0.4], doubts=[0.0, 1.0, 1.0, 0.4])
    assert list(_selection._alive(of_folds)["n_states"]) == [1, 2]
    everything_collapsed = table.assign(smallest_share=0.0)
    assert len(_selection._alive(everything_collapsed)) == 4
    choices = {"likelihood": 4, "entropy": 4, "stability": 3}
    table = table.assign(doubts=0.0)
    said = " ".join(_selection._messages(table, choices, ()))
    for part in (
        "disagree on the number",
        "largest number tried",
        "index 0.50",
        "collapsed: 0.10%",
        "folds find different states",
    ):
        assert part in said
    choices = {"likelihood": 2, "entropy": 2, "stability": 2}
    table = table.assign(agreement=0.9)
    assert not _selection._messages(table.assign(noise=[0.9, 0.0, 0.0, 0.9]), choices, ())
    (said,) = _selection._messages(table.assign(noise=[0.0, 0.0, 0.9, 0.0]), choices, ())
    assert "3 states are left out: they explain noise" in said


@pytest.mark.filterwarnings("ignore:No number of states")
def test_one_recording_is_cut_and_warnings_are_given(data):
    model = MixtureStates(n_init=1, random_state=0)
    with pytest.warns(UserWarning, match="rules disagree"):
        found = select_n_states(model, data.X[0].T, (1, 2))
    assert found.scores_.shape == (2, 5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        select_n_states(model, data.X, (1,))


def test_flat_curves_are_called_flat():
    table = _table(
        [-9.0, -8.0, -7.99, -8.01],
        [0.1, 0.02, 0.0, 0.03],
        [0, 0.69, 0.7, 0.8],
        [1.0] * 4,
        [1.0] * 4,
    ).assign(doubts=1.0, generalization=0.0)
    flat = _selection._flat(table)
    assert flat == (2, 3, 4)
    said = " ".join(_selection._messages(table, {"likelihood": 2}, flat))
    assert "flat: 2, 3, 4" in said and "not be believed" in said


def test_no_rule_is_told_to_disagree_where_folds_agree_on_the_chosen_number():
    table = _table([-9.0, -8.0, -7.99], [0.1] * 3, [0] * 3, [1.0] * 3, [1.0] * 3).assign(doubts=0.0)
    choices = {"likelihood": 2, "entropy": 3, "stability": 2}
    for agreement, said in (([1, 0.95, 0.7], 0), ([1, 0.95, 0.99], 2), ([1, 0.7, 0.6], 3)):
        messages = _selection._messages(table.assign(agreement=agreement), choices, (1, 2, 3))
        assert len(messages) == said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_states": (3, 2)}, "increasing"),
        ({"n_states": ()}, "increasing"),
        ({"n_states": (0, 1)}, "from 1"),
        ({"tolerance": 1.0}, "tolerance"),
        ({"X": np.zeros((1, 3, 50))}, "at least two recordings"),
        ({"X": np.zeros(5)}, "1 dimension"),
    ],
)
def test_bad_arguments(data, arguments, message):
    given = {"X": data.X, "n_states": (1, 2), **arguments}
    X = given.pop("X")
    with pytest.raises(ValueError, match=message):
        select_n_states(MixtureStates(), X, **given)
