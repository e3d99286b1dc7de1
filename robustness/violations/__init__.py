"""Assumptions that users break, one small function each; one file a system.

A violation runs twice: broken, and on the same world unbroken. Its verdict is "right" (the answer
is within its tolerance), "warned" (a documented warning or flag), "refused" (a clear error), or
"silent": wrong, and nothing says so. See `record`.
"""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from .record import Fresh, Violation


@cache
def systems():
    """Modules of this folder that hold violations, by name."""
    names = [each.name for each in iter_modules(__path__) if each.name not in ("record", "run")]
    return {name: import_module(f".{name}", __package__) for name in names}


def violations(system=None):
    """All violations, or those of one system, in the order of their files."""
    return _found(Violation, system)


def fresh_worlds(system=None):
    """All worlds on which `is_unusual` is calibrated, or those of one system."""
    return _found(Fresh, system)


def _found(kind, system):
    modules = systems() if system is None else {system: systems()[system]}
    return [
        each for module in modules.values() for each in vars(module).values() if type(each) is kind
    ]
