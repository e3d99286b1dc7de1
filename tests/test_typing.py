"""Type hints: every public function has them, and they mean something."""

import ast
import inspect
import typing
from pathlib import Path
from typing import get_type_hints

import pytest
from test_docstrings import HELPERS, INHERITED, public_names

import sklearn_meg
from sklearn_meg import _typing


def functions():
    for path in sorted(set(public_names())):
        thing = sklearn_meg
        for part in path.split(".")[1:]:
            thing = getattr(thing, part)
        if path.rsplit(".", 1)[1] not in (*INHERITED, *HELPERS):
            yield pytest.param(thing, id=path)


@pytest.mark.parametrize("thing", list(functions()))
def test_every_argument_has_a_hint(thing):
    function = thing.__init__ if inspect.isclass(thing) else inspect.unwrap(thing)
    if not getattr(function, "__module__", "").startswith("sklearn_meg"):
        pytest.skip("made by dataclass or inherited")
    # Parameter groups are inherited: their hints come from their own modules.
    classes = thing.__mro__ if inspect.isclass(thing) else [function]
    names = {**vars(typing), **vars(_typing)}
    for each in classes:
        if each.__module__.startswith("sklearn_meg"):
            names.update(_names_of_type_checkers(each))
    hints = get_type_hints(function, localns=names)
    arguments = set(inspect.signature(function).parameters) - {"self", "cls"}
    assert not arguments - set(hints), "without a hint"
    assert "return" in hints


def _names_of_type_checkers(function):
    """What a module imports under TYPE_CHECKING only."""
    module = inspect.getmodule(function)
    names = {}
    for node in ast.parse(Path(module.__file__).read_text()).body:
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            code = compile(ast.Module(node.body, []), module.__file__, "exec")
            exec(code, {"__package__": module.__package__}, names)
    return names


def test_type_checkers_see_the_public_names():
    stub = ast.parse(Path(sklearn_meg.__file__).with_suffix(".pyi").read_text())
    seen = {name.asname for node in stub.body[1:] for name in node.names}
    assert seen == {*sklearn_meg.__all__, "__version__"}
