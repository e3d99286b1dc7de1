"""Records of arrays are printed in one line."""

import importlib
import pkgutil
from dataclasses import fields, is_dataclass

import numpy as np
import pytest

from sklearn_meg import datasets
from sklearn_meg._repr import ShortBunch, short_repr
from sklearn_meg.dynamics.spectra import StateSpectra
from sklearn_meg.encoding.epochs import EncodingData
from sklearn_meg.encoding.importance import PermutationImportance
from sklearn_meg.tms import Morphology

IN_DATASETS = {
    cls
    for module in pkgutil.iter_modules(datasets.__path__)
    if module.name != "_settings"  # records of numbers
    for cls in vars(importlib.import_module(f"sklearn_meg.datasets.{module.name}")).values()
    if isinstance(cls, type) and is_dataclass(cls) and cls.__name__[0] != "_"
    if cls.__module__.startswith("sklearn_meg.datasets") and cls.__init__ is not object.__init__
}
RECORDS = sorted(
    {*IN_DATASETS, StateSpectra, EncodingData, PermutationImportance, Morphology},
    key=lambda cls: cls.__name__,
)


@pytest.mark.parametrize("cls", RECORDS, ids=lambda cls: cls.__name__)
def test_records_are_short(cls):
    record = object.__new__(cls)
    for field in fields(cls):
        object.__setattr__(record, field.name, [np.zeros((30, 3))] * 500)
    text = repr(record)
    assert text.startswith(f"{cls.__name__}({fields(cls)[0].name}: list of 500")
    assert len(text) < 60 * (len(fields(cls)) + 1)
    assert "\n" not in text


def test_what_is_told_of_values():
    bunch = ShortBunch(X=np.zeros((2, 3)), rows={"a": 1}, sfreq=100.0, names=["x"] * 99, info=None)
    assert repr(bunch) == (
        "ShortBunch(X: float64 (2, 3), rows={'a': 1}, sfreq=100.0, names: list of 99, info=None)"
    )
    assert short_repr(bunch) == repr(bunch)
