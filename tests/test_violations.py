"""Nothing silent: every violated assumption is answered rightly, warned of or refused."""

import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import betabinom

import sklearn_meg
from robustness.kinds import KINDS
from robustness.violations import fresh_worlds, systems, violations
from robustness.violations.record import Answer, Violation, is_clear
from robustness.violations.run import make_checks, rows_of
from sklearn_meg._checks.assumptions import warn_assumption
from sklearn_meg._checks.unusual import UnusualMixin, p_values
from sklearn_meg.exceptions import ASSUMPTIONS, AssumptionWarning

RATE = 0.05


def name_of(each):
    return f"{each.system}-{each.name}" if isinstance(each, Violation) else each.estimator


@pytest.mark.parametrize("each", violations(), ids=name_of)
def test_is_not_silent(each):
    verdict = each.verdict(0)
    if each.silent:
        assert verdict.name == "silent", "mended: take `silent` from its decorator"
    else:
        assert verdict.name != "silent", verdict
    assert each.verdict(0, broken=False).name == "right"


def test_every_system_has_some():
    assert {each.system for each in violations()} == set(systems())


@pytest.mark.parametrize("each", fresh_worlds(), ids=name_of)
def test_few_fresh_samples_are_unusual(each):
    model, X = each.run(0)
    found = model.is_unusual(X, rate=RATE)
    assert found.dtype == bool and found.shape == (len(X),)
    n = len(model.usual_scores_)
    k = max(np.floor(RATE * (n + 1)), 1)  # of n + 1 exchangeable scores these are unusual
    assert found.sum() <= betabinom.ppf(0.999, len(X), k, n + 1 - k)


def test_every_main_estimator_knows_what_is_unusual():
    assert set(KINDS) <= {each.estimator for each in fresh_worlds()}


# ---------------------------------------------------------------------- the harness itself


def _answer(**outcome):
    def run(seed, broken):
        if outcome.get("warns") and broken:
            warn_assumption("field-units", "Fields are small.")
        if outcome.get("other") and broken:
            warnings.warn("anything", UserWarning)
        if outcome.get("raises") and broken:
            raise outcome["raises"]
        return Answer(float(outcome.get("wrong", True) and broken), 0.5, outcome.get("flag"))

    return Violation("made up", "right", run)


@pytest.mark.parametrize(
    ("outcome", "verdict"),
    [
        ({"wrong": False}, "right"),
        ({"warns": True}, "warned"),
        ({"flag": "is_unusual"}, "warned"),
        ({}, "silent"),
        ({"other": True}, "silent"),
        ({"raises": ValueError("X must be something else than it is.")}, "silent"),  # not by us
        ({"raises": IndexError("index 3 is out of bounds")}, "silent"),
    ],
)
def test_verdicts(outcome, verdict):
    assert _answer(**outcome).verdict(0).name == verdict


def test_errors_of_the_package_are_refusals():
    def run(seed, broken):
        if broken:
            UnusualMixin().is_unusual(None, rate=2.0)
        return Answer(0, 1)

    assert Violation("rate of 2", "an error", run).verdict(0).name == "refused"


def test_an_alarm_of_the_clean_world_is_false():
    def run(seed, broken):
        warn_assumption("field-units", "Fields are small.")
        return Answer(0, 1)

    assert Violation("nothing", "right", run).verdict(0, broken=False).name == "false alarm"


def test_flags_must_be_documented():
    with pytest.raises(KeyError, match="no documented flag"):
        Answer(1, 0, flag="a feeling")


def test_numpy_errors_are_not_clear():
    with pytest.raises(ValueError, match="operands") as caught:
        np.zeros(3) + np.zeros(4)
    assert not is_clear(caught.value)


def test_rows_and_checks():
    rows = rows_of(_answer(), 0)
    checks = {c["name"]: c["passed"] for c in make_checks(rows)}
    assert not checks["silent"]
    assert checks["share of false alarms on clean worlds"]


# ---------------------------------------------------------------------- warnings


def test_warnings_survive_pickle():
    with pytest.warns(AssumptionWarning, match="Fields are small.*V/m.*field-units") as caught:
        warn_assumption("field-units", "Fields are small.")
    (record,) = caught
    assert record.filename == __file__
    again = pickle.loads(pickle.dumps(record.message))
    assert (again.code, again.remedy, str(again)) == (
        "field-units",
        ASSUMPTIONS["field-units"].remedy,
        str(record.message),
    )


def test_unknown_codes_are_refused():
    with pytest.raises(ValueError, match="code must be one of"):
        AssumptionWarning("Something is odd.", "no-such-code")


SOURCE = "".join(
    path.read_text("utf-8")
    for path in Path(sklearn_meg.__file__).parent.rglob("*.py")
    if path.name != "exceptions.py"
)


@pytest.mark.parametrize("code", ASSUMPTIONS)
def test_codes_are_explained_and_used(code):
    each = ASSUMPTIONS[code]
    assert f'"{code}"' in SOURCE
    assert code == code.lower().replace("_", "-")
    assert all(text[0].isupper() and text.endswith(".") for text in (each.meaning, each.remedy))


# ---------------------------------------------------------------------- p-values


@pytest.mark.parametrize("n", [5, 12, 30, 200])
def test_p_values_are_calibrated(n):
    rng = np.random.default_rng(n)
    found = [p_values(rng.normal(size=20), rng.normal(size=n), RATE) <= RATE for _ in range(400)]
    assert RATE / 2 < np.mean(found) < RATE + 0.012  # few references: steps of 1 / (n + 1)


def test_what_cannot_be_scored_is_unusual():
    assert p_values(np.array([np.nan, np.inf]), np.arange(50.0), RATE).max() <= RATE
    assert p_values(np.array([3.0]), np.array([1.0]), RATE) == [1.0]
