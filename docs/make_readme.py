"""Write the table of what was measured, and the picture, into the README.

``python docs/make_readme.py``, after the benchmarks and ``make docs``. Each number is a mean over
the seeds of ``docs/benchmarks/NAME.json``; a test compares.
"""

import json
import shutil
from pathlib import Path
from statistics import mean

DOCS = Path(__file__).parent
README = DOCS.parent / "README.md"
PICTURE = DOCS / "auto_examples" / "images" / "sphx_glr_plot_encoder_study_001.png"
BEGIN, END = "<!-- measured: docs/make_readme.py -->\n", "<!-- end -->\n"

# System, page, estimator, input -> output, baselines, and (benchmark, case, metric, what it is,
# baseline).
SYSTEMS = (
    (
        "Encoding",
        "encoding",
        "DeepRecurrentEncoder",
        "stimulus → MEG",
        "TRF, recurrent TRF, mean",
        ("encoding", "N", "r", "R across trials, simulated nonlinear responses", "quadratic_trf"),
    ),
    (
        "Source",
        "source",
        "RNNSourceSolver",
        "MEG → currents",
        "MNE, dSPM, LCMV, MxNE, gamma map, RAP-MUSIC",
        ("source", "2corr-5", "dle_mm", "mm off, two correlated sources at -5 dB", "gamma_map"),
    ),
    (
        "TMS",
        "tms",
        "ThresholdCNN",
        "electric field → threshold of a neuron",
        "uniform field, ridge, boosting",
        ("tms", "L5", "mape", "percent off, layer 5 cell by NEURON", "hist_gb"),
    ),
    (
        "Connectome",
        "connectome",
        "ConnectomeMetric",
        "fiber directions → metric, geodesics",
        "four classical metrics",
        ("connectome", "braid", "deviation_mean", "voxels off, crossing bands", "conformal"),
    ),
    (
        "Nerve",
        "nerve",
        "NerveDecoder",
        "nerve or muscle signals → movement",
        "LDA, ridge, Kalman filter, forest",
        (
            "nerve",
            "emg_days1-5_to_25-30",
            "trial_accuracy",
            "right, real EMG, 20 days later",
            "lda_self_trained",
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
            "windows_chain",
        ),
    ),
)


def measured(benchmark, case, metric, what, baseline, *, folder=DOCS / "benchmarks"):
    """Ours and a baseline, as text."""
    rows = json.loads((folder / f"{benchmark}.json").read_text(encoding="utf-8"))["rows"]

    def value(model):
        found = [
            r["value"]
            for r in rows
            if (r["case"], r["metric"], r["model"]) == (case, metric, model)
        ]
        return f"{mean(found):.3g}"

    return f"**{value('default')}** {what}; `{baseline}` {value(baseline)}"


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
