import numpy as np
import pytest

from sklearn_meg.nerve.stream import Decision
from sklearn_meg.plotting import plot_accuracy_over_days, plot_confusion, plot_latency, plot_stream


def decisions(labels, start=0.1, hop=0.02):
    reasons = ["NaN" if label is None else "" for label in labels]
    return [
        Decision(start + hop * k, label, 0.9, reason, (), 1e-3)
        for k, (label, reason) in enumerate(zip(labels, reasons, strict=True))
    ]


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_a_color_a_model_and_a_line_a_kind_of_adaptation():
    scores = {
        "default": {"fixed": [0.9, 0.5], "batch": [0.9, 0.8]},
        "lda": {"fixed": [0.8, 0.4], "batch": [0.8, 0.7]},
    }
    ax = plot_accuracy_over_days(scores, [3, 30], chance=0.1)
    lines = {line.get_label(): line for line in ax.lines}
    names = ["default, fixed", "default, batch", "lda, fixed", "lda, batch"]
    assert legend(ax) == names
    a, b, c, d = (lines[name] for name in names)
    assert a.get_color() == b.get_color() != c.get_color() == d.get_color()
    assert a.get_linestyle() == c.get_linestyle() != b.get_linestyle() == d.get_linestyle()
    np.testing.assert_array_equal(b.get_data(), [[3, 30], [0.9, 0.8]])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Day", "Accuracy")


def test_seeds_are_averaged():
    ax = plot_accuracy_over_days({"default": [[0.8, 0.4], [1.0, 0.6]]})
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [0.9, 0.5])
    np.testing.assert_allclose(ax.lines[0].get_xdata(), [1, 2])
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == (pytest.approx(0.4), pytest.approx(1.0))


def test_scores_that_do_not_go_with_the_days():
    with pytest.raises(ValueError, match=r"each of the 3 days. Got the shape \(1, 2\) for 'a'"):
        plot_accuracy_over_days({"a": [0.5, 0.6]}, [1, 2, 3])
    with pytest.raises(ValueError, match="at least one model"):
        plot_accuracy_over_days({})


def test_confusion_is_normalized_by_the_true_class():
    true, predicted = ["b", "b", "b", "b", "a"], ["b", "b", "b", "a", "c"]
    ax = plot_confusion(true, predicted, {"a": "rest"})
    share = np.asarray(ax.images[0].get_array())
    np.testing.assert_allclose(share, [[0, 0, 100], [25, 75, 0], [0, 0, 0]])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["rest", "b", "c"]
    assert ax.get_title() == "accuracy 60.0 %"
    assert sorted(text.get_text() for text in ax.texts) == ["100", "25", "75"]


def test_many_classes_are_drawn_without_numbers():
    y = np.arange(22)
    ax = plot_confusion(y, y)
    assert not ax.texts and ax.get_title() == "accuracy 100.0 %"


@pytest.mark.parametrize(("true", "predicted"), [([1, 2], [1]), ([], []), ([[1]], [[1]])])
def test_confusion_of_nothing(true, predicted):
    with pytest.raises(ValueError, match=r"must have the shape \(n_trials,\)"):
        plot_confusion(true, predicted)


def test_latencies_are_counted_in_ms():
    latencies = np.linspace(0.001, 0.003, 101)
    ax = plot_latency(latencies, limit=0.02)
    assert sum(patch.get_height() for patch in ax.patches) == 101
    lines = {line.get_label(): line.get_xdata()[0] for line in ax.lines}
    assert lines["95th percentile 2.9 ms"] == pytest.approx(2.9)
    assert lines["limit 20 ms"] == pytest.approx(20)
    assert "(ms)" in ax.get_xlabel() and ax.get_title() == "median 2 ms, 101 decisions"


@pytest.mark.parametrize("bad", [[], [0.001, np.nan], [-1.0]])
def test_latencies_that_are_none(bad):
    with pytest.raises(ValueError, match="latencies must be positive numbers, seconds. Got"):
        plot_latency(bad)


def test_a_stream_of_classes_beside_the_truth():
    made = decisions([1, 1, None, None, 2, None])
    ax = plot_stream(made, [1, 1, 1, 2, 2, 2], names=["rest", "fist", "index"])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["fist", "index"]
    true, decided = ax.containers
    assert len(true) == 6 and len(decided) == 3
    bar = decided[2]
    assert bar.get_x() == pytest.approx(0.16) and bar.get_width() == pytest.approx(0.02)
    assert bar.get_y() + bar.get_height() / 2 == pytest.approx(1)
    spans = [patch for patch in ax.patches if patch not in [*true, *decided]]
    assert len(spans) == 2  # neighbors are one
    assert set(legend(ax)) == {"true", "decided", "withheld"}


def test_a_stream_of_names_without_truth():
    ax = plot_stream(decisions(["fist", "rest", "rest"]))
    assert [label.get_text() for label in ax.get_yticklabels()] == ["fist", "rest"]
    assert legend(ax) == ["decided"]


def test_a_stream_that_decided_nothing():
    ax = plot_stream(decisions([None, None]), ["fist", "fist"])
    assert set(legend(ax)) == {"true", "withheld"}


def test_a_stream_of_movements():
    made = decisions([np.array([0.1, 0.2]), None, np.array([0.3, 0.4])])
    made += decisions([np.array([0.5, 0.6])], start=1.0)
    truth = np.zeros((4, 2))
    ax = plot_stream(made, truth, names=["thumb", "wrist"])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["thumb", "wrist"]
    first = next(
        line for line in ax.lines if line.get_linewidth() == 1.5 and len(line.get_xdata()) > 2
    )
    np.testing.assert_allclose(first.get_ydata(), [0.1, np.nan, 0.3, np.nan, 0.5])  # a gap
    assert set(legend(ax)) == {"decoded", "true", "withheld"}
    assert ax.get_xlabel() == "Time (s)"


def test_a_truth_of_another_length():
    with pytest.raises(ValueError, match="each of the 3 decisions. Got 2"):
        plot_stream(decisions([1, 2, 1]), [1, 2])
    with pytest.raises(ValueError, match="at least one Decision"):
        plot_stream([])


def test_axes_are_used_and_returned():
    import matplotlib.pyplot as plt

    for draw in (
        lambda ax: plot_accuracy_over_days({"a": [0.5, 0.6]}, ax=ax),
        lambda ax: plot_confusion([1, 2], [1, 2], ax=ax),
        lambda ax: plot_latency([0.001, 0.002], ax=ax),
        lambda ax: plot_stream(decisions([1, 2]), ax=ax),
    ):
        ax = plt.subplots()[1]
        assert draw(ax) is ax
