"""Figures. Every function takes ``ax=None``, returns what it drew on, and never shows it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
import pandas as pd

from ._plot_connectome import (  # noqa: F401
    plot_deviation_map,
    plot_geodesics,
    plot_metric_field,
)
from ._plot_dynamics import (  # noqa: F401
    plot_layers,
    plot_selection,
    plot_state_time_courses,
    plot_transitions,
)
from ._plot_importance import plot_importance, plot_importance_topomap  # noqa: F401
from ._plot_nerve import (  # noqa: F401
    plot_accuracy_over_days,
    plot_confusion,
    plot_latency,
    plot_stream,
)
from ._plot_source import (  # noqa: F401
    plot_field_reconstruction,
    plot_solver_comparison,
    plot_source_time_courses,
    plot_sources,
)
from ._plot_tms import (  # noqa: F401
    plot_error_by_heterogeneity,
    plot_neuron,
    plot_predicted_thresholds,
    plot_threshold_map,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ._typing import ArrayLike, Axes, DataFrame, Figure, Info
    from .study import Study

# Okabe and Ito (2008): told apart by colour-blind readers.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#7F7F7F", "#000000")
COLORS = {
    "trf": "#0072B2",
    "quadratic_trf": "#56B4E9",
    "rtrf": "#E69F00",
    "dre": "#009E73",
    "default": "#009E73",
    "paper": "#CC79A7",
    "mean": "#7F7F7F",
    "subject_mean": "#7F7F7F",
    "oracle": "#000000",
}
LABELS = {
    "r": "Pearson R across trials",
    "r_time": "Pearson R over time",
    "r2": "R² across trials",
}


@contextmanager
def style() -> Iterator[None]:
    """Apply the settings of all figures: readable sizes, few lines.

    Examples
    --------
    >>> from sklearn_meg.plotting import style
    >>> with style():
    ...     pass  # draw
    """
    settings = {
        "font.size": 11,
        "axes.titlesize": 12,
        "axes.titleweight": "bold",
        "axes.labelsize": 11,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.grid.axis": "y",
        "axes.axisbelow": True,
        "grid.color": "#E6E6E6",
        "grid.linewidth": 0.8,
        "lines.linewidth": 2.0,
        "legend.frameon": False,
        "legend.fontsize": 10,
        "figure.dpi": 100,
        "savefig.dpi": 150,
    }
    with matplotlib.rc_context(settings):
        yield


def model_colors(names):
    """Colour of each model: fixed for the names in `COLORS`, from the palette otherwise.

    Examples
    --------
    >>> from sklearn_meg.plotting import model_colors
    >>> model_colors(["trf", "mine"])["trf"]
    '#0072B2'
    """
    names = list(dict.fromkeys(names))
    taken = {COLORS[name] for name in names if name in COLORS}
    free = [color for color in PALETTE if color not in taken] or list(PALETTE)
    others = iter(free * len(names))
    return {name: COLORS[name] if name in COLORS else next(others) for name in names}


def plot_scores(table: DataFrame, metric: str = "r", ax: Axes | None = None) -> Axes:
    """Draw one score per model: mean and SEM, and the subjects as paired lines.

    Parameters
    ----------
    table : DataFrame
        ``model, fold, subject`` and the metric, as ``Study.table_``. Each subject is averaged
        over folds; with a single subject the lines are the folds.
    metric : str, default="r"
    ax : Axes, default=None

    Returns
    -------
    ax : Axes

    Raises
    ------
    ValueError
        If the table has no such column.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_meg.plotting import plot_scores
    >>> table = pd.DataFrame(
    ...     [("TRF", 0, 0, 0.10), ("TRF", 0, 1, 0.14), ("deep", 0, 0, 0.15), ("deep", 0, 1, 0.18)],
    ...     columns=["model", "fold", "subject", "r"],
    ... )
    >>> ax = plot_scores(table)
    """
    if metric not in table:
        raise ValueError(f"metric must be a column of the table: {list(table)}. Got {metric!r}.")
    models = list(dict.fromkeys(table["model"]))
    unit = "subject" if table["subject"].nunique() > 1 else "fold"
    wide = table.groupby([unit, "model"], sort=False)[metric].mean().unstack()[models]
    colors = model_colors(models)
    with style():
        ax = _axes(ax, (1.3 + 0.9 * len(models), 4))
        where = np.arange(len(models))
        ax.plot(where, wide.to_numpy().T, color="#BBBBBB", linewidth=0.8, alpha=0.8, zorder=1)
        for x, model in enumerate(models):
            values = wide[model].dropna()
            ax.scatter(np.full(len(values), x), values, s=16, color=colors[model], alpha=0.5)
            if len(values):
                sem = values.sem() if len(values) > 1 else 0.0
                ax.errorbar(
                    x, values.mean(), sem, fmt="o", markersize=9, capsize=5, color=colors[model],
                    markeredgecolor="white", zorder=4,
                )  # fmt: skip
        ax.axhline(0, color="#999999", linewidth=0.8, zorder=0)
        ax.set_xticks(where, models, rotation=0 if max(map(len, models)) < 10 else 20)
        ax.set_xlim(-0.5, len(models) - 0.5)
        ax.set_ylabel(LABELS.get(metric, metric))
        ax.set_title(f"Mean ± SEM, one line per {unit}", fontsize=10, fontweight="normal")
    return ax


def plot_r_over_time(
    times: ArrayLike | None,
    curves: dict[str, ArrayLike] | DataFrame,
    ax: Axes | None = None,
    start: float | None = None,
) -> Axes:
    """Draw R across trials over the time of a trial, one line per model.

    Parameters
    ----------
    times : array-like of shape (n_times,) or None
        Seconds. None takes the times of the table.
    curves : dict of str -> array-like of shape (n_subjects, n_times) or (n_times,); or DataFrame
        Averaged over channels; or a table like ``Study.curves_``, which is averaged over folds
        (with one subject, the folds take the place of subjects).
    ax : Axes, default=None
    start : float, default=None
        End of the initial window in seconds. It is shaded and no curve is drawn in it: there
        a recurrent model repeats what it was given.

    Returns
    -------
    ax : Axes
        Lines are means over subjects, bands their SEM.

    Raises
    ------
    ValueError
        If a curve does not have as many samples as `times`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.plotting import plot_r_over_time
    >>> times = np.linspace(-0.1, 0.5, 61)
    >>> curve = np.exp(-(((times - 0.2) / 0.1) ** 2))
    >>> ax = plot_r_over_time(times, {"TRF": 0.1 * curve, "deep": 0.2 * curve})
    """
    if isinstance(curves, pd.DataFrame):
        curves, own_times = _curves_of(curves)
        times = own_times if times is None else times
    times = np.asarray(times)
    colors = model_colors(curves)
    with style():
        ax = _axes(ax, (6.5, 4))
        if start is not None and start > times[0]:
            ax.axvspan(times[0], start, color="#F0F0F0", zorder=0, linewidth=0)
            ax.text(
                (times[0] + start) / 2, 0.99, "initial window", color="#777777", fontsize=9,
                ha="center", va="top", transform=ax.get_xaxis_transform(),
            )  # fmt: skip
        for name, curve in curves.items():
            curve = np.atleast_2d(np.asarray(curve, dtype=float))
            if curve.shape[1] != len(times):
                raise ValueError(
                    f"The curves of {name!r} must have {len(times)} samples like times. "
                    f"Got {curve.shape[1]}."
                )
            scored = slice(None) if start is None else times >= start
            _line_and_band(ax, times[scored], curve[:, scored], name, colors[name])
        ax.axhline(0, color="#999999", linewidth=0.8, zorder=0)
        if times[0] < 0 < times[-1]:
            ax.axvline(0, color="#999999", linewidth=0.8, linestyle="--", zorder=0)
        ax.set_xlim(times[0], times[-1])
        seconds = times.dtype.kind == "f"
        ax.set_xlabel("Time from stimulus onset (s)" if seconds else "Time (samples)")
        ax.set_ylabel(LABELS["r"])
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def _curves_of(table):
    unit = "subject" if table["subject"].nunique() > 1 else "fold"
    mean = table.groupby(["model", unit, "time"], sort=False)["r"].mean().unstack()
    models = dict.fromkeys(table["model"])
    return {name: mean.loc[name].to_numpy() for name in models}, mean.columns.to_numpy()


def _line_and_band(ax, times, curve, name, color):
    curve = curve[~np.isnan(curve).all(axis=1)]
    if not len(curve):
        return
    mean = curve.mean(axis=0)
    ax.plot(times, mean, color=color, label=name)
    if len(curve) > 1:
        sem = curve.std(axis=0, ddof=1) / np.sqrt(len(curve))
        ax.fill_between(times, mean - sem, mean + sem, color=color, alpha=0.2, linewidth=0)


def plot_r_topomap(
    r: ArrayLike,
    info: Info,
    times: ArrayLike,
    at: Sequence[float] | None = None,
    axes: Sequence[Axes] | None = None,
    difference: bool = False,
    title: str | None = None,
) -> Figure:
    """Draw R per channel on the head at some times.

    Parameters
    ----------
    r : array-like of shape (n_channels, n_times)
        Scores, or a difference of scores.
    info : mne.Info
        Channels with positions. With several types of sensors the first of magnetometers, EEG
        and gradiometers is drawn.
    times : array-like of shape (n_times,)
        Seconds.
    at : sequence of float, default=None
        Times to draw, in seconds; the nearest samples are taken. None means five times from
        0 s (or the start) on.
    axes : sequence of Axes, default=None
        One per time.
    difference : bool, default=False
        Whether `r` is a difference of scores; for the label of the colour bar.
    title : str, default=None

    Returns
    -------
    figure : Figure

    Raises
    ------
    ValueError
        If `r` does not have the channels of `info` and the samples of `times`, or no channel
        has a position.

    Examples
    --------
    >>> import mne
    >>> import numpy as np
    >>> from sklearn_meg.plotting import plot_r_topomap
    >>> montage = mne.channels.make_standard_montage("biosemi16")
    >>> info = mne.create_info(montage.ch_names, 100.0, "eeg").set_montage(montage)
    >>> r = np.random.default_rng(0).uniform(0, 0.2, size=(16, 50))
    >>> figure = plot_r_topomap(r, info, times=np.arange(50) / 100, at=[0.1, 0.3])
    """
    from mne import pick_info
    from mne.viz import plot_topomap

    r, times = np.asarray(r, dtype=float), np.asarray(times)
    if r.shape != (len(info["ch_names"]), len(times)):
        raise ValueError(
            f"r must have the shape ({len(info['ch_names'])}, {len(times)}), the channels of info "
            f"and the times. Got {r.shape}."
        )
    picks = topomap_picks(info)
    if not len(picks):
        raise ValueError("No MEG or EEG channel of info has a position.")
    at = default_times(times) if at is None else np.atleast_1d(at)
    samples = [int(np.argmin(np.abs(times - t))) for t in at]
    shown = np.nan_to_num(r[np.ix_(picks, samples)])
    top = max(float(np.abs(shown).max()), 1e-6)
    with style(), matplotlib.rc_context({"axes.grid": False}):
        if axes is None:
            axes = _subplots(len(samples))
        axes = np.atleast_1d(axes)
        for ax, column, sample in zip(axes, shown.T, samples):
            image, _ = plot_topomap(
                column, pick_info(info, picks), axes=ax, show=False, vlim=(-top, top),
                cmap="RdBu_r", contours=4, sensors="k.", extrapolate="auto",
            )  # fmt: skip
            ax.set_title(f"{times[sample]:.2f} s", fontsize=11, fontweight="normal")
        figure = axes[0].figure
        bar = figure.colorbar(image, ax=list(axes), shrink=0.7, fraction=0.04, pad=0.02)
        bar.set_label("Difference of R" if difference else "Pearson R")
        if title:
            figure.suptitle(title, fontweight="bold", fontsize=12)
    return figure


def topomap_picks(info):
    """Channels of one type that have positions: magnetometers, else EEG, else gradiometers."""
    from mne import pick_types

    for kind in ({"meg": "mag"}, {"eeg": True}, {"meg": "grad"}):
        picks = pick_types(info, exclude=(), **kind)
        places = np.array([info["chs"][pick]["loc"][:3] for pick in picks]).reshape(-1, 3)
        there = np.isfinite(places).all(axis=1) & (np.abs(places).sum(axis=1) > 0)
        if there.sum() >= 3 and len(np.unique(places[there].round(6), axis=0)) >= 3:
            return picks[there]
    return np.array([], dtype=int)


def default_times(times, n=5):
    """`n` times spread from 0 s (or the start) to the end, without the ends themselves."""
    first = max(0.0, float(times[0])) if times[-1] > 0 else float(times[0])
    return np.linspace(first, float(times[-1]), n + 2)[1:-1]


def plot_trf(
    coef: ArrayLike,
    delays: ArrayLike,
    feature_names: list[str] | None = None,
    target: int | None = None,
    sfreq: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw temporal response functions, one line per feature.

    Parameters
    ----------
    coef : array-like of shape (n_targets, n_features, n_lags)
        As ``TemporalReceptiveField.coef_`` of one subject.
    delays : array-like of shape (n_lags,)
        Lags in seconds, or in samples with `sfreq`.
    feature_names : list of str, default=None
    target : int, default=None
        Channel to draw. None draws the root mean square over channels.
    sfreq : float, default=None
        Sampling rate that turns `delays` into seconds.
    ax : Axes, default=None

    Returns
    -------
    ax : Axes

    Raises
    ------
    ValueError
        If the shapes do not belong together.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.plotting import plot_trf
    >>> coef = np.random.default_rng(0).normal(size=(4, 2, 5))  # channels, features, lags
    >>> ax = plot_trf(coef, delays=range(5), feature_names=["loudness", "onset"], sfreq=100.0)
    """
    coef, delays = np.asarray(coef, dtype=float), np.asarray(delays, dtype=float)
    if coef.ndim != 3 or coef.shape[2] != len(delays):
        raise ValueError(
            f"coef must have the shape (n_targets, n_features, {len(delays)}). Got {coef.shape}."
        )
    names = (
        [f"feature {i}" for i in range(coef.shape[1])] if feature_names is None else feature_names
    )
    if len(names) != coef.shape[1]:
        raise ValueError(f"feature_names must hold {coef.shape[1]} names. Got {len(names)}.")
    delays = delays if sfreq is None else delays / sfreq
    kernels = np.sqrt(np.square(coef).mean(axis=0)) if target is None else coef[target]
    with style():
        ax = _axes(ax, (6, 3.6))
        for i, (name, kernel) in enumerate(zip(names, kernels)):
            ax.plot(delays, kernel, label=name, color=PALETTE[i % len(PALETTE)])
        ax.axhline(0, color="#999999", linewidth=0.8, zorder=0)
        ax.set_xlabel("Lag (s)")
        unit = "RMS over channels" if target is None else f"channel {target}"
        ax.set_ylabel(f"Response, {unit}\n(unit of y / unit of X)")
        ax.legend()
    return ax


def plot_study(study: Study, metric: str = "r", figure: Figure | None = None) -> Figure:
    """Draw the scores of a study beside its R over time.

    Parameters
    ----------
    study : Study
        After ``run``.
    metric : str, default="r"
    figure : Figure, default=None

    Returns
    -------
    figure : Figure

    Examples
    --------
    >>> from sklearn_meg import Study, SubjectMean, TemporalReceptiveField
    >>> from sklearn_meg.datasets import make_words
    >>> from sklearn_meg.plotting import plot_study
    >>> data = make_words("L", n_subjects=2, n_trials=20, n_channels=4)
    >>> models = {
    ...     "mean": SubjectMean(**data.rows),
    ...     "TRF": TemporalReceptiveField(sfreq=data.sfreq, **data.rows),
    ... }
    >>> figure = plot_study(Study(models, cv=2).run(data.X, data.y, times=data.times))
    """
    with style():
        if figure is None:
            import matplotlib.pyplot as plt

            figure = plt.figure(figsize=(11, 4.2), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(2, 3))
        plot_scores(scored_table(study, metric), metric, ax=left)
        start = study.times_[study.start_] if study.start_ else None
        plot_r_over_time(study.times_, study.curves_, ax=right, start=start)
    return figure


def scored_table(study, metric):
    """Table of a study; over pooled subjects where no subject has the score."""
    if study.table_[metric].notna().any():
        return study.table_
    return study.pooled_.assign(subject="pooled")


def _axes(ax, size):
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=size, layout="constrained")[1]


def _subplots(n):
    import matplotlib.pyplot as plt

    return plt.subplots(1, n, figsize=(2.1 * n + 0.8, 2.7), layout="constrained", squeeze=False)[1][
        0
    ]
