"""Simulators (seeded, nothing is downloaded) and loaders of real data (downloads when called)."""

from importlib import import_module

_WHERE = {
    "load_long_term_emg": "._emg",
    "load_mne_sample_epochs": "._real",
    "load_multimodal_epochs": "._real",
    "make_evoked": "._evoked",
    "make_fibres": "._fibres",
    "make_head": "._head",
    "make_nerve": "._nerve",
    "make_states": "._states",
    "make_words": "._words",
    "simulated_forward": "._forward",
    "simulated_info": "._forward",
    "word_response": "._words",
    "words_to_epochs": "._words",
}
__all__ = list(_WHERE)


def __getattr__(name):
    if name in _WHERE:
        return getattr(import_module(_WHERE[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
