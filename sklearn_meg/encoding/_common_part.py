"""What networks and trees add to all trials of a subject alike, judged apart from the rest.

Squared errors are mostly of the mean response; so what is added may be worth its while on the
whole, though how it differs from trial to trial is noise, which correlations across trials show.
With a the sum of what is added and m_s its mean over the trials of subject s, the deviations
``a - m_s`` are judged on held-out trials like a itself. Where they are of no use, m_s alone is
added.
"""

import numpy as np

from .._checks.trials import release_pages
from ._arx import pieces_of
from ._blocks import not_zero
from ._trees import predict_trees

PAIRS = ((0, 1), (1, 1), (0, 2), (2, 2), (1, 2))


class CommonPart:
    """Mean over trials of what is added, and products of the deviations from it."""

    #: Mean of what is added, standardized, (n_subjects, n_channels, n_times), where it is all.
    _added_mean = None

    def _deviation_products(self, X, y, held):
        """Products of deviations from the mean over the held-out trials of each subject.

        Returns
        -------
        products : ndarray of shape (n_held, 5)
            Left over times added, and added squared, of the network and of the trees, and the
            product of both.
        """
        weight, found = self._sample_weight, []
        shares = self._weighted(self._subject_weights(X))
        mean = _means(self._parts(X, y, held), shares)
        for part, values, counted in self._parts(X, y, held):
            own = np.einsum("ns,skct->knct", shares[part] > 0, mean)
            deviation = np.where(counted, values - own, 0.0)
            pairs = [(deviation[i] * deviation[j]).sum(axis=(1, 2)) for i, j in PAIRS]
            found.append(np.stack(pairs, axis=1))
        products = np.concatenate(found)
        return products if weight is None else products * weight[held, np.newaxis]

    def _parts(self, X, y, trials):
        """Left over, and added by the network and by trees, (3, n, n_channels, n_times)."""
        for part, inputs, left in self._left_over(X, y, trials):
            added = np.zeros_like(left)
            if self._forests:
                added = predict_trees(self._forests[-1:], self._tree_table(inputs["features"]))
            by_network = self._network_alone(inputs) - inputs["base"].numpy()
            yield part, np.stack([np.nan_to_num(left), by_network, added]), ~np.isnan(left)

    def _keep_mean_alone(self, X):
        """Replace network and trees by the mean of what they add to the trials of each subject."""
        shares = self._weighted(self._subject_weights(X))
        total = np.zeros((shares.shape[1], self.n_outputs_, X.shape[2]))
        for part in pieces_of(np.arange(len(X)), X.shape[2], 4 * self.n_outputs_):
            inputs = self._training_inputs(X, part)
            added = self._network_alone(inputs) - inputs["base"].numpy()
            total += np.einsum("ns,nct->sct", shares[part], added)
            release_pages(X)
        count = not_zero(shares.sum(axis=0))[:, np.newaxis, np.newaxis]
        self._added_mean = (total / count).astype(np.float32)
        self.gate_, self.tree_share_, self._forests = 0.0, 0.0, []
        self.net_.module_.shrink_residual(0.0)

    def _with_mean(self, y, weights):
        """Add the mean, if that is what is added, to responses in their units."""
        if self._added_mean is None:
            return y
        mean, size = self._added_mean, len(self._added_mean)
        known = weights[:, :size] + weights[:, size:].sum(axis=1, keepdims=True) / size
        scale = (weights @ self.y_scale_)[:, :, np.newaxis]
        return y + scale * np.einsum("ns,sct->nct", known, mean)


def _means(parts, shares):
    """Mean over the trials of each subject, (n_subjects, 3, n_channels, n_times)."""
    total = count = 0.0
    for part, values, counted in parts:
        total = total + np.einsum("ns,knct->skct", shares[part], np.where(counted, values, 0.0))
        count = count + np.einsum("ns,nct->sct", shares[part], counted)
    return total / not_zero(count)[:, np.newaxis]
