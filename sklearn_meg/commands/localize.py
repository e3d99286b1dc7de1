"""``sklearn-meg localize``: sources of evoked fields."""

import argparse
import contextlib
import warnings
from collections import Counter
from dataclasses import dataclass

import numpy as np

from .._checks.claims import check_claims
from .common import CommandError, add_out, check_models, existing, open_folder, split
from .steps import Steps

EXAMPLE = """\
example:
  sklearn-meg localize --evoked subject-ave.fif --condition "Left Auditory" \\
      --forward subject-fwd.fif --noise-cov subject-cov.fif --out sources

Writes report.html, dipoles.csv, and for each solver NAME-vl.stc (or -lh.stc, -rh.stc) of every
condition, each fitted by itself. Fitted solvers are kept in the folder: run the same command again
after an interruption.
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
    forward, picked, notes = _same_channels(forward, cov, _picked(data, arguments.picks))
    parts = _parts(picked)
    out = open_folder(arguments.out)
    found = []
    with Steps(out / "store", len(names) * len(parts), arguments.quiet) as steps:
        for condition, part in parts.items():
            X, y = fields_to_xy(part)
            settings = {"forward": forward, "noise_cov": cov, "info": _info(part)}
            settings["nave"] = _nave(part)
            for name in names:
                step = name if len(parts) == 1 else f"{name} {_plain(condition)}"
                solver = steps.fit(step, _solver(name, settings, arguments), X, y)
                found.append(Solved(name, condition, solver, X[:1], y.mean(axis=0)))
    _write(
        found, picked, forward, [*notes, *steps.doubts, *_without_baseline(picked)], out, arguments
    )
    return 0


@dataclass
class Solved:
    """A solver fitted on one condition: its events (1, 1, n_times) and mean field."""

    model: str
    condition: str
    solver: object
    X: np.ndarray
    average: np.ndarray


def _parts(data):
    """Fields of each condition: conditions have sources and numbers of trials of their own."""
    if isinstance(data, list):
        return {evoked.comment: [evoked] for evoked in data}
    return {name: _one_condition(data, name) for name in data.event_id}


def _one_condition(epochs, name):
    part = epochs[name]
    part.event_id = {name: epochs.event_id[name]}
    return part


def _picked(data, picks):
    """Fields with the types of channels (or names) that were asked for."""
    wanted = split(picks)
    if not wanted:
        return data
    try:
        return (
            [e.copy().pick(wanted) for e in data] if isinstance(data, list) else data.pick(wanted)
        )
    except ValueError as error:
        kinds = ", ".join(dict.fromkeys(_info(data).get_channel_types()))
        raise CommandError(f"--picks {' '.join(wanted)}: the fields have {kinds}") from error


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
    names = check_models(split(arguments.models), MODELS)
    if bool(arguments.evoked) == bool(arguments.epochs):
        raise CommandError("name the fields by one of --evoked and --epochs")
    if "lcmv" in names and not arguments.epochs:
        raise CommandError("lcmv needs single trials: --epochs")
    return names


def _read(reader, path):
    existing(path)
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
    """Forward solution and fields with the channels that all have, and that are good; notes."""
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
        raise CommandError(
            "fields, forward solution and noise covariance share no good channel: the fields have "
            f"{', '.join(first.ch_names[:3])} ..., the forward solution "
            f"{', '.join(forward['info']['ch_names'][:3])} ..., the covariance "
            f"{', '.join(cov.ch_names[:3])} ..."
        )
    notes = _left_out(first, shared, forward)
    picked = [e.copy().pick(shared) for e in data] if isinstance(data, list) else data.pick(shared)
    return mne.pick_channels_forward(forward, shared, ordered=True, verbose="error"), picked, notes


def _left_out(first, shared, forward):
    """Say which good channels of MEG and EEG are not in the forward solution or covariance."""
    kinds = dict(zip(first.ch_names, first.get_channel_types()))
    lost = [
        name for name, kind in kinds.items()
        if kind in ("mag", "grad", "eeg") and name not in shared and name not in first.info["bads"]
    ]  # fmt: skip
    if not lost:
        return []
    counts = Counter(kinds[name] for name in lost)
    where = "forward solution" if set(lost) - set(forward["info"]["ch_names"]) else "covariance"
    told = " and ".join(f"{n} {kind}" for kind, n in counts.items())
    return [f"Left out, as the {where} does not have them: {told} channels."]


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


def _write(found, data, forward, doubts, out, arguments):
    """Maps of every solver and condition, dipoles, and the page."""
    import pandas as pd

    from ..study import page as html

    names = list(dict.fromkeys(solved.condition for solved in found))
    page = html.Page(arguments.title or f"Sources of {', '.join(names)}")
    times = (data[0] if isinstance(data, list) else data).times
    dipoles, figures = [], {}
    for solved in found:
        stc = solved.solver.to_stc(solved.X)[0]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            path = str(out / f"{solved.model}-{_plain(solved.condition)}")
            stc.save(path, overwrite=True, verbose="error")
        dipoles += _dipoles(solved)
        figures.setdefault(solved.model, []).extend(_figures(solved, times, forward, _info(data)))
    for model, parts in figures.items():
        page.add(f"{model}: {MODELS[model]}", *parts)
    table = pd.DataFrame(dipoles, columns=DIPOLE)
    table.to_csv(out / "dipoles.csv", index=False)
    if any(hasattr(solved.solver, "to_dipoles") for solved in found):
        page.verdict = _verdict(table, names)
    else:
        page.verdict = _peaks(found, forward, times)
    if len(table):
        page.sections.insert(0, ("Dipoles", html.table(table, digits=1)))
    page.verdict += [*doubts, *arguments.told]
    page.add("What was run", html.facts(_facts(list(figures), data, arguments)))
    page.save(out / "report.html")
    if not arguments.quiet:
        print(*page.verdict, sep="\n")
        print(f"Report: {out / 'report.html'}")


def _plain(name):
    return "".join(c if c.isalnum() else "-" for c in name)


def _dipoles(solved):
    """Rows of the table of dipoles: place, time and size of the peak of each."""
    if not hasattr(solved.solver, "to_dipoles"):
        return []
    rows = []
    for number, dipole in enumerate(solved.solver.to_dipoles(solved.X)[0], start=1):
        peak = int(np.abs(dipole.amplitude).argmax())
        x, y, z = 1e3 * dipole.pos[peak]
        row = {"condition": solved.condition, "dipole": number, "x (mm)": x, "y (mm)": y}
        row |= {"z (mm)": z, "peak (ms)": 1e3 * dipole.times[peak]}
        rows.append({**row, "peak (nA m)": 1e9 * abs(dipole.amplitude[peak])})
    return rows


def _peaks(found, forward, times):
    """Where and when the map of each solver is largest after the event."""
    told = []
    for solved in found:
        size = np.linalg.norm(solved.solver.transform(solved.X, pick_ori="vector")[0], axis=1)
        place, when = np.unravel_index((size * (times >= 0)).argmax(), size.shape)
        x, y, z = 1e3 * forward["source_rr"][place]
        told.append(
            f"{solved.condition}: {solved.model} is largest at ({x:.0f}, {y:.0f}, {z:.0f}) mm in "
            f"head coordinates, at {1e3 * times[when]:.0f} ms. A map has such a place also where "
            "there is no source."
        )
    return told


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


def _figures(solved, times, forward, info):
    """Glass brain and fields of a condition."""
    from matplotlib.figure import Figure

    from ..plotting import plot_field_reconstruction, plot_sources
    from ..study import page as html

    name, solver = solved.condition, solved.solver
    unit = {} if hasattr(solver, "to_dipoles") else {"scale": 1.0, "unit": "dSPM"}
    drawn = plot_sources(
        forward["source_rr"], solver.transform(solved.X, pick_ori="vector")[0], times >= 0,
        title=name, figure=Figure(figsize=(10, 3.4), layout="constrained"), **unit,
    )  # fmt: skip
    parts = [html.figure(drawn, f"{name}: largest over time, projected on three planes.")]
    with contextlib.suppress(ValueError):  # no positions
        drawn = plot_field_reconstruction(
            solved.average, solver.predict(solved.X)[0], info, times,
            figure=Figure(figsize=(9, 6), layout="constrained"),
        )  # fmt: skip
        parts.append(html.figure(drawn, f"{name}: measured field, predicted field, what is left."))
    return parts


def _facts(models, data, arguments):
    from html import escape

    from .._saving.store import versions

    kinds = _info(data).get_channel_types()
    told = {
        "Fields": escape(str(arguments.evoked or arguments.epochs)),
        "Channels": ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds)),
        "Forward solution": escape(str(arguments.forward)),
        "Noise covariance": escape(str(arguments.noise_cov)),
        "Models": ", ".join(models) + ", each condition by itself",
        "Versions": ", ".join(f"{k} {v}" for k, v in versions().items() if v),
    }
    return told
