"""Metadata to features: categories, missing values, formulae."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from .._checks.assumptions import warn_assumption

SAID = 0.01  # share of a feature that is not in the others, below which it says nothing
MOST_CODES = 8  # levels of a column that may be codes of categories
MISSING = ("", "n/a", "N/A", "NA", "nan", "NaN", "None", "null")


@dataclass
class Design:
    """Values of features, one row per trial.

    values (n_trials, n_columns)
    names (list of str): Names of the columns.
    features (dict of str -> list of int): Columns of each feature: several for one with levels.
    kept (n_all_trials,) bool: Trials that have all features.
    notes (list of str): Description of what was done.
    """

    values: np.ndarray
    names: list
    features: dict
    kept: np.ndarray
    notes: list


def code_features(
    table, features, *, coding="treatment", references=None, missing=None, formula=None
):
    """Turn columns of metadata into numbers.

    table (DataFrame): One row per trial, of all recordings.
    features (list of str): Columns; text, booleans and categories are coded by level.
    coding ({"treatment", "sum"}): Treatment: a column of 0 and 1 for each level but the reference.
        Sum: the reference is -1 in all of them, so that each column compares a level with the mean
        of levels.
    references (dict of str -> str): Reference level of each feature; the first in alphabetical
        order where none is given.
    missing ({"drop", "mean"} or None): Leave trials out, or fill in the mean (the most frequent
        level). None makes missing values an error.
    formula: Wilkinson formula in place of `features`, by formulaic:
        ``"length + C(pos, contr.sum)"``.
    Returns design (Design)
    Raises ValueError for an unknown column (they are listed), a reference that is no level,
        missing values, or a feature that never changes.
    """
    if formula:
        return _by_formula(table, formula, missing)
    references = references or {}
    unknown = [name for name in references if name not in features]
    if unknown:
        raise ValueError(
            f"A reference level is given for {', '.join(unknown)}, which is no feature. Features: "
            f"{', '.join(features)}."
        )
    columns = {name: as_values(table[check_column(table, name)]) for name in features}
    kept, notes = _kept(columns, missing)
    design = Design(np.zeros((int(kept.sum()), 0)), [], {}, kept, notes)
    for name, column in columns.items():
        values = column[kept]
        if pd.api.types.is_numeric_dtype(values):
            _warn_codes(name, values)
            _add(design, name, [name], values.to_numpy(float)[:, np.newaxis])
            continue
        levels, reference = _levels(values, name, references.get(name))
        coded = _coded(values, levels, reference, coding)
        _add(design, name, [f"{name}: {level}" for level in levels], coded)
        design.notes.append(
            f"{name} has the levels {', '.join([reference, *levels])}; {coding} coding, reference "
            f"{reference}."
        )
    design.notes += told_twice(design)
    return design


def told_twice(design):
    """Notes about features that others determine: what is listed as theirs alone is nothing."""
    notes = []
    for name in design.features:
        rest = [other for other in design.features if other != name]
        if not _determine(design, rest, name):
            continue
        for other in list(rest):  # only those without which the others do not determine it
            fewer = [each for each in rest if each != other]
            rest = fewer if _determine(design, fewer, name) else rest
        notes.append(
            f"{name} is determined by {' and '.join(rest)}: it has no contribution of its own. "
            "Leave one of them out."
        )
    return notes


def _determine(design, others, name):
    """Whether a feature is a linear function of others."""
    values = design.values - design.values.mean(axis=0)
    own = values[:, design.features[name]]
    given = values[:, [row for other in others for row in design.features[other]]]
    left = own - given @ np.linalg.lstsq(given, own, rcond=None)[0] if others else own
    return np.square(left).sum() < SAID * np.square(own).sum()


def _warn_codes(name, values):
    """Whole numbers in a row from 0 or 1, as categories are numbered."""
    levels = np.unique(values)
    first, n = levels[0], len(levels)
    if first in (0, 1) and 3 <= n <= MOST_CODES and (levels == np.arange(first, first + n)).all():
        warn_assumption(
            "number-codes",
            f"{name} holds the numbers {first:g} to {levels[-1]:g}, and is used as a number.",
        )


def check_column(table, name):
    """Return a name if the table has such a column.

    Raises ValueError otherwise; it lists those that there are.
    """
    if name not in table:
        there = ", ".join(map(str, table.columns)) or "none"
        raise ValueError(f"The metadata have no column {name!r}. Columns: {there}.")
    return name


def as_values(column):
    """Column as numbers where it holds numbers (also as text), else as text; missing is NaN."""
    if pd.api.types.is_bool_dtype(column):
        return column.astype(float)
    if pd.api.types.is_numeric_dtype(column):
        return column.astype(float)
    text = column.astype(object).where(column.notna(), np.nan)
    text = text.map(lambda v: v.strip() if isinstance(v, str) else v)
    text = text.mask(text.isin(MISSING))
    numbers = pd.to_numeric(text, errors="coerce")
    if numbers.notna().sum() == text.notna().sum() and text.notna().any():
        return numbers.astype(float)
    return text.map(lambda v: v if pd.isna(v) else str(v))


def _kept(columns, missing):
    """Trials that are kept, with missing values filled in or not; and a note."""
    gaps = {name: int(column.isna().sum()) for name, column in columns.items()}
    gaps = {name: n for name, n in gaps.items() if n}
    n_trials = len(next(iter(columns.values())))
    everything = np.ones(n_trials, dtype=bool)
    if not gaps:
        return everything, []
    told = ", ".join(f"{name} in {n}" for name, n in gaps.items())
    if missing is None:
        raise ValueError(
            f"Of {n_trials} trials, these have missing values: {told}. --missing drop leaves the "
            "trials out, --missing mean fills in the mean (the most frequent level)."
        )
    empty = [name for name, n in gaps.items() if n == n_trials]
    if empty:
        raise ValueError(f"The metadata column {empty[0]!r} has no value in any trial.")
    if missing == "mean":
        for name in gaps:
            column = columns[name]
            numeric = pd.api.types.is_numeric_dtype(column)
            columns[name] = column.fillna(column.mean() if numeric else column.mode().iloc[0])
        return everything, [f"Missing values were filled in with means or modes: {told}."]
    kept = ~pd.DataFrame(columns).isna().any(axis=1).to_numpy()
    return kept, [f"{int((~kept).sum())} trials without a value were left out: {told}."]


def _levels(values, name, reference):
    levels = sorted(values.unique())
    if reference is None:
        reference = levels[0]
    if reference not in levels:
        raise ValueError(
            f"The reference level of {name!r} must be one of {', '.join(map(repr, levels))}. "
            f"Got {reference!r}."
        )
    if len(levels) > max(20, len(values) // 5):
        raise ValueError(
            f"The metadata column {name!r} is text with {len(levels)} levels in {len(values)} "
            f"trials, such as {levels[0]!r}: too many to code."
        )
    return [level for level in levels if level != reference], reference


def _coded(values, levels, reference, coding):
    coded = (values.to_numpy()[:, np.newaxis] == np.array(levels, dtype=object)).astype(float)
    if coding == "sum":
        coded[(values == reference).to_numpy()] = -1.0
    return coded


def _add(design, feature, names, values):
    flat = values.shape[1] == 0 or np.ptp(values, axis=0).max() == 0
    if flat:
        what = values[0, 0] if values.size else "one level"
        raise ValueError(
            f"The metadata column {feature!r} is the same in every trial ({what}): it cannot "
            "explain how trials differ."
        )
    n = len(design.names)
    design.features[feature] = list(range(n, n + values.shape[1]))
    design.names += names
    design.values = np.concatenate([design.values, values], axis=1)


def _by_formula(table, formula, missing):
    """Design of a Wilkinson formula; each of its terms is a feature."""
    try:
        from formulaic import Formula
    except ImportError as error:
        raise ImportError("Formulae need formulaic: pip install formulaic.") from error
    try:
        parsed = Formula(formula)
    except Exception as error:  # formulaic has many, none of which names the formula
        raise ValueError(
            f"The formula {formula!r} cannot be read: {type(error).__name__}. It is like "
            "'length + C(kind)'."
        ) from error
    used = [str(v) for v in sorted(parsed.required_variables)]
    columns = {name: as_values(table[check_column(table, name)]) for name in used}
    kept, notes = _kept(columns, missing)
    frame = pd.DataFrame({n: c[kept].reset_index(drop=True) for n, c in columns.items()})
    matrix = parsed.get_model_matrix(frame)
    design = Design(np.zeros((int(kept.sum()), 0)), [], {}, kept, [*notes, f"Formula: {formula}."])
    for term, span in matrix.model_spec.term_slices.items():
        if str(term) != "1":
            _add(design, str(term), list(matrix.columns[span]), np.asarray(matrix)[:, span])
    design.notes += told_twice(design)
    if not design.names:
        raise ValueError(f"The formula {formula!r} has no term but the intercept.")
    return design


def event_types(labels):
    """Design of event types alone: what differs from the first of them."""
    kinds = sorted(set(labels))
    everything = np.ones(len(labels), dtype=bool)
    if len(kinds) < 2:
        raise ValueError(
            f"All {len(labels)} trials are events of one type, {kinds[0]!r}: nothing tells them "
            "apart. Name metadata columns by --features."
        )
    values = (np.array(labels, dtype=object)[:, np.newaxis] == kinds[1:]).astype(float)
    names = [f"event: {kind}" for kind in kinds[1:]]
    note = f"Features are event types: {', '.join(kinds)}; reference {kinds[0]}."
    return Design(values, names, {"event": list(range(len(names)))}, everything, [note])
