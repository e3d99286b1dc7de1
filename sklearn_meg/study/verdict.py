"""What a study found, in words: a verdict, and methods to paste into a paper."""

from __future__ import annotations

import numpy as np

from .channels import few
from .compare import contrast, same_information

SCORES = {
    "r": "Pearson R across trials",
    "r_time": "Pearson R over time",
    "r2": "R² across trials",
}
CITATIONS = {
    "DeepRecurrentEncoder": "Chehab et al. 2021, arXiv:2103.02339",
    "RecurrentTRF": "Chehab et al. 2021, arXiv:2103.02339",
    "TemporalReceptiveField": "Crosse et al. 2016, Front. Hum. Neurosci. 10:604",
    "RNNSourceSolver": "O'Reilly et al. 2023, J. Neural Eng.",
}

MANY_UNUSUAL = 0.3  # 6 times what is expected; small samples reach .2


def signed(value):
    """Number with its sign, three significant places: +0.0123."""
    return f"{value:+.3f}" if abs(value) >= 0.0095 else f"{value:+.4f}"


def p_text(p):
    """Write a p value as papers write it."""
    return "p < .001" if p < 0.001 else f"p = {p:.3f}".replace("0.", ".", 1)


def interval_text(row):
    """Gain with its interval, and what the interval is about."""
    text = signed(row["gain"])
    if np.isfinite(row["ci_low"]):
        text += f" [{signed(row['ci_low'])}, {signed(row['ci_high'])}]"
    return text


def verdict(study, metric=None):
    """Sentences on what the study found, the most important first.

    study (Study): After ``run``.
    metric: None means the first score.
    Returns sentences (list of str)
    """
    metric = metric or study.metrics_[0]
    gains = study.gains(metric)
    if not len(gains) or not study.maps_:
        return [_best(study, metric), *_unusual(study), *_lost(study)]
    claimed = gains[gains["claimed"]]
    means = study.table_.groupby("model")[metric].mean()
    if study.drifting_:
        sentences = [_drift(study), _among_equals(study, gains, metric)]
    else:
        first = _claims(claimed, means) if len(claimed) else _nothing(gains)
        sentences = [first, _dynamics(gains), _among_equals(study, gains, metric)]
    sentences = [sentence for sentence in sentences if sentence]
    return [*sentences, *_unusual(study), *_lost(study)]


def _unusual(study):
    """Subjects whose trials left out are unlike those of training."""
    found = study.unusual_[study.unusual_["unusual"] > MANY_UNUSUAL]
    if not len(found):
        return []
    names = few([str(name) for name in dict.fromkeys(found["subject"])])
    n = found["subject"].nunique()
    return [
        f"In {n} {_plural(n)} ({names}) more than {MANY_UNUSUAL:.0%} of the trials left out are "
        "unlike those that the models were fitted on; .05 is expected."
    ]


def _lost(study):
    """Subjects without results."""
    failed = getattr(study, "failed_", ())
    if not len(failed):
        return []
    n = study.shapes_["n_subjects"] + len(failed)
    names = few(failed["subject"].tolist())
    return [f"{len(failed)} of {n} subjects have no results and are left out: {names}."]


def _claims(claimed, means):
    row = claimed.iloc[int(np.argmax([means[name] for name in claimed["model"]]))]
    others = [name for name in claimed["model"] if name != row["model"]]
    text = (
        f"{row['model']} explains more than {row['floor']}, the floor with the same information "
        f"but without the features, in {row['n_better']} of {row['n_subjects']} "
        f"{_plural(row['n_subjects'])}: {interval_text(row)}, {p_text(row['p_holm'])}."
    )
    if others:
        text += f" So {'does' if len(others) == 1 else 'do'} {_and(others)}."
    return text


def _nothing(gains):
    row = gains.loc[gains["gain"].idxmax()]
    return (
        "No model explains more than the floor with the same information: no contribution of the "
        f"features can be claimed. The largest gain is that of {row['model']} over {row['floor']}, "
        f"{interval_text(row)}, {p_text(row['p_holm'])}{_of_claims(row)}."
    )


def _of_claims(row):
    """What p a claim needs, where one could think that it was there."""
    return " (a claim needs p < .025, one-sided)" if 0.025 <= row["p_holm"] < 0.05 else ""


def _drift(study):
    """Features for which exchanging trials is no valid test."""
    verb = "drifts" if len(study.drifting_) == 1 else "drift"
    return (
        f"Nothing can be claimed: {_and(study.drifting_)} {verb} over trials, and test trials lie "
        "among training trials, so that drifts of the recording correlate with it by chance. "
        "Use folds of neighboring trials (cv as an int)."
    )


def _dynamics(gains):
    """Models that beat their floor, but not by the features."""
    found = gains[(gains["ci_low"] > 0) & ~gains["claimed"]]
    if not len(found):
        return ""
    verb = "predicts" if len(found) == 1 else "predict"
    return (
        f"{_and(found['model'])} {verb} better than the floor, but just as well with the features "
        "of other trials: this gain is not evidence for the features."
    )


def _among_equals(study, gains, metric):
    """The strongest model beside the next one that is told the same."""
    means = study.table_.groupby("model")[metric].mean()
    names = [name for name in gains["model"] if np.isfinite(means[name])]
    if not names:
        return ""
    best = max(names, key=lambda name: means[name])
    equals = [n for n in names if n != best and same_information(study.knows_, n, best)]
    if not equals:
        return ""
    second = max(equals, key=lambda name: means[name])
    row = contrast(study.results_, best, second, metric)
    sure = row["ci_low"] > 0 and row["p"] < 0.05
    what = "explains more than" if sure else "cannot be told from"
    return (
        f"Among models that are told the same, {best} {what} {second}: {interval_text(row)}, "
        f"{p_text(row['p'])}, better in {row['n_better']} of {row['n_subjects']} "
        f"{_plural(row['n_subjects'])}."
    )


def _best(study, metric):
    means = study.table_.groupby("model", sort=False)[metric].mean()
    if means.isna().all():
        return "No score could be computed."
    best = means.idxmax()
    units = study.table_["subject"].nunique()
    others = ", ".join(f"{name} {value:.3f}" for name, value in means.drop(best).items())
    verb = "scores" if len(means) == 1 else "scores highest,"
    return (
        f"{best} {verb} {means[best]:.3f} ({SCORES.get(metric, metric.replace('_', ' '))}"
        f", mean over {units} {study.unit_}{'' if units == 1 else 's'})"
        + (f"; {others}." if others else ".")
    )


def _plural(n):
    return "subject" if n == 1 else "subjects"


def _and(names):
    names = list(names)
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def kind_of(model):
    """Class of a model; of a floor that of the model inside."""
    inside = getattr(model, "estimator", None)
    return type(model).__name__ if inside is None else f"{type(inside).__name__} without features"


def start_text(study):
    """First sample that is scored, in seconds where they are known."""
    unit = " s" if study.times_.dtype.kind == "f" else " samples"
    return f"{study.times_[study.start_]:g}{unit}"


def folds_text(study):
    """How trials were split, in words."""
    n = len(study.splits_)
    if isinstance(study.cv, int):
        what = (
            "whole groups" if study.grouped_ else "contiguous blocks of the trials of each subject"
        )
        if study.y_ is not None and not study.grouped_:
            what += " (of each class where needed)"
        return f"{n} folds of {what}"
    return f"{n} folds by {type(study.cv).__name__}"


def methods(study):
    """Paragraph on what was done, to paste into a paper.

    study (Study): After ``run``.
    Returns text (str)
    """
    kinds = {name: kind_of(model) for name, model in study.all_models_.items()}
    models = "; ".join(f"{name} ({kind})" for name, kind in kinds.items())
    cited = sorted(
        {CITATIONS[kind.split()[0]] for kind in kinds.values() if kind.split()[0] in CITATIONS}
    )
    n_trials, n_subjects = len(study.subjects_), study.shapes_["n_subjects"]
    per_subject = np.unique(study.subjects_, return_counts=True)[1]
    spread = f"{per_subject.min()} to {per_subject.max()}"
    if per_subject.min() == per_subject.max():
        spread = f"{per_subject.min()}"
    parts = [
        f"We cross-validated {models} on {n_trials} trials of {n_subjects} "
        f"{_plural(n_subjects)} ({spread} a subject), with {folds_text(study)}.",
    ]
    if study.n_purged_ is not None and sum(study.n_purged_):
        parts.append(
            "Training trials that overlapped in time with a test trial were left out "
            f"({min(study.n_purged_)} to {max(study.n_purged_)} a fold)."
        )
    if study.maps_:
        parts.append(
            "Every model was scored within subjects and folds by the Pearson correlation across "
            f"trials, averaged over channels and samples from {start_text(study)} on, and compared "
            "with the floor that has the same information (initial window and stimulus times) "
            "except the features."
        )
    parts.append(_tests(study))
    versions = ", ".join(f"{k} {v}" for k, v in study.versions_.items() if v)
    parts.append(f"Software: {versions}." + (f" Models: {'; '.join(cited)}." if cited else ""))
    return " ".join(part for part in parts if part)


def _tests(study):
    if not study.maps_:
        return "Models were compared by the Wilcoxon signed-rank test over subjects."
    from .inference import MIN_SUBJECTS

    features = (
        "The contribution of the features was tested by exchanging them between the test trials of "
        f"a subject ({study.n_permutations} times a fold) with the fitted models unchanged, slow "
        "trends over the test trials of a fold removed (polynomials, one for 5 trials, of degree 1 "
        "to 6); the folds were combined by Stouffer's method with the variance doubled, because "
        "each pair of folds meets twice; p values are one-sided and were adjusted for the number "
        "of models (Holm 1979)."
    )
    over = (
        "Intervals of 95 % are bootstraps over subjects."
        if study.shapes_["n_subjects"] >= MIN_SUBJECTS
        else "Intervals of 95 % are over the trials of these subjects and say nothing about others."
    )
    effects = (
        "Effect sizes are the mean difference over the standard deviation of the subjects, with "
        "intervals from the noncentral t distribution (Cumming & Finch 2001), and "
        "Jeffreys-Zellner-Siow Bayes factors of the t test with a Cauchy prior of scale .707 "
        "(Rouder et al. 2009)."
    )
    return f"{features} {over}" + (f" {effects}" if study.shapes_["n_subjects"] > 1 else "")
