"""A lead field of EEG for people without an MRI: the head of fsaverage, electrodes as given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._forward import MINDIST, check_system, head_to_mri, scalp, three_layers
from ._head import make_bem
from ._settings import TEMPLATE

if TYPE_CHECKING:
    from .._typing import Forward, Info


def template_forward(info: Info, spacing: float = 10.0) -> Forward:
    """Make a lead field of EEG without an MRI.

    Brain, skull and scalp are those of fsaverage, as in :func:`simulated_forward`: nothing is
    downloaded. Electrodes are where `info` has them, in head coordinates (nasion and ears), moved
    to the nearest point of the scalp. In another head than that of the person sources are a
    centimeter or two off; state so by ``coregistration_error=0.01`` or more.

    Parameters
    ----------
    info : mne.Info
        With the positions of the electrodes, from a digitizer or ``set_montage``. Other channels
        are left out.
    spacing : float, default=10.0
        Distance of the grid points in mm, at least 4.

    Returns
    -------
    forward : mne.Forward
        Of the EEG channels that are not bad, for a volume grid of sources with free orientation.

    Raises
    ------
    TypeError, ValueError
        If `info` is none, has fewer than four electrodes, electrodes without positions, or
        some that are more than 4 cm from the scalp; or for a spacing out of range.

    See Also
    --------
    simulated_forward : of a simulated MEG helmet, and electrodes.

    Examples
    --------
    >>> import mne
    >>> from sklearn_meg.datasets import template_forward
    >>> montage = mne.channels.make_standard_montage("easycap-M1")
    >>> info = mne.create_info(["Fp1", "Cz", "Pz", "O1", "O2", "T7"], 250.0, "eeg")
    >>> forward = template_forward(info.set_montage(montage))  # doctest: +SKIP
    >>> forward["nchan"], forward["nsource"]  # doctest: +SKIP
    (6, 2044)
    """
    import mne

    spacing = check_system(spacing)[0]
    if not isinstance(info, mne.Info):
        raise TypeError(f"info must be an mne.Info. Got {type(info).__name__}.")
    info = mne.pick_info(info, mne.pick_types(info, meg=False, eeg=True))
    _check_electrodes(info)
    space = mne.setup_volume_source_space(
        None, pos=spacing, bem=make_bem(), mindist=MINDIST, verbose="error"
    )
    return mne.make_forward_solution(
        info, head_to_mri(), space, three_layers(), meg=False, eeg=True, verbose="error"
    )


def _check_electrodes(info):
    """Raise for electrodes that are nowhere, or not on a head."""
    if len(info["ch_names"]) < TEMPLATE.fewest:
        raise ValueError(
            f"info must have at least {TEMPLATE.fewest} EEG channels that are not bad. "
            f"Got {len(info['ch_names'])}."
        )
    places = np.array([channel["loc"][:3] for channel in info["chs"]])
    nowhere = ~np.isfinite(places).all(axis=1) | ~places.any(axis=1)
    if nowhere.any():
        names = [name for name, there in zip(info["ch_names"], nowhere) if there]
        raise ValueError(
            f"{len(names)} electrode(s) have no position: {', '.join(names[:20])}. Use "
            "set_montage, or mark them as bad."
        )
    away = np.linalg.norm(places[:, None] - scalp(), axis=2).min(axis=1)
    if away.max() > TEMPLATE.farthest:
        worst = int(away.argmax())
        raise ValueError(
            f"Electrode {info['ch_names'][worst]} is {100 * away[worst]:.1f} cm from the scalp: "
            "positions must be in m and head coordinates (origin between the ears)."
        )
