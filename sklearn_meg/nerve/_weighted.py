"""Linear discriminants of weighted samples, which scikit-learn has none of."""

import numpy as np
from scipy.linalg import eigh
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis


def fit_discriminants(X, y, weight, priors=None):
    """Linear discriminant analysis with shrinkage, of samples that count more or less.

    With whole weights it is ``LinearDiscriminantAnalysis(shrinkage="auto")`` of repeated samples.

    X (n, n_features)
    y (n,) int: From 0 on; every class occurs.
    weight (n,): Above 0.
    priors (n_classes,) or None: None: as often as they are.
    Returns lda (LinearDiscriminantAnalysis): Fitted, by least squares.
    """
    classes = np.arange(y.max() + 1)
    counts = np.bincount(y, weights=weight)
    priors = counts / counts.sum() if priors is None else priors
    means = np.stack([np.average(X[y == c], axis=0, weights=weight[y == c]) for c in classes])
    within = sum(p * _shrunk(X[y == c], weight[y == c]) for p, c in zip(priors, classes))
    lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    lda.classes_, lda.priors_, lda.means_, lda.covariance_ = classes, priors, means, within
    coef = np.linalg.lstsq(within, means.T, rcond=None)[0].T
    intercept = -0.5 * (means * coef).sum(axis=1) + np.log(priors)
    two = len(classes) == 2
    lda.coef_ = coef[1:] - coef[:1] if two else coef
    lda.intercept_ = intercept[1:] - intercept[:1] if two else intercept
    lda.n_features_in_, lda._max_components = X.shape[1], len(classes) - 1
    return lda


def discriminant_axes(X, weight, within):
    """Axes that tell classes apart (n_features, n_features), the best first.

    Raises numpy.linalg.LinAlgError if the covariance within classes is singular.
    """
    values, vectors = eigh(_shrunk(X, weight) - within, within)
    return vectors[:, np.argsort(values)[::-1]]


def _shrunk(X, weight):
    """Covariance after Ledoit and Wolf (2004), of standardized features, in their own units."""
    centered = X - np.average(X, axis=0, weights=weight)
    scale = np.sqrt(np.average(np.square(centered), axis=0, weights=weight))
    scale = np.where(scale > 10 * np.finfo(float).eps * np.abs(X).max(axis=0), scale, 1.0)
    Z, n = centered / scale, weight.sum()
    cov = (Z.T * weight) @ Z / n
    square, d = np.square(Z), X.shape[1]
    mean = np.trace(cov) / d
    delta = np.square(cov).sum()
    beta = (((square.T * weight) @ square).sum() / n - delta) / (d * n)
    distance = (delta - 2 * mean * np.trace(cov)) / d + mean**2
    share = min(beta, distance) / distance if distance > 0 and beta > 0 else 0.0
    return ((1 - share) * cov + share * mean * np.eye(d)) * np.outer(scale, scale)
