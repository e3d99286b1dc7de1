"""Pieces of a glass brain: projections of a source estimate on three planes."""

from functools import lru_cache

import numpy as np

# Name of the view, axes across and up, their signs on the page, and what is to the left.
VIEWS = (
    ("from the left", (1, 2), ("P", "A")),
    ("from behind", (0, 2), ("L", "R")),
    ("from above", (0, 1), ("L", "R")),
)
PIXEL = 1.5  # mm


def check_map(positions, sources, samples, true_positions):
    """Coordinates, largest length over time, and true coordinates, checked."""
    from .metrics import source_strength

    positions, strength = np.asarray(positions, dtype=float), source_strength(sources, samples)
    if positions.shape != (len(strength), 3):
        raise ValueError(
            f"positions must have the shape ({len(strength)}, 3), one row a source. "
            f"Got {positions.shape}."
        )
    if true_positions is None:
        return positions, strength, None
    truth = np.asarray(true_positions, dtype=float)
    if truth.ndim != 2 or truth.shape[1] != 3:
        raise ValueError(f"true_positions must have the shape (n_sources, 3). Got {truth.shape}.")
    return positions, strength, truth


@lru_cache(maxsize=2)
def _skull(frame):
    """Points of the inner skull of fsaverage in m."""
    import mne

    from .._optional import mne_data_file

    (skull,) = mne.read_bem_surfaces(
        mne_data_file("fsaverage", "fsaverage-inner_skull-bem.fif"), verbose="error"
    )
    if frame == "mri":
        return skull["rr"]
    trans = mne.read_trans(mne_data_file("fsaverage", "fsaverage-trans.fif"))
    return mne.transforms.apply_trans(mne.transforms.invert_transform(trans), skull["rr"])


def outline_of(outline):
    """Points of what is drawn around the sources; None of nothing."""
    if outline is None:
        return None
    if isinstance(outline, str):
        if outline not in ("head", "mri"):
            raise ValueError(f"outline must be 'head', 'mri', points or None. Got {outline!r}.")
        return _skull(outline)
    points = np.asarray(outline, dtype=float)
    if points.ndim != 2 or points.shape[1] != 3 or len(points) < 4:
        raise ValueError(f"outline must have the shape (n, 3), n at least 4. Got {points.shape}.")
    return points


def silhouette(points, n_angles=90):
    """Outline of projected points (n, 2): the farthest in each direction from their middle."""
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    away = points - middle
    angle = np.arctan2(away[:, 1], away[:, 0])
    bins = ((angle + np.pi) / (2 * np.pi) * n_angles).astype(int) % n_angles
    radius = np.linalg.norm(away, axis=1)
    farthest = [int(np.argmax(np.where(bins == i, radius, -1))) for i in np.unique(bins)]
    return points[farthest, 0], points[farthest, 1]


def project(places, strength, floor, window, size):
    """Maximum intensity projection (n_up, n_across); NaN where nothing is drawn."""
    from scipy.spatial import KDTree

    grid = [np.arange(low + PIXEL / 2, high, PIXEL) for low, high in window]
    pixels = np.stack(np.meshgrid(*grid), axis=-1)
    shape, pixels = pixels.shape[:2], pixels.reshape(-1, 2)
    tree, image = KDTree(pixels), np.zeros(len(pixels))
    for index in np.flatnonzero((strength >= floor) & (strength > 0)):
        near = np.array(tree.query_ball_point(places[index], size), dtype=int)
        distance = np.linalg.norm(pixels[near] - places[index], axis=1) / size
        # Even up to where the next position begins, so that a uniform map looks uniform.
        weight = np.clip((1.0 - distance) / 0.3, 0.0, 1.0)
        image[near] = np.maximum(image[near], weight * strength[index])
    return np.where(image > 0, image, np.nan).reshape(shape)


def spacing_of(positions):
    """Distance of neighbors in mm."""
    from scipy.spatial import KDTree

    if len(positions) < 2:
        return 10.0
    return float(np.clip(1e3 * np.median(KDTree(positions).query(positions, k=2)[0][:, 1]), 3, 20))


def label_view(ax, name, sides):
    """Name of a view, and which side is where."""
    ax.set_title(name, fontsize=10, fontweight="normal")
    ax.set_aspect("equal")
    ax.set_axis_off()
    for x, side, align in zip((0.05, 0.95), sides, ("left", "right")):
        ax.text(x, 0.98, side, transform=ax.transAxes, ha=align, va="top", color="#777777")
