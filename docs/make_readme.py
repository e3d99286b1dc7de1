"""Write the table of what was measured, and the picture, into the README.

``python docs/make_readme.py``, after the benchmarks and ``make docs``. Each number is a mean over
the seeds of ``docs/benchmarks/NAME.json``; a test compares.
"""

import json
import re
import shutil
from pathlib import Path
from statistics import mean

DOCS = Path(__file__).parent
README = DOCS.parent / "README.md"
PICTURE = DOCS / "auto_examples" / "images" / "sphx_glr_plot_encoder_study_001.png"
BEGIN, END = "<!-- measured: docs/make_readme.py -->\n", "<!-- end -->\n"

# System, page, estimator, input -> output, baselines, and (benchmark, case, metric, what it is).
SYSTEMS = (
    (
        "Encoding",
        "encoding",
        "DeepRecurrentEncoder",
        "stimulus → MEG",
        "TRF, recurrent TRF, mean",
        (
            "encoding",
            "N_stimulus",
            "r",
            "R across trials, simulated nonlinear responses, stimulus alone",
        ),
    ),
    (
        "Source",
        "source",
        "RNNSourceSolver",
        "MEG → currents",
        "MNE, dSPM, LCMV, MxNE, gamma map, RAP-MUSIC",
        (
            "source",
            "2corr-5",
            "dle_mm",
            "mm off, two correlated sources at -5 dB (half of the seeds seen in development)",
        ),
    ),
    (
        "TMS",
        "tms",
        "ThresholdCNN",
        "electric field → threshold of a neuron",
        "passive physics, uniform field, boosting",
        ("tms", "L5", "mape", "percent off, layer 5 cell"),
    ),
    (
        "Connectome",
        "connectome",
        "ConnectomeMetric",
        "fiber directions → metric, geodesics",
        "four classical metrics",
        ("connectome", "braid", "deviation_mean", "voxels off, crossing bands"),
    ),
    (
        "Nerve",
        "nerve",
        "NerveDecoder",
        "nerve or muscle signals → movement",
        "LDA, ridge, Kalman filter, forest",
        (
            "nerve",
            "people_days1-5_to_25-30",
            "trial_accuracy",
            "right, real EMG, 20 days later, on people used in development",
        ),
    ),
    (
        "Dynamics",
        "dynamics",
        "HiddenMarkovGraph",
        "regional activity → states, graphs, communities",
        "mixture, windows, hmmlearn",
        (
            "dynamics",
            "hard",
            "state_accuracy",
            "of the samples right, simulated states",
        ),
    ),
)


LOWER_IS_BETTER = ("dle_mm", "mape", "deviation_mean")
# Not baselines: ours in other settings, and what only a simulator knows.
OURS = re.compile(
    r"default|paper|oracle|ceiling|no_|conv$|spline$|follow|sure|peaks|network|.*_session$"
)


def measured(benchmark, case, metric, what, *, folder=DOCS / "benchmarks"):
    """Ours and the strongest baseline of the same run, as text."""
    rows = json.loads((folder / f"{benchmark}.json").read_text(encoding="utf-8"))["rows"]
    people = [row for row in rows if row["case"].startswith(f"{case}_p")]
    if people:
        return of_people([row for row in people if row["metric"] == metric], what)
    values = {}
    for row in rows:
        if (row["case"], row["metric"]) == (case, metric) and "subject" not in row:
            values.setdefault(row["model"], []).append(row["value"])
    means = {model: mean(found) for model, found in values.items()}
    baselines = {model: value for model, value in means.items() if not OURS.match(model)}
    best = (min if metric in LOWER_IS_BETTER else max)(baselines, key=baselines.get)
    return f"**{means['default']:.3g}** {what}; `{best}` {means[best]:.3g}"


def of_people(rows, what):
    """Mean and range over people, with and without adaptation, as text."""
    ours, fixed = (
        [row["value"] for row in rows if row["model"] == model]
        for model in ("session", "session_fixed")
    )
    spread = f"{len(ours)} people, {min(ours):.2g} to {max(ours):.2g}"
    return f"**{mean(ours):.2g}** {what} ({spread}); not adapted {mean(fixed):.2g}"


def table():
    """The table of the six systems."""
    lines = ["| | Input → output | Baselines beside it | Measured |", "|---|---|---|---|"]
    for system, page, estimator, what, baselines, numbers in SYSTEMS:
        name = f"[{system}](docs/{page}.rst): `{estimator}`"
        lines.append(f"| {name} | {what} | {baselines} | {measured(*numbers)} |")
    return "\n".join(lines) + "\n"


def with_table(text):
    """The README with the table of now."""
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    return before + BEGIN + table() + END + after


def main():
    """Write the README, and the picture if the gallery was built."""
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
    if PICTURE.exists():
        shutil.copy(PICTURE, DOCS / "_static" / "study.png")


if __name__ == "__main__":
    main()
