"""Gaussian states: log-densities of samples, and weighted moments."""

import numpy as np

PRODUCTS_BYTES = 192 * 2**20  # products of regions are kept if they are not larger
CHUNK_ROWS = 4096


class Samples:
    """Samples of all recordings, with the two operations that cost time.

    A Gaussian log-density is linear in the products of regions: with many states (all
    restarts at once) and little data the products are kept, and both operations are one matrix
    product. Otherwise they go through the samples in pieces.

    X (n_samples, n_regions)
    missing (n_samples,) bool or None: Samples that say nothing.
    """

    def __init__(self, X, missing=None):
        self.X = X
        self.missing = missing
        n, d = X.shape
        self.pairs = np.triu_indices(d + 1)
        self.products = None
        if n * len(self.pairs[0]) * 8 <= PRODUCTS_BYTES:
            ones = np.concatenate([X, np.ones((n, 1))], axis=1).T
            self.products = np.empty((len(self.pairs[0]), n))
            for row, (i, j) in enumerate(zip(*self.pairs)):
                np.multiply(ones[i], ones[j], out=self.products[row])
            if missing is not None:
                self.products[:, missing] = 0

    def log_density(self, mean, factor, constant):
        """Log-density constant - |(x - mean) factor|^2 / 2, (n_samples, n_restarts, n_states)."""
        shape = constant.shape
        mean, constant = mean.reshape(-1, mean.shape[-1]), constant.ravel()
        factor = factor.reshape(-1, *factor.shape[-2:])
        if self.products is not None:
            weights = self._quadratic(mean, factor, constant)
            return np.dot(self.products.T, weights.T).reshape(-1, *shape)
        out = np.empty((len(self.X), len(constant)))
        for rows in self._chunks():
            for q, f in enumerate(factor):
                z = self.X[rows] @ f
                z -= mean[q] @ f
                np.einsum("nd,nd->n", z, z, out=out[rows, q])
        out *= -0.5
        out += constant
        if self.missing is not None:
            out[self.missing] = 0
        return out.reshape(-1, *shape)

    def moments(self, gamma):
        """Weighted counts, sums and sums of products, of shape (n_restarts, n_states, ...)."""
        n, *shape = gamma.shape
        d = self.X.shape[1]
        gamma = gamma.reshape(n, -1)
        both = np.zeros((gamma.shape[1], d + 1, d + 1))
        if self.products is not None:
            both[:, self.pairs[0], self.pairs[1]] = np.dot(self.products, gamma).T
            both[:, self.pairs[1], self.pairs[0]] = both[:, self.pairs[0], self.pairs[1]]
        else:
            for rows in self._chunks():
                self._add_moments(both, rows, gamma[rows])
        both = both.reshape(*shape, d + 1, d + 1)
        return both[..., -1, -1], both[..., -1, :-1], both[..., :-1, :-1]

    def _chunks(self):
        starts = range(0, len(self.X), CHUNK_ROWS)
        return [slice(s, min(s + CHUNK_ROWS, len(self.X))) for s in starts]

    def _add_moments(self, both, rows, gamma):
        X = self.X[rows]
        if self.missing is not None:
            gamma = gamma * ~self.missing[rows, None]
        both[:, -1, -1] += gamma.sum(0)
        both[:, -1, :-1] += gamma.T @ X
        for q in range(len(both)):
            both[q, :-1, :-1] += (X * gamma[:, q, None]).T @ X

    def _quadratic(self, mean, factor, constant):
        """Weights of the products in the log-density, (n_states, n_pairs)."""
        d = mean.shape[1]
        precision = factor @ factor.transpose(0, 2, 1)
        linear = (precision @ mean[..., None])[..., 0]
        both = np.empty((len(mean), d + 1, d + 1))
        both[:, :d, :d] = -precision
        both[:, :d, d] = linear
        both[:, d, d] = 2 * (constant - (linear * mean).sum(-1) / 2)
        i, j = self.pairs
        weights = both[:, i, j]
        weights[:, i == j] /= 2
        return weights
