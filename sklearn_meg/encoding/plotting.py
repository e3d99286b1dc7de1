"""Figures of encoders: response functions, scores over time and on the head, importance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib
import numpy as np
import pandas as pd

from .._figures import (
    LABELS,
    PALETTE,
    default_times,
    line_and_band,
    make_axes,
    make_row_of_axes,
    model_colors,
    style,
    topomap_picks,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._typing import ArrayLike, Axes, DataFrame, Figure, Info
from .._scores import nanmean
from ._inspection import check_times

if TYPE_CHECKING:
    from .importance import PermutationImportance


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
    if absent := [name for name in ("model", "fold", "subject") if name not in table]:
        raise ValueError(
            f"table must have the columns of Study.table_. It has no {', '.join(absent)}."
        )
    models = list(dict.fromkeys(table["model"]))
    unit = "subject" if table["subject"].nunique() > 1 else "fold"
    wide = table.groupby([unit, "model"], sort=False)[metric].mean().unstack()[models]
    colors = model_colors(models)
    with style():
        ax = make_axes(ax, (1.3 + 0.9 * len(models), 4))
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
        ax = make_axes(ax, (6.5, 4))
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
            line_and_band(ax, times[scored], curve[:, scored], name, colors[name])
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
        Whether `r` is a difference of scores; for the label of the color bar.
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
            axes = make_row_of_axes(len(samples))
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
        ax = make_axes(ax, (6, 3.6))
        for i, (name, kernel) in enumerate(zip(names, kernels)):
            ax.plot(delays, kernel, label=name, color=PALETTE[i % len(PALETTE)])
        ax.axhline(0, color="#999999", linewidth=0.8, zorder=0)
        ax.set_xlabel("Lag (s)")
        unit = "RMS over channels" if target is None else f"channel {target}"
        ax.set_ylabel(f"Response, {unit}\n(unit of y / unit of X)")
        ax.legend()
    return ax


def plot_importance(
    result: PermutationImportance,
    times: ArrayLike,
    ax: Axes | None = None,
    *,
    relative: bool = False,
    start: float | None = None,
) -> Axes:
    """Draw the importance of each feature over the time of a trial.

    Parameters
    ----------
    result : PermutationImportance
        From :func:`~sklearn_meg.permutation_importance_over_time`.
    times : array-like of shape (n_times,)
        Seconds.
    ax : Axes, default=None
    relative : bool, default=False
        Draw the relative loss instead: the drop of R as a percentage of the mean R over channels
        and subjects. Not drawn where that R is below 0.05.
    start : float, default=None
        End of the initial window in seconds. It is shaded and no curve is drawn in it.

    Returns
    -------
    ax : Axes
        Lines are means over subjects (and repeats and channels), bands their SEM.

    Raises
    ------
    ValueError
        If `times` does not have the samples of the result.

    Examples
    --------
    >>> from sklearn_meg import TemporalReceptiveField, permutation_importance_over_time
    >>> from sklearn_meg.datasets import make_words
    >>> from sklearn_meg.plotting import plot_importance
    >>> data = make_words("L", n_subjects=2, n_trials=20, n_channels=4)
    >>> model = TemporalReceptiveField(sfreq=data.sfreq, **data.rows).fit(data.X, data.y)
    >>> rows = {"length": 1, "frequency": 2}
    >>> result = permutation_importance_over_time(model, data.X, data.y, features=rows)
    >>> ax = plot_importance(result, data.times)
    """
    # Only now: plotting imports this module.
    from .._figures import PALETTE, line_and_band, make_axes, style

    times = check_times(result, times)
    curves, label = _curves(result, relative)
    scored = np.ones(len(times), bool) if start is None else times >= start
    with style():
        ax = make_axes(ax, (6.5, 4))
        if start is not None and start > times[0]:
            ax.axvspan(times[0], start, color="#F0F0F0", zorder=0, linewidth=0)
            ax.text(
                (times[0] + start) / 2, 0.99, "initial\nwindow", color="#777777", fontsize=9,
                ha="center", va="top", transform=ax.get_xaxis_transform(),
            )  # fmt: skip
        for i, (name, curve) in enumerate(zip(result.names, curves)):
            shown = np.where(scored, curve, np.nan)
            line_and_band(ax, times, shown, name, PALETTE[i % len(PALETTE)])
        ax.axhline(0, color="#999999", linewidth=0.8, zorder=0)
        if times[0] < 0 < times[-1]:
            ax.axvline(0, color="#999999", linewidth=0.8, linestyle="--", zorder=0)
        ax.set_xlim(times[0], times[-1])
        ax.set_xlabel("Time from stimulus onset (s)")
        ax.set_ylabel(label)
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def plot_importance_topomap(
    result: PermutationImportance,
    info: Info,
    times: ArrayLike,
    at: Sequence[float] | None = None,
    *,
    features: list[str] | None = None,
    figure: Figure | None = None,
) -> Figure:
    """Draw the importance of each feature on the head at some times.

    Parameters
    ----------
    result : PermutationImportance
        From :func:`~sklearn_meg.permutation_importance_over_time`.
    info : mne.Info
        Info of the channels of y, with positions. With several types of sensors the first of
        magnetometers, EEG and gradiometers is drawn.
    times : array-like of shape (n_times,)
        Seconds.
    at : sequence of float, default=None
        Times to draw, in seconds; the nearest samples are taken. None means five times from
        0 s (or the start) on.
    features : list of str, default=None
        Features to draw, one a row. None draws all.
    figure : Figure, default=None

    Returns
    -------
    figure : Figure
        Means over subjects and repeats, all on one scale.

    Raises
    ------
    ValueError
        If `info` or `times` do not fit the result, a feature is unknown, or no channel has a
        position.

    Examples
    --------
    >>> import mne
    >>> from sklearn_meg import TemporalReceptiveField, permutation_importance_over_time
    >>> from sklearn_meg.datasets import make_words
    >>> from sklearn_meg.plotting import plot_importance_topomap
    >>> data = make_words("L", n_subjects=2, n_trials=20, n_channels=16)
    >>> model = TemporalReceptiveField(sfreq=data.sfreq, **data.rows).fit(data.X, data.y)
    >>> rows = {"length": 1, "frequency": 2}
    >>> result = permutation_importance_over_time(model, data.X, data.y, features=rows)
    >>> montage = mne.channels.make_standard_montage("biosemi16")
    >>> info = mne.create_info(montage.ch_names, data.sfreq, "eeg").set_montage(montage)
    >>> figure = plot_importance_topomap(result, info, data.times, at=[0.1, 0.3])
    """
    from mne import pick_info
    from mne.viz import plot_topomap

    from .._figures import default_times, style, topomap_picks

    times = check_times(result, times)
    names = list(result.names) if features is None else list(features)
    unknown = [name for name in names if name not in result.names]
    if unknown or not names:
        raise ValueError(f"features must be among {result.names}. Got {features!r}.")
    if len(info["ch_names"]) != result.baseline.shape[1]:
        raise ValueError(
            f"info must have the {result.baseline.shape[1]} channels of the result. "
            f"Got {len(info['ch_names'])}."
        )
    picks = topomap_picks(info)
    if not len(picks):
        raise ValueError("No MEG or EEG channel of info has a position.")
    samples = [np.argmin(np.abs(times - t)) for t in (default_times(times) if at is None else at)]
    rows = [result.names.index(name) for name in names]
    maps = nanmean(result.importances_mean[rows], axis=1)[:, picks][:, :, samples]
    top = max(float(np.nanmax(np.abs(maps), initial=0.0)), 1e-6)
    with style():
        axes = _grid(figure, len(names), len(samples))
        for i, name in enumerate(names):
            for j, sample in enumerate(samples):
                image, _ = plot_topomap(
                    np.nan_to_num(maps[i, :, j]), pick_info(info, picks), axes=axes[i, j],
                    show=False, vlim=(-top, top), cmap="RdBu_r", contours=0, sensors=False,
                    extrapolate="auto",
                )  # fmt: skip
                if i == 0:
                    axes[i, j].set_title(f"{times[sample]:.2f} s", fontsize=11, fontweight="normal")
            axes[i, 0].set_ylabel(name, fontsize=11, labelpad=8)
        figure = axes[0, 0].figure
        bar = figure.colorbar(image, ax=axes.ravel().tolist(), shrink=0.7, fraction=0.04, pad=0.02)
        bar.set_label("Drop of R")
    return figure


def _curves(result, relative):
    """Curves (n_features, n_subjects, n_times), and what they are."""
    drop = nanmean(result.importances_mean, axis=2)
    if not relative:
        return drop, "Drop of R across trials"
    baseline = nanmean(nanmean(result.baseline, axis=1), axis=0)
    there = baseline > 0.05
    percent = np.where(there, 100 * drop / np.where(there, baseline, 1.0), np.nan)
    return percent, "Relative loss of R (%)"


def _grid(figure, n_rows, n_columns):
    import matplotlib.pyplot as plt

    if figure is None:
        figure = plt.figure(
            figsize=(1.5 * n_columns + 1.6, 1.5 * n_rows + 0.4), layout="constrained"
        )
    return figure.subplots(n_rows, n_columns, squeeze=False)
