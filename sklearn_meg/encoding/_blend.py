"""How far a recursion and a TRF are blended: apart in the mean response and in the rest."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter1d

from ._blocks import not_zero


@dataclass(frozen=True)
class Settings:
    """Chosen on eleven worlds (L, N, S; 2 to 30 subjects, 6 to 200 trials each) and one EEG.

    One blend for both, or one for each without a prior: R across trials .091, .094 (an EEG of one
    subject, 60 trials); .319, .324 (L, 10 subjects, 10 trials); .149, .152 (N, 4, 48); .210, .195
    (S, 13, 10). Where the past tells nothing (5 trials each) the TRF explains .41, both blends
    .406 and .381: with few trials the models of folds differ, which looks like deviations.
    """

    #: Samples over which weights are alike.
    window: int = 11
    #: Trials of a subject with which the two blends are half as far apart as measured.
    kappa: float = 20.0


SETTINGS = Settings()


def two_blends(products, sums):
    """Weights of the recursion in what differs between trials, and in the mean of a subject.

    products (2, n_channels, n_times): Over all trials: left times change, and change squared.
    sums (n_subjects, 3, n_channels, n_times): Over the trials of each subject: left, change, and
        how many trials count.
    Returns deviations, means (n_channels, n_times)
    and change (n_subjects, n_channels, n_times): Mean over trials.
    """
    left, change, count = sums.swapaxes(0, 1)
    mean = change / not_zero(count)
    of_means = np.array([(left * mean).sum(axis=0), (change * mean).sum(axis=0)])
    between, both = products - of_means, blend_of(products)
    told = between[1] > 1e-9 * products[1]  # some subject has two trials
    n_trials = count.max(axis=(1, 2)).mean()
    share = n_trials / (n_trials + SETTINGS.kappa)
    apart = blend_of(np.where(told, between, products)), blend_of(of_means)
    return *(both + share * (blend - both) for blend in apart), mean


def blend_of(products):
    """Weight of the recursion at each channel and sample, from 0 to 1.

    The weight with the least error, ``sum(left * change) / sum(change**2)``, over a window of
    some samples, halfway between that of the channel and that of all.
    """
    cross, square = uniform_filter1d(products, SETTINGS.window, axis=2, mode="constant")
    own = cross / np.where(square > 0, square, 1.0)
    scale = np.maximum(square.mean(axis=1, keepdims=True), np.finfo(float).tiny)
    every = (cross / scale).mean(axis=0) / np.maximum((square / scale).mean(axis=0), 1e-12)
    return np.clip((own + every) / 2, 0.0, 1.0)
