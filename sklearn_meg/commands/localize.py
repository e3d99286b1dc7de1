"""``sklearn-meg localize``: sources of evoked fields."""

import argparse
import warnings
from pathlib import Path

import numpy as np

from .._checks.claims import check_claims
from .common import CommandError, add_out, open_folder, split
from .steps import Steps

EXAMPLE = """\
example:
  sklearn-meg localize --evoked subject-ave.fif --condition "Left Auditory" \\
      --forward subject-fwd.fif --noise-cov subject-cov.fif --out sources

Writes report.html, dipoles.csv, and for each solver NAME-vl.stc (or -lh.stc, -rh.stc) of every
condition. Fitted solvers are kept in the folder: run the same command again after an interruption.
"""
DIPOLE = ("condition", "dipole", "x (mm)", "y (mm)", "z (mm)", "peak (ms)", "peak (nA m)")
MODELS = {
    "rnn": "recurrent source solver",
    "dspm": "dSPM, a minimum norm estimate",
    "lcmv": "beamformer (needs --epochs)",
}


def add_parsers(commands):
    """Add ``localize`` to the command line."""
    parser = commands.add_parser(
        "localize",
        help="sources of evoked fields",
        description="Localize the sources of evoked fields.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run_localize)
    add = parser.add_argument
    add("--evoked", metavar="FILE", help="averages (-ave.fif)")
    add("--epochs", metavar="FILE", help="epochs (-epo.fif); every event name is a condition")
    add("--condition", action="append", metavar="NAME", help="condition (default: all)")
    add("--forward", required=True, metavar="FILE", help="forward solution (-fwd.fif)")
    add("--noise-cov", required=True, metavar="FILE", help="noise covariance (-cov.fif)")
    add("--picks", nargs="+", metavar="TYPE", help="channel types, such as meg or eeg")
    add("--models", nargs="+", default=["rnn,dspm"], metavar="NAME", help=", ".join(MODELS))
    add("--max-epochs", type=int, metavar="N", help="training steps of the network")
    add("--seed", type=int, default=0, metavar="N", help="default: %(default)s")
    add_out(parser, "sklearn-meg-localize")


def run_localize(arguments):
    """Do what ``sklearn-meg localize`` was asked for; return the exit status."""
    import mne

    from ..source import fields_to_xy

    names = _check_models(arguments)
    data = read_fields(arguments)
    forward, cov = (
        _read(mne.read_forward_solution, arguments.forward),
        _read(mne.read_cov, arguments.noise_cov),
    )
    forward, picked = _same_channels(forward, cov, data)
    X, y = fields_to_xy(picked)
    conditions = _conditions(picked)
    out = open_folder(arguments.out)
    settings = {"forward": forward, "noise_cov": cov, "info": _info(picked), "nave": _nave(picked)}
    with Steps(out / "store", len(names), arguments.quiet) as steps:
        fitted = {name: steps.fit(name, _solver(name, settings, arguments), X, y) for name in names}
    rows = np.unique(X.reshape(len(X), -1), axis=0, return_index=True)[1]
    shown = X[np.sort(rows)]
    doubts = [*steps.doubts, *_without_baseline(picked)]
    _write(fitted, shown, X, y, picked, conditions, forward, doubts, out, arguments)
    return 0


def _without_baseline(data):
    """Say that offsets of the sensors are still in the fields, if they are."""
    first = data[0] if isinstance(data, list) else data
    if first.baseline is not None or first.times[0] >= 0:
        return []
    return [
        "The fields had no baseline correction: offsets of sensors look like sources. "
        "(apply_baseline((None, 0)) before they are saved.)"
    ]


def _check_models(arguments):
    names = split(arguments.models)
    unknown = [name for name in names if name not in MODELS]
    if unknown or not names:
        raise CommandError(
            f"unknown model {', '.join(map(repr, unknown)) or '(none)'}; "
            f"choose from {', '.join(MODELS)}"
        )
    if bool(arguments.evoked) == bool(arguments.epochs):
        raise CommandError("name the fields by one of --evoked and --epochs")
    if "lcmv" in names and not arguments.epochs:
        raise CommandError("lcmv needs single trials: --epochs")
    return names


def _read(reader, path):
    if not Path(path).is_file():
        raise CommandError(f"{path}: no such file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check_claims(path)
            return reader(path, verbose="error")
    except Exception as error:  # whatever a damaged file provokes
        raise CommandError(f"{path}: cannot be read: {error}") from error


def read_fields(arguments):
    """Evokeds or epochs of the conditions that are asked for."""
    import mne

    if arguments.epochs:
        epochs = _read(mne.read_epochs, arguments.epochs)
        wanted = arguments.condition or list(epochs.event_id)
        _check_conditions(wanted, list(epochs.event_id), arguments.epochs)
        return epochs[wanted].load_data()
    found = _read(mne.read_evokeds, arguments.evoked)
    averages = [evoked for evoked in found if evoked.kind == "average"]
    if not averages:
        raise CommandError(f"{arguments.evoked} holds no average; if it holds epochs, use --epochs")
    there = {evoked.comment: evoked for evoked in averages}
    _check_conditions(arguments.condition or [], list(there), arguments.evoked)
    wanted = arguments.condition or list(there)
    comments = [evoked.comment for evoked in averages]
    repeated = [name for name in wanted if comments.count(name) > 1]
    if repeated:
        raise CommandError(
            f"{arguments.evoked} has several averages of the comment "
            f"{', '.join(map(repr, repeated))}: give each a comment of its own"
        )
    chosen = [there[name] for name in wanted]
    return [evoked.apply_baseline((None, 0), verbose="error") for evoked in chosen]


def _check_conditions(wanted, there, path):
    absent = [name for name in wanted if name not in there]
    if absent:
        raise CommandError(
            f"{path} has no condition {', '.join(map(repr, absent))}; it has {', '.join(there)}"
        )


def _same_channels(forward, cov, data):
    """Forward solution and fields with the channels that both have, and that are good."""
    import mne

    first = data[0] if isinstance(data, list) else data
    shared = [
        name
        for name in first.ch_names
        if name in forward["info"]["ch_names"]
        and name in cov.ch_names
        and name not in first.info["bads"]
    ]
    if not shared:
        raise CommandError("fields, forward solution and noise covariance share no good channel")
    picked = [e.copy().pick(shared) for e in data] if isinstance(data, list) else data.pick(shared)
    return mne.pick_channels_forward(forward, shared, ordered=True, verbose="error"), picked


def _conditions(data):
    return [e.comment for e in data] if isinstance(data, list) else list(data.event_id)


def _nave(data):
    """Trials in the average of fewest trials; 1 for epochs."""
    return min(int(evoked.nave) for evoked in data) if isinstance(data, list) else 1


def _info(data):
    return data[0].info if isinstance(data, list) else data.info


def _solver(name, settings, arguments):
    from ..source import LCMV, MinimumNorm, RNNSourceSolver

    if name == "dspm":
        return MinimumNorm(method="dSPM", **settings)
    if name == "lcmv":
        return LCMV(**settings)
    deep = {"random_state": arguments.seed}
    if arguments.max_epochs is not None:
        deep["max_epochs"] = arguments.max_epochs
    return RNNSourceSolver(**settings, **deep)


def _write(fitted, conditions_X, X, y, data, names, forward, doubts, out, arguments):
    """Maps of every solver and condition, dipoles, and the page."""
    import pandas as pd

    from ..study import page as html

    page = html.Page(arguments.title or f"Sources of {', '.join(names)}")
    times = data[0].times if isinstance(data, list) else data.times
    averages = [y[(X == row).all(axis=(1, 2))].mean(axis=0) for row in conditions_X]
    dipoles = []
    for model, solver in fitted.items():
        for stc, name in zip(solver.to_stc(conditions_X), names):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                stc.save(str(out / f"{model}-{_plain(name)}"), overwrite=True, verbose="error")
        dipoles += _dipoles(model, solver, conditions_X, names)
        page.add(
            f"{model}: {MODELS[model]}",
            *_figures(solver, conditions_X, averages, names, times, forward, _info(data)),
        )
    table = pd.DataFrame(dipoles, columns=DIPOLE)
    table.to_csv(out / "dipoles.csv", index=False)
    if any(hasattr(solver, "to_dipoles") for solver in fitted.values()):
        page.verdict = _verdict(table, names)
    if len(table):
        page.sections.insert(0, ("Dipoles", html.table(table, digits=1)))
    page.verdict += doubts
    page.add("What was run", html.facts(_facts(fitted, data, arguments)))
    page.save(out / "report.html")
    if not arguments.quiet:
        print(*page.verdict, sep="\n")
        print(f"Report: {out / 'report.html'}")


def _plain(name):
    return "".join(c if c.isalnum() else "-" for c in name)


def _dipoles(model, solver, X, names):
    """Rows of the table of dipoles: place, time and size of the peak of each."""
    if not hasattr(solver, "to_dipoles"):
        return []
    rows = []
    for name, found in zip(names, solver.to_dipoles(X)):
        for number, dipole in enumerate(found):
            peak = int(np.abs(dipole.amplitude).argmax())
            x, y, z = 1e3 * dipole.pos[peak]
            row = {"condition": name, "dipole": number + 1, "x (mm)": x, "y (mm)": y, "z (mm)": z}
            row |= {"peak (ms)": 1e3 * dipole.times[peak]}
            rows.append({**row, "peak (nA m)": 1e9 * abs(dipole.amplitude[peak])})
    return rows


def _verdict(table, names):
    told = []
    for name in names:
        part = table[table["condition"] == name]
        if not len(part):
            told.append(f"{name}: there is no evidence for a dipole in these fields.")
            continue
        places = "; ".join(
            f"({x:.0f}, {y:.0f}, {z:.0f}) mm, peak {size:.0f} nA m at {when:.0f} ms"
            for x, y, z, when, size in part[list(DIPOLE[2:])].itertuples(index=False)
        )
        n = len(part)
        told.append(f"{name}: {n} dipole{'s' if n > 1 else ''} in head coordinates: {places}.")
    return told


def _figures(solver, X, averages, names, times, forward, info):
    """Glass brain and fields of every condition."""
    from matplotlib.figure import Figure

    from ..plotting import plot_field_reconstruction, plot_sources
    from ..study import page as html

    parts = []
    unit = {} if hasattr(solver, "to_dipoles") else {"scale": 1.0, "unit": "dSPM"}
    estimates = solver.transform(X, pick_ori="vector")
    for name, average, estimate, predicted in zip(names, averages, estimates, solver.predict(X)):
        drawn = plot_sources(
            forward["source_rr"], estimate, times >= 0, title=name,
            figure=Figure(figsize=(10, 3.4), layout="constrained"), **unit,
        )  # fmt: skip
        parts.append(html.figure(drawn, f"{name}: largest over time, projected on three planes."))
        try:
            drawn = plot_field_reconstruction(
                average, predicted, info, times,
                figure=Figure(figsize=(9, 6), layout="constrained"),
            )  # fmt: skip
        except ValueError:  # no positions
            continue
        parts.append(html.figure(drawn, f"{name}: measured field, predicted field, what is left."))
    return parts


def _facts(fitted, data, arguments):
    from html import escape

    from .._saving.store import versions

    kinds = _info(data).get_channel_types()
    told = {
        "Fields": escape(str(arguments.evoked or arguments.epochs)),
        "Channels": ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds)),
        "Forward solution": escape(str(arguments.forward)),
        "Noise covariance": escape(str(arguments.noise_cov)),
        "Models": ", ".join(fitted),
        "Versions": ", ".join(f"{k} {v}" for k, v in versions().items() if v),
    }
    return told
