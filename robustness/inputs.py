"""Bad input, made from what the documentation says each parameter is, for every estimator.

``silent`` counts what was taken without an error; errors that came from deep inside (IndexError,
KeyError, AttributeError, an error of torch); messages that name neither the parameter nor the
array; and networks that began to train.
"""

import re
import warnings
from contextlib import contextmanager

import numpy as np
import scipy.sparse
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags

from benchmarks.report import check, row, values
from sklearn_meg import base
from sklearn_meg._optional import needs

from .worlds import ENCODERS, SMALL, SOLVERS, THRESHOLDS, public_estimators, world

CASES = ("bad_inputs",)
LEAST = 40  # of each estimator
DOCUMENTED = (ValueError, TypeError, NotFittedError, ImportError)


class Nonsense:
    """Is nothing that a parameter could be."""

    def __repr__(self):
        return "Nonsense()"


# What no parameter of a kind can be. The kinds are words of the documented types.
WRONG = {
    "int": ("one", 1.5, np.nan, np.inf, True, 1j, [1], Nonsense()),
    "float": ("one", np.nan, np.inf, True, 1j, [1.0, 2.0], Nonsense()),
    "bool": ("yes", 2, 0.5, [], Nonsense()),
    "option": ("no such option", 3.5, [], Nonsense()),
    "array-like": ("text", 1j, {"a": 1}, Nonsense()),
    "tuple": ("text", 1.5, {"a": 1}, Nonsense()),
    "sequence": ("text", {"a": 1}, Nonsense()),
    "callbacks": (3, "text", Nonsense()),
    "dict": (3, "text", [1], Nonsense()),
    "path-like": (3, 1.5, [], Nonsense()),
    "estimator": (3, [], Nonsense()),
    "generator": (3, [], Nonsense()),
    "RandomState": ("seed", 1.5, -1, [], Nonsense()),
    "mne": (3, "text", Nonsense()),
    "str": (3, 1.5, [], Nonsense()),
}
# Numbers that count, divide or weigh: what they are in the documentation says that these are out
# of range.
COUNTS = (0, -1, -(10**6))
SIZES = (-1.0, -np.inf)


def documented_types(cls):
    """The documented type of each parameter of a class."""
    with needs("The benchmark trust", "numpydoc", "numpydoc"):
        from numpydoc.docscrape import ClassDoc
    types = {}
    for part in ClassDoc(cls)["Parameters"]:
        for name in re.split(r",\s*", part.name):
            types[name] = part.type
    shared = {p.name: p.type for p in ClassDoc(base.TorchEstimator)["Parameters"]}
    return {name: types.get(name) or shared.get(name, "") for name in cls().get_params(deep=False)}


def kinds_of(text):
    """Words of `WRONG` that a documented type has."""
    plain = re.sub(r"\{[^}]*\}", "option", re.sub(r",? default.*", "", text))
    plain = re.sub(r'"[^"]*"', "option", plain)
    if "callbacks" in plain:
        return ["callbacks"]
    found = [kind for kind in WRONG if re.search(rf"\b{kind}s?\b", plain)]
    return found


def bad_values(name, text, default):
    """Values that a parameter cannot have.

    text: Its documented type.
    """
    kinds = kinds_of(text)
    if not kinds:
        return [Nonsense()]
    allowed = [WRONG[kind] for kind in kinds]
    both = [v for v in allowed[0] if all(any(_same(v, w) for w in other) for other in allowed[1:])]
    many = set(kinds) & {"tuple", "sequence", "array-like", "dict", "generator"}
    if kinds[0] == "int" and not many and _counts(name, default):
        both += [v for v in COUNTS if v != default]
    if kinds[0] == "float" and not many and isinstance(default, float) and default > 0:
        both += SIZES
    if "None" not in text and default is not None:
        both.append(None)
    return both


def _counts(name, default):
    """Whether an int is a number of something, and not the index of a row."""
    if name in ("verbose", "random_state", "n_initial") or name.endswith("_row"):
        return False
    return isinstance(default, int | None) and not isinstance(default, bool)


def _same(one, two):
    return one is two or repr(one) == repr(two)


def parameter_cases(cls):
    """(name, value) of all parameters."""
    params = {**cls().get_params(deep=False), **SMALL.get(cls.__name__, {})}
    for name, text in documented_types(cls).items():
        for value in bad_values(name, text, params[name]):
            if (cls.__name__, name, repr(value)) not in VALID and (name, value) != VERBOSE:
                yield name, value


# Made by the rules above, and valid all the same.
ROWS = [(name, "initial_rows", value) for name in ENCODERS for value in ("0", "-1", "[1]")]
VERBOSE = ("verbose", True)
VALID = {
    *ROWS,
    ("ChannelScaler", "initial_rows", "0"),
    ("ChannelScaler", "initial_rows", "-1"),
    ("ChannelScaler", "initial_rows", "[1]"),
    ("FeatureExpansion", "initial_rows", "0"),
    ("FeatureExpansion", "initial_rows", "[1]"),
    ("DeepRecurrentEncoder", "embedding_size", "0"),  # no embedding
    ("DeepRecurrentEncoder", "n_convs", "0"),
    ("RNNSourceSolver", "n_reweight", "0"),
    ("RecurrentTRF", "alphas", "[1.0, 2.0]"),
    ("RecurrentTRF", "n_past", "0"),
    ("TemporalReceptiveField", "alphas", "[1.0, 2.0]"),
    *(  # one lag a feature
        (name, lag, "[1.0, 2.0]")
        for name in ("RecurrentTRF", "TemporalReceptiveField")
        for lag in ("tmin", "tmax")
    ),
    *((name, "onset", "0") for name in SOLVERS),  # the first sample
}


# ---------------------------------------------------------------------- data


def _with(array, value):
    array = np.array(array, dtype=complex if isinstance(value, complex) else float)
    array.flat[array.size // 2] = value
    return array


BAD_ARRAYS = {
    "NaN": lambda a: _with(a, np.nan),
    "infinity": lambda a: _with(a, np.inf),
    "-infinity": lambda a: _with(a, -np.inf),
    "huge": lambda a: _with(a, 1e200),
    "complex": lambda a: _with(a, 1j),
    "text": lambda a: np.full(np.shape(a), "a"),
    "objects": lambda a: np.full(np.shape(a), Nonsense(), dtype=object),
    "bytes": lambda a: np.full(np.shape(a), b"a"),
    "None": lambda a: None,
    "a number": lambda a: 3.0,
    "a string": lambda a: "data.npy",
    "a dict": lambda a: {"data": a},
    "a function": lambda a: len,
    "a set": lambda a: {1.0, 2.0},
    "a generator": lambda a: (row for row in a),
    "all NaN": lambda a: np.full(np.shape(a), np.nan),
    "all None": lambda a: np.full(np.shape(a), None),
    "named columns": lambda a: np.zeros(len(a), dtype=[("a", float), ("b", float)]),
    "empty list": lambda a: [],
    "ragged": lambda a: [[1.0, 2.0], [3.0]],
    "no samples": lambda a: np.asarray(a)[:0],
    "sparse": lambda a: scipy.sparse.csr_array(np.asarray(a, float).reshape(len(a), -1)),
    "masked": lambda a: np.ma.array(np.asarray(a, float), mask=_with(0 * np.asarray(a, float), 1)),
    "six dimensions": lambda a: np.zeros((2,) * 6),
}
# Valid for y, or for what takes recordings as they come.
BAD_X = {
    **BAD_ARRAYS,
    "one dimension": lambda a: np.asarray(a, float).ravel(),
    "no rows": lambda a: np.asarray(a)[:, :0],
    "times": lambda a: np.full(np.shape(a), np.datetime64("2026-01-01")),
}
CLASSES_MAY_BE = ("huge", "text", "bytes", "-infinity", "complex")


def fit_cases(tiny):
    """(what, X, y) that cannot be fitted."""
    X, y = tiny.X, tiny.y
    for what, spoil in BAD_X.items():
        yield f"X: {what}", spoil(X), y
    if y is None:
        return
    may_be = CLASSES_MAY_BE if y.dtype.kind != "f" else ()
    may_be += ("NaN",) if tiny.cls.__name__ in THRESHOLDS else ()  # a neuron that never fired
    may_be += ("None",) if not get_tags(tiny.cls()).target_tags.required else ()
    for what, spoil in BAD_ARRAYS.items():
        if what not in may_be:
            yield f"y: {what}", X, spoil(y)
    yield "y: fewer", X, y[:-1]
    yield "y: more", X, np.concatenate([y, y[:1]])
    if y.ndim == 3:
        yield "y: fewer samples", X, y[..., :-1]
        yield "y: another width", X, y.reshape(len(y), -1)[:, 1:]


def predict_cases(tiny):
    """(what, X) that cannot be predicted by what was fitted."""
    X = tiny.X
    for what, spoil in BAD_X.items():
        if what != "None" or tiny.cls.__name__ not in SOLVERS:  # there: the fitted conditions
            yield f"then X: {what}", spoil(X)
    if X.ndim == 3:
        yield "then X: one row more", np.concatenate([X, X[:, :1]], axis=1)
        yield "then X: one row less", X[:, 1:]


# ---------------------------------------------------------------------- trying


class Trained(Exception):
    """Training began."""


@contextmanager
def no_training():
    """Bad input must be found before a network is trained."""
    run = base._run

    def refuse(net, trials):
        raise Trained

    base._run = refuse
    try:
        yield
    finally:
        base._run = run


def complaint(call, name):
    """What is wrong with the error of a call; None if it is as it should be."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            call()
    except DOCUMENTED as error:
        if isinstance(error, UnicodeError):
            return f"an internal error: {error!r}"
        return None if _names(str(error), name) else f"does not name it: {error}"
    except Trained:
        return "training began"
    except Exception as error:  # which is what is looked for
        return f"an internal error: {type(error).__name__}: {error}"
    return "no error"


def _names(message, name):
    if name in ("X", "y") and re.search(r"\binconsistent numbers of samples\b", message):
        return True
    return bool(re.search(rf"\b{name}\b", message))


def complaints(cls, every=1):
    """Try all that is bad, or every so many.

    Returns tried (int)
    and found (list of str): Descriptions of silent cases.
    """
    tiny = world(cls.__name__)
    fitted = tiny.fitted()
    calls = []
    with no_training():
        for name, value in parameter_cases(cls):
            params = {name: value}
            if name == "cache_dir":
                params["random_state"] = 0
            calls.append(
                (
                    f"{name}={value!r}",
                    name,
                    lambda p=params: tiny.fit(tiny.model(**p), tiny.X, tiny.y),
                )
            )
        for what, X, y in fit_cases(tiny):
            calls.append(
                (what, what[0], lambda X=X, y=y: _fit(tiny.model(), X, y, tiny.y is not None))
            )
        method = next(name for name in (*tiny.outputs, "transform") if name != "metric_")
        for what, X in predict_cases(tiny) if hasattr(fitted, method) else ():
            calls.append((what, "X", lambda X=X: getattr(fitted, method)(X)))
        if hasattr(fitted, method) and get_tags(fitted).requires_fit:
            calls.append(("not fitted", "fitted", lambda: getattr(tiny.model(), method)(tiny.X)))
        calls = calls[::every]
        found = [(what, complaint(call, name)) for what, name, call in calls]
    return len(calls), [f"{cls.__name__}, {what}: {wrong}" for what, wrong in found if wrong]


def _fit(model, X, y, supervised):
    return model.fit(X, y) if supervised else model.fit(X)


def case_rows(case, seed, quick=False):
    """Tried and silent for each estimator; prints what was silent."""
    rows = []
    for cls in public_estimators():
        tried, found = complaints(cls, every=10 if quick else 1)
        for text in found:
            print(text)
        rows += [
            row(case, cls.__name__, "tried", seed, tried),
            row(case, cls.__name__, "silent", seed, len(found)),
        ]
    return rows


def checks(rows):
    """Nothing was silent, and enough was tried."""
    here = [r for r in rows if r["case"] == CASES[0]]
    if not here:
        return []
    names = sorted({r["model"] for r in here})
    tried = min(values(rows, CASES[0], name, "tried").max() for name in names)
    silent = sum(values(rows, CASES[0], name, "silent").sum() for name in names)
    return [
        check("bad inputs: of the estimator with the fewest", tried, f">= {LEAST}"),
        check("bad inputs: silent", silent, "<= 0"),
    ]
