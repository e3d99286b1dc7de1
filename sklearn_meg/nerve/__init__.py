"""Recordings of peripheral nerves and muscles, and what they say about intended movements."""

from importlib import import_module

_WHERE = {
    "FEATURE_NAMES": ".features",
    "KalmanRegressor": "._baselines",
    "NerveDecoder": ".decoder",
    "NerveFeatures": ".features",
    "NerveRegressor": ".regressor",
    "NerveStream": ".stream",
    "WindowClassifier": "._baselines",
    "WindowRegressor": "._baselines",
    "disturbed_sessions": "._augment",
}
__all__ = list(_WHERE)


def __getattr__(name):
    if name in _WHERE:
        return getattr(import_module(_WHERE[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
