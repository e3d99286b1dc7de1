"""Models as plain values and arrays, and back: nothing that is loaded is ever run.

A tree is what JSON can hold; arrays are kept beside it. What is not a plain value is a dictionary
with one key, which says what it is. Classes are looked up in lists that stand here, never by what a
file says.
"""

import datetime
import importlib
import types
from collections import OrderedDict
from pathlib import Path

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator

from .._optional import needs

MNE_CLASSES = {
    "Covariance": "mne.cov",
    "DigPoint": "mne._fiff._digitization",
    "Forward": "mne.forward.forward",
    "Info": "mne._fiff.meas_info",
    "Projection": "mne._fiff.proj",
    "SourceSpaces": "mne.source_space._source_space",
    "Transform": "mne.transforms",
}
SKOPS_TYPES = (  # of scikit-learn's own, which skops asks about although they only hold numbers
    "sklearn._loss.link.IdentityLink",
    "sklearn._loss.link.Interval",
    "sklearn._loss.loss.HalfSquaredError",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
)
PACKAGE = __name__.split(".")[0]
SPECIAL = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}


class CannotStore(TypeError):
    """A value that is neither plain, nor an array, nor a known object."""


class CannotRead(ValueError):
    """A tree that was not made here."""


# ---------------------------------------------------------------------- to a tree


def take_apart(value, arrays, where="the model"):
    """A value as a tree; its arrays are appended to a list.

    Raises CannotStore: Naming the attribute or parameter.
    """
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return value if np.isfinite(value) else {"float": repr(value)}
    for kind, made in _KINDS.items():
        tree = made(value, arrays, where)
        if tree is not None:
            return {kind: tree}
    raise CannotStore(
        f"{where} cannot be saved: it is of type {type(value).__module__}."
        f"{type(value).__qualname__}. Only plain values, arrays, estimators of scikit-learn and "
        "sklearn_meg, and objects of mne can."
    )


def _array(value, arrays, where):
    if not isinstance(value, np.ndarray | np.generic) or value.dtype.kind == "O":
        return None
    kept = np.asarray(value)
    if kept.dtype.kind in "USMmV" or kept.dtype.fields:
        arrays.append(np.frombuffer(kept.tobytes(), np.uint8))
    elif kept.dtype.kind == "c":
        arrays.append(np.array(kept, order="C", ndmin=1).view(kept.real.dtype))
    else:
        # The layout stays as it is: the last digit of a product may depend on it.
        native = kept.astype(kept.dtype.newbyteorder("="), copy=False)
        arrays.append(np.array(native.T if _fortran(kept) else native, order="C"))
    return {
        "n": len(arrays) - 1,
        "dtype": np.lib.format.dtype_to_descr(kept.dtype),
        "shape": list(kept.shape),
        "fortran": _fortran(kept),
        "scalar": isinstance(value, np.generic),
    }


def _fortran(array):
    return array.flags.f_contiguous and not array.flags.c_contiguous


def _dict(value, arrays, where):
    if type(value) not in (dict, OrderedDict):
        return None
    return [
        [take_apart(k, arrays, where), take_apart(v, arrays, f"{where}[{k!r}]")]
        for k, v in value.items()
    ]


def _sequence(kind):
    def made(value, arrays, where):
        if type(value) is not kind:
            return None
        return [take_apart(v, arrays, f"{where}[{i}]") for i, v in enumerate(value)]

    return made


def _slice(value, arrays, where):
    if type(value) is not slice:
        return None
    return [take_apart(v, arrays, where) for v in (value.start, value.stop, value.step)]


def _tensor(value, arrays, where):
    if type(value).__module__ != "torch" or not hasattr(value, "detach"):
        return None
    return _array(value.detach().cpu().numpy(), arrays, where)


def _random_state(value, arrays, where):
    if type(value) is not np.random.RandomState:
        return None
    return take_apart(value.get_state(), arrays, where)


def _datetime(value, arrays, where):
    return value.isoformat() if type(value) is datetime.datetime else None


def _path(value, arrays, where):
    return str(value) if isinstance(value, Path) else None


def _sparse(value, arrays, where):
    if not sparse.issparse(value):
        return None
    value = value.tocsr()
    parts = (value.data, value.indices, value.indptr, value.shape)
    return [take_apart(part, arrays, where) for part in parts]


def _named(value, arrays, where):
    if type(value).__name__ not in ("NamedInt", "NamedFloat") or not _is_mne(value):
        return None
    plain = int(value) if isinstance(value, int) else float(value)
    return [value._name, plain]


def _mne(value, arrays, where):
    name = type(value).__name__
    if _is_mne(value) and name == "MNEBadsList":
        return ["list", take_apart(list(value), arrays, where), {}]
    if not _is_mne(value) or name not in MNE_CLASSES:
        return None
    plain = dict(value) if isinstance(value, dict) else list(value)
    hidden = {k: v for k, v in vars(value).items() if k != "_unlocked"}
    return [name, take_apart(plain, arrays, where), take_apart(hidden, arrays, where)]


def _is_mne(value):
    return type(value).__module__.split(".")[0] == "mne"


def _own(value, arrays, where):
    cls, parts = type(value), type(value).__module__.split(".")
    if not isinstance(value, BaseEstimator) or parts[0] != PACKAGE:
        return None
    if _own_class(parts[1], cls.__name__) is not cls:
        return None
    return [parts[1], cls.__name__, _state(value, arrays, where)]


def _own_class(module, name):
    """A public estimator of a module of this package; None if there is none."""
    if module not in importlib.import_module(PACKAGE).__all__:
        return None
    public = getattr(importlib.import_module(PACKAGE), module)
    if not isinstance(public, types.ModuleType):
        return None
    cls = getattr(public, name, None) if name in public.__all__ else None
    whole = isinstance(cls, type) and issubclass(cls, BaseEstimator) and hasattr(cls, "fit")
    return cls if whole else None  # the abstract TorchEstimator has no fit


def _state(value, arrays, where):
    parts = value.__getstate__().items()
    return [[k, take_apart(v, arrays, f"{type(value).__name__}.{k}")] for k, v in parts]


def _sklearn(value, arrays, where):
    cls = type(value)
    if not isinstance(value, BaseEstimator) or cls.__module__.split(".")[0] != "sklearn":
        return None
    before = len(arrays)
    try:
        return ["tree", cls.__module__, cls.__qualname__, _state(value, arrays, where)]
    except CannotStore:
        del arrays[before:]
    skops = _skops(where)
    try:
        data = skops.dumps(value)
    except Exception as error:  # skops names no types
        raise CannotStore(f"{where} cannot be saved: {error}") from error
    if strange := sorted(set(skops.get_untrusted_types(data=data)) - set(SKOPS_TYPES)):
        hint = " Save its best_estimator_." if hasattr(value, "best_estimator_") else ""
        raise CannotStore(f"{where} cannot be saved: it holds {', '.join(strange)}.{hint}")
    arrays.append(np.frombuffer(data, np.uint8))
    return ["skops", len(arrays) - 1]


def _skops(where):
    with needs(f"{where}, an estimator of scikit-learn,", "skops", "skops"):
        import skops.io
    return skops.io


# ---------------------------------------------------------------------- from a tree


def put_together(tree, arrays):
    """The value of a tree.

    tree (object): From JSON.
    arrays (sequence of ndarray)
    Raises CannotRead if it was not made by :func:`take_apart`.
    """
    if tree is None or isinstance(tree, bool | int | float | str):
        return tree
    if not isinstance(tree, dict) or len(tree) != 1:
        raise CannotRead("it holds a value of no known kind.")
    ((kind, content),) = tree.items()
    if kind not in _READERS:
        raise CannotRead(f"it holds a value of the unknown kind {kind!r}.")
    return _READERS[kind](content, arrays)


def _read_array(content, arrays):
    kept, shape = arrays[content["n"]], tuple(content["shape"])
    dtype = np.lib.format.descr_to_dtype(content["dtype"])
    if dtype.hasobject:
        raise CannotRead("it holds an array of objects.")
    if dtype.kind in "USMmV" or dtype.fields:
        value = np.frombuffer(kept.tobytes(), dtype).reshape(shape).copy()
    elif dtype.kind == "c":
        value = kept.view(dtype).reshape(shape)
    else:
        value = (kept.T if content["fortran"] else kept).astype(dtype, copy=False)
    if value.shape != shape:
        raise CannotRead("array shape does not match the header.")
    return value[()] if content["scalar"] else value


def _read_tensor(content, arrays):
    import torch

    return torch.from_numpy(_read_array(content, arrays).copy())


def _read_random_state(content, arrays):
    rng = np.random.RandomState()
    rng.set_state(put_together(content, arrays))
    return rng


def _read_sparse(content, arrays):
    data, indices, indptr, shape = (put_together(part, arrays) for part in content)
    return sparse.csr_array((data, indices, indptr), shape=shape)


def _read_named(content, arrays):
    from mne.utils._bunch import NamedFloat, NamedInt

    name, value = content
    return (NamedInt if isinstance(value, int) else NamedFloat)(str(name), value)


def _read_mne(content, arrays):
    name, plain, hidden = content
    plain = put_together(plain, arrays)
    if name == "list":
        return list(plain)
    if name not in MNE_CLASSES:
        raise CannotRead(f"it names the class {name!r} of mne, which is none that may be loaded.")
    cls = getattr(importlib.import_module(MNE_CLASSES[name]), name)
    value = cls.__new__(cls)
    if isinstance(value, dict):
        dict.update(value, plain)
    else:
        list.extend(value, plain)
    for key, part in put_together(hidden, arrays).items():
        value.__dict__[key] = part
    if name == "Info":
        value.__dict__["_unlocked"] = False
    return value


def _read_own(content, arrays):
    module, name, state = content
    cls = _own_class(module, name)
    if cls is None:
        raise CannotRead(f"it names {module}.{name}, which is not an estimator of sklearn_meg.")
    return _with_state(cls, state, arrays)


def _with_state(cls, state, arrays):
    state = {key: put_together(part, arrays) for key, part in state}
    if not all(isinstance(key, str) and key.isidentifier() for key in state):
        raise CannotRead("it holds attributes without a proper name.")
    if any((hasattr(cls, k) and callable(getattr(cls, k))) or k.startswith("__") for k in state):
        raise CannotRead("it replaces methods.")
    model = cls.__new__(cls)
    model.__setstate__(state)
    return model


def _read_sklearn(content, arrays):
    if content[0] == "skops":
        skops, data = _skops("the file"), arrays[content[1]].tobytes()
        found = skops.get_untrusted_types(data=data)
        if strange := sorted(set(found) - set(SKOPS_TYPES)):
            raise CannotRead(f"it holds objects of the types {', '.join(strange)}.")
        return skops.loads(data, trusted=found)
    _, module, name, state = content
    if not isinstance(module, str) or module.split(".")[0] != "sklearn":
        raise CannotRead(f"it names the module {module!r}, which is not of scikit-learn.")
    try:
        cls = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, TypeError) as error:
        raise CannotRead(f"scikit-learn has no {module}.{name} here.") from error
    if not isinstance(cls, type) or not issubclass(cls, BaseEstimator):
        raise CannotRead(f"{module}.{name} is not an estimator.")
    return _with_state(cls, state, arrays)


def _read_path(content):
    if not isinstance(content, str):
        raise CannotRead("a path is no text.")
    return Path(content)


_KINDS = {
    "array": _array,
    "dict": _dict,
    "list": _sequence(list),
    "tuple": _sequence(tuple),
    "slice": _slice,
    "own": _own,
    "sklearn": _sklearn,
    "tensor": _tensor,
    "random_state": _random_state,
    "datetime": _datetime,
    "path": _path,
    "sparse": _sparse,
    "named": _named,
    "mne": _mne,
}
_READERS = {
    "float": lambda content, arrays: SPECIAL[content],
    "array": _read_array,
    "dict": lambda content, arrays: {
        put_together(k, arrays): put_together(v, arrays) for k, v in content
    },
    "list": lambda content, arrays: [put_together(v, arrays) for v in content],
    "tuple": lambda content, arrays: tuple(put_together(v, arrays) for v in content),
    "slice": lambda content, arrays: slice(*(put_together(v, arrays) for v in content)),
    "own": _read_own,
    "sklearn": _read_sklearn,
    "tensor": _read_tensor,
    "random_state": _read_random_state,
    "datetime": lambda content, arrays: datetime.datetime.fromisoformat(content),
    "path": lambda content, arrays: _read_path(content),
    "sparse": _read_sparse,
    "named": _read_named,
    "mne": _read_mne,
}
