"""Draw one figure a benchmark from its JSON, for these pages.

``python docs/make_figures.py`` reads ``docs/benchmarks/NAME.json`` and writes
``docs/generated/benchmark_NAME.svg``: models beside each other in every case, each dot one seed.
"""

import json
from pathlib import Path
from statistics import mean

from make_tables import CAPTIONS

HERE = Path(__file__).parent
# The score that a page leads with, and how many of its models a figure can show.
MAIN = {
    "encoding": "r",
    "source": "dle_mm",
    "tms": "mape",
    "connectome": "deviation_mean",
    "nerve": "trial_accuracy",
    "dynamics": "state_accuracy",
}
LOWER = ("dle_mm", "mape", "deviation_mean")
MOST_MODELS, MOST_CASES = 7, 10


def values_of(result, metric):
    """Finite values by case and model: the cases with the most of them, and the strongest models.

    >>> row = {"case": "N", "model": "trf", "metric": "r", "seed": 0, "value": 0.5}
    >>> values_of({"rows": [row, {**row, "value": 0.7}]}, "r")
    {'N': {'trf': [0.5, 0.7]}}
    """
    found = {}
    for row in result["rows"]:
        value = row["value"] if row["metric"] == metric and "subject" not in row else None
        if value is not None and abs(value) < float("inf"):
            found.setdefault(row["case"], {}).setdefault(row["model"], []).append(value)
    cases = sorted(found, key=lambda case: -sum(map(len, found[case].values())))[:MOST_CASES]
    found = {case: models for case, models in found.items() if case in cases}
    kept = strongest(found, metric)
    shown = {c: {m: models[m] for m in kept if m in models} for c, models in found.items()}
    return {case: models for case, models in shown.items() if models}


def strongest(found, metric):
    """Ours, then the models that are most often the best of the others, so that none is hidden."""
    sign = 1 if metric in LOWER else -1
    points = {}
    for models in found.values():
        others = {m: sign * mean(values) for m, values in models.items() if m != "default"}
        for place, model in enumerate(sorted(others, key=others.get)):
            points[model] = points.get(model, 0) + 1 / (1 + place)
    ours = ["default"] if any("default" in models for models in found.values()) else []
    return [*ours, *sorted(points, key=lambda m: -points[m])][:MOST_MODELS]


def draw(values, title):
    """Figure with a line a case: a dot a seed, a bar at the mean."""
    from matplotlib.figure import Figure

    from sklearn_meg._figures import PALETTE, style

    models = list(dict.fromkeys(model for found in values.values() for model in found))
    with style():
        figure = Figure(figsize=(8, 0.9 + 0.55 * len(values)), layout="constrained")
        ax = figure.subplots()
        for line, found in enumerate(values.values()):
            for i, model in enumerate(models):
                y = line + 0.7 * ((i + 0.5) / len(models) - 0.5)
                color = PALETTE[i % len(PALETTE)]
                own = found.get(model, [])
                ax.plot(own, [y] * len(own), "o", color=color, markersize=3, alpha=0.45)
                if own:
                    ax.plot(mean(own), y, "|", color=color, markersize=9, markeredgewidth=2.5)
        for i, model in enumerate(models):
            ax.plot([], [], "|", color=PALETTE[i % len(PALETTE)], label=model, markeredgewidth=2.5)
        ax.set_yticks(range(len(values)), list(values))
        ax.set(xlabel=title, ylim=(len(values) - 0.5, -0.5))
        figure.legend(loc="outside right upper", frameon=False)
    return figure


def main():
    """Draw all figures, and put each above the table of its benchmark."""
    folder = HERE / "generated"
    folder.mkdir(exist_ok=True)
    for name, metric in MAIN.items():
        path, page = HERE / "benchmarks" / f"{name}.json", folder / f"benchmark_{name}.rst"
        values = values_of(json.loads(path.read_text()), metric) if path.exists() else {}
        if not values:
            continue
        title = CAPTIONS.get(metric, metric)
        draw(values, title).savefig(folder / f"benchmark_{name}.svg")
        figure = (
            f".. figure:: /generated/benchmark_{name}.svg\n   :alt: {title}\n\n"
            f"   {title}: a dot a seed, bars are means.\n"
            "   Shown are the cases with the most values, and the strongest models; the table has "
            "all.\n\n"
        )
        text = page.read_text() if page.exists() else ""
        page.write_text(text if text.startswith(figure) else figure + text)


if __name__ == "__main__":
    main()
