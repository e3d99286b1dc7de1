"""Tables of a study: summaries, gains over equal floors, features, pairs of models."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd

from .._scores import nanmean
from . import inference, null
from .knowledge import equal_floor, in_words

KNOWN = ("features", "initial")  # what must be equal for two models to be compared


def same_information(knows, a, b):
    """Whether two models are told the same; what nobody knows about counts as the same."""
    return all(knows[a].get(kind) == knows[b].get(kind) for kind in KNOWN)


def summarize(table, pooled, metrics, reference, knows):
    """Mean and spread of every score per model.

    Scores are summarized over folds x subjects. A score that no subject has (a single test
    trial has no correlation across trials) is summarized over folds with subjects pooled, and
    the column ``over`` says so. A ratio is given between models that are told the same only.
    """
    rows = []
    for metric in metrics:
        within = table[metric].notna().any()
        source = table if within else pooled
        scores = {m: s.dropna() for m, s in source.groupby("model", sort=False)[metric]}
        base = scores[reference].mean()
        for model, values in scores.items():
            equal = base > 0 and same_information(knows, model, reference)
            rows.append(
                {
                    "model": model,
                    "metric": metric,
                    "mean": values.mean(),
                    "sd": values.std(),
                    "sem": values.sem(),
                    "n": len(values),
                    f"ratio_to_{reference}": values.mean() / base if equal else np.nan,
                    "over": "folds x subjects" if within else "folds, subjects pooled",
                }
            )
    return pd.DataFrame(rows)


def compare_pairs(table, pooled, a, b, metric, knows):
    """Signed-rank comparison of two models over subjects x folds, and over subjects."""
    wide, difference = _differences(table, pooled, a, b, metric)
    rows = {
        "subjects x folds": difference.to_numpy(),
        "subjects": difference.groupby("subject").mean().to_numpy(),
    }
    equal = same_information(knows, a, b)
    found = [
        {"a": a, "b": b, "metric": metric, "over": over, **_paired(d), "told_the_same": equal}
        for over, d in rows.items()
    ]
    return pd.DataFrame(found)


def _differences(table, pooled, a, b, metric):
    source = table if table[metric].notna().any() else pooled.assign(subject="pooled")
    wide = source.pivot(index=["fold", "subject"], columns="model", values=metric)
    return wide, (wide[a] - wide[b]).dropna()


def _paired(difference):
    p, effect = inference.signed_rank(difference)
    median = float(np.median(difference)) if len(difference) else np.nan
    return {"n_pairs": len(difference), "median_difference": median, "p": p, "effect_size": effect}


def compare_all(table, pooled, models, metrics, knows):
    """`compare_pairs` of every pair of models in every score."""
    frames = [
        compare_pairs(table, pooled, a, b, metric, knows)
        for metric in metrics
        for b, a in combinations(models, 2)
    ]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def contrast(results, a, b, metric, level=0.95):
    """Mean difference of two models with its interval.

    Returns row (dict): ``gain`` (a - b), ``ci_low``, ``ci_high``, ``interval_over``, ``p``,
        ``n_better``, ``n_subjects``, ``effect_size``, ``d`` (mean over SD of the subjects) with
        its interval ``d_low, d_high``, and ``bf10``, the Bayes factor of a difference over none.
    """
    _, difference = _differences(results.table, results.pooled, a, b, metric)
    by_subject = difference.groupby("subject").mean()
    n, gain = len(by_subject), by_subject.mean()
    p, effect = inference.signed_rank(by_subject.to_numpy())
    row = {
        "gain": gain,
        "n_better": int((by_subject > 0).sum()),
        "n_subjects": n,
        "effect_size": effect,
        "bf10": inference.bayes_factor(by_subject.to_numpy()),
    }
    d = inference.standardized_mean(by_subject.to_numpy(), level=level)
    row |= dict(zip(("d", "d_low", "d_high"), d))
    if n >= inference.MIN_SUBJECTS:
        low, high = inference.bootstrap_subjects(by_subject.to_numpy(), level=level)
        return {**row, "ci_low": low, "ci_high": high, "interval_over": "subjects", "p": p}
    influences = results.influences(a, b) if metric == "r" else []
    low, high, p = inference.within_subjects(influences, gain, level=level)
    return {**row, "ci_low": low, "ci_high": high, "interval_over": "trials", "p": p}


def gains(results, metric, level=0.95):
    """Gain of every informed model over the floor with the same other information."""
    scores = results.table.groupby("model")[metric].mean().to_dict()
    rows = []
    for model in results.models:
        floor = equal_floor(model, results.knows, scores)
        if "chance" in results.models and model != "chance":
            floor = "chance"
        if floor is None:
            continue
        row = {"model": model, "floor": floor, "told": in_words(results.knows[model])}
        row |= contrast(results, model, floor, metric, level)
        row["p_features"] = results.feature_p(model)
        rows.append(row)
    found = pd.DataFrame(rows)
    if not len(found):
        return found
    tested = found["p_features"].where(found["p_features"].notna(), found["p"])
    found["p_holm"] = inference.holm(tested)
    # An interval of 95 % leaves 2.5 % on either side; so does the one-sided p.
    sure = found["p_holm"] < np.where(found["p_features"].notna(), (1 - level) / 2, 1 - level)
    found["claimed"] = (found["ci_low"] > 0) & sure & (not results.drifting)
    return found


def gain_columns(gains):
    """Columns of gains that a page shows; those without any value are left out."""
    shown = [
        "model", "floor", "told", "gain", "ci_low", "ci_high", "p_features", "p_holm", "p",
        "n_better", "n_subjects", "effect_size", "d", "d_low", "d_high", "bf10", "interval_over",
        "claimed",
    ]  # fmt: skip
    return [name for name in shown if gains[name].notna().any()]


def by_channel_type(maps, info, start):
    """Table of mean R per model and type of channel; None where types are not known."""
    if info is None or not maps:
        return None
    kinds = np.array(info.get_channel_types())
    rows = [
        {"channels": kind, "model": name, "r": _mean_r(values, kinds == kind, start)}
        for kind in dict.fromkeys(kinds.tolist())
        for name, values in maps.items()
    ]
    return pd.DataFrame(rows)


def _mean_r(maps, channels, start):
    """Mean over subjects, one after the other, of some channels."""
    each = [nanmean(np.array(one[channels, start:], dtype=float), axis=None) for one in maps]
    return float(nanmean(np.array(each), axis=0))


def feature_table(results):
    """Unique contribution of every feature to every model that looks at it."""
    rows = []
    for model in results.models:
        for number, feature in enumerate(results.feature_names):
            drops = results.drops(model, number)
            if drops is None:
                continue
            observed, nulls = drops  # (n_folds, n_subjects), (n_folds, n_permutations, n_subjects)
            drop = np.nanmean(observed - nulls.mean(axis=1), axis=0)
            z, p = null_test(observed, nulls)
            rows.append(
                {
                    "model": model,
                    "feature": feature,
                    "contribution": np.nanmean(drop),
                    "n_better": int((drop > 0).sum()),
                    "n_subjects": len(drop),
                    "z": float(z),
                    "p": float(p),
                    "p_subjects": inference.signed_rank(drop[~np.isnan(drop)])[0],
                }
            )
    found = pd.DataFrame(rows)
    if len(found):
        found["p_holm"] = inference.holm(found["p"])
    return found


def null_test(observed, nulls):
    """Return z and p of a mean over subjects against its null, folds combined."""
    with np.errstate(invalid="ignore"):
        mean = np.array([_mean(row) for row in observed])
        drawn = np.array([[_mean(row) for row in fold] for fold in nulls])
    z = null.z_of_fold(mean, drawn.mean(axis=1), drawn.std(axis=1, ddof=1), drawn.shape[1])
    return null.combine_folds(np.where(np.isnan(mean), np.nan, z))


def _mean(values):
    values = values[~np.isnan(values)]
    return values.mean() if len(values) else np.nan
