import numpy as np
import pandas as pd
import pytest

from sklearn_meg.study.coding import as_values, code_features, event_types


@pytest.fixture
def table():
    return pd.DataFrame(
        {
            "length": [2, 5, np.nan, 7],
            "kind": ["noun", "verb", "verb", None],
            "digits": ["1", "2", "n/a", "4"],
            "yes": [True, False, True, True],
            "same": 1,
        }
    )


def test_text_that_holds_numbers_is_numbers(table):
    np.testing.assert_array_equal(as_values(table["digits"]), [1, 2, np.nan, 4])
    assert as_values(table["kind"]).tolist()[:3] == ["noun", "verb", "verb"]
    np.testing.assert_array_equal(as_values(table["yes"]), [1, 0, 1, 1])


def test_trials_without_a_value_are_left_out_or_filled(table):
    dropped = code_features(table, ["length", "kind"], missing="drop")
    assert dropped.kept.tolist() == [True, True, False, False]
    assert dropped.names == ["length", "kind: verb"]
    assert dropped.features == {"length": [0], "kind": [1]}
    filled = code_features(table, ["length", "kind"], missing="mean")
    assert filled.values[2, 0] == pytest.approx(14 / 3)
    assert filled.values[3, 1] == 1  # verb is the most frequent
    with pytest.raises(ValueError, match="length in 1, kind in 1. --missing drop leaves"):
        code_features(table, ["length", "kind"])


def test_reference_and_coding(table):
    kinds = pd.DataFrame({"kind": list("abcab")})
    treatment = code_features(kinds, ["kind"], references={"kind": "b"})
    assert treatment.names == ["kind: a", "kind: c"]
    assert "reference b" in treatment.notes[0]
    coded = code_features(kinds, ["kind"], references={"kind": "b"}, coding="sum").values
    np.testing.assert_array_equal(coded, [[1, 0], [-1, -1], [0, 1], [1, 0], [-1, -1]])


@pytest.mark.parametrize(
    ("features", "keys", "message"),
    [
        (["lenght"], {}, "no column 'lenght'. Columns: length, kind, digits, yes, same"),
        (["same"], {}, "same in every trial"),
        (["kind"], {"references": {"kind": "noun?"}, "missing": "drop"}, "one of 'noun', 'verb'"),
        (["kind"], {"references": {"length": "a"}}, "is no feature"),
    ],
)
def test_mistakes_are_named(table, features, keys, message):
    with pytest.raises(ValueError, match=message):
        code_features(table, features, **keys)


def test_a_formula_gives_the_same_as_columns(table):
    pytest.importorskip("formulaic")
    frame = pd.DataFrame({"length": [2.0, 5, 3, 7], "kind": list("nvnv")})
    by_formula = code_features(frame, [], formula="length + C(kind)")
    by_name = code_features(frame, ["length", "kind"])
    np.testing.assert_allclose(by_formula.values, by_name.values)
    assert list(by_formula.features) == ["length", "C(kind)"]
    with pytest.raises(ValueError, match="no column 'lenght'"):
        code_features(frame, [], formula="lenght")


def test_events_are_features_where_they_differ():
    design = event_types(["b", "a", "c", "a"])
    np.testing.assert_array_equal(design.values, [[1, 0], [0, 0], [0, 1], [0, 0]])
    with pytest.raises(ValueError, match="one type, 'a'"):
        event_types(["a", "a"])
