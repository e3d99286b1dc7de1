"""Sparse source estimates: mixed norms, gamma map, RAP-MUSIC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .._checks.params import (
    check_bool_param,
    check_option_param,
    check_random_state,
    check_scalar_param,
)
from .._params import documented
from .._training.threads import global_generator_kept
from ._base import SourceEstimator
from ._mne import as_mne, axes_of, solve_each, surface_forward, to_axes
from .minimum_norm import loose_of

if TYPE_CHECKING:
    from typing import Literal

    from .._typing import RandomSeed

NO_DIPOLE = "No active dipoles found"


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class MixedNorm(SourceEstimator):
    """Mixed-norm estimate (MxNE, irMxNE) of mne behind scikit-learn's interface.

    ``mne.inverse_sparse.mixed_norm`` on the average of each condition. A penalty that leaves no
    source gives zeros.

    Parameters
    ----------
    alpha : float or "sure", default=40.0
        Penalty, in percent of the least that leaves no source; "sure" lets mne choose it, which
        takes long.
    n_mxne_iter : int, default=1
        Rounds of reweighting; more than 1 is irMxNE.
    debias : bool, default=True
        Refit amplitudes on the sources found.
    maxit : int, default=3000
        Most iterations of the solver.
    tol : float, default=1e-4
        Tolerance of the solver.
    random_state : int, RandomState instance or None, default=None
        Used for ``alpha="sure"``.
    %(SourceParams)s

    Attributes
    ----------
    sources_ : ndarray of shape (n_conditions, n_positions, n_orient, n_times)
        Sources in A m.
    support_ : ndarray of bool of shape (n_conditions, n_positions)
        Positions with a source.
    fields_, events_, nave_, ch_names_ : as in :class:`MinimumNorm`
    n_features_in_, n_times_in_, n_outputs_, n_positions_, n_orient_ : int
        Events and samples of X, channels of y, positions and orientations of sources.

    References
    ----------
    Gramfort, Kowalski and Hämäläinen (2012), Mixed-norm estimates for the M/EEG inverse problem,
    Physics in Medicine and Biology 57; Strohmeier et al. (2016) for irMxNE.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.source import MixedNorm
    >>> rng = np.random.default_rng(0)
    >>> gain = rng.normal(size=(20, 30))
    >>> currents = np.zeros((1, 30, 50))
    >>> currents[0, 7, 20:40] = 1.0
    >>> y = gain @ currents + 0.01 * rng.normal(size=(1, 20, 50))
    >>> solver = MixedNorm(forward=gain, onset=20).fit(None, y)
    >>> np.flatnonzero(solver.support_[0])
    array([7])
    """

    alpha: float | Literal["sure"] = 40.0
    n_mxne_iter: int = 1
    debias: bool = True
    maxit: int = 3000
    tol: float = 1e-4
    random_state: RandomSeed = None

    def _check_params(self):
        if not (isinstance(self.alpha, str) and self.alpha == "sure"):
            check_scalar_param(self, "alpha", "float", 0.0, 100.0, closed="neither")
        check_scalar_param(self, "n_mxne_iter", "int", 1)
        check_scalar_param(self, "maxit", "int", 1)
        check_scalar_param(self, "tol", "float", 0.0, closed="neither")
        check_bool_param(self, "debias")
        check_random_state(self.random_state)

    def _solve(self, problem):
        from mne.inverse_sparse import mixed_norm

        # mne draws random numbers for "sure" only
        seed = _seed(mixed_norm, self.random_state) if self.alpha == "sure" else {}

        def solve(evoked, forward, noise_cov, **params):
            return mixed_norm(
                evoked,
                forward,
                noise_cov,
                alpha=self.alpha,
                maxit=self.maxit,
                tol=self.tol,
                debias=self.debias,
                n_mxne_iter=self.n_mxne_iter,
                **seed,
                **params,
            )

        with global_generator_kept():  # older versions of scikit-learn's lasso draw from it
            return _solve_sparse(self, problem, solve)


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class GammaMap(SourceEstimator):
    """Gamma map (sparse Bayesian learning) of mne behind scikit-learn's interface.

    ``mne.inverse_sparse.gamma_map`` on the average of each condition. A noise variance that
    leaves no source gives zeros.

    Parameters
    ----------
    alpha : float, default=0.5
        Noise variance of the whitened average (that of a single trial is 1).
    xyz_same_gamma : bool, default=True
        One variance for the three orientations of a position.
    update_mode : {1, 2}, default=1
        Rule by which variances are updated: 1 MacKay, 2 modified MacKay.
    maxit : int, default=10000
        Most iterations.
    tol : float, default=1e-6
        Tolerance for convergence.
    %(SourceParams)s

    Attributes
    ----------
    sources_ : ndarray of shape (n_conditions, n_positions, n_orient, n_times)
        Sources in A m.
    support_ : ndarray of bool of shape (n_conditions, n_positions)
        Positions with a source.
    fields_, events_, nave_, ch_names_ : as in :class:`MinimumNorm`
    n_features_in_, n_times_in_, n_outputs_, n_positions_, n_orient_ : int
        Events and samples of X, channels of y, positions and orientations of sources.

    References
    ----------
    Wipf and Nagarajan (2009), A unified Bayesian framework for MEG/EEG source imaging,
    NeuroImage 44.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.source import GammaMap
    >>> rng = np.random.default_rng(0)
    >>> gain = rng.normal(size=(20, 30))
    >>> currents = np.zeros((1, 30, 50))
    >>> currents[0, 7, 20:40] = 1.0
    >>> y = gain @ currents + 0.01 * rng.normal(size=(1, 20, 50))
    >>> solver = GammaMap(forward=gain, onset=20).fit(None, y)
    >>> int(np.abs(solver.transform()[0, :, 30]).argmax())
    7
    """

    alpha: float = 0.5
    xyz_same_gamma: bool = True
    update_mode: Literal[1, 2] = 1
    maxit: int = 10000
    tol: float = 1e-6

    def _check_params(self):
        check_scalar_param(self, "alpha", "float", 0.0, closed="neither")
        check_scalar_param(self, "maxit", "int", 1)
        check_scalar_param(self, "tol", "float", 0.0, closed="neither")
        check_bool_param(self, "xyz_same_gamma")
        check_option_param(self, "update_mode", (1, 2))

    def _solve(self, problem):
        from mne.inverse_sparse import gamma_map

        def solve(evoked, forward, noise_cov, **params):
            return gamma_map(
                evoked,
                forward,
                noise_cov,
                alpha=self.alpha,
                xyz_same_gamma=self.xyz_same_gamma,
                update_mode=self.update_mode,
                maxit=self.maxit,
                tol=self.tol,
                **params,
            )

        return _solve_sparse(self, problem, solve)


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class RapMusic(SourceEstimator):
    """RAP-MUSIC and TRAP-MUSIC of mne behind scikit-learn's interface.

    ``mne.beamformer.rap_music`` on the average of each condition: a known number of dipoles, each
    with one orientation, found one after the other.

    Parameters
    ----------
    n_dipoles : int, default=1
        Dipoles in each condition, at most the rank of the data. Where one position is found twice,
        which mne cannot report, fewer are taken; see ``support_``.
    truncated : bool, default=False
        TRAP-MUSIC, which does better where there are fewer sources than `n_dipoles`.
    orientation : {"free", "loose", "fixed"}, default="free"
        Orientation of sources of an mne.Forward; the last two need surface source spaces. "loose"
        is as "free" here, in the axes of the surface.
    loose, depth : float or None, default=0.2, None
        Not used.
    %(SourceParams)s

    Attributes
    ----------
    sources_ : ndarray of shape (n_conditions, n_positions, n_orient, n_times)
        Sources in A m.
    support_ : ndarray of bool of shape (n_conditions, n_positions)
        Positions with a source.
    fields_, events_, nave_, ch_names_ : as in :class:`MinimumNorm`
    n_features_in_, n_times_in_, n_outputs_, n_positions_, n_orient_ : int
        Events and samples of X, channels of y, positions and orientations of sources.

    References
    ----------
    Mosher and Leahy (1999), Source localization using recursively applied and projected (RAP)
    MUSIC, IEEE Transactions on Signal Processing 47; Mäkelä et al. (2018) for TRAP-MUSIC.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.source import RapMusic
    >>> rng = np.random.default_rng(0)
    >>> gain = rng.normal(size=(20, 30))
    >>> currents = np.zeros((1, 30, 50))
    >>> currents[0, 7, 20:40] = 1.0
    >>> y = gain @ currents + 0.01 * rng.normal(size=(1, 20, 50))
    >>> solver = RapMusic(forward=gain, onset=20).fit(None, y)
    >>> np.flatnonzero(solver.support_[0])
    array([7])
    """

    n_dipoles: int = 1
    truncated: bool = False
    depth: float | None = None

    def _check_params(self):
        check_scalar_param(self, "n_dipoles", "int", 1)
        check_bool_param(self, "truncated")

    def _solve(self, problem):
        from mne.beamformer import rap_music, trap_music

        n_most = len(problem.gain)
        if self.n_dipoles > n_most:
            raise ValueError(
                f"n_dipoles must be at most the rank of the data, {n_most}. Got {self.n_dipoles}."
            )
        view = as_mne(problem)
        find = trap_music if self.truncated else rap_music
        forward = surface_forward(view.forward) if problem.n_orient == 1 else view.forward
        axes = axes_of(problem, self)
        positions = view.forward["source_rr"]

        def solve(evoked):
            dipoles = _find_dipoles(find, evoked, forward, view.noise_cov, self.n_dipoles)
            return _sum_dipoles(dipoles, positions, axes)

        sources = solve_each(problem, view.evokeds, solve)
        self.support_ = sources.any(axis=(2, 3))
        return sources


def _find_dipoles(find, evoked, forward, noise_cov, n_dipoles):
    """As many dipoles as mne can report: it fails where a position is found twice."""
    for n_left in range(n_dipoles, 0, -1):
        try:
            return find(evoked, forward, noise_cov, n_left, verbose="error")
        except ValueError as error:
            if n_left == 1 or "reshape" not in str(error):
                raise
    raise AssertionError("n_dipoles is at least 1")


def _sum_dipoles(dipoles, positions, axes):
    """Sources (n_positions, n_orient, n_times) of dipoles at some of the positions."""
    out = np.zeros((len(positions), axes.shape[1], len(dipoles[0].times)))
    for dipole in dipoles:
        at = np.linalg.norm(positions - dipole.pos[0], axis=1).argmin()
        out[at] += axes[at] @ (dipole.ori * dipole.amplitude[:, np.newaxis]).T
    return out


def _solve_sparse(estimator, problem, solve):
    """Call mne's sparse solver for each condition and note the support."""
    view = as_mne(problem)
    loose = loose_of(estimator, problem)
    sources = solve_each(
        problem,
        view.evokeds,
        lambda evoked: _one_condition(estimator, problem, view, solve, evoked, loose),
    )
    estimator.support_ = sources.any(axis=(2, 3))
    return sources


def _one_condition(estimator, problem, view, solve, evoked, loose):
    """Sources of one average by a sparse solver of mne; zeros where it finds none."""
    import warnings

    shape = (problem.n_positions, problem.n_orient, len(evoked.times))
    sources = np.zeros(shape)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", f".*{NO_DIPOLE}")
            stc = solve(
                evoked,
                view.forward,
                view.noise_cov,
                loose=loose,
                depth=estimator.depth,
                pick_ori="vector" if problem.n_orient == 3 else None,
                rank=None if problem.mne else {"mag": len(problem.gain)},  # arrays are whitened
                verbose="error",
            )
    except AssertionError:  # mne trips over its own result when reweighting leaves no source
        return sources
    except Exception as error:  # mne raises the base class here
        if NO_DIPOLE not in str(error):
            raise
        return sources
    found = _rows_of(stc.vertices, view.forward["src"])
    if problem.n_orient == 1:
        sources[found, 0] = stc.data
    else:
        sources[found] = to_axes(stc.data, axes_of(problem, estimator)[found])
    return sources


def _rows_of(vertices, spaces):
    """Positions, counted over source spaces, of the vertices of a sparse source estimate."""
    rows, start = [], 0
    for chosen, space in zip(vertices, spaces):
        rows.append(start + np.searchsorted(space["vertno"], chosen))
        start += len(space["vertno"])
    return np.concatenate(rows)


def _seed(function, random_state):
    """Seed under the name that this version of mne has for it."""
    import inspect

    seed = int(check_random_state(random_state).randint(2**31 - 1))
    known = inspect.signature(function).parameters
    return {"rng" if "rng" in known else "random_state": seed}
