"""What a hidden Markov model must beat, behind the same interface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sklearn.covariance import shrunk_covariance
from sklearn.mixture import GaussianMixture

from .._checks.params import check_random_state, check_scalar_param
from .._optional import needs
from .._params import documented
from .._training.threads import one_blas_thread, one_thread
from ._base import StateModel
from ._starts import cluster, window_features
from .hidden_markov import standardization

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._typing import ArrayLike, Self


class _Baseline(StateModel):
    """Base: a subclass has ``_find(X, missing, lengths, rng)``, in standardized units."""

    @one_blas_thread()
    def fit(self, X: ArrayLike | Sequence[ArrayLike], y: None = None) -> Self:
        """Find the states.

        Parameters
        ----------
        X : array-like of shape (n_subjects, n_regions, n_times), list of (n_regions, n_times), or \
(n_times, n_regions)
        y : None
            Ignored.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            As :class:`HiddenMarkovGraph`.
        """
        self._check_common()
        self._check_own()
        given = self._recordings(X, reset=True)
        recordings = given.sorted()
        n_states = getattr(self, "n_states", 1)
        center, spread = standardization(recordings, n_states, "shrunk")
        X, missing = recordings.samples()
        X = (X - center) / spread
        rng = check_random_state(self.random_state)
        start, trans, means, covariances, counts = self._find(X, missing, recordings.lengths, rng)
        scale = spread[:, None] * spread
        self._set_states(start, trans, center + means * spread, covariances * scale, counts)
        self._after_fit(given)
        return self

    def _after_fit(self, recordings):
        """Nothing more to remember."""

    def _check_own(self):
        if hasattr(self, "n_states"):
            check_scalar_param(self, "n_states", "int", 1)
            check_scalar_param(self, "n_init", "int", 1)
        check_scalar_param(self, "shrinkage", "float", 0, 1, closed="left")


def regular(covariances):
    """Covariances of states that collapsed, made fit to compute with.

    The least part of the mean variance is added to the diagonal with which there is a Cholesky
    factor; what is no number is replaced by independent regions of unit variance.
    """
    out = np.array(covariances, dtype=float)
    d = out.shape[-1]
    for k, covariance in enumerate(out):
        if not np.isfinite(covariance).all():
            covariance = np.eye(d)
        for ridge in (0.0, 1e-8, 1e-6, 1e-4, 1e-2, 1.0):
            out[k] = covariance + ridge * max(np.trace(covariance) / d, 1e-8) * np.eye(d)
            if np.linalg.eigvalsh(out[k])[0] > 1e-12 * np.trace(out[k]):
                break
    return out


def counted(labels, lengths, n_states):
    """First-state and transition probabilities from decoded states, one pseudo count each."""
    ends = np.cumsum(lengths)
    trans = np.ones((n_states, n_states))
    inside = np.ones(len(labels), dtype=bool)
    inside[ends - 1] = False
    here = np.flatnonzero(inside)
    np.add.at(trans, (labels[here], labels[here + 1]), 1)
    start = 1.0 + np.bincount(labels[ends - lengths], minlength=n_states)
    return start / start.sum(), trans / trans.sum(1, keepdims=True)


def state_moments(X, labels, n_states, shrinkage):
    """Mean and shrunk covariance of the samples of each state; of all where there are few."""
    means, covariances = np.zeros((n_states, X.shape[1])), []
    for k in range(n_states):
        own = X[labels == k]
        if len(own) < 2:
            own = X
        means[k] = own.mean(0)
        covariance = np.cov(own.T, bias=True).reshape(X.shape[1], X.shape[1])
        covariances.append(shrunk_covariance(covariance, max(shrinkage, 1e-6)))
    return means, np.stack(covariances)


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class SingleGaussian(_Baseline):
    """One state: the mean and covariance of all samples.

    Parameters
    ----------
    shrinkage : float, default=0.0
        Share of independent regions in the covariance, in [0, 1).
    %(StateParams)s

    Attributes
    ----------
    startprob_, transmat_, means_, covariances_, occupancy_, state_samples_, layers_, \
communities_, visits_, ranking_, information_rate_, n_features_in_
        As :class:`HiddenMarkovGraph`.

    Examples
    --------
    >>> from sklearn_meg.dynamics import SingleGaussian
    >>> from sklearn_meg.datasets import make_states
    >>> SingleGaussian().fit(make_states("easy", n_times=200).X).covariances_.shape
    (1, 40, 40)
    """

    shrinkage: float = 0.0

    def _find(self, X, missing, lengths, rng):
        good = X if missing is None else X[~missing]
        means, covariances = state_moments(good, np.zeros(len(good), dtype=int), 1, self.shrinkage)
        return np.ones(1), np.ones((1, 1)), means, covariances, np.array([float(len(good))])


@dataclass(kw_only=True, eq=False, repr=False)
class _ManyStates(_Baseline):
    n_states: int = 4
    shrinkage: float = 0.1
    n_init: int = 8


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class MixtureStates(_ManyStates):
    """Gaussian mixture: the state of a sample does not depend on those before.

    scikit-learn's :class:`~sklearn.mixture.GaussianMixture`; the chain has the mixture's weights in
    every row.

    Parameters
    ----------
    n_states : int, default=4
        Number of states.
    shrinkage : float, default=0.1
        Added to the variances, as `reg_covar`, in units of the variance; in [0, 1).
    n_init : int, default=8
        Number of restarts.
    %(StateParams)s

    Attributes
    ----------
    startprob_, transmat_, means_, covariances_, occupancy_, state_samples_, layers_, \
communities_, visits_, ranking_, information_rate_, n_features_in_
        As :class:`HiddenMarkovGraph`.

    Examples
    --------
    >>> from sklearn_meg.dynamics import MixtureStates
    >>> from sklearn_meg.datasets import make_states
    >>> MixtureStates(n_states=2, n_init=1).fit(make_states("easy", n_times=200).X).transmat_.shape
    (2, 2)
    """

    def _find(self, X, missing, lengths, rng):
        good = X if missing is None else X[~missing]
        mixture = GaussianMixture(
            self.n_states,
            n_init=self.n_init,
            reg_covar=max(self.shrinkage, 1e-6),
            tol=1e-3,
            max_iter=500,
            random_state=rng,
        )
        with one_thread():  # it begins with k-means
            mixture.fit(good)
        weights = mixture.weights_
        trans = np.repeat(weights[None], self.n_states, axis=0)
        counts = weights * len(good)
        return weights, trans, mixture.means_, mixture.covariances_, counts


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class WindowStates(_ManyStates):
    """Sliding windows and k-means: states are clusters of the moments of windows.

    States are predicted by a chain with the moments and transitions of the clusters; the clusters
    themselves are in ``labels_``.

    Parameters
    ----------
    n_states : int, default=4
        Number of states.
    shrinkage : float, default=0.1
        Share of independent regions in the covariances of the states, in [0, 1).
    n_init : int, default=8
        Number of restarts of k-means.
    window : int, default=20
        Length of windows in samples; a sample gets the state of the window around it.
    %(StateParams)s

    Attributes
    ----------
    startprob_, transmat_, means_, covariances_, occupancy_, state_samples_, layers_, \
communities_, visits_, ranking_, information_rate_, n_features_in_
        As :class:`HiddenMarkovGraph`.
    labels_ : ndarray of int of shape (n_samples,)
        Cluster of each sample that was fitted, recordings in the order of X.

    Examples
    --------
    >>> from sklearn_meg.dynamics import WindowStates
    >>> from sklearn_meg.datasets import make_states
    >>> WindowStates(n_states=2).fit(make_states("easy", n_times=200).X).labels_.shape
    (1200,)
    """

    window: int = 20

    def _check_own(self):
        super()._check_own()
        check_scalar_param(self, "window", "int", 2)

    def _after_fit(self, recordings):
        order = np.argsort(recordings.order())
        parts = np.split(self._found, np.cumsum(recordings.sorted().lengths)[:-1])
        found = np.concatenate([parts[i] for i in order])
        self.labels_ = np.argsort(self._order)[found]
        del self._found

    def _find(self, X, missing, lengths, rng):
        X = X if missing is None else np.where(missing[:, None], 0.0, X)
        features, nearest = window_features(X, lengths, self.window, None)
        with one_thread():
            found = cluster(features, self.n_states, rng.randint(2**31 - 1), self.n_init)
        labels = found[nearest]
        self._found = labels
        good = slice(None) if missing is None else ~missing
        means, covariances = state_moments(X[good], labels[good], self.n_states, self.shrinkage)
        counts = np.bincount(labels[good], minlength=self.n_states).astype(float)
        return *counted(labels, lengths, self.n_states), means, covariances, counts


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class HmmlearnStates(_ManyStates):
    """The Gaussian hidden Markov model of hmmlearn (``pip install "sklearn-meg[dynamics]"``).

    hmmlearn has no missing samples.

    Parameters
    ----------
    n_states : int, default=4
        Number of states.
    shrinkage : float, default=0.0
        0: hmmlearn as it comes. Otherwise the prior of the covariances, towards independent
        regions, counts as so large a share of the samples of a state.
    n_init : int, default=8
        Fits from other seeds; the likeliest is kept.
    max_iter : int, default=100
        Largest number of iterations of each fit.
    %(StateParams)s

    Attributes
    ----------
    startprob_, transmat_, means_, covariances_, occupancy_, state_samples_, layers_, \
communities_, visits_, ranking_, information_rate_, n_features_in_
        As :class:`HiddenMarkovGraph`.

    Examples
    --------
    >>> from sklearn_meg.datasets import make_states
    >>> from sklearn_meg.dynamics import HmmlearnStates
    >>> data = make_states("easy", n_times=200)
    >>> HmmlearnStates(n_states=2, random_state=0).fit(data.X[:3, :8]).means_.shape[0]
    2
    """

    shrinkage: float = 0.0
    max_iter: int = 100

    def _check_own(self):
        super()._check_own()
        check_scalar_param(self, "max_iter", "int", 1)
        _import_hmmlearn()

    def _find(self, X, missing, lengths, rng):
        if missing is not None:
            raise ValueError("hmmlearn has no missing samples: remove them, or use another model.")
        seeds = rng.randint(2**31 - 1, size=self.n_init)
        fits = [self._fit_once(X, lengths, seed) for seed in seeds]
        model = max(fits, key=lambda m: m.score(X, lengths))
        self.n_iter_ = model.monitor_.iter
        counts = model.predict_proba(X, lengths).sum(0)
        covariances = regular(model.covars_)
        return model.startprob_, model.transmat_, model.means_, covariances, counts

    def _fit_once(self, X, lengths, seed):
        import logging

        logger = logging.getLogger("hmmlearn")
        level = logger.level
        logger.setLevel(logging.ERROR)  # it reports tiny losses of likelihood as warnings
        prior = {}
        if self.shrinkage:
            n, d = X.shape
            weight = self.shrinkage / (1 - self.shrinkage) * n / self.n_states
            prior = {"covars_prior": weight * np.eye(d), "covars_weight": weight + d}
        model = _import_hmmlearn()(
            self.n_states, "full", n_iter=self.max_iter, random_state=int(seed), **prior
        )
        try:
            with one_thread():  # it begins with k-means
                return model.fit(X, lengths)
        finally:
            logger.setLevel(level)


def _import_hmmlearn():
    with needs("HmmlearnStates", "hmmlearn", "sklearn-meg[dynamics]"):
        from hmmlearn.hmm import GaussianHMM
    return GaussianHMM
