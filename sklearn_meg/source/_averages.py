"""Noise of averages without their trials: what the samples before the onset and 1/f say.

The noise covariance says how much noise there is and how it is spread over channels, not how it
goes over time: noise of the brain is slow, as responses are. Before the onset the spectrum of each
group of directions in space is seen, down to one cycle of that window. Below it the power is taken
to rise as 1/f, as it does in rest (He, 2014). Realizations with that spectrum take the place of
trials with random signs.
"""

import numpy as np

from ._evidence import Evidence, cosines, weight_of
from ._settings import SETTINGS


def gather_averages(data, onset, baseline, modes, rng):
    """Reduce averages to components of noise of the same size.

    data (n_conditions, n_channels, n_times): Averages, whitened, of unit noise.
    onset: First sample that may respond.
    baseline (slice or None): Samples before the onset, whose mean is taken off.
    modes (n_channels, n_modes): Orthonormal: what sources can do to the channels, the most first.
    rng (RandomState)
    Returns evidence (Evidence)
    """
    basis = cosines(data.shape[2], onset)
    n_before = 0 if baseline is None else baseline.stop - (baseline.start or 0)
    enough = n_before >= SETTINGS.fewest_baseline
    if enough:
        data = data - data[..., baseline].mean(axis=-1, keepdims=True)
    Y = np.einsum("wm,cwt->cmt", modes, data, optimize=True)
    spectrum = _spectrum(Y[..., baseline], basis) if enough else np.ones((Y.shape[1], len(basis.T)))
    spectrum *= _slower(basis.shape[1], n_before if enough else max(basis.shape[1] // 4, 1))
    shape = (len(Y), *spectrum.shape)
    draws = [np.sqrt(spectrum) * rng.standard_normal(shape) for _ in range(SETTINGS.n_draws)]
    if enough:  # the mean before the onset is noise, too, and the same in all samples
        offset = np.sqrt(spectrum[:, :1] / n_before)
        draws = [d + offset * rng.standard_normal((*shape[:2], 1)) * basis.sum(0) for d in draws]
    deviation = np.sqrt(np.mean([np.square(draw).mean(axis=(0, 1)) for draw in draws], axis=0))
    Y, draws = Y @ basis / deviation, [draw / deviation for draw in draws]
    weight = weight_of(Y, draws).ravel()
    return Evidence(
        Y=modes @ np.concatenate(list(Y), axis=1),
        noise=[modes @ np.concatenate(list(draw), axis=1) for draw in draws],
        whitener=np.eye(len(modes)),
        basis=basis,
        deviation=np.tile(deviation, (len(data), 1)),
        weight=weight,
    )


def _spectrum(before, basis):
    """Power of noise in each direction and component, from its autocorrelation.

    before (n_conditions, n_modes, n), basis (n_times, n_components)
    Returns spectrum (n_modes, n_components)
    """
    n, n_modes = before.shape[2], before.shape[1]
    before = before - before.mean(axis=2, keepdims=True)
    n_after = len(basis.T)
    lag = np.abs(np.arange(n_after)[:, None] - np.arange(n_after))
    turn = basis[-n_after:]
    out = np.empty((n_modes, n_after))
    for group in np.array_split(np.arange(n_modes), max(1, n_modes // SETTINGS.spectrum_group)):
        part, lags = before[:, group], np.zeros(n_after)
        for step in range(min(n // 2, n_after)):  # tapered: long lags have few samples
            product = part[..., : n - step] * part[..., step:]
            taper = 0.5 * (1 + np.cos(2 * np.pi * step / n))
            lags[step] = product.sum(axis=-1).mean() / (n - 1) * taper
        out[group] = np.einsum("tk,ts,sk->k", turn, lags[lag], turn, optimize=True)
    return np.maximum(out, SETTINGS.least_spectrum)


def _slower(n_components, n_before):
    """Factor by which slow components are stronger than the window before the onset shows."""
    cycles = np.maximum(np.arange(n_components), 0.5) / (2 * n_components)
    return np.maximum(1.0, 1.0 / (n_before * cycles))
