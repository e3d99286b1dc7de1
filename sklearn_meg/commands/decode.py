"""``sklearn-meg decode``: movements from nerve or muscle recordings."""

import argparse
import sys
import warnings
from pathlib import Path

import numpy as np

from .arrays import ARRAY_SUFFIXES, read_named
from .common import (
    CommandError,
    add_out,
    check_models,
    existing,
    open_folder,
    pairs,
    positive,
    split,
)

EXAMPLE = """\
example:
  sklearn-meg decode --trials day-1.npz day-2.npz day-3.npz --sfreq 200 --window 0.25 \\
      --models decoder,lda --out decoded

Files hold X (trials, channels, samples) and y (one class a trial, or continuous targets), and
optionally sessions: .npz, .mat, .h5, or .edf/.bdf/.fif with annotations that name the movements.
Files are sessions; whole sessions are left out in turn where there are several. Writes report.html,
table.csv, gains.csv and model.safetensors (the first model, fitted on everything; see
sklearn_meg.load). Run the same command again after an interruption.
"""
MODELS = {
    "decoder": "recurrent decoder over windows",
    "lda": "linear discriminants over windows (ridge for continuous targets)",
    "kalman": "Kalman filter, for continuous targets",
}


def add_parsers(commands):
    """Add ``decode`` to the command line."""
    parser = commands.add_parser(
        "decode",
        help="movements from nerve or muscle signals",
        description="Cross-validate decoders of nerve or muscle recordings.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run_decode)
    add = parser.add_argument
    add("--trials", nargs="+", action="extend", required=True, metavar="FILE", help="recordings")
    add(
        "--keys", nargs="+", metavar="NAME=KEY",
        help="what X, y and sessions are called in the files: X=emg y=motion sessions=day",
    )  # fmt: skip
    add("--transpose", action="store_true", help="X is (trials, samples, channels)")
    add("--sfreq", type=positive, metavar="HZ", help="sampling rate (from the file, if it says)")
    add("--window", type=positive, default=0.1, metavar="SECONDS", help="default: %(default)s")
    add("--hop", type=positive, default=0.02, metavar="SECONDS", help="default: %(default)s")
    add("--duration", type=positive, default=1.0, metavar="SECONDS", help="of trials from .edf")
    add("--models", nargs="+", default=["decoder,lda"], metavar="NAME", help=", ".join(MODELS))
    add("--cv", type=int, metavar="N", help="number of folds (default: 5, or the sessions)")
    add("--cv-by", choices=("session", "block"), help="what is left out in turn")
    add("--max-epochs", type=int, metavar="N", help="passes over the data in training")
    add("--n-jobs", type=int, default=None, metavar="N", help="parallel jobs")
    add("--seed", type=int, default=0, metavar="N", help="default: %(default)s")
    add_out(parser, "sklearn-meg-decode")


def run_decode(arguments):
    """Do what ``sklearn-meg decode`` was asked for; return the exit status."""
    from .._saving.model_file import save
    from ..study import Study
    from .study import write

    names = split(arguments.models)
    X, y, sessions, sfreq = read_trials(arguments)
    _check_layout(X, sfreq, arguments)
    models = build_models(names, y, sfreq, arguments)
    out = open_folder(arguments.out)
    folds, groups = _folds(arguments, sessions)
    study = Study(
        models, cv=folds, cache_dir=out / "store", n_jobs=arguments.n_jobs,
        verbose=not arguments.quiet,
    )  # fmt: skip
    study.run(X, y, groups, sessions)
    study.unit_ = "session"
    title = arguments.title or f"Decoding study: {X.shape[1]} channels, {len(X)} trials"
    write(study, out, title, quiet=arguments.quiet)
    first = models[names[0]]
    if "cache_dir" in first.get_params():
        first.set_params(cache_dir=str(out / "store" / "checkpoints"))
    save(first.fit(X, y), out / "model.safetensors")
    return 0


def _check_layout(X, sfreq, arguments):
    """Doubt trials of more channels than samples; refuse them if no window fits."""
    _, n_channels, n_samples = X.shape
    if n_channels <= n_samples:
        return
    remedy = "leave out --transpose" if arguments.transpose else "add --transpose"
    text = (
        f"trials have {n_channels} channels and {n_samples} samples; {remedy} if it is the other "
        "way round"
    )
    if n_samples < arguments.window * sfreq:
        raise CommandError(f"{text}. A window of {arguments.window:g} s needs more samples")
    print(text, file=sys.stderr)


def read_trials(arguments):
    """X, y, the session of each trial, and the sampling rate of all files."""
    parts, rate = [], arguments.sfreq
    for path in arguments.trials:
        X, y, sessions, found = read_file(Path(path), arguments)
        rate = rate or found
        if X.ndim != 3 or len(X) != len(y):
            raise CommandError(
                f"{path}: X must have the shape (trials, channels, samples) and y as many trials, "
                f"got {X.shape} and {y.shape}"
            )
        if parts and X.shape[1:] != parts[0][0].shape[1:]:
            raise CommandError(
                f"{path} has {X.shape[1]} channels x {X.shape[2]} samples, "
                f"{arguments.trials[0]} {parts[0][0].shape[1]} x {parts[0][0].shape[2]}"
            )
        parts.append((X, y, sessions))
    X, y, sessions = (np.concatenate(values) for values in zip(*parts))
    if rate is None:
        raise CommandError("--sfreq is needed: the files do not say their sampling rate")
    return X.astype(np.float32), y, sessions, float(rate)


def read_file(path, arguments):
    """X, y, sessions and sampling rate (or None) of one file."""
    if existing(path).suffix.lower() in ARRAY_SUFFIXES:
        return _of_arrays(path, read_named(path), arguments)
    return _cut(path, arguments)


def _of_arrays(path, content, arguments):
    content = dict(content)
    for name, key in pairs(arguments.keys, "--keys").items():
        if key not in content:
            raise CommandError(f"{path} has no {key}; it has {', '.join(content)}")
        content[name] = content[key]
    missing = [name for name in ("X", "y") if name not in content]
    if missing:
        raise CommandError(
            f"{path} has no {' and no '.join(missing)}; it has "
            f"{', '.join(content) or 'nothing'}{_keys_hint(missing, content)}"
        )
    X, y = _signals(path, content["X"]), _text(content["y"])
    X = X.transpose(0, 2, 1) if arguments.transpose and X.ndim == 3 else X
    sessions = _text(content.get("sessions", np.full(len(y), path.stem)))
    if len(sessions) != len(y):
        raise CommandError(f"{path}: sessions must have one entry a trial, got {len(sessions)}")
    rate = content.get("sfreq")
    return X, y, sessions.astype(str), None if rate is None else float(np.ravel(rate)[0])


def _signals(path, X):
    """X as float32; trials without a value, or in text, are named."""
    try:
        X = np.asarray(X, dtype=np.float32)
    except (ValueError, TypeError) as error:
        raise CommandError(f"{path}: X must hold numbers: {error}") from error
    bad = np.flatnonzero(~np.isfinite(X.reshape(len(X), -1)).all(axis=1)) if X.ndim == 3 else []
    if len(bad):
        raise CommandError(
            f"{path}: {len(bad)} of {len(X)} trials have NaN or infinity in X: "
            f"{', '.join(map(str, bad[:5]))}{' ...' if len(bad) > 5 else ''} (counted from 0). "
            "Leave them out, or fill the gaps"
        )
    return X


def _keys_hint(missing, content):
    """An example of --keys with names that the file has."""
    others = [name for name in content if name not in ("X", "y", "sessions", "sfreq")]
    if len(others) < len(missing):
        return ""
    example = " ".join(f"{name}={other}" for name, other in zip(missing, others))
    return f". Say which is which, for example --keys {example}"


def _text(values):
    """Labels as text or numbers, one axis where the other has one entry."""
    values = np.asarray(values)
    values = values.ravel() if values.ndim == 2 and 1 in values.shape else values
    return values.astype(str) if values.dtype.kind in "SO" else values


def _cut(path, arguments):
    """Trials around the annotations of a continuous recording."""
    from ..study.sources import Cut, cut_raw, read_raw

    raw = read_raw(path)
    end = arguments.duration - 1.0 / raw.info["sfreq"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        epochs = cut_raw(raw, Cut(0.0, end), path).load_data()
    names = {code: name for name, code in epochs.event_id.items()}
    y = np.array([names[code] for code in epochs.events[:, 2]])
    X = epochs.get_data(picks="data" if "emg" not in epochs else "emg", copy=True)
    return X, y, np.full(len(y), path.stem), epochs.info["sfreq"]


def build_models(names, y, sfreq, arguments):
    """Decoders by name: of classes, or of continuous targets."""
    from ..nerve import (
        KalmanRegressor,
        NerveDecoder,
        NerveRegressor,
        WindowClassifier,
        WindowRegressor,
    )

    continuous = y.dtype.kind == "f" and (y.ndim > 1 or (y != np.round(y)).any())
    windows = {"sfreq": sfreq, "window": arguments.window, "hop": arguments.hop}
    deep = {**windows, "random_state": arguments.seed}
    if arguments.max_epochs is not None:
        deep["max_epochs"] = arguments.max_epochs
    made = {
        "decoder": lambda: (NerveRegressor if continuous else NerveDecoder)(**deep),
        "lda": lambda: (WindowRegressor if continuous else WindowClassifier)(**windows),
    }
    if continuous:
        made["kalman"] = lambda: KalmanRegressor(**windows)
    return {name: made[name]() for name in check_models(names, made)}


def _folds(arguments, sessions):
    """Number of folds, and whole sessions or None."""
    n = len(np.unique(sessions))
    by = arguments.cv_by or ("session" if n > 1 else "block")
    most = n if by == "session" else np.unique(sessions, return_counts=True)[1].min()
    folds = arguments.cv or min(5, int(most))
    if not 2 <= folds <= most:
        what = "sessions" if by == "session" else "trials of every session"
        raise CommandError(
            f"--cv {folds} --cv-by {by} needs {max(folds, 2)} {what}, there are {most}"
        )
    return folds, sessions if by == "session" else None
