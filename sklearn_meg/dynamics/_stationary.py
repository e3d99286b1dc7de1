"""Whether there are states at all, or noise that depends on its past and is alike at all times.

Slow noise visits each side of its mean for a while. Two states of it come back in halves of the
recordings, and held-out recordings are likelier with more of them. So they are compared with
surrogates, whose spectra and dependencies between regions are those of the recordings, and which
have no states: all regions get the same random phases (Prichard & Theiler 1994, Physical Review
Letters 73). States that explain these nearly as well are none.
"""

from __future__ import annotations

import numpy as np

from ._em import plug_in_density
from ._prepare import some_recordings
from ._recordings import Recordings
from ._settings import DOUBTS
from ._tails import spread_of


def stationary(model, prepared, samples):
    """What to say of states that explain noise without states nearly as well; a list of str.

    model (StateModel): With its states; gets ``_noise_share``, from `stationary_share`.
    prepared (Prepared): In the units of the model.
    samples (n_recordings, n_states)
    """
    model._noise_share = 0.0
    if samples.sum() < DOUBTS.least_samples or samples.shape[1] == 1 or prepared.order:
        return []
    share = stationary_share(prepared, model._parameters(), model.covariances_, model.occupancy_)
    model._noise_share = share
    if share <= DOUBTS.stationary:
        return []
    return [f"they explain noise of the same spectra, which has no states, {share:.0%} as well"]


def stationary_share(prepared, parameters, covariances, occupancy):
    """Gain of the states over one state in surrogates, as a share of that in the recordings.

    parameters (tuple): The states, as an E-step takes them.
    covariances (n_states, n_regions, n_regions): As the model has them.
    Returns share: 0 where states explain little.
    """
    mean, tails = parameters[0][0], parameters[3]
    own = covariances / (prepared.spread[:, None] * prepared.spread)
    covariance = np.tensordot(occupancy, own, 1) + mean.T @ (occupancy[:, None] * mean)
    density = plug_in_density(covariance[None, None] / spread_of(tails[0]))
    center, chain = np.zeros((1, 1, len(covariance))), (np.zeros((1, 1)), np.zeros((1, 1, 1)))
    one = center, *density, tails, *chain
    pieces = some_recordings(prepared.recordings)[1]
    batch, rng = prepared.batch(pieces), np.random.RandomState(0)
    own = _gain(batch, parameters, one)
    if own < DOUBTS.least_gain * batch.n_samples:
        return 0.0
    gains = [
        _gain(_surrogate(prepared, batch, rng), parameters, one) for _ in range(DOUBTS.n_surrogates)
    ]
    return float(np.mean(gains) / own)


def _gain(batch, parameters, one):
    """Log-likelihood of the states beyond that of one state."""
    return float(batch.decode(*parameters)[3].sum() - batch.decode(*one)[3].sum())


def _surrogate(prepared, batch, rng):
    """A batch of stationary Gaussian recordings of the same spectra; gaps stay."""
    parts = [_rephased(x, rng) for x in np.split(batch.X, np.cumsum(batch.lengths)[:-1])]
    if batch.missing is not None:
        for x, gone in zip(parts, np.split(batch.missing, np.cumsum(batch.lengths)[:-1])):
            x[gone] = np.nan
    units = {"center": 0.0, "spread": 1.0}
    return type(batch)(Recordings(parts, "list"), **units, order=prepared.order)


def _rephased(x, rng):
    """Samples (n_times, n_regions) of the same mean, whose frequencies have random phases."""
    n = len(x)
    spectrum = np.fft.rfft(x, axis=0)
    turn = np.exp(2j * np.pi * rng.uniform(size=len(spectrum)))
    turn[0] = 1
    if n % 2 == 0:
        turn[-1] = 1
    return np.fft.irfft(spectrum * turn[:, None], n=n, axis=0)
