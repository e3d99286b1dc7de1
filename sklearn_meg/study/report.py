"""The HTML page of a study."""

from html import escape

import numpy as np
from matplotlib.figure import Figure

from .._figures import default_times, style, topomap_picks
from ..encoding.plotting import plot_r_over_time, plot_r_topomap, plot_scores
from .plotting import plot_study, scored_table

CSS = """
.study {max-width: 70rem; font-size: .95rem; line-height: 1.45}
.study table {border-collapse: collapse; margin: .4rem 0 1rem; font-variant-numeric: tabular-nums}
.study th {text-align: left; border-bottom: 2px solid #444; padding: .3rem .8rem}
.study td {border-bottom: 1px solid #ddd; padding: .3rem .8rem; text-align: right}
.study td:first-child, .study td.text {text-align: left}
.study tr:hover td {background: #f4f8fb}
.study .note {color: #555; max-width: 50rem}
.study .wide {overflow-x: auto; max-height: 36rem}
.study summary {cursor: pointer; color: #0072B2; padding: .3rem 0}
@media (max-width: 600px) {
#toc {display: none}
#content {width: 100%; margin-left: 0}
.study {overflow-x: auto}
.study td, .study th {padding: .2rem .4rem}
}
"""
NAMES = {
    "r": "R across trials",
    "r_time": "R over time",
    "r2": "R²",
    "n_test": "test trials",
    "fit_s": "fit (s)",
    "predict_s": "predict (s)",
    "n_pairs": "pairs",
    "median_difference": "median difference",
    "effect_size": "effect size",
    "sd": "SD",
    "sem": "SEM",
}


def write_report(study, path, title):
    """Write the page and return its path."""
    import mne

    report = mne.Report(title=title, image_format="png", verbose="error")
    report.add_custom_css(CSS)
    for heading, html in (
        ("What was run", _what_was_run(study)),
        ("Summary", _summary(study)),
    ):
        report.add_html(_wrap(html), title=heading, tags=("study",))
    _add_figure(report, _scores_figure(study), "Scores and R over time", "scores")
    report.add_html(_wrap(_comparisons(study)), title="Comparisons", tags=("study",))
    for heading, figure in _topomaps(study):
        _add_figure(report, figure, heading, "topography")
    report.add_html(_wrap(_per_subject(study)), title="Every subject", tags=("tables",))
    report.add_html(_wrap(_full_table(study)), title="Every fold", tags=("tables",))
    path.parent.mkdir(parents=True, exist_ok=True)
    report.save(path, open_browser=False, overwrite=True, verbose="error")
    return path


def _add_figure(report, figure, title, tag):
    report.add_figure(figure, title=title, tags=(tag,))


def _wrap(html):
    return f'<div class="study">{html}</div>'


def _what_was_run(study):
    n_trials, n_channels, n_times = study.shapes_["y"]
    folds = f"{len(study.splits_)} folds, {escape(repr(study.cv))}"
    sizes = [len(test) for _, test in study.splits_]
    span = f"{study.times_[0]:g} to {study.times_[-1]:g}"
    unit = "s" if study.times_.dtype.kind == "f" else "samples"
    start = f"{study.times_[study.start_]:g} {unit} on (sample {study.start_})"
    rows = {
        "Data": f"{n_trials} trials of {study.shapes_['n_subjects']} subject(s), {n_channels} "
        f"channels, {n_times} samples from {span} {unit}; X has shape {study.shapes_['X']}",
        "Cross-validation": f"{folds}; {min(sizes)} to {max(sizes)} test trials a fold",
        "Scored": f"within each subject and fold, from {start}",
        "Versions": ", ".join(f"{k} {v}" for k, v in study.versions_.items() if v),
    }
    models = "".join(
        f'<tr><td>{escape(name)}</td><td class="text"><code>{escape(_short(model))}</code></td>'
        for name, model in study.models.items()
    )
    body = "".join(f'<tr><td>{k}</td><td class="text">{v}</td></tr>' for k, v in rows.items())
    return f"<table>{body}</table><table><tr><th>Model</th><th>Estimator</th></tr>{models}</table>"


def _short(model):
    text = " ".join(repr(model).split())
    return text if len(text) < 400 else text[:400] + " ..."


def _summary(study):
    table = study.summary()
    reference = next(iter(study.models))
    times = study.pooled_.groupby("model", sort=False)[["fit_s", "predict_s"]].mean()
    return (
        '<p class="note">Mean over folds and subjects, standard deviation, standard error of the '
        "mean, and the ratio to the reference model "
        f"<b>{escape(reference)}</b>. R across trials asks whether a model knows how one trial "
        "differs from another; R over time whether it knows the shape of the response.</p>"
        f"{_table(table)}<p class='note'>Mean time a fold.</p>{_table(times.reset_index())}"
    )


def _comparisons(study):
    table = study.comparisons_
    if not len(table):
        return "<p>There is only one model.</p>"
    table = table[table["n_pairs"] > 1]
    return (
        '<p class="note">Wilcoxon signed-rank test of a - b; the effect size is the matched-pairs '
        "rank-biserial correlation (1: a is better in every pair). Folds share training trials, "
        "so p over subjects x folds is optimistic; over subjects alone it is not.</p>"
        f"{_table(table)}"
    )


def _per_subject(study):
    wide = study.table_.groupby(["subject", "model"], sort=False)[study.metrics_].mean()
    wide = wide.unstack("model")
    wide.columns = [f"{NAMES.get(metric, metric)}: {model}" for metric, model in wide.columns]
    wide = wide.dropna(axis=1, how="all").reset_index()
    return f'<p class="note">Mean over folds.</p><div class="wide">{_table(wide)}</div>'


def _full_table(study):
    return (
        f"<details><summary>Show all {len(study.table_)} rows</summary>"
        f'<div class="wide">{_table(study.table_)}</div></details>'
    )


def _table(frame):
    frame = frame.rename(columns=lambda name: NAMES.get(name, str(name).replace("_", " ")))
    if "metric" in frame:
        frame = frame.assign(metric=frame["metric"].map(lambda m: NAMES.get(m, m)))
    return frame.to_html(index=False, border=0, na_rep="–", float_format=_number)


def _number(value):
    if value != 0 and abs(value) < 0.001:
        return f"{value:.1e}"
    return f"{value:.3f}"


def _scores_figure(study):
    metrics = study.metrics_
    if len(metrics) == 1:
        figure = Figure(figsize=(11, 4.2), layout="constrained")
        return plot_study(study, metrics[0], figure=figure)
    with style():
        figure = Figure(figsize=(11, 8.2), layout="constrained")
        top, bottom = figure.subfigures(2, 1)
        for ax, metric in zip(top.subplots(1, len(metrics)), metrics):
            plot_scores(scored_table(study, metric), metric, ax=ax)
        start = study.times_[study.start_] if study.start_ else None
        plot_r_over_time(study.times_, study.curves_, ax=bottom.subplots(), start=start)
    return figure


def mean_maps(study):
    """R per channel and time, averaged over subjects."""
    return {name: np.nanmean(maps, axis=0) for name, maps in study.maps_.items()}


def _topomaps(study):
    """Pairs of title and figure: R of every model, and the best model minus every other."""
    if study.info_ is None or not len(topomap_picks(study.info_)):
        return
    times = study.times_[study.start_ :]
    at = default_times(times)
    # The map of a model that predicts no difference between trials is zero: nothing to see.
    maps = {name: r[:, study.start_ :] for name, r in mean_maps(study).items()}
    maps = {name: r for name, r in maps.items() if np.nansum(r**2) > 0}
    for name, r in maps.items():
        yield f"R across trials: {name}", _topomap(r, study.info_, times, at, False)
    best = max(maps, key=lambda name: np.nanmean(maps[name]), default=None)
    for name in [name for name in maps if name != best]:
        r = maps[best] - maps[name]
        yield f"Difference of R: {best} - {name}", _topomap(r, study.info_, times, at, True)


def _topomap(r, info, times, at, difference):
    figure = Figure(figsize=(2.1 * len(at) + 0.8, 2.7), layout="constrained")
    axes = figure.subplots(1, len(at))
    return plot_r_topomap(r, info, times, at=at, axes=axes, difference=difference)
