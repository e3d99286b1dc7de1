"""The cross-validated study: several models, one data set, the same folds for all."""

from __future__ import annotations

import traceback
import warnings
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING

import joblib
import numpy as np
import pandas as pd
from sklearn.exceptions import FitFailedWarning
from tqdm import tqdm

from .._checks.mne_objects import unwrap_mne
from .._saving import store as _store
from .._scores import check_start, nanmean
from . import compare as _compare
from . import folds as _folds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Literal

    from .._typing import (
        ArrayLike,
        BaseCrossValidator,
        BaseEpochs,
        BaseEstimator,
        DataFrame,
        Figure,
        Info,
        PathLike,
        Self,
    )


class Study:
    """Cross-validate several models on the same data and compare them.

    Every model is fitted on the training trials of every fold and scored on its test trials,
    within each subject. Scores are never pooled over folds (that is biased, see
    :mod:`sklearn_meg.metrics`). With `store`, each finished (model, fold) is kept on disk, so a
    study that was killed goes on where it was, and one that is run again with one more model
    computes only that one. What is kept is found again by its content (class, source and
    parameters of the model, data, trials, scores, package versions): after a change of any of
    these it is computed anew.

    Parameters
    ----------
    models : dict of str -> estimator
        Cloned, never fitted in place. The first is the reference of :meth:`summary`.
    cv : int, splitter or iterable of (train, test), default=5
        Any scikit-learn splitter. An int means contiguous blocks: of the trials of each
        subject, or of whole groups where `groups` are given. Splitters that stratify do so by
        subject. The folds are drawn once for all models; a shuffling splitter needs a
        ``random_state`` if a study is to be resumed.
    scoring : str, sequence of str or dict of str -> scorer, default=("r", "r_time", "r2")
        ``"r"``: :func:`~sklearn_meg.metrics.r_across_trials`; ``"r_time"``:
        :func:`~sklearn_meg.metrics.r_over_time`; ``"r2"``: :func:`~sklearn_meg.metrics.r2`;
        or ``scorer(estimator, X, y)``. The first is the main score of figures and report.
    start : int, default=None
        First sample that counts. None means the end of the longest initial window
        (``n_initial``) that a model names: nobody is scored on samples that were given away.
        Likewise, if a model names a ``mask_row`` of X, all are scored on the samples that count.
    store : path-like, default=None
        Folder for finished results.
    n_jobs : int, default=None
        Jobs over (model, fold), by joblib. The scores do not depend on it.
    verbose : int, default=0
        1 shows a progress bar.
    error_score : "raise" or float, default="raise"
        Score of a model that fails in a fold (with a ``FitFailedWarning``), as in
        :func:`sklearn.model_selection.cross_validate`.

    Attributes
    ----------
    table_ : DataFrame
        One row per model x fold x subject: ``model, fold, subject, n_test``, the scores,
        ``fit_s`` and ``predict_s`` (seconds for the whole fold). A subject with a single test
        trial in a fold has no ``r``.
    pooled_ : DataFrame
        One row per model x fold: the scores over all its test trials, whatever the subject.
    curves_ : DataFrame
        ``model, fold, subject, time, r``: R across trials, averaged over channels. Where no
        subject has more than one test trial, the subjects are pooled (``subject="pooled"``).
    maps_ : dict of str -> ndarray of shape (n_channels, n_times)
        R across trials per model, averaged over subjects and folds.
    splits_ : list of (train, test)
    n_fits_ : int
        Results of the last run that were computed, not found in `store`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn_meg import Study
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(60, 4))
    >>> y = (X @ rng.normal(size=(4, 6)))[:, :, None] + rng.normal(size=(60, 6, 1))
    >>> class Linear(Ridge):
    ...     def fit(self, X, y):
    ...         return super().fit(X, y[:, :, 0])
    ...
    ...     def predict(self, X):
    ...         return super().predict(X)[:, :, None]
    >>> study = Study({"weak": Linear(alpha=1e4), "ridge": Linear()}, cv=3, scoring=("r", "r2"))
    >>> study.run(X, y).table_[["model", "fold", "subject"]].head(2)
      model  fold  subject
    0  weak     0        0
    1  weak     1        0
    >>> bool(study.compare("ridge", "weak", metric="r2").median_difference.iloc[0] > 0)
    True
    """

    def __init__(
        self,
        models: dict[str, BaseEstimator],
        *,
        cv: int | BaseCrossValidator | Iterable = 5,
        scoring: str | Sequence[str] | dict[str, Callable | str] = ("r", "r_time", "r2"),
        start: int | None = None,
        store: PathLike | None = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        error_score: Literal["raise"] | float = "raise",
    ) -> None:
        self.models = models
        self.cv = cv
        self.scoring = scoring
        self.start = start
        self.store = store
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.error_score = error_score

    def __repr__(self):
        names = list(self.models) if isinstance(self.models, dict) else self.models
        return f"Study(models={names}, cv={self.cv!r}, scoring={self.scoring!r})"

    def run(
        self,
        X: ArrayLike,
        y: ArrayLike | BaseEpochs,
        groups: ArrayLike | None = None,
        subjects: ArrayLike | None = None,
        times: ArrayLike | None = None,
        info: Info | None = None,
    ) -> Self:
        """Fit and score every model in every fold, or fetch what was computed before.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_rows, n_times)
            What the models take.
        y : array-like or Epochs of shape (n_trials, n_channels, n_times)
        groups : array-like of shape (n_trials,), default=None
            Handed to the splitter only.
        subjects : array-like of shape (n_trials,), default=None
            Whose trial it is; scores are computed within subjects. None takes the row of X that
            the models name as ``subject_row``, otherwise `groups`, otherwise one subject.
        times : array-like of shape (n_times,), default=None
            Seconds, for the figures. Taken from `y` if it is Epochs.
        info : mne.Info, default=None
            Channels of y, for topographies. Taken from `y` if it is Epochs.

        Returns
        -------
        self : Study

        Raises
        ------
        ValueError
            Before any fit: for NaN, lengths that do not match, fewer trials than folds, or an
            unusable `store`.
        """
        models, scoring = _folds.check_models(self.models), _folds.check_scoring(self.scoring)
        X, y, times, info = _check_data(X, y, times, info)
        start = _check_start(self.start, models, y.shape[2])
        subjects = _folds.find_subjects(models, X, subjects, groups)
        mask_row = _folds.find_mask_row(models, X)
        splits = _folds.make_splits(self.cv, subjects, groups)
        _check_error_score(self.error_score)
        jobs = {(name, fold): None for name in models for fold in range(len(splits))}
        keys = self._keys(jobs, models, scoring, (X, y, subjects, (start, mask_row)), splits)
        jobs.update({job: _store.load_result(*key) for job, key in keys.items()})
        todo = [job for job, result in jobs.items() if result is None]
        calls = (
            joblib.delayed(_run_job)(
                job,
                models[job[0]],
                X,
                y,
                splits[job[1]],
                subjects,
                scoring,
                (start, mask_row),
                self.error_score,
            )
            for job in todo
        )
        parallel = joblib.Parallel(n_jobs=self.n_jobs, return_as="generator_unordered")
        with tqdm(
            total=len(jobs), initial=len(jobs) - len(todo), desc="study", disable=not self.verbose
        ) as progress:
            for job, result in parallel(calls):
                jobs[job] = result
                if "failed" in result[1]:
                    _warn_failed(*job, result[1]["trace"], self.error_score)
                elif keys:
                    _store.save_result(*keys[job], *result)
                progress.set_postfix_str(f"{job[0]}, fold {job[1]}", refresh=False)
                progress.update()
        self.splits_, self.times_, self.info_, self.start_ = splits, times, info, start
        self.metrics_, self.n_fits_ = list(scoring), len(todo)
        self.shapes_ = {"X": X.shape, "y": y.shape, "n_subjects": len(np.unique(subjects))}
        self.versions_ = _store.versions()
        self._collect(jobs)
        return self

    def _keys(self, jobs, models, scoring, data, splits):
        """Where each result is kept: job -> (folder, content key); empty without a store."""
        X, y, subjects, scored = data
        if self.store is None:
            _folds.check_finite(X, "X")
            _folds.check_finite(y, "y")
            return {}
        folder = _store.open_store(self.store)
        if getattr(self.cv, "shuffle", True) and getattr(self.cv, "random_state", 0) is None:
            warnings.warn(
                f"{self.cv!r} splits differently in every run: without a random_state nothing "
                "in the store can be found again.",
                UserWarning,
            )
        common = [scoring, scored, _store.versions()]
        for name, array in {"X": X, "y": y}.items():
            _folds.check_finite(array, name)
            common.append(_store.fingerprint(array))
        described = {name: _store.describe(model) for name, model in models.items()}
        return {
            (name, fold): (
                folder,
                _store.content_key(described[name], common, splits[fold], subjects),
            )
            for name, fold in jobs
        }

    def _collect(self, jobs):
        rows, pooled, curves = [], [], []
        maps = {name: [] for name in self.models}
        failed = self.error_score if self.error_score != "raise" else np.nan
        for (name, fold), (arrays, meta) in jobs.items():
            where = {"model": name, "fold": fold}
            if "failed" in meta:
                rest = {
                    **dict.fromkeys(self.metrics_, failed),
                    "fit_s": np.nan,
                    "predict_s": np.nan,
                }
                rows += [{**where, "subject": s, "n_test": n, **rest} for s, n in meta["failed"]]
                pooled.append({**where, **rest})
                continue
            spent = {k: meta[k] for k in ("fit_s", "predict_s")}
            whose, n_test = arrays["subjects"].tolist(), arrays["n_test"].tolist()
            for subject, n, scores in zip(whose, n_test, arrays["scores"].tolist()):
                rest = {**dict(zip(self.metrics_, scores)), **spent}
                rows.append({**where, "subject": subject, "n_test": n, **rest})
            pooled.append({**where, **dict(zip(self.metrics_, arrays["pooled"].tolist())), **spent})
            within = np.isfinite(arrays["curves"]).any()
            lines = arrays["curves"] if within else arrays["pooled_curve"][None]
            for subject, line in zip(whose if within else ["pooled"], lines):
                curves.append(
                    pd.DataFrame({**where, "subject": subject, "time": self.times_, "r": line})
                )
            maps[name].append(arrays["map"])
        self.table_, self.pooled_ = pd.DataFrame(rows), pd.DataFrame(pooled)
        empty = pd.DataFrame(columns=["model", "fold", "subject", "time", "r"])
        self.curves_ = pd.concat(curves, ignore_index=True) if curves else empty
        self.maps_ = {name: nanmean(np.array(m), axis=0) for name, m in maps.items() if m}

    def summary(self, reference: str | None = None) -> DataFrame:
        """Mean and spread of every score per model.

        Parameters
        ----------
        reference : str, default=None
            Model whose mean the ratio is taken to. None means the first.

        Returns
        -------
        summary : DataFrame
            ``model, metric, mean, sd, sem`` over folds x subjects, ``n`` of them,
            ``ratio_to_<reference>``. The SEM treats folds as independent; they share training
            trials, so it is a lower bound.

        Raises
        ------
        ValueError
            For an unknown model, or before :meth:`run`.
        """
        self._check_run()
        reference = self._check_name(reference or next(iter(self.models)), "reference")
        return _compare.summarize(self.table_, self.pooled_, self.metrics_, reference)

    def compare(self, a: str, b: str, metric: str | None = None) -> DataFrame:
        """Paired comparison of two models by the Wilcoxon signed-rank test.

        The folds of a subject share training trials, so over subjects x folds the p value is
        optimistic. The second row averages over folds first: subjects are independent, and that
        p value can be taken at its word (with n subjects it is never below 2 ** (1 - n)).

        Parameters
        ----------
        a, b : str
            Names of models.
        metric : str, default=None
            None means the first score.

        Returns
        -------
        comparison : DataFrame with two rows
            ``a, b, metric, over, n_pairs, median_difference`` (a - b), two-sided ``p``, and
            ``effect_size``, the matched-pairs rank-biserial correlation: 1 if `a` is better in
            every pair, -1 if `b` is. Both are NaN for fewer than two pairs.

        Raises
        ------
        ValueError
            For an unknown model or metric, or before :meth:`run`.
        """
        self._check_run()
        a, b = self._check_name(a, "a"), self._check_name(b, "b")
        metric = self._check_metric(metric)
        if a == b:
            raise ValueError(f"a and b must be two different models. Got {a!r} twice.")
        return _compare.compare_pairs(self.table_, self.pooled_, a, b, metric)

    @property
    def comparisons_(self) -> DataFrame:
        """DataFrame of :meth:`compare` for every pair of models and every score."""
        self._check_run()
        return _compare.compare_all(self.table_, self.pooled_, list(self.models), self.metrics_)

    def plot(self, metric: str | None = None) -> Figure:
        """Draw the scores per model and subject beside R over time.

        Parameters
        ----------
        metric : str, default=None
            Score of the left half. None means the first.

        Returns
        -------
        figure : matplotlib.figure.Figure
        """
        from .plotting import plot_study

        self._check_run()
        return plot_study(self, self._check_metric(metric))

    def report(self, path: PathLike, title: str = "Cross-validated study") -> Path:
        """Write one self-contained HTML page: what was run, tables, figures, topographies.

        Parameters
        ----------
        path : path-like
            HTML file; replaced if it exists.
        title : str, default="Cross-validated study"

        Returns
        -------
        path : Path
        """
        from .report import write_report

        self._check_run()
        return write_report(self, Path(path), title)

    def _check_run(self):
        if not hasattr(self, "table_"):
            raise ValueError("This Study has no results yet: call run(X, y) first.")

    def _check_metric(self, metric):
        metric = metric or self.metrics_[0]
        if metric not in self.metrics_:
            raise ValueError(f"metric must be among {self.metrics_}. Got {metric!r}.")
        return metric

    def _check_name(self, name, parameter):
        if name not in self.models:
            raise ValueError(f"{parameter} must be among {list(self.models)}. Got {name!r}.")
        return name


def _run_job(job, model, X, y, split, subjects, scoring, scored, error_score):
    """One (model, fold) with its failure handled: (job, (arrays, meta))."""
    try:
        return job, _folds.run_fold(model, X, y, split, subjects, scoring, *scored)
    except Exception as error:
        if error_score == "raise":
            if hasattr(error, "add_note"):  # Python 3.11 on
                error.add_note(f"In model {job[0]!r}, fold {job[1]}.")
            raise
        names, counts = np.unique(subjects[split[1]], return_counts=True)
        failed = list(zip(names.tolist(), counts.tolist()))
        return job, ({}, {"failed": failed, "trace": traceback.format_exc()})


def _warn_failed(name, fold, trace, score):
    warnings.warn(
        f"Model {name!r} failed in fold {fold} and is scored {score}:\n{trace}", FitFailedWarning
    )


def _check_error_score(error_score):
    if error_score != "raise" and not isinstance(error_score, Real):
        raise ValueError(f"error_score must be 'raise' or a number. Got {error_score!r}.")


def _check_start(start, models, n_times):
    if start is None:
        windows = _folds.find_param(models, "n_initial")
        start = max([0, *(n for n in windows if isinstance(n, Real))])
    return check_start(start, n_times)


def _check_data(X, y, times, info):
    """Unwrap Epochs and check that shapes, times and channels belong together."""
    if hasattr(y, "info") and hasattr(y, "times"):
        times = y.times if times is None else times
        info = _info_of(y) if info is None else info
    X, y = np.asanyarray(unwrap_mne(X)), np.asanyarray(unwrap_mne(y))
    if y.ndim != 3 or 0 in y.shape:
        raise ValueError(
            f"y must have the shape (n_trials, n_channels, n_times), none of them 0. Got {y.shape}."
        )
    if X.ndim < 2 or len(X) != len(y):
        raise ValueError(
            f"X must have as many trials as y (shape {y.shape}) and at least two dimensions. "
            f"Got the shape {X.shape}."
        )
    _folds.check_real(X, "X")
    _folds.check_real(y, "y")
    times = np.arange(y.shape[2]) if times is None else np.asarray(times, dtype=float)
    if times.shape != (y.shape[2],):
        raise ValueError(f"times must have the shape ({y.shape[2]},) of y. Got {times.shape}.")
    if info is not None and len(info["ch_names"]) != y.shape[1]:
        raise ValueError(
            f"info must describe the {y.shape[1]} channels of y. It has {len(info['ch_names'])}."
        )
    return X, y, times, info


def _info_of(epochs):
    from mne import pick_info

    from .._checks.mne_objects import good_data_channels

    return pick_info(epochs.info, good_data_channels(epochs.info), copy=True)
