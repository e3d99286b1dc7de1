"""Two events 200 to 400 ms apart, whose responses overlap: what each makes alone.

No trial has one event only, so that the response to one is a prediction. Ours is asked for it as
any user would, with the events of a trial that never was. The peers have the dipoles that ours
found, the strongest start there is: `deconvolution` is least squares on lags of both events (an
rERP in source space; Smith and Kutas, 2015) with the ridge that predicts left out intervals best,
`averaging` the average around each event.
"""

from time import process_time

import mne
import numpy as np

from sklearn_meg.datasets import simulated_forward, simulated_info
from sklearn_meg.source import RNNSourceSolver
from sklearn_meg.source.metrics import nmse

from ..report import check, row, values
from .worlds import _choose, _way, _whitener, brain_noise, pool

SFREQ, ONSET, N_TIMES = 150.0, 15, 135  # Hz, samples: -.1 to .8 s
INTERVALS = (30, 35, 40, 45, 50, 55, 60)  # samples: 200 to 400 ms
N_TRIALS = 15  # an interval
LAGS = 75  # samples: half a second
RIDGES = tuple(10.0**k for k in range(-4, 4))
SNR_DB = 5.0
FIRST_SEED = 12000


def make_overlap(seed):
    """Simulate trials of two events.

    Returns X (n_trials, 2, n_times): Steps at the events.
    and y (n_trials, n_channels, n_times)
    and alone (2, n_channels, n_times): Noise-free fields of each event alone, at the onset.
    and noise_cov (mne.Covariance), info (mne.Info)
    """
    rng = np.random.RandomState(FIRST_SEED + seed)
    info = simulated_info(SFREQ)
    chosen = _choose(rng, pool()["places"], 3, 0.04)
    gain = pool()["exact"]
    fields = np.array([gain[:, index] @ _way(rng, gain[:, index]) for index in chosen]).T
    mixing, noise = brain_noise(rng, info, n_times=N_TIMES)
    white = np.where(np.array(info.get_channel_types()) == "mag", 3.5e-14, 3.5e-12)
    whitener = _whitener(mixing @ mixing.T + np.diag(white**2)) * np.sqrt(N_TRIALS)
    fields /= np.linalg.norm(whitener @ fields, axis=0)
    kernels = np.array([_kernels(rng, use) for use in ((1.0, 0.7, 0.0), (0.0, 0.7, 1.0))])
    kernels *= 10 ** (SNR_DB / 20) / np.sqrt(np.square(kernels).sum(axis=1).mean())
    X, responses = [], []
    for interval in INTERVALS:
        events = steps(interval)
        shifted = [_shift(kernel, at) for kernel, at in zip(kernels, (0, interval))]
        X += [events] * N_TRIALS
        responses += [fields @ sum(shifted)] * N_TRIALS
    y = np.array([mixing @ noise(rng) for _ in X])
    y += white[:, None] * rng.standard_normal(y.shape)
    before = mne.EpochsArray(y[..., :ONSET], info, tmin=-ONSET / SFREQ, verbose="error")
    cov = mne.compute_covariance(before, method="ledoit_wolf", rank="full", verbose="error")
    alone = np.array([fields @ _shift(kernel, 0) for kernel in kernels])
    cov = cov.pick_channels(list(info["ch_names"]))
    return np.array(X), y + np.array(responses), alone, cov, info


def steps(interval=None, only=None):
    """Steps (2, n_times) of both events, or of one alone at the onset."""
    events = np.zeros((2, N_TIMES))
    for event, at in ((0, 0), (1, interval)) if only is None else ((only, 0),):
        events[event, ONSET + at :] = 1.0
    return events


def _kernels(rng, use):
    """Damped oscillations of three sources, (3, LAGS), over by half a second."""
    lags = np.arange(LAGS) / SFREQ
    latency, width, rate = (
        rng.uniform(0.08, 0.22, 3),
        rng.uniform(0.03, 0.06, 3),
        rng.uniform(3, 7, 3),
    )
    after = lags - latency[:, None]
    kernel = np.exp(-(after**2) / 2 / width[:, None] ** 2)
    kernel *= np.cos(2 * np.pi * rate[:, None] * after) * (1 - np.exp(-((lags / 0.02) ** 2)))
    return np.array(use)[:, None] * kernel


def _shift(kernel, at):
    out = np.zeros((len(kernel), N_TIMES))
    stop = min(N_TIMES, ONSET + at + LAGS)
    out[:, ONSET + at : stop] = kernel[:, : stop - ONSET - at]
    return out


def overlap_rows(seed):
    """NMSE of the fields of each event alone, by ours and by peers, and the time of the fit."""
    X, y, alone, noise_cov, info = make_overlap(seed)
    forward = simulated_forward(10.0)
    start = process_time()
    solver = RNNSourceSolver(forward=forward, noise_cov=noise_cov, info=info, random_state=seed)
    solver.fit(X, y)
    rows = [row("overlap", "default", "fit_s", seed, process_time() - start)]
    found = {"default": solver.predict(np.array([steps(only=event) for event in (0, 1)]))}
    courses, lead = found_courses(solver, y, noise_cov)
    found["deconvolution"] = lead @ deconvolved(X, courses)
    found["averaging"] = lead @ averaged(X, courses)
    scale = np.sqrt(np.diag(noise_cov.data))[:, None]
    rows += [
        row(
            "overlap", name, "nmse", seed, nmse(np.hstack(alone / scale), np.hstack(fields / scale))
        )
        for name, fields in found.items()
    ]
    return rows


def found_courses(solver, y, noise_cov):
    """Courses (n_trials, n_dipoles, n_times) of the dipoles that ours found, and their fields."""
    lead = solver._lead
    whitener = _whitener(noise_cov.data)
    inverse = np.linalg.pinv(whitener @ lead) @ whitener
    y = y - y[..., :ONSET].mean(axis=2, keepdims=True)
    return inverse @ y, lead


def deconvolved(X, courses):
    """Courses (2, n_dipoles, n_times) of each event alone, by ridge regression on lags."""
    kinds = np.unique(X, axis=0)
    designs = np.array([_design(events) for events in kinds])
    means = np.array([courses[(X == events).all(axis=(1, 2))].mean(axis=0) for events in kinds])
    means = means.transpose(0, 2, 1)
    losses = []
    for ridge in RIDGES:
        loss = 0.0
        for left in range(len(kinds)):
            kept = np.arange(len(kinds)) != left
            weights = _ridge(designs[kept], means[kept], ridge)
            loss += np.square(means[left] - designs[left] @ weights).sum(axis=0)
        losses.append(loss)
    best = np.array(RIDGES)[np.argmin(losses, axis=0)]  # of each dipole
    out = np.zeros((2, means.shape[2], N_TIMES))
    for dipole, ridge in enumerate(best):
        weights = _ridge(designs, means[:, :, [dipole]], ridge)[:, 0].reshape(2, LAGS)
        out[:, dipole, ONSET : ONSET + LAGS] = weights
    return out


def _design(events):
    """Lags of the onsets, (n_times, 2 * LAGS)."""
    design = np.zeros((N_TIMES, 2, LAGS))
    for event, course in enumerate(events):
        at = int(np.flatnonzero(course)[0])
        for lag in range(min(LAGS, N_TIMES - at)):
            design[at + lag, event, lag] = 1.0
    return design.reshape(N_TIMES, -1)


def _ridge(designs, targets, ridge):
    design, target = np.concatenate(designs), np.concatenate(targets)
    return np.linalg.solve(design.T @ design + ridge * np.eye(design.shape[1]), design.T @ target)


def averaged(X, courses):
    """Courses (2, n_dipoles, n_times) around each event, whatever else happens there."""
    out = np.zeros((2, courses.shape[1], N_TIMES))
    for event in (0, 1):
        at = [int(np.flatnonzero(events[event])[0]) for events in X]
        length = min(LAGS, N_TIMES - max(at))
        parts = [course[:, start : start + length] for course, start in zip(courses, at)]
        out[event, :, ONSET : ONSET + length] = np.mean(parts, axis=0)
    return out


def checks(rows):
    """Ours against linear deconvolution of the same dipoles."""
    ours, linear = (values(rows, "overlap", m, "nmse") for m in ("default", "deconvolution"))
    if not len(ours):
        return []
    ratio = float(ours.mean() / linear.mean())
    return [check("overlap: NMSE, default / deconvolution", ratio, "<= 0.7")]
