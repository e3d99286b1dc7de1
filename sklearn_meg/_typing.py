"""Names that type hints use. Imported by type checkers and tests only: packages are heavy."""

import os
from collections.abc import Callable
from typing import Literal, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from mne import (
    Annotations,
    BaseEpochs,
    Covariance,
    Dipole,
    Epochs,
    EpochsArray,
    Evoked,
    EvokedArray,
    Forward,
    Info,
    Label,
    SourceSpaces,
)
from networkx import DiGraph, Graph
from nibabel.spatialimages import SpatialImage
from numpy.typing import ArrayLike, DTypeLike
from pandas import DataFrame
from sklearn.base import BaseEstimator
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import Bunch
from torch.export import ExportedProgram
from typing_extensions import Self

PathLike: TypeAlias = str | os.PathLike[str]
RandomSeed: TypeAlias = int | np.random.RandomState | None
# Waveform of a magnetic stimulator: by name, as samples, or as a function of time.
Pulse: TypeAlias = Literal["monophasic", "biphasic", "half-sine"] | ArrayLike | Callable
MneObject: TypeAlias = BaseEpochs | Evoked | list[Evoked]

__all__ = [
    "Annotations",
    "ArrayLike",
    "Axes",
    "BaseCrossValidator",
    "BaseEpochs",
    "BaseEstimator",
    "Bunch",
    "Covariance",
    "DTypeLike",
    "DataFrame",
    "DiGraph",
    "Dipole",
    "Epochs",
    "EpochsArray",
    "Evoked",
    "EvokedArray",
    "ExportedProgram",
    "Figure",
    "Forward",
    "Graph",
    "Info",
    "Label",
    "MneObject",
    "PathLike",
    "Pulse",
    "RandomSeed",
    "Self",
    "SourceSpaces",
    "SpatialImage",
]
