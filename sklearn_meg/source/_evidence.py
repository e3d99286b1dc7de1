"""Fields in components of time, in units of the noise that is there.

Noise of the brain is not white: in the slow components in which event-related fields live it has
much more power than a noise covariance over all samples says. Where there are single trials, the
noise is measured in each component, from what the trials differ by.
"""

from dataclasses import dataclass

import numpy as np
from scipy.fft import idct
from sklearn.covariance import ledoit_wolf_shrinkage

from ._settings import SETTINGS


@dataclass(frozen=True)
class Evidence:
    """Averages in components of time, white in space and time.

    Y (n_channels, n_components): Components of all conditions side by side; unit noise.
    noise (list of ndarray of shape (n_channels, n_components)): Realizations of the noise of Y.
    whitener (n_channels, n_channels): Further whitening of the whitened channels, to be applied to
        the lead field, too.
    basis (n_times, n_components / n_conditions): Orthonormal components of time, 0 before the
        first event.
    deviation (n_conditions, n_components / n_conditions): Deviation of the noise in each
        component: ``whitener @ data[c] @ basis / deviation[c]`` is what Y holds of condition c.
    weight (n_components,): Share of the power of each component that noise does not account for; 0
        where it is little.
    """

    Y: np.ndarray
    noise: list
    whitener: np.ndarray
    basis: np.ndarray
    deviation: np.ndarray
    weight: np.ndarray

    def looked_at(self, Y):
        """Components that hold a response, the more weighty the more they hold of it."""
        used = self.weight > 0
        return Y[:, used] * np.sqrt(self.weight[used])

    def chosen_noise(self):
        """Realizations of noise in the components that would be looked at in each, and where.

        Components are looked at for the power that they have, so that noise has more of it there.
        Empty where Y holds far more response than noise seems to.

        Returns realizations (list of (n_channels, n)) and used (list of (n_components,) bool)
        """
        n_conditions = len(self.deviation)
        draws = [_apart(draw, n_conditions) for draw in self.noise]
        weights = [weight_of(draw, draws).ravel() for draw in draws]
        most = max((weight.sum() for weight in weights), default=0.0)
        if self.weight.sum() > SETTINGS.surely_heard * most:
            return [], []
        used = [weight > 0 for weight in weights]
        chosen = [d[:, u] * np.sqrt(w[u]) for d, w, u in zip(self.noise, weights, used)]
        return chosen, used

    def main_course(self, Y):
        """Course (n_conditions, n_times) of what most of the components looked at, Y, have."""
        course, used = np.zeros((1, len(self.weight))), self.weight > 0
        main = np.linalg.svd(Y, full_matrices=False)[2][0]
        course[0, used] = main / np.sqrt(self.weight[used])
        return self.courses(course)[:, 0]

    def courses(self, amplitudes):
        """Time courses (n_conditions, n, n_times) of amplitudes (n, n_components)."""
        parts = np.split(amplitudes, len(self.deviation), axis=1)
        return np.array([(part * d) @ self.basis.T for part, d in zip(parts, self.deviation)])


def gather(data, onset, trials, labels, rng):
    """Reduce averages to components of unit noise, as their trials differ.

    data (n_conditions, n_channels, n_times): Averages, whitened over all samples, of unit noise.
    onset: First sample that may respond.
    trials (iterable of ndarray of shape (n_channels, n_times)): Single trials, whitened like
        `data` and each divided by what makes their weighted sum the average:
        ``data[c] == sum(trials of c)``.
    labels (n_trials,) int: Condition of each trial.
    rng (RandomState)
    Returns evidence (Evidence)
    """
    basis = cosines(data.shape[2], onset)
    parts = np.array([trial @ basis for trial in trials])
    return evidence_of(data @ basis, parts, labels, basis, rng)


def evidence_of(Y, parts, labels, basis, rng):
    """Averages and trials in components of time, to components of unit noise.

    Y (n_conditions, n_channels, n_components)
    parts (n_trials, n_channels, n_components): Trials, which sum to Y.
    labels, rng (as for :func:`gather`), basis (n_times, n_components)
    Returns evidence (Evidence)
    """
    # Trials that do not differ at all (simulated without noise): nothing to divide by.
    least = SETTINGS.fewest_noise * np.square(Y).mean()
    spectrum = np.maximum(_trial_spectrum(_residuals(parts, labels, Y), labels), least)
    parts = parts / np.sqrt(spectrum)[labels][:, None]
    Y = Y / np.sqrt(spectrum)[:, None]
    draws = _draws(Y.shape, parts, labels, rng)
    whitener = _whitener(_residuals(parts, labels, Y), labels)
    Y, draws = whitener @ Y, [whitener @ draw for draw in draws]
    beside = np.concatenate  # conditions side by side
    return Evidence(
        Y=beside(list(Y), axis=1),
        noise=[beside(list(draw), axis=1) for draw in draws],
        whitener=whitener,
        basis=basis,
        deviation=np.sqrt(spectrum),
        weight=weight_of(Y, draws).ravel(),
    )


def wiener(columns, Y, n_conditions):
    """Amplitudes of dipoles whose power changes slowly from component to component.

    Least squares, and each amplitude times the share of its power, over some neighbors, that
    noise does not account for.

    columns (n_channels, n_sources): Fields of the sources.
    Y (n_channels, n_components): Unit noise.
    n_conditions: Number of conditions, whose components stand side by side in Y.
    Returns amplitudes (n_sources, n_components)
    """
    inverse = np.linalg.pinv(columns)
    found = _apart(inverse @ Y, n_conditions)
    noise = np.square(inverse).sum(axis=1)[:, None]
    power = _average(np.square(found), SETTINGS.smoother)
    found *= np.maximum(power - noise, 0.0) / np.where(power > 0, power, 1.0)
    return np.concatenate(list(found), axis=1)


def n_components_held(amplitudes, n_conditions, share):
    """Number of components, slow ones first, that hold a share of the power of every source.

    amplitudes (n_sources, n_components): Conditions side by side.
    Returns n (int)
    """
    power = _apart(np.square(amplitudes), n_conditions).sum(axis=0)
    held = power.cumsum(axis=1) / np.maximum(power.sum(axis=1, keepdims=True), 1e-300)
    return 1 + int((held < share).sum(axis=1).max())


def _apart(Y, n_conditions):
    """Conditions (n_conditions, n, n_components) that stand side by side in Y."""
    return np.stack(np.split(Y, n_conditions, axis=1))


def cosines(n_times, onset):
    """Cosines from the onset on, slow ones first."""
    n = n_times - onset
    basis = np.zeros((n_times, n))
    basis[onset:] = idct(np.eye(n), axis=0, norm="ortho")
    return basis


def _residuals(parts, labels, Y):
    """Rest of each trial beyond its share of the average."""
    counts = np.bincount(labels)[labels][:, None, None]
    return parts - Y[labels] / counts


def _trial_spectrum(residuals, labels):
    """Noise power of the average in each component: (n_conditions, n_components)."""
    counts = np.bincount(labels)
    power = np.square(residuals).mean(axis=1)
    sums = np.array([power[labels == label].sum(axis=0) for label in range(len(counts))])
    return _smooth(sums * (counts / np.maximum(counts - 1, 1))[:, None])


def _smooth(spectrum):
    """Average over neighbors, more of them the faster the component."""
    n = spectrum.shape[-1]
    ranges = [slice(max(0, k - k // 6), min(n, k + k // 6) + 1) for k in range(n)]
    return np.stack([spectrum[..., part].mean(axis=-1) for part in ranges], axis=-1)


def _draws(shape, parts, labels, rng):
    """Realizations of noise: sums of trials with random weights that cancel what all have."""
    draws = []
    for _ in range(SETTINGS.n_draws):
        draw = np.zeros(shape)
        for label in range(shape[0]):
            rows = np.flatnonzero(labels == label)
            weights = rng.standard_normal(len(rows))
            weights -= weights.mean()
            weights *= np.sqrt(len(rows)) / np.linalg.norm(weights)
            draw[label] = np.tensordot(weights, parts[rows], axes=1)
        draws.append(draw)
    return draws


def weight_of(Y, draws):
    """Share of response in the power of each component, (n_conditions, n)."""
    power = _average(np.square(Y).sum(axis=1), SETTINGS.span)
    noise = _average(
        np.mean([np.square(draw).sum(axis=1) for draw in draws], axis=0), SETTINGS.span
    )
    share = np.maximum(power - noise, 0.0) / np.where(power > 0, power, 1.0)
    return np.where(share >= SETTINGS.least_weight, share, 0.0)


def _average(values, span):
    """Means over neighbors along the last axis."""
    n = values.shape[-1]
    ranges = [slice(max(0, k - span), k + span + 1) for k in range(n)]
    return np.stack([values[..., part].mean(axis=-1) for part in ranges], axis=-1)


def _whitener(residuals, labels):
    """Whitener of what trials differ by, (n_trials, n_channels, n_components), shrunk."""
    counts = np.bincount(labels)[labels][:, None, None]
    samples = residuals * np.sqrt(counts * counts / np.maximum(counts - 1, 1))
    samples = samples.transpose(0, 2, 1).reshape(-1, residuals.shape[1])
    shrinkage = ledoit_wolf_shrinkage(samples, assume_centered=True)
    cov = (1 - shrinkage) * (samples.T @ samples) / len(samples)
    cov[np.diag_indices_from(cov)] += shrinkage * np.square(samples).mean()
    values, vectors = np.linalg.eigh(cov)
    return (vectors / np.sqrt(np.maximum(values, SETTINGS.fewest_value))).T
