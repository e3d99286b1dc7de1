"""What an encoder needs per trial, packed into X as rows.

scikit-learn's scorers hand only X to ``predict``. So the subject index and the initial MEG
travel inside X beside the stimulus features, and every splitter, Pipeline and search works
unchanged.
"""

from dataclasses import dataclass
from numbers import Integral

import numpy as np

from .._validation import chunks, release_pages, unwrap_mne


def pack_rows(features, *, subjects=None, initial=None, n_initial=None):
    """Put stimulus features, subject index and initial MEG into one X.

    Parameters
    ----------
    features : array-like of shape (n_trials, n_features, n_times)
        Stimulus time courses. ``(n_trials, n_times)`` is one feature.
    subjects : array-like of int of shape (n_trials,), default=None
        Subject of each trial, from 0 on.
    initial : array-like of shape (n_trials, n_channels, n_times) or Epochs, default=None
        The measured MEG. Only its first `n_initial` samples are put into X, the rest is zero:
        an encoder may know how a trial begins, never what it has to predict.
    n_initial : int, default=None
        Length of the initial window in samples, needed with `initial`.

    Returns
    -------
    X : ndarray of shape (n_trials, n_features [+ 1] [+ n_channels], n_times)
        Features first, then the subject, then the initial MEG.
    rows : dict
        Constructor parameters ``subject_row``, ``initial_rows`` and ``n_initial`` that tell any
        encoder of this package, and :class:`~sklearn_meg.ChannelScaler`, where things are.

    Raises
    ------
    ValueError
        If the parts do not have the same trials or samples, or `n_initial` is missing, not
        positive, or not shorter than the trials.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg import RecurrentTRF, pack_rows
    >>> rng = np.random.default_rng(0)
    >>> features, meg = rng.normal(size=(20, 2, 50)), rng.normal(size=(20, 4, 50))
    >>> X, rows = pack_rows(features, subjects=np.arange(20) % 2, initial=meg, n_initial=10)
    >>> X.shape
    (20, 7, 50)
    >>> rows
    {'subject_row': 2, 'initial_rows': slice(3, 7, None), 'n_initial': 10}
    >>> encoder = RecurrentTRF(**rows).fit(X, meg)
    """
    features = np.asarray(features)
    features = features[:, np.newaxis] if features.ndim == 2 else features
    if features.ndim != 3:
        raise ValueError(
            "features must have the shape (n_trials, n_features, n_times). "
            f"Got {np.shape(features)}."
        )
    n_trials, n_features, n_times = features.shape
    parts = [features]
    rows = {"subject_row": None, "initial_rows": None, "n_initial": 0}
    if subjects is not None:
        subjects = np.asarray(subjects)
        if subjects.shape != (n_trials,):
            raise ValueError(
                f"subjects must hold one index a trial, shape ({n_trials},). Got {subjects.shape}."
            )
        check_subject_values(subjects)
        parts.append(np.broadcast_to(subjects[:, None, None], (n_trials, 1, n_times)))
        rows["subject_row"] = n_features
    if initial is not None:
        initial = np.asarray(unwrap_mne(initial))
        if initial.ndim != 3 or (len(initial), initial.shape[2]) != (n_trials, n_times):
            raise ValueError(
                f"initial must have the shape ({n_trials}, n_channels, {n_times}) to go with the "
                f"features. Got {initial.shape}."
            )
        n_initial = _check_n_initial(n_initial, n_times)
        start = sum(part.shape[1] for part in parts)
        parts.append(np.where(np.arange(n_times) < n_initial, initial, 0.0))
        rows.update(initial_rows=slice(start, start + initial.shape[1]), n_initial=n_initial)
    elif n_initial:
        raise ValueError(f"n_initial={n_initial} needs the MEG as initial.")
    dtype = np.result_type(np.float32, *(p.dtype for p in parts if p.dtype.kind == "f"))
    return np.concatenate(parts, axis=1, dtype=dtype), rows


@dataclass(frozen=True)
class Rows:
    """Where the parts of X are, checked: indices into its rows."""

    features: np.ndarray
    subject: int | None
    initial: np.ndarray
    n_initial: int

    def subject_values(self, X):
        """Subject index of each trial, as integers.

        Raises
        ------
        ValueError
            If it is not an integer from 0 on, or changes within a trial.
        """
        if self.subject is None:
            return np.zeros(len(X), dtype=np.int64)
        values = []
        for part in chunks(X):  # of a memory-mapped X never all pages at once
            values.append(self._subject_values(np.asarray(X[part, self.subject]), part.start))
            release_pages(X)
        return np.concatenate(values)

    def _subject_values(self, values, start):
        if (values != values[:, :1]).any():
            trial = int(np.flatnonzero((values != values[:, :1]).any(axis=1))[0])
            raise ValueError(
                f"The subject row (row {self.subject} of X) must be constant within a trial. "
                f"Trial {start + trial} has values from {values[trial].min():g} to "
                f"{values[trial].max():g}."
            )
        return check_subject_values(values[:, 0])

    def initial_values(self, X):
        """MEG of the initial window, (n_trials, n_initial_rows, n_initial)."""
        return X[:, self.initial, : self.n_initial]


def resolve_rows(estimator, n_rows, n_times):
    """Check the row parameters of an estimator against the shape of X.

    Parameters
    ----------
    estimator : object with ``subject_row``, ``initial_rows`` and ``n_initial``
    n_rows, n_times : int
        Shape of X.

    Returns
    -------
    rows : Rows

    Raises
    ------
    ValueError
        If a row does not exist, two parts share a row, no stimulus row is left, or the initial
        window is not shorter than the trials.
    """
    name = type(estimator).__name__
    every = np.arange(n_rows)
    subject = None
    if estimator.subject_row is not None:
        if not isinstance(estimator.subject_row, Integral):
            raise ValueError(
                f"The 'subject_row' parameter of {name} must be an int or None. "
                f"Got {estimator.subject_row!r} instead."
            )
        subject = int(_take(every, estimator.subject_row, "subject_row", name))
    if estimator.initial_rows is None:
        initial, n_initial = every[:0], 0
        if estimator.n_initial:
            raise ValueError(
                f"n_initial={estimator.n_initial} of {name} needs initial_rows, the rows of X "
                "that hold the initial MEG."
            )
    else:
        initial = np.atleast_1d(_take(every, estimator.initial_rows, "initial_rows", name))
        n_initial = _check_n_initial(estimator.n_initial, n_times)
        if not len(initial):
            raise ValueError(
                f"initial_rows={estimator.initial_rows!r} of {name} selects none of the "
                f"{n_rows} rows of X."
            )
    features = np.setdiff1d(every, np.append(initial, [] if subject is None else subject))
    if subject is not None and subject in initial:
        raise ValueError(f"Row {subject} of X cannot be both subject_row and one of initial_rows.")
    if not len(features):
        raise ValueError(
            f"X has {n_rows} row(s), all of them named as subject_row or initial_rows of {name}: "
            "no stimulus feature is left."
        )
    return Rows(features, subject, initial, n_initial)


def check_subject_values(values):
    """Return subject indices as integers; complain if they are none."""
    values = np.asarray(values)
    bad = values[~np.isfinite(values)] if values.dtype.kind == "f" else values[:0]
    if values.dtype.kind not in "iuf" or len(bad) or (values != np.round(values)).any():
        example = values[values != np.round(values)][:1] if values.dtype.kind == "f" else values[:1]
        raise ValueError(
            f"The subject index must be an integer from 0 on in every trial. Got "
            f"{(bad if len(bad) else example)[0]!r}. (Was X scaled without leaving out the "
            "subject row?)"
        )
    if (values < 0).any():
        raise ValueError(f"The subject index must be an integer from 0 on. Got {values.min():g}.")
    return values.astype(np.int64)


def _take(every, rows, parameter, name):
    try:
        return every[list(rows) if isinstance(rows, tuple | range) else rows]
    except (IndexError, TypeError) as error:
        raise ValueError(
            f"The {parameter!r} parameter of {name} must select among the {len(every)} rows of X. "
            f"Got {rows!r} instead."
        ) from error


def _check_n_initial(n_initial, n_times):
    if n_initial is None or not isinstance(n_initial, Integral) or n_initial < 1:
        raise ValueError(
            "n_initial, the length of the initial window in samples, must be a positive int. "
            f"Got {n_initial!r}."
        )
    if n_initial >= n_times:
        raise ValueError(
            f"The initial window must be shorter than a trial, which has {n_times} samples. "
            f"Got n_initial={n_initial}."
        )
    return int(n_initial)
