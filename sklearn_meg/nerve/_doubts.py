"""What in signals, labels and sessions breaks an assumption, and is said."""

import numpy as np
from scipy.stats import binomtest

from .._checks.assumptions import warn_assumption
from .._checks.copies import doubt_copies, trial_keys
from .._checks.unusual import p_values
from ._settings import SETTINGS


def doubt_units(signal, thresholds):
    """Warn if signals are in another unit than in fit: no drift makes them 300 times as large.

    signal (n_trials, n_channels, n_times), thresholds (2, n_channels)
    Returns compared (bool): False where most channels have no signal.
    """
    ratio = float(np.median(signal.std(axis=(0, 2)) / (2 * thresholds[1])))
    if ratio > SETTINGS.other_unit or 0 < ratio < 1 / SETTINGS.other_unit:
        warn_assumption("signal-units", f"Signals are {ratio:.2g} times as large as in fit.")
    return ratio > 0


def doubt_amplifier(signal):
    """Warn of channels that are often at the largest value they have."""
    if signal.shape[0] * signal.shape[2] < SETTINGS.least_samples:
        return
    size = np.abs(signal)
    largest = size.max((0, 2), keepdims=True)
    there = (size >= (1 - 1e-6) * largest) & (np.ptp(signal, axis=2, keepdims=True) > 0)
    share = there.mean((0, 2))
    varies = (np.ptp(signal, axis=2) > 0).any(0)
    found = np.flatnonzero((share > SETTINGS.saturated) & varies & (largest[0, :, 0] > 0))
    if len(found):
        which = ", ".join(map(str, found))
        warn_assumption(
            "saturated",
            f"Channels {which} (from 0) are at their largest value in {share.max():.1%} of the "
            "samples.",
        )


def doubt_hum(signal, sfreq):
    """Warn where a sine of the mains is most of the signal (n_trials, n_channels, n_times)."""
    time = np.arange(signal.shape[2]) / sfreq
    centered = signal - signal.mean(axis=2, keepdims=True)
    power = np.square(centered).mean(axis=2)
    for mains in SETTINGS.mains:
        if 2 * mains >= sfreq or signal.shape[2] < SETTINGS.periods * sfreq / mains:
            continue
        hum = 2 * np.abs(centered @ np.exp(2j * np.pi * mains * time) / len(time)) ** 2
        share = float(np.median(hum[power > 0] / power[power > 0])) if power.any() else 0.0
        if share > SETTINGS.most_hum:
            said = f"A sine of {mains:g} Hz is {share:.0%} of the power of most channels."
            warn_assumption("mains-hum", said)


def doubt_trials(signal):
    """Warn of trials that occur more than once."""
    if signal.shape[2] >= SETTINGS.least_times:
        doubt_copies(trial_keys(signal), np.ptp(signal, axis=(1, 2)) > 0, "trials of X")


def doubt_labels(logs, y, session):
    """Warn of labels that trials left out of fit contradict.

    Where trials are hard to tell apart, wrong decisions are doubtful ones; where labels are wrong,
    they are as sure as the others. A class that is mostly wrong in a session was taken for another
    one there, which says nothing of labels.

    logs (n_trials, n_classes): Log probabilities of each trial when it was left out.
    y (n_trials,) int, session (n_trials,)
    """
    if len(y) < SETTINGS.enough_labels:
        return
    right, chance = logs.argmax(1) == y, np.bincount(y).max() / len(y)
    if right.mean() < chance + SETTINGS.known * (1 - chance):
        warn_assumption(
            "undecidable",
            f"Of trials left out of fit {right.mean():.0%} are decided as labeled, by guessing "
            f"{chance:.0%} would be.",
        )
        return
    cell = np.unique(np.stack([y, session]), axis=1, return_inverse=True)[1].ravel()
    found = (np.bincount(cell, right) / np.bincount(cell) > 0.5)[cell]
    wrong = (~right[found]).mean() if found.any() else 0.0
    if wrong > SETTINGS.most_wrong and _surely_wrong(logs[found], y[found], right[found]):
        warn_assumption(
            "doubtful-labels",
            f"{wrong:.0%} of the trials are decided otherwise than labeled when they are "
            "left out of fit, and as surely as the rest.",
        )


def _surely_wrong(logs, y, right):
    """Whether wrong decisions are clearer than right ones usually are, if there are enough."""
    if (~right).sum() < SETTINGS.enough_wrong:
        return False
    best = np.sort(logs, axis=1)
    against = best[:, -1] - logs[np.arange(len(y)), y]
    usual = np.median((best[:, -1] - best[:, -2])[right])
    return np.median(against[~right]) > SETTINGS.surely * usual


def doubt_features(F):
    """Warn if features (n_trials, n_features, n_windows) look like raw signals.

    Means of raw signals over a trial are all but zero or the same, those of features are what
    trials differ by.
    """
    if len(F) < SETTINGS.enough_unusual or F.shape[2] < SETTINGS.long_trial:
        return
    within, between = F.var(axis=2).mean(0), F.mean(axis=2).var(0)
    if (between < SETTINGS.no_feature * within).mean() > SETTINGS.most_raw:
        warn_assumption(
            "raw-signals",
            f"X has {F.shape[2]} samples a trial, around the same mean in all trials.",
        )


def doubt_session(scores, usual, name, most, agreement=None):
    """Warn if many trials of a session are unlike those of fit, and decisions suffer from it.

    scores, usual (n_trials,) and (n_usual,)
    most: Share of the trials.
    agreement (callable or None): Gives the share of trials that adaptation would decide as they
        are decided without; asked where many trials are unlike. None warns in any case.
    """
    if len(scores) < SETTINGS.enough_unusual:
        return
    rate = 0.05
    unlike = p_values(scores, usual, rate) <= rate
    share = unlike.mean()
    chance = binomtest(int(unlike.sum()), len(unlike), rate, alternative="greater")
    if share <= most or chance.pvalue > SETTINGS.by_chance:
        return
    which = "X" if name is None else f"session {name:g}"
    said = f"{share:.0%} of the trials of {which} are unlike those of fit"
    if agreement is not None:
        agree = agreement()
        if agree >= SETTINGS.agrees:
            return
        said += f", and adaptation would decide {1 - agree:.0%} of them otherwise"
    warn_assumption("unusual-session", f"{said}.")
