"""Our solvers in the benchmark, and what is fitted with one or two conditions."""

import numpy as np

from sklearn_meg.datasets._evoked import make_evoked
from sklearn_meg.source import MinimumNorm, MixedNorm, make_events
from sklearn_meg.source.metrics import (
    earth_movers_distance,
    false_positive_ratio,
    localization_error,
    nmse,
    time_course_correlation,
)
from sklearn_meg.source.metrics.peaks import MISS

from ..report import row
from .peers import as_trials, fitted
from .scores import finite, whitener_of

QUICK_DATA = {"n_epochs": 8, "spacing": 20.0}
QUICK_FIT = {"max_epochs": 3}
SEEDS_OF_ALL = 1
# Amplitudes of the second condition relative to the first.
GAINS = {"1dip": (1.5,), "2corr": (1.5, 0.75)}


def our_params(quick=False):
    """Give the parameters of ours: as it comes, the paper's, a penalized GRU.

    quick: Train hardly at all.
    Returns params (dict of dict): By the name of the model in the table.
    """
    from sklearn_meg.source import rnn

    params = {"default": {}, "paper": rnn.PAPER_PARAMS, "group": rnn.GROUP_PARAMS}
    fit = QUICK_FIT if quick else {}
    return {name: {**given, **fit} for name, given in params.items()}


def our_solver(data, seed, **params):
    """RNNSourceSolver for simulated data."""
    from sklearn_meg.source.rnn import RNNSourceSolver

    given = {"forward": data.forward, "noise_cov": data.noise_cov, "info": data.info}
    return RNNSourceSolver(**{"random_state": seed, **params, **given})


def our_estimates(data, seed, quick=False):
    """Yield name and estimate of each of ours, fitted to the single epochs.

    The two that train on all positions take longest and only show what the default gains: the
    first seed of them is enough.
    """
    X, y = as_trials(data)
    for name, params in our_params(quick).items():
        if name != "default" and seed >= SEEDS_OF_ALL:
            continue
        yield name, fitted(our_solver(data, seed, **params), X, y, data)


def noise_rows(seed, random_state, quick=False):
    """Peak of an estimate from noise alone over that from a dipole at +5 dB.

    seed: For the rows.
    random_state: Of both data sets.
    Returns rows (list of dict): Metric ``noise_ratio``; for comparison also of two peers as they
        come.
    """
    size = QUICK_DATA if quick else {}
    pair = [make_evoked(kind, 5.0, random_state=random_state, **size) for kind in ("noise", "1dip")]
    found = {}
    for data in pair:
        for name, estimate in our_estimates(data, seed, quick):
            found.setdefault(name, []).append(estimate)
        average = {"forward": data.forward, "noise_cov": data.noise_cov, "info": data.info}
        average["nave"] = len(data.epochs)
        for name, model in (("mne", MinimumNorm(**average)), ("mxne", MixedNorm(**average))):
            found.setdefault(name, []).append(fitted(model, data.X, data.y, data))
    after = slice(pair[0].onset, None)
    return [
        row(
            "noise", name, "noise_ratio", seed,
            finite(false_positive_ratio(noise.sources, real.sources, after), 1.0),
        )
        for name, (noise, real) in found.items()
    ]  # fmt: skip


def joint_rows(seed, random_state, quick=False):
    """Two conditions at -5 dB, with the same sources in other amplitudes: one fit or two.

    Returns rows (list of dict): Cases ``joint_1dip`` and ``joint_2corr``, models ``joint`` and
        ``separate``; means over both conditions.
    """
    rows = []
    for offset, (scenario, gains) in enumerate(GAINS.items()):
        size = QUICK_DATA if quick else {}
        # 50 apart: the seeds of one case stay independent
        first = make_evoked(scenario, -5.0, random_state=random_state + 50 * offset, **size)
        second = first.condition(gains, random_state=random_state + 50 * offset)
        for name, estimates in two_fits((first, second), seed, quick).items():
            each = [
                _condition_scores(data, *estimate)
                for data, estimate in zip((first, second), estimates, strict=True)
            ]
            rows += [
                row(f"joint_{scenario}", name, metric, seed, np.mean([s[metric] for s in each]))
                for metric in each[0]
            ]
    return rows


def two_fits(conditions, seed, quick=False):
    """(sources, fields) of each condition, fitted together and one by one."""
    first, fit = conditions[0], QUICK_FIT if quick else {}
    events = make_events(len(conditions), len(first.times), first.onset)
    X = np.repeat(events, [len(data.epochs) for data in conditions], axis=0)
    y = np.concatenate([data.epochs for data in conditions])
    joint = our_solver(first, seed, **fit).fit(X, y)
    sources = joint.transform(events, pick_ori="vector")
    # Each alone with the same noise covariance: all that differs is that they are fitted alone.
    alone = [fitted(our_solver(first, seed, **fit), *as_trials(data), data) for data in conditions]
    return {
        "joint": list(zip(sources, joint.predict(events), strict=True)),
        "separate": [(estimate.sources, estimate.fields) for estimate in alone],
    }


def _condition_scores(data, sources, fields):
    where, on, after = data.forward["source_rr"], data.active, slice(data.onset, None)
    true_map = data.source_map()
    distance = earth_movers_distance(where, sources, data.source_positions, true_map, on)
    return {
        "dle_mm": localization_error(where, sources, data.positions, on),
        "emd_mm": finite(distance, MISS),
        "nmse": nmse(data.clean[:, after], fields[:, after], whitener_of(data)),
        "tcorr": time_course_correlation(
            where, sources, data.positions, data.source_time_courses, on
        ),
    }
