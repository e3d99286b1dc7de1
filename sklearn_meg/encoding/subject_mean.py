"""The mean response of each subject: what every encoder must beat."""

import numpy as np

from ._linear import LinearEncoder, read_blocks, trials_of


class SubjectMean(LinearEncoder):
    """Predict the subject's mean response, whatever the stimulus.

    Parameters
    ----------
    subject_row : int or None, default=None
        Row of X with the subject index. None: all trials are of one subject.
    initial_rows : slice, list of int or None, default=None
        Rows of X with the initial MEG; not used for the prediction.
    n_initial : int, default=0
        Length of the initial window in samples, not used either.

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

    def __init__(self, subject_row=None, initial_rows=None, n_initial=0):
        self.subject_row = subject_row
        self.initial_rows = initial_rows
        self.n_initial = n_initial

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True  # it does not look at the stimulus
        return tags

    def _check_params(self, X, y, rows):
        pass

    def _fit_subjects(self, X, y, rows, trials_of_subjects):
        means = []
        for trials in trials_of_subjects:
            step = trials_of(y.shape[2], y.shape[1])
            total = sum(block.sum(axis=1) for (block,) in read_blocks([(y, None)], trials, step))
            means.append(total / len(trials))
        self.subject_mean_ = np.array(means)
        self.mean_ = self.subject_mean_.mean(axis=0)

    def _predict_trials(self, X, rows, models):
        return np.concatenate([self.subject_mean_, self.mean_[np.newaxis]])[models]
