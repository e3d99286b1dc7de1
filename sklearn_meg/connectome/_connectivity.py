"""Connectivity between regions of a parcellation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import distance_transform_edt

from .._checks.assumptions import warn_assumption
from ._conventions import values_of

if TYPE_CHECKING:
    from .._typing import ArrayLike, DataFrame

__all__ = ["connectivity_table"]


def check_labels(labels, grid, affine=None):
    """Return labels as int.

    Raises ValueError for another shape, an image of another affine, numbers that are not whole, or
        no region.
    """
    labels = np.asarray(values_of(labels, affine, "the labels"))
    if labels.shape == (*grid, 1):
        labels = labels[..., 0]
    if labels.shape != grid or labels.dtype.kind not in "iubf":
        raise ValueError(
            f"labels must be int of the shape {grid}. Got {labels.dtype} of shape {labels.shape}."
        )
    whole = np.nan_to_num(labels).astype(np.int64)
    if (np.nan_to_num(labels) != whole).any():
        raise ValueError("labels must be int, or whole numbers. Got fractions.")
    if not whole.any():
        raise ValueError("labels has no region: every voxel is 0.")
    return whole


def regions_in(labels, mask, scale, radius):
    """Regions of all voxels: their own, in the mask also the nearest within the radius."""
    distance, nearest = distance_transform_edt(labels == 0, sampling=scale, return_indices=True)
    taken = (labels == 0) & mask & (distance <= radius)
    inside = labels[mask]
    # Regions that are in the mask already need no others.
    there = np.isin(labels[tuple(nearest)], np.unique(inside[inside != 0]))
    return np.where(taken & ~there, labels[tuple(nearest)], labels) * mask


def distances(graph, own, regions, voxels, kind):
    """Shortest ways between sets of voxels, measured by the graph or in lengths."""
    matrix = np.zeros((len(regions), len(regions)))
    groups = [np.flatnonzero(own == region) for region in regions]
    for i, sources in enumerate(groups):
        if not len(sources):
            continue
        distance, path_to = graph.search(sources)
        for j, others in enumerate(groups):
            if i == j or not len(others):
                continue
            end = others[distance[others].argmin()]
            matrix[i, j] = distance[end]
            if kind == "length" and np.isfinite(matrix[i, j]):
                path = voxels[path_to(end)]
                matrix[i, j] = np.linalg.norm(np.diff(path, axis=0), axis=1).sum()
    return np.minimum(matrix, matrix.T)


def counts(paths, space, own, regions, assignment):
    """Number of curves between regions."""
    matrix = np.zeros((len(regions), len(regions)))
    for path in paths:
        if assignment == "ends":
            path = path[[0, -1]]
        index, good = space.voxels(path)
        touched = np.unique(own[tuple(index[good].T)])
        at = np.searchsorted(regions, touched[touched != 0])
        matrix[np.ix_(at, at)] += 1
    np.fill_diagonal(matrix, 0)
    return matrix


def with_missing(matrix, regions, missing):
    """The matrix with NaN where a region is too far from the mask, which is said."""
    if len(missing):
        warn_assumption(
            "outside-mask",
            f"{len(missing)} of {len(regions)} regions are too far from the mask: "
            f"{missing[:10].tolist()}. Their rows are NaN.",
        )
        at = np.searchsorted(regions, missing)
        matrix[at], matrix[:, at] = np.nan, np.nan
    return matrix


def connectivity_table(
    matrix: ArrayLike, regions: ArrayLike, names: dict | None = None
) -> DataFrame:
    """Table of a connectivity matrix, one row for each pair of regions.

    Parameters
    ----------
    matrix : array-like of shape (n_regions, n_regions)
        Symmetric, as ``geodesic_connectivity`` returns it.
    regions : array-like of int of shape (n_regions,)
        Labels of the rows.
    names : dict or None, default=None
        Name of each label; None keeps the labels.

    Returns
    -------
    table : DataFrame
        Columns ``region``, ``other`` and ``value``; each pair once. NaN is unknown, inf or 0 is
        known: no way, or no curve.

    Raises
    ------
    ValueError
        If the matrix does not belong to the regions.

    Examples
    --------
    >>> from sklearn_meg.connectome import connectivity_table
    >>> connectivity_table([[0, 2.5], [2.5, 0]], [3, 7])
       region  other  value
    0       3      7    2.5
    """
    import pandas as pd

    matrix, regions = np.asarray(matrix, dtype=float), np.asarray(regions)
    if matrix.shape != (len(regions),) * 2:
        raise ValueError(
            f"matrix must have a row and a column for each of {len(regions)} regions. "
            f"Got {matrix.shape}."
        )
    i, j = np.triu_indices(len(regions), 1)
    shown = regions if names is None else np.array([names.get(r, r) for r in regions.tolist()])
    return pd.DataFrame({"region": shown[i], "other": shown[j], "value": matrix[i, j]})
