"""Stimulus to MEG: linear, recurrent and deep encoders, all with the same interface."""

from importlib import import_module

_WHERE = {
    "PAPER_PARAMS": ".dre",
    "DeepRecurrentEncoder": ".dre",
    "RecurrentTRF": ".recurrent_trf",
    "SubjectMean": ".subject_mean",
    "TemporalReceptiveField": ".trf",
    "cut_windows": "._windows",
    "epochs_to_xy": "._epochs",
    "pack_rows": "._rows",
    "pad_trials": "._padding",
    "permutation_importance_over_time": "._importance",
    "predict_continuous": "._windows",
    "response_to_feature": "._readout",
    "stitch_windows": "._windows",
}
__all__ = list(_WHERE)


def __getattr__(name):
    if name in _WHERE:
        return getattr(import_module(_WHERE[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
