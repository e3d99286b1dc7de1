"""Linearly constrained minimum variance beamformer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .._checks.params import check_bool_param, check_option_param, check_scalar_param
from .._params import documented
from ._base import SourceEstimator
from ._mne import as_mne, axes_of, kernel_of, surface_forward
from ._operator import kernel_operator, sources_of_fields
from .minimum_norm import sources_of

if TYPE_CHECKING:
    from typing import Literal


WEIGHT_NORMS = (None, "unit-noise-gain", "unit-noise-gain-invariant", "nai")


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class LCMV(SourceEstimator):
    """LCMV beamformer of mne behind scikit-learn's interface.

    The data covariance is the mean square of the single trials from the first event change on,
    as ``mne.compute_covariance`` of epochs gives it, all conditions together; where every
    condition is one row, that of the averages, which says far less about noise. One filter
    serves all conditions. The map of a beamformer explains each position by itself, so fields
    are predicted as those of all positions times one factor, fitted by least squares to the
    whitened averages.

    Parameters
    ----------
    reg : float, default=0.05
        Regularization of the data covariance, relative to its mean eigenvalue.
    weight_norm : {None, "unit-noise-gain", "unit-noise-gain-invariant", "nai"}, \
default="unit-noise-gain-invariant"
        Normalization of the filters. Sources are in A m for None only.
    reduce_rank : bool, default=False
        Drop the weakest orientation of each position: for MEG in a sphere, which is blind to it.
    pick_ori : {None, "max-power", "normal"}, default=None
        Orientations of the filters: three a position, the one of largest power, or the normal of
        the surface (with ``orientation="loose"``). Where there is one, it is in ``axes_``, values
        are signed, and ``transform(pick_ori="vector")`` has a single orientation.
    orientation : {"free", "loose", "fixed"}, default="free"
        Orientation of sources of an mne.Forward; the last two need surface source spaces. "loose"
        is as "free" here, in the axes of the surface.
    loose : float, default=0.2
        Not used.
    depth : float or None, default=None
        Exponent of depth weighting, from 0 to 1; None: none.
    %(SourceParams)s

    Attributes
    ----------
    sources_ : ndarray of shape (n_conditions, n_positions, n_orient, n_times)
        Output of the filters.
    scale_ : float
        Factor between the output and the currents whose fields are predicted.
    fields_ : ndarray of shape (n_conditions, n_channels, n_times)
        Predicted fields.
    events_, nave_, ch_names_ : as in :class:`MinimumNorm`
    n_features_in_, n_times_in_, n_outputs_, n_positions_, n_orient_ : int
        Events and samples of X, channels of y, positions and orientations of sources.

    References
    ----------
    Van Veen et al. (1997), Localization of brain electrical activity via linearly constrained
    minimum variance spatial filtering, IEEE Transactions on Biomedical Engineering 44.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.source import LCMV
    >>> rng = np.random.default_rng(0)
    >>> gain = rng.normal(size=(20, 30))
    >>> currents = np.zeros((30, 50))
    >>> currents[7, 20:40] = 1.0
    >>> y = gain @ currents + 0.1 * rng.normal(size=(60, 20, 50))
    >>> X = np.zeros((60, 1, 50))
    >>> X[:, :, 20:] = 1.0
    >>> solver = LCMV(forward=gain).fit(X, y)
    >>> int(np.abs(solver.transform(X[:1])[0, :, 30]).argmax())
    7
    """

    reg: float = 0.05
    weight_norm: Literal["unit-noise-gain", "unit-noise-gain-invariant", "nai"] | None = (
        "unit-noise-gain-invariant"
    )
    reduce_rank: bool = False
    pick_ori: Literal["max-power", "normal"] | None = None
    depth: float | None = None

    def _check_params(self):
        check_scalar_param(self, "reg", "float", 0.0)
        check_bool_param(self, "reduce_rank")
        if self.weight_norm is not None:
            check_option_param(self, "weight_norm", WEIGHT_NORMS)
        if self.pick_ori is not None:
            check_option_param(self, "pick_ori", ("max-power", "normal"))
        if self.pick_ori == "normal" and self.orientation != "loose":
            raise ValueError(
                "pick_ori='normal' needs orientation='loose' and a forward of a surface. Got "
                f"orientation={self.orientation!r}."
            )

    def _solve(self, problem):
        kernel, ways = self._kernel(problem)
        output = self._apply(kernel, problem)
        if ways is not None:
            output = ways[..., None] * output
        fields = problem.gain @ output.reshape(len(output), -1, output.shape[-1])
        target = problem.data / np.sqrt(problem.nave)[:, np.newaxis, np.newaxis]
        power = np.square(fields).sum()
        self.scale_ = float((fields * target).sum() / power) if power > 0 else 0.0
        self._filters = kernel
        return self.scale_ * output

    def _maps(self, problem, sources):
        return self._apply(self._filters, problem)

    def _operator(self, problem, sources):
        return self.__dict__.pop("_filters")

    def _apply(self, kernel, problem):
        shape = problem.n_positions, self.n_orient_
        return sources_of_fields(kernel, problem.means, problem.nave, shape)

    def _kernel(self, problem):
        """Filters, and the orientation (n_positions, 3) of each where it is one of three."""
        from mne.beamformer import apply_lcmv, make_lcmv

        view = as_mne(problem)
        fixed = problem.n_orient == 1
        forward = view.forward
        if fixed or self.pick_ori == "normal":
            forward = surface_forward(forward, fixed)
        pick_ori = None if fixed else self.pick_ori or "vector"
        filters = make_lcmv(
            view.evokeds[0].info,
            forward,
            view.trials_cov or covariance_of(view.evokeds, problem.baseline),
            reg=self.reg,
            noise_cov=view.noise_cov,
            pick_ori=pick_ori,
            weight_norm=self.weight_norm,
            reduce_rank=self.reduce_rank,
            depth=self.depth,
            verbose="error",
        )

        ways = self._ways(filters, problem) if pick_ori in ("max-power", "normal") else None

        def apply(evoked):
            stc = apply_lcmv(evoked, filters, verbose="error")
            return stc.data[:, None] if ways is not None else sources_of(stc, problem, self)

        return kernel_operator(kernel_of(problem, apply)), ways

    def _ways(self, filters, problem):
        """Keep the one orientation of each position; components along the lead field's axes."""
        axes = axes_of(problem, self)
        ways = axes[:, -1] if self.pick_ori == "normal" else filters["max_power_ori"]
        self.n_orient_ = 1
        if problem.mne is not None:
            self.axes_ = ways[:, None]
        return np.einsum("poi,pi->po", axes, ways)


def covariance_of(evokeds, baseline):
    """Mean square of the averages from the first event change on, as mne.Covariance."""
    import mne

    start = 0 if baseline is None else baseline.stop
    data = np.concatenate([evoked.data[:, start:] for evoked in evokeds], axis=1)
    info = evokeds[0].info
    return mne.Covariance(
        data @ data.T / data.shape[1], list(info["ch_names"]), [], list(info["projs"]), nfree=1
    )
