"""The metric of fibers from orientation distributions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .._checks.params import check_bool_param, check_option_param, check_scalar_param
from .._checks.trials import check_array
from .._params import documented
from ._context import along, half_sphere, sharpened
from ._distributions import (
    BASES,
    amplitudes,
    find_peaks,
    order_of,
    peaks_on_half,
    warn_if_other_basis,
)
from ._graph import FiberGraph, steps_of
from ._merged import split_merged
from ._settings import SETTINGS
from ._space import Space, check_mask
from .connectome_metric import ConnectomeMetric

if TYPE_CHECKING:
    from typing import Literal

    from .._typing import ArrayLike, Self


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class FiberDistributionMetric(ConnectomeMetric):
    """Metric of fibers from orientation distributions (FODs, ODFs); needs dipy.

    Distances and connections are shortest ways in a graph of positions and orientations: a step
    from voxel to voxel costs its length over the amplitude of the distribution along it, and the
    direction turns little from one step to the next, so that a way goes straight through a
    crossing, and no peak has to be matched with another. Geodesics and bundles are those of
    :class:`ConnectomeMetric` for the peaks, with ``method="fibers"``.

    Fibers that cross at less than the resolution of a distribution have one peak between them. So
    distributions are sharpened first (``sharpen``): deconvolved by the lobe of a single fiber,
    with what lies before and behind along each direction. A lobe that is still long and flat is
    that of two fibers, and gets two peaks.

    Parameters
    ----------
    sharpen : bool, default=True
        Whether to sharpen distributions. Without it, ``share=0.2``, ``min_amplitude=0.15`` and
        ``separation=25`` leave fewer false peaks.
    basis : {"dipy", "mrtrix"}, default="dipy"
        Basis of the spherical harmonics: "dipy" is dipy's default (descoteaux07), "mrtrix" that of
        MRtrix3. Its distributions are along the world axes: ``frame="world"``.
    n_peaks : int, default=5
        Largest number of peaks of a voxel.
    share : float, default=0.1
        Smallest amplitude of a peak, as a share of the largest of its voxel.
    min_amplitude : float, default=0.08
        Smallest amplitude of a peak, as a share of that of a strong fiber (the 95th percentile of
        the largest of each voxel).
    separation : float, default=15.0
        Smallest angle between two peaks, in degrees.
    anisotropy, window, smoothness, n_threads, verbose, affine, frame
        As :class:`ConnectomeMetric`.
    method, knot_spacing, max_iter, tol
        As :class:`ConnectomeMetric`; "fibers" is the default.

    Attributes
    ----------
    step_amplitude_ : ndarray of shape (n_voxels, n_steps)
        Amplitude along each step from a voxel of the mask to one around it.
    directions_, amplitude_, mask_, method_, stability_, anisotropy_, metric_, affine_
        As :class:`ConnectomeMetric`, of the peaks.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.connectome import FiberDistributionMetric
    >>> from sklearn_meg.datasets import make_phantom
    >>> phantom = make_phantom(size=16, n_bundles=2, random_state=0)
    >>> model = FiberDistributionMetric().fit(phantom.fod)
    >>> line = phantom.centerlines[0]
    >>> path, length = model.connect(line[[40]], line[[-40]])
    >>> bool(phantom.mask[tuple(np.round(path[0]).astype(int).T)].all())
    True
    """

    method: Literal["auto", "fibers", "spline"] = "fibers"
    basis: Literal["dipy", "mrtrix"] = "dipy"
    sharpen: bool = True
    n_peaks: int = 5
    share: float = 0.1
    min_amplitude: float = 0.08
    separation: float = 15.0

    def fit(
        self, X: ArrayLike, y: None = None, mask: ArrayLike | None = None, amplitude: None = None
    ) -> Self:
        """Find the peaks and compute the cost of each step.

        Parameters
        ----------
        X : array-like of shape (nx, ny, nz, n_coefficients)
            Coefficients of even spherical harmonics; zeros or NaN where there is no distribution.
        y : None
            Ignored.
        mask : array-like of shape (nx, ny, nz), default=None
            Voxels to keep; None is those with a peak.
        amplitude : None
            Ignored: amplitudes are those of the distributions.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For another shape, a number of coefficients that no order has, or no peak.
        ImportError
            Without dipy.
        """
        self._check_distribution_params()
        X = check_distributions(X)
        there = self._there(X, mask)
        warn_if_other_basis(X[there], self.basis)
        values = self._amplitudes(X, there)
        peaks, amplitude, inside = self._found(X, there, values)
        super().fit(peaks, mask=mask if mask is None else inside, amplitude=amplitude)
        self.step_amplitude_ = self._along_steps(X, there, values)
        return self

    def _there(self, X, mask):
        """Voxels with a distribution."""
        there = np.isfinite(X).all(-1) & (np.abs(np.nan_to_num(X)).max(-1) > 0)
        if mask is not None:
            there &= check_mask(mask, X.shape[:3], self.affine)
        if not there.any():
            raise ValueError("X has no distribution inside the mask: all are zero or NaN.")
        return there

    def _amplitudes(self, X, there):
        """Sharpened amplitudes of those voxels on a half sphere; None without sharpening."""
        if not self.sharpen:
            return None
        space, v = Space(X.shape[:3], self.affine), half_sphere()
        steps = (v @ space.rotation if self.frame == "world" else v) * space.scale.min()
        return sharpened(X[there], self.basis, there, steps / space.scale, v)

    def _found(self, X, there, values):
        """Peaks, their amplitudes, and where there are any."""
        options = int(self.n_peaks), self.share, self.separation
        if values is None:
            found, strength = find_peaks(X[there], self.basis, *options)
        else:
            found, strength = peaks_on_half(values, *options)
            found, strength = split_merged(values, half_sphere(), found, strength)
        found[strength < self.min_amplitude * np.quantile(strength[0], 0.95)] = np.nan
        used = np.isfinite(found[..., 0]).any(1)
        if not used.any():
            raise ValueError("X has no peak inside the mask.")
        peaks = np.full((used.sum(), *X.shape[:3], 3), np.nan)
        amplitude = np.zeros(peaks.shape[:-1])
        peaks[:, there], amplitude[:, there] = found[used], strength[used]
        return peaks, amplitude, np.isfinite(peaks[..., 0]).any(0)

    def _find(self, X, mask):
        there = self._there(X, mask)
        return self._found(X, there, self._amplitudes(X, there))

    def _along_steps(self, X, there, values):
        """Amplitudes along steps from the voxels of the mask, 1 for a strong fiber."""
        steps = steps_of(self._space.scale) * self._space.scale
        unit = steps / np.linalg.norm(steps, axis=1, keepdims=True)
        unit = unit if self._frame is None else unit @ self._frame.T
        found = _of_strong(amplitudes(X[there], unit, self.basis))
        if values is not None:  # what both say: sharpening must not close a way
            sharp = along(values, half_sphere(), unit, SETTINGS.sharp_width)
            found = np.sqrt(found * _of_strong(sharp))
        number = np.full(there.shape, -1)
        number[there] = np.arange(len(found))
        found = np.vstack([found, np.zeros_like(found[:1])])[number[self._open_mask]]
        return _of_strong(found)

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Excess curvature of the peaks of distributions.

        Parameters
        ----------
        X : array-like of shape (nx, ny, nz, n_coefficients)
            Distributions on the grid of ``fit``.

        Returns
        -------
        residual : ndarray of shape (n_fields, nx, ny, nz, 3)
            As :meth:`ConnectomeMetric.transform`, of each peak.
        """
        return super().transform(self._find(check_distributions(X), None)[0])

    def _graph(self):
        mask, scale = self._open_mask, self._space.scale
        return FiberGraph(self.step_amplitude_, mask, scale, SETTINGS.small_lobe)

    def _check_distribution_params(self):
        check_option_param(self, "basis", tuple(BASES))
        check_option_param(self, "frame", ("grid", "world"))
        check_bool_param(self, "sharpen")
        check_scalar_param(self, "n_peaks", "int", 1)
        for name in ("share", "min_amplitude", "separation"):
            check_scalar_param(self, name, "float", 0)


def _of_strong(found):
    """Amplitudes, 0 where negative, as shares of that of a strong fiber."""
    return np.maximum(found, 0) / np.quantile(found.max(1), 0.9)


def check_distributions(X):
    """Return coefficients as an array (nx, ny, nz, n_coefficients)."""
    X = check_array(
        X,
        input_name="X",
        dtype=np.float64,
        ensure_2d=False,
        allow_nd=True,
        ensure_all_finite="allow-nan",
    )
    if X.ndim != 4 or order_of(X.shape[-1]) is None or X.shape[-1] < 6:
        raise ValueError(
            "X must have the shape (nx, ny, nz, n_coefficients), with 6, 15, 28, 45, ... "
            f"coefficients of even spherical harmonics. Got {X.shape}."
        )
    return X
