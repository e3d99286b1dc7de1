"""What every source estimator shares: conditions, whitening, the estimator's interface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from .._checks.params import check_bool_param, check_option_param, check_scalar_param, naming
from .._checks.trials import check_array, check_trials, check_weights, flatten_targets
from .._checks.whole import WholeFit
from .._params import documented, param
from ._conditions import (
    MISSING_Y,
    check_fields,
    check_not_constant,
    first_change,
    group_rows,
    index_of,
    is_mne,
    merge_copies,
    read_mne,
    row_key,
    weigh_rows,
    without_bads,
)
from ._forward import ORIENTATIONS
from ._operator import sources_of_fields, support_operator
from ._orientations import check_finite_sources, check_pick_ori, picked, size_of
from ._setup import has_labels, read_input, set_up, shape_of
from ._unusual import UnusualFields

if TYPE_CHECKING:
    from typing import Literal

    from .._typing import ArrayLike, BaseEpochs, Covariance, Evoked, Forward, Info, MneObject, Self


@dataclass(kw_only=True, eq=False, repr=False)
class SourceParams:
    """Lead field, noise, orientation and channels: what every source estimator needs."""

    forward: np.ndarray | Forward | None = param(
        None,
        "None, ndarray or mne.Forward",
        "Lead field, field per A m: (n_channels, n_positions) for fixed orientations, "
        "(n_channels, n_positions, 3) for free ones. None: identity, sources are channels, and "
        "none is left out.",
    )
    noise_cov: np.ndarray | Covariance | None = param(
        None,
        "None, ndarray or mne.Covariance",
        "Noise covariance of a single trial. None: estimated from the samples before the first "
        "event change and shrunk, or the overall variance where there are none.",
    )
    orientation: Literal["free", "loose", "fixed"] = param(
        "free",
        '{"free", "loose", "fixed"}',
        "Orientation of the sources of an mne.Forward; the last two need surface source spaces. "
        "A lead field with one orientation a position is used as it is, and cannot be loose.",
    )
    loose: float = param(
        0.2,
        "float",
        "Variance of tangential sources relative to normal ones, for ``orientation='loose'``.",
    )
    depth: float | None = param(
        0.8, "float or None", "Exponent of depth weighting, from 0 to 1; None: none."
    )
    onset: int | None = param(
        None,
        "int or None",
        "Sample of the event where no event time courses are given; None: time 0 of MNE objects.",
    )
    nave: int = param(1, "int", "Number of trials that each row of an array y is the average of.")
    info: Info | None = param(
        None, "mne.Info or None", "Names, projections and bad channels of an array y."
    )
    find_bad_channels: bool = param(
        True,
        "bool",
        "Leave out channels that are dead or jump, with a warning, and let trials that are four "
        "times as loud as others count less.",
    )


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class SourceEstimator(
    WholeFit,
    SourceParams,
    UnusualFields,
    TransformerMixin,
    RegressorMixin,
    BaseEstimator,
    auto_wrap_output_keys=None,
):
    """Base of the estimators of sources from fields.

    A subclass has ``_solve(problem) -> sources (n_conditions, n_positions, n_orient, n_times)``
    in A m and may have ``_check_params()``; ``_maps(problem, sources)``, what ``transform`` gives
    if that is not the current itself; ``_operator(problem, sources)``, what ``transform`` applies
    to new data; and ``_sources_of(X)`` and ``_fields_of(X)``, if it knows what unseen events do.
    Its parameters include those of this class.

    Parameters
    ----------
    %(SourceParams)s
    """

    _looks_for_dipoles = False  # then the noise of averages must not be taken for less

    def fit(
        self,
        X: ArrayLike | None,
        y: ArrayLike | BaseEpochs | Evoked | list[Evoked] | None = None,
        *,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Estimate the sources of each condition.

        Trials with equal events are one condition and are averaged. An already averaged data
        set has one row a condition.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_events, n_times) or (n_trials, n_events), or None
            Event time courses. None: each row of y (each event name of Epochs) is a condition
            with a step pulse from `onset` on, see :func:`make_events`. Without y: Evoked, list of
            Evoked or Epochs. Or the fields, ``(n_trials, n_channels, n_times)`` or Epochs, where
            y has a label for each: what a Pipeline hands on.
        y : array-like of shape (n_trials, n_channels, n_times), Evoked, list of Evoked or Epochs
            Fields; ``(n_trials, n_channels * n_times)`` or ``(n_trials,)``, too. A channel that is
            NaN throughout is not used, but predicted. Or labels ``(n_trials,)``: each value is
            a condition with a step pulse from `onset` on.
        sample_weight : array-like of shape (n_trials,), default=None
            Weight of each trial in the average of its condition and in the noise of that average:
            one of weight 2 counts as two, one of weight 0 is left out. A noise covariance that is
            estimated from the data counts the others alike.

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
        labeled = has_labels(self.forward, X, y)
        recording, X, names = read_input(self, X, y)
        X = check_trials(self, X, reset=True)
        fields, used, self.y_ndim_ = check_fields(recording.fields, X)
        weights = check_weights(sample_weight, len(fields))
        if weights is not None:
            fields, X, recording, names = weigh_rows(weights, fields, X, recording, names)
        used = without_bads(used, recording.info)
        check_not_constant(fields[:, used])
        self._check_events(X)
        fields, X, recording = merge_copies(fields, X, recording)
        problem, setting = set_up(self, X, fields, used, recording)
        self._remember(problem, setting, recording.times, names)
        sources = np.asarray(self._solve(problem), dtype=np.float64)
        check_finite_sources(self, sources)
        self.sources_ = np.asarray(self._maps(problem, sources), dtype=np.float64)
        self.fields_ = self._fitted_fields(problem, sources)
        self.inverse_ = self._operator(problem, sources)
        self._keep_usual(setting.fields, recording.nave, group_rows(X)[1])
        self.unit_ = 1.0
        if labeled:  # X were the fields
            self.n_features_in_ = self.n_outputs_
            self.unit_ = size_of(self.sources_)
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
            Fields in the units of y, with as many dimensions as the y of ``fit``.

        Raises
        ------
        ValueError
            For events that were not seen in ``fit``, or another shape.
        """
        return flatten_targets(self._fields_of(self._events(X)), self.y_ndim_)

    def fit_transform(
        self,
        X: ArrayLike | MneObject | None,
        y: ArrayLike | MneObject | None = None,
        *,
        sample_weight: ArrayLike | None = None,
    ) -> np.ndarray:
        """Fit, and give the sources of what was fitted.

        Parameters
        ----------
        X, y, sample_weight : as for ``fit``

        Returns
        -------
        sources : ndarray of shape (n_trials, n_positions, n_times)
            As ``transform`` gives them of the data, one row a trial; of X where X are events.
        """
        self.fit(X, y, sample_weight=sample_weight)
        return self.transform(y if X is None else X)

    def transform(
        self,
        X: ArrayLike | MneObject | None = None,
        pick_ori: Literal["vector", "normal"] | None = None,
    ) -> np.ndarray:
        """Sources of new data, or of events.

        Parameters
        ----------
        X : Epochs, Evoked, list of Evoked, array-like or None
            Data of the fitted channels, ``(n_trials, n_channels, n_times)`` with any number of
            samples: the operator that was fitted is applied to each row. Or events as for
            ``predict``, ``(n_trials, n_events, n_times)``: what the model says of them. An array
            that could be both is taken for data. None: the fitted conditions.
        pick_ori : {None, "vector", "normal"}, default=None
            None: amplitude, the norm over orientations (signed where there is one). "normal": what
            flows along the normal of the surface, signed; it needs ``orientation="loose"``.

        Returns
        -------
        sources : ndarray of shape (n_trials, n_positions, n_times)
            Sources in A m, if the lead field is per A m; ``(n_trials, n_positions, n_orient,
            n_times)`` for "vector", in the axes of the lead field (the last is the normal for
            ``orientation="loose"``). Of data, where ``fit`` got labels as in a Pipeline, in units
            of ``unit_``, the root mean square of the strongest source over time and conditions:
            classifiers expect numbers near 1.

        Raises
        ------
        ValueError
            For data that lack a fitted channel or are not finite, events as by ``predict``,
            another shape, or another pick_ori.
        """
        check_is_fitted(self)
        check_pick_ori(self, pick_ori)
        data = self._data(X)
        if data is None:
            sources = self._sources_of(self._events(X))
        else:
            shape = self.n_positions_, self.n_orient_
            sources = sources_of_fields(self.inverse_, *data, shape) / self.unit_
        return picked(sources, pick_ori)

    def score(
        self,
        X: ArrayLike | MneObject,
        y: ArrayLike | MneObject | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> float:
        """R2 of all fields together, each channel in units of its noise.

        Parameters
        ----------
        X : as for ``fit``
        y : as for ``fit``
            Channels that are NaN throughout do not count.
        sample_weight : array-like of shape (n_rows,), default=None
            Weight of each row.

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
        weights = check_weights(sample_weight, len(fields))
        return r2_score(fields[:, used] / scale, predicted[:, used] / scale, weights)

    def to_stc(
        self,
        X: ArrayLike | MneObject | None = None,
        pick_ori: Literal["vector", "normal"] | None = None,
    ) -> list:
        """Sources as mne source estimates.

        Parameters
        ----------
        X : as for ``transform``
        pick_ori : {None, "vector", "normal"}, default=None
            "vector" gives VectorSourceEstimate or VolVectorSourceEstimate, in head coordinates;
            "normal" what flows along the normal of the surface.

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

        check_is_fitted(self)
        check_pick_ori(self, pick_ori)
        start = float(X[0].times[0] if isinstance(X, list) else X.times[0]) if is_mne(X) else None
        sources = self.transform(X, pick_ori="vector")
        if pick_ori == "normal":
            sources = sources[:, :, -1:]
        return make_stcs(self, sources, pick_ori, start)

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

    def _operator(self, problem, sources):
        """Operator that ``transform`` applies to new data."""
        return support_operator(problem, sources)

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
        check_bool_param(self, "find_bad_channels")

    def _remember(self, problem, setting, times, names):
        """Keep what predict, transform and to_stc need, as arrays."""
        lead, info = setting.lead, setting.info
        self.events_ = np.array(problem.events, dtype=np.float64)
        self.nave_, self.noise_scale_ = problem.nave, setting.noise_scale
        self.n_outputs_ = len(lead.gain)
        self.n_positions_ = lead.gain.shape[1] // lead.n_orient
        self.n_orient_ = lead.n_orient
        self.positions_, self.axes_ = lead.positions, lead.axes
        self.vertices_, self.source_kind_ = lead.vertices, lead.kind
        self.subject_ = lead.subject
        sfreq = 1.0 if info is None else float(info["sfreq"])
        start = first_change(self.events_) or 0
        n_times = self.events_.shape[2]
        self.times_ = (np.arange(n_times) - start) / sfreq if times is None else times
        self.tstep_ = 1 / sfreq
        channels = range(self.n_outputs_) if info is None else info["ch_names"]
        self.ch_names_ = [str(name) for name in channels]
        self._used = problem.used
        self.bad_channels_, self.trial_weights_ = setting.bad_channels, setting.trial_weights
        self.__dict__.pop("condition_names_", None)
        if names is not None:
            self.condition_names_ = names

    def _data(self, X):
        """Fields of new data in the fitted channels and the trials in each row, or None."""
        if X is None:
            return None
        recording = read_mne(X)
        if recording is not None:
            names = recording.info["ch_names"]
            used = np.flatnonzero(self._used)
            fields = np.zeros((len(recording.fields), self.n_outputs_, recording.fields.shape[2]))
            wanted = index_of(names, [self.ch_names_[index] for index in used])
            fields[:, used] = recording.fields[:, wanted]
            return fields, recording.nave
        shape = shape_of(X)
        if len(shape) != 3 or shape[1] != self.n_outputs_:
            return None
        if self.forward is None and shape[1] == self.events_.shape[1]:
            return None  # no inverse problem: events that happen to be as many as channels
        fields = np.array(X, dtype=np.float64)
        fields[:, ~self._used] = 0.0
        fields = check_array(fields, input_name="X", allow_nd=True, ensure_2d=False)
        return fields, np.full(len(fields), float(self.nave))

    def _events(self, X):
        """Events of X, checked: arrays, MNE objects of fitted conditions, or None."""
        check_is_fitted(self)
        if X is None:
            return self.events_
        if is_mne(X):
            return self.events_[self._named_conditions(read_mne(X).names)]
        with naming("X"):
            X = X if hasattr(X, "shape") else np.asarray(X)
        n_events = self.events_.shape[1]
        if self.n_features_in_ != n_events:  # fitted to fields and labels
            if X.ndim != 3 or X.shape[1:] != self.events_.shape[1:]:
                raise ValueError(
                    f"X must be data of the {self.n_outputs_} fitted channels, or events of shape "
                    f"(n_trials, {n_events}, {self.n_times_in_}). Got {X.shape}."
                )
            return check_array(X, input_name="X", allow_nd=True, dtype=np.float64)
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


def r2_score(y, predicted, weights=None):
    """R2 over all values; the mean of a channel (axis 1) over the rest is the reference."""
    w = np.ones(len(y)) if weights is None else weights
    mean = np.average(y, axis=0, weights=w).mean(axis=1)[:, np.newaxis]
    w = w[:, np.newaxis, np.newaxis]
    total = (w * np.square(y - mean)).sum()
    return float(1 - (w * np.square(y - predicted)).sum() / total) if total > 0 else float("nan")
