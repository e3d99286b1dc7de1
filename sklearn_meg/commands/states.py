"""``sklearn-meg states``: states of brain activity and their graphs."""

import argparse
from pathlib import Path

import numpy as np

from .._checks.claims import check_claims
from .._checks.trials import more_rows_than_columns
from .arrays import read_named
from .common import CommandError, add_out, existing, open_folder, positive, read_table, split
from .steps import Steps

EXAMPLE = """\
example:
  sklearn-meg states --recordings sub-01.npy sub-02.npy sub-03.npy --n-states 3,4,5 --sfreq 0.5 \\
      --out states

A recording is .npy, .mat, .csv or .tsv of regions x samples (or with --transpose the other way, and
then a first row of text may name the regions),
.npz with one array X of recordings, or NIfTI with --atlas. With several numbers of states,
recordings are left out in turn and the number with the best held-out likelihood is taken. Writes
states.csv, transitions.csv, communities.csv and report.html. Fitted models are kept in the folder:
run the same command again after an interruption.
"""
CLOCKS = ("time", "times", "t", "sample", "samples", "volume", "tr", "frame", "scan", "index")


def add_parsers(commands):
    """Add ``states`` to the command line."""
    parser = commands.add_parser(
        "states",
        help="states of brain activity and their graphs",
        description="Find states of brain activity, their graphs and ranked communities.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run_states)
    add = parser.add_argument
    add("--recordings", nargs="+", action="extend", required=True, metavar="FILE", help="see below")
    add("--atlas", metavar="FILE", help="regions of NIfTI recordings")
    add("--transpose", action="store_true", help="recordings are samples x regions")
    add("--as-is", action="store_true", help="do not standardize regions within recordings")
    add("--key", metavar="NAME", help="variable of .mat recordings")
    add("--sfreq", type=positive, metavar="HZ", help="sampling rate, for the time axis")
    add("--n-states", nargs="+", default=["4"], metavar="N", help="default: 4")
    add("--n-init", type=int, default=8, metavar="N", help="starts (default: %(default)s)")
    add("--regions", metavar="FILE", help="names of regions, one a line")
    add("--seed", type=int, default=0, metavar="N", help="default: %(default)s")
    add_out(parser, "sklearn-meg-states")


def run_states(arguments):
    """Do what ``sklearn-meg states`` was asked for; return the exit status."""
    from ..dynamics import HiddenMarkovGraph, MixtureStates

    numbers = _numbers(arguments)
    recordings = read_recordings(arguments)
    regions = _regions(arguments, recordings[0].shape[0])
    out = open_folder(arguments.out)

    def model(n):
        return HiddenMarkovGraph(n_states=n, n_init=arguments.n_init, random_state=arguments.seed)

    held_out = len(numbers) > 1 or len(recordings) > 1
    folds = _folds(len(recordings)) if held_out else []
    n_steps = (len(numbers) + 1) * len(folds) + 1
    with Steps(out / "store", n_steps, arguments.quiet) as steps:
        table = _held_out(steps, {f"{n} states": model(n) for n in numbers}, recordings, folds)
        best = numbers[0] if not folds else numbers[int(np.argmax([r["mean"] for r in table]))]
        mixture = MixtureStates(n_states=best, random_state=arguments.seed)
        table += _held_out(steps, {f"mixture of {best}": mixture}, recordings, folds)
        fitted = steps.fit(f"{best} states", model(best), _as_X(recordings))
    doubts = [text for text in steps.doubts if text.startswith(f"{best} states: ")]
    _write(fitted, table, recordings, regions, doubts, out, arguments)
    return 0


def _numbers(arguments):
    try:
        numbers = [int(text) for text in split(arguments.n_states)]
    except ValueError:
        numbers = [0]
    if not numbers or min(numbers) < 1:
        raise CommandError(f"--n-states takes numbers from 1 on, got {arguments.n_states}")
    return numbers


def read_recordings(arguments):
    """Recordings, each regions x samples.

    Raises CommandError if they have different regions, or are no numbers.
    """
    found, names = [], []
    for path in map(Path, arguments.recordings):
        found += _read(existing(path), arguments)
        names += [path] * (len(found) - len(names))
    found = [x.T if arguments.transpose else x for x in found]
    for path, x in zip(names, found):
        if x.ndim != 2 or not np.isfinite(x).all():
            raise CommandError(f"{path} must hold finite numbers, regions x samples, got {x.shape}")
    sizes = sorted({len(x) for x in found})
    if len(sizes) > 1:
        raise CommandError(f"recordings must have the same regions, they have {sizes}")
    if more_rows_than_columns(found):
        raise CommandError(
            f"recordings have {found[0].shape[0]} regions and {found[0].shape[1]} samples; "
            "--transpose if it is the other way round"
        )
    return found if arguments.as_is else [_standardized(x) for x in found]


def _standardized(x):
    """Regions with mean 0 and variance 1 in each recording: states are of times, not of people."""
    sd = x.std(axis=1, keepdims=True)
    if not sd.all():
        raise CommandError(f"regions {np.flatnonzero(sd == 0).tolist()} never vary in a recording")
    return (x - x.mean(axis=1, keepdims=True)) / sd


def _read(path, arguments):
    name = path.name.lower()
    if name.endswith((".nii", ".nii.gz")):
        from ..dynamics import read_parcellated_bold

        if not arguments.atlas:
            raise CommandError(f"{path}: NIfTI recordings need --atlas")
        return list(read_parcellated_bold([str(path)], arguments.atlas)[0])
    if path.suffix == ".npy":
        check_claims(path)
        return [np.load(path, allow_pickle=False)]
    if path.suffix.lower() == ".mat":
        content = read_named(path)
        names = [n for n, v in content.items() if v.ndim == 2 and min(v.shape) > 1]
        if arguments.key is None and len(names) != 1:
            raise CommandError(f"{path}: name one of {', '.join(names) or 'no arrays'} by --key")
        key = arguments.key or names[0]
        if key not in content:
            raise CommandError(f"{path} has no {key}; it has {', '.join(content)}")
        return [np.asarray(content[key], dtype=float)]
    if path.suffix == ".npz":
        content = read_named(path)
        X = content.get("X")
        if X is None:
            raise CommandError(f"{path} has no X; it has {', '.join(content)}")
        return list(X) if X.ndim == 3 else [X]
    return [_read_table(path)]


def _read_table(path):
    """Numbers of a text file, without a first row of names."""
    table = _without_index(read_table(path, header=None, dtype=str))
    _check_no_clock(path, table)
    try:
        return table.iloc[1 if _is_header(table) else 0 :].to_numpy(float)
    except ValueError as error:
        raise CommandError(
            f"{path}: {error}. Beside one row of names, all cells must be numbers"
        ) from error


def _without_index(table):
    """A table without the column of row numbers that pandas and R write under an empty name."""
    import pandas as pd

    first = table[0]
    rows = pd.to_numeric(first[1:], errors="coerce").to_numpy()
    unnamed = pd.isna(first[0]) or str(first[0]).startswith("Unnamed")
    if unnamed and len(rows) > 1 and (np.diff(rows) == 1).all():
        return table.drop(columns=0).T.reset_index(drop=True).T
    return table


def _check_no_clock(path, table):
    """Refuse a column that is called time and only grows: it is no region."""
    if not _is_header(table):
        return
    for column, name in table.iloc[0].items():
        if str(name).strip().lower() not in CLOCKS:
            continue
        import pandas as pd

        values = pd.to_numeric(table[column][1:], errors="coerce").to_numpy()
        if len(values) > 1 and (np.diff(values) > 0).all():
            raise CommandError(
                f"{path}: the column {name!r} counts samples and is no region: leave it out"
            )


def _is_header(table):
    """Whether the first row holds names alone."""
    import pandas as pd

    first = table.iloc[0]
    return bool((first.notna() & pd.to_numeric(first, errors="coerce").isna()).all())


def _header(path):
    """Names in the first row of a text file, or None."""
    if Path(path).suffix not in (".csv", ".tsv", ".txt"):
        return None
    table = _without_index(read_table(path, header=None, dtype=str, nrows=3))
    return table.iloc[0].tolist() if _is_header(table) else None


def _regions(arguments, n):
    if not arguments.regions:
        return _header(arguments.recordings[0]) if arguments.transpose else None
    names = [line for line in Path(arguments.regions).read_text().splitlines() if line.strip()]
    if len(names) != n:
        raise CommandError(f"{arguments.regions} has {len(names)} names, recordings {n} regions")
    return names


def _as_X(recordings):
    """One array where recordings have the same length, otherwise a list."""
    same = len({x.shape for x in recordings}) == 1
    return np.stack(recordings) if same else list(recordings)


def _folds(n):
    """Recordings to leave out: each in turn, or five groups."""
    return np.array_split(np.arange(n), min(n, 5)) if n > 1 else []


def _held_out(steps, models, recordings, folds):
    """Log-likelihood a sample of recordings that were left out, by model."""
    from sklearn.base import clone

    rows = []
    for name, model in models.items():
        scores = []
        for fold in folds:
            kept = [x for i, x in enumerate(recordings) if i not in fold]
            left = [x for i, x in enumerate(recordings) if i in fold]
            fitted = steps.fit(f"{name}, without {fold[0] + 1}", clone(model), _as_X(kept))
            scores.append(fitted.score(_as_X(left)))
        if scores:
            sem = np.std(scores, ddof=1) / np.sqrt(len(scores)) if len(scores) > 1 else np.nan
            rows.append({"model": name, "mean": float(np.mean(scores)), "sem": float(sem)})
    return rows


def _write(model, held_out, recordings, regions, doubts, out, arguments):
    import pandas as pd

    from ..study import page as html

    labels = [model.predict(x[np.newaxis])[0] for x in recordings]
    rows = [(i, t, s) for i, states in enumerate(labels) for t, s in enumerate(states.tolist())]
    pd.DataFrame(rows, columns=["recording", "sample", "state"]).to_csv(
        out / "states.csv", index=False
    )
    transitions = pd.DataFrame(model.transmat_)
    transitions.to_csv(out / "transitions.csv", index=False)
    communities = model.community_table(regions)
    communities = communities.assign(
        regions=communities["regions"].map(lambda r: " ".join(map(str, r)))
    )
    communities.to_csv(out / "communities.csv", index=False)
    page = html.Page(arguments.title or f"States of {len(recordings)} recordings")
    page.verdict = _verdict(model, labels, held_out, arguments) + doubts
    if held_out:
        page.add(
            "How many states",
            html.table(pd.DataFrame(held_out)),
            html.note(
                "Log-likelihood a sample of recordings that were left out: higher is better."
            ),
        )
    page.add("States in time", *_courses(model, recordings, arguments))
    page.add("Where states go", _transitions(model))
    page.add("Graphs and communities", _layers(model), html.table(communities))
    page.add("What was run", html.facts(_facts(recordings, model, arguments)))
    page.save(out / "report.html")
    if not arguments.quiet:
        print(*page.verdict, sep="\n")
        print(f"Report: {out / 'report.html'}")


def _verdict(model, labels, held_out, arguments):
    share = np.bincount(np.concatenate(labels), minlength=model.transmat_.shape[0])
    share = share / share.sum()
    stay = 1.0 / np.maximum(1.0 - np.diag(model.transmat_), 1e-12)
    rate = arguments.sfreq or 1.0
    unit = "s" if arguments.sfreq else "samples"
    told = [
        f"{len(share)} states, which hold "
        + ", ".join(f"{100 * p:.0f} %" for p in share)
        + f" of the time; a visit lasts {stay.min() / rate:.3g} to {stay.max() / rate:.3g} {unit}."
    ]
    if _are_recordings(labels, len(share)):
        told.append(
            "Careful: nearly every state belongs to one recording. These states tell recordings "
            "apart, not times; align the recordings, or take fewer states."
        )
    if len(held_out) > 1:
        own = max(row["mean"] for row in held_out[:-1])
        gain = own - held_out[-1]["mean"]
        how = "better" if gain > 0 else "no better"
        told.append(
            f"On recordings that were left out they predict {how} than a mixture that does not "
            f"know that states last: {gain:+.3f} nats a sample."
        )
    return told


def _are_recordings(labels, n_states):
    """Whether most time of most states is that of one recording."""
    counts = np.array([np.bincount(states, minlength=n_states) for states in labels])
    share = counts.max(axis=0) / np.maximum(counts.sum(axis=0), 1)
    return len(labels) > 1 and n_states > 1 and np.median(share) > 0.9


def _courses(model, recordings, arguments):
    from matplotlib.figure import Figure

    from .._figures import style
    from ..plotting import plot_state_time_courses
    from ..study import page as html

    parts = []
    for number, x in enumerate(recordings[:6], start=1):
        with style():
            drawn = Figure(figsize=(10, 2.2), layout="constrained")
            plot_state_time_courses(
                model.predict_proba(x[np.newaxis])[0], arguments.sfreq, drawn.subplots()
            )
        parts.append(html.figure(drawn, f"Recording {number}: probability of each state."))
    return parts


def _transitions(model):
    from matplotlib.figure import Figure

    from .._figures import style
    from ..plotting import plot_transitions
    from ..study import page as html

    with style():
        drawn = Figure(figsize=(5, 5), layout="constrained")
        plot_transitions(model, drawn.subplots())
    return html.figure(drawn, "Area of a state: share of time. Arrows: where it goes when it ends.")


def _layers(model):
    from matplotlib.figure import Figure

    from ..plotting import plot_layers
    from ..study import page as html

    drawn = plot_layers(model, Figure(figsize=(10, 4), layout="constrained"))
    return html.figure(drawn, "Graph of each state; communities of the highest rank in color.")


def _facts(recordings, model, arguments):
    from html import escape

    from .._saving.store import versions

    lengths = [x.shape[1] for x in recordings]
    return {
        "Recordings": f"{len(recordings)}, {recordings[0].shape[0]} regions, {min(lengths)} to "
        f"{max(lengths)} samples"
        + ("" if arguments.as_is else "; each region standardized within each recording"),
        "Model": f"<code>{escape(' '.join(repr(model).split())[:300])}</code>",
        "Versions": ", ".join(f"{k} {v}" for k, v in versions().items() if v),
    }
