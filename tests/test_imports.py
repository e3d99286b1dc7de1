"""The house floor by floor: imports run down only, and nobody enters another room's back door."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import sklearn_meg

ROOT = Path(sklearn_meg.__file__).parent
# From the ground up. A room is a folder or a file of the package.
FLOORS = (
    ("_checks", "_figures", "_optional", "_repr", "_typing", "_version", "exceptions"),
    ("_padding", "_params", "_routing", "_saving", "_scores", "_training", "rows"),
    ("base", "datasets", "metrics", "preprocessing"),
    (),  # the domains: every other folder
    ("study",),
    ("commands", "plotting"),
    ("cli",),
    ("__main__",),
)
DOMAIN_FLOOR = FLOORS.index(())
# What every room may use although its name begins with an underscore.
GROUND = (*FLOORS[0], *FLOORS[1])


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


MODULES = {module_of(path): path for path in sorted(ROOT.rglob("*.py"))}


def runtime_nodes(tree):
    """All nodes but those for type checkers only."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            continue
        yield node
        yield from runtime_nodes(node)


def imports(path, nodes=runtime_nodes):
    """Pairs (module, name or None) that a file imports from the package."""
    here = module_of(path)
    package = here if path.name == "__init__.py" else here[:-1]
    for node in nodes(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom):
            continue
        if node.level:
            target = package[: len(package) - node.level + 1]
        elif (node.module or "").split(".")[0] == "sklearn_meg":
            target = ()
        else:
            continue
        inside = (node.module or "").split(".") if node.module else []
        target = (*target, *(inside if node.level else inside[1:]))
        for alias in node.names:
            if (*target, alias.name) in MODULES:
                yield (*target, alias.name), None
            else:
                yield target, alias.name


def arrows(nodes):
    return [
        (module_of(path), target, name)
        for path in MODULES.values()
        for target, name in imports(path, nodes)
    ]


ARROWS = arrows(runtime_nodes)


PLACED = {room: i for i, rooms in enumerate(FLOORS) for room in rooms}
DOMAINS = {module[0] for module in MODULES if len(module) > 1} - set(PLACED)


def floor(module):
    return PLACED.get(module[0], DOMAIN_FLOOR)


def test_every_file_has_a_floor():
    files = {module[0] for module in MODULES if len(module) == 1}
    assert files <= {*PLACED, *DOMAINS}, "say in FLOORS where it stands"


def test_the_systems_are_domains():
    assert {"connectome", "dynamics", "encoding", "nerve", "source", "tms"} <= DOMAINS


def test_imports_run_down_only():
    upward = [
        (".".join(a), ".".join(b))
        for a, b, _ in ARROWS
        if a and b and a[0] != b[0] and floor(b) > floor(a)
    ]
    assert not upward


def test_no_domain_imports_another():
    across = [
        (".".join(a), ".".join(b))
        for a, b, _ in ARROWS
        if a and b and a[0] != b[0] and a[0] in DOMAINS and b[0] in DOMAINS
    ]
    assert not across


@pytest.mark.parametrize("nodes", [runtime_nodes, ast.walk], ids=["run", "types"])
def test_no_circle_of_files(nodes):
    graph = {}
    for a, b, _ in arrows(nodes):
        if a and b and a != b:
            graph.setdefault(a, set()).add(b)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError([".".join(module) for module in error.args[1]]) from None


def test_private_modules_and_names_stay_in_their_room():
    def is_private(module, name):
        inner = module[1:]
        return any(part.startswith("_") for part in inner) or (name or "").startswith("_")

    entered = [
        (".".join(a), ".".join(b), name)
        for a, b, name in ARROWS
        if a and b and a[0] != b[0] and is_private(b, name) and name != "__version__"
    ]
    hidden = [
        (".".join(a), ".".join(b))
        for a, b, _ in ARROWS
        if a and b and a[0] != b[0] and b[0].startswith("_") and b[0] not in GROUND
    ]
    assert not entered
    assert not hidden
