"""How much states differ: as much as makes recordings likelier that were left out.

The states of a few recordings always differ, if only by chance. Here, their covariances are drawn
towards that of one state of all samples, and their means towards the common mean. Nothing left of
the differences is the model of one state, so that states are never much less likely than that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ._em import (
    MAX_FOLDS,
    Expected,
    plug_in,
    plug_in_density,
    shape_of,
    shape_states,
    shaped_parameters,
)
from ._factors import Shape, Tone
from ._prepare import fold_spans
from ._recordings import Recordings
from ._settings import DIFFERENCE


@dataclass
class LeftOut:
    """What a fold does not know, and the moments of all that it knows.

    batch (Batch): Recordings that are left out, each half aligned by the other.
    expected (Expected): Moments of the others.
    """

    batch: object
    expected: Expected

    def score(self, shape, prior):
        """Log-likelihood per sample of what is left out."""
        mean, covariance = shaped_parameters(self.expected, prior, shape)
        parts = plug_in(mean[None], covariance[None], self.expected, prior)
        return float(self.batch.decode(*parts)[3].sum()) / max(1, self.batch.n_samples)


def states_that_differ(prepared, found):
    """The states that were found, in the shape that recordings left out bear.

    Returns expected (Expected), shape (Shape)
    and scores (dict of ndarray): ``covariances`` and ``noise`` of what was tried, ``loglik``
        per sample of each fold.
    """
    settings, prior = found.settings, found.run.prior
    expected, shape, parameters = shape_states(found.data, found.run, settings)
    if settings.n_states == 1 or settings.known is not None:
        return expected, shape, {}
    moments = found.data.fold_moments(parameters)
    one = one_state(found.data, moments, prior, settings.rank)
    return expected, *with_difference(prepared, moments, expected, prior, shape, one)


def one_state(data, moments, prior, rank):
    """The one state towards which states are drawn, before anything is.

    With heavy tails samples count less where they are far from their state; a state of all samples
    is as narrow as its own distances say, not those of the states.
    """
    together = {f: tuple(m.sum(0, keepdims=True) for m in fold) for f, fold in moments.items()}
    one, width = shape_of(together, prior, rank), 1.0
    if np.isfinite(prior.tails).all():
        widths = list(_widths(data, tuple(map(sum, zip(*together.values()))), prior))
        width = float(np.exp(widths[-1] - widths[0]))
    return Tone(width=width, one=one)


def _widths(data, moments, prior):
    """Mean logarithm of the variances of one state, iteration by iteration."""
    start, step = np.zeros((1, 1)), np.zeros((1, 1, 1))
    plain = Shape(0, 0.0, 0.0, 1.0)  # weight 0: not drawn to any factor model
    for _ in range(DIFFERENCE.n_iter):
        expected = Expected(tuple(m[None] for m in moments), start, step, np.zeros(1), None)
        mean, covariance = shaped_parameters(expected, prior, plain)
        yield np.linalg.slogdet(covariance[0])[1] / len(covariance[0])
        density = mean[None], *plug_in_density(covariance[None]), prior.tails
        moments = tuple(m[0] for m in data.expect(*density, start, step).moments)


def with_difference(prepared, moments, expected, prior, shape, tone):
    """The shape with these differences, and what each scored."""
    folds = _left_out(prepared, moments, expected)
    tried = {}

    def scores(tone):
        key = tone.covariances, tone.noise
        if key not in tried:
            tried[key] = np.array([fold.score(replace(shape, tone=tone), prior) for fold in folds])
        return tried[key]

    for name, values in _steps(prior):
        if name == "covariances" or tone.covariances < 1:
            tone = _best(tone, name, values, scores)
    scores(replace(tone, covariances=0.0, noise=np.inf))  # one state
    table = dict(zip(("covariances", "noise"), np.array(list(tried)).T))
    table["loglik"] = np.stack(list(tried.values()))
    return replace(shape, tone=tone if tone.covariances < 1 else None), table


def _steps(prior):
    """What is chosen, one after the other, and what is tried."""
    yield "covariances", DIFFERENCE.covariances
    if not np.isinf(prior.mean_weight):
        yield "noise", DIFFERENCE.noise


def _best(tone, name, values, scores):
    """The best of values in turn, as long as the typical fold becomes likelier."""
    for value in values[1:]:
        trial = replace(tone, **{name: value})
        if np.median(scores(trial) - scores(tone)) <= 0:
            break
        tone = trial
    return tone


def _left_out(prepared, moments, expected):
    """Folds: recordings, or blocks of time where they are few."""
    total = tuple(map(sum, zip(*moments.values())))
    crossed, spans = prepared.crossed, {}
    if len(crossed.parts) >= 3:
        for i, start, stop in fold_spans(prepared.recordings, len(total[0])):
            spans.setdefault(i % MAX_FOLDS, []).append((i, start, stop))
    else:
        for i, n in enumerate(crossed.lengths.tolist()):
            for f in range(MAX_FOLDS):
                span = i, -(-f * n // MAX_FOLDS), -(-(f + 1) * n // MAX_FOLDS)
                spans.setdefault(f, []).append(span)
    found = []
    for f, some in spans.items():
        rest = tuple((whole - part)[None] for whole, part in zip(total, moments[f]))
        batch = prepared.batch(_pieces(crossed, some))
        found.append(LeftOut(batch, replace(expected, moments=rest)))
    return found


def _pieces(recordings, spans):
    """Pieces that stay aligned as they are in the whole recording."""
    parts = []
    for i, start, stop in spans:
        part = np.asarray(recordings.parts[i], float)
        part = part if recordings.maps is None else recordings.maps[i](part)
        parts.append(part[start:stop])
    return Recordings(parts, "list")
