"""Figure of dipoles and of how sure their positions are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import chi2

from ._glass_brain import VIEWS, label_view, outline_of, silhouette

if TYPE_CHECKING:
    from typing import Literal

    from .._typing import ArrayLike, Axes, Figure

STICK = 12.0  # mm
MARGIN = 8.0  # mm around everything


def plot_dipole_volumes(
    positions: ArrayLike,
    covariances: ArrayLike,
    *,
    orientations: ArrayLike | None = None,
    true_positions: ArrayLike | None = None,
    confidence: float = 0.95,
    outline: Literal["head", "mri"] | ArrayLike | None = "head",
    title: str | None = None,
    figure: Figure | None = None,
) -> Figure:
    """Draw dipoles with the ellipsoids that hold them, on three planes.

    The outline of an ellipsoid is that of its shadow: the true place of a dipole is within all
    three with at least the given confidence.

    Parameters
    ----------
    positions : array-like of shape (n_dipoles, 3)
        Coordinates in m, such as ``dipole_positions_``.
    covariances : array-like of shape (n_dipoles, 3, 3)
        Of each position in m^2, such as ``dipole_covariances_``.
    orientations : array-like of shape (n_dipoles, 3), default=None
        Drawn as sticks, such as ``dipole_orientations_``.
    true_positions : array-like of shape (n_sources, 3), default=None
        Drawn as crosses.
    confidence : float, default=0.95
        Between 0 and 1.
    outline : {"head", "mri"}, array-like of shape (n, 3) or None, default="head"
        Inner skull of fsaverage in head or MRI coordinates; or points in m whose silhouette is
        drawn; or nothing.
    title : str, default=None
    figure : Figure, default=None

    Returns
    -------
    figure : Figure
        Three views; the legend says the largest half axis of each ellipsoid.

    Raises
    ------
    ValueError
        If the shapes do not belong together, or a covariance is not finite, as that of a grid that
        fills no volume.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.plotting import plot_dipole_volumes
    >>> positions = np.array([[-0.05, 0.0, 0.06], [0.05, 0.01, 0.06]])
    >>> covariances = np.array([np.diag([1e-6, 4e-6, 9e-6]), 4e-6 * np.eye(3)])  # 1 to 3 mm
    >>> figure = plot_dipole_volumes(positions, covariances)
    >>> len(figure.axes)
    3
    """
    from .._figures import style

    places, spread = _checked(positions, covariances, confidence)
    ways = _rows(orientations, "orientations", len(places))
    truth = _rows(true_positions, "true_positions")
    points = outline_of(outline)
    radius = float(np.sqrt(chi2.ppf(confidence, 3)))
    low, high = _window(places, spread, truth, points, radius)
    with style():
        import matplotlib.pyplot as plt

        figure = plt.figure(figsize=(10.2, 3.8), layout="constrained") if figure is None else figure
        widths = [high[across] - low[across] for _, (across, _), _ in VIEWS]
        axes = figure.subplots(1, 3, width_ratios=widths)
        for ax, (name, plane, sides) in zip(axes, VIEWS):
            if points is not None:
                ax.fill(*silhouette(1e3 * points[:, plane]), fill=False, color="#555555", lw=1.2)
            _draw(ax, plane, places, spread, ways, radius)
            if len(truth):
                ax.plot(*1e3 * truth[:, plane].T, "x", color="black", ms=7, mew=1.5)
            ax.set(xlim=(low[plane[0]], high[plane[0]]), ylim=(low[plane[1]], high[plane[1]]))
            label_view(ax, name, sides)
        if len(truth):
            axes[0].plot([], [], "x", color="black", ms=7, mew=1.5, label="true")
        if len(places) or len(truth):
            handles = axes[0].get_legend_handles_labels()
            figure.legend(*handles, loc="outside lower center", ncols=5, frameon=False)
        if title:
            figure.suptitle(title, fontweight="bold", fontsize=12)
    return figure


def _checked(positions, covariances, confidence):
    places, spread = np.asarray(positions, dtype=float), np.asarray(covariances, dtype=float)
    if places.ndim != 2 or places.shape[1] != 3:
        raise ValueError(f"positions must have the shape (n_dipoles, 3). Got {places.shape}.")
    if spread.shape != (len(places), 3, 3):
        raise ValueError(
            f"covariances must have the shape ({len(places)}, 3, 3), one a position. "
            f"Got {spread.shape}."
        )
    if not (np.isfinite(places).all() and np.isfinite(spread).all()):
        raise ValueError(
            "positions and covariances must be finite. Dipoles have covariances where the grid of "
            "the forward fills a volume."
        )
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be a float in the range (0, 1). Got {confidence!r}.")
    return places, spread


def _rows(points, name, n=None):
    """Rows of three numbers; none for None."""
    if points is None:
        return np.zeros((0, 3))
    points = np.asarray(points, dtype=float)
    if points.ndim != 2 or points.shape[1] != 3 or (n is not None and len(points) != n):
        expected = "n_sources" if n is None else n
        raise ValueError(f"{name} must have the shape ({expected}, 3). Got {points.shape}.")
    return points


def _window(places, spread, truth, points, radius):
    """Lowest and highest coordinates in mm of all that is drawn."""
    reach = radius * np.sqrt(np.diagonal(spread, axis1=1, axis2=2))
    corners = [places - reach, places + reach, truth, _rows(points, "outline")]
    everything = 1e3 * np.vstack(corners)
    if not len(everything):
        everything = np.array([[-100.0] * 3, [100.0] * 3])
    return everything.min(axis=0) - MARGIN, everything.max(axis=0) + MARGIN


def _draw(ax: Axes, plane, places, spread, ways, radius):
    """Ellipses, middles and sticks of all dipoles in one view."""
    plane = list(plane)
    for index, (place, cov) in enumerate(zip(places, spread)):
        color, middle = f"C{index}", 1e3 * place[plane]
        half = 1e3 * radius * np.sqrt(max(np.linalg.eigvalsh(cov)[-1], 0.0))
        x, y = middle[:, None] + 1e3 * _ellipse(cov[np.ix_(plane, plane)], radius)
        ax.fill(x, y, facecolor=color, alpha=0.25, lw=0)
        ax.plot(x, y, color=color, lw=1.0)
        ax.plot(*middle, "o", color=color, ms=4, label=f"{index + 1}: within {half:.1f} mm")
        if len(ways):
            end = middle + STICK * ways[index][plane]
            ax.plot(*np.stack([middle, end], axis=1), color=color, lw=1.8)


def _ellipse(cov, radius, n=61):
    """Points (2, n) where the Mahalanobis distance is `radius`."""
    values, vectors = np.linalg.eigh(cov)
    angle = np.linspace(0, 2 * np.pi, n)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    return vectors @ (radius * np.sqrt(np.maximum(values, 0.0))[:, None] * circle)
