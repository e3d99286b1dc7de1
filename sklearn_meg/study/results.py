"""What the jobs of a study gave, as tables and maps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from .._repr import short_repr
from .compare import null_test

CURVES = ["model", "fold", "subject", "time", "r"]


@dataclass(frozen=True)
class Results:
    """Everything that was computed, in the order of models and folds.

    Attributes
    ----------
    jobs : dict of (model, fold) -> (arrays, meta)
        As `Kept` has them.
    models : list of str
    metrics : list of str
    subjects : ndarray of shape (n_subjects,)
        Sorted.
    times : ndarray of shape (n_times,)
    feature_names : list of str
    failed : float
        Score of a model that failed.
    drifting : list of str
        Features whose null does not hold, see `doubts.drifting_features`.
    """

    jobs: dict
    models: list
    metrics: list
    subjects: np.ndarray
    times: np.ndarray
    feature_names: list
    failed: float
    drifting: list

    __repr__ = short_repr

    def __post_init__(self):
        table, pooled = self._tables()
        object.__setattr__(self, "table", table)
        object.__setattr__(self, "pooled", pooled)
        object.__setattr__(self, "knows", {name: self._knowledge(name) for name in self.models})

    def of(self, model):
        """(fold, arrays, meta) of the folds in which a model has results."""
        for (name, fold), (arrays, meta) in self.jobs.items():
            if name == model and arrays:
                yield fold, arrays, meta

    def _tables(self):
        rows, pooled = [], []
        for (name, fold), (arrays, meta) in self.jobs.items():
            where = {"model": name, "fold": fold}
            if "failed" in meta:
                spent = {"fit_s": np.nan, "predict_s": np.nan}
                rest = {**dict.fromkeys(self.metrics, self.failed), **spent}
                rows += [{**where, "subject": s, "n_test": n, **rest} for s, n in meta["failed"]]
            if not arrays:
                pooled.append({**where, **rest})
                continue
            spent = {k: meta[k] for k in ("fit_s", "predict_s")}
            whose, n_test = arrays["subjects"].tolist(), arrays["n_test"].tolist()
            for subject, n, scores in zip(whose, n_test, arrays["scores"].tolist()):
                rest = {**dict(zip(self.metrics, scores)), **spent}
                rows.append({**where, "subject": subject, "n_test": n, **rest})
            pooled.append({**where, **dict(zip(self.metrics, arrays["pooled"].tolist())), **spent})
        return pd.DataFrame(rows), pd.DataFrame(pooled)

    def _knowledge(self, model):
        """What a model looked at in any fold."""
        known = {"features": False, "initial": False, "subject": False}
        for _, _, meta in self.of(model):
            for kind, looked in meta.get("knows", {}).items():
                known[kind] |= looked
        return known

    def curves(self):
        """Table of R over time: the mean over channels of every map."""
        frames = []
        for name in self.models:
            for fold, arrays, _ in self.of(name):
                if "curve" not in arrays:
                    continue
                lines, whose = arrays["curve"], arrays["subjects"].tolist()
                if not np.isfinite(lines).any():  # one test trial a subject
                    lines, whose = arrays["pooled_curve"][np.newaxis], ["pooled"]
                frames += [
                    pd.DataFrame(
                        {"model": name, "fold": fold, "subject": s, "time": self.times, "r": line}
                    )
                    for s, line in zip(whose, lines)
                ]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=CURVES)

    def predictions(self, model, splits, n_trials):
        """What a model predicted for each trial when it was left out; None if that is not kept."""
        whole = None
        for fold, arrays, _ in self.of(model):
            if "predicted" not in arrays:
                return None
            found = arrays["predicted"]
            whole = np.zeros(n_trials, dtype=found.dtype) if whole is None else whole
            whole = whole.astype(np.result_type(whole, found), copy=False)
            whole[splits[fold][1]] = found
        return whole

    def unusual(self):
        """Share of left-out trials that are unlike those of `fit`: ``model, subject, unusual``."""
        rows = [
            {"model": name, "subject": subject, "unusual": share}
            for name in self.models
            for _, arrays, _ in self.of(name)
            if "unusual" in arrays
            for subject, share in zip(arrays["subjects"].tolist(), arrays["unusual"].tolist())
        ]
        table = pd.DataFrame(rows, columns=["model", "subject", "unusual"])
        return table.groupby(["model", "subject"], sort=False, as_index=False)["unusual"].mean()

    def drops(self, model, number=None):
        """R without slow trends of every fold and subject, and the null of a feature (None: all).

        Returns
        -------
        observed : ndarray of shape (n_folds, n_subjects)
        nulls : ndarray of shape (n_folds, n_permutations, n_subjects)
            Or None in the place of both.
        """
        observed, nulls = [], []
        for _, arrays, _ in self.of(model):
            if "null" not in arrays:
                continue
            where = np.searchsorted(self.subjects, arrays["subjects"])
            drawn = arrays["null"] if number is None else arrays["feature_nulls"][number]
            observed.append(self._placed(arrays["tested"], where))
            nulls.append(self._placed(drawn, where))
        return (np.array(observed), np.array(nulls)) if observed else None

    def _placed(self, values, where):
        whole = np.full((*values.shape[:-1], len(self.subjects)), np.nan)
        whole[..., where] = values
        return whole

    def feature_p(self, model):
        """One-sided p of all features together; NaN where there is no null."""
        drops = self.drops(model)
        return float(null_test(*drops)[1]) if drops else np.nan

    def influences(self, a, b):
        """By how much each test trial moves the difference of R: one array a subject and fold."""
        own = {fold: arrays for fold, arrays, _ in self.of(a)}
        found = []
        for fold, arrays, _ in self.of(b):
            if fold not in own or "influence" not in arrays:
                continue
            difference = own[fold]["influence"] - arrays["influence"]
            whose = np.asarray(arrays["whose"])
            found += [difference[whose == s] for s in range(len(arrays["subjects"]))]
        return found
