"""Minimum norm estimates: MNE, dSPM, sLORETA and eLORETA."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .._checks.params import check_option_param, check_scalar_param
from ._base import SourceEstimator
from ._mne import as_mne, axes_of, kernel_of, to_axes
from ._operator import kernel_operator, sources_of_fields

if TYPE_CHECKING:
    from typing import Literal

    from .._typing import Covariance, Forward, Info

METHODS = ("MNE", "dSPM", "sLORETA", "eLORETA")
NORMALIZED = ("dSPM", "sLORETA")  # by noise: values grow with the root of the number of trials


class MinimumNorm(SourceEstimator):
    """Minimum norm estimates of mne behind scikit-learn's interface.

    With an mne.Forward this is ``mne.minimum_norm.make_inverse_operator`` and ``apply_inverse``
    on the average of each condition. With arrays the same functions are called with whitened
    data, so depth weighting sees the whitened lead field.

    Parameters
    ----------
    forward : None, ndarray or mne.Forward, default=None
        Lead field, field per A m: (n_channels, n_positions) for fixed orientations,
        (n_channels, n_positions, 3) for free ones. None: identity, sources are channels.
    noise_cov : None, ndarray or mne.Covariance, default=None
        Noise covariance of a single trial. None: estimated from the samples before the first
        event change and shrunk, or the overall variance where there are none.
    method : {"MNE", "dSPM", "sLORETA", "eLORETA"}, default="MNE"
        What ``transform`` gives. Predicted fields are those of the currents: of the minimum norm
        estimate for dSPM and sLORETA, of its own for eLORETA.
    snr : float, default=3.0
        Assumed amplitude signal to noise ratio of the average; ``lambda2 = 1 / snr**2``.
    orientation : {"free", "loose", "fixed"}, default="free"
        Of sources of an mne.Forward; the last two need surface source spaces. A lead field with
        one orientation a position is used as it is.
    loose : float, default=0.2
        Variance of tangential sources relative to normal ones, for ``orientation="loose"``.
    depth : float or None, default=0.8
        Exponent of depth weighting, from 0 to 1; None: none.
    onset : int or None, default=None
        Sample of the event where no event time courses are given; None: time 0 of MNE objects.
    nave : int, default=1
        How many trials each row of an array y is the average of.
    info : mne.Info or None, default=None
        Names, projections and bad channels of an array y.

    Attributes
    ----------
    sources_ : ndarray of shape (n_conditions, n_positions, n_orient, n_times)
        In A m, or without unit for dSPM and sLORETA.
    fields_ : ndarray of shape (n_conditions, n_channels, n_times)
        Fields of the estimated currents.
    events_ : ndarray of shape (n_conditions, n_events, n_times)
        Events of each condition.
    nave_ : ndarray of shape (n_conditions,)
        Trials in each condition.
    ch_names_ : list of str
        Channels of the fields.
    n_features_in_, n_times_in_, n_outputs_, n_positions_, n_orient_ : int
        Events and samples of X, channels of y, positions and orientations of sources.

    References
    ----------
    Hämäläinen and Ilmoniemi (1994); Dale et al. (2000) for dSPM; Pascual-Marqui (2002) for
    sLORETA and (2011) for eLORETA.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.source import MinimumNorm
    >>> rng = np.random.default_rng(0)
    >>> gain = rng.normal(size=(20, 30))  # 20 channels, 30 sources
    >>> currents = np.zeros((30, 50))
    >>> currents[7, 20:40] = 1.0
    >>> y = gain @ currents + 0.1 * rng.normal(size=(60, 20, 50))  # 60 trials
    >>> X = np.zeros((60, 1, 50))
    >>> X[:, :, 20:] = 1.0  # all of one condition, from sample 20 on
    >>> solver = MinimumNorm(forward=gain, method="sLORETA").fit(X, y)
    >>> int(np.abs(solver.transform(X[:1])[0, :, 30]).argmax())
    7
    """

    def __init__(
        self,
        forward: np.ndarray | Forward | None = None,
        noise_cov: np.ndarray | Covariance | None = None,
        method: Literal["MNE", "dSPM", "sLORETA", "eLORETA"] = "MNE",
        snr: float = 3.0,
        orientation: Literal["free", "loose", "fixed"] = "free",
        loose: float = 0.2,
        depth: float | None = 0.8,
        onset: int | None = None,
        nave: int = 1,
        info: Info | None = None,
    ) -> None:
        self.forward = forward
        self.noise_cov = noise_cov
        self.method = method
        self.snr = snr
        self.orientation = orientation
        self.loose = loose
        self.depth = depth
        self.onset = onset
        self.nave = nave
        self.info = info

    def _check_params(self):
        check_option_param(self, "method", METHODS)
        check_scalar_param(self, "snr", "float", 0.0, closed="neither")

    def _solve(self, problem):
        return self._apply(problem, "eLORETA" if self.method == "eLORETA" else "MNE")

    def _maps(self, problem, sources):
        return self._apply(problem, self.method) if self.method in NORMALIZED else sources

    def _operator(self, problem, sources):
        return self._kernel(problem, self.method)

    def _apply(self, problem, method):
        shape = problem.n_positions, problem.n_orient
        operator = self._kernel(problem, method)
        return sources_of_fields(operator, problem.means, problem.nave, shape)

    def _kernel(self, problem, method):
        from mne.minimum_norm import apply_inverse, make_inverse_operator

        view = as_mne(problem)
        operator = make_inverse_operator(
            view.evokeds[0].info,
            view.forward,
            view.noise_cov,
            loose=loose_of(self, problem),
            depth=self.depth,
            verbose="error",
        )
        pick_ori = "vector" if problem.n_orient == 3 else None

        def apply(evoked):
            stc = apply_inverse(
                evoked, operator, 1 / self.snr**2, method, pick_ori, verbose="error"
            )
            return sources_of(stc, problem, self)

        return kernel_operator(kernel_of(problem, apply), method in NORMALIZED)


def loose_of(estimator, problem):
    """Give mne's ``loose`` for the orientation that the lead field has."""
    if problem.n_orient == 1:
        return 0.0
    return float(estimator.loose) if estimator.orientation == "loose" else 1.0


def sources_of(stc, problem, estimator):
    """Sources (n_positions, n_orient, n_times) of a complete mne source estimate."""
    if problem.n_orient == 1:
        return stc.data[:, np.newaxis]
    return to_axes(stc.data, axes_of(problem, estimator))
