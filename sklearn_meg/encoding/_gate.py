"""How far to trust what a network adds to a linear encoder, judged on held-out trials."""

import numpy as np

from .._checks.params import check_random_state
from ._linear_base import LINEAR

N_SPLITS = 20
N_BLOCKS = 20  # of each subject
#: Trials held out below which several splits are judged.
FEW_HELD_OUT, N_REPEATS = 50, 3


def time_blocks(subjects):
    """Number of the block of each trial: neighbors of one subject share one.

    Parameters
    ----------
    subjects : ndarray of int of shape (n_trials,)
        Subject of each trial, trials in the order of the recording.

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
        Loss of each held-out trial after each epoch, that of the linear encoder first.
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


class GatedTraining:
    """Train a network on a linear encoder, and judge what it adds."""

    def _fit_fresh(self, X, y, groups, subjects):
        """Fit the linear encoder, train the network, and judge what it adds."""
        self._check_training_params()
        for name in ("base_", "_base_inputs"):
            self.__dict__.pop(name, None)
        self._base, self.expansion_, self.gate_ = self._resolved_base(), None, 1.0
        if self._base is not None:
            self._check_base_params(LINEAR[self._base])
            self._fit_base_held_out(X, y)
        blocks = time_blocks(subjects) if groups is None else np.asarray(groups)
        seeds = self._seeds()
        gains = []
        for seed in seeds[: self._n_repeats(len(X))]:
            self._train(X, y, groups=self._split_groups(groups, blocks), seed=seed)
            evidence = self.net_.__dict__.pop("held_out_", None)
            if evidence is not None:
                losses, index = evidence
                gains.append(cross_fitted_gains(losses, blocks[index], seed))
        if gains:
            self.gate_ = trust(np.concatenate(gains))
            self.net_.module_.shrink_residual(self.gate_)
        kept = self.__dict__.pop("_base_inputs", None) is not None
        if self._base is not None and not kept and self._n_valid(len(X)):
            # The network and its best epoch needed trials that the linear encoder had not seen;
            # from here on it may as well use all.
            self.base_._fit_trials(self._expanded(X), y, np.arange(len(X)))

    def _seeds(self):
        rng = check_random_state(self.random_state)
        return [rng.randint(2**31 - 1) for _ in range(N_REPEATS)]

    def _n_repeats(self, n):
        few = 0 < self._n_valid(n) < FEW_HELD_OUT and self._base is not None
        return N_REPEATS if few and self.validation_split == "random" else 1

    def _split_groups(self, groups, blocks):
        """Trials that stay together in the inner split: neighbors, if nothing was said."""
        if groups is not None or self.validation_split != "random" or self._base is None:
            return groups
        return blocks if len(np.unique(blocks)) > 1 else None
