"""``sklearn-meg study``: encoders on any lab's recordings, and ``sklearn-meg demo``."""

import argparse
import shutil
import sys
import tempfile
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from .asked import command_of
from .common import (
    CommandError,
    add_out,
    check_models,
    give_memory_back,
    open_folder,
    pairs,
    positive,
    split,
)
from .duration import time_warning
from .files import find_sources

MODELS = {
    "mean": "the mean response of each subject: the floor of models without initial window",
    "past": "recurrent TRF without the features: the floor of models with an initial window",
    "trf": "temporal receptive field: ridge over stimulus lags",
    "rtrf": "recurrent TRF: ridge over stimulus lags and the signal's own past",
    "dre": "deep recurrent encoder",
}
DEFAULT_FOLDS = 5
KEPT = "study.npz"  # what the command merge reads
EXAMPLE = """\
example:
  sklearn-meg study --epochs sub-*_run-*-epo.fif --features word_length,pos \\
      --models trf,rtrf,dre --bads interpolate --missing drop --resample 100 --out results

Reads recordings one by one, whatever their bad channels and the order of their channels, and
writes results/report.html (verdict, tables, figures, methods to paste into a paper), the tables
behind it (gains.csv, features.csv, summary.csv, comparisons.csv, table.csv, trials.csv), and
study.npz, which sklearn-meg merge puts together with that of another machine. Run the same command
again after an interruption: what was finished is read from results/store.

Files of names with "sub-01" belong to that subject; otherwise each file is one. The floors mean and
past are always part of the study. Scores count from stimulus onset on.

models:
""" + "".join(f"  {name:5} {what}\n" for name, what in MODELS.items())


def add_parsers(commands):
    """Add ``study`` and ``demo`` to the command line."""
    study = commands.add_parser(
        "study",
        help="cross-validate encoders on recordings",
        description="Cross-validate linear and deep encoders on your recordings.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    study.set_defaults(run=run_study)
    _add_files(study.add_argument_group("recordings"))
    _add_cleaning(study.add_argument_group("cleaning"))
    _add_features(study.add_argument_group("features"))
    _add_validation(study.add_argument_group("models and validation"))
    demo = commands.add_parser(
        "demo",
        help="the same on simulated recordings, in a few minutes",
        description="Simulate recordings of words on a real head, and study them.",
    )
    demo.add_argument("--out", default="demo", metavar="DIR", help="default: %(default)s")
    demo.add_argument("--n-jobs", type=int, default=2, metavar="N", help="default: %(default)s")
    demo.set_defaults(run=run_demo)


def _add_files(group):
    add = group.add_argument
    add(
        "--epochs", nargs="+", action="extend", metavar="FILE", default=[],
        help="epochs: .fif, or EEGLAB's .set",
    )  # fmt: skip
    add(
        "--raw", nargs="+", action="extend", metavar="FILE", default=[],
        help="continuous recordings: .fif .set .vhdr .edf .bdf .ds .mff and whatever mne reads",
    )  # fmt: skip
    add("--bids-root", metavar="DIR", help="a BIDS folder (needs mne-bids)")
    add("--bids-task", metavar="TASK", help="task in the BIDS folder")
    add(
        "--events", metavar="REGEX",
        help="annotations (or a stimulus channel) of --raw that are stimuli (default: all)",
    )  # fmt: skip
    add("--tmin", type=float, default=-0.2, metavar="SECONDS", help="of epochs from --raw")
    add("--tmax", type=float, default=0.8, metavar="SECONDS", help="of epochs from --raw")
    add(
        "--filter", nargs=2, type=float, metavar=("LOW", "HIGH"), default=(None, None),
        help="band of --raw that is kept, in Hz",
    )  # fmt: skip
    add(
        "--metadata", nargs="+", action="extend", metavar="TABLE", default=[],
        help="a .tsv or .csv for each file, in the same order: a row an epoch, or an event of "
        "--raw (by a column onset in seconds, or in order); --bids-root reads its events.tsv",
    )  # fmt: skip
    add("--subject-column", metavar="COL", help="metadata column that names the subject")
    add(
        "--subject-from-name", metavar="REGEX",
        help="the subject in the name of a file, as the group of a regular expression",
    )  # fmt: skip
    add("--groups-column", metavar="COL", help="metadata column of runs, which stay together")


def _add_cleaning(group):
    add = group.add_argument
    add(
        "--bads", choices=("interpolate", "drop", "union"), default="interpolate",
        help="interpolate bad channels; or leave them out of all recordings, together with "
        "channels that a recording lacks (drop) or not (union); default: %(default)s",
    )  # fmt: skip
    add("--picks", nargs="+", metavar="NAME", help="channel types or names, such as meg or eeg")
    add(
        "--reject", nargs="+", metavar="TYPE=LIMIT",
        help="leave out trials beyond a peak-to-peak limit in SI units: mag=4e-12 eeg=150e-6",
    )  # fmt: skip
    add("--resample", type=positive, metavar="HZ", help="new sampling rate (advised above 250 Hz)")


def _add_features(group):
    add = group.add_argument
    add(
        "--features", nargs="+", default=[], metavar="COL",
        help="metadata columns, numbers or text, with commas or spaces between (default: the "
        "types of events)",
    )  # fmt: skip
    add("--formula", metavar="TEXT", help="features as a formula: 'length + C(pos)'")
    add(
        "--coding", choices=("treatment", "sum"), default="treatment",
        help="coding of text (default: %(default)s)",
    )  # fmt: skip
    add("--reference", nargs="+", metavar="COL=LEVEL", help="reference level of a text column")
    add(
        "--missing", choices=("drop", "mean"),
        help="trials without a value: leave out, or fill in (default: an error)",
    )  # fmt: skip
    add(
        "--feature-shape", choices=("boxcar", "impulse"), default="boxcar",
        help="time course of a feature at stimulus onset (default: %(default)s)",
    )  # fmt: skip
    add(
        "--feature-duration", type=positive, default=0.25, metavar="SECONDS",
        help="length of the boxcar (default: %(default)s)",
    )  # fmt: skip
    add(
        "--initial", type=float, metavar="SECONDS", help="start of each epoch that models may know "
        "and that is not scored (default: up to stimulus onset)",
    )  # fmt: skip


def _add_validation(group):
    add = group.add_argument
    add(
        "--models", nargs="+", default=["trf,rtrf,dre"], metavar="NAME",
        help="default: trf,rtrf,dre, beside the floors mean and past",
    )  # fmt: skip
    add(
        "--cv", type=int, metavar="N",
        help=f"number of folds (default: {DEFAULT_FOLDS}, or the number of runs or subjects)",
    )  # fmt: skip
    add(
        "--cv-by", choices=("block", "run", "subject"),
        help="leave out blocks of trials that follow each other, whole runs, or whole subjects "
        "(default: runs where there are several a subject, otherwise blocks)",
    )  # fmt: skip
    add(
        "--metric", choices=("r", "r_time", "r2"), default="r",
        help="main score: R across trials, R over time, or R2 (default: %(default)s)",
    )  # fmt: skip
    add(
        "--trf-lags", type=positive, default=0.6, metavar="SECONDS",
        help="longest lag of the linear encoders, also inside dre (default: %(default)s, or as "
        "long as the epochs)",
    )  # fmt: skip
    add("--max-epochs", type=int, metavar="N", help="passes over the data in training dre")
    add(
        "--n-permutations", type=int, default=30, metavar="N",
        help="exchanges of features between trials, per feature and fold (default: %(default)s)",
    )  # fmt: skip
    add("--n-jobs", type=int, default=None, metavar="N", help="parallel jobs over models and folds")
    add(
        "--each-subject", action="store_true", help="fit every subject by itself, with nothing but "
        "one subject in memory, --n-jobs of them at a time; for many subjects",
    )  # fmt: skip
    add(
        "--continue", dest="go_on", action="store_true",
        help="with --each-subject: leave out subjects that cannot be read or fitted, and name them "
        "at the end",
    )  # fmt: skip
    add("--seed", type=int, default=0, metavar="N", help="random numbers (default: %(default)s)")
    add("--resume", action="store_true", help="go on after an interruption (always done)")
    add_out(group, "sklearn-meg-study")


def run_study(arguments):
    """Do what ``sklearn-meg study`` was asked for; return the exit status."""
    from ..study.kept import write_study
    from ..study.recordings import survey

    give_memory_back()
    names = check_models(split(arguments.models), MODELS)
    if arguments.go_on and not arguments.each_subject:
        raise CommandError("--continue goes with --each-subject")
    if arguments.each_subject and arguments.cv_by == "subject":
        raise CommandError("--each-subject fits within subjects; --cv-by subject needs all at once")
    sources = find_sources(arguments)
    out = open_folder(arguments.out)
    found = survey(sources, reading_of(arguments), go_on=arguments.go_on)
    study_them = _each_subject if arguments.each_subject else _all_at_once
    study, data = study_them(found, names, out, arguments)
    study.notes_, study.counts_ = data.notes, data.counts
    title = arguments.title or f"Encoding study: {', '.join(data.features)}"
    write(study, out, title, quiet=arguments.quiet)
    write_study(study, out / KEPT, study.command_)
    shutil.rmtree(out / "data", ignore_errors=True)
    return 0


def _all_at_once(found, names, out, arguments):
    """The study of all subjects together, and its data."""
    from ..study.recordings import assemble

    data = assemble(found, out / "data")
    folds, groups = folds_of(arguments, data.subjects, data.runs)
    study = _study(names, data, folds, out, arguments)
    _tell(data, arguments, study.models, folds)
    return study.run(**arguments_of(data, groups), subjects=data.subjects), data


def _each_subject(found, names, out, arguments):
    """The study of one subject after the other; the data of the first."""
    import pandas as pd

    from ..study.recordings import count_trials

    kept = found.table[found.design.kept]
    folds, groups = folds_of(arguments, kept["subject"].to_numpy(str), kept["run"].to_numpy(str))
    subjects = list(dict.fromkeys(kept["subject"]))
    first = _first_of(found, subjects, out / "data", arguments)
    study = _study(names, first, folds, out, arguments)
    _tell(first, arguments, study.models, folds * len(subjects))
    sources = {
        subject: _OneSubject(found.of_subject(subject), out, groups is not None)
        for subject in subjects
    }
    study.run_subjects(sources, info=first.info, errors="continue" if arguments.go_on else "raise")
    if found.lost:
        print(*(f"Left out: {error}" for error in found.lost.values()), sep="\n", file=sys.stderr)
        study.failed_ = pd.concat(
            [
                study.failed_,
                pd.Series(found.lost, name="error").rename_axis("subject").reset_index(),
            ]
        )
    first.counts = count_trials(kept, found.reading)
    return study, first


def _first_of(found, subjects, folder, arguments):
    """Data of the first subject that can be read, for shapes and rates."""
    from ..study.recordings import assemble

    for subject in subjects:
        try:
            return assemble(found.of_subject(subject), folder)
        except (ValueError, OSError):
            if not arguments.go_on or subject == subjects[-1]:
                raise


@dataclass
class _OneSubject:
    """Reads one subject when a worker asks for it, and removes its files afterwards."""

    found: object
    out: Path
    by_run: bool

    @property
    def n_bytes(self):
        """Size of its recordings, where they are files."""
        paths = [Path(source.name) for source in self.found.sources]
        return sum(path.stat().st_size for path in paths if path.is_file())

    def __call__(self):
        from ..study.recordings import assemble

        self.folder = tempfile.mkdtemp(prefix="subject-", dir=self.out)
        data = assemble(self.found, self.folder)
        return arguments_of(data, data.runs if self.by_run else None)

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)


def arguments_of(data, groups):
    """Arguments of `Study.run`."""
    return {
        "X": data.X, "y": data.y, "groups": groups, "times": data.times, "info": data.info,
        "features": data.features, "spans": data.spans, "recordings": data.recordings,
    }  # fmt: skip


def _study(names, data, folds, out, arguments):
    from ..study import Study

    study = Study(
        build_models(names, data, arguments),
        cv=folds,
        scoring=[arguments.metric, *(m for m in ("r", "r_time", "r2") if m != arguments.metric)],
        n_permutations=arguments.n_permutations,
        random_state=arguments.seed,
        cache_dir=out / "store",
        n_jobs=arguments.n_jobs,
        verbose=not arguments.quiet,
    )
    study.command_ = command_of(study, names, data, arguments)
    return study


def _tell(data, arguments, models, n_repeats):
    told = [*data.notes, *time_warning(data, arguments, models, n_repeats)]
    if told and not arguments.quiet:
        print(*told, sep="\n", flush=True)


def run_demo(arguments):
    """Do what ``sklearn-meg demo`` was asked for; return the exit status."""
    from ..study.demo import TITLE, demo_study

    out = open_folder(arguments.out)
    print("Four simulated subjects hear words; encoders predict their MEG.", flush=True)
    write(demo_study(arguments.n_jobs, out / "store"), out, TITLE)
    return 0


def reading_of(arguments):
    """How recordings are read, from the arguments."""
    from ..study.recordings import Reading

    return Reading(
        features=split(arguments.features),
        formula=arguments.formula,
        coding=arguments.coding,
        references=pairs(arguments.reference, "--reference"),
        missing=arguments.missing,
        shape=arguments.feature_shape,
        duration=arguments.feature_duration,
        initial=arguments.initial,
        bads=arguments.bads,
        picks=split(arguments.picks) or None,
        reject=pairs(arguments.reject, "--reject", float) or None,
        resample=arguments.resample,
        subject_column=arguments.subject_column,
        run_column=arguments.groups_column,
        subject_row=arguments.cv_by != "subject",
    )


def folds_of(arguments, subjects, runs):
    """Number of folds, and the groups that stay together."""
    import pandas as pd

    names, run_names = subjects, runs
    runs = pd.Series(run_names).groupby(names).nunique()
    by = arguments.cv_by or ("run" if runs.min() > 1 else "block")
    most = {
        "block": pd.Series(names).value_counts().min(),
        "run": runs.min(),
        "subject": len(runs),
    }[by]
    folds = arguments.cv if arguments.cv is not None else min(DEFAULT_FOLDS, int(most))
    if folds < 2 and arguments.cv is not None:
        raise CommandError(f"--cv must be at least 2, got {folds}")
    if folds < 2 or folds > most:
        what = {"block": "trials of every subject", "run": "runs of every subject"}
        raise CommandError(
            f"--cv {max(folds, 2)} --cv-by {by} needs {max(folds, 2)} "
            f"{what.get(by, 'subjects')}, there are {most}"
            + (" (--cv-by block leaves out parts of a run)" if by != "block" else "")
        )
    return folds, {"block": None, "run": run_names, "subject": names}[by]


def build_models(names, data, arguments):
    """Estimators with the rows of `data`, by name.

    names (list of str): Keys of `MODELS`.
    data (StudyData), arguments (argparse.Namespace)
    """
    from ..study import WithoutFeatures

    encoding = import_module("..encoding", __package__)
    sfreq = float(data.info["sfreq"])
    lags = {"sfreq": sfreq, "tmax": min(arguments.trf_lags, (len(data.times) - 1) / sfreq)}
    deep = {"random_state": arguments.seed, "base_params": lags}
    if arguments.max_epochs is not None:
        deep["max_epochs"] = arguments.max_epochs
    rows = data.rows
    told = [row for rows_ in data.features.values() for row in rows_]
    make = {
        "mean": lambda: encoding.SubjectMean(**rows),
        "past": lambda: WithoutFeatures(encoding.RecurrentTRF(**lags, **rows), features=told),
        "trf": lambda: encoding.TemporalReceptiveField(**lags, **rows),
        "rtrf": lambda: encoding.RecurrentTRF(**lags, **rows),
        "dre": lambda: encoding.DeepRecurrentEncoder(**deep, **rows),
    }
    if rows["initial_rows"] is not None and "past" not in names:
        names = [*names, "past"]
    return {name: make[name]() for name in names}


def write(study, out, title, quiet=False):
    """Write the page and the tables behind it."""
    tables = {
        "table": study.table_,
        "summary": study.summary(),
        "comparisons": study.comparisons_,
        "gains": study.gains(),
        "features": study.features(),
        "trials": getattr(study, "counts_", None),
    }
    for name, table in tables.items():
        if table is not None:
            table.to_csv(out / f"{name}.csv", index=False)
    study.report(out / "report.html", title=title)
    (out / "methods.txt").write_text(study.methods() + "\n", encoding="utf-8")
    if not quiet:
        print(*study.verdict(), sep="\n")
        print(f"Report: {out / 'report.html'}")
