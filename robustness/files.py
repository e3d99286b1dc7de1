"""Files that were forged or damaged, given to all that reads files.

Each payload, if it is ever run, leaves a mark (``executed``). A file that is read without an error
or a warning although it is not what was written counts as ``silent``.
"""

import io
import json
import pickle
import tempfile
import warnings
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold

from benchmarks.report import check, row, values
from sklearn_meg import Study, TemporalReceptiveField, load, save
from sklearn_meg._optional import needs
from sklearn_meg._saving.model_file import _checksum

from .worlds import world

CASES = ("malicious_files",)
N_DAMAGED = 40  # truncated and flipped files a seed
N_MALICIOUS = 10


class Payload:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return (exec, (f"open({self.mark!r}, 'w').close()",))


class PayloadRidge(Ridge):
    """An estimator of nobody's, with a payload in it."""


# ---------------------------------------------------------------------- files in place of a model


def _pickled(mark):
    return pickle.dumps(Payload(mark))


def _pickled_old(mark):
    return pickle.dumps(Payload(mark), protocol=0)


def _object_array(mark):
    buffer = io.BytesIO()
    np.save(buffer, np.array([Payload(mark)], dtype=object), allow_pickle=True)
    return buffer.getvalue()


def _object_arrays(mark):
    buffer = io.BytesIO()
    np.savez(buffer, meta=np.array([Payload(mark)], dtype=object))
    return buffer.getvalue()


def _torch(mark):
    buffer = io.BytesIO()
    torch.save({"weights": Payload(mark)}, buffer)
    return buffer.getvalue()


def _zipped(mark):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("data.pkl", pickle.dumps(Payload(mark)))
        file.writestr("../../escaped.pkl", pickle.dumps(Payload(mark)))
    return buffer.getvalue()


def _skops_foreign(mark):
    with needs("The benchmark trust", "skops", "skops"):
        from skops.io import dumps
    return dumps(PayloadRidge())


def forged(value, arrays=(), format="model 1"):
    """A file of ours, with the right checksum, that holds what we would not write."""
    from safetensors.numpy import save as as_bytes

    text = json.dumps({"versions": {"sklearn_meg": "0"}, "value": value})
    named = {f"{i:06d}": np.asarray(a) for i, a in enumerate(arrays)}
    header = {
        "sklearn_meg": format,
        "content": text,
        "checksum": _checksum(text, named.items()),
    }
    return as_bytes(named, metadata=header)


def _code(mark):
    return f"open({str(mark)!r}, 'w').close()"


def _own(module, name, state=()):
    return lambda mark: forged({"own": [module, name, [*state]]})


def _sklearn(module, name, state=()):
    return lambda mark: forged({"sklearn": ["tree", module, name, [*state]]})


def _skops_inside(make):
    def forge(mark):
        data = np.frombuffer(make(mark), np.uint8)
        return forged({"sklearn": ["skops", 0]}, [data])

    return forge


def _object_dtype(mark):
    data = np.frombuffer(pickle.dumps(Payload(mark)), np.uint8)
    content = {"n": 0, "dtype": "|O", "shape": [1], "fortran": False, "scalar": False}
    return forged({"array": content}, [data])


def _other_shape(mark):
    content = {"n": 0, "dtype": "<f8", "shape": [10**12], "fortran": False, "scalar": False}
    return forged({"array": content}, [np.zeros(3)])


def _no_such_array(mark):
    content = {"n": 7, "dtype": "<f8", "shape": [3], "fortran": False, "scalar": False}
    return forged({"array": content}, [np.zeros(3)])


def _deep(mark):
    value = 0
    for _ in range(400):
        value = {"list": [value]}
    return forged(value)


def _raw_header(header, data=b""):
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def _huge_header(mark):
    return (2**40).to_bytes(8, "little") + b"{}"


def _overlapping(mark):
    tensor = {"dtype": "F64", "shape": [2], "data_offsets": [0, 16]}
    return _raw_header({"a": tensor, "b": tensor}, bytes(16))


def _out_of_range(mark):
    return _raw_header({"a": {"dtype": "F64", "shape": [9], "data_offsets": [0, 72]}}, bytes(16))


def _path_names(mark):
    return _raw_header(
        {"../../x": {"dtype": "F64", "shape": [2], "data_offsets": [0, 16]}}, bytes(16)
    )


def _wrong_checksum(mark):
    return forged({"own": ["encoding", "TemporalReceptiveField", []]}).replace(
        b"TemporalReceptiveField", b"TemporalReceptiveFielD"
    )


def _state(name, value):
    return [[name, value]]


MALICIOUS = {
    "pickle": _pickled,
    "pickle, protocol 0": _pickled_old,
    "numpy, object array": _object_array,
    "npz, object array": _object_arrays,
    "torch.save": _torch,
    "zip of pickles": _zipped,
    "skops, foreign type": _skops_foreign,
    "own class: os.system": _own("os", "system"),
    "own class: builtins.eval": _own("builtins", "eval"),
    "own class: no estimator": _own("datasets", "make_nerve"),
    "own class: private": _own("base", "TorchEstimator"),
    "own class: a path": _own("../../tmp", "x"),
    "attribute: __class__": _own(
        "encoding", "TemporalReceptiveField", _state("__class__", {"str": "x"})
    ),
    "attribute: __dict__": _own(
        "encoding", "TemporalReceptiveField", _state("__dict__", {"dict": []})
    ),
    "attribute: predict": _own("encoding", "TemporalReceptiveField", _state("predict", "exec")),
    "attribute: a sentence": _own("encoding", "SubjectMean", _state("a b; import os", 1)),
    "scikit-learn: os.system": _sklearn("os", "system"),
    "scikit-learn: subprocess": _sklearn("subprocess", "Popen"),
    "scikit-learn: a function": _sklearn("sklearn.base", "clone"),
    "scikit-learn: a module in it": _sklearn("sklearn.utils", "os"),
    "scikit-learn: sklearn_evil": _sklearn("sklearn_evil", "Ridge"),
    "skops inside: pickle": _skops_inside(_pickled),
    "skops inside: foreign type": _skops_inside(_skops_foreign),
    "mne: other class": lambda mark: forged({"mne": ["Popen", {"list": []}, {"dict": []}]}),
    "kind: eval": lambda mark: forged({"eval": _code(mark)}),
    "kind: two": lambda mark: forged({"list": [], "own": []}),
    "array of objects": _object_dtype,
    "array of another shape": _other_shape,
    "array that is not there": _no_such_array,
    "nested 400 deep": _deep,
    "header of a terabyte": _huge_header,
    "tensors that overlap": _overlapping,
    "tensors beyond the end": _out_of_range,
    "tensors named as paths": _path_names,
    "changed afterwards": _wrong_checksum,
    "format 99": lambda mark: forged({"list": []}, format="model 99"),
    "a checkpoint": lambda mark: forged({"list": []}, format="checkpoint 1"),
    "empty": lambda mark: b"",
    "text": lambda mark: _code(mark).encode(),
}


def case_rows(case, seed, quick=False):
    """Rows of the only case."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(folder)
        rows = []
        for name, make in MALICIOUS.items():
            rows += _rows(name, seed, *try_model(make, folder))
        for name in ("pickle", "npz, object array", "torch.save", "text"):
            rows += _rows(f"study: {name}", seed, *try_study(MALICIOUS[name], folder))
            rows += _rows(f"checkpoint: {name}", seed, *try_checkpoint(MALICIOUS[name], folder))
        n = 4 if quick else N_DAMAGED
        silent = sum(damaged_is_silent(folder, seed, k) for k in range(n))
        rows += _rows("damaged at random", seed, 0, silent, n)
    return rows


def _rows(name, seed, executed, silent, tried=1):
    found = {"tried": tried, "executed": executed, "silent": silent}
    return [row(CASES[0], name, metric, seed, value) for metric, value in found.items()]


def try_model(make, folder):
    """Whether a file in place of a model was run, and whether it was taken for one."""
    mark = folder / "mark"
    path = folder / "model.safetensors"
    path.write_bytes(make(mark))
    try:
        load(path)
        silent = True
    except ValueError as error:  # FileFormatError
        silent = path.name not in str(error)
    return _executed(mark), silent


def _executed(mark):
    executed = mark.exists()
    mark.unlink(missing_ok=True)
    return executed


def try_study(make, folder):
    """The same for a result in the store of a study."""
    store = Path(tempfile.mkdtemp(dir=folder))
    X, y = np.random.default_rng(0).normal(size=(2, 12, 2, 10))

    def run():
        study = Study({"trf": TemporalReceptiveField()}, cv=KFold(3), cache_dir=store)
        return study.run(X, y)

    run()
    file = sorted(store.glob("*.npz"))[0]
    file.write_bytes(make(folder / "mark"))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        again = run()
    silent = again.n_fits_ != 1 or file.name not in " ".join(str(w.message) for w in seen)
    return _executed(folder / "mark"), silent


def try_checkpoint(make, folder):
    """The same for a checkpoint."""
    here = Path(tempfile.mkdtemp(dir=folder))
    tiny = world("NerveDecoder")
    tiny.fitted(cache_dir=here)
    (file,) = here.glob("*.ckpt")
    file.write_bytes(make(folder / "mark"))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        tiny.fitted(cache_dir=here)
    silent = file.name not in " ".join(str(w.message) for w in seen)
    return _executed(folder / "mark"), silent


def damaged_is_silent(folder, seed, k):
    """Whether a model that was cut off, or has another bit, is read as if nothing had happened."""
    rng = np.random.default_rng([seed, k])
    tiny = world("NerveDecoder")
    path = folder / "damaged.safetensors"
    model = _fitted()
    save(model, path)
    data = bytearray(path.read_bytes())
    if k % 2:
        data = data[: rng.integers(len(data))]
    else:
        data[rng.integers(len(data))] ^= 1 << rng.integers(8)
    path.write_bytes(bytes(data))
    try:
        again = load(path)
    except ValueError:
        return False
    return not all(np.array_equal(a, b) for a, b in zip(tiny.results(model), tiny.results(again)))


@cache
def _fitted():
    return world("NerveDecoder").fitted()


def checks(rows):
    """Nothing was executed, nothing silent, and enough was tried."""
    names = {r["model"] for r in rows if r["case"] == CASES[0]}
    if not names:
        return []
    total = {
        metric: sum(values(rows, CASES[0], name, metric).sum() for name in names)
        for metric in ("executed", "silent")
    }
    return [
        check("malicious files: kinds", len(names), f">= {N_MALICIOUS}"),
        check("malicious files: executed", total["executed"], "<= 0"),
        check("malicious files: silent", total["silent"], "<= 0"),
    ]
