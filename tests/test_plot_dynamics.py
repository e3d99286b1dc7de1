import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from sklearn_meg.datasets import make_states
from sklearn_meg.dynamics import HiddenMarkovGraph
from sklearn_meg.dynamics._selection import StateSelection
from sklearn_meg.plotting import (
    plot_layers,
    plot_selection,
    plot_state_time_courses,
    plot_transitions,
)


@pytest.fixture(scope="module")
def data():
    return make_states("easy", n_states=3, n_subjects=6, n_times=200, n_regions=15)


@pytest.fixture(scope="module")
def fitted(data):
    return HiddenMarkovGraph(n_states=3, n_init=2, random_state=0).fit(data.X)


def test_time_courses_fill_the_axes(data, fitted):
    P = fitted.predict_proba(data.X)[0]
    ax = plot_state_time_courses(P, sfreq=50, tmin=1.0)
    assert len(ax.collections) == 3 and ax.get_xlabel() == "Time (s)"
    np.testing.assert_allclose(ax.get_xlim(), (1, 5))
    heights = [np.ptp(c.get_paths()[0].vertices[:, 1]) for c in ax.collections]
    assert max(heights) <= 1 + 1e-9
    truth = plot_state_time_courses(P, true_states=data.states[0])
    assert truth.get_xlabel() == "Sample"
    assert len(truth.collections) == 3 + 1 + np.count_nonzero(np.diff(data.states[0]))
    with pytest.raises(ValueError, match="one recording"):
        plot_state_time_courses(fitted.predict_proba(data.X))


def test_transitions_say_where_a_state_goes(fitted):
    ax = plot_transitions(fitted, names=["rest", "move", "see"])
    texts = [t.get_text() for t in ax.texts]
    assert f"rest\nstays {fitted.transmat_[0, 0]:.2f}" in texts
    leave = fitted.transmat_[0, 1] / (1 - fitted.transmat_[0, 0])
    assert f"{leave:.2f}" in texts
    one = plot_transitions(
        HiddenMarkovGraph(n_states=1).fit(np.random.default_rng(0).normal(size=(2, 4, 50)))
    )
    assert len(one.patches) == 1


def test_layers_color_the_first_communities(fitted):
    figure = plot_layers(fitted, n_ranked=2)
    assert len(figure.axes) == 3
    table = fitted.community_table()
    for k, ax in enumerate(figure.axes):
        colors = [to_hex(c) for c in ax.collections[-1].get_facecolors()]
        for rank in (0, 1):
            if table["state"][rank] == k:
                assert len({colors[i] for i in table["regions"][rank]}) == 1
        colored = sum(len(table["regions"][r]) for r in (0, 1) if table["state"][r] == k)
        assert sum(c != "#d9d9d9" for c in colors) == colored
    assert len(plot_layers(fitted, states=[1]).axes) == 1
    reliability = np.zeros(len(fitted.ranking_["state"]))
    reliability[2] = 1.0  # the only one in color
    texts = plot_layers(fitted, reliability=reliability).legends[0].get_texts()
    assert [text.get_text()[:6] for text in texts] == ["rank 3", "others"]
    with pytest.raises(ValueError, match="reliability must have the shape"):
        plot_layers(fitted, reliability=[1.0])
    with pytest.raises(ValueError, match=r"\(15, 2\)"):
        plot_layers(fitted, positions=np.zeros((3, 2)))


def test_selection_marks_what_each_rule_chooses():
    table = pd.DataFrame(
        {
            "n_states": [1, 2, 3], "loglik": [-5.0, -4, -4.1], "loglik_sem": [0.1, 0, 0.1],
            "entropy": [0, 0.6, 0.7], "stability": [1, 1, 0.5], "smallest_share": [1, 0.4, 0.1],
        }
    )  # fmt: skip
    choices = {"likelihood": 2, "entropy": 3, "stability": 2}
    figure = plot_selection(StateSelection(2, choices, table, None, []))
    chosen = [
        next(x for x in ax.lines if x.get_linestyle() == "--").get_xdata()[0] for ax in figure.axes
    ]
    assert chosen == [2, 3, 2]
    assert "recommended" in figure.axes[0].get_title()
