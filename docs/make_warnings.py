"""Write the codes of warnings and the table of violated assumptions for these pages.

``python docs/make_warnings.py`` reads :data:`sklearn_meg.exceptions.ASSUMPTIONS` and
``docs/benchmarks/violations.json`` (written by ``python -m robustness violations --json FILE``) and
writes ``docs/generated/warnings.rst`` and ``docs/generated/violations.rst``.
"""

import json
from pathlib import Path

from make_errors import ROOMS
from make_tables import MISSING, checks_table, environment_line, escape, list_table

from sklearn_meg.exceptions import ASSUMPTIONS

HERE = Path(__file__).parent
VERDICTS = ("right", "warned", "refused", "silent")


def warnings_page():
    """Codes with meaning and remedy, a table a system."""
    parts = []
    for system in dict.fromkeys(each.system for each in ASSUMPTIONS.values()):
        body = [
            [f"``{code}``", escape(each.meaning), escape(each.remedy)]
            for code, each in ASSUMPTIONS.items()
            if each.system == system
        ]
        parts.append(list_table(system, ["code", "what it means", "what to do"], body))
    return "\n".join(parts)


def violations_page(result):
    """Every violation with its verdicts, a table a system, and the totals."""
    rows = [r for r in result["rows"] if r["metric"] in VERDICTS]
    parts = []
    for case in dict.fromkeys(r["case"] for r in rows):
        names = dict.fromkeys(r["model"] for r in rows if r["case"] == case)
        body = [
            _line([r for r in rows if (r["case"], r["model"]) == (case, name)]) for name in names
        ]
        header = ["what happens", "what is right", "verdict", "what was said", "unbroken"]
        parts.append(list_table(ROOMS.get(case, case.title()), header, body))
    return "\n".join([*parts, checks_table(result["checks"]), environment_line(result)])


def _line(rows):
    """One violation: its verdicts over seeds, and what was said where that is a code or flag."""
    said = {r["said"] for r in rows if r["metric"] != "refused"} - {""}
    said |= {"error" for r in rows if r["metric"] == "refused"}
    verdict, clean = (_counted([r[key] for r in rows]) for key in ("metric", "clean"))
    what = f"{rows[0]['model']}: {rows[0]['story']}"
    words = [what, rows[0]["right"], verdict, "; ".join(sorted(said)), clean]
    return [escape(word) for word in words]


def _counted(names):
    """How often each stands there; one name alone if there is no other."""
    kinds = dict.fromkeys(names)
    if len(kinds) == 1:
        return names[0]
    return ", ".join(f"{kind} {names.count(kind)} of {len(names)}" for kind in kinds)


def main():
    """Write both."""
    folder = HERE / "generated"
    folder.mkdir(exist_ok=True)
    (folder / "warnings.rst").write_text(warnings_page(), encoding="utf-8")
    found = HERE / "benchmarks" / "violations.json"
    text = violations_page(json.loads(found.read_text())) if found.exists() else MISSING
    (folder / "violations.rst").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
