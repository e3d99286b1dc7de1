"""The guide for contributors holds: a seventh system edits few files, and every test finds it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COPIED = ("sklearn_meg", "benchmarks", "robustness")
TESTS = ("conftest.py", "test_imports.py", "test_docstrings.py", "test_typing.py")
TESTS += ("test_properties.py", "test_bad_inputs.py")

ESTIMATOR = '''"""Brightness to firing rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from .._checks.params import check_scalar_param
from .._checks.trials import check_targets, check_trials
{more_imports}
if TYPE_CHECKING:
    from .._typing import ArrayLike, Self


@dataclass(kw_only=True, eq=False, repr=False)
class {name}(RegressorMixin, BaseEstimator):
    """Predict the mean rate, whatever the stimulus.

    Parameters
    ----------
    gain : float, default=1.0
        Factor of the prediction.

    Examples
    --------
    >>> from sklearn_meg.{domain} import {name}
    >>> {name}().fit([[0.0], [1.0]], [0.5, 1.5]).predict([[3.0]])
    array([1.])
    """

    gain: float = 1.0

    def fit(self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None) -> Self:
        """Learn the mean.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_rows, n_times)
        y : array-like of shape (n_trials, n_channels, n_times)
        groups : ignored

        Returns
        -------
        self : object
        """
        check_scalar_param(self, "gain", "float", 0, closed="neither")
        X = check_trials(self, X, reset=True)
        {more_checks}
        y, self._ndim = check_targets(y, X)
        self.mean_ = y.mean(axis=0)
        return self

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return the mean for every trial.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_rows, n_times)

        Returns
        -------
        y : ndarray
        """
        check_is_fitted(self)
        X = check_trials(self, X, reset=False)
        y = np.repeat(self.gain * self.mean_[None], len(X), axis=0)
        return y if self._ndim == 3 else y.reshape(len(X), -1).squeeze(-1)
'''
INIT = '''"""Light to spikes of the retina."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
'''

ROWS_IMPORTED = """from .._params import documented
from ..rows import RowParams, resolve_rows
"""
WORLD = """

def _retina(cls):
    X, y, _, _ = _encoding(cls)
    return X, y, {}, ("predict",)


MAKERS["retina"] = _retina
"""


@pytest.fixture
def copy(tmp_path):
    """A copy of the project in which a newcomer works, with what was written into it."""
    hidden = shutil.ignore_patterns("__pycache__", "*.json")
    for name in COPIED:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=hidden)
    (tmp_path / "tests").mkdir()
    for name in TESTS:
        shutil.copy(ROOT / "tests" / name, tmp_path / "tests")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def append(path, text):
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def edited(copy):
    """Files of the project that the newcomer had to change."""
    files = [path for name in COPIED for path in (ROOT / name).rglob("*.py*")]
    here = {
        path: copy / path.relative_to(ROOT) for path in files if "__pycache__" not in path.parts
    }
    return [a.name for a, b in here.items() if b.exists() and a.read_bytes() != b.read_bytes()]


def run_tests(copy, name):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--no-header"]
    done = subprocess.run(
        [*command, "-k", f"{name} or imports", "tests"], cwd=copy, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def add_a_system(copy):
    folder = copy / "sklearn_meg" / "retina"
    folder.mkdir()
    (folder / "__init__.py").write_text(INIT)
    (folder / "__init__.pyi").write_text("from .mean_rate import MeanRate as MeanRate\n")
    source = ESTIMATOR.format(name="MeanRate", domain="retina", more_imports="", more_checks="")
    (folder / "mean_rate.py").write_text(source)

    public = "from . import retina as retina\nfrom .retina import MeanRate as MeanRate\n"
    append(copy / "sklearn_meg" / "__init__.pyi", public)
    append(copy / "robustness" / "worlds.py", WORLD)

    assert len(edited(copy)) <= 2  # and docs/guide.rst, docs/api.rst, CHANGES.md: five


def add_an_encoder(copy):
    source = ESTIMATOR.format(
        name="ToyEncoder",
        domain="encoding",
        more_imports=ROWS_IMPORTED,
        more_checks="resolve_rows(self, *X.shape[1:])",
    )
    source = source.replace("class ToyEncoder(", "class ToyEncoder(RowParams, ")
    source = source.replace("@dataclass(", "@documented\n@dataclass(")
    source = source.replace("of the prediction.\n", "of the prediction.\n    %(RowParams)s\n")
    package = copy / "sklearn_meg"
    (package / "encoding" / "toy.py").write_text(source)
    append(package / "encoding" / "__init__.pyi", "from .toy import ToyEncoder as ToyEncoder\n")
    append(package / "__init__.pyi", "from .encoding import ToyEncoder as ToyEncoder\n")

    assert len(edited(copy)) <= 3  # and docs/api.rst, CHANGES.md: four, without the system


@pytest.mark.slow
def test_a_seventh_system_and_another_encoder(copy):
    add_a_system(copy)
    add_an_encoder(copy)
    assert "passed" in run_tests(copy, "MeanRate or ToyEncoder")
