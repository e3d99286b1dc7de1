"""Which alignment: the one under which recordings left out are most likely."""

from dataclasses import replace

import numpy as np

from ._align import Aligner, CrossedMap, half_of, learn, robust_static, with_matched_signs
from ._settings import ALIGN, LOG_2PI

MAX_SAMPLES = 20000  # of a recording, for its moments
ALIGNMENTS = (
    "auto",
    *("none", "zscore", "covariance", "signs", "signs+zscore", "signs+covariance"),
)


def name_of(aligner):
    """The value of `align` that an aligner is."""
    names = ["signs"] * aligner.signs + [aligner.method] * (aligner.method != "none")
    return "+".join(names) or "none"


def parse(align):
    """Method, and whether signs are matched, of a value of the parameter `align`."""
    parts = align.split("+")
    signs = "signs" in parts
    rest = [part for part in parts if part != "signs"]
    return (rest[0] if rest else "none"), signs


def options_of(align, n_regions, n_half):
    """Keyword arguments of `learn` that are compared, the simplest first."""
    if align == "auto":
        methods, signs = ("none", "zscore", "covariance"), (False, True)[: 1 + (n_regions > 1)]
    else:
        method, sign = parse(align)
        methods, signs = (method,), (sign,)
    return [
        {"method": method, "weight": weight, "signs": sign}
        for sign in signs
        for method in methods
        for weight in ([w * n_half for w in ALIGN.weights] if method == "covariance" else [0.0])
    ]


def statics_of(part, dof):
    """Moments of a recording, and of its two halves."""
    stride = -(-len(part) // MAX_SAMPLES)
    half = half_of(len(part))[::stride]
    X = np.asarray(part[::stride], dtype=float)
    there = ~np.isnan(X).any(1)
    whole = robust_static(X[there], dof)
    halves = [X[there & (half == h)] for h in (0, 1)]
    if min(map(len, halves)) < ALIGN.least_samples // 2:
        return whole, (whole, whole)
    return whole, tuple(robust_static(h, dof) for h in halves)


def chosen_aligner(statics, align):
    """The aligner, and what each option scored.

    statics (list of (Static, (Static, Static))): Static covariances of each recording, from
        `statics_of`.
    Returns aligner (Aligner)
    and table (dict of ndarray): ``method``, ``weight``, ``signs`` and ``loglik`` of each
        option.
    """
    whole = [s for s, _ in statics]
    half = np.mean([h.count for _, halves in statics for h in halves])
    options = options_of(align, len(whole[0].mean), half)
    few = min(s.count for s in whole) < ALIGN.least_samples or len(whole) < 2
    if align == "none" or (align == "auto" and few):
        return learn(whole, "none"), _table(options[:1], np.full((1, 1), np.nan))
    if len(options) == 1 or len(whole) < 2:
        return learn(whole, **options[0]), _table(options[:1], np.full((1, 1), np.nan))
    scores = left_out_scores(whole, [h for _, h in statics], options)
    least = [_least_gain(option) * len(whole[0].mean) for option in options]
    chosen = options[best_option(scores - np.array(least)[:, None])]
    return learn(whole, **chosen), _table(options, scores)


def _least_gain(option):
    """Nats per sample and region by which an option must be better than none."""
    return ALIGN.sign_gain * option["signs"] + ALIGN.least_gain * (option["method"] != "none")


def _table(options, scores):
    columns = {key: np.array([option[key] for option in options]) for key in options[0]}
    return {**columns, "loglik": scores.mean(1)}


def best_option(scores):
    """The first option that is not clearly worse than the best.

    Not clearly: by less than one standard error of the paired differences over recordings.
    """
    below = scores[scores.mean(1).argmax()] - scores
    n = scores.shape[1]
    error = below.std(axis=1, ddof=1) / np.sqrt(n) if n > 1 else np.zeros(len(scores))
    return int(np.argmax(below.mean(1) <= ALIGN.n_errors * error))


def left_out_scores(statics, halves, options):
    """Log-likelihood per sample of recordings that are left out, under one Gaussian.

    One half of the left-out recording is aligned by what its other half says, and scored by the
    other recordings.

    Returns scores (n_options, n_recordings)
    """
    n = len(statics)
    which = np.unique(np.linspace(0, n - 1, min(n, ALIGN.max_scored)).astype(int))
    return np.stack([_scored(statics, halves, options, r) for r in which], axis=1)


def _scored(statics, halves, options, r):
    rest = statics[:r] + statics[r + 1 :]
    signed = {False: rest}
    if any(option["signs"] for option in options):
        signed[True] = with_matched_signs(rest)
    found = []
    for option in options:
        aligner = learn(signed[option["signs"]], option["method"], option["weight"])
        found.append(_crossed(replace(aligner, signs=option["signs"]), halves[r]))
    return found


def _crossed(aligner, halves):
    total = 0.0
    for own, test in (halves, halves[::-1]):
        signs = aligner.signs_of(own)
        mean, covariance = aligner.own(own.signed(signs))
        total += test.count * _log_likelihood(mean, covariance, test.signed(signs))
    return total / (halves[0].count + halves[1].count)


def _log_likelihood(mean, covariance, test):
    """Per sample of a Gaussian, from the moments of the samples."""
    spread = np.sqrt(np.diag(covariance))
    scaled = covariance / spread[:, None] / spread
    scaled = (1 - ALIGN.ridge) * scaled + ALIGN.ridge * np.eye(len(mean))
    lower = np.linalg.cholesky(scaled)
    inverse = np.linalg.inv(lower) / spread
    shift = test.mean - mean
    second = test.covariance + shift[:, None] * shift
    log_det = 2 * (np.log(np.diag(lower)).sum() + np.log(spread).sum())
    return -(log_det + ((inverse @ second) * inverse).sum() + len(mean) * LOG_2PI) / 2


def maps_of(aligner: Aligner, statics):
    """Maps of recordings, and maps of each of their halves by the other."""
    whole = [aligner.map_of(s) for s, _ in statics]
    crossed = [CrossedMap(tuple(aligner.map_of(h) for h in halves)) for _, halves in statics]
    return whole, crossed
