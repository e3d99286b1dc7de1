"""What every model of thresholds can answer, whatever it is inside."""

from __future__ import annotations

import numbers
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_is_fitted

from .._checks.assumptions import warn_assumption
from .._checks.params import check_scalar_param
from .._checks.trials import check_weights
from .._checks.whole import WholeFit
from .._params import param
from .._routing import RoutedGroups
from ._doubts import doubt_spacing, doubt_thresholds
from ._drive import SiteDrive, library_drive
from ._grids import (
    center_magnitude,
    check_grids,
    check_thresholds,
    doubt_scale,
    turn_grids,
)
from ._morphology import Morphology, morphology_key, share_outside
from ._physics import apply_physics, untrained_physics
from ._settings import FIT
from .neurons import CELL_TYPES, grid_spacing, make_neuron
from .pulses import check_pulse, pulse_key
from .sampler import EFieldSampler

if TYPE_CHECKING:
    from .._typing import ArrayLike, Pulse


@dataclass(kw_only=True, eq=False, repr=False)
class PhysicsParams:
    """Neuron, pulse and physics of a model."""

    morphology: Morphology | str | None = param(
        None,
        "Morphology, cell type or None",
        "The neuron whose thresholds they are, or the name of a type of :func:`make_neuron` (its "
        "clone 0). None: physics is not known.",
    )
    pulse: Pulse = param(
        "monophasic",
        '{"monophasic", "biphasic", "half-sine"}, array-like or callable',
        "Waveform of the pulse, see :func:`pulse_waveform`; used with a morphology.",
    )
    spacing: float | None = param(
        None,
        "float or None",
        "Distance of neighbors in the grids, in m; used with a morphology. None is that of the "
        "cell type (:func:`grid_spacing`), and must be a number for a Morphology of your own.",
    )

    def _check_physics_params(self):
        check_pulse(self.pulse)
        check_scalar_param(self, "spacing", "float", 1e-5, 0.02, allow_none=True)
        if self.morphology is None:
            return
        self._neuron()
        if self._spacing() is None:
            raise ValueError(
                f"The 'spacing' parameter of {type(self).__name__} must be the distance of "
                "neighbors in the grids, in m, where morphology is no cell type. Got None."
            )

    def _neuron(self):
        """The morphology, checked."""
        known = isinstance(self.morphology, str) and self.morphology in CELL_TYPES
        if known:
            return make_neuron(self.morphology)
        if not isinstance(self.morphology, Morphology) or not self.morphology.has_axon:
            raise ValueError(
                f"The 'morphology' parameter of {type(self).__name__} must be a Morphology with an "
                f"axon, one of {list(CELL_TYPES)} or None. Got {self.morphology!r}."
            )
        return self.morphology

    def _spacing(self):
        if self.spacing is None and isinstance(self.morphology, str):
            return grid_spacing(self.morphology)
        return self.spacing

    def _doubt_spacing(self, flat, y, logs):
        """Say where grids seem to have a default spacing that is not the one assumed.

        flat (n, 3 * size**3): Fields.
        y, logs (n, n_outputs): Thresholds in V/m, and the logarithm of those of physics.
        """

        def logs_with(spacing):
            drive = self._drive_of(self.morphology, spacing)
            return apply_physics(untrained_physics(drive, y.shape[1]), flat)[0]

        usual = {EFieldSampler.spacing}
        if isinstance(self.morphology, str):
            usual.add(grid_spacing(self.morphology))
        others = {each: partial(logs_with, each) for each in usual - {self._spacing()}}
        doubt_spacing(y, logs, self._spacing(), others)

    def _drive_of(self, morphology, spacing):
        """Polarization of the sites of a morphology or a type, for grids of the fitted size."""
        if isinstance(morphology, str):
            if isinstance(self.pulse, str):
                return library_drive(morphology, self.pulse, self.grid_size_, spacing)
            morphology = make_neuron(morphology)
        return SiteDrive.of(morphology, self.pulse, self.grid_size_, spacing)

    def _site_drive(self):
        """Polarization of the sites of `morphology`; warns if its axon leaves the grid."""
        neuron, size = self._neuron(), self.grid_size_
        drive = self._drive_of(self.morphology, self._spacing())
        if not len(drive.kinds):
            raise ValueError(
                f"{neuron.name} has no site where a spike could start. Does its axon need "
                "myelinate()?"
            )
        outside = share_outside(neuron, size, self._spacing())
        if outside > FIT.most_outside:
            warn_assumption(
                "outside-grid",
                f"{100 * outside:.0f} % of the axon of {neuron.name} lie outside the grid, where "
                "the field at its surface is taken. Is spacing that of the grids?",
            )
        return drive

    def _remember_origin(self):
        """Keep what the model is of."""
        self.pulse_ = pulse_key(self.pulse)
        self.morphology_ = None if self.morphology is None else morphology_key(self._neuron())

    def _check_origin(self, pulse=None, morphology=None):
        """Complain where data are of another pulse or neuron than those of ``fit``."""
        if pulse is not None and pulse_key(pulse) != self.pulse_:
            raise ValueError(
                f"{type(self).__name__} was fitted to thresholds of the pulse {self.pulse_!r}. Got "
                f"{pulse_key(pulse)!r}: fit a model with pulse= to some thresholds of that pulse "
                "(a few dozen are enough with a morphology)."
            )
        if morphology is not None and self.morphology_ is not None:
            neuron = make_neuron(morphology) if isinstance(morphology, str) else morphology
            if morphology_key(neuron) != self.morphology_:
                raise ValueError(
                    f"{type(self).__name__} was fitted to thresholds of {self.morphology_!r}. Got "
                    f"{morphology_key(neuron)!r}: fit a model with morphology= to some thresholds "
                    "of that neuron (a few dozen are enough)."
                )


class ThresholdModel(WholeFit, RoutedGroups, RegressorMixin):
    """Predictions asked in other ways, for a class with ``_predict_grids(X)``.

    ``_predict_grids`` takes checked grids (n, s, s, s, 3) and returns thresholds (n, n_outputs).
    ``_check_fit(X, y)`` sets ``n_outputs_``, ``magnitude_range_`` and ``_y_ndim``.
    """

    def predict(
        self,
        X: ArrayLike,
        *,
        pulse: Pulse | None = None,
        morphology: Morphology | str | None = None,
    ) -> np.ndarray:
        """Predict thresholds.

        Parameters
        ----------
        X : array-like of shape (n, s, s, s, 3) or (n, 3 * s**3)
            Fields in V/m per A/us.
        pulse : str, array-like or callable, optional
            Pulse that is asked for: another than that of the thresholds in ``fit`` is an error.
        morphology : Morphology or cell type, optional
            Neuron that is asked for: another than in ``fit`` is an error.

        Returns
        -------
        threshold : ndarray of shape (n,) or (n, n_outputs)
            The factor of the given field at which the neuron fires: A/us. Exactly homogeneous:
            twice the field has half the threshold.

        Raises
        ------
        ValueError
            For grids of another size than in ``fit``, NaN, infinity, no field at the center, or
            another pulse or neuron than the model is of.
        """
        check_is_fitted(self)
        self._check_origin(pulse, morphology)
        return self._shaped(self._predict_grids(self._check_X(X)))

    def predict_field(self, X: ArrayLike) -> np.ndarray:
        """Predict thresholds as the field at the center of the grid.

        Parameters
        ----------
        X : array-like of shape (n, s, s, s, 3) or (n, 3 * s**3)

        Returns
        -------
        field : ndarray of shape (n,) or (n, n_outputs)
            Magnitude at the soma at threshold, V/m. It does not depend on the magnitude of X.

        Raises
        ------
        ValueError
            As :meth:`predict`.
        """
        X = self._check_X(X)
        return self._shaped(self._predict_grids(X) * center_magnitude(X)[:, np.newaxis])

    def predict_both(self, X: ArrayLike) -> np.ndarray:
        """Predict thresholds of both directions of the current.

        Parameters
        ----------
        X : array-like of shape (n, s, s, s, 3) or (n, 3 * s**3)

        Returns
        -------
        thresholds : ndarray of shape (n, 2) or (n, 2, n_outputs)
            Thresholds of the field X and of the reversed field -X (posterior-anterior and
            anterior-posterior current, say).

        Raises
        ------
        ValueError
            As :meth:`predict`.
        """
        X = self._check_X(X)
        both = np.stack([self._predict_grids(X), self._predict_grids(-X)], axis=1)
        return both if self._y_ndim == 2 else both[:, :, 0]

    def predict_population(
        self, X: ArrayLike, n_azimuths: int = 4, q: float | ArrayLike = 0.5
    ) -> np.ndarray:
        """Predict quantiles of the thresholds of a population.

        The population are all outputs (clones of a cell, say), each turned about its
        somatodendritic axis.

        Parameters
        ----------
        X : array-like of shape (n, s, s, s, 3) or (n, 3 * s**3)
        n_azimuths : int, default=4
            Number of rotations of each, equally spaced. 1, 2 and 4 need no interpolation.
        q : float or array-like of float, default=0.5
            Share of the population that has fired; 0.5 is the median threshold.

        Returns
        -------
        thresholds : ndarray of shape (n,), or (n, n_q) for an array q

        Raises
        ------
        ValueError
            For `n_azimuths` below 1, or q outside [0, 1].
        """
        q = np.asarray(q, dtype=float)
        if not ((q >= 0) & (q <= 1)).all() or q.ndim > 1:
            raise ValueError(f"q must be one or several numbers from 0 to 1. Got {q.tolist()!r}.")
        return np.quantile(self._population(X, n_azimuths), q, axis=1).T

    def predict_recruitment(
        self, X: ArrayLike, amplitudes: ArrayLike, n_azimuths: int = 4
    ) -> np.ndarray:
        """Predict which share of a population a pulse activates, as it grows.

        Parameters
        ----------
        X : array-like of shape (n, s, s, s, 3) or (n, 3 * s**3)
        amplitudes : array-like of shape (n_amplitudes,)
            Stimulator outputs, in A/us.
        n_azimuths : int, default=4
            Number of rotations of each output about its somatodendritic axis.

        Returns
        -------
        share : ndarray of shape (n, n_amplitudes)
            Share of the population of each place that fires, from 0 to 1; its mean over places is
            the recruitment curve of the patch.

        Raises
        ------
        ValueError
            For `n_azimuths` below 1, or amplitudes that are negative or not finite.
        """
        amplitudes = np.atleast_1d(np.asarray(amplitudes, dtype=float))
        if amplitudes.ndim > 1 or not (np.isfinite(amplitudes) & (amplitudes >= 0)).all():
            raise ValueError(f"amplitudes must be finite, from 0, in A/us. Got {amplitudes!r}.")
        thresholds = self._population(X, n_azimuths)
        return (thresholds[:, :, np.newaxis] <= amplitudes).mean(axis=1)

    def _population(self, X, n_azimuths):
        """Thresholds of all outputs at all azimuths, (n, n_azimuths * n_outputs)."""
        whole = isinstance(n_azimuths, numbers.Integral) and not isinstance(n_azimuths, bool)
        if not whole or n_azimuths < 1:
            raise ValueError(f"n_azimuths must be a whole number from 1. Got {n_azimuths!r}.")
        X = self._check_X(X)
        angles = 2 * np.pi * np.arange(n_azimuths) / n_azimuths
        return np.concatenate([self._predict_grids(turn_grids(X, a)) for a in angles], axis=1)

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """R2 (1 - SSE / SST) of the thresholds that are not NaN, averaged over outputs.

        Parameters
        ----------
        X : array-like of shape (n, s, s, s, 3) or (n, 3 * s**3)
        y : array-like of shape (n,) or (n, n_outputs)
        sample_weight : array-like of shape (n,), default=None
            Weight of each field.

        Returns
        -------
        score : float
        """
        X = self._check_X(X)
        y, _ = check_thresholds(y, X)
        self._check_same_outputs(y)
        predicted = self._predict_grids(X)
        known = ~np.isnan(y)
        columns = range(y.shape[1])
        w = np.ones(len(y)) if sample_weight is None else check_weights(sample_weight, len(y))

        def r2_of(i):
            k = known[:, i]
            return r2_score(y[k, i], predicted[k, i], sample_weight=w[k])

        return np.mean([r2_of(i) for i in columns])

    # ------------------------------------------------------------------ for subclasses

    def _check_origin(self, pulse=None, morphology=None):
        """Complain where the model knows that it is of another pulse or neuron."""
        if pulse is not None or morphology is not None:
            raise ValueError(
                f"{type(self).__name__} does not know the pulse and the neuron of its thresholds: "
                "leave pulse and morphology out."
            )

    def _check_fit(self, X, y, reset=True):
        """Checked grids and thresholds (n, n_outputs), after remembering what they are like."""
        X = check_grids(self, X, reset=reset)
        y, ndim = check_thresholds(y, X)
        if not reset:
            self._check_same_outputs(y)
            return X, y
        doubt_thresholds(X, y)
        magnitude = center_magnitude(X)
        self.magnitude_range_ = np.array([magnitude.min(), magnitude.max()])
        self.n_outputs_, self._y_ndim = y.shape[1], ndim
        return X, y

    def _check_X(self, X):
        check_is_fitted(self)
        X = check_grids(self, X, reset=False)
        doubt_scale(X, self.magnitude_range_)
        return X

    def _check_same_outputs(self, y):
        if y.shape[1] != self.n_outputs_:
            raise ValueError(
                f"y has {y.shape[1]} outputs, but {type(self).__name__} was fitted with "
                f"{self.n_outputs_}."
            )

    def _shaped(self, thresholds):
        return thresholds if self._y_ndim == 2 else thresholds[:, 0]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.positive_only = True
        return tags
