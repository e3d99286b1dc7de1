"""The parts of a data set of thresholds: one is simulated by one process and kept in one file."""

import warnings
from functools import lru_cache

import numpy as np

from .._saving.store import read_arrays, write_whole
from .._training.threads import one_blas_thread
from ._neuron_sim import activation_threshold
from .coil import figure8_coil
from .field import (
    HeterogeneousField,
    SphereField,
    draw_placements,
    grid_points,
    to_head,
    to_neuron,
)

COIL_HEIGHT = 0.0925  # m from the center of the head: 5 mm above a scalp of 87.5 mm
SINGLE = ("grids", "position", "axis", "azimuth", "geometry", "threshold")


@one_blas_thread()  # the same bits in any process
def run_part(world, settings, folder, start, stop):
    """Simulate the placements from `start` to `stop`; write them into the folder, if any.

    world (tuple): The clones (list of Morphology), the field factory or None, and the pulse.
    folder (Path or None)
    Returns start (int), part (dict of ndarray)
    """
    part = _part(*world, settings, start, stop)
    if folder is not None:
        save(part_file(folder, start), part)
    return start, part


def _part(cells, field_factory, pulse, settings, start, stop):
    placements = [_place(settings, k) for k in range(start, stop)]
    grids, fields = zip(*(_fields(cells, field_factory, settings, place) for place in placements))
    options = {"pulse": pulse, **{key: settings[key] for key in ("coupling", "solver")}}
    thresholds = [
        activation_threshold(cell, np.concatenate([E[k] for E in fields]), **options)
        for k, cell in enumerate(cells)
    ]
    shape = (len(placements), settings["n_azimuths"])
    part = {name: np.array([place[name] for place in placements]) for name in SINGLE[1:5]}
    part["grids"] = np.array(grids, dtype=np.float32)
    part["threshold"] = np.stack([values.reshape(shape) for values in thresholds], axis=1)
    return part


def _place(settings, k):
    """Draw placement number k, from its own seed."""
    geometry = settings["first_geometry"] + k
    rng = np.random.RandomState([settings["random_state"] % 2**32, geometry])
    one = draw_placements(1, rng, first_geometry=geometry)
    return {name: values[0] for name, values in one.items()}


def _fields(cells, field_factory, settings, place):
    """E on the grid, and for every clone at its points for all azimuths; in neurons' frames."""
    position, axis = place["position"], place["axis"]
    if field_factory is None:
        field = _default_field(position, axis, int(place["geometry"]), settings["heterogeneity"])
    else:
        field = field_factory(position, axis, int(place["geometry"]))

    def sample(points, azimuth):
        E = field(to_head(points, position, axis, azimuth))
        return settings["polarity"] * to_neuron(E, axis, azimuth)

    size = settings["size"]
    grid = grid_points(size, settings["spacing"])
    azimuths = place["azimuth"] + offsets(settings)
    E_grid = sample(grid.reshape(-1, 3), place["azimuth"]).reshape(grid.shape)
    return E_grid, [[sample(cell.points * 1e-6, a) for a in azimuths] for cell in cells]


def offsets(settings):
    """Angles (radians) by which the neurons of a population are turned about their axes."""
    return 2 * np.pi * np.arange(settings["n_azimuths"]) / settings["n_azimuths"]


def _default_field(position, axis, geometry, heterogeneity):
    sphere = _default_sphere()
    if heterogeneity == 0:
        return sphere.local(position)
    return HeterogeneousField(sphere, position, axis, heterogeneity, geometry)


@lru_cache(maxsize=1)
def _default_sphere():
    return SphereField(figure8_coil().at([0, 0, COIL_HEIGHT], [0, 0, -1]))


def part_file(folder, start):
    """Name the file of a part."""
    return folder / f"part_{start:07d}.npz"


def read_part(folder, start, stop):
    """Read a part: None if it is not there, damaged, or ends elsewhere (that of a shorter run)."""
    if folder is None or not part_file(folder, start).exists():
        return None
    try:
        part = read_arrays(part_file(folder, start))
    except ValueError as error:
        warnings.warn(f"{error} It is simulated again.", UserWarning)
        return None
    return part if len(part["azimuth"]) == stop - start else None


def save(path, arrays):
    """Write all or nothing."""
    write_whole(path, lambda file: np.savez(file, **arrays))
