"""First guesses of the states: clusters of windows, or of samples."""

import numpy as np
from sklearn.cluster import KMeans


def window_features(X, lengths, window):
    """Second moments of half-overlapping windows.

    Returns
    -------
    features : ndarray of shape (n_windows, n_features)
    spans : ndarray of int of shape (n_windows, 2)
    """
    spans = []
    ends = np.cumsum(lengths)
    for start, end in zip(ends - lengths, ends):
        step = max(1, window // 2)
        firsts = np.arange(start, max(start + 1, end - window + 1), step)
        spans += [(f, min(f + window, end)) for f in firsts]
        spans[-1] = (spans[-1][0], end)
    i, j = np.triu_indices(X.shape[1], 1)
    features = np.stack([_moment(X[a:b], i, j) for a, b in spans])
    return features, np.array(spans)


def _moment(part, i, j):
    covariance = part.T @ part / len(part)
    return np.concatenate([covariance[i, j] * np.sqrt(2), covariance.diagonal(), part.mean(0)])


def cluster_windows(X, lengths, n_states, window, seed, n_components=None):
    features, spans = window_features(X, lengths, window)
    features = features - features.mean(0)
    if n_components is not None and n_components < min(features.shape):
        U, s, _ = np.linalg.svd(features, full_matrices=False)
        features = U[:, :n_components] * s[:n_components]
    labels = KMeans(n_states, n_init=1, random_state=seed).fit_predict(features)
    gamma = np.full((len(X), n_states), 0.05)
    for (a, b), label in zip(spans, labels):
        gamma[a:b, label] += 1
    return gamma / gamma.sum(1, keepdims=True)
