"""The lead field: what each source does to each channel."""

from dataclasses import dataclass
from typing import Any

import numpy as np

ORIENTATIONS = ("free", "loose", "fixed")
FIFFV_COORD_HEAD = 4
DEPTH_LIMIT = 100.0  # norms differ by this factor at most: a nearly silent source stays tame
FIELDLESS = 1e-10  # relative to the largest column norm


@dataclass(frozen=True)
class LeadField:
    """Lead field with what is needed to name its sources.

    gain (n_channels, n_positions * n_orient): Unit of the field per A m.
    n_orient: 1 or 3.
    positions (n_positions, 3) or None: Coordinates in m, head coordinates.
    axes (n_positions, n_orient, 3) or None: Direction of each column, head coordinates.
    vertices (list of ndarray or None): As in an mne source estimate.
    kind (str or None): "surface", "volume", "discrete" or "mixed".
    forward (mne.Forward or None): The same, its channels picked; None for arrays.
    sensors (Sensors or None): Where all channels are MEG, whose place beside the head is known.
    """

    gain: np.ndarray
    n_orient: int
    positions: Any = None
    axes: Any = None
    vertices: Any = None
    kind: Any = None
    subject: Any = None
    forward: Any = None
    sensors: Any = None


def is_mne_forward(forward):
    """Whether this is an mne Forward."""
    return isinstance(forward, dict) and "sol" in forward and "src" in forward


def read_lead_field(forward, n_channels, ch_names=None, orientation="free"):
    """Check a lead field and bring it into one form.

    forward (None, ndarray or mne.Forward): None: identity, sources are channels.
    n_channels: Channels of the data.
    ch_names (list of str or None): Their names; None: unknown, the lead field must have as many
        channels in the same order.
    orientation ({"free", "loose", "fixed"})
    Returns lead (LeadField)
    Raises TypeError, ValueError for other types and shapes, values that are not finite, channels
        that do not match, an mne.Forward that is not in head coordinates, or orientations that
        need a surface where there is none.
    """
    if forward is None:
        _check_not_loose(orientation)
        return LeadField(np.eye(n_channels), 1)
    if is_mne_forward(forward):
        return _read_mne_forward(forward, n_channels, ch_names, orientation)
    if isinstance(forward, dict | str) or not np.shape(forward):
        raise TypeError(
            "forward must be None, an array (n_channels, n_positions[, 3]) or an mne.Forward. "
            f"Got {type(forward).__name__}. (mne.read_forward_solution reads a file.)"
        )
    gain = np.asarray(forward)
    if gain.dtype.kind not in "fiu":
        raise TypeError(f"forward must be an array of real numbers. Got dtype {gain.dtype}.")
    if gain.ndim not in (2, 3) or (gain.ndim == 3 and gain.shape[2] != 3) or 0 in gain.shape:
        raise ValueError(
            "forward must have the shape (n_channels, n_positions) for fixed orientations or "
            f"(n_channels, n_positions, 3) for free ones. Got {gain.shape}."
        )
    _check_n_channels(len(gain), n_channels)
    if gain.ndim == 3 and orientation != "free":
        raise ValueError(
            f"orientation={orientation!r} needs surface normals, and an array forward of shape "
            f"{gain.shape} has none. Use orientation='free', project the lead field on the "
            "normals yourself (n_channels, n_positions), or give an mne.Forward."
        )
    if gain.ndim == 2:
        _check_not_loose(orientation)
    _check_finite(gain)
    return LeadField(gain.reshape(len(gain), -1).astype(np.float64), 1 if gain.ndim == 2 else 3)


def _check_not_loose(orientation):
    """One orientation a position leaves nothing to be loose."""
    if orientation == "loose":
        raise ValueError(
            "orientation='loose' needs three orientations a position, and forward has one. Use "
            "orientation='fixed', or an mne.Forward of a surface with free orientation."
        )


def _check_n_channels(n_forward, n_channels):
    if n_forward != n_channels:
        raise ValueError(
            f"forward must have the channels of the data. Got {n_forward} channels in forward and "
            f"{n_channels} in y."
        )


def _check_finite(gain):
    bad = ~np.isfinite(gain)
    if bad.any():
        raise ValueError(
            f"forward must be finite. Got NaN or infinity in {bad.sum()} of {gain.size} values, "
            f"first for channel {np.argwhere(bad)[0][0]}."
        )


def check_fieldless(gain, n_orient):
    """Raise if a position produces no field in any channel: nothing can be said about it."""
    norms = np.linalg.norm(gain.reshape(len(gain), -1, n_orient), axis=(0, 2))
    silent = np.flatnonzero(norms <= FIELDLESS * norms.max())
    if len(silent):
        raise ValueError(
            f"{len(silent)} of {len(norms)} positions of forward (first: {silent[0]}) produce no "
            "field in the channels that are used: leave these positions out."
        )


def match_channels(forward, info):
    """Channels of the data that the lead field can explain.

    Channel kinds that the forward does not have at all (EEG with a forward of MEG) are left
    out; a kind that it has only in part is an error.

    info (mne.Info): Info of the good data channels.
    Returns picks (ndarray of int)
    Raises ValueError if channels are missing in the forward, or none is shared.
    """
    from mne import channel_type

    known = set(forward["sol"]["row_names"])
    shared = [name in known for name in info["ch_names"]]
    if not any(shared):
        raise ValueError(
            "forward and the data share no channel name. Forward: "
            f"{_some(forward['sol']['row_names'])}. Data: {_some(info['ch_names'])}."
        )
    kinds = [channel_type(info, index) for index in range(len(shared))]
    there = {kind for kind, found in zip(kinds, shared) if found}
    missing = [
        name
        for name, kind, found in zip(info["ch_names"], kinds, shared)
        if kind in there and not found
    ]
    if missing:
        raise ValueError(
            f"{len(missing)} channel(s) of the data are missing in forward: {_some(missing)}. "
            "Mark them as bad, drop them, or compute the forward with them."
        )
    return np.flatnonzero(shared)


def _some(names, n_most=20):
    return ", ".join(names[:n_most]) + (", ..." if len(names) > n_most else "")


def _read_mne_forward(forward, n_channels, ch_names, orientation):
    import mne

    fixed = forward["source_ori"] == 1  # FIFFV_MNE_FIXED_ORI
    if fixed:
        _check_not_loose(orientation)
    _check_surface(forward, fixed, orientation)
    if forward["coord_frame"] != FIFFV_COORD_HEAD:
        raise ValueError(
            "forward must be in head coordinates, as mne.make_forward_solution makes it. Got "
            f"coordinate frame {forward['coord_frame']}."
        )
    _check_finite(forward["sol"]["data"])
    if ch_names is None:
        _check_n_channels(forward["sol"]["data"].shape[0], n_channels)
        ch_names = forward["sol"]["row_names"]
    else:
        forward = mne.pick_channels_forward(forward, ch_names, ordered=True, verbose="error")
    whole = forward
    if not fixed:
        forward = mne.convert_forward_solution(
            forward,
            surf_ori=orientation != "free",
            force_fixed=orientation == "fixed",
            verbose="error",
        )
    n_orient = 1 if forward["source_ori"] == 1 else 3
    kind = forward["src"].kind
    return LeadField(
        gain=np.array(forward["sol"]["data"], dtype=np.float64),
        n_orient=n_orient,
        positions=np.array(forward["source_rr"]),
        axes=np.array(forward["source_nn"]).reshape(-1, n_orient, 3),
        vertices=[np.array(s["vertno"]) for s in forward["src"]],
        kind=kind,
        subject=forward["src"]._subject,
        forward=None if fixed else whole,
    )


def _check_surface(forward, fixed, orientation):
    kinds = {space["type"] for space in forward["src"]}
    if not fixed and orientation != "free" and kinds != {"surf"}:
        raise ValueError(
            f"orientation={orientation!r} needs surface normals, and forward has source spaces of "
            f"kind {', '.join(sorted(kinds))}. Use orientation='free'."
        )


def depth_weights(gain, n_orient, depth, loose=1.0):
    """Weights that make up for the weak fields of deep sources, and for loose orientations.

    Position *j* with the (whitened) lead field G_j gets ``|G_j|_F ** -depth`` (norms below a
    hundredth of the largest count as a hundredth), divided by the largest weight. With three
    orientations of which the last is the normal, the others are multiplied by sqrt(loose). As
    the depth prior of mne's sparse solvers (an exponent of the variance), apart from the limit.

    gain (n_channels, n_positions * n_orient)
    Returns weights (n_positions, n_orient): At most 1.
    """
    norms = np.linalg.norm(gain.reshape(len(gain), -1, n_orient), axis=(0, 2))
    weights = np.maximum(norms / norms.max(), 1 / DEPTH_LIMIT) ** -(depth or 0.0)
    weights = np.repeat(weights[:, np.newaxis] / weights.max(), n_orient, axis=1)
    if n_orient == 3:
        weights[:, :2] *= np.sqrt(loose)
    return weights
