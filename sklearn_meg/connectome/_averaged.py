"""Tensors that know how sure directions are: means of v v' over the voxels around.

Where directions agree, the mean of v v' is long and thin, and ways keep to the fibers; where they
differ, by noise or because bundles meet, it is rounder, and ways may go straight on.
"""

import numpy as np
from scipy.ndimage import gaussian_filter

from ._settings import SETTINGS


def averaging_width(noise):
    """Standard deviation in voxels of the mean, for directions with so much noise (radians)."""
    return min(np.rad2deg(noise) / SETTINGS.noise_a_voxel, SETTINGS.widest)


def averaged_metric(vectors, mask, width, anisotropy):
    """Inverses of I + (a - 1) times the mean of v v', NaN outside the mask.

    vectors (nx, ny[, nz], dim): Unit vectors, NaN where absent.
    mask (nx, ny[, nz]): Voxels with a vector.
    width (dim,): Standard deviations of the Gaussian weights, in voxels along each axis.
    anisotropy: a, where all directions agree.
    returns (nx, ny[, nz], dim, dim)
    """
    dim, v = vectors.shape[-1], np.where(mask[..., None], vectors, 0.0)

    def averaged(values):
        return gaussian_filter(values, width, mode="constant")[mask]

    total = averaged(mask.astype(float))
    mean = np.empty((mask.sum(), dim, dim))
    for i in range(dim):
        for j in range(i + 1):
            mean[:, i, j] = mean[:, j, i] = averaged(v[..., i] * v[..., j]) / total
    g = np.full((*mask.shape, dim, dim), np.nan)
    g[mask] = np.linalg.inv(np.eye(dim) + (anisotropy - 1) * mean)
    return g
