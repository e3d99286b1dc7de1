"""Stimulus to MEG: linear, recurrent and deep encoders, all with the same interface."""

from importlib import import_module

_WHERE = {
    "DeepRecurrentEncoder": ".dre",
    "RecurrentTRF": ".recurrent_trf",
    "SubjectMean": ".subject_mean",
    "TemporalReceptiveField": ".trf",
    "epochs_to_xy": "._epochs",
    "pack_rows": "._rows",
}
__all__ = list(_WHERE)  # noqa: PLE0604


def __getattr__(name):
    if name in _WHERE:
        return getattr(import_module(_WHERE[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
