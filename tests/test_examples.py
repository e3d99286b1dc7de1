"""Examples of the gallery: every call of this package fits the signature it calls."""

import ast
import importlib
import inspect
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("plot_*.py"))


def imported(tree):
    """Name in the file -> object, for all that comes from this package."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sklearn_meg"):
            module = importlib.import_module(node.module)
            found = {
                name.asname or name.name: getattr(module, name.name, None) for name in node.names
            }
            names |= {name: value for name, value in found.items() if callable(value)}
    return names


def misfits(text):
    """Calls whose arguments the callable does not take."""
    tree = ast.parse(text)
    names = imported(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
            args = [arg for arg in node.args if not isinstance(arg, ast.Starred)]
            keywords = {keyword.arg: None for keyword in node.keywords if keyword.arg}
            try:
                inspect.signature(names[node.func.id]).bind_partial(*args, **keywords)
            except TypeError as error:
                yield f"line {node.lineno}, {node.func.id}: {error}"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_calls_fit(path):
    assert not list(misfits(path.read_text(encoding="utf-8")))


def test_a_call_that_does_not_fit_is_found():
    start = "from sklearn_meg import HiddenMarkovGraph as H\n"
    assert not list(misfits(start + "H(n_states=3)"))
    assert len(list(misfits(start + "H(3)\nH(n_stats=3)"))) == 2
