"""What every source estimator shares: conditions, whitening, the estimator's interface."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from .._checks.params import check_option_param, check_scalar_param, naming
from .._checks.trials import check_trials, flatten_targets
from ._conditions import (
    MISSING_Y,
    Recording,
    average,
    check_fields,
    check_info,
    check_not_constant,
    deviations,
    events_of,
    fill_scale,
    first_change,
    group_rows,
    half_difference,
    index_of,
    is_mne,
    onset_of,
    pick,
    read_mne,
    row_key,
    trials_cov,
    without_bads,
)
from ._forward import (
    ORIENTATIONS,
    check_fieldless,
    depth_weights,
    is_mne_forward,
    match_channels,
    read_lead_field,
)
from ._problem import Problem
from ._whitening import (
    check_noise_cov,
    check_reference,
    estimate_noise_cov,
    mne_covariance,
    mne_whitener,
    projector_of,
    whitener_of,
)

if TYPE_CHECKING:
    from typing import Literal

    from .._typing import ArrayLike, BaseEpochs, Covariance, Evoked, Forward, Info, MneObject, Self

FEWEST_TRIALS = 4  # of a condition, to learn from what trials differ by


class SourceEstimator(TransformerMixin, RegressorMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Base of the estimators of sources from fields.

    A subclass has ``_solve(problem) -> sources (n_conditions, n_positions, n_orient, n_times)``
    in A m and may have ``_check_params()``; ``_maps(problem, sources)``, what ``transform`` gives
    if that is not the current itself; and ``_sources_of(X)`` and ``_fields_of(X)``, if it knows
    what unseen events do. Its parameters include those of this class.

    Parameters
    ----------
    forward : None, ndarray or mne.Forward, default=None
        Lead field, field per A m: (n_channels, n_positions) for fixed orientations,
        (n_channels, n_positions, 3) for free ones. None: identity, sources are channels.
    noise_cov : None, ndarray or mne.Covariance, default=None
        Noise covariance of a single trial.
    orientation : {"free", "loose", "fixed"}, default="free"
        Of sources of an mne.Forward.
    loose : float, default=0.2
        Variance of tangential sources relative to normal ones, for ``orientation="loose"``.
    depth : float or None, default=0.8
        Depth weighting.
    onset : int or None, default=None
        Sample of the event where no event time courses are given.
    nave : int, default=1
        Trials in each row of an array y.
    info : mne.Info or None, default=None
        Channels of an array y.
    """

    def __init__(
        self,
        forward: np.ndarray | Forward | None = None,
        noise_cov: np.ndarray | Covariance | None = None,
        orientation: Literal["free", "loose", "fixed"] = "free",
        loose: float = 0.2,
        depth: float | None = 0.8,
        onset: int | None = None,
        nave: int = 1,
        info: Info | None = None,
    ) -> None:
        self.forward = forward
        self.noise_cov = noise_cov
        self.orientation = orientation
        self.loose = loose
        self.depth = depth
        self.onset = onset
        self.nave = nave
        self.info = info

    def fit(
        self, X: ArrayLike | None, y: ArrayLike | BaseEpochs | Evoked | list[Evoked] | None = None
    ) -> Self:
        """Estimate the sources of each condition.

        Trials with equal events are one condition and are averaged. An already averaged data
        set has one row a condition.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_events, n_times) or (n_trials, n_events), or None
            Event time courses. None: each row of y (each event name of Epochs) is a condition
            with a step pulse from `onset` on, see :func:`make_events`. Without y: Evoked, list of
            Evoked or Epochs.
        y : array-like of shape (n_trials, n_channels, n_times), Evoked, list of Evoked or Epochs
            Fields; ``(n_trials, n_channels * n_times)`` or ``(n_trials,)``, too. A channel that is
            NaN throughout is not used, but predicted.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError, TypeError
            For a parameter out of range, fields or events that are not finite or do not go
            together, constant fields, an onset outside the window, a lead field or noise
            covariance that does not match the channels, or EEG without average reference.
        """
        self._check_common_params()
        self._check_params()
        recording, X = self._read(X, y)
        X = check_trials(self, X, reset=True)
        fields, used, self.y_ndim_ = check_fields(recording.fields, X)
        used = without_bads(used, recording.info)
        check_not_constant(fields[:, used])
        self._check_events(X)
        problem = self._set_up(X, fields, used, recording)
        sources = np.asarray(self._solve(problem), dtype=np.float64)
        _check_finite_sources(self, sources)
        self.sources_ = np.asarray(self._maps(problem, sources), dtype=np.float64)
        self.fields_ = self._fitted_fields(problem, sources)
        return self

    def predict(self, X: ArrayLike | MneObject | None = None) -> np.ndarray:
        """Predict fields.

        Parameters
        ----------
        X : array-like as in ``fit``, MNE object, or None
            Each row must be a fitted condition (unless the estimator knows more). None: the
            fitted conditions, one row each.

        Returns
        -------
        y : ndarray of shape (n_trials, n_channels, n_times)
            In the units of y, with as many dimensions as the y of ``fit``.

        Raises
        ------
        ValueError
            For events that were not seen in ``fit``, or another shape.
        """
        return flatten_targets(self._fields_of(self._events(X)), self.y_ndim_)

    def transform(
        self, X: ArrayLike | MneObject | None = None, pick_ori: Literal["vector"] | None = None
    ) -> np.ndarray:
        """Sources of each row.

        Parameters
        ----------
        X : as for ``predict``
        pick_ori : {None, "vector"}, default=None
            None: amplitude, the norm over orientations (signed where there is one).

        Returns
        -------
        sources : ndarray of shape (n_trials, n_positions, n_times)
            In A m, if the lead field is per A m; ``(n_trials, n_positions, n_orient, n_times)``
            for "vector", in the axes of the lead field (the last is the normal for
            ``orientation="loose"``).

        Raises
        ------
        ValueError
            As ``predict``, or for another pick_ori.
        """
        _check_pick_ori(pick_ori)
        sources = self._sources_of(self._events(X))
        return sources if pick_ori == "vector" else _amplitude(sources)

    def score(self, X: ArrayLike | MneObject, y: ArrayLike | MneObject | None = None) -> float:
        """R2 of all fields together, each channel in units of its noise.

        Parameters
        ----------
        X : as for ``fit``
        y : as for ``fit``
            Channels that are NaN throughout do not count.

        Returns
        -------
        score : float
            ``1 - sum((y - predicted)**2) / sum((y - mean)**2)``, the mean over all of a channel.
        """
        check_is_fitted(self)
        if y is None and not is_mne(X):
            raise ValueError(MISSING_Y)
        fields = X if y is None else y
        recording = read_mne(fields)
        events = self._events(fields if X is None and recording is not None else X)
        if recording is not None:
            fields = recording.fields[:, index_of(recording.info["ch_names"], self.ch_names_)]
        fields, used, _ = check_fields(fields, events)
        predicted = self._fields_of(events)
        if fields.shape != predicted.shape:
            raise ValueError(f"y must have the shape {predicted.shape}. Got {fields.shape}.")
        scale = self.noise_scale_[used, np.newaxis]
        return r2_score(fields[:, used] / scale, predicted[:, used] / scale)

    def to_stc(
        self, X: ArrayLike | MneObject | None = None, pick_ori: Literal["vector"] | None = None
    ) -> list:
        """Sources as mne source estimates.

        Parameters
        ----------
        X : as for ``predict``
        pick_ori : {None, "vector"}, default=None
            "vector" gives VectorSourceEstimate or VolVectorSourceEstimate, in head coordinates.

        Returns
        -------
        stcs : list of mne.SourceEstimate, mne.VolSourceEstimate, ...
            One a row of X, or a fitted condition. In A m, unless the method's values have no unit.

        Raises
        ------
        ValueError
            If ``forward`` was no mne.Forward: arrays have no vertices.
        """
        from ._mne import make_stcs

        _check_pick_ori(pick_ori)
        return make_stcs(self, self.transform(X, pick_ori="vector"), pick_ori)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.required = True
        return tags

    # What a subclass may change

    def _check_params(self):
        """Check the parameters of the subclass."""

    def _check_events(self, X):
        """Check events (n_trials, n_events, n_times)."""

    def _solve(self, problem):
        """Sources of each condition (n_conditions, n_positions, n_orient, n_times) in A m."""
        raise NotImplementedError

    def _maps(self, problem, sources):
        """What ``transform`` gives of the fitted sources."""
        return sources

    def _fitted_fields(self, problem, sources):
        """Fields of the fitted conditions."""
        return problem.fields(sources)

    def _sources_of(self, X):
        """Sources of checked events."""
        return self.sources_[self._which_condition(X)]

    def _fields_of(self, X):
        """Fields of checked events, (n_trials, n_channels, n_times)."""
        return self.fields_[self._which_condition(X)]

    # The common part

    def _check_common_params(self):
        check_option_param(self, "orientation", ORIENTATIONS)
        check_scalar_param(self, "loose", "float", 0.0, 1.0, closed="right")
        check_scalar_param(self, "depth", "float", 0.0, 1.0, allow_none=True)
        check_scalar_param(self, "nave", "int", 1)

    def _read(self, X, y):
        """Fields as a Recording, and events."""
        if is_mne(X):
            if y is not None:
                raise ValueError(
                    "X must be event time courses where y is given. Got "
                    f"{type(X).__name__}: leave y out, or X None."
                )
            X, y = None, X
        if y is None:
            raise ValueError(MISSING_Y)
        recording = read_mne(y)
        if recording is None:
            with naming("y"):
                y = y if hasattr(y, "shape") else np.asarray(y)
                n_rows = len(y) if y.ndim else 0
            names = [f"condition {index}" for index in range(n_rows)]
            recording = Recording(y, np.full(n_rows, float(self.nave)), names, None, self.info)
            check_info(self.info, y)
        if X is None:
            if recording.fields.ndim != 3:
                raise ValueError(
                    "Without event time courses (X=None) y must have the shape (n_conditions, "
                    f"n_channels, n_times). Got {recording.fields.shape}."
                )
            n_times = recording.fields.shape[2]
            onset = onset_of(recording, self.onset, n_times)
            X, self.condition_names_ = events_of(recording.names, n_times, onset)
        else:
            check_scalar_param(self, "onset", "int", 0, allow_none=True)
            self.__dict__.pop("condition_names_", None)
        return recording, X

    def _set_up(self, X, fields, used, recording):
        info = recording.info
        if info is not None and is_mne_forward(self.forward):
            picks = match_channels(self.forward, info)
            fields, used, info = pick(fields, used, info, picks)
        names = None if info is None else list(info["ch_names"])
        lead = read_lead_field(self.forward, fields.shape[1], names, self.orientation)
        check_fieldless(lead.gain[used], lead.n_orient)
        if info is not None:  # the fields as they are in the data
            lead = replace(lead, gain=projector_of(info, only_active=True) @ lead.gain)
        first, labels = group_rows(X)
        change = first_change(X[first])
        baseline = slice(0, change) if change else None
        whitener, covariance = self._whiten(fields, used, recording.nave, baseline, info, lead)
        means, nave = average(fields, recording.nave, labels)
        self._remember(X[first], nave, lead, recording.times, info)
        gain = whitener @ lead.gain
        halves = half_difference(fields, recording.nave, labels)
        loose = self.loose if self.orientation == "loose" else 1.0
        trials = None
        if len(first) < len(fields):
            trials = trials_cov(fields, recording.nave, change or 0)
        singles = np.bincount(labels).min() >= FEWEST_TRIALS
        return Problem(
            rows=fields if singles else None,
            row_weights=recording.nave if singles else None,
            labels=labels if singles else None,
            data=whitener @ means * np.sqrt(nave)[:, np.newaxis, np.newaxis],
            gain=gain,
            weights=depth_weights(gain, lead.n_orient, self.depth, loose),
            events=X[first],
            nave=nave,
            gain_raw=lead.gain,
            n_orient=lead.n_orient,
            whitener=whitener,
            half_difference=None if halves is None else whitener @ halves,
            trials_cov=None if trials is None else whitener @ trials @ whitener.T,
            baseline=baseline,
            mne=_mne_problem(means, nave, used, info, lead, covariance, trials, self.times_),
        )

    def _whiten(self, fields, used, nave, baseline, info, lead):
        """Whitener for all channels (0 where not used) and the mne.Covariance or None."""
        cov, kinds = self.noise_cov, None
        if info is None:
            if is_mne_forward(self.forward):
                check_reference(self.forward["info"])
            if cov is not None:
                cov = check_noise_cov(cov, fields.shape[1])[np.ix_(used, used)]
        else:
            from mne import channel_type, pick_info

            if isinstance(cov, np.ndarray):
                cov = check_noise_cov(cov, fields.shape[1])[np.ix_(used, used)]
            info = pick_info(info, np.flatnonzero(used))
            check_reference(info)
            kinds = [channel_type(info, index) for index in range(len(info["ch_names"]))]
        if cov is None:
            cov, _ = estimate_noise_cov(fields[:, used], nave, baseline, kinds)
        if info is None:
            part, covariance = whitener_of(cov), None
            deviation = np.sqrt(np.diag(cov))
        else:
            covariance = mne_covariance(cov, info)
            part = mne_whitener(covariance, info)
            deviation = deviations(covariance, info)
        self.noise_scale_ = fill_scale(deviation, used)
        whitener = np.zeros((len(part), fields.shape[1]))
        whitener[:, used] = part
        return whitener, covariance

    def _remember(self, events, nave, lead, times, info):
        """Keep what predict, transform and to_stc need, as arrays."""
        self.events_, self.nave_ = np.array(events, dtype=np.float64), nave
        self.n_outputs_ = len(lead.gain)
        self.n_positions_ = lead.gain.shape[1] // lead.n_orient
        self.n_orient_ = lead.n_orient
        self.positions_, self.axes_ = lead.positions, lead.axes
        self.vertices_, self.source_kind_ = lead.vertices, lead.kind
        self.subject_ = lead.subject
        n_times = events.shape[2]
        sfreq = 1.0 if info is None else float(info["sfreq"])
        start = first_change(events) or 0
        self.times_ = (np.arange(n_times) - start) / sfreq if times is None else times
        self.tstep_ = 1 / sfreq
        self.ch_names_ = (
            [str(index) for index in range(self.n_outputs_)] if info is None else info["ch_names"]
        )
        self.ch_names_ = list(self.ch_names_)

    def _events(self, X):
        """Events of X, checked: arrays, MNE objects of fitted conditions, or None."""
        check_is_fitted(self)
        if X is None:
            return self.events_
        if is_mne(X):
            return self.events_[self._named_conditions(read_mne(X).names)]
        return check_trials(self, X, reset=False)

    def _named_conditions(self, names):
        known = getattr(self, "condition_names_", None)
        if known is None:
            raise ValueError(
                "MNE objects name conditions, but this estimator was fitted with event time "
                "courses: give those, too."
            )
        unknown = [name for name in names if name not in known]
        if unknown:
            raise ValueError(
                f"The condition(s) {sorted(set(unknown))} were not seen in fit. Seen: {known}."
            )
        return [known.index(name) for name in names]

    def _which_condition(self, X):
        """Fitted condition of each row of events."""
        index = {row_key(row): at for at, row in enumerate(self.events_)}
        found = [index.get(row_key(row), -1) for row in X]
        if -1 in found:
            raise ValueError(
                f"Row {found.index(-1)} of X has events that {type(self).__name__} was not fitted "
                f"with: it knows the {len(self.events_)} fitted condition(s) only. "
                "(RNNSourceSolver predicts unseen events.)"
            )
        return found


def r2_score(y, predicted):
    """R2 over all values; the mean of a channel (axis 1) over the rest is the reference."""
    total = np.square(y - y.mean(axis=(0, 2), keepdims=True)).sum()
    return float(1 - np.square(y - predicted).sum() / total) if total > 0 else float("nan")


def _amplitude(sources):
    if sources.shape[2] == 1:
        return sources[:, :, 0]
    return np.linalg.norm(sources, axis=2)


def _check_pick_ori(pick_ori):
    if pick_ori not in (None, "vector"):
        raise ValueError(f"pick_ori must be None or 'vector'. Got {pick_ori!r}.")


def _check_finite_sources(estimator, sources):
    if not np.isfinite(sources).all():
        raise ValueError(
            f"{type(estimator).__name__} found sources that are not finite. Check that fields, "
            "lead field and noise covariance are in the same units."
        )


def _mne_problem(means, nave, used, info, lead, covariance, trials, times):
    if info is None or lead.forward is None:
        return None
    from ._mne import make_problem

    return make_problem(means, nave, used, info, lead.forward, covariance, trials, times)
