import matplotlib
import matplotlib.pyplot as plt
import mne
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from sklearn.base import BaseEstimator, RegressorMixin

from sklearn_meg import Study
from sklearn_meg._figures import COLORS, model_colors, style
from sklearn_meg.encoding.plotting import plot_r_over_time, plot_r_topomap, plot_scores, plot_trf


class Ridge3D(RegressorMixin, BaseEstimator):
    def __init__(self, alpha=1.0):
        self.alpha = alpha

    def fit(self, X, y):
        F = X.reshape(len(X), -1)
        gram = F.T @ F + self.alpha * np.eye(F.shape[1])
        self.coef_ = np.linalg.solve(gram, F.T @ y.reshape(len(y), -1))
        self.shape_ = y.shape[1:]
        return self

    def predict(self, X):
        return (X.reshape(len(X), -1) @ self.coef_).reshape(len(X), *self.shape_)


@pytest.fixture(scope="module")
def info():
    montage = mne.channels.make_standard_montage("biosemi16")
    info = mne.create_info(montage.ch_names, 20.0, "eeg")
    return info.set_montage(montage)


@pytest.fixture(scope="module")
def study(info):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 2, 10))
    y = np.einsum("nft,fc->nct", X, rng.normal(size=(2, 16))) + rng.normal(size=(40, 16, 10))
    models = {"mean": Ridge3D(alpha=1e8), "trf": Ridge3D(), "<b>mine</b>": Ridge3D(alpha=50.0)}
    times = np.arange(10) / 20 - 0.15
    study = Study(models, cv=3, start=3)
    return study.run(X, y, subjects=np.arange(40) % 4, times=times, info=info)


def test_known_models_keep_their_color_and_no_two_share_one():
    colors = model_colors(["mine", "trf", "yours", "dre"])
    assert colors["trf"] == COLORS["trf"] == model_colors(["trf"])["trf"]
    assert len(set(colors.values())) == 4
    assert len(model_colors([f"m{i}" for i in range(30)])) == 30


def test_scores_draw_the_mean_of_the_subjects(study):
    ax = plot_scores(study.table_, "r")
    assert [t.get_text() for t in ax.get_xticklabels()] == list(study.models)
    drawn = [c.lines[0].get_ydata()[0] for c in ax.containers]
    expected = study.table_.groupby(["model", "subject"])["r"].mean().groupby("model").mean()
    np.testing.assert_allclose(drawn, expected[list(study.models)])
    assert "across trials" in ax.get_ylabel()


def test_the_users_axes_are_used_and_none_are_left_over(study):
    own = Figure().subplots()
    assert plot_scores(study.table_, ax=own) is own
    with pytest.raises(ValueError, match="It has no subject"):
        plot_scores(study.table_.drop(columns="subject"))
    assert plot_r_over_time(None, study.curves_, ax=own) is own
    assert plot_trf(np.ones((2, 1, 4)), np.arange(4), ax=own) is own
    assert plt.get_fignums() == []


def test_styles_do_not_leak(study):
    before = dict(matplotlib.rcParams)
    plot_scores(study.table_)
    with style():
        pass
    assert dict(matplotlib.rcParams) == before


def test_curves_from_a_table_or_a_dict_are_the_same(study):
    of_table = plot_r_over_time(None, study.curves_)
    mean = study.curves_.groupby(["model", "subject", "time"], sort=False)["r"].mean().unstack()
    of_dict = plot_r_over_time(study.times_, {m: mean.loc[m] for m in study.models})
    for a, b in zip(of_table.lines, of_dict.lines):
        np.testing.assert_allclose(a.get_ydata(), b.get_ydata())
    assert of_dict.get_xlabel().endswith("(s)")
    assert [t.get_text() for t in of_dict.get_legend().get_texts()] == list(study.models)


def test_the_initial_window_is_not_drawn(study):
    ax = plot_r_over_time(study.times_, {"a": np.ones(10)}, start=study.times_[3])
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), study.times_[3:])
    assert ax.get_xlim() == (study.times_[0], study.times_[-1])


def test_topomaps_stand_at_the_nearest_samples(study, info):
    figure = plot_r_topomap(study.maps_["trf"].mean(axis=0), info, study.times_, at=[0.0, 0.21])
    titles = [ax.get_title() for ax in figure.axes]
    assert titles[:2] == ["0.00 s", "0.20 s"]


def test_trf_labels_features_in_seconds():
    coef = np.random.default_rng(0).normal(size=(3, 2, 5))
    ax = plot_trf(coef, np.arange(5), ["onset", "length"], sfreq=10.0, target=1)
    np.testing.assert_allclose(ax.lines[1].get_xdata(), np.arange(5) / 10)
    np.testing.assert_allclose(ax.lines[1].get_ydata(), coef[1, 1])
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["onset", "length"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: plot_scores(s.table_, "mse"), "column of the table"),
        (lambda s: plot_r_over_time(s.times_, {"a": np.ones(3)}), "must have 10 samples"),
        (lambda s: plot_r_topomap(np.ones((3, 10)), s.info_, s.times_), r"\(16, 10\)"),
        (lambda s: plot_trf(np.ones((2, 3, 4)), np.arange(5)), "n_targets, n_features, 5"),
        (lambda s: plot_trf(np.ones((2, 3, 4)), np.arange(4), ["a"]), "3 names"),
    ],
)
def test_mistakes_are_named(study, call, message):
    with pytest.raises(ValueError, match=message):
        call(study)


def test_channels_without_positions_are_refused(study):
    info = mne.create_info(16, 20.0, "eeg")
    with pytest.raises(ValueError, match="position"):
        plot_r_topomap(study.maps_["trf"].mean(axis=0), info, study.times_)


def test_plot_is_one_figure_with_scores_and_curves(study):
    figure = study.plot("r_time")
    assert len(figure.axes) == 2
    assert "over time" in figure.axes[0].get_ylabel()


def test_report_is_one_file_with_tables_and_figures(study, tmp_path):
    path = study.report(tmp_path / "new" / "report.html", title="Words & <subjects>")
    html = path.read_text(encoding="utf-8")
    assert "Words &amp; &lt;subjects&gt;" in html
    for heading in ("What was run", "Summary", "Comparisons", "Every subject", "Every fold"):
        assert heading in html
    assert "<b>mine</b>" not in html
    assert html.count("data:image/png;base64,") >= 2  # scores, heads
    assert not pd.Series(html).str.contains(r"<(?:script|link|img)[^>]+(?:src|href)=\"http").any()
    mean = study.summary().query("model == 'trf' and metric == 'r'")["mean"].item()
    assert f"{mean:.3f}" in html
    assert plt.get_fignums() == []


def test_report_without_positions_has_no_topographies(study, tmp_path):
    rng = np.random.default_rng(0)
    bare = Study({"one": Ridge3D()}, cv=2, scoring="r", floors=None)
    bare.run(rng.normal(size=(12, 2, 5)), rng.normal(size=(12, 3, 5)))
    html = bare.report(tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Scores and R over time" in html
    assert "Difference of R" not in html
    assert "only one model" in html
