"""Figures of source estimates; public through :mod:`sklearn_meg.plotting`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ._glass_brain import VIEWS, check_map, label_view, outline_of, project, silhouette, spacing_of

if TYPE_CHECKING:
    from typing import Literal

    from .._typing import ArrayLike, Axes, DataFrame, Figure, Info

METRICS = {
    "dle_mm": "Localization error (mm)",
    "hit20": "Found within 20 mm",
    "sd_mm": "Spatial dispersion (mm)",
    "emd_mm": "Earth mover's distance (mm)",
    "nmse": "NMSE of the field",
    "tcorr": "Correlation of time courses",
    "osnr_db": "Output SNR (dB)",
    "fit_s": "Time of a fit (s)",
}


def plot_sources(
    positions: ArrayLike,
    sources: ArrayLike,
    samples: slice | ArrayLike | int | None = None,
    *,
    true_positions: ArrayLike | None = None,
    threshold: float = 0.1,
    scale: float = 1e9,
    unit: str = "nA m",
    outline: Literal["head", "mri"] | ArrayLike | None = "head",
    title: str | None = None,
    figure: Figure | None = None,
) -> Figure:
    """Draw a source estimate as a glass brain: projections of its peak on three planes.

    A pixel shows the strongest position in front of or behind it. Positions are drawn as wide as
    they are apart, so that a single one does not look more exact than the grid allows.

    Parameters
    ----------
    positions : array-like of shape (n_positions, 3)
        Coordinates in m.
    sources : array-like of shape (n_positions[, 3], n_times) or (n_positions,)
        The largest length over time is drawn.
    samples : slice or array-like of bool or int, default=None
        Samples to take the largest of; None takes all.
    true_positions : array-like of shape (n_sources, 3), default=None
        Drawn as crosses.
    threshold : float, default=0.1
        Positions below this share of the maximum are not drawn.
    scale, unit : float and str, default=1e9 and "nA m"
        Scale and unit of the color bar: values are multiplied by `scale`. A map without unit is
        ``scale=1, unit="dSPM"``.
    outline : {"head", "mri"}, array-like of shape (n, 3) or None, default="head"
        Inner skull of fsaverage in head or MRI coordinates; or points in m whose silhouette is
        drawn; or nothing.
    title : str, default=None
    figure : Figure, default=None

    Returns
    -------
    figure : Figure
        Three views and a color bar.

    Raises
    ------
    ValueError
        If the shapes do not belong together, or a parameter is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.plotting import plot_sources
    >>> rng = np.random.default_rng(0)
    >>> positions = rng.uniform(-0.05, 0.05, size=(50, 3)) + [0, 0, 0.05]
    >>> sources = 1e-9 * np.outer(np.arange(50) == 7, np.hanning(20))  # one dipole
    >>> figure = plot_sources(positions, sources, true_positions=positions[[7]])
    """
    import matplotlib

    from .._figures import style

    positions, strength, truth = check_map(positions, sources, samples, true_positions)
    if not 0 <= threshold < 1:
        raise ValueError(f"threshold must be a float in the range [0, 1). Got {threshold!r}.")
    points = outline_of(outline)
    everything = positions if points is None else np.vstack([positions, points])
    low, high = 1e3 * everything.min(axis=0) - 8, 1e3 * everything.max(axis=0) + 8
    strength, size = strength * scale, spacing_of(positions)
    top = strength.max() or 1.0
    with style(), matplotlib.rc_context({"axes.grid": False}):
        figure = _new_figure((10.2, 3.5)) if figure is None else figure
        widths = [high[across] - low[across] for _, (across, _), _ in VIEWS]
        axes = figure.subplots(1, 3, width_ratios=widths)
        for ax, (name, plane, sides) in zip(axes, VIEWS):
            window = [(low[axis], high[axis]) for axis in plane]
            image = project(1e3 * positions[:, plane], strength, threshold * top, window, size)
            drawn = ax.imshow(
                image, origin="lower", extent=[*window[0], *window[1]], cmap="YlOrRd",
                vmin=0, vmax=top, interpolation="bilinear",
            )  # fmt: skip
            if points is not None:
                ax.fill(*silhouette(1e3 * points[:, plane]), fill=False, color="#555555", lw=1.2)
            if truth is not None:
                ax.plot(*1e3 * truth[:, plane].T, "x", color="#0072B2", ms=8, mew=2)
            label_view(ax, name, sides)
        bar = figure.colorbar(drawn, ax=list(axes), shrink=0.8, fraction=0.03, pad=0.02)
        bar.set_label(f"Strength ({unit})")
        if truth is not None:
            axes[0].plot([], [], "x", color="#0072B2", ms=8, mew=2, label="true")
            axes[0].legend(loc="lower left", borderaxespad=0.0)
        if title:
            figure.suptitle(title, fontweight="bold", fontsize=12)
    return figure


def plot_source_time_courses(
    times: ArrayLike,
    positions: ArrayLike,
    sources: ArrayLike,
    n_peaks: int = 3,
    *,
    true_positions: ArrayLike | None = None,
    true_time_courses: ArrayLike | None = None,
    scale: float = 1e9,
    unit: str = "nA m",
    ax: Axes | None = None,
) -> Axes:
    """Draw the time courses at the strongest local maxima.

    A vector is projected on its dominant orientation, whose sign is chosen so that it follows
    the true time course, or has a positive peak.

    Parameters
    ----------
    times : array-like of shape (n_times,)
        Times in s.
    positions : array-like of shape (n_positions, 3)
        Coordinates in m.
    sources : array-like of shape (n_positions[, 3], n_times)
    n_peaks : int, default=3
        Without a truth: how many maxima at most. With it, each true source gets one.
    true_positions, true_time_courses : array-like of shape (n_sources, 3) and (n_sources, n_times)
        Drawn as dashed lines, in the color of the maximum assigned to them.
    scale, unit : float and str, default=1e9 and "nA m"
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
    >>> from sklearn_meg.plotting import plot_source_time_courses
    >>> rng = np.random.default_rng(0)
    >>> positions = rng.uniform(-0.05, 0.05, size=(50, 3)) + [0, 0, 0.05]
    >>> sources = 1e-9 * np.outer(np.arange(50) == 7, np.hanning(20))  # one dipole
    >>> ax = plot_source_time_courses(np.arange(20) / 100, positions, sources, n_peaks=1)
    """
    from .._figures import PALETTE, make_axes, style
    from .metrics import find_peaks, match_sources

    sources, times = np.asarray(sources, dtype=float), np.asarray(times, dtype=float)
    positions = check_map(positions, sources, None, None)[0]
    if (true_positions is None) != (true_time_courses is None):
        raise ValueError("true_positions and true_time_courses must be given together.")
    if sources.ndim < 2 or sources.shape[-1] != len(times):
        raise ValueError(
            f"sources must have {len(times)} samples like times on the last axis. "
            f"Got shape {sources.shape}."
        )
    if true_positions is None:
        peaks, truth = find_peaks(positions, sources, n_peaks), None
    else:
        truth = np.atleast_2d(np.asarray(true_time_courses, dtype=float))
        peaks, _ = match_sources(positions, sources, true_positions)
        if truth.shape != (len(peaks), len(times)):
            raise ValueError(
                f"true_time_courses must have the shape {(len(peaks), len(times))}. "
                f"Got {truth.shape}."
            )
    with style():
        ax = make_axes(ax, (7.5, 3.8))
        for i, peak in enumerate(peaks):
            color = PALETTE[i % len(PALETTE)]
            true = None if truth is None else truth[i]
            if true is not None:
                ax.plot(times, scale * true, "--", color=color, lw=1.4, label=f"true {i + 1}")
            if peak >= 0:
                place = ", ".join(f"{value:.0f}" for value in 1e3 * positions[peak])
                course = _signed_course(sources[peak], true)
                ax.plot(times, scale * course, color=color, label=f"({place}) mm")
        ax.axhline(0, color="#999999", linewidth=0.8, zorder=0)
        if times[0] < 0 < times[-1]:
            ax.axvline(0, color="#999999", linewidth=0.8, linestyle="--", zorder=0)
        ax.set_xlim(times[0], times[-1])
        ax.set_xlabel("Time from onset (s)")
        ax.set_ylabel(f"Strength ({unit})")
        if ax.get_legend_handles_labels()[0]:
            ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def plot_field_reconstruction(
    measured: ArrayLike,
    predicted: ArrayLike,
    info: Info,
    times: ArrayLike,
    at: float | None = None,
    figure: Figure | None = None,
) -> Figure:
    """Draw measured fields, predicted fields and residuals, for each type of sensors.

    Parameters
    ----------
    measured, predicted : array-like of shape (n_channels, n_times)
        Fields in T, T/m or V.
    info : mne.Info
        Info of these channels, with positions.
    times : array-like of shape (n_times,)
        Times in s.
    at : float, default=None
        Time to draw; None takes where the measured field is strongest from 0 s on, each channel
        relative to its own type.
    figure : Figure, default=None

    Returns
    -------
    figure : Figure
        A row for each type of sensors. Gradiometers are drawn as the root mean square of each
        pair, so their residual is that of the difference.

    Raises
    ------
    ValueError
        If the shapes do not belong together or no channel has a position.

    Examples
    --------
    >>> import mne
    >>> import numpy as np
    >>> from sklearn_meg.plotting import plot_field_reconstruction
    >>> montage = mne.channels.make_standard_montage("biosemi16")
    >>> info = mne.create_info(montage.ch_names, 100.0, "eeg").set_montage(montage)
    >>> measured = 1e-6 * np.random.default_rng(0).normal(size=(16, 30))
    >>> figure = plot_field_reconstruction(measured, 0.9 * measured, info, np.arange(30) / 100)
    """
    import matplotlib
    from mne import pick_info
    from mne.viz import plot_topomap

    from .._figures import style

    times = np.asarray(times, dtype=float)
    fields = [np.asarray(values, dtype=float) for values in (measured, predicted)]
    for name, values in zip(("measured", "predicted"), fields):
        if values.shape != (len(info["ch_names"]), len(times)):
            raise ValueError(
                f"{name} must have the shape ({len(info['ch_names'])}, {len(times)}), the channels "
                f"of info and the times. Got {values.shape}."
            )
    rows = _sensor_types(info)
    sample = _strongest(fields[0], rows, times) if at is None else np.argmin(np.abs(times - at))
    shown = [fields[0], fields[1], fields[0] - fields[1]]
    with style(), matplotlib.rc_context({"axes.grid": False}):
        figure = _new_figure((8.2, 2.7 * len(rows) + 0.4)) if figure is None else figure
        axes = figure.subplots(len(rows), 3, squeeze=False)
        for line, (label, picks, factor, unit) in zip(axes, rows):
            values = np.array([factor * field[picks, sample] for field in shown])
            pairs = label == "Gradiometers"
            limit = np.abs(values[:2]).max() or 1.0
            if pairs:  # mne draws the root mean square of a pair
                limit = np.sqrt(np.square(values[:2]).reshape(2, -1, 2).mean(axis=2)).max() or 1.0
            levels = np.linspace(0 if pairs else -limit, limit, 6)[1:-1]
            for ax, value, name in zip(line, values, ("measured", "predicted", "residual")):
                image, _ = plot_topomap(
                    value, pick_info(info, picks), axes=ax, show=False, contours=levels,
                    vlim=(0 if pairs else -limit, limit), sensors="k.",
                    cmap="YlOrRd" if pairs else "RdBu_r",
                )  # fmt: skip
                ax.set_title(f"{label}, {name}", fontsize=10, fontweight="normal")
            bar = figure.colorbar(image, ax=list(line), shrink=0.8, fraction=0.03, pad=0.02)
            bar.set_label(unit)
        figure.suptitle(f"{1e3 * times[sample]:.0f} ms", fontweight="bold", fontsize=12)
    return figure


def plot_solver_comparison(
    table: DataFrame | list[dict],
    metric: str = "dle_mm",
    cases: list[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw bars of solvers beside each other in each case: the mean, and every seed as a dot.

    Parameters
    ----------
    table : DataFrame or list of dict
        ``case, model, metric, seed, value``, one row a seed: the rows of a benchmark's JSON.
    metric : str, default="dle_mm"
    cases : list of str, default=None
        Cases, in this order; None takes all that have the metric.
    ax : Axes, default=None

    Returns
    -------
    ax : Axes

    Raises
    ------
    ValueError
        If a column, the metric or a case is missing.

    Examples
    --------
    >>> from sklearn_meg.plotting import plot_solver_comparison
    >>> rows = [
    ...     {"case": "1dip-5", "model": model, "metric": "dle_mm", "seed": seed, "value": value}
    ...     for model, values in {"default": [3.0, 4.0], "dspm": [8.0, 9.0]}.items()
    ...     for seed, value in enumerate(values)
    ... ]
    >>> ax = plot_solver_comparison(rows)
    """
    from .._figures import make_axes, style

    rows, cases = _rows_of(table, metric, cases)
    models = list(dict.fromkeys(rows["model"]))
    colors = _solver_colors(models)
    width = 0.8 / len(models)
    with style():
        ax = make_axes(ax, (2.5 + 0.3 * len(cases) * (len(models) + 1), 4))
        for i, model in enumerate(models):
            for x, case in enumerate(cases):
                chosen = (rows["model"] == model) & (rows["case"] == case)
                values = rows.loc[chosen, "value"].to_numpy(dtype=float)
                values = values[np.isfinite(values)]
                if not len(values):
                    continue
                where = x + (i - (len(models) - 1) / 2) * width
                ax.bar(where, values.mean(), 0.9 * width, color=colors[model], alpha=0.85)
                spread = np.linspace(-0.25, 0.25, len(values)) * width if len(values) > 1 else [0]
                ax.scatter(
                    where + np.asarray(spread), values, s=9, color="white", edgecolor="#333333",
                    linewidth=0.7, zorder=3,
                )  # fmt: skip
            ax.bar(0, 0, color=colors[model], label=model)
        ax.set_xticks(range(len(cases)), cases)
        ax.set_xlim(-0.5, len(cases) - 0.5)
        ax.set_ylabel(METRICS.get(metric, metric))
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


# --- pieces --------------------------------------------------------------------------------------


def _new_figure(size):
    import matplotlib.pyplot as plt

    return plt.figure(figsize=size, layout="constrained")


def _signed_course(source, true):
    if source.ndim == 2:
        left, _, _ = np.linalg.svd(source, full_matrices=False)
        source = left[:, 0] @ source
    sign = source[np.argmax(np.abs(source))] if true is None else source @ true
    return -source if sign < 0 else source


def _sensor_types(info):
    """Rows to draw: (label, picks with positions, factor, unit)."""
    from mne import pick_types

    kinds = (
        ("Magnetometers", {"meg": "mag"}, 1e15, "fT"),
        ("Gradiometers", {"meg": "grad"}, 1e13, "fT/cm"),
        ("EEG", {"eeg": True}, 1e6, "µV"),
    )
    rows = []
    for label, kind, factor, unit in kinds:
        picks = pick_types(info, ref_meg=False, exclude=(), **kind)
        places = np.array([info["chs"][pick]["loc"][:3] for pick in picks]).reshape(-1, 3)
        there = np.isfinite(places).all(axis=1) & (np.abs(places).sum(axis=1) > 0)
        if there.sum() >= 3:
            rows.append((label, picks[there], factor, unit))
    if not rows:
        raise ValueError("No MEG or EEG channel of info has a position.")
    return rows


def _strongest(field, rows, times):
    """Sample after the onset with the largest power, each channel type relative to its own mean."""
    power = sum(
        np.square(field[picks]).mean(axis=0) / (np.square(field[picks]).mean() or 1.0)
        for _, picks, _, _ in rows
    )
    after = times >= 0 if (times >= 0).any() else np.ones(len(times), bool)
    return int(np.argmax(np.where(after, power, -1.0)))


def _rows_of(table, metric, cases):
    rows = pd.DataFrame(table)
    missing = {"case", "model", "metric", "value"} - set(rows.columns)
    if missing:
        raise ValueError(f"table must have the columns {sorted(missing)}. Got {list(rows)}.")
    metrics = list(dict.fromkeys(rows["metric"]))
    if metric not in metrics:
        raise ValueError(f"metric must be one of {metrics}. Got {metric!r}.")
    rows = rows[rows["metric"] == metric]
    there = list(dict.fromkeys(rows["case"]))
    cases = there if cases is None else list(cases)
    unknown = [case for case in cases if case not in there]
    if unknown or not cases:
        raise ValueError(f"cases must be some of {there}. Got {cases}.")
    return rows[rows["case"].isin(cases)], cases


def _solver_colors(models):
    """Ours in green and paper in pink, as everywhere; peers from the rest of the palette."""
    import matplotlib

    from .._figures import model_colors

    colors = model_colors(models)
    if len(set(colors.values())) == len(models):
        return colors
    ours = {name: colors[name] for name in models if name in ("default", "paper")}
    others = [name for name in models if name not in ours]
    more = matplotlib.colormaps["tab20"].colors
    return ours | {name: more[i % 20] for i, name in enumerate(others)}
