"""Growing the bare tree of a neuron: soma, dendrites, apical tuft, axon and its collaterals."""

from dataclasses import dataclass

import numpy as np

from ._morphology import Kind, Morphology
from ._myelin import _Tree

__all__ = ["Recipe", "grow"]

STEP = 50.0  # um between two bends


@dataclass(frozen=True)
class Recipe:
    """Sizes of a cell type: lengths and diameters in um, angles in degrees."""

    soma: float
    basal: tuple  # number, length, diameter
    apical: tuple | None  # length of the trunk, its diameter, number of obliques, tuft length
    axon: tuple  # length of the main axon, its diameter; it runs downwards
    collaterals: tuple  # number, first and last depth on the main axon, mean length, diameter
    elevation: tuple  # range of the angle of collaterals with the horizontal plane
    spacing: float  # of a 9 x 9 x 9 grid that covers the axon, in m


def grow(recipe, rng, name):
    """Grow a neuron of a recipe.

    rng (numpy.random.RandomState)
    Returns morphology (Morphology): With an unmyelinated axon.
    """
    tree = _Tree()
    soma = tree.add([0, 0, 0], recipe.soma, -1, Kind.SOMA)
    _grow_basal(tree, rng, soma, *recipe.basal)
    if recipe.apical is not None:
        _grow_apical(tree, rng, soma, *recipe.apical)
    _grow_axon(tree, rng, soma, recipe)
    return Morphology(*tree.arrays(), name=name)


def _grow_basal(tree, rng, soma, number, length, diameter):
    for azimuth in _azimuths(rng, number):
        stem = _direction(azimuth, rng.uniform(-60, 25))
        fork = _walk(tree, rng, soma, stem, 0.35 * length, diameter, Kind.DENDRITE)
        _fork(tree, rng, fork, stem, 0.65 * length, 0.7 * diameter, Kind.DENDRITE, angle=35)


def _grow_apical(tree, rng, soma, length, diameter, n_obliques, tuft):
    """A trunk upward with oblique branches, and a tuft of three branches at its end."""
    stops = np.sort(rng.uniform(0.15, 0.7, n_obliques)) * length
    azimuths = _azimuths(rng, n_obliques)
    tip, done = soma, 0.0
    for stop, azimuth in zip([*stops, length], [*azimuths, None]):
        tip = _walk(tree, rng, tip, [0, 0, 1], stop - done, diameter, Kind.APICAL, wiggle=0.05)
        done = stop
        if azimuth is not None:
            side = _direction(azimuth, rng.uniform(0, 40))
            _walk(tree, rng, tip, side, rng.uniform(80, 160), 0.35 * diameter, Kind.APICAL)
    for azimuth in _azimuths(rng, 3):
        side = _direction(azimuth, rng.uniform(30, 60))
        _walk(tree, rng, tip, side, tuft, 0.4 * diameter, Kind.APICAL)


def _grow_axon(tree, rng, soma, recipe):
    length, diameter = recipe.axon
    number, first, last, mean, thin = recipe.collaterals
    stops = np.linspace(first, last, number) + rng.uniform(-0.3, 0.3, number) * (
        (last - first) / max(number - 1, 1)
    )
    tip, done = soma, 0.0
    for stop, azimuth in zip(np.clip(stops, 35, None), _azimuths(rng, number)):
        down = [0, 0, -1]
        tip = _walk(tree, rng, tip, down, stop - done, diameter, Kind.AXON, wiggle=0.06)
        done = stop
        side = _direction(azimuth, rng.uniform(*recipe.elevation))
        reach, width = mean * rng.uniform(0.7, 1.3), thin * rng.uniform(0.8, 1.2)
        fork = _walk(tree, rng, tip, side, 0.45 * reach, width, Kind.AXON)
        _fork(tree, rng, fork, side, 0.55 * reach, 0.85 * width, Kind.AXON, angle=40)
    if length > done:
        _walk(tree, rng, tip, [0, 0, -1], length - done, diameter, Kind.AXON, wiggle=0.06)


def _fork(tree, rng, start, direction, length, diameter, kind, angle):
    """Two daughters on either side of a direction, a thick one and a thin one."""
    sideways = np.cross(direction, rng.standard_normal(3))
    sideways *= np.tan(np.radians(angle)) / np.linalg.norm(sideways)
    for side, thickness in ((-1, 1.1), (1, 0.7)):
        daughter = np.asarray(direction) + side * rng.uniform(0.7, 1.3) * sideways
        reach = rng.uniform(0.6, 1.2) * length
        _walk(tree, rng, start, daughter, reach, thickness * diameter, kind)


def _walk(tree, rng, start, direction, length, diameter, kind, wiggle=0.2):
    """Add a path that keeps its direction but for small bends; return its last point."""
    direction = np.asarray(direction, dtype=float)
    n_steps = max(1, round(length / STEP))
    point = tree.points[start]
    for _ in range(n_steps):
        heading = direction / np.linalg.norm(direction) + wiggle * rng.standard_normal(3)
        point = point + heading / np.linalg.norm(heading) * length / n_steps
        start = tree.add(point, diameter, start, kind)
    return start


def _azimuths(rng, number):
    """Angles that surround the axis evenly, give or take, in random order."""
    if not number:
        return np.empty(0)
    turn = 360 / number
    return rng.permutation(turn * (np.arange(number) + rng.uniform(-0.3, 0.3, number)))


def _direction(azimuth, elevation):
    azimuth, elevation = np.radians(azimuth), np.radians(elevation)
    flat = np.cos(elevation)
    return np.array([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)])
