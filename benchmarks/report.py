"""Rows, checks, the printed table and the JSON of every benchmark."""

import json
import operator
import platform
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from sklearn_meg._version import __version__

_COMPARE = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}


def row(case, model, metric, seed, value, **more):
    """One measured value."""
    return {
        "case": case, "model": model, "metric": metric, "seed": int(seed), "value": float(value),
        **more,
    }  # fmt: skip


def check(name, value, bound):
    """Compare a value with a bound such as ``">= 3.8"``."""
    sign, limit = bound.split()
    passed = bool(_COMPARE[sign](value, float(limit)))
    return {"name": name, "value": float(value), "bound": bound, "passed": passed}


def values(rows, case, model, metric):
    """Values of one model, one a seed."""
    return np.array(
        [r["value"] for r in rows if (r["case"], r["model"], r["metric"]) == (case, model, metric)]
    )


def run_steps(name, steps, case_rows):
    """Rows of each step (case, seed) by ``case_rows(case, seed)``, computed on one thread."""
    with threadpool_limits(1):
        return [row for step in tqdm(steps, desc=name, unit="case") for row in case_rows(*step)]


def print_table(rows):
    """Mean and standard deviation over seeds, models as rows, a table a case."""
    frame = pd.DataFrame([r for r in rows if "subject" not in r])
    for case, part in frame.groupby("case", sort=False):
        grouped = part.groupby(["model", "metric"], sort=False)["value"]
        text = grouped.agg(_mean_and_sd)
        print(f"\n{case} ({part['seed'].nunique()} seed(s); mean ± SD over seeds)")
        print(text.unstack("metric", sort=False).fillna("").to_string())


def _mean_and_sd(v):
    return f"{v.mean():.4g}" + (f" ± {v.std():.2g}" if len(v) > 1 else "")


def print_checks(checks):
    """One line a check."""
    for c in checks:
        mark = "ok  " if c["passed"] else "LOST"
        print(f"{mark} {c['name']}: {c['value']:.4g} ({c['bound']})")


def write_json(path, name, rows, checks, settings):
    """Print the object, or write it to `path`."""
    result = {
        "benchmark": name,
        "version": __version__,
        "settings": settings,
        "environment": environment(),
        "rows": [_rounded(each) for each in rows],
        "checks": [_rounded(each) for each in checks],
    }
    if path is None:
        print(json.dumps(result))
        return
    Path(path).write_text(as_text(result), encoding="utf-8")
    print(f"\nwritten: {path}")


def _rounded(record, digits=5):
    """The same with floats of `digits` significant digits: seeds differ in the second."""
    return {
        key: float(f"{value:.{digits}g}") if isinstance(value, float) else value
        for key, value in record.items()
    }


def as_text(result):
    """JSON with one row a line: half the size of an indented one, and a diff shows what changed."""
    parts = []
    for key, value in result.items():
        text = json.dumps(value)
        if isinstance(value, list) and value:
            rows = (json.dumps(each, separators=(",", ":")) for each in value)
            text = "[\n" + ",\n".join(rows) + "\n ]"
        parts.append(f" {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def environment():
    """Versions, processor and threads."""
    names = ("numpy", "scikit-learn", "torch", "skorch", "mne")
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in names},
        "machine": platform.machine(),
        "threads": 1,
    }
