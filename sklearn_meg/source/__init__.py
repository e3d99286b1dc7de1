"""MEG to sources: solvers of the inverse problem, all with the same interface."""

from importlib import import_module

_WHERE = {
    "GROUP_PARAMS": ".rnn",
    "PAPER_PARAMS": ".rnn",
    "RNNSourceSolver": ".rnn",
    "GammaMap": ".sparse",
    "LCMV": ".beamformer",
    "MinimumNorm": ".minimum_norm",
    "MixedNorm": ".sparse",
    "RapMusic": ".sparse",
    "cross_val_channels": "._cross_validation",
    "fields_to_xy": "._conditions",
    "make_events": "._conditions",
}
__all__ = list(_WHERE)


def __getattr__(name):
    if name in _WHERE:
        return getattr(import_module(_WHERE[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
