"""Benchmark of the encoders: simulated worlds, real EEG, importance, cost.

Each world is 6 subjects x 300 trials, 12 channels, 40 Hz; 80 % of the trials of each subject train,
20 % test; the score is R across test trials of each subject, averaged over channels and samples
from word onset, or the end of the initial window, on.
"""

from functools import partial
from time import perf_counter

import numpy as np
from scipy.stats import wilcoxon
from sklearn.pipeline import make_pipeline

from sklearn_meg import pack_rows
from sklearn_meg.datasets import make_words
from sklearn_meg.encoding import (
    PAPER_PARAMS,
    DeepRecurrentEncoder,
    FeatureExpansion,
    RecurrentTRF,
    SubjectMean,
    TemporalReceptiveField,
)
from sklearn_meg.metrics import noise_ceiling, r_across_trials, r_over_time

from ..report import check, row, run_steps, values
from . import cost, importance, real, scale, speed
from .bent import LAGS, START, bent, last_fifth
from .ceiling import ceiling
from .peers import peers

CASES = (
    *("N_stimulus", "L", "N", "S", "many", "bent", "context", "L_stimulus_only", "null"),
    *("few_L", "few_N", "few_S", "few_subjects", "few_trials", "few_none", "averages"),
    *("importance", "eeg_visual", "erp_words", "eeglab", "speed", "scale"),
)
# Others show that these run.
NOT_QUICK = (
    *("L", "S", "context", "L_stimulus_only", "few_L", "few_S", "few_subjects", "few_none"),
)
QUICK_CASES = tuple(case for case in CASES if case not in NOT_QUICK)
WORLDS = ("L", "N", "S")
MANY = {"many": "N", "context": "C"}
ONCE = ("speed", "scale")
STIMULUS_ONLY = {"N_stimulus": "N", "L_stimulus_only": "L"}
# World, subjects, trials of each, trials averaged into one.
FEW = {
    "few_subjects": ("L", 2, 30, 1),
    "few_trials": ("N", 30, 6, 1),
    "few_none": ("L", 10, 20, 1),
    "averages": ("L", 25, 3, 30),
}
QUICK_DATA = {"n_subjects": 2, "n_trials": 20, "n_channels": 3}
QUICK_DEEP = {"max_epochs": 2, "hidden_size": 8}
# The network of the paper at the width that suits 12 channels, trained with our schedule: its own
# width (512) and training take half an hour a fit here.
PAPER_SMALL = {**PAPER_PARAMS, "hidden_size": 64, "max_epochs": 40}
PAPER_SMALL.update(lr=4e-3, weight_decay=0.01, schedule="onecycle", clip_norm=1.0)


def run(quick=False, n_seeds=None, cases=None):
    """Run the benchmark.

    quick: Tiny data and networks, one seed: shows that everything runs, the numbers mean nothing.
    n_seeds (int or None): 5 unless quick.
    cases (list of str or None): Some of `CASES`; None all.
    Returns rows, checks (list of dict), settings (dict)
    """
    cases = (QUICK_CASES if quick else CASES) if cases is None else cases
    seeds = range(n_seeds or (1 if quick else 5))
    steps = [(case, seed) for case in cases for seed in (seeds if case not in ONCE else (0,))]
    rows = run_steps("encoding", steps, partial(_case_rows, quick=quick))
    settings = {"quick": quick, "seeds": len(seeds), "cases": list(cases), "split": "80/20"}
    return rows, [] if quick else make_checks(rows), settings


def _case_rows(case, seed, quick):
    if case in WORLDS:
        return world_rows(case, seed, quick)
    if case in STIMULUS_ONLY:
        return stimulus_only_rows(case, seed, quick)
    if case in FEW:
        return pooling_rows(case, seed, quick)
    if case.startswith("few_"):
        return few_rows(case, seed, quick)
    if case == "null":
        return null_rows(seed, quick)
    if case in MANY:
        return many_rows(case, seed, quick)
    if case == "bent":
        return bent_rows(seed, quick)
    if case == "importance":
        return importance.importance_rows(seed, quick)
    if case == "speed":
        return speed.speed_rows(0, quick) + cost.cost_rows(0, quick)
    if case == "scale":
        return scale.scale_rows(seed, quick)
    return real_rows(case, seed, quick)


def world_rows(world, seed, quick):
    """All models in one simulated world."""
    data = make_words(world, random_state=seed, **(QUICK_DATA if quick else {}))
    train, test = split(data.subjects, seed)
    start = first_scored(data)
    deep = QUICK_DEEP if quick else {}
    splines, products = (
        make_pipeline(FeatureExpansion(method=method, **data.rows), RecurrentTRF(**data.rows))
        for method in ("spline", "products")
    )
    quadratic = make_pipeline(
        FeatureExpansion(method="products", **data.rows), TemporalReceptiveField(**data.rows)
    )
    models = {
        "default": (DeepRecurrentEncoder(**data.rows, random_state=seed, **deep), data.X),
        "no_subject": (
            DeepRecurrentEncoder(
                **data.rows, random_state=seed, embedding_size=0, subject_mixing=False, **deep
            ),
            data.X,
        ),
        "paper": (
            DeepRecurrentEncoder(**data.rows, random_state=seed, **{**PAPER_SMALL, **deep}),
            data.X,
        ),
        "rtrf": (RecurrentTRF(**data.rows), data.X),
        "trf": (TemporalReceptiveField(**data.rows), data.X),
        "spline_rtrf": (splines, data.X),
        "quadratic_rtrf": (products, data.X),
        "quadratic_trf": (quadratic, data.X),
        "separate_trf": (TemporalReceptiveField(**data.rows, partial_pooling=False), data.X),
        "subject_mean": (SubjectMean(**data.rows), data.X),
    }
    rows = scores(
        world, "oracle", seed, data.y[test], data.evoked[test], data.subjects[test], start
    )
    best = ceiling(data, test)
    rows += scores(world, "ceiling", seed, data.y[test], best, data.subjects[test], start)
    for name, (model, X) in models.items():
        rows += fit_and_score(
            world, name, seed, model, X, data.y, train, test, data.subjects, start
        )
    return rows


def many_rows(case, seed, quick):
    """World N or C of 30 subjects with 60 trials each, who differ in topography, gain and delay."""
    size = QUICK_DATA if quick else {"n_subjects": 30, "n_trials": 60}
    data = make_words(MANY[case], random_state=seed, **size)
    train, test = split(data.subjects, seed)
    start, where = first_scored(data), data.rows
    deep = QUICK_DEEP if quick else {}
    models = {
        "default": DeepRecurrentEncoder(**where, random_state=seed, **deep),
        "rtrf": RecurrentTRF(**where),
        "spline_rtrf": make_pipeline(FeatureExpansion(**where), RecurrentTRF(**where)),
    }
    best = ceiling(data, test)
    rows = scores(case, "ceiling", seed, data.y[test], best, data.subjects[test], start)
    for name, model in models.items():
        rows += fit_and_score(
            case, name, seed, model, data.X, data.y, train, test, data.subjects, start
        )
    return rows


def bent_rows(seed, quick):
    """Responses of another hand; seeds from 20 on, as some before were looked at in development."""
    X, y, rows, subjects = bent(seed + 20, **({"n_subjects": 2, "n_trials": 10} if quick else {}))
    lags = {**LAGS, "tmax": 0.1} if quick else LAGS
    train, test = last_fifth(subjects)
    deep = QUICK_DEEP if quick else {}
    models = {
        "default": DeepRecurrentEncoder(**rows, base_params=lags, random_state=seed, **deep),
        "rtrf": RecurrentTRF(**rows, **lags),
        "spline_rtrf": make_pipeline(FeatureExpansion(**rows), RecurrentTRF(**rows, **lags)),
    }
    result = []
    for name, model in models.items():
        result += fit_and_score("bent", name, seed, model, X, y, train, test, subjects, START)
    return result


def stimulus_only_rows(case, seed, quick):
    """World N or L without initial MEG: all models know stimulus and subject."""
    data = make_words(STIMULUS_ONLY[case], random_state=seed, **(QUICK_DATA if quick else {}))
    train, test = split(data.subjects, seed)
    X, rows = pack_rows(data.features, subjects=data.subjects)
    deep = DeepRecurrentEncoder(**rows, random_state=seed, **(QUICK_DEEP if quick else {}))
    splines = make_pipeline(FeatureExpansion(**rows), TemporalReceptiveField(**rows))
    models = {"default": deep, "trf": TemporalReceptiveField(**rows), "spline_trf": splines}
    models |= peers(seed, quick, **rows)
    result = []
    for name, model in models.items():
        result += fit_and_score(
            case, name, seed, model, X, data.y, train, test, data.subjects, first_scored(data)
        )
    return result


def pooling_rows(case, seed, quick):
    """Few trials of many subjects: no model may be worse than a simpler one.

    ``few_none`` has the stimuli of other trials, so features say nothing; ``averages`` are three
    condition averages of each of 25 subjects, of which one is left out, scored over time.
    """
    world, n_subjects, n_trials, n_averaged = FEW[case]
    size = {"n_channels": 4, "n_subjects": 2 if quick else n_subjects}
    data = make_words(world, n_trials=n_trials * n_averaged, random_state=seed, **size)
    features, y, subjects = data.features, data.y, data.subjects
    if n_averaged > 1:
        features, y, subjects = averages(data, n_trials, n_averaged)
    if case == "few_none":
        features = features[np.random.default_rng(seed).permutation(len(features))]
    X, rows = pack_rows(features, subjects=subjects)
    share = (n_trials - 1) / n_trials if n_averaged > 1 else 0.5
    train, test = split(subjects, seed, share=share)
    models = {
        "default": DeepRecurrentEncoder(**rows, random_state=seed, **(QUICK_DEEP if quick else {})),
        "trf": TemporalReceptiveField(**rows),
        "separate_trf": TemporalReceptiveField(**rows, partial_pooling=False),
        "subject_mean": SubjectMean(**rows),
    }
    if n_averaged == 1:
        splines = make_pipeline(FeatureExpansion(**rows), TemporalReceptiveField(**rows))
        models |= {"spline_trf": splines, **peers(seed, quick, **rows)}
    result, start = [], int(np.searchsorted(data.times, 0))
    for name, model in models.items():
        predicted = model.fit(X[train], y[train]).predict(X[test])
        result.append(row(case, name, "r_time", seed, r_over_time(y[test], predicted, start=start)))
        if n_averaged == 1:
            result += [
                r for r in scores(case, name, seed, y[test], predicted, subjects[test], start)
                if r["metric"] == "r"
            ]  # fmt: skip
    return result


def averages(data, n_conditions, n_averaged):
    """Averages of trials that are alike in length: those of each subject, sorted, in groups."""
    features, y, subjects = [], [], []
    zero = int(np.searchsorted(data.times, 0))
    for subject in np.unique(data.subjects):
        trials = np.flatnonzero(data.subjects == subject)
        trials = trials[np.argsort(data.features[trials, 1, zero], kind="stable")]
        for part in np.array_split(trials, n_conditions):
            features.append(data.features[part].mean(axis=0))
            y.append(data.y[part].mean(axis=0))
            subjects.append(subject)
    return np.array(features), np.array(y), np.array(subjects)


def null_rows(seed, quick):
    """World N with the stimuli of other trials in training and no initial MEG: R must vanish."""
    data = make_words("N", random_state=seed, **(QUICK_DATA if quick else {}))
    train, test = split(data.subjects, seed)
    X, rows = pack_rows(data.features, subjects=data.subjects)
    X_null = X.copy()
    X_null[train, :-1] = X[np.random.default_rng(seed).permutation(train), :-1]
    model = DeepRecurrentEncoder(**rows, random_state=seed, **(QUICK_DEEP if quick else {}))
    return fit_and_score(
        "null", "default", seed, model, X_null, data.y, train, test, data.subjects,
        first_scored(data),
    )  # fmt: skip


def few_rows(case, seed, quick):
    """Two subjects with 60 trials each that differ strongly: amplitudes spread by e**0.8."""
    size = QUICK_DATA if quick else {"n_subjects": 2, "n_trials": 60}
    data = make_words(case[-1], random_state=seed, **size)
    gains = np.exp(0.8 * np.random.default_rng(seed).normal(size=(len(data.y), 1, 1)))
    y, n_initial = data.y * gains, data.rows["n_initial"]
    X, rows = pack_rows(data.features, subjects=data.subjects, initial=y, n_initial=n_initial)
    train, test = split(data.subjects, seed, share=0.7)
    models = {
        "default": DeepRecurrentEncoder(**rows, random_state=seed, **(QUICK_DEEP if quick else {})),
        "rtrf": RecurrentTRF(**rows),
        "trf": TemporalReceptiveField(**rows),
    }
    result = []
    for name, model in models.items():
        result += fit_and_score(
            case, name, seed, model, X, y, train, test, data.subjects, first_scored(data)
        )
    return result


def real_rows(case, seed, quick):
    """Real EEG, where it is there; several seeds of the deep encoder, linear ones once."""
    load, name = {
        "eeg_visual": (real.eeg_visual, real.VISUAL),
        "erp_words": (real.erp_words, real.WORDS),
        "eeglab": (real.eeglab, real.EEGLAB),
    }[case]
    path = real.find(name)
    if path is None or quick:
        return []
    X, y, rows, subjects, folds, sfreq = load(path)
    lags = {"tmax": 0.6, "sfreq": sfreq}
    deep = DeepRecurrentEncoder(**rows, base_params=lags, random_state=seed)
    models = {"default": deep}
    if seed == 0:
        if rows["n_initial"]:
            models["rtrf"] = RecurrentTRF(**rows, **lags)
        models["trf"] = TemporalReceptiveField(**rows, **lags)
        models["separate_trf"] = TemporalReceptiveField(**rows, **lags, partial_pooling=False)
        models["subject_mean"] = SubjectMean(**rows)
    result = noise_ceiling_rows(case, y, rows, subjects) if seed == 0 else []
    for name, model in models.items():
        per_fold = []
        for train, test in folds:
            predicted = model.fit(X[train], y[train]).predict(X[test])
            start = rows["n_initial"]
            per_fold.append(
                [f(y[test], predicted, start=start) for f in (r_across_trials, r_over_time)]
            )
        r, r_time = np.mean(per_fold, axis=0)
        result += [row(case, name, "r", seed, r), row(case, name, "r_time", seed, r_time)]
    return result


def noise_ceiling_rows(case, y, rows, subjects):
    """What repeated trials allow across trials: subjects are the stimuli that differ."""
    counts = np.unique(subjects, return_counts=True)[1]
    if len(counts) < 2 or counts.max() < 2:
        return []
    best = noise_ceiling(y, subjects)[:, rows["n_initial"] :]
    return [row(case, "noise_ceiling", "r", 0, np.nanmean(best))]


def fit_and_score(case, name, seed, model, X, y, train, test, subjects, start):
    """Rows of one model: scores, scores of each subject, times."""
    begun = perf_counter()
    model.fit(X[train], y[train])
    fitted = perf_counter()
    predicted = model.predict(X[test])
    done = perf_counter()
    return [
        *scores(case, name, seed, y[test], predicted, subjects[test], start),
        row(case, name, "fit_s", seed, fitted - begun),
        row(case, name, "predict_s", seed, done - fitted),
    ]


def scores(case, name, seed, y, predicted, subjects, start):
    """R across trials (mean over subjects, and each), R over time."""
    each = [
        r_across_trials(y[subjects == s], predicted[subjects == s], start=start)
        for s in np.unique(subjects)
    ]
    rows = [
        row(case, name, "r", seed, np.mean(each)),
        row(case, name, "r_time", seed, r_over_time(y, predicted, start=start)),
    ]
    return rows + [row(case, name, "r_subject", seed, r, subject=s) for s, r in enumerate(each)]


def split(subjects, seed, share=0.8):
    """Random trials of each subject to train and to test on."""
    rng = np.random.default_rng(seed)
    train, test = [], []
    for subject in np.unique(subjects):
        trials = rng.permutation(np.flatnonzero(subjects == subject))
        n_train = round(share * len(trials))
        train.append(trials[:n_train])
        test.append(trials[n_train:])
    return np.sort(np.concatenate(train)), np.sort(np.concatenate(test))


def first_scored(data):
    """First sample from word onset, or the end of the initial window, on."""
    return max(data.rows["n_initial"], int(np.searchsorted(data.times, 0)))


def make_checks(rows):
    """Compare with what the issue asks for, where the cases were run."""
    there = {r["case"] for r in rows if r["metric"] == "r"}
    checks = []

    def ratio(case, other, bound, metric="r"):
        if case in there and len(values(rows, case, other, metric)):
            means = [values(rows, case, m, metric).mean() for m in ("default", other)]
            checks.append(
                check(f"{case}: default / {other} ({metric})", means[0] / means[1], bound)
            )

    ratio("N", "spline_rtrf", ">= 1.3")
    ratio("S", "spline_rtrf", ">= 1.25")
    ratio("many", "spline_rtrf", ">= 1.3")
    ratio("context", "spline_rtrf", ">= 1.3")
    ratio("bent", "spline_rtrf", ">= 1")
    ratio("bent", "rtrf", ">= 1")
    for case in ("N", "S", "many"):
        ratio(case, "ceiling", ">= 0.97")
    ratio("N", "trf", ">= 3.8")
    ratio("N", "rtrf", ">= 1.8")
    ratio("N", "oracle", ">= 1.02")
    ratio("S", "rtrf", ">= 1.35")
    ratio("L", "rtrf", ">= 0.998")
    for other in ("spline_trf", "mlp_lags", "hist_gb_lags"):
        ratio("N_stimulus", other, ">= 1.3" if other == "spline_trf" else "> 1")
    for case in FEW:
        for metric in ("r", "r_time") if case != "averages" else ("r_time",):
            for other in (
                *("trf", "separate_trf", "subject_mean"),
                *("spline_trf", "mlp_lags", "hist_gb_lags"),
            ):
                if values(rows, case, other, metric).any():
                    gap = values(rows, case, "default", metric) - values(rows, case, other, metric)
                    error = gap.std(ddof=1) / np.sqrt(len(gap)) if len(gap) > 1 else 0.0
                    checks.append(
                        check(f"{case}: default - {other}, {metric}", gap.mean() + error, ">= 0")
                    )
    if values(rows, "averages", "trf", "r_time").any():
        ours, mean, alone = (
            values(rows, "averages", m, "r_time").mean()
            for m in ("trf", "subject_mean", "separate_trf")
        )
        checks.append(check("averages: trf / better of both", ours / max(mean, alone), ">= 1.1"))
    for other in ("subject_mean", "separate_trf", "trf"):
        ratio("erp_words", other, ">= 1", "r_time")
    ratio("L_stimulus_only", "trf", ">= 0.99")
    if "N" in there:
        with_, without = (values(rows, "N", m, "r").mean() for m in ("default", "no_subject"))
        checks.append(check("N: gain by the subject", with_ - without, ">= 0.02"))
        for other in ("trf", "rtrf", "spline_rtrf", "paper"):
            pair = [values(rows, "N", m, "r_subject") for m in ("default", other)]
            if len(pair[0]) != len(pair[1]):
                continue
            p = wilcoxon(*pair).pvalue
            checks.append(check(f"N: default against {other}, signed-rank p", p, "< 0.01"))
    if "null" in there:
        worst = np.abs(values(rows, "null", "default", "r")).max()
        checks.append(check("null: largest |R|", worst, "< 0.02"))
    for case in ("few_L", "few_N", "few_S"):
        for metric in ("r", "r_time"):
            ratio(case, "rtrf", ">= 1", metric)
            ratio(case, "trf", ">= 1", metric)
    for other in ("rtrf", "subject_mean", "trf"):
        ratio("eeg_visual", other, "> 1")
    ratio("eeg_visual", "rtrf", "> 1", "r_time")
    ratio("eeglab", "trf", ">= 1", "r_time")
    ratio("eeglab", "rtrf", ">= 1", "r_time")
    ratio("eeglab", "rtrf", ">= 1")
    for module in (importance, speed, cost, scale):
        checks += module.checks(rows)
    return checks
