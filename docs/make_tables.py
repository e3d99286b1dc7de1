"""Turn the JSON files of the benchmarks into tables for these pages.

``python docs/make_tables.py`` reads ``docs/benchmarks/NAME.json`` (written by
``python -m benchmarks NAME --json FILE``) and writes
``docs/generated/benchmark_NAME.rst``. Every number of these pages comes from there.
"""

import json
import re
from math import isfinite
from pathlib import Path
from statistics import mean, stdev

NAMES = (
    "encoding",
    "source",
    "tms",
    "connectome",
    "nerve",
    "dynamics",
    "trust",
)  # pages that include a table, measured or not
CAPTIONS = {
    "r": "Pearson R across trials",
    "r_time": "Pearson R over time",
    "importance_noise": "Drop of R when a feature of pure noise is permuted",
    "importance_length": "Drop of R when word length is permuted",
    "importance_frequency": "Drop of R when word frequency is permuted",
    "importance_subject": "Drop of R when the subject is permuted",
    "readout_length": "Correlation of the response to word length with the true one",
    "readout_frequency": "Correlation of the response to word frequency with the true one",
    "readout_length_subject": "The same for word length, mean of the subjects' own correlations",
    "readout_frequency_subject": "The same for word frequency",
    "dle_mm": "Localization error in mm",
    "hit20": "Share of sources found within 20 mm",
    "sd_mm": "Spatial dispersion in mm",
    "emd_mm": "Earth mover's distance in mm",
    "nmse": "Normalized error of the whitened fields",
    "tcorr": "Correlation of the time courses",
    "osnr_db": "Output SNR in dB (never alone, see above)",
    "noise_ratio": "Peak in noise alone over that of one dipole at +5 dB",
    "n_positions": "Positions of the lead field",
    "mape": "Mean absolute error in percent, threshold in V/m at the soma",
    "r2": "R2 (1 - SSE / SST), threshold in V/m at the soma",
    "r2_corr": "Squared correlation, threshold in V/m at the soma",
    "r2_didt": "R2 (1 - SSE / SST), threshold in A/us",
    "r2_corr_didt": "Squared correlation, threshold in A/us",
    "p99": "99th percentile of the absolute error in percent",
    "coverage": "Share of test cells inside their 90 % interval",
    "predict_us": "Microseconds a threshold",
    "refused": "Percent of predictions that are refused to whoever says what they are of",
    "off_mean": "Mean difference from NEURON in percent",
    "off_max": "Largest difference from NEURON in percent",
    "new_cell_s": "CPU seconds from a new cell to a model with intervals",
    **{f"mape_{n}": f"Mean absolute error in percent, from {n} thresholds" for n in (30, 100, 300)},
    "sampler_ms": "Milliseconds to sample the grid of a cell",
    "deviation_mean": "Mean deviation of geodesics from the true curves, voxels",
    "deviation_median": "Median deviation, voxels",
    "deviation_crossing": "Mean deviation in crossing voxels, voxels",
    "change": "Largest change of the metric by random signs of the vectors",
    "error": "Largest error of a geodesic distance",
    "n_voxels": "Voxels",
    "iteration_ms": "Milliseconds an iteration",
    "exponent": "Power of the number of voxels by which an iteration grows",
    "tried": "Tried",
    "lost": "Lost: results that are not those of undisturbed work",
    "silent": "Silent: taken, or without a clear error",
    "below_05": "Studies with p below .05",
    "claimed": "Studies with a claim",
    "executed": "Executed: payloads that were run",
    "ended_before": "Ended before they could be killed",
    "whole_s": "Seconds of undisturbed work",
    "differs": "Results that differ from the serial run",
    "wall_s": "Seconds of the whole study",
    "state_accuracy": "State accuracy, after matching the states",
    "ari": "Adjusted Rand index of the communities",
    "rank_rho": "Spearman correlation of the ranks of communities with the planted ones",
    "trial_accuracy": "Share of trials that are right",
    "window_accuracy": "Share of windows that are right",
    "window_ece": "Distance of the stated probability of windows from their accuracy (ECE)",
    "p95_ms": "95th percentile of the milliseconds a decision takes",
    "real_time_factor": "Seconds of signal a second of computation",
    "loglik": "Held-out log-likelihood per sample, nats",
    "k_recovered": "Share of seeds in which the number of states is the true one",
    "k_chosen": "Number of states chosen",
    "fit_s": "Seconds to fit",
    "fit_4x_s": "Seconds to fit four times the trials",
    "epoch_s": "Seconds an epoch",
    "predict_s": "Seconds to predict",
    "peak_mb": "Peak memory in MB",
}
MOST_COLUMNS = 14
MISSING = "This benchmark has not been run for this build of the pages.\n"


def write_tables(source, target):
    """Write one file for every benchmark; a line that says so for one without results.

    source, target (Path): Folders of the JSON and of the rst files.
    """
    target.mkdir(parents=True, exist_ok=True)
    found = {path.stem: path for path in sorted(source.glob("*.json"))}
    for name in dict.fromkeys([*NAMES, *found]):
        text = benchmark_page(json.loads(found[name].read_text())) if name in found else MISSING
        _write_if_changed(target / f"benchmark_{name}.rst", text)


def benchmark_page(result):
    """The rst text of one benchmark: a table a metric, the checks, the environment."""
    rows = [row for row in result["rows"] if "subject" not in row]  # means over subjects
    metrics = list(dict.fromkeys(row["metric"] for row in rows))
    parts = [metric_table(rows, metric) for metric in metrics]
    if result.get("checks"):
        parts.append(checks_table(result["checks"]))
    parts.append(environment_line(result))
    return "\n".join(parts)


def metric_table(rows, metric):
    """Cases as rows, models as columns: mean and standard deviation over seeds.

    >>> row = {"case": "N", "model": "trf", "metric": "r"}
    >>> rows = [{**row, "seed": 0, "value": 0.25}, {**row, "seed": 1, "value": 0.75}]
    >>> print(metric_table(rows, "r"))
    .. list-table:: Pearson R across trials, mean ± standard deviation over up to 2 seeds
       :header-rows: 1
    <BLANKLINE>
       * - case
         - ``trf``
       * - ``N``
         - 0.500 ± 0.354
    <BLANKLINE>
    """
    rows = [row for row in rows if row["metric"] == metric]
    cases = list(dict.fromkeys(row["case"] for row in rows))
    models = list(dict.fromkeys(row["model"] for row in rows))
    across = [f"``{model}``" for model in models]
    body = [[f"``{case}``", *(cell(rows, case, model) for model in models)] for case in cases]
    if len(models) > MOST_COLUMNS:  # models downwards
        across = [f"``{case}``" for case in cases]
        body = [[f"``{model}``", *(cell(rows, case, model) for case in cases)] for model in models]
    n_seeds = len({row["seed"] for row in rows})
    spread = f"mean ± standard deviation over up to {n_seeds} seeds" if n_seeds > 1 else "one seed"
    title = f"{CAPTIONS.get(metric, escape(metric))}, {spread}"
    first = "case" if len(models) <= MOST_COLUMNS else "what"
    return list_table(title, [first, *across], body)


def cell(rows, case, model):
    """Mean and standard deviation of the values of one model in one case."""
    found = [r["value"] for r in rows if (r["case"], r["model"]) == (case, model)]
    found = [value for value in found if value is not None and isfinite(value)]
    if not found:
        return "–"
    digits = 3 if abs(mean(found)) < 10 else 1
    text = f"{mean(found):.{digits}f}"
    return f"{text} ± {stdev(found):.{digits}f}" if len(found) > 1 else text


def checks_table(checks):
    """What the benchmark was meant to show, and whether it did."""
    body = [
        [
            escape(check["name"]),
            "–" if check["value"] is None else f"{check['value']:.4g}",
            escape(check["bound"]),
            "yes" if check["passed"] else "**no**",
        ]
        for check in checks
    ]
    return list_table("Checks", ["what", "value", "bound", "holds"], body)


def environment_line(result):
    """One paragraph on what the numbers were measured with."""
    known = {"sklearn_meg": result.get("version"), **result.get("environment", {})}
    text = ", ".join(f"{key} {value}" for key, value in known.items() if value is not None)
    settings = ", ".join(f"{key}={value}" for key, value in result.get("settings", {}).items())
    line = f"Measured with {text}." + (f" Settings: {settings}." if settings else "")
    return escape(line) + "\n"


def escape(text):
    """Text that rst takes literally."""
    return re.sub(r"([\\*`|_])", r"\\\1", str(text))


def list_table(title, header, body):
    """Rows of text as an rst list-table."""
    lines = [f".. list-table:: {title}", "   :header-rows: 1", ""]
    for row in [header, *body]:
        lines += [f"   {'* -' if i == 0 else '  -'} {text}" for i, text in enumerate(row)]
    return "\n".join(lines) + "\n"


def _write_if_changed(path, text):
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


if __name__ == "__main__":
    here = Path(__file__).parent
    write_tables(here / "benchmarks", here / "generated")
