"""States of brain activity, the graphs they are, and the ranked communities of these graphs."""

from importlib import import_module

_WHERE = {
    "PAPER_PARAMS": ".hidden_markov",
    "HiddenMarkovGraph": ".hidden_markov",
    "HmmlearnStates": "._baselines",
    "MixtureStates": "._baselines",
    "SingleGaussian": "._baselines",
    "WindowStates": "._baselines",
    "StateSelection": "._selection",
    "information_rate": "._graph",
    "multiplex_walk": "._graph",
    "select_n_states": "._selection",
}
__all__ = list(_WHERE)


def __getattr__(name):
    if name in _WHERE:
        return getattr(import_module(_WHERE[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
