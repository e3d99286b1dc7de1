"""Making data sets of activation thresholds: fields around neurons, and when the neurons fire.

From the command line::

    python -m sklearn_meg.tms.generate "L5 PC" --n 8000 --out l5.npz --n-jobs 2
"""

from __future__ import annotations

import argparse
import hashlib
import json
import numbers
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import joblib
import numpy as np

from .._saving.store import read_arrays, write_whole
from ._cable import MODEL
from ._heterogeneous import check_heterogeneity
from ._neuron_sim import check_options, choose_solver
from ._parts import SINGLE, offsets, read_part, run_part, save
from .field import grid_points
from .neuron_cell import NeuronCell
from .neurons import CELL_TYPES, Morphology, grid_spacing, make_neuron
from .pulses import PULSES, pulse_key

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal

    from .._typing import PathLike, Pulse


__all__ = ["load_tms_dataset", "make_tms_dataset"]

HETEROGENEITY = 0.8
CHUNK = 160  # placements in a part; a killed run repeats at most this many a process


def make_tms_dataset(
    cell: str | Morphology | NeuronCell,
    n: int,
    path: PathLike | None = None,
    *,
    clone: int = 0,
    n_clones: int = 1,
    n_azimuths: int = 1,
    pulse: Pulse = "monophasic",
    polarity: Literal[1, -1] = 1,
    coupling: Literal["axial", "extracellular"] = "axial",
    solver: Literal["auto", "batched", "neuron"] = "auto",
    heterogeneity: float = HETEROGENEITY,
    field_factory: Callable | None = None,
    size: int = 9,
    spacing: float | None = None,
    first_geometry: int = 0,
    random_state: int = 0,
    n_jobs: int | None = None,
    verbose: int = 1,
) -> dict:
    """Simulate the thresholds of a neuron at many places under a coil.

    Each placement has its own position, axis, azimuth and surroundings, drawn from `random_state`
    and its geometry seed alone: results do not depend on `n_jobs`, nor on `n` (a longer data set
    begins with the shorter one). Ranges of geometry seeds that do not overlap give data sets that
    share nothing.

    Parameters
    ----------
    cell : str, Morphology or NeuronCell
        A type of :func:`make_neuron`, or a neuron of your own (then `spacing` must be given). A
        :class:`NeuronCell` is simulated by NEURON with its own mechanisms, in this process.
    n : int
        Number of placements.
    path : str or path-like, optional
        File of the data set (.npz). During the run, finished parts are kept in a folder
        of that name with ".parts" behind it: a run that was killed goes on from there. A
        finished file with the same settings is read, not made again.
    clone : int, default=0
        Number of the clone of the type; the first one if `n_clones` is above 1.
    n_clones, n_azimuths : int, default=1
        Above 1: a population. Every clone is simulated at the azimuth of the placement and turned
        about its axis by k / `n_azimuths` of a circle (seen by a turned neuron, the grid turns
        the other way).
    pulse : {"monophasic", "biphasic", "half-sine"}, array-like of shape (n, 2) or callable
        Waveform, see :func:`pulse_waveform`.
    polarity : {1, -1}, default=1
        -1 reverses the field: grids and thresholds are those of -E.
    coupling : {"axial", "extracellular"}, default="axial"
        Coupling of the field to NEURON, see :func:`activation_threshold`.
    solver : {"auto", "batched", "neuron"}, default="auto"
        Simulator, see :func:`activation_threshold`; kept in the settings.
    heterogeneity : float, default=0.8
        Heterogeneity of :class:`HeterogeneousField`; 0 is the homogeneous sphere. At 0.8 the best
        map from a uniform field misses the thresholds of the layer 5 cell by about 10 %, somewhat
        more than it did in the head model of Aberra et al. (2023).
    field_factory : callable, optional
        ``field_factory(position, axis, geometry) -> field`` instead of a figure-8 coil over the
        sphere with heterogeneity. Must be picklable for `n_jobs` above 1. To go on with a
        `path` in another process it must be a function of a module, known by its name (choose
        another `path` when what it does changes), or have a ``repr`` that says what it is.
    size : int, default=9
        Points along each side of the grids.
    spacing : float, optional
        Spacing of the grids, in m. None: :func:`grid_spacing`, which just covers the axon.
    first_geometry : int, default=0
        Geometry seed of the first placement; the others count on.
    random_state : int, default=0
    n_jobs : int, optional
        Processes, as in joblib.
    verbose : int, default=1
        0 for no progress bar.

    Returns
    -------
    dataset : dict
        ``grids`` (n, size, size, size, 3) float32, E in the neuron's frame, V/m per A/us;
        ``threshold`` in A/us, (n,) or (n, n_clones, n_azimuths) for a population;
        ``threshold_field`` the same in V/m at the soma; ``censored``, True where the neuron did
        not fire up to 10 000 A/us (thresholds NaN, as ThresholdCNN takes them);
        ``position`` (m), ``axis``, ``azimuth``, ``geometry`` of the placements;
        ``clones``; ``azimuths`` (offsets, radians); ``settings``, a dict.

    Raises
    ------
    ImportError
        If the solver is missing (extra ``tms``).
    ValueError
        For parameters out of range, or a `path` that holds a data set with other settings.

    Examples
    --------
    >>> from sklearn_meg.tms.generate import make_tms_dataset
    >>> dataset = make_tms_dataset("L1 NGC", 2, verbose=0)
    >>> dataset["grids"].shape, dataset["threshold"].shape
    ((2, 9, 9, 9, 3), (2,))
    """
    _check_counts(
        n=n,
        n_clones=n_clones,
        n_azimuths=n_azimuths,
        first_geometry=first_geometry,
        random_state=random_state,
    )
    check_options(polarity, coupling, pulse)
    check_heterogeneity(heterogeneity)
    spacing = _spacing(cell, spacing)
    grid_points(size, spacing)  # complains before any computation
    cells = _cells(cell, clone, n_clones)
    foreign = isinstance(cell, NeuronCell)
    if foreign:
        _check_foreign(coupling, solver, n_jobs)
    settings = {
        "cells": [neuron.name for neuron in cells],
        "model": _digest(cells),
        "n": int(n),
        "clones": list(range(clone, clone + n_clones)),
        "n_azimuths": int(n_azimuths),
        "pulse": pulse_key(pulse),
        "polarity": int(polarity),
        "coupling": coupling,
        "solver": "neuron" if foreign else choose_solver(solver, coupling),
        "heterogeneity": float(heterogeneity),
        "field": _name_of_field(field_factory),
        "size": int(size),
        "spacing": float(spacing),
        "first_geometry": int(first_geometry),
        "random_state": int(random_state),
    }
    return _made_or_read(path, (cells, field_factory, pulse), settings, n_jobs, verbose)


def load_tms_dataset(path: PathLike) -> dict:
    """Read a data set that :func:`make_tms_dataset` wrote.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    dataset : dict
        As returned by :func:`make_tms_dataset`.

    Raises
    ------
    ValueError
        If the file is damaged, or something else.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn_meg.tms.generate import load_tms_dataset, make_tms_dataset
    >>> file = tempfile.mkdtemp() + "/l1.npz"
    >>> made = make_tms_dataset("L1 NGC", 1, file, verbose=0)
    >>> load_tms_dataset(file)["settings"] == made["settings"]
    True
    """
    dataset = read_arrays(path)
    if "settings" not in dataset:
        raise ValueError(f"{path} is not a file that make_tms_dataset wrote.")
    dataset["settings"] = json.loads(str(dataset["settings"]))
    return dataset


def _made_or_read(path, world, settings, n_jobs, verbose):
    """Read the data set of these settings where it is finished, else simulate what is missing."""
    if path is not None and Path(path).exists():
        return _finished(path, settings)
    folder = None if path is None else _open_parts(path, settings)
    dataset = _assemble(_run_parts(world, settings, folder, n_jobs, verbose), settings)
    if path is not None:
        save(Path(path), {**dataset, "settings": json.dumps(settings)})
        shutil.rmtree(folder)
    return dataset


def _check_counts(**values):
    for name, value in values.items():
        lowest = 0 if name in ("first_geometry", "random_state") else 1
        if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < lowest:
            raise ValueError(f"{name} must be a whole number from {lowest}. Got {value!r}.")


def _spacing(cell, spacing):
    if spacing is None and isinstance(cell, Morphology | NeuronCell):
        raise ValueError(
            "spacing must be given for a neuron of your own: the grid reaches size // 2 spacings "
            "(m) from the soma, and should cover the axon."
        )
    return grid_spacing(cell) if spacing is None else spacing


def _cells(cell, clone, n_clones):
    if isinstance(cell, Morphology | NeuronCell):
        if (clone, n_clones) != (0, 1):
            raise ValueError(
                f"clone and n_clones are for cell types. Got a {type(cell).__name__} as cell."
            )
        if not cell.has_axon:
            raise ValueError(f"{cell.name} has no axon. TMS excites axons first.")
        return [cell]
    return [make_neuron(cell, clone + k) for k in range(n_clones)]


def _check_foreign(coupling, solver, n_jobs):
    """Complain about what does not go with a cell that lives in this process, in NEURON."""
    for name, value, known in (
        ("coupling", coupling, ("axial",)),
        ("solver", solver, ("auto", "neuron")),
        ("n_jobs", n_jobs, (None, 1)),
    ):
        if value not in known:
            raise ValueError(
                f"{name} must be {' or '.join(map(repr, known))} for a NeuronCell, which NEURON "
                f"holds in this process. Got {value!r}."
            )


def _name_of_field(field_factory):
    """Name that tells fields apart in the settings."""
    if field_factory is None:
        return "figure-8 over a sphere"
    name = getattr(field_factory, "__qualname__", "<")
    if "<" in name:  # one of many lambdas or inner functions, or an object
        return repr(field_factory)
    return f"{field_factory.__module__}.{name}"  # its repr would be another in the next process


def _digest(cells):
    """A mark that tells when neurons, or their membranes, are not those of an old file."""
    digest = hashlib.sha1(MODEL.encode())
    for cell in cells:
        if isinstance(cell, NeuronCell):
            digest.update(cell.key().encode())
            continue
        for array in (cell.points, cell.diameters):
            digest.update(np.round(array, 3).tobytes())
        digest.update(cell.kinds.astype(np.int64).tobytes())
    return digest.hexdigest()


def _run_parts(world, settings, folder, n_jobs, verbose):
    """Simulate the parts that are not there yet, in parallel; return them all, in order."""
    from tqdm.auto import tqdm

    n = settings["n"]
    stops = {start: min(start + CHUNK, n) for start in range(0, n, CHUNK)}
    parts = {start: read_part(folder, start, stop) for start, stop in stops.items()}
    missing = [start for start in stops if parts[start] is None]
    jobs = (
        joblib.delayed(run_part)(world, settings, folder, start, stops[start]) for start in missing
    )
    pool = joblib.Parallel(n_jobs=n_jobs, return_as="generator_unordered")
    done = n - sum(stops[start] - start for start in missing)
    name = settings["cells"][0]
    with tqdm(total=n, initial=done, desc=name, unit="cell", disable=not verbose) as bar:
        for start, part in pool(jobs):
            parts[start] = part
            bar.update(stops[start] - start)
    return [parts[start] for start in stops]


def _assemble(parts, settings):
    """The data set from its parts; thresholds that were not found are NaN."""
    dataset = {name: np.concatenate([part[name] for part in parts]) for name in SINGLE}
    middle = settings["size"] // 2
    center = np.linalg.norm(dataset["grids"][:, middle, middle, middle], axis=-1)
    if dataset["threshold"].shape[1:] == (1, 1):
        dataset["threshold"] = dataset["threshold"][:, 0, 0]
    dataset["censored"] = ~np.isfinite(dataset["threshold"])
    threshold = np.where(dataset["censored"], np.nan, dataset["threshold"])
    dataset["threshold"] = threshold
    dataset["threshold_field"] = threshold * center.reshape(-1, *[1] * (threshold.ndim - 1))
    dataset["clones"] = np.array(settings["clones"])
    dataset["azimuths"] = offsets(settings)
    return {**dataset, "settings": settings}


def _finished(path, settings):
    """Read a data set that is there already, if it is the one that was asked for."""
    dataset = load_tms_dataset(path)
    _compare(dataset["settings"], settings, path)
    return dataset


def _open_parts(path, settings):
    """Return the folder of the parts, empty or of an earlier run with the same settings."""
    folder = Path(f"{path}.parts")
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / "settings.json"
    if note.exists():
        # A longer run may go on where a shorter one was stopped.
        _compare({**_read_note(note), "n": settings["n"]}, settings, folder)
    write_whole(note, lambda file: file.write(json.dumps(settings).encode()))
    return folder


def _read_note(note):
    try:
        return dict(json.loads(note.read_text()))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{note} is damaged ({error}). Delete its folder.") from error


def _compare(old, new, where):
    other = [
        f"{key}: {old.get(key)!r} there, {new[key]!r} now"
        for key in new
        if old.get(key) != new[key]
    ]
    if other:
        raise ValueError(
            f"{where} was made with other settings ({'; '.join(other)}). Choose another path, or "
            "delete it."
        )


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m sklearn_meg.tms.generate",
        description="Simulate activation thresholds of a neuron at many places under a TMS coil.",
    )
    parser.add_argument("cell", choices=CELL_TYPES)
    parser.add_argument("--n", type=int, required=True, help="number of placements")
    parser.add_argument("--out", required=True, help="file to write (.npz)")
    parser.add_argument("--n-jobs", type=int, default=1, help="number of processes")
    parser.add_argument("--clone", type=int, default=0)
    parser.add_argument("--clones", type=int, default=1, help="more than 1: a population")
    parser.add_argument("--azimuths", type=int, default=1, help="of every clone of a population")
    parser.add_argument("--pulse", choices=PULSES, default="monophasic")
    parser.add_argument("--polarity", type=int, choices=(1, -1), default=1)
    parser.add_argument(
        "--heterogeneity", type=float, default=HETEROGENEITY, help="0: homogeneous sphere"
    )
    parser.add_argument("--spacing", type=float, help="of the grids, in m (default: by type)")
    parser.add_argument("--first-geometry", type=int, default=0, help="first seed of geometry")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser


def main(arguments=None):
    """Run from the command line.

    arguments (list of str): Default: those of the process.
    Returns status (int)
    """
    options = _parser().parse_args(arguments)
    dataset = make_tms_dataset(
        options.cell,
        options.n,
        options.out,
        clone=options.clone,
        n_clones=options.clones,
        n_azimuths=options.azimuths,
        pulse=options.pulse,
        polarity=options.polarity,
        heterogeneity=options.heterogeneity,
        spacing=options.spacing,
        first_geometry=options.first_geometry,
        random_state=options.seed,
        n_jobs=options.n_jobs,
        verbose=not options.quiet,
    )
    fields = dataset["threshold_field"][~dataset["censored"]]
    low, median, high = np.quantile(fields, [0.05, 0.5, 0.95]) if fields.size else [np.nan] * 3
    print(
        f"{options.out}: {len(dataset['grids'])} placements, "
        f"{dataset['censored'].sum()} thresholds censored; thresholds {median:.0f} V/m at the soma "
        f"(5 to 95 %: {low:.0f} to {high:.0f})"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
