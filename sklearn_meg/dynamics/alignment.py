"""Recordings that differ, made alike before states are looked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._checks.params import check_bool_param, check_option_param
from .._params import documented
from .._training.threads import one_blas_thread
from ._align import Aligner, Static
from ._alignment_choice import ALIGNMENTS, chosen_aligner, name_of, parse, statics_of
from ._prepare import check_alignable
from ._recordings import check_recordings
from ._settings import ALIGN
from .preprocessing import RecordingTransformer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._typing import ArrayLike, Self


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class RecordingAlignment(RecordingTransformer):
    """Align recordings in mean, variance, covariance or signs of regions, without labels.

    People differ in more than the states of their brains: gains, anatomy, and, after source
    reconstruction, arbitrary signs. A hidden Markov model finds these differences first. Each
    recording is mapped to the group by its own moments only, so a new recording needs no other.

    Parameters
    ----------
    align : {"auto", "none", "zscore", "covariance", "signs", "signs+zscore", \
"signs+covariance"}, default="auto"
        "zscore": mean and variance of each region. "covariance": by the linear map that gives the
        recording the group's covariance and moves samples least [1]_; correlations of the
        recording are shrunk towards the group's. "signs": flips of regions under which
        correlations are most like the group's. "auto" takes the simplest of all under which
        recordings left out are likely.
    robust : bool, default=True
        Take moments under a t distribution, so that a few bad samples do not matter.

    Attributes
    ----------
    alignment_ : str
        The method, one of `align`.
    weight_ : float
        Samples that the group's correlations count as for "covariance".
    scores_ : dict of ndarray
        ``method``, ``weight``, ``signs`` and ``loglik`` of all that was compared: log-likelihood
        per sample of one half of a left-out recording, aligned by its other half, under a Gaussian
        of the other recordings.
    group_mean_ : ndarray of shape (n_regions,)
    group_covariance_ : ndarray of shape (n_regions, n_regions)
    n_features_in_ : int
        Number of regions.

    Raises
    ------
    ValueError
        In ``fit`` and ``transform``: regions that differ in number, are constant in a recording, or
        recordings of fewer than 16 samples, unless nothing is aligned.

    See Also
    --------
    HiddenMarkovGraph : Does the same inside, by its parameter `align`.

    References
    ----------
    .. [1] Olkin, Pukelsheim (1982), The distance between two random vectors with given dispersion
       matrices, Linear algebra and its applications 48.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.datasets import make_states
    >>> from sklearn_meg.dynamics import RecordingAlignment
    >>> X = make_states("easy", n_times=300, n_regions=10).X
    >>> gains = np.random.default_rng(0).lognormal(0, 1, size=(6, 10, 1))
    >>> alignment = RecordingAlignment().fit(X * gains)
    >>> alignment.alignment_
    'zscore'
    >>> bool(alignment.transform(X * gains).std(axis=2).std(axis=0).max() < 0.3)
    True
    """

    align: str = "auto"
    robust: bool = True

    @one_blas_thread()
    def fit(self, X: ArrayLike | Sequence[ArrayLike], y: None = None) -> Self:
        """Choose the method and learn the moments of the group.

        Parameters
        ----------
        X : array-like of shape (n_subjects, n_regions, n_times), list of (n_regions, n_times), or \
(n_times, n_regions)
            Samples in which any region is NaN do not count.
        y : None
            Ignored.

        Returns
        -------
        self : object
        """
        check_option_param(self, "align", ALIGNMENTS)
        check_bool_param(self, "robust")
        recordings = check_recordings(self, X, reset=True, missing="mask")
        statics = self._statics(recordings)
        check_alignable(statics, self.align)
        aligner, self.scores_ = chosen_aligner(statics, self.align)
        self.alignment_ = name_of(aligner)
        self.weight_ = float(aligner.weight)
        self.group_mean_, self.group_covariance_ = aligner.group.mean, aligner.group.covariance
        self._n_features_out = self.n_features_in_
        return self

    def _statics(self, recordings):
        dof = ALIGN.robust_dof if self.robust else np.inf
        return [statics_of(part, dof) for part in recordings.parts]

    def _maps(self, recordings):
        statics = self._statics(recordings)
        check_alignable(statics, self.alignment_)
        method, signs = parse(self.alignment_)
        group = Static(0.0, self.group_mean_, self.group_covariance_)
        aligner = Aligner(method, group, self.weight_, signs)
        return [aligner.map_of(whole) for whole, _ in statics]

    def transform(self, X: ArrayLike | Sequence[ArrayLike]) -> np.ndarray | list[np.ndarray]:
        """Map each recording by its own moments.

        Parameters
        ----------
        X : array-like of shape (n_subjects, n_regions, n_times), list of (n_regions, n_times), or \
(n_times, n_regions)

        Returns
        -------
        aligned : array or list
            Shaped as X.
        """
        check_is_fitted(self)
        recordings = check_recordings(self, X, reset=False, missing="mask", min_times=1)
        if self.alignment_ == "none":
            parts = [np.array(part, dtype=float) for part in recordings.parts]
        else:
            with one_blas_thread():
                maps = self._maps(recordings)
                pairs = zip(maps, recordings.parts)
                parts = [change(np.asarray(part, dtype=float)) for change, part in pairs]
        return recordings.together(parts)

    def to_recordings(
        self, X: ArrayLike | Sequence[ArrayLike], means: ArrayLike, covariances: ArrayLike
    ) -> tuple[np.ndarray, np.ndarray]:
        """Map moments of states from the space of the group to that of each recording.

        Parameters
        ----------
        X : array-like of shape (n_subjects, n_regions, n_times), list of (n_regions, n_times), or \
(n_times, n_regions)
            Recordings before alignment.
        means : array-like of shape (n_states, n_regions)
        covariances : array-like of shape (n_states, n_regions, n_regions)

        Returns
        -------
        means : ndarray of shape (n_recordings, n_states, n_regions)
        covariances : ndarray of shape (n_recordings, n_states, n_regions, n_regions)
        """
        check_is_fitted(self)
        recordings = check_recordings(self, X, reset=False, missing="mask")
        means, covariances = np.asarray(means), np.asarray(covariances)
        back = [m.back(means, covariances) for m in self._maps(recordings)]
        return np.stack([b[0] for b in back]), np.stack([b[1] for b in back])
