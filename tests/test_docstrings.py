"""Public docstrings are complete: parameters, what is returned, an example that runs."""

import ast
import inspect
import re
from enum import EnumMeta
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
from numpydoc.validate import validate

import sklearn_meg

# What must not be missing: docstring, summary, every parameter and no other, what is returned.
CHECKED = ("GL08", "SS01", "PR01", "PR02", "RT01")
# Shared by the figures, not meant to be called.
HELPERS = ("default_times", "model_colors", "scored_table", "topomap_picks")
PUBLIC = [getattr(sklearn_meg, name) for name in sklearn_meg.__all__ if name != "cli"]
MODULES = [sklearn_meg, *(thing for thing in PUBLIC if inspect.ismodule(thing))]
for package in MODULES[1:]:
    if hasattr(package, "__path__") and find_spec(f"{package.__name__}.metrics"):
        MODULES.append(import_module(f"{package.__name__}.metrics"))
BRITISH = re.compile(
    r"neighbour|colour|\bcentre|behaviour|labelled|modelled|favour|fibre|\b(normal|general|optim)is[ei]",
    re.IGNORECASE,
)
# Set by scikit-learn, documented there.
INHERITED = ("get_params", "set_params", "get_metadata_routing", "set_output", "fit_transform")


def public_names():
    for module in MODULES:
        for name in getattr(module, "__all__", None) or dir(module):
            thing = getattr(module, name)
            ours = getattr(thing, "__module__", "").startswith("sklearn_meg")
            if (
                name.startswith("_")
                or not ours
                or not callable(thing)
                or isinstance(thing, EnumMeta)
            ):
                continue
            path = f"{thing.__module__}.{thing.__qualname__}"
            yield path
            for method, value in vars(thing).items() if inspect.isclass(thing) else ():
                if inspect.isfunction(value) and not method.startswith(("_", "set_")):
                    yield f"{path}.{method}"


@pytest.mark.parametrize("path", sorted(set(public_names())))
def test_numpydoc(path):
    if path.rsplit(".", 1)[1] in (*INHERITED, *HELPERS):
        pytest.skip("inherited, or a helper")
    checked = CHECKED
    if not path.rsplit(".", 2)[1][0].isupper():  # no method: those are shown by their class
        checked += ("EX01",)
    errors = [f"{code}: {text}" for code, text in validate(path)["errors"] if code in checked]
    assert not errors, f"{path}: {errors}"


def test_private_functions_have_no_sections():
    found = {
        f"{path.name}: {node.name}"
        for path in Path(sklearn_meg.__file__).parent.glob("**/*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("_")
        if "\n----" in (ast.get_docstring(node) or "")
    }
    assert not found


def test_american_spelling():
    package, root = Path(sklearn_meg.__file__).parent, Path(__file__).parents[1]
    files = [*package.glob("**/*.py"), *root.glob("docs/*.rst"), root / "README.md"]
    found = {
        f"{path.name}: {match[0]}"
        for path in files
        for match in BRITISH.finditer(path.read_text(encoding="utf-8"))
    }
    assert not found
