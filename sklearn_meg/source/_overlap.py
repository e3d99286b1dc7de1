"""What each event makes alone, from conditions in which responses overlap.

Fields of several events are the sum of what each makes, shifted to when it came. Each response is a
smooth bump or a few, and short beside the window: Gaussian bumps with amplitudes of variances that
change slowly from lag to lag, which are learned from the data (automatic relevance determination;
MacKay, 1992; Tipping, 2001), in noise whose power in each component of time is known. Least squares
on lags (Smith and Kutas, 2015) has the same sum without knowing that.
"""

import numpy as np

from ._conditions import first_change
from ._settings import SETTINGS


def responses_of(events, amplitudes, noise, evidence, nave):
    """Responses to each event alone, where conditions are sums of them.

    events (n_conditions, n_events, n_times)
    amplitudes (n_courses, n_conditions * n_components): Least squares, of unit noise in the
        fields.
    noise (list of ndarray of shape (n_courses, n_conditions * n_components)): The same of
        realizations of noise.
    nave (n_conditions,)
    Returns responses (n_events, n_courses, n_lags) or None: To a step of 1; None with too few
        conditions, or where sums do not explain them.
    """
    onset = first_change(events)
    n_conditions, n_events, n_times = events.shape
    if onset is None or n_conditions <= SETTINGS.conditions_an_event * n_events:
        return None
    bumps, centers = _bumps(n_times - onset)
    design, out, left, size = _design(events, bumps, evidence, nave), [], 0.0, 0.0
    for course, level in zip(amplitudes, _levels(noise, n_conditions)):
        y, made = course / level, design / level[:, None]
        weights = _relevant(made, y, centers, n_events)
        left += max(np.square(y - made @ weights).sum() - len(y), 0.0)
        size += max(np.square(y).sum() - len(y), 0.0)
        out.append(weights.reshape(n_events, -1) @ bumps.T)
    return np.array(out).transpose(1, 0, 2) if left < SETTINGS.unlike_sums * size else None


def _design(events, bumps, evidence, nave):
    """Components of conditions that each bump after each event makes, of unit noise."""
    scale = np.sqrt(nave)[:, None] / evidence.deviation
    parts = [
        each[:, None] * (evidence.basis.T @ _lagged(row, bumps)) for each, row in zip(scale, events)
    ]
    return np.concatenate(parts)


def sums_of_events(events, evidence, nave):
    """Orthonormal basis of what sums of responses to events make in components that are looked at.

    Noise in several conditions is that many times what it is in the responses that they share: a
    weak source needs less power there.

    Returns (n_components, n), or None with too few conditions.
    """
    onset = first_change(events)
    n_conditions, n_events, n_times = events.shape
    used = evidence.weight > 0
    if onset is None or n_conditions <= SETTINGS.conditions_an_event * n_events or not used.any():
        return None
    design = _design(events, _bumps(n_times - onset)[0], evidence, nave)
    design = design[used] * np.sqrt(evidence.weight[used])[:, None]
    left, size, _ = np.linalg.svd(design, full_matrices=False)
    left = left[:, size > SETTINGS.in_sums * size[0]]
    return left if left.shape[1] < len(left) else None


def _levels(noise, n_conditions):
    """Standard deviation of the noise of each course and component, as of each condition."""
    power = np.mean([np.square(each) for each in noise], axis=0)
    power = power.reshape(len(power), n_conditions, -1).mean(axis=1)
    span = SETTINGS.smoother
    wide = np.pad(power, ((0, 0), (span, span)), mode="edge")
    smooth = np.lib.stride_tricks.sliding_window_view(wide, 2 * span + 1, axis=1).mean(axis=2)
    return np.tile(np.sqrt(np.maximum(smooth, 1e-300)), n_conditions)


def sums_of(events, responses):
    """Courses (n_rows, n_courses, n_times) of events."""
    n_events, n_courses, n_lags = responses.shape
    lags = np.eye(n_lags)
    flat = responses.transpose(0, 2, 1).reshape(n_events * n_lags, n_courses)
    return np.array([(_lagged(row, lags) @ flat).T for row in events])


def single_events(events):
    """Steps of each event alone at the onset, (n, n_events, n_times), of events that are steps."""
    onset, rows = first_change(events), []
    for event in range(events.shape[1]):
        changes = np.diff(events[:, event], axis=1)
        if (np.count_nonzero(changes, axis=1) <= 1).all() and changes.any():
            rows.append(np.zeros(events.shape[1:]))
            rows[-1][event, onset:] = changes[changes != 0][0]
    return np.array(rows).reshape(-1, *events.shape[1:])


def _bumps(n_lags):
    """Gaussian bumps (n_lags, n) and their centers."""
    width = max(SETTINGS.bump, SETTINGS.bump_step * n_lags / SETTINGS.most_bumps)
    centers = np.arange(0, n_lags, width / SETTINGS.bump_step)
    return np.exp(-np.square((np.arange(n_lags)[:, None] - centers) / width) / 2), centers


def _lagged(row, bumps):
    """Course of each bump after each change of each event, (n_times, n_events * n)."""
    n_times, out = row.shape[1], np.zeros((row.shape[1], len(row), bumps.shape[1]))
    changes = np.diff(row, axis=1, prepend=row[:, :1])
    for event, at in zip(*np.nonzero(changes)):
        n = min(len(bumps), n_times - at)
        out[at : at + n, event] += changes[event, at] * bumps[:n]
    return out.reshape(n_times, -1)


def _relevant(design, y, centers, n_events):
    """Amplitudes whose variances, smooth over centers, make the data most likely."""
    gram, match = design.T @ design, design.T @ y
    near = np.exp(-np.square((centers[:, None] - centers) / SETTINGS.bump_span) / 2)
    near /= near.sum(axis=1, keepdims=True)
    least = max(y @ y - len(y), 0.05 * len(y))
    variance = np.full(len(match), least / max(np.trace(gram), 1e-300))
    for _ in range(SETTINGS.bump_rounds):
        covariance = np.linalg.inv(gram + np.diag(1 / variance))
        weights = covariance @ match
        power = (np.square(weights) + np.diag(covariance)).reshape(n_events, -1)
        variance = (power @ near.T).ravel()
        variance = np.maximum(variance, 1e-9 * variance.max())
    return weights
