"""Results of several studies as those of one: other subjects, or other models of one data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import joblib
import numpy as np
import pandas as pd

from .._checks.trials import release_pages
from .._saving import store
from .._saving.space import room
from .compact import Kept

if TYPE_CHECKING:
    from .._typing import PathLike
    from .answers import Answers

# Axis of the subjects (or test trials) in what a fold keeps.
SUBJECT_AXIS = {
    "subjects": 0, "n_test": 0, "scores": 0, "curve": 0, "observed": 0, "tested": 0, "unusual": 0,
    "influence": 0, "predicted": 0, "null": 1, "feature_nulls": 2,
}  # fmt: skip
AVERAGED = ("pooled", "pooled_curve")


def merged(studies: list[Answers], folder: PathLike | None = None) -> tuple[Kept, dict]:
    """Results of all studies, and what else a study knows after its run.

    studies (list of Answers): Each after its run.
    folder (path-like): Where large maps lie, in nameless files.
    Returns kept (Kept)
    and facts (dict of str -> object): Attributes of the study.
    Raises ValueError if the studies do not go together; it says which and why.
    """
    kept, facts = _merged(studies, folder)
    facts["drifting_"] = list(dict.fromkeys(n for study in studies for n in study.drifting_))
    failed = [study.failed_ for study in studies if hasattr(study, "failed_")]
    return kept, {**facts, "failed_": pd.concat(failed, ignore_index=True)} if failed else facts


def _merged(studies, folder):
    first = studies[0]
    for number, other in enumerate(studies[1:], start=2):
        _check_alike(first, other, f"Study {number}")
    if all(_same_trials(first, other) for other in studies):
        return _of_models(studies)
    _check_subjects(studies)
    return _of_subjects(studies, folder)


def _check_alike(first, other, name):
    same = {
        "scores": (first.metrics_, other.metrics_),
        "number of folds": (len(first.splits_), len(other.splits_)),
        "first sample that counts": (first.start_, other.start_),
        "number of exchanges of features": (first.n_permutations, other.n_permutations),
        "rows of X": (first.parts_, other.parts_),
        "channels": (_channels(first), _channels(other)),
        "times": (_listed(first.times_), _listed(other.times_)),
    }
    for what, (mine, theirs) in same.items():
        if mine != theirs:
            raise ValueError(
                f"Studies must have the same {what} to be merged. The first has {_short(mine)}, "
                f"{name} {_short(theirs)}."
            )
    for model in set(first.all_models_) & set(other.all_models_):
        if _described(first, model) != _described(other, model):
            raise ValueError(
                f"Model {model!r} of {name} differs from that of the first study: "
                f"{other.all_models_[model]!r}."
            )


def _described(study, model):
    return joblib.hash(store.describe(study.all_models_[model]))


def _channels(study):
    if study.info_ is not None:
        return list(study.info_["ch_names"])
    shape = study.shapes_["y"]
    return None if shape is None else list(shape[1:2])


def _listed(times):
    return None if times is None else np.round(times, 9).tolist()


def _short(value):
    text = repr(value)
    return text if len(text) < 120 else text[:120] + "..."


def _same_trials(first, other):
    """Whether two studies have the same trials in the same folds."""
    return np.array_equal(first.trial_keys_, other.trial_keys_) and all(
        np.array_equal(a, b)
        for mine, theirs in zip(first.splits_, other.splits_)
        for a, b in zip(mine, theirs)
    )


def _of_models(studies):
    """The union of models; one that several studies have counts once."""
    models, kept = {}, Kept({})
    for study in studies:
        models = {**study.all_models_, **models}
        mine = (study.results_.jobs, study.maps_, study.null_z_)
        kept = Kept(*({**new, **old} for new, old in zip(mine, vars(kept).values())))
    own = {name: model for study in studies[::-1] for name, model in study.models.items()}
    return kept, {**_shared(studies[0]), "all_models_": models, "models": own}


def _shared(study):
    kept = (
        "splits_", "times_", "info_", "start_", "grouped_", "unit_", "subjects_", "metrics_",
        "parts_", "y_", "shapes_", "versions_", "n_purged_", "n_overlapping_", "trial_keys_",
    )  # fmt: skip
    return {name: getattr(study, name) for name in kept}


def _check_subjects(studies):
    seen, content = {}, {}
    for number, study in enumerate(studies, start=1):
        if set(study.all_models_) != set(studies[0].all_models_):
            raise ValueError(
                "Studies of different subjects must have the same models. The first has "
                f"{list(studies[0].all_models_)}, Study {number} {list(study.all_models_)}."
            )
        for subject in np.unique(study.subjects_).tolist():
            if seen.setdefault(subject, number) != number:
                raise ValueError(
                    f"Subject {subject} is in Study {seen[subject]} and in Study {number}. Each "
                    "subject counts once."
                )
            mine = study.trial_keys_[study.subjects_ == subject]
            before = content.setdefault(tuple(mine.tolist()), subject)
            if before != subject:
                raise ValueError(f"Subjects {before} and {subject} hold the same trials.")


def _of_subjects(studies, folder):
    """Results and facts of studies of different subjects, as those of one study."""
    counts = [len(study.subjects_) for study in studies]
    ends = np.cumsum([0, *counts])
    splits = [
        tuple(
            np.concatenate([study.splits_[fold][half] + end for study, end in zip(studies, ends)])
            for half in (0, 1)
        )
        for fold in range(len(studies[0].splits_))
    ]
    jobs = {
        job: _joined([study.results_.jobs[job] for study in studies])
        for job in studies[0].results_.jobs
    }
    shapes = [study.shapes_ for study in studies]
    total = {
        "X": (int(ends[-1]), *shapes[0]["X"][1:]),
        "y": None if shapes[0]["y"] is None else (int(ends[-1]), *shapes[0]["y"][1:]),
        "n_subjects": sum(shape["n_subjects"] for shape in shapes),
    }
    facts = {**_shared(studies[0]), "splits_": splits, "shapes_": total}
    for name in ("subjects_", "trial_keys_", "y_"):
        values = [getattr(study, name) for study in studies]
        facts[name] = None if values[0] is None else np.concatenate(values)
    purged = [study.n_purged_ for study in studies]
    if all(one is not None for one in purged):
        facts["n_purged_"] = np.sum(purged, axis=0).tolist()
        facts["n_overlapping_"] = sum(study.n_overlapping_ for study in studies)
    kept = Kept(jobs, *(_joined_maps(studies, name, folder) for name in ("maps_", "null_z_")))
    return kept, {**facts, "all_models_": studies[0].all_models_}


def _joined_maps(studies, name, folder):
    """Maps of all subjects, in their order; 0 where a study tested no features of a model."""
    subjects = np.unique(np.concatenate([np.unique(study.subjects_) for study in studies]))
    found = {}
    for model in dict.fromkeys(model for study in studies for model in getattr(study, name)):
        shape = next(s.maps_[model].shape[1:] for s in studies if model in s.maps_)
        found[model] = room((len(subjects), *shape), folder)
        for study in studies:
            rows = np.searchsorted(subjects, np.unique(study.subjects_))
            whole = getattr(study, name).get(model)
            if whole is None:
                continue
            for row, values in zip(rows, whole):
                found[model][row] = values
                release_pages(whole)
            release_pages(found[model])
    return found


def _joined(results):
    """One (model, fold) of several subjects."""
    good = [(arrays, meta) for arrays, meta in results if arrays]
    failed = [one for _, meta in results for one in meta.get("failed", ())]
    meta = {
        name: float(sum(meta[name] for _, meta in good)) for name in ("fit_s", "predict_s") if good
    }
    if failed:
        meta["failed"] = failed
        meta["trace"] = next(m["trace"] for _, m in results if "trace" in m)
    known = [meta["knows"] for _, meta in good if "knows" in meta]
    if known:
        meta["knows"] = {kind: any(one[kind] for one in known) for kind in known[0]}
    return _concatenated(_with_nulls([arrays for arrays, _ in good])), meta


def _with_nulls(parts):
    """Parts with a null each, if one has it: where features are not looked at, nothing moves."""
    there = next((part for part in parts if "null" in part), None)
    if there is None:
        return parts
    return [part if "null" in part else {**part, **_still(part, there)} for part in parts]


def _still(part, there):
    n_permutations, n_features = len(there["null"]), len(there["feature_nulls"])
    return {
        "tested": part["observed"],
        "null": np.tile(part["observed"], (n_permutations, 1)),
        "feature_nulls": np.tile(part["observed"], (n_features, n_permutations, 1)),
    }


def _concatenated(parts):
    if not parts:
        return {}
    arrays = {
        name: np.concatenate([part[name] for part in parts], axis=axis)
        for name, axis in SUBJECT_AXIS.items()
        if all(name in part for part in parts)
    }
    weights = np.array([part["n_test"].sum() for part in parts], dtype=float)
    for name in AVERAGED:
        if name in parts[0]:
            arrays[name] = _weighted_mean([part[name] for part in parts], weights)
    if "whose" in parts[0]:
        ends = np.cumsum([0, *(len(part["subjects"]) for part in parts[:-1])])
        arrays["whose"] = np.concatenate([part["whose"] + end for part, end in zip(parts, ends)])
    return arrays


def _weighted_mean(values, weights):
    """Mean over parts, without those that are NaN."""
    total, count = 0.0, 0.0
    for value, weight in zip(values, weights):
        there = ~np.isnan(value)
        total = total + weight * np.where(there, value, 0.0)
        count = count + weight * there
    return np.where(count > 0, total / np.maximum(count, 1e-300), np.nan)
