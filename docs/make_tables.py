"""Turn the JSON files of the benchmarks into tables for these pages.

``python docs/make_tables.py`` reads ``docs/benchmarks/NAME.json`` (written by
``python -m sklearn_meg.benchmarks NAME --json FILE``) and writes
``docs/generated/benchmark_NAME.rst``. Every number of these pages comes from there.
"""

import json
from pathlib import Path
from statistics import mean, stdev

NAMES = ("encoding",)  # pages that include a table, measured or not
CAPTIONS = {
    "r": "Pearson R across trials (higher is better)",
    "r_time": "Pearson R over time (higher is better)",
    "fit_s": "Seconds to fit",
    "predict_s": "Seconds to predict",
    "peak_mb": "Peak memory in MB",
}
MISSING = "This benchmark has not been run for this build of the pages.\n"


def write_tables(source, target):
    """Write one file for every benchmark; a line that says so for one without results.

    Parameters
    ----------
    source, target : Path
        Folders of the JSON and of the rst files.
    """
    target.mkdir(parents=True, exist_ok=True)
    found = {path.stem: path for path in sorted(source.glob("*.json"))}
    for name in dict.fromkeys([*NAMES, *found]):
        text = benchmark_page(json.loads(found[name].read_text())) if name in found else MISSING
        _write_if_changed(target / f"benchmark_{name}.rst", text)


def benchmark_page(result):
    """The rst text of one benchmark: a table a metric, the checks, the environment."""
    metrics = list(dict.fromkeys(row["metric"] for row in result["rows"]))
    parts = [metric_table(result["rows"], metric) for metric in metrics]
    if result.get("checks"):
        parts.append(checks_table(result["checks"]))
    parts.append(environment_line(result))
    return "\n".join(parts)


def metric_table(rows, metric):
    """Cases as rows, models as columns: mean, standard deviation over seeds."""
    rows = [row for row in rows if row["metric"] == metric]
    cases = list(dict.fromkeys(row["case"] for row in rows))
    models = list(dict.fromkeys(row["model"] for row in rows))
    body = [[f"``{case}``", *(cell(rows, case, model) for model in models)] for case in cases]
    n_seeds = len({row["seed"] for row in rows})
    spread = f"mean ± standard deviation, {n_seeds} seeds" if n_seeds > 1 else "one seed"
    title = f"{CAPTIONS.get(metric, metric)}; {spread}"
    return list_table(title, ["case", *(f"``{model}``" for model in models)], body)


def cell(rows, case, model):
    """Mean and standard deviation of the values of one model in one case."""
    found = [r["value"] for r in rows if (r["case"], r["model"]) == (case, model)]
    found = [value for value in found if value is not None and value == value]
    if not found:
        return "–"
    text = _number(mean(found))
    return f"{text} ± {_number(stdev(found))}" if len(found) > 1 else text


def checks_table(checks):
    """What the benchmark was meant to show, and whether it did."""
    body = [
        [check["name"], _number(check["value"]), check["bound"], "yes" if check["passed"] else "NO"]
        for check in checks
    ]
    return list_table("Checks", ["what", "value", "bound", "holds"], body)


def environment_line(result):
    """One paragraph on what the numbers were measured with."""
    known = {"sklearn_meg": result.get("version"), **result.get("environment", {})}
    text = ", ".join(f"{key} {value}" for key, value in known.items() if value is not None)
    settings = ", ".join(f"{key}={value}" for key, value in result.get("settings", {}).items())
    return f"Measured with {text}." + (f" Settings: ``{settings}``." if settings else "") + "\n"


def list_table(title, header, body):
    """Rows of text as an rst list-table."""
    lines = [f".. list-table:: {title}", "   :header-rows: 1", "   :class: table-sm", ""]
    for row in [header, *body]:
        lines += [f"   {'* -' if i == 0 else '  -'} {text}" for i, text in enumerate(row)]
    return "\n".join(lines) + "\n"


def _number(value):
    if not isinstance(value, int | float):
        return str(value)
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def _write_if_changed(path, text):
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


if __name__ == "__main__":
    here = Path(__file__).parent
    write_tables(here / "benchmarks", here / "generated")
