"""The command line: ``sklearn-meg study --epochs FILE ...``."""

import argparse
import sys
import warnings
from pathlib import Path

from ._version import __version__

MODELS = {
    "mean": "the mean response of each subject, the floor",
    "trf": "temporal receptive field: ridge over stimulus lags",
    "rtrf": "recurrent TRF: ridge over stimulus lags and the signal's own past",
    "dre": "deep recurrent encoder",
}
EXAMPLE = """\
example:
  sklearn-meg study --epochs sub-01-epo.fif sub-02-epo.fif \\
      --features word_length,word_frequency --models trf,rtrf,dre,mean \\
      --cv 5 --n-jobs 2 --out results

Writes results/report.html, table.csv (every model, fold and subject), summary.csv and
comparisons.csv. Run the same command again after an interruption: what was finished is read
from results/store.

models:
""" + "".join(f"  {name:5} {what}\n" for name, what in MODELS.items())


class CommandError(Exception):
    """A mistake of the user, told in one line."""


def main(argv=None):
    """Run the command line and return its exit status.

    Parameters
    ----------
    argv : list of str, default=None
        Arguments; None takes those of the process.

    Returns
    -------
    status : int
        0, or 2 after a mistake, which is told in one line on stderr.
    """
    arguments = _parser().parse_args(argv)
    try:
        return arguments.run(arguments)
    except (CommandError, ValueError, OSError, MemoryError) as error:
        print(f"sklearn-meg: error: {_one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("sklearn-meg: interrupted; run the same command again to go on.", file=sys.stderr)
        return 130


def _parser():
    parser = argparse.ArgumentParser(
        prog="sklearn-meg", description="Deep models of brain signals as scikit-learn estimators."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    study = commands.add_parser(
        "study",
        help="cross-validate encoders on epochs",
        description="Cross-validate linear and deep encoders on your epochs.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    study.set_defaults(run=run_study)
    demo = commands.add_parser(
        "demo",
        help="the same on simulated recordings, in a few minutes",
        description="Simulate recordings of words on a real head, and study them.",
    )
    demo.add_argument("--out", default="demo", metavar="DIR", help="default: %(default)s")
    demo.add_argument("--n-jobs", type=int, default=2, metavar="N", help="default: %(default)s")
    demo.set_defaults(run=run_demo)
    _add_data_options(study.add_argument_group("data"))
    _add_model_options(study.add_argument_group("models and validation"))
    return parser


def _add_data_options(group):
    add = group.add_argument
    add(
        "--epochs", nargs="+", action="extend", required=True, metavar="FILE",
        help="epochs: .fif, or EEGLAB's .set; several files are one subject each",
    )  # fmt: skip
    add(
        "--features", nargs="+", default=[], metavar="COL",
        help="numeric metadata columns, with commas or spaces between (default: event types)",
    )  # fmt: skip
    add("--subject-column", metavar="COL", help="metadata column that names the subject")
    add(
        "--feature-shape", choices=("boxcar", "impulse"), default="boxcar",
        help="time course of a feature at stimulus onset (default: %(default)s)",
    )  # fmt: skip
    add(
        "--feature-duration", type=_positive, default=0.25, metavar="SECONDS",
        help="length of the boxcar (default: %(default)s)",
    )  # fmt: skip
    add(
        "--initial", type=float, metavar="SECONDS", help="start of each epoch that models may know "
        "and that is not scored (default: up to stimulus onset)",
    )  # fmt: skip
    add("--resample", type=_positive, metavar="HZ", help="new sampling rate")


def _add_model_options(group):
    add = group.add_argument
    add(
        "--models", nargs="+", default=["trf,rtrf,dre,mean"], metavar="NAME",
        help="default: trf,rtrf,dre,mean; the first is the reference of ratios",
    )  # fmt: skip
    add("--cv", type=int, default=5, metavar="N", help="number of shuffled folds (default: 5)")
    add(
        "--cv-by", choices=("trial", "subject"), default="trial",
        help="leave out trials of every subject, or whole subjects (default: %(default)s)",
    )  # fmt: skip
    add(
        "--metric", choices=("r", "r_time", "r2"), default="r",
        help="main score: R across trials, R over time, or R2 (default: %(default)s)",
    )  # fmt: skip
    add(
        "--trf-lags", type=_positive, default=0.6, metavar="SECONDS",
        help="longest lag of the linear encoders, also inside dre (default: %(default)s, or as "
        "long as the epochs)",
    )  # fmt: skip
    add("--max-epochs", type=int, metavar="N", help="passes over the data in training dre")
    add("--n-jobs", type=int, default=None, metavar="N", help="parallel jobs over models and folds")
    add("--seed", type=int, default=0, metavar="N", help="folds and dre (default: %(default)s)")
    add("--out", default="sklearn-meg-study", metavar="DIR", help="default: %(default)s")
    add("--title", default=None, help="title of the report")
    add("--quiet", action="store_true", help="no progress bar, no summary")


def _positive(text):
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a positive number, got {text}")
    return value


def run_study(arguments):
    """Do what ``sklearn-meg study`` was asked for; return the exit status."""
    from .encoding.epochs import epochs_to_xy
    from .study.study import Study

    names = _split(arguments.models)
    unknown = [name for name in names if name not in MODELS]
    if unknown or not names:
        raise CommandError(
            f"unknown model {', '.join(map(repr, unknown)) or '(none)'}; "
            f"choose from {', '.join(MODELS)}"
        )
    out = _open_folder(arguments.out)
    data = epochs_to_xy(
        [read_epochs(path) for path in arguments.epochs],
        _split(arguments.features),
        shape=arguments.feature_shape,
        duration=arguments.feature_duration,
        initial=arguments.initial,
        subject_column=arguments.subject_column,
        subject_row=arguments.cv_by == "trial",
        resample=arguments.resample,
        names=_short_names(arguments.epochs),
    )
    subjects = [data.subject_names[i] for i in data.subjects]
    study = Study(
        build_models(names, data, arguments),
        cv=_splitter(arguments, data.subjects),
        scoring=[arguments.metric, *(m for m in ("r", "r_time", "r2") if m != arguments.metric)],
        start=data.rows["n_initial"],
        store=out / "store",
        n_jobs=arguments.n_jobs,
        verbose=not arguments.quiet,
    )
    groups = data.subjects if arguments.cv_by == "subject" else None
    study.run(data.X, data.y, groups, subjects, times=data.times, info=data.info)
    title = arguments.title or f"Encoding study: {', '.join(data.feature_names)}"
    _write(study, out, title, quiet=arguments.quiet)
    return 0


def run_demo(arguments):
    """Do what ``sklearn-meg demo`` was asked for; return the exit status."""
    from .study.demo import TITLE, demo_study

    out = _open_folder(arguments.out)
    print("Four simulated subjects hear words; four encoders predict their MEG.", flush=True)
    _write(demo_study(arguments.n_jobs, out / "store"), out, TITLE)
    return 0


def read_epochs(path):
    """Read epochs of any format that is known here.

    Raises
    ------
    CommandError
        If the file does not exist or cannot be read as epochs.
    """
    import mne

    path = Path(path)
    if not path.is_file():
        raise CommandError(f"{path}: " + ("a folder, no file" if path.is_dir() else "no such file"))
    reader = mne.read_epochs_eeglab if path.suffix == ".set" else mne.read_epochs
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # names that do not end with -epo.fif, and the like
            epochs = reader(path, verbose="error")
            return epochs.load_data() if hasattr(epochs, "load_data") else epochs
    except Exception as error:  # whatever a damaged file provokes
        raise CommandError(f"{path}: cannot be read as epochs: {_one_line(error)}") from error


def build_models(names, data, arguments):
    """Estimators with the rows of `data`, by name.

    Parameters
    ----------
    names : list of str
        Keys of `MODELS`.
    data : EncodingData
    arguments : argparse.Namespace
    """
    from . import encoding

    lags = {"sfreq": float(data.info["sfreq"])}
    if arguments.resample:
        lags["sfreq"] = arguments.resample
    longest = (len(data.times) - 1) / lags["sfreq"]
    lags["tmax"] = min(arguments.trf_lags, longest)
    deep = {"random_state": arguments.seed, "base_params": lags}
    if arguments.max_epochs is not None:
        deep["max_epochs"] = arguments.max_epochs
    classes = {
        "mean": ("SubjectMean", {}),
        "trf": ("TemporalReceptiveField", lags),
        "rtrf": ("RecurrentTRF", lags),
        "dre": ("DeepRecurrentEncoder", deep),
    }
    models = {}
    for name in names:
        cls, params = classes[name]
        models[name] = getattr(encoding, cls)(**params, **data.rows)
    return models


def _splitter(arguments, subjects):
    """Shuffled folds within subjects, or folds of whole subjects; checked before reading on."""
    import numpy as np
    from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold

    counts, folds = np.bincount(subjects), arguments.cv
    if folds < 2:
        raise CommandError(f"--cv must be at least 2, got {folds}")
    if arguments.cv_by == "subject":
        if len(counts) < folds:
            raise CommandError(
                f"--cv {folds} --cv-by subject needs {folds} subjects, there are {len(counts)}"
            )
        return GroupKFold(folds)
    if counts.min() < folds:
        raise CommandError(
            f"--cv {folds} needs at least {folds} trials of every subject, one has {counts.min()}"
        )
    kind = KFold if len(counts) == 1 else StratifiedKFold
    return kind(folds, shuffle=True, random_state=arguments.seed)


def _write(study, out, title, quiet=False):
    study.table_.to_csv(out / "table.csv", index=False)
    study.summary().to_csv(out / "summary.csv", index=False)
    study.comparisons_.to_csv(out / "comparisons.csv", index=False)
    study.report(out / "report.html", title=title)
    if not quiet:
        print(study.summary().round(4).to_string(index=False))
        print(f"Report: {out / 'report.html'}")


def _open_folder(path):
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"--out {path}: {error.strerror or error}") from error
    return folder


def _split(texts):
    parts = [part.strip() for text in texts for part in text.split(",")]
    return list(dict.fromkeys(part for part in parts if part))


def _short_names(paths):
    twice = {str(path) for path in paths if list(map(str, paths)).count(str(path)) > 1}
    if twice:
        raise CommandError(f"--epochs names a file twice: {', '.join(sorted(twice))}")
    names = [Path(path).name for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]


def _one_line(error):
    text = " ".join(str(error).split())
    return text or type(error).__name__


if __name__ == "__main__":
    sys.exit(main())
