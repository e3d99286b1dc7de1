"""What networks and trees add to all trials of a subject alike, judged apart from the rest.

Squared errors are mostly of the mean response; so what is added may be worth its while on the
whole, though how it differs from trial to trial is noise, which correlations across trials show.
With a what is added and m_s its mean over the trials of subject s that were trained on, m_s and
the deviations ``a - m_s`` are judged on held-out trials as two parts, which may have two shares.
"""

import numpy as np

from ._blocks import not_zero
from ._trees import predict_trees

MOST_TRIALS = 300  # of a subject that a mean is taken over: the rest would cost time alone


class CommonPart:
    """Mean over trials of what is added, and products of it and of the deviations from it."""

    #: Standardized, (n_subjects, n_channels, n_times), added beside network and trees.
    _added_mean = None

    def _products_apart(self, X, y, split):
        """Products of the means, and of the deviations from them, on held-out trials.

        The mean is that over the trials of a subject that were trained on; where it has none,
        that over subjects.

        Returns products (n_held, 4, 5): With what is left, and with each other: means of the
            network and of the trees, and the deviations of both.
        """
        train, held = split
        forests = self._forests[-1:]  # that of this split
        mean = self._mean_added(X, y, train, forests)
        known, weight, found = self._subject_weights(X), self._sample_weight, []
        for part, left, added in self._parts(X, y, held, forests):
            own = np.einsum("ns,skct->nkct", known[part], mean)
            counted = ~np.isnan(left)[:, np.newaxis]
            four = np.where(counted, np.concatenate([own, added - own], axis=1), 0.0)
            four = four.reshape(*four.shape[:2], -1)
            left = np.nan_to_num(left).reshape(len(part), -1, 1)
            found.append(np.concatenate([four @ left, four @ four.swapaxes(1, 2)], axis=2))
        products = np.concatenate(found).astype(float)
        return products if weight is None else products * weight[held][:, np.newaxis, np.newaxis]

    def _parts(self, X, y, trials, forests):
        """Left over (n, n_channels, n_times), and added by the network and by trees."""
        for part, inputs, left in self._left_over(X, y, trials):
            by_network = self._network_alone(inputs) - inputs["base"].numpy()
            by_trees = np.zeros_like(by_network)
            if forests:
                by_trees = predict_trees(forests, self._tree_table(inputs["features"]))
            yield part, left, np.stack([by_network, by_trees], axis=1)

    def _mean_added(self, X, y, trials, forests):
        """Mean over (some) trials of each subject, (n_subjects, 2, n_channels, n_times)."""
        shares, total, count = self._weighted(self._subject_weights(X)), 0.0, 0.0
        trials = thinned(trials, shares[trials].argmax(axis=1))
        for part, left, added in self._parts(X, y, trials, forests):
            counted = ~np.isnan(left)
            added = np.where(counted[:, np.newaxis], added, 0.0)
            total = total + np.einsum("ns,nkct->skct", shares[part], added)
            count = count + np.einsum("ns,nct->sct", shares[part], counted)
        mean, seen = total / not_zero(count)[:, np.newaxis], count.max(axis=(1, 2)) > 0
        mean[~seen] = mean[seen].mean(axis=0)
        return mean

    def _keep_mean(self, X, y, shares):
        """Add shares of the means of the network and of the trees, whatever else is added."""
        mean = self._mean_added(X, y, np.arange(len(X)), self._forests)[:, : len(shares)]
        self._added_mean = np.einsum("k,skct->sct", shares, mean).astype(np.float32)

    def _adds_nothing(self):
        """Whether the linear encoder is all there is."""
        nothing = self.gate_ == self.tree_share_ == 0 and self._added_mean is None
        return self._base is not None and nothing

    def _added(self, features, weights):
        """What is added beside the network, standardized; None if nothing is."""
        added = None
        if self.tree_share_:
            added = self.tree_share_ * predict_trees(self._forests, self._tree_table(features))
        if self._added_mean is not None:
            size = len(self._added_mean)
            known = weights[:, :size] + weights[:, size:].sum(axis=1, keepdims=True) / size
            mean = np.einsum("ns,sct->nct", known, self._added_mean)
            added = mean if added is None else added + mean
        return added


def thinned(trials, subjects):
    """At most `MOST_TRIALS` trials of each subject, evenly.

    Examples
    --------
    >>> import numpy as np
    >>> thinned(np.arange(1000), np.arange(1000) // 700).shape
    (600,)
    """
    own = [trials[subjects == subject] for subject in np.unique(subjects)]
    evenly = (np.linspace(0, len(each) - 1, min(len(each), MOST_TRIALS)) for each in own)
    return np.sort(np.concatenate([each[at.astype(int)] for each, at in zip(own, evenly)]))
