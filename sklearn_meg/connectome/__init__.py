"""Fibre directions, the Riemannian metric whose geodesics they are, and these geodesics."""

from importlib import import_module

_WHERE = {
    "PAPER_PARAMS": ".metric",
    "AdjugateMetric": "._baselines",
    "ConformalMetric": "._baselines",
    "ConnectomeMetric": ".metric",
    "EuclideanMetric": "._baselines",
    "InverseTensorMetric": "._baselines",
    "KnownMetric": "._known",
    "fit_tensor_directions": ".io",
    "geodesic_deviation": ".metrics",
    "read_directions": ".io",
    "tensor_directions": ".io",
}
__all__ = list(_WHERE)


def __getattr__(name):
    if name in _WHERE:
        return getattr(import_module(_WHERE[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
