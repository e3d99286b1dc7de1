"""``sklearn-meg thresholds``: where a TMS pulse fires neurons."""

import argparse

import numpy as np

from .arrays import ARRAY_SUFFIXES, read_named
from .common import CommandError, add_out, existing, open_folder, read_table
from .steps import Steps

EXAMPLE = """\
example:
  sklearn-meg thresholds --field field.csv --cells cells.csv --cell-type "L5 PC" --out thresholds

field.csv has the columns x, y, z (m) and Ex, Ey, Ez (V/m for 1 A/us, or what --didt says):
centers of the tetrahedra of a head model, or a grid. cells.csv has x, y, z of each soma and ax, ay,
az of its axis (out of the cortex), and optionally an azimuth (radians). .npz and .mat hold the
same. Writes thresholds.csv (A/us, with 90 % intervals) and report.html. The fitted networks are
kept in the folder: run the same command again after an interruption.
"""
CELLS = ("x", "y", "z", "ax", "ay", "az")
FIELD = ("x", "y", "z", "Ex", "Ey", "Ez")


def add_parsers(commands):
    """Add ``thresholds`` to the command line."""
    parser = commands.add_parser(
        "thresholds",
        help="where a TMS pulse fires neurons",
        description="Predict activation thresholds of neurons in the field of a TMS coil.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run_thresholds)
    add = parser.add_argument
    add("--field", required=True, metavar="FILE", help="electric field: .csv or .npz")
    add("--cells", required=True, metavar="FILE", help="places of neurons: .csv or .npz")
    add(
        "--training", metavar="FILE",
        help="thresholds to learn from, written by make_tms_dataset (default: the bundled ones of "
        "a layer 5 pyramidal cell)",
    )  # fmt: skip
    add("--cell-type", default="L5 PC", metavar="TYPE", help="default: %(default)s")
    add("--didt", type=float, default=1.0, metavar="A/US", help="the field is that of so many A/us")
    add("--max-epochs", type=int, metavar="N", help="passes over the data in training")
    add("--n-training", type=int, metavar="N", help="learn from so many thresholds only")
    add("--seed", type=int, default=0, metavar="N", help="default: %(default)s")
    add_out(parser, "sklearn-meg-thresholds")


def run_thresholds(arguments):
    """Do what ``sklearn-meg thresholds`` was asked for; return the exit status."""
    from ..tms import EFieldSampler, SampledField, ThresholdCNN, UniformFieldThreshold, grid_spacing

    field, cells = read_columns(arguments.field, FIELD), read_columns(arguments.cells, CELLS)
    azimuth = read_columns(arguments.cells, ("azimuth",), optional=True)
    places = np.column_stack([cells, np.zeros(len(cells)) if azimuth is None else azimuth])
    spacing = grid_spacing(arguments.cell_type)
    sampled = SampledField(field[:, :3], field[:, 3:], didt=arguments.didt)
    grids = EFieldSampler(field=sampled, spacing=spacing).fit_transform(places)
    learned_X, learned_y = training(arguments, spacing)
    out = open_folder(arguments.out)
    deep = {"random_state": arguments.seed}
    if arguments.max_epochs is not None:
        deep["max_epochs"] = arguments.max_epochs
    with Steps(out / "store", 2, arguments.quiet) as steps:
        network = steps.fit("network", ThresholdCNN(**deep), learned_X, learned_y)
        uniform = steps.fit("uniform", UniformFieldThreshold(), learned_X, learned_y)
    _write(network, uniform, grids, places, learned_y, steps.doubts, out, arguments)
    return 0


def read_columns(path, columns, optional=False):
    """Columns of a .csv or .npz file, (n, n_columns); None if they are optional and absent."""
    path = existing(path)
    if path.suffix.lower() in ARRAY_SUFFIXES:
        table = {name: np.ravel(values) for name, values in read_named(path).items()}
    else:
        table = read_table(path)
    missing = [name for name in columns if name not in table]
    if missing and optional:
        return None
    if missing:
        raise CommandError(
            f"{path} has no column {', '.join(missing)}; it has {', '.join(map(str, table))}"
        )
    try:
        values = np.column_stack([np.asarray(table[name], dtype=float) for name in columns])
    except ValueError as error:
        raise CommandError(f"{path}: {', '.join(columns)} must be numbers: {error}") from error
    if not np.isfinite(values).all():
        raise CommandError(f"{path} has missing values in {', '.join(columns)}")
    return values


def training(arguments, spacing):
    """Fields around neurons, and the thresholds there."""
    from ..tms import EFieldSampler, SphereField, figure8_coil, load_l5_thresholds, load_tms_dataset

    if arguments.training:
        data = load_tms_dataset(arguments.training)
        X, y = data["grids"], data["threshold"]
    else:
        if arguments.cell_type != "L5 PC":
            raise CommandError(
                f"the bundled thresholds are of L5 PC; for {arguments.cell_type} simulate some "
                "with make_tms_dataset and name the file by --training"
            )
        places, y = load_l5_thresholds()
        places, y = places[: arguments.n_training], y[: arguments.n_training]
        coil = figure8_coil().at([0, 0, 0.0925], [0, 0, -1])
        X = EFieldSampler(
            field=SphereField(coil), spacing=spacing, heterogeneity=0.8
        ).fit_transform(places)
    fired = np.isfinite(y)
    return np.asarray(X)[fired], np.asarray(y)[fired]


def _write(network, uniform, grids, places, learned, doubts, out, arguments):
    import pandas as pd

    from ..study import page as html

    table = pd.DataFrame(places[:, :6], columns=list(CELLS))
    table["threshold"] = network.predict(grids)
    try:
        table[["low", "high"]] = network.predict_interval(grids)
    except ValueError:  # too few were held out
        table[["low", "high"]] = np.nan
    table["uniform_field"] = uniform.predict(grids)
    table["unlike_training"] = network.is_unusual(grids)
    table.to_csv(out / "thresholds.csv", index=False)
    page = html.Page(
        arguments.title or f"Thresholds of {len(places)} neurons ({arguments.cell_type})"
    )
    page.verdict = [*_verdict(table), *doubts, *arguments.told]
    page.add("Map", *_figures(table))
    page.add("Thresholds", html.fold(f"Show all {len(table)} neurons", html.table(table, digits=4)))
    page.add("What was run", html.facts(_facts(learned, arguments)))
    page.save(out / "report.html")
    if not arguments.quiet:
        print(*page.verdict, sep="\n")
        print(f"Report: {out / 'report.html'}")


def _verdict(table):
    first = table.loc[table["threshold"].idxmin()]
    told = [
        f"The first neuron fires at {first['threshold']:.1f} A/µs"
        + (f" [{first['low']:.1f}, {first['high']:.1f}]" if np.isfinite(first["low"]) else "")
        + f", at ({1e3 * first['x']:.1f}, {1e3 * first['y']:.1f}, {1e3 * first['z']:.1f}) mm; half "
        f"of all do at {table['threshold'].median():.1f} A/µs."
    ]
    unlike = int(table["unlike_training"].sum())
    if unlike:
        told.append(
            f"The fields of {unlike} of {len(table)} neurons are unlike all that were learned "
            "from: their thresholds are extrapolated, and the intervals do not hold."
        )
    return told


def _figures(table):
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    from .._figures import style
    from ..plotting import plot_threshold_map
    from ..study import page as html

    if len(table) < 4:
        return []
    with style():
        drawn = Figure(figsize=(11, 4.4), layout="constrained")
        axes = drawn.subplots(1, 2)
        positions = table[["x", "y", "z"]].to_numpy()
        names = ["threshold", "uniform_field"]
        levels = MaxNLocator(24).tick_values(np.nanmin(table[names]), np.nanmax(table[names]))
        for ax, name in zip(axes, names):
            plot_threshold_map(positions, table[name].to_numpy(), ax, levels=levels)
            ax.set_title("network" if name == "threshold" else "uniform field")
    return [html.figure(drawn, "Threshold of each neuron: by the network, by a uniform field.")]


def _facts(learned, arguments):
    from html import escape

    from .._saving.store import versions

    return {
        "Field": f"{escape(str(arguments.field))}, for {arguments.didt:g} A/µs",
        "Neurons": escape(str(arguments.cells)),
        "Learned from": f"{len(learned)} thresholds, "
        + escape(str(arguments.training or "bundled (L5 PC, monophasic pulse, NEURON)")),
        "Intervals": "90 %, split conformal: they hold for fields like those learned from",
        "Versions": ", ".join(f"{k} {v}" for k, v in versions().items() if v),
    }
