"""What ``sklearn-meg study`` was asked for, kept with its results."""

from types import SimpleNamespace


def command_of(study, names, data, arguments):
    """What a study was asked for, as JSON values: `study_of` makes the study of it again."""
    rows = {k: [v.start, v.stop] if isinstance(v, slice) else v for k, v in data.rows.items()}
    asked = {name: getattr(arguments, name) for name in ("trf_lags", "seed", "max_epochs")}
    return {
        "names": names, "rows": rows, "features": data.features, "n_times": len(data.times),
        "sfreq": float(data.info["sfreq"]), "asked": asked, "cv": study.cv,
        "scoring": study.scoring, "n_permutations": study.n_permutations,
    }  # fmt: skip


def study_of(command, build_models):
    """The study that a command asked for, without data; `build_models` is that of the command."""
    from ..study import Study

    rows = {k: slice(*v) if isinstance(v, list) else v for k, v in command["rows"].items()}
    data = SimpleNamespace(
        rows=rows, features=command["features"], info={"sfreq": command["sfreq"]},
        times=range(command["n_times"]),
    )  # fmt: skip
    models = build_models(command["names"], data, SimpleNamespace(**command["asked"]))
    return Study(
        models, random_state=command["asked"]["seed"],
        **{name: command[name] for name in ("cv", "scoring", "n_permutations")},
    )  # fmt: skip
