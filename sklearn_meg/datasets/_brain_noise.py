"""Noise of sensors and of a brain that does not rest, in single epochs."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .._repr import short_repr

N_BACKGROUND = 300  # dipoles of the resting brain
ALPHA_HZ, ALPHA_WIDTH, ALPHA_POWER = 10.0, 1.0, 6.0
BRAIN_LEVEL = 1.5e-13  # T, median standard deviation at the magnetometers in single epochs
SENSOR_LEVEL = {"mag": 3.5e-14, "grad": 3.5e-12, "eeg": 1.0e-6}  # T, T/m, V


@dataclass(frozen=True)
class BrainNoise:
    """Noise of single epochs: a mixing (n_channels, n_series), white noise (n_channels,), both."""

    mixing: np.ndarray
    alpha: np.ndarray  # (n_series,), power of the alpha rhythm in each
    white: np.ndarray
    cov: np.ndarray

    __repr__ = short_repr

    @classmethod
    def draw(cls, rng, gain, info, cov=None):
        """Noise of random dipoles and sensors, or with a given covariance."""
        n_channels = len(gain)
        kinds = np.array(info.get_channel_types())
        if cov is not None:
            values, vectors = np.linalg.eigh(cov)
            mixing = vectors * np.sqrt(np.maximum(values, 0.0))
            return cls(mixing, np.full(n_channels, ALPHA_POWER / 3), np.zeros(n_channels), cov)
        gain = gain.reshape(n_channels, -1, 3)
        where = rng.choice(gain.shape[1], N_BACKGROUND, replace=False)
        units = rng.standard_normal((N_BACKGROUND, 3))
        mixing = np.einsum("cnd,nd->cn", gain[:, where], units)
        level = np.median(np.sqrt(np.square(mixing[kinds == "mag"]).sum(axis=1)))
        mixing *= BRAIN_LEVEL / level
        white = np.array([SENSOR_LEVEL[kind] for kind in kinds])
        alpha = ALPHA_POWER * rng.random(N_BACKGROUND) ** 4  # a few strong ones
        return cls(mixing, alpha, white, mixing @ mixing.T + np.diag(white**2))

    def whiten(self, fields, n_epochs):
        """Whiten (n_channels, n) by the covariance of the average of `n_epochs`.

        Directions that have no noise are left out; the mean over channels counts them as 0.
        """
        return np.sqrt(n_epochs) * (self._whitener @ fields)

    @cached_property
    def _whitener(self):
        scale = np.sqrt(np.diag(self.cov))
        values, vectors = np.linalg.eigh(self.cov / np.outer(scale, scale))
        kept = values > 1e-10 * values.max()
        return (vectors[:, kept] / np.sqrt(values[kept])).T / scale

    def sample(self, rng, n_times, sfreq):
        """Draw the noise of one epoch: (n_channels, n_times)."""
        series = colored_series(rng, self.alpha, n_times, sfreq)
        return self.mixing @ series + self.white[:, None] * rng.standard_normal(
            (len(self.white), n_times)
        )


def colored_series(rng, alpha, n_times, sfreq):
    """Draw stationary series of variance 1 with a 1/f spectrum and a bump at 10 Hz.

    rng (RandomState)
    alpha (n_series,): Height of the bump, relative to 1/f there.
    Returns series (n_series, n_times): Cut from series four times as long, so that the ends do not
        meet.
    """
    long = 4 * n_times
    frequency = np.fft.rfftfreq(long, 1.0 / sfreq)
    base = 1.0 / np.maximum(frequency, 1.0)
    bump = np.exp(-0.5 * ((frequency - ALPHA_HZ) / ALPHA_WIDTH) ** 2) / ALPHA_HZ
    power = base + alpha[:, None] * bump
    power[:, 0] = 0.0
    # Each bin but the last holds a sine and a cosine; the variance of the series is their sum.
    weight = np.where(np.arange(len(frequency)) == len(frequency) - 1, 1.0, 2.0)
    power /= (power * weight).sum(axis=1, keepdims=True)
    phase = rng.standard_normal((2, *power.shape))
    spectrum = np.sqrt(power / 2) * (phase[0] + 1j * phase[1])
    spectrum[:, -1] = np.sqrt(power[:, -1]) * phase[0, :, -1]
    start = rng.randint(long - n_times)
    return np.fft.irfft(spectrum * long, n=long)[:, start : start + n_times]


def cov_array(cov, info):
    """The covariance of the channels of `info`, checked."""
    if hasattr(cov, "ch_names"):
        missing = [name for name in info["ch_names"] if name not in cov.ch_names]
        if missing:
            raise ValueError(f"noise_cov lacks {len(missing)} channels, {missing[0]!r} first.")
        order = [cov.ch_names.index(name) for name in info["ch_names"]]
        data = np.diag(cov.data) if cov.data.ndim == 1 else cov.data
        return data[np.ix_(order, order)]
    cov = np.asarray(cov, dtype=float)
    n = len(info["ch_names"])
    if cov.shape != (n, n) or not np.isfinite(cov).all() or not (np.diag(cov) > 0).all():
        raise ValueError(
            f"noise_cov must be a finite covariance of shape ({n}, {n}) with a diagonal above 0. "
            f"Got shape {cov.shape}."
        )
    return (cov + cov.T) / 2
