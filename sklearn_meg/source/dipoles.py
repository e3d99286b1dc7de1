"""Dipoles by maximum likelihood, as many as there is evidence for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._checks.params import check_random_state, check_scalar_param
from .._params import documented, param
from .._training.device import limited_threads
from ._base import SourceEstimator
from ._conditions import first_change, is_mne
from ._dipole_search import find_dipoles
from ._forward import is_mne_forward
from ._misfit import warn_of_dipoles, warn_of_size
from ._operator import courses_of_fields, scattered, wiener_operator
from ._sporadic import warn_of_few_trials

if TYPE_CHECKING:
    from typing import Literal

    from .._typing import ArrayLike, Dipole, MneObject, RandomSeed


@dataclass(kw_only=True, eq=False, repr=False)
class DipoleParams:
    """Parameters of a search for dipoles: how many, and the evidence they need."""

    alpha: float | Literal["auto"] = param(
        "auto",
        'float or "auto"',
        'Threshold that a source must pass. "auto" is what noise alone does not. A number above '
        "0 and below 100 is in percent of the amplitude (power: its square) that the best "
        "position explains alone, so that at least one source is left whatever the noise.",
    )
    n_sources: int | None = param(
        None,
        "int or None",
        "Number of sources where it is known: that many are found, whatever the evidence.",
    )
    max_sources: int = param(20, "int", "Largest number of sources.")
    model_error: float = param(
        0.15,
        "float",
        "Standard deviation of the error of the lead field relative to it: co-registration, "
        "conductivity, a sphere for a head. What has the course of a strong source and a field "
        "that such an error could make is no source of its own.",
    )
    coregistration_error: float = param(
        0.002,
        "float",
        "Standard deviation in m, along each axis, by which sensors and head may be off: it enters "
        "the volumes that hold the sources. With 121 MEG channels or more the fields may show how "
        "far they are off (``sensors_moved_``).",
    )
    n_estimators: int = param(
        1,
        "int",
        "Number of realizations of the noise under which the search is repeated for "
        "``stability_``; with 1 it is not.",
    )


class DipoleEstimator(SourceEstimator):
    """Base of estimators that find dipoles: what they keep and how they tell of it."""

    _looks_for_dipoles = True

    def _check_dipole_params(self):
        if not (isinstance(self.alpha, str) and self.alpha == "auto"):
            check_scalar_param(self, "alpha", "float", 0, 100, closed="neither")
        for name in ("max_sources", "n_estimators"):
            check_scalar_param(self, name, "int", 1)
        check_scalar_param(self, "n_sources", "int", 1, allow_none=True)
        check_scalar_param(self, "model_error", "float", 0, 1)
        check_scalar_param(self, "coregistration_error", "float", 0, 0.1)
        check_random_state(self.random_state)

    def to_dipoles(self, X: ArrayLike | MneObject | None = None) -> list[list[Dipole]]:
        """Sources as mne dipoles, where they were found: between grid points, too.

        Parameters
        ----------
        X : as for ``transform``

        Returns
        -------
        dipoles : list of list of mne.Dipole
            For each row of X, or fitted condition, one a source, in the order of ``support_``.
            In head coordinates and A m; the amplitude has a sign, the orientation is that of a
            source that turns at each sample. For the fitted conditions, ``gof`` is the share of
            the whitened field that all dipoles together explain, in percent, ``khi2`` what they
            leave in units of noise with ``nfree`` degrees of freedom, and ``conf["vol"]`` the
            volume in m^3 that holds the source with 95 %.

        Raises
        ------
        ValueError
            Without an mne.Forward, or where positions are not chosen.
        """
        from ._mne import make_dipoles

        check_is_fitted(self)
        if not hasattr(self, "dipole_positions_"):
            raise ValueError(
                "to_dipoles needs forward to be an mne.Forward and positions that are chosen. Got "
                f"forward of type {type(self.forward).__name__}: use transform."
            )
        courses, times = self._dipole_courses(X)
        ways = np.einsum("ko,koi->ki", self._axes, self.axes_[self._where])
        n_dipoles = len(self.dipole_positions_)
        moments = np.zeros((len(courses), n_dipoles, 3, courses.shape[2]))
        if n_dipoles:
            np.add.at(moments, (slice(None), self._owner), ways[..., None] * courses[:, :, None])
        fits = [None] * len(moments) if X is not None else self._goodness
        volumes = self.dipole_volumes_
        return [
            make_dipoles(times, self.dipole_positions_, row, fit, volumes)
            for row, fit in zip(moments, fits)
        ]

    def _dipole_courses(self, X):
        """Courses of the orientations (n_rows, n_courses, n_times) and times, of data or events."""
        data = self._data(X)
        if data is None:
            courses, start = self._event_courses(self._events(X)), self.times_[0]
        else:
            courses = np.zeros((len(data[0]), len(self._where), data[0].shape[2]))
            courses[:, self.inverse_["kept"]] = courses_of_fields(self.inverse_, *data)
            first = X[0] if isinstance(X, list) else X
            start = first.times[0] if is_mne(first) else self.times_[0]
        return courses, start + self.tstep_ * np.arange(courses.shape[2])

    def _event_courses(self, X):
        """Courses (n_rows, n_courses, n_times) of checked events."""
        raise NotImplementedError

    def _find(self, problem):
        """Search the dipoles and keep what they are."""
        found = find_dipoles(problem, self._grid(), self)
        self._name(found, problem)
        warn_of_dipoles(found, self.n_sources)
        warn_of_few_trials(found.usual)
        if is_mne_forward(self.forward):
            warn_of_size(found, problem)
        return found

    def _grid(self):
        """Coordinates of the positions, if dipoles may lie between them."""
        if self.source_kind_ not in ("volume", "discrete") or self.n_orient_ != 3:
            return None
        return self.positions_ if np.all(self.axes_ == self.axes_[0]) else None

    def _name(self, found, problem):
        """Keep where the dipoles are, which way they point, and how much speaks for each."""
        dipoles = found.dipoles
        self.support_ = np.array([dipole.position for dipole in dipoles], dtype=int)
        self.evidence_ = found.evidence
        self.lead_field_error_ = found.misfit.error
        self.least_moments_ = found.moments
        if found.stability is not None:
            self.stability_ = found.stability
        counts = [len(dipole.orientations) for dipole in dipoles]
        self._owner = np.repeat(np.arange(len(dipoles)), counts).astype(int)
        self._where = self.support_[self._owner]
        ways = [dipole.orientations for dipole in dipoles]
        self._axes = np.concatenate([np.zeros((0, self.n_orient_)), *ways])
        move = found.move if found.move is not None and found.move.believed else None
        self.sensors_moved_ = np.zeros(6) if move is None else move.move
        raw = problem.gain_raw if move is None else move.gain
        raw = raw.reshape(len(raw), -1, problem.n_orient)
        lead = [np.zeros((len(raw), 0)), *(dipole.fields(raw) for dipole in dipoles)]
        self._lead = np.concatenate(lead, axis=1)
        main, shape = [dipole.orientations[0] for dipole in dipoles], (-1, self.n_orient_)
        if self.positions_ is not None:
            places = [self.positions_[d.position] if d.place is None else d.place for d in dipoles]
            self.dipole_positions_ = np.array(places).reshape(-1, 3)
            self.dipole_covariances_ = found.spread
            self.dipole_volumes_ = found.volumes
            main = [way @ self.axes_[d.position] for way, d in zip(main, dipoles)]
            shape = (-1, 3)
        self.dipole_orientations_ = np.array(main).reshape(shape)

    def _note_goodness(self, problem, courses):
        """Goodness of fit of courses (n_conditions, n_courses, n_times) to the averages."""
        fields = problem.whitener @ (self._lead @ courses)
        scale = np.sqrt(problem.nave)[:, None, None]
        left = np.square(problem.data - scale * fields).sum(axis=1)
        total = np.square(problem.data).sum(axis=1)
        share = 100 * np.maximum(1 - left / np.where(total > 0, total, 1.0), 0.0)
        n_free = max(len(problem.whitener) - courses.shape[1], 1)
        self._goodness = [(gof, khi2, n_free) for gof, khi2 in zip(share, left)]

    def _dipole_operator(self, problem, courses):
        start = first_change(problem.events) or 0
        power = np.zeros(len(self._where))
        if len(power):
            power = np.square(courses[..., start:]).mean(axis=(0, 2))
        lead = problem.whitener @ self._lead
        return wiener_operator(lead, power, problem.whitener, self._where, self._axes)


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class DipoleSearch(DipoleParams, DipoleEstimator):
    """Dipoles by maximum likelihood, with a stopping rule that noise calibrates.

    Dipoles are searched one after another on the grid and refined by alternating projections,
    in volume grids between the points, too. A further source must explain more than noise does
    beside the others and the errors of their lead fields: noise as single trials differ by, or as
    averages show it before the onset. With several conditions it is enough that one needs it. This
    is where :class:`RNNSourceSolver` looks for its sources; here their courses are those of the
    averages, shrunk by the share of noise in each component of time (Wiener).

    Parameters
    ----------
    %(DipoleParams)s
    %(SourceParams)s
    random_state : int, RandomState instance or None, default=None
        Seed of the realizations of noise.

    Attributes
    ----------
    sources_ : ndarray of shape (n_conditions, n_positions, n_orient, n_times)
        Sources in A m.
    support_ : ndarray of int of shape (n_sources,)
        Positions there is evidence for, the nearest of the grid.
    evidence_ : ndarray of shape (n_sources,)
        Power that each explains beside the others, over what noise and the errors of their lead
        fields do; at least 1 unless `n_sources` was given.
    dipole_positions_ : ndarray of shape (n_sources, 3)
        Coordinates in m, head coordinates: in volume grids also between the points. Only with an
        mne.Forward.
    dipole_orientations_ : ndarray of shape (n_sources, 3) or (n_sources, n_orient)
        The way that each points, or the one it points most; in the axes of an array `forward`.
    lead_field_error_ : float
        Error of the lead field relative to the fields of the sources, as what they leave beyond
        noise shows it: below .05 in a good forward model, above .1 in a sphere for a head.
    least_moments_ : ndarray of shape (n_positions,)
        Peak moment in A m that one more source at each position would need to be found: with the
        course that most of the fields have, in the orientation that is seen best. Weaker ones may
        be there, and those with the course of a stronger source. NaN where no response is seen.
    sensors_moved_ : ndarray of shape (6,)
        Where the fields show the sensors to be beside where the forward model has them: shifts in m
        along the axes of the head, turns in rad about the middle of the grid. 0 where they show
        nothing. Dipoles and `fields_` are of sensors that are there.
    dipole_covariances_ : ndarray of shape (n_sources, 3, 3)
        Covariance of each position in m^2, from noise, the error of the lead field that is seen and
        that of the co-registration that is stated. Only with an mne.Forward whose grid fills a
        volume, else NaN.
    dipole_volumes_ : ndarray of shape (n_sources,)
        Volume in m^3 of the ellipsoid that holds the source with 95 %. Only with an mne.Forward.
    stability_ : ndarray of shape (n_positions,)
        Share of realizations with a source at, or next to, a position. Only where `n_estimators`
        is more than 1.
    fields_, events_, nave_, ch_names_, bad_channels_ : as in :class:`MinimumNorm`

    References
    ----------
    Ziskind and Wax (1988), Maximum likelihood localization of multiple sources by alternating
    projection, IEEE Transactions on Acoustics, Speech, and Signal Processing 36; Adler et al.
    (2019) for MEG. The evidence is our own.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.source import DipoleSearch
    >>> rng = np.random.default_rng(0)
    >>> gain = rng.normal(size=(20, 30))
    >>> y = 0.3 * rng.normal(size=(60, 20, 50))  # 60 trials
    >>> y[:, :, 20:40] += gain[:, [7]] * np.hanning(20)
    >>> X = np.zeros((60, 1, 50))
    >>> X[:, :, 20:] = 1.0
    >>> search = DipoleSearch(forward=gain, random_state=0).fit(X, y)
    >>> search.support_
    array([7])
    >>> search.transform(2 * y[:3]).shape  # new data, one row a trial
    (3, 30, 50)
    """

    random_state: RandomSeed = None

    def _check_params(self):
        self._check_dipole_params()

    def _solve(self, problem):
        for name in ("stability_", "dipole_positions_", "dipole_covariances_", "dipole_volumes_"):
            self.__dict__.pop(name, None)
        if self.forward is None:
            self._take_channels(problem)
        else:
            with limited_threads(1):
                found = self._find(problem)
            shape = (len(problem.data), len(self._where), problem.data.shape[2])
            self._courses = np.zeros(shape)
            if found.dipoles:
                self._courses = found.courses / np.sqrt(problem.nave)[:, None, None]
        self._note_goodness(problem, self._courses)
        n_conditions, _, n_times = self._courses.shape
        out = np.zeros((n_conditions, self.n_positions_, self.n_orient_, n_times))
        return scattered(self._courses, self._where, self._axes, out)

    def _take_channels(self, problem):
        """Without a lead field there is nothing to search: each channel is a source."""
        for name in (
            "evidence_",
            "dipole_orientations_",
            "lead_field_error_",
            "least_moments_",
            "sensors_moved_",
        ):
            self.__dict__.pop(name, None)
        self.support_ = self._where = self._owner = np.arange(problem.n_positions)
        self._axes, self._lead = np.ones((problem.n_positions, 1)), problem.gain_raw
        self._courses = problem.means

    def _fitted_fields(self, problem, sources):
        return self._lead @ self._courses

    def _operator(self, problem, sources):
        return self._dipole_operator(problem, self._courses)

    def _event_courses(self, X):
        return self._courses[self._which_condition(X)]
