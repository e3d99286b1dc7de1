"""Faults of the machine around lose nothing; an interrupted fit keeps the old model."""

import pytest

from robustness.machine import MACHINE, Unavailable, interrupted_fit_keeps_the_model
from robustness.worlds import public_estimators

NAMES = [cls.__name__ for cls in public_estimators()]


@pytest.mark.parametrize("name", MACHINE)
@pytest.mark.filterwarnings("ignore")
def test_nothing_is_lost(name, tmp_path):
    try:
        assert MACHINE[name](tmp_path, 0)
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_an_interrupted_fit_leaves_the_model_as_it_was(name):
    assert interrupted_fit_keeps_the_model(name)
