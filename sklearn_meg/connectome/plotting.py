"""Figures of fields, metrics and geodesics; public through :mod:`sklearn_meg.plotting`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .._typing import ArrayLike, Axes, BaseEstimator

N_ELLIPSES = 24  # along the longest side
COLORS = ("#0072B2", "#D55E00", "#009E73")  # of fields
TRUE, FOUND = "#222222", "#D55E00"


def plot_metric_field(
    model: BaseEstimator,
    X: ArrayLike | None = None,
    ax: Axes | None = None,
    *,
    plane: int | None = None,
    every: int | None = None,
) -> Axes:
    """Draw fiber directions, and the metric as ellipses of equal length.

    Parameters
    ----------
    model : ConnectomeMetric or another fitted metric
        An ellipse has the vectors of one metric length, scaled to fit: a long axis is a direction
        in which ways are short.
    X : array-like of shape (n_fields, nx, ny[, nz], dim), default=None
        Directions; None takes those that the model was fitted to.
    ax : Axes, default=None
    plane : int, default=None
        Slice along the last axis of a 3-D grid; None is the middle one. What lies in the plane is
        drawn.
    every : int, default=None
        Voxels between ellipses; None fits the grid.

    Returns
    -------
    ax : Axes
        Axes in units of voxels.

    Raises
    ------
    ValueError
        For a plane outside the grid.

    Examples
    --------
    >>> from sklearn_meg.connectome import InverseTensorMetric
    >>> from sklearn_meg.datasets import make_fibers
    >>> from sklearn_meg.plotting import plot_metric_field
    >>> ax = plot_metric_field(InverseTensorMetric().fit(make_fibers("annulus", size=16).X))
    """
    from matplotlib.collections import EllipseCollection

    from .._figures import make_axes, style

    V, g = _slice(model, X, plane)
    nx, ny = g.shape[:2]
    every = max(1, round(max(nx, ny) / N_ELLIPSES)) if every is None else every
    x, y = (a.ravel() for a in np.meshgrid(np.arange(nx), np.arange(ny), indexing="ij"))
    with style():
        ax = make_axes(ax, (5.5, 5.5))
        ax.grid(False)
        some = (x % every == 0) & (y % every == 0) & np.isfinite(g[x, y, 0, 0])
        widths, heights, angles = _ellipses(g[x[some], y[some]], every)
        ax.add_collection(
            EllipseCollection(
                widths, heights, angles, units="xy", offsets=np.stack([x[some], y[some]], 1),
                transOffset=ax.transData, facecolor="#E9EEF5", edgecolor="#8FA3BF", linewidth=0.8,
            )
        )  # fmt: skip
        for field, color in zip(V, COLORS):
            there = some & np.isfinite(field[x, y, 0])
            u = field[x[there], y[there]] * every * 0.4
            at = np.stack([x[there], y[there]], 1)
            _segments(ax, at - u, at + u, color)
        ax.set(xlabel="x (voxels)", ylabel="y (voxels)", aspect="equal")
        ax.set(xlim=(-1, nx), ylim=(-1, ny))
        ax.set_title("Directions, and the metric as ellipses")
    return ax


def plot_geodesics(
    paths: ArrayLike,
    curves: list[ArrayLike] | None = None,
    mask: ArrayLike | None = None,
    ax: Axes | None = None,
    *,
    axes: tuple[int, int] = (0, 1),
) -> Axes:
    """Draw geodesics over the curves that they should follow.

    Parameters
    ----------
    paths : array-like of shape (n, n_points, dim), or list of array-like of shape (n_points, dim)
        NaN is not drawn.
    curves : list of array-like of shape (n_points, dim), default=None
        True curves, drawn dashed.
    mask : array-like of shape (nx, ny[, nz],), default=None
        Shown in gray, in voxels; of a 3-D one whether any voxel of a line of sight is in it.
    ax : Axes, default=None
    axes : tuple of two int, default=(0, 1)
        Coordinates to draw.

    Returns
    -------
    ax : Axes

    Raises
    ------
    ValueError
        For axes that the paths do not have.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.plotting import plot_geodesics
    >>> ax = plot_geodesics(np.zeros((1, 3, 2)) + np.arange(3)[:, None])
    """
    from .._figures import make_axes, style

    dim = np.shape(paths[0])[-1]
    if len(axes) != 2 or not all(0 <= a < dim for a in axes):
        raise ValueError(f"axes must be two of the {dim} coordinates. Got {axes!r}.")
    seen = list(axes)
    with style():
        ax = make_axes(ax, (5.5, 5.5))
        ax.grid(False)
        if mask is not None:
            _draw_mask(ax, np.asarray(mask), axes)
        for k, path in enumerate(paths):
            label = "geodesic" if k == 0 else None
            ax.plot(*np.asarray(path)[:, seen].T, color=FOUND, linewidth=1.4, label=label)
        for k, curve in enumerate(curves or ()):
            label = "true curve" if k == 0 else None
            ax.plot(*np.asarray(curve)[:, seen].T, "--", color=TRUE, linewidth=0.9, label=label)
        names = "xyz"
        ax.set(xlabel=names[axes[0]], ylabel=names[axes[1]], aspect="equal")
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def plot_deviation_map(
    paths: ArrayLike,
    deviation: ArrayLike,
    grid: tuple[int, ...],
    ax: Axes | None = None,
    *,
    axes: tuple[int, int] = (0, 1),
) -> Axes:
    """Draw a map of deviations: the mean over the geodesics that pass each voxel.

    Parameters
    ----------
    paths : array-like of shape (n, n_points, dim)
        Coordinates in voxels.
    deviation : array-like of shape (n, n_points)
        From :func:`~sklearn_meg.connectome.geodesic_deviation`; NaN does not count.
    grid : tuple of int
        Voxels along each axis.
    ax : Axes, default=None
    axes : tuple of two int, default=(0, 1)
        Coordinates to draw; the mean is taken over others.

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
    >>> from sklearn_meg.plotting import plot_deviation_map
    >>> ax = plot_deviation_map(np.ones((1, 3, 2)), np.ones((1, 3)), (4, 4))
    """
    from .._figures import make_axes, style

    paths, deviation = np.asarray(paths, dtype=float), np.asarray(deviation, dtype=float)
    if paths.shape[:-1] != deviation.shape or paths.shape[-1] != len(grid):
        raise ValueError(
            f"deviation must have one value a point, and grid one number a coordinate. Got paths "
            f"{paths.shape}, deviation {deviation.shape}, grid {tuple(grid)}."
        )
    mean = _binned(paths[..., list(axes)], deviation, [grid[a] for a in axes])
    with style():
        ax = make_axes(ax, (6.2, 5))
        ax.grid(False)
        top = max(np.nanmax(mean, initial=0.0), 1e-12)
        image = ax.imshow(mean.T, origin="lower", cmap="viridis", vmin=0, vmax=top)
        ax.figure.colorbar(image, ax=ax, shrink=0.8).set_label("Mean deviation (voxels)")
        ax.set(xlabel=f"{'xyz'[axes[0]]} (voxels)", ylabel=f"{'xyz'[axes[1]]} (voxels)")
        ax.set_title(
            f"Mean {np.nanmean(deviation):.3g}, median {np.nanmedian(deviation):.3g} voxels"
        )
    return ax


def _slice(model, X, plane):
    """Directions (n_fields, nx, ny, 2) and metrics (nx, ny, 2, 2) in a plane."""
    V = np.asarray(model.directions_ if X is None else X, dtype=float)
    g = model.metric_
    if g.shape[-1] == 2:
        return V, g
    n = g.shape[2]
    plane = n // 2 if plane is None else plane
    if not 0 <= plane < n:
        raise ValueError(f"plane must be one of the {n} slices, from 0. Got {plane!r}.")
    return V[:, :, :, plane, :2], g[:, :, plane, :2, :2]


def _ellipses(g, every):
    """Full axes and angles of the ellipses of equal length, the median of the longer 0.9 cells."""
    values, vectors = np.linalg.eigh(g)
    radii = 1 / np.sqrt(values)  # the longest is along the smallest value
    unit = 0.9 * every / np.median(radii[:, 0])
    angles = np.degrees(np.arctan2(vectors[:, 1, 0], vectors[:, 0, 0]))
    widths = np.minimum(unit * radii[:, 0], 1.3 * every)
    return widths, widths * radii[:, 1] / radii[:, 0], angles


def _segments(ax, starts, ends, color):
    from matplotlib.collections import LineCollection

    lines = np.stack([starts, ends], axis=1)
    ax.add_collection(LineCollection(lines, colors=color, linewidths=1.6))


def _draw_mask(ax, mask, axes):
    if mask.ndim == 3:
        hidden = ({0, 1, 2} - set(axes)).pop()
        mask = mask.any(axis=hidden)
    shown = mask.T if axes[0] < axes[1] else mask
    ax.imshow(np.where(shown, 0.9, 1.0), origin="lower", cmap="gray", vmin=0, vmax=1, zorder=0)


def _binned(points, values, shape):
    """Mean of values in the nearest voxels; NaN where there is none."""
    good = np.isfinite(values) & np.isfinite(points).all(-1)
    index = np.clip(np.round(points[good]).astype(int), 0, np.array(shape) - 1)
    sums, counts = np.zeros(shape), np.zeros(shape)
    np.add.at(sums, tuple(index.T), values[good])
    np.add.at(counts, tuple(index.T), 1)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
