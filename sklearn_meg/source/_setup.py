"""From what ``fit`` was given to the inverse problem: channels, events, noise, lead field."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .._checks.params import check_scalar_param, naming
from ._conditions import (
    MISSING_Y,
    Recording,
    average,
    check_info,
    deviations,
    events_of,
    fill_scale,
    first_change,
    group_rows,
    half_difference,
    is_mne,
    onset_of,
    pick,
    read_mne,
    trials_cov,
)
from ._few_samples import n_independent, of_few_samples, unlike_samples
from ._forward import (
    check_fieldless,
    depth_weights,
    is_mne_forward,
    match_channels,
    read_lead_field,
)
from ._problem import Problem
from ._quality import find_bad_channels, trial_weights, warn_bad_channels, warn_noise, within_rank
from ._sensors import sensors_of
from ._settings import SETTINGS
from ._whitening import (
    baseline_samples,
    check_noise_cov,
    check_reference,
    estimate_noise_cov,
    mne_covariance,
    mne_whitener,
    projector_of,
    whitener_of,
)


def read_input(estimator, X, y):
    """Fields, events and names of conditions from any form that ``fit`` takes.

    Returns recording (Recording)
    and X (array-like): Events of each row.
    and names (list of str or None): Conditions in the order of their events; None where events
        were given.
    """
    if has_labels(estimator.forward, X, y):
        return _labeled(estimator, X, y)
    if is_mne(X):
        if y is not None:
            raise ValueError(
                "X must be event time courses where y is given. Got "
                f"{type(X).__name__}: leave y out, give one label a trial, or X None."
            )
        X, y = None, X
    if y is None:
        raise ValueError(MISSING_Y)
    recording = read_mne(y) or _array_recording(estimator, y)
    if X is None:
        return recording, *_step_events(estimator, recording)
    check_scalar_param(estimator, "onset", "int", 0, allow_none=True)
    return recording, X, None


def has_labels(forward, X, y):
    """Whether X are fields and y one label for each: what a Pipeline hands on.

    An array X is taken so where y has one dimension and X as many channels as a `forward` of more
    than one channel.
    """
    if y is None or is_mne(y) or len(shape_of(y)) != 1:
        return False
    if is_mne(X):
        return True
    if X is None or forward is None:
        return False
    shape = shape_of(X)
    return len(shape) == 3 and shape[1] == n_channels_of(forward) > 1


def shape_of(data):
    """Shape of anything that numpy can read, () of what it cannot."""
    if hasattr(data, "shape"):
        return tuple(data.shape)
    try:
        return np.asarray(data).shape
    except ValueError:  # ragged
        return ()


def n_channels_of(forward):
    """Channels of a lead field, 0 where it has no shape."""
    if is_mne_forward(forward):
        return forward["sol"]["data"].shape[0]
    shape = shape_of(forward)
    return shape[0] if shape else 0


def _labeled(estimator, fields, labels):
    labels = np.asarray(labels)
    recording = read_mne(fields) or _array_recording(estimator, fields)
    if len(labels) != len(recording.fields):
        raise ValueError(
            f"y must have one label for each of the {len(recording.fields)} rows of X. "
            f"Got {len(labels)}."
        )
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise ValueError("y must not hold NaN or infinity.")
    recording = replace(recording, names=[str(label) for label in labels.tolist()])
    return recording, *_step_events(estimator, recording)


def _array_recording(estimator, y):
    with naming("y"):
        y = y if hasattr(y, "shape") else np.asarray(y)
        n_rows = len(y) if y.ndim else 0
    check_info(estimator.info, y)
    names = [f"condition {index}" for index in range(n_rows)]
    return Recording(y, np.full(n_rows, float(estimator.nave)), names, None, estimator.info)


def _step_events(estimator, recording):
    if recording.fields.ndim != 3:
        raise ValueError(
            "Without event time courses (X=None) y must have the shape (n_conditions, "
            f"n_channels, n_times). Got {recording.fields.shape}."
        )
    n_times = recording.fields.shape[2]
    return events_of(recording.names, n_times, onset_of(recording, estimator.onset, n_times))


@dataclass(frozen=True)
class Setting:
    """Record of how the problem of an estimator was set up.

    lead (LeadField)
    noise_scale (n_channels,): Standard deviation of the noise of a trial.
    bad_channels (list of str): Left out, as they are dead or jump.
    trial_weights (n_rows,)
    fields (n_rows, n_channels, n_times): As they came, in the channels of the lead field.
    """

    lead: Any
    info: Any
    noise_scale: np.ndarray
    bad_channels: list
    trial_weights: np.ndarray
    fields: np.ndarray


def set_up(estimator, X, fields, used, recording):
    """Whiten, average and weight: everything a solver needs.

    Returns problem (Problem), setting (Setting)
    """
    info = recording.info
    if info is not None and is_mne_forward(estimator.forward):
        picks = match_channels(estimator.forward, info)
        fields, used, info = pick(fields, used, info, picks)
    first, labels = group_rows(X)
    bad = _bad_channels(estimator, fields, used, info, labels)
    used = used & ~np.isin(np.arange(len(used)), list(bad))
    lead = _lead_field(estimator, fields, used, info)
    change = first_change(X[first])
    baseline = slice(0, change) if change else None
    singles = np.bincount(labels).min() >= SETTINGS.fewest_trials
    blind = estimator._looks_for_dipoles and estimator.find_bad_channels and not singles
    blind = blind and estimator.forward is not None
    whitener, covariance, scale = _whiten(
        estimator, fields, used, recording.nave, baseline, info, blind
    )
    scarcity = 0.0 if covariance is None else _scarcity(estimator.noise_cov, info, len(whitener))
    weights = np.ones(len(fields))
    if estimator.find_bad_channels:
        if estimator.noise_cov is not None:
            whitener = within_rank(fields, used, whitener)
        weights = trial_weights(fields, whitener, labels)
    if recording.weights is not None:
        weights = weights * recording.weights
    effective = recording.nave * weights
    means, nave = average(fields, effective, labels)
    halves = half_difference(fields, effective, labels)
    trials = None
    if len(first) < len(fields):
        trials = trials_cov(fields, effective, change or 0, recording.weights)
    gain = whitener @ lead.gain
    loose = estimator.loose if estimator.orientation == "loose" else 1.0
    problem = Problem(
        rows=fields if singles else None,
        row_weights=effective if singles else None,
        labels=labels if singles else None,
        data=whitener @ means * np.sqrt(nave)[:, np.newaxis, np.newaxis],
        gain=gain,
        weights=depth_weights(gain, lead.n_orient, estimator.depth, loose),
        events=X[first],
        nave=nave,
        gain_raw=lead.gain,
        n_orient=lead.n_orient,
        whitener=whitener,
        used=used,
        means=means,
        half_difference=None if halves is None else whitener @ halves,
        trials_cov=None if trials is None else whitener @ trials @ whitener.T,
        baseline=baseline,
        mne=_for_mne(recording, info, lead, means, nave, used, covariance, trials),
        sensors=lead.sensors,
        scarcity=scarcity,
    )
    if estimator.find_bad_channels:
        warn_noise(problem.data, baseline)
    names = [str(index) for index in range(len(used))] if info is None else info["ch_names"]
    warn_bad_channels(bad, names)
    bad = [names[index] for index in sorted(bad)]
    return problem, Setting(lead, info, scale, bad, weights, fields)


def _lead_field(estimator, fields, used, info):
    """The lead field, of fields as they are in the data."""
    names = None if info is None else list(info["ch_names"])
    lead = read_lead_field(estimator.forward, fields.shape[1], names, estimator.orientation)
    check_fieldless(lead.gain[used], lead.n_orient)
    projector = None if info is None else projector_of(info, only_active=True)
    if estimator._looks_for_dipoles:
        lead = replace(lead, sensors=sensors_of(lead, projector))
    return lead if info is None else replace(lead, gain=projector @ lead.gain)


def _for_mne(recording, info, lead, means, nave, used, covariance, trials):
    """Objects that mne's solvers take; None where there are none."""
    if info is None or lead.forward is None:
        return None
    from ._mne import make_problem

    start = 0.0 if recording.times is None else recording.times[0]
    return make_problem(means, nave, used, info, lead.forward, covariance, trials, start)


def _bad_channels(estimator, fields, used, info, labels):
    if not estimator.find_bad_channels or estimator.forward is None:
        return {}
    kinds = None
    if info is not None:
        from mne import channel_type

        kinds = [channel_type(info, index) for index in range(len(used))]
    return find_bad_channels(fields, used, kinds, labels)


def _whiten(estimator, fields, used, nave, baseline, info, blind):
    """Whitener for all channels (0 where not used), mne.Covariance or None, noise of channels."""
    cov, kinds = estimator.noise_cov, None
    if info is None:
        if is_mne_forward(estimator.forward):
            check_reference(estimator.forward["info"])
        if isinstance(cov, dict):  # as mne.Covariance is
            raise ValueError(
                "noise_cov is an mne.Covariance, and y an array without channel names: give info= "
                "to match its channels."
            )
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
        cov, _ = estimate_noise_cov(fields[:, used], nave, baseline, kinds, blind)
    samples = baseline_samples(fields[:, used], nave, baseline)
    if info is None:
        covariance, deviation = None, np.sqrt(np.diag(cov))
        part = whitener_of(_steady(estimator, cov, samples))
    else:
        covariance = mne_covariance(cov, info)
        part = mne_whitener(_steady_mne(estimator, covariance, info, samples), info)
        deviation = deviations(covariance, info)
    whitener = np.zeros((len(part), fields.shape[1]))
    whitener[:, used] = part
    return whitener, covariance, fill_scale(deviation, used)


def _scarcity(cov, info, rank):
    """Directions of the noise for each sample of its covariance; 0 where these are not known."""
    n_samples = n_independent(cov["nfree"], info) if isinstance(cov, dict) else None
    return rank / n_samples if n_samples else 0.0


def _steady_mne(estimator, covariance, info, samples):
    """Covariance of the channels of info, shrunk where it is of few samples."""
    import mne

    names = info["ch_names"]
    picked = mne.cov.pick_channels_cov(covariance, names, ordered=True, verbose="error")
    if picked["diag"]:
        return covariance
    n_samples, rank = n_independent(picked["nfree"], info), None
    if n_samples is not None:
        rank = sum(mne.compute_rank(picked, rank="info", info=info, verbose="error").values())
    cov = _steady(estimator, picked.data, samples, rank, n_samples)
    return covariance if cov is picked.data else mne.Covariance(cov, names, [], [], nfree=1)


def _steady(estimator, cov, samples, rank=None, n_samples=None):
    if estimator.noise_cov is None or estimator.forward is None:
        return cov
    if n_samples is not None:
        return of_few_samples(cov, rank, n_samples)
    if samples is None or not estimator.find_bad_channels:
        return cov
    return unlike_samples(cov, samples)
