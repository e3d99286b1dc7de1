"""Every wrong parameter and array that can be made from the documentation is a clear error."""

import warnings

import pytest

from robustness import inputs
from robustness.worlds import public_estimators, world


@pytest.mark.parametrize("cls", public_estimators())
def test_bad_input_is_a_clear_error_before_training(cls):
    tried, silent = inputs.complaints(cls)
    assert silent == []
    assert tried >= inputs.LEAST


def test_what_is_silent_would_be_found():
    def internal():
        raise IndexError("X")

    def anonymous():
        raise ValueError("something is wrong")

    def trained():
        world("NerveDecoder").fitted()

    assert inputs.complaint(lambda: None, "X") == "no error"
    assert "internal" in inputs.complaint(internal, "X")
    assert "does not name" in inputs.complaint(anonymous, "X")
    with inputs.no_training(), warnings.catch_warnings():
        assert inputs.complaint(trained, "X") == "training began"


def test_wrong_values_are_made_from_the_documented_type():
    def values(*args):
        return [repr(v) for v in inputs.bad_values("x", *args)]

    assert {"0", "-1", "1.5", "'one'"} <= set(values("int, default=3", 3))
    assert "0" not in values("int, default=0", 0)
    assert "'one'" not in values('float or "auto", default="auto"', "auto")
    assert "None" in values("bool, default=True", True)
    assert "None" not in values("int or None, default=None", None)
