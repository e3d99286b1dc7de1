"""Temporal receptive field: ridge regression of the response on the lagged stimulus."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from .._checks.assumptions import warn_assumption
from .._checks.params import check_bool_param, check_option_param, check_scalar_param
from .._checks.trials import pieces, release_pages
from .._params import documented
from ..rows import Rows
from ._base import ALPHAS, LagParams, LinearEncoder, resolve_alphas, resolve_delays
from ._blocks import (
    contiguous_folds,
    mean_of_rows,
    read_blocks,
    room_for,
    subject_folds,
    trials_of,
)
from ._filters import (
    filter_trials,
    group_factors,
    haufe_patterns,
    held_out_errors,
    inside,
    resolve_groups,
)
from ._lags import lag_sums, ridge, trials_per_block
from ._pooling import sum_of, trial_sums
from ._prewhitening import better, make_as_loud, noise_left, white_sums
from ._sharing import pool_subjects

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Literal


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class TemporalReceptiveField(LagParams, LinearEncoder):
    """Linear encoder: each channel is a filtered sum of the stimulus features.

    The same model, at one alpha, as :class:`mne.decoding.ReceptiveField` with a float as
    estimator, with trials on axis 0, a penalty chosen per channel, and one model a subject.
    It is computed from lag covariances: memory does not grow with the number of trials.

    With several subjects the model of each is shrunk towards that of the group, and its mean
    course in a trial is added as far as it can be trusted (`partial_pooling`).

    Parameters
    ----------
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
        Center X and y over trials and samples.
    edges : {"mean", "zero", "drop"}, default="mean"
        Value of a feature where a lag reaches outside the trial, in ``fit`` and in ``predict``.
        "mean" is its mean over the training trials: a constant added to a feature changes nothing.
        "zero" is the convention of mTRFpy, and of MNE with a scikit-learn estimator. "drop" leaves
        samples out of ``fit`` for which a lag reaches outside, and predicts with the mean.
        Without intercept the mean is taken to be zero.
    partial_pooling : bool, default=True
        With a `subject_row`, shrink the response functions of each subject towards those of the
        group and those towards zero, and add the mean course that both leave, shrunk likewise.
        The amount is chosen for each channel on held-out trials; the limits are one model for all,
        a model for each subject, and the mean response of each subject. False fits every subject
        alone, without mean course.
    noise : {"auto", "white", "ar"}, default="auto"
        What the encoder leaves of a response is slow activity, of which neighboring samples say
        almost the same. "ar" fits the coefficients by feasible generalized least squares: to
        features and responses filtered so that these residuals become white (prewhitening by an
        autoregression of four samples, the same for all channels; the first samples of a trial
        are filtered by what comes before them). "white" is least squares. "auto" takes the filter
        where held-out trials are then predicted clearly better. Means and courses, and all that is
        chosen and predicted, are of the responses as they are.
    cv : int, default=5
        Number of folds of neighboring trials of each subject to choose on (fewer if there are
        fewer trials). With a single trial, which cannot be split, the middle alpha is taken.
    %(LagParams)s
    %(SubjectParams)s
    %(RowParams)s

    Attributes
    ----------
    coef_ : ndarray of shape (n_channels, n_features, n_lags)
        Coefficients; of the group if there are several subjects (their mean without pooling).
    intercept_ : ndarray of shape (n_channels,)
        Intercept, likewise.
    course_ : ndarray of shape (n_channels, n_times)
        Mean course that is added, of the group; zero without pooling.
    delays_ : ndarray of shape (n_lags,)
        Lags in samples.
    alpha_ : ndarray of shape ([n_subjects,] n_channels[, n_groups])
        Penalty chosen, with pooling that of the group's coefficients; the first axis only for
        separate models of a `subject_row`, the last with `feature_groups`.
    deviation_alpha_ : ndarray of shape (n_channels,)
        With pooling, the penalty of what a subject adds to the group's coefficients (infinity:
        nothing).
    course_kappa_ : ndarray of shape (2, n_channels)
        With pooling, how many trials the prior of a course counts as: of the group's towards
        zero, and of a subject's towards the group's.
    cv_scores_ : ndarray of shape ([n_subjects,] n_channels, n_candidates)
        Held-out R2 of each candidate (NaN where nothing was to be chosen), with pooling of the
        group's coefficients alone.
    candidates_ : ndarray of shape (n_candidates, n_groups)
        The penalties tried.
    noise_filter_ : ndarray of shape ([n_subjects,] 5)
        Filter that features and responses were fitted through, the present sample first (1, 0, 0,
        0, 0 where they were fitted as they are); the first axis as for ``alpha_``.
    patterns_ : ndarray of shape (n_channels, n_features, n_lags)
        Haufe's forward patterns, ``cov(lagged X) coef inv(cov(y))``; mean over subjects.
    subjects_ : ndarray of shape (n_subjects,)
        Subject indices seen (0 without `subject_row`).
    subject_feature_mean_ : ndarray of shape (n_subjects, n_features)
        Value of a feature outside the trial.
    subject_coef_, subject_intercept_, subject_course_, subject_patterns_ : ndarray
        The same as above for each subject, on a first axis.
    n_features_in_, n_times_in_, n_outputs_ : int
        Rows and samples of X, channels of y.

    References
    ----------
    Haufe et al. (2014), On the interpretation of weight vectors of linear models in
    multivariate neuroimaging, NeuroImage 87, eq. 6.

    Cochrane, Orcutt (1949), Application of least squares regression to relationships containing
    auto-correlated error terms, Journal of the American Statistical Association 44.

    Woolrich, Ripley, Brady, Smith (2001), Temporal autocorrelation in univariate linear modeling
    of fMRI data, NeuroImage 14.

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

    alphas: float | Sequence[float] = ALPHAS
    alpha_per_target: bool = True
    feature_groups: list[list[int]] | dict[str, list[int]] | None = None
    fit_intercept: bool = True
    edges: Literal["mean", "zero", "drop"] = "mean"
    partial_pooling: bool = True
    noise: Literal["auto", "white", "ar"] = "auto"
    cv: int = 5

    def _check_params(self, X, y, rows):
        check_scalar_param(self, "cv", "int", 2)
        for name in ("alpha_per_target", "fit_intercept", "partial_pooling"):
            check_bool_param(self, name)
        check_option_param(self, "edges", ("mean", "zero", "drop"))
        check_option_param(self, "noise", ("auto", "white", "ar"))
        if self._pools() and not self.fit_intercept:
            raise ValueError(
                f"partial_pooling of {type(self).__name__} needs fit_intercept=True: subjects "
                "share what remains after their means. Set partial_pooling=False."
            )
        alphas = resolve_alphas(self)
        groups = resolve_groups(self, rows.features)
        self.delays_, self._used = resolve_delays(self, X.shape[2], len(rows.features))
        if self.edges == "drop" and not inside(self.delays_, X.shape[2]).any():
            raise ValueError(
                f"edges='drop' of {type(self).__name__} leaves no sample: the lags "
                f"{self.delays_[0]} to {self.delays_[-1]} reach outside at every one of "
                f"{X.shape[2]} samples."
            )
        factors = group_factors(groups.max() + 1)
        self.candidates_ = (factors[:, np.newaxis] * alphas[:, np.newaxis]).reshape(
            -1, factors.shape[1]
        )

    def _penalties(self, rows):
        """Penalty of each coefficient, (n_candidates, p), and runs that differ by a factor."""
        groups = np.repeat(resolve_groups(self, rows.features), len(self.delays_))[self._used]
        penalties = self.candidates_[:, groups]
        n_bands = len(group_factors(self.candidates_.shape[1]))
        return penalties, np.array_split(np.arange(len(penalties)), n_bands)

    def fit_folds(
        self,
        X: np.ndarray,
        y: np.ndarray,
        trials: np.ndarray,
        weights: np.ndarray | None = None,
    ) -> list:
        """Fit a pooled model to some trials, and return the models fitted without each fold.

        Parameters
        ----------
        X, y : ndarray
            Checked trials.
        trials : ndarray of int
        weights : ndarray of shape (n_trials,) or None

        Returns
        -------
        models : list of FoldModel
        """
        self._fold_models = []
        self._fit_trials(X, y, trials, weights=weights)
        return self.__dict__.pop("_fold_models")

    def fit_held_out(
        self,
        X: np.ndarray,
        y: np.ndarray,
        trials: np.ndarray,
        weights: np.ndarray | None = None,
    ) -> np.ndarray:
        """Fit a pooled model; predict each trial by the model fitted without its fold.

        Parameters
        ----------
        X, y : ndarray
            Checked trials.
        trials : ndarray of int
        weights : ndarray of shape (n_trials,) or None

        Returns
        -------
        held_out : ndarray of shape (n_trials, n_channels, n_times), float32
        """
        models = self.fit_folds(X, y, trials, weights)
        subjects = Rows(**self._rows).subject_values(X)[trials]
        owned = [trials[subjects == s] for s in self.subjects_]
        out = room_for(y)
        if len(trials) < len(X) or len(models) < 2:
            for part in pieces(X):
                out[part] = self._predict_checked(X[part])
        for subject, parts in enumerate(subject_folds(owned, self.cv)):
            for model, fold in zip(models, parts):
                step = trials_of(X.shape[2], self.n_outputs_)
                for first in range(0, len(fold), step):
                    part = fold[first : first + step]
                    out[part] = model.predict_subject(subject)(X, part)
                    for array in (X, out):
                        release_pages(array)
        return out

    def _fit_subjects(self, X, y, rows, trials_of_subjects):
        if self._pools():
            self._fit_pooled(X, y, rows, trials_of_subjects)
        else:
            self._fit_separately(X, y, rows, trials_of_subjects)

    def _mean_of_features(self, X, rows, trials):
        """Value of the features that a lag meets outside the trial."""
        if not self.fit_intercept or self.edges == "zero":
            return np.zeros(len(rows.features))
        return mean_of_rows(X, rows.features, trials, rows.mask_source(X))

    def _fit_pooled(self, X, y, rows, trials_of_subjects):
        """Fit with subjects shrunk towards the group; folds of each subject choose penalties."""
        folds = subject_folds(trials_of_subjects, self.cv)
        everyone = np.sort(np.concatenate(trials_of_subjects))
        y_mean = mean_of_rows(y, None, everyone, rows.mask_source(X))
        x_mean = self._mean_of_features(X, rows, everyone)
        self.subject_feature_mean_ = np.tile(x_mean, (len(folds), 1))

        def everywhere(summing):
            given = X, y, rows
            return [
                [self._sum(summing, *given, f, x_mean, y_mean) if len(f) else None for f in parts]
                for parts in folds
            ]

        sums = everywhere(trial_sums)
        penalties, bands = self._penalties(rows)

        def fit(white=None):
            return pool_subjects(sums, penalties, bands, self.alpha_per_target, white)

        first = fit()
        models = [FoldModel(self, each, x_mean, y_mean) for each in first[3]]
        left = [
            (model.predict_subject(subject), fold)
            for subject, parts in enumerate(folds)
            for model, fold in zip(models, parts)
        ]
        noise = None
        if len(folds[0]) > 1 and self.noise != "white":
            noise = noise_left(left, X, y, rows)

        def fit_white():
            white = everywhere(partial(white_sums, noise=noise))
            total = [part.lags.xx for parts in sums for part in parts if part is not None]
            make_as_loud(white, sum(map(np.trace, total)))
            return fit(white)

        found, self.noise_filter_ = better(first, noise, fit_white, self.noise == "ar")
        model, choice, scores, fold_models, _ = found
        self._keep_model(model, x_mean, y_mean)
        alpha = self.candidates_[choice.candidate]
        self.alpha_ = alpha[:, 0] if self.feature_groups is None else alpha
        self.deviation_alpha_ = choice.deviation
        self.course_kappa_ = np.array([choice.group_kappa, choice.subject_kappa])
        self.cv_scores_ = scores
        total = [sum_of(parts).lags.centered() for parts in sums]
        self._doubt_scale(sum(part.xx for part in total))
        patterns = [haufe_patterns(part, w) for part, w in zip(total, model.weights)]
        self.subject_patterns_ = self._as_coef(np.array(patterns))
        self.patterns_ = self.subject_patterns_.mean(axis=0)
        if hasattr(self, "_fold_models"):  # asked for by fit_folds
            self._fold_models = [FoldModel(self, each, x_mean, y_mean) for each in fold_models]

    def _keep_model(self, model, x_mean, y_mean):
        """Make the prediction that of a pooled model."""
        coef = self._as_coef(model.weights.swapaxes(1, 2))
        intercept = model.intercepts + y_mean - coef.sum(axis=3) @ x_mean
        self.subject_coef_, self.coef_ = coef[:-1], coef[-1]
        self.subject_intercept_, self.intercept_ = intercept[:-1], intercept[-1]
        self.subject_course_, self.course_ = model.courses[:-1], model.courses[-1]

    def _fit_separately(self, X, y, rows, trials_of_subjects):
        fits = [self._fit_one(X, y, rows, trials) for trials in trials_of_subjects]
        coef, intercept, patterns, choice, scores, x_mean, taps = map(np.array, zip(*fits))
        self.subject_feature_mean_ = x_mean
        self.subject_coef_, self.coef_ = coef, coef.mean(axis=0)
        self.subject_intercept_, self.intercept_ = intercept, intercept.mean(axis=0)
        self.subject_patterns_, self.patterns_ = patterns, patterns.mean(axis=0)
        self.course_ = np.zeros((self.n_outputs_, X.shape[2]))
        self.subject_course_ = np.zeros((len(coef), *self.course_.shape))
        alpha = self.candidates_[choice]
        alpha = alpha[..., 0] if self.feature_groups is None else alpha
        self.alpha_ = alpha[0] if self.subject_row is None else alpha
        self.cv_scores_ = scores[0] if self.subject_row is None else scores
        self.noise_filter_ = taps[0] if self.subject_row is None else taps

    def _doubt_scale(self, xx):
        """Warn where the features are so small that the least penalty leaves nothing of them."""
        power = float(np.trace(xx))
        if len(self.candidates_) > 1 and 0 < power < self.candidates_.min():
            warn_assumption(
                "small-features",
                f"The sum of squares of all lagged features is {power:.2g}, below the least of "
                f"alphas ({self.candidates_.min():.2g}), so the coefficients are shrunk to almost "
                "nothing.",
            )

    def _fit_one(self, X, y, rows, trials):
        """Fit the model of one subject."""
        search = len(self.candidates_) > 1 and len(trials) > 1
        folds = contiguous_folds(trials, self.cv if search else 1)
        y_mean = np.zeros(y.shape[1])
        if self.fit_intercept:
            y_mean = mean_of_rows(y, None, trials, rows.mask_source(X))
        x_mean = self._mean_of_features(X, rows, trials)
        sums = [self._sum(lag_sums, X, y, rows, fold, x_mean, y_mean) for fold in folds]
        center = np.zeros(len(sums[0].x))
        if self.fit_intercept and self.edges != "mean":
            center = sum(part.x for part in sums) / sum(part.n_samples for part in sums)
            sums = [part.about(center) for part in sums]
        total = sum(sums[1:], sums[0])
        self._doubt_scale(total.xx)

        def mean_of_fitted(w):
            if self.fit_intercept and self.edges != "mean":
                return y_mean + total.y / total.n_samples - w.T @ center
            return y_mean

        first = self._solve(sums, sums, search, rows)

        def predict(X, part):
            coef = self._as_coef(first[0].T)
            out = filter_trials(X, rows.features, part, coef, self.delays_, x_mean)
            return out + mean_of_fitted(first[0])[:, np.newaxis]

        noise = None
        if self.noise == "ar" or (search and self.noise == "auto"):
            noise = noise_left([(predict, trials)], X, y, rows)

        def fit_white():
            summing = partial(white_sums, noise=noise)
            white = [self._sum(summing, X, y, rows, fold, x_mean, y_mean) for fold in folds]
            make_as_loud([white], np.trace(total.xx))
            white = [part.lags.about(center) for part in white]
            return self._solve(sums, white, search, rows)

        (w, choice, scores, _), taps = better(first, noise, fit_white, self.noise == "ar")
        coef = self._as_coef(w.T)
        intercept = mean_of_fitted(w) - coef.sum(axis=2) @ x_mean
        patterns = self._as_coef(haufe_patterns(total, w))
        return coef, intercept, patterns, choice, scores, x_mean, taps

    def _solve(self, sums, white, search, rows):
        """Choose penalties on held-out `sums`, fit to `white`: weights, choice, scores, errors."""
        penalties, bands = self._penalties(rows)
        total = sum(white[1:], white[0])
        n_channels = total.xy.shape[1]
        scores = np.full((n_channels, len(penalties)), np.nan)
        choice = np.full(n_channels, (len(penalties) - 1) // 2)
        if search:
            errors = held_out_errors(sums, white, penalties, bands)
            scores = 1 - errors.sum(axis=0).T
            best = scores if self.alpha_per_target else scores.mean(axis=0, keepdims=True)
            choice[:] = best.argmax(axis=1)
        w = np.empty_like(total.xy)
        for i in np.unique(choice):
            w[:, choice == i] = ridge(total.xx, total.xy[:, choice == i], penalties[i])
        held_out = errors[:, choice, np.arange(n_channels)].mean(axis=1) if search else np.zeros(1)
        return w, choice, scores, held_out

    def _as_coef(self, flat):
        """Weights (..., p) of the lags used as (..., n_features, n_lags), zero elsewhere."""
        full = np.zeros((*flat.shape[:-1], len(self._used)))
        full[..., self._used] = flat
        return full.reshape(*flat.shape[:-1], -1, len(self.delays_))

    def _sum(self, summing, X, y, rows, trials, x_mean, y_mean):
        """Sum products with the lags used over some trials."""
        blocks = self._blocks(X, y, rows, trials, x_mean, y_mean)
        return summing(blocks, self.delays_).select(np.flatnonzero(self._used))

    def _blocks(self, X, y, rows, trials, x_mean, y_mean):
        step = trials_per_block(len(rows.features) * len(self.delays_), X.shape[2])
        sources = [(X, rows.features), (y, None), *rows.mask_source(X)]
        kept = inside(self.delays_, X.shape[2]) if self.edges == "drop" else True
        for x, target, *mask in read_blocks(sources, trials, step):
            x -= x_mean[:, np.newaxis, np.newaxis]
            target -= y_mean[:, np.newaxis, np.newaxis]
            mask = [m[0] for m in mask]
            if self.edges == "drop":
                mask = [np.multiply.reduce([np.broadcast_to(kept, x.shape[1:]), *mask])]
            yield x, target, *mask

    def _predict_trials(self, X, rows, models):
        coef = np.concatenate([self.subject_coef_, self.coef_[np.newaxis]])
        intercept = np.concatenate([self.subject_intercept_, self.intercept_[np.newaxis]])
        x_mean = np.vstack([self.subject_feature_mean_, self.subject_feature_mean_.mean(axis=0)])
        course = np.concatenate([self.subject_course_, self.course_[np.newaxis]])
        out = np.empty((len(X), self.n_outputs_, X.shape[2]))
        for model in np.unique(models):
            trials = np.flatnonzero(models == model)
            out[trials] = filter_trials(
                X, rows.features, trials, coef[model], self.delays_, x_mean[model]
            )
            offset = intercept[model] + coef[model].sum(axis=2) @ x_mean[model]
            out[trials] += offset[:, np.newaxis] + course[model]
        return out


class FoldModel:
    """A pooled TRF that was fitted without one fold."""

    def __init__(self, trf, model, x_mean, y_mean):
        coef = trf._as_coef(model.weights.swapaxes(1, 2))
        self.parts = coef, model.intercepts + y_mean, model.courses
        self.delays, self.mean, self.features = trf.delays_, x_mean, trf._rows["features"]

    def predict_subject(self, subject):
        """Prediction of one subject: a function of X and trials."""
        coef, intercept, course = (part[subject] for part in self.parts)

        def predict(X, trials):
            out = filter_trials(X, self.features, trials, coef, self.delays, self.mean)
            return out + intercept[:, np.newaxis] + course

        return predict
