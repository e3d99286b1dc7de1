"""Figures of feature importance; public through :mod:`sklearn_meg.plotting`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._folds import nanmean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._typing import ArrayLike, Axes, Figure, Info
    from .encoding._importance import PermutationImportance


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
    from .plotting import PALETTE, _axes, _line_and_band, style

    times = _check_times(result, times)
    curves, label = _curves(result, relative)
    scored = np.ones(len(times), bool) if start is None else times >= start
    with style():
        ax = _axes(ax, (6.5, 4))
        if start is not None and start > times[0]:
            ax.axvspan(times[0], start, color="#F0F0F0", zorder=0, linewidth=0)
            ax.text(
                (times[0] + start) / 2, 0.99, "initial\nwindow", color="#777777", fontsize=9,
                ha="center", va="top", transform=ax.get_xaxis_transform(),
            )  # fmt: skip
        for i, (name, curve) in enumerate(zip(result.names, curves)):
            shown = np.where(scored, curve, np.nan)
            _line_and_band(ax, times, shown, name, PALETTE[i % len(PALETTE)])
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
        Of the channels of y, with positions. With several types of sensors the first of
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

    from .plotting import default_times, style, topomap_picks

    times = _check_times(result, times)
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


def _check_times(result, times):
    times = np.asarray(times, dtype=float)
    if times.shape != result.baseline.shape[-1:]:
        raise ValueError(
            f"times must have the {result.baseline.shape[-1]} samples of the result. "
            f"Got the shape {times.shape}."
        )
    return times


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
