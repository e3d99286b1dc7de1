"""Temporal receptive field: ridge regression of the response on the lagged stimulus."""

from __future__ import annotations

from itertools import product
from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import pinvh

from .._checks.params import check_bool_param, check_scalar_param
from ._base import LinearEncoder, resolve_alphas, resolve_delays
from ._blocks import contiguous_folds, mean_of_rows, read_blocks
from ._lags import lag_sums, lagged, ridge, ridge_path_errors, trials_per_block

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Literal

GROUP_FACTORS = (1.0, 10.0, 100.0)


class TemporalReceptiveField(LinearEncoder):
    """Linear encoder: each channel is a filtered sum of the stimulus features.

    The same model, at one alpha, as :class:`mne.decoding.ReceptiveField` with a float as
    estimator, with trials on axis 0, a penalty chosen per channel, and one model a subject.
    It is computed from lag covariances: memory does not grow with the number of trials.

    Parameters
    ----------
    tmin, tmax : float, default=0.0, None
        First and last lag in seconds (samples with ``sfreq=1``). Positive lags: the response
        follows the stimulus. ``tmax=None``: 40 lags, or as many as the trial has.
    sfreq : float, default=1.0
        Sampling frequency in Hz.
    alphas : float or list of float, default=10 values from 0.1 to 1e8
        Ridge penalties to choose from, on the scale of the sum over all samples of the squared
        features (as in MNE and scikit-learn). A float is taken as it is.
    alpha_per_target : bool, default=True
        Choose alpha for each channel, or one for all.
    feature_groups : list of lists of int, dict of lists of int, or None, default=None
        Banded ridge: groups of rows of X with a penalty each. The penalties tried are each alpha
        times 1, 10 or 100 for each group (at least one group has factor 1); with more than four
        groups that is a long search. Every stimulus row belongs to exactly one group. With
        `alphas` a float the factors are still chosen.
    fit_intercept : bool, default=True
        Center X and y over trials and samples. As in MNE, a lag that reaches outside the trial
        meets the mean of the feature in ``fit`` and zero in ``predict``.
    cv : int, default=5
        Number of folds of neighboring trials to choose alpha on (fewer if there are fewer
        trials). With a single trial, which cannot be split, the middle alpha is taken.
    subject_row : int or None, default=None
        Row of X with the subject index: one model a subject.
    initial_rows : slice, list of int or None, default=None
        Rows of X with the initial MEG. They are not a stimulus, so this model ignores them.
    n_initial : int, default=0
        Length of the initial window in samples, ignored.
    mask_row : int or None, default=None
        Row of X that is 1 where a sample counts and 0 where not; see
        :func:`~sklearn_meg.pack_rows`. Responses that do not count enter neither the
        means nor the covariances. The stimulus is used as given wherever a lag meets it.
    unknown_subject : {"population", "error"}, default="population"
        A subject that was not seen gets the mean model, or is an error.

    Attributes
    ----------
    coef_ : ndarray of shape (n_channels, n_features, n_lags)
        Coefficients; the mean over subjects if there are several.
    intercept_ : ndarray of shape (n_channels,)
        Intercept, likewise.
    delays_ : ndarray of shape (n_lags,)
        Lags in samples.
    alpha_ : ndarray of shape ([n_subjects,] n_channels[, n_groups])
        Penalty chosen; the first axis only with `subject_row`, the last with `feature_groups`.
    cv_scores_ : ndarray of shape ([n_subjects,] n_channels, n_candidates)
        Held-out R2 of each candidate (NaN where nothing was to be chosen).
    candidates_ : ndarray of shape (n_candidates, n_groups)
        The penalties tried.
    patterns_ : ndarray of shape (n_channels, n_features, n_lags)
        Haufe's forward patterns, ``cov(lagged X) coef inv(cov(y))``; mean over subjects.
    subjects_ : ndarray of shape (n_subjects,)
        Subject indices seen (0 without `subject_row`).
    subject_coef_, subject_intercept_, subject_patterns_ : ndarray
        The same as above for each subject, on a first axis.
    n_features_in_, n_times_in_, n_outputs_ : int
        Rows and samples of X, channels of y.

    References
    ----------
    Haufe et al. (2014), On the interpretation of weight vectors of linear models in
    multivariate neuroimaging, NeuroImage 87, eq. 6.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg import TemporalReceptiveField
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(30, 1, 50))
    >>> y = 2 * np.roll(X, 3, axis=2)  # the response follows after three samples
    >>> y[:, :, :3] = 0
    >>> trf = TemporalReceptiveField(tmin=0, tmax=5, alphas=1.0).fit(X, y)
    >>> trf.coef_.round(1) + 0.0
    array([[[0., 0., 0., 2., 0., 0.]]])
    """

    def __init__(
        self,
        tmin: float = 0.0,
        tmax: float | None = None,
        sfreq: float = 1.0,
        alphas: float | Sequence[float] = (0.1, 1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8),
        alpha_per_target: bool = True,
        feature_groups: list[list[int]] | dict[str, list[int]] | None = None,
        fit_intercept: bool = True,
        cv: int = 5,
        subject_row: int | None = None,
        initial_rows: slice | list[int] | None = None,
        n_initial: int = 0,
        unknown_subject: Literal["population", "error"] = "population",
        mask_row: int | None = None,
    ) -> None:
        self.tmin = tmin
        self.tmax = tmax
        self.sfreq = sfreq
        self.alphas = alphas
        self.alpha_per_target = alpha_per_target
        self.feature_groups = feature_groups
        self.fit_intercept = fit_intercept
        self.cv = cv
        self.subject_row = subject_row
        self.initial_rows = initial_rows
        self.n_initial = n_initial
        self.unknown_subject = unknown_subject
        self.mask_row = mask_row

    def _check_params(self, X, y, rows):
        check_scalar_param(self, "cv", "int", 2)
        check_bool_param(self, "alpha_per_target")
        check_bool_param(self, "fit_intercept")
        alphas = resolve_alphas(self)
        groups = _resolve_groups(self, rows.features)
        self.delays_ = resolve_delays(self, X.shape[2])
        factors = _group_factors(groups.max() + 1)
        self.candidates_ = (factors[:, np.newaxis] * alphas[:, np.newaxis]).reshape(
            -1, factors.shape[1]
        )

    def _fit_subjects(self, X, y, rows, trials_of_subjects):
        fits = [self._fit_one(X, y, rows, trials) for trials in trials_of_subjects]
        coef, intercept, patterns, choice, scores = map(np.array, zip(*fits))
        self.subject_coef_, self.coef_ = coef, coef.mean(axis=0)
        self.subject_intercept_, self.intercept_ = intercept, intercept.mean(axis=0)
        self.subject_patterns_, self.patterns_ = patterns, patterns.mean(axis=0)
        alpha = self.candidates_[choice]
        alpha = alpha[..., 0] if self.feature_groups is None else alpha
        self.alpha_ = alpha[0] if self.subject_row is None else alpha
        self.cv_scores_ = scores[0] if self.subject_row is None else scores

    def _fit_one(self, X, y, rows, trials):
        """Fit the model of one subject."""
        n_lags = len(self.delays_)
        x_mean, y_mean = np.zeros(len(rows.features)), np.zeros(y.shape[1])
        if self.fit_intercept:
            mask = rows.mask_source(X)
            x_mean = mean_of_rows(X, rows.features, trials, mask)
            y_mean = mean_of_rows(y, None, trials, mask)
        search = len(self.candidates_) > 1 and len(trials) > 1
        folds = contiguous_folds(trials, self.cv if search else 1)
        sums = [
            lag_sums(self._blocks(X, y, rows, fold, x_mean, y_mean), self.delays_) for fold in folds
        ]
        total = sum(sums[1:], sums[0])
        groups = np.repeat(_resolve_groups(self, rows.features), n_lags)
        scores = np.full((y.shape[1], len(self.candidates_)), np.nan)
        choice = np.full(y.shape[1], (len(self.candidates_) - 1) // 2)
        if search:
            scores = self._held_out_r2(total, sums, groups)
            best = scores if self.alpha_per_target else scores.mean(axis=0, keepdims=True)
            choice[:] = best.argmax(axis=1)
        w = np.empty_like(total.xy)
        for i in np.unique(choice):
            w[:, choice == i] = ridge(
                total.xx, total.xy[:, choice == i], self.candidates_[i][groups]
            )
        coef = w.T.reshape(y.shape[1], len(rows.features), n_lags)
        intercept = y_mean - coef.sum(axis=2) @ x_mean
        return coef, intercept, _patterns(total, w).reshape(coef.shape), choice, scores

    def _held_out_r2(self, total, sums, groups):
        """R2 of each channel and candidate over all folds."""
        n_alphas = len(self.candidates_) // len(_group_factors(groups.max() + 1))
        errors = 0.0
        for held in sums:
            train = total - held
            errors = errors + np.concatenate(
                [
                    ridge_path_errors(
                        train, held, band.min(axis=1), (band[0] / band[0].min())[groups]
                    )
                    for band in self.candidates_.reshape(-1, n_alphas, self.candidates_.shape[1])
                ]
            )
        variance = np.diag(total.yy)
        return 1 - errors.T / np.where(variance > 0, variance, 1.0)[:, np.newaxis]

    def _blocks(self, X, y, rows, trials, x_mean, y_mean):
        step = trials_per_block(len(rows.features) * len(self.delays_), X.shape[2])
        sources = [(X, rows.features), (y, None), *rows.mask_source(X)]
        for x, target, *mask in read_blocks(sources, trials, step):
            x -= x_mean[:, np.newaxis, np.newaxis]
            target -= y_mean[:, np.newaxis, np.newaxis]
            yield x, target, *(m[0] > 0 for m in mask)

    def _predict_trials(self, X, rows, models):
        coef = np.concatenate([self.subject_coef_, self.coef_[np.newaxis]])
        intercept = np.concatenate([self.subject_intercept_, self.intercept_[np.newaxis]])
        out = np.empty((len(X), self.n_outputs_, X.shape[2]))
        for model in np.unique(models):
            trials = np.flatnonzero(models == model)
            out[trials] = filter_trials(X, rows.features, trials, coef[model], self.delays_)
            out[trials] += intercept[model][:, np.newaxis]
        return out


def filter_trials(X, features, trials, coef, delays):
    """Convolve stimulus rows with coefficients, zero outside the trial.

    Parameters
    ----------
    X : ndarray of shape (n_trials, n_rows, n_times)
    features : ndarray of int
        Stimulus rows.
    trials : ndarray of int
    coef : ndarray of shape (n_channels, n_features, n_lags)
    delays : ndarray of int of shape (n_lags,)

    Returns
    -------
    y : ndarray of shape (len(trials), n_channels, n_times)
    """
    n_channels, n_times = len(coef), X.shape[2]
    flat = coef.reshape(n_channels, -1)
    out = np.empty((len(trials), n_channels, n_times))
    step, done = trials_per_block(flat.shape[1], n_times), 0
    for (x,) in read_blocks([(X, features)], trials, step):
        wide = lagged(x, delays).reshape(flat.shape[1], -1)
        part = (flat @ wide).reshape(n_channels, x.shape[1], n_times)
        out[done : done + x.shape[1]] = part.transpose(1, 0, 2)
        done += x.shape[1]
    return out


def _patterns(total, w):
    """Haufe's patterns, (n_channels, p)."""
    if total.n_samples < 2:
        return np.zeros_like(w.T)
    scale = np.trace(total.yy) or 1.0  # pinvh cuts relative to the largest: units do not matter
    return pinvh(total.yy / scale, check_finite=False) @ (total.xx @ (w / scale)).T


def _group_factors(n_groups):
    """Relative penalties of the groups to try; at least one is 1."""
    every = np.array(list(product(GROUP_FACTORS, repeat=n_groups)))
    return every[every.min(axis=1) == 1.0]


def _resolve_groups(estimator, features):
    """Group of each stimulus row, all 0 without groups."""
    groups = estimator.feature_groups
    if groups is None:
        return np.zeros(len(features), dtype=int)
    members = groups.values() if isinstance(groups, dict) else groups
    members = members if np.iterable(members) else [members]
    members = [list(np.atleast_1d(group)) for group in members]
    named = [row for group in members for row in group]
    ints = all(isinstance(row, Integral) for row in named)
    if not ints or sorted(named) != sorted(features):
        raise ValueError(
            f"The 'feature_groups' parameter of {type(estimator).__name__} must name each "
            f"stimulus row of X, {list(map(int, features))}, exactly once. Got {groups!r} instead."
        )
    where = {int(row): i for i, group in enumerate(members) for row in group}
    return np.array([where[int(row)] for row in features])
