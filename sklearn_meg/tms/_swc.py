"""SWC files: reading a user's own neuron, writing one of ours."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ._morphology import Kind, Morphology

if TYPE_CHECKING:
    from .._typing import PathLike

__all__ = ["read_swc", "write_swc"]

# Types of the older convention (fork point, end point) and "undefined" say nothing about what a
# point is made of: such points are what their parent is.
_INHERIT = {0, 5, 6, 7}


def read_swc(path: PathLike, *, require_axon: bool = True) -> Morphology:
    """Read a neuron from an SWC file.

    The soma is moved to the origin; nothing is rotated: z of the file must be the somatodendritic
    axis. The axon of a file is unmyelinated; see :func:`myelinate`.

    Parameters
    ----------
    path : str or path-like
        Seven columns: number, type, x, y, z, radius (um), parent. Types are those of
        :class:`Kind` (1 soma, 2 axon, 3 basal dendrite, 4 apical dendrite); 0, 5, 6 and 7 take
        the type of their parent.
    require_axon : bool, default=True
        Complain about a file without axon (TMS excites axons first).

    Returns
    -------
    morphology : Morphology

    Raises
    ------
    ValueError
        For a line that is broken, numbers that are not finite, a parent that comes after its
        child or is missing (unsorted file), a number used twice, several roots, no soma, or no
        axon. The message names the line.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from sklearn_meg.tms.neurons import make_neuron, read_swc, write_swc
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "cell.swc"
    >>> write_swc(make_neuron("L5 PC"), file)
    >>> read_swc(file).n_points == make_neuron("L5 PC").n_points
    True
    """
    path = Path(path)
    index_of, rows, parents = {}, [], []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        text = line.split("#", 1)[0].strip()
        if text:
            _add_row(text, f"{path.name}, line {number}", index_of, rows, parents)
    if not rows:
        raise ValueError(f"{path.name} holds no points.")
    return _to_morphology(np.array(rows), np.array(parents), path, require_axon)


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


def _add_row(text, where, index_of, rows, parents):
    """Parse a line; raise with its number if it cannot belong to a sorted tree."""
    columns = text.split()
    if len(columns) < 7:
        raise ValueError(f"{where}: an SWC line has 7 columns. Got {len(columns)}: {text!r}.")
    try:
        label, kind = (int(float(column)) for column in columns[:2])
        values = [float(column) for column in columns[2:6]]
        parent = int(float(columns[6]))
    except (ValueError, OverflowError):
        raise ValueError(f"{where}: numbers are expected. Got {text!r}.") from None
    if not all(math.isfinite(value) for value in values):
        raise ValueError(f"{where}: positions and radius must be finite. Got {text!r}.")
    if values[3] <= 0:
        raise ValueError(f"{where}: the radius must be positive. Got {values[3]:g}.")
    if label in index_of:
        raise ValueError(f"{where}: the number {label} was used before.")
    if parent >= 0 and parent not in index_of:
        raise ValueError(
            f"{where}: the parent {parent} of point {label} does not come before it. Sort the file "
            "so that parents precede their children."
        )
    if parent < 0 and rows:
        raise ValueError(f"{where}: a second root. A morphology must be one connected tree.")
    if kind in _INHERIT and parent >= 0:
        kind = rows[index_of[parent]][0]
    if kind not in {int(known) for known in Kind}:
        raise ValueError(f"{where}: unknown type {kind}.")
    index_of[label] = len(rows)
    rows.append([kind, *values])
    parents.append(index_of[parent] if parent >= 0 else -1)


def _to_morphology(rows, parents, path, require_axon):
    kinds = rows[:, 0].astype(int)
    if kinds[0] != Kind.SOMA:
        somas = np.flatnonzero(kinds == Kind.SOMA)
        found = f"the soma is point {somas[0] + 1}" if len(somas) else "no point is a soma"
        raise ValueError(f"{path.name}: the root must be the soma (type 1), but {found}.")
    points = rows[:, 1:4] - rows[0, 1:4]
    morphology = Morphology(points, 2 * rows[:, 4], parents, kinds, name=path.stem)
    if require_axon and not morphology.has_axon:
        raise ValueError(
            f"{path.name} has no axon (type 2). TMS excites axons first: a threshold without one "
            "means little. Pass require_axon=False to read it all the same."
        )
    return morphology
