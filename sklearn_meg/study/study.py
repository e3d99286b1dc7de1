"""The cross-validated study: several models, one data set, the same folds for all."""

from __future__ import annotations

import warnings
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sklearn.exceptions import FitFailedWarning

from .._saving import store as _store
from . import blocks, checks, doubts, each, floors, jobs, merge
from .answers import Answers
from .compact import compact
from .folds import Plan
from .results import Results

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Literal

    from .._typing import (
        ArrayLike,
        BaseCrossValidator,
        BaseEpochs,
        BaseEstimator,
        Figure,
        Info,
        PathLike,
        Self,
    )


@dataclass(eq=False, repr=False)
class Study(Answers):
    """Cross-validate several models on the same data and compare them.

    Every model is fitted on the training trials of every fold and scored on its test trials,
    within each subject. Scores are never pooled over folds (that is biased, see
    :mod:`sklearn_meg.metrics`). Encoders are compared with floors: reference models with the
    same information except the features. With `cache_dir`, each finished (model, fold) is kept on
    disk, so a study that was killed resumes, and one that is run again with one more model
    computes only that one. The key of a result covers all that decides it (source of the package,
    class and parameters of the model, data, trials, scores, package versions).

    Parameters
    ----------
    models : dict of str -> estimator
        Models by name. Cloned, never fitted in place. The first is the reference of
        :meth:`summary`.
    cv : int, splitter or iterable of (train, test), default=5
        Any scikit-learn splitter. An int means contiguous blocks: of the trials of each
        subject, or of whole `groups` where they are given. Splitters that stratify do so by
        class, or by subject where y holds responses. The folds are drawn once for all models; a
        shuffling splitter needs a ``random_state`` if a study is to be resumed.
    scoring : str, sequence of str or dict of str -> scorer, default=None
        For responses (3-D y) ``"r"`` (:func:`~sklearn_meg.metrics.r_across_trials`), ``"r_time"``
        (:func:`~sklearn_meg.metrics.r_over_time`), ``"r2"`` (:func:`~sklearn_meg.metrics.r2`), or
        ``scorer(estimator, X, y)``; for anything else names of scikit-learn's scorers, ``"score"``
        (that of the estimator), or scorers. None takes all three; balanced accuracy and accuracy
        for classes; R2 and mean absolute error for numbers; the estimator's own score without y.
        The first is the main score of figures and report.
    start : int, default=None
        First sample that counts. None means stimulus onset (time 0), or the end of the longest
        initial window (``n_initial``) that a model names if that is later: nobody is scored on
        samples that were given away. Likewise, if a model names a ``mask_row`` of X, all are
        scored on the samples that count.
    floors : "auto" or None, default="auto"
        Models that are added to the study unless it has them: for encoders ``mean``
        (:class:`~sklearn_meg.SubjectMean`) and, where one is given an initial window,
        ``past`` (a recurrent TRF with that window and without the features); for classes and
        numbers, ``chance`` (scikit-learn's dummy). None adds none.
    n_permutations : int, default=30
        How often the features of the test trials are exchanged between the trials of a subject,
        for each feature and fold, to find what a score is without them. 0 leaves it out.
    random_state : int, default=0
        Decides these exchanges.
    cache_dir : path-like, default=None
        Folder for finished results.
    n_jobs : int, default=None
        Number of jobs over (model, fold), by joblib. The scores do not depend on it.
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
    maps_ : dict of str -> ndarray of shape (n_subjects, n_channels, n_times)
        R across trials per model and subject, averaged over folds.
    null_z_, null_p_ : dict of str -> ndarray of shape (n_subjects, n_channels, n_times)
        Distance of R from its null without the features, and one-sided p, within each subject.
        Only models that look at features have them.
    knows_ : dict of str -> dict
        Inputs of each model: ``features``, ``initial`` (window), ``subject``. It is found by
        exchanging them between trials, so it holds for models of any kind.
    unusual_ : DataFrame
        ``model, subject, unusual``: share of left-out trials that a model finds unlike those that
        it was fitted on; about .05 where they are alike. Of models with ``is_unusual``.
    predictions_ : dict of str -> ndarray of shape (n_trials,)
        Classes or numbers that each model predicted for the trials that were left out.
    subjects_ : ndarray of shape (n_trials,)
        Subject of each trial.
    splits_ : list of (train, test)
        Trials of each fold.
    n_purged_ : list of int or None
        Training trials left out of each fold because they overlap in time with a test trial.
    n_fits_ : int
        Results of the last run that were computed, not found in `cache_dir`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn_meg import Study
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(60, 4))
    >>> y = X @ rng.normal(size=(4, 6)) + rng.normal(size=(60, 6))
    >>> study = Study({"weak": Ridge(alpha=1e4), "ridge": Ridge()}, cv=3, floors=None)
    >>> study.run(X, y).table_[["model", "fold", "subject"]].head(2)
      model  fold  subject
    0  weak     0        0
    1  weak     1        0
    >>> bool(study.compare("ridge", "weak").median_difference.iloc[0] > 0)
    True
    """

    models: dict[str, BaseEstimator]
    _: KW_ONLY
    cv: int | BaseCrossValidator | Iterable = 5
    scoring: str | Sequence[str] | dict[str, Callable | str] | None = None
    start: int | None = None
    floors: Literal["auto"] | None = "auto"
    n_permutations: int = 30
    random_state: int = 0
    cache_dir: PathLike | None = None
    n_jobs: int | None = None
    verbose: int = 0
    error_score: Literal["raise"] | float = "raise"

    def __repr__(self):
        names = list(self.models) if isinstance(self.models, dict) else self.models
        return f"Study(models={names}, cv={self.cv!r}, scoring={self.scoring!r})"

    def run(
        self,
        X: ArrayLike,
        y: ArrayLike | BaseEpochs | None = None,
        groups: ArrayLike | None = None,
        subjects: ArrayLike | None = None,
        times: ArrayLike | None = None,
        info: Info | None = None,
        *,
        features: dict[str, list[int]] | None = None,
        spans: ArrayLike | None = None,
        recordings: ArrayLike | None = None,
    ) -> Self:
        """Fit and score every model in every fold, or load the stored results.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_rows, n_times)
            Input of the models.
        y : array-like or Epochs of shape (n_trials, n_channels, n_times), or (n_trials, ...)
            Responses; or classes, numbers, or None for models that need no target.
        groups : array-like of shape (n_trials,), default=None
            Group of each trial, handed to the splitter. With an int `cv`, groups stay whole:
            runs within each subject, if every subject has several, otherwise groups of subjects.
        subjects : array-like of shape (n_trials,), default=None
            Subject (or session, cell, recording) of each trial; scores are computed within
            subjects. None takes the row of X that the models name as ``subject_row``, otherwise
            `groups`, otherwise one subject.
        times : array-like of shape (n_times,), default=None
            Seconds from stimulus onset. Taken from `y` if it is Epochs.
        info : mne.Info, default=None
            Channels of y, for topographies. Taken from `y` if it is Epochs.
        features : dict of str -> list of int, default=None
            Rows of X that make up each feature. None takes every row that differs between trials
            and that no model names as anything else; all of them as one where models name none.
        spans : array-like of shape (n_trials, 2), default=None
            First and last second of each trial in its recording. Training trials that overlap in
            time with a test trial are left out. None believes that none do.
        recordings : array-like of shape (n_trials,), default=None
            Recording that each trial was cut from, for `spans`. None takes the subject.

        Returns
        -------
        self : Study

        Raises
        ------
        ValueError
            Before any fit: for NaN, lengths that do not match, fewer trials than folds, trials
            that all overlap, or an unusable `cache_dir`.
        """
        models = checks.check_models(self.models)
        X, y, times, info = checks.check_data(X, y, times, info)
        for name, array in {"X": X, "y": y}.items():
            checks.check_finite_data(array, name)
        checks.check_error_score(self.error_score)
        subjects = checks.find_subjects(models, X, subjects, groups)
        parts = checks.find_parts(models, X, features) if checks.is_responses(y) else None
        self.all_models_ = floors.with_floors(self.floors, models, X, y, parts, info)
        plan = self._plan(X, y, times, parts)
        splits = self._splits(y, subjects, groups, spans, recordings)
        data = jobs.Data(X, y, subjects, splits)
        look = doubts.look_at(X, y)
        doubts.warn_doubts(look, data, times, info, spans)
        self.drifting_ = doubts.drifting_features(data, parts)
        doubts.warn_drift(self.drifting_)
        keys = jobs.keys_of(self.all_models_, plan, data, self.cv, self.cache_dir)
        how = jobs.How(self.cache_dir, self.n_jobs, self.verbose, self.error_score)
        found, self.n_fits_ = jobs.run_jobs(self.all_models_, plan, data, keys, how)
        self.splits_, self.times_, self.info_, self.start_ = splits, times, info, plan.start
        self.grouped_, self.unit_ = groups is not None, "subject"
        self.subjects_, self.metrics_, self.parts_ = subjects, list(plan.scoring), parts
        n_subjects = len(np.unique(subjects))
        shape = None if y is None else y.shape
        self.y_ = y if y is not None and y.ndim == 1 else None
        self.shapes_ = {"X": X.shape, "y": shape, "n_subjects": n_subjects}
        self.versions_, self.trial_keys_ = _store.versions(), look.keys
        names = np.unique(subjects)
        self._collect(compact(found, list(self.all_models_), names, plan.start, self.cache_dir))
        return self

    def run_subjects(
        self,
        subjects: PathLike | Sequence[PathLike] | dict[str, PathLike | Callable],
        *,
        times: ArrayLike | None = None,
        info: Info | None = None,
        features: dict[str, list[int]] | None = None,
        errors: Literal["raise", "continue"] = "raise",
    ) -> Self:
        """Run the study of every subject by itself, from files, and merge the results.

        Nothing is loaded as a whole: a worker reads one subject, computes all its folds, and goes
        on to the next, so its memory does not depend on how many there are. Models are fitted
        within subjects: one that pools subjects, by a ``subject_row``, has a single one to learn
        from here, and needs :meth:`run`.

        Parameters
        ----------
        subjects : path-like, sequence of path-like, or dict of str -> path-like or callable
            A folder of .npz files, one a subject; or the files; or subjects by name. A file holds
            the arrays ``X`` and ``y``, and may hold ``times``, ``groups``, ``spans`` and
            ``recordings``. A callable returns these arguments of :meth:`run` as a dict.
        times : array-like of shape (n_times,), default=None
            As in :meth:`run`, where files do not hold them.
        info : mne.Info, default=None
            Channels of y, the same in all subjects.
        features : dict of str -> list of int, default=None
            Rows of X that make up each feature.
        errors : {"raise", "continue"}, default="raise"
            Whether a subject that cannot be read or studied ends the study, or is left out. Those
            left out are named in ``failed_``, the verdict and the report, with a warning.

        Returns
        -------
        self : Study
            ``failed_`` is a DataFrame of ``subject, error``.

        Raises
        ------
        ValueError
            If there are no subjects, or none has results, or they do not go together.

        Examples
        --------
        >>> import tempfile
        >>> import numpy as np
        >>> from sklearn_meg import Study, TemporalReceptiveField
        >>> folder = tempfile.mkdtemp()
        >>> rng = np.random.default_rng(0)
        >>> for subject in ("sub-01", "sub-02"):
        ...     X = rng.normal(size=(12, 1, 20))
        ...     np.savez(f"{folder}/{subject}.npz", X=X, y=np.roll(X, 2, axis=2))
        >>> study = Study({"trf": TemporalReceptiveField(tmax=3, alphas=1.0)}, cv=3)
        >>> study.run_subjects(folder).table_.groupby("subject").size().to_dict()
        {'sub-01': 6, 'sub-02': 6}
        """
        if errors not in ("raise", "continue"):
            raise ValueError(f"errors must be 'raise' or 'continue'. Got {errors!r}.")
        checks.check_models(self.models)
        sources = each.find_subjects(subjects)
        shared = {"times": times, "info": info, "features": features}
        outcomes = each.run_each(self, sources, shared, errors)
        studies = [outcome.study for outcome in outcomes if outcome.study is not None]
        failed = each.failures(outcomes)
        if not studies:
            raise ValueError(
                f"No subject has results. {failed['subject'][0]}: {failed['error'][0]}"
            )
        self._take(studies)
        self.failed_ = failed
        if len(failed):
            names = ", ".join(failed["subject"])
            warnings.warn(
                f"{len(failed)} of {len(outcomes)} subjects have no results and are left out: "
                f"{names}. failed_ says why.", FitFailedWarning,
            )  # fmt: skip
        return self

    @classmethod
    def merge(cls, studies: Sequence[Study]) -> Study:
        """Put finished studies together, from several runs or machines.

        Parameters
        ----------
        studies : sequence of Study
            Of different subjects, with the same models; or of the same trials in the same folds,
            with different models (a floor that several have counts once).

        Returns
        -------
        study : Study
            As if all had been run at once. ``pooled_`` is the mean over the studies, weighted by
            test trials.

        Raises
        ------
        ValueError
            If models, scores, times, channels, features or folds differ, or a subject is in two
            studies, also under two names.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_meg import Study, TemporalReceptiveField
        >>> rng = np.random.default_rng(0)
        >>> models = {"trf": TemporalReceptiveField(tmax=3, alphas=1.0)}
        >>> studies = []
        >>> for subject in ("sub-01", "sub-02"):
        ...     X, y = rng.normal(size=(2, 12, 1, 20))
        ...     study = Study(models, cv=3, n_permutations=5)
        ...     studies.append(study.run(X, y, subjects=np.full(12, subject)))
        >>> Study.merge(studies).table_["subject"].unique().tolist()
        ['sub-01', 'sub-02']
        """
        studies = list(studies)
        if not studies or not all(isinstance(study, Study) for study in studies):
            raise ValueError(f"studies must be a list of Study, not empty. Got {studies!r}.")
        for study in studies:
            study._check_run()
        return replace(studies[0])._take(studies)

    def _take(self, studies):
        """Become the merged study."""
        kept, facts = merge.merged(studies, self.cache_dir)
        vars(self).update(facts)
        self.n_fits_ = sum(study.n_fits_ for study in studies)
        self._collect(kept)
        return self

    def _plan(self, X, y, times, parts):
        responses = checks.is_responses(y)
        scoring = self.scoring
        if scoring is None:
            scoring = checks.default_scoring(y, self.all_models_.values())
        scoring = checks.check_scoring(scoring, responses)
        models = self.all_models_
        start = checks.find_start(self.start, models, times, y.shape[2]) if responses else 0
        mask_row = checks.find_mask_row(models, X) if responses else None
        n = checks.check_permutations(self.n_permutations)
        return Plan(scoring, start, mask_row, parts, n, self.random_state, responses)

    def _splits(self, y, subjects, groups, spans, recordings):
        spans = checks.check_spans(spans, len(subjects))
        order = None if spans is None else _order(spans[:, 0], recordings)
        classes = y if y is not None and y.ndim == 1 else None
        splits = checks.make_splits(self.cv, subjects, groups, order, classes)
        self.n_purged_ = self.n_overlapping_ = None
        if spans is not None:
            where = subjects if recordings is None else recordings
            where = checks.one_a_trial(where, len(subjects), "recordings")
            self.n_overlapping_ = blocks.n_overlapping(spans, where)
            splits, self.n_purged_ = blocks.purge(splits, spans, where)
        return splits

    def _collect(self, kept):
        failed = self.error_score if self.error_score != "raise" else np.nan
        names = list(self.parts_.features) if self.parts_ else []
        self.results_ = results = Results(
            kept.jobs, list(self.all_models_), self.metrics_, np.unique(self.subjects_),
            self.times_, names, failed, self.drifting_,
        )  # fmt: skip
        self.table_, self.pooled_, self.knows_ = results.table, results.pooled, results.knows
        self.curves_, self.maps_, self.null_z_ = results.curves(), kept.maps, kept.null_z
        self.unusual_ = results.unusual()
        n = len(self.subjects_)
        predicted = {name: results.predictions(name, self.splits_, n) for name in results.models}
        self.predictions_ = {name: p for name, p in predicted.items() if p is not None}

    def verdict(self, metric: str | None = None) -> list[str]:
        """Results in sentences, the most important first.

        Parameters
        ----------
        metric : str, default=None
            None means the first score.

        Returns
        -------
        sentences : list of str
        """
        from .verdict import verdict

        self._check_run()
        return verdict(self, self._check_metric(metric))

    def methods(self) -> str:
        """Paragraph on what was done, to paste into a paper.

        Returns
        -------
        text : str
        """
        from .verdict import methods

        self._check_run()
        return methods(self)

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
        """Write one self-contained HTML page: verdict, tables, figures, topographies, methods.

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


def _order(starts, recordings):
    """Rank of each trial in time, recordings one after the other as they come."""
    if recordings is None:
        return starts
    return np.lexsort((starts, blocks.in_order(np.asarray(recordings)))).argsort()
