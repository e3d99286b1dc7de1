"""A real head in a real helmet, from what the installed mne package carries: no downloads.

The inner skull of fsaverage is the single-layer boundary element model; point magnetometers sit
on a helmet surface. mne is imported when a head is made.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from functools import lru_cache
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._optional import mne_data_file
from .._repr import short_repr

if TYPE_CHECKING:
    from typing import Literal

# Helmets and how they are moved (m, head coordinates) so that the scalp of fsaverage is nowhere
# nearer than 15 mm. Other helmets of mne would cut into it unless turned.
HELMETS = {"306m": (0.0, -0.005, 0.05), "KIT": (0.0, 0.01, 0.035)}
LOWEST = -0.05  # m, device coordinates: rows of sensors near the neck see little of the brain
UNIT = 1e-13  # T: of the order of the response to one word

# Rebuilt: where the sources of a word are, in mm (MRI coordinates of fsaverage, close to MNI),
# and where their current flows. Left superior temporal, left inferior frontal, right superior
# temporal; the last is the alpha rhythm, parieto-occipital.
POSITIONS = np.array([[-52, -22, 4], [-44, 26, 12], [52, -18, 4], [12, -72, 16]]) / 1000.0
ORIENTATIONS = np.array([[0, 0.3, -1.0], [0.4, 0.6, 0.7], [0, 0.3, -1.0], [1.0, 0, 0.2]])
POSITION_SPREAD = 0.008  # m, between subjects
TILT_SPREAD = 0.35  # added to each part of the unit vector


@dataclass(frozen=True)
class Head:
    """Head, sensors and what a current dipole does to them.

    Attributes
    ----------
    info : mne.Info
        Magnetometers with positions, and the device to head transform.
    bem : mne.bem.ConductorModel
        The inner skull.
    trans : mne.Transform
        From head to MRI coordinates.
    unit : float
        Tesla per unit of the normalized topographies of :func:`make_words`.
    """

    info: Any
    bem: Any = field(repr=False)
    trans: Any = field(repr=False)
    unit: float = UNIT

    __repr__ = short_repr

    def leadfield(self, positions, orientations):
        """Compute the field of current dipoles at the sensors.

        Parameters
        ----------
        positions : array-like of shape (n_dipoles, 3)
            Positions in m, MRI (surface RAS) coordinates of fsaverage.
        orientations : array-like of shape (n_dipoles, 3)
            Made unit vectors here.

        Returns
        -------
        leadfield : ndarray of shape (n_channels, n_dipoles)
            Fields of unit dipoles in T/Am.

        Raises
        ------
        ValueError
            If a dipole is outside the inner skull or has no direction.
        """
        import mne

        positions, orientations = np.atleast_2d(positions), np.atleast_2d(orientations)
        length = np.linalg.norm(orientations, axis=1, keepdims=True)
        if positions.shape != orientations.shape or positions.shape[1] != 3 or not length.all():
            raise ValueError(
                "positions and orientations must both have the shape (n_dipoles, 3), orientations "
                f"without zero vectors. Got {positions.shape} and {orientations.shape}."
            )
        # One more dipole that is surely inside: mne fails obscurely when none is.
        pos = {
            "rr": np.vstack([positions, [0.0, -0.02, 0.03]]),
            "nn": np.vstack([orientations / length, [1.0, 0.0, 0.0]]),
        }
        space = mne.setup_volume_source_space("fsaverage", pos=pos, verbose="error")
        forward = mne.make_forward_solution(
            self.info, self.trans, space, self.bem, eeg=False, verbose="error"
        )
        n_outside = len(pos["rr"]) - forward["nsource"]
        if n_outside:
            raise ValueError(
                f"{n_outside} of {len(positions)} dipoles are outside the inner skull of fsaverage."
            )
        fixed = mne.convert_forward_solution(forward, force_fixed=True, verbose="error")
        return fixed["sol"]["data"][:, :-1]

    def draw_patterns(self, rng, n_subjects, n_channels=None):
        """Draw the topographies of the word sources and alpha for several subjects.

        Parameters
        ----------
        rng : numpy.random.Generator
        n_subjects : int
        n_channels : ignored
            The head decides.

        Returns
        -------
        patterns : ndarray of shape (n_subjects, n_channels, 4)
            Each source moved and turned a little from subject to subject, in `unit`, for sources
            of about 20 nAm.
        """
        shape = (n_subjects, *POSITIONS.shape)
        positions = POSITIONS + POSITION_SPREAD * rng.standard_normal(shape).clip(-1.5, 1.5)
        unit = ORIENTATIONS / np.linalg.norm(ORIENTATIONS, axis=1, keepdims=True)
        orientations = unit + TILT_SPREAD * rng.standard_normal(shape)
        fields = self.leadfield(positions.reshape(-1, 3), orientations.reshape(-1, 3))
        patterns = fields.reshape(-1, n_subjects, len(POSITIONS)).transpose(1, 0, 2)
        return patterns * (2e-8 / self.unit)

    def info_at(self, sfreq):
        """Give a copy of the info with another sampling rate, in Hz."""
        return _make_info(self.info["ch_names"], _locations(self.info), sfreq, self.info)


def make_head(sensors: Literal["306m", "KIT"] = "306m", n_channels: int = 102) -> Head:
    """Make a head with magnetometers around it.

    Nothing is downloaded: the inner skull of fsaverage and the helmets come with mne. The first
    call takes about a second, later ones with the same arguments are free.

    Parameters
    ----------
    sensors : {"306m", "KIT"}, default="306m"
        The helmet.
    n_channels : int, default=102
        Point magnetometers, spread evenly over the helmet: at most 257 (306m) or 283 (KIT).

    Returns
    -------
    head : Head
        With ``info``, ``bem``, ``trans`` and ``leadfield(positions, orientations)``.

    Raises
    ------
    ValueError
        For an unknown helmet, or more channels than it has points.

    Examples
    --------
    >>> from sklearn_meg.datasets import make_head
    >>> head = make_head(n_channels=60)
    >>> head.leadfield([[-0.05, -0.02, 0.005]], [[0, 0, 1]]).shape
    (60, 1)
    """
    if sensors not in HELMETS:
        raise ValueError(f"sensors must be one of {', '.join(HELMETS)}. Got {sensors!r}.")
    if not isinstance(n_channels, Integral) or n_channels < 1:
        raise ValueError(f"n_channels must be an int of at least 1. Got {n_channels!r}.")
    return _make_head(sensors, int(n_channels))


@lru_cache(maxsize=4)
def _make_head(sensors, n_channels):
    import mne

    trans = mne.read_trans(mne_data_file("fsaverage", "fsaverage-trans.fif"))
    points, normals = read_helmet(sensors)
    if n_channels > len(points):
        raise ValueError(
            f"n_channels must be at most {len(points)}, the points of the helmet {sensors!r}. "
            f"Got {n_channels}."
        )
    chosen = spread(points, n_channels)
    names = [f"MEG{index + 1:03d}" for index in range(n_channels)]
    info = _make_info(names, sensor_locations(points[chosen], normals[chosen]), 1000.0)
    move = np.eye(4)
    move[:3, 3] = HELMETS[sensors]
    info["dev_head_t"] = mne.transforms.Transform("meg", "head", move)
    return Head(info, make_bem(), trans)


@lru_cache(maxsize=1)
def make_bem():
    """Solve the single-layer model on 642 of the 10242 vertices of the inner skull."""
    import mne

    (skull,) = mne.read_bem_surfaces(
        mne_data_file("fsaverage", "fsaverage-inner_skull-bem.fif"), verbose="error"
    )
    with tempfile.TemporaryDirectory() as folder:  # make_bem_model reads FreeSurfer's files only
        path = Path(folder) / "fsaverage" / "bem" / "inner_skull.surf"
        path.parent.mkdir(parents=True)
        mne.write_surface(path, skull["rr"] * 1000.0, skull["tris"], verbose="error")
        model = mne.make_bem_model(
            "fsaverage", ico=3, conductivity=[0.3], subjects_dir=folder, verbose="error"
        )
    return native_order(mne.make_bem_solution(model, verbose="error"))


def native_order(bem):
    """Give the triangles of a boundary element model the byte order of this machine.

    mne keeps that of the FIF file, which its numba functions refuse where numba is installed.
    """
    for surface in bem["surfs"]:
        surface["tris"] = surface["tris"].astype(np.int32)
    return bem


def read_helmet(sensors):
    """Points and outward normals of a helmet in device coordinates, in m."""
    import mne

    (helmet,) = mne.read_bem_surfaces(
        mne_data_file("helmets", f"{sensors}.fif.gz"), verbose="error"
    )
    high = helmet["rr"][:, 2] > LOWEST
    return helmet["rr"][high], helmet["nn"][high]


def spread(points, n_points):
    """Choose points far from each other: each next one is the farthest from those before."""
    chosen = [int(np.argmax(points[:, 2]))]
    distance = np.linalg.norm(points - points[chosen[0]], axis=1)
    while len(chosen) < n_points:
        chosen.append(int(np.argmax(distance)))
        distance = np.minimum(distance, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return np.sort(chosen)


def sensor_locations(points, normals):
    """Position and the three axes of each coil, as MNE keeps them: (n_channels, 12)."""
    normals = normals / np.linalg.norm(normals, axis=1, keepdims=True)
    side = np.cross(normals, np.where(np.abs(normals[:, :1]) > 0.9, [0, 1.0, 0], [1.0, 0, 0]))
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    return np.hstack([points, side, np.cross(normals, side), normals])


def _locations(info):
    return np.array([channel["loc"][:12] for channel in info["chs"]])


def _make_info(names, locations, sfreq, like=None):
    import mne
    from mne._fiff.constants import FIFF

    info = mne.create_info(list(names), sfreq, "mag")
    for channel, location in zip(info["chs"], locations):
        channel["loc"] = np.array(location)
        channel["coil_type"] = FIFF.FIFFV_COIL_POINT_MAGNETOMETER
    if like is not None:
        info["dev_head_t"] = like["dev_head_t"]
    return info
