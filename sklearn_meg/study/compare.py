"""Statistics over the table of a study: summaries and paired comparisons."""

from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import wilcoxon


def summarize(table, pooled, metrics, reference):
    """Mean and spread of every metric per model.

    Scores are summarized over folds x subjects. A metric that no subject has (a single test
    trial has no correlation across trials) is summarized over folds with subjects pooled, and
    the column ``over`` says so.
    """
    rows = []
    for metric in metrics:
        within = table[metric].notna().any()
        source = table if within else pooled
        scores = {m: s.dropna() for m, s in source.groupby("model", sort=False)[metric]}
        base = scores[reference].mean()
        for model, values in scores.items():
            rows.append(
                {
                    "model": model,
                    "metric": metric,
                    "mean": values.mean(),
                    "sd": values.std(),
                    "sem": values.sem(),
                    "n": len(values),
                    # A ratio to nothing, or to less than nothing, says nothing.
                    f"ratio_to_{reference}": values.mean() / base if base > 0 else np.nan,
                    "over": "folds x subjects" if within else "folds, subjects pooled",
                }
            )
    return pd.DataFrame(rows)


def compare_pairs(table, pooled, a, b, metric):
    """Signed-rank comparison of two models over subjects x folds, and over subjects."""
    source = table if table[metric].notna().any() else pooled.assign(subject="pooled")
    wide = source.pivot(index=["fold", "subject"], columns="model", values=metric)
    difference = (wide[a] - wide[b]).dropna()
    rows = {
        "subjects x folds": difference.to_numpy(),
        "subjects": difference.groupby("subject").mean().to_numpy(),
    }
    found = [{"a": a, "b": b, "metric": metric, "over": o, **_paired(d)} for o, d in rows.items()]
    return pd.DataFrame(found)


def compare_all(table, pooled, models, metrics):
    """`compare_pairs` of every pair of models in every metric."""
    frames = [
        compare_pairs(table, pooled, a, b, metric)
        for metric in metrics
        for b, a in combinations(models, 2)
    ]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _paired(difference):
    """Wilcoxon p value, and the matched-pairs rank-biserial correlation (Kerby 2014)."""
    moved = difference[difference != 0]
    result = {
        "n_pairs": len(difference),
        "median_difference": float(np.median(difference)) if len(difference) else np.nan,
        # One pair is no sample; pairs without a difference are one without an effect.
        "p": np.nan if len(difference) < 2 else 1.0,
        "effect_size": np.nan if len(difference) < 2 else 0.0,
    }
    if len(moved) and len(difference) > 1:
        ranks = pd.Series(np.abs(moved)).rank().to_numpy()
        result["p"] = float(wilcoxon(moved).pvalue)
        result["effect_size"] = float((ranks * np.sign(moved)).sum() / ranks.sum())
    return result
