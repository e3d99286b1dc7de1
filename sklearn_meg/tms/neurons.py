"""Neurons to stimulate: procedural cells of five cortical types, and a user's own from SWC."""

from __future__ import annotations

import numbers
import zlib
from typing import TYPE_CHECKING

import numpy as np

from .._checks.params import check_random_state
from ._grow import Recipe, grow
from ._morphology import Kind, Morphology
from ._myelin import myelinate
from ._swc import read_asc, read_swc, write_swc

if TYPE_CHECKING:
    from typing import Literal

    from .._typing import RandomSeed

__all__ = [
    "CELL_TYPES",
    "Kind",
    "Morphology",
    "grid_spacing",
    "make_neuron",
    "myelinate",
    "read_asc",
    "read_swc",
    "write_swc",
]

_RECIPES = {
    "L1 NGC": Recipe(
        soma=11,
        basal=(6, 110, 1.0),
        apical=None,
        axon=(90, 0.8),
        collaterals=(8, 40, 85, 330, 0.65),
        elevation=(-25, 25),
        spacing=0.1e-3,
    ),
    "L2/3 PC": Recipe(
        soma=15,
        basal=(5, 130, 1.4),
        apical=(230, 2.2, 3, 130),
        axon=(850, 1.2),
        collaterals=(6, 90, 480, 480, 0.8),
        elevation=(-35, 30),
        spacing=0.25e-3,
    ),
    "L4 LBC": Recipe(
        soma=14,
        basal=(7, 170, 1.2),
        apical=None,
        axon=(260, 1.1),
        collaterals=(7, 45, 240, 520, 0.85),
        elevation=(-35, 45),
        spacing=0.175e-3,
    ),
    "L5 PC": Recipe(
        soma=20,
        basal=(6, 180, 1.8),
        apical=(750, 4.0, 4, 180),
        axon=(1050, 1.7),
        collaterals=(6, 110, 600, 620, 1.0),
        elevation=(-40, 40),
        spacing=0.275e-3,
    ),
    "L6 PC": Recipe(
        soma=15,
        basal=(5, 140, 1.3),
        apical=(480, 2.0, 4, 90),
        axon=(800, 1.3),
        collaterals=(6, 100, 380, 560, 0.85),
        elevation=(-10, 65),
        spacing=0.25e-3,
    ),
}
CELL_TYPES = tuple(_RECIPES)


def make_neuron(
    cell_type: Literal["L1 NGC", "L2/3 PC", "L4 LBC", "L5 PC", "L6 PC"],
    clone: int = 0,
    random_state: RandomSeed = 0,
) -> Morphology:
    """Grow a myelinated neuron of one of five cortical types.

    A cell is drawn from its type, clone and seed alone: the same three give the same neuron,
    another clone the same kind of neuron with other branches. z is the somatodendritic axis,
    towards the pial surface; the main axon runs the other way.

    Parameters
    ----------
    cell_type : {"L1 NGC", "L2/3 PC", "L4 LBC", "L5 PC", "L6 PC"}
        Neurogliaform cell of layer 1, pyramidal cell of layer 2/3, 5 or 6, large basket cell of
        layer 4.
    clone : int, default=0
        Number of the cell within this type (0, 1, 2, ...; there is no last one).
    random_state : int or RandomState instance, default=0
        Another seed gives another family of clones.

    Returns
    -------
    morphology : Morphology

    Raises
    ------
    ValueError
        For an unknown type or a clone that is no whole number from 0.

    Notes
    -----
    These cells are rebuilt from general proportions, not reconstructions: where the types sit and
    how far they reach follows Markram et al. (Cell, 2015), the myelin Aberra et al. (J Neural Eng,
    2018; Brain Stimul, 2020). The axons have far fewer branches than real ones, so that a cell has
    about 200 to 400 compartments. The dense local axon of the neurogliaform cell reaches 0.3 mm,
    the basket cell's lateral axon 0.6 mm, the pyramidal cells send a main axon of 0.8 to 1.1 mm
    down and collaterals of 0.5 to 0.7 mm sideways (in layer 6 also upwards). Axons are 0.5 to
    1.7 um thick. Whoever has reconstructions brings them with :func:`read_swc`.

    Examples
    --------
    >>> from sklearn_meg.tms.neurons import Kind, make_neuron
    >>> cell = make_neuron("L5 PC")
    >>> cell.has_axon, cell.length(Kind.INTERNODE) > cell.length(Kind.NODE)
    (True, True)
    """
    recipe = _recipe(cell_type)
    if not isinstance(clone, numbers.Integral) or isinstance(clone, bool) or clone < 0:
        raise ValueError(f"clone must be a whole number from 0. Got {clone!r}.")
    if not isinstance(random_state, numbers.Integral):
        random_state = check_random_state(random_state).randint(2**31)
    rng = np.random.RandomState(
        [zlib.crc32(cell_type.encode()), int(clone), int(random_state) % 2**32]
    )
    return myelinate(grow(recipe, rng, f"{cell_type} {clone}"))


def grid_spacing(cell_type: Literal["L1 NGC", "L2/3 PC", "L4 LBC", "L5 PC", "L6 PC"]) -> float:
    """Return the spacing of a 9 x 9 x 9 grid that just covers the axon of a cell type.

    Parameters
    ----------
    cell_type : {"L1 NGC", "L2/3 PC", "L4 LBC", "L5 PC", "L6 PC"}

    Returns
    -------
    spacing : float
        Spacing in m. The grid reaches 4 spacings from the soma on every side.

    Raises
    ------
    ValueError
        For an unknown type.

    Examples
    --------
    >>> from sklearn_meg.tms.neurons import grid_spacing
    >>> round(grid_spacing("L5 PC") * 1e3, 3)
    0.275
    """
    return _recipe(cell_type).spacing


def _recipe(cell_type):
    if cell_type not in _RECIPES:
        raise ValueError(f"cell_type must be one of {list(CELL_TYPES)}. Got {cell_type!r}.")
    return _RECIPES[cell_type]
