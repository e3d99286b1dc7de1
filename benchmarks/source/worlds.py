"""Second simulator: sources between grid points, in heads and recordings that the model is not of.

The estimate always has the 10 mm grid of the inner skull of fsaverage. The true sources lie
anywhere, and their fields are those of the same head (`offgrid`), of sensors 4 mm and 2 degrees
off (`coreg`), or of the head while the estimate believes in a sphere (`sphere`), maybe one whose
center is off (`sphere_off`). The noise covariance may be from before a Maxwell filter (`rank`).
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import mne
import numpy as np
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

from sklearn_meg.datasets import simulated_forward, simulated_info

N_POOL = 500  # places, of which each data set takes some
SHIFT, TURN = 0.004, 2.0  # m and degrees of the sensors
SPHERES = {"sphere": (0.0, 0.0, 0.04), "sphere_off": (0.0, -0.012, 0.03)}  # centers, m
TIMES = np.arange(-30, 121) / 300.0
N_EPOCHS = 50
SCENARIOS = {
    "offgrid_1dip": {},
    "offgrid_3dip": {"n": 3},
    "offgrid_5dip": {"n": 5},
    "weak3": {"n": 3, "powers": (1.0, 0.5, 0.025)},
    "10dip": {"n": 10, "apart": 0.03},
    "offgrid_2corr": {"n": 2, "alike": True},
    "coreg": {"n": 3, "head": "coreg"},
    "sphere": {"n": 3, "head": "sphere"},
    "sphere_off": {"n": 3, "head": "sphere_off"},
    "average_sphere": {"n": 3, "head": "sphere_off", "average": True},
    "dead": {"n": 2, "broken": "dead"},
    "jumps": {"n": 2, "broken": "jumps"},
    "rank": {"n": 2, "rank": 80},
    "alpha": {"n": 3, "alpha": 5.0},
    "blinks": {"n": 3, "blinks": True},
    "average_1dip": {"average": True},
    "average_3dip": {"n": 3, "average": True},
    "average_noise": {"n": 0, "average": True},
    "epochs_noise": {"n": 0},
}


@dataclass(frozen=True)
class World:
    """Epochs with sources that are known, and what an analyst has of them."""

    epochs: np.ndarray
    clean: np.ndarray
    positions: np.ndarray
    currents: np.ndarray
    forward: Any
    noise_cov: Any
    info: Any
    average: bool
    active: np.ndarray

    @property
    def data(self):
        """What is fitted: Epochs, or the average of them."""
        if self.average:
            mean = self.epochs.mean(axis=0)
            evoked = mne.EvokedArray(mean, self.info, TIMES[0], nave=N_EPOCHS, verbose="error")
            return evoked.apply_baseline((None, 0), verbose="error")
        return mne.EpochsArray(self.epochs, self.info, tmin=TIMES[0], verbose="error")


def make_world(scenario, snr_db, seed):
    """Simulate one data set; the same seed has the same places and noise at any SNR."""
    given = {"n": 1, "apart": 0.04, "alike": False, "powers": None, "head": "exact", "alpha": 1.0}
    given |= {"broken": None, "blinks": False, "average": False, "rank": None}
    given |= SCENARIOS[scenario]
    rng = np.random.RandomState(seed)
    places = pool()["places"]
    chosen = _choose(rng, places, given["n"], given["apart"])
    ways = [_way(rng, pool()["exact"][:, index]) for index in chosen]
    head = "coreg" if given["head"] == "coreg" else "exact"
    fields = [pool()[head][:, index] @ way for index, way in zip(chosen, ways)]
    fields = np.array(fields).reshape(-1, len(pool()[head])).T
    info = simulated_info(300.0)
    mixing, noise = brain_noise(rng, info, given["alpha"])
    white = np.where(np.array(info.get_channel_types()) == "mag", 3.5e-14, 3.5e-12)
    covariance = mixing @ mixing.T + np.diag(white**2)
    courses = _courses(rng, given["n"], given["alike"])
    whitener = _whitener(covariance) * np.sqrt(N_EPOCHS)
    power = np.square(whitener @ fields).sum(axis=0)
    weights = np.ones(given["n"]) if given["powers"] is None else np.array(given["powers"])
    courses *= np.sqrt(weights / np.where(power > 0, power, 1.0))[:, None]
    seen = np.square(whitener @ fields @ courses).mean(axis=0)
    active = seen >= 0.1 * seen.max() if given["n"] else TIMES >= 0
    if given["n"]:
        courses *= 10 ** ((snr_db - 10 * np.log10(seen[active].mean())) / 20)
    draw = np.random.RandomState(seed + 5000)
    shape = (N_EPOCHS, len(white), len(TIMES))
    epochs = np.stack([mixing @ noise(draw) for _ in range(N_EPOCHS)])
    epochs += white[:, None] * draw.standard_normal(shape)
    if given["blinks"]:
        epochs += _blinks(draw, fields.shape[0])
    names = list(info["ch_names"])
    before = mne.EpochsArray(epochs[..., TIMES < 0], info, tmin=TIMES[0], verbose="error")
    noise_cov = mne.compute_covariance(
        before, method="ledoit_wolf", rank="full", verbose="error"
    ).pick_channels(names)
    clean = fields @ courses
    epochs += clean
    if given["broken"]:
        _break(draw, epochs, given["broken"])
    if given["rank"]:
        inside = _inside(given["rank"], white)
        epochs, clean = inside @ epochs, inside @ clean
    forward = (
        sphere(SPHERES[given["head"]]) if "sphere" in given["head"] else simulated_forward(10.0)
    )
    return World(
        epochs, clean, places[chosen].reshape(-1, 3), courses, forward, noise_cov, info,
        given["average"], active,
    )  # fmt: skip


def _choose(rng, places, n, apart):
    chosen = []
    while len(chosen) < n:
        index = rng.randint(len(places))
        if all(np.linalg.norm(places[index] - places[other]) >= apart for other in chosen):
            chosen.append(index)
        elif rng.rand() < 0.01:
            chosen = []  # no room left: start again
    return np.array(chosen, dtype=int)


def _way(rng, gain):
    """Unit vector that makes at least half the field of the best orientation."""
    while True:
        way = rng.standard_normal(3)
        way /= np.linalg.norm(way)
        if np.linalg.norm(gain @ way) >= 0.5 * np.linalg.norm(gain, 2):
            return way


def _courses(rng, n, alike):
    if not n:
        return np.zeros((0, len(TIMES)))
    width, rate = rng.uniform(0.018, 0.028, n), rng.uniform(5, 9, n)
    edges = np.linspace(0.06, 0.22, n + 1)
    latency = rng.permutation(rng.uniform(edges[:-1], edges[:-1] + 0.6 * np.diff(edges)))
    if alike:
        latency = rng.uniform(0.07, 0.2) + rng.uniform(-0.003, 0.003, n)
        width[:], rate[:] = width[0], rate[0]
    after = TIMES - latency[:, None]
    courses = np.exp(-(after**2) / 2 / width[:, None] ** 2)
    courses *= np.cos(2 * np.pi * rate[:, None] * after)
    courses *= 1 - np.exp(-((np.maximum(TIMES, 0) / 0.02) ** 2))
    return courses / np.abs(courses).max(axis=1, keepdims=True)


def brain_noise(rng, info, alpha=1.0, n_times=151):
    """Fields of 300 dipoles of a resting brain, and their series of an epoch."""
    from sklearn_meg.datasets._brain_noise import colored_series

    gain = simulated_forward(7.0)["sol"]["data"].reshape(306, -1, 3)
    where = rng.choice(gain.shape[1], 300, replace=False)
    mixing = np.einsum("cnd,nd->cn", gain[:, where], rng.standard_normal((300, 3)))
    mags = np.array(info.get_channel_types()) == "mag"
    mixing *= 1.5e-13 / np.median(np.sqrt(np.square(mixing[mags]).sum(axis=1)))
    rhythm = 6.0 * alpha * rng.random_sample(300) ** 4
    return mixing, lambda draw: colored_series(draw, rhythm, n_times, 300.0)


def _whitener(covariance):
    scale = np.sqrt(np.diag(covariance))
    values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    return (vectors / np.sqrt(values)).T / scale


def _blinks(draw, n_channels):
    """A blink in every fifth epoch: the field of a dipole behind the eyes, ten times the noise."""
    places, gain = pool()["places"], pool()["exact"]
    front = gain[:, places[:, 1].argmax()] @ [0.0, 0.6, 0.8]
    out = np.zeros((N_EPOCHS, n_channels, len(TIMES)))
    for epoch in range(0, N_EPOCHS, 5):
        shape = np.exp(-((TIMES - draw.uniform(-0.05, 0.35)) ** 2) / 2 / 0.05**2)
        out[epoch] = np.outer(front / np.abs(front[::3]).max() * 3e-12, shape)
    return out


def _break(draw, epochs, how):
    channel = draw.randint(epochs.shape[1])
    if how == "dead":
        epochs[:, channel] = 0.0
        return
    for epoch in draw.choice(len(epochs), 3, replace=False):
        size = 300 * np.diff(epochs[:, channel], axis=1).std()
        epochs[epoch, channel, draw.randint(40, 100) :] += size


def _inside(rank, white):
    """Projection on what sources make most, as a Maxwell filter leaves it."""
    gain = simulated_forward(10.0)["sol"]["data"] / white[:, None]
    basis = np.linalg.svd(gain @ gain.T)[0][:, :rank]
    return white[:, None] * (basis @ basis.T) / white


# --- heads -----------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def pool():
    """Places off the grid and their fields (306, n, 3), as they are and with sensors moved."""
    grid = simulated_forward(7.0)["source_rr"]
    rng = np.random.RandomState(7)
    neighbors = KDTree(grid).query_ball_point(grid, 0.0105, return_length=True)
    inner = grid[neighbors == neighbors.max()]
    places = inner[rng.choice(len(inner), N_POOL)] + rng.uniform(-0.003, 0.003, (N_POOL, 3))
    middle = (grid.min(axis=0) + grid.max(axis=0)) / 2
    far = np.linalg.norm(places - middle, axis=1) > 0.03
    places = places[far & (places[:, 2] > 0.01)]
    moved = simulated_info(300.0)
    direction, axis = rng.standard_normal((2, 3))
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_rotvec(np.deg2rad(TURN) * axis / np.linalg.norm(axis)).as_matrix()
    turn[:3, 3] = SHIFT * direction / np.linalg.norm(direction) + middle - turn[:3, :3] @ middle
    trans = turn @ moved["dev_head_t"]["trans"]
    moved["dev_head_t"] = mne.transforms.Transform("meg", "head", trans)
    return {
        "places": places,
        "exact": _fields(places, simulated_info(300.0)),
        "coreg": _fields(places, moved),
    }


def _fields(places, info):
    from sklearn_meg.datasets._forward import head_to_mri
    from sklearn_meg.datasets._head import make_bem

    trans = head_to_mri()
    space = _space(mne.transforms.apply_trans(trans, places))
    forward = mne.make_forward_solution(
        info, trans, space, make_bem(), eeg=False, mindist=0.0, verbose="error"
    )
    if forward["nsource"] != len(places):
        raise RuntimeError("A place of the pool is outside the inner skull.")
    return forward["sol"]["data"].reshape(len(info["ch_names"]), -1, 3)


def _space(places):
    normals = np.tile([0.0, 0.0, 1.0], (len(places), 1))
    return mne.setup_volume_source_space(
        "fsaverage", pos={"rr": places, "nn": normals}, verbose="error"
    )


@lru_cache(maxsize=2)
def sphere(center):
    """Lead field of a sphere on the grid of the estimate."""
    model = mne.make_sphere_model(center, 0.09, verbose="error")
    space = _space(simulated_forward(10.0)["source_rr"])
    return mne.make_forward_solution(
        simulated_info(300.0), None, space, model, eeg=False, mindist=0.0, verbose="error"
    )
