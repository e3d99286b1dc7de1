"""Scaling of channels inside a Pipeline, for trials x rows x times and for the target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import gen_batches
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ._checks.mne_objects import unwrap_mne
from ._checks.params import check_bool_param, check_option_param, check_scalar_param
from ._checks.trials import check_trials, ndim_of, pieces, release_pages, trials_per_chunk
from ._checks.whole import WholeFit
from ._params import documented
from .rows import RowParams, resolve_rows

if TYPE_CHECKING:
    from typing import Literal

    from ._typing import ArrayLike, MneObject, Self

__all__ = ["ChannelScaler"]

# Quantiles need all values of a row at once: as many rows at a time as fit into this.
BLOCK_BYTES = 256 * 2**20


def _is_flat(scaler):
    """Whether the output can be a table: scikit-learn asks before it makes a DataFrame of it."""
    return getattr(scaler, "n_times_in_", 1) == 1


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class ChannelScaler(WholeFit, RowParams, OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Center, scale and clip each channel over trials and times.

    Knows the rows of :func:`~sklearn_meg.pack_rows`: the subject row and the mask row are left
    alone, the rows of the initial MEG are scaled from, and within, their initial window only, and
    samples that the mask leaves out are scaled but not learned from.

    Parameters
    ----------
    method : {"robust", "standard"}, default="robust"
        Median and range between the quartiles, or mean and standard deviation. Where the
        quartiles agree (a stimulus that is mostly zero) the standard deviation is the scale. A
        constant row gets the scale 1.
    clip : float or None, default=None
        Largest absolute value after scaling; what is beyond is set to it. The encoding
        literature rejects beyond 16 robust units.
    by_subject : bool, default=False
        Center and scale every subject on its own. A subject not seen in ``fit`` gets the
        center and scale of all trials together.
    with_centering : bool, default=True
        Whether to subtract the center.
    %(RowParams)s

    Attributes
    ----------
    center_, scale_ : ndarray of shape (n_rows,)
        Center and scale of each row over all trials.
    subjects_ : ndarray of shape (n_subjects,)
        With ``by_subject`` only, as the next two.
    subject_center_, subject_scale_ : ndarray of shape (n_subjects, n_rows)
    n_features_in_, n_times_in_ : int
        Rows and samples of X.

    See Also
    --------
    mne.decoding.Scaler : Scales by channel type or over trials; does not know rows.

    References
    ----------
    Chehab et al. (2021): Deep Recurrent Encoder, arXiv 2103.02339 (robust scaling, limit of 16).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg import ChannelScaler
    >>> meg = 1e-13 * np.random.default_rng(0).normal(size=(20, 4, 50))
    >>> scaler = ChannelScaler(method="standard").fit(meg)
    >>> scaled = scaler.transform(meg)
    >>> scaled.std(axis=(0, 2)).round(6)
    array([1., 1., 1., 1.])
    >>> bool(np.allclose(scaler.inverse_transform(scaled), meg, atol=0))
    True
    """

    method: Literal["robust", "standard"] = "robust"
    clip: float | None = None
    by_subject: bool = False
    with_centering: bool = True

    def fit(self, X: ArrayLike | MneObject, y: object = None) -> Self:
        """Learn center and scale of each row.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_rows, n_times) or (n_trials, n_rows), or MNE object
        y : ignored

        Returns
        -------
        self : ChannelScaler

        Raises
        ------
        ValueError, TypeError
            For NaN or infinity, a wrong number of dimensions, rows that do not exist, or
            ``by_subject`` without ``subject_row``.
        """
        self._check_parameters()
        X = check_trials(self, X, reset=True)
        rows = resolve_rows(self, *X.shape[1:])
        everyone, counted = np.arange(len(X)), rows.counted(X, check=True)
        self.center_, self.scale_ = self._learn(X, rows, everyone, counted)
        for name in ("subjects_", "subject_center_", "subject_scale_"):
            self.__dict__.pop(name, None)
        if self.by_subject:
            values = rows.subject_values(X)
            self.subjects_ = np.unique(values)
            pairs = [
                self._learn(X, rows, np.flatnonzero(values == s), counted) for s in self.subjects_
            ]
            self.subject_center_, self.subject_scale_ = map(np.stack, zip(*pairs))
        return self

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Center, scale and clip.

        Parameters
        ----------
        X : array-like, the dimensions of ``fit`` but for the number of trials

        Returns
        -------
        X_scaled : ndarray of the same shape, float32 for float32, else float64

        Raises
        ------
        ValueError
            For NaN or infinity, or another number of rows or samples than in ``fit``.
        """
        return self._apply(X, self._scale)

    def inverse_transform(self, X: ArrayLike) -> np.ndarray:
        """Go back to the original center and scale; what was clipped stays clipped.

        Parameters
        ----------
        X : array-like, as given back by ``transform``

        Returns
        -------
        X_original : ndarray of the same shape

        Raises
        ------
        ValueError
            As in ``transform``.
        """
        return self._apply(X, self._unscale)

    @available_if(_is_flat)
    def get_feature_names_out(self, input_features=None):
        """Names of the columns of 2-D data, for ``set_output``; 3-D data have no table.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            None: those of ``fit``, or ``x0``, ``x1``, ...

        Returns
        -------
        names : ndarray of str
        """
        return super().get_feature_names_out(input_features)

    def _check_parameters(self):
        check_option_param(self, "method", ("robust", "standard"))
        check_scalar_param(self, "clip", "float", 0, closed="neither", allow_none=True)
        for name in ("by_subject", "with_centering"):
            check_bool_param(self, name)
        if self.by_subject and self.subject_row is None:
            raise ValueError(
                "by_subject=True needs subject_row, the row of X that holds the subject index. "
                "Got subject_row=None."
            )

    def _learn(self, X, rows, trials, counted):
        """Center and scale of every row over some trials; 0 and 1 for subject and mask row."""
        center, scale = np.zeros(X.shape[1]), np.ones(X.shape[1])
        parts = [(rows.features, X.shape[2]), (rows.initial, rows.n_initial)]
        for indices, n_times in parts:
            for block in _row_blocks(indices, len(trials) * n_times * X.itemsize):
                values = _gather(X, trials, block, n_times)
                if counted is not None:
                    there = counted[trials, :n_times].ravel()
                    # In an initial window none may count: then all are learned from.
                    values = values[:, there] if there.any() else values
                for row, one in zip(block, values):
                    center[row], scale[row] = _location_and_scale(one, self.method)
        return (center if self.with_centering else np.zeros_like(center)), scale

    def _apply(self, X, change):
        check_is_fitted(self)
        X = unwrap_mne(X)
        flat = ndim_of(X, "X") == 2
        X = check_trials(self, X, reset=False)
        rows = resolve_rows(self, *X.shape[1:])
        out = np.empty(X.shape, dtype=X.dtype)
        for part in pieces(X):
            values = np.asarray(X[part])
            center, scale = self._of_trials(values, rows)
            out[part] = change(values, center[:, :, np.newaxis], scale[:, :, np.newaxis], rows)
            if len(rows.initial):  # nothing is known after the window: those zeros stay zeros
                out[part, rows.initial, rows.n_initial :] = values[
                    :, rows.initial, rows.n_initial :
                ]
        return out[:, :, 0] if flat else out

    def _scale(self, values, center, scale, rows):
        values = (values - center) / scale
        if self.clip is not None:
            changed = np.concatenate([rows.features, rows.initial])
            values[:, changed] = values[:, changed].clip(-self.clip, self.clip)
        return values

    def _unscale(self, values, center, scale, rows):
        return values * scale + center

    def _of_trials(self, values, rows):
        """Center and scale that each trial gets: (n_trials or 1, n_rows)."""
        if not hasattr(self, "subjects_"):
            return self.center_[np.newaxis], self.scale_[np.newaxis]
        subjects = rows.subject_values(values)
        place = np.searchsorted(self.subjects_, subjects).clip(max=len(self.subjects_) - 1)
        known = (self.subjects_[place] == subjects)[:, np.newaxis]
        return (
            np.where(known, self.subject_center_[place], self.center_),
            np.where(known, self.subject_scale_[place], self.scale_),
        )


def _row_blocks(indices, row_bytes):
    """Cut row indices into blocks whose values fit into `BLOCK_BYTES`."""
    step = max(1, BLOCK_BYTES // max(1, row_bytes))
    return [indices[start : start + step] for start in range(0, len(indices), step)]


def _gather(X, trials, block, n_times):
    """Values of some rows: (n_rows, n_trials * n_times)."""
    values = np.empty((len(block), len(trials), n_times), dtype=X.dtype)
    for part in gen_batches(len(trials), trials_per_chunk(X)):
        values[:, part] = X[np.ix_(trials[part], block)][:, :, :n_times].swapaxes(0, 1)
        release_pages(X)
    return values.reshape(len(block), -1)


def _location_and_scale(values, method):
    """Center and scale of one row; the scale of a constant row is 1."""
    values = values.astype(np.float64)
    rounding = 10 * np.finfo(float).eps * np.abs(values).max()
    center, deviation = values.mean(), values.std()
    if deviation <= rounding:  # of the mean: no signal
        return center, 1.0
    if method == "standard":
        return center, deviation
    low, center, high = np.quantile(values, [0.25, 0.5, 0.75])
    return center, (high - low if high - low > rounding else deviation)
