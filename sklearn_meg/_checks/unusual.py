"""Which new samples are unlike those of ``fit``: the question that every system answers alike."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import mannwhitneyu
from scipy.stats import t as student
from sklearn.utils.validation import check_is_fitted

from .assumptions import warn_assumption

if TYPE_CHECKING:
    from .._typing import ArrayLike

LESS_USUAL = 0.65  # probability of a larger score than one of fit, 0.5 where nothing differs


class UnusualMixin:
    """``is_unusual`` for an estimator with ``_unusual_scores(X)``.

    ``_unusual_scores`` takes X as `predict` does and returns an array (n,), larger for what is less
    like the samples of ``fit``. ``fit`` keeps in ``usual_scores_`` the scores of samples that it
    did not learn from, one for each sample (trial, recording) that can be counted as independent.
    Where they are few, scores should be near Gaussian: logarithms of energies, say.
    """

    usual_scores_: np.ndarray

    def is_unusual(self, X: ArrayLike, *, rate: float = 0.05) -> np.ndarray:
        """Say which samples are unlike those of ``fit``: do not rely on what is predicted of them.

        No labels are needed. A sample is unusual if its score is among the largest of those of
        samples held out in ``fit`` (a conformal p-value, Vovk et al. 2005); where fewer than
        ``1 / rate - 1`` were, if it is above their Gaussian prediction limit.

        Parameters
        ----------
        X : array-like
            As in `predict`.
        rate : float, default=0.05
            Share of usual samples that are called unusual.

        Returns
        -------
        unusual : ndarray of bool of shape (n,)
            One for each trial, sample or recording.

        Raises
        ------
        ValueError, TypeError
            For a rate that is not between 0 and 1, and as `predict`.
        """
        if not isinstance(rate, numbers.Real) or isinstance(rate, bool | np.bool_):
            raise TypeError(f"rate must be a number between 0 and 1. Got {rate!r}.")
        if not 0 < rate < 1:
            raise ValueError(f"rate must be between 0 and 1. Got {rate!r}.")
        check_is_fitted(self)
        return p_values(self._unusual_scores(X), self.usual_scores_, rate) <= rate

    def _unusual_scores(self, X):
        raise NotImplementedError


def few_of(X, n=64):
    """At most so many samples of all parts of X: enough to see whether X as a whole is unusual."""
    return X[:: -(-len(X) // n)] if len(X) > n else X


def warn_if_unusual(scores, reference, what="samples", code="unusual-samples"):
    """Warn where samples as a whole are less usual than the reference (rank sum test).

    For the end of `predict`: of ten thousand usual sets one is called unusual.

    scores (n,): Scores of the samples that were given, or of `few_of` them.
    reference (n_reference,): ``usual_scores_``.
    what: Name of the samples.
    code: What the warning is known by.
    """
    found = mannwhitneyu(scores, reference, alternative="greater")
    share = found.statistic / max(len(scores) * len(reference), 1)
    if share > LESS_USUAL and found.pvalue < 1e-4:
        warn_assumption(
            code,
            f"These {what} are unlike those of fit: a typical one is less usual than "
            f"{100 * share:.0f} % of those that were held out there.",
        )


def p_values(scores, reference, rate):
    """Probability of scores as large as these among usual samples.

    scores (n,): NaN is as unusual as can be.
    reference (n_reference,): Scores of usual samples.
    rate: Smallest p-value that matters: where so few references cannot give it, Student's t of
        their mean and spread does.
    Returns p (n,)

    >>> import numpy as np
    >>> from sklearn_meg._checks.unusual import p_values
    >>> p_values(np.array([0.5, 98.5]), np.arange(99.0), 0.05)
    array([0.99, 0.01])
    """
    scores = np.where(np.isnan(scores), np.inf, scores)
    known = np.sort(reference[np.isfinite(reference)])
    n = len(known)
    if n + 1 >= 1 / rate:
        return (1 + n - np.searchsorted(known, scores)) / (n + 1)
    if n < 2:
        return np.ones(len(scores))
    spread = max(known.std(ddof=1), 1e-9 * np.abs(known).max(), 1e-300)
    return student.sf((scores - known.mean()) / (spread * np.sqrt(1 + 1 / n)), n - 1)
