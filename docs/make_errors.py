"""Collect the errors of the package that name a remedy, for the page "What this error means".

``python docs/make_errors.py`` reads the source and writes ``docs/generated/errors.rst``.
"""

import ast
import re
from pathlib import Path

HERE = Path(__file__).parent
PACKAGE = HERE.parent / "sklearn_meg"
ROOMS = {
    "encoding": "Encoding",
    "source": "Source",
    "tms": "TMS",
    "connectome": "Connectome",
    "nerve": "Nerve",
    "dynamics": "Dynamics",
    "study": "Studies",
    "commands": "Commands",
    "datasets": "Data sets",
}


HELP = re.compile(
    r"--|\b(use|try|give|name|set|leaves?|takes?|fit|lower|larger|smaller|resample|see|pick|install|drop|keeps?"
    r"|choose|put|make|cut|need|with|project|do|combine|scale|pass|call)\b",
    re.IGNORECASE,
)


def errors(package=PACKAGE):
    """Yield (room, what is said, what helps) for each error that says what helps.

    Values that a message fills in stand as three dots.
    """
    for path in sorted(package.rglob("*.py")):
        room = path.relative_to(package).parts[0]
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
                said, helps = sentences(text_of(node.exc.args[0]))
                if helps:
                    yield ROOMS.get(room, "All estimators"), said, helps


def text_of(node):
    """Text of a message; "" if it is put together in another way."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) or "…" for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return text_of(node.left) + text_of(node.right)
    return ""


def sentences(text):
    """What is wrong, and what to do; the latter is empty if the message ends with what came."""
    first, *rest = re.split(r"(?<=\w[.)]) (?=[A-Z(\-…'])", text.strip())
    helps = [s for s in rest if not re.match(r"\(?(Got|It has|Seen|The first|There)\b", s)]
    helps = " ".join(helps).strip("()… ")
    good = (len(helps) > 12 and helps[0].isupper()) or helps.startswith("--")
    return first, helps if good and HELP.search(helps) else ""


def page():
    """The list as reStructuredText, by system."""
    found = {}
    for room, said, helps in errors():
        found.setdefault(room, {})[said] = helps
    lines = []
    for room in ("All estimators", *ROOMS.values()):
        if room in found:
            lines += [room, "-" * len(room), "", ".. list-table::", "   :header-rows: 1"]
            lines += ["   :widths: 55 45", "", "   * - Message", "     - What to do"]
            for said, helps in sorted(found[room].items()):
                lines += [f"   * - {literal(said)}", f"     - {literal(helps)}"]
            lines.append("")
    return "\n".join(lines)


def literal(text):
    """Text in which nothing is markup."""
    return re.sub(r"([\\*`|_])", r"\\\1", " ".join(text.split()))


def main():
    """Write the page."""
    folder = HERE / "generated"
    folder.mkdir(exist_ok=True)
    (folder / "errors.rst").write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
