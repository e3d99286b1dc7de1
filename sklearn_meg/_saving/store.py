"""Results of a study on disk: content keys, and files that are whole or absent."""

import contextlib
import hashlib
import inspect
import io
import json
import os
import tempfile
import threading
import types
import uuid
import warnings
import zipfile
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import joblib
import numpy as np
from sklearn.base import BaseEstimator, clone

from .._checks.claims import check_claims
from .._checks.trials import pieces
from .._version import __version__

FORMAT = 1
PACKAGE = __name__.split(".")[0]
# Their classes are known by their version. The source of all others is part of the key, so that
# an edited model is never served the results of its former self.
_VERSIONED = ("builtins", "numpy", "scipy", "sklearn", "torch", "skorch", "mne")
# Where and how loudly a model is fitted does not change what comes out of it.
_NEUTRAL = ("cache_dir", "verbose", "n_jobs")

# Two threads that parse source at once raise SystemError in Python 3.11 (CPython gh-106905).
_ONE_PARSER = threading.Lock()


@cache
def versions():
    """Return the versions of this package and of the packages that results depend on."""
    found = {"sklearn_meg": __version__}
    for name in ("numpy", "scipy", "scikit-learn", "torch", "skorch", "mne"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def fingerprint(X):
    """Hash shape, type and values piece by piece (a memory-mapped array stays mapped)."""
    digest = hashlib.blake2b(f"{X.shape} {X.dtype.str}".encode(), digest_size=16)
    for part in pieces(X):
        digest.update(np.ascontiguousarray(X[part]))
    return digest.hexdigest()


def content_key(*parts):
    """Hash everything that a result depends on.

    *parts (object): Estimators count by their class, its source and their parameters; functions by
        their code; anything else by its pickle. The source of this whole package is always part.
    Raises ValueError if a part cannot be pickled.
    """
    try:
        return joblib.hash([package_source(), *map(describe, parts)])
    except Exception as error:
        raise ValueError(
            "Results can be stored only for models and scorers whose parameters can be pickled. "
            f"Got: {error}"
        ) from error


def describe(value):
    """Reduce a parameter to plain values that change when its behavior may change."""
    if isinstance(value, BaseEstimator) and not isinstance(value, type):
        params = clone(value).get_params(deep=False)
        params = {name: param for name, param in params.items() if name not in _NEUTRAL}
        return (*_describe_class(type(value)), describe(params))
    if isinstance(value, type):
        return _describe_class(value)
    if isinstance(value, types.FunctionType):
        return _describe_function(value)
    if hasattr(value, "_score_func"):  # what make_scorer returns
        return (type(value).__qualname__, describe(vars(value)))
    if isinstance(value, dict):
        return ("dict", [(repr(k), describe(v)) for k, v in sorted(value.items(), key=repr_key)])
    if isinstance(value, list | tuple):
        return (type(value).__name__, [describe(v) for v in value])
    return value


def repr_key(item):
    """Sort dictionary items whose keys have any type."""
    return repr(item[0])


def _describe_class(cls):
    bases = [c for c in cls.__mro__ if c.__module__.split(".")[0] not in _VERSIONED]
    return (cls.__module__, cls.__qualname__, [_source(c) for c in bases])


def _describe_function(function):
    if function.__module__ and function.__module__.split(".")[0] in _VERSIONED:
        return ("function", function.__module__, function.__qualname__)
    code, cells = function.__code__, function.__closure__ or ()
    constants = [c for c in code.co_consts if not isinstance(c, types.CodeType)]
    inside = [c.co_code for c in code.co_consts if isinstance(c, types.CodeType)]
    held = [describe(cell.cell_contents) for cell in cells]
    defaults = describe([function.__defaults__, function.__kwdefaults__])
    own = (code.co_code, code.co_names, repr(constants), inside)
    return ("function", function.__qualname__, *own, held, defaults)


def _source(cls):
    """Source of a foreign class; that of this package is part of every key."""
    if cls.__module__.split(".")[0] == PACKAGE:
        return ""
    try:
        with _ONE_PARSER:
            return inspect.getsource(cls)
    except (OSError, TypeError):  # typed in at a prompt
        return ""


@cache
def package_source():
    """Hash of all Python source of this package.

    Results depend on more than the class that was fitted: callbacks, scores, checks. Hashing
    everything once costs milliseconds and never serves the result of an older version.
    """
    root = Path(__file__).parents[1]
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def save_result(folder, key, arrays, meta):
    """Write one result atomically: the file is either whole or absent.

    folder (Path)
    key: Names the file.
    arrays (dict of ndarray): No object arrays.
    meta (dict): JSON values.
    """
    text = json.dumps({"format": FORMAT, "key": key, **meta}, allow_nan=True)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, meta=np.array(text), **arrays)
    write_whole(_path(folder, key), lambda file: file.write(buffer.getbuffer()))


def load_result(folder, key):
    """Read a result back.

    Returns result (tuple of (dict of ndarray, dict) or None): None if there is no such file, or
        (with a warning) if it is damaged or not ours.
    """
    path = _path(folder, key)
    if not path.exists():
        return None
    try:
        arrays = read_arrays(path)
        meta = json.loads(str(arrays.pop("meta")))
        if meta.pop("format") != FORMAT or meta.pop("key") != key:
            raise ValueError("it belongs to something else")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return _damaged(path, error)
    return arrays, meta


def _damaged(path, error):
    warnings.warn(
        f"The stored result {path.name} in {path.parent} cannot be used and is computed again: "
        f"{error}",
        UserWarning,
    )


def _path(folder, key):
    return Path(folder) / f"{key}.npz"


def claim(folder, key):
    """Say that a result is being computed here.

    Several processes may work on one store, also on a network file system. Nothing depends on
    claims: they only tell the others what to do last, so one that a killed process left behind
    stops nobody.

    Returns mine: False if another process said so before.
    """
    try:
        os.close(os.open(_claim_path(folder, key), os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    except OSError:  # the folder is full or gone: the result will say so
        return True
    return True


def release(folder, key):
    """Take back what `claim` said, whoever said it: the result is there, or failed."""
    with contextlib.suppress(OSError):
        _claim_path(folder, key).unlink(missing_ok=True)


def _claim_path(folder, key):
    return Path(folder) / f".{key}.claim"


def open_store(store, name="store"):
    """Make sure that the folder exists and can be written to, before anything is computed.

    Raises ValueError if it is a file, or cannot be made or written to.
    """
    if not isinstance(store, str | os.PathLike):
        raise ValueError(f"{name} must be the path of a folder. Got {store!r}.")
    folder = Path(store).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(
            f"{name} must be a folder that can be written to. Got {store}: {error}"
        ) from error
    return folder


def write_whole(path, write):
    """Replace a file atomically: afterwards it is either the new one or the old one.

    write (callable): Gets a file that is open for writing bytes.
    Raises OSError if the disk is full or the folder cannot be written to; nothing has changed
        then.
    """
    path = Path(path)
    unfinished = path.with_name(f".{path.name}-{uuid.uuid4().hex}.tmp")
    try:
        with open(unfinished, "xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder):
    """Flush the folder entry to disk, where the system can."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)


def read_arrays(path):
    """Read the arrays of an npz file.

    Returns arrays (dict of ndarray)
    Raises ValueError if the file is damaged, something else, or holds objects, which could run
        code.
    """
    check_claims(path)
    try:
        with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (ValueError, KeyError, EOFError, AttributeError, TypeError) as error:
        # NumPy advises to allow pickles, which run code: no advice for a file that is only damaged.
        reason = "it holds objects, or no arrays" if "allow_pickle" in str(error) else error
    except (zipfile.BadZipFile, zipfile.zlib.error) as error:
        reason = error
    raise ValueError(f"{path} is damaged, or no file of arrays: {reason}.")
