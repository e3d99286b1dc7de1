"""Small heads for the tests of source estimators: a sphere, few sensors, few sources."""

from functools import lru_cache

import mne
import numpy as np

from sklearn_meg.datasets import make_head

CENTER = np.array([0.0, 0.0, 0.04])


@lru_cache(maxsize=2)
def sphere_forward(kind="volume"):
    """Info and Forward of 40 magnetometers around a spherical head."""
    info = make_head(n_channels=40).info_at(100.0)
    sphere = mne.make_sphere_model(CENTER, 0.09, verbose="error")
    if kind == "volume":
        src = mne.setup_volume_source_space(
            None, pos=25.0, sphere=(*CENTER, 0.07), sphere_units="m", verbose="error"
        )
        keep = np.linalg.norm(src[0]["rr"] - CENTER, axis=1) > 0.01  # no field at the center
        src[0]["inuse"] = src[0]["inuse"] * keep
        src[0]["vertno"] = np.flatnonzero(src[0]["inuse"])
        src[0]["nuse"] = len(src[0]["vertno"])
    else:
        src = mne.SourceSpaces([_hemisphere(-1, 101), _hemisphere(1, 102)])
    forward = mne.make_forward_solution(info, None, src, sphere, eeg=False, verbose="error")
    return info, forward


def _hemisphere(side, identity):
    """Points on a sphere of 6 cm; normals turned sideways, for radial ones have no field."""
    angle, height = np.meshgrid(np.linspace(-1.2, 1.2, 5), np.linspace(-0.3, 0.8, 4))
    angle, height = angle.ravel(), height.ravel()
    width = np.sqrt(1 - height**2)
    unit = np.column_stack([side * width * np.cos(angle), width * np.sin(angle), height])
    normals = np.cross(unit, [0.3, 0.2, 0.9]) + 0.5 * unit
    n = len(unit)
    return {
        "type": "surf",
        "id": identity,
        "coord_frame": 4,
        "rr": CENTER + 0.06 * unit,
        "nn": normals / np.linalg.norm(normals, axis=1, keepdims=True),
        "np": n,
        "nuse": n,
        "vertno": np.arange(n),
        "inuse": np.ones(n, dtype=int),
        "tris": np.array([[0, 1, 2]]),
        "ntri": 1,
        "use_tris": None,
        "nuse_tri": 0,
        "patch_inds": None,
        "nearest": None,
        "nearest_dist": None,
        "pinfo": None,
        "dist": None,
        "dist_limit": None,
        "subject_his_id": "somebody",
    }


def simulate_evoked(kind="volume", n_conditions=2, noise=2e-14, seed=0, n_times=40):
    """Evoked of one dipole a condition, the Forward and the noise covariance of a trial."""
    info, forward = sphere_forward(kind)
    rng = np.random.default_rng(seed)
    gain, evokeds, nave = forward["sol"]["data"], [], 25
    for condition in range(n_conditions):
        column = 3 * (4 + 7 * condition) + 1
        current = np.zeros(n_times)
        current[15:25] = 2e-8
        data = np.outer(gain[:, column], current)
        data += noise / np.sqrt(nave) * rng.standard_normal(data.shape)
        name = f"condition {condition}"
        evokeds.append(
            mne.EvokedArray(data, info, tmin=-0.1, nave=nave, comment=name, verbose="error")
        )
    names = info["ch_names"]
    cov = mne.Covariance(noise**2 * np.eye(len(names)), names, [], [], nfree=1000)
    return evokeds, forward, cov
