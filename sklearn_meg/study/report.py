"""The page of a study: verdict, gains, features, figures, tables, methods."""

from __future__ import annotations

from html import escape

from . import page as html
from .compare import gain_columns
from .knowledge import in_words
from .plotting import draw_gains, draw_predictions, draw_scores, draw_topomaps, mean_curves
from .verdict import folds_text, kind_of, methods, start_text, verdict

NAMES = {
    "r": "R across trials",
    "r_time": "R over time",
    "r2": "R²",
    "n_test": "test trials",
    "fit_s": "fit (s)",
    "predict_s": "predict (s)",
    "n_pairs": "pairs",
    "median_difference": "median difference",
    "effect_size": "effect size",
    "told_the_same": "told the same",
    "ci_low": "from",
    "ci_high": "to",
    "interval_over": "interval over",
    "p_features": "p, features exchanged",
    "p_holm": "p, Holm",
    "p_subjects": "p over subjects",
    "n_better": "better in",
    "n_subjects": "of",
    "sd": "SD",
    "sem": "SEM",
    "d_low": "d from",
    "d_high": "d to",
    "bf10": "Bayes factor",
}


def write_report(study, path, title):
    """Write the page and return its path."""
    page = html.Page(title, verdict(study))
    page.add("Gains over the floor with the same information", *_gains(study))
    page.add("Contribution of each feature", *_features(study))
    page.add("Scores and R over time", _scores(study))
    page.add("Where on the head", *_heads(study))
    page.add("What was predicted", *_predictions(study))
    page.add("Summary", *_summary(study))
    page.add("Comparisons", *_comparisons(study))
    page.add("What was run", *_what_was_run(study))
    page.add("Trials", *_trials(study))
    page.add("Subjects without results", *_lost(study))
    page.add("Trials unlike those that models were fitted on", *_unusual(study))
    page.add("Methods, to paste into a paper", html.paste(methods(study)))
    page.add("Every subject", *_per_subject(study))
    page.add("Every fold", html.fold(f"Show all {len(study.table_)} rows", _table(study.table_)))
    return page.save(path)


def _table(frame, digits=3):
    return html.table(frame, NAMES, digits)


def _gains(study):
    gains = study.gains()
    if not len(gains):
        return [
            html.note("No model uses the features, or no floor has the same information as one.")
        ]
    over = gains["interval_over"].iloc[0]
    text = (
        "Gain: the score of a model minus that of the floor with the same initial window and "
        "without the features, from stimulus onset on, mean over subjects. "
    )
    if over == "trials":
        text += (
            "With fewer than six subjects the 95 % intervals are over the trials of these subjects "
            "and say nothing about others. "
        )
    else:
        text += "The 95 % intervals are over subjects. "
    text += (
        "p, features exchanged: how often the fitted model would do as well with the features of "
        "other trials, after slow trends over trials were removed. A gain is claimed where the "
        "interval is above 0 and this p, one-sided and adjusted for the number of models (Holm), "
        "is below .025. d: mean over standard deviation of the subjects. Bayes factor: how much "
        "likelier the differences are with a gain or loss than "
        "without one (above 1: for a difference, below 1: for none)."
    )
    drawn = draw_gains(gains, study.metrics_[0])
    return [
        html.figure(drawn, "Gain over the floor, 95 % interval."),
        _table(gains[gain_columns(gains)]),
        html.note(text),
    ]


def _features(study):
    features = study.features()
    if not len(features):
        return []
    return [
        _table(features),
        html.note(
            "Contribution: by how much R falls when what a feature says beyond the others is "
            "exchanged between the test trials of a subject, the fitted model unchanged and slow "
            "trends over trials removed. p is one-sided; Holm over all rows."
        ),
    ]


def _scores(study):
    drawn, ax = draw_scores(study)
    if ax is None:
        return html.figure(drawn, "Mean and SEM; each line is a subject (or a fold).")
    curves = mean_curves(study)
    start = study.start_
    lines = {name: curve[start:] for name, curve in curves.items()}
    spots = html.spots_over_time(drawn, ax, study.times_[start:], lines)
    return html.figure(
        drawn,
        "Scores of each model, one line per subject, and R across trials over time (mean and SEM; "
        "the shaded part is not scored). Values show where the pointer rests.",
        spots,
    )


def _heads(study):
    return [html.figure(drawn, caption) for caption, drawn in draw_topomaps(study)]


def _predictions(study):
    return [html.figure(drawn, caption) for caption, drawn in draw_predictions(study)]


def _summary(study):
    reference = next(iter(study.models))
    times = study.pooled_.groupby("model", sort=False)[["fit_s", "predict_s"]].mean()
    return [
        _table(study.summary()),
        html.note(
            "Mean over folds and subjects, standard deviation, standard error of the mean, and the "
            f"ratio to {reference}, which is left out where two models are not told the same. R "
            "across trials asks whether a model knows how one trial differs from another; R over "
            "time whether it knows the shape of the response."
        ),
        _table(times.reset_index()),
        html.note("Mean time of a fold."),
    ]


def _comparisons(study):
    table = study.comparisons_
    if not len(table):
        return [html.note("There is only one model to compare.")]
    return [
        _table(table),
        html.note(
            "Signed-rank test of a - b. Folds share training trials, so p over subjects x folds is "
            "optimistic; over subjects it is not, and cannot fall below 2^(1-n) with n subjects. "
            "Where two models are not told the same, the difference is one of what they are told."
        ),
    ]


def _what_was_run(study):
    sizes = [len(test) for _, test in study.splits_]
    rows = {"Data": _data(study)}
    rows["Folds"] = f"{escape(folds_text(study))}; {min(sizes)} to {max(sizes)} test trials a fold"
    if study.n_purged_ is not None:
        rows["Overlap in time"] = (
            f"{study.n_overlapping_} of {len(study.subjects_)} trials overlap with another; "
            f"{min(study.n_purged_)} to {max(study.n_purged_)} training trials a fold were left "
            "out because they overlap with a test trial"
        )
    if study.shapes_["y"] is not None and study.times_ is not None:
        rows["Scored"] = f"within each subject and fold, from {start_text(study)} on"
    for i, text in enumerate(getattr(study, "notes_", ())):
        rows[f"Note {i + 1}"] = escape(text)
    rows["Versions"] = ", ".join(f"{k} {v}" for k, v in study.versions_.items() if v)
    models = {
        name: f"{escape(kind_of(model))}, told {in_words(study.knows_[name])}: "
        f"<code>{escape(_short(model))}</code>"
        for name, model in study.all_models_.items()
    }
    return [html.facts(rows), html.facts(models)]


def _data(study):
    n = f"{len(study.subjects_)} trials of {study.shapes_['n_subjects']} subject(s)"
    if study.times_ is None:
        return f"{n}; X has shape {study.shapes_['X']}"
    _, n_channels, n_times = study.shapes_["y"]
    span = f"{study.times_[0]:g} to {study.times_[-1]:g}"
    unit = "s" if study.times_.dtype.kind == "f" else "samples"
    return (
        f"{n}, {n_channels} channels{_kinds(study.info_)}, {n_times} samples from {span} {unit}; X "
        f"has shape {study.shapes_['X']}"
    )


def _kinds(info):
    if info is None:
        return ""
    kinds = info.get_channel_types()
    return " (" + ", ".join(f"{kinds.count(k)} {k}" for k in dict.fromkeys(kinds)) + ")"


def _short(model):
    text = " ".join(repr(model).split())
    return text if len(text) < 300 else text[:300] + " ..."


def _trials(study):
    counts = getattr(study, "counts_", None)
    return [] if counts is None else [_table(counts)]


def _unusual(study):
    found = study.unusual_
    if not len(found):
        return []
    wide = found.pivot(index="subject", columns="model", values="unusual").reset_index()
    wide.columns = [str(name) for name in wide.columns]
    return [
        _table(wide),
        html.note(
            "Share of the trials left out that a model finds unlike those it was fitted on, by the "
            "stimulus and what else it is given; .05 is expected. Where it is much more, training "
            "and test trials differ, and scores say little about trials like those of training."
        ),
    ]


def _lost(study):
    failed = getattr(study, "failed_", ())
    return [_table(failed)] if len(failed) else []


def _per_subject(study):
    wide = study.table_.groupby(["subject", "model"], sort=False)[study.metrics_].mean()
    wide = wide.unstack("model")
    wide.columns = [f"{NAMES.get(metric, metric)}: {model}" for metric, model in wide.columns]
    wide = wide.dropna(axis=1, how="all").reset_index()
    parts = [_table(wide), html.note("Mean over folds.")]
    kinds = study.by_channel_type()
    if kinds is not None and kinds["channels"].nunique() > 1:
        parts += [
            _table(kinds),
            html.note("R across trials by type of channel, mean over subjects."),
        ]
    return parts
