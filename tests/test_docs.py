"""Every code name in the pages exists, and the systems are built alike."""

import re
import sys
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

import sklearn_meg

DOCS = Path(__file__).parents[1] / "docs"
sys.path.append(str(DOCS))
make_errors = import_module("make_errors")
make_roles = import_module("make_roles")

PAGES = sorted(DOCS.glob("*.rst"))
ROLE = re.compile(r":(?:class|func|meth|mod|attr|data):`(?:[^`<]*<)?~?\.?([\w.]+)>?`")
LITERAL = re.compile(r"``([A-Z]\w+)(?:\([^`]*\))?(?:\.([a-z]\w*))?[^`]*``")
MODULE = re.compile(r"``(sklearn_meg(?:\.\w+)*)``")


@cache
def resolve(path):
    """The thing that a dotted name stands for; AttributeError or ImportError if there is none."""
    parts = path.split(".")
    thing = import_module(parts[0])
    for i, part in enumerate(parts[1:], 2):
        thing = getattr(thing, part) if hasattr(thing, part) else import_module(".".join(parts[:i]))
    return thing


def names(page):
    """Dotted names of this package that a page mentions."""
    text = page.read_text(encoding="utf-8")
    for path in [*ROLE.findall(text), *MODULE.findall(text)]:
        if path.split(".")[0] == "sklearn_meg":
            yield path
        elif path.split(".")[0] in sklearn_meg.__all__:
            yield f"sklearn_meg.{path}"
    for name, attribute in LITERAL.findall(text):
        if name in sklearn_meg.__all__:
            yield f"sklearn_meg.{name}" + (f".{attribute}" if attribute else "")


def exists(path):
    owner, _, last = path.rpartition(".")
    try:
        resolve(path)
    except (AttributeError, ImportError):
        fitted = last.endswith("_") and re.search(rf"\b{last}\b", resolve(owner).__doc__ or "")
        return bool(fitted)
    return True


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_code_names_of_a_page_exist(page):
    assert [path for path in names(page) if not exists(path)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pages_need_no_private_module(page):
    private = re.findall(r"(?:from|import) (sklearn_meg(?:\.\w+)*\._\w+)", page.read_text())
    assert private == []


def test_every_public_name_is_on_the_api_page():
    text = (DOCS / "api.rst").read_text(encoding="utf-8")
    named = set(re.findall(r"[\w.]+", text))
    last = {name.rsplit(".", 1)[-1] for name in named}
    packages = [getattr(sklearn_meg, name) for name in sklearn_meg.__all__]
    public = {name for each in packages for name in getattr(each, "__all__", ())}
    constants = {name for name in public if name.isupper()}
    modules = {name for name in sklearn_meg.__all__ if name[0].islower()}
    missing = (public | set(sklearn_meg.__all__)) - constants - last - modules - {"__version__"}
    assert sorted(missing) == []


def test_the_systems_are_built_alike():
    assert make_roles.domains() == ["connectome", "dynamics", "encoding", "nerve", "source", "tms"]
    for domain in make_roles.domains():
        found = make_roles.roles(domain)
        assert found["_base.py"] != "–"
        assert found["plotting.py"] != "–"
        assert make_roles.estimators(domain)
        assert f"``{domain}/``" in make_roles.roles_page()


def test_no_file_holds_a_merge_conflict():
    marks = re.compile(r"^(?:<{7}|>{7}) ", re.MULTILINE)
    texts = {path: path.read_text(encoding="utf-8") for path in [*PAGES, *DOCS.parent.glob("*.md")]}
    assert [path.name for path, text in texts.items() if marks.search(text)] == []


def test_errors_that_say_what_helps_are_listed():
    said, helps = make_errors.sentences("X has no channel. Set a montage. Got EEG001.")
    assert (said, helps) == ("X has no channel.", "Set a montage.")
    assert make_errors.sentences("X must be a float. Got 'a'.")[1] == ""
    rooms = {room for room, *_ in make_errors.errors()}
    assert {"Studies", "Source", "All estimators"} <= rooms
    assert "--reject and --missing drop leave trials out" in make_errors.page()
