"""Minimum norm estimates: MNE, dSPM, sLORETA and eLORETA."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .._checks.params import check_option_param, check_scalar_param
from .._params import documented
from ._base import SourceEstimator
from ._mne import as_mne, axes_of, kernel_of, to_axes
from ._operator import kernel_operator, sources_of_fields

if TYPE_CHECKING:
    from typing import Literal


METHODS = ("MNE", "dSPM", "sLORETA", "eLORETA")
NORMALIZED = ("dSPM", "sLORETA")  # by noise: values grow with the root of the number of trials


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class MinimumNorm(SourceEstimator):
    """Minimum norm estimates of mne behind scikit-learn's interface.

    With an mne.Forward this is ``mne.minimum_norm.make_inverse_operator`` and ``apply_inverse``
    on the average of each condition. With arrays the same functions are called with whitened
    data, so depth weighting sees the whitened lead field.

    Parameters
    ----------
    method : {"MNE", "dSPM", "sLORETA", "eLORETA"}, default="MNE"
        Kind of map that ``transform`` returns. Predicted fields are those of the currents: of the
        minimum norm estimate for dSPM and sLORETA, of its own for eLORETA.
    snr : float, default=3.0
        Assumed amplitude signal to noise ratio of the average; ``lambda2 = 1 / snr**2``.
    %(SourceParams)s

    Attributes
    ----------
    sources_ : ndarray of shape (n_conditions, n_positions, n_orient, n_times)
        Sources in A m, or without unit for dSPM and sLORETA.
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

    method: Literal["MNE", "dSPM", "sLORETA", "eLORETA"] = "MNE"
    snr: float = 3.0

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
        """Linear kernel of an inverse operator of mne."""
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
