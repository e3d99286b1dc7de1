"""What users of thresholds do to fields, pulses and cells."""

from functools import cache

import numpy as np

from sklearn_meg import EFieldSampler, ThresholdCNN
from sklearn_meg.tms import grid_spacing, load_l5_thresholds

from .record import Answer, violation


@cache
def _world(seed):
    """A model of a few hundred thresholds, and fields and thresholds that it has not seen."""
    places, thresholds = load_l5_thresholds()
    order = np.random.default_rng(seed).permutation(len(places))[:500]
    sampler = EFieldSampler(heterogeneity=0.8, spacing=grid_spacing("L5 PC"))
    grids, thresholds = sampler.fit_transform(places[order]), thresholds[order]
    train, test = slice(300), slice(300, None)
    model = ThresholdCNN(morphology="L5 PC", max_epochs=10, random_state=seed)
    model.fit(grids[train], thresholds[train])
    return model, grids[test], thresholds[test]


def _error(predicted, truth, tolerance=0.03, flag=None):
    return Answer(np.median(np.abs(predicted / truth - 1)), tolerance, flag)


@violation("fields in V/mm", right="thresholds within 3 %")
def volts_per_millimeter(seed, broken):
    """Fields to be predicted are exported in another unit than those of fit."""
    model, X, y = _world(seed)
    return _error(model.predict(X / 1000 if broken else X), y)


@violation("another pulse is asked for", right="thresholds within 3 %, or an error")
def other_pulse(seed, broken):
    """A monophasic model is asked about biphasic pulses."""
    model, X, y = _world(seed)
    return _error(model.predict(X, pulse="biphasic" if broken else "monophasic"), y, 0.03)
