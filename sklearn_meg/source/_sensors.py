"""What sensors would read elsewhere: lead fields of sensors that are shifted and turned.

The field outside the head is a sum of multipoles, of which many sensors tell the first hundred
(Taulu and Kajola, 2005): what moved sensors read is known without a model of the head.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

KEYS = "loc", "coil_type", "coord_frame", "unit"
ORDER = 10  # what moved sensors read is off by .03 of its change, with 8 by .07
STEPS = (1e-3,) * 3 + (0.01,) * 6  # m, rad, and parts of the size


@dataclass(frozen=True)
class Sensors:
    """MEG sensors and what they read of sources.

    gain (n_channels, n_columns): Without projections.
    projector (n_channels, n_channels) or None: Applied to the data.
    place (tuple): Channels, where the device is in the head, and about what it is turned: a key.
    """

    gain: np.ndarray
    projector: Any
    place: tuple

    def moved(self, move):
        """Lead field of sensors off by a move: three shifts in m, three turns in rad."""
        return self.gain + _change(self.place, (*map(float, move), 0.0, 0.0, 0.0)) @ self.gain

    def changes(self):
        """Change of what is read by each part of a move, (6, n_channels, n_channels)."""
        return np.array([self.projected(each) for each in _changes(self.place)[:6]])

    def resized(self):
        """The same by each part of another size, along the axes of the head, (3, ...).

        Around a larger head, sensors are where nearer ones are around the modeled one.
        """
        return np.array([self.projected(each) for each in _changes(self.place)[6:]])

    def projected(self, fields):
        """Fields (n_channels, n) as they are in the data."""
        return fields if self.projector is None else self.projector @ fields


def sensors_of(lead, projector):
    """Sensors of a lead field, or None where not all channels are sensors outside the head.

    lead (LeadField), projector (n_channels, n_channels) or None
    """
    if lead.forward is None or lead.n_orient != 3:
        return None
    from mne import channel_type

    info, n_channels = lead.forward["info"], len(lead.gain)
    kinds = [channel_type(info, index) for index in range(n_channels)]
    compensated = any(ch["coil_type"] >> 16 for ch in info["chs"])  # by sensors far away
    enough = n_channels >= (ORDER + 1) ** 2 and set(kinds) <= {"mag", "grad"}
    if not enough or compensated or not info.get("dev_head_t"):
        return None
    channels = tuple(
        (name, kind, tuple(ch["loc"]), *(int(ch[key]) for key in KEYS[1:]))
        for name, kind, ch in zip(info["ch_names"], kinds, info["chs"])
    )
    trans, middle = info["dev_head_t"]["trans"], lead.positions.mean(axis=0)
    place = channels, tuple(map(tuple, trans)), tuple(map(float, middle))
    return Sensors(lead.gain, projector, place)


@lru_cache(maxsize=2)
def _changes(place):
    units = np.diag(STEPS)
    return [_change(place, tuple(unit)) / step for unit, step in zip(units, STEPS)]


def _change(place, move):
    here, inverse = _here(place)
    return (_multipoles(place, move) - here) @ inverse


@lru_cache(maxsize=2)
def _here(place):
    """Multipoles, and the moments of what is read, each channel in units of its kind."""
    here = _multipoles(place, (0.0,) * 9)
    kinds = np.array([ch[1] for ch in place[0]])
    size = np.ones(len(here))
    for kind in set(kinds):
        size[kinds == kind] = np.sqrt(np.square(here[kinds == kind]).mean())
    scaled = here / size[:, None]
    norms = np.linalg.norm(scaled, axis=0)
    inverse = np.linalg.pinv(scaled / norms, rcond=1e-3) / norms[:, None] / size
    return here, inverse


def _multipoles(place, move):
    """What moved sensors read of each multipole inside the head, (n_channels, n_moments).

    move (9,): Shifts in m, turns in rad, and how much larger the head is along its axes.
    """
    import mne
    from mne.preprocessing import compute_maxwell_basis
    from scipy.spatial.transform import Rotation

    channels, trans, middle = place
    info = mne.create_info([ch[0] for ch in channels], 1000.0, [ch[1] for ch in channels])
    for ch, (_, _, *values) in zip(info["chs"], channels):
        ch.update(zip(KEYS, (np.array(values[0]), *values[1:])))
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_rotvec(move[3:6]).as_matrix()
    turn[:3, 3] = np.array(move[:3]) + middle - turn[:3, :3] @ middle
    trans = turn @ np.array(trans)
    for ch in info["chs"]:
        away = trans[:3, :3] @ ch["loc"][:3] + trans[:3, 3] - middle
        ch["loc"][:3] += trans[:3, :3].T @ (away / (1 + np.array(move[6:])) - away)
    info["dev_head_t"] = mne.transforms.Transform("meg", "head", trans)
    return compute_maxwell_basis(
        info, origin=middle, int_order=ORDER, ext_order=0, regularize=None,
        bad_condition="ignore", verbose="error",
    )[0]  # fmt: skip
