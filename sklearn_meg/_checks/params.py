"""Checks of constructor parameters."""

from __future__ import annotations

import numbers
import os
import re
from contextlib import contextmanager

import numpy as np
from sklearn import utils


@contextmanager
def naming(name):
    """Name the parameter or array in every error raised inside."""
    try:
        yield
    except (TypeError, ValueError) as error:
        text = str(error)
        if re.search(rf"\b{re.escape(name)}\b", text):
            raise
        if text.endswith("not 'generator'"):
            text = f"a generator can be read only once. Give list({name})."
        raise type(error)(f"{name} cannot be used: {text}") from error


def check_random_state(seed):
    """:func:`sklearn.utils.check_random_state` of a parameter ``random_state``."""
    with naming("random_state"):
        return utils.check_random_state(seed)


def check_path_param(estimator, name):
    """Check that a constructor parameter is a path or None, and return it."""
    value = getattr(estimator, name)
    if value is not None and not isinstance(value, str | os.PathLike):
        raise TypeError(
            f"The {name!r} parameter of {type(estimator).__name__} must be the path of a folder "
            f"or None. Got {value!r} instead."
        )
    return value


def check_scalar_param(
    estimator, name, kind, low=None, high=None, *, closed="both", allow_none=False
):
    """Check one constructor parameter and return its value.

    estimator (BaseEstimator), kind ({"int", "float"})
    low, high (number or None): Bounds.
    closed ({"both", "left", "right", "neither"}): Bounds that belong to the range.
    allow_none: Whether None is a value.
    Raises TypeError, ValueError: "The 'lr' parameter of X must be a float in the range (0.0, inf).
        Got -1 instead."
    """
    value = getattr(estimator, name)
    if value is None and allow_none:
        return None
    number = numbers.Integral if kind == "int" else numbers.Real
    good_kind = isinstance(value, number) and not isinstance(value, bool | np.bool_)
    if good_kind and _in_range(value, low, high, closed):
        return value
    left = "[" if closed in ("both", "left") and low is not None else "("
    right = "]" if closed in ("both", "right") and high is not None else ")"
    bounds = f"{left}{'-inf' if low is None else low}, {'inf' if high is None else high}{right}"
    raise (ValueError if good_kind else TypeError)(
        f"The {name!r} parameter of {type(estimator).__name__} must be "
        f"{'an int' if kind == 'int' else 'a float'} in the range {bounds}"
        f"{' or None' if allow_none else ''}. Got {value!r} instead."
    )


def _in_range(value, low, high, closed):
    if value != value or value in (float("inf"), -float("inf")):
        return False
    above = low is None or value > low or (value == low and closed in ("both", "left"))
    below = high is None or value < high or (value == high and closed in ("both", "right"))
    return above and below


def check_bool_param(estimator, name):
    """Check that a constructor parameter is a bool, and return it (the text "no" is truthy)."""
    value = getattr(estimator, name)
    if not isinstance(value, bool | np.bool_):
        raise TypeError(
            f"The {name!r} parameter of {type(estimator).__name__} must be a bool. "
            f"Got {value!r} instead."
        )
    return value


def check_verbose_param(estimator):
    """Check the parameter ``verbose``, an int or a bool."""
    if not isinstance(estimator.verbose, bool | np.bool_):
        check_scalar_param(estimator, "verbose", "int", 0)


def check_option_param(estimator, name, options):
    """Check that a constructor parameter is one of some options, and return it."""
    value = getattr(estimator, name)
    if not any(value is option or (value == option and option is not None) for option in options):
        raise ValueError(
            f"The {name!r} parameter of {type(estimator).__name__} must be one of "
            f"{', '.join(map(repr, options))}. Got {value!r} instead."
        )
    return value
