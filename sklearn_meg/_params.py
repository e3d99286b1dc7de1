"""Constructor parameters that estimators share: declared once, documented once.

An estimator is a dataclass, so that its constructor need not be written: a parameter is one
line, and groups of parameters are inherited. :func:`documented` writes the text of inherited
parameters into the docstring of each class.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Literal

    from ._typing import BaseCrossValidator, PathLike, RandomSeed


DOC_LINK = "https://sklearn-meg.github.io/sklearn-meg/generated/sklearn_meg.{estimator_name}.html"


def param(default: Any, kind: str, text: str) -> Any:
    """Declare a parameter of a group: its default, its type in words, its description."""
    return field(default=default, metadata={"kind": kind, "text": text})


def documented(cls):
    """Fill ``%(GroupName)s`` in the docstring of a class with the parameters of that group.

    Parameters that the docstring describes itself are left out; defaults are those of the class.

    cls (type): A dataclass; groups are among its bases.
    Returns cls (type)
    """
    cls._doc_link_module = "sklearn_meg"
    cls._doc_link_template = DOC_LINK
    cls._doc_link_url_param_generator = _doc_link_of
    groups = {base.__name__: base for base in cls.__mro__}
    if cls.__doc__ is None:  # python -OO
        return cls
    taken = set(re.findall(r"^    (\w+(?:, \w+)*) : ", cls.__doc__, re.MULTILINE))
    taken = {name for names in taken for name in names.split(", ")}
    defaults = {each.name: each.default for each in fields(cls)}

    def entries(match):
        own = [each for each in fields(groups[match[1]]) if each.name not in taken]
        return "\n".join(_entry(each, defaults[each.name]) for each in own)

    cls.__doc__ = re.sub(r"^    %\((\w+)\)s$", entries, cls.__doc__, flags=re.MULTILINE)
    return cls


def _doc_link_of(estimator):
    """Name of the page of an estimator, for the link in its HTML representation."""
    return {"estimator_name": type(estimator).__name__}


def _entry(declared, default):
    """One entry of a numpydoc section."""
    shown = f'"{default}"' if isinstance(default, str) else default
    lines = textwrap.wrap(declared.metadata["text"], 91, break_on_hyphens=False)
    head = f"    {declared.name} : {declared.metadata['kind']}, default={shown}"
    return "\n".join([head, *(f"        {line}" for line in lines)])


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class ComputeParams:
    """Device, precision, threads and checkpoints of a fit.

    Parameters
    ----------
    %(ComputeParams)s

    Examples
    --------
    >>> from sklearn_meg.base import ComputeParams
    >>> ComputeParams(dtype="float64").device
    'auto'
    """

    device: str = param(
        "auto", "str", 'Torch device; "auto" takes a GPU where there is one, else the CPU.'
    )
    dtype: Literal["float32", "float64", "bfloat16"] = param(
        "float32",
        '{"float32", "float64", "bfloat16"}',
        'Precision of weights and computation. "bfloat16" is mixed precision, fast on recent '
        "GPUs: weights and loss in float32, layers in bfloat16.",
    )
    n_threads: int | None = param(
        1,
        "int or None",
        "Number of CPU threads of one fit; None leaves torch as it is. With one thread the result "
        "is the same to the last bit, however many jobs run beside it.",
    )
    random_state: RandomSeed = param(
        None,
        "int, RandomState instance or None",
        "Seed of initial weights, splits, shuffling and dropout. The global generators of torch "
        "and NumPy are neither used nor changed.",
    )
    verbose: int = param(0, "int", "Verbosity: 1 shows a progress bar.")
    callbacks: list | None = param(
        None, "list of skorch callbacks or None", "Callbacks added to those of the estimator."
    )
    net_params: dict | None = param(
        None,
        "dict or None",
        'Further parameters of :class:`skorch.NeuralNet`, for example ``{"optimizer": '
        "torch.optim.SGD}``.",
    )
    cache_dir: PathLike | None = param(
        None,
        "path-like or None",
        "Folder for checkpoints. A fit that was killed resumes from there when it is called again "
        "with the same parameters and data (`random_state` an int), and ends with the same "
        "weights to the last bit.",
    )


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class OptimizerParams:
    """Length and rate of the training.

    Parameters
    ----------
    %(OptimizerParams)s

    Examples
    --------
    >>> from sklearn_meg.base import OptimizerParams
    >>> OptimizerParams(max_epochs=5).schedule
    'onecycle'
    """

    max_epochs: int = param(20, "int", "Number of passes over the training trials.")
    lr: float = param(1e-3, "float", "Learning rate: the peak of the schedule.")
    weight_decay: float = param(
        0.0, "float", "Weight decay of AdamW; with 0 the optimizer is Adam."
    )
    schedule: Literal["onecycle", "cosine"] | None = param(
        "onecycle",
        '{"onecycle", "cosine"} or None',
        "Learning-rate schedule over the whole fit; None keeps the rate constant.",
    )
    clip_norm: float | None = param(
        1.0, "float or None", "Largest norm of the gradient; None does not clip."
    )


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class ValidationParams:
    """Mini-batches, and the trials held out to choose the best epoch.

    Parameters
    ----------
    %(ValidationParams)s

    Examples
    --------
    >>> from sklearn_meg.base import ValidationParams
    >>> ValidationParams(batch_size=8).validation_fraction
    'auto'
    """

    batch_size: int = param(32, "int", "Number of trials per mini-batch.")
    patience: int | None = param(
        None,
        "int or None",
        "Number of epochs without improvement of the validation loss after which training stops; "
        "None trains all epochs. Leave it off under a schedule, where the loss improves most at "
        "the end. The weights of the best epoch are restored in both cases.",
    )
    validation_fraction: float | Literal["auto"] = param(
        "auto",
        'float or "auto"',
        'Share of the trials held out to choose the best epoch. "auto" is a tenth, or up to a '
        "quarter where a tenth would be fewer than 50 trials; 0 holds none out and keeps the "
        "last epoch.",
    )
    validation_split: Literal["random", "last"] | BaseCrossValidator = param(
        "random",
        '{"random", "last"} or cross-validation generator',
        'Which trials are held out: "random" trials (whole groups where ``fit`` gets `groups`), '
        'the "last" ones, or the first split of a generator.',
    )
