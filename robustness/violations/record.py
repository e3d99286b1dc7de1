"""What a violation is, and the verdict on it."""

import re
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, wraps
from pathlib import Path

import numpy as np
import sklearn

import sklearn_meg
from sklearn_meg.exceptions import AssumptionWarning

#: What may say that an answer is doubtful without a warning, and where that is documented.
FLAGS = {
    "is_unusual": "the method that every system has: most of these samples are unlike those of fit",
    "novelty": "nerve decoders: probability of each trial to be no known movement",
    "expected_accuracy": "nerve decoders: how many decisions of a session are right",
    "intervals": "an interval that holds the truth although the answer is far from it",
    "spread": "metrics: how far geodesics differ between the halves of the field",
    "warnings_": "states: why they should not be believed, of too few samples too",
    "posterior": "states: no state is probable, so none is claimed",
    "no effect": "studies: no claim is made",
    "cv_scores_": "encoders: the mean R2 on held-out trials of fit is below .01",
}
OURS = (str(Path(sklearn_meg.__file__).parent), str(Path(sklearn.__file__).parent))
LOUD = ("warned", "refused")


@dataclass(frozen=True)
class Answer:
    """What a run says.

    Attributes
    ----------
    error : float
        Distance of the answer from the truth, or from that of the unbroken world.
    tolerance : float
        Largest error of an answer that is right.
    flag : str or None
        A name of `FLAGS` if that documented flag says that the answer is doubtful.
    """

    error: float
    tolerance: float
    flag: str | None = None

    def __post_init__(self):
        if self.flag is not None and self.flag not in FLAGS:
            raise KeyError(f"{self.flag!r} is no documented flag; they are {', '.join(FLAGS)}.")


@dataclass(frozen=True)
class Verdict:
    """What became of one run.

    name ({"right", "warned", "refused", "silent"}): Of the unbroken world "right", "false alarm"
        or "wrong".
    said: Codes of warnings, the flag, or the error.
    """

    name: str
    said: str
    error: float


@dataclass(frozen=True)
class Violation:
    """An assumption that a user breaks.

    name: In a few words.
    right: What the right answer is, in words.
    run (callable): ``run(seed, broken)`` gives an `Answer`; with ``broken=False`` that of the same
        world in which nothing is wrong.
    silent (str or None): Why it is still silent: an open defect, which the tests expect.
    """

    name: str
    right: str
    run: Callable
    silent: str | None = None

    @property
    def story(self):
        """What a user did, and how it is simulated: the docstring."""
        return self.run.__doc__

    @property
    def system(self):
        """Name of the system: the file that it stands in."""
        return self.run.__module__.rsplit(".", 1)[-1]

    def verdict(self, seed, *, broken=True):
        """Run it and judge."""
        outcome, heard, crash = _heard(lambda: self.run(seed, broken))
        codes = ", ".join(sorted({w.code for w in heard}))
        if outcome is None:
            clear = is_clear(crash)
            name = ("refused" if clear else "silent") if broken else "false alarm"
            return Verdict(name, f"{type(crash).__name__}: {crash}", np.nan)
        said = ", ".join(filter(None, (codes, outcome.flag)))
        good = outcome.error <= outcome.tolerance
        if broken:
            name = "right" if good else "warned" if said else "silent"
        else:
            name = "false alarm" if said else "right" if good else "wrong"
        return Verdict(name, said, float(outcome.error))


@dataclass(frozen=True)
class Fresh:
    """A world on which `is_unusual` must be calibrated.

    estimator: Name of the class.
    run (callable): ``run(seed)`` gives a fitted model, and X of the same world that it has not
        seen.
    """

    estimator: str
    run: Callable


def remembered(make):
    """A function whose results are kept; what it warns of is heard again at each call."""

    @cache
    def kept(*args):
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            return make(*args), [each.message for each in seen]

    @wraps(make)
    def again(*args):
        result, messages = kept(*args)
        for message in messages:
            warnings.warn(message, stacklevel=2)
        return result

    return again


def violation(name, *, right, silent=None):
    """Make a `Violation` of a function ``(seed, broken)``; its docstring says what a user did."""
    return lambda run: Violation(name, right, run, silent)


def fresh(estimator):
    """Make a `Fresh` of a function ``(seed)``."""
    return lambda run: Fresh(estimator, run)


def flag_of(unusual):
    """The flag ``"is_unusual"`` if more than half of the samples are."""
    return "is_unusual" if np.mean(unusual) > 0.5 else None


def is_clear(error):
    """Whether an error says what is wrong: raised by this package or scikit-learn, in words."""
    if not isinstance(error, ValueError | TypeError) or isinstance(error, UnicodeError):
        return False
    last = traceback.extract_tb(error.__traceback__)[-1].filename
    return last.startswith(OURS) and len(re.findall(r"\w+", str(error))) >= 4


def _heard(call):
    """Result of a call, its documented warnings, and its error."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            outcome, crash = call(), None
        except Exception as error:  # which is what is judged
            outcome, crash = None, error
    kept = [w.message for w in seen if isinstance(w.message, AssumptionWarning)]
    return outcome, kept, crash
