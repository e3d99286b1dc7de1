"""States of brain activity, the graphs they are, and the ranked communities of these graphs."""

from importlib import import_module

_WHERE = {
    "AmplitudeEnvelope": ".preprocessing",
    "HiddenMarkovGraph": ".hidden_markov",
    "HmmlearnStates": "._baselines",
    "MixtureStates": "._baselines",
    "PAPER_PARAMS": ".hidden_markov",
    "SingleGaussian": "._baselines",
    "TimeDelayEmbedding": ".preprocessing",
    "WindowStates": "._baselines",
    "community_significance": "._surrogates",
    "information_rate": "._graph",
    "label_time_courses": ".io",
    "multiplex_walk": "._graph",
    "read_parcellated_bold": ".io",
    "select_n_states": "._selection",
    "states_to_annotations": ".io",
    "surrogate": "._surrogates",
}
__all__ = list(_WHERE)


def __getattr__(name):
    if name in _WHERE:
        return getattr(import_module(_WHERE[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
