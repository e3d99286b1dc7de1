"""Recurrent temporal receptive field: the response from its own past and the stimulus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import eigh

from .._checks.params import check_bool_param, check_scalar_param
from .._params import documented
from ._base import ALPHAS, LagParams, LinearEncoder, resolve_alphas, resolve_delays
from ._blocks import (
    contiguous_folds,
    initial_units,
    n_counted,
    read_blocks,
    trials_of,
    zero_uncounted,
)
from ._filters import filter_trials
from ._lags import lag_sums, ridge, trials_per_block
from ._recursion import damp, unroll

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Literal

AUTO_COMPONENTS = 30
STIMULUS_RATIOS = (0.1, 10.0, 100.0)


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class RecurrentTRF(LagParams, LinearEncoder):
    """Linear encoder with memory: lagged stimulus and the response's own past (ridge ARX).

    ``y[t] = intercept + sum_k past_coef[k - 1] @ components @ y[t - k] + sum_l coef[:, :, l] @
    x[t - l]``, zero before the trial. ``predict`` starts from the initial MEG found in X and then
    feeds its own predictions back. The model is fitted one step ahead by ridge regression on lag
    covariances; its penalty is chosen by what counts, the error of the unrolled prediction.

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
        With several subjects, shrink the model of each towards that of all others instead of
        towards zero, and give the model of all to a subject that was not seen. False: every
        subject alone, as in the paper.
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
        Of the closed loop as it was fitted, before damping.
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
        self.components_ = _components(y, everyone, self.n_components, rows.mask_source(X))
        x_scale = _scale_of_rows(X, rows, everyone)
        pooled = self.partial_pooling and len(trials_of_subjects) > 1
        if pooled:
            together = self._fit_one(X, y, rows, everyone, x_scale)
            total = self._sums(X, y, rows, everyone)
        fits = []
        for trials in trials_of_subjects:
            prior = None
            if pooled:  # of the others, so that a subject's own trials are not counted twice
                others = (total - self._sums(X, y, rows, trials)).centered()
                prior = self._weights(others, together[6], x_scale)
            fits.append(self._fit_one(X, y, rows, trials, x_scale, prior))
        past, coef, intercept, slope, offset, radius, alphas, scores = map(np.array, zip(*fits))
        self.subject_past_coef_, self.subject_coef_, self.subject_intercept_ = past, coef, intercept
        self.subject_initial_slope_, self.subject_initial_offset_ = slope, offset
        if pooled:
            self.past_coef_, self.coef_, self.intercept_ = together[:3]
        else:
            self.past_coef_ = damp(past.mean(axis=0), self.components_, self.max_radius)[0]
            self.coef_, self.intercept_ = coef.mean(axis=0), intercept.mean(axis=0)
        self.initial_slope_, self.initial_offset_ = slope.mean(axis=0), offset.mean(axis=0)
        one = self.subject_row is None
        self.spectral_radius_ = float(radius[0]) if one else radius
        self.alpha_ = float(alphas[0, 0]) if one else alphas[:, 0]
        self.stimulus_alpha_ = float(alphas[0, 1]) if one else alphas[:, 1]
        self.cv_scores_ = scores[0] if one else scores

    def _fit_one(self, X, y, rows, trials, x_scale, prior=None):
        """Fit the model of one subject, shrunk towards zero or the weights `prior`."""
        slope, offset = initial_units(X, y, rows, trials)
        alphas = resolve_alphas(self)
        search = len(alphas) > 1 and len(trials) > 1
        folds = contiguous_folds(trials, self.cv if search else 1)
        sums = [self._sums(X, y, rows, fold) for fold in folds]
        total = sum(sums[1:], sums[0])
        penalties = (alphas[(len(alphas) - 1) // 2],) * 2
        scores = np.full(len(alphas) + len(STIMULUS_RATIOS), np.nan)
        if search:

            def held_out_r2(candidates):
                return self._unrolled_r2(
                    X, y, rows, folds, sums, total, candidates, x_scale, slope, offset, prior
                )

            penalties, scores = _search(alphas, held_out_r2)
        past, coef, intercept = self._solve(total.centered(), penalties, x_scale, prior)
        past, radius = damp(past, self.components_, self.max_radius)
        return past, coef, intercept, slope, offset, radius, penalties, scores

    def _check_something_fitted(self, X, rows, trials_of_subjects):
        counted = rows.counted(X)
        if counted is None:
            return
        usable = _with_past(counted, self.n_past_)[:, rows.n_initial :].sum(axis=1)
        n_folds = self.cv if len(resolve_alphas(self)) > 1 else 1
        for trials in trials_of_subjects:
            folds = [usable[fold].sum() for fold in contiguous_folds(trials, n_folds)]
            if sum(folds) - (max(folds) if len(folds) > 1 else 0) == 0:
                raise ValueError(
                    f"The mask row of {type(self).__name__} leaves nothing to fit in some trials "
                    f"of a subject: a sample is fitted if it and the n_past={self.n_past_} samples "
                    "before it count. Lower n_past."
                )

    def _sums(self, X, y, rows, trials):
        """Sum products of lagged stimulus (first), past components, and y."""
        n_features, n_past = len(rows.features), self.n_past_
        first, last = self.delays_[0], self.delays_[-1]
        if n_past:
            first, last = min(first, 1), max(last, n_past)
        lags = np.arange(first, last + 1)
        step = trials_per_block((n_features + len(self.components_)) * len(lags), X.shape[2])

        def blocks():
            sources = [(X, rows.features), (y, None), *rows.mask_source(X)]
            for x, target, *mask in read_blocks(sources, trials, step):
                past = np.tensordot(self.components_, target, 1)
                usable = [_with_past(m[0] > 0, n_past) for m in mask]
                yield np.concatenate([x, past]) if n_past else x, target, *usable

        sums = lag_sums(blocks(), lags, rows.n_initial)
        stimulus = np.isin(lags, self.delays_)
        memory = (lags >= 1) & (lags <= n_past)
        keep = [np.tile(stimulus, n_features)]
        if n_past:
            keep.append(np.tile(memory, len(self.components_)))
        return sums.select(np.flatnonzero(np.concatenate(keep)))

    def _weights(self, sums, penalties, x_scale, prior=None):
        """Ridge weights of stimulus and past (p, n_channels) from centered sums."""
        n_stimulus = len(x_scale) * len(self.delays_)
        penalty = np.full(len(sums.xx), float(penalties[0]))
        penalty[:n_stimulus] = penalties[1] * np.repeat(x_scale**2, len(self.delays_))
        if prior is None:
            return ridge(sums.xx, sums.xy, penalty)
        return prior + ridge(sums.xx, sums.xy - sums.xx @ prior, penalty)

    def _solve(self, sums, penalties, x_scale, prior=None):
        """One model from centered sums: past_coef, coef, intercept."""
        n_stimulus, n_channels = len(x_scale) * len(self.delays_), sums.xy.shape[1]
        w = self._weights(sums, penalties, x_scale, prior)
        coef = w[:n_stimulus].T.reshape(n_channels, len(x_scale), len(self.delays_))
        past = w[n_stimulus:].reshape(len(self.components_), self.n_past_, n_channels)
        past = past.transpose(1, 2, 0)
        return past, coef, (sums.y - w.T @ sums.x) / sums.n_samples

    def _unrolled_r2(
        self, X, y, rows, folds, sums, total, candidates, x_scale, slope, offset, prior=None
    ):
        """Held-out R2, after the initial window, of each candidate.

        Only the past components are predicted, which is all the closed loop needs: with few
        components of many channels that is much cheaper, and misses only what no past explains.
        """
        start, errors, n_scored = rows.n_initial, np.zeros(len(candidates)), 0
        identity = np.eye(len(self.components_))
        prior = None if prior is None else prior @ self.components_.T
        for fold, held in zip(folds, sums):
            train = (total - held).centered().project(self.components_)
            models = [self._solve(train, penalties, x_scale, prior) for penalties in candidates]
            for part in _pieces(fold, X.shape[2], len(self.components_)):
                known = np.tensordot(
                    _known(X, rows, part, slope, offset), self.components_, (1, 1)
                ).transpose(0, 2, 1)
                true = self._project_trials(y, part)[:, :, start:]
                counted = _counted(X, rows, part)[:, np.newaxis, start:]
                n_scored += counted.sum()
                for i, model in enumerate(models):
                    predicted = self._unroll_trials(X, rows, part, known, *model, identity)
                    with np.errstate(over="ignore", invalid="ignore"):
                        error = np.where(counted, true - predicted[:, :, start:], 0.0)
                        errors[i] += (error**2).sum()
        variance = np.trace(total.centered().project(self.components_).yy)
        variance *= n_scored / total.n_samples  # 1 without a mask
        errors = np.where(np.isfinite(errors), errors, np.finfo(float).max)
        with np.errstate(over="ignore"):
            return 1 - errors / (variance if variance > 0 else 1.0)

    def _project_trials(self, y, trials):
        """Past components of some trials, (n_trials, n_components, n_times)."""
        step = trials_per_block(y.shape[1], y.shape[2])
        parts = [
            np.tensordot(self.components_, b, 1) for (b,) in read_blocks([(y, None)], trials, step)
        ]
        return np.concatenate(parts, axis=1).transpose(1, 0, 2)

    def _unroll_trials(self, X, rows, trials, known, past, coef, intercept, components):
        drive = filter_trials(X, rows.features, trials, coef, self.delays_)
        drive += intercept[:, np.newaxis]
        return unroll(drive, known, past, components)

    def _predict_trials(self, X, rows, models):
        def every(per_subject, population):
            return np.concatenate([per_subject, population[np.newaxis]])

        past = every(self.subject_past_coef_, self.past_coef_)
        coef = every(self.subject_coef_, self.coef_)
        intercept = every(self.subject_intercept_, self.intercept_)
        slope = every(self.subject_initial_slope_, self.initial_slope_)
        offset = every(self.subject_initial_offset_, self.initial_offset_)
        out = np.empty((len(X), self.n_outputs_, X.shape[2]))
        for m in np.unique(models):
            model = past[m], coef[m], intercept[m], self.components_
            for part in _pieces(np.flatnonzero(models == m), *out.shape[:0:-1]):
                known = _known(X, rows, part, slope[m], offset[m])
                out[part] = self._unroll_trials(X, rows, part, known, *model)
        return out


def _known(X, rows, trials, slope, offset):
    if not rows.n_initial:
        return np.zeros((len(trials), len(slope), 0))
    initial = X[np.ix_(trials, rows.initial, np.arange(rows.n_initial))].astype(np.float64)
    return initial * slope[:, np.newaxis] + offset[:, np.newaxis]


def _counted(X, rows, trials):
    """Which samples count: bool (n_trials, n_times)."""
    if rows.mask is None:
        return np.broadcast_to(True, (len(trials), X.shape[2]))
    return X[trials, rows.mask] > 0


def _with_past(counted, n_past):
    """Which samples count together with their past."""
    missing = np.cumsum(~counted, axis=1)
    before = np.pad(missing, ((0, 0), (n_past + 1, 0)))[:, : counted.shape[1]]
    return counted & (missing == before)


def _pieces(trials, n_times, n_rows):
    step = trials_of(n_times, n_rows)
    return [trials[i : i + step] for i in range(0, len(trials), step)]


def _search(alphas, held_out_r2):
    """Choose alpha, then the penalty of the stimulus at that alpha."""
    scores = held_out_r2([(alpha, alpha) for alpha in alphas])
    best = alphas[np.argmax(scores)]
    tried = [(best, best * ratio) for ratio in STIMULUS_RATIOS]
    more = held_out_r2(tried)
    penalties = tried[np.argmax(more)] if more.max() > scores.max() else (best, best)
    return penalties, np.concatenate([scores, more])


def _components(y, trials, n_components, mask):
    """From channels to components of the past: standardized channels, or their first PCs."""
    n_channels = y.shape[1]
    if n_components == "auto":
        n_components = min(n_channels, AUTO_COMPONENTS)
    elif n_components is not None and n_components > n_channels:
        raise ValueError(
            f"n_components must not be above the number of channels of y, {n_channels}. "
            f"Got {n_components}."
        )
    total, products, n = 0.0, 0.0, 0
    step = trials_of(y.shape[2], n_channels)
    for block, *counted in read_blocks([(y, None), *mask], trials, step):
        flat = zero_uncounted(block, counted).reshape(n_channels, -1)
        total, products = total + flat.sum(axis=1), products + flat @ flat.T
        n += n_counted(block, counted)
    covariance = products / n - np.outer(total, total) / n**2
    scale = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    scale = 1 / np.where(scale > 0, scale, 1.0)
    if n_components is None or n_components == n_channels:
        return np.diag(scale)
    _, vectors = eigh(covariance * np.outer(scale, scale))
    vectors = vectors[:, ::-1][:, :n_components].T
    return vectors * scale


def _scale_of_rows(X, rows, trials):
    """Compute the standard deviation of each stimulus row, 1 where it is constant."""
    total, squares, n = 0.0, 0.0, 0
    step = trials_of(X.shape[2], len(rows.features))
    for x, *counted in read_blocks([(X, rows.features), *rows.mask_source(X)], trials, step):
        n += n_counted(x, counted)
        x = zero_uncounted(x, counted)
        total, squares = total + x.sum(axis=(1, 2)), squares + (x**2).sum(axis=(1, 2))
    variance = squares / n - (total / n) ** 2
    return np.sqrt(np.where(variance > 1e-12 * squares / n, variance, 1.0))
