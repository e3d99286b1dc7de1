"""Recurrent temporal receptive field: the response from its own past and the stimulus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .._checks.params import check_bool_param, check_scalar_param
from .._checks.trials import pieces, release_pages
from .._params import documented
from ..rows import Rows
from ._arx import (
    Arx,
    components_of,
    counted_samples,
    known_values,
    pieces_of,
    scale_of_rows,
    with_past,
)
from ._base import ALPHAS, LagParams, LinearEncoder, resolve_alphas, resolve_delays
from ._blend import two_blends
from ._blocks import contiguous_folds, initial_units, mean_of_rows, room_for, subject_folds
from ._filters import filter_trials
from ._pooling import sum_of
from ._recursion import damp, unroll
from .trf import TemporalReceptiveField

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Literal

ROWS = ("subject_row", "initial_rows", "n_initial", "mask_row", "unknown_subject")
STIMULUS_RATIOS = (0.1, 10.0, 100.0)
DEVIATIONS = (np.inf, 100.0, 10.0, 1.0, 0.1)
LIMIT = 1e100
LARGE = 1e200  # stands for the error of a recursion that grew without bound


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class RecurrentTRF(LagParams, LinearEncoder):
    """Linear encoder with memory: lagged stimulus and the response's own past (ridge ARX).

    ``y[t] = intercept + sum_k past_coef[k - 1] @ components @ y[t - k] + sum_l coef[:, :, l] @
    x[t - l]``; before the trial the response is zero and the stimulus its mean. ``predict``
    starts from the initial MEG found in X and then feeds its own predictions back. The model is
    fitted one step ahead by ridge regression on lag covariances; its penalty is chosen by the
    error of the unrolled prediction, which is what counts.

    Parameters
    ----------
    n_past : int, default=20
        Number of past samples of the response (fewer if the trial is shorter). The paper has 40,
        which measured no better and costs four times as much.
    alphas : float or list of float, default=10 values from 0.1 to 1e8
        Ridge penalties to choose from, on the scale of the sum of squares over all samples of
        predictors with unit variance (the units of X and y do not matter). After alpha, a
        penalty of the stimulus 0.1, 10 or 100 times that of the past is tried. A float is
        taken as it is, for both.
    n_components : int, "auto" or None, default="auto"
        The past is projected on so many principal components of y (standardized by channel).
        None: all channels. "auto": all up to 30 channels, 30 components above.
    max_radius : float, default=0.999
        Largest spectral radius of the closed loop; a model beyond it is damped by
        ``past_coef[k - 1] * g**k``, which multiplies all of its eigenvalues by g.
    partial_pooling : bool, default=True
        With a `subject_row`: shrink the model of each subject towards that of the group, and
        blend its prediction with that of a partially pooled
        :class:`~sklearn_meg.TemporalReceptiveField`, which knows the mean response of each
        subject. The weights are those with the least error on held-out trials, for each channel
        and lead: where the past tells nothing the result is the TRF. False: every subject alone,
        as in the paper.
    cv : int, default=3
        Number of folds of neighboring trials to choose the penalty on (fewer if there are fewer
        trials). With a single trial, which cannot be split, the middle alpha is taken.
    %(LagParams)s
    %(SubjectParams)s
    %(RowParams)s

    Attributes
    ----------
    past_coef_ : ndarray of shape (n_past, n_channels, n_components)
        Coefficients of the past components; ``past_coef_[k - 1]`` belongs to ``t - k``.
        ``past_coef_ @ components_`` are the matrices from channels to channels.
    coef_ : ndarray of shape (n_channels, n_features, n_lags)
        Coefficients of the stimulus.
    intercept_ : ndarray of shape (n_channels,)
        Intercept.
    initial_slope_, initial_offset_ : ndarray of shape (n_channels,)
        From the initial rows to the units of y; 1 and 0 if they are equal.
    components_ : ndarray of shape (n_components, n_channels)
        From channels to past components; diagonal without projection.
    subject_past_coef_, subject_coef_, subject_intercept_ : ndarray
        The same for each subject on a first axis; those above are means over subjects (damped
        again where needed), used for a subject that was not seen. Likewise
        ``subject_initial_slope_`` and ``subject_initial_offset_``.
    feature_mean_ : ndarray of shape (n_features,)
        Value of the features that a lag meets outside the trial.
    blend_, mean_blend_ : ndarray of shape (n_channels, n_times)
        With pooling, weight of the recursion beside the TRF, from 0 to 1: in what differs between
        trials, and in the mean over the trials of a subject.
    subject_change_ : ndarray of shape (n_subjects, n_channels, n_times)
        With pooling, mean over trials of what the recursion predicts less what the TRF does.
    deviation_factor_ : float
        With pooling, how many times stronger than the group's the penalties are of what a subject
        adds to it (infinity: nothing).
    delays_ : ndarray of shape (n_lags,)
        Stimulus lags in samples.
    n_past_ : int
        Number of past samples used.
    alpha_, stimulus_alpha_ : ndarray of shape (n_subjects,), floats without `subject_row`
        Penalties chosen for past and stimulus.
    cv_scores_ : ndarray of shape ([n_subjects,] n_candidates)
        Held-out R2 of the unrolled prediction after the initial window, over all past components
        (standardized channels without projection): the alphas first, then the stimulus
        penalties (NaN where nothing was to be chosen).
    spectral_radius_ : ndarray of shape (n_subjects,), float without `subject_row`
        Spectral radius of the closed loop as it was fitted, before damping.
    subjects_ : ndarray of shape (n_subjects,)
        Subject indices seen (0 without `subject_row`).
    n_features_in_, n_times_in_, n_outputs_ : int
        Rows and samples of X, channels of y.

    References
    ----------
    Chehab, Defossez, Loiseau, Gramfort, King (2021), Deep Recurrent Encoder: an end-to-end
    network to model magnetoencephalography at scale, arXiv:2103.02339, section 3 (baselines).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg import RecurrentTRF, pack_rows
    >>> rng = np.random.default_rng(0)
    >>> stimulus, meg = rng.normal(size=(20, 1, 60)), np.zeros((20, 1, 60))
    >>> for t in range(1, 60):
    ...     meg[:, 0, t] = 0.8 * meg[:, 0, t - 1] + stimulus[:, 0, t]
    >>> X, rows = pack_rows(stimulus, initial=meg, n_initial=5)
    >>> model = RecurrentTRF(n_past=2, tmax=1, alphas=1e-6, **rows).fit(X, meg)
    >>> (model.past_coef_ @ model.components_).shape
    (2, 1, 1)
    >>> round(model.score(X, meg), 3)
    1.0
    """

    n_past: int = 20
    alphas: float | Sequence[float] = ALPHAS
    n_components: int | Literal["auto"] | None = "auto"
    max_radius: float = 0.999
    partial_pooling: bool = True
    cv: int = 3

    def _check_params(self, X, y, rows):
        check_scalar_param(self, "cv", "int", 2)
        check_bool_param(self, "partial_pooling")
        check_scalar_param(self, "max_radius", "float", 0, 1, closed="right")
        check_scalar_param(self, "n_past", "int", 0)
        if self.n_components != "auto":
            check_scalar_param(self, "n_components", "int", 1, allow_none=True)
        resolve_alphas(self)
        n_initial_rows = len(rows.initial)
        if n_initial_rows and n_initial_rows != y.shape[1]:
            raise ValueError(
                f"initial_rows of {type(self).__name__} must name one row of X for each channel "
                f"of y, which has {y.shape[1]}. Got {n_initial_rows} rows."
            )
        self.delays_, self._used = resolve_delays(self, X.shape[2], len(rows.features))
        self.n_past_ = int(min(self.n_past, X.shape[2] - 1))

    def _fit_subjects(self, X, y, rows, trials_of_subjects):
        self._check_something_fitted(X, rows, trials_of_subjects)
        everyone = np.sort(np.concatenate(trials_of_subjects))
        mask = rows.mask_source(X)
        self.components_ = components_of(y, everyone, self.n_components, mask)
        self.feature_mean_ = mean_of_rows(X, rows.features, everyone, mask)
        x_scale = scale_of_rows(X, rows, everyone)
        arx = Arx(
            X, y, rows, self.components_, self.feature_mean_, x_scale, self.delays_, self._used,
            self.n_past_,
        )  # fmt: skip
        for name in ("trf_", "blend_", "mean_blend_", "subject_change_"):
            self.__dict__.pop(name, None)
        if self._pools():
            self._fit_pooled(arx, trials_of_subjects)
        else:
            fits = [self._fit_one(arx, trials) for trials in trials_of_subjects]
            self._keep_models(*zip(*fits))
            self.past_coef_ = damp(
                self.subject_past_coef_.mean(axis=0), self.components_, self.max_radius
            )[0]
            self.coef_ = self.subject_coef_.mean(axis=0)
            self.intercept_ = self.subject_intercept_.mean(axis=0)

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
        self._held_out = [room_for(y) for _ in range(2)]
        self._fit_trials(X, y, trials, weights=weights)
        held_out, change = self.__dict__.pop("_held_out")
        known = np.arange(y.shape[2]) < self._rows["n_initial"]
        blend, more = self._blended(known)
        models = np.searchsorted(self.subjects_, Rows(**self._rows).subject_values(X))
        for part in pieces(y):
            held_out[part] += blend * change[part] + more[models[part]]
            for array in (held_out, change):
                release_pages(array)
        return held_out

    def _blended(self, known):
        """Weight of what the recursion changes, and what is added for each subject (the last: new).

        Returns weight (n_channels, n_times): 1 in the samples that are known.
        and more (n_subjects + 1, n_channels, n_times)
        """
        change = self.subject_change_
        change = np.concatenate([change, change.mean(axis=0, keepdims=True)])
        more = np.where(known, 0.0, (self.mean_blend_ - self.blend_) * change)
        return np.where(known, 1.0, self.blend_), more

    def _keep_models(self, models, units, radius, penalties, scores):
        """Keep the models of all subjects, given one a subject."""
        past, coef, intercept = map(np.array, zip(*models))
        self.subject_past_coef_, self.subject_coef_ = past, coef
        self.subject_intercept_ = intercept - coef.sum(axis=3) @ self.feature_mean_
        slope, offset = map(np.array, zip(*units))
        self.subject_initial_slope_, self.subject_initial_offset_ = slope, offset
        self.initial_slope_, self.initial_offset_ = slope.mean(axis=0), offset.mean(axis=0)
        one, penalties = self.subject_row is None, np.array(penalties)
        self.spectral_radius_ = float(radius[0]) if one else np.array(radius)
        self.alpha_ = float(penalties[0, 0]) if one else penalties[:, 0]
        self.stimulus_alpha_ = float(penalties[0, 1]) if one else penalties[:, 1]
        self.cv_scores_ = scores[0] if one else np.array(scores)

    def _fit_one(self, arx, trials):
        """Fit the model of one subject alone."""
        units = initial_units(arx.X, arx.y, arx.rows, trials)
        alphas = resolve_alphas(self)
        search = len(alphas) > 1 and len(trials) > 1
        folds = contiguous_folds(trials, self.cv if search else 1)
        sums = [arx.sums(fold) for fold in folds]
        total = sum_of(sums)
        penalties, scores = self._search(arx, folds, sums, total, [units] * len(folds))
        model, radius = self._damped(arx.solve(total.centered(), penalties))
        return model, units, radius, penalties, scores

    def _damped(self, model):
        past, radius = damp(model[0], self.components_, self.max_radius)
        return (past, *model[1:]), radius

    def _search(self, arx, folds, sums, total, units):
        """Choose alpha, then the penalty of the stimulus at that alpha."""
        alphas = resolve_alphas(self)
        if len(folds) < 2:
            scores = np.full(len(alphas) + len(STIMULUS_RATIOS), np.nan)
            return (alphas[(len(alphas) - 1) // 2],) * 2, scores

        def held_out_r2(candidates):
            errors, n_scored = 0.0, 0
            for fold, held, unit in zip(folds, sums, units):
                train = (total - held).centered().project(self.components_)
                models = [arx.solve(train, penalties) for penalties in candidates]
                more, n = arx.unrolled_errors(fold, models, *unit)
                errors, n_scored = errors + np.minimum(more, LARGE), n_scored + n
            variance = np.trace(total.centered().project(self.components_).yy)
            variance *= n_scored / total.n_samples  # 1 without a mask
            return 1 - errors / (variance if variance > 0 else 1.0)

        scores = held_out_r2([(alpha, alpha) for alpha in alphas])
        best = alphas[np.argmax(scores)]
        if len(alphas) == 1:
            return (best, best), np.append(scores, [np.nan] * len(STIMULUS_RATIOS))
        tried = [(best, best * ratio) for ratio in STIMULUS_RATIOS]
        more = held_out_r2(tried)
        penalties = tried[np.argmax(more)] if more.max() > scores.max() else (best, best)
        return penalties, np.concatenate([scores, more])

    def _fit_pooled(self, arx, trials_of_subjects):
        """Fit the group, what each subject adds, and how both are blended with the TRF."""
        units = [initial_units(arx.X, arx.y, arx.rows, trials) for trials in trials_of_subjects]
        folds = subject_folds(trials_of_subjects, self.cv)
        sums = [[arx.sums(f) if len(f) else None for f in parts] for parts in folds]
        totals = [sum_of(parts) for parts in sums]
        total, pieces = sum_of(totals), _by_subject(folds)
        mean_units = [tuple(np.mean(units, axis=0))] * len(pieces)
        held = [sum_of(parts) for parts in zip(*sums)]
        penalties, scores = self._search(
            arx, [np.sort(np.concatenate(p)) for p in pieces], held, total, mean_units
        )
        factor = self._choose_deviation(arx, folds, sums, totals, penalties, units)
        self.deviation_factor_ = factor
        group = arx.weights(total.centered(), penalties)
        fits = [
            self._damped(self._subject_model(arx, part, group, penalties, factor))
            for part in totals
        ]
        models, radius = zip(*fits)
        n = len(totals)
        self._keep_models(models, units, radius, [penalties] * n, [scores] * n)
        (self.past_coef_, self.coef_, intercept), _ = self._damped(
            arx.as_model(group, total.centered())
        )
        self.intercept_ = intercept - self.coef_.sum(axis=2) @ self.feature_mean_
        self._fit_blend(arx, trials_of_subjects, folds, sums, totals, penalties, factor, units)

    def _subject_model(self, arx, part, group, penalties, factor, components=None):
        """Model of a subject, shrunk towards the weights of the group."""
        part = part.centered()
        if components is not None:
            part, group = part.project(components), group @ components.T
        if not np.isfinite(factor):
            return arx.as_model(group, part)
        return arx.solve(part, [factor * p for p in penalties], group)

    def _choose_deviation(self, arx, folds, sums, totals, penalties, units):
        """Ratio of penalties, of what a subject adds to those of the group, by left-out errors."""
        total, errors, told = sum_of(totals), np.zeros(len(DEVIATIONS)), False
        for f, held in enumerate(zip(*sums)):
            if len(folds[0]) < 2:
                break
            group = arx.weights((total - sum_of(held)).centered(), penalties)
            for subject, part in enumerate(held):
                if part is None or part.n_samples == totals[subject].n_samples:
                    continue
                train, told = totals[subject] - part, True
                models = [
                    self._subject_model(arx, train, group, penalties, d, self.components_)
                    for d in DEVIATIONS
                ]
                more, _ = arx.unrolled_errors(folds[subject][f], models, *units[subject])
                errors += np.minimum(more, LARGE)
        return DEVIATIONS[np.argmin(errors)] if told else np.inf

    def _fit_blend(self, arx, trials_of_subjects, folds, sums, totals, penalties, factor, units):
        """Fit the TRF, and how far at each lead the recursion is better on held-out trials."""
        names = ("tmin", "tmax", "sfreq", "cv", *ROWS)
        params = {name: getattr(self, name) for name in names}
        # The recursion tells how the noise goes on: with generalized least squares (few_N and
        # few_L, seeds 0 to 2) R was .235 (.233), that of deep encoders .309 (.312).
        trf = TemporalReceptiveField(**params, noise="white")
        trf._pools_one = self._pools_one
        everyone = np.sort(np.concatenate(trials_of_subjects))
        weights = getattr(arx.rows, "weights", None)
        fold_models = trf.fit_folds(arx.X, arx.y, everyone, weights)
        self._trf = vars(trf)
        shape = self.n_outputs_, arx.X.shape[2]
        products, sums_of = np.zeros((2, *shape)), np.zeros((len(totals), 3, *shape))
        total = sum_of(totals)
        for f, held in enumerate(zip(*sums)):
            if len(folds[0]) < 2:
                break
            group = arx.weights((total - sum_of(held)).centered(), penalties)
            for subject, part in enumerate(held):
                if part is None:
                    continue
                trials, train = folds[subject][f], totals[subject] - part
                if train.n_samples:
                    model = self._subject_model(arx, train, group, penalties, factor)
                else:
                    model = arx.as_model(group, (total - sum_of(held)).centered())
                given = arx, trials, model, units[subject], fold_models[f].predict_subject(subject)
                for left, change, counted in self._changes(*given):
                    weighted = counted * change
                    products += [(left * weighted).sum(0), (change * weighted).sum(0)]
                    parts = counted * left, weighted, np.broadcast_to(counted, left.shape)
                    sums_of[subject] += [each.sum(axis=0) for each in parts]
        self.blend_, self.mean_blend_, self.subject_change_ = two_blends(products, sums_of)

    def _changes(self, arx, trials, model, units, predict_trf):
        """What the TRF leaves, what the recursion changes, and how much each sample counts."""
        for part in pieces_of(trials, arx.X.shape[2], self.n_outputs_):
            known = known_values(arx.X, arx.rows, part, *units)
            flat = predict_trf(arx.X, part)
            with np.errstate(over="ignore", invalid="ignore"):
                change = arx.unroll(part, known, *model, self.components_) - flat
            # A recursion that grows without bound has a large error, not an infinite one.
            change = np.nan_to_num(np.clip(change, -LIMIT, LIMIT), nan=LIMIT)
            if hasattr(self, "_held_out"):
                self._held_out[0][part] = flat
                self._held_out[1][part] = np.clip(change, -1e30, 1e30)
                for array in self._held_out:
                    release_pages(array)
            counted = counted_samples(arx.X, arx.rows, part)[:, np.newaxis]
            yield arx.y[part] - flat, change, counted
            release_pages(arx.X, arx.y)

    @property
    def trf_(self):
        """The partially pooled TRF that the recursion is blended with."""
        trf = TemporalReceptiveField()
        vars(trf).update(self._trf)
        return trf

    def _check_something_fitted(self, X, rows, trials_of_subjects):
        counted = rows.counted(X)
        if counted is None:
            return
        usable = with_past(counted, self.n_past_)[:, rows.n_initial :].sum(axis=1)
        n_folds = self.cv if len(resolve_alphas(self)) > 1 else 1
        for trials in trials_of_subjects:
            folds = [usable[fold].sum() for fold in contiguous_folds(trials, n_folds)]
            if sum(folds) - (max(folds) if len(folds) > 1 else 0) == 0:
                raise ValueError(
                    f"The mask row of {type(self).__name__} leaves nothing to fit in some trials "
                    f"of a subject: a sample is fitted if it and the n_past={self.n_past_} samples "
                    "before it count. Lower n_past."
                )

    def _predict_trials(self, X, rows, models):
        """Unrolled prediction, blended with that of the TRF after the initial window."""

        def every(per_subject, population):
            return np.concatenate([per_subject, population[np.newaxis]])

        past = every(self.subject_past_coef_, self.past_coef_)
        coef = every(self.subject_coef_, self.coef_)
        intercept = every(self.subject_intercept_, self.intercept_)
        offsets = intercept + coef.sum(axis=3) @ self.feature_mean_
        slope = every(self.subject_initial_slope_, self.initial_slope_)
        offset = every(self.subject_initial_offset_, self.initial_offset_)
        out = np.empty((len(X), self.n_outputs_, X.shape[2]))
        for m in np.unique(models):
            for part in pieces_of(np.flatnonzero(models == m), *out.shape[:0:-1]):
                known = known_values(X, rows, part, slope[m], offset[m])
                drive = filter_trials(
                    X, rows.features, part, coef[m], self.delays_, self.feature_mean_
                )
                drive += offsets[m][:, np.newaxis]
                out[part] = unroll(drive, known, past[m], self.components_)
        if hasattr(self, "blend_"):
            flat = self.trf_._predict_trials(X, rows, models)
            start = rows.n_initial
            blend, more = self._blended(np.arange(X.shape[2]) < start)
            out[:, :, start:] -= flat[:, :, start:]
            out *= blend
            out += more[models]
            out[:, :, start:] += flat[:, :, start:]
        return out


def _by_subject(folds):
    """Folds of all subjects together: one list of trials of each subject a fold."""
    return [list(parts) for parts in zip(*folds)]
