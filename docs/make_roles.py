"""Turn the layout of the package into a table: which file plays which role in which system.

``python docs/make_roles.py`` prints it; the pages include it from ``docs/generated/roles.rst``.
"""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "sklearn_meg"
# Files that every system has, and what they are for.
ROLES = {
    "_base.py": "what its estimators share",
    "baselines.py": "the classical models",
    "_network.py": "torch modules",
    "metrics.py": "scores",
    "plotting.py": "figures",
}
SHARED = ("_checks", "_saving", "_training", "datasets", "study")


def domains():
    """Folders of the systems, by name."""
    found = (path.parent.name for path in PACKAGE.glob("*/_base.py"))
    return sorted(name for name in found if name not in SHARED)


def estimators(domain):
    """Files that define a public estimator, and its name, from the stub of the folder."""
    stub = ast.parse((PACKAGE / domain / "__init__.pyi").read_text(encoding="utf-8"))
    found = {}
    for node in stub.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            classes = [alias.name for alias in node.names if alias.name[0].isupper()]
            classes = [name for name in classes if not name.isupper() or len(name) < 5]
            path = PACKAGE / domain / f"{node.module}.py"
            if classes and path.exists() and path.name not in ROLES:
                found[path.name] = classes
    return found


def roles(domain):
    """Role -> file of the system, "–" where it needs none."""
    table = {}
    for name in ROLES:
        folder = PACKAGE / domain / name.removesuffix(".py")
        exists = (PACKAGE / domain / name).exists() or folder.is_dir()
        table[name] = f"``{name if not folder.is_dir() else folder.name + '/'}``" if exists else "–"
    return table


def roles_page():
    """The rst text of the table.

    >>> "encoding" in roles_page()
    True
    """
    lines = [".. list-table::", "   :header-rows: 1", "", "   * - system"]
    lines += [f"     - {text}" for text in (*ROLES.values(), "estimators")]
    for domain in domains():
        lines.append(f"   * - ``{domain}/``")
        lines += [f"     - {file}" for file in roles(domain).values()]
        lines.append("     - " + ", ".join(f"``{name}``" for name in sorted(estimators(domain))))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(roles_page())
