"""Event-related responses of another hand than `make_words`: they bend with a feature.

Ten subjects see 70 pictures of three kinds. The late response grows with the logarithm of a feature
(skewed, as frequencies and reaction times are), by a factor for each kind, and comes earlier with
it; it jitters from trial to trial. Activity in a spectrum of 1/f and alpha go on. There is little
that depends on the stimuli before, so splines of the features tell nearly all that there is.
"""

import numpy as np

from sklearn_meg import pack_rows

from ..drift import drift

SFREQ, START, N_TIMES, N_CHANNELS = 100.0, 20, 90, 16
LAGS = {"sfreq": SFREQ, "tmax": 0.6}
SUBJECTS, TRIALS = 10, 70


def bent(seed, n_subjects=SUBJECTS, n_trials=TRIALS):
    """Simulate.

    Returns X, y, rows, subjects
    """
    rng = np.random.default_rng([7, seed])
    common = rng.normal(size=(3, N_CHANNELS))
    features, y = zip(*(_subject(rng, common, n_trials) for _ in range(n_subjects)))
    y, subjects = np.concatenate(y), np.repeat(np.arange(n_subjects), n_trials)
    X, rows = pack_rows(np.concatenate(features), subjects=subjects, initial=y, n_initial=START)
    return X.astype(np.float32), y.astype(np.float32), rows, subjects


def last_fifth(subjects):
    """Training and test trials: the last fifth of each subject."""
    of_each = [np.flatnonzero(subjects == s) for s in np.unique(subjects)]
    test = np.concatenate([trials[-len(trials) // 5 :] for trials in of_each])
    return np.setdiff1d(np.arange(len(subjects)), test), test


def _subject(rng, common, n_trials):
    """Features (n_trials, 4, n_times), three of them the kinds, and responses."""
    times = (np.arange(N_TIMES) - START) / SFREQ
    kind, feature = rng.integers(0, 3, n_trials), rng.gamma(2.0, 1.0, n_trials)
    latency, jitter = rng.uniform(0.85, 1.2), 0.02 * rng.normal(size=n_trials)
    early, late, last = common + 0.6 * rng.normal(size=common.shape)

    def peak(center, width):
        return np.exp(-(((times - center) / width) ** 2)) * (times > 0)

    sizes = np.array([1.0, 1.0, 1.2])[kind]
    y = np.einsum("n,c,t->nct", sizes, early, peak(0.1 * latency, 0.025))
    sizes = np.array([1.0, 1.3, 0.6])[kind] * np.log1p(feature)
    for trial, size in enumerate(sizes):
        center = 0.3 * latency - 0.03 * (feature[trial] - 2) - jitter[trial]
        y[trial] += size * np.outer(late, peak(center, 0.07))
    y[kind == 2] += np.outer(last, peak(0.45 * latency, 0.1))
    shown = (times >= 0) & (times < 0.25)
    values = np.column_stack([*(kind == k for k in range(3)), feature])
    return values[:, :, np.newaxis] * shown, y + _ongoing(rng, n_trials)


def _ongoing(rng, n_trials):
    """Activity that goes on over trials."""
    n = n_trials * N_TIMES
    slow = 1.5 * drift(rng, N_CHANNELS, n)
    phase = 2 * np.pi * rng.uniform(9, 11) * np.arange(n) / SFREQ
    alpha = np.cos(phase + np.cumsum(0.05 * rng.normal(size=n)))
    both = slow + np.outer(rng.normal(size=N_CHANNELS), alpha)
    return both.reshape(N_CHANNELS, n_trials, N_TIMES).swapaxes(0, 1)
