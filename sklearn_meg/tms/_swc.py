"""Files of reconstructed neurons: SWC in its dialects, Neurolucida ASC; writing SWC."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .._checks.assumptions import warn_assumption
from ._morphology import Kind, Morphology
from ._settings import DOUBTS

if TYPE_CHECKING:
    from .._typing import PathLike

__all__ = ["read_asc", "read_swc", "write_swc"]

# Types of the older convention (fork point, end point) and "undefined" say nothing about what a
# point is made of: such points are what their parent is.
_INHERIT = {0, 5, 6, 7}
THINNEST = 0.05  # um: a radius that is not positive becomes this
SOMA_WITHOUT = 5.0  # um: radius of a soma that a file leaves out, at least
ASC_KINDS = {"cellbody": Kind.SOMA, "axon": Kind.AXON, "dendrite": Kind.DENDRITE,
             "apical": Kind.APICAL}  # fmt: skip


def read_swc(path: PathLike, *, require_axon: bool = True) -> Morphology:
    """Read a neuron from an SWC file.

    The soma is moved to the origin; nothing is rotated: z of the file must be the somatodendritic
    axis. The axon of a file is unmyelinated; see :func:`myelinate`.

    Repaired, with a warning that says what was done: points in any order; a soma that is not the
    root of the tree, or is missing (one is put where the branches begin); several roots near the
    soma; a soma of several points, which becomes the sphere of the same area; radii that are not
    positive; unknown types.

    Parameters
    ----------
    path : str or path-like
        Seven columns: number, type, x, y, z, radius (um), parent. Types are those of
        :class:`Kind` (1 soma, 2 axon, 3 basal dendrite, 4 apical dendrite); 0, 5, 6 and 7 take
        the type of their parent. Files written by :func:`write_swc` come back as they were.
    require_axon : bool, default=True
        Complain about a file without axon (TMS excites axons first).

    Returns
    -------
    morphology : Morphology

    Raises
    ------
    ValueError
        For a line that is broken, numbers that are not finite, a number used twice, a parent that
        does not exist, a circle, parts far from the rest, or no axon. The message names the line.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from sklearn_meg.tms.neurons import make_neuron, read_swc, write_swc
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "cell.swc"
    >>> write_swc(make_neuron("L5 PC"), file)
    >>> read_swc(file).n_points == make_neuron("L5 PC").n_points
    True
    """
    path, rows, lines = Path(path), {}, {}
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1):
        text = line.split("#", 1)[0].replace(",", " ").strip()
        if text:
            label, *row = _parsed(text, f"{path.name}, line {number}")
            if label in rows:
                raise ValueError(
                    f"{path.name}, line {number}: the number {label} was used before, in line "
                    f"{lines[label]}."
                )
            rows[label], lines[label] = row, number
    if not rows:
        raise ValueError(f"{path.name} holds no points.")
    return _to_morphology(rows, path, require_axon)


def read_asc(path: PathLike, *, require_axon: bool = True) -> Morphology:
    """Read a neuron from a Neurolucida ASC file.

    Trees begin where they begin; what comes first in the file is not their parent but the soma,
    whose contour becomes the sphere of its mean radius. Spines, markers and other contours are
    left out. As in :func:`read_swc` the soma is moved to the origin and repairs are a warning.

    Parameters
    ----------
    path : str or path-like
        With ``(CellBody)`` contours and trees of ``(Axon)``, ``(Dendrite)`` and ``(Apical)``;
        points are x, y, z and diameter in um.
    require_axon : bool, default=True
        Complain about a file without axon.

    Returns
    -------
    morphology : Morphology

    Raises
    ------
    ValueError
        For a file with unbalanced brackets, or without any tree.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklearn_meg.tms import read_asc
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "cell.asc"
    >>> soma = '("Soma" (CellBody) (5 0 0 0) (0 5 0 0) (-5 0 0 0) (0 -5 0 0))'
    >>> axon = '((Axon) (0 0 -5 1) (0 0 -50 1) ((5 0 -90 1) | (-5 0 -90 1)))'
    >>> _ = file.write_text(soma + axon)
    >>> read_asc(file).n_points
    5
    """
    path = Path(path)
    blocks = _brackets(path.read_text(errors="replace"), path.name)
    rows, contour = {}, []
    for block in blocks:
        kind = next((_asc_kind(part) for part in block if _asc_kind(part)), None)
        if kind == Kind.SOMA:
            contour += [point for part in block if (point := _asc_point(part))]
        elif kind is not None:
            _add_tree(block, int(kind), -1, rows)
    if not rows:
        raise ValueError(f"{path.name} holds no tree of an axon or dendrite.")
    if contour:
        outline = np.array(contour)[:, :3]
        center = outline.mean(axis=0)
        radius = float(np.linalg.norm(outline - center, axis=1).mean())
        for row in rows.values():
            row[5] = len(rows) if row[5] == -1 else row[5]
        rows = {len(rows): [int(Kind.SOMA), *center, max(radius, 1.0), -1], **rows}
    return _to_morphology(rows, path, require_axon)


def write_swc(morphology: Morphology, path: PathLike) -> None:
    """Write a neuron to an SWC file, one that :func:`read_swc` reads back.

    Parameters
    ----------
    morphology : Morphology
    path : str or path-like
        Overwritten if it exists.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklearn_meg.tms.neurons import make_neuron, write_swc
    >>> write_swc(make_neuron("L5 PC"), pathlib.Path(tempfile.mkdtemp()) / "cell.swc")
    """
    names = ", ".join(f"{kind.value} {kind.name.lower()}" for kind in Kind)
    lines = [f"# {morphology.name}", f"# types: {names}", "# number type x y z radius parent [um]"]
    for i in range(morphology.n_points):
        x, y, z = morphology.points[i]
        parent = morphology.parents[i]
        lines.append(
            f"{i + 1} {morphology.kinds[i]} {x:.6g} {y:.6g} {z:.6g} "
            f"{morphology.diameters[i] / 2:.6g} {parent + 1 if parent >= 0 else -1}"
        )
    Path(path).write_text("\n".join(lines) + "\n")


def _parsed(text, where):
    """Label, kind, position, radius and parent of a line."""
    columns = text.split()
    if len(columns) < 7:
        raise ValueError(f"{where}: an SWC line has 7 columns. Got {len(columns)}: {text!r}.")
    try:
        label, kind, parent = (int(float(columns[k])) for k in (0, 1, 6))
        values = [float(column) for column in columns[2:6]]
    except (ValueError, OverflowError):
        raise ValueError(f"{where}: numbers are expected. Got {text!r}.") from None
    if not all(math.isfinite(value) for value in values):
        raise ValueError(f"{where}: positions and radius must be finite. Got {text!r}.")
    return label, kind, *values, parent


# ------------------------------------------------------------------ repairs, on {label: row}


def _to_morphology(rows, path, require_axon):
    repairs = []
    _check_parents(rows, path)
    _repair_radii(rows, repairs)
    root = _one_root(rows, path, repairs)
    order = _from(root, rows, path, repairs)
    _inherit_kinds(order, rows, repairs)
    points = np.array([rows[label][1:4] for label in order])
    index = {label: i for i, label in enumerate(order)}
    parents = [-1, *(index[rows[label][5]] for label in order[1:])]
    kinds = np.array([rows[label][0] for label in order])
    diameters = 2 * np.array([rows[label][4] for label in order])
    morphology = Morphology(points - points[0], diameters, parents, kinds, name=path.stem)
    if repairs:
        warn_assumption("repaired-morphology", f"{path.name} was repaired: {'; '.join(repairs)}.")
    extent = np.ptp(morphology.points, axis=0).max()
    if len(points) >= DOUBTS.fewest and not DOUBTS.smallest <= extent <= DOUBTS.largest:
        warn_assumption("morphology-units", f"{path.name} extends over {extent:.3g} micrometers.")
    if require_axon and not morphology.has_axon:
        raise ValueError(
            f"{path.name} has no axon (type 2). TMS excites axons first: a threshold without one "
            "means little. Pass require_axon=False to read it all the same."
        )
    return morphology


def _check_parents(rows, path):
    for label, row in rows.items():
        if row[5] == label:
            raise ValueError(f"{path.name}: point {label} hangs from itself.")
        if row[5] not in rows:
            if row[5] >= 0:
                raise ValueError(
                    f"{path.name}: the parent {row[5]} of point {label} does not exist."
                )
            row[5] = -1


def _repair_radii(rows, repairs):
    wrong = [row for row in rows.values() if row[4] <= 0]
    for row in wrong:
        row[4] = THINNEST
    if wrong:
        repairs.append(f"{len(wrong)} radii that were not positive are {THINNEST} um")


def _one_root(rows, path, repairs):
    """Label of the soma, from which everything hangs."""
    roots = [label for label, row in rows.items() if row[5] == -1]
    somatic = [label for label, row in rows.items() if row[0] == Kind.SOMA]
    if not roots:
        raise ValueError(f"{path.name}: points hang from one another in a circle, without a root.")
    if not somatic:
        return _made_soma(rows, roots, path, repairs)
    root = next((label for label in roots if label in somatic), somatic[0])
    if root not in roots:
        _turn_around(root, rows)
        roots = [label for label, row in rows.items() if row[5] == -1]
        repairs.append(f"the soma (point {root}) was not the root, and is now")
    _join(root, [label for label in roots if label != root], somatic, rows, path, repairs)
    return root


def _made_soma(rows, roots, path, repairs):
    """A soma where the branches begin, for a file without one."""
    starts = np.array([rows[label][1:4] for label in roots])
    center = starts.mean(axis=0)
    reach = float(np.linalg.norm(starts - center, axis=1).max())
    radius = max(SOMA_WITHOUT, reach, *(rows[label][4] for label in roots))
    if radius > 30:
        raise ValueError(
            f"{path.name} has no soma (type 1), and its {len(roots)} branches begin up to "
            f"{2 * reach:.0f} um apart: it is not clear where it would be."
        )
    label = min(rows) - 1 if min(rows) > 0 else max(rows) + 1
    for start in roots:
        rows[start][5] = label
    rows[label] = [int(Kind.SOMA), *center, radius, -1]
    repairs.append(f"no point was a soma (type 1): one of radius {radius:.1f} um was added")
    return label


def _turn_around(root, rows):
    """Reverse the parents between a point and its root."""
    label, before = root, -1
    while label != -1:
        after = rows[label][5]
        rows[label][5], before, label = before, label, after


def _join(root, others, somatic, rows, path, repairs):
    """Hang parts with roots of their own from the soma, if they begin near it."""
    if not others:
        return
    place = np.array(rows[root][1:4])
    near = max(3 * max(rows[label][4] for label in somatic), 30.0)
    for label in others:
        distances = [np.linalg.norm(np.array(rows[s][1:4]) - rows[label][1:4]) for s in somatic]
        if label not in somatic and min(distances) > near:
            raise ValueError(
                f"{path.name}: a second root, point {label}, is {min(distances):.0f} um from the "
                f"soma at {place.round(1).tolist()}. A morphology must be one connected tree."
            )
        rows[label][5] = root
    repairs.append(f"{len(others)} parts with roots of their own hang from the soma now")


def _from(root, rows, path, repairs):
    """Labels in an order in which parents come first; the order of the file where it is one."""
    labels, seen = list(rows), {root}
    order, pending = [root], [label for label in labels if label != root]
    n_passes = 0
    while pending:
        left = []
        for label in pending:
            if rows[label][5] in seen:
                seen.add(label)
                order.append(label)
            else:
                left.append(label)
        if len(left) == len(pending):
            raise ValueError(f"{path.name}: points hang from one another in a circle: {left[:5]}.")
        pending, n_passes = left, n_passes + 1
    if n_passes > 1 or labels[0] != root:
        repairs.append("points were sorted so that parents come first")
    return order


def _inherit_kinds(order, rows, repairs):
    known, strange = {int(kind) for kind in Kind}, set()
    for label in order[1:]:
        row = rows[label]
        if row[0] not in known:
            if row[0] not in _INHERIT:
                strange.add(row[0])
            parent = rows[row[5]][0]
            row[0] = parent if parent != Kind.SOMA or row[0] in _INHERIT else int(Kind.DENDRITE)
    if strange:
        repairs.append(f"unknown types {sorted(strange)} are those of their parents, or dendrite")


# ------------------------------------------------------------------ Neurolucida


def _brackets(text, name):
    """Nested lists of the brackets of a file; words and "|" are strings."""
    text = re.sub(r";[^\n]*|<[^>]*>", " ", text)  # comments and spines
    tokens = re.findall(r'"[^"]*"|[()|]|[^\s()|"]+', text)
    stack = [[]]
    for token in tokens:
        if token == "(":
            stack.append([])
        elif token == ")":
            if len(stack) == 1:
                raise ValueError(f"{name}: a closing bracket without an opening one.")
            done = stack.pop()
            stack[-1].append(done)
        else:
            stack[-1].append(token)
    if len(stack) != 1:
        raise ValueError(f"{name}: {len(stack) - 1} brackets are not closed.")
    return [block for block in stack[0] if isinstance(block, list)]


def _asc_kind(part):
    if isinstance(part, list) and len(part) == 1 and isinstance(part[0], str):
        return ASC_KINDS.get(part[0].lower())
    return None


def _asc_point(part):
    """x, y, z and diameter, or None."""
    try:
        return [float(value) for value in (part[:4] if isinstance(part, list) else ())] or None
    except (TypeError, ValueError):
        return None


def _add_tree(parts, kind, parent, rows):
    """Points of a tree; a list that holds lists is a fork, "|" divides its branches."""
    start = parent
    for part in parts:
        if part == "|":
            parent = start
        elif point := _asc_point(part):
            if len(point) < 4:
                continue
            rows[len(rows)] = [kind, *point[:3], point[3] / 2, parent]
            parent = len(rows) - 1
        elif isinstance(part, list) and _is_fork(part):
            _add_tree(part, kind, parent, rows)


def _is_fork(part):
    """Whether a list holds points, and begins with one (spines and markers begin with a name)."""
    holds = any(_asc_point(inner) for inner in part)
    return holds and (not isinstance(part[0], str) or bool(_asc_point(part[0])))
