"""The mean response of each subject: what every encoder must beat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._params import documented
from ..rows import RowParams
from ._base import LinearEncoder
from ._blocks import not_zero, read_blocks, trials_of, weighed


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class SubjectMean(RowParams, LinearEncoder):
    """Predict the subject's mean response, whatever the stimulus.

    Parameters
    ----------
    %(RowParams)s

    Attributes
    ----------
    subjects_ : ndarray of shape (n_subjects,)
        Subject indices seen in ``fit``.
    subject_mean_ : ndarray of shape (n_subjects, n_channels, n_times)
        Mean response of each subject.
    mean_ : ndarray of shape (n_channels, n_times)
        Mean over subjects, predicted for a subject that was not seen.
    n_features_in_, n_times_in_, n_outputs_ : int
        Rows and samples of X, channels of y.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg import SubjectMean
    >>> X, y = np.zeros((4, 1, 3)), np.arange(24.0).reshape(4, 2, 3)
    >>> SubjectMean().fit(X, y).predict(X[:1])
    array([[[ 9., 10., 11.],
            [12., 13., 14.]]])
    """

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True  # it does not look at the stimulus
        return tags

    def _check_params(self, X, y, rows):
        pass

    def _fit_subjects(self, X, y, rows, trials_of_subjects):
        sums, counts = [], []
        for trials in trials_of_subjects:
            step = trials_of(y.shape[2], y.shape[1])
            blocks = read_blocks([(y, None), *rows.mask_source(X)], trials, step)
            parts = [
                (weighed(b, c).sum(axis=1), c[0][0].sum(axis=0) if c else b.shape[1])
                for b, *c in blocks
            ]
            sums.append(sum(total for total, _ in parts))
            counts.append(np.broadcast_to(sum(count for _, count in parts), y.shape[2]))
        sums, counts = np.array(sums), np.array(counts)[:, np.newaxis]
        channel = sums.sum(axis=(0, 2)) / counts.sum()
        means = sums / not_zero(counts)
        n_subjects = (counts > 0).sum(axis=0)
        self.mean_ = means.sum(axis=0) / np.maximum(n_subjects, 1)
        self.mean_ = np.where(n_subjects > 0, self.mean_, channel[:, np.newaxis])
        self.subject_mean_ = np.where(counts > 0, means, self.mean_)

    def _predict_trials(self, X, rows, models):
        return np.concatenate([self.subject_mean_, self.mean_[np.newaxis]])[models]
