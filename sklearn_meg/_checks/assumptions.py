"""The one way to warn that data break an assumption."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import sklearn

from ..exceptions import AssumptionWarning

# Calls go through both: scikit-learn wraps transform, pipelines and searches call fit.
INSIDE = (str(Path(__file__).parents[1]), str(Path(sklearn.__file__).parent))


def warn_assumption(
    code: str,
    message: str,
    *,
    remedy: str | None = None,
    category: type[AssumptionWarning] = AssumptionWarning,
) -> None:
    """Warn that an assumption is broken, where the user's code called the package.

    code: A code of `sklearn_meg.exceptions.ASSUMPTIONS`.
    message: The finding, with its numbers; the remedy of the code is added.
    remedy (str or None): Advice for this case; None is the remedy of the code.
    category (type): A subclass, for who wants to filter one kind.
    """
    warnings.warn(category(message, code, remedy), stacklevel=_callers_level())


def _callers_level():
    """Level of the first caller outside the package, as `warn_assumption` has to give it."""
    frame, level = sys._getframe(2), 2  # who called warn_assumption
    while frame.f_back is not None and frame.f_code.co_filename.startswith(INSIDE):
        frame, level = frame.f_back, level + 1
    return level
