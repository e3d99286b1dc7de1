"""What an encoder needs per trial, packed into X as rows.

scikit-learn's scorers hand only X to ``predict``. So the subject index and the initial MEG
travel inside X beside the stimulus features, and every splitter, Pipeline and search works
unchanged.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import gen_batches

from ._checks.mne_objects import unwrap_mne
from ._checks.trials import as_mask, pieces, release_pages, trials_per_chunk
from ._padding import check_something_counts, is_ragged, join_masks, pad_trials
from ._params import param
from ._saving.store import write_whole

if TYPE_CHECKING:
    from os import PathLike

    from ._typing import ArrayLike, BaseEpochs

__all__ = ["pack_rows", "pad_trials"]


def pack_rows(
    features: ArrayLike,
    *,
    subjects: ArrayLike | None = None,
    initial: ArrayLike | BaseEpochs | None = None,
    n_initial: int | None = None,
    mask: ArrayLike | None = None,
    out: str | PathLike[str] | None = None,
) -> tuple[np.ndarray, dict[str, Any]]:
    """Put stimulus features, subject index, initial MEG and mask into one X.

    Parameters
    ----------
    features : array-like of shape (n_trials, n_features, n_times)
        Stimulus time courses. ``(n_trials, n_times)`` is one feature. A list of arrays
        ``(n_features, n_times_i)`` of unequal length is filled up with zeros at the end, and a
        mask is made (see :func:`~sklearn_meg.pad_trials`, also for the MEG).
    subjects : array-like of int of shape (n_trials,), default=None
        Subject of each trial, from 0 on; of names, the index that
        ``np.unique(names, return_inverse=True)`` gives.
    initial : array-like of shape (n_trials, n_channels, n_times) or Epochs, default=None
        The measured MEG. Only its first `n_initial` samples are put into X, the rest is zero:
        an encoder may know how a trial begins, never what it has to predict. A list of arrays
        if the features are one.
    n_initial : int, default=None
        Length of the initial window in samples, needed with `initial`.
    mask : array-like of bool of shape (n_trials, n_times), default=None
        True where the sample counts, in training and in scores: the MEG at the others may be any
        finite number. Stimulus and initial MEG are used as given wherever they are.
    out : path or None, default=None
        File ``.npy`` to write X to, some trials at a time, for an X that does not fit into
        memory. Features and MEG may be memory-mapped as well.

    Returns
    -------
    X : ndarray of shape (n_trials, n_features [+ 1] [+ n_channels] [+ 1], n_times)
        Features first, then the subject, the initial MEG, and the mask. With `out` memory-mapped
        for reading.
    rows : dict
        Constructor parameters ``subject_row``, ``initial_rows``, ``n_initial`` and ``mask_row``
        that tell any encoder of this package, and :class:`~sklearn_meg.ChannelScaler`, where
        things are.

    Raises
    ------
    ValueError
        If the parts do not have the same trials or samples, or are no real numbers; if
        `n_initial` is missing, not positive, or not shorter than the trials; or if the mask is
        not 0 or 1, or leaves a trial no sample after its initial window.

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
    {'subject_row': 2, 'initial_rows': slice(3, 7, None), 'n_initial': 10, 'mask_row': None}
    >>> encoder = RecurrentTRF(**rows).fit(X, meg)

    Trials of unequal length:

    >>> sounds = [rng.normal(size=(1, n)) for n in (40, 50, 60)]
    >>> X, rows = pack_rows(sounds)
    >>> X.shape, rows["mask_row"]
    ((3, 2, 60), 1)
    """
    features, padding = pad_trials(features) if is_ragged(features) else (features, None)
    lengths = None if padding is None else padding.sum(axis=1).tolist()
    features = _real_numbers(features, "features")
    features = features[:, np.newaxis] if features.ndim == 2 else features
    if features.ndim != 3:
        raise ValueError(
            "features must have the shape (n_trials, n_features, n_times). "
            f"Got {np.shape(features)}."
        )
    n_trials, n_features, n_times = features.shape
    parts = [features]
    rows = {"subject_row": None, "initial_rows": None, "n_initial": 0, "mask_row": None}
    mask = join_masks(mask, padding, n_trials, n_times)
    if subjects is not None:
        subjects = np.asarray(subjects)
        if subjects.shape != (n_trials,):
            raise ValueError(
                f"subjects must hold one index a trial, shape ({n_trials},). Got {subjects.shape}."
            )
        check_subject_values(subjects)
        if subjects.max(initial=0) > 2**24:  # float32 would merge neighbors
            subjects = subjects.astype(np.float64)
        parts.append(np.broadcast_to(subjects[:, None, None], (n_trials, 1, n_times)))
        rows["subject_row"] = n_features
    if initial is not None:
        initial = _initial_array(initial, lengths)
        if initial.ndim != 3 or (len(initial), initial.shape[2]) != (n_trials, n_times):
            raise ValueError(
                f"initial must have the shape ({n_trials}, n_channels, {n_times}) to go with the "
                f"features. Got {initial.shape}."
            )
        n_initial = _check_n_initial(n_initial, n_times)
        start = sum(part.shape[1] for part in parts)
        parts.append(initial)
        rows.update(initial_rows=slice(start, start + initial.shape[1]), n_initial=n_initial)
    elif n_initial:
        raise ValueError(f"n_initial={n_initial} needs the MEG as initial.")
    if mask is not None:
        check_something_counts(mask, rows["n_initial"])
        rows["mask_row"] = sum(part.shape[1] for part in parts)
        parts.append(mask[:, np.newaxis])
    return _joined(parts, rows, out), rows


def _joined(parts, rows, out):
    """All rows of X, in memory or in a file; of the initial MEG its window, the rest zero."""
    dtype = np.result_type(np.float32, *(p.dtype for p in parts if p.dtype.kind == "f"))
    shape = (len(parts[0]), sum(part.shape[1] for part in parts), parts[0].shape[2])
    blocks = _blocks(parts, rows, np.empty((1, *shape[1:]), dtype))
    if out is None:
        X = np.empty(shape, dtype)
        for trials, block in blocks:
            X[trials] = block
        return X

    def write(file):
        descr = np.lib.format.dtype_to_descr(dtype)
        header = {"descr": descr, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for _, block in blocks:
            file.write(block.data)

    write_whole(out, write)
    return np.load(out, mmap_mode="r")


def _blocks(parts, rows, trial):
    """Some trials of X at a time, `trial` being one."""
    n_trials = trials_per_chunk(trial)
    for trials in gen_batches(len(parts[0]), n_trials):
        block = np.concatenate([part[trials] for part in parts], axis=1, dtype=trial.dtype)
        if rows["initial_rows"] is not None:
            block[:, rows["initial_rows"], rows["n_initial"] :] = 0.0
        yield trials, block
        release_pages(*parts)


def _initial_array(initial, lengths):
    """Measured MEG as an array, filled up with zeros where the features were."""
    if lengths is None:
        return _real_numbers(unwrap_mne(initial), "initial")
    got = [np.shape(trial)[-1] for trial in initial]
    if got != lengths:
        raise ValueError(
            f"initial must be a list of {len(lengths)} arrays as long as the features. Got "
            f"{len(got)} arrays, of {got[:5]} samples where the features have {lengths[:5]}."
        )
    return _real_numbers(pad_trials(initial)[0], "initial")


def _real_numbers(values, name):
    """Return `values` as an array of real numbers; an object array if it holds nothing else."""
    values = values if isinstance(values, np.memmap) else np.asarray(values)
    if values.dtype.kind == "O":
        with suppress(TypeError, ValueError):
            values = values.astype(float)
    if values.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold real numbers. Got the type {values.dtype}.")
    return values


@dataclass(kw_only=True, eq=False, repr=False)
class RowParams:
    """Rows of X that are not stimulus features, as :func:`pack_rows` returns them."""

    subject_row: int | None = param(
        None, "int or None", "Row of X with the subject index; see :func:`~sklearn_meg.pack_rows`."
    )
    initial_rows: slice | list[int] | None = param(
        None,
        "slice, list of int or None",
        "Rows of X with the MEG of the initial window. None predicts from the stimulus alone.",
    )
    n_initial: int = param(0, "int", "Length of the initial window in samples.")
    mask_row: int | None = param(
        None,
        "int or None",
        "Row of X that is 1 where a sample is valid and 0 where not: in the loss, in scalings and "
        "in scores. Stimulus and initial MEG are used as given wherever they are.",
    )


@dataclass(frozen=True)
class Rows:
    """Places of the parts of X, checked: indices into its rows."""

    features: np.ndarray
    subject: int | None
    initial: np.ndarray
    n_initial: int
    mask: int | None = None

    def subject_values(self, X):
        """Subject index of each trial, as integers.

        Raises ValueError if it is not an integer from 0 on, or changes within a trial.
        """
        if self.subject is None:
            return np.zeros(len(X), dtype=np.int64)
        found = [
            self._subject_values(np.asarray(X[part, self.subject]), part.start)
            for part in pieces(X)
        ]
        return np.concatenate(found)

    def _subject_values(self, values, start):
        if (values != values[:, :1]).any():
            trial = int(np.flatnonzero((values != values[:, :1]).any(axis=1))[0])
            raise ValueError(
                f"The subject row (row {self.subject} of X) must be constant within a trial. "
                f"Trial {start + trial} has values from {values[trial].min():g} to "
                f"{values[trial].max():g}."
            )
        return check_subject_values(values[:, 0])

    def counted(self, X, *, check=False):
        """Samples that count: bool (n_trials, n_times), or None if all do.

        With `check` each trial must have one that counts after its initial window.

        Raises ValueError if the mask is not 0 or 1, or by `check`.
        """
        if self.mask is None:
            return None
        name = f"The mask row (row {self.mask} of X)"
        values = np.concatenate([as_mask(X[part, self.mask], name) for part in pieces(X)])
        if check:
            check_something_counts(values, self.n_initial)
        return values

    def mask_source(self, X):
        """Rows to read beside others of X, to know which samples count."""
        return [] if self.mask is None else [(X, [self.mask])]

    def initial_values(self, X):
        """MEG of the initial window, (n_trials, n_initial_rows, n_initial)."""
        return X[:, self.initial, : self.n_initial]


def resolve_rows(estimator, n_rows, n_times):
    """Check the row parameters of an estimator against the shape of X.

    estimator (object with ``subject_row``, ``initial_rows``, ``n_initial`` and ``mask_row``)
    n_rows, n_times: Shape of X.
    Returns rows (Rows)
    Raises ValueError if a row does not exist or is named twice, two parts share a row, no stimulus
        row is left, or the initial window is not shorter than the trials.
    """
    name = type(estimator).__name__
    every = np.arange(n_rows)
    subject = _one_row(estimator, "subject_row", every)
    mask = _one_row(estimator, "mask_row", every)
    if estimator.initial_rows is None:
        initial, n_initial = every[:0], 0
        if estimator.n_initial:
            raise ValueError(
                f"n_initial={estimator.n_initial} of {name} needs initial_rows, the rows of X "
                "that hold the initial MEG."
            )
    else:
        initial = np.atleast_1d(_take(every, estimator.initial_rows, "initial_rows", name))
        if len(np.unique(initial)) < len(initial):
            raise ValueError(
                f"initial_rows of {name} must name each row of X once. "
                f"Got {estimator.initial_rows!r}."
            )
        n_initial = _check_n_initial(estimator.n_initial, n_times)
        if not len(initial):
            raise ValueError(
                f"initial_rows={estimator.initial_rows!r} of {name} selects none of the "
                f"{n_rows} rows of X."
            )
    single = {"subject_row": subject, "mask_row": mask}
    single = {key: row for key, row in single.items() if row is not None}
    for key, row in single.items():
        others = [k for k, r in single.items() if r == row and k != key]
        others += ["one of initial_rows"] * (row in initial)
        if others:
            raise ValueError(f"Row {row} of X cannot be both {key} and {others[0]}.")
    features = np.setdiff1d(every, [*initial, *single.values()])
    if not len(features):
        named = " or ".join([*single, "initial_rows"])
        raise ValueError(
            f"X has {n_rows} row(s), all of them named as {named} of {name}: no stimulus feature "
            "is left."
        )
    return Rows(features, subject, initial, n_initial, mask)


def check_subject_values(values):
    """Return subject indices as integers; reject anything else."""
    values = np.asarray(values)
    if values.dtype.kind in "OUS":
        raise ValueError(
            "Subjects must be integers from 0 on, indices into a list of names. "
            f"Got {values.ravel().tolist()[0]!r}. "
            "(np.unique(names, return_inverse=True) gives both.)"
        )
    bad = values[~np.isfinite(values)] if values.dtype.kind == "f" else values[:0]
    if values.dtype.kind not in "iuf" or len(bad) or (values != np.round(values)).any():
        example = values[values != np.round(values)][:1] if values.dtype.kind == "f" else values[:1]
        raise ValueError(
            f"The subject index must be an integer from 0 on in every trial. Got "
            f"{(bad if len(bad) else example).tolist()[0]!r}. (Was X scaled without leaving out "
            "the subject row?)"
        )
    if (values < 0).any() or (values > 2**53).any():
        wrong = values.min() if (values < 0).any() else values.max()
        raise ValueError(f"The subject index must be an integer from 0 to 2**53. Got {wrong:g}.")
    return values.astype(np.int64)


def _one_row(estimator, parameter, every):
    row = getattr(estimator, parameter, None)
    if row is None:
        return None
    name = type(estimator).__name__
    if not isinstance(row, Integral) or isinstance(row, bool):
        got = row.item() if isinstance(row, np.generic) else row
        raise ValueError(
            f"The {parameter!r} parameter of {name} must be an int or None. Got {got!r} instead."
        )
    return int(_take(every, row, parameter, name))


def _take(every, rows, parameter, name):
    try:
        return every[list(rows) if isinstance(rows, tuple | range) else rows]
    except (IndexError, TypeError) as error:
        raise ValueError(
            f"The {parameter!r} parameter of {name} must select among the {len(every)} rows of X. "
            f"Got {rows!r} instead."
        ) from error


def _check_n_initial(n_initial, n_times):
    if not isinstance(n_initial, Integral) or isinstance(n_initial, bool) or n_initial < 1:
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


def mask_of(X, mask_row):
    """The mask that is a row of X: bool (n_trials, n_times).

    Raises ValueError if there is no such row, or it is not 0 or 1.
    """
    if np.ndim(X) not in (2, 3) or not -X.shape[1] <= mask_row < X.shape[1]:
        raise ValueError(f"mask_row must be a row of X, of shape {np.shape(X)}. Got {mask_row!r}.")
    return as_mask(np.asarray(X[:, mask_row]).reshape(len(X), -1), f"Row {mask_row} of X")


def split_session(X, session_row):
    """Signals without the session's row, and the sessions (n_trials,) or None.

    Raises ValueError, TypeError for a row that X does not have, that is not constant within a
        trial, or whose numbers are too large for the precision of X.
    """
    if session_row is None:
        return X, None
    n_rows = X.shape[1]
    if isinstance(session_row, bool) or not isinstance(session_row, int | np.integer):
        got = session_row.item() if isinstance(session_row, np.generic) else session_row
        raise TypeError(f"session_row must be an int or None. Got {got!r}.")
    if not -n_rows <= session_row < n_rows or n_rows < 2:
        raise ValueError(
            f"session_row must select one of the rows of X beside others. Got {session_row} for "
            f"{n_rows} rows."
        )
    rows = X[:, session_row]
    if (rows != rows[:, :1]).any():
        trial = int(np.flatnonzero((rows != rows[:, :1]).any(1))[0])
        raise ValueError(
            f"session_row={session_row}: the session must be constant within a trial. Trial "
            f"{trial} holds {np.unique(rows[trial])[:3].tolist()}."
        )
    largest = np.abs(rows[:, 0]).max(initial=0)
    if X.dtype.kind == "f" and largest > 2.0 ** (np.finfo(X.dtype).nmant + 1):
        raise ValueError(
            f"session_row={session_row}: {X.dtype} takes neighboring numbers as large as "
            f"{largest:.0f} for the same session. Number the sessions, or give X as float64."
        )
    return np.delete(X, session_row % n_rows, axis=1), rows[:, 0].astype(float)
