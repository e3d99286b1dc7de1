"""The field near a fold of the cortex: gray and white matter and cerebrospinal fluid."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING

import numpy as np

from .._checks.params import check_random_state, naming
from ._conduction import make_bodies
from ._frames import check_points, check_positions, check_vector
from ._settings import TISSUE

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._typing import ArrayLike, RandomSeed

N_FOLD, N_BALL = 8, 5  # random numbers that each takes


class HeterogeneousField:
    """Field of a coil near a neuron in a fold of the cortex, with conductivity interfaces.

    The field is ``E = E_primary - grad phi``. `primary` is the full field in a homogeneous
    sphere; phi is the potential of the charges where conductivity changes near the neuron: a
    *fold*, an endless cylinder of layers with the neuron in its gray layer (a gyrus: white
    core, gray, fluid; or a sulcus: fluid, gray, white), and small *balls* beside the neuron of any
    conductivity between white matter and fluid (they stand for vessels, spaces and patches).
    Interfaces are blurred: 10 to 90 % within 0.9 mm. The surroundings conduct like gray matter
    (0.275 S/m; white 0.126, fluid 1.654). Geometries are invented, not measured: they
    are chosen so that the field clearly varies within the millimeter that an axon reaches.

    What is a solution of the conduction problem, and what is not:

    - Each body alone, in an endless medium and a uniform applied field (that of `primary` at the
      soma), is solved: ``div(sigma E) = 0`` holds through all its blurred layers, up to the step
      of a 1-D grid (checked against the closed forms of sharp bodies).
    - What the interfaces add is the exact gradient of phi everywhere: it has no curl, so
      ``curl E = -dB/dt`` of the coil is as in `primary`, and what they add to the quasi-potential
      between two points does not depend on the path.
    - Not solved: that the applied field varies across a body (only its value at the soma drives
      the charges); what the bodies do to each other, which matters where balls lie near or across
      the interfaces of the fold, or across each other (nothing keeps them apart); and the skull
      and the rest of the cortex. ``div(sigma E) = 0`` is therefore only approximate for the sum.
      It is a model family for training and tests, not the head of a person.

    Near `position` (at most 14 mm) `primary` is replaced by a polynomial of degree 5 where it
    offers that (:meth:`SphereField.local`): at most about 0.2 % of the field at the soma off, and
    that only at the rim.

    Parameters
    ----------
    primary : callable
        Field in the homogeneous head, such as a :class:`SphereField`.
    position : array-like of shape (3,)
        Position of the soma, in m, head frame.
    axis : array-like of shape (3,)
        Somatodendritic axis, towards the pial surface.
    heterogeneity : float
        Exponent of all ratios of conductivities, and in proportion to it the number of balls
        (4 at 1): 0 is the homogeneous head, 1 the tissue values, 3 a far more heterogeneous family
        than any tissue, for tests outside the training distribution.
    random_state : int, RandomState instance or None
        Seed of the geometry. It decides shapes and directions relative to `axis`; `heterogeneity`
        only their conductivities (and how many of the balls there are).
    depth : float or pair of float, optional
        Depth of the soma in the gray layer: 0 at the surface of the brain, 1 at the white matter;
        or a range to draw it from. None draws it between 0.15 and 0.85.
    blur : float
        Scale of the logistic blur of log conductivity, in m.

    Attributes
    ----------
    applied : ndarray of shape (3,)
        `primary` at the soma.
    bodies : Bodies
        The fold, then the balls.

    Raises
    ------
    TypeError
        For a primary that cannot be called.
    ValueError
        For a position that looks like mm, an axis of length 0, or parameters out of range.

    Examples
    --------
    >>> from sklearn_meg.tms.coil import figure8_coil
    >>> from sklearn_meg.tms.field import HeterogeneousField, SphereField
    >>> sphere = SphereField(figure8_coil().at([0, 0, 0.09], [0, 0, -1]))
    >>> field = HeterogeneousField(sphere, [0, 0, 0.065], axis=[0, 1, 0.2], random_state=0)
    >>> field([[0, 0, 0.065], [0, 0.002, 0.065]]).shape
    (2, 3)
    """

    def __init__(
        self,
        primary: Callable,
        position: ArrayLike,
        axis: ArrayLike,
        heterogeneity: float = 1.0,
        random_state: RandomSeed = None,
        depth: float | tuple[float, float] | None = None,
        blur: float = TISSUE.blur,
    ) -> None:
        if not callable(primary):
            raise TypeError(f"primary must be a field, called with points. Got {primary!r}.")
        self.position = check_vector(position, "position")
        axis = check_vector(axis, "axis", check_points)
        if not axis.any():
            raise ValueError("axis must be a direction. Got a vector of length 0.")
        check_heterogeneity(heterogeneity)
        if not 1e-4 <= blur <= 2e-3:
            raise ValueError(f"blur must be in m, between 1e-4 and 2e-3. Got {blur!r}.")
        check_depth(depth)
        self.heterogeneity = heterogeneity
        self.primary = primary
        local = getattr(primary, "local", None)
        self._smooth = primary if local is None else local(self.position)
        self.applied = self._smooth(self.position[np.newaxis])[0]
        draws = draw_geometry(heterogeneity, random_state)[np.newaxis]
        place = self.position[np.newaxis], axis[np.newaxis]
        self.bodies = make_surroundings(*place, heterogeneity, draws, depth, blur)

    def __call__(self, points):
        """Compute E at points.

        points (n, 3): Coordinates in m, head frame.
        Returns E (n, 3): V/m for each A/µs.
        """
        points = check_positions(points)
        E = self._smooth(points)
        if self.heterogeneity:
            E = E + self.bodies.secondary(points, self.applied)
        return E

    def secondary_potential(self, points: ArrayLike) -> np.ndarray:
        """Potential phi whose negative gradient is the field that the interfaces add.

        Parameters
        ----------
        points : array-like of shape (n, 3)
            Coordinates in m, head frame.

        Returns
        -------
        potential : ndarray of shape (n,)
            V for each A/µs.
        """
        return self.bodies.potential(check_positions(points), self.applied)


def check_heterogeneity(value):
    """Complain about a heterogeneity that is no number from 0 to 10."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 <= value <= 10:
        raise ValueError(f"heterogeneity must be a number from 0 to 10. Got {value!r}.")


def check_depth(depth):
    """Complain about a depth that is neither None, nor from 0 to 1, nor a range of these."""
    if depth is None:
        return
    with naming("depth"):
        if isinstance(depth, bool | np.bool_):
            raise TypeError(f"it must be a number, a range or None. Got {depth!r}.")
        low, *high = np.atleast_1d(np.asarray(depth, dtype=float)).tolist()
    if len(high) > 1 or not 0 <= low <= (high[0] if high else low) <= 1:
        raise ValueError(
            "depth must be from 0 (pial) to 1 (white), a range (low, high) of these, or None. Got "
            f"{depth!r}."
        )


def make_surroundings(positions, axes, heterogeneity, draws, depth=None, blur=TISSUE.blur):
    """Build the folds and balls around several neurons, all solved at once.

    positions, axes (n, 3): Positions and axes of the neurons; the axes need not be unit vectors.
    draws (n, n_draws): From :func:`draw_geometry`, one row a neuron.
    depth (float or pair of float)
    Returns bodies (Bodies): Those of the first neuron (fold, balls), then those of the second, ...
    """
    center, line, radii, jumps = _folds(
        axes, draws[:, :N_FOLD], TISSUE.depth if depth is None else depth
    )
    balls = draws[:, N_FOLD:].reshape(len(draws), -1, N_BALL)
    ball_center, ball_radius, contrast = _balls(balls)
    centers = np.concatenate([center[:, np.newaxis], ball_center], axis=1)
    lines = np.concatenate([line[:, np.newaxis], np.zeros_like(ball_center)], axis=1)
    # A ball has one interface: the other two have no jump.
    ball_radius = np.repeat(ball_radius[..., np.newaxis], 3, axis=2)
    ball_jump = contrast[..., np.newaxis] * [1.0, 0.0, 0.0]
    radii = np.concatenate([radii[:, np.newaxis], ball_radius], axis=1).reshape(-1, 3)
    jumps = np.concatenate([jumps[:, np.newaxis], ball_jump], axis=1).reshape(-1, 3)
    centers += positions[:, np.newaxis]
    centers, lines = centers.reshape(-1, 3), lines.reshape(-1, 3)
    return make_bodies(centers, lines, radii, heterogeneity * jumps, blur)


def draw_geometry(heterogeneity, random_state):
    """Draw the numbers between 0 and 1 that decide a geometry, (n_draws,).

    Those of the fold come first, then ball by ball, so that `heterogeneity` does not change the
    shapes, only how many balls there are.
    """
    n = N_FOLD + N_BALL * round(TISSUE.n_balls * heterogeneity)
    if random_state is None or isinstance(random_state, numbers.Integral):
        return np.random.default_rng(random_state).random(n)  # tenfold cheaper than RandomState
    return check_random_state(random_state).random_sample(n)


def _folds(axes, draws, depth):
    """Cylinders whose gray layers hold the somata, with normals there close to the axes."""
    kind, size, cortex, sheet, where, turn, tilt, tilt_turn = draws.T[..., np.newaxis]
    where = _between(np.broadcast_to(depth, 2), where)
    cortex, sheet = _between(TISSUE.cortex, cortex), _between(TISSUE.sheet, sheet)
    axes = axes / np.linalg.norm(axes, axis=1, keepdims=True)
    lean = TISSUE.tilt * np.sqrt(-2 * np.log1p(-tilt))
    normal = axes + np.tan(np.minimum(lean, 1.0)) * _across(axes, tilt_turn)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    # A gyrus has the white matter in the middle and the neuron's axis points outward; a sulcus
    # has the fluid in the middle and the axis points inward.
    gyrus = kind < 0.5
    inner = np.where(gyrus, _between(TISSUE.core, size), _between(TISSUE.sulcus, size))
    out = np.where(gyrus, -(inner + (1 - where) * cortex), inner + where * cortex)
    radii = inner + np.hstack([np.zeros_like(cortex), cortex, cortex + sheet])
    jumps = np.where(gyrus, *TISSUE.jumps)
    return out * normal, _across(normal, turn), radii, jumps


def _balls(draws):
    """Centers around the soma (n, n_balls, 3), radii and log contrasts (n, n_balls)."""
    size, gap, contrast, z, turn = np.moveaxis(draws, 2, 0)
    radius = _between(TISSUE.ball, size)
    z = 2 * z - 1
    ring = np.sqrt(1 - z**2)
    direction = np.stack(
        [ring * np.cos(2 * np.pi * turn), ring * np.sin(2 * np.pi * turn), z], axis=-1
    )
    center = (radius + _between(TISSUE.ball_gap, gap))[..., np.newaxis] * direction
    return center, radius, _between(TISSUE.contrasts, contrast)


def _across(normals, turn):
    """Unit vectors at right angles to unit vectors (n, 3), turned by `turn` (n, 1) circles."""
    helper = np.eye(3)[np.argmin(np.abs(normals), axis=1)]
    first = helper - (helper * normals).sum(axis=1, keepdims=True) * normals
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    (x, y, z), (u, v, w) = normals.T, first.T
    second = np.column_stack([y * w - z * v, z * u - x * w, x * v - y * u])
    return np.cos(2 * np.pi * turn) * first + np.sin(2 * np.pi * turn) * second


def _between(bounds, fraction):
    return bounds[0] + (bounds[1] - bounds[0]) * fraction
