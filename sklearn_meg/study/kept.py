"""A finished study as one file without objects, to be merged with those of other machines."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import joblib
import numpy as np
import pandas as pd

from .._saving import store
from .._saving.store import write_whole
from .compact import Kept
from .floors import with_floors
from .knowledge import Parts

FORMAT = 1
PLAIN = ("start_", "grouped_", "unit_", "metrics_", "shapes_", "versions_", "n_purged_")
PLAIN += ("n_overlapping_", "notes_", "drifting_")
ARRAYS = ("subjects_", "trial_keys_", "times_")


def write_study(study, path, command):
    """Write the results of a study of encoders; the file is whole or absent.

    study (Study): After its run.
    command (dict): JSON values from which the models can be made again; kept as they are.
    """
    arrays = {name: getattr(study, name) for name in ARRAYS}
    for fold, (train, test) in enumerate(study.splits_):
        arrays |= {f"train/{fold}": train, f"test/{fold}": test}
    metas = []
    for number, ((model, fold), (found, meta)) in enumerate(study.results_.jobs.items()):
        arrays |= {f"job/{number}/{name}": value for name, value in found.items()}
        metas.append([model, fold, meta])
    for kind in ("maps_", "null_z_"):
        arrays |= {f"{kind}/{name}": values for name, values in getattr(study, kind).items()}
    facts = {name: getattr(study, name, None) for name in PLAIN}
    facts |= {"format": FORMAT, "command": command, "jobs": metas, "models": _described(study)}
    facts["parts"] = None if study.parts_ is None else vars(study.parts_)
    failed = getattr(study, "failed_", None)
    facts["failed"] = [] if failed is None else failed.to_numpy().tolist()
    facts["counts"] = _table(getattr(study, "counts_", None))
    if study.info_ is not None:
        arrays["info"] = _info_bytes(study.info_)
    text = json.dumps(facts, default=_plain)
    write_whole(path, lambda file: np.savez(file, facts=np.array(text), **arrays))


def read_facts(path):
    """What a file of `write_study` says about its study, and its arrays.

    Raises ValueError if it is damaged, or another file.
    """
    arrays = store.read_arrays(path)
    try:
        facts = json.loads(str(arrays.pop("facts")))
        if facts["format"] != FORMAT:
            raise ValueError("another version wrote it")
        return facts, arrays
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no study of sklearn-meg study, or damaged: {error}.") from None


def restore(study, facts, arrays):
    """Give a study, made with the models of its command, the results of `read_facts`.

    Returns study (Study)
    Raises ValueError if the models are not those of the file.
    """
    study.parts_, study.y_, study.n_fits_ = _parts(facts["parts"]), None, 0
    study.info_ = _info_of(arrays["info"]) if "info" in arrays else None
    nothing = np.empty((0, 1, 1))
    study.all_models_ = with_floors(
        study.floors, study.models, nothing, nothing, study.parts_, study.info_
    )
    if _described(study) != facts["models"]:
        raise ValueError(
            "The models of the file cannot be made again: another version of this package wrote it."
        )
    vars(study).update({name: facts[name] for name in PLAIN})
    study.shapes_ = {k: tuple(v) if isinstance(v, list) else v for k, v in facts["shapes_"].items()}
    vars(study).update({name: arrays[name] for name in ARRAYS})
    n_folds = sum(name.startswith("test/") for name in arrays)
    study.splits_ = [(arrays[f"train/{k}"], arrays[f"test/{k}"]) for k in range(n_folds)]
    study.failed_ = pd.DataFrame(facts["failed"], columns=["subject", "error"])
    study.counts_ = None if facts["counts"] is None else pd.DataFrame(**facts["counts"])
    jobs = {
        (model, fold): (_under(arrays, f"job/{number}/"), meta)
        for number, (model, fold, meta) in enumerate(facts["jobs"])
    }
    study._collect(Kept(jobs, _under(arrays, "maps_/"), _under(arrays, "null_z_/")))
    return study


def _described(study):
    """Hash of class and parameters of each model, without where results are kept."""
    return {name: joblib.hash(store.describe(model)) for name, model in study.all_models_.items()}


def _under(arrays, prefix):
    return {n[len(prefix) :]: value for n, value in arrays.items() if n.startswith(prefix)}


def _parts(values):
    if values is None:
        return None
    return Parts(values["features"], tuple(values["initial"]), tuple(values["subject"]))


def _table(table):
    if table is None:
        return None
    return {"data": table.astype(object).to_numpy().tolist(), "columns": list(table.columns)}


def _plain(value):
    """JSON value of a NumPy one."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be written.")


def _info_bytes(info):
    import mne

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "all-info.fif"
        mne.io.write_info(path, info, verbose="error")
        return np.frombuffer(path.read_bytes(), dtype=np.uint8)


def _info_of(content):
    import mne

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "all-info.fif"
        path.write_bytes(content.tobytes())
        return mne.io.read_info(path, verbose="error")
