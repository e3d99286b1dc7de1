"""One file for a model: safetensors with JSON in its header. No pickle, no code."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import BaseEstimator

from .._checks.assumptions import warn_assumption
from .store import versions, write_whole
from .tree import CannotRead, put_together, take_apart

if TYPE_CHECKING:
    from .._typing import PathLike

__all__ = ["FileFormatError", "load", "save"]

FORMAT = 1
DEEPEST = 200  # nested values in a header; ours have about ten


class FileFormatError(ValueError):
    """A file that sklearn_meg did not write, or that was damaged since.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklearn_meg import FileFormatError, load
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "model"
    >>> path.write_bytes(b"something else")
    14
    >>> try:
    ...     load(path)
    ... except FileFormatError:
    ...     print("not one of ours")
    not one of ours
    """


def save(estimator: BaseEstimator, path: PathLike) -> None:
    """Write a model, fitted or not, to one file.

    The file is in the safetensors format: arrays, and JSON that says what they belong to. It is
    written whole or not at all.

    Parameters
    ----------
    estimator : estimator
        Estimator of this package or of scikit-learn (a Pipeline, say, with estimators of both).
    path : path-like

    Raises
    ------
    TypeError
        If it is not an estimator, or holds something that is neither a plain value, an array, an
        estimator of scikit-learn or of this package, nor an object of mne (callbacks, functions);
        the message names the attribute.
    OSError
        If the file cannot be written; an existing file is kept.

    See Also
    --------
    load : Read it again.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from sklearn_meg import TemporalReceptiveField, load, save
    >>> rng = np.random.default_rng(0)
    >>> X, y = rng.normal(size=(20, 2, 30)), rng.normal(size=(20, 3, 30))
    >>> model = TemporalReceptiveField(tmax=4.0).fit(X, y)
    >>> path = tempfile.mkdtemp() + "/trf.safetensors"
    >>> save(model, path)
    >>> bool(np.all(load(path).predict(X) == model.predict(X)))
    True
    """
    if not isinstance(estimator, BaseEstimator) or isinstance(estimator, type):
        raise TypeError(f"estimator must be an estimator of scikit-learn. Got {estimator!r}.")
    path = _as_path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {path.parent} for {path.name}: make it first.")
    data = pack(estimator, "model", type(estimator).__name__)
    write_whole(path, lambda file: file.write(data))


def load(path: PathLike) -> BaseEstimator:
    """Read a model that :func:`save` wrote. Nothing in the file is run.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    estimator : estimator
        With the predictions that it had, to the last bit. What was fitted on a GPU that is not
        here computes on the CPU.

    Raises
    ------
    FileFormatError
        If the file is damaged, of another format, or names what may not be loaded.
    FileNotFoundError
        If there is none.

    Warns
    -----
    UserWarning
        If another version of this package wrote it.

    See Also
    --------
    save : Write one; the example there reads it, too.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn_meg import HiddenMarkovGraph, load, save
    >>> path = tempfile.mkdtemp() + "/plan.safetensors"
    >>> save(HiddenMarkovGraph(n_states=3), path)
    >>> load(path)
    HiddenMarkovGraph(n_states=3)
    """
    return unpack(_as_path(path), "model")


def pack(value, kind, name=""):
    """A value as the bytes of a file.

    value (object): See :mod:`sklearn_meg._saving.tree`.
    kind: Kind of file: "model" or "checkpoint".
    name: Name of the value in errors.
    """
    from safetensors.numpy import save as as_bytes

    arrays = []
    tree = take_apart(value, arrays, name)
    text = json.dumps({"versions": versions(), "value": tree})
    arrays = arrays or [np.zeros(1, np.uint8)]  # old versions read no file without tensors
    named = {f"{i:06d}": array for i, array in enumerate(arrays)}
    checksum = _checksum(text, named.items())
    header = {"sklearn_meg": f"{kind} {FORMAT}", "content": text, "checksum": checksum}
    return as_bytes(named, metadata=header)


def unpack(path, kind):
    """The value in a file that was packed.

    Raises FileFormatError, FileNotFoundError
    """
    if not path.exists():
        raise FileNotFoundError(f"There is no file {path}.")
    text, arrays = _read(path, kind)
    try:
        content = json.loads(text)
        _check_depth(content["value"])
        _warn_versions(path, content["versions"])
        return put_together(content["value"], arrays)
    except CannotRead as error:
        raise FileFormatError(f"{path} cannot be loaded: {error}") from error
    except (ImportError, UserWarning):
        raise
    except Exception as error:  # whatever a forged content leads to
        raise FileFormatError(
            f"{path} cannot be loaded: its content is wrong ({type(error).__name__}: {error})."
        ) from error


def _as_path(path):
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path must be the path of a file. Got {path!r}.")
    return Path(path)


def _read(path, kind):
    """Content and arrays of a file whose checksum is right."""
    import safetensors

    try:
        with safetensors.safe_open(path, framework="np") as file:
            header = file.metadata() or {}
            _check_header(path, header, kind)
            named = [(name, file.get_tensor(name)) for name in sorted(file.keys())]
    except FileFormatError:
        raise
    except Exception as error:  # safetensors' own, of several types
        raise FileFormatError(
            f"{path} is not a safetensors file, or was truncated or changed ({error})."
        ) from error
    if _checksum(header["content"], named) != header["checksum"]:
        raise FileFormatError(f"{path} was changed since it was written: its checksum is wrong.")
    return header["content"], [array for _, array in named]


def _check_header(path, header, kind):
    if not {"sklearn_meg", "content", "checksum"} <= set(header):
        raise FileFormatError(f"{path} holds tensors, but nothing that sklearn_meg wrote.")
    if header["sklearn_meg"] != f"{kind} {FORMAT}":
        raise FileFormatError(
            f"{path} has the format {header['sklearn_meg']!r}. This version of sklearn_meg reads "
            f"'{kind} {FORMAT}' here."
        )


def _checksum(text, named):
    digest = hashlib.blake2b(text.encode(), digest_size=32)
    for name, array in named:
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()


def _check_depth(tree):
    """Refuse what would be too deep to be put together."""
    level = [tree]
    for _ in range(DEEPEST):
        inner = [v for v in level if isinstance(v, dict | list)]
        level = [part for v in inner for part in (v.values() if isinstance(v, dict) else v)]
        if not level:
            return
    raise CannotRead("its content is nested too deeply.")


def _warn_versions(path, written):
    here = versions()
    if written.get("sklearn_meg") != here["sklearn_meg"]:
        warn_assumption(
            "other-version",
            f"{path} was written by sklearn_meg {written.get('sklearn_meg')}; this is "
            f"{here['sklearn_meg']}.",
        )
