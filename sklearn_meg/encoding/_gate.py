"""How far to trust what a network adds to a linear encoder, judged on held-out trials."""

import numpy as np

N_SPLITS = 20
N_BLOCKS = 20  # of each subject


def time_blocks(subjects):
    """Number of the block of each trial: neighbors of one subject share one.

    Parameters
    ----------
    subjects : ndarray of int of shape (n_trials,)
        In the order of the recording.

    Returns
    -------
    blocks : ndarray of int of shape (n_trials,)
    """
    blocks, first = np.empty(len(subjects), dtype=int), 0
    for subject in np.unique(subjects):
        trials = np.flatnonzero(subjects == subject)
        parts = np.array_split(trials, min(N_BLOCKS, len(trials)))
        for part in parts:
            blocks[part] = first
            first += 1
    return blocks


def cross_fitted_gains(losses, groups, seed):
    """What the network gains where its epoch was not chosen.

    The groups are cut in halves, many times: the epoch is chosen on one half, and its gain is
    measured on the other.

    Parameters
    ----------
    losses : ndarray of shape (n_epochs + 1, n_trials)
        Of each held-out trial, those of the linear encoder first.
    groups : ndarray of shape (n_trials,)
    seed : int

    Returns
    -------
    gains : ndarray of shape (n_groups,)
        Summed over the trials of each group.
    """
    names, which = np.unique(groups, return_inverse=True)
    sums = np.zeros((len(losses), len(names)))
    np.add.at(sums.T, which, losses.T)
    rng, gains, counts = np.random.default_rng(seed), np.zeros(len(names)), np.zeros(len(names))
    for _ in range(N_SPLITS if len(names) > 1 else 0):
        order = rng.permutation(len(names))
        halves = order[: len(names) // 2], order[len(names) // 2 :]
        for chosen_on, judged_on in (halves, halves[::-1]):
            epoch = sums[:, chosen_on].sum(axis=1).argmin()
            gains[judged_on] += (sums[0] - sums[epoch])[judged_on]
            counts[judged_on] += 1
    return gains / np.maximum(counts, 1)


def trust(gains):
    """Factor for what the network adds, from its gains in independent groups.

    Returns
    -------
    factor : float
        ``max(0, 1 - (error / gain)**2)``, with the mean gain and its standard error; 0 unless the
        gain is more than one error.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.encoding._gate import trust
    >>> trust(np.array([1.0, -1.0, 0.5]))
    0.0
    >>> trust(np.array([1.0, 1.0, 1.0]))
    1.0
    """
    if len(gains) < 2:
        return 0.0
    gain, error = gains.mean(), gains.std(ddof=1) / np.sqrt(len(gains))
    return float(1 - (error / gain) ** 2) if gain > error else 0.0
