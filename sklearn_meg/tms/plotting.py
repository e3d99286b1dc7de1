"""Figures of neurons, fields and thresholds; public through :mod:`sklearn_meg.plotting`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal

    from .._typing import ArrayLike, Axes
    from ._morphology import Morphology
    from .neuron_cell import Activation
from .._figures import plain_log_ticks
from ._drawing import NEAR_ZERO, _draw_activation, _draw_field, _draw_parts, _field_at

PLANES = {"xz": (0, 2), "yz": (1, 2), "xy": (0, 1)}


def plot_neuron(
    morphology: Morphology,
    field: ArrayLike | Callable | None = None,
    ax: Axes | None = None,
    *,
    plane: Literal["xz", "yz", "xy"] = "xz",
    activation: Activation | None = None,
) -> Axes:
    """Draw a neuron, seen from the side, the field along it, and where it fires.

    Parameters
    ----------
    morphology : Morphology
    field : array-like of shape (n_points, 3) or callable, default=None
        E at the points of the morphology in the neuron's frame, V/m for each A/us; or a function
        of points (n, 3) in m that gives it. The neuron is colored by the magnitude, arrows
        show the part of E in the plane. None colors the parts of the neuron.
    ax : Axes, default=None
    plane : {"xz", "yz", "xy"}, default="xz"
        Plane of the drawing; z is the somatodendritic axis.
    activation : Activation, default=None
        Place and time of the spike, from :meth:`NeuronCell.activate`: a star, with threshold and
        latency in the title.

    Returns
    -------
    ax : Axes

    Raises
    ------
    ValueError
        For another plane, or a field that does not belong to the points.

    Examples
    --------
    >>> from sklearn_meg.tms.plotting import plot_neuron
    >>> from sklearn_meg.tms import make_neuron
    >>> ax = plot_neuron(make_neuron("L1 NGC"), lambda points: 1 + 100 * points)
    """
    from .._figures import make_axes, style

    if plane not in PLANES:
        raise ValueError(f"plane must be one of {', '.join(map(repr, PLANES))}. Got {plane!r}.")
    E = _field_at(morphology, field)
    seen = list(PLANES[plane])
    points = morphology.points[:, seen]
    ends = np.stack([points[np.maximum(morphology.parents, 0)], points], axis=1)[1:]
    widths = np.clip(morphology.diameters[1:], 0.6, 5.0)
    with style():
        ax = make_axes(ax, (5, 6))
        ax.grid(False)
        if E is None:
            _draw_parts(ax, morphology, ends, widths)
        else:
            _draw_field(ax, points, ends, widths, E, seen)
        ax.plot(*points[0], "o", color="#222222", markersize=7, zorder=4)
        ax.set(xlabel=f"{plane[0]} (µm)", ylabel=f"{plane[1]} (µm)", aspect="equal")
        ax.set_title(morphology.name)
        if activation is not None:
            _draw_activation(ax, activation, seen)
        ax.autoscale_view()
    return ax


def plot_predicted_thresholds(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    interval: ArrayLike | None = None,
    ax: Axes | None = None,
    *,
    unit: str = "A/µs",
    coverage: float | None = None,
) -> Axes:
    """Draw predicted against true thresholds, with prediction intervals.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
        NaN in `y_true` is left out.
    interval : array-like of shape (n, 2), default=None
        Lower and upper bounds, from :meth:`ThresholdCNN.predict_interval`; those that miss the
        true threshold are drawn in another color.
    ax : Axes, default=None
    unit : str, default="A/µs"
    coverage : float, default=None
        Coverage that the intervals were asked for, to be read beside the one that they have.

    Returns
    -------
    ax : Axes
        Logarithmic, with the mean absolute percentage error in the title.

    Raises
    ------
    ValueError
        For arrays that differ in length.

    Examples
    --------
    >>> from sklearn_meg.tms.plotting import plot_predicted_thresholds
    >>> ax = plot_predicted_thresholds([50, 80], [52, 79], [[48, 55], [75, 83]])
    """
    from .._figures import PALETTE, make_axes, style

    true, predicted = np.asarray(y_true, float), np.asarray(y_pred, float)
    bounds = None if interval is None else np.asarray(interval, float)
    _check_pairs(true, predicted, bounds)
    known = np.isfinite(true)
    true, predicted = true[known], predicted[known]
    with style():
        ax = make_axes(ax, (5, 5))
        ax.set(xscale="log", yscale="log", aspect="equal")
        ax.axline((true.min(), true.min()), (true.max(), true.max()), color="0.6", linewidth=1)
        if bounds is None:
            ax.plot(true, predicted, ".", color=PALETTE[0], alpha=0.5, markersize=5)
        else:
            low, high = bounds[known].T
            holds = (low <= true) & (true <= high)
            for chosen, color, name in (
                (holds, PALETTE[0], f"holds the true one: {100 * holds.mean():.0f} %"),
                (~holds, PALETTE[5], f"misses it: {100 * (~holds).mean():.0f} %"),
            ):
                errors = np.stack([predicted - low, high - predicted])[:, chosen]
                ax.errorbar(
                    true[chosen], predicted[chosen], np.maximum(errors, 0), fmt=".", color=color,
                    markersize=4, elinewidth=0.8, alpha=0.5, label=name,
                )  # fmt: skip
            asked = "interval" if coverage is None else f"interval of {100 * coverage:g} %"
            ax.legend(loc="upper left", title=asked)
        mape = 100 * np.mean(np.abs(predicted / true - 1))
        ax.set_title(f"mean absolute error {mape:.1f} %")
        ax.set(xlabel=f"Threshold ({unit})", ylabel=f"Predicted threshold ({unit})")
        for axis in (ax.xaxis, ax.yaxis):
            plain_log_ticks(axis)
    return ax


def plot_threshold_map(
    positions: ArrayLike,
    thresholds: ArrayLike,
    ax: Axes | None = None,
    *,
    unit: str = "A/µs",
    arrows: ArrayLike | None = None,
    levels: int | ArrayLike = 24,
) -> Axes:
    """Draw thresholds over the positions of neurons in a patch of cortex.

    Parameters
    ----------
    positions : array-like of shape (n, 3) or (n, 2)
        Coordinates in m; three columns are projected onto the plane that fits them best (x and y
        stay x and y where the patch is below the vertex).
    thresholds : array-like of shape (n,)
    ax : Axes, default=None
    unit : str, default="A/µs"
    arrows : array-like of shape (n, 2) or (n, 3), default=None
        Directions drawn at some of the positions: the field, say; with the same columns as
        `positions`.
    levels : int or array-like, default=24
        Number of colors, or the thresholds between them: the same for maps to be compared.

    Returns
    -------
    ax : Axes
        Dark where the neuron is easiest to fire.

    Raises
    ------
    ValueError
        For arrays that do not go together, or fewer than 4 positions.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.tms.plotting import plot_threshold_map
    >>> positions = np.random.default_rng(0).normal(size=(50, 2)) / 100
    >>> ax = plot_threshold_map(positions, 50 + 1e5 * (positions**2).sum(axis=1))
    """
    from .._figures import make_axes, style

    positions, thresholds = np.asarray(positions, float), np.asarray(thresholds, float)
    good = positions.ndim == 2 and positions.shape[1] in (2, 3) and len(positions) >= 4
    if not good or thresholds.shape != (len(positions),):
        raise ValueError(
            "positions must have the shape (n, 2) or (n, 3), n at least 4, and thresholds (n,). "
            f"Got {positions.shape} and {thresholds.shape}."
        )
    basis = _plane_of(positions)
    flat = 1e3 * (positions - positions.mean(axis=0)) @ basis
    known = np.isfinite(thresholds)
    with style():
        ax = make_axes(ax, (6, 5))
        ax.grid(False)
        drawn = ax.tricontourf(*flat[known].T, thresholds[known], levels=levels, cmap="viridis")
        bar = ax.figure.colorbar(drawn, ax=ax, shrink=0.85)
        bar.set_label(f"Threshold ({unit})")
        if arrows is not None:
            step = max(1, len(flat) // 120)
            along = np.asarray(arrows, float) @ basis
            ax.quiver(*flat[::step].T, *along[::step].T, color="white", alpha=0.7, width=0.004)
        lowest = flat[known][np.argmin(thresholds[known])]
        ax.plot(*lowest, "*", color="white", markeredgecolor="black", markersize=14)
        ax.set(xlabel="mm", ylabel="mm", aspect="equal")
        ax.set_title(f"Lowest threshold (star): {thresholds[known].min():.0f} {unit}")
    return ax


def plot_error_by_heterogeneity(
    levels: ArrayLike,
    errors: dict[str, ArrayLike],
    ax: Axes | None = None,
    *,
    trained: float | None = None,
    flagged: ArrayLike | None = None,
) -> Axes:
    """Draw the error of models against the heterogeneity of fields.

    Parameters
    ----------
    levels : array-like of shape (n_levels,)
        Heterogeneity of the fields.
    errors : dict of str -> array-like of shape (n_levels,) or (n_seeds, n_levels)
        Mean absolute percentage error of each model; several seeds give a band of their SD.
    ax : Axes, default=None
    trained : float, default=None
        Heterogeneity of the training fields: a vertical line.
    flagged : array-like of shape (n_levels,), default=None
        Percent of fields that :meth:`ThresholdCNN.is_unusual` flags: written above.

    Returns
    -------
    ax : Axes

    Raises
    ------
    ValueError
        For errors that do not have one value a level.

    Examples
    --------
    >>> from sklearn_meg.tms.plotting import plot_error_by_heterogeneity
    >>> ax = plot_error_by_heterogeneity([0, 1, 2], {"uniform": [2, 10, 30], "default": [1, 2, 9]})
    """
    from .._figures import make_axes, model_colors, style

    levels = np.asarray(levels, float)
    curves = _checked_curves(errors, levels, "levels")
    colors = model_colors(curves)
    with style():
        ax = make_axes(ax, (6.5, 4))
        _draw_bands(ax, levels, curves, colors)
        if trained is not None:
            ax.axvline(trained, color="#999999", linewidth=1, linestyle="--", zorder=0)
        if flagged is not None:
            for level, share in zip(levels, flagged, strict=True):
                ax.text(
                    level, 1.01, f"{share:.0f} %", ha="center", va="bottom", fontsize=9,
                    color="#555555", transform=ax.get_xaxis_transform(),
                )  # fmt: skip
            ax.set_title("flagged as unusual", fontsize=9, fontweight="normal", pad=16)
        ax.set_yscale("log")
        plain_log_ticks(ax.yaxis)
        ax.set(xlabel="Heterogeneity of the fields", ylabel="Mean absolute error (%)")
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def plot_error_by_samples(
    numbers: ArrayLike,
    errors: dict[str, ArrayLike],
    ax: Axes | None = None,
    *,
    untrained: dict[str, float] | None = None,
) -> Axes:
    """Draw the error of models against the number of thresholds that they learned from.

    Parameters
    ----------
    numbers : array-like of shape (n_numbers,)
        Numbers of simulated thresholds.
    errors : dict of str -> array-like of shape (n_numbers,) or (n_seeds, n_numbers)
        Mean absolute percentage error of each model; several seeds give a band of their SD.
    ax : Axes, default=None
    untrained : dict of str -> float, default=None
        Errors of models that learned from none: horizontal lines.

    Returns
    -------
    ax : Axes
        Both axes logarithmic.

    Raises
    ------
    ValueError
        For errors that do not have one value a number.

    Examples
    --------
    >>> from sklearn_meg.tms.plotting import plot_error_by_samples
    >>> ax = plot_error_by_samples([30, 100], {"network": [1.0, 0.7]}, untrained={"physics": 1.3})
    """
    from .._figures import make_axes, model_colors, style

    numbers, untrained = np.asarray(numbers, float), untrained or {}
    curves = _checked_curves(errors, numbers, "numbers")
    colors = model_colors([*curves, *untrained])
    with style():
        ax = make_axes(ax, (6.5, 4))
        _draw_bands(ax, numbers, curves, colors)
        for name, error in untrained.items():
            ax.axhline(error, color=colors[name], linestyle="--", linewidth=1.2, label=name)
        ax.set(xscale="log", yscale="log", xlabel="Simulated thresholds")
        ax.set_ylabel("Mean absolute error (%)")
        ax.set_xticks(numbers, [f"{n:g}" for n in numbers], minor=False)
        ax.minorticks_off()
        plain_log_ticks(ax.yaxis)
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def plot_recruitment(
    amplitudes: ArrayLike, shares: ArrayLike, ax: Axes | None = None, *, unit: str = "A/µs"
) -> Axes:
    """Draw the share of a population that fires against the output of the stimulator.

    Parameters
    ----------
    amplitudes : array-like of shape (n_amplitudes,)
    shares : array-like of shape (n_places, n_amplitudes) or (n_amplitudes,)
        From 0 to 1, from :meth:`ThresholdCNN.predict_recruitment`: a thin line a place, and their
        mean.
    ax : Axes, default=None
    unit : str, default="A/µs"

    Returns
    -------
    ax : Axes

    Raises
    ------
    ValueError
        For shares that do not have one value an amplitude.

    Examples
    --------
    >>> from sklearn_meg.tms.plotting import plot_recruitment
    >>> ax = plot_recruitment([50, 100, 150], [[0, 0.5, 1], [0, 0.2, 0.9]])
    """
    from .._figures import PALETTE, make_axes, style

    amplitudes, shares = np.asarray(amplitudes, float), np.atleast_2d(np.asarray(shares, float))
    if amplitudes.ndim != 1 or shares.shape[1:] != amplitudes.shape:
        raise ValueError(
            "shares must have one value for each of the amplitudes. Got the shapes "
            f"{shares.shape} and {amplitudes.shape}."
        )
    with style():
        ax = make_axes(ax, (5.5, 4))
        if len(shares) > 1:
            ax.plot(amplitudes, 100 * shares.T, color="0.75", linewidth=0.6, zorder=1)
        ax.plot(amplitudes, 100 * shares.mean(axis=0), color=PALETTE[0], linewidth=2.2)
        ax.set(xlabel=f"Output ({unit})", ylabel="Neurons that fire (%)", ylim=(-2, 102))
    return ax


def _checked_curves(errors, places, name):
    curves = {model: np.atleast_2d(np.asarray(value, float)) for model, value in errors.items()}
    for model, curve in curves.items():
        if curve.shape[1:] != places.shape:
            raise ValueError(
                f"errors must have one value for each of the {len(places)} {name}. Got the shape "
                f"{np.shape(errors[model])} for {model!r}."
            )
    return curves


def _draw_bands(ax, places, curves, colors):
    """Mean over seeds and a band of their standard deviation."""
    for name, curve in curves.items():
        mean, spread = curve.mean(axis=0), curve.std(axis=0)
        ax.plot(places, mean, "o-", color=colors[name], label=name)
        low = np.maximum(mean - spread, NEAR_ZERO)
        ax.fill_between(places, low, mean + spread, color=colors[name], alpha=0.2, linewidth=0)


def _plane_of(positions):
    """Two axes (n_columns, 2) of the plane through positions; as near to x and y as can be."""
    if positions.shape[1] == 2:
        return np.eye(2)
    normal = np.linalg.svd(positions - positions.mean(axis=0))[2][2]
    first = np.eye(3)[0] if abs(normal[0]) < 0.9 else np.eye(3)[1]
    first = first - normal * (first @ normal)
    first /= np.linalg.norm(first)
    normal = normal if normal[2] >= 0 else -normal
    return np.stack([first, np.cross(normal, first)], axis=1)


def _check_pairs(true, predicted, bounds):
    if true.ndim != 1 or predicted.shape != true.shape:
        raise ValueError(
            f"y_true and y_pred must have the shape (n,). Got {true.shape} and {predicted.shape}."
        )
    if bounds is not None and bounds.shape != (len(true), 2):
        raise ValueError(f"interval must have the shape ({len(true)}, 2). Got {bounds.shape}.")
