"""What users of inverse solvers do to data, noise covariances and forward models."""

from functools import cache

import mne
import numpy as np

from sklearn_meg import DipoleSearch
from sklearn_meg.datasets import make_head

from .record import Answer, violation

CENTER = np.array([0.0, 0.0, 0.04])
NOISE, NAVE = 2e-14, 25


@cache
def _head():
    """Info and Forward of 40 magnetometers around a spherical head."""
    info = make_head(n_channels=40).info_at(100.0)
    sphere = mne.make_sphere_model(CENTER, 0.09, verbose="error")
    src = mne.setup_volume_source_space(
        None, pos=20.0, sphere=(*CENTER, 0.07), sphere_units="m", exclude=10.0, verbose="error"
    )
    return info, mne.make_forward_solution(info, None, src, sphere, eeg=False, verbose="error")


def _world(seed):
    """Fields of one dipole, where it is (m), and the noise covariance of a trial."""
    info, forward = _head()
    rng = np.random.default_rng(seed)
    where = forward["source_rr"]
    off_center = np.flatnonzero(np.linalg.norm(where - CENTER, axis=1) > 0.04)
    source = rng.choice(off_center)
    direction = np.cross(where[source] - CENTER, rng.normal(size=3))
    gain = forward["sol"]["data"][:, 3 * source : 3 * source + 3]
    field = gain @ direction / np.linalg.norm(direction)
    current = np.zeros(60)
    current[30:45] = 2e-8
    data = np.outer(field, current)
    data += NOISE / np.sqrt(NAVE) * rng.standard_normal(data.shape)
    names = info["ch_names"]
    cov = mne.Covariance(NOISE**2 * np.eye(len(names)), names, [], [], nfree=1000)
    return data, where[source], cov


def _miss(data, truth, cov, tolerance=0.01):
    """How far the found dipole is from the true one (m)."""
    info, forward = _head()
    evoked = mne.EvokedArray(data, info, tmin=-0.3, nave=NAVE, verbose="error")
    model = DipoleSearch(forward=forward, noise_cov=cov).fit([evoked])
    found = model.dipole_positions_ - truth
    miss = np.linalg.norm(found, axis=1).min() if len(found) else np.inf
    return Answer(miss, tolerance)


@violation("a channel that is dead", right="the source within 1 cm")
def dead_channel(seed, broken):
    """One channel is zero throughout."""
    data, truth, cov = _world(seed)
    if broken:
        data[np.abs(data).max(1).argmax()] = 0
    return _miss(data, truth, cov)


@violation("noise covariance of 1e-2 of the noise", right="the source within 1 cm")
def small_noise(seed, broken):
    """The covariance is of another amplifier range: a hundredth of the noise."""
    data, truth, cov = _world(seed)
    if broken:
        cov["data"] = 1e-4 * cov["data"]
    return _miss(data, truth, cov)
