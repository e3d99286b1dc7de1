"""Thresholds from physics: how much a field polarizes the sites where spikes can start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import BaseEstimator

from .._checks.params import check_option_param, check_random_state
from .._params import documented
from .._training.threads import one_blas_thread
from ._base import PhysicsParams, ThresholdModel
from ._grids import center_magnitude, check_grids, normalized
from ._physics import (
    apply_physics,
    as_tensors,
    correction_outputs,
    fit_correction,
    fit_physics,
    untrained_physics,
)
from ._settings import FIT
from .neurons import CELL_TYPES, grid_spacing

if TYPE_CHECKING:
    from typing import Literal

    from .._typing import ArrayLike, RandomSeed, Self
    from ._morphology import Morphology  # noqa: F401  # hint of an inherited parameter

__all__ = ["PassiveThreshold"]


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class PassiveThreshold(PhysicsParams, ThresholdModel, BaseEstimator):
    """Predict thresholds from the polarization of a resting neuron: no simulation, no network.

    The field polarizes every site where a spike can start (nodes, axon terminals, initial segment,
    bare axon). The response of a passive cable is linear in the field and follows from the
    morphology and the pulse; low-passed, since channels take time to open, and averaged over the
    time that it is positive, it is the drive of the site. The neuron fires when the largest drive
    reaches a constant.

    ``fit(X)`` without thresholds takes the constants of the built-in membranes. ``fit(X, y)`` fits
    the threshold of the drive, the time constant, a weight of each kind of site and, from 50
    thresholds, of each site; and a Gaussian process of what is left, where that helps. It is the
    baseline that a network of thresholds must beat.

    Parameters
    ----------
    %(PhysicsParams)s
    correction : {"auto", "gaussian_process", None}, default="auto"
        Correction added to the physics: a Gaussian process over the relative drives of sites, of
        up to 1000 samples. "auto" and "gaussian_process" use it where it lowers the leave-one-out
        error; None never does.
    random_state : int, RandomState instance or None, default=None
        Seed of the samples that the process is made of, where there are more than 1000.

    Attributes
    ----------
    physics_ : dict of ndarray
        Linear forms of the field, constants and weights.
    correction_ : dict of ndarray
        The Gaussian process; empty if there is none.
    neuron_ : str
        Name of the neuron; one of the library where `morphology` is None.
    pulse_, morphology_ : str or None
        Pulse and morphology of the model.
    grid_size_, n_features_in_, n_outputs_ : int
        Samples along each side of the grids, numbers in a grid, thresholds of a grid.

    Notes
    -----
    Without a morphology the five built-in types stand for the neuron: the one whose physics leaves
    the smallest error, each on a grid of `spacing` or, by default, its own :func:`grid_spacing`.
    That is a rough guess; bring the morphology if there is one.

    Examples
    --------
    >>> from sklearn_meg.tms import PassiveThreshold, make_tms_dataset
    >>> data = make_tms_dataset("L5 PC", 20, verbose=0)
    >>> untrained = PassiveThreshold(morphology="L5 PC").fit(data["grids"])
    >>> error = untrained.predict(data["grids"]) / data["threshold"] - 1
    >>> bool(abs(error).mean() < 0.03)
    True
    """

    correction: Literal["auto", "gaussian_process"] | None = "auto"
    random_state: RandomSeed = None

    @one_blas_thread()
    def fit(
        self, X: ArrayLike, y: ArrayLike | None = None, groups: ArrayLike | None = None
    ) -> Self:
        """Fit the constants; without `y` use those of the built-in membranes.

        Parameters
        ----------
        X : array-like of shape (n, s, s, s, 3) or (n, 3 * s**3)
            Field vectors in the neuron's frame, V/m per A/us, s odd.
        y : array-like of shape (n,) or (n, n_outputs), optional
            Thresholds in A/us; NaN (none found) counts for nothing.
        groups : ignored

        Returns
        -------
        self : object

        Raises
        ------
        ValueError, TypeError
            For NaN or infinity in X, shapes that do not go together, no field at a center,
            thresholds that are not positive, or a parameter out of range.
        """
        check_option_param(self, "correction", ("auto", "gaussian_process", None))
        rng = check_random_state(self.random_state)
        if y is None:
            X = check_grids(self, X, reset=True)
            magnitude = center_magnitude(X)
            self.magnitude_range_ = np.array([magnitude.min(), magnitude.max()])
            self.n_outputs_, self._y_ndim = 1, 1
        else:
            X, y = self._check_fit(X, y)
        self._check_physics_params()
        self._remember_origin()
        flat, self.correction_ = normalized(X).reshape(len(X), -1), {}
        if y is None:
            drive = self._known_drive("L5 PC")
            self.physics_ = untrained_physics(drive)
            return self
        in_field = y * center_magnitude(X)[:, np.newaxis]
        self.physics_ = fit_physics(self._chosen_drive(flat, in_field), flat, in_field)
        if self.correction is not None:
            logs, features = apply_physics(self.physics_, flat)
            self.correction_ = fit_correction(features, np.log(in_field) - logs, rng)
        return self

    def _predict_grids(self, X):
        logs, features = apply_physics(self.physics_, normalized(X).reshape(len(X), -1))
        if self.correction_:
            import torch

            added = correction_outputs(torch.from_numpy(features), as_tensors(self.correction_))
            logs = logs + added.numpy()
        return np.exp(logs) / center_magnitude(X)[:, np.newaxis]

    def _known_drive(self, name):
        """Compartments of the morphology, or of a neuron of the library."""
        if self.morphology is not None:
            self.neuron_ = self._neuron().name
            return self._site_drive()
        self.neuron_ = name
        spacing = grid_spacing(name) if self.spacing is None else self.spacing
        return self._drive_of(name, spacing)

    def _chosen_drive(self, flat, y):
        """Of the morphology, or of the neuron of the library that fits best."""
        if self.morphology is not None:
            drive = self._known_drive(None)
            logs, _ = apply_physics(untrained_physics(drive, y.shape[1]), flat)
            self._doubt_spacing(flat, y, logs)
            return drive
        found = []
        flat, y = flat[: FIT.library_samples], y[: FIT.library_samples]
        for name in CELL_TYPES:
            drive = self._known_drive(name)
            logs, _ = apply_physics(untrained_physics(drive, y.shape[1]), flat)
            error = np.log(y) - logs
            found.append((np.nanmean(np.abs(error - np.nanmedian(error, axis=0))), name, drive))
        _, self.neuron_, drive = min(found, key=lambda each: each[0])
        return drive

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        return tags
