"""A lead field of the whole brain for an Elekta-Neuromag-like system: no downloads.

The inner skull of fsaverage and the helmet both come with mne (see `_head`). The two outer
surfaces that EEG needs are the inner skull moved outwards, so that EEG too is a boundary element
solution and not a sphere.
"""

from __future__ import annotations

import tempfile
from functools import lru_cache
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .._optional import mne_data_file
from ._head import HELMETS, make_bem, native_order, read_helmet, sensor_locations, spread

if TYPE_CHECKING:
    from typing import Literal

    from .._typing import Forward, Info

N_SITES = 102
N_ELECTRODES = 60
SKULL, SCALP = 0.006, 0.013  # m from the inner skull to the outer skull and to the scalp; rebuilt
CONDUCTIVITY = (0.3, 0.006, 0.3)  # S/m: brain, skull, scalp, as in mne
MINDIST = 5.0  # mm between the sources and the inner skull
SENSORS = ("neuromag306",)


def simulated_forward(
    spacing: float = 10.0, sensors: Literal["neuromag306"] = "neuromag306", eeg: bool = False
) -> Forward:
    """Make the lead field of a volume grid of sources with free orientation.

    The conductor is the inner skull of fsaverage (one layer; three with EEG). Nothing is
    downloaded. The first call with a spacing takes seconds; what it made is kept in memory.

    Parameters
    ----------
    spacing : float, default=10.0
        Distance of the grid points in mm, at least 4. Points nearer than 5 mm to the inner skull
        are left out.
    sensors : {"neuromag306"}, default="neuromag306"
        102 sites, each with one magnetometer and two orthogonal planar gradiometers.
    eeg : bool, default=False
        Whether to add 60 electrodes. The potentials are those against infinity, as in every
        forward of mne: reference them to the average as you do with the data.

    Returns
    -------
    forward : mne.Forward
        A copy, yours to change. ``forward["source_rr"]`` are the positions in m, head
        coordinates; ``forward["sol"]["data"]`` has three columns (x, y, z) a position, in
        T/Am, T/m/Am and V/Am. ``forward["info"]`` holds the sensors.

    Raises
    ------
    ValueError
        For an unknown sensor system or a spacing out of range.

    See Also
    --------
    simulated_info : the ``mne.Info`` to make Evoked and Epochs with.

    Examples
    --------
    >>> from sklearn_meg.datasets import simulated_forward
    >>> forward = simulated_forward(spacing=20.0)
    >>> forward["nchan"], forward["sol"]["data"].shape[1] == 3 * forward["nsource"]
    (306, True)
    """
    return cached_forward(*check_system(spacing, sensors, eeg)).copy()


def simulated_info(
    sfreq: float = 250.0, sensors: Literal["neuromag306"] = "neuromag306", eeg: bool = False
) -> Info:
    """Make the description of the sensors of :func:`simulated_forward`.

    Parameters
    ----------
    sfreq : float, default=250.0
        Sampling rate in Hz.
    sensors : {"neuromag306"}, default="neuromag306"
    eeg : bool, default=False
        Whether to add the 60 electrodes.

    Returns
    -------
    info : mne.Info
        306 (366) channels in the order of the forward, with positions, coil types and the
        device to head transform.

    Raises
    ------
    ValueError
        For an unknown sensor system or a sampling rate that is not above 0.

    Examples
    --------
    >>> from sklearn_meg.datasets import simulated_info
    >>> info = simulated_info(sfreq=300.0)
    >>> info.get_channel_types(unique=True)
    ['mag', 'grad']
    """
    import mne

    check_system(10.0, sensors, eeg)
    if not isinstance(sfreq, Real) or not 0 < sfreq < np.inf:
        raise ValueError(f"sfreq must be a float above 0. Got {sfreq!r}.")
    names, kinds, locations = _meg_channels()
    if eeg:
        points = _electrodes()
        names = names + [f"EEG {index + 1:03d}" for index in range(len(points))]
        kinds = kinds + ["eeg"] * len(points)
    info = mne.create_info(names, float(sfreq), kinds)
    for channel, location in zip(info["chs"], locations):
        channel["loc"] = location.copy()
        channel["coil_type"] = _coil(channel["ch_name"])
    if eeg:
        for channel, point in zip(info["chs"][len(locations) :], points):
            channel["loc"] = np.r_[point, np.zeros(3), np.full(6, np.nan)]
    move = np.eye(4)
    move[:3, 3] = HELMETS["306m"]
    info["dev_head_t"] = mne.transforms.Transform("meg", "head", move)
    return info


def check_system(spacing, sensors="neuromag306", eeg=False):
    """Return the parameters of a forward, checked and hashable."""
    if sensors not in SENSORS:
        raise ValueError(f"sensors must be one of {', '.join(SENSORS)}. Got {sensors!r}.")
    if isinstance(spacing, bool) or not isinstance(spacing, Real) or not 4 <= spacing <= 40:
        raise ValueError(f"spacing must be a float between 4 and 40 mm. Got {spacing!r}.")
    return float(spacing), sensors, bool(eeg)


@lru_cache(maxsize=6)
def cached_forward(spacing, sensors="neuromag306", eeg=False):
    """Return the forward itself, not a copy: for reading only."""
    import mne

    bem = make_bem()
    space = mne.setup_volume_source_space(
        None, pos=spacing, bem=bem, mindist=MINDIST, verbose="error"
    )
    return mne.make_forward_solution(
        simulated_info(sensors=sensors, eeg=eeg),
        head_to_mri(),
        space,
        three_layers() if eeg else bem,
        eeg=eeg,
        verbose="error",
    )


@lru_cache(maxsize=1)
def head_to_mri():
    """Give the transform from head to MRI coordinates of fsaverage."""
    import mne

    return mne.read_trans(mne_data_file("fsaverage", "fsaverage-trans.fif"))


def inner_skull():
    """Give the inner skull in head coordinates: points (n, 3) in m and triangles (m, 3)."""
    import mne

    surface = make_bem()["surfs"][0]
    points = mne.transforms.apply_trans(
        mne.transforms.invert_transform(head_to_mri()), surface["rr"]
    )
    return points, surface["tris"]


def _meg_channels():
    """Names, types and locations (306, 12) of three coils at each of the sites."""
    points, normals = read_helmet("306m")
    chosen = spread(points, N_SITES)
    names, kinds, locations = [], [], []
    for site, loc in enumerate(sensor_locations(points[chosen], normals[chosen])):
        position, x, y, z = loc.reshape(4, 3)
        label = f"MEG {site // 4 + 1:02d}{site % 4 + 1}"  # as Elekta: 1 is the magnetometer
        names += [label + "1", label + "2", label + "3"]
        kinds += ["mag", "grad", "grad"]
        # A planar gradiometer measures the change along its first axis.
        locations += [loc, loc, np.r_[position, y, -x, z]]
    return names, kinds, np.array(locations)


def _coil(name):
    from mne._fiff.constants import FIFF

    return FIFF.FIFFV_COIL_VV_MAG_T3 if name.endswith("1") else FIFF.FIFFV_COIL_VV_PLANAR_T1


def scalp():
    """Give points (n, 3) of the scalp of the model in head coordinates, m."""
    import mne

    surface = make_bem()["surfs"][0]
    points = surface["rr"] + SCALP * surface["nn"]
    return mne.transforms.apply_trans(mne.transforms.invert_transform(head_to_mri()), points)


def _electrodes():
    """Points on the scalp above the ears, in head coordinates (m)."""
    points = scalp()
    points = points[points[:, 2] > 0.01]
    return points[spread(points, N_ELECTRODES)]


@lru_cache(maxsize=1)
def three_layers():
    """Solve the model of brain, skull and scalp on 642 vertices a surface."""
    import mne

    inner = make_bem()["surfs"][0]
    names = ("inner_skull", "outer_skull", "outer_skin")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fsaverage" / "bem"
        path.mkdir(parents=True)
        for name, offset in zip(names, (0.0, SKULL, SCALP)):
            points = 1000.0 * (inner["rr"] + offset * inner["nn"])
            mne.write_surface(path / f"{name}.surf", points, inner["tris"], verbose="error")
        model = mne.make_bem_model(
            "fsaverage", ico=None, conductivity=CONDUCTIVITY, subjects_dir=folder, verbose="error"
        )
    return native_order(mne.make_bem_solution(model, verbose="error"))
