"""Records of arrays in one line."""

from dataclasses import fields, is_dataclass

import numpy as np
from sklearn.utils import Bunch

LONGEST = 60


def short_repr(record):
    """Fields of a dataclass or Bunch; arrays by type and shape, long containers by length."""
    if is_dataclass(record):
        items = [(field.name, getattr(record, field.name)) for field in fields(record)]
    else:
        items = record.items()
    told = ", ".join(
        f"{name}: {_outline(value)}" if _has_outline(value) else f"{name}={value!r}"
        for name, value in items
    )
    return f"{type(record).__name__}({told})"


def _has_outline(value):
    if isinstance(value, list | tuple | dict):
        inside = value.values() if isinstance(value, dict) else value
        return len(value) > 8 or any(not _is_plain(v) for v in inside) or len(repr(value)) > LONGEST
    return not _is_plain(value) or len(repr(value)) > LONGEST


def _is_plain(value):
    return value is None or isinstance(value, str | bool | int | float | slice | np.generic)


def _outline(value):
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"{value.dtype} {tuple(value.shape)}"
    kind = type(value).__name__
    if isinstance(value, str):
        return f"{value[:LONGEST]!r}..."
    if hasattr(value, "shape"):
        return f"{kind} {tuple(value.shape)}"
    return f"{kind} of {len(value)}" if isinstance(value, list | tuple | dict) else kind


class ShortBunch(Bunch):
    """A Bunch that is printed in one line."""

    __repr__ = short_repr
