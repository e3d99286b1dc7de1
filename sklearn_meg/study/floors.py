"""Floors: what a study adds to the models, so that nothing is compared with less."""

from __future__ import annotations

import numpy as np
from sklearn.base import is_classifier
from sklearn.dummy import DummyClassifier, DummyRegressor

from . import checks
from .without_features import WithoutFeatures


def with_floors(floors, models, X, y, parts, info):
    """The models with their floors, in the order mean, past, models.

    floors ("auto" or None), models (dict of str -> estimator), X, y (ndarray, or y None), parts
        (Parts or None)
    Returns models (dict of str -> estimator)
    Raises ValueError for another value of `floors`, or if a model has the name of a floor but is
        none.
    """
    if floors not in ("auto", None):
        raise ValueError(f"floors must be 'auto' or None. Got {floors!r}.")
    if floors is None or y is None:
        return dict(models)
    encoders = checks.is_responses(y) and X.ndim == 3
    added = _encoder_floors(models, parts, info) if encoders else _chance(models, y)
    return {**models, **{name: floor for name, floor in added.items() if name not in models}}


def _encoder_floors(models, parts, info):
    from ..encoding import SubjectMean

    rows = row_params(models)
    added = {"mean": SubjectMean(**rows)}
    if parts is not None and parts.initial:
        added["past"] = past_floor(models, parts, rows, info)
    return added


def past_floor(models, parts, rows, info=None):
    """Recurrent TRF that is told the initial window and when stimuli come, not what they are.

    models (dict of str -> estimator): The first recurrent TRF among them is taken as it is, so
        that the floor is no other model.
    rows (dict): ``subject_row``, ``initial_rows``, ``n_initial`` and ``mask_row``.
    info (mne.Info): Its sampling rate decides how far lags reach (0.6 s).
    Returns floor (WithoutFeatures)
    """
    from ..encoding import RecurrentTRF

    lags = {} if info is None else {"sfreq": float(info["sfreq"])}
    own = [model for model in models.values() if isinstance(model, RecurrentTRF)]
    model = own[0] if own else RecurrentTRF(**lags, **rows)
    return WithoutFeatures(model, features=parts.rows("features").tolist())


def row_params(models):
    """The row parameters that the models agree on."""
    found = {}
    for name in ("subject_row", "initial_rows", "mask_row"):
        values = checks.find_param(models, name)
        found[name] = values[0] if values else None
    windows = checks.find_param(models, "n_initial")
    found["n_initial"] = max(windows, default=0) if found["initial_rows"] is not None else 0
    return found


def _chance(models, y):
    if np.ndim(y) == 1 and all(is_classifier(model) for model in models.values()):
        return {"chance": DummyClassifier(strategy="prior")}
    if np.ndim(y) <= 2 and np.asarray(y).dtype.kind in "fiu":
        return {"chance": DummyRegressor()}
    return {}
