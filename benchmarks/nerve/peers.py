"""What a good analyst would try on raw EMG: tangent spaces of covariances, and time warping.

Both know the sessions of the trials that they decide, unlabeled, as our adapted models do.
"""

import numpy as np
from scipy.linalg import eigh
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

N_MEAN = 10  # iterations of a mean of covariances
SHRINK = 0.05  # of covariances towards their diagonal
N_PARTS = 3  # of a trial: beginning, middle and end
N_FRAMES = 20  # of an envelope
N_NEAREST = 3


class TangentSpace:
    """Covariances of each third of a trial, recentered within sessions; linear discriminants.

    Of the signal and its steps together. Recentring is that of Zanini et al. (2018): the
    Riemannian mean of a session becomes the identity, where the tangent space is the logarithm.
    """

    def fit(self, X, y, session):
        """Learn from trials (n_trials, n_channels, n_times) of several sessions."""
        lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
        self.lda = lda.fit(_tangent(X, session), y)
        return self

    def score(self, X, y, session):
        """Share of the trials that are decided rightly."""
        return self.lda.score(_tangent(X, session), y)


def _tangent(X, session):
    C = _covariances(X)
    upper = np.triu_indices(C.shape[-1])
    factor = np.where(upper[0] == upper[1], 1.0, np.sqrt(2.0))
    flat = np.empty((len(C), C.shape[1], len(factor)))
    for s in np.unique(session):
        mine = session == s
        for part in range(C.shape[1]):
            here = C[mine, part]
            W = _power(_mean(here), -0.5)
            flat[mine, part] = _log(W @ here @ W)[:, upper[0], upper[1]] * factor
    return flat.reshape(len(C), -1)


def _covariances(X):
    """Covariances (n_trials, n_parts, n, n) of channels and their steps."""
    both = np.concatenate([X[:, :, 1:], np.diff(X, axis=2)], axis=1)
    parts = np.array_split(both, N_PARTS, axis=2)
    C = np.stack([np.einsum("nit,njt->nij", p, p) / p.shape[2] for p in parts], axis=1)
    diagonal = np.einsum("...ii->...i", C)
    return (1 - SHRINK) * C + SHRINK * diagonal[..., np.newaxis] * np.eye(C.shape[-1])


def _mean(C):
    """Riemannian mean of covariances (n, d, d)."""
    M = C.mean(0)
    for _ in range(N_MEAN):
        root, back = _power(M, 0.5), _power(M, -0.5)
        values, vectors = np.linalg.eigh(_log(back @ C @ back).mean(0))
        M = root @ ((vectors * np.exp(values)) @ vectors.T) @ root
    return M


def _power(C, p):
    values, vectors = eigh(C)
    return (vectors * values**p) @ vectors.T


def _log(C):
    values, vectors = np.linalg.eigh(C)
    logs = np.log(np.maximum(values, 1e-12))
    return np.einsum("...ij,...j,...kj->...ik", vectors, logs, vectors)


class NearestByWarping:
    """Three nearest trials under dynamic time warping of log envelopes, scaled within sessions."""

    def fit(self, X, y, session):
        """Keep trials (n_trials, n_channels, n_times)."""
        self.E, self.y = _envelopes(X, session), np.asarray(y)
        return self

    def score(self, X, y, session):
        """Share of the trials that are decided rightly."""
        distance = _warped(_envelopes(X, session), self.E)
        near = self.y[distance.argsort(axis=1)[:, :N_NEAREST]]
        votes = (near[:, :, np.newaxis] == near[:, np.newaxis]).sum(2)  # all differ: the nearest
        return float((near[np.arange(len(near)), votes.argmax(1)] == y).mean())


def _envelopes(X, session):
    frames = np.array_split(X, N_FRAMES, axis=2)
    E = np.log(1e-6 + np.stack([frame.std(2) for frame in frames], axis=1))
    for s in np.unique(session):
        mine = session == s
        E[mine] = (E[mine] - E[mine].mean((0, 1))) / E[mine].std((0, 1))
    return E


def _warped(A, B):
    """Distances (n, m) of trials (n, n_frames, d) and (m, n_frames, d)."""
    n = A.shape[1]
    best = np.full((n + 1, n + 1, len(A), len(B)), np.inf, dtype=np.float32)
    best[0, 0] = 0.0
    for i in range(n):
        for j in range(n):
            step = np.square(A[:, i]).sum(1)[:, np.newaxis] + np.square(B[:, j]).sum(1)
            step = np.sqrt(np.maximum(step - 2 * A[:, i] @ B[:, j].T, 0.0))
            before = np.minimum(np.minimum(best[i, j + 1], best[i + 1, j]), best[i, j])
            best[i + 1, j + 1] = step + before
    return best[n, n]
