"""The best that a simulated world allows, computed from what generated it."""

import numpy as np

from sklearn_meg.datasets import _words as words


def ceiling(data, trials):
    """Best prediction of some trials: the true responses plus how alpha and noise go on.

    Alpha and sensor noise are autoregressions, so the best prediction from the initial window is
    that of a Kalman filter with the constants of the simulator. The true responses depend on how
    strong alpha is at every word, which no model can know: a little less is attainable (in worlds
    N and S .98 and .99 of it, with alpha of mean strength, seeds 21 and 22).

    data (Bunch from :func:`~sklearn_meg.datasets.make_words`), trials (ndarray of int)
    Returns y (n_chosen, n_channels, n_times)
    """
    settings, n_initial = words.WORLDS[data.world], data.rows["n_initial"]
    pattern = data.mixing[data.subjects[trials], :, 3]
    pattern = pattern * settings["alpha_gain"] * words.ALPHA_SCALE
    size = np.linalg.norm(pattern, axis=1)
    unit = pattern / size[:, np.newaxis]
    ongoing = (data.meg - data.evoked)[trials]
    seen = np.einsum("nc,nct->nt", unit, ongoing)  # noise is alike in every direction
    beside = ongoing - unit[:, :, np.newaxis] * seen[:, np.newaxis]
    keep = 0.9 ** (40.0 / data.sfreq)
    state, spread = np.zeros((len(trials), 3)), np.diag([0.6, 0.6, words.NOISE_POWER])
    spread = np.tile(spread, (len(trials), 1, 1))
    out = data.evoked[trials].copy()
    out[:, :, :n_initial] = data.meg[trials][:, :, :n_initial]
    steps, drive = _steps(data, trials, settings, keep)
    for time in range(out.shape[2]):
        if time:
            step = steps[time - 1]
            state = np.einsum("nij,nj->ni", step, state)
            spread = step @ spread @ step.swapaxes(1, 2) + drive
        if time < n_initial:
            state, spread = _observe(state, spread, size, seen[:, time])
            continue
        alpha, noise = size * state[:, 0], state[:, 2]
        fading = beside[:, :, n_initial - 1] * keep ** (time - n_initial + 1)
        out[:, :, time] += unit * (alpha + noise)[:, np.newaxis] + fading
    return out


def _steps(data, trials, settings, keep):
    """From each state (alpha as two numbers, noise) to the next, and the variance added."""
    rate = 1 / settings["alpha_tau"] + settings["damping"] * data.features[trials, 0]
    decay, turn = np.exp(-rate / data.sfreq).T, 2 * np.pi * words.ALPHA_HZ / data.sfreq
    steps = np.zeros((*decay.shape, 3, 3))
    steps[..., 0, 0] = steps[..., 1, 1] = decay * np.cos(turn)
    steps[..., 1, 0] = decay * np.sin(turn)
    steps[..., 0, 1] = -steps[..., 1, 0]
    steps[..., 2, 2] = keep
    added = -np.expm1(-2 / (settings["alpha_tau"] * data.sfreq))
    return steps, np.diag([added, added, words.NOISE_POWER * (1 - keep**2)])


def _observe(state, spread, size, seen):
    """Update by one observation, ``size * alpha + noise``."""
    look = np.stack([size, np.zeros_like(size), np.ones_like(size)], axis=1)
    cross = np.einsum("nij,nj->ni", spread, look)
    gain = cross / (np.einsum("ni,ni->n", look, cross) + 1e-12)[:, np.newaxis]
    error = seen - np.einsum("ni,ni->n", look, state)
    return state + gain * error[:, np.newaxis], spread - gain[:, :, np.newaxis] * cross[:, None]
