"""Every wrong parameter and array that can be made from the documentation is a clear error."""

import warnings

import pytest

from sklearn_meg.benchmarks import _trust_inputs
from sklearn_meg.benchmarks._trust_worlds import public_estimators, world


@pytest.mark.parametrize("cls", public_estimators())
def test_bad_input_is_a_clear_error_before_training(cls):
    tried, silent = _trust_inputs.complaints(cls)
    assert silent == []
    assert tried >= _trust_inputs.LEAST


def test_what_is_silent_would_be_found():
    def internal():
        raise IndexError("X")

    def anonymous():
        raise ValueError("something is wrong")

    def trained():
        world("NerveDecoder").fitted()

    assert _trust_inputs.complaint(lambda: None, "X") == "no error"
    assert "internal" in _trust_inputs.complaint(internal, "X")
    assert "does not name" in _trust_inputs.complaint(anonymous, "X")
    with _trust_inputs.no_training(), warnings.catch_warnings():
        assert _trust_inputs.complaint(trained, "X") == "training began"


def test_wrong_values_are_made_from_the_documented_type():
    def values(*args):
        return [repr(v) for v in _trust_inputs.bad_values("x", *args)]

    assert {"0", "-1", "1.5", "'one'"} <= set(values("int, default=3", 3))
    assert "0" not in values("int, default=0", 0)
    assert "'one'" not in values('float or "auto", default="auto"', "auto")
    assert "None" in values("bool, default=True", True)
    assert "None" not in values("int or None, default=None", None)
