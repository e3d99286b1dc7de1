"""Parameters and steps that the two ways to a spline metric share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .._checks.params import check_scalar_param
from .._params import param
from ._fields import fit_lines
from ._settings import SETTINGS

if TYPE_CHECKING:
    from typing import Literal


@dataclass(kw_only=True, eq=False, repr=False)
class LineParams:
    """How fields are smoothed, and how smooth their metric is."""

    window: tuple[int, int] | Literal["auto"] = param(
        "auto",
        'tuple of two int or "auto"',
        "Radius in voxels and degree of the local polynomials by which fields are smoothed and "
        'differentiated. "auto" takes those that predict left-out vectors best, and leaves '
        "directions as they are where smoothing gains little.",
    )
    smoothness: float | Literal["auto"] = param(
        "auto",
        'float or "auto"',
        'Weight of the squared second derivatives of the log metric (in voxels); "auto" grows '
        "with the square of the noise found in the fields, up to 0.3.",
    )


def check_line_params(estimator):
    """Check the parameters of :class:`LineParams`."""
    if not isinstance(estimator.smoothness, str) or estimator.smoothness != "auto":
        check_scalar_param(estimator, "smoothness", "float", 0)
    if not isinstance(estimator.window, str) or estimator.window != "auto":
        check_ints(estimator, "window", 2)


def fitted_lines(estimator, X, scale):
    """Lines of the fields, with what was found about them kept on the estimator."""
    window = None if isinstance(estimator.window, str) else tuple(estimator.window)
    lines = fit_lines(X, scale, window)
    estimator.window_, estimator.noise_ = lines.window, float(np.rad2deg(lines.noise))
    estimator.cosine_ = lines.cosine
    auto = isinstance(estimator.smoothness, str)
    estimator.smoothness_ = smoothness_for(lines.noise) if auto else float(estimator.smoothness)
    return lines


def smoothness_for(noise):
    """Smoothness for a noise in radians."""
    return SETTINGS.clean + min(SETTINGS.noisy * noise**2, SETTINGS.most)


def check_ints(estimator, name, length):
    """Check that a parameter is a tuple of positive int."""
    value = getattr(estimator, name)
    good = isinstance(value, list | tuple) and all(
        isinstance(v, int | np.integer) and not isinstance(v, bool) and v > 0 for v in value
    )
    if not good or len(value) != length:
        raise ValueError(
            f"The {name!r} parameter of {type(estimator).__name__} must be a tuple of {length} "
            f"positive int. Got {value!r} instead."
        )
