"""Figures of a study."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib
import numpy as np
from matplotlib.figure import Figure as DrawnFigure

from .._checks.trials import release_pages
from .._figures import LABELS, default_times, model_colors, style
from ..encoding.plotting import plot_r_over_time, plot_scores
from ..nerve.plotting import plot_confusion

if TYPE_CHECKING:
    from .._typing import Figure
    from .answers import Answers


def plot_study(study: Answers, metric: str = "r", figure: Figure | None = None) -> Figure:
    """Draw the scores of a study beside its R over time.

    Parameters
    ----------
    study : Study
        After ``run``.
    metric : str, default="r"
        Score of the left half.
    figure : Figure, default=None
        None makes a new one.

    Returns
    -------
    figure : Figure

    Examples
    --------
    >>> from sklearn_meg import Study, SubjectMean, TemporalReceptiveField
    >>> from sklearn_meg.datasets import make_words
    >>> from sklearn_meg.plotting import plot_study
    >>> data = make_words("L", n_subjects=2, n_trials=20, n_channels=4)
    >>> models = {"TRF": TemporalReceptiveField(sfreq=data.sfreq, **data.rows)}
    >>> study = Study(models, cv=2, floors=None).run(data.X, data.y, times=data.times)
    >>> figure = plot_study(study)
    """
    with style():
        if figure is None:
            import matplotlib.pyplot as plt

            figure = plt.figure(figsize=(11, 4.2), layout="constrained")
        if not study.maps_:
            plot_scores(scored_table(study, metric), metric, ax=figure.subplots())
            return figure
        left, right = figure.subplots(1, 2, width_ratios=(2, 3))
        plot_scores(scored_table(study, metric), metric, ax=left)
        plot_r_over_time(study.times_, study.curves_, ax=right, start=_start(study))
    return figure


def _start(study):
    return study.times_[study.start_] if study.start_ else None


def scored_table(study, metric):
    """Table of a study; over pooled subjects where no subject has the score."""
    if study.table_[metric].notna().any():
        return study.table_
    return study.pooled_.assign(subject="pooled")


def draw_scores(study):
    """Draw every score above R over time.

    Returns figure (Figure)
    and ax (Axes or None): That of R over time.
    """
    metrics = study.metrics_
    with style():
        tall = 8.2 if study.maps_ else 4.2
        figure = DrawnFigure(figsize=(max(6.5, 3.7 * len(metrics)), tall), layout="constrained")
        top = figure
        if study.maps_:
            top, bottom = figure.subfigures(2, 1)
        for ax, metric in zip(np.ravel(top.subplots(1, len(metrics))), metrics):
            plot_scores(scored_table(study, metric), metric, ax=ax)
        if not study.maps_:
            return figure, None
        ax = bottom.subplots()
        plot_r_over_time(study.times_, study.curves_, ax=ax, start=_start(study))
    return figure, ax


def mean_curves(study):
    """R over time of each model, mean over subjects and folds."""
    mean = study.curves_.groupby(["model", "time"], sort=False)["r"].mean().unstack()
    return {name: mean.loc[name].to_numpy() for name in dict.fromkeys(study.curves_["model"])}


def draw_gains(gains, metric):
    """Draw the gain of each model with its interval, against nothing."""
    colors = model_colors(gains["model"])
    with style():
        figure = DrawnFigure(figsize=(7.5, 0.9 + 0.5 * len(gains)), layout="constrained")
        ax = figure.subplots()
        for y, row in enumerate(gains.itertuples()):
            color = colors[row.model] if row.claimed else "#8A8A8A"
            ax.plot([row.ci_low, row.ci_high], [y, y], color=color, linewidth=2.5)
            ax.plot(row.gain, y, "o", color=color, markersize=8, markeredgecolor="white")
        ax.axvline(0, color="#333333", linewidth=1)
        ax.set_yticks(range(len(gains)), [f"{r.model} - {r.floor}" for r in gains.itertuples()])
        ax.set_ylim(len(gains) - 0.5, -0.5)
        ax.grid(True, axis="x")
        ax.grid(False, axis="y")
        ax.set_xlabel(f"Gain in {LABELS.get(metric, metric)} (gray: not claimed)")
    return figure


def _mean_over_subjects(maps):
    """Mean of what is not NaN, one subject after the other: maps may lie in files."""
    total, count = 0.0, 0
    for one in maps:
        there = ~np.isnan(one)
        total, count = total + np.where(there, one, 0.0), count + there
        release_pages(maps)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def draw_topomaps(study):
    """Yield caption and figure: R of every model, then every gain, by type of channel."""
    if study.info_ is None:
        return
    maps = {name: _mean_over_subjects(r) for name, r in study.maps_.items()}
    # The map of a model that predicts no difference between trials is zero: nothing to see.
    seen = {name: r for name, r in maps.items() if np.nansum(r[:, study.start_ :] ** 2) > 0}
    gains = study.gains("r") if "r" in study.metrics_ else []
    rows = gains.itertuples() if len(gains) else ()
    gained = {f"{r.model} - {r.floor}": maps[r.model] - maps[r.floor] for r in rows}
    for kind, picks in _types_with_places(study.info_).items():
        if seen:
            caption = f"R across trials of {kind} channels, mean over subjects; one color scale."
            yield caption, _grid_of_heads(seen, study, picks, "Pearson R")
        if gained:
            caption = f"Difference of R of {kind} channels, model minus floor; one color scale."
            yield caption, _grid_of_heads(gained, study, picks, "Difference of R")


def draw_predictions(study):
    """Yield caption and figure: confusion of classes, or numbers against what they should be."""
    if study.y_ is None:
        return
    for name, predicted in study.predictions_.items():
        classes = np.unique(study.y_)
        with style():
            if study.y_.dtype.kind == "f" and len(classes) > 20:
                figure = DrawnFigure(figsize=(4.5, 4.2), layout="constrained")
                _scatter(study.y_, predicted, figure.subplots())
            elif len(classes) <= 40:
                figure = DrawnFigure(figsize=(6.5, 5.6), layout="constrained")
                plot_confusion(study.y_, predicted, ax=figure.subplots())
            else:
                continue
        yield f"{name}: trials that were left out.", figure


def _scatter(y, predicted, ax):
    ax.plot(y, predicted, ".", alpha=0.6)
    ends = [min(y.min(), predicted.min()), max(y.max(), predicted.max())]
    ax.plot(ends, ends, color="#999999", linewidth=1)
    ax.set(xlabel="True", ylabel="Predicted")


def _types_with_places(info):
    """Channels with at least three different positions, by type."""
    kinds = np.array(info.get_channel_types())
    places = np.array([channel["loc"][:3] for channel in info["chs"]]).reshape(-1, 3)
    placed = np.isfinite(places).all(axis=1) & (np.abs(places).sum(axis=1) > 0)
    found = {}
    for kind in dict.fromkeys(kinds.tolist()):
        picks = np.flatnonzero((kinds == kind) & placed)
        if kind in ("mag", "grad", "eeg") and len(np.unique(places[picks].round(6), axis=0)) >= 3:
            found[kind] = picks
    return found


def _grid_of_heads(maps, study, picks, label):
    """One row of heads per map and one column per time, on one color scale."""
    from mne import pick_info
    from mne.viz import plot_topomap

    times = study.times_[study.start_ :]
    at = [int(np.argmin(np.abs(times - t))) for t in default_times(times)]
    shown = {name: np.nan_to_num(r[picks, study.start_ :][:, at]) for name, r in maps.items()}
    top = max(max(np.abs(values).max() for values in shown.values()), 1e-6)
    info = pick_info(study.info_, picks)
    with style(), matplotlib.rc_context({"axes.grid": False}):
        size = (1.9 * len(at) + 1.6, 1.75 * len(shown) + 0.4)
        figure = DrawnFigure(figsize=size, layout="constrained")
        axes = figure.subplots(len(shown), len(at), squeeze=False)
        for row, (name, values) in zip(axes, shown.items()):
            for ax, column in zip(row, values.T):
                image, _ = plot_topomap(
                    column, info, axes=ax, show=False, vlim=(-top, top), cmap="RdBu_r",
                    contours=0, sensors="k.",
                )  # fmt: skip
            row[0].set_ylabel(name, fontsize=10)
        for ax, i in zip(axes[0], at):
            ax.set_title(f"{times[i]:.2f} s", fontsize=10, fontweight="normal")
        figure.colorbar(image, ax=list(axes.flat), shrink=0.8, fraction=0.05).set_label(label)
    return figure
