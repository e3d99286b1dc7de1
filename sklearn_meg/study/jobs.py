"""Jobs of a study, (model, fold) pairs: found in the store, or computed."""

from __future__ import annotations

import traceback
import warnings
from dataclasses import dataclass

import joblib
import numpy as np
from sklearn.exceptions import FitFailedWarning
from tqdm import tqdm

from .._checks.assumptions import warn_assumption
from .._saving import store
from .compact import on_disk
from .folds import run_fold


@dataclass(frozen=True)
class Data:
    """What the jobs of a study share.

    X, y (ndarray or memmap; y may be None), subjects (n_trials,), splits (list of (train, test))
    """

    X: np.ndarray
    y: np.ndarray | None
    subjects: np.ndarray
    splits: list


@dataclass(frozen=True)
class How:
    """How jobs are computed: what the study was constructed with."""

    cache_dir: object = None
    n_jobs: int | None = None
    verbose: int = 0
    error_score: object = "raise"


def keys_of(models, plan, data, cv, cache_dir):
    """Where each result is kept: (model, fold) -> (folder, content key); empty without a folder."""
    if cache_dir is None:
        return {}
    folder = store.open_store(cache_dir, "cache_dir")
    if getattr(cv, "shuffle", True) and getattr(cv, "random_state", 0) is None:
        warn_assumption(
            "random-folds",
            f"{cv!r} splits differently in every run: without a random_state nothing "
            "in the cache_dir can be found again.",
        )
    common = [plan.scoring, vars(plan.parts) if plan.parts else None, store.versions()]
    common.append([plan.start, plan.mask_row, plan.n_permutations, plan.seed])
    common += [None if a is None else store.fingerprint(a) for a in (data.X, data.y)]
    described = {name: store.describe(model) for name, model in models.items()}
    return {
        (name, fold): (
            folder,
            store.content_key(described[name], common, split, data.subjects, fold),
        )
        for name in models
        for fold, split in enumerate(data.splits)
    }


def run_jobs(models, plan, data, keys, how):
    """Results of all jobs, and how many of them were computed.

    models (dict of str -> estimator)
    keys (dict): As `keys_of` returns it.
    Returns jobs (dict of (model, fold) -> (arrays, meta)), n_fits (int)
    """
    jobs = {(name, fold): None for name in models for fold in range(len(data.splits))}
    jobs.update({job: _let_go(store.load_result(*key), how.cache_dir) for job, key in keys.items()})
    todo = [job for job, result in jobs.items() if result is None]
    if how.verbose and keys and len(todo) < len(jobs):
        print(f"{len(jobs) - len(todo)} of {len(jobs)} fits found in {how.cache_dir}.")
    calls = (
        # Arrays stand by themselves: dask sends such ones to its workers once.
        joblib.delayed(_run_job)(
            job, models[job[0]], data.X, data.y, data.splits[job[1]], data.subjects, plan,
            how.error_score, keys.get(job),
        )
        for job in _unclaimed_first(todo, keys)
    )  # fmt: skip
    parallel = joblib.Parallel(n_jobs=how.n_jobs, return_as="generator_unordered")
    n_fits = 0
    with tqdm(
        total=len(jobs), initial=len(jobs) - len(todo), desc="study", disable=not how.verbose
    ) as progress:
        for job, result, computed in parallel(calls):
            n_fits += computed
            if "failed" in result[1]:
                _warn_failed(*job, result[1]["trace"], how.error_score)
            elif keys and computed:
                store.save_result(*keys[job], *result)
            jobs[job] = _let_go(result, how.cache_dir)
            if keys:
                store.release(*keys[job])
            progress.set_postfix_str(f"{job[0]}, fold {job[1]}", refresh=False)
            progress.update()
    return jobs, n_fits


def _let_go(result, folder):
    """The result, its large arrays in nameless files: memory does not grow with the jobs."""
    if result is None:
        return None
    arrays, meta = result
    return {name: on_disk(array, folder) for name, array in arrays.items()}, meta


def _unclaimed_first(todo, keys):
    """Jobs in the order in which several processes with one store share them best."""
    later = []
    for job in todo:
        if job not in keys or store.claim(*keys[job]):
            yield job
        else:
            later.append(job)
    yield from later


def _run_job(job, model, X, y, split, subjects, plan, error_score, key=None):
    """One (model, fold) with its failure handled: (job, (arrays, meta), whether it was computed).

    Another process may have finished it since this one looked.
    """
    found = store.load_result(*key) if key else None
    if found is not None:
        return job, found, False
    try:
        return job, run_fold(model, X, y, split, subjects, job[1], plan), True
    except Exception as error:
        if error_score == "raise":
            if hasattr(error, "add_note"):  # Python 3.11 on
                error.add_note(f"In model {job[0]!r}, fold {job[1]}.")
            raise
        names, counts = np.unique(subjects[split[1]], return_counts=True)
        failed = list(zip(names.tolist(), counts.tolist()))
        return job, ({}, {"failed": failed, "trace": traceback.format_exc()}), True


def _warn_failed(name, fold, trace, score):
    warnings.warn(
        f"Model {name!r} failed in fold {fold} and is scored {score}:\n{trace}", FitFailedWarning
    )
