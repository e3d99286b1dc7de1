"""Fields in the few components that hold them, in units of the noise that is left there.

Noise of the brain is not white: in the slow components in which event-related fields live it has
another spatial pattern, and much more power, than a noise covariance over all samples says. Where
there are single trials, both are measured in those very components, from what the trials differ by.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.fft import idct
from sklearn.covariance import ledoit_wolf_shrinkage

N_DRAWS = 20  # realisations of noise
MIN_COMPONENTS = 8
FEWEST_BASELINE = 8  # samples
FEWEST_OUTSIDE = 5  # channels, after rotation, that the lead field does not reach
FEWEST_NOISE = 1e-8  # power of noise, of that of the fields
FEWEST_VALUE = 1e-6  # eigenvalue of a covariance whose mean is 1
SAMPLES_A_CHANNEL = 16  # that a spatial covariance is estimated from, where there are as many


@dataclass(frozen=True)
class Evidence:
    """Averages in components of time, white in space and time.

    Attributes
    ----------
    Y : ndarray of shape (n_channels, n_components)
        Components of all conditions side by side; unit noise.
    noise : list of ndarray of shape (n_channels, n_components)
        Realisations of the noise of Y.
    whitener : ndarray of shape (n_channels, n_channels)
        Further whitening of the whitened channels, to be applied to the lead field, too.
    basis : ndarray of shape (n_times, n_kept)
        Orthonormal components of time, 0 before the first event.
    deviation : ndarray of shape (n_conditions, n_kept)
        Of the noise in each component: ``whitener @ data[c] @ basis / deviation[c]`` is what Y
        holds of condition c.
    """

    Y: np.ndarray
    noise: list
    whitener: np.ndarray
    basis: np.ndarray
    deviation: np.ndarray

    def courses(self, amplitudes):
        """Time courses (n_conditions, n, n_times) of amplitudes (n, n_components)."""
        parts = np.split(amplitudes, len(self.deviation), axis=1)
        return np.array([(part * d) @ self.basis.T for part, d in zip(parts, self.deviation)])


def gather(data, onset, trials=None, labels=None, baseline=None, rng=None):
    """Reduce averages to components of unit noise.

    Parameters
    ----------
    data : ndarray of shape (n_conditions, n_channels, n_times)
        Averages, whitened over all samples, of unit noise.
    onset : int
        First sample that may respond.
    trials : iterable of ndarray of shape (n_channels, n_times) or None
        Single trials, whitened like `data` and each divided by what makes their weighted sum the
        average: ``data[c] == sum(trials of c)``.
    labels : ndarray of int of shape (n_trials,)
        Condition of each trial.
    baseline : slice or None
        Samples before the onset: where there are no trials the spectrum of noise is from there.
    rng : RandomState

    Returns
    -------
    evidence : Evidence
    """
    basis = _cosines(data.shape[2], onset)
    Y = data @ basis
    if trials is None:
        spectrum = np.repeat(_baseline_spectrum(data, baseline, basis)[None], len(data), axis=0)
        parts = None
    else:
        parts = np.array([trial @ basis for trial in trials])
        residuals = _residuals(parts, labels, Y)
        # Trials that do not differ at all (simulated without noise): nothing to divide by.
        least = FEWEST_NOISE * np.square(Y).mean()
        spectrum = np.maximum(_trial_spectrum(residuals, labels), least)
        parts /= np.sqrt(spectrum)[labels][:, None]
    Y = Y / np.sqrt(spectrum)[:, None]
    draws = _draws(Y.shape, parts, labels, rng)
    if parts is None:  # the fastest components hold noise alone
        floor = np.sqrt(np.square(Y[..., -(-2 * Y.shape[2] // 3) :]).mean())
        draws = [draw * max(1.0, floor) for draw in draws]
    n_kept = _n_components(Y, draws)
    whitener = np.eye(data.shape[1])
    if parts is not None:
        enough = -(-SAMPLES_A_CHANNEL * data.shape[1] // len(parts))
        residuals = _residuals(parts, labels, Y)[..., : max(n_kept, enough)]
        whitener = _whitener(residuals, labels)
    beside = np.concatenate  # conditions side by side
    return Evidence(
        Y=whitener @ beside(list(Y[..., :n_kept]), axis=1),
        noise=[whitener @ beside(list(draw[..., :n_kept]), axis=1) for draw in draws],
        whitener=whitener,
        basis=basis[:, :n_kept],
        deviation=np.sqrt(spectrum[:, :n_kept]),
    )


def calibrate(evidence, modes):
    """Raise the noise of components to what channels hold that no source can reach.

    Averages alone do not tell noise from response; but slow drifts and artefacts of the sensors
    also show where the lead field cannot make fields.

    Parameters
    ----------
    evidence : Evidence
    modes : ndarray of shape (n_channels, n_modes)
        Orthonormal: what sources can do to the channels.

    Returns
    -------
    evidence : Evidence
    """
    n_outside = len(modes) - modes.shape[1]
    if n_outside < FEWEST_OUTSIDE:
        return evidence
    power = np.square(evidence.Y).sum(axis=0) - np.square(modes.T @ evidence.Y).sum(axis=0)
    power = _smooth(np.array(np.split(power / n_outside, len(evidence.deviation))))
    excess = np.sqrt(np.maximum(power, 1.0))
    return replace(evidence, Y=evidence.Y / excess.ravel(), deviation=evidence.deviation * excess)


def baseline_noise(data, baseline, evidence):
    """Noise of averages before the onset, in components like those of the evidence.

    Parameters
    ----------
    data : ndarray of shape (n_conditions, n_channels, n_times)
    baseline : slice or None
    evidence : Evidence

    Returns
    -------
    noise : ndarray of shape (n_channels, n) or None
        None without enough samples.
    """
    n = 0 if baseline is None else baseline.stop - (baseline.start or 0)
    if n < FEWEST_BASELINE:
        return None
    samples = data[..., baseline] - data[..., baseline].mean(axis=-1, keepdims=True)
    n_after = int((evidence.basis != 0).any(axis=1).sum())
    n_kept = max(2, min(n - 1, round(evidence.basis.shape[1] * n / n_after)))
    parts = samples @ idct(np.eye(n), axis=0, norm="ortho")[:, 1 : n_kept + 1]
    alike = np.minimum(np.arange(1, n_kept + 1) * n_after // n, evidence.basis.shape[1] - 1)
    parts = evidence.whitener @ (parts / evidence.deviation[:, None, alike])
    return np.concatenate(list(parts), axis=1)


def _cosines(n_times, onset):
    """Cosines from the onset on, slow ones first."""
    n = n_times - onset
    basis = np.zeros((n_times, n))
    basis[onset:] = idct(np.eye(n), axis=0, norm="ortho")
    return basis


def _residuals(parts, labels, Y):
    """What each trial has beyond its share of the average."""
    counts = np.bincount(labels)[labels][:, None, None]
    return parts - Y[labels] / counts


def _trial_spectrum(residuals, labels):
    """Noise power of the average in each component: (n_conditions, n_components)."""
    counts = np.bincount(labels)
    power = np.square(residuals).mean(axis=1)
    sums = np.array([power[labels == label].sum(axis=0) for label in range(len(counts))])
    return _smooth(sums * (counts / np.maximum(counts - 1, 1))[:, None])


def _baseline_spectrum(data, baseline, basis):
    """The same from the autocorrelation of the samples before the onset."""
    n_times = data.shape[2]
    n = 0 if baseline is None else baseline.stop - (baseline.start or 0)
    if n < FEWEST_BASELINE:
        return np.ones(basis.shape[1])
    samples = data[..., baseline]
    samples = samples - samples.mean(axis=-1, keepdims=True)
    lags = np.zeros(n_times)
    for lag in range(n // 2):  # tapered: long lags have few samples
        product = samples[..., : n - lag] * samples[..., lag:]
        lags[lag] = product.sum(axis=-1).mean() / n * 0.5 * (1 + np.cos(2 * np.pi * lag / n))
    if lags[0] <= 0:
        return np.ones(basis.shape[1])
    lags /= lags[0]
    index = np.abs(np.arange(n_times)[:, None] - np.arange(n_times))
    power = np.einsum("tk,ts,sk->k", basis, lags[index], basis, optimize=True)
    return np.maximum(power, 0.05)


def _smooth(spectrum):
    """Average over neighbours, more of them the faster the component."""
    n = spectrum.shape[-1]
    ranges = [slice(max(0, k - k // 6), min(n, k + k // 6) + 1) for k in range(n)]
    return np.stack([spectrum[..., part].mean(axis=-1) for part in ranges], axis=-1)


def _draws(shape, parts, labels, rng):
    """Realisations of noise: trials with random signs, or white noise."""
    if parts is None:
        return [rng.standard_normal(shape) for _ in range(N_DRAWS)]
    draws = []
    for _ in range(N_DRAWS):
        draw = np.zeros(shape)
        for label in range(shape[0]):
            rows = np.flatnonzero(labels == label)
            signs = np.where(np.arange(len(rows)) % 2, 1.0, -1.0)  # the average cancels
            draw[label] = np.tensordot(rng.permutation(signs), parts[rows], axes=1)
        draws.append(draw)
    return draws


def _n_components(Y, draws):
    """How many components, slow ones first, it takes to leave no more power than noise has."""
    tail = _tail(Y)
    noise = np.array([_tail(draw) for draw in draws])
    noise = 2 * noise.max(axis=0) - noise.mean(axis=0)
    n_kept = int(np.argmax(np.append(tail <= noise, True)))
    return min(max(MIN_COMPONENTS, n_kept), Y.shape[2])


def _tail(Y):
    """Power from each component on."""
    power = np.square(Y).sum(axis=(0, 1))
    return power[::-1].cumsum()[::-1]


def _whitener(residuals, labels):
    """Whitener of what trials differ by, (n_trials, n_channels, n_components), shrunk."""
    counts = np.bincount(labels)[labels][:, None, None]
    samples = residuals * np.sqrt(counts * counts / np.maximum(counts - 1, 1))
    samples = samples.transpose(0, 2, 1).reshape(-1, residuals.shape[1])
    shrinkage = ledoit_wolf_shrinkage(samples, assume_centered=True)
    cov = (1 - shrinkage) * (samples.T @ samples) / len(samples)
    cov[np.diag_indices_from(cov)] += shrinkage * np.square(samples).mean()
    values, vectors = np.linalg.eigh(cov)
    return (vectors / np.sqrt(np.maximum(values, FEWEST_VALUE))).T
